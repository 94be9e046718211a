import hashlib
from collections.abc import Sequence

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import example, given
from hypothesis import strategies as st

from metahub_addon.client_certificates import (
    ShownCertificate,
    is_current,
    is_issued_by,
    read_authorities,
)
from support.client_certificates import Made, make

CLIENT, SERVER = ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH

CA = make("nodes CA", is_ca=True)
MIDDLE = make("middle CA", by=CA, is_ca=True)
OLD_CA = make("old CA", is_ca=True, days=(-9, -2))
OTHER = make("nodes CA", is_ca=True)
LEAF = make("gpu1.example", by=CA)


def is_issued(made: Made, *between: Made, authority: bytes = CA.pem) -> bool:
    shown = ShownCertificate.of([made.der, *(other.der for other in between)])
    return is_issued_by(shown, read_authorities(authority))


def test_what_a_certificate_is_called() -> None:
    shown = ShownCertificate.of([LEAF.der, CA.der])
    assert shown.fingerprint == hashlib.sha256(LEAF.der).hexdigest()
    assert shown.common_name == "gpu1.example"
    assert shown.chain == (LEAF.der, CA.der)
    assert "chain" not in repr(shown)


@pytest.mark.parametrize("names", [(), ("gpu1", "gpu2")])
def test_a_name_in_doubt_is_none(names: tuple[str, ...]) -> None:
    assert ShownCertificate.of([make(*names, by=CA).der]).common_name == ""


@pytest.mark.parametrize(
    "der",
    [b"", b"0", LEAF.der[:-1], LEAF.der.replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x05")],
)
def test_a_malformed_certificate_has_no_name_and_no_issuer(der: bytes) -> None:
    shown = ShownCertificate.of([der])
    assert shown.common_name == ""
    assert shown.fingerprint == hashlib.sha256(der).hexdigest()
    assert not is_issued_by(shown, [CA.certificate])
    assert not is_current(shown)


@pytest.mark.parametrize(("days", "current"), [((-1, 7), True), ((-3, -1), False), ((1, 2), False)])
def test_the_dates_of_a_certificate(days: tuple[int, int], current: bool) -> None:
    assert is_current(ShownCertificate.of([make("gpu1", days=days).der])) is current


def test_a_chain_has_bounds() -> None:
    assert len(ShownCertificate.of([LEAF.der] * 1000).chain) == 16


@pytest.mark.parametrize(
    ("made", "between", "authority", "issued"),
    [
        (LEAF, [], CA.pem, True),
        (LEAF, [CA], CA.pem, True),
        (LEAF, [], OTHER.pem + CA.pem, True),
        (LEAF, [], OTHER.pem, False),  # of the same name, with another key
        (LEAF, [CA], OTHER.pem, False),  # what a client sends along is not believed
        (make("x"), [], CA.pem, False),
        (make("x", by=MIDDLE), [MIDDLE], CA.pem, True),
        (make("x", by=MIDDLE), [], CA.pem, False),
        (make("x", by=MIDDLE), [], MIDDLE.pem, True),
        (LEAF, [], MIDDLE.pem, False),
        (make("x", by=LEAF), [LEAF], CA.pem, False),  # a node is no authority
        (make("x", by=CA, days=(-3, -1)), [], CA.pem, False),
        (make("x", by=CA, days=(1, 2)), [], CA.pem, False),
        (make("x", by=OLD_CA), [], OLD_CA.pem, False),
        (make("x", by=CA, usage=[CLIENT]), [], CA.pem, True),
        (make("x", by=CA, usage=[SERVER, CLIENT]), [], CA.pem, True),
        (make("x", by=CA, usage=[ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE]), [], CA.pem, True),
        (make("x", by=CA, usage=[SERVER]), [], CA.pem, False),
        (LEAF, [], LEAF.pem, True),  # the file may name the certificate itself
        (SELF := make("x", usage=[SERVER]), [], SELF.pem, False),
    ],
)
def test_who_has_issued(
    made: Made, between: Sequence[Made], authority: bytes, issued: bool
) -> None:
    assert is_issued(made, *between, authority=authority) is issued


def test_an_authority_for_servers_issues_no_clients() -> None:
    servers = make("servers CA", by=CA, is_ca=True, usage=[SERVER])
    assert not is_issued(make("x", by=servers), servers)


BROKEN = LEAF.pem.replace(b"\nMII", b"\nMIIx", 1)


@pytest.mark.parametrize("pem", [b"", b"nothing", CA.pem + BROKEN, CA.pem[:-30]])
def test_a_file_that_is_broken_is_an_error(pem: bytes) -> None:
    with pytest.raises(ValueError, match="PEM"):
        read_authorities(pem)


@example(at=LEAF.der.index(b"gpu1") - 2, value=13)  # a name of a kind that there is not
@given(at=st.integers(0, len(LEAF.der) - 1), value=st.integers(0, 255))
def test_a_changed_byte_is_never_issued_by_the_authority(at: int, value: int) -> None:
    changed = bytearray(LEAF.der)
    changed[at] = value
    shown = ShownCertificate.of([bytes(changed)])
    assert is_issued_by(shown, [CA.certificate]) == (bytes(changed) == LEAF.der)
