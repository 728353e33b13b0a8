"""A drop that is not a case yet is shown at once, until it becomes one."""

from __future__ import annotations

from datetime import timedelta

import pytest

from dossier.models import iso, now
from dossier.steps.drop import landed_in
from dossier.steps.inbox import EMPTY, LATE, QUIET, Landed
from dossier.stores.cases import CaseRecord
from tests.conftest import BUCKET
from tests.steps.drops import FOLDER, PDF, Inbox

CASE = '{"documents": [{"name": "a.pdf"}, {"name": "b.pdf"}]}'


def waiting(inbox: Inbox, connection: str = "invoices") -> list[CaseRecord]:
    """Return the drops in `dossier list`."""
    return list(inbox.world.context.cases.waiting_drops(connection))


def beside(inbox: Inbox, name: str = "invoices/May") -> str | None:
    """Return the notes beside the inbox."""
    body = inbox.world.cloud.app.objects.read(f"inbox-waiting/{name}.txt")
    return body.decode() if body else None


def test_folder_without_a_case_file_is_shown_at_once(inbox: Inbox) -> None:
    """In the list with the missing files, and beside the inbox; once the case starts it is in neither."""
    inbox.drop(f"{FOLDER}a.pdf", PDF)
    [seen] = waiting(inbox)
    assert (seen.connection, seen.reference, seen.status.value) == ("invoices", "May", "waiting for files")
    assert seen.reason == "inbox/invoices/May waits for its case.json"
    assert (beside(inbox) or "").endswith("inbox/invoices/May waits for its case.json\n")
    assert "is started" in inbox.drop(f"{FOLDER}case.json", "{}", after=QUIET)
    assert (waiting(inbox), beside(inbox)) == ([], None)


def test_a_folder_says_which_documents_it_waits_for(inbox: Inbox) -> None:
    """The note names what is missing now; its time stays that of the first note."""
    inbox.drop(f"{FOLDER}case.json", CASE)
    [first] = waiting(inbox)
    assert (first.reason or "").endswith("waits for a.pdf, b.pdf")
    inbox.the_second_is_over()
    inbox.drop(f"{FOLDER}a.pdf", PDF)
    [second] = waiting(inbox)
    assert (second.reason or "").endswith("waits for b.pdf")
    assert "waits for b.pdf" in (beside(inbox) or "")
    assert second.submitted_at == first.submitted_at
    inbox.the_second_is_over()
    inbox.drop(f"{FOLDER}b.pdf", PDF + b" ", after=QUIET)
    assert (waiting(inbox), beside(inbox)) == ([], None)


def test_folder_rejected_for_a_missing_file_no_longer_waits(inbox: Inbox) -> None:
    """After a quarter of an hour Accept names the missing files."""
    what = inbox.put(f"{FOLDER}case.json", CASE)
    inbox.take(what)
    assert waiting(inbox)
    assert "is started" in inbox.take(what, after=LATE)
    assert (waiting(inbox), beside(inbox)) == ([], None)


def test_an_empty_file_waits_to_be_written(inbox: Inbox) -> None:
    """It is seen for the minute that it has."""
    what = inbox.put("inbox/invoices/empty.pdf", b"")
    inbox.take(what)
    assert [each.reference for each in waiting(inbox)] == ["empty.pdf"]
    inbox.take(what, after=EMPTY)
    assert (waiting(inbox), beside(inbox, "invoices/empty.pdf")) == ([], None)


def test_settling_folder_is_not_shown(inbox: Inbox) -> None:
    """A folder whose files have all landed, or a single file, lacks nothing."""
    inbox.drop(f"{FOLDER}case.json", "{}")
    inbox.drop("inbox/invoices/INV-1.pdf", PDF)
    assert waiting(inbox) == []
    listed = inbox.s3.list_objects_v2(Bucket=BUCKET, Prefix="inbox-waiting/")
    assert listed["KeyCount"] == 0


