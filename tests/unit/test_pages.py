"""Pages of a document are counted while it is read, whatever the size of the chunks."""

from __future__ import annotations

import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dossier.pages import LARGEST_PACK, PageCounter, count
from tests.machine import samples

CATALOG = b"1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\n"
HEAD = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"
END = b"trailer\n<< /Root 1 0 R >>\nstartxref\n0\n%%EOF\n"


def page(number: int, parent: int = 2) -> bytes:
    """Return a page of a PDF."""
    return b"%d 0 obj\n<</Type/Page/Parent %d 0 R/MediaBox[0 0 9 9]>>\nendobj\n" % (number, parent)


def tree(pages: int, *, number: int = 2) -> bytes:
    """Return the root of a PDF's page tree."""
    kids = b" ".join(b"%d 0 R" % each for each in range(10, 10 + pages))
    return b"%d 0 obj\n<< /Type /Pages /Count %d /Kids [%s] >>\nendobj\n" % (number, pages, kids)


def packed(*objects: tuple[int, bytes], filter: bytes = b"/FlateDecode") -> bytes:  # noqa: A002 -- the PDF's word
    """Return a PDF's stream of packed objects."""
    places, body = [], b""
    for number, each in objects:
        places.append(b"%d %d" % (number, len(body)))
        body += each + b" "
    head = b" ".join(places) + b" "
    content = zlib.compress(head + body) if filter == b"/FlateDecode" else head + body
    text = b"<</Type/ObjStm/N %d/First %d/Filter%s/Length %d>>" % (len(objects), len(head), filter, len(content))
    return b"90 0 obj\n" + text + b"stream\r\n" + content + b"\r\nendstream\nendobj\n"


def pdf(*parts: bytes) -> bytes:
    """Return a PDF of objects."""
    return HEAD + b"".join(parts) + END


INNER = b"5 0 obj\n<< /Type /Pages /Parent 2 0 R /Count 2 /Kids [10 0 R 11 0 R] >>\nendobj\n"
PICTURE = (
    b"7 0 obj\n<< /Length 60 >>\nstream\n8 0 obj << /Type /Pages /Count 99 >> endobj /Type /Page \nendstream\nendobj\n"
)
PACKED = packed((1, b"<</Type/Catalog/Pages 2 0 R>>"), (2, b"<</Type/Pages/Count 41/Kids[]>>"), (10, b"<</Type/Page>>"))
PLAIN = packed((1, b"<</Type/Catalog/Pages 2 0 R>>"), (2, b"<</Type/Pages/Count 7/Kids[]>>"), filter=b"/None")


@pytest.mark.parametrize(
    ("body", "pages"),
    [
        (pdf(CATALOG, tree(3), page(10), page(11), page(12)), 3),
        (pdf(CATALOG, tree(3), INNER, PICTURE, page(10, 5), page(11, 5), page(12)), 3),
        (pdf(PACKED), 41),
        (pdf(PLAIN), 7),
        (pdf(CATALOG, tree(3)) + tree(2) + END, 2),
        (pdf(CATALOG, tree(3)) + packed((2, b"<</Type/Pages/Count 4/Kids[]>>")) + END, 4),
        (pdf(CATALOG.replace(b"2 0 R", b"6 0 R"), tree(9), tree(5, number=6)), 5),
        (pdf(page(10), page(11), page(10)), 2),
        (pdf(page(10)).replace(b"endobj", b"endob_"), None),
        (pdf(packed((2, b"<</Type/Pages/Count 4>>")).replace(b"\r\n\x78", b"\r\n\x00")), None),
        (pdf(CATALOG, tree(1)).replace(b"/Count 1", b"/Count 999999999"), None),
        (b"\x00\x00" + pdf(CATALOG, tree(2)), 2),
    ],
    ids=[
        "plain", "nested, and a stream that looks like objects", "packed", "packed, not compressed", "a page removed",
        "a page added, packed", "two trees", "pages alone, one replaced", "damaged", "damaged pack", "too many",
        "bytes before it",
    ],
)  # fmt: skip
def test_pages_of_a_pdf_are_those_of_its_page_tree(body: bytes, pages: int | None) -> None:
    """The tree that its latest catalog names; streams are skipped, and packed objects unpacked."""
    assert count(body) == pages


