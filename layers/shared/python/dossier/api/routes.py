"""The API's routes: what each takes, answers and does. The deployed routes and the OpenAPI document come from here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from dossier.api import operations as does
from dossier.api.models import (
    ArtifactLink,
    ArtifactPath,
    CancelledView,
    CasePage,
    CasePath,
    Refreshed,
    Resolved,
    ResolveRequest,
    Revisions,
    Selection,
    Submitted,
    UploadRequest,
    UploadTargets,
)
from dossier.models import CaseInput
from dossier.result import Result
from dossier.steps.views import CaseView

_CASE = "/cases/{connection}/{reference}"


@dataclass(frozen=True, slots=True)
class Route:
    """A method and a path. ``problems`` are the statuses of its problems, besides 400 and 503."""

    method: str
    path: str
    name: str
    does: Callable[..., Any]
    answers: dict[int, tuple[type[BaseModel], ...]]
    """The models of the answer by its status."""
    path_model: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    bodies: tuple[type[BaseModel], ...] = ()
    problems: tuple[int, ...] = (404,)

    @property
    def key(self) -> str:
        """The route as API Gateway names it."""
        return f"{self.method} {self.path}"


def _on_case(
    method: str, rest: str, name: str, answer: type[BaseModel], work: Callable[..., Any], **more: Any
) -> Route:
    given: dict[str, Any] = {"path_model": CasePath, "answers": {200: (answer,)}, **more}
    return Route(method, _CASE + rest, name, work, **given)


ROUTES = (
    Route(
        "POST",
        "/cases",
        "submit",
        does.submit,
        {200: (Submitted, UploadTargets), 202: (Submitted,)},
        bodies=(CaseInput, UploadRequest),
        problems=(409,),
    ),
    Route("GET", "/cases", "list", does.cases, {200: (CasePage,)}, query=Selection, problems=()),
    _on_case("GET", "", "get", CaseView, does.case),
    _on_case("GET", "/result", "result", Result, does.result),
    _on_case("GET", "/revisions", "revisions", Revisions, does.revisions_of),
    _on_case("GET", "/artifacts/{name}", "artifact", ArtifactLink, does.artifact, path_model=ArtifactPath),
    _on_case("POST", "/refresh", "refresh", Refreshed, does.refresh, answers={202: (Refreshed,)}, problems=(404, 409)),
    _on_case("POST", "/cancel", "cancel", CancelledView, does.cancel, problems=(404, 409)),
    _on_case("POST", "/resolve", "resolve", Resolved, does.resolve, bodies=(ResolveRequest,), problems=(404, 409)),
)
