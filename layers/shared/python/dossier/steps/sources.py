"""Sources: which objects a case may name as its documents. Accept and Drop check this before they read anything."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from urllib.parse import unquote, urlsplit

from dossier.addresses import is_of_the_inside
from dossier.errors import InvalidCaseError
from dossier.layout import CASES, INBOX, STAGING, UPLOADS
from dossier.models import CaseInput
from dossier.settings import Connection
from dossier.stores.objects import split_uri
from dossier.texts import leads_elsewhere, line

OWN = tuple(each.rstrip("/") for each in (STAGING, INBOX, CASES))
"""Folders of the artifact bucket that have a folder per connection: ``staging/<connection>/`` and so on."""

_ANOTHER_WAY = re.compile(r"arn:|.*(-s3alias|--ol-s3|--x-s3|--table-s3|\.mrap)\.*\Z", re.IGNORECASE)
"""ARNs and aliases of access points, which may lead into any bucket
(https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html, reserved suffixes)."""
_BUCKET = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,253}[A-Za-z0-9_])?")
"""Valid names of buckets, including former ones: no port, and no dot at the end, which a resolver ignores."""
LONGEST_PROBLEMS = 900
"""Most characters of a case's document errors; a reason has 1,000."""
_UNQUOTED = 3
"""How often a key is percent-decoded, because servers on the way may do so."""


def check_sources(case: CaseInput, *, bucket: str, connection: Connection) -> None:
    """Check that a case only names documents that its submitter may use, whether Dossier or the vendor reads them.

    In the artifact bucket these are objects in ``uploads/`` and in the connection's own folders. A drop may only use
    its own file or the files of its folder. ``document_sources`` of the connection restricts other buckets.

    Raises:
        InvalidCaseError: names each document in another place, and the allowed places.

    """
    problems = []
    for document in case.documents:
        try:
            if document.uri[:5].lower() == "s3://":
                _check(document.uri, case, bucket, connection)
            elif document.uri.startswith(("https://", "http://")) and not connection.allow_insecure:
                _check_url(document.uri)
        except InvalidCaseError as error:
            problems.append(str(error))
    if problems:
        raise InvalidCaseError(together(problems))


def _check(uri: str, case: CaseInput, own: str, connection: Connection) -> None:
    bucket, key = split_uri(f"s3://{uri[5:]}")
    shown = _named(uri)
    if _ANOTHER_WAY.match(bucket):
        raise InvalidCaseError(f"{shown}: name the bucket itself, not an access point of it")
    if not _BUCKET.fullmatch(bucket):
        raise InvalidCaseError(f"{shown}: this is not the name of a bucket: write s3://bucket/key")
    if any(leads_elsewhere(form) for form in _forms(key)):
        raise InvalidCaseError(f'{shown}: a part of its key is "." or "..": put it under a plain key')
    if bucket.casefold() == own.casefold() and bucket != own:
        raise InvalidCaseError(f"{shown}: there is no such bucket: write {own}")
    if case.drop is not None:
        place = _dropped(case.drop.key, case.connection)
        if bucket != own or not (key.startswith(place) if place.endswith("/") else key == place):
            raise InvalidCaseError(f"{shown}: the documents of a drop must be in {place}: drop the file there")
    elif bucket == own:
        allowed = (UPLOADS, *(f"{folder}/{case.connection}/" for folder in OWN))
        if not key.startswith(allowed):
            raise InvalidCaseError(
                f"{shown}: documents of {case.connection} must be in {', '.join(allowed)}: put it into {UPLOADS}"
            )
    elif (sources := connection.document_sources) is not None:
        place = f"{bucket}/{key}"
        if not any(place.startswith(each if "/" in each else f"{each}/") for each in sources):
            known = ", ".join(sources) or "none"
            raise InvalidCaseError(f"{shown}: document_sources of the connection allows {known}, and not this place")


def _named(uri: str) -> str:
    """Return a document's name in a problem, without its query, which may contain a signature."""
    return f"document {line(uri.partition('?')[0], len(uri))}"


def _check_url(uri: str) -> None:
    """Reject a URL for the vendor to read whose host is not public: Dossier must not lead the vendor there."""
    try:
        host = urlsplit(uri).hostname or ""
    except ValueError:
        host = ""
    if "\\" in uri or not uri.isprintable() or is_of_the_inside(host):
        raise InvalidCaseError(
            f"{_named(uri)}: its host is not one of the public internet: put the file into S3 and write s3://bucket/key"
        )


def _dropped(key: str, connection: str) -> str:
    """Return the folder that was dropped, ending in ``/``, or the one file."""
    home = f"{INBOX}{connection}/"
    folder, slash, _ = key.removeprefix(home).partition("/")
    if not key.startswith(home) or not folder or folder in {".", ".."}:
        raise InvalidCaseError(f"the drop {key} is in the inbox of another connection: leave out drop")
    return f"{home}{folder}{slash}"


def _forms(key: str) -> list[str]:
    """Return a key as others may read it: percent-decoded, without invisible characters, case-folded."""
    forms = [key]
    for _ in range(_UNQUOTED):
        forms.append(unquote(forms[-1]))
    seen = ["".join(each for each in form if unicodedata.category(each) not in {"Cc", "Cf"}) for form in forms]
    return list(dict.fromkeys([*forms, *(unicodedata.normalize("NFKC", form) for form in seen)]))


def together(problems: Sequence[str]) -> str:
    """Return several problems as one line, without cutting one in the middle."""
    shown = list(problems)
    while len(shown) > 1 and len("; ".join(shown)) > LONGEST_PROBLEMS:
        shown.pop()
    more = len(problems) - len(shown)
    return "; ".join([*shown, *([f"and {more} more of the documents"] if more else [])])
