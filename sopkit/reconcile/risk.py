"""The risk of every option: its plan solved again in sampled futures; what matters most; what service costs.

Decided months stay as planned, later ones are planned again for what happens in that future: so the figures are those
of a company that sees each future in time, after its decided months. Every future is solved warm from the option's own
plan, and its measures are read off the solution; the worst one is planned once more from its tables, written, re-derived
and measured like any plan, and must give the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import csr_array, vstack

from sopkit import supply
from sopkit.book import Book, Plan
from sopkit.book.scenarios import BASE
from sopkit.engine import Engine, Progress
from sopkit.errors import SopkitError
from sopkit.reconcile import compare, finance, futures
from sopkit.reconcile.futures import Futures, Given
from sopkit.supply.matrix import Matrix
from sopkit.supply.model import CASH, POLICY
from sopkit.supply.network import Network
from sopkit.supply.resolve import Session
from sopkit.tables import TABLES
from sopkit.words import listed

MEASURES = {
    "result": "currency",
    "result after penalties": "currency",
    "fill rate": "share",
    "mean stock value": "currency",
    "lowest cash": "currency",
}
"""What is measured in each future, and its unit; of the stock value the worst is the highest, else the lowest."""

CHUNK = 25  # futures in one part of the work
SECONDS = 0.08  # about what one future of a small company takes
WORST = 0.05  # share of the futures that are called the worst
FACTORS = (0.0, 0.05, 0.1, 0.2, 0.35, 0.5, 1.0, 2.0, 5.0, 20.0)  # of today's prices of unmet demand
_NEEDED = {*supply.READS, "demand_plan", "supply_plan", "option_costs", "balance_sheet", "stock", "deliveries"}


class Gauge:
    """Measures of a solved supply model read off its solution: no table is written."""

    def __init__(self, book: Book, read: Matrix, network: Network) -> None:
        self.book, self.months = book, network.time.months
        at = {month: place for place, month in enumerate(self.months)}

        def by_month(names: Mapping[str, float]) -> tuple[csr_array, np.ndarray]:
            """Named expressions times a factor, added up by month: as a matrix of the decisions, and constants."""
            total, rest = csr_array((len(at), read.shape[1])), np.zeros(len(at))
            for name, factor in names.items():
                if name in read.expressions:
                    labels, entries, constant = read.expressions[name]
                    place = np.array([at[key[-1]] for key in labels.keys], dtype=int)
                    adds = csr_array((np.full(len(place), factor), (place, np.arange(len(place)))), (len(at), len(place)))
                    total, rest = total + adds @ entries, rest + adds @ constant
            return csr_array(total), rest

        def weighted(name: str, weight: Mapping[Any, float], label: Callable[[tuple], Any]) -> tuple[csr_array, np.ndarray]:
            """Decision `name` times a weight by month; what has no month of the plan is left out."""
            names = read.columns[name]
            rows = [(at[key[-1]], names.start + n, weight[label(key)]) for n, key in enumerate(names.keys) if key[-1] in at]
            place, column, value = map(list, zip(*rows, strict=True)) if rows else ([], [], [])
            return csr_array((value, (place, column)), (len(at), read.shape[1])), np.zeros(len(at))

        policy = dict.fromkeys(set(POLICY) - {"changing_the_plan"}, 1.0)
        parts = {
            "paid": by_month({"revenue": 1.0} | dict.fromkeys(CASH, -1.0)),
            "sales": by_month({"revenue": 1.0}),
            "penalties": by_month(policy),
            "stock": weighted("hold", network.stock.standard_cost, lambda key: key[0]),
            "bought": weighted("buy", network.buying.price, lambda key: key[:3]),
        }
        self.names = list(parts)
        self.matrix = csr_array(vstack([matrix for matrix, _ in parts.values()]))
        self.constant = np.concatenate([rest for _, rest in parts.values()])
        self.late, self.lost = read.columns["wait"], read.columns["lose"]
        self.in_month = np.array([key[-1] in at for key in self.late.keys])
        self.asked = read.rows["demand_balance"].where
        self.opening = sum(units * network.stock.standard_cost[item] for (item, _), units in network.stock.opening.items())
        costs = book["option_costs"].groupby("month")["amount"].sum()
        self.options = costs.reindex(book.months).fillna(0.0).to_numpy()
        self.capital = finance.opening_capital(book)

    def __call__(self, read: Matrix, values: np.ndarray) -> np.ndarray:
        """The values of MEASURES, in their order."""
        flow = dict(zip(self.names, np.split(self.matrix @ values + self.constant, len(self.names)), strict=True))
        stock = flow["stock"]
        result = flow["paid"] + np.diff(stock, prepend=self.opening) - self.options
        owed, owing, other = finance.outstanding(self.book["balance_sheet"], flow["sales"], flow["bought"])
        capital = stock + owed - owing + other
        cash = np.cumsum(result - np.diff(capital, prepend=self.capital))
        demand = read.row_lower[self.asked]
        on_time = np.maximum(demand - values[self.lost.where] - values[self.late.where][self.in_month], 0.0)
        filled = float(on_time.sum() / demand.sum()) if demand.sum() else 1.0
        after = result.sum() - flow["penalties"].sum()
        return np.array([result.sum(), after, filled, stock.mean(), cash.min()])


class Lived:
    """A plan whose first months are decided, kept in the solver, to be lived through in futures."""

    def __init__(self, plan: Book) -> None:
        self.book = futures.decided(plan)
        self.given, self.session = Given(self.book), Session(self.book)
        self.read = self.session.parts.matrix
        self.gauge = Gauge(self.book, self.read, self.session.base.network)
        self.place = {
            name: {key: self.read.rows[name].start + at for at, key in enumerate(self.read.rows[name].keys)}
            for name in ("demand_balance", "supplier_capacity", "orders_as_planned", "stock_balance")
            if name in self.read.rows
        }
        self.by_bounds: bool | None = None

    def matrix(self, future: futures.Altered) -> Matrix:
        """The supply model in a future: only limits of its rows are others."""
        low, high = self.read.row_lower.copy(), self.read.row_upper.copy()
        for name, values in (
            ("demand_balance", future.demand),
            ("supplier_capacity", future.capacity),
            ("orders_as_planned", future.ordered),
            ("stock_balance", future.receipts),
        ):
            known = self.place.get(name, {})
            where = [known[key] for key in values if key in known]
            high[where] = [value for key, value in values.items() if key in known]
            if name != "supplier_capacity":
                low[where] = high[where]
        return replace(self.read, row_lower=low, row_upper=high)

    def measured(self, many: Futures) -> np.ndarray:
        """The measures in each of `many` futures: future x measure."""
        found = []
        for number in range(len(many)):
            future = self.given.altered(many, number)
            if self.by_bounds is None:  # lots, ages and fair shares may put demand elsewhere too
                changed = self.session.resolve(self.given.tables(future))
                quick = self.matrix(future)
                self.by_bounds = self.session.how != "anew" and quick.equals(changed.matrix)
            if self.by_bounds:
                read = self.matrix(future)
                found.append(self.gauge(read, self.session.parts.changed(read).values))
            else:
                changed = self.session.resolve(self.given.tables(future))
                gauge = Gauge(self.book, changed.matrix, changed.network)
                found.append(gauge(changed.matrix, changed.values))
        return np.array(found)

    def prove(self, many: Futures, number: int, values: np.ndarray) -> None:
        """Plan one future from its tables, written and re-derived; SopkitError where it measures otherwise."""
        tables = self.given.tables(self.given.altered(many, number))
        plan = Plan(self.book.tables, self.book.company, self.book.cycle).with_tables(tables)
        plan = plan.with_tables(self.session.plan(tables))
        told = compare.outcome(plan, finance.pnl(plan), BASE)
        costs = plan["supply_costs"]
        steered = costs.loc[costs["cost"] == "changing_the_plan", "amount"].sum()
        again = [told["result"], told["result"] - told["penalties"] + steered, told["fill_rate"], told["cash_low"]]
        if np.abs(values[[0, 1, 2, 4]] - np.array(again, dtype=float)).max() > compare.CENT:
            raise SopkitError(
                f"A sampled future measures {listed([f'{value:,.2f}' for value in again], 9)} in its tables and "
                f"{listed([f'{value:,.2f}' for value in values[[0, 1, 2, 4]]], 9)} in the solution. This is an error "
                "of sopkit: please report it with the cycle's tables folder."
            )


@lru_cache(maxsize=2)
def _lived(plan: Book) -> Lived:
    return Lived(plan)


def _measured(task: tuple[Book, Futures]) -> np.ndarray:
    plan, many = task
    return _lived(plan).measured(many)
