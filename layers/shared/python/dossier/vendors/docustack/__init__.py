"""DocuStack: documents in, extracted fields out.

``requests`` builds what is sent, ``answers`` and ``batch`` read what comes back, ``lookup`` finds an upload whose
answer was lost, ``results`` and ``hints`` read kept answers and deliveries; ``adapter`` is the vendor port over them.
"""

from __future__ import annotations

from dossier.vendors.docustack.adapter import DocuStack
from dossier.vendors.docustack.settings import DocuStackConnection

VENDOR = DocuStack()
CONNECTION = DocuStackConnection
