"""Queries: DuckDB over the raw files, and SELECTs sent to a database; both can read and never write."""

from __future__ import annotations

import json
import os
import re
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from python_calamine import CalamineError, CalamineWorkbook

from sopkit.collect.extract import Extract, failed, header_findings, quoted, sha_of_columns, texts, unique
from sopkit.collect.mapping import Mapping
from sopkit.errors import SettingsError
from sopkit.files import is_inside, is_source
from sopkit.tables import Source, Table
from sopkit.tables.source import RawFile

READERS = (".csv", ".tsv", ".txt", ".parquet")
SPREADSHEETS = (".xlsx", ".xlsm", ".xls", ".xlsb", ".ods")


def duckdb_query(table: Table, path: Path, mapping: Mapping) -> Extract:
    """The result of one DuckDB SELECT over the raw files; each is a view, made only where its name stands in a query.

    `orders.csv` is `orders`, `dw.Sales.parquet` is `dw.Sales`, `2026/orders.csv` is `"2026".orders`, a sheet of
    `plan.xlsx` is `plan.Sheet` and its first one `plan`. One thread, so that sums are the same to the last bit every
    time; nothing outside the raw folder can be read, nothing written, and no network reached.
    """
    import duckdb

    text = path.read_text(encoding="utf-8")
    place = f"query {path.relative_to(mapping.folder)}"
    with (
        duckdb.connect(config={"threads": 1, "allow_community_extensions": False}) as connection,
        tempfile.TemporaryDirectory(prefix="sopkit-") as temporary,
    ):
        reading = ""
        try:
            query = _statements(connection, path, "SELECT")[0]
            shared = _shared(connection, mapping, text)
            known = {"raw": str(mapping.raw.resolve()), "cycle": mapping.cycle, "currency": mapping.company.currency}
            for name, value in known.items():
                connection.execute(f"SET VARIABLE {name} = $1", [value])
            whole = "\n".join([text, *(statement.query for statement in shared)])
            named = [one for one in raw_files(mapping) if is_named(one, whole)]
            for file in named:
                reading = file.relative_to(mapping.raw).as_posix()
                _view(connection, file, mapping, Path(temporary))
            reading = ""
            _shut(connection, mapping, [*named, *Path(temporary).iterdir()])
            for statement in shared:
                connection.execute(statement)
            columns = connection.sql(query.query).to_arrow_table()
        except (duckdb.Error, UnicodeError, CalamineError, ValueError) as error:
            why = _first_lines(error)
            inside = [one for one in raw_files(mapping) if str(one.resolve()) in str(error)]
            if reading := reading or (inside[0].relative_to(mapping.raw).as_posix() if inside else ""):
                settings = f"`raw_files: {{{json.dumps(reading)}: {{encoding: cp1252}}}}`"
                fix = f"Export {reading} again, or say in company.yaml how it is written, like {settings} ({why})."
                return failed(table, place, f"raw file {reading} cannot be read", fix)
            return failed(table, place, "query fails", f"{why}. Correct the query.")
    return Extract(table.name, place, columns, np.arange(columns.num_rows) + 2, (), sha_of_columns(columns), (), text)


def raw_files(mapping: Mapping) -> list[Path]:
    """Every file that a query may name: in the raw folder and below it; no lock file of Excel's, no link out of it."""
    return [
        path
        for path in sorted(mapping.raw.rglob("*"))
        if path.suffix.lower() in (*READERS, *SPREADSHEETS) and is_source(path) and is_inside(path, mapping.raw)
    ]


def is_named(path: Path, text: str) -> bool:
    """Whether a query's `text` may read the raw file at `path`: it names it, or it reads files by their place."""
    name = re.escape(path.stem.rpartition(".")[2])
    by_place = r"\bread_\w+\s*\(|getvariable\s*\(\s*'raw'"
    return bool(re.search(rf"(?<!\w){name}(?!\w)|{by_place}", text, re.IGNORECASE))


def _shared(connection: Any, mapping: Mapping, text: str) -> list[Any]:
    """The statements of sql/_shared.sql that a query's `text` uses, those that they use themselves before them."""
    path = mapping.folder / "sql" / "_shared.sql"
    used: list[Any] = []
    named = re.compile(r"\b(?:VIEW|MACRO|FUNCTION)\s+(?:IF\s+NOT\s+EXISTS\s+)?([\w.\"]+)", re.IGNORECASE)
    for statement in reversed(_statements(connection, path, "CREATE") if path.is_file() else []):
        made = named.search(statement.query)
        name = made[1].strip('"').rpartition(".")[2] if made else ""
        if not name or re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text, re.IGNORECASE):
            text += "\n" + statement.query
            used.insert(0, statement)
    return used


