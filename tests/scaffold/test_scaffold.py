"""A new source in a copy of the checkout: it works at once, and the drift test names what is missing."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from shs_pipeline.base.errors import ShsError
from shs_pipeline.scaffold.new_source import scaffold
from tests.helpers.checkouts import HERE, copy_of_checkout, python, snapshot

if TYPE_CHECKING:
    from tests.conftest import Zone


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    return copy_of_checkout(tmp_path / "checkout")


def drift(root: Path) -> tuple[int, str]:
    """Run the drift test on the copy: how many tests fail, and what they say."""
    done = python(
        root,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--import-mode=importlib",
        "tests/scaffold/test_drift.py",
    )
    failed = re.search(r"(\d+) failed", done.stdout)
    assert failed or done.returncode == 0, done.stdout + done.stderr
    return int(failed.group(1)) if failed else 0, done.stdout


def test_a_new_source_works_at_once_and_lacks_nothing(checkout: Path) -> None:
    done = scaffold(checkout, "acme_medical", "Acme & Sons (Medical)")

    assert [str(path.relative_to(checkout)) for path in done.written] == [
        "shs_pipeline/sources/acme_medical.py",
        "shs_pipeline/samples/acme_medical.py",
        "tests/sources/test_acme_medical.py",
        "tests/engine/sources/acme_medical.py",
        "dbt_project/models/staging/stg_acme_medical.sql",
        "dbt_project/models/staging/stg_acme_medical.yml",
        "dbt_project/models/marts/sales_history/sales_history_acme_medical.sql",
        "dbt_project/models/marts/sales_history/sales_history_acme_medical.yml",
        "docs/sources/acme_medical.md",
    ]
    assert done.decisions == ()
    tests = python(
        checkout, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--import-mode=importlib",
        "tests/sources/test_acme_medical.py",
    )  # fmt: skip
    assert tests.returncode == 0, tests.stdout + tests.stderr
    failed, said = drift(checkout)
    assert failed == 0, said


def test_the_system_knows_the_new_source(checkout: Path) -> None:
    scaffold(checkout, "zeta9")

    shown = python(
        checkout,
        "-c",
        "from shs_pipeline.landing.names import SOURCE_NAMES\n"
        "from shs_pipeline.sources.registry import source_named\n"
        "from shs_pipeline.landing.zone import place_of\n"
        "from shs_pipeline.samples.tree import make_sample, SAMPLES\n"
        "from shs_pipeline.file_reader.guess import guess\n"
        "from shs_pipeline.files.reading import SourceFile\n"
        "from datetime import date\n"
        "print(SOURCE_NAMES[-1], source_named('zeta9').title)\n"
        "print(place_of('incoming/zeta9/2025-03/a.xlsx').kind)\n"
        "sample = make_sample('zeta9', date(2025, 3, 1), lines=5, seed=1)\n"
        "print(guess(SourceFile('a.xlsx', sample.content), 10**7).declaration.name, list(SAMPLES)[-1])",
    )

    assert shown.stdout.splitlines()[:3] == ["zeta9 Zeta9", "source", "zeta9 zeta9"], shown.stderr


def test_the_lists_keep_everything_else_as_it_was(checkout: Path) -> None:
    before = snapshot(checkout)

    done = scaffold(checkout, "acme_medical")

    edited = [path.name for path in done.edited]
    assert edited == ["names.py", "tree.py", "sources.sql", "exposures.yml"]
    for path in done.edited:
        text, old = path.read_text(), before[str(path.relative_to(checkout))]
        added = [line for line in text.splitlines() if line not in old.splitlines()]
        assert [line for line in text.splitlines() if line not in added] == old.splitlines()
        assert all("acme_medical" in line for line in added)
    imports = [
        line for line in done.edited[1].read_text().splitlines() if line.startswith("from shs_pipeline.s")
    ]
    assert imports == sorted(imports)


def test_what_is_written_keeps_the_house_style(checkout: Path) -> None:
    done = scaffold(checkout, "acme_medical", "Acme")
    ruff = Path(sys.executable).with_name("ruff")
    if not ruff.is_file():
        pytest.skip("ruff is not installed beside this Python")
    configuration = HERE / "pyproject.toml"
    modules = [path for path in (*done.written, *done.edited) if path.suffix == ".py"]

    for command in (["check"], ["format", "--diff"]):
        checked = subprocess.run(
            [ruff, *command, "--no-cache", "--config", configuration, *modules],
            cwd=checkout, capture_output=True, text=True, check=False,
        )  # fmt: skip

        assert checked.returncode == 0, checked.stdout


def test_the_drift_test_names_whatever_is_missing_or_stands_about(checkout: Path) -> None:
    sources = checkout / "shs_pipeline" / "sources"
    (sources / "chemence.py").unlink()
    (checkout / "docs" / "sources" / "logiquip.md").unlink()
    module = sources / "novo.py"
    module.write_text(module.read_text().replace('name="novo"', 'name="nova"'))
    shutil.copy(sources / "cygnus.py", sources / "stranger.py")
    samples = checkout / "shs_pipeline" / "samples" / "tree.py"
    samples.write_text(samples.read_text().replace('    "ternio": ternio,\n', ""))

    failed, shown = drift(checkout)

    assert failed == 5
    assert "module shs_pipeline/sources/chemence.py" in shown
    assert "page docs/sources/logiquip.md" in shown
    assert "SOURCE.name of shs_pipeline/sources/novo.py: it is 'nova'" in shown
    assert "stranger" in shown
    assert "sample of ternio" in shown


def test_the_drift_test_names_the_models_that_are_missing_or_out_of_date(checkout: Path) -> None:
    project = checkout / "dbt_project"
    staging, histories = project / "models" / "staging", project / "models" / "marts" / "sales_history"
    (staging / "stg_chemence.sql").unlink()
    (staging / "stg_logiquip.yml").write_text("models:\n  - name: stg_logiquip\n")
    model = staging / "stg_sunoptic.sql"
    model.write_text(model.read_text().replace("'Sunoptic' as product_line", "'Sun' as product_line"))
    macro = project / "macros" / "sources.sql"
    macro.write_text(macro.read_text().replace("        'novo',\n", "        'nobody',\n"))
    (histories / "sales_history_ternio.yml").unlink()
    exposures = project / "models" / "exposures.yml"
    exposures.write_text(exposures.read_text().replace("      - ref('sales_history_ternio')\n", ""))
    module = checkout / "shs_pipeline" / "sources" / "cygnus.py"
    module.write_text(module.read_text().replace('"SKU"', '"Stock number"'))
    shutil.copy(histories / "sales_history_cygnus.sql", histories / "sales_history_stranger.sql")

    failed, shown = drift(checkout)

    assert failed == 7
    assert "product line of dbt_project/models/staging/stg_sunoptic.sql" in shown
    assert "ref('sales_history_ternio') in dbt_project/models/exposures.yml" in shown
    assert "staging model dbt_project/models/staging/stg_chemence.sql" in shown
    assert "table logiquip of the dbt source raw" in shown
    assert "word 'novo' in dbt_project/macros/sources.sql" in shown
    assert "models sales_history_ternio as the contract has them: make docs" in shown
    assert "models sales_history_cygnus as the contract has them: make docs" in shown
    assert "take it out of dbt_project/macros/sources.sql" in shown


FROM_FILE_TO_MART = """
import sys
from datetime import date
import psycopg
from shs_pipeline.ingest.ingestion import Ingestion
from shs_pipeline.landing.zone import Landing
from shs_pipeline.marts.build import build_marts
from shs_pipeline.ingest.run import run_changed
from shs_pipeline.samples.tree import make_sample

