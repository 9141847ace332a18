"""An OpenID provider in this process that says what a test wants it to say, however wrong."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
from fastapi import FastAPI
from joserfc import jwt
from joserfc.jwk import ECKey

from api.pages.provider import Provider
from api.settings import SignInSettings
from tests.pages.clinic import BASE

ISSUER = "https://login.test"
CLIENT_ID = "fathomline"


def new_key(key_id: str) -> ECKey:
    return ECKey.generate_key("P-256", {"kid": key_id, "use": "sig", "alg": "ES256"})


@dataclass
class Liar:
    """Honest unless told otherwise. ``asked`` is what the browser brought; codes are good once, as they should be."""

    organisation: str
    role: str = "therapist"
    subject: str = "c-1"
    metadata: dict[str, Any] = field(default_factory=dict)
    claims: dict[str, Any] = field(default_factory=dict)
    header: dict[str, Any] = field(default_factory=dict)
    token_answer: tuple[int, dict[str, Any]] | None = None
    token: str | None = None
    down: bool = False
    keys: list[ECKey] = field(default_factory=lambda: [new_key("first")])
    signs_with: ECKey | None = None
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    asked: dict[str, str] = field(default_factory=dict)
    spent: set[str] = field(default_factory=set)

    def arrive(self, url: str) -> None:
        """A browser comes to the authorization endpoint."""
        self.asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}

    def answer(self, request: httpx.Request) -> httpx.Response:
        if self.down:
            raise httpx.ConnectError("nobody is there")
        path = request.url.path
        form = {name: values[0] for name, values in parse_qs(request.content.decode()).items()}
        self.requests.append((path, form | {"authorization": request.headers.get("authorization", "")}))
        if path == "/.well-known/openid-configuration":
            return httpx.Response(200, json=self.discovery())
        if path == "/jwks":
            return httpx.Response(200, json={"keys": [key.as_dict(private=False) for key in self.keys]})
        assert path == "/token"
        if self.token_answer is not None:
            return httpx.Response(self.token_answer[0], json=self.token_answer[1])
        return self.exchanged(form)

    def exchanged(self, form: dict[str, str]) -> httpx.Response:
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
        good = (
            form.get("code") == "a-code"
            and form["code"] not in self.spent
            and form.get("redirect_uri") == self.asked.get("redirect_uri")
            and challenge.rstrip(b"=").decode() == self.asked.get("code_challenge")
        )
        if not good:
            return httpx.Response(400, json={"error": "invalid_grant", "error_description": "grant request is invalid"})
        self.spent.add(form["code"])
        return httpx.Response(200, json={"access_token": "opaque", "token_type": "Bearer", "id_token": self.id_token()})

    def discovery(self) -> dict[str, Any]:
        return {
            "issuer": ISSUER,
            "authorization_endpoint": f"{ISSUER}/authorize",
            "token_endpoint": f"{ISSUER}/token",
            "jwks_uri": f"{ISSUER}/jwks",
            "end_session_endpoint": f"{ISSUER}/logout",
            "authorization_response_iss_parameter_supported": True,
        } | self.metadata

    def id_token(self) -> str:
        if self.token is not None:
            return self.token
        now = int(time.time())
        key = self.signs_with or self.keys[0]
        claims = {
            "iss": ISSUER,
            "aud": CLIENT_ID,
            "sub": self.subject,
            "nonce": self.asked.get("nonce"),
            "iat": now,
            "exp": now + 300,
            "role": self.role,
            "organisation": self.organisation,
        } | self.claims
        return jwt.encode({"alg": "ES256", "kid": key.kid} | self.header, claims, key)

    def unsigned(self) -> str:
        """An ID token with the algorithm `none`."""
        head, body, _ = self.id_token().split(".")
        return f"{_text({**_read(head), 'alg': 'none'})}.{body}.AA"

    def signed_with_public_key(self) -> str:
        """One signed by HMAC with the public key as the secret."""
        body = self.id_token().split(".")[1]
        signed = f"{_text({'alg': 'HS256', 'kid': 'first'})}.{body}"
        secret = self.keys[0].as_pem(private=False)
        return f"{signed}.{_base64(hmac.digest(secret, signed.encode(), 'sha256'))}"


def _read(segment: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))
    return found


def _text(value: dict[str, Any]) -> str:
    return _base64(json.dumps(value).encode())


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def install(app: FastAPI, liar: Liar, settings: SignInSettings) -> httpx.AsyncClient:
    """Let the application's sign-in be at this provider; the way there, to be closed."""
    http = httpx.AsyncClient(transport=httpx.MockTransport(liar.answer))
    app.state.sign_in = Provider(settings, BASE, http)
    return http
