"""`Records`: the records of one company, and the chained log of events in which each of them stands."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import sqlalchemy as sa

from sopkit.errors import Finding, RecordError, SettingsError, nearest
from sopkit.files import data_root, is_plain_name
from sopkit.records.check import checked
from sopkit.records.database import EVENTS, SQL_TABLES, STORED, TURN, begin, connect, metadata, unusable
from sopkit.tables import RECORDS

BY_NAME = {record.name: record for record in RECORDS}
FIRST = "0" * 64
LOCK = 7_364_117


class Records:
    """The records of one `company` in the database at `url`; tables are made when the first record is.

    Every `add` is one transaction that adds the record and its event; when it returns, the record is on disk. Reading
    writes nothing. Raises SettingsError where the database cannot be used.
    """

    def __init__(self, url: str, company: str = "") -> None:
        self.company = company
        self.engine = connect(url)
        self._made: dict[str, set[str]] = {}  # the columns of each table that is there
        self._look()

    @classmethod
    def of(cls, company: str) -> Records:
        """The records of `company`: at SOPKIT_RECORDS where that is set, else in the company's own SQLite file."""
        if not is_plain_name(company):
            raise SettingsError(f"{company!r} is no name of a company: give the plain name of its folder.")
        own = f"sqlite:///{(data_root() / company / 'records.sqlite').as_posix()}"
        return cls(os.environ.get("SOPKIT_RECORDS") or own, company)

    def __repr__(self) -> str:
        return f"Records of {self.company}: read(table), add(table, author=, cycle=, ...), events(), verify()"

    def _look(self) -> None:
        """Note which tables the database has."""
        place = Path(self.engine.url.database or "") if self.engine.dialect.name == "sqlite" else None
        own = data_root() / self.company
        # opening a file that is not there would make it
        if place and place.name and not place.exists() and (place.parent.is_dir() or place.parent == own):
            return
        with self._connected() as connection:
            look = sa.inspect(connection)
            self._made = {name: {one["name"] for one in look.get_columns(name)} for name in look.get_table_names()}

    def _is_made(self, sql: sa.Table) -> bool:
        """Whether the database has a table, looked up once more where it had none."""
        if sql.name not in self._made:
            self._look()
        return sql.name in self._made

    def _lacking(self, sql: sa.Table) -> list[sa.Column[Any]]:
        """Columns that a database made by an earlier version has not yet."""
        return [column for column in sql.columns if column.name not in self._made.get(sql.name, {column.name})]

    @contextmanager
    def _connected(self) -> Iterator[sa.Connection]:
        try:
            with self.engine.connect() as connection:
                yield connection
        except sa.exc.DBAPIError as error:
            raise unusable(self.engine, error) from None
        except (ValueError, TypeError) as error:  # a cell that is no longer of its kind, in the driver's words
            told = f"The records database holds what was never written: {' '.join(str(error).split())[:200]}"
            raise SettingsError(f"{told}. Bring back a copy of the file.") from None

    @contextmanager
    def _writing(self) -> Iterator[sa.Connection]:
        """One writer at a time, so that the chain has one order; others wait."""
        if self.engine.dialect.name == "sqlite" and self.engine.url.database:
            Path(self.engine.url.database).parent.mkdir(parents=True, exist_ok=True)
        with self._connected() as connection:
            if self.engine.dialect.name == "sqlite":
                begin(connection)
            else:
                connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})
            lacking = [(sql.name, column) for sql in SQL_TABLES.values() for column in self._lacking(sql)]
            for name, column in lacking:
                kind = column.type.compile(self.engine.dialect)
                connection.execute(sa.DDL(f"ALTER TABLE {name} ADD COLUMN {column.name} {kind}"))
            new = bool(lacking) or not self._made.keys() >= set(metadata.tables)
            if new:
                metadata.create_all(connection)
            yield connection
            connection.commit()
        time.sleep(TURN)  # who writes much leaves room to others
        if new:
            self._look()

    def add(self, table: str, *, author: str, cycle: str, **fields: Any) -> int:
        """Keep one record of `table` and return its id; when this returns, it is on disk and in the event log.

        Raises RecordError that lists everything wrong: no reason, no owner, an unknown field, a value out of bounds,
        an override that supersedes one that does not exist.
        """
        return self.add_all(table, [fields], author=author, cycle=cycle)[0]

    def add_all(
        self, table: str, rows: Sequence[Mapping[str, Any]], *, author: str, cycle: str, seen: int | None = None
    ) -> list[int]:
        """Keep all `rows` (fields of a record each) or, where one is wrong, none; returns their ids. See `add`.

        `seen`: the last id of the table that the author knew; RecordError where others have recorded since.
        """
        if table not in BY_NAME:
            hint = nearest(table, BY_NAME)
            raise RecordError([Finding(table, 0, "", "", "is no table of records", "error", "", hint)])
        declared, sql, kept = BY_NAME[table], SQL_TABLES[table], []
        with self._writing() as connection:
            known = connection.scalars(sa.select(sql.c.id).where(sql.c.company == self.company).order_by(sql.c.id))
            numbers = list(known.all())
            if seen is not None and max(numbers, default=0) > seen:
                rule = "has records of others that came meanwhile"
                raise RecordError([Finding(table, 0, "", "", rule, "error", "", "Look at them, then store again.")])
            for fields in rows:
                row = {"cycle": cycle, "author": author.strip(), "recorded_at": _now()}
                row |= {name: value.strip() if isinstance(value, str) else value for name, value in fields.items()}
                row = checked(declared, row | {"id": max(numbers, default=0) + 1}, numbers)
                connection.execute(sql.insert(), {"company": self.company} | row)
                body = {STORED.get(name, name): _plain(value) for name, value in row.items()}
                self._append(connection, "record", table, row | {"body": body})
                numbers.append(int(row["id"]))
                kept.append(int(row["id"]))
        return kept

    def log(self, kind: str, name: str, *, author: str, cycle: str, **body: Any) -> int:
        """Add an event that is no record, such as a stage that ran; returns its number."""
        about = {"recorded_at": _now(), "author": author, "cycle": cycle, "body": body}
        with self._writing() as connection:
            return self._append(connection, kind, name, about)

    def _append(self, connection: sa.Connection, kind: str, name: str, about: dict[str, Any]) -> int:
        mine = sa.select(EVENTS.c.number, EVENTS.c.sha256).where(EVENTS.c.company == self.company)
        last = connection.execute(mine.order_by(EVENTS.c.number.desc()).limit(1)).first()
        event = {"company": self.company, "number": last.number + 1 if last else 1, "kind": kind, "name": name}
        event |= {column: about[column] for column in ("recorded_at", "author", "cycle")}
        event["body"] = json.dumps(about["body"], sort_keys=True, ensure_ascii=False)
        event["previous"] = last.sha256 if last else FIRST
        connection.execute(EVENTS.insert(), event | {"sha256": _chained(event)})
        return int(event["number"])

    def read(self, table: str, cycle: str | None = None) -> pd.DataFrame:
        """Table `table` as declared in `sopkit/tables/records.py`.

        With a `cycle`: what had been recorded up to and including it; overrides superseded by then or expired before it
        are left out. Without: everything ever recorded.
        """
        if table not in BY_NAME:
            raise SettingsError(f"no table of records {table!r}: {nearest(table, BY_NAME)}")
        declared, sql = BY_NAME[table], SQL_TABLES[table]
        asked = self._select(sql, declared.names)
        if cycle is not None:
            asked = asked.where(sql.c.cycle <= cycle)
        frame = pd.DataFrame(self._rows(sql, asked.order_by(sql.c.id)), columns=declared.names)
        for column in declared:
            if column.kind in ("month", "date"):
                frame[column.name] = pd.to_datetime(frame[column.name]).astype("datetime64[ns]")
        frame = declared.conform(frame)
        if table == "overrides" and cycle is not None:
            holds = frame["expires"].isna() | (frame["expires"] >= pd.Timestamp(f"{cycle}-01"))
            frame = frame[~frame["id"].isin(frame["supersedes"]) & holds]
        return frame.reset_index(drop=True)

    def _select(self, sql: sa.Table, names: Iterable[str]) -> sa.Select[Any]:
        """The columns `names` of the company's rows; nothing for a column that the database has not yet."""
        self._is_made(sql)
        lacking = {column.name for column in self._lacking(sql)}
        columns = (sa.null().label(name) if sql.c[name].name in lacking else sql.c[name] for name in names)
        return sa.select(*columns).where(sql.c.company == self.company)

    def _rows(self, sql: sa.Table, asked: sa.Select[Any]) -> list[Any]:
        """What the database answers; nothing where its table is not made yet."""
        if not self._is_made(sql):
            return []
        with self._connected() as connection:
            return list(connection.execute(asked).all())

    def events(self, kind: str | None = None, cycle: str | None = None) -> pd.DataFrame:
        """The event log in order: number, recorded_at, author, cycle, kind, name, body (JSON), previous, sha256."""
        asked = sa.select(EVENTS).where(EVENTS.c.company == self.company).order_by(EVENTS.c.number)
        if kind is not None:
            asked = asked.where(EVENTS.c.kind == kind)
        if cycle is not None:
            asked = asked.where(EVENTS.c.cycle == cycle)
        return pd.DataFrame(self._rows(EVENTS, asked), columns=EVENTS.c.keys()).drop(columns="company")

    def head(self) -> str:
        """The sha256 of the last event, by which a log that was cut or put back can be told; empty for an empty log."""
        asked = sa.select(EVENTS.c.sha256).where(EVENTS.c.company == self.company)
        rows = self._rows(EVENTS, asked.order_by(EVENTS.c.number.desc()).limit(1))
        return str(rows[0][0]) if rows else ""

    def verify(self) -> list[str]:
        """Everything that shows that the log or a record was changed behind its back; an empty list = nothing was."""
        wrong: list[str] = []
        for look in (self._damage, self._guards, self._changes):
            try:
                wrong += look()
            except SettingsError as error:
                wrong.append(str(error))
        return list(dict.fromkeys(wrong))

    def _guards(self) -> list[str]:
        """Tables and triggers of an SQLite file that are not as sopkit makes them."""
        if self.engine.dialect.name != "sqlite" or not self._made:
            return []
        model = connect("sqlite://")
        metadata.create_all(model)
        with self._connected() as connection, model.connect() as made:
            (columns, triggers), (ours, guards) = _schema(connection), _schema(made)
        other, where = sorted(".".join(one[:2]) for one in columns - ours), "of the records database is"
        # a file of the first version has none; where one of a table's two stands, the other one stood too
        halves = {name.rpartition("_no_")[0] for name, _ in triggers & guards}
        lost = {one for one in guards - triggers if one[0].rpartition("_no_")[0] in halves}
        gone, names = sorted(halves - {one[0] for one in columns}), {name for name, _ in (triggers - guards) | lost}
        wrong = [f"column {name} {where} not as it was made" for name in other]
        wrong += [f"table {name} {where} gone" for name in gone]
        return wrong + [f"trigger {name} {where} not as it was made" for name in sorted(names)]

    def _damage(self) -> list[str]:
        if self.engine.dialect.name != "sqlite" or not self._made:
            return []
        with self._connected() as connection:
            found = connection.exec_driver_sql("PRAGMA integrity_check").scalars().all()
        return [f"the records database is damaged: {line}" for line in found if line != "ok"]

    def _changes(self) -> list[str]:
        wrong, expected, previous, bodies = [], 1, FIRST, {}
        for event in self.events().assign(company=self.company).to_dict("records"):
            wrong += [f"event {number} is missing from the log" for number in range(expected, event["number"])]
            expected = event["number"] + 1
            if event["previous"] != previous or event["sha256"] != _chained(event):
                about = f"{event['name']}, {event['recorded_at']}"
                wrong.append(f"event {event['number']} ({about}) is not what was logged")
            elif event["kind"] == "record":
                body = json.loads(event["body"])
                bodies[event["name"], body["id"]] = body
            previous = event["sha256"]
        for name, sql in SQL_TABLES.items():
            columns = [STORED.get(column, column) for column in BY_NAME[name].names]
            for row in self._rows(sql, self._select(sql, BY_NAME[name].names).order_by(sql.c.id)):
                kept = {column: _plain(value) for column, value in zip(columns, row, strict=True)}
                logged = bodies.pop((name, kept["id"]), None)
                if logged is None:
                    wrong.append(f"{name} {kept['id']} was never logged")
                elif {column: logged.get(column) for column in kept} != kept:
                    wrong.append(f"{name} {kept['id']} is not what was logged")
        return wrong + [f"{name} {number} was logged and is gone" for name, number in sorted(bodies)]


