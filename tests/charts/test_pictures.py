"""All scales, couples, goals and caseloads: what their pictures hold and say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest

from api.charts.caseload import MOST as MOST_CASES
from api.charts.caseload import Case, caseload_chart, caseload_words
from api.charts.couple import Apart, couple_chart, couple_words
from api.charts.draw import svg
from api.charts.goals import Target, TPoint, goals_chart, goals_words
from api.charts.multiples import MOST, multiples_chart, multiples_words, panel_chart
from api.charts.series import Session, series_chart, severity_bands
from api.charts.style import BAND, EDGE, EXPECTED, FAINT, INK, NEUTRAL, PAPER, THEMES, painted
from api.charts.text import day_ticks
from scoring.phrases import LANGUAGES, language
from scoring.progress import progress
from tests.charts.test_series import CASES, fsfi, inside, phq
from tests.scoring.test_progress import FSFI, START, series

A, B = fsfi(16.2, 19, 28.4, 27), fsfi(24, 20, 22, 21)
WITHIN = "The difference between them has changed by no more than errors of measurement explain."
BEYOND = "The difference between them has changed by more than errors of measurement explain."
APART = [Apart(a["answered_at"], a["value"] or 0, b["value"] or 0) for a, b in zip(A.points, B.points, strict=True)]
T = [TPoint(date(2026, 1, 5), 36.3), TPoint(date(2026, 3, 9), 56.2)]
UP = Target(2, 2, 8, [(date(2026, 1, 10), 3), (date(2026, 3, 1), 8)])
DOWN = Target(3, 9, 2, [(date(2026, 1, 10), 8), (date(2026, 3, 10), 6)])
WORST, BEST = Case(-1.8, "harmed", 1, 1, "not-on-track"), Case(3.1, "recovered")
SESSIONS = [Session(START + timedelta(days=day), how) for day, how in ((0, "in-person"), (9, "telehealth"), (20, None))]
EXPECTED_COURSE: dict[str, Any] = {
    "available": True,
    "status": "not-on-track",
    "reference": {"n": 240},
    "curve": [
        {"weeks": week, "predicted": 18 + week, "low_80": 10 + 2 * week, "high_80": 26 + 2 * week} for week in range(8)
    ]
    + [{"weeks": 8, "predicted": None, "low_80": None, "high_80": None}],
}

PICTURES = {
    "series": lambda **look: series_chart(A, sessions=SESSIONS, expected=EXPECTED_COURSE, **look),
    "multiples": lambda **look: multiples_chart(list(CASES.values()), **look),
    "no-scales": lambda **look: multiples_chart([], **look),
    "panel": lambda **look: panel_chart(A, **look),
    "couple": lambda **look: couple_chart(A, B, APART, **look),
    "couple-without-pairs": lambda **look: couple_chart(A, fsfi(), **look),
    "goals": lambda **look: goals_chart(T, [UP, DOWN], t_baseline=30, **look),
    "no-goals": lambda **look: goals_chart([], [], **look),
    "caseload": lambda **look: caseload_chart([WORST, Case(None, None), BEST], **look),
    "no-caseload": lambda **look: caseload_chart([], **look),
}


def parts(spec: Any) -> Iterator[dict[str, Any]]:
    """Every part of a specification that is an object."""
    if isinstance(spec, dict):
        yield spec
    for inner in spec.values() if isinstance(spec, dict) else spec if isinstance(spec, list) else ():
        yield from parts(inner)


@pytest.mark.parametrize("name", PICTURES)
class TestEach:
    @pytest.mark.parametrize("look", [{"width": 320, "theme": "dark", "language": language("de")}, {}])
    def test_can_be_drawn_without_a_warning(
        self, name: str, look: dict[str, Any], capfd: pytest.CaptureFixture[str]
    ) -> None:
        made = PICTURES[name](**look)
        drawn = svg(made)
        assert capfd.readouterr() == ("", "")
        wanted = look.get("width", 230 if name == "panel" else 640)
        width = re.search(r'width="([\d.]+)"', drawn)
        assert width is not None
        assert float(width[1]) < wanted * 1.09 + 8

    def test_is_the_same_each_time_and_holds_no_identifier(self, name: str) -> None:
        first, second = PICTURES[name](), PICTURES[name]()
        assert first == second
        assert not [text for text in inside(first) if re.search(r"[0-9a-f]{8}-[0-9a-f]{4}|_id\b|@\w", text)]

    @pytest.mark.parametrize("tag", LANGUAGES)
    def test_says_what_it_shows(self, name: str, tag: str) -> None:
        spec = PICTURES[name](language=language(tag))
        assert spec["description"].endswith(".")
        assert "{" not in " ".join(inside(spec)).replace("{{", "")

    @pytest.mark.parametrize("theme", THEMES)
    def test_has_the_colours_of_its_theme_alone(self, name: str, theme: str) -> None:
        allowed = set(THEMES[theme].values())
        spec = PICTURES[name](theme=theme)
        colours = {text for text in inside(spec) if re.fullmatch(r"#[0-9A-Fa-f]{6}", text)}
        assert colours <= allowed

    def test_unknown_theme(self, name: str) -> None:
        with pytest.raises(KeyError):
            PICTURES[name](theme="sepia")


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    return 0.2126 * linear(colour)[0] + 0.7152 * linear(colour)[1] + 0.0722 * linear(colour)[2]


def linear(colour: str) -> list[float]:
    shares = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    return [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in shares]


def coded(light: list[float]) -> str:
    def byte(c: float) -> int:
        c = min(max(c, 0.0), 1.0)
        return round(255 * (12.92 * c if c <= 0.0031308 else 1.055 * c ** (1 / 2.4) - 0.055))

    return "#" + "".join(f"{byte(c):02X}" for c in light)


SEEN = {
    "normal": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    # Machado, Oliveira and Fernandes (2009), severity 1.0, for linear light: from memory, to be checked
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "grey": [[0.2126, 0.7152, 0.0722]] * 3,
}


def as_seen(colour: str, by: str) -> str:
    light = linear(colour)
    return coded([sum(share * c for share, c in zip(row, light, strict=True)) for row in SEEN[by]])


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_eyes_are_simulated() -> None:
    assert contrast("#000000", "#FFFFFF") == pytest.approx(21)
    assert as_seen("#FFFFFF", "deuteranopia") == as_seen("#FFFFFF", "protanopia") == "#FFFFFF"
    red, green = (as_seen(colour, "grey") for colour in ("#FF0000", "#008000"))
    assert contrast(red, green) < 1.4, "what differs by hue alone does not in grey"


@pytest.mark.parametrize("by", SEEN)
@pytest.mark.parametrize("theme", THEMES)
class TestColours:
    def test_text_stands_out(self, theme: str, by: str) -> None:
        """WCAG 2.2 AA, 4.5:1: all that is ever the colour of text, on the paper that it is on."""
        colours = {role: as_seen(colour, by) for role, colour in THEMES[theme].items()}
        for role in colours.keys() - {BAND, EDGE, FAINT, PAPER}:
            assert contrast(colours[role], colours[PAPER]) >= 4.5, role

    def test_marks_stand_out(self, theme: str, by: str) -> None:
        """3:1, also within the band; the frame alone is decoration."""
        colours = {role: as_seen(colour, by) for role, colour in THEMES[theme].items()}
        for role in colours.keys() - {BAND, FAINT, PAPER}:
            assert min(contrast(colours[role], colours[ground]) for ground in (PAPER, BAND)) >= 3, role

    def test_better_and_worse_differ(self, theme: str, by: str) -> None:
        better, worse = (as_seen(THEMES[theme][role], by) for role in ("@better", "@worse"))
        assert better != worse
        if by in ("normal", "grey"):
            assert contrast(better, worse) >= 1.35

    def test_partners_differ(self, theme: str, by: str) -> None:
        first, second = (as_seen(THEMES[theme][role], by) for role in (INK, "@second"))
        assert contrast(first, second) >= 1.5


@pytest.mark.parametrize("name", PICTURES)
def test_texts_have_colours_of_texts(name: str) -> None:
    """Labels are ink, quiet or the verdict's: the test of contrast is about those that are in use."""
    theme = THEMES["light"]
    forbidden = {theme[role] for role in (BAND, EDGE, FAINT, PAPER, EXPECTED)} - {theme[NEUTRAL]}
    for part in parts(PICTURES[name]()):
        if part.get("type") == "text":
            assert part["color"] not in forbidden


