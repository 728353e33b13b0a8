"""DocuStack beyond the recorded exchanges: shapes that its guide leaves open, times, settings."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from dossier.errors import (
    ConfigurationError,
    InvalidCaseError,
    NeedsAttentionError,
    NotReadyError,
    OutcomeUnknownError,
    VendorRejectedError,
    VendorUnavailableError,
)
from dossier.http import Reply, Request
from dossier.models import Document, now
from dossier.ports import CaseView, Hint, Intent, Seen, Vendor
from dossier.settings import Connection, Limits, Webhook
from dossier.signatures import Delivery, Rule, verify
from dossier.vendors.docustack import CONNECTION
from dossier.vendors.docustack.adapter import BATCH_SIZE, PAGES, SETTLE, DocuStack
from dossier.vendors.docustack.answers import document_state
from dossier.vendors.docustack.batch import read_batch
from tests.flows import EVENTS, document, drive, recorded, reply

CONFIGURED = CONNECTION(name="invoices", base_url="https://api.docustack.com", schema_id="sch", organization_id="org")
VENDOR = DocuStack(CONFIGURED)
AT = datetime(2024, 11, 15, 14, 22, tzinfo=UTC)


def view(*documents: Document, connection: Connection = CONFIGURED) -> CaseView:
    """Return a case with documents."""
    return CaseView(connection, "R-1", documents=documents)


def refs(*names: str) -> tuple[Document, ...]:
    """Return documents that DocuStack reads by reference."""
    return tuple(
        document(name, index=index, key="", ref=f"https://example.com/{index}") for index, name in enumerate(names)
    )


TWO = refs("one.pdf", "two.pdf")


def test_values_without_a_name_and_fields_that_are_missing_are_reported() -> None:
    """Warnings count values that are left out and fields that the answer lacks."""
    one = document(document_id="d-1").model_copy(update={"fields_extracted": 3, "finished": True})
    body = {"status": "completed", "field_values": [{"field_key": "a", "value": 1.50}, {"value": "b"}, "c"]}
    case = CaseView(CONFIGURED, "R-1", documents=(one,))
    result = VENDOR.read_result(case, {"document-d-1": json.dumps(body).encode()})
    assert (result.documents[0].fields_extracted, len(result.fields)) == (3, 1)
    assert result.warnings == ["invoice.pdf: 2 field values without a name are only in the vendor's answer"]
    more = one.model_copy(update={"fields_extracted": 5})
    result = VENDOR.read_result(replace(case, documents=(more,)), {"document-d-1": json.dumps(body).encode()})
    assert "invoice.pdf: DocuStack extracted 5 fields, but its answer has 1" in result.warnings


@pytest.mark.rule("docustack webhooks job_failed has no document")
def test_a_failed_document_has_the_reason_of_its_job() -> None:
    """The text of ``job_failed`` is the reason of that job's documents if the API gives none, and of no others."""
    hint = VENDOR.read_hint((EVENTS / "docustack" / "webhook-job_failed.json").read_bytes())
    assert hint is not None
    assert hint.says == "Extraction workflow timed out"
    mine = document(document_id="d-1", job_id=hint.job_ids[0], failed=True, error="DocuStack could not extract it")
    other = document("b.pdf", index=1, document_id="d-2", job_id="j-2", failed=True)
    case = CaseView(CONFIGURED, "R-1", documents=(mine, other), said={hint.job_ids[0]: hint.says})
    result = VENDOR.read_result(case, {"document-d-1": b'{"status": "failed"}'})
    assert [each.error for each in result.documents] == [hint.says, "DocuStack could not extract it"]
    answer = {"document-d-1": b'{"status": "failed", "error_message": "blank page"}'}
    assert VENDOR.read_result(case, answer).documents[0].error == "blank page"


@pytest.mark.parametrize("said", ["", " ", None, 7, ["x"]])
def test_a_delivery_without_an_error_message_gives_no_reason(said: object) -> None:
    """A reason is a text; one that is long or has control characters becomes one short line."""
    body = {"event": "job_failed", "job_id": "j", "error_message": said}
    assert VENDOR.read_hint(json.dumps(body).encode()) == Hint("job_failed", job_ids=("j",))
    long = VENDOR.read_hint(json.dumps({**body, "error_message": "a\x1b[31m\n" * 200}).encode())
    assert long is not None
    assert long.says is not None
    assert long.says.isprintable()
    assert len(long.says) <= 300


