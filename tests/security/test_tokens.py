"""Which tokens are accepted, and every kind that is not."""

from __future__ import annotations

import ast
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given, settings
from hypothesis import strategies as st

import api
from api.security import tokens
from api.security.keys import PinnedKeys
from tests.security import forge

KEYS = PinnedKeys(
    {
        "keys": [
            forge.jwk(forge.EC256, "ec256"),
            forge.jwk(forge.EC384, "ec384"),
            forge.jwk(forge.RSA, "rsa"),
            forge.jwk(forge.RSA, "rsa384only", alg="RS384"),
            forge.jwk(forge.EC256, "twice"),
            forge.jwk(forge.STRANGER, "twice"),
            forge.jwk(forge.EC256, "encryption", use="enc"),
        ]
    }
)


def trust(name: str) -> tokens.Issuer | None:
    known = {
        forge.ISSUER: tokens.Issuer(forge.ISSUER, "demo", forge.AUDIENCE, tokens.ALGORITHMS, KEYS),
        "https://es256.example": tokens.Issuer(
            "https://es256.example", "demo", forge.AUDIENCE, frozenset({"ES256"}), KEYS
        ),
    }
    return known.get(name)


async def refusal(token: str) -> str:
    with pytest.raises(tokens.TokenRefused) as caught:
        await tokens.verify(token, trust)
    return str(caught.value)


@pytest.mark.parametrize(
    ("key", "algorithm", "key_id"),
    [
        (forge.EC256, "ES256", "ec256"),
        (forge.EC384, "ES384", "ec384"),
        (forge.RSA, "RS256", "rsa"),
        (forge.RSA, "RS384", "rsa"),
        (forge.RSA, "RS384", "rsa384only"),
    ],
)
async def test_accepted(key: Any, algorithm: str, key_id: str) -> None:
    body = forge.claims(sub="dr-ä b")
    found = await tokens.verify(forge.token(body, key=key, algorithm=algorithm, key_id=key_id), trust)
    assert found == tokens.Claims("demo", "dr-ä b", "clinician", float(body["exp"]))


@pytest.mark.parametrize("kind", ["JWT", "at+jwt", "application/at+jwt"])
async def test_kinds_of_token_accepted(kind: str) -> None:
    header = {"alg": "ES256", "kid": "ec256", "typ": kind, "x5t": "a thumbprint is harmless"}
    assert (await tokens.verify(forge.token(header=header), trust)).subject == "dr-a"


async def test_audience_may_be_one_of_several() -> None:
    body = forge.claims(aud=["elsewhere", forge.AUDIENCE])
    assert (await tokens.verify(forge.token(body), trust)).role == "clinician"


async def test_clocks_may_differ_a_little() -> None:
    now = int(time.time())
    body = forge.claims(iat=now + 20, nbf=now + 20, exp=now - 20)
    assert (await tokens.verify(forge.token(body), trust)).subject == "dr-a"


class TestSignature:
    async def test_of_a_stranger(self) -> None:
        assert "signature" in await refusal(forge.token(key=forge.STRANGER))

    async def test_over_other_claims(self) -> None:
        head, _, tail = forge.token().split(".")
        body = forge.b64(json.dumps(forge.claims(role="admin")).encode())
        assert "signature" in await refusal(f"{head}.{body}.{tail}")

    async def test_over_another_header(self) -> None:
        _, body, tail = forge.token().split(".")
        head = forge.b64(json.dumps({"kid": "ec256", "alg": "ES256"}).encode())
        assert "signature" in await refusal(f"{head}.{body}.{tail}")

    async def test_in_der_form(self) -> None:
        head, body, _ = forge.token().split(".")
        der = forge.EC256.sign(f"{head}.{body}".encode(), ec.ECDSA(hashes.SHA256()))
        assert "signature" in await refusal(f"{head}.{body}.{forge.b64(der)}")

    async def test_of_zeros(self) -> None:
        head, body, _ = forge.token().split(".")
        assert "signature" in await refusal(f"{head}.{body}.{forge.b64(bytes(64))}")

    async def test_missing(self) -> None:
        head, body, _ = forge.token().split(".")
        assert "not a signed" in await refusal(f"{head}.{body}.")


