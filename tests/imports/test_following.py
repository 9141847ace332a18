"""What is imported fills the slots of a protocol, as what is recorded does."""

from __future__ import annotations

from fastapi import FastAPI

from tests.api.people import Person, web
from tests.imports.conftest import Importer, wide
from tests.imports.test_imports import body
from tests.protocols.clinic import START, assigned, due, entry, episode_of, made, scheduled, statuses


async def test_an_imported_response_fills_a_slot(importer: Importer, app: FastAPI) -> None:
    path = await episode_of(importer.person)
    async with web(app, importer.tenant.slug, "admin") as http:
        protocol = await made(Person(http), entry("baseline"))
    await assigned(importer.person, path, protocol)
    assert statuses(await scheduled(importer.person, path, START)) == [("baseline", str(START), "due")]
    assert len(await due(importer.person, date=START)) == 1
    client_id, episode_id = path.split("/")[3], path.split("/")[5]
    form = body(client_id, episode_id=episode_id, answered_at=f"{START}T12:00:00Z")
    state = await importer.take(wide([form]))
    assert state["rows"]["written"] == 1
    assert statuses(await scheduled(importer.person, path, START)) == [("baseline", str(START), "done")]
    assert await due(importer.person, date=START) == []