@pytest.mark.rule("docustack notes, the rest no cases")
def test_is_a_vendor() -> None:
    """The adapter has every part of the port, and one phase."""
    vendor: Vendor[Any] = VENDOR
    assert vendor.phases == ("documents",)
    assert (vendor.opens_case, vendor.accepts_references, vendor.bulk_poll) == (False, True, False)


# --- batch answers ---------------------------------------------------------------------------------------------------

BOTH = {0: "a", 1: "b"}


@pytest.mark.rule("docustack batch the guide leaves the answer's form open", "docustack batch partial acceptance")
@pytest.mark.parametrize(
    ("answer", "ids", "failures"),
    [
        pytest.param({"document_ids": ["a", "b"], "job_id": "j"}, BOTH, {}, id="ids in order"),
        pytest.param(["a", "b"], BOTH, {}, id="bare ids"),
        pytest.param([{"id": "a"}, {"id": "b"}], BOTH, {}, id="bare items in order"),
        pytest.param(
            {"results": [{"id": "b", "name": "two.pdf"}, {"id": "a", "name": "one.pdf"}]}, BOTH, {}, id="name"
        ),
        pytest.param(
            {"items": [{"document_id": "b", "ref": TWO[1].ref}, {"document_id": "a", "ref": TWO[0].ref}]},
            BOTH,
            {},
            id="ref",
        ),
        pytest.param({"data": {"accepted": [{"document_id": "a"}, {"document_id": "b"}]}}, BOTH, {}, id="nested"),
        pytest.param(
            {"document_ids": ["a", "b"], "documents": [{"id": "b", "name": "two.pdf"}, {"id": "a", "name": "one.pdf"}]},
            BOTH,
            {},
            id="said twice",
        ),
        pytest.param(
            {"documents": [{"document_id": "a", "error": None}, {"name": "two.pdf", "error": {"message": "too big"}}]},
            {0: "a"},
            {1: "too big"},
            id="an error in an item",
        ),
        pytest.param(
            {"documents": [{"id": "a", "status": "queued"}, {"status": "rejected"}]},
            {0: "a"},
            {1: "DocuStack rejected it (rejected)"},
            id="a status in an item",
        ),
        pytest.param(
            {"documents": [{"id": "b", "ref": TWO[1].ref}], "rejected": [TWO[0].ref]},
            {1: "b"},
            {0: "DocuStack rejected it"},
            id="refs that were refused",
        ),
        pytest.param(
            {"documents": [{"id": "a", "name": "one.pdf"}], "errors": [{"index": 1, "detail": "no such bucket"}]},
            {0: "a"},
            {1: "no such bucket"},
            id="errors beside",
        ),
        pytest.param(
            {
                "documents": [{"id": "a", "name": "one.pdf"}],
                "errors": [{"document": {"ref": TWO[1].ref, "name": "two.pdf"}, "message": "unread"}],
            },
            {0: "a"},
            {1: "unread"},
            id="errors with their document",
        ),
        pytest.param({"failed": ["one.pdf", "two.pdf"]}, {}, dict.fromkeys((0, 1), "DocuStack rejected it"), id="all"),
        pytest.param({"documents": [{"id": 17}, {"id": 18}]}, {0: "17", 1: "18"}, {}, id="ids that are numbers"),
    ],
)
def test_reads_batch_answers_of_many_shapes(answer: Any, ids: dict[int, str], failures: dict[int, str]) -> None:
    """Ids and refusals in a batch's answer are matched by reference, then name, then order."""
    uploaded = drive(VENDOR.upload(view(*TWO), [0, 1]), [reply(answer, status=202)]).value
    assert uploaded.document_ids == ids
    assert uploaded.failures == failures


@pytest.mark.rule("docustack batch after an answer without all ids the batch is looked up")
@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"job_id": "j"},
        {"document_ids": ["a"]},
        {"documents": [{"id": "a", "name": "one.pdf"}]},
        {"documents": [{"id": "a", "name": "other.pdf"}, {"id": "b", "name": "else.pdf"}]},
        {"documents": ["a", "b", "c"]},
        {"documents": [{"name": "one.pdf"}, {"name": "two.pdf"}]},
    ],
)
def test_never_repeats_an_accepted_batch(answer: Any) -> None:
    """An answer that leaves a document's id open is a lost answer: it is looked up, not sent again."""
    with pytest.raises(OutcomeUnknownError, match="gives no id for"):
        drive(VENDOR.upload(view(*TWO), [0, 1]), [reply(answer, status=202)])


