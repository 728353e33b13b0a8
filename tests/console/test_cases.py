"""The list of cases and the pages of one."""

from __future__ import annotations

import json
import struct
import time
from io import BytesIO
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import pytest
from botocore.exceptions import EndpointConnectionError
from PIL import Image

from console.previews import drawn
from dossier import layout
from dossier.models import CaseId, CaseStatus, Document, now
from dossier.result import DocumentResult, FieldValue, Result
from dossier.stores.cases import CaseRecord, RevisionRecord, WaitingDrop
from tests.console.conftest import Visitor, put
from tests.machine import ROOT

EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&{{7*7}}\u202egnp.exe"
"""A text that a page must not obey, in HTML, in an attribute, in a template, and in its direction."""


def finish(
    visitor: Visitor, reference: str, result: Result, *documents: tuple[str, bytes], pages: int = 1, **more: object
) -> None:
    """Store an ended case with its result and documents of so many pages."""
    app, names = visitor.dossier.cloud.app, CaseId("invoices", reference)
    put(visitor, reference, CaseStatus.COMPLETED, completed_at=now(), revision=1, **more)
    stored = []
    for index, (name, body) in enumerate(documents):
        key = layout.document_key(names, f"{index}-file")
        app.objects.write(key, body)
        stored.append(
            Document(
                index=index, name=name, key=key, size=len(body), document_id=f"doc-{index}", status="done", pages=pages,
                finished=True,
            )
        )  # fmt: skip
    app.cases.put_documents(names, stored, fresh=True)
    app.objects.write_json(layout.result_key(names), result.model_dump(mode="json"))
    app.objects.write_json(layout.result_key(names, 1), result.model_dump(mode="json"))
    app.cases.put_revision(names, RevisionRecord(number=1, status="completed", collected_at=now()))


def rows(page: str) -> list[str]:
    """Return the references of the rows of a page."""
    return [part.partition('"')[0].partition("/")[2] for part in page.split('data-row="')[1:]]


def test_cases_are_listed_the_latest_first_with_a_reason(visitor: Visitor) -> None:
    """Each with its status in words, not by a color alone."""
    put(visitor, "R-old", CaseStatus.FAILED, minutes=90, reason="the vendor refused it", error="VendorRejectedError")
    put(visitor, "R-new", CaseStatus.WAITING)
    page = visitor.get("/cases")
    assert rows(page) == ["R-new", "R-old"]
    text = visitor.main("/cases")
    assert "✕ Failed the vendor refused it" in text
    assert "2 h ago" in text


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("", ["R-4", "R-3", "R-2", "R-1"]),
        ("status=failed", ["R-1"]),
        ("status=failed,waiting", ["R-2", "R-1"]),
        ("review=on", ["R-3"]),
        ("since=1h", ["R-4", "R-3"]),
        ("text=DARK", ["R-1"]),
        ("text=R-2", ["R-2"]),
        ("text=nothing", []),
        ("connection=claims", []),
        ("connection=invoices&since=1h&status=completed", ["R-3"]),
    ],
)
def test_filters(visitor: Visitor, query: str, wanted: list[str]) -> None:
    """Connection, status, time, text and review, alone and together; the address has them all."""
    put(visitor, "R-1", CaseStatus.FAILED, minutes=300, reason="page 3 is dark")
    put(visitor, "R-2", CaseStatus.WAITING, minutes=120)
    put(visitor, "R-3", CaseStatus.COMPLETED, minutes=30, review=True)
    put(visitor, "R-4", CaseStatus.NEEDS_ATTENTION, minutes=1)
    assert rows(visitor.get(f"/cases?{query}")) == wanted


def test_drops_that_wait_for_files_have_a_view(visitor: Visitor) -> None:
    """They are not cases yet: with their reason, and without their own page."""
    drop = WaitingDrop(reference="May", why="invoice.pdf is missing", since=now())
    assert visitor.dossier.cloud.app.cases.drop_waits("invoices", "May", drop, now())
    assert rows(visitor.get("/cases")) == []
    page = visitor.get("/cases?status=waiting+for+files")
    assert rows(page) == ["May"]
    assert "invoice.pdf is missing" in page
    assert "/cases/invoices/May" not in page
    assert '>Waiting for files <span class="number">1</span>' in visitor.get("/cases/views")
    assert '>All <span class="number">0</span>' in visitor.get("/cases/views")


@pytest.mark.parametrize("query", ["status=lost", "since=soon", "after=x", "connection=unknown"])
def test_an_invalid_filter_says_what_is_wrong(visitor: Visitor, query: str) -> None:
    """A page, not a traceback."""
    page = visitor.get(f"/cases?{query}", 400)
    assert "This did not work" in page


