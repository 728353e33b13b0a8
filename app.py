"""The CDK app: settings → stack → synth, checked by cdk-nag."""

from __future__ import annotations

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent


def main() -> int:
    """Synthesize the stack; return the exit code. What is wrong with the settings is one line on stderr."""
    use_own_node()
    import aws_cdk as cdk  # noqa: PLC0415  # starts Node
    from cdk_nag import AwsSolutionsChecks  # noqa: PLC0415

    from dossier.errors import ConfigurationError  # noqa: PLC0415
    from infra.settings import Settings  # noqa: PLC0415
    from infra.stack import DossierStack  # noqa: PLC0415

    app = cdk.App(analytics_reporting=False)
    try:
        settings = Settings.load(app.node.try_get_context, root=ROOT, environment=os.environ)
        DossierStack(app, settings=settings)
    except ConfigurationError as error:
        print(error, file=sys.stderr)  # noqa: T201  # what the operator reads
        return 1
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    app.synth()
    return 0


def use_own_node() -> None:
    """Let the CDK run on the Node beside this Python, whatever the machine's own is."""
    own = Path(sys.executable).parent
    if (own / "node").exists():
        os.environ["PATH"] = os.pathsep.join((str(own), os.environ.get("PATH", os.defpath)))


if __name__ == "__main__":
    sys.exit(main())
