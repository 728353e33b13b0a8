"""Detect a document's type from its bytes. Its name only decides for a ZIP archive whose contents are not visible."""

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
"""First bytes that :func:`sniff` needs."""
TAIL = 16_384
"""Last bytes that :func:`sniff` and :func:`trouble` need: a ZIP archive's table of contents, a PDF's end."""
_BEFORE_PDF = 1024
"""Most bytes before ``%PDF-`` (ISO 32000-1, annex H, note 13)."""
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
"""Signatures of documents at offset 0; a TIFF with a plus sign is BigTIFF."""
_OTHERS = (
    (b"PK\x05\x06", "an empty ZIP archive"),
    (b"PK\x07\x08", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip file"),
    (b"\x1f\x9d", "a compressed file"),
    (b"\x1f\xa0", "a compressed file"),
    (b"BZh", "a bzip2 file"),
    (b"\xfd7zXZ\x00", "an xz file"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard file"),
    (b"\x04\x22\x4d\x18", "an LZ4 file"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"MSCF", "a CAB archive"),
    (b"!<arch>\n", "an ar archive"),
    (b"07070", "a cpio archive"),
    (b"xar!", "a xar archive"),
    (b"\x78\x9f\x3e\x22", "an Outlook attachment (winmail.dat)"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old or encrypted Office file"),
    (b"{\\rtf", "an RTF file"),
    (b"%!PS", "a PostScript file"),
    (b"\xc5\xd0\xd3\xc6", "a PostScript file"),
    (b"%FDF-", "a PDF form's data"),
    (b"SQLite format 3\x00", "a database"),
    (b"HTTP/", "a web server's answer"),
    (b"II*\x00\x10\x00\x00\x00CR", "a camera's raw image"),
    (b"8BPS", "a Photoshop image"),
    (b"gimp xcf", "a GIMP image"),
    (b"AT&TFORM", "a DjVu file"),
    (b"\xff\x0a", "a JPEG XL image"),
    (b"\x00\x00\x00\x0cJXL ", "a JPEG XL image"),
    (b"\x00\x00\x01\x00", "an icon"),
    (b"\xd7\xcd\xc6\x9a", "a metafile"),
    (b"OggS", "a sound or a video"),
    (b"ID3", "a sound or a video"),
    (b"fLaC", "a sound or a video"),
    (b"\x1aE\xdf\xa3", "a sound or a video"),
    (b"FWS", "a Flash file"),
    (b"CWS", "a Flash file"),
    (b"MZ", "a program"),
    (b"\x7fELF", "a program"),
    (b"\xca\xfe\xba\xbe", "a program"),
)
"""Signatures of formats that no vendor is known to read."""
_SIGNED = re.compile(rb"0[\x80-\x84].{0,4}\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07", re.DOTALL)
"""A signed or encrypted message (RFC 5652, section 3): its ContentInfo begins with an object identifier of PKCS #7."""
_HEIC = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})
_AVIF = frozenset({b"avif", b"avis"})
_BITMAP_HEADS = frozenset({12, 16, 40, 52, 56, 64, 108, 124})
"""Sizes of a bitmap's second header (BITMAPCOREHEADER to BITMAPV5HEADER)."""
_PARTS = ((b"word/", DOCX), (b"xl/", XLSX), (b"ppt/", PPTX))
_MAIL = re.compile(
    rb"(?:From [^\r\n]{1,200}|--[^\r\n]{1,70}|(?:From|To|Cc|Bcc|Subject|Date|Sender|Reply-To|Return-Path|Received|"
    rb"Delivered-To|Envelope-To|Message-ID|MIME-Version|Content-[a-z-]{1,40}|DKIM-Signature|ARC-[a-z-]{1,40}|"
    rb"Authentication-Results|List-[a-z-]{1,40}|X-[!-9;-~]{1,60})[ \t]*:[^\r\n]*)\r?\n"
    rb"(?:[!-9;-~]{1,60}[ \t]*:|[ \t]|\r?\n)",
    re.IGNORECASE,
)
"""A usual field's name and colon, then another one, a folded line or a blank one (RFC 5322, section 2.2); mbox's
"From "; what separates the parts of a message (RFC 2046, section 5.1)."""
_PDF = re.compile(rb"%PDF-\d\.\d[ \t]*(?:[\r\n%\x00]|\Z)")
"""A PDF's first line, with something before it."""
_BLANK = b"\x00\t\n\f\r \xef\xbb\xbf"
_PRINTER = (b"\x1b%-12345X", b"@PJL")
"""How a print job begins (PJL), which may have a PDF in it."""
_PDF_END = re.compile(rb"%%EOF[\x00\s\x1a]*(?:\x1b%-12345X[^%]{0,200})?\Z")
_PAGES, _PACKED = re.compile(rb"/Type\s*/Pages?\b"), b"/ObjStm"
_ENCRYPTED = re.compile(rb"/Encrypt\s*(?:\d+\s+\d+\s+R|<<)")
_NO_PAGES = re.compile(rb"/Type\s*/Pages\b[^>]{0,200}/Count\s+0\b|/Count\s+0\b[^>]{0,200}/Type\s*/Pages\b")
_HARMLESS = frozenset({"application/json", "application/zip", "text/csv", "text/plain"})
_LABELS = {
    PDF: "PDF", PNG: "PNG", JPEG: "JPEG", TIFF: "TIFF", DOCX: "DOCX", XLSX: "XLSX", PPTX: "PPTX", GIF: "GIF",
    WEBP: "WebP", BMP: "BMP", HEIC: "HEIC", AVIF: "AVIF", JP2: "JPEG 2000",
}  # fmt: skip


def sniff(head: bytes, name: str, tail: bytes = b"") -> str:
    """Return the MIME type of a document from its first bytes, and from its last ones if available.

    A signature at the beginning has priority: the contents of an archive, an e-mail or a page do not count. Office
    files are ZIP archives, which the names in the archive identify, else the file's name.
    """
    found = next((kind for magic, kind in _MAGIC if head.startswith(magic)), None)
    if found is not None:
        return UNKNOWN if found == TIFF and _foreign(head) else found
    if head.startswith(b"PK\x03\x04"):
        return _office(head, name, tail)
    if head[:4] == b"RIFF":
        return WEBP if head[8:12] == b"WEBP" else UNKNOWN
    if head[4:8] == b"ftyp":
        return _boxed(head)
    if head.startswith(b"BM"):  # a bitmap has two headers; text may begin with "BM" too
        bitmap = head[6:10] == bytes(4) and int.from_bytes(head[14:18], "little") in _BITMAP_HEADS
        return BMP if len(head) >= 18 and bitmap else UNKNOWN
    return PDF if not _foreign(head) and _is_late_pdf(head, tail) else UNKNOWN


def shown(head: bytes, name: str, claimed: str) -> str:
    """Return the MIME type under which a vendor's file is stored; never a type that runs scripts.

    If the bytes do not show a type, ``claimed`` is used if it is harmless in a browser, else ``UNKNOWN``.
    """
    found = sniff(head, name)
    plain = claimed.partition(";")[0].strip().lower()
    return plain if found == UNKNOWN and plain in _HARMLESS else found


def trouble(kind: str, head: bytes, tail: bytes) -> str | None:
    """Return why a vendor may be unable to read (but still bill) a document, or None."""
    if kind != PDF:
        return None
    if any(_ENCRYPTED.search(each) for each in (head, tail)):
        return "is an encrypted PDF: the vendor may not be able to open it, and may bill for it"
    whole = tail if len(tail) < TAIL else b""
    nothing = _PDF_END.search(whole) is not None and not _PAGES.search(whole) and _PACKED not in whole
    if nothing or any(_NO_PAGES.search(each) for each in (head, tail)):
        return "is a PDF without pages: the vendor finds nothing in it, and may bill for it"
    return None


def label(media_type: str) -> str:
    """Return a type's name for people."""
    return _LABELS.get(media_type, "unknown")


def described(kind: str, head: bytes) -> str:
    """Return a document's type as part of a sentence."""
    if kind != UNKNOWN:
        article = "an" if label(kind)[0] in "AX" else "a"
        return f"{article} {label(kind)} file"
    if head.startswith(b"PK\x03\x04"):
        return "a ZIP archive"
    return _foreign(head) or "of an unknown type"


def _foreign(head: bytes) -> str | None:
    """Return the kind of a file that is not a document but may contain one; None for anything else."""
    found = next((name for magic, name in _OTHERS if head.startswith(magic)), None)
    if found is not None:
        return found
    if _is_tar(head):
        return "a tar archive"
    if _SIGNED.match(head):
        return "a signed or encrypted message"
    if head[128:132] == b"DICM":
        return "a medical image (DICOM)"
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"<"):
        return "an HTML or XML page"
    return "an e-mail" if _MAIL.match(text) else None


