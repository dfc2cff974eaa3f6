"""A solved plan as people speak of it: what its limits are called, and where they stand in the matrix."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from sopkit.supply.matrix import Column, Names
from sopkit.supply.model import CASH, POLICY
from sopkit.supply.near import EASY, Near
from sopkit.supply.solve import Solution
from sopkit.words import listed, local, money, month_name, say

if TYPE_CHECKING:
    from sopkit.supply.resolve import Session

NOTHING = 1e-6  # a shadow price or quantity below this is the solver's tolerance

ROUNDED = 5e-3  # less than this is nothing when it is read: units of a promise kept, or money

CALLED = "resources", "sites", "suppliers", "markets", "products", "materials"  # tables with names for codes


@dataclass(frozen=True)
class Limit:
    """How a rule of the model is spoken of; `one_more`, `place` and `item` are filled with the letters of its index."""

    letters: str
    unit: str
    one_more: str
    place: str
    item: str = ""
    given: bool = False  # nobody can have more of it


CLOSED = "where the site is closed: to open it costs more than it brings"


def _given(letters: str, one_more: str, place: str, item: str = "", unit: str = "units") -> Limit:
    return Limit(letters, unit, one_more, place, item, given=True)


LIMITS = {
    "regular_capacity": Limit("r t", "hours", "hour on {r}", "{r}"),
    "overtime_capacity": Limit("r t", "hours", "overtime hour on {r}", "{r}"),
    "people_work": Limit("n q t", "hours", "hour of {q} people at {n}", "{n} {q}"),
    "people_overtime_limit": Limit("n q t", "hours", "overtime hour of {q} people at {n}", "{n} {q}"),
    "hiring_limit": Limit("n q t", "people", "{q} person hired at {n}", "{n} {q}"),
    "no_early_hires": Limit("n q t", "people", "{q} person who could start at {n} at once", "{n} {q}"),
    "supplier_capacity": Limit("s i n t", "units", "unit of {i} from {s} for {n}", "{s} {n}", "{i}"),
    "vendor_limit": Limit("s t", "units", "unit that {s} can deliver of anything", "{s}"),
    "lane_limit": Limit("o d g t", "units", "{unit} of {g} on the way from {o} to {d}", "{o} {d}", "{g}"),
    "stock_maximum": Limit("i n t", "units", "unit of {i} allowed in stock at {n}", "{n}", "{i}"),
    "space": Limit("n t", "m3", "m3 of space at {n}", "{n}"),
    "money_in_stock": Limit("t", "currency", "unit of money allowed in stock", "company"),
    "carbon_cap": Limit("t", "kg", "kg of carbon allowed by the end", "company"),
    "opening_stock": _given("i n", "on hand at the start, because nothing new arrives in time", "{n}", "{i}"),
    "no_late_orders": _given("s i n t", "ordered so late that it would arrive after the plan", "{s} {n}", "{i}"),
    "no_late_shipments": _given("o d i t", "sent so late that it would arrive after the plan", "{o} {d}", "{i}"),
    "ages": _given("i n a t", "young enough to be used, because older ones are scrapped", "{n}", "{i}"),
    "set_up_first": _given("i w t", "for which no lot is set up: it does not fit, or costs more than it brings",
        "{w}", "{i}"),
    "closed_takes_nothing": _given("i n h t", CLOSED, "{n}", "{i}"),
    "closed_makes_nothing": _given("i w h t", "where the line is closed: to open it costs more than it brings",
        "{w}", "{i}"),
    "closed_sends_nothing": _given("i n h t", CLOSED, "{n}", "{i}"),
    "ways_in_date": _given("i w t", "made in a way outside of its dates", "{w}", "{i}"),
    "whole_lots": _given("s i n t", "beyond whole lots: another lot costs more than it brings", "{s} {n}", "{i}"),
    "full_loads": _given("o d g t", "beyond full loads: another load costs more than it brings", "{o} {d}", "{g}"),
    "order_first": _given("s i n t", "for which no order is placed: the minimum order costs more than it brings",
        "{s} {n}", "{i}"),
    "opening_people": _given("n q", "employed at the start", "{n} {q}", unit="people"),
}  # fmt: skip


# what is kept of a promise, as people speak of it
KEPT = {
    "unmet_promises": "units of demand that must be met",
    "short_orders": "units and months of firm orders",
    "broken_freeze": "units of the frozen months",
    "stock_above_maximum": "units within the maximum stock",
    "carbon_above_cap": "kg of carbon below the cap",
    "overfull_space": "m3 within a site's own space",
    "out_of_order": "units and months of demand of class {number}",
    "unfair_shares": "units of the fair share of class {number}",
}

# decisions behind service penalties, as people speak of them
MISSED = {"lose": "lost", "wait": "waiting", "fall_below_safety": "below safety stock"}


@dataclass(frozen=True)
class Gain:
    """A change of the plan's money, told apart, and of the first promise that it keeps better."""

    revenue: float
    cash_cost: float
    penalties: float  # service penalties; nobody is paid. Negative: they are avoided
    promise: str = ""
    kept: float = 0.0

    @property
    def cash(self) -> float:
        """What it brings in cash."""
        return self.revenue - self.cash_cost

    @property
    def total(self) -> float:
        """Contribution after penalties."""
        return self.cash - self.penalties

    def told(self, currency: str, *, would: bool = False) -> str:
        """`costs 9,815 EUR and avoids 53,323 EUR of service penalties`: cash first, the rest by its name."""
        least = ROUNDED + 1e-9 * (abs(self.revenue) + abs(self.cash_cost) + abs(self.penalties))
        parts = []
        keeps = bool(self.promise) and abs(self.kept) >= ROUNDED
        if abs(self.cash) > least or (abs(self.penalties) <= least and not keeps):
            how = ("costs {money}", "cost {money}") if self.cash <= 0 else ("brings {money}", "bring {money}")
            parts.append(say(how[would], money(abs(self.cash), currency)))
        if abs(self.penalties) > least:
            how = ("adds {money} of service penalties", "add {money} of service penalties")
            if self.penalties < 0:
                how = ("avoids {money} of service penalties", "avoid {money} of service penalties")
            parts.append(say(how[would], money(abs(self.penalties), currency)))
        if keeps:
            name, *class_ = self.promise.split(" ", 1)
            how = ("keeps {quantity} more {promise}", "keep {quantity} more {promise}")
            parts.append(say(how[would], local(f"{self.kept:,.4g}"), say(KEPT[name], *class_)))
        return say("would {gain}", listed(parts)) if would else listed(parts)


