"""A separate deployment for the fault suite: local AWS, sandbox, and both under attack."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import httpx

from dossier.models import CaseId, CaseInput
from dossier.steps.identity import execution_name, fingerprint
from local import control
from local.home import Home
from tests import commands

ROOT = Path(__file__).parents[2]
VENDORS = {"invoices": "docustack", "claims": "docsumo", "disputes": "ombudsman"}
"""The vendor of each connection that ships."""


def free_port() -> int:
    """Return a port of the loopback that nobody uses right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Deployment:
    """A running deployment, as the tests use it."""

    environment: dict[str, str]
    outputs: dict[str, Any]
    sandbox: httpx.Client
    more: list[httpx.Client] = field(default_factory=list)
    """Further sandboxes, each with its own accounts; the connections there end in ``-2``, ``-3`` and so on."""
    session: boto3.Session = field(init=False)

    def __post_init__(self) -> None:
        self.session = boto3.Session("test", "test", region_name=self.outputs["region"])

    def client(self, service: str) -> Any:
        """Return a boto3 client of the local AWS."""
        return self.session.client(service, endpoint_url=self.outputs["endpoint_url"])  # type: ignore[call-overload]

    def dossier(self, *arguments: str) -> Any:
        """Run a command and return its JSON answer."""
        done = commands.run([*arguments, "--json"], environment=self.environment, folder=ROOT)
        assert done.code == 0, done.stderr
        return json.loads(done.stdout)

    def cases(self) -> list[dict[str, Any]]:
        """Return every case, as ``dossier list`` shows it."""
        answer = self.dossier("list", "--limit", "10000")
        return list(answer["cases"] if isinstance(answer, dict) else answer)

    def submit(self, connection: str, reference: str, files: Mapping[str, bytes], **rest: Any) -> str:
        """Start a case as the CLI does, without a process for each; return the execution's ARN."""
        s3, names = self.client("s3"), sorted(files)
        documents = []
        for name in names:
            key = f"staging/{connection}/{reference}/{name}"
            s3.put_object(Bucket=self.outputs["bucket"], Key=key, Body=files[name])
            documents.append({"uri": f"s3://{self.outputs['bucket']}/{key}", "name": name})
        case = {"connection": connection, "reference": reference, "documents": documents, **rest}
        digest = fingerprint(CaseInput.parse(case), [(name, name) for name in names])
        started = self.client("stepfunctions").start_execution(
            stateMachineArn=self.outputs["state_machine_arn"],
            name=execution_name(CaseId(connection, reference), digest),
            input=json.dumps(case),
        )
        return str(started["executionArn"])

    def journal(self) -> list[dict[str, Any]]:
        """Return the vendors' own journal, oldest first."""
        found = [entry for sandbox in (self.sandbox, *self.more) for entry in _journal(sandbox)]
        return sorted(found, key=lambda entry: float(entry["at"]))

    def sandbox_of(self, connection: str) -> httpx.Client:
        """Return the sandbox of a connection, by the number at the end of its name."""
        number = connection.rpartition("-")[2]
        return self.more[int(number) - 2] if number.isdecimal() else self.sandbox

    def vendors(self, *, seed: int = 0, **settings: Any) -> None:
        """Change the settings of every sandbox; with a seed, each has another one."""
        for number, sandbox in enumerate((self.sandbox, *self.more)):
            own = settings | ({"seed": seed + number} if seed else {})
            assert sandbox.post("/_sandbox/settings", json=own).status_code == 200

    @property
    def home(self) -> Path:
        """Where the deployment keeps its files."""
        return Path(self.environment["DOSSIER_HOME"])

    def pid(self, server: str) -> int:
        """Return the process of ``local_aws`` or ``sandbox``."""
        return int(json.loads((self.home / "local.json").read_text())[server]["pid"])

    def restart_sandbox(self) -> None:
        """Kill the sandbox and start it again on its state three seconds later, as a vendor's outage does."""
        os.kill(self.pid("sandbox"), signal.SIGKILL)
        time.sleep(3)
        home = Home.from_environment(self.environment)
        state = home.load()
        assert state is not None
        control.with_sandbox(home, state, lambda line: None)


