"""Gathers the pages of the documentation's site: ``python -m checks.site FOLDER`` (``make docs``).

The pages of ``docs/`` stand beside the repository's own (README, CONTRIBUTING, SECURITY, CHANGELOG) and a reference of
every command, which Typer writes. A link to a file that is not a page becomes plain code, because the site does not
contain the repository.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
OWN = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "report.md",
    "CHANGELOG.md": "changelog.md",
}
"""The repository's own pages, by their names in the site."""
_LINK = re.compile(r"(?<!!)\[(?P<text>[^\]]*)\]\((?!https?:|mailto:|#)(?P<path>[^)#\s]+)(?P<anchor>#[^)\s]*)?\)")


def page(source: Path) -> str:
    """Return a page's Markdown with its links as the site has them.

    Raises:
        FileNotFoundError: a link leads nowhere.

    """

    def linked(link: re.Match[str]) -> str:
        target = (source.parent / link["path"]).resolve(strict=True).relative_to(ROOT)
        if target.parts[0] == "docs":
            return f"[{link['text']}]({target.relative_to('docs')}{link['anchor'] or ''})"
        if str(target) in OWN:
            return f"[{link['text']}]({OWN[str(target)]}{link['anchor'] or ''})"
        return link["text"] if link["text"].startswith("`") else f"`{target}`"

    return _LINK.sub(linked, source.read_text(encoding="utf-8"))


def gather(folder: Path) -> None:
    """Write every page into a folder, which is emptied before."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for source in (ROOT / "docs").iterdir():
        if source.suffix == ".md":
            (folder / source.name).write_text(page(source), encoding="utf-8")
        elif source.is_dir():
            shutil.copytree(source, folder / source.name)
        else:
            shutil.copy(source, folder)
    for name, as_name in OWN.items():
        (folder / as_name).write_text(page(ROOT / name), encoding="utf-8")
    (folder / "commands.md").write_text(commands(), encoding="utf-8")


def commands() -> str:
    """Return the reference of every command."""
    command = [sys.executable, "-m", "typer", "cli.main", "utils", "docs", "--name", "dossier", "--title", "Commands"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout  # noqa: S603 -- ours


if __name__ == "__main__":
    gather(Path(sys.argv[1]))
