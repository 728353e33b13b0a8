"""The errors that end a command: one line for a person, and an exit code.

Exit codes are a contract: 0 done, 1 the case (or the operation) failed, 2 bad usage, 3 not finished in time, 4 an
operator has to answer first.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from typing import Any

from cli.text import clean

FAILED, BAD_USAGE, NOT_FINISHED, NEEDS_ANSWER = 1, 2, 3, 4
INTERRUPTED = 130
"""The shells' code for a command that Ctrl-C ended: 128 plus the signal's number."""

_LOGIN = "set AWS credentials (AWS_PROFILE, `aws sso login`), or start the local AWS with `dossier up`"


class CommandError(Exception):
    """Ends a command.

    Attributes:
        code: the exit code.
        kind: the ``type`` that ``--json`` prints: the error's class name, from ``dossier.errors`` where it has one.
        fix: what to do, as a command or a short instruction; None if the message includes it.
        details: more lines about it, in their order.
        document: the keys that ``--json`` prints beside ``error``.

    """

    code = FAILED

    def __init__(
        self,
        message: str,
        *,
        fix: str | None = None,
        kind: str | None = None,
        details: Sequence[str] = (),
        document: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.details = [*details]
        self.kind = kind or type(self).__name__
        self.fix = fix
        self.document = document or {}

    @property
    def message(self) -> str:
        """What is wrong, as one line."""
        return clean(str(self)).strip()

    @property
    def line(self) -> str:
        """What is wrong and how to fix it, as one line."""
        if not self.fix:
            return self.message
        return f"{self.message}{' ' if self.message.endswith(('.', '?', '!')) else ': '}{clean(self.fix)}"

    def as_json(self) -> dict[str, Any]:
        """Return what ``--json`` prints: ``error`` with ``type``, ``message`` and ``fix``, and the document's keys."""
        document = {"details": self.details, **self.document} if self.details else self.document
        return {**document, "error": {"type": self.kind, "message": self.message, "fix": self.fix}}


class BadUsageError(CommandError):
    """An argument or option is invalid."""

    code = BAD_USAGE


class NotFinishedError(CommandError):
    """The case or operation did not finish in time."""

    code = NOT_FINISHED


class NeedsAnswerError(CommandError):
    """The case waits for an operator's answer."""

    code = NEEDS_ANSWER


class InterruptedCommandError(CommandError):
    """The user interrupted the command (Ctrl-C)."""

    code = INTERRUPTED


def explain(error: Exception) -> CommandError:
    """Convert any error into one that can be printed."""
    if isinstance(error, CommandError):
        return error
    cause = error.__cause__ or error.__context__  # Powertools wraps errors of AWS
    known = _of_dossier(error) or _of_aws(error) or (_of_aws(cause) if isinstance(cause, Exception) else None)
    if known is not None:
        return known
    if isinstance(error, OSError) and error.strerror:
        return CommandError(f"{error.filename}: {error.strerror}" if error.filename else error.strerror)
    return CommandError(f"unexpected error: {type(error).__name__}: {error} (DOSSIER_DEBUG=1 prints the traceback)")


def _of_dossier(error: Exception) -> CommandError | None:
    local, errors = sys.modules.get("local.home"), sys.modules.get("dossier.errors")
    if local and isinstance(error, local.LocalError):
        kind = None
    elif errors and isinstance(error, errors.DossierError):
        kind = type(error).__name__
    else:
        return None
    first, *details = str(error).splitlines() or [""]  # each wrong setting is one line
    return CommandError(first, kind=kind, details=details)


def _of_aws(error: Exception) -> CommandError | None:
    """Explain an error of botocore's by its name: its classes do not group errors by their fix."""
    botocore = sys.modules.get("botocore.exceptions")
    if not botocore or not isinstance(error, botocore.BotoCoreError | botocore.ClientError):
        return None
    if isinstance(error, botocore.ClientError):
        answer = error.response.get("Error", {})
        return _denial(answer, error.operation_name) or CommandError(_refusal(answer, error.operation_name))
    name = type(error).__name__
    if "Credential" in name or "Token" in name or "SSO" in name or name == "ProfileNotFound":
        return CommandError(f"no valid AWS credentials ({error})", fix=_LOGIN)
    if name == "NoRegionError":
        return CommandError("no AWS region is set", fix="set AWS_REGION, or start the local AWS with `dossier up`")
    if isinstance(error, botocore.HTTPClientError | botocore.ConnectionError):
        fix = "check the network, or run `dossier up` for the local AWS"
        return CommandError(f"AWS cannot be reached ({error})", fix=fix)
    return CommandError(f"AWS: {error}")


_DENIED = {"AccessDenied", "AccessDeniedException", "AuthorizationError", "Forbidden", "403"}
_DENIAL = re.compile(
    r"User: (?P<who>\S+) is not authorized to perform: (?P<action>[\w:*-]+)"
    r"(?: on (?:resource: )?\"?(?P<resource>arn:[^\s\"]+)\"?)?(?P<why>.*)",
    re.DOTALL,
)
_SILENT = {
    "HeadBucket": "s3:ListBucket",
    "ListObjectsV2": "s3:ListBucket",
    "HeadObject": "s3:GetObject, s3:GetObjectVersion or s3:ListBucket",
    "GetObject": "s3:GetObject",
    "PutObject": "s3:PutObject",
}
"""The permission for each S3 request whose denial does not name it. The answer to a ``HEAD`` request has no body, and
is a 404 for a missing object only if the caller may list the bucket; callers of another account get "Access Denied"
(https://docs.aws.amazon.com/AmazonS3/latest/userguide/troubleshoot-403-errors.html)."""
_POLICIES = "`dossier policy` prints what each role needs (docs/permissions.md)"


def _denial(answer: dict[str, str], operation: str) -> CommandError | None:
    """Explain a call that the caller has no permission for; None for any other error."""
    if answer.get("Code", "?") not in _DENIED:
        return None
    message = " ".join(answer.get("Message", "").split())
    found = _DENIAL.search(message)
    if found is None and operation not in _SILENT:
        return CommandError(f"AWS refused {operation}: a permission is missing ({message})", fix=_POLICIES)
    action = found["action"] if found else _SILENT[operation]
    on = f" on {found['resource']}" if found and found["resource"] else ""
    if found and "explicit deny" in found["why"]:
        return CommandError(
            f"AWS refused {operation}: {action}{on} is denied{found['why'].rstrip('.')}",
            fix="ask the administrator of your AWS account",
        )
    by = f" of {found['who']}" if found else ""
    return CommandError(f"AWS refused {operation}: the permission{by} is missing: {action}{on}", fix=_POLICIES)


def _refusal(answer: dict[str, str], operation: str) -> str:
    code, message = answer.get("Code", "?"), answer.get("Message", "")
    if code in {"ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "UnrecognizedClientException"}:
        return f"AWS does not accept the credentials ({code}): {_LOGIN}"
    return f"AWS refused {operation}: {code}: {message}"


def denied(error: Exception) -> CommandError | None:
    """Explain an error that a missing permission of the user caused; None for any other error."""
    botocore, cause = sys.modules.get("botocore.exceptions"), error.__cause__
    if not botocore or not isinstance(cause, botocore.ClientError):
        return None
    return _denial(cause.response.get("Error", {}), cause.operation_name)
