"""What a document is, read off its bytes; its name decides only what a ZIP archive with hidden contents may be."""

from __future__ import annotations

import re

PDF, PNG, JPEG, TIFF = "application/pdf", "image/png", "image/jpeg", "image/tiff"
GIF, WEBP, BMP = "image/gif", "image/webp", "image/bmp"
HEIC, AVIF, JP2 = "image/heic", "image/avif", "image/jp2"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
PPTX = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
UNKNOWN = "application/octet-stream"

HEAD = 4096
"""First bytes that are enough for :func:`sniff`."""
TAIL = 16_384
"""Last bytes that are enough for :func:`sniff` and :func:`trouble`: a ZIP archive's table of contents, a PDF's end."""
_BEFORE_PDF = 1024
"""Bytes that may stand before ``%PDF-`` (ISO 32000-1, annex H, note 13)."""
_MAGIC = (
    (b"%PDF-", PDF),
    (b"\x89PNG\r\n\x1a\n", PNG),
    (b"\xff\xd8\xff", JPEG),
    (b"II*\x00", TIFF),
    (b"MM\x00*", TIFF),
    (b"II+\x00\x08\x00\x00\x00", TIFF),
    (b"MM\x00+\x00\x08\x00\x00", TIFF),
    (b"GIF87a", GIF),
    (b"GIF89a", GIF),
    (b"\x00\x00\x00\x0cjP  \r\n\x87\n", JP2),
    (b"\xff\x4f\xff\x51", JP2),
)
"""Signatures of documents at offset 0; a TIFF's with a plus is BigTIFF."""
_OTHERS = (
    (b"PK\x05\x06", "an empty ZIP archive"),
    (b"PK\x07\x08", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip file"),
    (b"BZh", "a bzip2 file"),
    (b"\xfd7zXZ\x00", "an xz file"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old or encrypted Office file"),
    (b"{\\rtf", "an RTF file"),
    (b"%!PS", "a PostScript file"),
    (b"MZ", "a program"),
    (b"\x7fELF", "a program"),
)
"""Signatures of what no vendor is known to read, whatever else is in it."""
_HEIC = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})
_AVIF = frozenset({b"avif", b"avis"})
_BITMAP_HEADS = frozenset({12, 16, 40, 52, 56, 64, 108, 124})
"""Sizes of a bitmap's second header (BITMAPCOREHEADER to BITMAPV5HEADER)."""
_PARTS = ((b"word/", DOCX), (b"xl/", XLSX), (b"ppt/", PPTX))
_FIELD = rb"[A-Za-z][A-Za-z0-9-]{1,60}:"
_MAIL = re.compile(rb"(?:From [^\r\n]{1,200}|" + _FIELD + rb"[^\r\n]*)\r?\n(?:" + _FIELD + rb"|[ \t]|\r?\n)")
"""A field's name and colon, then another one, a folded line or a blank one (RFC 5322, section 2.2); mbox's "From "."""
_ENCRYPTED = re.compile(rb"/Encrypt\s*(?:\d+\s+\d+\s+R|<<)")
_NO_PAGES = re.compile(rb"/Type\s*/Pages\b[^>]{0,200}/Count\s+0\b|/Count\s+0\b[^>]{0,200}/Type\s*/Pages\b")
_HARMLESS = frozenset({"application/json", "application/zip", "text/csv", "text/plain"})
_LABELS = {
    PDF: "PDF", PNG: "PNG", JPEG: "JPEG", TIFF: "TIFF", DOCX: "DOCX", XLSX: "XLSX", PPTX: "PPTX", GIF: "GIF",
    WEBP: "WebP", BMP: "BMP", HEIC: "HEIC", AVIF: "AVIF", JP2: "JPEG 2000",
}  # fmt: skip


def sniff(head: bytes, name: str, tail: bytes = b"") -> str:
    """Return the MIME type of a document from its first bytes, and its last ones where they are at hand.

    A signature at the very beginning counts before anything that stands later: what an archive, an e-mail or a page
    has in it does not make it that. Office files are ZIP archives: the names in it tell which, else the file's own.
    """
    found = next((kind for magic, kind in _MAGIC if head.startswith(magic)), None)
    if found is not None:
        return found
    if head.startswith(b"PK\x03\x04"):
        return _office(head, name, tail)
    if head[:4] == b"RIFF":
        return WEBP if head[8:12] == b"WEBP" else UNKNOWN
    if head[4:8] == b"ftyp":
        return _boxed(head)
    if head.startswith(b"BM"):
        return BMP if _is_bitmap(head) else UNKNOWN
    return PDF if not _foreign(head) and b"%PDF-" in head[: _BEFORE_PDF + 5] else UNKNOWN


