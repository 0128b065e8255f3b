"""Copies of the checkout, for tests that change it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import shs_pipeline
from shs_pipeline.landing.names import SOURCE_NAMES

HERE = Path(shs_pipeline.__file__).resolve().parents[1]


def copy_of_checkout(root: Path) -> Path:
    """Make a copy of what a source touches, with the pages of the sources there are."""
    # With what is compiled of it, which each Python that looks at the copy would compile again.
    shutil.copytree(HERE / "shs_pipeline", root / "shs_pipeline")
    parsed = shutil.ignore_patterns("target", "logs")
    shutil.copytree(HERE / "dbt_project", root / "dbt_project", ignore=parsed)
    shutil.copytree(HERE / "tests" / "engine", root / "tests" / "engine")
    for room in ("scaffold", "sources"):
        (root / "tests" / room).mkdir()
    shutil.copy(HERE / "tests" / "scaffold" / "test_drift.py", root / "tests" / "scaffold")
    shutil.copy(HERE / "dagster.yaml", root)
    pages = root / "docs" / "sources"
    pages.mkdir(parents=True)
    for name in SOURCE_NAMES:
        (pages / f"{name}.md").write_text(f"# {name}\n")
    return root


def python(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python on the copy, not on the installed package."""
    # Wide, so that pytest does not cut what it shows of a failure.
    wide = {"COLUMNS": "300", "PYTHONDONTWRITEBYTECODE": "1"}
    environment = {**os.environ, **wide, "PYTHONPATH": str(root)}
    return subprocess.run(
        [sys.executable, *arguments], cwd=root, env=environment, capture_output=True, text=True, check=False
    )


def snapshot(root: Path) -> dict[str, str]:
    files = [path for path in root.rglob("*") if path.suffix in (".py", ".sql", ".yml")]
    return {str(path.relative_to(root)): path.read_text() for path in files}
