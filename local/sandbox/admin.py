"""The operator's API of the sandbox, under ``/_sandbox``: settings, journal, and an operator's work at Docsumo."""

import functools
import json
from collections.abc import Awaitable, Callable
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local.sandbox.calls import Refused
from local.sandbox.context import Context
from local.sandbox.descriptions import WHAT_HAPPENS
from local.sandbox.docsumo import Docsumo

Endpoint = Callable[[Request], Awaitable[Response]]
TEXT_FILTERS = ("vendor", "operation", "effect", "fault", "key", "path", "method")
FLAG_FILTERS = ("leak", "paused", "violation")


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class WebhookBody(_Body):
    """A URL for a vendor's webhooks; the Ombudsman has none."""

    vendor: Literal["docsumo", "docustack"]
    url: str = Field(pattern=r"^https?://")


class StageBody(_Body):
    """The stage to which an operator moves a case, and its assignee."""

    stage_id: str
    assigned_to: str | None = None


class EditBody(_Body):
    """An operator's change of a case besides its stage."""

    assigned_to: str | None = None
    case_name: str | None = None
    fields: dict[str, str] = Field(default_factory=dict)


class FileBody(_Body):
    """A file that an operator adds; if the name exists, a new version."""

    filename: str = Field(min_length=1)
    text: str


class ArtifactBody(_Body):
    """An artifact of any name and size."""

    filename: str = Field(min_length=1)
    size: int = Field(ge=0, le=16 * 1024**3)


def _carefully(endpoint: Endpoint) -> Endpoint:
    @functools.wraps(endpoint)
    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except Refused as refused:
            return JSONResponse({"error": refused.message}, status_code=refused.status or 400)
        except (ValidationError, ValueError, TypeError) as error:
            return JSONResponse({"error": str(error)}, status_code=400)

    return answer


async def _object(request: Request) -> dict[str, Any]:
    value = json.loads(await request.body() or b"{}")
    if not isinstance(value, dict):
        raise TypeError("a JSON object is expected")
    return value


