"""A statement as a file, for whoever may see it: the database says whose statements these are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from psycopg import sql
from psycopg.rows import dict_row

from shs_pipeline.base.errors import ShsError
from shs_pipeline.base.months import month_text
from shs_pipeline.closing.handing_out import folder_of
from shs_pipeline.closing.reading import NO_PLACES, open_statements
from shs_pipeline.closing.statement import Statement
from shs_pipeline.dashboards.model import Value
from shs_pipeline.landing.zone import Landing
from shs_pipeline.preview.viewer import Viewer

MEDIA_TYPES: Mapping[str, str] = {
    "pdf": "application/pdf",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
"""What a statement is offered as, by the ending of its file."""


@dataclass(frozen=True)
class StatementFile:
    """A statement's file and its name."""

    name: str
    content: bytes


def statement_file(
    viewer: Viewer, landing: Landing, values: Mapping[str, Value | None], ending: str
) -> StatementFile:
    """Return the statement that the filters choose: a closed one as it was handed out, to the byte.

    Args:
        values: of the filters `month` (the latest by default) and, for admins, `rep`.
        ending: one of `MEDIA_TYPES`.

    Raises:
        ShsError: there is no such statement for this person, or several; or its file is not there.
    """
    with viewer.reading() as connection:
        conditions: list[sql.Composable] = (
            [sql.SQL("rep_name = {}").format(values["rep"])] if values.get("rep") else []
        )
        if values.get("month"):
            conditions.append(sql.SQL("pay_period = to_date({}, 'YYYY-MM')").format(values["month"]))
        query = sql.SQL(
            "select payee_id, rep_name, pay_period, state, number from marts.statements where {} "
            "order by pay_period desc limit 2"
        ).format(sql.SQL(" and ").join(conditions or [sql.SQL("true")]))
        with connection.cursor(row_factory=dict_row) as cursor:
            found = cursor.execute(query).fetchall()
        head = _only(found)
        if head["state"] == "closed":
            content = _handed_out(landing, head, ending)
        else:
            # Where adjustments stand is for admins, and on no statement that is handed out.
            own = open_statements(connection, head["pay_period"], {"statement_amounts": NO_PLACES})
            (statement,) = (one for one in own if one.payee_id == head["payee_id"])
            content = _made(statement, ending)
    number = head["number"] or f"{month_text(head['pay_period'])}-{head['payee_id']}-provisional"
    return StatementFile(f"statement-{number}.{ending}", content)


def _only(found: list[dict[str, Any]]) -> dict[str, Any]:
    if not found:
        raise ShsError("There is no such statement for you.", "Choose a pay period from the list.")
    if len(found) > 1 and found[1]["pay_period"] == found[0]["pay_period"]:
        raise ShsError("There are several statements for this month.", "Choose a rep at the top of the page.")
    return found[0]


def _handed_out(landing: Landing, head: Mapping[str, Any], ending: str) -> bytes:
    month: date = head["pay_period"]
    number_in_month = int(head["number"].rpartition("-")[2])
    path = f"{folder_of(month, number_in_month, 'closed')}/statements/{head['payee_id']}.{ending}"
    content = landing.read(path)
    if content is None:
        raise ShsError(
            f"{path} is not in the landing zone.",
            "If the month has just been closed, try again in a moment; shs verify says what is missing.",
        )
    return content


def _made(statement: Statement, ending: str) -> bytes:
    if ending == "pdf":
        from shs_pipeline.closing.statement_pdf import statement_pdf

        return statement_pdf(statement)
    from shs_pipeline.closing.statement_workbook import statement_workbook

    return statement_workbook(statement)
