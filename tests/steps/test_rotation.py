"""A key that the vendor rejects while a case waits is most likely being replaced: the case waits a while longer."""

from __future__ import annotations

from datetime import timedelta

import pytest

from dossier.models import CaseId
from dossier.steps import poll
from tests.conftest import Cloud
from tests.machine import Keys, World, samples

FILES = {"invoices": "invoice.pdf", "claims": "photo.jpg", "disputes": "complaint.docx"}


class Replaced(Keys):
    """Keys; the vendor rejects a waiting case's key a number of times."""

    def __init__(self, world: World, times: int) -> None:
        super().__init__()
        self._world = world
        self._left = times
        self.notes: list[str | None] = []

    def api_key(self, connection: str, *, fresh: bool = False) -> str:
        """Return the key, or an older one while it is not replaced here."""
        waits = self._world.cloud.app.waits.find(CaseId(connection, "R-1")) is not None
        if waits or self.notes:
            self.notes.append(self._world.context.cases.get(CaseId(connection, "R-1")).record.note)
        self.wrong = waits and self._left > 0
        self._left -= self.wrong
        return super().api_key(connection, fresh=fresh)


def submitted(cloud: Cloud, connection: str, times: int) -> tuple[Replaced, dict[str, object]]:
    """Submit a case whose key is rejected that many times while it waits; return the keys and its result."""
    world = World(cloud, seconds=1.0)
    keys = world.keys = world.transport._keys = Replaced(world, times)
    return keys, world.submit(connection, "R-1", samples(FILES[connection]))


@pytest.mark.rule("security: make a rotation fail running cases")
@pytest.mark.parametrize("connection", FILES)
def test_case_waits_for_a_rotated_key(cloud: Cloud, connection: str) -> None:
    """A rejected poll delays the next one and shows a note; after the rotation the note is gone."""
    keys, result = submitted(cloud, connection, times=4)
    assert result["status"] == "completed"
    text = [note for note in keys.notes if note and "refused the API key" in note]
    assert text
    assert all(f"dossier secrets set {connection}" in note for note in text)
    assert keys.notes[-1] not in text


@pytest.mark.rule("security: make a rotation fail running cases")
@pytest.mark.parametrize("connection", FILES)
def test_key_that_stays_rejected_fails_the_case(cloud: Cloud, connection: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a while the case fails for that reason, and not as late as its deadline."""
    monkeypatch.setattr(poll, "REFUSED", timedelta(seconds=0.2))
    _, result = submitted(cloud, connection, times=10**6)
    assert result["status"] == "failed"
    assert "refused the API key" in str(result["reason"])
