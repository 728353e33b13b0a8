"""Drops: files and folders that land in the inbox become cases, or a line that says why not."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from datetime import timedelta
from typing import Any
from urllib.parse import quote_plus

import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dossier.errors import InvalidCaseError
from dossier.models import REFERENCE, CaseId, CaseInput, CaseStatus, now
from dossier.steps.drop import landed
from dossier.steps.identity import execution_name, fingerprint, reference_of_drop
from dossier.steps.inbox import EMPTY, LATE, QUIET, SETTLED, Landed
from dossier.stores.executions import INPUT_LIMIT
from tests.conftest import BUCKET, Cloud
from tests.machine import samples
from tests.steps.drops import FOLDER, PDF, Inbox, status

TIFF = samples("scan.tiff")["scan.tiff"]
JPEG = samples("photo.jpg")["photo.jpg"]


def sha(body: bytes) -> str:
    """Return a digest in hex."""
    return hashlib.sha256(body).hexdigest()


# A file by itself


@pytest.mark.parametrize("connection", ["invoices", "claims", "disputes"])
def test_dropped_file_becomes_a_case(inbox: Inbox, connection: str) -> None:
    """A file right under a connection's folder goes to the vendor, and its result comes back, under the file's name."""
    inbox.drop(f"inbox/{connection}/INV-7.pdf", PDF)
    inbox.run()
    result = json.loads(inbox.world.context.objects.read(f"cases/{connection}/INV-7.pdf/result.json") or b"")
    assert (result["status"], result["reference"]) == ("completed", "INV-7.pdf")
    assert inbox.uploads() == [sha(PDF)]
    kept = inbox.world.context.objects.read(f"cases/{connection}/INV-7.pdf/documents/INV-7.pdf")
    assert kept == PDF


def test_file_dropped_five_times_is_one_case(inbox: Inbox) -> None:
    """The same file dropped again, at once or later, and the same message twice, are one execution and one upload."""
    first = inbox.put("inbox/invoices/a.pdf", PDF)
    for what in (first, first, inbox.put("inbox/invoices/a.pdf", PDF)):
        inbox.take(what)
    (name,) = inbox.run()
    inbox.an_hour_passes()
    for what in (first, inbox.put("inbox/invoices/a.pdf", PDF)):
        assert inbox.take(what) == "is already case a.pdf"
    assert inbox.run() == [name]
    assert inbox.uploads() == [sha(PDF)]


def test_a_drop_has_the_name_of_any_other_submission(inbox: Inbox) -> None:
    """A submission of the same content under the same reference in another way is the drop's execution."""
    inbox.drop("inbox/invoices/a.pdf", PDF)
    same = {"connection": "invoices", "reference": "a.pdf", "documents": [{"uri": "s3://elsewhere/b", "name": "a.pdf"}]}
    digest = fingerprint(CaseInput.parse(same), [("a.pdf", sha(PDF))])
    assert inbox.run() == [execution_name(CaseId("invoices", "a.pdf"), digest)]


def test_killed_function_loses_no_drop(inbox: Inbox) -> None:
    """Killed before or after it starts the execution, the message comes back and finds the started execution."""
    what = inbox.put("inbox/invoices/a.pdf", PDF)
    start = inbox.start

    def dies(name: str, case: dict[str, Any]) -> str:
        if inbox.later:
            start(name, case)
        inbox.later.append(({}, 0))
        raise ConnectionError

    inbox.start = dies  # type: ignore[method-assign]
    for _ in range(2):
        with pytest.raises(ConnectionError):
            inbox.take(what)
    inbox.start = start  # type: ignore[method-assign]
    assert inbox.take(what).startswith("is already execution ")
    assert len(inbox.run()) == 1
    assert inbox.uploads() == [sha(PDF)]


def test_other_content_under_the_same_name_is_rejected(inbox: Inbox) -> None:
    """The conflict is reported beside the inbox; the first case stays unchanged."""
    first, second = inbox.put("inbox/invoices/a.pdf", PDF), inbox.put("inbox/invoices/a.pdf", TIFF)
    for what in (first, second, second):
        inbox.take(what)
        inbox.run()
    assert len(inbox.inputs) == 2
    assert inbox.note("invoices/a.pdf").startswith(
        "inbox/invoices/a.pdf was rejected: reference a.pdf belongs to a case with other content"
    )
    assert status(inbox, "invoices", "a.pdf") == ("completed", None)
    assert inbox.uploads() == [sha(PDF)]


@pytest.mark.rule("security: change a document between its check and its upload")
def test_overwritten_file_does_not_change_its_case(inbox: Inbox) -> None:
    """An object that overwrites a drop before it is accepted is a conflict, like any other content."""
    inbox.drop("inbox/invoices/a.pdf", PDF)
    second = inbox.put("inbox/invoices/a.pdf", TIFF)
    inbox.run()
    inbox.take(second)
    inbox.run()
    assert inbox.uploads() == [sha(PDF)]
    assert "belongs to a case with other content" in inbox.note("invoices/a.pdf")