def _shut(connection: Any, mapping: Mapping, named: list[Path]) -> None:
    """From here on `connection` reads nothing but the raw files: not the records, no other company, not through a link.

    Where the raw folder is the company's own, only the files that the query names are open to it.
    """
    apart = not mapping.folder.resolve().is_relative_to(mapping.raw.resolve())
    connection.execute("SET allowed_directories = $1", [[str(mapping.raw.resolve())] if apart else []])
    connection.execute("SET allowed_paths = $1", [[str(path.resolve()) for path in named]])
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def _view(connection: Any, path: Path, mapping: Mapping, temporary: Path) -> None:
    """The raw file at `path` as a view, in a schema where its name has a dot or it lies in a sub-folder."""
    inside = path.relative_to(mapping.raw)
    schema, _, name = ".".join((*inside.parts[:-1], path.stem)).rpartition(".")
    if path.suffix.lower() in SPREADSHEETS:
        return _sheets(connection, path, (schema, name))
    if path.suffix.lower() == ".parquet":
        return _create(connection, (schema, name), f"read_parquet({_literal(str(path.resolve()))})")
    options = next((one for like, one in mapping.company.raw_files.items() if inside.match(like)), RawFile())
    place = path.resolve()
    if options.encoding.lower().replace("_", "-") not in ("utf-8", "utf8"):
        place = temporary / f"{len(list(temporary.iterdir()))}.csv"
        place.write_text(path.read_text(encoding=options.encoding), encoding="utf-8")
    # only what is set: DuckDB finds out the rest
    more = f", delim = {_literal(options.delimiter)}" if options.delimiter else ""
    more += f", decimal_separator = {_literal(options.decimal)}" if options.decimal != "." else ""
    more += f", skip = {options.skip}" if options.skip else ""
    more += ", all_varchar = true, header = true" if options.as_text else ""
    _create(connection, (schema, name), f"read_csv({_literal(str(place))}{more})")


def _sheets(connection: Any, path: Path, view: tuple[str, str]) -> None:
    """The sheets of a workbook as views, the first of them also by the workbook's own name."""
    workbook = CalamineWorkbook.from_path(str(path))
    whole = ".".join(filter(None, view))
    for place, sheet in enumerate(workbook.sheet_names):
        lines = [line for line in workbook.get_sheet_by_name(sheet).to_python() if any(str(c).strip() for c in line)]
        if not lines:
            continue
        header = unique([str(cell).strip() or f"column {at}" for at, cell in enumerate(lines[0], 1)])
        filled = [[None if cell == "" else cell for cell in line] for line in lines[1:]]
        arrays = [_column(cells, ".") for cells in zip(*filled, strict=True)]
        kept = f"sopkit {whole} {place}"
        connection.register(kept, pa.table(arrays or [pa.array([], pa.string())] * len(header), names=header))
        _create(connection, (whole, sheet), quoted(kept))
        if not place:
            _create(connection, view, quoted(kept))


def _create(connection: Any, view: tuple[str, str], source: str) -> None:
    schema, name = view
    if schema:
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {quoted(schema)}")
    whole = ".".join(map(quoted, filter(None, (schema, name))))
    connection.execute(f"CREATE VIEW {whole} AS SELECT * FROM {source}")


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _statements(connection: Any, path: Path, kind: str) -> list[Any]:
    """The statements in the file at `path`: all CREATE, or one SELECT; SettingsError for anything else."""
    statements = connection.extract_statements(path.read_text(encoding="utf-8"))
    if not statements or any(s.type.name != kind for s in statements) or (kind == "SELECT" and len(statements) > 1):
        wanted = "one SELECT" if kind == "SELECT" else "only CREATE VIEW or CREATE MACRO"
        raise SettingsError(f"{path} must hold {wanted}.")
    return statements


def _first_lines(error: Exception, most: int = 300) -> str:
    return " ".join(str(error).split())[:most].rstrip(".")


def database_url(name: str, mapping: Mapping, *, secret: bool = True) -> Any:
    """The SQLAlchemy URL of database `name`, if `secret` with its password of the environment; it hides that."""
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    settings = mapping.company.databases[name]
    try:
        url = make_url(settings.url)
    except ArgumentError:
        raise SettingsError(
            f"databases.{name}.url is no SQLAlchemy URL; write it like postgresql+psycopg://user@host/db."
        ) from None
    if secret and settings.password_env:
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
        fix = f"Correct databases.{source.database}.url: it names {Path(url.database or '').name}."
        return failed(table, place, "file is missing", fix)
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
        for secret in filter(None, (url.password, *map(str, url.query.values()))):
            reason = reason.replace(secret, "***")
        fix = f"{reason}. Check the server, the user, the password variable and the query."
        return failed(table, place, "cannot be read", fix)
    finally:
        if engine is not None:
            engine.dispose()
    filled = [_column(values, source.decimal) for values in zip(*lines, strict=True)]
    columns = pa.table(filled or [pa.array([], pa.string())] * len(names), names=unique(names))
    rows, findings = np.arange(len(lines)) + 2, tuple(header_findings(table, names))
    return Extract(table.name, place, columns, rows, findings, sha_of_columns(columns), (), statement)


def _column(values: tuple, decimal: str) -> pa.Array:
    """A query's column: numbers stay numbers, all else becomes text (SQLite mixes kinds in one column)."""
    kinds = {type(value) for value in values if value is not None}
    if kinds and kinds <= {int, float}:
        return pa.array(values, pa.float64()) if float in kinds else texts(values)
    return texts(values, decimal)