class TestSeries:
    def test_sessions_by_shape(self) -> None:
        spec = series_chart(A, sessions=[*SESSIONS, Session(START, "hybrid")])
        below = [layer["mark"] for layer in spec["layer"] if layer["encoding"].get("y", {}).get("value", 0) > 220]
        shapes = [mark.get("shape", mark["type"]) for mark in below]
        assert shapes == ["tick", "diamond", "circle", "diamond", "tick"]
        assert len({mark["color"] for mark in below}) == 1, "not by colour"
        assert "telehealth" in " ".join(inside(spec))
        assert "telehealth" not in " ".join(inside(series_chart(A)))

    def test_sessions_after_the_time_that_is_told_of_are_not_drawn(self) -> None:
        spec = series_chart(A, sessions=SESSIONS, as_of=START + timedelta(days=1))
        assert len([layer for layer in spec["layer"] if layer["mark"]["type"] == "tick"]) == 1
        assert not [
            layer
            for layer in spec["layer"]
            if (layer["mark"].get("shape"), layer["mark"].get("size")) == ("diamond", 55)
        ]

    def test_sessions_before_any_measurement(self) -> None:
        spec = series_chart(fsfi(), sessions=SESSIONS)
        assert len(spec["layer"][0]["encoding"]["x"]["axis"]["values"]) > 1

    def test_expected_course(self) -> None:
        spec = series_chart(A, expected=EXPECTED_COURSE)
        low, high = (layer["data"]["values"] for layer in spec["layer"] if layer["mark"]["type"] == "line")
        assert [point["value"] for point in low] == [10 + 2 * week for week in range(8)]
        assert max(point["value"] for point in high) == 36, "within the scale"
        assert spec["description"].endswith("Not on track, outside what was expected on the worse side.")
        assert "240 in the sample" in " ".join(inside(spec))

    @pytest.mark.parametrize("expected", [None, {"available": False, "code": "no-reference", "detail": "invented"}])
    def test_nothing_expected(self, expected: dict[str, Any] | None) -> None:
        assert series_chart(A, expected=expected) == series_chart(A)

    def test_bands_of_severity_where_there_is_no_cutoff(self) -> None:
        assert severity_bands(A) is None
        banded = next((one for one in CASES.values() if severity_bands(one) is not None), None)
        if banded is not None:
            assert "Thin lines" in " ".join(inside(series_chart(banded)))

    def test_the_method_is_named(self) -> None:
        """That which judges, not the usual one."""
        given = series(16.2, 28.4)
        told = {
            method: " ".join(inside(series_chart(progress(FSFI, "total", given, method=method))))
            for method in ("jacobson-truax", "edwards-nunnally")
        }
        assert "(Jacobson-Truax, 95 %" in told["jacobson-truax"]
        assert "(Edwards-Nunnally, 95 %" in told["edwards-nunnally"]

    def test_poster_is_enlarged(self) -> None:
        spec = series_chart(A, width=3200)
        assert spec["usermeta"] == {"embedOptions": {"scaleFactor": 2.0}}
        width = re.search(r'width="([\d.]+)"', svg(spec))
        assert width is not None
        assert float(width[1]) == pytest.approx(3200, rel=0.05)


