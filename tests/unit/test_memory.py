"""An answer of the largest size, with any content, is read within a function's memory."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dossier.http import MOST_VALUES
from dossier.transport.decoding import ANSWER_LIMIT
from infra.function import MEMORY
from tests.tables import ROOT

SPARE = 128
"""MiB that a function needs besides: the clients of AWS, TLS, the file of an upload."""
READ = """
import sys
import dossier.bootstrap
from dossier import vendors
from dossier.http import Reply
from dossier.masks import masked
for name in vendors.names():
    vendors.adapter(name)
body = open(sys.argv[1], "rb").read()
value = Reply(200, masked(body, ["key-4f1e9a7c2b"])).json()
assert value
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""
"""Reads an answer as the transport does, and says how many KiB the process has had at most."""
BODIES: dict[str, Callable[[], bytes]] = {
    "half an emoji": lambda: b'{"a": "' + b"x" * (ANSWER_LIMIT - 20) + b'\\ud83d"}',
    "an emoji": lambda: b'{"a": "%b%b"}' % (b"x" * (ANSWER_LIMIT - 20), "🙂".encode()),
    "many halves": lambda: b'["' + b"\\ud83d" * ((ANSWER_LIMIT - 20) // 6) + b'"]',
    "many texts with half an emoji": lambda: _list(b'"%b\\ud83d"' % (b"x" * 20)),
    "lists": lambda: _list(b"[]"),
    "numbers": lambda: _list(b"1.5"),
    "objects": lambda: b"[%b]" % b",".join(b'{"k%06d":1.5}' % number for number in range(MOST_VALUES // 2 - 1)),
}


def _list(item: bytes) -> bytes:
    marks = 1 + sum(item.count(mark) for mark in (b"[", b"{", b","))
    return b"[%b]" % b",".join([item] * min((MOST_VALUES - 1) // marks, (ANSWER_LIMIT - 2) // (len(item) + 1)))


@pytest.mark.rule("security: fill the memory: endless answers, decompression bombs")
@pytest.mark.parametrize("kind", BODIES)
def test_the_largest_answer_fits_into_a_function(tmp_path: Path, kind: str) -> None:
    """Half an emoji in 16 MiB, or as many values as an answer may have, fit into the function's memory."""
    body = BODIES[kind]()
    assert len(body) <= ANSWER_LIMIT
    (tmp_path / "body").write_bytes(body)
    command = [sys.executable, "-c", READ, str(tmp_path / "body")]
    path = {"PYTHONPATH": str(ROOT / "layers" / "shared" / "python")}
    done = subprocess.run(command, env=path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-500:]
    assert int(done.stdout) / 1024 < MEMORY - SPARE