def test_rejected_drop_is_checked_again_when_dropped_again(inbox: Inbox) -> None:
    """Repeated messages about one drop cause one rejection; a new drop of the same file is checked again."""
    known = inbox.world.connections.pop("invoices")
    what = inbox.put("inbox/invoices/a.pdf", PDF)
    for _ in range(3):
        inbox.take(what)
        inbox.run()
    assert len(inbox.inputs) == 1
    assert inbox.note("invoices/a.pdf").endswith('was rejected: unknown connection "invoices"')
    inbox.world.connections["invoices"] = known
    inbox.an_hour_passes()
    inbox.drop("inbox/invoices/a.pdf", PDF)
    inbox.run()
    assert status(inbox, "invoices", "a.pdf") == ("completed", None)


@pytest.mark.parametrize(
    ("body", "line"),
    [
        (b"", "document a.pdf is empty: submit a file with content"),
        (b"plain", "document a.pdf is of an unknown type: docsumo reads"),
        (b"%PDF-" + b"x" * 27_000_000, "document a.pdf has 25.7 MiB: docsumo takes at most 25 MiB a file"),
    ],
    ids=["empty", "unknown", "large"],
)
def test_unsupported_file_type_is_rejected(inbox: Inbox, body: bytes, line: str) -> None:
    """A file that is not a document is rejected like any submission: status, event, and a line beside the inbox."""
    what = inbox.put("inbox/claims/a.pdf", body)
    for _ in range(2):
        inbox.take(what, after=EMPTY)
        inbox.run()
    assert len(inbox.inputs) == 1
    assert f"was rejected: {line}" in inbox.note("claims/a.pdf")
    assert status(inbox, "claims", "a.pdf")[0] == "failed"
    assert (status(inbox, "claims", "a.pdf")[1] or "").startswith(line)
    assert inbox.uploads() == []


def test_oversized_file_is_not_read(inbox: Inbox) -> None:
    """A file of gigabytes is rejected by its size, before it is hashed."""
    inbox.put("inbox/invoices/a.pdf", PDF)
    facts = inbox.world.context.objects.inspect(f"s3://{BUCKET}/inbox/invoices/a.pdf", most=10)
    assert (facts.size, facts.sha256, facts.head) == (len(PDF), "", b"")


@pytest.mark.rule("security: reach another folder, or break the function, with a dropped name or case.json")
@pytest.mark.parametrize(
    ("key", "line"),
    [
        ("inbox/a.pdf", "it is in no connection's folder: drop it into inbox/<connection>/"),
        ("inbox/invoices/case.json", "case.json describes a folder: drop both as inbox/invoices/<folder>/"),
        ("inbox//a.pdf", 'a part of its path is empty, "." or "..": drop it under a plain name'),
        ("inbox/invoices/../a.pdf", 'a part of its path is empty, "." or "..": drop it under a plain name'),
        ("inbox/invoices/May/../case.json", 'a part of its path is empty, "." or "..": drop it under a plain name'),
        (
            "inbox/invoices/May/deep/case.json",
            "case.json is in a subfolder: drop it as inbox/invoices/<folder>/case.json",
        ),
        ("inbox/nobody/a.pdf", 'unknown connection "nobody"'),
        (f"inbox/{'n' * 200}/a.pdf", f'unknown connection "{"n" * 64}"'),
        ("inbox/no body: *?/a.pdf", 'unknown connection "no body: *?"'),
    ],
)
def test_misplaced_file_is_rejected(inbox: Inbox, key: str, line: str) -> None:
    """A file outside of every connection's folder is rejected in one line for each drop, and is not a dead letter."""
    what = Landed(key, "v1") if ".." in key or "//" in key else inbox.put(key, PDF)
    for _ in range(3):
        inbox.take(what)
        inbox.run()
    assert len(inbox.inputs) == 1
    assert inbox.note(key.removeprefix("inbox/")).endswith(f" was rejected: {line}")
    assert inbox.uploads() == []


@pytest.mark.parametrize(
    "key", ["inbox/", "inbox/invoices/", "inbox/invoices/May/", "staging/a.pdf", "inboxes/a/b.pdf"]
)
def test_folder_markers_are_ignored(inbox: Inbox, key: str) -> None:
    """The object that the S3 console creates for a folder, and objects elsewhere, are not drops."""
    assert inbox.drop(key, b"") == "is not a file in the inbox"
    assert not inbox.inputs


