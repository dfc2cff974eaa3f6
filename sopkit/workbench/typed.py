"""A company's own table as a sheet: capacity, safety stock, history. What is typed becomes changes, never its file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from sopkit import words
from sopkit.book import Book, Change
from sopkit.tables import TABLES
from sopkit.workbench.draft import Line, TypedOver, product_lines
from sopkit.workbench.sheet import Cell, Row

PAST = 24  # months of history that can be typed over


class Typed(NamedTuple):
    """A column of a table that can be typed over: its words, table, column, and the tables that name its codes."""

    words: str
    table: str
    column: str
    named: tuple[str, ...]


SUPPLIED = ("suppliers", "products", "materials")
SHEETS = {
    "hours": Typed("hours of machines", "capacity", "hours", ("resources",)),
    "overtime": Typed("overtime limits", "capacity", "overtime_limit", ("resources",)),
    "supplier": Typed("capacity of suppliers by month", "supplier_capacity", "capacity", SUPPLIED),
    "safety_stock": Typed("safety stock", "policies", "safety_stock", ("sites", "products", "materials")),
}


class TableDraft(TypedOver):
    """A column of an input table by its key: a line a code, under its first code where the key has several.

    `change` is what a scenario would write: the rows that differ, whole. A cell of a row that is not there is locked.
    """

    def __init__(self, book: Book, typed: Typed) -> None:
        self.typed, declared, frame = typed, TABLES[typed.table], book[typed.table]
        self.by = [name for name in declared.key if name != "month"]
        self.months = list(book.months) if "month" in declared.key else []
        frame = frame[frame["month"].isin(self.months)] if self.months else frame
        self.frame = frame[frame[typed.column].notna()].sort_values(self.by, kind="stable", ignore_index=True)
        pairs = self.frame[self.by].drop_duplicates(ignore_index=True)
        self.place = pairs.reset_index().merge(self.frame, on=self.by)["index"].to_numpy()
        known = pd.Index(self.months).get_indexer(self.frame["month"]) if self.months else np.zeros(len(frame), int)
        self.at = known if self.months else np.zeros(len(self.frame), int)
        base = np.zeros((len(pairs), len(self.months) or 1))
        self.there = np.zeros(base.shape, bool)
        base[self.place, self.at] = self.frame[typed.column]
        self.there[self.place, self.at] = True
        columns = [words.month_name(month) for month in self.months] or [words.heading(typed.column)]
        unit = book.unit(declared[typed.column].unit)
        super().__init__(base, self._lines(book, pairs), columns, unit=unit, total="")

    def _lines(self, book: Book, pairs: pd.DataFrame) -> Iterator[Line]:
        names = {code: name for table in self.typed.named for code, name in book.names(table).items()}

        def named(*codes: str) -> str:
            return " · ".join(f"{code} {names.get(code, '')}".strip() for code in codes)

        for first, rows in pairs.groupby(self.by[0], sort=False):
            start, several = rows.index[0], len(self.by) > 1 and len(rows) > 1
            codes = [first] if several else list(rows.iloc[0])
            top = Row(f"t:{first}", named(*codes), 0, None, several, True)
            yield Line(top, start, rows.index[-1] + 1, {})
            for at, row in rows.iterrows() if several else ():
                yield Line(Row(f"r:{at}", named(*row.iloc[1:]), 1, top.id, False, False), at, at + 1, {})

    def cells(self, row: str) -> list[Cell]:
        """As of every sheet; where the table has no row, nothing stands and nothing can be typed."""
        line = self.lines[row.partition("|")[0]]
        there = np.any(self.there[line.start : line.stop], axis=0).tolist()
        cells = super().cells(row)
        return [cell if here else ("", "locked", "") for cell, here in zip(cells, there, strict=True)]

    def _entry(self, name: str, column: int, text: str, now: np.ndarray) -> Any:
        line = self.lines.get(name.partition("|")[0])
        if line is not None and 0 <= column < self.width:
            if not self.there[line.start : line.stop, column].any():
                raise ValueError(f"{text!r}: table {self.typed.table} has no row here; bring it into the table first.")
        return super()._entry(name, column, text, now)

    @property
    def change(self) -> Change | None:
        """The rows typed over as a change of a scenario; None where nothing differs."""
        values = self.now[self.place, self.at].round(6)
        moved = values != self.frame[self.typed.column].to_numpy(float)
        if not moved.any():
            return None
        rows = self.frame.assign(**{self.typed.column: values})[moved]
        if self.months:
            rows = rows.assign(month=rows["month"].dt.strftime("%Y-%m"))
        rows = rows.astype(object).where(rows.notna(), None)
        cells = [{name: value for name, value in row.items() if value is not None} for row in rows.to_dict("records")]
        return Change(table=self.typed.table, rows=cells)

    @property
    def what(self) -> str:
        """What was typed over, for the list of changes."""
        cells = int((self.now != self.base)[self.there].sum())
        return f"{self.typed.words} typed over: {words.several(cells, 'cell')}, {self._changes()[0]}"


class HistoryDraft(TypedOver):
    """The newest months of history as it counts, by product and market; `answers` are the cells typed over.

    Beside each line: what was sold. Typing is answering: the month counts what is typed, with a reason and an owner.
    """

    def __init__(self, book: Book) -> None:
        frame = book.with_levels(book["clean_history"])
        self.months = sorted(frame["month"].unique())[-PAST:]
        keys = ["family", "product", "market"]
        frame = frame[frame["month"].isin(self.months)]
        wide = frame.pivot_table(index=keys, columns="month", values=["quantity", "raw"], aggfunc="sum", fill_value=0.0)
        self.pairs = wide.index.to_frame(index=False)
        there = {name: wide[name].reindex(columns=self.months, fill_value=0.0) for name in ("quantity", "raw")}
        base, raw = (rows.to_numpy(float) for rows in there.values())
        names, total = [words.month_name(month) for month in self.months], words.span(self.months[0], self.months[-1])
        super().__init__(base, product_lines(book, self.pairs), names, unit=book.units, total=total)
        self._made_of, self.details = {"as sold": raw}, ["as sold"]

    @property
    def answers(self) -> list[dict[str, Any]]:
        """The cells typed over as fields of records `history_answers`."""
        moved = np.argwhere(~np.isclose(self.now, self.base))
        where = self.pairs[["product", "market"]].to_dict("records")
        counts = self.now.round(6).tolist()
        return [
            where[row] | {"month": self.months[at], "answer": "changed", "quantity": counts[row][at]}
            for row, at in moved
        ]
