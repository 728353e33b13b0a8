"""Roles and people: their grants, with some of them removed, and the denied calls."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

_DENIED = re.compile(
    r"denied: User: arn:aws:\w+::\d+:(?:(?:assumed-)?role|user)/(?P<who>[^/ ]+)\S* is not authorized to perform: "
    r'(?P<action>\S+) on resource: "?(?P<resource>[^ "]+)"? because'
)


Put = Callable[[str, str], None]
"""Puts a policy of a name in the place of the one of that name."""


@dataclass(frozen=True, order=True, slots=True)
class Grant:
    """One action on one resource; what each connection has one of (a queue, a secret) counts as one."""

    action: str
    resource: str

    def __str__(self) -> str:
        return f"{self.action} on {self.resource}"


@dataclass(frozen=True, slots=True)
class Denial:
    """A call that a role or a user was not allowed."""

    who: str
    action: str
    resource: str


class Grantee:
    """Who holds policies of plain allowing statements alone."""

    def __init__(self, name: str, policies: Mapping[str, dict[str, Any]], put: Put, connections: Iterable[str]) -> None:
        self.name = name
        self._policies, self._put = policies, put
        names = "|".join(map(re.escape, connections))
        self._one_each = re.compile(rf"(?<=[-/])({names})(-\w{{6}})?$")
        self.grants = frozenset(
            self._grant(action, resource)
            for document in self._policies.values()
            for action, resource in _pairs(document)
        )

    def take(self, grants: Collection[Grant]) -> None:
        """Have everything granted but these."""
        for name, document in self._policies.items():
            left = [pair for pair in _pairs(document) if self._grant(*pair) not in grants]
            # A policy has a statement at least: one that allows nothing there is.
            statements = [_allow(*pair) for pair in left] or [_allow("none:None", "arn:aws:none:::none")]
            self._put(name, json.dumps({"Version": "2012-10-17", "Statement": statements}))

    def restore(self) -> None:
        """Put the policies back."""
        for name, document in self._policies.items():
            self._put(name, json.dumps(document))

    def granting(self, denial: Denial) -> Grant:
        """Return the grant that would have allowed a call.

        Raises:
            AssertionError: there is none: the call was never granted.

        """
        for document in self._policies.values():
            for action, resource in _pairs(document):
                if action == denial.action and fnmatchcase(denial.resource, resource):
                    return self._grant(action, resource)
        raise AssertionError(f"{self.name} was never granted {denial.action} on {denial.resource}")

    def _grant(self, action: str, resource: str) -> Grant:
        return Grant(action, self._one_each.sub("<connection>", resource))


class Role(Grantee):
    """A deployed role, with its inline policies."""

    def __init__(self, iam: Any, arn: str, connections: Iterable[str]) -> None:
        self.arn, name = arn, arn.rpartition("/")[2]
        assert not iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
        policies = {
            each: iam.get_role_policy(RoleName=name, PolicyName=each)["PolicyDocument"]
            for each in iam.list_role_policies(RoleName=name)["PolicyNames"]
        }

        def put(policy: str, text: str) -> None:
            iam.put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=text)

        super().__init__(name, policies, put, connections)


class Person(Grantee):
    """An IAM user with one policy and its own keys."""

    def __init__(self, iam: Any, name: str, document: dict[str, Any]) -> None:
        iam.create_user(UserName=name)
        self.keys = iam.create_access_key(UserName=name)["AccessKey"]

        def put(policy: str, text: str) -> None:
            iam.put_user_policy(UserName=name, PolicyName=policy, PolicyDocument=text)

        super().__init__(name, {"policy": document}, put, ())
        self.restore()


class Denials:
    """What the local AWS denied, as its log has it."""

    def __init__(self, log: Path) -> None:
        self._log = log

    def mark(self) -> int:
        """Return where the log ends now."""
        return self._log.stat().st_size

    def since(self, mark: int, by: Grantee) -> list[Denial]:
        """Return the calls that somebody was denied since a mark, in order."""
        with self._log.open("rb") as log:
            log.seek(mark)
            text = log.read().decode(errors="replace")
        found = (Denial(**each.groupdict()) for each in _DENIED.finditer(text))
        return [denial for denial in found if denial.who == by.name]


def _pairs(document: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield every action with every resource of each statement."""
    for statement in document["Statement"]:
        assert set(statement) - {"Sid"} == {"Effect", "Action", "Resource"}, f"not a plain grant: {statement}"
        assert statement["Effect"] == "Allow"
        for action in _listed(statement["Action"]):
            assert "*" not in action
            for resource in _listed(statement["Resource"]):
                yield action, resource


def _listed(value: str | list[str]) -> list[str]:
    return value if isinstance(value, list) else [value]


def _allow(action: str, resource: str) -> dict[str, str]:
    return {"Effect": "Allow", "Action": action, "Resource": resource}
