"""Check that the documentation mentions what there is: every setting, problem type and command, and no other."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

import api.app  # noqa: F401  - brings in every feature, and with it every problem type
from api.cli import application
from api.problems import Problem, catalogue
from api.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
PREFIX = "FATHOMLINE_"


def settings_faults(page: str, fields: set[str]) -> Iterator[str]:
    """Settings without a line in the page, and lines of settings that are gone."""
    known = {PREFIX + field.upper() for field in fields}
    mentioned = set(re.findall(rf"\b{PREFIX}[A-Z0-9_]+\b", page))
    described = {name for name in mentioned if re.search(rf"(?m)^.*`{name}`.*\S", page)}
    for name in sorted(known - described):
        yield f"docs/settings.md does not describe `{name}`"
    for name in sorted(mentioned - known):
        yield f"docs/settings.md mentions {name}, which is not a setting"


def problem_faults(folder: Path, kinds: dict[str, type[Problem]]) -> Iterator[str]:
    """Problem types without a page, pages of types that are gone, pages that state another title or status."""
    pages = {path.stem: path for path in folder.glob("*.md")}
    for slug in sorted(kinds.keys() - pages.keys()):
        yield f"docs/problems/{slug}.md is missing"
    for slug in sorted(pages.keys() - kinds.keys()):
        yield f"docs/problems/{slug}.md describes a problem that does not exist"
    for slug in sorted(kinds.keys() & pages.keys()):
        text, kind = pages[slug].read_text(encoding="utf-8"), kinds[slug]
        for needed in (f"# {kind.title}\n", f"- Status: {kind.status}\n", "\n## What it means\n", "\n## What to do\n"):
            if needed not in text:
                yield f"docs/problems/{slug}.md lacks the line {needed.strip()!r}"


def command_names(command: Any, before: str = "fathomline") -> Iterator[str]:
    """Every command that does something, with its whole name."""
    inner = getattr(command, "commands", None)  # a group; typer exports no class to compare with
    if inner is None:
        yield before
        return
    for name, part in inner.items():
        if not part.hidden:
            yield from command_names(part, f"{before} {name}")


def command_faults(pages: str, names: set[str]) -> Iterator[str]:
    """Commands that no page names."""
    for name in sorted(names):
        if not re.search(rf"{re.escape(name)}\b", pages):
            yield f"docs/cli.md does not mention `{name}`"


def _text(*paths: str) -> str:
    return "\n".join((ROOT / path).read_text(encoding="utf-8") for path in paths if (ROOT / path).exists())


def main() -> int:
    """Exit status: 0 if all is documented, 1 otherwise."""
    faults = [
        *settings_faults(_text("docs/settings.md"), set(Settings.model_fields)),
        *problem_faults(ROOT / "docs" / "problems", catalogue()),
        *command_faults(_text("README.md", "docs/cli.md"), set(command_names(typer.main.get_command(application())))),
    ]
    for fault in faults:
        print(fault)
    print(f"documentation: {len(faults)} faults" if faults else "documentation: everything is mentioned")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
