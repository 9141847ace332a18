"""What a series says besides its change: trend, non-overlap, milestones, and the work done between its occasions."""

from scoring.series.described import Start, described

__all__ = ["Start", "described"]