def test_a_pack_that_is_too_large_is_not_unpacked() -> None:
    """A few bytes may unpack to gigabytes: no more than the limit is unpacked."""
    bomb = packed((3, b" " * (2 * LARGEST_PACK)), (2, b"<</Type/Pages/Count 4>>"))
    assert len(bomb) < LARGEST_PACK // 100
    assert count(pdf(bomb, page(10))) == 1


def tiff(pages: int, *, order: str = "<", big: bool = False, preview: bool = False, ending: int = 0) -> bytes:
    """Return a TIFF of some pages; with ``preview`` each has a smaller copy, and ``ending`` is the last link."""
    mark = b"II" if order == "<" else b"MM"
    head = struct.pack(f"{order}HHHQ", 43, 8, 0, 16) if big else struct.pack(f"{order}HI", 42, 8)
    body = mark + head
    kinds = [kind for _ in range(pages) for kind in ((0, 1) if preview else (0,))]
    for index, kind in enumerate(kinds):
        entries = [(254, kind), (256, 9)]
        if big:
            fields = b"".join(
                struct.pack(f"{order}HHQ", tag, 4, 1) + struct.pack(f"{order}I", value) + bytes(4)
                for tag, value in entries
            )
            own = struct.pack(f"{order}Q", len(entries)) + fields
        else:
            own = struct.pack(f"{order}H", len(entries)) + b"".join(
                struct.pack(f"{order}HHII", tag, 4, 1, value) for tag, value in entries
            )
        link = 8 if big else 4
        after = len(body) + len(own) + link + 50
        last = index + 1 == len(kinds)
        body += own + struct.pack(f"{order}{'Q' if big else 'I'}", ending if last else after) + bytes(50)
    return body


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("preview", [False, True])
def test_pages_of_a_tiff_are_its_directories(order: str, big: bool, preview: bool) -> None:
    """In either order of bytes, of either size; a preview is not a page."""
    assert count(tiff(3, order=order, big=big, preview=preview)) == 3


def test_a_tiff_whose_directories_lead_nowhere_has_an_unknown_number() -> None:
    """Backwards in a circle, or beyond the end."""
    assert count(tiff(2, ending=8)) is None
    assert count(tiff(2, ending=1 << 30)) is None


def test_samples_have_the_pages_that_they_have() -> None:
    """Images are one page; nothing says how many an Office file has."""
    names = {
        "invoice.pdf": 1,
        "scan.tiff": 1,
        "photo.jpg": 1,
        "receipt.png": 1,
        "complaint.docx": None,
        "empty.pdf": None,
    }
    assert {name: count(body) for name, body in samples(*names).items()} == names


@given(st.sampled_from([pdf(CATALOG, INNER, tree(3), PICTURE), pdf(PACKED), tiff(4), tiff(2, big=True)]), st.data())
def test_the_size_of_chunks_does_not_matter(body: bytes, data: st.DataObject) -> None:
    """Each cut of a document gives the same number."""
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=6)))
    counter = PageCounter()
    padded = body + bytes(5000)  # beyond what decides the type
    for begin, end in zip([0, *cuts], [*cuts, len(padded)], strict=True):
        counter.feed(padded[begin:end])
    assert counter.pages == count(body)


@given(st.binary(max_size=200), st.sampled_from([b"%PDF-1.4\n", b"II*\x00", b"MM\x00*", b"II+\x00\x08\x00\x00\x00"]))
def test_any_bytes_have_some_number_or_none(body: bytes, magic: bytes) -> None:
    """Whatever a caller sends, nothing is raised."""
    pages = count(magic + body + b"1 0 obj /Type /Pages /Count 3 endobj")
    assert pages is None or 1 <= pages <= 1_000_000
