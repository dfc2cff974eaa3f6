"""Where each table comes from: the `tables:` part of company.yaml, checked line by line before anything is read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from sopkit.errors import SettingsError, nearest
from sopkit.tables import INPUTS, Column, Company, Table, load_yaml, parse_cycle, validated

INPUT_TABLES: dict[str, Table] = {table.name: table for table in INPUTS}
# a quantity, an amount of money or hours may be added up over rows; a price, a share or a stock level may not
ADDABLE_UNITS = ("unit of measure", "currency", "hours")


class Source(BaseModel):
    """Where one table comes from and what turns its cells into ours; every field is optional."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: str = Field("", description="CSV, Parquet or Excel file in the raw folder; `*` takes every file that fits")
    sheet: str = Field("", description="sheet of an Excel file; default: the table's name")
    sql: str = Field("", description="file with a DuckDB query over the raw files, in the company's folder")
    database: str = Field("", description="name of a database under `databases:`")
    query: str = Field("", description="SELECT sent to the database; default: all of a table of our table's name")
    delimiter: str = Field("", max_length=1, description="character between CSV cells; default: found from the header")
    encoding: str = Field("utf-8", description="encoding of a CSV file")
    decimal: Literal[".", ","] = Field(".", description="decimal mark of numbers")
    thousands: str = Field("", max_length=1, description="mark between thousands, removed")
    dates: str = Field("", description="how dates are written, like %d.%m.%Y; default: 2026-11 or 2026-11-30")
    skip: int = Field(0, ge=0, description="lines above the header")
    empty: tuple[str, ...] = Field((), description="words that mean an empty cell, like NULL")
    rename: dict[str, str] = Field({}, description="their column -> ours")
    values: dict[str, dict[str, str]] = Field({}, description="our column -> their word -> ours")
    constants: dict[str, str | int | float | date] = Field({}, description="our column -> its value in every row")
    multiply: dict[str, float] = Field({}, description="our column -> factor that converts its unit into ours")
    currency: str | dict[str, str] = Field(
        "",
        description="currency of the money, for all columns or by column; `market` = the currency of the row's market",
    )
    sum_rows: bool = Field(False, description="add up rows of one key; days become months")
    ignore: tuple[str, ...] = Field((), description="their columns that are not needed; `*` = all others")

    @field_validator("encoding")
    @classmethod
    def _encoding_exists(cls, name: str) -> str:
        try:
            b"a".decode(name, "replace")
        except LookupError:
            raise ValueError(f"no text encoding is called {name!r}; try utf-8, cp1252, latin-1 or utf-16") from None
        return name

    @field_validator("constants", mode="before")
    @classmethod
    def _no_yaml_booleans(cls, constants: Any) -> Any:
        # YAML reads NO and on as booleans: Norway would become False
        if isinstance(constants, dict):
            for name, value in constants.items():
                if isinstance(value, bool):
                    raise ValueError(f"write the value of {name} in quotes")
        return constants

    def currency_of(self, column: Column) -> str:
        """Currency in which `column` comes; "" where it is the company's or the column holds no money."""
        if not is_money(column):
            return ""
        return self.currency if isinstance(self.currency, str) else self.currency.get(column.name, "")


