"""Write `openapi.json`, or with `--check` say whether it still is what the code serves."""

from __future__ import annotations

import argparse
import difflib
import json
import sys
from pathlib import Path

from api.app import create_app
from api.settings import Settings

TARGET = Path(__file__).resolve().parents[1] / "openapi.json"
MOST_LINES = 40


def document() -> str:
    """The document as it is written: sorted, indented, with a newline at its end; whatever the environment says."""
    settings = Settings.model_construct(**{name: field.default for name, field in Settings.model_fields.items()})
    return json.dumps(create_app(settings).openapi(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def main(arguments: list[str] | None = None, target: Path = TARGET) -> int:
    """Exit status: 0 written or unchanged, 1 changed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    check = parser.parse_args(arguments).check
    now = document()
    before = target.read_text(encoding="utf-8") if target.exists() else ""
    if not check:
        target.write_text(now, encoding="utf-8")
        print(f"{target.name}: {'unchanged' if now == before else 'written'}")
        return 0
    if now == before:
        print(f"{target.name}: up to date")
        return 0
    changes = list(difflib.unified_diff(before.splitlines(), now.splitlines(), "openapi.json", "the code", lineterm=""))
    print("\n".join(changes[:MOST_LINES]))
    if len(changes) > MOST_LINES:
        print(f"… and {len(changes) - MOST_LINES} lines more")
    print(f"{target.name} is not what the code serves: run make openapi")
    return 1


if __name__ == "__main__":
    sys.exit(main())