def _is_late_pdf(head: bytes, tail: bytes) -> bool:
    """Whether a file is a PDF that begins a little later: after blanks, a print job's head, or some bytes.

    Text that only contains a PDF, or the name of one, is not a PDF. After other bytes, the file must end as a PDF does.
    """
    found = _PDF.search(head, 0, _BEFORE_PDF + 16)
    if found is None or found.start() > _BEFORE_PDF:
        return False
    before = head[: found.start()].lstrip(_BLANK)
    if not before or before.startswith(_PRINTER):
        return True
    is_text = b"\n" in before and not re.search(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]", before)
    return not is_text and (not tail or _PDF_END.search(tail) is not None)


def _is_tar(head: bytes) -> bool:
    """Whether the first block is a tar header with a correct checksum (POSIX, "ustar Interchange Format")."""
    block = head[:512]
    checksum = block[148:156].strip(b" \x00")
    if len(block) < 512 or not re.fullmatch(rb"[0-7]{1,7}", checksum):
        return False
    return int(checksum, 8) == sum(block[:148]) + 8 * ord(" ") + sum(block[156:])


def _office(head: bytes, name: str, tail: bytes) -> str:
    """Return the type of an Office file from the names of its parts, or from its own name if none is visible."""
    names = [*_entries(head, b"PK\x03\x04", 26, 30), *_entries(tail, b"PK\x01\x02", 28, 46)]
    found = next((kind for part, kind in _PARTS if any(each.startswith(part) for each in names)), None)
    if found is not None:
        return found if not names or _CONTENTS in names or not tail else UNKNOWN
    if any(each != _CONTENTS and not each.startswith((b"_rels/", b"docProps/", b"customXml/")) for each in names):
        return UNKNOWN
    return {"docx": DOCX, "xlsx": XLSX, "pptx": PPTX}.get(name.lower().rpartition(".")[2], UNKNOWN)


_CONTENTS = b"[Content_Types].xml"


def _entries(data: bytes, mark: bytes, length_at: int, name_at: int) -> list[bytes]:
    """Return the names in a ZIP archive's headers of one kind (APPNOTE.TXT, 4.3.7 and 4.3.12)."""
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
    """Return the type of an ISO base media file from its brands (ISO/IEC 14496-12, 4.3)."""
    size = min(int.from_bytes(head[:4], "big"), 256)
    brands = [head[8:12], *(head[at : at + 4] for at in range(16, size, 4))]
    if _AVIF & {*brands}:
        return AVIF
    return HEIC if brands[0] in _HEIC and _HEIC & {*brands} else UNKNOWN
