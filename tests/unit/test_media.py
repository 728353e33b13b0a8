"""A file's type, by its bytes."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dossier import media
from dossier.media import HEAD, UNKNOWN, described, label, shown, sniff, trouble
from dossier.models import CaseId
from dossier.steps.accept import Takes
from tests.conftest import Cloud
from tests.machine import World, samples

DOCUMENTS = Path(__file__).parents[2] / "events" / "documents"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("invoice.pdf", media.PDF),
        ("photo.jpg", media.JPEG),
        ("receipt.png", media.PNG),
        ("scan.tiff", media.TIFF),
        ("complaint.docx", media.DOCX),
    ],
)
def test_samples_have_the_type_of_their_bytes(name: str, kind: str) -> None:
    """Every sample's type is recognized by its first bytes, whatever its name; of a ZIP archive, by its parts."""
    head = (DOCUMENTS / name).read_bytes()[:HEAD]
    assert sniff(head, name) == kind
    assert shown(head, name, "text/html") == kind
    assert sniff(head, "page.html") == kind


@pytest.mark.rule("security: pass a program or a page as a document")
@pytest.mark.parametrize(
    ("head", "name", "kind"),
    [
        (b"", "a.pdf", UNKNOWN),
        (b"<html><script>", "a.pdf", UNKNOWN),
        (b"MZ\x90\x00", "a.pdf", UNKNOWN),
        (b"%PDF", "a.pdf", UNKNOWN),
        (b"x" * 1024 + b"%PDF-1.7", "a", media.PDF),
        (b"x" * 1025 + b"%PDF-1.7", "a.pdf", UNKNOWN),
        (b"II*\x00", "a", media.TIFF),
        (b"II+\x00\x08\x00\x00\x00", "a", media.TIFF),
        (b"MM\x00+\x00\x08\x00\x00", "a", media.TIFF),
        (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "a.jp2", media.JP2),
        (b"\xff\x4f\xff\x51", "a", media.JP2),
        (b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic", "a", media.HEIC),
        (b"\x00\x00\x00\x1cftypmif1\x00\x00\x00\x00mif1heicmiaf", "a", media.HEIC),
        (b"\x00\x00\x00\x1cftypavif\x00\x00\x00\x00avifmif1miaf", "a", media.AVIF),
        (b"\x00\x00\x00\x18ftypmif1\x00\x00\x00\x00mif1avif", "a", media.AVIF),
        (b"\x00\x00\x00\x18ftypisom\x00\x00\x00\x00isommp42", "a.heic", UNKNOWN),
        (b"BM" + b"\x46\x00\x00\x00" + bytes(4) + b"\x36\x00\x00\x00\x28\x00\x00\x00", "a", media.BMP),
        (b"BM is how this text begins, and nothing else", "a.bmp", UNKNOWN),
        (b"<!doctype html><p>%PDF-1.7", "a.pdf", UNKNOWN),
        (b"\xef\xbb\xbf\n <html>%PDF-1.7", "a.pdf", UNKNOWN),
        (b"From: a@b.example\r\nSubject: x\r\n\r\n%PDF-1.7", "a.pdf", UNKNOWN),
        (b"From a@b.example Mon Jan 1\nReceived: x\n\n%PDF-1.7", "a.pdf", UNKNOWN),
        (b"PK\x03\x04" + bytes(22) + b"\x05\x00\x00\x00a.pdf%PDF-1.7", "a.pdf", UNKNOWN),
        (b"\x1f\x8b%PDF-1.7", "a.pdf", UNKNOWN),
        (b"\r\n\r\n%PDF-1.7", "a", media.PDF),
        (b"\x1b%-12345X@PJL JOB\r\n%PDF-1.7", "a", media.PDF),
        (b"MM\x00*", "a", media.TIFF),
        (b"GIF89a", "a.png", media.GIF),
        (b"RIFF\x00\x00\x00\x00WEBP", "a", media.WEBP),
        (b"RIFF\x00\x00\x00\x00WAVE", "a.webp", UNKNOWN),
        (b"BM", "a", UNKNOWN),
        (b"PK\x03\x04", "a.XLSX", media.XLSX),
        (b"PK\x03\x04", "a.zip", UNKNOWN),
        (b"PK\x03\x04", "docx", media.DOCX),
        (b"PK\x03\x04" + bytes(range(200)) * 8, "docx", media.DOCX),
    ],
)  # fmt: skip
def test_a_name_alone_says_nothing(head: bytes, name: str, kind: str) -> None:
    """A file that is called a PDF and is a page or a program is not a PDF."""
    assert sniff(head, name) == kind


PDF_INSIDE = b"%PDF-1.7\n1 0 obj\nendobj\n%%EOF\n"


@pytest.mark.parametrize(
    "before",
    [
        b'{"type": "',
        b"type,name\n",
        b"const magic = '",
        b"# How a file begins\n\n",
        b"name: x\nfile: |\n",
        b"HTTP/1.1 200 OK\r\nContent-Type: application/pdf\r\n\r\n",
        b"MIME-Version: 1.0\r\nX: y\r\n\r\n",
        b"Subject : x\r\nTo: b\r\n\r\n",
        "Betreff-ü: x\r\n\r\n".encode(),
        b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\n",
        b"MSCF" + bytes(50),
        b"!<arch>\na.pdf/    `\n",
        b"\x28\xb5\x2f\xfd\x00",
        b"\x04\x22\x4d\x18\x00",
        b"\x1f\x9d\x00",
        b"SQLite format 3\x00",
        b"OggS\x00",
        b"ID3\x04",
        b"\xca\xfe\xba\xbe",
        b"0\x82\x10\x00\x06\x09*\x86H\x86\xf7\x0d\x01\x07\x02",
        b"\x00\x00\x01\x00\x01\x00",
        b"8BPS\x00\x01",
        bytes(128) + b"DICM",
        b"\xff\x0a\x00",
        b"AT&TFORM\x00",
        b"FWS\x06",
        b"%FDF-1.2\n",
        b"\xc5\xd0\xd3\xc6\x00",
        b"\x78\x9f\x3e\x22\x00",
    ],
)
def test_a_file_that_contains_a_pdf_is_not_a_pdf(before: bytes) -> None:
    """Lines of text, an archive, a database, a sound: a PDF's first line a little later changes nothing about it."""
    inside = b"%PDF-1.4'" if before.endswith((b'"', b"'")) else PDF_INSIDE
    for whole in (before + inside, before + b"%PDF-1.4 is how it begins\n"):
        assert sniff(whole[:HEAD], "a.pdf", whole[-media.TAIL :]) == UNKNOWN


@pytest.mark.parametrize(
    "before", [b"\r\n\n ", b"\xef\xbb\xbf", bytes(16), b"\x1b%-12345X@PJL JOB\r\n@PJL ENTER\r\n", b"\x01\x02junk\xff"]
)
def test_a_pdf_may_begin_a_little_later(before: bytes) -> None:
    """Readers take one whose first line stands within the first KiB (ISO 32000-1, annex H); it ends as a PDF does."""
    whole = before + PDF_INSIDE
    assert sniff(whole[:HEAD], "x", whole[-media.TAIL :]) == media.PDF
    cut = before + PDF_INSIDE + b"something else"
    blank = before.strip(b"\xef\xbb\xbf\x00\r\n ") == b"" or before.startswith(b"\x1b")
    assert (sniff(cut[:HEAD], "x", cut[-media.TAIL :]) == media.PDF) is blank


def _zip(*names: str, flags: int = 0) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for name in names:
            archive.writestr(name, b"%PDF-1.7" + b"x" * 3000)
    return packed.getvalue()


@pytest.mark.parametrize(
    ("names", "called", "kind"),
    [
        (("[Content_Types].xml", "_rels/.rels", "word/document.xml"), "letter", media.DOCX),
        (("[Content_Types].xml", "_rels/.rels", "xl/workbook.xml"), "letter.docx", media.XLSX),
        (("[Content_Types].xml", "docProps/app.xml", "docProps/core.xml", "word/document.xml"), "x", media.DOCX),
        (("a.pdf",), "a.docx", UNKNOWN),
        (("word/notes.txt", "a.pdf"), "a.zip", UNKNOWN),
        (("a.pdf", "b.pdf"), "a.pdf", UNKNOWN),
    ],
)
def test_an_office_file_is_known_by_its_parts(names: tuple[str, ...], called: str, kind: str) -> None:
    """A DOCX without its ending is one, and an archive with an Office file's ending is none."""
    whole = _zip(*names)
    assert sniff(whole[:HEAD], called, whole[-media.TAIL :]) == kind


def test_an_archive_of_pdfs_is_not_a_pdf() -> None:
    """A tar archive with an uncompressed PDF is recognized by the checksum of its header."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        info = tarfile.TarInfo("a.pdf")
        info.size = 8
        archive.addfile(info, io.BytesIO(b"%PDF-1.7"))
    head = packed.getvalue()[:HEAD]
    assert sniff(head, "a.pdf") == UNKNOWN
    assert described(UNKNOWN, head) == "a tar archive"
    assert described(UNKNOWN, b"From: a@b\n\n") == "an e-mail"
    assert described(media.XLSX, b"") == "an XLSX file"


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("encrypted.pdf", "encrypted"),
        ("no-pages.pdf", "without pages"),
        ("empty.pdf", "without pages"),
        ("invoice.pdf", None),
        ("scan.tiff", None),
    ],
)
def test_a_pdf_without_pages_gets_a_warning(name: str, word: str | None) -> None:
    """An encrypted PDF and one without pages are known before they are sent."""
    body = (DOCUMENTS / name).read_bytes()
    found = trouble(sniff(body[:HEAD], name, body[-media.TAIL :]), body[:HEAD], body[-media.TAIL :])
    assert (word is None) == (found is None)
    assert word is None or word in (found or "")


def test_a_warning_is_in_the_result_and_in_the_case(cloud: Cloud) -> None:
    """The case continues, and case and result have a warning about the document."""
    result = World(cloud).submit("invoices", "R-1", samples("encrypted.pdf"))
    assert result["status"] == "completed"
    assert [each for each in result["warnings"] if each.startswith("encrypted.pdf is an encrypted PDF")]
    assert cloud.app.cases.get(CaseId("invoices", "R-1")).documents[0].warning


@pytest.mark.parametrize(
    ("name", "kind"),
    [("photo.heic", media.HEIC), ("photo.avif", media.AVIF), ("photo.jp2", media.JP2), ("big.tiff", media.TIFF),
     ("letter", media.DOCX), ("pdf-inside.zip", UNKNOWN), ("pdf-inside.tar", UNKNOWN), ("pdf-inside.eml", UNKNOWN),
     ("pdf-inside.html", UNKNOWN), ("begins-with-BM.txt", UNKNOWN), ("pdf-inside.log", UNKNOWN),
     ("pdf-inside.mime", UNKNOWN), ("pdf-inside.cpio", UNKNOWN), ("pdf-inside.p7m", UNKNOWN), ("raw.cr2", UNKNOWN),
     ("pdf-after-bytes", media.PDF)],
)  # fmt: skip
def test_our_sample_files_have_their_types(name: str, kind: str) -> None:
    """The small test files are distinguished by their bytes, under any name."""
    body = (DOCUMENTS / "types" / name).read_bytes()
    for called in (name, "x", "x.pdf"):
        assert sniff(body[:HEAD], called, body[-media.TAIL :]) == kind


def test_an_account_may_accept_more_types(cloud: Cloud) -> None:
    """A connection's types and size extend those that its vendor is known to accept."""
    world = World(cloud)
    files = {"photo.heic": (DOCUMENTS / "types" / "photo.heic").read_bytes()}
    refused = world.submit("claims", "R-1", files)
    assert "photo.heic is a HEIC file: docsumo reads JPEG, PDF, PNG, TIFF, XLSX" in refused["reason"]
    wider = {"media_types": (media.HEIC,), "max_document_bytes": 10}
    world.connections["claims"] = world.connections["claims"].model_copy(update=wider)
    assert "docsumo takes at most" in world.submit("claims", "R-2", files)["reason"]
    world.connections["claims"] = world.connections["claims"].model_copy(update={"media_types": (media.HEIC,)})
    takes = Takes.by(world.context.vendor_of(world.connections["claims"]), world.connections["claims"])
    assert media.HEIC in takes.types
    assert media.PDF in takes.types


@pytest.mark.rule("security: open a page with scripts from the bucket")
@pytest.mark.parametrize(
    ("claimed", "kind"),
    [
        ("text/html", UNKNOWN),
        ("text/html; charset=utf-8", UNKNOWN),
        ("image/svg+xml", UNKNOWN),
        ("application/xhtml+xml", UNKNOWN),
        ("text/xml", UNKNOWN),
        ("application/javascript", UNKNOWN),
        ("application/pdf", UNKNOWN),
        ("text/plain\r\nx-amz-acl: public-read", UNKNOWN),
        ("", UNKNOWN),
        ("Text/CSV; header=present", "text/csv"),
        ("application/json", "application/json"),
    ],
)
def test_no_vendor_can_store_a_file_as_a_page(claimed: str, kind: str) -> None:
    """A file that a browser would run is stored as bytes; only harmless types of the vendor are trusted."""
    assert shown(b"<script>alert(1)</script>", "a.html", claimed) == kind


@given(head=st.binary(max_size=64), name=st.text(max_size=20), claimed=st.text(max_size=20))
def test_the_type_is_always_one_of_ours(head: bytes, name: str, claimed: str) -> None:
    """Nothing of the vendor's text gets into a header of S3."""
    kind = shown(head, name, claimed)
    assert label(kind) != "unknown" or kind in {
        UNKNOWN,
        "application/json",
        "application/zip",
        "text/csv",
        "text/plain",
    }


@pytest.mark.rule("security: open a page with scripts from the bucket")
def test_an_artifacts_bytes_decide_its_type(cloud: Cloud) -> None:
    """A download's type in S3 comes from its bytes."""
    result = World(cloud).submit("claims", "R-1", samples("invoice.pdf"))
    s3 = cloud.session.client("s3")
    for artifact in result["artifacts"]:
        stored = s3.get_object(Bucket="artifacts", Key=artifact["key"])
        head = stored["Body"].read()[:HEAD]
        assert stored["ContentType"] == shown(head, artifact["name"], stored["ContentType"])
