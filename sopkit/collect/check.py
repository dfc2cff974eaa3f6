"""From text to checked tables: every cell that breaks a declaration becomes a finding with its spreadsheet row.

Kinds, bounds and choices come from `sopkit.tables`; nothing is repeated here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from rapidfuzz import process as fuzzy

from sopkit.collect import complete, unused
from sopkit.collect.cells import HINTS, Notes, as_frame, column_of, shown, strings, together
from sopkit.collect.collected import Collected
from sopkit.collect.contradictions import contradictions
from sopkit.collect.extract import Extract, plainly, sha_of_columns, stop
from sopkit.collect.mapping import INPUT_TABLES
from sopkit.collect.mapping import Mapping as CompanyMapping
from sopkit.collect.sources import extract
from sopkit.collect.traced import source_rows
from sopkit.errors import Finding, nearest
from sopkit.tables import BY_NAME, TABLES, Column, Source, Table
from sopkit.tables.company import ALWAYS

REPEATS, REPEATED = 20, 0.4  # rows, and share of a file, from which repeats are no chance
TOTAL = re.compile(r"(grand )?totals?|sums?|summe|gesamt(summe|ergebnis)?|ergebnis|totale|somme", re.IGNORECASE)


@dataclass(frozen=True)
class Checked:
    """One table after its check: `frame` is None where a finding stops it; `lines` are its rows as they came."""

    table: Table
    extract: Extract
    frame: pd.DataFrame | None
    lines: pd.DataFrame
    findings: pd.DataFrame


def checked(table: Table, source: Source, extract: Extract, factors: Mapping[str, Any]) -> Checked:
    """`extract` as `table`: renamed, converted, parsed and checked; every finding at once.

    `factors`: rates of each currency by month, the cycle, and under "market" each market's currency.
    """
    notes = Notes(table, extract, [as_frame(extract.findings)] if extract.findings else [])
    if not extract.columns.column_names:
        return Checked(table, extract, None, table.empty(), together(notes.frames))
    extract = notes.extract = _rows_only(extract, notes)
    columns = _named(table, source, extract, notes)
    if not len(extract.rows):
        needed = table.required and not table.may_be_empty
        allowed, severity = ("at least one row", "error") if needed else ("", "warning")
        fix = f"Fill the table, or remove {extract.place}."
        notes.header("", "has no rows", fix, allowed=allowed, severity=severity)
    lines, bad = {}, np.zeros(len(extract.rows), dtype=bool)
    for column in table:
        if column.name in columns:
            lines[column.name], wrong = column_of(column, columns[column.name], source, notes)
            bad |= wrong
        else:
            lines[column.name] = pd.Series(column.empty, index=range(len(extract.rows)), dtype=column.dtype)
    frame = pd.DataFrame(lines, columns=table.names)
    _convert(source, frame, factors, notes, cells=columns, bad=bad)
    for column in table:
        _bounds(column, frame[column.name], columns.get(column.name), notes, bad)
    for later, earlier in table.not_before:
        where = np.flatnonzero((frame[later] < frame[earlier]).to_numpy() & ~bad)
        allowed, fix = f"{table[later].allowed}, not before {earlier}", f"Correct {later} or {earlier}."
        notes.cells(where, later, shown(columns.get(later), where), f"lies before {earlier}", fix, allowed=allowed)
    for column in table:
        if not column.required:
            frame[column.name] = _filled(column, frame[column.name])
    if source.sum_rows:
        _repeats(extract, notes)
    elif columns.keys() >= {name for name in table.key if table[name].required}:
        _keys(table, frame, bad, notes)
    findings = together(notes.frames)
    ready = None if findings["severity"].eq("error").any() else _ready(table, frame, source.sum_rows)
    return Checked(table, extract, ready, frame, findings)


def _named(table: Table, source: Source, extract: Extract, notes: Notes) -> dict[str, pa.Array]:
    """Our column -> its cells, for the columns that are there; what is missing or unknown is noted."""
    found = extract.columns.column_names
    ours = _ours(table, source, found)
    count = len(extract.rows)
    columns = {our: extract.columns.column(name) for name, our in ours.items() if our in table.names}
    for our, value in source.constants.items():
        columns[our] = pa.repeat(pa.scalar(str(value)), count)
    absent = [column for column in table if column.name not in columns]
    alike = {plainly(name) for name in found}
    for name in source.rename:
        if plainly(name) not in alike:
            fix = "Correct it under `rename:` in company.yaml: " + nearest(name, found)
            notes.header(name, "column to be renamed is missing", fix, value=name, allowed=", ".join(found))
    for column in absent:
        if column.required and column.name not in source.rename.values():
            others = [name for name in found if ours[name] not in table.names]
            fix = "Add the column, or in company.yaml name it under `rename:`, or its one value under `constants:`"
            fix += f"; {nearest(column.name, others)}" if others else "."
            notes.header(column.name, "column is missing", fix, allowed=column.allowed)
    for name in found:
        if ours[name] in table.names or name in source.ignore or "*" in source.ignore:
            continue
        empty = not name.strip()
        if empty and not any(cell.strip() for cell in strings(extract.columns.column(name)).to_pylist()):
            continue
        close = nearest(name.lower(), [column.name for column in absent])
        meant = close.startswith("did you mean")
        fix = "Rename it, or name it under `rename:` or `ignore:` in company.yaml" + f": {close}" * meant
        severity = "error" if meant else "warning"
        notes.header(name, "unknown column", fix, value=name, allowed=", ".join(table.names), severity=severity)
    return columns


def _ours(table: Table, source: Source, found: list[str]) -> dict[str, str]:
    """Their column -> ours: as renamed, of our name, or of our name but for case, blanks and underscores."""
    ours = {name: source.rename.get(name, name) for name in found}
    known = {plainly(name): name for name in table.names}
    known |= {plainly(theirs): our for theirs, our in source.rename.items()}
    for name in found:
        meant = known.get(plainly(name))
        if ours[name] not in table.names and name not in source.ignore and meant and meant not in ours.values():
            ours[name] = meant
    return ours


def _rows_only(extract: Extract, notes: Notes) -> Extract:
    """`extract` without a total below its rows and without its header again: one finding for each of the two."""
    names = [name for name in extract.columns.column_names if name.strip()]
    if not names or not len(extract.rows):
        return extract
    first = strings(extract.columns.column(names[0]))
    again = np.flatnonzero(pc.equal(first, names[0]).to_numpy(zero_copy_only=False))
    for name in names[1:]:
        cells = shown(extract.columns.column(name), again)
        again = again[[cell == name for cell in cells]]
    last = np.array([len(extract.rows) - 1])
    below = {name: shown(extract.columns.column(name), last)[0] for name in names}
    totals = [name for name, cell in below.items() if TOTAL.fullmatch(cell)]
    last = last[: bool(totals and "" in below.values())]
    repeat = f"is the header again ({len(again):,} times)"
    for where, column, rule, fix in (
        (again, names[0], repeat, "Remove these rows: several exports stand below each other."),
        (last, (totals or names)[0], "is a total of the rows above", "Remove it: it would count twice."),
    ):
        notes.cells(where[:1], column, shown(extract.columns.column(column), where[:1]), rule, fix, allowed="")
    kept = np.ones(len(extract.rows), dtype=bool)
    kept[again] = kept[last] = False
    if kept.all():
        return extract
    parts = tuple((int(kept[:start].sum()), place) for start, place in extract.parts)
    return replace(extract, columns=extract.columns.filter(pa.array(kept)), rows=extract.rows[kept], parts=parts)


def _convert(
    source: Source, frame: pd.DataFrame, factors: Mapping[str, Any], notes: Notes, *, cells: dict, bad: np.ndarray
) -> None:
    """Units and money into ours, at the stated factors and rates, in place."""
    for column in notes.table:
        if column.name in source.multiply:
            frame[column.name] = frame[column.name] * source.multiply[column.name]
        if not (code := source.currency_of(column)):
            continue
        codes = pd.Series(code, frame.index, dtype=object)
        if code == "market":
            codes = frame["market"].astype(object).map(factors["market"])
        rates = pd.Series(np.nan, frame.index)
        for one in codes.dropna().unique():
            here = codes.eq(one)
            rates[here] = _rates(factors[one], frame[here], factors["cycle"])
        lacking = rates.isna() & frame[column.name].notna() & ~bad
        for early, rule, source_column in (
            (False, "no rate for the currency of this market", "market"),
            (True, "lies before the first month with a rate for its currency", "month"),
        ):
            where = np.flatnonzero(lacking & (codes.notna() == early))
            fix = "Add the rate under `rates:` in company.yaml."
            notes.cells(where, column.name, shown(cells.get(source_column), where), rule, fix, allowed="")
        frame[column.name] = frame[column.name] * rates


def _rates(rates: Mapping[str, float], frame: pd.DataFrame, cycle: str) -> np.ndarray:
    """The rate of each row: of its month, or of the plan's first; NaN before the first month that has one."""
    first = sorted(rates)
    months = frame["month"] if "month" in frame else np.repeat(np.datetime64(cycle, "ns"), len(frame))
    at = pd.DatetimeIndex(first).searchsorted(pd.DatetimeIndex(months), side="right") - 1
    return np.array([*(rates[month] for month in first), np.nan])[at]