def _journal(sandbox: httpx.Client) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = []
    while True:
        after = entries[-1]["id"] if entries else 0
        page = sandbox.get("/_sandbox/journal", params={"after": after, "limit": 1000}).json()["entries"]
        if not page:
            return entries
        entries += page


@contextmanager
def deployed(home: Path, connections: str = "") -> Iterator[Deployment]:
    """Start a deployment on free ports, and stop it afterwards.

    ``connections`` is the text of a connections file to deploy in place of the repository's own, with ``SANDBOX`` for
    the sandbox's address.
    """
    environment = {
        **os.environ,
        "DOSSIER_HOME": str(home),
        "DOSSIER_LOCAL_SAVE_SECONDS": "3600",  # what is here is lost anyway
        "DOSSIER_LOCAL_PORT": str(free_port()),
        "DOSSIER_SANDBOX_PORT": str(free_port()),
    }
    environment.pop("DOSSIER_CONNECTIONS", None)
    if connections:
        file = home.with_name("connections.toml")
        file.write_text(connections.replace("SANDBOX", f"http://127.0.0.1:{environment['DOSSIER_SANDBOX_PORT']}"))
        environment["DOSSIER_CONNECTIONS"] = str(file)

    try:
        up = commands.run(["up", "--json"], environment=environment, folder=ROOT)
        assert up.code == 0, up.stderr
        outputs = json.loads(up.stdout)
        with httpx.Client(base_url=f"http://127.0.0.1:{environment['DOSSIER_SANDBOX_PORT']}", timeout=60) as sandbox:
            yield Deployment(environment, outputs, sandbox)
    finally:
        commands.run(["down"], environment=environment, folder=ROOT)


@contextmanager
def further_sandboxes(folder: Path, count: int) -> Iterator[list[httpx.Client]]:
    """Run more sandboxes beside the deployment's own, each with its own journal and accounts."""
    with ExitStack() as stack:
        found = []
        for number in range(count):
            port, state = free_port(), folder / f"sandbox-{number + 2}"
            command = [sys.executable, "-m", "local.sandbox", "--port", str(port), "--state", str(state)]
            process = stack.enter_context(subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL))
            stack.callback(process.terminate)
            found.append(stack.enter_context(httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60)))
            give_up = time.monotonic() + 60
            while not _answers(found[-1]):
                assert time.monotonic() < give_up, "a sandbox does not answer"
                time.sleep(0.1)
        yield found


def _answers(sandbox: httpx.Client) -> bool:
    try:
        return sandbox.get("/_sandbox/settings").status_code == 200
    except httpx.TransportError:
        return False


def connect(deployment: Deployment) -> None:
    """Give the connections at further sandboxes their keys, and register their webhooks, as ``dossier up`` does."""
    client = deployment.client("secretsmanager")
    for number, sandbox in enumerate(deployment.more):
        for kind, vendor in VENDORS.items():
            name = f"{kind}-{number + 2}"
            secret = client.get_secret_value(SecretId=f"dossier/{kind}")["SecretString"]
            client.put_secret_value(SecretId=f"dossier/{name}", SecretString=secret)
            if url := deployment.outputs["webhook_urls"].get(name):
                answer = sandbox.post("/_sandbox/webhooks", json={"vendor": vendor, "url": url})
                assert answer.status_code < 300, answer.text


@contextmanager
def killing(home: Path, *, every: float, seed: int) -> Iterator[list[int]]:
    """Kill a function's process at random, ``every`` so many seconds; yields the list of those killed."""
    stop, killed = threading.Event(), []
    server = json.loads((home / "local.json").read_text())["local_aws"]["pid"]
    choose = random.Random(seed)

    def strike() -> None:
        while not stop.wait(every):
            workers = children(server)
            if workers:
                victim = choose.choice(workers)
                os.kill(victim, signal.SIGKILL)
                killed.append(victim)

    thread = threading.Thread(target=strike)
    thread.start()
    try:
        yield killed
    finally:
        stop.set()
        thread.join()


def children(pid: int) -> list[int]:
    """Return the processes that a process, or its children, have started and that have none of their own, from /proc.

    Environments are forked from a template (``local/aws/template.py``), which is a child of the server.
    """
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, task.read_text().split()):
            found += children(child) or [child]
    return sorted(set(found))
