"""A client is erased: nothing is left of them, the partner has everything, and the certificate says what was done."""

from __future__ import annotations

import base64
import json
import uuid

import asyncpg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from api.erasure.certificate import signed_by
from api.ids import new_id
from api.tables import CLIENT_TABLES, of_client
from tests.api.people import People, faults, problem
from tests.conftest import Tenant
from tests.erasure.whole import ERASE, ERASED, Whole, dump, ok, recording, rows_of, secrets_of, whole_client
from tests.factories import make_client


@pytest.fixture
async def whole(people: People, service: asyncpg.Connection, tenant: Tenant) -> Whole:
    return await whole_client(people, service, tenant.id)


async def test_nothing_is_left_and_the_partner_has_everything(
    people: People, superuser: asyncpg.Connection, tenant: Tenant, whole: Whole
) -> None:
    before = await rows_of(superuser, tenant.id, whole.id)
    assert [table for table, rows in before.items() if not rows] == [], "the client is in every table of clients"
    theirs = await rows_of(superuser, tenant.id, whole.partner)
    hidden = secrets_of(before, whole)
    assert len(hidden) > 30
    told = await dump(superuser)
    assert {text for text in hidden if text not in told} == {whole.external_id}, "what is looked for is found before"

    erased = ok(await people.admin.http.delete(f"/v1/clients/{whole.id}", params=ERASE))
    assert erased["removed"] == {table: len(rows) for table, rows in before.items()}

    assert await rows_of(superuser, tenant.id, whole.id) == {table: [] for table in ERASED}
    # The trail names what was done to what, by ids that now stand for nothing.
    left = await dump(superuser, but=("audit_event", "audit_seal", "audit_client"))
    assert {text for text in hidden if text in left} == set()
    trail = await dump(superuser)
    assert {text for text in hidden if text in trail and not _is_id(text)} == set()
    assert await rows_of(superuser, tenant.id, whole.partner) == theirs
    assert ok(await people.ehr.http.get(f"/v1/clients/{whole.partner}/responses"))["items"]


