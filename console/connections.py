"""The connections: their health, limits, pauses, keys, budgets, and how the vendors' answers drift."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

from botocore.exceptions import BotoCoreError, ClientError
from starlette.requests import Request
from starlette.responses import Response

from cli.delivery_report import found_of
from cli.errors import explain
from cli.explain import account
from cli.text import to_json
from console.desk import Desk, NotFoundError
from dossier import vendors
from dossier.errors import DossierError
from dossier.models import now
from dossier.settings import Budget
from dossier.steps.drifting import Drifting, drifting
from dossier.steps.explain import Account
from dossier.stores.budgets import Spent
from dossier.stores.secrets import SecretState

DRIFT_CASES = 20
"""Latest cases whose answers are compared with the vendor's guide."""
_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Key:
    """The facts about a connection's secret, or the reason why they are unknown."""

    state: SecretState | None
    problem: str = ""

    @property
    def days(self) -> int | None:
        """The age of the secret in days."""
        at = self.state.set_at if self.state else None
        return None if at is None else (now() - at).days


@dataclass(frozen=True, slots=True)
class Used:
    """Today's use of a connection's budget."""

    limit: Budget
    spent: Spent

    def rows(self) -> list[tuple[str, int, int]]:
        """Return the limits: name, use and limit of each."""
        found = (
            ("cases today", self.spent.cases, self.limit.cases_per_day),
            ("pages today", self.spent.pages, self.limit.pages_per_day),
        )
        return [(name, used, most) for name, used, most in found if most is not None]


def accounts(desk: Desk) -> list[Account]:
    """Return the state of each deployed connection, at most seconds old."""

    def read() -> list[Account]:
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return list(pool.map(lambda name: account(desk.where, name), desk.where.connections))

    return desk.accounts.get("", read)


def key_of(desk: Desk, connection: str) -> Key:
    """Return the facts about a connection's secret."""
    try:
        return Key(desk.app.secrets.state(connection))
    except (DossierError, ClientError, BotoCoreError) as error:
        return Key(None, explain(error).message)


def used(desk: Desk, connection: str) -> Used | None:
    """Return today's use of a connection's budget; None without one."""
    settings = desk.settings.get(connection)
    if settings is None or not settings.budget.limited:
        return None
    return Used(settings.budget, desk.app.cases.budgets.spent(connection))


def index(desk: Desk, request: Request) -> Response:
    """Return the page with all connections."""
    found = accounts(desk)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        keys = list(pool.map(lambda each: key_of(desk, each.connection), found))
    rows = [(each, key, used(desk, each.connection)) for each, key in zip(found, keys, strict=True)]
    return desk.page(request, "connections.html", rows=rows)


def one(desk: Desk, request: Request) -> Response:
    """Return the page of one connection."""
    name = request.path_params["connection"]
    if name not in desk.connections():
        raise NotFoundError(f"there is no connection {name}")
    found = account(desk.where, name)
    deployed = name in desk.where.connections
    drift, problem = None, ""
    if request.query_params.get("drift"):
        drift, problem = _drift(desk, name)
    standing = found.standing
    return desk.page(
        request,
        "connection.html",
        name=name,
        account=found,
        reasons=found.reasons(),
        key=key_of(desk, name) if deployed else None,
        used=used(desk, name),
        settings=desk.settings.get(name),
        url=desk.where.webhook_urls.get(name),
        drift=drift,
        problem=problem,
        holds=_spans(found)[-10:],
        deployed=deployed,
        hold=standing.hold,
    )


def report(desk: Desk, request: Request) -> Response:
    """Return the report about a connection's webhooks that its vendor's support needs, as a file."""
    name = request.path_params["connection"]
    found = found_of(desk.where, name, since=None)
    headers = {"content-disposition": f'attachment; filename="webhooks-{name}.json"'}
    return Response(to_json(found), media_type="application/json", headers=headers)


def _spans(found: Account) -> list[tuple[datetime, datetime | None, str, str]]:
    return [(each.since, each.until, each.by, each.reason) for each in found.standing.holds]


def _drift(desk: Desk, name: str) -> tuple[Drifting | None, str]:
    settings = desk.settings.get(name)
    if settings is None:
        return None, f"[{name}] is not in the connections file of this machine: name its file in DOSSIER_CONNECTIONS."
    return drifting(name, vendors.vendor(settings), since=None, limit=DRIFT_CASES, context=desk.app), ""
