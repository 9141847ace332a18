"""The two pages: parts one below the other, each with as much as there is room for, and how much more there is."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from fpdf import FPDF, ViewerPreferences
from fpdf.enums import XPos, YPos

from api.charts.notes import basis, cutoff_known
from api.clients.codes import CODES
from api.exports import fonts
from api.report.gathering import Contents, Scale, joined
from scoring.phrases import Language
from scoring.progress_words import expectation, headline, unchecked, verdict
from scoring.reliable import Unavailable

PAGES: Final = 2
MARGIN: Final = 15.0
_BOTTOM: Final = 297.0 - 16.0
_PICTURE: Final = (52.0, 24.0)
"""Width and height of a scale's picture, in millimetres."""
_GAP: Final = 4.0
_TEXT, _NOTE, _SMALL, _LINE = 9.5, 9.0, 8.0, 4.4
_INK, _GREY, _RULE = (25, 28, 31), (82, 88, 95), (200, 205, 210)
_HEADING: Final = 2.5 + 5.6 + 1.5
"""Millimetres that a heading takes."""
_RECENT: Final = 8
"""Pieces of work that have been decided: older ones are in the record."""
_LONGEST: Final = 100
"""Characters of a text that somebody wrote; the rest of it is in the record."""
_TURNING: Final = dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A)])
"""Marks of direction that hold beyond the text that has them: 20 after one of them would be read as 02."""
_AFTER: Final = {"alerts": 175.0, "scales": 105.0, "goals": 78.0, "work": 56.0, "due": 34.0, "sources": 0.0}
"""Millimetres that are kept for the parts after each, so that none crowds out another."""


def written(contents: Contents, language: Language) -> bytes:
    """The PDF."""
    texts = list(_texts(contents, language))
    with tempfile.TemporaryDirectory(prefix="fathomline-report-") as folder:
        sheet = _Report(contents, language, texts, Path(folder))
        sheet.fill()
        return bytes(sheet.output())


def _texts(contents: Contents, language: Language) -> Iterator[str]:
    """All that may be printed, for the choice of fonts."""
    yield from language.phrases.values()
    yield from language.months
    yield from contents.names.values()
    for scale in contents.scales:
        yield from (scale.progress.instrument.name, scale.progress.figures.scale.name)
        cited = scale.progress.instrument.citation
        yield from (cited.authors, cited.journal)
    yield from _references(contents)
    yield from (goal.wording for _, goal in contents.goals)
    yield from (work.note or "" for work in contents.work)
    yield from (alert.meaning or "" for alert in contents.alerts)
    yield contents.external_id or ""


def _references(contents: Contents) -> list[str]:
    """What the references are made of by which courses were expected."""
    expected = [scale.expected for scale in contents.scales]
    return list(dict.fromkeys(_short(one["reference"]["source"]) for one in expected if one["available"]))


