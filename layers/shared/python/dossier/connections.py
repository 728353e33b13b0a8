"""The connections: read from ``connections.toml`` at synth, and from the settings layer at run time.

``connections.toml`` has a table for each connection. :func:`load_toml` validates it, so that a wrong key fails the
deployment and not a case. :func:`dump` writes it with all defaults as the JSON file of the settings layer (package
``dossier_settings``), which :func:`load_runtime` reads. Secrets are in Secrets Manager instead.

The module imports nothing heavy at the top, because the webhook function calls :func:`webhook_settings` on a cold start
and must not wait for pydantic.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from dossier.errors import ConfigurationError, InvalidCaseError
from dossier.suggestions import closest, did_you_mean, suggested

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError
    from pydantic_core import ErrorDetails

    from dossier.settings import Connection
    from dossier.tables import Tables

LAYER_PACKAGE = "dossier_settings"
"""The package in the settings layer."""
LAYER_FILE = "connections.json"
"""The file in that package, written by :func:`dump`."""

_SECRET_KEYS = frozenset({"api_key", "apikey", "key", "password", "secret", "secrets", "token", "webhook_secrets"})
_PLAIN = {
    "float_parsing": "must be a valid number",
    "int_parsing": "must be a valid number",
    "string_too_short": "must not be empty",
    "tuple_type": 'must be a list, such as ["one", "two"]',
}
"""Plain texts for pydantic's problems, by their type. A minimum length is always one character."""


def load_toml(path: Path) -> dict[str, Connection]:
    """Read and validate a ``connections.toml``.

    Returns:
        The connections by name, in the file's order.

    Raises:
        ConfigurationError: with one line for each problem, ``<file>: [<table>] <key>: <problem> (line <n>)``. Values
            are left out, because they may be secrets in the wrong place.

    """
    problems: list[tuple[int, str]] = []
    found: dict[str, Connection] = {}
    try:
        tables = _parse(path)
        if not tables.data and not tables.problems:
            raise ConfigurationError("has no connections: add a table such as [invoices]")
        for line, what in tables.problems:
            separator = ", " if what.startswith("column ") else ": "
            problems.append((line, f"line {line}{separator}{what}"))
        for name, table in tables.data.items():
            connection = _connection(name, table, tables, problems)
            if connection is not None:
                found[name] = connection
        if not problems:
            _check_accounts(found)
    except ConfigurationError as error:
        raise ConfigurationError(f"{path.name}: {error}") from None
    if problems:
        raise ConfigurationError("\n".join(f"{path.name}: {' '.join(what.split())}" for _, what in sorted(problems)))
    return found


def dump(connections: Mapping[str, Connection]) -> str:
    """Return the connections as JSON for the settings layer, with all defaults and in a stable form."""
    data = {name: connection.model_dump(mode="json", by_alias=True) for name, connection in connections.items()}
    return json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def load_runtime(name: str) -> Connection:
    """Return a connection from the settings layer.

    Raises:
        InvalidCaseError: there is no such connection; the message names the existing ones.

    """
    if name not in _layer():
        raise InvalidCaseError(f'unknown connection "{name}": use one of {", ".join(runtime_names())}')
    return _load_known(name)


def runtime_names() -> list[str]:
    """Return the names of the connections in the settings layer, sorted."""
    return sorted(_layer())


def webhook_settings(name: str) -> dict[str, Any] | None:
    """Return a connection's ``webhook`` table from the settings layer, with all defaults.

    None if there is no such connection, or it has no webhook. Imports neither pydantic nor a vendor.
    """
    settings: dict[str, Any] | None = _layer().get(name, {}).get("webhook")
    return settings


def webhook_names() -> list[str]:
    """Return the names of the connections with a webhook, sorted."""
    return sorted(name for name, settings in _layer().items() if settings.get("webhook"))


@cache
def _layer() -> dict[str, dict[str, Any]]:
    text = resources.files(LAYER_PACKAGE).joinpath(LAYER_FILE).read_text(encoding="utf-8")
    data: dict[str, dict[str, Any]] = json.loads(text)
    return data


@cache
def _load_known(name: str) -> Connection:
    from dossier.vendors import connection_model  # noqa: PLC0415  # not for the webhook's cold start

    data = _layer()[name]
    return connection_model(data["vendor"]).model_validate(data)


def _parse(path: Path) -> Tables:
    from dossier.tables import read  # noqa: PLC0415  # not for the webhook's cold start

    try:
        return read(path.read_bytes().decode("utf-8-sig"))
    except (FileNotFoundError, NotADirectoryError):
        raise ConfigurationError(
            "there is no such file: write it, or name another by -c connections=PATH or DOSSIER_CONNECTIONS"
        ) from None
    except OSError as error:
        raise ConfigurationError(f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"is not UTF-8 text (byte {error.start})") from None


