"""Fonts for any script: Noto Sans, and of its companions those that a text needs.

Fonts come with two packages of data. What is made of them, a bold cut and the Chinese, Japanese and Korean glyphs of
one document, goes through a folder of this process that nobody else can read.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Final

import manimgx_fonts
import manimgx_fonts_cjk
from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont
from fontTools.varLib.instancer import instantiateVariableFont
from fpdf import FPDF

FAMILY: Final = "text"
_FOLDER: Final = Path(manimgx_fonts.__file__).parent
_PLAIN: Final = _FOLDER / "NotoSans[wght].ttf"
_CJK: Final = Path(manimgx_fonts_cjk.__file__).parent / "NotoSansCJK-VF.otf.ttc"
_JAPANESE, _KOREAN, _CHINESE = 0, 1, 2
"""Numbers of the fonts in that collection: one character has other forms in each."""
_REGULAR, _BOLD = 400, 700
_LEFT_OUT: Final = frozenset({_PLAIN.name, "NotoSans-Italic[wght].ttf"})


@cache
def _workshop() -> Path:
    folder = tempfile.mkdtemp(prefix="fathomline-fonts-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


@cache
def _bold() -> Path:
    """Made once a process: it takes two seconds."""
    path = _workshop() / "bold.ttf"
    font = TTFont(_PLAIN)
    instantiateVariableFont(font, {"wght": _BOLD}, inplace=True)
    font.save(path)
    return path


@cache
def _characters(path: Path, number: int = -1) -> frozenset[int]:
    with TTFont(path, fontNumber=number, lazy=True) as font:
        return frozenset(font.getBestCmap())


def _companions() -> list[Path]:
    return sorted(path for path in _FOLDER.glob("*.ttf") if path.name not in _LEFT_OUT)


def _east_asian(wanted: set[int], folder: Path) -> Path:
    """The characters as a font of their own: the whole collection has 60,000, in all weights."""
    number = _CHINESE
    if any(0x3040 <= one <= 0x30FF for one in wanted):
        number = _JAPANESE
    elif any(0xAC00 <= one <= 0xD7AF or 0x1100 <= one <= 0x11FF for one in wanted):
        number = _KOREAN
    font = TTFont(_CJK, fontNumber=number)
    subsetter = Subsetter(Options(notdef_outline=True))
    subsetter.populate(unicodes=wanted)
    subsetter.subset(font)
    instantiateVariableFont(font, {"wght": _REGULAR}, inplace=True)
    path = folder / "east-asian.otf"
    font.save(path)
    return path


def add(pdf: FPDF, texts: Iterable[str], folder: Path) -> None:
    """Give a document the fonts that these texts need. What no font has is shown as an empty box.

    ``folder`` is for files that are there until the document is written.
    """
    pdf.add_font(FAMILY, fname=_PLAIN)
    pdf.add_font(FAMILY, style="B", fname=_bold())
    wanted = {ord(char) for text in texts for char in text if char > " "} - _characters(_PLAIN)
    companions = []
    for path in _companions() if wanted else ():
        if wanted & _characters(path):
            wanted -= _characters(path)
            pdf.add_font(path.stem, fname=path)
            companions.append(path.stem)
    if east_asian := wanted & _characters(_CJK, _CHINESE):
        pdf.add_font("east-asian", fname=_east_asian(set(east_asian), folder))
        companions.append("east-asian")
    if companions:
        pdf.set_fallback_fonts(companions, exact_match=False)
        pdf.set_text_shaping(True)  # letters that join or change places; none of the scripts of Noto Sans itself
