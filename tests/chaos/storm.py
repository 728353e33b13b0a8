"""The storm: thousands of deliveries of every kind in an order drawn from a seed, sent by several senders at once."""

from __future__ import annotations

import dataclasses
import http.client
import itertools
import random
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import urlsplit

from tests.chaos.deliveries import ACCEPTED, ACCOUNTS, REFUSED, TOO_LARGE, Account, Delivery, Target, prove, words
from tests.chaos.forgeries import forge
from tests.chaos.malformed import CONTENT_TYPES, malformed

SENDERS = 8
BURST = 12
"""How often a delivery is replayed in a row, so that the senders send it at once."""
LARGEST = 10 * 1024 * 1024
EVENTS = (
    "document_completed",
    "job_completed",
    "job_failed",
    "document_failed",
    "stage_changed",
    "case_processed",
    "?",
)
SHARES = {"forged": 0.3, "malformed": 0.13, "reordered": 0.09, "large": 0.012, "too large": 0.004}
"""Of all deliveries; as many again as a quarter are replays, and the rest are valid."""


@dataclass(frozen=True, slots=True)
class Answered:
    """A delivery with its answer: the status (0: none came) and after how many seconds."""

    delivery: Delivery
    status: int
    seconds: float


class Storm:
    """Plans deliveries: everything about one is drawn from the seed, but for the time that it is signed with."""

    def __init__(self, seed: int) -> None:
        self._dice = random.Random(seed)
        self._numbers = itertools.count(1)
        self._order: list[int] = []

    def plan(
        self, count: int, *, once: Sequence[Target], early: Sequence[Target], ended: Sequence[Target]
    ) -> list[Delivery]:
        """Plan ``count`` deliveries, in the order in which they are sent.

        Exactly one valid delivery is about each case of ``once``; many are about those of ``early``, which their
        vendors still process, and of ``ended``.
        """
        text = {kind: max(len(ACCOUNTS), round(count * share)) for kind, share in SHARES.items()}
        everyone = [*once, *early, *ended]
        planned = [self.about(target) for target in once]
        planned += [self._forged(everyone) for _ in range(text["forged"])]
        planned += [self._malformed(turn) for turn in range(text["malformed"])]
        planned += [
            dataclasses.replace(self.about(self._dice.choice(early)), kind="reordered", what="before it is true")
            for _ in range(text["reordered"])
        ]
        planned += [self._large() for _ in range(text["large"])]
        planned += [self._too_large(turn) for turn in range(text["too large"])]
        replays = count // 4
        valid = [self._valid(ended) for _ in range(max(1, count - len(planned) - replays))]
        self._dice.shuffle(planned := planned + valid)
        return self._with_replays(planned, valid, [each for each in planned if each.kind == "forged"], replays)

    def about(self, target: Target, *, padding: int = 0, content_type: str | None = "application/json") -> Delivery:
        """Return a valid delivery about a case."""
        return self._delivery(_account(target.connection), target, padding=padding, content_type=content_type)

    def _delivery(self, account: Account, target: Target | None, *, padding: int, content_type: str | None) -> Delivery:
        mark = f"mark-{next(self._numbers)}"
        body = words(account, mark, target, self._dice.choice(EVENTS), padding=padding)
        what = "a case that has ended" if target else "an unknown case"
        proof = prove(account, body)
        return Delivery("valid", what, account.connection, body, proof, mark=mark, content_type=content_type)

    def _valid(self, ended: Sequence[Target]) -> Delivery:
        padding = 0 if self._dice.random() < 0.5 else int(2 ** self._dice.uniform(0, 15))
        content_type = self._dice.choice(CONTENT_TYPES) if self._dice.random() < 0.25 else "application/json"
        target = self._dice.choice(ended) if self._dice.random() < 0.7 else None
        account = _account(target.connection) if target else self._dice.choice(ACCOUNTS)
        sent = self._delivery(account, target, padding=padding, content_type=content_type)
        return dataclasses.replace(sent, chunked=self._dice.random() < 0.1)

    def _forged(self, targets: Sequence[Target]) -> Delivery:
        sent = self.about(self._dice.choice(targets), padding=self._dice.choice((0, 0, 500)))
        what, proof, answers = forge(_account(sent.connection), sent.body, self._dice)
        return dataclasses.replace(sent, kind="forged", what=what, proof=proof, answers=answers)

    def _malformed(self, turn: int) -> Delivery:
        account = ACCOUNTS[turn % len(ACCOUNTS)]
        bodies = malformed(account, self._dice)
        self._order = self._order or [0, *self._dice.sample(range(1, len(bodies)), len(bodies) - 1)]
        what, content_type, body = bodies[self._order[turn // len(ACCOUNTS) % len(bodies)]]
        return Delivery("malformed", what, account.connection, body, prove(account, body), content_type=content_type)

    def _large(self) -> Delivery:
        account = self._dice.choice(ACCOUNTS)
        size = self._dice.choice((account.most, self._dice.randint(100_000, account.most)))
        sent = self._delivery(account, None, padding=1, content_type="application/json")
        shortest = len(words(account, sent.mark, None, "large", padding=1))
        body = words(account, sent.mark, None, "large", padding=size - shortest + 1)
        return dataclasses.replace(sent, what="up to the limit", body=body, proof=prove(account, body))

    def _too_large(self, turn: int) -> Delivery:
        account = ACCOUNTS[turn % len(ACCOUNTS)]
        sizes = (account.most + 1, LARGEST, self._dice.randint(account.most + 1, LARGEST))
        body = words(account, "mark-too-large", None, "large").ljust(sizes[turn % len(sizes)])
        proof = prove(account, body, secret=None if turn % 2 else account.secret[:-4])
        # A stranger only learns the largest limit of all connections.
        of_all = turn % 2 or len(body) > max(each.most for each in ACCOUNTS)
        return Delivery("too large", "to 10 MB", account.connection, body, proof, TOO_LARGE if of_all else REFUSED)

    def _with_replays(
        self, planned: list[Delivery], valid: Sequence[Delivery], forged: Sequence[Delivery], count: int
    ) -> list[Delivery]:
        """Put replays, in bursts, at their own places: after what they repeat, or before it came."""
        bursts: dict[int, list[Delivery]] = {}
        while count > 0:
            sent = self._dice.choice(valid if self._dice.random() < 0.8 else forged)
            size = min(count, self._dice.choice((1, 2, BURST)))
            again = dataclasses.replace(sent, kind="replayed") if sent.answers == ACCEPTED else sent
            bursts.setdefault(self._dice.randrange(len(planned)), []).extend([again] * size)
            count -= size
        return [each for place, one in enumerate(planned) for each in (*bursts.get(place, ()), one)]


class Senders:
    """Sends deliveries to the webhook URLs and stores the outcome of each."""

    def __init__(self, urls: Mapping[str, str]) -> None:
        self._urls = urls
        self._lock = threading.Lock()
        self.answered: list[Answered] = []

    def send(self, deliveries: Iterable[Delivery], *, senders: int = SENDERS) -> list[Answered]:
        """Send all of them, several at once; return their answers."""
        left, before = iter(deliveries), len(self.answered)

        def work() -> None:
            while (delivery := self._next(left)) is not None:
                answer = self._post(delivery)
                with self._lock:
                    self.answered.append(answer)

        with ThreadPoolExecutor(senders) as pool:
            for each in [pool.submit(work) for _ in range(senders)]:
                each.result()
        return self.answered[before:]

    def _next(self, left: Iterator[Delivery]) -> Delivery | None:
        with self._lock:
            return next(left, None)

    def _post(self, delivery: Delivery) -> Answered:
        began = time.monotonic()
        try:
            status = self._status(delivery)
        except (OSError, http.client.HTTPException):
            status = 0
        return Answered(delivery, status, time.monotonic() - began)

    def _status(self, delivery: Delivery) -> int:
        url = urlsplit(self._urls[delivery.connection])
        token = delivery.proof.token
        link = http.client.HTTPConnection(url.hostname or "", url.port, timeout=120)
        link.putrequest("POST", url.path + (f"/{token}" if token and token[0] != "?" else token))
        if delivery.content_type is not None:
            link.putheader("Content-Type", delivery.content_type)
        for name, value in delivery.proof.headers.items():
            link.putheader(name, value)
        framing = ("Transfer-Encoding", "chunked") if delivery.chunked else ("Content-Length", str(len(delivery.body)))
        link.putheader(*framing)
        parts = [delivery.body[at : at + 700] for at in range(0, len(delivery.body), 700)]
        link.endheaders(iter(parts) if delivery.chunked else delivery.body, encode_chunked=delivery.chunked)
        answer = link.getresponse()
        answer.read()
        link.close()
        return answer.status


def _account(connection: str) -> Account:
    return next(each for each in ACCOUNTS if each.connection == connection)


def wrong(answered: Iterable[Answered]) -> list[str]:
    """Return the wrong answers, in words for a person."""
    return [
        f"{each.status}: {each.delivery.kind} at {each.delivery.connection}, {each.delivery.what}"
        for each in answered
        if each.status not in each.delivery.answers
    ]
