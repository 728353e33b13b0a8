"""Actions on many cases: first a page that says what would happen and what it costs, then the action in the background.

The first page changes nothing. Its form names each of its cases, so what is confirmed is what was shown, even if other
cases match the filter by then.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Lock
from urllib.parse import parse_qsl

from botocore.exceptions import BotoCoreError, ClientError
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from cli.errors import BadUsageError, CommandError, explain
from cli.redrive import dismiss_case
from console.actions import Act, cancelled, redriven, refreshed, text
from console.cases import Filters, find
from console.desk import Desk, NotFoundError
from dossier.errors import DossierError
from dossier.models import CaseId, CaseStatus, now
from dossier.steps.accept import pages_of
from dossier.steps.redrive import for_good
from dossier.steps.refresh import pending, refreshable
from dossier.stores.cases import Case

MOST = 1000
"""Most cases of one bulk action."""
MOST_SEARCHED = 50_000
"""Cases among which those of a filter are looked for."""
AWS_USD = 0.0005
"""What a case costs of AWS at most (docs/cost.md); a case that goes on costs a part of it."""
_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Planned:
    """A case of a bulk action: the effect on it, or (``does`` is False) why there is none.

    ``pages`` are those that the vendor would get, or has, and may bill; ``usd`` their price, None if it is not known.
    """

    case: CaseId
    does: bool
    what: str
    pages: int = 0
    usd: float | None = 0.0


def dismissed(desk: Desk, case: CaseId) -> str:
    """Remove a failed case from the list of failures; return the outcome."""
    with desk.trail.action("redrive --dismiss", connection=case.connection, reference=case.reference):
        dismiss_case(desk.where, desk.app.cases.record(case), now())
    return f"{case.reference} is dismissed."


def _redrive(desk: Desk, case: Case, named: bool) -> Planned:
    record = case.record
    names = record.id
    if record.status is not CaseStatus.FAILED:
        return Planned(names, False, "not failed")
    if record.refused:
        return Planned(names, False, "never sent to a vendor: fix and submit again")
    if pending(case):
        return Planned(names, False, "a revision is being published")
    if for_good(record) and not named:
        return Planned(names, False, "rejected for their content: redrive them on their own pages, or by their cause")
    if names.connection not in desk.where.connections:
        return Planned(names, False, "the connection is no longer deployed")
    left = [each for each in case.documents if not (each.document_id or each.job_id)]
    pages = pages_of(left)
    what = "resumed where it stopped" if not left else "resumed; missing documents are sent"
    return Planned(names, True, what, pages, _price(desk, names, pages))


def _price(desk: Desk, case: CaseId, pages: int) -> float | None:
    """Return a vendor's price for the pages of a case; None if the settings do not have it."""
    settings = desk.settings.get(case.connection)
    price = settings.budget.price_per_page if settings else None
    return 0.0 if not pages else None if price is None else price * pages


def _cancel(desk: Desk, case: Case, _named: bool) -> Planned:
    if case.record.status.final:
        return Planned(case.record.id, False, "ended already")
    if pending(case):
        return Planned(case.record.id, False, "being published")
    pages = pages_of(each for each in case.documents if each.document_id or each.job_id)
    what = "stopped; the vendor may bill what it has" if pages else "stopped; the vendor has nothing of it"
    return Planned(case.record.id, True, what, pages, _price(desk, case.record.id, pages))


def _refresh(_desk: Desk, case: Case, _named: bool) -> Planned:
    if not refreshable(case, insist=True):
        return Planned(case.record.id, False, "not ended yet, or the vendor lacks a document")
    return Planned(case.record.id, True, "collected again; a difference becomes a revision")


def _dismiss(_desk: Desk, case: Case, _named: bool) -> Planned:
    if case.record.status is not CaseStatus.FAILED:
        return Planned(case.record.id, False, "not failed")
    if case.record.dismissed_at:
        return Planned(case.record.id, False, "dismissed before")
    return Planned(case.record.id, True, "removed from the list of failures; the data stays")


@dataclass(frozen=True, slots=True)
class Kind:
    """A bulk action: its button's name, its plan for a case, its function for a case, and its share of AWS's cost.

    ``vendor`` is the vendor's verb for the pages of the plan.
    """

    name: str
    plan: Callable[[Desk, Case, bool], Planned]
    act: Callable[[Desk, CaseId], str]
    aws_usd: float = 0.0
    vendor: str = "gets"


KINDS = {
    "redrive": Kind("Redrive", _redrive, redriven, AWS_USD),
    "refresh": Kind("Refresh", _refresh, refreshed, AWS_USD),
    "cancel": Kind("Cancel", _cancel, cancelled, vendor="has"),
    "dismiss": Kind("Dismiss", _dismiss, dismissed),
}


