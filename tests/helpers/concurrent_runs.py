"""A run host whose forks are Dagster runs on whatever installation they are told: a script for test_growth.

    python tests/helpers/concurrent_runs.py SOCKET

A command is one word of JSON: the environment of the installation, the assets as paths, and the first and
last commission month, none for assets without.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from pathlib import Path
from typing import NoReturn

import yaml

from sensors import run_host

# Of the project's own instance, what several machines have in common.
STORAGE = yaml.safe_load((Path(__file__).parents[2] / "dagster.yaml").read_text())["storage"]


def carry_out(command: list[str]) -> NoReturn:
    """Materialise the assets, and end with 1 where that fails."""
    code = 1
    try:
        environment, keys, months = json.loads(command[0])
        os.environ.update(environment)
        code = 0 if _materialise(keys, months) else 1
    except Exception:  # noqa: BLE001
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def _materialise(keys: list[list[str]], months: list[str]) -> bool:
    import dagster as dg

    from shs_pipeline.definitions import build_defs

    home = Path(os.environ["DAGSTER_HOME"])
    home.mkdir(parents=True, exist_ok=True)
    (home / "dagster.yaml").write_text(yaml.dump({"storage": STORAGE, "telemetry": {"enabled": False}}))
    selection = dg.AssetSelection.assets(*(dg.AssetKey(key) for key in keys))
    quiet = {"loggers": {"console": {"config": {"log_level": "ERROR"}}}}
    job = dg.define_asset_job("probe", selection=selection, config=quiet)
    names = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")
    with dg.DagsterInstance.get() as instance:
        return (
            build_defs(jobs=[job])
            .resolve_job_def("probe")
            .execute_in_process(
                instance=instance, raise_on_error=False, tags=dict(zip(names, months, strict=False))
            )
            .success
        )


if __name__ == "__main__":
    run_host.preload()
    run_host.RunHost(Path(sys.argv[1]), carry_out).serve()
