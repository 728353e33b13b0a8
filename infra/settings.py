"""What a deployment is given: one settings file for each stage, CDK context (``-c name=value``), the environment."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from ipaddress import ip_address
from math import ceil
from pathlib import Path
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

from dossier import tables
from dossier.connections import load_toml
from dossier.errors import ConfigurationError
from dossier.settings import CONNECTION_NAME, Connection
from dossier.suggestions import closest, suggested

Architecture = Literal["arm64", "x86_64"]
Context = Callable[[str], object]
"""Looks up a context value by its key; None if it is not set."""

FILE = "dossier.toml"
"""The settings file that a bare ``cdk deploy`` finds in the project's folder; ``-c settings=PATH`` names another."""
SHIPPED = "connections.toml"
"""The connections file where none is named."""
MOST_CONNECTIONS = 30
"""Connections of one stage at most: each is named in the functions' roles, and IAM takes 10,240 characters of inline
policies a role (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html)."""
LONGEST_LOCK = 36_500
"""Days of Object Lock at most: a hundred years (https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock.html)."""
LATE_DAYS = 7
"""Days that what belongs to a case is kept beyond the longest wait: for questions, ``redrive`` and late deliveries."""

_NOT_OURS = frozenset({"acknowledged-issue-numbers", "cli-telemetry", "settings"})
"""Context that the CDK's own command line keeps, and the name of the settings file."""
_YES_OR_NO = {"true": True, "false": False}
_TEXTS = {
    "stage": (r"[a-z][a-z0-9]{0,15}", "use 1 to 16 lower-case letters and digits, beginning with a letter"),
    "kms_key_arn": (
        r"arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key/[A-Za-z0-9-]{1,64}",
        "use the ARN of a key, arn:aws:kms:<region>:<account>:key/<id>",
    ),
    "alarm_email": (r"[^@\s,;]{1,64}@[^@\s,;]{1,255}", "use one address, such as team@example.com"),
    "alarm_topic_arn": (
        r"arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_-]{1,256}",
        "use the ARN of a topic, arn:aws:sns:<region>:<account>:<name>",
    ),
    "table_name": (r"[A-Za-z0-9_.-]{3,255}", "use 3 to 255 letters, digits, '_', '.', '-'"),
    "bucket_name": (r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", "use the name of a bucket"),
    "tracing_layer_arn": (
        r"arn:aws[a-z-]*:lambda:[a-z0-9-]+:\d{12}:layer:[A-Za-z0-9_-]{1,140}:\d+",
        "use the ARN of a layer's version, arn:aws:lambda:<region>:<account>:layer:<name>:<version>",
    ),
}
"""Settings that are texts: what they look like, and what an operator reads if one does not."""
_LISTS = {
    "document_buckets": (_TEXTS["bucket_name"][0], "use names of buckets, with a comma between them"),
    "existing_secrets": (CONNECTION_NAME.strip("^$"), "use names of connections, with a comma between them"),
    "document_kms_keys": (_TEXTS["kms_key_arn"][0], "use ARNs of keys, with a comma between them"),
}


@dataclass(frozen=True, kw_only=True)
class Retention:
    """How many days each kind of data is kept; 0 keeps it for as long as the bucket and the table exist."""

    documents_days: int = 0
    """What was submitted: ``cases/…/documents/``."""
    artifacts_days: int = 0
    """What came back: ``cases/…/artifacts/``."""
    raw_days: int = 0
    """The vendor's raw answers: ``cases/…/vendor/``."""
    results_days: int = 0
    """``result.json``, ``manifest.json`` and the revisions."""
    evidence_days: int = 0
    """Webhook deliveries: ``webhooks/``."""
    records_days: int = 0
    """What the table has of a case, after it ended."""
    replaced_days: int = 30
    """Versions that were replaced or deleted, whatever they are; they are never kept for ever."""


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
    allow_insecure: bool = False
    """Whether connections for a sandbox are deployed: loopback addresses, ``allow_insecure = true``."""
    document_buckets: tuple[str, ...] = ()
    """Buckets besides the artifact bucket that documents may be submitted from."""
    document_kms_keys: tuple[str, ...] = ()
    """ARNs of the KMS keys that documents in those buckets are encrypted with."""
    retain: bool = True
    """Whether bucket, table and secrets outlive the stack."""
    table_name: str = ""
    """The table's name; without one CloudFormation makes one up. A retained table is attached again by its name."""
    bucket_name: str = ""
    """The artifact bucket's name, likewise."""
    existing_secrets: tuple[str, ...] = ()
    """Connections whose secret exists and belongs to no stack, where the one who deploys may not look for that."""
    retention: Retention = field(default_factory=Retention)
    evidence_lock_days: int = 0
    """How long nobody can delete or replace a delivery that was kept (S3 Object Lock); 0 is off."""
    kms_key_arn: str = ""
    """The customer's KMS key for bucket, table, queues and secrets; without one AWS's own keys encrypt them."""
    webhook_rate: int = 100
    """Webhook requests per second, on average, before API Gateway answers 429."""
    webhook_burst: int = 200
    """Webhook requests at once before API Gateway answers 429."""
    webhook_reserved_concurrency: int = 0
    """Executions that are set aside for the webhook function, whatever else runs in the account; 0 sets none aside."""
    reserve_concurrency: bool = False
    """Whether the functions that call vendors are bounded by what the connections' ``limits.concurrency`` allow. What
    Lambda bounds it also sets aside, so the account needs as much and 100 more."""
    alarm_email: str = ""
    """Who gets the alarms by e-mail; AWS asks the address to confirm."""
    alarm_topic_arn: str = ""
    """An SNS topic that exists, which gets the alarms in place of one of the stack's own."""
    alarm_failed_cases: int = 1
    """Failed executions within an hour that raise an alarm."""
    tracing_layer_arn: str = ""
    """A Lambda layer of OpenTelemetry that instruments the functions; none by default, because it costs cold start."""

    @classmethod
    def load(
        cls, context: Context, *, root: Path, environment: Mapping[str, str], names: Iterable[str] = ()
    ) -> Settings:
        """Read the settings: context before environment before file.

        Args:
            context: looks up what ``-c`` gave.
            root: the project's folder.
            environment: the process's environment (``DOSSIER_CONNECTIONS``).
            names: all keys that the context has, so that an unknown one is not overlooked.

        Raises:
            ConfigurationError: with one line for each problem: where it is, the key, and what it may be.

        """
        reader = _Reader(context, root, environment)
        reader.reject_unknown(names)
        values = reader.values()
        connections = reader.connections()
        problems = [*reader.problems]
        if not problems:
            problems += _contradictions(values, connections, reader.connections_file)
        if problems:
            raise ConfigurationError("\n".join(dict.fromkeys(problems)))
        return cls(root=root, connections=connections, **values)

    @property
    def prefix(self) -> str:
        """What secrets and the event bus are named by: ``dossier``, for other stages than dev ``dossier-<stage>``."""
        return "dossier" if self.stage == "dev" else f"dossier-{self.stage}"

    @property
    def stack_name(self) -> str:
        """Name of the stack, and of the state machine in it."""
        return f"dossier-{self.stage}"

    @property
    def at_once(self) -> int:
        """Calls to vendors that all connections together allow at once."""
        return sum(each.limits.concurrency for each in self.connections.values())

    def named(self, *parts: str) -> str:
        """Return the name of a queue or a function of this stage."""
        return "-".join((self.stack_name, *parts))


class _Reader:
    """Reads one setting after the other and keeps every problem, instead of stopping at the first."""

    def __init__(self, context: Context, root: Path, environment: Mapping[str, str]) -> None:
        self.problems: list[str] = []
        self._context, self._root, self._environment = context, root, environment
        named = str(context("settings") or "").strip()
        self._path = root / (named or FILE)
        self._tables = tables.Tables()
        self._file = self._read_file(required=bool(named))

    def reject_unknown(self, names: Iterable[str]) -> None:
        """Note names that are no setting, in the context and in the file, with the one that was probably meant."""
        given = [each for each in names if not (each in _NOT_OURS or each.startswith("@") or ":" in each)]
        for prefix, keys in (("-c ", given), (f"{self._path.name}: ", self._file)):
            for key in keys:
                if key not in KNOWN:
                    place = "" if prefix == "-c " else self._line(key)
                    self.problems.append(f"{prefix}{key}: unknown setting{_meant(key)}{place}")

    def values(self) -> dict[str, Any]:
        """Return what was set, by the name of its field; without connections."""
        values: dict[str, Any] = {}
        retention: dict[str, int] = {}
        for key in KNOWN:
            name, value, folder = self._given(key)
            if value is None or key == "connections":
                continue
            try:
                read = _read(key, value, folder)
            except _WrongError as wrong:
                place = self._line(key) if name != key else ""
                self.problems.append(f'{name} "{wrong.shown or str(value).strip()}": {wrong}{place}')
                continue
            if key.startswith(_RETENTION):
                retention[key.removeprefix(_RETENTION)] = read
            else:
                values[key] = read
        return {**values, "retention": Retention(**retention)}

    @property
    def connections_file(self) -> Path:
        """The connections file that was named, or the one that is shipped."""
        _, value, folder = self._given("connections")
        return folder / str(value or SHIPPED)

    def connections(self) -> dict[str, Connection]:
        """Return the connections; none if their file is wrong."""
        try:
            return load_toml(self.connections_file)
        except ConfigurationError as error:
            self.problems += str(error).splitlines()
            return {}

    def _line(self, key: str) -> str:
        """Return the line of a key of the settings file, as the end of a message about it."""
        line = self._tables.line(key.split("."))
        return f" (line {line})" if line else ""

    def _given(self, key: str) -> tuple[str, object, Path]:
        """Return what a setting is called where it was set, its value (None: not set), and where paths begin."""
        value = self._context(key)
        if value is not None and str(value).strip():
            return key, value, self._root
        if key == "connections" and self._environment.get("DOSSIER_CONNECTIONS"):
            return "DOSSIER_CONNECTIONS", self._environment["DOSSIER_CONNECTIONS"], self._root
        if key in self._file:
            return f"{self._path.name}: {key}", self._file[key], self._path.parent
        return key, None, self._root

    def _read_file(self, *, required: bool) -> dict[str, object]:
        """Return the settings file's keys, those of a table as ``table.key``."""
        try:
            self._tables = tables.read(self._path.read_bytes().decode("utf-8-sig"))
        except FileNotFoundError:
            if required:
                self.problems.append(f"{self._path}: there is no such file: write it, or leave out -c settings")
            return {}
        except (OSError, UnicodeDecodeError) as error:
            self.problems.append(f"{self._path.name}: cannot be read: {' '.join(str(error).split())}")
            return {}
        self.problems += [f"{self._path.name}: line {line}: {what}" for line, what in self._tables.problems]
        flat: dict[str, object] = {}
        for key, value in self._tables.data.items():
            flat |= {f"{key}.{name}": each for name, each in value.items()} if isinstance(value, dict) else {key: value}
        return flat


class _WrongError(Exception):
    """A setting's value is wrong: the text says what it may be, ``shown`` which part of it is meant."""

    def __init__(self, use: str, shown: str = "") -> None:
        super().__init__(use)
        self.shown = shown


def _meant(key: str) -> str:
    """Return the setting that an unknown one was meant to be: it may stand in the wrong table, or in none."""
    last = key.rpartition(".")[2]
    near = next((each for each in KNOWN if each.rpartition(".")[2] == last), None) or closest(key, KNOWN)
    if near is None:
        return suggested(key, KNOWN)
    table, _, name = near.rpartition(".")
    if name == last and near != key:
        return f'; did you mean "{near}"? Write {name} {f"under [{table}]" if table else "above the first table"}'
    return f'; did you mean "{near}"?'


_RETENTION = "retention."
KNOWN = tuple(
    name
    for each in fields(Settings)
    if each.name != "root"
    for name in ([f"{_RETENTION}{one.name}" for one in fields(Retention)] if each.name == "retention" else [each.name])
)
"""Every setting by the name that the file and ``-c`` have for it."""
_FLAGS = frozenset(each.name for each in fields(Settings) if each.type == "bool")
_MOST = {"evidence_lock_days": LONGEST_LOCK, "webhook_reserved_concurrency": 1000, "alarm_failed_cases": 1_000_000}


def _read(key: str, value: object, folder: Path) -> Any:
    """Return a setting's value from what ``-c`` (always text) or the file gave.

    Raises:
        _WrongError: says what it may be.

    """
    text = str(value).strip()
    if key == "architecture":
        return _one_of(text, get_args(Architecture))
    if key == "dependency_layer":
        return _layer_folder(folder / text)
    if key in _FLAGS:
        if text.lower() not in _YES_OR_NO:
            raise _WrongError("use true or false")
        return _YES_OR_NO[text.lower()]
    if key in _LISTS:
        return _list(value, *_LISTS[key])
    if key in _TEXTS:
        pattern, use = _TEXTS[key]
        if not isinstance(value, str) or not re.fullmatch(pattern, text):
            raise _WrongError(use)
        return text
    most = _MOST.get(key, LONGEST_LOCK if key.startswith(_RETENTION) else 99_999)
    if isinstance(value, bool | float) or not (re.fullmatch(r"[1-9]\d{0,6}", text) and int(text) <= most):
        raise _WrongError(f"use a whole number from 1 to {most}")
    return int(text)


def _one_of(text: str, known: tuple[str, ...]) -> str:
    if text not in known:
        raise _WrongError(f"use one of {', '.join(known)}")
    return text


def _list(value: object, pattern: str, use: str) -> tuple[str, ...]:
    given = value if isinstance(value, list) else str(value).split(",")
    names = [str(each).strip() for each in given]
    for each in names:
        if each and not re.fullmatch(pattern, each):
            raise _WrongError(use, each)
    return tuple(dict.fromkeys(each for each in names if each))


def _layer_folder(folder: Path) -> Path:
    if not (folder / "python").is_dir():
        raise _WrongError('there is no folder "python" in it')
    return folder


def _contradictions(values: Mapping[str, Any], connections: Mapping[str, Connection], file: Path) -> list[str]:
    """Return what is wrong between settings that are right by themselves."""
    found = []
    if len(connections) > MOST_CONNECTIONS:
        found.append(
            f"{len(connections)} connections: a stage has at most {MOST_CONNECTIONS}; deploy some as another stage"
        )
    sandbox = [f"[{name}]" for name, each in connections.items() if _for_a_sandbox(each)]
    if sandbox and not values.get("allow_insecure"):
        found.append(
            f"{file.name}: {', '.join(sandbox)} {'is' if len(sandbox) == 1 else 'are'} for a sandbox (a loopback "
            f"address, or allow_insecure): describe your vendor accounts in a file, and name it in {FILE}, connections "
            '= "my-connections.toml" (docs/deploy.md); to deploy a sandbox all the same, set allow_insecure = true'
        )
    if values.get("alarm_email") and values.get("alarm_topic_arn"):
        found.append("alarm_email and alarm_topic_arn exclude each other: subscribe the address to that topic")
    retention: Retention = values["retention"]
    least = ceil(max((each.poll.deadline for each in connections.values()), default=0) / 86400) + LATE_DAYS
    found += [
        f"retention.{name} {getattr(retention, name)}: use {least} or more: a case may be under way for so long "
        f"(poll.deadline, and {LATE_DAYS} days for questions and late deliveries)"
        for name in ("documents_days", "artifacts_days", "raw_days", "results_days", "records_days")
        if 0 < getattr(retention, name) < least
    ]
    locked = values.get("evidence_lock_days", 0)
    if 0 < retention.evidence_days < locked:
        found.append(
            f"retention.evidence_days {retention.evidence_days}: use {locked} or more: a delivery is locked for so "
            "long (evidence_lock_days)"
        )
    return found


def _for_a_sandbox(connection: Connection) -> bool:
    """Whether a connection only makes sense on somebody's own machine."""
    host = urlsplit(connection.base_url).hostname or ""
    try:
        loopback = ip_address(host).is_loopback
    except ValueError:
        loopback = host == "localhost" or host.endswith(".localhost")
    return connection.allow_insecure or loopback
