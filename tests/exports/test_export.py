"""An organisation's archive over HTTP: sent while it is written, to administrators, and told of."""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import Callable
from typing import IO

import pytest

from api.exports import archive
from api.exports.archive import ArchiveError
from api.exports.rows import Connection
from api.exports.streaming import AHEAD, PART, ReceiverGone, streamed
from api.security.envelope import is_sealed
from tests.api.people import People, faults, problem
from tests.conftest import Tenant
from tests.exports.conftest import Look
from tests.exports.practice import WORDS, lived
from tests.exports.test_archive import WORDING, taken

EXPORTS = "/v1/exports"


async def test_an_administrator_is_sent_all_of_it(
    people: People, look: Look, elsewhere_empty: Tenant, owner_elsewhere: Connection
) -> None:
    await lived(people)
    answer = await people.admin.http.post(EXPORTS, json={"passphrase": WORDING})
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-disposition"].startswith("attachment")
    assert is_sealed(answer.content[:25])
    assert not any(word.encode() in answer.content for word in WORDS)
    done = taken(owner_elsewhere, elsewhere_empty, answer.content)
    with look() as reader:
        assert done.checksums == archive.checksums(reader)
    trail = (await people.admin.http.get("/v1/audit?action=export")).json()["items"]
    assert [(one["subject"], one["resource"], one["outcome"]) for one in trail] == [("admin-1", "organisation", "done")]


async def test_it_is_readable_only_where_that_was_asked_for(people: People) -> None:
    answer = await people.admin.http.post(EXPORTS, json={"plain": True})
    assert answer.content.startswith(b"\x1f\x8b")


async def test_nobody_else_is_sent_anything(people: People) -> None:
    for person in (people.ehr, people.clinician, people.researcher):
        problem(await person.http.post(EXPORTS, json={"plain": True}), 403, "forbidden")


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ({}, ("", "one-protection")),
        ({"passphrase": WORDING, "plain": True}, ("", "one-protection")),
        ({"passphrase": "too short"}, ("/passphrase", "string-too-short")),
        ({"passphrase": "x" * 1_001}, ("/passphrase", "string-too-long")),
        ({"passphrase": 7}, ("/passphrase", "string-type")),
        ({"plain": "yes"}, ("/plain", "bool-type")),
        ({"plain": True, "recipient": "x"}, ("/recipient", "extra-forbidden")),
    ],
)
async def test_what_it_is_to_be_protected_by_has_to_be_said(
    people: People, body: dict[str, object], fault: tuple[str, str]
) -> None:
    answer = await people.admin.http.post(EXPORTS, json=body)
    assert faults(answer) == [fault]
    assert "too short" not in answer.text.replace("string-too-short", "")


async def test_one_export_at_a_time(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    def slowly(*_: object, **__: object) -> None:
        time.sleep(0.5)
        raise ArchiveError("enough")

    monkeypatch.setattr(archive, "write", slowly)
    first = asyncio.create_task(people.admin.http.post(EXPORTS, json={"plain": True}))
    await asyncio.sleep(0.2)
    problem(await people.admin.http.post(EXPORTS, json={"plain": True}), 503, "service-unavailable")
    assert (await first).status_code == 500  # nothing had been sent, so the fault could still be told


async def run(work: Callable[[], None]) -> None:
    await asyncio.to_thread(work)


async def test_parts_come_as_they_are_written_and_no_more_than_some_ahead() -> None:
    written = 0

    def write(file: IO[bytes]) -> None:
        nonlocal written
        for _ in range(4 * AHEAD):
            file.write(bytes(PART))
            written += 1

    parts = streamed(run, write)
    got = len(await anext(parts))
    await asyncio.sleep(0.2)
    assert written <= AHEAD + 2
    async for part in parts:
        got += len(part)
    assert got == 4 * AHEAD * PART


async def test_a_fault_comes_after_what_was_written() -> None:
    def write(file: IO[bytes]) -> None:
        file.write(bytes(PART))
        raise LookupError

    parts = streamed(run, write)
    assert len(await anext(parts)) == PART
    with pytest.raises(LookupError):
        await anext(parts)


async def test_who_hangs_up_or_takes_nothing_stops_the_thread() -> None:
    stopped: list[type[BaseException]] = []

    def write(file: IO[bytes]) -> None:
        try:
            while True:
                file.write(bytes(PART))
        except ReceiverGone as error:
            stopped.append(type(error))
            raise

    parts = streamed(run, write)
    await anext(parts)
    await parts.aclose()  # type: ignore[attr-defined]  # a generator
    slow = streamed(run, write, patience=0.05)
    await anext(slow)
    for _ in range(100):
        if len(stopped) == 2:
            break
        await asyncio.sleep(0.02)
    assert stopped == [ReceiverGone, ReceiverGone]
    with pytest.raises(ReceiverGone):
        async for _ in slow:
            pass


def test_nothing_is_read_of_a_file_that_is_none() -> None:
    with pytest.raises(ArchiveError, match="no archive"), archive.reading(io.BytesIO(b"id,answer\n"), lambda: ""):
        pass
