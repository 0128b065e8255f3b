"""The made-up company: who sells what to whom. All people and hospitals are invented."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal


@dataclass(frozen=True)
class Rep:
    """Somebody of the company who sells, or looks after the data."""

    name: str
    category: str
    permission: str = "user"
    active: str = "Yes"

    @property
    def email(self) -> str:
        """A made-up address."""
        return f"{self.name.lower().replace(' ', '.')}@example.com"


@dataclass(frozen=True)
class Customer:
    """A hospital or clinic; `number` is its place in `CUSTOMERS`."""

    number: int
    name: str
    parent: str
    street: str
    city: str
    state: str
    zip: str


@dataclass(frozen=True)
class Territory:
    """Who owns a customer of a source, from (inclusive) and until (exclusive) when."""

    source: str
    field: str
    value: str
    rep: str
    valid_from: date
    valid_until: date | None


ADMINS = (Rep("Harriet Lindqvist", "Office", "admin"), Rep("Owen Brandvold", "Office", "admin"))
WITHOUT_RATE = "Theo Marsh"
INACTIVE = "Gwen Talbot"
UNLISTED = "Pat Unlisted"  # stands in files, but in no row of sales_reps
SELLERS = (
    Rep("Dana Whitfield", "Field"),
    Rep("Marcus Oyelaran", "Field"),
    Rep("Priya Venkatesan", "Field"),
    Rep("Lena Hofstra", "Field"),
    Rep(WITHOUT_RATE, "Inside"),
    Rep(INACTIVE, "Field", active="No"),
    Rep("Caleb Ostrander", "Field"),
    Rep("Rosalind Achterberg", "Inside"),
    Rep("Mateo Quiroga", "Field"),
    Rep("Ingrid Solvang", "Field"),
    Rep("Jonah Feldspar", "Inside"),
    Rep("Wren Calloway", "Field"),
)

_STEMS = [
    "Juniper Ridge",
    "Halvorsen",
    "Copper Basin",
    "St. Odile",
    "Marlowe",
    "Tidewater Bend",
    "Foxglove",
    "Granite Falls",
    "Ashcombe",
    "Larkspur Valley",
    "Holloway",
    "Saltmarsh",
    "Bellwether",
    "Kestrel Point",
    "Northgate Prairie",
    "Wickham",
    "Silver Birch",
    "Ferncliff",
    "Quarry Hill",
    "O'Dell & Hart",
    "Millbrook Glen",
    "Sagewater",
    "Thornbury",
    "Harrow Creek",
    "Pinecrest Summit",
    "Dunmore",
    "Crestwind",
    "Amberly",
    "Rookwood",
    "Stillwater Bay",
]
_TYPES = ("Medical Center", "Regional Hospital", "Surgery Center", "Clinic", "Memorial Hospital", "Health")
_PLACES = [
    "Dallas TX 75201",
    "Plano TX 75024",
    "Austin TX 78701",
    "Houston TX 77002",
    "Tulsa OK 74103",
    "Norman OK 73069",
    "Boston MA 02114",
    "Worcester MA 01608",
    "Lowell MA 01852",
    "Newark NJ 07102",
    "Trenton NJ 08608",
    "Camden NJ 08103",
    "Hartford CT 06103",
    "New Haven CT 06510",
    "Providence RI 02903",
    "Denver CO 80202",
    "Boulder CO 80302",
    "Phoenix AZ 85004",
    "Mesa AZ 85201",
    "Reno NV 89501",
    "Boise ID 83702",
    "Omaha NE 68102",
    "Wichita KS 67202",
    "Little Rock AR 72201",
    "Shreveport LA 71101",
    "Jackson MS 39201",
    "Mobile AL 36602",
    "Macon GA 31201",
    "Dayton OH 45402",
    "Toledo OH 43604",
]
_STREETS = ("Meridian Ave", "Orchard Rd", "W 4th St", "Canal Street", "Hospital Dr", "Larch Blvd")


def _customers() -> Iterator[Customer]:
    for number in range(60):
        city, state, zip_code = _PLACES[number % 30].rsplit(" ", 2)
        stem = _STEMS[number % 30]
        name = f"{stem} {_TYPES[(number + number // 30) % 6]}"
        if number % 30 == 20:  # too long for its column in a printed statement
            name += " and Ambulatory Surgery Pavilion"
        street = f"{100 + number * 37} {_STREETS[number % 6]}"
        yield Customer(
            number, name, f"{stem} Health System", street, city, state, zip_code[:-1] + str(number % 9)
        )


CUSTOMERS = tuple(_customers())

SERVICE_TO_PRODUCT = {
    "Capital Equipment Sales": "Capital Equipment",
    "Instrument Repair": "Service & Repair",
    "Scope Repair": "Service & Repair",
    "OR Consulting": "Consulting",
    "Tray Optimization": "Consulting",
    "Surgical Disposables": "Disposables",
    "Direct Instruments": "Surgical Instruments",
}

PRODUCT_LINES = {
    "cygnus": "Cygnus",
    "logiquip": "Logiquip",
    "summit_medical": "Summit Medical",
    "inspektor": "InspeKtor",
    "sunoptic": "Sunoptic",
    "ternio": "Miscellaneous",
    "novo": "Surgical Instruments",
    "chemence": "Chemence",
}
"""Product line by source; quickbooks has one per service line."""

SOURCES = (
    "cygnus",
    "logiquip",
    "summit_medical",
    "quickbooks",
    "inspektor",
    "sunoptic",
    "ternio",
    "novo",
    "chemence",
)

REP_IN_FILE = ("quickbooks", "inspektor")

TYPICAL_SALE = {
    "cygnus": Decimal(1090),
    "logiquip": Decimal(1970),
    "summit_medical": Decimal(870),
    "quickbooks": Decimal(880),
    "inspektor": Decimal(1640),
    "sunoptic": Decimal(1130),
    "ternio": Decimal(1960),
    "novo": Decimal(930),
    "chemence": Decimal(420),
}
"""What a line sells for on average, in dollars: thresholds and objectives follow from it."""

_CUSTOMERS_PER_SOURCE = 26
_FIELDS = {
    "cygnus": "Name",
    "logiquip": "SteppingStone",
    "sunoptic": "Customer ID",
    "ternio": "Client Name",
    "novo": "Customer Number",
    "chemence": "Account Number",
}
_START = date(2020, 1, 1)
_HAND_OVER = {"logiquip": (5, 15), "ternio": (5, 15)}  # the others: July 1


def customers_of(source: str) -> tuple[Customer, ...]:
    """The customers of a source; the last one is nobody's territory."""
    first = SOURCES.index(source) * 7
    return tuple(CUSTOMERS[(first + place) % 60] for place in range(_CUSTOMERS_PER_SOURCE))


