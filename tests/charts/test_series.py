"""The picture of a series: what the specification holds, and what is drawn from it."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree

import pytest

import instruments
from api.charts import style
from api.charts.draw import svg
from api.charts.series import NARROWEST, WIDEST, series_chart
from api.charts.text import spread, ticks
from scoring.progress import Baseline, Progress, progress
from scoring.progress_words import summary
from tests.scoring.test_progress import FSFI, PHQ_9, START, measured, series

LIGHT = style.THEMES["light"]
BETTER, NEUTRAL, PAPER, WORSE = (LIGHT[role] for role in (style.BETTER, style.NEUTRAL, style.PAPER, style.WORSE))
SVG = "{http://www.w3.org/2000/svg}"


def fsfi(*values: float | None) -> Progress:
    return progress(FSFI, "total", series(*values))


def phq(*values: float | None) -> Progress:
    return progress(PHQ_9, "total", series(*values, variant="prorated"))


CASES = {
    "none": fsfi(),
    "one": fsfi(16.2),
    "two": fsfi(16.2, 19),
    "three": fsfi(16.2, 19, 28.4),
    "worse": phq(4, 9, 20),
    "many": progress(FSFI, "total", [measured(float(2 + n % 34), day=7 * n) for n in range(100)]),
    "ends": fsfi(2, 36, 2, 36),
    "without-scores": fsfi(None, None),
    "left-out": progress(FSFI, "total", [*series(16.2, 19, None), measured(3.0, day=50, valid=False)]),
    "same-moment": progress(FSFI, "total", [measured(9.0, response_id="a"), measured(12.0, response_id="b")]),
    "no-parameters": progress(instruments.load("iief-5"), "total", series(9, 18, variant="standard")),
    "no-direction": progress(instruments.load("sdi-2"), "dyadic", series(30, 41, variant="dyadic-9")),
    "no-cutoff": progress(instruments.load("gmsex"), "total", series(9, 18, variant="sum")),
}


def layers(spec: dict[str, Any], **mark: Any) -> list[dict[str, Any]]:
    """Layers whose mark has these members."""
    return [layer for layer in spec["layer"] if mark.items() <= layer["mark"].items()]


def texts(spec: dict[str, Any]) -> list[str]:
    """Labels beside the plot."""
    return [layer["data"]["values"][0]["text"] for layer in layers(spec, type="text")]


def label_layers(spec: dict[str, Any]) -> list[dict[str, Any]]:
    """Layers of the labels beside the plot."""
    return layers(spec, type="text", align="left")


def moved(spec: dict[str, Any]) -> list[dict[str, Any]]:
    """Strokes from a line to its label."""
    return [
        layer for layer in layers(spec, type="rule") if "x2" in layer["encoding"] and "value" in layer["encoding"]["x"]
    ]


def inside(value: Any) -> Iterator[Any]:
    """Every string and key of a document."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from inside(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from inside(inner)
    elif isinstance(value, str):
        yield value


