"""A deployment's settings: one file for each stage, CDK context (``-c name=value``), the environment."""

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
"""The settings file in the project's folder; ``-c settings=PATH`` names another."""
SHIPPED = "connections.toml"
"""The connections file if none is named."""
MOST_CONNECTIONS = 30
"""The most connections of one stage: the functions' roles name each, and IAM allows 10,240 characters of inline
policies a role (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html)."""
LONGEST_LOCK = 36_500
"""The most days of Object Lock: a century (https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock.html)."""
LATE_DAYS = 7
"""Days to keep a case's data beyond the longest wait: for questions, ``redrive`` and late deliveries."""

_NOT_OURS = frozenset({"acknowledged-issue-numbers", "cli-telemetry", "settings"})
"""Context of the CDK CLI, and the name of the settings file."""
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
"""Settings that are texts: the pattern, and the error text for a value that does not match."""
_LISTS = {
    "document_buckets": (_TEXTS["bucket_name"][0], "use names of buckets, with a comma between them"),
    "existing_secrets": (CONNECTION_NAME.strip("^$"), "use names of connections, with a comma between them"),
    "document_kms_keys": (_TEXTS["kms_key_arn"][0], "use ARNs of keys, with a comma between them"),
}


@dataclass(frozen=True, kw_only=True)
class Retention:
    """Days to keep each kind of data; 0 keeps it for as long as the bucket and the table exist."""

    documents_days: int = 0
    """Submitted documents: ``cases/…/documents/``."""
    artifacts_days: int = 0
    """The vendor's files: ``cases/…/artifacts/``."""
    raw_days: int = 0
    """The vendor's raw answers: ``cases/…/vendor/``."""
    results_days: int = 0
    """``result.json``, ``manifest.json`` and the revisions, and the lists of batches."""
    evidence_days: int = 0
    """Webhook deliveries: ``webhooks/``."""
    records_days: int = 0
    """The table's records of a case, from its end."""
    replaced_days: int = 30
    """Replaced or deleted versions of any object; these always expire."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """A stage's settings, and the names that follow from them. Stages share no name, so they can exist side by side."""

    root: Path
    """The project's folder, with ``functions``, ``layers`` and ``build``."""
    connections: Mapping[str, Connection]
    stage: str = "dev"
    architecture: Architecture = "arm64"
    dependency_layer: Path | None = None
    """A folder (with ``python/``) in place of the dependency layer that is built for Lambda."""
    allow_insecure: bool = False
    """Whether to deploy connections for a sandbox: loopback addresses, ``allow_insecure = true``."""
    document_buckets: tuple[str, ...] = ()
    """Buckets besides the artifact bucket that documents may come from."""
    document_kms_keys: tuple[str, ...] = ()
    """ARNs of the KMS keys that encrypt documents in those buckets."""
    retain: bool = True
    """Whether bucket, table and secrets outlive the stack."""
    table_name: str = ""
    """The table's name; by default CloudFormation generates one. The name attaches a retained table again."""
    bucket_name: str = ""
    """The artifact bucket's name, likewise."""
    existing_secrets: tuple[str, ...] = ()
    """Connections whose secret exists and belongs to no stack, if the deployer may not list secrets."""
    retention: Retention = field(default_factory=Retention)
    evidence_lock_days: int = 0
    """Days in which nobody can delete or replace a stored delivery (S3 Object Lock); 0 is off."""
    kms_key_arn: str = ""
    """The customer's KMS key for bucket, table, queues and secrets; by default AWS's own keys encrypt them."""
    webhook_rate: int = 100
    """Webhook requests per second, on average, before API Gateway answers 429."""
    webhook_burst: int = 200
    """Webhook requests at once before API Gateway answers 429."""
    webhook_reserved_concurrency: int = 0
    """Reserved concurrency of the webhook function; 0 reserves none."""
    reserve_concurrency: bool = False
    """Whether to limit the functions that call vendors by the connections' ``limits.concurrency``. Lambda takes such a
    limit from the account's concurrency, so the account needs the sum and 100 more."""
    alarm_email: str = ""
    """The e-mail address for alarms; AWS asks it to confirm."""
    alarm_topic_arn: str = ""
    """An existing SNS topic for alarms, in place of the stack's own."""
    dashboard: bool = True
    """Whether the stage has a CloudWatch dashboard."""
    results_tables: bool = True
    """Whether the stage has tables of results for SQL, in the Glue Data Catalog."""
    alarm_failed_cases: int = 1
    """Failed executions within an hour that raise an alarm."""
    tracing_layer_arn: str = ""
    """A Lambda layer of OpenTelemetry that instruments the functions; none by default, because it slows cold starts."""

    @classmethod
    def load(
        cls, context: Context, *, root: Path, environment: Mapping[str, str], names: Iterable[str] = ()
    ) -> Settings:
        """Read the settings: context before environment before file.

        Args:
            context: looks up what ``-c`` gave.
            root: the project's folder.
            environment: the process's environment (``DOSSIER_CONNECTIONS``).
            names: all keys of the context, to reject unknown ones.

        Raises:
            ConfigurationError: with one line for each problem: the place, the key, and the allowed values.

        """
        reader = _Reader(context, root, environment)
        reader.reject_unknown(names)
        values = reader.values()
        connections = reader.connections()
        problems = [*reader.problems, *reader.contradictions(values, connections)]
        if problems:
            raise ConfigurationError("\n".join(dict.fromkeys(problems)))
        return cls(root=root, connections=connections, **values)

    @property
    def prefix(self) -> str:
        """The prefix of secrets and the name of the event bus: ``dossier``, or ``dossier-<stage>`` except for dev."""
        return "dossier" if self.stage == "dev" else f"dossier-{self.stage}"

    @property
    def stack_name(self) -> str:
        """Name of the stack, and of the state machine in it."""
        return f"dossier-{self.stage}"

    @property
    def at_once(self) -> int:
        """The calls to vendors that all connections together allow at once."""
        return sum(each.limits.concurrency for each in self.connections.values())

    def named(self, *parts: str) -> str:
        """Return the name of a queue or a function of this stage."""
        return "-".join((self.stack_name, *parts))


