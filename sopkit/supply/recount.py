"""The plan's quantities and money once more, in pandas: beside each row of the plan what the input tables hold for it.

Nothing here knows the model; `check` compares what is counted here with what the plan reports. What tables call
unbreakable has no price: it is a promise, and comes before money.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
import pandas as pd

from sopkit.book import Book
from sopkit.book.known import Known, Tables
from sopkit.supply import shifts
from sopkit.tables import TABLES
from sopkit.tables.declare import DAYS_A_MONTH

STOCK, DUE, EXCEPTION = ["item", "site", "month"], ["product", "market", "month"], ["cost", "place", "item", "month"]
# revenue and every named cost of table `supply_costs`
COSTS = tuple(
    "revenue making regular_hours overtime_hours working_shifts changing_shifts setting_up setting_up_families buying "
    "missing_quota freight holding disposing wages people_overtime hiring laying_off changing_rate pricing_carbon "
    "less_preferred waiting losing missing_safety_stock missing_end_stock space_overflow above_stock_budget "
    "changing_the_plan".split()
)

UNITS = 5e-4  # units by which an order may miss the quantity of a lower price: half of what the model keeps apart

OFFER, WAY, LANE = ["supplier", "item", "site"], ["item", "way"], ["origin", "destination", "only", "mode"]


def days_of(frame: pd.DataFrame) -> pd.Series:
    """Days from leaving to arrival."""
    return frame["lead_time"] * DAYS_A_MONTH + frame["lead_days"]


class Making:
    """Ways of making: their operations (`steps`), what each costs, what goes into it and comes out beside it."""

    def __init__(self, tables: Tables) -> None:
        steps = tables["routings"].merge(tables["resources"], "left", "resource", suffixes=("", "_given"))
        steps["way"] = steps["routing"].where(steps["routing"].ne(""), steps["resource"])
        steps = steps.sort_values([*WAY, "operation", "resource"], ascending=[True, True, False, False])
        # an operation starts for one good unit of the way 1 / product of its own and later yields
        steps["started"] = 1.0 / steps.groupby(WAY)["yield"].cumprod()
        unit_cost, unit_carbon = (steps[name] * steps["started"] for name in ("cost", "carbon"))
        steps = steps.assign(unit_cost=unit_cost, unit_carbon=unit_carbon)
        groups, self.steps = steps.groupby(WAY), steps.drop(columns="site")
        ways = groups[["unit_cost", "setup_cost", "avoid_price", "unit_carbon"]].sum()
        ways = ways.join(groups[["started", "minimum_run", "valid_from"]].max()).join(groups["valid_to"].min())
        self.ways = ways.assign(way_site=groups["site"].first()).reset_index()
        bills = self.ways[[*WAY, "way_site"]].merge(tables["bom"].rename(columns={"quantity": "each"}), on="item")
        mine = bills["routing"].isin([""]) | bills["routing"].eq(bills["way"])
        bills = bills[mine].sort_values("routing", ascending=False)
        bills = bills.drop_duplicates([*WAY, "component"]).drop(columns="routing")
        out = bills.pop("by_product").astype(bool)
        self.bills, self.by_products = both = bills[~out], bills[out]
        self.parts, self.out = (some.groupby(WAY)["component"].agg(list).to_dict() for some in both)


class Recount:
    """The tables that stage supply reads (`book`) and writes (`plan`), counted again.

    `known`: what was made of input tables for another plan, taken again where none of them is another.
    """

    def __init__(self, book: Book, plan: dict[str, pd.DataFrame], known: Known | None = None) -> None:
        known = Known() if known is None else known
        self.book, self.plan, self.policies = book, plan, book.company.policies
        self.months = list(book.months)
        self.last = self.months[-1]
        lines = plan["supply_plan"]
        buys = lines["mode"].eq("buy")
        self.made = lines[~buys].rename(columns={"source": "way"})
        bought = self._beside(lines[buys].rename(columns={"source": "supplier"}), "offers", OFFER)
        self.bought = self._with_breaks(self.dated(bought, "dated_offers", "price", "price"))
        names = (("products", "product"), ("materials", "material"))
        self.things = pd.concat([book[table].rename(columns={key: "item"}) for table, key in names])
        self.items = self.things[["item", "weight", "volume"]]
        self.lanes = book["lanes"].rename(columns={"item": "only"})
        self.shipped = self._on_lanes(plan["shipments"])
        inner = self.shipped["destination"].isin(book["sites"]["site"])
        self.inward, self.outward = self.shipped[inner], self.shipped[~inner]
        self.making: Making = known.made(Making, book)
        lots = self.made.groupby([*WAY, "site", "month"], as_index=False)["quantity"].sum()
        self.load = self._beside(plan["resource_load"], "resources", ["resource"]).set_index(["resource", "month"])
        work = lots.merge(self.making.steps, on=WAY).join(self.load["carried_over"], ["resource", "month"])
        work["set_up"] = work["item"] + " / " + work["way"] != work["carried_over"]
        anew = work.groupby([*WAY, "month"], as_index=False)["set_up"].any()
        self.lots = lots.merge(self.making.ways, "left", WAY).merge(anew)
        work["load"] = work["hours"] * work["started"] * work["quantity"] + work["setup_hours"] * work["set_up"]
        shared = work["set_up"] & work["setup_family"].ne("")
        self.families = work[shared].drop_duplicates(["resource", "setup_family", "month"])
        lost = self.families.assign(load=self.families["family_setup_hours"], quantity=0.0, set_up=False)
        self.work = pd.concat([work, lost]) if len(lost) else work
        people = self._beside(plan["people_plan"], "workforce", ["site", "skill"])
        people = people.merge(book["calendar"], "left", "month")
        people = self.dated(people.assign(start=0.0), "dated_workforce", "starting", "start")
        people = self.dated(people.assign(retire=0.0), "dated_workforce", "leaving", "retire")
        for cost in ("wage", "hire_cost", "layoff_cost") if len(book["dated_workforce"]) else ():
            dated = self.dated(people.assign(dated=np.nan), "dated_workforce", cost, "dated")
            people[cost] = dated.groupby(["site", "skill"])["dated"].ffill().fillna(people[cost])
        self.people = people.set_index(["site", "skill", "month"])
        self.stock_lines, self.due_lines = self._stock(), self._due()
        self.stock, self.due = self.stock_lines.set_index(STOCK), self.due_lines.set_index(DUE)

    def _beside(self, frame: pd.DataFrame, table: str, key: list[str]) -> pd.DataFrame:
        """The rows of `frame`, and beside them those of input `table`: a column that both have is `..._given` there."""
        return frame.merge(self.book[table], "left", key, suffixes=("", "_given"))

    def dated(self, frame: pd.DataFrame, table: str, column: str, here: str) -> pd.DataFrame:
        """`frame` with its column `here` as `table` has `column` for the month, where it has one."""
        own = self.book[table]
        if own.empty or (own := own.dropna(subset=[column])).empty:
            return frame
        key = list(TABLES[table].key)
        found = own.set_index(key)[column].reindex(pd.MultiIndex.from_frame(frame[key]))
        return frame.assign(**{here: found.fillna(pd.Series(frame[here].to_numpy(), found.index)).to_numpy()})

    def _with_breaks(self, bought: pd.DataFrame) -> pd.DataFrame:
        """`bought` at the price of the last break that all that is ordered in the month reaches."""
        if self.book["price_breaks"].empty:
            return bought
        ordered = bought.groupby([*OFFER, "month"], as_index=False)["quantity"].sum()
        usual = self.book["offers"][[*OFFER, "price"]]
        reached = ordered.merge(self.book["price_breaks"], on=OFFER).merge(usual, on=OFFER, suffixes=("", "_usual"))
        reached = reached[reached["quantity"].ge(reached["from_quantity"] - UNITS)]
        reached = reached.assign(below=reached["price_usual"] - reached["price"])
        below = reached.groupby([*OFFER, "month"])["below"].max().rename("below").reset_index()
        bought = bought.merge(below, "left", [*OFFER, "month"])
        return bought.assign(price=bought["price"] - bought["below"].fillna(0.0))

    def _on_lanes(self, moved: pd.DataFrame) -> pd.DataFrame:
        """What moves, with its row of lanes: that of the item (column `only`), or that of all without one there."""
        own = pd.MultiIndex.from_frame(moved[["origin", "destination", "item", "mode"]])
        named = own.isin(pd.MultiIndex.from_frame(self.lanes[LANE]))
        moved = moved.assign(only=moved["item"].where(named, ""))
        moved = moved.merge(self.lanes, "left", LANE, suffixes=("", "_given")).merge(self.items, "left", "item")
        unit = moved["counted_in"]
        size = np.select([unit.eq("kg"), unit.eq("m3")], [moved["weight"], moved["volume"]], 1.0)
        return moved.assign(size=moved["quantity"] * size, cost_given=moved["cost_given"] * size)

    def at(self, months: pd.Series | pd.Index) -> np.ndarray:
        """The position of each month in the plan; NaN for a month that is not planned."""
        position = self.book.months.get_indexer(pd.DatetimeIndex(months)).astype(float)
        return np.where(position < 0, np.nan, position)

    def _stock(self) -> pd.DataFrame:
        """Stock by item, site and month, with its policy, its item and the safety stock wanted there.

        A product launched or retired has a safety stock at a month's end while it is on sale in the next month. Days of
        cover are parts of what leaves in the months after; after the horizon its average month goes on.
        """
        stock = self._beside(self.plan["stock"], "policies", ["item", "site"]).merge(self.things, "left", "item")
        numbers = ["safety_stock_given", "cover_days", "safety_stock_price", "holding_cost", "target_end_stock"]
        stock["may_go"] = stock["shelf_life"].gt(0) | stock["disposal_price"].notna()
        stock[numbers] = stock[numbers].fillna(0.0)
        stock = self.dated(stock, "dated_policies", "safety_stock", "safety_stock_given")
        rest = stock["cover_days"]
        leaves = (stock["issued"] - stock["scrapped"]).groupby([stock["item"], stock["site"]])
        for ahead in range(1, 1 + int(-(-rest.max() // DAYS_A_MONTH)) if len(rest) else 1):
            coming = leaves.shift(-ahead).fillna(leaves.transform("mean"))
            stock["safety_stock_given"] += rest.clip(0.0, DAYS_A_MONTH) / DAYS_A_MONTH * coming
            rest = rest - DAYS_A_MONTH
        following = stock["month"] + pd.DateOffset(months=1)
        idle = stock["launch_month"].gt(following) | stock["end_month"].lt(following)
        return stock.assign(wanted=stock["safety_stock_given"].mask(idle, 0.0))

    def _due(self) -> pd.DataFrame:
        """Demand by product, market and month, with its net price, its class and what may become of it unmet."""
        due = self._beside(self.plan["deliveries"], "service_policies", ["product", "market"])
        due = due.merge(self.book["demand_plan"][[*DUE, "price"]], "left", DUE, suffixes=("", "_given"))
        listed = due["product"].map(self.book["products"].set_index("product")["price"])
        due["priority"] = due["market"].map(self.book["markets"].set_index("market")["priority"])
        due["price_given"] = due["price_given"].fillna(listed)
        due["unmet"] = due["unmet"].fillna("lost")
        due["waits"] = due["unmet"].isin(["backlog", "either"])
        due["lost_price"] = due["lost_price"].mask(due["unmet"].eq("neither"), 0.0).fillna(0.0)
        due["backlog_price"] = due["backlog_price"].fillna(0.0)
        orders = self.book["customer_orders"]
        late = orders["month"].lt(self.book.first)
        for column, rows in (("late", orders[late].assign(month=self.book.first)), ("firm", orders[~late])):
            found = rows.groupby(DUE)["quantity"].sum() if len(rows) else rows["quantity"]
            places = pd.MultiIndex.from_frame(due[DUE]) if len(rows) else due.index
            due[column] = found.reindex(places, fill_value=0.0).to_numpy()
        return due

    @cached_property
    def reach(self) -> dict[tuple[str, str], int]:
        """The first month, counted from 0, in which an item can be at a site: on hand, ordered, bought, made, sent."""
        book = self.book
        first: dict[tuple[str, str], int] = {}
        receipts = book["scheduled_receipts"]
        receipts = receipts[receipts["month"].isin(self.months) & receipts["quantity"].gt(0)]
        on_hand = book["inventory"][book["inventory"]["quantity"].gt(0)]
        parts, out = self.making.parts, self.making.out
        lanes, offers = (frame.assign(first=days_of(frame) // DAYS_A_MONTH) for frame in (self.lanes, book["offers"]))
        onward = {
            o: some[["destination", "only", "mode", "first"]].to_numpy().tolist() for o, some in lanes.groupby("origin")
        }
        named = set(lanes[LANE].itertuples(index=False, name=None))
        comes = [
            *((item, site, 0) for item, site in zip(on_hand["item"], on_hand["site"], strict=True)),
            *zip(receipts["item"], receipts["site"], self.at(receipts["month"]), strict=True),
            *offers[["item", "site", "first"]].itertuples(index=False, name=None),
        ]
        ways = self.making.ways
        starts = ways["valid_from"].fillna(self.months[0]).clip(lower=self.months[0])
        gone = starts.gt(ways["valid_to"].fillna(self.last))
        opens = ways.assign(opens=pd.Series(self.at(starts), ways.index).mask(gone).fillna(np.inf))
        makes = opens[[*WAY, "way_site", "opens"]].to_numpy().tolist()
        news = True
        while news:
            made = [
                (one, n, max([opens, *(first.get((part, n), np.inf) for part in parts.get((i, w), []))]))
                for i, w, n, opens in makes
                for one in (i, *out.get((i, w), []))
            ]
            sent = [
                (i, to, month + lead)
                for (i, n), month in first.items()
                for to, only, by, lead in onward.get(n, [])
                if only == i or (only == "" and (n, to, i, by) not in named)
            ]
            news = False
            for item, site, month in [*comes, *made, *sent]:
                if month < first.get((item, site), len(self.months)):
                    first[item, site], news = month, True
        return first

    # what is passed, and at what price ---------------------------------------------------------------------------
    @cached_property
    def recorded(self) -> pd.DataFrame:
        """Table `supply_exceptions` by cost, place, item and month."""
        return self.plan["supply_exceptions"].set_index(EXCEPTION)

    @cached_property
    def exceptions(self) -> pd.DataFrame:
        """What the plan's quantities pass of every wish and limit (`amount`), and the price of a unit of it (`price`).

        By cost, place, item and month; `promise` names the promise that is broken, whose price is 0. The worst share
        short of a class is decided by the plan, so it has no amount.
        """
        due = self.due_lines.rename(columns={"market": "place", "product": "item"})
        stock = self.stock_lines.rename(columns={"site": "place"})
        ending, end = due[due["month"].eq(self.last)], stock[stock["month"].eq(self.last)]
        must, limited = due[due["unmet"].eq("neither")], stock[stock["maximum_stock"].notna()]
        target = end["target_end_stock"].where(end["target_end_stock"].gt(0), end["wanted"])
        missing_price = self.policies.end_stock_price or end["standard_cost"] + end["safety_stock_price"]
        above = (limited["closing"] - limited["maximum_stock"]).clip(lower=0)
        parts = [
            ("losing", must, must["lost"], 0.0, "unmet_promises"),
            ("missing_end_stock", end, (target - end["closing"]).clip(lower=0), missing_price, ""),
            ("stock_above_maximum", limited, above, 0.0, "stock_above_maximum"),
            self._missing_orders(due),
            self._carbon_above_cap(),
            self._space(stock),
            self._budget(stock),
            self._changes(),
        ]
        if self.policies.backlog_at_end == "forbidden":
            parts.append(("left_waiting", ending, ending["backlog"], 0.0, "unmet_promises"))
        if self.policies.allocation == "priority":  # lost where it could wait, a unit is short to the end
            to_the_end = np.where(due["waits"], len(self.months) - self.at(due["month"]), 1)
            parts.append(("out_of_order", due, due["backlog"] + due["lost"] * to_the_end, 0.0, "out_of_order"))
        if self.policies.allocation == "fair_share":
            shares = self.fair.reset_index().drop_duplicates(["item", "place", "month"])
            parts.append(("unfair_shares", shares, np.nan, 0.0, "unfair_shares"))
        frames = [
            frame.reindex(columns=EXCEPTION[1:], fill_value="").assign(
                cost=cost, amount=amount, price=price, promise=why
            )
            for cost, frame, amount, price, why in [part for part in parts if len(part[1])] or parts
        ]
        return pd.concat(frames).set_index(EXCEPTION)

    def _space(self, stock: pd.DataFrame) -> tuple:
        sites = self.book["sites"].rename(columns={"site": "place"})
        sites = sites[sites["storage"].notna()]
        stock = stock[stock["place"].isin(sites["place"])]
        used = (stock["closing"] * stock["volume"]).groupby([stock["place"], stock["month"]]).sum().rename("used")
        frame = used.reset_index().merge(sites, on="place")
        why = np.where(frame["overflow_price"].gt(0), "", "overfull_space")
        return "space_overflow", frame, (frame["used"] - frame["storage"]).clip(lower=0), frame["overflow_price"], why

    def _missing_orders(self, due: pd.DataFrame) -> tuple:
        """Firm orders, late ones too, that deliveries have not reached: each month's goes first to what is oldest."""
        if not due[["firm", "late"]].any(axis=None):
            return "missing_orders", due, 0.0, 0.0, "short_orders"
        wide = {name: self.due[name].unstack("month") for name in ("firm", "late", "delivered")}
        missing = pd.DataFrame(0.0, wide["firm"].index, wide["firm"].columns)
        left = pd.Series(0.0, missing.index)
        for month in missing:
            firm = wide["firm"][month] + wide["late"][month]
            left = missing[month] = (left + firm - wide["delivered"][month]).clip(lower=0.0)
        found = missing.stack().rename("amount").rename_axis(["item", "place", "month"]).reset_index()
        return "missing_orders", found, found["amount"], 0.0, "short_orders"

    @cached_property
    def carbon(self) -> pd.Series:
        """What is emitted, by source and month."""
        load, lots = self.load.reset_index(), self.lots
        parts = {
            "making": (lots["month"], lots["quantity"] * lots["unit_carbon"]),
            "hours": (load["month"], (load["regular"] + load["overtime"]) * load["carbon"]),
            "buying": (self.bought["month"], self.bought["quantity"] * self.bought["carbon"]),
            "freight": (self.shipped["month"], self.shipped["size"] * self.shipped["carbon"]),
        }
        found = {source: amount.groupby(month).sum() for source, (month, amount) in parts.items() if amount.any()}
        none = pd.MultiIndex.from_arrays([[], pd.DatetimeIndex([])], names=["source", "month"])
        return pd.concat(found, names=none.names).astype(float) if found else pd.Series(dtype=float, index=none)

    def _carbon_above_cap(self) -> tuple:
        cap = self.policies.carbon_cap
        frame = pd.DataFrame({"month": [self.last] if cap is not None else []})
        above = max(0.0, self.carbon.sum() - (cap or 0.0))
        return "carbon_above_cap", frame, above, 0.0, "carbon_above_cap"

    def _budget(self, stock: pd.DataFrame) -> tuple:
        budget = self.policies.stock_budget
        frame = self.book.at_cost(stock, "closing").groupby(stock["month"]).sum().rename("value").reset_index()
        frame = frame if budget is not None else frame[:0]
        above = (frame["value"] - (budget or 0)).clip(lower=0)
        return "above_stock_budget", frame, above, self.policies.stock_budget_price, ""

    def _changes(self) -> tuple:
        """Changes of what is made and bought, in months of the last plan that are frozen or whose change has a price.

        What it held of an offer that is gone, or of a way whose components nobody can have, is not charged.
        """
        last, key = self.book["last_supply_plan"], ["bought", "source", "item", "site", "month"]
        both = set(last["month"]) & set(self.months)
        if not both:
            return "changing_the_plan", last[:0], 0.0, 0.0, ""
        lines = pd.concat([self.plan["supply_plan"], last.assign(quantity=-last["quantity"])])
        lines = lines[lines["month"].isin(both)]
        lines["bought"] = lines["mode"].eq("buy")
        lines["site"] = lines["site"].where(lines["bought"], "")
        lines["frozen"] = self.at(lines["month"]) < self.policies.frozen_months
        lines["price"] = np.where(lines["frozen"], 0.0, self.policies.plan_change_price)
        lines = lines[lines["frozen"] | lines["price"].gt(0)]
        kept = {name: (name, "first") for name in ("price", "frozen")}
        change = lines.groupby(key).agg(amount=("quantity", "sum"), **kept).reset_index()
        offers = set(zip(*(self.book["offers"][name] for name in OFFER), strict=True))
        ways = {
            (way, item)
            for item, way, site in self.making.ways[[*WAY, "way_site"]].to_numpy().tolist()
            if all((part, site) in self.reach for part in self.making.parts.get((item, way), []))
        }
        possible = [
            (source, item, site) in offers if bought else (source, item) in ways
            for bought, source, item, site, _ in change[key].itertuples(index=False)
        ]
        change["amount"] = change["amount"].abs()
        change["freeze"] = change["frozen"] & np.array(possible, dtype=bool) & change["amount"].gt(1e-6)
        change["paid"] = change["amount"] * change["price"].where(possible, 0.0)
        groups = change.rename(columns={"source": "place"}).groupby(["place", "item", "month"], as_index=False)
        total = groups[["amount", "paid", "freeze"]].sum()
        why = np.where(total["freeze"].gt(0), "broken_freeze", "")
        each = (total["paid"] / total["amount"].where(total["amount"].gt(0))).fillna(0.0)
        return "changing_the_plan", total, total["amount"], each, why

    @cached_property
    def fair(self) -> pd.DataFrame:
        """Who shares short supply within a class, where goods can have arrived: what it asks, what it is short."""
        due = self.due_lines.copy()
        due["asked"] = due["demand"] + due["late"]
        asked, lost = (due.groupby(["product", "market"])[column].cumsum() for column in ("asked", "lost"))
        due["base"] = asked.where(due["waits"], due["asked"])
        due["short"] = due["backlog"] + lost.where(due["waits"], due["lost"])
        first = [self.reach.get(pair, np.inf) for pair in zip(due["product"], due["market"], strict=True)]
        due = due[(self.at(due["month"]) >= np.array(first)) & due["base"].gt(0)]
        due = due.assign(place="class " + due["priority"].astype(str), item=due["product"])
        return due.set_index(DUE)

    @cached_property
    def shifts(self) -> pd.DataFrame:
        """Shifts and openings by place, shift and month."""
        return shifts.worked(self)

    @cached_property
    def quota(self) -> pd.DataFrame:
        """By supplier and calendar year: what is counted of its orders, and what is missing from its quota."""
        owed = self.book["suppliers"][self.book["suppliers"]["yearly_quota"].gt(0)]
        if owed.empty:
            return owed.assign(month=self.last, missing=0.0)
        bought = self.bought.assign(counted=self.bought["quantity"] * self.bought["capacity_use"])
        counted = bought.groupby(["supplier", bought["month"].dt.year])["counted"].sum()
        months = pd.Series(self.months).groupby(pd.DatetimeIndex(self.months).year).agg(["max", "count"])
        owed = owed.merge(months.rename_axis("year").reset_index(), how="cross")
        found = counted.reindex(pd.MultiIndex.from_frame(owed[["supplier", "year"]]), fill_value=0.0).to_numpy()
        missing = (owed["yearly_quota"] * owed["count"] / 12 - found).clip(lower=0.0)
        offering = owed["supplier"].isin(self.book["offers"]["supplier"])
        return owed.assign(month=owed["max"], missing=missing)[offering]

    # money -------------------------------------------------------------------------------------------------------
    @cached_property
    def costs(self) -> pd.Series:
        """Money by named cost and month, from quantities of the plan and prices derived here."""
        due, stock, lots, bought, shipped = self.due_lines, self.stock_lines, self.lots, self.bought, self.shipped
        load, people, shifts = self.load.reset_index(), self.people.reset_index(), self.shifts.reset_index()
        sold = self.outward[["item", "destination", "arrival", "quantity"]].set_axis([*DUE, "quantity"], axis=1)
        sold = sold.merge(due[[*DUE, "price_given"]], "left", DUE)
        change = (load["regular"] + load["overtime"]).groupby(load["resource"]).diff().abs().fillna(0.0)
        passed = self.recorded.join(self.exceptions["price"], rsuffix="_given").reset_index()
        passed = passed[passed["cost"].ne("losing")]  # of these all lost units have a price, in table deliveries
        parts = [
            ("revenue", sold["month"], sold["quantity"] * sold["price_given"]),
            ("making", lots["month"], lots["quantity"] * lots["unit_cost"]),
            ("regular_hours", load["month"], load["regular"] * load["hour_cost"]),
            ("overtime_hours", load["month"], load["overtime"] * load["overtime_cost"]),
            ("working_shifts", shifts["month"], shifts["working"]),
            ("changing_shifts", shifts["month"], shifts["changing"]),
            ("setting_up", lots["month"], lots["setup_cost"] * lots["set_up"]),
            ("setting_up_families", self.families["month"], self.families["family_setup_cost"]),
            ("buying", bought["available"], bought["quantity"] * bought["price"]),
            ("missing_quota", self.quota["month"], self.quota["missing"] * self.quota["quota_price"]),
            ("freight", shipped["month"], shipped["quantity"] * shipped["cost_given"]),
            ("holding", stock["month"], stock["closing"] * stock["holding_cost"]),
            ("disposing", stock["month"], stock["scrapped"] * stock["disposal_price"].fillna(0.0)),
            ("pricing_carbon", self.carbon.index.get_level_values("month"), self.carbon * self.policies.carbon_price),
            ("wages", people["month"], people["people"] * people["wage"]),
            ("people_overtime", people["month"], people["overtime"] * people["overtime_cost"]),
            ("hiring", people["month"], people["hired"] * people["hire_cost"]),
            ("laying_off", people["month"], people["laid_off"] * people["layoff_cost"]),
            ("changing_rate", load["month"], change * load["change_price"]),
            ("less_preferred", lots["month"], lots["quantity"] * lots["avoid_price"]),
            ("waiting", due["month"], due["backlog"] * due["backlog_price"]),
            ("losing", due["month"], due["lost"] * due["lost_price"]),
            ("missing_safety_stock", stock["month"], stock["below_safety"] * stock["safety_stock_price"]),
        ]
        costs, months, amounts = zip(*parts, strict=True)
        each = np.repeat(np.arange(len(parts)), [len(month) for month in months])  # numbers are quick to group by
        counted = pd.Series(np.concatenate(amounts)).groupby([each, np.concatenate(months)]).sum()
        counted = counted.rename(index=dict(enumerate(costs)), level=0).rename_axis(["cost", "month"])
        paid = (passed["amount"] * passed["price_given"]).groupby([passed["cost"], passed["month"]]).sum()
        return pd.concat([counted, paid]).sort_index()
