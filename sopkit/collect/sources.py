"""Reading what a company has: CSV, Excel, Parquet, DuckDB queries over raw files, SQL databases.

Every source gives an `Extract`: columns of text (or of the source's own kinds) with the spreadsheet row of each line.
Nothing is interpreted here; `check` does that. What cannot be read becomes a finding, never a traceback.
"""

from __future__ import annotations

import codecs
import csv
import hashlib
import io
import os
import re
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from difflib import get_close_matches
from itertools import islice
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq

from sopkit.collect.mapping import Mapping
from sopkit.errors import Finding, SettingsError, nearest
from sopkit.tables import TABLES, Source, Table

CSV_BLOCK = 1 << 24  # bytes
CSV_ROWS_AT_ONCE = 20_000
DELIMITERS = ",;\t|"
HEADER_WITHIN = 12  # lines in which the column names are looked for, to say where they stand
MOST_UNPACKED = 2 * 1024**3
SPREADSHEETS = (".xlsx", ".xlsm", ".xls", ".xlsb", ".ods")
SHEET_XML = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
RELATION_XML = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
LONGEST_CELL = 1 << 24


@dataclass(frozen=True)
class Extract:
    """What one source holds for one table: columns, the row a person sees of each line, and what could not be read."""

    table: str
    place: str
    columns: pa.Table
    rows: np.ndarray
    findings: tuple[Finding, ...] = ()
    sha256: str = ""
    parts: tuple[tuple[int, str], ...] = ()
    statement: str = ""

    def place_of(self, position: int) -> str:
        """The file that line `position` (0 = first) came from, where several files make the table; else ""."""
        inside = [name for first, name in self.parts if first <= position]
        return inside[-1] if inside else ""


def stop(table: str, where: tuple[int, str], value: object, rule: str, fix: str) -> Finding:
    """An error at a row and column of a table."""
    return Finding(table, where[0], printable(where[1]), printable(value), rule, "error", "", fix)


def printable(value: object, most: int = 80) -> str:
    """A cell's value as a screen may show it: cut, and no character that could steer a terminal."""
    text = str(value)
    text = text if len(text) <= most else text[: most - 3] + "..."
    return (
        text if text.isprintable() else "".join(mark if mark.isprintable() else f"\\x{ord(mark):02x}" for mark in text)
    )


def formula_safe(text: str) -> str:
    """`text` with an apostrophe before what a spreadsheet would run as a formula."""
    return "'" + text if re.match(r"'*[=+\-@\t\r]", text) else text


def formula_text(text: str) -> str:
    """The text that `formula_safe` was given."""
    return text[1:] if re.match(r"'+[=+\-@\t\r]", text) else text


def extract(table: Table, mapping: Mapping, memory: dict | None = None) -> Extract | None:
    """What the source of `table` holds; None where the company has no source for it.

    `memory` keeps what was read from files, by the sha256 of their content: an unchanged file is not parsed again.
    """
    source = mapping.source(table.name)
    try:
        if source.database:
            return _database(table, source, mapping)
        query = mapping.folder / (source.sql or f"sql/{table.name}.sql")
        if source.sql or (query.is_file() and not source.file):
            return _duckdb(table, query, mapping)
        return _files(table, source, mapping, {} if memory is None else memory)
    except OSError as error:
        return failed(table, source.file or table.name, "cannot be opened", f"{error.strerror or error}. Correct that.")


def failed(table: Table, place: str, rule: str, fix: str, row: int = 0) -> Extract:
    """An extract of a source that could not be read."""
    finding = stop(table.name, (row, ""), place, rule, fix)
    return Extract(table.name, place, pa.table({}), np.empty(0, dtype=np.int64), (finding,))


# files ----------------------------------------------------------------------------------------------------------
def _files(table: Table, source: Source, mapping: Mapping, memory: dict) -> Extract | None:
    found = _found(table, source, mapping)
    if source.file and not found:
        return failed(
            table,
            source.file,
            "file is missing",
            f"Put it into {mapping.raw}, or correct `file` in company.yaml; the folder holds {_listed(mapping.raw)}.",
        )
    if not found:
        return None
    contents = [path.read_bytes() for path in found]
    digests = [_sha(content) for content in contents]
    known = (source.model_dump_json(), [path.name for path in found], digests)
    if table.name in memory and memory[table.name][0] == known:
        return memory[table.name][1]
    # a workbook that no mapping names need not have every sheet
    extracts = [
        _file(table, source, path, content, optional=not source.file)
        for path, content in zip(found, contents, strict=True)
    ]
    whole = extracts[0] if len(extracts) == 1 else _joined(table, source, extracts)
    memory[table.name] = (known, whole)
    return whole


