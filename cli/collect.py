"""``dossier collect``: collects cases, documents and batches that Dossier did not submit."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from cli.deliveries import moment_of
from cli.deployed import settings_file, settings_of
from cli.errors import BadUsageError, CommandError
from cli.output import Output
from cli.target import Target
from dossier import vendors
from dossier.errors import InvalidCaseError, MalformedAnswerError, StrayAnswerError, VendorRejectedError
from dossier.models import CaseId, CaseInput
from dossier.settings import Connection
from dossier.steps.compare import SETTLED
from dossier.steps.identity import execution_name, reference_of_id
from dossier.texts import counted


def collect(
    out: Output, where: Target, connection: str, ids: Sequence[str], *, since: str | None, reference: str | None
) -> None:
    """Start a collecting case for each id that does not belong to a case yet.

    An id names a vendor's case. At a vendor without cases it names a document, or a job with several documents.

    Raises:
        BadUsageError: no id is given, or an id cannot be collected; nothing was started.
        CommandError: the connections file does not describe the connection.

    """
    where.require(connection)
    settings = settings_of(where).get(connection)
    if settings is None:
        raise CommandError(f"[{connection}] is not in {settings_file(where)}: name its file in DOSSIER_CONNECTIONS")
    if not ids and since is None:
        raise BadUsageError("there is nothing to collect: give ids, or --since WHEN")
    wanted = [*ids, *(_since(where, settings, since) if since else ())]
    where.app.cases.require_open()
    if reference is not None and len(wanted) != 1:
        raise BadUsageError(f"--reference names one case, but there are {len(wanted)} ids to collect")
    cases = [_case(where, settings, each, parts, reference) for each, parts in _parts(where, settings, wanted).items()]
    started = [_start(where, *each) for each in cases]
    out.document(started)
    out.table(("ID", "REFERENCE", "OUTCOME"), [(each["id"], each["reference"], each["outcome"]) for each in started])
    out.progress(f"{counted(sum(each['outcome'] == 'started' for each in started), 'case')} started")


def _since(where: Target, settings: Connection, since: str) -> list[str]:
    """Return the ids that the account's list dates since then and that belong to no case here."""
    vendor = vendors.vendor(settings)
    if not vendor.lists:
        raise BadUsageError(f"{settings.vendor} has no list of cases: give ids")
    intents, begin = where.app.intents, moment_of(since)
    # An id is recorded after it was created: ids recorded shortly before show how far off the vendor's clock is.
    flow = vendor.created(begin, intents.recorded(settings.name, begin - SETTLED))
    created = where.app.transport.run(flow, vendor=vendor)
    return [name for name, at in created.items() if at >= begin and intents.owner(settings.name, name) is None]


def _parts(where: Target, settings: Connection, ids: Sequence[str]) -> Mapping[str, list[str]]:
    """Return the documents of each id at a vendor without cases; no documents at a vendor with cases."""
    if "results" in vendors.vendor(settings).phases:
        return {each: [] for each in ids}
    found = _jobs(where, settings) if ids else {}
    return {each: found.get(each, [each]) for each in ids}


def _jobs(where: Target, settings: Connection) -> Mapping[str, list[str]]:
    """Return the documents of each job; empty if the vendor has no list, because the ids are then documents'."""
    listed = vendors.jobs(settings.vendor)
    if listed is None:
        return {}
    try:
        return where.app.transport.run(listed(settings), vendor=vendors.vendor(settings))
    except (VendorRejectedError, MalformedAnswerError):
        return {}
    except StrayAnswerError as error:
        if not error.worded:  # a gateway's: it says nothing about the list
            raise
        return {}


def _case(
    where: Target, settings: Connection, id_: str, parts: Sequence[str], reference: str | None
) -> tuple[str, str, CaseInput | None]:
    """Return an id, its reference, and the case to start; None if the id belongs to a case already."""
    owners = {owner for each in (id_, *parts) if (owner := where.app.intents.owner(settings.name, each))}
    if owners:
        names = ", ".join(sorted(owners))
        if reference is not None and reference not in owners:
            raise BadUsageError(f"{id_} belongs to case {names} already: leave out --reference")
        return id_, names, None
    data: dict[str, Any] = {"connection": settings.name, "reference": reference or reference_of_id(id_)}
    data |= {"document_ids": list(parts)} if parts else {"case_id": id_}
    try:
        return id_, data["reference"], CaseInput.parse(data, wrong="")
    except InvalidCaseError as error:
        raise BadUsageError(str(error)) from None


def _start(where: Target, id_: str, reference: str, case: CaseInput | None) -> dict[str, Any]:
    if case is None:
        return {"id": id_, "reference": reference, "outcome": "known", "execution_arn": None}
    digest = hashlib.sha256(id_.encode()).hexdigest()
    data = case.model_dump(mode="json", exclude_defaults=True)
    arn = where.app.executions.start(execution_name(CaseId(case.connection, reference), digest), data)
    return {"id": id_, "reference": reference, "outcome": "started", "execution_arn": arn}
