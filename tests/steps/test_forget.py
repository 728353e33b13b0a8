"""An erased case is in no store any more, whenever the erasure was interrupted; other cases are untouched."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from dossier.certificates import FIRST, forgotten_as, problems
from dossier.errors import InvalidCaseError
from dossier.models import CaseId, CaseStatus, Document, iso, now
from dossier.steps.accept import accept
from dossier.steps.forget import Forgot, forget
from dossier.steps.identity import stranger_reference
from dossier.steps.refresh import ask
from dossier.stores.batches import BatchCase
from dossier.stores.evidence import EvidenceStore
from dossier.stores.executions import Execution
from tests.conftest import BUCKET, Cloud
from tests.erasing import DEAD, Inputs, erasing, with_dead_letters
from tests.machine import STRIDE, Killed, World, samples
from tests.records import record

WORD = "planted-7f3e"
REFERENCE = f"R-{WORD}"
CASE = CaseId("claims", REFERENCE)
BATCH = "0123456789abcdef"
CONNECTIONS = ("claims", "invoices", "disputes")


@pytest.fixture
def world(cloud: Cloud) -> World:
    """Return a world with queues of dead letters."""
    return with_dead_letters(cloud)


def whole_case(world: World, connection: str, reference: str, *, again: bool = False) -> Inputs:
    """Walk a case to its end, with the word in every value of the caller; return its execution's input."""
    document = samples("invoice.pdf")["invoice.pdf"] + f"%{reference}".encode()
    uri = world.cloud.put(f"staging/{connection}/{reference}/0", document)
    options = {"case_title": f"About {reference}"} if connection != "claims" else {}
    case = {
        "connection": connection,
        "reference": reference,
        "documents": [{"uri": uri, "name": f"{reference}.pdf"}],
        "options": options,
        **({"again": True} if again else {}),
    }
    world.execute(case, f"arn:{connection}-{reference}")
    return Inputs({f"arn:{connection}-{reference}": case})


def ids_of(world: World, connection: str, reference: str) -> list[str]:
    """Return a case's ids at its vendor."""
    case = world.cloud.app.cases.get(CaseId(connection, reference))
    return [each for each in (case.record.case_id, *(one.document_id for one in case.documents)) if each]


def everything(cloud: Cloud) -> Iterator[tuple[str, str]]:
    """Yield each place of stored data, and its text: all versions, all items, all messages."""
    client = cloud.session.client("s3")
    for page in client.get_paginator("list_object_versions").paginate(Bucket=BUCKET):
        for each in page.get("DeleteMarkers", []):
            yield f"marker {each['Key']}", each["Key"]
        for each in page.get("Versions", []):
            body = client.get_object(Bucket=BUCKET, Key=each["Key"], VersionId=each["VersionId"])["Body"].read()
            text = body.decode("utf-8", "replace")
            if '"body_base64"' in text:
                text += base64.b64decode(json.loads(text)["body_base64"]).decode("utf-8", "replace")
            yield f"object {each['Key']}", f"{each['Key']} {text}"
    for item in cloud.session.resource("dynamodb").Table("cases").scan()["Items"]:
        yield f"item {item['pk']} {item['sk']}", repr(item)
    for queue in ("wake", "drop", *DEAD):
        yield from ((f"queue {queue}", body) for body in cloud.messages(queue))


def places(cloud: Cloud, *words: str) -> list[str]:
    """Return the places of any of the words."""
    return [place for place, text in everything(cloud) if any(each in text for each in words)]


