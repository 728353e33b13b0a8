"""Submits three cases on the local AWS, as a user would do it: ``make demo``.

Every step is a ``dossier`` command, printed before it runs. The local AWS keeps running afterwards.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from local.home import ROOT

DOSSIER = str(Path(sys.executable).with_name("dossier"))
DOCUMENTS = Path("events/documents")
CASES = {
    "invoices": ("invoice.pdf", "scan.tiff"),
    "claims": ("invoice.pdf", "receipt.png", "scan.tiff"),
    "disputes": ("invoice.pdf", "complaint.docx", "receipt.png", "scan.tiff"),
}
"""The documents for each connection, of types that its vendor reads."""

console = Console(highlight=False)


def main() -> int:
    """Run the demo; return the exit code."""
    began = time.monotonic()
    run("up")
    stamp = time.strftime("%Y%m%d-%H%M%S")
    references = {connection: f"demo-{connection}-{stamp}" for connection in CASES}
    for connection, reference in references.items():
        files = [str(DOCUMENTS / name) for name in CASES[connection]]
        run("submit", connection, *files, "--reference", reference)
    console.print("\nThe same commands again, with --wait: Dossier submits each case only once.")
    for connection, reference in references.items():
        files = [str(DOCUMENTS / name) for name in CASES[connection]]
        run("submit", connection, *files, "--reference", reference, "--wait", "--timeout", "240")
    show(references)
    console.print(
        f"\nDone in {time.monotonic() - began:.0f} s. The local AWS keeps running until .venv/bin/dossier down."
        " What to try next:"
    )
    last = references["disputes"]
    for command, what in (
        (f"status {last}", "shows a case, with the vendor's ids"),
        (f"fetch {last} results", "downloads its results to the folder results"),
        ("outputs", "prints bucket, state machine, webhook URLs"),
        ("console", "opens a page in your browser with these cases, for operators"),
    ):
        console.print(f"  .venv/bin/dossier {command}\n      {what}")
    return 0


def run(*arguments: str) -> None:
    """Print and run one command; end the demo with its exit code if it fails."""
    console.print(f"[bold]$ dossier {' '.join(arguments)}[/bold]", soft_wrap=True)
    code = subprocess.run([DOSSIER, *arguments], cwd=ROOT, check=False).returncode
    if code:
        raise SystemExit(code)


def show(references: dict[str, str]) -> None:
    """Print the files in S3."""
    import boto3  # noqa: PLC0415

    from local.control import outputs  # noqa: PLC0415 -- only once it is up
    from local.deploy import ACCESS_KEY, SECRET_KEY  # noqa: PLC0415

    found = outputs()
    s3 = boto3.client(
        "s3",
        endpoint_url=found.endpoint_url,
        region_name=found.region,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
    )
    table = Table(title=f"Files in s3://{found.bucket}", title_justify="left")
    for column in ("connection", "file", "bytes"):
        table.add_column(column, justify="right" if column == "bytes" else "left")
    counts = {"artifacts": 0, "result.json": 0}
    for connection, reference in references.items():
        prefix = f"cases/{connection}/{reference}/"
        table.add_section()
        for item in s3.list_objects_v2(Bucket=found.bucket, Prefix=prefix).get("Contents", []):
            kind = item["Key"].removeprefix(prefix).partition("/")[0]
            if kind in counts:
                counts[kind] += 1
            if kind in {"artifacts", "result.json", "manifest.json"}:
                table.add_row(connection, item["Key"].removeprefix(prefix), f"{item['Size']:,}")
    console.print()
    console.print(table)
    console.print(
        f"{counts['artifacts']} artifacts, {counts['result.json']} result.json files, under cases/CONNECTION/REFERENCE/"
    )


if __name__ == "__main__":
    sys.exit(main())
