"""The OpenAPI document and the deployed API say the same: schemathesis sends valid and invalid requests.

Each operation is sent requests about a case that allows it, about cases that do not, requests that hypothesis makes up
(the same ones each time), and requests that IAM refuses. Whatever is answered, the document has said so.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from dossier.api.openapi import document
from dossier.api.routes import ROUTES
from tests.e2e.programs import Program
from tests.e2e.questions import attention
from tests.e2e.world import World, until

CHECKS: list[Any] = [
    *(not_a_server_error, status_code_conformance, content_type_conformance),
    *(response_headers_conformance, response_schema_conformance),
]
MADE_UP = 12
"""Generated requests for an operation, of each kind."""
BY_CHANCE = {"303", "429", "500", "503"}
"""Statuses that no request can cause: a large result, too many requests, a failure, a vendor's pause."""
STEADY = settings(
    max_examples=MADE_UP,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


class Caller:
    """Sends the cases of schemathesis, and compares each answer with the document."""

    def __init__(self, world: World) -> None:
        self._url, self._program = world.outputs["api_url"], Program(world)
        self._session = requests.Session()
        self._session.trust_env = False
        self.answered: defaultdict[str, set[str]] = defaultdict(set)
        self.schema = schemathesis.openapi.from_dict(document())
        self.schema.config.update(base_url=self._url)
        self.operations = {
            each.ok().definition.raw["operationId"]: each.ok() for each in self.schema.get_all_operations()
        }

    def __call__(self, name: str, case: Case, *, signed: bool = True) -> Any:
        """Send a case; return the answer, which the document describes.

        The local AWS words a refusal by IAM differently than API Gateway: of that only the status is compared.
        """
        auth: Any = {"auth": self._program.sign} if signed else {}
        answer = case.call(session=self._session, timeout=60, allow_redirects=False, **auth)
        self.answered[name].add(str(answer.status_code))
        case.validate_response(answer, checks=CHECKS if answer.status_code != 403 else [status_code_conformance])
        return answer

    def about(self, name: str, reference: str, *, signed: bool = True, **more: Any) -> Any:
        """Send an operation about a case; ``more`` are the parts of the request."""
        connection, _, reference = reference.rpartition("/")
        path = {"connection": connection or "scans", "reference": reference, **more.pop("path", {})}
        media: Any = {"media_type": "application/json"} if "body" in more else {}
        return self(name, self.operations[name].Case(path_parameters=path, **media, **more), signed=signed)


def made_up(caller: Caller, name: str, path: dict[str, str] | None) -> None:
    """Send an operation generated requests: valid ones, and ones that break the document's rules."""
    operation = caller.operations[name]
    fixed: Any = {"path_parameters": path} if path else {}
    for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
        if mode is GenerationMode.NEGATIVE and not (
            operation.body or operation.query or (operation.path_parameters and not path)
        ):
            continue  # it has no rule to break

        @STEADY
        @given(case=operation.as_strategy(generation_mode=mode, **fixed))
        def send(case: Case) -> None:
            caller(name, case)

        send()


def test_every_answer_is_in_the_document(world: World) -> None:
    """Each operation answers with every status that a request can cause, and always as the document says."""
    caller = Caller(world)
    ended, begun, asking = (world.name(each) for each in ("openapi-ended", "openapi-begun", "openapi-asks"))
    world.complete("scans", ended, world.file(f"{ended}.pdf"))
    world.vendors.plan(begun, seconds=3600.0)
    world.submit("scans", begun, world.file(f"{begun}.pdf"))
    until(lambda: world.waits("scans", begun), what="the case does not wait")
    attention(world, asking)

    _bring_about(caller, world, ended, begun, f"grievances/{asking}")
    for route in ROUTES:
        known = {"connection": "scans", "reference": ended, "name": "nothing"}
        path = {name: known[name] for name in (route.path_model.model_fields if route.path_model else ())}
        made_up(caller, route.name, None)
        if path and (route.bodies or route.method == "GET"):
            made_up(caller, route.name, path)
        _refused(caller, route.name, ended)

    text = {each.name: {*document()["paths"][each.path][each.method.lower()]["responses"]} for each in ROUTES}
    assert {name: sorted(text[name] - BY_CHANCE - caller.answered[name]) for name in text} == {
        name: [] for name in text
    }


def _bring_about(caller: Caller, world: World, ended: str, begun: str, asking: str) -> None:
    """Send each operation a valid request, and one that the case's state does not allow."""
    files = {"connection": "scans", "files": [{"name": "a.pdf"}]}
    assert caller.about("submit", "", body=files).status_code == 200
    name = world.name("openapi-new")
    given_ = {"connection": "scans", "reference": name}
    given_["documents"] = [{"uri": world.put(f"uploads/{name}.pdf", world.file("x.pdf").read_bytes()), "name": "x.pdf"}]
    assert caller.about("submit", "", body=given_).status_code == 202
    arn = caller.about("submit", "", body=given_).json()["execution_arn"]
    assert world.ended(arn)["status"] == "SUCCEEDED"
    other = [{"uri": world.put(f"uploads/{name}-2.pdf", world.file("y.pdf").read_bytes()), "name": "x.pdf"}]
    assert caller.about("submit", "", body={**given_, "documents": other}).status_code == 409
    assert caller.about("list", "", query={"connection": "scans", "limit": 2}).json()["next"]
    artifact = caller.about("get", ended).json()["artifacts"][0]["name"]
    for each in ("result", "revisions"):
        assert caller.about(each, ended).status_code == 200
    assert caller.about("artifact", ended, path={"name": artifact}).status_code == 200
    assert caller.about("result", begun).status_code == 404
    assert caller.about("refresh", begun).status_code == 409
    assert caller.about("refresh", ended).status_code == 202
    assert caller.about("cancel", ended).status_code == 409
    assert caller.about("cancel", begun).status_code == 200
    assert caller.about("resolve", ended, body={"answer": "retry"}).status_code == 409
    assert caller.about("resolve", asking, body={"answer": "give_up"}).status_code == 200
    for each in caller.operations:
        if each not in {"submit", "list"}:
            more: Any = {"body": {"answer": "retry"}} if each == "resolve" else {}
            assert (
                caller.about(each, "nowhere", path={"name": "x"} if each == "artifact" else {}, **more).status_code
                == 404
            )


def _refused(caller: Caller, name: str, reference: str) -> None:
    """Send a request without a signature."""
    path = {"path": {"name": "x"}} if name == "artifact" else {}
    body = {"body": {}} if name in {"submit", "resolve"} else {}
    assert caller.about(name, reference, signed=False, **path, **body).status_code == 403
