"""The pictures of the documentation are those that this release draws."""

from __future__ import annotations

import re

import pytest

from api.charts.examples import FOLDER, main, pictures

DRAWN = dict(pictures())


@pytest.mark.parametrize("name", DRAWN)
def test_up_to_date(name: str) -> None:
    kept = (FOLDER / f"{name}.svg").read_text(encoding="utf-8")
    assert kept == DRAWN[name] + "\n", "run python -m api.charts.examples"


def test_each_is_shown_and_none_is_left_over() -> None:
    pages = "".join((FOLDER.parent / name).read_text(encoding="utf-8") for name in ("progress.md", "charts.md"))
    shown = set(re.findall(r"\]\(pictures/([\w-]+)\.svg\)", pages))
    assert shown == set(DRAWN) <= {file.stem for file in FOLDER.glob("*.svg")}


def test_written(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("docs") / "pictures"
    monkeypatch.setattr("api.charts.examples.FOLDER", folder)
    main()
    assert {file.stem for file in folder.iterdir()} == set(DRAWN)
