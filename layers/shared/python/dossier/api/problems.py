"""Errors of the API: ``application/problem+json`` (RFC 9457)."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from dossier.errors import ConfigurationError, InvalidCaseError, ReferenceConflictError, RetryableError
from dossier.steps.resolve import NothingAskedError, UnfitAnswerError

MEDIA_TYPE = "application/problem+json"
_TITLES = {
    400: "The request is wrong",
    404: "Not found",
    409: "The case does not allow it",
    503: "Try again",
}


class Problem(BaseModel):
    """An error response. ``error`` is Dossier's name of the error, ``detail`` says what to do."""

    model_config = ConfigDict(defer_build=True, frozen=True)

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    error: str


class GatewayMessage(BaseModel):
    """API Gateway's own answer, before or instead of the function's."""

    model_config = ConfigDict(defer_build=True, frozen=True)

    message: str | None


class ProblemError(Exception):
    """Ends a request with a problem."""

    def __init__(self, status: int, detail: str, *, error: str) -> None:
        super().__init__(detail)
        self.problem = Problem(title=_TITLES[status], status=status, detail=detail, error=error)


def not_found(detail: str) -> ProblemError:
    """Return the error for something that does not exist."""
    return ProblemError(404, detail, error="NotFound")


def conflict(detail: str, *, error: str = "Conflict") -> ProblemError:
    """Return the error for a request that the case's state does not allow."""
    return ProblemError(409, detail, error=error)


def wrong(detail: str) -> ProblemError:
    """Return the error for a wrong request."""
    return ProblemError(400, detail, error="InvalidRequest")


KNOWN = (InvalidCaseError, ConfigurationError, RetryableError, NothingAskedError, UnfitAnswerError, ProblemError)
"""Errors that are a problem of the caller's; every other one fails the function."""


def problem_of(error: Exception) -> Problem:
    """Return the problem that an error of the steps is."""
    if isinstance(error, ProblemError):
        return error.problem
    statuses = ((ReferenceConflictError, 409), (NothingAskedError, 409), (RetryableError, 503))
    status = next((number for kind, number in statuses if isinstance(error, kind)), 400)
    return Problem(title=_TITLES[status], status=status, detail=str(error), error=type(error).__name__)
