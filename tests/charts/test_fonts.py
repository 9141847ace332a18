"""Letters beyond Latin: in pixels and on pages they are drawn, and are no empty boxes."""

from __future__ import annotations

import io
import subprocess
import sys
from typing import Any

import pypdfium2
import pytest
from PIL import Image

from api.charts.draw import pdf, png

SCRIPTS = {
    "japanese": "日本語",
    "chinese": "中文量表",
    "korean": "한국어",
    "arabic": "العربية",
    "hindi": "हिन्दी",
    "thai": "ภาษาไทย",
    "hebrew": "עברית",
    "greek": "Ελληνικά",
    "cyrillic": "Русский",
    "latin": "Ährenfüße żółć",
}


def spec(text: str) -> dict[str, Any]:
    return {
        "title": {"text": [""]},
        "description": "invented",
        "width": 200,
        "height": 60,
        "data": {"values": [{"text": text}]},
        "mark": {"type": "text", "fontSize": 24, "color": "#000000"},
        "encoding": {"text": {"field": "text"}},
        "config": {"font": "Liberation Sans", "view": {"stroke": None}, "axis": {"disable": True}},
    }


def ink(data: bytes) -> bytes:
    """What is black in a picture."""
    return Image.open(io.BytesIO(data)).convert("L").point(lambda grey: 255 if grey < 128 else 0).tobytes()


@pytest.mark.parametrize("script", SCRIPTS)
def test_letters_differ(script: str) -> None:
    """Empty boxes are all alike: a text of as many other letters of the script would look the same."""
    text = SCRIPTS[script]
    assert len(set(text)) > 1
    drawn = ink(png(spec(text)))
    assert any(drawn)
    assert drawn != ink(png(spec(text[0] * len(text))))


@pytest.mark.parametrize("script", ["japanese", "arabic", "latin"])
def test_on_a_page(script: str) -> None:
    with pypdfium2.PdfDocument(pdf(spec(SCRIPTS[script]))) as document:
        page = document[0].render(scale=2).to_pil().convert("L")
        assert page.getextrema()[0] < 100
        said = document[0].get_textpage().get_text_bounded()
    if script != "arabic":  # whose letters take other forms on a page
        assert SCRIPTS[script] in said


def test_letters_of_a_second_text_are_found_too() -> None:
    """In a process that has drawn others of the script before."""
    code = (
        "import sys; from tests.charts.test_fonts import ink, png, spec; "
        "first = ink(png(spec('日本'))); second = ink(png(spec('漢字'))); third = ink(png(spec('漢漢'))); "
        "sys.exit(not (first != second != third))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
