"""The shared parts of the sandbox: accounts, state, settings, journal, limits, faults and webhooks."""

import asyncio
import random
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path

from local.sandbox import accounts
from local.sandbox.accounts import Accounts
from local.sandbox.faults import Faults
from local.sandbox.journal import Journal
from local.sandbox.limits import Limits
from local.sandbox.manners import Manners
from local.sandbox.settings import SettingsKeeper
from local.sandbox.state import Store
from local.sandbox.webhooks import Webhooks


@dataclass
class Context:
    """The collaborators of one sandbox."""

    accounts: Accounts
    store: Store
    keeper: SettingsKeeper
    journal: Journal
    limits: Limits
    faults: Faults
    webhooks: Webhooks
    now: Callable[[], float]
    manners: Manners
    on_reset: list[Callable[[], None]] = field(default_factory=list)
    on_start: list[Callable[[], None]] = field(default_factory=list)
    operations: dict[str, list[str]] = field(default_factory=dict)
    """The operations of each vendor, by the names that fault rules use."""

    _late: set[asyncio.Task[None]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.on_reset.append(self.forget_late)

    def later(self, work: Coroutine[None, None, None]) -> None:
        """Run work in the background; a reset cancels it."""
        task = asyncio.get_running_loop().create_task(work)
        self._late.add(task)
        task.add_done_callback(self._late.discard)

    def forget_late(self) -> None:
        """Cancel the background work."""
        for task in self._late:
            task.cancel()

    def ready_at(self) -> float:
        """Return the time at which a document that arrives now is processed."""
        return self.now() + self.drawn(self.keeper.now.seconds)

    def drawn(self, seconds: float) -> float:
        """Return a processing time around ``seconds``: with ``spread`` 0.5, from half of it to one and a half."""
        spread = self.keeper.now.spread
        return seconds * random.uniform(1 - spread, 1 + spread) if spread else seconds  # noqa: S311 -- no secret


def build(state: Path | None = None, *, now: Callable[[], float] = time.time) -> Context:
    """Open the state folder (None: a temporary one) and create the context."""
    store = Store(state)
    keeper, journal, known = SettingsKeeper(store), Journal(store), accounts.load()
    faults = Faults(keeper)
    return Context(
        accounts=known,
        store=store,
        keeper=keeper,
        journal=journal,
        limits=Limits(keeper, now),
        faults=faults,
        webhooks=Webhooks(store, keeper=keeper, journal=journal, faults=faults, accounts=known, now=now),
        now=now,
        manners=Manners(faults, now),
    )
