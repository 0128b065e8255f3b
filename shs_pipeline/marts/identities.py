"""Who is who: the ids of payees and product lines, given once and kept.

Names are what people type; money hangs on ids. Which id a name stands for follows from all accepted
versions of `sales_reps` and `aliases` in the order in which they came into force, so that a build that is
repeated or late gives the same; what a ledger that was read back knew comes before them. The marts read the
result (`published_names`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import count
from typing import TYPE_CHECKING, Any

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from shs_pipeline.casting.cells import match_key
from shs_pipeline.reference.aliases import PRODUCT_LINE, REP

if TYPE_CHECKING:
    import psycopg

# No letter that is taken for a digit.
_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_LENGTH = 5


@dataclass(frozen=True)
class ListedRep:
    """A row of a version of sales_reps."""

    sales_rep_name: str
    email: str | None = None
    payee_id: str | None = None

    @property
    def name_key(self) -> str:
        """The name for comparing."""
        return match_key(self.sales_rep_name)

    @property
    def email_key(self) -> str | None:
        """The address for comparing; None without one."""
        return match_key(self.email) if self.email else None


@dataclass(frozen=True)
class Rename:
    """An alias for all sources, without dates and share: `old` is called `new` now (both for comparing)."""

    old: str
    new: str


@dataclass
class Payees:
    """The payees after some versions of sales_reps and aliases.

    Attributes:
        first_names: name under which each was first known, by id in the order of giving.
        listed: id by name, of the version in force.
        names: id by every name that was ever listed; of several payees the last one that bore it.
    """

    first_names: dict[str, str] = field(default_factory=dict)
    listed: dict[str, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    renames: Sequence[Rename] = ()
    _reps: Sequence[ListedRep] = ()
    _ids: dict[str, str] = field(default_factory=dict)
    _emails: dict[str, str] = field(default_factory=dict)
    _last_names: dict[str, str] = field(default_factory=dict)
    _together: dict[str, set[str]] = field(default_factory=dict)

    @classmethod
    def remembered(cls, known: Iterable[tuple[str, Mapping[str, Any]]]) -> Payees:
        """Return the payees of a database that was lost, from what `known` said of each id, in its order."""
        payees = cls()
        for payee_id, one in known:
            payees.first_names[payee_id] = one["first_name"]
            payees.names |= dict.fromkeys(one["names"], payee_id)
            payees._emails |= dict.fromkeys(one["emails"], payee_id)
            payees._last_names[payee_id] = one["last_name"]
            payees._together[payee_id] = set(one["beside"])
            payees._ids[match_key(payee_id)] = payee_id
        return payees

    def known(self) -> dict[str, dict[str, Any]]:
        """Return by id all that it takes to know the payees again, in the order of giving."""
        return {
            payee_id: {
                "first_name": first_name,
                "last_name": self._last_names[payee_id],
                "names": sorted(name for name, own in self.names.items() if own == payee_id),
                "emails": sorted(email for email, own in self._emails.items() if own == payee_id),
                "beside": sorted(self._together.get(payee_id, ())),
            }
            for payee_id, first_name in self.first_names.items()
        }

    def follow(self, reps: Sequence[ListedRep] | None, renames: Sequence[Rename] | None) -> None:
        """Let a version of sales_reps or of the aliases come into force; None: that one stays."""
        self._reps = self._reps if reps is None else reps
        self.renames = self.renames if renames is None else renames
        found = self._known_again()
        self.listed = {}
        for rep in self._reps:
            payee_id = found.get(rep.name_key) or self._given(rep)
            self.listed[rep.name_key] = payee_id
            self.names[rep.name_key] = payee_id
            self._last_names[payee_id] = rep.name_key
            if rep.email_key:
                self._emails[rep.email_key] = payee_id
        together = set(self.listed.values())
        for payee_id in together:
            self._together.setdefault(payee_id, set()).update(together)

    def resolved(self) -> dict[str, str]:
        """Return the id that each name stands for: aliases first, then names of today, then past ones."""
        by_name = {**self.names, **self.listed}
        renamed = {rename.old: by_name.get(rename.new) for rename in self.renames}
        return {name: found for name, found in {**by_name, **renamed}.items() if found is not None}

    def _known_again(self) -> dict[str, str]:
        """Return the id of each row whose person is known, by name; nobody is two rows' person.

        Whoever still bears the last name of a person is that person, unless the row's own address says
        otherwise: an address may be handed on to a successor.
        """
        found: dict[str, str] = {}
        for known_by in (
            self._typed,
            self._renamed,
            self._by_both,
            self._by_last_name,
            self._by_email,
            self._by_name,
        ):
            for rep in self._reps:
                payee_id = known_by(rep)
                is_free = rep.name_key not in found and payee_id not in found.values()
                # A typed id is the only one that its row may have.
                if payee_id is not None and is_free and (not rep.payee_id or known_by == self._typed):
                    found[rep.name_key] = payee_id
        return found

    def _typed(self, rep: ListedRep) -> str | None:
        return self._ids.get(match_key(rep.payee_id)) if rep.payee_id else None

    def _by_email(self, rep: ListedRep) -> str | None:
        return self._emails.get(rep.email_key or "")

    def _by_name(self, rep: ListedRep) -> str | None:
        return self.names.get(rep.name_key)

    def _by_both(self, rep: ListedRep) -> str | None:
        return self._by_name(rep) if self._by_name(rep) == self._by_email(rep) else None

    def _by_last_name(self, rep: ListedRep) -> str | None:
        known = self._by_name(rep)
        is_last = known is not None and self._last_names.get(known) == rep.name_key
        return known if is_last and self._by_email(rep) is None else None

    def _renamed(self, rep: ListedRep) -> str | None:
        """Return the id that a rename hands on: of somebody who never stood beside the new name's bearer."""
        listed = {other.name_key for other in self._reps}
        olds = {rename.old for rename in self.renames if rename.new == rep.name_key} - listed
        own = self.names.get(rep.name_key)
        handed_on = {self.names[old] for old in olds if old in self.names}
        if handed_on and own is not None:
            handed_on = {other for other in handed_on if other not in self._together.get(own, set())} | {own}
        return next((payee_id for payee_id in self.first_names if payee_id in handed_on), None)

    def _given(self, rep: ListedRep) -> str:
        payee_id = rep.payee_id or new_id("P", rep.name_key, self.first_names)
        payee_id = self._ids.setdefault(match_key(payee_id), payee_id)
        self.first_names.setdefault(payee_id, rep.sales_rep_name)
        return payee_id


