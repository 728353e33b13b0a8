"""Meaningless bodies with a valid proof: each is stored and answered, and moves nothing."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterator

from tests.chaos.deliveries import Account

BINARY, JSON = "application/octet-stream", "application/json"
CONTENT_TYPES = (
    None,
    "",
    "text/plain",
    "application/octet-stream",
    "application/json; charset=utf-16",
    "APPLICATION/JSON",
    "application/json;;; q=1",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=none",
    "image/png",
    "*/*",
    "x" * 200,
)
"""Content types that count like ``application/json``."""

Body = tuple[str, str, bytes]


def malformed(account: Account, dice: random.Random) -> list[Body]:
    """Return all of them: name, content type, bytes."""
    key = "doc_id" if account.vendor == "docsumo" else "document_id"
    return [*_no_json(dice), *_odd_json(key), *((f"an id that is {what}", JSON, body) for what, body in _ids(key))]


def _no_json(dice: random.Random) -> Iterator[Body]:
    for byte in (b"0", b"{", b"\x00", b"\xff", b" ", b'"'):
        yield "one byte", BINARY, byte
    yield "nothing", JSON, b""
    yield "random bytes", BINARY, dice.randbytes(dice.randint(1, 2000))
    yield "NULs", BINARY, bytes(dice.randint(1, 2000))
    yield "cut short", JSON, b'{"event": "document_completed", "document_id": "doc'
    yield "two values", JSON, b'{"event": "a"}{"event": "b"}'
    yield "not UTF-8", BINARY, b'{"document_id": "\xc3\x28"}'
    yield "UTF-16", BINARY, '{"document_id": "a"}'.encode("utf-16")
    yield "a byte order mark", BINARY, b"\xef\xbb\xbf[]"
    yield "XML", "application/xml", b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>'
    yield "a form", "application/x-www-form-urlencoded", b"event=document_completed&document_id=1"
    yield "HTML", "text/html", b"<!doctype html><title>502</title>"
    yield "compressed", BINARY, gzip.compress(b'{"event": "document_completed"}', mtime=0)


def _odd_json(key: str) -> Iterator[Body]:
    for value in ("null", "true", "1", '"text"', "[]", "{}", "[[]]"):
        yield "not an object", JSON, value.encode()
    yield "nested lists", JSON, b"[" * 50_000
    yield "nested lists, closed", JSON, b"[" * 900 + b"]" * 900
    yield "nested objects", JSON, b'{"data":' * 20_000 + b"1" + b"}" * 20_000
    yield "a huge number", JSON, f'{{"{key}": {"9" * 100_000}}}'.encode()
    yield "a number of 4,300 digits", JSON, f'{{"{key}": {"9" * 4300}}}'.encode()
    yield "a number beyond floats", JSON, f'{{"{key}": 1e999, "n": -1e-999}}'.encode()
    yield "no number", JSON, f'{{"{key}": NaN, "n": -Infinity}}'.encode()
    yield "one key twice", JSON, f'{{"{key}": {{}}, "{key}": []}}'.encode()
    yield "many values", JSON, b"[" + b"0," * 200_000 + b"0]"
    yield "many keys", JSON, json.dumps({str(number): number for number in range(5000)}).encode()
    ids = [f"{number}-of-thousands" for number in range(40_000)]
    yield "thousands of ids", JSON, json.dumps({"event": "job_completed", f"{key}s": ids}).encode()
    yield "keys of objects", JSON, b'{"__proto__": {"admin": true}, "constructor": 1, "__class__": "x"}'


def _ids(key: str) -> Iterator[tuple[str, bytes]]:
    for what, value in (
        ("a number", 7),
        ("a fraction", 7.5),
        ("null", None),
        ("true", True),
        ("a list", ["a", ["b"]]),
        ("an object", {"id": {"id": "a"}}),
        ("empty", ""),
        ("blank", " \t "),
        ("NUL", "a\x00b"),
        ("lines", "a\r\nb"),
        ("a path", "../../secrets#CASE"),
        ("a key of the table", "CASE#invoices#INV-1"),
        ("long", "a" * 600),
        ("longer", "a" * 100_000),
        ("of letters of all kinds", "é漢🗂\u202e\u0301"),
    ):
        yield what, json.dumps({"event": "document_completed", key: value}).encode()
    yield "half of a pair of letters", f'{{"{key}": "\\ud83d"}}'.encode()
