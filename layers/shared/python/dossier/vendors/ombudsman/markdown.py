"""Reading the markdown that the vendor's AI writes: fields in lists and tables, and lists of insights.

A parser (markdown-it) reads the structure; which lines belong to which part is taken from its map, so that a text stays
as the vendor wrote it. What is no field is left out of the fields, and reported.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from textwrap import dedent
from typing import TYPE_CHECKING

from dossier.result import FieldValue
from dossier.values import Keys
from dossier.values import field as made

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

LONGEST = 1 << 20
"""Longest text, in characters, whose structure is read; a longer one is kept in the raw answer alone."""
LONGEST_LINE = 10_000
"""Longest line, in characters, in which emphasis and the like are looked for."""
MOST_MARKS = 64
"""Most characters of a line that may be emphasis and the like: one with more stays as it is."""
MOST_WARNINGS = 20
"""Most parts of one text that are reported one by one."""
SHOWN = 200
"""Most characters of a part that are repeated in its warning."""
ABSENT = frozenset(
    {"not found", "n/a", "n.a", "not available", "not applicable", "not stated", "not specified", "not provided",
     "not mentioned", "not given", "-", "\u2013", "\u2014", ""}
)  # fmt: skip
"""Values, without a final full stop, by which the vendor says that a document does not give a field."""

_DOTS = r"[\u2022\u00b7\u25aa\u25ab\u25cf\u25cb\u25e6\u2023\u2043\u25a0]\ufe0f?"
_BULLET = re.compile(rf"^([ \t>]*)(?:[\u2010-\u2015\u2212]|{_DOTS})(?=[ \t])")
_TIGHT_BULLET = re.compile(r"^([ \t>]*)[\u2022\u25aa\u25cf\u25e6\u2023](?=[^ \t])")
_QUOTE = re.compile(r"^ {0,3}> ?")
_FENCE = re.compile(r"(```+|~~~+)[ \t]*(?:markdown|md|text)?", re.IGNORECASE)
_DELIMITER = re.compile(r"[-:|\s]+")
"""What stands below a table's head, if it has a dash."""
_AFTER_TABLE = re.compile(r"\s*(?:(?:[-*+]|\d{1,9}[.)]|#{1,6})(?:\s|$)|```|~~~|$)")
"""What begins a line that no table goes on with: a bullet, a heading, a fence, nothing at all."""
_MARK = re.compile(r"(?:[-*+]|\d{1,9}[.)])(?:[ \t]+|$)")
_INLINE = re.compile(r"[*_`\\&~<\[]")
_SURE = re.compile(r":(?=\s|$)|(?<!\d)\uff1a|\uff1a(?!\d)")
_TIGHT = re.compile(r"(?<!\d):(?![:/\\])|(?<=\d):(?![\d:/\\])")
_LABELS = frozenset(
    {"", "field", "fields", "field name", "label", "name", "key", "item", "attribute", "property", "detail", "question"}
)
"""Heads of a table's first column that say that its rows are fields."""


@dataclass(slots=True)
class Read:
    """What a text says: its fields, and a line for each part that is none."""

    fields: list[FieldValue] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of a text: a bullet with the lines below it, a table's rows, a heading, or other text."""

    kind: str
    lines: list[str]
    rows: list[list[str]] = field(default_factory=list)
    inner: str = ""
    """Of a bullet: what is below its first line, as a text of its own."""


def read_fields(markdown: str) -> list[FieldValue]:
    """Read the fields of a text; see :func:`read`."""
    return read(markdown).fields


