"""Texts of vendors where they enter: printable, in one line, short; and ids that fit a key and a path."""

from __future__ import annotations

import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dossier.errors import InvalidCaseError
from dossier.http import kept_name, segment
from dossier.names import LONGEST, safe_name
from dossier.texts import ERROR, LONGEST_ID_BYTES, NAME, block, counted, identifier, line, name

HUGE = 500_000


@pytest.mark.parametrize(
    ("number", "what", "text"),
    [
        (1, "delivery", "1 delivery"), (0, "delivery", "0 deliveries"), (2000, "page", "2,000 pages"),
        (2, "day", "2 days"), (3, "dead letter", "3 dead letters"), (2, "missing entry", "2 missing entries"),
    ],
)  # fmt: skip
def test_a_number_has_its_plural(number: int, what: str, text: str) -> None:
    """None and several are plural."""
    assert counted(number, what) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("failed", "failed"),
        ("Übergröße №7 请求 العربية עברית 🙂", "Übergröße №7 请求 العربية עברית 🙂"),
        ("two\r\nlines\tand \u3000\u00a0 blanks\u2028\u2029", "two lines and blanks"),
        ("\x1b[2J\x1b[31mall is fine [y/N]\x1b]0;title\x07\x9b31m", "[2J [31mall is fine [y/N] ]0;title 31m"),
        ("\u202egnp.exe\u202c \u2066x\u2069 \u200e\u200f\u061c", "gnp.exe x"),
        ("com\u200bple\u200d\ufeff\u2060ted\u00ad", "completed"),
        ("com\u3164ple\ufe0ft\U000e0041ed\u034f\u115f\u2800", "completed"),
        ("\x00\x08\x7f", ""),
        ("\ud800half\udfff", "half"),
        ("\ue000private\U0010ffff", "private"),
        (" ", ""),
    ],
    ids=repr,
)
def test_a_line_has_only_visible_characters(text: str, shown: str) -> None:
    """Letters of every script stay; characters that move a cursor, change direction or are invisible do not."""
    assert line(text) == shown


@pytest.mark.rule("security: send control characters to a terminal or a log")
@given(st.text(st.characters(), max_size=400))
def test_any_text_is_one_printable_line(text: str) -> None:
    """Any text of a vendor becomes one printable line of a bounded length; cleaning it again changes nothing."""
    for made, longest in ((line(text), ERROR), (line(text, 7), 7), (name(text), NAME)):
        assert made.isprintable()
        assert len(made) <= longest
        assert not {unicodedata.category(each) for each in made} & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
        made.encode()
        assert line(made, longest) == made
    lines = block(text)
    assert all(each.isprintable() or each in "\n\t" or unicodedata.category(each) != "Cc" for each in lines)
    lines.encode()
    assert block(lines) == lines


@pytest.mark.rule("security: overflow an item, a message or a state with endless statuses, errors and ids")
@pytest.mark.parametrize(
    "text", ["x" * HUGE, "\x1b" * HUGE, "\u200b" * HUGE, "a\u0301" * HUGE, "\u202e \n" * HUGE], ids=lambda t: t[:2]
)
def test_a_huge_text_is_cut_at_once(text: str) -> None:
    """Half a megabyte of anything is cleaned at once, to at most one line."""
    began = time.process_time()
    assert len(line(text)) <= ERROR
    assert len(name(text + ".pdf")) <= NAME
    assert time.process_time() - began < 2


def test_a_long_name_keeps_its_ending() -> None:
    """A name is cut before its ending, which shows the file's type."""
    assert name("a" * HUGE + ".report.pdf").endswith(".report.pdf")
    assert name("a" * NAME) == "a" * NAME


def test_a_block_keeps_its_lines() -> None:
    """A summary keeps lines, tabs and joiners that scripts need, and loses escapes and marks of direction."""
    assert block("- a: b\r\n\tc\x1b[31m \u202egnp\u200d\ud800") == "- a: b\n\tc[31m gnp\u200d"


@pytest.mark.rule("security: overflow an item, a message or a state with endless statuses, errors and ids")
@pytest.mark.parametrize(
    ("value", "id_"),
    [
        ("case__1", "case__1"),
        (17, "17"),
        ("a/b?c#ü", "a/b?c#ü"),
        ("a..b", "a..b"),
        ("...", "..."),
        ("x" * 512, "x" * 512),
        ("é" * 512, "é" * 512),
        ("\u20ac" * 512, "\u20ac" * 512),
        ("x" * 513, None),
        ("🙂" * 503, "🙂" * 503),
        ("🙂" * 504, None),
        ("🙂" * 512, None),
        ("", None),
        (True, None),
        (None, None),
        (1.5, None),
        (["a"], None),
        (10**5000, None),
        ("a\nb", None),
        ("a\u202eb", None),
        ("\ud800", None),
        (".", None),
        ("..", None),
        ("../x", None),
        ("a/../b", None),
        ("a/..", None),
        ("a\\..\\b", None),
        ("..;x/y", None),
        ("%2e%2E", None),
        ("%252e%252e%252fadmin", None),
        ("..%2fadmin", None),
    ],
    ids=lambda value: repr(value)[:40] if not isinstance(value, int) or value < 99 else "huge",
)
def test_an_id_fits_a_key_and_a_path(value: object, id_: str | None) -> None:
    """An id is opaque, but one that no key can hold, that cannot be shown or that leads elsewhere is none."""
    assert identifier(value) == id_
    if id_ is not None:
        assert len(f"ID#{'c' * 32}#{id_}".encode()) <= 2048
        assert "/" not in segment(id_)


def test_an_ids_limit_is_that_of_a_table_key() -> None:
    """The longest id makes the longest key that DynamoDB takes, and not a byte more."""
    assert len(f"ID#{'c' * 32}#".encode()) + LONGEST_ID_BYTES == 2048


@pytest.mark.rule("security: make an id lead to another endpoint, with the key")
@given(st.text(max_size=30) | st.text(alphabet="./\\%25eE2fF;a", max_size=12))
def test_any_text_is_a_segment_or_rejected(text: str) -> None:
    """No id leaves the path that it is put into, not even where a server decodes it twice."""
    try:
        made = segment(text)
    except (InvalidCaseError, UnicodeEncodeError):
        return
    assert made
    assert "/" not in made
    for _ in range(3):
        assert made not in {".", ".."}
        made = made.replace("%2E", ".").replace("%2e", ".").replace("%25", "%")


def test_ids_that_look_alike_get_different_file_names() -> None:
    """Answers about different ids are kept under different names, however long or odd the ids are."""
    ids = ["a/b", "a_b", "a__b", "a b", "a.", "a", "x" * 200, "x" * 201, "x" * 200 + "y", "é", "è", "A"]
    names = [safe_name(kept_name("evidence", each)) for each in ids]
    assert len(set(names)) == len(ids)
    assert all(len(each.encode()) <= LONGEST for each in names)
    assert kept_name("document", "c1a2b3c4-d5e6") == "document-c1a2b3c4-d5e6"