def _is_id(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False


async def test_reads_say_that_the_client_was_erased(people: People, whole: Whole) -> None:
    ok(await people.ehr.http.get(f"/v1/couples/{whole.couple}"))
    erased = ok(await people.admin.http.delete(f"/v1/clients/{whole.id}", params=ERASE))
    for path in whole.paths.values():
        found = problem(await people.ehr.http.get(path), 410, "client-erased")
        assert (found["erasure_id"], found["erased_at"]) == (erased["id"], erased["erased_at"])
    problem(await people.ehr.http.patch(f"/v1/clients/{whole.id}", json={"partnered": True}), 410, "client-erased")
    problem(await people.ehr.http.post("/v1/responses", **recording(whole.id)), 410, "client-erased")
    problem(await people.admin.http.delete(f"/v1/clients/{whole.id}", params=ERASE), 410, "client-erased")
    problem(await people.ehr.http.get(f"/v1/responses/{whole.response}"), 404, "not-found")
    problem(await people.ehr.http.get(f"/v1/couples/{whole.couple}"), 403, "joint-view-closed")
    assert ok(await people.ehr.http.get("/v1/clients", params={"external_id": whole.external_id}))["items"] == []
    problem(await people.elsewhere.http.get(f"/v1/clients/{whole.id}"), 404, "not-found")
    trail = ok(await people.admin.http.get(f"/v1/clients/{whole.id}/audit"))
    assert isinstance(trail["items"], list), "who saw the record stays answerable"


async def test_the_trail_keeps_whose_things_were_seen_where_events_are_not_sealed_yet(
    people: People, superuser: asyncpg.Connection, tenant: Tenant, whole: Whole
) -> None:
    """After the erasure nobody could tell whose a response was; nothing has been sealed in this test."""
    ok(await people.clinician.http.get(f"/v1/responses/{whole.response}"))
    path = f"/v1/clients/{whole.id}/audit"
    before = {event["id"] for event in ok(await people.admin.http.get(path, params={"limit": 200}))["items"]}
    assert len(before) > 10
    assert await superuser.fetchval("select count(*) from audit_client where organisation_id = $1", tenant.id) == 0
    erased = ok(await people.admin.http.delete(f"/v1/clients/{whole.id}", params=ERASE))
    after = ok(await people.admin.http.get(path, params={"limit": 200}))["items"]
    assert before < {event["id"] for event in after}
    assert ("read", "response", whole.response) in {(e["action"], e["resource"], e["resource_id"]) for e in after}
    remains = {one["table"]: one["rows"] for one in erased["remains"]}
    # those before, that they were listed, and the erasure itself
    assert (remains["audit_event"], remains["audit_client"]) == (len(before) + 2, len(before) + 2)


async def test_the_certificate(people: People, whole: Whole) -> None:
    erased = ok(await people.admin.http.delete(f"/v1/clients/{whole.id}", params=ERASE))
    assert ok(await people.admin.http.get(f"/v1/erasures/{erased['id']}")) == erased
    listed = ok(await people.admin.http.get("/v1/erasures", params={"client_id": whole.id}))
    assert (listed["items"], listed["next"]) == ([erased], None)
    assert (erased["client_id"], erased["reason"], erased["erased_by"]) == (whole.id, "asked-for", "admin-1")
    assert (erased["backups"], erased["log_days"], erased["log_until"]) == ([], None, None)
    assert bytes.fromhex(erased["key_fingerprint"])
    certificate = erased["certificate"]
    said = json.loads(certificate["statement"])
    assert {said["client_id"], said["id"]} == {whole.id, erased["id"]}
    assert (said["removed"], said["remains"]) == (erased["removed"], erased["remains"])
    public = base64.urlsafe_b64decode(certificate["public_key"]["x"] + "=")
    signature = base64.urlsafe_b64decode(certificate["signature"] + "==")
    Ed25519PublicKey.from_public_bytes(public).verify(signature, certificate["statement"].encode())
    assert not signed_by(certificate["statement"].replace("asked-for", "ordered"), signature, public)
    text = (await people.admin.http.get(f"/v1/erasures/{erased['id']}/certificate.txt")).text
    assert certificate["statement"] in text
    assert "response: 4" in text
    assert "the operator did not say" in text.lower()


async def test_who_may_not_and_what_is_not_confirmed(people: People, superuser: asyncpg.Connection) -> None:
    client = await people.ehr.client()
    path = f"/v1/clients/{client}"
    for person in (people.ehr, people.clinician, people.researcher):
        problem(await person.http.delete(path, params=ERASE), 403, "forbidden")
        problem(await person.http.get("/v1/erasures"), 403, "forbidden")
    admin = people.admin.http
    assert faults(await admin.delete(path)) == [("reason", "missing"), ("confirm", "missing")]
    assert faults(await admin.delete(path, params=ERASE | {"confirm": "yes"})) == [("confirm", "literal-error")]
    assert faults(await admin.delete(path, params=ERASE | {"reason": "whim"})) == [("reason", "unknown-code")]
    problem(await admin.delete(f"/v1/clients/{new_id()}", params=ERASE), 404, "not-found")
    problem(await people.elsewhere.http.delete(path, params=ERASE), 403, "forbidden")
    problem(await admin.get(f"/v1/erasures/{new_id()}"), 404, "not-found")
    assert (await people.ehr.http.get(path)).status_code == 200
    assert await superuser.fetchval("select count(*) from erasure where client_id = $1", uuid.UUID(client)) == 0


async def test_a_key_that_cannot_be_opened_is_no_reason_to_keep_the_client(
    people: People, service: asyncpg.Connection, tenant: Tenant
) -> None:
    client = await make_client(service, tenant.id)
    erased = ok(await people.admin.http.delete(f"/v1/clients/{client}", params=ERASE))
    assert erased["key_fingerprint"] is None


async def test_nobody_comes_back_under_the_id(people: People, service: asyncpg.Connection, tenant: Tenant) -> None:
    client = uuid.UUID(await people.ehr.client())
    ok(await people.admin.http.delete(f"/v1/clients/{client}", params=ERASE))
    with pytest.raises(asyncpg.PostgresError) as caught:
        await make_client(service, tenant.id, id=client)
    assert caught.value.sqlstate == "FL410"


async def test_the_same_identifier_may_be_used_for_a_new_client(people: People) -> None:
    external_id = uuid.uuid4().hex
    first = await people.ehr.client(external_id=external_id)
    ok(await people.admin.http.delete(f"/v1/clients/{first}", params=ERASE))
    assert await people.ehr.client(external_id=external_id) != first


@pytest.mark.parametrize("table", ERASED)
async def test_the_function_removes_what_the_registry_says(superuser: asyncpg.Connection, table: str) -> None:
    """A table that is missing here needs `erase_client` of `migrations.erasing` in the migration that makes it."""
    source = await superuser.fetchval("select prosrc from pg_proc where proname = 'erase_client'")
    condition = of_client(table, organisation="p_organisation_id", client="p_client_id")
    owned = CLIENT_TABLES[table]
    removal = f"delete from {table} where "  # noqa: S608  - compared, not run
    (line,) = [line for line in source.splitlines() if removal in line]
    assert line.strip().startswith(f"{removal}{table}.organisation_id = p_organisation_id")
    if not owned.parents:
        assert line.strip() == f"{removal}{condition};"
    for parent in owned.parents:
        inner = of_client(parent, organisation="p_organisation_id", client="p_client_id")
        assert f"select {parent}.{owned.parent_key} from {parent} where {inner}" in line  # noqa: S608  - compared, not run


async def test_nothing_is_removed_that_the_registry_does_not_name(superuser: asyncpg.Connection) -> None:
    source = await superuser.fetchval("select prosrc from pg_proc where proname = 'erase_client'")
    removed = [line.split()[2] for line in source.splitlines() if line.strip().startswith("delete from")]
    assert sorted(removed) == sorted(ERASED)
    assert removed.index("outbox") < removed.index("webhook_delivery"), "what is handed out meanwhile is removed after"


SNEAKY = """
create function {name}() returns void language plpgsql security definer as $$
begin
  -- erase_client(
  delete from response where id is null; -- erase_client(
end
$$
"""


@pytest.mark.parametrize("name", ["sneaky", "my_erase_client", '"erase_client("', "pg_temp.erase_client"])
async def test_no_other_function_removes_what_was_recorded(
    owner: asyncpg.Connection, superuser: asyncpg.Connection, name: str
) -> None:
    transaction = superuser.transaction()
    await transaction.start()
    try:
        await superuser.execute(SNEAKY.format(name=name))
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
            await superuser.execute(f"select {name}()")
    finally:
        await transaction.rollback()
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
        await owner.execute("do $$ begin delete from response; /* erase_client( */ end $$")
