"""The documentation's site has every page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from checks import site
from checks.site import OWN, gather, page
from tests.tables import ROOT


def test_every_page_is_in_the_navigation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The gathered pages are those of the navigation."""
    monkeypatch.setattr(site, "commands", lambda: "# Commands\n")  # takes seconds: Typer starts for it
    gather(tmp_path / "pages")
    listed = re.findall(r"^ +- .+: (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(listed) == sorted(each.name for each in (tmp_path / "pages").glob("*.md"))


@pytest.mark.parametrize("name", OWN)
def test_links_of_the_repositorys_own_pages_lead_to_pages(name: str) -> None:
    """A link of the README into ``docs`` is one to a page beside it."""
    assert "](docs/" not in page(ROOT / name)


def test_a_link_to_a_file_becomes_code() -> None:
    """The site has no repository to link to."""
    assert "`policies/user.json`" in page(ROOT / "docs" / "permissions.md")
    assert "../" not in re.sub(r"`[^`]*`", "", page(ROOT / "docs" / "permissions.md"))
