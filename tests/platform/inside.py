"""Commands inside the test's process, with the environment of one of their own."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Collection, Mapping
from pathlib import Path

import pytest

from tests.cli.command import CommandLine, Outcome
from tests.conftest import MASTER_KEY
from tests.platform.embedding import ROOT


def environment(data: Path, **more: str) -> dict[str, str]:
    """Nothing of this process's own settings."""
    kept = {name: value for name, value in os.environ.items() if not re.match("FATHOMLINE_|DATABASE_", name)}
    return kept | {"FATHOMLINE_DATA": str(data), "FATHOMLINE_MASTER_KEY": MASTER_KEY} | more


class Inside:
    """Commands inside this process, as `main` runs them: a process of its own takes seconds to import the service."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch, self._capsys = monkeypatch, capsys

    def __call__(self, data: Path, *arguments: str, without: Collection[str] = (), **more: str) -> Outcome:
        given = {name: value for name, value in environment(data, **more).items() if name not in without}
        return self.under(given, ROOT, *arguments)

    async def beside(self, given: Mapping[str, str], folder: Path, *arguments: str) -> Outcome:
        """The same from a test that has an event loop: the command has one of its own."""
        return await asyncio.to_thread(self.under, given, folder, *arguments)

    def under(self, given: Mapping[str, str], folder: Path, *arguments: str) -> Outcome:
        """With this environment and in this folder."""
        with self._monkeypatch.context() as patch:
            for name in os.environ.keys() - given.keys():
                patch.delenv(name)
            for name, value in given.items():
                patch.setenv(name, value)
            patch.chdir(folder)
            return CommandLine(patch, self._capsys)(*arguments)
