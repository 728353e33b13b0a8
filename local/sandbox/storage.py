"""Signed storage, which serves Docsumo's artifacts by URLs that expire, without a key.

The signature covers the path byte for byte, so clients must not change the ``artifacts//`` of these URLs. A request
with an API key anywhere gets a 400 and is recorded as a leak.
"""

import hashlib
import hmac
from collections.abc import Iterator
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from starlette.responses import FileResponse, Response, StreamingResponse
from starlette.routing import Route

from local.sandbox import calls
from local.sandbox.calls import ANY_METHOD, Call, Dialect, Operation, Refused
from local.sandbox.context import Context

if TYPE_CHECKING:
    from local.sandbox.docsumo import Docsumo

CHUNK = 64 * 1024
KEY_HEADERS = ("x-api-key", "apikey", "api-key", "authorization")


def sign(secret: str, place: str, expires: int) -> str:
    """Return the query of a signed URL for a place, valid until ``expires`` (seconds since 1970)."""
    signature = hmac.new(f"storage/{secret}".encode(), f"{place}\n{expires}".encode(), hashlib.sha256).hexdigest()
    return f"Expires={expires}&Signature={signature}"


def made_up(seed: str, size: int) -> Iterator[bytes]:
    """Yield ``size`` bytes that depend only on the seed, in chunks."""
    filling = hashlib.shake_256(seed.encode()).digest(CHUNK - 8)
    for start in range(0, size, CHUNK):
        yield (start.to_bytes(8, "big") + filling)[: size - start]


def refuse(refused: Refused) -> Response:
    """Return a rejection in XML, as object stores do."""
    body = f"<?xml version='1.0' encoding='UTF-8'?><Error><Message>{escape(refused.message)}</Message></Error>"
    return Response(body, status_code=refused.status, headers=refused.headers, media_type="application/xml")


DIALECT = Dialect(vendor="docsumo", key_headers=(), wrong_key="", too_many="", refuse=refuse)


class StorageOperation(Operation):
    """An operation without a key and a rate limit."""

    def _admit(self, call: Call) -> None:
        keys = self._context.accounts.keys().values()
        headers = call.request.headers
        sent = [*headers.values(), call.entry.query]
        if any(name in headers for name in KEY_HEADERS) or any(key in value for key in keys for value in sent):
            call.entry.leak = True
            raise Refused(400, "Credentials must not be sent to storage")


class Storage:
    """Serves the artifacts of Docsumo's cases."""

    def __init__(self, context: Context, docsumo: "Docsumo") -> None:
        self._context, self._docsumo = context, docsumo

    def routes(self) -> list[Route]:
        """Return the route of the storage."""
        operation = StorageOperation(self._context, DIALECT, "download", self.download)
        return [Route("/{place:path}", operation, methods=ANY_METHOD)]

    async def download(self, call: Call) -> Response:
        """Serve a file by its signed URL."""
        place, asked = call.entry.path, call.request.query_params
        expires = asked.get("Expires", "")
        known = sign(self._context.accounts.docsumo.webhook_secret, place, int(expires) if expires.isdecimal() else 0)
        if call.request.method != "GET" or not hmac.compare_digest(known.encode(), call.entry.query.encode()):
            raise Refused(403, "The signature does not match the request")
        if self._context.now() >= int(expires):
            raise Refused(403, "The URL has expired")
        file = self._docsumo.find_file(place)
        if file is None:
            raise Refused(404, "No such object")
        etag = f'"{file.sha256}"'
        if call.request.headers.get("if-none-match") == etag:
            call.effect("artifact_unchanged", file_id=file.id, name=file.filename)
            return Response(status_code=304, headers={"ETag": etag})
        call.effect("artifact_served", file_id=file.id, name=file.filename, sha256=file.sha256, size=file.size)
        if file.made_up:
            headers = {"Content-Length": str(file.size), "ETag": etag}
            return StreamingResponse(made_up(file.filename, file.size), headers=headers, media_type=calls.BYTES)
        return FileResponse(self._context.store.path(file.sha256), headers={"ETag": etag}, media_type=calls.BYTES)
