"""The supply model: what to make, buy, ship and hold, and with how many people, so that the company earns most.

One Pyomo model, read from top to bottom: sets, parameters, decisions, balances, limits, policies, money, objective.
Every component's `doc` is the sentence a planner would say, with the unit. `network` holds what is possible.
"""

from __future__ import annotations

import pyomo.environ as pyo

from sopkit.supply.network import START, Network

CASH = (
    "making",
    "regular_hours",
    "overtime_hours",
    "setting_up",
    "buying",
    "freight",
    "holding",
    "wages",
    "people_overtime",
    "hiring",
    "laying_off",
    "changing_rate",
)
"""Named costs that somebody is paid for."""

POLICY = (
    "waiting",
    "left_waiting",
    "losing",
    "missing_safety_stock",
    "missing_end_stock",
    "stock_above_maximum",
    "space_overflow",
    "above_stock_budget",
    "out_of_order",
    "unfair_shares",
    "changing_the_plan",
)
"""Named prices of a policy: they steer the plan, nobody is paid."""


def build(network: Network) -> pyo.ConcreteModel:
    """The supply model of `network`: quantities in units of measure, hours, people and the company's currency.

    Balances follow Chopra & Meindl, Supply Chain Management (aggregate planning), and Pochet & Wolsey, Production
    Planning by Mixed Integer Programming (lots, bills of materials); shelf life is first in, first out.
    """
    m = pyo.ConcreteModel(name="supply")
    _sets(m, network)
    _parameters(m, network)
    _decisions(m, network)
    m.part_of = {}
    for part, declare in (("balance", _balances), ("limit", _limits), ("policy", _policies)):
        declare(m)
        m.part_of |= {rule.name: m.part_of.get(rule.name, part) for rule in m.component_objects(pyo.Constraint)}
    _money(m)
    m.profit = pyo.Objective(
        sense=pyo.maximize,
        expr=sum(m.revenue[t] for t in m.MONTHS)
        - sum(cost[t] for cost in map(m.component, CASH + POLICY) for t in cost.index_set()),
        doc="Earn the most: revenue less every named cost (currency)",
    )
    return m


