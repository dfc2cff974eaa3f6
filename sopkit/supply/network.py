"""What is possible, and at what price: a company's tables as the sorted sets and dictionaries of the model.

Only what can happen is listed. An item is kept only where it can come to be and is of use, a lane carries only
what can be at its start and is wanted at its end, and a way of making exists only where every component can be had.

Letters as in model.py.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterable
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from sopkit.book import Book
from sopkit.book.known import Known
from sopkit.collect.contradictions import bom_order, refuse_contradictions
from sopkit.tables import BY_NAME, TABLES
from sopkit.tables.company import Policies
from sopkit.tables.declare import DAYS_A_MONTH

READS = BY_NAME["supply"].reads  # the tables that stage supply reads

# the moment before the first planned month: what is on hand, waiting or employed then is given, not decided
START = "start"

ROOM = 1.001  # the largest lot is a little more than hours allow, so that hours keep their shadow price

LEAST_LOT = 1e-3  # a set-up makes at least this share of the largest lot that could be of use

Tables = dict[str, pd.DataFrame]


def keys_of(frame: pd.DataFrame, key: str) -> Iterable:
    """The key of each row: a tuple where there are several columns."""
    columns = [frame[name].tolist() for name in key.split()]
    return columns[0] if len(columns) == 1 else zip(*columns, strict=True)


def _dict(frame: pd.DataFrame, key: str, value: str) -> dict:
    """`{key: value}` of all rows that have a value."""
    frame = frame[frame[value].notna()]
    return dict(zip(keys_of(frame, key), frame[value].tolist(), strict=True))


def _positive(frame: pd.DataFrame, key: str, value: str) -> dict:
    """`{key: value}` of the rows with more than nothing."""
    return _dict(frame[frame[value].gt(0)], key, value)


def _sums(frame: pd.DataFrame, key: str, value: str = "quantity") -> dict:
    return frame.groupby(key.split())[value].sum().to_dict()


def among(frame: pd.DataFrame, key: str, kept: Collection) -> pd.Series:
    """Which rows have a key that is kept."""
    return pd.Series([each in kept for each in keys_of(frame, key)], index=frame.index, dtype=bool)


Parts = dict[int, float]  # months after which parts of what is ordered or sent arrive


def _leads(frame: pd.DataFrame, key: str) -> dict[Any, Parts]:
    """`{key: parts}`. What is ordered or sent goes evenly over the days of its month (Hackman & Leachman 1989):

    of a lead time of 21 days, 30 % arrives in the same month and 70 % in the next.
    """
    found = {}
    numbers = frame["lead_time"].tolist(), frame["lead_days"].tolist()
    for at, months, days in zip(keys_of(frame, key), *numbers, strict=True):
        whole, rest = divmod(months * DAYS_A_MONTH + days, DAYS_A_MONTH)
        parts = {whole: (DAYS_A_MONTH - rest) / DAYS_A_MONTH, whole + 1: rest / DAYS_A_MONTH}
        found[at] = parts if rest else {whole: 1.0}
    return found


def _early(parts: Parts) -> float:
    """How many leave for one that arrives with the first part."""
    return 1.0 / parts[min(parts)]


def _parts(leads: dict[Any, Parts], time: Time) -> dict[tuple, float]:
    """`{(*key, months, month of leaving): part}`; what leaves last leaves early enough to arrive in the last month."""
    last = len(time.months) - 1
    spread = {  # most keys have the same parts
        alike: [
            (months, month, part)
            for at, month in enumerate(time.months)
            for months, part in ({alike[0][0]: 1.0} if at + alike[0][0] == last else dict(alike)).items()
            if at + months <= last
        ]
        for alike in {tuple(sorted(parts.items())) for parts in leads.values()}
    }
    return {
        (*key, months, month): part
        for key, parts in leads.items()
        for months, month, part in spread[tuple(sorted(parts.items()))]
    }


class Lists(dict):
    """`{key: sorted list of values}` of (key, value) pairs; a key that is not there has an empty list."""

    def __init__(self, pairs: Iterable[tuple]) -> None:
        for key, value in pairs:
            self.setdefault(key, []).append(value)
        for values in self.values():
            values.sort()

    def __missing__(self, key: object) -> list:
        return []


class Group:
    """A part of the network: sets are sorted lists, parameters are dictionaries; each is set once and stays."""

    def __setattr__(self, name: str, value: object) -> None:
        if name in self.__dict__:
            raise AttributeError(f"{type(self).__name__}.{name} is set once, when the network is made")
        super().__setattr__(name, value)

    def __eq__(self, other: object) -> bool:
        return vars(self) == vars(other)


class Network(Group):
    """The company of a book as the model sees it, in groups; each is made from the tables and the groups above it.

    `known`: what was made for another book, taken again where nothing is another. Raises SupplyDataError, naming table
    and row, where the data contradict each other.
    """

    def __init__(self, book: Book, known: Known | None = None) -> None:
        known, tables = Known() if known is None else known, {name: book[name] for name in READS}
        refuse_contradictions(tables, book.company, book.cycle, known)
        self.book, self.tables, self.policies = book, tables, book.company.policies
        self.time = known.made(Time, tables, list(book.months))
        self.making = known.made(Making, tables)
        self.demand = known.made(Demand, tables, self.policies, self.time)
        self.last_plan = known.made(LastPlan, tables, self.policies, self.time)
        self.roads = known.made(Roads, tables)
        self.flow = known.made(Flow, tables, self.time, self.making, self.demand, self.last_plan, roads=self.roads)
        self.stock = known.made(Stock, tables, self.policies, self.time, self.flow, roads=self.roads)
        self.buying = known.made(Buying, tables, self.time, self.flow)
        self.lanes = known.made(Lanes, tables, self.time, self.stock, self.roads)
        self.resources = known.made(Resources, tables, self.time, self.making, self.flow)
        self.shifts = known.made(Shifts, tables, self.time, self.making, self.flow, self.resources)
        self.carbon = Carbon(self)
        self.people = known.made(People, tables, self.time, self.making, self.flow, self.resources)
        self.lots = Lots(self)
        self.allocation = Allocation(self)
        self.kept = Kept(self.last_plan, self.flow, self.buying)


class Time(Group):
    """Months as text, `previous` from the first to START, and the months before, by lead time."""

    def __init__(self, tables: Tables, months: list[pd.Timestamp]) -> None:
        self.timestamps = months
        self.months = [f"{month:%Y-%m}" for month in self.timestamps]
        self.position = {month: at for at, month in enumerate(self.months)}
        self.ends = [START, *self.months]
        self.previous = dict(zip(self.months, self.ends, strict=False))
        frames = [(tables[name], " ".join(TABLES[name].key)) for name in ("lanes", "offers")]
        longest = [max(parts) for frame, key in frames for parts in _leads(frame, key).values()]
        self.leads = list(range(max([0, *longest]) + 1))
        at_each = [(lead, at, month) for lead in self.leads for at, month in enumerate(self.months)]
        self.before = {(lead, month): [self.months[at - lead]] if at >= lead else [] for lead, at, month in at_each}

    def outside(self, first: pd.Timestamp, last: pd.Timestamp) -> list[str]:
        """Planned months before `first` or after `last`; NaT is no limit."""
        return [t for t, month in zip(self.months, self.timestamps, strict=True) if month < first or month > last]

    def too_late(self, lead: int) -> list[str]:
        """Months in which what leaves would arrive after the last planned month."""
        return self.months[len(self.months) - lead :] if lead else []

    def planned(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The rows of planned months only, months as text."""
        text = frame["month"].map(dict(zip(self.timestamps, self.months, strict=True)))
        return frame.assign(month=text)[text.notna()]


