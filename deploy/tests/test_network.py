from __future__ import annotations

import re
from typing import Any

import pytest

from written import Written, text

HTTPS = 443


def groups(system: Written) -> dict[str, dict[str, Any]]:
    """Return the security groups by the first word of their logical names, without its hash."""
    found = system.resources("AWS::EC2::SecurityGroup", "network")
    return {name[:-8]: resource["Properties"] for name, resource in found.items()}


def ingress(system: Written, group: str) -> set[tuple[str, int]]:
    """Return from where a group is reached, on which port."""
    own = groups(system)[group].get("SecurityGroupIngress", [])
    found = {(rule["CidrIp"], rule["FromPort"]) for rule in own}
    for resource in system.resources("AWS::EC2::SecurityGroupIngress").values():
        rule = resource["Properties"]
        if name_of(rule["GroupId"]) == group:
            assert rule["FromPort"] == rule["ToPort"]
            found.add((name_of(rule["SourceSecurityGroupId"]), rule["FromPort"]))
    return found


def name_of(reference: Any) -> str:
    """Return the name of the group that a reference means, without its hash."""
    return text(reference)[1:].split(".")[0][:-8]


def test_nothing_has_a_way_to_the_internet_but_the_load_balancers_subnets(each: Written) -> None:
    template = each.template("network")
    template.resource_count_is("AWS::EC2::NatGateway", 0)
    routes = each.resources("AWS::EC2::Route", "network")
    assert len(routes) == 2
    for name, route in routes.items():
        assert name.startswith("Vpcbalancer")
        assert "GatewayId" in route["Properties"]
    for subnet in each.resources("AWS::EC2::Subnet", "network").values():
        assert subnet["Properties"]["MapPublicIpOnLaunch"] is False


def test_the_services_of_aws_are_reached_inside(small: Written, large: Written) -> None:
    def services(system: Written) -> dict[str, int]:
        found = system.resources("AWS::EC2::VPCEndpoint", "network").values()
        return {
            text(each["Properties"]["ServiceName"]).rpartition("<AWS::Region>.")[2]: len(
                each["Properties"].get("SubnetIds", [])
            )
            for each in found
        }

    inside = {"ecr.api", "ecr.dkr", "logs", "secretsmanager", "sqs", "ecs", "ec2", "ssmmessages"}
    assert set(services(small)) == {*inside, "s3"}
    assert set(services(large)) == {*inside, "s3", "email-smtp"}
    assert {services(small)[name] for name in inside} == {1}
    assert {services(large)[name] for name in inside} == {2}


def test_the_gateway_lets_nothing_pass_to_buckets_of_others(each: Written) -> None:
    (gateway,) = [
        found["Properties"]
        for found in each.resources("AWS::EC2::VPCEndpoint", "network").values()
        if found["Properties"]["VpcEndpointType"] == "Gateway"
    ]
    own, layers = gateway["PolicyDocument"]["Statement"]
    assert own["Condition"] == {"StringEquals": {"aws:ResourceAccount": {"Ref": "AWS::AccountId"}}}
    assert layers["Action"] == "s3:GetObject"
    assert "starport-layer-bucket/*" in text(layers["Resource"])


def test_only_the_load_balancer_is_reached_from_outside(each: Written) -> None:
    for name in groups(each):
        from_outside = {source for source, _ in ingress(each, name) if "/" in source}
        assert bool(from_outside) == (name == "Balancer"), name


def test_who_reaches_what_is_said_group_by_group(medium: Written) -> None:
    assert ingress(medium, "Balancer") == {("0.0.0.0/0", 443), ("0.0.0.0/0", 80)}
    assert ingress(medium, "Warehouse") == {
        ("Webserver", 5432),
        ("Code", 5432),
        ("Runs", 5432),
        ("Metabase", 5432),
    }
    assert ingress(medium, "MetabaseDatabase") == {("Metabase", 5432), ("Code", 5432)}
    assert ingress(medium, "Metabase") == {("Balancer", 3000), ("Code", 3000), ("Runs", 3000)}
    assert ingress(medium, "Code") == {("Webserver", 4000), ("Runs", 4000)}
    assert ingress(medium, "Webserver") == {("Balancer", 3000)}
    assert ingress(medium, "Runs") == set()


# In which group each task is; a run and what is started by hand get that of the daemon.
GROUPS = {
    "webserver": "Webserver",
    "code": "Code",
    "logins": "Code",
    "metabase": "Metabase",
    "daemon": "Runs",
    "run": "Runs",
    "setup": "Runs",
}
# How a variable names what listens in a group, and at which port.
PLACES = (
    (r"metabase\.[\w-]+\.internal:(\d+)", "Metabase"),
    (r"code\.[\w-]+\.internal:(\d+)", "Code"),
    (r"<[^>]*Warehouse(?:Instance|Replica)[^>]*Endpoint[^>]*>:(\d+)", "Warehouse"),
    (r"<[^>]*MetabaseDatabaseInstance[^>]*Endpoint[^>]*>:(\d+)", "MetabaseDatabase"),
)


def places_told(system: Written, task: str) -> set[tuple[str, int]]:
    """Return the groups and ports that the variables of a task's containers name."""
    values = [
        (one["Name"], text(one["Value"]))
        for container in system.containers(task).values()
        for one in container["Environment"]
    ]
    found = {
        (group, int(port))
        for _, value in values
        for form, group in PLACES
        for port in re.findall(form, value)
    }
    return found | {("Endpoints", int(value)) for name, value in values if name.endswith("SMTP_PORT")}


@pytest.mark.parametrize("task", GROUPS)
def test_what_a_task_is_told_to_talk_to_lets_it_in(each: Written, task: str) -> None:
    told = places_told(each, task)
    assert told
    assert {place for place in told if (GROUPS[task], place[1]) not in ingress(each, place[0])} == set()


def test_without_a_login_nobody_reaches_dagsters_ui_by_the_network(small: Written) -> None:
    assert ingress(small, "Webserver") == set()


def test_only_the_networks_that_the_settings_name_reach_the_load_balancer(large: Written) -> None:
    named = ("203.0.113.0/24", "198.51.100.17/32")
    assert ingress(large, "Balancer") == {(network, port) for network in named for port in (443, 80)}


def test_databases_have_no_way_out(each: Written) -> None:
    for name in ("Warehouse", "MetabaseDatabase"):
        (rule,) = groups(each)[name]["SecurityGroupEgress"]
        assert rule["CidrIp"] == "255.255.255.255/32"  # how the CDK writes: nowhere


def test_the_traffic_is_written_down(each: Written) -> None:
    each.template("network").has_resource_properties("AWS::EC2::FlowLog", {"TrafficType": "ALL"})


def test_the_zones_can_be_named(large: Written) -> None:
    zones = {
        found["Properties"]["AvailabilityZone"] for found in large.resources("AWS::EC2::Subnet").values()
    }
    assert zones == {"us-east-1a", "us-east-1b"}
