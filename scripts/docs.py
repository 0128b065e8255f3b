"""Writes `docs/sources/<name>.md` from the contracts; with `--check`, says which page is out of date."""

from __future__ import annotations

import sys
from pathlib import Path

from shs_pipeline.contract_page import page_of
from shs_pipeline.reference import all_tables
from shs_pipeline.sources import all_sources

FOLDER = Path(__file__).parents[1] / "docs" / "sources"


def main() -> int:
    """Write or check every page; return the exit code."""
    pages = {declared.name: page_of(declared) for declared in (*all_sources(), *all_tables())}
    if "--check" in sys.argv:
        stale = [name for name, text in pages.items() if not is_current(name, text)]
        if stale:
            print(f"docs/sources is out of date for {', '.join(stale)}: run `make docs`.", file=sys.stderr)
        return 1 if stale else 0
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in pages.items():
        (FOLDER / f"{name}.md").write_text(text, encoding="utf-8")
    return 0


def is_current(name: str, text: str) -> bool:
    """Whether the page of a declaration says what its contract says."""
    page = FOLDER / f"{name}.md"
    return page.is_file() and page.read_text(encoding="utf-8") == text


if __name__ == "__main__":
    sys.exit(main())