class Making(Group):
    """Routings as ways: the operations of one named routing, or a row by itself, with what one good unit takes.

    An operation with yield y must start 1/y units for each one it passes on, so the operation k starts
    1 / (y(k) * y(k+1) * ... * y(last)) units for one good unit, and components are used for what the first starts.
    """

    def __init__(self, tables: Tables) -> None:
        routings, resources = tables["routings"], tables["resources"]
        site, skill = _dict(resources, "resource", "site"), _dict(resources, "resource", "skill")
        ways = routings.assign(way=routings["routing"].where(routings["routing"].ne(""), routings["resource"]))
        backwards = ways.sort_values(["operation", "resource"], ascending=False)
        backwards = backwards.sort_values(["item", "way"], kind="stable")
        self.site, self.dates = {}, dict[Any, tuple[Any, ...]]()
        numbers = partial(defaultdict[Any, float], float)
        self.started, self.cost = defaultdict[Any, float](lambda: 1.0), numbers()
        self.set_up_cost, self.minimum_run, self.carbon, self.avoid_price = numbers(), numbers(), numbers(), numbers()
        self.hours, self.set_up_hours, self.people_hours = numbers(), numbers(), numbers()
        for row in backwards.to_dict("records"):
            make, resource = (row["item"], row["way"]), row["resource"]
            self.site[make] = site[resource]
            self.started[make] /= row["yield"]
            self.cost[make] += row["cost"] * self.started[make]
            self.carbon[make] += row["carbon"] * self.started[make]
            self.hours[(*make, resource)] += row["hours"] * self.started[make]
            self.set_up_hours[(*make, resource)] += row["setup_hours"]
            self.set_up_cost[make] += row["setup_cost"]
            self.minimum_run[make] = max(self.minimum_run[make], row["minimum_run"])
            self.avoid_price[make] += row["avoid_price"]
            first, last = self.dates.get(make, (pd.Timestamp.min, pd.Timestamp.max))
            first = first if pd.isna(row["valid_from"]) else max(first, row["valid_from"])
            self.dates[make] = first, last if pd.isna(row["valid_to"]) else min(last, row["valid_to"])
            if row["people_hours"] and skill[resource]:
                by_hand = (*make, site[resource], skill[resource])
                self.people_hours[by_hand] += row["people_hours"] * self.started[make]
        bom, out = (_dict(tables["bom"], "item component routing", name) for name in ("quantity", "by_product"))
        named = Lists({at[:2] for at in bom})
        rows = {  # a row of the bill for one way stands in for that for all
            (i, w, c): each
            for i, w in self.site
            for c in named[i]
            if (each := (i, c, w) if (i, c, w) in bom else (i, c, "")) in bom
        }
        self.bom = {at: bom[each] for at, each in rows.items() if not out[each]}
        self.by_products = {at: bom[each] * self.started[at[:2]] for at, each in rows.items() if out[each]}
        self.components = Lists({(i, c) for i, _, c in self.bom})
        self.needs = Lists(((i, w), c) for i, w, c in self.bom)
        shared = ways[ways["setup_family"].ne("")]
        shared = shared.assign(family=shared["setup_family"] + " on " + shared["resource"])
        self.families = _dict(shared, "item way resource", "family")
        self.family_hours = _dict(shared, "family", "family_setup_hours")
        self.family_cost = _dict(shared, "family", "family_setup_cost")
        self.comes_out = Lists(((i, w), c) for i, w, c in self.by_products)
        self.order = bom_order(tables)  # components before what is made of them


class Demand(Group):
    """What markets ask for, at what net price, and what it costs to let them wait or to lose a sale."""

    def __init__(self, tables: Tables, policies: Policies, time: Time) -> None:
        plan, service, pair = time.planned(tables["demand_plan"]), tables["service_policies"], "product market"
        orders, first = tables["customer_orders"].query("quantity > 0"), time.timestamps[0]
        self.late = _sums(orders[orders["month"].lt(first)], pair)
        self.ordered_in = _sums(time.planned(orders), f"{pair} month")
        self.quantity = _positive(plan, f"{pair} month", "consensus")
        for at, firm in self.ordered_in.items():  # the plan is at least what is ordered
            self.quantity[at] = max(self.quantity.get(at, 0.0), firm)
        self.ordered = sorted({*self.late, *(at[:2] for at in self.ordered_in)})
        self.pairs = sorted({*self.late, *(at[:2] for at in self.quantity)})
        self.markets = sorted({market for _, market in self.pairs})
        list_price = _dict(tables["products"], "product", "price")
        price = _dict(plan, f"{pair} month", "price")
        self.price = {(p, k, t): price.get((p, k, t), list_price[p]) for p, k in self.pairs for t in time.months}
        unmet = defaultdict(lambda: "lost", _dict(service, pair, "unmet"))
        backlog_price, lost_price = _dict(service, pair, "backlog_price"), _dict(service, pair, "lost_price")
        self.may_wait = {each: math.inf if unmet[each] in ("backlog", "either") else 0.0 for each in self.pairs}
        waiting = {(*each, t): math.inf for each in self.pairs if self.may_wait[each] for t in time.ends}
        self.most_waiting = {(*each, START): late for each, late in self.late.items()} | waiting
        self.may_lose = {each: 0.0 if unmet[each] == "backlog" else math.inf for each in self.pairs}
        self.waiting_price = {each: backlog_price.get(each, 0.0) for each in self.pairs}
        self.must_be_met = [each for each in self.pairs if unmet[each] == "neither"]
        self.losing_price = {each: lost_price.get(each, 0.0) for each in self.pairs if unmet[each] != "neither"}
        ends = policies.backlog_at_end == "forbidden"
        self.must_end = [each for each in self.pairs if ends and self.may_wait[each]]


