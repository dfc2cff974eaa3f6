"""A draft of the consensus: what a planner types over the demand plan, spread in proportion, before it is stored."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from sopkit import words
from sopkit.book import Book, Plan
from sopkit.demand.consensus import SCOPE, in_scope, spread
from sopkit.workbench.sheet import Cell, Refused, Row

TYPED = re.compile(r"([-+]?)(\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d*\.?\d+)(%?)", re.ASCII)
HOW = "Type 1,250 to set, +50 or -50 to add or take, +10% to scale"
PARTS = {"sales": "sales forecast", "blended": "streams blended"}


@dataclass(frozen=True)
class Entry:
    """One thing typed: line, first and last month (positions), and what an override does: action and amount."""

    line: str
    first: int
    last: int
    action: str
    amount: float


@dataclass(frozen=True)
class Line:
    """One line of the plan: the product x market rows [start, stop) of it, and the words of its override."""

    row: Row
    start: int
    stop: int
    scope: dict[str, str]


def read_typed(text: str) -> tuple[str, float]:
    """What was typed as an override's action and amount; ValueError with a sentence where it is no number."""
    plain = re.sub(r"[\s\u00a0\u202f'’]", "", text).replace("\u2212", "-").replace("\u2013", "-")
    found = TYPED.fullmatch(plain)
    if not found:
        raise ValueError(f"{text!r} is not a number. {HOW}.")
    sign, amount = found[1], float(found[2].replace(",", ""))
    if found[3]:
        if not sign:
            raise ValueError(f"{text!r} leaves open what it is a share of. {HOW}.")
        return "scale", 1 + (amount if sign == "+" else -amount) / 100
    return ("add", amount if sign == "+" else -amount) if sign else ("set", amount)


def product_lines(book: Book, pairs: pd.DataFrame) -> Iterator[Line]:
    """The lines over rows `pairs` (family, product, market, sorted): everything, families, products, markets."""
    names = {table: book.names(table) for table in ("families", "products", "markets")}
    everything = Row("all", "Everything planned", 0, None, True, True)
    yield Line(everything, 0, len(pairs), {})
    for family, one in pairs.groupby("family", sort=False):
        top = Row(f"f:{family}", names["families"].get(family, family), 1, "all", True, False)
        yield Line(top, one.index[0], one.index[-1] + 1, {"family": family})
        for product, rows in one.groupby("product", sort=False):
            label = f"{product} {names['products'].get(product, '')}".strip()
            row = Row(f"p:{product}", label, 2, top.id, len(rows) > 1, False)
            if not row.opens:  # the only market of a product is the product
                row = row._replace(label=f"{label}, {names['markets'].get(rows['market'].iloc[0], '')}")
            yield Line(row, rows.index[0], rows.index[-1] + 1, {"product": product})
            for at, market in rows["market"].items() if row.opens else ():
                below = Row(f"m:{product}:{market}", names["markets"].get(market, market), 3, row.id, False, False)
                yield Line(below, at, at + 1, {"product": product, "market": market})


