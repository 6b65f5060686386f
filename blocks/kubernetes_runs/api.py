"""The cluster's API: connecting to it, calls with plain documents, and its errors in our words.

Of the package ``kubernetes`` only what is hard is used: kubeconfigs with their accounts and certificates. Its generated
methods change from version to version, the API's documents do not.
"""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

import urllib3
import yaml

from orchestrator.errors import AccessDenied, BlockError, NotFound, OrchestratorError, Unavailable

#: Seconds to connect, and to wait for an answer or its next part.
CONNECT_S, READ_S = 10.0, 60.0
_SERVICE_HOST = "KUBERNETES_SERVICE_HOST"
_PATCH = "application/merge-patch+json"
_BUSY = frozenset({429, 500, 502, 503, 504})


def library(name: str = "kubernetes") -> Any:
    """A module of the extra; imported when it is used, as it is large."""
    try:
        return importlib.import_module(name)
    except ImportError:
        raise BlockError('Kubernetes blocks need their packages: pip install "orchestrator[kubernetes]"') from None


def connect(kubeconfig: str = "", context: str = "") -> Any:
    """A ``kubernetes.client.ApiClient``. Makes no call yet.

    Args:
        kubeconfig: Text of a kubeconfig file; empty: the service account of the pod that this is, where it is one,
            else the computer's own kubeconfig.
        context: Which of its contexts; empty: its current one.

    Raises:
        BlockError: There is no such configuration, or it cannot be used.
    """
    config, client = library("kubernetes.config"), library("kubernetes.client")
    try:
        if kubeconfig:
            document = yaml.safe_load(kubeconfig)
            if not isinstance(document, dict):
                raise BlockError("the kubeconfig is no mapping: give the whole text of the file")
            return config.new_client_from_config_dict(document, context=context or None, persist_config=False)
        if os.environ.get(_SERVICE_HOST):
            settings = client.Configuration()
            config.load_incluster_config(client_configuration=settings)
            return client.ApiClient(settings)
        return config.new_client_from_config(context=context or None, persist_config=False)
    except yaml.YAMLError:  # its words would show what is in the file
        raise BlockError("the kubeconfig is no YAML: give the whole text of the file") from None
    except (config.ConfigException, OSError, KeyError, TypeError) as error:
        reason = (str(error).splitlines() or [repr(error)])[0]
        raise BlockError(f"there is no usable kubeconfig: {reason}") from None


class Cluster:
    """Calls of a cluster's API.

    Every method raises NotFound, Conflict-like BlockError, AccessDenied or Unavailable, as the cluster answers.

    Args:
        client: Such as :func:`connect` gives.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._url = str(client.configuration.host).rstrip("/")
        self.name = urlsplit(self._url).netloc or self._url

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        """Read an object, or list objects."""
        return self._call("GET", path, query)

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Create an object."""
        return self._call("POST", path, {}, body)

    def patch(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Change parts of an object."""
        return self._call("PATCH", path, {}, body, _PATCH)

    def delete(self, path: str, **options: Any) -> None:
        """Delete an object; one that is gone already is fine."""
        body = {"apiVersion": "v1", "kind": "DeleteOptions", **options}
        try:
            self._call("DELETE", path, {}, body)
        except NotFound:
            pass

    def lines(self, path: str, **query: Any) -> Iterator[bytes]:
        """An answer that comes bit by bit, by its lines: changes that are watched, a log that is followed."""
        response = self._send("GET", path, query, None, "", stream=True)
        rest = b""
        try:
            for chunk in response.stream(1 << 16):
                *lines, rest = (rest + chunk).split(b"\n")
                yield from lines
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise self._away(error) from None
        finally:
            response.close()
        if rest:
            yield rest

    def changes(self, path: str, **query: Any) -> Iterator[tuple[str, dict[str, Any]]]:
        """What happens to the objects of a list: ``ADDED``, ``MODIFIED`` or ``DELETED``, and the object."""
        for line in self.lines(path, watch="true", **query):
            try:
                change = json.loads(line)
            except ValueError:  # the connection broke within a line
                return
            if change.get("type") in ("ADDED", "MODIFIED", "DELETED"):
                yield change["type"], change["object"]
            elif change.get("type") == "ERROR":  # what was asked to go on from is too old: list anew
                return

    def close(self) -> None:
        """Close the connections."""
        self._client.rest_client.pool_manager.clear()

    def _call(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any],
        body: Mapping[str, Any] | None = None,
        media: str = "application/json",
    ) -> dict[str, Any]:
        response = self._send(method, path, query, body, media)
        try:
            answer = json.loads(response.data) if response.data else {}
        except ValueError:
            raise Unavailable(f"the cluster at {self.name} answers what is no JSON: is it a cluster?") from None
        return answer if isinstance(answer, dict) else {}

    def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any],
        body: Mapping[str, Any] | None,
        media: str,
        stream: bool = False,
    ) -> Any:
        headers = {**self._client.default_headers, **self._account(), "Accept": "application/json, */*"}
        if body is not None:
            headers["Content-Type"] = media
        try:
            response = self._client.rest_client.pool_manager.request(
                method,
                f"{self._url}{path}" + (f"?{urlencode(query)}" if query else ""),
                body=None if body is None else json.dumps(body),
                headers=headers,
                timeout=urllib3.Timeout(connect=CONNECT_S, read=READ_S),
                retries=False,
                redirect=False,
                preload_content=not stream,
            )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise self._away(error) from None
        if response.status >= 300:
            raise self._refused(response.status, response.data)
        return response

    def _account(self) -> dict[str, str]:
        """Asked for at each call, as short-lived tokens are renewed by that."""
        found = {}
        for setting in self._client.configuration.auth_settings().values():
            if setting.get("in") == "header" and setting.get("value"):
                found[str(setting["key"])] = str(setting["value"])
        return found

    def _away(self, error: Exception) -> Unavailable:
        reason = (str(error).splitlines() or [""])[0][:300] or type(error).__name__
        return Unavailable(f"the cluster at {self.name} does not answer: {reason}")

    def _refused(self, status: int, body: bytes) -> OrchestratorError:
        try:
            said = str(json.loads(body)["message"])[:1000]
        except (ValueError, KeyError, TypeError):
            said = f"status {status}"
        if status == 404:
            return NotFound(f"the cluster at {self.name}: {said}")
        if status in (401, 403):
            return AccessDenied(f"the cluster at {self.name} refuses the account: {said}")
        if status in _BUSY:
            return Unavailable(f"the cluster at {self.name} cannot answer now: {said}")
        return BlockError(f"the cluster at {self.name} refuses: {said}")
