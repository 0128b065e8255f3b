"""Writes what follows from other files: `docs/sources`, the models of the sales histories, the index of ADRs.

With `--check`, says which file is out of date.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from shs_pipeline.reference.registry import all_tables
from shs_pipeline.scaffold.contract_page import page_of
from shs_pipeline.scaffold.history_model import model_files
from shs_pipeline.sources.registry import all_incoming, all_sources

ROOT = Path(__file__).parents[1]
PAGES = ROOT / "docs" / "sources"
DECISIONS = ROOT / "docs" / "adr"
HISTORIES = ROOT / "dbt_project" / "models" / "marts" / "sales_history"


def main() -> int:
    """Write or check every file; return the exit code."""
    files = {
        PAGES / f"{declared.name}.md": page_of(declared) for declared in (*all_incoming(), *all_tables())
    }
    for source in all_sources():
        files |= {HISTORIES / name: text for name, text in model_files(source).items()}
    files[DECISIONS / "README.md"] = index_of_decisions()
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


def index_of_decisions() -> str:
    """Return the page that lists every ADR by number, with its title and whether it still holds."""
    rows = []
    for path in sorted(DECISIONS.glob("0*.md")):
        number, _, title = path.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ").partition(": ")
        rows.append(f"| [{number}]({path.name}) | {title} | {_standing(path)} |")
    head = "# Decisions\n\nWhy the system is built this way, one page each. `make docs` writes this list.\n"
    return "\n".join([head, "| | decision | status |", "| --- | --- | --- |", *rows, ""])


def _standing(path: Path) -> str:
    """Return whether a decision holds; its third line says so where it no longer does."""
    line = path.read_text(encoding="utf-8").splitlines()[2]
    newer = re.search(r"\[(\d{4})\]\(([^)]+)\)", line)
    if not newer or not line.startswith(("Superseded by", "Partly superseded by")):
        return "holds"
    return f"{line.partition(' by ')[0].lower()} by [{newer[1]}]({newer[2]})"


def is_current(path: Path, text: str) -> bool:
    """Whether a file says what its declaration says."""
    return path.is_file() and path.read_text(encoding="utf-8") == text


if __name__ == "__main__":
    sys.exit(main())
