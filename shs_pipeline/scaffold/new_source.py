"""A new source: module, sample, tests and models from a layout, and its word where sources are listed."""

from __future__ import annotations

import ast
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from shs_pipeline.base.errors import ShsError
from shs_pipeline.file_reader.layout.model import Layout
from shs_pipeline.files.source import Source
from shs_pipeline.scaffold.contract_page import page_of
from shs_pipeline.scaffold.default_layout import DEFAULT_LAYOUT
from shs_pipeline.scaffold.draft import Draft
from shs_pipeline.scaffold.history_model import model_files
from shs_pipeline.scaffold.lists import entries_of, with_entry
from shs_pipeline.scaffold.model_text import staging_sql, staging_yml
from shs_pipeline.scaffold.naming import check_name, check_title
from shs_pipeline.scaffold.record import Record, exclusive, roll_back_interrupted
from shs_pipeline.scaffold.sample_text import sample_text
from shs_pipeline.scaffold.source_text import DECIDE, source_text
from shs_pipeline.scaffold.tests_text import rules_text, test_text


@dataclass(frozen=True)
class Scaffolded:
    """What was done, and what is left for a person.

    Attributes:
        decisions: place and text of each line that a person has to look at.
    """

    written: tuple[Path, ...]
    edited: tuple[Path, ...]
    decisions: tuple[tuple[str, str], ...]
    next_steps: tuple[str, ...]


def scaffold(root: Path, name: str, title: str | None = None, layout: Layout | None = None) -> Scaffolded:
    """Write the files of a new source and enter it where the sources are listed: all of it or nothing.

    Args:
        root: the checkout.
        name: as in the landing zone and the database.
        title: name for people; made from the name by default.
        layout: of its file; by default columns that are to be replaced.

    Raises:
        ShsError: a name that cannot be used or is taken, or a checkout that looks otherwise.
    """
    title = title.strip() if title is not None else name.replace("_", " ").title()
    with exclusive(root):
        roll_back_interrupted(root)
        lists = list(entries_of(root, name))
        _check_checkout(root, lists)
        check_name(root / "shs_pipeline", name)
        check_title(title)
        draft = Draft(name, title, layout or DEFAULT_LAYOUT, is_guessed=layout is not None)
        own, generated = _texts(root, draft)
        edits = {path: with_entry(path, path.read_text(), name) for path in lists}
        _check_free(root, [*own, *generated])
        for path, text in {**own, **edits}.items():
            if path.suffix == ".py":
                ast.parse(text, str(path))
        record = Record.of(root, name, own, generated, entries_of(root, name))
        record.carry_out(own | generated | edits)
    return Scaffolded(
        written=(*own, *generated),
        edited=tuple(edits),
        decisions=tuple(_decisions(root, own)),
        next_steps=_next_steps(draft),
    )


def check_can_be_scaffolded(root: Path, name: str) -> None:
    """Check what can be checked before a file is looked at.

    Raises:
        ShsError: no checkout, or a name that cannot be used.
    """
    with exclusive(root):
        roll_back_interrupted(root)
        _check_checkout(root, list(entries_of(root, name)))
        check_name(root / "shs_pipeline", name)


def _texts(root: Path, draft: Draft) -> tuple[dict[Path, str], dict[Path, str]]:
    """Return the files that people go on with, and those that `make docs` writes from the contract."""
    name = draft.name
    module = root / "shs_pipeline" / "sources" / f"{name}.py"
    models = root / "dbt_project" / "models"
    own = {
        module: source_text(draft),
        root / "shs_pipeline" / "samples" / f"{name}.py": sample_text(draft),
        root / "tests" / "sources" / f"test_{name}.py": test_text(draft),
        root / "tests" / "engine" / "sources" / f"{name}.py": rules_text(draft),
        models / "staging" / f"stg_{name}.sql": staging_sql(draft),
        models / "staging" / f"stg_{name}.yml": staging_yml(draft),
    }
    histories, page = _generated(own[module])
    generated = {models / "marts" / "sales_history" / file: text for file, text in histories.items()}
    return own, generated | {root / "docs" / "sources" / f"{name}.md": page}


def _generated(text: str) -> tuple[Mapping[str, str], str]:
    """Return models and page of a source whose module is not written yet."""
    module = ModuleType("shs_pipeline.scaffolded")
    # Pandera looks a contract's annotations up in the module that it is of.
    sys.modules[module.__name__] = module
    try:
        exec(compile(text, module.__name__, "exec"), module.__dict__)  # noqa: S102 - our own template
        source: Source = module.SOURCE
        return model_files(source), page_of(source)
    finally:
        del sys.modules[module.__name__]


def _decisions(root: Path, own: Mapping[Path, str]) -> list[tuple[str, str]]:
    return [
        (f"{path.relative_to(root).as_posix()}:{number}", line.partition(DECIDE)[2].strip())
        for path, text in own.items()
        for number, line in enumerate(text.splitlines(), start=1)
        if DECIDE in line
    ]


def _next_steps(draft: Draft) -> tuple[str, ...]:
    name = draft.name
    module, sample = f"shs_pipeline/sources/{name}.py", f"shs_pipeline/samples/{name}.py"
    staging, rules = f"dbt_project/models/staging/stg_{name}.sql", f"tests/engine/sources/{name}.py"
    if draft.is_guessed:
        first = [
            f"Decide the marked lines in {module}, and say in its first lines where the file comes from."
        ]
    else:
        first = [
            f"Replace the columns in {module} with those of the file, and document its quirks.",
            f"Make {sample} as dirty as the real files are.",
        ]
    tests = f"tests/sources/test_{name}.py tests/scaffold/test_drift.py"
    months = "--month YYYY-MM" if draft.column_of("date") else "--month YYYY-MM --revenue-month YYYY-MM"
    workbook = "tables/territories.xlsx"
    give = f"shs drop {workbook} --source territories --replace && shs run"
    return (
        *first,
        f"Make {staging} use the same columns: the customer, sales_actual, rev_actual and so on.",
        f"Make {rules} apply the same rules: the marts are checked against it.",
        "Write its page and its sales history again, after every change of the columns: make docs",
        f"Run its tests: .venv/bin/python -m pytest -q {tests}",
        f"Try a real file, which loads nothing: shs check FILE --source {name}",
        f"Load it and build the marts: shs drop FILE --source {name} {months} && shs run",
        f"Give its customers to reps: shs reference export tables, add rows to {workbook}, then {give}",
        "Run everything: make check && make test",
        f"To take all of this back: shs new-source {name} --undo",
    )


def _check_checkout(root: Path, files: list[Path]) -> None:
    for path in files:
        if not path.is_file():
            raise ShsError(f"There is no {path}.", f"Run shs new-source in a checkout; {root} is not one.")


def _check_free(root: Path, paths: list[Path]) -> None:
    there = [str(path.relative_to(root)) for path in paths if path.exists()]
    if there:
        raise ShsError(f"{', '.join(there)} exists already.", "Delete the leftovers, or choose another name.")