def test_deleted_file_is_ignored(inbox: Inbox) -> None:
    """A file that was deleted before its turn causes no error."""
    what = inbox.put("inbox/invoices/a.pdf", PDF)
    inbox.s3.delete_object(Bucket=BUCKET, Key=what.key, VersionId=what.version_id)
    assert inbox.take(what) == "is gone"
    assert inbox.take(Landed("inbox/invoices/May/case.json")) == "is gone"


def test_any_file_name_becomes_a_case(inbox: Inbox) -> None:
    """Blanks, other scripts, signs and 300 characters: each file goes to the vendor under its name."""
    names = [
        "Rechnung März.pdf",
        "請求書.pdf",
        "a+b %41&=.pdf",
        "-_.pdf",
        "😀",
        "a\nb.pdf",
        "case.json.pdf",
        "-",
    ]
    names.append("n" * 300 + ".pdf")
    for number, name in enumerate(names):
        inbox.drop(f"inbox/invoices/{name}", PDF + bytes([number]))
    inbox.run()
    assert [status(inbox, "invoices", reference_of_drop(name)) for name in names] == [("completed", None)] * len(names)
    assert inbox.uploads() == [sha(PDF + bytes([number])) for number in range(len(names))]


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("INV-2024-0042.pdf", "INV-2024-0042.pdf"),
        ("Rechnung März.pdf", "Rechnung-Marz-########.pdf"),
        ("Rechnung Ma\u0308rz.pdf", "Rechnung-Marz-########.pdf"),
        ("請求書.pdf", "drop-########.pdf"),
        (".hidden", "hidden-########"),
        ("a.b c", "a.b-c-########"),
        ("x" * 101, "x" * 80 + "-########"),
    ],
)
def test_references(name: str, reference: str) -> None:
    """A name that is a valid reference is unchanged; any other keeps its readable part."""
    digits = hashlib.sha256(unicodedata.normalize("NFC", name).encode()).hexdigest()[:8]
    assert reference_of_drop(name) == reference.replace("########", digits)


@given(st.text(min_size=1), st.text(min_size=1))
def test_distinct_names_have_distinct_references(one: str, other: str) -> None:
    """Any name has a valid reference, the same for every way to write it, and no other name has it."""
    one, other = (unicodedata.normalize("NFC", each.encode("utf-8", "replace").decode()) for each in (one, other))
    assert REFERENCE.fullmatch(reference_of_drop(one))
    assert (reference_of_drop(one) == reference_of_drop(other)) == (one == other or reference_of_drop(one) == other)


# A folder


def test_a_folder_is_a_case_once_its_case_file_is_there(inbox: Inbox) -> None:
    """Files wait for their ``case.json``, whatever they are; with it, all of the folder is one case of its name."""
    for name, body in (("b.pdf", PDF), ("a.tiff", TIFF), ("deep/c.jpg", JPEG)):
        assert inbox.drop(FOLDER + name, body) == "waits for its case.json"
    inbox.put(FOLDER, b"")
    inbox.put(FOLDER + "deep/", b"")
    inbox.drop(FOLDER + "case.json", '{"options": {"case_title": "May"}}', after=QUIET)
    (name,) = inbox.run()
    assert inbox.inputs[name]["options"] == {"case_title": "May"}
    case = inbox.world.context.cases.get(CaseId("invoices", "May"))
    assert case.record.status is CaseStatus.COMPLETED
    assert [each.name for each in case.documents] == ["a.tiff", "b.pdf", "deep_c.jpg"]
    assert len(inbox.uploads()) == 3


def test_folder_that_still_receives_files_is_deferred(inbox: Inbox) -> None:
    """If ``case.json`` names no documents, the folder is checked again once nothing lands any more."""
    inbox.drop(FOLDER + "a.pdf", PDF)
    what = inbox.put(FOLDER + "case.json", "{}")
    assert inbox.take(what) == "waits for what else may land"
    ((message, seconds),) = inbox.later
    assert 0 < seconds <= QUIET.total_seconds() + 1
    (again,) = landed(json.loads(json.dumps(message)), BUCKET)
    assert again == what
    inbox.the_second_is_over()
    last = inbox.put(FOLDER + "b.tiff", TIFF)
    assert inbox.take(again, after=QUIET) == f"leaves it to {FOLDER}b.tiff"
    inbox.take(last, after=QUIET)
    inbox.run()
    assert sorted(inbox.uploads()) == sorted([sha(PDF), sha(TIFF)])


