"""Asking a book: rows chosen, added up as each column declares, drawn with the title and unit of its declaration."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Any

import pandas as pd

from sopkit.errors import SettingsError, nearest
from sopkit.tables import TABLES
from sopkit.tables.declare import QUANTITY
from sopkit.tables.hierarchy import add_up
from sopkit.words import heading, say, sentence, span

if TYPE_CHECKING:
    from sopkit.book.book import Book
    from sopkit.charts import Figure

MATERIALS = "materials"  # what stands for the family of items that are no products
PERIODS = ("month", "quarter", "fiscal_year", "year", "total")
# quantities of a row, in column `uom`, are in the unit of the first it names
COUNTED = ("component", "item", "product")
OF_ROW = ("unit", "its unit", "that of the measure")  # of a number whose unit stands in column `unit`


def chosen(frame: pd.DataFrame, where: Mapping[str, Any], what: str) -> pd.Series:
    """Which rows of `frame` have the values `where` names: one, several, or months as `2027-01..2027-06` or `2027`.

    Raises SettingsError for an unknown column or value, with the nearest that exist, and where no value is named;
    `what` names the frame in it.
    """
    mask = pd.Series(True, index=frame.index)
    for name, wanted in where.items():
        known(name, frame, f"{what} has no column")
        values = list(wanted) if pd.api.types.is_list_like(wanted) else [wanted]
        if not values:
            raise SettingsError(f"{what}: {name} names no value; name one or several, or leave {name} out")
        if pd.api.types.is_datetime64_any_dtype(frame[name]):
            spans = (_span(value, f"{what}: {name}") for value in values)
            mask &= reduce(or_, (frame[name].between(first, last) for first, last in spans))
            continue
        unknown = [value for value in values if not frame[name].eq(value).any()]
        if unknown and len(frame):
            known(str(unknown[0]), frame[name].drop_duplicates().astype(str), f"{what} has no {name}", there=False)
        mask &= frame[name].isin(values)
    return mask


def known(name: Any, valid: Iterable[Any], told: str, *, there: bool = True) -> None:
    """Refuse a name that is not among `valid`, or that is known not to be `there`, with the nearest that are."""
    names = [str(one) for one in valid]
    if not (there and isinstance(name, str) and name in names):
        raise SettingsError(f"{told} {name!r}: {nearest(str(name), names)}")


def _span(value: Any, what: str) -> tuple[pd.Timestamp, pd.Timestamp]:
    """The first and last day of `2027-01`, `2027-01..2027-06`, a year or a date."""
    first, dots, last = str(value).partition("..")
    try:
        return pd.Period(first).start_time, pd.Period(last if dots else first).end_time
    except (ValueError, AttributeError):
        raise SettingsError(f"{what} {str(value)!r} is no month: write 2027-03, or 2027-01..2027-06") from None


def with_levels(book: Book, name: str) -> pd.DataFrame:
    """Table `name` with a column for each level above those it has; items have the family of their product."""
    return book.once(("levels", name), lambda: _levels(book, name))


def _levels(book: Book, name: str) -> pd.DataFrame:
    full = book.with_levels(book[name])
    if "item" in full and "family" not in full:
        full["family"] = book.families(full["item"]).fillna(MATERIALS)
    counted = next((one for one in COUNTED if one in full), "")
    if counted and any(column.unit == QUANTITY for column in TABLES[name]):
        full["uom"] = full[counted].map(book.uom).fillna(book.units)
    if "month" in full:
        full["year"] = full["month"].dt.year.astype(str)
    return full


def units_of(book: Book, name: str, column: str, rows: pd.DataFrame) -> list[str]:
    """The units that a number has in `rows` of table `name`: one, or several that never add up."""
    declared = TABLES[name][column].unit
    own = "uom" if declared == QUANTITY else "unit" if declared in OF_ROW else ""
    return [book.unit(one) for one in rows[own].unique()] if own in rows and len(rows) else [book.unit(declared)]


def rows_of(book: Book, name: str, where: Mapping[str, Any]) -> pd.DataFrame:
    """The rows of table `name` that `where` names, with their levels; SettingsError where there is none."""
    known(name, TABLES, "there is no table")
    full = with_levels(book, name)
    rows = full[chosen(full, where, f"table {name}")]
    if rows.empty and len(full):
        told = ", ".join(f"{_plain(key)} {_listed(value)}" for key, value in where.items())
        months = f"; its months are {full['month'].min():%Y-%m} to {full['month'].max():%Y-%m}" * ("month" in full)
        raise SettingsError(f"table {name} has no row with {told}{months}")
    return rows


def table(
    book: Book, name: str, columns: Sequence[str], *, by: str | Sequence[str], period: str, where: Mapping[str, Any]
) -> pd.DataFrame:
    """See `Book.table`."""
    out, told, declared = rows_of(book, name, where), f"table {name}", TABLES[name]
    for column in columns:
        known(column, declared.names, f"{told} has no column")
    units = {one.name: units_of(book, name, one.name, out) for one in declared if one.adds is not None}
    if not by and not period:
        out = out[[*dict.fromkeys(columns)] or declared.names].reset_index(drop=True)
    else:
        keys: list[Any] = list(by) if pd.api.types.is_list_like(by) else [by] if by else []
        adding = [column.name for column in declared if column.adds]
        for key in keys:
            known(key, [one for one in out if one not in {*adding, *columns}], f"{told} cannot be added up by")
        if period:
            known(period, PERIODS if "month" in out else ["total"], f"{told} cannot be added up by period")
        if any(declared[one].unit == QUANTITY and len(units[one]) > 1 for one in units if one in (columns or adding)):
            keys.append("uom")  # several units keep a row each
        if "month" in out and period != "total":
            keys.append(period or "month")
        try:
            out = add_up(out, declared, keys, [*dict.fromkeys(columns)])
        except ValueError as error:
            raise SettingsError(error.args[0]) from None
        if set(out) <= {*keys, "total"}:
            raise SettingsError(f"{told} has no column that adds up so: name columns, add to by, or leave both out")
    out.attrs["units"] = {column: ", ".join(units[column]) for column in out if column in units}
    return out


def plot(
    book: Book, name: str, column: str, *, by: str, period: str, where: Mapping[str, Any], look_for: str
) -> Figure:
    """See `Book.plot`."""
    from sopkit import charts

    rows, declared = rows_of(book, name, where), TABLES[name]
    known(column, [one.name for one in declared if one.adds is not None and one.unit], f"table {name} has no number")
    if by and not isinstance(by, str):
        raise SettingsError(f"a figure has one by, not {by!r}: book.table(..., by=[...]) takes several")
    units = units_of(book, name, column, rows)
    if len(units) > 1:
        own = "unit" if declared[column].unit in OF_ROW else "uom"
        why = f"{column} of table {name} is in {', '.join(units)}, and a figure shows one unit"
        raise SettingsError(f"{why}: choose rows of one, such as {own}={rows[own].iloc[0]!r}")
    if by in PERIODS[:-1] and (period or "month") == "month":
        by, period = "", by
    period = period or "month"
    frame = table(book, name, [column], by=by, period=period if "month" in rows or period != "month" else "total",
                  where=where)  # fmt: skip
    about, months = declared[column], rows["month"].dropna() if "month" in rows else rows.iloc[:0]
    words: dict[str, Any] = {
        "title": f"{heading(name)}: {_plain(column)}" + (f" by {_plain(by)}" if by else ""),
        "unit": units[0],
        "look_for": look_for or f"{sentence(about.meaning)}.",
        "who": ", ".join([book.who, *(f"{_plain(key)} {_listed(value)}" for key, value in where.items())]),
        "period": span(months.min(), months.max()) if len(months) else say("cycle {cycle}", book.cycle),
        "better": about.better,
        "source": name,
    }
    first = by or next(iter(frame))
    if "month" in frame:
        figure = charts.line(frame, column, series=by or None, **words)
    elif period in frame and by:
        figure = charts.heat_map(frame, by, period, column, **words)
    elif first in (*PERIODS, "period") or pd.api.types.is_datetime64_any_dtype(frame[first]):
        kind = "actual" if name.endswith("_history") else "plan"
        frame = frame.rename(columns={first: "month"}).assign(scenario=kind)
        figure = charts.columns(frame, column, "scenario", **words)
        figure.frame = figure.frame.rename(columns={"month": first})
    else:
        figure = charts.ranking(frame, first, column, **words)
    if figure.frame.empty:  # what it would show is known all the same
        told = {name: words[name] for name in ("unit", "who", "period", "better")}
        figure = replace(figure, **told, measure=about.meaning, source=(name,), shows=("plan",))
    if not name.startswith(("past_", "last_")):  # a plan is called by its title: figures of two are told apart
        figure.shows = tuple(getattr(book, "title", kind) if kind == "plan" else kind for kind in figure.shows)
    return figure


def _plain(name: str) -> str:
    return name.replace("_", " ")


def _listed(value: Any) -> str:
    return ", ".join(map(str, value)) if pd.api.types.is_list_like(value) else str(value).replace("..", " to ")
