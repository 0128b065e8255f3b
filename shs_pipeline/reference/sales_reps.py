"""Sales reps: who exists, who may log in, and as what."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import pandera.pandas as pa

from shs_pipeline import contract
from shs_pipeline.casting import match_key
from shs_pipeline.reading import BadCells, Problem, Reading, SourceFile
from shs_pipeline.reference.cross_checks import duplicates, problem_at, row_of, unless
from shs_pipeline.reference.sheet import one_of, read_rows
from shs_pipeline.source import ReferenceTable

PERMISSIONS = ("admin", "user")


class SalesRepsRows(pa.DataFrameModel):
    """One row per person."""

    sales_rep_name: contract.Text = contract.text(
        "Sales Rep Name", "The person's name, as all reports show it."
    )
    rep_category: contract.Text = contract.text("Rep Category", "Group of reps, for reports.", blank=True)
    email: contract.Text = contract.text(
        "Email",
        "Address by which the person logs in; required of an active person.",
        blank=True,
        str_matches=r"^[^@\s,;<>]+@[^@\s,;<>]+\.[^@\s,;<>.]+$",
        remedy="Type one e-mail address, such as dana.whitfield@example.com.",
    )
    permission: contract.Text = contract.text(
        "Permission",
        "admin sees everything, user only their own sales.",
        isin=list(PERMISSIONS),
        remedy="Type admin or user.",
    )
    active: contract.Flag = contract.flag(
        "Active",
        "Yes while the person may log in; credit for sales stays with a person who left.",
        remedy="Type Yes or No.",
    )


def read_sales_reps(file: SourceFile) -> Reading:
    """Read the rows of one workbook.

    Raises:
        UnreadableFileError: no visible sheet holds the header.
    """
    return read_rows(file, SalesRepsRows, {"Permission": one_of(PERMISSIONS)})


def check_sales_reps(lines: pd.DataFrame, bad: BadCells) -> Sequence[Problem]:
    """Return the names that stand twice, and what keeps an active person from logging in."""
    names = [name or "This person" for name in lines["sales_rep_name"]]
    emails, active = lines["email"].tolist(), lines["active"].fillna(False).tolist()
    problems = [
        problem_at(
            lines,
            again,
            "Sales Rep Name",
            problem=f"The sales rep {names[again]} stands in row {row_of(lines, first)} already.",
            remedy="Delete one of the two rows, or tell two people of one name apart by a middle initial.",
            value=names[again],
        )
        for first, again in duplicates(
            unless(bad.among(lines, "Sales Rep Name"), list(map(match_key, names)))
        )
    ]
    people = list(zip(emails, active, strict=True))
    logins = unless(
        bad.among(lines, "Email"),
        [match_key(email) if email and is_active else None for email, is_active in people],
    )
    problems += [
        problem_at(
            lines,
            again,
            "Email",
            problem=f"{names[again]} has the same e-mail address as {names[first]} in row "
            f"{row_of(lines, first)}, and both are active.",
            remedy="Give each active person another address, or set Active to No for the one who left.",
            value=emails[again],
        )
        for first, again in duplicates(logins)
    ]
    problems += [
        problem_at(
            lines,
            position,
            "Email",
            problem=f"{names[position]} is active but has no e-mail address to log in with.",
            remedy="Type the e-mail address, or set Active to No.",
        )
        for position, (email, is_active) in enumerate(people)
        if is_active and not email
    ]
    return problems


TABLE = ReferenceTable(
    name="sales_reps",
    title="Sales reps",
    rows=SalesRepsRows,
    readers={".xlsx": read_sales_reps},
    check=check_sales_reps,
    choices={"permission": PERMISSIONS, "active": ("Yes", "No")},
)
