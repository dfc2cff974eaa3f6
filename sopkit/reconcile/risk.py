"""The risk of every option: its plan solved again in sampled futures; what matters most; what service costs.

Decided months stay as planned, later ones are planned again for what happens in that future: so the figures are those
of a company that sees each future in time, after its decided months. Every future is solved warm from the option's own
plan, and its measures are read off the solution; the worst one is planned once more from its tables, written,
re-derived and measured like any plan, and must give the same numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from sopkit import supply
from sopkit.book import Book, Plan
from sopkit.book.scenarios import BASE
from sopkit.engine import Engine, Progress
from sopkit.errors import SopkitError
from sopkit.reconcile import compare, finance, futures
from sopkit.reconcile.futures import DRAWN, Futures, Given
from sopkit.reconcile.gauge import Gauge
from sopkit.supply.matrix import Matrix
from sopkit.supply.resolve import Session
from sopkit.tables import TABLES
from sopkit.words import local, month_name, say

# what is measured in each future; of the stock value the worst is the highest, else the lowest
MEASURES = ("result", "result after penalties", "fill rate", "mean stock value", "lowest cash")

CHUNK = 25  # futures in one part of the work
SECONDS = 0.08  # about what one future of a small company takes
WORST = 0.05  # share of the futures that are called the worst
FACTORS = (0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.5, 2.0, 5.0)  # of today's prices of unmet demand
_NEEDED = {*supply.READS, "demand_plan", "supply_plan", "option_costs", "balance_sheet", "stock", "deliveries"}


class Lived:
    """A plan whose first months are decided, kept in the solver, to be lived through in futures."""

    def __init__(self, plan: Book) -> None:
        self.book = futures.decided(plan)
        self.given, self.session = Given(self.book), Session(self.book)
        self.read = self.session.parts.matrix
        self.gauge = Gauge(self.book, self.read, self.session.base.network)
        self.place = {
            rule: {key: names.start + at for at, key in enumerate(names.keys)}
            for rule, names in self.read.rows.items()
            if rule in ("demand_balance", "supplier_capacity", "orders_as_planned", "stock_balance")
        }
        # lots, ages and fair shares put demand elsewhere too: then every future is built anew
        every = Futures.none(plan, 1)
        every.demand[:], every.fails[:, :, 1:2], every.late[:, :, 0] = 1.0, True, True
        future = self.given.altered(every, 0)
        built = self.session.resolve(self.given.tables(future))
        self.by_limits = self.session.how == "bounds and costs" and self.matrix(future).equals(built.matrix)

    def matrix(self, future: futures.Altered) -> Matrix:
        """The supply model in a future: only limits of its rows are others."""
        low, high = self.read.row_lower.copy(), self.read.row_upper.copy()
        for rule, values in future.items():
            known = self.place.get(rule, {})
            where = [known[key] for key in values if key in known]
            high[where] = [value for key, value in values.items() if key in known]
            if rule != "supplier_capacity":
                low[where] = high[where]
        return replace(self.read, row_lower=low, row_upper=high)

    def measured(self, many: Futures) -> np.ndarray:
        """The measures in each of `many` futures: future x measure."""
        return np.array([_row(self._lived(self.given.altered(many, number))) for number in range(len(many))])

    def _lived(self, future: futures.Altered) -> dict[str, float]:
        if self.by_limits:
            read = self.matrix(future)
            return self.gauge(read, self.session.parts.changed(read).values)
        built = self.session.resolve(self.given.tables(future))
        return Gauge(self.book, built.matrix, built.network)(built.matrix, built.values)

    def prove(self, many: Futures, number: int) -> None:
        """Plan one future from its tables, written and re-derived; SopkitError where it measures otherwise."""
        future = self.given.altered(many, number)
        tables = self.given.tables(future)
        plan = Plan(self.book.tables, self.book.company, self.book.cycle).with_tables(tables)
        plan = plan.with_tables(self.session.plan(tables))
        costs, quick = plan["supply_costs"], self._lived(future)
        cell = compare.outcome(plan, finance.pnl(plan), BASE)
        told = cell["measured"] | {"lowest cash": cell["cash_low"]}
        told["service penalties"] -= costs.loc[costs["cost"] == "changing_the_plan", "amount"].sum()
        for measure, value in told.items():
            if abs(value - quick[measure]) > compare.CENT:
                raise SopkitError(
                    f"In a sampled future the {measure} is {value:,.2f} by its tables and {quick[measure]:,.2f} by its "
                    "solution. This is an error of sopkit: please report it with the cycle's tables folder."
                )


def _row(measures: Mapping[str, float]) -> list[float]:
    return [measures[name] for name in MEASURES]


_LAST: list[tuple[Book, Lived]] = []  # the plan that this process lived through last: parts of one plan follow


def _lived(plan: Book) -> Lived:
    if not _LAST or _LAST[0][0] is not plan:
        _LAST[:] = [(plan, Lived(plan))]
    return _LAST[0][1]


def _measured(task: tuple[Book, Futures]) -> tuple[np.ndarray, np.ndarray]:
    """Measures of a plan as it is and in some futures; runs wherever the engine puts it."""
    plan, many = task
    lived = _lived(plan)
    return np.array(_row(lived.gauge(lived.read, lived.session.base.values))), lived.measured(many)


def _proved(task: tuple[Book, Futures]) -> None:
    plan, one = task
    _lived(plan).prove(one, 0)


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
    work.map(_proved, [(plans[code], many.part([n])) for code, n in worst.items()], seconds=3.0 * len(plans))
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


def _risk(
    titles: Mapping[str, str], planned: Mapping[str, np.ndarray], lived: Mapping[str, np.ndarray]
) -> pd.DataFrame:
    rows = []
    for code, values in lived.items():
        for n, measure in enumerate(MEASURES):
            mine, unit = np.sort(values[:, n]), "share" if measure == "fill rate" else "currency"
            tail = int(np.ceil(WORST * len(mine)))
            bad = mine[-tail:] if measure == "mean stock value" else mine[:tail]
            found = (len(mine), planned[code][n], mine.mean(), *np.quantile(mine, [0.1, 0.5, 0.9]), bad.mean())
            rows.append((code, titles[code], measure, unit, *found))
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
    for code, name in {"": say("All demand"), **base.names("families")}.items():
        mine = family == code if code else np.ones(len(family), dtype=bool)
        if mine.any():
            order = np.argsort(many.demand[:, mine].sum(axis=(1, 2)), kind="stable")
            ends = [order[int(round(level * (len(order) - 1)))] for level in (0.1, 0.9)]
            sums = [many.demand[end, mine].sum() for end in ends]
            told = say("Demand: {name}", name) if code else name
            pair = add(told, *(local(f"{units:+,.0f} {base.units}") for units in sums))
            for one, end in zip(pair, ends, strict=True):
                one.demand[0, mine] = many.demand[end, mine]
    for n, deal in enumerate(calm.deals):
        lost, won = add(say("Deal: {name}", deal.name), say("lost"), say("won in full"))
        lost.won[0, n], won.won[0, n] = -1, 1
    bought, called = base["supply_plan"].query("mode == 'buy'"), base.names("suppliers")
    risk = base["suppliers"].set_index("supplier")["risk"]
    for s, code in enumerate(calm.suppliers):
        mine = bought[bought["source"] == code]
        if risk.get(code, 0.0) > 0 and len(mine):
            ordered, comes = (mine.groupby(when)["quantity"].sum().idxmax() for when in ("month", "available"))
            told = say("takes no orders in {month}", month_name(ordered))
            one, _ = add(say("Supplier: {name}", called[code]), told, say("as planned"))
            one.fails[0, s, calm.months.index(ordered)] = True
            told = say("what is due in {month} comes a month later", month_name(comes))
            one, _ = add(say("Late: {name}", called[code]), told, say("as planned"))
            one.late[0, s, calm.months.index(comes)] = True
    drawn: dict[str, Any] = {name: np.concatenate([getattr(one, name) for one in found]) for name in DRAWN}
    return names, replace(calm, **drawn)


def _tornado(drivers: list[tuple[str, str, str]], after: np.ndarray) -> pd.DataFrame:
    """Table `tornado` from what each end of each driver changes."""
    rows = [(*one, after[2 * n], after[2 * n + 1]) for n, one in enumerate(drivers)]
    frame = pd.DataFrame(rows, columns=["driver", "if_low", "if_high", "low", "high"])
    frame["swing"] = frame[["low", "high"]].max(axis=1).clip(lower=0) - frame[["low", "high"]].min(axis=1).clip(upper=0)
    frame = frame.sort_values("swing", ascending=False, kind="stable", ignore_index=True)
    return frame.assign(rank=frame.index + 1)[TABLES["tornado"].names]


def _frontier(base: Plan) -> pd.DataFrame:
    """The plan at other prices of unmet demand: each is the best for its price, so none serves as well for less."""
    session = supply.session(_slim(base))
    read, gauge = session.parts.matrix, Gauge(base, session.parts.matrix, session.base.network)
    priced = sum(read.expressions[name][1].sum(axis=0) for name in ("waiting", "losing"))
    rows = []
    for factor in FACTORS:
        cost = replace(read, cost=read.cost - (factor - 1) * np.asarray(priced))
        values = session.parts.changed(cost).values if factor != 1 else session.base.values
        told = gauge(cost, values)
        named = ("fill rate", "result", "cost", "mean stock value", "lowest cash")
        rows.append((factor, factor == 1, *(told[name] for name in named)))
    return pd.DataFrame(rows, columns=TABLES["frontier"].names)