def test_pages_have_every_case_once(visitor: Visitor) -> None:
    """The link to the older ones continues after the last row."""
    for number in range(120):
        put(visitor, f"R-{number:03d}", CaseStatus.COMPLETED, minutes=number)
    seen: list[str] = []
    path = "/cases"
    while path:
        page = visitor.get(path)
        seen += rows(page)
        found = page.partition('rel="next"')[0].rpartition('href="')[2].partition('"')[0]
        path = found.replace("&amp;", "&") if 'rel="next"' in page else ""
    assert seen == [f"R-{number:03d}" for number in range(120)]


def test_a_first_page_reads_few_items(visitor: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many cases there are: what a page costs does not grow with them."""
    for number in range(400):
        put(visitor, f"R-{number:03d}", CaseStatus.COMPLETED, minutes=number)
    read: list[object] = []
    real = CaseRecord.model_validate.__func__  # type: ignore[attr-defined]

    def counted(cls: type, *args: object, **kwargs: object) -> object:
        read.append(args)
        return real(cls, *args, **kwargs)

    monkeypatch.setattr(CaseRecord, "model_validate", classmethod(counted))
    visitor.get("/cases")
    assert len(read) <= 52


def test_an_old_page_is_shown_at_once_and_read_again(visitor: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large table takes its time: the list comes from memory, and asks for the latest a second later."""
    real = visitor.desk.lists.forget
    put(visitor, "R-1", CaseStatus.COMPLETED)
    assert rows(visitor.get("/cases")) == ["R-1"]
    monkeypatch.setattr(visitor.desk.lists, "forget", lambda: None)
    put(visitor, "R-2", CaseStatus.COMPLETED)
    clock = time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: clock() + 30)
    page = visitor.get("/cases")
    assert rows(page) == ["R-1"]
    assert 'hx-trigger="load delay:1s, every 5s' in page
    for _ in range(600):
        page = visitor.get("/cases")
        if "R-2" in page:
            break
        Event().wait(0.05)
    assert rows(page) == ["R-2", "R-1"]
    put(visitor, "R-3", CaseStatus.COMPLETED)
    monkeypatch.setattr(time, "monotonic", lambda: clock() + 300)
    assert rows(visitor.get("/cases")) == ["R-3", "R-2", "R-1"]  # so old a page is not shown
    put(visitor, "R-4", CaseStatus.COMPLETED)
    monkeypatch.setattr(visitor.desk.lists, "forget", real)
    visitor.post("/bulk", 400)  # whatever an operator does, the next list is read anew
    assert rows(visitor.get("/cases"))[0] == "R-4"


