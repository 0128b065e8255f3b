"""Apply the desired state to Metabase, in an order in which nobody ever sees too much.

First rights are taken away, then everything is closed, then things are made, then rights are given to
groups; what came of it is read again and each connection asked who it is. Only then are people let in.
Every step can be repeated, so that an apply goes on where another one was killed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from shs_pipeline.base.errors import ShsError
from shs_pipeline.metabase import diff
from shs_pipeline.metabase.client import MetabaseClient
from shs_pipeline.metabase.desired import Desired
from shs_pipeline.metabase.isolation import foreign_things, identity_mark, unchecked
from shs_pipeline.metabase.letting_in import Doorkeeper, HandOut
from shs_pipeline.metabase.observed import observe
from shs_pipeline.metabase.people_diff import people_to_close
from shs_pipeline.metabase.rights import RightsWriter
from shs_pipeline.metabase.situation import Situation
from shs_pipeline.metabase.state import ObjectStore
from shs_pipeline.metabase.transport import in_parallel
from shs_pipeline.metabase.work import Report, Tell, Work, scope_of, see, situation_of
from shs_pipeline.metabase.writing import Writer

_WHO_AM_I = "select session_user::text as login, marts.session_rep() as rep"


def read_situation(client: MetabaseClient, store: ObjectStore, desired: Desired) -> Situation:
    """Return all that a difference follows from; rows of another Metabase do not count."""
    return situation_of(store, desired, observe(client, scope_of(store, desired)))


def apply(
    client: MetabaseClient,
    store: ObjectStore,
    desired: Desired,
    secret: Callable[[str], str],
    tell: Tell = lambda _: None,
    *,
    hand_out: HandOut = "nothing",
) -> Report:
    """Make Metabase what it should be.

    Args:
        secret: gives a secret by its name.
        hand_out: to people who are let in while Metabase sends no mails.

    Raises:
        MetabaseError: Metabase refused something; the next apply goes on from there.
        ShsError: what is in Metabase now would show somebody too much; that person is kept out.
    """
    situation = read_situation(client, store, desired)
    if not situation.known:
        store.forget_all()
    store.note_last_logins(situation.seen.users.values())
    work = Work(client, store, desired, situation.seen, secret, tell)
    work.report.notes += diff.difference(situation).notes
    _Apply(work).run(hand_out)
    work.report.reads, work.report.writes = client.reads, client.writes
    return work.report


def destroy(
    client: MetabaseClient, store: ObjectStore, desired: Desired, tell: Tell = lambda _: None
) -> Report:
    """Remove what shs made, and nothing else; people who were there before stay.

    Args:
        desired: a state without anything in it.
    """
    situation = read_situation(client, store, desired)
    work = Work(client, store, desired, situation.seen, lambda _: "", tell)
    if situation.known:
        Doorkeeper(work).close_people(is_ours_only=True)
        Writer(work, lambda _: None).remove_leftovers()
    store.forget_all()
    work.report.reads, work.report.writes = client.reads, client.writes
    return work.report


class _Apply:
    def __init__(self, work: Work) -> None:
        self._work = work
        self._doorkeeper = Doorkeeper(work)
        self._rights = RightsWriter(work)
        self._writer = Writer(work, self._rights.close_database)

    def run(self, hand_out: HandOut) -> None:
        """Make all changes, in the order that keeps everything closed."""
        self._note_instance()
        before = len(self._work.report.done)
        self._doorkeeper.close_people()
        self._write_settings()
        self._rights.put_rights(with_grants=False)
        self._writer.make_things()
        self._rights.put_rights(with_grants=True)
        if len(self._work.report.done) > before or unchecked(self._work.situation):
            self._read_again()
        shut_out = self._check_isolation()
        self._doorkeeper.let_in(shut_out, hand_out)
        self._writer.remove_leftovers()
        if shut_out:
            raise _not_isolated(shut_out)

    def _note_instance(self) -> None:
        seen = self._work.seen
        self._work.store.note("instance", "metabase", None, "", seen.instance)
        if seen.me is not None:
            self._work.store.note("editor", str(seen.me), seen.me)

    def _write_settings(self) -> None:
        for change in list(diff.settings_to_write(self._work.situation)):
            self._work.client.put("/api/setting", {change.key: False}, f"set {change.key}")
            see(self._work.seen.properties, change.key, False)
            self._work.did(change.words)

    def _read_again(self) -> None:
        """Read back what decides who sees what, instead of trusting the responses.

        Raises:
            ShsError: something is open that was just closed.
        """
        self._work.look_again()
        situation = self._work.situation
        open_ends = [
            *(change.words for change in diff.settings_to_write(situation)),
            *(f"rights on data of group {group}" for group in diff.data_rights(situation)),
            *(f"rights on collections of group {group}" for group in diff.collection_rights(situation)),
            *(change.words for change in people_to_close(situation)),
        ]
        if open_ends:
            raise ShsError(
                f"Metabase does not contain what was just written: {'; '.join(open_ends[:5])}.",
                "Nobody was let in. Check whether somebody else is changing it, then run shs metabase apply.",
            )

    def _check_isolation(self) -> dict[str, str]:
        """Ask each new connection who it is, and look for what is foreign among a rep's own.

        Returns:
            What is wrong, by key of the connection; these people are kept out.
        """
        situation = self._work.situation
        wrong = {key: "; ".join(things[:3]) for key, things in foreign_things(situation).items()}
        keys = unchecked(situation)
        for key, said in zip(keys, in_parallel(self._who_answers, keys), strict=True):
            if said is not None:
                wrong[key] = said
                continue
            role, rep = self._work.desired.identities[key]
            mark = identity_mark(situation, key, role, rep)
            self._work.store.note("isolation", key, None, mark)
            self._work.did(f"check that the connection {key} answers as {rep or 'nobody'}")
        for key, said in wrong.items():
            self._doorkeeper.shut_out(key, said)
        return wrong

    def _who_answers(self, key: str) -> str | None:
        query = {
            "lib/type": "mbql/query",
            "database": self._work.store.id_of("database", key),
            "stages": [{"lib/type": "mbql.stage/native", "native": _WHO_AM_I}],
        }
        rows = self._work.client.ask(query, f"ask the connection {key} who it is")
        found = tuple(rows[0][:2]) if rows else ()
        if found == self._work.desired.identities[key]:
            return None
        role, rep = self._work.desired.identities[key]
        return f"its connection answers as {found or 'nothing'} instead of ({role}, {rep})"


def _not_isolated(wrong: Mapping[str, str]) -> ShsError:
    said: Sequence[str] = [f"{key}: {text}" for key, text in sorted(wrong.items())]
    return ShsError(
        f"{len(said)} of the connections would show people rows that are not theirs, so those people are "
        f"locked out: {'; '.join(said[:5])}.",
        "Run shs access sync, move what is not theirs elsewhere in Metabase, then run shs metabase apply "
        "again.",
    )
