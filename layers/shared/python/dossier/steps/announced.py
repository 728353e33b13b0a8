"""Announced: the events about a connection's cases, read from the stores.

The bus keeps no events, and a program on a developer's machine cannot be its target. Every event's content is stored
with its case, so ``dossier listen`` can send the program the same events.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from dossier.layout import result_key
from dossier.models import CaseId, CaseStatus
from dossier.result import readable
from dossier.steps.ask import question_detail
from dossier.steps.context import Context
from dossier.steps.publication import detail, kind_of
from dossier.steps.publish import ended_unread
from dossier.stores.cases import Case, CaseRecord
from dossier.stores.events import DetailType

LOOKED_AT = 2000
"""Most of a connection's latest cases that a look considers."""
_UNREAD = frozenset({CaseStatus.FAILED, CaseStatus.CANCELLED})
_Stands = tuple[int, CaseStatus, datetime | None, datetime | None]


@dataclass(frozen=True, slots=True)
class Announced:
    """An event about a case: its ``detail-type``, the time at which it happened, and its ``detail``."""

    case: CaseId
    kind: DetailType
    at: datetime
    detail: dict[str, Any]


class Announcements:
    """The events about a connection's cases, each once, as one look after the other finds them.

    It misses a question that was answered between two looks.
    """

    def __init__(self, connection: str, *, since: datetime | None, context: Context) -> None:
        """Begin.

        Args:
            connection: its cases' events are read.
            since: the first look also yields events since then; by default it yields nothing.
            context: the collaborators.

        """
        self._connection, self._since, self._context = connection, since, context
        self._known: dict[str, _Stands] | None = None
        self._asked = set[tuple[str, str, datetime]]()

    def look(self) -> list[Announced]:
        """Return the events since the look before, oldest first."""
        known, first = self._known or {}, self._known is None
        stand = dict[str, _Stands]()
        found: list[Announced] = []
        for record in islice(self._context.cases.newest(self._connection), LOOKED_AT):
            stand[record.reference] = _stands(record)
            if known.get(record.reference) == stand[record.reference]:
                continue
            old = first and (self._since is None or record.updated_at < self._since)
            if old and record.status is not CaseStatus.NEEDS_ATTENTION:
                continue  # an open question is noted, so that it is not reported later
            case = self._context.cases.find(record.id)
            if case is None:
                continue
            events = list(self._of(case, known.get(record.reference)))
            found += [each for each in events if not first or (self._since is not None and each.at >= self._since)]
        self._known = known | stand
        return sorted(found, key=lambda each: each.at)

    def _of(self, case: Case, before: _Stands | None) -> Iterator[Announced]:
        """Yield the events of a case since it was in the given state."""
        record, bucket = case.record, self._context.objects.bucket
        revisions = sorted(case.revisions, key=lambda each: each.number)
        for revision in revisions:
            if not (before[0] if before else 0) < revision.number <= record.revision:
                continue
            result = readable(self._context.objects.read(result_key(record.id, revision.number)))
            if result is None:
                continue
            kind, at = kind_of(result, revision.number), revision.collected_at or record.updated_at
            changed = revision.changes if revision.number > 1 else None
            yield Announced(record.id, kind, at, detail(result, bucket, changed))
        ended = record.completed_at
        by_revision = bool(revisions) and revisions[-1].status == record.status.value
        known = before is not None and (before[2] == ended or before[0] < record.revision)
        if record.status in _UNREAD and ended and not known and not (by_revision and before is None):
            yield Announced(record.id, "Case Failed", ended, detail(ended_unread(case), bucket))
        for question in case.questions:
            asked = (record.reference, question.what, question.asked_at)
            if asked not in self._asked:
                self._asked.add(asked)
                yield Announced(
                    record.id, "Case Needs Attention", question.asked_at, question_detail(case, question, record.vendor)
                )


def _stands(record: CaseRecord) -> _Stands:
    """Return the values of a case that change with each event about it."""
    asks = record.updated_at if record.status is CaseStatus.NEEDS_ATTENTION else None
    return record.revision, record.status, record.completed_at, asks
