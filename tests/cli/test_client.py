"""The Python client, against the API in process: signed requests, retries, the same flows for both clients."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from botocore.session import Session, get_session

from dossier.api.app import answer
from dossier.api.routes import ROUTES
from dossier.client import ApiError, AsyncDossier, NotFinishedError
from dossier.client import Dossier as Client
from dossier.models import CaseStatus
from dossier.stores.executions import Executions
from tests.cli.conftest import DOCUMENTS, Dossier

URL = "https://abc123.execute-api.eu-central-1.amazonaws.com"
FILE = DOCUMENTS / "invoice.pdf"


class Gateway:
    """API Gateway and S3, as httpx reaches them; ``broken`` answers come first."""

    def __init__(self, dossier: Dossier) -> None:
        self.dossier, self.requests = dossier, list[httpx.Request]()
        self.broken = list[httpx.Response | Exception]()
        machine = Executions(
            dossier.cloud.session.client("stepfunctions"), dossier.json("outputs")["state_machine_arn"]
        )
        connections = dossier.connections.__getitem__
        self.context = dossier.cloud.app.replacing(connection_of=connections, executions=machine)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer a request."""
        self.requests.append(request)
        if self.broken:
            found = self.broken.pop(0)
            if isinstance(found, Exception):
                raise found
            return found
        if "execute-api" not in request.url.host:
            return self._object(request)
        if not re.fullmatch(
            r"AWS4-HMAC-SHA256 Credential=.*/eu-central-1/execute-api/aws4_request, .*", _signature(request)
        ):
            return httpx.Response(403, json={"message": "Forbidden"})
        event = {
            **_routed(request),
            "queryStringParameters": dict(request.url.params) or None,
            "body": request.content.decode(),
        }
        text = answer(event, context=self.context)
        return httpx.Response(text["statusCode"], headers=text["headers"], content=text["body"])

    def _object(self, request: httpx.Request) -> httpx.Response:
        assert "authorization" not in request.headers, "S3 rejects a presigned URL with a second signature"
        key = request.url.path.removeprefix("/")
        if request.method == "PUT":
            self.dossier.cloud.put(key, request.content)
            return httpx.Response(200)
        return httpx.Response(200, content=self.dossier.cloud.app.objects.read(key) or b"")


def _signature(request: httpx.Request) -> str:
    return request.headers.get("authorization", "")