def _sets(m: pyo.ConcreteModel, network: Network) -> None:
    # time: `previous` leads from the first month to START, the moment before the plan
    m.MONTHS = pyo.Set(initialize=network.months, doc="planned months")
    m.MONTH_ENDS = pyo.Set(initialize=network.month_ends, doc="ends of planned months, and the start before them")
    m.LATER_MONTHS = pyo.Set(dimen=1, initialize=network.months[1:], doc="planned months but the first")
    m.LAST = pyo.Set(initialize=network.months[-1:], doc="the last planned month")
    m.LEADS = pyo.Set(initialize=network.leads, doc="lead times in whole months")
    m.BEFORE = pyo.Set(
        m.LEADS, m.MONTHS, initialize=network.before, doc="the month so many months before, where planned"
    )

    # where things can be
    m.STOCKS = pyo.Set(dimen=2, initialize=network.stocks, doc="item and site where it can be kept")
    m.SITES = pyo.Set(dimen=1, initialize=sorted(network.items_at), doc="sites where anything can be kept")
    m.ITEMS_AT = pyo.Set(m.SITES, initialize=dict(network.items_at), doc="items that can be kept at a site")

    m.ITEMS = pyo.Set(
        dimen=1, initialize=sorted({item for item, _ in network.stocks}), doc="items that can be kept anywhere"
    )

    m.PERISHABLE = pyo.Set(dimen=2, initialize=network.perishable, doc="item and site where it can get too old")
    m.SCRAPS = pyo.Set(
        m.STOCKS, initialize=_all(network.scraps, network.stocks), doc="the item itself, where it can get too old"
    )
    m.AGEING = pyo.Set(dimen=1, initialize=sorted(network.ageing), doc="items with a shelf life")
    m.SITES_OF = pyo.Set(m.AGEING, initialize=dict(network.ageing), doc="sites where an item with a shelf life is kept")
    m.LIVES = pyo.Set(dimen=1, initialize=network.lives, doc="shelf lives in whole months")
    m.YOUNG = pyo.Set(
        m.LIVES, m.MONTHS, initialize=network.young, doc="months whose goods are not too old at a month's end"
    )
    m.UNDERWAY = pyo.Set(
        m.LEADS,
        m.MONTHS,
        initialize=network.underway,
        doc="months in which what left is still on the way at a month's end",
    )

    # how things can be made
    m.MAKES = pyo.Set(dimen=2, initialize=network.makes, doc="item and way of making it")
    m.OPERATIONS = pyo.Set(dimen=3, initialize=network.operations, doc="item, way and resource that works on it")
    m.SET_UPS = pyo.Set(dimen=2, initialize=network.set_ups, doc="item and way with a set-up or a minimum run")
    m.RESOURCES = pyo.Set(dimen=1, initialize=network.resources, doc="resources that can make anything")
    m.PACED = pyo.Set(
        dimen=1, initialize=sorted(network.change_price), doc="resources whose change of rate has a price"
    )
    m.WORK = pyo.Set(m.RESOURCES, dimen=2, initialize=dict(network.work), doc="what a resource can work on")
    m.SWITCHED = pyo.Set(
        m.RESOURCES,
        dimen=2,
        initialize=_all(network.switched, network.resources),
        doc="what a resource must be set up for",
    )
    m.WAYS = pyo.Set(m.STOCKS, initialize=_all(network.ways, network.stocks), doc="ways of making an item at a site")
    m.USAGES = pyo.Set(dimen=3, initialize=sorted(network.usage), doc="item, way and component that goes into it")
    m.USES = pyo.Set(
        m.STOCKS, dimen=2, initialize=_all(network.uses, network.stocks), doc="what an item goes into at a site"
    )

    # how things can be bought, shipped and sold
    m.OFFERS = pyo.Set(dimen=3, initialize=network.offers, doc="supplier, item and site it delivers to")
    m.SUPPLIERS = pyo.Set(
        m.STOCKS, initialize=_all(network.suppliers, network.stocks), doc="who can deliver an item to a site"
    )
    m.LIMITED_ORDERS = pyo.Set(
        dimen=4, initialize=sorted(network.offer_capacity), doc="offer and month with a capacity"
    )
    m.LEAST_ORDERS = pyo.Set(
        dimen=4, initialize=sorted(network.largest_order), doc="offer with a minimum order, and month"
    )
    m.SHARED_OFFERS = pyo.Set(
        dimen=3, initialize=sorted(set(network.share_limit) & set(network.offers)), doc="offers with a share limit"
    )
    m.LATE_ORDERS = pyo.Set(
        dimen=4, initialize=network.late_orders, doc="orders that would arrive after the last month"
    )
    m.LANES = pyo.Set(dimen=2, initialize=network.lanes, doc="origin and destination")
    m.LIMITED_LANES = pyo.Set(dimen=2, initialize=sorted(network.lane_capacity), doc="lanes with a capacity")
    m.CARRIED = pyo.Set(m.LANES, initialize=dict(network.carried), doc="items a lane can carry")
    m.SHIPS = pyo.Set(dimen=3, initialize=network.ships, doc="origin, destination and item that can move there")
    m.LATE_SHIPMENTS = pyo.Set(dimen=4, initialize=network.late_shipments, doc="shipments that would arrive too late")
    m.DESTINATIONS = pyo.Set(
        m.STOCKS, initialize=_all(network.destinations, network.stocks), doc="where an item can go from a site"
    )
    places = sorted({*network.stocks, *network.demanded})
    m.PLACES = pyo.Set(dimen=2, initialize=places, doc="item and site or market")
    m.ORIGINS = pyo.Set(m.PLACES, initialize=_all(network.origins, places), doc="where an item can come from")
    m.DEMANDED = pyo.Set(dimen=2, initialize=network.demanded, doc="product and market that asks for it")

    m.MARKETS = pyo.Set(
        dimen=1, initialize=sorted({market for _, market in network.demanded}), doc="markets that ask for anything"
    )
    m.CLASSES = pyo.Set(
        dimen=1, initialize=sorted(network.premium), doc="priority classes of markets, 1 is served first"
    )

    # who works
    m.CREWS = pyo.Set(dimen=2, initialize=network.crews, doc="site and skill of people")
    m.MANNED = pyo.Set(
        m.CREWS, initialize=_all(network.manned, network.crews), doc="resources that people of a skill run"
    )
    m.BY_HAND = pyo.Set(
        m.CREWS, dimen=2, initialize=_all(network.by_hand, network.crews), doc="what people of a skill work on"
    )
    hand_work = sorted((i, w, n, k) for (n, k), makes in network.by_hand.items() for i, w in makes)
    m.HAND_WORK = pyo.Set(dimen=4, initialize=hand_work, doc="item, way, site and skill that works on it")
    m.HIRING_LIMITS = pyo.Set(dimen=2, initialize=sorted(network.most_hires), doc="people with a limit on hiring")
    m.TOO_EARLY_HIRES = pyo.Set(
        dimen=3, initialize=network.too_early_hires, doc="months before anyone hired now can start"
    )

    # what is wished for
    m.SAFE = pyo.Set(dimen=2, initialize=sorted(network.safety_stock), doc="item and site with a safety stock")
    m.TARGETED = pyo.Set(dimen=2, initialize=sorted(network.end_stock), doc="item and site with a target end stock")
    m.CAPPED = pyo.Set(dimen=2, initialize=sorted(network.maximum_stock), doc="item and site with a maximum stock")
    m.STORES = pyo.Set(
        dimen=1,
        initialize=[site for site in sorted(network.storage) if site in network.items_at],
        doc="sites with a limit on space",
    )
    m.BUDGETS = pyo.Set(
        dimen=1,
        initialize=network.months if network.policies.stock_budget is not None else [],
        doc="months with a stock budget",
    )
    m.RANKED = pyo.Set(dimen=2, initialize=network.ranked, doc="demand that is served by priority class")
    m.FAIR = pyo.Set(dimen=3, initialize=network.fair, doc="demand and month that shares short supply fairly")
    m.FAIR_CLASSES = pyo.Set(dimen=3, initialize=network.fair_classes, doc="product, priority class and month")
    m.KEPT_MAKES = pyo.Set(dimen=3, initialize=sorted(network.last_make), doc="making that the last plan spoke of")
    m.KEPT_ORDERS = pyo.Set(dimen=4, initialize=sorted(network.last_order), doc="orders that the last plan spoke of")
    m.KEPT_MONTHS = pyo.Set(
        dimen=1, initialize=network.kept_months, doc="months of the last plan whose change has a price"
    )