def _found(table: Table, source: Source, mapping: Mapping) -> list[Path]:
    """The files that hold `table`: those the mapping names, or the first of the table's name, or the workbook."""
    if source.file:
        named = sorted(mapping.raw.glob(source.file)) if "*" in source.file else [mapping.raw / source.file]
        return [path for path in named if path.is_file()]
    # some systems take Prices.CSV for prices.csv, so people do too
    there = [
        (folder, path)
        for folder in (mapping.folder, mapping.raw)
        if folder.is_dir()
        for path in sorted(folder.iterdir())
    ]
    places = [
        path
        for name in (f"{table.name}.csv", f"{table.name}.parquet", mapping.company.workbook)
        for inside in (mapping.folder, mapping.raw)
        for folder, path in there
        if folder == inside and path.name.casefold() == name.casefold()
    ]
    return [path for path in places if path.is_file()][:1]


def _listed(folder: Path, most: int = 12) -> str:
    if not folder.is_dir():
        return "nothing: the folder does not exist"
    names = sorted(path.name for path in folder.iterdir() if path.is_file())
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "") or "no file"


def _file(table: Table, source: Source, path: Path, content: bytes, optional: bool) -> Extract | None:
    ending = path.suffix.lower()
    if ending in SPREADSHEETS:
        return read_sheet(table, source, content, path.name, optional)
    if ending == ".parquet":
        return read_parquet(table, content, path.name)
    return read_csv(table, source, content, path.name)


def _joined(table: Table, source: Source, extracts: list[Extract]) -> Extract:
    """Several files of one layout as one extract; a column that one of them lacks is empty there."""
    starts = np.cumsum([0, *(len(e.rows) for e in extracts)])
    columns = pa.concat_tables([_as_text(e.columns, source.decimal) for e in extracts], promote_options="default")
    digest = hashlib.sha256("".join(e.sha256 for e in extracts).encode()).hexdigest()
    findings = tuple(replace(f, fix=f"{f.fix} (in {e.place})") for e in extracts for f in e.findings)
    return Extract(
        table.name,
        source.file,
        columns,
        np.concatenate([e.rows for e in extracts]),
        findings,
        digest,
        tuple((int(start), e.place) for start, e in zip(starts, extracts, strict=False)),
    )


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
    return Extract(table.name, place, columns, np.arange(columns.num_rows) + 2, (), _sha(content))


def _sha(content: bytes | pa.Buffer) -> str:
    return hashlib.sha256(content).hexdigest()


# CSV ------------------------------------------------------------------------------------------------------------
def read_csv(table: Table, source: Source, content: bytes, place: str) -> Extract:
    """The CSV `content` as an extract: every cell as text, rows numbered as a spreadsheet shows them.

    A byte that is not of the stated encoding, and a row with more cells than the header, become findings.
    """
    findings: list[Finding] = []
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) and "16" not in source.encoding:
        fix = "It is UTF-16 text: save it as CSV UTF-8, or set `encoding: utf-16` in company.yaml."
        return failed(table, place, f"cannot be read as {source.encoding} CSV", fix, 1)
    longest = csv.field_size_limit(LONGEST_CELL)  # it holds for the whole process: given back below
    try:
        lines = io.TextIOWrapper(io.BytesIO(content), _codec(source), errors="surrogateescape", newline="")
        for _ in range(source.skip):
            lines.readline()
        head = [first := lines.readline(), *islice(lines, HEADER_WITHIN)]
        split = [re.split(r"\s*[,;\t|]\s*", line.strip().replace('"', "")) for line in head]
        if not source.delimiter and (below := _names_below(table, source, split)):
            return below_a_title(table, place, source, below)
        lines = _after(*head[1:], rest=lines)
        if not first.strip():
            return failed(table, place, "has no header", "Write the column names into the first row.", 1)
        delimiter = source.delimiter or _delimiter(first, table, source)
        reader = csv.reader(_after(first, rest=lines), delimiter=delimiter)
        header = [name.strip().encode("utf-8", "replace").decode() for name in next(reader)]
        whole_header = reader.line_num == 1
        read = _clean_csv(source, content, header, delimiter) if whole_header else None
        columns, rows = read or _csv_cell_by_cell(table, source, reader, header, findings)
    except (UnicodeError, csv.Error) as error:
        fix = f"Save it again as CSV, or correct `encoding` and `delimiter` in company.yaml ({str(error)[:80]})."
        return failed(table, place, f"cannot be read as {source.encoding} CSV", fix, 1)
    finally:
        csv.field_size_limit(longest)
    findings += _header_findings(table, header)
    return Extract(table.name, place, columns, rows, tuple(findings), _sha(content))


