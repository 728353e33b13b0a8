"""The stores, on AWS in memory."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import pytest

from dossier.errors import InvalidCaseError, NeedsAttentionError, ReferenceConflictError, ThrottledError
from dossier.models import CaseId, CaseStatus, Document, now
from dossier.ports import Seen, Uploaded
from dossier.settings import Connection, Limits
from dossier.stores import intents as store
from dossier.stores.limiter import COOL_DOWN, JUST_READ, LEASE, TRIP, Limiter
from dossier.stores.table import Table
from tests.conftest import Cloud
from tests.records import record


def test_a_reference_is_claimed_once(cloud: Cloud) -> None:
    """The same content under another execution is a duplicate; the same execution may claim again."""
    cases = cloud.app.cases
    assert cases.claim(record()) is None
    assert cases.claim(record()) is None
    other = cases.claim(record(execution="arn:2"))
    assert other is not None
    assert other.execution_arn == "arn:1"


def test_other_content_under_a_claimed_reference_is_a_conflict(cloud: Cloud) -> None:
    """A reference belongs to its content for good."""
    cloud.app.cases.claim(record())
    with pytest.raises(ReferenceConflictError, match="INV-1 belongs to a case with other content"):
        cloud.app.cases.claim(record(execution="arn:2", fingerprint="f2"))


def test_a_rejected_case_frees_its_reference(cloud: Cloud) -> None:
    """A case that was refused before anything was sent may be submitted again, corrected."""
    cases = cloud.app.cases
    cases.refuse(record(refused=True, status="failed"))
    assert cases.claim(record(execution="arn:2", fingerprint="f2")) is None
    assert cases.get(CaseId("invoices", "INV-1")).record.fingerprint == "f2"


def test_a_failed_case_is_resumed_by_one_execution(cloud: Cloud) -> None:
    """Resuming takes over a failed case, counts the attempt, and rejects a case that did not fail."""
    cases = cloud.app.cases
    cases.claim(record())
    still = cases.claim(record(execution="arn:2"), resume=True)
    assert still is not None
    cases.change(CaseId("invoices", "INV-1"), status=CaseStatus.FAILED, reason="no key")
    assert cases.claim(record(execution="arn:2"), resume=True) is None
    resumed = cases.get(CaseId("invoices", "INV-1")).record
    assert (resumed.attempt, resumed.status, resumed.reason) == (2, CaseStatus.ACCEPTED, None)
    with pytest.raises(InvalidCaseError, match="no case INV-2"):
        cases.claim(record(reference="INV-2"), resume=True)


def test_a_finished_case_never_goes_back(cloud: Cloud) -> None:
    """After its final status nothing changes a case any more."""
    cases = cloud.app.cases
    cases.claim(record())
    assert cases.change(CaseId("invoices", "INV-1"), status=CaseStatus.COMPLETED)
    assert not cases.change(CaseId("invoices", "INV-1"), status=CaseStatus.WAITING)
    assert cases.get(CaseId("invoices", "INV-1")).record.status is CaseStatus.COMPLETED


def test_documents_that_are_stored_again_keep_their_ids(cloud: Cloud) -> None:
    """Accept may run twice without losing an upload's writes in between."""
    cases = cloud.app.cases
    cases.claim(record())
    document = Document(index=0, name="a.pdf", key="k")
    cases.put_documents(CaseId("invoices", "INV-1"), [document], fresh=True)
    cases.put_documents(CaseId("invoices", "INV-1"), [document.model_copy(update={"document_id": "d1"})], fresh=False)
    cases.put_documents(CaseId("invoices", "INV-1"), [document], fresh=True)
    assert cases.get(CaseId("invoices", "INV-1")).documents[0].document_id == "d1"


def test_cases_are_listed_newest_first(cloud: Cloud) -> None:
    """The listing of a connection begins with the case submitted last."""
    for number in range(3):
        cloud.app.cases.claim(record(reference=f"INV-{number}", submitted_at=f"2026-01-0{number + 1}T00:00:00.000Z"))
    assert [each.reference for each in cloud.app.cases.newest("invoices")] == ["INV-2", "INV-1", "INV-0"]


def test_an_intent_stores_the_vendors_answer_until_it_is_applied(cloud: Cloud) -> None:
    """What the vendor answered survives a death between the answer and its use."""
    intents = cloud.app.intents
    intents.begin(CaseId("claims", "C-1"), "upload-0", names=["a.pdf"], known=["old"])
    answer = Uploaded(case_id="case__1", document_ids={0: "doc__1"}, job_id="job", failures={1: "too large"})
    intents.answer(CaseId("claims", "C-1"), "upload-0", answer)
    found = intents.find(CaseId("claims", "C-1"), "upload-0")
    assert found is not None
    assert found.answer == answer
    assert found.known == {"old"}
    intents.end(CaseId("claims", "C-1"), "upload-0")
    assert intents.find(CaseId("claims", "C-1"), "upload-0") is None