class LastPlan(Group):
    """What the last published plan makes and orders in months that are frozen, or whose change has a price."""

    def __init__(self, tables: Tables, policies: Policies, time: Time) -> None:
        last = time.planned(tables["last_supply_plan"])
        frozen = set(time.months[: policies.frozen_months])
        self.months = [t for t in sorted(set(last["month"])) if t in frozen or policies.plan_change_price > 0]
        self.frozen = [t for t in self.months if t in frozen]
        self.change_price = {t: policies.plan_change_price for t in self.months if t not in frozen}
        last = last[last["month"].isin(self.months) & last["quantity"].gt(0)]
        bought = last["mode"].eq("buy")
        self.made = _sums(last[~bought], "item source month")
        self.ordered = _sums(last[bought], "source item site month")


class Roads(Group):
    """Ways between places. A row of lanes with an item is for it alone, one without for all that have none there.

    Where goods move by a mode, the origin is called by both (`PLANT by sea`), and `site` is where it is.
    """

    def __init__(self, tables: Tables) -> None:
        lanes, sites = self.called(tables["lanes"]), set(tables["sites"]["site"])
        self.site = dict(zip(lanes["origin"], tables["lanes"]["origin"], strict=True))
        self.mode = dict(zip(lanes["origin"], lanes["mode"], strict=True))
        self.leads = _leads(lanes, "origin destination item")
        pairs = sorted(set(keys_of(lanes, "origin destination")))
        self.inner = [(o, d) for o, d in pairs if d in sites]
        self.outer = Lists((d, o) for o, d in pairs if d not in sites)
        self.onward = Lists((self.site[o], (o, d)) for o, d in self.inner)
        self.back = Lists((d, o) for o, d in self.inner)

    @staticmethod
    def called(lanes: pd.DataFrame) -> pd.DataFrame:
        """`lanes` with origins as the model calls them."""
        named = lanes["origin"].where(lanes["mode"].eq(""), lanes["origin"] + " by " + lanes["mode"])
        return lanes.assign(origin=named)

    def row(self, origin: str, destination: str, item: str) -> tuple[str, str, str] | None:
        """The key of the row by which an item moves; None where it cannot."""
        found = ((origin, destination, only) for only in (item, ""))
        return next((key for key in found if key in self.leads), None)


class Flow(Group):
    """Where every item can be and is of use: stocks, ways of making and shipments that are kept."""

    def __init__(
        self, tables: Tables, time: Time, making: Making, demand: Demand, last_plan: LastPlan, *, roads: Roads
    ) -> None:
        wished = tables["policies"]
        wished = wished[wished[["safety_stock", "cover_days", "target_end_stock"]].gt(0).any(axis=1)]
        dated = time.planned(tables["dated_policies"]).query("safety_stock > 0")
        wished = [*keys_of(wished, "item site"), *keys_of(dated, "item site")]
        # the last plan can be kept although nobody asks for the item now
        promised = [(i, making.site[i, w]) for i, w, _ in last_plan.made if (i, w) in making.site]
        outward = [(o, k, p) for p, k in demand.pairs for o in roads.outer[k] if roads.row(o, k, p)]
        wanted = [(p, roads.site[o]) for o, _, p in outward]
        wanted += [*wished, *promised, *((i, n) for _, i, n, _ in last_plan.ordered)]

        first, given = self._first(tables, time, making, roads)
        self.earliest = {
            (i, n): at for i, at_site in first.items() for n, at in at_site.items() if at < len(time.months)
        }
        can_make = [
            (i, w) for (i, w), n in making.site.items() if all((c, n) in self.earliest for c in making.needs[i, w])
        ]
        useful = self._useful(wanted, making, sorted(can_make), roads)
        self.makes = sorted((i, w) for i, w in can_make if (i, making.site[i, w]) in useful)
        self.by_products = {at: each for at, each in making.by_products.items() if at[:2] in set(self.makes)}
        self.sources = Lists(((c, making.site[i, w]), (i, w)) for i, w, c in self.by_products)
        self.stocks = sorted({*(pair for pair in self.earliest if pair in useful), *given, *wished, *self.sources})
        self.items = sorted({item for item, _ in self.stocks})
        self.items_at = Lists((n, i) for i, n in self.stocks)
        self.places = sorted({*self.stocks, *demand.pairs})
        self.ways = Lists(((i, making.site[i, w]), w) for i, w in self.makes)
        uses = [(i, w, c) for i, w in self.makes for c in making.needs[i, w]]
        self.out_of_date = [(*make, t) for make in self.makes for t in time.outside(*making.dates[make])]
        self.uses = Lists(((c, making.site[i, w]), (i, w)) for i, w, c in uses)
        self.usage = {(i, w, c): making.bom[i, w, c] * making.started[i, w] for i, w, c in uses}
        kept = set(self.stocks)
        between = [(o, d, i) for o, d in roads.inner for i in self.items_at[roads.site[o]] if roads.row(o, d, i)]
        between = [(o, d, i) for o, d, i in between if (i, d) in kept and (i, d) in useful]
        self.ships = sorted((o, d, i) for o, d, i in between + outward if (i, roads.site[o]) in self.earliest)
        self.departures = Lists(((i, roads.site[o]), (o, d)) for o, d, i in self.ships)
        self.origins = Lists(((i, d), o) for o, d, i in self.ships)

    @staticmethod
    def _first(tables: Tables, time: Time, making: Making, roads: Roads) -> tuple[dict, set]:
        """The earliest month (0 = first) in which each item can be at each site, and where stock or orders put it."""
        first: dict[str, dict[str, float]] = defaultdict(dict)

        def sooner(item: str, site: str, at: float) -> bool:
            better = at < first[item].get(site, math.inf)
            if better:
                first[item][site] = at
            return better

        inventory, receipts = tables["inventory"], time.planned(tables["scheduled_receipts"])
        for item, site in keys_of(inventory[inventory["quantity"].gt(0)], "item site"):
            sooner(item, site, 0)
        for item, site, month in keys_of(receipts[receipts["quantity"].gt(0)], "item site month"):
            sooner(item, site, time.position[month])
        given = {(item, site) for item, sites in first.items() for site in sites}
        for (item, site, _), parts in _leads(tables["offers"], "item site supplier").items():
            sooner(item, site, min(parts))
        ways = Lists(making.site)
        for item in making.order:
            for way in ways[item]:
                site = making.site[item, way]
                first_month, last_month = making.dates[item, way]
                opens = (at for at, t in enumerate(time.timestamps) if first_month <= t <= last_month)
                at = max([next(opens, math.inf), *(first[c].get(site, math.inf) for c in making.needs[item, way])])
                for one in (item, *making.comes_out[item, way]):
                    sooner(one, site, at)
            reached = sorted(first[item])
            while reached:
                origin = reached.pop()
                for by, destination in roads.onward[origin]:
                    row = roads.row(by, destination, item)
                    if row and sooner(item, destination, first[item][origin] + min(roads.leads[row])):
                        reached.append(destination)
        return first, given

    @staticmethod
    def _useful(wanted: list, making: Making, makes: list, roads: Roads) -> set[tuple[str, str]]:
        """Where each item is of use: where it is wanted, and on the way there, alone or inside what is made of it."""
        ways = Lists(makes)
        comes_from = Lists((c, make) for make in makes for c in making.comes_out[make])
        useful = defaultdict(set)
        for item, site in wanted:
            useful[item].add(site)
        for item in reversed(making.order):
            reached = sorted(useful[item])
            while reached:
                site = reached.pop()
                for by in roads.back[site]:
                    if (origin := roads.site[by]) not in useful[item] and roads.row(by, site, item):
                        useful[item].add(origin)
                        reached.append(origin)
            for make in comes_from[item]:
                if making.site[make] in useful[item]:
                    useful[make[0]].add(making.site[make])
            for way in ways[item]:
                if making.site[item, way] in useful[item]:
                    for component in making.needs[item, way]:
                        useful[component].add(making.site[item, way])
        return {(item, site) for item, sites in useful.items() for site in sites}