class TestAlgorithm:
    @pytest.mark.parametrize("name", ["none", "None", "NONE", "nOnE", "", "ES512", "PS256", "RS512", "EdDSA", "es256"])
    async def test_not_on_the_list(self, name: str) -> None:
        head = forge.b64(json.dumps({"alg": name, "kid": "ec256"}).encode())
        _, body, tail = forge.token().split(".")
        assert "algorithm" in await refusal(f"{head}.{body}.{tail}")

    @pytest.mark.parametrize("value", [None, 1, ["ES256"], {"alg": "ES256"}, True])
    async def test_not_text(self, value: Any) -> None:
        assert "algorithm" in await refusal(forge.token(header={"alg": value, "kid": "ec256"}))

    @pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
    @pytest.mark.parametrize(("key", "key_id"), [(forge.EC256, "ec256"), (forge.RSA, "rsa")])
    async def test_public_key_as_shared_secret(self, algorithm: str, key: Any, key_id: str) -> None:
        pem = forge.public_pem(key)
        for secret in (pem, pem.strip(), json.dumps(forge.jwk(key, key_id)).encode(), b""):
            forged = forge.token(key=secret, algorithm=algorithm, key_id=key_id)
            assert "algorithm" in await refusal(forged)

    @pytest.mark.parametrize(
        ("key", "algorithm", "key_id"),
        [
            (forge.EC256, "ES384", "ec256"),  # curve of the other algorithm
            (forge.EC384, "ES256", "ec384"),
            (forge.RSA, "RS256", "rsa384only"),  # the key says which one it is for
            (forge.RSA, "RS256", "ec256"),  # signed by another key of the same issuer
            (forge.EC256, "ES256", "rsa"),
        ],
    )
    async def test_not_the_keys(self, key: Any, algorithm: str, key_id: str) -> None:
        assert "unknown key" in await refusal(forge.token(key=key, algorithm=algorithm, key_id=key_id))

    async def test_not_the_issuers(self) -> None:
        body = forge.claims(iss="https://es256.example")
        assert "algorithm" in await refusal(forge.token(body, key=forge.RSA, algorithm="RS256", key_id="rsa"))
        assert await tokens.verify(forge.token(body), trust)


class TestKeyId:
    @pytest.mark.parametrize("key_id", ["unknown", "EC256", "twice", "encryption", "../ec256"])
    async def test_does_not_name_one_key(self, key_id: str) -> None:
        assert "unknown key" in await refusal(forge.token(key_id=key_id))

    @pytest.mark.parametrize("key_id", [None, "", "k" * 201])
    async def test_missing_or_too_long(self, key_id: str | None) -> None:
        assert "which key" in await refusal(forge.token(key_id=key_id))

    @pytest.mark.parametrize("value", [1, ["ec256"], None, {}])
    async def test_not_text(self, value: Any) -> None:
        assert "which key" in await refusal(forge.token(header={"alg": "ES256", "kid": value}))


