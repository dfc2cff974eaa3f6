"""Why not more: what binds and its shadow price, why something is short, what would help, level against chase.

Worth comes from the linear model with its whole numbers held fixed: the profit that one more unit of a limit brings.
What a lever brings is found by solving again with it, never from a rule of thumb.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.sparse import csc_array

from sopkit.supply.matrix import Names
from sopkit.supply.model import CASH, POLICY
from sopkit.supply.network import START, Network
from sopkit.supply.solve import Loaded, Solution
from sopkit.tables import TABLES
from sopkit.words import money, month_name, span

if TYPE_CHECKING:
    from sopkit.supply.resolve import Session

NOTHING = 1e-6
MOST_LIMITS = 3
"""Limits named for one shortage, the dearest first."""

DEARER = 1.10
"""A second supplier is taken to cost 10 % more than the dearest one today; the lever's sentence says so."""

MARGIN = 1.25
"""A subcontractor without an offer is taken to ask standard cost plus a quarter; the lever's sentence says so."""

EXPRESS = 1.20
"""Goods that come at once are taken to cost 20 % more; the lever's sentence says so."""

WORTH_SAYING = 1e-5
"""A lever that brings less than this share of the profit is not named."""

TENTH, FIFTH = 0.10, 0.20

_STEERING = ("changing_rate", "stock_above_maximum")  # prices that force a plan to be level, or to chase demand


@dataclass(frozen=True)
class Limit:
    """How a rule of the model is spoken of: its unit, and what one more unit is, from the rule's index."""

    unit: str
    one_more: Callable[..., str]
    place: Callable[..., str]
    item: Callable[..., str] = lambda *_: ""


def _limits(network: Network) -> dict[str, Limit]:
    """The rules that are limits of something a company can have more of."""
    name = _names(network)
    return {
        "regular_capacity": Limit("hours", lambda r, t: f"hour on {name(r)}", lambda r, t: r),
        "overtime_capacity": Limit("hours", lambda r, t: f"overtime hour on {name(r)}", lambda r, t: r),
        "people_work": Limit("hours", lambda n, k, t: f"hour of {k} people at {name(n)}", lambda n, k, t: f"{n} {k}"),
        "people_overtime_limit": Limit(
            "hours", lambda n, k, t: f"overtime hour of {k} people at {name(n)}", lambda n, k, t: f"{n} {k}"
        ),
        "hiring_limit": Limit("people", lambda n, k, t: f"{k} person hired at {name(n)}", lambda n, k, t: f"{n} {k}"),
        "no_early_hires": Limit(
            "people", lambda n, k, t: f"{k} person who could start at {name(n)} at once", lambda n, k, t: f"{n} {k}"
        ),
        "supplier_capacity": Limit(
            "units",
            lambda s, i, n, t: f"unit of {name(i)} from {name(s)} for {name(n)}",
            lambda s, i, n, t: f"{s} {n}",
            lambda s, i, n, t: i,
        ),
        "lane_limit": Limit(
            "units", lambda o, d, t: f"unit on the way from {name(o)} to {name(d)}", lambda o, d, t: f"{o} {d}"
        ),
        "stock_maximum": Limit(
            "units",
            lambda i, n, t: f"unit of {name(i)} allowed in stock at {name(n)}",
            lambda i, n, t: n,
            lambda i, n, t: i,
        ),
        "space": Limit("m3", lambda n, t: f"m3 of space at {name(n)}", lambda n, t: n),
        "money_in_stock": Limit("currency", lambda t: "unit of money allowed in stock", lambda t: "company"),
    }


# rules that end a trail although nobody can have more of them
_GIVEN = {
    "opening_stock": ("units", lambda i, n: (n, i), "on hand at the start, because nothing new arrives in time"),
    "no_late_orders": (
        "units",
        lambda s, i, n, t: (f"{s} {n}", i),
        "ordered so late that it would arrive after the plan",
    ),
    "no_late_shipments": (
        "units",
        lambda o, d, i, t: (f"{o} {d}", i),
        "sent so late that it would arrive after the plan",
    ),
    "opening_people": ("people", lambda n, k: (f"{n} {k}", ""), "employed at the start"),
}


