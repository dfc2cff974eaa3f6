"""Why not more: what binds and its shadow price, why something is short, and level against chase.

A shadow price comes from the linear model with its whole numbers held fixed: the contribution after penalties that one
more unit of a limit brings, told apart into revenue, cash cost and service penalties. Promises are no money: where one
more unit keeps a promise better, that is said beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from operator import call
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.sparse import csc_array

from sopkit.engine import Engine
from sopkit.supply.levers import levers
from sopkit.supply.limits import LIMITS, NOTHING, Solved
from sopkit.supply.matrix import Names
from sopkit.supply.model import CASH, POLICY
from sopkit.supply.network import START
from sopkit.supply.solve import Solution, solved_anew
from sopkit.tables import TABLES
from sopkit.words import listed, local, month_name, number, say, unit_name

if TYPE_CHECKING:
    from sopkit.supply.resolve import Session

MOST_LIMITS = 3  # limits named for one shortage, the dearest first

SHORT = 1e-4  # a shortage below this many units is the solver's tolerance

# kind of shortage: its decision, the balance that could use one more unit, and how it is spoken of
SHORTAGES = {
    "lost": ("lose", "demand_balance", "{quantity} units of {item} for {place} are lost in {month}"),
    "waiting": ("wait", "demand_balance", "{quantity} units of {item} for {place} wait in {month}"),
    "safety stock": (
        "fall_below_safety",
        "safety",
        "{item} at {place} is {quantity} units below its safety stock in {month}",
    ),
}

STEERING = ("changing_rate",)  # the price that forces a plan to be level: it steers only

AGES = "ages_held", "ages_sent", "ages_used"  # balances of goods by age

GAIN = "revenue", "cash_cost", "penalties", "promise", "kept"  # what a gain is told apart into, in tables


def explain(session: Session) -> dict[str, pd.DataFrame]:
    """Tables `binding_limits`, `why_short`, `levers` and `level_chase` of the session's base plan."""
    session.parts.changed(session.base.matrix)  # whatever was asked last
    solved, engine = Solved(session), session.engine
    ask: Callable[..., Solution] = partial(solved_anew, session.book, session.known)
    if solved.near or session.parts.large or (engine and engine.address):
        ask, engine = solved.ask, None  # from this process, which has the plan in the solver
    # what is small is short: a process beside this one, where there is one, solves the second
    parts: list[Any] = [partial(levers, solved), partial(level_chase, ask, _level_and_chase(solved))]
    found, others = Engine.of(engine).map(call, parts, seconds=1.0)
    tables = {
        "binding_limits": binding_limits(solved),
        "why_short": why_short(solved),
        "levers": found,
        "level_chase": pd.concat([_by_month("plan", solved.solution), *others], ignore_index=True),
    }
    return {name: TABLES[name].conform(frame) if len(frame) else TABLES[name].empty() for name, frame in tables.items()}


def binding_limits(solved: Solved) -> pd.DataFrame:
    """Every limit whose next unit brings something, ranked by shadow price."""
    rows, use, people = [], solved.matrix.a @ solved.answer.values, solved.network.people
    for rule, limit in LIMITS.items():
        if limit.given or rule == "no_early_hires":
            continue
        for index in solved.binding(rule):
            row = solved.row(rule, *index)
            gain, size, used = solved.gain(row), solved.matrix.row_upper[row], use[row]
            if rule in ("people_work", "people_overtime_limit"):  # the limit itself is decided: people's hours
                hours = people.hours[index] if rule == "people_work" else people.overtime_limit[index[:-1]]
                size = hours * solved.solution["employ"][index]
            told = say("One more {limit} {gain}.", solved.one_more(rule, index), gain.told(solved.currency))
            place, item = (solved.text(part, limit.letters, index, codes=True) for part in (limit.place, limit.item))
            about = {"limit": rule, "place": place, "item": item, "month": solved.time[index[-1]], "sentence": told}
            about |= {"size": max(0.0, size if np.isfinite(size) else used), "unit": solved.unit(rule, index)}
            rows.append(about | {"shadow_price": gain.total} | {name: getattr(gain, name) for name in GAIN})
    return solved.ranked(rows, "shadow_price")


