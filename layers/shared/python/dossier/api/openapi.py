"""The OpenAPI document of the API, generated from its routes and models into ``docs/openapi.json``."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from dossier.api.problems import MEDIA_TYPE, GatewayMessage, Problem
from dossier.api.routes import ROUTES, Route

_REF = "#/components/schemas/{model}"
_GATEWAY = {
    403: "API Gateway: no permission, or no valid signature.",
    429: "API Gateway: too many requests.",
    500: "API Gateway: the function failed.",
}
"""API Gateway's own answers, besides 404 and 503."""
_SAYS = {
    **_GATEWAY,
    200: "Done.",
    202: "Started.",
    303: "The result is large: `Location` is a presigned URL. Send it no signature.",
    400: "The request is wrong.",
    404: "There is no such case, result or artifact.",
    409: "The reference has other content, or the case's state does not allow it.",
    503: "Try again after `Retry-After` seconds.",
}


def document() -> dict[str, Any]:
    """Return the OpenAPI document."""
    models: list[type[BaseModel]] = list(
        dict.fromkeys([Problem, GatewayMessage, *(model for route in ROUTES for model in _models(route))])
    )
    _, schemas = models_json_schema([(each, _mode(each)) for each in models], ref_template=_REF)
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Dossier", "version": "1", "description": "Every request is signed for AWS (docs/api.md)."},
        "security": [{"aws": []}],
        "paths": paths,
        "components": {
            "schemas": schemas["$defs"],
            "securitySchemes": {
                "aws": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Authorization",
                    "description": "AWS Signature Version 4, for the service execute-api.",
                    "x-amazon-apigateway-authtype": "awsSigv4",
                }
            },
        },
    }


def text() -> str:
    """Return the text of ``docs/openapi.json``."""
    return json.dumps(document(), indent=2, ensure_ascii=False) + "\n"


def _operation(route: Route) -> dict[str, Any]:
    first, *_ = (route.does.__doc__ or "").splitlines()
    operation: dict[str, Any] = {"operationId": route.name, "summary": first}
    parameters = [*_parameters(route.path_model, "path"), *_parameters(route.query, "query")]
    operation |= {"parameters": parameters} if parameters else {}
    if route.bodies:
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": _one_of(route.bodies)}},
        }
    responses = {str(status): _answer(status, "application/json", models) for status, models in route.answers.items()}
    if route.name == "result":
        responses["303"] = {"description": _SAYS[303]}
    responses |= {
        str(status): _answer(status, MEDIA_TYPE, (Problem,)) for status in sorted({400, 503, *route.problems})
    }
    for status in (*_GATEWAY, *({404, 503} & {*map(int, responses)})):
        response = responses.setdefault(str(status), {"description": _SAYS[status], "content": {}})
        response["content"] |= _answer(status, "application/json", (GatewayMessage,))["content"]
    return {**operation, "responses": responses}


def _answer(status: int, media_type: str, models: Iterable[type[BaseModel]]) -> dict[str, Any]:
    return {"description": _SAYS[status], "content": {media_type: {"schema": _one_of(models)}}}


def _one_of(models: Iterable[type[BaseModel]]) -> dict[str, Any]:
    found = [{"$ref": _REF.format(model=each.__name__)} for each in models]
    return found[0] if len(found) == 1 else {"anyOf": found}


def _parameters(model: type[BaseModel] | None, place: str) -> Iterator[dict[str, Any]]:
    if model is None:
        return
    schema = model.model_json_schema(ref_template=_REF)
    for name, each in schema["properties"].items():
        described = {key: value for key, value in each.items() if key not in {"title", "description", "default"}}
        about = {"description": each["description"]} if "description" in each else {}
        yield {"name": name, "in": place, "required": place == "path", **about, "schema": described}


def _models(route: Route) -> Iterator[type[BaseModel]]:
    yield from route.bodies
    for each in route.answers.values():
        yield from each
    if route.query:
        yield route.query  # its enums are shared definitions


def _mode(model: type[BaseModel]) -> Any:
    requests = {each for route in ROUTES for each in (*route.bodies, *([route.query] if route.query else []))}
    return "validation" if model in requests else "serialization"


if __name__ == "__main__":
    sys.stdout.write(text())