class _Reader:
    """Reads the settings and collects every problem, instead of stopping at the first."""

    def __init__(self, context: Context, root: Path, environment: Mapping[str, str]) -> None:
        self.problems: list[str] = []
        self._context, self._root, self._environment = context, root, environment
        named = str(context("settings") or "").strip()
        self._path = root / (named or FILE)
        self._tables = tables.Tables()
        self._file = self._read_file(required=bool(named))

    def reject_unknown(self, names: Iterable[str]) -> None:
        """Report unknown names in the context and in the file, with a suggestion."""
        given = [each for each in names if not (each in _NOT_OURS or each.startswith("@") or ":" in each)]
        for prefix, keys in (("-c ", given), (f"{self._path.name}: ", self._file)):
            for key in keys:
                if key not in KNOWN:
                    place = "" if prefix == "-c " else self._line(key)
                    self.problems.append(f"{prefix}{key}: unknown setting{_meant(key)}{place}")

    def values(self) -> dict[str, Any]:
        """Return the settings by the names of their fields, without connections."""
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
        """The named connections file, or the shipped one."""
        _, value, folder = self._given("connections")
        return folder / str(value or SHIPPED)

    def connections(self) -> dict[str, Connection]:
        """Return the connections; none if their file is invalid."""
        try:
            return load_toml(self.connections_file)
        except ConfigurationError as error:
            self.problems += str(error).splitlines()
            return {}

    def contradictions(self, values: Mapping[str, Any], connections: Mapping[str, Connection]) -> list[str]:
        """Return the contradictions between settings that are each valid; ``values`` and ``connections`` are those."""
        found = []
        if len(connections) > MOST_CONNECTIONS:
            found.append(
                f"{len(connections)} connections: a stage has at most {MOST_CONNECTIONS}; deploy some as another stage"
            )
        sandbox = [f"[{name}]" for name, each in connections.items() if _for_a_sandbox(each)]
        _, insecure, _ = self._given("allow_insecure")
        if sandbox and not values.get("allow_insecure", insecure):  # a wrong value is reported as such
            found.append(
                f"{self.connections_file.name}: {', '.join(sandbox)} {'is' if len(sandbox) == 1 else 'are'} for a "
                "sandbox (a loopback address, or allow_insecure): describe your vendor accounts in a file, and name it "
                f'in {FILE}, connections = "my-connections.toml" (docs/deploy.md); to deploy a sandbox anyway, set '
                "allow_insecure = true"
            )
        if values.get("alarm_email") and values.get("alarm_topic_arn"):
            found.append("alarm_email and alarm_topic_arn exclude each other: subscribe the address to that topic")
        retention: Retention = values["retention"]
        least = ceil(max((each.poll.deadline for each in connections.values()), default=0) / 86400) + LATE_DAYS
        found += [
            self._too_few(
                name, least, f"a case may take that long (poll.deadline, and {LATE_DAYS} days for questions and late "
                "deliveries)",
            )
            for name in ("documents_days", "artifacts_days", "raw_days", "results_days", "records_days")
            if 0 < getattr(retention, name) < least
        ]  # fmt: skip
        locked = values.get("evidence_lock_days", 0)
        if 0 < retention.evidence_days < locked:
            found.append(self._too_few("evidence_days", locked, "deliveries are locked that long (evidence_lock_days)"))
        return found

    def _too_few(self, name: str, least: int, why: str) -> str:
        named, value, _ = self._given(f"{_RETENTION}{name}")
        place = self._line(f"{_RETENTION}{name}") if named != f"{_RETENTION}{name}" else ""
        return f"{named} {str(value).strip()}: use {least} or more: {why}{place}"

    def _line(self, key: str) -> str:
        """Return the line of a key in the settings file, as the end of a message."""
        line = self._tables.line(key.split("."))
        return f" (line {line})" if line else ""

    def _given(self, key: str) -> tuple[str, object, Path]:
        """Return a setting's name in its source, its value (None: not set), and the base folder of paths."""
        value = self._context(key)
        if value is not None and str(value).strip():
            return key, value, self._root
        if key == "connections" and self._environment.get("DOSSIER_CONNECTIONS"):
            return "DOSSIER_CONNECTIONS", self._environment["DOSSIER_CONNECTIONS"], self._root
        if key in self._file:
            return f"{self._path.name}: {key}", self._file[key], self._path.parent
        return key, None, self._root

    def _read_file(self, *, required: bool) -> dict[str, object]:
        """Return the values of the settings file by key, those of a table by ``table.key``."""
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
    """A setting's value is invalid: the text names the allowed values, ``shown`` the invalid part."""

    def __init__(self, use: str, shown: str = "") -> None:
        super().__init__(use)
        self.shown = shown


def _meant(key: str) -> str:
    """Return a suggestion for an unknown setting, which may be in the wrong table."""
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
"""The name of every setting in the file and for ``-c``."""
_FLAGS = frozenset(each.name for each in fields(Settings) if each.type == "bool")
_MOST = {"evidence_lock_days": LONGEST_LOCK, "webhook_reserved_concurrency": 1000, "alarm_failed_cases": 1_000_000}


def _read(key: str, value: object, folder: Path) -> Any:
    """Return a setting's value from the raw value of ``-c`` (always text) or the file.

    Raises:
        _WrongError: the value is invalid.

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
        raise _WrongError('it has no folder "python"')
    return folder


def _for_a_sandbox(connection: Connection) -> bool:
    """Return whether a connection only works on the user's own machine."""
    host = urlsplit(connection.base_url).hostname or ""
    try:
        loopback = ip_address(host).is_loopback
    except ValueError:
        loopback = host == "localhost" or host.endswith(".localhost")
    return connection.allow_insecure or loopback
