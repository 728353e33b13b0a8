"""``dossier secrets set``: stores a connection's secret, and never prints it."""

from __future__ import annotations

import json
import select
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from cli.deployed import settings_file, settings_of
from cli.errors import BadUsageError, explain
from cli.output import Output, asked, confirmed
from cli.replay import apply_again
from cli.target import Target
from dossier import vendors
from dossier.errors import ConfigurationError, DossierError, UnauthorizedError
from dossier.signatures import standard_key
from dossier.steps.replay import provable
from dossier.stores.evidence import id_of
from dossier.stores.queues import WAKE
from dossier.texts import counted

SHORTEST = 16
"""The least characters of a good webhook secret: evidence stores an HMAC keyed with it, which allows guessing."""
LONGEST_INPUT, MOST_LINES = 1 << 16, 11
"""The most bytes and lines to read: a key, and more webhook secrets than any rotation has."""
PATIENCE = 2.0
"""Seconds to wait for standard input where it may be open without a writer."""


def put(
    out: Output,
    where: Target,
    connection: str,
    *,
    api_key: str | None,
    webhook_secrets: Sequence[str],
    from_file: Path | None = None,
    apply_refused: bool | None = None,
    check: bool = True,
) -> None:
    """Store ``{"api_key", "webhook_secrets"}``; ask for missing parts on a terminal, or read them.

    ``from_file`` (``-`` is standard input), or standard input if it is not a terminal, has the API key first, then one
    webhook secret a line. A missing part stays unchanged. ``apply_refused`` applies deliveries that were rejected
    before and that the secret proves now; None asks on a terminal, and otherwise leaves them.

    With ``check``, the vendor is asked whether it accepts a new key, after the key is stored.

    Raises:
        BadUsageError: a part is blank; or there is no key, and no terminal to ask on.

    """
    where.require(connection)
    if api_key is not None and not api_key.strip():
        raise BadUsageError("--api-key is blank: give the key, or leave the option out to be asked for it")
    if not all(each.strip() for each in webhook_secrets):
        raise BadUsageError("--webhook-secret is blank: give the secret, or leave the option out")
    name = f"{where.secret_prefix}/{connection}"
    client = where.session.client("secretsmanager")
    present = read(client, name) or {"api_key": "", "webhook_secrets": []}
    key, secrets = api_key, list(webhook_secrets)
    if from_file is None and sys.stdin.isatty():
        key = key or asked("API key (enter keeps the present one)" if present["api_key"] else "API key")
        secrets = secrets or _ask_secrets(present["webhook_secrets"])
    else:
        key, secrets = _filled(key, secrets, _lines(from_file, given=bool(key) + bool(secrets)))
        if key is None and not ((secrets or apply_refused) and present["api_key"]):
            raise BadUsageError(
                "no API key is given",
                fix=f"run `dossier secrets set {connection}` on a terminal, which asks for it, or with the key on "
                "standard input (an option would stay in the shell's history)",
            )
    secret = {
        "api_key": (key or present["api_key"]).strip(),
        "webhook_secrets": [each.strip() for each in secrets] or present["webhook_secrets"],
    }
    if not secret["api_key"]:
        raise BadUsageError("a connection needs an API key: nothing was stored")
    text = json.dumps(secret)
    try:
        client.put_secret_value(SecretId=name, SecretString=text)
    except client.exceptions.ResourceNotFoundException:
        client.create_secret(Name=name, SecretString=text)
    number = len(secret["webhook_secrets"])
    document: dict[str, Any] = {"connection": connection, "secret": name, "api_key": True, "webhook_secrets": number}
    for each in weaknesses(secret["webhook_secrets"]):
        out.progress(f"warning: {each}")
    out.line(f"{name}: an API key and {counted(number, 'webhook secret')}")
    document |= _checked(out, where, connection, new=key is not None, wanted=check)
    out.document({**document, **_refused_before(out, where, connection, secret["webhook_secrets"], apply_refused)})


def _checked(out: Output, where: Target, connection: str, *, new: bool, wanted: bool) -> dict[str, Any]:
    """Ask the vendor whether it accepts a stored key, and print its answer; return it for programs.

    The result is empty if the vendor cannot be reached or the connections file does not describe the connection.
    """
    settings = settings_of(where).get(connection)
    if not new or not wanted or settings is None:
        if new and wanted:
            out.progress(
                f"the key is not checked: [{connection}] is not in {settings_file(where)} (DOSSIER_CONNECTIONS)"
            )
        return {}
    vendor = vendors.vendor(settings)
    try:
        where.app.secrets.api_key(connection, fresh=True)
        seen = where.app.transport.run(vendor.check(), vendor=vendor)
    except (UnauthorizedError, ConfigurationError) as error:
        out.progress(
            f"warning: {error}; the key is stored nevertheless: compare it with the vendor's, and set it again"
        )
        return {"key_accepted": False, "vendor_said": str(error)}
    except DossierError as error:
        out.progress(f"the key is stored, but could not be checked ({error}): run `dossier doctor` later")
        return {}
    out.line(f"{settings.vendor} accepts the key: {seen}")
    return {"key_accepted": True, "vendor_said": seen}


