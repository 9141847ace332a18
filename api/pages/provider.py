"""The OpenID provider: discovery, the code flow with PKCE through Authlib, and what an ID token has to be.

No token is kept: an ID token is verified and gone with the request that brought it, and the access token is not used.

References
----------
OpenID Connect Core 1.0; Discovery 1.0; RP-Initiated Logout 1.0. RFC 7636 (PKCE). RFC 9207 (issuer in the response).
"""

from __future__ import annotations

import asyncio
import base64
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote_plus, urlencode, urlsplit

import httpx
import structlog
from authlib.oauth2.client import OAuth2Client
from authlib.oidc.core.claims import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from api.pages.sessions import derived
from api.security import strict
from api.security.keys import FETCH_INTERVAL, FETCH_TIMEOUT, FetchedKeys, KeysUnavailable, PublicKey
from api.settings import SettingsError, SignInSettings

DISCOVERY: Final = "/.well-known/openid-configuration"
METADATA_AGE: Final = 900.0
"""Seconds after which what was discovered is discovered again."""
LARGEST_ANSWER: Final = 256 * 1024
LARGEST_TOKEN: Final = 16 * 1024
LEEWAY: Final = 30
"""Seconds by which the provider's clock may differ from ours."""
LONGEST_TOLD: Final = 500
_COMPACT: Final = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]+")
_FORBIDDEN: Final = frozenset({"crit", "jwk", "jku", "x5u", "x5c", "b64", "cty", "zip", "enc"})
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})

_log = structlog.get_logger(__name__)


class ProviderUnreachable(Exception):
    """The provider does not answer, or not with what it should. The message may be shown."""


class ProviderRefused(Exception):
    """The provider says no: `error` and `description` are its own words."""

    def __init__(self, error: str, description: str | None) -> None:
        super().__init__(error)
        self.error = error[:LONGEST_TOLD]
        self.description = None if description is None else description[:LONGEST_TOLD]


class TokenInvalid(Exception):
    """The ID token is not one for this sign-in. The message may be shown; it quotes nothing of the token."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """What is discovered of a provider."""

    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    end_session_endpoint: str | None
    names_itself: bool
    """Its answers carry `iss` (RFC 9207)."""
    token_auth: tuple[str, ...]


class _Client(OAuth2Client):  # type: ignore[misc]  # Authlib has no types
    """Authlib's client over our own way to ask: limited in time and size, and following no redirect."""

    async def _fetch_token(
        self, url: str, body: str = "", headers: Mapping[str, str] | None = None, auth: Any = None, **_: Any
    ) -> dict[str, Any]:
        given = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
        uri, headers, body = auth.prepare("POST", url, {**(headers or {}), **given}, body)
        status, answer = await _ask(self.session, "POST", uri, headers=headers, content=body)
        if not isinstance(answer, dict):
            raise ProviderUnreachable(f"Its token endpoint answered with status {status} and no object.")
        if "error" in answer:
            description = answer.get("error_description")
            raise ProviderRefused(str(answer["error"]), None if description is None else str(description))
        if status != httpx.codes.OK:
            raise ProviderUnreachable(f"Its token endpoint answered with status {status}.")
        return answer


