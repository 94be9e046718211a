"""Answers that refuse something, as registries give them (distribution spec, 'Error Codes')."""

import json
from collections.abc import Mapping

from metahub_addon.answer import Answer

JSON_TYPE = "application/json; charset=utf-8"


def oci_error(
    status: int,
    code: str,
    message: str,
    head: bool = False,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """An answer with one error, without a body for a HEAD. Runtimes print the message."""
    error = {"code": code, "message": message, "detail": None}
    body = json.dumps({"errors": [error]}).encode()
    own = {"Content-Type": JSON_TYPE, "Content-Length": str(len(body))}
    return Answer(status=status, headers={**own, **(headers or {})}, body=b"" if head else body)
