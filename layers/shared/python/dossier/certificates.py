"""Certificates of erasure: a chain that anybody can check with nothing but the files and SHA-256.

Each certificate has the digest of its own content and that of the certificate before it, so that none can be changed,
removed or inserted without a break in the chain. The digest of the latest one, noted anywhere else (a ticket, a mail),
proves all before it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dossier.models import CaseId

FIRST = "0" * 64
"""The first certificate's value for the digest of the one before."""


def forgotten_as(case: CaseId) -> str:
    """Return the digest by which an erased case is known, without its reference."""
    return hashlib.sha256(json.dumps(["dossier", "forgotten", *case]).encode()).hexdigest()


def digest_of(certificate: Mapping[str, Any]) -> str:
    """Return the digest of a certificate's content: its JSON with sorted keys and no blanks, without ``sha256``."""
    content = {name: value for name, value in certificate.items() if name != "sha256"}
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def sealed(content: Mapping[str, Any], *, number: int, previous: str) -> dict[str, Any]:
    """Return a certificate: its content, its place in the chain, and its digest."""
    certificate = {**content, "number": number, "previous": previous}
    return {**certificate, "sha256": digest_of(certificate)}


def problems(certificates: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return what is wrong with a chain of certificates, given in any order; an empty list if nothing is."""
    found, before = [], None
    for each in sorted(certificates, key=lambda one: int(one.get("number", 0))):
        name, number = each.get("id", "?"), int(each.get("number", 0))
        if digest_of(each) != each.get("sha256"):
            found.append(f"certificate {number} ({name}) was changed: its content has another sha256")
        if before is None and number == 1 and each.get("previous") != FIRST:
            found.append(f"certificate 1 ({name}) names another one before it")
        if before is not None and number == int(before["number"]):
            found.append(f"there are two certificates {number}: {before.get('id')} and {name}")
        elif before is not None and number == int(before["number"]) + 1 and each.get("previous") != before["sha256"]:
            found.append(f"certificate {number} ({name}) does not follow certificate {before['number']}")
        elif number > (int(before["number"]) if before is not None else 0) + 1:
            first = int(before["number"]) + 1 if before is not None else 1
            lacking = str(first) if number - 1 == first else f"{first} to {number - 1}"
            found.append(f"certificates are missing: {lacking}")
        before = each
    return found
