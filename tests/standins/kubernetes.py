"""A stand-in of a Kubernetes cluster: its API over HTTP, as far as runs and discovery use it, with one node: this
computer. A Job that is created is validated against Kubernetes' own schemas, and its container's command is really
executed, as a process.

The image ``missing:1`` cannot be fetched; ``never:1`` never begins. :meth:`Cluster.evict` and :meth:`Cluster.kill` do
to a pod what befalls pods.
"""

from __future__ import annotations

import base64
import copy
import json
import os
import re
import signal
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import kubernetes_validate
import yaml

TOKEN = "a-token-of-the-tests"
_OBJECT = re.compile(r"/(?:api/v1|apis/[^/]+/v1)(?:/namespaces/([^/]+))?/([a-z]+)(?:/([^/]+))?(/log)?")


class Refused(Exception):
    """An answer with an error status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def instant() -> str:
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Cluster:
    """The cluster's state; all methods are for tests and the handler."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = ""
        self.change = threading.Condition()
        self.version = 1
        self.objects: dict[tuple[str, str, str], dict[str, Any]] = {}
        #: (version, change, kind, object) of all that happened.
        self.history: list[tuple[int, str, str, dict[str, Any]]] = []
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        #: Every manifest that was created, as it came.
        self.created: list[dict[str, Any]] = []
        self.denied: set[str] = set()

    @property
    def kubeconfig(self) -> str:
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "stub", "cluster": {"server": self.url}}],
            "users": [{"name": "tester", "user": {"token": TOKEN}}],
            "contexts": [{"name": "stub", "context": {"cluster": "stub", "user": "tester"}}],
            "current-context": "stub",
        }
        return str(yaml.safe_dump(document))

    def of_kind(self, kind: str) -> list[dict[str, Any]]:
        with self.change:
            return [copy.deepcopy(item) for key, item in sorted(self.objects.items()) if key[0] == kind]

    # -- what befalls pods

    def evict(self, pod: str) -> None:
        message = "The node was low on resource: memory."
        self.event(pod, "Evicted", message, "Warning")
        self._set_status(pod, phase="Failed", reason="Evicted", message=message)
        self._signal(pod, signal.SIGKILL)

    def kill(self, pod: str, reason: str = "OOMKilled") -> None:
        """End its processes as the kernel does when the memory limit is reached."""
        self._state_of(pod)["reasonOfKill"] = reason
        self._signal(pod, signal.SIGKILL)

    def stop(self) -> None:
        for pod in list(self.processes):
            self._signal(pod, signal.SIGKILL)
            self.processes[pod].wait(10)

    # -- objects

    def put(self, change: str, kind: str, item: dict[str, Any]) -> dict[str, Any]:
        with self.change:
            self.version += 1
            item["metadata"]["resourceVersion"] = str(self.version)
            key = (kind, item["metadata"].get("namespace", ""), item["metadata"]["name"])
            if change == "DELETED":
                self.objects.pop(key, None)
            else:
                self.objects[key] = item
            self.history.append((self.version, change, kind, copy.deepcopy(item)))
            self.change.notify_all()
            return copy.deepcopy(item)

    def create(self, kind: str, namespace: str, item: dict[str, Any]) -> dict[str, Any]:
        kubernetes_validate.validate(item, "1.30", strict=True)
        self.created.append(copy.deepcopy(item))
        name = item["metadata"]["name"]
        with self.change:
            if (kind, namespace, name) in self.objects:
                raise Refused(409, f'{kind} "{name}" already exists')
        item["metadata"].update(uid=str(uuid.uuid4()), namespace=namespace, creationTimestamp=instant())
        if kind == "secrets":
            texts = item.pop("stringData", {})
            item["data"] = {key: base64.b64encode(text.encode()).decode() for key, text in texts.items()}
        answer = self.put("ADDED", kind, item)
        if kind == "jobs":
            self._create_pod(item)
        return answer

    def get(self, kind: str, namespace: str, name: str) -> dict[str, Any]:
        with self.change:
            try:
                return copy.deepcopy(self.objects[(kind, namespace, name)])
            except KeyError:
                raise Refused(404, f'{kind} "{name}" not found') from None

    def delete(self, kind: str, namespace: str, name: str, options: dict[str, Any]) -> None:
        item = self.get(kind, namespace, name)
        if kind == "pods":
            self._delete_pod(item, options.get("gracePeriodSeconds"))
            return
        self.put("DELETED", kind, item)
        if kind == "jobs":
            for pod in self.of_kind("pods"):
                if pod["metadata"]["labels"].get("job-name") == name:
                    self._delete_pod(pod, None)

    def listing(self, kind: str, namespace: str, query: dict[str, str]) -> list[dict[str, Any]]:
        return [item for item in self.of_kind(kind) if fits(item, namespace, query)]

    def event(self, pod: str, reason: str, message: str, kind: str = "Normal") -> None:
        namespace = self._state_of(pod)["metadata"]["namespace"]
        about = {"kind": "Pod", "name": pod, "namespace": namespace}
        name = f"{pod}.{uuid.uuid4().hex[:8]}"
        metadata = {"name": name, "namespace": namespace, "uid": str(uuid.uuid4()), "creationTimestamp": instant()}
        self.put(
            "ADDED",
            "events",
            {"metadata": metadata, "involvedObject": about, "reason": reason, "message": message, "type": kind,
             "count": 1, "lastTimestamp": instant()},
        )  # fmt: skip

    def log_of(self, pod: str) -> Path:
        return self.folder / f"{pod}.log"

    # -- pods

    def _create_pod(self, job: dict[str, Any]) -> None:
        template = copy.deepcopy(job["spec"]["template"])
        name = f"{job['metadata']['name']}-{uuid.uuid4().hex[:5]}"
        labels = {**template["metadata"].get("labels", {}), "job-name": job["metadata"]["name"]}
        metadata = {
            "name": name, "namespace": job["metadata"]["namespace"], "labels": labels, "uid": str(uuid.uuid4()),
            "creationTimestamp": instant(),
        }  # fmt: skip
        (container,) = template["spec"]["containers"]
        waiting = {"waiting": {"reason": "ContainerCreating"}}
        status = {"phase": "Pending", "containerStatuses": [{"name": container["name"], "state": waiting}]}
        self.put("ADDED", "pods", {"metadata": metadata, "spec": template["spec"], "status": status})
        self.event(name, "Scheduled", f"Successfully assigned {name} to this-computer")
        if container["image"] == "missing:1":
            self.event(name, "Failed", "Failed to pull image: not found", "Warning")
            self._set_container(name, {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image"}})
        elif container["image"] != "never:1":
            self._start(name, metadata["namespace"], container)

    def _start(self, pod: str, namespace: str, container: dict[str, Any]) -> None:
        env = {name: value for name, value in os.environ.items() if not name.startswith("ORCHESTRATOR_")}
        for item in container.get("env", []):
            env[item["name"]] = item["value"] if "value" in item else self._secret(namespace, item["valueFrom"])
        reader, writer = os.pipe()
        process = subprocess.Popen(
            container["command"], env=env, stdin=subprocess.DEVNULL, stdout=writer, stderr=writer, cwd=self.folder,
            start_new_session=True,
        )  # fmt: skip
        os.close(writer)
        self.processes[pod] = process
        self._set_status(pod, phase="Running")
        self._set_container(pod, {"running": {"startedAt": instant()}})
        self.event(pod, "Started", "Started container flow")
        threading.Thread(target=self._follow, args=(pod, process, reader), daemon=True).start()

    def _secret(self, namespace: str, source: dict[str, Any]) -> str:
        wanted = source["secretKeyRef"]
        found = self.get("secrets", namespace, wanted["name"])["data"][wanted["key"]]
        return base64.b64decode(found).decode()

    def _follow(self, pod: str, process: subprocess.Popen[bytes], reader: int) -> None:
        with open(reader, "rb") as output, self.log_of(pod).open("ab", buffering=0) as log:
            for line in output:
                log.write(instant().encode() + b" " + line)
        code = process.wait()
        ended: dict[str, Any] = {"exitCode": code if code >= 0 else 128 - code, "finishedAt": instant()}
        try:
            ended["reason"] = self._state_of(pod).get("reasonOfKill") or ("Completed" if code == 0 else "Error")
            self._set_container(pod, {"terminated": ended})
            if self._state_of(pod)["status"]["phase"] == "Running":
                self._set_status(pod, phase="Succeeded" if code == 0 else "Failed")
        except KeyError:
            pass  # deleted meanwhile

    def _await_its_end(self, pod: str) -> None:
        """A kubelet tells how containers ended before their pod is gone."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and not self._has_ended(pod):
            time.sleep(0.01)

    def _has_ended(self, pod: str) -> bool:
        try:
            return "terminated" in self._state_of(pod)["status"]["containerStatuses"][0]["state"]
        except KeyError:
            return True

    def _delete_pod(self, pod: dict[str, Any], grace: int | None) -> None:
        name = pod["metadata"]["name"]
        process = self.processes.get(name)
        seconds = pod["spec"].get("terminationGracePeriodSeconds", 30) if grace is None else grace

        def end() -> None:
            if process is not None and process.poll() is None:
                self._signal(name, signal.SIGTERM if seconds else signal.SIGKILL)
                try:
                    process.wait(seconds or 10)
                except subprocess.TimeoutExpired:
                    self._signal(name, signal.SIGKILL)
                    process.wait(10)
                self._await_its_end(name)
            try:
                self.put("DELETED", "pods", self._state_of(name))
            except KeyError:
                pass

        threading.Thread(target=end, daemon=True).start()

    def _signal(self, pod: str, number: int) -> None:
        process = self.processes.get(pod)
        if process is not None and process.poll() is None:
            process.send_signal(number)

    def _state_of(self, pod: str) -> dict[str, Any]:
        with self.change:
            for (kind, _, name), item in self.objects.items():
                if (kind, name) == ("pods", pod):
                    return item
        raise KeyError(pod)

    def _set_status(self, pod: str, **status: Any) -> None:
        item = self._state_of(pod)
        item["status"].update(status)
        self.put("MODIFIED", "pods", item)

    def _set_container(self, pod: str, state: dict[str, Any]) -> None:
        item = self._state_of(pod)
        item["status"]["containerStatuses"][0]["state"] = state
        self.put("MODIFIED", "pods", item)


def fits(item: dict[str, Any], namespace: str, query: dict[str, str]) -> bool:
    """Whether an object is of a namespace and of what the selectors choose."""
    if namespace and item["metadata"].get("namespace") != namespace:
        return False
    labels = item["metadata"].get("labels", {})
    wanted = [pair.split("=", 1) for pair in filter(None, query.get("labelSelector", "").split(","))]
    if any(labels.get(name) != value for name, value in wanted):
        return False
    for pair in filter(None, query.get("fieldSelector", "").split(",")):
        path, _, value = pair.partition("=")
        found: Any = item
        for part in path.split("."):
            found = (found or {}).get(part)
        if found != value:
            return False
    return True


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    cluster: Cluster

    def log_message(self, *words: Any) -> None:
        """Keep quiet."""

    def do_GET(self) -> None:
        self._answer(self._get)

    def do_POST(self) -> None:
        self._answer(self._post)

    def do_PATCH(self) -> None:
        self._answer(self._patch)

    def do_DELETE(self) -> None:
        self._answer(self._delete)

    def _answer(self, verb: Any) -> None:
        parts = urlsplit(self.path)
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else {}
        try:
            if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                raise Refused(401, "Unauthorized")
            answer = verb(parts.path, query, body)
            if answer is not None:
                self._send(200, answer)
        except Refused as refused:
            self._send(refused.status, {"kind": "Status", "message": str(refused), "code": refused.status})
        except kubernetes_validate.ValidationError as error:
            self._send(422, {"kind": "Status", "message": f"invalid: {error}", "code": 422})
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def _get(self, path: str, query: dict[str, str], body: Any) -> Any:
        if path.rstrip("/") == "/version":
            about = dict.fromkeys(("buildDate", "compiler", "gitCommit", "gitTreeState", "goVersion", "platform"), "")
            return {"major": "1", "minor": "30", "gitVersion": "v1.30.0-stub", **about}
        namespace, kind, name, log = self._place(path)
        if log:
            return self._log(namespace, name, query)
        if name:
            return self.cluster.get(kind, namespace, name)
        if query.get("watch") == "true":
            return self._watch(kind, namespace, query)
        with self.cluster.change:
            items = self.cluster.listing(kind, namespace, query)
            return {"kind": "List", "metadata": {"resourceVersion": str(self.cluster.version)}, "items": items}

    def _post(self, path: str, query: dict[str, str], body: Any) -> Any:
        namespace, kind, _, _ = self._place(path)
        if kind == "selfsubjectaccessreviews":
            asked = body["spec"]["resourceAttributes"]
            return {**body, "status": {"allowed": f"{asked['verb']} {asked['resource']}" not in self.cluster.denied}}
        return self.cluster.create(kind, namespace, body)

    def _patch(self, path: str, query: dict[str, str], body: Any) -> Any:
        namespace, kind, name, _ = self._place(path)
        item = self.cluster.get(kind, namespace, name)
        item["metadata"].update(body.get("metadata", {}))
        return self.cluster.put("MODIFIED", kind, item)

    def _delete(self, path: str, query: dict[str, str], body: Any) -> Any:
        namespace, kind, name, _ = self._place(path)
        self.cluster.delete(kind, namespace, name, body)
        return {"kind": "Status", "status": "Success"}

    @staticmethod
    def _place(path: str) -> tuple[str, str, str, bool]:
        match = _OBJECT.fullmatch(path)
        if match is None:
            raise Refused(404, f"the server could not find the requested resource {path}")
        return match[1] or "", match[2], match[3] or "", bool(match[4])

    def _watch(self, kind: str, namespace: str, query: dict[str, str]) -> None:
        since = int(query.get("resourceVersion") or 0)
        deadline = time.monotonic() + float(query.get("timeoutSeconds", 30))
        self._begin_stream()
        while time.monotonic() < deadline:
            with self.cluster.change:
                news = [entry for entry in self.cluster.history if entry[0] > since and entry[2] == kind]
                if not news:
                    self.cluster.change.wait(min(0.2, max(0.0, deadline - time.monotonic())))
            for version, change, _, item in news:
                since = version
                if fits(item, namespace, query):
                    self._chunk(json.dumps({"type": change, "object": item}).encode() + b"\n")
        self._chunk(b"")

    def _log(self, namespace: str, pod: str, query: dict[str, str]) -> None:
        self.cluster.get("pods", namespace, pod)
        path, since = self.cluster.log_of(pod), query.get("sinceTime", "")
        self._begin_stream()
        place = 0
        while True:
            over = self._is_over(namespace, pod)
            data = path.read_bytes()[place:] if path.exists() else b""
            whole = data[: data.rfind(b"\n") + 1]
            place += len(whole)
            for line in whole.splitlines(keepends=True):
                # Real clusters compare whole seconds: what was told before is told again.
                if line[:19].decode() >= since[:19]:
                    self._chunk(line)
            if over:
                break
            time.sleep(0.05)
        self._chunk(b"")

    def _is_over(self, namespace: str, pod: str) -> bool:
        try:
            found = self.cluster.get("pods", namespace, pod)
        except Refused:
            return True
        return "terminated" in found["status"]["containerStatuses"][0]["state"]

    def _begin_stream(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()

    def _send(self, status: int, document: Any) -> None:
        data = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """A running cluster."""
    folder.mkdir(parents=True, exist_ok=True)
    found = Cluster(folder)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"cluster": found}))
    server.daemon_threads = True
    found.url = f"http://127.0.0.1:{server.server_port}"
    node = {"name": "this-computer", "uid": str(uuid.uuid4()), "labels": {"kubernetes.io/arch": "amd64"}}
    ready = {"conditions": [{"type": "Ready", "status": "True"}], "capacity": {"cpu": "2", "memory": "4Gi"}}
    found.put("ADDED", "nodes", {"metadata": node, "status": {**ready, "nodeInfo": {"kubeletVersion": "v1.30.0"}}})
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield found
    finally:
        found.stop()
        server.shutdown()
        server.server_close()
        thread.join()