@dataclass(frozen=True, kw_only=True)
class Lever:
    """One thing that could be done: extra columns of the model, one for each month, or changed tables."""

    lever: str
    place: str
    item: str = ""
    change: str
    unit: str = "units"
    sentence: str
    months: list[str] = field(default_factory=list)
    columns: list[Column] = field(default_factory=list)
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    # rule and index of the limits that the changed tables widen
    rows: list[tuple[str, tuple]] = field(default_factory=list)

    def add(self, month: str, takes: dict[int, float], most: float, *, cost: float = 0.0, least: float = 0.0) -> None:
        """In `month` at most `most` units at `cost` each, which change rows by `takes`."""
        self.months.append(month)
        self.columns.append(Column(-cost, most, np.array(list(takes)), np.array(list(takes.values())), least))


class Solved:
    """The base plan of a session: quantities and shadow prices by rule and index, and names for codes."""

    def __init__(self, session: Session) -> None:
        self.session, self.solution, self.network = session, session.base, session.base.network
        self.matrix, self.answer = self.solution.matrix, self.solution.answer
        self.months, self.currency = self.network.time.months, session.book.currency
        self.rules = session.book.company.levers
        self.time = dict(zip(self.months, self.network.time.timestamps, strict=True))

    @cached_property
    def kinds(self) -> np.ndarray:
        """What a unit of each decision brings in revenue, costs in cash, and costs in service penalties."""
        expressions = self.matrix.expressions

        def summed(*names: str) -> np.ndarray:
            return np.sum([np.asarray(expressions[name][1].sum(axis=0)).ravel() for name in names], axis=0)

        return np.array([summed("revenue"), summed(*CASH), summed(*POLICY)])

    @cached_property
    def _prices(self) -> np.ndarray:
        return self.session.parts.prices(self.kinds)

    def gain(self, row: int) -> Gain:
        """What one more unit of a row's limit brings."""
        keeps = ((name, one.shadow_price[row]) for name, one in self.answer.broken.items())
        promise, kept = next((each for each in keeps if each[1] > NOTHING), ("", 0.0))
        revenue, cash_cost, penalties = self._prices[:, row].tolist()
        return Gain(revenue, cash_cost, penalties, promise, float(kept))

    @cached_property
    def steering(self) -> np.ndarray:
        """What one more unit of each row brings to the first promise that it keeps better, or else in money."""
        prices = self.answer.shadow_price
        for one in reversed(self.answer.broken.values()):
            prices = np.where(np.abs(one.shadow_price) > NOTHING, one.shadow_price, prices)
        return prices

    @cached_property
    def _called(self) -> dict[str, str]:
        book, roads = self.session.book, self.network.roads
        called = {"": say("any item")} | {code: name for table in CALLED for code, name in book.names(table).items()}
        return called | {
            by: say("{origin} by {mode}", called.get(roads.site[by], roads.site[by]), mode)
            for by, mode in roads.mode.items()
            if mode
        }

    def name(self, code: str) -> str:
        """What people call a code."""
        return self._called.get(code, code)

    def without_source(self, item: str) -> list[str]:
        """What goes into `item`, or the item itself, that nobody makes or sells: its stock and orders are all."""
        (made, sold), left, gone = self._made_and_sold, [item], set()
        while left:
            one = left.pop()
            if one in made and one not in sold:
                left += self.network.making.components[one]
            elif one not in sold:
                gone.add(one)
        return sorted(gone)

    @cached_property
    def _made_and_sold(self) -> tuple[set[str], set[str]]:
        making = self.network.making
        made = {what for what, *_ in making.site} | {what for *_, what in making.by_products}
        return made, {what for _, what, _ in self.network.buying.offers}

    def text(self, pattern: str, letters: str, index: tuple, *, codes: bool = False) -> str:
        """`pattern` with the members of `index` by their letters: as people call them, or as `codes`."""
        named = zip(letters.split(), index, strict=False)
        unit = self.network.lanes.unit.get(index[:3], "units")
        return pattern.format(
            unit=say({"units": "unit"}.get(unit, unit)),
            **{letter: code if codes or letter in "qta" else self.name(code) for letter, code in named},
        )

    def one_more(self, rule: str, index: tuple) -> str:
        """`hour on Line 2 in Nov 2026`."""
        limit = LIMITS[rule]
        thing = self.text(say(limit.one_more), limit.letters, index)
        if rule in ("regular_capacity", "overtime_capacity") and self.closed(*index):
            return say("{limit} (closed) in {month}", thing, month_name(index[-1]))
        return say("{limit} in {month}", thing, month_name(index[-1]))

    def closed(self, resource: str, month: str) -> bool:
        """Whether a resource has no hours in a month, because none of its shifts is worked."""
        shifts = self.network.shifts.of[resource]
        there = self.network.resources.regular_limit[resource, month] > 0
        return bool(shifts) and not there and self.solution["work_shift"][shifts[0], month] < 0.5

    @cached_property
    def near(self) -> Near | None:
        """Where levers and other questions are asked with most whole numbers as planned: in a large plan with some."""
        hard = self.matrix.integer.sum() * self.matrix.shape[0] > EASY
        return Near(self.session.parts) if hard else None

    def ranked(self, rows: list[dict], gain: str) -> pd.DataFrame:
        """Rows with what they bring: first what keeps a promise better, by its rank, then by money."""
        order = [*self.answer.broken, ""]
        rows.sort(key=lambda row: (order.index(row["promise"]), -row["kept"], -row[gain]))
        return pd.DataFrame(rows)

    def ask(self, tables: dict[str, pd.DataFrame], members: Collection[tuple] = (), least: float = np.inf) -> Solution:
        """The plan with other tables, which widen `members`; near this one where it is hard (see `Near`)."""
        if not self.near:
            return self.session.resolve(tables)
        network, model, matrix = self.session.read(tables)
        return Solution(model, matrix, self.near.changed(matrix, members, least), network)

    def unit(self, rule: str, index: tuple) -> str:
        """What a member of a limit is counted in."""
        return self.network.lanes.unit[index[:3]] if rule == "lane_limit" else LIMITS[rule].unit

    def row(self, rule: str, *index: Any) -> int:
        """The row of a rule's member in the matrix."""
        return self.matrix.rows[rule].start + self._position(rule)[index]

    def has(self, rule: str, *index: Any) -> bool:
        """Whether a rule has a member."""
        return rule in self.matrix.rows and index in self._position(rule)

    def _position(self, name: str, names: Names | None = None) -> dict[tuple, int]:
        known = self.__dict__.setdefault("_positions", {})
        if name not in known:
            known[name] = {key: at for at, key in enumerate((names or self.matrix.rows[name]).keys)}
        return known[name]

    def at(self, row: int) -> tuple[str, tuple]:
        """The rule and the index that a row of the matrix belongs to."""
        rows = self.matrix.rows.items()
        rule, names = next(each for each in rows if 0 <= row - each[1].start < each[1].size)
        return rule, names.keys[row - names.start]

    def value(self, rule: str, *index: str) -> float:
        """What one more unit in a balance adds: without end, where it keeps a promise better."""
        row = self.row(rule, *index)
        kept = any(abs(one.shadow_price[row]) > NOTHING for one in self.answer.broken.values())
        return np.inf if kept else abs(self.answer.shadow_price[row])

    def coefficient(self, row: tuple[str, tuple], column: tuple[str, tuple]) -> float:
        """The coefficient of a decision in a rule, by names and indices."""
        names = self.matrix.columns[column[0]]
        at = names.start + self._position(column[0], names)[column[1]]
        first, end = self.matrix.a.indptr[[self.row(row[0], *row[1]), self.row(row[0], *row[1]) + 1]]
        where = first + np.flatnonzero(self.matrix.a.indices[first:end] == at)
        return float(self.matrix.a.data[where].sum())

    def binding(self, rule: str) -> Iterator[tuple]:
        """The index of every member of a rule whose next unit keeps a promise better or brings money."""
        names = self.matrix.rows.get(rule)
        if names is not None:
            for at in np.flatnonzero(self.steering[names.where] > NOTHING):
                yield names.keys[at]

    def supplying(self, rule: str) -> int:
        """The sign that what supplies a balance has in it: that of lost demand, of stock held, or its opposite.

        Which side of an equation Pyomo takes as its left is no matter of the model, so it is looked up.
        """
        first = self.matrix.rows[rule].keys[0]
        column = "lose" if rule == "demand_balance" else "hold"
        sign = int(np.sign(self.coefficient((rule, first), (column, first))))
        return -sign if rule == "stock_balance" else sign