class _Report(FPDF):
    def __init__(self, contents: Contents, language: Language, texts: list[str], folder: Path) -> None:
        super().__init__(format="A4")
        self.contents, self.language = contents, language
        self._foot = language.say("report.foot", day=language.day(contents.day))
        self.set_title(language.say("report.title"))
        self.set_subject(self._foot)
        self.set_lang(language.tag)
        self.set_creator("Fathomline")
        self.viewer_preferences = ViewerPreferences(display_doc_title=True)
        self.set_margins(MARGIN, MARGIN)
        self.c_margin = 0.0  # text begins where rules and pictures do
        self.set_auto_page_break(auto=False)
        self.alias_nb_pages("{pages}")
        fonts.add(self, [*texts, self._foot], folder)
        self.add_page()

    def footer(self) -> None:
        """Called by the library at the end of each page."""
        self.set_y(-12)
        self._font(_SMALL, colour=_GREY)
        self.cell(self.epw - 30, 5, self._foot)
        page = self.language.say("report.page", page=self.page_no(), pages="{pages}")
        self.set_x(self.w - MARGIN - self.get_string_width(page.replace("{pages}", "2")))
        self.cell(0, 5, page)

    def fill(self) -> None:
        """All parts, in order of urgency."""
        self._head()
        self._alerts()
        self._scales()
        self._goals()
        self._work()
        self._due()
        self._sources()

    def _head(self) -> None:
        say, contents = self.language.say, self.contents
        self._font(18, bold=True)
        self._write(say("report.title"), 8)
        self._font(colour=_GREY)
        who = [say("report.as-of", day=self.language.day(contents.day)), say("report.client", id=contents.client_id)]
        if contents.external_id is not None:
            who.insert(1, say("report.external", id=contents.external_id))
        for line in who:
            self._write(line)
        if said := say("report.translation"):
            self._write(said)
        self.ln(1)

    def _alerts(self) -> None:
        contents = self.contents
        if not contents.alerts:
            return
        rows = []
        for alert, meaning in joined(contents.alerts):
            said = self.language.say(
                "report.alert",
                severity=alert.severity,
                meaning=meaning or self.language.say("report.alert-unknown"),
                instrument=contents.names.get(alert.instrument, alert.instrument),
                day=self.language.day(alert.raised_at),
            )
            rows.append(f"!  {said}")
        self._rows("alerts", rows, bold=True, further="+" if contents.more_alerts else "")

    def _scales(self) -> None:
        say, contents = self.language.say, self.contents
        if not contents.scales:
            self._only("report.scales", say("report.no-scales"))
        else:
            self._heading("report.scales", self._needed(contents.scales[0]))
        shown = 0
        for scale in contents.scales:
            if not self._scale(scale):
                break
            shown += 1
        if left := len(contents.scales) - shown + contents.more_scales:
            self._note(say("report.more", count=left))
        if contents.without_definition:
            self._note(say("report.no-definition", codes=", ".join(contents.without_definition)))

    def _told(self, scale: Scale) -> tuple[str, list[tuple[str, float, bool, tuple[int, int, int]]]]:
        """What the picture says, and all that stands beside it: text, size, whether bold, colour."""
        language, one = self.language, scale.progress
        said = " ".join(filter(None, [verdict(one, language), expectation(scale.expected, language)]))
        unsure = unchecked(one, language)
        remark = language.say("memory", what=unsure) if unsure else ""
        name = f"{one.instrument.name}: {one.figures.scale.name}"
        return said, [
            (f"{scale.concerns} · {name}" if scale.concerns else name, _SMALL, False, _GREY),
            (headline(one, language), 11.0, True, _INK),
            (said, _TEXT, False, _INK),
            (remark, _SMALL, False, _GREY),
        ]

    def _needed(self, scale: Scale) -> float:
        """Millimetres that a scale takes."""
        width, height = _PICTURE
        beside = self.epw - width - _GAP
        heights = (self._height(text, size, bold=bold, width=beside) for text, size, bold, _ in self._told(scale)[1])
        return max(height, sum(heights)) + 3

    def _scale(self, scale: Scale) -> bool:
        """The picture with what it says beside it; False where there is no room."""
        if not self._room(self._needed(scale), after="scales"):
            return False
        width, height = _PICTURE
        beside = self.epw - width - _GAP
        said, parts = self._told(scale)
        top = self.get_y()
        if scale.picture:
            self.image(io.BytesIO(scale.picture), MARGIN, top, width, height, keep_aspect_ratio=True, alt_text=said)
        for text, size, bold, colour in parts:
            if text:
                self.set_x(MARGIN + width + _GAP)
                self._font(size, bold=bold, colour=colour)
                self.multi_cell(beside, size * 0.46, text, align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT)
        self.set_y(max(self.get_y(), top + height) + 3)
        return True

    def _goals(self) -> None:
        say, contents, language = self.language.say, self.contents, self.language
        if not contents.goals:
            self._only("report.goals", say("report.no-goals"))
            return
        summary = ""
        attained = [point for point in contents.goal_progress.attainment if point.t is not None]
        if attained and attained[-1].t is not None and attained[-1].t_baseline is not None:
            change = attained[-1].change or 0.0
            way = "same" if change == 0 else "up" if change > 0 else "down"
            moved = say(f"goals.moved.{way}", points=language.points(abs(change)))
            t = language.number(attained[-1].t)
            summary = say("goals.summary.t", t=t, day=language.day(attained[-1].day), moved=moved)
        series = {one.goal_id: one for one in contents.goal_progress.goals}
        rows = []
        for number, goal in contents.goals:
            rated = series[goal.id]
            last = rated.ratings[-1].value if rated.ratings else None
            values = {"value": last, "baseline": goal.baseline}
            if last is None:
                where = say("report.goal-unrated")
            elif goal.kind == "levels":
                where = say("report.goal-level", **values)
            else:
                where = say("report.goal-target", target=goal.target, **values)
            reached = f", {say('report.goal-reached')}" if rated.reached else ""
            rows.append(f"{number}. {_short(goal.wording)}: {where}{reached}")
        self._rows("goals", rows, first=summary)

    def _work(self) -> None:
        say, contents, language = self.language.say, self.contents, self.language
        if not contents.work:
            self._only("report.work", say("report.no-work"))
            return
        total, rate = contents.adherence.total, ""
        if decided := total.set - total.open:
            rate = say("report.work-rate", decided=decided, done=total.done, partly=total.partly)
        kinds = {one.code: one.meaning for one in CODES.assignment_kind}
        rows = []
        for one in contents.work:
            completion = one.completion
            state, day = "due", one.due_on
            if completion is not None and completion.outcome is not None:
                state, day = completion.outcome, completion.completed_on or one.due_on
            note = f" ({_short(one.note)})" if one.note else ""
            rows.append(f"{kinds.get(one.kind, one.kind)}{note}: {say(f'report.work-{state}', day=language.day(day))}")
        opened = sum(one.completion is None for one in contents.work)
        self._rows("work", rows, first=rate, most=opened + _RECENT)

    def _due(self) -> None:
        say, contents, language = self.language.say, self.contents, self.language
        if not contents.due:
            self._only("report.due", say("report.no-due"))
            return
        rows = [
            f"{contents.names.get(one['instrument'], one['instrument'])}: "
            + (
                say("report.due-overdue", day=language.day(one["overdue_on"]))
                if one["status"] == "overdue"
                else say("report.due-due", day=language.day(one["due_on"]))
            )
            for one in contents.due
        ]
        self._rows("due", list(dict.fromkeys(rows)), further="+" if contents.more_due else "")

    def _sources(self) -> None:
        say, language = self.language.say, self.language
        if not self.contents.scales:
            return
        rows = [say("report.source-expected", source=source) for source in _references(self.contents)]
        for scale in self.contents.scales:
            figures, cited = scale.progress.figures, scale.progress.instrument.citation
            reliable, cutoff = figures.reliable_change, figures.deciding
            known = say("report.source-no-error") if isinstance(reliable, Unavailable) else basis(reliable, language)
            if cutoff is not None:
                value, evidence = language.number(cutoff.value), cutoff_known(cutoff, language)
                known += f"; {say('report.source-cutoff', value=value, evidence=evidence)}"
            doi = f", doi:{cited.doi}" if cited.doi else ""
            rows.append(
                say(
                    "report.source",
                    instrument=scale.progress.instrument.name,
                    basis=known,
                    citation=f"{cited.authors} ({cited.year}), {cited.journal}{doi}",
                )
            )
        caution = say("report.caution")
        self._rows("sources", rows, size=_SMALL, kept=self._height(caution, _SMALL) + 6)
        self._font(_SMALL, colour=_GREY)
        self._write(caution, _SMALL * 0.46)

    def _rows(
        self,
        part: str,
        rows: list[str],
        *,
        size: float = _TEXT,
        bold: bool = False,
        kept: float = 5.0,
        first: str = "",
        further: str = "",
        most: int | None = None,
    ) -> None:
        """The heading of a part, then what there is to say ``first``, as many rows as there is room for, and how many
        more there are; ``further``: there are more than were read. ``most`` is how many are worth the room.
        """
        before = self._height(first, _NOTE, line=_LINE)
        self._heading(f"report.{part}", before + self._height(rows[0], size, bold=bold) + kept)
        if first:
            self._note(first)
        for number, row in enumerate(rows):
            enough = number == most and number < len(rows) - 1  # one more takes no more room than to say so
            if enough or not self._room(self._height(row, size, bold=bold) + kept, after=part):
                left = f"{len(rows) - number}{further}"
                self._note(self.language.say("report.more", count=left))
                return
            self._font(size, bold=bold, colour=_INK if size == _TEXT else _GREY)
            self._write(row, size * 0.46)
        if further:
            self._note(self.language.say("report.more", count=further))

    def _room(self, needed: float, *, after: str) -> bool:
        """Whether so many millimetres are there and enough for the parts to come; on a new page if need be."""
        here = _BOTTOM - self.get_y()
        pages = PAGES - self.page_no()
        if needed > here:
            if not pages:
                return False
            here, pages = _BOTTOM - MARGIN, pages - 1
            if here - needed < _AFTER[after] and not pages:
                return False
            self.add_page()
            return True
        return here - needed + pages * (_BOTTOM - MARGIN) >= _AFTER[after]

    def _only(self, key: str, text: str) -> None:
        """A part of which there is nothing but this to say."""
        self._heading(key, self._height(text, _NOTE, line=_LINE))
        self._note(text)

    def _heading(self, key: str, following: float) -> None:
        """A heading, on the page of the first thing that it is of, which takes so many millimetres."""
        if self.get_y() + _HEADING + following > _BOTTOM and self.page_no() < PAGES:
            self.add_page()
        self.ln(2.5)
        text = self.language.say(key)
        self.start_section(text)
        self._font(11.5, bold=True)
        self._write(text, 5.6)
        self.set_draw_color(*_RULE)
        self.set_line_width(0.3)
        self.line(MARGIN, self.get_y(), MARGIN + self.epw, self.get_y())
        self.ln(1.5)

    def _note(self, text: str) -> None:
        self._font(_NOTE, colour=_GREY)
        self._write(text)

    def _font(self, size: float = _TEXT, *, bold: bool = False, colour: tuple[int, int, int] = _INK) -> None:
        self.set_font(fonts.FAMILY, "B" if bold else "", size)
        self.set_text_color(*colour)

    def _write(self, text: str, line: float = _LINE) -> None:
        self.multi_cell(0, line, text, align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT)

    def _height(self, text: str, size: float, *, bold: bool = False, width: float = 0.0, line: float = 0.0) -> float:
        """Millimetres that a text takes; a line of it by its size, unless that is said."""
        if not text:
            return 0.0
        self._font(size, bold=bold)
        found = self.multi_cell(width, line or size * 0.46, text, align="L", dry_run=True, output="HEIGHT")
        return float(found)  # type: ignore[arg-type]  # a number, by `output`


def _short(text: str) -> str:
    """One line of a text that somebody wrote, without the marks by which it would turn round what is printed after it.

    >>> _short("one\\ntwo"), len(_short("x" * 500)), _short("\\u202eone")
    ('one two', 100, 'one')
    """
    line = " ".join(text.translate(_TURNING).split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"
