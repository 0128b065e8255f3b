"""The monthly close as an asset: a partition for each pay period, told by the ledger."""

import dagster as dg

from assets.catalogue import OWNERS
from assets.marts import PUBLICATIONS_KEY
from assets.metadata import Metadata
from assets.partitions import COMMISSION_MONTHS
from assets.warehouse import Warehouse, said_in_a_sentence
from shs_pipeline.base.errors import ShsError
from shs_pipeline.base.months import month_text
from shs_pipeline.base.wording import dollars
from shs_pipeline.closing.closes import Close, closes_since
from shs_pipeline.closing.handing_out import RECEIPT

CLOSES_KEY = dg.AssetKey(["ledger", "closes"])


def closes_asset() -> dg.AssetsDefinition:
    """Return the asset of what was closed.

    A month is closed by the build of the marts, as the workbook pay_periods says. A run of a partition hands
    out what an earlier run could not, and changes nothing else.
    """

    @dg.asset(
        key=CLOSES_KEY,
        group_name="ledger",
        kinds={"postgres"},
        owners=OWNERS,
        deps=[dg.AssetKey(["marts", "statements"]), PUBLICATIONS_KEY],
        partitions_def=COMMISSION_MONTHS,
        backfill_policy=dg.BackfillPolicy.single_run(),
        description="What was stated and paid. A partition is materialised when its month is closed or "
        "opened again, as the workbook pay_periods says.",
    )
    def hand_out(context: dg.AssetExecutionContext, warehouse: Warehouse) -> dg.MaterializeResult:
        with said_in_a_sentence():
            for one in warehouse.hand_out():
                context.log.info("Handed out: %s/", one.folder)
            closes = warehouse.ingestion(context.run_id).query(closes_since)
            last = {month_text(close.pay_period): close for close in closes}
            for month in context.partition_keys:
                if month not in last:
                    raise ShsError(
                        f"{month} was never closed, so it has nothing to hand out.",
                        "Close it with the workbook pay_periods or `shs close`.",
                    )
                context.add_asset_metadata(
                    dict(metadata_of_close(last[month])), asset_key=CLOSES_KEY, partition_key=month
                )
        return dg.MaterializeResult(asset_key=CLOSES_KEY)

    return hand_out


def metadata_of_close(close: Close) -> Metadata:
    """Return what Dagster shows of a close or reopening."""
    shown: dict[str, dg.MetadataValue] = {
        "close": dg.MetadataValue.int(close.close_no),
        "state": dg.MetadataValue.text("closed" if close.kind == "closed" else "opened again"),
        "payees": dg.MetadataValue.int(close.payees),
        "paid": dg.MetadataValue.text(dollars(close.paid)),
        "restated": dg.MetadataValue.text(dollars(close.restated)),
        "restated_payees": dg.MetadataValue.int(close.restated_payees),
        "carried_forward": dg.MetadataValue.text(dollars(close.carried_forward)),
    }
    if close.folder is not None:
        shown["receipt"] = dg.MetadataValue.text(f"{close.folder}/{RECEIPT}")
    named = {"approved_by": close.approved_by, "asked_by": close.actor, "pay_date": close.pay_date}
    shown |= {name: dg.MetadataValue.text(str(value)) for name, value in named.items() if value is not None}
    return shown
