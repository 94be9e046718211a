"""The one thing that we need to know of an image's own manifest: its configuration."""

import json

from metahub_addon.digest import is_digest


def config_digest(body: bytes) -> str:
    """The digest of the configuration that a manifest names; empty: none.

    A runtime that fails to get the small configuration gives the pull up, where it tries
    again for layers (dockerd): so the configuration takes no way but the safest.
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    config = document.get("config") if isinstance(document, dict) else None
    digest = config.get("digest") if isinstance(config, dict) else None
    return digest if isinstance(digest, str) and is_digest(digest) else ""