class Stock(Group):
    """What is on hand and on order, what is wished for, and what holding, missing and exceeding it costs."""

    def __init__(self, tables: Tables, policies: Policies, time: Time, flow: Flow, *, roads: Roads) -> None:
        wished, inventory, pair, months = tables["policies"], tables["inventory"], "item site", time.months
        kept = set(flow.stocks)
        things = pd.concat([tables[f"{thing}s"].rename(columns={thing: "item"}) for thing in ("product", "material")])
        self.standard_cost, self.volume = _dict(things, "item", "standard_cost"), _dict(things, "item", "volume")
        self.weight = _dict(things, "item", "weight")
        self.opening = _sums(inventory[among(inventory, pair, kept)], pair)
        receipts = _sums(time.planned(tables["scheduled_receipts"]), f"{pair} month")
        self.receipts = {key: quantity for key, quantity in receipts.items() if quantity}
        self.holding_cost = _dict(wished, pair, "holding_cost")
        on_sale = self._on_sale(tables["products"], time)
        usual, special = _dict(wished, pair, "safety_stock"), time.planned(tables["dated_policies"])
        least = {(*each, t): stock for each, stock in usual.items() for t in months}
        least |= _dict(special, f"{pair} month", "safety_stock")
        self.safety_stock = {(i, n, t): q for (i, n, t), q in least.items() if q > 0 and t in on_sale.get(i, months)}
        self.cover_months = {at: days / DAYS_A_MONTH for at, days in _positive(wished, pair, "cover_days").items()}
        self.cover = {
            (i, n, t, later): part
            for (i, n), ahead in self.cover_months.items()
            for t in on_sale.get(i, months)
            for later, part in self._covered(ahead, t, time).items()
        }
        self.covered = Lists((at[:3], at[3]) for at in self.cover)
        self.safe = sorted({at[:2] for at in (*self.safety_stock, *self.cover)})
        self.safety_price = _dict(wished, pair, "safety_stock_price")
        self.maximum = _dict(wished[among(wished, pair, kept)], pair, "maximum_stock")
        at_end = {each: self.safety_stock.get((*each, months[-1]), 0.0) for each in self.safe}
        at_end |= (aimed := _positive(wished, pair, "target_end_stock"))
        goes_on = [each for each in self.safe if each not in aimed]
        self.covered_at_end = Lists((each, later) for each in goes_on for later in self.covered[*each, months[-1]])
        self.end_stock = {at: least for at, least in at_end.items() if least > 0 or self.covered_at_end[at]}
        own = policies.end_stock_price  # else so high that emptying the shop when the horizon ends never pays
        missed = {at: self.standard_cost[at[0]] + self.safety_price.get(at, 0.0) for at in self.end_stock}
        self.end_stock_price = {at: own or price for at, price in missed.items()}
        self.shelf_life = _positive(things, "item", "shelf_life")
        self.perishable = [(i, n) for i, n in flow.stocks if i in self.shelf_life]
        self.disposal_price = _dict(wished[among(wished, pair, kept)], pair, "disposal_price")
        self.scrapped = sorted({*self.perishable, *self.disposal_price})
        self.scraps = Lists(((i, n), i) for i, n in self.scrapped)
        self.lane_leads = {  # ages are whole months: of what gets too old, a part of a month counts as one
            (o, d, i): {max(leads): 1.0} if i in self.shelf_life else leads
            for o, d, i in flow.ships
            for leads in [roads.leads[roads.row(o, d, i)]]
        }
        self.ages = Ages(self, flow, time.leads, roads)
        aged, young = _sums(inventory, f"{pair} age"), set(self.ages.held)  # what is too old already is scrapped
        self.opening_aged = {at: quantity for at, quantity in aged.items() if at in young}
        sites = tables["sites"][tables["sites"]["site"].isin(flow.items_at)]
        self.storage = _dict(sites, "site", "storage")
        self.overflow_price = _positive(sites, "site", "overflow_price")
        self.full = sorted(set(self.storage) - set(self.overflow_price))
        self.budget_months = months if policies.stock_budget is not None else []
        self.budget, self.budget_price = policies.stock_budget or 0.0, policies.stock_budget_price

    @staticmethod
    def _covered(ahead: float, t: str, time: Time) -> dict[str, float]:
        """Which part of each month the `ahead` months after month `t` are; then the plan's average month goes on."""
        following = time.months[time.position[t] + 1 :]
        beyond = max(0.0, ahead - len(following)) / len(time.months)
        found = dict.fromkeys(time.months, beyond) if beyond else {}
        for number, later in enumerate(following[: math.ceil(ahead)]):
            found[later] = found.get(later, 0.0) + min(1.0, ahead - number)
        return found

    @staticmethod
    def _on_sale(products: pd.DataFrame, time: Time) -> dict[str, list[str]]:
        """Months at whose end a product launched or retired has a safety stock: it is on sale in the next one."""
        dated = products[products["launch_month"].notna() | products["end_month"].notna()]
        before = pd.DateOffset(months=1)
        gone = {
            row.product: time.outside(row.launch_month - before, row.end_month - before) for row in dated.itertuples()
        }
        return {product: [t for t in time.months if t not in off] for product, off in gone.items()}