def read(markdown: str) -> Read:
    """Read ``- Label: value`` lines (guide, "Case Specific Fields"), and rows of a table with labels and values.

    A bullet is split at its first colon before a blank, else at a colon that is no part of a time or a URL. "Not
    found" and an empty value are None. Lines below a field that are indented belong to its value; below a bullet
    without a label they are read for fields of their own. A key is a slug of the label, with ``_2`` and so on where
    labels repeat.
    """
    found, keys, unread = Read(), Keys(), list[str]()
    if len(markdown) > LONGEST:
        found.warnings.append(f"a text of {len(markdown):,} characters is too long to be read for fields: it is kept")
        return found
    for name, value in _pairs(markdown, unread, level=0):
        absent = value.strip("()[]\"' ").rstrip(".").rstrip().lower() in ABSENT
        found.fields.append(made(keys.key(name), name, None if absent else value))
    found.warnings += [f"not read as a field: {_shown(each)}" for each in unread[:MOST_WARNINGS]]
    if len(unread) > MOST_WARNINGS:
        found.warnings.append(f"not read as fields: {len(unread) - MOST_WARNINGS} more parts of the text")
    return found


def read_bullets(markdown: str) -> list[str]:
    """Return the points of a bullet list; a text between or before bullets is a point of its own."""
    if len(markdown) > LONGEST:
        return [markdown.strip()]
    return [point for part in _parts(markdown) if (point := "\n".join(part.lines).strip())]


def _pairs(markdown: str, unread: list[str], *, level: int) -> Iterator[tuple[str, str]]:
    """Yield labels and values in their order; what has none goes to ``unread``."""
    for part in _parts(markdown):
        if part.kind == "table":
            yield from _rows(part, unread)
        elif part.kind == "item":
            head, *rest = part.lines
            pair = _split(_plain(head))
            if pair is not None:
                value = "\n".join([pair[1], *(_plain(each) for each in rest)]).strip()
                yield pair[0], value
                continue
            nested = list(_pairs(part.inner, below := list[str](), level=level + 1)) if level < 3 and rest else []
            if nested:
                yield from nested
                unread += below
            else:
                unread.append("\n".join(part.lines))
        elif part.kind == "text":
            unread.append("\n".join(part.lines))


def _rows(part: _Part, unread: list[str]) -> Iterator[tuple[str, str]]:
    head, *rows = [[_plain(cell) for cell in row] for row in part.rows]
    labelled = head[0].strip(":").lower() in _LABELS
    if len(rows) == 1 and not labelled:
        yield from ((name.rstrip(":\uff1a "), cell) for name, cell in zip(head, rows[0], strict=False) if name)
    elif len(head) == 2:
        if not labelled:
            unread.append(" | ".join(head))
        yield from ((row[0].rstrip(":\uff1a "), row[1]) for row in rows if row[0])
    else:
        unread.append("\n".join(part.lines))


def _split(line: str) -> tuple[str, str] | None:
    """Return label and value of a line, or None if it has no label."""
    match = _SURE.search(line) or _TIGHT.search(line)
    if match is None or not (label := line[: match.start()].strip()):
        return None
    return label, line[match.end() :].strip()


def _plain(line: str) -> str:
    """Return a line without its emphasis; with a link, or where stars may be meant, as it is."""
    if len(line) > LONGEST_LINE or not 0 < len(_INLINE.findall(line)) <= MOST_MARKS:
        return line
    tokens: list[Token] = []
    _parser().inline.parse(line, _parser(), {}, tokens)
    text, closed = "", False
    for each in tokens:
        if each.type in {"em_open", "strong_open", "s_open"}:
            if each.markup[0] == "*" and text[-1:].isalnum():
                return line
            continue
        if each.type in {"em_close", "strong_close", "s_close"}:
            closed = each.markup[0] == "*"
            continue
        if each.type not in {"text", "text_special", "code_inline"}:
            return line
        if closed and each.content[:1].isalnum():
            return line
        closed = closed and not each.content
        text += each.content
    return text


