"""The risk of every option: its plan solved again in sampled futures; what matters most; what service costs.

Decided months stay as planned, later ones are planned again for what happens in that future: so the figures are those
of a company that sees each future in time, after its decided months. Every future is solved warm from the option's own
plan, and its measures are read off the solution; the worst one is planned once more from its tables, written, re-derived
and measured like any plan, and must give the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
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
        """The values of MEASURES, in their order, and net sales less the result: what the year's supply costs."""
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
        return np.array([result.sum(), after, filled, stock.mean(), cash.min(), flow["sales"].sum() - result.sum()])


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


_LAST: list[tuple[Book, Lived]] = []  # the plan that this process lived through last: parts of one plan follow


def _lived(plan: Book) -> Lived:
    if not _LAST or _LAST[0][0] is not plan:
        _LAST[:] = [(plan, Lived(plan))]
    return _LAST[0][1]


def _measured(task: tuple[Book, Futures]) -> tuple[np.ndarray, np.ndarray]:
    """Measures of a plan as it is and in some futures; runs wherever the engine puts it."""
    plan, many = task
    lived = _lived(plan)
    return lived.gauge(lived.read, lived.session.base.values), lived.measured(many)


def _proved(task: tuple[Book, Futures, np.ndarray]) -> None:
    plan, one, values = task
    _lived(plan).prove(one, 0, values)


def tables(
    book: Book, samples: int, *, engine: Engine | str | None = None, progress: Progress | None = None
) -> dict[str, pd.DataFrame]:
    """Tables risk, tornado and frontier of a planned book: the plan and each open option in `samples` futures.

    `progress(done, all)` is called after each part of the work; what it raises ends the work. Raises SettingsError
    where an option changes no row, SopkitError where the worst future of an option measures otherwise in its tables.
    """
    base = Plan(book.tables, book.company, book.cycle, book.scenarios)
    options = {code: one for code, one in base.open_scenarios.items() if one.kind == "option"}
    plans = {BASE: _slim(base)} | {code: _slim(base.what_if(one)) for code, one in options.items()}
    many = futures.drawn(base, samples)
    drivers, alone = _drivers(base, many)
    parts = [many.part(slice(start, start + CHUNK)) for start in range(0, samples, CHUNK)]
    tasks = [(plans[BASE], alone), *((plan, part) for plan in plans.values() for part in parts)]
    work = Engine.of(engine)
    steps = len(tasks) + 1

    def told(done: int, _: int) -> None:
        if progress:
            progress(done, steps)

    seconds = SECONDS * sum(len(part) for _, part in tasks)
    (planned, swings), *found = work.map(_measured, tasks, seconds=seconds, progress=told)
    by_plan = {code: found[n * len(parts) : (n + 1) * len(parts)] for n, code in enumerate(plans)}
    lived = {code: np.concatenate([values for _, values in some]) for code, some in by_plan.items()}
    worst = {code: int(values[:, 1].argmin()) for code, values in lived.items()}
    work.map(_proved, [(plans[code], many.part([n]), lived[code][n]) for code, n in worst.items()], seconds=3.0 * len(plans))
    frontier = _frontier(base)
    told(steps, steps)
    _LAST.clear()
    titles = {BASE: compare.BASE_TITLE} | {code: one.title for code, one in options.items()}
    as_planned = {code: some[0][0] for code, some in by_plan.items()}
    return {
        "risk": _risk(titles, as_planned, lived),
        "tornado": _tornado(drivers, swings[:, 1] - planned[1]),
        "frontier": frontier,
    }


def _slim(plan: Plan) -> Book:
    """What a plan needs to be lived through: it travels to where the work runs."""
    return Book({name: plan[name] for name in sorted(_NEEDED)}, plan.company, plan.cycle)


def _risk(titles: Mapping[str, str], planned: Mapping[str, np.ndarray], lived: Mapping[str, np.ndarray]) -> pd.DataFrame:
    rows = []
    for code, values in lived.items():
        for n, (measure, unit) in enumerate(MEASURES.items()):
            mine = np.sort(values[:, n])
            tail = int(np.ceil(WORST * len(mine)))
            bad = mine[-tail:] if measure == "mean stock value" else mine[:tail]
            edges = np.quantile(mine, [0.1, 0.5, 0.9])
            rows.append((code, titles[code], measure, unit, len(mine), planned[code][n], mine.mean(), *edges, bad.mean()))
    return pd.DataFrame(rows, columns=TABLES["risk"].names)


