"""Run one of our scripts with a stand-in for a program that it calls."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path


def run_beside(
    folder: Path, program: str, stand_in: str, command: Sequence[str], **variables: str
) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """Run a script, and return how it ended and what the stand-in wrote into the file `CALLS`, by lines.

    Args:
        program: name of the program that is stood in for, first on the path.
        stand_in: its source.
    """
    (folder / program).write_text(stand_in)
    (folder / program).chmod(0o755)
    (folder / "calls").write_text("")
    environment = {
        **os.environ,
        "PATH": f"{folder}:{os.environ['PATH']}",
        "CALLS": str(folder / "calls"),
        **variables,
    }
    ended = subprocess.run(["bash", *command], env=environment, capture_output=True, text=True, check=False)
    return ended, (folder / "calls").read_text().splitlines()
