"""`shs metabase apply` on a fake Metabase: what it makes, that it repeats, and that nobody sees too much."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from shs_pipeline.base.errors import ShsError
from shs_pipeline.metabase import provisioning
from shs_pipeline.metabase.calls import calls_of
from shs_pipeline.metabase.client import MetabaseClient, MetabaseError
from shs_pipeline.metabase.transport import AT_ONCE
from shs_pipeline.metabase.versions import OLDEST_SAFE_PATCH
from shs_pipeline.people.logins import lock_books
from tests.helpers.fake_metabase import ANALYSTS, FakeMetabase, openapi, serving
from tests.helpers.metabase_house import PASSWORD, USER, House, cards_of

DANA, MARCUS, HARRIET = "Dana Whitfield", "Marcus Oyelaran", "Harriet Lindqvist"
READS_UNCHANGED = 15
"""Requests of an apply that changes nothing, besides one per collection of ours."""


@contextmanager
def _house(database: str, folder: Path) -> Iterator[House]:
    """Two reps, an admin, and a fresh Metabase that checks the walls after each request."""
    with serving(FakeMetabase()) as fake:
        found = House(database, fake, folder)
        found.join(DANA)
        found.join(MARCUS)
        found.join(HARRIET, "admin")
        fake.after_each = found.check_walls
        yield found
        assert not fake.problems


@pytest.fixture
def house(database: str, tmp_path: Path) -> Iterator[House]:
    """As `_house`, before the first apply."""
    with _house(database, tmp_path) as found:
        yield found


@pytest.fixture(scope="module")
def once_applied(
    shared_database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[House, Callable[[], None]]]:
    with _house(shared_database, tmp_path_factory.mktemp("applied")) as found:
        found.apply()
        yield found, found.keep()


def test_a_fresh_metabase_is_set_up_with_one_command(house: House) -> None:
    report = house.apply()

    fake = house.fake
    assert sorted(one["name"] for one in fake.databases.values()) == [
        "Sales (admins)", f"Sales of {DANA}", f"Sales of {MARCUS}",
    ]  # fmt: skip
    dana = fake.user("dana@example.com")
    own = fake.named("databases", f"Sales of {DANA}")
    assert own["details"]["user"] == "role_dana_whitfield"
    assert own["details"]["password"] == "password-of-role_dana_whitfield"
    assert fake.may_ask(dana["id"]) == {own["id"]}
    assert {fake.cards[one]["database_id"] for one in fake.may_see(dana["id"])} == {own["id"]}
    assert len(fake.may_see(dana["id"])) == cards_of(house.dashboards["rep"])
    assert fake.settings == dict.fromkeys(
        ("enable-public-sharing", "enable-xrays", "anon-tracking-enabled"), False
    )
    assert (report.waiting, report.links) == ([DANA, MARCUS, HARRIET], [])


def test_an_apply_waits_for_a_build_that_is_letting_people_in(house: House) -> None:
    name = house.database_url.rpartition("/")[2]
    with psycopg.connect(house.database_url) as sync, ThreadPoolExecutor(1) as pool:
        lock_books(sync)
        # Both write who may connect, which is one row of the catalog.
        sync.execute(f"grant connect on database {name} to shs_rep")
        applying = pool.submit(house.apply)
        waiting = "select count(*) from pg_stat_activity where datname = %s and wait_event_type = 'Lock'"
        with psycopg.connect(house.database_url, autocommit=True) as looking:
            while looking.execute(waiting, [name]).fetchone() == (0,):
                assert not applying.done(), applying.result()
        sync.commit()

        assert applying.result(60).done


def test_a_new_connection_is_closed_by_the_very_next_request_and_people_come_last(applied: House) -> None:
    calls = [one[:2] for one in applied.fake.requests]
    made = [place for place, call in enumerate(calls) if call == ("post", "/api/database")]
    assert [calls[place + 1] for place in made] == [("put", "/api/permissions/graph")] * 3
    assert calls[-3:] == [("post", "/api/user")] * 3


def test_the_admin_sees_the_company_and_may_write_sql_on_it(applied: House) -> None:
    fake = applied.fake
    harriet = fake.user("harriet@example.com")
    company = fake.named("databases", "Sales (admins)")["id"]
    assert fake.may_ask(harriet["id"]) == {company}
    group = fake.named("groups", "Sales admins")["id"]
    assert fake.data[group, company]["create-queries"] == "query-builder-and-native"
    assert company in {fake.cards[one]["database_id"] for one in fake.may_see(harriet["id"])}


def test_dashboards_have_their_tabs_filters_and_links(applied: House) -> None:
    fake = applied.fake
    place = fake.named("collections", DANA)["id"]
    first, second = (
        next(one for one in fake.dashboards.values() if (one["name"], one["collection_id"]) == (name, place))
        for name in ("First", "Second")
    )
    assert [tab["name"] for tab in first["tabs"]] == ["One", "Two"]
    payouts, total = first["dashcards"]
    assert payouts["dashboard_tab_id"] == first["tabs"][0]["id"]
    assert [one["parameter_id"] for one in payouts["parameter_mappings"]] == ["year", "product_line"]
    assert [one["parameter_id"] for one in total["parameter_mappings"]] == ["product_line"]
    link = payouts["visualization_settings"]["column_settings"]['["name","payout"]']["click_behavior"]
    assert link["linkTemplate"] == f"/dashboard/{second['id']}?month={{{{commission_month}}}}"
    choices = fake.cards[first["parameters"][0]["values_source_config"]["card_id"]]
    assert choices["database_id"] == fake.named("databases", f"Sales of {DANA}")["id"]


def test_a_second_apply_changes_nothing_and_reads_a_bounded_number_of_times(applied: House) -> None:
    applied.fake.forget_requests()

    report = applied.apply()

    assert report.done == []
    assert applied.fake.writes == []
    collections = 2 + 2  # one per rep, those of the admins and around the reps'
    assert len(applied.fake.requests) == READS_UNCHANGED + collections


def test_a_plan_says_what_an_apply_does_and_touches_nothing(house: House) -> None:
    planned = house.plan()

    assert house.fake.writes == []
    assert house.query("select kind, key from ops.metabase_objects where kind <> 'lock'") == []
    words = [change.words for change in planned.changes]
    assert f"make connection Sales of {DANA}" in words
    assert f"invite person {DANA}: dana@example.com" in words
    assert "is new" in planned.notes[0]
    house.apply()
    house.fake.forget_requests()
    assert house.plan().changes == ()
    assert house.fake.writes == []


def test_one_right_that_was_taken_away_is_written_as_one(applied: House) -> None:
    company = applied.fake.named("databases", "Sales (admins)")["id"]
    applied.fake.data[1, company]["create-queries"] = "query-builder"
    applied.fake.after_each = None  # it is open now

    assert "close 1 right on data of 1 group" in applied.apply().done


def test_what_people_changed_by_hand_is_named_and_put_right(applied: House) -> None:
    fake = applied.fake
    ops = fake.user(USER)["id"]
    dana = fake.user("dana@example.com")["id"]
    company = fake.named("databases", "Sales (admins)")["id"]
    card = next(one for one in fake.cards.values() if one["name"] == "Payouts")
    card |= {"editor": ops, "display": "pie"}
    lines = next(one for one in fake.cards.values() if one["name"] == "Lines")
    lines["archived"] = True
    fake.named("groups", f"Rep: {MARCUS}")["name"] = "Friends"
    fake.data[1, company]["create-queries"] = "query-builder"
    fake.collection_rights[1, "root"] = "read"
    fake.settings["enable-public-sharing"] = True
    fake.members[99_001] = (ANALYSTS, dana)
    home = fake.named("collections", DANA)["id"]
    del fake.dashboards[dashboard(fake, "First", home)["id"]]
    fake.after_each = None  # it is open now

    words = " | ".join(change.words for change in applied.plan().changes)
    applied.apply()

    for said in ("edited in Metabase", "renamed Friends", "enable-public-sharing", "All Users",
                 "Data Analysts", "make card Lines", "make dashboard"):  # fmt: skip
        assert said in words
    assert card["display"] == "table"
    assert not lines["archived"]
    applied.check_walls(fake, "", "")
    assert fake.groups_of(dana) == {1, fake.named("groups", f"Rep: {DANA}")["id"]}
    assert applied.plan().changes == ()


def dashboard(fake: FakeMetabase, name: str, collection_id: int) -> dict[str, Any]:
    return next(
        one
        for one in fake.dashboards.values()
        if (one["name"], one["collection_id"]) == (name, collection_id)
    )


@pytest.mark.parametrize("gone", [["Second"], ["First", "Second"]])
def test_what_links_to_a_dashboard_that_was_deleted_links_to_the_new_one_at_once(
    applied: House, gone: list[str]
) -> None:
    fake = applied.fake
    home = fake.named("collections", DANA)["id"]
    for name in gone:
        del fake.dashboards[dashboard(fake, name, home)["id"]]

    applied.apply()

    payouts, _ = dashboard(fake, "First", home)["dashcards"]
    link = payouts["visualization_settings"]["column_settings"]['["name","payout"]']["click_behavior"]
    second = dashboard(fake, "Second", home)["id"]
    assert link["linkTemplate"].startswith(f"/dashboard/{second}?")
    assert applied.plan().changes == ()


# Before a request is as after the one before it, as far as that changed anything.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("is_done", "lost"), [pytest.param(False, 1, marks=pytest.mark.soak), (True, 1), (True, AT_ONCE)]
)
@pytest.mark.parametrize("is_each", [False, pytest.param(True, marks=pytest.mark.soak)], ids=["kinds", "all"])
def test_an_apply_that_is_killed_at_any_request_is_completed_and_never_opens_anything(
    house: House, is_each: bool, is_done: bool, lost: int
) -> None:
    """The process dies before or after what its n-th request asks for; `check_walls` looks all the while.

    Of each kind of request the first one, or each one. Of several that are under way at once, all may be
    done without that anybody hears of it.
    """
    fake = house.fake
    house.query("delete from ops.logins where rep_name = %s", MARCUS)  # an admin and one rep show it all
    house.apply()
    calls = [(verb, path) for verb, path, _ in fake.requests]
    seen: set[tuple[str, str]] = set()
    for number, (verb, path) in enumerate(calls, 1):
        # What is read changes nothing: to die before one of it is to die before any of it.
        kind = (verb, "" if verb == "get" else re.sub(r"\d+", "N", path))
        if kind in seen and not is_each:
            continue
        seen.add(kind)
        if is_done and verb == "get":
            continue  # what was only read leaves the state of a death before it
        if lost > 1 and path not in ("/api/card", "/api/dashboard"):
            continue  # one by one
        _start_again(house)
        fake.dies_at, fake.dies_after, fake.lost = number, is_done, lost
        with pytest.raises((MetabaseError, ShsError)):
            house.apply()
        fake.dies_at = None
        house.apply()
        assert house.apply().done == [], f"killed at request {number}"
        names = [one["name"] for one in fake.databases.values()]
        assert sorted(names) == sorted(set(names)), f"killed at request {number}: a connection twice"
        counts = (len(fake.collections), len(fake.cards), len(fake.dashboards), len(fake.users))
        assert counts == (3, 2 * cards_of(house.dashboards["rep"]), 4, 4), f"killed at request {number}"
    assert len(calls) > 60


def _start_again(house: House) -> None:
    house.fake.wipe()
    house.fake.requests.clear()
    house.fake.asked.clear()
    house.query("delete from ops.metabase_objects where kind not in ('lock', 'role')")
    for name in house.secrets.names():
        if name.startswith("metabase/"):
            house.secrets.delete(name)


def test_another_metabase_at_the_same_address_is_set_up_anew(applied: House) -> None:
    before = dict(applied.fake.databases)
    applied.fake.wipe()
    applied.fake.asked.clear()

    applied.apply()

    assert len(applied.fake.databases) == len(before)
    assert applied.apply().done == []


def test_a_rep_who_is_renamed_keeps_everything(applied: House) -> None:
    fake = applied.fake
    before = fake.user("dana@example.com")["id"], fake.named("collections", DANA)["id"]
    applied.fake.whoami["role_dana_vega"] = "Dana Vega"
    applied.roles["dana@example.com"].add("role_dana_vega")
    applied.roles["dana.vega@example.com"] = applied.roles["dana@example.com"]
    applied.query(
        "update ops.logins set rep_name = 'Dana Vega', email = 'Dana.Vega@example.com',"
        " role_name = 'role_dana_vega' where rep_name = %s", DANA,
    )  # fmt: skip

    applied.apply()

    user = fake.user("dana.vega@example.com")
    assert (user["id"], fake.named("collections", "Dana Vega")["id"]) == before
    assert (user["first_name"], user["last_name"]) == ("Dana", "Vega")
    assert fake.named("databases", "Sales of Dana Vega")["details"]["user"] == "role_dana_vega"
    assert applied.apply().done == []


def test_whoever_leaves_loses_access_first_and_everything_else_after(applied: House) -> None:
    fake = applied.fake
    dana = fake.user("dana@example.com")["id"]
    applied.query("delete from ops.logins where rep_name = %s", DANA)
    fake.forget_requests()

    applied.apply()

    assert fake.writes[0] == ("delete", f"/api/user/{dana}")
    assert not fake.users[dana]["is_active"]
    for kind in ("databases", "groups", "collections"):
        assert not any(DANA in one["name"] for one in getattr(fake, kind).values())
    assert not any(card["database_id"] not in fake.databases for card in fake.cards.values())
    assert applied.apply().done == []


def test_access_ends_even_where_the_rest_of_the_apply_fails(applied: House) -> None:
    applied.join("Priya Venkatesan")
    del applied.fake.whoami["role_priya_venkatesan"]  # the database refuses that login
    applied.query("delete from ops.logins where rep_name = %s", DANA)

    with pytest.raises(MetabaseError, match="password authentication failed"):
        applied.apply()

    assert not applied.fake.user("dana@example.com")["is_active"]


def test_a_rep_who_is_away_for_a_while_finds_everything_again(applied: House) -> None:
    fake = applied.fake
    dana, place = fake.user("dana@example.com"), fake.named("collections", DANA)["id"]
    applied.query("update ops.logins set state = 'disabled' where rep_name = %s", DANA)
    applied.apply()
    assert not dana["is_active"]
    assert applied.apply().done == []
    applied.query("update ops.logins set state = 'active', secret_name = secret_name || 'x'")
    for name in list(applied.secrets.names()):
        applied.secrets.put(f"{name}x", "a new password")

    applied.apply()

    assert dana["is_active"]
    assert fake.named("collections", DANA)["id"] == place
    assert fake.named("databases", f"Sales of {DANA}")["details"]["password"] == "a new password"


def test_a_permission_that_is_taken_back_is_gone_before_anything_else(applied: House) -> None:
    applied.query("update ops.logins set permission = 'user' where rep_name = %s", HARRIET)
    applied.admins.clear()
    applied.fake.whoami["role_harriet_lindqvist"] = HARRIET
    applied.fake.forget_requests()
    applied.fake.after_each = None

    applied.apply()

    assert applied.fake.writes[0][0] == "delete"
    assert applied.fake.writes[0][1].startswith("/api/permissions/membership/")
    applied.check_walls(applied.fake, "", "")


def test_a_connection_that_answers_as_somebody_else_keeps_its_rep_out(applied: House) -> None:
    applied.fake.whoami["role_dana_whitfield"] = MARCUS
    applied.query("update ops.metabase_objects set content_hash = '' where kind = 'isolation'")

    with pytest.raises(ShsError, match=r"rep/1: its connection answers as .*Marcus"):
        applied.apply()

    assert not applied.fake.user("dana@example.com")["is_active"]
    assert applied.fake.user("marcus@example.com")["is_active"]
    applied.fake.whoami["role_dana_whitfield"] = DANA
    applied.apply()
    assert applied.fake.user("dana@example.com")["is_active"]


def test_a_card_of_all_rows_in_a_reps_collection_keeps_the_rep_out(applied: House) -> None:
    fake = applied.fake
    fake.after_each = None
    company = fake.named("databases", "Sales (admins)")["id"]
    place = fake.named("collections", DANA)["id"]
    card = {"id": 5000, "name": "Everybody", "archived": False, "type": "question", "collection_id": place,
            "database_id": company, "editor": fake.user(USER)["id"]}  # fmt: skip
    fake.cards[5000] = card

    with pytest.raises(ShsError, match="the card Everybody"):
        applied.apply()

    assert not fake.user("dana@example.com")["is_active"]
    del fake.cards[5000]
    applied.apply()
    assert fake.user("dana@example.com")["is_active"]


def test_rights_that_do_not_stay_written_let_nobody_in(house: House) -> None:
    real = house.fake.write_collections

    def forgetful(request: object) -> object:
        answer = real(request)  # type: ignore[arg-type]
        house.fake.collection_rights[1, "root"] = "write"
        return answer

    house.fake.write_collections = forgetful  # type: ignore[method-assign]

    with pytest.raises(ShsError, match="does not contain what was just written"):
        house.apply()

    assert [user["email"] for user in house.fake.users.values() if not user.get("is_key")] == [USER]


def test_a_stale_revision_is_read_again(house: House) -> None:
    conflict = (409, "Looks like someone else edited the permissions and your data is out of date.")
    house.fake.answers = [
        ("put", "/api/permissions/graph", *conflict),
        ("put", "/api/collection/graph", *conflict),
    ]

    house.apply()

    assert house.fake.requests.count(("put", "/api/permissions/graph", 409)) == 1
    assert house.apply().done == []


@pytest.mark.soak
def test_three_hundred_reps_take_a_bounded_number_of_requests(database: str, tmp_path: Path) -> None:
    with serving(FakeMetabase()) as fake:
        house = House(database, fake, tmp_path)
        one = [house.dashboards["rep"][1]]
        house.dashboards = {"rep": one, "admin": one}
        _many_reps(house, 300)
        dashboards, cards = 1, cards_of(one)

        house.apply()
        first = len(fake.requests)
        fake.forget_requests()
        report = house.apply()

        # Made: connection and its closing, group, collection, cards, dashboards twice, the check, the
        # content of the collection, the person.
        per_rep = 2 + 1 + 1 + cards + 2 * dashboards + 1 + 1 + 1
        assert first <= 300 * per_rep + 60
        assert report.done == []
        assert fake.writes == []
        assert len(fake.requests) == READS_UNCHANGED + 300 + 2
        assert not fake.problems


def _many_reps(house: House, count: int) -> None:
    house.secrets.put("shared", "password of all")
    house.query(
        "insert into ops.logins (role_name, email, rep_name, permission, state, secret_name)"
        " select 'role_' || n, 'rep' || n || '@example.com', 'Rep ' || n, 'user', 'active', 'secret ' || n"
        " from generate_series(1, %s) as n", count,
    )  # fmt: skip
    held = {f"secret {n}": "x" for n in range(1, count + 1)}
    real = house.secrets.get
    house.secrets.get = lambda name: held.get(name) or real(name)  # type: ignore[method-assign]
    house.fake.whoami |= {f"role_{n}": f"Rep {n}" for n in range(1, count + 1)}


# --- mails and links ---------------------------------------------------------------------


def test_without_mails_the_admin_gets_a_link_for_each_new_person(house: House) -> None:
    house.fake.tag = "v0.60.17"

    report = house.apply(hand_out="all")

    assert [link.rep_name for link in report.links] == [DANA, MARCUS, HARRIET]
    assert all("/auth/reset_password/" in link.url for link in report.links)
    assert "reset_password" not in repr(report)
    assert house.apply(hand_out="all").links == []
    made = provisioning.links(house.workplace, "dana whitfield")
    assert [link.email for link in made] == ["dana@example.com"]
    assert len(provisioning.links(house.workplace)) == 3
    assert list(house.fake.passwords) == [house.fake.user(USER)["id"]]  # nobody is given one


def test_before_v60_the_admin_gets_a_temporary_password_that_works_and_is_kept_nowhere(house: House) -> None:
    report = house.apply(hand_out="all")

    assert [login.rep_name for login in report.links] == [DANA, MARCUS, HARRIET]
    passwords = [login.password for login in report.links]
    assert len({*passwords}) == 3
    assert "ShS-" not in f"{report}{house.query('select * from ops.metabase_objects')}"
    assert not any(house.secrets.get(name) in passwords for name in house.secrets.names())
    client = MetabaseClient(house.fake.url)
    body = {"username": "dana@example.com", "password": passwords[0]}
    assert client.post("/api/session", body)["id"]
    (again,) = provisioning.links(house.workplace, DANA)
    assert again.password not in passwords
    # Whoever has logged in keeps the password they have.
    assert [login.rep_name for login in provisioning.links(house.workplace)] == [MARCUS, HARRIET]


MAJORS = sorted(OLDEST_SAFE_PATCH)


@pytest.mark.parametrize(
    "major",
    [MAJORS[0], *(pytest.param(major, marks=pytest.mark.soak) for major in MAJORS[1:-1]), MAJORS[-1]],
)
def test_every_promised_version_has_each_call_that_is_made_to_it(house: House, major: int) -> None:
    house.fake.tag = f"v0.{major}.{OLDEST_SAFE_PATCH[major]}"

    assert len(house.apply(hand_out="all").links) == 3
    assert provisioning.links(house.workplace, DANA)
    house.query("delete from ops.logins where rep_name = %s", DANA)
    house.apply()
    house.destroy()

    assert not [one for one in house.fake.requests if one[2] == 404]
    made = {(verb, re.sub(r"/\d+", "/{id}", path)) for verb, path, _ in house.fake.requests}
    assert made <= set(calls_of(major))


def test_with_mails_metabase_invites_people_itself(house: House) -> None:
    house.fake.has_mail = True

    report = house.apply(hand_out="all")

    assert report.links == []
    assert sorted(house.fake.mails) == ["dana@example.com", "harriet@example.com", "marcus@example.com"]


def test_a_build_without_links_gives_passwords_whatever_version_it_says_it_is(house: House) -> None:
    house.fake.tag = "v0.61.11"
    house.fake.missing.add(("post", "/api/user/([0-9]+)/password-reset-url"))

    assert all(login.password for login in house.apply(hand_out="all").links)


# --- a paid Metabase ---------------------------------------------------------------------


def test_a_paid_metabase_has_one_connection_that_becomes_each_rep(house: House) -> None:
    fake = house.fake
    fake.is_paid = True
    fake.after_each = None
    with house.connect() as connection:
        for role in ("role_dana_whitfield", "role_marcus_oyelaran"):
            connection.execute(f'create role "{role}"')  # type: ignore[call-overload]
    try:
        house.apply()

        assert sorted(one["name"] for one in fake.databases.values()) == ["Sales", "Sales (admins)"]
        reps, everybody = fake.named("groups", "Sales reps")["id"], 1
        sales, company = (
            fake.named("databases", "Sales")["id"],
            fake.named("databases", "Sales (admins)")["id"],
        )
        assert fake.data[reps, sales] == {"view-data": "impersonated", "create-queries": "query-builder"}
        assert fake.impersonations == [{"group_id": reps, "db_id": sales, "attribute": "db_role"}]
        for group, database in ((everybody, sales), (everybody, company), (reps, company)):
            assert fake.data[group, database]["view-data"] == "blocked"
        assert fake.user("dana@example.com")["login_attributes"] == {"db_role": "role_dana_whitfield"}
        assert len([one for one in fake.dashboards.values() if one["name"] == "First"]) == 2
        assert house.apply().done == []
    finally:
        house.query('drop role "role_dana_whitfield"')
        house.query('drop role "role_marcus_oyelaran"')


def test_a_licence_that_ends_turns_it_into_the_open_form(house: House) -> None:
    fake = house.fake
    fake.is_paid, fake.after_each = True, None
    with house.connect() as connection:
        for role in ("role_dana_whitfield", "role_marcus_oyelaran"):
            connection.execute(f'create role "{role}"')  # type: ignore[call-overload]
    try:
        house.apply()
        fake.is_paid = False

        house.apply()

        assert "Sales" not in [one["name"] for one in fake.databases.values()]
        house.check_walls(fake, "", "")
        assert house.apply().done == []
    finally:
        house.query('drop role "role_dana_whitfield"')
        house.query('drop role "role_marcus_oyelaran"')


# --- taking it down ----------------------------------------------------------------------


def test_destroy_removes_what_was_made_and_nothing_else(house: House) -> None:
    house.apply()
    fake = house.fake
    house.destroy()  # once all, so that the things of others come first
    fake.setup_token = None
    foreign = {
        "databases": {"id": 7001, "name": "Theirs", "details": {"user": "x", "password": "x"}, "tables": []},
        "collections": {"id": 7002, "name": "Theirs", "archived": False, "location": "/"},
        "cards": {"id": 7003, "name": "Theirs", "archived": False, "type": "question", "collection_id": 7002,
                  "database_id": 7001, "editor": 1},
        "groups": {"id": 7004, "name": "Theirs", "magic_group_type": None},
    }  # fmt: skip
    for kind, one in foreign.items():
        getattr(fake, kind)[one["id"]] = one
    for group in fake.groups:
        fake.data[group, 7001] = {"view-data": "unrestricted", "create-queries": "query-builder"}
    dana = fake.user("dana@example.com")
    dana["is_active"] = True  # she was there before
    fake.after_each = None
    house.apply()

    house.destroy()

    for kind, one in foreign.items():
        kept = [left["name"] for left in getattr(fake, kind).values() if not left.get("magic_group_type")]
        assert kept == [one["name"]]
    assert dana["is_active"]
    assert fake.keys == {}
    assert house.query("select kind, key from ops.metabase_objects where kind <> 'lock'") == []
    assert not [name for name in house.secrets.names() if "metabase" in name]
    assert house.query("select count(*) from pg_roles where rolname = %s", house.service) == [(0,)]


def test_destroy_that_is_killed_is_completed_by_another(house: House) -> None:
    house.apply()
    house.fake.forget_requests()
    house.fake.dies_at = 25
    with pytest.raises(MetabaseError):
        house.destroy()
    house.fake.dies_at = None

    house.destroy()

    assert house.fake.databases == {}
    assert house.fake.dashboards == {}


# --- what is said ------------------------------------------------------------------------


def test_an_error_carries_metabases_own_words_and_no_secret(house: House) -> None:
    said = {"message": "no such host", "errors": {"host": "check it"}}
    house.fake.answers = [("post", "/api/database", 400, said)]

    with pytest.raises(MetabaseError) as caught:
        house.apply()

    assert "no such host; host: check it" in caught.value.problem
    assert caught.value.status == 400


@pytest.mark.parametrize(
    "said", ["PKIX path building failed", "The hostname db could not be verified by hostnameverifier SSL"]
)
def test_a_certificate_that_metabase_does_not_trust_is_a_sentence(house: House, said: str) -> None:
    house.fake.answers = [("post", "/api/database", 400, {"message": said})]

    with pytest.raises(MetabaseError) as caught:
        house.apply()

    assert "SHS_METABASE_ROOT_CERTIFICATE" in caught.value.remedy


def test_a_warehouse_that_is_verified_is_verified_by_metabase_too(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "root.pem"
    root.write_text("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n")
    real = provisioning.server_of
    environment = {"PGSSLMODE": "verify-full", "PGSSLROOTCERT": str(root)}
    monkeypatch.setattr(
        provisioning, "server_of", lambda url, warehouse, path: real(url, warehouse, path, environment)
    )

    house.apply()

    for one in house.fake.databases.values():
        assert one["details"]["ssl-mode"] == "verify-full"
        assert one["details"]["ssl-root-cert-value"] == root.read_text()
    root.write_text(f"{root.read_text()}-----BEGIN CERTIFICATE-----\nMIIC\n-----END CERTIFICATE-----\n")
    assert len(house.plan().of("database")) == 3  # a new certificate goes to all


def test_a_secret_that_metabase_repeats_is_not_shown(applied: House) -> None:
    password = "password-of-role_dana_whitfield"
    applied.roles["dana@example.com"].add("role_dana_w")
    applied.query("update ops.logins set role_name = 'role_dana_w' where rep_name = %s", DANA)
    applied.fake.whoami["role_dana_w"] = DANA
    path = f"/api/database/{applied.fake.named('databases', f'Sales of {DANA}')['id']}"
    applied.fake.answers = [("put", path, 400, {"message": f"bad login role_dana_w/{password}"})]

    with pytest.raises(MetabaseError) as caught:
        applied.apply()

    assert password not in str(caught.value)
    assert "bad login role_dana_w/…" in caught.value.problem


def test_no_password_is_in_logs_books_or_what_is_reported(
    house: House, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level("DEBUG")
    told: list[str] = []
    report = provisioning.apply_all(house.workplace, told.append, hand_out="all")

    books = str(house.query("select * from ops.metabase_objects"))
    shown = " ".join([caplog.text, *capfd.readouterr(), books, repr(report), repr(house.workplace), *told])
    secrets = [house.secrets.get(name) or "" for name in house.secrets.names()]
    for secret in [PASSWORD, *secrets, *(link.password for link in report.links)]:
        assert secret not in shown


def test_it_logs_in_once_and_never_again(applied: House) -> None:
    applied.apply()
    applied.plan()

    logins = [one for one in applied.fake.requests if one[:2] == ("post", "/api/session")]
    assert len(logins) == 1
    assert applied.fake.sessions.keys() == set() or len(applied.fake.sessions) <= 1


def test_too_many_logins_are_a_sentence(applied: House) -> None:
    applied.fake.failed_logins = 9
    for name in applied.secrets.names():
        if name.startswith("metabase/"):
            applied.secrets.delete(name)

    with pytest.raises(MetabaseError, match="SHS_METABASE_PASSWORD"):
        applied.apply()


def test_an_address_where_nothing_answers_is_a_sentence(house: House) -> None:
    house.fake.url = "http://127.0.0.1:9"

    with pytest.raises(MetabaseError, match="SHS_METABASE_URL"):
        house.apply()


def test_the_administrator_who_set_it_up_stays_one_as_a_rep_and_it_is_said(house: House) -> None:
    house.join("Ops Person", "user", USER)
    house.fake.after_each = None
    house.apply()

    assert any("administrator of Metabase" in note for note in house.plan().notes)
    assert house.fake.user(USER)["is_superuser"]


def test_two_applies_at_once_take_turns(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shs_pipeline.metabase.state.LOCK_SECONDS", 1)
    with house.connect() as other:
        house.apply()
        other.autocommit = False
        other.execute("select from ops.metabase_objects where kind = 'lock' for update")

        with pytest.raises(ShsError, match="Another process"):
            house.apply()


def test_each_body_was_held_against_metabases_own_document() -> None:
    if not openapi():
        pytest.skip("Metabase's OpenAPI document is not there: set METABASE_OPENAPI to its path")
    assert len(openapi()["paths"]) > 300


def test_the_words_of_a_plan_name_no_ids(house: House) -> None:
    assert not [one.words for one in house.plan().changes if re.search(r"rep/\d", one.name)]
