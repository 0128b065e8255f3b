from __future__ import annotations

import subprocess
from collections import Counter
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
LISTED = subprocess.run(
    ["git", "ls-files", "*.yml", "*.yaml"], cwd=ROOT, capture_output=True, text=True, check=False
).stdout.split()


class Strict(yaml.SafeLoader):
    """Refuses a key that stands twice, of which YAML's own loader silently drops the first."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[object, object]:
        written = [key.value for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        doubled = sorted(str(key) for key, count in Counter(map(str, written)).items() if count > 1)
        assert not doubled, f"{node.start_mark}: {doubled}"
        return super().construct_mapping(node, deep)


def test_a_key_that_stands_twice_is_found() -> None:
    with pytest.raises(AssertionError, match="seconds"):
        yaml.load("run:\n  seconds: 1\n  seconds: 2\n", Strict)


@pytest.mark.skipif(not LISTED, reason="this is no git checkout")
@pytest.mark.parametrize("name", LISTED)
def test_no_setting_stands_twice(name: str) -> None:
    assert yaml.load((ROOT / name).read_text(encoding="utf-8"), Strict) is not None
