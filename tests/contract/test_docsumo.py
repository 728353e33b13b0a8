"""What Docsumo's guide shows and the vendors' contract does not ask: its examples, its list, its settings."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from dossier.errors import (
    CaseFailedError,
    InvalidCaseError,
    MalformedAnswerError,
    NeedsAttentionError,
    OutcomeUnknownError,
    ThrottledError,
)
from dossier.http import Flow, Reply, Request
from dossier.models import first_problem
from dossier.ports import CaseView, Found, Intent, Seen, Uploaded, never
from dossier.stamps import Stamp
from dossier.vendors.docsumo import answers, flows, requests
from dossier.vendors.docsumo.adapter import CANDIDATES, Docsumo
from dossier.vendors.docsumo.answers import KNOWN
from dossier.vendors.docsumo.flows import MOST_PAGES
from dossier.vendors.docsumo.hints import DEEPEST, MOST_IDS
from dossier.vendors.docsumo.requests import SortBy
from dossier.vendors.docsumo.settings import After, DocsumoConnection
from tests.contract.connections import connection
from tests.flows import document, drive, recorded, reply

CASE_ID = "case__06c93accde6d445286518079268d45a3"
AT = datetime(2026, 5, 20, 10, 15, tzinfo=UTC)
GET = Request("GET", "/")
VENDOR = Docsumo(connection())


@dataclass
class Account:
    """A case list as the guide describes it: sorted, filtered and paged; ``before`` changes it between requests."""

    cases: list[dict[str, Any]] = field(default_factory=list)
    largest_page: int = 100
    tells_total: bool = True
    before: Callable[[Account, int], None] = lambda _account, _number: None
    asked: int = 0
    searched: int = 0
    """Searches for a case's files, of which it has none."""

    def add(self, case_id: str, *, created: int = 0, modified: int | None = None, **rest: Any) -> None:
        """Add a case; times are minutes after ``AT``."""
        times = {"created_date": created, "modified_date": created if modified is None else modified}
        dates = {key: (AT + timedelta(minutes=value)).isoformat() for key, value in times.items()}
        self.cases.append({"case_id": case_id, "status": "processed", **dates, **rest})

    def __call__(self, request: Request) -> Reply:
        """Answer a request for the list."""
        if request.path.endswith("/files"):
            self.searched += 1
            return reply([])
        self.before(self, self.asked)
        self.asked += 1
        query = dict(request.query)
        key, _, way = query["sort_by"].partition(".")
        ordered = sorted(self.cases, key=lambda each: str(each[key]), reverse=way == "desc")
        for name in ("stage_id", "assigned_to"):
            wanted = [value for field_, value in request.query if field_ == name]
            ordered = [each for each in ordered if not wanted or each.get(name) in wanted]
        offset, limit = int(query["offset"]), min(int(query["limit"]), self.largest_page)
        data: dict[str, Any] = {"cases": ordered[offset : offset + limit]}
        data |= {"total_count": len(ordered)} if self.tells_total else {}
        return reply({"status": "success", "status_code": 200, "data": data})


def list_cases(settings: DocsumoConnection, **how: Any) -> Flow[list[dict[str, Any]]]:
    """Return the cases that the operation lists, as the vendor wrote them."""
    return [each.raw for each in (yield from flows.list_page(settings, **how)).entries]


def filled(count: int, **settings: Any) -> Account:
    """Return an account of ``count`` cases, one a minute."""
    account = Account(**settings)
    for number in range(count):
        account.add(f"case__{number}", created=number)
    return account


def ids(cases: list[dict[str, Any]]) -> list[str]:
    """Return the ids of listed cases."""
    return [each["case_id"] for each in cases]


# --- the guide's examples --------------------------------------------------------------------------------------------


@pytest.mark.rule("docsumo 1.A sample response")
def test_example_of_an_upload() -> None:
    """Guide 1.A: the sample response gives the case and both documents."""
    answer = answers.upload_answer(GET, recorded("docsumo", "upload"))
    assert answer.case_id == CASE_ID
    assert [(each.doc_id, each.name, each.status, each.error) for each in answer.documents or ()] == [
        ("doc__71a76c8c", "invoice_1.pdf", "uploaded", None),
        ("doc__a4b3d82f", "invoice_2.pdf", "uploaded", None),
    ]


@pytest.mark.rule("docsumo 1.B sample response")
def test_example_of_a_list() -> None:
    """Guide 1.B: the sample response gives the case with its name, stage, status and times, and the total."""
    page = answers.page(GET, recorded("docsumo", "list"))
    (entry,) = page.entries
    assert (page.size, page.total) == (1, 142)
    assert (entry.case_id, entry.name, entry.stage_id, entry.status) == (
        CASE_ID, "Invoice Batch A", "stage__extraction", "processing",
    )  # fmt: skip
    assert (entry.created, entry.modified) == (Stamp(AT, True), Stamp(AT + timedelta(seconds=90), True))
    assert entry.raw["assigned_to"] == "user__982bc"


