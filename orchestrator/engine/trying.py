"""Whether a run that failed is tried again, and after how long."""

from __future__ import annotations

from dataclasses import dataclass

from .. import settings
from ..context import FlowRun, TaskRun
from ..errors import SettingsError
from ..observing.logs import get_run_logger
from ..results import State, describe
from ..timing.retries import Retries
from .asides import Aside, Asides


@dataclass(frozen=True)
class Again:
    """The run is tried again."""

    #: Seconds from now.
    wait: float
    #: Tries that there are in all.
    of: int


def again(retries: Retries, run: FlowRun | TaskRun, state: State, tries: int) -> Asides[Again | None]:
    """Decide about a run that failed in its ``tries``-th try; None: its state is final.

    The order: are retries left, do the rules for its exception allow one, does the condition want one. A condition that
    raises wants none.
    """
    if retries.later is not None:
        retries = _by_settings(retries, run)
    if tries > retries.most:
        return None
    error = state._error
    wait = retries.wait(tries, error)
    if wait is None:
        get_run_logger().info("%s is not tried again: retry_on says so of %s", run.name, type(error).__name__)
        return None
    if retries.condition is not None:
        try:
            wanted = yield Aside(retries.condition, (run, state))
        except Exception as raised:
            text = "%s is not tried again: its retry_condition_fn raised %s"
            get_run_logger().error(text, run.name, describe(raised), exc_info=raised)
            return None
        if not wanted:
            get_run_logger().info("%s is not tried again: its retry_condition_fn does not want it", run.name)
            return None
    return Again(wait, retries.most + 1)


def _by_settings(retries: Retries, run: FlowRun | TaskRun) -> Retries:
    assert retries.later is not None
    flow_run = run.flow_run if isinstance(run, TaskRun) else run
    try:
        found = flow_run.settings if flow_run is not None else settings.load()
    except SettingsError as error:
        get_run_logger().warning("the settings for retries cannot be read: %s", error)
        return retries
    return retries.later(found.task_retries, found.task_retry_delay.total_seconds())
