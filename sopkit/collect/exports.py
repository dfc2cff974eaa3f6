"""Exports that nobody has described yet: how each file is written, found from its bytes, and its first rows as text."""

from __future__ import annotations

import csv
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from pydantic import ValidationError
from python_calamine import CalamineError, CalamineWorkbook

from sopkit.collect import readings
from sopkit.collect.cells import Notes, column_of, strings
from sopkit.collect.csv_files import DELIMITERS, read_csv, utf_16
from sopkit.collect.extract import Extract
from sopkit.collect.mapping import Mapping
from sopkit.collect.queries import READERS, SPREADSHEETS, database_query, database_url
from sopkit.collect.sheets import read_sheet
from sopkit.collect.sources import read_parquet
from sopkit.errors import SettingsError
from sopkit.files import is_source
from sopkit.tables import Column, Company, Source, Table
from sopkit.tables.company import Database

LOOKED_AT = 50_000  # rows of an export that are looked at
HEAD = 40  # lines from which delimiter and header are found
ANY = Table("export", "collect", "", "", (), ())  # what is read before anybody knows which table it is
PROBES = {kind: Column(kind, kind, "", required=False) for kind in ("number", "month", "date", "flag")}
AMOUNT, PLAIN, DIGITS = (re.compile(f"[-+]?(?:{form})") for form in (r"[\d.,' \xa0\u202f]*\d", r"\d*\.\d+|\d+", r"\d+"))
PASSWORD = "SOPKIT_FROM_PASSWORD"  # names the variable that holds the database's password


@dataclass(frozen=True)
class Export:
    """One sheet of data: its source settings, and its first rows, every cell as text.

    `files`: the files that share its layout. `across`: columns whose names are months, for a table with months side by
    side; the rows then are one a month.
    """

    name: str
    source: Source
    rows: pd.DataFrame = field(repr=False)
    files: tuple[str, ...] = ()
    across: tuple[str, ...] = ()

    @property
    def columns(self) -> list[str]:
        """Their names of the columns, in their order; empty names are none."""
        return [name for name in self.rows if str(name).strip()]

    def read_as(self, kind: str, words: Sequence[str]) -> tuple[pd.Series, float]:
        """(values, share that fits) of different filled cells of one column, read as a `kind` of column."""
        declared = Table("export", "collect", "", "", (), (PROBES[kind],))
        notes = Notes(declared, Extract("export", self.name, pa.table({}), np.arange(len(words))))
        values, wrong = column_of(PROBES[kind], pa.array(words, pa.string()), self.source, notes)
        return pd.Series(values), 1.0 - float(wrong.mean()) if len(words) else 1.0


def found(places: Iterable[str], company: Company, folder: Path) -> Iterator[Export]:
    """Every export at `places`: files, folders of files, database URLs. `folder`: where files will lie (`raw`).

    Raises SettingsError where a place is not there or cannot be read.
    """
    for place in places:
        if "://" in place:
            yield from _database(place, company, folder)
            continue
        for path, inside in files_at(place):
            yield from _of_file(path, inside)


def files_at(place: str) -> Iterator[tuple[Path, str]]:
    """(file, its place below exports/) of each export at `place`; nothing where it is a database URL."""
    if "://" in place:
        return
    path = Path(place)
    if not path.exists():
        raise SettingsError(f"{path} does not exist. Name exports, a folder of exports, or a database URL.")
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if is_source(file) and file.suffix.lower() in (*READERS, *SPREADSHEETS):
            yield file, file.relative_to(path).as_posix() if path.is_dir() else file.name