def _codec(source: Source) -> str:
    """The encoding; a byte order mark at the start of UTF-8 is no part of the first name."""
    plain = source.encoding.lower().replace("_", "-")
    return "utf-8-sig" if plain in ("utf-8", "utf8") else source.encoding


def _clean_csv(source: Source, content: bytes, header: list[str], delimiter: str) -> tuple[pa.Table, np.ndarray] | None:
    """(columns, spreadsheet rows) of a CSV without any flaw, at full speed; None where there is one.

    Arrow and Python's csv module read the same cells (a test holds them to it), but only the second can say in which
    row and column a flaw is.
    """
    names = _unique(header)
    try:
        columns = arrow_csv.read_csv(
            io.BytesIO(content),
            arrow_csv.ReadOptions(
                column_names=names,
                skip_rows=source.skip + 1,
                encoding=_codec(source),
                block_size=CSV_BLOCK,
                use_threads=len(content) > CSV_BLOCK,
            ),
            arrow_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True, ignore_empty_lines=False),
            arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False, null_values=[]
            ),
        )
    except (pa.ArrowException, UnicodeError):
        return None
    rows = np.arange(columns.num_rows) + source.skip + 2
    blank = _blank(columns.column(0))
    for name in names[1:]:
        if not blank.any():
            return columns, rows
        blank &= _blank(columns.column(name))
    return columns.filter(pa.array(~blank)), rows[~blank]


def _blank(column: pa.ChunkedArray) -> np.ndarray:
    return pc.equal(pc.utf8_trim_whitespace(column), "").to_numpy()


def _csv_cell_by_cell(
    table: Table, source: Source, reader: Iterator[list[str]], header: list[str], findings: list[Finding]
) -> tuple[pa.Table, np.ndarray]:
    """(columns, spreadsheet rows) of a CSV that has flaws; each becomes one of `findings`."""
    names = _unique(header)
    chunks, rows = [], []
    for numbers, cells in _chunks(table, reader, header, source.skip + 2, findings):
        chunks.append(
            pa.table(
                _arrays(table, header, cells, numbers=numbers, encoding=source.encoding, findings=findings), names=names
            )
        )
        rows.append(numbers)
    if not chunks:
        return pa.table([pa.array([], pa.string())] * len(header), names=names), np.empty(0, dtype=np.int64)
    return pa.concat_tables(chunks), np.concatenate(rows)


def _after(*first: str, rest: Iterable[str]) -> Iterator[str]:
    yield from first
    yield from rest


def _names_below(table: Table, source: Source, lines: list[list[str]]) -> int:
    """How many lines above the one with the column names; 0 where the first has one, or none of `lines` has two."""
    known = set(table.names) | set(source.rename) | set(source.ignore)
    if not lines or known & set(lines[0]):
        return 0
    return next((above for above, line in enumerate(lines) if len(known & set(line)) > 1), 0)


def below_a_title(table: Table, place: str, source: Source, above: int) -> Extract:
    """The one finding about a file or sheet that has a title over its column names."""
    row = source.skip + above + 1
    return failed(
        table,
        place,
        "has no header",
        f"The column names stand in row {row}: remove the lines above, or set "
        f"`tables: {{{table.name}: {{skip: {row - 1}}}}}` in company.yaml.",
        source.skip + 1,
    )


def _delimiter(header: str, table: Table, source: Source) -> str:
    """The delimiter that makes the most known names of the header; a comma where none makes any."""
    known = set(table.names) | set(source.rename) | set(source.ignore)
    return max(DELIMITERS, key=lambda mark: sum(name.strip(' "\r\n') in known for name in header.split(mark)))


def _chunks(
    table: Table, reader: Iterator[list[str]], header: list[str], first_row: int, findings: list[Finding]
) -> Iterator[tuple[np.ndarray, list[tuple[str, ...]]]]:
    """(spreadsheet rows, cells by column) of some thousand lines at a time; empty lines count but are no rows."""
    width = len(header)
    numbers: list[int] = []
    lines: list[list[str]] = []
    for row, line in enumerate(reader, first_row):
        if len(line) != width:
            if not any(cell.strip() for cell in line):
                continue
            if any(cell.strip() for cell in line[width:]):
                findings.append(
                    stop(
                        table.name,
                        (row, header[-1] or f"column {width}"),
                        line[width],
                        f"row has {len(line)} cells, the header {width}",
                        "Quote the cell that holds the delimiter, or remove the extra cells.",
                    )
                )
            line = (line + [""] * width)[:width]
        elif not line[0].strip() and not any(cell.strip() for cell in line):
            continue
        numbers.append(row)
        lines.append(line)
        if len(lines) == CSV_ROWS_AT_ONCE:
            yield np.array(numbers), list(zip(*lines, strict=True))
            numbers, lines = [], []
    if lines:
        yield np.array(numbers), list(zip(*lines, strict=True))


