"""The outputs of a deployed stack (``infra.stack`` defines them), as the CLI and the local AWS read them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict


class Outputs(BaseModel):
    """The outputs of a deployment, on the local AWS or in an account.

    Attributes:
        connections: names of the deployed connections; empty in a state file of the previous version.
        webhook_urls: by connection, for those that take webhooks; for a ``path-token`` connection without the token,
            which the operator appends.
        api_url: the API's address.
        bucket: the bucket for documents and results.
        table: the DynamoDB table.
        state_machine_arn: the machine that runs a case.
        event_bus: the bus's name.
        stage: the deployment's stage; its stack is ``dossier-<stage>``.
        region: the AWS region.
        endpoint_url: the local AWS; None in the cloud.

    """

    model_config = ConfigDict(frozen=True)

    connections: list[str] = []
    webhook_urls: dict[str, str]
    api_url: str
    bucket: str
    table: str
    state_machine_arn: str
    event_bus: str
    stage: str
    region: str
    endpoint_url: str | None

    @classmethod
    def of_stack(cls, found: Mapping[str, str], *, api_url: str, **known: Any) -> Self:
        """Read a stack's outputs by name; ``known`` are the attributes that they do not have.

        A stack of the previous version does not name the connections that take webhooks: then all count.

        Raises:
            KeyError: the stack lacks an output.

        """
        names = listed(found["ConnectionNames"])
        taking = listed(found.get("WebhookConnections", found["ConnectionNames"]))
        return cls(
            connections=names,
            webhook_urls={name: f"{api_url}/webhooks/{name}" for name in names if name in taking},
            api_url=api_url,
            bucket=found["BucketName"],
            table=found["TableName"],
            state_machine_arn=found["StateMachineArn"],
            event_bus=found["EventBusName"],
            **known,
        )


def listed(text: str) -> list[str]:
    """Return the names in a text, which commas separate."""
    return [name.strip() for name in text.split(",") if name.strip()]
