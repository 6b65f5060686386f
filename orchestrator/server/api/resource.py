"""What the views of all resources share: reading arguments strictly, answering fast, ETags."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from typing import Any, NoReturn, TypeVar

import marshmallow as ma
import orjson
from flask import Request, Response, request
from flask_smorest import Blueprint
from webargs.core import missing
from webargs.flaskparser import FlaskParser

from ...errors import InvalidInput
from ...serializers import dumps
from ..schemas.base import NoQuery
from ..services.paging import Page, decode, encode
from .errors import Refused

PREFIX = "/api/v1"
#: Largest request body, in bytes.
BODY_MAX = 16 * 1024 * 1024

V = TypeVar("V", bound=Callable[..., Any])
T = TypeVar("T")


def without_options(view: V) -> V:
    """Declare that OPTIONS of a view's address is for another view to answer."""
    view.provide_automatic_options = False  # type: ignore[attr-defined]
    return view


class StrictParser(FlaskParser):
    """Reads arguments and refuses what it does not know: unknown or repeated query arguments, bodies that are not
    JSON.
    """

    DEFAULT_UNKNOWN_BY_LOCATION = {**FlaskParser.DEFAULT_UNKNOWN_BY_LOCATION, "query": ma.RAISE}  # noqa: RUF012

    def load_querystring(self, req: Request, schema: ma.Schema) -> Any:
        for name, values in req.args.lists():
            field = schema.fields.get(name)
            if len(values) > 1 and field is not None and not isinstance(field, ma.fields.List):
                raise ma.ValidationError({name: ["May be given once only."]})
        return super().load_querystring(req, schema)

    def _raw_load_json(self, req: Request) -> Any:
        body = json_body(req)
        return missing if body is None else body

    def handle_error(self, error: ma.ValidationError, *args: Any, **kwargs: Any) -> NoReturn:
        raise invalid(error)


class Resource(Blueprint):  # type: ignore[misc]
    """The views of one resource."""

    ARGUMENTS_PARSER = StrictParser()

    def __init__(self, name: str, description: str, prefix: str = PREFIX) -> None:
        super().__init__(name, name, url_prefix=prefix, description=description)

    # flask-smorest has no types: its decorators keep those of the view.

    def arguments(self, schema: Any, **options: Any) -> Callable[[V], V]:
        """As flask-smorest's."""
        return super().arguments(schema, **options)  # type: ignore[no-any-return]

    def response(self, code: int, schema: Any = None, **options: Any) -> Callable[[V], V]:
        """As flask-smorest's."""
        return super().response(code, schema, **options)  # type: ignore[no-any-return]

    def alt_response(self, code: int, **options: Any) -> Callable[[V], V]:
        """As flask-smorest's."""
        return super().alt_response(code, **options)  # type: ignore[no-any-return]

    @staticmethod
    def doc(**options: Any) -> Callable[[V], V]:
        """As flask-smorest's."""
        return Blueprint.doc(**options)  # type: ignore[no-any-return]

    def route(self, rule: str, *, methods: Iterable[str] = ("GET",), **options: Any) -> Callable[[V], V]:
        """As flask-smorest's; a view that takes no query arguments refuses them, and likewise a body."""

        def decorator(view: V) -> V:
            docs = getattr(view, "_apidoc", {})
            places = {item.get("in") for item in docs.get("arguments", {}).get("parameters", ())}
            if "query" not in places:
                view = self.arguments(NoQuery, location="query", as_kwargs=True)(view)
            if "json" not in places and "requestBody" not in docs.get("manual_doc", {}):
                view = _without_body(view)
            return super(Resource, self).route(rule, methods=tuple(methods), **options)(view)  # type: ignore[no-any-return]

        return decorator

    def routes(self, *rules: str, methods: Iterable[str] = ("GET",)) -> Callable[[V], V]:
        """As :meth:`route`, for a view that has several addresses: by id and by name."""

        def decorator(view: V) -> V:
            for number, rule in enumerate(rules):
                endpoint = view.__name__ if number == 0 else f"{view.__name__}_{number + 1}"
                self.route(rule, methods=methods, endpoint=endpoint)(view)
            return view

        return decorator


def json_body(req: Request | None = None) -> Any:
    """The decoded JSON body; None when there is none.

    Raises:
        Refused: The body is of another kind (415), or is no JSON (400).
    """
    req = req or request
    data = req.get_data(cache=True)
    if not data:
        return None
    if not req.is_json:
        raise Refused(415, "send JSON, with the header `Content-Type: application/json`")
    try:
        return orjson.loads(data)
    except ValueError as error:
        raise Refused(400, f"the body is not valid JSON: {error}") from None


def invalid(error: ma.ValidationError) -> InvalidInput:
    """A marshmallow error as ours: one line of the first problem, and all of them by field."""
    found: Any = error.normalized_messages()  # type: ignore[no-untyped-call]
    for place in ("json", "query"):
        if set(found) == {place} and isinstance(found[place], dict):
            found = found[place]
    return InvalidInput(_first_problem(found), found)


def answer(value: Any, code: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A JSON response. Reads carry an ETag, and are 304 when the client has that already."""
    body = dumps(value)
    response = Response(body, code, headers, mimetype="application/json")
    if request.method in ("GET", "HEAD"):
        response.set_etag(_etag(body))
        response.make_conditional(request)
    return response


def answer_page(page: Page[T], present: Callable[[T], Any]) -> Response:
    """A page of a list."""
    return answer({"items": [present(item) for item in page.items], "next": page.next})


def answer_all(items: Sequence[dict[str, Any]], query: dict[str, Any], key: str = "id", **more: Any) -> Response:
    """A page of a list that is short enough to be made whole.

    Args:
        key: The field that tells items apart.
        more: What stands beside the items.
    """
    limit, cursor = query["limit"], query["cursor"]
    keys = [str(item[key]) for item in items]
    start = 0
    if cursor is not None:
        (last,) = decode(cursor, str)
        start = keys.index(last) + 1 if last in keys else len(keys)
    shown = keys[start : start + limit]
    following = encode(shown[-1]) if start + limit < len(items) else None
    return answer({"items": items[start : start + limit], "next": following, **more})


def no_content() -> Response:
    """204."""
    return Response(status=204)


def check_match(present_form: Callable[[], Any]) -> None:
    """Refuse (412) a change when the client named, in ``If-Match``, another version than the present one."""
    if request.if_match and _etag(dumps(present_form())) not in request.if_match:
        raise Refused(412, "it was changed by someone else meanwhile: read it again")


def address(ref: str | None = None, kind: str | None = None, name: str | None = None) -> str | uuid.UUID:
    """What a view was called for: an id, a name, or ``kind/name``."""
    if ref is None:
        return f"{kind}/{name}"
    try:
        return uuid.UUID(ref)
    except ValueError:
        return ref


def _etag(body: bytes) -> str:
    return hashlib.blake2b(body, digest_size=16).hexdigest()


def _without_body(view: V) -> V:
    @wraps(view)
    def checked(*args: Any, **kwargs: Any) -> Any:
        if request.content_length and json_body() not in (None, {}):
            raise InvalidInput("this takes no body", {"body": ["Must be left out."]})
        return view(*args, **kwargs)

    return checked  # type: ignore[return-value]


def _first_problem(messages: Any, path: str = "") -> str:
    while isinstance(messages, dict) and messages:
        key, messages = next(iter(messages.items()))
        if key != "_schema":
            path = f"{path}.{key}" if path else str(key)
    text = messages[0] if isinstance(messages, list) and messages else messages
    return f"{path}: {text}" if path else str(text)
