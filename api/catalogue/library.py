"""Which definition a code and version name, for an organisation: the one place where that is decided.

Shipped instruments are found in memory and cost nothing more than that. Only a code that begins as those of own
instruments do is asked of the database, where row-level security shows an organisation what is its own.
"""

from __future__ import annotations

import uuid
from collections import ChainMap
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Final, TypeVar

from fastapi import Depends, Request

import instruments
from api.catalogue.own import OWN_PREFIX, OwnInstruments, OwnVersion
from api.inline import inline
from api.problems import NotFound, Problem, RequestInvalid
from instruments import Instrument, NotScorable, UnknownInstrument

T = TypeVar("T")

UNKNOWN: Final = "There is no such instrument, or no such version of it."


class InstrumentRetired(Problem):
    """The version was retired: it takes no new responses, and everything recorded with it stays."""

    status, slug, title = 409, "instrument-retired", "The instrument takes no new responses"


@dataclass(frozen=True)
class Shelf:
    """Definitions at hand without waiting: all shipped ones, and the own ones that were asked for."""

    own: Mapping[str, Mapping[int, Instrument]]

    @property
    def versions(self) -> Mapping[str, Collection[int]]:
        """Code to its versions, as far as they are at hand."""
        return ChainMap(instruments.catalogue().versions, self.own)  # type: ignore[arg-type]  # it is only read

    def get(self, code: str, version: int | None = None) -> Instrument:
        """A definition; the newest version unless one is named. Raises :class:`UnknownInstrument`."""
        if not code.startswith(OWN_PREFIX):
            return instruments.load(code, version)
        found = self.own.get(code, {})
        number = max(found, default=0) if version is None else version
        if number not in found:
            raise UnknownInstrument(code, version)
        return found[number]


