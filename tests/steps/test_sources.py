"""Sources: a caller can only submit documents from the folders for its connection, however the URI is spelled."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dossier.connections import load_toml
from dossier.errors import ConfigurationError, InvalidCaseError
from dossier.models import CaseInput
from dossier.steps.inbox import QUIET
from dossier.steps.sources import check_sources
from tests.conftest import BUCKET, Cloud
from tests.machine import ROOT, World, samples
from tests.steps.drops import FOLDER, Inbox, status

PAYROLL = samples("invoice.pdf")["invoice.pdf"]
SETTINGS = load_toml(ROOT / "connections.toml")["claims"]
FORBIDDEN = (
    "cases/invoices/PAYROLL-1/documents/payroll.pdf",
    "staging/invoices/1/payroll.pdf",
    "inbox/invoices/payroll.pdf",
    "inbox/invoices/May/payroll.pdf",
    "webhooks/claims/2026/01/31/a.json",
    "webhooks-refused/claims/2026/01/31/a.json",
    "webhooks-seen/claims/a",
    "inbox-refused/claims/a.txt",
    "batches/1/input.jsonl",
    "erasures/1.json",
    "payroll.pdf",
    "uploads",
    "staging/claims-2/payroll.pdf",
    "cases/claimsx/R-1/documents/payroll.pdf",
    "CASES/claims/R-1/documents/payroll.pdf",
)
"""Keys of the bucket that no case of ``claims`` may name."""
SPELLINGS = (
    "{bucket}//cases/invoices/PAYROLL-1/documents/payroll.pdf",
    "{bucket}/uploads/../cases/invoices/PAYROLL-1/documents/payroll.pdf",
    "{bucket}/uploads//../cases/invoices/PAYROLL-1/documents/payroll.pdf",
    "{bucket}/uploads/./../cases/invoices/PAYROLL-1/documents/payroll.pdf",
    "{bucket}/cases/claims/../invoices/PAYROLL-1/documents/payroll.pdf",
    "{bucket}/cases/claims/%2e%2e/invoices/PAYROLL-1/documents/payroll.pdf",
    "{bucket}/cases/claims/%2E%2e%2Finvoices/PAYROLL-1/documents/payroll.pdf",
    "{bucket}/cases/claims/%252e%252e/invoices/PAYROLL-1/documents/payroll.pdf",
    "{bucket}/cases/claims/..\\invoices/PAYROLL-1/documents/payroll.pdf",
    "{bucket}/%63ases/invoices/PAYROLL-1/documents/payroll.pdf",
    "{BUCKET}/uploads/payroll.pdf",
    "{BUCKET}/cases/invoices/PAYROLL-1/documents/payroll.pdf",
    "elsewhere/../{bucket}/cases/invoices/PAYROLL-1/documents/payroll.pdf",
    "arn:aws:s3:us-east-1:123456789012:accesspoint:{bucket}/cases/invoices/PAYROLL-1/documents/payroll.pdf",
    "arn:aws:s3:us-east-1:123456789012:accesspoint/{bucket}/object/cases/invoices/PAYROLL-1/documents/payroll.pdf",
    "arn:aws:s3:::{bucket}/cases/invoices/PAYROLL-1/documents/payroll.pdf",
    "ARN:aws:s3:::{bucket}/cases/invoices/PAYROLL-1/documents/payroll.pdf",
    "mine-abcdefghijklmnopqrstuvwxyz-s3alias/cases/invoices/PAYROLL-1/documents/payroll.pdf",
    "mine-abcdefghijklmnopqrstuvwxyz--ol-s3/cases/invoices/PAYROLL-1/documents/payroll.pdf",
    "mfzwi23gnjvgw.mrap/cases/invoices/PAYROLL-1/documents/payroll.pdf",
    "mine-abcdefghijklmnopqrstuvwxyz-s3alias./cases/invoices/PAYROLL-1/documents/payroll.pdf",
    "mine--use1-az4--x-s3/cases/invoices/PAYROLL-1/documents/payroll.pdf",
    "{bucket}:443/cases/invoices/PAYROLL-1/documents/payroll.pdf",
    "{bucket}:/cases/invoices/PAYROLL-1/documents/payroll.pdf",
    "{bucket}./cases/invoices/PAYROLL-1/documents/payroll.pdf",
    ".{bucket}/cases/invoices/PAYROLL-1/documents/payroll.pdf",
    "x@{bucket}/cases/invoices/PAYROLL-1/documents/payroll.pdf",
    "{bucket}%2Fcases/invoices/PAYROLL-1/documents/payroll.pdf",
    "{bucket}?/uploads/../cases/invoices/PAYROLL-1/documents/payroll.pdf",
    "{bucket}\\cases/invoices/PAYROLL-1/documents/payroll.pdf",
    "{bucket}/uploads/.\t./cases/invoices/PAYROLL-1/documents/payroll.pdf",
    "{bucket}/uploads/.%0a./cases/invoices/PAYROLL-1/documents/payroll.pdf",
    "{bucket}/uploads/.\u200b./cases/invoices/PAYROLL-1/documents/payroll.pdf",
    "{bucket}/uploads/\uff0e\uff0e/cases/invoices/PAYROLL-1/documents/payroll.pdf",
    "{bucket}/uploads/\u2025/cases/invoices/PAYROLL-1/documents/payroll.pdf",
    "{bucket}/uploads\uff0f..\uff0fcases/invoices/PAYROLL-1/documents/payroll.pdf",
    "{bucket}/uploads/..;a=b/cases/invoices/PAYROLL-1/documents/payroll.pdf",
    "{bucket}/uploads/..%3Ba/cases/invoices/PAYROLL-1/documents/payroll.pdf",
    "{bucket}/uploads/%25252e%25252e/cases/invoices/PAYROLL-1/documents/payroll.pdf",
    "{bucket}/\u0441ases/claims/R-1/documents/a.pdf",
    "{bucket}/cases/\u0441laims/R-1/documents/a.pdf",
    "{bucket}/ cases/claims/R-1/documents/a.pdf",
    "{bucket}/Uploads/a.pdf",
)
"""Ways to write what is forbidden so that it looks like something else."""


def case(*uris: str, **more: Any) -> dict[str, Any]:
    """Return an execution's input for the connection ``claims``."""
    documents = [{"uri": uri} for uri in uris]
    return {"connection": "claims", "reference": "R-1", "documents": documents, **more}


