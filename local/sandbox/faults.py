"""What goes wrong on purpose: rules with a rate, drawn from a seeded source, around any vendor's operation.

Around a request, at most one of:

- ``throttle``: 429 with Retry-After (seconds, or an HTTP date), and a pause of that key in which each call is a 429
- ``error_before``, ``error_after``: a 5xx, before the work or after it was done
- ``lost_before``, ``lost_after``: the connection is reset, before the work or after it was done
- ``late``: the connection is reset, and the work is done some time later
- ``truncated``: a download or a document's JSON is cut short
- ``html``: a page of HTML, with 200 or 502, in place of JSON
- ``stray_status``: a status that a gateway makes (404, 302, 307, 405, 409, 421, 423, 499, or 400), with a page of HTML,
  before the work or after it was done
- ``partial_content``: storage answers a download with a part (206, or 200 with ``Content-Range``), or with 204
- ``stored_gzip``: storage serves a download as Google's does an object that it stores packed: ``x-goog-hash`` is of the
  packed one, and the bytes are unpacked on the way, or packed
- ``odd_encoding``: an answer has a ``Content-Encoding`` that is none (``aws-chunked``, ``utf-8``, ``binary``,
  ``none``), or is packed as ``gzip, identity``; with ``form`` also ``br`` and the like
- ``expired_400``: storage calls the link expired, with Google's 400 ``ExpiredToken``, before its time
- ``long_text``: a status and an error text of 500 KB with control characters; where no status is asked for, a 503 whose
  message is as long
- ``retry_after``: 503 with Retry-After and a pause, as ``throttle``; or, in the form "hostile", with one that is none
- ``redirect``: a GET is sent elsewhere (to see whether the key goes along)

and ``slow``, the answer delayed, besides. Around a webhook: ``webhook_lost``, ``webhook_doubled``,
``webhook_reordered`` (delivered late, after later ones) and ``webhook_forged`` (one more, validly signed, about
something unfinished).

What a vendor has by nature (``manners``): of each upload it may be ``renamed`` (the file is kept under another name:
with ``form`` in one way, else in any of "blanks", "case", "percent", "ascii", "time", "mojibake", "ending") and
``listed_late`` (some seconds pass until lists have it). ``clock`` (all times are off by ``seconds``, which may be
negative, and hours) and ``zoneless`` (all times are local ones without a zone, of one that is ``seconds`` from UTC)
hold for all times of a vendor, from the first on; their rate says for which vendors.

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
"""Faults of downloads alone."""
ANSWERED = ("throttle", "html", "stray_status", "long_text", "retry_after")
"""Faults that downloads do not have: they are the APIs'."""
SAYS_STATUS = ("status", "list")
"""Operations whose answers are about how things stand, and are no artifacts."""
PAGE = "<!doctype html><title>Just a moment</title><h1>We'll be right back</h1>"


def _same(response: Response) -> Response:
    return response


@dataclass(frozen=True)
class Plan:
    """What happens to one request: an answer given in place of the work, or a change of the work's answer; a delay."""

    name: str | None = None
    before: Response | None = None
    after: Callable[[Response], Response] = _same
    pause: tuple[float, str] | None = None
    paused: int = 429
    """The status that announces the pause."""
    delay: float = 0.0
    late: float | None = None
    """Seconds until the work is done for which nobody waits any more."""


class Faults:
    """Draws faults by the rules in the settings."""

    def __init__(self, keeper: SettingsKeeper) -> None:
        self._keeper = keeper
        self._counts: Counter[tuple[str, str, str, str]] = Counter()

    def clear(self) -> None:
        """Begin every sequence of draws anew."""
        self._counts.clear()

    def plan(self, vendor: str, operation: str, *, method: str) -> Plan:
        """Decide what happens to a request."""
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
        """Return the rule of this name that strikes now, and dice for its details, or None."""
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
        """Return the seconds of a rule that holds for all that a vendor says, or None; else one of ``values``."""
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
    """Return the plan for an answer that is other than it should be; None for any other fault."""
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
        # at once, slow or not: the pause begins now, and the caller has to know
        return Plan(name, pause=(rule.seconds or 1.0, rule.form or dice.choice(["seconds", "date"])))
    statuses = {"html": (200, 502), "stray_status": STRAY}.get(name, (500, 502, 503, 504))
    done = rule.when or dice.choice(["before", "after"]) if name in ("html", "stray_status") else name[len("error_") :]
    status = rule.status or dice.choice(statuses)
    headers = {"location": "/storage/elsewhere"} if 300 <= status < 400 else None
    page = HTMLResponse(PAGE, status_code=status, headers=headers)
    return Plan(name, after=lambda _: page, delay=delay) if done == "after" else Plan(name, before=page, delay=delay)