def _bounds(column: Column, values: pd.Series, array: Any, notes: Notes, bad: np.ndarray) -> None:
    """Findings for values that break a rule of `column`."""
    if column.kind in ("number", "whole", "month", "date"):
        for words, holds in column.rules:
            if words == "first day of a month":
                continue  # found by the parser, which knows whether rows are summed
            where = np.flatnonzero(~holds(values.to_numpy()))
            notes.cells(where, column.name, shown(array, where), f"must be {words}", "Correct the cell.")
            bad[where] = True


def _filled(column: Column, values: pd.Series) -> pd.Series:
    """Empty cells hold what the declaration says an empty cell means."""
    if column.default in (None, "") or column.kind == "flag":
        return values
    if column.kind in ("text", "choice"):
        values = values.astype(object)
        return values.where(values.ne(""), column.default)
    return values.where(values.notna(), column.default)


def _keys(table: Table, frame: pd.DataFrame, bad: np.ndarray, notes: Notes) -> None:
    """One finding for each row whose key stood in a row above."""
    key = list(table.key)
    again = frame.duplicated(key, keep=False).to_numpy() & ~bad
    if not again.any():
        return
    twice = frame.loc[again, key].astype(object)
    first = twice.groupby(key, sort=False, dropna=False)[key[0]].transform(lambda group: group.index[0])
    repeated = first[first != first.index].astype(int)
    names = frame.loc[repeated.index, key]
    months = {name: names[name].dt.strftime("%Y-%m") for name in key if table[name].kind == "month"}
    values = [", ".join(map(str, line)) for line in names.astype(object).assign(**months).itertuples(index=False)]
    each = f"Keep one row for each {', '.join(key)}"
    fixes = [f"{each}; the first is row {row}." for row in notes.extract.rows[repeated.to_numpy()]]
    notes.cells(repeated.index.to_numpy(), ", ".join(key), values, "duplicated key", fixes, allowed="")