class TestSpecification:
    @pytest.mark.parametrize("width", [NARROWEST, 360, 640, WIDEST])
    @pytest.mark.parametrize("name", CASES)
    def test_can_be_drawn_without_a_warning(self, name: str, width: int, capfd: pytest.CaptureFixture[str]) -> None:
        drawn = ElementTree.fromstring(svg(series_chart(CASES[name], width=width)))  # noqa: S314  - our own
        assert capfd.readouterr() == ("", "")
        assert 0.8 * width < float(drawn.attrib["width"]) <= width * (1 + 8 / min(width, 1600))

    def test_same_input_same_output(self) -> None:
        first, second = (series_chart(fsfi(16.2, 19, 28.4)) for _ in range(2))
        assert json.dumps(first) == json.dumps(second)
        assert svg(first) == svg(second)

    @pytest.mark.parametrize("name", CASES)
    def test_vertical_axis_spans_every_possible_score(self, name: str) -> None:
        scale = CASES[name].figures
        for layer in series_chart(CASES[name])["layer"]:
            y = layer["encoding"].get("y", {})
            if "field" in y:
                assert y["scale"]["domain"] == [scale.minimum, scale.maximum]
        (frame,) = layers(series_chart(CASES[name]), opacity=0)
        values = frame["encoding"]["y"]["axis"]["values"]
        assert (values[0], values[-1]) == (scale.minimum, scale.maximum)

    @pytest.mark.parametrize(
        ("name", "title"),
        [
            ("three", "score: higher is better →"),
            ("worse", "← score: lower is better"),
            ("no-direction", "higher is neither better nor worse"),
        ],
    )
    def test_direction_is_said_at_the_axis(self, name: str, title: str) -> None:
        (frame,) = layers(series_chart(CASES[name]), opacity=0)
        assert frame["encoding"]["y"]["axis"]["title"] == title

    @pytest.mark.parametrize(
        ("values", "colour", "shape", "words"),
        [
            ((16.2, 28.4), BETTER, "diamond", "28.4\nrecovered"),
            ((10, 20), BETTER, "diamond", "20\nimproved"),
            ((16, 18), NEUTRAL, "circle", "18\nno reliable change"),
            ((20, 5), WORSE, "triangle-down", "5\nworse"),
            ((30, 20), WORSE, "triangle-down", "20\nworse, now clinical"),
            ((16.2,), NEUTRAL, "circle", "16.2"),
        ],
    )
    def test_verdict_by_colour_shape_and_words(
        self, values: tuple[float, ...], colour: str, shape: str, words: str
    ) -> None:
        spec = series_chart(fsfi(*values))
        last = spec["layer"].index(layers(spec, shape=shape, color=colour)[-1])
        assert spec["layer"][last]["data"]["values"][0]["value"] == values[-1]
        assert words in texts(spec)
        (label,) = layers(spec, type="text", fontWeight="bold")
        assert label["mark"]["color"] == colour

    def test_shape_says_better_also_where_the_score_fell(self) -> None:
        assert layers(series_chart(phq(20, 4)), shape="diamond")
        assert layers(series_chart(phq(4, 20)), shape="triangle-up")

    def test_band_and_its_edges(self) -> None:
        spec = series_chart(fsfi(16.2, 19))
        (band,) = layers(spec, type="rect")
        assert band["data"]["values"] == [
            {"value": pytest.approx(7.8408, abs=1e-4), "to": pytest.approx(24.5592, abs=1e-4)}
        ]
        assert {"reliably better > 24.56", "reliably worse < 7.84"} <= set(texts(spec))
        assert {"reliably worse > 16.43", "reliably better < 3.57"} <= set(texts(series_chart(phq(10, 9))))

    def test_edge_that_is_the_end_of_the_scale_has_no_label(self) -> None:
        assert not [text for text in texts(series_chart(fsfi(2, 20))) if "worse" in text]
        assert not [text for text in texts(series_chart(phq(3, 5))) if "better" in text]
        assert not [text for text in texts(series_chart(phq(24, 20))) if "worse" in text]

    def test_cutoff_is_drawn_and_named(self) -> None:
        spec = series_chart(fsfi(16.2, 19))
        (line,) = layers(spec, strokeDash=[6, 4])
        assert line["data"]["values"] == [{"value": pytest.approx(26.7425, abs=1e-4)}]
        assert "clinical < 26.74" in texts(spec)
        notes = " ".join(layers(spec, opacity=0)[0]["encoding"]["x"]["axis"]["title"])
        assert "cutoff 26.74 (c of Jacobson and Truax; from norms)" in notes
        assert "SD 8.06, reliability 0.86, figures derived" in notes

    def test_what_has_to_be_reached_is_not_said_to_have_to_be_exceeded(self) -> None:
        for variant, sign in (("nhs-talking-therapies", "≤"), ("prorated", "<")):
            found = progress(instruments.load("phq-9"), "total", series(20, 14, variant=variant))
            (said,) = [text for text in texts(series_chart(found)) if text.startswith("reliably better")]
            assert said.split()[2] == sign

    def test_the_band_is_of_the_baseline_that_was_chosen(self) -> None:
        given = series(20, 12, 13, variant="prorated")
        for place, words in ((0, "from the start, within"), (1, "from the score on 19 Jan 2026, within")):
            found = progress(PHQ_9, "total", given, baseline=Baseline(response_id=given[place].response_id))
            assert any(f"Band: no reliable change {words}" in text for text in inside(series_chart(found)))

    def test_published_cutoff_is_named(self) -> None:
        (frame,) = layers(series_chart(CASES["no-parameters"]), opacity=0)
        notes = " ".join(frame["encoding"]["x"]["axis"]["title"])
        assert notes == "Dashed line: cutoff 21 (erectile dysfunction; read in the source)."

    @pytest.mark.parametrize(
        ("code", "scale", "values", "label"),
        [
            ("iief-5", "total", (9, 18), "clinical ≤ 21"),
            ("asex", "total", (9, 18), "clinical ≥ 19"),
            ("csi-16", "total", (40, 60), "clinical < 51.5"),
            ("gad-7", "total", (9, 18), "clinical > 9.7"),
        ],
    )
    def test_side_of_the_cutoff_is_at_the_line(
        self, code: str, scale: str, values: tuple[float, float], label: str
    ) -> None:
        instrument = instruments.load(code)
        found = progress(instrument, scale, series(*values, variant=instrument.variant_ids[0]))
        assert label in texts(series_chart(found))

    def test_figures_from_memory_say_so(self) -> None:
        found = progress(instruments.load("iief-15"), "sexual_desire", series(4, 9, variant="all-items"))
        spec = series_chart(found)
        (frame,) = layers(spec, opacity=0)
        notes = " ".join(frame["encoding"]["x"]["axis"]["title"])
        assert "figures from memory, to be checked" in notes
        assert "(c of Jacobson and Truax; from remembered norms, to be checked)" in notes
        assert "figures unchecked" in texts(spec), "beside the verdict"
        assert "From memory, to be checked: the measurement error, the cutoff." in spec["description"]
        assert "figures unchecked" not in texts(series_chart(fsfi(16.2, 28.4)))

    def test_no_verdict_says_why(self) -> None:
        assert "error unknown" in texts(series_chart(CASES["no-parameters"]))
        assert "error unknown" not in texts(series_chart(CASES["no-direction"])), "there is no better or worse at all"
        assert "error unknown" not in texts(series_chart(CASES["one"]))

    def test_amended_scores_have_a_ring(self) -> None:
        given = series(18, 15, 12)
        given[1] = given[1]._replace(amended=True)
        given[2] = given[2]._replace(amended=True, valid=False)
        spec = series_chart(progress(PHQ_9, "total", given))
        (rings,) = layers(spec, filled=False, shape="circle")
        assert [value["value"] for value in rings["data"]["values"]] == [15, 12]
        assert "Ring: amended" in " ".join(layers(spec, opacity=0)[0]["encoding"]["x"]["axis"]["title"])
        assert "Amended after recording: 2." in spec["description"]
        assert layers(series_chart(progress(PHQ_9, "total", series(18, 15, 12))), filled=False, shape="circle") == []

    def test_prorated_scores_have_a_white_centre(self) -> None:
        given = series(18, 15, 12, variant="prorated")
        given[1] = given[1]._replace(status="prorated")
        given[2] = given[2]._replace(status="prorated", valid=False)
        spec = series_chart(progress(PHQ_9, "total", given))
        (centres,) = layers(spec, type="point", color=PAPER)
        assert [point["value"] for point in centres["data"]["values"]] == [15], "what is not used has a cross"
        assert "White centre: prorated" in " ".join(layers(spec, opacity=0)[0]["encoding"]["x"]["axis"]["title"])
        assert spec["layer"].index(centres) > spec["layer"].index(layers(spec, shape="circle")[-1]), "on top"
        assert not layers(series_chart(phq(18, 15, 12)), type="point", color=PAPER)

    def test_label_that_had_to_move_is_led_to_from_its_line(self) -> None:
        spec = series_chart(fsfi(16.2, 28.4))  # band to 24.56, cutoff 26.74 and the verdict at 28.4 crowd each other
        strokes = {layer["encoding"]["y"]["value"]: layer["encoding"]["y2"]["value"] for layer in moved(spec)}
        # of 220 pixels for 2..36: 24.56 is drawn at 74, 26.74 at 59.9
        assert strokes.keys() == {74.0, 59.9}
        by_place = {layer["encoding"]["y"]["value"]: layer["data"]["values"][0]["text"] for layer in label_layers(spec)}
        assert [by_place[strokes[at]] for at in (59.9, 74.0)] == ["clinical < 26.74", "reliably better > 24.56"]
        assert not moved(series_chart(fsfi(30, 18))), "there is room for each beside its line"

    def test_no_cutoff_no_band(self) -> None:
        assert not layers(series_chart(CASES["no-cutoff"]), strokeDash=[6, 4])
        assert not layers(series_chart(CASES["no-direction"]), type="rect")

    def test_left_out_are_hollow_crosses(self) -> None:
        spec = series_chart(CASES["left-out"])
        with_score, without = layers(spec, shape="cross", filled=False)
        assert [point["value"] for point in with_score["data"]["values"]] == [3.0]
        assert without["encoding"]["y"]["value"] > spec["height"], "below the plot, where no score is"
        used = [point["value"] for layer in layers(spec, filled=True) for point in layer["data"]["values"]]
        assert sorted(used) == [16.2, 19]
        notes = " ".join(layers(spec, opacity=0)[0]["encoding"]["x"]["axis"]["title"])
        assert "×: not used for change: 1 (no score), 1 (validity rule failed)." in notes

    def test_long_gap_is_dotted(self) -> None:
        days = (0, 14, 28, 42, 200, 214)
        spec = series_chart(progress(FSFI, "total", [measured(20.0, day=day) for day in days]))
        (segments,) = [layer for layer in spec["layer"] if "strokeDash" in layer["encoding"]]
        assert [segment["gap"] for segment in segments["data"]["values"]] == [False, False, False, True, False]
        assert "a long time without" in " ".join(layers(spec, opacity=0)[0]["encoding"]["x"]["axis"]["title"])

    @pytest.mark.parametrize("days", [(0, 400), (0, 1, 2, 59), (0, 100, 200, 300)])
    def test_no_gap(self, days: tuple[int, ...]) -> None:
        spec = series_chart(progress(FSFI, "total", [measured(20.0, day=day) for day in days]))
        (segments,) = [layer for layer in spec["layer"] if "strokeDash" in layer["encoding"]]
        assert not any(segment["gap"] for segment in segments["data"]["values"])

    def test_empty_plot_says_why(self) -> None:
        assert "no measurement yet" in texts(series_chart(CASES["none"]))
        assert "no usable measurement" in texts(series_chart(CASES["without-scores"]))
        assert not [text for text in texts(series_chart(CASES["one"])) if text.startswith("no ")]

    @pytest.mark.parametrize("width", [360, 640])
    @pytest.mark.parametrize("name", CASES)
    def test_labels_keep_apart(self, name: str, width: int) -> None:
        spec = series_chart(CASES[name], width=width)
        boxes = []
        for layer in layers(spec, type="text", align="left"):
            lines = layer["data"]["values"][0]["text"].count("\n") + 1
            top = layer["encoding"]["y"]["value"] - layer["mark"]["lineHeight"] / 2
            boxes.append((top, top + lines * layer["mark"]["lineHeight"]))
        boxes.sort()
        assert all(after[0] >= before[1] - 0.2 for before, after in pairwise(boxes))
        assert all(top >= -7 and bottom <= spec["height"] + 7 for top, bottom in boxes)

    @pytest.mark.parametrize("name", CASES)
    def test_holds_no_identifier(self, name: str) -> None:
        ids = [str(uuid.uuid4()) for _ in CASES[name].points]
        renamed = [{**point, "response_id": new} for point, new in zip(CASES[name].points, ids, strict=True)]
        found = Progress(**{**vars_of(CASES[name]), "points": renamed})
        spec = series_chart(found)
        assert spec == series_chart(CASES[name])
        assert not [text for text in inside(spec) if re.search(r"[0-9a-f]{8}-[0-9a-f]{4}|id-|_id\b", text)]
        assert not re.search(r"[0-9a-f]{8}-[0-9a-f]{4}", svg(spec))


