"""Reading what a company has: CSV, Excel, Parquet, DuckDB queries over raw files, SQL databases.

Every source gives an `Extract`: columns of text (or of the source's own kinds) with the spreadsheet row of each line.
Nothing is interpreted here; `check` does that. What cannot be read becomes a finding, never a traceback.
"""

from __future__ import annotations

import io
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sopkit.collect.csv_files import read_csv
from sopkit.collect.extract import Extract, failed, sha, texts
from sopkit.collect.mapping import Mapping
from sopkit.collect.queries import SPREADSHEETS, database_query, database_url, duckdb_query, is_named, raw_files
from sopkit.collect.sheets import read_sheet
from sopkit.files import is_inside, is_source
from sopkit.tables import INPUTS, Source, Table


def extract(table: Table, mapping: Mapping, memory: dict | None = None) -> Extract | None:
    """What the source of `table` holds; None where the company has no source for it.

    `memory` keeps what was read from files, by the sha256 of their content: an unchanged file is not parsed again.
    """
    source = mapping.source(table.name)
    try:
        if source.database:
            return database_query(table, source, mapping)
        query = mapping.folder / (source.sql or f"sql/{table.name}.sql")
        if source.sql or (query.is_file() and not source.file):
            return duckdb_query(table, query, mapping)
        return _files(table, source, mapping, {} if memory is None else memory)
    except OSError as error:
        return failed(table, source.file or table.name, "cannot be opened", f"{error.strerror or error}. Correct that.")


def files_read(mapping: Mapping) -> dict[str, Path]:
    """Every file that the mapping reads, by its place: settings, queries and the raw files they name, sources.

    What else lies in the company's folder (notes, backups, a lock file of Excel's) counts for nothing.
    """
    found = [mapping.folder / name for name in ("company.yaml", "scenarios.yaml")]
    texts = []
    for table in INPUTS:
        source = mapping.source(table.name)
        query = mapping.folder / (source.sql or f"sql/{table.name}.sql")
        if source.database:
            url = database_url(source.database, mapping, secret=False)
            found += [Path(url.database or "")] if url.drivername.startswith("sqlite") else []
        elif source.sql or (query.is_file() and not source.file):
            texts.append(query)
        else:
            found += _found(table, source, mapping)
    if texts:
        texts.append(mapping.folder / "sql" / "_shared.sql")
        found += texts
        whole = "\n".join(path.read_text(encoding="utf-8", errors="replace") for path in texts if path.is_file())
        found += [path for path in raw_files(mapping) if is_named(path, whole)]
    return {os.path.relpath(path, mapping.folder): path for path in sorted(set(found)) if path.is_file()}


def _files(table: Table, source: Source, mapping: Mapping, memory: dict) -> Extract | None:
    found = _found(table, source, mapping)
    if source.file and not found:
        fix = f"Put it into {mapping.raw}, or correct `file` in company.yaml; the folder holds {_listed(mapping.raw)}."
        return failed(table, source.file, "file is missing", fix)
    if not found:
        return None
    out = [path.name for path in found if not is_inside(path, mapping.folder, mapping.raw)]
    if out:
        fix = "Copy the file into the folder, or name the folder it lies in under `raw:` in company.yaml."
        return failed(table, out[0], "is a link that leads out of the company's folder", fix)
    contents = [path.read_bytes() for path in found]
    digests = [sha(content) for content in contents]
    for place, digest in enumerate(digests):
        if digest in digests[:place]:
            twice = f"has the same content as {found[digests.index(digest)].name}"
            return failed(table, found[place].name, twice, "Remove one of the two: its rows would count twice.")
    known = (source.model_dump_json(), [path.name for path in found], digests)
    if table.name in memory and memory[table.name][0] == known:
        return memory[table.name][1]
    extracts = [_file(table, source, path, content) for path, content in zip(found, contents, strict=True)]
    whole = extracts[0] if len(extracts) == 1 else _joined(table, source, [one for one in extracts if one])
    memory[table.name] = (known, whole)
    return whole


def _found(table: Table, source: Source, mapping: Mapping) -> list[Path]:
    """The files that hold `table`: those the mapping names, or the first of the table's name, or the workbook."""
    if source.file:
        named = sorted(mapping.raw.glob(source.file)) if "*" in source.file else [mapping.raw / source.file]
        return [path for path in named if path.is_file() and is_source(path)]
    # some systems take Prices.CSV for prices.csv, so people do too
    there = [(folder, sorted(os.listdir(folder))) for folder in (mapping.folder, mapping.raw) if folder.is_dir()]
    places = [
        folder / one
        for name in (f"{table.name}.csv", f"{table.name}.parquet", mapping.company.workbook)
        for folder, names in there
        for one in names
        if one.casefold() == name.casefold()
    ]
    return [path for path in places if path.is_file()][:1]


def _listed(folder: Path, most: int = 12) -> str:
    if not folder.is_dir():
        return "nothing: the folder does not exist"
    names = sorted(path.name for path in folder.iterdir() if path.is_file() and is_source(path))
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "") or "no file"


def _file(table: Table, source: Source, path: Path, content: bytes) -> Extract | None:
    ending = path.suffix.lower()
    if ending in SPREADSHEETS:  # a workbook that no mapping names need not have every sheet
        return read_sheet(table, source, content, path.name, optional=not source.file)
    if ending == ".parquet":
        return read_parquet(table, content, path.name)
    return read_csv(table, source, content, path.name)


def _joined(table: Table, source: Source, extracts: list[Extract]) -> Extract:
    """Several files of one layout as one extract; a column that one of them lacks is empty there."""
    starts = np.cumsum([0, *(len(e.rows) for e in extracts)])
    columns = pa.concat_tables([_as_text(e.columns, source.decimal) for e in extracts], promote_options="default")
    rows, digest = np.concatenate([e.rows for e in extracts]), sha("".join(e.sha256 for e in extracts).encode())
    findings = tuple(replace(f, fix=f"{f.fix} (in {e.place})") for e in extracts for f in e.findings)
    parts = tuple((int(start), e.place) for start, e in zip(starts, extracts, strict=False))
    return Extract(table.name, source.file, columns, rows, findings, digest, parts)


def _as_text(columns: pa.Table, decimal: str) -> pa.Table:
    if all(pa.types.is_string(kind) for kind in columns.schema.types):
        return columns
    return pa.table({name: texts(columns.column(name).to_pylist(), decimal) for name in columns.column_names})


def read_parquet(table: Table, content: bytes, place: str) -> Extract:
    """The Parquet `content` as an extract, in its own kinds."""
    try:
        columns = pq.read_table(io.BytesIO(content), use_threads=False)
    except (pa.ArrowException, OSError) as error:
        return failed(table, place, "is no Parquet file", f"Export it again ({str(error)[:80]}).")
    return Extract(table.name, place, columns, np.arange(columns.num_rows) + 2, (), sha(content))
