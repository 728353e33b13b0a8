"""The pages of one case: its state, its documents beside their extracted data, its history, files and cost."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from cli.cost import case_cost
from cli.errors import CommandError
from cli.explain import explain_case, vendor_name
from cli.status import standing
from cli.timeline import entries_of, took
from console import previews
from console.desk import Desk, NotFoundError
from console.way import MOST_EVENTS, way
from dossier import layout
from dossier.errors import DossierError
from dossier.models import CaseId, CaseStatus, now
from dossier.questions import BUDGET
from dossier.result import DocumentResult, Result, readable
from dossier.steps.accept import pages_of
from dossier.steps.refresh import pending, refreshable
from dossier.stores.cases import Case, Question

MOST_RAW = 256 << 10
"""Bytes of a raw answer that are shown; all of it can be downloaded."""
MOST_CHANGES = 500
"""Differences between two revisions that are shown."""
_OWN = {"schema_version", "revision", "collected_at", "submitted_at", "completed_at", "connection", "reference"}
_NAMES = ("key", "document_id", "name", "timeline_id", "title")
"""Keys that identify the members of a result's lists, the best first."""


def found(desk: Desk, request: Request) -> Case:
    """Return the case that an address names.

    Raises:
        NotFoundError: there is none.

    """
    names = CaseId(request.path_params["connection"], request.path_params["reference"])
    case = desk.app.cases.find(names)
    if case is None:
        raise NotFoundError(f"there is no case {names.reference} at connection {names.connection}")
    return case


def _page(desk: Desk, request: Request, case: Case, tab: str, **values: Any) -> Response:
    record = case.record
    base = f"/cases/{record.connection}/{record.reference}"
    return desk.page(
        request,
        f"case_{tab}.html",
        case=case,
        record=record,
        base=base,
        tab=tab,
        vendor=vendor_name(record),
        allowed=allowed(case),
        **values,
    )


def allowed(case: Case) -> set[str]:
    """Return the actions that an operator may take on a case in its current state."""
    record, actions = case.record, set()
    if not record.status.final and not pending(case):
        actions.add("cancel")
    if refreshable(case, insist=True):
        actions.add("refresh")
    if record.status is CaseStatus.FAILED and not record.refused:
        actions.add("redrive")
    return actions


def overview(desk: Desk, request: Request) -> Response:
    """Return the page with the state of a case, the reason, and the next event."""
    case = found(desk, request)
    record, app = case.record, desk.app
    explanation = explain_case(desk.where, case)
    wait = None if record.status.final else app.waits.find(record.id)
    events = app.executions.history(record.execution_arn, most=MOST_EVENTS)
    settings = desk.settings.get(record.connection)
    pages = pages_of(case.documents) if case.documents else None
    price = settings.budget.price_per_page if settings else None
    return _page(
        desk,
        request,
        case,
        "overview",
        explanation=explanation,
        sentence=_begun(explanation.sentence(now())),
        stages=way(case, events, wait, explanation),
        documents=[(each, standing(each, ended=record.status.final)) for each in case.documents],
        pages=pages,
        uncounted=any(each.pages is None for each in case.documents),
        vendor_usd=None if price is None or pages is None else price * pages,
        questions=[(each, choices(case, each, vendor_name(record))) for each in case.questions],
        link=_console_link(desk, record.execution_arn),
    )


def _begun(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]


def _console_link(desk: Desk, arn: str) -> str | None:
    """Return the execution's page in the AWS console; the local AWS has none."""
    if desk.where.endpoint_url or not arn:
        return None
    return f"https://console.aws.amazon.com/states/home?region={desk.where.region}#/v2/executions/details/{arn}"


@dataclass(frozen=True, slots=True)
class Choice:
    """An answer to a question: its button's text, its effect, and its risk."""

    answer: str
    id: str
    name: str
    does: str
    risks: str
    asks_id: bool = False


def choices(case: Case, question: Question, vendor: str) -> list[Choice]:
    """Return the answers to a question, each with its risk."""
    give_up = Choice(
        "give_up", "", "Give up", "The case ends as failed. Dossier sends nothing more.",
        f"{vendor} may bill what it already has. `dossier redrive` resumes the case.",
    )  # fmt: skip
    if question.what == BUDGET:
        pages = pages_of(case.documents)
        return [
            Choice(
                "send", "", "Send it all the same", f"Dossier uploads the case to {vendor}, over the budget.",
                f"{vendor} bills {pages} page{'' if pages == 1 else 's'}.",
            ),
            give_up,
        ]  # fmt: skip
    risks = "If it belongs to another case, this case gets that document's results. Dossier looks the id up first."
    listed = [
        Choice("use", each.id, f"It is {each.id}", " · ".join(filter(None, (each.name, each.created))), risks)
        for each in question.choices
    ]
    return [
        *listed,
        Choice(
            "use", "", "Use another id" if listed else "Use its id", f"The id that {vendor} shows for it.", risks,
            asks_id=True,
        ),
        Choice(
            "retry", "", "Send it again", f"Only if {vendor} certainly does not have it.",
            f"If {vendor} has it after all, it has it twice and bills it twice.",
        ),
        give_up,
    ]  # fmt: skip


