"""Planted keys, tokens, signed URLs and contents: after a whole case, none is in a wrong place."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

import dossier
from dossier.errors import DossierError
from dossier.observe import logger
from dossier.transport import Transport
from local.sandbox import accounts
from tests.conftest import Cloud
from tests.machine import TRIES, World

CONTENT = "planted-content-71c2e9"
FILES = {"a.pdf": f"%PDF-1.7\n{CONTENT}\n%%EOF\n".encode(), "b.pdf": f"%PDF-1.7\nother {CONTENT}\n%%EOF\n".encode()}
HOLDS_CONTENT = ("/documents/", "/artifacts/", "/vendor/", "staging/")
HOLDS_TOKENS = ("WAIT", "ASK#")
KEYS = tuple(accounts.load().keys().values())


class Watch:
    """Everything that the code writes: calls to AWS with their parameters, errors with their causes."""

    def __init__(self, cloud: Cloud) -> None:
        self.calls: list[tuple[str, Mapping[str, Any]]] = []
        self.errors: list[str] = []
        cloud.session.events.register("provide-client-params", self._note)

    def _note(self, params: Mapping[str, Any], model: Any, **_: Any) -> None:
        self.calls.append((f"{model.service_model.service_name}.{model.name}", dict(params)))

    def watched(self, world: World) -> World:
        """Note the errors of a world's steps too, as a function's log would print them."""
        real = world._try

        def trying(step: Callable[[], Any]) -> Any:
            def noting() -> Any:
                try:
                    return step()
                except DossierError as error:
                    self.errors.append("".join(traceback.format_exception(error)))
                    raise

            return real(noting)

        world._try = trying  # type: ignore[method-assign]
        return world

    def written(self) -> Iterator[tuple[str, str]]:
        """Yield a place and its text, without the contents of files for documents and results."""
        for name, params in self.calls:
            given = dict(params)
            key = str(given.get("Key", ""))
            if name.startswith("s3.") and any(each in f"/{key}" or key.startswith(each) for each in HOLDS_CONTENT):
                given.pop("Body", None)
            if str(given.get("Item", {}).get("sk", "")).startswith(HOLDS_TOKENS):
                given["Item"] = {key: value for key, value in given["Item"].items() if key != "token"}
            yield name, str(given)
        yield from (("error", text) for text in self.errors)


def signatures(world: World) -> list[str]:
    """Return the signatures of every URL that storage was asked for."""
    queries = [entry["query"] for entry in world.journal() if "Signature=" in entry["query"]]
    return [query.partition("Signature=")[2].partition("&")[0] for query in queries]


def search(watch: Watch, texts: Mapping[str, str], planted: list[str]) -> list[tuple[str, str]]:
    """Return every place where something planted is found."""
    places = [*watch.written(), *texts.items()]
    return [(where, secret) for where, text in places for secret in planted if secret in text]


@pytest.fixture
def talkative(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """Turn on every log: the root and our own at DEBUG, as an operator in trouble does."""
    level = logger.log_level
    logger.setLevel("DEBUG")
    with caplog.at_level(logging.DEBUG), caplog.at_level(logging.WARNING, "moto"):
        yield caplog
    logger.setLevel(level)


@pytest.mark.rule("security: get a key, a task token, a signed URL or a document's content")
@pytest.mark.parametrize("connection", ["invoices", "claims", "disputes"])
def test_nothing_planted_is_found_after_a_case(
    cloud: Cloud, talkative: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], connection: str
) -> None:
    """Keys, task tokens, signed URLs and contents are in no log, item, message, event, result or error of a case."""
    watch = Watch(cloud)
    world = watch.watched(World(cloud))
    assert world.submit(connection, "R-1", FILES)["status"] == "completed"
    planted = [*KEYS, *world.tokens.answers, CONTENT, *signatures(world)]
    assert len(planted) >= 3 + 1 + 1 + (connection == "claims") * 2
    out, err = capfd.readouterr()
    assert search(watch, {"log": talkative.text, "stdout": out, "stderr": err}, planted) == []
    assert {where for where, _ in search(watch, {}, ["R-1"])} >= {
        "dynamodb.PutItem", "dynamodb.UpdateItem", "s3.PutObject", "sqs.SendMessage", "events.PutEvents",
    }  # fmt: skip


def _wrong_key(world: World) -> None:
    world.transport._keys = Wrong()


def _untrusted(world: World) -> None:
    secure = {"allow_insecure": False, "storage_hosts": ()}
    real = world.connections["claims"]
    world.connections["claims"] = real.model_copy(update=secure)


def _cut(world: World) -> None:
    faults = {"truncated": {"rate": 1, "operation": "download"}}
    world.sandbox.post("/_sandbox/settings", json={"faults": faults}).raise_for_status()


class Wrong:
    """A key that the vendor rejects."""

    def api_key(self, connection: str, *, fresh: bool = False) -> str:
        """Return it."""
        return "planted-wrong-key-3d91"


@pytest.mark.rule("security: get a key, a task token, a signed URL or a document's content")
@pytest.mark.parametrize("spoil", [_wrong_key, _untrusted, _cut], ids=["wrong key", "untrusted URL", "cut download"])
def test_nothing_planted_is_found_after_a_failure(
    cloud: Cloud,
    talkative: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    spoil: Callable[[World], None],
) -> None:
    """An error's text, with the causes that a log would print, contains no secret either."""
    watch = Watch(cloud)
    world = watch.watched(World(cloud))
    spoil(world)
    if spoil is _cut:
        with pytest.raises(AssertionError, match="gave up"):
            world.submit("claims", "R-1", FILES)
        assert len(watch.errors) == TRIES
    else:
        expected = "completed_with_failures" if spoil is _untrusted else "failed"
        assert world.submit("claims", "R-1", FILES)["status"] == expected
    assert watch.errors or spoil is _untrusted
    planted = [*KEYS, "planted-wrong-key-3d91", *world.tokens.answers, CONTENT, *signatures(world), "Signature="]
    out, err = capfd.readouterr()
    assert search(watch, {"log": talkative.text, "stdout": out, "stderr": err}, planted) == []