class TestMultiples:
    def test_a_panel_each_on_one_axis_of_time(self) -> None:
        spec = multiples_chart([A, CASES["worse"], fsfi()])
        assert len(spec["concat"]) == 2
        domains = {str(panel["layer"][0]["encoding"]["x"]["scale"]["domain"]) for panel in spec["concat"]}
        assert len(domains) == 1
        assert spec["concat"][0]["title"]["text"] == ["Female Sexual Function Index:", "Total"] or (
            " ".join(spec["concat"][0]["title"]["text"]) == "Female Sexual Function Index: Total"
        )

    def test_the_worst_is_said_first(self) -> None:
        said = multiples_words([A, CASES["worse"], CASES["one"]])
        assert said == "Of 3 scales: 1 worse and now clinical, 1 recovered, 1 without a verdict."
        assert multiples_words([A]) == "Of 1 scale: 1 recovered."

    def test_more_than_fit(self) -> None:
        spec = multiples_chart([A] * (MOST + 2))
        assert len(spec["concat"]) == MOST
        assert "2 more not shown" in spec["title"]["subtitle"]

    def test_narrow_is_one_column(self) -> None:
        assert [multiples_chart([A, A, A], width=width)["columns"] for width in (320, 640, 1200)] == [1, 2, 3]


class TestCouple:
    def test_line_and_shape_tell_them_apart(self) -> None:
        spec = couple_chart(A, B, APART)
        lines = [layer["mark"] for layer in spec["layer"] if layer["mark"]["type"] == "line"]
        assert lines[0]["strokeDash"] != lines[1]["strokeDash"]
        shapes = [layer["mark"]["shape"] for layer in spec["layer"] if "shape" in layer["mark"]]
        assert shapes == ["circle", "square"]
        (bars,) = [layer["data"]["values"] for layer in spec["layer"] if layer["mark"].get("strokeWidth") == 7]
        assert [(bar["value"], bar["to"]) for bar in bars] == [(16.2, 24), (19, 20), (28.4, 22), (27, 21)]

    @pytest.mark.parametrize(
        ("pairs", "said"),
        [
            ([], "There is no day on which both can be compared."),
            ([(10, 20)], "They are 10 points apart (5 Jan 2026)."),
            (
                [(10, 20), (12, 13)],
                "They are 1 point apart (6 Jan 2026), closer than the 10 points at the start. " + WITHIN,
            ),
            (
                [(10, 12), (20, 10)],  # by 12, and 1.96 sqrt(2) sqrt(2 x 3.0157^2) = 11.82
                "They are 10 points apart (6 Jan 2026), further than the 2 points at the start. " + BEYOND,
            ),
            ([(10, 12), (14, 12)], "They are 2 points apart (6 Jan 2026), as at the start. " + WITHIN),
            ([(10, 18), (18, 10)], "They are 8 points apart (6 Jan 2026), as at the start. " + BEYOND),
            ([(10, 12), (14, 16)], "They are 2 points apart (6 Jan 2026), as at the start."),
        ],
    )
    def test_words(self, pairs: list[tuple[float, float]], said: str) -> None:
        apart = [Apart(START + timedelta(days=day), *pair) for day, pair in enumerate(pairs)]
        words = couple_words(A, B, apart)
        assert words.startswith("Partner A: Recovered: ")
        assert " Partner B: No reliable change: " in words
        assert words.endswith(said)