@pytest.mark.rule("docsumo 1.C sample response")
def test_example_of_an_append() -> None:
    """Guide 1.C: the sample response gives the case and the added document."""
    answer = answers.upload_answer(GET, recorded("docsumo", "append"))
    assert answer.case_id == CASE_ID
    assert [(each.doc_id, each.name) for each in answer.documents or ()] == [
        ("doc__bf38c21a", "additional_document.pdf")
    ]


@pytest.mark.rule("docsumo 1.D sample request and response")
def test_example_of_an_update() -> None:
    """Guide 1.D: the example's request is the guide's, and its answer comes back as it is."""
    changes = {"stage_id": "stage__review", "assigned_to": "user__081ad", "case_name": "Updated Invoice Batch A"}
    driven = drive(flows.update_case(connection(), CASE_ID, **changes), [recorded("docsumo", "update")])
    assert driven.request.method == "PATCH"
    assert driven.request.path == f"/api/v1/external/agents/casetype__d1t5b/case/{CASE_ID}"
    assert driven.request.json == changes
    assert driven.value["data"]["modified_date"] == "2026-05-20T10:22:15Z"


@pytest.mark.rule("docsumo 2 step 1: a bare array of id")
def test_example_of_a_file_search() -> None:
    """Guide 2, step 1: the answer is a bare array."""
    driven = drive(flows.search_files(CASE_ID, query="email"), [recorded("docsumo", "files")])
    assert driven.request.path == f"/api/v1/chatot/cases/{CASE_ID}/files"
    assert driven.request.query == (("q", "email"),)
    assert [(each.id, each.name, each.status) for each in driven.value] == [
        ("6a0cd728051fa766f81f5b7d", "email.pdf", "processed")
    ]


@pytest.mark.rule("docsumo 2 step 2: sample response")
def test_example_of_a_download_url() -> None:
    """Guide 2, step 2: the URL keeps its two slashes."""
    url = answers.download_url(GET, recorded("docsumo", "url"))
    assert url.endswith("/case__06c93accde6d445286518079268d45a3/artifacts//d5dddf43_email.pdf")
    assert url in recorded("docsumo", "url").body.decode()


# --- the list ---------------------------------------------------------------------------------------------------------


@pytest.mark.rule("docsumo 1.B an empty list", case="0-True")
@pytest.mark.rule("docsumo notes, the list the total is in data.total_count", case="250-False")
@pytest.mark.parametrize("tells_total", [True, False])
@pytest.mark.parametrize("count", [0, 1, 99, 100, 101, 250])
def test_list_has_every_case_once(count: int, tells_total: bool) -> None:
    """All pages are read, whether or not the vendor reports the number of cases."""
    driven = drive(list_cases(connection()), filled(count, tells_total=tells_total))
    assert ids(driven.value) == [f"case__{number}" for number in range(count)]


@pytest.mark.rule("docsumo notes, the list .asc")
def test_list_neither_skips_nor_repeats_while_cases_arrive() -> None:
    """In the default order cases that arrive between two pages come last."""
    account = filled(250, before=lambda it, number: it.add(f"case__late_{number}", created=1000 + number))
    found = ids(drive(list_cases(connection()), account).value)
    assert len(found) == len(set(found))
    assert set(found) >= {f"case__{number}" for number in range(250)}


@pytest.mark.rule("docsumo notes, the list .asc")
def test_list_of_latest_first_does_not_repeat_while_cases_arrive() -> None:
    """In a ``.desc`` order pages overlap when cases arrive: each case still comes once, and none is left out."""
    account = filled(250, before=lambda it, number: it.add(f"case__late_{number}", created=1000 + number))
    found = ids(drive(list_cases(connection(), sort_by="created_date.desc"), account).value)
    assert len(found) == len(set(found))
    assert set(found) >= {f"case__{number}" for number in range(250)}


@pytest.mark.rule("docsumo 1.B offset")
def test_list_reads_pages_smaller_than_requested() -> None:
    """A vendor that gives fewer cases a page than asked for is read to its total."""
    driven = drive(list_cases(connection()), filled(120, largest_page=50))
    assert len(driven.value) == 120
    assert [dict(each.query)["offset"] for each in driven.requests] == ["0", "50", "100"]


@pytest.mark.rule("docsumo 1.B limit")
def test_list_stops_at_a_limit() -> None:
    """The guide's example asks for five cases, latest first, in one request of five."""
    driven = drive(list_cases(connection(), limit=5, sort_by="created_date.desc"), filled(142))
    assert ids(driven.value) == ["case__141", "case__140", "case__139", "case__138", "case__137"]
    assert driven.request.path == "/api/v1/external/agents/casetype__d1t5b/cases"
    assert driven.request.query == (("limit", "5"), ("offset", "0"), ("sort_by", "created_date.desc"))


@pytest.mark.rule("docsumo 1.B by hand")
def test_list_begins_at_an_offset() -> None:
    """As many cases as asked for are left out, and the rest is walked as ever."""
    found = drive(list_cases(connection(), offset=120), filled(250)).value
    assert ids(found) == [f"case__{number}" for number in range(120, 250)]
    with pytest.raises(InvalidCaseError, match="offset is -1"):
        drive(list_cases(connection(), offset=-1))