def new_id(kind: str, name_key: str, taken: Iterable[str]) -> str:
    """Return an id such as `P-7K3QD` that nobody has; the same name gets the same id in a new database."""
    known = set(taken)
    for attempt in count():
        number = int.from_bytes(sha256(f"{name_key}/{attempt}".encode()).digest()[:8], "big")
        letters = "".join(_LETTERS[number >> 5 * place & 31] for place in range(_LENGTH))
        if (found := f"{kind}-{letters}") not in known:
            return found
    raise AssertionError("there is always a next attempt")


def give_ids(connection: psycopg.Connection) -> None:
    """Give every payee and product line that is new an id, and note what each name stands for now.

    Called by a build under its lock; what was given before stays.
    """
    with connection.transaction():
        payees = read_payees(connection)
        _write_payees(connection, payees)
        _write_product_lines(connection)
        _note_known(connection, payees)


def _note_known(connection: psycopg.Connection, payees: Payees) -> None:
    """Write down what a close enters into the ledger, so that the bucket alone gives the same ids again."""
    given = "select product_line_id, first_name from reference.product_lines order by given_no"
    rows = [("payee", payee_id, Jsonb(one)) for payee_id, one in payees.known().items()]
    for line_id, name in connection.execute(given).fetchall():
        rows.append(("product line", line_id, Jsonb({"first_name": name})))
    connection.execute("delete from reference.identities")
    with connection.cursor() as cursor:
        cursor.executemany(
            "insert into reference.identities (kind, place, id, known) values (%s, %s, %s, %s)",
            [(kind, place, own_id, known) for place, (kind, own_id, known) in enumerate(rows, start=1)],
        )


