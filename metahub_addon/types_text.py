"""The list of machine types in a hub's text, as far as it can be changed there.

A round trip through a YAML library loses the comments that stand behind what it removes,
and lays out anew what it keeps. The text is cut instead where the parser says that things
stand: every line that has nothing to do with a machine type stays byte for byte.
"""

import yaml

from metahub_addon.strict_yaml import InvalidYaml, Value, read_yaml

TYPES = "types"
NAMES = ("machine_type", "name")


def read_types(text: str, source: str) -> Value:
    """The whole document; raises InvalidYaml, also where something stands for another."""
    root = read_yaml(text, source, "file")
    for token in yaml.scan(text, Loader=yaml.SafeLoader):
        if isinstance(token, yaml.AnchorToken | yaml.AliasToken):
            raise InvalidYaml(
                f"{source}:{token.start_mark.line + 1}: file: has an anchor or alias; "
                "change machine types in the file itself"
            )
    return root


def name_of(entry: Value) -> str:
    """The name of a machine type in the list; empty: none."""
    given = entry.mapping()
    return next((given[key].text() for key in NAMES if key in given), "")
