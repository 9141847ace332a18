"""Specifications to SVG, PNG and PDF, by vl-convert.

As a program, `python -m api.charts.draw`, it draws for another process: a task a line in, an answer a line out, until
the input ends. It is a process of its own because vl-convert holds the interpreter's lock while it draws, some 50 ms,
in which a service could answer nobody, whatever thread it drew in.
"""

from __future__ import annotations

import base64
import hashlib
import re
import struct
import sys
import zlib
from typing import Any, Final
from xml.sax.saxutils import escape

import orjson
import vl_convert

from api.charts import fonts

VERSION: Final = "6.4"
"""Of Vega-Lite, which vl-convert brings."""
_ROOT: Final = re.compile(r"<svg\b[^>]*>")
_SIZE: Final = re.compile(r'\b(width|height)="([\d.]+)"')
_OPTIONS: Final[dict[str, Any]] = {"vl_version": VERSION, "allowed_base_urls": []}
_UNDRAWABLE: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
"""What XML has no place for. The drawing goes through it, and would end this process."""
_SUSPECT: Final = re.compile(r"\\u00[01]|\\[bf]|[\ufffe\uffff]")
"""The same in JSON, at a glance: it may find what is none."""


def svg(spec: dict[str, Any]) -> str:
    """The picture of a specification, with its title and description as its text alternative.

    It names nothing outside itself: no font, image or script is fetched by it.

    Raises
    ------
    ValueError
        Not a specification that Vega-Lite can draw.
    """
    spec, text = _ready(spec)
    drawn: str = vl_convert.vegalite_to_svg(text, **_OPTIONS)
    name = f"chart-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    title = " ".join(spec["title"]["text"])
    larger = _larger(spec)
    return _ROOT.sub(
        lambda root: (
            f'{_resized(root[0], larger)[:-1]} role="img" aria-labelledby="{name}-title {name}-description">'
            f'<title id="{name}-title">{escape(title)}</title>'
            f'<desc id="{name}-description">{escape(spec["description"])}</desc>'
        ),
        drawn,
        count=1,
    )


def png(spec: dict[str, Any], ppi: int = 72) -> bytes:
    """The same as pixels, with title and description in it. ``ValueError`` as above."""
    spec, text = _ready(spec)
    drawn: bytes = vl_convert.vegalite_to_png(text, scale=_larger(spec), ppi=ppi, **_OPTIONS)
    told = {"Title": " ".join(spec["title"]["text"]), "Description": spec["description"]}
    chunks = b"".join(_chunk(b"iTXt", f"{key}\0\0\0\0\0{value}".encode()) for key, value in told.items())
    head = 8 + 25  # the signature, and the header's chunk
    return drawn[:head] + chunks + drawn[head:]


def pdf(spec: dict[str, Any]) -> bytes:
    """The same on a page of its own size, with title and description in its properties. ``ValueError`` as above."""
    spec, text = _ready(spec)
    drawn: bytes = vl_convert.vegalite_to_pdf(text, scale=_larger(spec), **_OPTIONS)
    return _told(drawn, " ".join(spec["title"]["text"]), spec["description"])


def _ready(spec: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """A specification that can be drawn, also as text; the fonts that it needs are there."""
    text = orjson.dumps(spec).decode()
    if _SUSPECT.search(text):
        spec = _drawable(spec)
        text = orjson.dumps(spec).decode()
    fonts.register(text)
    return spec, text


def _drawable(value: Any) -> Any:
    if isinstance(value, str):
        return _UNDRAWABLE.sub("\ufffd", value)
    if isinstance(value, dict):
        return {name: _drawable(inner) for name, inner in value.items()}
    return [_drawable(inner) for inner in value] if isinstance(value, list) else value


def _larger(spec: dict[str, Any]) -> float:
    found: float = spec.get("usermeta", {}).get("embedOptions", {}).get("scaleFactor", 1.0)
    return found


def _resized(root: str, times: float) -> str:
    return root if times == 1 else _SIZE.sub(lambda size: f'{size[1]}="{float(size[2]) * times:g}"', root)


def _chunk(kind: bytes, data: bytes) -> bytes:
    """Of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


_TRAILER: Final = re.compile(rb"trailer\s*<<(.*?)>>\s*startxref\s+(\d+)\s+%%EOF\s*$", re.DOTALL)
_PROPERTIES: Final = re.compile(rb"/Info \d+ \d+ R")
_LENGTH: Final = re.compile(rb"/Size (\d+)")


def _told(drawn: bytes, title: str, description: str) -> bytes:
    """A PDF with properties, by an update at its end: what draws it writes none."""
    found = _TRAILER.search(drawn)
    if found is None:
        raise ValueError("the PDF does not end as it used to")
    length = _LENGTH.search(found[1])
    if length is None:
        raise ValueError("the PDF does not say how many objects it has")
    number, start = int(length[1]), len(drawn) + 1
    members = [
        f"/{key} <FEFF{value.encode('utf-16-be').hex()}>" for key, value in (("Title", title), ("Subject", description))
    ]
    made = f"{number} 0 obj\n<< {' '.join(members)} >>\nendobj\n".encode()
    table = f"xref\n{number} 1\n{start:010} 00000 n \n".encode()
    kept = _PROPERTIES.sub(b"", _LENGTH.sub(b"/Size %d" % (number + 1), found[1]))
    trailer = kept + b" /Info %d 0 R /Prev %s " % (number, found[2])
    return (
        drawn + b"\n" + made + table + b"trailer\n<<" + trailer + b">>\nstartxref\n%d\n%%%%EOF\n" % (start + len(made))
    )


def drawn(task: dict[str, Any]) -> dict[str, str]:
    """What was asked for: `spec`, its `form` and of a PNG its `ppi`."""
    form, spec = task["form"], task["spec"]
    if form == "svg":
        return {"text": svg(spec)}
    found = png(spec, task["ppi"]) if form == "png" else pdf(spec)
    return {"bytes": base64.b64encode(found).decode()}


def main() -> None:
    """Draw what comes in, line by line."""
    for line in sys.stdin.buffer:
        try:
            answer = drawn(orjson.loads(line))
        except Exception as error:  # whatever it is, the other process has to be told, and without the data
            answer = {"error": type(error).__name__}
        sys.stdout.buffer.write(orjson.dumps(answer) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
