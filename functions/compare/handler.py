"""Every hour."""

from typing import Any

from dossier import connections
from dossier.bootstrap import app
from dossier.observe import count, logger, observed
from dossier.steps.compare import compare


@observed
def handler(_event: dict[str, Any], _context: Any) -> None:
    """Compare what the vendors' accounts list with what is recorded."""
    it = app()
    found = compare(connections.runtime_names(), desk=it.desk, executions=it.executions)
    for name, ids in found.unknown.items():
        for each in ids:
            logger.warning(f"{each} at {name} was neither made nor collected here")
        count("UnknownAtVendor", len(ids), connection=name)
    for name, references in found.again.items():
        logger.info(f"collected again at {name}: {', '.join(references)}")
        count("CasesBehind", len(references), connection=name)
    for name, why in found.unread.items():
        logger.warning(f"the account of {name} was not compared: {why}")
