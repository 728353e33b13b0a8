"""The one table: cases, documents, waits, intents (``docs/architecture.md``)."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_dynamodb as dynamodb
from constructs import Construct

from infra.encryption import customer_key
from infra.settings import Settings

INDEX = "by-connection"
_TEXT = dynamodb.AttributeType.STRING


class CaseTable(Construct):
    """The table with its index ``by-connection``. It outlives the stack unless ``retain=false``."""

    def __init__(self, scope: Construct, id: str, *, settings: Settings) -> None:  # noqa: A002  # the CDK's own name
        super().__init__(scope, id)
        key = customer_key(self, settings)
        self.table = dynamodb.Table(
            self,
            "Table",
            table_name=settings.table_name or None,
            encryption=dynamodb.TableEncryption.CUSTOMER_MANAGED if key else None,
            encryption_key=key,
            partition_key=dynamodb.Attribute(name="pk", type=_TEXT),
            sort_key=dynamodb.Attribute(name="sk", type=_TEXT),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            time_to_live_attribute="ttl",
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            removal_policy=cdk.RemovalPolicy.RETAIN if settings.retain else cdk.RemovalPolicy.DESTROY,
        )
        self.table.add_global_secondary_index(
            index_name=INDEX,
            partition_key=dynamodb.Attribute(name="gsi_pk", type=_TEXT),
            sort_key=dynamodb.Attribute(name="gsi_sk", type=_TEXT),
        )

    @property
    def index_arn(self) -> str:
        """ARN of the index."""
        return f"{self.table.table_arn}/index/{INDEX}"
