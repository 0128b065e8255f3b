"""Sales reps: who exists, who may log in, and as what."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import pandera.pandas as pa

from shs_pipeline.casting.cells import match_key
from shs_pipeline.files import contract
from shs_pipeline.files.reading import BadCells, Problem
from shs_pipeline.files.source import ReferenceTable
from shs_pipeline.reference import columns
from shs_pipeline.reference.cross_checks import duplicates, problem_at, row_of, unless
from shs_pipeline.reference.sheet import one_of, rows_reader

PERMISSIONS = ("admin", "user")
PAID_AS = ("W-2", "1099", "none")
HOUSE = "House"
"""The category of an account that gets credit and no pay: nobody logs in as it."""


class SalesRepsRows(pa.DataFrameModel):
    """One row per person."""

    sales_rep_name: contract.Text = contract.text(
        "Sales Rep Name", "The person's name, as all reports show it."
    )
    rep_category: contract.Text = contract.text(
        "Rep Category",
        "Group of reps, for reports; House for an account that is credited but never paid.",
        blank=True,
    )
    email: contract.Text = contract.text(
        "Email",
        "Email address the person logs in with; required if active.",
        blank=True,
        str_matches=r"^[^@\s,;<>]+@[^@\s,;<>]+\.[^@\s,;<>.]+$",
        remedy="Type one email address, such as dana.whitfield@example.com.",
    )
    permission: contract.Text = contract.text(
        "Permission",
        "admin sees everything, user only their own sales.",
        isin=list(PERMISSIONS),
        remedy="Type admin or user.",
    )
    active: contract.Flag = contract.flag(
        "Active",
        "Yes while the person may log in; people who left keep the credit for their sales.",
        remedy="Type Yes or No.",
    )
    payee_id: contract.Text = contract.identifier(
        "Payee ID",
        "Permanent id that credits and payouts refer to; if blank, the person is recognised by address or "
        "name, or gets a new id.",
        blank=True,
        in_header=False,
        longest=40,
        str_matches=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
        remedy="Type letters, digits, dots and hyphens only, or leave the cell blank.",
    )
    payroll_code: contract.Text = contract.identifier(
        "Payroll Code", "The person's number in payroll.", blank=True, in_header=False
    )
    paid_as: contract.Text = contract.identifier(
        "Paid As",
        "W-2, 1099 or none.",
        blank=True,
        in_header=False,
        isin=list(PAID_AS),
        remedy="Type W-2, 1099 or none, or leave the cell blank.",
    )
    left_on: contract.Day = contract.day(
        "Left On",
        "Day on which the person left the company; blank while they work there.",
        blank=True,
        in_header=False,
    )
    pays_after_leaving: contract.Flag = contract.flag(
        "Pays After Leaving",
        "No: lines dated after Left On are credited but pay 0. Blank means Yes.",
        blank=True,
        in_header=False,
        remedy="Type Yes or No, or leave the cell blank.",
    )
    note: contract.Text = columns.note()


def check_sales_reps(lines: pd.DataFrame, bad: BadCells) -> Sequence[Problem]:
    """Return duplicate names and ids, and what keeps an active person from logging in."""
    names = [name or "This person" for name in lines["sales_rep_name"]]
    return [*_doubled_names(lines, bad, names), *_doubled_ids(lines, bad, names), *_logins(lines, bad, names)]


def _doubled_names(lines: pd.DataFrame, bad: BadCells, names: Sequence[str]) -> list[Problem]:
    keys = unless(bad.among(lines, "Sales Rep Name"), list(map(match_key, names)))
    return [
        problem_at(
            lines,
            again,
            "Sales Rep Name",
            problem=f"The sales rep {names[again]} is already in row {row_of(lines, first)}.",
            remedy="Delete one of the two rows, or add a middle initial if these are two people.",
            value=names[again],
        )
        for first, again in duplicates(keys)
    ]


def _doubled_ids(lines: pd.DataFrame, bad: BadCells, names: Sequence[str]) -> list[Problem]:
    ids = lines["payee_id"].tolist()
    keys = unless(bad.among(lines, "Payee ID"), [match_key(payee) if payee else None for payee in ids])
    return [
        problem_at(
            lines,
            again,
            "Payee ID",
            problem=f"{names[again]} has the same Payee ID as {names[first]} in row {row_of(lines, first)}.",
            remedy="An id belongs to one person for ever: correct one of the two, or leave the newer "
            "person's cell blank to get a new id.",
            value=ids[again],
        )
        for first, again in duplicates(keys)
    ]


def _logins(lines: pd.DataFrame, bad: BadCells, names: Sequence[str]) -> list[Problem]:
    people = [
        (email, is_active and match_key(category or "") != match_key(HOUSE))
        for email, is_active, category in zip(
            lines["email"].tolist(),
            lines["active"].fillna(False).tolist(),
            lines["rep_category"].tolist(),
            strict=True,
        )
    ]
    keys = unless(
        bad.among(lines, "Email"),
        [match_key(email) if email and is_active else None for email, is_active in people],
    )
    doubled = [
        problem_at(
            lines,
            again,
            "Email",
            problem=f"{names[again]} has the same email address as {names[first]} in row "
            f"{row_of(lines, first)}, and both are active.",
            remedy="Give each active person their own address, or set Active to No for the one who left.",
            value=people[again][0],
        )
        for first, again in duplicates(keys)
    ]
    return doubled + [
        problem_at(
            lines,
            position,
            "Email",
            problem=f"{names[position]} is active but has no email address to log in with.",
            remedy="Type the email address, or set Active to No.",
        )
        for position, (email, is_active) in enumerate(people)
        if is_active and not email
    ]


TABLE = ReferenceTable(
    name="sales_reps",
    title="Sales reps",
    rows=SalesRepsRows,
    readers={
        ".xlsx": rows_reader(SalesRepsRows, {"Permission": one_of(PERMISSIONS), "Paid As": one_of(PAID_AS)})
    },
    check=check_sales_reps,
    choices={
        "permission": PERMISSIONS,
        "active": ("Yes", "No"),
        "paid_as": PAID_AS,
        "pays_after_leaving": ("Yes", "No"),
    },
)