@pytest.mark.rule("docustack batch the guide leaves the answer's form open")
def test_two_references_of_one_name_are_distinguished() -> None:
    """References of one name are matched by what they refer to."""
    same = refs("same.pdf", "same.pdf")
    answer = {"documents": [{"id": "b", "ref": same[1].ref, "name": "same.pdf"}, {"id": "a", "ref": same[0].ref}]}
    assert drive(VENDOR.upload(view(*same), [0, 1]), [reply(answer)]).value.document_ids == BOTH


@pytest.mark.rule("docustack batch at most 100 references in a request")
def test_splits_many_references() -> None:
    """A batch has at most ``BATCH_SIZE`` references, in order."""
    many = refs(*(f"{number}.pdf" for number in range(BATCH_SIZE + 1)))
    assert VENDOR.batches(view(*many)) == [list(range(BATCH_SIZE)), [BATCH_SIZE]]


# --- look-ups --------------------------------------------------------------------------------------------------------

MINE = {"document_id": "a", "filename": "invoice.pdf", "uploaded_at": "2024-11-15T14:22:30Z"}
OLD = {"id": "z", "name": "invoice.pdf", "created_at": "2024-11-01T00:00:00Z", "job_id": "jz"}
LOST = Intent(at=AT, known=frozenset("z"), seen=Seen(("z",), whole=True))
"""The entries listed before are known: ``OLD``."""


@pytest.mark.rule(
    "docustack notes, the list and lost answers the guide leaves its form open",
    "docustack notes, the list and lost answers one new document with the same or a similar name is adopted",
)
@pytest.mark.parametrize(
    "answer",
    [
        [MINE, OLD],
        {"documents": [OLD, MINE]},
        {"items": [MINE, OLD]},
        {"data": [MINE, OLD]},
        {"results": [MINE, OLD], "total": 2},
        {"data": {"documents": [MINE, OLD]}},
        [{"id": "a", "name": "invoice.pdf"}, OLD],
        [{**MINE, "uploaded_at": "2024-11-15T14:22:30"}, OLD],
        [{**MINE, "uploaded_at": "2024-11-15T09:22:30"}, {**OLD, "created_at": "2024-11-15T09:20:00"}],
        [{**MINE, "uploaded_at": (AT - timedelta(minutes=3)).isoformat()}, OLD],
        [{**MINE, "uploaded_at": (AT - timedelta(days=400)).isoformat()}, OLD],
        [{**MINE, "uploaded_at": (AT + timedelta(hours=9)).isoformat()}, OLD],
        [{**MINE, "uploaded_at": AT.date().isoformat()}, OLD],
        [{**MINE, "uploaded_at": "0001-01-01T00:00:00+23:59"}, OLD],
        [MINE, {**MINE, "document_id": "b", "filename": "other.pdf"}, OLD],
        [{**MINE, "filename": "Invoice (1).PDF"}, OLD],
        [{**MINE, "filename": "1731680550_invoice"}, OLD],
    ],
)
def test_adopts_the_one_document_that_fits(answer: Any) -> None:
    """A list of any shape, by any clock, that has one new document of the name shows that the upload took effect."""
    found = drive(VENDOR.find_uploaded(view(document()), [0], LOST), [reply(answer)]).value
    assert found is not None
    assert found.document_ids == {0: "a"}


@pytest.mark.rule("docustack notes, the list and lost answers no new document in a list that reaches back far enough")
@pytest.mark.parametrize(
    "answer",
    [
        [OLD],
        {"documents": [OLD]},
        {"documents": [OLD], "total": 1},
        {"documents": [{**OLD, "name": "renamed since.pdf", "created_at": "2030-01-01T00:00:00"}]},
    ],
)
def test_a_list_without_new_documents_proves_no_upload(answer: Any) -> None:
    """An entry that was listed before is recognized by its id, whatever else the list says about it."""
    assert drive(VENDOR.find_uploaded(view(document()), [0], LOST), [reply(answer)]).value is None


