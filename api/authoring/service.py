"""The rules about own instruments: drafts change, what is published does not, what is retired takes nothing new.

Checking takes up to seconds, so it is done in a thread and outside any transaction; what it was done on is held against
what is there when the outcome is written.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import asyncpg
from sqlalchemy.exc import IntegrityError

import scoring
from api.authoring.checking import Checked, Submission, check
from api.authoring.problems import DefinitionInvalid, GoldenCasesFailed, TooManyInstruments, VersionTaken
from api.authoring.repository import InstrumentRepository
from api.authoring.tables import InstrumentDraftRow, OwnInstrumentRetirementRow, OwnInstrumentRow
from api.catalogue import service as catalogue
from api.catalogue.own import OWN_CODE
from api.conditional import etag, require_match
from api.db import Database
from api.ids import new_id
from api.lane import Lane
from api.problems import NotFound, PreconditionFailed, PreconditionRequired
from api.records.audit import Audit
from instruments.writer import plain

T = TypeVar("T")

RESOURCE: Final = "instrument"
NO_DRAFT: Final = "There is no such draft."
NO_VERSION: Final = "There is no such published version of an instrument of this organisation."
MOST_DRAFTS: Final = 100
MOST_PUBLISHED: Final = 500
"""Of one organisation, so that lists stay short."""


def tag_of(row: InstrumentDraftRow) -> str:
    """The entity tag of a draft: a draft that takes the place of a deleted one has another."""
    return etag(f"{row.id}.{row.revision}")


def submission_of(row: InstrumentDraftRow) -> Submission:
    """What was submitted as a draft."""
    return Submission(json.loads(row.definition), json.loads(row.golden))


@dataclass(frozen=True, slots=True)
class Authoring:
    """The own instruments of one organisation, for one request."""

    database: Database
    audit: Audit
    lane: Lane
    changed: Callable[[uuid.UUID], None] = field(default=lambda _: None)
    """Told of an organisation that has published or retired something."""

    @property
    def _organisation_id(self) -> uuid.UUID:
        return self.audit.principal.organisation_id

    async def check(self, given: Submission) -> Checked:
        """Everything that is wrong with a submission; nothing is kept."""
        checked = await self._compiled(given)
        if checked.instrument is not None:
            # its plans hold it: else all would stay in memory until the next full collection
            checked.instrument.compiled.clear()
        return checked

    async def _compiled(self, given: Submission) -> Checked:
        """The same, ready to score with."""
        code = given.definition.get("code") if isinstance(given.definition, dict) else None
        published: frozenset[int] = frozenset()
        if isinstance(code, str) and OWN_CODE.fullmatch(code):
            published = await self._read(lambda repository: repository.published_versions(code))
        return await self._checked(given, published)

    async def create(self, given: Submission) -> tuple[InstrumentDraftRow, Checked]:
        """A new draft.

        Raises
        ------
        DefinitionInvalid
            It says no code or version that an own instrument can have, or asks for too much.
        VersionTaken, TooManyInstruments
        """
        checked = await self.check(given)
        code, version = _identity(given, checked)
        now = datetime.now(UTC)
        row = InstrumentDraftRow(
            organisation_id=self._organisation_id,
            code=code,
            version=version,
            id=new_id(),
            revision=1,
            definition=json.dumps(given.definition),
            golden=json.dumps(given.golden),
            created_at=now,
            updated_at=now,
            updated_by=self.audit.principal.subject,
        )
        try:
            async with self.database.session(self._organisation_id) as session:
                repository = InstrumentRepository(session, self._organisation_id)
                if await repository.count(InstrumentDraftRow) >= MOST_DRAFTS:
                    raise TooManyInstruments(f"There are {MOST_DRAFTS} drafts; delete one.")
                await repository.add(row)
                # only now: the row had to wait for whoever is publishing the draft that was there
                if await repository.published(code, version) is not None:
                    raise VersionTaken("It was published; what is published never changes. Take the next version.")
                self.audit.record(session, "create-draft", RESOURCE, row.id)
        except IntegrityError as error:
            if error.orig is None or not isinstance(error.orig.__cause__, asyncpg.UniqueViolationError):
                raise
            raise VersionTaken("There is a draft of it; replace or delete that.") from None
        return row, checked

    async def draft(self, code: str, version: int) -> InstrumentDraftRow:
        """A draft; :class:`NotFound` where there is none."""
        row = await self._read(lambda repository: repository.draft(code, version)) if _own(code) else None
        if row is None:
            raise NotFound(NO_DRAFT)
        return row

    async def replace(
        self, code: str, version: int, given: Submission, if_match: str | None
    ) -> tuple[InstrumentDraftRow, Checked]:
        """Put another submission in a draft's place.

        Raises
        ------
        NotFound, PreconditionRequired, PreconditionFailed, DefinitionInvalid
        """
        draft = await self._matching("replace-draft", code, version, if_match)
        checked = await self.check(given)
        if _identity(given, checked) != (code, version):
            detail = f"is {code} version {version}, as in the path"
            raise DefinitionInvalid(errors=[{"pointer": "/definition", "code": "other-instrument", "detail": detail}])
        async with self.database.session(self._organisation_id) as session:
            row = await self._locked(InstrumentRepository(session, self._organisation_id), draft)
            row.revision += 1
            row.definition, row.golden = json.dumps(given.definition), json.dumps(given.golden)
            row.updated_at = max(datetime.now(UTC), row.updated_at)  # a clock set back breaks no order
            row.updated_by = self.audit.principal.subject
            self.audit.record(session, "replace-draft", RESOURCE, row.id)
        return row, checked

    async def delete(self, code: str, version: int, if_match: str | None) -> None:
        """Throw a draft away.

        Raises
        ------
        NotFound, PreconditionRequired, PreconditionFailed
        """
        draft = await self._matching("delete-draft", code, version, if_match)
        async with self.database.session(self._organisation_id) as session:
            repository = InstrumentRepository(session, self._organisation_id)
            row = await self._locked(repository, draft)
            await repository.delete(row)
            self.audit.record(session, "delete-draft", RESOURCE, row.id)

    async def preview(self, row: InstrumentDraftRow, answers: dict[str, Any], variant: str | None) -> scoring.Result:
        """Score answers with a draft; nothing is kept.

        Raises
        ------
        DefinitionInvalid, AnswersInvalid, RequestInvalid
            The draft has faults, the answers do not fit it, or it has no such variant.
        """
        instrument = (checked := await self._compiled(submission_of(row))).instrument
        if instrument is None:
            raise DefinitionInvalid(errors=checked.faults)
        try:
            return catalogue.score(instrument, answers, variant)
        finally:
            instrument.compiled.clear()

    async def publish(self, code: str, version: int, if_match: str | None) -> OwnInstrumentRow:
        """Make a draft a version that never changes.

        Raises
        ------
        NotFound, PreconditionRequired, PreconditionFailed
        VersionTaken
            It was published before.
        DefinitionInvalid, GoldenCasesFailed
            With every fault.
        TooManyInstruments
        """
        if _own(code) and await self._read(lambda repository: repository.published(code, version)) is not None:
            raise VersionTaken("It was published before.")
        draft = await self._matching("publish", code, version, if_match)
        checked = await self.check(submission_of(draft))
        instrument = checked.instrument
        if instrument is None or checked.faults:
            await self.audit.refused("publish", RESOURCE, draft.id, "definition-invalid")
            raise DefinitionInvalid(errors=checked.faults)
        if checked.failures:
            await self.audit.refused("publish", RESOURCE, draft.id, "golden-cases-failed")
            raise GoldenCasesFailed(errors=checked.failures)
        async with self.database.session(self._organisation_id) as session:
            repository = InstrumentRepository(session, self._organisation_id)
            row = await self._locked(repository, draft)
            if await repository.count(OwnInstrumentRow) >= MOST_PUBLISHED:
                raise TooManyInstruments(f"There are {MOST_PUBLISHED} published versions, the most there may be.")
            made = OwnInstrumentRow(
                organisation_id=self._organisation_id,
                code=code,
                version=version,
                id=row.id,
                checksum=instrument.checksum,
                definition=json.dumps(plain(instrument)),
                golden=row.golden,
                published_at=datetime.now(UTC),
                published_by=self.audit.principal.subject,
            )
            await repository.delete(row)
            await repository.add(made)
            self.audit.record(session, "publish", RESOURCE, made.id)
        self.changed(self._organisation_id)
        return made

    async def retire(self, code: str, version: int) -> tuple[OwnInstrumentRow, OwnInstrumentRetirementRow]:
        """Let a version take no new responses; what is retired already stays so.

        Raises
        ------
        NotFound
            It is not a published version of this organisation.
        """
        async with self.database.session(self._organisation_id) as session:
            repository = InstrumentRepository(session, self._organisation_id)
            row = await repository.published(code, version) if _own(code) else None
            if row is None:
                raise NotFound(NO_VERSION)
            now, subject = datetime.now(UTC), self.audit.principal.subject
            if await repository.retire(code, version, now, subject):
                self.audit.record(session, "retire", RESOURCE, row.id)
            retirement = await repository.retirement(code, version)
        self.changed(self._organisation_id)
        assert retirement is not None  # noqa: S101  - it was written above, or before
        return row, retirement

    async def _read(self, query: Callable[[InstrumentRepository], Awaitable[T]]) -> T:
        """In a transaction of its own, so that no connection is kept while a definition is checked."""
        async with self.database.session(self._organisation_id) as session:
            return await query(InstrumentRepository(session, self._organisation_id))

    async def _checked(self, given: Submission, published: Collection[int]) -> Checked:
        return await self.lane.run(self._organisation_id, check, given, published)

    async def _matching(self, action: str, code: str, version: int, if_match: str | None) -> InstrumentDraftRow:
        """The draft that `If-Match` names."""
        try:
            draft = await self.draft(code, version)
        except NotFound:
            await self.audit.refused(action, RESOURCE, None, "not-found")
            raise
        if if_match is None:
            raise PreconditionRequired("Send If-Match with the ETag of the draft that is meant.")
        try:
            require_match(if_match, tag_of(draft))
        except PreconditionFailed:
            await self.audit.refused(action, RESOURCE, draft.id, "stale")
            raise
        return draft

    async def _locked(self, repository: InstrumentRepository, draft: InstrumentDraftRow) -> InstrumentDraftRow:
        """The draft again, if it is still what it was; nobody changes it before the transaction has ended."""
        row = await repository.draft(draft.code, draft.version, for_update=True)
        if row is None or tag_of(row) != tag_of(draft):
            raise PreconditionFailed("Read the draft again, and repeat the change on what it is now.")
        return row


def _own(code: str) -> bool:
    """Whether a code can be one of an own instrument: the database is not asked for any other text."""
    return OWN_CODE.fullmatch(code) is not None


def _identity(given: Submission, checked: Checked) -> tuple[str, int]:
    """Code and version of a submission that may be kept as a draft, whatever else is wrong with it.

    Raises
    ------
    DefinitionInvalid
        It has none that an own instrument can have, or it exceeds a limit and was not looked at further.
    """
    definition = given.definition if isinstance(given.definition, dict) else {}
    code, version = definition.get("code"), definition.get("version")
    limits = [fault for fault in checked.faults if fault["code"] in ("limit", "version-order")]
    if limits or not isinstance(code, str) or not _own(code) or type(version) is not int or version < 1:
        raise DefinitionInvalid("Code and version have to be those of an own instrument.", errors=checked.faults)
    return code, version
