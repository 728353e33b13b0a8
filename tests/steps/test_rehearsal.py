"""An upgrade changes no result by itself: what former versions stored gives the same result (``make rehearse``)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dossier import vendors
from dossier.layout import result_key
from dossier.models import CaseId
from dossier.ports import Vendor
from dossier.settings import Connection
from tests.conftest import REGION, Cloud, in_memory
from tests.rehearsal import CASES, differences, main, names, record, recordings, rehearse


@pytest.fixture
def rehearsal_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials for accounts in memory, one after the other."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)


@pytest.mark.parametrize("name", names())
def test_stored_data_of_a_version_gives_the_same_result(cloud: Cloud, name: str) -> None:
    """Each of its cases, read anew from its records and the vendor's answers."""
    [file] = recordings(name)
    found = rehearse(file, cloud)
    assert found
    assert found == {case: [] for case in found}


def test_every_vendor_is_rehearsed() -> None:
    """The recordings have cases of each, with one and with more documents."""
    rehearsed = {connection for connection, cases in CASES.items() if len(cases) > 1}
    assert rehearsed == {"claims", "disputes", "invoices"}
    assert len(names()) > 1


def test_a_result_that_is_read_differently_is_named(cloud: Cloud) -> None:
    """With its place, and both values."""

    def otherwise(connection: Connection) -> Vendor:
        vendor = vendors.vendor(connection)
        read = vendor.read_result

        def changed(*args: object) -> object:
            result = read(*args)  # type: ignore[arg-type]
            return result.model_copy(update={"title": "another"})

        vars(vendor)["read_result"] = changed
        return vendor

    [file] = recordings("version-1")
    found = rehearse(file, cloud, vendor_of=otherwise)
    [lines] = found.values()
    assert [line.partition(":")[0] for line in lines] == ["title"]
    assert 'became "another"' in lines[0]


def test_a_new_recording_can_be_rehearsed(rehearsal_account: None, tmp_path: Path) -> None:
    """The recording of the next release is whole."""
    file = tmp_path / "now.json"
    with in_memory() as cloud:
        count = record(file, cloud)
    assert count == sum(map(len, CASES.values()))
    with in_memory() as other:
        found = rehearse(file, other)
    assert set(found) == {CaseId(connection, reference) for connection, cases in CASES.items() for reference in cases}
    assert not any(found.values())
    stored = json.loads(file.read_text())
    assert result_key(CaseId("claims", "R-1")) in stored["objects"]


def test_differences_are_named_by_their_place() -> None:
    """Inside of objects and lists; a list of another length as a whole."""
    former, now = {"a": [{"b": 1}, 2], "c": [1], "d": 1}, {"a": [{"b": 2}, 2], "c": [1, 2], "d": 1}
    assert sorted(differences(former, now)) == ["a[0].b: 1 became 2", "c: [1] became [1, 2]"]


def test_another_name_says_what_there_is(rehearsal_account: None, capsys: pytest.CaptureFixture[str]) -> None:
    """The command's output."""
    assert main({"FROM": "nothing"}) == 2
    assert "choose from" in capsys.readouterr().err
    assert main({"FROM": "version-1"}) == 0
    assert "version-1: claims R-1: the same result" in capsys.readouterr().out
