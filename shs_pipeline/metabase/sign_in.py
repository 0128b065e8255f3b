"""Sign in to Metabase: set it up once, log in once, and from then on use our own API key.

Metabase counts logins and refuses too many of them. The key is kept with the other secrets, by the
address that it belongs to, so that it is never sent to another one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from pydantic import SecretStr

from shs_pipeline.base.errors import ShsError
from shs_pipeline.metabase.client import ApiKey, MetabaseClient, MetabaseError, Session
from shs_pipeline.settings.secret_store import SecretStore

KEY_NAME = "shs"
SITE_NAME = "Sales performance"


@dataclass(frozen=True)
class Account:
    """Who signs in, from the settings.

    Attributes:
        api_key: instead of user and password.
    """

    user: str = ""
    password: SecretStr | None = None
    api_key: SecretStr | None = None


def sign_in(
    client: MetabaseClient,
    properties: Mapping[str, Any],
    account: Account,
    secrets: SecretStore,
    *,
    may_write: bool,
) -> MetabaseClient | None:
    """Return a client that may do everything; None where nobody set this Metabase up and may not now.

    Args:
        properties: `/api/session/properties`.
        may_write: set a fresh Metabase up, and make an API key of our own.

    Raises:
        MetabaseError: the account is refused.
        ShsError: the settings name no account, or one that may not administrate.
    """
    if account.api_key is not None:
        return _checked(client.signed(ApiKey(account.api_key.get_secret_value())))
    known = _with_kept_key(client, secrets)
    if known is not None:
        return known
    if not account.user or account.password is None:
        raise ShsError(
            "No Metabase account is configured, and shs has no stored API key.",
            "Set SHS_METABASE_USER and SHS_METABASE_PASSWORD, or SHS_METABASE_API_KEY.",
        )
    client.never_shown(account.password.get_secret_value())
    if not properties.get("has-user-setup", True):
        if not may_write:
            return None
        _set_up(client, properties, account)
    session = _checked(client.signed(Session(_log_in(client, account))))
    if not may_write:
        return session
    key = _own_key(session)
    secrets.put(key_secret(client.url), key)
    session.delete("/api/session", "log out")
    return _checked(client.signed(ApiKey(key)))


def _with_kept_key(client: MetabaseClient, secrets: SecretStore) -> MetabaseClient | None:
    """Return a client with the key that an earlier apply made, None where it is gone or revoked."""
    stored = secrets.get(key_secret(client.url))
    if stored is None:
        return None
    try:
        return _checked(client.signed(ApiKey(stored)))
    except MetabaseError as error:
        if error.status != 401:
            raise
        return None


def key_secret(url: str) -> str:
    """Return the name under which the API key of an address is kept."""
    return f"metabase/{sha256(url.encode()).hexdigest()[:12]}/api-key"


def give_back_key(client: MetabaseClient, secrets: SecretStore) -> None:
    """Delete the API key that shs made for itself; the last call of its client."""
    for key in client.get("/api/api-key", "list API keys"):
        if key.get("name") == KEY_NAME and secrets.get(key_secret(client.url)) is not None:
            client.delete(f"/api/api-key/{key['id']}", "delete the API key of shs")
    secrets.delete(key_secret(client.url))


def _set_up(client: MetabaseClient, properties: Mapping[str, Any], account: Account) -> None:
    assert account.password is not None
    token = properties.get("setup-token")
    if not token:
        raise ShsError(
            "This Metabase is not set up, but does not show a setup token.",
            "Open it in a browser and finish its set-up with SHS_METABASE_USER and SHS_METABASE_PASSWORD.",
        )
    client.never_shown(str(token))
    client.post(
        "/api/setup",
        {
            "token": token,
            "user": {"first_name": "Metabase", "last_name": "Administrator", "email": account.user,
                     "password": account.password.get_secret_value()},
            "prefs": {"site_name": SITE_NAME, "site_locale": "en"},
        },
        "be set up",
    )  # fmt: skip


def _log_in(client: MetabaseClient, account: Account) -> str:
    assert account.password is not None
    body = {"username": account.user, "password": account.password.get_secret_value()}
    return str(client.post("/api/session", body, f"let {account.user} in")["id"])


def _checked(client: MetabaseClient) -> MetabaseClient:
    user = client.get("/api/user/current", "say who shs is")
    if not user.get("is_superuser"):
        raise ShsError(
            "The account that shs uses in Metabase is not an administrator.",
            "Use an account or a key from Metabase's group Administrators.",
        )
    return client


def _own_key(session: MetabaseClient) -> str:
    """Return the value of our key, a new one or, where one of its name is there, a new value of it."""
    listed = session.get("/api/api-key", "list API keys")
    mine = next((key for key in listed if key.get("name") == KEY_NAME), None)
    if mine is not None:
        found = session.put(f"/api/api-key/{mine['id']}/regenerate", {}, "renew the API key of shs")
    else:
        groups = session.get("/api/permissions/group", "list its groups")
        admin = next((one["id"] for one in groups if one.get("magic_group_type") == "admin"), 2)
        body = {"name": KEY_NAME, "group_id": admin}
        found = session.post("/api/api-key", body, "make an API key for shs")
    return str(found["unmasked_key"])
