"""Problems that a person can fix: one sentence says what is wrong, one says how to fix it."""

from __future__ import annotations


class ShsError(Exception):
    """A problem that a person can fix; shown without a traceback.

    Args:
        problem: one sentence that says what is wrong and where.
        remedy: one sentence that says how to fix it.

    Attributes:
        is_held_build: whether it is a build that waits to be accepted, which has an exit code of its own.
    """

    is_held_build = False

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(f"{problem} {remedy}")
        self.problem = problem
        self.remedy = remedy


class UnreadableFileError(ShsError):
    """A file that is not what its folder says it should be."""
