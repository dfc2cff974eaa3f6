"""Asking a book: rows chosen, added up as each column declares, drawn with the title and unit of its declaration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Any

import pandas as pd

from sopkit.errors import SettingsError, nearest
from sopkit.tables import Table
from sopkit.tables import table as declaration
from sopkit.tables.hierarchy import add_up
from sopkit.words import heading, sentence

if TYPE_CHECKING:
    from sopkit.book.book import Book
    from sopkit.charts import Figure

MATERIALS = "materials"  # what stands for the family of items that are no products
PERIODS = ("month", "quarter", "fiscal_year", "year", "total")


def chosen(frame: pd.DataFrame, where: Mapping[str, Any], what: str) -> pd.Series:
    """Which rows of `frame` have the values `where` names: one, a list of them, or months as `2027-01..2027-06`.

    Raises SettingsError for an unknown column or value, with the nearest that exist; `what` names the frame in it.
    """
    mask = pd.Series(True, index=frame.index)
    for name, wanted in where.items():
        if name not in frame:
            raise SettingsError(f"{what} has no column {name!r}: {nearest(name, map(str, frame.columns))}")
        values = wanted if isinstance(wanted, list | tuple | set) else [wanted]
        if pd.api.types.is_datetime64_any_dtype(frame[name]):
            spans = [str(value).partition("..")[::2] for value in values]
            within = (frame[name].between(pd.Timestamp(first), pd.Timestamp(last or first)) for first, last in spans)
            mask &= reduce(or_, within)
            continue
        unknown = [value for value in values if not frame[name].eq(value).any()]
        if unknown and len(frame):
            known = frame[name].drop_duplicates().astype(str)
            raise SettingsError(f"{what} has no {name} {unknown[0]!r}: {nearest(str(unknown[0]), known)}")
        mask &= frame[name].isin(list(values))
    return mask


def with_levels(book: Book, name: str) -> pd.DataFrame:
    """Table `name` with a column for each level above those it has; items have the family of their product."""
    return book.once(("levels", name), lambda: _levels(book, name))


def _levels(book: Book, name: str) -> pd.DataFrame:
    full = book.with_levels(book[name])
    if "item" in full and "family" not in full:
        full["family"] = book.families(full["item"]).fillna(MATERIALS)
    if "month" in full:
        full["year"] = full["month"].dt.year.astype(str)
    return full


def table(
    book: Book, name: str, columns: Sequence[str], *, by: str | Sequence[str], period: str, where: Mapping[str, Any]
) -> pd.DataFrame:
    """See `Book.table`."""
    declared, full = _declared(name), with_levels(book, name)
    full = full[chosen(full, where, f"table {name}")]
    if not by and not period:
        return full[list(columns) if columns else declared.names].reset_index(drop=True)
    if period and period not in PERIODS:
        raise SettingsError(f"there is no period {period!r}: {nearest(period, PERIODS)}")
    keys = [by] if isinstance(by, str) and by else list(by)
    if "month" in full:
        keys += [period or "month"] if period != "total" else []
    for key in keys:
        if key not in full:
            raise SettingsError(f"table {name} cannot be added up by {key!r}: {nearest(key, map(str, full.columns))}")
    out = add_up(full, declared, keys, columns)
    numbers = [column for column in out if column in declared.names and declared[column].adds is not None]
    out.attrs["units"] = {column: book.unit(declared[column].unit) for column in numbers}
    return out


def plot(
    book: Book, name: str, column: str, *, by: str, period: str, where: Mapping[str, Any], look_for: str
) -> Figure:
    """See `Book.plot`."""
    from sopkit import charts

    declared = _declared(name)
    frame = table(book, name, [column], by=by, period=period, where=where)
    about, unit = declared[column], book.unit(declared[column].unit)
    title = f"{heading(name)}: {_plain(column)}" + (f" by {_plain(by)}" if by else "")
    seen = "; ".join([about.meaning, *(f"{_plain(key)} {_listed(value)}" for key, value in where.items())])
    words: dict[str, Any] = {"title": title, "unit": unit, "look_for": look_for or f"{sentence(seen)}."}
    if "month" in frame:
        return charts.line(frame, column, series=by or None, **words)
    if period in frame and by:
        return charts.heat_map(frame, by, period, column, **words)
    return charts.ranking(frame, by or next(iter(frame)), column, **words)


def _plain(name: str) -> str:
    return name.replace("_", " ")


def _listed(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple | set) else str(value).replace("..", " to ")


def _declared(name: str) -> Table:
    try:
        return declaration(name)
    except KeyError as error:
        raise SettingsError(error.args[0]) from None
