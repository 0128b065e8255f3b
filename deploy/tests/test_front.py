from __future__ import annotations

import re
from fnmatch import fnmatchcase

import pytest

from test_network import ingress
from written import Json, Written, text


def listeners(system: Written) -> dict[int, Json]:
    found = system.resources("AWS::ElasticLoadBalancingV2::Listener").values()
    return {one["Properties"]["Port"]: one["Properties"] for one in found}


def listener_rules(system: Written) -> list[Json]:
    """Return the rules of the load balancer in the order in which it asks them."""
    found = system.resources("AWS::ElasticLoadBalancingV2::ListenerRule").values()
    return sorted((one["Properties"] for one in found), key=lambda rule: rule["Priority"])


def rules(system: Written) -> dict[str, list[Json]]:
    """Return what is done for each host whatever the path."""
    return {
        rule["Conditions"][0]["HostHeaderConfig"]["Values"][0]: rule["Actions"]
        for rule in listener_rules(system)
        if len(rule["Conditions"]) == 1
    }


def fits(paths: Json | None, path: str) -> bool:
    """Return whether a condition of paths fits; a rule without one is for all."""
    if paths is None:
        return True
    found = any(re.search(pattern, path) for pattern in paths.get("RegexValues", []))
    # Whether the load balancer looks for a part or the whole, its page does not say.
    assert found == any(re.fullmatch(pattern, path) for pattern in paths.get("RegexValues", []))
    return found or any(fnmatchcase(path, pattern) for pattern in paths.get("Values", []))


def first_rule(system: Written, host: str, path: str) -> Json:
    """Return the rule that the load balancer would follow, an empty one where none fits."""
    for rule in listener_rules(system):
        conditions = {one["Field"]: one for one in rule["Conditions"]}
        hosts = conditions["host-header"]["HostHeaderConfig"]["Values"]
        if host in hosts and fits(conditions.get("path-pattern", {}).get("PathPatternConfig"), path):
            return rule
    return {"Actions": [{"Type": "fixed-response"}]}


def answer(system: Written, host: str, path: str) -> str:
    """Return what is done in the end for a path of a host."""
    return str(first_rule(system, host, path)["Actions"][-1]["Type"])


def test_everything_is_served_with_tls_of_today_and_the_rest_is_sent_there(each: Written) -> None:
    https, http = listeners(each)[443], listeners(each)[80]
    assert https["Protocol"] == "HTTPS"
    assert https["SslPolicy"].startswith("ELBSecurityPolicy-TLS13")
    assert https["Certificates"]
    (redirect,) = http["DefaultActions"]
    assert redirect["RedirectConfig"] == {"Port": "443", "Protocol": "HTTPS", "StatusCode": "HTTP_301"}


def test_other_host_names_see_nothing(each: Written) -> None:
    (default,) = listeners(each)[443]["DefaultActions"]
    assert default["FixedResponseConfig"]["StatusCode"] == "404"


def test_without_oidc_dagsters_ui_is_behind_no_load_balancer(small: Written) -> None:
    assert set(rules(small)) == {"sales.example.com"}
    (webserver,) = [
        one["Properties"]
        for one in small.resources("AWS::ECS::Service").values()
        if one["Properties"]["ServiceName"] == "webserver"
    ]
    assert "LoadBalancers" not in webserver


def test_with_oidc_nobody_reaches_dagsters_ui_before_logging_in(medium: Written) -> None:
    first, second = sorted(rules(medium)["dagster.example.com"], key=lambda action: action["Order"])
    assert (first["Type"], second["Type"]) == ("authenticate-oidc", "forward")
    oidc = first["AuthenticateOidcConfig"]
    assert oidc["OnUnauthenticatedRequest"] == "authenticate"
    assert oidc["Issuer"] == "https://login.example.com"
    assert "resolve:secretsmanager:sales-tracker-oidc" in text(oidc["ClientSecret"])


def test_dagsters_ui_looks_at_the_group_of_whoever_asks(small: Written, medium: Written) -> None:
    environment = medium.environment("webserver")
    assert environment["DAGSTER_UI_GROUP"] == "tracker-admins"
    assert environment["DAGSTER_UI_GROUP_CLAIM"] == "groups"
    assert medium.container("webserver")["Command"][0] == "dagster-webserver"
    # Nothing but the load balancer reaches it, which writes the header that is believed.
    assert ingress(medium, "Webserver") == {("Balancer", 3000)}
    assert "DAGSTER_UI_GROUP" not in small.environment("webserver")


def test_metabase_can_be_behind_the_provider_too(large: Written) -> None:
    for path, unauthenticated in (("/dashboard/1", "authenticate"), ("/api/card/1/query", "deny")):
        first, second = first_rule(large, "sales.example.com", path)["Actions"]
        assert (first["Type"], second["Type"]) == ("authenticate-oidc", "forward")
        assert first["AuthenticateOidcConfig"]["OnUnauthenticatedRequest"] == unauthenticated
        assert first["AuthenticateOidcConfig"]["Scope"] == "openid groups"


