"""DocuStack: documents in, extracted fields out.

``requests`` builds requests, ``answers`` and ``batch`` read replies, ``lookup`` looks up an upload whose answer was
lost, ``results`` reads stored answers, ``hints`` reads deliveries. ``adapter`` is the vendor port.
"""

from __future__ import annotations

from dossier.vendors.docustack.adapter import DocuStack
from dossier.vendors.docustack.settings import DocuStackConnection

VENDOR = DocuStack
CONNECTION = DocuStackConnection
