"""The hourly schedule."""

from typing import Any

from dossier import connections
from dossier.bootstrap import context
from dossier.observe import count, logger, observed
from dossier.steps.compare import compare


@observed
def handler(_event: dict[str, Any], _context: Any) -> None:
    """Compare the lists of the vendors' accounts with the recorded ids."""
    found = compare(connections.runtime_names(), context=context())
    for name, ids in found.unknown.items():
        for each in ids:
            logger.warning(f"{each} at {name} was neither submitted nor collected by this stage")
        count("UnknownAtVendor", len(ids), connection=name)
    for name, references in found.again.items():
        logger.info(f"collected again at {name}: {', '.join(references)}")
        count("CasesBehind", len(references), connection=name)
    for name, why in found.unread.items():
        logger.warning(f"cannot compare the account of {name}: {why}")
