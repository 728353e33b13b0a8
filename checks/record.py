"""``make record``: walks cases of every kind and records the inputs of each expression of the state machine."""

from __future__ import annotations

import json
import os
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from app import ROOT
from checks.machine import CALLS, RECORDED, STEPS, expressions
from checks.synthesis import COUNTS, definitions, templates
from dossier.errors import DossierError, NeedsAttentionError, PausedError, RetryableError, VendorUnavailableError
from dossier.models import CaseId
from dossier.settings import Budget
from dossier.steps.collect import HERE
from dossier.steps.refresh import ask as ask_again
from tests.conftest import REGION, in_memory
from tests.machine import World, samples
from tests.meter import Meter
from tests.walk import Handlers, Walk

MOST = 2
"""The most recorded inputs of one expression in one state."""
LOST = NeedsAttentionError("the answer was lost: was it created?")
PAUSED = PausedError("the connection is paused")
FILES = {"invoices": ("invoice.pdf",), "claims": ("invoice.pdf", "photo.jpg"), "disputes": ("invoice.pdf",)}


def main() -> int:
    """Record; return the exit code."""
    os.environ.update(AWS_ACCESS_KEY_ID="testing", AWS_SECRET_ACCESS_KEY="testing", AWS_DEFAULT_REGION=REGION)  # noqa: S106
    used, batches = definitions(templates()[COUNTS[0]])
    calls: set[tuple[str, str, str]] = set()
    walked = list(walks(used, calls))
    kept = [*_evaluations(walked), *_of_batches(batches)]
    _write(RECORDED, kept)
    steps = {(each["state"], each["next"]): each for walk in reversed(walked) for each in reversed(walk.steps)}
    _write(STEPS, [each for _, each in sorted(steps.items(), key=lambda item: [str(word) for word in item[0]])])
    verbs = sorted({verb for verb, _, _ in calls if verb})
    by_verb = {verb: sorted({(what, of) for who, what, of in calls if who == verb}) for verb in verbs}
    CALLS.write_text(json.dumps(by_verb, indent=1) + "\n", encoding="utf-8")
    print(
        f"{RECORDED.parent.relative_to(ROOT)}: {len(kept)} inputs, {len(steps)} states, calls of {len(verbs)} functions"
    )
    missing = sorted(set(expressions([used, batches])) - {each["expression"] for each in kept})
    for expression in missing:
        print(f"no case of checks/record.py evaluates {expression}", file=sys.stderr)
    return 1 if missing else 0


def _evaluations(walked: Sequence[Walk]) -> list[dict[str, Any]]:
    kept: dict[str, dict[str, Any]] = {}
    seen: Counter[str] = Counter()
    for each in (each for walk in walked for each in walk.evaluations):
        key = json.dumps([each["expression"], each["states"], each["variables"]], sort_keys=True)
        where = f"{each['expression']} in {each['states']['context']['State']['Name']}"
        if key not in kept and seen[where] < MOST:
            seen[where] += 1
            kept[key] = {name: each[name] for name in ("expression", "states", "variables")}
    return list(kept.values())


