"""The tree of errors, ordered by what the caller can do next.

The state machine matches these class names (``infra/case_machine.py`` reads them from this tree), so the names are a
contract::

    DossierError
    ├── RetryableError              try again later; nothing is in doubt
    │   ├── ThrottledError          429, an announced pause, or our own rate limit: the request was not performed
    │   │   └── PausedError         an operator paused the connection: the case waits for `dossier resume`
    │   ├── VendorUnavailableError  no connection, 5xx on a safe request, 503: the request was not performed
    │   │   └── StrayAnswerError    a status that says nothing about the case: a gateway's page, a 404 for a new id
    │   ├── NotReadyError           the vendor is not ready (Ombudsman's 400 while documents are processed)
    │   ├── TruncatedDownloadError  an artifact's bytes ended early or did not match their checksum
    │   ├── LinkExpiredError        a signed artifact URL no longer works: request a new one
    │   └── OutcomeUnknownError     the answer to a create or upload was lost: look it up, never repeat it blindly
    ├── NeedsAttentionError         only an operator can decide (`dossier resolve`)
    └── CaseFailedError             the case fails for this reason, in any step but a poll (``polled_again``)
        ├── InvalidCaseError        the input is wrong: says what to fix
        │   └── ReferenceConflictError  the reference belongs to a case with other content
        ├── ConfigurationError      a setting or secret is missing or wrong: says what to fix
        │   └── UnauthorizedError   the vendor rejected the key (401, 403)
        ├── VendorRejectedError     the vendor rejected the request (4xx, in its form)
        ├── MalformedAnswerError    the vendor's answer is not what its guide describes: a poll asks again
        ├── UntrustedUrlError       an artifact URL points where the connection does not allow
        ├── DeadlinePassedError     the vendor did not finish in time
        ├── ParkedError             an operator drains the stage: `dossier redrive` resumes the case
        └── GivenUpError            an operator gave up on the case
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar

PAUSE_LOOK = 900.0
"""Seconds after which a wait of a paused connection is looked at again; ``dossier resume`` does not wait for that."""


class DossierError(Exception):
    """Base of every error that Dossier raises deliberately; its text is one line that a person can act on."""

    polled_again: ClassVar[bool] = False
    """Whether a case that waits for its vendor goes on waiting: the next poll may get another answer."""


class RetryableError(DossierError):
    """The step can be retried later; nothing is in doubt."""

    polled_again = True


class ThrottledError(RetryableError):
    """The request was not performed because of a rate limit.

    ``retry_after`` is the pause in seconds that the vendor or the connection's limit demands. ``why`` is ``pause`` (the
    vendor's), ``breaker`` (the vendor keeps failing), ``turn`` or ``slot`` (the connection's limits), or ``paused`` (an
    operator's pause).
    """

    def __init__(self, message: str, *, retry_after: float, why: str = "pause") -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.why = why


class PausedError(ThrottledError):
    """An operator has paused the connection, for as long as it takes; the request was not performed.

    The state machine does not retry it: the step waits as a task token, so that a pause may last for days.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message, retry_after=PAUSE_LOOK, why="paused")


class VendorUnavailableError(RetryableError):
    """The vendor could not be reached, or answered that it did not perform the request.

    ``unreachable`` names the network failure, if there was no connection.
    """

    def __init__(self, message: str, *, unreachable: str | None = None) -> None:
        super().__init__(message)
        self.unreachable = unreachable


class StrayAnswerError(VendorUnavailableError):
    """The answer's status does not decide about the request, such as a gateway's 404.

    ``worded`` is True if the answer is in the vendor's form; then it counts as a rejection once it lasts.
    """

    def __init__(self, message: str, *, status: int, worded: bool) -> None:
        super().__init__(message)
        self.status = status
        self.worded = worded


class NotReadyError(RetryableError):
    """The vendor asks to try again later."""


class TruncatedDownloadError(RetryableError):
    """An artifact's bytes ended early, or do not match the checksum that storage announced."""


class LinkExpiredError(RetryableError):
    """Storage rejected a signed artifact URL; a new one has to be requested."""


class OutcomeUnknownError(RetryableError):
    """The answer to a request that changes something was lost: it may have been performed."""


@dataclass(frozen=True, slots=True)
class Choice:
    """An entry of the vendor's list that may answer a question: ``dossier resolve … --use ID``."""

    id: str
    name: str = ""
    """The vendor's name for it, or its files' names; may be empty."""
    created: str = ""
    """When it was created according to the vendor, in ISO 8601; may be empty."""


class NeedsAttentionError(DossierError):
    """Only an operator can decide what happened; the case waits for ``dossier resolve``.

    ``candidates`` are the vendor ids that a lost request may have created, if known. ``choices`` describe them for the
    operator.
    """

    def __init__(self, message: str, *, candidates: Iterable[str] = (), choices: Iterable[Choice] = ()) -> None:
        super().__init__(message)
        self.candidates = tuple(candidates)
        self.choices = tuple(choices)


class CaseFailedError(DossierError):
    """The case ends as failed, for the reason in the message."""


class InvalidCaseError(CaseFailedError):
    """The case's input is wrong; the message says what to fix.

    ``problems`` are the lines about single documents, if the message consists of these.
    """

    def __init__(self, message: str, *, problems: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.problems = tuple(problems)


class ReferenceConflictError(InvalidCaseError):
    """A case with other content has the reference."""


class ConfigurationError(CaseFailedError):
    """A setting or secret of the connection is missing or wrong; the message says what to fix."""


class UnauthorizedError(ConfigurationError):
    """The vendor rejected the connection's API key."""


class VendorRejectedError(CaseFailedError):
    """The vendor rejected the request; ``status`` is the HTTP status or the status in the body.

    ``status`` is None if the vendor rejected each document of a case by itself.
    """

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class MalformedAnswerError(CaseFailedError):
    """The vendor's answer is unusable: not JSON, or without a field that its guide promises.

    A step that acts on it fails its case. A poll only learns nothing from it, so it asks again until its deadline.
    """

    polled_again = True


class UntrustedUrlError(CaseFailedError):
    """A URL from a vendor points to a host or network that the connection does not allow."""


class DeadlinePassedError(CaseFailedError):
    """The vendor did not finish before the wait's deadline."""


class ParkedError(CaseFailedError):
    """The case was waiting while its stage was drained; ``dossier redrive`` resumes it."""


class GivenUpError(CaseFailedError):
    """An operator answered a question with "give up"."""


def tree(root: type[DossierError] = DossierError) -> Iterator[type[DossierError]]:
    """Yield ``root`` and all its subclasses, parents first."""
    yield root
    for child in root.__subclasses__():
        yield from tree(child)


def retryable_names() -> list[str]:
    """Return the names of the errors after which the state machine retries a step."""
    return sorted(error.__name__ for error in tree(RetryableError))
