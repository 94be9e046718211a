import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metahub_addon.nfd import MAX_SPEC_BYTES, InvalidSpec, NodeFeatures, parse_spec, refusal

NODE = NodeFeatures(
    {
        "cpu.cpuid": ({"AVX2": "", "FMA3": ""},),
        "cpu.model": ({"vendor_id": "AMD", "family": "25"},),
        "kernel.version": ({"major": "5", "full": "5.14.0-427"},),
        "kernel.loadedmodule": ({"vfio-pci": ""},),
        "pci.device": ({"vendor": "10de", "class": "0302"}, {"vendor": "15b3", "class": "0200"}),
        "cpu.topology": ({"hardware_multithreading": "false"},),
    }
)


def spec(*rules: object, **more: object) -> bytes:
    sets = [{"rules": list(rules), **more}]
    return json.dumps({"version": "v1alpha1", "compatibilities": sets}, indent=1).encode()


def term(feature: str, **expressions: object) -> dict[str, object]:
    return {"feature": feature, "matchExpressions": expressions}


def op(name: str, *values: object) -> dict[str, object]:
    return {"op": name, "value": list(values)} if values else {"op": name}


def holds(*terms: object) -> bool:
    return not refusal(parse_spec(spec({"name": "r", "matchFeatures": list(terms)})), NODE)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (term("cpu.cpuid", AVX2=op("Exists")), True),
        (term("cpu.cpuid", AVX512F=op("Exists")), False),
        (term("cpu.cpuid", AVX2=op("Exists"), FMA3=op("Exists")), True),
        (term("cpu.cpuid", AVX512F=op("DoesNotExist")), True),
        (term("cpu.cpuid", AVX2=op("DoesNotExist")), False),
        (term("cpu.model", vendor_id=op("In", "Intel", "AMD")), True),
        (term("cpu.model", vendor_id=op("NotIn", "Intel")), True),
        (term("cpu.model", vendor_id=op("NotIn", "AMD")), False),
        (term("cpu.model", family=op("Gt", 24)), True),
        (term("cpu.model", family=op("Lt", 25)), False),
        (term("cpu.model", family=op("GtLt", 24, 26)), True),
        (term("cpu.model", family=op("GtLt", 25, 26)), False),
        (term("cpu.model", family=op("GeLe", 25, 26)), True),
        (term("cpu.model", family=op("Ge", 25)), True),
        (term("cpu.model", family=op("Le", 24)), False),
        (term("cpu.model", family=op("Gt", "0x" + "f" * 5000)), False),
        (term("cpu.model", stepping=op("")), True),
        (term("cpu.cpuid", AVX2=op("NotIn", "x")), False),  # a flag has no value
        (term("cpu.model", family=op("Gt", "new")), False),
        (term("cpu.model", vendor_id=op("Gt", 1)), False),
        (term("kernel.version", full=op("InRegexp", r"^5\.14\.")), True),
        (term("kernel.version", full=op("InRegexp", r"^6\.")), False),
        (term("cpu.topology", hardware_multithreading=op("IsFalse")), True),
        (term("cpu.topology", hardware_multithreading=op("IsTrue")), False),
        (term("cpu.topology", hardware_multithreading=op("In", False)), True),
        # one device has to show all
        (term("pci.device", vendor=op("In", "10de"), **{"class": op("In", "0302")}), True),
        (term("pci.device", vendor=op("In", "10de"), **{"class": op("In", "0200")}), False),
        # what is not known does not hold, whatever is asked
        (term("rdma.state", enabled=op("DoesNotExist")), False),
        ({"feature": "kernel.loadedmodule", "matchName": op("InRegexp", "^vfio")}, True),
        ({"feature": "kernel.loadedmodule", "matchName": op("In", "nvidia")}, False),
        ({"feature": "cpu.cpuid"}, True),
    ],
)
def test_operators(wanted: object, expected: bool) -> None:
    assert holds(wanted) is expected


