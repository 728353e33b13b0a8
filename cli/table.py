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
"""The least cells of a truncated text."""

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

    The rows that fit decide the widths of the columns, so that one long name does not change how the others look. In a
    row with a cell that is wider than its column, the cells after it move below it, or with ``one_line`` to the right.

    Args:
        columns: the headers.
        rows: the cells.
        width: the terminal's width in cells; None (no terminal) cuts and wraps nothing.
        long: columns of sentences, which may be wrapped or cut; cells of other columns never are.
        one_line: leave cells out from the right so that each row is one line.

    """
    sizes = [[cell_len(cell) for cell in row] for row in (columns, *rows)]
    widths = [max(column) for column in zip(*sizes, strict=True)]
    if width is not None and _total(widths) > width:
        least = SHORTEST if one_line else NARROWEST
        widths = _fitting(sizes, width, [least if name in long else None for name in columns], one_line=one_line)
    count = len(widths)
    starts = [_total([*widths[:index], 0]) for index in range(count)]
    header = Text()
    for name, start, room in zip(columns, starts, widths, strict=False):
        header.append(" " * (start - cell_len(header.plain)) + _cut(name, room), style="bold")
    yield header
    for row in rows:
        if one_line:
            yield _pushed(columns, row, starts, long, width)
            continue
        wraps = columns[count - 1] in long and cell_len(row[count - 1]) > widths[-1]
        below = count - 1 if wraps and widths[-1] < NARROWEST else count
        last = _broken(row[below - 1], widths[below - 1]) if wraps and below == count else [row[below - 1]]
        yield from _placed([*row[: below - 1], *last], [*starts, *starts[-1:] * len(last)])
        for name, cell in zip(columns[below:], row[below:], strict=True):
            if cell:
                parts = _broken(f"{name.lower()}: {cell}", (width or 0) - INDENT)
                yield from (Text(" " * INDENT * (1 + bool(number)) + each) for number, each in enumerate(parts))


def _fitting(sizes: Sequence[Sequence[int]], width: int, least: Sequence[int | None], *, one_line: bool) -> list[int]:
    """Return the widths of as many columns as the headers and half of the rows fit into.

    Args:
        sizes: the widths of the headers' cells, then of each row's.
        width: the width that there is.
        least: the least width of each column whose cells may be wrapped or cut; None for the others.
        one_line: whether such a column may end the line if columns after it are left out.

    """
    header, *rows = sizes
    whole = [max(column) for column in zip(*sizes, strict=True)]
    for count in range(len(header), 0, -1):
        last = least[count - 1] if one_line or count == len(header) else None
        # Only the last column is cut: a sentence before it is never cut for the cells after it.
        widths = [whole[index] if least[index] and index < count - 1 else header[index] for index in range(count)]
        needed = [list(row[:count]) for row in rows]
        if last:
            needed = [[*row[:-1], min(row[-1], max(last, header[count - 1]))] for row in needed]
        fitting = 0
        for row in sorted(needed, key=sum):
            wider = [max(pair) for pair in zip(widths, row, strict=True)]
            if _total(wider) > width:
                break
            widths, fitting = wider, fitting + 1
        if 2 * fitting >= len(rows) and _total(widths) <= width:
            break
    most = [max(column) for column in zip(widths, *needed, strict=True)]
    for index in sorted(range(count), key=lambda index: most[index] - widths[index]):
        wider = [*widths[:index], most[index], *widths[index + 1 :]]
        widths = wider if _total(wider) <= width else widths
    if last:
        widths[-1] = min(width - _total([*widths[:-1], 0]), whole[count - 1])
    return widths


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + GAP * (len(widths) - 1)


def _cut(cell: str, room: int) -> str:
    return cell if cell_len(cell) <= room else f"{set_cell_size(cell, room - 1).rstrip()}…"


def _placed(cells: Sequence[str], starts: Sequence[int]) -> Iterator[Text]:
    """Yield the lines of a row: each cell at its place, or a line below if the cell to its left extends into it."""
    line = Text()
    for cell, start in zip(cells, starts, strict=False):
        if cell and line and cell_len(line.plain) > start - GAP:
            yield line
            line = Text()
        if cell:
            line.append(" " * (start - cell_len(line.plain)))
            line.append(cell.rstrip(), style=STYLES.get(cell, ""))
    yield line


def _pushed(
    columns: Sequence[str], cells: Sequence[str], starts: Sequence[int], long: Collection[str], width: int | None
) -> Text:
    """Return a row as one line: after a cell that is wider than its column, the others move to the right."""
    line = Text()
    for name, cell, start in zip(columns, cells, starts, strict=False):
        at = max(start, cell_len(line.plain) + GAP if line else 0)
        room = cell_len(cell) if width is None else width - at
        if room < min(cell_len(cell), SHORTEST if name in long else width or 0):
            break
        if cell:
            line.append(" " * (at - cell_len(line.plain)))
            line.append(_cut(cell, room).rstrip(), style=STYLES.get(cell, ""))
    return line


def _broken(text: str, width: int) -> list[str]:
    """Break a text between words."""
    found: list[str] = []
    for word in text.split():
        if found and cell_len(found[-1]) + 1 + cell_len(word) <= width:
            found[-1] = f"{found[-1]} {word}"
        else:
            found.append(word)
    return found
