"""Running the command line inside the test's process, as `main` does for the script."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import pytest

from api.cli import main


@dataclass(frozen=True)
class Outcome:
    """What a run said, and its exit status."""

    status: int
    out: str
    err: str


@dataclass(frozen=True)
class CommandLine:
    """Runs `fathomline` with some arguments."""

    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]

    def __call__(self, *arguments: object) -> Outcome:
        self.monkeypatch.setattr(sys, "argv", ["fathomline", *map(str, arguments)])
        self.capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        said = self.capsys.readouterr()
        code = ended.value.code
        assert code is None or isinstance(code, int)
        return Outcome(code or 0, said.out, said.err)
