import re
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metahub_addon.hub_accounts_parser import Accounts, PlainPassword, hashed, parse_accounts
from metahub_addon.hub_config import Account
from metahub_addon.strict_yaml import InvalidYaml, read_yaml

HASH = "$2a$14$" + "a" * 21 + "." + "b" * 31
TYPES = ("t1", "t2")


def make_hash(user: str, password: str) -> str:
    if len(password) > 72:
        raise ValueError("a password has 1 to 72 bytes and no NUL")
    return HASH


def parse(text: str, types: Sequence[str] = TYPES) -> Accounts:
    return parse_accounts(read_yaml(text, "f", "file"), text, types, make_hash)


def test_metahubs_own_account_has_all_types_and_pushes_nothing() -> None:
    read = parse(f'user: metahub\npassword: "{HASH}"\n')
    assert read.by_user == {"metahub": Account(user="metahub", password=HASH, types=TYPES)}
    assert read.plain == ()


def test_an_account_with_all_keys_and_one_with_few() -> None:
    read = parse(
        f"user: m\npassword: {HASH}\naccounts:\n"
        f"- {{user: gpu@x, password: {HASH}, types: [t1], type: t2, pull: ['q/*', d.io/x], "
        "push: ['q/[ab]?'], features: false, administrator: true}\n"
        f"- {{user: few, password: {HASH}}}\n"
        f"- {{user: none, password: {HASH}, types: [], pull: [], features: yes}}\n"
    )
    assert list(read.by_user.values()) == [
        Account(user="m", password=HASH, types=TYPES),
        Account(
            user="gpu@x",
            password=HASH,
            types=("t1",),
            own_type="t2",
            pull=("q/*", "d.io/x"),
            push=("q/[ab]?",),
            features=False,
            administrator=True,
        ),
        Account(user="few", password=HASH, types=TYPES),
        Account(user="none", password=HASH, pull=()),
    ]


@pytest.mark.parametrize(
    ("keys", "may"),
    [
        ("pull: []", True),
        ("types: [t1]", False),
        ("types: [t1], features: true", True),
        ("features: false", False),
    ],
)
def test_who_is_bound_to_types_names_no_features(keys: str, may: bool) -> None:
    assert parse(account(keys)).by_user["a"].features is may


def account(rest: str) -> str:
    return f"accounts:\n- {{user: a, password: {HASH}, {rest}}}"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("types: []", "f:1: file: neither user nor accounts is given"),
        ("accounts: []", "f:1: file: neither user nor accounts is given"),
        ("user: a", "f:1: file: password is missing"),
        ("password: a", "f:1: file: user is missing"),
        ("accounts:\n- {password: a}", "f:2: accounts[0]: user is missing"),
        ("accounts:\n- {user: a}", "f:2: accounts[0]: password is missing"),
        ("accounts: {user: a}", "f:1: accounts: is not a list"),
        ("accounts:\n- {user: a/b, password: x}", "f:2: accounts[0].user: 'a/b' is no user's name"),
        ("accounts:\n- {user: 'a:b', password: x}", "f:2: accounts[0].user: 'a:b' is no user's"),
        ("accounts:\n- {user: 5, password: x}", "f:2: accounts[0].user: is '5', not a string"),
        (account("admin: true"), "f:2: accounts[0].admin: unknown key, known are user,"),
        (account("types: [t3]"), "f:2: accounts[0].types[0]: 't3' is no machine type of this"),
        (account("types: [t1, t1]"), "f:2: accounts[0].types[1]: t1 is given twice"),
        (account("type: t3"), "f:2: accounts[0].type: 't3' is no machine type of this file"),
        (account("pull: ['Q/*']"), "f:2: accounts[0].pull[0]: 'Q/*' matches no repository"),
        (account("push: [q, q]"), "f:2: accounts[0].push[1]: q is given twice"),
        (account("features: 'no'"), "f:2: accounts[0].features: is neither true nor false"),
        (account("administrator: 1"), "f:2: accounts[0].administrator: is neither true"),
        (
            f"user: a\npassword: {HASH}\naccounts:\n- {{user: a, password: {HASH}}}",
            "f:4: accounts[0].user: a is given twice",
        ),
    ],
)
def test_errors_name_file_line_and_key(text: str, says: str) -> None:
    with pytest.raises(InvalidYaml) as caught:
        parse(text)
    assert str(caught.value).startswith(says)


@pytest.mark.parametrize(
    ("accounts", "types", "says"),
    [
        (["a", "a-b"], ["b-c", "c"], "the login a-b-c would be that of both a and a-b"),
        (["a-b", "a"], ["b-c", "c"], "the login a-b-c would be that of both a and a-b"),
        (["a", "a-b"], ["b"], "the login a-b would be that of both a and a-b"),
        (["a", "b", "a-b-c"], ["d", "b-c"], "the login a-b-c would be that of both a and a-b-c"),
        (["a", "a-b"], ["x", "b-x"], "the login a-b-x would be that of both a and a-b"),
        (["a", "a-b"], ["x", "y"], ""),
        (["a", "ab"], ["b", "x"], ""),
        (["a", "b"], ["b", "a"], ""),
        (["a-b", "c-d"], ["b", "d"], ""),
    ],
)
def test_a_login_is_one_accounts(accounts: list[str], types: list[str], says: str) -> None:
    text = "accounts:\n" + "".join(f"- {{user: {user}, password: x}}\n" for user in accounts)
    if not says:
        parse(text, types)
        return
    with pytest.raises(InvalidYaml) as caught:
        parse(text, types)
    longest = accounts.index(max(accounts, key=len))
    assert str(caught.value) == f"f:{longest + 2}: accounts[{longest}].user: {says}"


