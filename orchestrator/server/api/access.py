"""Who may do what: declared beside each view, enforced in one place, refused by default."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import replace
from typing import Any, TypeVar
from urllib.parse import urlsplit

from flask import Flask, Request, current_app, g, request
from werkzeug.sansio.utils import host_is_trusted

from ... import names
from ...clock import now
from ...documents.records import Actor
from ...errors import AccessDenied, NotFound
from ...settings import Settings
from ..db.session import reading
from ..services.identity import keys, tokens
from ..services.identity.keys import Principal
from .errors import Refused, Unauthenticated

V = TypeVar("V", bound=Callable[..., Any])
Authenticator = Callable[[Request], "Principal | None"]

#: What each declared role is had by: people's roles imply the lesser ones, agents and runs are apart.
_IMPLIED = {
    "admin": {"admin"},
    "editor": {"admin", "editor"},
    "viewer": {"admin", "editor", "viewer"},
    "agent": {"agent"},
    "run": {"run"},
}
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_EXTENSION = "orchestrator-access"


def needs(*roles: str) -> Callable[[V], V]:
    """Declare who may call a view: ``viewer``, ``editor``, ``admin``, ``agent``, ``run`` (a run's own token)."""
    allowed: frozenset[str] = frozenset().union(*(_IMPLIED[role] for role in roles))

    def declare(view: V) -> V:
        view.needs = allowed  # type: ignore[attr-defined]
        docs = deepcopy(getattr(view, "_apidoc", {}))
        docs.setdefault("manual_doc", {}).update({"security": [{"key": []}], "x-roles": sorted(allowed)})
        view._apidoc = docs  # type: ignore[attr-defined]
        return view

    return declare


def open_to_all(view: V) -> V:
    """Declare that a view needs no key."""
    view.needs = None  # type: ignore[attr-defined]
    return view


def principal() -> Principal:
    """Who makes this request."""
    found: Principal = g.principal
    return found


def actor() -> Actor:
    """The same, as history and events name it: what comes with an agent's key comes from an agent."""
    found = principal()
    return replace(found.actor, type="agent") if found.role == "agent" else found.actor


def bearer() -> str:
    """The key that this request presents."""
    return request.headers.get("Authorization", "").partition(" ")[2].strip()


def own_run_only(run_id: object) -> None:
    """Raise NotFound when the request carries a run's token and ``run_id`` is another run."""
    if principal().run_id is not None and principal().run_id != run_id:
        raise NotFound(f"there is no flow run {run_id}")


def started_runs_only(created_by: Actor | None, run_id: object) -> None:
    """As :func:`own_run_only`; a run that the token's own run started may be seen, too."""
    if created_by is None or created_by.type != "run" or created_by.id != str(principal().run_id):
        own_run_only(run_id)


def background_only(flow: str, deployment: str) -> None:
    """Raise AccessDenied when the request carries a run's token and the deployment is not that of a served task."""
    caller = principal()
    if caller.run_id is not None and (caller.errand_block is not None or not names.is_background(flow, deployment)):
        raise AccessDenied("a run's own key starts background runs of tasks alone")


def install(app: Flask, settings: Settings) -> None:
    """Check host and key before every request."""
    app.extensions[_EXTENSION] = []
    trusted = own_hosts(settings)
    app.before_request(lambda: check_host(request.host, trusted))
    app.before_request(_guard)


def add_authenticator(app: Flask, authenticator: Authenticator) -> None:
    """Have reading requests without a key asked of ``authenticator`` too: a browser session. It never opens a writing
    request, so no other site can make a browser write.
    """
    app.extensions[_EXTENSION].append(authenticator)


def verify(app: Flask) -> None:
    """Raise RuntimeError when a view does not say who may call it; ``create_app`` calls this last."""
    views = app.view_functions.items()
    bare = [name for name, view in views if not (hasattr(view, "needs") or _guards_itself(app, name))]
    if bare:
        raise RuntimeError(f"these views do not declare who may call them: {', '.join(sorted(bare))}")


def own_hosts(settings: Settings) -> tuple[str, ...]:
    """Names that the server answers to; ``*`` in ``allowed_hosts`` is any, ``.example.com`` any below it."""
    own = {"localhost", ".localhost", socket.gethostname().lower(), settings.host}
    if settings.public_url:
        own.add(urlsplit(settings.public_url).hostname or "")
    return (*sorted(own - {""}), *settings.allowed_hosts)


def check_host(host: str, trusted: Iterable[str]) -> None:
    """Refuse (400) a Host header that names neither us nor an address. Addresses are let through because only names
    can be pointed at us by a stranger's DNS.
    """
    trusted = list(trusted)
    name = urlsplit(f"//{host}").hostname or ""
    if "*" in trusted or _is_address(name) or host_is_trusted(name, trusted):
        return
    raise Refused(400, f"the host {name!r} is not one of this server: add it to ORCHESTRATOR_ALLOWED_HOSTS")


def authenticate() -> Principal | None:
    """Who this request's key, run token or (for reading) browser session stands for."""
    header = request.headers.get("Authorization", "")
    if header:
        scheme, _, secret = header.partition(" ")
        return _recognise(secret.strip()) if scheme.lower() == "bearer" else None
    if request.method in _SAFE:
        for authenticator in current_app.extensions[_EXTENSION]:
            found: Principal | None = authenticator(request)
            if found is not None:
                return found
    return None


def _recognise(secret: str) -> Principal | None:
    with reading() as session:
        if secret.startswith(tokens.PREFIX):
            return tokens.authenticate(session, secret)
        return keys.authenticate(session, secret, now())


def _guard() -> None:
    view = current_app.view_functions.get(request.endpoint) if request.endpoint else None
    if view is None or _guards_itself(current_app, str(request.endpoint)):
        return
    allowed: frozenset[str] | None = getattr(view, "needs", frozenset())
    if allowed is None:
        return
    found = authenticate()
    if found is None:
        raise Unauthenticated
    g.principal = found
    if found.role not in allowed:
        raise AccessDenied(f"the role {found.role} may not do this; it needs one of: {', '.join(sorted(allowed))}")


def _guards_itself(app: Flask, endpoint: str) -> bool:
    """Static files are public; a blueprint with a check of its own is the dashboard: it sends people to its login."""
    blueprint, _, name = endpoint.rpartition(".")
    return name == "static" or bool(blueprint and app.before_request_funcs.get(blueprint))


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