def test_every_rule_that_passes_on_to_dagster_asks_for_a_login_first(medium: Written, large: Written) -> None:
    for system in (medium, large):
        leading = [
            rule["Actions"]
            for rule in listener_rules(system)
            if any("WebserverTarget" in text(one.get("TargetGroupArn", "")) for one in rule["Actions"])
        ]
        assert [actions[0]["Type"] for actions in leading] == ["authenticate-oidc"]


def test_metabase_is_passed_on_to_and_watched(each: Written) -> None:
    assert rules(each)["sales.example.com"][-1]["Type"] == "forward"
    each.template("services").has_resource_properties(
        "AWS::ElasticLoadBalancingV2::TargetGroup",
        {"HealthCheckPath": "/api/health", "Matcher": {"HttpCode": "200"}, "TargetType": "ip"},
    )


@pytest.mark.parametrize(
    "path",
    [
        *("/setup", "/setup/welcome", "/api/setup", "/api/setup/user_defaults"),
        *("/public/question/1", "/api/public/card/1/query", "/embed/dashboard/1", "/api/embed/card/1"),
        *("/api/docs", "/api/docs/openapi.json", "/setup.", "/api/setup.", "/api/setup/.", "/api/setup..;/x"),
        *("//setup", "//api/setup", "/api//setup", "/api//", "/x//api/setup", "/api/setup//"),
        *("/%73etup", "/%61pi/setup", "/api/set%75p", "/api%2Fsetup", "/%2fapi/setup", "/api/%2573etup"),
        *("/SETUP", "/Api/setup", "/api/Setup", "/PUBLIC/question/1", "/api/DOCS"),
        *("/api;a=b/setup", "/api/setup;a", "/x;/../api/setup", "/api/card;x/1"),
        *("/./setup", "/api/./setup", "/x/../api/setup", "/api/x/../setup", "/x/../../api/setup"),
        *("/x/%2e%2e/api/setup", "/x/.%2E/api/setup", "/x/y%2F..%2F..%2Fapi%2fsetup", "/x/y/%2e"),
    ],
)
def test_nobody_outside_sets_metabase_up_or_sees_anything_without_a_login(each: Written, path: str) -> None:
    assert answer(each, "sales.example.com", path) == "fixed-response"


@pytest.mark.parametrize(
    "path",
    [
        *("/", "/dashboard/1", "/api/session", "/api/card/1/query", "/auth/login", "/question/12-setup-fees"),
        *("/app/dist/app-main.5f0C1A.js", "/app/fonts/Lato/lato-v16-latin-regular.woff2", "/a.b/.c"),
        *("/dashboard/3-Net%20sales", "/api/dashboard/3/params/a1B2/search/Sure%2FFix%20%26%20Co."),
        *("/auth/forgot_password", "/auth/reset_password/7_0b1C2d", "/api/session/reset_password"),
    ],
)
def test_what_people_use_reaches_metabase(each: Written, path: str) -> None:
    assert answer(each, "sales.example.com", path) == "forward"


def test_a_rule_has_no_more_values_than_the_load_balancer_takes(each: Written) -> None:
    for rule in listener_rules(each):
        values = [
            value
            for condition in rule["Conditions"]
            for kind in condition.values()
            if isinstance(kind, dict)
            for values in kind.values()
            for value in values
        ]
        assert len(values) <= 5


def test_the_load_balancer_is_hard_to_delete_logs_and_drops_malformed_requests(each: Written) -> None:
    (balancer,) = each.resources("AWS::ElasticLoadBalancingV2::LoadBalancer").values()
    attributes = {one["Key"]: one["Value"] for one in balancer["Properties"]["LoadBalancerAttributes"]}
    assert attributes["deletion_protection.enabled"] == "true"
    assert attributes["routing.http.drop_invalid_header_fields.enabled"] == "true"
    assert attributes["routing.http.desync_mitigation_mode"] == "defensive"
    assert attributes["access_logs.s3.enabled"] == "true"
    assert "AccessLogs" in text(attributes["access_logs.s3.bucket"])


def test_the_load_balancer_may_write_its_log_and_nothing_else_there(each: Written) -> None:
    policies = each.resources("AWS::S3::BucketPolicy", "data").values()
    (writing,) = [
        statement
        for policy in policies
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
        if statement.get("Principal") == {"Service": "logdelivery.elasticloadbalancing.amazonaws.com"}
    ]
    assert writing["Action"] == "s3:PutObject"
    assert text(writing["Resource"]).endswith("/balancer/AWSLogs/<AWS::AccountId>/*")


def test_names_and_certificate_are_made_in_the_hosted_zone(medium: Written, large: Written) -> None:
    assert medium.resources("AWS::CertificateManager::Certificate") == {}
    (certificate,) = large.resources("AWS::CertificateManager::Certificate").values()
    assert certificate["Properties"]["ValidationMethod"] == "DNS"
    assert certificate["Properties"]["SubjectAlternativeNames"] == ["dagster.example.com"]
    names = {
        one["Properties"]["Name"] for one in large.resources("AWS::Route53::RecordSet", "services").values()
    }
    assert names == {"sales.example.com.", "dagster.example.com."}