@pytest.mark.rule("docustack notes, the list and lost answers no new document in a list that reaches back far enough")
def test_an_empty_account_has_nothing() -> None:
    """The list was empty before, and still is."""
    empty = Intent(at=AT, seen=Seen(whole=True))
    assert drive(VENDOR.find_uploaded(view(document()), [0], empty), [reply([])]).value is None


@pytest.mark.rule(
    "docustack notes, the list and lost answers an inconclusive look-up becomes a question to an operator"
)
@pytest.mark.parametrize(
    "answer",
    [
        [{**MINE, "filename": "other.pdf"}, OLD],
        [{**MINE, "filename": "8f3c2a"}, OLD],
        [{"id": "a"}, OLD],
        [{**MINE, "uploaded_at": (AT - timedelta(days=1)).isoformat(), "filename": "0001.pdf"}, OLD],
        [MINE, {**MINE, "document_id": "b"}, OLD],
        [MINE, {**MINE, "document_id": "b", "filename": "INVOICE.pdf"}, OLD],
        [{**MINE, "filename": "invoice"}, {**MINE, "document_id": "b", "filename": "other.pdf"}, OLD],
        [{"name": "invoice.pdf"}, OLD],
        [{**MINE, "document_id": "\n" * 4}, OLD],
        [{**MINE, "document_id": "x" * 5000}, OLD],
    ],
)
def test_a_new_document_that_may_match_becomes_a_question(answer: Any) -> None:
    """A new document may be the upload's under any name, and of several none is adopted."""
    with pytest.raises(NeedsAttentionError, match=r"invoice\.pdf was lost.*: it may have created"):
        drive(VENDOR.find_uploaded(view(document()), [0], LOST), [reply(answer)])


@pytest.mark.rule(
    "docustack notes, the list and lost answers an inconclusive look-up becomes a question to an operator"
)
@pytest.mark.parametrize(
    "answer",
    [
        [],
        {"documents": [], "total": 0},
        {"documents": [OLD], "has_more": True},
        {"documents": [OLD], "total": 2},
        {"documents": [OLD], "next_cursor": "x"},
        {"unexpected": True},
    ],
)
def test_a_list_that_may_be_cut_causes_a_question(answer: Any) -> None:
    """A list that may go on, or lacks what it had, proves nothing: an operator is asked."""
    with pytest.raises(NeedsAttentionError, match=r"invoice\.pdf"):
        drive(VENDOR.find_uploaded(view(document()), [0], LOST), [reply(answer)])


def page_of(count: int, *, ascending: bool = False, dated: bool = True) -> list[dict[str, Any]]:
    """Return one page of documents, of one a minute until now."""
    times = [AT - timedelta(minutes=number) for number in range(count)]
    listed = [
        {"id": f"d{number}", "name": "b.pdf", **({"created_at": at.isoformat()} if dated else {})}
        for number, at in enumerate(times)
    ]
    return listed[::-1] if ascending else listed


@pytest.mark.rule("docustack notes, the list and lost answers no new document in a list that reaches back far enough")
@pytest.mark.parametrize("count", [1, 20, 30, 37, 50])
def test_newest_first_page_has_new_documents(count: int) -> None:
    """Where the list's own times show its order, a page down to what was there before is enough."""
    page = page_of(count)
    ids = tuple(str(each["id"]) for each in page)
    intent = Intent(at=AT, known=frozenset(ids), seen=Seen(ids))
    assert drive(VENDOR.find_uploaded(view(document()), [0], intent), [reply(page)]).value is None


@pytest.mark.rule(
    "docustack notes, the list and lost answers an inconclusive look-up becomes a question to an operator"
)
@pytest.mark.parametrize("how", [{"ascending": True}, {"dated": False}])
def test_a_full_page_of_no_known_order_proves_nothing(how: dict[str, bool]) -> None:
    """In a list that begins with the oldest, or has no times, a new entry may be on a later page."""
    page = page_of(50, **how)
    ids = tuple(str(each["id"]) for each in page)
    intent = Intent(at=AT, known=frozenset(ids), seen=Seen(ids))
    with pytest.raises(NeedsAttentionError, match="does not reach back"):
        drive(VENDOR.find_uploaded(view(document()), [0], intent), [reply(page)])


