"""What can be wrong with asking for a joint view."""

from __future__ import annotations

from typing import Final

from api.problems import Problem

WORDS: Final = "The joint view is open while everybody of the couple consents to it."
"""Said whoever has not agreed, has withdrawn or has left, and however many they are."""


class JointViewClosed(Problem):
    """Not everybody of the couple consents to the joint view. Nothing tells who, how many, or since when."""

    status, slug, title = 403, "joint-view-closed", "The joint view of this couple is closed"

    def __init__(self) -> None:
        super().__init__(WORDS)