def test_an_intent_has_an_answer_or_is_looked_up(cloud: Cloud) -> None:
    """The longest ids of a hundred documents fit; those of a thousand are a question, not an error of the table."""
    intents = cloud.app.intents
    intents.begin(CaseId("claims", "C-1"), "upload-0", names=["a.pdf"], known=[])
    ids = {index: "🙂" * 500 + str(index) for index in range(1000)}
    answer = Uploaded(case_id="🙂" * 503, document_ids=dict(list(ids.items())[:100]))
    intents.answer(CaseId("claims", "C-1"), "upload-0", answer)
    found = intents.find(CaseId("claims", "C-1"), "upload-0")
    assert found is not None
    assert found.answer == answer
    with pytest.raises(NeedsAttentionError, match="answer has more than 358400 bytes of ids"):
        intents.answer(CaseId("claims", "C-1"), "upload-0", Uploaded(document_ids=ids))
    own, _ = intents.own(CaseId("claims", "C-1"), [str(answer.case_id)])
    assert own


def test_other_requests_in_flight_are_returned_with_their_files(cloud: Cloud) -> None:
    """A look-up considers other requests that could have created its finds, and knows the answers to others."""
    intents = cloud.app.intents
    intents.begin(CaseId("claims", "C-1"), "upload-0", names=["a.pdf", "b.pdf"], known=[])
    intents.begin(CaseId("claims", "C-2"), "upload-0", names=["b.pdf"], known=[])
    intents.begin(CaseId("claims", "C-3"), "upload-0", names=["c.pdf"], known=[], into="case__3")
    intents.begin(CaseId("invoices", "C-4"), "upload-0", names=["a.pdf"], known=[])
    intents.begin(CaseId("claims", "C-5"), "upload-0", names=["d.pdf"], known=[])
    intents.answer(CaseId("claims", "C-5"), "upload-0", Uploaded(case_id="case__5", document_ids={0: "doc__5"}))
    mine = intents.find(CaseId("claims", "C-1"), "upload-0")
    assert mine is not None
    found = intents.others(CaseId("claims", "C-1"), mine, into=None)
    assert found.names == (("b.pdf",),)
    assert found.answered == {"case__5", "doc__5"}
    assert intents.others(CaseId("claims", "C-1"), mine, into="case__3").names == (("c.pdf",),)
    later = mine.model_copy(update={"at": mine.at + timedelta(hours=1)})
    assert intents.others(CaseId("claims", "C-1"), later, into=None).names == ()


