"""A mail: one notice, or a digest of several, with the error workbooks of rejected files."""

from __future__ import annotations

import email.policy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import formatdate, parseaddr
from pathlib import PurePosixPath

from shs_pipeline.base.errors import ShsError
from shs_pipeline.notices.texts import one_line, subject_line

MOST_ATTACHED_BYTES = 5 * 2**20
"""All attachments of a mail together; many servers take 10 MB, and a mail grows by a third."""
MOST_ATTACHED = 10
_IN_FULL = 25
_BY_SUBJECT = 200
_XLSX = ("application", "vnd.openxmlformats-officedocument.spreadsheetml.sheet")
_KINDS = {
    "rejected_file": "rejected",
    "failed_run": "failed",
    "missing_source": "missing",
    "published_month": "published",
    "published": "published",
    "metabase": "about Metabase",
}


@dataclass(frozen=True)
class Item:
    """A notice as it appears in a mail; attachment is a path in the landing zone, links are secret."""

    kind: str
    subject: str
    body: str
    attachment: str | None = None
    links: str = field(default="", repr=False)


def compose(
    items: Sequence[Item],
    *,
    sender: str,
    recipient: str,
    message_id: str,
    read: Callable[[str], bytes | None],
) -> EmailMessage:
    """Return the mail of one or more notices.

    Args:
        message_id: the same for the same notices, so that a mail that is sent twice is shown once.
        read: returns what lies at a path of the landing zone, None where nothing does.

    Raises:
        ValueError: the address of the recipient can stand in no header.
    """
    attachments = _attachments(items, read)
    parts = [_section(item, item.attachment in attachments) for item in items[:_IN_FULL]]
    if len(items) > _IN_FULL:
        parts.append(_rest(items[_IN_FULL:]))
    message = _envelope(sender, recipient, _subject(items), message_id)
    rule = f"\n\n{'-' * 60}\n\n"
    message.set_content(
        rule.join(parts) + "\n\n-- \nSales Performance Tracker. Please do not reply: nobody reads replies to "
        "this mail.\n"
    )
    for path, content in attachments.items():
        name = one_line(PurePosixPath(path).name)
        message.add_attachment(content, maintype=_XLSX[0], subtype=_XLSX[1], filename=name)
    return message


def compose_test(sender: str, recipient: str, message_id: str) -> EmailMessage:
    """Return a mail that says that mail works.

    Raises:
        ValueError: the address of the recipient can stand in no header.
    """
    message = _envelope(sender, recipient, "Test: notices reach you", message_id)
    message.set_content(
        "This is a test mail from the Sales Performance Tracker. Its notices will reach you "
        "at this address.\n"
    )
    return message


def _envelope(sender: str, recipient: str, subject: str, message_id: str) -> EmailMessage:
    message = EmailMessage(policy=email.policy.SMTP)
    name, address = parseaddr(sender)
    message["From"] = Address(name, addr_spec=address)
    message["To"] = _address(recipient)
    message["Subject"] = subject
    message["Date"] = formatdate()
    message["Message-ID"] = message_id
    # So that nobody's absence note answers.
    message["Auto-Submitted"] = "auto-generated"
    return message


def _address(text: str) -> Address:
    local, _, domain = text.rpartition("@")
    if not local or not domain or one_line(text) != text or " " in text:
        raise ValueError("is no address")
    return Address(username=local, domain=domain)


def _subject(items: Sequence[Item]) -> str:
    if len(items) == 1:
        return items[0].subject
    counts: dict[str, int] = {}
    for item in items:
        kind = _KINDS.get(item.kind, item.kind)
        counts[kind] = counts.get(kind, 0) + 1
    return subject_line(
        f"{len(items)} notices: {', '.join(f'{count} {kind}' for kind, count in counts.items())}"
    )


def _section(item: Item, is_attached: bool) -> str:
    lines = [item.subject, "", item.body]
    if item.links:
        lines += ["", item.links]
    if item.attachment is not None:
        how = "attached, and in the landing zone" if is_attached else "in the landing zone"
        lines += ["", f"Error workbook ({how}): {one_line(item.attachment)}"]
    return "\n".join(lines)


def _rest(items: Sequence[Item]) -> str:
    lines = [f"And {len(items)} more:", *(f"- {item.subject}" for item in items[:_BY_SUBJECT])]
    if len(items) > _BY_SUBJECT:
        lines.append(f"- … and {len(items) - _BY_SUBJECT} more; shs errors lists all rejected files.")
    return "\n".join(lines)


def _attachments(items: Sequence[Item], read: Callable[[str], bytes | None]) -> dict[str, bytes]:
    """Return what fits, in the order of the notices; the rest is named by its path."""
    found: dict[str, bytes] = {}
    room = MOST_ATTACHED_BYTES
    for item in items[:_IN_FULL]:
        if item.attachment is None or item.attachment in found or len(found) >= MOST_ATTACHED:
            continue
        try:
            content = read(item.attachment)
        except ShsError:
            continue  # the bucket is away: the mail goes without
        if content and len(content) <= room:
            found[item.attachment] = content
            room -= len(content)
    return found
