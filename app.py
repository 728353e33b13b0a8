"""The CDK app: loads the settings, builds the stack, checks it with cdk-nag, and synthesizes it."""

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
    """Synthesize the stack; return the exit code. Print one line on stderr for each invalid setting."""
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
        print(error, file=sys.stderr)  # noqa: T201  # for the operator
        return 1
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    app.synth()
    return 0


def existing_secrets(
    settings: Settings, environment: Mapping[str, str], *, session_in: Callable[[str], Any] | None = None
) -> frozenset[str]:
    """Return the connections whose secret exists already, in no stack.

    Outside the CDK CLI, which names the account, nothing is deployed, so this looks nothing up. Without the permission
    to look them up, it prints what to set if the deployment finds an existing secret. ``session_in`` makes the session
    for a Region in tests.
    """
    named = frozenset(settings.existing_secrets)
    account, region = environment.get("CDK_DEFAULT_ACCOUNT"), environment.get("CDK_DEFAULT_REGION")
    if not account or not region:
        return named
    import boto3  # noqa: PLC0415  # only if there is an account
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    from infra.existing_secrets import secrets_outside  # noqa: PLC0415

    session = session_in(region) if session_in else boto3.Session(region_name=region)
    try:
        if session.client("sts").get_caller_identity()["Account"] != account:
            return named
        stack, prefix = settings.stack_name, settings.prefix
        return named | secrets_outside(session, stack=stack, prefix=prefix, connections=settings.connections)
    except (BotoCoreError, ClientError) as error:
        print(  # noqa: T201  # for the operator
            f"cannot look up existing secrets ({type(error).__name__}): if the deployment reports that one already "
            "exists, name its connection in existing_secrets (docs/deploy.md)",
            file=sys.stderr,
        )
        return named


def use_own_node() -> None:
    """Make the CDK use the Node beside this Python instead of the machine's own."""
    own = Path(sys.executable).parent
    if (own / "node").exists():
        os.environ["PATH"] = os.pathsep.join((str(own), os.environ.get("PATH", os.defpath)))


if __name__ == "__main__":
    sys.exit(main())