def test_all_features_and_any_of_the_alternatives() -> None:
    yes, no = term("cpu.cpuid", AVX2=op("Exists")), term("cpu.cpuid", NONE=op("Exists"))
    assert holds(yes, yes)
    assert not holds(yes, no)
    for first, second, expected in ((yes, no, True), (no, yes, True), (no, no, False)):
        rule = {
            "name": "any",
            "matchFeatures": [yes],
            "matchAny": [{"matchFeatures": [first]}, {"matchFeatures": [second]}],
        }
        assert (refusal(parse_spec(spec(rule)), NODE) == "") is expected


def test_all_rules_of_one_of_the_sets() -> None:
    yes = {"name": "yes", "matchFeatures": [term("cpu.cpuid", AVX2=op("Exists"))]}
    no = {"name": "no", "matchFeatures": [term("cpu.cpuid", NONE=op("Exists"))]}
    both = parse_spec(spec(yes, no, description="mine"))
    assert refusal(both, NODE) == "NFD's rule 'no' of 'mine' does not hold"
    assert refusal((*both, *parse_spec(spec(yes))), NODE) == ""
    assert refusal((), NODE) == ""


def deep(expression: object) -> bytes:
    return spec({"matchFeatures": [{"feature": "a.b", "matchExpressions": {"c": expression}}]})


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"[", "specification: is not YAML (ParserError)"),
        (b"[]", "specification: is not a mapping"),
        (b"\xff", "specification: is not YAML"),
        (b"version: v2", "version: is not v1alpha1"),
        (b"version: v1alpha1", "compatibilities: is not a list"),
        (b"version: v1alpha1\ncompatibilities: [1]", "compatibilities[0]: is not a mapping"),
        (spec(1), "compatibilities[0].rules[0]: is not a mapping"),
        (spec({"matchFeatures": [{}]}), "compatibilities[0].rules[0].matchFeatures[0].feature: "),
        (deep({"op": []}), "compatibilities[0].rules[0].matchFeatures[0].matchExpressions.'c'.op"),
        (deep(op("Magic")), "compatibilities[0].rules[0].matchFeatures[0].matchExpressions.'c'.op"),
        (deep(op("InRegexp", "(")), "compatibilities[0].rules[0].matchFeatures[0]"),
        (deep(op("InRegexp", "(a+)+b")), "compatibilities[0].rules[0].matchFeatures[0]"),
        (deep(op("InRegexp", "(a|a)*b")), "compatibilities[0].rules[0].matchFeatures[0]"),
        (deep(op("InRegexp", "a" * 129)), "compatibilities[0].rules[0].matchFeatures[0]"),
        (b"version: &a v1alpha1\ncompatibilities: [*a]", "specification: holds an alias"),
        (deep(op("InRegexp", ".*.*.*!")), "compatibilities[0].rules[0].matchFeatures[0]"),
        (deep(op("InRegexp", "(.?){40}!")), "compatibilities[0].rules[0].matchFeatures[0]"),
        (deep(op("InRegexp", "(a|a)(a|a)(a|a)")), "compatibilities[0].rules[0].matchFeatures[0]"),
        (b'version: !!int ""', "version: is not v1alpha1"),
        (b"version: !!timestamp x", "version: is not v1alpha1"),
        (b"[" * 10_000, "specification: is nested deeper than 32"),
        (b"#" * (MAX_SPEC_BYTES + 1), "specification: has more than"),
        (
            spec({"matchFeatures": [{"feature": "a.b"}] * 1025}),
            "compatibilities: has more than 1024 terms",
        ),
    ],
)
def test_what_is_no_specification(body: bytes, says: str) -> None:
    with pytest.raises(InvalidSpec) as caught:
        parse_spec(body)
    assert str(caught.value).startswith(says)


@given(st.binary(max_size=100) | st.text(max_size=100).map(str.encode))
def test_any_bytes_are_refused_by_name(body: bytes) -> None:
    with pytest.raises(InvalidSpec, match=r"^(specification|version)"):
        parse_spec(body)
