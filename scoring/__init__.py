"""Scoring, progress statistics and disclosure control: pure functions, no input or output."""

from scoring.engine import score
from scoring.errors import CellFault, Fault, InvalidAnswers, InvalidFrame, PlanError, UnknownVariant
from scoring.explain import Explanation, explain
from scoring.frame import FrameResult, evaluate_frame, score_frame
from scoring.result import Result, Score

__all__ = [
    "CellFault",
    "Explanation",
    "Fault",
    "FrameResult",
    "InvalidAnswers",
    "InvalidFrame",
    "PlanError",
    "Result",
    "Score",
    "UnknownVariant",
    "evaluate_frame",
    "explain",
    "score",
    "score_frame",
]
