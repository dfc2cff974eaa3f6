"""Asking a book: rows chosen, added up as each column declares, drawn with the title and unit of its declaration."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from sopkit.errors import SettingsError, nearest
from sopkit.tables import TABLES, Table
from sopkit.tables.declare import QUANTITY
from sopkit.tables.hierarchy import add_up
from sopkit.words import heading, say, sentence, span

if TYPE_CHECKING:
    from sopkit.book.book import Book
    from sopkit.charts import Figure

MATERIALS = "materials"  # what stands for the family of items that are no products
PERIODS = ("month", "quarter", "fiscal_year", "year", "total")
COUNTED = (
    "component",
    "item",
    "product",
)  # quantities of a row, in column `uom`, are in the unit of the first it names
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
            try:
                spans = [span_of(value, name) for value in values]
            except ValueError as error:
                raise SettingsError(f"{what}: {error}") from None
            within = [frame[name].between(first, last) for first, last in spans]
            mask &= pd.concat(within, axis=1).any(axis=1)
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


def span_of(value: Any, name: str) -> tuple[pd.Timestamp, pd.Timestamp]:
    """The first and last day of `2027-01`, `2027-01..2027-06`, a year or a date; ValueError in words for any else."""
    first, dots, last = str(value).partition("..")
    try:
        return pd.Period(first).start_time, pd.Period(last if dots else first).end_time
    except (ValueError, AttributeError):
        raise ValueError(f"{name} {str(value)!r} is no month: write 2027-03, or 2027-01..2027-06") from None


def with_levels(book: Book, name: str) -> pd.DataFrame:
    """Table `name` with a column for each level above those it has; items have the family of their product."""
    if name in book.levelled:
        return book.levelled[name]
    full = book.with_levels(book[name])
    if "item" in full and "family" not in full:
        full["family"] = book.families(full["item"]).fillna(MATERIALS)
    counted = next((one for one in COUNTED if one in full), "")
    if counted and any(column.unit == QUANTITY for column in TABLES[name]):
        full["uom"] = full[counted].map(book.uom).fillna(book.units)
    if "month" in full:
        full["year"] = full["month"].dt.year.astype(str)
    book.levelled[name] = full
    return full


def units_of(book: Book, name: str, column: str, rows: pd.DataFrame) -> list[str]:
    """The units that a number has in `rows` of table `name`: one, or several that never add up."""
    declared = TABLES[name][column].unit
    own = "uom" if declared == QUANTITY else "unit" if declared in OF_ROW else ""
    return [book.unit(one) for one in rows[own].unique()] if own in rows and len(rows) else [book.unit(declared)]


def _rows(book: Book, name: str, where: Mapping[str, Any]) -> pd.DataFrame:
    """The rows of table `name` that `where` names; SettingsError where there is none."""
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
    rows, declared = _rows(book, name, where), TABLES[name]
    for column in columns:
        known(column, declared.names, f"table {name} has no column")
    names = list(dict.fromkeys(columns)) or declared.names
    if by or period:
        out = _added(book, declared, rows, columns=names if columns else [], by=by, period=period)
    else:
        out = rows[names].reset_index(drop=True)
    numbers = [column for column in out if column in declared.names and declared[column].adds is not None]
    out.attrs["units"] = {column: ", ".join(units_of(book, name, column, rows)) for column in numbers}
    return out


def _added(
    book: Book, declared: Table, rows: pd.DataFrame, *, columns: Sequence[str], by: str | Sequence[str], period: str
) -> pd.DataFrame:
    """`rows` added up; quantities of several units of measure keep a row each, by column `uom`."""
    told, monthly = f"table {declared.name}", "month" in rows
    if period:
        known(period, PERIODS if monthly else ["total"], f"{told} cannot be added up by period")
    keys: list[Any] = list(by) if pd.api.types.is_list_like(by) else [by] if by else []
    adding = [column.name for column in declared if column.adds]
    for key in keys:
        known(key, [name for name in rows if name not in {*adding, *columns}], f"{told} cannot be added up by")
    counts = [name for name in columns or adding if declared[name].unit == QUANTITY]
    if any(len(units_of(book, declared.name, name, rows)) > 1 for name in counts):
        keys.append("uom")
    if monthly and period != "total":
        keys.append(period or "month")
    try:
        out = add_up(rows, declared, keys, columns)
    except ValueError as error:
        raise SettingsError(error.args[0]) from None
    if set(out) <= {*keys, "total"}:
        raise SettingsError(
            f"{told} has no column that adds up so: name columns, add to by, or leave by and period out"
        )
    return out


def plot(
    book: Book, name: str, column: str, *, by: str, period: str, where: Mapping[str, Any], look_for: str
) -> Figure:
    """See `Book.plot`."""
    from sopkit import charts

    rows, declared = _rows(book, name, where), TABLES[name]
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
        known_ = {name: words[name] for name in ("unit", "who", "period", "better")}
        figure = replace(figure, **known_, measure=about.meaning, source=(name,), shows=("plan",))
    if not name.startswith(("past_", "last_")):  # a plan is called by its title: figures of two are told apart
        figure.shows = tuple(getattr(book, "title", kind) if kind == "plan" else kind for kind in figure.shows)
    return figure


def _plain(name: str) -> str:
    return name.replace("_", " ")


def _listed(value: Any) -> str:
    return ", ".join(map(str, value)) if pd.api.types.is_list_like(value) else str(value).replace("..", " to ")
