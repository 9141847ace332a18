"""Verification and signing of bearer tokens. The only module that knows python-jose; docs/decisions/0003 says why.

python-jose checks the signature and the registered claims. Around it stands what it leaves open: which key, which
algorithm for that key, which header members, which types, and JSON that has only one reading.
"""

from __future__ import annotations

import base64
import math
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from jose import jwk, jwt
from jose.exceptions import ExpiredSignatureError, JOSEError, JWTClaimsError

from api.security import strict
from api.security.keys import LONGEST_KEY_ID, KeySource

ALGORITHMS: Final = frozenset({"ES256", "ES384", "RS256", "RS384"})
LARGEST_TOKEN: Final = 8 * 1024
"""Bytes; a token that large is an attack or a mistake, and is refused before anything is decoded."""
LONGEST_SUBJECT: Final = 255
LEEWAY: Final = 30
"""Seconds by which the issuer's clock may differ from ours."""
_LATEST: Final = 2**53
"""Largest time claim: beyond it, JSON readers disagree about integers."""

_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_TYPES: Final = frozenset({"JWT", "AT+JWT", "APPLICATION/AT+JWT"})
"""Kinds of token taken (RFC 8725, 3.11): a signed logout notice or a DPoP proof is not an access token."""
_FORBIDDEN_HEADERS: Final = frozenset({"crit", "jwk", "jku", "x5u", "x5c", "b64", "cty", "zip", "enc"})
"""Members that bring or point to a key of the sender's choice, nest another token, or change how to read this one."""


class TokenRefused(Exception):
    """The token is not accepted. The message may be shown to its bearer: it quotes nothing of the token."""


@dataclass(frozen=True, slots=True)
class Issuer:
    """A trusted issuer: for which organisation it speaks, to whom, with which algorithms and keys."""

    name: str
    organisation: str
    audience: str
    algorithms: frozenset[str]
    keys: KeySource


@dataclass(frozen=True, slots=True)
class Claims:
    """What a verified token says. `expires` is in seconds since 1970."""

    organisation: str
    subject: str
    role: str
    expires: float


def _segment(text: str, what: str) -> dict[str, Any]:
    try:
        value = strict.loads(base64.b64decode(text + "=" * (-len(text) % 4), altchars="-_", validate=True))
    except ValueError:
        raise TokenRefused(f"The token's {what} cannot be read.") from None
    if not isinstance(value, dict):
        raise TokenRefused(f"The token's {what} is not an object.")
    return value


def _check_header(header: Mapping[str, Any]) -> tuple[str, str]:
    """Algorithm and key id of an acceptable header."""
    if not _FORBIDDEN_HEADERS.isdisjoint(header):
        raise TokenRefused("The token's header has a member that is not accepted.")
    kind = header.get("typ", "JWT")
    if not isinstance(kind, str) or kind.upper() not in _TYPES:
        raise TokenRefused("The token is not an access token.")
    algorithm, key_id = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise TokenRefused("The token's algorithm is not accepted.")
    if not isinstance(key_id, str) or not 0 < len(key_id) <= LONGEST_KEY_ID:
        raise TokenRefused("The token does not say which key signed it.")
    return algorithm, key_id


def _check_claims(claims: Mapping[str, Any]) -> None:
    """Types and bounds, before python-jose looks at the values: it takes a time written as text, for one."""
    for name in ("exp", "iat", "nbf"):
        value = claims.get(name, 0)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise TokenRefused("A time in the token is not a number.")
        if not 0 <= value <= _LATEST:
            raise TokenRefused("A time in the token is out of range.")
    if claims.get("iat", 0) > time.time() + LEEWAY:  # python-jose checks only that it is a number
        raise TokenRefused("The token was issued in the future.")
    subject, role = claims.get("sub"), claims.get("role")
    # Printable: no control character (PostgreSQL refuses NUL) and no lone surrogate (UTF-8 has none).
    if not isinstance(subject, str) or not 0 < len(subject) <= LONGEST_SUBJECT or not subject.isprintable():
        raise TokenRefused("The token's subject is missing or not usable.")
    if not isinstance(role, str) or not role:
        raise TokenRefused("The token has no role.")


async def verify(token: str, issuer_named: Callable[[str], Issuer | None]) -> Claims:
    """The claims of an acceptable token.

    Parameters
    ----------
    token : str
        In compact form.
    issuer_named : callable
        The trusted issuer of a name, or nothing.

    Raises
    ------
    TokenRefused
        For every reason that lies in the token.
    KeysUnavailable
        The issuer publishes its keys and cannot be reached.
    """
    if len(token) > LARGEST_TOKEN:
        raise TokenRefused("The token is too large.")
    if not _COMPACT.fullmatch(token):  # also refuses an encrypted token, which has five parts
        raise TokenRefused("The token is not a signed JSON Web Token.")
    first, second, _ = token.split(".")
    algorithm, key_id = _check_header(_segment(first, "header"))
    unverified = _segment(second, "payload")
    name = unverified.get("iss")
    issuer = issuer_named(name) if isinstance(name, str) else None
    if issuer is None:
        raise TokenRefused("The token's issuer is not trusted here.")
    if algorithm not in issuer.algorithms:
        raise TokenRefused("The token's algorithm is not accepted.")
    found = await issuer.keys.find(key_id)
    if found is None or algorithm not in found.algorithms:
        raise TokenRefused("The token was signed with an unknown key.")
    _check_claims(unverified)
    claims = _decode(token, jwk.construct(found.pem, algorithm), algorithm, issuer)
    return Claims(issuer.organisation, claims["sub"], claims["role"], float(claims["exp"]))


def _decode(token: str, key: Any, algorithm: str, issuer: Issuer) -> dict[str, Any]:
    required = {f"require_{name}": True for name in ("exp", "aud", "iss", "sub")}
    try:
        return jwt.decode(
            token,
            key,
            algorithms=[algorithm],
            audience=issuer.audience,
            issuer=issuer.name,
            options=required | {"leeway": LEEWAY, "verify_at_hash": False},
        )
    except ExpiredSignatureError:
        raise TokenRefused("The token has expired.") from None
    except JWTClaimsError:
        raise TokenRefused("The token is not meant for this service, or not yet valid.") from None
    except (JOSEError, ValueError, TypeError, OverflowError):
        raise TokenRefused("The token's signature or claims are not valid.") from None


def sign(claims: Mapping[str, Any], pem: str, *, key_id: str) -> str:
    """A token signed with an ES256 private key in PEM; only the development issuer signs here."""
    return str(jwt.encode(dict(claims), pem, algorithm="ES256", headers={"kid": key_id}))