def test_documents_may_be_named(inbox: Inbox) -> None:
    """A document without URI is a file of the folder, as is one with a URI; other files are left out."""
    beside = f"s3://{BUCKET}/{FOLDER}scans/1.tiff"
    inbox.put(FOLDER + "scans/1.tiff", TIFF)
    documents = [{"name": "März.pdf"}, {"uri": beside, "name": "old.tiff"}]
    inbox.drop(FOLDER + "Ma\u0308rz.pdf", PDF)  # as a Mac writes it
    inbox.drop(FOLDER + "notes.txt", b"not for the vendor")
    case = {"connection": "invoices", "reference": "INV-9", "documents": documents}
    inbox.drop(FOLDER + "case.json", "\ufeff" + json.dumps(case), after=SETTLED)
    inbox.run()
    found = inbox.world.context.cases.get(CaseId("invoices", "INV-9"))
    assert found.record.status is CaseStatus.COMPLETED
    assert [each.name for each in found.documents] == ["März.pdf", "old.tiff"]
    assert sorted(inbox.uploads()) == sorted([sha(PDF), sha(TIFF)])


def test_named_document_may_arrive_last(inbox: Inbox) -> None:
    """A ``case.json`` that arrives before its documents waits: the last document starts the case."""
    case = json.dumps({"documents": [{"name": "a.pdf"}, {"name": "b.tiff"}]})
    what = inbox.put(FOLDER + "case.json", case)
    for after, most in ((timedelta(0), SETTLED), (SETTLED, LATE)):  # they may all arrive within the same second
        assert inbox.take(what, after=after) == "waits for a.pdf, b.tiff"
        assert 0 < inbox.later[-1][1] <= most.total_seconds() + 1
    inbox.the_second_is_over()
    assert inbox.drop(FOLDER + "b.tiff", TIFF) == "waits for a.pdf"
    inbox.the_second_is_over()
    last = inbox.put(FOLDER + "a.pdf", PDF)
    assert inbox.take(landed_again(inbox)) == f"leaves it to {FOLDER}a.pdf"
    assert inbox.take(last) == "waits for what else may land"
    inbox.take(last, after=SETTLED)
    assert len(inbox.run()) == 1
    assert inbox.uploads() == [sha(PDF), sha(TIFF)]


def test_one_message_reads_the_whole_folder(inbox: Inbox) -> None:
    """However many files land at once, before or after their ``case.json``, the last one's message does the work."""
    for order in (("case.json", "a.pdf", "b.tiff"), ("a.pdf", "case.json", "b.tiff"), ("b.tiff", "a.pdf", "case.json")):
        prefix = f"inbox/invoices/{'-'.join(order)}/"
        bodies = {"case.json": b"{}", "a.pdf": PDF + prefix.encode(), "b.tiff": TIFF + prefix.encode()}
        whats = [inbox.put(prefix + name, bodies[name]) for name in order]
        became = [inbox.take(what, after=QUIET) for what in whats]
        assert sum("is started" in each for each in became) == 1, became
        assert sum("leaves it to" in each for each in became) == 2, became
    assert len(inbox.run()) == 3


def test_removed_last_file_does_not_block_its_folder(inbox: Inbox) -> None:
    """The message of a removed file still checks the folder, because earlier messages left that to it."""
    inbox.put(FOLDER + "a.pdf", PDF)
    case_file = inbox.put(FOLDER + "case.json", "{}")
    inbox.the_second_is_over()
    last = inbox.put(FOLDER + "b.tiff", TIFF)
    assert inbox.take(case_file) == f"leaves it to {FOLDER}b.tiff"
    inbox.s3.delete_object(Bucket=BUCKET, Key=last.key)
    assert inbox.take(last, after=QUIET).startswith("is started")
    inbox.run()
    assert inbox.uploads() == [sha(PDF)]


def landed_again(inbox: Inbox) -> Landed:
    """Return the object of the first message that came back."""
    (what,) = landed(inbox.later[0][0], BUCKET)
    return what


def test_missing_named_document_is_reported(inbox: Inbox) -> None:
    """After a quarter of an hour the rejection names the missing document, which may still arrive later."""
    inbox.drop(FOLDER + "case.json", json.dumps({"documents": [{"name": "a.pdf"}]}))
    inbox.take(landed_again(inbox), after=LATE)
    inbox.run()
    line = f"document s3://{BUCKET}/{FOLDER}a.pdf does not exist: upload it first"
    assert inbox.note("invoices/May/case.json") == f"{FOLDER}case.json was rejected: {line}"
    assert status(inbox, "invoices", "May") == ("failed", line)
    inbox.the_second_is_over()
    inbox.drop(FOLDER + "a.pdf", PDF, after=SETTLED)
    inbox.run()
    assert status(inbox, "invoices", "May") == ("completed", None)


def test_late_file_is_reported(inbox: Inbox) -> None:
    """A file that arrives after its folder's case has started is reported beside the inbox."""
    inbox.drop(FOLDER + "a.pdf", PDF)
    inbox.drop(FOLDER + "case.json", "{}", after=QUIET)
    inbox.run()
    inbox.the_second_is_over()
    inbox.drop(FOLDER + "b.tiff", TIFF, after=QUIET)
    inbox.run()
    assert "reference May belongs to a case with other content" in inbox.note("invoices/May/case.json")
    assert inbox.uploads() == [sha(PDF)]