class Ages(Group):
    """Ages of perishable goods, in months since they were new: they can be used up to their shelf life, held below it.

    What was made in January with a life of one month can be used in January and February, and is held at the end of
    January only. Goods on a lane grow older; they are sent only so young that they can be used where they arrive.
    """

    def __init__(self, stock: Stock, flow: Flow, leads: list[int], roads: Roads) -> None:
        life = {(i, n): stock.shelf_life[i] for i, n in stock.perishable}
        self.used = [(i, n, a) for i, n in stock.perishable for a in range(life[i, n] + 1)]
        self.held = [(i, n, a) for i, n in stock.perishable for a in range(life[i, n])]
        self.numbers = list(range(max(life.values(), default=-1) + 1))
        self.sends = [ship for ship in flow.ships if ship[2] in stock.shelf_life]
        oldest = {ship: stock.shelf_life[ship[2]] - max(stock.lane_leads[ship]) for ship in self.sends}
        self.sent = [(*ship, a) for ship in self.sends for a in range(oldest[ship] + 1)]
        self.at = Lists(((i, n), a) for i, n, a in self.used)
        self.held_at = Lists(((i, n), a) for i, n, a in self.held)
        self.sent_at = Lists(((o, d, i), a) for o, d, i, a in self.sent)
        self.sent_to = Lists(((i, roads.site[o], a), (o, d)) for o, d, i, a in self.sent)
        self.consumers = [each for each in stock.perishable if flow.uses[each]]
        self.consumed = {(i, n, a): [a] if flow.uses[i, n] else [] for i, n, a in self.used}
        self.kept = {(i, n, a): [a] if a < life[i, n] else [] for i, n, a in self.used}
        self.younger = {a: [a - 1] if a else [] for a in self.numbers}
        self.new = {a: [] if a else [a] for a in self.numbers}
        self.left = {(ahead, a): [a - ahead] if a >= ahead else [] for ahead in leads for a in self.numbers}


class Buying(Group):
    """Who can deliver what where, at what price, how late and within which limits."""

    def __init__(self, tables: Tables, time: Time, flow: Flow) -> None:
        offers, key = tables["offers"], "supplier item site"
        offers = offers[among(offers, "item site", set(flow.stocks))]
        self.offers = sorted(keys_of(offers, key))
        self.suppliers = Lists(((i, n), s) for s, i, n in self.offers)
        self.usual_price, self.leads = _dict(offers, key, "price"), _leads(offers, key)
        dated = time.planned(tables["dated_offers"])
        dated = _dict(dated[among(dated, key, self.usual_price)], f"{key} month", "price")
        self.price = {(*offer, t): usual for offer, usual in self.usual_price.items() for t in time.months} | dated
        self.parts = _parts(self.leads, time)
        self.multiple = _positive(offers, key, "order_multiple")
        self.minimum_order = _positive(offers, key, "minimum_order")
        self.share_limit = _dict(offers[offers["share_limit"].lt(1)], key, "share_limit")
        usual = _dict(offers, key, "capacity")
        special = _dict(time.planned(tables["supplier_capacity"]), f"{key} month", "capacity")
        special = {at: most for at, most in special.items() if at[:3] in self.usual_price}
        self.capacity = {(*offer, t): most for offer, most in usual.items() for t in time.months} | special
        self.late = [(*offer, t) for offer in self.offers for t in time.too_late(min(self.leads[offer]))]
        breaks = tables["price_breaks"].sort_values([*key.split(), "from_quantity"])
        breaks = breaks[among(breaks, key, self.usual_price)]
        self.break_saving, self.break_from, self.break_offer, last = {}, {}, {}, dict(self.usual_price)
        for (*offer, least), price in _dict(breaks, f"{key} from_quantity", "price").items():
            name = f"{' '.join(offer)} from {least:g}"
            self.break_offer[name], self.break_from[name] = [(*offer,)], least
            self.break_saving[name] = last[*offer] - price  # below the price before it
            last[*offer] = price
        self.breaks_of = Lists((offer, name) for name, (offer,) in self.break_offer.items())
        suppliers = tables["suppliers"]
        used = _dict(offers, key, "capacity_use")
        self.offered = Lists((s, (i, n)) for s, i, n in self.offers)
        suppliers = suppliers[suppliers["supplier"].isin(self.offered)]
        self.total = _dict(suppliers, "supplier", "capacity")
        self.quota_price = _dict(suppliers, "supplier", "quota_price")
        self.year = {t: [u for u in time.months[: at + 1] if u[:4] == t[:4]] for at, t in enumerate(time.months)}
        ends = [t for t, after in zip(time.months, [*time.months[1:], ""], strict=True) if t[:4] != after[:4]]
        self.quota = {
            (s, t): quota * len(self.year[t]) / 12
            for s, quota in _positive(suppliers, "supplier", "yearly_quota").items()
            for t in ends
        }
        bound = {*self.total, *(s for s, _ in self.quota)}
        self.used = {offer: used[offer] for offer in self.offers if offer[0] in bound}


