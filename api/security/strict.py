"""JSON read strictly: no member twice, no NaN or Infinity. Two readers of the same text never see different values."""

from __future__ import annotations

import json
from typing import Any, NoReturn


class NotStrict(ValueError):
    """JSON that readers understand differently; `code` names the fault."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise NotStrict("duplicate-member", "an object has the same member twice")
    return found


def _constant(_: str) -> NoReturn:
    raise NotStrict("not-a-number", "NaN and Infinity are not JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_members, parse_constant=_constant)


def loads(data: bytes) -> Any:
    """The value of UTF-8 JSON text.

    Raises
    ------
    NotStrict
        Valid for lax readers only, or nested or with numbers beyond what the reader can hold.
    ValueError
        Not JSON, or not UTF-8.

    Examples
    --------
    >>> loads(b'{"a": 1}')
    {'a': 1}
    """
    try:
        return _DECODER.decode(data.decode("utf-8"))
    except RecursionError:
        raise NotStrict("too-deep", "the nesting is too deep") from None
    except (NotStrict, json.JSONDecodeError, UnicodeDecodeError):
        raise
    except ValueError:  # the interpreter's limit on the digits of an integer
        raise NotStrict("number-out-of-range", "a number has too many digits") from None