@pytest.mark.rule("docsumo 1.B limit")
def test_list_with_a_limit_over_a_page() -> None:
    """``limit`` takes 0 to 100 a page, so more is read in several requests, none of them over 100."""
    driven = drive(list_cases(connection(), limit=150), filled(250))
    assert len(driven.value) == 150
    assert [dict(each.query)["limit"] for each in driven.requests] == ["100", "100"]


@pytest.mark.rule("docsumo 1.B sort_by")
@pytest.mark.parametrize(
    ("sort_by", "order"),
    [
        ("created_date.asc", ["case__a", "case__b"]),
        ("created_date.desc", ["case__b", "case__a"]),
        ("modified_date.asc", ["case__b", "case__a"]),
        ("modified_date.desc", ["case__a", "case__b"]),
    ],
)
def test_list_takes_each_order(sort_by: SortBy, order: list[str]) -> None:
    """Each of the four orders that the guide allows is asked for as it is."""
    account = Account()
    account.add("case__a", created=0, modified=9)
    account.add("case__b", created=1, modified=1)
    assert ids(drive(list_cases(connection(), sort_by=sort_by), account).value) == order


@pytest.mark.rule("docsumo 1.B stage_id")
def test_list_filters_by_stage_and_assignee() -> None:
    """A filter of several values repeats its key."""
    account = filled(3)
    account.add("case__mine", stage_id="stage__b", assigned_to="user__me")
    account.add("case__other", stage_id="stage__b", assigned_to="user__else")
    flow = list_cases(connection(), stage_id=["stage__a", "stage__b"], assigned_to=["user__me"])
    driven = drive(flow, account)
    assert ids(driven.value) == ["case__mine"]
    assert driven.request.query[3:] == (
        ("stage_id", "stage__a"), ("stage_id", "stage__b"), ("assigned_to", "user__me"),
    )  # fmt: skip


@pytest.mark.rule("security: do the same with a list: too many files, endless cases")
def test_list_without_an_end_is_malformed() -> None:
    """A vendor that has one more case on every page is not followed for ever."""
    account = Account(largest_page=1, before=lambda account, number: account.add(f"case__{number}", created=number))
    account.add("case__first", created=-1)
    with pytest.raises(MalformedAnswerError, match=f"not ended after {MOST_PAGES} pages"):
        drive(list_cases(connection()), account)
    assert account.asked == MOST_PAGES


@pytest.mark.rule("docsumo notes, the list the reading of a list that repeats itself ends")
def test_list_of_a_vendor_that_ignores_offset_ends() -> None:
    """A list that repeats itself counts as read after two pages without anything new."""
    page = recorded("docsumo", "list")
    driven = drive(list_cases(connection()), lambda _request: page)
    assert ids(driven.value) == [CASE_ID]
    assert len(driven.requests) == 3


@pytest.mark.rule("docsumo 1.B limit", case="settings0-limit is -1")
@pytest.mark.parametrize(
    ("settings", "says"), [({"limit": -1}, "limit is -1"), ({"sort_by": "status.asc"}, "sort_by is")]
)
def test_list_rejects_what_the_api_rejects(settings: dict[str, Any], says: str) -> None:
    """A wrong limit or order is reported before a request is made."""
    with pytest.raises(InvalidCaseError, match=says):
        drive(list_cases(connection(), **settings))


@pytest.mark.rule("docsumo 1.D stage_id")
def test_an_empty_update_is_rejected() -> None:
    """An update without a change is a mistake."""
    with pytest.raises(InvalidCaseError, match="nothing to update"):
        drive(flows.update_case(connection(), CASE_ID))


@pytest.mark.rule("docsumo notes, done, and results a file search in the usual envelope is accepted too")
def test_files_that_are_not_a_list_are_malformed() -> None:
    """A file search that answers an object without files cannot be used."""
    with pytest.raises(MalformedAnswerError, match="not a list of files"):
        drive(flows.search_files(CASE_ID), [reply({"files": 3})])


# --- polling ----------------------------------------------------------------------------------------------------------


def view(case_id: str, *, submitted: int | None = 0, **settings: Any) -> CaseView:
    """Return a submitted case, ``submitted`` minutes after ``AT``; None for one that is only collected."""
    documents = () if submitted is None else (document(),)
    at = AT + timedelta(minutes=submitted or 0)
    return CaseView(connection(**settings), "R-1", case_id=case_id, documents=documents, submitted_at=at)


@pytest.mark.rule("docsumo notes, the list one list serves all waiting cases")
def test_poll_of_many_cases_makes_one_request() -> None:
    """Fifty cases that changed of late are read off one page."""
    cases = [view(f"case__{number}", submitted=number) for number in range(200, 250)]
    account = filled(250)
    driven = drive(VENDOR.poll_results(cases), account)
    assert (account.asked, account.searched) == (1, len(cases))  # each that counts as finished is looked at
    assert set(driven.value) == {each.case_id for each in cases}
    assert all(each.finished for each in driven.value.values())


