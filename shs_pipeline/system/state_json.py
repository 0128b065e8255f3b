"""The state of everything for programs: `shs status --json`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from shs_pipeline.system.state import State, concerns

if TYPE_CHECKING:
    from shs_pipeline.closing.checklist import OpenPeriod
    from shs_pipeline.ingest.overview import Overview
    from shs_pipeline.settings.settings import Settings


def state_as_json(settings: Settings, state: State) -> dict[str, Any]:
    """Return the state for programs."""
    return {
        "landing": state.landing,
        "database": state.database,
        "ui": state.ui,
        "home": str(settings.home),
        "attention": [{"what": concern.what, "command": concern.command} for concern in concerns(state)],
        "marts": {
            "publication": state.publication.publication_id,
            "published_at": state.publication.published_at.isoformat(),
            "is_current": state.is_published,
        }
        if state.publication
        else None,
        **_overview_as_json(state.overview),
        "notices": [
            {
                "created_at": notice.created_at.isoformat(),
                "kind": notice.kind,
                "recipients": notice.recipients,
                "subject": notice.subject,
                "standing": notice.standing,
            }
            for notice in state.notices
        ],
        "waiting": list(state.waiting) if state.waiting is not None else None,
        "uncredited_lines": state.uncredited.lines if state.uncredited else 0,
        "uncredited_sales": str(state.uncredited.sales) if state.uncredited else "0.00",
        "findings": {"count": state.findings[0], "amount": str(state.findings[1])},
        "stopped": list(state.stopped),
        "trouble": str(state.trouble) if state.trouble else None,
        "held": str(state.held) if state.held else None,
        "unwritten": str(state.unwritten) if state.unwritten else None,
        "paid": list(state.paid),
        "printed_totals": [{"path": found.path, "problem": found.words} for found in state.differing],
        "held_build": state.held_build.problem if state.held_build else None,
        "pay_periods": _period_as_json(state.period) if state.period else None,
        "held_closes": [{"month": month, "problem": problem} for month, problem in state.held_closes],
        "edited_closes": [{"month": month, "problem": problem} for month, problem in state.edited_closes],
        "dagster_books": asdict(state.books) if state.books else None,
    }


def _period_as_json(period: OpenPeriod) -> dict[str, Any]:
    from shs_pipeline.base.months import month_text

    return {
        "closed": month_text(period.closed),
        "open": month_text(period.month) if period.month else None,
        "pay_date": period.pay_date.isoformat() if period.pay_date else None,
        "obstacles": [obstacle.problem for obstacle in period.obstacles],
    }


def _overview_as_json(overview: Overview) -> dict[str, Any]:
    from shs_pipeline.base.months import month_text

    return {
        "months": [
            {
                "source": month.source,
                "month": month_text(month.month),
                "state": month.state,
                "files_loaded": month.loaded,
                "files_rejected": month.rejected,
                "lines": month.lines,
            }
            for month in overview.months
        ],
        "reference": [
            {
                "table": entry.table,
                "in_force_from": entry.in_force_from.isoformat() if entry.in_force_from else None,
                "lines": entry.lines,
            }
            for entry in overview.tables
        ],
        "rejected": [
            {
                "path": file.path,
                "errors": file.error_count,
                "problem": file.first.problem,
                "remedy": file.first.remedy,
                "error_workbook": file.error_workbook,
            }
            for file in overview.rejected
        ],
    }
