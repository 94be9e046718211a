"""Client certificates: what one is called, whether it is valid, and who has issued it."""

import datetime
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from OpenSSL.crypto import (
    X509,
    Error,
    X509Store,
    X509StoreContext,
    X509StoreContextError,
    X509StoreFlags,
)

# OpenSSL takes 100 in a handshake by default, real chains have three.
_MAX_CHAIN = 16
# cryptography reads more strictly than OpenSSL, and not all that it raises is a ValueError:
# a KeyError or TypeError is a kind of string that a name, or an entry of it, can't have.
_MALFORMED = (
    *(ValueError, KeyError, TypeError, x509.InvalidVersion, x509.DuplicateExtension),
    x509.UnsupportedGeneralNameType,
)
_CLIENT = frozenset({ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE})


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownCertificate:
    """A certificate whose key the client has proven to hold.

    `fingerprint` is its SHA-256 in lower-case hex, `common_name` the subject's (empty:
    none, or several), `chain` the certificates that the client sent as DER, its own first.
    """

    fingerprint: str
    common_name: str
    chain: tuple[bytes, ...] = field(repr=False)

    @classmethod
    def of(cls, chain: Sequence[bytes]) -> "ShownCertificate":
        """Read what a client sent as DER, its own certificate first; at least that one."""
        fingerprint = hashlib.sha256(chain[0]).hexdigest()
        return cls(
            fingerprint=fingerprint,
            common_name=_common_name(chain[0]),
            chain=tuple(chain[:_MAX_CHAIN]),
        )


def is_current(shown: ShownCertificate) -> bool:
    """True if the certificate is valid by its dates, now; False also where they can't be read."""
    try:
        own = x509.load_der_x509_certificate(shown.chain[0])
        begin, end = own.not_valid_before_utc, own.not_valid_after_utc
    except _MALFORMED:
        return False
    return begin <= datetime.datetime.now(datetime.UTC) <= end


def read_authorities(pem: bytes) -> Sequence[x509.Certificate]:
    """The certificates in a file of them; raises ValueError if it holds none."""
    try:
        return tuple(x509.load_pem_x509_certificates(pem))
    except _MALFORMED as error:
        raise ValueError("holds no certificates (PEM)") from error


def is_issued_by(shown: ShownCertificate, authorities: Sequence[x509.Certificate]) -> bool:
    """True if a path leads from the certificate to one of the authorities, now.

    Signatures, dates and who may issue are judged (RFC 5280, 6.1), and that the certificate
    and those between may be clients' where they say what they may be (4.2.1.12). An
    intermediate authority counts as the end of the path. Revocation is not looked at.
    """
    try:
        own, *others = (x509.load_der_x509_certificate(der) for der in shown.chain)
        # One at a time: of two that bear one name, an old and a new one, OpenSSL takes one.
        return any(_leads_to(authority, own, others) for authority in authorities)
    except _MALFORMED:
        return False


def _leads_to(
    authority: x509.Certificate, own: x509.Certificate, others: Sequence[x509.Certificate]
) -> bool:
    store = X509Store()
    store.set_flags(X509StoreFlags.PARTIAL_CHAIN)
    try:
        store.add_cert(X509.from_cryptography(authority))
        untrusted = [X509.from_cryptography(other) for other in others]
        context = X509StoreContext(store, X509.from_cryptography(own), untrusted)
        *path, _ = [found.to_cryptography() for found in context.get_verified_chain()]
    except (Error, X509StoreContextError):
        return False
    return all(map(_may_be_client, path or [own]))


def _may_be_client(certificate: x509.Certificate) -> bool:
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    except x509.ExtensionNotFound:
        return True
    return not _CLIENT.isdisjoint(usage.value)


def _common_name(der: bytes) -> str:
    try:
        subject = x509.load_der_x509_certificate(der).subject
        names = subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    except _MALFORMED:  # TLS took it, but it is malformed: its fingerprint may still count
        return ""
    return str(names[0].value) if len(names) == 1 else ""