def weaknesses(secrets: Sequence[str]) -> list[str]:
    """Return the weaknesses of usable webhook secrets, without showing any secret."""
    short = [each for each in secrets if len(each) < SHORTEST]
    return [f"a webhook secret has fewer than {SHORTEST} characters: ask the vendor for a longer one"] if short else []


def unusable(secrets: Sequence[str], scheme: str) -> list[str]:
    """Return why webhook secrets that somebody stored without the command cannot verify a delivery."""
    found = []
    if any(each != each.strip() for each in secrets):
        found.append("a webhook secret begins or ends with white space, so every delivery is rejected")
    if scheme == "standard-webhooks" and not all(standard_key(each.strip()) for each in secrets):
        found.append("a webhook secret is not base64, as Standard Webhooks require, so every delivery is rejected")
    return found


def _filled(key: str | None, secrets: list[str], lines: list[str]) -> tuple[str | None, list[str]]:
    """Return key and webhook secrets, with missing parts taken from the lines."""
    if key is None and lines:
        first, *lines = lines
        key = first or None  # a blank first line keeps the present key
    more = [each for each in lines if each]
    if more and secrets:
        raise BadUsageError("webhook secrets are given both as options and in the input: give them once")
    return key, secrets or more


def _lines(file: Path | None, *, given: int) -> list[str]:
    """Return the stripped lines of a file, or of standard input where a part is missing.

    If key or webhook secrets are given, standard input may be open without anybody writing to it.
    """
    if file is None and (given == 2 or (given and not _readable(sys.stdin))):
        return []
    source = sys.stdin.buffer if file is None or str(file) == "-" else file.open("rb")
    with nullcontext(source) if source is sys.stdin.buffer else source:
        body = source.read(LONGEST_INPUT + 1)
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadUsageError("the input is not text: give the API key, then one webhook secret per line") from None
    lines = [each.strip() for each in text.rstrip().splitlines()]
    if len(body) > LONGEST_INPUT or len(lines) > MOST_LINES or not all(each.isprintable() for each in lines):
        raise BadUsageError("the input is not a secret: give the API key, then one webhook secret per line")
    return lines


def _readable(stream: Any) -> bool:
    """Return whether a stream has data, or ends, within ``PATIENCE``."""
    try:
        return bool(select.select([stream], [], [], PATIENCE)[0])
    except (OSError, ValueError):  # not a file of the operating system
        return True


def _refused_before(
    out: Output, where: Target, connection: str, secrets: Sequence[str], apply: bool | None
) -> dict[str, Any]:
    """Look for rejected deliveries that a secret proves now, and apply them if the user wants that."""
    known = settings_of(where).get(connection)
    if not secrets or known is None or known.webhook is None:
        return {}
    store = where.app.evidence
    try:
        found = list(provable(connection, store=store, webhook=known.webhook, secrets=secrets))
    except (BotoCoreError, ClientError) as error:
        out.progress(f"the secret is stored; cannot look for rejected deliveries: {explain(error).line}")
        return {}
    if not found:
        return {}
    what = f"{len(found)} {'delivery' if len(found) == 1 else 'deliveries'} from before the secret was set"
    if apply is None:
        apply = not out.as_json and sys.stdin.isatty() and confirmed("apply rejected deliveries", what)
    if apply:
        enqueue = partial(where.queues.send, WAKE)
        for each in reversed(found):
            apply_again(where, each.key, each.evidence, webhook=known.webhook, secrets=secrets, enqueue=enqueue)
        out.line(f"{what}: verified, and queued")
    else:
        out.progress(f"{what} can be verified now: `dossier secrets set {connection} --apply-refused` applies them")
    ids = [id_of(each.key) for each in found]
    return {"refused_before": {"proven": len(found), "applied": len(found) if apply else 0, "ids": ids}}


def read(client: Any, name: str) -> dict[str, Any] | None:
    """Return a secret's parts; None if it does not exist or has no value yet, empty parts if its JSON is not ours."""
    try:
        text = client.get_secret_value(SecretId=name).get("SecretString") or ""
    except ClientError as error:
        if error.response["Error"]["Code"] == "ResourceNotFoundException":
            return None
        raise
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    value = value if isinstance(value, dict) else {}
    key, secrets = value.get("api_key"), value.get("webhook_secrets")
    return {
        "api_key": key if isinstance(key, str) else "",
        "webhook_secrets": [each for each in secrets if isinstance(each, str) and each]
        if isinstance(secrets, list)
        else [],
    }


def _ask_secrets(present: Sequence[str]) -> list[str]:
    """Ask for webhook secrets until one is left empty: the current one, then any that is still valid."""
    secrets: list[str] = []
    keeps = "keeps the present ones" if present else "for none"
    while given := asked(f"Webhook secret (enter {keeps})" if not secrets else "One more (enter for none)"):
        secrets.append(given)
    return secrets
