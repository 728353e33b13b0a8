"""A vendor is a folder and its recordings: the suite accepts a fourth one unchanged, and detects its mistakes."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from dossier import vendors
from dossier.errors import DossierError
from dossier.http import Effect, Flow, Request
from dossier.ports import CaseView, Hint, Progress, Uploaded, Vendor
from dossier.replies import read_object
from dossier.result import Result
from tests.contract.fourth.vendors.toy import Toy
from tests.contract.suite import VENDOR_CHECKS, Suite, checks, load

BREAKAGE = (AssertionError, LookupError, TypeError, ValueError, DossierError)
FOURTH = Path(__file__).parent / "fourth"


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Suite]:
    """Return the toy vendor, found where ``dossier.vendors`` looks."""
    monkeypatch.setattr(vendors, "__path__", [*vendors.__path__, str(FOURTH / "vendors")])
    vendors._load.cache_clear()
    yield load("toy", FOURTH / "recordings")
    sys.modules.pop("dossier.vendors.toy", None)
    vendors._load.cache_clear()


def broken_checks(suite: Suite) -> set[str]:
    """Return the names of the checks that fail."""
    broken = set()
    for vendor_check in VENDOR_CHECKS:
        try:
            vendor_check(suite)
        except BREAKAGE:
            broken.add(vendor_check.__name__)
    for exchange in suite.recordings.exchanges:
        for check in checks(exchange):
            try:
                check(suite, exchange)
            except BREAKAGE:
                broken.add(check.__name__)
    return broken


def test_a_fourth_vendor_is_found_by_its_folder(toy: Suite) -> None:
    """Only the folders list the vendors."""
    assert "toy" in vendors.names()
    assert vendors.connection_model("toy").__name__ == "ToyConnection"


def test_a_fourth_vendor_may_have_operations(toy: Suite, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One without ``operations.py`` has none; with the file in its folder ``dossier vendor`` knows them."""
    assert vendors.operations("toy") == ()
    folder = tmp_path / "other"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "operations.py").write_text("OPERATIONS = ('ask',)")
    monkeypatch.setattr(vendors, "__path__", [*vendors.__path__, str(tmp_path)])
    assert vendors.operations("other") == ("ask",)
    sys.modules.pop("dossier.vendors.other.operations")
    sys.modules.pop("dossier.vendors.other")


def test_a_fourth_vendor_passes_the_contract(toy: Suite) -> None:
    """The toy vendor passes every check, and every kind of check runs on it."""
    assert broken_checks(toy) == set()
    made = {check.__name__ for exchange in toy.recordings.exchanges for check in checks(exchange)}
    assert made == {
        "as_recorded", "well_formed_requests", "documented_errors", "stray_statuses", "unreadable_answers",
        "changed_answers",
        "extra_keys", "unknown_statuses", "kept_answers", "hostile_deliveries",
    }  # fmt: skip


class Renames(Toy):
    """Gives documents other names."""

    def upload_request(self, case: CaseView, index: int) -> Request:
        """Change the file's name."""
        request = super().upload_request(case, index)
        return replace(request, files=(replace(request.files[0], filename=f"{index}.pdf"),))


class CallsUploadsSafe(Toy):
    """Says that an upload may be repeated."""

    def upload_request(self, case: CaseView, index: int) -> Request:
        """Change the effect."""
        return replace(super().upload_request(case, index), effect=Effect.SAFE)


class PutsKeyInQuery(Toy):
    """Sends the key where logs would show it."""

    def upload_request(self, case: CaseView, index: int) -> Request:
        """Add the key to the query."""
        return replace(super().upload_request(case, index), query=(("key", "toy-key"),))


class TrustsAnswers(Toy):
    """Relies on keys that the guide shows."""

    def upload(self, case: CaseView, batch: Sequence[int]) -> Flow[Uploaded]:
        """Read the id without a look."""
        reply = yield self.upload_request(case, batch[0])
        return Uploaded(document_ids={batch[0]: reply.json()["id"]})


class IsSilent(Toy):
    """Treats an answer without an id as a success."""

    def upload(self, case: CaseView, batch: Sequence[int]) -> Flow[Uploaded]:
        """Return what there is."""
        request = self.upload_request(case, batch[0])
        answer = read_object(request, (yield request))
        return Uploaded(document_ids={batch[0]: answer["id"]} if "id" in answer else {})


class EndsOnAnyStatus(Toy):
    """Treats every status but "reading" as finished."""

    def poll_documents(self, case: CaseView, pending: Sequence[str]) -> Flow[Progress]:
        """Turn the usual answer round."""
        progress = yield from super().poll_documents(case, pending)
        return replace(progress, finished=all(each.status != "reading" for each in progress.documents.values()))


class NeverEnds(Toy):
    """Asks again for as long as the status is not a known one."""

    def poll_documents(self, case: CaseView, pending: Sequence[str]) -> Flow[Progress]:
        """Poll in the adapter."""
        while True:
            progress = yield from super().poll_documents(case, pending)
            if not progress.unknown:
                return progress


