"""Conditional requests (RFC 9110, section 13): `If-Match` before a write, `If-None-Match` before a read."""

from __future__ import annotations

import re
from typing import Annotated, Final

from fastapi import Header

from api.problems import PreconditionFailed

_TAG: Final = re.compile(r'(W/)?("[\x21\x23-\x7e\x80-\xff]*")')

IfMatch = Annotated[
    str | None, Header(max_length=1000, description="`ETag` of the version that is meant; refused (412) if it is gone")
]
IfNoneMatch = Annotated[str | None, Header(max_length=1000, description="`ETag` already held; 304 if it still holds")]


def etag(value: object) -> str:
    """A strong entity tag.

    Examples
    --------
    >>> etag(3)
    '"3"'
    """
    return f'"{value}"'


def require_match(given: str | None, current: str) -> None:
    """Raise :class:`PreconditionFailed` where `If-Match` was sent and names another version than the current one."""
    if given is None or given.strip() == "*":
        return
    # Strong comparison (RFC 9110, 8.8.3.2): a weak tag never matches.
    if current not in [tag for weak, tag in _TAG.findall(given) if not weak]:
        raise PreconditionFailed("Read the resource again, and repeat the change on what it is now.")


def holds(given: str | None, current: str) -> bool:
    """Whether `If-None-Match` names the current version, so that it need not be sent again.

    Examples
    --------
    >>> holds('W/"a", "b"', '"a"'), holds('"c"', '"a"')
    (True, False)
    """
    return given is not None and (given.strip() == "*" or current in [tag for _, tag in _TAG.findall(given)])
