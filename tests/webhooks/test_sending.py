"""One attempt: what is sent and how it is signed, verified by packages that are not ours, and what answers mean."""

from __future__ import annotations

import asyncio
import json
import shutil
import ssl
import subprocess
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from api.ids import new_id
from api.webhooks import sending
from api.webhooks.addresses import Reach
from api.webhooks.sending import Answer, Message, Sender, new_secret, written
from benchmarks.receiver import Got, Receiver, answer
from tests.fhir.conftest import lacking
from tests.fhir.node import FOLDER
from tests.webhooks.certificates import issue

HERE = Path(__file__).parent
HOST = "receiver.example"


async def here(host: str, port: int) -> Sequence[str]:
    """A resolver that knows no other machine."""
    return ["127.0.0.1"]


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver.listening() as made:
        yield made


@pytest.fixture
async def sender() -> AsyncIterator[Sender]:
    async with Sender.open(Reach(loopback=True), resolve=here) as made:
        yield made


def message(**changes: Any) -> Message:
    given = {
        "id": new_id(),
        "type": "response.recorded",
        "resource_id": new_id(),
        "occurred_at": datetime(2026, 3, 1, 12, 0, 0, 123_456, tzinfo=UTC),
    }
    return Message(**(given | changes))


async def test_what_is_sent(receiver: Receiver, sender: Sender) -> None:
    sent, secret = message(), new_secret()
    before = int(time.time())
    assert await sender.send(receiver.url, [secret], sent) == Answer(204)
    (got,) = receiver.got
    assert got.line == "POST /hook?place=1 HTTP/1.1"
    assert got.headers.keys() == {
        "host",
        "user-agent",
        "accept",
        "content-type",
        "content-length",
        "webhook-id",
        "webhook-timestamp",
        "webhook-signature",
    }
    assert got.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert got.id == str(sent.id)
    assert before <= int(got.headers["webhook-timestamp"]) <= time.time()
    assert got.json == {
        "type": "response.recorded",
        "timestamp": "2026-03-01T12:00:00.123Z",
        "data": {"response_id": str(sent.resource_id)},
    }


@pytest.mark.parametrize(
    ("kind", "member"),
    [("alert.raised", "alert_id"), ("webhook.test", "webhook_id"), ("response.recorded", "response_id")],
)
def test_a_payload_names_the_thing_by_its_id_and_is_small(kind: str, member: str) -> None:
    body = message(type=kind).body()
    assert json.loads(body)["data"].keys() == {member}
    assert len(body) < 200


def test_a_secret_is_long_random_and_written_for_libraries() -> None:
    first, second = new_secret(), new_secret()
    assert len(first) == 32
    assert first != second
    Webhook(written(first))


def verified_by_python(secret: bytes, got: Got) -> Any:
    return Webhook(written(secret)).verify(got.body, got.headers)


async def test_the_python_package_accepts_it_and_nothing_altered(receiver: Receiver, sender: Sender) -> None:
    secret, former, other = new_secret(), new_secret(), new_secret()
    await sender.send(receiver.url, [secret, former], message())
    (got,) = receiver.got
    for key in (secret, former):
        assert verified_by_python(key, got) == got.json
    later = str(int(got.headers["webhook-timestamp"]) + 1)
    for key, altered in (
        (other, got),
        (secret, Got(got.line, got.headers, got.body.replace(b"recorded", b"Recorded"))),
        (secret, Got(got.line, got.headers | {"webhook-id": str(uuid.uuid4())}, got.body)),
        (secret, Got(got.line, got.headers | {"webhook-timestamp": later}, got.body)),
    ):
        with pytest.raises(WebhookVerificationError):
            verified_by_python(key, altered)


