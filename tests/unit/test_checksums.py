"""Checksums in Python: the standard's vectors, in pieces of any size."""

from __future__ import annotations

import hashlib
import random
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dossier.checksums import KINDS, Crc32c


def _bitwise(data: bytes) -> bytes:
    """Return CRC-32C as RFC 3720 defines it, bit by bit."""
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
    return (value ^ 0xFFFFFFFF).to_bytes(4, "big")


def _made(kind: str, *parts: bytes) -> bytes:
    digest = KINDS[kind]()
    for part in parts:
        digest.update(part)
    return digest.digest()


@pytest.mark.parametrize(
    ("data", "crc"),
    [
        (b"", "00000000"),
        (b"123456789", "e3069283"),
        (bytes(32), "8a9136aa"),
        (b"\xff" * 32, "62a8ab43"),
        (bytes(range(32)), "46dd794e"),
        (bytes(range(31, -1, -1)), "113fdb5c"),
    ],
)
def test_vectors_of_rfc_3720(data: bytes, crc: str) -> None:
    """The checksums of the RFC's appendix B.4, and the usual check value."""
    assert _made("crc32c", data).hex() == crc


@given(seed=st.integers(0, 99), sizes=st.lists(st.integers(0, 9000), max_size=6))
def test_crc32c_does_not_depend_on_the_pieces(seed: int, sizes: list[int]) -> None:
    """However the bytes come, and however many at once, the checksum is the definition's."""
    parts = [random.Random(seed + number).randbytes(size) for number, size in enumerate(sizes)]
    whole = b"".join(parts)
    assert _made("crc32c", *parts) == _made("crc32c", whole) == _bitwise(whole)


def test_crc32c_of_a_large_chunk() -> None:
    """A megabyte at once is folded many times, and is still the same."""
    data = random.Random(7).randbytes(1 << 20)
    assert _made("crc32c", data) == _made(
        "crc32c", *(data[start : start + 1000] for start in range(0, len(data), 1000))
    )
    assert Crc32c().digest() == bytes(4)


def test_other_checksums_come_from_hashlib() -> None:
    """Zlib's CRC-32 and hashlib's digests."""
    assert _made("crc32", b"1234", b"56789") == zlib.crc32(b"123456789").to_bytes(4, "big")
    for kind in ("md5", "sha1", "sha256", "sha512"):
        assert _made(kind, b"a", b"b") == hashlib.new(kind, b"ab").digest()
