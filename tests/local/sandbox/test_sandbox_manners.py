"""The sandbox's vendors rename, misdate and delay list entries if a rule says so."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.local.sandbox.sandboxes import LiveSandbox, until

NAME = "Prüfung Mai (1).pdf"
LISTED = {
    "blanks": "Prüfung_Mai_(1).pdf",
    "case": "prüfung mai (1).pdf",
    "percent": "Pr%C3%BCfung%20Mai%20%281%29.pdf",
    "ascii": "Prufung_Mai__1_.pdf",
    "mojibake": "PrÃ¼fung Mai (1).pdf",
    "ending": "Prüfung Mai (1)",
}


def listed(sandbox: LiveSandbox) -> dict[str, Any]:
    """Return DocuStack's only document, as it lists it."""
    (document,) = sandbox.docustack.get("/api/v1/documents").json()["documents"]
    return dict(document)


def files(sandbox: LiveSandbox, case_id: str) -> list[dict[str, Any]]:
    """Return the files of a Docsumo case."""
    return list(sandbox.docsumo.get(f"/api/v1/chatot/cases/{case_id}/files", params={"q": ""}).json())


@pytest.mark.parametrize(("way", "name"), LISTED.items())
def test_renamed_keeps_a_file_under_another_name(sandbox: LiveSandbox, way: str, name: str) -> None:
    """Every answer uses the new name; the journal has the name that was sent."""
    sandbox.set(faults={"renamed": {"rate": 1, "form": way}}, seconds=0)
    sandbox.docustack_upload(NAME)
    assert listed(sandbox)["name"] == name
    data = sandbox.docsumo_upload(NAME).json()["data"]
    assert data["documents"][0]["filename"] == name
    assert files(sandbox, data["case_id"])[0]["filename"] == name
    assert [each["name"] for each in sandbox.effects("document_uploaded")] == [NAME, NAME]


def test_renamed_puts_a_time_in_front(sandbox: LiveSandbox) -> None:
    """The time of the upload, in seconds."""
    sandbox.set(faults={"renamed": {"rate": 1, "form": "time"}})
    sandbox.docustack_upload(NAME)
    stamp, _, rest = listed(sandbox)["name"].partition("_")
    assert (stamp.isdigit(), rest) == (True, NAME)


def test_renamed_is_drawn(sandbox: LiveSandbox) -> None:
    """Without a form the seed decides how each upload is renamed."""
    sandbox.set(faults={"renamed": 1}, rate_limits={"docustack": None})
    for _ in range(20):
        sandbox.docustack_upload(NAME)
    names = [each["name"] for each in sandbox.docustack.get("/api/v1/documents").json()["documents"]]
    assert len(set(names)) > 3


@pytest.mark.parametrize("seconds", [-180, 180, 25_200, -40_000])
def test_clock_shifts_the_vendors_times(sandbox: LiveSandbox, seconds: int) -> None:
    """Every time of the vendor is off by so much, of old documents as of new ones; the HTTP header Date is not."""
    sandbox.docustack_upload()
    sandbox.set(faults={"clock": {"rate": 1, "seconds": seconds, "vendor": "docustack"}})
    answer = sandbox.docustack.get("/api/v1/documents")
    off = datetime.fromisoformat(listed(sandbox)["created_at"]) - datetime.now(UTC)
    assert abs(off - timedelta(seconds=seconds)) < timedelta(seconds=60)
    assert datetime.strptime(answer.headers["date"], "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=UTC) > datetime.now(
        UTC
    ) - timedelta(seconds=60)
    case_id = sandbox.docsumo_upload().json()["data"]["case_id"]
    made = datetime.fromisoformat(files(sandbox, case_id)[0]["created_at"])
    assert abs(made - datetime.now(UTC)) < timedelta(seconds=60)


def test_zoneless_times_are_local(sandbox: LiveSandbox) -> None:
    """Of UTC+5:30, without saying so: a naive time, in every answer of the vendor."""
    sandbox.set(faults={"zoneless": {"rate": 1, "seconds": 19_800}}, seconds=0)
    case = sandbox.ombudsman_case().json()
    evidence = sandbox.evidence(case["case_id"]).json()
    sandbox.docsumo_upload()
    path = "/api/v1/external/agents/casetype__d1t5b/cases"
    (entry,) = sandbox.docsumo.get(path).json()["data"]["cases"]
    times = [case["created_at"], evidence["uploaded_at"], entry["created_date"], entry["modified_date"]]
    for each in times:
        text = datetime.fromisoformat(each)
        assert text.tzinfo is None
        off = text - datetime.now(UTC).replace(tzinfo=None)
        assert abs(off - timedelta(hours=5, minutes=30)) < timedelta(seconds=60)


def test_a_rate_selects_the_vendors_with_a_wrong_clock(sandbox: LiveSandbox) -> None:
    """It is drawn once: a vendor's clock is off in all that it says, or in nothing."""
    for rate, off in ((0, False), (1, True)):
        sandbox.set(faults={"clock": {"rate": rate, "seconds": 7200}})
        created = datetime.fromisoformat(sandbox.ombudsman_case().json()["created_at"])
        assert (created - datetime.now(UTC) > timedelta(hours=1)) is off


def test_listed_late_delays_list_entries(sandbox: LiveSandbox) -> None:
    """Lists show an entry after a while; a request with its id is answered at once."""
    sandbox.set(faults={"listed_late": {"rate": 1, "seconds": 4}}, seconds=0)
    document_id = sandbox.docustack_upload().json()["document_id"]
    data = sandbox.docsumo_upload().json()["data"]
    case_id = sandbox.ombudsman_case().json()["case_id"]
    sandbox.evidence(case_id)

    def lengths() -> list[int]:
        path = "/api/v1/external/agents/casetype__d1t5b/cases"
        return [
            len(sandbox.docustack.get("/api/v1/documents").json()["documents"]),
            len(sandbox.docsumo.get(path).json()["data"]["cases"]),
            len(sandbox.ombudsman.get(f"/cases/{case_id}").json()["evidence"]),
        ]

    assert lengths() == [0, 0, 0]
    assert sandbox.docustack.get(f"/api/v1/documents/{document_id}").status_code == 200
    assert files(sandbox, data["case_id"])
    until(lambda: lengths() == [1, 1, 1])


def test_only_clocks_and_zones_are_negative(sandbox: LiveSandbox) -> None:
    """A negative delay is rejected."""
    answer: httpx.Response = sandbox.plain.post(
        "/_sandbox/settings", json={"faults": {"slow": {"rate": 1, "seconds": -1}}}
    )
    assert answer.status_code == 400
