"""The development issuer: an ES256 key under the data folder, and tokens signed with it.

For trying things out and for tests. The service accepts its tokens only with `development_issuer` on; it speaks for
whichever organisation its `iss` names, so it must never be on where real people's answers are.
"""

from __future__ import annotations

import base64
import json
import os
import re
import secrets
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from api.security import tokens
from api.security.keys import PinnedKeys

FILE_NAME: Final = "development-issuer.json"
PREFIX: Final = "urn:fathomline:development:"
AUDIENCE: Final = "fathomline"
_SLUG: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


class IssuerError(Exception):
    """The key cannot be made or read; the message is one line and says what to do."""


@dataclass(frozen=True)
class DevelopmentIssuer:
    """A signing key. Its public half verifies; the private half is shown by no representation."""

    _pem: str
    key_id: str
    public_jwk: dict[str, str]

    def __repr__(self) -> str:
        return f"DevelopmentIssuer(key_id={self.key_id!r})"

    def token(
        self, *, organisation: str, role: str, subject: str = "developer", minutes: float = 480.0, **claims: Any
    ) -> str:
        """A bearer token for a role in an organisation, good for some minutes from now."""
        if not _SLUG.fullmatch(organisation):
            raise IssuerError("an organisation's slug has small letters, digits and hyphens, at most 63")
        now = int(time.time())
        body = {
            "iss": PREFIX + organisation,
            "aud": AUDIENCE,
            "sub": subject,
            "role": role,
            "iat": now,
            "exp": now + round(minutes * 60),
            "jti": str(uuid.uuid4()),
        }
        return tokens.sign(body | claims, self._pem, key_id=self.key_id)

    def key_set(self) -> dict[str, Any]:
        """The public key as a JWK Set."""
        return {"keys": [self.public_jwk]}

    def trusted(self) -> _Trust:
        """How the verifier finds this issuer by the name in a token."""
        return _Trust(PinnedKeys(self.key_set()))


@dataclass(frozen=True)
class _Trust:
    keys: PinnedKeys

    def __call__(self, name: str) -> tokens.Issuer | None:
        slug = name.removeprefix(PREFIX)
        if slug == name or not _SLUG.fullmatch(slug):
            return None
        return tokens.Issuer(name, slug, AUDIENCE, frozenset({"ES256"}), self.keys)


def load(data: Path, *, create: bool) -> DevelopmentIssuer:
    """The issuer whose key is kept in ``data``; with ``create`` a key is made (mode 0600) where there is none.

    Raises
    ------
    IssuerError
        No key and not to be made; a file that others may read; a file that is no key.
    """
    path = data / FILE_NAME
    if not path.exists():
        if not create:
            raise IssuerError(
                f"{path} does not exist: start the service with the development issuer on, or name --data"
            )
        _write_new(path)
    try:
        if os.name == "posix" and path.stat().st_mode & 0o077:
            raise IssuerError(f"{path} may be read by others: chmod 600 {path}")
        jwk = json.loads(path.read_text(encoding="utf-8"))
        numbers = ec.EllipticCurvePublicNumbers(_integer(jwk["x"]), _integer(jwk["y"]), ec.SECP256R1())
        key = ec.EllipticCurvePrivateNumbers(_integer(jwk["d"]), numbers).private_key()
        key_id = str(jwk["kid"])
    except OSError as error:
        raise IssuerError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError):
        raise IssuerError(f"{path} holds no usable key: remove it and a new one is made") from None
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode("ascii")
    public = {name: jwk[name] for name in ("kty", "crv", "x", "y", "kid", "use", "alg")}
    return DevelopmentIssuer(pem, key_id, public)


def _integer(text: str) -> int:
    return int.from_bytes(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), "big")


def _text(number: int) -> str:
    return base64.urlsafe_b64encode(number.to_bytes(32, "big")).rstrip(b"=").decode("ascii")


def _write_new(path: Path) -> None:
    """A new key as a JWK (RFC 7517), named by its thumbprint (RFC 7638). Of several processes at once, one writes."""
    private = ec.generate_private_key(ec.SECP256R1()).private_numbers()
    public = private.public_numbers
    members = {"crv": "P-256", "kty": "EC", "x": _text(public.x), "y": _text(public.y)}
    digest = hashes.Hash(hashes.SHA256())
    digest.update(json.dumps(members, separators=(",", ":"), sort_keys=True).encode("ascii"))
    kid = base64.urlsafe_b64encode(digest.finalize()).rstrip(b"=").decode("ascii")
    jwk = members | {"kid": kid, "use": "sig", "alg": "ES256", "d": _text(private.private_value)}
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            json.dump(jwk, file)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)  # unlike a rename it never replaces the key of a process that was quicker
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    except OSError as error:
        raise IssuerError(f"cannot write {path}: {error.strerror}") from error
