"""A run takes the same memory however long the file is."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

MEASURE = """
import resource, sys
from api.imports.batches import grouped
from api.imports.formats import ndjson, wide
from api.imports.reading import Meter, decompressed, lines, metered
import itertools, random, zlib

rows, kind = int(sys.argv[1]), sys.argv[2]
header = b"client_id,answered_at," + b",".join(b"%d" % item for item in range(1, 20)) + b"\\n"
chance = random.Random(1)
answers = [b"".join(b",%d" % chance.randint(1, 5) for _ in range(19)) for _ in range(1000)]
some = b"".join(b"0b8a7d0e-8f3c-4a53-9d8e-0c6f3f1d7b21,2026-03-01T10:00:00Z" + one + b"\\n" for one in answers)
parts = itertools.chain([header], itertools.repeat(some, rows // 1000))
meter = Meter()
if kind == "line":
    parts = itertools.repeat(b"x" * 1_000_000, rows // 1000)
if kind == "gzip":
    def squeezed(parts):
        packer = zlib.compressobj(1, 8, 31)
        for part in parts:
            yield packer.compress(part)
        yield packer.flush()
    parts = decompressed(squeezed(parts), 1 << 40)
taken = (ndjson if kind == "line" else lambda given: wide(given, "x", None))(lines(metered(parts, meter), meter))
count = sum(len(batch) for batch, _, _ in grouped(taken, meter, 0))
print(count, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


async def peak(rows: int, kind: str) -> tuple[int, int]:
    """Rows that were read, and the most memory of the process, in KiB."""
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", MEASURE, str(rows), kind],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    count, size = map(int, done.stdout.split())
    return count, size


@pytest.mark.long
@pytest.mark.parametrize("kind", ["plain", "gzip", "line"])
async def test_twenty_times_the_file_takes_no_more_memory(kind: str) -> None:
    (few, small), (many, large) = [await peak(rows, kind) for rows in (20_000, 400_000)]
    assert (few, many) == ((1, 1) if kind == "line" else (20_000, 400_000))
    assert large < small + 20_000, "KiB; 380,000 rows more are 36 MB of text and some 900 as objects"
