"""Addresses of databases, what goes wrong with them, and that no password is ever told."""

from __future__ import annotations

import base64
import inspect
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from pydantic import SecretStr, ValidationError
from sqlalchemy import make_url

from orchestrator.block import Block
from orchestrator.blocks.bigquery import BigQuery
from orchestrator.blocks.database_credentials import DatabaseCredentials
from orchestrator.blocks.dbt_project import DbtProject
from orchestrator.blocks.great_expectations import GreatExpectations
from orchestrator.blocks.redshift import Redshift
from orchestrator.blocks.snowflake import Snowflake
from orchestrator.blocks.soda import Soda
from orchestrator.blocks.sql import watching
from orchestrator.blocks.sql.catalogues import Catalogue, Table
from orchestrator.blocks.sql.errors import address
from orchestrator.blocks.sql_database import SQLDatabase
from orchestrator.blocks.sql_template import SQLTemplate
from orchestrator.errors import AccessDenied, BlockError, InvalidInput, NotFound, OrchestratorError, Unavailable
from orchestrator.interfaces import Database, Observed
from orchestrator.kinds import block_kinds

from ...polling import free_port

CANARY = "c@n/a:r%y #1"
KEY = "-----BEGIN PRIVATE KEY-----\nQUJD\nREVG\n-----END PRIVATE KEY-----\n"
KINDS: list[type[Block]] = [
    BigQuery, DatabaseCredentials, DbtProject, GreatExpectations, Redshift, Snowflake, Soda, SQLDatabase, SQLTemplate,
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_the_facts_are_whole_and_the_schema_is_one(kind: type[Block]) -> None:
    facts = kind.type_facts()
    assert all(facts[key] for key in ("slug", "name", "description", "logo", "docs_url", "code_example"))
    assert Path(inspect.getfile(kind)).stem == facts["slug"].replace("-", "_")
    assert facts["description"].endswith(".")
    jsonschema.Draft202012Validator.check_schema(facts["schema"])
    assert all(item.get("description") for item in facts["schema"]["properties"].values())
    icons = Path(__file__).resolve().parents[3] / "web" / "static" / "vendor" / "icons.txt"
    assert facts["logo"].removeprefix("tabler:") in icons.read_text().split()
    compile(facts["code_example"], facts["slug"], "exec")
    assert block_kinds.find(facts["slug"]) is kind


def test_a_kinds_own_fields_stand_above_the_shared_ones() -> None:
    names = [*Snowflake.type_facts()["schema"]["properties"]]
    assert names[0] == "account"
    assert names[-1] == "freshness"


def credentials(**changes: Any) -> DatabaseCredentials:
    return DatabaseCredentials(
        **{"dialect": "postgresql", "host": "127.0.0.1", "username": "etl", "password": CANARY, "database": "shop"}
        | changes
    )


@pytest.mark.parametrize(
    ("made", "url", "where"),
    [
        (credentials(port=5433), "postgresql+psycopg://etl:***@127.0.0.1:5433/shop", "postgres://127.0.0.1:5433/shop"),
        (credentials(dialect="mysql"), "mysql+pymysql://etl:***@127.0.0.1/shop", "mysql://127.0.0.1:3306/shop"),
        (
            credentials(query={"sslmode": "require"}),
            "postgresql+psycopg://etl:***@127.0.0.1/shop?sslmode=require",
            "postgres://127.0.0.1:5432/shop",
        ),
        (
            DatabaseCredentials(dialect="sqlite", database="/srv/shop.db"),
            "sqlite:////srv/shop.db",
            "sqlite:///srv/shop.db",
        ),
        (DatabaseCredentials(whole_url="duckdb:////srv/x"), "duckdb:////srv/x", "duckdb:///srv/x"),
        (
            DatabaseCredentials(whole_url=f"postgresql://etl:{'c%40n'}@db/shop"),
            "postgresql+psycopg://etl:***@db/shop",
            "postgres://db:5432/shop",
        ),
    ],
)
def test_addresses(made: DatabaseCredentials, url: str, where: str) -> None:
    assert made.url().render_as_string() == url
    assert address(made.url()) == where
    assert make_url(made.url().render_as_string(hide_password=False)) == made.url()
    assert CANARY not in repr(made)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "host is missing"),
        ({"dialect": "Postgres!", "host": "db"}, "dialect"),
        ({"dialect": "sqlite", "host": "db"}, "sqlite is a file"),
        ({"whole_url": f"no url {CANARY}"}, "no SQLAlchemy URL"),
        ({"whole_url": f"postgresql://etl:{CANARY}@db:port/x"}, "no SQLAlchemy URL"),
        ({"host": "db", "port": 70000}, "port"),
    ],
)
def test_what_is_no_address_is_refused_without_a_secret(values: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said) as caught:
        DatabaseCredentials(**values)
    assert CANARY not in str(caught.value)


