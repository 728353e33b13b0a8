"""``dossier policy``: prints the IAM policy of a role for one stage."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from cli.errors import BadUsageError
from cli.output import Output
from cli.target import DEFAULT_STAGE, NotDeployedError, Target, session_of_environment
from cli.text import clean

ROLES = ("user", "operator", "deployer")
FOLDER = Path(__file__).resolve().parent.parent / "policies"
"""The policies with placeholders, one file for each role."""
_PLACEHOLDER = re.compile(r"<([a-z_]+)>")
Values = Mapping[str, Sequence[str]]
"""The values of each placeholder: each value makes one resource, so none makes no resource."""


def policy(out: Output, role: str, find: Callable[[], Target], *, stage: str | None) -> None:
    """Print a role's policy as JSON.

    Args:
        out: prints it.
        role: ``user``, ``operator`` or ``deployer``.
        find: returns the deployed stage, whose resources the policy names.
        stage: the stage that the user named, if any.

    Raises:
        BadUsageError: there is no such role.
        NotDeployedError: the stage is not deployed, and the role is not ``deployer``.

    """
    if role not in ROLES:
        raise BadUsageError(f'there is no role "{clean(role)}"', fix=f"use one of {', '.join(ROLES)}")
    try:
        values = of_stage(find())
    except NotDeployedError:
        if role != "deployer":
            raise
        values = _of_account(stage or os.environ.get("DOSSIER_STAGE") or DEFAULT_STAGE)
    out.json(filled(role, values))


def filled(role: str, values: Values) -> dict[str, Any]:
    """Return a role's policy with its placeholders replaced, without statements that have no resource left."""
    document: dict[str, Any] = json.loads((FOLDER / f"{role}.json").read_text(encoding="utf-8"))
    statements = [
        {**each, "Resource": [text for resource in each["Resource"] for text in _texts(resource, values)]}
        for each in document["Statement"]
    ]
    return {**document, "Statement": [each for each in statements if each["Resource"]]}


def _texts(resource: str, values: Values) -> list[str]:
    """Return a resource once for each combination of the values of its placeholders."""
    names = sorted(set(_PLACEHOLDER.findall(resource)))
    found = []
    for each in product(*(values[name] for name in names)):
        given = dict(zip(names, each, strict=True))
        found.append(_PLACEHOLDER.sub(lambda match, given=given: given[match[1]], resource))  # type: ignore[misc]
    return found


def of_stage(where: Target) -> Values:
    """Return the values of a deployed stage."""
    _, partition, _, region, account, *_ = where.state_machine_arn.split(":")
    return {
        **_place(partition, region, account, where.stage),
        "bucket": [where.bucket],
        "table": [where.table],
        "event_bus": [where.event_bus],
        "secrets": [where.secret_prefix],
        "key": [where.kms_key_arn] if where.kms_key_arn else [],
        "document_bucket": where.document_buckets,
        "document_key": where.document_kms_keys,
    }


def _of_account(stage: str) -> Values:
    """Return the values of a stage that is not deployed yet."""
    session = session_of_environment()
    identity = session.client("sts").get_caller_identity()
    return _place(identity["Arn"].split(":")[1], session.region_name or "", identity["Account"], stage)


def _place(partition: str, region: str, account: str, stage: str) -> dict[str, Sequence[str]]:
    return {"partition": [partition], "region": [region], "account": [account], "stack": [f"dossier-{stage}"]}
