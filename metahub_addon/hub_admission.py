"""Whether a client of a hub may do what it asks for, and as which machine type."""

from dataclasses import dataclass

from metahub_addon.access import may_pull, may_push
from metahub_addon.answer import Answer
from metahub_addon.client_certificates import ShownCertificate
from metahub_addon.hub import Hub, Shown
from metahub_addon.hub_config import Account
from metahub_addon.hub_login_check import LoginRefused
from metahub_addon.hub_request import basic_login
from metahub_addon.hub_routes import Action, Route
from metahub_addon.machine import MachineType
from metahub_addon.oci_error import oci_error
from metahub_addon.type_selection import Login, NotSelected

# Basic: every runtime knows it, and sends it with each request, so that a hub needs to
# remember nothing (distribution spec; RFC 7617).
_CHALLENGE = {"WWW-Authenticate": 'Basic realm="MetaHub", charset="UTF-8"'}


class Refused(Exception):
    """A request that gets an answer of its own instead of what it asks for."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """Who asks: its account and machine type; None: none is told, and `why`."""

    account: Account
    machine: MachineType | None
    why: str = ""


async def admit(
    hub: Hub,
    authorization: str,
    address: str,
    certificate: ShownCertificate | None,
    head: bool = False,
) -> Client:
    """Judge a client by its Authorization header, its address and its certificate.

    Raises Refused: 401 without a (right) login, 403 for a machine type that its account
    is not, 429 for one that guesses.
    """
    login = await _check(hub, authorization, address, head) if authorization else None
    shown = Shown(address=address, login=login, certificate=certificate)
    try:
        selected = hub.select(shown)
    except NotSelected as error:
        if error.needs_login:
            raise Refused(_unauthorized(str(error), head)) from error
        if login is None or login.unknown:
            raise Refused(oci_error(403, "DENIED", str(error), head)) from error
        return Client(account=login.account, machine=None, why=str(error))
    return Client(account=selected.account, machine=selected.machine)


def authorise(client: Client, route: Route, head: bool = False) -> None:
    """Raise Refused if a client's account may not do what a request asks for."""
    account = client.account
    allows = may_pull if route.action is Action.PULL else may_push
    if not allows(account, route.name):
        what = f"{account.user} may not {route.action.value} {route.name}"
        if route.action is Action.PUSH and not account.push:
            what += ": this hub takes no pushes from it"
        raise Refused(oci_error(403, "DENIED", what, head))


async def _check(hub: Hub, authorization: str, address: str, head: bool) -> Login:
    basic = basic_login(authorization)
    if basic is None:
        raise Refused(_unauthorized("a login by user and password (Basic) is wanted", head))
    try:
        return await hub.check(basic.user, basic.password, address)
    except LoginRefused as error:
        if error.seconds <= 0:
            raise Refused(_unauthorized(str(error), head)) from error
        wait = {"Retry-After": str(int(error.seconds) + 1)}
        raise Refused(oci_error(429, "TOOMANYREQUESTS", str(error), head, wait)) from error


def _unauthorized(message: str, head: bool) -> Answer:
    return oci_error(401, "UNAUTHORIZED", message, head, _CHALLENGE)
