"""The issuer of tokens that the locked registry wants; only the hub has a login there."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hub.hubs import HELPER_PASSWORD, HELPER_USER
from hub.place import Place
from support.token_server import TokenServer, issuing

# So long a token lives, by what the issuer says of it.
TOKEN_SECONDS = 2.0
# docker-registry takes a token for so long after its end.
_LEEWAY = 60.0


@contextmanager
def token_issuer(place: Place) -> Iterator[TokenServer]:
    """Issue tokens behind the tee `auth`."""
    issuer = TokenServer(
        users={HELPER_USER: HELPER_PASSWORD},
        grants={HELPER_USER: {"qnib/*": "pull", "qnib/pushed": "pull,push"}},
        service="locked",
        seconds=TOKEN_SECONDS,
    )
    tls = (str(place.certificate), str(place.key))
    with issuing(issuer, "192.0.2.5", 5443, tls):
        yield issuer


def registry_auth(place: Place, issuer: TokenServer) -> dict[str, Any]:
    """What docker-registry is to want."""
    bundle = place.folder / "issuer.pem"
    bundle.write_bytes(issuer.signer.certificate)
    return {
        "token": {
            "realm": "https://auth.test/token",
            "service": issuer.service,
            "issuer": issuer.issuer,
            "rootcertbundle": str(bundle),
        }
    }


def end_early(issuer: TokenServer) -> None:
    """From now on tokens end after TOKEN_SECONDS, and the issuer does not say that they do.

    Without `expires_in` a client takes them to live for a minute.
    """
    issuer.says_expiry = False
    issuer.skew = -_LEEWAY
