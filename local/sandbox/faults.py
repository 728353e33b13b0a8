"""Faults: rules with a rate, drawn from a seeded source, for any operation of a vendor.

A request has at most one of:

- ``throttle``: 429 with Retry-After (seconds, or an HTTP date), and a pause of that key in which each call gets a 429
- ``error_before``, ``error_after``: a 5xx, before the work or after it was done
- ``lost_before``, ``lost_after``: the connection is reset, before the work or after it was done
- ``late``: the connection is reset, and the work is done some time later
- ``truncated``: a download or a document's JSON is cut short
- ``html``: an HTML page, with 200 or 502, in place of JSON
- ``stray_status``: a status of a gateway (404, 302, 307, 405, 409, 421, 423, 499, or 400), with an HTML page, before
  the work or after it was done
- ``partial_content``: storage answers a download with a part (206, or 200 with ``Content-Range``), or with 204
- ``stored_gzip``: storage serves a download as Google's serves an object that it stores compressed: ``x-goog-hash`` is
  the compressed one's, and the bytes are decompressed on the way, or not
- ``odd_encoding``: an answer has an invalid ``Content-Encoding`` (``aws-chunked``, ``utf-8``, ``binary``, ``none``), or
  is compressed as ``gzip, identity``; with ``form`` also ``br`` and the like
- ``expired_400``: storage reports the link as expired, with Google's 400 ``ExpiredToken``, too early
- ``long_text``: a status and an error text of 500 KB with control characters; for an operation without a status, a 503
  with such a message
- ``retry_after``: 503 with Retry-After and a pause, as ``throttle``; in the form "hostile" with an invalid Retry-After
- ``redirect``: a GET is redirected (which shows whether the client sends the key along)

and can be ``slow`` (delayed) besides. A webhook can be ``webhook_lost``, ``webhook_doubled``, ``webhook_reordered``
(delivered late, after later ones) and ``webhook_forged`` (another one, with a valid signature, about something
unfinished).

Habits of a vendor (``manners``): an upload may be ``renamed`` (stored under another name: ``form`` gives the way, else
any of "blanks", "case", "percent", "ascii", "time", "mojibake", "ending") and ``listed_late`` (lists omit it for some
seconds). ``clock`` (all times are off by ``seconds``, which may be negative, and hours) and ``zoneless`` (all times are
local, ``seconds`` from UTC, without a zone) apply to all times of a vendor from the start; their rate selects vendors.

The draw for the n-th call of an operation depends only on the seed, the rule and n.
"""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from starlette.responses import HTMLResponse, RedirectResponse, Response

from local.sandbox import odd
from local.sandbox.settings import FaultRule, SettingsKeeper
from local.sandbox.wire import CutShort, Dropped

EXCLUSIVE = (
    "throttle",
    "error_before",
    "error_after",
    "lost_before",
    "lost_after",
    "late",
    "truncated",
    "html",
    "stray_status",
    "partial_content",
    "stored_gzip",
    "odd_encoding",
    "expired_400",
    "long_text",
    "retry_after",
    "redirect",
)
STRAY = (404, 302, 307, 405, 409, 421, 423, 499, 400)
"""Statuses of ``stray_status``."""
CUTTABLE = ("download", "document")
STORAGE = ("partial_content", "stored_gzip", "expired_400")
"""Faults only of downloads."""
ANSWERED = ("throttle", "html", "stray_status", "long_text", "retry_after")
"""Faults only of the APIs, not of downloads."""
SAYS_STATUS = ("status", "list")
"""Operations whose answers have a status and are not artifacts."""
PAGE = "<!doctype html><title>Just a moment</title><h1>We'll be right back</h1>"


def _same(response: Response) -> Response:
    return response


@dataclass(frozen=True)
class Plan:
    """The fault of one request: an answer in place of the work, or a change of the work's answer; a delay."""

    name: str | None = None
    before: Response | None = None
    after: Callable[[Response], Response] = _same
    pause: tuple[float, str] | None = None
    paused: int = 429
    """The status that announces the pause."""
    delay: float = 0.0
    late: float | None = None
    """Seconds until the work is done, after the connection is gone."""