@pytest.mark.rule(
    "docustack notes, the list and lost answers an inconclusive look-up becomes a question to an operator"
)
def test_times_of_two_forms_prove_no_order() -> None:
    """A time without a zone is of any zone: it comes neither before nor after one with a zone."""
    page = page_of(50)
    page[7]["created_at"] = page[7]["created_at"].removesuffix("+00:00")
    ids = tuple(str(each["id"]) for each in page)
    intent = Intent(at=AT, known=frozenset(ids), seen=Seen(ids))
    with pytest.raises(NeedsAttentionError, match="does not reach back"):
        drive(VENDOR.find_uploaded(view(document()), [0], intent), [reply(page)])


@pytest.mark.rule("docustack notes, the list and lost answers a list that shows its offset is read to the end")
def test_reads_further_pages_if_the_list_has_an_offset() -> None:
    """Pages that tell their offset are read until they reach back to the upload, and no further than ``PAGES``."""

    def page(request: Request) -> Reply:
        offset = int(dict(request.query).get("offset", "0"))
        same = {"id": str(offset), "name": "b.pdf", "created_at": "2024-11-15T14:23:00Z"}
        return reply({"documents": [same], "total": 10**6, "offset": offset})

    seen: list[Request] = []
    with pytest.raises(NeedsAttentionError):
        drive(VENDOR.find_uploaded(view(document()), [0], LOST), page, seen=seen)
    assert [each.query for each in seen] == [(), *((("offset", str(number)),) for number in range(1, PAGES))]


@pytest.mark.rule("docustack notes, the list and lost answers a list that shows its offset is read to the end")
def test_does_not_read_the_same_page_for_ever() -> None:
    """A list that ignores the offset ends with the page that brings nothing new."""
    same = reply({"documents": [OLD], "total": 9, "offset": 0})
    with pytest.raises(NeedsAttentionError):
        drive(VENDOR.find_uploaded(view(document()), [0], LOST), [same, same])


@pytest.mark.rule(
    "docustack notes, the list and lost answers one new document with the same or a similar name is adopted"
)
def test_names_are_compared_as_text() -> None:
    """A name that comes back in another Unicode form is the same name."""
    answer = [{**MINE, "filename": "Gro\u0308ße №7.pdf"}, OLD]
    found = drive(VENDOR.find_uploaded(view(document("Gr\u00f6ße №7.pdf")), [0], LOST), [reply(answer)]).value
    assert found is not None
    assert found.document_ids == {0: "a"}


@pytest.mark.rule("docustack notes, the list and lost answers no new document in a list that reaches back far enough")
def test_a_document_of_the_same_case_is_not_adopted_again() -> None:
    """The id of another document of the case is not adopted, even under the same name."""
    case = view(document(document_id="a"), document(index=1))
    assert drive(VENDOR.find_uploaded(case, [1], LOST), [reply([MINE, OLD])]).value is None


@pytest.mark.rule(
    "docustack notes, the list and lost answers an inconclusive look-up becomes a question to an operator"
)
@pytest.mark.parametrize("status", [400, 404, 405, 422])
def test_an_account_without_a_list_causes_a_question(status: int) -> None:
    """A list that DocuStack rejects cannot show the outcome of an upload."""
    with pytest.raises(NeedsAttentionError):
        drive(VENDOR.find_uploaded(view(document()), [0], LOST), [reply({"detail": "no"}, status=status)])


@pytest.mark.rule("docustack notes, the list and lost answers DocuStack ingests a batch in the background")
def test_a_batch_has_time_to_appear() -> None:
    """DocuStack ingests a batch in the background, so an early look-up that misses some is repeated."""
    fresh, settled = Intent(at=now()), Intent(at=now() - SETTLE)
    one = [{"id": "a", "name": "one.pdf"}]
    with pytest.raises(NotReadyError):
        drive(VENDOR.find_uploaded(view(*TWO), [0, 1], fresh), [reply(one)])
    with pytest.raises(NeedsAttentionError, match="1 of 2 documents"):
        drive(VENDOR.find_uploaded(view(*TWO), [0, 1], settled), [reply(one)])


