"""How a target says that a promise is broken."""

from __future__ import annotations

from dossier.errors import DossierError


def check(holds: object, promise: str) -> None:
    """Raise AssertionError, which the fuzzer reports, unless something holds."""
    if not holds:
        raise AssertionError(promise)


def check_vendors_words(error: DossierError) -> None:
    """Check that an error that a vendor may have worded is one short line that a terminal can show."""
    check(str(error).isprintable(), f"not printable: {error!r}")
    check(len(str(error)) < 4000, f"{len(str(error))} characters")


def check_one_line(error: DossierError) -> None:
    """Check that an error is one line for a person."""
    check("\n" not in str(error) and "\r" not in str(error), f"more than one line: {error!r}")
