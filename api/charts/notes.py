"""What lines and marks of a series mean, and which figures they rest on: the small print below the plot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from api.charts import marks
from api.charts.text import lines
from instruments.parts import BandSet
from scoring.phrases import Language
from scoring.progress import Point, Progress
from scoring.progress_figures import ProgressCutoff
from scoring.progress_words import amended, left_out
from scoring.reliable import METHOD, PublishedChange, RegressedChange, ReliableChange, Unavailable


def notes(
    progress: Progress,
    used: Sequence[Point],
    language: Language,
    *,
    as_of: datetime | None,
    bands: BandSet | None,
    expected: Mapping[str, Any] | None,
    sessions: bool,
) -> Iterator[str]:
    """One sentence for each thing that is there to be explained."""
    say, number, figures = language.say, language.number, progress.figures
    reliable, cutoff = figures.reliable_change, figures.deciding
    if not isinstance(reliable, Unavailable) and progress.band is not None:
        said = {"points": language.points(reliable.threshold), "basis": basis(reliable, language)}
        if isinstance(reliable, RegressedChange):
            yield say("note.band-regressed", **said)
        elif progress.baseline is None or progress.baseline["answered_at"] == used[0]["answered_at"]:
            yield say("note.band", **said)
        else:
            yield say("note.band-since", day=language.day(progress.baseline["answered_at"]), **said)
    if cutoff is not None:
        yield say(
            "note.cutoff",
            value=number(cutoff.value),
            meaning=_meaning(cutoff, language),
            evidence=cutoff_known(cutoff, language),
        )
    if bands is not None:
        yield say("note.bands", evidence=say(f"note.published.{bands.evidence}"))
    if expected is not None:
        yield say("note.expected", n=expected["reference"]["n"])
    if any(point["status"] == "prorated" for point in used):
        yield say("note.prorated")
    if progress.left_out:
        yield say("note.left-out", why=left_out(progress, language))
    if amended(progress):
        yield say("note.amended")
    if as_of is not None:
        yield say("note.as-of", time=f"{as_of:%H:%M}", day=language.day(as_of))
    if any(marks.gaps(used)):
        yield say("note.gap")
    if sessions:
        yield say("note.sessions")


def wrapped(found: Iterator[str], *, width: int) -> list[str]:
    """The sentences in lines of the small print."""
    return [line for note in found for line in lines(note, width=width - 16, size=10)]


def _meaning(cutoff: ProgressCutoff, language: Language) -> str:
    """Of a published one in the definition's words, which are English."""
    if cutoff.kind == "published":
        return cutoff.meaning
    return language.say("note.jacobson-truax", letter=cutoff.id.rpartition("-")[2])


def cutoff_known(cutoff: ProgressCutoff, language: Language) -> str:
    """How well a cutoff is known."""
    kind = "published" if cutoff.kind == "published" else "computed"
    return language.say(f"note.{kind}.{cutoff.evidence}")


def basis(reliable: ReliableChange | PublishedChange, language: Language) -> str:
    """Which figures the band is drawn by, and how well they are known."""
    known = language.say(f"note.evidence.{reliable.given.evidence}")
    if isinstance(reliable, PublishedChange):
        return language.say("note.basis-published", evidence=known)
    return language.say(
        "note.basis",
        method="-".join(name.capitalize() for name in _method(reliable).split("-")),
        sd=language.number(reliable.sd),
        reliability=language.number(reliable.reliability),
        evidence=known,
    )


def _method(reliable: ReliableChange) -> str:
    return reliable.method if isinstance(reliable, RegressedChange) else METHOD
