"""Draws one page of a document: the document comes on standard input, a PNG goes to standard output.

It is a separate program: the code that reads a stranger's PDF or TIFF has no credentials, no network address of ours,
no file that it could write, and little memory and time. It is started with an empty environment (``console.previews``).
Its exit code is 0, or ``TOO_LARGE``, ``NO_SUCH_PAGE``, or another one for a page that cannot be drawn.
"""

from __future__ import annotations

import resource
import sys
from io import BytesIO
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from PIL.Image import Image

WIDTH, TALLEST = 1000, 2400
"""Most pixels of the picture."""
MOST_PIXELS = 120_000_000
"""Pixels of the largest page of an image that is drawn; A3 at 600 dots per inch has 70 million."""
MEMORY, SECONDS = 1 << 30, 15
TOO_LARGE, NO_SUCH_PAGE = 3, 4
_FORMATS = ("TIFF", "JPEG2000")
"""The formats that Pillow may detect, whatever the bytes look like."""
_PLAIN = {"1", "L", "RGB"}


def main() -> None:
    """Draw the page that the second argument numbers, from 1; the first says what the document is."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    body, number = sys.stdin.buffer.read(), max(int(sys.argv[2]), 1)
    picture = _of_pdf(body, number) if sys.argv[1] == "pdf" else _of_image(body, number)
    drawn = BytesIO()
    picture.save(drawn, "PNG", compress_level=6)
    sys.stdout.buffer.write(drawn.getvalue())


def _of_pdf(body: bytes, number: int) -> Image:
    import pypdfium2  # noqa: PLC0415 -- under the limits

    document = pypdfium2.PdfDocument(body)
    if number > len(document):
        sys.exit(NO_SUCH_PAGE)
    page = document[number - 1]
    width, height = page.get_size()
    scale = min(WIDTH / width, TALLEST / height)
    found: Image = page.render(scale=scale, rev_byteorder=True, may_draw_forms=False).to_pil()
    return found.convert("RGB")


def _of_image(body: bytes, number: int) -> Image:
    """Return a page of an image, made smaller; its size is read, and judged, before its pixels are."""
    from PIL import Image  # noqa: PLC0415 -- under the limits

    Image.MAX_IMAGE_PIXELS = MOST_PIXELS
    try:
        opened = Image.open(BytesIO(body), formats=_FORMATS)
        opened.seek(number - 1)
    except EOFError:
        sys.exit(NO_SUCH_PAGE)
    except Image.DecompressionBombError:
        sys.exit(TOO_LARGE)
    picture: Image.Image = opened
    width, height = picture.size
    if width * height > MOST_PIXELS:
        sys.exit(TOO_LARGE)
    if picture.mode == "1":
        picture = picture.convert("L")  # a black-and-white page made smaller is gray
    shrink = int(max(width / WIDTH, height / TALLEST))
    if shrink > 1 and picture.mode not in {"P", "PA"}:
        picture = picture.reduce(shrink)
    if picture.mode.startswith(("I", "F")):
        picture = _scaled(picture)
    picture = _on_white(picture)
    picture.thumbnail((WIDTH, TALLEST))
    return picture


def _scaled(picture: Image) -> Image:
    """Return an image of 16 or 32 bits a pixel in 8 bits, from its darkest to its lightest."""
    picture = picture.convert("F")
    low, high = cast("tuple[float, float]", picture.getextrema())
    scale = 255 / (high - low) if high > low else 1.0
    return picture.point(lambda each: each * scale - low * scale).convert("L")


def _on_white(picture: Image) -> Image:
    """Return an image without transparency, on paper."""
    from PIL import Image  # noqa: PLC0415 -- under the limits

    if picture.mode in _PLAIN:
        return picture
    if "A" in picture.getbands() or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        paper = Image.new("RGBA", picture.size, "white")
        paper.alpha_composite(picture)
        picture = paper
    return picture.convert("RGB")


if __name__ == "__main__":
    main()
