"""Which column is the customer, the amount, the commission, the date: by what adds up, or by its heading."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from itertools import permutations
from typing import Any

import pandas as pd

from shs_pipeline.casting.cells import is_blank
from shs_pipeline.casting.columns import cast_cells
from shs_pipeline.casting.kinds import Kind
from shs_pipeline.file_reader.layout.model import GuessedRole, Role
from shs_pipeline.file_reader.layout.words import score

_TEXTS: tuple[Kind, ...] = ("text", "identifier")
_HALF_CENT_EACH = Decimal("0.011")
_PROVEN = 0.9

_PLACES = (
    "address street city state zip type class category family group po order contract region phone email"
)
_NO_CUSTOMER = dict.fromkeys(
    [*_PLACES.split(), "rep", "salesperson", "item", "invoice", "date", "agency"], -9
)
_POINTS: dict[Role, tuple[tuple[Kind, ...], Mapping[str, int]]] = {
    "customer": (
        _TEXTS,
        {"customer": 5, "cust": 5, "account": 4, "acct": 4, "client": 5, "hospital": 5, "facility": 5,
         "clinic": 4, "number": 1, "id": 1, "#": 1, "no": 1, "code": 1, "bill": 2, "sold": 2, "ship": 1,
         "name": 1, **_NO_CUSTOMER},
    ),
    "customer_name": (
        ("text",),
        {"customer": 5, "cust": 5, "account": 4, "client": 5, "hospital": 5, "facility": 5, "name": 3,
         "bill": 2, "sold": 2, "ship": 1, **_NO_CUSTOMER},
    ),
    "invoice": (
        _TEXTS,
        {"invoice": 5, "inv": 5, "document": 4, "doc": 4, "transaction": 3, "order": 2, "number": 1, "num": 1,
         "#": 1, "id": 1, "no": 1, "customer": -9, "account": -9, "item": -9, "name": -5, "type": -9,
         "date": -9, "po": -9, "rep": -9, "sku": -9, "part": -9},
    ),
    "item": (
        _TEXTS,
        {"item": 4, "sku": 5, "part": 4, "product": 3, "material": 3, "catalog": 4, "cat": 3, "code": 1,
         "number": 1, "id": 1, "#": 1, "no": 1, "description": -1, "class": -2, "family": -3, "line": -3,
         "alias": -3, "customer": -9, "invoice": -9, "inv": -9, "document": -9, "account": -9, "rep": -9},
    ),
    "quantity": (("quantity",), {"qty": 3, "quantity": 3, "units": 3, "pieces": 3, "shipped": 2, "ship": 2,
                                 "sold": 2, "back": -3, "backordered": -3, "days": -9, "past": -3}),
    "date": (
        ("day",),
        {"paid": 5, "pd": 5, "closed": 5, "payment": 5, "invoice": 4, "inv": 4, "posted": 3, "posting": 3,
         "ship": 2, "shipped": 2, "date": 1, "transaction": 2, "order": -1, "due": -4, "statement": -1},
    ),
    "rate": (("rate",), {"comm": 5, "commission": 5, "rep": 3, "rate": 2, "%": 2, "percent": 2,
                         "percentage": 2, "tax": -9, "discount": -9}),
    "rep": (_TEXTS, {"rep": 4, "salesperson": 4, "salesman": 4, "seller": 4, "number": -2, "id": -2}),
}  # fmt: skip
_SALES = {
    "sales": 4, "net": 2, "extension": 4, "extended": 4, "ext": 4, "total": 2, "amount": 2, "amt": 2,
    "revenue": 4, "paid": 1, "invoice": 1, "line": 1, "value": 2, "price": -3, "unit": -5, "each": -5,
    "cost": -5, "tax": -6, "freight": -6, "list": -3, "discount": -5, "comm": -6, "commission": -6,
    "earned": -6, "rep": -4, "due": -2, "payout": -6, "balance": -4,
}  # fmt: skip
_EARNED = {
    "comm": 5, "commission": 5, "earned": 4, "payout": 4, "due": 3, "rep": 2, "incentive": 4, "amount": 1,
    "amt": 1, "$": 1, "unit": -5, "price": -5, "base": -5, "basis": -5, "tax": -6, "freight": -6,
}  # fmt: skip
_SURE_POINTS, _SURE_LEAD = 4, 2


def guess_roles(lines: pd.DataFrame, kinds: Mapping[str, Kind]) -> dict[str, GuessedRole]:
    """Return the column of each role that one could be found for.

    Args:
        lines: (n, k) cells of the lines, by heading.
        kinds: of each column.
    """
    roles: dict[str, GuessedRole] = {}
    full = {header: sum(not is_blank(cell) for cell in lines[header]) for header in kinds}
    for role, (possible, points) in _POINTS.items():
        # What lines often lack is less likely what identifies them; an empty column is nothing.
        scores = {
            header: score(header, points) - (2 if full[header] < _PROVEN * max(full.values()) else 0)
            for header, kind in kinds.items()
            if kind in possible and full[header]
        }
        if role in ("customer", "date") or max(scores.values(), default=0) > 0:
            _take_best(roles, role, scores)
    return {**roles, **_money(lines, kinds)}


def _take_best(roles: dict[str, GuessedRole], role: Role, scores: Mapping[str, int]) -> None:
    if not scores:
        return
    best, *others = sorted(scores.items(), key=lambda item: -item[1])
    lead = best[1] - (others[0][1] if others else 0)
    # By which of several dates revenue counts is agreed with the supplier: no heading says it.
    is_clear = best[1] >= _SURE_POINTS and lead >= _SURE_LEAD and role != "date"
    is_sure = not others or is_clear
    rivals = [
        header
        for header, points in others
        if points > 0 and (role == "date" or best[1] - points < _SURE_LEAD)
    ]
    because = "the only column of its kind" if not others else "by its heading"
    roles[role] = GuessedRole(best[0], is_sure, f"{because}; or {' or '.join(rivals)}" if rivals else because)


def _money(lines: pd.DataFrame, kinds: Mapping[str, Kind]) -> dict[str, GuessedRole]:
    """Return the dollars sold and earned: sold times the rate is earned, or else by the headings."""
    amounts = [header for header, kind in kinds.items() if kind == "amount"]
    values = {
        header: cast_cells(lines[header].tolist(), "amount" if kind == "amount" else "rate")[0]
        for header, kind in kinds.items()
        if kind in ("amount", "rate")
    }
    rates = [header for header, kind in kinds.items() if kind == "rate"]
    proven = [
        (score(sold, _SALES) + score(earned, _EARNED), sold, earned, rate)
        for rate in rates
        for sold, earned in permutations(amounts, 2)
        if _multiplies(values[sold], values[rate], values[earned])
    ]
    if proven:
        _, sold, earned, rate = max(proven)
        because = f"{sold} times {rate} is {earned} in the lines"
        rivals = len({(one[1], one[2]) for one in proven}) > 1
        found = {"sales": sold, "earned": earned, "rate": rate}
        return {role: GuessedRole(header, not rivals, because) for role, header in found.items()}
    return _by_heading(amounts, values)


def _by_heading(amounts: Sequence[str], values: Mapping[str, Sequence[Any]]) -> dict[str, GuessedRole]:
    if not amounts:
        return {}
    sold = max(amounts, key=lambda header: score(header, _SALES))
    rest = [header for header in amounts if header != sold]
    if not rest:
        said = "the only dollar column: what the company earns is not in the file"
        return {role: GuessedRole(sold, False, said) for role in ("sales", "earned")}
    earned = max(rest, key=lambda header: score(header, _EARNED))
    is_sure = score(earned, _EARNED) >= _SURE_POINTS and score(sold, _SALES) >= _SURE_POINTS
    is_smaller = _is_mostly_smaller(values[earned], values[sold])
    because = "by their headings" + ("" if is_smaller else ", although it often exceeds what was sold")
    return {role: GuessedRole(header, is_sure and is_smaller, because) for role, header in
            (("sales", sold), ("earned", earned))}  # fmt: skip


def _multiplies(sold: Sequence[Any], rate: Sequence[Any], earned: Sequence[Any]) -> bool:
    """Whether sold times rate is earned, to the cent, wherever all three are there."""
    rows = [row for row in zip(sold, rate, earned, strict=True) if None not in row and row[1]]
    close = sum(abs(one * factor - other) <= _HALF_CENT_EACH for one, factor, other in rows)
    return bool(rows) and close >= _PROVEN * len(rows)


def _is_mostly_smaller(earned: Collection[Any], sold: Collection[Any]) -> bool:
    rows = [row for row in zip(earned, sold, strict=True) if None not in row]
    return sum(abs(one) <= abs(other) for one, other in rows) >= _PROVEN * len(rows)
