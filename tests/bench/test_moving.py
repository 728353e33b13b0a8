"""Files move between the servers on the loopback, with Dossier's steps; the pipe needs the AWS CLI (``make bench``)."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from bench.moving import DIRECTIONS, DOSSIER, PIPE, Mover, section, server

SIZE = 9_000_000
"""More than one part."""


@pytest.mark.parametrize("way", DIRECTIONS)
def test_dossier_moves_a_file(tmp_path: Path, way: str) -> None:
    """All of its bytes arrive: at S3 in two parts, or at the vendor in one form with its fields."""
    with server(tmp_path, "vendor") as vendor, server(tmp_path, "s3") as s3:
        moved = Mover(vendor, s3, tmp_path).dossier(way, SIZE)
        received = json.loads(httpx.get(f"{s3 if way == 'down' else vendor}/received").text)
    assert moved.seconds > 0
    assert moved.mib > 20
    came = sum(received.values())
    assert came == SIZE if way == "down" else SIZE < came < SIZE + 2000


def test_server_sends_what_its_path_names(tmp_path: Path) -> None:
    """Whole, or a range of it, as S3 does."""
    with server(tmp_path, "s3") as s3:
        whole = httpx.get(f"{s3}/b/k/3000000").content
        part = httpx.get(f"{s3}/b/k/3000000", headers={"Range": "bytes=1048570-1048999"})
    assert len(whole) == 3_000_000
    assert part.status_code == 206
    assert part.content == whole[1_048_570:1_049_000]


def test_section_says_what_is_missed() -> None:
    """The throughput of the largest file, and the memory at all sizes."""

    def both(size: str, mib: float, rate: float | None) -> dict[str, object]:
        own: dict[str, object] = {
            "mb_per_second": rate,
            "cpu": 1.0,
            "mib": mib,
            "seconds": 2.0,
            "start": 0.4,
            "direction": "down",
            "size": size,
        }
        return {DOSSIER: own, PIPE: own | {"mb_per_second": 100}}

    sizes = {"down 10 MB": both("10 MB", 90, None), "down 100 MB": both("100 MB", 90, 200)}
    text = "\n".join(section(sizes | {"down 1 GiB": both("1 GiB", 95, 80)}))
    assert "1 GiB | 0.80 | **no** |" in text
    assert "| +6 % | yes |" in text
    assert "| vendor to S3, 10 MB | — | — | 100 | 2.0 (0.4) |" in text
    assert "| vendor to S3, 100 MB | 2.00 | 200 | 100 |" in text
