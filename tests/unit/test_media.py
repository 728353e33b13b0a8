"""What a file is, by its bytes."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dossier import media
from dossier.media import HEAD, UNKNOWN, label, shown, sniff
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
def test_samples_are_what_they_are(name: str, kind: str) -> None:
    """Every sample is known by its first bytes, whatever it is called (but for what is inside a ZIP archive)."""
    head = (DOCUMENTS / name).read_bytes()[:HEAD]
    assert sniff(head, name) == kind
    assert shown(head, name, "text/html") == kind
    if kind != media.DOCX:
        assert sniff(head, "page.html") == kind


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
        (b"MM\x00*", "a", media.TIFF),
        (b"GIF89a", "a.png", media.GIF),
        (b"RIFF\x00\x00\x00\x00WEBP", "a", media.WEBP),
        (b"RIFF\x00\x00\x00\x00WAVE", "a.webp", UNKNOWN),
        (b"BM", "a", media.BMP),
        (b"PK\x03\x04", "a.XLSX", media.XLSX),
        (b"PK\x03\x04", "a.zip", UNKNOWN),
        (b"PK\x03\x04", "docx", media.DOCX),
    ],
)  # fmt: skip
def test_a_name_alone_says_nothing(head: bytes, name: str, kind: str) -> None:
    """A file that is called a PDF and is a page or a program is not a PDF."""
    assert sniff(head, name) == kind


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
def test_no_vendor_makes_a_page_of_a_file(claimed: str, kind: str) -> None:
    """What a browser would run is stored as bytes; only harmless types are taken at the vendor's word."""
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


def test_an_artifact_is_stored_as_what_its_bytes_are(cloud: Cloud) -> None:
    """A download's type in S3 comes from what was downloaded."""
    result = World(cloud).submit("claims", "R-1", samples("invoice.pdf"))
    s3 = cloud.session.client("s3")
    for artifact in result["artifacts"]:
        stored = s3.get_object(Bucket="artifacts", Key=artifact["key"])
        head = stored["Body"].read()[:HEAD]
        assert stored["ContentType"] == shown(head, artifact["name"], stored["ContentType"])
