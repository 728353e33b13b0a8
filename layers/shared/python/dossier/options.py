"""A case's options: a vendor's declarations, and the functions that check and read them.

A vendor's folder may have ``options.py`` with a function ``options`` that declares the options of a connection's cases.
The check, ``dossier submit --option help`` and ``docs/connections.md`` are based on it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from dossier.errors import InvalidCaseError
from dossier.models import OptionValue
from dossier.suggestions import closest

LONGEST = 1024
"""Longest text of an option, in characters."""
_REDUCED = re.compile(r"\d{4}(?:-(?:0[1-9]|1[0-2]))?", re.ASCII)
_ORDINAL = re.compile(r"(\d{4})-?(\d{3})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Option:
    """An option of a case: its name, its description, and its valid values."""

    name: str
    says: str
    kind: Literal["text", "boolean", "date"] = "text"
    choices: tuple[str, ...] = ()
    """The valid texts; if empty, any text is valid."""

    @property
    def form(self) -> str:
        """A short description of the valid values."""
        if self.choices:
            return " or ".join(f'"{each}"' for each in self.choices)
        return {"text": "a text", "boolean": "true or false", "date": "an ISO 8601 date"}[self.kind]


def plain(says: str) -> str:
    """Return a description without the documentation's marks for code."""
    return says.replace("``", "")


def check(vendor: str, declared: Sequence[Option], given: Mapping[str, OptionValue]) -> None:
    """Reject undeclared options and invalid values. None counts as left out.

    Raises:
        InvalidCaseError: one line that names the option and its valid values.

    """
    known = {each.name: each for each in declared}
    for name, value in given.items():
        if name not in known:
            near = closest(name, known)
            meant = f'; did you mean "{near}"?' if near else ""
            raise InvalidCaseError(
                f'unknown option "{name}": {vendor} takes {", ".join(sorted(known)) or "none"}{meant}'
            )
        if value is not None and not _fits(known[name], value):
            raise InvalidCaseError(f'option "{name}" must be {known[name].form}')


def parse(declared: Sequence[Option], name: str, text: str) -> OptionValue:
    """Return an option's value from a command line: true and false for a boolean one, else the text itself."""
    kind = next((each.kind for each in declared if each.name == name), "text")
    return text == "true" if kind == "boolean" and text in {"true", "false"} else text


def text_of(given: Mapping[str, OptionValue], name: str) -> str | None:
    """Return an option's text, or None if it is left out; a whole number is returned as its digits."""
    value = given.get(name)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) and value.strip() else None


def is_date(text: str) -> bool:
    """Return whether a text is an ISO 8601 date: a year, month, week, day or moment."""
    if _REDUCED.fullmatch(text):
        return True
    if ordinal := _ORDINAL.fullmatch(text):
        last = date(int(ordinal[1]), 12, 31).timetuple().tm_yday if int(ordinal[1]) else 0
        return 1 <= int(ordinal[2]) <= last
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return text.isascii()


def _fits(option: Option, value: OptionValue) -> bool:
    if option.kind == "boolean":
        return isinstance(value, bool) or value in {"true", "false"}
    text = text_of({option.name: value}, option.name)
    if text is None or len(text) > LONGEST or (option.choices and text not in option.choices):
        return False
    return option.kind != "date" or is_date(text)
