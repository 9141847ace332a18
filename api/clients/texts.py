"""Free text about a client: how it has to be, and sealing it with that client's key."""

from __future__ import annotations

import unicodedata
import uuid
from typing import Annotated, Final

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from api.clients.tables import ClientRow
from api.security import crypto

LONGEST_TEXT: Final = 2000


def clean_text(text: str) -> str:
    """Text in one spelling (NFC, trimmed), of one line or several.

    Raises
    ------
    PydanticCustomError
        Nothing but space, too long, or with characters that are no text.
    """
    if any(unicodedata.category(char) in ("Cc", "Cs", "Co", "Cn") and char not in "\n\t" for char in text):
        raise PydanticCustomError("control_character", "has no control characters but line breaks and tabs")
    text = unicodedata.normalize("NFC", text).strip()
    if not 1 <= len(text) <= LONGEST_TEXT:
        raise PydanticCustomError("length", f"has 1 to {LONGEST_TEXT} characters besides surrounding space")
    return text


SealedText = Annotated[
    str,
    AfterValidator(clean_text),
    Field(
        description="Free text; kept encrypted with the client's key",
        json_schema_extra={"minLength": 1, "maxLength": LONGEST_TEXT},
    ),
]


class Sealer:
    """Seals and opens texts of one purpose about one client."""

    def __init__(self, keys: crypto.Keys, client: ClientRow, purpose: bytes) -> None:
        self._whose: dict[str, uuid.UUID] = {"organisation_id": client.organisation_id, "client_id": client.id}
        self._key = crypto.unwrap_client_key(keys, client.key_wrapped, **self._whose)
        self._purpose = purpose

    def seal(self, text: str, row_id: uuid.UUID) -> bytes:
        """A text that lies in the row ``row_id``, and opens nowhere else."""
        return crypto.seal_text(self._key, text, purpose=self._purpose, row_id=row_id, **self._whose)

    def open(self, sealed: bytes, row_id: uuid.UUID) -> str:
        """The text again; :class:`api.security.crypto.Unreadable` where it is another row's, or was altered."""
        return crypto.open_text(self._key, sealed, purpose=self._purpose, row_id=row_id, **self._whose)