def _parts(markdown: str) -> Iterator[_Part]:
    """Yield the parts of a text, top level first."""
    lines = _lines(markdown)
    tokens = _parser(tables=not _padded(lines)).parse("\n".join(lines))
    depth = 0
    rows: list[list[str]] = []
    for token in tokens:
        start, end = token.map or (0, 0)
        if token.type in {"bullet_list_open", "ordered_list_open"}:
            depth += 1
        elif token.type in {"bullet_list_close", "ordered_list_close"}:
            depth -= 1
        elif depth == 1 and token.type == "list_item_open" and token.level == 1:
            yield from _item(lines[start:end])
        elif depth:
            continue
        elif token.type == "table_open":
            rows = []
        elif token.type == "tr_open":
            rows.append([])
        elif token.type == "inline" and rows:
            rows[-1].append(token.content.strip())
        elif token.type == "table_close":
            yield _Part("table", [" | ".join(row) for row in rows], rows)
            rows = []
        elif token.type == "heading_open":
            yield _Part("heading", [each.strip().strip("#").strip() for each in lines[start : start + 1]])
        elif token.type in {"paragraph_open", "fence"}:
            yield _Part("text", [each.strip() for each in lines[start:end] if each.strip()])


def _item(lines: list[str]) -> Iterator[_Part]:
    """Yield a bullet, and as a text of its own what follows it without being indented."""
    indent = len(lines[0]) - len(lines[0].lstrip())
    head = lines[0].strip()
    mark = _MARK.match(head)
    below, after = list[str](), list[str]()
    for line in lines[1:]:
        if after or (line.strip() and len(line) - len(line.lstrip()) <= indent):
            after.append(line)
        else:
            below.append(line)
    first = head[mark.end() :] if mark else head
    yield _Part("item", [first, *(each.strip() for each in below if each.strip())], inner=dedent("\n".join(below)))
    if any(each.strip() for each in after):
        yield _Part("text", [each.strip() for each in after if each.strip()])


def _lines(markdown: str) -> list[str]:
    """Return a text's lines as the parser counts them, other bullets as markdown's own, without a quote around it."""
    text = markdown.replace("\r\n", "\n").replace("\r", "\n").replace("\x00", "\ufffd").expandtabs(4)
    lines = dedent(_unfenced(text)).split("\n")
    if all(_QUOTE.match(each) for each in lines if each.strip()):
        lines = dedent("\n".join(_QUOTE.sub("", each) for each in lines)).split("\n")
    return [_TIGHT_BULLET.sub(r"\1- ", _BULLET.sub(r"\1-", each)) for each in lines]


def _unfenced(text: str) -> str:
    """Return what is inside a fence that stands around all of a text."""
    first, *inside = text.strip().split("\n")
    fence = _FENCE.fullmatch(first.rstrip(" \t"))
    if fence is None or len(inside) < 2 or inside[-1].strip(" \t") != fence[1]:
        return text
    return "\n".join(inside[:-1])


def _padded(lines: list[str]) -> bool:
    """Whether the rows of a text's tables lack more cells than there are.

    The parser makes each cell that a row lacks: a head of 256 columns and 256 rows of two characters, 1.8 kB, are
    65,000 cells. Such tables are read as plain text.
    """
    columns, there, lacking, before = 0, 0, 0, ""
    for line in lines:
        cells = line.count("|") + 1
        if _AFTER_TABLE.match(line):
            columns = 0
        elif cells > 1 or columns:
            there += cells
            lacking += max(0, columns - cells)
        if "|" in before and "-" in line and _DELIMITER.fullmatch(line):
            columns = max(columns, cells)
        before = line
    return lacking > there


def _shown(text: str) -> str:
    line = " ".join("".join(each if each.isprintable() else " " for each in text[: 2 * SHOWN]).split())
    return f'"{line[: SHOWN - 1]}…"' if len(line) > SHOWN or len(text) > 2 * SHOWN else f'"{line}"'


@cache
def _parser(*, tables: bool = True) -> MarkdownIt:
    from markdown_it import MarkdownIt  # noqa: PLC0415 -- only publishing reads markdown: no cold start waits for it

    made = MarkdownIt("commonmark", {"maxNesting": 20, "html": False})
    if tables:
        made.enable("table")
    return made.disable(["code", "html_block", "reference", "blockquote", "html_inline", "inline"])
