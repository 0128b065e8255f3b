"""The dbt project: an empty one for now, which dbt must be able to parse without a database."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[1] / "dbt_project"


def test_dbt_parses_the_project_without_a_database(tmp_path: Path) -> None:
    outcome = subprocess.run(
        [
            *(sys.executable, "-m", "dbt.cli.main", "parse", "--project-dir", str(PROJECT)),
            *("--profiles-dir", str(PROJECT), "--target-path", str(tmp_path), "--log-path", str(tmp_path)),
        ],
        env={**os.environ, "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    assert (tmp_path / "manifest.json").exists()