def _of_batches(used: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the inputs of the batch machine's expressions: a run, an error of it, and one of its cases."""
    case = {"connection": "invoices", "reference": "R-1", "documents": []}
    run = {"batch": "0123456789abcdef", "run": 1, "concurrency": 100}
    error = {"Error": "States.ItemReaderFailed", "Cause": "The list is not there"}
    for expression in sorted({*expressions(used)}):
        child = re.search(r"input\.(name|input)\b", expression)
        states = {
            "input": {"name": "invoices-R-1-0123456789ab", "input": case} if child else run,
            "errorOutput": error,
            "context": {"State": {"Name": "Run Case" if child else "Cases"}},
        }
        yield {"expression": expression, "states": states, "variables": {"failure": {"error": "", "cause": ""}}}


def _write(file: Path, values: Sequence[dict[str, Any]]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    text = ",\n".join(json.dumps(each, ensure_ascii=False) for each in values)
    file.write_text(f"[\n{text}\n]\n", encoding="utf-8")


def walks(used: dict[str, Any], calls: set[tuple[str, str, str]]) -> Iterator[Walk]:
    """Yield a walked execution of every kind of case; add each function's calls of AWS to ``calls``."""
    for connection, names in FILES.items():
        with in_memory() as cloud:
            meter = Meter()
            meter.attach(cloud.session)
            world = World(cloud)
            handlers = Handlers(world)
            meter.caller = partial(getattr, handlers, "caller")
            documents = [
                {"uri": cloud.put(f"staging/{connection}/R-1/{name}", body), "name": name}
                for name, body in samples(*names).items()
            ]
            case = {"connection": connection, "reference": "R-1", "documents": documents}
            for name in ("whole", "again"):
                yield walked(used, handlers, case, name)
            known = world.context.cases.get(CaseId(connection, "R-1")).record.case_id
            if known:
                collected = {"connection": connection, "reference": "R-2", "case_id": known}
                yield walked(used, handlers, collected, "collected")
            ask_again(CaseId(connection, "R-1"), context=world.context, insist=True)
            name, refresh = world.tokens.started[-1]
            yield walked(used, handlers, refresh, name)
            yield walked(used, handlers, {"connection": connection, "reference": "R-3", "documents": []}, "refused")
            calls |= meter.calls
    yield from troubled(used)


def troubled(used: dict[str, Any]) -> Iterator[Walk]:
    """Yield executions that need an operator or are paused, one that omits a file, one whose failure is unrecorded."""
    for verb, connection, error in (
        ("open", "disputes", LOST),
        ("upload", "invoices", LOST),
        ("download", "claims", VendorUnavailableError("storage answered 503")),
        ("open", "disputes", PAUSED),
        ("upload", "invoices", PAUSED),
        ("collect", "claims", PAUSED),
        ("download", "claims", PAUSED),
    ):
        with in_memory() as cloud:
            body = samples("invoice.pdf")["invoice.pdf"]
            count = HERE + 1 if verb == "download" else 1  # Collect itself downloads the artifacts of fewer documents
            uris = [cloud.put(f"staging/{connection}/R-1/{each}.pdf", body + bytes(each)) for each in range(count)]
            case = {"connection": connection, "reference": "R-1", "documents": [{"uri": uri} for uri in uris]}
            times = 2 if verb == "upload" else 1  # the only request is made once outside of the Map
            failing = Failing(verb, error, Handlers(World(cloud)), times=times)
            yield walked(used, failing, case, f"failing-{verb}-{type(error).__name__}")
    with in_memory() as cloud:
        world = World(cloud)
        over = {"budget": Budget(cases_per_day=0)}
        world.connections["disputes"] = world.connections["disputes"].model_copy(update=over)
        uri = cloud.put("staging/disputes/R-1/invoice.pdf", samples("invoice.pdf")["invoice.pdf"])
        case = {"connection": "disputes", "reference": "R-1", "documents": [{"uri": uri, "name": "invoice.pdf"}]}
        yield walked(used, Handlers(world), case, "over-budget")
    with in_memory() as cloud:
        handlers = Handlers(World(cloud))

        def broken(verb: str, payload: Mapping[str, Any]) -> Any:
            if verb == "fail":
                raise RetryableError("the table is not there:\nit may come back")
            return handlers(verb, payload)

        yield walked(used, broken, {"connection": "nobody", "reference": "R-1", "documents": []}, "unrecorded")


class Failing:
    """Handlers, of which one fails the first time, or the first few times."""

    def __init__(self, verb: str, error: DossierError, handlers: Handlers, *, times: int = 1) -> None:
        self._verb = verb
        self._left = times
        self._error = error
        self._handlers = handlers

    def __call__(self, verb: str, payload: Mapping[str, Any]) -> Any:
        """Call a verb's function, or raise the error in its place."""
        if verb == self._verb and self._left:
            self._left -= 1
            raise self._error
        return self._handlers(verb, payload)


def walked(used: dict[str, Any], task: Any, case: dict[str, Any], name: str) -> Walk:
    """Walk one execution to its end."""
    walk = Walk(used, task, name=name)
    walk.run(case)
    return walk


if __name__ == "__main__":
    sys.exit(main())
