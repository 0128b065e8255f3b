"""Metabase after the marts: people, permissions and dashboards follow what was published."""

import dagster as dg

from assets.catalogue import OWNERS
from assets.marts import LOGINS_KEY
from assets.warehouse import Warehouse, said_in_a_sentence

METABASE_KEY = dg.AssetKey(["metabase", "dashboards"])


def metabase_asset() -> dg.AssetsDefinition:
    """Return the asset that brings Metabase to what the warehouse and the definitions say."""

    @dg.asset(
        key=METABASE_KEY,
        group_name="metabase",
        deps=[LOGINS_KEY],
        kinds={"metabase"},
        owners=OWNERS,
        description="Connections, people, permissions and dashboards of the Metabase at SHS_METABASE_URL.",
    )
    def apply(context: dg.AssetExecutionContext, warehouse: Warehouse) -> dg.MaterializeResult:
        with said_in_a_sentence():
            changes = warehouse.apply_metabase(context.log.info)
        return dg.MaterializeResult(metadata={"changes": dg.MetadataValue.int(changes)})

    return apply