def _schema(connection: sa.Connection) -> tuple[set[tuple[Any, ...]], set[tuple[str, str]]]:
    """Columns (table, name, kind, needed, place in the key) and triggers (name, text) of our tables in SQLite."""
    names = set(metadata.tables)
    columns = {
        (table, *row[1:4], row[5])
        for table in connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table'").scalars().all()
        if table in names
        for row in connection.exec_driver_sql("SELECT * FROM pragma_table_info(?)", (table,)).all()
    }
    asked = "SELECT name, tbl_name || ': ' || sql FROM sqlite_master WHERE type = 'trigger'"
    triggers = connection.exec_driver_sql(asked).all()
    return columns, {(str(name), " ".join(str(text).split())) for name, text in triggers}


def last_number(recorded: pd.DataFrame) -> int:
    """The number of the last record of a table: what its reader has seen; 0 where nothing is recorded."""
    return int(recorded["id"].max()) if len(recorded) else 0


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")


def _chained(event: dict[str, Any]) -> str:
    """The sha256 of an event: over the one of the event before it, and over all that this one says."""
    about = "previous company number recorded_at author cycle kind name body".split()
    return hashlib.sha256(json.dumps([event[name] for name in about], ensure_ascii=False).encode()).hexdigest()


def _plain(value: Any) -> Any:
    """A cell as JSON knows it: months and days as ISO text."""
    return value.isoformat()[:10] if hasattr(value, "isoformat") else value