def account(source: str, customer: Customer) -> str:
    """The identifier under which a source knows a customer; some are digits, some begin with 0."""
    number = customer.number
    if source == "novo":
        return f"{number * 13 + 210:07d}"
    if source == "chemence":
        return str(70000 + number * 17)
    return f"C-{1000 + number * 7}" if number % 3 else str(10400 + number * 41)


def spelt(name: str, rng: random.Random) -> str:
    """A name as somebody typed it: now and then in capitals or in lower case."""
    luck = rng.random()
    if luck < 0.03:
        return name.upper()
    return name.lower() if luck < 0.05 else name


def sellers_in_files(rng: random.Random) -> str:
    """The rep that a file names: rarely one that nobody knows."""
    return UNLISTED if rng.random() < 0.02 else rng.choice(SELLERS).name


def territories(until: date) -> list[Territory]:
    """All territory rows: no two overlap, and the last customer of each source has none.

    Args:
        until: last month of the samples; handovers happen every year up to it.
    """
    rows: list[Territory] = []
    for source in SOURCES:
        if source in REP_IN_FILE:
            continue
        owned = customers_of(source)[:-1]
        for place, (field, value) in enumerate(_territory_keys(source, owned)):
            rows += _periods(source, field, value, place, until)
    return rows


def _territory_keys(source: str, owned: tuple[Customer, ...]) -> list[tuple[str, str]]:
    if source == "summit_medical":
        return _summit_keys(owned)
    field = _FIELDS[source]
    values = {
        "Name": lambda customer: customer.name,
        "Client Name": lambda customer: customer.name,
        "SteppingStone": lambda customer: f"{customer.zip}; {customer.name}",
    }
    value = values.get(field, lambda customer: account(source, customer))
    return [(field, value(customer)) for customer in owned]


def _summit_keys(owned: tuple[Customer, ...]) -> list[tuple[str, str]]:
    """Most by name, some by zip, the rest by state: but never the state of the customer without an owner."""
    nobody = customers_of("summit_medical")[-1]
    states = sorted({customer.state for customer in owned[20:]} - {nobody.state})
    by_name = [("Client Name", customer.name) for customer in owned[:14]]
    by_zip = [("ZIP Code", customer.zip) for customer in owned[14:20]]
    return by_name + by_zip + [("State", state) for state in states]


def _periods(source: str, field: str, value: str, place: int, until: date) -> Iterator[Territory]:
    """One row, or for every seventh customer one per owner: two reps take turns, year by year."""
    names = [rep.name for rep in SELLERS]
    first = names[(place + SOURCES.index(source)) % len(names)]
    second = names[(place + SOURCES.index(source) + 3) % len(names)]
    if place % 7:
        yield Territory(source, field, value, first, _START, None)
        return
    month, day = _HAND_OVER.get(source, (7, 1))
    starts = [_START, *(date(year, month, day) for year in range(2021, until.year + 1))]
    for turn, start in enumerate(starts):
        end = starts[turn + 1] if turn + 1 < len(starts) else None
        yield Territory(source, field, value, (first, second)[turn % 2], start, end)
