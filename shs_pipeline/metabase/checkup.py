"""What can go wrong with Metabase after set-up: the checks of `shs doctor`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

from shs_pipeline.base.errors import ShsError
from shs_pipeline.base.finding import Finding
from shs_pipeline.base.wording import count_of
from shs_pipeline.metabase.client import MetabaseClient, wait_until_ready
from shs_pipeline.metabase.desired import SETTINGS_OFF
from shs_pipeline.metabase.diff import difference, settings_left_on
from shs_pipeline.metabase.provisioning import Workplace, looking
from shs_pipeline.metabase.server import server_of
from shs_pipeline.metabase.situation import Situation
from shs_pipeline.metabase.versions import VersionWarning, judged, tag_of

if TYPE_CHECKING:
    from shs_pipeline.settings.settings import Settings

_PATIENCE_SECONDS = 5.0
_ANSWER_SECONDS = 30.0


def checkup(settings: Settings) -> Iterator[Finding]:
    """Yield each point as soon as it is known.

    Raises:
        ShsError: Metabase or the warehouse cannot be used.
    """
    if not settings.metabase_url:
        yield Finding("ok", "Metabase", "none is set")
        return
    wait = min(settings.database_wait_seconds, int(_PATIENCE_SECONDS))
    patient = settings.model_copy(update={"database_wait_seconds": wait})
    yield from examined(Workplace.from_settings(patient))


def examined(workplace: Workplace) -> Iterator[Finding]:
    """Yield the points of one Metabase.

    Raises:
        ShsError: Metabase or the warehouse cannot be used.
    """
    asked = MetabaseClient(workplace.url, pause_seconds=workplace.pause_seconds, seconds=_ANSWER_SECONDS)
    with closing(asked) as client:
        properties = wait_until_ready(client, min(workplace.wait_seconds, _PATIENCE_SECONDS))
    warning = judged(properties, workplace.today())
    yield _version(tag_of(properties), warning)
    yield _certificate(workplace)
    if warning is not None and warning.kind == "unsafe":
        return  # nothing is sent there that a hole could give away
    with looking(replace(workplace, wait_seconds=_PATIENCE_SECONDS)) as (situation, notes):
        if notes is None:
            yield Finding(
                "fail", "Metabase", "it is not set up, so whoever opens it first becomes its administrator.",
                "Run shs metabase apply before anybody else can reach it.",
            )  # fmt: skip
            return
        yield _sharing(situation)
        yield _mail(situation)
        yield from _contents(situation)


def _version(tag: str, warning: VersionWarning | None) -> Finding:
    if warning is None:
        return Finding("ok", "Metabase version", tag)
    remedy = warning.remedy or "docs/metabase.md lists the versions to use and explains how to upgrade."
    return Finding(
        "fail" if warning.kind == "unsafe" else "warn", "Metabase version", warning.problem, remedy
    )


def _certificate(workplace: Workplace) -> Finding:
    try:
        server = server_of(workplace.database_url, workplace.warehouse, workplace.root_certificate)
    except ShsError as error:
        return Finding("fail", "Metabase TLS", error.problem, error.remedy)
    by = server.certificate_path or ("a certificate that is sent along" if server.certificate else "")
    return Finding("ok", "Metabase TLS", f"sslmode={server.sslmode}{f', verified by {by}' if by else ''}")


def _sharing(situation: Situation) -> Finding:
    seen = situation.seen
    sharing = [name for name in SETTINGS_OFF if name.startswith(("enable-public", "enable-embedding"))]
    on = [name for name in sharing if seen.properties.get(name) is True]
    if not on:
        return Finding("ok", "Metabase sharing", "public links and embedding are off")
    found = f"switched on: {', '.join(on)}. Rows can be seen without logging in."
    fixed = [f"MB_{name.upper().replace('-', '_')}" for name in settings_left_on(seen) if name in on]
    if fixed:
        remedy = f"Set {', '.join(fixed)} to false in Metabase's environment, and restart it."
        return Finding("fail", "Metabase sharing", found, remedy)
    return Finding("fail", "Metabase sharing", found, "Run shs metabase apply to switch it off.")


def _mail(situation: Situation) -> Finding:
    if situation.seen.has_mail:
        return Finding("ok", "Metabase mail", "it sends its own mails")
    return Finding(
        "warn", "Metabase mail", "it sends no mail, so nobody can reset their own password.",
        "Set up SMTP in Metabase (Admin settings > Email), or hand out the links from shs metabase links.",
    )  # fmt: skip


def _contents(situation: Situation) -> Iterator[Finding]:
    plan = difference(situation)
    for said in plan.foreign:
        yield Finding(
            "fail", "Metabase contents", said,
            "Move it elsewhere in Metabase, then run shs metabase apply.",
        )  # fmt: skip
    for note in plan.notes:
        yield Finding("warn", "Metabase contents", note)
    if plan.changes:
        yield Finding(
            "warn", "Metabase contents", f"{count_of(len(plan.changes), 'change')} to be made.",
            "shs metabase plan lists them; shs metabase apply makes them.",
        )  # fmt: skip
    elif not plan.foreign:
        yield Finding("ok", "Metabase contents", "as people and dashboards ask for")