def refused(data: dict[str, Any], **settings: Any) -> str:
    """Return why a case is rejected before anything is read."""
    connection = SETTINGS.model_copy(update=settings)
    with pytest.raises(InvalidCaseError) as found:
        check_sources(CaseInput.parse(data), bucket=BUCKET, connection=connection)
    assert str(found.value).isprintable()
    return str(found.value)


def allowed(data: dict[str, Any], **settings: Any) -> None:
    """Check that a case may name its documents."""
    check_sources(CaseInput.parse(data), bucket=BUCKET, connection=SETTINGS.model_copy(update=settings))


# The attack of the issue, from outside


@pytest.mark.rule("security: read documents of other cases and connections, deliveries, other people's drops")
def test_a_drop_reads_no_other_connections_documents(inbox: Inbox) -> None:
    """A ``case.json`` that names a document of another case is rejected in one line, and no vendor gets anything."""
    uri = inbox.world.cloud.put("cases/invoices/PAYROLL-1/documents/payroll.pdf", PAYROLL)
    inbox.drop("inbox/claims/x/case.json", json.dumps({"documents": [{"uri": uri}]}), after=QUIET)
    inbox.run()
    line = f"document {uri}: the documents of a drop must be in inbox/claims/x/: drop the file there"
    assert status(inbox, "claims", "x") == ("failed", line)
    assert inbox.note("claims/x/case.json") == f"inbox/claims/x/case.json was rejected: {line}"
    assert inbox.uploads() == []


