"""Language tags (BCP 47): one spelling for each, and the best of those that there are."""

from __future__ import annotations

import re
from collections.abc import Collection

import langcodes

LONGEST = 35
"""Characters of a tag; BCP 47 (RFC 5646, 4.4.1) asks for room for as many."""
_SHAPE = re.compile(r"[A-Za-z0-9]{1,8}(-[A-Za-z0-9]{1,8})*")
_RIGHT_TO_LEFT = frozenset(
    (
        *("Adlm", "Arab", "Aran", "Armi", "Avst", "Chrs", "Cprt", "Elym", "Gara", "Hatr", "Hebr", "Hung", "Khar"),
        *("Lydi", "Mand", "Mani", "Mend", "Merc", "Mero", "Narb", "Nbat", "Nkoo", "Orkh", "Ougr", "Palm", "Phli"),
        *("Phlp", "Phnx", "Prti", "Rohg", "Samr", "Sarb", "Sogd", "Sogo", "Syrc", "Thaa", "Yezi"),
    )
)
"""Scripts (ISO 15924) that the Unicode Character Database writes from right to left."""


def canonical(tag: str) -> str:
    """The one spelling of a tag, made of subtags that the IANA registry knows.

    Raises
    ------
    ValueError
        Not well-formed, too long, or of unknown subtags.

    Examples
    --------
    >>> canonical("PT-br"), canonical("iw"), canonical("zh-hant-tw")
    ('pt-BR', 'he', 'zh-Hant-TW')
    """
    # the library takes underscores as well, which no other reader of these tags does
    if len(tag) > LONGEST or _SHAPE.fullmatch(tag) is None or not langcodes.tag_is_valid(tag):
        raise ValueError("not a language tag (BCP 47)")
    return langcodes.standardize_tag(tag)


def chain(tag: str) -> list[str]:
    """A canonical tag and what it falls back to, most specific first (RFC 4647, 3.4).

    Examples
    --------
    >>> chain("zh-Hant-TW"), chain("de-x-plain")
    (['zh-Hant-TW', 'zh-Hant', 'zh'], ['de-x-plain', 'de'])
    """
    parts = tag.split("-")
    found = []
    while parts:
        if len(parts[-1]) > 1:  # a single letter only announces what follows it
            found.append("-".join(parts))
        parts.pop()
    return found


def lookup(wanted: str, available: Collection[str]) -> str | None:
    """The first of a tag's :func:`chain` that is available.

    Examples
    --------
    >>> lookup("fr-CA", ["en", "fr"]), lookup("fr", ["fr-CA"])
    ('fr', None)
    """
    return next((tag for tag in chain(wanted) if tag in available), None)


def direction(tag: str) -> str:
    """``rtl`` or ``ltr``: which way the script of a canonical tag, or the usual one of its language, is written.

    Examples
    --------
    >>> direction("ar"), direction("ar-Latn"), direction("pt-BR")
    ('rtl', 'ltr', 'ltr')
    """
    script = langcodes.Language.get(tag).maximize().script
    return "rtl" if script in _RIGHT_TO_LEFT else "ltr"
