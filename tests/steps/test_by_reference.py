"""Documents that DocuStack reads itself: by https:// or s3:// reference, or by a presigned URL made when it is sent."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from starlette.testclient import TestClient

from dossier.steps.upload import LONGEST_LINK, SHORTEST_LINK
from dossier.stores.objects import secrets_of
from tests.conftest import BUCKET, Cloud
from tests.machine import World, samples
from tests.servers import answer, serving

ARN = "arn:invoices-R-1"
SIGNED = re.compile(rb"X-Amz-Signature=[0-9a-f]{8}")


def referred(*uris: str, **options: Any) -> dict[str, Any]:
    """Return a case whose documents are these."""
    documents = [{"uri": uri} for uri in uris]
    return {"connection": "invoices", "reference": "R-1", "documents": documents, "options": options}


def sent(world: World) -> list[dict[str, Any]]:
    """Return a list that receives the body of each batch request from now on."""
    bodies: list[dict[str, Any]] = []

    def look(request: httpx.Request) -> None:
        if request.url.path.endswith("/documents/batch"):
            bodies.append(json.loads(request.read()))

    world.sandbox.event_hooks["request"].append(look)
    return bodies


def everything(cloud: Cloud) -> list[bytes]:
    """Return everything stored: every object, every item, every message."""
    s3, table = cloud.session.client("s3"), cloud.session.resource("dynamodb").Table("cases")
    keys = [each["Key"] for each in s3.list_objects_v2(Bucket=BUCKET)["Contents"]]
    bodies = [s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in keys]
    return [*bodies, *(str(item).encode() for item in table.scan()["Items"])]


@pytest.mark.rule('docustack batch by_reference = "s3"')
def test_s3_references_are_sent_unchanged(cloud: Cloud) -> None:
    """With ``by_reference = "s3"`` a case's documents are one batch of references that Dossier never reads."""
    world = World(cloud)
    bodies = sent(world)
    uris = ["s3://scans/may/1.pdf", "s3://scans/may/2.pdf"]
    result = world.execute(referred(*uris, by_reference="s3"), ARN)
    assert result["status"] == "completed", result
    assert [each["ref"] for each in bodies[0]["documents"]] == uris
    assert [each["name"] for each in result["documents"]] == ["1.pdf", "2.pdf"]
    assert all(each["fields"] for each in result["documents"])
    assert world.retried == []


@pytest.mark.rule('docustack batch by_reference = "s3"')
def test_s3_documents_are_uploaded_by_default(cloud: Cloud) -> None:
    """Without the option Dossier reads ``s3://`` itself."""
    world = World(cloud)
    bodies = sent(world)
    result = world.submit("invoices", "R-1", samples("invoice.pdf"))
    assert (result["status"], bodies) == ("completed", [])
    refused = world.execute(referred("s3://scans/1.pdf") | {"reference": "R-2"}, "arn:invoices-R-2")
    assert "s3://scans/1.pdf does not exist" in refused["reason"]


@pytest.mark.rule("docustack batch one case of files")
def test_one_case_of_references_and_files(cloud: Cloud) -> None:
    """The result names each outcome: references that the vendor reads, one it rejects, one that is gone, and a file."""
    world = World(cloud, client=TestClient)
    invoice = samples("invoice.pdf")["invoice.pdf"]

    def speak(stream: Any) -> None:
        path = server.targets[-1]
        stream.sendall(answer(b"", status="404 Not Found") if "gone" in path else answer(invoice))

    with serving(speak) as server, world.sandbox:
        uris = (f"{server.url}/a.pdf?key=1", "https://example.com/", f"{server.url}/gone.pdf")
        case = referred(*uris, cloud.put("uploads/b.pdf", invoice))
        result = world.execute(case, ARN)
        assert len(world.effects("document_uploaded")) == 3
    assert result["status"] == "completed_with_failures", result
    by_name = {each["name"]: each for each in result["documents"]}
    assert {name: each["status"] for name, each in by_name.items()} == {
        "a.pdf": "completed", "example.com": None, "gone.pdf": "failed", "b.pdf": "completed",
    }  # fmt: skip
    assert "ref names no document" in by_name["example.com"]["error"]
    assert "HTTP 404" in by_name["gone.pdf"]["error"]
    assert by_name["a.pdf"]["fields"]


