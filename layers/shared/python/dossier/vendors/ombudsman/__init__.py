"""The Ombudsman partner API: evidence in, an assessed case out.

``requests`` builds what is sent, ``answers`` reads what comes back, ``markdown`` the texts in it, ``results`` the kept
answers; ``adapter`` is the vendor port over them.
"""

from __future__ import annotations

from dossier.vendors.ombudsman.adapter import Ombudsman
from dossier.vendors.ombudsman.settings import OmbudsmanConnection

VENDOR = Ombudsman()
CONNECTION = OmbudsmanConnection
