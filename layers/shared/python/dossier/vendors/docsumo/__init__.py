"""Docsumo: cases of many documents, one workflow per case type, files to download.

Source: "Case: API Integration & Workflow Guide" (``docsumo.txt``) and the public API reference it links.
"""

from dossier.ports import Vendor
from dossier.vendors.docsumo.adapter import Docsumo
from dossier.vendors.docsumo.settings import DocsumoConnection

VENDOR: Vendor = Docsumo()
CONNECTION = DocsumoConnection
