"""Read the markdown that the vendor's AI writes: fields in lists and tables, and lists of insights.

A parser (markdown-it) reads the structure. Its map says which lines belong to which part, so a text stays as the
vendor wrote it. Parts that are not fields are reported as warnings.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
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
"""Longest text, in characters, that is parsed; a longer one is only in the raw answer."""
LONGEST_LINE = 10_000
"""Longest line, in characters, whose inline markup is removed."""
MOST_MARKS = 64
"""A line with more characters of markup stays as it is."""
MOST_WARNINGS = 20
"""Most parts of one text that are reported one by one."""
SHOWN = 200
"""Most characters of a part that its warning repeats."""
ABSENT = frozenset(
    {"not found", "n/a", "n.a", "not available", "not applicable", "not stated", "not specified", "not provided",
     "not mentioned", "not given", "-", "\u2013", "\u2014", ""}
)  # fmt: skip
"""Values, without a final full stop, by which the vendor says that a document does not give a field."""
_NOT_THERE = re.compile(
    r"(?:not (?:found|stated|specified|provided|mentioned|given|available)) in (?:the |any |this )?"
    r"(?:provided |supplied |submitted |available |uploaded )?(?:documents?|evidence|files?|text|case(?: file)?)"
)
_AROUND = "()[]<>\"'\u2018\u2019\u201c\u201d "
"""Characters that may surround such a value."""

_DOT = (
    r"\u2022\u00b7\u25aa\u25ab\u25cf\u25cb\u25e6\u2023\u2043\u25a0\u2219\u29bf\u2981\u25fe\u25fc\u2b25\u26ab\uf0a7\uf0b7"
    r"\u25ba\u25b6\u25b8\u25b9\u27a2\u27a4\u2794\u2192\u27a1\u2713\u2714\u2705\u2611\u2756\u25c6\u25c7\u2605\u2606"
    r"\U0001f539\U0001f538\U0001f537\U0001f536"
)
"""Dots, arrows, ticks, stars and diamonds; U+F0A7 and U+F0B7 are what Word's bullets become where a text is copied."""
_BLANK = r" \t\u00a0\u2002-\u200a\u202f\u3000"
_BULLET = re.compile(rf"^([ \t>]*)(?:[\u2010-\u2015\u2212]|[{_DOT}]\ufe0f?)[{_BLANK}]+(?=\S)")
_TIGHT_BULLET = re.compile(
    r"^([ \t>]*)(?:[\u2022\u25aa\u25cf\u25e6\u2023\u2219\uf0a7\uf0b7](?=\S)|[-\u2010-\u2015](?=[^\W\d_]))"
)
_WIDE_BLANK = re.compile(r"^([ \t>]*(?:[-*+]|\d{1,9}[.)]))[\u00a0\u2002-\u200a\u202f\u3000]+")
_LETTERED = re.compile(
    rf"^(?:\((?:\d{{1,3}}|[A-Za-z]|[ivxIVX]{{2,5}})\)|(?:[A-Za-z]|[ivx]{{2,5}})\)|(?:[a-z]|[ivx]{{2,5}})\.)[{_BLANK}]+(?=\S)"
)
"""``(1)``, ``a)``, ``ii.`` at the beginning of a line."""
_IN_ONE_LINE = re.compile(rf"^[ \t]*([\u2022\u25aa\u25cf\u2219\uf0b7])[{_BLANK}]*\S")
_LINE_ENDS = re.compile("\r\n|[\r\x0b\x0c\x85\u2028\u2029]")
_UNSEEN = re.compile("^[\ufeff\u200b\u2060]+", re.MULTILINE)
_WRITTEN_END = re.compile(r"(?:\\r)?\\n(?=\s*(?:[-*+#>|]|\d{1,9}[.)]|[\u2022\u2013])[ *|#])")
"""A line end that was written out, ``\\n``, before what begins a line."""
_BREAK = re.compile(r"<br[ \t]{0,9}/?>|\\?\n", re.IGNORECASE)
_TICKED = re.compile(r"^\[[ xX\u2713\u2714]\]\s+(?=\S)")
_STRONG_LABEL = re.compile(r"^(\*\*|__)(?!\s)[^*_\n]{1,200}(?:[:\uff1a]\s*\1|\1\s*[:\uff1a])")
_QUOTE = re.compile(r"^ {0,3}> ?")
_QUOTED = re.compile(r"^ {0,3}> ?(?=\s*(?:[-*+|#]|\d{1,9}[.)]\s|[\u2022\u2013]))")
_FENCE = re.compile(r"(```+|~~~+)[ \t]*(?:markdown|md|text)?", re.IGNORECASE)
_TEXTS = frozenset({"", "markdown", "md", "text", "txt", "plaintext"})
"""Names of a fenced part that only say that it is text."""
_DELIMITER = re.compile(r"[-:|\s]+")
"""The line below a table's head, if it contains a dash."""
_AFTER_TABLE = re.compile(r"\s*(?:(?:[-*+]|\d{1,9}[.)]|#{1,6})(?:\s|$)|```|~~~|$)")
"""The beginning of a line that ends a table: a bullet, a heading, a fence, nothing at all."""
_MARK = re.compile(r"(?:[-*+]|\d{1,9}[.)])(?:[ \t]+|$)")
_INLINE = re.compile(r"[*_`\\&~<\[]")
_SURE = re.compile(r"[:\u2236\ufe55](?=\s|$)|(?<!\d)[\uff1a\ufe13]|[\uff1a\ufe13](?!\d)")
_TIGHT = re.compile(r"(?<!\d):(?![:/\\])|(?<=\d):(?![\d:/\\])")
_LABELS = frozenset(
    {"", "field", "fields", "field name", "label", "name", "key", "item", "attribute", "property", "detail", "question"}
)
"""Heads of a table's first column that say that its rows are fields."""
_VALUES = frozenset({"value", "values", "extracted value", "content", "answer", "finding", "result", "information"})
"""Heads of the column with the values, in a table of more than two."""
_COUNTS = frozenset({"#", "no", "no.", "nr", "nr."})
"""Heads of a column that only counts the rows."""


