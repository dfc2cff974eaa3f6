"""What people said about a company: overrides, decisions, answers and signatures, in an append-only, hash-chained log.

One SQLite file a company by default (`data/<company>/records.sqlite`); PostgreSQL when the environment variable
SOPKIT_RECORDS holds its URL. Nothing is ever changed or deleted: a later record supersedes an earlier one.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import sqlalchemy as sa

from sopkit.errors import Finding, RecordError, SettingsError, nearest
from sopkit.files import data_root
from sopkit.tables import RECORDS, Table

SQL_KINDS = {
    "text": sa.Text,
    "choice": sa.Text,
    "number": sa.Float,
    "whole": sa.BigInteger,
    "flag": sa.Boolean,
    "month": sa.Date,
    "date": sa.Date,
}
BY_NAME = {record.name: record for record in RECORDS}
STORED = {"author": "by", "recorded_at": "at"}  # what columns are called in the database since its first version
FIRST = "0" * 64
# seconds that a writer waits for another one
PATIENCE = 60
LOCK = 7_364_117

metadata = sa.MetaData()
EVENTS = sa.Table(
    "events",
    metadata,
    sa.Column("company", sa.Text, primary_key=True),
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("at", sa.Text, key="recorded_at", nullable=False),
    sa.Column("by", sa.Text, key="author", nullable=False),
    sa.Column("cycle", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("previous", sa.Text, nullable=False),
    sa.Column("sha256", sa.Text, nullable=False),
)


def _sql_table(record: Table) -> sa.Table:
    columns = [
        sa.Column(
            STORED.get(c.name, c.name),
            SQL_KINDS[c.kind],
            key=c.name,
            nullable=not c.required,
            primary_key=c.name == "id",
            autoincrement=False,
        )
        for c in record
    ]
    return sa.Table(record.name, metadata, sa.Column("company", sa.Text, primary_key=True), *columns)


SQL_TABLES = {record.name: _sql_table(record) for record in RECORDS}

# the database itself refuses to change or delete, whoever asks
for _table in (EVENTS, *SQL_TABLES.values()):
    for _deed in ("UPDATE", "DELETE"):
        sa.event.listen(
            _table,
            "after_create",
            sa.DDL(
                f"CREATE TRIGGER {_table.name}_no_{_deed.lower()} BEFORE {_deed} ON {_table.name} "
                f"BEGIN SELECT RAISE(ABORT, 'records are never changed: supersede them'); END"
            ).execute_if(dialect="sqlite"),
        )
    sa.event.listen(
        _table,
        "after_create",
        sa.DDL(
            f"CREATE TRIGGER {_table.name}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {_table.name} "
            f"FOR EACH STATEMENT EXECUTE FUNCTION sopkit_append_only()"
        ).execute_if(dialect="postgresql"),
    )
sa.event.listen(
    metadata,
    "before_create",
    sa.DDL(
        "CREATE OR REPLACE FUNCTION sopkit_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN RAISE EXCEPTION ''records are never changed: supersede them''; END'"
    ).execute_if(dialect="postgresql"),
)


def _chained(previous: str, event: dict[str, Any]) -> str:
    said = json.dumps(
        [
            previous,
            *(event[name] for name in ("company", "number", "recorded_at", "author", "cycle", "kind", "name", "body")),
        ],
        ensure_ascii=False,
    )
    return hashlib.sha256(said.encode()).hexdigest()


def _plain(value: Any) -> Any:
    """A cell as JSON knows it: months and days as ISO text, nothing as None."""
    if value is None or value is pd.NaT or (isinstance(value, float) and value != value):
        return None
    if hasattr(value, "isoformat"):
        return value.isoformat()[:10]
    return value.item() if hasattr(value, "item") else value


class Records:
    """The records of one `company` in the database at `url`; tables are made when they are missing.

    Every `add` is one transaction that adds the record and its event; when it returns, the record is on disk.
    """

    def __init__(self, url: str, company: str = "") -> None:
        self.company = company
        self.engine = _engine(url)
        try:
            with self._writing() as connection:
                metadata.create_all(connection)
        except sa.exc.OperationalError as error:
            said = str(error.orig).strip().splitlines()[0]
            raise SettingsError(
                f"The records database {self.engine.url.render_as_string()} cannot be used: {said}. "
                "Correct SOPKIT_RECORDS, or start the database."
            ) from None

    @classmethod
    def of(cls, company: str) -> Records:
        """The records of `company`: at SOPKIT_RECORDS where that is set, else in the company's own SQLite file."""
        url = os.environ.get("SOPKIT_RECORDS", "")
        if not url:
            folder = data_root() / company
            folder.mkdir(parents=True, exist_ok=True)
            url = f"sqlite:///{Path(folder / 'records.sqlite').as_posix()}"
        return cls(url, company)

    @contextmanager
    def _writing(self) -> Iterator[sa.Connection]:
        """One writer at a time, so that the chain has one order; others wait."""
        with self.engine.connect() as connection:
            if self.engine.dialect.name == "sqlite":
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            else:
                connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})
            yield connection
            connection.commit()

    def add(self, table: str, *, author: str, cycle: str, **fields: Any) -> int:
        """Keep one record of `table` and return its id; when this returns, it is on disk and in the event log.

        Raises RecordError that lists everything wrong: no reason, no owner, an unknown field, a value out of bounds,
        an override that supersedes one that does not exist.
        """
        if table not in BY_NAME:
            raise RecordError(
                [Finding(table, 0, "", "", "is no table of records", "error", "", nearest(table, BY_NAME))]
            )
        declared, sql = BY_NAME[table], SQL_TABLES[table]
        said = {name: value.strip() if isinstance(value, str) else value for name, value in fields.items()}
        row = {
            "cycle": cycle,
            "author": author.strip(),
            "recorded_at": datetime.now(UTC).isoformat(timespec="microseconds"),
        } | said
        with self._writing() as connection:
            last = sa.select(sa.func.max(sql.c.id)).where(sql.c.company == self.company)
            row["id"] = (connection.scalar(last) or 0) + 1
            row = self._checked(declared, row, connection)
            connection.execute(sql.insert(), {"company": self.company} | row)
            body = {STORED.get(name, name): _plain(value) for name, value in row.items()}
            self._append(connection, row["recorded_at"], row["author"], cycle, "record", table, body)
        return row["id"]

    def _checked(self, declared: Table, row: dict[str, Any], connection: sa.Connection) -> dict[str, Any]:
        wrong = []
        for name, why in (
            ("reason", "say why, so that it can be judged next cycle"),
            ("author", "name the person who records it"),
        ):
            if name in declared.names and declared[name].required and not str(row.get(name) or "").strip():
                wrong.append(
                    Finding(declared.name, 0, name, "", "is missing", "error", "", f"{why[0].upper()}{why[1:]}.")
                )
                row[name] = "-"
        for name in sorted(set(row) - set(declared.names)):
            wrong.append(
                Finding(
                    declared.name, 0, name, "", "is no field of this record", "error", "", nearest(name, declared.names)
                )
            )
            del row[name]
        frame = pd.DataFrame([row])
        for column in declared:
            if column.kind in ("month", "date") and column.name in frame:
                try:
                    frame[column.name] = pd.to_datetime(frame[column.name]).astype("datetime64[ns]")
                except (ValueError, TypeError):
                    wrong.append(
                        Finding(
                            declared.name,
                            0,
                            column.name,
                            str(row[column.name]),
                            "is no date",
                            "error",
                            column.allowed,
                            "Write it like 2026-11.",
                        )
                    )
                    frame[column.name] = pd.Timestamp("2000-01-01")
        try:
            frame = declared.conform(frame)
            found = declared.findings(frame)
        except Exception as error:
            found = getattr(error, "findings", None)
            if found is None:
                raise
        wrong += [Finding(f.table, 0, f.column, f.value, f.rule, f.severity, f.allowed, f.fix) for f in found]
        if not wrong and declared.name == "overrides":
            wrong += self._override_findings(frame.iloc[0], connection)
        if not wrong and declared.name == "history_answers":
            wrong += _answer_findings(frame.iloc[0])
        if wrong:
            raise RecordError(wrong, "Nothing was stored")
        clean = {name: _cell(frame[name].iloc[0]) for name in declared.names}
        return clean

    def _override_findings(self, row: pd.Series, connection: sa.Connection) -> Iterator[Finding]:
        if row["last_month"] < row["first_month"]:
            yield Finding(
                "overrides",
                0,
                "last_month",
                f"{row['last_month']:%Y-%m}",
                "is before first_month",
                "error",
                "",
                "Correct it.",
            )
        if row["action"] != "add" and row["amount"] < 0:
            yield Finding(
                "overrides",
                0,
                "amount",
                f"{row['amount']:g}",
                "may be negative only with action add",
                "error",
                "",
                "Correct it.",
            )
        sql = SQL_TABLES["overrides"]
        if row["supersedes"]:
            known = connection.scalars(sa.select(sql.c.id).where(sql.c.company == self.company)).all()
            if row["supersedes"] not in known:
                yield Finding(
                    "overrides",
                    0,
                    "supersedes",
                    str(row["supersedes"]),
                    "is no override",
                    "error",
                    ", ".join(map(str, known)) or "there is none yet",
                    "Give the number of an override, or 0.",
                )

    def log(self, kind: str, name: str, *, author: str, cycle: str, **body: Any) -> None:
        """Add an event that is no record, such as a stage that ran."""
        with self._writing() as connection:
            self._append(
                connection, datetime.now(UTC).isoformat(timespec="microseconds"), author, cycle, kind, name, body
            )

    def _append(
        self, connection: sa.Connection, at: str, author: str, cycle: str, kind: str, name: str, body: dict[str, Any]
    ) -> None:
        mine = sa.select(EVENTS.c.number, EVENTS.c.sha256).where(EVENTS.c.company == self.company)
        last = connection.execute(mine.order_by(EVENTS.c.number.desc()).limit(1)).first()
        number, previous = (last.number + 1, last.sha256) if last else (1, FIRST)
        event = {
            "company": self.company,
            "number": number,
            "recorded_at": at,
            "author": author,
            "cycle": cycle,
            "kind": kind,
            "name": name,
            "body": json.dumps(body, sort_keys=True, ensure_ascii=False),
            "previous": previous,
        }
        connection.execute(EVENTS.insert(), event | {"sha256": _chained(previous, event)})

    def read(self, table: str, cycle: str | None = None) -> pd.DataFrame:
        """Table `table` as declared in `sopkit/tables/records.py`.

        With a `cycle`: what had been said up to and including it; overrides superseded by then or expired before it are
        left out. Without: everything ever said.
        """
        if table not in BY_NAME:
            raise SettingsError(f"no table of records {table!r}: {nearest(table, BY_NAME)}")
        declared, sql = BY_NAME[table], SQL_TABLES[table]
        asked = sa.select(*(sql.c[name] for name in declared.names)).where(sql.c.company == self.company)
        if cycle is not None:
            asked = asked.where(sql.c.cycle <= cycle)
        with self.engine.connect() as connection:
            frame = pd.DataFrame(connection.execute(asked.order_by(sql.c.id)).all(), columns=declared.names)
        for column in declared:
            if column.kind in ("month", "date"):
                frame[column.name] = pd.to_datetime(frame[column.name]).astype("datetime64[ns]")
        frame = declared.conform(frame)
        if table == "overrides" and cycle is not None:
            month = pd.Timestamp(f"{cycle}-01")
            frame = frame[
                ~frame["id"].isin(frame["supersedes"]) & (frame["expires"].isna() | (frame["expires"] >= month))
            ]
        return frame.reset_index(drop=True)

    def events(self, kind: str | None = None, cycle: str | None = None) -> pd.DataFrame:
        """The event log in order: number, at, by, cycle, kind, name, body (JSON), previous, sha256."""
        asked = sa.select(EVENTS).where(EVENTS.c.company == self.company).order_by(EVENTS.c.number)
        if kind is not None:
            asked = asked.where(EVENTS.c.kind == kind)
        if cycle is not None:
            asked = asked.where(EVENTS.c.cycle == cycle)
        with self.engine.connect() as connection:
            return pd.DataFrame(connection.execute(asked).all(), columns=EVENTS.c.keys()).drop(columns="company")

    def verify(self) -> list[str]:
        """Everything that shows that the log or a record was changed behind its back; an empty list = nothing was."""
        wrong, previous, bodies = [], FIRST, {}
        with self.engine.connect() as connection:
            asked = sa.select(EVENTS).where(EVENTS.c.company == self.company).order_by(EVENTS.c.number)
            for number, event in enumerate(connection.execute(asked).mappings(), start=1):
                if event["number"] != number:
                    wrong.append(f"event {number} is missing from the log")
                    number = event["number"]
                if event["previous"] != previous or event["sha256"] != _chained(event["previous"], event):
                    wrong.append(f"event {event['number']} ({event['name']}, {event['at']}) is not what was logged")
                previous = event["sha256"]
                if event["kind"] == "record":
                    body = json.loads(event["body"])
                    bodies[event["name"], body["id"]] = body
            for name, sql in SQL_TABLES.items():
                rows = connection.execute(
                    sa.select(sql).where(sql.c.company == self.company).order_by(sql.c.id)
                ).mappings()
                for row in rows:
                    logged = bodies.pop((name, row["id"]), None)
                    if logged is None:
                        wrong.append(f"{name} {row['id']} was never logged")
                    elif logged != {key: _plain(value) for key, value in row.items() if key != "company"}:
                        wrong.append(f"{name} {row['id']} is not what was logged")
        return wrong + [f"{name} {number} was logged and is gone" for name, number in sorted(bodies)]


def _engine(url: str) -> sa.Engine:
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
    sa.event.listen(engine, "connect", _sqlite_durable)
    return engine


def _answer_findings(row: pd.Series) -> Iterator[Finding]:
    """A quantity belongs to the answer `changed` and to no other: elsewhere nobody could say what it means."""
    changed, given = row["answer"] == "changed", pd.notna(row["quantity"])
    if changed and not given:
        yield Finding(
            "history_answers",
            0,
            "quantity",
            "",
            "is missing",
            "error",
            "a number of at least 0",
            "Say what the month counts.",
        )
    if given and not changed:
        yield Finding(
            "history_answers",
            0,
            "quantity",
            f"{row['quantity']:g}",
            "has no meaning here",
            "error",
            "",
            "Leave it out, or answer `changed`.",
        )


def _cell(value: Any) -> Any:
    if value is pd.NaT or (isinstance(value, float) and value != value):
        return None
    if isinstance(value, pd.Timestamp):
        return value.date()
    return value.item() if hasattr(value, "item") else value


def _sqlite_durable(connection: Any, _record: Any) -> None:
    # we begin transactions ourselves; a record that was acknowledged is on disk, also after a power cut
    connection.isolation_level = None
    connection.execute("PRAGMA synchronous = FULL")