def test_erased_case_is_in_no_store(world: World) -> None:
    """Documents, artifacts, answers, revisions, records, deliveries, dead letters, and the submitted files."""
    cloud = world.cloud
    for connection in CONNECTIONS:
        inputs = whole_case(world, connection, REFERENCE)
        whole_case(world, connection, "R-other")
        mine, others = (ids_of(world, connection, each) for each in (REFERENCE, "R-other"))
        delivered(world, connection, mine, others)
        sqs = cloud.session.client("sqs")
        for queue, body in (
            (f"poll-{connection}-dlq", {"connection": connection, "reference": REFERENCE, "seq": 1}),
            (f"poll-{connection}-dlq", {"connection": connection, "reference": "R-other", "seq": 1}),
        ):
            url = sqs.get_queue_url(QueueName=f"dossier-dev-{queue}")["QueueUrl"]
            sqs.send_message(QueueUrl=url, MessageBody=json.dumps(body))
        batched(cloud, connection)
        result = cloud.app.objects.read(f"cases/{connection}/R-other/result.json")
        done = forget(CaseId(connection, REFERENCE), context=erasing(world, inputs))
        assert set(done.vendor_ids) >= set(mine)
        assert cloud.app.cases.find(CaseId(connection, REFERENCE)) is None
        assert cloud.app.objects.read(f"cases/{connection}/R-other/result.json") == result
        assert cloud.app.cases.get(CaseId(connection, "R-other")).record.status.final
        assert done.certificate["removed"]["deliveries"] == 2
        assert done.certificate["removed"]["deliveries_redacted"] == 1
        assert done.certificate["removed"]["messages"] == 1
        assert done.certificate["removed"]["batch_files"] == 4
        assert [each.reference for each in cloud.app.batches.cases(BATCH)] == ["R-other"]
        [child] = json.loads(cloud.app.objects.read(f"batches/{BATCH}/map/SUCCEEDED_0.json") or b"")
        assert "R-other" in child["Input"]
        left = [each for each in everything(cloud) if each[0].startswith(("object webhooks/", "queue "))]
        assert any(other in text for _, text in left for other in others)
        assert places(cloud, WORD, *mine) == []


@pytest.mark.parametrize("reference", ["204", "1", "completed", "invoices", "document_completed", "send", "Put"])
def test_a_reference_that_is_a_common_word_touches_no_other_case(world: World, reference: str) -> None:
    """Deliveries and dead letters that have the word for another reason stay as they are; its own are erased."""
    cloud = world.cloud
    inputs = whole_case(world, "invoices", reference)
    whole_case(world, "invoices", "R-other")
    cloud.app.cases.name(
        CaseId("invoices", reference), "budget", "send"
    )  # an operator's answer is not an id of the vendor
    [mine, *_], [other, *_] = (ids_of(world, "invoices", each) for each in (reference, "R-other"))
    about = {"event": "document_completed", "status": "completed", "pages": 1, "bytes": 204, "next": "send"}
    store, headers = cloud.app.evidence, {"content-length": "204", "content-type": "application/json"}
    keys = {
        owner: store.keep("invoices", "accepted", json.dumps({**about, "document_id": owner}).encode(), headers)
        for owner in (mine, other)
    }
    unnamed = store.keep("invoices", "accepted", json.dumps({"note": reference}).encode(), headers)
    kept = cloud.app.evidence.find(keys[other])
    landed = {"key": "inbox/invoices/a.pdf", "size": 204, "event": "ObjectCreated:Put", "status": "completed", "n": 1}
    dead = [
        ("drop-dlq", {"Records": [{"s3": {"object": landed}}], "next": "send"}),
        ("wake-dlq", {"connection": "invoices", "delivery": keys[other], "again": "1"}),
        ("poll-invoices-dlq", {"connection": "invoices", "reference": "R-other", "seq": 1}),
    ]
    own = ("poll-invoices-dlq", {"connection": "invoices", "reference": reference, "seq": 1})
    sqs = cloud.session.client("sqs")
    for queue, body in (*dead, own):
        url = sqs.get_queue_url(QueueName=f"dossier-dev-{queue}")["QueueUrl"]
        sqs.send_message(QueueUrl=url, MessageBody=json.dumps(body))
    done = forget(CaseId("invoices", reference), context=erasing(world, inputs))
    assert "send" not in done.vendor_ids
    assert cloud.app.evidence.find(keys[mine]) is None
    assert cloud.app.evidence.find(unnamed) is None
    assert cloud.app.evidence.find(keys[other]) == kept
    assert done.certificate["removed"]["deliveries"] == 2
    assert done.certificate["removed"]["messages"] == 1


