"""Tokens made by hand with `cryptography`, apart from the code under test: well-formed ones, and every other kind."""

from __future__ import annotations

import base64
import hmac
import json
import time
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

ISSUER = "https://login.example"
AUDIENCE = "fathomline"

EC256 = ec.generate_private_key(ec.SECP256R1())
EC384 = ec.generate_private_key(ec.SECP384R1())
RSA = rsa.generate_private_key(65537, 2048)
STRANGER = ec.generate_private_key(ec.SECP256R1())

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def number(value: int, size: int) -> str:
    return b64(value.to_bytes(size, "big"))


def jwk(key: PrivateKey, key_id: str, **members: Any) -> dict[str, Any]:
    """The public half as a JWK."""
    if isinstance(key, ec.EllipticCurvePrivateKey):
        public, size = key.public_key().public_numbers(), (key.key_size + 7) // 8
        return {
            "kty": "EC",
            "crv": f"P-{key.key_size}",
            "kid": key_id,
            "x": number(public.x, size),
            "y": number(public.y, size),
        } | members
    modulus = key.public_key().public_numbers()
    return {"kty": "RSA", "kid": key_id, "n": number(modulus.n, key.key_size // 8), "e": number(modulus.e, 3)} | members


def public_pem(key: PrivateKey) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def claims(**changes: Any) -> dict[str, Any]:
    """Claims of an acceptable token; a change to None leaves the claim out."""
    now = int(time.time())
    body = {"iss": ISSUER, "aud": AUDIENCE, "sub": "dr-a", "role": "clinician", "iat": now, "exp": now + 600} | changes
    return {name: value for name, value in body.items() if value is not None}


def signature(key: PrivateKey | bytes, algorithm: str, data: bytes) -> bytes:
    if algorithm == "none":
        return b""
    digest: hashes.HashAlgorithm = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}[
        algorithm[2:]
    ]
    if isinstance(key, bytes):
        return hmac.digest(key, data, digest.name)
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(data, padding.PKCS1v15(), digest)
    r, s = decode_dss_signature(key.sign(data, ec.ECDSA(digest)))
    size = (key.key_size + 7) // 8
    return r.to_bytes(size, "big") + s.to_bytes(size, "big")


def token(
    payload: dict[str, Any] | str | None = None,
    *,
    key: PrivateKey | bytes = EC256,
    algorithm: str = "ES256",
    header: dict[str, Any] | str | None = None,
    key_id: str | None = "ec256",
) -> str:
    """A compact token. Header and payload may be given as raw JSON text, to write what no library would."""
    if header is None:
        header = {"alg": algorithm, "typ": "JWT"} | ({"kid": key_id} if key_id is not None else {})
    parts = [part if isinstance(part, str) else json.dumps(part) for part in (header, payload or claims())]
    signed = ".".join(b64(part.encode("utf-8")) for part in parts)
    return f"{signed}.{b64(signature(key, algorithm, signed.encode('ascii')))}"
