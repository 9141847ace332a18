"""Reading the golden values of group statistics."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

FOLDER = Path(__file__).parents[2] / "golden_statistics"


def golden(name: str) -> Any:
    """A file of golden values."""
    return json.loads((FOLDER / f"{name}.json").read_text())


def column(values: list[float | None]) -> npt.NDArray[np.float64]:
    """A column with NaN for what is missing."""
    return np.array([np.nan if value is None else value for value in values], np.float64)


def matrix(rows: list[list[float | None]]) -> npt.NDArray[np.float64]:
    """Rows with NaN for what is missing."""
    return np.array([column(row) for row in rows])
