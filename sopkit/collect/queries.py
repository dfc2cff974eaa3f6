"""Queries: DuckDB over the raw files, and SELECTs sent to a database; both can read and never write."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from sopkit.collect.extract import Extract, failed, header_findings, sha_of_columns, texts, unique
from sopkit.collect.mapping import Mapping
from sopkit.errors import SettingsError
from sopkit.tables import Source, Table


def duckdb_query(table: Table, path: Path, mapping: Mapping) -> Extract:
    """The result of one DuckDB SELECT over the raw files: `dw.Sales.parquet` is `dw.Sales`, `orders.csv` is `orders`.

    One thread, so that sums are the same to the last bit every time; no file outside the company's own folders and no
    network can be reached.
    """
    import duckdb

    text = path.read_text(encoding="utf-8")
    place = f"query {path.relative_to(mapping.folder)}"
    with duckdb.connect(config={"threads": 1, "allow_community_extensions": False}) as connection:
        try:
            _views(connection, mapping.raw)
            allowed = [str(mapping.raw.resolve()), str(mapping.folder.resolve())]
            connection.execute("SET allowed_directories = $1", [allowed])
            connection.execute("SET enable_external_access = false")
            for name, value in (("raw", allowed[0]), ("cycle", mapping.cycle), ("currency", mapping.company.currency)):
                connection.execute(f"SET VARIABLE {name} = $1", [value])
            shared = mapping.folder / "sql" / "_shared.sql"
            if shared.is_file():
                for statement in _statements(connection, shared, "CREATE"):
                    connection.execute(statement)
            query = _statements(connection, path, "SELECT")[0]
            columns = connection.sql(query.query).to_arrow_table()
        except duckdb.Error as error:
            return failed(table, place, "query fails", f"{_first_lines(error)}. Correct the query.")
    return Extract(table.name, place, columns, np.arange(columns.num_rows) + 2, (), sha_of_columns(columns), (), text)


def _views(connection: Any, raw: Path) -> None:
    """One view for each raw file, in a schema where its name has a dot."""
    readers = {".parquet": "read_parquet", ".csv": "read_csv"}
    for path in sorted(raw.iterdir()) if raw.is_dir() else []:
        if reader := readers.get(path.suffix.lower()):
            schema, _, name = path.stem.rpartition(".")
            if schema:
                connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{_quoted(schema)}"')
            view = f'"{_quoted(schema)}"."{_quoted(name)}"' if schema else f'"{_quoted(name)}"'
            connection.execute(
                f"CREATE VIEW {view} AS SELECT * FROM {reader}('{str(path.resolve()).replace(chr(39), chr(39) * 2)}')"
            )


def _quoted(name: str) -> str:
    return name.replace('"', '""')


def _statements(connection: Any, path: Path, kind: str) -> list[Any]:
    """The statements in the file at `path`: all CREATE, or one SELECT; SettingsError for anything else."""
    statements = connection.extract_statements(path.read_text(encoding="utf-8"))
    if not statements or any(s.type.name != kind for s in statements) or (kind == "SELECT" and len(statements) > 1):
        wanted = "one SELECT" if kind == "SELECT" else "only CREATE VIEW or CREATE MACRO"
        raise SettingsError(f"{path} must hold {wanted}.")
    return statements


def _first_lines(error: Exception, most: int = 300) -> str:
    return " ".join(str(error).split())[:most].rstrip(".")


def database_url(name: str, mapping: Mapping) -> Any:
    """The SQLAlchemy URL of database `name`, with its password from the environment; it hides it when printed."""
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    settings = mapping.company.databases[name]
    try:
        url = make_url(settings.url)
    except ArgumentError:
        raise SettingsError(
            f"databases.{name}.url is no SQLAlchemy URL; write it like postgresql+psycopg://user@host/db."
        ) from None
    if settings.password_env:
        password = os.environ.get(settings.password_env)
        if password is None:
            raise SettingsError(
                f"databases.{name}: the environment variable {settings.password_env} is not set. "
                "Set it to the password; it is never written anywhere."
            )
        url = url.set(password=password)
    if url.drivername.startswith("sqlite") and url.database and url.database != ":memory:":
        url = url.set(database=str(mapping.folder / url.database))
    return url


def database_query(table: Table, source: Source, mapping: Mapping) -> Extract:
    """The result of one SELECT sent to a database, or all of its table of our table's name."""
    from sqlalchemy import create_engine, text
    from sqlalchemy.exc import NoSuchModuleError, SQLAlchemyError

    url = database_url(source.database, mapping)
    place = f"database {source.database}"
    if url.drivername.startswith("sqlite") and not Path(url.database or "").is_file():
        return failed(
            table,
            place,
            "file is missing",
            f"Correct databases.{source.database}.url: it names {Path(url.database or '').name}.",
        )
    engine = None
    try:
        # what is asked can read, never write
        options: dict[str, Any] = {}
        if url.get_backend_name() == "postgresql":
            options = {"connect_args": {"connect_timeout": 10}, "execution_options": {"postgresql_readonly": True}}
        elif url.drivername == "sqlite":
            url = url.set(database=Path(url.database).resolve().as_uri(), query={"mode": "ro", "uri": "true"})
        engine = create_engine(url, hide_parameters=True, **options)
        statement = source.query or f"SELECT * FROM {engine.dialect.identifier_preparer.quote(table.name)}"
        with engine.connect() as connection:
            result = connection.execute(text(statement))
            names, lines = list(result.keys()), result.fetchall()
    except (SQLAlchemyError, NoSuchModuleError, ImportError) as error:
        # `from error` would carry the URL's password into a traceback; the text is searched for it as well
        reason = _first_lines(getattr(error, "orig", None) or error)
        reason = reason.replace(url.password, "***") if url.password else reason
        return failed(
            table,
            place,
            "cannot be read",
            f"{reason}. Check the server, the user, the password variable and the query.",
        )
    finally:
        if engine is not None:
            engine.dispose()
    filled = [_column(values, source.decimal) for values in zip(*lines, strict=True)]
    columns = pa.table(filled or [pa.array([], pa.string())] * len(names), names=unique(names))
    findings = tuple(header_findings(table, names))
    return Extract(
        table.name, place, columns, np.arange(len(lines)) + 2, findings, sha_of_columns(columns), (), statement
    )


def _column(values: tuple, decimal: str) -> pa.Array:
    """A query's column: numbers stay numbers, all else becomes text (SQLite mixes kinds in one column)."""
    kinds = {type(value) for value in values if value is not None}
    if kinds and kinds <= {int, float}:
        return pa.array(values, pa.float64()) if float in kinds else texts(values)
    return texts(values, decimal)