def _remembered(connection: psycopg.Connection, kind: str) -> list[tuple[str, Any]]:
    """Return (id, what was known of it) as of the last close that was read back from the bucket."""
    return connection.execute(
        "select id, known from ledger.identities"
        " where close_no = (select max(last_close_no) from ledger.recoveries) and kind = %s order by place",
        [kind],
    ).fetchall()


# --- payees --------------------------------------------------------------------------------


def read_payees(connection: psycopg.Connection) -> Payees:
    """Return the payees as all accepted versions of sales_reps and aliases make them."""
    with connection.cursor(row_factory=class_row(_ListedIn)) as cursor:
        reps = cursor.execute(
            "select file_id, sales_rep_name, email, payee_id from reference.sales_reps"
            " order by file_id, source_sheet, source_row"
        ).fetchall()
    renames = connection.execute(
        "select file_id, ops.match_key(name_in_file), ops.match_key(means) from reference.aliases"
        " where kind = %s and source is null and coalesce(share, 1) = 1"
        " and valid_from is null and valid_until is null"
        " order by file_id, source_sheet, source_row",
        [REP],
    ).fetchall()
    payees = Payees.remembered(_remembered(connection, "payee"))
    for table, file_id in connection.execute(
        "select table_name, file_id from reference.versions where table_name in ('sales_reps', 'aliases')"
        " order by in_force_from, file_id"
    ):
        if table == "aliases":
            payees.follow(None, [Rename(old, new) for of_file, old, new in renames if of_file == file_id])
        else:
            payees.follow([row for row in reps if row.file_id == file_id], None)
    return payees


@dataclass(frozen=True, kw_only=True)
class _ListedIn(ListedRep):
    file_id: int


def _write_payees(connection: psycopg.Connection, payees: Payees) -> None:
    with connection.cursor() as cursor:
        cursor.executemany(
            "insert into reference.payees (payee_id, first_name) values (%s, %s) on conflict do nothing",
            list(payees.first_names.items()),
        )
        listed = {payee_id: name for name, payee_id in payees.listed.items()}
        cursor.execute(
            "update reference.payees as payees set name_key = listed.name_key"
            " from reference.payees as known left join unnest(%s::text[], %s::text[])"
            "  as listed (payee_id, name_key) on listed.payee_id = known.payee_id"
            " where known.payee_id = payees.payee_id and payees.name_key is distinct from listed.name_key",
            [list(listed), list(listed.values())],
        )
        names = payees.resolved()
        cursor.execute("delete from reference.payee_names where name_key <> all(%s)", [list(names)])
        cursor.executemany(
            "insert into reference.payee_names as old (name_key, payee_id) values (%s, %s)"
            " on conflict (name_key) do update set payee_id = excluded.payee_id"
            " where old.payee_id <> excluded.payee_id",
            list(names.items()),
        )


# --- product lines -------------------------------------------------------------------------

# Every name that any accepted workbook ever gave a product line; a service line that the map has lost
# stands for itself.
_NAMED = """
select name_in_file from reference.aliases where kind = %(kind)s
union select means from reference.aliases where kind = %(kind)s
union select product_lines from reference.service_to_product
union select service_lines from reference.service_to_product
union select product_line from reference.commission_tiers where product_line is not null
union select product_line from reference.tier_thresholds
union select product_line from reference.business_objectives
union select product_line from reference.opening_balances
"""


