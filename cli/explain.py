"""``dossier explain``: why a case or a connection does not move, what happens next, and who has to act."""

from __future__ import annotations

from collections import Counter
from itertools import islice

from cli.deployed import settings_of
from cli.errors import BadUsageError
from cli.output import Output
from cli.status import find
from cli.target import Target
from cli.text import local, when
from dossier import vendors
from dossier.models import CaseId, now
from dossier.steps.explain import Account, Explanation, Next, Who
from dossier.steps.explain import explain as explained
from dossier.steps.facts import facts_of
from dossier.steps.sweep import GRACE
from dossier.stores.cases import Case, CaseRecord
from dossier.stores.queues import poll_queue
from dossier.texts import counted

MOST_CASES = 1000
"""Most of a connection's latest cases, and of its waits, that are counted."""


def explain(out: Output, where: Target, reference: str | None, connection: str | None) -> None:
    """Print why a case does not move; without a reference, why a connection does not.

    Raises:
        BadUsageError: neither a reference nor a connection, or an unknown one.
        CommandError: there is no such case.

    """
    if reference is None:
        if connection is None:
            raise BadUsageError("name a case, or a connection with --connection", fix="see `dossier explain --help`")
        _connection(out, where, connection)
        return
    drop = _waiting_drop(where, reference, connection)
    found = explain_case(where, find(where, reference, connection)) if drop is None else _of_drop(drop)
    out.document(found.as_json())
    out.line(f"{found.connection} / {found.reference} is {found.status}: {local(found.sentence(now()))}")
    if found.broken:
        out.line(
            "This is a fault of Dossier: a case that has not ended always has a next event. `reconcile` counts it."
        )
    out.pairs([("waits for", local(found.waits_for or ""))])
    for name, lines in (("so far", found.tried), ("what helps", found.helps)):
        if lines:
            out.line(f"{name}:")
        for line in lines:
            out.line(f"  {local(line)}")


def explain_case(where: Target, case: Case) -> Explanation:
    """Return the explanation of a case."""
    app, name = where.app, case.record.connection
    removed = None if name in where.connections else app.cases.connections().get(name)
    facts = facts_of(
        case,
        vendor=vendor_name(case.record),
        context=app,
        settings=settings_of(where).get(name),
        removed=removed,
    )
    return explained(facts)


def vendor_name(record: CaseRecord) -> str:
    """Return the name of a case's vendor for people."""
    return named_vendor(record.vendor)


def named_vendor(name: str) -> str:
    """Return a vendor's name for people."""
    return vendors.adapter(name).__name__ if name in vendors.names() else "the vendor"


def _waiting_drop(where: Target, reference: str, connection: str | None) -> CaseRecord | None:
    """Return the drop that waits for files under a reference that has no case."""
    cases, names = where.app.cases, where.with_cases(connection)
    if any(cases.find_record(CaseId(name, reference)) for name in names):
        return None
    drops = (drop for name in names for drop in cases.waiting_drops(name))
    return next((drop for drop in drops if drop.reference == reference), None)


def _of_drop(drop: CaseRecord) -> Explanation:
    """Explain a folder or file in the inbox that is not a case yet."""
    lands = Next("files", f"the missing files land in inbox/{drop.connection}/", Who.OPERATOR)
    return Explanation(
        drop.connection,
        drop.reference,
        drop.status.value,
        f"it is not a case yet: {drop.reason}",
        lands,
        waits_for="files in the inbox",
        tried=(f"waits since {when(drop.submitted_at)}",),
    )


def _connection(out: Output, where: Target, name: str) -> None:
    where.with_cases(name)
    found = account(where, name)
    out.document(found.as_json())
    reasons = found.reasons() or [f"nothing holds up {name}"]
    for reason in reasons:
        out.line(local(reason))
    held = f", {counted(found.held, 'step')} held" if found.held else ""
    oldest = f", the oldest since {when(found.oldest_wait)}" if found.oldest_wait else ""
    rate = f"{found.standing.rate_used} % used" + (
        f" of {found.requests_per_second:g} a second" if found.requests_per_second else ""
    )
    lost = (
        None
        if found.lost_webhooks is None
        else f"{found.lost_webhooks} % of {counted(found.finished, 'finished case')}"
    )
    breaker = "open" if found.standing.block and found.standing.block.why == "breaker" else "closed"
    out.pairs(
        [
            ("vendor", found.vendor),
            ("waits", f"{found.waits}{oldest}{held}"),
            ("queue", f"{counted(found.queued, 'poll')} due, {counted(found.dead_letters, 'dead letter')}"),
            ("rate", rate),
            ("breaker", f"{breaker}, {counted(found.standing.failures, 'failure')} in a row"),
            ("lost webhooks", lost),
            ("cases", ", ".join(f"{number} {status}" for status, number in found.by_status.items())),
        ]
    )


def account(where: Target, name: str) -> Account:
    """Return the state of a connection."""
    app, settings, at = where.app, settings_of(where).get(name), now()
    deployed = name in where.connections
    waits = list(islice(app.waits.waiting(name), MOST_CASES))
    records = list(islice(app.cases.newest(name), MOST_CASES))
    heard = [each for each in records if each.status.completed and not each.appends_to]
    heard = heard if name in where.webhook_urls else []
    vendor = next((each.vendor for each in records), None) or (settings.vendor if settings else "")
    return Account(
        connection=name,
        vendor=named_vendor(vendor),
        at=at,
        standing=app.limiter.standing(settings or name),
        deployed=deployed,
        requests_per_second=settings.limits.requests_per_second if settings else None,
        waits=len(waits),
        oldest_wait=min((each.started_at for each in waits), default=None),
        overdue=sum(each.next_at < at - GRACE for each in waits),
        held=sum(1 for _ in islice(app.waits.held_steps(name), MOST_CASES)),
        queued=where.queues.depth(poll_queue(name)) if deployed else 0,
        dead_letters=where.dead_letters.count(poll_queue(name)) if deployed else 0,
        finished=len(heard),
        unheard=sum(each.woken is None for each in heard),
        by_status=dict(Counter(each.status.value for each in records)),
    )
