"""SQL that several flows share, with parameters that are always bound."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import date, datetime
from typing import Any, ClassVar, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)

from orchestrator.block import Block
from orchestrator.errors import InvalidInput
from orchestrator.interfaces import Database

from .sql.rendering import check, quote_name, render

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}")
_TYPES: dict[str, tuple[TypeAdapter[Any], Any]] = {
    "text": (TypeAdapter(str), "x"),
    "integer": (TypeAdapter(int), 1),
    "number": (TypeAdapter(float), 1.5),
    "boolean": (TypeAdapter(bool), True),
    "date": (TypeAdapter(date), date(2000, 1, 1)),
    "datetime": (TypeAdapter(datetime), datetime(2000, 1, 1)),
    "identifier": (TypeAdapter(str), "some_name"),
    "json": (TypeAdapter(dict[str, Any] | list[Any]), {}),
}


class Parameter(BaseModel):
    """What a template takes."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    type: Literal["text", "integer", "number", "boolean", "date", "datetime", "identifier", "json"] = Field(
        "text", description="What values must be; identifier: the name of a table or column, for the filter identifier."
    )
    many: bool = Field(False, description="A list of such values, for IN ({{ name }}).")
    required: bool = Field(True, description="Whether a value must be given where there is no default.")
    default: JsonValue = Field(None, description="Taken when none is given.")
    choices: list[JsonValue] = Field(default_factory=list, description="The only values that may be given; empty: any.")
    description: str = Field("", description="For people.")


class SQLTemplate(Block):
    """A statement with parameters, made by Jinja in its sandbox; values are bound, never written into the text."""

    _name: ClassVar[str] = "SQL template"
    _slug: ClassVar[str] = "sql-template"
    _logo: ClassVar[str] = "tabler:file-type-sql"
    _docs_url: ClassVar[str] = "https://jinja.palletsprojects.com/en/stable/templates/"
    _code_example: ClassVar[str] = """
        from orchestrator.blocks.sql_database import SQLDatabase
        from orchestrator.blocks.sql_template import SQLTemplate

        SQLTemplate(
            database=SQLDatabase.load("shop"),
            statement='''
                SELECT * FROM {{ table | identifier }} WHERE day >= {{ since }}
                {% if countries %} AND country IN ({{ countries }}) {% endif %}
            ''',
            parameters={
                "table": {"type": "identifier", "choices": ["orders", "returns"], "default": "orders"},
                "since": {"type": "date"},
                "countries": {"many": True, "required": False},
            },
        ).save("sold")
        rows = SQLTemplate.load("sold").run(since="2026-01-01", countries=["DE", "FR"])
        """

    database: Database = Field(description="Where it is executed.")
    statement: str = Field(
        min_length=1,
        max_length=200_000,
        description="SQL with {{ values }}, {% if %} and {% for %}. Values are bound: write no quotes around them. "
        "Names of tables and columns go through {{ name | identifier }}.",
        json_schema_extra={"x-multiline": True},
    )
    parameters: dict[str, Parameter] = Field(
        default_factory=dict, description="What the statement takes: name, and type, default, choices."
    )

    @field_validator("parameters")
    @classmethod
    def _named(cls, parameters: dict[str, Parameter]) -> dict[str, Parameter]:
        for name, parameter in parameters.items():
            if not _NAME.fullmatch(name) or name == "self":
                raise ValueError(f"{name!r} cannot name a parameter: letters, digits and _, a letter first")
            for value in [*([] if parameter.default is None else [parameter.default]), *parameter.choices]:
                single = parameter if value is parameter.default else parameter.model_copy(update={"many": False})
                try:
                    _fit(name, single.model_copy(update={"choices": []}), value)
                except InvalidInput as error:
                    raise ValueError(str(error)) from None
        return parameters

    @model_validator(mode="after")
    def _declared(self) -> SQLTemplate:
        try:
            used = check(self.statement)
        except InvalidInput as error:
            raise ValueError(str(error)) from None
        if unknown := sorted(used - self.parameters.keys()):
            raise ValueError(f"the statement uses {', '.join(unknown)}, which parameters does not declare")
        return self

    def preview(self, **values: Any) -> tuple[str, dict[str, Any]]:
        """The statement that these values make, and the parameters bound to it. Nothing is executed.

        Raises:
            InvalidInput: A value is missing, unknown, or does not fit its parameter.
        """
        if unknown := sorted(values.keys() - self.parameters.keys()):
            takes = ", ".join(self.parameters) or "no parameters"
            raise InvalidInput(f"the template does not take {', '.join(unknown)}; it takes {takes}")
        fitted = {name: self._value(name, parameter, values) for name, parameter in self.parameters.items()}
        quote: Callable[[str], str] = self.database.quote
        return render(self.statement, fitted, quote)

    def run(self, **values: Any) -> list[dict[str, Any]]:
        """Execute it; returns the rows, none where the statement gives none. Raises as :meth:`preview` and fetch."""
        return self.database.fetch(*self.preview(**values))

    def execute(self, **values: Any) -> int:
        """Execute it; returns how many rows it touched. Raises as :meth:`preview` and ``Database.execute``."""
        return self.database.execute(*self.preview(**values))

    def stream(self, **values: Any) -> Iterator[dict[str, Any]]:
        """The rows, one by one. Raises as :meth:`preview` and ``Database.stream``."""
        return self.database.stream(*self.preview(**values))

    def test(self) -> str:
        """Render it with defaults and examples, and try the database. The statement is not executed."""
        statement, bound = self.preview(**{name: self._example(item) for name, item in self.parameters.items()})
        head = " ".join(statement.split())
        said = self.database.test() if isinstance(self.database, Block) else ""
        return f"It renders to {head[:200]!r} with {len(bound)} bound values. {said}".strip()

    def _value(self, name: str, parameter: Parameter, values: dict[str, Any]) -> Any:
        value = values.get(name)
        if value is None:
            value = parameter.default
        if value is None:
            if parameter.required:
                raise InvalidInput(f"{name} is missing: it is a {parameter.type} that has no default")
            return [] if parameter.many else None
        return _fit(name, parameter, value)

    def _example(self, parameter: Parameter) -> Any:
        if parameter.default is not None:
            return parameter.default
        value = parameter.choices[0] if parameter.choices else _TYPES[parameter.type][1]
        return [value] if parameter.many else value


def _fit(name: str, parameter: Parameter, value: Any) -> Any:
    """The value, in its parameter's type."""
    if parameter.many:
        if isinstance(value, (str, bytes, dict)) or not hasattr(value, "__iter__"):
            raise InvalidInput(f"{name}: give a list")
        single = parameter.model_copy(update={"many": False})
        return [_fit(name, single, item) for item in value]
    try:
        fitted = _TYPES[parameter.type][0].validate_python(value)
    except ValidationError as error:
        raise InvalidInput(f"{name}: {error.errors(include_url=False)[0]['msg']}") from None
    if parameter.type == "identifier":
        quote_name(fitted, str)
    allowed = [_TYPES[parameter.type][0].validate_python(item) for item in parameter.choices]
    if allowed and fitted not in allowed:
        raise InvalidInput(f"{name}: one of {', '.join(str(item) for item in parameter.choices)} is allowed")
    return fitted