def batched(cloud: Cloud, connection: str) -> None:
    """Store a batch of two cases as the command, the Distributed Map and the end of its run do; the end twice."""
    inputs = [{"connection": connection, "reference": each} for each in (REFERENCE, "R-other")]
    cases = [BatchCase(line=line, fingerprint="f", input=each, **each) for line, each in enumerate(inputs, 1)]
    cloud.app.batches.store(BATCH, {"cases": 2}, cases, [])
    items = [{"name": each["reference"], "input": each} for each in inputs]
    cloud.app.objects.write(
        f"batches/{BATCH}/runs/1.jsonl", "".join(f"{json.dumps(each)}\n" for each in items).encode()
    )
    children = [{"Name": each["name"], "Input": json.dumps(each), "Output": "{}"} for each in items]
    cloud.app.objects.write_json(f"batches/{BATCH}/map/SUCCEEDED_0.json", children)
    for status in ("failed", "completed"):
        cloud.app.batches.list_ends(BATCH, [{**each, "status": status} for each in inputs[:1]], [])


def test_a_case_of_a_running_batch_is_not_erased(world: World) -> None:
    """The end of the run would name it again; once the run has ended, the erasure is finished."""
    cloud = world.cloud
    inputs = whole_case(world, "invoices", REFERENCE)
    batched(cloud, "invoices")
    runs = Runs(status="RUNNING")
    context = erasing(world, inputs).replacing(batch_runs=runs)
    with pytest.raises(InvalidCaseError, match=f"dossier batch stop {BATCH}"):
        forget(CaseId("invoices", REFERENCE), context=context)
    runs.status = "SUCCEEDED"
    done = forget(CaseId("invoices", REFERENCE), context=context)
    assert done.certificate["removed"]["batch_files"] == 4
    assert places(cloud, WORD) == []


@dataclass
class Runs:
    """The executions of batches, all with one status."""

    status: str

    def find(self, _batch: str, run: int) -> Execution | None:
        """Return the execution of a run."""
        return Execution(self.status, "", "", None) if run else None


def delivered(world: World, connection: str, mine: list[str], others: list[str]) -> None:
    """Store deliveries: about the case, rejected ones about it, about it and another one, and about another one."""
    evidence: EvidenceStore = world.cloud.app.evidence
    one: dict[str, Any]
    if connection == "claims":
        one = {"event": "case_updated", "case_id": mine[0], "title": WORD}
        both: Any = {"cases": [one, {"event": "case_updated", "case_id": others[0]}]}
    elif connection == "invoices":
        one = {"event": "document_completed", "document_id": mine[0], "name": WORD}
        both = [one, {"event": "document_completed", "document_id": others[0]}]
    else:
        one = {"case_id": mine[0], "external_case_id": REFERENCE}
        both = {"cases": [one, {"case_id": others[0]}]}
    for number, each in enumerate((one, both, {"event": "x", "case_id": others[0], "document_id": others[-1]})):
        digest = f"{number}{connection}"
        claim = evidence.claim(connection, digest)
        headers = {"content-type": "application/json", "x-about": "-".join([])}
        evidence.keep(connection, "accepted", json.dumps(each).encode(), headers, key=claim.key, digest=digest)
        evidence.finish(claim)
    evidence.refuse(connection, "signature", json.dumps(one).encode(), {})


def test_a_case_under_way_is_not_erased(world: World) -> None:
    """It is cancelled first; one that is being published or collected again ends first."""
    whole_case(world, "claims", REFERENCE)
    app, inputs = world.cloud.app, Inputs({})
    table = world.cloud.session.resource("dynamodb").Table("cases")
    key = {"pk": f"CASE#claims#{REFERENCE}", "sk": "CASE"}

    def set_to(**changes: Any) -> None:
        item = table.get_item(Key=key)["Item"]
        table.put_item(Item={name: value for name, value in {**item, **changes}.items() if value is not None})

    set_to(status=CaseStatus.WAITING.value)
    with pytest.raises(InvalidCaseError, match=rf"is waiting: cancel it first \(dossier cancel {REFERENCE} --conn"):
        forget(CASE, context=erasing(world))
    set_to(status="completed", committed=2)
    with pytest.raises(InvalidCaseError, match="is being published"):
        forget(CASE, context=erasing(world))
    set_to(committed=None)
    assert app.refreshes.begin(CASE, 1, "arn:runs")
    inputs.running.add("arn:runs")
    with pytest.raises(InvalidCaseError, match=r"is being collected again \(arn:runs\)"):
        forget(CASE, context=erasing(world, inputs))
    assert app.objects.read(f"cases/claims/{REFERENCE}/result.json") is not None
    with pytest.raises(InvalidCaseError, match="there is no case R-2 at connection claims"):
        forget(CaseId("claims", "R-2"), context=erasing(world))


