"""Who is who: a payee keeps the id whatever the name, and nobody gets another one's."""

from __future__ import annotations

import pytest

from shs_pipeline.marts.identities import ListedRep, Payees, Rename, new_id

ANN = ListedRep("Ann Gray", "ann@example.com")
BO = ListedRep("Bo Marsh", "bo@example.com")


def after(*versions: list[ListedRep] | Rename) -> Payees:
    """The payees after versions of sales_reps, and of aliases with one rename."""
    payees = Payees()
    for version in versions:
        if isinstance(version, Rename):
            payees.follow(None, [version])
        else:
            payees.follow(version, None)
    return payees


def id_of_ann() -> str:
    return after([ANN, BO]).listed["ann gray"]


@pytest.mark.parametrize(
    "renamed",
    [
        ListedRep("Ann Moss", "ANN@example.com"),
        ListedRep("Ann Gray", "ann.moss@example.com"),
        ListedRep("ANN GRAY"),
        ListedRep("Ann Moss", "ann.moss@example.com", id_of_ann().lower()),
    ],
    ids=["by address", "by name", "by name without an address", "by id"],
)
def test_a_person_is_known_again(renamed: ListedRep) -> None:
    payees = after([ANN, BO], [BO, renamed])

    assert payees.listed[renamed.name_key] == id_of_ann()
    assert payees.resolved()["ann gray"] == id_of_ann()


def test_a_person_who_comes_back_has_the_old_id() -> None:
    payees = after([ANN, BO], [BO], [BO, ANN])

    assert payees.listed["ann gray"] == id_of_ann()


def test_a_new_name_and_a_new_address_are_a_new_person() -> None:
    payees = after([ANN, BO], [BO, ListedRep("Ann Moss", "ann.moss@example.com")])

    assert payees.listed["ann moss"] != id_of_ann()
    assert payees.resolved()["ann gray"] == id_of_ann()


@pytest.mark.parametrize("order", [1, -1])
def test_a_successor_with_the_address_does_not_get_the_id_of_whoever_is_still_listed(order: int) -> None:
    moved, successor = ListedRep("Ann Gray", "ann.g@example.com"), ListedRep("Cy Lee", "ann@example.com")
    payees = after([ANN, BO], [moved, successor][::order])

    assert payees.listed["ann gray"] == id_of_ann()
    assert payees.listed["cy lee"] not in (id_of_ann(), after([ANN, BO]).listed["bo marsh"])


def test_names_that_two_people_exchange_go_by_the_address() -> None:
    payees = after(
        [ANN, BO], [ListedRep("Bo Marsh", "ann@example.com"), ListedRep("Ann Gray", "bo@example.com")]
    )

    assert payees.listed["bo marsh"] == id_of_ann()


def test_a_namesake_who_comes_after_a_rename_is_another_person() -> None:
    payees = after(
        [ANN], [ListedRep("Ann Moss", "ann@example.com")],
        [ListedRep("Ann Moss", "ann@example.com"), ListedRep("Ann Gray", "new@example.com")],
    )  # fmt: skip

    assert payees.listed["ann moss"] == id_of_ann()
    assert payees.listed["ann gray"] not in (id_of_ann(), None)
    assert payees.resolved()["ann gray"] == payees.listed["ann gray"]


def test_a_typed_id_tells_a_namesake_apart() -> None:
    payees = after([ANN], [ListedRep("Ann Gray", "ann@example.com", "1007")])

    assert payees.listed["ann gray"] == "1007"
    assert list(payees.first_names) == [id_of_ann(), "1007"]


@pytest.mark.parametrize("is_alias_first", [True, False])
def test_an_alias_hands_the_id_on_whichever_workbook_comes_first(is_alias_first: bool) -> None:
    alias = Rename("ann gray", "ann moss")
    version = [BO, ListedRep("Ann Moss", "ann.moss@example.com")]
    payees = after([ANN, BO], *((alias, version) if is_alias_first else (version, alias)))

    assert payees.listed["ann moss"] == payees.resolved()["ann gray"] == id_of_ann()


def test_an_alias_between_two_people_moves_lines_and_no_id() -> None:
    payees = after([ANN, BO], [BO], Rename("ann gray", "bo marsh"))

    assert payees.listed["bo marsh"] == after([ANN, BO]).listed["bo marsh"] != id_of_ann()
    assert payees.resolved()["ann gray"] == payees.listed["bo marsh"]


def test_an_alias_of_nobody_stands_for_nobody() -> None:
    assert "a. gray" not in after([ANN], Rename("a. gray", "somebody")).resolved()


def test_ids_are_short_and_never_given_twice() -> None:
    taken: set[str] = set()
    for number in range(3000):
        taken.add(new_id("P", f"rep {number % 1500}", taken))

    assert len(taken) == 3000
    assert {len(one) for one in taken} == {7}
    assert new_id("P", "rep 1", ()) == new_id("P", "rep 1", ())
