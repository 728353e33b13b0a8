"""``Ref`` of a secret in a template is its ARN.

On AWS it is, and ``secret.grant_read(role)`` writes it into the role's policy. MiniStack returns the secret's name,
which allows nothing as a policy's resource. The bridge returns the ARN, and looks the secret up by either when it is
updated or deleted.
"""

from collections.abc import Callable
from typing import Any

from local.aws.pinned import provisioners, replace_entry, secretsmanager


def install() -> None:
    """Install the bridge."""
    handler = provisioners._RESOURCE_HANDLERS["AWS::SecretsManager::Secret"]
    replace_entry(handler, "create", _create)
    replace_entry(handler, "update", _update)
    replace_entry(handler, "delete", _delete)


def _name(physical_id: str) -> str:
    for name, secret in secretsmanager._secrets.items():
        if secret.get("ARN") == physical_id:
            return str(name)
    return physical_id


def _as_arn(answer: tuple[str, dict[str, Any]]) -> tuple[str, dict[str, Any]]:
    physical_id, attributes = answer[0], answer[1]
    secret = secretsmanager._secrets.get(physical_id) or {}
    return secret.get("ARN", physical_id), attributes


def _create(original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    return _as_arn(original(*args, **kwargs))


def _update(original: Callable[..., Any], physical_id: str, *args: Any, **kwargs: Any) -> Any:
    return _as_arn(original(_name(physical_id), *args, **kwargs))


def _delete(original: Callable[..., Any], physical_id: str, *args: Any, **kwargs: Any) -> Any:
    return original(_name(physical_id), *args, **kwargs)