def test_case_is_not_erased_while_an_answer_may_come(world: World) -> None:
    """A cancelled case's function still waits for the vendor: its answer has ids that the certificate has to count."""
    whole_case(world, "claims", REFERENCE)
    intents = world.context.intents
    assert intents.begin(CASE, "upload-1", names=[], known=[])
    with pytest.raises(InvalidCaseError, match=r"its answer may still come: erase the case after 20\d\d-"):
        forget(CASE, context=erasing(world))
    intents.lost(CASE, "upload-1")
    assert forget(CASE, context=erasing(world)).certificate["removed"]["items"] > 0


def test_poll_that_outlives_its_case_stores_nothing(world: World) -> None:
    """It was under way when the case was cancelled and erased."""
    whole_case(world, "invoices", REFERENCE)
    case = CaseId("invoices", REFERENCE)
    documents = world.context.cases.get(case).documents
    forget(case, context=erasing(world))
    world.context.cases.note_documents(case, documents)
    assert world.context.cases.document(case, 0) is None


def finished(world: World) -> dict[str, Any]:
    """Run the erasure as an operator does: again, until it ends; return its certificate.

    If it was killed after its last call, the next run says that it has ended, and names the certificate.
    """
    while True:
        world.killer.inside = True
        try:
            return forget(CASE, context=erasing(world)).certificate
        except Killed:
            world.killer.at = None
        except InvalidCaseError as error:
            assert world.killer.at is None, error
            assert "was erased at" in str(error)
            key = str(error).rpartition(" ")[2]
            return dict(json.loads(world.cloud.app.objects.read(key) or b""))
        finally:
            world.killer.inside = False


def test_erasure_killed_anywhere_is_finished_by_the_next_run(world: World) -> None:
    """Around each external call: nothing is left, and there is one certificate in an unbroken chain."""
    cloud, at, reached = world.cloud, 0, True
    while reached:
        stored_case(world, "R-other", "case__other")
        stored_case(world, REFERENCE, "case__mine")
        delivered(world, "claims", ["case__mine"], ["case__other"])
        world.killer.at, world.killer.seen = at, 0
        done = finished(world)
        reached = world.killer.at is None
        world.killer.at = None
        stored = [key for key, _ in cloud.app.objects.list("erasures/")]
        certificates = [json.loads(cloud.app.objects.read(key) or b"") for key in stored]
        assert done in certificates
        assert problems(certificates) == []
        assert len(certificates) == len({each["number"] for each in certificates})
        assert places(cloud, WORD, "case__mine") == [], at
        cloud.empty_table()
        erasing(world).versions.erase("")
        at += STEP
    assert at > 60


STEP = min(STRIDE, 11)
"""Every how many-th call the erasure is killed at: all of them in ``make chaos``."""


def stored_case(world: World, reference: str, case_id: str) -> None:
    """Store a case that has ended, as its steps would."""
    app = world.cloud.app
    ended = {"vendor": "docsumo", "status": "completed", "case_id": case_id}
    app.cases.claim(record(connection="claims", reference=reference, **ended))
    document = Document(index=0, name=f"{reference}.pdf", key="", document_id=f"doc-{case_id}")
    app.cases.put_documents(CaseId("claims", reference), [document], fresh=True)
    app.intents.own(CaseId("claims", reference), [case_id, f"doc-{case_id}"])
    for name in ("documents/a.pdf", "result.json", "result.json"):
        app.objects.write(f"cases/claims/{reference}/{name}", reference.encode())


