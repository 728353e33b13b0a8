"""Which names may be of one file, and which one of several is which."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dossier.alike import alike, pair, same

NAME = "Prüfung Mai (1).pdf"
WAYS = [
    "Prüfung_Mai_(1).pdf",
    "prüfung mai (1).PDF",
    quote(NAME),
    quote(quote(NAME)),
    quote(NAME, safe="").replace("%", ""),
    "Prufung_Mai_1.pdf",
    "Pruefung-Mai-1.pdf",
    "Pru\u0308fung Mai (1).pdf",
    "Pr?fung Mai (1).pdf",
    "Pr\ufffdfung Mai (1).pdf",
    "Prfung Mai (1).pdf",
    "PrufungMai1.pdf",
    "Pr&uuml;fung Mai (1).pdf",
    NAME.encode().decode("latin-1"),
    NAME.encode().decode("cp1252"),
    "Prüfung Mai (1)",
    "Prüfung Mai (1).tiff",
    "Prüfung Mai (1).pdf.json",
    "1716200100_Prüfung Mai (1).pdf",
    "20260520T101500-Prüfung Mai (1).pdf",
    "2026-05-20 10-15-00 Prüfung Mai (1).pdf",
    "17162001001234prufungmai1",
    "662a769a7eb2d66ce4a101fc_Prüfung Mai (1).pdf",
    "a8f3e1b2_prufung-mai-1.pdf",
    "Prüfung Mai (1)_8f3a2c.pdf",
    "Prüfung Mai (1) (1).pdf",
    "uploads/2026/Prüfung Mai (1).pdf",
]


@pytest.mark.parametrize("listed", WAYS)
def test_rewritten_names_are_recognized(listed: str) -> None:
    """Folded, encoded, misread, numbered, with a time or a random id at an end, without its ending."""
    assert alike(NAME, listed)
    assert not same(NAME, listed) or listed == "Pru\u0308fung Mai (1).pdf"


@pytest.mark.parametrize(
    ("sent", "listed"),
    [
        ("scan-1.pdf", "scan-11.pdf"),
        ("scan-1.pdf", "scan-2.pdf"),
        ("a.pdf", "b.pdf"),
        ("Счёт 12.pdf", "Акт 12.pdf"),
        ("letter.pdf", "invoice2024_letter.pdf"),
        ("summary.pdf", "a_summary.pdf"),
        ("invoice.pdf", "my invoice.pdf"),
        ("2024.pdf", "invoice_2024.pdf"),
        ("invoice.pdf", "8f3c2a91"),
        ("invoice.pdf", ""),
        ("invoice.pdf", None),
        ("?.pdf", "!.pdf"),
    ],
)
def test_names_of_other_files_are_not_similar(sent: str, listed: str | None) -> None:
    """Other letters or another number make another name."""
    assert not alike(sent, listed)


@given(st.text(min_size=1), st.text())
@example("\u00c0\\:", "")  # its last part has no letter
def test_any_two_names_can_be_compared(one: str, other: str) -> None:
    """A name is like itself, and no name is too odd to be looked at."""
    assert alike(one, one)
    assert alike(one, one.upper().lower()) or one.upper().lower() != one.lower()
    assert isinstance(alike(one, other), bool)


def test_names_are_paired_one_for_one() -> None:
    """Equal names first, then similar ones; the order decides between those that nothing distinguishes."""
    assert pair(["a.pdf", "b.pdf"], ["b.pdf", "a.pdf"]).found == {0: 1, 1: 0}
    assert pair(["x y.pdf", "p q.pdf"], ["p_q", "X_Y.pdf", "extraction.json"]).found == {0: 1, 1: 0}
    assert pair(["scan.pdf", "scan-2.pdf"], ["Scan-2.pdf", "Scan.pdf"]).found == {0: 1, 1: 0}
    both = pair(["a.pdf", "A.pdf"], ["a.pdf", "a.pdf"])
    assert (both.found, both.exact, both.unsure) == ({0: 0, 1: 1}, False, frozenset())


def test_ambiguous_names_are_not_paired() -> None:
    """One name that two files may have, or two names with one file left, is ambiguous."""
    several = pair(["x y.pdf"], ["X_Y.pdf", "x-y.pdf"])
    assert (several.found, several.unsure) == ({}, {0, 1})
    assert pair(["x y.pdf", "x-y.pdf"], ["X_Y.pdf"]).unsure == {0}
    another = pair(["x.pdf"], ["x.pdf", "X.PDF"])
    assert (another.found, another.unsure) == ({0: 0}, {1})
    assert pair(["x.pdf"], [None, "y.pdf"]).found == {}
