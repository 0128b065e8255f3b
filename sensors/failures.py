"""Why a run of Dagster failed: for a reason, or only to show that a file was rejected."""

from collections.abc import Sequence
from dataclasses import dataclass

import dagster as dg
from dagster._core.events import JobFailureData, RunFailureReason

from assets.checks import REJECTED

_WHY = {dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.RUN_FAILURE}


@dataclass(frozen=True)
class Failures:
    """What a failed run said.

    Attributes:
        reasons: the sentences with which steps failed, the first one first; without rejected files.
        has_rejected: a step failed since the run rejected a file.
        is_of_steps: the run failed since a step did, and not since it was ended or could not begin.
        of_run: what Dagster says of the run as a whole.
    """

    reasons: Sequence[str]
    has_rejected: bool
    is_of_steps: bool
    of_run: str

    @property
    def is_of_rejections_alone(self) -> bool:
        """Whether the run did all it had to do, and is red only since it rejected a file."""
        return self.has_rejected and self.is_of_steps and not self.reasons


def failures_of(instance: dg.DagsterInstance, run_id: str) -> Failures:
    """Return why a run failed."""
    reasons, has_rejected, is_of_steps, of_run = [], False, False, ""
    for entry in instance.all_logs(run_id, of_type=_WHY):
        event = entry.dagster_event
        if event is None:
            continue
        if not event.is_step_failure:
            data = event.event_specific_data
            is_of_steps = (
                isinstance(data, JobFailureData) and data.failure_reason == RunFailureReason.STEP_FAILURE
            )
            of_run = event.message or of_run
            continue
        failed = event.step_failure_data
        by_us = failed.user_failure_data
        if by_us and REJECTED in by_us.metadata:
            has_rejected = True
        else:
            said = (by_us.description if by_us else None) or (failed.error.message if failed.error else "")
            reasons.append(said or event.message or "")
    return Failures(reasons, has_rejected, is_of_steps, of_run)
