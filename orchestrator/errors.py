"""Every error this project raises, as one tree.

```
OrchestratorError                the root; its text is one line that names the fix
  SettingsError                  a setting has a value that cannot be used
  InvalidInput                   something from outside is not valid (CLI: exit 2, REST: 422)
    ParameterError               parameters do not fit a flow's signature
    ScheduleError                a schedule cannot be understood
  NotFound                       no such thing (404)
  Conflict                       the thing is in a state, or in use, that forbids it (409)
    TransitionRefused            a rule refused a change of state
  AccessDenied                   no key, a wrong key, or a role that may not (401, 403)
  Unavailable                    a part (API, Postgres, Redis, storage) cannot be reached (503)
    ApiUnreachable               the API does not answer
  ApiError                       the API answered with an error
  BlockError                     a block cannot be saved, loaded or understood
  CodeNotLoadable                an entrypoint does not import
  JobFailed                      work that another system was told to do failed
  RunError                       a run did not complete
    FailedRun  CrashedRun  CancelledRun  TimedOut  UnfinishedRun
      FlowPauseTimedOut          nobody answered a paused flow in time
      InputTimedOut              no message came in time
```
The docstring of a class is its default message.
"""

from __future__ import annotations

from typing import Any


class OrchestratorError(Exception):
    """Something went wrong in Orchestrator."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip().splitlines()[0])


class SettingsError(OrchestratorError):
    """A setting has a value that cannot be used."""


class InvalidInput(OrchestratorError):
    """The input is not valid."""

    def __init__(self, message: str | None = None, errors: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        #: field name -> list of messages
        self.errors = errors or {}


class ParameterError(InvalidInput):
    """The parameters do not fit the flow's signature."""


class ScheduleError(InvalidInput):
    """The schedule cannot be understood."""


class NotFound(OrchestratorError):
    """There is no such thing."""


class Conflict(OrchestratorError):
    """The present state of things forbids this."""

    def __init__(self, message: str | None = None, errors: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        #: What is in the way: name -> list of things.
        self.errors = errors or {}


class TransitionRefused(Conflict):
    """A rule refused the change of state."""

    def __init__(self, message: str | None = None, rule: str = "", code: str = "") -> None:
        super().__init__(message)
        self.rule = rule
        self.code = code


class AccessDenied(OrchestratorError):
    """This needs an API key with a role that may do it."""


class Unavailable(OrchestratorError):
    """A part that this needs cannot be reached."""


class ApiUnreachable(Unavailable):
    """The API does not answer."""


class ApiError(OrchestratorError):
    """The API answered with an error."""

    def __init__(self, message: str, code: int, errors: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.errors = errors or {}


class BlockError(OrchestratorError):
    """The block cannot be saved, loaded or understood."""


class CodeNotLoadable(OrchestratorError):
    """The entrypoint cannot be imported."""


class JobFailed(OrchestratorError):
    """The job failed."""


class RunError(OrchestratorError):
    """A run did not complete."""


class FailedRun(RunError):
    """The run failed."""


class CrashedRun(RunError):
    """The run crashed."""


class CancelledRun(RunError):
    """The run was cancelled."""


class TimedOut(RunError):
    """The run took longer than its time-out."""


class FlowPauseTimedOut(TimedOut):
    """Nobody answered the paused flow in time."""


class InputTimedOut(TimedOut, TimeoutError):
    """No message came in time."""


class UnfinishedRun(RunError):
    """The run has not ended."""
