"""The sandbox as one ASGI application."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.routing import Mount

from local.sandbox.admin import Admin
from local.sandbox.context import Context
from local.sandbox.docsumo import Docsumo
from local.sandbox.docustack import DocuStack
from local.sandbox.ombudsman import Ombudsman
from local.sandbox.storage import Storage


def create(context: Context) -> Starlette:
    """Compose the vendors, their storage and the operator's API; while it runs, the application sends webhooks."""
    docsumo = Docsumo(context)

    @contextlib.asynccontextmanager
    async def running(_: Starlette) -> AsyncIterator[None]:
        for start in context.on_start:
            start()
        sender = asyncio.create_task(context.webhooks.run())
        yield
        context.forget_late()
        sender.cancel()
        await asyncio.gather(sender, return_exceptions=True)
        await context.webhooks.stop()
        context.store.close()

    routes = [
        Mount("/docsumo", routes=docsumo.routes()),
        Mount("/docustack", routes=DocuStack(context).routes()),
        Mount("/ombudsman", routes=Ombudsman(context).routes()),
        Mount("/storage", routes=Storage(context, docsumo).routes()),
        Mount("/_sandbox", routes=Admin(context, docsumo).routes()),
    ]
    return Starlette(routes=routes, lifespan=running)
