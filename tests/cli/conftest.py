"""Fixtures of the command line's tests."""

from __future__ import annotations

import pytest

from tests.cli.command import CommandLine


@pytest.fixture
def fathomline(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    """Run `fathomline` with some arguments."""
    return CommandLine(monkeypatch, capsys)
