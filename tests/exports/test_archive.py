"""An organisation's archive: taken in by another installation it is equal, and otherwise nothing is stored."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import uuid
from collections.abc import Callable

import asyncpg
import orjson
import pytest
from sqlmodel import SQLModel

from api import migrate
from api.exports import archive, rows, taking_in
from api.exports.archive import ArchiveError
from api.exports.columns import EVIDENCE, LEFT_OUT, OMITTED, SEALED, carried, plan_of
from api.exports.rows import Connection, Reader, connected
from api.exports.taking_in import Taken, take_in
from api.ids import new_id
from api.security import crypto
from api.security.envelope import EnvelopeError, PassphraseWeak, PassphraseWrong
from tests.api.people import People
from tests.conftest import Tenant, Urls
from tests.exports.conftest import KEYS, OTHER_KEYS, Look, looking
from tests.exports.practice import EXTERNAL_ID, GOAL, WORDS, filled, lived

WORDING = "a lamp by the window"


def written(reader: Reader, passphrase: str | None = None) -> bytes:
    file = io.BytesIO()
    archive.write(reader, file, passphrase=passphrase)
    return file.getvalue()


def taken(connection: Connection, tenant: Tenant, data: bytes, passphrase: str = WORDING) -> Taken:
    with archive.reading(io.BytesIO(data), lambda: passphrase) as opened:
        return take_in(connection, OTHER_KEYS, tenant.slug, opened)


async def test_what_another_installation_takes_in_is_equal(
    people: People,
    tenant: Tenant,
    service: asyncpg.Connection,
    look: Look,
    elsewhere_empty: Tenant,
    owner_elsewhere: Connection,
    fresh_database: Urls,
) -> None:
    await filled(service, tenant, await lived(people))
    with look() as reader:
        data, here = written(reader, WORDING), archive.checksums(reader)
    assert {name for name, one in here.items() if not one.rows} == set(), (
        "give these a row in tests/exports/practice.py"
    )
    assert not any(word.encode() in data for word in WORDS)
    done = taken(owner_elsewhere, elsewhere_empty, data)
    with looking(fresh_database.service, elsewhere_empty, OTHER_KEYS) as reader:
        there = archive.checksums(reader)
    # The trail goes on: that it was taken in is an event more.
    assert there.pop("audit_event").rows == here.pop("audit_event").rows + 1
    assert there == here
    assert done.manifest.organisation_id == tenant.id


Members = dict[str, bytes]


@pytest.fixture
async def plain(people: People, look: Look, tenant: Tenant, service: asyncpg.Connection) -> Members:
    """A plain archive of one course of therapy, member by member."""
    await filled(service, tenant, await lived(people))
    with look() as reader, tarfile.open(fileobj=io.BytesIO(written(reader)), mode="r:gz") as tar:
        return {member.name: file.read() for member in tar if (file := tar.extractfile(member)) is not None}


def packed(members: Members) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        for name, data in members.items():
            made = tarfile.TarInfo(name)
            made.size = len(data)
            tar.addfile(made, io.BytesIO(data))
    return file.getvalue()


def manifest_with(**changes: object) -> Callable[[Members], None]:
    def change(members: Members) -> None:
        members[archive.MANIFEST] = json.dumps(json.loads(members[archive.MANIFEST]) | changes).encode()

    return change


def table_with(table: str, change: Callable[[list[str]], object]) -> Callable[[Members], None]:
    """Change the members that the manifest says a table has."""

    def changed(members: Members) -> None:
        document = json.loads(members[archive.MANIFEST])
        change(document["tables"][table])
        members[archive.MANIFEST] = json.dumps(document).encode()

    return changed


def replaced(name: str, old: bytes, new: bytes) -> Callable[[Members], None]:
    def change(members: Members) -> None:
        assert old in members[name]
        members[name] = members[name].replace(old, new, 1)

    return change


def without(name: str) -> Callable[[Members], None]:
    return lambda members: members.pop(name) and None


def with_member(name: str, before: str | None = archive.CHECKSUMS) -> Callable[[Members], None]:
    def change(members: Members) -> None:
        every = list(members.items())
        at = len(every) if before is None else list(members).index(before)
        members.clear()
        members.update([*every[:at], (name, b"{}\n"), *every[at:]])

    return change


def table_named(name: str) -> Callable[[Members], None]:
    def change(members: Members) -> None:
        document = json.loads(members[archive.MANIFEST])
        document["tables"][name] = ["id"]
        members[archive.MANIFEST] = json.dumps(document).encode()

    return change


CLIENT, GOALS, SCORES = (f"tables/{name}/000001.ndjson" for name in ("client", "goal", "score"))
BAD: list[tuple[str, Callable[[Members], None], str]] = [
    ("form", manifest_with(form="fathomline-archive-2"), "not of the format fathomline-archive-1"),
    ("revision", manifest_with(revision="0001"), "at revision '0001' of the schema and this release has"),
    ("no revision", manifest_with(revision=None), "at revision None"),
    ("nobody's", manifest_with(organisation={"id": "x"}), "does not say whose"),
    ("no tables", manifest_with(tables=None), "does not say which tables"),
    ("a table more", table_named("invoice"), "a table 'invoice' that this release does not know"),
    ("a table less", manifest_with(tables={}), "lacks the table"),
    ("a member more", table_with("client", lambda names: names.append("name")), "has a member 'name' that"),
    ("a member less", table_with("client", lambda names: names.remove("gender")), "lacks the member gender"),
    ("manifest not JSON", replaced(archive.MANIFEST, b"{", b"["), "manifest.json is no JSON object"),
    ("no manifest", without(archive.MANIFEST), "there is no manifest.json"),
    ("no checksums", without(archive.CHECKSUMS), "cut off, or none: there is no checksums.json"),
    ("a table cut out", without(SCORES), "table score is not what it was when the archive was written"),
    ("evidence cut out", without("evidence/audit_seal/000001.ndjson"), "table audit_seal is not what it was"),
    ("a stranger", with_member("tables/score/000009.ndjson"), "has no place there"),
    ("goes on", with_member("zzz", before=None), "goes on behind checksums.json"),
    ("altered text", replaced(GOALS, b"Sentinel", b"sentinel"), "table goal is not what it was"),
    ("altered score", replaced(SCORES, b'"valid":true', b'"valid":false'), "table score is not what it was"),
    ("no end of a line", lambda members: members.update({GOALS: members[GOALS][:-1]}), "does not end with a line"),
    ("not an object", replaced(CLIENT, b"{", b"["), "table client, line 1: is no JSON object"),
    ("row with more", replaced(CLIENT, b"{", b'{"name":1,'), "table client, line 1: has a member that"),
    ("row with less", replaced(CLIENT, b'"gender":', b'"id":'), "table client, line 1: lacks a member"),
    ("text for a number", replaced(CLIENT, b"1984", b'"1984"'), "table client, line 1: birth_year has a value of"),
    ("number for a text", replaced(CLIENT, b'"woman"', b"7"), "table client, line 1: gender has a value of"),
    ("number for a sealed text", replaced(CLIENT, b'"Sentinel-4711"', b"7"), "line 1: external_id has a value of"),
    ("truth for a number", replaced(CLIENT, b"1984", b"true"), "table client, line 1: birth_year has a value of"),
    ("no time", replaced(CLIENT, b".", b","), "table client, line 1: created_at has a value of"),
    ("breaks a check", replaced(CLIENT, b"1984", b"1"), "table client has a row that breaks ck_client_birth_year"),
    ("out of range", replaced(CLIENT, b"1984", b"19840000000"), "table client has a row that breaks NumericValue"),
    ("a zero byte", replaced(CLIENT, b"woman", b"wo\\u0000man"), "table client has a row that breaks DataError"),
]


async def test_what_is_not_as_it_was_written_is_refused_and_nothing_is_stored(
    plain: Members, elsewhere_empty: Tenant, owner_elsewhere: Connection, fresh_database: Urls
) -> None:
    for name, change, words in BAD:
        members = dict(plain)
        change(members)
        with pytest.raises(ArchiveError) as refused:
            taken(owner_elsewhere, elsewhere_empty, packed(members))
        assert words in str(refused.value), name
        assert "Sentinel" not in str(refused.value)
        assert "\n" not in str(refused.value)
    with connected(fresh_database.superuser) as every:
        for table in carried():
            assert every.execute(f"select count(*) from {table}").fetchone() == (0,), table  # noqa: S608  - our names
    taken(owner_elsewhere, elsewhere_empty, packed(plain))  # and as it was written it is taken


async def test_a_sealed_archive_opens_whole_or_not_at_all(
    people: People, look: Look, elsewhere_empty: Tenant, owner_elsewhere: Connection
) -> None:
    await lived(people)
    with look() as reader:
        whole = written(reader, WORDING)
        with pytest.raises(PassphraseWeak):
            written(reader, "too short")
    with pytest.raises(PassphraseWrong):
        taken(owner_elsewhere, elsewhere_empty, whole, WORDING + "!")
    altered = bytearray(whole)
    altered[-200] ^= 1
    for bad in (whole[:-1], whole[:100], bytes(altered)):
        with pytest.raises(EnvelopeError, match="cut off"):
            taken(owner_elsewhere, elsewhere_empty, bad)
    assert taken(owner_elsewhere, elsewhere_empty, whole).checksums["client"].rows == 2


async def test_a_plain_archive_that_is_cut_off_is_refused_wherever(
    plain: Members, elsewhere_empty: Tenant, owner_elsewhere: Connection
) -> None:
    whole = packed(plain)
    for size in (0, 1, 30, len(whole) // 3, len(whole) - 200, len(whole) - 9):
        with pytest.raises(ArchiveError, match=r"cut off|no archive"):
            taken(owner_elsewhere, elsewhere_empty, whole[:size])
    for junk in (gzip.compress(b""), gzip.compress(b"x" * 2_000), b"PK\x03\x04" + bytes(60), whole[:10] + bytes(99)):
        with pytest.raises(ArchiveError):
            taken(owner_elsewhere, elsewhere_empty, junk)


async def test_many_parts_and_batches_are_one_table(
    people: People,
    look: Look,
    elsewhere_empty: Tenant,
    owner_elsewhere: Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await lived(people)
    with look() as reader:
        before = archive.checksums(reader)
        monkeypatch.setattr(archive, "PART", 300)
        monkeypatch.setattr(rows, "BATCH", 2)
        monkeypatch.setattr(taking_in, "BATCH", 1)
        data = written(reader)
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as tar:
        assert sum(name.startswith("tables/score/") for name in tar.getnames()) > 3
    assert taken(owner_elsewhere, elsewhere_empty, data).checksums == before


async def test_only_an_empty_organisation_takes_an_archive(
    people: People, tenant: Tenant, look: Look, database: Urls, elsewhere_empty: Tenant, owner_elsewhere: Connection
) -> None:
    await lived(people)
    with look() as reader:
        data, before = written(reader), archive.checksums(reader)
    with (
        connected(database.owner) as connection,
        pytest.raises(ArchiveError, match=r"is not empty: there are rows in .*\bclient, .*episode"),
    ):
        taken(connection, tenant, data)
    with look() as reader:
        assert archive.checksums(reader) == before
    taken(owner_elsewhere, elsewhere_empty, data)
    with pytest.raises(ArchiveError, match="is not empty"):
        taken(owner_elsewhere, elsewhere_empty, data)


async def test_whose_things_were_seen_is_carried_for_who_was_erased_too(
    tenant: Tenant,
    look: Look,
    superuser: asyncpg.Connection,
    elsewhere_empty: Tenant,
    owner_elsewhere: Connection,
) -> None:
    """The response that the event names is gone: nobody could find out elsewhere whose it was."""
    client, event = uuid.uuid4(), new_id()
    await superuser.execute(
        "insert into erasure (organisation_id, id, client_id, erased_at, erased_by, reason, removed)"
        " values ($1, gen_random_uuid(), $2, now(), 'admin-1', 'asked-for', '{}')",
        tenant.id, client,
    )  # fmt: skip
    await superuser.execute(
        "insert into audit_event (organisation_id, id, at, subject, role, action, resource, resource_id, request_id,"
        " outcome) values ($1, $2, now(), 'dr-1', 'clinician', 'read', 'response', gen_random_uuid(), '', 'done')",
        tenant.id, event,
    )  # fmt: skip
    await superuser.execute("insert into audit_client values ($1, $2, $3)", tenant.id, client, event)
    with look() as reader:
        data = written(reader)
    taken(owner_elsewhere, elsewhere_empty, data)
    owner_elsewhere.execute("select set_config('fathomline.organisation_id', %s, false)", [str(elsewhere_empty.id)])
    found = owner_elsewhere.execute("select client_id, event_id from audit_client").fetchall()
    assert found == [(client, event)]


async def test_an_erased_client_is_not_taken_in(
    people: People,
    tenant: Tenant,
    look: Look,
    superuser: asyncpg.Connection,
    elsewhere_empty: Tenant,
    owner_elsewhere: Connection,
) -> None:
    practice = await lived(people)
    await superuser.execute(
        "insert into erasure (organisation_id, id, client_id, erased_at, erased_by, reason, removed)"
        " values ($1, gen_random_uuid(), $2::text::uuid, now(), 'admin-1', 'asked-for', '{}')",
        tenant.id, practice.client,
    )  # fmt: skip
    with look() as reader:
        data = written(reader)
    refusal = "^table client has a row that is of a client who was erased, and whom nothing brings back$"
    with pytest.raises(ArchiveError, match=refusal):
        taken(owner_elsewhere, elsewhere_empty, data)


async def test_the_other_master_key_opens_what_was_sealed_and_finds_by_identifier(
    people: People, look: Look, elsewhere_empty: Tenant, owner_elsewhere: Connection, fresh_database: Urls
) -> None:
    practice = await lived(people)
    with look() as reader:
        taken(owner_elsewhere, elsewhere_empty, written(reader))
    with looking(fresh_database.service, elsewhere_empty, OTHER_KEYS) as reader:
        assert GOAL in orjson.loads(next(iter(reader.rows("goal")))["words"])
        wrapped = reader.connection.execute("select lookup_wrapped from organisation_key").fetchone()
        assert wrapped is not None
        hashing = crypto.unwrap_lookup_key(OTHER_KEYS, bytes(wrapped[0]), organisation_id=elsewhere_empty.id)
        found = reader.connection.execute(
            "select id from client where external_id_hash = %s",
            (crypto.external_id_hash(hashing, elsewhere_empty.id, EXTERNAL_ID),),
        ).fetchall()
        assert [str(row[0]) for row in found] == [practice.client]
    with looking(fresh_database.service, elsewhere_empty, KEYS) as reader, pytest.raises(crypto.Unreadable):
        list(reader.rows("goal"))


def test_every_table_and_column_is_handed_out_or_stands_with_a_reason() -> None:
    ours = {table.name: table for table in SQLModel.metadata.tables.values() if "organisation_id" in table.columns}
    assert {*carried(), *LEFT_OUT, *EVIDENCE} == ours.keys()
    assert not LEFT_OUT.keys() & EVIDENCE.keys()
    for name in (*carried(), *EVIDENCE):
        plan = plan_of(name)  # raises for a type that has no form
        handed = {column for column, _ in plan.columns} | {column for column, _ in plan.sealed}
        assert handed | {column for table, column in OMITTED if table == name} | {"organisation_id"} == {
            column.name for column in ours[name].columns
        }
        for column, _ in plan.columns:
            assert not column.endswith(("_sealed", "_wrapped")), f"{name}.{column} goes out as it is sealed: see SEALED"
    assert all(table in carried() for table, _ in SEALED)


def test_the_archive_is_of_the_schema_of_this_release(plain: Members) -> None:
    document = json.loads(plain[archive.MANIFEST])
    assert document["revision"] == migrate.head()
    assert document["left_out"].keys() == LEFT_OUT.keys() | {f"{table}.{column}" for table, column in OMITTED}
    assert next(iter(plain)) == archive.MANIFEST
    assert next(reversed(plain)) == archive.CHECKSUMS
