"""Moves one file with Dossier's own steps: ``python -m bench.mover down|up BYTES`` (see ``bench.moving``).

Prints the most memory of the process, as JSON.
"""

from __future__ import annotations

import json
import resource
import sys

from dossier import network
from dossier.http import Effect, FilePart, Flow, Reply, Request
from dossier.settings import Connection
from dossier.steps.download import store
from dossier.stores import s3
from dossier.stores.objects import Objects
from dossier.transport.client import Transport
from dossier.vendors import vendor


class Free:
    """A connection's key, and no limits: the benchmark does not measure limits that cases share."""

    def api_key(self, connection: str, *, fresh: bool = False) -> str:
        """Return a key."""
        return f"ds_test_{connection}_{fresh}"

    def take(self, connection: Connection, *, patience: float) -> None:
        """Take no turn."""

    def pause(self, connection: str, seconds: float) -> None:
        """Pause nobody."""

    def failed(self, connection: str, failure: str | None = None) -> None:
        """Fail."""
        raise RuntimeError(f"{connection}: {failure}")

    def succeeded(self, connection: str) -> None:
        """Count nothing."""

    def behind(self) -> Free:
        """Return this."""
        return self


def move(way: str, size: int, *, at: str, bucket: str) -> None:
    """Move a file from a vendor's storage to S3 (``down``), or from S3 to a vendor's API (``up``).

    Raises:
        RuntimeError: not all of it has arrived.

    """
    connection = connection_at(at)
    objects, free = Objects(s3.client(), bucket), Free()
    transport = Transport(network.client(), keys=free, turns=free, open_file=objects.open, patience=1)
    if way == "down":
        with transport.download(connection, f"{at}/file/{size}") as incoming:
            came = store(incoming, f"cases/invoices/R-1/artifacts/{size}", "file.bin", None, objects=objects).size
    else:
        part = FilePart("file", "file.bin", "application/octet-stream", f"staging/{size}", size)
        reply = transport.run(_send(part), vendor=vendor(connection))
        came = size if reply.status == 200 else 0
    if came != size:
        raise RuntimeError(f"{came} of {size} bytes have arrived")


def connection_at(at: str) -> Connection:
    """Return a connection at an address."""
    from dossier.vendors.docustack import CONNECTION  # noqa: PLC0415 -- as a function loads it

    return CONNECTION(
        name="invoices",
        vendor="docustack",
        base_url=at,
        allow_insecure=True,
        mode="test",
        schema_id="sch_1",
        organization_id="org_1",
    )


def _send(part: FilePart) -> Flow[Reply]:
    fields = (("schema_id", "sch_1"), ("organization_id", "org_1"))
    return (yield Request("POST", "/api/v1/documents/upload", fields=fields, files=(part,), effect=Effect.UNSAFE))


def main() -> None:
    """Move a file as the arguments say."""
    way, size, at, bucket = sys.argv[1:]
    move(way, int(size), at=at, bucket=bucket)
    print(json.dumps({"kib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}))


if __name__ == "__main__":
    main()
