"""Running Node."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
OLDEST = 20
CHROMIUMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def node_version() -> int:
    """The first number of the version of Node that is installed; 0 without one."""
    if shutil.which("node") is None:
        return 0
    told = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout
    return int(told.removeprefix("v").partition(".")[0])


def chromium() -> str | None:
    """The command of a Chromium that is installed; none is ever downloaded."""
    return next((found for name in CHROMIUMS if (found := shutil.which(name)) is not None), None)


def evaluate(jobs: list[dict[str, Any]]) -> dict[str, Any]:
    """Results of ``evaluate.mjs``."""
    return _run([str(FOLDER / "evaluate.mjs")], jobs)


def fill_in(browser: str, jobs: list[dict[str, Any]]) -> dict[str, Any]:
    """Results of ``browser.mjs``."""
    return _run([str(FOLDER / "browser.mjs"), browser], jobs)


def _run(arguments: list[str], jobs: list[dict[str, Any]]) -> dict[str, Any]:
    done = subprocess.run(["node", *arguments], input=json.dumps(jobs), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found
