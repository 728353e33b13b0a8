"""Checks of the targets' promises."""

from __future__ import annotations

from dossier.errors import DossierError


def check(holds: object, promise: str) -> None:
    """Raise AssertionError, which the fuzzer reports, if a promise does not hold."""
    if not holds:
        raise AssertionError(promise)


def check_vendors_error(error: DossierError) -> None:
    """Check that an error with a vendor's text is one short printable line."""
    check(str(error).isprintable(), f"not printable: {error!r}")
    check(len(str(error)) < 4000, f"{len(str(error))} characters")


def check_one_line(error: DossierError) -> None:
    """Check that an error is one line."""
    check("\n" not in str(error) and "\r" not in str(error), f"more than one line: {error!r}")
