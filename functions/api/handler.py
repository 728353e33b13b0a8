"""The HTTP API for programs: ``/cases`` and what is under it (``docs/api.md``)."""

from typing import Any

from dossier.api.app import answer
from dossier.bootstrap import context
from dossier.observe import about, logger, observed


@observed
def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Answer a request that API Gateway has authorized."""
    names = event.get("pathParameters") or {}
    if "reference" in names:
        about(connection=names["connection"], reference=names["reference"])
    response = answer(event, context=context())
    logger.info("request", extra={"route": event["routeKey"], "status": response["statusCode"]})
    return response
