"""Answers the requests of API Gateway (payload version 2.0)."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from dossier import written
from dossier.api import operations
from dossier.api.models import Submitted, UploadRequest
from dossier.api.problems import KNOWN, MEDIA_TYPE, Problem, problem_of, wrong
from dossier.api.routes import ROUTES, Route
from dossier.models import CaseInput, first_problem
from dossier.steps.context import Context

M = TypeVar("M", bound=BaseModel)
_ROUTES = {each.key: each for each in ROUTES}
_JSON = {"content-type": "application/json", "cache-control": "no-store"}
RETRY_AFTER = "5"


def answer(event: Mapping[str, Any], *, context: Context) -> dict[str, Any]:
    """Return the response to a request; a problem is an answer too. Any other error fails the function."""
    route = _ROUTES[event["routeKey"]]
    try:
        return _response(route, _call(route, event, context))
    except KNOWN as error:
        return _refusal(problem_of(error))


def _call(route: Route, event: Mapping[str, Any], context: Context) -> Any:
    given: list[Any] = []
    if route.path_model:
        given.append(_valid(route.path_model, event.get("pathParameters") or {}))
    if route.query:
        given.append(_valid(route.query, event.get("queryStringParameters") or {}, strings=True))
    if not route.bodies:
        return route.does(*given, context=context)
    body = _body(event)
    if route.name != "submit":
        return route.does(*given, _valid(route.bodies[0], body), context=context)
    if "files" in body:
        return operations.upload_urls(_valid(UploadRequest, body), context=context)
    return operations.submit(CaseInput.parse(body, wrong=""), context=context)


def _valid(model: type[M], data: Mapping[str, Any], *, strings: bool = False) -> M:
    try:
        return model.model_validate_strings(data) if strings else model.model_validate(data)
    except ValidationError as error:
        raise wrong(first_problem(error, model)) from None


def _body(event: Mapping[str, Any]) -> dict[str, Any]:
    text = event.get("body") or ""
    try:
        raw = base64.b64decode(text) if event.get("isBase64Encoded") else text
        found = written.read(raw)
    except written.NotUtf8Error as error:
        raise wrong(f"the body is {error}") from None
    except ValueError as error:
        raise wrong(f"the body is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise wrong("the body is not a JSON object")
    return found


def _response(route: Route, done: Any) -> dict[str, Any]:
    if isinstance(done, str):
        return {"statusCode": 303, "headers": {"location": done, "cache-control": "no-store"}, "body": ""}
    if isinstance(done, bytes):
        return {"statusCode": 200, "headers": _JSON, "body": done.decode()}
    status = min(route.answers)
    if isinstance(done, Submitted):
        status = 202 if done.outcome == "started" else 200
    return {"statusCode": status, "headers": _JSON, "body": done.model_dump_json()}


def _refusal(problem: Problem) -> dict[str, Any]:
    headers = {"content-type": MEDIA_TYPE, "cache-control": "no-store"}
    headers |= {"retry-after": RETRY_AFTER} if problem.status == 503 else {}
    return {"statusCode": problem.status, "headers": headers, "body": problem.model_dump_json()}
