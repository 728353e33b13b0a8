"""What programs ask of the HTTP API, request by request, as API Gateway passes it on."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import httpx

from dossier.models import iso, now
from tests.grants.bench import Bench, CaseBrokenError
from tests.grants.stage import Event, Stage, pk_of

_CASE = "/cases/{connection}/{reference}"


class Requests:
    """Sends requests to the API's function; each that does not get its status breaks."""

    def __init__(self, bench: Bench, stage: Stage) -> None:
        self._bench, self._stage = bench, stage

    def all(self) -> None:
        """Send every request that needs a grant which no other needs."""
        for folder in ("uploads", "staging/invoices", "inbox/invoices", "cases/invoices/before"):
            self._prove(partial(self._submission, folder), 202)
            self._prove(partial(self._submission, folder, version=True), 202)
        self._stage._stop()
        self._prove(self._missing, 400, says="does not exist: upload it first")
        self._bench.prove("api", self._upload)
        self._prove(lambda: self._list, 200)
        self._prove(lambda: self._event("POST", f"{_CASE}/cancel", self._stage.accepted("invoices")), 200)
        for answer, status in (("send", 409), ("give_up", 409)):  # the token is dead
            self._prove(partial(self._question, "budget", answer), status)
        self._prove(partial(self._question, "upload-0", "retry"), 409)

    @property
    def _list(self) -> Event:
        return {"routeKey": "GET /cases", "queryStringParameters": {"connection": "invoices", "limit": "5"}}

    def _submission(self, folder: str, *, version: bool = False) -> Event:
        case = self._stage.submission("invoices", folder=folder)
        if version:
            bucket, _, key = case["documents"][0]["uri"].removeprefix("s3://").partition("/")
            found = self._bench.client("s3").head_object(Bucket=bucket, Key=key)
            case["documents"][0]["version_id"] = found["VersionId"]
        return _submit(case)

    def _missing(self) -> Event:
        case = self._stage.submission("invoices")
        case["documents"][0]["uri"] += ".missing"
        return _submit(case)

    def _upload(self) -> None:
        """Ask for a URL, and upload a file to it."""
        files = [{"name": "a.pdf"}]
        [file] = json.loads(self._ask(_submit({"connection": "invoices", "files": files}), 200)["body"])["files"]
        with httpx.Client(trust_env=False) as client:
            status = client.put(file["url"], content=b"%PDF-1.4").status_code
        if status != 200:
            raise CaseBrokenError(f"the upload ended with {status}")

    def _question(self, what: str, answer: str) -> Event:
        """Put a question to its own case; return the answer to it."""
        names = self._stage.accepted("invoices")
        asked = {"what": what, "text": "?", "token": self._stage._token, "asked_at": iso(now())}
        self._stage.put(pk_of(names), f"ASK#{what}", **asked)
        return {**self._event("POST", f"{_CASE}/resolve", names), "body": json.dumps({"answer": answer})}

    def _event(self, method: str, path: str, names: dict[str, str]) -> Event:
        return {"routeKey": f"{method} {path}", "pathParameters": names}

    def _prove(self, event: Callable[[], Event], status: int, *, says: str = "") -> None:
        self._bench.prove("api", lambda: self._ask(event(), status, says=says))

    def _ask(self, event: Event, status: int, *, says: str = "") -> dict[str, Any]:
        found: dict[str, Any] = self._bench.call("api", event)
        if found["statusCode"] != status or says not in found["body"]:
            raise CaseBrokenError(f"{event['routeKey']} ended with {found['statusCode']}: {found['body'][:1000]}")
        return found


def _submit(body: dict[str, Any]) -> Event:
    return {"routeKey": "POST /cases", "body": json.dumps(body)}