async def test_the_npm_package_accepts_it_and_nothing_altered(receiver: Receiver, sender: Sender) -> None:
    if shutil.which("node") is None or not (FOLDER / "node_modules" / "standardwebhooks").is_dir():
        lacking("Node or its packages are missing, so the npm package verifies nothing (make setup)")
    secret, former, other = new_secret(), new_secret(), new_secret()
    await sender.send(receiver.url, [secret, former], message())
    (got,) = receiver.got
    body = got.body.decode()
    cases = [(secret, body), (former, body), (other, body), (secret, body.replace("recorded", "Recorded"))]
    jobs = [{"secret": written(key), "headers": got.headers, "body": text} for key, text in cases]
    done = await asyncio.to_thread(
        subprocess.run, ["node", str(HERE / "verify.mjs")], input=json.dumps(jobs), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    refused = {"refused": "WebhookVerificationError"}
    assert json.loads(done.stdout) == [{"payload": got.json}, {"payload": got.json}, refused, refused]


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
async def test_only_2xx_is_taken(receiver: Receiver, sender: Sender, status: int) -> None:
    receiver.always(answer(status))
    assert (await sender.send(receiver.url, [new_secret()], message())).taken


@pytest.mark.parametrize("status", [300, 301, 302, 304, 307, 308, 400, 401, 404, 410, 429, 500, 503])
async def test_nothing_else_is_and_no_redirect_is_followed(receiver: Receiver, sender: Sender, status: int) -> None:
    async with Receiver.listening() as elsewhere:
        receiver.always(answer(status, f"location: {elsewhere.url}", "retry-after: 7", "set-cookie: a=b"))
        for number in (1, 2):
            found = await sender.send(receiver.url, [new_secret()], message())
            assert found == Answer(status, None, timedelta(seconds=7))
            assert not found.taken
            assert len(receiver.got) == number
        assert elsewhere.connections == 0
    assert "cookie" not in receiver.got[-1].headers


async def test_no_proxy_of_the_environment_is_used(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Receiver.listening() as proxy:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        async with Sender.open(Reach(loopback=True)) as sender:
            assert (await sender.send(receiver.url, [new_secret()], message())).taken
        assert proxy.connections == 0


async def test_a_connection_is_used_again(receiver: Receiver, sender: Sender) -> None:
    receiver.always(answer(200, body=b"x" * 1000))
    for _ in range(3):
        await sender.send(receiver.url, [new_secret()], message())
    assert (len(receiver.got), receiver.connections) == (3, 1)


@pytest.mark.parametrize("status", [200, 500])
async def test_an_endless_answer_is_not_read_to_its_end(receiver: Receiver, sender: Sender, status: int) -> None:
    receiver.always(answer(status, body=b"x" * 50_000_000))
    begun = time.monotonic()
    assert (await sender.send(receiver.url, [new_secret()], message())).status == status
    assert time.monotonic() - begun < 3


async def test_a_body_that_does_not_come_holds_nobody_up(
    receiver: Receiver, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "LAST_WORDS", 0.1)
    receiver.always(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc")
    assert await sender.send(receiver.url, [new_secret()], message()) == Answer(200)


@pytest.mark.parametrize(
    ("said", "failure"),
    [
        (None, "answer-malformed"),
        (b"nonsense\r\n\r\n", "answer-malformed"),
        (b"HTTP/1.1 200 OK\r\nx: " + b"y" * 300_000, "answer-malformed"),
        (b"HTTP/1.1 abc OK\r\n\r\n", "answer-malformed"),
    ],
)
async def test_what_is_no_answer(receiver: Receiver, sender: Sender, said: bytes | None, failure: str) -> None:
    receiver.always(said)
    assert await sender.send(receiver.url, [new_secret()], message()) == Answer(failure=failure)  # type: ignore[arg-type]  # of those above


async def test_silence_ends_after_a_time(receiver: Receiver, sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "TIMEOUT", 0.2)

    async def silent(_: Got) -> bytes | None:
        await asyncio.sleep(20)
        return None

    receiver.behave = silent
    assert await sender.send(receiver.url, [new_secret()], message()) == Answer(failure="timeout")


async def test_a_name_that_never_resolves_ends_after_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "TIMEOUT", 0.2)

    async def slow(host: str, port: int) -> Sequence[str]:
        await asyncio.sleep(20)
        return []

    async with Sender.open(Reach(), resolve=slow) as sender:
        assert await sender.send("https://receiver.example/", [new_secret()], message()) == Answer(failure="timeout")


async def test_a_name_that_leads_inside(receiver: Receiver) -> None:
    async with Sender.open(Reach(), resolve=here) as sender:
        for host in ("receiver.example", "127.0.0.1", "localhost", "[::ffff:127.0.0.1]"):
            url = f"http://{host}:{receiver.port}/"
            assert await sender.send(url, [new_secret()], message()) == Answer(failure="address-refused")
    assert receiver.connections == 0


async def test_nobody_listens(sender: Sender) -> None:
    async with Receiver.listening() as gone:
        url = gone.url
    assert await sender.send(url, [new_secret()], message()) == Answer(failure="unreachable")


async def test_tls_asks_for_the_name_and_holds_the_certificate_to_it(tmp_path: Path) -> None:
    shown, trust = issue(tmp_path, HOST)
    asked: list[str | None] = []
    shown.sni_callback = lambda _, name, __: asked.append(name)
    async with (
        Receiver.listening(certificate=shown) as receiver,
        Sender.open(Reach(loopback=True), resolve=here, trust=trust) as sender,
    ):
        assert await sender.send(f"https://{HOST}:{receiver.port}/", [new_secret()], message()) == Answer(204)
        assert asked == [HOST]
        assert receiver.got[0].headers["host"] == f"{HOST}:{receiver.port}"
        for other in ("other.example", "127.0.0.1"):
            url = f"https://{other}:{receiver.port}/"
            assert await sender.send(url, [new_secret()], message()) == Answer(failure="tls")
        assert len(receiver.got) == 1


async def test_an_authority_that_nobody_knows_is_not_believed(tmp_path: Path) -> None:
    shown, _ = issue(tmp_path, HOST)
    async with Receiver.listening(certificate=shown) as receiver:
        for trust in (None, ssl.create_default_context()):
            async with Sender.open(Reach(loopback=True), resolve=here, trust=trust) as sender:
                url = f"https://{HOST}:{receiver.port}/"
                assert await sender.send(url, [new_secret()], message()) == Answer(failure="tls")
        assert receiver.got == []
