"""Any foreign name becomes one safe part of a path."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dossier.layout import vendor_key
from dossier.models import CaseId
from dossier.names import JOINERS, LONGEST, LONGEST_SENT, proper_names, safe_name, unique_names

RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³]) *(\.|$)", re.IGNORECASE)
NAMES = st.text(max_size=200) | st.text(alphabet=". /\\_-:conaux1¹é\u202e\u2215\uff0e\u3000\u0301\u0338", max_size=40)


@pytest.mark.rule("security: turn a file name into a path")
@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("invoice.pdf", "invoice.pdf"),
        ("Müller, Rechnung (2) & Co.pdf", "Müller, Rechnung (2) & Co.pdf"),
        ("請求書.pdf", "請求書.pdf"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ("/etc/passwd", "_etc_passwd"),
        ("..\\..\\windows\\win.ini", "_.._windows_win.ini"),
        ("C:\\temp\\a.pdf", "C_temp_a.pdf"),
        ("a/b/../c.pdf", "a_b_.._c.pdf"),
        ("a\u2215b\u2044c\uff0fd\u29f8e\uff3cf.pdf", "a_b_c_d_e_f.pdf"),
        ("\uff0e\uff0e", "unnamed"),
        ("\u2025x", "_x"),
        ("..", "unnamed"),
        (".", "unnamed"),
        ("...", "unnamed"),
        ("", "unnamed"),
        ("   ", "unnamed"),
        ("\u00a0\u3000", "unnamed"),
        ("///", "unnamed"),
        ("\x00", "unnamed"),
        (".htaccess", "htaccess"),
        ("a.pdf.", "a.pdf"),
        ("a.pdf ", "a.pdf"),
        ("a\x00.pdf\n", "a.pdf"),
        ("a\r\nx-amz-acl: public.pdf", "ax-amz-acl_ public.pdf"),
        ("\x1b[31mred.pdf", "[31mred.pdf"),
        ("invoice\u202efdp.exe", "invoicefdp.exe"),
        ("a\u200b\u200d\ufeff.pdf", "a.pdf"),
        ("\u0645\u06cc\u200c\u062e.pdf", "\u0645\u06cc\u200c\u062e.pdf"),
        ("\u0915\u094d\u200d\u0937.pdf", "\u0915\u094d\u200d\u0937.pdf"),
        ("\U0002ebf0\U000323b0.pdf", "\U0002ebf0\U000323b0.pdf"),
        ("a\ud83d.pdf", "a.pdf"),
        ("\u2028a\u2029", "a"),
        ("e\u0301.pdf", "\u00e9.pdf"),
        ("con", "_con"),
        ("CON.pdf", "_CON.pdf"),
        ("aux .pdf", "_aux .pdf"),
        ("LPT1.tar.gz", "_LPT1.tar.gz"),
        ("COM\u00b9.txt", "_COM\u00b9.txt"),
        ("console.pdf", "console.pdf"),
        ("a<b>c|d?e*f\"g.pdf", "a_b_c_d_e_f_g.pdf"),
        ("s3://bucket/key", "s3_bucket_key"),
        ("%2e%2e%2fetc", "%2e%2e%2fetc"),
    ],
)  # fmt: skip
def test_safe_name(name: str, safe: str) -> None:
    """Paths, look-alikes, control characters, overrides and reserved names lose their meaning, letters stay."""
    assert safe_name(name) == safe


@pytest.mark.parametrize(
    "name",
    [
        "a" * 300,
        "é" * 300 + ".pdf",
        "🙂" * 300 + ".pdf",
        "a" * 300 + "." + "b" * 300,
        "a" + " ." * 300 + "pdf",
        "x." * 150,
    ],
)
def test_a_long_name_is_cut(name: str) -> None:
    """300 characters become 150 bytes of whole letters, and keep a short ending."""
    safe = safe_name(name)
    assert 100 < len(safe.encode()) <= LONGEST or name.startswith("a .")
    assert safe.endswith(".pdf") or not name.endswith(".pdf")


@pytest.mark.rule(
    "docsumo 2 filename is not trusted and never becomes a path", "security: turn a file name into a path"
)
@given(NAMES)
@example("\u1fef\u0338")
def test_any_name_is_one_safe_part_of_a_path(name: str) -> None:
    """No name has a separator, a control or format character, dots or blanks around it, or more than 150 bytes."""
    safe = safe_name(name)
    assert 0 < len(safe.encode()) <= LONGEST
    assert safe == safe.strip(" .")
    assert not set(safe) & set('/\\:*?"<>|')
    unseen = {each for each in safe if unicodedata.category(each) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}}
    assert all(each in JOINERS or 0x20000 <= ord(each) <= 0x3FFFD for each in unseen)
    seen = unicodedata.normalize("NFKC", safe)  # what a careless reader makes of it
    assert not set(seen) & set("/\\")
    assert seen not in {".", ".."}
    assert not RESERVED.match(safe)


@given(NAMES)
def test_a_safe_name_is_unchanged(name: str) -> None:
    """A safe name is not changed again, so every entry point may make names safe."""
    assert safe_name(safe_name(name)) == safe_name(name)


@pytest.mark.rule("security: replace one file by another")
@given(st.lists(NAMES | st.sampled_from(["a.pdf", "A.pdf", "a-2.pdf", "A-2.PDF", "ß", "SS", "x" * 300]), max_size=12))
def test_unique_names_are_unique_everywhere(names: list[str]) -> None:
    """No two are the same, in any case of letters; each is safe, and there is one for each."""
    unique = unique_names(names)
    assert len(unique) == len(names)
    assert len({unicodedata.normalize("NFC", each.casefold()) for each in unique}) == len(names)
    assert [safe_name(each) for each in unique] == unique


def test_numbers_stand_before_the_ending() -> None:
    """Repeated names count up, also past a name that another file has already."""
    assert unique_names(["a.pdf", "A.PDF", "a-2.pdf", "a.pdf", "b"]) == [
        "a.pdf",
        "A-2.PDF",
        "a-2-2.pdf",
        "a-3.pdf",
        "b",
    ]
    assert unique_names(["straße", "STRASSE"]) == ["straße", "STRASSE-2"]
    assert unique_names(["..", "/", ""]) == ["unnamed", "unnamed-2", "unnamed-3"]


def test_many_equal_names_are_made_unique_quickly() -> None:
    """Ten thousand files of one name are named in a moment."""
    assert len(set(unique_names(["a.pdf"] * 10_000))) == 10_000


@pytest.mark.rule("security: turn a file name into a path")
@given(NAMES)
def test_no_name_leaves_its_case(name: str) -> None:
    """A raw answer's key has exactly the depth that it should, whatever the vendor called it."""
    assert vendor_key(CaseId("claims", "R-1"), name).split("/")[:-1] == ["cases", "claims", "R-1", "vendor"]


