"""Drafts as lists of instruments show them: what they say of themselves, however little that is yet."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Sequence
from typing import Any, Final

from api.authoring.repository import InstrumentRepository
from api.authoring.tables import InstrumentDraftRow
from api.catalogue import schemas
from api.catalogue.finding import Entry
from api.db import Database

AT_ONCE: Final = 10
"""Drafts that are in memory together: each may have a megabyte."""


async def draft_entries(database: Database, organisation_id: uuid.UUID) -> list[Entry]:
    """Every draft of an organisation."""
    found: list[Entry] = []
    after = ("", 0)
    while True:
        async with database.session(organisation_id) as session:
            rows = await InstrumentRepository(session, organisation_id).drafts(after, AT_ONCE)
        # in a thread: a hundred large ones would keep all others waiting
        found += await asyncio.to_thread(_entries, rows)
        if len(rows) < AT_ONCE:
            return found
        after = (rows[-1].code, rows[-1].version)


def _entries(rows: Sequence[InstrumentDraftRow]) -> list[Entry]:
    return [_entry(row) for row in rows]


def _entry(row: InstrumentDraftRow) -> Entry:
    given = json.loads(row.definition)
    licence, applies = _object(given, "licence"), _object(given, "applicability")
    concerns, items = _texts(given, "concerns"), given.get("items")
    summary = schemas.InstrumentSummary(
        code=row.code,
        version=row.version,
        status="draft",
        name=_text(given, "name"),
        measures=_text(given, "measures"),
        concerns=concerns,
        licence=schemas.LicenceSummary(status=_text(licence, "status"), holder=_text(licence, "holder")),
        applicability=schemas.ApplicabilityRead(
            organs=_texts(applies, "organs"),
            partner=_text(applies, "partner"),
            activity=_text(applies, "activity"),
            note=_text(applies, "note") or None,
        ),
        languages=_texts(given, "languages"),
        minutes=_number(given, "minutes"),
        recall_days=_number(given, "recall_days"),
        items=len(items) if isinstance(items, list) else None,
        scales=_ids(given, "scales"),
        variants=_ids(given, "variants"),
        needs_review=[],
        missing=[],
        definition_url=None,
    )
    words = (row.code, summary.name, summary.measures, _text(given, "population"), *concerns)
    return Entry(summary, " ".join(words).casefold())


def _object(value: dict[str, Any], name: str) -> dict[str, Any]:
    found = value.get(name)
    return found if isinstance(found, dict) else {}


def _text(value: dict[str, Any], name: str) -> str:
    found = value.get(name)
    return found if isinstance(found, str) else ""


def _texts(value: dict[str, Any], name: str) -> list[str]:
    found = value.get(name)
    return [one for one in found if isinstance(one, str)] if isinstance(found, list) else []


def _number(value: dict[str, Any], name: str) -> int | None:
    found = value.get(name)
    return found if type(found) is int else None


def _ids(value: dict[str, Any], name: str) -> list[str]:
    found = value.get(name)
    parts = [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
    return [one["id"] for one in parts if isinstance(one.get("id"), str)]
