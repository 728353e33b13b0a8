"""Docsumo: cases of many documents, one workflow per case type, files to download.

Source: "Case: API Integration & Workflow Guide" (``docsumo.txt``) and the public API reference it links.
"""

from dossier.vendors.docsumo.adapter import Docsumo
from dossier.vendors.docsumo.settings import DocsumoConnection

VENDOR = Docsumo
CONNECTION = DocsumoConnection