@dataclass(slots=True)
class Read:
    """The fields of a text, and a warning for each part that is not one."""

    fields: list[FieldValue] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of a text: a bullet with the lines under it, a table's rows, a heading, or other text."""

    kind: str
    lines: list[str]
    rows: list[list[str]] = field(default_factory=list)
    inner: str = ""
    """Of a bullet: the text under its first line."""


def read_fields(markdown: str) -> list[FieldValue]:
    """Read the fields of a text; see :func:`read`."""
    return read(markdown).fields


def read(markdown: str) -> Read:
    """Read ``- Label: value`` lines (guide, "Case Specific Fields"), and tables of labels and values.

    A bullet is split at its first colon before a blank, else at a colon that is not a part of a time or a URL. "Not
    found" and an empty value are None. Lines below a field that are indented belong to its value; below a bullet
    without a label they are read for their own fields. A line whose label is in bold is a field without a bullet,
    too, and so are the lines of a text that has no list at all. A key is a slug of the label, with ``_2`` and so on
    where labels repeat.
    """
    found, keys, unread = Read(), Keys(), list[str]()
    if len(markdown) > LONGEST:
        found.warnings.append(
            f"a text of {len(markdown):,} characters is too long to read fields from: it is only in the vendor's answer"
        )
        return found
    pairs = [*_pairs(markdown, unread, level=0)] or _plain_pairs(markdown, unread)
    for name, value in pairs:
        found.fields.append(made(keys.key(name), name, None if is_absent(value) else value))
    found.warnings += [f"not read as a field: {_shown(each)}" for each in unread[:MOST_WARNINGS]]
    if len(unread) > MOST_WARNINGS:
        found.warnings.append(f"not read as fields: {len(unread) - MOST_WARNINGS} more parts of the text")
    return found


def is_absent(value: str) -> bool:
    """Whether a value says that the documents do not give it."""
    text = " ".join(value.split()).strip(_AROUND).rstrip(".!;,\u2026").strip(_AROUND).lower()
    return text in ABSENT or _NOT_THERE.fullmatch(text) is not None