def test_erased_reference_is_rejected_without_again(world: World) -> None:
    """One line says when it was erased; nothing is uploaded, and nothing stored; --again submits it."""
    inputs = whole_case(world, "claims", REFERENCE)
    forget(CASE, context=erasing(world, inputs))
    uploads = len(world.effects("document_uploaded"))
    uri = world.cloud.put("uploads/a.pdf", samples("invoice.pdf")["invoice.pdf"])
    case: dict[str, Any] = {"connection": "claims", "reference": REFERENCE, "documents": [{"uri": uri}]}
    with pytest.raises(InvalidCaseError, match=r"was erased at .*, and the vendor would bill it again.*--again"):
        accept(case, "arn:2", context=world.context)
    assert world.execute(case, "arn:2") == {}
    assert world.cloud.app.cases.find(CASE) is None
    assert places(world.cloud, WORD) == []
    assert len(world.effects("document_uploaded")) == uploads
    assert world.execute({**case, "again": True}, "arn:3")["status"] == "completed"
    assert accept({**case, "again": True}, "arn:4", context=world.context).outcome == "duplicate"
    assert accept(case, "arn:5", context=world.context).outcome == "duplicate"
    forget(CASE, context=erasing(world))
    with pytest.raises(InvalidCaseError, match="was erased at"):
        accept(case, "arn:6", context=world.context)
    with pytest.raises(InvalidCaseError, match=r"was erased at .*: its certificate is erasures/"):
        forget(CASE, context=erasing(world))


def test_erased_case_is_not_collected_again(world: World) -> None:
    """A delivery or a comparison about the vendor's case finds no case, and a collection of it is rejected."""
    whole_case(world, "claims", REFERENCE)
    [case_id, *_] = ids_of(world, "claims", REFERENCE)
    forget(CASE, context=erasing(world))
    assert not ask(CASE, context=world.context)
    case = {"connection": "claims", "reference": stranger_reference(case_id), "case_id": case_id}
    with pytest.raises(InvalidCaseError, match="was erased at"):
        accept(case, "arn:2", context=world.context)


def test_deliveries_after_an_erasure_are_erased_by_the_next_run(world: World) -> None:
    """The late delivery is stored like any other; erasing the case again erases it, with another certificate."""
    whole_case(world, "invoices", "R-other")
    first = forgotten_with_ids(world, "invoices", REFERENCE)
    [mine, *_], [other, *_] = first.vendor_ids, ids_of(world, "invoices", "R-other")
    store = world.cloud.app.evidence
    late = {"event": "document_completed", "document_id": mine, "name": WORD}
    store.keep("invoices", "accepted", json.dumps(late).encode(), {})
    store.keep("invoices", "accepted", json.dumps([late, {"document_id": other, "name": "other"}]).encode(), {})
    assert world.cloud.app.intents.hint("invoices", mine)  # as `wake` notes it
    assert places(world.cloud, WORD, mine) != []
    second = forget(CaseId("invoices", REFERENCE), context=erasing(world))
    assert (second.vendor, second.vendor_ids) == ("docustack", (mine,))
    assert second.certificate["removed"]["deliveries"] == second.certificate["removed"]["deliveries_redacted"] == 1
    assert problems([first.certificate, second.certificate]) == []
    assert places(world.cloud, WORD, mine) == []
    assert any(other in text for place, text in everything(world.cloud) if place.startswith("object webhooks/"))
    with pytest.raises(InvalidCaseError, match=rf"was erased at .*{second.key}"):
        forget(CaseId("invoices", REFERENCE), context=erasing(world))
    store.keep("invoices", "accepted", json.dumps(late).encode(), {})
    assert forget(CaseId("invoices", REFERENCE), context=erasing(world)).vendor_ids == (mine,)
    assert world.cloud.app.forgotten.billed("invoices", f"{now():%Y-%m}") == [1]


