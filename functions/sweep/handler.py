"""The one-minute schedule."""

from typing import Any

from dossier import connections
from dossier.bootstrap import context
from dossier.observe import count, observed
from dossier.steps.sweep import sweep


@observed
def handler(_event: dict[str, Any], _context: Any) -> int:
    """Send the polls whose message was lost."""
    swept = sweep(connections.runtime_names(), context=context())
    count("WaitsSwept", swept)
    return swept