@pytest.mark.parametrize("stop", ["a pause", "no time left"])
def test_an_interrupted_poll_returns_what_it_has_found(stop: str) -> None:
    """A 429 among the file searches of many finished cases costs the others one more poll, and never their verdict."""
    cases, account = [view(f"case__{number}", submitted=number) for number in range(200, 210)], filled(210)

    def answers(request: Request) -> Reply | Exception:
        if request.path.endswith("/files") and account.searched == 3 and stop == "a pause":
            return ThrottledError("slow down", retry_after=1)
        return account(request)

    spent = (lambda: account.searched >= 3) if stop == "no time left" else never
    found = drive(VENDOR.poll_results(cases, spent=spent), answers).value
    assert isinstance(found, Found)
    assert ([each.finished for each in found.values()], found.rest) == ([True] * 3, 0)


def test_poll_without_findings_raises_the_pause() -> None:
    """A 429 to the first file search is the poll's result: the wait shows it, and comes back after the pause."""
    account = filled(2)
    paused = ThrottledError("slow down", retry_after=7)
    with pytest.raises(ThrottledError) as raised:
        drive(
            VENDOR.poll_results([view("case__0"), view("case__1")]),
            lambda request: paused if request.path.endswith("/files") else account(request),
        )
    assert raised.value.retry_after == 7


@pytest.mark.rule("docsumo notes, the list the list is read no further than necessary")
def test_poll_reads_on_until_all_are_found() -> None:
    """A case on the fourth page costs four requests, and no more."""
    account = filled(400)
    driven = drive(VENDOR.poll_results([view("case__240", submitted=1), view("case__20", submitted=1)]), account)
    assert set(driven.value) == {"case__240", "case__20"}
    assert account.asked == 4


@pytest.mark.rule("docsumo notes, the list the list is read no further than necessary")
@pytest.mark.parametrize(
    "off", [timedelta(), timedelta(minutes=-3), timedelta(hours=-7), timedelta(hours=5, minutes=30)]
)
@pytest.mark.parametrize("zoned", [True, False])
def test_poll_reads_no_further_than_the_oldest_submission(off: timedelta, zoned: bool) -> None:
    """How far the list is read goes by the vendor's own times, however far its clock is from ours, zone or no zone."""

    def asked(minutes_ago: int, wanted: str) -> tuple[set[str], int]:
        account = Account(cases=dated(400, off=off, zoned=zoned))
        case = replace(view(wanted), submitted_at=datetime.now(UTC) - timedelta(minutes=minutes_ago))
        driven = drive(VENDOR.poll_results([case]), account)
        return set(driven.value), account.asked

    found, pages = asked(50, "case__absent")
    assert (found, pages <= (1 if zoned else 3)) == (set(), True)  # at night a time without a zone may be another's
    assert asked(150, "case__150") == ({"case__150"}, 2)
    assert asked(399, "case__absent") == (set(), 4)


def test_poll_reads_on_past_a_case_that_is_dated_in_the_future() -> None:
    """One absurd time does not make all the others look old."""
    account = Account(cases=dated(150))
    account.cases[0] |= {"modified_date": "2999-01-01T00:00:00Z"}
    case = replace(view("case__120"), submitted_at=datetime.now(UTC) - timedelta(minutes=121))
    assert set(drive(VENDOR.poll_results([case]), account).value) == {"case__120"}


def dated(count: int, *, off: timedelta = timedelta(), zoned: bool = True) -> list[dict[str, Any]]:
    """Return cases that were made one a minute until now, the latest first, by a clock that is off."""
    times = [datetime.now(UTC) + off - timedelta(minutes=number) for number in range(count)]
    text = [at.isoformat() if zoned else at.replace(tzinfo=None).isoformat() for at in times]
    return [
        {"case_id": f"case__{number}", "status": "processed", "created_date": each, "modified_date": each}
        for number, each in enumerate(text)
    ]


@pytest.mark.rule("docsumo notes, the list the list is read no further than necessary")
def test_poll_of_a_collected_case_reads_the_whole_list() -> None:
    """A case that Dossier only collects may have changed long before it was submitted here."""
    cases = [view("case__3", submitted=None), view("case__399", submitted=399)]
    driven = drive(VENDOR.poll_results(cases), filled(400))
    assert set(driven.value) == {"case__3", "case__399"}


@pytest.mark.rule("docsumo notes, the list .asc")
def test_poll_survives_a_list_that_moves() -> None:
    """A case that comes up twice, because others changed between two pages, is taken once, as first seen."""

    def bump(account: Account, number: int) -> None:
        if number == 1:
            account.add("case__busy", created=2000)

    driven = drive(VENDOR.poll_results([view("case__50", submitted=1)]), filled(150, before=bump))
    assert set(driven.value) == {"case__50"}


def test_poll_of_no_cases_makes_no_request() -> None:
    """Cases without an id yet cannot be asked for."""
    assert drive(VENDOR.poll_results([CaseView(connection(), "R-1")])).value == {}