def _plain_pairs(markdown: str, unread: list[str]) -> list[tuple[str, str]]:
    """Return labels and values of a text without any list or table, each of whose lines has both.

    One line alone may be a sentence; then nothing is taken.
    """
    parts = [each for each in _parts(markdown) if each.kind != "heading"]
    lines = [line for each in parts for line in each.lines]
    if len(lines) < 2 or any(each.kind != "text" for each in parts):
        return []
    pairs = [_split(_plain(each)) if _SURE.search(each) else None for each in lines]
    lead = [lines[0]] if pairs[0] and not pairs[0][1] else []
    found = [each for each in pairs[len(lead) :] if each is not None]
    if len(found) < len(pairs) - len(lead) or not found:
        return []
    unread[:] = lead
    return [(name, _broken(value)) for name, value in found]


def read_bullets(markdown: str) -> list[str]:
    """Return the points of a bullet list; a text before or between bullets is a point too."""
    if len(markdown) > LONGEST:
        return [markdown.strip()]
    return [point for part in _parts(markdown) if (point := "\n".join(part.lines).strip())]


def _pairs(markdown: str, unread: list[str], *, level: int) -> Iterator[tuple[str, str]]:
    """Yield labels and values in order; append parts without a label to ``unread``."""
    for part in _parts(markdown):
        if part.kind == "table":
            yield from ((name, _broken(value)) for name, value in _rows(part, unread))
        elif part.kind == "item":
            head, *rest = part.lines
            pair = _split(_plain(_TICKED.sub("", head)))
            if pair is not None:
                value = "\n".join([pair[1], *(_plain(each) for each in rest)]).strip()
                yield pair[0], _broken(value)
                continue
            nested = list(_pairs(part.inner, below := list[str](), level=level + 1)) if level < 3 and rest else []
            if nested:
                yield from nested
                unread += below
            else:
                unread.append("\n".join(part.lines))
        elif part.kind == "fence" and level < 3:
            yield from _pairs(part.inner, unread, level=level + 1)
        elif part.kind == "text":
            yield from _strong(part.lines, unread)
        elif part.kind == "heading" and (pair := _split(_plain(part.lines[0]))) is not None and pair[1]:
            unread.append(part.lines[0])


def _strong(lines: Sequence[str], unread: list[str]) -> Iterator[tuple[str, str]]:
    """Yield labels and values of lines that begin with a label in bold; the other lines are not fields."""
    others: list[str] = []
    for line in lines:
        pair = _split(_plain(line)) if _STRONG_LABEL.match(line) else None
        if pair is None:
            others.append(line)
        else:
            yield pair[0], _broken(pair[1]).removesuffix("\\").rstrip()
    if others:
        unread.append("\n".join(others))


def _rows(part: _Part, unread: list[str]) -> Iterator[tuple[str, str]]:
    head, *rows = [[_plain(cell) for cell in row] for row in part.rows]
    labelled = head[0].strip(":").lower() in _LABELS
    if len(rows) == 1 and not labelled:
        yield from ((name.rstrip(":\uff1a "), cell) for name, cell in zip(head, rows[0], strict=False) if name)
    elif len(head) == 2:
        if not labelled:
            unread.append(" | ".join(head))
        yield from ((row[0].rstrip(":\uff1a "), row[1]) for row in rows if row[0])
    elif (columns := _columns(head)) is not None:
        label, value = columns
        more = [each for place, each in enumerate(head) if place not in columns and each.lower() not in _COUNTS]
        unread += [f"the columns {', '.join(more)}"] if more else []
        yield from ((row[label].rstrip(":\uff1a "), row[value]) for row in rows if row[label])
    else:
        unread.append("\n".join(part.lines))


def _columns(head: Sequence[str]) -> tuple[int, int] | None:
    """Return where a table of several columns has labels and values; None if its heads do not say."""
    names = [each.strip(":").lower() for each in head]
    label = next((place for place, each in enumerate(names) if each and each in _LABELS), None)
    value = next((place for place, each in enumerate(names) if each in _VALUES and place != label), None)
    return None if label is None or value is None else (label, value)


