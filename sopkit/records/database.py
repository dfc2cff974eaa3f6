"""The database of records: its tables, the triggers that refuse every change, and the door to it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from sopkit.errors import SettingsError
from sopkit.tables import RECORDS, Table

KINDS = {
    "text": sa.Text, "choice": sa.Text, "number": sa.Float, "whole": sa.BigInteger, "flag": sa.Boolean,
    "month": sa.Date, "date": sa.Date,
}  # fmt: skip
STORED = {"author": "by", "recorded_at": "at"}  # what columns are called in the database since its first version
PATIENCE = 60  # seconds that a writer waits for another one
TURN = 0.002  # seconds after which it looks again, and that it leaves to others after it wrote
HARMLESS = frozenset("host port dbname user sslmode".split())  # parts of a URL's query that may be shown
FIXES = {  # by what SQLite says
    "disk is full": "Nothing was recorded. Free some space there, then do the same again.",
    "readonly": "Nothing was recorded. Ask for the right to write to it and to its folder.",
    "disk i/o": "Nothing was recorded. Free some space there or repair the disk, then do the same again.",
}
REFUSAL = "records are never changed: supersede them"

metadata = sa.MetaData()
EVENTS = sa.Table(
    "events",
    metadata,
    sa.Column("company", sa.Text, primary_key=True),
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("at", sa.Text, key="recorded_at", nullable=False),
    sa.Column("by", sa.Text, key="author", nullable=False),
    *(sa.Column(name, sa.Text, nullable=False) for name in "cycle kind name body previous sha256".split()),
)


def _sql_table(record: Table) -> sa.Table:
    columns: Iterator[sa.Column[Any]] = (
        sa.Column(
            STORED.get(column.name, column.name),
            KINDS[column.kind],
            key=column.name,
            nullable=not column.required,
            primary_key=column.name == "id",
            autoincrement=False,
        )
        for column in record
    )
    return sa.Table(record.name, metadata, sa.Column("company", sa.Text, primary_key=True), *columns)


SQL_TABLES = {record.name: _sql_table(record) for record in RECORDS}


def _on(target: Any, moment: str, dialect: str, statement: str) -> None:
    sa.event.listen(target, moment, sa.DDL(statement).execute_if(dialect=dialect))


# the database itself refuses to change or delete, whoever asks
for _name, _table in metadata.tables.items():
    for _deed in ("UPDATE", "DELETE"):
        _no_deed = f"CREATE TRIGGER {_name}_no_{_deed.lower()} BEFORE {_deed} ON {_name} "
        _on(_table, "after_create", "sqlite", _no_deed + f"BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END")
    _only_more = f"CREATE TRIGGER {_name}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {_name} "
    _on(_table, "after_create", "postgresql", _only_more + "FOR EACH STATEMENT EXECUTE FUNCTION sopkit_append_only()")
_refuse = "CREATE OR REPLACE FUNCTION sopkit_append_only() RETURNS trigger LANGUAGE plpgsql AS "
_on(metadata, "before_create", "postgresql", _refuse + f"'BEGIN RAISE EXCEPTION ''{REFUSAL}''; END'")


def connect(url: str) -> sa.Engine:
    """The door to the database at `url`; SettingsError (without a password in it) where it is of another kind."""
    if url.startswith(("postgres://", "postgresql://")):
        url = "postgresql+psycopg://" + url.partition("://")[2]
    try:
        kind = sa.make_url(url).get_backend_name()
    except sa.exc.ArgumentError:
        kind = "a text that is no database URL"
    if kind == "postgresql":
        return sa.create_engine(url)
    if kind != "sqlite":
        raise SettingsError(f"records live in SQLite or PostgreSQL, not in {kind}. Correct SOPKIT_RECORDS.")
    engine = sa.create_engine(url, connect_args={"timeout": PATIENCE})
    sa.event.listen(engine, "connect", _durable)
    return engine


def _durable(connection: Any, _record: Any) -> None:
    # we begin transactions ourselves; a record that was acknowledged is on disk, also after a power cut
    connection.isolation_level = None
    connection.execute("PRAGMA synchronous = FULL")


def begin(connection: sa.Connection) -> None:
    """Begin to write in SQLite as soon as nobody else does: its own waits, of 0.1 s, may miss every gap between others.

    Raises OperationalError where others write all through PATIENCE.
    """
    until = time.monotonic() + PATIENCE
    connection.exec_driver_sql("PRAGMA busy_timeout = 0")
    while True:
        try:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            break
        except sa.exc.OperationalError as error:
            if "locked" not in str(error.orig) or time.monotonic() > until:
                raise
        time.sleep(TURN)
    connection.exec_driver_sql(f"PRAGMA busy_timeout = {PATIENCE * 1000}")


def unusable(engine: sa.Engine, error: sa.exc.DBAPIError) -> SettingsError:
    """What to tell a person about a database that failed, without any secret of its URL."""
    url, why = engine.url, (str(error.orig).strip() or type(error.orig).__name__).splitlines()[0]
    hidden = {name: "***" for name in url.query if name not in HARMLESS}
    for secret in filter(None, (url.password, *(str(url.query[name]) for name in hidden))):
        why = why.replace(secret, "***")
    shown = url.update_query_dict(hidden).render_as_string(hide_password=True)
    fix = "Correct SOPKIT_RECORDS, start the database, or bring back a copy of the file."
    fix = next((known for sign, known in FIXES.items() if sign in why.casefold()), fix)
    return SettingsError(f"The records database {shown} cannot be used: {why}. {fix}")
