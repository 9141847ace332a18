"""Specifications to SVG, by vl-convert, in a thread, with a small cache of what was drawn last."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections import OrderedDict
from threading import Lock
from typing import Any, Final
from xml.sax.saxutils import escape

import orjson
import vl_convert

VERSION: Final = "6.4"
"""Of Vega-Lite, which vl-convert brings."""
MOST_KEPT: Final = 256
"""Pictures kept, of about 15 kB each. They hold dates and scores, as the answers that they were sent in did."""

_ROOT: Final = re.compile(r"<svg\b[^>]*>")


def svg(spec: dict[str, Any]) -> str:
    """The picture of a specification, with its title and description as its text alternative.

    It names nothing outside itself: no font, image or script is fetched by it.
    """
    text = orjson.dumps(spec)
    drawn = vl_convert.vegalite_to_svg(text.decode(), vl_version=VERSION, allowed_base_urls=[])
    name = f"chart-{hashlib.sha256(text).hexdigest()[:12]}"
    title = " ".join(spec["title"]["text"])
    return _ROOT.sub(
        lambda root: (
            f'{root[0][:-1]} role="img" aria-labelledby="{name}-title {name}-description">'
            f'<title id="{name}-title">{escape(title)}</title>'
            f'<desc id="{name}-description">{escape(spec["description"])}</desc>'
        ),
        drawn,
        count=1,
    )


class Renderer:
    """Draws without blocking the event loop. Pictures are kept by the hash of their specification."""

    def __init__(self, most_kept: int = MOST_KEPT) -> None:
        self._most_kept = most_kept
        self._kept: OrderedDict[bytes, str] = OrderedDict()
        self._lock = Lock()

    async def svg(self, spec: dict[str, Any]) -> str:
        """The picture of a specification."""
        key = hashlib.sha256(orjson.dumps(spec)).digest()
        with self._lock:
            if (kept := self._kept.get(key)) is not None:
                self._kept.move_to_end(key)
                return kept
        drawn = await asyncio.to_thread(svg, spec)
        with self._lock:
            self._kept[key] = drawn
            if len(self._kept) > self._most_kept:
                self._kept.popitem(last=False)
        return drawn
