"""State Accept."""

from typing import Any

from dossier.bootstrap import app
from dossier.observe import observed
from dossier.steps.accept import accept


@observed
def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Accept ``{"input": …, "execution": {"arn": …}}``."""
    desk = app().desk
    accepted = accept(
        event["input"],
        event["execution"]["arn"],
        cases=desk.cases,
        objects=desk.objects,
        intents=desk.intents,
        refreshes=desk.refreshes,
        connection_of=desk.connection_of,
        vendor_of=desk.vendor_of,
    )
    return accepted.model_dump()
