"""The page of rules says what the code does."""

import re
from pathlib import Path

import pytest
import yaml

from metahub_addon.cpu import match_cpu
from metahub_addon.features import DEFAULT_COMPARISONS, Comparison
from metahub_addon.microarchitectures import INERT
from metahub_addon.oci_platform import Platform
from metahub_addon.profile_parser import parse_profile

PAGE = (Path(__file__).parent.parent.parent / "profiles" / "RULES.md").read_text()
TABLE = PAGE.partition("## Keys")[2].partition("## Which")[0]


@pytest.mark.parametrize("key", [*DEFAULT_COMPARISONS, "cpuflag"])
def test_every_key_with_an_order_is_explained(key: str) -> None:
    assert re.search(rf"^\| [^|]*`{key}`", TABLE, re.MULTILINE)


@pytest.mark.parametrize("word", [*(member.value for member in Comparison), *INERT])
def test_every_comparison_and_every_flag_that_does_not_count_is_named(word: str) -> None:
    assert f"`{word}`" in TABLE


def test_the_order_of_the_example() -> None:
    told = re.search(r"A Zen 3 takes (.*?) …", PAGE, re.DOTALL)
    assert told
    names = re.findall(r"`([^`]+)`", told[1])
    distances = [match_cpu(name, "zen3").distance for name in names]
    assert None not in distances
    assert distances == sorted(distances, key=lambda distance: distance or ())


def test_the_profile_is_one() -> None:
    text = PAGE.partition("```yaml\n")[2].partition("```")[0]
    profile = parse_profile(text, "RULES.md", lambda: Platform("linux", "amd64"))
    assert [wanted.key for wanted in profile.wanted] == list(yaml.safe_load(text)["detect"])