def _all(lists, keys) -> dict:
    """A list, empty where there is none, for each of `keys`."""
    return {key: lists[key] for key in keys}


def _parameters(m: pyo.ConcreteModel, network: Network) -> None:
    amount = {"within": pyo.NonNegativeReals, "default": 0}
    m.previous = pyo.Param(m.MONTHS, initialize=network.previous, within=m.MONTH_ENDS, doc="the month before")

    # demand
    m.demand = pyo.Param(m.DEMANDED, m.MONTHS, initialize=network.demand, **amount, doc="consensus demand (units)")
    m.price = pyo.Param(m.DEMANDED, m.MONTHS, initialize=network.price, **amount, doc="net price (currency per unit)")
    m.most_waiting = pyo.Param(
        m.DEMANDED, initialize=network.may_wait, **amount, doc="0 where demand may not wait (units)"
    )
    m.most_lost = pyo.Param(
        m.DEMANDED, initialize=network.may_lose, **amount, doc="0 where demand may not be lost (units)"
    )
    m.waiting_price = pyo.Param(
        m.DEMANDED, initialize=network.waiting_price, **amount, doc="of a unit waiting at a month's end (currency)"
    )
    m.losing_price = pyo.Param(m.DEMANDED, initialize=network.losing_price, **amount, doc="of a lost unit (currency)")
    m.left_waiting_price = pyo.Param(
        initialize=network.left_waiting_price, **amount, doc="of a unit still waiting at the horizon's end (currency)"
    )

    # making
    m.make_cost = pyo.Param(
        m.MAKES, initialize=_of(network.make_cost, m.MAKES), **amount, doc="variable cost (currency per good unit)"
    )
    m.hours = pyo.Param(
        m.OPERATIONS,
        initialize=_of(network.hours, m.OPERATIONS),
        **amount,
        doc="hours of the resource (hours per good unit)",
    )
    m.usage = pyo.Param(m.USAGES, initialize=network.usage, **amount, doc="component used (units per good unit)")
    m.set_up_hours = pyo.Param(
        m.OPERATIONS, initialize=_of(network.set_up_hours, m.OPERATIONS), **amount, doc="lost to a set-up (hours)"
    )
    m.set_up_cost = pyo.Param(
        m.MAKES, initialize=_of(network.set_up_cost, m.MAKES), **amount, doc="of a set-up (currency)"
    )
    m.minimum_run = pyo.Param(
        m.MAKES, initialize=_of(network.minimum_run, m.MAKES), **amount, doc="least units in a month with a set-up"
    )
    m.largest_run = pyo.Param(
        m.SET_UPS, m.MONTHS, initialize=network.largest_run, **amount, doc="most units that could be of use"
    )
    m.regular_limit = pyo.Param(
        m.RESOURCES, m.MONTHS, initialize=network.regular_limit, **amount, doc="regular hours after maintenance"
    )
    m.overtime_limit = pyo.Param(
        m.RESOURCES, m.MONTHS, initialize=network.overtime_limit, **amount, doc="most overtime hours"
    )
    m.hour_cost = pyo.Param(
        m.RESOURCES, initialize=_of(network.hour_cost, m.RESOURCES), **amount, doc="of a regular hour (currency)"
    )
    m.overtime_cost = pyo.Param(
        m.RESOURCES, initialize=_of(network.overtime_cost, m.RESOURCES), **amount, doc="of an overtime hour (currency)"
    )
    m.change_price = pyo.Param(
        m.PACED, initialize=network.change_price, **amount, doc="of an hour more or less than last month"
    )

    # buying and shipping
    m.offer_price = pyo.Param(m.OFFERS, initialize=network.offer_price, **amount, doc="delivered (currency per unit)")
    m.offer_lead = pyo.Param(
        m.OFFERS, initialize=network.offer_lead, within=m.LEADS, doc="from order to arrival (months)"
    )
    m.offer_capacity = pyo.Param(
        m.LIMITED_ORDERS, initialize=network.offer_capacity, **amount, doc="most units ordered in a month"
    )
    m.minimum_order = pyo.Param(
        m.OFFERS, initialize=_of(network.minimum_order, m.OFFERS), **amount, doc="least units, if any is ordered"
    )
    m.largest_order = pyo.Param(
        m.LEAST_ORDERS, initialize=network.largest_order, **amount, doc="most units that could be of use"
    )
    m.share_limit = pyo.Param(
        m.SHARED_OFFERS,
        initialize=_of(network.share_limit, m.SHARED_OFFERS),
        **amount,
        doc="of what is bought of the item (share)",
    )
    m.lane_cost = pyo.Param(m.LANES, initialize=network.lane_cost, **amount, doc="of moving a unit (currency)")
    m.lane_lead = pyo.Param(m.LANES, initialize=network.lane_lead, within=m.LEADS, doc="on the way (months)")
    m.lane_capacity = pyo.Param(m.LIMITED_LANES, initialize=network.lane_capacity, **amount, doc="most units a month")

    # stock
    m.opening = pyo.Param(m.STOCKS, initialize=network.opening, **amount, doc="on hand before the first month (units)")
    m.receipts = pyo.Param(
        m.STOCKS, m.MONTHS, initialize=network.receipts, **amount, doc="ordered before this plan (units)"
    )
    m.shelf_life = pyo.Param(m.AGEING, initialize=_of(network.shelf_life, m.AGEING), within=m.LIVES, doc="(months)")
    m.young_opening = pyo.Param(
        m.PERISHABLE,
        m.MONTHS,
        initialize=network.young_opening,
        **amount,
        doc="opening stock that is not too old at a month's end (units)",
    )
    m.holding_cost = pyo.Param(
        m.STOCKS,
        initialize=_of(network.holding_cost, network.stocks),
        **amount,
        doc="of a unit at a month's end (currency)",
    )
    m.safety_stock = pyo.Param(
        m.SAFE, initialize=network.safety_stock, **amount, doc="wanted at every month's end (units)"
    )
    m.safety_price = pyo.Param(
        m.SAFE,
        initialize=_of(network.safety_price, network.safety_stock),
        **amount,
        doc="of a missing unit and month (currency)",
    )
    m.end_stock = pyo.Param(
        m.TARGETED, initialize=network.end_stock, **amount, doc="wanted at the horizon's end (units)"
    )
    m.end_stock_price = pyo.Param(
        m.TARGETED, initialize=network.end_stock_price, **amount, doc="of a missing unit (currency)"
    )
    m.maximum_stock = pyo.Param(
        m.CAPPED, initialize=network.maximum_stock, **amount, doc="most at a month's end (units)"
    )
    m.volume = pyo.Param(m.ITEMS, initialize=_of(network.volume, m.ITEMS), **amount, doc="space of a unit (m3)")
    m.storage = pyo.Param(m.STORES, initialize=_of(network.storage, m.STORES), **amount, doc="space at a site (m3)")
    m.overflow_price = pyo.Param(
        m.STORES,
        initialize=_of(network.overflow_price, m.STORES),
        **amount,
        doc="of a m3 and month beyond it (currency)",
    )
    m.standard_cost = pyo.Param(
        m.ITEMS, initialize=_of(network.standard_cost, m.ITEMS), **amount, doc="of a unit (currency)"
    )
    m.stock_budget = pyo.Param(
        initialize=network.policies.stock_budget or 0, **amount, doc="most money in stock (currency)"
    )
    m.stock_budget_price = pyo.Param(
        initialize=network.policies.stock_budget_price, **amount, doc="of a unit of money and month above it (currency)"
    )
    m.emergency_price = pyo.Param(
        initialize=network.emergency_price, **amount, doc="of a unit of what should never be (currency)"
    )

    # people
    m.people = pyo.Param(m.CREWS, initialize=network.people, **amount, doc="employed before the first month")
    m.person_hours = pyo.Param(
        m.CREWS, m.MONTHS, initialize=network.person_hours, **amount, doc="regular hours of a person"
    )
    m.person_overtime = pyo.Param(
        m.CREWS, initialize=network.person_overtime, **amount, doc="most overtime hours of a person and month"
    )
    m.crew_size = pyo.Param(
        m.RESOURCES,
        initialize=_of(network.crew_size, network.resources),
        **amount,
        doc="people's hours in an hour of a resource",
    )
    m.people_hours = pyo.Param(
        m.HAND_WORK,
        initialize=_of(network.people_hours, m.HAND_WORK),
        **amount,
        doc="people's hours besides the crew (hours per good unit)",
    )
    m.wage = pyo.Param(m.CREWS, initialize=network.wage, **amount, doc="of a person and month, busy or not (currency)")
    m.people_overtime_cost = pyo.Param(
        m.CREWS, initialize=network.people_overtime_cost, **amount, doc="of an overtime hour (currency)"
    )
    m.hire_cost = pyo.Param(m.CREWS, initialize=network.hire_cost, **amount, doc="of hiring a person (currency)")
    m.layoff_cost = pyo.Param(
        m.CREWS, initialize=network.layoff_cost, **amount, doc="of laying off a person (currency)"
    )
    m.most_hires = pyo.Param(
        m.HIRING_LIMITS, initialize=network.most_hires, **amount, doc="people that can start in a month"
    )

    # who is served first, and what was promised
    m.market_class = pyo.Param(
        m.MARKETS,
        initialize=_of(network.market_class, m.MARKETS),
        within=pyo.NonNegativeIntegers,
        doc="priority class, 1 is first",
    )
    m.premium = pyo.Param(
        m.CLASSES, initialize=network.premium, **amount, doc="of a unit short, by priority class (currency)"
    )
    m.fair_base = pyo.Param(m.FAIR, initialize=network.fair_base, **amount, doc="demand that shares (units)")
    m.class_base = pyo.Param(
        m.FAIR_CLASSES, initialize=dict(network.class_base), **amount, doc="demand of a class that shares (units)"
    )
    m.last_make = pyo.Param(m.KEPT_MAKES, initialize=network.last_make, **amount, doc="made in the last plan (units)")
    m.last_order = pyo.Param(
        m.KEPT_ORDERS, initialize=network.last_order, **amount, doc="ordered in the last plan (units)"
    )
    m.plan_change_price = pyo.Param(
        m.KEPT_MONTHS,
        initialize=network.plan_change_price,
        **amount,
        doc="of a unit changed against the last plan (currency)",
    )


