"""After a lost answer no document that the vendor has is uploaded again, whatever the vendor renames or misdates."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dossier.errors import OutcomeUnknownError
from dossier.models import CaseId
from dossier.steps import upload as upload_step
from dossier.stores.intents import SEEN_IS_FRESH
from local.sandbox import docustack
from local.sandbox.manners import WAYS
from tests.lost.world import CONNECTIONS, SETTLING, LostWorld, time_of

NAMES = ("Prüfung Mai (1).pdf", "invoice.pdf", "scan 100% final.pdf")
OWN = st.tuples(
    st.sampled_from(NAMES),
    st.lists(st.sampled_from(["before", "after", "after"]), max_size=3),
    st.floats(0, 400),
)
STRANGER = st.tuples(st.just("stranger"), st.sampled_from((*NAMES, "letter.pdf", "invoice (2).pdf")), st.floats(0, 400))


def manners(way: str | None, off: float | None, zone: float | None, delay: float) -> list[dict[str, Any]]:
    """Return the rules of a vendor's manners."""
    rules: list[dict[str, Any]] = []
    if way:
        rules.append({"name": "renamed", "rate": 1, "form": way})
    if off is not None:
        rules.append({"name": "clock", "rate": 1, "seconds": off})
    if zone is not None:
        rules.append({"name": "zoneless", "rate": 1, "seconds": zone})
    if delay:
        rules.append({"name": "listed_late", "rate": 1, "seconds": delay})
    return rules


@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(
    way=st.none() | st.sampled_from(sorted(WAYS)),
    off=st.none() | st.sampled_from([-180.0, 180.0]) | st.integers(-86_400, 86_400).map(float),
    zone=st.none() | st.sampled_from([0.0, 19_800.0, -18_000.0]),
    delay=st.just(0.0) | st.floats(1, 0.8 * SETTLING),
    events=st.lists(OWN | STRANGER, min_size=1, max_size=5),
)
@pytest.mark.parametrize("connection", sorted(CONNECTIONS))
def test_lost_answer_never_uploads_a_document_twice(
    connection: str, way: str | None, off: float | None, zone: float | None, delay: float, events: list[Any]
) -> None:
    """Each document reaches the vendor at most once and has its own id; without other uploads there is no question."""
    world = LostWorld(connection, faults=manners(way, off, zone, delay))
    alone = True
    with time_of(world.clock):
        for who, what, pause in events:
            world.clock.sleep(pause)
            if who == "stranger":
                alone = False
                world.lose()
                world.stranger(what)
                world.clock.sleep(delay)  # nothing distinguishes files of exactly the same name and the same seconds
                continue
            reference = world.case(who)
            world.lose(*what)
            done = world.upload(reference)
            made = world.uploads(reference)
            assert len(made) <= 1, (reference, world.asked)
            if not done:
                assert not alone, world.asked
                continue
            case = world.found(reference)
            assert [each["name"] for each in made] == [who]
            if connection == "claims":
                assert case.record.case_id == made[0]["case_id"]
            else:
                assert case.documents[0].document_id == made[0]["document_id"]


# --- one by one -------------------------------------------------------------------------------------------------------


@pytest.fixture(params=["claims", "invoices"])
def world(request: pytest.FixtureRequest) -> Iterator[LostWorld]:
    """Return a connection whose account has a list, one after the other."""
    made = LostWorld(request.param)
    with time_of(made.clock):
        yield made


def done(world: LostWorld, name: str, *fates: str) -> str:
    """Upload a document whose answers are lost in the given way; return the case's reference."""
    reference = world.case(name)
    world.lose(*fates)
    world.upload(reference)
    return reference


@pytest.mark.parametrize("way", sorted(WAYS))
@pytest.mark.parametrize("connection", sorted(CONNECTIONS))
def test_renamed_file_of_a_lost_upload_is_adopted(connection: str, way: str) -> None:
    """For each way in which names are rewritten: one upload, no question."""
    world = LostWorld(connection, faults=manners(way, None, None, 0))
    with time_of(world.clock):
        reference = done(world, NAMES[0], "after")
        assert (world.asked, len(world.uploads(reference))) == ({}, 1)
        assert world.found(reference).documents[0].document_id