class Lanes(Group):
    """What moving an item costs, how long it takes and how much a lane carries."""

    def __init__(self, tables: Tables, time: Time, stock: Stock, roads: Roads) -> None:
        lanes, key, self.leads = roads.called(tables["lanes"]), "origin destination item", stock.lane_leads
        row = {ship: roads.row(*ship) for ship in self.leads}
        self.carried = Lists((row[ship], ship[2]) for ship in row)
        lanes = lanes[among(lanes, key, self.carried)]
        cost, self.unit = _dict(lanes, key, "cost"), _dict(lanes, key, "counted_in")
        sizes = {"kg": stock.weight, "m3": stock.volume}
        self.size = {ship: sizes[unit][ship[-1]] if (unit := self.unit[row[ship]]) in sizes else 1.0 for ship in row}
        self.cost = {ship: cost[row[ship]] * self.size[ship] for ship in row}
        carbon = _dict(lanes, key, "carbon")
        self.carbon = {ship: each for ship in row if (each := carbon[row[ship]] * self.size[ship])}
        self.parts = _parts(self.leads, time)
        self.capacity, self.full_load = _dict(lanes, key, "capacity"), _positive(lanes, key, "full_load")
        self.late = [(*ship, t) for ship in row for t in time.too_late(min(self.leads[ship]))]


class Resources(Group):
    """Which resources work on what, how many hours they have, what hours cost, and what needs a set-up."""

    def __init__(self, tables: Tables, time: Time, making: Making, flow: Flow) -> None:
        made, resources = set(flow.makes), tables["resources"]
        self.operations = sorted((i, w, r) for i, w, r in making.hours if (i, w) in made)
        self.names = sorted({r for _, _, r in self.operations})
        self.work = Lists((r, (i, w)) for i, w, r in self.operations)
        self.of = Lists(((i, w), r) for i, w, r in self.operations)
        capacity = time.planned(tables["capacity"])
        capacity = capacity[capacity["resource"].isin(self.names)]
        left, most = capacity["hours"] - capacity["maintenance"], capacity["overtime_limit"]
        closed = capacity["hours"].eq(0) & capacity["resource"].isin(tables["shifts"]["place"])
        capacity = capacity.assign(
            hours=left.clip(lower=0.0), left=-left, overtime=most.mask(closed, 0.0), of_shifts=most.where(closed)
        )
        self.regular_limit = _dict(capacity, "resource month", "hours")
        self.overtime_limit = _dict(capacity, "resource month", "overtime")
        self.maintenance_left = _positive(capacity, "resource month", "left")
        self.overtime_of_shifts = _dict(capacity, "resource month", "of_shifts")
        self.hour_cost = _dict(resources, "resource", "hour_cost")
        self.overtime_cost = _dict(resources, "resource", "overtime_cost")
        self.change_price = _positive(resources[resources["resource"].isin(self.names)], "resource", "change_price")
        self.set_ups = [
            make
            for make in flow.makes
            if making.set_up_cost[make]
            or making.minimum_run[make]
            or any(making.set_up_hours[(*make, r)] or (*make, r) in making.families for r in self.of[make])
        ]
        switched = set(self.set_ups)
        self.switched = Lists((r, (i, w)) for i, w, r in self.operations if (i, w) in switched)
        families = {(i, w, r): making.families[i, w, r] for i, w, r in self.operations if (i, w, r) in making.families}
        self.of_family = [(i, w, f) for (i, w, _), f in families.items()]
        self.families = sorted({*families.values()})
        self.families_on = Lists({(r, f) for (*_, r), f in families.items()})
        self.members = Lists((f, (i, w)) for i, w, f in self.of_family)
        carries = set(resources.loc[resources["setup_carry_over"], "resource"])
        self.carried = [make for make in self.set_ups if set(self.of[make]) <= carries]
        self.carried_steps = [(i, w, r) for i, w in self.carried for r in self.of[i, w]]
        self.carrying = sorted(carries & set(self.switched))
        self.changes = [(i, w, r) for r in self.carrying for i, w in self.switched[r]]
        self.carried_on = Lists((r, (i, w)) for i, w, r in self.carried_steps)
        later = {(*make, t): [t] for make in self.carried for t in time.months[1:]}
        self.carries = {(*make, t): later.get((*make, t), []) for make in self.set_ups for t in time.months}


