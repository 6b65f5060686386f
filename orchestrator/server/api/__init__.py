"""The REST API: one file a resource."""

from . import (
    agents,
    api_keys,
    artifacts,
    block_types,
    blocks,
    deployments,
    discovery,
    errands,
    events,
    flow_runs,
    flows,
    health,
    limits,
    logs,
    notifications,
    reports,
    resources,
    schedules,
    secret_keys,
    task_runs,
    variables,
    work_queues,
)

#: Every resource, in the order of the documentation.
RESOURCES = tuple(
    module.blueprint
    for module in (
        flows,
        deployments,
        schedules,
        flow_runs,
        task_runs,
        logs,
        artifacts,
        events,
        work_queues,
        agents,
        block_types,
        blocks,
        variables,
        limits,
        errands,
        resources,
        discovery,
        notifications,
        reports,
        api_keys,
        secret_keys,
        health,
    )
)
