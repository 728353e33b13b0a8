"""A case over its connection's budget asks before its upload; each case is counted once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from dossier.errors import InvalidCaseError
from dossier.models import CaseId, CaseStatus
from dossier.settings import Budget
from dossier.steps.accept import accept
from dossier.stores.budgets import Budgets, Spent, excess
from tests.conftest import Cloud
from tests.machine import Killed, World, samples
from tests.records import record

R_1 = CaseId("invoices", "R-1")


def world_with(cloud: Cloud, **budget: Any) -> World:
    """Return a world whose connection ``invoices`` has a budget."""
    world = World(cloud)
    limited = world.connections["invoices"].model_copy(update={"budget": Budget(**budget)})
    world.connections["invoices"] = limited
    return world


def case_of(world: World, reference: str, *, pages: int = 1) -> dict[str, Any]:
    """Return the input of a case of one document with that many pages."""
    tree = b"2 0 obj\n<< /Type /Pages /Count %d /Kids [] >>\nendobj\n" % pages
    body = b"%PDF-1.7\n" + tree + reference.encode() + b"\n%%EOF"
    uri = world.cloud.put(f"staging/invoices/{reference}", body)
    return {"connection": "invoices", "reference": reference, "documents": [{"uri": uri, "name": "a.pdf"}]}


def accepted(world: World, reference: str, *, pages: int = 1) -> bool:
    """Accept a case; return whether it asks."""
    return accept(case_of(world, reference, pages=pages), f"arn:{reference}", context=world.context).asks


def test_a_case_over_each_limit_asks(cloud: Cloud) -> None:
    """Pages of a case, cases of a day, pages of a day; a case that asks is not counted, so a smaller one still fits."""
    world = world_with(cloud, cases_per_day=3, pages_per_day=10, pages_per_case=6, price_per_page=0.05)
    budgets = cloud.app.cases.budgets
    assert accepted(world, "R-1", pages=7)
    doubt = cloud.app.cases.doubt(R_1, "budget")
    assert doubt is not None
    assert doubt.text == (
        "the case is over the budget of connection invoices: it has 7 pages, and budget.pages_per_case is 6. It has "
        "7 pages, about $0.35 at the vendor. Nothing was sent to the vendor"
    )
    assert not accepted(world, "R-2", pages=6)
    assert accepted(world, "R-3", pages=5)
    assert not accepted(world, "R-4", pages=4)
    assert budgets.spent("invoices") == Spent(budgets.spent("invoices").day, 2, 10)
    assert excess(1, Spent("", 3, 10), Budget(cases_per_day=3, pages_per_day=10)) == [
        "with it today has 4 cases, and budget.cases_per_day is 3",
        "with it today has 11 pages, and budget.pages_per_day is 10",
    ]


def test_nothing_is_sent_until_an_operator_allows_it(cloud: Cloud) -> None:
    """The case is needs_attention, its event names both answers; once it is allowed, it continues to its end."""
    world = world_with(cloud, pages_per_case=2)
    seen: list[tuple[CaseStatus, int]] = []
    answer = world._answer

    def look(what: str, names: CaseId) -> None:
        seen.append((cloud.app.cases.get(names).record.status, len(world.effects("document_uploaded"))))
        answer(what, names)

    world._answer = look  # type: ignore[method-assign]
    assert world.execute(case_of(world, "R-1", pages=3), "arn:1")["status"] == "completed"
    assert world.asked == ["budget"]
    assert seen == [(CaseStatus.NEEDS_ATTENTION, 0)]
    [asked] = [detail for kind, detail in world.sent_events if kind == "Case Needs Attention"]
    assert asked["answers"] == [
        "dossier resolve R-1 --connection invoices --send",
        "dossier resolve R-1 --connection invoices --give-up",
    ]


def test_a_case_within_the_budget_or_without_one_asks_nothing(cloud: Cloud) -> None:
    """A price alone is not a limit, and nothing is counted for it."""
    world = world_with(cloud, price_per_page=1.0)
    assert world.submit("invoices", "R-1", samples("invoice.pdf"))["status"] == "completed"
    assert cloud.app.cases.budgets.spent("invoices").cases == 0
    world = world_with(cloud, pages_per_day=1)
    assert world.submit("invoices", "R-2", samples("invoice.pdf"))["status"] == "completed"
    assert world.asked == []
    assert cloud.app.cases.budgets.spent("invoices").pages == 1


def test_unknown_pages_count_as_one(cloud: Cloud) -> None:
    """An Office file, and a document that the vendor reads itself."""
    world = world_with(cloud, pages_per_day=100)
    body = samples("complaint.docx")["complaint.docx"]
    uri = world.cloud.put("staging/invoices/R-1", body)
    documents = [{"uri": uri, "name": "a.docx"}, {"uri": "https://example.com/b.pdf"}]
    context = world.context
    try:
        accept({"connection": "invoices", "reference": "R-1", "documents": documents}, "arn:1", context=context)
    except InvalidCaseError:  # the vendor reads no Office files
        accept(
            {"connection": "invoices", "reference": "R-1", "documents": documents[1:]}, "arn:1", context=world.context
        )
    case = cloud.app.cases.get(R_1)
    assert cloud.app.cases.budgets.spent("invoices").pages == len(case.documents)


def test_a_case_is_counted_once_wherever_accept_is_killed(cloud: Cloud) -> None:
    """The step is retried after it died at any of its calls, with other cases counted in between."""
    at, reached = 0, True
    while reached:
        world = world_with(cloud, cases_per_day=100, pages_per_day=100)
        cloud.empty_table()
        case = case_of(world, "R-1", pages=3)
        world.killer.at, world.killer.seen, world.killer.inside = at, 0, True
        try:
            accept(case, "arn:1", context=world.context)
            reached = False
        except Killed:
            pass
        world.killer.at, world.killer.inside = None, False
        assert not accepted(world, "R-2", pages=2)
        for _ in range(2):
            assert not accept(case, "arn:1", context=world.context).asks
        assert accept(case, "arn:other", context=world.context).outcome == "duplicate"
        spent = cloud.app.cases.budgets.spent("invoices")
        assert (spent.cases, spent.pages) == (2, 5), at
        at += 1
    assert at > 10


def test_many_cases_at_once_never_exceed_the_budget(cloud: Cloud) -> None:
    """Exactly as many pass as the budget has room for."""
    budgets, budget = Budgets(cloud.app.table), Budget(cases_per_day=5, pages_per_day=1000)
    for number in range(12):
        cloud.app.cases.claim(record(reference=f"R-{number}"))
    with ThreadPoolExecutor(6) as pool:
        over = list(pool.map(lambda each: budgets.spend(CaseId("invoices", f"R-{each}"), 2, budget), range(12)))
    assert sum(not each for each in over) == 5
    assert (budgets.spent("invoices").cases, budgets.spent("invoices").pages) == (5, 10)


def test_an_allowed_case_is_counted_and_not_asked_about_again(cloud: Cloud) -> None:
    """Also if it fails later and is redriven."""
    world = world_with(cloud, pages_per_case=2)
    case = case_of(world, "R-1", pages=3)
    assert accept(case, "arn:1", context=world.context).asks
    cases = cloud.app.cases
    assert cases.budgets.spend(R_1, 3, Budget(), allowed=True) == []
    cases.name(R_1, "budget", "send")
    cases.change(R_1, status=CaseStatus.FAILED, reason="later")
    resumed = {
        **case,
        "documents": [{"uri": f"s3://artifacts/{cases.get(R_1).documents[0].key}", "name": "a.pdf"}],
    }
    assert not accept({**resumed, "resume": True}, "arn:2", context=world.context).asks
    assert cases.budgets.spent("invoices").pages == 3


@pytest.mark.parametrize("vendor", ["claims", "disputes"])
def test_each_vendors_cases_ask(cloud: Cloud, vendor: str) -> None:
    """Before the vendor's case is opened, where it has one."""
    world = World(cloud)
    limited = world.connections[vendor].model_copy(update={"budget": Budget(cases_per_day=0)})
    world.connections[vendor] = limited
    world._answer = lambda what, names: (_ for _ in ()).throw(AskedError(what))  # type: ignore[method-assign]
    with pytest.raises(AskedError, match="budget"):
        world.submit(vendor, "R-1", samples("invoice.pdf"))
    assert not world.effects("case_created")
    assert not world.effects("document_uploaded")
    assert cloud.app.cases.get(CaseId(vendor, "R-1")).record.status is CaseStatus.NEEDS_ATTENTION


class AskedError(Exception):
    """Ends a walk where an operator is asked."""
