"""The Dagster side: assets, checks and the sensor, run in process on a real database."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import dagster as dg
import psycopg
import pytest

from assets.ingested import ACCEPT_TAG, BUCKET_KEY, UNKNOWN_KEY, reference_key, source_key
from assets.metadata import error_workbooks
from sensors.failures import failures_of
from shs_pipeline.definitions import build_defs
from shs_pipeline.landing.addresses import console_url
from shs_pipeline.landing.names import INCOMING_NAMES, REFERENCE_NAMES
from shs_pipeline.landing.zone import Landing, LandingError
from shs_pipeline.samples import broken
from shs_pipeline.samples.tree import make_sample, write_samples

MARCH = date(2025, 3, 1)


@pytest.fixture
def landing(tmp_path: Path, tables: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty landing zone, with settings that name it and a fresh database."""
    folder = tmp_path / "landing"
    folder.mkdir()
    for name, value in {
        "SHS_HOME": str(tmp_path / "var"),
        "SHS_LANDING": folder.as_uri(),
        "SHS_DATABASE_URL": tables,
        "SHS_DATABASE_WAIT_SECONDS": "5",
    }.items():
        monkeypatch.setenv(name, value)
    return folder


@pytest.fixture
def instance() -> dg.DagsterInstance:
    with dg.DagsterInstance.ephemeral() as found:
        yield found


def drop(
    landing: Path, source: str, month: date = MARCH, *, content: bytes | None = None, lines: int = 6
) -> Path:
    sample = make_sample(source, month, lines=lines, seed=1)
    target = landing / sample.path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(sample.content if content is None else content)
    return target


def run(
    instance: dg.DagsterInstance,
    keys: list[dg.AssetKey],
    raises: bool = True,
    assets: Sequence[dg.AssetsDefinition] = (),
    **options: object,
) -> dg.ExecuteInProcessResult:
    job = dg.define_asset_job("probe", selection=dg.AssetSelection.assets(*keys))
    defs = build_defs(jobs=[job])
    if assets:
        defs = dg.Definitions.merge(defs, dg.Definitions(assets=assets))
    return defs.resolve_job_def("probe").execute_in_process(
        instance=instance, raise_on_error=raises, **options
    )