def _of(values: dict, keys) -> dict:
    """The entries of `values` that belong to `keys`."""
    return {key: values[key] for key in keys if key in values}


def _decisions(m: pyo.ConcreteModel, network: Network) -> None:
    units = {"within": pyo.NonNegativeReals, "dense": False}
    persons = {
        "within": pyo.NonNegativeIntegers if network.policies.whole_people else pyo.NonNegativeReals,
        "dense": False,
    }

    m.make = pyo.Var(m.MAKES, m.MONTHS, **units, doc="make good units of an item (units)")
    m.set_up = pyo.Var(m.SET_UPS, m.MONTHS, within=pyo.Binary, dense=False, doc="set up for an item (yes or no)")
    m.run = pyo.Var(m.RESOURCES, m.MONTHS, **units, doc="run a resource in regular time (hours)")
    m.run_overtime = pyo.Var(m.RESOURCES, m.MONTHS, **units, doc="run a resource in overtime (hours)")
    m.run_more = pyo.Var(m.PACED, m.LATER_MONTHS, **units, doc="run longer than last month (hours)")
    m.run_less = pyo.Var(m.PACED, m.LATER_MONTHS, **units, doc="run shorter than last month (hours)")
    m.buy = pyo.Var(m.OFFERS, m.MONTHS, **units, doc="order from a supplier (units)")
    m.place_order = pyo.Var(m.LEAST_ORDERS, within=pyo.Binary, dense=False, doc="order at all in a month (yes or no)")
    m.ship = pyo.Var(m.SHIPS, m.MONTHS, **units, doc="send an item over a lane (units)")
    m.hold = pyo.Var(m.STOCKS, m.MONTH_ENDS, **units, doc="hold in stock at a month's end (units)")
    m.scrap = pyo.Var(m.PERISHABLE, m.MONTHS, **units, doc="scrap what got too old (units)")
    m.wait = pyo.Var(
        m.DEMANDED,
        m.MONTH_ENDS,
        **units,
        bounds=lambda m, p, k, t: (0, m.most_waiting[p, k]),
        doc="let demand wait at a month's end (units)",
    )
    m.lose = pyo.Var(
        m.DEMANDED, m.MONTHS, **units, bounds=lambda m, p, k, t: (0, m.most_lost[p, k]), doc="lose demand (units)"
    )
    m.employ = pyo.Var(m.CREWS, m.MONTH_ENDS, **persons, doc="employ people (people)")
    m.hire = pyo.Var(m.CREWS, m.MONTHS, **persons, doc="hire people who start in a month (people)")
    m.lay_off = pyo.Var(m.CREWS, m.MONTHS, **persons, doc="lay off people (people)")
    m.work_overtime = pyo.Var(m.CREWS, m.MONTHS, **units, doc="let people work overtime (hours)")

    m.fall_below_safety = pyo.Var(m.SAFE, m.MONTHS, **units, doc="hold less than the safety stock (units)")
    m.miss_end_stock = pyo.Var(m.TARGETED, m.LAST, **units, doc="end with less than the target stock (units)")
    m.exceed_maximum = pyo.Var(m.CAPPED, m.MONTHS, **units, doc="hold more than the maximum stock (units)")
    m.overflow = pyo.Var(m.STORES, m.MONTHS, **units, doc="use space beyond a site's own (m3)")
    m.exceed_budget = pyo.Var(m.BUDGETS, **units, doc="hold more money in stock than budgeted (currency)")
    m.worst_share = pyo.Var(m.FAIR_CLASSES, **units, doc="leave short at worst, within a class (share)")
    m.make_more = pyo.Var(m.KEPT_MAKES, **units, doc="make more than the last plan said (units)")
    m.make_less = pyo.Var(m.KEPT_MAKES, **units, doc="make less than the last plan said (units)")
    m.order_more = pyo.Var(m.KEPT_ORDERS, **units, doc="order more than the last plan said (units)")
    m.order_less = pyo.Var(m.KEPT_ORDERS, **units, doc="order less than the last plan said (units)")


