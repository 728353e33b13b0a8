"""What the functions are there for, call by call: each case is played as Step Functions and the queues play it.

The same steps that ``tests/e2e`` sees as whole cases; here a case stands still before each step until that step has
missed its grants. Mappings and rules are switched off meanwhile, so that nobody else calls.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

from dossier.models import iso, now
from tests.grants.bench import Bench, CaseBrokenError, batch
from tests.grants.requests import Requests
from tests.grants.stage import LONG_AGO, Event, Stage, execution, failure, pk_of

_NO_DIGEST = {"content": "", "sha256": ""}
"""What the record of a former answer says whose digests this version cannot compare."""


class Cases(Stage):
    """Plays cases on a bench."""

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench)
        self._finished: dict[str, str] = {}
        """By connection, the case that was played to its end."""
        self._collectable = ""
        """The vendor's id of the one at Docsumo."""

    def all(self) -> None:
        """Play everything."""
        self.whole_case("disputes")
        self.whole_case("invoices")
        self._collectable = self.whole_case("claims", options={"case_title": "Water damage"})
        self.duplicate_and_resumed()
        self.documents_of_every_folder()
        self.missing_document()
        self.refreshed()
        self.older_digest()
        self.lost_answers()
        self.shorter_list()
        self.broken_download()
        self.broken_collection()
        self.questions()
        self.failures()
        self.polls()
        self.deliveries()
        self.swept()
        self.reconciled()
        self.dropped()
        self.summarized()
        Requests(self._bench, self).all()

    # Whole cases

    def whole_case(self, connection: str, **rest: Any) -> str:
        """Play a case from Accept to Publish; return the vendor's id of it."""
        case = self.submission(connection, **rest)
        names = {"connection": connection, "reference": case["reference"]}
        accepted = self.prove("accept", execution(case))
        if accepted["opens"]:
            self.prove("open", names, before=lambda: self.settle(names, "open"))
        for number in accepted["uploads"]:
            settle = partial(self.settle, names, f"upload-{number}")
            self.prove("upload", {**names, "batch": number}, before=settle)
        self._wait_out(names, accepted["phases"][0])
        if len(accepted["phases"]) > 1:
            self.prove("process", names)
            self._wait_out(names, accepted["phases"][1])
        self.prove("collect", names)
        self._download_again(names)
        self.prove("publish", names)
        self._finished[connection] = case["reference"]
        return str(self.item(f"CASE#{connection}#{case['reference']}", "CASE").get("case_id", {}).get("S", ""))

    def _download_again(self, names: dict[str, str], collection: str = "") -> None:
        """Play Download with each artifact of a case, as if Collect had left it to the map."""
        for index in range(3):
            sk = f"{'NEW' if collection else 'ART'}#{index:05}"
            if not (item := self.item(pk_of(names), sk)):
                return
            record = {**json.loads(item["data"]["S"]), "key": None, "version_id": None, "error": None}
            if record.get("former"):
                record["former"] |= _NO_DIGEST
            event = {**names, "artifacts": [index], "collection": collection}
            self.prove("download", event, before=partial(self.put, pk_of(names), sk, data=json.dumps(record)))

    def _wait_out(self, names: dict[str, str], phase: str) -> None:
        self.prove("wait", {**names, "phase": phase, "token": self._token})
        due = partial(self.change, pk_of(names), "WAIT", next_at=LONG_AGO, gsi_sk=LONG_AGO)
        for _ in range(10):
            self.prove("poll", partial(self._poll, names), before=due)
            if not self.item(pk_of(names), "WAIT"):
                return
        raise AssertionError(f"the vendor does not get ready with {names}")

    def refreshed(self) -> None:
        """A finished case whose vendor's case has a new version of a file and one file less; somebody asks again."""
        names = {"connection": "claims", "reference": self._finished["claims"]}
        case = f"docsumo/cases/{self._collectable}"
        self._sandbox(f"{case}/files", filename="extraction.json", text="{}")
        files = self._bench.deployment.sandbox.get("/_sandbox/artifacts", params={"case_id": self._collectable}).json()
        gone = next(each["file_id"] for each in files["artifacts"] if each["filename"] == "summary.pdf")
        assert self._bench.deployment.sandbox.delete(f"/_sandbox/{case}/files/{gone}").is_success
        self.ask_again(names)
        self.prove("accept", execution({**names, "refresh": 1}, "refresh-1"))
        self.prove("collect", {**names, "collection": "u1"})
        self._download_again(names, "u1")
        # A document of before versions were written down, and somebody who asks while it is published.
        self.forget_version(names)
        self.ask_again(names)
        self.prove("publish", {**names, "collection": "u1"})
        self._stop()
        # A refresh that fails once it has collected, and somebody who asked meanwhile.
        self.call("accept", execution({**names, "refresh": 2}, "refresh-2"))
        self.call("collect", {**names, "collection": "u2"})
        self.prove("fail", failure({**names, "refresh": 2}, name="refresh-2"), before=lambda: self.ask_again(names))
        self._stop()
        # A case that the version before has completed, and that has changed since.
        self._sandbox(f"{case}/edit", assigned_to="user__other")
        self.call("accept", execution({**names, "refresh": 3}, "refresh-3"))
        for chunk in self.call("collect", {**names, "collection": "u3"})["artifacts"]:
            self.call("download", {**names, "artifacts": chunk, "collection": "u3"})
        self.prove("publish", {**names, "collection": "u3"}, before=lambda: self.forget(names, "CASE", "revision"))

    # Batches

    def batch(self) -> tuple[str, dict[str, Any]]:
        """Put the lists of a batch of one case into the bucket; return its id, and the case."""
        case, batch = self.submission("invoices"), uuid.uuid4().hex[:16]
        line = {"line": 1, "connection": "invoices", "reference": case["reference"], "fingerprint": "", "input": case}
        lists: dict[str, Any] = {
            "batch.json": {"batch_id": batch, "cases": 1},
            "cases.jsonl": line,
            "runs/1.jsonl": {"name": case["reference"], "input": case},
        }
        for name, value in lists.items():
            key = f"batches/{batch}/{name}"
            self._bench.client("s3").put_object(Bucket=self._outputs["bucket"], Key=key, Body=json.dumps(value))
        return batch, case

    def summarized(self) -> None:
        """The end of a batch's run."""
        batch, _ = self.batch()
        self.prove("summarize", {"batch": batch, "run": 1})

    # What does not happen in each case

    def duplicate_and_resumed(self) -> None:
        """A case that was submitted before, and one that goes back to work."""
        case = self.submission("invoices")
        self.prove("accept", execution(case))
        self.prove("accept", execution(case, "another"))
        self.change(pk_of(case), "CASE", status="failed")
        self.prove("accept", execution({**case, "resume": True}, "resumed"))

    def documents_of_every_folder(self) -> None:
        """Documents lie in each of the folders that a case may name, as they are or as one version."""
        for folder in ("uploads", "staging/invoices", "inbox/invoices", "cases/invoices/before"):
            self.prove("accept", execution(self.submission("invoices", folder=folder)))
            self.version_of_a_document(folder)

    def version_of_a_document(self, folder: str) -> None:
        """A case that says which version of its document is meant."""
        case = self.submission("invoices", folder=folder)
        bucket, _, key = case["documents"][0]["uri"].removeprefix("s3://").partition("/")
        found = self._bench.client("s3").head_object(Bucket=bucket, Key=key)
        case["documents"][0]["version_id"] = found["VersionId"]
        self.prove("accept", execution(case))

    def missing_document(self) -> None:
        """A document that is not there: who may not list the bucket cannot tell it from one that may not be read."""
        case = self.submission("invoices")
        case["documents"][0]["uri"] += ".missing"
        self.prove("accept", execution(case), ends="does not exist: upload it first")

    def lost_answers(self) -> None:
        """Requests whose answers were lost are looked up, among other cases' objects."""
        names = self.accepted("claims")
        upload = {**names, "batch": 0}
        self.prove("upload", upload, before=lambda: self.lose(names, "upload-0"))
        opened = self.accepted("disputes")  # this vendor cannot be asked
        self.prove("open", opened, before=lambda: self.lose(opened, "open"), ends="NeedsAttentionError")

    def shorter_list(self) -> None:
        """The vendor lists fewer artifacts than before: the others are forgotten."""
        names = self.uploaded("claims")
        artifact = {"index": 99, "name": "gone.pdf", "source": "gone"}
        self.put(pk_of(names), "ART#00099", data=json.dumps(artifact))
        self.prove("collect", names)

    def broken_download(self) -> None:
        """An artifact breaks off in the middle of a multipart upload, of which nothing may be left behind."""
        added = self._sandbox(f"docsumo/cases/{self._collectable}/artifacts", filename="large.bin", size=24 << 20)
        names = self.accepted("claims", documents=[], case_id=self._collectable)
        artifact = {"index": 0, "name": "large.bin", "source": added["file_id"]}
        self._sandbox("settings", faults={"truncated": {"rate": 1, "vendor": "docsumo", "operation": "download"}})

        def download(place: str, collection: str) -> None:
            event = {**names, "artifacts": [0], "collection": collection}
            self.call("download", event, ends="TruncatedDownloadError")
            self._no_unfinished(place)

        for sk, place, collection in (("ART#00000", "cases/", ""), ("NEW#00000", "collecting/", "u1")):
            self.put(pk_of(names), sk, data=json.dumps(artifact))
            self._bench.prove("download", partial(download, f"{place}claims/{names['reference']}/", collection))
        self._sandbox("settings", faults=[])

    def _no_unfinished(self, place: str) -> None:
        """See that no unfinished upload is left in a folder, and end those that are."""
        s3, bucket = self._bench.client("s3"), self._outputs["bucket"]
        left = s3.list_multipart_uploads(Bucket=bucket, Prefix=place).get("Uploads", [])
        for each in left:
            s3.abort_multipart_upload(Bucket=bucket, Key=each["Key"], UploadId=each["UploadId"])
        if left:
            raise CaseBrokenError("an unfinished upload was left behind")

    def many_files(self) -> Event:
        """Return a case with more artifacts than Collect downloads itself."""
        for number in range(4):
            self._sandbox(f"docsumo/cases/{self._collectable}/artifacts", filename=f"page-{number}.txt", size=100)
        return self.submission("claims", documents=[], case_id=self._collectable)

    def older_digest(self) -> None:
        """A finished case whose answer was stored by a version that kept no digest of it; somebody asks again."""
        names = {"connection": "invoices", "reference": self._finished["invoices"]}
        data = json.loads(self.item(pk_of(names), "ART#00000")["data"]["S"])
        self.change(pk_of(names), "ART#00000", data=json.dumps({**data, **_NO_DIGEST}))
        self.ask_again(names)
        self.call("accept", execution({**names, "refresh": 1}, "refresh-1"))
        again = partial(self.delete, pk_of(names), "NEW#00000")
        self.prove("collect", {**names, "collection": "u1"}, before=again)
        self._download_again(names, "u1")
        self._stop()

    def broken_collection(self) -> None:
        """The only artifact breaks off in the middle of a multipart upload, while Collect itself downloads it."""
        case = self.whole_case("claims")
        sandbox = self._bench.deployment.sandbox
        for each in sandbox.get("/_sandbox/artifacts", params={"case_id": case}).json()["artifacts"]:
            assert sandbox.delete(f"/_sandbox/docsumo/cases/{case}/files/{each['file_id']}").is_success
        self._sandbox(f"docsumo/cases/{case}/artifacts", filename="large.bin", size=24 << 20)
        finished = {"connection": "claims", "reference": self._finished["claims"]}
        self.ask_again(finished)
        self.call("accept", execution({**finished, "refresh": 1}, "refresh-1"))
        fresh = self.accepted("claims", documents=[], case_id=case)
        self._sandbox("settings", faults={"truncated": {"rate": 1, "vendor": "docsumo", "operation": "download"}})

        def collect(names: dict[str, str], collection: str, place: str) -> None:
            left = self.call("collect", {**names, "collection": collection})["artifacts"]
            self._no_unfinished(f"{place}claims/{names['reference']}/")
            if left != [[0]]:
                raise CaseBrokenError(f"Collect has left {left} to the map")

        self._bench.prove("collect", partial(collect, fresh, "", "cases/"))
        self._bench.prove("collect", partial(collect, finished, "u1", "collecting/"))
        self._sandbox("settings", faults=[])
        self._stop()

    def questions(self) -> None:
        """A question to an operator."""
        names = self.accepted("disputes")
        question = {"what": "open", "token": self._token, "cause": "nobody knows"}
        self.prove("ask", {**names, **question})

    def failures(self) -> None:
        """A case that fails while it waits, with a question open; one that was refused; and one that was dropped."""
        names = self.uploaded("claims")
        self.call("wait", {**names, "phase": "results", "token": self._token})
        self.call("ask", {**names, "what": "upload-0", "token": self._token, "cause": "nobody knows"})
        case = {**names, "case_id": "unknown"}
        self.prove("fail", failure(case))
        self.prove("fail", failure(self.submission("invoices")))
        drop = {"key": "inbox/invoices/note.txt"}
        self.prove("fail", failure(self.submission("invoices", drop=drop), "InvalidCaseError"))

    def polls(self) -> None:
        """A poll that comes too early, and one that comes after the deadline of a case that is not finished."""
        self._sandbox("settings", seconds=3600)
        names = self.uploaded("invoices")
        self.call("wait", {**names, "phase": "documents", "token": self._token})
        self.prove("poll", partial(self._poll, names))
        self.change(pk_of(names), "WAIT", next_at=LONG_AGO, deadline=LONG_AGO)
        self.prove("poll", partial(self._poll, names))
        # And one of which there is no record.
        self.call("wait", {**names, "phase": "documents", "token": self._token})
        self.delete(pk_of(names), "CASE")
        due = partial(self.change, pk_of(names), "WAIT", next_at=LONG_AGO)
        self.prove("poll", partial(self._poll, names), before=due)
        self._sandbox("settings", seconds=0)

    def _poll(self, names: dict[str, str]) -> dict[str, Any]:
        seq = int(self.item(pk_of(names), "WAIT")["seq"]["N"])
        return batch(f"poll-{names['connection']}", {**names, "seq": seq})

    def deliveries(self) -> None:
        """A delivery about a case that waits, and one about a case of somebody else: told apart at the second look.

        One that is refused, and one that comes again and is known.
        """
        names = self.uploaded("claims")
        self.call("wait", {**names, "phase": "results", "token": self._token})
        known = self.item(pk_of(names), "CASE")["case_id"]["S"]
        answer = ((known, {}), (self._collectable, {}), ("somebody-elses", {}), ("somebody-elses", {"again": "1"}))
        for case_id, again in answer:
            self.prove("webhook", partial(self._fresh, case_id=case_id))
            self.prove("wake", batch("wake", {"connection": "claims", "delivery": self.newest(), **again}))
        self.call("webhook", self._delivery(b'{"event": "something happened"}'))  # it moves the oldest waits
        self.prove("wake", batch("wake", {"connection": "claims", "delivery": self.newest()}))
        forged = self._fresh()
        forged["headers"]["x-webhook-token"] = "wrong"
        self.prove("webhook", forged)
        self._bench.prove("webhook", self._again)
        self._stop()

    def _fresh(self, **ids: str) -> Event:
        """Return a delivery that has not come before."""
        return self._delivery(json.dumps({"event": f"case_updated_{next(self._numbers)}", **ids}).encode())

    def _again(self) -> None:
        """Deliver something twice: the second one is recognized by the note of the first."""
        delivery, kept = self._fresh(), set[str]()
        for _ in range(2):
            self.call("webhook", delivery)
            kept.add(self.newest())
        if len(kept) > 1:
            raise CaseBrokenError("the same delivery was kept twice")

    def swept(self) -> None:
        """A wait that nobody polls any more."""
        names = self.uploaded("invoices")
        self.call("wait", {**names, "phase": "documents", "token": self._token})
        self.change(pk_of(names), "WAIT", next_at=LONG_AGO, gsi_sk=LONG_AGO, sent_at=LONG_AGO)
        self.prove("sweep", {})

    def reconciled(self) -> None:
        """A case whose execution is gone while it waits, and one whose connection is: both end."""
        names = self.uploaded("disputes")
        self.call("wait", {**names, "phase": "documents", "token": self._token})
        self.change(pk_of(names), "WAIT", next_at=LONG_AGO, gsi_sk=LONG_AGO)
        key = f"cases/disputes/{names['reference']}/vendor/case.json"
        self._bench.client("s3").put_object(Bucket=self._outputs["bucket"], Key=key, Body=b"{}")

        wait = {name: value["S"] for name, value in self.item(pk_of(names), "WAIT").items() if "S" in value}

        def some_time_later() -> None:
            self.put(**(wait | {"seq": "1", "attempts": "0"}))
            self.delete("STAGE", "ROUND")  # from the first connection on, whatever became of the try before
            self.delete("CONNECTIONS", "claims")
            self.put("CONNECTIONS", "gone", gone_since=LONG_AGO)
            asked = {"connection": "disputes", "reference": self._finished["disputes"]}
            self.ask_again(asked)
            self.change(pk_of(asked), "REFRESH", gsi_pk="REFRESHES#disputes", gsi_sk=LONG_AGO, **asked)
            gone = {"connection": "gone", "reference": "R", "gsi_pk": "WAITS#gone", "pk": "CASE#gone#R"}
            self.put(**(wait | gone | {"token": self._token, "seq": "1", "attempts": "0"}))
            for reference in (names["reference"], self._finished["disputes"]):
                self.change(f"CASE#disputes#{reference}", "CASE", updated_at=iso(now() - timedelta(hours=1)))

        self.prove("reconcile", {}, before=some_time_later)
        # An operator changes a finished case, and the delivery about it is lost.
        change = partial(self._sandbox, f"docsumo/cases/{self._collectable}/edit", assigned_to="user__reviewer")
        self.prove("compare", {}, before=change)
        self._stop()

    def _waits(self, folder: str) -> None:
        """Let it be known that a folder waits, of which nothing is there any more."""
        texts = {"pk": "INBOX#claims", "sk": folder, "reference": folder, "why": "waits", "since": LONG_AGO}
        texts |= {"gsi_pk": "DROPS#claims", "gsi_sk": LONG_AGO, "landed": LONG_AGO}
        item = {name: {"S": value} for name, value in texts.items()}
        self._bench.client("dynamodb").put_item(TableName=self._outputs["table"], Item=item)

    def dropped(self) -> None:
        """Files in the inbox: a case, one that is gone again, a folder that waits, and one that waits no longer."""
        file = {"key": f"inbox/claims/{self._run}.pdf", "version_id": self._drop(f"{self._run}.pdf", b"no PDF at all")}
        self.prove("drop", batch("drop", file))
        self.prove("drop", batch("drop", {**file, "version_id": None}))
        pdf = f"{self._run}-case.pdf"
        version = self._drop(pdf, b"%PDF-1.7\n" + self._run.encode())
        self.prove("drop", batch("drop", {"key": f"inbox/claims/{pdf}", "version_id": version}))
        self.prove("drop", batch("drop", {"key": "inbox/claims/gone.pdf", "version_id": None}))
        folder = {"key": f"inbox/claims/{self._run}/case.json", "version_id": None}
        waits = b'{"documents": [{"name": "never.pdf"}]}'

        def lands() -> None:
            self.delete("INBOX#claims", self._run)  # that it waits is not known yet
            self._drop(f"{self._run}/case.json", waits)

        self.prove("drop", batch("drop", folder), before=lands)
        gone = f"{self._run}-gone"
        removed = {"eventName": "ObjectRemoved:Delete", "s3": {"bucket": {"name": self._outputs["bucket"]}}}
        removed["s3"]["object"] = {"key": f"inbox/claims/{gone}/a.pdf"}  # type: ignore[index]
        self.prove("drop", batch("drop", {"Records": [removed]}), before=lambda: self._waits(gone))
        self._stop()

    # Executions, for what the state machine may call

    def reaching(self) -> dict[str, Callable[[], Event]]:
        """Return, for each function that a state calls, a maker of an execution that reaches that state."""
        collected = partial(self.submission, "claims", documents=[], case_id=self._collectable)
        return {
            "accept": partial(self.submission, "claims"),
            "open": partial(self.submission, "disputes"),
            "ask": self._in_doubt,
            "upload": partial(self.submission, "claims"),
            "wait": collected,
            "process": partial(self.submission, "disputes"),
            "collect": collected,
            "download": self.many_files,
            "publish": collected,
            "fail": partial(self.submission, "claims", options={"no": "such option"}),
        }

    def _in_doubt(self) -> Event:
        case = self.submission("disputes")
        self.lose(case, "open")
        return case