class TypedOver:
    """Numbers as lines that can be typed over: rows of a matrix, months or other columns beside each other.

    A number typed into a line is spread over the rows below it in proportion to what stands there, by the very rule of
    stored overrides (`demand.consensus.spread`), so that sums are exact; one into the last column of a draft with a
    `total` keeps the shape over the months. Steps can be undone. `base` is never changed; `now` is what stands typed.
    """

    def __init__(self, base: np.ndarray, lines: Iterable[Line], columns: Sequence[str], *, unit: str, total: str):
        """`columns` name those of `base`; `total` the sum of them, empty for none; `unit` is said in sentences."""
        self.base = self.now = base
        self.lines = {line.row.id: line for line in lines}
        self.rows: Sequence[Row] = [line.row for line in self.lines.values()]
        self.unit, self.total, self.width = unit, total, base.shape[1]
        self.columns = [*columns, total] if total else [*columns]
        self.details: Sequence[str] = []
        self._made_of: dict[str, np.ndarray] = {}
        self._steps: list[list[Entry]] = []
        self._undone: list[list[Entry]] = []

    def _sums(self, matrix: np.ndarray, line: Line) -> np.ndarray:
        rows = matrix[line.start : line.stop]
        known = ~np.isnan(rows)
        by_month = np.where(known.any(axis=0), np.nansum(rows, axis=0), np.nan)
        if not self.total:
            return by_month
        return np.append(by_month, np.nansum(by_month) if known.any() else np.nan)

    def cells(self, row: str) -> list[Cell]:
        """The cells of line `row`, or of what it is made of: `row|k`."""
        name, _, detail = row.partition("|")
        line = self.lines[name]
        if detail:
            values = self._sums(self._made_of[self.details[int(detail)]], line)
            return [("" if np.isnan(value) else words.number(value), "locked", "") for value in values]
        was, now = self._sums(self.base, line), self._sums(self.now, line)
        shown = []
        for before, value in zip(was, now, strict=True):
            moved = abs(value - before) > 1e-6 * max(1.0, abs(before))
            note = f"{words.number(value - before, sign=True)} against {words.number(before)}" if moved else ""
            shown.append((words.number(value), "changed" if moved else "", note))
        return shown

    @property
    def steps(self) -> tuple[int, int]:
        """How many steps can be undone and redone."""
        return len(self._steps), len(self._undone)

    @property
    def entries(self) -> list[Entry]:
        """Everything typed and not undone, in its order."""
        return [entry for step in self._steps for entry in step]

    @property
    def sentence(self) -> str:
        """What the draft changes: units and net sales."""
        if not self.entries:
            return f"{HOW}. Sums are spread in proportion."
        count = words.sentence(words.several(len(self.entries), "change"))
        return f"{count}, not stored yet: {', '.join(self._changes())}."

    def _changes(self) -> list[str]:
        """What the draft changes, in words."""
        return [f"{words.number((self.now - self.base).sum(), sign=True)} {self.unit}"]

    # what is typed -----------------------------------------------------------------------------------------------

    def enter(self, typed: Sequence[tuple[str, int, str]]) -> list[Refused]:
        """Take (line, column, text) as one step: all of it, or nothing and why; an empty text takes a change back."""
        step, refused, now = [], [], self.now
        for line, column, text in typed:
            try:
                entry = self._entry(line, column, text, now)
            except ValueError as error:
                refused.append(Refused(line, column, text, str(error)))
                continue
            if entry is not None:
                step.append(entry)
                now = self._applied(now, entry)
        if step and not refused:
            self._steps.append(step)
            self._undone.clear()
            self.now = now
        return refused

    def _entry(self, name: str, column: int, text: str, now: np.ndarray) -> Entry | None:
        line = self.lines.get(name.partition("|")[0])
        if line is None or not 0 <= column < len(self.columns):
            raise ValueError(f"{text!r} lies outside the sheet: paste a block that fits.")
        if "|" in name:
            raise ValueError(f"{text!r} is on a line that is shown, not changed: type into {line.row.label}.")
        value, whole = self._sums(now, line)[column], bool(self.total) and column == self.width
        first, last = (0, self.width - 1) if whole else (column, column)
        if not text.strip():
            before = self._sums(self.base, line)[column]
            return None if np.isclose(before, value) else self._reached(line, (first, last), before, value)
        action, amount = read_typed(text)
        if action == "set" and words.number(amount) == words.number(value) and amount == round(amount):
            return None  # what stands there already, as it is shown
        if action == "scale":
            if amount < 0:
                raise ValueError(f"{text!r} takes more than all of it: -100% is the most.")
            return Entry(name, first, last, action, amount)
        wanted = amount if action == "set" else value + amount
        if wanted < 0:
            raise ValueError(f"{text!r} takes more than the {words.number(value)} {self.unit} that are there.")
        return self._reached(line, (first, last), wanted, value) if whole else Entry(name, first, last, action, amount)

    def _reached(self, line: Line, months: tuple[int, int], wanted: float, value: float) -> Entry:
        """The entry that brings a line to `wanted` over `months`, in proportion to what stands there."""
        first, last = months
        if first == last:
            return Entry(line.row.id, first, last, "set", float(wanted))
        if value > 0:
            return Entry(line.row.id, first, last, "scale", float(wanted / value))
        return Entry(line.row.id, first, last, "set", float(wanted / (last - first + 1)))

    def _applied(self, now: np.ndarray, entry: Entry) -> np.ndarray:
        line, after = self.lines[entry.line], now.copy()
        cells = slice(line.start, line.stop), slice(entry.first, entry.last + 1)
        after[cells] = spread(after[cells], entry.action, entry.amount)
        return after

    def undo(self) -> None:
        """Take the last step back."""
        if self._steps:
            self._undone.append(self._steps.pop())
            self._again()

    def redo(self) -> None:
        """Take the step that was taken back again."""
        if self._undone:
            self._steps.append(self._undone.pop())
            self._again()

    def _again(self) -> None:
        self.now = self.base
        for entry in self.entries:
            self.now = self._applied(self.now, entry)