def test_vendors_get_the_callers_names() -> None:
    """Whatever a key is made of, the vendor and the result have the caller's own name, and no two are the same."""
    given = [
        "claim__001.pdf",
        "claim_001.pdf",
        "claim_001.pdf",
        "a:b?.pdf",
        "\u0915\u094d\u200d\u0937.pdf",
        "A.pdf",
        "a.pdf",
    ]
    assert proper_names(given) == [*given[:2], "claim_001-2.pdf", *given[3:]]
    assert proper_names(["e\u0301.pdf", "\u00e9.pdf"]) == ["e\u0301.pdf", "\u00e9-2.pdf"]
    scripts = [
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645.pdf",
        "\u1781\u17d2\u1798\u17c2\u179a\u200b\u1793.pdf",
        "\u0600\u0661.pdf",
        "\u110bd\U000110bd\U00011083.pdf",
        "\U0001f3f4\U000e0067\U000e0062\U000e007f.pdf",
        "\ue000\uf8ff.pdf",
        "\ue001.pdf",
        "\U000323b0.pdf",
        "\U0003347f.pdf",
    ]
    assert proper_names(scripts) == scripts
    assert len(set(unique_names(scripts))) == len(scripts)
    assert proper_names(["\u200b", "\u200d \u00ad", "a\ufeff\u2060.pdf"]) == ["unnamed", "unnamed-2", "a.pdf"]
    assert proper_names(["a\x1b[31m\r\n\u202e.pdf", " ", "", "../b\\c"]) == [
        "a[31m.pdf",
        "unnamed",
        "unnamed-2",
        ".._b_c",
    ]


@given(st.lists(NAMES | st.sampled_from(["a.pdf", "a-2.pdf", "x" * 300]), max_size=12))
def test_names_for_vendors_are_unique_and_bounded(names: list[str]) -> None:
    """Each is one line of text of at most 255 bytes, and none is there twice however it is composed."""
    sent = proper_names(names)
    assert len({unicodedata.normalize("NFC", each) for each in sent}) == len(names)
    assert all(0 < len(each.encode()) <= LONGEST_SENT for each in sent)
    assert not {unicodedata.category(each) for each in "".join(sent)} & {"Cc", "Cs", "Zl", "Zp"}
