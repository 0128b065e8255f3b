"""Reading synthesised templates: resources by type, statements by role, values as plain text."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

Json = dict[str, Any]


@dataclass
class Written:
    """The templates of one environment, by the last part of their stacks' names."""

    prefix: str
    folder: Path
    templates: dict[str, Json]

    def template(self, stack: str) -> Any:
        """Return a stack's template for assertions."""
        from aws_cdk.assertions import Template

        if stack not in self._asserted:
            self._asserted[stack] = Template.from_json(self.templates[stack])
        return self._asserted[stack]

    @cached_property
    def _asserted(self) -> dict[str, Any]:
        return {}

    @cached_property
    def report(self) -> Json:
        """What cdk-nag found."""
        found: Json = json.loads((self.folder / "validation-report.json").read_text())
        return found

    def resources(self, kind: str, *stacks: str) -> dict[str, Json]:
        """Return the resources of a type by their logical names, of all stacks by default.

        A name that two stacks have gets the second one's before it, so that none is lost.
        """
        found: dict[str, Json] = {}
        for stack in stacks or tuple(self.templates):
            for name, resource in self.templates[stack]["Resources"].items():
                if resource["Type"] == kind:
                    found[f"{stack}/{name}" if name in found else name] = resource
        return found

    def statements(self, role: str, stack: str = "services") -> list[Json]:
        """Return what a role may do, by the beginning of the role's logical name."""
        resources = self.templates[stack]["Resources"]
        (name,) = [
            key
            for key, value in resources.items()
            if value["Type"] == "AWS::IAM::Role" and key.startswith(role) and len(key) == len(role) + 8
        ]
        found = []
        for resource in self.resources("AWS::IAM::Policy", stack).values():
            if {"Ref": name} in resource["Properties"]["Roles"]:
                found += resource["Properties"]["PolicyDocument"]["Statement"]
        return found

    def containers(self, task: str) -> dict[str, Json]:
        """Return the containers of a task definition by their names."""
        tasks = self.resources("AWS::ECS::TaskDefinition", "services").values()
        (found,) = [t for t in tasks if t["Properties"]["Family"] == f"{self.prefix}-{task}"]
        return {one["Name"]: one for one in found["Properties"]["ContainerDefinitions"]}

    def container(self, task: str) -> Json:
        """Return the container that a task definition is for, which has its name."""
        return self.containers(task)[task]

    def environment(self, task: str) -> dict[str, str]:
        """Return the variables of a task's container, as text."""
        return {each["Name"]: text(each["Value"]) for each in self.container(task)["Environment"]}

    def secrets(self, task: str) -> dict[str, str]:
        """Return where the secrets of a task's container come from, as text."""
        return {each["Name"]: text(each["ValueFrom"]) for each in self.container(task)["Secrets"]}


def actions(statements: list[Json]) -> set[str]:
    """Return the actions that statements allow."""
    return {action for statement in statements for action in several(statement["Action"])}


def may(statements: list[Json], action: str) -> list[Json]:
    """Return the statements that allow an action."""
    return [statement for statement in statements if action in several(statement["Action"])]


def several(value: Any) -> list[Any]:
    """Return a list, whether there is one thing or many."""
    return value if isinstance(value, list) else [value]


def text(value: Any) -> str:
    """Return a value as text, with names in angle brackets where CloudFormation puts something in."""
    if not isinstance(value, dict):
        return str(value)
    ((function, of),) = value.items()
    if function == "Fn::Join":
        return str(of[0]).join(text(part) for part in of[1])
    if function == "Fn::GetAtt":
        return f"<{of[0]}.{of[1]}>"
    return f"<{of if isinstance(of, str) else json.dumps(of)}>"


def every_text(value: Any) -> Iterator[str]:
    """Yield every text in a value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from every_text(part)
    elif isinstance(value, list):
        for part in value:
            yield from every_text(part)