class Shifts(Group):
    """Shifts that the plan works or not: what each adds to a resource, or which site it opens, and what it costs.

    Maintenance beyond the hours of capacity is taken off the first shifts. Where capacity has no hours, overtime is
    that of the first shift.
    """

    def __init__(self, tables: Tables, time: Time, making: Making, flow: Flow, resources: Resources) -> None:
        months, shifts = time.months, tables["shifts"].sort_values(["place", "shift"])
        site = _dict(tables["resources"], "resource", "site")
        shifts = shifts[shifts["place"].isin({*resources.names, *flow.items_at} - (site.keys() - set(resources.names)))]
        names = shifts["place"] + " shift " + shifts["shift"].astype(str)
        shifts = shifts.assign(name=names, worked=shifts["worked"].astype(float))
        rows = {row["name"]: row for row in shifts.to_dict("records")}
        on = shifts.groupby("place")["name"].agg(list).to_dict()
        self.names, self.of = list(rows), {r: on.get(r, []) for r in resources.names}
        self.place, self.number, self.before, self.start_cost, self.stop_cost, least = (
            {h: row[name] for h, row in rows.items()}
            for name in ("place", "shift", "worked", "start_cost", "stop_cost", "least_months")
        )
        self.kept = [h for h in rows if least[h] > 1]
        self.span = {
            (h, t): months[max(0, at + 1 - least[h]) : at + 1] for h in self.kept for at, t in enumerate(months)
        }
        self.out_of_date = [(h, t) for h, row in rows.items() for t in time.outside(row["valid_from"], row["valid_to"])]
        self.opens = opens = {n: some[0] for n, some in on.items() if n not in self.of}
        first = {some[0]: [opens[site[r]]] for r, some in self.of.items() if some and site[r] in opens}
        self.below = {h: [last] for some in on.values() for last, h in pairwise(some)} | first
        self.closable = [(i, n, opens[n]) for i, n in flow.stocks if n in opens]
        idle = Lists((r, (i, w)) for i, w, r in resources.operations if not making.hours[i, w, r])
        self.hourless = sorted((*make, self.of[r][0], t) for r, t in resources.overtime_of_shifts for make in idle[r])
        dated, key = time.planned(tables["dated_shifts"]), "place shift month"
        special = {name: _dict(dated, key, name) for name in ("hours", "cost")}
        self.hours, self.cost = (
            {(h, t): own.get((row["place"], row["shift"], t), row[name]) for h, row in rows.items() for t in months}
            for name, own in special.items()
        )
        rest = {**resources.maintenance_left}
        self.overtime = {(self.of[r][0], t): most for (r, t), most in resources.overtime_of_shifts.items()}
        self.most = defaultdict[Any, float](float)
        for r, some in self.of.items():
            for h, t in ((h, t) for t in months for h in some):
                left = self.hours[h, t] - rest.get((r, t), 0.0)
                self.hours[h, t], rest[r, t] = max(0.0, left), max(0.0, -left)
                self.most[r, t] += self.hours[h, t] + self.overtime.get((h, t), 0.0)


class Carbon(Group):
    """What a unit made, an hour, a unit bought and a unit sent emit: only what emits anything."""

    def __init__(self, network: Network) -> None:
        tables, made = network.tables, set(network.flow.makes)
        self.price = network.policies.carbon_price
        self.making = {make: each for make, each in network.making.carbon.items() if each and make in made}
        hours = _positive(tables["resources"], "resource", "carbon")
        self.hours = {resource: each for resource, each in hours.items() if resource in network.resources.names}
        offers = _positive(tables["offers"], "supplier item site", "carbon")
        self.buying = {offer: each for offer, each in offers.items() if offer in network.buying.usual_price}
        self.freight = network.lanes.carbon


class People(Group):
    """Who is employed where with which skill, what they run, and what hiring, overtime and laying off cost."""

    def __init__(self, tables: Tables, time: Time, making: Making, flow: Flow, resources: Resources) -> None:
        workforce, key = tables["workforce"], "site skill"
        self.crews = sorted(keys_of(workforce, key))
        self.employed = _dict(workforce, key, "people")
        self.staying = {crew: 1.0 - part for crew, part in _dict(workforce, key, "attrition").items()}
        dated = tables["dated_workforce"]
        planned = time.planned(dated[among(dated, key, self.employed)])
        self.starting, self.leaving = (_positive(planned, f"{key} month", name) for name in ("starting", "leaving"))
        self.wage, self.hire_cost, self.layoff_cost = dict[Any, float](), dict[Any, float](), dict[Any, float]()
        for name in ("wage", "hire_cost", "layoff_cost"):
            paid, changed = _dict(workforce, key, name), _dict(dated, f"{key} month", name)
            for crew in self.crews:
                for t, month in zip(time.months, time.timestamps, strict=True):
                    paid[crew] = getattr(self, name)[*crew, t] = changed.get((*crew, month), paid[crew])
        self.overtime_limit = _dict(workforce, key, "overtime_limit")
        self.overtime_cost = _dict(workforce, key, "overtime_cost")
        self.most_hires = _dict(workforce, key, "most_hires")
        days = _dict(time.planned(tables["calendar"]), "month", "working_days")
        daily = _dict(workforce, key, "hours_per_day")
        self.hours = {(*crew, t): daily[crew] * days[t] for crew in self.crews for t in time.months}
        lead = _dict(workforce, key, "hire_lead_time")
        self.too_early = [(*crew, t) for crew in self.crews for t in time.months[: lead[crew]]]
        runs = keys_of(tables["resources"], "resource site skill")
        used, known, made = set(resources.names), set(self.crews), set(flow.makes)
        self.manned = Lists(((n, q), r) for r, n, q in runs if r in used and (n, q) in known)
        self.crew_size = _dict(tables["resources"], "resource", "crew")
        hand_work = [(i, w, n, q) for i, w, n, q in making.people_hours if (i, w) in made and (n, q) in known]
        self.hand_work = sorted(hand_work)
        self.by_hand = Lists(((n, q), (i, w)) for i, w, n, q in hand_work)


