"""The files that a hub's file names, and whether they can be read."""

import os
from collections.abc import Iterator, Sequence

from metahub_addon.hub_config import HubConfig


def unreadable_files(config: HubConfig) -> Sequence[str]:
    """What is wrong with each that can't be read now, by the key that names it.

    None of it is needed until a client comes that it is for, who would be the first to
    know. The page's `secret_file` is left out: only who serves the page needs it.
    """
    faults = ((f"{key}: {path}", _fault(path)) for key, path in dict.fromkeys(_named(config)))
    return [f"{what}: cannot be read: {fault}" for what, fault in faults if fault]


def _named(config: HubConfig) -> Iterator[tuple[str, str]]:
    for certificate in config.certificates:
        if certificate.authority:
            yield "authority", certificate.authority
    for upstream in config.upstreams:
        if upstream.password_file:
            yield "password_file", upstream.password_file
        if upstream.docker_config:
            yield "docker_config", upstream.docker_config


def _fault(path: str) -> str:
    try:
        # A pipe that nobody writes to must not stop the hub.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            os.read(descriptor, 1)  # a folder can be opened
        finally:
            os.close(descriptor)
    except OSError as error:
        return error.strerror or type(error).__name__
    return ""
