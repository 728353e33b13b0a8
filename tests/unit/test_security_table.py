"""``docs/security.md`` lists threats and defences, with the numbers of the code.

Its tests come from ``checks/rules.py``.
"""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from cli import secrets
from dossier import http, names, replies, texts
from dossier.steps import publish, webhook
from dossier.stores import evidence
from dossier.transport import decoding, downloads
from tests.tables import ROOT, sections

PAGE = ROOT / "docs" / "security.md"
NOT_CHECKED = {"open points"}


def test_every_threat_names_a_test() -> None:
    """Every row has a goal, a defence and a test, none of them empty."""
    found = sections(PAGE.read_text())
    listed = [row for name, section in found.items() if name not in NOT_CHECKED for row in section]
    assert len(listed) > 30
    assert [row for row in listed if not re.fullmatch(r"\|( [^|]*\S [|]){3}", row)] == []


def test_every_attacker_has_a_section_with_rows() -> None:
    """No section of the threat model is only words."""
    found = sections(PAGE.read_text())
    assert set(found) >= NOT_CHECKED
    assert [name for name, listed in found.items() if not listed and name not in NOT_CHECKED] == []


@pytest.mark.parametrize(
    ("said", "found", "number"),
    [
        ("16 KiB of each rejected delivery are stored", evidence.REFUSED_BYTES, 16 << 10),
        ("30 a minute for each connection over all instances", evidence.REFUSED_PER_MINUTE, 30),
        ("30 a minute for each connection", webhook.REFUSED_PER_MINUTE, 30),
        ("once in two seconds for each connection", webhook.REREAD_EVERY, 2.0),
        ("recognized by its digest for two hours", evidence.WINDOW, timedelta(hours=2)),
        ("16 MiB an answer", decoding.ANSWER_LIMIT, 16 << 20),
        ("half a million values", http.MOST_VALUES, 500_000),
        ("there are five at most", downloads.HOPS, 5),
        ("a pause lasts one hour at most", replies.LONGEST_PAUSE, 3600.0),
        ("a status has 100 characters", texts.STATUS, 100),
        ("an error 300", texts.ERROR, 300),
        ("a name or title 500", texts.NAME, 500),
        ("100 warnings of a case are stored", publish.MOST_WARNINGS, 100),
        ("one safe part of a path, of 150 bytes at most", names.LONGEST, 150),
        ("fewer than 16 characters", secrets.SHORTEST, 16),
    ],
)  # fmt: skip
def test_numbers_are_those_of_the_code(said: str, found: object, number: object) -> None:
    """A changed limit must change the page; other tests use the code's constants, and would not notice."""
    assert said in PAGE.read_text(encoding="utf-8")
    assert found == number