def plan(desk: Desk, request: Request, form: FormData) -> Response:
    """Return the plan of an action; it changes nothing.

    Raises:
        BadUsageError: no case is selected, or the action is unknown.

    """
    chosen, everything = text(form, "action"), text(form, "all")
    kind = KINDS.get(chosen or everything or "")
    if kind is None:
        raise BadUsageError("choose an action")
    more = False
    filters = Filters.of(dict(parse_qsl(text(form, "filter") or "")))
    if chosen:
        names = _named(form)
    else:
        found = find(desk, filters, desk.where.with_cases(filters.connection), limit=MOST, most=MOST_SEARCHED)
        names = [each.id for each in found.records if each.execution_arn]
        more = found.after is not None
    if not names:
        raise BadUsageError("select at least one case")
    return show(desk, request, chosen or everything or "", names, more=more, back=f"/cases?{filters.query(after=None)}")


def show(
    desk: Desk,
    request: Request,
    action: str,
    names: Sequence[CaseId],
    *,
    back: str,
    more: bool = False,
    named: bool = False,
) -> Response:
    """Return the plan of an action on these cases.

    Args:
        desk: the desk.
        request: the request.
        action: one of ``KINDS``.
        names: the cases.
        back: the page that the form was on.
        more: whether more cases match than one action takes.
        named: whether the operator has named their cause, which includes cases that were rejected for their content.

    """
    kind = KINDS[action]

    def look(each: CaseId) -> Planned:
        case = desk.app.cases.find(each)
        return Planned(each, False, "no such case") if case is None else kind.plan(desk, case, named)

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        planned = list(pool.map(look, dict.fromkeys(names)))
    does = [each for each in planned if each.does]
    known = [each.usd for each in does if each.usd is not None]
    return desk.page(
        request,
        "bulk_plan.html",
        action=action,
        kind=kind,
        does=does,
        leaves=[each for each in planned if not each.does],
        what=Counter(each.what for each in does).most_common(),
        why=Counter(each.what for each in planned if not each.does).most_common(),
        pages=sum(each.pages for each in does),
        vendor_usd=sum(known) if len(known) == len(does) else None,
        aws_usd=len(does) * kind.aws_usd,
        more=more,
        most=MOST,
        back=back,
    )


def _named(form: FormData) -> list[CaseId]:
    """Return the cases that a form names.

    Raises:
        BadUsageError: there are too many, or one is malformed.

    """
    given = [each.partition("/") for each in form.getlist("case") if isinstance(each, str)]
    if len(given) > MOST:
        raise BadUsageError(f"these are {len(given)} cases: an action takes at most {MOST}")
    if any(not connection or not reference for connection, _, reference in given):
        raise BadUsageError("this form names no case")
    return [CaseId(connection, reference) for connection, _, reference in given]


@dataclass
class Job:
    """A bulk action under way: the number of finished cases, and the failures."""

    action: str
    total: int
    done: int = 0
    problems: list[tuple[CaseId, str]] = field(default_factory=list)

    @property
    def ended(self) -> bool:
        """Whether every case was processed."""
        return self.done + len(self.problems) >= self.total


@dataclass
class Jobs:
    """The bulk actions of this run of the console."""

    found: dict[str, Job] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)
    _pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(_AT_ONCE))

    def start(self, desk: Desk, action: str, names: Iterable[CaseId]) -> str:
        """Start an action on cases; return its id."""
        cases = list(dict.fromkeys(names))
        job, own = Job(action, len(cases)), secrets.token_hex(8)
        self.found[own] = job
        for each in cases:
            self._pool.submit(self._one, desk, job, each)
        return own

    def _one(self, desk: Desk, job: Job, case: CaseId) -> None:
        problem = ""
        try:
            KINDS[job.action].act(desk, case)
        except (DossierError, CommandError, BotoCoreError, ClientError) as error:
            problem = explain(error).line
        except Exception as error:  # noqa: BLE001 -- one case never holds up the others, and none is left uncounted
            problem = f"{type(error).__name__}: {error}"
        desk.changed()
        with self._lock:
            if problem:
                job.problems.append((case, problem))
            else:
                job.done += 1


def run(desk: Desk, _request: Request, form: FormData) -> Response:
    """Start the planned action; redirect to the page with its progress.

    Raises:
        BadUsageError: the form names no case or action.

    """
    action, names = text(form, "action"), _named(form)
    if action not in KINDS or not names:
        raise BadUsageError("nothing is selected")
    return RedirectResponse(f"/bulk/{desk.jobs.start(desk, action, names)}", 303)


def progress(desk: Desk, request: Request) -> Response:
    """Return the page with the progress of an action."""
    job = desk.jobs.found.get(request.path_params["job"])
    if job is None:
        raise NotFoundError("there is no such action in this run of the console: the trail in S3 has its entries")
    return desk.page(request, "bulk_job.html", job=job, kind=KINDS[job.action])


ACTIONS: dict[str, Act] = {"/bulk": plan, "/bulk/run": run}