def vars_of(found: Progress) -> dict[str, Any]:
    """What a progress was made of, without what it worked out since."""
    return {name: getattr(found, name) for name in Progress.__dataclass_fields__}


class TestText:
    @pytest.mark.parametrize("name", CASES)
    def test_alternative(self, name: str) -> None:
        """Title and description are the element's name, and say what the picture shows."""
        root = ElementTree.fromstring(svg(series_chart(CASES[name])))  # noqa: S314  - our own
        title, description = root[0], root[1]
        assert (title.tag, description.tag) == (f"{SVG}title", f"{SVG}desc")
        assert root.attrib["role"] == "img"
        assert root.attrib["aria-labelledby"].split() == [title.attrib["id"], description.attrib["id"]]
        scale = CASES[name].figures.scale
        assert title.text == f"{CASES[name].instrument.name}: {scale.name}"
        assert description.text == summary(CASES[name])

    def test_ids_of_two_pictures_differ(self) -> None:
        names = {re.search(r'id="(chart-\w+)-title"', svg(series_chart(fsfi(*v)))) for v in ((16.2,), (16.3,))}
        assert len({found[1] for found in names if found}) == 2

    def test_subtitle_is_the_alternative(self) -> None:
        spec = series_chart(fsfi(16.2, 28.4))
        assert " ".join(spec["title"]["subtitle"]) == spec["description"] == summary(fsfi(16.2, 28.4))

    def test_names_are_escaped(self) -> None:
        members = {"name": 'A < B & "C" </title><script>'}
        named = instruments.Instrument.model_validate(FSFI.model_dump(by_alias=True) | members)
        root = ElementTree.fromstring(svg(series_chart(progress(named, "total", series(16.2)))))  # noqa: S314  - our own
        assert root[0].text == 'A < B & "C" </title><script>: Total'
        assert not root.findall(f".//{SVG}script")

    def test_fetches_nothing(self) -> None:
        drawn = svg(series_chart(CASES["many"]))
        links = set(re.findall(r'(?:href|src)="([^"]*)"|url\(([^)]*)\)', drawn))
        assert all((a or b).startswith("#") for a, b in links)
        assert set(re.findall(r"https?://[^\"'\s<]+", drawn)) <= {
            "http://www.w3.org/2000/svg",
            "http://www.w3.org/1999/xlink",
        }
        assert "style=" not in drawn
        assert "<style" not in drawn

    def test_not_a_specification(self) -> None:
        with pytest.raises(ValueError, match="conversion failed"):
            svg({"mark": "nonsense", "title": {"text": []}, "description": ""})


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("colour", [BETTER, WORSE, NEUTRAL])
def test_words_can_be_read(colour: str) -> None:
    """WCAG AA for text on white."""
    assert 1.05 / (luminance(colour) + 0.05) >= 4.5