def _arrays(
    table: Table,
    header: list[str],
    cells: list[tuple[str, ...]],
    *,
    numbers: np.ndarray,
    encoding: str,
    findings: list[Finding],
) -> list[pa.Array]:
    arrays = []
    for place, (name, values) in enumerate(zip(header, cells, strict=True), 1):
        try:
            arrays.append(pa.array(values, pa.string()))
        except UnicodeEncodeError:
            # surrogateescape kept the bytes that the encoding does not know: name each cell that has one
            for row, value in zip(numbers, values, strict=True):
                if any("\udc80" <= mark <= "\udcff" for mark in value):
                    findings.append(
                        stop(
                            table.name,
                            (int(row), name or f"column {place}"),
                            _shown(value),
                            f"holds bytes that are not {encoding}",
                            "Save the file as UTF-8, or name its `encoding` in company.yaml (often cp1252).",
                        )
                    )
            arrays.append(pa.array([_shown(value) for value in values], pa.string()))
    return arrays


def _shown(value: str) -> str:
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _unique(header: list[str]) -> list[str]:
    """`header` with a mark on names that came before: arrow wants names to differ."""
    return [name if name not in header[:place] else f"{name} (column {place + 1})" for place, name in enumerate(header)]


def _header_findings(table: Table, header: list[str]) -> list[Finding]:
    return [
        stop(table.name, (1, name), name, "column comes twice", "Keep one of them.")
        for place, name in enumerate(header)
        if name and name in header[:place]
    ]


# Excel ----------------------------------------------------------------------------------------------------------
def read_sheet(table: Table, source: Source, content: bytes, place: str, optional: bool = False) -> Extract | None:
    """A sheet of the Excel workbook `content` as an extract; None where an `optional` sheet is not there.

    A cell whose formula was never calculated, or shows an error, becomes a finding with the cell's address.
    """
    from python_calamine import CalamineError, CalamineWorkbook, PasswordError

    name = source.sheet or table.name
    try:
        workbook = CalamineWorkbook.from_filelike(io.BytesIO(content))
        # spreadsheet programs take Prices for prices
        name = next((sheet for sheet in workbook.sheet_names if sheet.strip().casefold() == name.casefold()), name)
        if name not in workbook.sheet_names:
            strangers = {sheet.casefold(): sheet for sheet in workbook.sheet_names if sheet.casefold() not in TABLES}
            meant = get_close_matches(name, strangers, n=1, cutoff=0.8)
            if optional and not meant:
                return None
            if optional:
                return failed(
                    table,
                    place,
                    f"has no sheet {name!r}, but a sheet {printable(strangers[meant[0]])!r} of no table",
                    f"Rename the sheet to {name}, or to a name that is not so near.",
                )
            return failed(
                table,
                place,
                f"has no sheet {name!r}",
                nearest(name, workbook.sheet_names) + " Rename the sheet, or name it under `sheet` in company.yaml.",
            )
        formulas = _uncalculated(content, name)
        cells = workbook.get_sheet_by_name(name).to_python(skip_empty_area=False)
    except PasswordError:
        return failed(table, place, "is locked with a password", "Save it without a password.")
    except (CalamineError, zipfile.BadZipFile, ElementTree.ParseError, KeyError, ValueError, OverflowError) as error:
        return failed(table, place, "is no workbook that can be read", f"Save it again as .xlsx ({str(error)[:80]}).")
    findings = [
        stop(
            table.name,
            (row, ""),
            address,
            rule,
            "Open the workbook in a spreadsheet program, let it calculate, save it; or write the value itself.",
        )
        for row, address, rule in formulas
    ]
    place = f"sheet {name} of {place}"
    lines = cells[source.skip :]
    if below := _names_below(table, source, [[str(cell).strip() for cell in line] for line in lines[:HEADER_WITHIN]]):
        return below_a_title(table, place, source, below)
    if not lines or not any(str(cell).strip() for cell in lines[0]):
        return failed(table, place, "has no header", "Write the column names into the first row.", 1)
    width = max(index + 1 for index, cell in enumerate(lines[0]) if str(cell).strip())
    header = [str(cell).strip() for cell in lines[0][:width]]
    kept = [
        (row, line[:width])
        for row, line in enumerate(lines[1:], source.skip + 2)
        if any(str(c).strip() for c in line[:width])
    ]
    if optional and not kept and not table.required:
        return None
    columns = [texts(values, source.decimal) for values in zip(*(line for _, line in kept), strict=True)] or [
        pa.array([], pa.string())
    ] * width
    return Extract(
        table.name,
        place,
        pa.table(columns, names=_unique(header)),
        np.array([row for row, _ in kept], dtype=np.int64),
        tuple(findings + _header_findings(table, header)),
        _sha(content),
    )