def _drivers(base: Plan, many: Futures) -> tuple[list[tuple[str, str, str]], Futures]:
    """What may differ from the plan, one at a time: name, what is low and what is high; and two futures of each."""
    names, calm = list[tuple[str, str, str]](), Futures.none(base, 0)
    found = list[Futures]()

    def add(name: str, low: str, high: str) -> tuple[Futures, Futures]:
        pair = Futures.none(base, 1), Futures.none(base, 1)
        names.append((name, low, high))
        found.extend(pair)
        return pair

    family = np.array([base.family[product] for product, _ in many.pairs])
    for code, name in {"": "All demand", **base.names("families")}.items():
        mine = family == code if code else np.ones(len(family), dtype=bool)
        if mine.any():
            order = np.argsort(many.demand[:, mine].sum(axis=(1, 2)), kind="stable")
            ends = [order[int(round(level * (len(order) - 1)))] for level in (0.1, 0.9)]
            sums = [many.demand[end, mine].sum() for end in ends]
            pair = add(f"Demand: {name}" if code else name, *(f"{units:+,.0f} {base.units}" for units in sums))
            for one, end in zip(pair, ends, strict=True):
                one.demand[0, mine] = many.demand[end, mine]
    for n, deal in enumerate(calm.deals):
        for one, won in zip(add(f"Deal: {deal.name}", "lost", "won in full"), (-1, 1), strict=True):
            one.won[0, n] = won
    bought, called = base["supply_plan"].query("mode == 'buy'"), base.names("suppliers")
    risk = base["suppliers"].set_index("supplier")["risk"]
    for s, code in enumerate(calm.suppliers):
        mine = bought[bought["source"] == code]
        if risk.get(code, 0.0) > 0 and len(mine):
            ordered, comes = (mine.groupby(when)["quantity"].sum().idxmax() for when in ("month", "available"))
            one, _ = add(f"Supplier: {called[code]}", f"takes no orders in {ordered:%b %Y}", "as planned")
            one.fails[0, s, calm.months.index(ordered)] = True
            one, _ = add(f"Late: {called[code]}", f"what is due in {comes:%b %Y} comes a month later", "as planned")
            one.late[0, s, calm.months.index(comes)] = True
    arrays = {name: np.concatenate([getattr(one, name) for one in found]) for name in ("demand", "fails", "late", "won")}
    return names, replace(calm, **arrays)


def _tornado(drivers: list[tuple[str, str, str]], after: np.ndarray) -> pd.DataFrame:
    """Table `tornado` from what each end of each driver changes."""
    rows = [(*one, after[2 * n], after[2 * n + 1]) for n, one in enumerate(drivers)]
    frame = pd.DataFrame(rows, columns=["driver", "if_low", "if_high", "low", "high"])
    frame["swing"] = frame[["low", "high"]].max(axis=1).clip(lower=0) - frame[["low", "high"]].min(axis=1).clip(upper=0)
    frame = frame.sort_values("swing", ascending=False, kind="stable", ignore_index=True)
    return frame.assign(rank=frame.index + 1)[TABLES["tornado"].names]


def _frontier(base: Plan) -> pd.DataFrame:
    """The plan at other prices of unmet demand: each is the best plan for its price, so no other serves as well for less."""
    session = supply.session(_slim(base))
    read, gauge = session.parts.matrix, Gauge(base, session.parts.matrix, session.base.network)
    priced = sum(read.expressions[name][1].sum(axis=0) for name in ("waiting", "losing"))
    rows = []
    for factor in FACTORS:
        cost = replace(read, cost=read.cost - (factor - 1) * np.asarray(priced))
        values = session.parts.changed(cost).values if factor != 1 else session.base.values
        result, _, filled, stock, cash, paid = gauge(cost, values)
        rows.append((factor, factor == 1, filled, result, paid, stock, cash))
    return pd.DataFrame(rows, columns=TABLES["frontier"].names)