def test_a_list_that_cannot_be_read_again_says_so(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An old list is shown once more; the next one who looks reads it, and learns that AWS is away."""
    put(visitor, "R-1", CaseStatus.COMPLETED)
    assert rows(visitor.get("/cases")) == ["R-1"]

    def away(_client: object, _operation: str, _arguments: object) -> None:
        raise EndpointConnectionError(endpoint_url="http://127.0.0.1:4566/")

    clock = time.monotonic
    monkeypatch.setattr("botocore.client.BaseClient._make_api_call", away)
    monkeypatch.setattr(time, "monotonic", lambda: clock() + 30)
    assert rows(visitor.get("/cases")) == ["R-1"]
    for _ in range(600):
        answer = visitor.http.get("/cases")
        if answer.status_code != 200:
            break
        Event().wait(0.05)
    assert "AWS cannot be reached" in answer.text
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("path", ["/cases?text=R-1", "/cases/views?text=R-1", "/cases?text=R-1&count=1"])
def test_views_have_no_counts_beside_a_text(visitor: Visitor, path: str) -> None:
    """They count all cases of the connection and the period, which the list below does not show."""
    put(visitor, "R-1", CaseStatus.FAILED)
    visitor.get("/cases/views")
    page = visitor.get(path)
    assert 'class="number"' not in page
    assert 'hx-get="/cases/views' not in page


def test_a_page_that_is_kept_asks_aws_for_nothing(visitor: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its cases, their troubles, the pauses and the connections are kept together."""
    put(visitor, "R-1", CaseStatus.WAITING)
    before = visitor.get("/cases")
    monkeypatch.setattr(visitor.desk.lists, "_seconds", 600)

    def never(_client: object, operation: str, _arguments: object) -> None:
        raise AssertionError(operation)

    monkeypatch.setattr("botocore.client.BaseClient._make_api_call", never)
    assert rows(visitor.get("/cases")) == rows(before) == ["R-1"]


def test_views_have_counts_by_status(visitor: Visitor) -> None:
    """They are read after the page is shown, and stand on it from then on."""
    put(visitor, "R-1", CaseStatus.FAILED)
    put(visitor, "R-2", CaseStatus.WAITING)
    put(visitor, "R-3", CaseStatus.UPLOADING)
    assert 'hx-get="/cases/views?' in visitor.get("/cases")
    fragment = visitor.get("/cases/views")
    assert "<html" not in fragment
    for name, number in (("All", 3), ("Under way", 2), ("Failed", 1), ("Completed", 0)):
        assert f'>{name} <span class="number">{number}</span>' in fragment
    page = visitor.get("/cases")
    assert '>All <span class="number">3</span>' in page
    assert 'hx-trigger="load, every 60s"' in page  # these numbers may be old
    assert 'hx-trigger="every 60s"' in fragment
    assert '>All <span class="number">3</span>' in visitor.get("/cases?count=1")


@pytest.mark.rule("security: run a script in the console with a name or a document")
def test_no_text_of_a_vendor_or_caller_is_obeyed(visitor: Visitor) -> None:
    """In every place that shows one: names, ids, statuses, reasons, fields, markdown, headers, files."""
    fields = [FieldValue(key=EVIL, name=EVIL, value=EVIL, confidence=0.2, review=True)]
    document = DocumentResult(
        document_id="doc-0", name=EVIL, status=EVIL, title=EVIL, description=EVIL, summary=EVIL, insights=[EVIL],
        fields=fields, error=EVIL,
    )  # fmt: skip
    result = Result(
        title=EVIL, summary=f"{EVIL}\n\n[link](javascript:alert(3)) ![image](https://evil.example/x.png)",
        fields=fields, documents=[document], timeline=[{"title": EVIL, "description": EVIL, "date": EVIL}],  # type: ignore[list-item]
    )  # fmt: skip
    finish(
        visitor, "R-1", result, (EVIL, b"%PDF-1.7 " + EVIL.encode()), case_id=EVIL, reason=EVIL, note=EVIL,
        vendor_status=EVIL, stage_id=EVIL, assigned_to=EVIL, warnings=[EVIL],
    )  # fmt: skip
    app, names = visitor.dossier.cloud.app, CaseId("invoices", "R-1")
    changed = RevisionRecord(number=2, status=EVIL, collected_at=now(), changes={EVIL: {"from": EVIL, "to": EVIL}})
    app.cases.put_revision(names, changed)
    app.objects.write_json(layout.result_key(names, 2), {**result.model_dump(mode="json"), "title": "other"})
    app.objects.write(layout.vendor_key(names, "answer"), json.dumps({EVIL: EVIL}).encode())
    app.objects.write(layout.artifact_key(names, EVIL), b"x")
    base = "/cases/invoices/R-1"
    pages = [
        "/cases", base, f"{base}/results", f"{base}/history", f"{base}/revisions?from=1&to=2", f"{base}/files",
        f"{base}/files?show=vendor/answer.json", f"{base}/cost", "/cases?text=" + httpx.QueryParams(x=EVIL)["x"],
    ]  # fmt: skip
    shown = 0
    for path in pages:
        page = visitor.get(str(httpx.URL(path)))
        shown += page.count("&lt;script&gt;alert(1)")
        assert "<script>alert" not in page, path
        assert "<img src=x" not in page, path
        assert 'href="javascript:' not in page.lower(), path
        assert "evil.example/x.png" not in page or "<img" not in page.partition("evil.example/x.png")[0][-60:], path
        assert "49" not in page.partition("{{")[2][:10], path
        assert "\u202e" not in page, path
        assert "\"'&" not in page, path
    assert shown > 25


def test_a_case_says_why_it_does_not_move(visitor: Visitor, invoice: Path) -> None:
    """The sentence of ``dossier explain`` is on top, the way below it, with the stage that it is in."""
    dossier = visitor.dossier
    dossier.whole = False
    dossier("submit", "invoices", invoice, "--reference", "INV-1")
    dossier.tick()
    text = visitor.main("/cases/invoices/INV-1")
    explained = dossier.json("explain", "INV-1")
    assert explained["why"][1:] in text
    assert "Accept" in text
    assert "Read" in text
    assert "● now" in text
    assert "invoice.pdf" in text


def test_an_unknown_case_is_not_found(visitor: Visitor) -> None:
    """A page says so."""
    for path in ("/cases/invoices/none", "/cases/nowhere/none", "/cases/invoices/none/results"):
        assert "there is no case none" in visitor.get(path, 404)


def test_fields_stand_beside_the_document_and_low_ones_are_marked(visitor: Visitor) -> None:
    """With their confidence in words as well; those of the document, and those of the case."""
    low = FieldValue(key="iban", name="IBAN", value="DE02", confidence=0.41, review=True)
    high = FieldValue(key="total", name="Total", value="€ 12.00", confidence=0.98)
    document = DocumentResult(document_id="doc-0", fields=[low, high], summary="**Bold** and <b>raw</b>")
    body = (ROOT / "events" / "documents" / "invoice.pdf").read_bytes()
    finish(visitor, "R-1", Result(documents=[document]), ("invoice.pdf", body))
    page = visitor.get("/cases/invoices/R-1/results")
    text = visitor.main("/cases/invoices/R-1/results")
    assert "IBAN DE02 41 % 41 % ◐ Check" in text
    assert "Total € 12.00 98 % 98 %" in text
    assert page.count('class="low"') == 1
    assert "<strong>Bold</strong> and &lt;b&gt;raw&lt;/b&gt;" in page
    assert 'src="/cases/invoices/R-1/preview/0?page=1"' in page


@pytest.mark.parametrize("name", ["receipt.png", "photo.jpg", "invoice.pdf"])
@pytest.mark.rule("security: run a script in the console with a name or a document")
def test_a_preview_is_an_image_in_a_sandbox(visitor: Visitor, name: str) -> None:
    """Whatever a file is called: its type is that of its bytes, and a PDF is drawn."""
    body = (ROOT / "events" / "documents" / name).read_bytes()
    finish(visitor, "R-1", Result(), ("page.html", body))
    answer = visitor.http.get("/cases/invoices/R-1/preview/0")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == ("image/jpeg" if name == "photo.jpg" else "image/png")
    assert answer.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.content[1:4] == b"PNG" or answer.content == body


@pytest.mark.rule("security: run a script in the console with a name or a document")
@pytest.mark.parametrize(
    "body",
    [
        b"<html><script>alert(1)</script>",
        b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>',
        b"<?xml version='1.0'?><x/>",
        b"\0\1\2",
        b"PK\x03\x04",
    ],
)
def test_nothing_else_is_shown_by_its_address(visitor: Visitor, body: bytes) -> None:
    """A text is part of the page, escaped; what is neither can be saved, and is not a page then either."""
    finish(visitor, "R-1", Result(), ("picture.png", body))
    assert visitor.http.get("/cases/invoices/R-1/preview/0").status_code == 404
    page = visitor.get("/cases/invoices/R-1/results")
    assert body.decode() not in page or b"<" not in body
    saved = visitor.http.get("/cases/invoices/R-1/file", params={"name": "documents/0-file"})
    assert saved.content == body
    assert saved.headers["content-type"] == "application/octet-stream"
    assert saved.headers["content-disposition"].startswith("attachment;")
    assert saved.headers["content-security-policy"].startswith("sandbox")


@pytest.mark.rule("security: read another file through the console")
@pytest.mark.parametrize(
    "name", ["", "../R-2/result.json", "documents/../../R-2/result.json", "documents//x", "./result.json", "none"]
)
def test_a_download_stays_in_its_case(visitor: Visitor, name: str) -> None:
    """A name leads nowhere else."""
    finish(visitor, "R-1", Result())
    finish(visitor, "R-2", Result())
    assert visitor.http.get("/cases/invoices/R-1/file", params={"name": name}).status_code == 404
    assert visitor.http.get("/cases/invoices/R-2/file", params={"name": "result.json"}).status_code == 200


def test_a_pdf_that_cannot_be_drawn_is_reported(visitor: Visitor) -> None:
    """Whatever the bytes are."""
    finish(visitor, "R-1", Result(), ("broken.pdf", b"%PDF-1.7\nnot one"))
    assert "cannot be drawn" in visitor.get("/cases/invoices/R-1/preview/0", 404)


def test_a_page_is_drawn_without_our_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What reads a stranger's PDF has an empty environment."""
    seen = tmp_path / "environment"
    program = tmp_path / "draws.py"
    program.write_text("import os, sys\nsys.stdout.write('0000' + repr(dict(os.environ)))\n")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "planted")
    monkeypatch.setattr("console.previews._DRAWS", program)
    answer = drawn(b"", 1).decode()
    assert "planted" not in answer
    assert "AWS" not in answer
    assert not seen.exists()


