"""Invented definitions to submit."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

LAMP: dict[str, Any] = {
    "code": "own-lamp",
    "version": 1,
    "name": "Lamplight Ease Scale (invented)",
    "measures": "Ease in the evening.",
    "concerns": ["well-being"],
    "population": "Nobody.",
    "applicability": {"partner": "not-needed", "activity": "not-needed"},
    "recall": "2 weeks",
    "citation": {"authors": "Nobody N", "year": 2020, "journal": "Invented 1"},
    "licence": {"status": "free-to-use", "holder": "nobody", "terms": "none"},
    "items": [
        {"id": "1", "topic": "ease of settling", "options": [0, 1, 2, 3]},
        {"id": "2", "topic": "feeling rested", "options": [0, 1, 2, 3]},
        {"id": "3", "topic": "frequency of worry", "options": [0, 1, 2, 3], "reverse": True},
    ],
    "scales": [
        {
            "id": "ease",
            "name": "Ease",
            "items": ["1", "2", "3"],
            "method": "mean",
            "factor": 0.6,
            "min": 0,
            "max": 1.8,
            "higher_is": "better",
            "missing": {"rule": "prorate", "min_answered": 2},
            "source": "invented",
            "evidence": "derived",
        }
    ],
    "progress": [
        {
            "scale": "ease",
            "sd": 0.3,
            "sd_sample": "invented",
            "reliability": 0.9,
            "reliability_kind": "cronbach-alpha",
            "reliability_sample": "invented",
            "source": "invented",
            "evidence": "derived",
        }
    ],
}
GOLDEN: list[dict[str, Any]] = [
    {"name": "best", "origin": "by hand", "answers": {"1": 3, "2": 3, "3": 0}, "scores": {"ease": 1.8}},
    {"name": "worst", "origin": "by hand", "answers": {"1": 0, "2": 0, "3": 3}, "scores": {"ease": 0}},
    {
        "name": "one missing",
        "origin": "by hand: (1 + 2) / 2 x 0.6",
        "answers": {"1": 1, "2": 2},
        "scores": {"ease": "9/10"},
        "statuses": {"ease": "prorated"},
        "counts": {"ease": [2, 1, 0]},
    },
]


def lamp(**changes: Any) -> dict[str, Any]:
    """The definition with members changed; None takes one away."""
    made = deepcopy(LAMP) | changes
    return {name: value for name, value in made.items() if value is not None}


def submission(**changes: Any) -> dict[str, Any]:
    """The body of a good submission, with members of its definition changed."""
    return {"definition": lamp(**changes), "golden": deepcopy(GOLDEN)}
