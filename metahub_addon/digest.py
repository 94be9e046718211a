"""Content digests (OCI image spec, 'Digests')."""

import hashlib
import re

_HEX_LENGTHS = {"sha256": 64, "sha512": 128}
_DIGEST = re.compile(r"(sha256|sha512):([a-f0-9]+)")


def is_digest(text: str) -> bool:
    """True for a digest of a registered algorithm with all its lower-case hex digits."""
    found = _DIGEST.fullmatch(text)
    return found is not None and len(found[2]) == _HEX_LENGTHS[found[1]]


def digest_of(body: bytes, like: str = "sha256:") -> str:
    """The digest of a body, by the algorithm of the digest `like`."""
    algorithm = like.partition(":")[0]
    return f"{algorithm}:{hashlib.new(algorithm, body).hexdigest()}"
