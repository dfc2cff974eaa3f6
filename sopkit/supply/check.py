"""Every rule of the plan again, in pandas, from tables alone: no answer of the solver is trusted twice.

Nothing here knows the model. Each rule compares the plan tables with what `recount` derives from them and from the
input tables, prices included, and says by how much the plan breaks it. The names of the rules are those of the model,
so that a plan somebody has tampered with is caught by the name of the rule.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, partialmethod
from typing import TypeAlias

import numpy as np
import pandas as pd

from sopkit.book import Book
from sopkit.book.known import Known
from sopkit.errors import StageError
from sopkit.supply import shifts
from sopkit.supply.ages import too_old
from sopkit.supply.recount import COSTS, DUE, EXCEPTION, LANE, OFFER, STOCK, WAY, Recount, days_of
from sopkit.tables import TABLES
from sopkit.tables.declare import DAYS_A_MONTH

# largest violation, in units, hours or people, that is the solver's tolerance (plus a millionth of the size)
UNITS = 1e-4

CENT = 0.01  # largest difference in money, per named cost and month

# the measure of table `supply_run` that revenue less all named costs must equal
PROFIT = "contribution after penalties"

# by how much a rule is broken, over the places and months it was looked at; 0 or less = it holds. Or parts of it
Violation: TypeAlias = pd.Series


def checks(book: Book, plan: dict[str, pd.DataFrame], known: Known | None = None) -> tuple[pd.DataFrame, list[str]]:
    """Table `supply_checks` of a plan, and a sentence for every rule it breaks.

    `book` holds the tables that stage supply reads, `plan` those it writes, as declared.
    """
    rows, broken = [], []
    for rule, check in _Rules(book, plan, known).rules().items():
        found = check()
        parts = [found] if isinstance(found, pd.Series) else found
        values = [part.to_numpy(dtype=float) for part in parts if len(part)]
        worst = max((float(np.fmax.reduce(part)) for part in values), default=0.0)
        holds = all((part <= 0).all() for part in values)  # NaN never holds
        rows.append({"rule": rule, "rows": sum(map(len, values)), "worst": max(worst, 0.0), "holds": holds})
        if not holds:
            where = pd.concat(parts).fillna(np.inf).idxmax()
            place = ", ".join(
                f"{part:%b %Y}" if isinstance(part, pd.Timestamp) else str(part)
                for part in (where if isinstance(where, tuple) else (where,))
            )
            broken.append(f"{rule}: off by {worst:,.4g} at {place}")
    return TABLES["supply_checks"].conform(pd.DataFrame(rows)), broken


def checked(book: Book, plan: dict[str, pd.DataFrame], known: Known | None = None) -> dict[str, pd.DataFrame]:
    """`plan` with table `supply_checks`; raises StageError naming every rule that the plan breaks."""
    table, broken = checks(book, plan, known)
    if broken:
        raise StageError(
            f"The supply plan breaks {len(broken)} of its own rules, so it is not saved:\n  " + "\n  ".join(broken)
        )
    return plan | {"supply_checks": table}


def _more(left: pd.Series, right: pd.Series | float, tolerance: float = UNITS) -> Violation:
    """By how much `left` exceeds `right` beyond the tolerance."""
    left, right = left.align(right, fill_value=0.0) if isinstance(right, pd.Series) else (left, right)
    one, other = left.to_numpy(float), np.asarray(right, dtype=float)
    return pd.Series(one - other - tolerance - 1e-6 * np.abs(one), left.index)


def _unequal(left: pd.Series, right: pd.Series, tolerance: float = UNITS) -> Violation:
    """By how much two sides of an equation differ beyond the tolerance; a side that is not there is 0."""
    left, right = left.align(right, fill_value=0.0)
    one, other = left.to_numpy(float), right.to_numpy(float)
    return pd.Series(np.abs(one - other) - tolerance - 1e-6 * np.abs(one), left.index)


def reported_number(run: pd.DataFrame, measure: str) -> float:
    """A measure of table `supply_run` without its unit; NaN where it is not there."""
    values = run.set_index("measure")["value"]
    return float(str(values.get(measure, "nan")).split(" ")[0].replace(",", ""))


def _sum(frames: list[tuple[pd.DataFrame, list[str]]], names: list[str]) -> pd.Series:
    """Quantities of frames, each with the columns that are its key, added up by these, called `names` from then on."""
    columns = zip(*([frame[name].to_numpy() for name in (*key, "quantity")] for frame, key in frames), strict=True)
    all_of = dict(zip((*names, "quantity"), map(np.concatenate, columns), strict=True))
    return pd.DataFrame(all_of).groupby(names)["quantity"].sum()


def _together(lines: pd.DataFrame, key: list[str], *limits: str) -> pd.DataFrame:
    """What is ordered or sent by `key`, all parts of it together, beside its `limits`."""
    groups = lines.groupby(key)
    return groups[list(limits)].first().assign(quantity=groups["quantity"].sum())


def _placed(gaps: pd.Series, lines: pd.DataFrame, key: list[str]) -> Violation:
    """The gaps of `lines` under their `key`, which only those are asked for that break a rule."""
    broken = not (gaps <= 0).all()
    return gaps.set_axis(pd.MultiIndex.from_frame(lines[key])) if broken else gaps


def _beyond_whole(lines: pd.DataFrame, lot: str) -> Violation:
    """Units by which quantities differ from a whole number of lots, where there are lots."""
    lines = lines[lines[lot].gt(0)]
    return (lines["quantity"] - (lines["quantity"] / lines[lot]).round() * lines[lot]).abs() - UNITS


class _Rules(Recount):
    """One method a rule."""

    def rules(self) -> dict[str, Callable[[], Violation]]:
        """Every rule by its name in the model."""
        named = {name.removeprefix("rule_"): getattr(self, name) for name in dir(self) if name.startswith("rule_")}
        named["money: profit"] = self._profit
        return named | {f"money: {cost}": (lambda cost=cost: self._money(cost)) for cost in COSTS}

    def _first(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The rows of the first planned month, keyed by the rest."""
        return frame[frame.index.get_level_values("month") == self.book.first].droplevel("month")

    def _moved(self, frame: pd.DataFrame, key: list[str], arrival: str) -> Violation:
        """By how much each part of what leaves in a month differs from what its lead time lets arrive in `arrival`.

        What leaves goes evenly over the month's 30 days, but in time for the last month; on a lane, of what can get
        too old, a part counts as a month.
        """
        whole, days = np.divmod(days_of(frame), DAYS_A_MONTH)
        ages = self.stock.loc[self.stock["shelf_life"].gt(0)].index.unique("item") if arrival == "arrival" else []
        later = (days / DAYS_A_MONTH).mask(frame["item"].isin(ages) & days.gt(0), 1.0)
        passed = self.at(frame[arrival]) - self.at(frame["month"]) - whole
        later = later.mask(self.at(frame["month"]) + whole + 1 >= len(self.months), 0.0)
        part = np.select([passed == 0, passed == 1], [1 - later, later])
        total = frame.groupby([*key, "month"])["quantity"].transform("sum")
        gap = (frame["quantity"] - part * total).abs() - UNITS - 1e-6 * total
        return _placed(gap, frame, [*key, "month"])

    # balances --------------------------------------------------------------------------------------------------
    def rule_opening_stock(self) -> Violation:
        return _unequal(self._first(self.stock)["opening"], _sum([(self.book["inventory"], STOCK[:2])], STOCK[:2]))

    def rule_stock_balance(self) -> Violation:
        receipts = self.book["scheduled_receipts"]
        used, came = (self.lots.merge(bills, on=WAY) for bills in (self.making.bills, self.making.by_products))
        for lots in (used, came):
            lots["quantity"] *= lots["started"] * lots["each"]
        into = [
            (receipts[receipts["month"].isin(self.months)], STOCK),
            (self.made, STOCK),
            (came, ["component", "site", "month"]),
            (self.bought, ["item", "site", "available"]),
            (self.inward, ["item", "destination", "arrival"]),
        ]
        out = [
            (used, ["component", "site", "month"]),
            (self.shipped, ["item", "origin", "month"]),
            (self.plan["stock"].assign(quantity=self.plan["stock"]["scrapped"]), STOCK),
        ]
        stock, last = self.stock, self.stock["closing"].groupby(level=["item", "site"]).shift()
        return [
            _unequal(stock["received"], _sum(into, STOCK)),
            _unequal(stock["issued"], _sum(out, STOCK)),
            _unequal(stock["closing"], stock["opening"] + stock["received"] - stock["issued"]),
            _unequal(stock["opening"], last.fillna(stock["opening"])),
            (self.made["available"] != self.made["month"]).astype(float),  # what is made is there in its month
            -stock["closing"] - UNITS,
            -_sum([(self.plan["supply_plan"], STOCK)], STOCK) - UNITS,
        ]

    def rule_opening_backlog(self) -> Violation:
        first = self._first(self.due)
        return _unequal(first["delivered"] + first["lost"] + first["backlog"], first["demand"] + first["late"])

    def rule_demand_balance(self) -> Violation:
        due, asked = self.due, self.book["demand_plan"]
        before = due["backlog"].groupby(level=["product", "market"]).shift().dropna()
        later, planned = due.reindex(before.index), asked[asked["month"].isin(self.months)].set_index(DUE)["consensus"]
        return [
            _unequal(due["demand"], np.maximum(planned.reindex(due.index).fillna(0.0), due["firm"])),
            _unequal(due["delivered"], _sum([(self.outward, ["item", "destination", "arrival"])], DUE)),
            _unequal(later["delivered"] + later["lost"] + later["backlog"], later["demand"] + before),
        ]

    def rule_wait(self) -> Violation:
        return self.due.loc[~self.due["waits"], "backlog"] - UNITS

    def rule_lose(self) -> Violation:
        return self.due.loc[self.due["unmet"].eq("backlog"), "lost"] - UNITS

    def rule_resource_work(self) -> Violation:
        load = self.work.groupby(["resource", "month"])["load"].sum()
        return _unequal(self.load["regular"] + self.load["overtime"], load)

    def rule_opening_people(self) -> Violation:
        first = self._first(self.people)
        stay = first["people_given"] * (1 - first["attrition"]) + first["start"] - first["retire"]
        return _unequal(first["people"], stay + first["hired"] - first["laid_off"])

    def rule_people_balance(self) -> Violation:
        people = self.people
        before = people["people"].groupby(level=["site", "skill"]).shift()
        gone = before.fillna(people["people_given"]) * people["attrition"] + people["retire"]
        change = people["start"] + people["hired"] - gone - people["laid_off"]
        return [
            _unequal((people["people"] - before).dropna(), change[before.notna()]),
            _unequal(people["starting"], people["start"]),
            _unequal(people["leaving"], gone),
        ]

    # limits ----------------------------------------------------------------------------------------------------
    def rule_regular_capacity(self) -> Violation:
        limit = self.hours["regular"].reindex(self.load.index)
        return [_more(self.load["regular"], limit), _unequal(self.load["available"], limit)]

    def rule_overtime_capacity(self) -> Violation:
        limit = self.hours["overtime"].reindex(self.load.index)
        return [_more(self.load["overtime"], limit), _unequal(self.load["overtime_limit"], limit)]

    @cached_property
    def hours(self) -> pd.DataFrame:
        """Regular hours and overtime of each resource and month, as capacity and the shifts worked allow."""
        return shifts.hours(self)

    def rule_shifts_in_order(self) -> Violation:
        return shifts.without_the_one_before(self)

    def rule_shifts_in_date(self) -> Violation:
        """1 where a shift is worked outside of its dates."""
        rows, month = self.shifts, self.shifts.index.get_level_values("month")
        early, late = rows["valid_from"].gt(month), rows["valid_to"].lt(month)
        return (rows["worked"] & (early | late)).astype(float)

    def rule_shifts_kept(self) -> Violation:
        return shifts.kept_too_short(self)

    def rule_closed_takes_nothing(self) -> Violation:
        return shifts.where_closed(self, line=False) - UNITS

    def rule_closed_makes_nothing(self) -> Violation:
        return shifts.where_closed(self, line=True) - UNITS

    def rule_ways_in_date(self) -> Violation:
        lots = self.lots.set_index([*WAY, "month"], drop=False)
        early = lots["valid_from"].notna() & lots["month"].lt(lots["valid_from"])
        late = lots["valid_to"].notna() & lots["month"].gt(lots["valid_to"])
        return lots["quantity"].where(early | late, 0.0) - UNITS

    def rule_smallest_run(self) -> Violation:
        lots = self.lots[self.lots["quantity"].gt(UNITS)].set_index([*WAY, "month"])
        return _more(lots["minimum_run"], lots["quantity"])

    def rule_carried_from(self) -> Violation:
        """What a resource is still set up for was set up the month before, or was there and nothing else was set up."""
        claimed = self.load["carried_over"]
        if claimed.eq("").all():
            return pd.Series(0.0, claimed.index)
        needs = ["setup_hours", "setup_cost", "minimum_run", "family_setup_hours", "family_setup_cost"]
        takes = self.work[needs].gt(0).any(axis=1) | self.work["setup_family"].ne("")
        work = self.work[self.work["set_up"] & takes.groupby([self.work[name] for name in WAY]).transform("any")]
        new = (work["item"] + " / " + work["way"]).groupby([work["resource"], work["month"]]).agg(set).to_dict()
        before = claimed.groupby(level="resource").shift(fill_value="")
        last = pd.Series(self.months[:-1], self.months[1:]).reindex(claimed.index.get_level_values("month")).to_numpy()
        there = [new.get((r, at), set()) for (r, _), at in zip(claimed.index, last, strict=True)]
        came = [
            label in made or (label == old and not made)
            for label, old, made in zip(claimed, before, there, strict=True)
        ]
        may = pd.Series(came, claimed.index, dtype=bool) & self.load["setup_carry_over"].astype(bool)
        return (claimed.ne("") & ~may).astype(float)

    def rule_people_work(self) -> Violation:
        work = self.work[self.work["skill"].ne("")]
        by_hand = work["people_hours"] * work["started"] * work["quantity"]
        need = work.assign(need=work["load"] * work["crew"] + by_hand).groupby(["site", "skill", "month"])["need"].sum()
        people = self.people
        hours = people["people"] * people["hours_per_day"] * people["working_days"]
        return [_more(need, hours + people["overtime"]), _unequal(people["available"], hours)]

    def rule_people_overtime_limit(self) -> Violation:
        return _more(self.people["overtime"], self.people["people"] * self.people["overtime_limit"])

    def rule_hiring_limit(self) -> Violation:
        limited = self.people[self.people["most_hires"].notna()]
        return _more(limited["hired"], limited["most_hires"])

    def rule_no_early_hires(self) -> Violation:
        at = self.at(self.people.index.get_level_values("month"))
        return self.people.loc[at < self.people["hire_lead_time"], "hired"] - UNITS

    def rule_whole_people(self) -> Violation:
        people = self.people[["people", "hired", "laid_off"]].stack()
        return (people - people.round()).abs() - UNITS if self.policies.whole_people else people[:0]

    @cached_property
    def ordered(self) -> pd.DataFrame:
        """What is ordered of each offer by month, and its limits."""
        return _together(self.bought, [*OFFER, "month"], "capacity", "minimum_order", "order_multiple")

    @cached_property
    def sent(self) -> pd.DataFrame:
        """What is sent on each lane by month, in the lane's unit, and its limits."""
        return _together(self.shipped.assign(quantity=self.shipped["size"]), [*LANE, "month"], "capacity", "full_load")

    def rule_supplier_capacity(self) -> Violation:
        special = self.book["supplier_capacity"].set_index([*OFFER, "month"])["capacity"].reindex(self.ordered.index)
        limit = special.fillna(self.ordered["capacity"]).fillna(np.inf)
        return _more(self.ordered["quantity"], limit).fillna(-np.inf)

    def rule_smallest_order(self) -> Violation:
        return self.ordered["minimum_order"] - self.ordered["quantity"] - UNITS

    def rule_whole_lots(self) -> Violation:
        return _beyond_whole(self.ordered, "order_multiple")

    def rule_supplier_share(self) -> Violation:
        bought = _together(self.bought, OFFER, "share_limit")
        whole = bought.groupby(level=[1, 2])["quantity"].transform("sum")
        return _more(bought["quantity"], bought["share_limit"] * whole)

    def rule_vendor_limit(self) -> Violation:
        bought = self.bought.assign(counted=self.bought["quantity"] * self.bought["capacity_use"])
        limit = self.book["suppliers"].set_index("supplier")["capacity"].rename("limit")
        ordered = bought.groupby(["supplier", "month"])["counted"].sum().reset_index("month").join(limit)
        return _more(ordered["counted"], ordered["limit"].fillna(np.inf)).fillna(-np.inf)

    def rule_no_late_orders(self) -> Violation:
        return self._moved(self.bought, OFFER, "available")

    def rule_lane_limit(self) -> Violation:
        return _more(self.sent["quantity"], self.sent["capacity"].fillna(np.inf)).fillna(-np.inf)

    def rule_no_late_shipments(self) -> Violation:
        return self._moved(self.shipped, [*LANE, "item"], "arrival")

    def rule_full_loads(self) -> Violation:
        return _beyond_whole(self.sent, "full_load")

    def rule_ages(self) -> Violation:
        """What is used, sent or held is young enough, when goods are followed by their age."""
        return too_old(self) - UNITS

    # policies --------------------------------------------------------------------------------------------------
    def rule_safety(self) -> Violation:
        stock = self.stock
        missing = _more(stock["wanted"], stock["closing"] + stock["below_safety"])
        return [missing, _unequal(stock["safety_stock"], stock["wanted"])]

    def _passed(self, *costs: str) -> Violation:
        """By how much table `supply_exceptions` differs from what the plan's quantities pass of wishes and limits.

        Where a unit costs nothing and breaks no promise, more than needed may be passed.
        """
        return self._passing[self._passing.index.get_level_values("cost").isin(costs)]

    @cached_property
    def _passing(self) -> Violation:
        own = self.exceptions
        free = own.index[own["price"].eq(0) & own["promise"].eq("")]
        amount, needed = self.recorded["amount"].groupby(level=EXCEPTION).sum(), own["amount"]
        needed, amount = needed.align(amount, fill_value=0.0)
        gap = (needed - amount).where(needed.index.isin(free), (needed - amount).abs())
        return gap - UNITS - 1e-6 * needed.abs()

    def rule_carbon_cap(self) -> Violation:
        emitted = self.plan["supply_carbon"].groupby(["source", "month"])["carbon"].sum()
        return [_unequal(emitted, self.carbon), self._passed("carbon_above_cap")]

    def rule_scrap(self) -> Violation:
        return self.stock.loc[~self.stock["may_go"].astype(bool), "scrapped"] - UNITS

    def rule_money_in_stock(self) -> Violation:
        value = self.stock["closing"] * self.stock["standard_cost"]
        return [_unequal(self.stock["value"], value, CENT), self._passed("above_stock_budget")]

    def rule_fair_share(self) -> Violation:
        """Nobody is left shorter than the share paid for, and somebody is left as short."""
        if self.policies.allocation != "fair_share":
            return self._passed("unfair_shares")
        fair, key = self.fair.reset_index(), ["place", "item", "month"]
        paid = self.recorded[self.recorded.index.isin(["unfair_shares"], "cost")]["amount"].reset_index(key)
        fair = fair.merge(paid, "left", key).fillna({"amount": 0.0}).set_index(key)
        share = fair["amount"] / fair["base"].groupby(level=key).transform("sum")
        slack, size = fair["base"] * share - fair["short"], 1e-6 * fair["base"]
        return [-slack - UNITS - size, (slack - UNITS - size).groupby(level=key).min()]

    def _as_planned(self, bought: bool) -> Violation:
        gap = self._passed("changing_the_plan")
        lines = [self.plan["supply_plan"], self.book["last_supply_plan"]] if len(gap) else []
        sources = {source for some in lines for source in some.loc[some["mode"].eq("buy"), "source"]}
        return gap[gap.index.get_level_values("place").isin(sources) == bought]

    rule_end_stock_target = partialmethod(_passed, "missing_end_stock")
    rule_firm_orders_first = partialmethod(_passed, "missing_orders")
    rule_stock_maximum = partialmethod(_passed, "stock_above_maximum")
    rule_space = partialmethod(_passed, "space_overflow")
    rule_out_of_order = partialmethod(_passed, "out_of_order", "left_waiting", "losing")
    rule_making_as_planned = partialmethod(_as_planned, bought=False)
    rule_orders_as_planned = partialmethod(_as_planned, bought=True)

    # money -----------------------------------------------------------------------------------------------------
    @cached_property
    def _gaps(self) -> list[tuple[dict[str, np.ndarray], Violation]]:
        """Differences in money by month, and in prices, with the rows of each named cost."""
        found = self.plan["supply_costs"].groupby(["cost", "month"])["amount"].sum()
        gaps = [
            _unequal(found, self.costs, CENT),
            _unequal(self.recorded["price"], self.exceptions["price"].reindex(self.recorded.index), 1e-9),
            (self.recorded["promise"] != self.exceptions["promise"].reindex(self.recorded.index)).astype(float),
        ]
        return [(gap.groupby(level="cost").indices, gap) for gap in gaps if len(gap)]

    @cached_property
    def _paid(self) -> dict[str, Violation]:
        """By named cost: differences in money that stands beside a quantity."""
        making = ["making", "setting_up", "regular_hours", "overtime_hours"]
        made = self.costs[self.costs.index.isin(making, "cost")].groupby(level="month").sum()
        bought, shipped = self.bought, self.shipped
        paid = _unequal(bought["cost"], bought["quantity"] * bought["price"], CENT)
        freight = _unequal(shipped["cost"], shipped["quantity"] * shipped["cost_given"], CENT)
        return {
            "revenue": _unequal(self.due["price"], self.due["price_given"]),
            "making": _unequal(self.made.groupby("month")["cost"].sum(), made, CENT),
            "changing_shifts": _unequal(self.shifts["cost"], self.shifts["working"] + self.shifts["changing"], CENT),
            "buying": _placed(paid, bought, [*OFFER, "month"]),
            "freight": _placed(freight, shipped, [*LANE, "item", "month"]),
        }

    def _money(self, cost: str) -> list[Violation]:
        gaps = [gap.iloc[rows[cost]] for rows, gap in self._gaps if cost in rows]
        return gaps + ([self._paid[cost]] if cost in self._paid else [])

    def _profit(self) -> Violation:
        """Revenue less all costs is the contribution reported; what is said of promises is what the plan breaks."""
        costs = self.plan["supply_costs"]
        signed = costs["amount"].where(costs["cost"].eq("revenue"), -costs["amount"])
        run = self.plan["supply_run"]
        gap = abs(signed.sum() - reported_number(run, PROFIT)) - CENT - 1e-8 * signed.abs().sum()
        broken = self.recorded.groupby("promise")["amount"].sum().drop("", errors="ignore")
        reported = {name: reported_number(run, name.replace("_", " ")) for name in broken.index}
        counted = {name: abs(amount - reported[name]) - UNITS - 1e-4 * amount for name, amount in broken.items()}
        return pd.Series({"profit": gap} | counted)
