"""Draws one page of a PDF: the PDF comes on standard input, the number of pages and a PNG go to standard output.

A program of its own: what reads a stranger's PDF has no credentials, no network address of ours, no file that it could
write, and little memory and time. It is started with an empty environment (``console.previews``).
"""

from __future__ import annotations

import resource
import struct
import sys
import zlib

WIDTH, TALLEST = 1000, 2400
"""Size of the picture, in pixels."""
MEMORY, SECONDS = 1 << 30, 15


def main() -> None:
    """Draw the page that the first argument numbers, from 1."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    import pypdfium2  # noqa: PLC0415 -- under the limits

    document = pypdfium2.PdfDocument(sys.stdin.buffer.read())
    number = len(document)
    page = document[min(max(int(sys.argv[1]), 1), number) - 1]
    width, height = page.get_size()
    scale = min(WIDTH / width, TALLEST / height)
    bitmap = page.render(scale=scale, rev_byteorder=True, may_draw_forms=False)
    sys.stdout.buffer.write(struct.pack(">I", number))
    sys.stdout.buffer.write(_png(bytes(bitmap.buffer), bitmap.width, bitmap.height, bitmap.stride, bitmap.n_channels))


def _png(pixels: bytes, width: int, height: int, stride: int, channels: int) -> bytes:
    """Return a bitmap of red, green and blue (and perhaps a fourth byte) as PNG (https://www.w3.org/TR/png-3)."""
    rows = []
    for number in range(height):
        row = pixels[number * stride : number * stride + width * channels]
        if channels == 4:
            row = b"".join(row[at : at + 3] for at in range(0, len(row), 4))
        rows.append(b"\0" + (row if channels >= 3 else b"".join(bytes([each]) * 3 for each in row)))
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(b"".join(rows), 6)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


if __name__ == "__main__":
    main()