@pytest.mark.rule("security: read a presigned URL that a caller put in the wrong place")
def test_a_signed_url_in_the_wrong_place_is_not_repeated(cloud: Cloud, talkative: pytest.LogCaptureFixture) -> None:
    """A presigned URL in place of an S3 URI is rejected with a reason that does not repeat its signature."""
    watch = Watch(cloud)
    world = watch.watched(World(cloud))
    url = "https://bucket.s3.amazonaws.com/a.pdf?X-Amz-Signature=planted-signature"
    case = {"connection": "claims", "reference": "R-1", "documents": [{"uri": url}]}
    result = world.execute(case, "arn:1")
    assert result["status"] == "failed"
    assert "https://bucket.s3.amazonaws.com/a.pdf: docsumo reads no URLs" in result["reason"]
    assert search(watch, {"log": talkative.text}, ["planted-signature"]) == []


@pytest.mark.rule("security: read the libraries' debug logs")
def test_the_network_is_silent() -> None:
    """Libraries that log URLs, headers and bodies below WARNING are held there, whatever the root's level."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.DEBUG)
    try:
        children = ("httpx", "httpcore.http11", "httpcore.connection", "botocore.endpoint", "botocore.auth",
                    "boto3.resources.action", "s3transfer.utils", "urllib3.connectionpool")  # fmt: skip
        for name in (*dossier.TALKATIVE, *children):
            assert not logging.getLogger(name).isEnabledFor(logging.INFO), name
    finally:
        root.setLevel(level)


def test_a_transport_shows_no_key(cloud: Cloud) -> None:
    """No object on the way shows its secret when it is printed."""
    secret = cloud.app.secrets
    manager = cloud.session.client("secretsmanager")
    text = '{"api_key": "planted-1", "webhook_secrets": ["planted-2"]}'
    manager.create_secret(Name="dossier/claims", SecretString=text)
    shown = repr(secret.get("claims")) + str(secret.get("claims")) + repr(secret) + repr(vars(Transport))
    assert "planted" not in shown