def _balances(m: pyo.ConcreteModel) -> None:
    @m.Constraint(m.STOCKS, doc="The plan starts with the stock on hand (units)")
    def opening_stock(m, i, n):
        return m.hold[i, n, START] == m.opening[i, n]

    @m.Constraint(m.STOCKS, m.MONTHS, doc="Stock and all that comes in is used, shipped or held on (units)")
    def stock_balance(m, i, n, t):
        return m.hold[i, n, m.previous[t]] + m.receipts[i, n, t] + sum(m.make[i, w, t] for w in m.WAYS[i, n]) + sum(
            m.buy[s, i, n, sent] for s in m.SUPPLIERS[i, n] for sent in m.BEFORE[m.offer_lead[s, i, n], t]
        ) + sum(m.ship[o, n, i, sent] for o in m.ORIGINS[i, n] for sent in m.BEFORE[m.lane_lead[o, n], t]) == m.hold[
            i, n, t
        ] + sum(m.usage[j, w, i] * m.make[j, w, t] for j, w in m.USES[i, n]) + sum(
            m.ship[n, d, i, t] for d in m.DESTINATIONS[i, n]
        ) + sum(m.scrap[old, n, t] for old in m.SCRAPS[i, n])

    @m.Constraint(m.DEMANDED, doc="No demand waits before the first month (units)")
    def nothing_waits_at_first(m, p, k):
        return m.wait[p, k, START] == 0

    @m.Constraint(m.DEMANDED, m.MONTHS, doc="Demand, new and waiting, is delivered, lost or waits on (units)")
    def demand_balance(m, p, k, t):
        return (
            sum(m.ship[o, k, p, sent] for o in m.ORIGINS[p, k] for sent in m.BEFORE[m.lane_lead[o, k], t])
            + m.lose[p, k, t]
            + m.wait[p, k, t]
            == m.demand[p, k, t] + m.wait[p, k, m.previous[t]]
        )

    @m.Constraint(m.RESOURCES, m.MONTHS, doc="A resource runs as long as its work and set-ups take (hours)")
    def resource_work(m, r, t):
        return m.run[r, t] + m.run_overtime[r, t] == (
            sum(m.hours[i, w, r] * m.make[i, w, t] for i, w in m.WORK[r])
            + sum(m.set_up_hours[i, w, r] * m.set_up[i, w, t] for i, w in m.SWITCHED[r])
        )

    @m.Constraint(m.CREWS, doc="The plan starts with the people employed (people)")
    def opening_people(m, n, k):
        return m.employ[n, k, START] == m.people[n, k]

    @m.Constraint(m.CREWS, m.MONTHS, doc="People stay, start when hired and go when laid off (people)")
    def people_balance(m, n, k, t):
        return m.employ[n, k, t] == m.employ[n, k, m.previous[t]] + m.hire[n, k, t] - m.lay_off[n, k, t]


