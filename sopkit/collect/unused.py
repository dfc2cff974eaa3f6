"""Settings that do nothing or name what is not there: each is a finding with its line in company.yaml."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from sopkit.collect.mapping import INPUT_TABLES
from sopkit.collect.mapping import Mapping as CompanyMapping
from sopkit.collect.queries import SPREADSHEETS, raw_files
from sopkit.errors import Finding, nearest
from sopkit.tables import Company, Source, Table
from sopkit.tables.reading import line_of
from sopkit.words import listed

FILE = "company.yaml"


def findings(mapping: CompanyMapping, tables: Mapping[str, pd.DataFrame]) -> list[Finding]:
    """One warning for each setting that nothing uses or nobody has; `tables` are the rows that were read."""
    return [
        Finding(FILE, line_of(mapping.lines, where), ".".join(map(str, where)), "", rule, "warning", "", fix)
        for where, rule, fix in _unused(mapping, tables)
    ]


def _unused(mapping: CompanyMapping, tables: Mapping[str, pd.DataFrame]) -> Iterator[tuple[tuple[Any, ...], str, str]]:
    company, markets = mapping.company, tables.get("markets", pd.DataFrame({"currency": []}))
    sources = {name: source for name, source in company.tables.items() if name in INPUT_TABLES}
    codes = {code for source in sources.values() for code in source.currencies.values()}
    theirs = set(markets["currency"].astype(str)) - {"", company.currency}
    used = codes | (theirs if "market" in codes else set())
    for code in sorted(set(company.rates) - used):
        fix = f"Say which money comes in {code}: `tables: {{prices: {{currency: {code}}}}}`, or remove the rate."
        yield ("rates", code), "is a rate that no table uses", fix
    foreign = set(markets.loc[markets["currency"].astype(str).isin(theirs), "market"]) if theirs else set()
    unread = [name for name, frame in tables.items() if _as_ours(INPUT_TABLES[name], sources.get(name), frame, foreign)]
    if theirs and (unread or not codes):
        ours, which = company.currency, f"the money of {listed(unread)}" if unread else "all money"
        rule = f"markets have the currency {', '.join(sorted(theirs))}, but {which} is read as {ours}"
        fix = "Set `currency: market` for each table in the market's currency, and its rate under `rates:`; "
        fix += f"`currency: {ours}` where it is {ours} already; or write {ours} into markets."
        yield ("tables",), rule, fix
    for name in sorted(set(company.databases) - {source.database for source in sources.values()}):
        yield ("databases", name), "is a database that no table names", f"Use it (`database: {name}`), or remove it."
    files = [path.relative_to(mapping.raw) for path in raw_files(mapping)] if company.raw_files else []
    for like in company.raw_files:
        if not any(path.match(like) for path in files):
            near = nearest(like, [path.as_posix() for path in files])
            yield ("raw_files", like), "fits no raw file", f"Correct it: {near}" if files else "Remove it."
    if company.policies.stock_budget is None and "stock_budget_price" in company.policies.model_fields_set:
        where = ("policies", "stock_budget_price")
        yield where, "does nothing without a stock budget", "Set policies.stock_budget too."
    books = [name for folder in (mapping.folder, mapping.raw) for name in os.listdir(folder)]
    if "workbook" in company.model_fields_set and company.workbook.casefold() not in map(str.casefold, books):
        near = nearest(company.workbook, [name for name in books if name.lower().endswith(SPREADSHEETS)])
        yield ("workbook",), "is no file of the company's folder or the raw folder", f"Correct or remove it: {near}"
    people = set(tables["people"]["name"].astype(str)) if "people" in tables else set()
    for where, name in _named(company) if people else ():
        if name not in {"", *people} and where in mapping.lines:  # what was declared elsewhere has no line here
            fix = f"Add the name to people, or correct it here: {nearest(name, people)}"
            yield where, f"{name} is not in table people", fix
    for name, source in sources.items():
        for field, rule, fix in _of_source(INPUT_TABLES[name], source):
            yield ("tables", name, field), rule, fix


def _named(company: Company) -> Iterator[tuple[tuple[Any, ...], str]]:
    """(place in the file, name) of everybody whom the settings name."""
    for part in ("kpi_targets", "assumptions", "workflow"):
        yield from (((part, code, "owner"), one.owner) for code, one in getattr(company, part).items())
    groups: list[tuple[tuple[str, ...], tuple[str, ...]]] = [
        *((("workflow", stage, "participants"), rule.participants) for stage, rule in company.workflow.items()),
        *((("audiences", audience), names) for audience, names in company.audiences.items()),
    ]
    yield from (((*where, at), name) for where, names in groups for at, name in enumerate(names))


def _as_ours(table: Table, source: Source | None, frame: pd.DataFrame, foreign: set[str]) -> bool:
    """Whether a table holds money of foreign markets and nobody has said in which currency."""
    money = [column.name for column in table if column.is_money and column.name in frame]
    if (source and source.currency) or not money or "market" not in frame:
        return False
    return bool(frame.loc[frame["market"].isin(foreign), money].gt(0).any(axis=None))


def _of_source(table: Table, source: Source) -> Iterator[tuple[str, str, str]]:
    """(setting, what is wrong, fix) of one table's source."""
    ending = Path(source.file).suffix.lower()
    sheet, csv = ending in SPREADSHEETS, ending not in (*SPREADSHEETS, ".parquet")
    reads = {"sheet": sheet, "delimiter": csv, "encoding": csv, "skip": csv or sheet}
    for field, does in reads.items():
        if source.file and not does and field in source.model_fields_set:
            yield field, f"does nothing for a {ending or 'CSV'} file", "Remove it."
    kinds = {column.kind for column in table}
    if source.dates and not kinds & {"month", "date"}:
        yield "dates", f"does nothing: {table.name} has no months or days", "Remove it."
    if isinstance(source.currency, str) and source.currency and not any(column.is_money for column in table):
        yield "currency", f"does nothing: {table.name} has no money", "Remove it."