def _repeats(extract: Extract, notes: Notes) -> None:
    """Rows that stand more than once with all their cells count more than once: a finding a file.

    Most often a file was exported twice, or two exports overlap. An error where the repeats are no chance.
    """
    codes = pd.util.hash_pandas_object(extract.columns.to_pandas(strings_to_categorical=True), index=False)
    again = codes.duplicated().to_numpy()
    if not again.any():
        return
    first = pd.Series(codes.index).groupby(codes, sort=False).transform("first").to_numpy()
    starts = [start for start, _ in extract.parts] or [0]
    part = np.searchsorted(starts, np.arange(len(again)), side="right")
    for number in sorted(set(part[again])):
        where = np.flatnonzero(again & (part == number))
        size, place = int((part == number).sum()), extract.place_of(int(where[0])) or extract.place
        source_row = int(first[where[0]])
        like = f"row {extract.rows[source_row]}"
        like += f" of {extract.place_of(source_row)}" if part[source_row] != number else ""
        rule = f"{len(where):,} of {size:,} rows repeat others with all their cells and count again"
        rule += f" (this one is {like})"
        fix = f"Remove them from {place}, or export a column that tells them apart (an order and its line)."
        severity = "error" if len(where) >= REPEATS and len(where) / size >= REPEATED else "warning"
        at = int(extract.rows[where[0]])
        notes.frames.append(as_frame([Finding(notes.table.name, at, "", "", rule, severity, "", fix)]))


