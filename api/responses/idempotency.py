"""The `Idempotency-Key` header (draft-ietf-httpapi-idempotency-key-header) and the fingerprint of a request."""

from __future__ import annotations

import hashlib
import re
from typing import Any, Final

import orjson

from api.problems import Problem

LONGEST_KEY: Final = 255

_QUOTED: Final = re.compile(rb'"((?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"')  # RFC 8941, 3.3.3
_BARE: Final = re.compile(rb"[\x21\x23-\x2b\x2d-\x3a\x3c-\x7e]+")  # most clients send it so; no `"`, `,` or `;`
_ESCAPED: Final = re.compile(rb"\\(.)")


class IdempotencyKeyRequired(Problem):
    """The operation needs an `Idempotency-Key`, and there is none that can be used."""

    status, slug, title = 400, "idempotency-key-required", "The request needs an idempotency key"


def key_of(headers: list[tuple[bytes, bytes]]) -> str:
    """The key that a request carries, quoted (a structured-field String) or bare; both spellings are one key.

    Raises
    ------
    IdempotencyKeyRequired
        None, several, or one that is empty, too long or not printable ASCII.
    """
    found = [value for name, value in headers if name == b"idempotency-key"]
    if not found:
        raise IdempotencyKeyRequired("Send a new random Idempotency-Key with each form, and the same to repeat it.")
    if len(found) == 1:
        text = found[0].strip(b" \t")
        quoted = _QUOTED.fullmatch(text)
        if quoted is not None:
            text = _ESCAPED.sub(rb"\1", quoted[1])
        if 0 < len(text) <= LONGEST_KEY and (quoted is not None or _BARE.fullmatch(text)):
            return text.decode("ascii")
    raise IdempotencyKeyRequired(f"Idempotency-Key is one quoted string of 1 to {LONGEST_KEY} printable characters.")


def fingerprint(body: Any) -> bytes:
    """SHA-256 of what a JSON body says: white space and the order of members do not count."""
    return hashlib.sha256(orjson.dumps(body, option=orjson.OPT_SORT_KEYS)).digest()