class Lots(Group):
    """An upper limit of what is made or ordered in one month, for decisions that are all or nothing.

    Demand of the whole horizon, every stock wish, what the last plan promised, the largest lot that must be
    taken at once, and what goes into all of that upwards through the bill of materials; never more than hours or a
    supplier's capacity allow.
    """

    def __init__(self, network: Network) -> None:
        making, stock, resources = network.making, network.stock, network.resources
        buying, lanes, shifts = network.buying, network.lanes, network.shifts
        numbers, months = partial(defaultdict[Any, float], float), network.time.months
        wishes, need, lots = numbers(stock.end_stock), defaultdict[Any, Any](lambda: np.zeros(len(months))), numbers()
        for (item, site, _), least in stock.safety_stock.items():
            wishes[item, site] = max(wishes[item, site], least)
        of_use = resources.set_ups or buying.minimum_order or buying.breaks_of or shifts.closable or shifts.hourless
        asked = numbers()
        for (item, market, month), quantity in network.demand.quantity.items() if of_use else ():
            # what is asked is of use up to its month, or in every month where it may wait
            use = len(months) if network.demand.may_wait[item, market] else network.time.position[month] + 1
            asked[item, use] += quantity
        for (item, use), quantity in asked.items():
            need[item][:use] += quantity
        for (item, market), quantity in network.demand.late.items():
            need[item][: len(months) if network.demand.may_wait[item, market] else 1] += quantity
        for (item, *_), quantity in [*wishes.items(), *network.last_plan.made.items()]:
            need[item] += quantity
        for (_, item, *_), quantity in network.last_plan.ordered.items():
            need[item] += quantity
        for item, lot in [
            *((i, lot) for (i, _), lot in making.minimum_run.items()),
            *((offer[1], buying.break_from[name]) for name, (offer,) in buying.break_offer.items()),
            *((i, lot + buying.multiple.get((s, i, n), 0.0)) for (s, i, n), lot in buying.minimum_order.items()),
            *(
                (i, load * len(months) / size)
                for lane, load in lanes.full_load.items()
                for i in lanes.carried[lane]
                if (size := lanes.size[*lane[:2], i]) > 0
            ),
        ]:
            lots[item] = max(lots[item], lot)
        most_used = numbers()
        for (item, way, component), quantity in making.bom.items():
            used = quantity * making.started[item, way]
            most_used[item, component] = max(most_used[item, component], used)
        comes_from = Lists((c, (i, each)) for (i, _, c), each in making.by_products.items() if each)
        early = numbers()  # so many are sent, or ordered, that one arrives with the first part
        for o, d, i in lanes.leads:
            early[i] = max(early[i], _early(lanes.leads[o, d, i]))
        covered = numbers()  # so many months of what leaves a site, at all sites together
        for (item, _), ahead in stock.cover_months.items():
            covered[item] += ahead
        for item in reversed(making.order):
            need[item] = need[item] * (early[item] or 1.0) * (1.0 + covered[item]) + lots[item]
            for component in making.components[item]:
                need[component] += need[item] * most_used[item, component]
            for make, each in comes_from[item]:
                need[make] += need[item] / each
        paced = set(resources.change_price)  # to keep their hours steady more may be made than is of use

        hours = {
            at: most + resources.overtime_limit[at] + shifts.most[at] for at, most in resources.regular_limit.items()
        }

        def most(i: str, w: str, at: int, t: str) -> float:
            steady = [r for r in resources.of[i, w] if making.hours[i, w, r] > 0]
            lost = [0.0 if resources.carries.get((i, w, t)) else making.set_up_hours[i, w, r] for r in steady]
            limits = [float(need[i][at])] * paced.isdisjoint(steady)
            for r, gone in zip(steady, lost, strict=True):
                limits.append(max(0.0, hours[r, t] - gone) / making.hours[i, w, r])
            return ROOM * min(limits)

        self.largest_run = {(i, w, t): most(i, w, at, t) for i, w in resources.set_ups for at, t in enumerate(months)}
        self.largest_closed = {(i, w, h, t): most(i, w, months.index(t), t) for i, w, h, t in shifts.hourless}
        self.least_run = {  # a set-up makes a lot, however small: none is made to keep a resource busy
            (i, w, t): max(making.minimum_run[i, w], LEAST_LOT * most) or 1.0
            for (i, w, t), most in self.largest_run.items()
        }
        self.largest_order = {
            (*offer, t): min(
                buying.capacity.get((*offer, t), math.inf), float(need[offer[1]][at]) * _early(buying.leads[offer])
            )
            for offer in sorted({*buying.minimum_order, *buying.breaks_of})
            for at, t in enumerate(months)
        }

        # what a site may take and send: what is of use, what is there anyway, and what comes out or keeps hours steady
        there = numbers()
        for (item, *_), quantity in [*stock.opening.items(), *stock.receipts.items()]:
            there[item] += quantity
        for i, w in network.flow.makes if network.shifts.closable else []:
            made = sum(most(i, w, at, t) for at, t in enumerate(months))
            there[i] += made * (not paced.isdisjoint(resources.of[i, w]))
            for out in making.comes_out[i, w]:
                there[out] += made * making.by_products[i, w, out]
        self.most_moved = {
            (i, n, h, t): ROOM * (float(need[i][at]) + there[i])
            for i, n, h in network.shifts.closable
            for at, t in enumerate(months)
        }


class Allocation(Group):
    """Who is served first: whoever brings most (`profit`), the first class, or all of a class by the same share."""

    def __init__(self, network: Network) -> None:
        demand, months, policy = network.demand, network.time.months, network.policies.allocation
        self.market_class = _dict(network.tables["markets"], "market", "priority")
        self.classes = sorted({self.market_class[market] for market in demand.markets})
        self.ranked = demand.pairs if policy == "priority" else []
        self.ranked_in = Lists((self.market_class[k], (p, k)) for p, k in self.ranked)
        # a unit given up where it could wait stays short to the end: else losing it at once would look better
        self.months_short = {
            (*pair, t): len(months) - at if demand.may_wait[pair] else 1
            for pair in self.ranked
            for at, t in enumerate(months)
        }
        self.fair_base, self.class_base = {}, defaultdict[Any, float](float)
        for p, k in demand.pairs if policy == "fair_share" else []:
            first, roads = network.flow.earliest, network.roads
            arrives = min(
                [first[p, roads.site[o]] + min(roads.leads[roads.row(o, k, p)]) for o in network.flow.origins[p, k]],
                default=math.inf,
            )
            due = demand.late.get((p, k), 0.0)
            for at, t in enumerate(months):
                asked = demand.quantity.get((p, k, t), 0.0)
                due = due + asked if demand.may_wait[p, k] or not at else asked
                if at >= arrives and due > 0:
                    self.fair_base[p, k, t] = due
                    self.class_base[p, self.market_class[k], t] += due
        self.fair = list(self.fair_base)
        self.given_up = {
            (p, k, t): months[: network.time.position[t] + 1] if demand.may_wait[p, k] else [t] for p, k, t in self.fair
        }
        self.fair_classes = sorted(self.class_base)
        self.sharing = Lists((c, (p, t)) for p, c, t in self.fair_classes)


class Kept(Group):
    """The last plan for each way and offer, and `gone`: what it had for a way or offer that there is no longer."""

    def __init__(self, last: LastPlan, flow: Flow, buying: Buying) -> None:
        self.make = {(*make, t): last.made.get((*make, t), 0.0) for make in flow.makes for t in last.months}
        self.order = {(*offer, t): last.ordered.get((*offer, t), 0.0) for offer in buying.offers for t in last.months}
        self.gone = {(w, i, t): units for (i, w, t), units in last.made.items() if (i, w, t) not in self.make}
        for (s, i, n, t), units in last.ordered.items():
            if (s, i, n, t) not in self.order:
                self.gone[s, i, t] = self.gone.get((s, i, t), 0.0) + units