def checks_of(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
    return {evaluation.check_name: evaluation for evaluation in result.get_asset_check_evaluations()}


def test_every_source_and_reference_table_is_an_asset() -> None:
    keys = build_defs().resolve_asset_graph().get_all_asset_keys()

    wanted = {*map(source_key, INCOMING_NAMES), *map(reference_key, REFERENCE_NAMES), UNKNOWN_KEY, BUCKET_KEY}
    assert {key for key in keys if key.path[0] in ("raw", "landing")} | {
        key for key in keys if key.path[0] == "reference" and key.path[1] in REFERENCE_NAMES
    } == wanted


def test_a_month_is_loaded_and_its_metadata_say_what_was_in_it(
    landing: Path, tables: str, instance: dg.DagsterInstance
) -> None:
    drop(landing, "inspektor", lines=12)

    result = run(instance, [source_key("inspektor")], partition_key="2025-03")

    (event,) = result.asset_materializations_for_node("raw__inspektor")
    shown = {name: value.value for name, value in event.metadata.items()}
    with psycopg.connect(tables) as connection:
        total = connection.execute("select sum(total), count(*) from raw.inspektor").fetchone()
    assert event.partition == "2025-03"
    assert (shown["lines"], shown["files"], shown["files_rejected"]) == (12, 1, 0)
    assert total == (pytest.approx(total[0]), 12)
    assert shown["sum_of_total"] == f"{total[0]:,f}"
    assert "seconds" in shown
    passed = {name: found.passed for name, found in checks_of(result).items()}
    # Every month since is due by now, and missing.
    assert passed == {
        "contract_holds": True,
        "printed_totals_agree": True,
        "nothing_shrank": True,
        "no_month_missing": False,
    }


def test_a_range_of_months_is_one_run_with_metadata_for_each_month(
    landing: Path, instance: dg.DagsterInstance
) -> None:
    for month in (date(2025, 1, 1), date(2025, 3, 1)):
        drop(landing, "novo", month)

    result = run(
        instance,
        [source_key("novo")],
        tags={
            "dagster/asset_partition_range_start": "2025-01",
            "dagster/asset_partition_range_end": "2025-03",
        },
    )

    lines = {
        event.partition: event.metadata["lines"].value
        for event in result.asset_materializations_for_node("raw__novo")
    }
    assert lines == {"2025-01": 6, "2025-02": 0, "2025-03": 6}
    assert not checks_of(result)["no_month_missing"].passed
    assert "2025-02" in checks_of(result)["no_month_missing"].description


def test_a_rejected_file_fails_its_run_and_a_check_that_says_what_to_do_and_where_the_errors_are(
    landing: Path, instance: dg.DagsterInstance
) -> None:
    sample = make_sample("chemence", MARCH, lines=6, seed=1)
    row = int(sample.lines[2]["source_row"])
    drop(landing, "chemence", content=broken.with_bad_cell(sample.content, "Sales Total", row, "twelve"))
    workbook = str(landing / f"rejected/{sample.path}.errors.xlsx")

    result = run(instance, [source_key("chemence")], raises=False, partition_key="2025-03")

    check = checks_of(result)["contract_holds"]
    (event,) = result.asset_materializations_for_node("raw__chemence")
    assert not result.success
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    assert failure.step_key == "raw_chemence_checks"
    assert f"1 file rejected: {sample.path}." in failure.step_failure_data.user_failure_data.description
    assert failure.step_failure_data.user_failure_data.metadata["error_workbook"].value == workbook
    assert not check.passed
    assert check.severity == dg.AssetCheckSeverity.ERROR
    assert "This is not an amount." in check.description
    assert sample.path in check.description
    assert event.metadata["error_workbook"] == dg.MetadataValue.path(workbook)
    assert f"`{workbook}`" in check.metadata["details"].value
    assert f"| {row} | Sales Total | twelve |" in event.metadata["errors"].value
    assert (landing / f"rejected/{sample.path}.errors.xlsx").exists()


def test_a_rejected_file_holds_up_neither_the_other_files_of_its_run_nor_what_is_built_behind_them(
    landing: Path, instance: dg.DagsterInstance
) -> None:
    @dg.asset(deps=[source_key(name) for name in ("chemence", "novo")])
    def behind() -> None: ...

    drop(landing, "chemence", content=b"no workbook")
    drop(landing, "chemence", date(2025, 4, 1))
    drop(landing, "novo")
    keys = [source_key("chemence"), source_key("novo"), behind.key]

    result = run(instance, keys, raises=False, assets=[behind], tags=SPAN)
    again = run(instance, [source_key("chemence")], partition_key="2025-04")

    assert not result.success
    assert again.success, "the file of another run is not this one's"
    lines = {
        (event.asset_key.path[-1], event.partition): event.materialization.metadata["lines"].value
        for event in result.get_asset_materialization_events()
        if event.asset_key != behind.key
    }
    assert (lines["chemence", "2025-03"], lines["chemence", "2025-04"], lines["novo", "2025-03"]) == (0, 6, 6)
    assert result.asset_materializations_for_node("behind")
    assert failures_of(instance, result.run_id).is_of_rejections_alone


def test_error_workbooks_open_in_the_console_of_s3_and_have_a_path_elsewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    uri = "s3://sales/landing/rejected/incoming/novo/2025-03/May (2) #1.xlsx.errors.xlsx"
    url = (
        "https://eu-west-1.console.aws.amazon.com/s3/object/sales?region=eu-west-1&prefix=landing%2Frejected"
        "%2Fincoming%2Fnovo%2F2025-03%2FMay%20%282%29%20%231.xlsx.errors.xlsx"
    )
    assert error_workbooks([uri]) == {"error_workbook": dg.MetadataValue.url(url)}
    several = error_workbooks([uri, uri])["error_workbooks"].value
    assert several == "\n".join([f"- [May (2) #1.xlsx.errors.xlsx]({url})"] * 2)

    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://s3:8333")
    assert error_workbooks([uri]) == {"error_workbook": dg.MetadataValue.path(uri)}
    assert error_workbooks(["file:///a%20b/c.xlsx"]) == {
        "error_workbook": dg.MetadataValue.path("/a b/c.xlsx")
    }
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    monkeypatch.setenv("AWS_REGION", "us-gov-west-1")
    assert "//console.amazonaws-us-gov.com/s3/object/sales?region=us-gov" in str(console_url(uri))


def test_every_asset_says_what_it_is_whose_and_of_what_kind() -> None:
    graph = build_defs().resolve_asset_graph()

    nodes = [graph.get(key) for key in graph.get_all_asset_keys()]
    lacking = [
        node.key.to_user_string()
        for node in nodes
        if not (node.description and node.owners and node.kinds and node.group_name != "default")
    ]
    assert len(nodes) > 50
    assert lacking == []


def test_a_mended_file_makes_the_check_pass_again(landing: Path, instance: dg.DagsterInstance) -> None:
    target = drop(landing, "novo", content=b"no workbook")
    first = run(instance, [source_key("novo")], raises=False, partition_key="2025-03")
    drop(landing, "novo")

    second = run(instance, [source_key("novo")], partition_key="2025-03")

    assert not checks_of(first)["contract_holds"].passed
    assert checks_of(second)["contract_holds"].passed
    assert not (landing / "rejected" / target.relative_to(landing)).exists()


def test_a_database_that_is_away_fails_the_run_with_a_sentence(
    landing: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHS_DATABASE_URL", "postgresql://someone:hidden-word@127.0.0.1:9/nowhere")
    monkeypatch.setenv("SHS_DATABASE_WAIT_SECONDS", "0")
    drop(landing, "novo")

    result = run(instance, [source_key("novo")], raises=False, partition_key="2025-03")

    (failure,) = [event for event in result.all_events if event.is_step_failure]
    sentence = failure.step_failure_data.user_failure_data.description
    assert "127.0.0.1" in sentence
    assert "hidden-word" not in str(result.all_events)


def test_reference_tables_and_unknown_places_have_their_checks(
    landing: Path, instance: dg.DagsterInstance
) -> None:
    write_samples(landing, months=1, lines=2, seed=1, until=MARCH)
    (landing / "notes.txt").write_text("hello")

    tables = run(instance, [reference_key(name) for name in REFERENCE_NAMES])
    unknown = run(instance, [UNKNOWN_KEY], raises=False)

    evaluations = tables.get_asset_check_evaluations()
    assert len(evaluations) == 2 * len(REFERENCE_NAMES)
    assert all(found.passed for found in evaluations)
    check = checks_of(unknown)["contract_holds"]
    assert not check.passed
    assert "notes.txt" in check.description


def test_the_code_location_loads_without_camelot_and_dbt_and_importing_it_reads_no_settings() -> None:
    build_defs()  # whoever is the first after a change of the models prepares them
    probe = (
        "import os, sys; os.environ['SHS_MAX_FILE_MB'] = 'no number';"
        "import shs_pipeline.definitions, assets.ingested, sensors.landing;"
        "del os.environ['SHS_MAX_FILE_MB'];"
        "shs_pipeline.definitions.defs().get_repository_def();"
        "heavy = ('camelot', 'dbt', 'dagster_dbt', 'reportlab', 'openpyxl');"
        "print([name for name in heavy if name in sys.modules])"
    )

    printed = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True).stdout

    assert printed.strip() == "[]"


SPAN = {"dagster/asset_partition_range_start": "2025-03", "dagster/asset_partition_range_end": "2025-05"}


def test_a_month_that_cannot_be_fetched_fails_the_run_by_name_and_lets_the_others_load(
    landing: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    for month in (3, 4, 5):
        drop(landing, "novo", date(2025, month, 1), lines=2)
        drop(landing, "cygnus", date(2025, month, 1), lines=2)
    read = Landing.read

    def refuse(self: Landing, path: str) -> bytes | None:
        if path.startswith("incoming/novo/2025-04/"):
            raise LandingError(f"{path} cannot be reached: timeout", "Look at the network.")
        return read(self, path)

    monkeypatch.setattr(Landing, "read", refuse)
    result = run(instance, [source_key("novo"), source_key("cygnus")], raises=False, tags=SPAN)

    assert not result.success
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    said = failure.step_failure_data.user_failure_data.description
    assert "novo/2025-04" in said
    assert "timeout" in said
    done = {name: instance.get_materialized_partitions(source_key(name)) for name in ("novo", "cygnus")}
    assert done == {"novo": {"2025-03", "2025-05"}, "cygnus": {"2025-03", "2025-04", "2025-05"}}


def test_a_held_month_fails_its_run_until_the_run_has_the_tag(
    landing: Path, instance: dg.DagsterInstance
) -> None:
    path = drop(landing, "novo", lines=2)
    run(instance, [source_key("novo")], partition_key="2025-03")
    path.unlink()

    held = run(instance, [source_key("novo")], raises=False, partition_key="2025-03")
    (failure,) = [event for event in held.all_events if event.is_step_failure]
    assert "every file of novo" in failure.step_failure_data.user_failure_data.description

    accepted = run(instance, [source_key("novo")], partition_key="2025-03", tags={ACCEPT_TAG: "yes"})
    (event,) = accepted.asset_materializations_for_node("raw__novo")
    assert event.metadata["lines"].value == 0
