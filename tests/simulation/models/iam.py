"""IAM: a function's call is allowed if the role with which it is deployed grants it.

https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from dossier.settings import Connection

ACTIONS = {"s3.HeadObject": "s3:GetObject", "s3.ListObjectsV2": "s3:ListBucket"}
"""The action of a call, where that is not the call's own name."""
PREFIXES = {"stepfunctions": "states"}
_ARN = re.compile(r"arn:[\w-]+:(?P<service>[\w-]+):[^:]*:[^:]*:(?P<name>.+)")
_OF_CONNECTION = re.compile(r"^(?P<before>\S+-poll-|dossier/)(?P<name>[^/]+?)(?P<after>-dlq)?$")
_VENDOR = re.compile(r"^([a-z]+)-\d\d-")
"""A connection of the synthesized template, which has one for each vendor at least."""


class Grants:
    """The grants of each function's role.

    What each connection has one of (a queue, a secret) is granted for all connections of a vendor or for none, so it
    counts as the vendor's.
    """

    def __init__(
        self,
        functions: Mapping[str, Mapping[str, Any]],
        roles: Mapping[str, Mapping[str, Any]],
        settings: Mapping[str, Connection],
    ) -> None:
        """Read the roles.

        Args:
            functions: the properties of the functions, by verb.
            roles: the properties of the roles, by ARN.
            settings: the connections of the simulation.

        """
        self._vendors = {name: each.vendor for name, each in settings.items()}
        self._roles: dict[str, dict[str, list[str]]] = {}
        self._known: dict[tuple[str, str, str], bool] = {}
        for verb, function in functions.items():
            granted = self._roles[verb] = {}
            for action, resource in _pairs(roles[function["Role"]]):
                granted.setdefault(action, []).append(self._named(resource))

    def allow(self, verb: str, action: str, resource: str) -> bool:
        """Whether a function may do something.

        Args:
            verb: names the function.
            action: the call, as ``service.Operation``, or an action of IAM, as ``s3:GetObjectVersion``.
            resource: an object's key; the name of a queue, a secret, a bus; ``index`` for a query of one; else empty.

        """
        if ":" not in action:
            service, _, operation = action.partition(".")
            action = ACTIONS.get(action) or f"{PREFIXES.get(service, service)}:{operation}"
        of = resource if action.startswith("s3:") else self._of_vendor(resource)
        asked = (verb, action, "" if action == "s3:ListBucket" else of)
        if asked not in self._known:
            self._known[asked] = any(fnmatchcase(asked[2], each) for each in self._roles[verb].get(action, ()))
        return self._known[asked]

    def _named(self, arn: str) -> str:
        """Return the part of an ARN in which the resources of one service differ here."""
        found = _ARN.fullmatch(arn)
        if found is None:
            return arn
        service, name = found["service"], found["name"]
        if service == "s3":
            return name.partition("/")[2]
        if service == "dynamodb":
            return "index" if "/index/" in name else ""
        if service in {"sqs", "events"}:
            return self._of_vendor(name.removeprefix("event-bus/"))
        if service == "secretsmanager":
            return self._of_vendor(name.removeprefix("secret:").rpartition("-")[0])
        return ""  # a state machine, its executions, and what is not simulated

    def _of_vendor(self, name: str) -> str:
        found = _OF_CONNECTION.match(name)
        if found is None:
            return name
        template = _VENDOR.match(found["name"])
        vendor = template[1] if template else self._vendors[found["name"]]
        return f"{found['before']}{vendor}{found['after'] or ''}"


def _pairs(role: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for policy in role["Policies"]:
        for statement in policy["PolicyDocument"]["Statement"]:
            assert statement["Effect"] == "Allow", statement
            for action in _listed(statement["Action"]):
                for resource in _listed(statement["Resource"]):
                    yield action, resource


def _listed(value: str | list[str]) -> list[str]:
    return value if isinstance(value, list) else [value]
