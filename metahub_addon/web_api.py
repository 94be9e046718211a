"""What the pages show, in JSON: an image's matrix, decisions, what was missing."""

import asyncio

from tornado.web import HTTPError

from metahub_addon.hub import ImageProblem
from metahub_addon.report import decision_json
from metahub_addon.web_api_handler import ApiHandler
from metahub_addon.web_handler import Refused
from metahub_addon.web_matrix import lately

# About 10 MB of JSON.
_MAX_VERDICTS = 20_000


class MatrixApi(ApiHandler):
    """What each machine type gets of an image."""

    async def get(self) -> None:
        """`?image=` as it is named at the hub."""
        image = self.get_query_argument("image", "") or ""
        if not image:
            raise Refused(400, "image: is missing")
        try:
            matrix = await self.hub.matrix(self.user, image)
        except ImageProblem as error:
            raise Refused(404, str(error)) from None
        if sum(len(one.verdicts) for one in matrix.decisions) > _MAX_VERDICTS:
            raise Refused(400, f"{image}: has too many images to be listed for all machine types")
        decisions = await asyncio.to_thread(lambda: [*map(decision_json, matrix.decisions)])
        self.say({"image": matrix.image, "digest": matrix.digest, "decisions": decisions})


class DecisionsApi(ApiHandler):
    """What was decided lately."""

    def get(self) -> None:
        """The newest first."""
        made = [
            {
                "when": one.when.isoformat(),
                "account": one.account or None,  # not told to who is no administrator
                "image": one.image,
                **decision_json(one.decision),
            }
            for one in lately(self.hub.decisions(self.user), _MAX_VERDICTS)
        ]
        self.say({"decisions": made})


class GapsApi(ApiHandler):
    """What was asked for and not there."""

    def get(self) -> None:
        """The last seen first."""
        gaps = [
            {
                "image": gap.image,
                "machine_type": gap.machine,
                "wanted": gap.wanted,
                "count": gap.count,
                "first": gap.first.isoformat(),
                "last": gap.last.isoformat(),
            }
            for gap in self.hub.gaps(self.user)
        ]
        self.say({"gaps": gaps})


class MissingApi(ApiHandler):
    """Whatever else is asked for below the API's path."""

    async def prepare(self) -> None:
        """Without a look at credentials."""
        raise HTTPError(404)


API = (
    (r"/api/matrix", MatrixApi),
    (r"/api/decisions", DecisionsApi),
    (r"/api/gaps", GapsApi),
    (r"/api(?:/.*)?", MissingApi),
)
