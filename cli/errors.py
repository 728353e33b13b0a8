"""What a command ends with when it does not end well: one line for a person, and an exit code.

Exit codes are a contract: 1 the case (or the operation) failed, 2 bad usage, 3 not finished in time.
"""

from __future__ import annotations

import sys
from typing import Any

from cli.text import clean

FAILED, BAD_USAGE, NOT_FINISHED = 1, 2, 3

_LOGIN = "set AWS credentials (AWS_PROFILE, `aws sso login`), or start the local AWS with `dossier up`"


class CommandError(Exception):
    """Ends a command: ``code`` is the exit code, ``document`` what ``--json`` prints in place of ``{"error": …}``."""

    def __init__(self, message: str, *, code: int = FAILED, document: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.document = document

    @property
    def line(self) -> str:
        """The message as one line."""
        return clean(str(self)).strip()


class BadUsageError(CommandError):
    """The command was given something that it cannot work with."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code=BAD_USAGE)


class NotFinishedError(CommandError):
    """What was waited for did not happen in time."""

    def __init__(self, message: str, *, document: dict[str, Any] | None = None) -> None:
        super().__init__(message, code=NOT_FINISHED, document=document)


def explain(error: Exception) -> CommandError:
    """Return what to tell a person about any error that ended a command."""
    if isinstance(error, CommandError):
        return error
    return _of_dossier(error) or _of_aws(error) or _of_the_system(error)


def _of_dossier(error: Exception) -> CommandError | None:
    local = sys.modules.get("local.home")
    if local and isinstance(error, local.LocalError):
        return CommandError(str(error))
    errors = sys.modules.get("dossier.errors")
    return CommandError(str(error)) if errors and isinstance(error, errors.DossierError) else None


def _of_aws(error: Exception) -> CommandError | None:
    """Explain an error of botocore's, by name: its tree has no branches that tell what to mend."""
    botocore = sys.modules.get("botocore.exceptions")
    if not botocore or not isinstance(error, botocore.BotoCoreError | botocore.ClientError):
        return None
    if isinstance(error, botocore.ClientError):
        return CommandError(_refusal(error.response.get("Error", {}), error.operation_name))
    name = type(error).__name__
    if "Credential" in name or "Token" in name or "SSO" in name or name == "ProfileNotFound":
        return CommandError(f"no AWS account to work with ({error}): {_LOGIN}")
    if name == "NoRegionError":
        return CommandError("no AWS region is set: set AWS_REGION, or start the local AWS with `dossier up`")
    if isinstance(error, botocore.HTTPClientError | botocore.ConnectionError):
        return CommandError(
            f"AWS cannot be reached ({error}): check the network, or run `dossier up` for the local AWS"
        )
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