def result_of(desk: Desk, case: Case, revision: int | None = None) -> Result | None:
    """Return a case's result, or that of a revision; None if there is none."""
    return readable(desk.app.objects.read(layout.result_key(case.record.id, revision)))


def results(desk: Desk, request: Request) -> Response:
    """Return the page with a document beside its extracted data."""
    case = found(desk, request)
    result = result_of(desk, case) if case.record.status.final else None
    chosen = _number(request, "document", 0)
    document = next((each for each in case.documents if each.index == chosen), None)
    shown = None if document is None else previews.look(desk, document, _number(request, "page", 1))
    own = None if document is None or result is None else _own(result, document.document_id, document.name)
    return _page(desk, request, case, "results", result=result, document=document, shown=shown, own=own)


def _own(result: Result, document_id: str | None, name: str) -> DocumentResult | None:
    """Return the result of one document; the result of a single document belongs to it in any case."""
    by_id = [each for each in result.documents if document_id and each.document_id == document_id]
    by_name = [each for each in result.documents if each.name == name]
    return next(iter([*by_id, *by_name]), None)


def _number(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 7 else default


def history(desk: Desk, request: Request) -> Response:
    """Return the page with everything that happened to a case, in order."""
    case = found(desk, request)
    entries = [(each, "" if each.seconds is None else took(each.seconds)) for each in entries_of(desk.where, case)]
    return _page(desk, request, case, "history", entries=entries)


@dataclass(frozen=True, slots=True)
class Change:
    """A difference between two revisions; None for a missing value."""

    what: str
    before: str | None
    after: str | None


def revisions(desk: Desk, request: Request) -> Response:
    """Return the page with the revisions of a case, and the changes between two of them."""
    case = found(desk, request)
    last = case.revisions[-1].number if case.revisions else 0
    later = _number(request, "to", last)
    former = _number(request, "from", max(later - 1, 0))
    changes = list(differences(result_of(desk, case, former), result_of(desk, case, later))) if former else []
    return _page(
        desk, request, case, "revisions", former=former, later=later, changes=changes[:MOST_CHANGES],
        more=max(0, len(changes) - MOST_CHANGES),
    )  # fmt: skip


def differences(before: Result | None, after: Result | None) -> Iterator[Change]:
    """Yield the differences between two results, part by part, without attributes of the collection itself."""
    old, new = (dict(_flat("", {} if each is None else each.model_dump(mode="json"))) for each in (before, after))
    for what in dict.fromkeys((*old, *new)):
        if old.get(what) != new.get(what):
            yield Change(what, old.get(what), new.get(what))


def _flat(path: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for name, each in value.items():
            if path or name not in _OWN:
                yield from _flat(f"{path} / {name}" if path else name, each)
    elif isinstance(value, list):
        seen: dict[str, int] = {}
        for number, each in enumerate(value):
            own = next((str(each[name]) for name in _NAMES if each.get(name)), "") if isinstance(each, Mapping) else ""
            name = own or str(number + 1)
            seen[name] = seen.get(name, 0) + 1
            yield from _flat(f"{path} / {name}" + (f" ({seen[name]})" if seen[name] > 1 else ""), each)
    elif value is not None:
        yield path, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def files(desk: Desk, request: Request) -> Response:
    """Return the page with the files of a case, and a raw answer of the vendor if one is chosen."""
    case = found(desk, request)
    folder = layout.folder(case.record.id)
    groups: dict[str, list[tuple[str, int]]] = {}
    for key, size in desk.app.objects.list(folder):
        name = key.removeprefix(folder)
        kind = name.partition("/")[0] if "/" in name else "result"
        groups.setdefault(kind, []).append((name, size))
    wanted = request.query_params.get("show", "")
    raw = None
    if any(wanted == name for name, _ in groups.get("vendor", [])):
        body = desk.app.objects.read(folder + wanted) or b""
        raw = _readable(body[:MOST_RAW])
    order = {
        "documents": "Documents, as submitted", "artifacts": "Artifacts", "vendor": "Raw answers of the vendor",
        "result": "Result", "revisions": "Revisions",
    }  # fmt: skip
    shown = [(title, kind, groups[kind]) for kind, title in order.items() if kind in groups]
    return _page(desk, request, case, "files", groups=shown, wanted=wanted, raw=raw)


def _readable(body: bytes) -> str:
    """Return a body as indented JSON if it is JSON, else as it is."""
    try:
        return json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return body.decode(errors="replace")


def cost(desk: Desk, request: Request) -> Response:
    """Return the page with the cost of a case."""
    case = found(desk, request)
    problem, spent = "", None
    try:
        spent = case_cost(desk.where, case)
    except (DossierError, CommandError) as error:
        problem = str(error)
    return _page(desk, request, case, "cost", spent=spent, problem=problem)