@pytest.mark.rule('docustack batch by_reference = "presigned"')
def test_presigned_urls_are_made_when_they_are_sent(cloud: Cloud) -> None:
    """Each document's accepted copy is sent as a URL that opens it for as long as the case waits."""
    world = World(cloud)
    bodies = sent(world)
    result = world.submit("invoices", "R-1", samples("invoice.pdf", "scan.tiff"), options={"by_reference": "presigned"})
    assert result["status"] == "completed", result
    refs = [urlsplit(each["ref"]) for each in bodies[0]["documents"]]
    keys = [f"cases/invoices/R-1/documents/{name}" for name in ("invoice.pdf", "scan.tiff")]
    assert [each.path.rpartition("cases/")[2] for each in refs] == [key.removeprefix("cases/") for key in keys]
    assert {each.scheme for each in refs} == {"https"}
    assert [parse_qs(each.query)["X-Amz-Expires"] for each in refs] == [[f"{SHORTEST_LINK:.0f}"]] * 2
    assert [each["name"] for each in result["documents"]] == ["invoice.pdf", "scan.tiff"]
    assert len(world.effects("document_uploaded")) == 2


@pytest.mark.rule('docustack batch by_reference = "presigned"')
def test_a_presigned_url_is_stored_nowhere(cloud: Cloud) -> None:
    """The vendor's answer repeats the URLs: the stored copy lacks their signatures."""
    world = World(cloud)
    bodies = sent(world)
    world.submit("invoices", "R-1", samples("invoice.pdf"), options={"by_reference": "presigned"})
    signature = secrets_of(bodies[0]["documents"][0]["ref"])[0].encode()
    kept = cloud.app.objects.read("cases/invoices/R-1/vendor/batch-0.json")
    assert kept is not None
    assert b"X-Amz-Signature=(hidden)" in kept
    assert not any(signature in each or SIGNED.search(each) for each in everything(cloud))


def test_what_opens_a_presigned_url() -> None:
    """Its signature, and the session token of a function's credentials, as the URL has it and as a vendor may."""
    url = "https://b.s3.amazonaws.com/k?X-Amz-Expires=60&X-Amz-Security-Token=a%2Fb%3D&X-Amz-Signature=0f"
    assert secrets_of(url) == ["0f", "a%2Fb%3D", "a/b="]


@pytest.mark.rule("docustack batch after a lost answer the look-up uses the name")
def test_a_lost_answer_to_a_batch_is_looked_up(cloud: Cloud) -> None:
    """A batch of presigned URLs whose answer was lost is found at the vendor and not sent again."""
    fault = {"name": "lost_after", "vendor": "docustack", "operation": "batch", "rate": 1, "times": 1}
    world = World(cloud, faults=[fault])
    files = samples("invoice.pdf", "scan.tiff")
    result = world.submit("invoices", "R-1", files, options={"by_reference": "presigned"})
    assert result["status"] == "completed", result
    assert len(world.retried) == 1
    assert len(world.effects("document_uploaded")) == 2


@pytest.mark.rule('docustack batch by_reference = "presigned"')
@pytest.mark.parametrize(("deadline", "seconds"), [(60, SHORTEST_LINK), (7200, 7200), (30 * 86400, LONGEST_LINK)])
def test_a_presigned_url_lasts_as_long_as_the_case(cloud: Cloud, deadline: float, seconds: float) -> None:
    """The URL outlives the vendor's queue, within what SigV4 allows."""
    world = World(cloud)
    own = world.connections["invoices"]
    world.connections["invoices"] = own.model_copy(update={"poll": own.poll.model_copy(update={"deadline": deadline})})
    bodies = sent(world)
    world.submit("invoices", "R-1", samples("invoice.pdf"), options={"by_reference": "presigned"})
    query = parse_qs(urlsplit(bodies[0]["documents"][0]["ref"]).query)
    assert query["X-Amz-Expires"] == [f"{seconds:.0f}"]


@pytest.mark.parametrize("connection", ["claims", "disputes"])
def test_only_docustack_reads_by_reference(cloud: Cloud, connection: str) -> None:
    """A vendor that reads no references rejects the option by name."""
    world = World(cloud)
    result = world.submit(connection, "R-1", samples("invoice.pdf"), options={"by_reference": "s3"})
    assert result["status"] == "failed"
    assert 'unknown option "by_reference"' in result["reason"]