def test_a_type_that_an_account_has_not_makes_no_login() -> None:
    parse("accounts:\n- {user: a, password: x, types: [t1]}\n- {user: a-t2, password: x}\n")
    with pytest.raises(InvalidYaml, match="the login a-t2 would be"):
        parse(
            "accounts:\n- {user: a, password: x, types: [t1], type: t2}\n"
            "- {user: a-t2, password: x}\n"
        )


@pytest.mark.parametrize(
    ("password", "says"),
    [
        ("12345", "is not a string (put it in quotes)"),
        ("[s3cret]", "is not a string (put it in quotes)"),
        ("", "is not a string (put it in quotes)"),
        ("$2b$12$s3cret", "is no bcrypt hash, whole and of a cost up to 16"),
        (HASH.replace("14", "17"), "is no bcrypt hash, whole and of a cost up to 16"),
        ("$argon2id$v=19$s3cret", "is no bcrypt hash, whole and of a cost up to 16"),
        ("$6$s3cret", "is no bcrypt hash, whole and of a cost up to 16"),
        ("&x s3cret", "is in the clear; to be hashed here it must stand in plain"),
        ("!!str s3cret", "is in the clear; to be hashed here it must stand in plain"),
        ("|-\n  s3cret", "is in the clear; to be hashed here it must stand in plain"),
        ("s3cret" * 20, "a password has 1 to 72 bytes and no NUL"),
    ],
)
def test_an_error_quotes_no_password(password: str, says: str) -> None:
    with pytest.raises(InvalidYaml) as caught:
        parse(f"user: a\npassword: {password}\n")
    assert str(caught.value).startswith(f"f:2: password: {says}")
    for error in (caught.value, caught.value.__cause__):
        assert "s3cret" not in str(error)
        assert "12345" not in str(error)


def test_an_alias_of_something_else_is_no_place_for_a_hash() -> None:
    with pytest.raises(InvalidYaml, match="must stand in plain"):
        parse("user: &x a\npassword: *x\n")


def test_a_hash_may_stand_anywhere() -> None:
    read = parse(f"user: a\npassword: &x {HASH}\naccounts:\n- {{user: b, password: *x}}\n")
    assert read.plain == ()
    assert parse(f"user: a\npassword: |-\n  {HASH}\n").by_user["a"].password == HASH


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("password: hash", f'password: "{HASH}"'),
        ("password: hash # not\n", f'password: "{HASH}" # not\n'),
        ("password:   'it''s'   \n", f'password:   "{HASH}"   \n'),
        ('password: "a\\"b" # c\r\n', f'password: "{HASH}" # c\r\n'),
        ("password: two\n  lines\n", f'password: "{HASH}"\n'),
        ("password:\n  below\n", f'password:\n  "{HASH}"\n'),
        ("password: ünï\U0001f511ode\n", f'password: "{HASH}"\n'),
    ],
)
def test_a_password_is_replaced_where_it_stands(before: str, after: str) -> None:
    start = "\ufeff# ä\U0001f511\r\nuser: a\n"
    read = parse(start + before)
    assert hashed(start + before, read.plain) == start + after
    assert [plain.user for plain in read.plain] == ["a"]
    assert parse(start + after).by_user == read.by_user


def test_several_passwords_one_of_them_hashed() -> None:
    others = f"[{{user: b, password: {HASH}}}, {{user: c, password: y}}]"
    text = f"{{user: a, password: x, accounts: {others}}}"
    new = hashed(text, parse(text).plain)
    assert new == re.sub(r"password: [xy]", f'password: "{HASH}"', text)


COMMENTS = st.text("# äx:'\"\t", max_size=8)
SECRETS = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1)


@given(st.lists(st.tuples(SECRETS, COMMENTS, st.sampled_from(["'", '"'])), min_size=1, max_size=4))
def test_all_but_the_passwords_stays_byte_for_byte(given: list[tuple[str, str, str]]) -> None:
    def text(passwords: Sequence[str]) -> str:
        return "accounts:\n" + "".join(
            f"# {comment}\n  - user: u{at}\n    password: {password} # {comment}\n"
            for at, (password, (_, comment, _)) in enumerate(zip(passwords, given, strict=True))
        )

    quoted = [
        f"'{secret.replace(quote, quote * 2)}'"
        if quote == "'"
        else '"' + secret.replace("\\", "\\\\").replace('"', '\\"') + '"'
        for secret, _, quote in given
    ]
    made: list[str] = []

    def note(user: str, password: str) -> str:
        made.append(password)
        return HASH

    before = text(quoted)
    read = parse_accounts(read_yaml(before, "f"), before, TYPES, note)
    if any(secret.startswith("$") for secret, _, _ in given):
        return
    assert made == [secret for secret, _, _ in given]
    assert hashed(before, read.plain) == text([f'"{HASH}"'] * len(given))


def test_nothing_secret_is_kept() -> None:
    plain = parse("user: a\npassword: s3cret\n").plain
    assert plain == (PlainPassword(user="a", start=18, end=24, hash=HASH),)
    assert "s3cret" not in repr(parse("user: a\npassword: s3cret\n"))
