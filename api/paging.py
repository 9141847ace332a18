"""Pages of a list: an opaque cursor after the last row of a page, and a `Link` header to the next (RFC 8288).

A cursor names a place in the order of the list, not a row number, so rows that are added meanwhile neither repeat nor
hide any other.
"""

from __future__ import annotations

import base64
import binascii
import struct
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final
from urllib.parse import quote, urlencode

from fastapi import Query

from api.problems import RequestInvalid

LARGEST_PAGE: Final = 200
DEFAULT_PAGE: Final = 50
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_PLACE: Final = struct.Struct(">q16s")

Limit = Annotated[int, Query(ge=1, le=LARGEST_PAGE, description="Rows of a page")]
Cursor = Annotated[
    str | None,
    Query(max_length=64, description="Where to go on: taken from the `next` of a page, and from nowhere else"),
]


def encode_cursor(at: datetime, row_id: uuid.UUID) -> str:
    """The place of a row in an order by time and id.

    Examples
    --------
    >>> decode_cursor(encode_cursor(datetime(2026, 3, 1, tzinfo=UTC), uuid.UUID(int=7)))[1].int
    7
    """
    place = _PLACE.pack((at - _EPOCH) // timedelta(microseconds=1), row_id.bytes)
    return base64.urlsafe_b64encode(place).decode("ascii")


def decode_cursor(cursor: str) -> tuple[datetime, uuid.UUID]:
    """The place that a cursor names.

    Raises
    ------
    RequestInvalid
        It was not made by `encode_cursor`.
    """
    try:
        microseconds, row_id = _PLACE.unpack(base64.b64decode(cursor, altchars=b"-_", validate=True))
        return _EPOCH + timedelta(microseconds=microseconds), uuid.UUID(bytes=row_id)
    except (binascii.Error, ValueError, struct.error, OverflowError):
        detail = "has to be the `next` of a page"
        raise RequestInvalid(
            errors=[{"parameter": "cursor", "in": "query", "code": "cursor-invalid", "detail": detail}]
        ) from None


def next_link(path: str, parameters: Mapping[str, str | int | list[str] | None], cursor: str) -> dict[str, str]:
    """The `Link` header to the next page, relative to the service."""
    given = {name: value for name, value in parameters.items() if value is not None}
    query = urlencode(given | {"cursor": cursor}, doseq=True)
    return {"Link": f'<{quote(path)}?{query}>; rel="next"'}
