"""Read and check the definition files; each problem names the file and the key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any

from pydantic import ValidationError

from shs_pipeline.base.errors import ShsError
from shs_pipeline.dashboards.model import Audience, Dashboard
from shs_pipeline.dashboards.rules import click_problems, dashboard_problems


@cache
def load_dashboards() -> tuple[Dashboard, ...]:
    """Return the dashboards of this package in their order.

    Raises:
        ShsError: a file is wrong; names the file and the key.
    """
    from shs_pipeline.dashboards.composition import COMMON

    folder = resources.files("shs_pipeline.dashboards")
    texts = {
        entry.name: entry.read_text(encoding="utf-8")
        for entry in folder.iterdir()
        if entry.name.endswith(".yml") and entry.name != COMMON
    }
    return read_dashboards(texts)


def dashboards_for(audience: Audience) -> tuple[Dashboard, ...]:
    """Return what an audience gets, in order."""
    return tuple(one.for_audience(audience) for one in load_dashboards() if audience in one.audience)


def read_dashboards(texts: Mapping[str, str]) -> tuple[Dashboard, ...]:
    """Read definitions, by file name.

    Raises:
        ShsError: one is wrong; names the file and the key.
    """
    found = {name: _read(name, text) for name, text in sorted(texts.items())}
    by_key = {dashboard.key: dashboard for dashboard in found.values()}
    for name, dashboard in found.items():
        if by_key[dashboard.key] is not dashboard:
            raise _wrong(name, f"key: {dashboard.key} is the key of another file")
        for card in dashboard.cards:
            for problem in click_problems(card, by_key):
                raise _wrong(name, f"cards.{card.key}.click: {problem}")
    return tuple(sorted(found.values(), key=lambda dashboard: (dashboard.order, dashboard.key)))


def _read(name: str, text: str) -> Dashboard:
    import yaml

    from shs_pipeline.dashboards.composition import compose

    try:
        content = yaml.safe_load(text)
        if not isinstance(content, dict):
            raise _wrong(name, "it holds no mapping")
        dashboard = Dashboard.model_validate(compose(content))
    except yaml.YAMLError as error:
        raise _wrong(name, " ".join(str(error).split())) from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(_step(content, first["loc"][: at + 1]) for at in range(len(first["loc"])))
        said = str(first["msg"]).removeprefix("Value error, ")
        raise _wrong(name, f"{place}: {said}" if place else said) from None
    except (KeyError, TypeError, ValueError) as error:
        raise _wrong(name, str(error)) from None
    for problem in dashboard_problems(dashboard):
        raise _wrong(name, problem)
    return dashboard


def _step(content: Any, path: Sequence[str | int]) -> str:
    """Return the last step of a path as people find it in the file: an entry's own key, not its number."""
    found = content
    for step in path:
        try:
            found = found[step]
        except (KeyError, IndexError, TypeError):
            return str(path[-1])
    is_entry = isinstance(path[-1], int) and isinstance(found, dict)
    return str(found.get("key", path[-1])) if is_entry else str(path[-1])


def _wrong(name: str, problem: str) -> ShsError:
    return ShsError(
        f"The dashboard definition {name} is wrong: {problem}.",
        f"Correct shs_pipeline/dashboards/{name}.",
    )