def _names(network: Network) -> Callable[[str], str]:
    """What people call a code."""
    known: dict[str, str] = {}
    for table, key in (
        ("resources", "resource"),
        ("sites", "site"),
        ("suppliers", "supplier"),
        ("markets", "market"),
        ("products", "product"),
        ("materials", "material"),
    ):
        frame = network.tables[table]
        known |= {code: name or code for code, name in zip(frame[key], frame["name"], strict=True)}
    return lambda code: known.get(code, code)


def explain(session: Session) -> dict[str, pd.DataFrame]:
    """Tables `binding_limits`, `why_short`, `levers` and `level_chase` of the session's base plan."""
    session.parts.changed(session.base.matrix)  # whatever was asked last
    explained = _Explained(session)
    tables = {
        "binding_limits": explained.binding_limits(),
        "why_short": explained.why_short(),
        "levers": explained.levers(),
        "level_chase": explained.level_chase(),
    }
    return {name: TABLES[name].conform(frame) if len(frame) else TABLES[name].empty() for name, frame in tables.items()}


class _Explained:
    """One solved plan, with what is needed to walk from a shortage to what binds."""

    def __init__(self, session: Session) -> None:
        self.session, self.solution = session, session.base
        self.network: Network = session.base.network
        self.currency = session.book.currency
        self.limits, self.name = _limits(self.network), _names(self.network)
        self.matrix, self.answer = self.solution.matrix, self.solution.answer
        self.time = dict(zip(self.network.time.months, self.network.time.timestamps, strict=True))

    # what binds --------------------------------------------------------------------------------------------------

    def binding_limits(self) -> pd.DataFrame:
        """Every limit whose next unit brings profit, ranked by shadow price."""
        rows = []
        use = self.matrix.a @ self.answer.values
        for rule, limit in self.limits.items():
            names = self.matrix.rows.get(rule)
            if names is None or rule == "no_early_hires":
                continue
            shadow_price = self.answer.shadow_price[names.where]
            for at in np.flatnonzero(shadow_price > NOTHING):
                index = names.keys[at]
                row = names.start + at
                size = self.matrix.row_upper[row]
                if rule in ("people_work", "people_overtime_limit"):  # the limit itself is decided: people's hours
                    size = self._people_hours(rule, index)
                rows.append(
                    {
                        "limit": rule,
                        "place": limit.place(*index),
                        "item": limit.item(*index),
                        "month": self.time[index[-1]],
                        "size": max(0.0, size if np.isfinite(size) else use[row]),
                        "unit": limit.unit,
                        "shadow_price": shadow_price[at],
                        "sentence": f"One more {limit.one_more(*index)} in {month_name(index[-1])} brings "
                        f"{money(shadow_price[at], self.currency)}.",
                    }
                )
        return (
            pd.DataFrame(rows).sort_values("shadow_price", ascending=False, kind="stable") if rows else pd.DataFrame()
        )

    def _people_hours(self, rule: str, index: tuple) -> float:
        site, skill, month = index
        hours = (
            self.network.people.hours[index]
            if rule == "people_work"
            else self.network.people.overtime_limit[site, skill]
        )
        return hours * self._employ[index]

    @property
    def _employ(self) -> pd.Series:
        return self.solution["employ"]

    # why something is short ----------------------------------------------------------------------------------------

    def why_short(self) -> pd.DataFrame:
        """For every shortage the limits that one more unit would need, found along the plan's own prices."""
        trail = _Trail(self.solution, self.limits)
        rows: list[dict] = []
        for kind, decision, rule in (
            ("lost", "lose", "demand_balance"),
            ("waiting", "wait", "demand_balance"),
            ("safety stock", "fall_below_safety", "stock_balance"),
        ):
            names, found = self.matrix.columns.get(decision), self.matrix.rows.get(rule)
            if names is None or found is None:
                continue
            row_of = {key: found.start + at for at, key in enumerate(found.keys)}
            more = self.supplying(rule)
            for index, quantity in self.solution[decision].items():
                if quantity > 1e-4 and index[-1] != START:
                    rows += self._trail_rows(kind, index, quantity, trail.more(row_of[index], more))
        return pd.DataFrame(rows)

    def supplying(self, rule: str) -> int:
        """The sign that what supplies a balance has in it: that of lost demand, or the opposite of stock held on.

        Which side of an equation Pyomo takes as its left is no matter of the model, so it is looked up.
        """
        rows, columns = self.matrix.rows[rule], self.matrix.columns["lose" if rule == "demand_balance" else "hold"]
        column = columns.start + columns.keys.index(rows.keys[0])
        sign = int(np.sign(self.matrix.a[[rows.start]].toarray()[0, column]))
        return sign if rule == "demand_balance" else -sign

    def _trail_rows(self, kind: str, index: tuple, quantity: float, ends: dict[int, float]) -> Iterator[dict]:
        item, place, month = index
        shadow_price = self.answer.shadow_price
        priced = sorted(
            ((needs * abs(shadow_price[row]), row, needs) for row, needs in ends.items()), key=lambda x: (-x[0], x[1])
        )
        head = (
            f"{self.name(item)} {'at' if kind == 'safety stock' else 'for'} {self.name(place)} "
            f"is {quantity:,.0f} short in "
            f"{month_name(month)}" + {"lost": " (lost)", "waiting": " (waiting)"}.get(kind, " of its safety stock")
        )
        common = {"kind": kind, "item": item, "place": place, "month": self.time[month], "quantity": quantity}
        if not priced:
            yield common | {
                "step": 1,
                "limit": "price",
                "limit_place": place,
                "limit_item": item,
                "limit_month": self.time[month],
                "needs": 1.0,
                "unit": "units",
                "shadow_price": 0.0,
                "sentence": f"{head}: no limit stands in the way, one more unit costs more than it brings.",
            }
        for step, (_, row, needs) in enumerate(priced[:MOST_LIMITS], start=1):
            rule, key = self._row(row)
            at = key[-1] if key[-1] in self.time else None
            if rule in self.limits:
                limit = self.limits[rule]
                where, what, unit = limit.place(*key), limit.item(*key), limit.unit
                said = (
                    f"one more unit needs {needs:,.3g} x one {limit.one_more(*key)} in {month_name(at)}, "
                    f"shadow price {money(abs(shadow_price[row]), self.currency)} each"
                )
            else:
                unit, place_and_item, reason = _GIVEN[rule]
                where, what = place_and_item(*key)
                said = f"one more unit needs {needs:,.3g} more {unit} of {self.name(what or where)} at {where} {reason}"
            yield common | {
                "step": step,
                "limit": rule,
                "limit_place": where,
                "limit_item": what,
                "limit_month": self.time[at] if at else pd.NaT,
                "needs": needs,
                "unit": unit,
                "shadow_price": abs(shadow_price[row]),
                "sentence": f"{head}: {said}.",
            }

    def _row(self, row: int) -> tuple[str, tuple]:
        for rule, names in self.matrix.rows.items():
            if names.start <= row < names.start + names.size:
                return rule, names.keys[row - names.start]
        raise KeyError(row)

    # what would help -------------------------------------------------------------------------------------------------

    def levers(self) -> pd.DataFrame:
        """Each lever that the plan does not have, priced, and what it brings: the plan solved again with it."""
        loaded: Loaded = self.session.parts.whole()
        base, rows = self.solution.profit, []
        for lever in sorted(_Levers(self).all(), key=lambda lever: (lever.lever, lever.place, lever.item)):
            profit, used = loaded.with_columns(lever.columns)
            gain, total = profit - base, float(used.sum())
            if gain <= max(1.0, WORTH_SAYING * abs(base)) or total <= NOTHING:
                continue
            cost = float(sum(-column[0] * amount for column, amount in zip(lever.columns, used, strict=True)))
            months = [month for month, amount in zip(lever.months, used, strict=True) if amount > NOTHING]
            during = span(min(months), max(months))
            rows.append(
                {
                    "lever": lever.lever,
                    "place": lever.place,
                    "item": lever.item,
                    "months": during,
                    "change": lever.change,
                    "used": total,
                    "unit": lever.unit,
                    "cost": max(0.0, cost),
                    "gain": gain,
                    "sentence": f"{lever.says}: {total:,.0f} {lever.unit} in {during} would bring "
                    + money(gain, self.currency)
                    + (f" after {money(cost, self.currency)} paid for it." if cost > 0 else "."),
                }
            )
        return pd.DataFrame(rows).sort_values("gain", ascending=False, kind="stable") if rows else pd.DataFrame()

    # level against chase ----------------------------------------------------------------------------------------------

    def level_chase(self) -> pd.DataFrame:
        """The plan, a level plan and a chase plan of the same company, month by month.

        Level: a change of a resource's hours from month to month costs so much that it hardly happens. Chase: no
        product may be held above its safety stock. Both prices steer only: the profit shown is without them.
        """
        tables = self.session.tables
        dear = 10 * self.network.demand.dearest
        level = {"resources": tables["resources"].assign(change_price=dear)}
        products = set(tables["products"]["product"])
        pairs = pd.DataFrame(
            [pair for pair in self.network.flow.stocks if pair[0] in products], columns=["item", "site"]
        )
        held = tables["policies"].merge(pairs, how="outer", on=["item", "site"])
        held = TABLES["policies"].conform(held)
        held["maximum_stock"] = held["maximum_stock"].where(~held["item"].isin(products), held["safety_stock"])
        chase = {"policies": held}
        frames = [self._by_month("plan", self.solution)]
        for strategy, changed in (("level", level), ("chase", chase)):
            frames.append(self._by_month(strategy, self.session.resolve(changed)))
        return pd.concat(frames, ignore_index=True)

    def _by_month(self, strategy: str, solution: Solution) -> pd.DataFrame:
        months, cost = self.network.time.months, self.network.stock.standard_cost

        def by_month(name: str) -> pd.Series:
            series = solution[name]
            return (
                series.groupby(level=-1).sum().reindex(months, fill_value=0.0)
                if len(series)
                else pd.Series(0.0, months)
            )

        hold = solution["hold"]
        value = hold * hold.index.get_level_values(0).map(cost).to_numpy(float)
        paid = sum((by_month(name) for name in (*CASH, *POLICY) if name not in _STEERING), pd.Series(0.0, months))
        regular, overtime = by_month("run"), by_month("run_overtime")
        return pd.DataFrame(
            {
                "strategy": strategy,
                "month": self.network.time.timestamps,
                "hours": (regular + overtime).clip(lower=0).to_numpy(),
                "overtime": overtime.clip(lower=0).to_numpy(),
                "stock_value": value.groupby(level=-1).sum().reindex(months).clip(lower=0).to_numpy(),
                "shortfall": (by_month("wait") + by_month("lose")).clip(lower=0).to_numpy(),
                "contribution_after_penalties": (by_month("revenue") - paid).to_numpy(),
            }
        )


