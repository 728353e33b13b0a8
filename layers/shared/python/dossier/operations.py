"""Operations for ``dossier vendor``, independent of the command line.

A vendor's folder may have ``operations.py`` with ``OPERATIONS``. An operation is a flow like those of the port. It
declares its arguments, and which parts of its answer are shown as tables; the CLI parses and prints.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias

from dossier.http import Flow
from dossier.settings import C

Values: TypeAlias = Mapping[str, Any]
"""Arguments by :attr:`Argument.name`: text, a whole number, None if left out, a list for ``many``."""


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument of an operation: required and positional, or a named ``option``."""

    name: str
    """In lower case with ``_``; an option is written ``--with-dashes``."""
    says: str
    option: bool = False
    many: bool = False
    """Whether it can be repeated; unless it is an option, it is given at least once."""
    number: bool = False
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """A list in an answer, as a table."""

    columns: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]
    title: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """A vendor's answer: ``raw`` for programs, ``facts`` (names with values) and ``tables`` for people."""

    raw: Any
    facts: tuple[tuple[str, object], ...] = ()
    tables: tuple[Table, ...] = ()


@dataclass(frozen=True, slots=True)
class File:
    """A file on storage: the vendor's name (untrusted), and its URL, which is used byte for byte."""

    name: str
    url: str


@dataclass(frozen=True, slots=True)
class Operation(Generic[C]):
    """An operation at a vendor.

    Its flow raises ``InvalidCaseError`` for wrong arguments, and the errors of ``dossier.replies.read``.
    """

    name: str
    says: str
    flow: Callable[[C, Values], Flow[Answer | File]]
    arguments: tuple[Argument, ...] = ()
    saves: bool = False
    """Whether its answer is a :class:`File`, which the CLI saves."""
