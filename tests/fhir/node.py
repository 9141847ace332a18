"""Running Node."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent


def evaluate(packages: Path, jobs: list[dict[str, Any]]) -> dict[str, Any]:
    """Results of ``evaluate.mjs``."""
    done = subprocess.run(
        ["node", str(FOLDER / "evaluate.mjs")], input=json.dumps(jobs), capture_output=True, text=True, cwd=packages
    )
    assert done.returncode == 0, done.stderr[-4000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found
