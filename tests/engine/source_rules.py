"""What the second implementation knows of one source; `tests/engine/sources/<source>.py` says it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from functools import cache
from importlib import import_module
from typing import Any

from shs_pipeline.landing.names import SOURCE_NAMES

NUMBER_OF = {"North Clinic": "10482", "Elm Hospital": "20917", "Lost Clinic": "30001"}
ZIP_OF = {"North Clinic": "75201", "Elm Hospital": "02114", "Lost Clinic": "80302"}
CUSTOMERS = tuple(NUMBER_OF)
NUMBERS = tuple(NUMBER_OF.values())

Cells = Mapping[str, Any]
"""A line's own columns by database name."""


@dataclass(frozen=True)
class Sale:
    """What a made-up line is to say, in dollars; `on` is its revenue date."""

    sales: Decimal
    rev: Decimal
    on: date
    customer: str
    rep: str | None
    number: int

    @property
    def customer_number(self) -> str:
        """The customer's number, which does not depend on the case of the name."""
        return NUMBER_OF[self._known]

    @property
    def zip_code(self) -> str:
        """The customer's zip code."""
        return ZIP_OF[self._known]

    @property
    def _known(self) -> str:
        return next(name for name in NUMBER_OF if name.casefold() == self.customer.casefold())


@dataclass(frozen=True, kw_only=True)
class SourceRules:
    """How a line of a source is read and credited, and how one is made up.

    Attributes:
        product_line: of all lines; None where each line names a service.
        sales: column of the dollars sold.
        rev: column of what the company earns, or how it follows from the line.
        customer: columns of the customer; the next one stands in where one is blank.
        invoice_number, item, quantity: columns, None where the file has none.
        rep_column: column that names the rep; None where territories say who it is.
        is_by_day: whether territories change on the line's own revenue date, not with its month.
        territory_keys: (customer field, value) in the order in which they are looked up.
        owned: values of each customer field that made-up territories have.
        sale_key: columns that name a sale, whatever it comes to.
        line: the columns that the source requires and those that the rules read.
        negated: columns whose sign a return changes; by default the two amounts.
    """

    product_line: str | None
    sales: str
    rev: str | Callable[[Cells], Decimal]
    customer: Sequence[str]
    invoice_number: str | None = None
    item: str | None = None
    quantity: str | None = None
    rep_column: str | None = None
    is_by_day: bool = False
    territory_keys: Callable[[Cells], Sequence[tuple[str, str | None]]] = lambda cell: ()
    owned: Mapping[str, Sequence[str]] = field(default_factory=dict)
    sale_key: Sequence[str]
    line: Callable[[Sale], dict[str, Any]]
    negated: Sequence[str] = ()

    @property
    def changes_sign(self) -> Sequence[str]:
        """The columns whose sign a return changes."""
        return self.negated or [name for name in (self.sales, self.rev) if isinstance(name, str)]


@cache
def rules_of(source: str) -> SourceRules:
    """Return what the rules say of a source."""
    rules: SourceRules = import_module(f"tests.engine.sources.{source}").RULES
    return rules


def all_rules() -> dict[str, SourceRules]:
    """Return the rules of every source."""
    return {name: rules_of(name) for name in SOURCE_NAMES}
