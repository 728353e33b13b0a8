"""Fixtures of the unit tests."""

from tests.unit.samples import function, table

__all__ = ["function", "table"]