class TestHeader:
    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("crit", ["exp"]),
            ("jwk", forge.jwk(forge.STRANGER, "ec256")),
            ("jku", "https://attacker.example/keys"),
            ("x5u", "https://attacker.example/cert"),
            ("x5c", ["MIIB"]),
            ("b64", False),
            ("cty", "JWT"),
            ("zip", "DEF"),
            ("enc", "A256GCM"),
        ],
    )
    async def test_member_that_changes_the_reading(self, name: str, value: Any) -> None:
        header = {"alg": "ES256", "kid": "ec256", name: value}
        assert "header has a member" in await refusal(forge.token(header=header))
        assert "header has a member" in await refusal(forge.token(header=header, key=forge.STRANGER))

    @pytest.mark.parametrize("kind", ["logout+jwt", "dpop+jwt", "JWE", "", None, 1])
    async def test_another_kind_of_token(self, kind: Any) -> None:
        assert "access token" in await refusal(forge.token(header={"alg": "ES256", "kid": "ec256", "typ": kind}))

    @pytest.mark.parametrize(
        "text",
        [
            '{"alg": "none", "alg": "ES256", "kid": "ec256"}',
            '{"alg": "ES256", "kid": "other", "kid": "ec256"}',
            '{"alg": "ES256", "kid": "ec256", "x": NaN}',
            "[]",
            '"ES256"',
            "{",
            "[" * 3000,
            '{"alg": "ES256", "kid": "ec256", "x": ' + "9" * 5000 + "}",
        ],
    )
    async def test_unreadable_or_ambiguous(self, text: str) -> None:
        assert "header" in await refusal(forge.token(header=text))


class TestClaims:
    @pytest.mark.parametrize("name", ["iss", "aud", "exp", "sub", "role"])
    async def test_missing(self, name: str) -> None:
        assert await refusal(forge.token(forge.claims(**{name: None})))

    async def test_expired(self) -> None:
        assert "expired" in await refusal(forge.token(forge.claims(exp=int(time.time()) - 120)))

    async def test_not_yet_valid(self) -> None:
        assert "not yet valid" in await refusal(forge.token(forge.claims(nbf=int(time.time()) + 120)))

    async def test_issued_in_the_future(self) -> None:
        assert "future" in await refusal(forge.token(forge.claims(iat=int(time.time()) + 120)))

    @pytest.mark.parametrize("audience", ["elsewhere", "", "fathomline ", ["elsewhere"], [], [1], {"a": 1}, 7])
    async def test_another_audience(self, audience: Any) -> None:
        assert "not meant" in await refusal(forge.token(forge.claims(aud=audience)))

    @pytest.mark.parametrize("issuer", ["https://other.example", forge.ISSUER + "/", "", 7, [forge.ISSUER], {}])
    async def test_another_issuer(self, issuer: Any) -> None:
        assert "issuer" in await refusal(forge.token(forge.claims(iss=issuer)))

    @pytest.mark.parametrize("name", ["exp", "iat", "nbf"])
    @pytest.mark.parametrize("value", ["4102444800", True, [], {}, 1e300, -1, 2**60])
    async def test_time_of_another_type_or_size(self, name: str, value: Any) -> None:
        assert "A time in the token" in await refusal(forge.token(forge.claims(**{name: value})))

    @pytest.mark.parametrize("value", ["Infinity", "NaN", "1e999"])
    async def test_time_that_is_no_number(self, value: str) -> None:
        text = json.dumps(forge.claims()).replace(f'"exp": {forge.claims()["exp"]}', f'"exp": {value}')
        assert value in text
        assert await refusal(forge.token(text))

    @pytest.mark.parametrize("subject", ["", "s" * 256, 7, ["dr-a"], "dr\x00a", "dr\na", "\ud800", True])
    async def test_subject_that_cannot_be_used(self, subject: Any) -> None:
        assert "subject" in await refusal(forge.token(forge.claims(sub=subject)))

    async def test_longest_subject(self) -> None:
        assert (await tokens.verify(forge.token(forge.claims(sub="s" * 255)), trust)).subject == "s" * 255

    @pytest.mark.parametrize("role", ["", 7, ["admin"]])
    async def test_role_of_another_type(self, role: Any) -> None:
        assert "role" in await refusal(forge.token(forge.claims(role=role)))

    @pytest.mark.parametrize("name", ["sub", "role", "iss", "exp"])
    async def test_member_twice(self, name: str) -> None:
        body = json.dumps(forge.claims())
        text = f'{{"{name}": "admin", {body[1:]}'
        assert "payload" in await refusal(forge.token(text))

    async def test_not_an_object(self) -> None:
        assert "not an object" in await refusal(forge.token('["a"]'))

    async def test_not_utf8(self) -> None:
        head, _, tail = forge.token().split(".")
        assert "payload" in await refusal(f"{head}.{forge.b64(bytes([0xFF, 0xFE]))}.{tail}")


