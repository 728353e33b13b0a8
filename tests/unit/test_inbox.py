"""The plan for an object of the inbox depends only on the inbox's content and the time."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dossier.steps.inbox import EMPTY, LATE, QUIET, Landed, Leave, Listing, Reject, Start, Wait, place_of, plan
from dossier.stores.objects import Stat

AT = datetime(2026, 1, 31, 12, tzinfo=UTC)
FOLDER = "inbox/invoices/May/"


def stat(key: str, *, ago: timedelta = timedelta(hours=1), size: int = 10) -> Stat:
    """Return an object that arrived so long ago."""
    return Stat(key, size, f"etag of {key}", AT - ago, "v1")


def folder(own: str, *, data: object = None, ago: timedelta = timedelta(hours=1), **files: timedelta) -> Listing:
    """Return a folder with a ``case.json`` and files of these ages, as the object ``own`` sees it."""
    there = {f"{name}.pdf": stat(f"{FOLDER}{name}.pdf", ago=age) for name, age in files.items()}
    body = json.dumps({} if data is None else data).encode()
    what = Landed(f"{FOLDER}{own}")
    case_file = stat(f"{FOLDER}case.json", ago=ago)
    return Listing(what, place_of(what.key), "bucket", case_file=case_file, files=there, body=body)


def file(key: str, **more: Any) -> Listing:
    """Return the listing of a single file."""
    return Listing(Landed(key), place_of(key), "bucket", **more)


def test_a_complete_file_starts_its_case() -> None:
    """With the version that was looked at."""
    planned = plan(file("inbox/invoices/a.pdf", file=stat("inbox/invoices/a.pdf")), AT)
    assert isinstance(planned, Start)
    assert planned.case.reference == "a.pdf"
    assert [(each.uri, each.version_id) for each in planned.case.documents] == [
        ("s3://bucket/inbox/invoices/a.pdf", "v1")
    ]


@pytest.mark.parametrize(
    ("listing", "expected"),
    [
        (file("inbox/invoices/a.pdf"), Leave("is gone")),
        (file("elsewhere/a.pdf"), Leave("is not a file in the inbox")),
        (file("inbox/invoices/.DS_Store"), Leave("is ignored: it is not a document")),
        (file("inbox/invoices/a.pdf.part"), Leave("is an upload in progress")),
        (
            file("inbox/invoices/a.pdf", file=stat("a", size=0), latest=stat("a")),
            Leave("was empty, but a later version is not"),
        ),
        (file(f"{FOLDER}a.pdf"), Wait("waits for its case.json", lacks=True)),
        (file(f"{FOLDER}case.json"), Leave("is gone")),
        (folder("a.pdf", a=timedelta(hours=2)), Leave(f"leaves it to {FOLDER}case.json")),
        (folder("a.pdf", a=timedelta(hours=1)), Leave(f"leaves it to {FOLDER}case.json")),
    ],
)
def test_a_submission_that_starts_nothing_says_why(listing: Listing, expected: object) -> None:
    """Each reason is for the log; only a drop that lacks something is shown to people."""
    assert plan(listing, AT) == expected


def test_an_incomplete_drop_says_when_to_look_again() -> None:
    """The time is counted from the last object that arrived."""
    second = timedelta(seconds=1)
    empty = plan(file("inbox/invoices/a.pdf", file=stat("inbox/invoices/a.pdf", ago=second, size=0)), AT)
    assert isinstance(empty, Wait)
    assert (empty.after, empty.lacks) == (EMPTY - second, True)
    settling = plan(folder("case.json", ago=second, a=2 * second), AT)
    assert isinstance(settling, Wait)
    assert (settling.after, settling.lacks) == (QUIET - second, False)
    named = {"documents": [{"name": "a.pdf"}, {"name": "b.pdf"}]}
    missing = plan(folder("case.json", data=named, ago=timedelta(minutes=1), a=timedelta(minutes=2)), AT)
    assert isinstance(missing, Wait)
    assert (missing.why, missing.after, missing.lacks) == ("waits for b.pdf", LATE - timedelta(minutes=1), True)


def test_a_wrong_drop_is_rejected_under_its_own_reference() -> None:
    """The line says what is wrong; an unreadable input gets the reference of its key."""
    wrong = plan(folder("case.json", data={"reference": "INV-1", "documents": 7}, a=timedelta(hours=2)), AT)
    assert isinstance(wrong, Reject)
    assert wrong.case.reference == "INV-1"
    assert wrong.case.drop is not None
    assert (wrong.case.drop.refused or "").startswith("case.json is wrong: documents: ")
    misplaced = plan(file("inbox/case.json"), AT)
    assert isinstance(misplaced, Reject)
    assert misplaced.case.connection == "-"


def test_a_removed_object_ends_what_waited_for_it() -> None:
    """Only if nothing of the drop is left; a folder that lost its ``case.json`` waits for it."""
    removed = Landed(f"{FOLDER}a.pdf", removed=True)
    place = place_of(removed.key)
    assert plan(Listing(removed, place, "bucket", waits=False), AT) == Leave("is removed")
    assert plan(Listing(removed, place, "bucket"), AT) == Leave("is removed: the drop is empty", ended=AT)
    waits = plan(Listing(removed, place, "bucket", left=True), AT)
    assert waits == Wait("waits for its case.json", lacks=True, landed=AT)
