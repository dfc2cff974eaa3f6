"""What one source holds for one table, and the small helpers that every kind of source needs."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa

from sopkit.errors import Finding
from sopkit.tables import Source, Table

HEADER_WITHIN = 12  # lines in which the column names are looked for, to say where they stand


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
    if text.isprintable():
        return text
    return "".join(mark if mark.isprintable() else f"\\x{ord(mark):02x}" for mark in text)


def formula_safe(text: str) -> str:
    """`text` with an apostrophe before what a spreadsheet would run as a formula."""
    return "'" + text if re.match(r"'*[=+\-@\t\r]", text) else text


def formula_text(text: str) -> str:
    """The text that `formula_safe` was given."""
    return text[1:] if re.match(r"'+[=+\-@\t\r]", text) else text


def quoted(name: str) -> str:
    """`name` as SQL writes that of a table or column."""
    return '"' + name.replace('"', '""') + '"'


def failed(table: Table, place: str, rule: str, fix: str, row: int = 0) -> Extract:
    """An extract of a source that could not be read."""
    finding = stop(table.name, (row, ""), place, rule, fix)
    return Extract(table.name, place, pa.table({}), np.empty(0, dtype=np.int64), (finding,))


def plainly(name: str) -> str:
    """A column name without what people write in different ways: case, blanks, underscores, points."""
    return re.sub(r"[\W_]+", "", name.casefold())


def known_names(table: Table, source: Source) -> set[str]:
    """The column names, plainly, that a source of `table` may have."""
    return {plainly(name) for name in (*table.names, *source.rename, *source.ignore)} - {""}


def strange_header(table: Table, place: str, source: Source, lines: list[list[str]]) -> Extract | None:
    """The one finding about a file or sheet whose first line is not its only header; None where it is.

    `lines` are its first ones, cell by cell: a title above the names, or names spread over two rows by merged cells.
    """
    known = known_names(table, source)
    counts = [len(known & {plainly(cell) for cell in line}) for line in lines]
    if not any(counts):
        return None
    above = 0 if counts[0] else next((at for at, count in enumerate(counts) if count > 1), 0)
    if above:
        row = source.skip + above + 1
        fix = f"The column names stand in row {row}: remove the lines above, or set "
        fix += f"`tables: {{{table.name}: {{skip: {row - 1}}}}}` in company.yaml."
        return failed(table, place, "has no header", fix, source.skip + 1)
    second = lines[1] if len(lines) > 1 else []
    filled = {plainly(cell) for cell in second} & known - {plainly(cell) for cell in lines[0]}
    gaps = [cell for cell in lines[0] if plainly(cell) not in known]
    if counts[0] and len(filled) > 1 and gaps:
        row = source.skip + 1
        rule = "has a header of two rows, joined by merged cells"
        fix = f"Write all column names into row {row + 1}, and remove row {row}."
        return failed(table, place, rule, fix, row)
    return None


def unique(header: list[str]) -> list[str]:
    """`header` with a mark on names that came before: arrow wants names to differ."""
    return [name if name not in header[:place] else f"{name} (column {place + 1})" for place, name in enumerate(header)]


def header_findings(table: Table, header: list[str]) -> list[Finding]:
    """One error for each column name that came before."""
    return [
        stop(table.name, (1, name), name, "column comes twice", "Keep one of them.")
        for place, name in enumerate(header)
        if name and name in header[:place]
    ]


def texts(values: Iterable[Any], decimal: str = ".") -> pa.Array:
    """Cells of any kind as text, each as a person would type it who writes `decimal` in numbers."""
    return pa.array([_text(value, decimal) for value in values], pa.string())


def _text(value: Any, decimal: str) -> str:
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


def sha(content: bytes | pa.Buffer) -> str:
    """The sha256 of what was read."""
    return hashlib.sha256(content).hexdigest()


def sha_of_columns(columns: pa.Table) -> str:
    """The sha256 of the result of a query."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, columns.schema) as stream:
        stream.write_table(columns.combine_chunks())
    return sha(sink.getvalue())
