"""The composition root: everything that Dagster knows, put together."""

import warnings
from typing import Any

import dagster as dg

from assets.checks import all_checks
from assets.closes import closes_asset
from assets.ingested import bucket_asset, reference_asset, source_asset, unknown_places_asset
from assets.marts import LOGINS_KEY, books_assets, logins_asset, marts_assets
from assets.metabase import metabase_asset
from assets.warehouse import Warehouse
from sensors.due_months import due_months_schedule
from sensors.housekeeping import housekeeping_schedule
from sensors.landing import landing_sensor
from sensors.notices import notices_sensor
from sensors.reported import reported_sensor
from shs_pipeline.base.printable import log_plainly
from shs_pipeline.marts.dbt_build import prepare_manifest
from shs_pipeline.reference.registry import all_tables
from shs_pipeline.settings.settings import load_settings
from shs_pipeline.sources.registry import all_incoming


def build_defs(**overrides: Any) -> dg.Definitions:
    """Return the definitions; `overrides` replace arguments of `Definitions`, for tests."""
    warnings.filterwarnings("ignore", category=dg.BetaWarning)  # backfill_policy; pinned by the lock file
    log_plainly()
    settings = load_settings()
    project = prepare_manifest()
    models = marts_assets(project)
    # Without a Metabase there is nothing to set up.
    metabase = [metabase_asset()] if settings.metabase_url else []
    behind = [*models.keys, LOGINS_KEY, *(asset.key for asset in metabase)]
    parts: dict[str, Any] = {
        "assets": [
            *(source_asset(source) for source in all_incoming()),
            *(reference_asset(table) for table in all_tables()),
            unknown_places_asset(),
            bucket_asset(),
            *books_assets(project),
            models,
            logins_asset(),
            closes_asset(),
            *metabase,
        ],
        "asset_checks": all_checks(),
        "sensors": [
            landing_sensor(settings.sensor_seconds, settings.due_day, behind),
            notices_sensor(),
            reported_sensor(settings.sensor_seconds, settings.due_day, models),
        ],
        "schedules": [due_months_schedule(), housekeeping_schedule()],
        "resources": {"warehouse": Warehouse()},
        # A step of its own process costs 2.6 s, thirteen times what it costs in the run's.
        "executor": dg.in_process_executor,
    }
    return dg.Definitions(**(parts | overrides))


@dg.definitions
def defs() -> dg.Definitions:
    """Return the definitions when Dagster asks for them, not when this module is imported."""
    return build_defs()
