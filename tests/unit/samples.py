"""The sample deliveries under ``events``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]

SECRET = "whs-current-5a1c"  # what the sample events are signed with


def sample(name: str) -> dict[str, Any]:
    """Return an event of API Gateway by its file's name."""
    event: dict[str, Any] = json.loads((ROOT / "events" / "deliveries" / f"{name}.json").read_text(encoding="utf-8"))
    return event
