"""Files of vendors and callers, shown so that nothing in them can act.

The type comes from the bytes. Images that browsers show are sent as what they are, in a sandbox; a page of a PDF or a
TIFF is drawn by a separate program and sent as PNG; text is part of the page, escaped. Anything else can only be
downloaded.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from console import page_image
from console.desk import Desk, NotFoundError
from console.security import SANDBOX
from dossier import layout
from dossier.media import AVIF, BMP, DOCX, GIF, HEAD, HEIC, JP2, JPEG, PDF, PNG, PPTX, TIFF, WEBP, XLSX, sniff
from dossier.models import CaseId, Document
from dossier.stores.objects import CHUNK

IMAGES = {PNG, JPEG, GIF, WEBP, BMP, AVIF}
"""Types that every browser shows."""
DRAWN = {PDF: "pdf", TIFF: "image", JP2: "image"}
"""Types that are drawn page by page, with their names in the drawing program."""
LARGEST = 40 << 20
"""Bytes of the largest file that is shown."""
MOST_TEXT = 64 << 10
"""Bytes of a text that are shown."""
PATIENCE = 25
"""Seconds in which a page has to be drawn."""
_DRAWS = Path(__file__).with_name("page_image.py")
_NAMES = {
    DOCX: "a Word document", XLSX: "an Excel workbook", PPTX: "a PowerPoint presentation", HEIC: "a HEIC image",
}  # fmt: skip
"""Types that no browser shows."""
_PROBLEMS = {
    page_image.TOO_LARGE: "this page has too many pixels to be drawn: download the document",
    page_image.NO_SUCH_PAGE: "this document has no such page",
}
_HEADERS = {"content-security-policy": SANDBOX, "cache-control": "private, max-age=300"}


class UnreadableError(Exception):
    """A page cannot be drawn."""


@dataclass(frozen=True, slots=True)
class Look:
    """How a document is shown: an ``image`` or a ``page`` at ``source``, a ``text``, or ``none`` with a reason."""

    kind: str
    source: str = ""
    page: int = 1
    pages: int = 0
    text: str = ""
    why: str = ""


def look(desk: Desk, document: Document, page: int) -> Look:
    """Return how a document of a case is shown."""
    stat = desk.app.objects.stat(document.key, version_id=document.version_id) if document.key else None
    if stat is None:
        kept = (
            "is no longer stored (docs/data.md)" if document.key else "is read by the vendor itself: there is no copy"
        )
        return Look("none", why=f"This document {kept}.")
    if stat.size > LARGEST:
        return Look(
            "none", why=f"This document is larger than {LARGEST >> 20} MiB and is not shown. Download it to open it."
        )
    with desk.app.objects.open(document.key, stat.size, version_id=document.version_id) as file:
        head = file.read(MOST_TEXT)
    kind, source = sniff(head[:HEAD], document.name), f"preview/{document.index}"
    if kind in IMAGES:
        return Look("image", source)
    if kind in DRAWN:
        number = max(1, min(page, document.pages or page))
        return Look("page", f"{source}?page={number}", number, document.pages or 0)
    text = _text(head, whole=stat.size <= MOST_TEXT)
    if text is None:
        what = _NAMES.get(kind)
        shown = f"This is {what}, which a browser cannot show." if what else "A browser cannot show this type safely."
        return Look("none", why=f"{shown} Download it to open it.")
    return Look("text", text=text)


def _text(head: bytes, *, whole: bool) -> str | None:
    """Return a plain text; None for anything else."""
    if b"\0" in head:
        return None
    try:
        return head.decode()
    except UnicodeDecodeError as error:
        cut = not whole and error.start > len(head) - 4
        return head[: error.start].decode() if cut else None


def preview(desk: Desk, request: Request) -> Response:
    """Return a document as an image, or a page of it: nothing else is ever shown by its address."""
    names = CaseId(request.path_params["connection"], request.path_params["reference"])
    document = desk.app.cases.document(names, request.path_params["index"])
    body = None
    if document is not None and document.key and document.size <= LARGEST:
        body = desk.app.objects.read(document.key, version_id=document.version_id)
    if document is None or body is None:
        raise NotFoundError("there is no such document")
    kind = sniff(body[:HEAD], document.name)
    if kind in IMAGES:
        return Response(body, media_type=kind, headers=_HEADERS)
    if kind in DRAWN:
        text = request.query_params.get("page", "1")
        number = int(text) if text.isascii() and text.isdigit() and len(text) < 7 else 1
        try:
            return Response(drawn(body, number, DRAWN[kind]), media_type=PNG, headers=_HEADERS)
        except UnreadableError as error:
            raise NotFoundError(str(error)) from None
    raise NotFoundError("this document is not shown: download it")


def drawn(body: bytes, page: int, kind: str = "pdf") -> bytes:
    """Return a page of a document as PNG.

    Raises:
        UnreadableError: it cannot be drawn.

    """
    command = [sys.executable, "-I", str(_DRAWS), kind, str(page)]
    try:
        done = subprocess.run(command, input=body, env={}, capture_output=True, timeout=PATIENCE, check=False)  # noqa: S603 -- ours
    except subprocess.TimeoutExpired:
        raise UnreadableError("this page takes too long to draw: download the document") from None
    if done.returncode or not done.stdout:
        damaged = "this page cannot be drawn: the document is damaged, encrypted or too large"
        raise UnreadableError(_PROBLEMS.get(done.returncode, damaged))
    return done.stdout


def download(desk: Desk, request: Request) -> Response:
    """Return a file of a case, to be saved: no browser opens it as a page."""
    names = CaseId(request.path_params["connection"], request.path_params["reference"])
    name = request.query_params.get("name", "")
    key = layout.folder(names) + name
    inside = all(part not in {"", ".", ".."} for part in name.split("/"))
    stat = desk.app.objects.stat(key) if inside else None
    if stat is None:
        raise NotFoundError("there is no such file")
    size = stat.size

    def chunks() -> Iterator[bytes]:
        with desk.app.objects.open(key, size, version_id=stat.version_id) as file:
            while chunk := file.read(CHUNK):
                yield chunk

    saved = quote(name.rpartition("/")[2], safe="")
    headers = {
        "content-security-policy": SANDBOX,
        "content-disposition": f"attachment; filename*=UTF-8''{saved}",
        "content-length": str(size),
    }
    return StreamingResponse(chunks(), media_type="application/octet-stream", headers=headers)