class CountsKeys(Toy):
    """Depends on an answer's size."""

    def check(self) -> Flow[str]:
        """Return the answer's length."""
        reply = yield Request("GET", "/v1/me")
        yield from super().check()
        return str(len(reply.body))


class KeepsTheUnkept(Toy):
    """Stores an answer in a function that may not write to S3."""

    def check(self) -> Flow[str]:
        """Ask as usual, and keep what comes."""
        flow = super().check()
        reply = yield replace(next(flow), keep="me")
        try:
            flow.send(reply)
        except StopIteration as stop:
            return str(stop.value)
        raise AssertionError("the toy asks once")


class TakesAnyOption(Toy):
    """Ignores what it doesn't know."""

    def validate(self, case: CaseView) -> None:
        """Take everything."""


class TakesAnyKey(Toy):
    """Sends any key."""

    def headers(self, api_key: str) -> Mapping[str, str]:
        """Take everything."""
        return {"x-toy-key": api_key}


class ForgetsDocuments(Toy):
    """Uploads only the first document."""

    def batches(self, case: CaseView) -> Sequence[Sequence[int]]:
        """Return one batch."""
        return [[0]]


class RaisesOnDeliveries(Toy):
    """Expects deliveries in the guide's form."""

    def read_hint(self, body: bytes) -> Hint | None:
        """Read text without a look."""
        return Hint("read", document_ids=(body.decode(),))


class RaisesOnResults(Toy):
    """Expects that every answer was kept."""

    def read_result(self, case: CaseView, raw: Mapping[str, bytes]) -> Result:
        """Read an answer without a look."""
        return super().read_result(case, {"upload-0": raw["upload-0"]})


class GivesTheTime(Toy):
    """Has state: two calls give two answers."""

    calls = 0

    def check(self) -> Flow[str]:
        """Count the calls."""
        GivesTheTime.calls += 1
        yield from super().check()
        return f"call {GivesTheTime.calls}"


class IsNamedOtherwise(Toy):
    """Has another name than its folder."""

    name = "toys"


@pytest.mark.parametrize(
    ("vendor", "seen_by"),
    [
        (Renames, {"sends_names_as_they_are", "as_recorded"}),
        (CallsUploadsSafe, {"well_formed_requests"}),
        (PutsKeyInQuery, {"well_formed_requests"}),
        (TrustsAnswers, {"documented_errors", "stray_statuses", "unreadable_answers", "changed_answers"}),
        (IsSilent, {"changed_answers"}),
        (EndsOnAnyStatus, {"unknown_statuses"}),
        (NeverEnds, {"unknown_statuses", "changed_answers"}),
        (CountsKeys, {"as_recorded", "extra_keys"}),
        (KeepsTheUnkept, {"well_formed_requests"}),
        (TakesAnyOption, {"knows_its_options"}),
        (TakesAnyKey, {"refuses_unusable_keys"}),
        (ForgetsDocuments, {"uploads_each_document_once"}),
        (RaisesOnDeliveries, {"hostile_deliveries", "reads_any_delivery"}),
        (RaisesOnResults, {"kept_answers"}),
        (GivesTheTime, {"as_recorded"}),
        (IsNamedOtherwise, {"declares_itself"}),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_the_suite_detects_a_broken_vendor(
    toy: Suite, monkeypatch: pytest.MonkeyPatch, vendor: type[Vendor], seen_by: set[str]
) -> None:
    """Each way to break the contract fails the checks that are there for it."""
    assert toy.vendor.name == "toy"
    monkeypatch.setattr(sys.modules["dossier.vendors.toy"], "VENDOR", vendor)
    assert seen_by <= broken_checks(toy)


def test_the_suite_detects_a_missing_recording(toy: Suite, tmp_path: Path) -> None:
    """A vendor must record a lost upload."""
    text = (FOURTH / "recordings" / "suite.json").read_text().replace('"find_uploaded"', '"find_opened"')
    (tmp_path / "suite.json").write_text(text)
    short = load("toy", tmp_path)
    with pytest.raises(AssertionError, match="find_uploaded"):
        next(each for each in VENDOR_CHECKS if each.__name__ == "records_every_call")(short)


@pytest.mark.parametrize("line", ["import httpx", "from dossier.vendors import docsumo", "from dossier import stores"])
def test_the_suite_detects_an_outward_import(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, line: str) -> None:
    """The imports of an adapter that does I/O, or uses another vendor, are detected."""
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / "__init__.py").write_text(f"{line}\n")
    monkeypatch.setattr(vendors, "__path__", [str(tmp_path)])
    with pytest.raises(AssertionError, match="imports"):
        next(each for each in VENDOR_CHECKS if each.__name__ == "imports_inward_only")(Suite("toy", tmp_path))
