"""Small valid documents, built with the standard library: the samples, and the PDFs that the sandbox generates.

``python -m local.sandbox.samples FOLDER`` writes ``invoice.pdf``, ``complaint.docx``, ``receipt.png``, ``scan.tiff``
and ``photo.jpg``, with the same bytes each time.
"""

import io
import struct
import sys
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

INVOICE = (
    "INVOICE",
    "",
    "Acme Corp, 12 Harbour Road, Bristol",
    "Invoice number: INV-2024-0042",
    "Date: 15 November 2024",
    "",
    "Bill to: Northwind Traders",
    "14 pallets of paper        3,500.00",
    "Delivery                     700.00",
    "",
    "Total amount: GBP 4,200.00",
    "Payable within 30 days.",
)
COMPLAINT = (
    "Complaint about an early termination fee",
    "Claimant: Jack Grainger. Respondent: Sonicwave Broadband Ltd.",
    "On 3 April 2024 I signed an 18-month contract with a discount of £12 a month.",
    "On 7 April 2025 the discount ended, although the contract had not.",
    "On 9 May 2025 I cancelled, and was charged £130.00. I ask for a refund of £142.00.",
)
RECEIPT = ("HARBOUR CAFE", "15.11.2024", "", "2 COFFEE    6.40", "1 CAKE      3.50", "", "TOTAL       9.90", "PAID")
SCAN = ("SONICWAVE", "FINAL RESPONSE", "18.05.2025", "", "FEE DUE   130.00", "CLAIM REJECTED")
MOSAIC = (
    (60, 60, 60, 60, 60, 60, 60, 60),
    (60, 200, 200, 60, 60, 200, 200, 60),
    (60, 60, 60, 60, 60, 60, 60, 60),
    (60, 60, 60, 130, 130, 60, 60, 60),
    (60, 220, 60, 60, 60, 60, 220, 60),
    (60, 60, 220, 220, 220, 220, 60, 60),
)

# Letters of 3 by 5 dots: five rows of three bits each.
GLYPHS = {
    "A": "25755", "B": "65656", "C": "34443", "D": "65556", "E": "74647", "F": "74644", "G": "34553", "H": "55755",
    "I": "72227", "J": "11152", "K": "55655", "L": "44447", "M": "57755", "N": "65555", "O": "25552", "P": "65644",
    "Q": "25573", "R": "65655", "S": "34216", "T": "72222", "U": "55557", "V": "55552", "W": "55775", "X": "55255",
    "Y": "55222", "Z": "71247", "0": "75557", "1": "26227", "2": "61247", "3": "61216", "4": "55711", "5": "74616",
    "6": "34757", "7": "71222", "8": "75757", "9": "75716", ".": "00002", "-": "00700", " ": "00000",
}  # fmt: skip


def pdf(lines: Sequence[str]) -> bytes:
    """Return a one-page PDF 1.4 with one line of Helvetica for each text (Latin-1)."""
    shown = "".join(f"({_escaped(line)}) Tj T*\n" for line in lines)
    stream = f"BT\n/F1 14 Tf\n20 TL\n72 760 Td\n{shown}ET".encode("latin-1", "replace")
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R"
        b" /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%b\nendstream" % (len(stream), stream),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    ]
    body, offsets = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n", []
    for number, content in enumerate(objects, start=1):
        offsets.append(len(body))
        body += b"%d 0 obj\n%b\nendobj\n" % (number, content)
    entries = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    size = len(objects) + 1
    table = b"xref\n0 %d\n0000000000 65535 f \n%b" % (size, entries)
    return body + table + b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (size, len(body))


def _escaped(line: str) -> str:
    return line.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")


