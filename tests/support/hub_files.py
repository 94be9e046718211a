"""Hub files for tests of what changes them: one of its own, and any that Hypothesis makes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import yaml
from hypothesis import strategies as st

FILE = """\
# MetaHub
user: a   # who
password: x
types:
  # the first
  - name: t1
    platform: linux/amd64  # all of them
    features:
      - cpu:broadwell  # as sold
      - nvcap:5.2
  # the second

  - machine_type: t2
    features: [cpu:skylake]  # skylake
# behind
select: [user]
"""


@dataclass
class Lines:
    """A file whose lines are told apart by the type that they belong to."""

    owned: Sequence[tuple[str, str]]
    ending: str

    @property
    def text(self) -> str:
        return "".join(f"{line}{self.ending}" for _, line in self.owned)

    def without(self, name: str) -> str:
        return "".join(f"{line}{self.ending}" for owner, line in self.owned if owner != name)


@st.composite
def files(draw: st.DrawFn) -> Lines:
    comment = st.sampled_from(["", "# - name: x", "# x: [", "  # 'y", "    # z"])
    dash = draw(st.sampled_from(["", "  ", "    "]))
    gap = draw(st.sampled_from([" ", "   "]))
    owned = [("", "user: a"), ("", "types:" + draw(st.sampled_from(["", "  # all"])))]
    for name in draw(st.lists(st.sampled_from("abcd"), min_size=2, unique=True)):
        owned += [("", draw(comment)) for _ in range(draw(st.integers(0, 2)))]
        keys = draw(st.permutations(["name", "features", "platform"]))
        values = {
            "name": [f"name: {name}  # it's"],
            "platform": draw(
                st.sampled_from([["platform: linux/amd64"], ["platform: >-", "    linux/arm64"]])
            ),
            "features": draw(
                st.sampled_from(
                    [["features: [x, 'y']  # ["], ["features:", "- x  # - y", "  # z", "- 'y'"]]
                )
            ),
        }
        lines = [line for key in keys for line in values[key]]
        indent = f"{dash} {' ' * len(gap)}"
        owned += [
            (name, f"{indent if at else f'{dash}-{gap}'}{line}") for at, line in enumerate(lines)
        ]
    owned += draw(st.sampled_from([[], [("", "# end")], [("", ""), ("", "select: [user]")]]))
    return Lines(owned, draw(st.sampled_from(["\n", "\r\n"])))


def loaded(text: str) -> dict[str, Any]:
    return {entry["name"]: entry for entry in yaml.safe_load(text)["types"]}