def _routed(request: httpx.Request) -> dict[str, Any]:
    for each in ROUTES:
        found = re.fullmatch(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", each.path), request.url.path)
        if found and each.method == request.method:
            return {"routeKey": each.key, "pathParameters": found.groupdict()}
    raise AssertionError(request.url.path)


@pytest.fixture
def gateway(dossier: Dossier) -> Gateway:
    """Return the API of a deployment."""
    return Gateway(dossier)


@pytest.fixture
def client(gateway: Gateway) -> Client:
    """Return a client of it."""
    return Client(URL, session=_session(), client=httpx.Client(transport=httpx.MockTransport(gateway)))


def _session() -> Session:
    session = get_session()
    session.set_credentials("AKIATEST", "secret")
    return session


def test_a_file_is_submitted_waited_for_and_read(client: Client, gateway: Gateway) -> None:
    """As models; the case continues during the client's pauses."""
    begun = client.submit({"connection": "invoices", "reference": "INV-1"}, files=[FILE])
    assert begun.outcome == "started"
    case = client.wait("invoices", "INV-1")
    assert (case.status, len(case.documents)) == (CaseStatus.COMPLETED, 1)
    assert client.result("invoices", "INV-1").reference == "INV-1"
    assert [each.revision for each in client.revisions("invoices", "INV-1")] == [1]
    [artifact] = case.artifacts[:1]
    assert len(client.artifact("invoices", "INV-1", artifact.name)) == artifact.size
    assert [each.reference for each in client.cases(connection="invoices")] == ["INV-1"]
    assert client.refresh("invoices", "INV-1").revision == 1
    with pytest.raises(ApiError, match="nothing to cancel") as error:
        client.cancel("invoices", "INV-1")
    assert (error.value.status, error.value.error) == (409, "Conflict")


def test_asyncio_does_the_same(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the same requests."""

    async def passed(seconds: float) -> None:
        time.sleep(seconds)

    async def work() -> None:
        client = httpx.AsyncClient(transport=httpx.MockTransport(gateway))
        async with AsyncDossier(URL, session=_session(), client=client) as dossier:
            await dossier.submit({"connection": "invoices", "reference": "INV-1"}, files=[FILE])
            assert (await dossier.wait("invoices", "INV-1")).status is CaseStatus.COMPLETED
            assert (await dossier.result("invoices", "INV-1")).reference == "INV-1"
            assert [each.reference async for each in dossier.cases(status="completed")] == ["INV-1"]

    monkeypatch.setattr(asyncio, "sleep", passed)
    asyncio.run(work())


@pytest.mark.parametrize(
    "broken",
    [
        [httpx.ConnectError("no route")],
        [httpx.Response(503, json={"message": "Service Unavailable"}), httpx.ReadTimeout("late")],
        [httpx.Response(429, headers={"retry-after": "1"}), httpx.Response(502), httpx.Response(504)],
    ],
)
def test_a_request_without_a_good_answer_is_repeated(
    client: Client, gateway: Gateway, broken: list[httpx.Response | Exception]
) -> None:
    """A submission is one case, however often it is sent."""
    given = {
        "connection": "invoices",
        "reference": "INV-1",
        "documents": [{"uri": f"s3://{gateway.context.objects.bucket}/uploads/1.pdf"}],
    }
    gateway.dossier.cloud.put("uploads/1.pdf", FILE.read_bytes())
    gateway.broken = [*broken]
    assert client.submit(given).outcome == "started"
    assert len(gateway.requests) == len(broken) + 1
    assert len(gateway.dossier.executions()) == 1


@pytest.mark.parametrize(
    ("answers", "says"),
    [
        (
            [httpx.ConnectError("no route")] * 5,
            r"eu-central-1\.\S+ did not answer GET /cases/invoices/INV-1: no route$",
        ),
        ([httpx.Response(503, json={"message": "busy"})] * 5, "busy"),
    ],
)
def test_an_api_that_stays_away_is_an_error(client: Client, gateway: Gateway, answers: list[Any], says: str) -> None:
    """After five requests, with the reason."""
    gateway.broken = [*answers]
    with pytest.raises(ApiError, match=says):
        client.case("invoices", "INV-1")
    assert len(gateway.requests) == 5


def test_a_client_needs_a_url_and_a_region(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both are named at once; the Region is that of the address, of the argument, or of AWS_REGION."""
    monkeypatch.delenv("AWS_REGION", raising=False)
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    for kind in (Client, AsyncDossier):
        for url in ("", "api.example.com", "ftp://api.example.com", "https://"):
            with pytest.raises(ValueError, match="is no URL: `dossier outputs` prints it"):
                kind(url, session=_session())
        with pytest.raises(ValueError, match="give region, or set AWS_REGION"):
            kind("https://api.example.com", session=_session())
    Client("https://api.example.com", session=_session(), region="eu-central-1").close()
    Client(URL, session=_session()).close()
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    Client("https://api.example.com", session=_session()).close()


@pytest.mark.parametrize(
    ("work", "status", "says"),
    [
        (lambda client: client.case("invoices", "absent"), 404, "there is no case absent"),
        (lambda client: client.submit({"connection": "invoices"}), 400, "reference"),
        (lambda client: client.submit({"reference": "INV-1"}, files=[FILE]), 400, "connection: Field required"),
        (lambda client: client.resolve("invoices", "absent", "use"), 400, "id: give it"),
    ],
)
def test_a_problem_is_an_error(client: Client, work: Callable[[Client], Any], status: int, says: str) -> None:
    """With its status and its text."""
    with pytest.raises(ApiError, match=says) as error:
        work(client)
    assert error.value.status == status


def test_a_case_that_needs_an_answer_is_no_longer_waited_for(client: Client, gateway: Gateway) -> None:
    """Nor one that takes too long; the error has the case."""
    gateway.dossier.whole = False
    client.submit({"connection": "invoices", "reference": "INV-1"}, files=[FILE])
    with pytest.raises(NotFinishedError, match="is accepted after 5 s") as late:
        client.wait("invoices", "INV-1", timeout=5)
    assert late.value.case.reference == "INV-1"
    gateway.dossier.change("invoices", "INV-1", status=CaseStatus.NEEDS_ATTENTION, reason="is it there?")
    with pytest.raises(NotFinishedError, match=re.escape("is it there?")):
        client.wait("invoices", "INV-1")


def test_a_large_result_is_downloaded_from_its_link(
    client: Client, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unsigned."""
    client.submit({"connection": "invoices", "reference": "INV-1"}, files=[FILE])
    client.wait("invoices", "INV-1")
    monkeypatch.setattr("dossier.api.operations.MOST_RESULT", 10)
    assert client.result("invoices", "INV-1").reference == "INV-1"
    assert "result.json" in str(gateway.requests[-1].url)


def test_the_signature_covers_the_sent_request(client: Client, gateway: Gateway) -> None:
    """A body with its own letters, and a query."""
    assert list(client.cases(since="2026-01-01T00:00:00+01:00")) == []
    with pytest.raises(ApiError):
        client.submit({"connection": "invoices", "reference": "ä"})
    assert json.loads(gateway.requests[-1].content)["reference"] == "ä"
