"""The effect of each fault, in one line: ``dossier sandbox fault list`` prints it."""

from local.sandbox.settings import FaultName

WHAT_HAPPENS: dict[FaultName, str] = {
    "throttle": "answers 429 with Retry-After, and 429 to every call until the pause is over",
    "error_before": "answers 5xx, and does nothing",
    "error_after": "does the work, and answers 5xx",
    "lost_before": "resets the connection, and does nothing",
    "lost_after": "does the work, and resets the connection: the answer is lost",
    "late": "resets the connection, and does the work some time later",
    "slow": "answers with a delay",
    "truncated": "cuts a download or the JSON of a document short",
    "html": "answers with an HTML page in place of JSON, with 200 or 502",
    "stray_status": "answers with a page and a status of a gateway, such as 404 or 302",
    "partial_content": "answers a download with a part of the file, or with an empty body",
    "stored_gzip": "serves a download with the checksum of the compressed file, as Google's storage does",
    "odd_encoding": "answers with an invalid Content-Encoding, or compressed twice",
    "expired_400": "storage reports a link as expired (400) too early",
    "long_text": "answers with an error text, or a status, of 500 KB",
    "retry_after": "answers 503 with Retry-After, and 503 to every call until the pause is over",
    "redirect": "redirects a GET",
    "webhook_lost": "does not send a webhook delivery",
    "webhook_doubled": "sends a webhook delivery twice",
    "webhook_reordered": "sends a webhook delivery late, after later ones",
    "webhook_forged": "sends another delivery, with a valid signature, about something unfinished",
    "renamed": "stores an uploaded file under another name",
    "listed_late": "leaves an uploaded file out of lists for some seconds",
    "clock": "has a clock that is off by seconds or hours",
    "zoneless": "writes times without a zone",
}