class TestGoals:
    def test_words(self) -> None:
        said = goals_words(T, [UP, DOWN], t_baseline=30)
        assert said == (
            "The goals in levels are at T 56.2 (9 Mar 2026), 26.2 points up from the start; 50 is as expected. "
            "Of 2 targets from 0 to 10, 1 reached."
        )
        assert goals_words(T[:1], []).startswith("The goals in levels are at T 36.3 (5 Jan 2026), the same as at")
        assert goals_words(list(reversed(T)), []).count("down from the start") == 1
        assert goals_words([], [DOWN]) == "The target from 0 to 10 is not reached yet."
        assert goals_words([], [Target(1, 2, 8, [])]) == "No goal has been rated yet."

    @pytest.mark.parametrize(
        ("baseline", "target", "value", "reached"),
        [(2, 8, 8, True), (2, 8, 9, True), (2, 8, 7, False), (9, 2, 2, True), (9, 2, 1, True), (9, 2, 3, False)],
    )
    def test_reached_whichever_way(self, baseline: int, target: int, value: int, reached: bool) -> None:
        assert Target(1, baseline, target, [(date(2026, 1, 1), value)]).reached is reached

    def test_axis_of_t_grows(self) -> None:
        (panel,) = goals_chart([TPoint(date(2026, 1, 5), 8.0), TPoint(date(2026, 2, 5), 91.0)], [])["vconcat"]
        assert panel["layer"][0]["encoding"]["y"]["scale"]["domain"] == [0, 100]

    def test_more_than_fit(self) -> None:
        spec = goals_chart([], [UP._replace(number=number) for number in range(1, 10)])
        assert "3 more not shown" in spec["title"]["subtitle"]


