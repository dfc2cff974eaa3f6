"""What is possible, and at what price: a company's tables as the sorted sets and dictionaries of the model.

Only what can happen is listed. An item is kept only where it can come to be and is of use, a lane carries only
what can be at its start and is wanted at its end, and a way of making exists only where every component can be had.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection

import pandas as pd

from sopkit.collect.contradictions import bom_order, refuse_contradictions
from sopkit.tables import TABLES, Company
from sopkit.tables.stages import BY_NAME

START = "start"
"""The moment before the first planned month: what is on hand, waiting or employed then is given, not decided."""

EMERGENCY = 1_000.0
"""How often the dearest unit's value a unit of an emergency costs: breaking a promise that data call unbreakable."""

PREMIUM, PREMIUM_STEP, PREMIUM_SPAN = 10.0, 100.0, 1e6
"""A unit short in the last priority class costs 10 times the dearest unit, one class up 100 times that, and so on."""


def prepared(tables: dict[str, pd.DataFrame], changed: Collection[str] | None = None) -> dict[str, pd.DataFrame]:
    """Every input table that stage supply reads, as declared; a table that is not given is empty.

    `changed`: the only tables that may not be as declared yet (all if None); the others are taken as they are.
    """
    reads = BY_NAME["supply"].reads
    given = {name: tables[name] if name in tables else TABLES[name].empty() for name in reads}
    return {n: TABLES[n].conform(f) if changed is None or n in changed else f for n, f in given.items()}


def _dict(frame: pd.DataFrame, key: str, value: str) -> dict:
    """`{key columns: value}`; the key is a tuple where there are several columns."""
    columns = [frame[name].tolist() for name in key.split()]
    return dict(
        zip(columns[0] if len(columns) == 1 else zip(*columns, strict=True), frame[value].tolist(), strict=True)
    )


def among(frame: pd.DataFrame, key: str, kept: set) -> pd.Series:
    """Which rows have a key that is kept."""
    keys = zip(*(frame[name] for name in key.split()), strict=True)
    return pd.Series([pair in kept for pair in keys], index=frame.index, dtype=bool)


def _lists(pairs) -> defaultdict:
    """`{key: sorted list of values}` of (key, value) pairs; an absent key has an empty list."""
    lists = defaultdict(list)
    for key, value in pairs:
        lists[key].append(value)
    return defaultdict(list, {key: sorted(values) for key, values in lists.items()})