class TestForm:
    @pytest.mark.parametrize(
        "change",
        [
            lambda token: token + "x" * tokens.LARGEST_TOKEN,
            lambda token: "a" * (tokens.LARGEST_TOKEN + 1),
        ],
    )
    async def test_too_large(self, change: Callable[[str], str]) -> None:
        assert "too large" in await refusal(change(forge.token()))

    async def test_large_but_not_too_large(self) -> None:
        size = tokens.LARGEST_TOKEN
        token = forge.token(forge.claims(padding="x" * 5500))
        assert size * 0.9 < len(token) <= size
        assert (await tokens.verify(token, trust)).subject == "dr-a"

    @pytest.mark.parametrize(
        "change",
        [
            lambda token: "",
            lambda token: "..",
            lambda token: token.rsplit(".", 1)[0],
            lambda token: token + ".",
            lambda token: token + "=",
            lambda token: token + "\n",
            lambda token: " " + token,
            lambda token: token.replace(".", "..", 1),
            lambda token: f"{token}.{token}",
            lambda token: "a.b.c.d.e",  # an encrypted token has five parts
            lambda token: token.replace("e", "é", 1),
        ],
    )
    async def test_not_compact(self, change: Callable[[str], str]) -> None:
        assert "not a signed" in await refusal(change(forge.token()))

    async def test_token_in_a_token(self) -> None:
        inner = forge.token()
        assert await refusal(forge.token(inner, header={"alg": "ES256", "kid": "ec256", "cty": "JWT"}))
        assert "payload" in await refusal(forge.token(inner))

    @settings(max_examples=200)
    @given(text=st.one_of(st.text(max_size=200), st.from_regex(tokens._COMPACT, fullmatch=True)))
    async def test_noise_is_refused_and_nothing_else(self, text: str) -> None:
        with pytest.raises(tokens.TokenRefused):
            await tokens.verify(text, trust)

    @settings(max_examples=100)
    @given(
        header=st.dictionaries(
            st.sampled_from(["alg", "kid", "typ", "jwk", "crit"]),
            st.one_of(st.none(), st.integers(), st.text(max_size=10), st.just("ES256"), st.just("ec256")),
        ),
        payload=st.dictionaries(
            st.sampled_from(["iss", "aud", "exp", "sub", "role", "nbf", "at_hash", "jti"]),
            st.one_of(
                st.none(), st.integers(), st.floats(allow_nan=False), st.text(max_size=10), st.just(forge.ISSUER)
            ),
        ),
    )
    async def test_signed_noise_is_refused_and_nothing_else(
        self, header: dict[str, Any], payload: dict[str, Any]
    ) -> None:
        with pytest.raises(tokens.TokenRefused):
            await tokens.verify(forge.token(payload or {"": 0}, header=header), trust)


async def test_message_quotes_nothing_of_the_token() -> None:
    word = "sentinel-4711"
    for body in (
        forge.claims(sub=word, exp=1),
        forge.claims(iss=word),
        forge.claims(aud=word),
        forge.claims(sub=[word]),
    ):
        assert word not in await refusal(forge.token(body))
    assert word not in await refusal(forge.token(key_id=word))


def test_only_one_module_knows_jose() -> None:
    root = Path(api.__file__).parent
    knowing = [path.relative_to(root).as_posix() for path in root.rglob("*.py") if "jose" in _imports(path.read_text())]
    assert knowing == ["security/tokens.py"]


def _imports(source: str) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {name.name.split(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found


def test_small_rsa_key_is_no_key() -> None:
    small = rsa.generate_private_key(65537, 1024)  # noqa: S505  - a breakable key is the point
    with pytest.raises(ValueError, match="2048"):
        PinnedKeys({"keys": [forge.jwk(small, "small")]})
