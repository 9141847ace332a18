"""Fit what the demo holds courses against, on invented people, and write `api/demo/references.json`.

    python -m scripts.demo_references

The people come from the demo's own generator, under a name of their own: none of them is in the demo, so its clients
are held against a model that no score of theirs has gone into. Of each instrument that the demo uses the scale that
stands for it is fitted, on the first `PERSONS` of them who answered it more than once, by the code that fits what
`POST /v1/references` asks for. That takes a minute and loads statsmodels, and a demo has to start in seconds: hence
the file.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import instruments
import scoring
from api.demo.clinic import Clinic, clinic
from api.demo.people import people
from instruments import Instrument
from scoring.growth import weeks_between
from scoring.growth.adequate import Courses, reference_fit
from scoring.progress_figures import figures

TARGET: Final = Path(__file__).resolve().parents[1] / "api" / "demo" / "references.json"
NAME: Final = "reference"
"""What takes the place of an organisation's name in the generator's streams."""
INVENTED: Final = 4_000
PERSONS: Final = 400
"""At most; of what few come with there are fewer among all who are invented."""
DIGITS: Final = 10
"""Significant ones that are kept: the last of a fit differ from machine to machine."""
Series = list[tuple[datetime, float]]


def courses(planned: Clinic, codes: Sequence[str], persons: int = PERSONS) -> dict[str, list[Series]]:
    """Of each instrument the scores, with their times, of the first ``persons`` who answered it more than once."""
    found: dict[str, list[Series]] = {code: [] for code in codes}
    for person in people(planned, NAME, INVENTED):
        asked: dict[str, list[Any]] = defaultdict(list)
        for form in person.forms:
            asked[form.instrument].append(form)
        for code, forms in asked.items():
            if code in found and len(found[code]) < persons:
                series = _series(instruments.load(code), forms)
                if len(series) > 1:
                    found[code].append(series)
        if all(len(many) >= persons for many in found.values()):
            break
    return found


def _series(instrument: Instrument, forms: Sequence[Any]) -> Series:
    """Usable scores, as a fit on closed episodes would take them."""
    series: Series = []
    for form in forms:
        result = scoring.score(instrument, form.answers)
        score = result.scores[instrument.overall_scale]
        if score.valid and score.value is not None:
            series.append((form.answered_at, score.value))
    return series


def fitted(instrument: Instrument, many: Sequence[Series]) -> dict[str, Any]:
    """A row of the file.

    Raises
    ------
    GrowthError
        They do not make a reference.
    """
    known = figures(instrument, instrument.overall_scale, instrument.variant_ids[0])
    rows = [
        (number, weeks_between(series[0][0], at), value) for number, series in enumerate(many) for at, value in series
    ]
    ids, weeks, values = zip(*rows, strict=True)
    made = reference_fit(Courses.of(ids, weeks, values), low=known.minimum, high=known.maximum).document()
    return {
        "instrument": instrument.code,
        "version": instrument.version,
        "definition": instrument.checksum,
        "variant": instrument.variant_ids[0],
        "scale": instrument.overall_scale,
        **made,
    }


def rounded(given: Any) -> Any:
    """The same with numbers of `DIGITS` significant digits."""
    if isinstance(given, float):
        return float(f"{given:.{DIGITS}g}")
    if isinstance(given, dict):
        return {name: rounded(value) for name, value in given.items()}
    return [rounded(value) for value in given] if isinstance(given, list | tuple) else given


def used(planned: Clinic) -> list[str]:
    """Codes of the instruments that people of the demo fill in."""
    return sorted({code for one in planned.presentations for member in one.members for code in member.forms})


def main() -> None:
    """Write the file."""
    planned = clinic()
    codes = used(planned)
    rows = []
    for code, many in courses(planned, codes).items():
        row = fitted(instruments.load(code), many)
        rows.append(rounded(row))
        print(f"{code}: {row['persons']} persons, {row['observations']} scores, {row['report']['holding']}")
    lines = ",\n".join(json.dumps(row) for row in rows)
    TARGET.write_text(f"[\n{lines}\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main()
