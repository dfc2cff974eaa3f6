"""The solved model as tables: the only form in which anyone else sees it. Quantities and money are only read."""

from __future__ import annotations

import copy
from collections import defaultdict
from typing import Any

import numpy as np
import pandas as pd
import pyomo.environ as pyo

from sopkit.supply.check import PROFIT
from sopkit.supply.formulation import formulation
from sopkit.supply.model import CASH, POLICY, PROMISES
from sopkit.supply.network import START, Lists, Network, among, keys_of
from sopkit.supply.solve import Solution
from sopkit.tables import TABLES

NOTHING = 1e-6  # quantities below this are the solver's tolerance, not a decision

# where the item stands in the index of a named cost; of hours each item takes its share, other costs have no item
ITEM_AT = {"buying": 1, "freight": 2} | dict.fromkeys(
    "revenue making setting_up less_preferred disposing holding waiting losing missing_safety_stock "
    "missing_end_stock".split(),
    0,
)


# what a resource's lots share by their hours: columns, and the decision or cost that is shared
SHARED = {"overtime": "run_overtime", "regular_cost": "regular_hours", "overtime_cost": "overtime_hours"}


def written(network: Network, model: pyo.ConcreteModel, solution: Solution) -> dict[str, pd.DataFrame]:
    """Every table of stage supply but `supply_checks`, from a solved model; months are Timestamps again."""
    found = _Found(network, model, solution)
    tables = {
        "supply_plan": found.supply_plan(),
        "shipments": found.ship,
        "stock": found.stock(),
        "deliveries": found.deliveries(),
        "resource_load": found.resource_load(),
        "shift_plan": found.shift_plan(),
        "people_plan": found.people_plan(),
        "supply_costs": found.supply_costs(),
        "supply_carbon": found.supply_carbon(),
        "supply_exceptions": found.supply_exceptions(),
        "supply_formulation": formulation(model),
        "binding_limits": TABLES["binding_limits"].empty(),
        "supply_run": found.supply_run(),
    }
    moment = pd.Series(network.time.timestamps, network.time.months)
    for frame in tables.values():
        for column in ("month", "available", "arrival"):
            if column in frame and frame[column].dtype == object:  # `available` may also be hours
                frame[column] = frame[column].map(moment)
    return {name: TABLES[name].conform(frame) for name, frame in tables.items()}


def _stacked(parts: list[pd.DataFrame]) -> pd.DataFrame:
    """The rows of all `parts`; empty ones say nothing, not even of what kind a column is."""
    return pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)


def _rows(values: dict, *names: str) -> pd.DataFrame:
    """Keys and values of a dictionary, in columns called `names`."""
    return pd.DataFrame([(*key, value) for key, value in values.items()], columns=names)