def _write_product_lines(connection: psycopg.Connection) -> None:
    from shs_pipeline.sources.registry import all_sources

    declared: list[str] = [source.product_line for source in all_sources() if source.product_line]
    renames: dict[str, str] = dict(_aliases_in_force(connection))
    named = {name for (name,) in connection.execute(_NAMED, {"kind": PRODUCT_LINE})}
    _give_again(connection)
    # The old name of a rename is the older product line, also where both come at once.
    old_first = sorted({*named, *declared}, key=lambda name: (match_key(name) not in renames, name))
    _give_product_lines(connection, old_first)
    given = connection.execute(
        "select name_key, product_line_id, first_name from reference.product_lines order by given_no"
    ).fetchall()
    spellings: dict[str, str] = {key: first_name for key, _, first_name in given}
    spellings |= {match_key(name): name for name in _ever_mapped(connection)}
    spellings |= {match_key(means): means for means in renames.values()}
    spellings |= {match_key(name): name for name in _mapped_in_force(connection)}
    spellings |= {match_key(name): name for name in declared}
    meant = {key: match_key(renames.get(key) or key) for key, _, _ in given}
    first_ids: dict[str, str] = {}
    for key, product_line_id, _ in given:
        first_ids.setdefault(meant[key], product_line_id)
    rows = [(key, first_ids[meant[key]], spellings[meant[key]]) for key in meant]
    _write_product_line_names(connection, rows)


def _aliases_in_force(connection: psycopg.Connection) -> Sequence[tuple[str, str]]:
    """Return (old name for comparing, what it means) of each renamed product line."""
    return connection.execute(
        "select ops.match_key(name_in_file), means from reference.aliases"
        " inner join reference.versions using (file_id)"
        " where in_force_until is null and kind = %s and source is null"
        " and valid_from is null and valid_until is null order by source_row desc",
        [PRODUCT_LINE],
    ).fetchall()


def _mapped_in_force(connection: psycopg.Connection) -> Sequence[str]:
    """Return the product lines of the service map; of several spellings the first in order comes last."""
    found = connection.execute(
        "select product_lines from reference.service_to_product"
        " inner join reference.versions using (file_id) where in_force_until is null"
    )
    return sorted({name for (name,) in found}, reverse=True)


def _ever_mapped(connection: psycopg.Connection) -> Sequence[str]:
    """Return every name of the service maps, those of the newest last: so a lost service line is spelled."""
    return [
        name
        for (name,) in connection.execute(
            "select names.name from reference.service_to_product"
            " inner join reference.versions using (file_id)"
            " cross join lateral (values (1, product_lines), (2, service_lines)) as names (place, name)"
            ' order by in_force_from, file_id, place, name collate "C" desc'
        )
    ]


def _give_again(connection: psycopg.Connection) -> None:
    """Give product lines the ids that they had in a database that was lost, in the same order."""
    known = [(own_id, one["first_name"]) for own_id, one in _remembered(connection, "product line")]
    with connection.cursor() as cursor:
        cursor.executemany(
            "insert into reference.product_lines (name_key, product_line_id, first_name) values (%s, %s, %s)"
            " on conflict do nothing",
            [(match_key(name), own_id, name) for own_id, name in known],
        )


def _give_product_lines(connection: psycopg.Connection, names: Sequence[str]) -> None:
    known: Mapping[str, str] = dict(
        connection.execute("select name_key, product_line_id from reference.product_lines").fetchall()
    )
    taken, new = set(known.values()), {}
    for name in names:
        if (key := match_key(name)) not in known and key not in new:
            new[key] = (new_id("L", key, taken), name)
            taken.add(new[key][0])
    with connection.cursor() as cursor:
        cursor.executemany(
            "insert into reference.product_lines (name_key, product_line_id, first_name) values (%s, %s, %s)",
            [(key, *values) for key, values in new.items()],
        )


def _write_product_line_names(connection: psycopg.Connection, rows: Sequence[tuple[str, str, str]]) -> None:
    with connection.cursor() as cursor:
        cursor.executemany(
            "insert into reference.product_line_names as old (name_key, product_line_id, product_line)"
            " values (%s, %s, %s) on conflict (name_key) do update"
            " set product_line_id = excluded.product_line_id, product_line = excluded.product_line"
            " where (old.product_line_id, old.product_line)"
            "  is distinct from (excluded.product_line_id, excluded.product_line)",
            rows,
        )
