"""The shapes that demand is computed in: product x market pairs by months, and what is noted on the way."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from sopkit.errors import SettingsError
from sopkit.tables import BY_NAME
from sopkit.words import say

if TYPE_CHECKING:
    from sopkit.book import Book

PAIR = ["product", "market"]
CELL = [*PAIR, "month"]
STEP_NAMES = [step.name for step in BY_NAME["demand"].steps]
NOTED = ["step", "topic", "subject", "sentence", "money"]


@dataclass(frozen=True)
class Grid:
    """Product x market pairs (rows) by months (columns): the shape in which layers are computed.

    `pairs` holds product, market, family and price, sorted by product and market.
    """

    pairs: pd.DataFrame
    months: pd.DatetimeIndex

    @cached_property
    def row(self) -> dict[tuple[str, str], int]:
        """The row of a product and market."""
        return {pair: i for i, pair in enumerate(zip(self.pairs["product"], self.pairs["market"], strict=True))}

    @cached_property
    def rows_of(self) -> dict[str, np.ndarray]:
        """The rows of a product."""
        return dict(self.pairs.groupby("product", sort=False).indices)

    def zeros(self) -> np.ndarray:
        """Nothing, everywhere."""
        return np.zeros((len(self.pairs), len(self.months)))

    def matrix(self, frame: pd.DataFrame, value: str = "quantity", empty: float = 0.0) -> np.ndarray:
        """`value` of `frame` (product, market, month) summed into the grid; `empty` where it has no row."""
        rows, columns = self.at(frame), self.months.get_indexer(pd.DatetimeIndex(frame["month"]))
        inside = (rows >= 0) & (columns >= 0)
        out, seen = self.zeros(), np.zeros((len(self.pairs), len(self.months)), bool)
        np.add.at(out, (rows[inside], columns[inside]), frame[value].to_numpy(float)[inside])
        seen[rows[inside], columns[inside]] = True
        return np.where(seen, out, empty)

    @cached_property
    def _index(self) -> pd.MultiIndex:
        return pd.MultiIndex.from_frame(self.pairs[PAIR])

    def at(self, frame: pd.DataFrame) -> np.ndarray:
        """The row of each product and market of `frame`; -1 where the grid has none."""
        return self._index.get_indexer(pd.MultiIndex.from_frame(frame[PAIR]))

    def long(self, **matrices: np.ndarray) -> pd.DataFrame:
        """One row a pair and month, the pairs' columns first, then one column a matrix."""
        out = self.pairs.loc[self.pairs.index.repeat(len(self.months))].reset_index(drop=True)
        out["month"] = np.tile(self.months, len(self.pairs))
        return out.assign(**{name: values.ravel() for name, values in matrices.items()})

    def money(self, units: np.ndarray, rows: np.ndarray) -> float:
        """The money of `units` (some rows x months) at the net prices of `rows`."""
        return float((units.sum(axis=1) * self.pairs["price"].to_numpy()[rows]).sum())


@dataclass(frozen=True)
class Past(Grid):
    """Every pair that was ever sold by the months before the cycle; `sold` holds the units, 0 before the first sale."""

    sold: np.ndarray

    def naive(self, frame: pd.DataFrame, lag: np.ndarray, known: pd.DatetimeIndex) -> np.ndarray:
        """For each row of `frame`: its month of the last year known at `known`, `lag` months before; 0 without one."""
        rows, at = self.at(frame), self.months.searchsorted(known) - 12 + lag % 12
        there = (rows >= 0) & (at >= 0)
        if not there.any():
            return np.zeros(len(frame))
        return np.where(there, self.sold[rows, np.clip(at, 0, self.sold.shape[1] - 1)], 0.0)


def make_grid(pairs: pd.DataFrame, months: pd.DatetimeIndex, book: Book) -> Grid:
    """The grid of `pairs` (product, market; any order, repeated or not) over `months`."""
    pairs = pairs[PAIR].drop_duplicates().sort_values(PAIR, ignore_index=True)
    return Grid(pairs.assign(family=book.families(pairs["product"]), price=book.net_prices(pairs)), months)


def past_grid(book: Book) -> Past:
    """Every pair that was ever sold, the months up to the cycle, and the units sold; none where there is no history.

    SettingsError where there is one, but no month of it lies before the cycle.
    """
    history = book["clean_history"]
    nothing = history.empty
    history = history[history["month"] < book.first]
    if nothing:  # a company that begins: sales, the CRM, launches and overrides are all there is to plan from
        one = pd.DatetimeIndex([book.first - pd.DateOffset(months=1)])
        past = make_grid(history, one, book)
        return Past(past.pairs, past.months, past.zeros())
    if history.empty:
        raise SettingsError(
            f"clean_history holds no month before {book.first:%Y-%m}: there is nothing to forecast from. "
            "Check sales_history, or the cycle's name."
        )
    months = pd.date_range(history["month"].min(), book.first - pd.DateOffset(months=1), freq="MS")
    past = make_grid(history, months, book)
    return Past(past.pairs, months, past.matrix(history))


def beside_sales(rows: pd.DataFrame, book: Book) -> pd.DataFrame:
    """`rows` (product, market, month) with column `actual`: the units sold, as they came; 0 where none were."""
    actual = book["clean_history"][[*CELL, "raw"]].rename(columns={"raw": "actual"})
    return rows.merge(actual, on=CELL, how="left").fillna({"actual": 0.0})


class Notes:
    """What a step of the stage found or assumed, in words, as rows of `demand_notes`."""

    def __init__(self, step: str) -> None:
        self.step = step
        self.rows: list[tuple[str, str, str, str, float]] = []

    def say(self, topic: str, subject: str, text: str, *parts: object, money: float = np.nan) -> None:
        """Remember one sentence: `text` with `parts`, as `words.say` says it."""
        self.rows.append((self.step, topic, subject, say(text, *parts), money))

    def beside(self, others: pd.DataFrame) -> pd.DataFrame:
        """These rows among those of other steps in `others` (a `demand_notes` table), in order of step, numbered."""
        mine = pd.DataFrame(self.rows, columns=NOTED).astype({"money": float})
        others = others.loc[others["step"] != self.step].sort_values("number")[NOTED]
        frame = pd.concat([others, mine], ignore_index=True) if len(others) else mine
        frame = frame.sort_values("step", key=lambda names: names.map(STEP_NAMES.index), kind="stable")
        return frame.assign(number=np.arange(1, len(frame) + 1)).reset_index(drop=True)