def texts(values: Iterable[Any], decimal: str = ".") -> pa.Array:
    """Cells of any kind as text, each as a person would type it who writes `decimal` in numbers."""
    return pa.array([_text(value, decimal) for value in values], pa.string())


def _text(value: Any, decimal: str = ".") -> str:
    """A cell's value as a person would type it; a number with the decimal mark that the source's texts have."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        whole = value.is_integer() and abs(value) < 2**53
        return str(int(value)) if whole else repr(value).replace(".", decimal)
    if isinstance(value, Decimal):
        return str(value).replace(".", decimal)
    if isinstance(value, datetime):
        return value.date().isoformat() if (value.hour, value.minute, value.second) == (0, 0, 0) else value.isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return str(value)


def _uncalculated(content: bytes, sheet: str) -> list[tuple[int, str, str]]:
    """(row, address, what is wrong) of the cells of `sheet` whose formula has no value, or whose value is an error.

    Readers give 0 or an empty cell for them. A program that is no spreadsheet writes 0 as the value of every formula
    and asks for a calculation when the file is opened (`fullCalcOnLoad`): such formulas count as never calculated.
    """
    if not content.startswith(b"PK"):
        return []
    found = []
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        if sum(part.file_size for part in archive.infolist()) > MOST_UNPACKED:
            raise ValueError("it unpacks to more than 2 GB")
        if "xl/workbook.xml" not in archive.namelist():
            return []
        book = ElementTree.fromstring(archive.read("xl/workbook.xml"))
        targets = {
            link.get("Id"): link.get("Target", "")
            for link in ElementTree.fromstring(archive.read("xl/_rels/workbook.xml.rels"))
        }
        entry = next((s for s in book.iter(f"{SHEET_XML}sheet") if s.get("name") == sheet), None)
        if entry is None:
            return []
        target = targets.get(entry.get(f"{RELATION_XML}id"), "")
        part = archive.read(target.lstrip("/") if target.startswith("/") else f"xl/{target}")
        stale = any(calc.get("fullCalcOnLoad") in ("1", "true") for calc in book.iter(f"{SHEET_XML}calcPr"))
    if b"<f" not in part and b't="e"' not in part:
        return []
    for _, cell in ElementTree.iterparse(io.BytesIO(part)):
        if cell.tag != f"{SHEET_XML}c":
            continue
        value, formula = cell.find(f"{SHEET_XML}v"), cell.find(f"{SHEET_XML}f")
        address = cell.get("r", "")
        row = int("".join(mark for mark in address if mark.isdigit()) or 0)
        if formula is not None and (stale or value is None or value.text is None):
            found.append((row, address, "formula was never calculated"))
        elif cell.get("t") == "e":
            found.append((row, address, f"shows the error {value.text if value is not None else ''}".strip()))
        cell.clear()
    return found


# queries --------------------------------------------------------------------------------------------------------
def _duckdb(table: Table, path: Path, mapping: Mapping) -> Extract:
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
    return Extract(table.name, place, columns, np.arange(columns.num_rows) + 2, (), _content_sha(columns), (), text)


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


def _database(table: Table, source: Source, mapping: Mapping) -> Extract:
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
    columns = pa.table(filled or [pa.array([], pa.string())] * len(names), names=_unique(names))
    findings = tuple(_header_findings(table, names))
    return Extract(
        table.name, place, columns, np.arange(len(lines)) + 2, findings, _content_sha(columns), (), statement
    )


def _content_sha(columns: pa.Table) -> str:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, columns.schema) as stream:
        stream.write_table(columns.combine_chunks())
    return _sha(sink.getvalue())


def _column(values: tuple, decimal: str) -> pa.Array:
    """A query's column: numbers stay numbers, all else becomes text (SQLite mixes kinds in one column)."""
    kinds = {type(value) for value in values if value is not None}
    if kinds and kinds <= {int, float}:
        return pa.array(values, pa.float64()) if float in kinds else texts(values)
    return texts(values, decimal)