def _ready(table: Table, frame: pd.DataFrame, sum_rows: bool) -> pd.DataFrame:
    """Checked lines as the table itself: rows of one key added up where wanted, defaults filled, sorted by key."""
    key = list(table.key)
    if sum_rows and len(frame):
        # an unknown part makes the sum unknown: skipna would understate it
        sums = [name for name in table.names if name not in key]
        groups = frame.groupby(key, observed=True, sort=True)[sums]
        frame = groups.sum().where(groups.count().eq(groups.size(), axis=0)).reset_index()
    for column in table:
        if column.kind in ("text", "choice"):
            frame[column.name] = frame[column.name].astype(object)
    return table.conform(frame)


# between tables -------------------------------------------------------------------------------------------------
def references(tables: Mapping[str, Checked]) -> pd.DataFrame:
    """Every cell that names something no other table knows: one finding a cell, with the nearest known name.

    One missing file does not become thousands of findings: a table that could not be read at all is not looked into.
    """
    known = {name: frozenset(_distinct(one.lines[one.table.key[0]])) - {""} for name, one in tables.items()}
    unread = {name for name, one in tables.items() if not known[name] and one.findings["severity"].eq("error").any()}
    frames = []
    for one in tables.values():
        for column in one.table:
            if not column.refs or one.lines.empty or unread & set(column.refs):
                continue
            valid = frozenset().union(*(known.get(ref, frozenset()) for ref in column.refs))
            orphans = sorted(set(_distinct(one.lines[column.name])) - valid - {""})
            if orphans:
                frames.append(_orphans(one, column, orphans, sorted(valid)))
    return together(frames)


def _distinct(values: pd.Series) -> list[str]:
    if isinstance(values.dtype, pd.CategoricalDtype):
        used = np.unique(values.cat.codes.to_numpy())
        return values.cat.categories[used[used >= 0]].tolist()
    return values.unique().tolist()


def _orphans(one: Checked, column: Column, orphans: list[str], valid: list[str]) -> pd.DataFrame:
    places = " or ".join(column.refs)
    fixes = {}
    for orphan in orphans[:HINTS]:
        close = fuzzy.extractOne(orphan[:100], valid, score_cutoff=70)
        fixes[orphan] = f"Add it to {places}, or correct it" + (f": did you mean {close[0]!r}?" if close else ".")
    values = one.lines[column.name].astype(object)
    where = np.flatnonzero(values.isin(orphans).to_numpy())
    named = values.iloc[where].tolist()
    notes = Notes(one.table, one.extract)
    texts = [fixes.get(value, f"Add it to {places}, or correct it.") for value in named]
    notes.cells(where, column.name, named, f"is not in {places}", texts)
    return together(notes.frames)


# the whole company ----------------------------------------------------------------------------------------------
def everything(mapping: CompanyMapping, memory: dict | None = None) -> Collected:
    """Every input table of a company, read and checked, with all findings in the order of the tables."""
    memory = {} if memory is None else memory
    factors: dict[str, Any] = mapping.company.rates | {mapping.company.currency: {ALWAYS: 1.0}, "cycle": mapping.cycle}
    done: dict[str, Checked] = {}
    frames = []

    def several_sites() -> bool:
        return "sites" in done and len(done["sites"].lines) > 1

    for table in INPUT_TABLES.values():
        source = mapping.source(table.name)
        if "market" in source.currencies.values():
            factors["market"] = _market_codes(done.get("markets"), factors)
        read = extract(table, mapping, memory)
        if read is None and table.name == "lanes":
            read = _one_site(done)
        if read is None:
            if table.required or (table.name == "lanes" and several_sites()):
                fix = f"Put {table.name}.csv into {mapping.folder}, add its sheet to {mapping.company.workbook}, "
                fix += "or say under `tables:` in company.yaml where it comes from."
                frames.append(as_frame([stop(table.name, (0, ""), "", "table is missing", fix)]))
            continue
        kept = memory.get((table.name, "checked"))
        if kept is None or kept[0] is not read or kept[1] != factors:
            kept = memory[table.name, "checked"] = (read, dict(factors), checked(table, source, read, factors))
        done[table.name] = kept[2]
        found = kept[2].findings
        if table.name == "lanes" and several_sites():  # one site needs none, several cannot do without
            found = found.assign(severity=found["severity"].mask(found["rule"].eq("has no rows"), "error"))
        frames.append(found)
    idle = as_frame(unused.findings(mapping, {name: one.lines for name, one in done.items()}))
    findings = together([*frames, _strays(mapping), idle, references(done)])
    stopped = set(findings.loc[findings["severity"].eq("error"), "table"])
    left = {name: table for name, table in INPUT_TABLES.items() if name not in stopped}
    tables = {name: done[name].frame if name in done else table.empty() for name, table in left.items()}
    if not stopped:
        incomplete = as_frame(complete.findings(tables, mapping.company, mapping.cycle))
        findings = together([findings, incomplete, _contradictions(done, mapping)])
    places = [
        (name, one.extract.place, len(one.lines), one.extract.sha256, _statement(mapping, one))
        for name, one in done.items()
    ]
    sources = TABLES["sources"].conform(pd.DataFrame(places, columns=TABLES["sources"].names))
    rows = source_rows({name: (one.lines, one.extract) for name, one in done.items() if one.frame is not None})
    return Collected(mapping.folder, mapping.cycle, mapping.company, tables, findings, sources, rows)


