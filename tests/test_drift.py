"""Whatever a source needs is there, and nothing stands about that no source needs."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

import shs_pipeline
from shs_pipeline.reference import NAMES as TABLES
from shs_pipeline.samples import SAMPLES
from shs_pipeline.sources import NAMES

PACKAGE = Path(shs_pipeline.__file__).resolve().parent
ROOT = PACKAGE.parent
MODELS = ROOT / "dbt_project" / "models"


def missing_parts(name: str) -> list[str]:
    """What a source lacks, each with what to do."""
    missing = []
    if not (PACKAGE / "sources" / f"{name}.py").is_file():
        missing.append(f"module shs_pipeline/sources/{name}.py: write it (shs new-source makes one)")
    elif (found := import_module(f"shs_pipeline.sources.{name}").SOURCE.name) != name:
        missing.append(f"SOURCE.name of shs_pipeline/sources/{name}.py: it is {found!r}, let it be {name!r}")
    if name not in SAMPLES:
        missing.append(f"sample of {name}: write shs_pipeline/samples/{name}.py and enter it in SAMPLES")
    if not (ROOT / "docs" / "sources" / f"{name}.md").is_file():
        missing.append(f"page docs/sources/{name}.md: make docs")
    return missing + missing_models(name)


def missing_models(name: str) -> list[str]:
    staging = MODELS / "staging"
    if not staging.is_dir():
        return []
    missing = []
    if not any(path.stem.endswith(f"_{name}") for path in staging.rglob("*.sql")):
        missing.append(f"staging model of {name}: write dbt_project/models/staging/stg_{name}.sql")
    others = [path.read_text() for path in MODELS.rglob("*.sql") if staging not in path.parents]
    if not any(re.search(rf"(?<![a-z0-9])(stg_)?{name}(?![a-z0-9_])", text) for text in others):
        missing.append(f"word of {name} in the union model below dbt_project/models")
    return missing


@pytest.mark.parametrize("name", NAMES)
def test_nothing_of_a_source_is_missing(name: str) -> None:
    missing = missing_parts(name)

    assert not missing, "; ".join(missing)


def test_every_module_of_a_source_is_in_the_list() -> None:
    modules = {path.stem for path in (PACKAGE / "sources").glob("*.py")} - {"__init__"}

    assert modules - set(NAMES) == set(), "add it to NAMES in shs_pipeline/sources/__init__.py"


def test_every_sample_is_of_a_source() -> None:
    assert set(SAMPLES) - set(NAMES) == set()


def test_every_page_is_of_a_source_or_a_reference_table() -> None:
    pages = {path.stem for path in (ROOT / "docs" / "sources").glob("*.md")} - {"README", "index"}

    assert pages - {*NAMES, *TABLES} == set(), "delete it, or make docs anew"
