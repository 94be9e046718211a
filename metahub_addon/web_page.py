"""What the pages have in common: the login before them, the frame around them."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from tornado.web import HTTPError

from metahub_addon.hub_config import Account
from metahub_addon.web_handler import Refused
from metahub_addon.web_hub_handler import HubHandler
from metahub_addon.web_session import NOTICE_SECONDS
from metahub_addon.web_styles import style_version

PAGES_IN_ORDER: Mapping[str, str] = MappingProxyType(
    {
        "./": "Machine types",
        "image": "Image",
        "decisions": "Decisions",
        "missing": "Missing",
    }
)
_NOTICE = "metahub_notice"
_FORGED = "This form was not sent from this page, or is too old. Go back and send it again."


class Page(HubHandler):
    """A page of HTML. All links are relative: a proxy may put it below a path of its own."""

    here = ""
    needs_login = True
    needs_administrator = False
    user: Account | None = None

    async def prepare(self) -> None:
        """Find out who asks; who must log in first is sent there."""
        super().prepare()
        await self.hub.refresh()
        if self.request.method == "POST" and self.is_foreign():
            raise Refused(403, _FORGED)
        self.user = self.account()
        if self.needs_login and self.user is None:
            self.go("login")
        elif self.needs_administrator and not (self.user and self.user.administrator):
            raise Refused(403, "Only an administrator may change machine types.")

    @property
    def who(self) -> Account:
        """The account that is logged in; only pages that need a login ask."""
        assert self.user, "a page without a login asks who it is"
        return self.user

    def asked(self, name: str) -> str:
        """A value in the query; empty: it is not there."""
        return self.get_query_argument(name, "") or ""

    def field(self, name: str, strip: bool = True) -> str:
        """A value in the form that was sent; empty: it is not there."""
        return self.get_body_argument(name, "", strip=strip) or ""

    def check_xsrf_cookie(self) -> None:
        """As tornado does it, with words of ours."""
        try:
            super().check_xsrf_cookie()
        except HTTPError:
            raise Refused(403, _FORGED) from None

    def go(self, where: str) -> None:
        """Send the browser on with a GET; `where` is relative, whatever host was asked."""
        self.redirect(where, status=303)

    def tell(self, text: str) -> None:
        """Have the next page say it."""
        self.keep(_NOTICE, self.parts.sessions.notice(text), NOTICE_SECONDS)

    def show(self, template: str, title: str, **values: Any) -> None:
        """Render a page; everything in it is escaped."""
        notice = ""
        if cookie := self.get_cookie(_NOTICE):
            notice = self.parts.sessions.read_notice(cookie)
            self.clear_cookie(_NOTICE)
        self.render(
            template,
            **{
                "title": title,
                "user": self.user,
                "here": self.here,
                "pages": PAGES_IN_ORDER,
                "style": style_version(),
                "notice": notice,
                "problem": "",
                "searched": "",
                **values,
            },
        )

    def show_error(self, status: int, text: str) -> None:
        """As a page, if there is a hub; who is not logged in yet sees no menu."""
        if self.parts.hub() is None or status >= 500:
            super().show_error(status, text)
            return
        self.show("error.html", "Not possible", text=text)

    def set_cookie(self, name: str, value: str | bytes, *args: Any, **kwargs: Any) -> None:
        """None at all over a way that is refused."""
        if getattr(self, "peer", None) is not None and self.peer.private:
            super().set_cookie(name, value, *args, **kwargs)