def _one_site(done: Mapping[str, Checked]) -> Extract | None:
    """A lane from the only site to every market, where a company of one site brings none."""
    places = [list(map(str, done[name].lines[name[:-1]])) if name in done else [] for name in ("sites", "markets")]
    sites, markets = places
    if len(sites) != 1 or not markets:
        return None
    columns = pa.table({"origin": sites * len(markets), "destination": markets})
    rule = "one site and no lanes: every market is served from it within the month, without freight"
    found = Finding("lanes", 0, "", "", rule, "warning", "", "Bring the lanes where that is not so.")
    return Extract("lanes", "the only site", columns, np.arange(len(markets)) + 2, (found,), sha_of_columns(columns))


def _contradictions(done: Mapping[str, Checked], mapping: CompanyMapping) -> pd.DataFrame:
    """What tables that are right by themselves say against each other, by the row of the source."""
    summed = {name for name, source in mapping.company.tables.items() if source.sum_rows}
    tables = {name: TABLES[name].empty() for name in BY_NAME["supply"].reads if name not in done}
    tables |= {name: one.frame if name in summed else one.lines for name, one in done.items()}
    found = []
    for finding in contradictions(tables, mapping.company, mapping.cycle):
        row, fix = 0 if finding.table in summed else finding.row, finding.fix
        if row > 1:
            read, at = done[finding.table].extract, finding.row - 2
            row, place = int(read.rows[at]), read.place_of(at)
            fix += f" (in {place})" if place else ""
        found.append(replace(finding, row=row, fix=fix))
    return as_frame(found)


def _statement(mapping: CompanyMapping, one: Checked) -> str:
    """The mapping and the query of a table, as they are kept with the snapshot."""
    source = mapping.company.tables.get(one.table.name)
    named = source.model_dump_json(exclude_defaults=True) if source else ""
    return "\n".join(filter(None, (named, one.extract.statement)))


def _market_codes(markets: Checked | None, rates: Mapping[str, Any]) -> dict[str, str]:
    if markets is None or markets.lines.empty:
        return {}
    pairs = markets.lines[["market", "currency"]].astype(object).itertuples(index=False)
    return {market: code for market, code in pairs if code in rates}


def _strays(mapping: CompanyMapping) -> pd.DataFrame:
    """A CSV in the company's folder that is no table and no source: most often a misspelt name."""
    used = {source.file for source in mapping.company.tables.values()}
    files = sorted(path for path in mapping.folder.glob("*.csv") if path.stem not in INPUT_TABLES)
    strays = [path for path in files if not any(Path(path.name).match(pattern) for pattern in used if pattern)]
    fixes = {path: f"It is not read: {nearest(path.stem, INPUT_TABLES)}" for path in strays}
    rule = "file is not a table"
    return as_frame(Finding(path.stem, 0, "", path.name, rule, "warning", "", fix) for path, fix in fixes.items())
