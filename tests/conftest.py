"""What all tests share: the support modules on the path, and no skipping in CI."""

import os
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# No test is timed, the machines are noisy. In CI the same examples each time, at home new
# ones with each run, and HYPOTHESIS_PROFILE=thorough for a long look.
untimed = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("home", untimed)
settings.register_profile("ci", untimed, derandomize=True)
settings.register_profile("thorough", untimed, max_examples=5000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if "CI" in os.environ else "home"))

sys.path.insert(0, str(Path(__file__).parent))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item):  # type: ignore[no-untyped-def]
    """With METAHUB_NO_SKIP=1 a test that would skip fails: in CI every part is there."""
    outcome = yield
    report = outcome.get_result()
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("METAHUB_NO_SKIP"):
        report.outcome = "failed"
        report.longrepr = f"may not skip here: {report.longrepr}"
