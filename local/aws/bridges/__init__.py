"""The bridges: the docstring of each module compares AWS and MiniStack, and explains the bridge between them."""

from local.aws.bridges import (
    composite_alarms,
    custom_resources,
    denials,
    distributed_map,
    emf_metrics,
    executions,
    expression_alarms,
    forked_environments,
    function_logs,
    imported_resources,
    lambda_concurrency,
    lambda_runtime,
    limits,
    loopback_tls,
    missing_objects,
    nested_executions,
    parsed_expressions,
    permission_resources,
    queue_pollers,
    requests,
    retries,
    saving,
    secret_references,
    shared_layers,
    state_machine_role,
    task_timeouts,
    task_tokens,
    worker_pools,
)

_BRIDGES = (
    denials,
    permission_resources,
    lambda_runtime,
    shared_layers,
    forked_environments,
    lambda_concurrency,
    worker_pools,
    emf_metrics,
    function_logs,
    requests,
    queue_pollers,
    missing_objects,
    parsed_expressions,
    executions,
    nested_executions,
    retries,
    # Wraps _execute_task first: the bridges of role and limits read the current execution from it.
    task_timeouts,
    task_tokens,
    distributed_map,
    state_machine_role,
    limits,
    loopback_tls,
    expression_alarms,
    composite_alarms,
    imported_resources,
    secret_references,
    custom_resources,
    saving,
)


def install() -> None:
    """Install every bridge, in an order in which each finds the functions that it wraps.

    Raises:
        PinnedError: if the installed MiniStack does not fit the bridges.

    """
    for bridge in _BRIDGES:
        bridge.install()