def test_an_accounts_list_is_stored_for_the_next_uploads(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """It serves for some minutes; a list without times serves one upload alone, and no list is remembered as such."""
    intents = cloud.app.intents
    assert intents.latest_seen("claims") == (None, timedelta.max)
    undated = intents.saw("claims", Seen(("case__1",), whole=True))
    assert undated is not None
    assert intents.latest_seen("claims") == (None, timedelta.max)
    assert intents.seen("claims", undated) == Seen(("case__1",), whole=True)
    name = intents.saw("claims", Seen(("case__2", "case__1"), dated=True))
    found, age = intents.latest_seen("claims")
    assert (found, age < store.SEEN_IS_FRESH) == (name, True)
    assert intents.seen("claims", name) == Seen(("case__2", "case__1"), dated=True)
    assert intents.seen("invoices", name) is None
    monkeypatch.setattr(store, "now", lambda: now() + store.SEEN_IS_FRESH)
    found, age = intents.latest_seen("claims")
    assert (found, age >= store.SEEN_IS_FRESH) == (name, True)
    assert intents.saw("claims", None) is None
    assert intents.latest_seen("claims")[0] is None
    many = intents.saw("claims", Seen(tuple(map(str, range(store.MOST_SEEN + 1))), whole=True, dated=True))
    kept = intents.seen("claims", many)
    assert kept is not None
    assert (len(kept.ids), kept.whole) == (store.MOST_SEEN, False)


def test_a_ledger_excludes_what_a_lost_request_cannot_have_created(cloud: Cloud) -> None:
    """Ids that were listed, recorded or in a delivery before the request are known; later collected ids are not."""
    intents = cloud.app.intents
    intents.own(CaseId("claims", "C-1"), ["case__old"], collected=True)
    intents.hint("claims", "case__heard")
    time.sleep(0.002)  # times are kept to the millisecond
    intents.begin(CaseId("claims", "C-2"), "upload-0", names=["a.pdf"], known=[])
    mine = intents.find(CaseId("claims", "C-2"), "upload-0")
    assert mine is not None
    time.sleep(0.002)
    intents.own(CaseId("claims", "C-3"), ["case__other"])
    intents.own(CaseId("claims", "C-4"), ["case__told"], collected=True)
    intents.hint("claims", "case__now")
    ledger = intents.ledger("claims", mine, known=["case__listed"], marks=False)
    known = ("case__listed", "case__other", "case__old", "case__heard")
    assert [each in ledger for each in known] == [True] * 4
    assert [each in ledger for each in ("case__told", "case__now", "case__new")] == [False] * 3
    assert {"case__old", "case__other", "case__told"} == set(ledger.recorded)


def test_a_vendor_id_has_one_owner(cloud: Cloud) -> None:
    """An id that a case owns cannot be adopted by another; a hint that came first is reported."""
    intents = cloud.app.intents
    intents.hint("claims", "case__1")
    assert intents.owner("claims", "case__1") is None
    assert intents.own(CaseId("claims", "C-1"), ["case__1"]) == (True, True)
    assert intents.own(CaseId("claims", "C-1"), ["case__1"]) == (True, True)
    assert intents.own(CaseId("claims", "C-2"), ["case__1"]) == (False, False)
    assert intents.owner("claims", "case__1") == "C-1"
    assert set(intents.recorded("claims", now() - timedelta(seconds=1))) == {"case__1"}
    assert intents.recorded("claims", now() + timedelta(seconds=1)) == {}


def test_a_wait_moves_once(cloud: Cloud) -> None:
    """Of two polls that serve the same message, one decides when to ask next."""
    waits = cloud.app.waits
    waits.start(CaseId("invoices", "INV-1"), phase="documents", token="t1", first=0, deadline=60)
    wait = waits.find(CaseId("invoices", "INV-1"))
    assert wait is not None
    assert waits.postpone(wait, 0, attempts=1)
    assert not waits.postpone(wait, 1, attempts=1)  # with the same times, it would be a repeated write
    moved = waits.find(CaseId("invoices", "INV-1"))
    assert moved is not None
    assert (moved.seq, moved.attempts) == (wait.seq + 1, 1)
    sent = [json.loads(body)["seq"] for body in cloud.messages("poll-invoices")]
    assert sent == [wait.seq, wait.seq + 1]


def test_a_newer_wait_survives_the_end_of_an_older_one(cloud: Cloud) -> None:
    """A late poll that ends its dead wait leaves the case's next wait alone."""
    waits = cloud.app.waits
    waits.start(CaseId("invoices", "INV-1"), phase="documents", token="t1", first=0, deadline=60)
    old = waits.find(CaseId("invoices", "INV-1"))
    assert old is not None
    waits.start(CaseId("invoices", "INV-1"), phase="results", token="t2", first=0, deadline=60)
    waits.end(old)
    new = waits.find(CaseId("invoices", "INV-1"))
    assert new is not None
    assert new.token == "t2"
    assert new.seq > old.seq


def test_overdue_waits_are_found_by_time(cloud: Cloud) -> None:
    """The sweep sees the waits whose next poll is past, and no others."""
    waits = cloud.app.waits
    waits.start(CaseId("invoices", "late"), phase="documents", token="t", first=0, deadline=60)
    waits.start(CaseId("invoices", "early"), phase="documents", token="t", first=600, deadline=900)
    assert [each.reference for each in waits.due("invoices", now() + timedelta(seconds=1))] == ["late"]


class Clock:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 1_000_000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        """Return the time."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Move on."""
        self.slept.append(seconds)
        self.now += seconds


def account(**limits: float) -> Connection:
    """Return a connection whose account allows so much."""
    return Connection(
        name="invoices", vendor="docustack", base_url="https://x.test", limits=Limits.model_validate(limits)
    )


def test_requests_are_spaced_to_the_accounts_limit(cloud: Cloud) -> None:
    """After a burst of one second's worth, requests keep to requests_per_second."""
    clock = Clock()
    limiter = Limiter(cloud.app.table, clock=clock, sleep=clock.sleep)
    connection = account(requests_per_second=5)
    for _ in range(15):
        limiter.take(connection, patience=60)
    assert clock.now - 1_000_000.0 == pytest.approx(2.0, abs=0.3)


class Counted(Table):
    """A table that counts its requests."""

    asked = 0

    def get(self, pk: str, sk: str) -> dict[str, object] | None:
        """Count a read."""
        self.asked += 1
        return super().get(pk, sk)

    def update(self, *args: Any, **named: Any) -> bool:
        """Count a write."""
        self.asked += 1
        return super().update(*args, **named)

    def add(self, *args: Any, **named: Any) -> int | None:
        """Count a write."""
        self.asked += 1
        return super().add(*args, **named)


def crowd(cloud: Cloud, size: int, *, patience: float, at: float = 1_000_000.0) -> tuple[list[float], int, int]:
    """Let many functions request a turn at once; return when each got one, how many did not, and the table's requests.

    Each has its own clock that only its sleeping moves, so that all of them act at the same moment.
    """
    table = Counted(cloud.session.resource("dynamodb").Table(cloud.app.environment.table))
    connection = account()
    clocks = [Clock() for _ in range(size)]
    late = 0
    for clock in clocks:
        clock.now = at
    for clock in clocks:
        try:
            Limiter(table, clock=clock, sleep=clock.sleep).take(connection, patience=patience)
        except ThrottledError as error:
            assert error.retry_after is not None and error.retry_after > patience
            late += 1
            clock.now = 0
    return sorted(clock.now - at for clock in clocks if clock.now), late, table.asked


def test_many_waiters_for_a_turn_cause_few_writes(cloud: Cloud) -> None:
    """Each reserves its turn with one write and looks once more when it comes; who cannot wait so long takes none."""
    turns, late, asked = crowd(cloud, 100, patience=5)
    assert (len(turns), late) == (60, 40)
    assert turns[:10] == [0.0] * 10
    assert turns[10:] == pytest.approx([number / 10 for number in range(1, 51)], abs=0.01)
    assert asked <= 4 * 100


def test_turns_that_fall_into_a_pause_are_given_up(cloud: Cloud) -> None:
    """A function that slept until its turn looks before it calls: a pause may have begun meanwhile."""
    table = cloud.app.table
    connection = account()
    crowd(cloud, 12, patience=5)
    clock = Clock()

    def sleep(seconds: float) -> None:
        clock.sleep(seconds)
        if len(clock.slept) == 1:
            Limiter(table, clock=clock).pause("invoices", 3)
        elif len(clock.slept) == 2:
            crowd(cloud, 12, patience=5, at=clock.now)

    Limiter(table, clock=clock, sleep=sleep).take(connection, patience=20)
    assert clock.slept == pytest.approx([0.3, 3, 0.3], abs=0.01)


def test_turns_of_one_moment_read_the_limits_once(cloud: Cloud) -> None:
    """One write each; half a second later, after a failure or another caller's turn, they are read again."""
    clock, table = Clock(), Counted(cloud.session.resource("dynamodb").Table(cloud.app.environment.table))
    limiter, other = (Limiter(table, clock=clock, sleep=clock.sleep) for _ in range(2))
    connection = account(requests_per_second=10)

    def read(happens: Callable[[], object]) -> int:
        happens()
        before = table.asked
        limiter.take(connection, patience=1)
        return table.asked - before

    writes = 1
    limiter.take(connection, patience=1)
    assert [read(lambda: None) for _ in range(3)] == [writes] * 3
    assert read(lambda: clock.sleep(JUST_READ)) == 1 + writes
    assert read(lambda: limiter.failed(connection)) == 1 + writes
    clock.sleep(JUST_READ)
    limiter.take(connection, patience=1)
    limiter.pause(connection, 0.2)
    began = clock.now
    limiter.take(connection, patience=1)
    assert clock.now >= began + 0.2, "a pause is seen by the turn's condition"
    other.take(connection, patience=1)
    limiter.take(connection, patience=1)


def test_a_pause_holds_every_request_of_the_connection(cloud: Cloud) -> None:
    """No request is made during a pause; an impatient caller gets its remaining time."""
    clock = Clock()
    limiter = Limiter(cloud.app.table, clock=clock, sleep=clock.sleep)
    connection = account()
    limiter.pause("invoices", 30)
    limiter.pause("invoices", 5)
    assert limiter.paused_for("invoices") == pytest.approx(30, abs=0.01)
    with pytest.raises(ThrottledError) as caught:
        limiter.take(connection, patience=10)
    assert caught.value.retry_after == pytest.approx(30, abs=0.01)
    limiter.take(connection, patience=31)
    assert clock.now >= 1_000_030.0


def failing(limiter: Limiter, times: int) -> None:
    """Let requests of the connection fail."""
    for _ in range(times):
        limiter.failed("invoices")


@pytest.mark.rule("docustack authentication and keys the vendor limits each key")
def test_connections_of_one_account_share_its_limits(cloud: Cloud) -> None:
    """One key is one account: a pause, the rate, the breaker and the slots count for all of its connections."""
    clock = Clock()
    limiter = Limiter(cloud.app.table, clock=clock, sleep=clock.sleep)
    one, two = (account().model_copy(update={"name": name, "account": "acme"}) for name in ("one", "two"))
    other = account().model_copy(update={"name": "acme"})
    limiter.take(one, patience=0)
    limiter.pause("one", 30)
    assert limiter.paused_for(two) > 29
    assert limiter.paused_for(other) == 0
    with pytest.raises(ThrottledError, match="connection two waits for the vendor's pause"):
        limiter.take(two, patience=0)
    clock.now += 31
    for _ in range(TRIP):
        limiter.failed(one)
    with pytest.raises(ThrottledError, match="circuit breaker"):
        limiter.take(two, patience=0)
    slots = one.limits.concurrency
    with ExitStack() as held:
        for number in range(slots):
            held.enter_context(limiter.lease(one, f"R-{number}", patience=0))
        with pytest.raises(ThrottledError, match="waits for one of its"), limiter.lease(two, "R-0", patience=0):
            pass


def test_a_breaker_opens_after_failures_in_a_row_and_lets_one_probe_through(cloud: Cloud) -> None:
    """Open, nobody calls; after the cool-down one probe goes; its success closes the breaker for everybody."""
    clock = Clock()
    limiter = Limiter(cloud.app.table, clock=clock, sleep=clock.sleep)
    connection = account()
    failing(limiter, TRIP - 1)
    limiter.take(connection, patience=0)
    failing(limiter, 1)
    with pytest.raises(ThrottledError, match="circuit breaker"):
        limiter.take(connection, patience=1)
    clock.now += COOL_DOWN
    limiter.take(connection, patience=0)  # the probe
    with pytest.raises(ThrottledError, match="circuit breaker"):
        limiter.take(connection, patience=1)
    limiter.succeeded("invoices")
    limiter.take(connection, patience=0)
    assert limiter.paused_for("invoices") == 0


def test_a_breaker_stays_open_longer_after_each_failed_probe(cloud: Cloud) -> None:
    """A probe that fails doubles the cool-down."""
    clock = Clock()
    limiter = Limiter(cloud.app.table, clock=clock, sleep=clock.sleep)
    failing(limiter, TRIP)
    first = limiter.paused_for("invoices")
    failing(limiter, 1)
    assert limiter.paused_for("invoices") == pytest.approx(2 * first, rel=0.01)


def test_a_success_between_failures_keeps_the_breaker_closed(cloud: Cloud) -> None:
    """Only failures in a row count."""
    limiter = Limiter(cloud.app.table)
    failing(limiter, TRIP - 1)
    limiter.succeeded("invoices")
    failing(limiter, TRIP - 1)
    assert limiter.paused_for("invoices") == 0


def test_a_lease_that_is_never_given_back_expires(cloud: Cloud) -> None:
    """A killed transfer's slot goes to its next try at once, and to others in time; never are there too many."""
    clock = Clock()
    limiter = Limiter(cloud.app.table, clock=clock, sleep=clock.sleep)
    connection = account(concurrency=2)
    with limiter.lease(connection, "a", patience=0):
        killed = limiter.lease(connection, "b", patience=0)
        killed.__enter__()
        with pytest.raises(ThrottledError, match="concurrency"), limiter.lease(connection, "c", patience=1):
            pass
        with limiter.lease(connection, "b", patience=0):
            pass
        limiter.lease(connection, "b", patience=0).__enter__()
        clock.now += LEASE + 1
        with limiter.lease(connection, "c", patience=0):
            pass


def test_waiters_for_a_slot_look_less_and_less_often(cloud: Cloud) -> None:
    """A thousand waiting transfers must not drown the table in queries; a slot that is given back is found."""
    clock = Clock()
    limiter = Limiter(cloud.app.table, clock=clock, sleep=clock.sleep)
    connection = account(concurrency=1)
    with limiter.lease(connection, "a", patience=0):
        began = clock.now
        with pytest.raises(ThrottledError, match="concurrency"), limiter.lease(connection, "b", patience=20):
            pass
        assert 20 <= clock.now - began <= 24
        assert 7 <= len(clock.slept) <= 15
    clock.slept.clear()
    with limiter.lease(connection, "b", patience=0):
        assert clock.slept == []