@pytest.mark.rule("docsumo notes, done, and results new", case="new")
@pytest.mark.rule("docsumo notes, done, and results new", case="uploaded")
@pytest.mark.rule("docsumo notes, done, and results new", case="processing")
@pytest.mark.rule("docsumo notes, done, and results new", case="reviewing")
@pytest.mark.rule("docsumo notes, done, and results new", case="review_required")
@pytest.mark.rule("docsumo notes, done, and results new", case="review_skipped")
@pytest.mark.rule("docsumo notes, done, and results processed", case="processed")
@pytest.mark.rule("docsumo notes, done, and results erred", case="erred")
@pytest.mark.parametrize("status", sorted(KNOWN))
def test_poll_knows_each_public_status(status: str) -> None:
    """A status that the vendor publishes is never counted as unknown, and ends a case only if it says so."""
    account = Account()
    account.add("case__1", status=status)
    progress = drive(VENDOR.poll_results([view("case__1")]), account).value["case__1"]
    assert progress.unknown == ()
    assert progress.finished is (status in {"processed", "erred", "error", "failed"})
    assert progress.failed is (status in {"erred", "error", "failed"})


@pytest.mark.rule("docsumo notes, done, and results erred")
def test_a_failing_status_can_be_made_to_count_as_done() -> None:
    """If a connection's ``done`` names ``erred``, such a case is finished, not failed."""
    account = Account()
    account.add("case__1", status="erred")
    progress = drive(VENDOR.poll_results([view("case__1", done={"status": ["erred"]})]), account).value["case__1"]
    assert (progress.finished, progress.failed) == (True, False)


# --- looking up a lost upload -----------------------------------------------------------------------------------------


@pytest.mark.rule("docsumo notes, uploads an inconclusive look-up becomes a question to an operator")
def test_lost_create_with_too_many_candidates_becomes_a_question() -> None:
    """The files of more than a few dozen new cases are not searched: an operator is asked."""
    account = filled(CANDIDATES + 1)
    case = CaseView(connection(), "R-1", documents=(document(),))
    with pytest.raises(NeedsAttentionError, match=f"{CANDIDATES + 1} cases"):
        drive(VENDOR.find_uploaded(case, [0], Intent(AT, seen=Seen(whole=True))), account)


SENT = [{"id": "f1", "filename": "invoice.pdf"}]


def files_of(account: Account, files: dict[str, Any] | None = None) -> Callable[[Request], Reply]:
    """Return an account whose cases have files: by id, or the one that is sent."""

    def answer(request: Request) -> Reply:
        if request.path.endswith("/cases"):
            return account(request)
        return reply((files or {}).get(request.path.split("/")[-2], SENT))

    return answer


def lost(account: Account, files: dict[str, Any] | None = None, **known: Any) -> Uploaded | None:
    """Look up a lost create of ``invoice.pdf``."""
    case = CaseView(connection(), "R-1", documents=(document("invoice.pdf"),))
    return drive(VENDOR.find_uploaded(case, [0], Intent(AT, **known)), files_of(account, files)).value


@pytest.mark.rule("docsumo notes, uploads after a lost create")
@pytest.mark.parametrize(
    "off", [timedelta(minutes=-3), timedelta(minutes=3), timedelta(hours=-11), timedelta(hours=14)]
)
@pytest.mark.parametrize("zoned", [True, False])
def test_lost_create_is_found_by_any_clock(off: timedelta, zoned: bool) -> None:
    """A case that was not listed before is the one, whatever time it has, on any page."""
    account = Account(cases=dated(3, off=off, zoned=zoned))
    found = lost(account, known=frozenset({"case__1", "case__2"}), seen=Seen(("case__1", "case__2"), whole=True))
    assert found is not None
    assert found.case_id == "case__0"


@pytest.mark.rule("docsumo notes, uploads after a lost create")
def test_lost_create_had_no_effect_if_every_case_is_known() -> None:
    """Entries that were listed before, or are older than those, do not match; the list is read no further."""
    account = Account(cases=dated(350))
    before = tuple(f"case__{number}" for number in range(100))
    assert lost(account, known=frozenset(before), seen=Seen(before)) is None
    assert account.asked == 1
    account.cases[:0] = dated(20, off=timedelta(hours=1))
    others = {f"case__{number}" for number in range(120)}
    for number, each in enumerate(account.cases):
        each["case_id"] = f"case__{number}"
    seen = tuple(f"case__{number}" for number in range(20, 120))
    assert lost(account, known=frozenset(others), seen=Seen(seen)) is None


@pytest.mark.rule("docsumo notes, uploads after a lost create")
def test_lost_create_is_found_by_a_clock_that_jumped_back() -> None:
    """Nothing that was not listed before is taken for old while the list is whole, even if it is dated before all."""
    account = Account(cases=dated(2))
    account.cases.append({**account.cases[0], "case_id": "case__late", "created_date": "1999-01-01T00:00:00Z"})
    seen = ("case__0", "case__1")
    found = lost(account, known=frozenset(seen), seen=Seen(seen, whole=True))
    assert found is not None
    assert found.case_id == "case__late"


