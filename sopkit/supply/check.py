"""Every rule of the plan again, in pandas, from tables alone: no answer of the solver is trusted twice.

Nothing here knows the model. Each rule reads input tables and plan tables and says by how much the plan breaks it; the
names of the rules are those of the model, so that a plan somebody has tampered with is caught by the name of the rule.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TypeAlias

import numpy as np
import pandas as pd

from sopkit.errors import StageError
from sopkit.tables import TABLES, Company

UNITS = 1e-4
"""Largest violation, in units, hours or people, that is the solver's tolerance (plus a millionth of the size)."""

PROFIT = "contribution after penalties"
"""The measure of table `supply_run` that revenue less all named costs must equal."""

CENT = 0.01
"""Largest difference in money, per named cost and month."""

PRICED_EXCEPTIONS = tuple(
    "left_waiting missing_end_stock stock_above_maximum space_overflow above_stock_budget out_of_order unfair_shares "
    "changing_the_plan".split()
)
"""Costs whose quantities stand in table `supply_exceptions` with their price."""

Violation: TypeAlias = pd.Series
"""By how much a rule is broken, over the places and months it was looked at; 0 or less = it holds."""


def checks(
    inputs: dict[str, pd.DataFrame], company: Company, cycle: str, plan: dict[str, pd.DataFrame]
) -> tuple[pd.DataFrame, list[str]]:
    """Table `supply_checks` of a plan, and a sentence for every rule it breaks.

    `inputs` are the tables stage supply reads and `plan` those it writes, as declared.
    """
    again = _Again(inputs, company, cycle, plan)
    rows, broken = [], []
    for rule, check in again.rules().items():
        violation = check()
        worst = float(violation.max()) if len(violation) else 0.0
        holds = not worst > 0  # NaN never holds
        holds = holds and not violation.isna().any()
        rows.append({"rule": rule, "rows": len(violation), "worst": max(worst, 0.0), "holds": holds})
        if not holds:
            where = violation.fillna(np.inf).idxmax()
            place = ", ".join(
                f"{part:%b %Y}" if isinstance(part, pd.Timestamp) else str(part)
                for part in (where if isinstance(where, tuple) else (where,))
            )
            broken.append(f"{rule}: off by {worst:,.4g} at {place}")
    return TABLES["supply_checks"].conform(pd.DataFrame(rows)), broken


def checked(
    inputs: dict[str, pd.DataFrame], company: Company, cycle: str, plan: dict[str, pd.DataFrame]
) -> dict[str, pd.DataFrame]:
    """`plan` with table `supply_checks`; raises StageError naming every rule that the plan breaks."""
    table, broken = checks(inputs, company, cycle, plan)
    if broken:
        raise StageError(
            f"The supply plan breaks {len(broken)} of its own rules, so it is not saved:\n  " + "\n  ".join(broken)
        )
    return plan | {"supply_checks": table}


def _more(left: pd.Series, right: pd.Series | float, tolerance: float = UNITS) -> Violation:
    """By how much `left` exceeds `right` beyond the tolerance."""
    left, right = left.align(right, fill_value=0.0) if isinstance(right, pd.Series) else (left, right)
    return left - right - tolerance - 1e-6 * left.abs()


def _unequal(left: pd.Series, right: pd.Series, tolerance: float = UNITS) -> Violation:
    """By how much two sides of an equation differ beyond the tolerance; a side that is not there is 0."""
    left, right = left.align(right, fill_value=0.0)
    return (left - right).abs() - tolerance - 1e-6 * left.abs()