def _limits(m: pyo.ConcreteModel) -> None:
    @m.Constraint(
        m.RESOURCES, m.MONTHS, doc="A resource runs no longer than its regular hours after maintenance (hours)"
    )
    def regular_capacity(m, r, t):
        return m.run[r, t] <= m.regular_limit[r, t]

    @m.Constraint(m.RESOURCES, m.MONTHS, doc="A resource runs no longer in overtime than allowed (hours)")
    def overtime_capacity(m, r, t):
        return m.run_overtime[r, t] <= m.overtime_limit[r, t]

    @m.Constraint(m.SET_UPS, m.MONTHS, doc="Nothing is made without its set-up (units)")
    def set_up_first(m, i, w, t):
        return m.make[i, w, t] <= m.largest_run[i, w, t] * m.set_up[i, w, t]

    @m.Constraint(m.SET_UPS, m.MONTHS, doc="A run is no smaller than the minimum run (units)")
    def smallest_run(m, i, w, t):
        return m.make[i, w, t] >= m.minimum_run[i, w] * m.set_up[i, w, t]

    @m.Constraint(m.CREWS, m.MONTHS, doc="People's work fits into their regular hours and overtime (hours)")
    def people_work(m, n, k, t):
        return (
            sum(m.crew_size[r] * (m.run[r, t] + m.run_overtime[r, t]) for r in m.MANNED[n, k])
            + sum(m.people_hours[i, w, n, k] * m.make[i, w, t] for i, w in m.BY_HAND[n, k])
            <= m.person_hours[n, k, t] * m.employ[n, k, t] + m.work_overtime[n, k, t]
        )

    @m.Constraint(m.CREWS, m.MONTHS, doc="Nobody works more overtime than allowed (hours)")
    def people_overtime_limit(m, n, k, t):
        return m.work_overtime[n, k, t] <= m.person_overtime[n, k] * m.employ[n, k, t]

    @m.Constraint(m.HIRING_LIMITS, m.MONTHS, doc="No more people start in a month than can be taken in (people)")
    def hiring_limit(m, n, k, t):
        return m.hire[n, k, t] <= m.most_hires[n, k]

    @m.Constraint(m.TOO_EARLY_HIRES, doc="Nobody starts before the time it takes to hire has passed (people)")
    def no_early_hires(m, n, k, t):
        return m.hire[n, k, t] == 0

    @m.Constraint(m.LIMITED_ORDERS, doc="No more is ordered than the supplier can deliver (units)")
    def supplier_capacity(m, s, i, n, t):
        return m.buy[s, i, n, t] <= m.offer_capacity[s, i, n, t]

    @m.Constraint(m.LEAST_ORDERS, doc="Units are ordered only where an order is placed (units)")
    def order_first(m, s, i, n, t):
        return m.buy[s, i, n, t] <= m.largest_order[s, i, n, t] * m.place_order[s, i, n, t]

    @m.Constraint(m.LEAST_ORDERS, doc="An order is no smaller than the supplier's minimum (units)")
    def smallest_order(m, s, i, n, t):
        return m.buy[s, i, n, t] >= m.minimum_order[s, i, n] * m.place_order[s, i, n, t]

    @m.Constraint(
        m.SHARED_OFFERS,
        doc="Over the horizon no supplier gets more than its share of what is bought of an item for a site (units)",
    )
    def supplier_share(m, s, i, n):
        return sum(m.buy[s, i, n, t] for t in m.MONTHS) <= m.share_limit[s, i, n] * sum(
            m.buy[other, i, n, t] for other in m.SUPPLIERS[i, n] for t in m.MONTHS
        )

    @m.Constraint(m.LATE_ORDERS, doc="Nothing is ordered that would arrive after the last month (units)")
    def no_late_orders(m, s, i, n, t):
        return m.buy[s, i, n, t] == 0

    @m.Constraint(m.LIMITED_LANES, m.MONTHS, doc="No more is sent over a lane than it can carry (units)")
    def lane_limit(m, o, d, t):
        return sum(m.ship[o, d, i, t] for i in m.CARRIED[o, d]) <= m.lane_capacity[o, d]

    @m.Constraint(m.LATE_SHIPMENTS, doc="Nothing is sent that would arrive after the last month (units)")
    def no_late_shipments(m, o, d, i, t):
        return m.ship[o, d, i, t] == 0

    @m.Constraint(
        m.PERISHABLE,
        m.MONTHS,
        doc="First in, first out: a site holds no more than came in within the shelf life (units)",
    )
    def shelf_life_at_site(m, i, n, t):
        return m.hold[i, n, t] <= m.young_opening[i, n, t] + sum(
            m.receipts[i, n, young]
            + sum(m.make[i, w, young] for w in m.WAYS[i, n])
            + sum(m.buy[s, i, n, sent] for s in m.SUPPLIERS[i, n] for sent in m.BEFORE[m.offer_lead[s, i, n], young])
            + sum(m.ship[o, n, i, sent] for o in m.ORIGINS[i, n] for sent in m.BEFORE[m.lane_lead[o, n], young])
            for young in m.YOUNG[m.shelf_life[i], t]
        )

    @m.Constraint(
        m.AGEING,
        m.MONTHS,
        doc="All sites and lanes together hold no more than was made or bought within the shelf life (units)",
    )
    def shelf_life_in_network(m, i, t):
        return sum(m.hold[i, n, t] for n in m.SITES_OF[i]) + sum(
            m.ship[o, n, i, sent]
            for n in m.SITES_OF[i]
            for o in m.ORIGINS[i, n]
            for sent in m.UNDERWAY[m.lane_lead[o, n], t]
        ) <= sum(m.young_opening[i, n, t] for n in m.SITES_OF[i]) + sum(
            m.receipts[i, n, young]
            + sum(m.make[i, w, young] for w in m.WAYS[i, n])
            + sum(m.buy[s, i, n, sent] for s in m.SUPPLIERS[i, n] for sent in m.BEFORE[m.offer_lead[s, i, n], young])
            for n in m.SITES_OF[i]
            for young in m.YOUNG[m.shelf_life[i], t]
        )