@pytest.mark.rule("docustack notes, the list and lost answers DocuStack ingests a batch in the background")
def test_a_batch_is_found_by_reference() -> None:
    """If the list has references, they decide, not the names."""
    answer = [{"id": "b", "name": "x", "ref": TWO[1].ref}, {"id": "a", "name": "x", "ref": TWO[0].ref}]
    found = drive(VENDOR.find_uploaded(view(*TWO), [0, 1], LOST), [reply(answer)]).value
    assert found is not None
    assert found.document_ids == BOTH


@pytest.mark.rule("docustack notes, the list and lost answers an upload costs one request")
def test_names_that_repeat_are_uploaded_one_by_one() -> None:
    """Two simultaneous uploads with the same name could not be distinguished afterwards."""
    connection = CONFIGURED.model_copy(update={"limits": Limits(concurrency=7)})
    apart, alike = (document("a.pdf"), document("b.pdf", index=1)), (document("a.pdf"), document("a.pdf", index=1))
    assert VENDOR.uploads_at_once(view(*apart, connection=connection)) == 7
    assert VENDOR.uploads_at_once(view(*alike, connection=connection)) == 1


# --- documents by reference ------------------------------------------------------------------------------------------


@pytest.mark.rule('docustack batch by_reference = "presigned"')
def test_documents_that_go_by_presigned_url_are_one_batch() -> None:
    """A stored document whose case says so is part of a batch, whether or not its URL is made yet."""
    stored, linked = document("a.pdf"), document("b.pdf", index=1, ref="https://s3.example.com/b?X-Amz-Signature=1")
    case = replace(view(stored, linked), options={"by_reference": "presigned"})
    assert VENDOR.batches(case) == [[0, 1]]
    assert VENDOR.batches(view(stored)) == [[0]]
    assert VENDOR.batches(replace(view(stored), options={"by_reference": "s3"})) == [[0]]


@pytest.mark.rule('docustack batch by_reference = "s3"')
@pytest.mark.parametrize("value", [True, "https", "", 1, 0.5])
def test_by_reference_accepts_two_values(value: Any) -> None:
    """Any other value is rejected with one line that names both."""
    with pytest.raises(InvalidCaseError, match='option "by_reference" must be "s3" or "presigned"'):
        VENDOR.validate(replace(view(*TWO), options={"by_reference": value}))


@pytest.mark.rule("docustack batch after a lost answer the look-up uses the name")
def test_a_signed_reference_is_recognized_without_its_query() -> None:
    """A vendor that repeats a reference without what opens it, or with that hidden, still says which one it means."""
    same = "one.pdf", "one.pdf"
    documents = [each.model_copy(update={"ref": f"{each.ref}?X-Amz-Signature=1"}) for each in refs(*same)]
    answer = [{"id": "b", "ref": "https://example.com/1"}, {"id": "a", "ref": "https://example.com/0?X=(hidden)"}]
    assert read_batch(answer, documents).document_ids == BOTH


@pytest.mark.rule("docustack batch after a lost answer the look-up uses the name")
def test_a_lost_batch_of_presigned_urls_is_found_by_name() -> None:
    """The URLs of the lost request are no longer known, so the names decide."""
    case = replace(view(document("one.pdf"), document("two.pdf", index=1)), options={"by_reference": "presigned"})
    answer = [{"id": "b", "name": "two.pdf"}, {"id": "a", "name": "one.pdf", "ref": "https://s3.example.com/old"}]
    found = drive(VENDOR.find_uploaded(case, [0, 1], LOST), [reply(answer)]).value
    assert found is not None
    assert found.document_ids == BOTH


# --- settings --------------------------------------------------------------------------------------------------------


@pytest.mark.rule("docustack upload an empty file", "docustack webhooks X-DocuStack-Signature")
def test_settings_by_default() -> None:
    """By default a connection is live, and its deliveries are signed as in the guide."""
    assert CONFIGURED.mode == "live"
    assert Webhook(scheme="hmac-sha256-hex", header="X-DocuStack-Signature") == CONFIGURED.webhook
    assert VENDOR.max_document_bytes == 100 << 20


@pytest.mark.rule("docustack upload POST /api/v1/documents/upload")
@pytest.mark.parametrize("missing", ["schema_id", "organization_id"])
def test_settings_that_every_upload_needs(missing: str) -> None:
    """A connection needs schema and organization."""
    given = CONFIGURED.model_dump() | {missing: ""}
    with pytest.raises(ValidationError, match=missing):
        CONNECTION.model_validate(given)


