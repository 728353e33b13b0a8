"""State Accept."""

from typing import Any

from dossier.bootstrap import context
from dossier.observe import observed
from dossier.steps.accept import accept


@observed
def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Accept ``{"input": …, "execution": {"arn": …}}``."""
    accepted = accept(event["input"], event["execution"]["arn"], context=context())
    return accepted.model_dump()