def _policies(m: pyo.ConcreteModel) -> None:
    @m.Constraint(m.SAFE, m.MONTHS, doc="Stock covers the safety stock, or what is missing is priced (units)")
    def safety(m, i, n, t):
        return m.hold[i, n, t] + m.fall_below_safety[i, n, t] >= m.safety_stock[i, n]

    @m.Constraint(
        m.TARGETED, m.LAST, doc="The last month ends with the target stock, or what is missing is priced (units)"
    )
    def end_stock_target(m, i, n, t):
        return m.hold[i, n, t] + m.miss_end_stock[i, n, t] >= m.end_stock[i, n]

    @m.Constraint(m.CAPPED, m.MONTHS, doc="Stock stays below its maximum, but in an emergency (units)")
    def stock_maximum(m, i, n, t):
        return m.hold[i, n, t] <= m.maximum_stock[i, n] + m.exceed_maximum[i, n, t]

    @m.Constraint(m.STORES, m.MONTHS, doc="Stock fits into the site's space, or into space paid for (m3)")
    def space(m, n, t):
        return sum(m.volume[i] * m.hold[i, n, t] for i in m.ITEMS_AT[n]) <= m.storage[n] + m.overflow[n, t]

    @m.Constraint(m.BUDGETS, doc="Money in stock stays within its budget, or the excess is priced (currency)")
    def money_in_stock(m, t):
        return sum(m.standard_cost[i] * m.hold[i, n, t] for i, n in m.STOCKS) <= m.stock_budget + m.exceed_budget[t]

    @m.Constraint(m.FAIR, doc="Within a class nobody is left shorter than the worst share (units)")
    def fair_share(m, p, k, t):
        return m.wait[p, k, t] + m.lose[p, k, t] <= m.fair_base[p, k, t] * m.worst_share[p, m.market_class[k], t]

    @m.Constraint(m.PACED, m.LATER_MONTHS, doc="A change of a resource's hours from month to month is priced (hours)")
    def steady_rate(m, r, t):
        return (
            m.run[r, t] + m.run_overtime[r, t] - m.run[r, m.previous[t]] - m.run_overtime[r, m.previous[t]]
            == m.run_more[r, t] - m.run_less[r, t]
        )

    @m.Constraint(m.KEPT_MAKES, doc="What is made follows the last plan, or the change is priced (units)")
    def making_as_planned(m, i, w, t):
        return m.make[i, w, t] == m.last_make[i, w, t] + m.make_more[i, w, t] - m.make_less[i, w, t]

    @m.Constraint(m.KEPT_ORDERS, doc="What is ordered follows the last plan, or the change is priced (units)")
    def orders_as_planned(m, s, i, n, t):
        return m.buy[s, i, n, t] == m.last_order[s, i, n, t] + m.order_more[s, i, n, t] - m.order_less[s, i, n, t]