class Mapping(BaseModel):
    """The checked mapping of a company: the source of every table that has one."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    folder: Path
    raw: Path
    cycle: str
    company: Company
    sources: dict[str, Source]


def is_money(column: Column) -> bool:
    """Whether `column` holds money, by its declared unit."""
    return column.kind == "number" and column.unit.startswith("currency")


class _Tables(BaseModel):
    model_config = ConfigDict(extra="forbid")

    tables: dict[str, Source] = {}


def load(folder: Path, cycle: str) -> Mapping:
    """The mapping for `cycle` in `folder`/company.yaml.

    Raises SettingsError that lists every mistake with its line, before any source is touched.
    """
    path = folder / "company.yaml"
    document, lines = load_yaml(path)
    company = validated(Company, document, lines, path)
    sources = validated(_Tables, {"tables": company.tables}, lines, path).tables
    mistakes = sorted(_against_declarations(company, sources, lines, folder))
    if mistakes:
        said = "\n".join(f"  line {line}: {text}" for line, text in mistakes)
        raise SettingsError(f"{path} has {len(mistakes)} mistake(s):\n{said}")
    try:
        raw = company.raw_folder(folder)
    except SettingsError as error:
        raise SettingsError(f"{path}, line {lines.get(('raw',), 1)}: {error}") from None
    if not raw.is_dir():
        variable = re.match(r"\$\{?(\w+)", company.raw)
        fix = f"Set the environment variable {variable[1]} to" if variable else "Correct `raw:`, or make"
        raise SettingsError(
            f"{path}, line {lines.get(('raw',), 1)}: the folder of the raw files does not exist: {raw}. "
            f"{fix} the folder that holds them."
        )
    return Mapping(folder=folder, raw=raw, cycle=parse_cycle(cycle), company=company, sources=sources)


def _against_declarations(
    company: Company, sources: dict[str, Source], lines: dict[tuple, int], folder: Path
) -> Iterator[tuple[int, str]]:
    """(line, what is wrong) for everything in `sources` that the declared tables or the settings do not know."""

    def at(*where: Any) -> int:
        path = ("tables", *where)
        return next(lines[path[:n]] for n in range(len(path), -1, -1) if path[:n] in lines)

    for name, source in sources.items():
        if name not in INPUT_TABLES:
            yield at(name), f"no table is called {name!r}; {nearest(name, INPUT_TABLES)}"
            continue
        table = INPUT_TABLES[name]
        places = [field for field in ("file", "sql", "database") if getattr(source, field)]
        if len(places) > 1:
            yield at(name), f"{name} has {len(places)} sources ({', '.join(places)}); keep one"
        if source.query and not source.database:
            yield at(name, "query"), f"{name}: `query` needs `database`, or write it to sql/{name}.sql"
        if source.database and source.database not in company.databases:
            yield (
                at(name, "database"),
                f"{name}: no database {source.database!r} under `databases:`; "
                + nearest(source.database, company.databases),
            )
        if source.sql and not (folder / source.sql).is_file():
            yield at(name, "sql"), f"{name}: {source.sql} does not exist in {folder}"
        if source.thousands and source.thousands == source.decimal:
            yield at(name, "thousands"), f"{name}: the decimal mark and the thousands mark are both {source.decimal!r}"
        yield from ((at(name, *where), f"{name}: {text}") for where, text in _columns_of(table, source))
        currencies = (
            {(): source.currency}
            if isinstance(source.currency, str)
            else {(column,): code for column, code in source.currency.items()}
        )
        for where, code in currencies.items():
            if code == "market" and "market" not in table.names:
                yield at(name, "currency", *where), f"{name} has no column market to take a currency from"
            elif code and code not in ("market", company.currency) and code not in company.rates:
                yield (
                    at(name, "currency", *where),
                    (f"{name}: no rate for {code!r}: add it under `rates:` ({company.currency} for one {code})"),
                )


def _columns_of(table: Table, source: Source) -> Iterator[tuple[tuple, str]]:
    """(path, what is wrong) for every column that `source` names and `table` lacks or cannot treat so."""
    named = {
        "rename": source.rename.items(),
        "values": ((column, column) for column in source.values),
        "constants": ((column, column) for column in source.constants),
        "multiply": ((column, column) for column in source.multiply),
        "currency": ((column, column) for column in source.currency) if isinstance(source.currency, dict) else (),
    }
    for field, pairs in named.items():
        for where, column in pairs:
            if column not in table.names:
                yield (field, where), f"{field}: no column is called {column!r}; {nearest(column, table.names)}"
            elif field == "multiply" and table[column].kind not in ("number", "whole"):
                yield (field, where), f"multiply: {column} holds no numbers"
            elif field == "currency" and not is_money(table[column]):
                yield (field, where), f"currency: {column} holds no money"
    ours = list(source.rename.values())
    for column in sorted({c for c in ours if ours.count(c) > 1} | (set(ours) & set(source.constants))):
        yield ("rename",), f"column {column} is filled twice"
    if source.sum_rows:
        fixed = [c.name for c in table if c.name not in table.key and c.unit not in ADDABLE_UNITS]
        if fixed:
            yield ("sum_rows",), f"rows cannot be added up: {', '.join(fixed)} is no quantity, amount or hours"
