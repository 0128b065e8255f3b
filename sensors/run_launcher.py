"""Dagster's run launcher for `shs up`: runs start in forks of a process that has everything imported.

Named in `dagster.yaml`. Where no run host is (`SHS_DAGSTER_RUN_HOST` is not set, as in containers), it
is Dagster's default launcher. What a launcher is given, what it answers and the arguments of a run's process
have no public names.
"""

import os
import time
from pathlib import Path

from dagster import DagsterRun, DefaultRunLauncher
from dagster._core.launcher.base import CheckRunHealthResult, LaunchRunContext, WorkerStatus
from dagster._grpc.types import ExecuteRunArgs

from sensors.run_host import ask

RUN_HOST = "SHS_DAGSTER_RUN_HOST"
# The host imports for some seconds after `shs up` started it.
_READY_SECONDS = 120.0


class WarmRunLauncher(DefaultRunLauncher):
    """Starts, ends and watches runs by asking the run host."""

    @property
    def _host(self) -> Path | None:
        path = os.environ.get(RUN_HOST)
        return Path(path) if path else None

    def launch_run(self, context: LaunchRunContext) -> None:
        """Have the host carry out a run.

        Raises:
            OSError: the host does not answer.
        """
        host, run = self._host, context.dagster_run
        if host is None or run.job_code_origin is None:
            super().launch_run(context)
            return
        arguments = ExecuteRunArgs(
            job_origin=run.job_code_origin, run_id=run.run_id, instance_ref=self._instance.get_ref()
        )
        # Without the program's own path: the host is that program already.
        command = ["dagster", *arguments.get_command_args()[-3:]]
        request = {"do": "start", "run": run.run_id, "command": command}
        deadline = time.monotonic() + _READY_SECONDS
        while True:
            try:
                ask(host, request)
            except (FileNotFoundError, ConnectionRefusedError):
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
            else:
                return

    def terminate(self, run_id: str) -> bool:
        """Ask a run to end; False when it had ended."""
        host, run = self._host, self._instance.get_run_by_id(run_id)
        if host is None:
            return super().terminate(run_id)
        if run is None or run.is_finished:
            return False
        self._instance.report_run_canceling(run)
        return ask(host, {"do": "end", "run": run_id})["pid"] is not None

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Whether runs are watched: the host knows how each of its forks ended."""
        return self._host is not None

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Return whether the process of a run lives or how it ended."""
        host = self._host
        if host is None:
            return CheckRunHealthResult(WorkerStatus.UNKNOWN)
        state = ask(host, {"do": "look", "run": run.run_id})
        if state["pid"] is not None:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        if state["exit"] is None:
            return CheckRunHealthResult(WorkerStatus.NOT_FOUND, "the run host was restarted")
        if state["exit"] == 0:
            return CheckRunHealthResult(WorkerStatus.SUCCESS)
        return CheckRunHealthResult(WorkerStatus.FAILED, f"its process ended with {state['exit']}")