class _Trail:
    """From a balance that could use one more unit to the limits in the way, along decisions the plan is indifferent to.

    At the best plan a decision that is used, or just not used, has no reduced cost: its own cost and the shadow price
    of all it takes make up the shadow price of what it gives. So the walk asks of each balance: which decision gives
    one more at the margin (reduced cost nearest 0), what does that take elsewhere, and does a limit with a shadow price
    stop it there?
    """

    def __init__(self, solution: Solution, limits: dict[str, Limit]) -> None:
        self.rows, self.columns = solution.matrix.a, csc_array(solution.matrix.a)
        self.shadow_price, self.reduced = solution.answer.shadow_price, solution.answer.reduced
        size = solution.matrix.shape[0]
        self.ends = np.zeros(size, dtype=bool)
        for rule in (*limits, *_GIVEN):
            if rule in solution.matrix.rows:
                self.ends[solution.matrix.rows[rule].where] = True
        self.through = np.zeros(size, dtype=bool)
        for rule in ("stock_balance", "demand_balance", "resource_work", "people_balance"):
            if rule in solution.matrix.rows:
                self.through[solution.matrix.rows[rule].where] = True
        self.shortage = np.zeros(solution.matrix.shape[1], dtype=bool)
        for decision in ("lose", "wait", "lay_off", "scrap", "fall_below_safety", "miss_end_stock"):
            if decision in solution.matrix.columns:
                self.shortage[solution.matrix.columns[decision].where] = True
        self.known: dict[tuple[int, int], dict[int, float]] = {}

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
        best = int(np.argmin(np.round(np.abs(self.reduced[columns]), 6)))
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


