"""The resource behind every asset: where to read from and to load into."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

import dagster as dg

from shs_pipeline.base.errors import ShsError
from shs_pipeline.closing.handing_out import HandedOut, hand_out_from_settings
from shs_pipeline.closing.recovery import ReadBack, read_back_from_settings
from shs_pipeline.database.faults import explained
from shs_pipeline.ingest.ingestion import Ingestion
from shs_pipeline.marts.build import BuildReport, marts_from_settings
from shs_pipeline.notices.sending import Told, tell
from shs_pipeline.notices.texts import FailedRun
from shs_pipeline.people.access import logins_from_settings
from shs_pipeline.people.changes import LoginChange
from shs_pipeline.settings.settings import Settings, load_settings
from shs_pipeline.system.start_here.writing import bucket_told


class Warehouse(dg.ConfigurableResource):
    """The landing zone and the warehouse that the `SHS_*` settings name, read when a run needs them."""

    def settings(self) -> Settings:
        """Return the settings of this installation."""
        return load_settings()

    def looking(self) -> Ingestion:
        """Return what a sensor works with: it reads, and does not wait for a database that is away."""
        settings = self.settings().model_copy(update={"database_wait_seconds": 0})
        return Ingestion.from_settings(settings, "sensor")

    def ingestion(self, run_id: str) -> Ingestion:
        """Return what a run works with, with the database started if it is the embedded one.

        Raises:
            ShsError: the settings or the database are not usable.
        """
        return Ingestion.from_settings(self.settings(), run_id)

    def read_back(self) -> ReadBack | None:
        """Read the ledger back from the landing zone where the database has none.

        Raises:
            ShsError: what lies there does not fit; or the database or the landing zone is not usable.
        """
        return read_back_from_settings(self.settings())

    def marts(self, run_id: str, accepted_by: str = "") -> BuildReport:
        """Bring the marts up to date.

        Args:
            accepted_by: who accepts the build that is held; empty: nobody.

        Raises:
            HeldBuildError: the build is held; nothing was published.
            BuildError: a model or test failed; nothing was published.
            ShsError: the settings or the database are not usable.
        """
        return marts_from_settings(self.settings(), run_id, accepted_by=accepted_by)

    def bucket_told(self) -> AbstractContextManager[None]:
        """Bring `START HERE.xlsx` and what else the system writes into the bucket up to date behind a run."""
        return bucket_told(self.settings())

    def hand_out(self) -> list[HandedOut]:
        """Write what was closed into the landing zone, where an earlier run has not.

        Raises:
            ShsError: the database or the landing zone is not usable.
        """
        return hand_out_from_settings(self.settings())

    def sync_logins(self) -> list[LoginChange]:
        """Let the login roles follow the people who were published.

        Raises:
            ShsError: the database or the store of secrets is not usable.
        """
        return logins_from_settings(self.settings())

    def apply_metabase(self, tell: Callable[[str], None]) -> int:
        """Bring Metabase to what the warehouse says; return how many things were changed.

        Raises:
            ShsError: Metabase or the warehouse refuses something; the next apply goes on from there.
        """
        from shs_pipeline.metabase.provisioning import Workplace, apply_all

        return len(apply_all(Workplace.from_settings(self.settings()), tell).done)

    def tell(self, runs: Sequence[FailedRun], seconds: float) -> Told:
        """Send notices of events that nobody has been notified of yet.

        Args:
            runs: runs that failed.
            seconds: begin no further mail after so long.

        Raises:
            ShsError: the settings or the database are not usable.
        """
        return tell(self.looking(), self.settings(), runs, seconds=seconds)


@contextmanager
def said_in_a_sentence() -> Iterator[None]:
    """Make a failed run say in one sentence what a person must do."""
    try:
        yield
    except ShsError as error:
        raise dg.Failure(description=str(error), allow_retries=False) from None
    except Exception as error:
        if known := explained(error):
            raise dg.Failure(description=str(known), allow_retries=False) from error
        first_line = (str(error).strip().splitlines() or [""])[0][:300]
        raise dg.Failure(
            description=f"This is a bug in shs ({type(error).__name__}: {first_line}). "
            "Nothing in this folder was changed. Report it with the address of this run.",
            allow_retries=False,
        ) from error
