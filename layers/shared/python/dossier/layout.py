"""The layout of the artifact bucket: every prefix and key of S3 in one place. The keys are part of the contract.

::

    staging/<connection>/…                      files that the CLI uploads, until Accept copies them
    uploads/…                                   files of callers, for every connection
    inbox/<connection>/…                        drops; inbox-waiting/ and inbox-refused/ say what becomes of one
    cases/<connection>/<reference>/documents/   what was submitted
                                  /artifacts/   the vendor's files
                                  /vendor/      the vendor's raw answers
                                  /result.json, manifest.json
                                  /revisions/<n>/result.json, manifest.json
    collecting/<connection>/<reference>/<id>/   artifacts and raw answers of a later collection, until it is published
    batches/<id>/…                              the cases of a batch, its runs, and what became of them
    webhooks/<connection>/<yyyy>/<mm>/<dd>/     deliveries; also webhooks-refused/, webhooks-seen/
    erasures/<id>.json                          certificates of erased cases
"""

from __future__ import annotations

STAGING = "staging/"
UPLOADS = "uploads/"
CASES = "cases/"
COLLECTING = "collecting/"
"""Prefix of what a later collection of a case reads, until it is published."""
BATCHES = "batches/"
INBOX = "inbox/"
"""Prefix of drops: ``inbox/<connection>/…``."""
INBOX_WAITING = "inbox-waiting/"
"""Prefix of notes that say what a drop waits for."""
INBOX_REFUSED = "inbox-refused/"
"""Prefix of notes that say why a drop was rejected. They are outside the inbox, so writing one is no drop."""
DELIVERIES = "webhooks/"
DELIVERIES_REFUSED = "webhooks-refused/"
DELIVERIES_SEEN = "webhooks-seen/"
"""Prefix of the digests of deliveries, to recognize a repeated one."""
ERASURES = "erasures/"
"""Prefix of the certificates of erased cases."""
CASE_FILE = "case.json"
"""The file that makes a folder of the inbox a case."""

TAG = "dossier"
"""The tag of every object of a case, with its kind as the value; the bucket's lifecycle rules use it."""
DOCUMENTS, ARTIFACTS, RAW, RESULTS = "documents", "artifacts", "raw", "results"
_KINDS = {"documents": DOCUMENTS, "artifacts": ARTIFACTS, "vendor": RAW}
"""Kinds by subfolder of a case; everything else is a result."""


def folder(connection: str, reference: str) -> str:
    """Return the prefix of a case, ending in ``/``."""
    return f"{CASES}{connection}/{reference}/"


def shelf(connection: str, reference: str, collection: str = "") -> str:
    """Return the prefix of a collection's objects: the case's folder for the first, a temporary one for later ones."""
    return f"{COLLECTING}{connection}/{reference}/{collection}/" if collection else folder(connection, reference)


def document_key(connection: str, reference: str, name: str) -> str:
    """Return the key of a document; with an empty name, the prefix of all."""
    return f"{folder(connection, reference)}documents/{name}"


def artifact_key(connection: str, reference: str, name: str, collection: str = "") -> str:
    """Return the key of an artifact of a collection; with an empty name, the prefix of all."""
    return f"{shelf(connection, reference, collection)}artifacts/{name}"


def vendor_key(connection: str, reference: str, what: str, collection: str = "") -> str:
    """Return the key of the vendor's raw answer in a collection."""
    from dossier.names import safe_name  # noqa: PLC0415 -- not for the webhook's cold start

    return f"{vendor_folder(connection, reference, collection)}{safe_name(what)}.json"


def vendor_folder(connection: str, reference: str, collection: str = "") -> str:
    """Return the prefix of the vendor's raw answers in a collection."""
    return f"{shelf(connection, reference, collection)}vendor/"


def result_key(connection: str, reference: str, revision: int | None = None) -> str:
    """Return the key of a case's ``result.json``, or of a revision's."""
    return f"{_outcome(connection, reference, revision)}result.json"


def manifest_key(connection: str, reference: str, revision: int | None = None) -> str:
    """Return the key of a case's ``manifest.json``, or of a revision's."""
    return f"{_outcome(connection, reference, revision)}manifest.json"


def _outcome(connection: str, reference: str, revision: int | None) -> str:
    return folder(connection, reference) + ("" if revision is None else f"revisions/{revision}/")


def kind_of(key: str) -> str | None:
    """Return the kind of a case's object for the retention settings; None for any other object."""
    match key.split("/"):
        case ["cases", _, _, subfolder, *rest]:
            return _KINDS.get(subfolder, RESULTS) if rest else RESULTS
    return None
