"""The hierarchies of planning, declared once: product to family, market to region, month to quarter to fiscal year."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from sopkit.errors import nearest
from sopkit.tables.company import Company

LEVELS: dict[str, tuple[str, ...]] = {
    "product": ("product", "family", "total"),
    "market": ("market", "region", "total"),
    "month": ("month", "quarter", "fiscal_year", "total"),
}
TOTAL = "total"


def fiscal_years(months: pd.Series, company: Company) -> pd.Series:
    """The fiscal year of each month, named after the calendar year in which it ends: `FY2027`."""
    return "FY" + _fiscal(months, company).dt.year.astype(str)


def quarters(months: pd.Series, company: Company) -> pd.Series:
    """The fiscal quarter of each month: `FY2027 Q2`. Sorted as text, quarters are in order of time."""
    fiscal = _fiscal(months, company)
    return "FY" + fiscal.dt.year.astype(str) + " Q" + fiscal.dt.quarter.astype(str)


def _fiscal(months: pd.Series, company: Company) -> pd.Series:
    """Months moved so that the fiscal year is the calendar year of the result."""
    shift = (13 - company.fiscal_year_start) % 12
    periods = pd.Series(months).dt.to_period("M") + shift
    return periods.dt.to_timestamp()


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


def families(items: pd.Series, tables: Mapping[str, pd.DataFrame]) -> pd.Series:
    """The family of each product in `items`, from table products; NaN for a material, which belongs to none."""
    return items.map(tables["products"].set_index("product")["family"])


def _parent(children: pd.Series, parents: pd.Series) -> pd.Series:
    found = children.map(parents)
    if found.isna().any():
        lost = str(children[found.isna()].iloc[0])
        raise KeyError(
            f"{children.name} {lost!r} belongs to no {parents.name}: {nearest(lost, map(str, parents.index))}"
        )
    return found


def roll_up(
    frame: pd.DataFrame,
    tables: Mapping[str, pd.DataFrame],
    company: Company,
    *,
    product: str = "product",
    market: str = "market",
    month: str = "month",
    by: Sequence[str] = (),
    values: Sequence[str] = ("quantity",),
    levels_held: Sequence[str] = (),
) -> pd.DataFrame:
    """Sum `values` of `frame` to a level of each hierarchy; `by` are other columns to keep apart.

    A hierarchy that `frame` has no column of is left out; `total` drops its column from the result. Columns in
    `levels_held` (stock, backlog: what is there at a month's end) are summed over products and markets but not over
    months: a quarter holds what its last month in `frame` holds. Returns one row a combination, sorted.
    Raises ValueError for an unknown level, KeyError for a product or market without a parent.
    """
    chosen = {"product": product, "market": market, "month": month}
    for name, level in chosen.items():
        if level not in LEVELS[name]:
            raise ValueError(f"{name} has no level {level!r}: {nearest(level, LEVELS[name])}")
    full = with_levels(frame, tables, company)
    keys = list(by)
    for name, level in chosen.items():
        own = next((known for known in LEVELS[name] if known in frame), None)
        if own is None or own == TOTAL or level == TOTAL:
            continue
        if LEVELS[name].index(own) > LEVELS[name].index(level):
            raise ValueError(f"a frame by {own} cannot be split down to {level}")
        keys.append(level)
    if not keys:
        full, keys = full.assign(total=TOTAL), [TOTAL]
    rolled = full.groupby(keys, sort=True, observed=True)[list(values)].sum()
    if levels_held:
        if "month" in full and month != "month":
            last = full.groupby(month)["month"].transform("max")
            full = full[full["month"] == last]
        held = full.groupby(keys, sort=True, observed=True)[list(levels_held)].sum()
        rolled = rolled.join(held).fillna(dict.fromkeys(levels_held, 0.0))
    return rolled.reset_index()
