"""The program that the CDK's command line calls: `deploy/cdk.sh synth -c environment=prod`."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main() -> None:
    """Write the templates of one environment into `cdk.out`, or say what is wrong with its settings."""
    # The second for what the system itself knows of Metabase's versions.
    sys.path[:0] = [str(HERE), str(HERE.parent)]
    from shs_deploy.node import use_node_of_this_environment

    # Before anything of the CDK is imported.
    use_node_of_this_environment()
    from shs_deploy.build import build_app
    from shs_deploy.context import ConfigError

    try:
        app = build_app()
    except ConfigError as error:
        sys.exit(str(error))
    app.synth()


if __name__ == "__main__":
    main()
