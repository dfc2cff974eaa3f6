"""Where each table comes from: the `tables:` part of company.yaml, checked line by line before anything is read."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import BaseModel, ConfigDict

from sopkit.errors import SettingsError, nearest, plural
from sopkit.files import is_inside
from sopkit.tables import INPUTS, TABLES, Company, Source, Table, load_yaml, parse_cycle, validated
from sopkit.tables.company import Assumption
from sopkit.tables.reading import line_of
from sopkit.words.languages import speak

INPUT_TABLES: dict[str, Table] = {table.name: table for table in INPUTS}
# a quantity, an amount of money or hours may be added up over rows; a price, a share or a stock level may not
FOLDERS = {
    "file": "name a file in the raw folder (`raw:`)",
    "sql": "name a file in the company's folder",
    "workbook": "name a workbook in the company's folder or the raw folder",
}
ADDABLE_UNITS = ("unit of measure", "currency", "hours")


class Mapping(BaseModel):
    """The checked mapping of a company: the source of every table that has one."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    folder: Path
    raw: Path
    cycle: str
    company: Company
    lines: dict[Any, int]

    def source(self, table: str) -> Source:
        """Where `table` comes from; the default where company.yaml does not name it."""
        return self.company.tables.get(table, Source())


def with_assumptions(mapping: Mapping, declared: pd.DataFrame | None) -> Mapping:
    """`mapping` with what people `declared` (table declared_assumptions) too; the last word on a statement holds."""
    if declared is None or declared.empty:
        return mapping
    last = declared.drop_duplicates("statement", keep="last")
    until = last["expires"].dt.strftime("%Y-%m").fillna("")
    more = {
        f"declared-{row.id}": Assumption(statement=row.statement, owner=row.author, table=row.stands_for, expires=month)
        for row, month in zip(last.itertuples(), until, strict=True)
    }
    company = mapping.company.model_copy(update={"assumptions": {**mapping.company.assumptions, **more}})
    return mapping.model_copy(update={"company": company})


def load(folder: Path, cycle: str) -> Mapping:
    """The mapping for `cycle` in `folder`/company.yaml.

    Raises SettingsError that lists every mistake with its line, before any source is touched.
    """
    path = folder / "company.yaml"
    document, lines = load_yaml(path)
    company = validated(Company, document, lines, path)
    speak(company.language)
    if mistakes := sorted(_against_declarations(company, lines, folder)):
        text = "\n".join(f"  line {line}: {text}" for line, text in mistakes)
        raise SettingsError(f"{path} has {plural(len(mistakes), 'mistake')}:\n{text}")
    line = f"{path}, line {lines.get(('raw',), 1)}"
    try:
        raw = company.raw_folder(folder)
    except SettingsError as error:
        raise SettingsError(f"{line}: {error}") from None
    about = f"{line}: the folder of the raw files"
    if not raw.is_dir():
        variable = re.match(r"\$\{?(\w+)", company.raw)
        fix = f"Set the environment variable {variable[1]} to" if variable else "Correct `raw:`, or make"
        raise SettingsError(f"{about} does not exist: {raw}. {fix} the folder that holds them.")
    if folder.resolve().is_relative_to(raw.resolve()) and not raw.samefile(folder):
        raise SettingsError(f"{about} holds this company's own folder: {raw}. Name a folder of raw files only.")
    if company.raw and os.path.normpath(raw).startswith(os.path.normpath(folder)) and not is_inside(raw, folder):
        raise SettingsError(f"{about} is a link that leads out: {raw}. Write the folder it leads to under `raw:`.")
    return Mapping(folder=folder, raw=raw, cycle=parse_cycle(cycle), company=company, lines=lines)


def leads_out(place: str) -> bool:
    """Whether a place inside a folder would lead out of it."""
    return Path(place).is_absolute() or ".." in Path(place).parts


