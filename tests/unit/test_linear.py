"""Texts of strangers and vendors that are made to keep a reader busy: each reader takes a time that grows as they do.

A reader whose time grows with the square of a text's length takes half a minute and more for one of these.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from cli.text import clean, local, to_json
from dossier import bodies, checksums, headers, http, masks, refusals, replies, revisions, texts, values
from dossier.alike import alike, pair
from dossier.deliveries import Delivery as Payload
from dossier.errors import DossierError
from dossier.models import CaseInput
from dossier.names import proper_names, safe_name, unique_names
from dossier.signatures import Delivery, Rule, identity, verify
from dossier.stamps import Stamp
from dossier.steps.reasons import reason_of
from dossier.suggestions import closest
from dossier.transport.urls import allow, target
from dossier.vendors.ombudsman.markdown import read, read_bullets
from fuzz.texts import STORAGE

SIZE = 100_000
LONGEST = 10.0
"""Seconds of computing for all texts together."""
MARKS = "\u0301" * (SIZE // 4) + "\u0327" * (SIZE // 4)
"""Marks in an order that Unicode's normal form turns around."""
TABLE = "|" + "a|" * 256 + "\n|" + "-|" * 256 + "\n" + "|a\n" * 250 + "\n"
"""Of 1.8 kB, which a reader may take for 65,000 cells."""
TEXTS = {
    "blanks": " " * SIZE + "x",
    "tabs": "\t" * SIZE + "x",
    "line ends": "\n" * SIZE + "x",
    "blanks and line ends": " \n" * (SIZE // 2) + "x",
    "a fence and blanks": "```" + " " * SIZE + "x",
    "blanks after a fence": "```\nx\n```" + " " * SIZE + "x",
    "fences": "```\n" * (SIZE // 4),
    "backticks": "`" * SIZE + "x",
    "tables": TABLE * (SIZE // len(TABLE)),
    "a table of dashes": "|a|\n|" + "-" * SIZE + "x",
    "bullets": "- a: b\n" * (SIZE // 7),
    "bullets in bullets": "- " * (SIZE // 2),
    "colons": ":" * SIZE,
    "stars": "*a_" * (SIZE // 3),
    "brackets": "[" * SIZE,
    "brackets of both kinds": "[{" * (SIZE // 2),
    "parentheses": "(" * SIZE,
    "quotes": '"' * SIZE,
    "backslashes": "\\" * SIZE,
    "slashes": "/" * SIZE,
    "dots": "../" * (SIZE // 3),
    "percents": "%25" * (SIZE // 3),
    "entities": "&amp;" * (SIZE // 5),
    "commas": "," * SIZE,
    "equals": "t=1,v1=" * (SIZE // 7),
    "versions": "v1, " * (SIZE // 4),
    "digits": "1" * SIZE,
    "digits and dots": "1." * (SIZE // 2),
    "letters and digits": "a1" * (SIZE // 2),
    "dashes": "-" * SIZE + "x",
    "a number": "0." + "9" * SIZE,
    "an exponent": "1e" + "9" * SIZE,
    "a URL of marks": f"https://a{MARKS}.example/",
    "a URL": "https://storage.test/" + "a" * SIZE,
    "marks": "a" + MARKS,
    "ligatures": "\ufdfa" * (SIZE // 4),
    "joiners": "\u200d" * SIZE,
    "letters of Chinese": "".join(chr(0x4E00 + number % 20_000) for number in range(SIZE // 4)),
    "dots of domains": "\u00e9." * (SIZE // 2),
    "endings": "a" + ".pdf" * (SIZE // 4),
    "times": "12:00 UTC " * (SIZE // 10),
}
KEY = "ds_live_a1b2c3d4e5f60718293a"
RULES = [
    Rule("hmac-sha256-hex", "x-sign", "sha256="),
    Rule("standard-webhooks", "webhook-signature"),
    Rule("timestamped-hmac", "x-sign"),
    Rule("shared-secret", "x-sign", "Bearer "),
]
NAMES = ("x-sign", "webhook-id", "webhook-timestamp", "webhook-signature", "content-type", "content-encoding")


def _delivery(text: str) -> None:
    """Verify a delivery whose headers or body are the text, and find the cause of its rejection."""
    encoded = text.encode()
    for rule in RULES:
        for delivery in (Delivery(b"{}", dict.fromkeys(NAMES, text)), Delivery(encoded[: 1 << 14], {})):
            verify(rule, delivery, [KEY], now=0.0)
            identity(rule, delivery)
            refusals.cause_of(rule, delivery, [KEY], 0.0)


def _charsets(text: str) -> None:
    for charset in ("punycode", "idna", "utf-7", "utf-16", "iso-2022-jp", "unicode_escape", text):
        bodies.others(b"", {"content-type": f"text/plain; charset={charset}"}, text)


def _payload(text: str) -> None:
    for body in (text.encode(), json.dumps({"case_id": text, "data": [text] * 3}).encode()):
        Payload(body).ids("case")


def _headers(text: str) -> None:
    headers.http_date(text)
    headers.pause(text, at=datetime.now(UTC))
    headers.length(text)
    headers.content_range(text)
    headers.codings(text)
    headers.media_type(text)
    list(checksums.announced(dict.fromkeys(("digest", "x-goog-hash", "etag", "content-md5"), text), packed=False))


def _answer(text: str) -> None:
    body = json.dumps({"message": text, "status": text, "url": text}).encode()
    replies.message(http.Reply(400, body))
    revisions.answer_digest(body)
    masks.masked(body, [KEY])
    http.decode(body)


def _input(text: str) -> None:
    uri = {"uri": f"s3://bucket/{text[:4000]}"}
    for data in (
        {"connection": "a", "reference": "b", "documents": [uri], text: 1},
        {**dict.fromkeys(text, 1), text: 2},
    ):
        try:
            CaseInput.parse(data)
        except DossierError as error:
            assert len(str(error)) < 5000


def _url(text: str) -> None:
    try:
        allow(STORAGE, text)
    except DossierError:
        return
    target(text)


def _values(text: str) -> None:
    values.field(text, text, text, confidence=text)
    values.score_of(text, most=10)
    values.epoch(text)
    values.Keys().key(text)
    Stamp.of(text)
    replies.instant(text)


READERS: dict[str, Callable[[str], object]] = {
    "markdown": read,
    "bullets": read_bullets,
    "a printed line": lambda text: local(clean(text)),
    "printed JSON": lambda text: to_json([text]),
    "a line": texts.line,
    "a name": texts.name,
    "a block": texts.block,
    "an id": lambda text: (texts.identifier(text), texts.leads_elsewhere(text)),
    "a safe name": safe_name,
    "unique names": lambda text: (unique_names([text] * 3), proper_names([text[:1024]] * 3)),
    "alike names": lambda text: (alike("invoice.pdf", text), alike(text, "invoice.pdf"), pair([text] * 3, [text] * 4)),
    "a delivery": _delivery,
    "a delivery's charset": _charsets,
    "a delivery's payload": _payload,
    "an answer's headers": _headers,
    "an answer": _answer,
    "a URL": _url,
    "a value": _values,
    "an input": _input,
    "a reason": lambda text: (reason_of(text), reason_of(json.dumps({"errorMessage": text}))),
    "a misspelt word": lambda text: closest(text[:1000], ["connection", "reference"]),
}


@pytest.mark.rule(
    "security: occupy the function with a crafted body or header",
    "security: occupy a function with crafted markdown, names or numbers",
)
@pytest.mark.parametrize("reader", READERS)
def test_reading_time_grows_linearly_with_the_text(reader: str) -> None:
    """Every reader of foreign text reads a hundred thousand characters at once."""
    for name, text in TEXTS.items():
        began = time.process_time()
        READERS[reader](text)
        assert time.process_time() - began < LONGEST, name


@pytest.mark.rule("security: occupy a function with crafted markdown, names or numbers")
def test_thousand_names_are_distinguished_quickly() -> None:
    """A thousand listed files are matched with a thousand documents without comparing each pair."""
    sent = [f"scan {number}.pdf" for number in range(1000)]
    began = time.process_time()
    assert pair(sent, [f"other-{number} \u00e9.pdf" for number in range(1000)]).found == {}
    assert len(pair(["a.pdf"] * 1000, ["A.PDF"] * 1000).found) == 1000
    assert pair(sent, [f"scan_{number}.pdf" for number in reversed(range(1000))]).found[0] == 999
    assert time.process_time() - began < LONGEST


def test_thousands_of_unknown_keys_are_one_line_at_once() -> None:
    """Suggestions are made for some, and the rest is counted."""
    began = time.process_time()
    with pytest.raises(DossierError, match="and 19995 more"):
        CaseInput.parse({"connection": "a", "reference": "b", **{f"connect{number}": 1 for number in range(20_000)}})
    assert time.process_time() - began < LONGEST
