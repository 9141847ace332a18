"""Hostile and mistaken bodies: each gets its problem, none a 500, and none is quoted back."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api import middleware
from api.security import strict
from tests.web.probe import SENTINEL, Probe

JSON = {"Content-Type": "application/json"}
PATH = "/v1/things"


async def problem(client: httpx.AsyncClient, content: bytes, **headers: str) -> dict[str, object]:
    answer = await client.post(PATH, content=content, headers=JSON | headers)
    assert answer.headers["content-type"] == "application/problem+json"
    found: dict[str, object] = answer.json()
    assert found["status"] == answer.status_code
    assert SENTINEL not in answer.text
    return found


async def test_good_body(clinician: httpx.AsyncClient) -> None:
    answer = await clinician.post(PATH, json={"name": "Zoë", "answers": {"1": 5}})
    assert (answer.status_code, answer.json()) == (200, {"name": "Zoë", "organisation": "demo"})


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"",
        b"nonsense",
        b"\xef\xbb\xbf{}",
        b'{"name": "a",}',
        b"{'name': 'a'}",
        b'{"name": "a"} {}',
        b'{"name": "\x00"}',
        b'{"name": "\n"}',
        b'{"name": "\xff"}',
        b'{"name": "\\x41"}',
        b'{"name": "\xed\xa0\x80"}',
        b'{"name": 01}',
        '{"name": "a"}'.encode("utf-16"),
    ],
)
async def test_not_json(clinician: httpx.AsyncClient, content: bytes) -> None:
    found = await problem(clinician, content)
    if content:
        assert (found["status"], found["type"]) == (400, "/problems/body-malformed")
    else:
        assert (found["status"], found["type"]) == (422, "/problems/request-invalid")


@pytest.mark.parametrize(
    ("content", "pointer", "code"),
    [
        (b'{"name": "a", "name": "b"}', "", "duplicate-member"),
        (b'{"name": "a", "answers": {"1": 1, "1": 2}}', "", "duplicate-member"),
        (b'{"name": "a", "\\u006eame": "b"}', "", "duplicate-member"),
        (b'{"name": NaN}', "", "not-a-number"),
        (b'{"name": -Infinity}', "", "not-a-number"),
        (b'{"answers": {"1": 1e999}}', "/answers/1", "number-out-of-range"),
        (b'{"answers": {"1": -1E+400}}', "/answers/1", "number-out-of-range"),
        (b'{"answers": {"1": 9007199254740992}}', "/answers/1", "number-out-of-range"),
        (b'{"answers": {"1": -9007199254740992}}', "/answers/1", "number-out-of-range"),
        (b'{"answers": {"1": ' + b"9" * 400 + b"}}", "/answers/1", "number-out-of-range"),
        (b'{"answers": {"1": ' + b"9" * 5000 + b"}}", "", "number-out-of-range"),
        (b'{"name": "a\\u0000b"}', "/name", "nul-character"),
        (b'{"a\\u0000b": 1}', "", "nul-character"),
        (b'{"name": "\\ud800"}', "/name", "lone-surrogate"),
        (b'{"name": "\\udc00\\ud800"}', "/name", "lone-surrogate"),
        (b'{"\\ud83d": 1}', "", "lone-surrogate"),
        (b'{"a/b": {"c~d": ["\\u0000"]}}', "/a~1b/c~0d/0", "nul-character"),
        (b'{"name": ' + b"[" * 40 + b"]" * 40 + b"}", "/name" + "/0" * 31, "too-deep"),
        (b"[" * 100_000 + b"]" * 100_000, "", "too-deep"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "", "too-deep"),
    ],
)
async def test_json_with_two_meanings_or_none_that_fits(
    clinician: httpx.AsyncClient, content: bytes, pointer: str, code: str
) -> None:
    found = await problem(clinician, content)
    assert (found["status"], found["type"]) == (422, "/problems/request-invalid")
    errors = found["errors"]
    assert isinstance(errors, list)
    assert [(error["pointer"], error["code"]) for error in errors] == [(pointer, code)]


@pytest.mark.parametrize(
    "content",
    [
        b'{"name": "a\\\\u0000b"}',  # an escaped backslash, then plain text
        b'{"name": "\\ud83d\\ude00"}',  # a pair of surrogates is one character
        b'{"name": "\xf0\x9f\x98\x80"}',
        b'{"name": "1e999"}',
        b'{"name": "a", "answers": {"1": 9007199254740991}}',
        b' \r\n\t{"name": "[[[[[[[[[[[[[[[[["} ',
        b'{"name": "' + b"[" * 20 + b'", "answers": {' + b",".join(b'"%d": 1' % n for n in range(60)) + b"}}",
    ],
)
async def test_what_only_looks_hostile_is_taken(clinician: httpx.AsyncClient, content: bytes) -> None:
    assert (await clinician.post(PATH, content=content, headers=JSON)).status_code == 200


class TestSize:
    async def test_declared(self, clinician: httpx.AsyncClient) -> None:
        found = await problem(clinician, b'{"name": "' + b"a" * 1_048_576 + b'"}')
        assert (found["status"], found["type"]) == (413, "/problems/body-too-large")

    async def test_not_declared(self, clinician: httpx.AsyncClient) -> None:
        sent = 0

        async def endless() -> AsyncIterator[bytes]:
            nonlocal sent
            while True:
                sent += 65_536
                yield b" " * 65_536

        answer = await clinician.post(PATH, content=endless(), headers=JSON)
        assert answer.status_code == 413
        assert sent <= 1_048_576 + 2 * 65_536, "reading stops at the limit"

    async def test_declared_shorter_than_it_is(self, clinician: httpx.AsyncClient) -> None:
        answer = await clinician.post(PATH, content=b" " * 1_048_577, headers=JSON | {"Content-Length": "10"})
        assert answer.status_code == 413

    @pytest.mark.parametrize("length", ["9" * 5000, "1" + "0" * 30])
    async def test_absurd_length(self, clinician: httpx.AsyncClient, length: str) -> None:
        assert (await clinician.post(PATH, content=b"{}", headers=JSON | {"Content-Length": length})).status_code == 413

    async def test_exactly_the_limit(self, clinician: httpx.AsyncClient) -> None:
        content = b'{"name": "a"}'
        content += b" " * (1_048_576 - len(content))
        assert (await clinician.post(PATH, content=content, headers=JSON)).status_code == 200
        assert (await clinician.post(PATH, content=content + b" ", headers=JSON)).status_code == 413

    async def test_too_slow(self, clinician: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(middleware, "BODY_TIMEOUT", 0.05)

        async def slow() -> AsyncIterator[bytes]:
            yield b"{"
            await asyncio.sleep(5)
            yield b"}"

        answer = await clinician.post(PATH, content=slow(), headers=JSON)
        assert (answer.status_code, answer.json()["type"]) == (408, "/problems/request-timeout")


@pytest.mark.parametrize("body", [b"[]", b'"text"', b"7"])
async def test_what_is_no_object_is_told_in_plain_words(clinician: httpx.AsyncClient, body: bytes) -> None:
    (fault,) = (await clinician.post(PATH, content=body, headers=JSON)).json()["errors"]
    assert (fault["pointer"], fault["detail"]) == ("", "has to be an object")


class TestMediaType:
    @pytest.mark.parametrize(
        "kind",
        [
            "application/json",
            "application/json; charset=utf-8",
            'Application/JSON;charset="UTF-8"',
            "application/fhir+json",
            "application/merge-patch+json",
        ],
    )
    async def test_taken(self, clinician: httpx.AsyncClient, kind: str) -> None:
        answer = await clinician.post(PATH, content=b'{"name": "a"}', headers={"Content-Type": kind})
        assert answer.status_code == 200

    @pytest.mark.parametrize(
        "kind",
        [
            "",
            "text/plain",
            "application/xml",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "application/json; charset=utf-16",
            "application/jsonx",
            "application/json, text/plain",
            "json",
        ],
    )
    async def test_refused(self, clinician: httpx.AsyncClient, kind: str) -> None:
        answer = await clinician.post(PATH, content=b'{"name": "a"}', headers={"Content-Type": kind})
        assert (answer.status_code, answer.json()["type"]) == (415, "/problems/media-type-unsupported")
        assert answer.headers["accept"] == "application/json"

    async def test_none(self, clinician: httpx.AsyncClient) -> None:
        assert (await clinician.post(PATH, content=b'{"name": "a"}')).status_code == 415

    @pytest.mark.parametrize("coding", ["gzip", "br", "deflate", "gzip, identity"])
    async def test_compressed(self, clinician: httpx.AsyncClient, coding: str) -> None:
        bomb = gzip.compress(b" " * 10_000_000)
        answer = await clinician.post(PATH, content=bomb, headers=JSON | {"Content-Encoding": coding})
        assert answer.status_code == 415

    async def test_body_on_a_reading_method(self, clinician: httpx.AsyncClient) -> None:
        answer = await clinician.request("GET", PATH, content=b"\xff", headers=JSON)
        assert answer.status_code == 400


class TestOrder:
    """Nobody's body is looked at before their token is."""

    @pytest.mark.parametrize("content", [b"{", b" " * 1_048_577, b'{"name": 1e999}', b'{"name": "a"}'])
    async def test_no_token(self, stranger: httpx.AsyncClient, content: bytes) -> None:
        assert (await stranger.post(PATH, content=content, headers=JSON)).status_code == 401

    async def test_body_is_not_even_read(self, probe: Probe) -> None:
        async def receive() -> dict[str, object]:
            raise AssertionError("the body was read")

        sent: list[dict[str, object]] = []

        async def send(message: dict[str, object]) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": PATH,
            "raw_path": PATH.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(b"content-length", b"100"), (b"content-type", b"application/json")],
        }
        await probe.app(scope, receive, send)  # type: ignore[arg-type]  # plain dicts stand for ASGI messages
        assert sent[0]["status"] == 401

    async def test_wrong_role_before_shape(self, probe: Probe) -> None:
        async with probe.client(**probe.bearer("researcher")) as client:
            assert (await client.post(PATH, json={"name": 7})).status_code == 403


