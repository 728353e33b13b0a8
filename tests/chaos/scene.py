"""The scene of the deliveries: a deployment whose cases wait, and that only deliveries move."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from tests.chaos.deliveries import ACCOUNTS, Target
from tests.chaos.deployment import ROOT, Deployment
from tests.chaos.storm import Senders, Storm
from tests.chaos.tally import Tally, until

SEED = 20
CONNECTIONS = tuple(each.connection for each in ACCOUNTS)
SLOW = {"slow": {"rate": 1, "operation": "upload", "seconds": 5}}
OWN_KEYS = {
    "docustack": 'mode = "test"\nschema_id = "sch_xyz789"\norganization_id = "org_abc123"',
    "docsumo": 'casetype_id = "casetype__d1t5b"\ntrigger_workflow = true\ndone = { status = ["processed"] }',
    "ombudsman": 'tenant = "your_tenant_id"\ncase_type_id = "2b5b8bcd-3a0d-4a22-a5b9-53d4a58c1496"',
}


def connections() -> str:
    """Return the connections file: one for each scheme, polling so seldom that only deliveries count."""
    return "\n".join(
        f'[{each.connection}]\nvendor = "{each.vendor}"\nbase_url = "SANDBOX/{each.vendor}"\nallow_insecure = true\n'
        f"{OWN_KEYS[each.vendor]}\nwebhook = {each.webhook}\nlimits = {{ requests_per_second = 1000 }}\n"
        "poll = { first = 900, every = 900, max = 900, deadline = 7200 }\n"
        for each in ACCOUNTS
    )


@dataclass
class Scene:
    """The deployment, with cases that wait for deliveries. ``patience``: seconds in which cases have to move."""

    deployment: Deployment
    patience: float
    tally: Tally = field(init=False)
    senders: Senders = field(init=False)
    storm: Storm = field(default_factory=lambda: Storm(SEED))

    def __post_init__(self) -> None:
        """Set the webhook secrets; switch the vendors' webhooks off, and make the vendors fast."""
        self.tally = Tally(self.deployment)
        self.senders = Senders(self.deployment.outputs["webhook_urls"])
        client = self.deployment.client("secretsmanager")
        for account in ACCOUNTS:
            name = f"dossier/{account.connection}"
            secret = json.loads(client.get_secret_value(SecretId=name)["SecretString"])
            secret["webhook_secrets"] = [account.secret]
            client.put_secret_value(SecretId=name, SecretString=json.dumps(secret))
        unlimited = {"docsumo": None, "docustack": None}
        self.vendors(webhooks=False, rate_limits=unlimited, seconds=0, assessment_seconds=0, seed=SEED)

    def vendors(self, **settings: Any) -> None:
        """Change the sandbox's settings."""
        assert self.deployment.sandbox.post("/_sandbox/settings", json=settings).status_code == 200

    def submit(self, group: str, count: int, connections: Sequence[str] = CONNECTIONS) -> list[str]:
        """Start cases of one document each; return their references, ``<connection>-<group>-<number>``."""
        body = (ROOT / "events" / "documents" / "invoice.pdf").read_bytes()
        names = [f"{connection}-{group}-{number}" for connection in connections for number in range(count)]

        def start(name: str) -> None:
            self.deployment.submit(name.partition("-")[0], name, {f"{name}.pdf": body + f"\n% {name}".encode()})

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(start, names))
        return names

    def waiting(self, names: Sequence[str]) -> list[Target]:
        """Wait until cases wait; return the vendors' ids of them."""
        until(lambda: set(names) <= set(self.tally.waits()), self.patience, lambda: f"only {self.tally.waits()} wait")
        found = self.tally.targets()
        return [found[name] for name in names]

    @contextmanager
    def opening(self, count: int, connections: Sequence[str]) -> Iterator[list[Target]]:
        """Submit cases with one delivery each, sent before their upload is answered; yield those with a delivery."""
        events: list[Target] = []
        self.vendors(faults=SLOW)
        names = self.submit("new", count, connections)
        thread = threading.Thread(target=self._tell_early, args=(set(names), events))
        thread.start()
        try:
            yield events
        finally:
            thread.join()
        assert len(events) == len(names)

    def _tell_early(self, names: set[str], told: list[Target]) -> None:
        give_up = time.monotonic() + self.patience
        while names and time.monotonic() < give_up:
            found = [target for name, target in self.tally.targets().items() if name in names]
            names -= {target.reference for target in found}
            early = [replace(self.storm.about(target), kind="reordered", what="before its case") for target in found]
            self.senders.send(early)
            told += found
            time.sleep(0.1)

    def finish(self, targets: Sequence[Target]) -> None:
        """End cases whose vendors are done: one delivery about each, and one more about those that are assessed."""
        self.tell(targets)
        self.moved(targets)
        self.tell([target for target in targets if self.tally.statuses()[target.reference] != "completed"])
        self._until(targets, lambda status, _: status == "completed")

    def tell(self, targets: Sequence[Target]) -> None:
        """Send one delivery about each case."""
        self.senders.send([self.storm.about(target) for target in targets])

    def moved(self, targets: Sequence[Target]) -> None:
        """Wait until each case with a delivery is completed, or waits for an assessment without a delivery."""
        assessed = {each.connection for each in ACCOUNTS if each.vendor == "ombudsman"}

        def well(status: str, target: Target) -> bool:
            return status == "completed" or (status == "processing" and target.connection in assessed)

        self._until(targets, well)

    def _until(self, targets: Sequence[Target], well: Callable[[str, Target], bool]) -> None:
        def stuck() -> dict[str, str]:
            statuses = self.tally.statuses()
            found = {target.reference: (statuses.get(target.reference, "unknown"), target) for target in targets}
            return {name: status for name, (status, target) in found.items() if not well(status, target)}

        until(lambda: not stuck(), self.patience, lambda: f"not moved: {stuck()}")