def test_late_message_does_not_restore_the_record(inbox: Inbox) -> None:
    """Messages are repeated and overtake each other; a started case is not recorded as waiting again."""
    first = inbox.put(f"{FOLDER}a.pdf", PDF)
    cases, objects = inbox.world.context.cases, inbox.world.cloud.app.objects
    stat, seen = objects.stat, []

    def as_before(key: str, **more: object) -> object:
        """Answer as before ``case.json`` landed, which happens right after the answer."""
        if key.endswith("case.json") and not seen:
            seen.append(key)
            inbox.the_second_is_over()
            vars(inbox.world.context)["objects"] = objects
            assert "is started" in inbox.drop(f"{FOLDER}case.json", "{}", after=QUIET)
            return None
        return stat(key, **more)  # type: ignore[arg-type]

    objects.stat = as_before  # type: ignore[method-assign,assignment]
    assert inbox.take(first) == "waits for its case.json"
    assert seen
    assert cases.waiting_drop("invoices", "May") is None
    assert beside(inbox) is None


def test_deleted_folder_no_longer_waits(inbox: Inbox) -> None:
    """S3 sends an event; a folder whose case.json was deleted waits for it again."""
    case_file = inbox.put(f"{FOLDER}case.json", CASE)
    inbox.take(case_file)
    inbox.the_second_is_over()
    inbox.drop(f"{FOLDER}a.pdf", PDF)
    inbox.s3.delete_object(Bucket=BUCKET, Key=case_file.key)
    inbox.take(Landed(case_file.key, removed=True))
    assert [each.reason for each in waiting(inbox)] == ["inbox/invoices/May waits for its case.json"]
    inbox.s3.delete_object(Bucket=BUCKET, Key=f"{FOLDER}a.pdf")
    inbox.take(Landed(f"{FOLDER}a.pdf", removed=True))
    assert (waiting(inbox), beside(inbox)) == ([], None)


def test_folder_dropped_again_is_shown_again(inbox: Inbox) -> None:
    """An ended record does not hide a later drop."""
    inbox.drop(f"{FOLDER}a.pdf", PDF)
    inbox.s3.delete_object(Bucket=BUCKET, Key=f"{FOLDER}a.pdf")
    inbox.take(Landed(f"{FOLDER}a.pdf", removed=True))
    assert waiting(inbox) == []
    cases = inbox.world.context.cases
    cases.drop_ends("invoices", "May", now() - timedelta(minutes=1))  # late: the later one wins
    for _ in range(2):
        inbox.the_second_is_over()
    inbox.drop(f"{FOLDER}a.pdf", PDF)
    assert len(waiting(inbox)) == 1


def test_many_files_write_once(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand files that wait for one case.json are one note."""
    objects, written = inbox.world.cloud.app.objects, list[str]()
    write = objects.write

    def counted(key: str, *rest: object) -> object:
        written.append(key)
        return write(key, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(objects, "write", counted)
    for number in range(10):
        inbox.drop(f"{FOLDER}{number}.pdf", PDF)
    assert written == ["inbox-waiting/invoices/May.txt"]
    assert len(waiting(inbox)) == 1


def test_removed_object_is_read_from_its_event() -> None:
    """S3's notification of a deletion is read as one, whatever kind it is."""
    where = {"bucket": {"name": BUCKET}, "object": {"key": "inbox/invoices/May/a+b.pdf"}}
    for kind in ("Delete", "DeleteMarkerCreated"):
        [found] = landed_in({"Records": [{"eventName": f"ObjectRemoved:{kind}", "s3": where}]}, BUCKET)
        assert found == Landed("inbox/invoices/May/a b.pdf", removed=True)


def test_waiting_record_expires_after_a_month(inbox: Inbox) -> None:
    """As long as S3 keeps the drop."""
    inbox.drop(f"{FOLDER}a.pdf", PDF)
    item = inbox.world.cloud.app.table.get("INBOX#invoices", "May")
    assert item is not None
    assert 30 * 86_400 < int(item["ttl"]) - now().timestamp() < 32 * 86_400
    assert item["gsi_sk"] <= iso(now())