@pytest.mark.rule("security: read documents of other cases and connections, deliveries, other people's drops")
@pytest.mark.parametrize("key", FORBIDDEN)
def test_an_execution_reads_no_other_connections_documents(cloud: Cloud, key: str) -> None:
    """The same for an input of the console, the API or a batch: the bucket's other folders are nothing to submit."""
    world = World(cloud)
    uri = cloud.put(key, PAYROLL)
    result = world.execute(case(uri), "arn:1")
    assert (result["status"], world.effects("document_uploaded")) == ("failed", [])
    assert f"document {uri}: documents of claims must be in uploads/, staging/claims/" in result["reason"]


@pytest.mark.rule("security: read documents of other cases and connections, deliveries, other people's drops")
@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("drop", [None, {"key": "inbox/claims/x/case.json"}])
def test_no_spelling_of_a_uri_escapes_the_folders(spelling: str, drop: dict[str, str] | None) -> None:
    """Dots, percent signs, slashes, upper case, access points: each is rejected in one line that says what to do."""
    uri = "s3://" + spelling.format(bucket=BUCKET, BUCKET=BUCKET.upper())
    for each in (uri, uri.replace("s3://", "S3://", 1)):
        assert refused(case(each, drop=drop)).startswith("document s3://")


@pytest.mark.rule("security: read documents of other cases and connections, deliveries, other people's drops")
def test_references_are_checked_like_files(cloud: Cloud) -> None:
    """With ``by_reference`` the vendor would read it by its own grant on the bucket: that is rejected too."""
    world = World(cloud)
    uri = cloud.put("cases/claims/PAYROLL-1/documents/payroll.pdf", PAYROLL)
    for number, how in enumerate(("s3", "presigned")):
        data = {**case(uri), "connection": "invoices", "reference": f"R-{number}", "options": {"by_reference": how}}
        result = world.execute(data, f"arn:{number}")
        assert "documents of invoices must be in uploads/" in result["reason"]
    assert world.effects("document_uploaded") == []


@pytest.mark.rule("security: send a vendor to an internal network with a URL that it reads itself")
@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254", "127.0.0.1", "10.0.0.1:8443", "[::1]", "[::ffff:169.254.169.254]", "2852039166",
        "0xa9fea9fe", "127.1", "0251.0376.0251.0376", "localhost", "LOCALHOST.", "metadata.google.internal",
        "printer.local", "intranet", "a@127.0.0.1", "example.com\\@127.0.0.1", "\uff11\uff12\uff17.0.0.1",
        "127.0.0.1%00.example.com", "", "[::1",
    ],
)  # fmt: skip
def test_internal_addresses_are_never_sent_to_a_vendor(host: str) -> None:
    """A URL that the vendor reads itself names a host of the public internet, unless it is a sandbox's."""
    data = {**case(f"https://{host}/a.pdf?X-Amz-Signature=opens"), "connection": "invoices"}
    text = refused(data, allow_insecure=False)
    assert "its host is not one of the public internet" in text
    assert "opens" not in text
    allowed(data, allow_insecure=True)
    fine = case("https://files.example.com/a.pdf", "https://b.s3.amazonaws.com/k?X-Amz-Signature=0")
    allowed(fine, allow_insecure=False)


def test_an_old_version_of_a_forbidden_object_stays_forbidden() -> None:
    """A version is one of the same object: naming it changes nothing."""
    data = case()
    uri = f"s3://{BUCKET}/cases/invoices/PAYROLL-1/documents/payroll.pdf"
    data["documents"] = [{"uri": uri, "version_id": "v1", "name": "harmless.pdf"}]
    assert "documents of claims must be in" in refused(data)


# What a drop may name


@pytest.mark.parametrize(
    ("drop", "key"),
    [
        ("inbox/claims/x/case.json", "inbox/claims/x/a.pdf"),
        ("inbox/claims/x/case.json", "inbox/claims/x/deep/er/a b%20.pdf"),
        ("inbox/claims/a.pdf", "inbox/claims/a.pdf"),
    ],
)
def test_a_drop_names_its_own_files(drop: str, key: str) -> None:
    """A folder's case has the files of that folder; a file by itself is a case of that file."""
    allowed(case(f"s3://{BUCKET}/{key}", drop={"key": drop}))


