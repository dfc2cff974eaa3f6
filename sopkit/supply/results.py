"""The solved model as tables: the only form in which anyone else sees it."""

from __future__ import annotations

import pandas as pd
import pyomo.environ as pyo

from sopkit.supply.check import PROFIT
from sopkit.supply.formulation import formulation
from sopkit.supply.model import CASH, POLICY
from sopkit.supply.network import Network, among
from sopkit.supply.solve import Solution
from sopkit.tables import TABLES

NOTHING = 1e-6
"""Quantities below this are the solver's tolerance, not a decision."""


def written(network: Network, model: pyo.ConcreteModel, solution: Solution) -> dict[str, pd.DataFrame]:
    """Every table of stage supply but `supply_checks`, from a solved model; months are Timestamps again."""
    found = _Found(network, model, solution)
    tables = {
        "supply_plan": found.supply_plan(),
        "shipments": found.shipments(),
        "stock": found.stock(),
        "deliveries": found.deliveries(),
        "resource_load": found.resource_load(),
        "people_plan": found.people_plan(),
        "supply_costs": found.supply_costs(),
        "supply_exceptions": found.supply_exceptions(),
        "supply_formulation": formulation(model),
        "binding_limits": TABLES["binding_limits"].empty(),
        "supply_run": found.supply_run(),
    }
    return {name: TABLES[name].conform(frame) for name, frame in tables.items()}


def _stacked(parts: list[pd.DataFrame]) -> pd.DataFrame:
    """The rows of all `parts`; empty ones say nothing, not even of what kind a column is."""
    return pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)