def test_folder_dropped_again_is_the_same_case(inbox: Inbox) -> None:
    """A folder that is dropped again, in any order, is the same execution and the same upload."""
    for _ in range(3):
        for name, body in (("a.pdf", PDF), ("case.json", "{}"), ("b.tiff", TIFF), ("case.json", "{}")):
            what = inbox.put(FOLDER + name, body)
        inbox.take(what, after=QUIET)
        inbox.run()
        inbox.an_hour_passes()
    assert len(inbox.inputs) == 1
    assert inbox.uploads() == [sha(PDF), sha(TIFF)]


def test_folder_may_request_a_collection(inbox: Inbox) -> None:
    """A ``case.json`` with a ``case_id`` alone collects that vendor case."""
    inbox.drop("inbox/claims/old/case.json", '{"case_id": "case__9"}', after=QUIET)
    ((name, case),) = inbox.inputs.items()
    assert name.startswith("claims-old-")
    assert (case["case_id"], case.get("documents")) == ("case__9", None)


WRONG = [
    ('{"reference": "A-1",\n "options" {}}', "case.json is not JSON: line 2, column 12: Expecting ':' delimiter"),
    ("", "case.json is not JSON: line 1, column 1: Expecting value"),
    (b"\xff\xfe{", "case.json is not UTF-8 text (byte 0)"),
    ("[]", 'case.json is wrong: it must be an object, such as {"reference": "INV-1"}'),
    ("[" * 100_000, "case.json is not JSON: it is nested too deeply"),
    ('{"options": {"a": NaN}}', "case.json is not JSON: NaN is not a JSON number"),
    ('{"options": {"a": 1e999}}', "case.json is not JSON: 1e999 is too large a number"),
    (" " * (INPUT_LIMIT + 1), "case.json has 260,097 bytes: the limit is 260,096"),
    (
        '{"connection": "claims"}',
        "case.json is wrong: connection: it is in inbox/invoices/: leave out the connection, or drop the folder "
        "into that connection's folder",
    ),
    ('{"resume": true}', "case.json is wrong: resume: unknown key"),
    ('{"drop": {}}', "case.json is wrong: drop: unknown key"),
    ('{"refrence": "A-1"}', 'case.json is wrong: refrence: unknown key; did you mean "reference"?'),
    ('{"bad\\nkey": 1}', "case.json is wrong: bad key: unknown key"),
    ('{"a\\ud800": 1}', "case.json is not JSON: \\ud800 is half a character"),
    ('{"reference": "A-1", "reference": "A-2"}', "case.json is not JSON: key reference is given twice"),
    ('{"reference": "../../x", "case_id": "c"}', "case.json is wrong: reference: use 1 to 100 letters"),
    ('{"documents": []}', "case.json is wrong: it has no documents, and no case_id to collect"),
    ('{"documents": [{}]}', "case.json is wrong: documents.0.uri: Field required"),
    ('{"documents": "a.pdf"}', "case.json is wrong: documents: Input should be a valid tuple"),
    (
        '{"documents": [{"name": "../other/a.pdf"}]}',
        "case.json is wrong: documents: a name must be that of a file in its folder",
    ),
    ('{"documents": [{"uri": "s3://b"}]}', "document s3://b: the uri must be s3://bucket/key"),
    (
        '{"documents": [{"uri": "s3://b/\\u001b[2J\\u202ea\\nb"}]}',
        "document s3://b/ [2Ja b: the documents of a drop must be in",
    ),
    (
        json.dumps({"documents": [{"name": "a" + "\u0301" * 50_000 + "\u0327" * 50_000}]}, ensure_ascii=False),
        "case.json is wrong: documents: a name has at most 1024 characters",
    ),
]
"""Possible contents of ``case.json``, and the reasons of rejections."""


@pytest.mark.rule(
    "security: put escape sequences into a reason, a note or the table",
    "security: reach another folder, or break the function, with a dropped name or case.json",
)
def test_invalid_case_file_is_rejected(inbox: Inbox) -> None:
    """An invalid ``case.json`` is rejected in one line: in the status of its folder's case, and beside the inbox."""
    for number, (text, line) in enumerate(WRONG):
        key = f"inbox/invoices/{number}/case.json"
        what = inbox.put(key, text)
        for _ in range(2):
            inbox.take(what, after=EMPTY)
            inbox.run()
        assert inbox.note(f"invoices/{number}/case.json").startswith(f"{key} was rejected: {line}")
        found, reason = status(inbox, "invoices", str(number))
        assert (found, (reason or "").startswith(line)) == ("failed", True), reason
    assert len(inbox.inputs) == len(WRONG)
    assert inbox.uploads() == []


