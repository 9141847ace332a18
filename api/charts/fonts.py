"""Fonts for what is drawn: what Liberation Sans, which vl-convert brings, has no letters for.

Fonts come with two packages of data. Chinese, Japanese and Korean letters are taken out of theirs one picture's at a
time, as outlines that every renderer reads: in the package they are of a newer kind, in all weights.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any, Final

import manimgx_fonts
import manimgx_fonts_cjk
import vl_convert
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.cu2quPen import Cu2QuPen
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont

_COMPANIONS: Final = Path(manimgx_fonts.__file__).parent
_CJK: Final = Path(manimgx_fonts_cjk.__file__).parent / "NotoSansCJK-VF.otf.ttc"
_JAPANESE, _KOREAN, _CHINESE = 0, 1, 2
_LATIN_GREEK_CYRILLIC: Final = 0x0530
_PUNCTUATION: Final = range(0x1E00, 0x2E80)
"""Letters with accents, signs and arrows: those that the pictures themselves use are in Liberation Sans."""
_EAST_ASIAN: Final = 0x2E80


def register(text: str) -> None:
    """See to it that the letters of a text can be drawn, from now on, in this process."""
    further = {ord(char) for char in text if ord(char) >= _LATIN_GREEK_CYRILLIC and ord(char) not in _PUNCTUATION}
    if further:
        _companions()
    if east_asian := frozenset(code for code in further if code >= _EAST_ASIAN) - _known:
        _known.update(east_asian)
        _draw_east_asian(set(east_asian))


_known: set[int] = set()


@cache
def _companions() -> None:
    vl_convert.register_font_directory(str(_COMPANIONS))


def _draw_east_asian(wanted: set[int]) -> None:
    number = _CHINESE
    if any(0x3040 <= code <= 0x30FF for code in wanted):
        number = _JAPANESE
    elif any(0xAC00 <= code <= 0xD7AF or 0x1100 <= code <= 0x11FF for code in wanted):
        number = _KOREAN
    with TTFont(_CJK, fontNumber=number, lazy=True) as font:
        has = wanted & font.getBestCmap().keys()
        if not has:
            return
        subsetter = Subsetter(Options(notdef_outline=True))
        subsetter.populate(unicodes=has)
        subsetter.subset(font)
        made = _outlines(font, has)
    folder = tempfile.mkdtemp(prefix="fathomline-letters-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    made.save(Path(folder) / "east-asian.ttf")
    vl_convert.register_font_directory(folder)


def _outlines(font: TTFont, codes: set[int]) -> Any:
    glyphs, order = font.getGlyphSet(location={"wght": 400}), font.getGlyphOrder()
    drawn = {}
    for name in order:
        pen = TTGlyphPen(None)
        glyphs[name].draw(Cu2QuPen(pen, 1.0, reverse_direction=True))
        drawn[name] = pen.glyph()
    made = FontBuilder(font["head"].unitsPerEm, isTTF=True)
    made.setupGlyphOrder(order)
    made.setupCharacterMap({code: name for code, name in font.getBestCmap().items() if code in codes})
    made.setupGlyf(drawn)
    made.setupHorizontalMetrics({name: (round(glyphs[name].width), getattr(drawn[name], "xMin", 0)) for name in order})
    made.setupHorizontalHeader(ascent=font["hhea"].ascent, descent=font["hhea"].descent)
    family = f"Letters {min(codes):x} {len(codes)}"
    made.setupNameTable(
        {"familyName": family, "styleName": "Regular", "fullName": family, "psName": family.replace(" ", "-")}
    )
    made.setupOS2(usWeightClass=400, usWidthClass=5)
    made.setupPost()
    return made