def why_short(solved: Solved) -> pd.DataFrame:
    """For every shortage the limits that one more unit would need, found along the plan's own prices."""
    trail = _Trail(solved)
    rows: list[Any] = []
    for kind, (decision, rule, _) in SHORTAGES.items():
        if decision in solved.matrix.columns and rule in solved.matrix.rows:
            sign = solved.supplying(rule)
            for index, quantity in solved.solution[decision].items():
                if quantity > SHORT and index[-1] != START:
                    rows += _needs(solved, kind, index, quantity, trail.more(solved.row(rule, *index), sign))
    return pd.DataFrame(rows)


def _needs(solved: Solved, kind: str, index: tuple, quantity: float, ends: dict[int, float]) -> Iterator[dict]:
    """A row for each of the dearest limits that one more unit of a shortage would need, or for its price."""
    item, place, month = index
    names = {"quantity": number(quantity), "item": solved.name(item), "place": solved.name(place)}
    head = say(SHORTAGES[kind][2]).format(**names, month=month_name(month))
    common = {"kind": kind, "item": item, "place": place, "month": solved.time[month], "quantity": quantity}
    gone = solved.without_source(item)
    if not ends:
        told = say("{shortage}: no limit stands in the way, one more unit costs more than it brings.", head)
        if gone:
            names_ = listed([f"{solved.name(one)} ({one})" for one in gone], 3)
            told = say(
                "{shortage}: one more unit needs {items}, which nobody makes or sells: what was in stock or on "
                "order is used up.",
                head,
                names_,
            )
        at = {"limit_place": place, "limit_item": gone[0] if gone else item, "limit_month": solved.time[month]}
        found = {"limit": "source" if gone else "price", "needs": 1.0, "unit": "units", "shadow_price": 0.0}
        yield common | at | found | {"step": 1, "sentence": told}
    dearest = sorted(ends, key=lambda row: (-ends[row] * abs(solved.steering[row]), row))
    for step, row in enumerate(dearest[:MOST_LIMITS], start=1):
        rule, key = solved.at(row)
        limit, needs = LIMITS[rule], ends[row]
        where, what = (solved.text(part, limit.letters, key, codes=True) for part in (limit.place, limit.item))
        if limit.given:
            because = say("which nobody makes or sells" if what in gone else limit.one_more)
            needed = say("{quantity} more {unit} of {item} at {place} {because}", local(f"{needs:,.3g}"),
                unit_name(limit.unit), solved.name(what or where), where, because)  # fmt: skip
        else:
            told = solved.gain(row).told(solved.currency)
            needed = say("{quantity} x one {limit}, each of which {gain}", local(f"{needs:,.3g}"),
                solved.one_more(rule, key), told)  # fmt: skip
        at = {"limit_place": where, "limit_item": what, "limit_month": solved.time.get(key[-1], pd.NaT)}
        found = {"limit": rule, "needs": needs, "unit": limit.unit, "shadow_price": solved.answer.shadow_price[row]}
        told = say("{shortage}: one more unit needs {limits}.", head, needed)
        yield common | at | found | {"step": step, "sentence": told}


def _level_and_chase(solved: Solved) -> dict[str, dict[str, pd.DataFrame]]:
    """The tables of a level plan and a chase plan of the same company.

    Level: a change of a resource's hours from month to month costs so much that it hardly happens. Chase: no
    product may be held above its safety stock. Both prices steer only: the contribution shown is without them.
    """
    network, tables = solved.network, solved.session.tables
    dearest = 10 * max([1.0, *network.demand.price.values()])
    products = set(tables["products"]["product"])
    pairs = pd.DataFrame([pair for pair in network.flow.stocks if pair[0] in products], columns=["item", "site"])
    held = TABLES["policies"].conform(tables["policies"].merge(pairs, how="outer", on=["item", "site"]))
    held["maximum_stock"] = held["maximum_stock"].where(~held["item"].isin(products), held["safety_stock"])
    return {"level": {"resources": tables["resources"].assign(change_price=dearest)}, "chase": {"policies": held}}


def level_chase(ask: Callable[..., Solution], strategies: dict[str, dict[str, pd.DataFrame]]) -> list[pd.DataFrame]:
    """The plan of each of `strategies`, month by month; `ask` solves it. Hard whole numbers stay as planned."""
    return [_by_month(name, ask(tables)) for name, tables in strategies.items()]


