"""The poller of a queue needs the permissions of its function's role.

Lambda receives and deletes messages as the function's role, which needs ``sqs:ReceiveMessage``, ``sqs:DeleteMessage``
and ``sqs:GetQueueAttributes`` on the queue
(https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html#events-sqs-permissions). MiniStack checks no
role. The bridge checks the role before it receives messages, and before it deletes handled ones: without the
permission to receive, no message arrives; without the permission to delete, each message comes again.
"""

import threading
from collections.abc import Callable
from typing import Any

from local.aws.bridges.denials import refusal
from local.aws.pinned import lambda_service, replace, sqs

_TO_RECEIVE = ("sqs:ReceiveMessage", "sqs:GetQueueAttributes")
_at_work = threading.local()


def install() -> None:
    """Install the bridge."""
    replace(lambda_service, "_sqs_esm_concurrency", "esm, func_rec, config, queue", _concurrency)
    replace(lambda_service, "_run_sqs_batch", "esm, func_rec, event, batch, queue_url, queue_name", _run)
    replace(sqs, "_delete_messages_for_esm", "queue_url, receipt_handles", _delete)


def _concurrency(original: Callable[..., int], esm: Any, func_rec: Any, *args: Any, **kwargs: Any) -> int:
    """Return how many batches may be under way: none if the role may not receive."""
    if any(refusal(_role(func_rec), action, esm["EventSourceArn"]) for action in _TO_RECEIVE):
        return 0
    return original(esm, func_rec, *args, **kwargs)


def _run(original: Callable[..., None], esm: Any, func_rec: Any, *args: Any) -> None:
    _at_work.mapping = esm["EventSourceArn"], _role(func_rec)
    try:
        original(esm, func_rec, *args)
    finally:
        _at_work.mapping = None


def _delete(original: Callable[..., None], queue_url: str, receipt_handles: set[str]) -> None:
    mapping = getattr(_at_work, "mapping", None)
    if mapping is None or not refusal(mapping[1], "sqs:DeleteMessage", mapping[0]):
        original(queue_url, receipt_handles)


def _role(func_rec: Any) -> str:
    return str((func_rec.get("config") or func_rec).get("Role", ""))
