"""A clock that tests move, in place of the time in Dossier."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta

import pytest

from dossier import models
from tests.imported import import_late_modules

STARTED = datetime(2026, 5, 4, 10, 0, tzinfo=UTC)


class Clock:
    """Replaces the time in every loaded module of Dossier."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        import_late_modules()
        self.at, real = STARTED, models.now
        for name, module in list(sys.modules.items()):
            if name.startswith("dossier") and getattr(module, "now", None) is real:
                monkeypatch.setattr(module, "now", self.now)

    def now(self) -> datetime:
        """Return the time."""
        return models.whole(self.at)

    def seconds(self) -> float:
        """Return the time as the limiter's clock does."""
        return self.at.timestamp()

    def sleep(self, seconds: float) -> None:
        """Let some time pass."""
        self.at += timedelta(seconds=seconds)
