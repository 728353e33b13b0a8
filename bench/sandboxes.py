"""A sandbox of the vendors for each way that is compared: each counts the requests of one way alone."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import httpx

from local.sandbox import accounts

UNLIMITED: dict[str, Any] = {"docsumo": None, "docustack": None}


@dataclass(frozen=True, slots=True)
class Done:
    """What a vendor knows of a case: how long it worked on it, and when it was done (seconds since 1970)."""

    took: float
    at: float


class Sandbox:
    """One sandbox, and its journal."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client
        self.url = str(client.base_url).rstrip("/")

    def pace(self, seconds: float, assessment: float, spread: float) -> None:
        """Set how long documents and assessments take, each drawn from around these seconds (``spread``: a share)."""
        given = {"seconds": seconds, "assessment_seconds": assessment, "spread": spread, "rate_limits": UNLIMITED}
        self.client.post("/_sandbox/settings", json=given).raise_for_status()

    def journal(self, after: int = 0) -> list[dict[str, Any]]:
        """Return the entries after an id."""
        entries: list[dict[str, Any]] = []
        while page := self.client.get("/_sandbox/journal", params={"after": after, "limit": 1000}).json()["entries"]:
            entries, after = entries + page, page[-1]["id"]
        return entries

    def last(self) -> int:
        """Return the id of the latest entry."""
        entries = self.client.get("/_sandbox/journal").json()["entries"]
        return int(entries[-1]["id"]) if entries else 0


def requests_of(journal: list[dict[str, Any]]) -> Counter[str]:
    """Return the number of requests to each vendor."""
    return Counter(str(each["vendor"]) for each in journal if each["operation"] != "webhook")


def deliveries_of(journal: list[dict[str, Any]]) -> Counter[str]:
    """Return the number of deliveries that each vendor has sent and that were accepted."""
    return Counter(
        str(each["vendor"]) for each in journal if each["operation"] == "webhook" and each["status"] == HTTPStatus.OK
    )


def done_of(journal: list[dict[str, Any]]) -> Mapping[str, Done]:
    """Return the vendors' times of each case of one document, by the document's name.

    DocuStack works from the upload on, Docsumo from the workflow's start; the Ombudsman on the document, and, from
    ``/process`` on, on the assessment. What passes between these is not the vendor's time.
    """
    found: dict[str, Done] = {}
    names: dict[str, str] = {}
    for entry in journal:
        for effect in entry["effects"]:
            name = str(effect.get("name", ""))
            if effect["effect"] == "document_uploaded":
                names[str(effect.get("case_id"))] = name
            elif effect["effect"] not in {"workflow_triggered", "assessment_started"}:
                continue
            name = name or names[str(effect["case_id"])]
            if "ready" in effect:
                before = found[name].took if name in found else 0.0
                found[name] = Done(before + effect["ready"] - entry["at"], effect["ready"])
    return found


def keys() -> dict[str, str]:
    """Return the sandbox's API key of each vendor."""
    return accounts.load().keys()


def as_json(urls: Mapping[str, str]) -> str:
    """Return addresses by vendor as one line of JSON."""
    return json.dumps(dict(urls), separators=(",", ":"))
