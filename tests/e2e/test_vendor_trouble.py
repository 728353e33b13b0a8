"""Temporary trouble: pauses, outages, slowness, and lost answers to completed requests."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import pytest

from tests.e2e.otherservers import Fault, as_date, in_seconds
from tests.e2e.questions import attention
from tests.e2e.world import World, sums


def test_pauses_and_outages(world: World) -> None:
    """A case completes through 429 in both forms, 503 and slowness, and no request is sent during a pause."""
    reference = world.name("busy")
    world.vendors.accounts["busy"].faults += [
        Fault("upload", 429, in_seconds(3)),
        Fault("upload", 503),
        Fault("status", 429, as_date(5)),
        Fault("status", 503),
        Fault("status", 429, in_seconds(2)),
        Fault("document", 502),
        Fault("document", seconds=3),
    ]
    file = world.file(f"{reference}.pdf")
    world.complete("busy", reference, file)
    assert not world.vendors.accounts["busy"].faults
    assert [each["sha256"] for each in world.vendors.uploads(reference)] == sums([file])
    calls = world.vendors.calls("busy")
    refused = [call for call in calls if call.status == 429]
    for each, seconds in zip(refused, (3, 4, 2), strict=True):  # a date has no fractions: 5 s may be 4
        assert not [call for call in calls if each.ended < call.at < each.ended + seconds]


@pytest.mark.parametrize(("connection", "ending"), [("scans", "pdf"), ("intake", "pdf"), ("grievances", "docx")])
def test_lost_answer_to_an_upload(world: World, connection: str, ending: str) -> None:
    """A completed upload whose answer is lost is found again: no document reaches a vendor twice."""
    reference = world.name("lost")
    files = [world.file(f"{reference} first.{ending}"), world.file(f"{reference} second.{ending}")]
    world.vendors.plan(f"{reference} first" if connection == "intake" else f"{reference} second", loses=1)
    result = world.complete(connection, reference, *files)
    assert result["status"] == "completed"
    assert sorted(each["sha256"] for each in world.vendors.uploads(reference)) == sorted(sums(files))
    assert {each["name"] for each in result["documents"]} == {path.name for path in files}
    assert all(each["document_id"] for each in result["documents"])


def test_storage_that_has_the_whole_file_at_last(world: World) -> None:
    """A part, an empty body and an expired link are not artifacts; a compressed form's checksum is not the file's."""
    reference = world.name("parts")
    file = world.file(f"{reference}.pdf")
    world.vendors.plan(reference, serves=("part", "nothing", "400", "stored gzip"))
    result = world.complete("intake", reference, file)
    folder = world.docsumo("intake").folders[result["case_id"]]
    assert result["artifacts"]
    whole = {hashlib.sha256(each.body).hexdigest(): len(each.body) for each in folder.files.values()}
    assert {each["sha256"]: each["size"] for each in result["artifacts"]}.items() <= whole.items()
    assert set(folder.served.values()) == {4}


STRAY = (404, 302, 307, 405, 409, 421, 423, 499, 400)
"""A gateway's answers in a vendor's place, with HTML: none of them decides about a case."""


@pytest.mark.parametrize(
    ("connection", "operations"),
    [("astray", ("status",)), ("aside", ("listing",)), ("afield", ("evidence", "case"))],
)
def test_answers_of_a_gateway_to_polls(world: World, connection: str, operations: tuple[str, ...]) -> None:
    """Two cases complete, whatever a gateway answers to their polls before the vendor is asked."""
    files = {world.name(connection): [world.file(f"{connection}-{number}.pdf")] for number in range(2)}
    world.vendors.plan(connection, seconds=1.0)
    account = world.vendors.accounts[connection]
    account.faults += [Fault(each, status) for status in STRAY for each in operations]
    with ThreadPoolExecutor(2) as pool:
        results = [pool.submit(world.complete, connection, reference, *file) for reference, file in files.items()]
        assert [each.result()["status"] for each in results] == ["completed"] * 2
    assert account.faults == []
    assert {call.status for call in world.vendors.calls(connection)} >= set(STRAY)
    sent = [each["sha256"] for file in files.values() for each in world.vendors.uploads(file[0].name)]
    assert sorted(sent) == sorted(sums(each for file in files.values() for each in file))


TIDY: dict[str, Callable[[str], str]] = {
    "blanks": lambda name: "_".join(name.split()),
    "case": str.upper,
    "percent": lambda name: quote(name, safe=""),
    "ascii": lambda name: "".join(each if each.isascii() and each.isalnum() else "_" for each in name),
    "time": lambda name: f"{int(time.time())}_{name}",
    "mojibake": lambda name: name.encode().decode("latin-1"),
    "ending": lambda name: name.rpartition(".")[0],
}


def test_lost_answers_of_vendors_that_tidy_names(world: World) -> None:
    """A clock minutes off, times without a zone, and other names: each document is found again, and uploaded once."""

    def lose(connection: str, way: str) -> None:
        reference = world.name(f"lost-{connection}-{way}")
        file = world.file(f"{reference} Prüfung Mai (1).pdf")
        world.vendors.plan(reference, loses=1, listed_as=TIDY[way])
        result = world.complete(connection, reference, file)
        assert result["status"] == "completed"
        assert [each["sha256"] for each in world.vendors.uploads(reference)] == sums([file])
        assert all(each["document_id"] for each in result["documents"])

    with ThreadPoolExecutor(7) as pool:
        lost = [pool.submit(lose, connection, way) for connection in ("tidied", "misdated") for way in TIDY]
        for each in lost:
            each.result()


def created(world: World, reference: str) -> list[str]:
    """Return the vendor's cases of a reference."""
    return [each["case_id"] for each in world.vendors.effects("case_created") if each["name"] == reference]


def test_resolve_by_use(world: World) -> None:
    """An operator who found the vendor's case gives its id, and the case continues with it."""
    reference = world.name("used")
    arn = attention(world, reference)
    (case_id,) = created(world, reference)
    world.dossier("resolve", reference, "--connection", "grievances", "--use", case_id)
    assert world.ended(arn)["status"] == "SUCCEEDED"
    assert world.result("grievances", reference)["case_id"] == case_id
    assert created(world, reference) == [case_id]
    started = [each["case_id"] for each in world.vendors.effects("assessment_started")]
    assert started.count(case_id) == 1  # the answer to that was lost as well
    refused = world.dossier("resolve", reference, "--connection", "grievances", "--retry", code=1)
    assert "no open question" in refused.stderr


def test_resolve_by_retry(world: World) -> None:
    """An operator who found nothing at the vendor has the request sent again."""
    reference = world.name("retried")
    arn = attention(world, reference)
    world.dossier("resolve", reference, "--connection", "grievances", "--retry")
    assert world.ended(arn)["status"] == "SUCCEEDED"
    first, second = created(world, reference)
    assert world.result("grievances", reference)["case_id"] == second != first
    fed = [each["case_id"] for each in world.vendors.effects("document_uploaded", "grievances")]
    assert (fed.count(first), fed.count(second)) == (0, 1)


def test_resolve_by_giving_up(world: World) -> None:
    """An operator may give a case up: it has failed, for that reason."""
    reference = world.name("given-up")
    arn = attention(world, reference)
    world.dossier("resolve", reference, "--connection", "grievances", "--give-up")
    ended = world.ended(arn)
    assert (ended["status"], ended["error"]) == ("FAILED", "GivenUpError")
    status = world.status("grievances", reference)
    assert (status["status"], status["reason"], status["questions"]) == ("failed", ended["cause"], [])
    assert len(created(world, reference)) == 1
