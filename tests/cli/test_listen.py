"""``dossier listen`` and ``dossier replay --forward``: deliveries to a program on this machine."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from cli.listen import EVENT_HEADER, ID_HEADER, local_url
from dossier.event_schema import json_schema
from dossier.models import now
from dossier.stores.evidence import id_of
from tests.cli.conftest import DOCUMENTS, Dossier

BODY = b'{"event": "document_completed", "document_id": "doc_1"}'


class Program:
    """A program under development: it remembers what it gets, and answers with the statuses that it is given.

    Its port is its own from the beginning; until ``start``, connections are refused.
    """

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[int] = []
        program = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                program.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
                self.send_response(program.answers.pop(0) if program.answers else 200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler, bind_and_activate=False)
        self._server.server_bind()
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}/hooks"

    def start(self) -> None:
        """Answer from now on."""
        self._server.server_activate()
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def program() -> Iterator[Program]:
    """Return a program that answers 200."""
    program = Program()
    program.start()
    yield program
    program.close()


def kept(dossier: Dossier, number: int, verdict: str = "accepted") -> str:
    """Store a delivery; return its id."""
    headers = {"x-docustack-signature": f"{number:02}", "content-type": "application/json", "host": "api.example.com"}
    return id_of(dossier.cloud.app.evidence.keep("invoices", verdict, BODY + str(number).encode(), headers))


def test_verified_deliveries_arrive_as_they_came(dossier: Dossier, program: Program) -> None:
    """Bytes and headers, in the order of arrival, each once; rejected ones and those before ``--since`` do not."""
    old = kept(dossier, 0)
    time.sleep(0.002)
    begin = now()
    ids = [kept(dossier, 1), kept(dossier, 2)]
    kept(dossier, 3, "refused")
    result = dossier("listen", "invoices", "--forward", program.url, "--since", begin.isoformat(), "--count", "2")
    assert result.exit_code == 0, result.stderr
    assert old not in result.stdout
    assert [line.split()[0] for line in result.stdout.splitlines()] == ids
    assert [body for _, body in program.got] == [BODY + b"1", BODY + b"2"]
    first, _ = program.got[0]
    assert (first[ID_HEADER], first["x-docustack-signature"]) == (ids[0], "01")
    assert first["host"] == f"127.0.0.1:{program.port}"


def test_a_delivery_arrives_while_somebody_listens(dossier: Dossier, program: Program) -> None:
    """Without ``--since``, what comes from then on; what the program answers is shown, and not tried again."""
    program.answers = [500]
    old, ended = kept(dossier, 0), threading.Event()

    def arrive() -> None:
        for number in count(1):
            if program.got or ended.wait(0.2):
                return
            kept(dossier, number)

    later = threading.Thread(target=arrive)
    later.start()
    result = dossier("listen", "invoices", "--forward", program.url, "--count", "1")
    ended.set()
    later.join()
    assert result.exit_code == 0, result.stderr
    assert old not in result.stdout
    assert result.stdout.split()[-1] == "500"
    assert len(program.got) == 1


def test_nothing_is_missed_while_the_program_does_not_answer(dossier: Dossier) -> None:
    """A delivery waits until the program is up again; those behind it wait for their turn."""
    late, begin = Program(), now() - timedelta(seconds=1)
    for number in (1, 2):
        kept(dossier, number)
    starter = threading.Timer(1.5, late.start)
    starter.start()
    result = dossier("listen", "invoices", "--forward", late.url, "--since", begin.isoformat(), "--count", "2")
    starter.join()
    late.close()
    assert result.exit_code == 0, result.stderr
    assert [body for _, body in late.got] == [BODY + b"1", BODY + b"2"]


def test_events_arrive_as_a_target_of_the_bus_gets_them(dossier: Dossier, program: Program) -> None:
    """Valid by the published schema, with its kind in a header; ``--only deliveries`` leaves them out."""
    begin = (now() - timedelta(seconds=1)).isoformat()
    submitted = dossier("submit", "invoices", str(DOCUMENTS / "invoice.pdf"), "--reference", "R-1")
    assert submitted.exit_code == 0, submitted.stderr
    words = ("listen", "invoices", "--forward", program.url, "--since", begin, "--count", "1")
    result = dossier(*words, "--only", "events", "--json")
    assert result.exit_code == 0, result.stderr
    [(headers, body)] = program.got
    event = json.loads(body)
    assert headers[EVENT_HEADER] == event["detail-type"] == json.loads(result.stdout)["what"] == "Case Completed"
    assert headers["content-type"] == "application/json"
    Draft202012Validator(json_schema()).validate({name: event[name] for name in ("source", "detail-type", "detail")})
    kept(dossier, 1)
    assert dossier(*words, "--only", "deliveries").exit_code == 0
    assert program.got[-1][1] == BODY + b"1"
    assert ID_HEADER in program.got[-1][0]


def test_nothing_is_sent_back_to_dossier(dossier: Dossier) -> None:
    """The stage's own webhook URL would receive its own deliveries in an endless loop."""
    [url] = [url for url in dossier.json("outputs")["webhook_urls"].values() if url.endswith("/invoices")]
    result = dossier("listen", "invoices", "--forward", url)
    assert result.exit_code == 2
    assert "own webhook URL" in result.stderr


def test_stored_deliveries_are_forwarded_by_id(dossier: Dossier, program: Program) -> None:
    """Rejected ones too, and nothing is applied; what the program does not take is an error."""
    good, bad = kept(dossier, 1), kept(dossier, 2, "refused")
    found = dossier.json("replay", good, bad, "--forward", program.url)["deliveries"]
    assert [(each["id"], each["status"], each["error"]) for each in found] == [(good, 200, None), (bad, 200, None)]
    assert dossier.cloud.messages("wake") == []
    for status in (422, 302):
        program.answers = [status]
        failed = dossier("replay", good, "--forward", program.url)
        assert failed.exit_code == 1
        assert f"1 of 1 deliveries were not taken: the program answered {status}" in failed.stderr


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://example.com/hooks", "would show deliveries to the network"),
        ("ftp://localhost/x", "is not a URL to forward to"),
        ("http://", "is not a URL to forward to"),
        ("http://localhost:port/", "is not a URL to forward to"),
        ("http://127.0.0.1.example.com/", "would show deliveries to the network"),
    ],
)
def test_deliveries_do_not_leave_in_the_clear(dossier: Dossier, url: str, says: str) -> None:
    """Plain http goes to this machine alone; another text is not a URL."""
    result = dossier("listen", "invoices", "--forward", url)
    assert result.exit_code == 2
    assert says in result.stderr


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("localhost:8000/hooks", "http://localhost:8000/hooks"),
        ("http://[::1]:9/", "http://[::1]:9/"),
        ("https://example.com/hooks", "https://example.com/hooks"),
    ],
)
def test_a_port_on_this_machine_is_a_url(text: str, url: str) -> None:
    """As people type it."""
    assert local_url(text) == url


def test_json_is_an_object_a_line(dossier: Dossier, program: Program) -> None:
    """A program can read along."""
    begin = now() - timedelta(seconds=1)
    ids = [kept(dossier, 1), kept(dossier, 2)]
    result = dossier(
        "listen", "invoices", "--forward", program.url, "--since", begin.isoformat(), "--count", "2", "--json"
    )
    assert [json.loads(line)["id"] for line in result.stdout.splitlines()] == ids
