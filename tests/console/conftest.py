"""The console of a deployment in memory, and somebody who visits it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from html import unescape
from typing import Any

import httpx
import pytest

from cli import target
from console.app import create
from console.desk import Desk
from console.security import Session
from dossier.models import CaseStatus, now
from dossier.stores.cases import CaseRecord
from tests.cli.conftest import Dossier, asking, dossier, invoice, live, nowhere, sandbox, stacks
from tests.inprocess import InProcess

__all__ = ["asking", "dossier", "invoice", "live", "nowhere", "sandbox", "stacks"]

PORT = 4790
BASE = f"http://127.0.0.1:{PORT}"
WHO = "arn:aws:iam::123456789012:user/ada"


@dataclass
class Visitor:
    """Somebody with a browser that has opened the printed URL.

    Attributes:
        dossier: the deployment.
        session: the console's secrets.
        http: sends requests, with the cookie.
        desk: what the pages work with.

    """

    dossier: Dossier
    session: Session
    http: httpx.Client
    desk: Desk

    def get(self, path: str, status: int = 200) -> str:
        """Return a page."""
        found = self.http.get(path)
        assert found.status_code == status, (path, found.status_code, found.text)
        return found.text

    def post(self, path: str, status: int = 200, **fields: Any) -> httpx.Response:
        """Send a form of a page, and follow where it leads."""
        found = self.http.post(path, data={"csrf": self.session.csrf, **fields}, headers={"origin": BASE})
        assert found.status_code == status, (path, found.status_code, found.text)
        return found

    def main(self, path: str) -> str:
        """Return the text of a page's main part, without tags."""
        return text_of(self.get(path))

    def trail(self) -> list[dict[str, Any]]:
        """Return the entries of the trail of actions, oldest first."""
        objects = self.dossier.cloud.app.objects
        return [json.loads(objects.read(key) or b"") for key, _ in sorted(objects.list("audit/"))]


def text_of(page: str) -> str:
    """Return the text of a page's main part."""
    main = page.partition("<main")[2].partition("</main>")[0].partition(">")[2]
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", main)).split())


def put(visitor: Visitor, reference: str, status: CaseStatus, *, minutes: int = 0, **more: object) -> CaseRecord:
    """Store a case that was submitted some minutes ago."""
    at = now() - timedelta(minutes=minutes)
    record = CaseRecord.model_validate(
        {
            "connection": "invoices", "reference": reference, "vendor": "docustack", "status": status,
            "fingerprint": "f",
            "execution_arn": f"arn:aws:states:us-east-1:123456789012:execution:dossier-dev:{reference}",
            "submitted_at": at, "updated_at": at, **more,
        }
    )  # fmt: skip
    assert visitor.dossier.cloud.app.cases.claim(record) is None
    visitor.desk.lists.forget()
    return record


@pytest.fixture
def visitor(dossier: Dossier) -> Iterator[Visitor]:
    """Yield somebody who has opened the console."""
    session = Session(PORT)
    app = create(target.find(stage="dev"), session, who=WHO)
    with httpx.Client(
        transport=InProcess(app), base_url=BASE, follow_redirects=True, trust_env=False, timeout=60
    ) as http:
        http.get(session.url)
        yield Visitor(dossier, session, http, app.state.desk)
