"""The rules about wording: versions that are only added, licences that run out, forms where there is a right to one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any, Final, NamedTuple

import asyncpg
import orjson
from sqlalchemy.exc import IntegrityError

from api.catalogue.library import Library
from api.catalogue.service import PATH
from api.conditional import etag, require_match
from api.ids import new_id
from api.paging import decode_cursor, encode_cursor
from api.problems import NotFound, PreconditionFailed, PreconditionRequired, RequestInvalid
from api.records.audit import Audit
from api.wordings import schemas
from api.wordings.forms import form_of
from api.wordings.problems import LicenceExpired, LicenceNotYetValid, WordingMissing
from api.wordings.repository import NO_END, Key, State, WordingRepository
from api.wordings.submission import STATEMENT, Submission
from api.wordings.tables import WordingPackRow
from instruments import Instrument
from instruments.languages import canonical, chain
from instruments.wording import Pack, printed

UNKNOWN: Final = "The organisation holds no such wording."
SOON: Final = 30
"""Days before its end from which a licence counts as running out, unless the caller says otherwise."""
_UNIQUE: Final = "uq_wording_pack_pack_version"


def state_of(row: WordingPackRow, today: date, within: int = SOON) -> tuple[State, int | None]:
    """What a pack's licence is worth on a day, and the days until its last; the same as in the repository's query."""
    left = None if row.valid_until is None else (row.valid_until - today).days
    if row.withdrawn:
        return "withdrawn", left
    if row.valid_from > today:
        return "not-yet-valid", left
    if left is None or left > within:
        return "held", left
    return ("expired" if left < 0 else "expiring"), left


def today() -> date:
    """The day in UTC, by which licences begin and end."""
    return datetime.now(UTC).date()


def language_of(tag: str, where: str) -> str:
    """The canonical form of a language that a parameter names; :class:`RequestInvalid` where it is none."""
    try:
        return canonical(tag)
    except ValueError:
        raise _wrong("language", where, "language-tag", "is a language tag (BCP 47), such as pt-BR") from None


def variant_of(instrument: Instrument, variant: str | None) -> str:
    """The variant that a parameter names, or the default one."""
    if variant is None:
        return instrument.variant_ids[0]
    if variant not in instrument.variant_ids:
        raise _wrong("variant", "query", "unknown-variant", f"has to be one of {', '.join(instrument.variant_ids)}")
    return variant


def _form_of(instrument: Instrument, form: str | None) -> str | None:
    known = [form.id for form in instrument.forms]
    if form is None and known:
        raise _wrong("form", "query", "missing", f"has to be one of {', '.join(known)}")
    if form is not None and form not in known:
        detail = f"has to be one of {', '.join(known)}" if known else "is left out: the instrument has one form only"
        raise _wrong("form", "query", "unknown-form", detail)
    return form


def _wrong(name: str, where: str, code: str, detail: str) -> RequestInvalid:
    return RequestInvalid(errors=[{"parameter": name, "in": where, "code": code, "detail": detail}])


class Named(NamedTuple):
    """What a path and its query name a wording by; without a version, of the newest one."""

    code: str
    version: int | None
    language: str
    variant: str | None


def url_of(row: WordingPackRow | Key) -> str:
    """Where the newest version of a pack is."""
    path = f"{PATH}/{row.instrument}/versions/{row.instrument_version}/wordings/{row.language}"
    return f"{path}?variant={row.variant}"


@dataclass(frozen=True, slots=True)
class Wordings:
    """The wording of one organisation, for one request."""

    repository: WordingRepository
    library: Library
    audit: Audit

    async def instrument(self, code: str, version: int | None) -> Instrument:
        """The instrument that a path names; :class:`NotFound` where there is none."""
        return await self.library.of_path(self.repository.organisation_id, code, version)

    async def find(self, named: Named) -> tuple[Instrument, Key]:
        """The instrument, and which of its packs is meant: variants that print the same form share one.

        Raises
        ------
        NotFound, RequestInvalid
        """
        instrument = await self.instrument(named.code, named.version)
        language = language_of(named.language, "path")
        variant = printed(instrument, variant_of(instrument, named.variant))
        return instrument, Key(instrument.code, instrument.version, language, variant)

    async def put(self, key: Key, submission: Submission, if_match: str | None) -> WordingPackRow:
        """A further version of a pack, or the first.

        Raises
        ------
        PreconditionRequired, PreconditionFailed
            There is one, and the caller does not say, or is mistaken about, which it replaces.
        """
        newest = await self.repository.newest(key)
        await self._expect(newest, if_match, "put")
        attestation = submission.attestation
        row = self._row(
            key,
            newest,
            withdrawn=False,
            pack=orjson.dumps(submission.pack.model_dump(exclude_none=True)).decode(),
            holder=attestation.holder,
            licence_reference=attestation.licence_reference,
            statement=STATEMENT,
            valid_from=attestation.valid_from,
            valid_until=attestation.valid_until,
        )
        return await self._add(row, "put")

    async def withdraw(self, named: Named, if_match: str | None) -> None:
        """End the use of a pack. Its versions stay; raises as :meth:`put`, and `NotFound` where there is none."""
        _, key = await self.find(named)
        newest = await self.repository.newest(key)
        if newest is None or newest.withdrawn:
            await self.audit.refused("withdraw", "wording", None, "not-found")
            raise NotFound(UNKNOWN)
        await self._expect(newest, if_match, "withdraw")
        kept = ("holder", "licence_reference", "statement", "valid_from", "valid_until")
        await self._add(
            self._row(key, newest, withdrawn=True, **{name: getattr(newest, name) for name in kept}), "withdraw"
        )

    async def get(self, named: Named) -> WordingPackRow:
        """The newest version of a pack; :class:`NotFound` where there is none, or where it was withdrawn."""
        _, key = await self.find(named)
        row = await self.repository.newest(key)
        if row is None or row.withdrawn:
            raise NotFound(UNKNOWN)
        return row

    async def version(self, named: Named, number: int) -> WordingPackRow:
        """One version of a pack, also of one that was replaced or withdrawn."""
        _, key = await self.find(named)
        row = await self.repository.version(key, number)
        if row is None:
            raise NotFound(UNKNOWN)
        return row

    async def history(self, named: Named, cursor: str | None, limit: int) -> schemas.WordingHistory:
        """A page of a pack's versions, newest first."""
        _, key = await self.find(named)
        after = None if cursor is None else decode_cursor(cursor)[1]
        rows = await self.repository.history(key, after, limit + 1)
        if not rows and after is None:
            raise NotFound(UNKNOWN)
        more = encode_cursor(rows[limit - 1].recorded_at, rows[limit - 1].id) if len(rows) > limit else None
        return schemas.WordingHistory(items=[licence(row) for row in rows[:limit]], next=more)

    async def licences(
        self, *, within: int | None, state: State | None, instrument: str | None, cursor: str | None, limit: int
    ) -> schemas.LicencePage:
        """A page of the newest version of every pack. ``within`` days alone asks for what runs out by then."""
        after = None if cursor is None else decode_cursor(cursor)
        days = SOON if within is None else within
        rows = await self.repository.licences(
            today=today(),
            within=days,
            state="expiring" if state is None and within is not None else state,
            instrument=instrument,
            after=None if after is None else (after[0].date(), after[1]),
            limit=limit + 1,
        )
        last = rows[limit - 1] if len(rows) > limit else None
        until = None if last is None else datetime.combine(last.valid_until or NO_END, time(), UTC)
        more = None if last is None or until is None else encode_cursor(until, last.id)
        return schemas.LicencePage(items=[licence(row, days) for row in rows[:limit]], next=more)

    async def form(
        self, code: str, version: int | None, *, language: str | None, form: str | None, variant: str | None
    ) -> schemas.FormRead:
        """A form to show, in the language asked for or what it falls back to.

        Raises
        ------
        WordingMissing, LicenceExpired, LicenceNotYetValid
            There is no wording that may be used now; scoring is not affected.
        """
        instrument = await self.instrument(code, version)
        chosen, shape = variant_of(instrument, variant), _form_of(instrument, form)
        wanted = None if language is None else language_of(language, "query")
        rows = await self.repository.languages(instrument.code, instrument.version, printed(instrument, chosen))
        row = _usable(instrument, [row for row in rows if not row.withdrawn], wanted)
        _, left = state_of(row, today())
        own = instrument.licence
        return form_of(
            instrument,
            Pack.model_validate_json(row.pack or ""),
            variant=chosen,
            form=shape,
            language=row.language,
            pack_version=row.pack_version,
            licence=schemas.FormLicence(
                status=own.status,
                holder=own.holder,
                terms=own.terms,
                url=own.url,
                licence_reference=row.licence_reference,
                attested_holder=row.holder,
                valid_until=row.valid_until,
                days_left=left,
            ),
        )

    async def _expect(self, newest: WordingPackRow | None, if_match: str | None, action: str) -> None:
        live = None if newest is None or newest.withdrawn else newest
        try:
            if live is None and if_match is not None:
                raise PreconditionFailed("There is no wording here to replace; send it without If-Match.")
            if live is not None and if_match is None:
                raise PreconditionRequired("Send If-Match with the ETag of the wording that this replaces.")
            if live is not None:
                require_match(if_match, etag(live.id))
        except (PreconditionFailed, PreconditionRequired):
            await self.audit.refused(action, "wording", None if live is None else live.id, "stale")
            raise

    def _row(self, key: Key, newest: WordingPackRow | None, **members: Any) -> WordingPackRow:
        return WordingPackRow(
            organisation_id=self.repository.organisation_id,
            id=new_id(),
            pack_version=1 if newest is None else newest.pack_version + 1,
            recorded_at=datetime.now(UTC),
            recorded_by=self.audit.principal.subject,
            **key._asdict(),
            **members,
        )

    async def _add(self, row: WordingPackRow, action: str) -> WordingPackRow:
        try:
            await self.repository.add(row)
        except IntegrityError as error:
            cause = None if error.orig is None else error.orig.__cause__
            if not (isinstance(cause, asyncpg.UniqueViolationError) and cause.constraint_name == _UNIQUE):
                raise
            await self.audit.refused(action, "wording", None, "stale")
            raise PreconditionFailed("Somebody else has just written this wording; read it again.") from None
        self.audit.record(self.repository.session, action, "wording", row.id)
        return row


