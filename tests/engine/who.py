"""Who is who: the person behind each name, through all versions of sales_reps and aliases.

Persons are numbered as they come; a number is never another person's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from tests.engine.model import Alias, Reference, SalesRep, match_key


@dataclass
class Person:
    """Somebody who is or was listed; `seen` are the numbers of the versions that list them."""

    number: int
    first_name: str
    typed_id: str | None
    last_name: str = ""
    seen: set[int] = field(default_factory=set)


@dataclass
class Who:
    """The persons after the last version."""

    people: list[Person] = field(default_factory=list)
    row_of: dict[int, SalesRep] = field(default_factory=dict)
    by_name: dict[str, Person] = field(default_factory=dict)
    by_email: dict[str, Person] = field(default_factory=dict)
    renames: Mapping[str, str] = field(default_factory=dict)

    def behind(self, name: str) -> Person | None:
        """Return whom a name stands for: listed now, once listed, or nobody."""
        key = match_key(name)
        return self.by_name.get(self.renames.get(key, key))

    def listed(self, name: str | None) -> tuple[Person, SalesRep] | None:
        """Return the person of a name with the row of today, if there is one."""
        person = self.behind(name) if name is not None else None
        row = self.row_of.get(person.number) if person else None
        return (person, row) if person and row else None


def who_is_who(reference: Reference) -> Who:
    """Follow all versions."""
    who, rows = Who(), ()
    for number, (table, version) in enumerate(reference.versions("aliases", "sales_reps")):
        if table == "aliases":
            who.renames = _renames(version)
        else:
            rows = version
        _list(who, rows, number)
    return who


def _renames(aliases: tuple[Alias, ...]) -> dict[str, str]:
    return {
        match_key(row.name_in_file): match_key(row.means)
        for row in aliases
        if row.kind == "rep" and row.is_rename
    }


def _list(who: Who, rows: tuple[SalesRep, ...], number: int) -> None:
    claims = sorted(
        (
            (rank, place, person.number)
            for place, row in enumerate(rows)
            for rank, person in _claims(who, row, {match_key(row.sales_rep_name) for row in rows})
        ),
    )
    chosen: dict[int, Person] = {}
    for _, place, person_number in claims:
        taken = {person.number for person in chosen.values()}
        if place not in chosen and person_number not in taken:
            chosen[place] = who.people[person_number]
    who.row_of = {}
    for place, row in enumerate(rows):
        person = chosen.get(place)
        if person is None:
            person = Person(len(who.people), row.sales_rep_name, row.payee_id)
            who.people.append(person)
        person.seen.add(number)
        person.last_name = match_key(row.sales_rep_name)
        who.row_of[person.number] = row
        who.by_name[person.last_name] = person
        if row.email:
            who.by_email[match_key(row.email)] = person


def _claims(who: Who, row: SalesRep, listed: set[str]) -> Iterator[tuple[int, Person]]:
    """Give whom a row may be, each with how good the claim is: 0 is the best."""
    name = match_key(row.sales_rep_name)
    if row.payee_id:
        yield from (
            (0, person)
            for person in who.people
            if person.typed_id is not None and match_key(person.typed_id) == match_key(row.payee_id)
        )
        return
    of_name, of_email = who.by_name.get(name), who.by_email.get(match_key(row.email or ""))
    former = {
        who.by_name[old].number
        for old, new in who.renames.items()
        if new == name and old not in listed and old in who.by_name
    }
    if former and of_name is not None:
        # Two who were ever listed side by side are two people.
        former = {one for one in former if not who.people[one].seen & of_name.seen} | {of_name.number}
    if former:
        yield 1, who.people[min(former)]
    if of_name is not None and of_name is of_email:
        yield 2, of_name
    if of_name is not None and of_email is None and of_name.last_name == name:
        yield 3, of_name
    if of_email is not None:
        yield 4, of_email
    if of_name is not None:
        yield 5, of_name