def _money(m: pyo.ConcreteModel) -> None:
    @m.Expression(m.MONTHS, doc="What reaches a market, at its net price (currency)")
    def revenue(m, t):
        return sum(
            m.price[p, k, t] * m.ship[o, k, p, sent]
            for p, k in m.DEMANDED
            for o in m.ORIGINS[p, k]
            for sent in m.BEFORE[m.lane_lead[o, k], t]
        )

    @m.Expression(m.MONTHS, doc="Variable cost of making (currency)")
    def making(m, t):
        return sum(m.make_cost[i, w] * m.make[i, w, t] for i, w in m.MAKES)

    @m.Expression(m.MONTHS, doc="Regular hours of resources (currency)")
    def regular_hours(m, t):
        return sum(m.hour_cost[r] * m.run[r, t] for r in m.RESOURCES)

    @m.Expression(m.MONTHS, doc="Overtime hours of resources (currency)")
    def overtime_hours(m, t):
        return sum(m.overtime_cost[r] * m.run_overtime[r, t] for r in m.RESOURCES)

    @m.Expression(m.MONTHS, doc="Set-ups (currency)")
    def setting_up(m, t):
        return sum(m.set_up_cost[i, w] * m.set_up[i, w, t] for i, w in m.SET_UPS)

    @m.Expression(m.MONTHS, doc="What suppliers deliver, in the month of arrival (currency)")
    def buying(m, t):
        return sum(
            m.offer_price[s, i, n] * m.buy[s, i, n, sent]
            for s, i, n in m.OFFERS
            for sent in m.BEFORE[m.offer_lead[s, i, n], t]
        )

    @m.Expression(m.MONTHS, doc="Shipments, in the month of leaving (currency)")
    def freight(m, t):
        return sum(m.lane_cost[o, d] * m.ship[o, d, i, t] for o, d, i in m.SHIPS)

    @m.Expression(m.MONTHS, doc="Stock at the month's end (currency)")
    def holding(m, t):
        return sum(m.holding_cost[i, n] * m.hold[i, n, t] for i, n in m.STOCKS)

    @m.Expression(m.MONTHS, doc="Wages of the people employed, busy or not (currency)")
    def wages(m, t):
        return sum(m.wage[n, k] * m.employ[n, k, t] for n, k in m.CREWS)

    @m.Expression(m.MONTHS, doc="Overtime of people (currency)")
    def people_overtime(m, t):
        return sum(m.people_overtime_cost[n, k] * m.work_overtime[n, k, t] for n, k in m.CREWS)

    @m.Expression(m.MONTHS, doc="Hiring (currency)")
    def hiring(m, t):
        return sum(m.hire_cost[n, k] * m.hire[n, k, t] for n, k in m.CREWS)

    @m.Expression(m.MONTHS, doc="Laying off (currency)")
    def laying_off(m, t):
        return sum(m.layoff_cost[n, k] * m.lay_off[n, k, t] for n, k in m.CREWS)

    @m.Expression(m.LATER_MONTHS, doc="Running longer or shorter than the month before (currency)")
    def changing_rate(m, t):
        return sum(m.change_price[r] * (m.run_more[r, t] + m.run_less[r, t]) for r in m.PACED)

    @m.Expression(m.MONTHS, doc="Policy: demand waiting at the month's end (currency)")
    def waiting(m, t):
        return sum(m.waiting_price[p, k] * m.wait[p, k, t] for p, k in m.DEMANDED)

    @m.Expression(m.LAST, doc="Policy: demand still waiting when the horizon ends (currency)")
    def left_waiting(m, t):
        return sum(m.left_waiting_price * m.wait[p, k, t] for p, k in m.DEMANDED)

    @m.Expression(m.MONTHS, doc="Policy: demand lost (currency)")
    def losing(m, t):
        return sum(m.losing_price[p, k] * m.lose[p, k, t] for p, k in m.DEMANDED)

    @m.Expression(m.MONTHS, doc="Policy: safety stock missing at the month's end (currency)")
    def missing_safety_stock(m, t):
        return sum(m.safety_price[i, n] * m.fall_below_safety[i, n, t] for i, n in m.SAFE)

    @m.Expression(m.LAST, doc="Policy: target end stock missing (currency)")
    def missing_end_stock(m, t):
        return sum(m.end_stock_price[i, n] * m.miss_end_stock[i, n, t] for i, n in m.TARGETED)

    @m.Expression(m.MONTHS, doc="Policy, emergency: stock above its maximum (currency)")
    def stock_above_maximum(m, t):
        return sum(m.emergency_price * m.exceed_maximum[i, n, t] for i, n in m.CAPPED)

    @m.Expression(m.MONTHS, doc="Policy: space beyond a site's own (currency)")
    def space_overflow(m, t):
        return sum(m.overflow_price[n] * m.overflow[n, t] for n in m.STORES)

    @m.Expression(m.BUDGETS, doc="Policy: money in stock above its budget (currency)")
    def above_stock_budget(m, t):
        return m.stock_budget_price * m.exceed_budget[t]

    @m.Expression(m.MONTHS, doc="Policy: premium on demand short, by priority class (currency)")
    def out_of_order(m, t):
        return sum(m.premium[m.market_class[k]] * (m.wait[p, k, t] + m.lose[p, k, t]) for p, k in m.RANKED)

    @m.Expression(m.FAIR_CLASSES, doc="Policy: premium on the worst share short within a class (currency)")
    def unfair_shares(m, p, c, t):
        return m.premium[c] * m.class_base[p, c, t] * m.worst_share[p, c, t]

    @m.Expression(m.KEPT_MONTHS, doc="Policy: changes against the last plan (currency)")
    def changing_the_plan(m, t):
        return m.plan_change_price[t] * (
            sum(m.make_more[i, w, t] + m.make_less[i, w, t] for i, w in m.MAKES)
            + sum(m.order_more[s, i, n, t] + m.order_less[s, i, n, t] for s, i, n in m.OFFERS)
        )
