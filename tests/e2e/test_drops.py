"""Drops: what lands in the inbox of the deployed bucket becomes a case, or a line that says why not."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.e2e.world import World, sha256, sums, until


def ended(world: World, word: str, number: int = 1) -> list[str]:
    """Wait until that many executions with a word in their name have ended; return their ARNs, the oldest last."""
    arns = until(lambda: (found := world.executions(word))[: len(found) * (len(found) >= number)])
    for arn in arns:
        world.ended(arn)
    return arns


def note(world: World, key: str) -> str:
    """Wait for the note about a rejected drop; return it without its time."""
    key = f"inbox-refused/{key}.txt"
    until(lambda: world.keys(key), what=f"there is no {key}")
    text = world.read(key).decode()
    assert text.count("\n") == 1
    return text.strip().partition(" ")[2]


@pytest.mark.parametrize("connection", ["scans", "intake", "quarrels"])
def test_dropped_file_is_a_case(world: World, connection: str) -> None:
    """A file right under a connection's folder is a case under its own name, whatever signs that has in it."""
    word = world.name("dropped")
    body = world.file("a.pdf").read_bytes()
    world.put(f"inbox/{connection}/{word} Übersicht+1%20.pdf", body)
    (arn,) = ended(world, f"{connection}-{word}-")
    assert world.ended(arn)["status"] == "SUCCEEDED"
    assert [each["sha256"] for each in world.vendors.uploads(word)] == [sha256(body)]
    (found,) = [
        each
        for each in world.dossier("list", "--connection", connection).document
        if each["reference"].startswith(word)
    ]
    assert found["status"] == "completed"
    assert world.result(connection, found["reference"])["status"] == "completed"


def test_dropped_folder_is_a_case(world: World) -> None:
    """A folder waits for its ``case.json``, and is one case then; the files that it names may land in any order."""
    word = world.name("folder")
    files = [world.file(f"{word} {letter}.pdf") for letter in "abc"]
    case = {"documents": [{"name": path.name} for path in files], "options": {"case_title": word}}
    prefix = f"inbox/scans/{word}/"
    world.put(prefix, b"")
    world.put(prefix + files[0].name, files[0].read_bytes())
    world.put(prefix + "case.json", json.dumps(case).encode())
    for path in files[1:]:
        world.put(prefix + path.name, path.read_bytes())
    (arn,) = ended(world, f"scans-{word}-")
    assert world.ended(arn)["status"] == "SUCCEEDED"
    assert sorted(each["sha256"] for each in world.vendors.uploads(word)) == sorted(sums(files))
    assert [each["name"] for each in world.result("scans", word)["documents"]] == [path.name for path in files]


def test_folder_without_a_document_list_takes_all_files(world: World) -> None:
    """A ``case.json`` that names no documents means all of its folder, once nothing lands there any more."""
    word = world.name("whole")
    files = [world.file(f"{word} {letter}.pdf") for letter in "ab"]
    prefix = f"inbox/quarrels/{word}/"
    world.put(prefix + files[0].name, files[0].read_bytes())
    world.put(prefix + "case.json", b"{}")
    world.put(prefix + "deep/" + files[1].name, files[1].read_bytes())
    (arn,) = ended(world, f"quarrels-{word}-")
    assert world.ended(arn)["status"] == "SUCCEEDED"
    assert sorted(each["sha256"] for each in world.vendors.uploads(word)) == sorted(sums(files))


def test_file_dropped_five_times_is_one_case(world: World) -> None:
    """The same file dropped five times, at once and afterwards, and submitted by command, is uploaded once."""
    file = world.file(f"{world.name('fivefold')}.pdf")
    key = f"inbox/scans/{file.name}"
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: world.put(key, file.read_bytes()), range(4)))
    (arn,) = ended(world, f"scans-{file.name}-")
    world.put(key, file.read_bytes())
    text = world.submit("scans", file.name, file)
    assert (text["outcome"], text["execution_arn"]) == ("already_submitted", arn)
    until(lambda: not any(world.messages("drop").values()), what="the drop queue is busy")
    assert ended(world, f"scans-{file.name}-") == [arn]
    assert [each["sha256"] for each in world.vendors.uploads(file.name)] == sums([file])


def test_other_content_under_the_same_name_is_rejected(world: World) -> None:
    """Other content under a used name is rejected in one line beside the inbox; the first case continues."""
    name = f"{world.name('taken')}.pdf"
    first, second = world.file(name), world.file(name)
    world.put(f"inbox/scans/{name}", first.read_bytes())
    world.put(f"inbox/scans/{name}", second.read_bytes())
    answer = note(world, f"scans/{name}")
    assert answer.startswith(f"inbox/scans/{name} was rejected: reference {name} belongs to a case with other content")
    arns = ended(world, f"scans-{name}-", 2)
    ends = {each["status"]: each for each in map(world.ended, arns)}
    assert ends["FAILED"]["error"] == "ReferenceConflictError"
    assert world.status("scans", name)["status"] == "completed"
    assert len(world.vendors.uploads(name)) == 1
    assert world.vendors.uploads(name)[0]["sha256"] in sums([first, second])


def test_invalid_case_file_is_rejected(world: World) -> None:
    """A malformed ``case.json`` is one line beside the inbox, in the status and in an event; then it is fixed."""
    word = world.name("malformed")
    prefix, file = f"inbox/scans/{word}/", world.file(f"{word}.pdf")
    world.put(prefix + file.name, file.read_bytes())
    world.put(prefix + "case.json", b'{"options": {"case_title" "x"}}')
    line = "case.json is not JSON: line 1, column 27: Expecting ':' delimiter"
    assert note(world, f"scans/{word}/case.json") == f"{prefix}case.json was rejected: {line}"
    (arn,) = ended(world, f"scans-{word}-")
    assert (world.ended(arn)["error"], world.ended(arn)["cause"]) == ("InvalidCaseError", line)
    status = world.status("scans", word)
    assert (status["status"], status["reason"]) == ("failed", line)
    (event,) = until(lambda: world.events(word))
    assert (event["detail-type"], event["detail"]["reason"]) == ("Case Failed", line)
    world.put(prefix + "case.json", b'{"options": {"case_title": "x"}}')
    ended(world, f"scans-{word}-", 2)
    assert world.status("scans", word)["status"] == "completed"
    assert [each["sha256"] for each in world.vendors.uploads(word)] == sums([file])


@pytest.mark.parametrize(
    ("key", "line"),
    [
        ("nobody/{}.pdf", 'unknown connection "nobody": use one of '),
        ("{}.pdf", "it is in no connection's folder: drop it into inbox/<connection>/"),
        ("scans/{}.txt", "document {}.txt is of an unknown type: docustack reads "),
    ],
)
def test_rejected_drop_has_a_note(world: World, key: str, line: str) -> None:
    """A drop that no connection can take is rejected in one line, and is not a dead letter."""
    word = world.name("refused")
    key = key.format(word)
    world.put(f"inbox/{key}", b"a text")
    assert note(world, key).startswith(f"inbox/{key} was rejected: {line.format(word)}")
    assert not world.vendors.uploads(word)
    assert not any(world.messages("drop-dlq").values())
