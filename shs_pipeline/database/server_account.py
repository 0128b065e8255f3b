"""The user that the embedded server runs as, and how that user can reach its files.

Root may not run PostgreSQL. Then the server runs as the owner of the data folder or of
`<home>`, or, when that is root too, as `postgres` or `nobody`. Such a user cannot enter a checkout
that is below a folder of mode 700 (`/root`, a temporary clone). Widening the folder's mode would
open it to everybody, and a copy elsewhere would put state outside `<home>`, so the
server gets one Linux capability for this case only: `CAP_DAC_READ_SEARCH`, to walk through
folders; it still writes only what it owns. `setpriv` hands it over as an ambient capability, with
`no_setuid_fixup` set, because access(2) of a non-root user ignores capabilities otherwise and
initdb finds its programs with access(2). Where the capability is not to be had (a container
without it) the error says which folder to choose instead.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from shs_pipeline.base.errors import ShsError


@dataclass(frozen=True)
class Account:
    """A user of this machine that is not root."""

    name: str
    uid: int
    gid: int


def find_account(data: Path, home: Path) -> Account | None:
    """Return the unprivileged user for the server, None when the current user runs it.

    Raises:
        ShsError: the data folder is somebody else's, or root finds nobody to run it as.
    """
    if os.geteuid() != 0:
        refuse_others(data)
        return None
    owners = [folder.stat().st_uid if folder.exists() else None for folder in (data, home)]
    for candidate in (*owners, "postgres", "nobody"):
        found = _account(candidate)
        if found is not None:
            return found
    raise ShsError(
        "PostgreSQL does not run as root, and this machine has neither a user postgres nor a user nobody.",
        "Create one (useradd --system postgres), or make an ordinary user the owner of SHS_HOME.",
    )


def refuse_others(data: Path) -> None:
    """Let nobody but its owner, or root, use a data folder.

    Raises:
        ShsError: it belongs to another user than the current one.
    """
    owner = data.stat().st_uid if data.exists() else None
    if os.geteuid() not in (0, owner) and owner is not None:
        raise ShsError(
            f"The data folder {data} belongs to the user {_user_name(owner)}.",
            f"Run this as {_user_name(owner)} or root, or set SHS_HOME to one of your own folders.",
        )


def dropping_to(account: Account) -> dict[str, object]:
    """Return the arguments by which subprocess runs a command as that user."""
    return {"user": account.uid, "group": account.gid, "extra_groups": []}


def find_passage(account: Account, programs: Path, home: Path) -> list[str]:
    """Return the command in front that lets the user walk to its files, empty when it can.

    Raises:
        ShsError: it cannot, and this process has no right to let it.
    """
    if can_reach(account, [], programs, home):
        return []
    passage = _capability_command(account)
    if shutil.which("setpriv") and can_reach(account, passage, programs, home):
        return passage
    raise ShsError(
        f"PostgreSQL runs as the user {account.name}, not as root, and {account.name} cannot reach "
        f"{home} or {programs} because a parent folder is closed to other users.",
        "Set SHS_HOME to a folder that every user can enter, such as /srv/shs, and install there too (or set "
        "SHS_PG_BIN); or run this as an ordinary user.",
    )


def can_reach(account: Account, passage: Sequence[str], programs: Path, home: Path) -> bool:
    """Whether the user, with that command in front, can run the programs and enter the home."""
    # Asked of the system itself, by trying: modes alone do not know ACLs and mounts.
    here = f'"{programs / "postgres"}" --version && cd "{home}"'
    dropped = {} if passage else dropping_to(account)
    try:
        tried = subprocess.run(
            [*passage, "/bin/sh", "-c", here],
            cwd="/",
            capture_output=True,
            check=False,
            **dropped,  # type: ignore[call-overload]
        )
    except OSError:
        return False
    return bool(tried.returncode == 0)


def _capability_command(account: Account) -> list[str]:
    only = "-all,+dac_read_search"
    return [
        "setpriv", f"--reuid={account.uid}", f"--regid={account.gid}", "--clear-groups",
        f"--inh-caps={only}", f"--ambient-caps={only}", f"--bounding-set={only}",
        "--securebits=+no_setuid_fixup", "--no-new-privs",
    ]  # fmt: skip


def _account(candidate: int | str | None) -> Account | None:
    if candidate is None or candidate == 0:
        return None
    try:
        entry = pwd.getpwuid(candidate) if isinstance(candidate, int) else pwd.getpwnam(candidate)
    except KeyError:
        return None
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