def test_every_erased_case_of_a_reference_stays_on_the_bill(world: World) -> None:
    """One that was submitted again after its erasure, and erased again, was paid for twice."""
    for _ in range(3):
        forgotten_with_ids(world, "invoices", REFERENCE, again=True)
    assert world.cloud.app.forgotten.billed("invoices", f"{now():%Y-%m}") == [1, 1, 1]
    assert world.cloud.app.forgotten.billed("invoices", "2020-01") == []


def forgotten_with_ids(world: World, connection: str, reference: str, *, again: bool = False) -> Forgot:
    """Walk and erase a case; return the erasure's result."""
    inputs = whole_case(world, connection, reference, again=again)
    return forget(CaseId(connection, reference), context=erasing(world, inputs))


def test_an_interrupted_erasure_is_finished_before_the_reference_is_used(world: World) -> None:
    """Not even on purpose: half-erased data would mix with new data."""
    whole_case(world, "claims", REFERENCE)
    world.killer.at, world.killer.seen, world.killer.inside = 20, 0, True
    with pytest.raises(Killed):
        forget(CASE, context=erasing(world))
    world.killer.at, world.killer.inside = None, False
    case = {"connection": "claims", "reference": REFERENCE, "case_id": "case__1", "again": True}
    with pytest.raises(
        InvalidCaseError, match=rf"is being erased since .*: finish that first \(dossier forget {REFERENCE}"
    ):
        accept(case, "arn:2", context=world.context)


def test_a_certificate_says_what_remains_until_when(world: World) -> None:
    """It names neither the reference nor an id, and follows the one before it."""
    first = forgotten(world, "claims", "R-1")
    second = forgotten(world, "invoices", "R-2")
    assert (first["number"], first["previous"]) == (1, FIRST)
    assert (second["number"], second["previous"]) == (2, first["sha256"])
    assert problems([second, first]) == []
    assert second["case_sha256"] == forgotten_as(CaseId("invoices", "R-2"))
    remains = {each["where"]: each["until"] for each in second["remains"]}
    assert remains["vendor docustack"] is None
    assert remains["S3 audit/"] is None
    days = {"Step Functions": 90, "CloudWatch Logs": 90, "X-Ray": 30, "backups of the table": 35}
    for where, number in days.items():
        assert iso(now() + timedelta(days=number, minutes=-5)) < remains[where] <= iso(now() + timedelta(days=number))


def forgotten(world: World, connection: str, reference: str) -> dict[str, Any]:
    """Walk and erase a case; return its certificate."""
    context = erasing(world, whole_case(world, connection, reference))
    return forget(CaseId(connection, reference), context=context).certificate


def test_each_break_of_the_chain_is_found(world: World) -> None:
    """A changed, removed, repeated or exchanged certificate."""
    one, two, three = (forgotten(world, "claims", f"R-{number}") for number in (1, 2, 3))
    assert problems([one, two, three]) == []
    assert "certificate 2" in problems([one, {**two, "completed_at": "2020-01-01T00:00:00.000Z"}, three])[0]
    assert problems([one, three]) == ["certificates are missing: 2"]
    assert problems([two, three]) == ["certificates are missing: 1"]
    assert any("two certificates 2" in each for each in problems([one, two, two, three]))
    assert any("does not follow" in each for each in problems([one, {**two, "previous": FIRST}, three]))


def test_a_locked_delivery_stays_until_its_lock_ends(world: World) -> None:
    """The certificate names it and the time; everything else is erased."""
    client = world.cloud.session.client("s3")
    client.put_object_lock_configuration(Bucket=BUCKET, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled"})
    whole_case(world, "claims", REFERENCE)
    mine = ids_of(world, "claims", REFERENCE)
    store = EvidenceStore(client, BUCKET, lock_days=3)
    key = store.keep("claims", "accepted", json.dumps({"event": "case_updated", "case_id": mine[0]}).encode(), {})
    done = forget(CASE, context=erasing(world))
    [left] = [each for each in done.certificate["remains"] if each["where"] == "S3 Object Lock"]
    assert left["what"] == f"delivery {key.rpartition('/')[2].removesuffix('.json')}"
    assert iso(now() + timedelta(days=2)) < left["until"] < iso(now() + timedelta(days=4))
    assert places(world.cloud, *mine) == [f"object {key}"]