class Draft(TypedOver):
    """The consensus of `plan` as lines that can be typed over; `plan` itself is never changed.

    Lines: everything, families, products, product in market. Columns: the planned months, then all of them together.
    `overrides` are the fields of the records that would store the draft.
    """

    def __init__(self, plan: Plan) -> None:
        book = plan.with_levels(plan["demand_plan"])
        self.plan, self.months = plan, sorted(book["month"].unique())
        frame = book.sort_values(["family", "product", "market", "month"], kind="stable")
        self.pairs = frame.drop_duplicates(["product", "market"]).reset_index(drop=True)
        self.price = self._matrix(frame, "price")
        total = words.span(self.months[0], self.months[-1]) if self.months else ""
        base, names = self._matrix(frame, "consensus"), [words.month_name(month) for month in self.months]
        super().__init__(base, product_lines(plan, self.pairs), names, unit=plan.units, total=total)
        self._made_of = self._parts(frame)
        self.details = list(self._made_of)

    def _matrix(self, frame: pd.DataFrame, column: str) -> np.ndarray:
        return frame[column].to_numpy(float).reshape(len(self.pairs), len(self.months))

    def _parts(self, frame: pd.DataFrame) -> dict[str, np.ndarray]:
        """What stands behind a line, label -> matrix: last year, the baseline and every layer that is not empty."""
        sold = self.plan["clean_history"].assign(month=lambda rows: rows["month"] + pd.DateOffset(years=1))
        last = frame[["product", "market", "month"]].merge(sold, on=["product", "market", "month"], how="left")
        parts = {"same month last year": self._matrix(last, "quantity")}
        for column in ("baseline", "lifecycle", "market_conditions", "campaigns", "pipeline", "sales", "blended"):
            parts[PARTS.get(column, words.heading(column).lower())] = self._matrix(frame, column)
        parts["overrides stored"] = self._matrix(frame, "override")
        return {label: part for label, part in parts.items() if np.nansum(np.abs(part))}

    def _changes(self) -> list[str]:
        money = ((self.now - self.base) * self.price).sum()
        return [*super()._changes(), f"{words.amount(money, self.plan.currency, sign=True)} of net sales"]

    # what is stored ----------------------------------------------------------------------------------------------

    @property
    def overrides(self) -> list[dict[str, Any]]:
        """The draft as fields of records `overrides`, in the order in which they apply."""
        return [self._override(entry) for entry in self.entries]

    def _override(self, entry: Entry) -> dict[str, Any]:
        scope = self.lines[entry.line].scope
        months = {"first_month": self.months[entry.first], "last_month": self.months[entry.last]}
        level = next((level for level in SCOPE if level in scope), "total")
        where = {name: scope.get(name, "") for name in SCOPE}
        return {"level": level, **where, **months, "action": entry.action, "amount": entry.amount}

    def overlapping(self, others: pd.DataFrame) -> list[str]:
        """What overrides `others` say about cells that the draft changes too: a sentence each, both values in it."""
        found = []
        for other in others.itertuples():
            rows = in_scope(self.pairs, other)
            months = np.array([other.first_month <= month <= other.last_month for month in self.months])
            for entry in self.entries:
                line = self.lines[entry.line]
                if rows[line.start : line.stop].any() and months[entry.first : entry.last + 1].any():
                    when = words.span(other.first_month, other.last_month)
                    theirs = f"stored {other.action} {other.amount:,g} meanwhile ({when}: {other.reason})"
                    when = words.span(self.months[entry.first], self.months[entry.last])
                    ours = f"you typed {entry.action} {entry.amount:,g} into {line.row.label}, {when}"
                    found.append(f"{other.author} {theirs}; {ours}.")
        return list(dict.fromkeys(found))
