"""Specifications to SVG, by vl-convert.

As a program, `python -m api.charts.draw`, it draws for another process: a specification a line in, an answer a line
out, until the input ends. It is a process of its own because vl-convert holds the interpreter's lock while it draws,
some 50 ms, in which a service could answer nobody, whatever thread it drew in.
"""

from __future__ import annotations

import hashlib
import re
import sys
from typing import Any, Final
from xml.sax.saxutils import escape

import orjson
import vl_convert

VERSION: Final = "6.4"
"""Of Vega-Lite, which vl-convert brings."""

_ROOT: Final = re.compile(r"<svg\b[^>]*>")


def svg(spec: dict[str, Any]) -> str:
    """The picture of a specification, with its title and description as its text alternative.

    It names nothing outside itself: no font, image or script is fetched by it.

    Raises
    ------
    ValueError
        Not a specification that Vega-Lite can draw.
    """
    text = orjson.dumps(spec)
    drawn: str = vl_convert.vegalite_to_svg(text.decode(), vl_version=VERSION, allowed_base_urls=[])
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


def main() -> None:
    """Draw what comes in, line by line."""
    for line in sys.stdin.buffer:
        try:
            answer = {"svg": svg(orjson.loads(line))}
        except Exception as error:  # whatever it is, the other process has to be told, and without the data
            answer = {"error": type(error).__name__}
        sys.stdout.buffer.write(orjson.dumps(answer) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
