"""Texts of vendors in markdown, as HTML that cannot act: no HTML of theirs, no images, links to web pages alone."""

from __future__ import annotations

from functools import cache

from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markupsafe import Markup

from dossier.texts import block

LONGEST = 200_000
"""Characters of a text that are rendered; more is shown as plain text."""
_SCHEMES = ("http://", "https://", "mailto:")


@cache
def _reader() -> MarkdownIt:
    made = MarkdownIt("commonmark", {"html": False, "linkify": False}).enable("table").disable("image")
    made.validateLink = lambda url: url.lower().startswith(_SCHEMES)  # type: ignore[method-assign]

    def opened(_self: object, tokens: list, index: int, options: object, _env: object) -> str:  # type: ignore[type-arg]
        tokens[index].attrSet("rel", "noopener noreferrer nofollow")
        return made.renderer.renderToken(tokens, index, options, _env)  # type: ignore[attr-defined, no-any-return]

    made.add_render_rule("link_open", opened)
    made.core.ruler.push("headings", _headings)
    return made


def _headings(state: StateCore) -> None:
    """Make each heading one of the third level: it is below a heading of the page, whatever level the vendor used."""
    for each in state.tokens:
        if each.type in {"heading_open", "heading_close"}:
            each.tag = "h3"


def rendered(text: str | None) -> Markup:
    """Return a text as HTML; too long a one is left as it is, escaped."""
    plain = block(text or "")
    if len(plain) > LONGEST:
        return Markup("<pre>{}</pre>").format(plain)
    return Markup(_reader().render(plain))  # noqa: S704 -- markdown-it escapes all that is not markdown