class Admin:
    """The operator's requests."""

    def __init__(self, context: Context, docsumo: Docsumo) -> None:
        self._context, self._docsumo = context, docsumo

    def routes(self) -> list[Route]:
        """Return the API's routes."""
        listed: list[tuple[str, str, Endpoint]] = [
            ("GET", "/", self.index),
            ("GET", "/health", self.health),
            ("GET", "/settings", self.settings),
            ("POST", "/settings", self.change_settings),
            ("GET", "/faults", self.faults),
            ("GET", "/webhooks", self.webhooks),
            ("POST", "/webhooks", self.register),
            ("DELETE", "/webhooks", self.unregister),
            ("GET", "/journal", self.journal),
            ("POST", "/reset", self.reset),
            ("GET", "/artifacts", self.artifacts),
            ("POST", "/docsumo/cases/{case_id}/stage", self.move),
            ("POST", "/docsumo/cases/{case_id}/artifacts", self.add_artifact),
            ("POST", "/docsumo/cases/{case_id}/edit", self.edit),
            ("POST", "/docsumo/cases/{case_id}/files", self.put_file),
            ("DELETE", "/docsumo/cases/{case_id}/files/{file_id}", self.remove_file),
        ]
        return [Route(path, _carefully(endpoint), methods=[method]) for method, path, endpoint in listed]

    async def index(self, _: Request) -> Response:
        """List the operator's requests."""
        operations = {
            f"{method} /_sandbox{route.path}": getattr(route.endpoint, "__doc__", None)
            for route in self.routes()
            for method in sorted((route.methods or set()) - {"HEAD"})
        }
        return JSONResponse(operations)

    async def health(self, _: Request) -> Response:
        """Report that the sandbox runs, and how many webhooks are waiting."""
        return JSONResponse({"status": "ok", "webhooks_waiting": len(self._context.webhooks.waiting)})

    async def settings(self, _: Request) -> Response:
        """Return the settings."""
        return JSONResponse(self._context.keeper.now.model_dump())

    async def change_settings(self, request: Request) -> Response:
        """Change the named settings and return them all."""
        settings = self._context.keeper.change(await _object(request))
        self._context.faults.clear()
        self._context.store.commit()
        return JSONResponse(settings.model_dump())

    async def faults(self, _: Request) -> Response:
        """List every fault with its effect, the active rules, and the operations of each vendor."""
        rules = [rule.model_dump(exclude_none=True) for rule in self._context.keeper.now.faults]
        return JSONResponse({"faults": WHAT_HAPPENS, "rules": rules, "operations": self._context.operations})

    async def webhooks(self, _: Request) -> Response:
        """List the registered webhook URLs."""
        return JSONResponse([{"vendor": each.vendor, "url": each.url} for each in self._context.webhooks.urls])

    async def register(self, request: Request) -> Response:
        """Register a webhook URL: {"vendor", "url"}."""
        body = WebhookBody.model_validate(await _object(request))
        self._context.webhooks.register(body.vendor, body.url)
        self._context.store.commit()
        return JSONResponse(body.model_dump(), status_code=201)

    async def unregister(self, request: Request) -> Response:
        """Remove webhook URLs: all, or those of ?vendor= and ?url=."""
        vendor, url = request.query_params.get("vendor"), request.query_params.get("url")
        for each in self._context.webhooks.urls:
            if vendor in (None, each.vendor) and url in (None, each.url):
                self._context.webhooks.urls.delete(each.id)
        self._context.store.commit()
        return Response(status_code=204)

    async def journal(self, request: Request) -> Response:
        """Return the journal, filtered by ?vendor= &effect= &violation=true …, paged by ?after= &limit=."""
        asked = dict(request.query_params)
        after, limit = int(asked.pop("after", "0")), asked.pop("limit", None)
        filters: dict[str, Any] = {name: asked.pop(name) for name in TEXT_FILTERS if name in asked}
        filters |= {name: asked.pop(name) == "true" for name in FLAG_FILTERS if name in asked}
        if "status" in asked:
            status = asked.pop("status")
            filters["status"] = None if status == "none" else int(status)
        if asked:
            raise ValueError(f"unknown filter: {', '.join(asked)}")
        entries = self._context.journal.read(after=after, limit=int(limit) if limit else None, **filters)
        return JSONResponse({"entries": entries})

    async def reset(self, _: Request) -> Response:
        """Delete cases, documents, journal and settings; registered webhook URLs stay."""
        for forget in self._context.on_reset:
            forget()
        self._context.webhooks.clear()
        self._context.journal.clear()
        self._context.keeper.reset()
        self._context.faults.clear()
        self._context.limits.clear()
        self._context.store.commit()
        self._context.store.clear_files()
        return Response(status_code=204)

    async def artifacts(self, request: Request) -> Response:
        """List the files in storage, with size and SHA-256."""
        files = [
            {
                "case_id": case_id,
                "file_id": file.id,
                "filename": file.filename,
                "size": file.size,
                "sha256": file.sha256,
                "generated": not file.document,
            }
            for case_id, file in self._docsumo.all_files()
            if request.query_params.get("case_id") in (None, case_id)
        ]
        self._context.store.commit()
        return JSONResponse({"artifacts": files})

    async def move(self, request: Request) -> Response:
        """Move a Docsumo case as its operator: {"stage_id", "assigned_to"?}; sends the webhook."""
        body = StageBody.model_validate(await _object(request))
        moved = self._docsumo.move(request.path_params["case_id"], body.stage_id, body.assigned_to)
        self._context.store.commit()
        return JSONResponse(moved)

    async def edit(self, request: Request) -> Response:
        """Assign, rename or correct a Docsumo case as its operator: {"assigned_to"?, "case_name"?, "fields"?}."""
        body = EditBody.model_validate(await _object(request))
        case_id = request.path_params["case_id"]
        edited = self._docsumo.edit(case_id, assigned_to=body.assigned_to, name=body.case_name, fields=body.fields)
        self._context.store.commit()
        return JSONResponse(edited)

    async def put_file(self, request: Request) -> Response:
        """Add a file to a Docsumo case as its operator, or a new version of one: {"filename", "text"}."""
        body = FileBody.model_validate(await _object(request))
        file = self._docsumo.put_file(request.path_params["case_id"], body.filename, body.text.encode())
        self._context.store.commit()
        return JSONResponse({"file_id": file.id, "sha256": file.sha256}, status_code=201)

    async def remove_file(self, request: Request) -> Response:
        """Remove a file of a Docsumo case as its operator."""
        self._docsumo.remove_file(request.path_params["case_id"], request.path_params["file_id"])
        self._context.store.commit()
        return Response(status_code=204)

    async def add_artifact(self, request: Request) -> Response:
        """Add an artifact of any name and size to a Docsumo case: {"filename", "size"}; its bytes are generated."""
        body = ArtifactBody.model_validate(await _object(request))
        file = self._docsumo.add_made_up(request.path_params["case_id"], body.filename, body.size)
        self._context.store.commit()
        answer = {"file_id": file.id, "filename": file.filename, "size": file.size, "sha256": file.sha256}
        return JSONResponse(answer, status_code=201)
