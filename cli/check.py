"""One check of ``dossier doctor``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Check:
    """One check. ``fix`` says what to do where its state is not ``ok``."""

    name: str
    state: Literal["ok", "failed", "skipped", "warning"]
    seen: str
    fix: str = ""
