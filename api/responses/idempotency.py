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


class IdempotencyKeyInvalid(Problem):
    """The `Idempotency-Key` cannot be used: there are several, or it is empty, too long or not printable ASCII."""

    status, slug, title = 400, "idempotency-key-invalid", "The idempotency key cannot be used"


def key_of(headers: list[tuple[bytes, bytes]]) -> str | None:
    """The key that a request carries, quoted (a structured-field String) or bare; both spellings are one key.

    ``None`` where it carries none: then a repetition is another response.

    Raises
    ------
    IdempotencyKeyInvalid
        Several, or one that is empty, too long or not printable ASCII.
    """
    found = [value for name, value in headers if name == b"idempotency-key"]
    if not found:
        return None
    if len(found) == 1:
        text = found[0].strip(b" \t")
        quoted = _QUOTED.fullmatch(text)
        if quoted is not None:
            text = _ESCAPED.sub(rb"\1", quoted[1])
        if 0 < len(text) <= LONGEST_KEY and (quoted is not None or _BARE.fullmatch(text)):
            return text.decode("ascii")
    raise IdempotencyKeyInvalid(f"Idempotency-Key is one quoted string of 1 to {LONGEST_KEY} printable characters.")


def fingerprint(body: Any) -> bytes:
    """SHA-256 of what a JSON body says: white space and the order of members do not count."""
    return hashlib.sha256(orjson.dumps(body, option=orjson.OPT_SORT_KEYS)).digest()
