"""The picture of the rooms in the docs, against the order that is held and the imports that there are."""

from __future__ import annotations

import ast
import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.conftest import LONGEST

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "shs_pipeline"


def picture(text: str) -> list[list[str]]:
    """The rooms as drawn, line by line from the top."""
    drawn = re.search(r"<!-- rooms:.*?```text\n(.*?)```", text, re.DOTALL)
    assert drawn, "the picture is gone"
    return [re.split(r" {2,}", line)[0].split(" | ") for line in drawn[1].splitlines()]


def imports() -> Iterator[tuple[str, str, str]]:
    """Each import from one room into another: module, its room, the room of what it imports."""
    for path in PACKAGE.rglob("*.py"):
        room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("shs_pipeline."):
                other = (node.module or "").split(".")[1]
                if other != room:
                    yield str(path.relative_to(ROOT)), room, other


@pytest.fixture
def floors() -> dict[str, int]:
    drawn = picture((ROOT / "docs/how-it-works.md").read_text())
    return {room: floor for floor, rooms in enumerate(drawn) for room in rooms}


def test_the_picture_is_the_order_that_is_held() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    held = next(contract["layers"] for contract in contracts if contract.get("exhaustive"))

    drawn = picture((ROOT / "docs/how-it-works.md").read_text())

    assert drawn == [line.split(" | ") for line in held]


def test_the_picture_shows_every_room_and_nothing_else(floors: dict[str, int]) -> None:
    rooms = {path.parent.name for path in PACKAGE.glob("*/__init__.py")} | {"definitions"}

    assert set(floors) == rooms


def test_every_import_runs_down_the_picture(floors: dict[str, int]) -> None:
    found = list(imports())

    assert len(found) > 100
    assert [one for one in found if floors[one[2]] <= floors[one[1]]] == []


def test_a_room_says_what_lives_there_and_holds_no_code() -> None:
    for path in PACKAGE.rglob("__init__.py"):
        tree = ast.parse(path.read_text())
        assert ast.get_docstring(tree), path
        if path.parent != PACKAGE:
            assert len(tree.body) == 1, f"{path} holds more than its docstring"


def test_another_order_would_be_seen() -> None:
    text = (ROOT / "docs/how-it-works.md").read_text()
    drawn = picture(text)
    swapped = {room: floor for floor, rooms in enumerate(reversed(drawn)) for room in rooms}

    assert [one for one in imports() if swapped[one[2]] <= swapped[one[1]]]


# --- limits -------------------------------------------------------------------------------

MODULE_LINES, FUNCTION_LINES, SHARE_OF_A_ROOM = 400, 40, 0.1
"""Of a module all lines; of a function those of its body that are code, its inner functions apart."""


def modules() -> dict[Path, str]:
    return {
        path.relative_to(ROOT): path.read_text()
        for folder in ("shs_pipeline", "assets", "sensors")
        for path in sorted((ROOT / folder).rglob("*.py"))
    }


def long_functions(text: str) -> list[tuple[str, int]]:
    """The functions above the limit, each with the lines of code of its body."""
    tree = ast.parse(text)
    code = {n for n, line in enumerate(text.splitlines(), 1) if line.strip() and line.strip()[0] != "#"}
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    found = []
    for function in (node for node in ast.walk(tree) if isinstance(node, kinds)):
        body = function.body[1:] if ast.get_docstring(function) else function.body
        own = set().union(*(range(one.lineno, (one.end_lineno or 0) + 1) for one in body)) & code
        for inner in ast.walk(function):
            if isinstance(inner, kinds) and inner is not function:
                own -= set(range(inner.lineno, (inner.end_lineno or 0) + 1))
        if len(own) > FUNCTION_LINES:
            found.append((function.name, len(own)))
    return found


def large_rooms(lines: dict[Path, int]) -> list[tuple[str, int]]:
    """The rooms with more than their share of all lines, each with the folders inside of it."""
    rooms: Counter[str] = Counter()
    for path, count in lines.items():
        rooms["/".join(path.parts[:2])] += count
    return [(room, count) for room, count in rooms.items() if count > SHARE_OF_A_ROOM * rooms.total()]


def test_no_module_is_longer_than_is_read_in_one_go() -> None:
    counts = {path: len(text.splitlines()) for path, text in modules().items()}

    assert len(counts) > 100
    assert {str(path): count for path, count in counts.items() if count > MODULE_LINES} == {}


def test_no_function_is_longer_than_a_page() -> None:
    found = {str(path): long for path, text in modules().items() if (long := long_functions(text))}

    assert found == {}


def test_no_room_has_more_than_a_tenth_of_the_lines() -> None:
    assert large_rooms({path: len(text.splitlines()) for path, text in modules().items()}) == []


def test_what_is_too_long_is_found() -> None:
    body = "    step()\n" * 40
    inner = "    def inner():\n        step()\n"
    words = '    """What it\n    does."""\n\n    # And why.\n'
    assert long_functions(f"def fits():\n{words}{inner}{body}") == []
    assert long_functions(f"def long():\n    step()\n{body}") == [("long", 41)]

    rooms = {Path(f"package/room{n}/module.py"): 10 for n in range(10)}
    assert large_rooms(rooms) == []
    assert large_rooms({**rooms, Path("package/room1/inner/other.py"): 1}) == [("package/room1", 11)]


# --- tests --------------------------------------------------------------------------------


def test_tests_lie_in_folders_named_as_the_rooms() -> None:
    rooms = {path.parent.name for path in PACKAGE.glob("*/__init__.py")} | {"assets", "sensors"}
    others = {"cases", "containers", "engine", "helpers"}
    folders = {path.parent.name for path in (ROOT / "tests").glob("*/*") if path.suffix != ".pyc"}

    assert folders - {"__pycache__"} <= rooms | others


def test_what_is_begun_first_is_there() -> None:
    assert [name for name in LONGEST if not (ROOT / name).is_file()] == []


def test_no_property_fails_because_the_machine_is_busy() -> None:
    assert settings().deadline is None
    assert HealthCheck.too_slow in settings().suppress_health_check
