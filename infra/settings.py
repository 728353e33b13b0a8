"""What a deployment is told: CDK context (``-c key=value`` or ``cdk.json``) and the environment."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast, get_args

from dossier.connections import load_toml
from dossier.errors import ConfigurationError
from dossier.settings import Connection

Architecture = Literal["arm64", "x86_64"]
Context = Callable[[str], object]
"""Looks up a context value by its key; None if it is not set."""

MOST_CONNECTIONS = 30
"""Connections of one stage at most: each is named in the functions' roles, and IAM takes 10,240 characters of inline
policies a role (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html)."""

LONGEST_LOCK = 36_500
"""Days of Object Lock at most: a hundred years (https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock.html)."""

_STAGE = re.compile(r"[a-z][a-z0-9]{0,15}")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_KEY = re.compile(r"arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key/[A-Za-z0-9-]{1,64}")
_YES_OR_NO = {"true": True, "false": False}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """A stage's settings, and the names that follow from them. Stages share no name, so they live side by side."""

    root: Path
    """The project's folder: ``functions``, ``layers`` and ``build`` are in it."""
    connections: Mapping[str, Connection]
    stage: str = "dev"
    architecture: Architecture = "arm64"
    dependency_layer: Path | None = None
    """A folder (with ``python/``) that takes the place of the dependency layer built for Lambda."""
    document_buckets: tuple[str, ...] = ()
    """Buckets besides the artifact bucket that documents may be submitted from."""
    retain: bool = True
    """Whether bucket and table outlive the stack."""
    evidence_lock_days: int = 0
    """How long nobody can delete or replace a delivery that was kept (S3 Object Lock); 0 is off."""
    kms_key_arn: str = ""
    """The customer's KMS key for bucket, table, queues and secrets; without one AWS's own keys encrypt them."""
    webhook_rate: int = 100
    """Webhook requests per second, on average, before API Gateway answers 429."""
    webhook_burst: int = 200
    """Webhook requests at once before API Gateway answers 429."""

    @classmethod
    def load(cls, context: Context, *, root: Path, environment: Mapping[str, str]) -> Settings:
        """Read the settings.

        Raises:
            ConfigurationError: with one line that names the setting or the connection's key, and what is wrong.

        """
        stage = _text(context, "stage") or "dev"
        if not _STAGE.fullmatch(stage):
            raise ConfigurationError(
                f'stage "{stage}": use 1 to 16 lower-case letters and digits, beginning with a letter'
            )
        architecture = _text(context, "architecture") or "arm64"
        if architecture not in get_args(Architecture):
            raise ConfigurationError(f'architecture "{architecture}": use one of {", ".join(get_args(Architecture))}')
        connections = load_toml(
            root / (_text(context, "connections") or environment.get("DOSSIER_CONNECTIONS") or "connections.toml")
        )
        if len(connections) > MOST_CONNECTIONS:
            raise ConfigurationError(
                f"{len(connections)} connections: a stage has at most {MOST_CONNECTIONS}; deploy some as another stage"
            )
        return cls(
            root=root,
            connections=connections,
            stage=stage,
            architecture=cast("Architecture", architecture),
            dependency_layer=_layer_folder(context, root),
            document_buckets=_buckets(context),
            retain=_yes_or_no(context, "retain", default=True),
            evidence_lock_days=_whole_number(context, "evidence_lock_days", default=0, most=LONGEST_LOCK),
            kms_key_arn=_key(context),
            webhook_rate=_whole_number(context, "webhook_rate", default=100),
            webhook_burst=_whole_number(context, "webhook_burst", default=200),
        )

    @property
    def prefix(self) -> str:
        """What secrets and the event bus are named by: ``dossier``, for other stages than dev ``dossier-<stage>``."""
        return "dossier" if self.stage == "dev" else f"dossier-{self.stage}"

    @property
    def stack_name(self) -> str:
        """Name of the stack, and of the state machine in it."""
        return f"dossier-{self.stage}"

    def named(self, *parts: str) -> str:
        """Return the name of a queue or a function of this stage."""
        return "-".join((self.stack_name, *parts))


def _text(context: Context, key: str) -> str:
    value = context(key)
    return "" if value is None else str(value).strip()


def _yes_or_no(context: Context, key: str, *, default: bool) -> bool:
    text = _text(context, key).lower()
    if text and text not in _YES_OR_NO:
        raise ConfigurationError(f'{key} "{text}": use true or false')
    return _YES_OR_NO.get(text, default)


def _whole_number(context: Context, key: str, *, default: int, most: int = 99_999) -> int:
    text = _text(context, key)
    if text and not (re.fullmatch(r"[1-9]\d{0,4}", text) and int(text) <= most):
        raise ConfigurationError(f'{key} "{text}": use a whole number from 1 to {most}')
    return int(text) if text else default


def _buckets(context: Context) -> tuple[str, ...]:
    names = [name.strip() for name in _text(context, "document_buckets").split(",")]
    wrong = [name for name in names if name and not _BUCKET.fullmatch(name)]
    if wrong:
        raise ConfigurationError(f'document_buckets "{wrong[0]}": use names of buckets, with a comma between them')
    return tuple(dict.fromkeys(name for name in names if name))


def _key(context: Context) -> str:
    text = _text(context, "kms_key_arn")
    if text and not _KEY.fullmatch(text):
        raise ConfigurationError(f'kms_key_arn "{text}": use the ARN of a key, arn:aws:kms:<region>:<account>:key/<id>')
    return text


def _layer_folder(context: Context, root: Path) -> Path | None:
    text = _text(context, "dependency_layer")
    if not text:
        return None
    folder = root / text
    if not (folder / "python").is_dir():
        raise ConfigurationError(f'dependency_layer "{text}": there is no folder "python" in it')
    return folder