@pytest.mark.rule("docsumo notes, uploads an inconclusive look-up becomes a question to an operator")
def test_lost_create_in_a_list_of_another_order_becomes_a_question() -> None:
    """Where the list is not the latest first, it is read to its end; one of many pages is an operator's."""
    account = Account(cases=dated(50))
    account.cases.reverse()
    known = frozenset(each["case_id"] for each in account.cases)

    def ascending(request: Request) -> Reply:
        offset = int(dict(request.query)["offset"])
        return reply({"status": "success", "data": {"cases": account.cases[offset : offset + 1], "total_count": 50}})

    case = CaseView(connection(), "R-1", documents=(document("invoice.pdf"),))
    with pytest.raises(NeedsAttentionError, match="does not reach back"):
        drive(VENDOR.find_uploaded(case, [0], Intent(AT, known, seen=Seen(tuple(known)))), ascending)


@pytest.mark.rule("docsumo notes, uploads an inconclusive look-up becomes a question to an operator")
def test_lost_create_beside_a_case_with_unknown_files_becomes_a_question() -> None:
    """A new case without files, or with files of other names, may be the one: it is named, and nothing is repeated."""
    for files in ([], [{"id": "f2", "filename": "8f3c.bin"}]):
        with pytest.raises(NeedsAttentionError, match="case__0") as caught:
            lost(Account(cases=dated(1)), {"case__0": files}, seen=Seen(whole=True))
        assert caught.value.candidates == ("case__0",)


@pytest.mark.rule("docsumo notes, uploads a renamed file is recognized by a similar name")
def test_renamed_documents_in_an_answer_are_matched_by_similar_names() -> None:
    """Renamed and in another order, each document has its own id; what cannot be matched is looked up."""
    case = CaseView(connection(), "R-1", documents=(document("x y.pdf"), document("p q.pdf", index=1)))

    def answered(*names: str) -> Uploaded:
        documents = [{"doc_id": f"id of {each}", "filename": each} for each in names]
        body = {"status": "success", "data": {"case_id": "case__1", "documents": documents}}
        return drive(VENDOR.upload(case, [0, 1]), [reply(body)]).value

    assert answered("P_Q", "X_Y.PDF").document_ids == {0: "id of X_Y.PDF", 1: "id of P_Q"}
    assert answered("zzz", "x_y.pdf").document_ids == {0: "id of x_y.pdf", 1: "id of zzz"}
    with pytest.raises(OutcomeUnknownError, match="other names"):
        answered("zzz")


@pytest.mark.rule("docsumo notes, uploads a renamed file is recognized by a similar name")
def test_an_operators_case_is_adopted_whatever_the_names_of_its_files() -> None:
    """As many files as were sent are enough; another number of unknown ones is not."""
    case = CaseView(connection(), "R-1", documents=(document("x y.pdf"), document("p q.pdf", index=1)))
    intent = Intent(AT, adopt="case__1")
    files = [{"id": "f1", "filename": "P Q.pdf"}, {"id": "f2", "filename": "0001"}]
    found = drive(VENDOR.find_uploaded(case, [0, 1], intent), [reply(files)]).value
    assert found is not None
    assert found.document_ids == {0: "f2", 1: "f1"}
    with pytest.raises(NeedsAttentionError, match="does not have all the files"):
        drive(VENDOR.find_uploaded(case, [0, 1], intent), [reply(files[1:])])


@pytest.mark.rule("docsumo notes, uploads a renamed file is recognized by a similar name")
def test_a_renamed_file_sets_its_documents_status() -> None:
    """A result finds each file by the name that the vendor answered, or by likeness."""
    sent = (document("x y.pdf", document_id="d1"), document("p q.pdf", index=1, document_id="f9"))
    kept = {
        "upload-0": {"data": {"case_id": "c", "documents": [{"doc_id": "d1", "filename": "0001.pdf"}]}},
        "files": [
            {"id": "f8", "filename": "0001.pdf", "status": "erred"},
            {"id": "f9", "filename": "a", "status": "new"},
        ],
    }
    case = CaseView(connection(), "R-1", case_id="c", documents=sent)
    result = VENDOR.read_result(case, {name: json.dumps(body).encode() for name, body in kept.items()})
    assert [each.status for each in result.documents] == ["erred", "new"]
    renamed = VENDOR.read_result(
        case, {"files": json.dumps([{"id": "f", "filename": "X_Y", "status": "erred"}]).encode()}
    )
    assert [each.status for each in renamed.documents] == ["erred", None]


@pytest.mark.parametrize("finished", [True, False])
def test_one_odd_status_does_not_undo_what_a_poll_found(finished: bool) -> None:
    """The list that is read for the result has a status that nobody knows: only at the deadline it is unfinished."""
    entry = {"case_id": "c", "status": "all is fine [y/N]"}
    case = CaseView(connection(), "R-1", case_id="c", documents=(document(document_id="d1"),), finished=finished)
    result = VENDOR.read_result(case, {"case": json.dumps({"data": {"cases": [entry]}}).encode()})
    assert (result.status == "completed") is finished
    assert ("not finished by the deadline" in str(result.reason)) is not finished


