"""Verify the checksums that storage announces with a file.

A checksum belongs to one form of the file. Storage keeps some files compressed (``Content-Encoding: gzip``): then the
checksum is that of the compressed bytes, and it is useless if a proxy has decompressed them.

- ``x-goog-hash``: MD5 and CRC32C of the stored form, which ``x-goog-stored-content-encoding`` names
  (https://cloud.google.com/storage/docs/transcoding, https://cloud.google.com/storage/docs/xml-api/reference-headers)
- ``x-amz-checksum-…`` of S3, unless they are checksums of checksums of parts
  (https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html), and S3's ``ETag`` if its
  documentation says that it is an MD5: uploaded in one piece, encrypted with S3's own keys
  (https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html)
- ``Content-MD5`` (RFC 1864) and ``x-ms-blob-content-md5`` (Azure)
- ``Repr-Digest`` and ``Content-Digest`` (RFC 9530), and their predecessor ``Digest`` (RFC 3230)
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

LONGEST = 2000
"""Longest header that is read, in characters."""
_FOLD = (5685, 1362, 426)
"""x^5685 + x^1362 + x^426 + 1 is a multiple of CRC-32C's polynomial, also with all exponents doubled, and so on."""


class Digest(Protocol):
    """A checksum in progress, with the interface of ``hashlib``."""

    def update(self, data: bytes, /) -> None:
        """Add bytes."""

    def digest(self) -> bytes:
        """Return the checksum of all bytes so far."""


class Crc32:
    """CRC-32 (zlib's) as a digest."""

    def __init__(self) -> None:
        self._value = 0

    def update(self, data: bytes, /) -> None:
        """Add bytes."""
        self._value = zlib.crc32(data, self._value)

    def digest(self) -> bytes:
        """Return the checksum, big-endian."""
        return self._value.to_bytes(4, "big")


class Checks:
    """Compares announced checksums with the bytes as received and, if they were compressed, decompressed."""

    def __init__(self, headers: Mapping[str, str], *, packed: bool) -> None:
        """Read the announced checksums.

        Args:
            headers: the answer's.
            packed: whether its body is decompressed on arrival.

        """
        found = list(announced(headers, packed=packed))
        self._wanted = [(name, kind, value) for name, kind, value in found if len(value) == len(KINDS[kind]().digest())]
        kinds = {kind for _, kind, _ in self._wanted}
        self._came = {kind: KINDS[kind]() for kind in kinds}
        self._unpacked = {kind: KINDS[kind]() for kind in kinds} if packed else {}

    def came(self, data: bytes) -> None:
        """Add bytes as received."""
        for digest in self._came.values():
            digest.update(data)

    def unpacked(self, data: bytes) -> None:
        """Add bytes as stored."""
        for digest in self._unpacked.values():
            digest.update(data)

    def differs(self) -> str | None:
        """Return the header whose checksum differs; None if all match, or none was announced.

        For a compressed body it is not always known which form a checksum belongs to: it has to match one of them.
        """
        for name, kind, value in self._wanted:
            forms = [digests[kind].digest() for digests in (self._came, self._unpacked) if kind in digests]
            if value not in forms:
                return name
        return None


def announced(headers: Mapping[str, str], *, packed: bool) -> Iterator[tuple[str, str, bytes]]:
    """Yield the checksums that an answer announces: the header, the kind (of ``KINDS``), and the checksum."""
    given = {name.lower(): value[:LONGEST] for name, value in headers.items()}
    for name in ("content-md5", "x-ms-blob-content-md5"):
        yield from _of(name, "md5", given.get(name, ""))
    stored = given.get("x-goog-stored-content-encoding", "").strip().lower()
    if packed or stored in {"", "identity"}:  # else the body was decompressed on the way
        yield from _listed("x-goog-hash", given)
    for name in ("repr-digest", "content-digest", "digest"):
        yield from _listed(name, given)
    if given.get("x-amz-checksum-type", "").strip().upper() != "COMPOSITE":
        for kind in KINDS:
            yield from _of(f"x-amz-checksum-{kind}", kind, given.get(f"x-amz-checksum-{kind}", ""))
    if _is_an_md5(given):
        yield "etag", "md5", bytes.fromhex(given["etag"].strip().strip('"'))


def _of(name: str, kind: str, text: str) -> Iterator[tuple[str, str, bytes]]:
    try:
        value = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):  # a checksum of parts (``…-3``), or malformed
        return
    if value:
        yield name, kind, value


def _listed(name: str, given: Mapping[str, str]) -> Iterator[tuple[str, str, bytes]]:
    """Yield the checksums in a list: ``md5=…,crc32c=…``, or ``sha-256=:…:`` with parameters."""
    for part in given.get(name, "").split(","):
        kind, _, text = part.partition(";")[0].strip().partition("=")
        kind = kind.strip().lower().replace("sha-", "sha")
        kind = "sha1" if kind == "sha" else kind
        if kind in KINDS:
            yield from _of(name, kind, text.strip().strip(":"))


def _is_an_md5(given: Mapping[str, str]) -> bool:
    """Whether an ETag is the MD5 of the object according to S3's documentation; elsewhere it is opaque."""
    return (
        given.get("server", "").strip() == "AmazonS3"
        and given.get("x-amz-server-side-encryption", "").strip() == "AES256"
        and "EXPRESS" not in given.get("x-amz-storage-class", "").upper()
        and re.fullmatch(r'"[0-9a-f]{32}"', given.get("etag", "").strip()) is not None
    )


class Crc32c:
    """CRC-32C (Castagnoli; RFC 3720, appendix B.4) as a digest, at some hundred MiB a second.

    The bytes are a polynomial over GF(2), and the checksum is its remainder. A chunk is one integer whose lowest bit is
    the highest power. ``_FOLD`` replaces the highest powers by lower ones, many at a time; a table processes the rest
    byte by byte.
    """

    def __init__(self) -> None:
        self._value = 0xFFFFFFFF

    def update(self, data: bytes, /) -> None:
        """Add bytes."""
        if len(data) > 2 * _FOLD[0] // 8:
            data = self._folded(data)
        value = self._value
        for byte in data:
            value = _TABLE[(value ^ byte) & 0xFF] ^ (value >> 8)
        self._value = value

    def _folded(self, data: bytes) -> bytes:
        """Return short data with the same remainder as ``data`` and all bytes before it."""
        bits, size = int.from_bytes(data, "little") ^ self._value, 8 * len(data)
        self._value = 0
        for scale in range(size.bit_length(), -1, -1):
            power, *lower = (each << scale for each in _FOLD)
            step = power - lower[0]
            while size >= power + step:
                highest = bits & ((1 << step) - 1)
                bits = (bits >> step) ^ highest ^ (highest << lower[0] - lower[1]) ^ (highest << lower[0])
                size -= step
        bits <<= -size % 8
        return bits.to_bytes(-(-size // 8), "little")

    def digest(self) -> bytes:
        """Return the checksum, big-endian."""
        return (self._value ^ 0xFFFFFFFF).to_bytes(4, "big")


def _remainder(value: int) -> int:
    for _ in range(8):
        value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
    return value


_TABLE = [_remainder(value) for value in range(256)]

KINDS: dict[str, Callable[[], Digest]] = {
    "md5": lambda: hashlib.md5(usedforsecurity=False),
    "sha1": lambda: hashlib.sha1(usedforsecurity=False),
    "sha256": hashlib.sha256,
    "sha512": hashlib.sha512,
    "crc32": Crc32,
    "crc32c": Crc32c,
}
"""The checksums that are compared, by name; others are ignored."""
