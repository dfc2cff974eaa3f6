"""The supply model: what to make, buy, ship and hold, and with how many people, so that the company earns most.

One Pyomo model, read from top to bottom: sets, parameters, decisions, balances, limits, policies, promises, money,
objective. Promises come before money: no price stands for them.
Every component's `doc` is the sentence a planner would say, with the unit. `network` holds what is possible.

One letter, one meaning, in every rule (a test holds it):

    a  age in months                         t  month
    b  break: a lower price of an offer
    i  item: a product or a material         g  goods of a row of lanes: one item, or all others
    j  item that i goes into                 n  site
    p  product                               o  origin of a lane: a site, and by which mode
    w  way of making: a routing              d  destination of a lane: a site or a market
    r  resource                              k  market
    f  family that shares a set-up           c  priority class of markets
    s  supplier                              h  shift of a resource, or one that opens a site
    q  skill (qualification) of people       m  the model
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import pyomo.environ as pyo

from sopkit.supply.network import START, Network

# named costs that somebody is paid for
CASH = tuple(
    "making regular_hours overtime_hours working_shifts changing_shifts setting_up setting_up_families buying "
    "missing_quota freight holding disposing wages people_overtime hiring laying_off changing_rate".split()
)

# named prices of a policy: they steer the plan, nobody is paid
POLICY = tuple(
    "pricing_carbon less_preferred waiting losing missing_safety_stock missing_end_stock space_overflow "
    "above_stock_budget changing_the_plan".split()
)

# what comes before money, in this order: each is kept as far as it can be before the next is looked at
PROMISES = tuple(
    "unmet_promises short_orders broken_freeze stock_above_maximum overfull_space carbon_above_cap out_of_order "
    "unfair_shares".split()
)


BELOW = 1e-3  # an order without a lower price stays by so many units below its quantity, so that nobody is in doubt

Held = Callable[[pyo.ConcreteModel], AbstractContextManager[None]]


def _set(*over: pyo.Set, members, dimen: int, doc: str) -> pyo.Set:
    return pyo.Set(*over, initialize=members, dimen=dimen, doc=doc)


def build(network: Network, held: Held = nullcontext, set_of: Callable[..., pyo.Set] = _set) -> pyo.ConcreteModel:
    """The supply model of `network`: quantities in units of measure, hours, people and the company's currency.

    `held(model)` is the block in which parameters and rules are declared: `accelerator.held` keeps rules unread.
    `set_of` makes each set of its members.

    Balances follow Chopra & Meindl, Supply Chain Management (aggregate planning), and Pochet & Wolsey, Production
    Planning by Mixed Integer Programming (lots, bills of materials); shelf life is first in, first out.
    """
    m = pyo.ConcreteModel(name="supply")
    _sets(m, network, set_of)
    with held(m):
        _parameters(m, network)
    _decisions(m, network)
    m.part_of, m.promises = {}, PROMISES
    with held(m):
        for part, declare in (("balance", _balances), ("limit", _limits), ("policy", _policies)):
            declare(m)
            m.part_of |= {rule.name: m.part_of.get(rule.name, part) for rule in m.component_objects(pyo.Constraint)}
        _promises(m)
        _money(m)
        _objective(m)
    return m


def _sets(m: pyo.ConcreteModel, network: Network, set_of: Callable[..., pyo.Set]) -> None:
    time, flow, demand, resources = network.time, network.flow, network.demand, network.resources
    shifts, buying, lots, lanes = network.shifts, network.buying, network.lots, network.lanes
    stock, people = network.stock, network.people
    carbon, allocation, kept, last_plan = network.carbon, network.allocation, network.kept, network.last_plan

    def listed(members, doc, dimen=1):
        return set_of(members=members, dimen=dimen, doc=doc)

    def neighbours(over, lists, doc, dimen=1):
        return set_of(over, members={key: list(lists[key]) for key in over}, dimen=dimen, doc=doc)

    def months(over, lists, doc):
        return set_of(over, m.MONTHS, members=lists, dimen=1, doc=doc)

    # time: `previous` leads from the first month to START, the moment before the plan
    m.MONTHS = listed(time.months, "planned months")
    m.MONTH_ENDS = listed(time.ends, "the start, and the ends of planned months")
    m.LATER_MONTHS = listed(time.months[1:], "planned months but the first")
    m.FIRST = listed(time.months[:1], "the first planned month")
    m.LAST = listed(time.months[-1:], "the last planned month")
    m.LEADS = listed(time.leads, "months after which anything can arrive")
    m.BEFORE = months(m.LEADS, time.before, "the month so many months before, if planned")

    # where things can be
    m.STOCKS = listed(flow.stocks, "item and site where it can be kept", 2)
    m.ITEMS = listed(flow.items, "items that can be kept anywhere")
    m.SITES = listed(sorted(flow.items_at), "sites where anything can be kept")
    m.ITEMS_AT = neighbours(m.SITES, flow.items_at, "items that can be kept at a site")
    m.DEMANDED = listed(demand.pairs, "product and market that asks for it", 2)
    m.ORDERED = listed(demand.ordered, "product and market with firm orders of customers", 2)
    m.MARKETS = listed(demand.markets, "markets that ask for anything")
    m.PLACES = listed(flow.places, "item and the site or market it can get to", 2)

    # how things can be made
    m.MAKES = listed(flow.makes, "item and way of making it", 2)
    m.OUT_OF_DATE = listed(flow.out_of_date, "item, way and month outside of its dates", 3)
    m.WAYS = neighbours(m.STOCKS, flow.ways, "ways of making an item at a site")
    m.USAGES = listed(sorted(flow.usage), "item, way and component that goes into it", 3)
    m.BY_PRODUCTS = listed(sorted(flow.by_products), "item, way and by-product that comes out with it", 3)
    m.SOURCES = neighbours(m.STOCKS, flow.sources, "item and way that an item is a by-product of at a site", 2)
    m.USES = neighbours(m.STOCKS, flow.uses, "item and way that an item goes into at a site", 2)
    m.RESOURCES = listed(resources.names, "resources that can make anything")
    m.OPERATIONS = listed(resources.operations, "item, way and resource that works on it", 3)
    m.WORK = neighbours(m.RESOURCES, resources.work, "item and way that a resource works on", 2)
    m.SET_UPS = listed(resources.set_ups, "item and way with a set-up or a minimum run", 2)
    m.SWITCHED = neighbours(m.RESOURCES, resources.switched, "item and way that a resource is set up for", 2)
    m.CARRIES = months(
        m.SET_UPS, resources.carries, "the month itself, where a set-up may still be there from the month before"
    )
    m.CARRIED_OVER = listed(resources.carried, "item and way whose set-up may be carried over", 2)
    m.CARRIED_STEPS = listed(resources.carried_steps, "item and way carried over, and its resource", 3)
    m.CHANGES = listed(resources.changes, "item and way set up on a resource that carries over", 3)
    m.CARRYING = listed(resources.carrying, "resources that carry a set-up over")
    m.CARRIED_ON = neighbours(m.CARRYING, resources.carried_on, "item and way that may be carried over", 2)
    m.FAMILIES = listed(resources.families, "families that share a set-up of a resource")
    m.FAMILIES_ON = neighbours(m.RESOURCES, resources.families_on, "families that share a set-up")
    m.OF_FAMILY = listed(resources.of_family, "item and way, and a family it is of", 3)
    m.MEMBERS = neighbours(m.FAMILIES, resources.members, "item and way of a family", 2)
    m.SHIFTS = listed(shifts.names, "shifts of resources, and of sites that may be closed")
    m.SHIFTS_OF = neighbours(m.RESOURCES, shifts.of, "shifts that give a resource hours")
    m.LATER_SHIFTS = listed(sorted(shifts.below), "shifts that are worked beside another only")
    m.BELOW = neighbours(m.LATER_SHIFTS, shifts.below, "the shift before it, or that which opens its site")
    m.IDLE_SHIFTS = listed(shifts.out_of_date, "shift and month outside of its dates", 2)
    m.KEPT_SHIFTS = listed(shifts.kept, "shifts that are not changed from month to month")
    m.SPAN = months(m.KEPT_SHIFTS, shifts.span, "months up to one with one change at most")
    m.CLOSABLE = listed(shifts.closable, "item, site and the shift that opens it", 3)
    m.HOURLESS = listed(shifts.hourless, "item, way, shift that opens a line it takes no hours of, month", 4)
    m.PACED = listed(sorted(resources.change_price), "resources whose change of rate has a price")

    # how things can be bought and shipped
    m.OFFERS = listed(buying.offers, "supplier, item and site it delivers to", 3)
    m.VENDORS = listed(sorted(buying.offered), "suppliers that offer anything")
    m.SUPPLIERS = neighbours(m.STOCKS, buying.suppliers, "who can deliver an item to a site")
    m.ORDER_LEADS = neighbours(m.OFFERS, buying.leads, "months after which parts of an order arrive")
    m.ORDER_PARTS = listed(sorted(buying.parts), "offer, months of its lead time and month of ordering", 5)
    m.LOT_ORDERS = listed(sorted(buying.multiple), "offers of whole lots", 3)
    m.LIMITED_ORDERS = listed(sorted(buying.capacity), "offer and month with a capacity", 4)
    least = [(*offer, t) for offer in sorted(buying.minimum_order) for t in time.months]
    m.LEAST_ORDERS = listed(least, "offer with a minimum order, and month", 4)
    m.BREAKS = listed(sorted(buying.break_from), "lower prices of offers from a quantity on")
    m.BREAKS_OF = neighbours(m.OFFERS, buying.breaks_of, "lower prices of an offer")
    m.BREAK_OF = neighbours(m.BREAKS, buying.break_offer, "the offer whose price is lower", 3)
    m.ALL_OR_NOTHING = listed(sorted(lots.largest_order), "offer with a minimum order or price breaks, and month", 4)
    m.OFFERED = neighbours(m.VENDORS, buying.offered, "item and site that a supplier delivers to", 2)
    m.LIMITED_VENDORS = listed(sorted(buying.total), "suppliers with a capacity over all they deliver")
    m.COUNTED_OFFERS = listed(sorted(buying.used), "offers that count for a supplier's capacity or quota", 3)
    m.QUOTAS = listed(sorted(buying.quota), "supplier with a yearly quota, and last month of a year", 2)
    m.YEAR = neighbours(m.MONTHS, buying.year, "months of the same calendar year, up to a month")
    m.SHARED_OFFERS = listed(sorted(buying.share_limit), "offers with a share limit", 3)
    m.LATE_ORDERS = listed(buying.late, "orders that would arrive after the last month", 4)
    m.LANES = listed(sorted(lanes.carried), "origin, destination and what a row of lanes is for", 3)
    m.LIMITED_LANES = listed(sorted(lanes.capacity), "lanes with a capacity", 3)
    m.LOADED_LANES = listed(sorted(lanes.full_load), "lanes of full loads", 3)
    m.CARRIED = neighbours(m.LANES, lanes.carried, "items a lane can carry")
    m.SHIPS = listed(flow.ships, "origin, destination and item that can move there", 3)
    m.SHIP_LEADS = neighbours(m.SHIPS, lanes.leads, "months after which parts of a shipment arrive")
    m.SHIP_PARTS = listed(sorted(lanes.parts), "shipment, months on its way and month of leaving", 5)
    m.LATE_SHIPMENTS = listed(lanes.late, "shipments that would arrive after the last month", 4)
    m.DEPARTURES = neighbours(m.STOCKS, flow.departures, "by which origin an item can go where from a site", 2)
    m.ORIGINS = neighbours(m.PLACES, flow.origins, "where an item can come from")

    # what gets too old
    m.PERISHABLE = listed(stock.perishable, "item and site where it can get too old", 2)
    m.SCRAPPED = listed(stock.scrapped, "item and site where it can get too old or be written off", 2)
    m.SCRAPS = neighbours(m.STOCKS, stock.scraps, "the item itself, where it can be scrapped")
    ages = stock.ages
    m.AGES = listed(ages.numbers, "ages in whole months, 0 in the month in which goods are new")
    m.AGED = listed(ages.used, "item, site and age at which it can still be used", 3)
    m.HELD_AGED = listed(ages.held, "item, site and age at which it can still be held at a month's end", 3)
    m.SENT_AGED = listed(ages.sent, "origin, destination, item and age at which it arrives young enough", 4)
    m.SENDS = listed(ages.sends, "origin, destination and item that can get too old", 3)
    m.CONSUMERS = listed(ages.consumers, "item and site where it is used up and can get too old", 2)
    m.AGES_AT = neighbours(m.PERISHABLE, ages.at, "ages at which an item can be used")
    m.AGES_HELD = neighbours(m.PERISHABLE, ages.held_at, "ages at which an item can be held")
    m.AGES_SENT = neighbours(m.SENDS, ages.sent_at, "ages at which an item can be sent")
    m.SENT_TO = neighbours(m.AGED, ages.sent_to, "by which origin an item of an age can be sent where", 2)
    m.CONSUMED = neighbours(m.AGED, ages.consumed, "the age itself, where the item is used up")
    m.KEPT = neighbours(m.AGED, ages.kept, "the age itself, where the item can be held at it")
    m.YOUNGER = neighbours(m.AGES, ages.younger, "the age a month before")
    m.NEW = neighbours(m.AGES, ages.new, "the age itself, where it is that of new goods")
    m.LEFT = set_of(m.LEADS, m.AGES, dimen=1, members=ages.left, doc="the age of leaving, so long before")

    # who works
    m.CREWS = listed(people.crews, "site and skill of people", 2)
    m.MANNED = neighbours(m.CREWS, people.manned, "resources that people of a skill run")
    m.HAND_WORK = listed(people.hand_work, "item, way, site and skill that works on it", 4)
    m.BY_HAND = neighbours(m.CREWS, people.by_hand, "item and way that people of a skill work on", 2)
    m.HIRING_LIMITS = listed(sorted(people.most_hires), "people with a limit on hiring", 2)
    m.TOO_EARLY_HIRES = listed(people.too_early, "people and months before anyone hired now can start", 3)

    # what is wished for, and what was promised
    m.SAFE = listed(stock.safe, "item and site with a safety stock or days of cover", 2)
    covered = {(*pair, t): stock.covered[*pair, t] for pair in stock.safe for t in time.months}
    m.COVERED = months(m.SAFE, covered, "months that stock at a month's end covers")
    m.COVERS = listed(sorted(stock.cover), "item, site, month and a month that its stock covers", 4)
    m.TARGETED = listed(sorted(stock.end_stock), "item and site with a target end stock", 2)
    m.COVERED_AT_END = neighbours(m.TARGETED, stock.covered_at_end, "months that its end stock covers")
    m.CAPPED = listed(sorted(stock.maximum), "item and site with a maximum stock", 2)
    m.STORES = listed(sorted(stock.storage), "sites with a limit on space")
    m.FULL = listed(stock.full, "sites with no more space at any price")
    m.BUDGETS = listed(stock.budget_months, "months with a stock budget")
    m.EMITTING_MAKES = listed(sorted(carbon.making), "item and way whose making emits carbon", 2)
    m.EMITTING_RESOURCES = listed(sorted(carbon.hours), "resources whose running emits carbon")
    m.EMITTING_OFFERS = listed(sorted(carbon.buying), "offers of what has emitted carbon", 3)
    m.EMITTING_SHIPS = listed(sorted(carbon.freight), "shipments that emit carbon", 3)
    m.PRICED_CARBON = listed(time.months if carbon.price else [], "months in which carbon has a price")
    m.CAPPED_CARBON = listed(
        time.months[-1:] if network.policies.carbon_cap is not None else [], "the last month, where carbon has a cap"
    )
    m.MUST_BE_MET = listed(demand.must_be_met, "product and market whose demand must be met", 2)
    m.MUST_END = listed(demand.must_end, "product and market whose demand may not wait at the end", 2)
    m.CLASSES = listed(allocation.classes, "priority classes of markets, 1 is served first")
    m.RANKED = listed(allocation.ranked, "product and market that is served by priority class", 2)
    m.RANKED_IN = neighbours(m.CLASSES, allocation.ranked_in, "product and market of a priority class", 2)
    m.FAIR = listed(allocation.fair, "product, market and month that shares short supply fairly", 3)
    m.GIVEN_UP = neighbours(
        m.FAIR, allocation.given_up, "months whose lost demand is still short: all, if it could wait"
    )
    m.FAIR_CLASSES = listed(allocation.fair_classes, "product, priority class and month that shares fairly", 3)
    m.SHARING = neighbours(m.CLASSES, allocation.sharing, "product and month that a class shares fairly", 2)
    m.KEPT_MAKES = listed(sorted(kept.make), "item, way and month that the last plan covers", 3)
    m.KEPT_ORDERS = listed(sorted(kept.order), "offer and month that the last plan covers", 4)
    m.KEPT_MONTHS = listed(sorted(last_plan.change_price), "months of the last plan whose change has a price")
    m.FROZEN = listed(last_plan.frozen, "months of the last plan that are frozen")


def _parameters(m: pyo.ConcreteModel, network: Network) -> None:
    time, demand, making, flow, lots = network.time, network.demand, network.making, network.flow, network.lots
    resources, shifts, buying, lanes = network.resources, network.shifts, network.buying, network.lanes
    stock, people, carbon = network.stock, network.people, network.carbon
    allocation, kept, last_plan = network.allocation, network.kept, network.last_plan

    def number(*over, of, doc, within=pyo.NonNegativeReals):
        """A number for each of `over`, 0 where the tables hold none; NaN and negative numbers are refused."""
        known = of if len(over) != 1 else {at: each for at in over[0] if (each := of.get(at)) is not None}
        return pyo.Param(*over, initialize=known, default=0, within=within, doc=doc)

    whole, month = pyo.NonNegativeIntegers, m.MONTHS
    m.previous = pyo.Param(month, initialize=time.previous, within=m.MONTH_ENDS, doc="the month before")

    # demand
    m.demand = number(m.DEMANDED, month, of=demand.quantity, doc="consensus demand (units)")
    m.price = number(m.DEMANDED, month, of=demand.price, doc="net price (currency per unit)")
    m.most_waiting = number(
        m.DEMANDED, m.MONTH_ENDS, of=demand.most_waiting, doc="no limit, or 0 where it may not wait (units)"
    )
    m.late_orders = number(m.DEMANDED, of=demand.late, doc="firm orders due before the first month (units)")
    m.orders = number(m.ORDERED, month, of=demand.ordered_in, doc="firm orders, part of the demand (units)")
    m.most_lost = number(m.DEMANDED, of=demand.may_lose, doc="no limit, or 0 where it may not be lost (units)")
    m.waiting_price = number(m.DEMANDED, of=demand.waiting_price, doc="of waiting a month (currency per unit)")
    m.losing_price = number(m.DEMANDED, of=demand.losing_price, doc="of lost demand (currency per unit)")

    # making
    m.make_cost = number(m.MAKES, of=making.cost, doc="variable cost (currency per good unit)")
    m.avoid_price = number(m.MAKES, of=making.avoid_price, doc="of a way less preferred (currency per good unit)")
    m.usage = number(m.USAGES, of=flow.usage, doc="component used (units per good unit)")
    m.by_product = number(m.BY_PRODUCTS, of=flow.by_products, doc="comes out (units per good unit)")
    m.hours = number(m.OPERATIONS, of=making.hours, doc="time of the resource (hours per good unit)")
    m.set_up_hours = number(m.OPERATIONS, of=making.set_up_hours, doc="time lost to a set-up (hours)")
    m.set_up_cost = number(m.MAKES, of=making.set_up_cost, doc="of a set-up (currency)")
    m.family_hours = number(m.FAMILIES, of=making.family_hours, doc="lost to a family's set-up (hours)")
    m.family_cost = number(m.FAMILIES, of=making.family_cost, doc="of a family's set-up (currency)")
    m.minimum_run = number(m.MAKES, of=making.minimum_run, doc="least made in a month (units)")
    m.least_run = number(m.SET_UPS, month, of=lots.least_run, doc="least made with a set-up (units)")
    m.largest_run = number(m.SET_UPS, month, of=lots.largest_run, doc="most that could be of use (units)")
    m.regular_limit = number(
        m.RESOURCES, month, of=resources.regular_limit, doc="regular time after maintenance (hours)"
    )
    m.overtime_limit = number(m.RESOURCES, month, of=resources.overtime_limit, doc="most overtime (hours)")
    m.hour_cost = number(m.RESOURCES, of=resources.hour_cost, doc="of regular time (currency per hour)")
    m.overtime_cost = number(m.RESOURCES, of=resources.overtime_cost, doc="of overtime (currency per hour)")
    m.shift_hours = number(m.SHIFTS, month, of=shifts.hours, doc="regular time that it adds (hours)")
    m.shift_overtime = number(m.SHIFTS, month, of=shifts.overtime, doc="overtime that it allows (hours)")
    m.shift_cost = number(m.SHIFTS, month, of=shifts.cost, doc="of a month in which it is worked (currency)")
    m.start_cost = number(m.SHIFTS, of=shifts.start_cost, doc="of starting it (currency)")
    m.stop_cost = number(m.SHIFTS, of=shifts.stop_cost, doc="of stopping it (currency)")
    m.worked_before = number(m.SHIFTS, of=shifts.before, doc="1 if it is worked before the plan (shifts)")
    m.largest_closed = number(m.HOURLESS, of=lots.largest_closed, doc="most that could be of use (units)")
    m.most_moved = number(m.CLOSABLE, month, of=lots.most_moved, doc="most that could be of use (units)")
    m.change_price = number(
        m.PACED, of=resources.change_price, doc="of more or less than last month (currency per hour)"
    )

    # buying and shipping
    m.offer_price = number(m.OFFERS, month, of=buying.price, doc="delivered (currency per unit)")
    m.order_part = number(m.ORDER_PARTS, of=buying.parts, doc="of an order that arrives so late (share)")
    m.offer_capacity = number(m.LIMITED_ORDERS, of=buying.capacity, doc="most ordered in a month (units)")
    m.minimum_order = number(m.OFFERS, of=buying.minimum_order, doc="least ordered, if anything is (units)")
    m.largest_order = number(m.ALL_OR_NOTHING, of=lots.largest_order, doc="most that could be of use (units)")
    m.break_from = number(m.BREAKS, of=buying.break_from, doc="least ordered for a lower price (units)")
    m.break_saving = number(m.BREAKS, of=buying.break_saving, doc="below the price before it (currency per unit)")
    m.counted = number(m.COUNTED_OFFERS, of=buying.used, doc="of a supplier's capacity and quota (units per unit)")
    m.vendor_capacity = number(m.LIMITED_VENDORS, of=buying.total, doc="most of all it delivers in a month (units)")
    m.quota = number(m.QUOTAS, of=buying.quota, doc="least ordered in the planned part of a year (units)")
    m.quota_price = number(m.VENDORS, of=buying.quota_price, doc="of what is missing (currency per unit)")
    m.order_lot = number(m.LOT_ORDERS, of=buying.multiple, doc="ordered whole (units)")
    m.share_limit = number(m.SHARED_OFFERS, of=buying.share_limit, doc="most of what is bought of the item (share)")
    m.lane_cost = number(m.SHIPS, of=lanes.cost, doc="of moving (currency per unit)")
    m.lane_size = number(m.SHIPS, of=lanes.size, doc="of an item, as its lane counts (units, kg or m3 per unit)")
    m.ship_part = number(m.SHIP_PARTS, of=lanes.parts, doc="of a shipment that arrives so late (share)")
    m.full_load = number(m.LOADED_LANES, of=lanes.full_load, doc="sent whole (units, kg or m3)")
    m.lane_capacity = number(m.LIMITED_LANES, of=lanes.capacity, doc="most carried in a month (units, kg or m3)")

    # stock
    m.opening = number(m.STOCKS, of=stock.opening, doc="on hand before the first month (units)")
    m.receipts = number(m.STOCKS, month, of=stock.receipts, doc="ordered before this plan (units)")
    m.holding_cost = number(m.STOCKS, of=stock.holding_cost, doc="of stock at a month's end (currency per unit)")
    m.disposal_price = number(m.SCRAPPED, of=stock.disposal_price, doc="of scrapping (currency per unit)")
    m.standard_cost = number(m.ITEMS, of=stock.standard_cost, doc="of an item (currency per unit)")
    m.volume = number(m.ITEMS, of=stock.volume, doc="space of an item (m3 per unit)")
    m.storage = number(m.STORES, of=stock.storage, doc="space of a site (m3)")
    m.overflow_price = number(m.STORES, of=stock.overflow_price, doc="of space beyond it (currency per m3 and month)")
    m.safety_stock = number(m.SAFE, month, of=stock.safety_stock, doc="wanted at a month's end (units)")
    m.cover = number(m.COVERS, of=stock.cover, doc="of what leaves in a month that stock covers (share)")
    m.safety_price = number(m.SAFE, of=stock.safety_price, doc="of what is missing a month (currency per unit)")
    m.end_stock = number(m.TARGETED, of=stock.end_stock, doc="wanted when the horizon ends (units)")
    m.end_stock_price = number(m.TARGETED, of=stock.end_stock_price, doc="of missing then (currency per unit)")
    m.maximum_stock = number(m.CAPPED, of=stock.maximum, doc="most at a month's end (units)")
    m.stock_budget = number(of=stock.budget, doc="most money in stock at a month's end (currency)")
    m.stock_budget_price = number(of=stock.budget_price, doc="of money above it (share per month)")
    m.opening_aged = number(m.HELD_AGED, of=stock.opening_aged, doc="on hand, by age (units)")

    # people
    m.people = number(m.CREWS, of=people.employed, doc="employed before the first month (people)")
    m.staying = number(m.CREWS, of=people.staying, doc="do not leave by themselves in a month (share)")
    m.starting = number(m.CREWS, month, of=people.starting, doc="hired before this plan (people)")
    m.leaving = number(m.CREWS, month, of=people.leaving, doc="known to leave (people)")
    m.person_hours = number(m.CREWS, month, of=people.hours, doc="regular time (hours per person)")
    m.person_overtime = number(m.CREWS, of=people.overtime_limit, doc="most overtime in a month (hours per person)")
    m.crew_size = number(m.RESOURCES, of=people.crew_size, doc="people's time while it runs (hours per hour)")
    m.people_hours = number(m.HAND_WORK, of=making.people_hours, doc="time besides the crew's (hours per good unit)")
    m.wage = number(m.CREWS, month, of=people.wage, doc="busy or not (currency per person and month)")
    m.people_overtime_cost = number(m.CREWS, of=people.overtime_cost, doc="of overtime (currency per hour)")
    m.hire_cost = number(m.CREWS, month, of=people.hire_cost, doc="of hiring (currency per person)")
    m.layoff_cost = number(m.CREWS, month, of=people.layoff_cost, doc="of laying off (currency per person)")
    m.most_hires = number(m.HIRING_LIMITS, of=people.most_hires, doc="most that start in a month (people)")

    # what is emitted
    m.make_carbon = number(m.EMITTING_MAKES, of=carbon.making, doc="of making (kg per good unit)")
    m.run_carbon = number(m.EMITTING_RESOURCES, of=carbon.hours, doc="of running (kg per hour)")
    m.buy_carbon = number(m.EMITTING_OFFERS, of=carbon.buying, doc="of what is bought (kg per unit)")
    m.ship_carbon = number(m.EMITTING_SHIPS, of=carbon.freight, doc="of moving (kg per unit)")
    m.carbon_price = number(of=carbon.price, doc="of carbon (currency per kg)")
    m.most_carbon = number(of=network.policies.carbon_cap or 0.0, doc="most in all planned months (kg)")

    # who is served first, and what was promised
    m.market_class = number(m.MARKETS, of=allocation.market_class, within=whole, doc="priority class (class)")
    m.months_short = number(
        m.RANKED, month, of=allocation.months_short, doc="that a lost unit counts as short (months)"
    )
    m.fair_base = number(m.FAIR, of=allocation.fair_base, doc="demand that shares (units)")
    m.class_base = number(m.FAIR_CLASSES, of=allocation.class_base, doc="demand of the class that shares (units)")
    m.last_make = number(m.KEPT_MAKES, of=kept.make, doc="made in the last plan (units)")
    m.last_order = number(m.KEPT_ORDERS, of=kept.order, doc="ordered in the last plan (units)")
    m.plan_change_price = number(m.KEPT_MONTHS, of=last_plan.change_price, doc="of a change (currency per unit)")


def _decisions(m: pyo.ConcreteModel, network: Network) -> None:
    units = {"within": pyo.NonNegativeReals, "dense": False}
    whole = pyo.NonNegativeIntegers if network.policies.whole_people else pyo.NonNegativeReals
    persons = {"within": whole, "dense": False}
    lots = {"within": pyo.NonNegativeIntegers, "dense": False}
    yes_or_no = {"within": pyo.Binary, "dense": False}

    m.make = pyo.Var(m.MAKES, m.MONTHS, **units, doc="make good units of an item (units)")
    m.set_up = pyo.Var(m.SET_UPS, m.MONTHS, **yes_or_no, doc="set up for an item (yes or no)")
    m.set_up_family = pyo.Var(m.FAMILIES, m.MONTHS, **yes_or_no, doc="set up for a family (yes or no)")
    m.carry_over = pyo.Var(
        m.CARRIED_OVER, m.LATER_MONTHS, **yes_or_no, doc="still be set up from the month before (yes or no)"
    )
    m.leave_set_up = pyo.Var(m.CARRYING, m.MONTHS, **yes_or_no, doc="set up for nothing else all month (yes or no)")
    m.run = pyo.Var(m.RESOURCES, m.MONTHS, **units, doc="run a resource in regular time (hours)")
    m.run_overtime = pyo.Var(m.RESOURCES, m.MONTHS, **units, doc="run a resource in overtime (hours)")
    m.work_shift = pyo.Var(m.SHIFTS, m.MONTHS, **yes_or_no, doc="work a shift, or keep a site open (yes or no)")
    m.start_shift = pyo.Var(m.SHIFTS, m.MONTHS, **units, doc="start a shift, or open a site (shifts)")
    m.stop_shift = pyo.Var(m.SHIFTS, m.MONTHS, **units, doc="stop a shift, or close a site (shifts)")
    m.run_more = pyo.Var(m.PACED, m.LATER_MONTHS, **units, doc="run longer than last month (hours)")
    m.run_less = pyo.Var(m.PACED, m.LATER_MONTHS, **units, doc="run shorter than last month (hours)")
    m.buy = pyo.Var(m.OFFERS, m.MONTHS, **units, doc="order from a supplier (units)")
    m.place_order = pyo.Var(m.LEAST_ORDERS, **yes_or_no, doc="order at all in a month (yes or no)")
    m.reach_break = pyo.Var(m.BREAKS, m.MONTHS, **yes_or_no, doc="order enough for a lower price (yes or no)")
    m.buy_cheaper = pyo.Var(m.BREAKS, m.MONTHS, **units, doc="order at a lower price (units)")
    m.miss_quota = pyo.Var(m.QUOTAS, **units, doc="order less than a supplier's yearly quota (units)")
    m.order_lots = pyo.Var(m.LOT_ORDERS, m.MONTHS, **lots, doc="order whole lots (lots)")
    m.ship = pyo.Var(m.SHIPS, m.MONTHS, **units, doc="send an item over a lane (units)")
    m.send_loads = pyo.Var(m.LOADED_LANES, m.MONTHS, **lots, doc="send full loads over a lane (loads)")
    m.hold = pyo.Var(m.STOCKS, m.MONTH_ENDS, **units, doc="hold in stock at a month's end (units)")
    m.keep = pyo.Var(m.HELD_AGED, m.MONTH_ENDS, **units, doc="hold at an age (units)")
    m.send = pyo.Var(m.SENT_AGED, m.MONTHS, **units, doc="send over a lane at an age (units)")
    m.consume = pyo.Var(m.AGED, m.MONTHS, **units, doc="use up at an age (units)")
    m.scrap = pyo.Var(m.SCRAPPED, m.MONTHS, **units, doc="scrap what got too old, or is of no use (units)")
    m.wait = pyo.Var(
        m.DEMANDED,
        m.MONTH_ENDS,
        **units,
        bounds=lambda m, p, k, t: (0, m.most_waiting[p, k, t]),
        doc="let demand wait at a month's end (units)",
    )
    m.lose = pyo.Var(
        m.DEMANDED, m.MONTHS, **units, bounds=lambda m, p, k, t: (0, m.most_lost[p, k]), doc="lose demand (units)"
    )
    m.miss_orders = pyo.Var(m.ORDERED, m.MONTH_ENDS, **units, doc="leave firm orders undelivered (units)")
    m.employ = pyo.Var(m.CREWS, m.MONTH_ENDS, **persons, doc="employ people (people)")
    m.hire = pyo.Var(m.CREWS, m.MONTHS, **persons, doc="hire people who start in a month (people)")
    m.lay_off = pyo.Var(m.CREWS, m.MONTHS, **persons, doc="lay off people (people)")
    m.work_overtime = pyo.Var(m.CREWS, m.MONTHS, **units, doc="let people work overtime (hours)")

    m.fall_below_safety = pyo.Var(m.SAFE, m.MONTHS, **units, doc="hold less than the safety stock (units)")
    m.miss_end_stock = pyo.Var(m.TARGETED, m.LAST, **units, doc="end with less than the target stock (units)")
    m.exceed_maximum = pyo.Var(m.CAPPED, m.MONTHS, **units, doc="hold more than the maximum stock (units)")
    m.overflow = pyo.Var(m.STORES, m.MONTHS, **units, doc="use space beyond a site's own (m3)")
    m.exceed_budget = pyo.Var(m.BUDGETS, **units, doc="hold more money in stock than budgeted (currency)")
    m.exceed_carbon = pyo.Var(m.CAPPED_CARBON, **units, doc="emit more carbon than the cap allows (kg)")
    m.worst_share = pyo.Var(m.FAIR_CLASSES, **units, doc="leave short at worst, within a class (share)")
    m.make_more = pyo.Var(m.KEPT_MAKES, **units, doc="make more than the last plan (units)")
    m.make_less = pyo.Var(m.KEPT_MAKES, **units, doc="make less than the last plan (units)")
    m.order_more = pyo.Var(m.KEPT_ORDERS, **units, doc="order more than the last plan (units)")
    m.order_less = pyo.Var(m.KEPT_ORDERS, **units, doc="order less than the last plan (units)")


def _sent_to(m: pyo.ConcreteModel, i: str, d: str, t: str) -> pyo.Expression:
    """What reaches a site or a market over lanes in a month (units)."""
    return sum(
        m.ship_part[o, d, i, lead, sent] * m.ship[o, d, i, sent]
        for o in m.ORIGINS[i, d]
        for lead in m.SHIP_LEADS[o, d, i]
        for sent in m.BEFORE[lead, t]
    )


def _bought(m: pyo.ConcreteModel, i: str, n: str, t: str) -> pyo.Expression:
    """What suppliers bring to a site in a month (units)."""
    return sum(
        m.order_part[s, i, n, lead, sent] * m.buy[s, i, n, sent]
        for s in m.SUPPLIERS[i, n]
        for lead in m.ORDER_LEADS[s, i, n]
        for sent in m.BEFORE[lead, t]
    )


def _made(m: pyo.ConcreteModel, i: str, n: str, t: str) -> pyo.Expression:
    """What is made at a site in a month, for itself or as a by-product (units)."""
    made = sum(m.make[i, w, t] for w in m.WAYS[i, n])
    return made + sum(m.by_product[j, w, i] * m.make[j, w, t] for j, w in m.SOURCES[i, n])


def _leaves(m: pyo.ConcreteModel, i: str, n: str, t: str) -> pyo.Expression:
    """What leaves the stock of a site in a month, to be used up or sent (units)."""
    used = sum(m.usage[j, w, i] * m.make[j, w, t] for j, w in m.USES[i, n])
    return used + sum(m.ship[o, d, i, t] for o, d in m.DEPARTURES[i, n])


def _carbon(m: pyo.ConcreteModel, t: str) -> pyo.Expression:
    """What is emitted in a month by making, running, buying and moving (kg)."""
    return (
        sum(m.make_carbon[i, w] * m.make[i, w, t] for i, w in m.EMITTING_MAKES)
        + sum(m.run_carbon[r] * (m.run[r, t] + m.run_overtime[r, t]) for r in m.EMITTING_RESOURCES)
        + sum(m.buy_carbon[s, i, n] * m.buy[s, i, n, t] for s, i, n in m.EMITTING_OFFERS)
        + sum(m.ship_carbon[o, d, i] * m.ship[o, d, i, t] for o, d, i in m.EMITTING_SHIPS)
    )


def _balances(m: pyo.ConcreteModel) -> None:
    @m.Constraint(m.STOCKS, doc="The plan starts with the stock on hand (units)")
    def opening_stock(m, i, n):
        return m.hold[i, n, START] == m.opening[i, n]

    @m.Constraint(m.STOCKS, m.MONTHS, doc="Stock and all that comes in is used, shipped or held on (units)")
    def stock_balance(m, i, n, t):
        comes_in = m.receipts[i, n, t] + _made(m, i, n, t) + _bought(m, i, n, t) + _sent_to(m, i, n, t)
        goes_out = _leaves(m, i, n, t) + sum(m.scrap[old, n, t] for old in m.SCRAPS[i, n])
        return m.hold[i, n, t] == m.hold[i, n, m.previous[t]] + comes_in - goes_out

    @m.Constraint(m.DEMANDED, doc="The plan starts with the orders that are late already (units)")
    def opening_backlog(m, p, k):
        return m.wait[p, k, START] == m.late_orders[p, k]

    @m.Constraint(m.DEMANDED, m.MONTHS, doc="Demand, new and waiting, is delivered, lost or waits on (units)")
    def demand_balance(m, p, k, t):
        met = _sent_to(m, p, k, t) + m.lose[p, k, t] + m.wait[p, k, t]
        return met == m.demand[p, k, t] + m.wait[p, k, m.previous[t]]

    @m.Constraint(m.ORDERED, doc="Orders that are late already are firm (units)")
    def late_orders_first(m, p, k):
        return m.miss_orders[p, k, START] == m.late_orders[p, k]

    @m.Constraint(m.ORDERED, m.MONTHS, doc="Deliveries go to firm orders first, and what is missing is counted (units)")
    def firm_orders_first(m, p, k, t):
        firm = m.orders[p, k, t] + m.miss_orders[p, k, m.previous[t]]
        return _sent_to(m, p, k, t) + m.miss_orders[p, k, t] >= firm

    @m.Constraint(m.RESOURCES, m.MONTHS, doc="A resource runs as long as its work and set-ups take (hours)")
    def resource_work(m, r, t):
        return m.run[r, t] + m.run_overtime[r, t] == (
            sum(m.hours[i, w, r] * m.make[i, w, t] for i, w in m.WORK[r])
            + sum(m.set_up_hours[i, w, r] * m.set_up[i, w, t] for i, w in m.SWITCHED[r])
            + sum(m.family_hours[f] * m.set_up_family[f, t] for f in m.FAMILIES_ON[r])
        )

    @m.Constraint(m.SHIFTS, m.FIRST, doc="A shift worked before the plan goes on, or is started or stopped (shifts)")
    def opening_shifts(m, h, t):
        return m.work_shift[h, t] == m.worked_before[h] + m.start_shift[h, t] - m.stop_shift[h, t]

    @m.Constraint(m.SHIFTS, m.LATER_MONTHS, doc="A shift goes on, or is started or stopped (shifts)")
    def shift_balance(m, h, t):
        return m.work_shift[h, t] == m.work_shift[h, m.previous[t]] + m.start_shift[h, t] - m.stop_shift[h, t]

    @m.Constraint(m.CREWS, doc="The plan starts with the people employed (people)")
    def opening_people(m, n, q):
        return m.employ[n, q, START] == m.people[n, q]

    @m.Constraint(m.CREWS, m.MONTHS, doc="People stay or leave, start when hired and go when laid off (people)")
    def people_balance(m, n, q, t):
        stay = m.staying[n, q] * m.employ[n, q, m.previous[t]] + m.starting[n, q, t] - m.leaving[n, q, t]
        return m.employ[n, q, t] == stay + m.hire[n, q, t] - m.lay_off[n, q, t]


def _limits(m: pyo.ConcreteModel) -> None:
    @m.Constraint(
        m.RESOURCES,
        m.MONTHS,
        doc="Regular hours stay within those that maintenance leaves, of shifts worked too (hours)",
    )
    def regular_capacity(m, r, t):
        shifts = sum(m.shift_hours[h, t] * m.work_shift[h, t] for h in m.SHIFTS_OF[r])
        return m.run[r, t] <= m.regular_limit[r, t] + shifts

    @m.Constraint(m.RESOURCES, m.MONTHS, doc="A resource runs no longer in overtime than allowed (hours)")
    def overtime_capacity(m, r, t):
        shifts = sum(m.shift_overtime[h, t] * m.work_shift[h, t] for h in m.SHIFTS_OF[r])
        return m.run_overtime[r, t] <= m.overtime_limit[r, t] + shifts

    @m.Constraint(m.LATER_SHIFTS, m.MONTHS, doc="A shift is worked only beside the one before it (shifts)")
    def shifts_in_order(m, h, t):
        return m.work_shift[h, t] <= sum(m.work_shift[below, t] for below in m.BELOW[h])

    @m.Constraint(m.IDLE_SHIFTS, doc="No shift is worked outside of its dates (shifts)")
    def shifts_in_date(m, h, t):
        return m.work_shift[h, t] == 0

    @m.Constraint(m.KEPT_SHIFTS, m.MONTHS, doc="A shift is started or stopped once in its least months (shifts)")
    def shifts_kept(m, h, t):
        return sum(m.start_shift[h, each] + m.stop_shift[h, each] for each in m.SPAN[h, t]) <= 1

    @m.Constraint(m.CLOSABLE, m.MONTHS, doc="Nothing is made at a closed site or brought to it (units)")
    def closed_takes_nothing(m, i, n, h, t):
        return (
            _made(m, i, n, t) + _bought(m, i, n, t) + _sent_to(m, i, n, t)
            <= m.most_moved[i, n, h, t] * m.work_shift[h, t]
        )

    @m.Constraint(m.CLOSABLE, m.MONTHS, doc="Nothing is sent from a closed site (units)")
    def closed_sends_nothing(m, i, n, h, t):
        sent = sum(m.ship[o, d, i, t] for o, d in m.DEPARTURES[i, n])
        return sent <= m.most_moved[i, n, h, t] * m.work_shift[h, t]

    @m.Constraint(m.HOURLESS, doc="Nothing is made on a closed line, not even what takes no hours of it (units)")
    def closed_makes_nothing(m, i, w, h, t):
        return m.make[i, w, t] <= m.largest_closed[i, w, h, t] * m.work_shift[h, t]

    @m.Constraint(m.OUT_OF_DATE, doc="Nothing is made in a way outside of its dates (units)")
    def ways_in_date(m, i, w, t):
        return m.make[i, w, t] == 0

    @m.Constraint(m.SET_UPS, m.MONTHS, doc="Nothing is made without its set-up (units)")
    def set_up_first(m, i, w, t):
        ready = m.set_up[i, w, t] + sum(m.carry_over[i, w, kept] for kept in m.CARRIES[i, w, t])
        return m.make[i, w, t] <= m.largest_run[i, w, t] * ready

    @m.Constraint(m.SET_UPS, m.MONTHS, doc="A set-up makes a lot, no smaller than the minimum run (units)")
    def smallest_run(m, i, w, t):
        carried = sum(m.carry_over[i, w, kept] for kept in m.CARRIES[i, w, t])
        return m.make[i, w, t] >= m.least_run[i, w, t] * m.set_up[i, w, t] + m.minimum_run[i, w] * carried

    @m.Constraint(
        m.OF_FAMILY, m.MONTHS, doc="Nothing of a family is set up without the set-up that it shares (set-ups)"
    )
    def family_first(m, i, w, f, t):
        return m.set_up[i, w, t] <= m.set_up_family[f, t]

    @m.Constraint(m.FAMILIES, m.MONTHS, doc="A family is set up for something of it (set-ups)")
    def family_used(m, f, t):
        return m.set_up_family[f, t] <= sum(m.set_up[i, w, t] for i, w in m.MEMBERS[f])

    @m.Constraint(m.CARRYING, m.LATER_MONTHS, doc="A resource is still set up for one thing at most (set-ups)")
    def carried_once(m, r, t):
        return sum(m.carry_over[i, w, t] for i, w in m.CARRIED_ON[r]) <= 1

    @m.Constraint(
        m.CARRIED_OVER, m.LATER_MONTHS, doc="What is carried over was set up or carried the month before (set-ups)"
    )
    def carried_from(m, i, w, t):
        before = m.previous[t]
        there = m.set_up[i, w, before] + sum(m.carry_over[i, w, kept] for kept in m.CARRIES[i, w, before])
        return m.carry_over[i, w, t] <= there

    @m.Constraint(
        m.CARRIED_STEPS,
        m.LATER_MONTHS,
        doc="What is carried on and on stays in place: nothing else is set up (set-ups)",
    )
    def carried_on(m, i, w, r, t):
        return m.carry_over[i, w, t] <= m.set_up[i, w, m.previous[t]] + m.leave_set_up[r, m.previous[t]]

    @m.Constraint(m.CHANGES, m.MONTHS, doc="A resource left as it is is set up for nothing (set-ups)")
    def left_as_it_is(m, i, w, r, t):
        return m.leave_set_up[r, t] + m.set_up[i, w, t] <= 1

    @m.Constraint(m.CARRIED_OVER, m.LATER_MONTHS, doc="What is still set up is not set up again (set-ups)")
    def not_set_up_again(m, i, w, t):
        return m.set_up[i, w, t] + m.carry_over[i, w, t] <= 1

    @m.Constraint(m.CREWS, m.MONTHS, doc="People's work fits into their regular hours and overtime (hours)")
    def people_work(m, n, q, t):
        return (
            sum(m.crew_size[r] * (m.run[r, t] + m.run_overtime[r, t]) for r in m.MANNED[n, q])
            + sum(m.people_hours[i, w, n, q] * m.make[i, w, t] for i, w in m.BY_HAND[n, q])
            <= m.person_hours[n, q, t] * m.employ[n, q, t] + m.work_overtime[n, q, t]
        )

    @m.Constraint(m.CREWS, m.MONTHS, doc="Nobody works more overtime than allowed (hours)")
    def people_overtime_limit(m, n, q, t):
        return m.work_overtime[n, q, t] <= m.person_overtime[n, q] * m.employ[n, q, t]

    @m.Constraint(m.HIRING_LIMITS, m.MONTHS, doc="No more people start in a month than can be taken in (people)")
    def hiring_limit(m, n, q, t):
        return m.hire[n, q, t] <= m.most_hires[n, q]

    @m.Constraint(m.TOO_EARLY_HIRES, doc="Nobody starts before the time it takes to hire has passed (people)")
    def no_early_hires(m, n, q, t):
        return m.hire[n, q, t] == 0

    @m.Constraint(m.LIMITED_ORDERS, doc="No more is ordered than the supplier can deliver (units)")
    def supplier_capacity(m, s, i, n, t):
        return m.buy[s, i, n, t] <= m.offer_capacity[s, i, n, t]

    @m.Constraint(m.LEAST_ORDERS, doc="Units are ordered only where an order is placed (units)")
    def order_first(m, s, i, n, t):
        return m.buy[s, i, n, t] <= m.largest_order[s, i, n, t] * m.place_order[s, i, n, t]

    @m.Constraint(m.LEAST_ORDERS, doc="An order is no smaller than the supplier's minimum (units)")
    def smallest_order(m, s, i, n, t):
        return m.buy[s, i, n, t] >= m.minimum_order[s, i, n] * m.place_order[s, i, n, t]

    @m.Constraint(m.BREAKS, m.MONTHS, doc="A lower price is reached by an order of its quantity (units)")
    def break_reached(m, b, t):
        ordered = sum(m.buy[s, i, n, t] for s, i, n in m.BREAK_OF[b])
        return ordered >= m.break_from[b] * m.reach_break[b, t]

    @m.Constraint(m.BREAKS, m.MONTHS, doc="An order that does not reach a lower price is smaller (units)")
    def break_missed(m, b, t):
        beyond = sum(m.buy[s, i, n, t] - m.largest_order[s, i, n, t] * m.reach_break[b, t] for s, i, n in m.BREAK_OF[b])
        return beyond <= m.break_from[b] - BELOW

    @m.Constraint(m.BREAKS, m.MONTHS, doc="At a lower price no more is bought than is ordered (units)")
    def bought_cheaper(m, b, t):
        return m.buy_cheaper[b, t] <= sum(m.buy[s, i, n, t] for s, i, n in m.BREAK_OF[b])

    @m.Constraint(m.BREAKS, m.MONTHS, doc="Nothing is bought at a lower price that is not reached (units)")
    def reached_first(m, b, t):
        most = sum(m.largest_order[s, i, n, t] for s, i, n in m.BREAK_OF[b])
        return m.buy_cheaper[b, t] <= most * m.reach_break[b, t]

    @m.Constraint(m.LIMITED_VENDORS, m.MONTHS, doc="All orders to a supplier together stay within its capacity (units)")
    def vendor_limit(m, s, t):
        ordered = sum(m.counted[s, i, n] * m.buy[s, i, n, t] for i, n in m.OFFERED[s])
        return ordered <= m.vendor_capacity[s]

    @m.Constraint(m.QUOTAS, doc="A year's orders reach the supplier's quota, or what is missing is paid (units)")
    def yearly_quota(m, s, t):
        ordered = sum(m.counted[s, i, n] * m.buy[s, i, n, each] for each in m.YEAR[t] for i, n in m.OFFERED[s])
        return ordered + m.miss_quota[s, t] >= m.quota[s, t]

    @m.Constraint(m.LOT_ORDERS, m.MONTHS, doc="An order is a whole number of lots (units)")
    def whole_lots(m, s, i, n, t):
        return m.buy[s, i, n, t] == m.order_lot[s, i, n] * m.order_lots[s, i, n, t]

    @m.Constraint(m.SHARED_OFFERS, doc="Over the horizon a supplier sells us at most its share of an item (units)")
    def supplier_share(m, s, i, n):
        return sum(m.buy[s, i, n, t] for t in m.MONTHS) <= m.share_limit[s, i, n] * sum(
            m.buy[other, i, n, t] for other in m.SUPPLIERS[i, n] for t in m.MONTHS
        )

    @m.Constraint(m.LATE_ORDERS, doc="Nothing is ordered that would arrive after the last month (units)")
    def no_late_orders(m, s, i, n, t):
        return m.buy[s, i, n, t] == 0

    @m.Constraint(m.LIMITED_LANES, m.MONTHS, doc="No more is sent over a lane than it can carry (units, kg or m3)")
    def lane_limit(m, o, d, g, t):
        return sum(m.lane_size[o, d, i] * m.ship[o, d, i, t] for i in m.CARRIED[o, d, g]) <= m.lane_capacity[o, d, g]

    @m.Constraint(
        m.LOADED_LANES, m.MONTHS, doc="What is sent over a lane is a whole number of full loads (units, kg or m3)"
    )
    def full_loads(m, o, d, g, t):
        sent = sum(m.lane_size[o, d, i] * m.ship[o, d, i, t] for i in m.CARRIED[o, d, g])
        return sent == m.full_load[o, d, g] * m.send_loads[o, d, g, t]

    @m.Constraint(m.LATE_SHIPMENTS, doc="Nothing is sent that would arrive after the last month (units)")
    def no_late_shipments(m, o, d, i, t):
        return m.ship[o, d, i, t] == 0

    @m.Constraint(m.HELD_AGED, doc="Stock on hand has the age it has, and what is too old is scrapped (units)")
    def opening_ages(m, i, n, a):
        return m.keep[i, n, a, START] == m.opening_aged[i, n, a]

    @m.Constraint(m.AGED, m.MONTHS, doc="What is held, sent or used at an age was there at that age (units)")
    def ages(m, i, n, a, t):
        there = (
            sum(m.receipts[i, n, t] + _made(m, i, n, t) + _bought(m, i, n, t) for new in m.NEW[a])
            + sum(m.keep[i, n, younger, m.previous[t]] for younger in m.YOUNGER[a])
            + sum(
                m.send[o, n, i, left, sent]
                for o in m.ORIGINS[i, n]
                for lead in m.SHIP_LEADS[o, n, i]
                for left in m.LEFT[lead, a]
                for sent in m.BEFORE[lead, t]
            )
        )
        taken = (
            sum(m.keep[i, n, kept, t] for kept in m.KEPT[i, n, a])
            + sum(m.send[o, d, i, a, t] for o, d in m.SENT_TO[i, n, a])
            + sum(m.consume[i, n, used, t] for used in m.CONSUMED[i, n, a])
        )
        return taken <= there

    @m.Constraint(m.PERISHABLE, m.MONTHS, doc="All stock at a month's end is young enough (units)")
    def ages_held(m, i, n, t):
        return m.hold[i, n, t] == sum(m.keep[i, n, a, t] for a in m.AGES_HELD[i, n])

    @m.Constraint(m.SENDS, m.MONTHS, doc="All that is sent arrives young enough (units)")
    def ages_sent(m, o, d, i, t):
        return m.ship[o, d, i, t] == sum(m.send[o, d, i, a, t] for a in m.AGES_SENT[o, d, i])

    @m.Constraint(m.CONSUMERS, m.MONTHS, doc="All that is used up is young enough (units)")
    def ages_used(m, i, n, t):
        used = sum(m.usage[j, w, i] * m.make[j, w, t] for j, w in m.USES[i, n])
        return used == sum(m.consume[i, n, a, t] for a in m.AGES_AT[i, n])


def _policies(m: pyo.ConcreteModel) -> None:
    @m.Constraint(
        m.SAFE, m.MONTHS, doc="Stock covers safety stock and coming days, or what is missing is priced (units)"
    )
    def safety(m, i, n, t):
        covered = sum(m.cover[i, n, t, later] * _leaves(m, i, n, later) for later in m.COVERED[i, n, t])
        return m.hold[i, n, t] + m.fall_below_safety[i, n, t] >= m.safety_stock[i, n, t] + covered

    @m.Constraint(m.TARGETED, m.LAST, doc="The end stock reaches its target, or what is missing is priced (units)")
    def end_stock_target(m, i, n, t):
        covered = sum(m.cover[i, n, t, later] * _leaves(m, i, n, later) for later in m.COVERED_AT_END[i, n])
        return m.hold[i, n, t] + m.miss_end_stock[i, n, t] >= m.end_stock[i, n] + covered

    @m.Constraint(m.CAPPED, m.MONTHS, doc="Stock stays below its maximum, or what is above it is counted (units)")
    def stock_maximum(m, i, n, t):
        return m.hold[i, n, t] <= m.maximum_stock[i, n] + m.exceed_maximum[i, n, t]

    @m.Constraint(m.STORES, m.MONTHS, doc="Stock fits into the site's space, or into space paid for (m3)")
    def space(m, n, t):
        return sum(m.volume[i] * m.hold[i, n, t] for i in m.ITEMS_AT[n]) <= m.storage[n] + m.overflow[n, t]

    @m.Constraint(m.BUDGETS, doc="Money in stock stays within its budget, or the excess is priced (currency)")
    def money_in_stock(m, t):
        return sum(m.standard_cost[i] * m.hold[i, n, t] for i, n in m.STOCKS) <= m.stock_budget + m.exceed_budget[t]

    @m.Constraint(m.CAPPED_CARBON, doc="Carbon of all months stays below its cap, or what is above it is counted (kg)")
    def carbon_cap(m, t):
        return sum(_carbon(m, each) for each in m.MONTHS) <= m.most_carbon + m.exceed_carbon[t]

    @m.Constraint(m.FAIR, doc="Within a class nobody is left shorter than the worst share (units)")
    def fair_share(m, p, k, t):
        short = m.wait[p, k, t] + sum(m.lose[p, k, lost] for lost in m.GIVEN_UP[p, k, t])
        return short <= m.fair_base[p, k, t] * m.worst_share[p, m.market_class[k], t]

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


def _promises(m: pyo.ConcreteModel) -> None:
    """What comes before money, by rank and by priority class: as little of each as those before it allow."""

    @m.Expression(doc="Demand that must be met is lost, or waits at the end where it may not (units)")
    def unmet_promises(m):
        lost = sum(m.lose[p, k, t] for p, k in m.MUST_BE_MET for t in m.MONTHS)
        return lost + sum(m.wait[p, k, t] for p, k in m.MUST_END for t in m.LAST)

    @m.Expression(doc="Firm orders of customers are short (units and months)")
    def short_orders(m):
        return sum(m.miss_orders[p, k, t] for p, k in m.ORDERED for t in m.MONTHS)

    @m.Expression(doc="Frozen months differ from the last plan (units)")
    def broken_freeze(m):
        made = sum(m.make_more[i, w, t] + m.make_less[i, w, t] for i, w in m.MAKES for t in m.FROZEN)
        return made + sum(m.order_more[s, i, n, t] + m.order_less[s, i, n, t] for s, i, n in m.OFFERS for t in m.FROZEN)

    @m.Expression(doc="Stock is above its maximum (units)")
    def stock_above_maximum(m):
        return sum(m.exceed_maximum[i, n, t] for i, n in m.CAPPED for t in m.MONTHS)

    @m.Expression(doc="Stock does not fit into a site that has no more space at any price (m3)")
    def overfull_space(m):
        return sum(m.overflow[n, t] for n in m.FULL for t in m.MONTHS)

    @m.Expression(doc="Carbon is above its cap (kg)")
    def carbon_above_cap(m):
        return sum(m.exceed_carbon[t] for t in m.CAPPED_CARBON)

    @m.Expression(m.CLASSES, doc="Demand of a priority class is short (units and months)")
    def out_of_order(m, c):
        return sum(
            m.wait[p, k, t] + m.months_short[p, k, t] * m.lose[p, k, t] for p, k in m.RANKED_IN[c] for t in m.MONTHS
        )

    @m.Expression(m.CLASSES, doc="A class is short by its worst share, everyone in it alike (units)")
    def unfair_shares(m, c):
        return sum(m.class_base[p, c, t] * m.worst_share[p, c, t] for p, t in m.SHARING[c])


def _money(m: pyo.ConcreteModel) -> None:
    """Money by what it is paid for and by month: the tables hold these amounts, the objective is their sum."""

    @m.Expression(m.DEMANDED, m.MONTHS, doc="What reaches a market, at its net price (currency)")
    def revenue(m, p, k, t):
        return m.price[p, k, t] * _sent_to(m, p, k, t)

    @m.Expression(m.MAKES, m.MONTHS, doc="Variable cost of making (currency)")
    def making(m, i, w, t):
        return m.make_cost[i, w] * m.make[i, w, t]

    @m.Expression(m.RESOURCES, m.MONTHS, doc="Regular hours of a resource (currency)")
    def regular_hours(m, r, t):
        return m.hour_cost[r] * m.run[r, t]

    @m.Expression(m.RESOURCES, m.MONTHS, doc="Overtime hours of a resource (currency)")
    def overtime_hours(m, r, t):
        return m.overtime_cost[r] * m.run_overtime[r, t]

    @m.Expression(m.SHIFTS, m.MONTHS, doc="Shifts worked and sites open, busy or not (currency)")
    def working_shifts(m, h, t):
        return m.shift_cost[h, t] * m.work_shift[h, t]

    @m.Expression(m.SHIFTS, m.MONTHS, doc="Starting and stopping shifts, opening and closing sites (currency)")
    def changing_shifts(m, h, t):
        return m.start_cost[h] * m.start_shift[h, t] + m.stop_cost[h] * m.stop_shift[h, t]

    @m.Expression(m.SET_UPS, m.MONTHS, doc="A set-up (currency)")
    def setting_up(m, i, w, t):
        return m.set_up_cost[i, w] * m.set_up[i, w, t]

    @m.Expression(m.FAMILIES, m.MONTHS, doc="A set-up that a family shares (currency)")
    def setting_up_families(m, f, t):
        return m.family_cost[f] * m.set_up_family[f, t]

    @m.Expression(m.OFFERS, m.MONTHS, doc="What a supplier delivers, in the month of arrival (currency)")
    def buying(m, s, i, n, t):
        return sum(
            m.offer_price[s, i, n, sent] * m.order_part[s, i, n, lead, sent] * m.buy[s, i, n, sent]
            for lead in m.ORDER_LEADS[s, i, n]
            for sent in m.BEFORE[lead, t]
        ) - sum(
            m.break_saving[b] * m.order_part[s, i, n, lead, sent] * m.buy_cheaper[b, sent]
            for b in m.BREAKS_OF[s, i, n]
            for lead in m.ORDER_LEADS[s, i, n]
            for sent in m.BEFORE[lead, t]
        )

    @m.Expression(m.QUOTAS, doc="What a supplier's quota lacks at the end of a year (currency)")
    def missing_quota(m, s, t):
        return m.quota_price[s] * m.miss_quota[s, t]

    @m.Expression(m.SHIPS, m.MONTHS, doc="Shipments, in the month of leaving (currency)")
    def freight(m, o, d, i, t):
        return m.lane_cost[o, d, i] * m.ship[o, d, i, t]

    @m.Expression(m.STOCKS, m.MONTHS, doc="Stock at the month's end (currency)")
    def holding(m, i, n, t):
        return m.holding_cost[i, n] * m.hold[i, n, t]

    @m.Expression(m.SCRAPPED, m.MONTHS, doc="What is scrapped (currency)")
    def disposing(m, i, n, t):
        return m.disposal_price[i, n] * m.scrap[i, n, t]

    @m.Expression(m.CREWS, m.MONTHS, doc="Wages of the people employed, busy or not (currency)")
    def wages(m, n, q, t):
        return m.wage[n, q, t] * m.employ[n, q, t]

    @m.Expression(m.CREWS, m.MONTHS, doc="Overtime of people (currency)")
    def people_overtime(m, n, q, t):
        return m.people_overtime_cost[n, q] * m.work_overtime[n, q, t]

    @m.Expression(m.CREWS, m.MONTHS, doc="Hiring (currency)")
    def hiring(m, n, q, t):
        return m.hire_cost[n, q, t] * m.hire[n, q, t]

    @m.Expression(m.CREWS, m.MONTHS, doc="Laying off (currency)")
    def laying_off(m, n, q, t):
        return m.layoff_cost[n, q, t] * m.lay_off[n, q, t]

    @m.Expression(m.PACED, m.LATER_MONTHS, doc="Running longer or shorter than the month before (currency)")
    def changing_rate(m, r, t):
        return m.change_price[r] * (m.run_more[r, t] + m.run_less[r, t])

    @m.Expression(m.PRICED_CARBON, doc="Policy: carbon of what is made, run, bought and moved (currency)")
    def pricing_carbon(m, t):
        return m.carbon_price * _carbon(m, t)

    @m.Expression(m.MAKES, m.MONTHS, doc="Policy: made in a way that is less preferred (currency)")
    def less_preferred(m, i, w, t):
        return m.avoid_price[i, w] * m.make[i, w, t]

    @m.Expression(m.DEMANDED, m.MONTHS, doc="Policy: demand waiting at the month's end (currency)")
    def waiting(m, p, k, t):
        return m.waiting_price[p, k] * m.wait[p, k, t]

    @m.Expression(m.DEMANDED, m.MONTHS, doc="Policy: demand lost (currency)")
    def losing(m, p, k, t):
        return m.losing_price[p, k] * m.lose[p, k, t]

    @m.Expression(m.SAFE, m.MONTHS, doc="Policy: safety stock missing at the month's end (currency)")
    def missing_safety_stock(m, i, n, t):
        return m.safety_price[i, n] * m.fall_below_safety[i, n, t]

    @m.Expression(m.TARGETED, m.LAST, doc="Policy: target end stock missing (currency)")
    def missing_end_stock(m, i, n, t):
        return m.end_stock_price[i, n] * m.miss_end_stock[i, n, t]

    @m.Expression(m.STORES, m.MONTHS, doc="Policy: space beyond a site's own (currency)")
    def space_overflow(m, n, t):
        return m.overflow_price[n] * m.overflow[n, t]

    @m.Expression(m.BUDGETS, doc="Policy: money in stock above its budget (currency)")
    def above_stock_budget(m, t):
        return m.stock_budget_price * m.exceed_budget[t]

    @m.Expression(m.KEPT_MONTHS, doc="Policy: changes against the last plan (currency)")
    def changing_the_plan(m, t):
        return m.plan_change_price[t] * (
            sum(m.make_more[i, w, t] + m.make_less[i, w, t] for i, w in m.MAKES)
            + sum(m.order_more[s, i, n, t] + m.order_less[s, i, n, t] for s, i, n in m.OFFERS)
        )


def _objective(m: pyo.ConcreteModel) -> None:
    @m.Objective(sense=pyo.maximize, doc="Earn the most: revenue less every named cost (currency)")
    def profit(m):
        income, *costs = (m.component(name) for name in ("revenue", *CASH, *POLICY))
        return sum(income[at] for at in income.index_set()) - sum(
            sum(cost[at] for at in cost.index_set()) for cost in costs
        )
