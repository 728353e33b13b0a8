"""The Ombudsman partner API: evidence in, an assessed case out.

``requests`` builds requests, ``answers`` reads replies, ``markdown`` their texts, ``results`` stored answers.
``adapter`` is the vendor port.
"""

from __future__ import annotations

from dossier.vendors.ombudsman.adapter import Ombudsman
from dossier.vendors.ombudsman.settings import OmbudsmanConnection

VENDOR = Ombudsman
CONNECTION = OmbudsmanConnection
