"""A new source: module, sample, test and models from templates, and its word where sources are listed."""

from __future__ import annotations

import ast
import difflib
import keyword
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from string import Template
from types import ModuleType

from shs_pipeline import scaffold_templates
from shs_pipeline.errors import ShsError
from shs_pipeline.whole_files import write_whole

LONGEST_NAME = 40
"""Characters of a name; PostgreSQL cuts what is made of it (an index, a model) at 63."""

_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_TITLE = re.compile(r"\w[\w .,&'()+-]{0,59}")
# Folders of the landing zone, schemas of the database, and words of the command line.
_TAKEN = frozenset(
    {"incoming", "reference", "rejected", "unknown", "raw", "ops", "staging", "marts", "all", "source"}
)


@dataclass(frozen=True)
class Scaffolded:
    """What was done, and what is left for a person."""

    written: tuple[Path, ...]
    edited: tuple[Path, ...]
    next_steps: tuple[str, ...]


def scaffold(root: Path, name: str, title: str | None = None) -> Scaffolded:
    """Write the files of a new source and enter it where the sources are listed.

    Args:
        root: the checkout.
        name: as in the landing zone and the database.
        title: name for people; made from the name by default.

    Raises:
        ShsError: a name that cannot be used or is taken, or a checkout that looks otherwise.
    """
    title = title.strip() if title is not None else name.replace("_", " ").title()
    package = root / "shs_pipeline"
    lists = package / "sources" / "__init__.py"
    registry = package / "samples" / "__init__.py"
    macro = root / "dbt_project" / "macros" / "sources.sql"
    exposures = root / "dbt_project" / "models" / "exposures.yml"
    _check_checkout(root, lists, registry, macro, exposures)
    _check_name(package, name)
    _check_title(title)
    texts = _texts(root, name, title)
    edits = {
        lists: _with_name(lists.read_text(), name),
        registry: _with_sample(registry.read_text(), name),
        macro: _with_model(macro.read_text(), name),
        exposures: _with_history(exposures.read_text(), name),
    }
    _check_free(root, list(texts))
    for path, text in {**texts, **edits}.items():
        if path.suffix == ".py":
            ast.parse(text, str(path))
        # Code is for everybody who builds or runs the project, and holds no data.
        if not path.parent.exists():
            path.parent.mkdir(parents=True)
            path.parent.chmod(0o755)
        write_whole(path, text)
        path.chmod(path.stat().st_mode | 0o044)
    return Scaffolded(tuple(texts), tuple(edits), _next_steps(name))


def _texts(root: Path, name: str, title: str) -> dict[Path, str]:
    """Return the new files, the model of the sales history as the new contract makes it."""
    rows = f"{name.title().replace('_', '')}Rows"
    words = {"name": name, "title": title, "rows": rows, "title_in_sql": title.replace("'", "''")}
    module = root / "shs_pipeline" / "sources" / f"{name}.py"
    models = root / "dbt_project" / "models"
    files = {
        module: scaffold_templates.SOURCE,
        root / "shs_pipeline" / "samples" / f"{name}.py": scaffold_templates.SAMPLE,
        root / "tests" / f"test_source_{name}.py": scaffold_templates.TEST,
        models / "staging" / f"stg_{name}.sql": scaffold_templates.STAGING_SQL,
        models / "staging" / f"stg_{name}.yml": scaffold_templates.STAGING_YML,
    }
    texts = {path: Template(template).substitute(words) for path, template in files.items()}
    history = _history_models(texts[module])
    return texts | {models / "marts" / "sales_history" / file: text for file, text in history.items()}


def _history_models(text: str) -> dict[str, str]:
    """Return the model files of a source whose module is not written yet."""
    from shs_pipeline.history_model import model_files

    module = ModuleType("shs_pipeline.scaffolded")
    # Pandera looks a contract's annotations up in the module that it is of.
    sys.modules[module.__name__] = module
    try:
        exec(compile(text, module.__name__, "exec"), module.__dict__)  # noqa: S102 - our own template
        return model_files(module.SOURCE)
    finally:
        del sys.modules[module.__name__]


def _next_steps(name: str) -> tuple[str, ...]:
    return (
        f"Replace the columns in shs_pipeline/sources/{name}.py by those of the file; write its quirks down.",
        f"Make shs_pipeline/samples/{name}.py as dirty as the real files are.",
        f"Try a real file: shs check FILE --source {name}",
        f"Say in dbt_project/models/staging/stg_{name}.sql which columns are sales_actual and so on.",
        f"Write docs/sources/{name}.md and the models sales_history_{name}: make docs",
        "Teach tests/engine/crediting.py the same, by hand: it is what the marts are checked against.",
        "Run the tests: make test",
    )


def _check_checkout(root: Path, *files: Path) -> None:
    for path in files:
        if not path.is_file():
            raise ShsError(f"There is no {path}.", f"Run shs new-source in a checkout; {root} is not one.")


def _check_name(package: Path, name: str) -> None:
    if not _NAME.fullmatch(name):
        better = re.sub(r"[^a-z0-9]+", "_", name.casefold()).strip("_")
        meant = f"Write it as {better}." if _NAME.fullmatch(better) else "Write it like acme_medical."
        raise ShsError(
            f"{name!r} is not a name for a source: lower-case letters, digits and single underscores only.",
            meant,
        )
    if len(name) > LONGEST_NAME:
        raise ShsError(
            f"{name} has more than {LONGEST_NAME} characters.", "Shorten it; --title may be longer."
        )
    if keyword.iskeyword(name) or name in _TAKEN:
        raise ShsError(f"{name} is a word that means something else.", "Choose another name.")
    taken = {
        path.stem
        for folder in ("sources", "reference", "samples")
        for path in (package / folder).glob("*.py")
        if path.stem != "__init__"
    }
    if name in taken:
        raise ShsError(f"The name {name} is taken.", "Choose another name, or edit the source that is there.")
    # `cygnus_` or `cygnuss` would be dropped into by mistake.
    for close in difflib.get_close_matches(name, sorted(taken), n=1, cutoff=0.93):
        raise ShsError(f"{name} is easily taken for {close}.", "Choose a name that nobody mistakes.")


def _check_title(title: str) -> None:
    if not _TITLE.fullmatch(title):
        raise ShsError(
            f"{title!r} is not a title: up to 60 letters, digits, blanks and . , & ' ( ) + -.",
            "Choose another --title.",
        )


def _check_free(root: Path, paths: list[Path]) -> None:
    there = [str(path.relative_to(root)) for path in paths if path.exists()]
    if there:
        raise ShsError(
            f"{', '.join(there)} exists already.", "Delete what is left over, or choose another name."
        )


def _with_name(text: str, name: str) -> str:
    """Return the text with the name at the end of `NAMES`."""
    return _inserted(text, r"^NAMES = \(\n(?:    .*\n)+?(?=\))", f'    "{name}",\n', "NAMES of the sources")


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