class _Again:
    """The tables once more, as Series keyed like the rules."""

    def __init__(
        self, inputs: dict[str, pd.DataFrame], company: Company, cycle: str, plan: dict[str, pd.DataFrame]
    ) -> None:
        self.given, self.plan, self.policies = inputs, plan, company.policies
        self.months = company.months(cycle)
        self.supply = plan["supply_plan"]
        self.made = self.supply[self.supply["mode"].ne("buy")]
        self.bought = self.supply[self.supply["mode"].eq("buy")].rename(columns={"source": "supplier"})
        self.lots = self.made.groupby(["item", "source", "site", "month"], as_index=False)["quantity"].sum()
        self.lots = self.lots.rename(columns={"source": "way"})
        self.shipped = plan["shipments"]
        self.stock = plan["stock"].set_index(["item", "site", "month"])
        self.deliveries = plan["deliveries"].set_index(["product", "market", "month"])
        self.load = plan["resource_load"].set_index(["resource", "month"])
        self.people = plan["people_plan"].set_index(["site", "skill", "month"])
        self.steps = self._steps()
        self.work = self._work()

    def rules(self) -> dict[str, Callable[[], Violation]]:
        """Every rule by its name in the model."""
        named = {name.removeprefix("rule_"): getattr(self, name) for name in dir(self) if name.startswith("rule_")}
        named["money: profit"] = self._profit
        return named | {f"money: {cost}": (lambda cost=cost: self._money(cost)) for cost in self.costs}

    # helpers ---------------------------------------------------------------------------------------------------
    def _steps(self) -> pd.DataFrame:
        """Operations of every way with what each starts for one good unit of the last: 1 / product of later yields."""
        steps = self.given["routings"].copy()
        steps["way"] = steps["routing"].where(steps["routing"].ne(""), steps["resource"])
        steps = steps.sort_values(["item", "way", "operation", "resource"], ascending=[True, True, False, False])
        steps["started"] = 1.0 / steps.groupby(["item", "way"])["yield"].cumprod()
        where = self.given["resources"].set_index("resource")
        for column in ("skill", "crew", "hour_cost", "overtime_cost"):
            steps[column] = steps["resource"].map(where[column])
        return steps

    def _work(self) -> pd.DataFrame:
        """Hours of each lot on each resource, set-up included."""
        work = self.lots.merge(self.steps.rename(columns={"hours": "unit_hours"}), on=["item", "way"])
        work["hours"] = work["unit_hours"] * work["started"] * work["quantity"] + work["setup_hours"]
        return work

    def _limits(self, table: str, key: list[str], column: str) -> pd.Series:
        frame = self.given[table]
        return frame[frame[column].notna()].set_index(key)[column]

    def _monthly(self, limit: pd.Series) -> pd.Series:
        """A limit without month, for every planned month."""
        return (
            pd.concat({month: limit for month in self.months}, names=["month"]).reorder_levels(
                [*limit.index.names, "month"]
            )
            if len(limit)
            else pd.Series(dtype=float)
        )

    def _at(self, months: pd.Series | pd.Index) -> np.ndarray:
        """Position of each month in the plan; NaN for a month that is not planned."""
        position = {month: at for at, month in enumerate(self.months)}
        return np.array([position.get(month, np.nan) for month in months], dtype=float)

    def _at_month(self, values: pd.Series | pd.DataFrame, at: int) -> pd.Series | pd.DataFrame:
        """The rows of the planned month at position `at`, keyed by the rest."""
        return values[values.index.get_level_values("month") == self.months[at]].droplevel("month")

    def _late(self, frame: pd.DataFrame, arrival: str, lead: pd.Series) -> Violation:
        """Months by which an arrival differs from leaving + lead time, or lies beyond the horizon."""
        gap = self._at(frame[arrival]) - self._at(frame["month"]) - lead.to_numpy()
        return pd.Series(np.abs(gap), index=pd.MultiIndex.from_frame(frame[[*frame.columns[:3], "month"]]), dtype=float)

    def _over(self, table: str, frame: pd.DataFrame, key: list[str], column: str) -> pd.Series:
        """The entry of input `table` for each row of `frame`; NaN where there is none."""
        return frame[key].merge(self.given[table][[*key, column]], on=key, how="left")[column]

    # balances --------------------------------------------------------------------------------------------------
    def rule_opening_stock(self) -> Violation:
        first = self._at_month(self.stock["opening"], 0)
        given = self.given["inventory"].set_index(["item", "site"])["quantity"]
        return _unequal(first, given)

    def rule_stock_balance(self) -> Violation:
        key = ["item", "site", "month"]
        receipts = self.given["scheduled_receipts"]
        into = [
            receipts[receipts["month"].isin(self.months)].groupby(key)["quantity"].sum(),
            self.made.groupby(key)["quantity"].sum(),
            self.bought.groupby(["item", "site", "available"])["quantity"].sum().rename_axis(key),
            self._inward().groupby(["item", "destination", "arrival"])["quantity"].sum().rename_axis(key),
        ]
        bom = self.given["bom"].rename(columns={"quantity": "each"})
        started = self.steps.groupby(["item", "way"])["started"].max().rename("started").reset_index()
        used = self.lots.merge(started, on=["item", "way"]).merge(bom, on="item")
        used["quantity"] = used["quantity"] * used["started"] * used["each"]
        out = [
            used.groupby(["component", "site", "month"])["quantity"].sum().rename_axis(key),
            self.shipped.groupby(["item", "origin", "month"])["quantity"].sum().rename_axis(key),
            self.stock["scrapped"],
        ]
        stock, last = self.stock, self.stock["closing"].groupby(level=["item", "site"]).shift()
        first = stock.index.get_level_values("month") == self.months[0]
        return pd.concat(
            [
                _unequal(stock["received"], pd.concat(into).groupby(level=key).sum()),
                _unequal(stock["issued"], pd.concat(out).groupby(level=key).sum()),
                _unequal(stock["closing"], stock["opening"] + stock["received"] - stock["issued"]),
                _unequal(stock["opening"][~first], last[~first]),
                self._at_once(),
                -stock["closing"] - UNITS,
                -self.supply.set_index(["item", "site", "month"])["quantity"] - UNITS,
            ]
        )

    def _at_once(self) -> Violation:
        """What is made is there in the month in which it is made."""
        key = ["item", "site", "month"]
        return self._late(self.made[[*key, "available"]], "available", self.made["quantity"] * 0).droplevel(-1)

    def _inward(self) -> pd.DataFrame:
        return self.shipped[self.shipped["destination"].isin(self.given["sites"]["site"])]

    def _outward(self) -> pd.DataFrame:
        return self.shipped[self.shipped["destination"].isin(self.given["markets"]["market"])]

    def rule_nothing_waits_at_first(self) -> Violation:
        first = self._at_month(self.deliveries, 0)
        return _unequal(first["delivered"] + first["lost"] + first["backlog"], first["demand"])

    def rule_demand_balance(self) -> Violation:
        key = ["product", "market", "month"]
        asked = self.given["demand_plan"]
        asked = asked[asked["month"].isin(self.months)].set_index(key)["consensus"]
        arrived = self._outward().groupby(["item", "destination", "arrival"])["quantity"].sum().rename_axis(key)
        found = self.deliveries
        before = found["backlog"].groupby(level=["product", "market"]).shift().dropna()
        later = found.reindex(before.index)
        return pd.concat(
            [
                _unequal(found["demand"], asked),
                _unequal(found["delivered"], arrived),
                _unequal(later["delivered"] + later["lost"] + later["backlog"], later["demand"] + before),
            ]
        )

    def _unmet(self) -> pd.Series:
        frame = self.deliveries.reset_index()[["product", "market"]]
        return (
            self._over("service_policies", frame, ["product", "market"], "unmet")
            .fillna("lost")
            .set_axis(self.deliveries.index)
        )

    def rule_wait(self) -> Violation:
        forbidden = self._unmet().isin(["lost", "neither"])
        return self.deliveries.loc[forbidden, "backlog"] - UNITS

    def rule_lose(self) -> Violation:
        return self.deliveries.loc[self._unmet().eq("backlog"), "lost"] - UNITS

    def rule_resource_work(self) -> Violation:
        return _unequal(
            self.load["regular"] + self.load["overtime"], self.work.groupby(["resource", "month"])["hours"].sum()
        )

    def rule_opening_people(self) -> Violation:
        first = self._at_month(self.people, 0)
        start = self.given["workforce"].set_index(["site", "skill"])["people"]
        return _unequal(first["people"], start + first["hired"] - first["laid_off"])

    def rule_people_balance(self) -> Violation:
        change = self.people["people"].groupby(level=["site", "skill"]).diff().dropna()
        return _unequal(change, (self.people["hired"] - self.people["laid_off"]).reindex(change.index))

    # limits ----------------------------------------------------------------------------------------------------
    def rule_regular_capacity(self) -> Violation:
        capacity = self.given["capacity"].set_index(["resource", "month"])
        hours = (capacity["hours"] - capacity["maintenance"]).reindex(self.load.index)
        return _more(self.load["regular"], hours)

    def rule_overtime_capacity(self) -> Violation:
        return _more(
            self.load["overtime"],
            self._limits("capacity", ["resource", "month"], "overtime_limit").reindex(self.load.index),
        )

    def rule_smallest_run(self) -> Violation:
        least = self.steps.groupby(["item", "way"], as_index=False)["minimum_run"].max()
        lots = self.lots.merge(least, on=["item", "way"])
        lots = lots[lots["quantity"].gt(UNITS)].set_index(["item", "way", "month"])
        return _more(lots["minimum_run"], lots["quantity"])

    def rule_people_work(self) -> Violation:
        key = ["site", "skill", "month"]
        work = self.work.assign(
            need=self.work["hours"] * self.work["crew"]
            + self.work["people_hours"] * self.work["started"] * self.work["quantity"]
        )
        need = work[work["skill"].ne("")].groupby(key)["need"].sum()
        return pd.concat(
            [
                _more(need, self._hours_available() + self.people["overtime"]),
                _unequal(self.people["available"], self._hours_available()),
            ]
        )

    def _hours_available(self) -> pd.Series:
        people = self.people["people"]
        daily = (
            self.given["workforce"]
            .set_index(["site", "skill"])["hours_per_day"]
            .reindex(people.index.droplevel("month"))
        )
        days = self.given["calendar"].set_index("month")["working_days"].reindex(people.index.get_level_values("month"))
        return people * daily.to_numpy() * days.to_numpy()

    def _per_person(self, column: str) -> pd.Series:
        each = (
            self.given["workforce"].set_index(["site", "skill"])[column].reindex(self.people.index.droplevel("month"))
        )
        return pd.Series(each.to_numpy(), index=self.people.index)

    def rule_people_overtime_limit(self) -> Violation:
        return _more(self.people["overtime"], self.people["people"] * self._per_person("overtime_limit"))

    def rule_hiring_limit(self) -> Violation:
        return _more(self.people["hired"], self._per_person("most_hires").fillna(np.inf)).fillna(-np.inf)

    def rule_no_early_hires(self) -> Violation:
        at = self._at(self.people.index.get_level_values("month"))
        early = at < self._per_person("hire_lead_time")
        return self.people.loc[early, "hired"] - UNITS

    def rule_whole_people(self) -> Violation:
        if not self.policies.whole_people:
            return pd.Series(dtype=float)
        people = self.people[["people", "hired", "laid_off"]].stack()
        return (people - people.round()).abs() - UNITS

    def rule_supplier_capacity(self) -> Violation:
        key = ["supplier", "item", "site"]
        usual = self._monthly(self._limits("offers", key, "capacity"))
        special = self._limits("supplier_capacity", [*key, "month"], "capacity")
        limit = special.combine_first(usual) if len(usual) else special
        ordered = self.bought.groupby([*key, "month"])["quantity"].sum()
        offered = pd.MultiIndex.from_frame(self.given["offers"][key])
        unknown = ordered[~ordered.index.droplevel("month").isin(offered)]
        return pd.concat([_more(ordered, limit.reindex(ordered.index).fillna(np.inf)).fillna(-np.inf), unknown])

    def rule_smallest_order(self) -> Violation:
        key = ["supplier", "item", "site"]
        least = self._over("offers", self.bought, key, "minimum_order")
        violation = least.to_numpy() - self.bought["quantity"].to_numpy()
        return pd.Series(violation, index=pd.MultiIndex.from_frame(self.bought[[*key, "month"]])) - UNITS

    def rule_supplier_share(self) -> Violation:
        bought = self.bought.groupby(["supplier", "item", "site"])["quantity"].sum()
        total = bought.groupby(level=["item", "site"]).transform("sum")
        share = self.given["offers"].set_index(["supplier", "item", "site"])["share_limit"].reindex(bought.index)
        return _more(bought, share * total)

    def rule_no_late_orders(self) -> Violation:
        return self._late(
            self.bought[["supplier", "item", "site", "month", "available"]],
            "available",
            self._over("offers", self.bought, ["supplier", "item", "site"], "lead_time"),
        )

    def rule_lane_limit(self) -> Violation:
        sent = self.shipped.groupby(["origin", "destination", "month"])["quantity"].sum()
        limit = self._monthly(self._limits("lanes", ["origin", "destination"], "capacity"))
        return _more(sent, limit.reindex(sent.index).fillna(np.inf)).fillna(-np.inf)

    def rule_no_late_shipments(self) -> Violation:
        return self._late(
            self.shipped[["origin", "destination", "item", "month", "arrival"]],
            "arrival",
            self._over("lanes", self.shipped, ["origin", "destination"], "lead_time"),
        )

    def _received_young(self, frame: pd.Series, life: pd.Series) -> pd.Series:
        """For each key and month the sum of `frame` over the last shelf-life months; `life` by item."""
        wide = frame.unstack("month").reindex(columns=self.months).fillna(0.0)
        rows = {
            key: row.rolling(int(life[key[0] if isinstance(key, tuple) else key]), min_periods=1).sum()
            for key, row in wide.iterrows()
        }
        young = pd.DataFrame(rows).T
        young.index = wide.index
        young.columns = pd.Index(self.months, name="month")
        return young.stack()

    def _ageing(self) -> tuple[pd.Series, pd.Series, pd.Series]:
        """Shelf lives, closing stock of items that have one, and opening stock still young at each month's end."""
        life = pd.concat(
            [
                self.given["products"].set_index("product")["shelf_life"],
                self.given["materials"].set_index("material")["shelf_life"],
            ]
        )
        life = life[life.gt(0)]
        held = self.stock[self.stock.index.get_level_values("item").isin(life.index)]
        opening = self.given["inventory"].set_index(["item", "site"])
        at = self._at(held.index.get_level_values("month"))
        here = opening.reindex(held.index.droplevel("month"))
        young = here["quantity"].fillna(0.0).to_numpy() * (
            at + 1 + here["age"].fillna(0).to_numpy() < life.reindex(held.index.get_level_values("item")).to_numpy()
        )
        return life, held, pd.Series(young, index=held.index)

    def rule_shelf_life_at_site(self) -> Violation:
        life, held, opening = self._ageing()
        return (
            _more(held["closing"], self._received_young(held["received"], life) + opening)
            if len(held)
            else pd.Series(dtype=float)
        )

    def rule_shelf_life_in_network(self) -> Violation:
        life, held, opening = self._ageing()
        if held.empty:
            return pd.Series(dtype=float)
        inward = self._inward()
        inward = inward[inward["item"].isin(life.index)]
        arrived = inward.groupby(["item", "arrival"])["quantity"].sum().rename_axis(["item", "month"])
        sent = inward.groupby(["item", "month"])["quantity"].sum()
        level = ["item", "month"]
        total = held.groupby(level=level)[["closing", "received"]].sum()
        arrived, sent = arrived.reindex(total.index, fill_value=0.0), sent.reindex(total.index, fill_value=0.0)
        underway = (sent - arrived).groupby(level="item").cumsum()
        new = self._received_young(total["received"] - arrived, life)
        return _more(total["closing"] + underway, new + opening.groupby(level=level).sum())

    # policies --------------------------------------------------------------------------------------------------
    def _passed(self, cost: str, names: list[str]) -> pd.Series:
        """What table `supply_exceptions` says was passed, keyed by `names` (of place, item, month)."""
        exceptions = self.plan["supply_exceptions"]
        return exceptions[exceptions["cost"].eq(cost)].groupby(names)["amount"].sum()

    def _safety_wanted(self) -> pd.Series:
        """Safety stock at each month's end; of a product launched or retired while it is on sale in the next month."""
        held = self.stock.reset_index()[["item", "site", "month"]]
        wanted = self._over("policies", held, ["item", "site"], "safety_stock").fillna(0.0)
        sale = held.merge(self.given["products"].rename(columns={"product": "item"}), on="item", how="left")
        following = held["month"] + pd.DateOffset(months=1)
        idle = sale["launch_month"].gt(following) | sale["end_month"].lt(following)
        return pd.Series(wanted.mask(idle, 0.0).to_numpy(), index=self.stock.index)

    def rule_safety(self) -> Violation:
        held, missing, wanted = self.stock["closing"], self.stock["below_safety"], self._safety_wanted()
        return pd.concat([_more(wanted, held + missing), _unequal(self.stock["safety_stock"], wanted)])

    def rule_end_stock_target(self) -> Violation:
        target = self._limits("policies", ["item", "site"], "target_end_stock")
        safety = self._at_month(self._safety_wanted(), -1)
        wanted = target[target.gt(0)].combine_first(safety)
        held = self._at_month(self.stock["closing"], -1)
        passed = self._passed("missing_end_stock", ["item", "place"]).rename_axis(["item", "site"])
        return _more(wanted, held.add(passed, fill_value=0.0).reindex(wanted.index).fillna(0.0))

    def rule_stock_maximum(self) -> Violation:
        limit = self._monthly(self._limits("policies", ["item", "site"], "maximum_stock"))
        limit = limit.reindex(self.stock.index).dropna()
        passed = self._passed("stock_above_maximum", ["item", "place", "month"]).reindex(limit.index).fillna(0.0)
        return _more(self.stock["closing"].reindex(limit.index), limit + passed)

    def rule_space(self) -> Violation:
        storage = self._monthly(self._limits("sites", ["site"], "storage"))
        volume = pd.concat(
            [
                self.given["products"].set_index("product")["volume"],
                self.given["materials"].set_index("material")["volume"],
            ]
        )
        held = self.stock["closing"] * volume.reindex(self.stock.index.get_level_values("item")).to_numpy()
        used = held.groupby(level=["site", "month"]).sum()
        passed = self._passed("space_overflow", ["place", "month"])
        limit = storage.reindex(used.index).dropna()
        return _more(used.reindex(limit.index), limit + passed.reindex(limit.index).fillna(0.0))

    def rule_money_in_stock(self) -> Violation:
        cost = pd.concat(
            [
                self.given["products"].set_index("product")["standard_cost"],
                self.given["materials"].set_index("material")["standard_cost"],
            ]
        )
        value = self.stock["closing"] * cost.reindex(self.stock.index.get_level_values("item")).to_numpy()
        tied = _unequal(self.stock["value"], value, CENT)
        if self.policies.stock_budget is None:
            return tied
        total = value.groupby(level="month").sum()
        passed = self._passed("above_stock_budget", ["month"]).reindex(total.index).fillna(0.0)
        return pd.concat([tied, _more(total, self.policies.stock_budget + passed, CENT)])

    def rule_out_of_order(self) -> Violation:
        """Where demand is served by class, a unit short carries its premium; lost, for as long as it could wait."""
        if self.policies.allocation != "priority":
            return pd.Series(dtype=float)
        left = len(self.months) - self._at(self.deliveries.index.get_level_values("month"))
        lost = self.deliveries["lost"] * np.where(self._unmet().isin(["backlog", "either"]), left, 1)
        short = (self.deliveries["backlog"] + lost).rename_axis(["item", "place", "month"])
        return _unequal(short, self._passed("out_of_order", ["item", "place", "month"]))

    def rule_fair_share(self) -> Violation:
        """Within a class the worst share short is paid for in full: what is short is at most share x demand of all."""
        if self.policies.allocation != "fair_share":
            return pd.Series(dtype=float)
        due = self.deliveries.reset_index()
        due["place"] = "class " + due["market"].map(self.given["markets"].set_index("market")["priority"]).astype(str)
        waits = (
            due.groupby(["product", "market"])["demand"]
            .cumsum()
            .where(self._unmet().isin(["backlog", "either"]).to_numpy())
        )
        due["base"] = waits.fillna(due["demand"])
        given_up = due.groupby(["product", "market"])["lost"].cumsum().where(waits.notna(), due["lost"])
        due["short"] = due["backlog"] + given_up
        key = ["product", "place", "month"]
        due = due[due.groupby(["product", "market"])["delivered"].cumsum().gt(0)]  # markets that goods can have reached
        short = due.groupby(key)[["base", "short"]].sum()
        passed = self._passed("unfair_shares", ["item", "place", "month"]).rename_axis(key)
        return _more(short["short"], passed.reindex(short.index).fillna(0.0))

    def _as_planned(self, bought: bool) -> Violation:
        """What is made or bought differs from the last plan, in months that count, by no more than was paid for."""
        last = self.given["last_supply_plan"]
        frozen, priced = self.policies.frozen_months, self.policies.plan_change_price > 0
        said = set(last["month"])
        months = [month for at, month in enumerate(self.months) if month in said and (at < frozen or priced)]
        key = ["source", "item", "month"]
        now, then = (
            frame[frame["mode"].eq("buy") == bought].groupby(key)["quantity"].sum() for frame in (self.supply, last)
        )
        change = now.sub(then, fill_value=0.0).abs()
        change = change[change.index.get_level_values("month").isin(months)]
        passed = self._passed("changing_the_plan", ["place", "item", "month"]).rename_axis(key)
        return _more(change, passed.reindex(change.index).fillna(0.0))

    def rule_making_as_planned(self) -> Violation:
        return self._as_planned(bought=False)

    def rule_orders_as_planned(self) -> Violation:
        return self._as_planned(bought=True)

    # money -----------------------------------------------------------------------------------------------------
    @cached_property
    def costs(self) -> dict[str, pd.Series]:
        """Every named cost by month, from quantities of the plan and prices of the input tables."""
        shipped, stock = self.shipped, self.stock.reset_index()
        sold = self._outward().rename(
            columns={"item": "product", "destination": "market", "month": "left", "arrival": "month"}
        )
        price = self._over("demand_plan", sold, ["product", "market", "month"], "price").set_axis(sold.index)
        price = price.fillna(sold["product"].map(self.given["products"].set_index("product")["price"]))
        lots = self.lots.merge(
            self.steps.assign(unit=self.steps["cost"] * self.steps["started"])
            .groupby(["item", "way"], as_index=False)
            .agg(unit=("unit", "sum"), set_up=("setup_cost", "sum")),
            on=["item", "way"],
        )
        resources = self.given["resources"].set_index("resource")
        load = self.load.reset_index()
        hold = self._over("policies", stock, ["item", "site"], "holding_cost").fillna(0.0)
        safe = self._over("policies", stock, ["item", "site"], "safety_stock_price").fillna(0.0)
        people = self.people.reset_index().merge(
            self.given["workforce"].drop(columns=["people"]), on=["site", "skill"], suffixes=("", "_each")
        )
        due = self.deliveries.reset_index()
        waits = self._over("service_policies", due, ["product", "market"], "backlog_price").fillna(0.0)
        loses = self._over("service_policies", due, ["product", "market"], "lost_price").fillna(0.0)
        emergency = self._exception_price("losing")
        loses = loses.where(self._unmet().ne("neither").to_numpy(), emergency)
        offer = self._over("offers", self.bought, ["supplier", "item", "site"], "price").set_axis(self.bought.index)

        def by_month(frame: pd.DataFrame, amount: pd.Series, month: str = "month") -> pd.Series:
            return pd.Series(np.asarray(amount, dtype=float)).groupby(frame[month].to_numpy()).sum()

        run = (
            (self.load["regular"] + self.load["overtime"])
            .groupby(level="resource")
            .diff()
            .abs()
            .fillna(0.0)
            .reset_index(name="change")
        )
        costs = {
            "revenue": by_month(sold, sold["quantity"] * price),
            "making": by_month(lots, lots["quantity"] * lots["unit"]),
            "regular_hours": by_month(load, load["regular"] * load["resource"].map(resources["hour_cost"])),
            "overtime_hours": by_month(load, load["overtime"] * load["resource"].map(resources["overtime_cost"])),
            "setting_up": by_month(lots, lots["set_up"]),
            "buying": by_month(self.bought, self.bought["quantity"] * offer, "available"),
            "freight": by_month(
                shipped,
                shipped["quantity"] * self._over("lanes", shipped, ["origin", "destination"], "cost").to_numpy(),
            ),
            "holding": by_month(stock, stock["closing"] * hold),
            "wages": by_month(people, people["people"] * people["wage"]),
            "people_overtime": by_month(people, people["overtime"] * people["overtime_cost"]),
            "hiring": by_month(people, people["hired"] * people["hire_cost"]),
            "laying_off": by_month(people, people["laid_off"] * people["layoff_cost"]),
            "changing_rate": by_month(run, run["change"] * run["resource"].map(resources["change_price"])),
            "waiting": by_month(due, due["backlog"] * waits),
            "losing": by_month(due, due["lost"] * loses),
            "missing_safety_stock": by_month(stock, stock["below_safety"] * safe),
        }
        exceptions = self.plan["supply_exceptions"]
        for cost in PRICED_EXCEPTIONS:
            some = exceptions[exceptions["cost"].eq(cost)]
            costs[cost] = by_month(some, some["amount"] * some["price"])
        return costs

    def _exception_price(self, cost: str) -> float:
        prices = self.plan["supply_exceptions"].query("cost == @cost")["price"]
        return float(prices.iloc[0]) if len(prices) else 0.0

    def _money(self, cost: str) -> Violation:
        table = self.plan["supply_costs"]
        said = table[table["cost"].eq(cost)].groupby("month")["amount"].sum()
        return _unequal(said, self.costs[cost], CENT)

    def _profit(self) -> Violation:
        costs = self.plan["supply_costs"]
        signed = costs["amount"].where(costs["cost"].eq("revenue"), -costs["amount"])
        said = self.plan["supply_run"].set_index("measure")["value"][PROFIT]
        gap = abs(signed.sum() - float(said.replace(",", "")))
        return pd.Series({"profit": gap - CENT - 1e-8 * signed.abs().sum()})