async def test_parsed_body_is_handed_on(clinician: httpx.AsyncClient) -> None:
    path = f"{PATH}/00000000-0000-0000-0000-000000000001"
    answer = await clinician.put(path, content=b'{"a":  [1, 2.5]}', headers=JSON)
    assert answer.json() == {"parsed": {"a": [1, 2.5]}, "body": '{"a":  [1, 2.5]}'}


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=300))
async def test_no_bytes_make_the_service_fail(probe: Probe, content: bytes) -> None:
    async with probe.client(**probe.bearer()) as client:
        answer = await client.post(PATH, content=content, headers=JSON)
    assert answer.status_code in (400, 422)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=8), inner, max_size=5),
    max_leaves=20,
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=st.fixed_dictionaries({}, optional=dict.fromkeys(("name", "answers", "ids", "one", "x"), json_values)))
async def test_no_json_makes_the_service_fail(probe: Probe, value: object) -> None:
    async with probe.client(**probe.bearer()) as client:
        answer = await client.post(PATH, content=json.dumps(value).encode(), headers=JSON)
    assert answer.status_code in (200, 422)


@given(value=json_values, ascii_only=st.booleans())
def test_strict_reading_is_reading(value: object, ascii_only: bool) -> None:
    assert strict.loads(json.dumps(value, ensure_ascii=ascii_only).encode()) == value


