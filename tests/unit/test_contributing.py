"""``CONTRIBUTING.md`` and the glossary stay true."""

from __future__ import annotations

import re

from tests.tables import ROOT, rows, sections

VENDORS = ("docsumo", "docustack", "ombudsman")


def test_the_files_of_each_change_exist() -> None:
    """Ten changes, each of one to three files, which are there (for one vendor at least)."""
    changes = sections((ROOT / "CONTRIBUTING.md").read_text())["ten changes, and the files that they touch"]
    assert len(changes) == 10
    for change in changes:
        named = [each for each in re.findall(r"`([^`]+)`", change.split("|")[2]) if "/" in each]
        assert 1 <= len(named) <= 3, change
        for each in named:
            path = each.replace("P/", "layers/shared/python/dossier/", 1) if each.startswith("P/") else each
            places = [path.replace("<vendor>", vendor).replace("<verb>", "poll") for vendor in VENDORS]
            assert any((ROOT / place).is_file() for place in places), each


def test_the_files_that_a_drop_a_delivery_and_a_document_cross_exist() -> None:
    """Each file of the three lists exists, and files of a vendor's folder exist for every vendor."""
    section = (ROOT / "docs" / "architecture.md").read_text().partition("\n## The files that a drop")[2]
    section = section.partition("\n## ")[0]
    named = [each.replace("P/", "layers/shared/python/dossier/", 1) for each in re.findall(r"`([^`\s]+\.py)`", section)]
    assert len(section.split("\n**A ")) == 4
    assert len(named) > 40
    paths = [each.replace("<vendor>", vendor) for each in named if "/" in each for vendor in VENDORS]
    assert [each for each in paths if not (ROOT / each).is_file()] == []


def test_the_glossary_has_forty_terms_at_most() -> None:
    """Each once, in order."""
    terms = [row.split("|")[1].strip() for row in rows((ROOT / "docs" / "glossary.md").read_text())]
    assert 30 <= len(terms) <= 40
    assert terms == sorted(set(terms))


def test_every_page_is_named_by_another_one() -> None:
    """No page of the documentation is lost: README or another page links to it, and every link leads somewhere."""
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").glob("*.md"))]
    linked = set()
    for page in pages:
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text()):
            if not target.startswith(("http://", "https://")):
                found = (page.parent / target).resolve()
                assert found.exists(), f"{page.relative_to(ROOT)} links to {target}"
                linked |= {found} if found != page else set()
    assert [page.name for page in pages if page not in linked and page.name not in {"README.md", "SECURITY.md"}] == []