class Faults:
    """Draws faults, by the rules in the settings."""

    def __init__(self, keeper: SettingsKeeper) -> None:
        self._keeper = keeper
        self._counts: Counter[tuple[str, str, str, str]] = Counter()

    def clear(self) -> None:
        """Restart every sequence of draws."""
        self._counts.clear()

    def plan(self, vendor: str, operation: str, *, method: str) -> Plan:
        """Draw the fault of a request."""
        delay, slow = 0.0, self.strikes("slow", vendor, operation)
        if slow:
            delay = _delay(*slow)
        for name in EXCLUSIVE:
            if not _possible(name, operation, method):
                continue
            if struck := self.strikes(name, vendor, operation):
                return _odd(*struck, operation, delay) or _plan(*struck, delay=delay)
        return Plan(name="slow" if slow else None, delay=delay)

    def strikes(self, name: str, vendor: str, operation: str) -> tuple[FaultRule, random.Random] | None:
        """Draw a fault; return its rule and a random source for the details, or None."""
        for index, rule in enumerate(self._keeper.now.faults):
            if rule.name != name or rule.vendor not in (None, vendor) or rule.operation not in (None, operation):
                continue
            if rule.times == 0:
                continue
            key = (str(index), name, vendor, operation)
            self._counts[key] += 1
            dice = random.Random(f"{self._keeper.now.seed}/{key}/{self._counts[key]}")  # noqa: S311 # not a secret
            if dice.random() < rule.rate:
                self._use(rule)
                return rule, dice
        return None

    def stands(self, name: str, vendor: str, values: Sequence[float]) -> float | None:
        """Return the seconds of a rule for all answers of a vendor, or one of ``values``; None without a rule."""
        for index, rule in enumerate(self._keeper.now.faults):
            if rule.name == name and rule.vendor in (None, vendor):
                dice = random.Random(f"{self._keeper.now.seed}/{index}/{name}/{vendor}")  # noqa: S311 # not a secret
                if dice.random() < rule.rate:
                    return dice.choice(values) if rule.seconds is None else rule.seconds
        return None

    def _use(self, rule: FaultRule) -> None:
        if rule.times is not None:
            rule.times -= 1
            self._keeper.save()


def _possible(name: str, operation: str, method: str) -> bool:
    if name == "truncated":
        return operation in CUTTABLE
    if name == "redirect":
        return method == "GET" and operation != "download"
    if name == "late":
        return method != "GET"
    return name not in ANSWERED if operation == "download" else name not in STORAGE


def _delay(rule: FaultRule, dice: random.Random) -> float:
    return dice.uniform(0.2, 1.0) * (2.0 if rule.seconds is None else rule.seconds)


def _odd(rule: FaultRule, dice: random.Random, operation: str, delay: float) -> Plan | None:
    """Return the plan for a malformed answer; None for any other fault."""
    name, form = rule.name, str(rule.form or "")
    before: Response | None = None
    after: Callable[[Response], Response] = _same
    if name == "partial_content":
        after = partial(odd.part_of, status=rule.status or dice.choice(odd.PARTS))
    elif name == "stored_gzip":
        after = partial(odd.stored_packed, form=form or dice.choice(["packed", "unpacked"]))
    elif name == "odd_encoding":
        after = partial(odd.encoded, encoding=form or dice.choice(odd.ENCODINGS))
    elif name == "expired_400":
        before = odd.expired()
    elif name == "long_text" and operation in SAYS_STATUS and rule.status is None:
        after = odd.long_status
    elif name == "long_text":
        before = odd.long_refusal(rule.status or 503)
    elif name == "retry_after" and (form := form or dice.choice(["seconds", "date", "hostile"])) != "hostile":
        return Plan(name, pause=(rule.seconds or 1.0, form), paused=503)
    elif name == "retry_after":
        before = odd.unavailable(dice)
    else:
        return None
    return Plan(name, before=before, after=after, delay=delay)


def _plan(rule: FaultRule, dice: random.Random, *, delay: float) -> Plan:
    name = rule.name
    if name == "late":
        return Plan(name, late=_delay(rule, dice))
    fixed = {
        "lost_before": Plan(name, before=Dropped(), delay=delay),
        "lost_after": Plan(name, after=lambda _: Dropped(), delay=delay),
        "truncated": Plan(name, after=CutShort, delay=delay),
        "redirect": Plan(name, before=RedirectResponse("/storage/elsewhere", status_code=302), delay=delay),
    }
    if name in fixed:
        return fixed[name]
    if name == "throttle":
        # without a delay: the pause begins now, and the caller must know
        return Plan(name, pause=(rule.seconds or 1.0, rule.form or dice.choice(["seconds", "date"])))
    statuses = {"html": (200, 502), "stray_status": STRAY}.get(name, (500, 502, 503, 504))
    done = rule.when or dice.choice(["before", "after"]) if name in ("html", "stray_status") else name[len("error_") :]
    status = rule.status or dice.choice(statuses)
    headers = {"location": "/storage/elsewhere"} if 300 <= status < 400 else None
    page = HTMLResponse(PAGE, status_code=status, headers=headers)
    return Plan(name, after=lambda _: page, delay=delay) if done == "after" else Plan(name, before=page, delay=delay)