@pytest.mark.rule("docsumo notes, done, and results a file's id and a document's doc_id are different ids")
def test_files_and_documents_have_their_own_ids() -> None:
    """An answered upload gives ``doc_id``; an adopted one gives file ids, and says which is which nowhere else."""
    case = CaseView(connection(), "R-1", documents=(document("invoice_1.pdf"), document("invoice_2.pdf", index=1)))
    answered = drive(VENDOR.upload(case, [0, 1]), [recorded("docsumo", "upload")]).value
    flow = VENDOR.find_uploaded(case, [0, 1], Intent(AT, frozenset({"case__old"}), seen=Seen(("case__old",))))
    adopted = drive(flow, [recorded("docsumo", "list-one-recent"), recorded("docsumo", "files-sent")]).value
    assert adopted is not None
    assert adopted.case_id == answered.case_id
    assert not set(adopted.document_ids.values()) & set(answered.document_ids.values())


@pytest.mark.rule("docsumo notes, uploads later requests never create a second case")
def test_later_batches_never_create_a_case() -> None:
    """Without the case of the first batch a second one would become its own case."""
    case = CaseView(connection(), "R-1", documents=(document("a.pdf"), document("b.pdf", index=1)))
    with pytest.raises(CaseFailedError):
        drive(VENDOR.upload(case, [1]))


# --- settings ---------------------------------------------------------------------------------------------------------


@pytest.mark.rule(
    "docsumo notes, uploads 10 requests a second by default", "docsumo notes, deliveries a shared token by default"
)
def test_settings_have_safe_defaults() -> None:
    """A connection's defaults are those of the guide and the design."""
    given = connection()
    assert given.trigger_workflow is True
    assert (given.done.status, given.done.stage_id) == (("processed",), ())
    assert (given.artifacts.query, given.artifacts.include) == ("", ("*",))
    assert given.key_header == "x-api-key"
    assert given.storage_hosts == ("storage.googleapis.com",)
    assert given.webhook is not None
    assert (given.webhook.scheme, given.webhook.header) == ("shared-secret", "X-Webhook-Token")
    assert given.limits.requests_per_second == 10


@pytest.mark.rule("docsumo notes, done, and results done.status")
def test_settings_with_only_stages_match_no_status() -> None:
    """``done`` with ``stage_id`` alone does not also end a case by its status."""
    assert connection(done={"stage_id": ["stage__review"]}).done.status == ()


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"done": {}}, "done: give status, stage_id or both: nothing would ever count as finished"),
        ({"key_header": "authorization"}, "key_header: Input should be 'x-api-key' or 'apikey'"),
        ({"casetype_id": ""}, "casetype_id: String should have at least 1 character"),
        ({"after": {"stage": "x"}}, "after.stage: unknown key"),
        ({"artifacts": {"exclude": []}}, "artifacts.exclude: unknown key"),
    ],
)
def test_settings_name_the_wrong_key(changes: dict[str, Any], problem: str) -> None:
    """A wrong setting is one line that names its key."""
    with pytest.raises(ValidationError) as caught:
        connection(**changes)
    assert first_problem(caught.value, type(connection())) == problem


# --- deliveries -------------------------------------------------------------------------------------------------------


@pytest.mark.rule("docsumo notes, deliveries case_id")
def test_hint_is_found_a_few_levels_down_and_no_deeper() -> None:
    """An id is looked for at every documented place and some levels below, but not without end."""
    nested: Any = {"case_id": "case__deep"}
    for _ in range(DEEPEST - 1):
        nested = {"payload": nested}
    hint = VENDOR.read_hint(reply(nested).body)
    assert hint is not None
    assert hint.case_ids == ("case__deep",)
    assert VENDOR.read_hint(reply({"payload": nested}).body) is None


@pytest.mark.rule(
    "docsumo notes, deliveries any bytes", "security: do the same with a list: too many files, endless cases"
)
def test_hint_of_a_huge_delivery_is_bounded() -> None:
    """A delivery that names thousands of cases moves the polls of a few."""
    hint = VENDOR.read_hint(reply([{"case_id": f"case__{number}"} for number in range(5000)]).body)
    assert hint is not None
    assert len(hint.case_ids) == MOST_IDS


@pytest.mark.rule("docsumo notes, deliveries every usual form of an id")
@pytest.mark.parametrize(
    "body",
    [
        f"<case><reference>{CASE_ID}</reference></case>",
        f'{{"link": "https://app.docsumo.com/cases/{CASE_ID}/files"}}',
        f'{{"cases": {{"{CASE_ID}": {{"status": "processed"}}}}}}',
        f'{{"event": "case_updated", "id": "{CASE_ID}"}}',
        f'["{CASE_ID}"]',
        CASE_ID,
    ],
)
def test_an_id_of_the_guides_form_is_found_anywhere(body: str) -> None:
    """Where no name says which text is the case's id, the form of the guide's samples does; nothing else is one."""
    hint = VENDOR.read_hint(body.encode())
    assert hint is not None
    assert hint.case_ids == (CASE_ID,)
    assert VENDOR.read_hint(body.replace(CASE_ID, "case__1").encode()) is None
    assert VENDOR.read_hint(body.replace(CASE_ID, f"x{CASE_ID}").encode()) is None
    assert VENDOR.read_hint((" " * (1 << 20) + body).encode()) is None, "no further than a delivery is read"