def tiff(*pages: Image.Image, **settings: Any) -> bytes:
    """Return a TIFF with these pages."""
    made = BytesIO()
    pages[0].save(made, "TIFF", save_all=True, append_images=pages[1:], **settings)
    return made.getvalue()


def test_a_scan_is_shown_page_by_page(visitor: Visitor) -> None:
    """A TIFF is drawn as PNG, as gray as paper or in color; the pages lead to each other, and to any one."""
    pages = [Image.new(mode, (300 + number, 200)) for number, mode in enumerate(("1", "L", "RGB", "CMYK", "P", "I;16"))]
    finish(visitor, "R-1", Result(), ("scan.tiff", tiff(*pages)), pages=len(pages))
    for number in range(1, len(pages) + 1):
        answer = visitor.http.get(f"/cases/invoices/R-1/preview/0?page={number}")
        assert answer.headers["content-type"] == "image/png"
        assert Image.open(BytesIO(answer.content)).size == (299 + number, 200)
    page = visitor.get("/cases/invoices/R-1/results?page=2")
    assert 'href="?document=0&amp;page=1" rel="prev"' in page
    assert 'href="?document=0&amp;page=3" rel="next"' in page
    assert 'src="/cases/invoices/R-1/preview/0?page=2"' in page
    assert "has no such page" in visitor.get("/cases/invoices/R-1/preview/0?page=7", 404)


