"""``docs/scale.md``, from the figures of the simulations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.simulation.scale.hundred import CLOSE, far
from tests.simulation.scale.scenarios import BREAKER, LAMBDA, RATE, SLOTS, Figures, Scenario

LIFTS = {
    RATE: "a higher `limits.requests_per_second`, if the vendor's account allows it; or another account as one more "
    "connection",
    SLOTS: "a higher `limits.concurrency`, if the vendor's account allows it",
    BREAKER: "nothing in Dossier: the vendor has to come back",
    LAMBDA: 'Lambda\'s quota "Concurrent executions" (Service Quotas, L-B99A9384)',
    "": "No limit is used up: the vendor's own time decides",
}
WAITING = "## Many waiting cases"
"""The heading of the page's part that another measurement gives (``tests/waiting``)."""
COLUMNS = (
    "question",
    "cases an hour",
    "time over the vendor's own: median, 95 %, most",
    "cases under way",
    "oldest poll",
    "functions at once",
    "throttles",
    "dollars a case",
    "binds first",
)
MEASURED = {
    "DynamoDB: writes to a new table": "AWS's client repeats what a new table throttles; a table that has had such a "
    "load, or is warmed up for it (`WarmThroughput`), takes it.",
    "DynamoDB: reads of a new table": "The same holds for reads.",
    "DynamoDB: writes to a partition": "Nothing lifts this one.",
    "S3: writes": "S3 splits the prefix by itself; until then AWS's client repeats.",
}
"""Quotas that are measured, not enforced, and what happens above them."""
TITLES = {"claims": "Docsumo", "disputes": "Ombudsman", "invoices": "DocuStack"}


def page(
    found: Sequence[tuple[Scenario, Figures]],
    *,
    local: Mapping[str, Any],
    simulated: Mapping[str, int],
    quotas: Mapping[str, Any],
    prices: Mapping[str, Any],
) -> str:
    """Return the page."""
    lines = [
        "# How far it scales",
        "",
        f"`make scale` writes this page down to *{WAITING[3:]}*; do not edit it. It runs the",
        "[simulator](simulation.md) without faults: the real steps and the synthesized state machine, in virtual time.",
        f"AWS's quotas are the defaults of {quotas['as_of']} in {quotas['region']}",
        f"(`tests/simulation/scale/quotas.toml`), and the prices those of {prices['as_of']}",
        "(`layers/shared/python/dossier/prices.toml`). Both files name the source of each figure.",
        "",
        "Every case has one document and the vendor takes a minute for it, unless a row says otherwise. Connections",
        "have the default `limits` (10 requests a second, 5 slots) and `poll`.",
        "",
        "## Answers",
        "",
        f"| {' | '.join(COLUMNS)} |",
        f"| --- |{' ---: |' * (len(COLUMNS) - 2)} --- |",
        *(_row(scenario, figures) for scenario, figures in found),
        "",
        "Where a share is simulated, the numbers of cases, functions and throttles are those of the whole question:",
        "the share's, divided by the share. Dollars are AWS's list prices without a free tier, with the functions'",
        "simulated times; the scheduled functions that ran meanwhile are included. The oldest poll is how late the",
        "most overdue poll of any case was.",
        "",
        "## What binds, and what lifts it",
        "",
        *(line for scenario, figures in found for line in _explained(scenario, figures)),
        "## How much of each limit is used",
        "The highest use, in percent of the limit: of a second, or of a minute for a connection's requests.",
        "",
        "| limit | " + " | ".join(scenario.title for scenario, _ in found) + " |",
        "| --- |" + " ---: |" * len(found),
        *_uses(found),
        "",
        "Lambda's concurrency and Step Functions' quotas are enforced: who exceeds them is throttled and comes back.",
        "The other uses are measured. Step Functions lets bursts through, so a use above 100 % need not stop anything.",
        "",
        "## How it is simulated",
        "",
        *(f"- **{scenario.title}**: {scenario.method}." for scenario, _ in found),
        "",
        "The simulated connections are whole, with all of their limits. Only what connections share is divided.",
        "",
        f"A call of AWS takes {_calls(quotas['assumed'])}, or between half and twice of it;",
        "a request to a vendor 20 to 300 ms; a cold start 0.3 to 1.5 s; a function's own work",
        f"{1000 * quotas['assumed']['handler']:g} ms. These are assumptions; most are in the same file as the quotas.",
        "",
        "| question | cases simulated | processor time | real time |",
        "| --- | ---: | ---: | ---: |",
        *(
            f"| {scenario.title} | {figures.cases:,} | {figures.processor:,.0f} s | {figures.real:,.0f} s |"
            for scenario, figures in found
        ),
        "",
        *_hundred(local, simulated),
        "",
        "",
    ]
    return "\n".join(lines)