def _connection(name: str, table: object, tables: Tables, problems: list[tuple[int, str]]) -> Connection | None:
    """Return the connection of a table; None if it is wrong, with the reasons added to ``problems``."""
    from pydantic import ValidationError  # noqa: PLC0415  # not for the webhook's cold start

    def wrong(what: str, *key: object) -> None:
        line = tables.line((name, *key))
        problems.append((line or 0, f"{what} (line {line})" if line else what))

    problem = _misnamed(name, table)
    if problem or not isinstance(table, dict):
        wrong(problem)
        return None
    if "name" in table:
        wrong(f"[{name}] name: unknown key: the table's name is the connection's name", "name")
        table = {key: value for key, value in table.items() if key != "name"}
    try:
        model = _model(name, table)
    except ConfigurationError as error:
        if "vendor" in table or not tables.torn & {(), (name,)}:
            wrong(str(error), "vendor")
        return None
    try:
        return model.model_validate({**table, "name": name})
    except ValidationError as error:
        for key, what in _problems(error, model, torn=bool(tables.torn & {(), (name,)})):
            shown = ".".join(map(str, key))
            wrong(f"[{name}] {shown}: {what}" if shown else f"[{name}]: {what}", *key)
        return None


def _misnamed(name: str, table: object) -> str:
    """Return why a connection's name is invalid, or an empty text."""
    from dossier.settings import CONNECTION_NAME  # noqa: PLC0415  # not for the webhook's cold start

    if isinstance(table, list):
        return f"[[{name}]]: a connection is one table: write [{name}]"
    if not isinstance(table, dict):
        return f"{name}: a key outside of a table: write the connection's name on a line above it, such as [invoices]"
    if not re.fullmatch(CONNECTION_NAME, name):
        return f"[{name}]: a name is 1 to 32 letters, digits, '_' and '-', beginning with a letter"
    if name.endswith("-dlq"):
        return f'[{name}]: a name cannot end in "-dlq": queues of dead letters have such names'
    return ""


def _check_accounts(connections: Mapping[str, Connection]) -> None:
    """Reject connections with the same account that differ in settings of the account.

    Raises:
        ConfigurationError: names both.

    """
    first: dict[str, Connection] = {}
    for each in connections.values():
        if each.account is None:
            continue
        other = first.setdefault(each.account, each)
        for key in ("vendor", "base_url"):
            if getattr(each, key) != getattr(other, key):
                raise ConfigurationError(
                    f"[{each.name}] account: [{other.name}] has the same account but another {key}: use another account"
                )
        for key in ("requests_per_second", "concurrency"):
            if getattr(each.limits, key) != getattr(other.limits, key):
                raise ConfigurationError(
                    f"[{each.name}] limits.{key}: [{other.name}] has the same account but another value: "
                    "use the same value for both"
                )


def _model(name: str, table: Mapping[str, object]) -> type[Connection]:
    from dossier import vendors  # noqa: PLC0415  # not for the webhook's cold start

    known = vendors.names()
    if "vendor" not in table:
        typed = closest("vendor", table)
        hint = f'; you wrote "{typed}"' if typed else ""
        raise ConfigurationError(f"[{name}] vendor: missing: use one of {', '.join(known)}{hint}")
    vendor = table["vendor"]
    if not isinstance(vendor, str) or vendor not in known:
        raise ConfigurationError(
            f"[{name}] vendor: unknown vendor: use one of {', '.join(known)}{did_you_mean(str(vendor), known)}"
        )
    return vendors.connection_model(vendor)


def _problems(
    error: ValidationError, model: type[Connection], *, torn: bool
) -> Iterator[tuple[tuple[int | str, ...], str]]:
    """Yield each wrong key with its problem, without a missing key for which a misspelt one was meant."""
    found = error.errors(include_url=False, include_input=False)
    meant = set()
    for each in found:
        if each["type"] == "extra_forbidden":
            *parents, key = each["loc"]
            near = closest(str(key), _keys(model, parents))
            meant |= {(*parents, near)} if near else set()
    for each in found:
        if each["type"] == "default_factory_not_called":  # of a key that nobody gave: another key beside it is wrong
            continue
        if each["type"] != "missing" or not (torn or each["loc"] in meant):
            yield each["loc"], _what(each, model)


def _what(problem: ErrorDetails, model: type[Connection]) -> str:
    *parents, key = [*problem["loc"]] or [""]
    if problem["type"] == "extra_forbidden":
        if str(key).lower().replace("-", "_") in _SECRET_KEYS:
            return "unknown key: secrets belong in Secrets Manager (dossier secrets set)"
        return f"unknown key{suggested(str(key), _keys(model, parents))}"
    if problem["type"] == "missing":
        return "missing"
    return _PLAIN.get(problem["type"]) or problem["msg"].removeprefix("Value error, ").replace(
        "Input should be", "must be"
    )


def _keys(model: type[BaseModel], parents: Iterable[str | int]) -> list[str]:
    """Return the valid keys of the table at ``parents`` in ``model``; none if there is no such table."""
    for part in parents:
        field = model.model_fields.get(str(part))
        inner = next(_models(field.annotation), None) if field else None
        if inner is None:
            return []
        model = inner
    return [field.alias or name for name, field in model.model_fields.items() if name != "name"]


def _models(annotation: object) -> Iterator[type[BaseModel]]:
    """Yield the models in a field's annotation (``Webhook | None`` has one)."""
    from pydantic import BaseModel  # noqa: PLC0415  # not for the webhook's cold start

    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)
