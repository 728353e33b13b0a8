"""Files for each connection of the machine."""

from __future__ import annotations

FILES = {
    "invoices": ("invoice.pdf", "scan.tiff"),
    "claims": ("invoice.pdf", "receipt.png", "scan.tiff"),
    "disputes": ("invoice.pdf", "complaint.docx", "receipt.png"),
}