landing, database = sys.argv[1:]
sample = make_sample("acme", date(2025, 3, 1), lines=9, seed=1)
Landing(landing).write(sample.path, sample.content)
run_changed(Ingestion(Landing(landing), database, 10**7, 30, "run 1"))
build_marts(database, "run 1")
with psycopg.connect(database) as connection:
    query = (
        "select lines.product_line, lines.credit_status, lines.territory, customer_number, own.item"
        " from marts.sales_history_acme as own inner join marts.harmonised_sales as lines using (line_id)"
    )
    for row in connection.execute(query):
        print(row)
"""


@pytest.mark.soak
def test_the_lines_of_a_new_source_reach_the_marts(checkout: Path, zone: Zone) -> None:
    scaffold(checkout, "acme", "Acme's Best")
    (checkout / "sample.py").write_text(FROM_FILE_TO_MART)

    done = python(checkout, "sample.py", zone.url, zone.database_url)

    rows = [ast.literal_eval(line) for line in done.stdout.splitlines()]
    assert len(rows) == 9, done.stderr
    for product_line, status, territory, number, item in rows:
        assert (product_line, status) == ("Acme's Best", "no_territory")
        assert territory == f"Customer Number: {number}"
        assert item.startswith("IT-")


@pytest.mark.parametrize(
    ("name", "problem", "remedy"),
    [
        ("Acme Medical", "not a source name", "Write it as acme_medical"),
        ("acme-medical", "not a source name", "Write it as acme_medical"),
        ("9lives", "not a source name", "like acme_medical"),
        ("acme__x", "not a source name", "acme_x"),
        ("../evil", "not a source name", "evil"),
        ("", "not a source name", "acme_medical"),
        ("a" * 41, "more than 40 characters", "Shorten"),
        ("class", "reserved word", "another name"),
        ("reference", "reserved word", "another name"),
        ("cygnus", "name cygnus is taken", "another name"),
        ("territories", "name territories is taken", "another name"),
        ("world", "name world is taken", "another name"),
        ("inspector", "", ""),
        ("logiquipp", "easily confused with logiquip", "more distinct name"),
    ],
)
def test_a_name_that_cannot_be_used_changes_nothing(
    checkout: Path, name: str, problem: str, remedy: str
) -> None:
    if not problem:
        scaffold(checkout, name)  # near, but not too near
        return
    before = snapshot(checkout)

    with pytest.raises(ShsError) as raised:
        scaffold(checkout, name)

    assert problem in raised.value.problem
    assert remedy in raised.value.remedy
    assert snapshot(checkout) == before


@pytest.mark.parametrize("title", ['Ac"me', "Acme\n", "Acme\\", "", "{x}", "A" * 61, "Acme/Sons"])
def test_a_title_that_would_break_the_module_is_refused(checkout: Path, title: str) -> None:
    before = snapshot(checkout)

    with pytest.raises(ShsError, match="not a title"):
        scaffold(checkout, "acme", title if title != "Acme\n" else "Ac\nme")

    assert snapshot(checkout) == before


def test_a_second_time_and_a_left_over_test_are_refused(checkout: Path) -> None:
    scaffold(checkout, "acme")
    with pytest.raises(ShsError, match="name acme is taken"):
        scaffold(checkout, "acme")

    (checkout / "tests" / "sources" / "test_brisk.py").write_text("")
    with pytest.raises(ShsError, match=r"tests/sources/test_brisk\.py exists already"):
        scaffold(checkout, "brisk")
    assert not (checkout / "shs_pipeline" / "sources" / "brisk.py").exists()


def test_a_list_that_was_rewritten_is_said_and_nothing_is_written(checkout: Path) -> None:
    lists = checkout / "shs_pipeline" / "landing" / "names.py"
    lists.write_text("SOURCE_NAMES = tuple('abc')\n")

    with pytest.raises(ShsError, match="SOURCE_NAMES cannot be found"):
        scaffold(checkout, "acme")

    assert not (checkout / "shs_pipeline" / "sources" / "acme.py").exists()


def test_a_macro_that_was_rewritten_is_said_and_nothing_is_written(checkout: Path) -> None:
    macro = checkout / "dbt_project" / "macros" / "sources.sql"
    macro.write_text("{% macro sources() %}{{ return(var('sources')) }}{% endmacro %}\n")
    before = snapshot(checkout)

    with pytest.raises(ShsError, match=r"The list in dbt_project/macros/sources\.sql cannot be found"):
        scaffold(checkout, "acme")

    assert snapshot(checkout) == before


def test_outside_of_a_checkout_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(ShsError, match="in a checkout"):
        scaffold(tmp_path, "acme")


def test_the_command_says_what_it_wrote_and_what_is_next(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from shs_pipeline.cli.main import build_app

    monkeypatch.setattr("shs_pipeline.settings.settings.project_root", lambda: checkout)

    result = CliRunner().invoke(build_app(), ["new-source", "acme", "--title", "Acme Inc."])

    assert result.exit_code == 0, result.output
    assert "Written:  shs_pipeline/sources/acme.py" in result.output
    assert "Edited:   shs_pipeline/samples/tree.py" in result.output
    assert "Edited:   dbt_project/macros/sources.sql" in result.output
    assert "make docs" in result.output
    assert 'title="Acme Inc."' in (checkout / "shs_pipeline" / "sources" / "acme.py").read_text()
    ast.parse((checkout / "shs_pipeline" / "sources" / "acme.py").read_text())


def test_a_source_with_loaded_lines_is_not_undone(
    checkout: Path, zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    from shs_pipeline.cli.main import build_app
    from shs_pipeline.database.connection import connect

    monkeypatch.setattr("shs_pipeline.settings.settings.project_root", lambda: checkout)
    monkeypatch.setenv("SHS_DATABASE_URL", zone.database_url)
    before = snapshot(checkout)
    scaffold(checkout, "acme")
    path = zone.drop_sample("novo", "2025-03")
    zone.run()
    undo = ["new-source", "acme", "--undo"]
    with connect(zone.database_url) as connection:
        connection.execute("update ops.files set source = 'acme'")
        connection.commit()

        refused = CliRunner().invoke(build_app(), undo)

        assert isinstance(refused.exception, ShsError)
        assert refused.exception.problem == f"1 file of acme is loaded ({path}). Nothing was undone."
        assert "`shs run --accept`" in refused.exception.remedy
        assert (checkout / "shs_pipeline" / "sources" / "acme.py").is_file()

        connection.execute("update ops.files set status = 'withdrawn'")

    assert CliRunner().invoke(build_app(), undo).exit_code == 0
    assert snapshot(checkout) == before
