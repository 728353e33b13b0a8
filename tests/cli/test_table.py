"""Tables: values that are copied from them stay in one piece."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios

import pytest

from cli import table
from tests.machine import ROOT

ID = "20260131T120000000000-0123456789abcdef"
COLUMNS = ("CONNECTION", "REFERENCE", "STATUS", "SUBMITTED", "REASON")
REASON = "No connection to the vendor since 10:38 (ConnectError). Next attempt 10:46:00. It is asked again until then"


def lines(*rows: tuple[str, ...], width: int | None, columns: tuple[str, ...] = COLUMNS, **how: object) -> list[str]:
    """Return the lines of a table."""
    return [each.plain for each in table.lines(columns, rows, width=width, **how)]  # type: ignore[arg-type]


def test_without_a_terminal_each_row_is_one_line() -> None:
    """However long it is, and no line ends with blanks."""
    long = ("invoices", "R" * 100, "failed", "10:38", "a long reason " * 100)
    found = lines(long, ("claims", "C-1", "completed", "10:39", ""), width=None, long={"REASON"})
    assert len(found) == 3
    assert all(cell.strip() in found[1] for cell in long)
    assert found == [each.rstrip() for each in found]
    assert found[1].index("failed") == found[2].index("completed") == found[0].index("STATUS")


def test_a_sentence_is_wrapped_between_words_in_its_column() -> None:
    """The last column has the rest of the width, and its text wraps."""
    found = lines(("invoices", "INV-1", "waiting", "10:38", REASON), width=80, long={"REASON"})
    start = found[0].index("REASON")
    assert max(map(len, found)) <= 80
    assert len(found) > 2
    assert all(not each[:start].strip() for each in found[2:])
    assert " ".join(each[start:] for each in found[1:]) == REASON


@pytest.mark.parametrize("reference", ["INV-2024-0042-with-a-name-that-is-long", "R" * 100, "請求書-" * 12])
def test_sentence_without_room_is_printed_below_its_row(reference: str) -> None:
    """A reference of any length is whole, on one line; the other cells are labelled below it."""
    row = ("invoices", reference, "completed_with_failures", "11-26 10:38", REASON)
    found = lines(row, ("a", "b", "failed", "10:38", ""), width=80, long={"REASON"})
    assert sum(reference in each for each in found) == 1
    assert sum("11-26 10:38" in each for each in found) == 1
    text = " ".join(each.strip() for each in found)
    assert f"reason: {REASON}" in text
    assert text.count("reason:") == 1


def test_one_long_name_breaks_only_its_own_row() -> None:
    """The rows that fit keep their columns; in the long one, what follows the name is a line below, at its column."""
    short = [("invoices", f"INV-{number}", "completed", "10:38", "") for number in range(3)]
    long = ("invoices", "x" * 80, "waiting for files", "10:39", "inbox/invoices/x waits for its case.json")
    header, *found = lines(*short, long, width=80, long={"REASON"})
    assert header.split() == list(COLUMNS)
    assert [each.split() for each in found[:3]] == [[cell for cell in row if cell] for row in short]
    assert found[3] == f"invoices    {'x' * 80}"
    assert found[4].index("waiting for files") == header.index("STATUS")
    assert found[4].index("10:39") == header.index("SUBMITTED")
    start = header.index("REASON")
    assert " ".join(each[start:].strip() for each in found[4:]) == long[-1]
    assert max(len(each) for each in [header, *found[:3], *found[4:]]) <= 80


def test_one_long_name_takes_no_column_from_the_other_lines() -> None:
    """With one line a row, a cell that is wider than its column leaves out cells of its own row alone."""
    columns = ("ID", "AT", "CONNECTION", "VERDICT")
    short = (ID, "10:38", "invoices", "accepted")
    found = lines(short, (ID, "10:38", "c" * 32, "accepted"), short, width=80, columns=columns, one_line=True)
    assert [each.split() for each in found] == [list(columns), list(short), [ID, "10:38", "c" * 32], list(short)]


def test_one_line_rows_keep_values_to_copy() -> None:
    """Cells that do not fit are left out from the right; a sentence is cut."""
    columns = ("ID", "RECEIVED", "CONNECTION", "VERDICT", "EVENT")
    row = (ID, "11-26 10:38", "invoices", "refused: undecodable header (x-webhook-token)", "document_completed")
    header, line = lines(row, width=80, columns=columns, long={"VERDICT"}, one_line=True)
    assert header.split() == ["ID", "RECEIVED", "CONNECTION", "VERDICT"]
    assert line.startswith(f"{ID}  11-26 10:38  invoices    refused: ")
    assert line.endswith("…")
    assert len(line) <= 80
    assert lines(row, width=None, columns=columns, long={"VERDICT"}, one_line=True)[1].split("  ")[-1] == row[-1]


def test_a_terminal_of_80_columns() -> None:
    """On a real terminal, as by the function alone: colours are the only difference."""
    program = (
        "from cli.output import Output\n"
        f"Output(as_json=False).table({COLUMNS!r}, [('invoices', 'R' * 100, 'failed', '10:38', 'why')])\n"
    )
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    environment = {key: value for key, value in os.environ.items() if key not in {"COLUMNS", "LINES", "NO_COLOR"}}
    environment |= {"TERM": "xterm", "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", program], stdout=follower, env=environment, check=True)
    os.close(follower)
    shown = os.read(leader, 65536).decode()
    os.close(leader)
    assert "R" * 100 in shown
    assert "\x1b[31mfailed" in shown or "status: failed" in shown
    assert "reason: why" in shown