def _basic(auth: Any, _method: str, uri: str, headers: dict[str, str], body: str) -> tuple[str, dict[str, str], str]:
    """Client id and secret in the header, each form-encoded first (RFC 6749, 2.3.1), which Authlib leaves out."""
    pair = f"{quote_plus(auth.client_id)}:{quote_plus(auth.client_secret)}"
    return uri, {**headers, "Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}, body


async def _ask(http: httpx.AsyncClient, method: str, url: str, **options: Any) -> tuple[int, Any]:
    """Status and JSON of an answer; None in place of what is not JSON.

    Raises
    ------
    ProviderUnreachable
        There is no answer, or one that is too large.
    """
    try:
        async with asyncio.timeout(FETCH_TIMEOUT), http.stream(method, url, **options) as response:
            data = bytearray()
            async for chunk in response.aiter_bytes():
                data += chunk
                if len(data) > LARGEST_ANSWER:
                    raise ProviderUnreachable(f"It answered with more than {LARGEST_ANSWER} bytes.")
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
        _log.warning("sign_in_provider_unreachable", error=type(error).__name__)
        raise ProviderUnreachable("It does not answer.") from None
    try:
        return response.status_code, strict.loads(bytes(data))
    except ValueError:
        return response.status_code, None


def safe_address(url: object) -> bool:
    """Whether what is sent there can be read by nobody else: https, or http on this machine."""
    if not isinstance(url, str):
        return False
    try:
        parsed = urlsplit(url)
        return parsed.scheme == "https" or (parsed.scheme == "http" and parsed.hostname in _LOOPBACK)
    except ValueError:
        return False


class Provider:
    """The provider of the settings. One an application; what it discovers it keeps for some minutes."""

    def __init__(
        self,
        settings: SignInSettings,
        public_url: str,
        http: httpx.AsyncClient,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        for name, url in (("issuer", settings.issuer), ("public URL", public_url)):
            if not safe_address(url):
                raise SettingsError(f"sign-in: the {name} has to be https (http only on this machine)")
        self.settings = settings
        self._secret = settings.secret()
        self._public = public_url.rstrip("/")
        self._http = http
        self._clock = clock
        self._metadata: Metadata | None = None
        self._fetched = 0.0
        self._keys: FetchedKeys | None = None
        self._keys_of: str | None = None
        self._asking: asyncio.Future[Metadata] | None = None

    @property
    def name(self) -> str:
        """For people: where the provider is."""
        return urlsplit(self.settings.issuer).netloc

    @property
    def redirect_uri(self) -> str:
        """Where the provider sends people back to; it has to be registered there."""
        return f"{self._public}/app/sign-in/callback"

    async def metadata(self) -> Metadata:
        """What the provider publishes of itself.

        Raises
        ------
        ProviderUnreachable
            It was never reached, or says of itself what cannot be used.
        """
        if self._metadata is not None and self._clock() - self._fetched <= METADATA_AGE:
            return self._metadata
        if self._asking is None:
            self._asking = asyncio.ensure_future(self._renewed())
            self._asking.add_done_callback(self._asked)
        # all who wait share one question, however it ends; asked one after the other, the last would wait for them all
        return await asyncio.shield(self._asking)

    def _asked(self, asking: asyncio.Future[Metadata]) -> None:
        self._asking = None
        if not asking.cancelled():
            asking.exception()  # seen, also where everybody who waited has hung up

    async def _renewed(self) -> Metadata:
        try:
            self._metadata = await self._discover()
            self._fetched = self._clock()
        except ProviderUnreachable:
            if self._metadata is None:
                raise
            self._fetched = self._clock() - METADATA_AGE + FETCH_INTERVAL  # what is known holds meanwhile
        return self._metadata

    async def _discover(self) -> Metadata:
        status, found = await _ask(self._http, "GET", self.settings.issuer.rstrip("/") + DISCOVERY)
        if status != httpx.codes.OK or not isinstance(found, dict):
            raise ProviderUnreachable(f"Its discovery document was answered with status {status}.")
        if found.get("issuer") != self.settings.issuer:
            raise ProviderUnreachable("Its discovery document is that of another issuer.")
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
            if not safe_address(found.get(name)):
                raise ProviderUnreachable(f"Its discovery document has no usable {name}.")
        end = found.get("end_session_endpoint")
        ways = found.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        return Metadata(
            found["authorization_endpoint"],
            found["token_endpoint"],
            found["jwks_uri"],
            end if safe_address(end) else None,
            found.get("authorization_response_iss_parameter_supported") is True,
            tuple(way for way in ways if isinstance(way, str)) if isinstance(ways, list) else (),
        )

    def _client(self, known: Metadata) -> _Client:
        way: str | Callable[..., Any] = "none"
        if self._secret is not None:
            post_only = "client_secret_post" in known.token_auth and "client_secret_basic" not in known.token_auth
            way = "client_secret_post" if post_only else _basic
        return _Client(
            self._http,
            client_id=self.settings.client_id,
            client_secret=self._secret,
            token_endpoint_auth_method=way,
            scope=self.settings.scopes,
            redirect_uri=self.redirect_uri,
            code_challenge_method="S256",
        )

    async def authorization_url(self, secret: bytes) -> str:
        """Where to send somebody who signs in. State, nonce and PKCE verifier come from the attempt's secret.

        Raises
        ------
        ProviderUnreachable
        """
        known = await self.metadata()
        url, _ = self._client(known).create_authorization_url(
            known.authorization_endpoint,
            state=derived(secret, "state"),
            nonce=derived(secret, "nonce"),
            code_verifier=derived(secret, "verifier"),
        )
        return str(url)

    async def claims(self, code: str, secret: bytes) -> dict[str, Any]:
        """The claims of the ID token that a code is good for.

        Raises
        ------
        ProviderUnreachable, ProviderRefused, TokenInvalid
        """
        known = await self.metadata()
        answer = await self._client(known).fetch_token(
            known.token_endpoint,
            grant_type="authorization_code",
            code=code,
            redirect_uri=self.redirect_uri,
            code_verifier=derived(secret, "verifier"),
        )
        token, access = answer.get("id_token"), answer.get("access_token")
        if not isinstance(token, str) or len(token) > LARGEST_TOKEN:
            raise TokenInvalid("There is no ID token.")
        return await self._verified(token, access, derived(secret, "nonce"), known)

    async def _verified(self, token: str, access: object, nonce: str, known: Metadata) -> dict[str, Any]:
        parts = _COMPACT.fullmatch(token)
        if parts is None:
            raise TokenInvalid("The ID token is not a signed JSON Web Token.")
        header = _header(parts[1])
        algorithm, key_id = header.get("alg"), header.get("kid")
        if algorithm not in self.settings.algorithms or not _FORBIDDEN.isdisjoint(header):
            raise TokenInvalid("The ID token's algorithm is not one that the settings allow.")
        key = await self._key(key_id, known)
        if key is None or algorithm not in key.algorithms:
            raise TokenInvalid("The ID token was signed with a key that the provider does not publish.")
        public = (ECKey if algorithm.startswith("ES") else RSAKey).import_key(key.pem)
        try:
            decoded = jwt.decode(token, public, algorithms=[algorithm])
            claims = CodeIDToken(
                decoded.claims,
                decoded.header,
                {
                    "iss": {"essential": True, "value": self.settings.issuer},
                    "aud": {"essential": True, "value": self.settings.client_id},
                    "nonce": {"essential": True, "value": nonce},
                },
                {"nonce": nonce, "client_id": self.settings.client_id, "access_token": access},
            )
            claims.validate(leeway=LEEWAY)
        except (JoseError, ValueError, TypeError, OverflowError) as error:
            told = {"expired_token": "has expired", "bad_signature": "has another signature"}
            why = told.get(getattr(error, "error", ""), "is not meant for this sign-in")
            raise TokenInvalid(f"The ID token {why}.") from None
        return dict(claims)

    async def _key(self, key_id: object, known: Metadata) -> PublicKey | None:
        if not isinstance(key_id, str):
            raise TokenInvalid("The ID token does not say which key signed it.")
        if self._keys is None or self._keys_of != known.jwks_uri:
            self._keys, self._keys_of = FetchedKeys(known.jwks_uri, self._http), known.jwks_uri
        try:
            return await self._keys.find(key_id)
        except KeysUnavailable:
            raise ProviderUnreachable("Its keys cannot be fetched.") from None

    async def end_session_url(self) -> str | None:
        """Where people sign out at the provider too, if it has such a place and can be asked."""
        try:
            known = await self.metadata()
        except ProviderUnreachable:
            return None
        if known.end_session_endpoint is None:
            return None
        asked = {
            "client_id": self.settings.client_id,
            "post_logout_redirect_uri": f"{self._public}/app/sign-in",
        }
        separator = "&" if urlsplit(known.end_session_endpoint).query else "?"
        return f"{known.end_session_endpoint}{separator}{urlencode(asked)}"


def _header(segment: str) -> dict[str, Any]:
    try:
        found = strict.loads(base64.b64decode(segment + "=" * (-len(segment) % 4), altchars="-_", validate=True))
    except ValueError:
        raise TokenInvalid("The ID token's header cannot be read.") from None
    if not isinstance(found, dict):
        raise TokenInvalid("The ID token's header is not an object.")
    return found


def said(claims: Mapping[str, Any], name: str) -> list[str]:
    """The texts that a claim holds: one, or those of a list; a name with dots may lead into objects.

    Examples
    --------
    >>> said({"role": "admin"}, "role"), said({"realm": {"roles": ["a", 1]}}, "realm.roles"), said({}, "role")
    (['admin'], ['a'], [])
    """
    value: Any = claims.get(name)
    if value is None:
        value = claims
        for part in name.split("."):
            value = value.get(part) if isinstance(value, dict) else None
    return [text for text in (value if isinstance(value, list) else [value]) if isinstance(text, str)]