@pytest.mark.parametrize("seconds", [-180.0, 180.0, -5 * 3600.0, 9 * 3600.0])
@pytest.mark.parametrize("zone", [None, 19_800.0])
@pytest.mark.parametrize("fate", ["after", "before"])
@pytest.mark.parametrize("connection", sorted(CONNECTIONS))
def test_no_clock_error_uploads_a_document_again(
    connection: str, seconds: float, zone: float | None, fate: str
) -> None:
    """Minutes or hours off, with a zone or without: one upload and no question, listed or not."""
    world = LostWorld(connection, faults=manners(None, seconds, zone, 0))
    with time_of(world.clock):
        for names, fates in (("first.pdf", ()), ("second.pdf", (fate,)), ("third.pdf", ())):
            reference = done(world, names, *fates)
            assert (world.asked, len(world.uploads(reference))) == ({}, 1)
            world.clock.sleep(100)


def test_steady_uploads_send_no_extra_request(world: LostWorld) -> None:
    """The list is read once for all uploads of some minutes, not before each."""
    for number in range(6):
        done(world, f"{number}.pdf")
    assert world.requests("upload") == 6
    assert world.requests("list") <= 2
    world.clock.sleep(SEEN_IS_FRESH.total_seconds())
    done(world, "later.pdf")
    assert world.requests("list") <= 3


@pytest.mark.parametrize("name", ["8f3c.pdf", "letter.pdf"])
def test_a_new_file_of_another_name_is_asked_about(world: LostWorld, name: str) -> None:
    """A file that somebody else uploads meanwhile may be ours under a new name: the question names it."""
    world.meanwhile = [lambda: world.stranger(name)]
    reference = done(world, "invoice.pdf", "before")
    assert name in world.asked[reference]
    assert world.uploads(reference) == []


def test_exact_name_is_found_among_others(world: LostWorld) -> None:
    """A new file of exactly the name is ours; unlike files do not prevent that it is adopted."""
    world.meanwhile = [lambda: world.stranger("letter.pdf")]
    reference = done(world, "invoice.pdf", "after")
    assert (world.asked, len(world.uploads(reference))) == ({}, 1)


def test_two_candidates_become_a_question(world: LostWorld) -> None:
    """Of two new files that may be ours none is taken."""
    world.meanwhile = [lambda: world.stranger("Invoice (1).pdf")]
    reference = done(world, "invoice.pdf", "after")
    assert "Invoice (1).pdf" in world.asked[reference]
    assert len(world.uploads(reference)) == 1


def test_earlier_uploads_of_others_are_not_adopted(world: LostWorld) -> None:
    """A stranger's file of exactly the name from minutes before is not adopted: an operator is asked."""
    done(world, "first.pdf")
    done(world, "second.pdf")
    world.stranger("invoice.pdf")
    world.clock.sleep(120)
    reference = done(world, "invoice.pdf", "before")
    assert "invoice.pdf" in world.asked[reference]
    assert world.found(reference).documents[0].document_id is None


def test_late_effect_is_found_by_the_next_look_up(world: LostWorld) -> None:
    """A first request that takes effect late does not count as old when the repeated one is lost, too."""
    reference = world.case("invoice.pdf")
    world.lose("before", "before")
    count = []

    def late() -> None:
        count.append(world.clock.at)
        if len(count) == 2:
            world.stranger("invoice.pdf")  # the late effect of the first one
        world.meanwhile = [late] if len(count) < 2 else []

    world.meanwhile = [late]
    world.upload(reference)
    assert world.uploads(reference) == []
    assert world.asked or world.found(reference).documents[0].document_id


def test_many_lost_answers_upload_each_file_once() -> None:
    """The files of a new case are read for all look-ups: as many requests as lost answers, not their square."""
    world, count = LostWorld("claims"), 12
    with time_of(world.clock):
        references = [world.case(f"document-{number}.pdf") for number in range(count)]
        for reference in references:
            world.lose("after")
            with pytest.raises(OutcomeUnknownError):
                upload_step.upload(CaseId(world.name, reference), 0, context=world.context)
        world.clock.sleep(SETTLING + 1)
        before = world.requests("files")
        for reference in references:
            upload_step.upload(CaseId(world.name, reference), 0, context=world.context)
        assert [len(world.uploads(each)) for each in references] == [1] * count
        assert world.requests("files") - before <= 2 * count


