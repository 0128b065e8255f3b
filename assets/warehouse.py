"""The resource behind every asset: where to read from and to load into."""

from dataclasses import replace

import dagster as dg

from shs_pipeline.database import prepare
from shs_pipeline.ingestion import Ingestion
from shs_pipeline.landing import Landing
from shs_pipeline.settings import Settings, load_settings


class Warehouse(dg.ConfigurableResource):
    """The landing zone and the warehouse that the `SHS_*` settings name, read when a run needs them."""

    def settings(self) -> Settings:
        """Return the settings of this installation."""
        return load_settings()

    def looking(self) -> Ingestion:
        """Return what a sensor works with: it reads, and does not wait for a database that is away."""
        return replace(self.ingestion("sensor"), wait_seconds=0)

    def ingestion(self, run_id: str) -> Ingestion:
        """Return what a run works with, with the database started if it is the embedded one.

        Raises:
            ShsError: the settings or the database are not usable.
        """
        settings = self.settings()
        return Ingestion(
            landing=Landing(settings.landing),
            database_url=prepare(settings).warehouse_url.get_secret_value(),
            max_bytes=settings.max_file_mb * 2**20,
            wait_seconds=settings.database_wait_seconds,
            run_id=run_id,
        )
