"""The dashboard's queries of Logs Insights, taken apart as far as they are used."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_EQUAL = re.compile(r'([\w.]+) = "([^"]*)"')
_PRESENT = re.compile(r"ispresent\(([\w.]+)\)")
_CALLS = re.compile(r"(?:count|sum|max|latest|pct|bin|ispresent)\(")
_WORD = re.compile(r"(?<![\w.])[a-z_]\w*(?:\.\w+)*")


@dataclass(frozen=True)
class Query:
    """A widget's query: its title, its log groups, what its lines have to be, and the fields that it reads of them."""

    title: str
    groups: tuple[str, ...]
    wanted: Mapping[str, str | None]
    """Fields, and the value that each must have; None for any."""
    fields: frozenset[str]

    def picks(self, line: Mapping[str, Any]) -> bool:
        """Return whether the query reads a line of a log."""
        return all(
            value_of(line, name) is not None and (value is None or value_of(line, name) == value)
            for name, value in self.wanted.items()
        )


def queries(body: str) -> Iterator[Query]:
    """Yield the queries of a dashboard."""
    for widget in json.loads(body)["widgets"]:
        if widget["type"] != "log":
            continue
        title, query = widget["properties"]["title"], widget["properties"]["query"]
        groups = re.findall(r"SOURCE '([^']+)'", query)
        lines = [each.strip() for each in query.split("\n|")]
        filters = next(each for each in lines if "filter " in each)
        stats = next(each for each in lines if each.startswith("stats "))
        wanted: dict[str, str | None] = dict(_EQUAL.findall(filters)) | dict.fromkeys(_PRESENT.findall(filters))
        yield Query(title, tuple(groups), wanted, frozenset(read_by(stats)))


def read_by(stats: str) -> Iterable[str]:
    """Return the fields that a ``stats`` line reads."""
    values, _, by = stats.removeprefix("stats ").rpartition(" by ")
    plain = _CALLS.sub("(", re.sub(r" as \w+", "", f"{values}, {by}"))
    return {each for each in _WORD.findall(re.sub(r"\(\d+m\)", "", plain)) if not each.isdigit()}


def value_of(line: Mapping[str, Any], name: str) -> Any:
    """Return a field of a line of JSON, as Logs Insights finds it: ``overview.waiting``; None if it is not there."""
    found: Any = line
    for part in name.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found
