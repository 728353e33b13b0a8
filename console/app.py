"""The console's routes: each page is a function of the desk and the request, each action one behind the CSRF check."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from cli.errors import BadUsageError, CommandError, explain
from cli.target import Target
from console import actions, batches, bulk, case, cases, connections, costs, deliveries, failures, previews
from console.audit import Trail
from console.desk import HERE, HTMX, Desk, NotFoundError
from console.security import Guard, Session, guarded
from dossier.errors import DossierError

Page = Callable[[Desk, Request], Response]
_CASE = "/cases/{connection}/{reference}"
PAGES: dict[str, Page] = {
    "/cases": cases.index,
    "/cases/views": cases.shortcuts,
    _CASE: case.overview,
    f"{_CASE}/results": case.results,
    f"{_CASE}/history": case.history,
    f"{_CASE}/revisions": case.revisions,
    f"{_CASE}/files": case.files,
    f"{_CASE}/cost": case.cost,
    f"{_CASE}/preview/{{index:int}}": previews.preview,
    f"{_CASE}/file": previews.download,
    "/bulk/{job}": bulk.progress,
    "/answers/{answer}": lambda desk, request: desk.kept(request.path_params["answer"]),
    "/deliveries": deliveries.index,
    "/deliveries/lost": deliveries.lost,
    "/deliveries/{connection}/{id}": deliveries.one,
    "/connections": connections.index,
    "/connections/{connection}": connections.one,
    "/connections/{connection}/report": connections.report,
    "/failures": failures.index,
    "/batches": batches.index,
    "/batches/{batch}": batches.one,
    "/cost": costs.index,
}
ACTIONS: dict[str, actions.Act] = {
    **actions.ACTIONS,
    **bulk.ACTIONS,
    **deliveries.ACTIONS,
    **failures.ACTIONS,
    **costs.ACTIONS,
}
SEE_OTHER = 303
_KNOWN = (DossierError, CommandError, ClientError, BotoCoreError)


_KEPT = {"cache-control": "private, max-age=86400, immutable"}
"""Pages name style and scripts by their digest, so a browser need not ask for them again."""


class Assets(StaticFiles):
    """The style sheet, the script and the icon, which a browser keeps."""

    def file_response(self, *args: Any, **settings: Any) -> Response:
        """Return a file."""
        answer = super().file_response(*args, **settings)
        answer.headers.update(_KEPT)
        return answer


def create(where: Target, session: Session, *, who: str) -> Starlette:
    """Return the console of a deployment.

    Args:
        where: the deployment.
        session: the secrets of this run.
        who: the caller's ARN, for the trail of actions.

    """
    desk = Desk(where, session, Trail(where.app.objects, who), PAGES)
    desk.warm()
    routes = [
        Route("/", lambda _: RedirectResponse("/cases", 303), methods=["GET"]),
        *(Route(path, _page(desk, page), methods=["GET"]) for path, page in PAGES.items()),
        *(Route(path, guarded(_action(desk, act), session), methods=["POST"]) for path, act in ACTIONS.items()),
        Route("/static/htmx.min.js", _htmx, methods=["GET"]),
        Mount("/static", Assets(directory=HERE / "static")),
    ]
    app = Starlette(
        routes=routes,
        middleware=[Middleware(Guard, session=session)],
        exception_handlers={404: _missing(desk), 405: _missing(desk), Exception: _broken(desk)},
    )
    app.state.desk = desk
    return app


def _page(desk: Desk, page: Page) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        return await run_in_threadpool(_answered, desk, request, page)

    return endpoint


def _action(desk: Desk, act: actions.Act) -> Callable[[Request], Any]:
    """Return the endpoint of an action; a page that answers it gets an address, so that back and reload show it."""

    async def endpoint(request: Request) -> Response:
        form = await request.form()
        try:
            answer = await run_in_threadpool(_answered, desk, request, lambda desk, request: act(desk, request, form))
        finally:
            desk.changed()
        return (
            answer if answer.status_code == SEE_OTHER else RedirectResponse(f"/answers/{desk.keep(answer)}", SEE_OTHER)
        )

    return endpoint


def _answered(desk: Desk, request: Request, page: Page) -> Response:
    try:
        return page(desk, request)
    except NotFoundError as error:
        return desk.page(request, "problem.html", 404, title="Not found", line=str(error), fix=None)
    except _KNOWN as error:
        problem = explain(error)
        away = isinstance(error, ClientError | BotoCoreError)
        status = 502 if away else 400 if isinstance(problem, BadUsageError) else 409
        return desk.page(
            request, "problem.html", status, title="This did not work", line=problem.message, fix=problem.fix,
            around=_around(request),
        )  # fmt: skip


def _around(request: Request) -> tuple[str, str] | None:
    """Return the page that an action was sent from, and its name; None for a page itself."""
    connection, reference = (request.path_params.get(name) for name in ("connection", "reference"))
    if request.method != "POST" or connection is None:
        return None
    if reference is None:
        return f"/connections/{connection}", connection
    return f"/cases/{connection}/{reference}", reference


def _htmx(_: Request) -> Response:
    if not HTMX.is_file():
        raise HTTPException(404)
    return FileResponse(HTMX, media_type="text/javascript", headers=_KEPT)


def _missing(desk: Desk) -> Callable[[Request, Exception], Response]:
    def answer(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 404
        return desk.page(request, "problem.html", status, title="Not found", line="There is no such page.", fix=None)

    return answer


def _broken(desk: Desk) -> Callable[[Request, Exception], Response]:
    """Return the handler of unexpected errors: the page reports the error, the terminal has the traceback."""

    def answer(request: Request, error: Exception) -> Response:
        logging.getLogger("console").error("%s %s", request.method, request.url.path, exc_info=error)
        line = f"{type(error).__name__}: the terminal of `dossier console` has the details."
        return desk.page(request, "problem.html", 500, title="This is a fault of the console", line=line, fix=None)

    return answer
