import pytest
from hypothesis import given
from hypothesis import strategies as st

from metahub_addon.challenge import MAX_HEADER, Challenge, parse_challenges

TOKEN = st.from_regex(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,12}", fullmatch=True)
VALUE = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20)
CHALLENGE = st.tuples(TOKEN, st.dictionaries(TOKEN.map(str.lower), VALUE, min_size=1, max_size=4))
BASIC = Challenge("basic", {"realm": "x"})


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", ()),
        (" , ", ()),
        ("Basic", (Challenge("basic", {}),)),
        ('Basic realm="x"', (BASIC,)),
        ('bAsIc ReAlM="x"', (BASIC,)),
        ("Basic realm=x", (BASIC,)),
        ('Basic realm = "x"', (BASIC,)),
        (',, Basic , realm="x" ,', (BASIC,)),
        (
            'Bearer realm="https://a.test/t?x=1,2",service="reg.test",scope="repository:a/b:pull"',
            (
                Challenge(
                    "bearer",
                    {
                        "realm": "https://a.test/t?x=1,2",
                        "service": "reg.test",
                        "scope": "repository:a/b:pull",
                    },
                ),
            ),
        ),
        (
            r'Basic realm="a \"quoted\" \\ one"',
            (Challenge("basic", {"realm": r'a "quoted" \ one'}),),
        ),
        ('Basic realm=""', (Challenge("basic", {"realm": ""}),)),
        ('Negotiate, Basic realm="x"', (Challenge("negotiate", {}), BASIC)),
        ('Negotiate YWJj==, Basic realm="x"', (Challenge("negotiate", {}), BASIC)),
        # RFC 9110, 11.6.1: a comma parts parameters as well as challenges.
        (
            'Newauth realm="apps", type=1, title="Login", Basic realm="x"',
            (Challenge("newauth", {"realm": "apps", "type": "1", "title": "Login"}), BASIC),
        ),
    ],
)
def test_challenges(header: str, expected: tuple[Challenge, ...]) -> None:
    assert parse_challenges(header) == expected


@pytest.mark.parametrize(
    "breach",
    [
        "=x",
        '"x"',
        'Bearer realm="x',
        'Bearer realm="x" service="y"',
        'Bearer realm="x"y',
        'Bearer realm="x", REALM="y"',
        "Bearer realm=https://a.test/t",
        "Bearer " + ",".join(f"k{number}=v" for number in range(33)),
        "Bearer \x00",
    ],
)
def test_what_breaks_the_grammar_ends_it(breach: str) -> None:
    """What stands before it counts; what a breach stands for is nobody's guess."""
    found = parse_challenges(f'Basic realm="x", {breach}')
    assert found[0] == BASIC
    assert all(set(challenge.parameters) <= {"realm"} for challenge in found[1:])


def test_bounds() -> None:
    assert len(parse_challenges("Basic, " * 50)) == 16
    assert len(parse_challenges("Bearer " + ",".join(f"k{n}=v" for n in range(32)))) == 1
    assert parse_challenges("Basic " + " " * MAX_HEADER) == ()
    assert parse_challenges('Basic realm="' + "\\" * (MAX_HEADER - 20)) == (Challenge("basic", {}),)


@given(st.lists(CHALLENGE, max_size=5))
def test_what_is_written_is_read(challenges: list[tuple[str, dict[str, str]]]) -> None:
    def quoted(value: str) -> str:
        return value.replace("\\", "\\\\").replace('"', '\\"')

    header = ", ".join(
        f"{scheme} " + ", ".join(f'{name}="{quoted(value)}"' for name, value in values.items())
        for scheme, values in challenges
    )
    assert parse_challenges(header) == tuple(
        Challenge(scheme.lower(), values) for scheme, values in challenges
    )


@given(st.text(st.sampled_from('aB=", \t\\/-'), max_size=80))
def test_anything_can_be_read(header: str) -> None:
    for challenge in parse_challenges(header):
        assert challenge.scheme == challenge.scheme.lower() != ""