def looped() -> bytes:
    """Return a TIFF whose first page says that the next one is itself (TIFF 6.0, section 2)."""
    body = bytearray(tiff(Image.new("L", (10, 10))))
    (begin,) = struct.unpack_from("<I", body, 4)
    (entries,) = struct.unpack_from("<H", body, begin)
    struct.pack_into("<I", body, begin + 2 + 12 * entries, begin)
    return bytes(body)


@pytest.mark.rule("security: run a script in the console with a name or a document")
@pytest.mark.parametrize(
    ("body", "page", "says"),
    [
        pytest.param(tiff(Image.new("1", (30_000, 30_000)), compression="group4"), 1, "too many pixels", id="bomb"),
        pytest.param(tiff(Image.new("RGB", (500, 500)))[:3000], 1, "cannot be drawn", id="cut short"),
        pytest.param(looped(), 3, "no such page", id="pages in a circle"),
        pytest.param(b"II*\0<html><script>alert(1)</script>", 1, "cannot be drawn", id="a page of the web"),
        pytest.param(b"II*\0" + b"\xff" * 4000, 1, "cannot be drawn", id="noise"),
    ],
)
def test_a_hostile_scan_is_not_drawn(visitor: Visitor, body: bytes, page: int, says: str) -> None:
    """Its size is judged before its pixels are read; whatever else is wrong, the page says that it cannot be drawn."""
    finish(visitor, "R-1", Result(), ("scan.tiff", body))
    assert says in visitor.get(f"/cases/invoices/R-1/preview/0?page={page}", 404)


def test_the_last_of_thousands_of_pages_is_drawn() -> None:
    """Pages before it are skipped, not read."""
    pages = [Image.new("1", (8, 8)) for _ in range(3000)]
    pages.append(Image.new("1", (16, 8)))
    assert Image.open(BytesIO(drawn(tiff(*pages), 3001, "image"))).size == (16, 8)


def test_an_office_document_is_named_as_such(visitor: Visitor) -> None:
    """With what to do, and a link to download it."""
    body = (ROOT / "events" / "documents" / "complaint.docx").read_bytes()
    finish(visitor, "R-1", Result(), ("complaint.docx", body))
    assert "This is a Word document, which a browser cannot show. Download it to open it." in visitor.main(
        "/cases/invoices/R-1/results"
    )


def test_changes_between_two_revisions_are_shown(visitor: Visitor) -> None:
    """Field by field, by name, not by place."""
    field = FieldValue(key="total", name="Total", value="1.00")
    before = Result(title="Old", fields=[field, FieldValue(key="iban", name="IBAN", value="X")])
    after = Result(title="New", fields=[FieldValue(key="iban", name="IBAN", value="X"), field])
    finish(visitor, "R-1", before)
    app, names = visitor.dossier.cloud.app, CaseId("invoices", "R-1")
    app.cases.put_revision(names, RevisionRecord(number=2, status="completed", changes={"title": {}}))
    app.objects.write_json(layout.result_key(names, 2), after.model_dump(mode="json"))
    page = visitor.get("/cases/invoices/R-1/revisions")
    assert "<del>Old</del>" in page
    assert "<ins>New</ins>" in page
    assert page.count("<del>") == 1


def test_cost_is_that_of_the_command(visitor: Visitor) -> None:
    """What ``dossier cost`` counts."""
    finish(visitor, "R-1", Result(), ("invoice.pdf", b"%PDF-1.7"))
    assert "$" in visitor.main("/cases/invoices/R-1/cost")