@pytest.mark.parametrize("wrong", ["", "case\n1", " case", "x" * 513, 7.5, True, None, ["case__1"]])
def test_hint_accepts_only_ids(wrong: Any) -> None:
    """Only a plain text of a sensible length is an id."""
    assert VENDOR.read_hint(reply({"case_id": wrong}).body) is None


@pytest.mark.rule("docsumo 1.B stage_id")
@pytest.mark.parametrize(
    ("form", "query"),
    [
        ("repeat", (("stage_id", "a"), ("stage_id", "b"), ("assigned_to", "u"))),
        ("comma", (("stage_id", "a,b"), ("assigned_to", "u"))),
        ("brackets", (("stage_id[]", "a"), ("stage_id[]", "b"), ("assigned_to[]", "u"))),
    ],
)
def test_lists_in_a_query_take_three_forms(form: str, query: tuple[tuple[str, str], ...]) -> None:
    """The guide says "Array" alone: the connection's setting says how one is written."""
    settings = connection().model_copy(update={"array_parameters": form})
    request = requests.list_cases(settings, limit=1, sort_by="created_date.asc", stage_id=["a", "b"], assigned_to=["u"])
    assert request.query[3:] == query


@pytest.mark.rule("docsumo 1.D after.case_name may contain the case's reference")
def test_a_case_name_may_contain_the_reference() -> None:
    """``{reference}`` in ``after.case_name`` is the case's own; other braces stay."""
    given = connection().model_copy(update={"after": After(case_name="Case {reference} {x}")})
    case = CaseView(given, "R-1", case_id="c-1", documents=(document(),))
    driven = drive(VENDOR.finish(case), [recorded("docsumo", "update")])
    assert driven.request.json == {"case_name": "Case R-1 {x}"}


@pytest.mark.rule("docsumo 1.B several case types in one account")
def test_a_case_of_another_type_uses_that_type() -> None:
    """Upload, list and update of a case name its own type; a case that was only collected is looked for in each."""
    given = connection().model_copy(update={"casetype_ids": ("casetype__b",)})
    case = CaseView(given, "R-1", options={"casetype_id": "casetype__b"}, case_id="c-1", documents=(document(),))
    other = given.casetype_id
    sent = {"case_id": "c-1", "documents": [{"doc_id": "d", "filename": "invoice.pdf"}]}
    driven = drive(VENDOR.upload(case, [0]), [reply({"data": sent})])
    assert ("casetype_id", "casetype__b") in driven.request.fields
    found = {"data": {"cases": [{"case_id": "c-1", "status": "processed"}], "total_count": 1}}
    empty: dict[str, Any] = {"data": {"cases": [], "total_count": 0}}
    driven = drive(VENDOR.poll_results([case]), [reply(found), reply([])])
    assert "/casetype__b/cases" in driven.requests[0].path
    collected = CaseView(given, "R-2", case_id="c-1")
    driven = drive(VENDOR.poll_results([collected, case]), [reply(empty), reply(found), reply([]), reply([])])
    assert [other in driven.requests[0].path, "casetype__b" in driven.requests[1].path] == [True, True]
    assert driven.value["c-1"].finished


def test_an_unknown_file_status_does_not_hold_up_a_finished_case() -> None:
    """The list says processed, the case's own file a word that no page names: it is reported, and collected."""
    listed = [{"id": "f1", "filename": "invoice.pdf", "status": "a_status_of_tomorrow"}, {"id": "f2", "status": "odd"}]
    account = filled(1)
    case = view("case__0", submitted=0)
    case = replace(case, documents=(document("invoice.pdf", document_id="doc__1"),))
    driven = drive(
        VENDOR.poll_results([case]),
        lambda request: reply(listed) if request.path.endswith("/files") else account(request),
    )
    progress = driven.value["case__0"]
    assert (progress.finished, progress.unknown) == (True, ("a_status_of_tomorrow",))
    assert progress.documents["doc__1"].finished


@pytest.mark.parametrize(("listed_at", "finished"), [("12:00:29", False), ("12:00:31", True)])
def test_a_list_with_a_slow_clock_counts_after_half_a_minute(listed_at: str, finished: bool) -> None:
    """The list dates the case before its upload: it may lag, or its clock be three minutes off."""
    account = filled(1)
    account.cases[0] |= {"status": "processed", "modified_date": "2026-01-01T11:57:00Z"}
    case = replace(view("case__0", submitted=0), sent_at=datetime(2026, 1, 1, 12, tzinfo=UTC))

    def answer(request: Request) -> Reply:
        if request.path.endswith("/files"):
            return reply([{"id": "f1", "filename": "invoice.pdf", "status": "processed"}])
        return replace(account(request), headers={"date": f"Thu, 01 Jan 2026 {listed_at} GMT"})

    assert drive(VENDOR.poll_results([case]), answer).value["case__0"].finished is finished
