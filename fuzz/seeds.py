"""The fuzzer's first inputs: recorded answers and deliveries in the targets' formats, and their words."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from fuzz.answers import END, FLOWS, SETTINGS
from fuzz.deliveries import CONNECTIONS, IN_BASE64, PACKED, SIGNED, TWICE, WHOLE
from fuzz.headers import ANSWERED, NAMES

ROOT = Path(__file__).parents[1]
EVENTS = ROOT / "events"
FOUND = Path(__file__).parent / "found"
LONGEST_WORD = 40
_WORD = re.compile(rb"[A-Za-z][A-Za-z0-9_-]{2,}")


def seeds(target: str) -> Iterator[bytes]:
    """Yield a target's first inputs, beginning with those that ever broke a promise."""
    yield from (path.read_bytes() for path in sorted(FOUND.glob(f"{target}-*")))
    yield from {
        "webhook": _deliveries,
        "replies": _answers,
        "headers": _headers,
        "results": _results,
        "markdown": _markdown,
        "names": _names,
        "settings": _settings,
        "urls": _urls,
    }[target]()


def words(target: str) -> list[bytes]:
    """Return the words in a target's seeds, which the fuzzer combines."""
    found = {word for seed in seeds(target) for word in _WORD.findall(seed) if len(word) <= LONGEST_WORD}
    return sorted(found)


def _recorded(vendor: str) -> Iterable[Path]:
    return sorted(path for path in (EVENTS / "vendors" / vendor).iterdir() if path.suffix in {".json", ".html"})


def _deliveries() -> Iterator[bytes]:
    sent = [path for kind in ("delivery", "webhook") for path in (EVENTS / "vendors").glob(f"*/*{kind}*.json")]
    for number, path in enumerate(sorted(sent)):
        for flags in (0, SIGNED, SIGNED | IN_BASE64, SIGNED | PACKED, SIGNED | TWICE):
            yield bytes([number % len(CONNECTIONS), flags]) + b"sha256=00\n" + path.read_bytes()
    for path in sorted((EVENTS / "deliveries").glob("*.json")):
        yield bytes([0, WHOLE]) + path.read_bytes()


def _answers() -> Iterator[bytes]:
    for number, (vendor, _) in enumerate(FLOWS):
        for path in _recorded(vendor):
            body = b"\x00" + path.read_bytes()
            yield bytes([number]) + body + END + body


def _headers() -> Iterator[bytes]:
    """Yield headers of vendors and storage, one a line in the order of ``NAMES``."""
    date, range_ = "Sat, 31 Jan 2026 12:00:30 GMT", "bytes 0-99/100"
    for number, given in enumerate(
        (
            {"retry-after": "7", "date": date},
            {"retry-after": date, "date": "Saturday, 31-Jan-26 12:00:30 GMT"},
            {"retry-after": "Mon, 01 Jan 99999999999999999999 00:00:00 GMT", "date": "Sat Jan 31 12:00:30 2026"},
            {"content-range": range_, "content-length": "100", "content-type": "application/pdf"},
            {"content-range": "bytes 0-9/*", "content-type": "multipart/byteranges; boundary=x"},
            {"content-encoding": "gzip, identity", "content-length": "9", "etag": '"00000000000000000000000000000000"'},
            {"content-encoding": "aws-chunked", "x-goog-hash": "crc32c=AAAAAA==,md5=1B2M2Y8AsgTpgAmY7PhCfg=="},
            {"content-encoding": "br", "repr-digest": "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:"},
            {"location": "https://storage.test/b?Signature=1%2F2", "digest": "md5=1B2M2Y8AsgTpgAmY7PhCfg=="},
            {"x-goog-stored-content-encoding": "gzip", "x-goog-stored-content-length": "29"},
        )
    ):
        lines = "\n".join(given.get(name, "") for name in NAMES).encode()
        for status in range(len(ANSWERED)):
            yield bytes([status, number]) + lines + END + (gzip.compress(b"{}") if number % 2 else b'{"message": "no"}')


def _results() -> Iterator[bytes]:
    for number, vendor in enumerate(SETTINGS):
        for path in _recorded(vendor):
            yield bytes([number]) + END.join([path.read_bytes()] * 6)


def _markdown() -> Iterator[bytes]:
    """Yield every text of several lines that the vendor's recorded answers have, and forms that they do not."""
    for path in (each for each in _recorded("ombudsman") if each.suffix == ".json"):
        yield from (text.encode() for text in _texts(json.loads(path.read_bytes())) if "\n" in text)
    yield b"```md\n- **Label:** value\n  - nested: 1\n```"
    yield b"| Field | Value |\n| --- | --- |\n| a | b |\n| c\n"
    yield "> \u2022 A: b\n1) c: d\n# Head\n~~~\n***e***: `f` &amp; [g](h)".encode()
    yield ("|" + "a|" * 99 + "\n|" + "-|" * 99 + "\n" + "|a\n" * 99).encode()
    yield b"```" + b" " * 999 + b"x"


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _texts(each)


def _names() -> Iterator[bytes]:
    given = ("a.pdf", "A.PDF", "../../etc/passwd", "CON.txt", "r\u00e9sum\u00e9.pdf", "\u202efdp.exe", "a\u2215b")
    yield from (name.encode() for name in (*given, "x" * 300))
    yield "\n".join(given).encode()


def _settings() -> Iterator[bytes]:
    yield (ROOT / "connections.toml").read_bytes()
    page = (ROOT / "docs" / "connections.md").read_text(encoding="utf-8")
    yield from (block.encode() for block in re.findall(r"```toml\n(.*?)```", page, re.DOTALL))
    table = '[x]\nvendor = "ombudsman"\ntenant = "t"\nbase_url = "https://x.test"\n'
    yield from (f"{table}{key}\n".encode() for key in re.findall(r"^\| `([a-z_.]+)`", page, re.MULTILINE))
    yield table.encode() + b'webhook = { scheme = "timestamped-hmac", tolerance = 9 }\nlimits = { concurrency = 2 }\n'


def _urls() -> Iterator[bytes]:
    hosts = ("storage.test", "files.test:8443", "api.test", "169.254.169.254", "[::1]", "storage.test@evil.test")
    yield from (f"https://{host}/bucket/a%2Fb.pdf?X-Sig=1%2F2#x".encode() for host in hosts)
    yield from (
        b"http://storage.test/",
        b"//storage.test/",
        b"https:\\\\storage.test\\a",
        b"https://storage.test:443/../a",
    )
