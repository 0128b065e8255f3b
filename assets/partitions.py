"""The commission months as Dagster partitions."""

import dagster as dg

from shs_pipeline.base.months import FIRST_MONTH, MONTHS_AHEAD, month_text

COMMISSION_MONTHS = dg.MonthlyPartitionsDefinition(
    start_date=month_text(FIRST_MONTH), fmt="%Y-%m", end_offset=MONTHS_AHEAD + 1
)
