"""CSV files: at full speed where they have no flaw, cell by cell where a flaw must be named."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator
from itertools import chain, islice

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv

from sopkit.collect.extract import (
    HEADER_WITHIN,
    Extract,
    failed,
    header_findings,
    known_names,
    plainly,
    sha,
    stop,
    strange_header,
    unique,
)
from sopkit.errors import Finding
from sopkit.tables import Source, Table

CSV_BLOCK = 1 << 24  # bytes
CSV_ROWS_AT_ONCE = 20_000
DELIMITERS = ",;\t|"
LONGEST_CELL = 1 << 24


def read_csv(table: Table, source: Source, content: bytes, place: str) -> Extract:
    """The CSV `content` as an extract: every cell as text, rows numbered as a spreadsheet shows them.

    A byte that is not of the stated encoding, and a row with more cells than the header, become findings.
    """
    findings: list[Finding] = []
    if (found := utf_16(content)) and "16" not in source.encoding:
        fix = f"It is UTF-16 text: save it as CSV UTF-8, or set `encoding: {found}` in company.yaml."
        return failed(table, place, f"cannot be read as {source.encoding} CSV", fix, 1)
    longest = csv.field_size_limit(LONGEST_CELL)  # it holds for the whole process: given back below
    try:
        lines = io.TextIOWrapper(io.BytesIO(content), _codec(source), errors="surrogateescape", newline="")
        for _ in range(source.skip):
            lines.readline()
        head = [first := lines.readline(), *islice(lines, HEADER_WITHIN)]
        split = [re.split(r"\s*[,;\t|]\s*", line.strip().replace('"', "")) for line in head]
        if not source.delimiter and (strange := strange_header(table, place, source, split)):
            return strange
        if not first.strip():
            return failed(table, place, "has no header", "Write the column names into the first row.", 1)
        delimiter = source.delimiter or _delimiter(first, table, source)
        reader = csv.reader(chain(head, lines), delimiter=delimiter)
        header = [name.strip().encode("utf-8", "replace").decode() for name in next(reader)]
        whole_header = reader.line_num == 1
        read = _clean_csv(source, content, header, delimiter) if whole_header else None
        columns, rows = read or _csv_cell_by_cell(table, source, reader, header, findings)
    except (UnicodeError, csv.Error) as error:
        fix = f"Save it again as CSV, or correct `encoding` and `delimiter` in company.yaml ({str(error)[:80]})."
        return failed(table, place, f"cannot be read as {source.encoding} CSV", fix, 1)
    finally:
        csv.field_size_limit(longest)
    findings += header_findings(table, header)
    return Extract(table.name, place, columns, rows, tuple(findings), sha(content))


def utf_16(content: bytes) -> str:
    """The encoding of a text in UTF-16, by its mark or by every second byte being zero; empty for another text."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    halves = {"utf-16-le": content[1:200:2], "utf-16-be": content[:200:2]}
    return next((name for name, half in halves.items() if half.count(0) > 0.9 * max(len(half), 1)), "")


def _codec(source: Source) -> str:
    """The encoding; a byte order mark at the start of UTF-8 is no part of the first name."""
    plain = source.encoding.lower().replace("_", "-")
    return "utf-8-sig" if plain in ("utf-8", "utf8") else source.encoding


def _clean_csv(source: Source, content: bytes, header: list[str], delimiter: str) -> tuple[pa.Table, np.ndarray] | None:
    """(columns, spreadsheet rows) of a CSV without any flaw, at full speed; None where there is one.

    Arrow and Python's csv module read the same cells (a test holds them to it), but only the second can say in which
    row and column a flaw is.
    """
    names = unique(header)
    kinds = dict.fromkeys(names, pa.string())
    # UTF-8 arrow reads itself, a mark at its start stands in the header that is skipped
    encoding = _codec(source).removesuffix("-sig")
    read = {"column_names": names, "skip_rows": source.skip + 1, "encoding": encoding, "block_size": CSV_BLOCK}
    try:
        columns = arrow_csv.read_csv(
            io.BytesIO(content),
            arrow_csv.ReadOptions(**read, use_threads=len(content) > CSV_BLOCK),
            arrow_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True, ignore_empty_lines=False),
            arrow_csv.ConvertOptions(column_types=kinds, strings_can_be_null=False, null_values=[]),
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
    names = unique(header)
    chunks, rows = [], []
    for numbers, cells in _chunks(table, reader, header, source.skip + 2, findings):
        arrays = _arrays(table, header, cells, numbers=numbers, encoding=source.encoding, findings=findings)
        chunks.append(pa.table(arrays, names=names))
        rows.append(numbers)
    if not chunks:
        return pa.table([pa.array([], pa.string())] * len(header), names=names), np.empty(0, dtype=np.int64)
    return pa.concat_tables(chunks), np.concatenate(rows)


def _delimiter(header: str, table: Table, source: Source) -> str:
    """The delimiter that makes the most known names of the header; a comma where none makes any."""
    known = known_names(table, source)
    return max(DELIMITERS, key=lambda mark: sum(plainly(name) in known for name in header.split(mark)))


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
                where, rule = (row, header[-1] or f"column {width}"), f"row has {len(line)} cells, the header {width}"
                fix = "Quote the cell that holds the delimiter, or remove the extra cells."
                findings.append(stop(table.name, where, line[width], rule, fix))
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
            rule = f"holds bytes that are not {encoding}"
            fix = "Save the file as UTF-8, or name its `encoding` in company.yaml (often cp1252)."
            for row, value in zip(numbers, values, strict=True):
                if any("\udc80" <= mark <= "\udcff" for mark in value):
                    where = int(row), name or f"column {place}"
                    findings.append(stop(table.name, where, _shown(value), rule, fix))
            arrays.append(pa.array([_shown(value) for value in values], pa.string()))
    return arrays


def _shown(value: str) -> str:
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
