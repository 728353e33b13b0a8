"""The context of a page: the deployment, the session, the templates, and the trail of actions."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from itertools import count
from pathlib import Path
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from cli.deployed import settings_of
from cli.target import Target
from cli.text import duration, local, size, when
from console.audit import Trail
from console.markdown import rendered
from console.security import Session
from console.words import STATUSES, ago, coded, filename, percent, subject, usd, zone
from dossier.models import iso
from dossier.settings import Connection
from dossier.steps.context import Context
from dossier.steps.explain import Account
from dossier.texts import block, counted

if TYPE_CHECKING:
    from console.bulk import Jobs
    from console.cases import Listed
    from console.costs import Counting

HERE = Path(__file__).parent
HTMX = HERE.parent / "node_modules" / "htmx.org" / "dist" / "htmx.min.js"
"""Where ``make setup`` puts it (package.json pins it); without it pages do not refresh by themselves."""
MOST_ANSWERS = 100
"""Pages that have answered an action, which can be loaded again."""
_T = TypeVar("_T")


class NotFoundError(Exception):
    """There is no such page."""


class Kept(Generic[_T]):
    """A cached value that takes long to read; one thread reads it again once it is older than ``seconds``."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._lock = Lock()
        self._found: dict[object, tuple[float, _T]] = {}

    def last(self, key: object) -> _T | None:
        """Return the value of the last read, however old; None before the first."""
        found = self._found.get(key)
        return None if found is None else found[1]

    def soon(self, key: object, read: Callable[[], _T], *, most: float) -> tuple[_T, bool]:
        """Return the value at once, and whether it is fresh; an old one is read again in the background meanwhile.

        One that is older than ``most`` seconds, or from before ``forget``, is read first.
        """
        found = self._found.get(key)
        age = None if found is None else time.monotonic() - found[0]
        if found is None or age is None or age > most:
            return self.get(key, read), True
        if age <= self._seconds:
            return found[1], True
        if not self._lock.locked():
            Thread(target=self._again, args=(key, read), daemon=True).start()
        return found[1], False

    def _again(self, key: object, read: Callable[[], _T]) -> None:
        """Read a value again; if that fails, drop it: the next one who asks reads it, and gets the error."""
        try:
            self.get(key, read)
        except Exception:  # noqa: BLE001 -- it is raised where somebody sees it
            with self._lock:
                self._found.pop(key, None)

    def forget(self) -> None:
        """Drop every value, because its source has changed."""
        with self._lock:
            self._found.clear()

    def get(self, key: object, read: Callable[[], _T]) -> _T:
        """Return the value, read again if it is old."""
        with self._lock:
            found = self._found.get(key)
            if found is None or time.monotonic() - found[0] > self._seconds:
                found = self._found[key] = (time.monotonic(), read())
            return found[1]


@dataclass
class Desk:
    """One run of the console.

    Attributes:
        where: the deployment.
        session: the secrets of this run.
        trail: the trail of actions.
        places: the paths of the pages, for the navigation.

    """

    where: Target
    session: Session
    trail: Trail
    places: Collection[str] = ()
    _outcomes: dict[str, str] = field(default_factory=dict)
    _answers: dict[str, Response] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    @cached_property
    def app(self) -> Context:
        """What the steps work with; it also sends messages, which the deployment's own context does not."""
        return self.where.app.replacing(queues=self.where.queues)

    @cached_property
    def jobs(self) -> Jobs:
        """The bulk actions of this run."""
        from console.bulk import Jobs  # noqa: PLC0415 -- it needs the desk

        return Jobs()

    def changed(self) -> None:
        """Drop the caches, because an operator has changed their sources."""
        self.lists.forget()
        self.accounts.forget()

    def say(self, line: str) -> str:
        """Store an action's outcome for the next page, which shows it once; return its number."""
        number = str(next(self._numbers))
        self._outcomes[number] = line
        return number

    def keep(self, answer: Response) -> str:
        """Store the page that answers an action, so that it has a URL; return its id."""
        own = secrets.token_hex(8)
        self._answers[own] = answer
        while len(self._answers) > MOST_ANSWERS:
            self._answers.pop(next(iter(self._answers)), None)
        return own

    def kept(self, own: str) -> Response:
        """Return the page that has answered an action.

        Raises:
            NotFoundError: it is from another run, or newer pages have replaced it.

        """
        answer = self._answers.get(own)
        if answer is None:
            raise NotFoundError("this page has expired: begin the action again")
        return answer

    @cached_property
    def counting(self) -> Counting:
        """The months whose cost is counted."""
        from console.costs import Counting  # noqa: PLC0415 -- it needs the desk

        return Counting()

    @cached_property
    def accounts(self) -> Kept[list[Account]]:
        """The states of the connections, at most seconds old."""
        return Kept(5)

    @cached_property
    def lists(self) -> Kept[Listed]:
        """The first pages of the list, as of the last seconds."""
        return Kept(2)

    @cached_property
    def counts(self) -> Kept[Counter[str]]:
        """How many cases there are of each status, as of the last seconds."""
        return Kept(10)

    @cached_property
    def _settings(self) -> Kept[dict[str, Connection]]:
        return Kept(10)

    @property
    def settings(self) -> dict[str, Connection]:
        """The connections' settings by name, as far as this machine has their file."""
        return self._settings.get("", lambda: settings_of(self.where))

    @cached_property
    def templates(self) -> Environment:
        """The templates. Each text that they print is escaped, and has no control characters or marks of direction."""
        made = Environment(
            loader=FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            finalize=_shown,
        )
        made.filters |= {
            "ago": ago,
            "code": coded,
            "counted": counted,
            "duration": duration,
            "filename": filename,
            "iso": _iso,
            "local": local,
            "markdown": rendered,
            "percent": percent,
            "size": size,
            "subject": subject,
            "usd": usd,
            "when": when,
        }
        made.globals |= {
            "csrf": self.session.csrf,
            "statuses": STATUSES,
            "stage": self.where.stage,
            "place": "the local AWS" if self.where.endpoint_url else self.where.region,
            "who": self.trail.who,
            "assets": _digest(),
            "live": HTMX.is_file(),
            "pages_there": self.places,
            "zone": zone,
        }
        return made

    def page(self, request: Request, template: str, status: int = 200, **values: Any) -> Response:
        """Return a page."""
        text = self.templates.get_template(template).render(
            path=request.url.path,
            query=request.url.query,
            done=self._outcomes.pop(request.query_params.get("done", ""), ""),
            **values,
        )
        return HTMLResponse(text, status)

    def connections(self) -> list[str]:
        """Return all connections, including those that were removed and still have cases."""
        return self.where.with_cases(None)

    def warm(self) -> None:
        """Create the objects that the server's threads share, before they need them."""
        app = self.app
        _ = (app.cases, app.objects, app.evidence, app.executions, app.limiter, app.waits, app.intents, app.refreshes)
        _ = (app.verdicts, app.batches, app.batch_runs, app.secrets, self.where.dead_letters, self.templates)


def _shown(value: object) -> object:
    return block(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _iso(at: datetime | str | None) -> str:
    return iso(at) if isinstance(at, datetime) else at or ""


def _digest() -> str:
    """Return a digest of the files that pages load, so that a browser caches them until they change."""
    digest = hashlib.sha256()
    for file in (*sorted((HERE / "static").iterdir()), HTMX):
        digest.update(file.read_bytes() if file.is_file() else b"")
    return digest.hexdigest()[:12]


def first(values: Mapping[str, str], name: str) -> str | None:
    """Return a value of a form or a query; None if it is missing or blank."""
    return (values.get(name) or "").strip() or None
