"""docs/operate.md by symptom: the test causes each one in memory, and the page has the commands' output."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from dossier.errors import NeedsAttentionError
from dossier.models import CaseId
from dossier.settings import Poll
from dossier.steps.ask import ask
from dossier.steps.poll import poll
from dossier.steps.upload import upload
from dossier.steps.wait import wait
from dossier.stores.queues import WAKE
from tests.cli.conftest import Dossier
from tests.machine import ROOT, World

PAGE = (ROOT / "docs" / "operate.md").read_text(encoding="utf-8")
CASE = CaseId("invoices", "C-1")
_CHANGING = (
    (re.compile(r"\d+ % used"), "? % used"),  # of a second ago: it depends on how quick the test is
    (re.compile(r"\d{4}-\d\d-\d\d"), "DAY"),
    (re.compile(r"\b(\d\d-\d\d )?\d\d:\d\d(:\d\d)?(\.\d+)?\b"), "TIME"),  # with the day, if it is another
    (re.compile(r"\b\d+ polls? due"), "POLLS due"),  # a message may be delayed yet
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f-]{27}\b|\b[0-9A-Za-z]{20,}\b"), "ID"),
)


def same(line: str) -> str:
    """Return a line without times and ids, which change from run to run."""
    for pattern, word in _CHANGING:
        line = pattern.sub(word, line)
    return " ".join(line.split())


SHOWN = {same(line) for line in PAGE.splitlines()}


@pytest.fixture
def stage(asking: Dossier, invoice: Path) -> tuple[Dossier, World]:
    """A stage with one case that was accepted, and its steps over the sandbox, which takes an hour."""
    asking.whole = False
    asking("submit", "invoices", invoice, "--reference", "C-1")
    asking.tick()
    world = World(asking.cloud, seconds=3600)
    patient = Poll(first=0, every=5, max=60, deadline=3600)
    world.connections["invoices"] = world.connections["invoices"].model_copy(update={"poll": patient})
    return asking, world


def uploaded(world: World) -> None:
    """Upload the document, and wait for it."""
    upload(CASE, 0, context=world.context)
    wait(CASE, "documents", "token", context=world.context)


def polled(world: World) -> None:
    """Make the poll that is due."""
    waits = world.context.waits
    found = waits.find(CASE)
    assert found is not None
    waits.nudge(found)
    found = waits.find(CASE)
    assert found is not None
    poll(CASE, found.seq, context=world.context)


def down(dossier: Dossier, world: World) -> list[str]:
    """Every request fails."""
    uploaded(world)
    fault = {"name": "error_before", "rate": 1, "status": 503}
    assert world.sandbox.post("/_sandbox/settings", json={"faults": [fault]}).is_success
    for _ in range(3):
        polled(world)
    return ["explain C-1", "explain --connection invoices"]


def wrong_key(dossier: Dossier, world: World) -> list[str]:
    """The vendor refuses the key of a case that waits."""
    uploaded(world)
    world.keys.wrong = True
    polled(world)
    return ["explain C-1"]


def slow(dossier: Dossier, world: World) -> list[str]:
    """The vendor has not finished."""
    uploaded(world)
    polled(world)
    return ["explain C-1"]


def lost_answer(dossier: Dossier, world: World) -> list[str]:
    """The answer to an upload was lost, and no look-up can decide."""
    app = world.context
    app.intents.begin(CASE, "upload-0", names=["invoice.pdf"], known=[])
    app.intents.lost(CASE, "upload-0")
    error = NeedsAttentionError("the answer to the upload was lost, and the list has two new documents that may be it")
    ask(CASE, "upload-0", "token", f'{{"errorMessage": "{error}"}}', context=app)
    return ["explain C-1"]


def lost_webhook(dossier: Dossier, world: World) -> list[str]:
    """A case was completed, and no delivery came."""
    dossier.change(*CASE, status="completed")
    return ["explain --connection invoices"]


def dead_letter(dossier: Dossier, world: World) -> list[str]:
    """A poll message failed five times."""
    uploaded(world)
    sqs = dossier.cloud.session.client("sqs")
    url = sqs.get_queue_url(QueueName="dossier-dev-poll-invoices-dlq")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody='{"connection": "invoices", "reference": "C-1", "seq": 1}')
    return ["explain --connection invoices", "redrive"]


def poisoned(dossier: Dossier, world: World) -> list[str]:
    """A delivery failed five times in wake."""
    key = world.context.evidence.keep("invoices", "accepted", b'{"event": "document_completed"}', {})
    sqs = dossier.cloud.session.client("sqs")
    url = sqs.get_queue_url(QueueName=f"dossier-dev-{WAKE}-dlq")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody=f'{{"connection": "invoices", "delivery": "{key}"}}')
    return ["redrive"]


SYMPTOMS: dict[str, Callable[[Dossier, World], list[str]]] = {
    "A vendor is down": down,
    "The key is wrong": wrong_key,
    "A vendor is slow": slow,
    "An answer was lost": lost_answer,
    "A webhook was lost": lost_webhook,
    "Dead letters": dead_letter,
    "A delivery is poisoned": poisoned,
}


@pytest.mark.parametrize("title", SYMPTOMS)
def test_the_page_has_what_the_commands_print(stage: tuple[Dossier, World], title: str) -> None:
    """Word for word, but for times and ids; and the symptom has its section."""
    dossier, world = stage
    text = []
    for command in SYMPTOMS[title](dossier, world):
        result = dossier(*command.split())
        text.append(f"$ dossier {command}")
        text += [*result.stdout.splitlines(), *result.stderr.splitlines()]
    assert f"\n## {title}\n" in PAGE
    assert [line for line in text if line.strip() and same(line) not in SHOWN] == []


def test_the_page_has_every_symptom() -> None:
    """These, and the ones that other tests bring about: a pause and a budget."""
    titles = set(re.findall(r"^## (.+)$", PAGE, re.MULTILINE))
    assert titles == {*SYMPTOMS, "A vendor must be left alone", "A budget is reached", "Nothing explains it"}


def test_the_fix_of_a_wrong_key_works(stage: tuple[Dossier, World]) -> None:
    """The case continues at its next poll."""
    dossier, world = stage
    wrong_key(dossier, world)
    world.keys.wrong = False
    polled(world)
    assert dossier("explain", "C-1").stdout.startswith("invoices / C-1 is waiting: DocuStack has not finished")


def test_the_fix_of_dead_letters_works(stage: tuple[Dossier, World]) -> None:
    """They are deleted, or go back to their queue."""
    dossier, world = stage
    dead_letter(dossier, world)
    result = dossier("redrive", "--cause", "dead letters of queue poll-invoices", "--dismiss")
    assert result.exit_code == 0, result.stderr
    assert "0 dead letters" in dossier("explain", "--connection", "invoices").stdout