@pytest.mark.rule("docustack authentication and keys ds_live_… and ds_test_…")
def test_an_error_about_a_key_never_shows_it() -> None:
    """The message says what to fix, without the key."""
    with pytest.raises(ConfigurationError) as caught:
        VENDOR.headers("ds_test_sesame")
    assert "sesame" not in str(caught.value)
    assert "dossier secrets set invoices" in str(caught.value)


# --- deliveries ------------------------------------------------------------------------------------------------------

EVENTS_OF_THE_GUIDE = ("document_completed", "job_completed", "job_failed")


def proven(body: bytes, headers: dict[str, str], *secrets: str) -> bool:
    """Return whether a delivery is taken under the connection's own settings."""
    webhook = CONFIGURED.webhook
    assert webhook is not None
    assert webhook.header is not None
    return verify(Rule(webhook.scheme, webhook.header, webhook.prefix), Delivery(body, headers), secrets)


@pytest.mark.rule("docustack webhooks X-DocuStack-Signature")
@pytest.mark.rule("docustack webhooks Dossier reads only event", case="job_completed")
@pytest.mark.parametrize("event", EVENTS_OF_THE_GUIDE)
def test_deliveries_are_signed_as_the_guide_says(event: str) -> None:
    """The signature is the hex HMAC-SHA256 of the raw body; another body, secret or form of header is refused."""
    body = recorded("docustack", f"webhook-{event}").body
    signature = hmac.new(b"secret", body, hashlib.sha256).hexdigest()
    signed = {"x-docustack-signature": signature}
    assert proven(body, signed, "secret")
    assert proven(body, signed, "rotated", "secret")
    assert not proven(body + b" ", signed, "secret")
    assert not proven(body, signed, "other")
    assert not proven(body, signed, "")
    assert not proven(body, {}, "secret")
    assert not proven(body, {"x-docustack-signature": "ä" * 64}, "secret")


# --- statuses --------------------------------------------------------------------------------


@pytest.mark.rule("docustack status completed is final")
@pytest.mark.parametrize("status", ["COMPLETED", "Completed"])
def test_case_does_not_matter_in_a_status(status: str) -> None:
    """A status in another case is the same, and is reported as the vendor writes it."""
    progress = drive(VENDOR.poll_documents(view(), ["a"]), [reply({"status": status})]).value
    assert progress.finished
    assert progress.documents["a"].status == status


@pytest.mark.rule("docustack status fields_extracted as a number or a text")
@pytest.mark.parametrize(
    ("given", "read"),
    [(3, 3), ("3", 3), (3.0, 3), (0, 0), (2.5, None), (-1, None), (True, None), ("three", None), (None, None)],
)
def test_fields_extracted_is_a_whole_number(given: Any, read: int | None) -> None:
    """``fields_extracted`` is read as a number or its digits; anything else is left out."""
    assert document_state({"status": "completed", "fields_extracted": given}).fields_extracted == read


@pytest.mark.rule("docustack status every other status is still running")
def test_an_unknown_status_is_not_final() -> None:
    """A status that the guide does not name is still running, and is reported."""
    progress = drive(VENDOR.poll_documents(view(), ["a"]), [reply({"status": "on_hold"})]).value
    assert (progress.finished, progress.unknown) == (False, ("on_hold",))


@pytest.mark.rule("docustack notes, the rest a check proves URL and key")
def test_check_fails_with_the_vendor() -> None:
    """A rejection that is not about the list is passed on unchanged."""
    with pytest.raises(VendorRejectedError):
        drive(VENDOR.check(), [reply({"detail": "no"}, status=400)])
    with pytest.raises(VendorUnavailableError):
        drive(VENDOR.check(), [recorded("docustack", "assumed-gateway.html", status=502)])


@pytest.mark.rule("docustack document and field values a failed document")
def test_a_rejected_document_keeps_its_reason() -> None:
    """A document that failed in Dossier's records is failed in the result, with the stored reason."""
    failed = document("a.pdf", document_id="a", failed=True, status="failed", error="unreadable")
    result = VENDOR.read_result(replace(view(failed), options={}), {})
    assert (result.status, result.documents[0].error, result.documents[0].status) == ("failed", "unreadable", "failed")
