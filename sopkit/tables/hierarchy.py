"""The hierarchies of planning, declared once: product to family, market to region, month to quarter to fiscal year."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from sopkit.errors import nearest
from sopkit.tables.company import Company
from sopkit.tables.declare import Column, Table, names_in

LEVELS: dict[str, tuple[str, ...]] = {
    "product": ("product", "family", "total"),
    "market": ("market", "region", "total"),
    "month": ("month", "quarter", "fiscal_year", "total"),
}
TOTAL = "total"
UNDER = " (denominator)"
PERIODS = {*LEVELS["month"], "year"}


def fiscal_years(months: pd.Series, company: Company) -> pd.Series:
    """The fiscal year of each month, named after the calendar year in which it ends: `FY2027`."""
    return _fiscal(months, company, lambda month: f"FY{month // 12}")


def quarters(months: pd.Series, company: Company) -> pd.Series:
    """The fiscal quarter of each month: `FY2027 Q2`. Sorted as text, quarters are in order of time."""
    return _fiscal(months, company, lambda month: f"FY{month // 12} Q{month % 12 // 3 + 1}")


def _fiscal(months: pd.Series, company: Company, name: Callable[[int], str]) -> pd.Series:
    """The name of each month, counted from year 0 and moved so that the fiscal year is that of the calendar."""
    moved = months.dt.year * 12 + months.dt.month - 1 + (13 - company.fiscal_year_start) % 12
    return moved.map({month: name(month) for month in moved.unique()}).astype(object)


def with_levels(frame: pd.DataFrame, tables: Mapping[str, pd.DataFrame], company: Company) -> pd.DataFrame:
    """`frame` with a column for every level above those it has (family, region, quarter, fiscal_year, total).

    Reads products (family of a product) and markets (region of a market). A product or market that those tables do
    not hold raises KeyError naming it: a total must never lose a row.
    """
    out = frame.copy()
    for column, parent, table in (("product", "family", "products"), ("market", "region", "markets")):
        if column in out:
            out[parent] = _parent(out[column], tables[table].set_index(column)[parent])
    if "month" in out:
        out["quarter"], out["fiscal_year"] = quarters(out["month"], company), fiscal_years(out["month"], company)
    return out.assign(total=TOTAL)


def _parent(children: pd.Series, parents: pd.Series) -> pd.Series:
    found = children.map(parents)
    if found.isna().any():
        lost = str(children[found.isna()].iloc[0])
        hint = nearest(lost, map(str, parents.index))
        raise KeyError(f"{children.name} {lost!r} belongs to no {parents.name}: {hint}")
    return found


def add_up(
    frame: pd.DataFrame, declared: Table, by: Sequence[str], values: Sequence[str] = (), *, time: str = "month"
) -> pd.DataFrame:
    """Rows of table `declared` added up to one row a combination of `by`, each of `values` as its column declares.

    `frame` may have more columns than the table, such as the levels of `with_levels`. `by` empty: one row, `total`.
    `values` empty: every column that adds up. `time` is the column of months (of quarters where months were added up
    before). Empty cells count as nothing; a rate is empty where a part of it is unknown. Where every row of the result
    is one row of `frame`, nothing is added and any column may be asked for. Sorted by `by`.
    Raises KeyError for an unknown column; ValueError for a column that does not add up, and for rows of different
    kinds, such as two streams' forecasts of one month.
    """
    keys = list(dict.fromkeys(by)) or [TOTAL]
    needed = {name: declared[name].named for name in values if name in declared.names}
    asked = [*keys, *values, *declared.apart, *set().union(*needed.values())]
    for name in asked:
        if name not in frame and (by or name != TOTAL):
            raise KeyError(f"table {declared.name} has no column {name!r} here: {nearest(name, map(str, frame))}")
    frame = frame[[name for name in frame if name in {*asked, *PERIODS, time}]] if values else frame
    frame = frame if by else frame.assign(**{TOTAL: TOTAL})
    there = {*frame} - {*keys}
    kinds = {c.name: _kinds(declared, c, time in keys) for c in declared if c.name in there and c.named <= {*frame}}
    names = [*values] or [name for name, kind in kinds.items() if kind]
    if (time in keys or time not in frame) and not frame.duplicated(keys).any():
        return frame[[*keys, *names]].sort_values(keys, kind="stable", ignore_index=True)
    groups = frame.groupby(keys, sort=True, observed=True, dropna=False)
    for name in declared.apart:
        if groups[name].nunique(dropna=False).gt(1).any():
            why = f"rows of different {name} do not add up"
            raise ValueError(f"table {declared.name}: {why}; choose one, or add it to by")
    parts: dict[str, dict[str, pd.Series]] = {}  # kind -> part -> its cells
    for column in (declared[name] for name in names):
        if not kinds[column.name]:
            raise ValueError(f"{declared.name}.{column.name} ({column.meaning}) {column.adding or 'holds no numbers'}")
        cells = [frame.eval(part, engine="python") for part in column.parts] if column.parts else [frame[column.name]]
        if column.parts:  # an unknown cell stays seen in the sum as infinite, unless it weighs nothing
            cells[0] = cells[0].fillna(pd.Series(np.where(cells[1].fillna(0).eq(0), 0.0, np.inf), frame.index))
        for part, kind, values in zip(("", UNDER), kinds[column.name], cells, strict=False):
            parts.setdefault(kind, {})[column.name + part] = values
    sums = [_added(frame, keys, cells, kind, time) for kind, cells in parts.items()]
    added = sums[0] if len(sums) == 1 else pd.concat([pd.DataFrame(index=groups.size().index), *sums], axis=1)
    for name in names:
        if declared[name].parts:
            added[name] = added[name].replace(np.inf, np.nan) / added[name + UNDER].replace(0.0, np.nan)
    return added[names].reset_index()


def _kinds(declared: Table, column: Column, within_months: bool) -> tuple[str, ...]:
    """How the parts of `column` add up, each "sum", "end" or "start"; nothing where one of them does not."""
    named = [names_in(part) - {column.name} for part in column.parts] if column.parts else [{column.name}]
    found = [{declared[name].adds for name in names} for names in named]
    if within_months:
        found = [kinds - {"month"} | {"sum"} if "month" in kinds else kinds for kinds in found]
    if all(len(kinds) == 1 and kinds <= {"sum", "end", "start"} for kinds in found):
        return tuple(str(kind) for (kind,) in found)
    return ()


def _added(frame: pd.DataFrame, keys: list[str], cells: dict[str, pd.Series], kind: str, time: str) -> pd.DataFrame:
    """`cells` summed by `keys` of `frame`; for an end or a start, those of each period's last or first `time`."""
    whole = pd.DataFrame({**{key: frame[key] for key in keys}, **cells})
    groups = whole.groupby(keys, observed=True, dropna=False)
    if kind == "sum" or time not in frame or time in keys:
        return groups.sum(min_count=1)
    periods = [frame[key] for key in keys if key in PERIODS] or np.zeros(len(frame))
    there = frame[time].eq(frame[time].groupby(periods, observed=True).transform("max" if kind == "end" else "min"))
    edge = whole[there].groupby(keys, observed=True, dropna=False)
    return edge.sum(min_count=1).reindex(groups.size().index, fill_value=0.0)
