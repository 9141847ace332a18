"""What is said, in each language, as data: a file a language, with the same phrases in each.

Numbers, plurals and dates follow the Common Locale Data Repository, by Babel. No translation has been reviewed by a
clinician unless its file says so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import BaseModel, ConfigDict

FOLDER: Final = Path(__file__).parent
LANGUAGES: Final = tuple(sorted(path.stem for path in FOLDER.glob("*.yaml")))
"""Tags (BCP 47) of the languages that there are."""
_PLACE: Final = re.compile(r"\{(\w+)\}")


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    language: str
    locale: str
    reviewed_by_a_clinician: bool
    phrases: Mapping[str, str]


@dataclass(frozen=True, eq=False)
class Language:
    """The phrases of a language, and how it writes numbers and days."""

    tag: str
    name: str
    reviewed: bool
    phrases: Mapping[str, str] = field(repr=False)
    locale: str = "en_001"
    """Of the Common Locale Data Repository."""

    def say(self, key: str, **values: object) -> str:
        """A phrase with its places filled in; ``KeyError`` for one that there is not, or a place without a value."""
        return self.phrases[key].format(**values)

    def number(self, value: float) -> str:
        """At most two decimals, without trailing zeros.

        >>> language("en").number(8.3596), language("de").number(8.3596), language("en").number(-0.001)
        ('8.36', '8,36', '0')
        """
        text = f"{value:.2f}".rstrip("0").rstrip(".")
        return "0" if text == "-0" else text.replace(".", self._decimal)

    def day(self, moment: datetime | date) -> str:
        """The day of a UTC time.

        >>> language("en").day(date(2026, 3, 1)), language("de").day(date(2026, 3, 1))
        ('1 Mar 2026', '1. März 2026')
        """
        return _day(self.locale, moment.year, moment.month, moment.day)

    def counted(self, key: str, count: float, /, **values: object) -> str:
        """A phrase in the form that a number takes.

        >>> language("en").counted("points", 1, number="1"), language("de").counted("points", 2.5, number="2,5")
        ('1 point', '2,5 Punkte')
        """
        form = self._plural(Decimal(f"{abs(count):.2f}").normalize())
        return self.say(f"{key}.{form if f'{key}.{form}' in self.phrases else 'other'}", **values)

    def points(self, value: float) -> str:
        """An amount of points."""
        return self.counted("points", value, number=self.number(value))

    @cached_property
    def months(self) -> list[str]:
        """Their short names."""
        return [self._cldr.months["format"]["abbreviated"][number] for number in range(1, 13)]

    @cached_property
    def day_pattern(self) -> str:
        """How a day is written, as `strftime` says it.

        >>> language("de").day_pattern
        '%-d. %b %Y'
        """
        pattern = str(self._cldr.datetime_skeletons["yMMMd"].pattern)
        return pattern.replace("MMM", "%b").replace("y", "%Y").replace("d", "%-d", 1)

    @cached_property
    def _cldr(self) -> Any:
        from babel import Locale  # when somebody first needs it: it takes as long as the rest of this package

        return Locale.parse(self.locale)

    @cached_property
    def _decimal(self) -> str:
        return str(self._cldr.number_symbols["latn"]["decimal"])

    @cached_property
    def _plural(self) -> Any:
        return self._cldr.plural_form


@lru_cache(maxsize=4096)
def _day(locale: str, year: int, month: int, day: int) -> str:
    from babel.dates import format_skeleton  # as above

    return format_skeleton("yMMMd", date(year, month, day), locale=locale)


@cache
def language(tag: str) -> Language:
    """The language with a tag; ``KeyError`` where there is none."""
    if tag not in LANGUAGES:
        raise KeyError(tag)
    held = _File.model_validate(yaml.safe_load((FOLDER / f"{tag}.yaml").read_text(encoding="utf-8")))
    return Language(tag, held.language, held.reviewed_by_a_clinician, dict(held.phrases), held.locale)


def places(phrase: str) -> frozenset[str]:
    """Names of what is filled into a phrase.

    >>> sorted(places("{value} on {day}"))
    ['day', 'value']
    """
    return frozenset(_PLACE.findall(phrase))


ENGLISH: Final = language("en")
