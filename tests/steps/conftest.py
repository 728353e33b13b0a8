"""Fixtures of the steps' tests."""

from tests.room import clock
from tests.steps.drops import inbox

__all__ = ["clock", "inbox"]
