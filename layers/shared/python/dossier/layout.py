"""The layout of the artifact bucket: every prefix and key of S3 in one place. The keys are part of the contract.

::

    staging/<connection>/…                      files that the CLI uploads, until Accept copies them
    uploads/…                                   files of callers, for every connection
    inbox/<connection>/…                        drops; inbox-waiting/ and inbox-refused/ have notes about them
    cases/<connection>/<reference>/documents/ the submitted documents
                                  /artifacts/   the vendor's files
                                  /vendor/      the vendor's raw answers
                                  /result.json, manifest.json
                                  /revisions/<n>/result.json, manifest.json
    collecting/<connection>/<reference>/<id>/   artifacts and raw answers of a later collection, until it is published
    batches/<id>/…                              the cases of a batch, its runs, and their outcomes
    tables/results|fields/month=<yyyy-mm>/      results for SQL (``dossier export --format tables``)
    webhooks/<connection>/<yyyy>/<mm>/<dd>/     deliveries; also webhooks-refused/, webhooks-seen/
    erasures/<id>.json                          certificates of erased cases
    costs/<yyyy-mm>.json                        the cost of a month, without references
    audit/<yyyy>/<mm>/<dd>/<id>.json            who did what in the console
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from dossier.models import CaseId

STAGING = "staging/"
UPLOADS = "uploads/"
CASES = "cases/"
COLLECTING = "collecting/"
"""Prefix of the files of a later collection, until it is published."""
BATCHES = "batches/"
TABLES = "tables/"
"""Prefix of the copies of results that SQL reads."""
INBOX = "inbox/"
"""Prefix of drops: ``inbox/<connection>/…``."""
INBOX_WAITING = "inbox-waiting/"
"""Prefix of notes about drops that wait for files."""
INBOX_REFUSED = "inbox-refused/"
"""Prefix of notes about rejected drops. They are outside the inbox, so that a note is not a drop itself."""
DELIVERIES = "webhooks/"
DELIVERIES_REFUSED = "webhooks-refused/"
DELIVERIES_SEEN = "webhooks-seen/"
"""Prefix of the digests of deliveries, to recognize a repeated one."""
ERASURES = "erasures/"
"""Prefix of the certificates of erased cases."""
COSTS = "costs/"
"""Prefix of the months' costs."""
AUDIT = "audit/"
"""Prefix of the trail of the console's actions."""
CASE_FILE = "case.json"
"""The file that makes a folder of the inbox a case."""

TAG = "dossier"
"""The tag of every object of a case, with its kind as the value; the bucket's lifecycle rules use it."""
DOCUMENTS, ARTIFACTS, RAW, RESULTS = "documents", "artifacts", "raw", "results"
PASSING = "passing"
"""The tag's value for a raw answer of a connection that keeps none (``keep_raw = false``)."""
_KINDS = {"documents": DOCUMENTS, "artifacts": ARTIFACTS, "vendor": RAW}
"""Kinds by subfolder of a case; everything else is a result."""


def folder(case: CaseId) -> str:
    """Return the prefix of a case, ending in ``/``."""
    return f"{CASES}{case.connection}/{case.reference}/"


def collection_folder(case: CaseId, collection: str = "") -> str:
    """Return the prefix of a collection's objects: the case's folder for the first, a temporary one for later ones."""
    return f"{COLLECTING}{case.connection}/{case.reference}/{collection}/" if collection else folder(case)


def document_key(case: CaseId, name: str) -> str:
    """Return the key of a document; with an empty name, the prefix of all."""
    return f"{folder(case)}documents/{name}"


def artifact_key(case: CaseId, name: str, collection: str = "") -> str:
    """Return the key of an artifact of a collection; with an empty name, the prefix of all."""
    return f"{collection_folder(case, collection)}artifacts/{name}"


def vendor_key(case: CaseId, what: str, collection: str = "") -> str:
    """Return the key of the vendor's raw answer in a collection."""
    from dossier.names import safe_name  # noqa: PLC0415 -- not for the webhook's cold start

    return f"{vendor_folder(case, collection)}{safe_name(what)}.json"


def vendor_folder(case: CaseId, collection: str = "") -> str:
    """Return the prefix of the vendor's raw answers in a collection."""
    return f"{collection_folder(case, collection)}vendor/"


def result_key(case: CaseId, revision: int | None = None) -> str:
    """Return the key of a case's ``result.json``, or of a revision's."""
    return f"{_outcome(case, revision)}result.json"


def manifest_key(case: CaseId, revision: int | None = None) -> str:
    """Return the key of a case's ``manifest.json``, or of a revision's."""
    return f"{_outcome(case, revision)}manifest.json"


def _outcome(case: CaseId, revision: int | None) -> str:
    return folder(case) + ("" if revision is None else f"revisions/{revision}/")


def kind_of(key: str) -> str | None:
    """Return the kind of a case's object for the retention settings; None for any other object."""
    match key.split("/"):
        case ["cases", _, _, subfolder, *rest]:
            return _KINDS.get(subfolder, RESULTS) if rest else RESULTS
    return None


def table_folder(table: str) -> str:
    """Return the prefix of a table's files, ending in ``/``."""
    return f"{TABLES}{table}/"


def table_key(table: str, month: str, connection: str) -> str:
    """Return the key of a table's file: the cases of a connection that were submitted in a month (``2026-01``)."""
    return f"{table_folder(table)}month={month}/{connection}.jsonl"


def costs_key(month: str) -> str:
    """Return the key of the cost of a month (``2026-01``)."""
    return f"{COSTS}{month}.json"


def audit_key(at: datetime, entry: str) -> str:
    """Return the key of an entry of the console's trail by its time (UTC) and id."""
    return f"{AUDIT}{at:%Y/%m/%d}/{entry}.json"
