"""Times and days as they are written on the wire, each in the one way that cannot be read in two."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Final

from pydantic import AfterValidator, AwareDatetime, BeforeValidator
from pydantic_core import PydanticCustomError

EARLIEST: Final = datetime(1900, 1, 1, tzinfo=UTC)
SKEW: Final = timedelta(minutes=5)
"""How far the caller's clock may be ahead of ours."""

# A date alone, a number of seconds, or a time without its offset would each be read in more than one way.
_RFC3339: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?:[Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_FULL_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_FIRST_MIDNIGHT: Final = timedelta(hours=14)
"""How far the first places on earth are ahead of UTC."""


def _written_in_full(value: object) -> object:
    if not isinstance(value, str) or _RFC3339.fullmatch(value) is None:
        raise PydanticCustomError(
            "time_format", "is a date and time with its offset (RFC 3339), such as 2020-05-17T09:30:00Z"
        )
    return value


def _in_a_year(value: datetime) -> datetime:
    try:
        value.astimezone(UTC)
    except OverflowError:
        raise PydanticCustomError("time_implausible", "is in one of the years 1 to 9999 of UTC") from None
    return value


def _plausible(value: datetime) -> datetime:
    if value < EARLIEST:
        raise PydanticCustomError("time_implausible", "is not before 1900")
    if value > datetime.now(UTC) + SKEW:
        raise PydanticCustomError("time_implausible", "is not in the future")
    return value.astimezone(UTC)


def _written_as_day(value: object) -> object:
    if not isinstance(value, str) or _FULL_DATE.fullmatch(value) is None:
        raise PydanticCustomError("date_format", "is a day without a time (RFC 3339), such as 2020-05-17")
    return value


Moment = Annotated[AwareDatetime, BeforeValidator(_written_in_full), AfterValidator(_in_a_year)]
PastTime = Annotated[Moment, AfterValidator(_plausible)]
"""In UTC."""
Day = Annotated[date, BeforeValidator(_written_as_day)]


def today() -> date:
    """The latest day that it is anywhere on earth: whoever is ahead of UTC may already write it."""
    return (datetime.now(UTC) + _FIRST_MIDNIGHT).date()


def _been(day: date) -> date:
    if not EARLIEST.date() <= day <= today():
        raise PydanticCustomError("day_implausible", "is a day from 1900 on, and not in the future")
    return day


Been = Annotated[Day, AfterValidator(_been)]
"""A day that has come."""
