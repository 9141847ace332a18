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
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import repeat
from typing import Any, Final

import numpy as np
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
        self.complete = ("complete",) * len(self.scales)
        self.usable = (True,) * len(self.scales)
        """What plain forms have, always these very objects."""
        self.states = states_of(self.complete, self.usable)
        self.by = f"{instrument.code}\t{instrument.version}\t{instrument.checksum}\t{self.variant}"
        """What made the scores, as cells of COPY."""
        self._tails: dict[tuple[bool, ...], tuple[str, str]] = {}
        # Which goals are in use is different in each form, and thresholds of an organisation are tried on each.
        self._no_pieces = any(scale.goals is not None for scale in self.plan.scales) or bool(
            settings.tests(instrument, self.variant)
        )

    def score(self, heads: Sequence[Head], recorded_at: datetime) -> list[Scored | scoring.InvalidAnswers]:
        """What is kept of each form, or what is wrong with its answers."""
        plain = self._plain([head.body.answers for head in heads])
        made: list[Scored | scoring.InvalidAnswers] = []
        at = orjson.dumps(recorded_at, option=_JSON).decode()
        for number, head in enumerate(heads):
            if number not in plain:
                made.append(self._by_itself(head, recorded_at))
                continue
            points, cases = plain[number]
            body = head.body
            try:
                pieces = ",".join([kept[value] for kept, value in zip(self._pieces, points, strict=True)])
                before, after = self._tails[cases]
            except KeyError:
                self._learn(body.answers, points, cases)
                made.append(self._by_itself(head, recorded_at))
                continue
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
            made.append(Scored(answers, document, points, self.complete, self.usable, True))
        return made

    def _plain(self, forms: Sequence[Mapping[str, Any]]) -> dict[int, tuple[tuple[float, ...], tuple[bool, ...]]]:
        """The forms that are complete with nothing special about them: their scores, and which caseness rules hold."""
        if self._no_pieces:
            return {}
        names = [item.id for item in self.plan.items]
        places, rows = [], []
        for number, form in enumerate(forms):
            if len(form) == len(names):  # a member that is no item is a fault, which a frame would pass over
                with suppress(KeyError):
                    cells = [form[name] for name in names]
                    if _NUMBERS.issuperset(map(type, cells)):
                        places.append(number)
                        rows.append(cells)
        if not rows:
            return {}
        cells_of = np.array(rows, np.float64, order="F")
        result = scoring.evaluate_frame(
            self.instrument, pd.DataFrame(cells_of, columns=names), variant=self.variant, alerts=True
        )
        plain = (result.scores["flags"] == "").to_numpy(copy=True)
        for place, item in enumerate(self.plan.items):
            if item.not_applicable:
                plain &= ~np.isin(cells_of[:, place], sorted(item.not_applicable))
        for fault in result.faults:
            plain[fault.row] = False
        for holds in result.alerts.values():
            plain &= ~holds
        for scale in self.scales:
            plain &= (result.scores[f"{scale}_status"] == "complete").to_numpy()
        points = zip(*(result.scores[scale].tolist() for scale in self.scales), strict=True)
        named = [result.scores[name].tolist() for name, _ in self.plan.caseness]
        cases = zip(*named, strict=True) if named else repeat(())
        return {
            place: (of_it, holds)
            for place, is_plain, of_it, holds in zip(places, plain.tolist(), points, cases, strict=False)
            if is_plain
        }

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


_NUMBERS: Final = frozenset({int, float})


def states_of(statuses: Sequence[str], valids: Sequence[bool]) -> str:
    """Statuses, and whether each score may be used, as two cells of COPY: arrays, whose words need no quotes."""
    return f"{{{','.join(statuses)}}}\t{{{','.join(['t' if valid else 'f' for valid in valids])}}}"


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
