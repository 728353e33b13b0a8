"""The one tree of errors, ordered by what the caller can do next.

The state machine matches these class names (``infra/state_machine.py`` takes them from this tree), so a name here is
a contract::

    DossierError
    ├── RetryableError              do it again later, nothing is in doubt
    │   ├── ThrottledError          429, an announced pause, or our own rate limit: the request was not performed
    │   ├── VendorUnavailableError  no connection, 5xx on a safe request, 503: the request was not performed
    │   │   └── StrayAnswerError    a status that says nothing about the case: a gateway's page, a 404 for a new id
    │   ├── NotReadyError           the vendor says: not yet (Ombudsman's 400 while documents are processed)
    │   ├── TruncatedDownloadError  an artifact's bytes ended early or did not match their checksum
    │   ├── LinkExpiredError        a signed artifact URL no longer works: ask for a new one
    │   └── OutcomeUnknownError     the answer to a create or upload was lost: look it up, never repeat it blindly
    ├── NeedsAttentionError         only an operator can tell (`dossier resolve`)
    └── CaseFailedError             the case ends Failed with this reason
        ├── InvalidCaseError        the input is wrong: says what to mend
        │   └── ReferenceConflictError  the reference belongs to a case with other content
        ├── ConfigurationError      a setting or secret is missing or wrong: says what to mend
        │   └── UnauthorizedError   the vendor refused the key (401, 403)
        ├── VendorRejectedError     the vendor refused the request (4xx, in its own words)
        ├── MalformedAnswerError    the vendor's answer is not what its guide describes
        ├── UntrustedUrlError       an artifact URL points where the connection does not allow
        ├── DeadlinePassedError     the vendor did not finish in time
        ├── ParkedError             an operator drains the deployment: `dossier redrive` resumes the case
        └── GivenUpError            an operator gave up on the case
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass


class DossierError(Exception):
    """Base of every error that Dossier raises on purpose; its text is one line for a person to act on."""


class RetryableError(DossierError):
    """The same step may be tried again later; nothing is in doubt."""


class ThrottledError(RetryableError):
    """The request was not performed because of a rate limit.

    ``retry_after`` is the pause in seconds that the vendor (or the connection's own limit) asks for. ``why`` is
    ``pause`` (the vendor's), ``breaker`` (the vendor keeps failing), ``turn`` or ``slot`` (the connection's limits).
    """

    def __init__(self, message: str, *, retry_after: float, why: str = "pause") -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.why = why


class VendorUnavailableError(RetryableError):
    """The vendor could not be reached, or answered that it did not perform the request.

    ``unreachable`` names the failure of the connection, if there was none to the vendor.
    """

    def __init__(self, message: str, *, unreachable: str | None = None) -> None:
        super().__init__(message)
        self.unreachable = unreachable


class StrayAnswerError(VendorUnavailableError):
    """The answer has a status that is no verdict about what was asked for: trouble on the way, as a 5xx is.

    ``worded`` says whether it is in the vendor's own form, which makes it a verdict once it lasts.
    """

    def __init__(self, message: str, *, status: int, worded: bool) -> None:
        super().__init__(message)
        self.status = status
        self.worded = worded


class NotReadyError(RetryableError):
    """The vendor asks to come back later."""


class TruncatedDownloadError(RetryableError):
    """An artifact's bytes ended early, or do not match the checksum that storage announced."""


class LinkExpiredError(RetryableError):
    """A signed artifact URL was refused; a new one has to be asked for."""


class OutcomeUnknownError(RetryableError):
    """The answer to a request that changes something was lost: it may have been performed."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Something that the vendor lists, by which an operator may answer a question: ``dossier resolve … --use ID``."""

    id: str
    name: str = ""
    """What the vendor calls it, or its files; empty where it has no names."""
    created: str = ""
    """When the vendor says that it was created; empty where it does not."""


class NeedsAttentionError(DossierError):
    """Nobody but an operator can tell what happened; the case waits for ``dossier resolve``.

    ``candidates`` are the vendor's ids of all that may be what a lost request made, where they are known. ``choices``
    are what the operator is shown of them.
    """

    def __init__(self, message: str, *, candidates: Iterable[str] = (), choices: Iterable[Choice] = ()) -> None:
        super().__init__(message)
        self.candidates = tuple(candidates)
        self.choices = tuple(choices)


class CaseFailedError(DossierError):
    """The case ends as failed, for the reason in the message."""


class InvalidCaseError(CaseFailedError):
    """The case's input is wrong; the message says what to mend."""


class ReferenceConflictError(InvalidCaseError):
    """The reference is taken by a case with other content."""


class ConfigurationError(CaseFailedError):
    """A setting or a secret of the connection is missing or wrong; the message says what to mend."""


class UnauthorizedError(ConfigurationError):
    """The vendor refused the connection's API key."""


class VendorRejectedError(CaseFailedError):
    """The vendor refused the request; ``status`` is the HTTP status (or the status in the body).

    None where the vendor refused several, each document of a case by itself.
    """

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class MalformedAnswerError(CaseFailedError):
    """The vendor's answer cannot be used: not JSON, or without what its guide promises."""


class UntrustedUrlError(CaseFailedError):
    """A URL that a vendor gave points to a host or a network that the connection does not allow."""


class DeadlinePassedError(CaseFailedError):
    """The vendor did not finish before the wait's deadline."""


class ParkedError(CaseFailedError):
    """The case waited while its deployment was drained; ``dossier redrive`` resumes it."""


class GivenUpError(CaseFailedError):
    """An operator answered an open question with "give up"."""


def tree(root: type[DossierError] = DossierError) -> Iterator[type[DossierError]]:
    """Yield ``root`` and every class below it, parents first."""
    yield root
    for child in root.__subclasses__():
        yield from tree(child)


def retryable_names() -> list[str]:
    """Names of the errors after which the state machine tries a step again, as Step Functions sees them."""
    return sorted(error.__name__ for error in tree(RetryableError))
