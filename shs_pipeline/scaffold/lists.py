"""The lists in which a source is entered, and the words that enter it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from shs_pipeline.base.errors import ShsError

Insertion = tuple[str, str]
"""What a line is put in behind, and the line."""


def entries_of(root: Path, name: str) -> dict[Path, list[str]]:
    """Return by file the lines that enter a source."""
    package, project = root / "shs_pipeline", root / "dbt_project"
    return {
        package / "landing" / "names.py": [f'    "{name}",\n'],
        package / "samples" / "tree.py": [
            f"from shs_pipeline.samples.{name} import {name}\n",
            f'    "{name}": {name},\n',
        ],
        project / "macros" / "sources.sql": [f"        '{name}',\n"],
        project / "models" / "exposures.yml": [f"      - ref('sales_history_{name}')\n"],
    }


def with_entry(path: Path, text: str, name: str) -> str:
    """Return the text of a list with a source at its end.

    Raises:
        ShsError: the list cannot be found.
    """
    enter: Mapping[str, Callable[[str, str], str]] = {
        "names.py": _with_name,
        "tree.py": _with_sample,
        "sources.sql": _with_model,
        "exposures.yml": _with_history,
    }
    return enter[path.name](text, name)


def _with_name(text: str, name: str) -> str:
    """Return the text with the name at the end of `SOURCE_NAMES`."""
    return _inserted(text, r"^SOURCE_NAMES = \(\n(?:    .*\n)+?(?=\))", f'    "{name}",\n', "SOURCE_NAMES")


def _with_sample(text: str, name: str) -> str:
    """Return the text with the sample imported, in order, and at the end of `SAMPLES`."""
    line = f"from shs_pipeline.samples.{name} import {name}\n"
    imports = re.findall(r"^from shs_pipeline\.samples\.\w+ import .*\n", text, re.MULTILINE)
    if not imports:
        raise _unlike("The imports of the samples")
    before = [found for found in imports if found < line]
    anchor = before[-1] if before else imports[0]
    text = text.replace(anchor, anchor + line if before else line + anchor, 1)
    return _inserted(text, r"^SAMPLES\b.*\{\n(?:    .*\n)+?(?=\})", f'    "{name}": {name},\n', "SAMPLES")


def _with_model(text: str, name: str) -> str:
    """Return the text of the macro with the name at the end of its list."""
    pattern = r"^    \{\{ return\(\[\n(?:        .*\n)+?(?=    \]\) \}\})"
    return _inserted(text, pattern, f"        '{name}',\n", "The list in dbt_project/macros/sources.sql")


def _with_history(text: str, name: str) -> str:
    """Return the text of the exposures with the new sales history behind the others."""
    pattern = r"(?:^      - ref\('sales_history_\w+'\)\n)+"
    line = f"      - ref('sales_history_{name}')\n"
    return _inserted(text, pattern, line, "The sales histories in dbt_project/models/exposures.yml")


def _inserted(text: str, pattern: str, line: str, what: str) -> str:
    match = re.search(pattern, text, re.MULTILINE)
    if match is None:
        raise _unlike(what)
    return text[: match.end()] + line + text[match.end() :]


def _unlike(what: str) -> ShsError:
    return ShsError(
        f"{what} cannot be found where they were.", "Restore the list, or add the source by hand."
    )
