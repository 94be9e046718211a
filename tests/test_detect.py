import platform

from metahub_addon.detect import detect, detect_platform
from metahub_addon.machine import parse_profile
from metahub_addon.oci_platform import Platform


def test_the_platform_is_this_hosts() -> None:
    assert detect_platform() == Platform.normalised("linux", platform.machine())


def test_what_is_detected_is_a_profile() -> None:
    found = detect()
    text = f"machine_type: {found.name}\nplatform: {found.platform}\nfeatures:\n"
    text += "".join(f"  - {feature}\n" for feature in found.features)
    assert parse_profile(text, "detected", detect_platform) == found
    assert [feature.key for feature in found.features] == ["cpu"]
