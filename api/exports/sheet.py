"""Pages for people: headings, paragraphs and tables in one plain style, with numbered pages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

from fpdf import FPDF, FontFace
from fpdf.enums import TableBordersLayout, WrapMode, XPos, YPos

from api.exports import fonts

MARGIN: Final = 20.0
"""Millimetres."""
_NUMBERS: Final = 24.0
"""Millimetres for the number of the page."""
_TEXT, _SMALL, _LINE = 10.0, 8.5, 5.0
_INK, _GREY, _ACCENT, _RULE, _SHADE = (33, 37, 41), (95, 103, 112), (20, 83, 97), (205, 211, 216), (241, 245, 246)
MONTHS: Final = (
    "January", "February", "March", "April", "May", "June", "July",
    "August", "September", "October", "November", "December",
)  # fmt: skip


def day(value: str | date) -> str:
    """A day in words.

    >>> day("2026-03-01")
    '1 March 2026'
    """
    found = date.fromisoformat(value) if isinstance(value, str) else value
    return f"{found.day} {MONTHS[found.month - 1]} {found.year}"


def moment(value: str) -> str:
    """A time in words.

    >>> moment("2026-03-01T09:05:00.000000Z")
    '1 March 2026, 09:05 UTC'
    """
    found = datetime.fromisoformat(value).astimezone(UTC)
    return f"{day(found.date())}, {found:%H:%M} UTC"


class Sheet(FPDF):
    """A document on A4. ``texts`` are what will be written on it, for the choice of fonts: see there for ``folder``."""

    def __init__(self, title: str, foot: str, texts: Iterable[str], folder: Path) -> None:
        super().__init__(format="A4")
        self._foot = foot
        self.set_title(title)
        self.set_lang("en")
        self.set_creator("Fathomline")
        self.set_margins(MARGIN, MARGIN)
        self.set_auto_page_break(auto=True, margin=MARGIN + 4)
        self.alias_nb_pages("{pages}")
        fonts.add(self, [title, foot, *texts], folder)
        self.add_page()

    def footer(self) -> None:
        """Called by the library at the end of each page."""
        self.set_y(-MARGIN + 4)
        self._font(_SMALL, colour=_GREY)
        self.cell(self.epw - _NUMBERS, 5, self._foot)
        self.cell(_NUMBERS, 5, f"Page {self.page_no()} of {{pages}}")  # to the left: how many there are comes last

    def _font(self, size: float = _TEXT, *, bold: bool = False, colour: tuple[int, int, int] = _INK) -> None:
        self.set_font(fonts.FAMILY, "B" if bold else "", size)
        self.set_text_color(*colour)

    def _write(self, text: str, line: float = _LINE) -> None:
        self.multi_cell(0, line, text, align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT)

    def _room(self, needed: float) -> None:
        """Begin a new page where less than so many millimetres are left."""
        if self.get_y() + needed > self.page_break_trigger:
            self.add_page()

    def title_line(self, text: str, under: str) -> None:
        """The head of the first page."""
        self._font(22, bold=True, colour=_ACCENT)
        self._write(text, 10)
        self._font(_TEXT, colour=_GREY)
        self._write(under)
        self.ln(3)

    def chapter(self, text: str, intro: str | None = None) -> None:
        """A heading with a line under it, and what the part is about."""
        self._room(38)
        self.ln(5)
        self.start_section(text)
        self._font(15, bold=True, colour=_ACCENT)
        self._write(text, 8)
        self.set_draw_color(*_ACCENT)
        self.set_line_width(0.4)
        self.line(self.l_margin, self.get_y(), self.l_margin + self.epw, self.get_y())
        self.ln(2.5)
        if intro is not None:
            self.note(intro)

    def part(self, text: str, under: str | None = None) -> None:
        """A heading within a chapter."""
        self._room(30)
        self.ln(2.5)
        self._font(11.5, bold=True)
        self._write(text, 6)
        if under is not None:
            self.note(under)

    def paragraph(self, text: str) -> None:
        """Text."""
        self._font()
        self._write(text)
        self.ln(1)

    def note(self, text: str) -> None:
        """Text in grey."""
        self._font(_TEXT - 0.5, colour=_GREY)
        self._write(text, 4.7)
        self.ln(1)

    def facts(self, rows: Iterable[tuple[str, str | None]]) -> None:
        """What is known, each with its name before it; what is not known is left out."""
        known = [(name, value) for name, value in rows if value]
        if known:
            self.rows(None, known, widths=(32, 68))

    def rows(
        self, heads: Sequence[str] | None, rows: Iterable[Sequence[str]], *, widths: Sequence[int], small: bool = False
    ) -> None:
        """A table; its heads are repeated on each page. ``widths`` are shares."""
        self._font(_SMALL if small else _TEXT - 0.5)
        self.set_draw_color(*_RULE)
        self.set_line_width(0.2)
        with self.table(
            width=self.epw,
            col_widths=tuple(widths),
            align="L",
            text_align="LEFT",
            borders_layout=TableBordersLayout.HORIZONTAL_LINES,
            first_row_as_headings=heads is not None,
            headings_style=FontFace(emphasis="B", color=_GREY, fill_color=_SHADE),
            line_height=4.4 if small else 4.8,
            padding=(0.9, 1.2, 0.9, 1.2),
            wrapmode=WrapMode.WORD,
        ) as table:
            if heads is not None:
                table.row(heads)
            for row in rows:
                made = table.row()
                for number, cell in enumerate(row):
                    grey = FontFace(color=_GREY) if heads is None and number == 0 else None
                    made.cell(cell, style=grey)
        self.ln(2)
