"""The lines of the log that the alarms count: what the system writes, and how CloudWatch finds it.

The system writes one line for each event, somewhere in what it prints, that holds one of these texts
exactly so (`docs/notices.md`). What follows on the line is for people.
"""

from __future__ import annotations

RUN_FAILED = "SHS-EVENT run_failed"
SOURCE_STALE = "SHS-EVENT source_stale"
MAIL_FAILED = "SHS-EVENT mail_failed"
NOT_PUBLISHED = "SHS-EVENT not_published"
METABASE_VERSION = "SHS-EVENT metabase_version"

NAMESPACE = "SalesTracker"
"""The namespace of our own metrics in CloudWatch."""


def pattern(text: str) -> str:
    """Return the filter pattern that finds lines with this text in them.

    Example: `"SHS-EVENT run_failed"`, with the quotes, is a phrase that stands anywhere in a line.
    """
    return f'"{text}"'
