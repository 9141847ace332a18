"""Which definition a row names, ready to score many forms with; the same answer as for a request."""

from __future__ import annotations

import uuid
from typing import Any, Final, NamedTuple

import psycopg

import instruments
from api.alerts.settings import NOTHING, settings_of
from api.catalogue.own import OWN_CODE, OWN_PREFIX, read_and_compile
from api.imports.scoring import Scorer
from instruments import Instrument, NotScorable, UnknownInstrument
from scoring import UnknownVariant

_VERSIONS: Final = "select version, retired from read_own_instrument(%s, %s)"
_DEFINITION: Final = (
    "select definition::text from own_instrument where organisation_id = %s and code = %s and version = %s"
)
_SETTINGS: Final = "select rules, guidance from read_alert_settings(%s)"
_MOST: Final = 64
"""Definitions kept at once; a file with more of them only takes longer."""


class Refused(NamedTuple):
    """Why there is none: the member that is wrong, a code, and what would be right."""

    pointer: str
    code: str
    detail: str


class Definitions:
    """The instruments of one organisation, for one import."""

    def __init__(
        self, connection: psycopg.Connection[Any], organisation_id: uuid.UUID, *, status_of_alerts: str
    ) -> None:
        self._connection = connection
        self._organisation_id = organisation_id
        row = connection.execute(_SETTINGS, (organisation_id,)).fetchone()
        self._settings = NOTHING if row is None else settings_of(*row)
        self._status = status_of_alerts
        self._kept: dict[tuple[str, int | None, str | None], Scorer | Refused] = {}

    def scorer(self, code: str, version: int | None, variant: str | None) -> Scorer | Refused:
        """What scores forms of a version (the newest in use unless one is named) under a variant."""
        key = (code, version, variant)
        found = self._kept.get(key)
        if found is None:
            if len(self._kept) >= _MOST:
                self._kept.clear()
            found = self._kept[key] = self._made(*key)
        return found

    def _made(self, code: str, version: int | None, variant: str | None) -> Scorer | Refused:
        instrument = self._own(code, version) if code.startswith(OWN_PREFIX) else _shipped(code, version)
        if isinstance(instrument, Refused):
            return instrument
        try:
            return Scorer(instrument, variant, self._settings, self._status)
        except UnknownVariant as error:
            return Refused("/variant", "unknown-variant", f"has to be one of {', '.join(error.known)}")

    def _own(self, code: str, version: int | None) -> Instrument | Refused:
        if OWN_CODE.fullmatch(code) is None:
            return _UNKNOWN
        known = self._connection.execute(_VERSIONS, (self._organisation_id, code)).fetchall()
        named = [found for found in known if version is None or found[0] == version]
        for number, retired in named:
            if not retired:
                row = self._connection.execute(_DEFINITION, (self._organisation_id, code, number)).fetchone()
                return _UNKNOWN if row is None else read_and_compile(row[0])
        if named:
            return Refused("/instrument", "instrument-retired", "takes no new responses; name a version in use")
        return _unknown_version([found[0] for found in known]) if known else _UNKNOWN


_UNKNOWN: Final = Refused("/instrument", "unknown-instrument", "is a code of /v1/instruments")


def _shipped(code: str, version: int | None) -> Instrument | Refused:
    try:
        return instruments.load(code, version)
    except NotScorable:
        detail = "is one that can be scored; its entry in /v1/instruments says which facts are missing"
        return Refused("/instrument", "instrument-not-scorable", detail)
    except UnknownInstrument:
        known = instruments.catalogue().versions.get(code, ())
        return _unknown_version(known) if known else _UNKNOWN


def _unknown_version(known: Any) -> Refused:
    return Refused("/version", "unknown-version", f"has to be one of {', '.join(map(str, sorted(known)))}")