@pytest.mark.rule("security: read documents of other cases and connections, deliveries, other people's drops")
@pytest.mark.parametrize(
    ("drop", "uri"),
    [
        ("inbox/claims/x/case.json", f"s3://{BUCKET}/inbox/claims/xy/a.pdf"),
        ("inbox/claims/x/case.json", f"s3://{BUCKET}/inbox/claims/a.pdf"),
        ("inbox/claims/x/case.json", f"s3://{BUCKET}/uploads/a.pdf"),
        ("inbox/claims/x/case.json", f"s3://{BUCKET}/staging/claims/a.pdf"),
        ("inbox/claims/x/case.json", f"s3://{BUCKET}/cases/claims/R-2/documents/a.pdf"),
        ("inbox/claims/x/case.json", "s3://scans/inbox/claims/x/a.pdf"),
        ("inbox/claims/a.pdf", f"s3://{BUCKET}/inbox/claims/a.pdf.exe"),
        ("inbox/claims/a.pdf", f"s3://{BUCKET}/inbox/claims/a.pdf/b.pdf"),
        ("inbox/claims/a.pdf", f"s3://{BUCKET}/inbox/claims/b.pdf"),
    ],
)
def test_a_drop_names_nothing_else(drop: str, uri: str) -> None:
    """Neither its neighbours, nor what callers of the connection may name otherwise, nor another bucket's objects."""
    assert "the documents of a drop must be in inbox/claims/" in refused(case(uri, drop={"key": drop}))


@pytest.mark.parametrize("key", ["inbox/invoices/May/case.json", "inbox/invoices/a.pdf", "inbox/", "inbox/claims/"])
def test_a_drop_of_another_connection_opens_nothing(key: str) -> None:
    """An execution's input that claims to be a drop is rejected unless it names its own connection's inbox."""
    uri = f"s3://{BUCKET}/{FOLDER}a.pdf"
    assert "is in the inbox of another connection" in refused(case(uri, drop={"key": key}))


# What callers may name


@pytest.mark.parametrize(
    "key", ["uploads/a.pdf", "uploads//a..pdf", "staging/claims/1/a.pdf", "inbox/claims/a.pdf", "cases/claims/R/x"]
)
def test_the_places_of_a_connection(key: str) -> None:
    """``uploads/`` is everybody's; of the other folders a connection has its own."""
    allowed(case(f"s3://{BUCKET}/{key}"))


@pytest.mark.rule("security: read documents of other buckets")
def test_other_buckets_are_allowed_unless_document_sources_limits_them() -> None:
    """IAM allows the buckets that the deployment names; ``document_sources`` assigns them to connections."""
    scans, mail = case("s3://scans/may/1.pdf"), case("s3://mail-room/claims/1.pdf")
    allowed(scans)
    sources = ("scans", "mail-room/claims/")
    allowed(scans, document_sources=sources)
    allowed(mail, document_sources=sources)
    allowed(case(f"s3://{BUCKET}/uploads/a.pdf"), document_sources=())
    for other in ("s3://mail-room/invoices/1.pdf", "s3://mail-room/claims.pdf", "s3://scans-2/1.pdf"):
        reason = refused(case(other), document_sources=sources)
        assert "document_sources of the connection allows scans, mail-room/claims/" in reason
    assert "allows none" in refused(scans, document_sources=())


def test_invalid_source_fails_the_deployment(tmp_path: Any) -> None:
    """A misspelled source is one line at synth, not a case that is rejected later."""
    text = (ROOT / "connections.toml").read_text(encoding="utf-8")
    path = tmp_path / "connections.toml"
    for good in ("scans", "scans/claims/", "scans/a/b/"):
        path.write_text(text.replace("[claims]", f'[claims]\ndocument_sources = ["{good}"]'), encoding="utf-8")
        assert load_toml(path)["claims"].document_sources == (good,)
    for wrong in ("s3://scans", "Scans", "scans/claims", "*", "scans//"):
        path.write_text(text.replace("[claims]", f'[claims]\ndocument_sources = ["{wrong}"]'), encoding="utf-8")
        with pytest.raises(ConfigurationError, match="document_sources"):
            load_toml(path)
