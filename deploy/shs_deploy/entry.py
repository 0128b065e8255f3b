"""Who gets in: the networks that reach the load balancer, and the identity provider behind it."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shs_deploy.context import HOST, ConfigError, flag, matching, several, together

EVERYWHERE = "everywhere"
"""What `allowed_networks` says where every address may reach the load balancer."""

ASSIGNED = "assigned by the provider"
"""What `dagster_group` says where the identity provider itself keeps out whoever is not assigned."""

_EVERY_ADDRESS = "0.0.0.0/0"
# The private networks have 8 bits; wider than that is not a company's.
_WIDEST = 8
OIDC = ("issuer", "authorization_endpoint", "token_endpoint", "user_info_endpoint", "client_id", "secret")


@dataclass(frozen=True)
class Oidc:
    """The identity provider that lets people in; `secret` is the name or ARN of the client's secret.

    Attributes:
        scope: what is asked of the provider, such as `openid groups`.
    """

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    user_info_endpoint: str
    client_id: str
    secret: str
    scope: str = "openid"


@dataclass(frozen=True)
class Group:
    """Who of the people whom the provider knows may see Dagster's UI.

    Attributes:
        name: as the provider writes it into the claim.
        claim: the claim of the user-info endpoint that lists a person's groups.
    """

    name: str
    claim: str


def networks(context: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the networks that reach the load balancer, which somebody has to decide."""
    if "allowed_networks" not in context:
        raise ConfigError(
            "allowed_networks is not set. Add it to deploy/environments/<environment>.json: the networks "
            'of your offices or VPN, such as ["203.0.113.0/24"], or "everywhere". Who may reach the login of '
            "Metabase is for you to decide; docs/deploy.md lists the settings."
        )
    found = several(context["allowed_networks"])
    if EVERYWHERE in found:
        if len(found) > 1:
            raise ConfigError(
                f"allowed_networks names networks as well as {EVERYWHERE}. Keep either the networks or "
                "the word."
            )
        return (_EVERY_ADDRESS,)
    return tuple(_network(text) for text in found)


def _network(text: str) -> str:
    try:
        network = ipaddress.IPv4Network(text)
    except ValueError as error:
        raise ConfigError(
            f"allowed_networks holds {text!r}, which is not an IPv4 network ({error}). Write networks such "
            f"as 203.0.113.0/24, or say {EVERYWHERE}."
        ) from None
    if network.prefixlen < _WIDEST:
        raise ConfigError(
            f"allowed_networks holds {text}, which is a large part of the internet. Name your own "
            f"networks, or say {EVERYWHERE} if that is what you mean."
        )
    return str(network)


def dagster_host(context: Mapping[str, Any]) -> str:
    """Return the host name of Dagster's UI, empty where nobody reaches it by the load balancer."""
    if "dagster_host" not in context:
        return ""
    if "oidc_issuer" not in context:
        raise ConfigError(
            "dagster_host is set, and oidc_issuer is not: Dagster's UI has no login of its own, and would be "
            "open to everybody. Set the oidc_… values, or remove dagster_host and use an SSM session."
        )
    return matching("dagster_host", str(context["dagster_host"]), HOST)


def dagster_group(context: Mapping[str, Any]) -> Group | None:
    """Return the group that Dagster's UI is for; the load balancer would let in everybody it can name."""
    if "dagster_host" not in context:
        for key in ("dagster_group", "dagster_group_claim"):
            if key in context:
                raise ConfigError(f"{key} is set, and dagster_host is not. Set both, or neither.")
        return None
    if "dagster_group" not in context:
        raise ConfigError(
            "dagster_host is set, and dagster_group is not: everybody whom your provider knows could "
            "start and delete runs. Name the group of those who may; or, where the provider itself lets only "
            f'assigned people use this client, say "{ASSIGNED}".'
        )
    name = matching("dagster_group", str(context["dagster_group"]), r"[^\x00-\x1f\x7f]{1,256}")
    if name == ASSIGNED:
        return None
    claim = matching(
        "dagster_group_claim", str(context.get("dagster_group_claim", "groups")), r"[!-~]{1,128}"
    )
    return Group(name, claim)


def oidc(context: Mapping[str, Any]) -> Oidc | None:
    """Return the identity provider, None where nothing is behind one."""
    is_for_metabase = flag(context, "metabase_oidc")
    if not together(context, tuple(f"oidc_{part}" for part in OIDC)):
        if is_for_metabase:
            raise ConfigError("metabase_oidc is true, and oidc_issuer is not set. Set the oidc_… values too.")
        return None
    if "dagster_host" not in context and not is_for_metabase:
        raise ConfigError(
            "oidc_issuer is set, and nothing uses it. Set the host name of Dagster's UI (dagster_host), or "
            "metabase_oidc to true, or remove the oidc_… values."
        )
    for part in OIDC[:4]:
        matching(f"oidc_{part}", str(context[f"oidc_{part}"]), r"https://\S+")
    scope = matching("oidc_scope", str(context.get("oidc_scope", "openid")), r"openid( [!-~]+)*")
    return Oidc(*(str(context[f"oidc_{part}"]) for part in OIDC), scope)