def docx(paragraphs: Sequence[str]) -> bytes:
    """Return a Word document with these paragraphs."""
    main = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"
    words = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    head = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
    text = "".join(f"<w:p><w:r><w:t>{paragraph}</w:t></w:r></w:p>" for paragraph in paragraphs)
    parts = {
        "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/word/document.xml" ContentType="{main}"/></Types>',
        "_rels/.rels": '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
        f'<Relationship Id="rId1" Type="{office}" Target="word/document.xml"/></Relationships>',
        "word/document.xml": f'<w:document xmlns:w="{words}"><w:body>{text}</w:body></w:document>',
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(zipfile.ZipInfo(name), head + content)  # without the time of day
    return buffer.getvalue()


def drawn(lines: Sequence[str], *, dot: int = 4, margin: int = 6) -> list[list[int]]:
    """Draw text with dots of a few pixels: rows of pixels, 0 is ink and 1 is paper."""
    columns = 4 * max(len(line) for line in lines) + 2 * margin
    paper = [[1] * columns for _ in range(7 * len(lines) + 2 * margin)]
    for row, line in enumerate(lines):
        for column, letter in enumerate(line):
            for y, bits in enumerate(GLYPHS[letter]):
                for x in range(3):
                    if int(bits) & (4 >> x):
                        paper[margin + 7 * row + y][margin + 4 * column + x] = 0
    return [[pixel for pixel in line for _ in range(dot)] for line in paper for _ in range(dot)]


def _packed(row: Sequence[int]) -> bytes:
    """Pack a row of pixels, eight to the byte, the first one highest."""
    padded = [*row, *[1] * (-len(row) % 8)]
    return bytes(int("".join(map(str, padded[start : start + 8])), 2) for start in range(0, len(padded), 8))


def png(rows: Sequence[Sequence[int]]) -> bytes:
    """Return a PNG of one bit per pixel."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", len(rows[0]), len(rows), 1, 0, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\x00" + _packed(row) for row in rows), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def tiff(rows: Sequence[Sequence[int]]) -> bytes:
    """Return a bilevel TIFF at 200 dots per inch, with one uncompressed strip."""
    strip = b"".join(_packed(row) for row in rows)
    short, long, rational = 3, 4, 5
    entries = 11
    resolution = 8 + 2 + 12 * entries + 4
    tags = (
        (256, long, len(rows[0])),
        (257, long, len(rows)),
        (258, short, 1),
        (259, short, 1),
        (262, short, 1),
        (273, long, resolution + 8),
        (277, short, 1),
        (278, long, len(rows)),
        (279, long, len(strip)),
        (282, rational, resolution),
        (283, rational, resolution),
    )
    directory = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    head = b"II*\x00" + struct.pack("<IH", 8, entries)
    return head + directory + struct.pack("<I", 0) + struct.pack("<II", 200, 1) + strip


def jpeg(blocks: Sequence[Sequence[int]]) -> bytes:
    """Return a greyscale baseline JPEG whose blocks of 8 by 8 pixels are each of one shade (0 to 255).

    Only the DC coefficient of a block is coded, with a Huffman table of the twelve DC categories in four bits each.
    """

    def segment(marker: int, content: bytes) -> bytes:
        return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content

    quantization = b"\x00" + bytes([8] * 64)
    dc_table = b"\x00" + bytes([0, 0, 0, 12, *[0] * 12]) + bytes(range(12))
    ac_table = b"\x10" + bytes([1, *[0] * 15]) + b"\x00"
    frame = struct.pack(">BHHBBBB", 8, 8 * len(blocks), 8 * len(blocks[0]), 1, 1, 0x11, 0)
    bits, previous = "", 0
    for shade in (shade for row in blocks for shade in row):
        level = shade - 128  # DC is 8 times the level, divided by the quantizer 8
        difference, previous = level - previous, level
        size = abs(difference).bit_length()
        coded = difference if difference >= 0 else difference + (1 << size) - 1
        bits += f"{size:04b}" + (f"{coded:0{size}b}" if size else "") + "0"  # the last bit ends the block
    bits += "1" * (-len(bits) % 8)
    data = bytes(int(bits[start : start + 8], 2) for start in range(0, len(bits), 8)).replace(b"\xff", b"\xff\x00")
    jfif = b"JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
    return b"".join(
        (
            b"\xff\xd8",
            segment(0xE0, jfif),
            segment(0xDB, quantization),
            segment(0xC0, frame),
            segment(0xC4, dc_table),
            segment(0xC4, ac_table),
            segment(0xDA, b"\x01\x01\x00\x00\x3f\x00"),
            data,
            b"\xff\xd9",
        )
    )


def all_samples() -> dict[str, bytes]:
    """Return the sample documents by name."""
    return {
        "invoice.pdf": pdf(INVOICE),
        "complaint.docx": docx(COMPLAINT),
        "receipt.png": png(drawn(RECEIPT)),
        "scan.tiff": tiff(drawn(SCAN)),
        "photo.jpg": jpeg([[shade for shade in row for _ in range(3)] for row in MOSAIC for _ in range(3)]),
    }


def main() -> None:
    """Write the sample documents to a folder."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in all_samples().items():
        (folder / name).write_bytes(content)


if __name__ == "__main__":
    main()
