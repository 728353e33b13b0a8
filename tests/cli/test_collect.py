"""``dossier collect``: results of cases that Dossier did not submit."""

from __future__ import annotations

import json

import pytest

from dossier.models import CaseId, CaseInput
from tests.cli.conftest import Dossier
from tests.conftest import Cloud
from tests.machine import World, samples


def test_a_vendors_case_is_collected(dossier: Dossier) -> None:
    """One execution for each id, which only collects."""
    dossier.whole = False
    started = dossier.json("collect", "claims", "case__1", "case/2")
    assert [each["outcome"] for each in started] == ["started", "started"]
    sent = [json.loads(each.execution_input) for each in dossier.executions()]
    assert {each["case_id"] for each in sent} == {"case__1", "case/2"}
    assert all(CaseInput.parse(each).documents == () for each in sent)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("claims",), "there is nothing to collect"),
        (("claims", "a", "b", "--reference", "R-1"), "--reference names one case"),
        (("disputes", "--since", "2h"), "ombudsman has no list of cases"),
        (("nobody", "a"), 'unknown connection "nobody"'),
        (("claims", "a", "--since", "soon"), '"soon" is not a time'),
    ],
)
def test_uncollectable_ids_are_reported(dossier: Dossier, words: tuple[str, ...], line: str) -> None:
    """Invalid arguments start nothing."""
    result = dossier("collect", *words)
    assert result.exit_code == 2
    assert line in result.stderr
    assert dossier.executions() == []


def test_a_known_case_gets_no_second_name(dossier: Dossier) -> None:
    """An id that belongs to a case is named with it; another reference for it is bad usage."""
    dossier.cloud.app.intents.own(CaseId("claims", "C-1"), ["case__1"])
    assert [each["outcome"] for each in dossier.json("collect", "claims", "case__1")] == ["known"]
    assert dossier.json("collect", "claims", "case__1", "--reference", "C-1")[0]["reference"] == "C-1"
    result = dossier("collect", "claims", "case__1", "--reference", "C-2")
    assert result.exit_code == 2
    assert "case__1 belongs to case C-1 already: leave out --reference" in result.stderr
    assert dossier.executions() == []


@pytest.mark.rule("docustack batch documents that were sent by hand are collected by job or by document")
def test_documents_of_a_vendor_without_cases_are_collected(cloud: Cloud) -> None:
    """A document that is at DocuStack already becomes a case with its fields, and nothing is uploaded or billed."""
    world = World(cloud)
    first = world.submit("invoices", "R-1", samples("invoice.pdf"))
    (uploaded,) = world.effects("document_uploaded")
    cloud.empty_table()
    case = {"connection": "invoices", "reference": "C-1", "document_ids": [uploaded["document_id"]]}
    result = world.execute(case, "arn:C-1")
    assert result["status"] == "completed"
    assert result["fields"] == first["fields"]
    assert result["documents"][0]["name"] == "invoice.pdf"
    assert len(world.effects("document_uploaded")) == 1
    again = world.execute({**case, "reference": "C-2"}, "arn:C-2")
    assert "belongs to case C-1" in again["reason"]
    wrong = world.execute({"connection": "claims", "reference": "C-3", "document_ids": ["d"]}, "arn:C-3")
    assert "docsumo has cases" in wrong["reason"]