def shown(head: bytes, name: str, claimed: str) -> str:
    """Return the MIME type to store a file from a vendor with: what its bytes say, never a type that runs scripts.

    What bytes cannot tell is taken from ``claimed`` if it is harmless in a browser, else it is ``UNKNOWN``.
    """
    told = sniff(head, name)
    plain = claimed.partition(";")[0].strip().lower()
    return plain if told == UNKNOWN and plain in _HARMLESS else told


def trouble(kind: str, head: bytes, tail: bytes) -> str | None:
    """Return what may keep a vendor from reading a document, which is billed all the same; None if nothing is seen."""
    if kind != PDF:
        return None
    if any(_ENCRYPTED.search(each) for each in (head, tail)):
        return "is an encrypted PDF: the vendor may not be able to open it, and may bill for it"
    if any(_NO_PAGES.search(each) for each in (head, tail)):
        return "is a PDF without pages: the vendor finds nothing in it, and may bill for it"
    return None


def label(media_type: str) -> str:
    """Return what people call a type."""
    return _LABELS.get(media_type, "unknown")


def described(kind: str, head: bytes) -> str:
    """Return what a document is, as a part of a sentence."""
    if kind != UNKNOWN:
        article = "an" if label(kind)[0] in "AX" else "a"
        return f"{article} {label(kind)} file"
    if head.startswith(b"PK\x03\x04"):
        return "a ZIP archive"
    return _foreign(head) or "of an unknown type"


def _foreign(head: bytes) -> str | None:
    """Return what a file is that is no document, but may have one in it; None for anything else."""
    found = next((said for magic, said in _OTHERS if head.startswith(magic)), None)
    if found is not None:
        return found
    if _is_tar(head):
        return "a tar archive"
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"<"):
        return "an HTML or XML page"
    return "an e-mail" if _MAIL.match(text) else None


def _is_tar(head: bytes) -> bool:
    """Whether the first block is a tar header: its checksum is right (POSIX, "ustar Interchange Format")."""
    block = head[:512]
    said = block[148:156].strip(b" \x00")
    if len(block) < 512 or not re.fullmatch(rb"[0-7]{1,7}", said):
        return False
    return int(said, 8) == sum(block[:148]) + 8 * ord(" ") + sum(block[156:])


def _office(head: bytes, name: str, tail: bytes) -> str:
    """Return the type of an Office file by the names of its parts, or by its own where none can be seen."""
    names = [*_entries(head, b"PK\x03\x04", 26, 30), *_entries(tail, b"PK\x01\x02", 28, 46)]
    found = next((kind for part, kind in _PARTS if any(each.startswith(part) for each in names)), None)
    if found is not None:
        return found if not names or _CONTENTS in names or not tail else UNKNOWN
    if any(each != _CONTENTS and not each.startswith((b"_rels/", b"docProps/", b"customXml/")) for each in names):
        return UNKNOWN
    return {"docx": DOCX, "xlsx": XLSX, "pptx": PPTX}.get(name.lower().rpartition(".")[2], UNKNOWN)


_CONTENTS = b"[Content_Types].xml"


def _entries(data: bytes, mark: bytes, length_at: int, name_at: int) -> list[bytes]:
    """Return the names in a ZIP archive's headers of one kind (APPNOTE.TXT, 4.3.7 and 4.3.12); no name is no text."""
    found, at = [], data.find(mark)
    while at >= 0:
        length = int.from_bytes(data[at + length_at : at + length_at + 2], "little")
        entry = data[at + name_at : at + name_at + length]
        if length and len(entry) == length and _is_text(entry):
            found.append(entry)
        at = data.find(mark, at + 4)
    return found


def _is_text(data: bytes) -> bool:
    try:
        return data.decode().isprintable()
    except UnicodeDecodeError:
        return False


def _boxed(head: bytes) -> str:
    """Return the type of an ISO base media file by its brands (ISO/IEC 14496-12, 4.3)."""
    size = min(int.from_bytes(head[:4], "big"), 256)
    brands = [head[8:12], *(head[at : at + 4] for at in range(16, size, 4))]
    if _AVIF & {*brands}:
        return AVIF
    return HEIC if brands[0] in _HEIC and _HEIC & {*brands} else UNKNOWN


def _is_bitmap(head: bytes) -> bool:
    """Whether what begins with "BM" has a bitmap's two headers, and is no text."""
    return len(head) >= 18 and head[6:10] == bytes(4) and int.from_bytes(head[14:18], "little") in _BITMAP_HEADS
