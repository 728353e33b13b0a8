"""What a person may ask of a vendor by hand (``dossier vendor``), said without a command line.

A vendor's folder may have ``operations.py`` with ``OPERATIONS``. An operation is a flow like those of the port, and
says what it takes and what of its answer is worth a table; who parses and who prints is not its business.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from dossier.http import Flow
from dossier.settings import Connection

Values: TypeAlias = Mapping[str, Any]
"""What was given, by :attr:`Argument.name`: text, a whole number, None for what was left out, a list for ``many``."""


@dataclass(frozen=True, slots=True)
class Argument:
    """Something that an operation takes: required and told by its place, or an ``option`` told by its name."""

    name: str
    """In lower case with ``_``; an option is written ``--with-dashes``."""
    says: str
    option: bool = False
    many: bool = False
    """It may be given several times (one time at least, unless it is an option)."""
    number: bool = False
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """A part of an answer that is a list of things."""

    columns: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]
    title: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a vendor answered: ``raw`` as it is, for programs; names with values and tables for people."""

    raw: Any
    facts: tuple[tuple[str, object], ...] = ()
    tables: tuple[Table, ...] = ()


@dataclass(frozen=True, slots=True)
class File:
    """A file on storage: the vendor's name for it (untrusted), and its URL, which is used byte for byte."""

    name: str
    url: str


@dataclass(frozen=True, slots=True)
class Operation:
    """Something that a vendor can be asked.

    Its flow raises ``InvalidCaseError`` for what was given wrongly, besides what ``dossier.replies.read`` raises.
    """

    name: str
    says: str
    flow: Callable[[Connection, Values], Flow[Answer | File]]
    arguments: tuple[Argument, ...] = ()
    saves: bool = False
    """Its answer is a :class:`File`, to be stored where the person says."""
