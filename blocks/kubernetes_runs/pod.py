"""The pod of a run, as its agent follows it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from typing import Any

from orchestrator.errors import NotFound, OrchestratorError
from orchestrator.interfaces import ProcessHost

from .api import Cluster
from .manifest import CONTAINER
from .watching import by_time, event_name, place_of

log = logging.getLogger("orchestrator.agent")

#: Seconds of one watch, after which events are looked at, and that all is as it seems.
WATCH_S = 10
#: Seconds between two tries while the cluster does not answer.
AGAIN = 2.0
#: Why a container waits where waiting longer is in vain.
_HOPELESS = frozenset({
    "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName", "CreateContainerConfigError", "CreateContainerError",
    "RunContainerError",
})  # fmt: skip


class PodOfRun:
    """A started Job with its one pod.

    Args:
        cluster: The cluster; closed at the end.
        job: The Job, as the cluster answered it.
        host: Takes events and lines of the log.
        start_timeout_s: Seconds in which the flow's container has to begin.
        remove: Whether the Job is removed once it ended.
    """

    def __init__(
        self, cluster: Cluster, job: dict[str, Any], host: ProcessHost, start_timeout_s: float, remove: bool
    ) -> None:
        self._cluster, self._host, self._remove = cluster, host, remove
        self._namespace, self._name = str(job["metadata"]["namespace"]), str(job["metadata"]["name"])
        self._core = f"/api/v1/namespaces/{self._namespace}"
        self._job = f"/apis/batch/v1/namespaces/{self._namespace}/jobs/{self._name}"
        self._start_by = time.monotonic() + start_timeout_s
        self._start_timeout_s = start_timeout_s
        self._pod = ""
        self._begun, self._ended = threading.Event(), threading.Event()
        self._code: int | None = None
        self._reason = ""
        self._given_up = False
        self._told: set[str] = set()
        threading.Thread(target=self._watch, name=f"watch-{self._name}", daemon=True).start()

    @property
    def identifier(self) -> str:
        """Namespace and name of the Job."""
        return f"{self._namespace}/{self._name}"

    def poll(self) -> int | None:
        """The exit code of the flow's container; None while it runs."""
        return self.wait(0)

    def wait(self, seconds: float) -> int | None:
        """As :meth:`poll`, after waiting for the end."""
        if not self._ended.wait(seconds):
            return None
        return -1 if self._code is None else self._code

    def logs(self) -> Iterator[tuple[str, bytes]]:
        """What the flow's container writes; clusters do not tell stdout from stderr.

        A broken connection is made anew from the last line; each carries its instant for that.
        """
        while not self._begun.wait(0.5):
            if self._ended.is_set():
                return
        last = ""
        while True:
            over = self._ended.is_set()
            try:
                for line in self._lines(last):
                    instant, _, text = line.decode("utf-8", "surrogateescape").partition(" ")
                    if _sortable(instant) > _sortable(last):
                        last = instant
                        yield "stdout", text.encode("utf-8", "surrogateescape") + b"\n"
            except NotFound:
                return
            except OrchestratorError:
                pass  # it is asked again, while there is something to ask
            if over:
                return
            self._ended.wait(AGAIN)

    def terminate(self) -> None:
        """Delete the Job: its pod gets SIGTERM, and its grace."""
        self._delete_job()

    def kill(self) -> None:
        """Delete Job and pod without grace."""
        self._delete_job()
        if self._pod:
            self._cluster.delete(f"{self._core}/pods/{self._pod}", gracePeriodSeconds=0)

    def reason(self) -> str:
        """Why it ended."""
        what = f"the pod {self._namespace}/{self._pod}" if self._pod else f"the job {self.identifier}"
        if self._reason:
            return f"{what} {self._reason}"
        if self._code is None:
            return f"{what} cannot be reached any more"
        return f"{what} exited with code {self._code} before the flow ended"

    def clean_up(self) -> None:
        """Remove the Secret, and the Job where that is wanted."""
        self._given_up = True
        for verb in (self._delete_secret, self._delete_job if self._remove else lambda: None):
            try:
                verb()
            except OrchestratorError:
                pass  # the Job's time to live takes both
        self._cluster.close()

    # -- following

    def _watch(self) -> None:
        while not self._given_up and not self._ended.is_set():
            try:
                self._watch_once()
                self._tell_events()
            except NotFound:
                self._end(None, "was deleted from outside before the flow ended")
            except OrchestratorError:
                self._ended.wait(AGAIN)  # a cluster that does not answer is no reason to think that the run ended
            except Exception:
                log.exception("following the job %s stumbled; it goes on", self.identifier)
                self._ended.wait(AGAIN)
            if not self._begun.is_set() and not self._ended.is_set() and time.monotonic() > self._start_by:
                self._end(None, f"did not begin within {self._start_timeout_s:g} s")
        try:
            self._tell_events()
        except Exception:  # noqa: S110 - the connection may be closed by now; events are a courtesy
            pass

    def _watch_once(self) -> None:
        """Look at the pods as they are, then follow their changes for a while."""
        chosen = {"labelSelector": f"job-name={self._name}"}
        listed = self._cluster.get(f"{self._core}/pods", **chosen)
        if not listed["items"]:
            self._cluster.get(self._job)  # of a Job that is gone as well, nothing more will come
        for pod in listed["items"]:
            self._see("ADDED", pod)
        if self._ended.is_set():
            return
        version = listed["metadata"].get("resourceVersion", "")
        left = WATCH_S if self._begun.is_set() else min(WATCH_S, self._start_by - time.monotonic())
        follow = {**chosen, "resourceVersion": version, "timeoutSeconds": max(1, round(left))}
        for change, pod in self._cluster.changes(f"{self._core}/pods", **follow):
            self._see(change, pod)
            if self._ended.is_set() or self._given_up:
                return

    def _see(self, change: str, pod: dict[str, Any]) -> None:
        self._pod = str(pod["metadata"]["name"])
        status = pod.get("status") or {}
        containers = {item.get("name"): item.get("state") or {} for item in status.get("containerStatuses") or []}
        state = containers.get(CONTAINER, {})
        waiting = state.get("waiting") or {}
        if ended := state.get("terminated"):
            self._begun.set()
            self._end(int(ended.get("exitCode", -1)), _ended_reason(ended, status))
        elif change == "DELETED":
            self._end(None, "was deleted from outside before the flow ended")
        elif status.get("phase") in ("Failed", "Succeeded"):
            self._end(
                None, f"failed: {status.get('reason') or 'no reason given'} {status.get('message') or ''}".strip()
            )
        elif state.get("running"):
            self._begun.set()
        elif waiting.get("reason") in _HOPELESS:
            said = f": {waiting['message']}" if waiting.get("message") else ""
            self._end(None, f"cannot begin ({waiting['reason']}){said}")

    def _end(self, code: int | None, reason: str) -> None:
        if not self._ended.is_set():
            self._code, self._reason = code, reason
            self._ended.set()

    def _tell_events(self) -> None:
        """Pass on what the cluster says of the pod."""
        if not self._pod:
            return
        chosen = f"involvedObject.kind=Pod,involvedObject.name={self._pod}"
        for event in by_time(self._cluster.get(f"{self._core}/events", fieldSelector=chosen)["items"]):
            if event["metadata"]["uid"] not in self._told:
                self._told.add(event["metadata"]["uid"])
                self._tell(event)

    def _tell(self, event: dict[str, Any]) -> None:
        reason = str(event.get("reason") or "event")
        name, message = f"{self._namespace}/{self._pod}", str(event.get("message") or "")
        resource = {
            "resource.id": place_of(self._cluster, "pods", self._namespace, self._pod),
            "resource.name": name,
            "kind": "kubernetes.pod",
        }
        payload = {"message": message, "type": event.get("type") or "", "count": event.get("count") or 1}
        self._host.emit(event_name("Pod", reason), resource, payload, key=str(event["metadata"]["uid"]))
        if event.get("type") == "Warning":
            self._host.tell(f"pod {name}: {reason}: {message}")

    def _lines(self, since: str) -> Iterator[bytes]:
        query = {"container": CONTAINER, "follow": "true", "timestamps": "true"}
        if since:
            query["sinceTime"] = since
        return self._cluster.lines(f"{self._core}/pods/{self._pod}/log", **query)

    def _delete_job(self) -> None:
        self._cluster.delete(self._job, propagationPolicy="Background")

    def _delete_secret(self) -> None:
        self._cluster.delete(f"{self._core}/secrets/{self._name}")


def _sortable(instant: str) -> tuple[str, str]:
    """An instant as the cluster writes it (fractions without trailing zeros), so that later ones are greater."""
    whole, _, fraction = instant.rstrip("Z").partition(".")
    return whole, fraction.ljust(9, "0")


def _ended_reason(ended: dict[str, Any], status: dict[str, Any]) -> str:
    if status.get("reason"):  # such as Evicted: what befell the pod says more than what befell its process
        return f"was ended: {status['reason']} {status.get('message') or ''}".strip()
    if ended.get("reason") == "OOMKilled":
        return "was killed for want of memory (OOMKilled)"
    if ended.get("exitCode") == 137:
        return "was ended by SIGKILL: killed from outside, or out of memory"
    said = f": {ended['message']}" if ended.get("message") else ""
    return f"exited with code {ended.get('exitCode')} before the flow ended{said}"
