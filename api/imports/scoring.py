"""Scores and documents of many forms of one instrument, the same as recording makes of each.

All forms of a frame are scored at once by `scoring.evaluate_frame`. What is written of a form besides is put together
from pieces: of a complete form with nothing special about it, what is said of a scale depends on the scale's value
alone, so each piece is made once, from a form that was scored by itself, and looked up for all others. Any other form
(answers missing, flags, alerts, faults) is scored by itself as a request is.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import orjson
import pandas as pd

import scoring
from api.alerts.raising import raised
from api.alerts.settings import AlertSettings
from api.imports.rows import ImportedResponse, made_id
from api.responses.recording import AlertToRecord
from api.responses.schemas import ResponseCreate
from api.responses.service import document_of
from instruments import Instrument
from scoring.plan import Plan, plan_of

_JSON: Final = orjson.OPT_UTC_Z
_MOST_KEPT: Final = 4_096
"""Pieces kept of one scale; beyond, a form is scored by itself."""
_UNKNOWN: Final = uuid.UUID(int=0)


@dataclass(slots=True)
class Scored:
    """What is kept of one form: JSON texts, and a row for each scale in the order of the instrument."""

    answers: str
    document: str
    """Without the flags of the client's situation, which is the array at its end."""
    values: Sequence[float | None]
    statuses: Sequence[str]
    valids: Sequence[bool]
    valid: bool
    alerts: Sequence[AlertToRecord] = ()


@dataclass(frozen=True, slots=True)
class Head:
    """What a document says besides the result."""

    response_id: uuid.UUID
    client_id: uuid.UUID
    body: ImportedResponse