def _of_file(path: Path, name: str) -> Iterator[Export]:
    content, ending = path.read_bytes(), path.suffix.lower()
    if ending == ".parquet":
        yield from _export(path.stem, Source(file=name), read_parquet(ANY, content, name))
    elif ending in SPREADSHEETS:
        try:
            workbook = CalamineWorkbook.from_path(str(path))
        except CalamineError as error:
            raise SettingsError(f"{path} cannot be read: {str(error)[:80]}. Save it again, or leave it out.") from None
        for sheet in workbook.sheet_names:
            lines = [[str(cell).strip() for cell in row] for row in workbook.get_sheet_by_name(sheet).to_python()]
            source = Source(file=name, sheet=sheet, skip=_header(lines[:HEAD]))
            label = path.stem if len(workbook.sheet_names) == 1 else sheet
            if len(lines) > 1:
                yield from _export(label, source, read_sheet(ANY, source, content, name))
    else:
        encoding = encoding_of(content)
        head = content[: 1 << 18].decode(encoding, "replace").splitlines()[:HEAD]
        delimiter = delimiter_of(head)
        source = Source(file=name, encoding=encoding, delimiter=delimiter)
        source = source.model_copy(update={"skip": _header(list(csv.reader(head, delimiter=delimiter)))})
        yield from _export(path.stem, source, read_csv(ANY, source, content, name))


def encoding_of(content: bytes) -> str:
    """The encoding of a text: by its mark, else UTF-8 where every byte fits, else what Windows writes."""
    if found := utf_16(content):
        return found
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8"


def delimiter_of(lines: list[str]) -> str:
    """The mark that divides most lines into the same number of cells, two or more."""
    best, most = ",", (0, 0)
    for mark in DELIMITERS:
        widths = Counter(len(row) for row in csv.reader(lines, delimiter=mark) if row)
        width, times = max(widths.items(), key=lambda item: (item[1], item[0]), default=(1, 0))
        if width > 1 and (times, width) > most:
            best, most = mark, (times, width)
    return best


def _header(lines: list[list[str]]) -> int:
    """Lines above the header: the first line that has as many filled cells as any line below it but one."""
    filled = [sum(bool(cell.strip()) for cell in line) for line in lines]
    widest = max(filled[:HEAD], default=0)
    return next((place for place, count in enumerate(filled) if count >= max(widest * 0.8, 1)), 0)


def _export(name: str, source: Source, extract: Extract | None) -> Iterator[Export]:
    if extract is None or not extract.columns.column_names:
        return
    head = extract.columns.slice(0, LOOKED_AT)
    rows = pd.DataFrame({name: strings(head.column(name)).to_pylist() for name in head.column_names}, dtype=object)
    files = (source.file,) if source.file else ()
    if across := tuple(months_among(list(rows))):
        rows = rows.melt(rows.columns.difference(across, sort=False), across, "month", "quantity")
        rows = rows[rows["quantity"].ne("")].reset_index(drop=True)
    yield Export(name, source, rows, files, across)


def months_among(names: list[str]) -> list[str]:
    """The columns whose names are months, where there are four or more of them in one reading."""
    by_reading: dict[str, list[str]] = {}
    for name in names:
        if pd.notna(readings.named(name)):
            by_reading.setdefault(readings.NAMED, []).append(name)
        for pattern in ("%Y-%m", "%Y-%m-%d", *readings.DAY_PATTERNS):
            if re.search(r"\d{4}", name) and pd.notna(readings.parsed(pd.Series([name]), pattern).iloc[0]):
                by_reading.setdefault(pattern, []).append(name)
    most = max(by_reading.values(), key=len, default=[])
    return most if len(most) >= 4 else []


def settled(exports: Iterable[Export]) -> list[Export]:
    """`exports` with the marks of numbers and the pattern of days that all columns that settle them agree on.

    One house writes numbers in one way: what a file leaves open, its other columns say, or the other files.
    """
    exports = list(exports)
    own = [_customs(one.rows) for one in exports]
    marks = {mark for mine, _ in own for mark in mine}
    patterns = {pattern for _, days in own for pattern in days}
    whole = []
    for export, (mine, days) in zip(exports, own, strict=True):
        new: dict[str, Any] = {}
        seen = mine or (marks if len({decimal for decimal, _ in marks}) == 1 else set())
        if len({decimal for decimal, _ in seen}) == 1 and seen != {(".", "")} and export.files:
            new = {"decimal": next(iter(seen))[0], "thousands": next((mark for _, mark in mine if mark), "")}
        columns = [sorted(set(export.rows[name]) - {""}) for name in export.rows]
        days = days or {pattern for pattern in patterns if any(_all_fit(words, pattern) for words in columns)}
        if len(days) == 1:
            new["dates"] = days.pop()
        whole.append(replace(export, source=export.source.model_copy(update=new)) if new else export)
    return whole


