"""Write the small files whose types are known by content: ``python events/documents/make.py``; the same bytes always.

None of them is anybody's document: each is as small as its format allows, and made here.
"""

from __future__ import annotations

import io
import struct
import tarfile
import zipfile
from pathlib import Path

HERE = Path(__file__).parent
PDF = b"%PDF-1.4\n%%EOF\n"


def pdf(*, pages: bool, trailer: bytes = b"") -> bytes:
    """Return a PDF with one blank page, or with none."""
    kids, count = (b"[3 0 R]", b"1") if pages else (b"[]", b"0")
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids " + kids + b" /Count " + count + b" >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 100 100] >>",
        b"<< /Filter /Standard /V 1 /R 2 /O (" + b"o" * 32 + b") /U (" + b"u" * 32 + b") /P -4 >>",
    ]
    body = b"%PDF-1.4\n"
    offsets = []
    for number, each in enumerate(objects, 1):
        offsets.append(len(body))
        body += b"%d 0 obj\n%b\nendobj\n" % (number, each)
    entries = b"".join(b"%010d 00000 n \n" % each for each in offsets)
    table = b"xref\n0 5\n0000000000 65535 f \n" + entries
    end = b"trailer\n<< /Size 5 /Root 1 0 R" + trailer + b" >>\nstartxref\n%d\n%%%%EOF\n" % len(body)
    return body + table + end


def zipped(**parts: bytes) -> bytes:
    """Return a ZIP archive without times of day."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for name, content in parts.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return packed.getvalue()


def tarred() -> bytes:
    """Return a tar archive with a PDF in it."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        info = tarfile.TarInfo("a.pdf")
        info.size = len(PDF)
        archive.addfile(info, io.BytesIO(PDF))
    return packed.getvalue()[:2048]


def boxed(*brands: bytes) -> bytes:
    """Return the first box of an ISO base media file."""
    return struct.pack(">I4s4s4s", 16 + 4 * len(brands[1:]), b"ftyp", brands[0], bytes(4)) + b"".join(brands[1:])


FILES = {
    "encrypted.pdf": pdf(pages=True, trailer=b" /Encrypt 4 0 R /ID [(a) (a)]"),
    "no-pages.pdf": pdf(pages=False),
    "empty.pdf": PDF,
    "types/photo.heic": boxed(b"heic", b"mif1", b"heic"),
    "types/photo.avif": boxed(b"avif", b"avif", b"mif1", b"miaf"),
    "types/photo.jp2": b"\x00\x00\x00\x0cjP  \r\n\x87\n\x00\x00\x00\x14ftypjp2 \x00\x00\x00\x00jp2 ",
    "types/big.tiff": b"II+\x00\x08\x00\x00\x00" + struct.pack("<Q", 16) + bytes(8),
    "types/letter": zipped(
        **{"[Content_Types].xml": b"<Types/>", "_rels/.rels": b"<Relationships/>", "word/document.xml": b"<document/>"}
    ),
    "types/pdf-inside.zip": zipped(**{"a.pdf": PDF}),
    "types/pdf-inside.tar": tarred(),
    "types/pdf-inside.eml": b"From: a@example.com\r\nSubject: the file\r\n\r\n" + PDF,
    "types/pdf-inside.html": b"<!doctype html>\n<title>A page about %PDF-1.7</title>\n",
    "types/pdf-inside.log": b"2026-01-31 read a file that begins with\n%PDF-1.7\nand closed it\n",
    "types/pdf-inside.mime": b"--part\r\nContent-Type: application/pdf\r\n\r\n" + PDF + b"\r\n--part--\r\n",
    "types/pdf-inside.cpio": b"070701" + b"0" * 104 + b"a.pdf\x00" + PDF + b"070701" + b"0" * 104 + b"TRAILER!!!\x00",
    "types/pdf-inside.p7m": b"0\x80\x06\x09*\x86H\x86\xf7\x0d\x01\x07\x02\xa0\x80" + PDF,
    "types/pdf-after-bytes": b"\x00\x05a.pdf" + bytes(121) + pdf(pages=True),
    "types/raw.cr2": b"II*\x00\x10\x00\x00\x00CR\x02\x00" + bytes(8),
    "types/begins-with-BM.txt": b"BM is how this text begins.\n",
}

if __name__ == "__main__":
    for name, content in FILES.items():
        (HERE / name).parent.mkdir(exist_ok=True)
        (HERE / name).write_bytes(content)
