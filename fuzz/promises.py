"""How a target says that a promise is broken."""

from __future__ import annotations

from dossier.errors import DossierError


def check(holds: object, promise: str) -> None:
    """Raise AssertionError, which the fuzzer reports, unless something holds."""
    if not holds:
        raise AssertionError(promise)


def check_one_line(error: DossierError) -> None:
    """Check that an error is one line for a person."""
    check("\n" not in str(error) and "\r" not in str(error), f"more than one line: {error!r}")
