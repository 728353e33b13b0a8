"""What a document is, told by its first bytes and never by its name alone."""

from __future__ import annotations

PDF, PNG, JPEG, TIFF = "application/pdf", "image/png", "image/jpeg", "image/tiff"
GIF, WEBP, BMP = "image/gif", "image/webp", "image/bmp"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
UNKNOWN = "application/octet-stream"

HEAD = 1029
"""First bytes that are enough for :func:`sniff`."""
_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", PNG),
    (b"\xff\xd8\xff", JPEG),
    (b"II*\x00", TIFF),
    (b"MM\x00*", TIFF),
    (b"GIF87a", GIF),
    (b"GIF89a", GIF),
    (b"BM", BMP),
)
_HARMLESS = frozenset({"application/json", "application/zip", "text/csv", "text/plain"})
_LABELS = {
    PDF: "PDF",
    PNG: "PNG",
    JPEG: "JPEG",
    TIFF: "TIFF",
    DOCX: "DOCX",
    XLSX: "XLSX",
    GIF: "GIF",
    WEBP: "WebP",
    BMP: "BMP",
}


def sniff(head: bytes, name: str) -> str:
    """Return the MIME type of a document from its first bytes (``HEAD`` are enough).

    A PDF may have up to 1,024 bytes before ``%PDF-`` (ISO 32000-1, annex H, note 13). Office files are ZIP archives:
    the name's ending tells which.
    """
    if b"%PDF-" in head[:HEAD]:
        return PDF
    if head.startswith(b"PK\x03\x04"):
        ending = name.lower().rpartition(".")[2]
        return {"docx": DOCX, "xlsx": XLSX}.get(ending, UNKNOWN)
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return WEBP
    return next((kind for magic, kind in _MAGIC if head.startswith(magic)), UNKNOWN)


def shown(head: bytes, name: str, claimed: str) -> str:
    """Return the MIME type to store a file from a vendor with: what its bytes say, never a type that runs scripts.

    What bytes cannot tell is taken from ``claimed`` if it is harmless in a browser, else it is ``UNKNOWN``.
    """
    told = sniff(head, name)
    plain = claimed.partition(";")[0].strip().lower()
    return plain if told == UNKNOWN and plain in _HARMLESS else told


def label(media_type: str) -> str:
    """Return what people call a type."""
    return _LABELS.get(media_type, "unknown")