def _broken(value: str) -> str:
    """Return a value with a line end where it has one, however that is written."""
    return "\n".join(each.strip() for each in _BREAK.sub("\n", value).split("\n")) if _BREAK.search(value) else value


def _split(line: str) -> tuple[str, str] | None:
    """Return a line's label and value, or None if it has no label."""
    match = _SURE.search(line) or _TIGHT.search(line)
    if match is None or not (label := line[: match.start()].strip()):
        return None
    return label, line[match.end() :].strip()


def _plain(line: str) -> str:
    """Return a line without emphasis; unchanged if it has a link, or stars that may be meant literally."""
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
    bulleted = [_bulleted(each) for each in lines]
    tokens = _parser(tables=not _padded(bulleted)).parse("\n".join(bulleted))
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
        elif token.type == "fence" and token.info.strip().lower() in _TEXTS and lines[end - 1].strip() == token.markup:
            yield _Part("fence", [each.strip() for each in token.content.splitlines()], inner=token.content)
        elif token.type in {"paragraph_open", "fence"}:
            yield _Part("text", [each.strip() for each in lines[start:end] if each.strip()])


def _item(lines: list[str]) -> Iterator[_Part]:
    """Yield a bullet, and the lines after it that are not indented as a text."""
    indent = len(lines[0]) - len(lines[0].lstrip())
    head = _bulleted(lines[0]).strip()
    mark = _MARK.match(head)
    below, after = list[str](), list[str]()
    value_follows = head.rstrip("*_ ").endswith((":", "\uff1a"))
    for line in lines[1:]:
        if value_follows and not after and line.strip() and _split(_plain(line)) is None:
            below.append(line)  # it continues without being indented, and would have no value otherwise
            continue
        value_follows = False
        if after or (line.strip() and len(line) - len(line.lstrip()) <= indent):
            after.append(line)
        else:
            below.append(line)
    first = head[mark.end() :] if mark else head
    yield _Part("item", [first, *(each.strip() for each in below if each.strip())], inner=dedent("\n".join(below)))
    if any(each.strip() for each in after):
        yield _Part("text", [each.strip() for each in after if each.strip()])


def _lines(markdown: str) -> list[str]:
    """Return a text's lines as the parser counts them, without a quote around it."""
    text = _UNSEEN.sub("", _LINE_ENDS.sub("\n", markdown)).replace("\x00", "\ufffd").expandtabs(4)
    if "\n" not in text.strip():
        text = _WRITTEN_END.sub("\n", text)
    lines = dedent(_unfenced(text)).split("\n")
    quote = _QUOTE if all(_QUOTE.match(each) for each in lines if each.strip()) else _QUOTED
    if any(quote.match(each) for each in lines):
        lines = dedent("\n".join(quote.sub("", each) for each in lines)).split("\n")
    return [each for line in lines for each in _apart(line)]


def _bulleted(line: str) -> str:
    """Return a line with a bullet of any kind as markdown's own."""
    line = _BULLET.sub(r"\1- ", _LETTERED.sub("- ", line))
    return _TIGHT_BULLET.sub(r"\1- ", _WIDE_BLANK.sub(r"\1 ", line))


def _apart(line: str) -> list[str]:
    """Return a line that has several bullets as one line for each; any other line by itself."""
    found = _IN_ONE_LINE.match(line)
    if found is None or len(line) > LONGEST_LINE:
        return [line]
    bullet = found[1]
    return (
        [f"{bullet} {each.strip()}" for each in line.split(bullet) if each.strip()]
        if line.count(bullet) > 1
        else [line]
    )


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
    from markdown_it import MarkdownIt  # noqa: PLC0415 -- only publishing reads markdown; other cold starts must not load it

    made = MarkdownIt("commonmark", {"maxNesting": 20, "html": False})
    if tables:
        made.enable("table")
    return made.disable(["code", "html_block", "reference", "blockquote", "html_inline", "inline", "lheading"])