def _against_declarations(company: Company, lines: dict[tuple, int], folder: Path) -> Iterator[tuple[int, str]]:
    """(line, what is wrong) for every setting that names a table, a column or a setting that is not there."""
    for code, assumed in company.assumptions.items():
        if assumed.table and assumed.table not in TABLES:
            where = line_of(lines, ("assumptions", code, "table"))
            yield where, f"assumption {code}: no table is called {assumed.table!r}; {nearest(assumed.table, TABLES)}"

    if leads_out(company.workbook):
        yield line_of(lines, ("workbook",)), f"{company.workbook} leads out of the folder; {FOLDERS['workbook']}"

    def at(*where: Any) -> int:
        return line_of(lines, ("tables", *where))

    for name, source in company.tables.items():
        if name not in INPUT_TABLES:
            yield at(name), f"no table is called {name!r}; {nearest(name, INPUT_TABLES)}"
            continue
        table = INPUT_TABLES[name]
        places = [field for field in ("file", "sql", "database") if getattr(source, field)]
        if len(places) > 1:
            yield at(name), f"{name} has {len(places)} sources ({', '.join(places)}); keep one"
        for field in ("file", "sql"):
            if leads_out(getattr(source, field)):
                yield at(name, field), f"{name}: {getattr(source, field)} leads out of the folder; {FOLDERS[field]}"
        for field in ("sheet", "delimiter", "encoding", "skip"):
            if (source.sql or source.database) and field in source.model_fields_set:
                yield at(name, field), f"{name}: `{field}` is for a file; a query does not use it: remove it"
        if source.query and not source.database:
            yield at(name, "query"), f"{name}: `query` needs `database`, or write it to sql/{name}.sql"
        if source.database and source.database not in company.databases:
            hint = nearest(source.database, company.databases)
            yield at(name, "database"), f"{name}: no database {source.database!r} under `databases:`; {hint}"
        if source.sql and not (folder / source.sql).is_file():
            yield at(name, "sql"), f"{name}: {source.sql} does not exist in {folder}"
        if source.thousands and source.thousands == source.decimal:
            yield at(name, "thousands"), f"{name}: the decimal mark and the thousands mark are both {source.decimal!r}"
        yield from ((at(name, *where), f"{name}: {text}") for where, text in _columns_of(table, source))
        for column, code in source.currencies.items():
            if code == "market" and "market" not in table.names:
                yield at(name, "currency", column), f"{name} has no column market to take a currency from"
            elif code and code not in ("market", company.currency) and code not in company.rates:
                text = f"{name}: no rate for {code!r}: add it under `rates:` ({company.currency} for one {code})"
                yield at(name, "currency", column), text


def _columns_of(table: Table, source: Source) -> Iterator[tuple[tuple, str]]:
    """(path, what is wrong) for every column that `source` names and `table` lacks or cannot treat so."""
    named = {
        field: {column: column for column in getattr(source, field)} for field in ("values", "constants", "multiply")
    }
    named |= {"rename": source.rename, "currency": {column: column for column in source.currencies if column}}
    for field, pairs in named.items():
        for where, column in pairs.items():
            if column not in table.names:
                yield (field, where), f"{field}: no column is called {column!r}; {nearest(column, table.names)}"
            elif field == "multiply" and table[column].kind not in ("number", "whole"):
                yield (field, where), f"multiply: {column} holds no numbers"
            elif field == "currency" and not table[column].is_money:
                yield (field, where), f"currency: {column} holds no money"
    ours = list(source.rename.values())
    for column in sorted({c for c in ours if ours.count(c) > 1} | (set(ours) & set(source.constants))):
        yield ("rename",), f"column {column} is filled twice"
    if source.sum_rows:
        fixed = [c.name for c in table if c.name not in table.key and c.unit not in ADDABLE_UNITS]
        if fixed:
            yield ("sum_rows",), f"rows cannot be added up: {', '.join(fixed)} is no quantity, amount or hours"
