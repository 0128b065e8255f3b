"""What a person must fix, said in one sentence each for what is wrong and what to do."""

from __future__ import annotations


class ShsError(Exception):
    """A problem that a person can fix; shown without a traceback.

    Args:
        problem: one sentence that says what is wrong and where.
        remedy: one sentence that says how to fix it.
    """

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(f"{problem} {remedy}")
        self.problem = problem
        self.remedy = remedy


class UnreadableFileError(ShsError):
    """A file that cannot be read as what its place says it is."""