class Scorer:
    """One instrument under one variant.

    ``settings`` are the thresholds and guidance of the organisation; ``status`` is that which alerts begin with.
    """

    def __init__(self, instrument: Instrument, variant: str | None, settings: AlertSettings, status: str) -> None:
        self.instrument = instrument
        self._settings = settings
        self._status = status
        self.plan: Plan = plan_of(instrument, variant)
        self.variant = self.plan.variant
        self.scales = [scale.id for scale in self.plan.scales]
        self.names = f"{{{','.join(self.scales)}}}"
        """As an array of PostgreSQL's: ids of scales need no quotes."""
        self._pieces: list[dict[float, str]] = [{} for _ in self.scales]
        self._complete = ["complete"] * len(self.scales)
        self._valid = [True] * len(self.scales)
        self._tails: dict[tuple[bool, ...], tuple[str, str]] = {}
        # Which goals are in use is different in each form, and thresholds of an organisation are tried on each.
        self._no_pieces = any(scale.goals is not None for scale in self.plan.scales) or bool(
            settings.tests(instrument, self.variant)
        )

    def score(self, heads: Sequence[Head], recorded_at: datetime) -> list[Scored | scoring.InvalidAnswers]:
        """What is kept of each form, or what is wrong with its answers."""
        forms = [head.body.answers for head in heads]
        plain, frame = self._plain(forms)
        made: list[Scored | scoring.InvalidAnswers] = []
        at = orjson.dumps(recorded_at, option=_JSON).decode()
        values = [frame[scale].tolist() for scale in self.scales] if frame is not None else []
        caseness = [frame[name].tolist() for name, _ in self.plan.caseness] if frame is not None else []
        columns = list(zip(*values, strict=True)) if values else []
        cases = list(zip(*caseness, strict=True)) if caseness else [()] * len(forms)
        for number, head in enumerate(heads):
            if not plain[number]:
                made.append(self._by_itself(head, recorded_at))
                continue
            points = columns[number]
            try:
                pieces = ",".join([kept[value] for kept, value in zip(self._pieces, points, strict=True)])
                before, after = self._tails[cases[number]]
            except KeyError:
                self._learn(head.body.answers, points, cases[number])
                made.append(self._by_itself(head, recorded_at))
                continue
            body = head.body
            told = "null" if body.episode_id is None else f'"{body.episode_id}"'
            outside = "true" if body.episode_id is None else "false"
            setting = "null" if body.setting is None else orjson.dumps(body.setting).decode()
            document = (
                f'{{"id":"{head.response_id}","client_id":"{head.client_id}","episode_id":{told},'
                f'"outside_episode":{outside},"setting":{setting},"partnered":{_TRUTH[body.partnered]},'
                f'"active":{_TRUTH[body.active]},"answered_at":{orjson.dumps(body.answered_at, option=_JSON).decode()},'
                f'"recorded_at":{at},{before}{pieces}{after}'
            )
            answers = orjson.dumps(body.answers).decode()
            made.append(Scored(answers, document, points, self._complete, self._valid, True))
        return made

    def _plain(self, forms: Sequence[Mapping[str, Any]]) -> tuple[npt.NDArray[np.bool_], pd.DataFrame | None]:
        """Which forms are complete with nothing special about them, and the scores of all."""
        nothing = np.zeros(len(forms), np.bool_)
        if self._no_pieces or not forms:
            return nothing, None
        # A member that is no item is a fault, which a frame would pass over.
        columns = {name: [form.get(name) for form in forms] for name in (item.id for item in self.plan.items)}
        plain = np.array([len(form) == len(columns) for form in forms])
        frame = pd.DataFrame({name: _column(cells) for name, cells in columns.items()})
        result = scoring.evaluate_frame(self.instrument, frame, variant=self.variant, alerts=True)
        for item in self.plan.items:
            cells = _numbers(columns[item.id])
            plain &= ~np.isnan(cells)
            if item.not_applicable:
                plain &= ~np.isin(cells, sorted(item.not_applicable))
        for fault in result.faults:
            plain[fault.row] = False
        for holds in result.alerts.values():
            plain &= ~holds
        plain &= (result.scores["flags"] == "").to_numpy()
        for scale in self.scales:
            plain &= (result.scores[f"{scale}_status"] == "complete").to_numpy()
        return plain, result.scores

    def _learn(self, answers: Mapping[str, Any], points: Sequence[float], cases: tuple[bool, ...]) -> None:
        """Keep the pieces of a plain form."""
        result = scoring.score(self.instrument, answers, variant=self.variant)
        for kept, value, scale in zip(self._pieces, points, self.scales, strict=True):
            if len(kept) < _MOST_KEPT:
                kept[value] = f'"{scale}":{orjson.dumps(result.scores[scale].document).decode()}'
        if cases not in self._tails and len(self._tails) < _MOST_KEPT:
            result.scores = {}
            whole = document_of(_NOBODY, result, self.instrument, _UNKNOWN, _NOBODY.answered_at)
            members = {name: value for name, value in whole.items() if name not in _HEAD}
            text = orjson.dumps(members, default=str, option=_JSON).decode()
            before, _, after = text[1:].partition('"scores":{')
            self._tails[cases] = f'{before}"scores":{{', after

    def _by_itself(self, head: Head, recorded_at: datetime) -> Scored | scoring.InvalidAnswers:
        try:
            result = scoring.score(self.instrument, head.body.answers, variant=self.variant)
        except scoring.InvalidAnswers as error:
            return error
        body = ResponseCreate.model_construct(**dict(head.body) | {"client_id": head.client_id})
        found = raised(
            self._settings,
            self.instrument,
            result,
            head.body.answers,
            make_id=lambda label: _alert_id(head, label),
            status=self._status,
        )
        document = document_of(body, result, self.instrument, head.response_id, recorded_at, found)
        scores = list(result.scores.values())
        return Scored(
            orjson.dumps(head.body.answers).decode(),
            orjson.dumps(document, default=str, option=_JSON).decode(),
            [score.value for score in scores],
            [score.status for score in scores],
            [score.valid for score in scores],
            result.valid,
            found.alerts,
        )


_TRUTH: Final = {None: "null", True: "true", False: "false"}
_HEAD: Final = frozenset(
    {"id", "client_id", "episode_id", "outside_episode", "setting", "partnered", "active", "answered_at", "recorded_at"}
)
_NOBODY: Final = ResponseCreate.model_construct(
    client_id=_UNKNOWN,
    instrument="",
    answered_at=datetime(1970, 1, 1, tzinfo=UTC),
    answers={},
    setting=None,
    episode_id=None,
    partnered=None,
    active=None,
)


def _alert_id(head: Head, label: str) -> uuid.UUID:
    """Made of the response's own id, so that a batch that is made again has the same."""
    return made_id(head.body.answered_at, hashlib.sha256(head.response_id.bytes + label.encode()).digest())


def _numbers(cells: list[Any]) -> npt.NDArray[np.float64]:
    """Numbers as they are, NaN for anything else."""
    if set(map(type, cells)) <= {int, float}:
        return np.array(cells, np.float64)
    return np.array([cell if type(cell) in (int, float) else np.nan for cell in cells], np.float64)


def _column(cells: list[Any]) -> pd.Series[Any]:
    """Whole numbers and fractions as floats, NaN where unanswered; anything else as it is."""
    kinds = set(map(type, cells)) - {type(None)}
    return pd.Series(cells, dtype="float64" if kinds <= {int, float} else "object")