def test_a_database_takes_credentials_or_a_url() -> None:
    for values in ({}, {"credentials": credentials(), "connection_url": "sqlite://"}):
        with pytest.raises(ValidationError, match="either credentials or connection_url"):
            SQLDatabase(**values)
    with pytest.raises(ValidationError) as caught:
        SQLDatabase(connection_url=f"nonsense {CANARY}")
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize("dialect", ["postgresql", "mysql"])
def test_an_unreachable_server_is_named_without_the_account(dialect: str) -> None:
    port = free_port()
    shop = SQLDatabase(credentials=credentials(dialect=dialect, port=port), connect_timeout_s=2)
    for verb in (shop.test, lambda: shop.fetch("SELECT 1"), lambda: [*shop.discover()], shop.credentials.test):  # type: ignore[union-attr]
        with pytest.raises(Unavailable, match=str(port)) as caught:
            verb()
        told = str(caught.value)
        assert CANARY not in told
        assert len(told.splitlines()) == 1
        assert caught.value.__cause__ is None


def test_an_unknown_account_and_an_unknown_database(services: tuple[str, str]) -> None:
    url = make_url(services[0]).set(drivername="postgresql")
    nobody = SQLDatabase(connection_url=url.set(username="nobody_here", password=CANARY).render_as_string(False))
    with pytest.raises(AccessDenied) as caught:
        nobody.fetch("SELECT 1")
    assert CANARY not in str(caught.value)
    with pytest.raises(NotFound, match="no_such_database"):
        SQLDatabase(connection_url=url.set(database="no_such_database").render_as_string(False)).fetch("SELECT 1")


def test_a_refused_right_is_access_denied(services: tuple[str, str]) -> None:
    shop = SQLDatabase(connection_url=make_url(services[0]).render_as_string(False))

    def try_it() -> None:
        with shop.transaction():
            shop.execute("SET LOCAL ROLE pg_monitor")
            shop.execute("CREATE DATABASE never")

    with pytest.raises((AccessDenied, InvalidInput)):
        try_it()

    def read_it() -> None:
        with shop.transaction():
            shop.execute("SET LOCAL ROLE pg_monitor")
            shop.fetch("SELECT * FROM pg_authid")

    with pytest.raises(AccessDenied, match="pg_authid"):
        read_it()


def test_max_connections_holds_and_says_so(services: tuple[str, str]) -> None:
    url = make_url(services[0]).set(drivername="postgresql").render_as_string(False)
    shop = SQLDatabase(connection_url=url, max_connections=1, connect_timeout_s=0.2)
    rows = shop.stream("SELECT 1 AS one UNION ALL SELECT 2", batch=1)
    assert next(rows) == {"one": 1}
    with pytest.raises(Unavailable, match="raise connections_per_run"):
        shop.fetch("SELECT 1")
    rows.close()
    assert shop.fetch("SELECT 1 AS one") == [{"one": 1}]


def test_a_look_makes_no_file(tmp_path: Path) -> None:
    for dialect in ("sqlite", "duckdb"):
        path = tmp_path / f"shop.{dialect}"
        shop = SQLDatabase(credentials=DatabaseCredentials(dialect=dialect, database=str(path)))
        for look in (shop.test, lambda shop=shop: [*shop.discover()], lambda shop=shop: shop.observe(None, print)):
            with pytest.raises(NotFound, match="no such file"):
                look()
        assert not path.exists()


def test_a_locked_or_broken_file_is_unavailable_or_refused(tmp_path: Path) -> None:
    nowhere = SQLDatabase(connection_url=f"sqlite:///{tmp_path}/nowhere/shop.db")
    with pytest.raises(Unavailable, match="unable to open"):
        nowhere.execute("CREATE TABLE x (id integer)")
    (tmp_path / "text.db").write_text("this is no database, however long it is read " * 20)
    with pytest.raises(OrchestratorError, match="not a database"):
        SQLDatabase(connection_url=f"sqlite:///{tmp_path}/text.db").test()


def snowflake(**changes: Any) -> Snowflake:
    values = {"account": "org-main", "username": "etl", "password": CANARY, "database": "SHOP"}
    return Snowflake(**{key: value for key, value in (values | changes).items() if value is not None})