def _usable(instrument: Instrument, rows: Sequence[WordingPackRow], wanted: str | None) -> WordingPackRow:
    """The first pack in order of preference that may be used today; else the problem of the first that there is."""
    by_language = {row.language: row for row in rows}
    if wanted is None:
        order = [tag for tag in instrument.languages if tag in by_language]
        order += sorted(by_language.keys() - set(order))
    else:
        order = [tag for tag in chain(wanted) if tag in by_language]
    states = {tag: state_of(by_language[tag], today())[0] for tag in order}
    for tag in order:
        if states[tag] in ("held", "expiring"):
            return by_language[tag]
    about: dict[str, Any] = {
        "instrument": instrument.code,
        "version": instrument.version,
        "licence": instrument.licence.model_dump(),
        "languages": sorted(row.language for row in rows if state_of(row, today())[0] in ("held", "expiring")),
        "wording_url": f"{PATH}/{instrument.code}/versions/{instrument.version}/wordings/{{language}}",
    }
    if not order:
        raise WordingMissing(_WAY_OUT, **about)
    first = by_language[order[0]]
    about |= {"language": first.language, "valid_from": first.valid_from, "valid_until": first.valid_until}
    kind = LicenceExpired if states[order[0]] == "expired" else LicenceNotYetValid
    raise kind(_WAY_OUT, **about)


_WAY_OUT: Final = (
    "Answers can be scored and tracked without wording. A form needs the text with an attested licence, from the "
    "holder or under the terms that this problem names."
)


def licence(row: WordingPackRow, within: int = SOON) -> schemas.LicenceRead:
    """A pack's attestation, as lists show it."""
    return schemas.LicenceRead(**_members(row, within))


def wording(row: WordingPackRow) -> bytes:
    """A version of a pack with its texts as they are kept (`schemas.WordingRead`)."""
    pack = None if row.pack is None else orjson.Fragment(row.pack)
    return orjson.dumps(licence(row).model_dump(mode="json") | {"pack": pack})


def _members(row: WordingPackRow, within: int) -> dict[str, Any]:
    state, left = state_of(row, today(), within)
    shown = schemas.LicenceRead.model_fields.keys() & WordingPackRow.model_fields.keys()
    return {name: getattr(row, name) for name in shown} | {
        "version": row.instrument_version,
        "state": state,
        "days_left": left,
        "wording_url": url_of(row),
    }


def tag_of(row: WordingPackRow) -> str:
    """The entity tag of a version. An id, not a number: the newest versions of two instruments never share one."""
    return etag(row.id)