def _by_month(strategy: str, solution: Solution) -> pd.DataFrame:
    time, cost = solution.network.time, solution.network.stock.standard_cost

    def total(name: str) -> pd.Series:
        series = solution[name]
        return series.groupby(level=-1).sum().reindex(time.months, fill_value=0.0) if len(series) else 0.0

    hold = solution["hold"]
    value = (hold * hold.index.get_level_values(0).map(cost).to_numpy(float)).groupby(level=-1).sum()
    paid = sum(total(name) for name in (*CASH, *POLICY) if name not in STEERING)
    zero = pd.Series(0.0, time.months)
    frame = pd.DataFrame(
        {
            "hours": zero + total("run") + total("run_overtime"),
            "overtime": zero + total("run_overtime"),
            "stock_value": value.reindex(time.months, fill_value=0.0),  # a company may hold nothing
            "shortfall": zero + total("wait") + total("lose"),
        }
    ).clip(lower=0)
    frame = frame.assign(contribution_after_penalties=total("revenue") - paid, strategy=strategy, month=time.timestamps)
    return frame.reset_index(drop=True)


class _Trail:
    """From a balance that could use one more unit to the limits in the way, along decisions the plan is indifferent to.

    At the best plan a decision that is used, or just not used, has no reduced cost: its own cost and the shadow price
    of all it takes make up the shadow price of what it gives. So the walk asks of each balance: which decision gives
    one more at the margin (reduced cost nearest 0), what does that take elsewhere, and does a limit with a shadow price
    stop it there?
    """

    def __init__(self, solved: Solved) -> None:
        self.rows, self.columns = solved.matrix.a, csc_array(solved.matrix.a)
        self.shadow_price = solved.steering
        broken = (one.reduced / max(1e-9, np.abs(one.reduced).max()) for one in solved.answer.broken.values())
        self.reduced = np.abs(solved.answer.reduced) + sum(1e6 * np.abs(one) for one in broken)
        rows, columns = solved.matrix.rows, solved.matrix.columns
        self.ends = self._marked(rows, *LIMITS)
        self.through = self._marked(rows, "stock_balance", "demand_balance", "resource_work", "people_balance", *AGES)
        shortages = "lose", "wait", "lay_off", "scrap", "fall_below_safety", "miss_end_stock"
        self.shortage = self._marked(columns, *shortages)
        self.known: dict[tuple[int, int], dict[int, float]] = {}

    @staticmethod
    def _marked(places: dict[str, Names], *names: str) -> np.ndarray:
        """Which rows (columns) belong to the rules (decisions) `names`."""
        marked = np.zeros(sum(one.size for one in places.values()), dtype=bool)
        for name in places.keys() & set(names):
            marked[places[name].where] = True
        return marked

    def more(self, row: int, sign: int) -> dict[int, float]:
        """The limits, and how much of each, that balance `row` needs for one unit more of what has `sign` in it."""
        if (row, sign) in self.known:
            return self.known[row, sign]
        self.known[row, sign] = {}  # met again on its own way: adds nothing
        part = slice(self.rows.indptr[row], self.rows.indptr[row + 1])
        columns, coefficients = self.rows.indices[part], self.rows.data[part]
        giving = (coefficients * sign > 0) & ~self.shortage[columns]
        if not giving.any():
            return {}
        columns, coefficients = columns[giving], coefficients[giving]
        best = int(np.argmin(np.round(self.reduced[columns], 6)))
        column, amount = columns[best], 1.0 / abs(coefficients[best])
        found: dict[int, float] = {}
        part = slice(self.columns.indptr[column], self.columns.indptr[column + 1])
        for other, coefficient in zip(self.columns.indices[part], self.columns.data[part], strict=True):
            if other == row:
                continue
            takes = amount * coefficient
            if self.ends[other]:
                if abs(self.shadow_price[other]) > NOTHING and takes * self.shadow_price[other] > 0:
                    found[other] = found.get(other, 0.0) + abs(takes)
            elif self.through[other]:
                for end, needs in self.more(other, -1 if takes > 0 else 1).items():
                    found[end] = found.get(end, 0.0) + abs(takes) * needs
        self.known[row, sign] = found
        return found