@dataclass(frozen=True)
class Lever:
    """One thing that could be done: extra columns of the model, one for each month, to use or not."""

    lever: str
    place: str
    item: str
    change: str
    unit: str
    says: str
    months: list[str] = field(default_factory=list)
    columns: list[tuple[float, float, np.ndarray, np.ndarray]] = field(default_factory=list)

    def add(self, month: str, cost: float, most: float, takes: dict[int, float]) -> None:
        """In `month` at most `most` units at `cost` each, which change rows by `takes`."""
        self.months.append(month)
        self.columns.append((-cost, most, np.array(list(takes), dtype="int32"), np.array(list(takes.values()))))


class _Levers:
    """The levers that could help this plan: only where a limit has a shadow price, or something is short."""

    def __init__(self, explained: _Explained) -> None:
        self.explained, self.network, self.name = explained, explained.network, explained.name
        self.solution, self.matrix = explained.solution, explained.matrix
        self.months = self.network.time.months
        self.position = {month: at for at, month in enumerate(self.months)}
        self.inflow = explained.supplying("stock_balance") if "stock_balance" in self.matrix.rows else 1
        self.row = {
            rule: {key: names.start + at for at, key in enumerate(names.keys)}
            for rule, names in self.matrix.rows.items()
        }

    def all(self) -> Iterator[Lever]:
        """Every candidate."""
        yield from self.overtime()
        yield from self.people()
        yield from self.suppliers()
        yield from self.subcontract()
        yield from self.build_ahead()
        yield from self.expedite()

    def binding(self, rule: str) -> dict[tuple, list[tuple]]:
        """The bound members of a rule, by what they are members of (the index without its month)."""
        names: Names | None = self.matrix.rows.get(rule)
        found: dict[tuple, list[tuple]] = {}
        if names is not None:
            for at in np.flatnonzero(self.solution.shadow_price[names.where] > NOTHING):
                index = names.keys[at]
                found.setdefault(index[:-1], []).append(index)
        return found

    def relaxed(
        self, rule: str, lever: Lever, members: list[tuple], most: Callable[[tuple], float], cost: float = 0.0
    ) -> Lever:
        """`lever` with a column for each member of `rule` that widens it."""
        for index in members:
            lever.add(index[-1], cost, most(index), {self.row[rule][index]: -1.0})
        return lever

    def overtime(self) -> Iterator[Lever]:
        """More overtime than agreed, by a tenth of the regular hours; the hours are paid at the overtime rate."""
        for (resource,), members in self.binding("overtime_capacity").items():
            lever = Lever(
                "overtime",
                resource,
                "",
                "capacity.overtime_limit + 10 % of the regular hours",
                "hours",
                f"More overtime on {self.name(resource)}",
            )
            yield self.relaxed(
                "overtime_capacity",
                lever,
                members,
                lambda index: TENTH * self.network.resources.regular_limit.get(index, 0.0),
            )

    def people(self) -> Iterator[Lever]:
        """People beyond what can be hired in a month, and temporary people before anyone hired could start."""
        for (site, skill), members in self.binding("people_work").items():
            wage, price = self.network.people.wage[site, skill], self.network.people.overtime_cost[site, skill]
            hourly = max(
                price,
                max(
                    (
                        wage / self.network.people.hours[index]
                        for index in members
                        if self.network.people.hours[index] > 0
                    ),
                    default=0.0,
                ),
            )
            lever = Lever(
                "temporary people",
                f"{site} {skill}",
                "",
                f"hours of {skill} people at {hourly:,.2f} an hour",
                "hours",
                f"Temporary {skill} people at {self.name(site)}, at {money(hourly, self.explained.currency)} an hour",
            )
            yield self.relaxed(
                "people_work",
                lever,
                members,
                lambda index: FIFTH * max(1.0, self.network.people.hours[index] * self.solution["employ"][index]),
                hourly,
            )
        for (site, skill), members in self.binding("hiring_limit").items():
            yield self.relaxed(
                "hiring_limit",
                Lever(
                    "hire",
                    f"{site} {skill}",
                    "",
                    "workforce.most_hires + 2",
                    "people",
                    f"Two more {skill} people hired at {self.name(site)}, decided by "
                    + self._decide_by(site, skill, members[0][-1]),
                ),
                members[:1],
                lambda index: 2.0,
            )

    def _decide_by(self, site: str, skill: str, start: str) -> str:
        crew = self.network.tables["workforce"].set_index(["site", "skill"]).loc[(site, skill)]
        return f"{pd.Timestamp(start + '-01') - pd.DateOffset(months=int(crew['hire_lead_time'])):%b %Y}"

    def suppliers(self) -> Iterator[Lever]:
        """More from a supplier at its limit, and a second supplier for the same item."""
        binding = self.binding("supplier_capacity")
        for (supplier, item, site), members in binding.items():
            lever = Lever(
                "more from supplier",
                f"{supplier} {site}",
                item,
                "offers.capacity + 20 %",
                "units",
                f"A fifth more {self.name(item)} from {self.name(supplier)} for {self.name(site)}",
            )
            yield self.relaxed(
                "supplier_capacity", lever, members, lambda index: FIFTH * self.network.buying.capacity[index]
            )
        for item, site in sorted({(item, site) for _, item, site in binding}):
            known = {
                s: self.network.buying.price[s, i, n]
                for s, i, n in self.network.buying.offers
                if (i, n) == (item, site)
            }
            price = DEARER * max(known.values())
            lead = max(self.network.buying.lead[s, item, site] for s in known)
            others = sorted({s for s, i, _ in self.network.buying.offers if i == item} - set(known))
            who = self.name(others[0]) if others else "a second supplier"
            most = max(self.network.buying.capacity.get((s, item, site, t), 0.0) for s in known for t in self.months)
            lever = Lever(
                "second supplier",
                site,
                item,
                f"offers: a new row at {price:,.2f}, {lead} months",
                "units",
                f"{self.name(item)} from {who} for {self.name(site)}, at {money(price, self.explained.currency)} "
                f"and {lead} months",
            )
            for month in self.months[lead:]:
                lever.add(month, price, most, {self.row["stock_balance"][item, site, month]: self.inflow})
            if lever.columns:
                yield lever

    def _short(self) -> dict[str, float]:
        """Units of each product that are short, at worst in a month."""
        short: dict[str, float] = {}
        for decision in ("lose", "wait", "fall_below_safety"):
            series = self.solution[decision]
            if len(series):
                by = series.groupby(level=[0, 2]).sum()
                for (item, _), quantity in by[by > 1e-4].items():
                    short[item] = max(short.get(item, 0.0), quantity)
        return short

    def subcontract(self) -> Iterator[Lever]:
        """A short product bought ready-made, from next month on, for the sites that deliver it to markets."""
        markets = {market for _, market in self.network.demand.pairs}
        for product, most in sorted(self._short().items()):
            sites = sorted({o for o, d, i in self.network.flow.ships if i == product and d in markets})
            offers = [self.network.buying.price[offer] for offer in self.network.buying.offers if offer[1] == product]
            price = max(offers) if offers else MARGIN * self.network.stock.standard_cost[product]
            for site in sites:
                lever = Lever(
                    "subcontract",
                    site,
                    product,
                    f"offers: a new row at {price:,.2f}, 1 month",
                    "units",
                    f"{self.name(product)} bought ready-made for {self.name(site)}, at "
                    f"{money(price, self.explained.currency)}",
                )
                for month in self.months[1:]:
                    lever.add(month, price, most, {self.row["stock_balance"][product, site, month]: self.inflow})
                yield lever

    def build_ahead(self) -> Iterator[Lever]:
        """Room to build ahead: more space, a higher stock maximum, a larger stock budget."""
        for rule, says, unit, column in (
            ("space", "More space at {0}", "m3", "sites.storage"),
            ("stock_maximum", "A higher stock maximum of {0} at {1}", "units", "policies.maximum_stock"),
            ("money_in_stock", "A larger stock budget", self.explained.currency, "company.yaml stock_budget"),
        ):
            for group, members in self.binding(rule).items():
                lever = Lever(
                    "build ahead",
                    group[-1] if group else "company",
                    group[0] if len(group) > 1 else "",
                    f"{column} + 20 %",
                    unit,
                    says.format(*map(self.name, group)),
                )
                yield self.relaxed(
                    rule,
                    lever,
                    members,
                    lambda index, rule=rule: FIFTH * float(self.matrix.row_upper[self.row[rule][index]]),
                )

    def expedite(self) -> Iterator[Lever]:
        """Open orders a month sooner, and new orders that come at once, dearer."""
        open_orders: dict[tuple[str, str], Lever] = {}
        for (item, site, month), quantity in sorted(self.network.stock.receipts.items()):
            at = self.position[month]
            if at == 0 or (item, site, month) not in self.row["stock_balance"]:
                continue
            sooner, later = (self.row["stock_balance"][item, site, self.months[at - k]] for k in (1, 0))
            if abs(self.solution.shadow_price[sooner] - self.solution.shadow_price[later]) <= NOTHING:
                continue
            lever = open_orders.setdefault(
                (item, site),
                Lever(
                    "expedite",
                    site,
                    item,
                    "scheduled_receipts.month - 1",
                    "units",
                    f"The open order of {self.name(item)} for {self.name(site)} a month sooner",
                ),
            )
            lever.add(self.months[at - 1], 0.0, quantity, {sooner: self.inflow, later: -self.inflow})
        yield from open_orders.values()
        for supplier, item, site in self.network.buying.offers:
            lead, price = (
                self.network.buying.lead[supplier, item, site],
                self.network.buying.price[supplier, item, site],
            )
            months = [
                month
                for month in self.months[:lead]
                if abs(self.solution.shadow_price[self.row["stock_balance"][item, site, month]]) > EXPRESS * price
            ]
            if months:
                lever = Lever(
                    "express order",
                    f"{supplier} {site}",
                    item,
                    f"offers.lead_time 0 at {EXPRESS * price:,.2f}",
                    "units",
                    f"{self.name(item)} from {self.name(supplier)} for {self.name(site)} at once, at "
                    f"{money(EXPRESS * price, self.explained.currency)}",
                )
                for month in months:
                    most = self.network.buying.capacity.get((supplier, item, site, month), np.inf)
                    lever.add(month, EXPRESS * price, most, {self.row["stock_balance"][item, site, month]: self.inflow})
                yield lever