class _Found:
    """Decisions and money as frames; months are text until they are written."""

    def __init__(self, network: Network, model: pyo.ConcreteModel, solution: Solution) -> None:
        self.network, self.model, self.solution = network, model, copy.copy(solution)
        noise = np.abs(solution.values) <= NOTHING
        if "worst_share" in solution.matrix.columns:  # a share of many units
            noise[solution.matrix.columns["worst_share"].where] = False
        self.solution.values = np.where(noise, 0.0, solution.values)
        self.make = self._lines("make", "item way month")
        self.buy = self._lines("buy", "supplier item site month")
        self.ship = self._lines("ship", "origin destination item month")
        self.make["site"] = self._of(self.make, "item way", network.making.site).astype(object)
        saving = defaultdict[Any, float](float)
        for (name, month), units in self._amounts("buy_cheaper").items():
            saving[*network.buying.break_offer[name][0], month] += units * network.buying.break_saving[name]
        offer = "supplier item site month"
        saved = self._of(self.buy, offer, saving, 0.0) / self.buy["quantity"]
        self.buy["price"] = self._of(self.buy, offer, network.buying.price) - saved
        self.buy = self._arriving(self.buy, "supplier item site", network.buying.parts, "available")
        self.buy["cost"] = self.buy["quantity"] * self.buy.pop("price")
        self.ship = self._arriving(self.ship, "origin destination item", network.lanes.parts, "arrival")
        self.ship["cost"] = self.ship["quantity"] * self._of(self.ship, "origin destination item", network.lanes.cost)
        self.ship["mode"] = self._of(self.ship, "origin", network.roads.mode)
        self.ship["origin"] = self._of(self.ship, "origin", network.roads.site)
        self.work = self._work()

    def _lines(self, name: str, index: str, *, quantity: str = "quantity", all_rows: bool = False) -> pd.DataFrame:
        """A decision or cost as rows: its index in columns called `index`, its value as `quantity`; without zeros."""
        values, names = self.solution.found(name)
        kept = slice(None) if all_rows else values != 0
        none = np.zeros(0, dtype=object)
        labels = [names.legend[codes[kept]] for codes in names.labels] if names else [none] * len(index.split())
        return pd.DataFrame({**dict(zip(index.split(), labels, strict=True)), quantity: values[kept]})

    def _amounts(self, name: str) -> dict:
        """The value of a decision or cost by its index."""
        values, names = self.solution.found(name)
        if names is None:
            return {}
        labels = [names.legend[codes].tolist() for codes in names.labels]
        return dict(zip(labels[0] if len(labels) == 1 else zip(*labels, strict=True), values.tolist(), strict=True))

    @staticmethod
    def _of(frame: pd.DataFrame, columns: str, values: dict, default: float | str | None = None) -> np.ndarray:
        """For each row the number, or text, of `values` under its columns."""
        keys = keys_of(frame, columns)
        found = [values[key] if default is None else values.get(key, default) for key in keys]
        return np.array(found, dtype=object if found and isinstance(found[0], str) else float)

    def _arriving(self, frame: pd.DataFrame, columns: str, parts: dict, arrival: str) -> pd.DataFrame:
        """A row for each part of what leaves in `month`, with the month in which it arrives."""
        known = Lists(((*key, month), (lead, part)) for (*key, lead, month), part in parts.items())
        keys = zip(*(frame[name] for name in (*columns.split(), "month")), strict=True)
        rows = [(row, lead, part) for row, key in enumerate(keys) for lead, part in known[key]]
        row, lead, part = np.array(rows, dtype=float).reshape(-1, 3).T
        frame, time = frame.take(row.astype(int)).reset_index(drop=True), self.network.time
        there = [time.months[at] for at in frame["month"].map(time.position) + lead.astype(int)]
        return frame.assign(**{arrival: np.array(there, dtype=object), "quantity": frame["quantity"] * part})

    def _amount(self, frame: pd.DataFrame, index: str, name: str, default: float = 0.0) -> np.ndarray:
        """For each row the value of a decision or cost under its columns `index`."""
        return self._of(frame, index, self._amounts(name), default)

    def _every(self, pairs: list[tuple], names: list[str]) -> pd.MultiIndex:
        return pd.MultiIndex.from_tuples([(*pair, t) for pair in pairs for t in self.network.time.months], names=names)

    def _work(self) -> pd.DataFrame:
        """Hours each lot takes of each resource, and its part of the resource's overtime and of the money for hours."""
        network, month = self.network, ["resource", "month"]
        lots = self.make.assign(set_up=self._amount(self.make, "item way month", "set_up"))
        work = lots.merge(pd.DataFrame(network.resources.operations, columns=["item", "way", "resource"]))
        making, step, set_up = network.making, "item way resource", work["set_up"].round()
        work["hours"] = self._of(work, step, making.hours) * work["quantity"]
        work["hours"] += self._of(work, step, making.set_up_hours) * set_up
        if making.families:  # a set-up that a family shares: alike for each lot that is set up
            work["family"] = self._of(work, step, making.families, "")
            lots_of = set_up.groupby([work["family"], work["month"]]).transform("sum")
            shared = self._of(work, "family", making.family_hours, 0.0) * set_up
            work["hours"] += (shared / lots_of.where(lots_of.gt(0))).fillna(0.0)
        for column, name in SHARED.items():
            work[column] = self._amount(work, "resource month", name)
        total = work.groupby(month)["hours"].transform("sum")
        share = (work["hours"] / total.where(total.gt(0))).fillna(0.0)
        work[[*SHARED]] = work[[*SHARED]].mul(share, axis=0)
        work["overtime"] = work[["overtime", "hours"]].min(axis=1)
        return work.assign(regular=work["hours"] - work["overtime"])

    def supply_plan(self) -> pd.DataFrame:
        """Lots, in regular time and overtime by their hours, and orders."""
        key, sums = ["item", "way", "month"], ["hours", "regular", "overtime", "regular_cost", "overtime_cost"]
        lots = self.make.merge(self.work.groupby(key)[sums].sum(), "left", left_on=key, right_index=True).fillna(0.0)
        paid = sum(self._amount(lots, "item way month", name) for name in ("making", "setting_up"))
        part = (lots["overtime"] / lots["hours"].where(lots["hours"].gt(0))).fillna(0.0)
        rows = []
        for mode, weight, hours in (("make_regular", 1 - part, "regular"), ("make_overtime", part, "overtime")):
            some = lots[["item", "site", "month"]].assign(
                mode=mode,
                source=lots["way"],
                quantity=lots["quantity"] * weight,
                hours=lots[hours],
                cost=lots[f"{hours}_cost"] + paid * weight,
                available=lots["month"],
            )
            rows.append(some[some["quantity"].gt(NOTHING) | some["hours"].gt(NOTHING)])
        rows.append(self.buy.rename(columns={"supplier": "source"}).assign(mode="buy", hours=0.0))
        return _stacked(rows)

    def stock(self) -> pd.DataFrame:
        """Opening stock, what comes in, what goes out and closing stock of each item and site by month."""
        network, names = self.network, ["item", "site", "month"]
        if not network.flow.stocks:
            return TABLES["stock"].empty()
        every = self._every(network.flow.stocks, names)

        place = {at: row for row, at in enumerate(every)}

        def summed(frame: pd.DataFrame, *key: str) -> np.ndarray:
            sums = frame["quantity"].groupby(self._of(frame, " ".join(key), place, -1).astype(int)).sum()
            found = np.zeros(len(every) + 1)
            found[sums.index] = sums  # the last is what has no row
            return found[:-1]

        used, out = (
            self.make.merge(_rows(of, "item", "way", "component", "each"), on=["item", "way"])
            for of in (network.flow.usage, network.flow.by_products)
        )
        for lots in (used, out):
            lots["quantity"] *= lots["each"]
        receipts = _rows(network.stock.receipts, *names, "quantity")
        inward = self.ship[self.ship["destination"].isin(network.flow.items_at)]
        scrapped = summed(self._lines("scrap", "item site month"), *names)
        held = self._lines("hold", "item site month", all_rows=True).set_index(names)["quantity"]
        before = every.set_levels(every.levels[2].map(network.time.previous), level=2)
        frame = pd.DataFrame(
            {
                "opening": held.reindex(before).to_numpy(),
                "received": summed(receipts, *names)
                + summed(self.make, *names)
                + summed(out, "component", "site", "month")
                + summed(self.buy, "item", "site", "available")
                + summed(inward, "item", "destination", "arrival"),
                "issued": summed(used, "component", "site", "month")
                + summed(self.ship, "item", "origin", "month")
                + scrapped,
                "scrapped": scrapped,
                "closing": held.reindex(every).to_numpy(),
            },
            every,
        ).reset_index()
        wanted, cover = {**network.stock.safety_stock}, network.stock.cover
        left = dict(zip(every, frame["issued"] - frame["scrapped"], strict=True)) if cover else {}
        for (*at, later), part in cover.items():
            wanted[*at] = wanted.get((*at,), 0.0) + part * left[*at[:2], later]
        frame["safety_stock"] = self._of(frame, "item site month", wanted, 0.0)
        frame["below_safety"] = (frame["safety_stock"] - frame["closing"]).clip(lower=0.0)
        return frame.assign(value=frame["closing"] * self._of(frame, "item", network.stock.standard_cost))

    def deliveries(self) -> pd.DataFrame:
        """Demand of each product and market by month, what arrived, waits and is lost."""
        network, index = self.network, "product market month"
        if not network.demand.pairs:
            return TABLES["deliveries"].empty()
        names = index.split()
        every = self._every(network.demand.pairs, names)
        arrived = self.ship.groupby(["item", "destination", "arrival"])["quantity"].sum().rename_axis(names)
        frame = pd.DataFrame({"delivered": arrived.reindex(every, fill_value=0.0)}).reset_index()
        for column, decision in (("backlog", "wait"), ("lost", "lose")):
            frame[column] = self._amount(frame, index, decision, np.nan)
        frame["demand"] = self._of(frame, index, network.demand.quantity, 0.0)
        return frame.assign(price=self._of(frame, index, network.demand.price))

    def resource_load(self) -> pd.DataFrame:
        """Hours of each resource by month."""
        resources, names = self.network.resources, ["resource", "month"]
        if not resources.names:
            return TABLES["resource_load"].empty()
        every = self._every([(name,) for name in resources.names], names)
        frame = self.work.groupby(names)[["regular", "overtime"]].sum().reindex(every, fill_value=0.0).reset_index()
        frame["site"] = frame["resource"].map(self.network.tables["resources"].set_index("resource")["site"])
        shifts, works = self.network.shifts, self._amounts("work_shift")

        def limit(own: dict, more: dict) -> np.ndarray:
            added = {(r, t): sum(more.get((h, t), 0.0) * round(works[h, t]) for h in shifts.of[r]) for r, t in own}
            return self._of(frame, "resource month", {at: hours + added[at] for at, hours in own.items()})

        frame["available"] = limit(resources.regular_limit, shifts.hours)
        frame["overtime_limit"] = limit(resources.overtime_limit, shifts.overtime)
        kept = self._amounts("carry_over").items()
        still = {(r, t): f"{i} / {w}" for (i, w, t), part in kept if part > 0.5 for r in resources.of[i, w]}
        frame["carried_over"] = self._of(frame, "resource month", still, "") if still else ""
        hours = frame["regular"] + frame["overtime"]
        return frame.assign(utilisation=hours / frame["available"].where(frame["available"].gt(0)))

    def shift_plan(self) -> pd.DataFrame:
        """Which shifts are worked and which sites are open."""
        shifts, index = self.network.shifts, "name month"
        rows = self._lines("work_shift", index, quantity="worked", all_rows=True)
        paid = self._amount(rows, index, "working_shifts") + self._amount(rows, index, "changing_shifts")
        rows = rows.assign(worked=rows["worked"].gt(0.5), cost=paid)
        places = {"place": self._of(rows, "name", shifts.place), "shift": self._of(rows, "name", shifts.number)}
        return rows.assign(**places)[TABLES["shift_plan"].names]

    def people_plan(self) -> pd.DataFrame:
        """People of each site and skill by month, and the hours they work."""
        network, index = self.network, "site skill month"
        if not network.people.crews:
            return TABLES["people_plan"].empty()
        names = index.split()
        frame = self._every(network.people.crews, names).to_frame(index=False)
        decided = {"people": "employ", "hired": "hire", "laid_off": "lay_off", "overtime": "work_overtime"}
        for column, decision in decided.items():
            frame[column] = self._amount(frame, index, decision, np.nan)
        frame["available"] = frame["people"] * self._of(frame, index, network.people.hours)
        frame["starting"] = self._of(frame, index, network.people.starting, 0.0)
        before = frame.groupby(names[:2])["people"].shift().to_numpy()
        before = np.where(np.isnan(before), self._of(frame, "site skill", network.people.employed), before)
        gone = 1.0 - self._of(frame, "site skill", network.people.staying)
        frame["leaving"] = before * gone + self._of(frame, index, network.people.leaving, 0.0)
        machine = self.work.merge(network.tables["resources"][["resource", "skill", "crew"]], on="resource")
        machine["work"] = machine["hours"] * machine["crew"]
        by_hand = _rows(network.making.people_hours, "item", "way", "site", "skill", "each")
        hand = self.make.merge(by_hand, on=["item", "way", "site"])
        hand["work"] = hand["quantity"] * hand["each"]
        work = _stacked([machine[[*names, "work"]], hand[[*names, "work"]]]).groupby(names)["work"].sum()
        needed = work.reindex(pd.MultiIndex.from_frame(frame[names]), fill_value=0.0).to_numpy()
        return frame.assign(used=needed - np.minimum(frame["overtime"], needed))

    def supply_costs(self) -> pd.DataFrame:
        """Revenue and every named cost by item and month, as the model has them."""
        parts = []
        for cost in ("revenue", *CASH, *POLICY):
            if cost in ("regular_hours", "overtime_hours"):
                part = [self.work[name].to_numpy() for name in ("item", "month", cost.replace("hours", "cost"))]
            else:
                amounts, names = self.solution.found(cost)
                labels = [names.legend[codes] for codes in names.labels] if names else [np.zeros(0, dtype=object)]
                none = np.full(len(amounts), "", dtype=object)
                part = [labels[ITEM_AT[cost]] if cost in ITEM_AT and names else none, labels[-1], amounts]
            some = part[-1] != 0
            parts.append([np.full(some.sum(), cost, dtype=object), *(column[some] for column in part)])
        columns = map(np.concatenate, zip(*parts, strict=True))
        costs = pd.DataFrame(dict(zip(("cost", "item", "month", "amount"), columns, strict=True)))
        costs = costs.groupby(["cost", "item", "month"], as_index=False)["amount"].sum()
        costs = costs[costs["amount"].abs().gt(NOTHING)]
        return costs.assign(penalty=costs["cost"].isin(POLICY))

    def supply_carbon(self) -> pd.DataFrame:
        """What each decision that emits any carbon emits, by month."""
        carbon, offer, ship = self.network.carbon, "place item site", "place destination item"
        parts = [
            ("making", "make", "item place", carbon.making),
            ("hours", "run", "place", carbon.hours),
            ("hours", "run_overtime", "place", carbon.hours),
            ("buying", "buy", offer, carbon.buying),
            ("freight", "ship", ship, carbon.freight),
        ]
        frames = []
        for source, decision, key, each in (part for part in parts if part[3]):
            lines = self._lines(decision, f"{key} month")
            frames.append(lines.assign(source=source, carbon=lines["quantity"] * self._of(lines, key, each, 0.0)))
        if not frames:
            return TABLES["supply_carbon"].empty()
        frame = _stacked(frames).reindex(columns=TABLES["supply_carbon"].names).fillna({"item": ""})
        frame["place"] = frame["place"].replace(self.network.roads.site)
        return frame[frame["carbon"].gt(0)].groupby(list(TABLES["supply_carbon"].key), as_index=False)["carbon"].sum()

    def supply_exceptions(self) -> pd.DataFrame:
        """Every wish or limit passed, with its price; safety stock, backlog and lost sales are in their own tables."""
        network, key = self.network, "item place month"
        allocation, stock, kept = network.allocation, network.stock, network.last_plan
        wait, orders, lost = (self._lines(decision, key) for decision in ("wait", "miss_orders", "lose"))
        wait, orders = wait[wait["month"].ne(START)], orders[orders["month"].ne(START)]
        short = lost.assign(quantity=lost["quantity"] * self._of(lost, key, allocation.months_short, 0.0))
        short = _stacked([wait, short])
        shares, last = self._lines("worst_share", key), network.time.months[-1]
        shares["quantity"] *= self._of(shares, key, allocation.class_base)
        shares = shares[shares["quantity"].gt(NOTHING)]
        missed, overflow = self._lines("miss_end_stock", key), self._lines("overflow", "place month")
        full = overflow["place"].isin(stock.full)
        # what the last plan had for a way or an offer that is gone is no decision, so it is reported and not charged
        gone = _rows(network.kept.gone, "place", "item", "month", "quantity")
        made = [self._lines(decision, key) for decision in ("make_more", "make_less")]
        ordered = [self._lines(decision, "place item site month") for decision in ("order_more", "order_less")]
        changes = _stacked(made + ordered)
        why = np.where(changes["month"].isin(kept.frozen), "broken_freeze", "")
        ending = wait[wait["month"].eq(last) & among(wait, "item place", set(network.demand.must_end))]
        parts = [
            ("losing", lost[among(lost, "item place", set(network.demand.must_be_met))], "unmet_promises", 0.0),
            ("left_waiting", ending, "unmet_promises", 0.0),
            ("missing_orders", orders, "short_orders", 0.0),
            ("out_of_order", short[among(short, "item place", set(allocation.ranked))], "out_of_order", 0.0),
            ("unfair_shares", shares.assign(place="class " + shares["place"].astype(str)), "unfair_shares", 0.0),
            ("missing_end_stock", missed, "", self._of(missed, "item place", stock.end_stock_price)),
            ("stock_above_maximum", self._lines("exceed_maximum", key), "stock_above_maximum", 0.0),
            ("carbon_above_cap", self._lines("exceed_carbon", "month"), "carbon_above_cap", 0.0),
            ("space_overflow", overflow[full], "overfull_space", 0.0),
            ("space_overflow", overflow[~full], "", self._of(overflow[~full], "place", stock.overflow_price)),
            ("above_stock_budget", self._lines("exceed_budget", "month"), "", stock.budget_price),
            ("changing_the_plan", gone, "", 0.0),
            ("changing_the_plan", changes, why, self._of(changes, "month", kept.change_price, 0.0)),
        ]
        keys = ["cost", "place", "item", "month"]
        parts = [part for part in parts if len(part[1])] or parts[:1]
        frame = pd.concat([frame.assign(cost=cost, promise=why, price=price) for cost, frame, why, price in parts])
        frame = frame.reindex(columns=[*keys, "quantity", "promise", "price"]).fillna({"item": "", "place": ""})
        groups = frame.assign(paid=frame["quantity"] * frame["price"]).groupby(keys)
        sums, most = groups[["quantity", "paid"]].sum(), groups[["promise", "price"]].max()
        price = most["price"].where(most["price"].eq(groups["price"].min()), sums["paid"] / sums["quantity"])
        frame = most.assign(amount=sums["quantity"], price=price).reset_index()
        units = {"space_overflow": "m3", "carbon_above_cap": "kg", "above_stock_budget": "currency"}
        return frame.assign(unit=frame["cost"].map(units).fillna("units"))

    def supply_run(self) -> pd.DataFrame:
        """How the plan was solved, what it earns, and what it breaks of each promise that comes before money."""
        whole = {name: float(self.solution[name].sum()) for name in PROMISES}
        measures = self.solution.measures | {
            PROFIT: f"{self.solution.profit:,.2f}",
            "gap in money": f"{self.solution.answer.gap:,.2f} {self.network.book.currency}",
            "allocation": self.network.policies.allocation,
            **{name.replace("_", " "): broken for name, broken in whole.items() if broken > NOTHING},
        }
        reported = {
            name: f"{value:,.6g}" if isinstance(value, float) else str(value) for name, value in measures.items()
        }
        return pd.DataFrame({"measure": list(reported), "value": list(reported.values())})