class Network:
    """The company as the model sees it: sets are sorted lists, parameters are dictionaries keyed like the sets.

    Made from the tables stage supply reads (as `prepared` gives them), the company's settings and the cycle.
    `changed`: the only tables whose cells were not checked before (all if None).
    Raises SupplyDataError, naming table and row, where the data contradict each other.
    """

    def __init__(
        self, tables: dict[str, pd.DataFrame], company: Company, cycle: str, *, changed: Collection[str] | None = None
    ) -> None:
        refuse_contradictions(tables, company, cycle, changed)
        self.tables, self.policies = tables, company.policies
        self.timestamps = company.months(cycle)
        self.months = [f"{month:%Y-%m}" for month in self.timestamps]
        self._text = dict(zip(self.timestamps, self.months, strict=True))
        self._time()
        self._ways_of_making()
        self._demand()
        self._last_plan()
        self._presence()
        self._stock()
        self._purchases()
        self._lanes()
        self._resources()
        self._people()
        self._most_useful()
        self._allocation()
        self._kept()

    def planned(self, name: str) -> pd.DataFrame:
        """Table `name` with the rows of planned months only, months as text."""
        frame = self.tables[name]
        text = frame["month"].map(self._text)
        return frame.assign(month=text)[text.notna()]

    # time ------------------------------------------------------------------------------------------------------
    def _time(self) -> None:
        self.month_ends = [START, *self.months]
        self.previous = dict(zip(self.months, self.month_ends, strict=False))
        longest = max([0, *self.tables["lanes"]["lead_time"], *self.tables["offers"]["lead_time"]])
        self.leads = list(range(longest + 1))
        self.underway = {
            (lead, month): self.months[max(0, at + 1 - lead) : at + 1]
            for lead in self.leads
            for at, month in enumerate(self.months)
        }
        self.before = {
            (lead, month): [self.months[at - lead]] if at >= lead else []
            for lead in self.leads
            for at, month in enumerate(self.months)
        }

    # making ----------------------------------------------------------------------------------------------------
    def _ways_of_making(self) -> None:
        """Routings as ways: the operations of one named routing, or a row by itself, with what one good unit takes.

        An operation with yield y must start 1/y units for each one it passes on, so the operation k starts
        1 / (y(k) * y(k+1) * ... * y(last)) units for one good unit, and components are used for what the first starts.
        """
        routings, resources = self.tables["routings"], self.tables["resources"]
        site = _dict(resources, "resource", "site")
        skill = _dict(resources, "resource", "skill")
        ways = routings.assign(way=routings["routing"].where(routings["routing"].ne(""), routings["resource"]))
        backwards = ways.sort_values(["operation", "resource"], ascending=False)
        backwards = backwards.sort_values(["item", "way"], kind="stable")
        self.way_site = {}
        self.started, self.make_cost = defaultdict(lambda: 1.0), defaultdict(float)
        self.set_up_cost, self.minimum_run = defaultdict(float), defaultdict(float)
        self.hours, self.set_up_hours, self.people_hours = defaultdict(float), defaultdict(float), defaultdict(float)
        for row in backwards.to_dict("records"):
            make, resource = (row["item"], row["way"]), row["resource"]
            self.way_site[make] = site[resource]
            self.started[make] /= row["yield"]
            self.make_cost[make] += row["cost"] * self.started[make]
            self.hours[(*make, resource)] += row["hours"] * self.started[make]
            self.set_up_hours[(*make, resource)] += row["setup_hours"]
            self.set_up_cost[make] += row["setup_cost"]
            self.minimum_run[make] = max(self.minimum_run[make], row["minimum_run"])
            if row["people_hours"] and skill[resource]:
                by_hand = (*make, site[resource], skill[resource])
                self.people_hours[by_hand] += row["people_hours"] * self.started[make]
        self.components = _lists(zip(self.tables["bom"]["item"], self.tables["bom"]["component"], strict=True))
        self.bom = _dict(self.tables["bom"], "item component", "quantity")

    # demand ----------------------------------------------------------------------------------------------------
    def _demand(self) -> None:
        plan = self.planned("demand_plan")
        wanted = plan[plan["consensus"].gt(0)]
        self.demanded = sorted(set(zip(wanted["product"], wanted["market"], strict=True)))
        self.demand = _dict(wanted, "product market month", "consensus")
        self.total_demand = wanted.groupby(["product", "market"])["consensus"].sum().to_dict()
        list_price = _dict(self.tables["products"], "product", "price")
        price = _dict(plan, "product market month", "price")
        self.price = {(p, k, t): price.get((p, k, t), list_price[p]) for p, k in self.demanded for t in self.months}
        service = self.tables["service_policies"]
        unmet = defaultdict(lambda: "lost", _dict(service, "product market", "unmet"))
        backlog_price = _dict(service, "product market", "backlog_price")
        lost_price = _dict(service, "product market", "lost_price")
        values = [*list_price.values(), *price.values(), *self.tables["offers"]["price"], *lost_price.values(), 1.0]
        self.dearest = max(values)
        self.emergency_price = EMERGENCY * self.dearest
        self.may_wait = {pair: math.inf if unmet[pair] in ("backlog", "either") else 0.0 for pair in self.demanded}
        self.may_lose = {pair: 0.0 if unmet[pair] == "backlog" else math.inf for pair in self.demanded}
        self.waiting_price = {pair: backlog_price.get(pair, 0.0) for pair in self.demanded}
        self.losing_price = {
            pair: self.emergency_price if unmet[pair] == "neither" else lost_price.get(pair, 0.0)
            for pair in self.demanded
        }
        forbidden = self.policies.backlog_at_end == "forbidden"
        self.left_waiting_price = self.emergency_price if forbidden else 0.0

    # where an item can be, and where it is of use --------------------------------------------------------------
    def _presence(self) -> None:
        """The earliest month (0 = first) in which an item can be at a site, then the sites where it is of use."""
        lanes = self.tables["lanes"]
        sites = set(self.tables["sites"]["site"])
        inner = lanes[lanes["destination"].isin(sites)]
        onward = _lists(zip(inner["origin"], zip(inner["destination"], inner["lead_time"], strict=True), strict=True))
        back = _lists(zip(inner["destination"], inner["origin"], strict=True))
        inventory, receipts = self.tables["inventory"], self.planned("scheduled_receipts")
        position = {month: at for at, month in enumerate(self.months)}
        first = defaultdict(dict)
        for row in inventory[inventory["quantity"].gt(0)].itertuples():
            first[row.item][row.site] = 0
        for row in receipts[receipts["quantity"].gt(0)].itertuples():
            first[row.item][row.site] = min(first[row.item].get(row.site, math.inf), position[row.month])
        given = {item: set(sites_) for item, sites_ in first.items()}
        for row in self.tables["offers"].itertuples():
            first[row.item][row.site] = min(first[row.item].get(row.site, math.inf), row.lead_time)
        ways = _lists(self.way_site)
        order = bom_order(self.tables)
        for item in order:  # components before what is made of them
            for way in ways[item]:
                site = self.way_site[item, way]
                ready = max([0, *(first[c].get(site, math.inf) for c in self.components[item])])
                if ready < math.inf:
                    first[item][site] = min(first[item].get(site, math.inf), ready)
            reached = sorted(first[item])
            while reached:
                origin = reached.pop()
                for destination, lead in onward[origin]:
                    if first[item][origin] + lead < first[item].get(destination, math.inf):
                        first[item][destination] = first[item][origin] + lead
                        reached.append(destination)
        self.earliest = {
            (item, site): at for item, sites_ in first.items() for site, at in sites_.items() if at < len(self.months)
        }
        self.makes = sorted(
            (item, way)
            for (item, way), site in self.way_site.items()
            if all((component, site) in self.earliest for component in self.components[item])
        )
        to_market = _lists((d, o) for o, d in zip(lanes["origin"], lanes["destination"], strict=True) if d not in sites)
        policies = self.tables["policies"]
        wished = policies[policies["safety_stock"].gt(0) | policies["target_end_stock"].gt(0)]
        useful = defaultdict(set)
        for product, market in self.demanded:
            useful[product].update(to_market[market])
        for item, site in [*zip(wished["item"], wished["site"], strict=True), *self._promised()]:
            useful[item].add(site)
        makes = _lists(self.makes)
        for item in reversed(order):  # what is made before its components
            reached = sorted(useful[item])
            while reached:
                for origin in back[reached.pop()]:
                    if origin not in useful[item]:
                        useful[item].add(origin)
                        reached.append(origin)
            for way in makes[item]:
                if self.way_site[item, way] in useful[item]:
                    for component in self.components[item]:
                        useful[component].add(self.way_site[item, way])
        self.stocks = sorted(
            {pair for pair in self.earliest if pair[1] in useful[pair[0]]}
            | {(item, site) for item, sites_ in given.items() for site in sites_}
            | set(zip(wished["item"], wished["site"], strict=True))
        )
        self.items = sorted({item for item, _ in self.stocks})
        self.markets = sorted({market for _, market in self.demanded})
        self.places = sorted({*self.stocks, *self.demanded})
        kept = set(self.stocks)
        self.makes = [(item, way) for item, way in self.makes if self.way_site[item, way] in useful[item]]
        self.ways = _lists(((item, self.way_site[item, way]), way) for item, way in self.makes)
        self.uses = _lists(
            ((component, self.way_site[item, way]), (item, way))
            for item, way in self.makes
            for component in self.components[item]
        )
        self.usage = {
            (item, way, component): self.bom[item, component] * self.started[item, way]
            for item, way in self.makes
            for component in self.components[item]
        }
        items_at = _lists((site, item) for item, site in self.stocks)
        self.ships = sorted(
            [
                (o, d, item)
                for o, d in zip(inner["origin"], inner["destination"], strict=True)
                for item in items_at[o]
                if (item, d) in kept and d in useful[item] and (item, o) in self.earliest
            ]
            + [
                (o, market, product)
                for product, market in self.demanded
                for o in to_market[market]
                if (product, o) in self.earliest
            ]
        )
        self.destinations = _lists(((item, o), d) for o, d, item in self.ships)
        self.origins = _lists(((item, d), o) for o, d, item in self.ships)

    # stock -----------------------------------------------------------------------------------------------------
    def _stock(self) -> None:
        policies = self.tables["policies"]
        kept = set(self.stocks)
        self.opening = {
            pair: quantity
            for pair, quantity in _dict(self.tables["inventory"], "item site", "quantity").items()
            if pair in kept
        }
        self.receipts = self.planned("scheduled_receipts").groupby(["item", "site", "month"])["quantity"].sum()
        self.receipts = {key: quantity for key, quantity in self.receipts.to_dict().items() if quantity}
        self.holding_cost = _dict(policies, "item site", "holding_cost")
        on_sale = self._on_sale()
        self.safety_stock = {
            (item, site, t): wanted
            for (item, site), wanted in _dict(
                policies[policies["safety_stock"].gt(0)], "item site", "safety_stock"
            ).items()
            for t in on_sale.get(item, self.months)
        }
        self.safe = sorted({(item, site) for item, site, _ in self.safety_stock})
        self.safety_price = _dict(policies, "item site", "safety_stock_price")
        self.maximum_stock = _dict(policies[policies["maximum_stock"].notna()], "item site", "maximum_stock")
        self.maximum_stock = {pair: most for pair, most in self.maximum_stock.items() if pair in kept}
        things = pd.concat(
            [
                self.tables["products"].rename(columns={"product": "item"}),
                self.tables["materials"].rename(columns={"material": "item"}),
            ]
        )
        self.standard_cost = _dict(things, "item", "standard_cost")
        self.volume = _dict(things, "item", "volume")
        self.end_stock = {pair: self.safety_stock.get((*pair, self.months[-1]), 0.0) for pair in self.safe}
        self.end_stock |= _dict(policies[policies["target_end_stock"].gt(0)], "item site", "target_end_stock")
        self.end_stock = {pair: wanted for pair, wanted in self.end_stock.items() if wanted > 0}
        own = self.policies.end_stock_price  # else so high that emptying the shop when the horizon ends never pays
        self.end_stock_price = {
            (i, n): own or self.standard_cost[i] + self.safety_price[i, n] for i, n in self.end_stock
        }
        self.shelf_life = {item: life for item, life in _dict(things, "item", "shelf_life").items() if life > 0}
        self.perishable = [(item, site) for item, site in self.stocks if item in self.shelf_life]
        self.scraps = _lists(((item, site), item) for item, site in self.perishable)
        self.ageing = _lists(self.perishable)
        self.lives = sorted({self.shelf_life[item] for item in self.ageing})
        self.young = {
            (life, t): self.months[max(0, at + 1 - life) : at + 1]
            for life in self.lives
            for at, t in enumerate(self.months)
        }
        age = _dict(self.tables["inventory"], "item site", "age")
        self.young_opening = {
            (i, n, t): self.opening.get((i, n), 0.0)
            for i, n in self.perishable
            for at, t in enumerate(self.months)
            if at + 1 + age.get((i, n), 0) < self.shelf_life[i]
        }
        self.items_at = _lists((site, item) for item, site in self.stocks)
        sites = self.tables["sites"]
        sites = sites[sites["storage"].notna() & sites["site"].isin(self.items_at)]
        self.storage = _dict(sites, "site", "storage")
        self.overflow_price = {
            site: price or self.emergency_price for site, price in _dict(sites, "site", "overflow_price").items()
        }

        self.budgets = self.months if self.policies.stock_budget is not None else []
        self.stock_budget = self.policies.stock_budget or 0.0
        self.stock_budget_price = self.policies.stock_budget_price

    def _on_sale(self) -> dict[str, list[str]]:
        """Months at whose end a product launched or retired has a safety stock: it is on sale in the next one."""
        months = {}
        for row in self.tables["products"].itertuples():
            if pd.notna(row.launch_month) or pd.notna(row.end_month):
                months[row.product] = [
                    text
                    for text, month in zip(self.months, self.timestamps, strict=True)
                    if not (row.launch_month > month + pd.DateOffset(months=1)) and not (row.end_month <= month)
                ]
        return months

    # purchases -------------------------------------------------------------------------------------------------
    def _purchases(self) -> None:
        offers, kept = self.tables["offers"], set(self.stocks)
        offers = offers[among(offers, "item site", kept)]
        key = "supplier item site"
        self.offers = sorted(zip(offers["supplier"], offers["item"], offers["site"], strict=True))
        self.offer_price = _dict(offers, key, "price")
        self.offer_lead = _dict(offers, key, "lead_time")
        self.minimum_order = _dict(offers[offers["minimum_order"].gt(0)], key, "minimum_order")
        self.share_limit = _dict(offers[offers["share_limit"].lt(1)], key, "share_limit")
        self.suppliers = _lists(((item, site), supplier) for supplier, item, site in self.offers)
        usual = _dict(offers[offers["capacity"].notna()], key, "capacity")
        self.offer_capacity = {(*offer, t): most for offer, most in usual.items() for t in self.months}
        special = _dict(self.planned("supplier_capacity"), f"{key} month", "capacity")
        known = set(self.offers)
        self.offer_capacity |= {at: most for at, most in special.items() if at[:3] in known}
        self.late_orders = [(*offer, t) for offer in self.offers for t in self._too_late(self.offer_lead[offer])]

    def _too_late(self, lead: int) -> list[str]:
        """Months in which what leaves would arrive after the last planned month."""
        return self.months[len(self.months) - lead :] if lead else []

    # lanes -----------------------------------------------------------------------------------------------------
    def _lanes(self) -> None:
        used = {(o, d) for o, d, _ in self.ships}
        lanes = self.tables["lanes"]
        lanes = lanes[among(lanes, "origin destination", used)]
        self.lanes = sorted(used)
        self.lane_cost = _dict(lanes, "origin destination", "cost")
        self.lane_lead = _dict(lanes, "origin destination", "lead_time")
        self.lane_capacity = _dict(lanes[lanes["capacity"].notna()], "origin destination", "capacity")
        self.carried = _lists(((o, d), item) for o, d, item in self.ships)
        self.late_shipments = [(*ship, t) for ship in self.ships for t in self._too_late(self.lane_lead[ship[:2]])]

    # resources -------------------------------------------------------------------------------------------------
    def _resources(self) -> None:
        made = set(self.makes)
        self.operations = sorted((item, way, r) for item, way, r in self.hours if (item, way) in made)
        self.resources = sorted({r for _, _, r in self.operations})
        self.work = _lists((r, (item, way)) for item, way, r in self.operations)
        self.resources_of = _lists(((item, way), r) for item, way, r in self.operations)
        capacity = self.planned("capacity")
        hours = capacity.assign(hours=capacity["hours"] - capacity["maintenance"])
        used = set(self.resources)
        self.regular_limit = {at: h for at, h in _dict(hours, "resource month", "hours").items() if at[0] in used}
        self.overtime_limit = {
            at: h for at, h in _dict(hours, "resource month", "overtime_limit").items() if at[0] in used
        }
        resources = self.tables["resources"]
        self.hour_cost = _dict(resources, "resource", "hour_cost")
        self.overtime_cost = _dict(resources, "resource", "overtime_cost")
        change = _dict(resources[resources["change_price"].gt(0)], "resource", "change_price")
        self.change_price = {r: price for r, price in change.items() if r in used}
        self.set_ups = [
            make
            for make in self.makes
            if self.set_up_cost[make]
            or self.minimum_run[make]
            or any(self.set_up_hours[(*make, r)] for r in self.resources_of[make])
        ]
        switched = set(self.set_ups)
        self.switched = _lists((r, (item, way)) for item, way, r in self.operations if (item, way) in switched)

    # people ----------------------------------------------------------------------------------------------------
    def _people(self) -> None:
        workforce, resources = self.tables["workforce"], self.tables["resources"]
        key = "site skill"
        self.crews = sorted(zip(workforce["site"], workforce["skill"], strict=True))
        self.people = _dict(workforce, key, "people")
        days = _dict(self.planned("calendar"), "month", "working_days")
        daily = _dict(workforce, key, "hours_per_day")
        self.person_hours = {(*crew, t): daily[crew] * days[t] for crew in self.crews for t in self.months}
        self.wage = _dict(workforce, key, "wage")
        self.person_overtime = _dict(workforce, key, "overtime_limit")
        self.people_overtime_cost = _dict(workforce, key, "overtime_cost")
        self.hire_cost = _dict(workforce, key, "hire_cost")
        self.layoff_cost = _dict(workforce, key, "layoff_cost")
        lead = _dict(workforce, key, "hire_lead_time")
        self.too_early_hires = [(*crew, t) for crew in self.crews for t in self.months[: lead[crew]]]
        self.most_hires = _dict(workforce[workforce["most_hires"].notna()], key, "most_hires")
        used, known = set(self.resources), set(self.crews)
        manned = [
            (r, s, k)
            for r, s, k in zip(resources["resource"], resources["site"], resources["skill"], strict=True)
            if r in used and (s, k) in known
        ]
        self.manned = _lists(((s, k), r) for r, s, k in manned)
        self.crew_size = _dict(resources, "resource", "crew")
        made = set(self.makes)
        self.by_hand = _lists(
            ((s, k), (item, way)) for item, way, s, k in self.people_hours if (item, way) in made and (s, k) in known
        )
        self.hand_work = sorted((*make, *crew) for crew, work in self.by_hand.items() for make in work)

    # how much of an item could ever be of use ------------------------------------------------------------------
    def _most_useful(self) -> None:
        """An upper limit of what is made or ordered in one month, for decisions that are all or nothing.

        Demand of the whole horizon, every stock wish, what the last plan promised, the largest lot that must be
        taken at once, and what goes into all of that upwards through the bill of materials; never more than hours or a
        supplier's capacity allow.
        """
        need = defaultdict(float)
        wishes = defaultdict(float, self.end_stock)
        for (item, site, _), wanted in self.safety_stock.items():
            wishes[item, site] = max(wishes[item, site], wanted)
        for (item, _), quantity in [*self.total_demand.items(), *wishes.items()]:
            need[item] += quantity
        for (item, *_), quantity in self.last_made.items():
            need[item] += quantity
        for (_, item, *_), quantity in self.last_ordered.items():
            need[item] += quantity
        lots = defaultdict(float)
        for (item, _), lot in self.minimum_run.items():
            lots[item] = max(lots[item], lot)
        for (_, item, _), lot in self.minimum_order.items():
            lots[item] = max(lots[item], lot)
        most_started = defaultdict(lambda: 1.0)
        for (item, _), started in self.started.items():
            most_started[item] = max(most_started[item], started)
        for item in reversed(bom_order(self.tables)):
            need[item] += lots[item]
            for component in self.components[item]:
                need[component] += need[item] * self.bom[item, component] * most_started[item]
        self.largest_run = {}
        for make in self.set_ups:
            for t in self.months:
                most = need[make[0]]
                for r in self.resources_of[make]:
                    if self.hours[(*make, r)] > 0:
                        most = min(
                            most, (self.regular_limit[r, t] + self.overtime_limit[r, t]) / self.hours[(*make, r)]
                        )
                self.largest_run[(*make, t)] = most
        self.largest_order = {
            (*offer, t): min(self.offer_capacity.get((*offer, t), math.inf), need[offer[1]])
            for offer in self.minimum_order
            if offer in self.offer_price
            for t in self.months
        }

    # short supply ----------------------------------------------------------------------------------------------
    def _allocation(self) -> None:
        """Who is served first: no premium for `profit`, one by class, or on the worst share of a class."""
        self.market_class = _dict(self.tables["markets"], "market", "priority")
        classes = sorted({self.market_class[market] for _, market in self.demanded})
        self.premium = self._premiums(classes)
        self.ranked = self.demanded if self.policies.allocation == "priority" else []
        # a unit given up where it could wait stays short to the end: else losing it at once would look better
        self.months_short = {
            (*pair, t): len(self.months) - at if self.may_wait[pair] else 1
            for pair in self.ranked
            for at, t in enumerate(self.months)
        }
        self.fair, self.fair_base, self.class_base = [], {}, defaultdict(float)
        if self.policies.allocation == "fair_share":
            for product, market in self.demanded:
                arrives = min(
                    [self.earliest[product, o] + self.lane_lead[o, market] for o in self.origins[product, market]],
                    default=math.inf,
                )
                due = 0.0
                for at, t in enumerate(self.months):
                    asked = self.demand.get((product, market, t), 0.0)
                    due = due + asked if self.may_wait[product, market] else asked
                    if at >= arrives and due > 0:
                        self.fair.append((product, market, t))
                        self.fair_base[product, market, t] = due
                        self.class_base[product, self.market_class[market], t] += due
        self.given_up = {
            (p, k, t): self.months[: self.months.index(t) + 1] if self.may_wait[p, k] else [t] for p, k, t in self.fair
        }
        self.fair_classes = sorted(self.class_base)

    def _premiums(self, classes: list[int]) -> dict[int, float]:
        """The price of a unit short in each class: more than one unit served in a lower class can ever bring.

        That is, its own premium and waiting price in each month it would wait, what losing it costs (an emergency,
        where it must be met), its price, and freight over the longest way. So a unit goes to the first class first.
        Within a class the premium outweighs the same money, promises aside, so shares are fair whatever the prices.
        """
        step = min(PREMIUM_STEP, PREMIUM_SPAN ** (1 / max(1, len(classes) - 1)))
        freight = max([0.0, *self.lane_cost.values()]) * (1 + len(self.items_at))
        waits = len(self.months) if any(self.may_wait.values()) else 1
        premium, waiting, losing = {}, 0.0, 0.0
        for rank, c in enumerate(reversed(classes)):
            outranked = 0.0
            if premium:
                outranked = waits * (max(premium.values()) + waiting) + losing + self.left_waiting_price
            here = [pair for pair in self.demanded if self.market_class[pair[1]] == c]
            waiting = max(waiting, *(self.waiting_price[pair] for pair in here if self.may_wait[pair]), 0.0)
            losing = max(losing, *(self.losing_price[pair] for pair in here if self.may_lose[pair]), 0.0)
            kept = losing if losing < self.emergency_price else self.dearest
            own = waits * waiting + kept
            premium[c] = max(PREMIUM * self.dearest * step**rank, max(outranked, own) + self.dearest + freight)
        return premium

    # the last published plan -----------------------------------------------------------------------------------
    def _last_plan(self) -> None:
        """What the last plan said of months that are frozen, or whose change has a price."""
        last = self.planned("last_supply_plan")
        frozen = self.months[: self.policies.frozen_months]
        price = {t: self.emergency_price if t in frozen else self.policies.plan_change_price for t in self.months}
        said = sorted(set(last["month"]))
        self.kept_months = [t for t in said if price[t] > 0]
        self.plan_change_price = {t: price[t] for t in self.kept_months}
        last = last[last["month"].isin(self.kept_months) & last["quantity"].gt(0)]
        bought = last["mode"].eq("buy")
        self.last_made = last[~bought].groupby(["item", "source", "month"])["quantity"].sum().to_dict()
        self.last_ordered = last[bought].groupby(["source", "item", "site", "month"])["quantity"].sum().to_dict()

    def _promised(self) -> list[tuple[str, str]]:
        """Item and site that the last plan makes or orders: it can be kept although nobody asks for the item now."""
        made = [(item, self.way_site[item, way]) for item, way, _ in self.last_made if (item, way) in self.way_site]
        return [*made, *((item, site) for _, item, site, _ in self.last_ordered)]

    def _kept(self) -> None:
        """The last plan for each way and offer, and `gone`: what it said of a way or offer that there is no longer."""
        made, ordered = self.last_made, self.last_ordered
        self.last_make = {(*make, t): made.get((*make, t), 0.0) for make in self.makes for t in self.kept_months}
        self.last_order = {
            (*offer, t): ordered.get((*offer, t), 0.0) for offer in self.offers for t in self.kept_months
        }
        self.gone = {(way, item, t): q for (item, way, t), q in made.items() if (item, way, t) not in self.last_make}
        for (supplier, item, site, t), quantity in ordered.items():
            if (supplier, item, site, t) not in self.last_order:
                self.gone[supplier, item, t] = self.gone.get((supplier, item, t), 0.0) + quantity
