"""Public keys of issuers: read from a JWK Set, pinned in the settings or fetched from the issuer and kept.

What happens when a set cannot be fetched:

* keys are held: they stay in use, however old, and an unknown key id is refused as such (401);
* no key was ever held: nobody can be told apart from anybody, so the service says so (503), and tries again with the
  next request after `FETCH_INTERVAL`.
"""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

import httpx
import structlog
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from api.security import strict

LARGEST_SET: Final = 256 * 1024
"""Bytes of a fetched key set that are read at most."""
LONGEST_KEY_ID: Final = 200
MOST_KEYS: Final = 100
SMALLEST_RSA_BITS: Final = 2048
LARGEST_RSA_BITS: Final = 8192
FETCH_INTERVAL: Final = 60.0
"""Seconds between two fetches from one issuer, whatever key ids tokens name: strangers must not make us hammer it."""
FETCH_AGE: Final = 900.0
"""Seconds after which a fetched set is fetched again, so that a withdrawn key goes out of use."""
FETCH_TIMEOUT: Final = 5.0

_CURVES: Final[Mapping[str, tuple[str, type[ec.EllipticCurve]]]] = {
    "P-256": ("ES256", ec.SECP256R1),
    "P-384": ("ES384", ec.SECP384R1),
}
_PRIVATE: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})

_log = structlog.get_logger(__name__)


class KeySetInvalid(ValueError):
    """The document is not a JWK Set, or (pinned) one that cannot be used."""


class KeysUnavailable(Exception):
    """The issuer's keys have never been obtained, and cannot be now."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A verification key in PEM and the algorithms that fit its type."""

    pem: str
    algorithms: frozenset[str]


class KeySource(Protocol):
    """Where the keys of one issuer come from."""

    async def find(self, key_id: str) -> PublicKey | None:
        """The one key of that id, or nothing. May raise :class:`KeysUnavailable`."""


def _integer(value: object) -> int:
    if not isinstance(value, str) or len(value) > LARGEST_RSA_BITS // 4:
        raise ValueError("not a base64url integer")
    return int.from_bytes(base64.urlsafe_b64decode(value + "=" * (-len(value) % 4)), "big")


def _read_key(jwk: Mapping[str, Any]) -> PublicKey | None:
    """The key, or nothing for a kind of key that we never verify with. Raises `ValueError` for a broken one."""
    if jwk.get("use", "sig") != "sig" or "verify" not in jwk.get("key_ops", ["verify"]):
        return None
    key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey
    if jwk.get("kty") == "EC" and jwk.get("crv") in _CURVES:
        algorithm, curve = _CURVES[jwk["crv"]]
        fitting = {algorithm}
        key = ec.EllipticCurvePublicNumbers(_integer(jwk.get("x")), _integer(jwk.get("y")), curve()).public_key()
    elif jwk.get("kty") == "RSA":
        fitting = {"RS256", "RS384"}
        key = rsa.RSAPublicNumbers(_integer(jwk.get("e")), _integer(jwk.get("n"))).public_key()
        if not SMALLEST_RSA_BITS <= key.key_size <= LARGEST_RSA_BITS:
            raise ValueError(f"an RSA key has {SMALLEST_RSA_BITS} to {LARGEST_RSA_BITS} bits, got {key.key_size}")
    else:
        return None
    if "alg" in jwk:
        fitting &= {jwk["alg"]}
    pem = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return PublicKey(pem.decode("ascii"), frozenset(fitting)) if fitting else None


def read_key_set(document: object) -> dict[str, PublicKey]:
    """The usable keys of a JWK Set (RFC 7517) by key id.

    Keys of other kinds, for other uses or without an id are left out, as is an id that stands for two keys: a token's
    `kid` has to name exactly one.

    Raises
    ------
    KeySetInvalid
        No JWK Set; more than 100 keys; a broken key; a private or symmetric key, which does not belong in one.
    """
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise KeySetInvalid('a JWK Set is an object with a list of objects under "keys"')
    if len(entries) > MOST_KEYS:
        raise KeySetInvalid(f"a JWK Set has at most {MOST_KEYS} keys here, got {len(entries)}")
    found: dict[str, PublicKey | None] = {}
    for at, jwk in enumerate(entries):
        if secret := sorted(_PRIVATE & jwk.keys()):
            raise KeySetInvalid(f"key {at} has the private member {secret[0]!r}; only public keys belong here")
        key_id = jwk.get("kid")
        if not isinstance(key_id, str) or not 0 < len(key_id) <= LONGEST_KEY_ID:
            continue
        try:
            key = _read_key(jwk)
        except (ValueError, TypeError) as error:
            raise KeySetInvalid(f"key {at} cannot be used: {error}") from error
        found[key_id] = None if key_id in found else key
    return {key_id: key for key_id, key in found.items() if key is not None}


class PinnedKeys:
    """Keys written down in the settings."""

    def __init__(self, document: object) -> None:
        self._keys = read_key_set(document)
        if not self._keys:
            raise KeySetInvalid("no key of the set can verify a token: EC P-256 or P-384 or RSA, each with a kid")

    async def find(self, key_id: str) -> PublicKey | None:
        return self._keys.get(key_id)


class FetchedKeys:
    """Keys published by the issuer, fetched when first needed, when old, and when a token names an unknown one."""

    def __init__(self, uri: str, http: httpx.AsyncClient, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._uri = uri
        self._http = http
        self._clock = clock
        self._keys: dict[str, PublicKey] = {}
        self._fetched: float | None = None
        self._tried: float | None = None
        self._lock = asyncio.Lock()

    async def find(self, key_id: str) -> PublicKey | None:
        if self._wanting(key_id):
            async with self._lock:  # those who wait here find that the first one has just tried
                if self._may_try():
                    await self._fetch()
        if self._fetched is None:
            raise KeysUnavailable("the issuer's keys cannot be fetched")
        return self._keys.get(key_id)

    def _wanting(self, key_id: str) -> bool:
        return self._fetched is None or key_id not in self._keys or self._clock() - self._fetched > FETCH_AGE

    def _may_try(self) -> bool:
        return self._tried is None or self._clock() - self._tried >= FETCH_INTERVAL

    async def _fetch(self) -> None:
        self._tried = self._clock()
        try:
            async with asyncio.timeout(FETCH_TIMEOUT):
                keys = read_key_set(strict.loads(await self._download()))
        except (httpx.HTTPError, TimeoutError, ValueError) as error:
            _log.warning("jwks_not_fetched", uri=self._uri, error=type(error).__name__, held=len(self._keys))
            return
        self._keys, self._fetched = keys, self._clock()

    async def _download(self) -> bytes:
        """The document's bytes; a redirect is not followed, since only the written address was trusted."""
        async with self._http.stream("GET", self._uri, headers={"accept": "application/json"}) as response:
            if response.status_code != httpx.codes.OK:
                raise KeySetInvalid(f"status {response.status_code}")
            data = bytearray()
            async for chunk in response.aiter_bytes():
                data += chunk
                if len(data) > LARGEST_SET:
                    raise KeySetInvalid(f"more than {LARGEST_SET} bytes")
            return bytes(data)