class Library:
    """The instruments that organisations may use. One object a process (`app.state.library`)."""

    def __init__(self, own: OwnInstruments) -> None:
        self.own = own

    async def get(self, organisation_id: uuid.UUID, code: str, version: int | None = None) -> Instrument:
        """The definition of a version, retired ones too; or of the newest in use, or of the newest if none is.

        Raises
        ------
        UnknownInstrument
            Neither shipped nor this organisation's.
        """
        if not code.startswith(OWN_PREFIX):
            return instruments.load(code, version)
        known = await self.own.versions(organisation_id, code)
        found = _newest(known) if version is None else next((one for one in known if one.version == version), None)
        if found is None:
            raise UnknownInstrument(code, version)
        return await self.own.definition(organisation_id, code, found)

    async def names(self, organisation_id: uuid.UUID, codes: Iterable[str]) -> dict[str, str]:
        """What instruments are called, by code; the code itself where there is no such instrument any more."""
        found = {}
        for code in sorted({*codes}):
            try:
                found[code] = (await self.get(organisation_id, code)).name
            except (UnknownInstrument, NotScorable):
                found[code] = code
        return found

    async def of_path(self, organisation_id: uuid.UUID, code: str, version: int | None = None) -> Instrument:
        """The instrument that a path names; :class:`NotFound` where there is none."""
        try:
            return await self.get(organisation_id, code, version)
        except NotScorable as error:
            missing = list(error.listed.missing)
            raise NotFound("It is listed, and cannot be scored as facts are missing.", missing=missing) from None
        except UnknownInstrument:
            raise NotFound(UNKNOWN) from None

    async def of_body(self, organisation_id: uuid.UUID, code: str, version: int | None) -> Instrument:
        """The instrument that a body names; :class:`RequestInvalid` points at the member that is wrong."""
        try:
            return await self.get(organisation_id, code, version)
        except UnknownInstrument:
            raise _refused(code, await self.versions(organisation_id, code)) from None

    async def to_record(self, organisation_id: uuid.UUID, code: str, version: int | None) -> Instrument:
        """The same for a new response: the newest version in use, unless one is named.

        Raises
        ------
        RequestInvalid
            No such instrument or version.
        InstrumentRetired
            It was retired, or every version was.
        """
        if not code.startswith(OWN_PREFIX):
            try:
                return instruments.load(code, version)
            except UnknownInstrument:
                raise _refused(code, instruments.catalogue().versions.get(code, ())) from None
        known = await self.own.versions(organisation_id, code)
        named = [found for found in known if version is None or found.version == version]
        for found in named:
            if not found.retired:
                return await self.own.definition(organisation_id, code, found)
        if named:
            raise InstrumentRetired("Record with a version that is in use; GET /v1/instruments lists them.")
        raise _refused(code, sorted(found.version for found in known))

    async def versions(self, organisation_id: uuid.UUID, code: str) -> tuple[int, ...]:
        """The versions of a code, oldest first; none where there is no such instrument."""
        if not code.startswith(OWN_PREFIX):
            return instruments.catalogue().versions.get(code, ())
        return tuple(sorted(found.version for found in await self.own.versions(organisation_id, code)))

    async def comparable(self, organisation_id: uuid.UUID, instrument: Instrument) -> tuple[int, ...]:
        """Versions whose scores may be put beside one's: itself, and each that either declares comparable.

        What is declared holds both ways, but is not carried on: as progress has it. Of own instruments, by the versions
        that there were at most some seconds ago.
        """
        code, version = instrument.code, instrument.version
        if not code.startswith(OWN_PREFIX):
            kept: tuple[int, ...] | None = instrument.compiled.get(_COMPARABLE)
            if kept is None:
                known = instruments.catalogue().versions.get(code, ())
                later = [instruments.load(code, other) for other in known if other > version]
                kept = instrument.compiled[_COMPARABLE] = _beside(instrument, later)
            return kept
        own = (await self.own.all(organisation_id)).get(code, ())
        later = [await self.own.definition(organisation_id, code, other) for other in own if other.version > version]
        return _beside(instrument, later)

    async def published(self, organisation_id: uuid.UUID, code: str) -> list[OwnVersion]:
        """Each version of a code with the checksum of its definition, oldest first. Shipped ones are never retired."""
        if not code.startswith(OWN_PREFIX):
            versions = instruments.catalogue().versions.get(code, ())
            return [OwnVersion(version, instruments.load(code, version).checksum, False) for version in versions]
        return [*reversed(await self.own.versions(organisation_id, code))]

    async def own_newest(
        self, organisation_id: uuid.UUID, tell: Callable[[Instrument], T]
    ) -> list[tuple[T, OwnVersion]]:
        """What a function tells of the newest version in use, or the newest of all, of each own instrument."""
        found = []
        for code, versions in (await self.own.all(organisation_id)).items():
            if (newest := _newest(versions)) is not None:
                found.append((await self.own.listed(organisation_id, code, newest, tell), newest))
        return found

    async def shelf(
        self, organisation_id: uuid.UUID, codes: Iterable[str], used: Mapping[str, Collection[int]] | None = None
    ) -> Shelf:
        """Definitions for code that cannot wait: of each own code the newest version, and those in ``used``."""
        own: dict[str, dict[int, Instrument]] = {}
        for code in dict.fromkeys(code for code in codes if code.startswith(OWN_PREFIX)):
            known = await self.own.versions(organisation_id, code)
            newest = _newest(known)
            if newest is not None:
                wanted = {*(used or {}).get(code, ()), newest.version}
                own[code] = {
                    found.version: await self.own.definition(organisation_id, code, found)
                    for found in known
                    if found.version in wanted
                }
        return Shelf(own)


_COMPARABLE: Final = ("comparable",)


def _beside(instrument: Instrument, later: Iterable[Instrument]) -> tuple[int, ...]:
    """Only later versions can declare this one comparable: what a version declares is earlier than it."""
    declared = {one.version for one in instrument.comparable_with}
    of_later = {
        one.version for one in later if any(other.version == instrument.version for other in one.comparable_with)
    }
    return tuple(sorted({instrument.version} | declared | of_later))


def _newest(known: Sequence[OwnVersion]) -> OwnVersion | None:
    """Of versions, newest first, the first in use; the first of all where none is; None where there are none."""
    return next((one for one in known if not one.retired), known[0] if known else None)


def _refused(code: str, versions: Collection[int]) -> RequestInvalid:
    listed = instruments.catalogue().listed.get(code)
    if listed is not None:
        detail = "is one that can be scored; its entry in /v1/instruments says which facts are missing"
        fault = {"pointer": "/instrument", "code": "instrument-not-scorable", "detail": detail}
    elif not versions:
        fault = {"pointer": "/instrument", "code": "unknown-instrument", "detail": "is a code of /v1/instruments"}
    else:
        detail = f"has to be one of {', '.join(map(str, versions))}"
        fault = {"pointer": "/version", "code": "unknown-version", "detail": detail}
    return RequestInvalid(errors=[fault])


def library_of(request: Request) -> Library:
    """The library of the application that serves this request."""
    library: Library = request.app.state.library
    return library


LibraryDep = Annotated[Library, Depends(inline(library_of))]
