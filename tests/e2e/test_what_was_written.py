"""Planted values, searched for in everything that the deployment has written during the suite. Runs last."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterable
from urllib.parse import quote

import pytest

from tests.e2e.otherservers import Docsumo
from tests.e2e.rotation import CALLED, ROTATED, new_key, new_secret
from tests.e2e.world import ACCOUNTS, CONTENT, KEYLESS, WEBHOOK_SECRETS, WRONG, World, until
from tests.e2e.written import Written, written

EXTRACTED = ("It concerns “£142”.", "Zoë: Ünal", "%PDF- generated")
"""Texts of these vendors about documents, and in their results."""
IN_RESULTS = ("content ", "object cases/", "object collecting/")
"""The places for these texts: the files of a case, its result.json, and a refresh's collection."""
SIGNED = ("X-Amz-Signature", "X-Amz-Credential", "X-Goog-Signature", "X-Goog-Credential", "Signature=", "?sig=")
CONTROL = "planted-for-control-90b3"


def keys() -> set[str]:
    """Return every API key and webhook secret that was ever set."""
    api = {WRONG.get(each.name, each.key) for each in ACCOUNTS if each.name != KEYLESS}
    # the accounts of a rotation have their next key by now
    before = {f"key-of-{name}" for name in ROTATED} | {"ds_live_turnstile"}
    hooks = {secret for name in WEBHOOK_SECRETS for secret in World.secrets(name)}
    return {*api, *before, *hooks, *map(new_key, ROTATED), *map(new_secret, CALLED)}


def stored_keys(world: World) -> set[str]:
    """Return every API key and webhook secret that is stored where they belong."""
    found: set[str] = set()
    manager = world.client("secretsmanager")
    for secret in manager.list_secrets()["SecretList"]:
        value = json.loads(manager.get_secret_value(SecretId=secret["ARN"])["SecretString"])
        found |= {value["api_key"], *value["webhook_secrets"]} if value.get("api_key") else set()
    return found


def signatures(world: World) -> set[str]:
    """Return the signature of every link to storage that a vendor gave out."""
    desks = [each for each in world.vendors.desks.values() if isinstance(each, Docsumo)]
    return {signature for desk in desks for _, _, signature in desk.links.values()}


def found(places: Iterable[Written], planted: Iterable[str], *, but: tuple[str, ...] = ()) -> set[tuple[str, str]]:
    """Return each planted value with its place, in plain form or as JSON or a URL would write it."""
    forms = [(each, form) for each in planted for form in {each, json.dumps(each)[1:-1], quote(each, safe="")}]
    searched = [(where, text) for where, text in places if not where.startswith(but)]
    return {(where, each) for where, text in searched for each, form in forms if form in text}


def kinds(places: Iterable[tuple[str, str]]) -> set[str]:
    """Return the kinds of places that something was found in."""
    return {where.partition(" ")[0] for where, _ in places}


def misplace_a_signed_url(world: World) -> str:
    """Submit a case with a presigned URL where an S3 URI belongs; return its execution."""
    url = "https://bucket.s3.amazonaws.com/a.pdf?X-Amz-Signature=planted-signature"
    case = {"connection": "intake", "reference": world.name("misplaced"), "documents": [{"uri": url}]}
    arn = world.start(case, f"misplaced-{uuid.uuid4()}")
    ended = world.ended(arn)
    assert ended["error"] == "InvalidCaseError"
    assert "Signature" not in ended["cause"]
    return arn


@pytest.mark.rule("security: get the same from a whole deployment")
def test_nothing_planted_is_found_after_the_whole_suite(world: World, calm: None) -> None:
    """No key, secret, task token, signed URL or content of a document is in any log, metric, event, item or object."""
    misplaced = misplace_a_signed_url(world)
    places = list(written(world))
    assert stored_keys(world) <= keys()
    assert found(places, keys()) == set()
    assert len(world.tokens) > 3
    assert found(places, world.tokens) == set()
    assert len(signatures(world)) > 5
    assert found(places, signatures(world)) == set()
    given = (f"execution {misplaced}", f"history {misplaced}")  # it has what its caller wrote into its input
    assert found(places, ["planted-signature", *SIGNED], but=given) == set()
    assert kinds(found(places, [CONTENT])) == {"content"}
    assert found(places, EXTRACTED, but=IN_RESULTS) == set()
    assert kinds(found(places, EXTRACTED)) == {"content", "object"}


def plant(world: World) -> None:
    """Leave a value in every kind of place that is searched."""
    logs, group = world.client("logs"), "/aws/lambda/dossier-dev-poll"
    logs.create_log_stream(logGroupName=group, logStreamName=CONTROL)
    line = {"timestamp": int(time.time() * 1000), "message": f"the key is {CONTROL}"}
    logs.put_log_events(logGroupName=group, logStreamName=CONTROL, logEvents=[line])
    metric = {"MetricName": "Planted", "Value": 1, "Dimensions": [{"Name": "key", "Value": CONTROL}]}
    world.client("cloudwatch").put_metric_data(Namespace="Dossier", MetricData=[metric])
    world.ended(world.start({"connection": CONTROL}, f"control-{uuid.uuid4()}"))
    queue = world.client("sqs").get_queue_url(QueueName="dossier-dev-wake-dlq")["QueueUrl"]
    world.client("sqs").send_message(QueueUrl=queue, MessageBody=CONTROL)
    item = {name: {"S": CONTROL} for name in ("pk", "sk", "note")}
    world.client("dynamodb").put_item(TableName=world.outputs["table"], Item=item)
    world.put("cases/scans/control/result.json", CONTROL.encode())
    world.put("cases/scans/control/documents/a.pdf", CONTROL.encode())
    detail = json.dumps({"reference": "control", "reason": CONTROL})
    entry = {"Source": "dossier", "DetailType": "Case Failed", "Detail": detail}
    world.client("events").put_events(Entries=[{**entry, "EventBusName": world.outputs["event_bus"]}])
    world.client("lambda").update_function_configuration(FunctionName="dossier-dev-sweep", Description=CONTROL)
    world.dossier(CONTROL, code=2)
    until(lambda: world.events("control"), what="the event is not on the bus")
    (world.home / "logs" / "control.log").write_text(CONTROL, "utf-8")


@pytest.mark.rule("security: get the same from a whole deployment")
def test_planted_secret_is_found(world: World, calm: None) -> None:
    """The search sees each kind of place: a value that is left there on purpose is found in all of them."""
    plant(world)
    places = list(written(world))
    assert kinds(found(places, [CONTROL])) == kinds(places)
    assert len(kinds(places)) == 12