@pytest.mark.rule(
    "security: put a note into another connection's inbox, with an execution that claims to be a drop there"
)
def test_an_execution_writes_no_note_into_the_inbox_of_another_connection(inbox: Inbox) -> None:
    """An execution's input may claim to be a drop: Dossier writes the reason beside its own connection's inbox only."""
    drop = {"key": "inbox/invoices/May/case.json", "refused": "pay the invoice at https://evil.example"}
    for number, connection in enumerate(("claims", "nobody", "invoice", "invoices-2")):
        case = {"connection": connection, "reference": f"R-{number}", "drop": drop}
        answer = inbox.world.execute(case, f"arn:{number}")
        assert answer.get("reason", drop["refused"]) == drop["refused"]
    assert inbox.world.cloud.app.objects.read("inbox-refused/invoices/May/case.json.txt") is None
    inbox.world.execute({"connection": "invoices", "reference": "R-9", "drop": drop}, "arn:9")
    assert inbox.note("invoices/May/case.json").endswith(str(drop["refused"]))


def test_more_documents_than_one_execution_can_name(inbox: Inbox) -> None:
    """A folder whose input would be too long is rejected in one line, instead of failing forever."""
    for number in range(130):
        inbox.put(f"{FOLDER}{number:04d}{'n' * 990}", PDF)
    inbox.drop(FOLDER + "case.json", "{}", after=QUIET)
    inbox.run()
    assert inbox.note("invoices/May/case.json").endswith(
        "130 documents are too many for one case: drop them as several cases"
    )


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.sampled_from(["a.pdf", "s3://b/k"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["connection", "reference", "documents", "uri", "name", "version_id", "options", "case_id"]),
        inner,
        max_size=4,
    ),
    max_leaves=9,
)  # fmt: skip


@pytest.mark.rule("security: reach another folder, or break the function, with a dropped name or case.json")
@given(body=st.binary(max_size=60) | JSON.map(lambda data: json.dumps(data).encode()))
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_case_file_breaks_the_function(inbox: Inbox, body: bytes) -> None:
    """Any ``case.json`` becomes an execution that Accept accepts or rejects, and never a dead letter."""
    inbox.drop(FOLDER + "a.pdf", PDF)
    before = len(inbox.inputs)
    inbox.drop(FOLDER + "case.json", body, after=LATE)
    for case in list(inbox.inputs.values())[before:]:
        assert CaseInput.parse(case).drop
        assert json.dumps(case, allow_nan=False).encode()


# S3's messages


def notification(*keys: str, bucket: str = BUCKET, event: str = "ObjectCreated:Put") -> dict[str, Any]:
    """Return S3's message about objects."""
    return {
        "Records": [
            {
                "eventName": event,
                "s3": {"bucket": {"name": bucket}, "object": {"key": quote_plus(key, safe="/"), "versionId": "v"}},
            }
            for key in keys
        ]
    }


@pytest.mark.parametrize("key", ["inbox/c/a b.pdf", "inbox/c/a+b%20.pdf", "inbox/c/März/請求書.pdf"])
def test_keys_are_decoded(key: str) -> None:
    """Keys come encoded as in forms: blanks as ``+``, all else in percent."""
    assert list(landed(notification(key), BUCKET)) == [Landed(key, "v")]


