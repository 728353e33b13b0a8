"""``dossier example``: prints a complete execution input, and every way to start it."""

from __future__ import annotations

import json
import shlex
from datetime import datetime
from typing import Any

from cli.deployed import settings_of
from cli.output import Output
from cli.target import Target
from dossier import vendors
from dossier.layout import INBOX, UPLOADS
from dossier.models import OptionValue, now
from dossier.options import plain

DOCUMENT = "dossier-example.pdf"
"""The example's document, in the bucket's ``uploads/``."""
_TITLE = "case_title"


def example(out: Output, where: Target, connection: str) -> None:
    """Upload a one-page document to the bucket, and print an input that names it, with the ways to start it.

    It submits nothing, because vendors bill for submissions.
    """
    where.require(connection)
    key = f"{UPLOADS}{DOCUMENT}"
    if where.app.objects.stat(key) is None:
        where.app.objects.write(key, page("Dossier: an example."), "application/pdf")
        out.progress(f"uploaded a one-page document to s3://{where.bucket}/{key}")
    settings = settings_of(where).get(connection)
    declared = vendors.vendor(settings).options() if settings else ()
    options: dict[str, OptionValue] = {_TITLE: "Example"} if any(each.name == _TITLE for each in declared) else {}
    case = _case(where, connection, key, options, now())
    ways = _ways(where, connection, case)
    out.document(
        {
            "input": case,
            **ways,
            "options": [{"option": each.name, "may_be": each.form, "says": plain(each.says)} for each in declared],
        }
    )
    for line in json.dumps(case, indent=2, ensure_ascii=False).splitlines():
        out.line(line)
    for title, lines in (
        ("Step Functions console", ways["console"]),
        ("AWS CLI", ways["aws_cli"]),
        ("Dossier, with your own file", ways["dossier"]),
        ("Drop, with your own file", ways["drop"]),
    ):
        out.line()
        out.line(f"{title}:")
        for line in lines:
            out.line(f"  {line}")
    if declared:
        out.line()
        out.line("Options:")
    for each in declared:
        out.line(f"  {each.name:<18} {each.form}: {plain(each.says)}")


def page(text: str) -> bytes:
    """Return a one-page PDF with a line of text and a correct table of offsets (ISO 32000-1, 7.5)."""
    drawn = f"BT /F1 24 Tf 72 720 Td ({text}) Tj ET".encode("ascii")
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R "
        b"/Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(drawn), drawn),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    body, offsets = b"%PDF-1.4\n", []
    for number, each in enumerate(objects, start=1):
        offsets.append(len(body))
        body += b"%d 0 obj\n%s\nendobj\n" % (number, each)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    size = len(objects) + 1
    head = b"xref\n0 %d\n0000000000 65535 f \n%s" % (size, table)
    return body + head + b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (size, len(body))


def _case(where: Target, connection: str, key: str, options: dict[str, OptionValue], at: datetime) -> dict[str, Any]:
    """Return the input, with a new reference each time, so that two examples never conflict."""
    return {
        "connection": connection,
        "reference": f"example-{at:%Y%m%d-%H%M%S}",
        "documents": [{"uri": f"s3://{where.bucket}/{key}", "name": DOCUMENT}],
        "options": options,
    }


def _ways(where: Target, connection: str, case: dict[str, Any]) -> dict[str, list[str]]:
    arn, region = where.state_machine_arn, where.region
    place = ["--region", region, *(["--endpoint-url", where.endpoint_url] if where.endpoint_url else [])]
    aws = "aws"
    if where.endpoint_url:
        from cli.local import CREDENTIALS  # noqa: PLC0415 -- only the local AWS needs these credentials

        aws = f"{CREDENTIALS} aws"
    start = ["stepfunctions", "start-execution", "--state-machine-arn", arn]
    copy = ["s3", "cp", "FILE.pdf", f"s3://{where.bucket}/{INBOX}{connection}/FILE.pdf"]
    console = (
        [f"the local AWS has no console; in an AWS account, open state machine {arn}"]
        if where.endpoint_url
        else [f"open https://{region}.console.aws.amazon.com/states/home?region={region}#/statemachines/view/{arn}"]
    )
    follow = f"dossier status {case['reference']} --connection {connection}"
    return {
        "console": [*console, "press Start execution, paste the input above, press Start execution", follow],
        "aws_cli": [f"{aws} {shlex.join([*start, *place, '--input', json.dumps(case)])}", follow],
        "dossier": [f"dossier submit {connection} FILE.pdf --wait"],
        "drop": [f"{aws} {shlex.join([*copy, *place])}"],
    }
