"""The pages for reading: machine types, an image's matrix, decisions, what was missing."""

import asyncio
from collections.abc import Sequence

from metahub_addon.hub import ImageProblem
from metahub_addon.hub_login_check import LoginRefused
from metahub_addon.recent import Made
from metahub_addon.web_matrix import Rows, lately, matrix_rows, verdict_rows
from metahub_addon.web_page import Page
from metahub_addon.web_views import Given, given, type_rows

_MAX_IMAGE = 512
_MAX_VERDICTS = 2000


class LoginPage(Page):
    """The way in."""

    needs_login = False

    def get(self) -> None:
        """The form."""
        if self.user:
            self.go("./")
        else:
            self.show("login.html", "Log in", name="")

    async def post(self) -> None:
        """A name and a password."""
        name = self.field("user")
        password = self.field("password", strip=False)
        try:
            account = await self.hub.log_in(name, password, self.peer.address)
        except LoginRefused as error:
            self.set_status(429 if error.seconds else 401)
            if error.seconds:
                self.set_header("Retry-After", str(max(1, round(error.seconds))))
            self.show("login.html", "Log in", name=name, problem=str(error))
        else:
            self.log_in(account)
            self.go("./")


class LogoutPage(Page):
    """The way out."""

    needs_login = False

    def get(self) -> None:
        """Nobody is logged out by a link."""
        self.go("./")

    def post(self) -> None:
        """Forget the session."""
        self.log_out()
        self.user = None
        self.tell("You are logged out.")
        self.go("login")


class TypesPage(Page):
    """What machine types there are, with their features, and what to log in as."""

    here = "./"

    def get(self) -> None:
        """The table."""
        self.show("types.html", "Machine types", rows=type_rows(self.hub.config, self.who))


class ImagePage(Page):
    """Which machine type gets what of an image, and which hardware an image needs."""

    here = "image"

    async def get(self) -> None:
        """The matrix of the image that was asked for."""
        image = self.asked("image")[:_MAX_IMAGE]
        if not image:
            self.show("image.html", "Image", matrix=None)
            return
        try:
            matrix = await self.hub.matrix(self.who, image)
        except ImageProblem as error:
            self.set_status(404)
            self.show("image.html", "Image", matrix=None, problem=str(error), searched=image)
        else:
            self.show(
                "image.html",
                "Image",
                matrix=matrix,
                given=[given(decision) for decision in matrix.decisions],
                rows=await asyncio.to_thread(matrix_rows, matrix.decisions),
                searched=image,
            )


class DecisionsPage(Page):
    """What was decided lately, with every verdict."""

    here = "decisions"

    async def get(self) -> None:
        """The newest first."""
        made = lately(self.hub.decisions(self.who), _MAX_VERDICTS)
        self.show("decisions.html", "Decisions", made=await asyncio.to_thread(_folded, made))


def _folded(made: Sequence[Made]) -> Sequence[tuple[Made, Given, Rows]]:
    return [(one, given(one.decision), verdict_rows(one.decision)) for one in made]


class MissingPage(Page):
    """What was asked for and not there."""

    here = "missing"

    def get(self) -> None:
        """The last seen first."""
        self.show("missing.html", "Missing", gaps=self.hub.gaps(self.who))


PAGES = (
    ("/", TypesPage),
    ("/login", LoginPage),
    ("/logout", LogoutPage),
    ("/image", ImagePage),
    ("/decisions", DecisionsPage),
    ("/missing", MissingPage),
)
