"""Part ``counts``: the requests of one case at each vendor, counted in process: a machine does not matter.

``tests/infra/test_cost.py`` holds the same counts, so that none grows unnoticed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from bench.report import reached, table
from checks.cost import CONNECTIONS, metered
from checks.synthesis import definition, templates
from dossier.steps import collect
from dossier.stores import limiter

VENDORS = dict(zip(CONNECTIONS, ("DocuStack", "Docsumo", "Ombudsman"), strict=True))
CASES = 3
"""Cases one after the other; the first two also read the account's list, which still has no entry before theirs."""
LEAST = {"invoices": 3, "claims": 9, "disputes": 7}
"""Requests that a case of one document takes by the guides, if the vendor is done at once. DocuStack: upload, status,
document. Docsumo: upload, the case in the list, its files, and for each of three files a link and the file. Ombudsman:
case, document, the document's state, assessment, the case's state, and both results."""
BEFORE = {"invoices": (24, 21), "claims": (38, 30), "disputes": (47, 42)}
"""Writes and reads of the table, as counted when the target was set."""
TABLE_WRITES, TABLE_READS = ("PutItem", "UpdateItem", "DeleteItem"), ("GetItem", "Query", "BatchGetItem")
S3_WRITES, S3_READS = ("PutObject", "CopyObject"), ("GetObject", "HeadObject", "ListObjectsV2")


@contextmanager
def unhurried() -> Iterator[None]:
    """Count the same however busy the machine is: all turns of a step are one moment, and no download is slow."""
    before = limiter.JUST_READ, collect.EARLY
    limiter.JUST_READ = collect.EARLY = 600.0
    try:
        yield
    finally:
        limiter.JUST_READ, collect.EARLY = before


def run() -> dict[str, Any]:
    """Walk cases of one document at each vendor, which are done at the first poll; return the counts of each."""
    machine, found = definition(templates()[3]), dict[str, Any]()
    for connection, vendor in VENDORS.items():
        with unhurried(), metered() as it:
            found[vendor] = [_counts(it, machine, connection, number) for number in range(CASES)]
    return found


def _counts(it: Any, machine: Mapping[str, Any], connection: str, number: int) -> dict[str, int]:
    before = len(it.world.journal())
    counts = it.walk(machine, connection, f"R-{number}")
    journal = it.world.journal()[before:]
    asked: Counter[str] = counts.requests

    def of(service: str, names: Sequence[str]) -> int:
        return sum(asked[f"{service}.{name}"] for name in names)

    return {
        "vendor": len(journal),
        "table writes": of("dynamodb", TABLE_WRITES),
        "table reads": of("dynamodb", TABLE_READS),
        "S3 writes": of("s3", S3_WRITES),
        "S3 reads": of("s3", S3_READS),
        "SQS": asked["sqs.SendMessage"],
        "transitions": counts.transitions,
        "invocations": counts.invoked.total(),
    }


def section(found: Mapping[str, Sequence[Mapping[str, int]]]) -> list[str]:
    """Return the page's section."""
    targets = []
    for connection, vendor in VENDORS.items():
        last = found[vendor][-1]
        least, (writes, reads) = LEAST[connection], BEFORE[connection]
        targets.append(
            [f"{vendor}: requests to the vendor, at most the guide's", f"{last['vendor']} of {least}",
             reached(last["vendor"] <= least)]
        )  # fmt: skip
        targets.append(
            [f"{vendor}: writes and reads of the table, half of {writes} and {reads}",
             f"{last['table writes']} and {last['table reads']}",
             reached(2 * last["table writes"] <= writes and 2 * last["table reads"] <= reads)]
        )  # fmt: skip
    names = list(next(iter(found.values()))[0])
    rows = [
        [f"{vendor}, {which}", *(str(each[name]) for name in names)]
        for vendor, cases in found.items()
        for which, each in (("its first case", cases[0]), ("a later one", cases[-1]))
    ]
    return [*table(("target", "figure", "reached"), targets), "", *table(("one document", *names), rows)]
