"""What somebody logs in with at a registry."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """A user's name and password, or an identity token; never in a representation.

    An identity token is what docker's configuration calls so: an OAuth 2 refresh token
    (distribution spec, 'OAuth2 token authentication').
    """

    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)
