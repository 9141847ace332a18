"""Responses as a later run has scored them (`api.rescoring`): their current document, made of the recorded one."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

import orjson
from sqlalchemy import ColumnElement, Executable, literal, select, tuple_
from sqlalchemy.orm import aliased
from sqlmodel import col

import scoring
from api.catalogue.service import provenance
from api.rescoring.tables import RescoredRow, RescoringEffectRow, RescoringRow
from api.responses.tables import ResponseRow
from instruments import Instrument
from scoring.situation import RULES

PATH: Final = "/v1/responses"
_JSON: Final = orjson.OPT_UTC_Z


class Rescored(NamedTuple):
    """The run whose scores of a response are meant: from when on they count, and the definition that made them."""

    id: uuid.UUID
    at: datetime
    version: int
    checksum: str
    withdrawn_at: datetime | None = None


class Stored(NamedTuple):
    """One scale of one response by a run."""

    value: float | None
    status: str
    valid: bool


def _runs(as_of: datetime | None = None) -> Any:
    """Runs that were applied, with what :class:`Rescored` says of each; newest first."""
    applied, withdrawn = aliased(RescoringEffectRow), aliased(RescoringEffectRow)
    gone = (
        (col(withdrawn.organisation_id) == col(RescoringRow.organisation_id))
        & (col(withdrawn.rescoring_id) == col(RescoringRow.id))
        & (col(withdrawn.effect) == "withdrawn")
    )
    query: Any = (
        select(
            col(RescoringRow.id),
            col(applied.at),
            col(RescoringRow.to_version),
            col(RescoringRow.to_checksum),
            col(withdrawn.at).label("withdrawn_at"),
        )
        .join(
            applied,
            (col(applied.organisation_id) == col(RescoringRow.organisation_id))
            & (col(applied.rescoring_id) == col(RescoringRow.id))
            & (col(applied.effect) == "applied"),
        )
        .outerjoin(withdrawn, gone if as_of is None else gone & (col(withdrawn.at) <= as_of))
        .order_by(col(applied.at).desc(), col(RescoringRow.id).desc())
    )
    return query if as_of is None else query.where(col(applied.at) <= as_of)


def _scored(response_id: Any) -> ColumnElement[bool]:
    """That a run has scores of a response."""
    scored = select(literal(1)).where(
        col(RescoredRow.organisation_id) == col(RescoringRow.organisation_id),
        col(RescoredRow.response_id) == response_id,
        col(RescoredRow.rescoring_id) == col(RescoringRow.id),
    )
    return scored.correlate(RescoringRow, ResponseRow).exists()


def current(as_of: datetime | None) -> Any:
    """The run by which each row of `response` counts, now or at a time; no row where it counts as recorded."""
    runs = _runs(as_of).where(
        col(RescoringRow.organisation_id) == col(ResponseRow.organisation_id),
        col(RescoringRow.instrument) == col(ResponseRow.instrument),
        _scored(col(ResponseRow.id)),
    )
    withdrawn_at = runs.selected_columns["withdrawn_at"]
    return runs.where(withdrawn_at.is_(None)).limit(1).correlate(ResponseRow).lateral("rescored_by")


def every(organisation_id: uuid.UUID, response_id: uuid.UUID) -> Executable:
    """All runs that were ever applied and have scores of a response, newest first."""
    found: Executable = _runs().where(col(RescoringRow.organisation_id) == organisation_id, _scored(response_id))
    return found


def scores(organisation_id: uuid.UUID, pairs: list[tuple[uuid.UUID, uuid.UUID]]) -> Executable:
    """The stored scores of some pairs of response and run."""
    return select(
        col(RescoredRow.response_id),
        col(RescoredRow.scale),
        col(RescoredRow.value),
        col(RescoredRow.status),
        col(RescoredRow.valid),
    ).where(
        col(RescoredRow.organisation_id) == organisation_id,
        tuple_(col(RescoredRow.response_id), col(RescoredRow.rescoring_id)).in_(pairs),
    )


def document(
    recorded: str,
    answers: str,
    variant: str,
    by: Rescored,
    stored: Mapping[str, Stored],
    instrument: Instrument | None,
) -> str:
    """The recorded document with the scores of a run in place of its own. JSON text in and out.

    The values are those that the run has stored. What they are read as is by its definition, which has to be at hand
    unchanged. Alerts stay those of the day on which the answers came in, and so does what was said of the situation.
    """
    made: dict[str, Any] = orjson.loads(recorded)
    made |= {"version": by.version, "provenance": made["provenance"] | {"definition": by.checksum}}
    before, read = made["scores"], {}
    if instrument is not None and instrument.checksum == by.checksum:
        result = scoring.score(instrument, orjson.loads(answers), variant=variant).document()
        situation = [flag for flag in made["flags"] if flag["id"] in RULES]
        made |= {name: result[name] for name in ("caseness", "needs_review", "skipped")}
        made |= {"flags": result["flags"] + situation, "provenance": dict(provenance(instrument))}
        read = result["scores"]
    order = [scale for scale in read if scale in stored] + sorted(stored.keys() - read.keys())
    made["scores"] = {scale: _score(stored[scale], read.get(scale), before.get(scale)) for scale in order}
    return orjson.dumps(made, option=_JSON).decode()


def _score(stored: Stored, read: dict[str, Any] | None, before: dict[str, Any] | None) -> dict[str, Any]:
    said = stored._asdict()
    if read is not None and all(read[name] == value for name, value in said.items()):
        return read
    counts = before or {"answered": 0, "missing": 0, "not_applicable": 0}
    counted = {name: counts[name] for name in ("answered", "missing", "not_applicable")}
    unread: dict[str, Any] = {"reason": None, "band": None, "band_set": None, "cutoffs": [], "flags": []}
    return said | counted | unread


def told(by: Rescored, version: int, response_id: uuid.UUID, revision: int) -> dict[str, Any]:
    """What a current document says of the run, and where the recorded one is."""
    return {
        "id": str(by.id),
        "applied_at": by.at,
        "recorded_version": version,
        "recorded": f"{PATH}/{response_id}/versions/{revision}",
    }


def scorings(version: int, checksum: str, at: datetime, runs: list[Rescored]) -> Iterator[dict[str, Any]]:
    """All scores that a version of a response has, oldest first: which are current, and which no longer count."""
    holding = next((run.id for run in runs if run.withdrawn_at is None), None)
    yield _scoring(None, version, checksum, at, None, current=holding is None)
    for run in reversed(runs):
        yield _scoring(run.id, run.version, run.checksum, run.at, run.withdrawn_at, current=run.id == holding)


def _scoring(
    run: uuid.UUID | None, version: int, checksum: str, at: datetime, withdrawn_at: datetime | None, *, current: bool
) -> dict[str, Any]:
    return {
        "rescoring": run,
        "version": version,
        "definition": checksum,
        "at": at,
        "withdrawn_at": withdrawn_at,
        "current": current,
    }
