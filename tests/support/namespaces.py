"""Play a script in throw-away namespaces, which end with everything that ran in them."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from support.missing import UNSHARE


def play(script: Path, folder: Path, seconds: int) -> dict[str, Any]:
    """Run `python SCRIPT FOLDER`; the results that it prints as JSON.

    Raises AssertionError with what it said if it fails or leaves something in the folder.
    """
    done = subprocess.run(
        [
            *("timeout", "--kill-after", "10", str(seconds)),
            *(*UNSHARE, sys.executable, str(script), str(folder)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-5000:]
    assert list(folder.iterdir()) == [], "the node left files behind"
    results: dict[str, Any] = json.loads(done.stdout)
    return results
