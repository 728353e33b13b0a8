"""The connections file for a local run: which connections use the sandbox, and with which keys."""

import json
import os
import tomllib
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

import boto3

from dossier.connections import load_toml
from dossier.errors import ConfigurationError
from dossier.settings import Connection
from infra.outputs import Outputs
from local.deploy import ACCESS_KEY, REGION, SECRET_KEY
from local.home import DEFAULT_SANDBOX_PORT, HOST, ROOT, Home, LocalError

DEFAULT = ROOT / "connections.toml"
"""The repository's own connections file, for the sandbox."""
_ACCOUNTS = ROOT / "local" / "sandbox" / "accounts.toml"
_LOOPBACK = (HOST, "localhost")


def at_sandbox(connection: Connection, home: Home) -> bool:
    """Return whether a connection's vendor is the sandbox."""
    try:
        address = urlsplit(connection.base_url)
        return address.hostname in _LOOPBACK and address.port == home.sandbox_port
    except ValueError:  # an invalid port
        return False


def choose(given: Path | None) -> Path:
    """Return the given file, or the one that ``DOSSIER_CONNECTIONS`` names, or the repository's own.

    Raises:
        LocalError: if there is no such file.

    """
    file = given or Path(os.environ.get("DOSSIER_CONNECTIONS") or DEFAULT)
    file = file.expanduser().resolve()
    if not file.is_file():
        raise LocalError(f"there is no connections file {file}")
    return file


def for_this_sandbox(file: Path, home: Home) -> Path:
    """Return the file to deploy: a copy of the repository's own for another port."""
    if file != DEFAULT or home.sandbox_port == DEFAULT_SANDBOX_PORT:
        return file
    text = file.read_text(encoding="utf-8")
    copy = home.folder / "connections.toml"
    copy.write_text(text.replace(f"{HOST}:{DEFAULT_SANDBOX_PORT}", f"{HOST}:{home.sandbox_port}"), encoding="utf-8")
    return copy


def read(file: Path) -> list[Connection]:
    """Read the connections as the app does, with all defaults.

    Raises:
        LocalError: the file is invalid; one line says why.

    """
    try:
        return list(load_toml(file).values())
    except ConfigurationError as error:
        raise LocalError(str(error)) from None


def connect(home: Home, connections: list[Connection], found: Outputs) -> None:
    """Store the sandbox's keys for the connections that use it, and register their webhook URLs at the sandbox.

    Raises:
        LocalError: if the sandbox rejects a URL.

    """
    if not connections:
        return
    accounts = tomllib.loads(_ACCOUNTS.read_text(encoding="utf-8"))
    client = boto3.client(
        "secretsmanager",
        endpoint_url=found.endpoint_url,
        region_name=REGION,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
    )
    for connection in connections:
        account = accounts.get(connection.vendor)
        if account is None:
            continue
        name, keys = f"dossier/{connection.name}", [account["webhook_secret"]] if account.get("webhook_secret") else []
        secret = json.dumps({"api_key": account["api_key"], "webhook_secrets": keys})
        try:
            client.put_secret_value(SecretId=name, SecretString=secret)
        except client.exceptions.ResourceNotFoundException:
            client.create_secret(Name=name, SecretString=secret)
        if connection.webhook is not None and keys:
            token = f"/{keys[0]}" if connection.webhook.scheme == "path-token" else ""
            _register(home, connection.vendor, found.webhook_urls[connection.name] + token)


def _register(home: Home, vendor: str, url: str) -> None:
    request = urllib.request.Request(  # noqa: S310 - the sandbox, on the loopback
        f"{home.sandbox_url}/_sandbox/webhooks",
        data=json.dumps({"vendor": vendor, "url": url}).encode(),
        headers={"Content-Type": "application/json"},
        method="POST",
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        opener.open(request, timeout=10).close()
    except urllib.error.URLError as error:
        raise LocalError(f"the sandbox rejected the webhook URL of {vendor}: {error}") from None