class TestCaseload:
    def test_words(self) -> None:
        assert caseload_words([WORST, Case(None, None, 0, 2), BEST]) == (
            "Of 3 clients: 1 with open alerts, 1 not on track, 2 overdue, 1 worse and now clinical, 1 recovered, "
            "1 without a verdict."
        )

    def test_rows_in_the_order_given_and_nobody_named(self) -> None:
        spec = caseload_chart([WORST, BEST], first=11, total=40)
        flags = [value["text"] for layer in spec["layer"] for value in layer["data"]["values"] if "text" in value]
        assert flags == ["! alert, not on track, overdue"]
        assert "28 more not shown" in spec["title"]["subtitle"]
        assert "+ 11 -" in spec["layer"][0]["encoding"]["y"]["axis"]["labelExpr"]

    def test_a_verdict_without_an_index_is_said_in_words(self) -> None:
        """A published amount of change has no index: "no change known" beside it would deny that somebody got worse."""
        spec = caseload_chart([Case(None, "harmed"), Case(None, None), Case(None, "unchanged")])
        said = [value["text"] for layer in spec["layer"] for value in layer["data"]["values"] if "text" in value]
        assert said == ["worse, now clinical", "no change known", "no reliable change"]

    def test_narrow_says_the_foremost(self) -> None:
        assert "! alert +2" in list(inside(caseload_chart([WORST], width=320)))

    def test_change_beyond_the_axis_is_at_its_end(self) -> None:
        spec = caseload_chart([Case(-40.0, "harmed"), BEST])
        assert spec["layer"][0]["encoding"]["x"]["scale"]["domain"] == [-6, 6]
        changes = [v["change"] for layer in spec["layer"] for v in layer["data"]["values"] if "change" in v]
        assert min(changes) == -6

    def test_more_than_fit(self) -> None:
        spec = caseload_chart([BEST] * (MOST_CASES + 3))
        assert spec["height"] == MOST_CASES * 20
        assert "3 more not shown" in spec["title"]["subtitle"]


class TestText:
    def test_days_between(self) -> None:
        day = 86_400_000
        assert day_ticks([], most=3) == []
        assert day_ticks([5, 5], most=3) == [5]
        assert day_ticks([0, 2 * day], most=9) == [0, day, 2 * day]

    def test_what_looks_like_a_role_in_data_stays(self) -> None:
        assert painted({"data": {"values": [{"text": "@ink"}]}, "mark": {"color": INK}}, "print") == {
            "data": {"values": [{"text": "@ink"}]},
            "mark": {"color": "#111111"},
        }


def test_phq_lower_is_better_in_a_panel() -> None:
    panel = panel_chart(phq(20, 4))
    assert panel["layer"][-1]["mark"]["shape"] == "diamond"