def test_better_and_worse_differ_in_grey() -> None:
    assert luminance(BETTER) / luminance(WORSE) > 1.5


class TestPlacing:
    def test_no_room(self) -> None:
        assert spread([5, 5, 5], [10, 10, 10], low=0, high=20) == [-5, 5, 15]

    def test_nothing(self) -> None:
        assert spread([], [], low=0, high=10) == []

    @pytest.mark.parametrize(
        ("ends", "expected"),
        [
            ((0, 1), [0, 0.2, 0.4, 0.6, 0.8, 1]),
            ((1.2, 6), [1.2, 2, 3, 4, 5, 6]),
            ((5, 75), [5, 20, 40, 60, 75]),
            ((0, 109), [0, 20, 40, 60, 80, 109]),
            ((-3, 3), [-3, -2, -1, 0, 1, 2, 3]),
        ],
    )
    def test_ticks(self, ends: tuple[float, float], expected: list[float]) -> None:
        assert ticks(*ends) == pytest.approx(expected)


def test_dates_are_those_of_utc() -> None:
    """A picture is the same wherever the service runs."""
    spec = series_chart(fsfi(16.2))
    milliseconds = round(START.timestamp() * 1000)
    (last,) = layers(spec, filled=True)
    assert last["data"]["values"][0]["at"] == milliseconds
    (frame,) = layers(spec, opacity=0)
    assert frame["encoding"]["x"]["scale"]["type"] == "utc"
    assert frame["encoding"]["x"]["axis"]["values"] == [milliseconds]
    assert timedelta(milliseconds=milliseconds).days == 20458  # 5 January 2026
    assert "5 Jan 2026" in svg(spec)