def _all_fit(words: Sequence[str], pattern: str) -> bool:
    """Whether all different cells of a column are days of one pattern."""
    dated = bool(words) and re.search(r"\d{4}", words[0])
    return bool(dated) and readings.all_by(pd.Series(words), pattern) is not None


def _customs(rows: pd.DataFrame) -> tuple[set[tuple[str, str]], set[str]]:
    """(decimal and thousands marks, patterns of days) of the columns that fit one reading only."""
    marks, patterns = set(), set()
    for name in rows:
        words = sorted(set(rows[name]) - {""})
        if not words:
            continue
        one_way = readings.days(words) if re.search(r"\d", words[0]) else {}
        if set(one_way) & set(readings.DAY_PATTERNS):
            patterns |= set(one_way) if len(one_way) == 1 else set()
        elif all(map(PLAIN.fullmatch, words)):
            marks |= set() if len(words) < readings.EVIDENCE or all(map(DIGITS.fullmatch, words)) else {(".", "")}
        elif all(map(AMOUNT.fullmatch, words)) and len(one := readings.marks(words)) == 1:
            marks |= set(one)
    return marks, patterns


def _database(url: str, company: Company, folder: Path) -> Iterator[Export]:
    """The tables of the database at `url`; its password stands in an environment variable, never in the URL."""
    from sqlalchemy import MetaData, create_engine, inspect, select
    from sqlalchemy import Table as DatabaseTable
    from sqlalchemy.exc import NoSuchModuleError, SQLAlchemyError

    try:
        database = Database(url=url, password_env=PASSWORD if os.environ.get(PASSWORD) else "")
    except ValidationError as error:  # its text repeats the URL
        why = error.errors()[0]["msg"].partition(", ")[2]
        raise SettingsError(f"The database's URL was not used: {why}.") from None
    known = company.model_copy(update={"databases": {"exports": database}})
    mapping = Mapping(folder=folder, raw=folder, cycle="2000-01", company=known, lines={})
    engine = create_engine(database_url("exports", mapping), hide_parameters=True)
    try:
        for name in sorted(inspect(engine).get_table_names()):
            table = DatabaseTable(name, MetaData(), autoload_with=engine)
            head = str(select(table).limit(LOOKED_AT).compile(engine, compile_kwargs={"literal_binds": True}))
            extract = database_query(ANY, Source(database="exports", query=head), mapping)
            quoted = engine.dialect.identifier_preparer.quote(name)
            yield from _export(name, Source(database="exports", query=f"SELECT * FROM {quoted}"), extract)
    except (SQLAlchemyError, NoSuchModuleError) as error:
        why = " ".join(str(getattr(error, "orig", None) or error).split())[:120]
        fix = f"Its password belongs into the variable {PASSWORD}."
        raise SettingsError(f"The database cannot be read: {why}. {fix}") from None
    finally:
        engine.dispose()


def joined(exports: Iterable[Export]) -> list[Export]:
    """Exports of one layout as one, where a pattern of their names takes these files and no others."""
    layouts: dict[Any, list[Export]] = {}
    for one in exports:
        key = (tuple(one.columns), one.source.sheet, one.source.encoding, one.source.delimiter)
        layouts.setdefault(key if one.files and not one.source.sheet else (one.name, len(layouts)), []).append(one)
    names = {file for group in layouts.values() for one in group for file in one.files}
    whole = []
    for group in layouts.values():
        files = [file for one in group for file in one.files]
        start = os.path.commonprefix(files)
        pattern = f"{start}*{os.path.commonprefix([file[::-1] for file in files])[::-1]}"
        if len(group) > 1 and len(start) > 2 and sum(Path(name).match(pattern) for name in names) == len(files):
            rows = pd.concat([one.rows for one in group], ignore_index=True)
            source = group[0].source.model_copy(update={"file": pattern})
            group = [Export(start.strip("_- "), source, rows, tuple(files), group[0].across)]
        whole += group
    return whole