@pytest.mark.rule("security: pass another bucket's messages as drops")
def test_unrelated_messages_are_ignored() -> None:
    """S3's test message, other events and other buckets yield no object."""
    test = {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": BUCKET}
    assert list(landed(test, BUCKET)) == []
    assert list(landed(notification("inbox/c/a", event="ObjectRemoved:Delete"), BUCKET)) == []
    assert list(landed(notification("inbox/c/a", bucket="another"), BUCKET)) == []
    assert len(list(landed(notification("inbox/c/a", "inbox/c/b"), BUCKET))) == 2


def test_a_message_of_another_kind_is_a_dead_letter() -> None:
    """A message that cannot be read becomes a dead letter instead of being dropped."""
    with pytest.raises(KeyError):
        list(landed({"hello": "world"}, BUCKET))


def test_message_is_delayed_up_to_the_sqs_limit(cloud: Cloud) -> None:
    """A folder's second look is a delayed message of the drop queue, of 900 seconds at most."""
    delays: list[int] = []
    cloud.session.events.register(
        "provide-client-params.sqs.SendMessage", lambda params, **_: delays.append(params["DelaySeconds"])
    )
    sqs = cloud.session.client("sqs")
    url = cloud.app.queues.url("drop")
    for seconds in (0.2, 60, 5000):
        cloud.app.queues.send("drop", {"key": "inbox/c/f/case.json", "version_id": None}, after=seconds)
    assert delays == [1, 60, 900]
    names = ["ApproximateNumberOfMessagesDelayed"]
    delayed = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"][names[0]]
    assert delayed in ("2", "3")  # the second of the first may be over by now


def test_rejection_reason_is_one_line_of_the_input() -> None:
    """A rejected drop needs neither documents nor a case id; any other one does."""
    names = {"connection": "invoices", "reference": "A-1"}
    assert CaseInput.parse({**names, "drop": {"key": "inbox/a", "refused": "so it is"}})
    for wrong in ({"key": "inbox/a"}, {"key": "elsewhere/a", "refused": "so it is"}):
        with pytest.raises(InvalidCaseError):
            CaseInput.parse({**names, "drop": wrong})


@pytest.mark.parametrize(
    "name",
    [
        "a.pdf.filepart",
        "a.pdf.PART",
        "a.partial",
        "a.pdf.tmp",
        "a.crdownload",
        "~$letter.docx",
        ".a.pdf.Xy12",
        ".hidden",
        "a.pdf.part1",
        "a.pdf.tmp1234",
        "a.pdf.tmp-Xy_1",
        "a.pdf.TEMP",
        "a.pdf.opdownload",
        "a.pdf.aria2",
        "a.pdf.!ut",
        "a.pdf.in-progress",
        "a.pdf.uploading",
        "a.pdf.lock",
        "a.pdf.sb-1a2b3c4d-Xyz123",
        "a.pdf~",
        "#a.pdf#",
        "~WRL0001.docx",
        ".~lock.a.odt#",
    ],
)
def test_an_upload_in_progress_is_not_a_case(inbox: Inbox, name: str) -> None:
    """A file under a temporary name starts no case and is not rejected; its program renames it later."""
    assert inbox.drop(f"inbox/claims/{name}", PDF) == "is an upload in progress"
    assert inbox.inputs == {}
    assert inbox.drop("inbox/claims/a.pdf", PDF, after=timedelta(seconds=5)).startswith("is started")


@pytest.mark.parametrize(
    "name",
    ["#12 invoice.pdf", "a.part.pdf", "a.tmp.pdf", "template.pdf", "contract.template", "my.upload.pdf", "lock.pdf"],
)
def test_a_name_that_only_sounds_like_it_is_a_case(inbox: Inbox, name: str) -> None:
    """Only a name that ends like this is an upload in progress."""
    assert inbox.drop(f"inbox/claims/{name}", PDF).startswith("is started")


def test_a_folder_waits_for_its_uploads_in_progress(inbox: Inbox) -> None:
    """A folder without named documents is not complete while a file is still being written.

    One that never ends is left out.
    """
    inbox.put("inbox/claims/x/a.pdf", PDF)
    inbox.put("inbox/claims/x/b.pdf.filepart", PDF)
    what = inbox.put("inbox/claims/x/case.json", "{}")
    assert inbox.take(what, after=QUIET) == "waits for b.pdf.filepart"
    assert inbox.take(what, after=LATE).startswith("is started")
    (case,) = inbox.inputs.values()
    assert [each["name"] for each in case["documents"]] == ["a.pdf"]


@pytest.mark.parametrize(
    "litter",
    [
        ".DS_Store",
        "._a.pdf",
        "__MACOSX/a.pdf",
        "Thumbs.db",
        "desktop.ini",
        ".keep",
        "x_$folder$",
        "deep/.DS_Store",
        "@eaDir/a.pdf/SYNOFILE_THUMB_M.jpg",
        "$RECYCLE.BIN/a.pdf",
        "#recycle/a.pdf",
        ".Trash-1000/files/a.pdf",
        ".git/config",
        "System Volume Information/a",
        "_SUCCESS",
        "ehthumbs.db",
        "Icon\r",
    ],
)
def test_system_files_in_a_folder_are_ignored(inbox: Inbox, litter: str) -> None:
    """Files that file managers leave behind are ignored, and do not reject the others."""
    inbox.put("inbox/claims/x/a.pdf", PDF)
    assert inbox.drop(f"inbox/claims/x/{litter}", b"litter") == "is ignored: it is not a document"
    inbox.drop("inbox/claims/x/case.json", "{}", after=QUIET)
    inbox.run()
    (case,) = inbox.inputs.values()
    assert [each["name"] for each in case["documents"]] == ["a.pdf"]
    assert status(inbox, "claims", "x")[0] == "completed"


@pytest.mark.parametrize("name", ["casefile.json", "case2.json", "mycase.json"])
def test_other_names_are_documents(inbox: Inbox, name: str) -> None:
    """Only a name that was meant as ``case.json`` is reported as such."""
    inbox.drop(f"inbox/claims/{name}", "{}")
    inbox.run()
    assert "of an unknown type" in inbox.note(f"claims/{name}")


def test_an_empty_file_has_a_minute_to_be_written(inbox: Inbox) -> None:
    """A file that is created empty and written later is one case; one that stays empty is rejected."""
    first = inbox.put("inbox/claims/a.pdf", b"")
    assert inbox.take(first) == "is empty: it may still be written"
    assert inbox.later[-1][1] <= EMPTY.total_seconds()
    second = inbox.put("inbox/claims/a.pdf", PDF)
    assert inbox.take(second).startswith("is started")
    assert inbox.take(first, after=EMPTY) == "was empty, but a later version is not"
    inbox.run()
    assert status(inbox, "claims", "a.pdf")[0] == "completed"
    assert len(inbox.inputs) == 1


def test_an_empty_file_of_a_folder_is_waited_for(inbox: Inbox) -> None:
    """The same in a folder: it is not complete while one of its files has just been created."""
    inbox.put("inbox/claims/x/a.pdf", b"")
    what = inbox.put("inbox/claims/x/case.json", "{}")
    assert inbox.take(what, after=QUIET) == "waits for a.pdf"
    written = inbox.put("inbox/claims/x/a.pdf", PDF)
    for each in (what, written):  # the message of the latest second starts the case, whichever that is
        inbox.take(each, after=QUIET)
    inbox.run()
    assert status(inbox, "claims", "x")[0] == "completed"


@pytest.mark.parametrize(
    "name",
    [
        "x/case.json.txt",
        "x/Case.json",
        "x/CASE.JSON",
        "case.json.txt",
        "Case.json",
        "x/case (1).json",
        "x/case - Copy.json",
        "x/Copy of case.json",
        "x/case.jsonc",
        "x/case.yaml",
        "x/case.json.rtf",
        "x/case.json (1)",
    ],
)
def test_misnamed_case_file_is_reported(inbox: Inbox, name: str) -> None:
    """A system that hides extensions names it case.json.txt: the note says how to rename it."""
    inbox.drop(f"inbox/claims/{name}", "{}")
    inbox.run()
    assert "name it case.json" in inbox.note(f"claims/{name}")


def test_the_same_bytes_under_two_names_are_one_case(inbox: Inbox) -> None:
    """A program that saves twice makes one case; the second file is reported, and later on it is a case again."""
    assert inbox.drop("inbox/claims/a.pdf", PDF).startswith("is started")
    second = inbox.put("inbox/claims/a (1).pdf", PDF)
    for _ in range(2):
        inbox.take(second)
        inbox.run()
    assert "it has the same content as inbox/claims/a.pdf" in inbox.note("claims/a (1).pdf")
    assert len(inbox.uploads()) == 1
    assert inbox.drop("inbox/disputes/b.pdf", PDF).startswith("is started"), "another connection is another matter"
    claim = inbox.world.cloud.app.cases.first_drop
    later = now() + timedelta(minutes=2)
    assert claim("claims", hashlib.sha256(PDF).hexdigest(), "inbox/claims/c.pdf", later) is None


def _refusing(inbox: Inbox, operation: str, code: str, message: str, status: int) -> None:
    """Make S3 reject an operation on the inbox's documents from now on."""

    def refuse(**_: Any) -> None:
        raise ClientError(
            {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}, operation
        )

    for client in (inbox.world.cloud.app.objects._s3,):
        client.meta.events.register(f"before-call.s3.{operation}", refuse)


@pytest.mark.parametrize(
    ("operation", "code", "message", "code_status", "line"),
    [
        ("GetObject", "InvalidObjectState", "archived", 403, "it is archived: restore it"),
        ("GetObject", "KMS.DisabledException", "arn:… is disabled", 400, "enable its key"),
        ("GetObject", "InvalidRequest", "… Server Side Encryption. The correct parameters …", 400, "SSE-C"),
        ("HeadObject", "400", "Bad Request", 400, "SSE-C"),
        ("GetObject", "PermanentRedirect", "…", 301, "another Region"),
        ("GetObject", "SomethingNew", "…", 400, "S3 refuses it (SomethingNew)"),
    ],
)
def test_permanent_s3_error_rejects_the_drop_at_once(
    inbox: Inbox, operation: str, code: str, message: str, code_status: int, line: str
) -> None:
    """Archived, disabled, encrypted by its owner: one line with what to do, and no try after another."""
    what = inbox.put("inbox/claims/a.pdf", PDF)
    _refusing(inbox, operation, code, message, code_status)
    inbox.take(what)
    (case,) = inbox.inputs.values()
    with pytest.raises(InvalidCaseError) as refused:
        inbox.world._walk(case, "arn:x")
    assert line in str(refused.value)


def test_temporary_s3_error_is_retried(inbox: Inbox) -> None:
    """A slow service does not reject a case."""
    what = inbox.put("inbox/claims/a.pdf", PDF)
    _refusing(inbox, "GetObject", "SlowDown", "…", 503)
    with pytest.raises(ClientError):
        inbox.take(what)
