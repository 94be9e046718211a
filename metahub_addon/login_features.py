"""The machine type of a login that names features: `cpu#zen2/nvcap#8.0`."""

import re

from metahub_addon.features import Feature, InvalidFeature
from metahub_addon.machine import MachineType
from metahub_addon.microarchitectures import family, is_known
from metahub_addon.oci_platform import Platform

_MAX_FEATURES = 32
_SEPARATOR = re.compile(r"[/,]")


def machine_with(text: str, default: Platform) -> MachineType | None:
    """Read features whose key and value are told apart by `#` or `%23`; None: they are none.

    The platform is `default`, with the architecture of a CPU that is known. Names of users
    hold no colon (RFC 7617), which is why MetaHub writes `#`.
    """
    parts = _SEPARATOR.split(text.replace("%23", "#"))
    if len(parts) > _MAX_FEATURES or not text.isascii():  # it goes into a header
        return None
    try:
        read = [Feature.parse(part.replace("#", ":", 1)) for part in parts]
    except InvalidFeature:
        return None
    features = tuple(dict.fromkeys(read))
    return MachineType(
        name=",".join(map(str, features)),
        platform=_platform(features, default),
        features=features,
    )


def _platform(features: tuple[Feature, ...], default: Platform) -> Platform:
    cpus = [feature.value for feature in features if feature.key == "cpu"]
    if not cpus or not is_known(cpus[0]):
        return default
    told = Platform.normalised(default.os, family(cpus[0]))
    return default if told.architecture == default.architecture else told
