"""Tables as lines of text: names, ids and times are never broken, and no line ends with blanks."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from rich.cells import cell_len, set_cell_size
from rich.text import Text

GAP = 2
INDENT = 2
NARROWEST = 24
"""The narrowest column, in cells, that wraps its text; in less space, the text moves below its row."""
SHORTEST = 8
"""The least cells that remain of a text that is cut."""

STYLES = {
    "completed": "green",
    "completed_with_failures": "yellow",
    "failed": "red",
    "needs_attention": "bold yellow",
}


def lines(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    width: int | None,
    long: Collection[str] = (),
    one_line: bool = False,
) -> Iterator[Text]:
    """Yield the lines of a table.

    Args:
        columns: the headers.
        rows: the cells.
        width: the terminal's width in cells; None (no terminal) cuts and wraps nothing.
        long: columns of sentences, which may be wrapped or cut; cells of other columns never are.
        one_line: leave columns out from the right so that each row is one line, instead of moving them below the row.

    """
    widths = [max(cell_len(row[index]) for row in (columns, *rows)) for index in range(len(columns))]
    on_line = len(columns)
    if width is not None and _total(widths) > width:
        last = width - _total([*widths[:-1], 0])
        if not one_line and columns[-1] in long and last >= NARROWEST:
            widths[-1] = last
        else:
            on_line = max(1, sum(_total(widths[: count + 1]) <= width for count in range(len(widths))))
            if one_line and on_line < len(columns) and columns[on_line] in long:
                widths[on_line] = max(SHORTEST, width - _total([*widths[:on_line], 0]))
                on_line += 1
    yield _line(columns[:on_line], widths[:on_line], bold=True)
    for row in rows:
        yield from _wrapped(row[:on_line], widths[:on_line], one_line=one_line)
        for name, cell in [] if one_line else list(zip(columns, row, strict=True))[on_line:]:
            if cell:
                yield from _below(f"{name.lower()}: {cell}", (width or 0) - INDENT)


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + GAP * (len(widths) - 1)


def _line(cells: Sequence[str], widths: Sequence[int], *, bold: bool = False) -> Text:
    line = Text()
    for cell, width in zip(cells, widths, strict=True):
        shown = cell if cell_len(cell) <= width else f"{set_cell_size(cell, width - 1).rstrip()}…"
        line.append(shown, style="bold" if bold else STYLES.get(cell, ""))
        line.append(" " * (width - cell_len(shown) + GAP))
    line.rstrip()
    return line


def _wrapped(cells: Sequence[str], widths: Sequence[int], *, one_line: bool) -> Iterator[Text]:
    """Yield the lines of a row, with its last cell wrapped."""
    if one_line or cell_len(cells[-1]) <= widths[-1]:
        yield _line(cells, widths)
        return
    first, *more = _broken(cells[-1], widths[-1])
    start = _line(cells[:-1], widths[:-1])
    left = _total([*widths[:-1], 0])
    start.append(" " * (left - cell_len(start.plain)) + first)
    yield start
    for each in more:
        yield Text(" " * left + each)


def _below(text: str, width: int) -> Iterator[Text]:
    for number, each in enumerate(_broken(text, width)):
        yield Text(" " * INDENT * (1 + bool(number)) + each)


def _broken(text: str, width: int) -> list[str]:
    """Break a text between words."""
    found: list[str] = []
    for word in text.split():
        if found and cell_len(found[-1]) + 1 + cell_len(word) <= width:
            found[-1] = f"{found[-1]} {word}"
        else:
            found.append(word)
    return found
