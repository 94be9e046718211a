"""A decision → the headers and body that a client gets instead of upstream's."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from metahub_addon.index import Child
from metahub_addon.machine import MachineType
from metahub_addon.upstream import Document

_JSON = "application/json; charset=utf-8"
# What upstream said of the index and would be wrong of the child.
_OF_THE_INDEX = (
    *("Content-Encoding", "Transfer-Encoding", "Last-Modified", "Content-MD5", "Digest"),
    *("Content-Digest", "Repr-Digest", "Content-Range", "Content-Disposition"),
    *("Content-Location", "Accept-Ranges", "ETag", "Docker-Content-Digest", "Link"),
)
_CHECKSUMS = "x-checksum-"
_MAX_HEADER = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A whole answer. `body` is empty for HEAD, `headers` has the length all the same."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


def outdated(header: str) -> bool:
    """True for a header of upstream's answer that speaks of the index alone."""
    folded = header.lower()
    return folded.startswith(_CHECKSUMS) or folded in {name.lower() for name in _OF_THE_INDEX}


def child_answer(
    child: Child, machine: MachineType, index_digest: str, body: bytes, if_none_match: str = ""
) -> Answer:
    """The child's manifest with its own headers; an empty body answers a HEAD.

    304 without a body if the client's If-None-Match names the child (RFC 9110, 13.1.2).
    """
    headers = {
        "X-Metahub-Machine-Type": machine.name,
        "X-Metahub-Index": index_digest,
        "X-Metahub-Features": _header(",".join(map(str, child.requires))),
    }
    return _named_by(child.digest, child.media_type, child.size, headers, body, if_none_match)


def manifest_answer(document: Document, is_head: bool, if_none_match: str = "") -> Answer:
    """A manifest or index as it is; an empty body answers a HEAD. 304 as for a child."""
    body = b"" if is_head else document.body
    size = len(document.body)
    return _named_by(document.digest, document.media_type, size, {}, body, if_none_match)


def _named_by(
    digest: str,
    media_type: str,
    size: int,
    headers: Mapping[str, str],
    body: bytes,
    if_none_match: str,
) -> Answer:
    etag = f'"{digest}"'
    named = {"Docker-Content-Digest": digest, "ETag": etag, **headers}
    tags = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    if etag in tags or "*" in tags:
        return Answer(status=304, headers=named, body=b"")
    named |= {"Content-Type": media_type, "Content-Length": str(size)}
    return Answer(status=200, headers=named, body=body)


def error_answer(machine: MachineType, index_digest: str, reason: str, head: bool) -> Answer:
    """404 with an OCI error body (distribution spec, 'Error Codes'); runtimes print it."""
    error = {"code": "MANIFEST_UNKNOWN", "message": reason, "detail": {"machine": machine.name}}
    body = json.dumps({"errors": [error]}).encode()
    headers = {
        "Content-Type": _JSON,
        "Content-Length": str(len(body)),
        "X-Metahub-Machine-Type": machine.name,
        "X-Metahub-Index": index_digest,
    }
    return Answer(status=404, headers=headers, body=b"" if head else body)


def layer_at(location: str, digest: str) -> Answer:
    """307: the layer is at another port of the same host (RFC 9110, 15.4.8)."""
    headers = {"Location": location, "Docker-Content-Digest": digest, "Content-Length": "0"}
    return Answer(status=307, headers=headers, body=b"")


def layer_not_here(digest: str) -> Answer:
    """404, whereupon a mirror's client asks the registry itself."""
    message = "layers come from the registry, not from this mirror"
    error = {"code": "BLOB_UNKNOWN", "message": message, "detail": {"digest": digest}}
    body = json.dumps({"errors": [error]}).encode()
    headers = {"Content-Type": _JSON, "Content-Length": str(len(body))}
    return Answer(status=404, headers=headers, body=body)


def _header(text: str) -> str:
    return text.encode("ascii", "backslashreplace").decode()[:_MAX_HEADER]
