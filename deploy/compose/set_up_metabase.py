"""Make `SHS_METABASE_USER` the administrator of a new Metabase before anybody else can reach it."""

from __future__ import annotations

import sys

from shs_pipeline.base.errors import ShsError
from shs_pipeline.base.months import today
from shs_pipeline.metabase.client import MetabaseClient, MetabaseError, wait_until_ready
from shs_pipeline.metabase.sign_in import Account, sign_in
from shs_pipeline.metabase.versions import check_version
from shs_pipeline.settings.secret_store import secret_store
from shs_pipeline.settings.settings import Settings, load_settings

WAIT_SECONDS = 300


def main() -> None:
    """Set Metabase up unless it is, and say so."""
    try:
        if set_up(load_settings()):
            print("Metabase is set up.")
    except ShsError as error:
        sys.exit(f"{error.problem} {error.remedy}")


def set_up(settings: Settings) -> bool:
    """Set Metabase up and return whether that was to be done.

    Raises:
        ShsError: Metabase does not answer, is of a version that is refused, or refuses the account.
    """
    client = MetabaseClient(settings.metabase_url)
    properties = wait_until_ready(client, WAIT_SECONDS)
    # Of one that was upgraded too: the front publishes it only where this ends well.
    check_version(properties, today())
    if properties.get("has-user-setup", True):
        return False
    account = Account(settings.metabase_user, settings.metabase_password)
    try:
        sign_in(client, properties, account, secret_store(settings), may_write=True)
    except MetabaseError:
        # A build of the marts that ended just now may have been quicker.
        if not wait_until_ready(client, WAIT_SECONDS).get("has-user-setup"):
            raise
    return True


if __name__ == "__main__":
    main()
