"""The cases of the fault suite, and the operator who answers their questions."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from dossier.models import CaseId
from tests.chaos.deployment import ROOT, Deployment

CASES = int(os.environ.get("DOSSIER_CHAOS_CASES", "9"))
"""Cases under every fault: a few in ``make test``, 300 in ``make chaos``."""
ACCOUNTS = int(os.environ.get("DOSSIER_CHAOS_ACCOUNTS", "1"))
"""Accounts at each vendor that these cases are spread over. A pause of one account, and at 20 % there is one most of
the time, does not hold up the others."""
FILES: dict[str, tuple[str, str]] = {
    "invoices": ("invoice.pdf", "scan.tiff"),
    "claims": ("invoice.pdf", "receipt.png"),
    "disputes": ("complaint.docx", "receipt.png"),
}
ENDED = frozenset({"completed", "completed_with_failures", "failed"})
AT_REST = ENDED | {"needs_attention"}
Row = Mapping[str, Any]


def named(kind: str, account: int) -> str:
    """Return the name of a connection: ``claims`` at the first account (0), ``claims-2`` at the second."""
    return f"{kind}-{account + 1}" if account else kind


def kind(connection: str) -> str:
    """Return the name without the account's number."""
    return connection.partition("-")[0]


@dataclass(frozen=True, slots=True)
class Group:
    """Cases of one test: as many at each connection, with references that begin alike.

    With ``accounts`` above 1 they take turns at so many accounts of each vendor.
    """

    deployment: Deployment
    prefix: str
    count: int
    accounts: int = 1

    def submit(self, part: int = 0, *, of: int = 1) -> None:
        """Start every case, or one part of them, eight at once."""
        jobs = self._jobs(range(part, self.count // len(FILES), of))
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda job: self._start(*job), jobs))

    def _jobs(self, numbers: Iterable[int]) -> list[tuple[str, int]]:
        return [(named(kind, number % self.accounts), number) for number in numbers for kind in FILES]

    def _start(self, connection: str, number: int) -> None:
        self.deployment.submit(connection, f"{self.prefix}-{number}", self.contents(connection, number))

    def contents(self, connection: str, number: int) -> dict[str, bytes]:
        """Return a case's documents, one or two: real files, with a name (in most formats, bytes) of their own."""
        files = {}
        for name in FILES[kind(connection)][: 1 + number // self.accounts % 2]:
            body = (ROOT / "events" / "documents" / name).read_bytes()
            stem, _, ending = name.rpartition(".")
            trailer = f"\n% {self.prefix} {number}".encode() if ending != "docx" else b""
            files[f"{stem}-{self.prefix}-{connection}-{number}.{ending}"] = body + trailer
        return files

    @property
    def documents(self) -> int:
        """How many documents the cases have."""
        return sum(len(self.contents(*job)) for job in self._jobs(range(self.count // len(FILES))))

    def rows(self) -> list[Row]:
        """Return the cases as `dossier list` shows them."""
        return [row for row in self.deployment.cases() if row["reference"].startswith(f"{self.prefix}-")]

    def wait(self, until: Callable[[list[Row]], bool], *, seconds: float, every: float = 3) -> list[Row]:
        """Return the cases once ``until`` holds for them; look ``every`` so many seconds, or rarer if they are many."""
        give_up = time.monotonic() + seconds
        while True:
            rows = self.rows()
            if until(rows):
                return rows
            assert time.monotonic() < give_up, Counter(row["status"] for row in rows)
            time.sleep(every + self.count / 30)  # listing them slows the work down

    def all_in(self, statuses: Iterable[str]) -> Callable[[list[Row]], bool]:
        """Return the condition that every case is there and in one of ``statuses``."""
        wanted = frozenset(statuses)
        return lambda rows: len(rows) == self.count and all(row["status"] in wanted for row in rows)

    def _names(self, row: Row) -> list[str]:
        """Return the names of a case's documents, in their order."""
        return sorted(self.contents(row["connection"], int(row["reference"].rpartition("-")[2])))

    def answer(self) -> int:
        """Answer every open question like an operator who looks at the vendor; return their number."""
        asked = [row for row in self.rows() if row["status"] == "needs_attention"]
        effects = [effect for entry in self.deployment.journal() for effect in entry["effects"]]
        for row in asked:
            names = CaseId(row["connection"], row["reference"])
            for question in self.deployment.dossier("status", *names)["questions"]:
                found = _made(effects, row, question["what"], self._names(row))
                verdict = ["--use", found] if found else ["--retry"]
                which = ["--connection", row["connection"], "--question", question["what"]]
                self.deployment.dossier("resolve", row["reference"], *which, *verdict)
        return len(asked)


def _made(effects: Iterable[Row], row: Row, what: str, names: list[str]) -> str | None:
    """Return the id that a vendor's request created: an opened case, or the upload's case or document."""
    found = list(effects)
    if what == "open":
        made = [each["case_id"] for each in found if each.get("external_case_id") == row["reference"]]
        return made[-1] if made else None
    batch = int(what.removeprefix("upload-"))
    wanted, key = (names[0], "case_id") if kind(row["connection"]) == "claims" else (names[batch], "document_id")
    return next((each[key] for each in found if each["effect"] == "document_uploaded" and each["name"] == wanted), None)
