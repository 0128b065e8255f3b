"""Whatever a source needs is there, and nothing stands about that no source needs."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest
import yaml

import shs_pipeline
from shs_pipeline.landing.names import INCOMING_NAMES, REFERENCE_NAMES, SOURCE_NAMES
from shs_pipeline.samples.tree import SAMPLES
from shs_pipeline.scaffold.history_model import model_files

PACKAGE = Path(shs_pipeline.__file__).resolve().parent
ROOT = PACKAGE.parent
MODELS = ROOT / "dbt_project" / "models"
HISTORIES = MODELS / "marts" / "sales_history"


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
    missing = []
    staging = f"dbt_project/models/staging/stg_{name}"
    if not (ROOT / f"{staging}.sql").is_file():
        missing.append(f"staging model {staging}.sql: write it, in the columns of the others")
    if not is_product_line_staged(name):
        missing.append(f"product line of {staging}.sql: let it be SOURCE.product_line of the source")
    yml = ROOT / f"{staging}.yml"
    if name not in (tables_of(yml) if yml.is_file() else []):
        missing.append(f"table {name} of the dbt source raw: enter it in {staging}.yml")
    if name not in modelled_sources():
        missing.append(f"word '{name}' in dbt_project/macros/sources.sql: add it at the end")
    if f"ref('sales_history_{name}')" not in (MODELS / "exposures.yml").read_text():
        missing.append(f"ref('sales_history_{name}') in dbt_project/models/exposures.yml: add it")
    if not is_history_current(name):
        missing.append(f"models sales_history_{name} as the contract has them: make docs")
    return missing


def is_product_line_staged(name: str) -> bool:
    """Whether the staging model gives all lines the product line of the source, or none if it has none.

    Ids are given to what the source declares, before dbt runs, and looked up for what the model says.
    """
    model = MODELS / "staging" / f"stg_{name}.sql"
    if not (PACKAGE / "sources" / f"{name}.py").is_file() or not model.is_file():
        return True  # that is said elsewhere
    declared = import_module(f"shs_pipeline.sources.{name}").SOURCE.product_line
    staged = re.findall(r"'((?:[^']|'')*)' as product_line\b", model.read_text())
    return [found.replace("''", "'") for found in staged] == ([] if declared is None else [declared])


def tables_of(yml: Path) -> list[str]:
    """The tables that a staging model's yml declares as the dbt source raw."""
    declared = yaml.safe_load(yml.read_text())
    return [
        table["name"]
        for source in declared.get("sources", [])
        if source["name"] == source["schema"] == "raw"
        for table in source["tables"]
        if table["config"]["meta"]["dagster"]["asset_key"] == ["raw", table["name"]]
    ]


def modelled_sources() -> list[str]:
    text = (ROOT / "dbt_project" / "macros" / "sources.sql").read_text()
    return re.findall(r"^        '(\w+)',$", text, re.MULTILINE)


def is_history_current(name: str) -> bool:
    """Whether the model of the sales history is what the contract makes it."""
    if not (PACKAGE / "sources" / f"{name}.py").is_file():
        return True  # that is said elsewhere
    files = model_files(import_module(f"shs_pipeline.sources.{name}").SOURCE)
    written = {file: HISTORIES / file for file in files}
    return all(path.is_file() and path.read_text() == files[file] for file, path in written.items())


@pytest.mark.parametrize("name", SOURCE_NAMES)
def test_nothing_of_a_source_is_missing(name: str) -> None:
    missing = missing_parts(name)

    assert not missing, "; ".join(missing)


def test_every_module_of_a_source_is_in_the_list() -> None:
    modules = {path.stem for path in (PACKAGE / "sources").glob("*.py")} - {"__init__", "registry"}

    assert modules - set(INCOMING_NAMES) == set(), "add it to shs_pipeline/landing/names.py"


def test_every_sample_is_of_a_source() -> None:
    assert set(SAMPLES) - set(SOURCE_NAMES) == set()


def test_every_page_is_of_a_source_or_a_reference_table() -> None:
    pages = {path.stem for path in (ROOT / "docs" / "sources").glob("*.md")} - {"README", "index"}

    assert pages - {*INCOMING_NAMES, *REFERENCE_NAMES} == set(), "delete it, or make docs anew"


def test_every_model_of_a_source_is_of_one_that_is_there() -> None:
    wanted = {name: {f"sales_history_{name}.sql", f"sales_history_{name}.yml"} for name in SOURCE_NAMES}

    assert set(modelled_sources()) - set(SOURCE_NAMES) == set(), (
        "take it out of dbt_project/macros/sources.sql"
    )
    assert {path.name for path in HISTORIES.iterdir()} - set().union(*wanted.values()) == set(), "delete it"
