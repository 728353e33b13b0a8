"""How a command ends that does not succeed: one line for a person, and an exit code.

Exit codes are a contract: 0 done, 1 the case (or the operation) failed, 2 bad usage, 3 not finished in time, 4 an
operator has to answer first.
"""

from __future__ import annotations

import sys
from typing import Any

from cli.text import clean

FAILED, BAD_USAGE, NOT_FINISHED, NEEDS_ANSWER = 1, 2, 3, 4
INTERRUPTED = 130
"""As shells have it for a command that Ctrl-C ended: 128 and the signal's number."""

_LOGIN = "set AWS credentials (AWS_PROFILE, `aws sso login`), or start the local AWS with `dossier up`"


class CommandError(Exception):
    """Ends a command.

    Attributes:
        code: the exit code.
        kind: the ``type`` that ``--json`` prints: the class name of the error, of Dossier's own tree where it has one.
        fix: what to do about it, as a command or a short instruction; None where the message says all there is to say.
        document: what ``--json`` prints beside ``error``.

    """

    code = FAILED

    def __init__(
        self, message: str, *, fix: str | None = None, kind: str | None = None, document: dict[str, Any] | None = None
    ) -> None:
        super().__init__(message)
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
        return f"{self.message}: {clean(self.fix)}" if self.fix else self.message

    def as_json(self) -> dict[str, Any]:
        """Return what ``--json`` prints: ``error`` with ``type``, ``message`` and ``fix``, and the document's keys."""
        return {**self.document, "error": {"type": self.kind, "message": self.message, "fix": self.fix}}


class BadUsageError(CommandError):
    """The command was given something that it cannot work with."""

    code = BAD_USAGE


class NotFinishedError(CommandError):
    """What the command waits for did not happen in time."""

    code = NOT_FINISHED


class NeedsAnswerError(CommandError):
    """The case waits for an operator's answer."""

    code = NEEDS_ANSWER


class InterruptedCommandError(CommandError):
    """The user interrupted the command (Ctrl-C)."""

    code = INTERRUPTED


def explain(error: Exception) -> CommandError:
    """Return any error that ended a command as one that can be printed."""
    if isinstance(error, CommandError):
        return error
    return _of_dossier(error) or _of_aws(error) or _of_the_system(error)


def _of_dossier(error: Exception) -> CommandError | None:
    local = sys.modules.get("local.home")
    if local and isinstance(error, local.LocalError):
        return CommandError(str(error))
    errors = sys.modules.get("dossier.errors")
    if not errors or not isinstance(error, errors.DossierError):
        return None
    return CommandError(str(error), kind=type(error).__name__)


def _of_aws(error: Exception) -> CommandError | None:
    """Explain an error of botocore's, by name: its tree has no branches that say what to fix."""
    botocore = sys.modules.get("botocore.exceptions")
    if not botocore or not isinstance(error, botocore.BotoCoreError | botocore.ClientError):
        return None
    if isinstance(error, botocore.ClientError):
        return CommandError(_refusal(error.response.get("Error", {}), error.operation_name))
    name = type(error).__name__
    if "Credential" in name or "Token" in name or "SSO" in name or name == "ProfileNotFound":
        return CommandError(f"no AWS account to work with ({error})", fix=_LOGIN)
    if name == "NoRegionError":
        return CommandError("no AWS region is set", fix="set AWS_REGION, or start the local AWS with `dossier up`")
    if isinstance(error, botocore.HTTPClientError | botocore.ConnectionError):
        fix = "check the network, or run `dossier up` for the local AWS"
        return CommandError(f"AWS cannot be reached ({error})", fix=fix)
    return CommandError(f"AWS: {error}")


def _refusal(answer: dict[str, str], operation: str) -> str:
    code, message = answer.get("Code", "?"), answer.get("Message", "")
    if code in {"ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "UnrecognizedClientException"}:
        return f"AWS does not accept the credentials ({code}): {_LOGIN}"
    if code in {"AccessDenied", "AccessDeniedException", "403"}:
        return f"AWS refused {operation}: your credentials need that permission ({message})"
    return f"AWS refused {operation}: {code}: {message}"


def _of_the_system(error: Exception) -> CommandError:
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return CommandError(f"{where}{error.strerror}")
    return CommandError(
        f"an error that should not happen: {type(error).__name__}: {error} (DOSSIER_DEBUG=1 shows where)"
    )