def test_the_address_of_snowflake() -> None:
    url = snowflake(schema_name="PUBLIC", warehouse="WH", role="ETL").url()
    assert (url.drivername, url.host, url.database, url.password) == ("snowflake", "org-main", "SHOP/PUBLIC", CANARY)
    assert {"warehouse": "WH", "role": "ETL"}.items() <= url.query.items()
    keyed = snowflake(password=None, private_key=KEY).url()
    assert keyed.query["private_key"] == "QUJDREVG"
    assert address(keyed) == "snowflake://org-main/SHOP"
    for changes in ({"private_key": KEY}, {"password": None}, {"password": None, "private_key": "nonsense"}):
        with pytest.raises(ValidationError):
            snowflake(**changes)


def test_the_address_of_bigquery() -> None:
    assert BigQuery(project="my-project").url().render_as_string() == "bigquery://my-project"
    key = json.dumps({"client_email": "x@y", "private_key": CANARY})
    url = BigQuery(project="my-project", dataset="shop", location="EU", service_account=key).url()
    assert (url.host, url.database, url.query["location"]) == ("my-project", "shop", "EU")
    assert json.loads(base64.b64decode(str(url.query["credentials_base64"]))) == json.loads(key)
    for broken in ("nonsense", "[]", "{}"):
        with pytest.raises(ValidationError, match="no key of a service account"):
            BigQuery(project="my-project", service_account=broken)


def test_the_address_of_redshift() -> None:
    made = Redshift(host="x.redshift.amazonaws.com", database="shop", username="etl", password=CANARY)
    assert made.url().render_as_string() == (
        "redshift+psycopg2://etl:***@x.redshift.amazonaws.com:5439/shop?sslmode=verify-ca"
    )
    assert address(made.url()) == "redshift://x.redshift.amazonaws.com:5439/shop"


@pytest.mark.parametrize(
    ("made", "extra"),
    [
        (snowflake(), "snowflake"),
        (BigQuery(project="my-project"), "bigquery"),
        (Redshift(host="x", database="shop", username="etl", password=CANARY), "redshift"),
    ],
)
def test_a_driver_that_is_not_installed_is_named(made: Database, extra: str) -> None:
    with pytest.raises(BlockError, match=rf'pip install "orchestrator\[{extra}\]"') as caught:
        made.fetch("SELECT 1")
    assert CANARY not in str(caught.value)


def test_an_unknown_driver_is_named() -> None:
    with pytest.raises(BlockError, match="oracle"):
        SQLDatabase(credentials=credentials(dialect="oracle+oracledb")).fetch("SELECT 1")


def test_a_rotated_password_opens_a_connection_of_its_own(tmp_path: Path) -> None:
    first = credentials(password="one")
    second = first.model_copy(update={"password": SecretStr("two")})
    made = {SQLDatabase(credentials=item)._engine() for item in (first, second)}
    assert len(made) == 2
    assert SQLDatabase(credentials=credentials(password="one"))._engine() in made


def test_a_cursor_is_bounded() -> None:
    tables = [Table("public", f"t{number:06}", rows=1, identity=str(number)) for number in range(watching.WATCHED + 5)]
    told: list[Observed] = []
    cursor = watching.compare("postgres://x/y", Catalogue(), tables, {}, None, told.append)
    assert len(cursor["tables"]) == watching.WATCHED
    assert len(json.dumps(cursor)) < 2 * 1024 * 1024
    again = watching.compare("postgres://x/y", Catalogue(), tables[1:], {}, cursor, told.append)
    assert [(item.event, item.resource.name) for item in told] == [("sql.table.dropped", "public.t000000")]
    assert len(again["tables"]) == watching.WATCHED


def test_a_counter_that_fell_is_no_change_and_a_table_made_again_is_one() -> None:
    def look(cursor: Any, **facts: Any) -> tuple[Any, list[str]]:
        told: list[Observed] = []
        table = Table("s", "t", **{"rows": 1, "identity": "1", "mark": 10} | facts)
        after = watching.compare("postgres://x/y", Catalogue(), [table], {}, cursor, told.append)
        return after, [item.event for item in told]

    cursor, told = look(None)
    assert told == []
    cursor, told = look(cursor, mark=3)
    assert told == []
    cursor, told = look(cursor, mark=4)
    assert told == ["sql.table.changed"]
    cursor, told = look(cursor, mark=5, rows=9)
    assert told == ["sql.table.changed", "sql.table.grew"]
    cursor, told = look(cursor, mark=0, rows=0, identity="2")
    assert told == ["sql.table.changed"]
