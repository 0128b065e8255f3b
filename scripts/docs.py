"""Writes what follows from the contracts: `docs/sources` and the dbt models of the sales histories.

With `--check`, says which file is out of date.
"""

from __future__ import annotations

import sys
from pathlib import Path

from shs_pipeline.contract_page import page_of
from shs_pipeline.history_model import model_files
from shs_pipeline.reference import all_tables
from shs_pipeline.sources import all_sources

ROOT = Path(__file__).parents[1]
PAGES = ROOT / "docs" / "sources"
HISTORIES = ROOT / "dbt_project" / "models" / "marts" / "sales_history"


def main() -> int:
    """Write or check every file; return the exit code."""
    files = {PAGES / f"{declared.name}.md": page_of(declared) for declared in (*all_sources(), *all_tables())}
    for source in all_sources():
        files |= {HISTORIES / name: text for name, text in model_files(source).items()}
    if "--check" in sys.argv:
        outdated = [path for path, text in files.items() if not is_current(path, text)]
        stale = [path.relative_to(ROOT).as_posix() for path in outdated]
        if stale:
            print(f"Out of date, run `make docs`: {', '.join(stale)}", file=sys.stderr)
        return 1 if stale else 0
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return 0


def is_current(path: Path, text: str) -> bool:
    """Whether a file says what its declaration says."""
    return path.is_file() and path.read_text(encoding="utf-8") == text


if __name__ == "__main__":
    sys.exit(main())
