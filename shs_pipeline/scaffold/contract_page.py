"""The page of a source or reference table in `docs/sources`, written from its declaration."""

from __future__ import annotations

import sys

from shs_pipeline.casting.kinds import Kind
from shs_pipeline.files.contract import Column, columns_of
from shs_pipeline.files.source import Declaration, MonthlyFiles, ReferenceTable, Source

_FORMS: dict[Kind, str] = {
    "text": "text",
    "identifier": "identifier; keeps leading zeros, and `10482.0` is read as `10482`",
    "zip": "zip code; the number `2138` is read as `02138`",
    "amount": "dollars; `$1,234.50`, `(123.45)`, `-123.45`, `USD 5.00`, `5.00 CR` or a number",
    "quantity": "number",
    "rate": "percentage; `7%`, `7,0%`, `0.07` and `7` all mean 7 %",
    "share": "share; `50%`, `0.5` and `50` all mean 50 %, and `1` means 100 %",
    "whole": "whole number",
    "day": "date; a date cell, `03/31/2025`, `31-Mar-25`, `2025-03-31`",
    "flag": "`Yes` or `No`",
}


def page_of(declaration: Declaration) -> str:
    """Return the page as Markdown."""
    about = (sys.modules[declaration.rows.__module__].__doc__ or "").strip()
    title, _, rest = about.partition("\n")
    table = [
        "| column | required | format | meaning | in the database |",
        "| --- | --- | --- | --- | --- |",
        *(_row(column) for column in columns_of(declaration.rows)),
    ]
    summary = (declaration.rows.__doc__ or "").strip().splitlines()[0]
    schema = "raw" if isinstance(declaration, MonthlyFiles) else "reference"
    parts = [
        f"# {title.rstrip('.')}",
        rest.strip(),
        "## Where to drop it",
        _place(declaration),
        "## Columns",
        _columns_note(summary, f"{schema}.{declaration.name}"),
        "\n".join(table),
        _sale_key(declaration) if isinstance(declaration, Source) else "",
    ]
    note = "<!-- Written by `make docs` from the declaration; change that instead. -->"
    return "\n\n".join([note, *(part for part in parts if part)]) + "\n"


def _columns_note(summary: str, table: str) -> str:
    return (
        f"{summary} The header is found by its column names within the first 20 rows; columns may be in any "
        f"order, and extra ones are ignored. The lines go to `{table}`. What is accepted in a cell, and what "
        "is refused, is [the same for all files](../admin-guide.md#what-is-read-and-what-is-refused)."
    )


def _sale_key(source: Source) -> str:
    headers = {column.name: column.header for column in columns_of(source.rows)}
    names = ", ".join(headers[name] for name in source.sale_key)
    return f"Lines with the same {names} name [the same sale](../rules.md#the-same-sale-in-two-files)."


def _row(column: Column) -> str:
    filled = "yes" if column.is_required else "no"
    name = column.header if column.is_in_header else f"{column.header} (may be missing from the header)"
    cells = (name, filled, _FORMS[column.kind], column.description, f"`{column.name}` {column.sql_type}")
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _place(declaration: Declaration) -> str:
    if isinstance(declaration, ReferenceTable):
        return f"`reference/{declaration.name}.xlsx`. A new version replaces the whole table."
    kinds = " or ".join(f"`{extension}`" for extension in declaration.readers)
    text = f"`incoming/{declaration.name}/<YYYY-MM>/`, where YYYY-MM is the commission month; a {kinds} file."
    if isinstance(declaration, Source):
        for extension, must in declaration.revenue_month_given.items():
            verb = "must" if must else "may"
            text += (
                f" The path of an `{extension}` file {verb} also name the revenue month: "
                f"`incoming/{declaration.name}/<YYYY-MM>/rev=<YYYY-MM>/`."
            )
    return text