def test_lost_answers_are_settled_by_each_other(world: LostWorld) -> None:
    """A missing one waits for the others whose files are new, and is uploaded once these are assigned."""
    lost = {name: world.case(name) for name in ("one.pdf", "two.pdf", "three.pdf")}
    for name, fate in (("one.pdf", "before"), ("two.pdf", "after"), ("three.pdf", "after")):
        world.lose(fate)
        with pytest.raises(OutcomeUnknownError):
            upload_step.upload(CaseId(world.name, lost[name]), 0, context=world.context)
    world.clock.sleep(SETTLING + 1)
    with pytest.raises(OutcomeUnknownError, match="have to settle first"):
        upload_step.upload(CaseId(world.name, lost["one.pdf"]), 0, context=world.context)
    for name in ("two.pdf", "three.pdf", "one.pdf"):
        assert world.upload(lost[name])
    assert [len(world.uploads(each)) for each in lost.values()] == [1, 1, 1]


def test_indistinguishable_candidates_become_a_question(world: LostWorld) -> None:
    """Two requests in flight with files of one name: neither takes what may be the other's."""
    lost = [world.case("scan.pdf"), world.case("Scan.pdf")]
    for reference, fate in zip(lost, ("before", "after"), strict=True):
        world.lose(fate)
        with pytest.raises(OutcomeUnknownError):
            upload_step.upload(CaseId(world.name, reference), 0, context=world.context)
    world.clock.sleep(SETTLING + 1)
    assert [world.upload(each) for each in lost] == [False, False]
    assert [len(world.uploads(each)) for each in lost] == [0, 1]


def test_failing_list_does_not_block_uploads(world: LostWorld) -> None:
    """The first uploads wait for the list for a while; later ones do without, and a lost answer is a question."""
    world.faults = [{"name": "error_before", "vendor": world.vendor, "operation": "list", "rate": 1, "status": 500}]
    reference = done(world, "invoice.pdf")
    assert len(world.uploads(reference)) == 1
    assert world.requests("list") == upload_step.TRIES_TO_LIST


def test_an_append_whose_file_is_renamed_is_found() -> None:
    """Docsumo: new files of a case are ours by likeness; new ones with entirely different names become a question."""
    world = LostWorld("claims", faults=manners("ascii", None, None, 0))
    with time_of(world.clock):
        first = done(world, "first.pdf")
        case_id = world.found(first).record.case_id
        reference = world.case(NAMES[0], into=case_id)
        world.lose("after")
        assert world.upload(reference)
        assert len(world.uploads(reference)) == 1
        missing = world.case("letter.pdf", into=case_id)
        world.lose("before")
        data = {"casetype_id": "casetype__d1t5b", "case_id": str(case_id)}
        world.meanwhile = [
            lambda: world.sandbox.post(
                "/docsumo/api/v1/upload-service/agents/casetype/case",
                data=data,
                files=[("files", ("8f3c.pdf", b"%PDF-1.7 another"))],
                headers={"x-api-key": world.key},
            )
        ]  # type: ignore[list-item]
        assert not world.upload(missing)
        assert "8f3c.pdf" in world.asked[missing]
        assert world.uploads(missing) == []


def test_answer_with_an_unusable_id_becomes_a_question() -> None:
    """The vendor's id does not fit into the table: the answer is stored, and nothing is repeated."""
    world, endless = LostWorld("invoices"), "é" * 5000
    make = docustack._new_id
    with time_of(world.clock), pytest.MonkeyPatch.context() as patch:
        patch.setattr(docustack, "_new_id", lambda: endless)
        reference = world.case("invoice.pdf")
        assert not world.upload(reference)
    assert make() != endless
    assert "without a usable id" in world.asked[reference]
    assert len(world.uploads(reference)) == 1
    assert endless in world.kept[f"cases/invoices/{reference}/vendor/unusable-upload-0.json"].decode()
