"""What all of the JSON API has in common: Basic credentials, answers in JSON.

A 401 has no challenge on purpose: a browser would ask for a password, keep it, and send it
with every request that any page makes.
"""

import json

from metahub_addon.hub_config import Account
from metahub_addon.hub_login_check import LoginRefused
from metahub_addon.hub_request import basic_login
from metahub_addon.web_handler import Refused
from metahub_addon.web_hub_handler import HubHandler


class ApiHandler(HubHandler):
    """Answers in JSON; `user` is the account whose credentials were sent."""

    user: Account

    async def prepare(self) -> None:
        """Judge the credentials."""
        super().prepare()
        await self.hub.refresh()
        login = basic_login(self.request.headers.get("Authorization", ""))
        if login is None:
            raise Refused(401, "send Basic credentials")
        try:
            self.user = await self.hub.log_in(login.user, login.password, self.peer.address)
        except LoginRefused as error:
            raise Refused(429 if error.seconds else 401, str(error), error.seconds) from None

    def check_xsrf_cookie(self) -> None:
        """No cookie counts here: nothing is sent along that a script did not put there."""

    def show_error(self, status: int, text: str) -> None:
        """The same form for all errors."""
        self.say({"error": text})

    def say(self, document: object) -> None:
        """Answer with a document."""
        self.set_header("Content-Type", "application/json; charset=utf-8")
        self.finish(json.dumps(document))