class _Found:
    """Decisions as frames, one after the other; every frame has text months until it is written."""

    def __init__(self, network: Network, model: pyo.ConcreteModel, solution: Solution) -> None:
        self.network, self.model, self.solution = network, model, solution
        self.moment = dict(zip(network.time.months, network.time.timestamps, strict=True))
        self.position = {month: at for at, month in enumerate(network.time.months)}
        self.make = self._lines(model.make, "item way month")
        self.buy = self._lines(model.buy, "supplier item site month")
        self.ship = self._lines(model.ship, "origin destination item month")
        self.scrap = self._lines(model.scrap, "item site month")
        self.make["site"] = self._of(self.make, "item way", network.making.site)
        self.buy["available"] = self._later(self.buy, self._of(self.buy, "supplier item site", network.buying.lead))
        self.ship["arrival"] = self._later(self.ship, self._of(self.ship, "origin destination", network.lanes.lead))
        self.work = self._work()

    def _lines(self, component: pyo.Component, names: str, keep: str = "positive") -> pd.DataFrame:
        """A decision as rows: its index in columns called `names`, its value as `quantity`; noise is 0."""
        series = self.solution[component]
        series = series.where(series.abs() > NOTHING, 0.0)
        if keep == "positive":
            series = series[series.ne(0)]
        index = series.index.to_frame(index=False) if len(series) else pd.DataFrame(columns=range(len(names.split())))
        index.columns = names.split()
        return index.assign(quantity=series.to_numpy(dtype=float)).astype({name: object for name in names.split()})

    @staticmethod
    def _of(frame: pd.DataFrame, columns: str, values: dict, default: float | None = None) -> list:
        """For each row the entry of `values` under its columns."""
        names = columns.split()
        keys = frame[names[0]] if len(names) == 1 else zip(*(frame[name] for name in names), strict=True)
        return [values[key] if default is None else values.get(key, default) for key in keys]

    def _later(self, frame: pd.DataFrame, leads: list[int]) -> list[str]:
        months = self.network.time.months
        return [months[self.position[month] + lead] for month, lead in zip(frame["month"], leads, strict=True)]

    def _dated(self, frame: pd.DataFrame, *columns: str) -> pd.DataFrame:
        return frame.assign(**{name: pd.to_datetime(frame[name].map(self.moment)) for name in columns or ("month",)})

    def _work(self) -> pd.DataFrame:
        """Hours each lot takes of each resource, and which part of them is overtime (the resource's own share)."""
        network = self.network
        set_ups = self._lines(self.model.set_up, "item way month").assign(set_up=1.0).drop(columns="quantity")
        lots = self.make.merge(set_ups, on=["item", "way", "month"], how="left").fillna({"set_up": 0.0})
        operations = pd.DataFrame(network.resources.operations, columns=["item", "way", "resource"])
        operations["hours"] = self._of(operations, "item way resource", network.making.hours)
        operations["set_up_hours"] = self._of(operations, "item way resource", network.making.set_up_hours)
        work = lots.merge(operations, on=["item", "way"])
        work["hours"] = work["hours"] * work["quantity"] + work["set_up_hours"] * work["set_up"]
        overtime = self._lines(self.model.run_overtime, "resource month").rename(columns={"quantity": "overtime_run"})
        total = work.groupby(["resource", "month"])["hours"].transform("sum")
        work = (
            work.assign(total=total).merge(overtime, on=["resource", "month"], how="left").fillna({"overtime_run": 0.0})
        )
        share = (work["overtime_run"] / work["total"].where(work["total"].gt(0))).fillna(0.0).clip(upper=1.0)
        work["overtime"] = work["hours"] * share
        work["regular"] = work["hours"] - work["overtime"]
        work["regular_cost"] = work["regular"] * self._of(work, "resource", network.resources.hour_cost)
        work["overtime_cost"] = work["overtime"] * self._of(work, "resource", network.resources.overtime_cost)
        return work

    def supply_plan(self) -> pd.DataFrame:
        network = self.network
        key = ["item", "way", "site", "month"]
        lots = self.make.merge(
            self.work.groupby(["item", "way", "month"], as_index=False)[
                ["hours", "regular", "overtime", "regular_cost", "overtime_cost", "set_up"]
            ].agg(
                {
                    "hours": "sum",
                    "regular": "sum",
                    "overtime": "sum",
                    "regular_cost": "sum",
                    "overtime_cost": "sum",
                    "set_up": "max",
                }
            ),
            on=["item", "way", "month"],
            how="left",
        ).fillna(0.0)
        part = (lots["overtime"] / lots["hours"].where(lots["hours"].gt(0))).fillna(0.0)
        lots["other"] = lots["quantity"] * self._of(lots, "item way", network.making.cost) + lots["set_up"] * self._of(
            lots, "item way", network.making.set_up_cost
        )
        rows = []
        for mode, weight, hours in (("make_regular", 1 - part, "regular"), ("make_overtime", part, "overtime")):
            some = lots[key].assign(
                mode=mode,
                quantity=lots["quantity"] * weight,
                hours=lots[hours],
                cost=lots[f"{hours}_cost"] + lots["other"] * weight,
                available=lots["month"],
            )
            rows.append(
                some[some["quantity"].gt(NOTHING) | some["hours"].gt(NOTHING)].rename(columns={"way": "source"})
            )
        bought = self.buy.rename(columns={"supplier": "source"}).assign(mode="buy", hours=0.0)
        bought["cost"] = bought["quantity"] * self._of(bought, "source item site", network.buying.price)
        return self._dated(_stacked([*rows, bought]), "month", "available")

    def shipments(self) -> pd.DataFrame:
        cost = self.ship["quantity"] * self._of(self.ship, "origin destination", self.network.lanes.cost)
        return self._dated(self.ship.assign(cost=cost), "month", "arrival")

    def stock(self) -> pd.DataFrame:
        network, model = self.network, self.model
        if not network.flow.stocks:
            return TABLES["stock"].empty()
        every = pd.MultiIndex.from_tuples(
            [(i, n, t) for i, n in network.flow.stocks for t in network.time.months], names=["item", "site", "month"]
        )

        def summed(frame: pd.DataFrame, site: str = "site", month: str = "month", item: str = "item") -> pd.Series:
            return (
                frame.groupby([item, site, month])["quantity"]
                .sum()
                .rename_axis(every.names)
                .reindex(every, fill_value=0.0)
            )

        used = self.make.merge(
            pd.DataFrame(
                [(i, w, c, q) for (i, w, c), q in network.flow.usage.items()],
                columns=["item", "way", "component", "usage"],
            ),
            on=["item", "way"],
        )
        used["quantity"] *= used["usage"]
        receipts = (
            pd.Series(network.stock.receipts, dtype=float).reindex(every, fill_value=0.0)
            if network.stock.receipts
            else 0.0
        )
        held = self._lines(model.hold, "item site month", keep="all").set_index(every.names)["quantity"]
        closing = held.reindex(every)
        before = pd.MultiIndex.from_arrays(
            [every.get_level_values(0), every.get_level_values(1), every.get_level_values(2).map(network.time.previous)]
        )
        scrapped = summed(self.scrap)
        frame = pd.DataFrame(
            {
                "opening": held.reindex(before).to_numpy(),
                "received": receipts
                + summed(self.make)
                + summed(self.buy, month="available")
                + summed(
                    self.ship[self.ship["destination"].isin(network.flow.items_at)], site="destination", month="arrival"
                ),
                "issued": summed(used, item="component") + summed(self.ship, site="origin") + scrapped,
                "scrapped": scrapped,
                "closing": closing,
            },
            index=every,
        ).reset_index()
        frame["safety_stock"] = self._of(frame, "item site month", network.stock.safety_stock, 0.0)
        frame["below_safety"] = (frame["safety_stock"] - frame["closing"]).clip(lower=0.0)
        frame["value"] = frame["closing"] * self._of(frame, "item", network.stock.standard_cost)
        return self._dated(frame)

    def deliveries(self) -> pd.DataFrame:
        network = self.network
        if not network.demand.pairs:
            return TABLES["deliveries"].empty()
        every = pd.MultiIndex.from_tuples(
            [(p, k, t) for p, k in network.demand.pairs for t in network.time.months],
            names=["product", "market", "month"],
        )
        arrived = self.ship.groupby(["item", "destination", "arrival"])["quantity"].sum().rename_axis(every.names)
        waiting = self._lines(self.model.wait, "product market month", keep="all").set_index(every.names)["quantity"]
        lost = self._lines(self.model.lose, "product market month", keep="all").set_index(every.names)["quantity"]
        frame = pd.DataFrame(
            {
                "demand": pd.Series(network.demand.quantity, dtype=float)
                .rename_axis(every.names)
                .reindex(every, fill_value=0.0)
                if network.demand.quantity
                else 0.0,
                "delivered": arrived.reindex(every, fill_value=0.0),
                "backlog": waiting.reindex(every),
                "lost": lost.reindex(every),
            },
            index=every,
        ).reset_index()
        frame["price"] = self._of(frame, "product market month", network.demand.price)
        return self._dated(frame)

    def resource_load(self) -> pd.DataFrame:
        network = self.network
        frame = pd.DataFrame(
            [(r, t) for r in network.resources.names for t in network.time.months], columns=["resource", "month"]
        )
        hours = self.work.groupby(["resource", "month"])[["regular", "overtime"]].sum()
        frame = frame.merge(hours, left_on=["resource", "month"], right_index=True, how="left").fillna(0.0)
        sites = self.network.tables["resources"].set_index("resource")["site"]
        frame["site"] = frame["resource"].map(sites)
        frame["available"] = self._of(frame, "resource month", network.resources.regular_limit)
        frame["overtime_limit"] = self._of(frame, "resource month", network.resources.overtime_limit)
        frame["utilisation"] = (frame["regular"] + frame["overtime"]) / frame["available"].where(
            frame["available"].gt(0)
        )
        return self._dated(frame)

    def people_plan(self) -> pd.DataFrame:
        network, model = self.network, self.model
        if not network.people.crews:
            return TABLES["people_plan"].empty()
        names = ["site", "skill", "month"]
        people = self._lines(model.employ, " ".join(names), keep="all").rename(columns={"quantity": "people"})
        frame = people[people["month"].isin(network.time.months)]
        for name, component in (("hired", model.hire), ("laid_off", model.lay_off), ("overtime", model.work_overtime)):
            found = self._lines(component, " ".join(names), keep="all").rename(columns={"quantity": name})
            frame = frame.merge(found, on=names)
        frame["available"] = frame["people"] * self._of(frame, "site skill month", network.people.hours)
        skills = network.tables["resources"].set_index("resource")["skill"]
        machine = self.work.assign(skill=self.work["resource"].map(skills))
        machine = machine.assign(work=machine["hours"] * self._of(machine, "resource", network.people.crew_size))
        hand = self.make.merge(
            pd.DataFrame(
                [(i, w, k, h) for (i, w, _, k), h in network.making.people_hours.items()],
                columns=["item", "way", "skill", "hours"],
            ),
            on=["item", "way"],
        )
        hand = hand.assign(work=hand["quantity"] * hand["hours"])
        work = (
            _stacked([machine[[*names, "work"]], hand[[*names, "work"]]]).groupby(names, as_index=False)["work"].sum()
        )
        frame = frame.merge(work.astype(dict.fromkeys(names, object)), on=names, how="left").fillna({"work": 0.0})
        frame["used"] = frame["work"] - frame["overtime"].clip(upper=frame["work"])
        return self._dated(frame.drop(columns="work"))

    def supply_costs(self) -> pd.DataFrame:
        """Money by named cost: from quantities and prices where it belongs to an item, else from the model."""
        network, model = self.network, self.model

        def priced(
            cost: str, frame: pd.DataFrame, price: list, item: str = "item", month: str = "month"
        ) -> pd.DataFrame:
            return pd.DataFrame(
                {"cost": cost, "item": frame[item], "month": frame[month], "amount": frame["quantity"] * price}
            )

        def lines(component: pyo.Component, names: str) -> pd.DataFrame:
            return self._lines(component, names)

        sold = self.ship[self.ship["destination"].isin({market for _, market in network.demand.pairs})]
        held = lines(model.hold, "item site month")
        held = held[held["month"].isin(self.position)]
        wait, lost = lines(model.wait, "product market month"), lines(model.lose, "product market month")
        left = wait[wait["month"].eq(network.time.months[-1])]
        short = lines(model.fall_below_safety, "item site month")
        missed = lines(model.miss_end_stock, "item site month")
        above = lines(model.exceed_maximum, "item site month")
        lots = (
            self.work.groupby(["item", "way", "month"], as_index=False)["set_up"]
            .max()
            .rename(columns={"set_up": "quantity"})
        )
        parts = [
            priced("revenue", sold, self._of(sold, "item destination arrival", network.demand.price), month="arrival"),
            priced("making", self.make, self._of(self.make, "item way", network.making.cost)),
            self.work.rename(columns={"regular_cost": "amount"})[["item", "month", "amount"]].assign(
                cost="regular_hours"
            ),
            self.work.rename(columns={"overtime_cost": "amount"})[["item", "month", "amount"]].assign(
                cost="overtime_hours"
            ),
            priced("setting_up", lots, self._of(lots, "item way", network.making.set_up_cost)),
            priced(
                "buying", self.buy, self._of(self.buy, "supplier item site", network.buying.price), month="available"
            ),
            priced("freight", self.ship, self._of(self.ship, "origin destination", network.lanes.cost)),
            priced("holding", held, self._of(held, "item site", network.stock.holding_cost, 0.0)),
            priced("waiting", wait, self._of(wait, "product market", network.demand.waiting_price), "product"),
            priced("left_waiting", left, [network.demand.left_waiting_price] * len(left), "product"),
            priced("losing", lost, self._of(lost, "product market", network.demand.losing_price), "product"),
            priced("missing_safety_stock", short, self._of(short, "item site", network.stock.safety_price)),
            priced("missing_end_stock", missed, self._of(missed, "item site", network.stock.end_stock_price)),
            priced("stock_above_maximum", above, [network.demand.emergency_price] * len(above)),
        ]
        by_item = {part["cost"].iloc[0] for part in parts if len(part)}
        for cost in CASH + POLICY:
            if cost not in by_item:
                amounts = self.solution[model.component(cost)]
                month = amounts.index.get_level_values(-1) if amounts.index.nlevels > 1 else amounts.index
                item = amounts.index.get_level_values(0) if amounts.index.nlevels > 1 else ""
                parts.append(pd.DataFrame({"cost": cost, "item": item, "month": month, "amount": amounts.to_numpy()}))
        costs = _stacked(parts)
        costs = costs.groupby(["cost", "item", "month"], as_index=False)["amount"].sum()
        costs = costs[costs["amount"].abs().gt(NOTHING)]
        return self._dated(costs.assign(penalty=costs["cost"].isin(POLICY)))

    def supply_exceptions(self) -> pd.DataFrame:
        """Every wish or limit passed, with its price; safety stock, backlog and lost sales are in their own tables."""
        network, model = self.network, self.model
        last, emergency = network.time.months[-1], network.demand.emergency_price
        wait, lost = self._lines(model.wait, "item place month"), self._lines(model.lose, "item place month")
        left = wait[wait["month"].eq(last)] if network.demand.left_waiting_price else wait[:0]
        never = [
            network.demand.losing_price[pair] == emergency and not network.demand.may_wait[pair]
            for pair in zip(lost["item"], lost["place"], strict=True)
        ]
        missed = self._lines(model.miss_end_stock, "item place month")
        overflow = self._lines(model.overflow, "place month")
        over_budget = self._lines(model.exceed_budget, "month")
        above = self._lines(model.exceed_maximum, "item place month")
        months_short = self._of(lost, "item place month", network.allocation.months_short, 0.0)
        ranked = _stacked([wait, lost.assign(quantity=lost["quantity"] * months_short)])
        ranked = ranked[among(ranked, "item place", set(network.allocation.ranked))]
        ranked = ranked.groupby(["item", "place", "month"], as_index=False)["quantity"].sum()
        premium = [network.allocation.premium[network.allocation.market_class[market]] for market in ranked["place"]]
        unfair = self._lines(model.worst_share, "item place month")
        unfair["quantity"] *= self._of(unfair, "item place month", network.allocation.class_base)
        parts = [
            left.assign(cost="left_waiting", price=network.demand.left_waiting_price, unit="units"),
            lost[never].assign(cost="losing", price=emergency, unit="units"),
            ranked.assign(cost="out_of_order", price=premium, unit="units"),
            unfair.assign(
                cost="unfair_shares", price=self._of(unfair, "place", network.allocation.premium), unit="units"
            ).assign(place="class " + unfair["place"].astype(str)),
            missed.assign(
                cost="missing_end_stock",
                price=self._of(missed, "item place", network.stock.end_stock_price),
                unit="units",
            ),
            above.assign(cost="stock_above_maximum", price=emergency, unit="units"),
            overflow.assign(
                cost="space_overflow", price=self._of(overflow, "place", network.stock.overflow_price), unit="m3"
            ),
            over_budget.assign(cost="above_stock_budget", price=network.policies.stock_budget_price, unit="currency"),
        ]
        for component, names in (
            (model.make_more, "item place month"),
            (model.make_less, "item place month"),
            (model.order_more, "place item site month"),
            (model.order_less, "place item site month"),
        ):
            changed = (
                self._lines(component, names).groupby(["item", "place", "month"], as_index=False)["quantity"].sum()
            )
            parts.append(
                changed.assign(
                    cost="changing_the_plan",
                    price=self._of(changed, "month", network.last_plan.change_price),
                    unit="units",
                )
            )
        # what the last plan said of a way or an offer that is gone: no decision, so not charged, but said
        names = ["place", "item", "month", "quantity"]
        gone = pd.DataFrame([(*at, quantity) for at, quantity in network.kept.gone.items()], columns=names)
        parts.append(gone.assign(cost="changing_the_plan", price=0.0, unit="units"))
        frame = _stacked(parts).reindex(columns=["cost", "place", "item", "month", "unit", "quantity", "price"])
        frame = frame.fillna({"item": "", "place": ""})
        frame = (
            frame.assign(paid=frame["quantity"] * frame["price"])
            .groupby(["cost", "place", "item", "month", "unit"], as_index=False)
            .agg(amount=("quantity", "sum"), price=("price", "min"), most=("price", "max"), paid=("paid", "sum"))
        )
        frame["price"] = frame["price"].where(frame["price"].eq(frame["most"]), frame["paid"] / frame["amount"])
        return self._dated(frame.drop(columns=["most", "paid"]))

    def supply_run(self) -> pd.DataFrame:
        measures = self.solution.measures | {
            PROFIT: f"{self.solution.profit:,.2f}",
            "price of an emergency": self.network.demand.emergency_price,
            "allocation": self.network.policies.allocation,
        }
        said = {name: f"{value:,.6g}" if isinstance(value, float) else str(value) for name, value in measures.items()}
        return pd.DataFrame({"measure": list(said), "value": list(said.values())})
