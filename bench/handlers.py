"""Calls Dossier's webhook handler and a bare one by turns: ``python -m bench.handlers FOLDER CALLS``.

Both are the deployed ones, with AWS's clients; in place of the network there is one answer for each operation. A
delivery's time is CPU time of this process, the median of the calls. ``own_ms`` is without what AWS's clients take.

``python -m bench.handlers FOLDER first MODULE BODY SIGNATURE`` imports one of them, as a cold start does, and calls it
once with a delivery.
"""

from __future__ import annotations

import hashlib
import importlib
import io
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import botocore.client
import botocore.httpsession
from botocore.awsrequest import AWSResponse, HeadersDict

ROOT = Path(__file__).parents[1]
SECRET = "docustack_hook_51gn3db0dy"
WARM = 20


class Raw(io.BytesIO):
    """A body, as urllib3 gives it."""

    def stream(self, **_: Any) -> Iterator[bytes]:
        """Yield all of it."""
        yield self.read()


class Network:
    """Answers AWS's requests, and counts them."""

    def __init__(self) -> None:
        self.requests = 0
        self.spent = 0.0
        """CPU seconds within AWS's clients."""

    def send(self, request: Any) -> AWSResponse:
        """Answer a request with success."""
        self.requests += 1
        target, headers = str(request.headers.get("X-Amz-Target", b"")), HeadersDict({"ETag": '"e"'})
        answer = b""
        if "GetSecretValue" in target:
            answer = json.dumps({"SecretString": json.dumps({"webhook_secrets": [SECRET]})}).encode()
        elif "SendMessage" in target:
            body = json.loads(request.body)["MessageBody"].encode()
            digest = hashlib.md5(body, usedforsecurity=False).hexdigest()
            answer = json.dumps({"MessageId": "m", "MD5OfMessageBody": digest}).encode()
        return AWSResponse(request.url, 200, cast("Any", headers), Raw(answer))

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Replace the network, and measure AWS's clients."""
        sessions: Any = botocore.httpsession.URLLib3Session
        clients: Any = botocore.client.BaseClient
        send, call = sessions.send, clients._make_api_call

        def measured(client: Any, operation: str, kwargs: Any) -> Any:
            began = time.process_time()
            try:
                return call(client, operation, kwargs)
            finally:
                self.spent += time.process_time() - began

        sessions.send = lambda _session, request: self.send(request)
        clients._make_api_call = measured
        try:
            yield
        finally:
            sessions.send, clients._make_api_call = send, call


class Context:
    """Lambda's context, as far as Powertools reads it."""

    function_name = "webhook"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:webhook"
    aws_request_id = "r"


def event(body: bytes, signature: str) -> dict[str, Any]:
    """Return API Gateway's event of a delivery (payload format 2.0)."""
    return {
        "version": "2.0",
        "routeKey": "POST /webhooks/{connection}",
        "headers": {
            "content-type": "application/json",
            "user-agent": "python-httpx/0.28.1",
            "x-docustack-signature": signature,
        },
        "pathParameters": {"connection": "invoices"},
        "body": body.decode(),
        "isBase64Encoded": False,
    }


def main() -> None:
    """Measure, and print the results as JSON."""
    folder = Path(sys.argv[1])
    if sys.argv[2] == "first":
        print(json.dumps(first(folder, sys.argv[3], sys.argv[4].encode(), sys.argv[5])))
        return
    from bench.webhook import BARE, DOSSIER, body_of, signed  # noqa: PLC0415 -- it imports what a cold start would not

    calls = int(sys.argv[2])
    network, real = Network(), sys.stdout
    sys.stdout = io.StringIO()  # the functions' log
    with network.in_place():
        handlers = _handlers(folder, DOSSIER, BARE)
        taken: dict[str, list[float]] = {who: [] for who in handlers}
        own: dict[str, list[float]] = {who: [] for who in handlers}
        asked = dict.fromkeys(handlers, 0)
        for number in range(WARM + calls):
            body = body_of(number)
            delivery = event(body, signed(body))
            for who, handler in handlers.items():
                requests, spent, began = network.requests, network.spent, time.process_time()
                answer = handler(delivery, Context())
                seconds = time.process_time() - began
                if answer["statusCode"] != 200:
                    raise RuntimeError(f"{who}: {answer}")
                if number >= WARM:
                    taken[who].append(seconds)
                    own[who].append(seconds - (network.spent - spent))
                    asked[who] += network.requests - requests
    sys.stdout = real
    found = {
        who: {
            "cpu_ms": 1000 * statistics.median(taken[who]),
            "own_ms": 1000 * statistics.median(own[who]),
            "requests": asked[who] / calls,
        }
        for who in handlers
    }
    print(json.dumps(found))


def first(folder: Path, module: str, body: bytes, signature: str) -> dict[str, float]:
    """Import a handler and answer one delivery; return this process's CPU seconds until then, and AWS's requests."""
    network, real = Network(), sys.stdout
    sys.stdout = io.StringIO()
    with network.in_place():
        _prepare(folder)
        answer = importlib.import_module(module).handler(event(body, signature), Context())
        seconds = time.process_time()
    sys.stdout = real
    if answer["statusCode"] != 200:
        raise RuntimeError(f"{module}: {answer}")
    return {"seconds": seconds, "requests": network.requests}


def _handlers(folder: Path, dossier: str, bare: str) -> dict[str, Callable[[Any, Any], Any]]:
    """Import both handlers, as Lambda does."""
    _prepare(folder)
    return {
        dossier: importlib.import_module("functions.webhook.handler").handler,
        bare: importlib.import_module("bare").handler,
    }


def _prepare(folder: Path) -> None:
    """Write the settings' layer, and set what Lambda sets."""
    from dossier.connections import LAYER_FILE, LAYER_PACKAGE  # noqa: PLC0415 -- the settings' layer is written first

    layer = folder / LAYER_PACKAGE
    layer.mkdir()
    (layer / "__init__.py").touch()
    webhook = {"scheme": "hmac-sha256-hex", "header": "X-DocuStack-Signature", "prefix": "", "tolerance": 300}
    settings = {"invoices": {"webhook": webhook | {"max_bytes": 1 << 20}}}
    (layer / LAYER_FILE).write_text(json.dumps(settings), encoding="utf-8")
    os.environ |= {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "DOSSIER_BUCKET": "bucket",
        "DOSSIER_PREFIX": "dossier",
        "DOSSIER_WAKE_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/123456789012/wake",
        "POWERTOOLS_SERVICE_NAME": "dossier",
        "QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/123456789012/bare",
        "WEBHOOK_SECRET": SECRET,
    }
    sys.path.insert(0, str(ROOT / "bench" / "bare" / "function"))


if __name__ == "__main__":
    main()