@given(value=json_values)
def test_fast_check_agrees_with_looking_at_everything(value: object) -> None:
    data = json.dumps(value).encode()
    everything = strict.faults(data + b"\\u" * 1, value, 32)  # the escape makes the check look at every value
    assert strict.faults(data, value, 32) == everything


def test_ordinary_bodies_take_the_fast_way() -> None:
    body = {
        "client_id": "0191f3a0-5b1e-7c2a-8e1b-123456789abc",
        "answered_at": "2026-01-01T00:00:00.000000+00:00",
        "answers": {str(item): 5 for item in range(1, 20)} | {"20": -1.5},
    }
    for separators in (None, (",", ":")):
        assert strict._ordinary(json.dumps(body, separators=separators).encode()) == body


_LIKELY_TROUBLE = st.text(alphabet='a":\\,{}[]e1é \0', max_size=6)


@st.composite
def _texts(draw: st.DrawFn) -> bytes:
    """JSON text that may hold one member twice, NaN, large numbers, escapes, and strings that look like JSON."""

    def written(value: object) -> str:
        if isinstance(value, tuple):
            return "{" + ",".join(f"{json.dumps(name)}{draw(_COLON)}{written(inner)}" for name, inner in value) + "}"
        if isinstance(value, list):
            return "[" + ", ".join(map(written, value)) + "]"
        return json.dumps(value, ensure_ascii=draw(st.booleans()))

    return written(draw(_SHAPES)).encode()


_COLON = st.sampled_from([":", ": ", " :", "\n:\t"])
_SHAPES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | _LIKELY_TROUBLE,
    lambda inner: st.lists(inner, max_size=4) | st.lists(st.tuples(_LIKELY_TROUBLE, inner), max_size=4).map(tuple),
    max_leaves=12,
)


@given(data=_texts())
def test_both_ways_of_reading_agree(data: bytes) -> None:
    """The fast way either leaves a text to the slow one or reads the same in it, to the type."""
    fast = strict._ordinary(data)
    if fast is not strict._NOT_ORDINARY:
        assert repr(strict._DECODER.decode(data.decode())) == repr(fast)


@given(data=_texts())
def test_reading_a_body_is_reading_and_then_looking_for_faults(data: bytes) -> None:
    try:
        value = strict.loads(data)
    except ValueError as error:
        with pytest.raises(type(error)):
            strict.read(data, 4)
    else:
        assert repr(strict.read(data, 4)) == repr((value, strict.faults(data, value, 4)))


@given(data=_texts(), deepest=st.integers(1, 5))
def test_what_is_found_fit_has_no_faults_and_the_other_way_round(data: bytes, deepest: int) -> None:
    try:
        value = strict.loads(data)
    except ValueError:
        return
    assert strict._fits([value], deepest + 1) == (strict._looked_for(value, deepest) == [])


@pytest.mark.parametrize("number", ["1e999", "-1E+999", "1.5e999", "9007199254740992", "-9007199254740992", "9" * 30])
@pytest.mark.parametrize("around", ["{}", " {}", "[{}]", "[1,{}]", "[1, {}]", '{{"a":{}}}', '{{"a": {}}}', "[\n{}\n]"])
def test_no_number_out_of_range_takes_it(number: str, around: str) -> None:
    data = around.format(number).encode()
    assert [fault["code"] for fault in strict.faults(data, strict.loads(data), 32)] == ["number-out-of-range"]
