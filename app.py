"""The CDK app: settings → stack → synth, checked by cdk-nag."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from infra.settings import Settings

ROOT = Path(__file__).resolve().parent


def main() -> int:
    """Synthesize the stack; return the exit code. Each thing that is wrong with the settings is a line on stderr."""
    use_own_node()
    import aws_cdk as cdk  # noqa: PLC0415  # starts Node
    from cdk_nag import AwsSolutionsChecks  # noqa: PLC0415

    from dossier.errors import ConfigurationError  # noqa: PLC0415
    from infra.settings import Settings  # noqa: PLC0415
    from infra.stack import DossierStack  # noqa: PLC0415

    app = cdk.App(analytics_reporting=False)
    try:
        settings = Settings.load(
            app.node.try_get_context, root=ROOT, environment=os.environ, names=app.node.get_all_context()
        )
        DossierStack(app, settings=settings, existing_secrets=existing_secrets(settings, os.environ))
    except ConfigurationError as error:
        print(error, file=sys.stderr)  # noqa: T201  # what the operator reads
        return 1
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    app.synth()
    return 0


def existing_secrets(
    settings: Settings, environment: Mapping[str, str], *, session_in: Callable[[str], Any] | None = None
) -> frozenset[str]:
    """Return the connections whose secret is there already, and in no stack.

    Without the CDK's command line, which names the account, nothing is deployed and nothing is looked for. Who may not
    look reads what to set in case the deployment finds a secret in its way. ``session_in`` makes the session for a
    Region in tests.
    """
    named = frozenset(settings.existing_secrets)
    account, region = environment.get("CDK_DEFAULT_ACCOUNT"), environment.get("CDK_DEFAULT_REGION")
    if not account or not region:
        return named
    import boto3  # noqa: PLC0415  # only where there is an account to look at
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    from infra.existing import secrets_outside  # noqa: PLC0415

    session = session_in(region) if session_in else boto3.Session(region_name=region)
    try:
        if session.client("sts").get_caller_identity()["Account"] != account:
            return named
        stack, prefix = settings.stack_name, settings.prefix
        return named | secrets_outside(session, stack=stack, prefix=prefix, connections=settings.connections)
    except (BotoCoreError, ClientError) as error:
        print(  # noqa: T201  # what the operator reads
            f"secrets that exist already were not looked for ({type(error).__name__}): if the deployment says that one "
            "already exists, name its connection in existing_secrets (docs/deploy.md)",
            file=sys.stderr,
        )
        return named


def use_own_node() -> None:
    """Let the CDK run on the Node beside this Python, whatever the machine's own is."""
    own = Path(sys.executable).parent
    if (own / "node").exists():
        os.environ["PATH"] = os.pathsep.join((str(own), os.environ.get("PATH", os.defpath)))


if __name__ == "__main__":
    sys.exit(main())