def _calls(assumed: Mapping[str, float]) -> str:
    named = {"dynamodb": "DynamoDB", "s3": "S3", "sqs": "SQS", "stepfunctions": "Step Functions"}
    return ", ".join(f"{1000 * assumed[name]:g} ms ({title})" for name, title in named.items())


def _row(scenario: Scenario, figures: Figures) -> str:
    over = ", ".join(_time(each) for each in (figures.over_median, figures.over_95, figures.over_most))
    cells = [
        scenario.title,
        f"{figures.throughput:,.0f}",
        over,
        f"{figures.backlog / scenario.share:,.0f}",
        _time(figures.oldest_poll),
        f"{figures.concurrency / scenario.share:,.0f}",
        f"{figures.throttles / scenario.share:,.0f}",
        f"{figures.cost:.6f}",
        binding(figures) or "nothing",
    ]
    return "| " + " | ".join(cells) + " |"


def binding(figures: Figures) -> str:
    """Return what a case waited for first, of what cases waited for at all often; empty if for nothing."""
    often = {what: number for what, number in figures.waits.items() if number >= 0.05 * max(1, figures.cases)}
    return min(often, key=lambda what: figures.first[what], default="")


def _explained(scenario: Scenario, figures: Figures) -> Iterator[str]:
    what = binding(figures)
    yield f"**{scenario.title}.** " + (
        f"First binds {what}. What lifts it: {LIFTS[what]}." if what else f"{LIFTS['']}."
    )
    often = {reason: number / max(1, figures.cases) for reason, number in figures.waits.items()}
    waits = sorted(often.items(), key=lambda each: -each[1])
    waited = ", ".join(f"{number:.1f} times for {reason}" for reason, number in waits if number >= 0.05)
    if waited:
        yield f"A case left its function and came back {waited}."
    yield f"A case took {figures.invocations:.1f} invocations, {figures.polls:.1f} of them polls."
    by_vendor = ", ".join(f"{TITLES[name]} {_time(each)}" for name, each in sorted(figures.by_vendor.items()))
    failed = f"{figures.failed:,} of {figures.ended:,} cases failed." if figures.failed else "No case failed."
    yield f"Median over the vendor's own time: {by_vendor}. {failed}"
    for name, share, _ in figures.uses:
        if name in MEASURED and share > 1:
            yield f"{name}: {100 * share:,.0f} % of the quota in the busiest second. {MEASURED[name]}"
    yield ""


def _uses(found: Sequence[tuple[Scenario, Figures]]) -> Iterator[str]:
    names = dict.fromkeys(name for _, figures in found for name, _, _ in figures.uses)
    for name in names:
        shares = [{use: share for use, share, _ in figures.uses}.get(name) for _, figures in found]
        if any(share is not None and share >= 0.005 for share in shares):
            yield f"| {name} | " + " | ".join("" if share is None else f"{100 * share:,.0f}" for share in shares) + " |"


def _hundred(local: Mapping[str, Any], simulated: Mapping[str, int]) -> Iterator[str]:
    yield "## Is it right? The same hundred cases on the local AWS"
    yield (
        "A hundred cases over the three shipped connections, one every two seconds. `make scale-count` ran them on the "
        f"local AWS on {local['as_of']}"
    )
    yield f"({local['seconds']} s) and counted each invocation, each request of a function and each state of each"
    yield "execution. `make scale` simulates the same hundred, and fails if a count is off by more than"
    yield f"{100 * CLOSE:.0f} %. Count on a quiet machine: the slower the local AWS is, the more polls of one case run"
    yield "at once and answer its token twice, which does no harm."
    yield ""
    yield "| counted | local AWS | simulated | difference |"
    yield "| --- | ---: | ---: | ---: |"
    for name, number in local["counts"].items():
        own = simulated.get(name, 0)
        yield f"| {name} | {number:,} | {own:,} | {_off(own, number)} |"


def _off(simulated: int, local: int) -> str:
    sign = "+" if simulated > local else "-" if simulated < local else ""
    return f"{sign}{100 * far(local, simulated):.1f} %"


def _time(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 100 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
