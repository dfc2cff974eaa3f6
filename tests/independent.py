"""The best plan of a company, once more: written from data/README.md alone, for scipy, without `sopkit.supply`.

One batch of goods is what became new in the same month (items that keep have one batch for ever), so shelf life needs
no rule but that a batch is not touched when it is too old. Covers what `drawn` draws: yields, by-products, set-ups,
minimum runs, overtime, lead times, lanes, minimum orders, supplier capacity, safety and end stock, the four ways of
unmet demand, firm orders, days of cover, people who come and go, prices, wages and safety stock by month, lanes by
weight and volume, price breaks, what a supplier delivers in all, shifts of the line, and sites that may be closed.
Material stays at the plant, where it is of use: surplus is not moved to where holding it is free.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pandas as pd
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import coo_array
from small_company import CYCLE, demand, monthly, months, read


class Program:
    """Columns by name with bounds and money, rows by their terms."""

    def __init__(self) -> None:
        self.at: dict[tuple, int] = {}
        self.money: list[float] = []
        self.most: list[float] = []
        self.least: dict[int, float] = {}
        self.whole: list[int] = []
        self.rows: list[tuple[dict[int, float], float, float]] = []

    def __call__(self, *name, money: float = 0.0, most: float = np.inf, whole: bool = False) -> int:
        if name not in self.at:
            self.at[name] = len(self.money)
            self.money.append(money)
            self.most.append(most)
            self.whole.append(int(whole))
        return self.at[name]

    def row(self, terms: dict[int, float], least: float, most: float) -> None:
        self.rows.append((terms, least, most))

    def best(self, cost: np.ndarray) -> tuple[float, np.ndarray]:
        """The least of a cost over all plans."""
        entries = [(r, c, v) for r, (terms, *_) in enumerate(self.rows) for c, v in terms.items()]
        row, col, value = (np.array(part) for part in zip(*entries, strict=True))
        a = coo_array((value, (row, col)), shape=(len(self.rows), len(self.money))).tocsr()
        limits = LinearConstraint(a, [low for _, low, _ in self.rows], [high for *_, high in self.rows])
        found = milp(
            cost,
            constraints=limits,
            bounds=Bounds([self.least.get(at, 0.0) for at in range(len(self.most))], np.array(self.most)),
            integrality=self.whole,
            options={"mip_rel_gap": 0.0},
        )
        assert found.status == 0, found.message
        return found.fun, found.x

    def settle(self, x: np.ndarray) -> None:
        """Whole numbers stay what they are: from now on nothing else is decided."""
        for at in np.flatnonzero(self.whole):
            self.least[at] = self.most[at] = float(round(x[at]))
            self.whole[at] = 0


def arriving(row: dict, *, whole: bool = False) -> dict[int, float]:
    """Months after which which part arrives: days are parts of months of 30; `whole`: a part counts as a month."""
    months, days = divmod(30 * row.get("lead_time", 0) + row.get("lead_days", 0), 30)
    if whole or not days:
        return {months + (days > 0): 1.0}
    return {months: 1 - days / 30, months + 1: days / 30}


def most_of(row: dict) -> float:
    """Capacity; without end where none is given."""
    most = row.get("capacity")
    return np.inf if most is None or most != most else most


def in_time(parts: dict[int, float], t: int, count: int) -> dict[int, float]:
    """What leaves in a month t whose later part would miss the last month leaves early enough."""
    return {min(parts): 1.0} if t + max(parts) >= count else parts


def independent(
    tables: dict[str, pd.DataFrame], count: int, carbon: float = 0.0, lots: dict[tuple, float] | None = None
) -> tuple[list[float], float]:
    """Units of must-be-met demand lost, and of firm orders missing, at least; the best contribution of such a plan.

    `lots`: the least that a set-up makes, by item, way and month, of which the dictionary says no more than that it is
    little: it counts where a line is set up only to be so in the next month.
    """
    p, when = Program(), {month: at for at, month in enumerate(months(count))}
    things = [*tables["products"].rename(columns={"product": "item"}).to_dict("records")]
    if "materials" in tables:
        things += tables["materials"].rename(columns={"material": "item"}).to_dict("records")
    life = {row["item"]: int(row.get("shelf_life", 0) or 0) for row in things}
    standard = {row["item"]: row.get("standard_cost", 0.0) for row in things}
    wished = {(row["item"], row["site"]): row for row in tables["policies"].to_dict("records")}
    sites, lanes = list(tables["sites"]["site"]), tables["lanes"].to_dict("records")
    inside = [lane for lane in lanes if lane["destination"] in sites]
    balance: dict[tuple, dict[int, float]] = defaultdict(lambda: defaultdict(float))
    given: dict[tuple, float] = defaultdict(float)
    leaves: dict[tuple, dict[int, float]] = defaultdict(dict)

    def dated(table: str, key: str, column: str) -> dict[tuple, float]:
        rows = tables[table].dropna(subset=[column]).to_dict("records") if table in tables else []
        return {(*(row[name] for name in key.split()), when.get(row["month"], -1)): row[column] for row in rows}

    special, price_in = dated("dated_policies", "site item", "safety_stock"), dated("dated_offers", "item", "price")

    works: dict[str, list[int]] = defaultdict(list)
    own_in = {name: dated("dated_shifts", "place shift", name) for name in ("hours", "cost")}
    shift_rows = tables["shifts"].sort_values("shift").to_dict("records") if "shifts" in tables else []
    stands_in = tables["resources"].set_index("resource")["site"]
    for row in shift_rows:
        at, late = (row["place"], row["shift"]), str(row["valid_to"])
        for t in range(count):
            paid, most = own_in["cost"].get((*at, t), row["cost"]), 0.0 if late < months(count)[t] else 1.0
            p("shift", *at, t, money=-paid, most=most, whole=True)
        works[row["place"]].append(row["shift"])

    def is_open(column: int, site: str, t: int) -> None:
        """A column that is nothing while a site is closed."""
        if works[site]:
            p.row({column: 1.0, p("shift", site, 1, t): -10_000.0}, -np.inf, 0)

    for row in shift_rows:  # started or stopped, it stays so for its least months
        at, before = (row["place"], row["shift"]), float(row["worked"])
        last = works[row["place"]][: works[row["place"]].index(row["shift"])][-1:]
        site = stands_in.get(row["place"], "")
        above = ("shift", row["place"], last[0]) if last else ("shift", site, 1) if works[site] else ()
        for t in range(count):
            now, past = p("shift", *at, t), {p("shift", *at, t - 1): 1.0} if t else {}
            if above:
                p.row({now: 1.0, p(*above, t): -1.0}, -np.inf, 0)
            for change, sign in (("start", 1.0), ("stop", -1.0)):
                moved = p(change, *at, t, money=-row[f"{change}_cost"])
                stood = 0.0 if t else before
                rise = {now: -sign, **{column: sign for column in past}}
                p.row({moved: 1.0, **rise}, -sign * stood, np.inf)
                for later in range(t + 1, min(count, t + row["least_months"])):  # sign = 1: it is there, -1: it is not
                    p.row({p("shift", *at, later): sign, **rise}, -sign * stood - (sign < 0), np.inf)

    def batches(item: str, t: int, grace: int = 0) -> list[int]:
        """Batches of an item that may be touched in month t, or `grace` months later."""
        if not life[item]:
            return [0]
        return [b for b in range(-9, t + 1) if t + grace - b <= life[item]]

    def new(item: str, t: int) -> int:
        return t if life[item] else 0

    for row in tables["inventory"].to_dict("records") if "inventory" in tables else []:
        given[row["item"], row["site"], -1 - int(row.get("age", 0)) if life[row["item"]] else 0, 0] += row["quantity"]
    # stock: held batches
    held: dict[tuple, dict[int, float]] = defaultdict(dict)
    for item in life:
        for site in sites:
            wish = wished.get((item, site), {})
            for t in range(count):
                for b in batches(item, t, 1):
                    hold = p("hold", item, site, b, t, money=-wish.get("holding_cost", 0.0))
                    held[item, site, t][hold] = 1.0
                    balance[item, site, b, t][hold] -= 1
                    if t + 1 < count:
                        balance[item, site, b, t + 1][hold] += 1
    # making
    hours, overtime = defaultdict(lambda: defaultdict(float)), tables["resources"].set_index("resource")
    bom = tables["bom"].to_dict("records") if "bom" in tables else []
    capacity = tables["capacity"].set_index(["resource", "month"])
    members: dict[int, list[int]] = defaultdict(list)
    switches: dict[tuple, list[int]] = defaultdict(list)
    lasts: dict[tuple, list[tuple[int, int]]] = defaultdict(list)
    for step in tables["routings"].to_dict("records"):
        item, resource, started = step["item"], step["resource"], 1 / step.get("yield", 1.0)
        site = overtime.loc[resource, "site"]
        set_up = (step.get("setup_hours", 0), step.get("setup_cost", 0), step.get("minimum_run", 0))
        family, keeps = step.get("setup_family", ""), overtime.loc[resource].get("setup_carry_over", False)
        for t in range(count):
            way = step.get("routing", "") or resource
            money = -step.get("cost", 0.0) * started - step.get("avoid_price", 0.0)
            money -= carbon * step.get("carbon", 0.0) * started
            most = 0.0 if str(step.get("valid_to")) < months(count)[t] else np.inf
            make = p("make", item, way, t, money=money, most=most)
            is_open(make, site, t)
            if works[resource] and not capacity.loc[(resource, months(count)[t]), "hours"]:  # closed without a shift
                p.row({make: 1.0, p("shift", resource, works[resource][0], t): -10_000.0}, -np.inf, 0)
            balance[item, site, new(item, t), t][make] += 1
            hours[resource, t][make] += step["hours"] * started
            if any(set_up) or family:
                switch = p("set up", item, way, t, money=-set_up[1], most=1, whole=True)
                switches[resource, t].append(switch)
                hours[resource, t][switch] += set_up[0]
                ready = {switch: -1_000.0}
                if keeps:  # what the line is set up for when a month ends: the last set-up, or what it was before
                    last = p("last", item, way, t, most=1, whole=True)
                    before = [p("last", item, way, t - 1)] if t else []
                    ready |= dict.fromkeys(before, -1_000.0)
                    p.row({last: 1.0, switch: -1.0, **dict.fromkeys(before, -1.0)}, -np.inf, 0)
                    lasts[resource, t].append((last, switch))
                p.row({make: 1.0, **ready}, -np.inf, 0)
                least = (lots or {}).get((item, way, months(count)[t]), 1e-3)
                p.row({make: 1.0, switch: -max(set_up[2], least)}, 0, np.inf)
            if family:
                shared = p("family", resource, family, t, money=-step["family_setup_cost"], most=1, whole=True)
                hours[resource, t][shared] = step["family_setup_hours"]
                members[shared].append(switch)
                p.row({switch: 1.0, shared: -1.0}, -np.inf, 0)
            for part in (part for part in bom if part["item"] == item and part.get("routing", "") in ("", way)):
                if part.get("by_product"):
                    balance[part["component"], site, new(part["component"], t), t][make] += part["quantity"] * started
                    continue
                terms = {make: part["quantity"] * started}
                for b in batches(part["component"], t):
                    use = p("use", item, way, part["component"], b, t)
                    terms[use] = -1.0
                    leaves[part["component"], site, t][use] = 1.0
                    balance[part["component"], site, b, t][use] -= 1
                p.row(terms, 0, 0)
    for shared, some in members.items():
        p.row({shared: 1.0, **dict.fromkeys(some, -1.0)}, -np.inf, 0)
    for at, some in lasts.items():
        p.row({last: 1.0 for last, _ in some}, -np.inf, 1)
        for last, own in some:  # whoever is not set up himself is not last after another
            for other in switches[at]:
                if other != own:
                    p.row({last: 1.0, own: -1.0, other: 1.0}, -np.inf, 1)
    for (resource, t), work in hours.items():
        limit, cost = capacity.loc[(resource, months(count)[t])], overtime.loc[resource]
        emits = carbon * cost.get("carbon", 0.0)
        regular = p("regular", resource, t, money=-cost["hour_cost"] - emits)
        extra = p("extra", resource, t, money=-cost["overtime_cost"] - emits, most=limit.get("overtime_limit", 0.0))
        there = limit["hours"] - limit.get("maintenance", 0.0)  # of it and of all shifts so far
        terms, most = {regular: 1.0}, max(0.0, there)
        for row in (row for row in shift_rows if row["place"] == resource):
            at = (resource, row["shift"], t)
            more = there + own_in["hours"].get(at, row["hours"])
            terms[p("shift", *at)] = max(0.0, there) - max(0.0, more)
            there = more
        p.row(terms, -np.inf, most)
        if works[resource] and not limit["hours"]:  # closed without its first shift
            p.row({extra: 1.0, p("shift", resource, works[resource][0], t): -1_000.0}, -np.inf, 0)
        p.row({**work, regular: -1.0, extra: -1.0}, 0, 0)
        if t and cost.get("change_price", 0.0):  # hours more or less than in the month before
            more, less = (p(name, resource, t, money=-cost["change_price"]) for name in ("more", "less"))
            before = {p(name, resource, t - 1): -1.0 for name in ("regular", "extra")}
            p.row({regular: 1.0, extra: 1.0, more: -1.0, less: 1.0} | before, 0, 0)
        for crew in tables["workforce"].to_dict("records") if cost.get("skill", "") else []:
            p.row({regular: 1.0, extra: 1.0, p("employ", t): -20 * crew["hours_per_day"]}, -np.inf, 0)
    for crew in tables["workforce"].to_dict("records") if "workforce" in tables else []:
        wage, hiring, firing = crew["wage"], crew["hire_cost"], crew["layoff_cost"]
        columns = ("starting", "leaving", "wage", "hire_cost", "layoff_cost")
        moves = {name: dated("dated_workforce", "site", name) for name in columns}
        for t in range(count):
            wage = moves["wage"].get(("PLANT", t), wage)
            hiring = moves["hire_cost"].get(("PLANT", t), hiring)
            firing = moves["layoff_cost"].get(("PLANT", t), firing)
            p.money[p("employ", t)] -= wage
            hire, fire = p("hire", t, money=-hiring), p("fire", t, money=-firing)
            change = moves["starting"].get(("PLANT", t), 0) - moves["leaving"].get(("PLANT", t), 0)
            terms, stay = {p("employ", t): 1.0, hire: -1.0, fire: 1.0}, 1 - crew["attrition"]
            if t:
                terms[p("employ", t - 1)] = -stay
            change += 0 if t else stay * crew["people"]
            p.row(terms, change, change)
    # buying
    total: dict[tuple, dict[int, float]] = defaultdict(dict)
    breaks = tables["price_breaks"].to_dict("records") if "price_breaks" in tables else []
    for offer in tables["offers"].to_dict("records") if "offers" in tables else []:
        most, item = most_of(offer), offer["item"]
        for t in range(count - min(arriving(offer))):
            parts = in_time(arriving(offer), t, count)
            price = price_in.get((item, t), offer["price"]) + carbon * offer.get("carbon", 0.0)
            use, supplier = offer.get("capacity_use", 1.0), offer["supplier"]
            buy = p("buy", offer["supplier"], item, offer["site"], t, money=-price, most=most)
            for lead, part in parts.items():
                balance[item, offer["site"], new(item, t + lead), t + lead][buy] += part
                is_open(buy, offer["site"], t + lead)
            total[supplier, t][buy] = use
            rungs = [row for row in breaks if (row["supplier"], row["item"]) == (supplier, item)]
            for rung in rungs:  # the whole order on one rung of the ladder, at its price
                on, part = p("rung", item, t, rung["from_quantity"], most=1, whole=True), ("at", item, t)
                cheap = p(*part, rung["from_quantity"], money=offer["price"] - rung["price"])
                p.row({cheap: 1.0, on: -1_000.0}, -np.inf, 0)
                p.row({cheap: 1.0, on: -rung["from_quantity"]}, 0, np.inf)
            if rungs:
                every = [row["from_quantity"] for row in rungs]
                p.row({p("rung", item, t, least): 1.0 for least in every}, 0, 1)
                p.row({buy: -1.0, **{p("at", item, t, least): 1.0 for least in every}}, -np.inf, 0)
            if offer.get("order_multiple", 0):
                p.row({buy: 1.0, p("lots", item, t, most=999, whole=True): -offer["order_multiple"]}, 0, 0)
            if offer.get("minimum_order", 0):
                order = p("order", offer["supplier"], item, offer["site"], t, most=1, whole=True)
                p.row({buy: 1.0, order: -1_000.0}, -np.inf, 0)
                p.row({buy: 1.0, order: -offer["minimum_order"]}, 0, np.inf)
    for vendor in tables["suppliers"].to_dict("records"):
        for t in range(count):
            p.row(total[vendor["supplier"], t], -np.inf, most_of(vendor))
        if vendor.get("yearly_quota", 0):
            year = {column: use for t in range(count) for column, use in total[vendor["supplier"], t].items()}
            missing = p("quota", vendor["supplier"], money=-vendor["quota_price"])
            p.row({**year, missing: 1.0}, vendor["yearly_quota"] * count / 12, np.inf)
    # moving and delivering
    delivered: dict[tuple, dict[int, float]] = defaultdict(dict)
    prices = {
        (row["product"], row["market"], when[row["month"]]): row for row in tables["demand_plan"].to_dict("records")
    }
    own = {(lane["origin"], lane["destination"], lane.get("mode"), lane.get("item", "")) for lane in lanes}
    ones = pd.Series(1.0, index=tables["products"]["product"])
    for lane in lanes:
        counted = {"kg": "weight", "m3": "volume"}.get(lane.get("counted_in", ""))
        loads: dict[int, dict[int, float]] = defaultdict(dict)
        for item, size in tables["products"].set_index("product").get(counted, ones).items():
            for_all = (
                not lane.get("item", "") and (lane["origin"], lane["destination"], lane.get("mode"), item) not in own
            )
            if not for_all and lane.get("item", "") != item:
                continue
            for t in range(count - min(arriving(lane, whole=life[item] > 0))):
                parts = in_time(arriving(lane, whole=life[item] > 0), t, count)
                due = {lead: prices.get((item, lane["destination"], t + lead)) for lead in parts}
                if lane not in inside and None in due.values():
                    continue
                paid = 0.0 if lane in inside else sum(part * due[lead]["price"] for lead, part in parts.items())
                for b in batches(item, t, max(parts)):
                    ship = p(
                        "ship",
                        lane["origin"],
                        lane["destination"],
                        lane.get("mode"),
                        item,
                        b,
                        t,
                        money=paid - (lane.get("cost", 0.0) + carbon * lane.get("carbon", 0.0)) * size,
                    )
                    is_open(ship, lane["origin"], t)
                    balance[item, lane["origin"], b, t][ship] -= 1
                    leaves[item, lane["origin"], t][ship] = 1.0
                    loads[t][ship] = size
                    for lead, part in parts.items():
                        if lane in inside:
                            balance[item, lane["destination"], b, t + lead][ship] += part
                            is_open(ship, lane["destination"], t + lead)
                        else:
                            delivered[item, lane["destination"], t + lead][ship] = part
        for sent in loads.values():
            p.row(sent, -np.inf, most_of(lane))
        for t, sent in loads.items() if lane.get("full_load", 0) else []:
            trucks = p(
                "trucks",
                lane["origin"],
                lane["destination"],
                lane.get("mode"),
                lane.get("item"),
                t,
                most=999,
                whole=True,
            )
            p.row(sent | {trucks: -lane["full_load"]}, 0, 0)
    # wishes: a safety stock, and days of what leaves later, of which the average goes on after the horizon
    for (item, site), wish in wished.items():
        for t in range(count):
            rest, need = (wish.get("cover_days", 0) or 0) / 30, defaultdict[int, float](float)
            for later in range(t + 1, count):
                for column in leaves[item, site, later]:
                    need[column] -= min(rest, 1)
                rest -= min(rest, 1)
            for later in range(count) if rest else []:
                for column in leaves[item, site, later]:
                    need[column] -= rest / count
            safe = special.get((site, item, t), wish.get("safety_stock", 0.0) or 0.0)
            if safe or need:
                price = wish.get("safety_stock_price", 0.0)
                for name, paid in (("missing", price), ("at the end", standard[item] + price))[: 1 + (t == count - 1)]:
                    terms = defaultdict[int, float](
                        float, {**held[item, site, t], p(name, item, site, t, money=-paid): 1.0}
                    )
                    for column, by in need.items():
                        terms[column] += by
                    p.row(terms, safe, np.inf)
    for item, site, batch, t in sorted({*balance, *given}):
        gone = wished.get((item, site), {}).get("disposal_price")
        if gone is not None and gone == gone:  # what is written off is paid for
            balance[item, site, batch, t][p("write off", item, site, batch, t, money=-gone)] -= 1
    for place in {*balance, *given}:  # what is not used is scrapped where it may get too old, else it must be held
        paid = wished.get(place[:2], {}).get("disposal_price", np.nan) >= 0
        p.row(balance[place], -given[place], np.inf if life[place[0]] and not paid else -given[place])
    lost_must: list[int] = []
    late_must: list[int] = []
    orders = tables["customer_orders"].to_dict("records") if "customer_orders" in tables else []
    firm: dict[tuple, float] = defaultdict(float)
    for row in orders:
        firm[row["product"], row["market"], when.get(row["month"], -1)] += row["quantity"]
    policy = {(row["product"], row["market"]): row for row in tables["service_policies"].to_dict("records")}
    for (item, market, t), row in prices.items():
        served = policy.get((item, market), {"unmet": "lost"})
        may = {"backlog": (1, 0), "lost": (0, 1), "either": (1, 1), "neither": (0, 1)}[served["unmet"]]
        lost_price = 0.0 if served["unmet"] == "neither" else served.get("lost_price", 0.0)
        wait = p(
            "wait", item, market, t, money=-served.get("backlog_price", 0.0) * may[0], most=np.inf if may[0] else 0
        )
        lose = p("lose", item, market, t, money=-lost_price, most=np.inf if may[1] else 0)
        terms = {**delivered[item, market, t], wait: 1.0, lose: 1.0}
        asked = max(row["consensus"], firm[item, market, t])
        if t:
            terms[p("wait", item, market, t - 1)] = -1.0
        else:
            asked += firm[item, market, -1]
        p.row(terms, asked, asked)
        if any(pair[:2] == (item, market) and units for pair, units in firm.items()):
            late_must.append(p("orders", item, market, t))
            terms = {**delivered[item, market, t], p("orders", item, market, t): 1.0}
            if t:
                terms[p("orders", item, market, t - 1)] = -1.0
            p.row(terms, firm[item, market, t] + (0 if t else firm[item, market, -1]), np.inf)
        if served["unmet"] == "neither":
            lost_must.append(lose)
    broken, money = [0.0, 0.0], -np.array(p.money)
    for room in (1e-6, 1e-9):  # to find whole numbers a promise needs room; without it they stay, and all else is exact
        for rank, columns in enumerate((lost_must, late_must)):
            if columns:
                promise = np.zeros(len(p.money))
                promise[columns] = 1.0
                broken[rank], _ = p.best(promise)
                p.row(dict.fromkeys(columns, 1.0), 0, broken[rank] + room * 10**rank * (1 + broken[rank]))
        least, x = p.best(money)
        p.settle(x)
    return broken, -least


def drawn(seed: int) -> dict[str, pd.DataFrame]:
    """A small company of three months: two products, a material, a plant, a DC, two markets; all numbers drawn."""
    draw = np.random.default_rng(seed)

    def one(*among):
        return among[draw.integers(len(among))]

    def upto(most: int) -> int:
        return int(draw.integers(most + 1))

    unmet = "backlog", "lost", "either", "neither"
    tables = read(f"""
        families
        family
        F

        products
        product, family, price, standard_cost, shelf_life
        P, F, {20 + upto(60)}, {5 + upto(20)}, {one(0, 1, 2)}
        Q, F, {20 + upto(40)}, {5 + upto(20)}, {one(0, 0, 1)}

        materials
        material, standard_cost, shelf_life
        M, 3, {one(0, 1)}

        bom
        item, component, quantity
        P, M, {one(1, 2)}

        sites
        site, kind
        PLANT, plant
        DC, dc

        markets
        market, region, channel
        A, all, retail
        B, all, retail

        resources
        resource, site, hour_cost, overtime_cost
        LINE, PLANT, {upto(8)}, {8 + upto(8)}

        routings
        item, resource, hours, cost, yield, setup_hours, setup_cost, minimum_run
        P, LINE, {one(0.5, 1)}, {upto(4)}, {one(1, 0.8)}, {one(0, 0, 6)}, {one(0, 60)}, {one(0, 0, 20)}
        Q, LINE, {one(0.5, 1)}, {upto(4)}, 1, {one(0, 5)}, 0, 0

        lanes
        origin, destination, cost, lead_time
        PLANT, DC, {upto(3)}, {one(0, 1)}
        DC, A, {upto(3)}, {one(0, 0, 1)}
        PLANT, B, {upto(5)}, {one(0, 1)}

        suppliers
        supplier
        EAST

        offers
        supplier, item, site, price, capacity, lead_time, minimum_order
        EAST, M, PLANT, {1 + upto(4)}, {50 + upto(150)}, {one(0, 1)}, {one(0, 0, 30)}
        EAST, Q, DC, {10 + upto(30)}, {upto(60)}, 0, 0

        inventory
        site, item, quantity, age
        PLANT, M, {upto(120)}, 0
        PLANT, P, {upto(60)}, {one(0, 1)}
        DC, Q, {upto(60)}, 0

        policies
        site, item, safety_stock, safety_stock_price, holding_cost
        DC, P, {upto(30)}, {1 + upto(5)}, {1 + upto(1)}
        DC, Q, {upto(30)}, {1 + upto(5)}, 1
        PLANT, M, 0, 0, 0.5

        service_policies
        product, market, unmet, backlog_price, lost_price
        P, A, {one(*unmet)}, {1 + upto(4)}, {upto(9)}
        P, B, {one(*unmet)}, {1 + upto(4)}, {upto(9)}
        Q, A, {one(*unmet)}, {1 + upto(4)}, {upto(9)}
        Q, B, {one(*unmet)}, {1 + upto(4)}, {upto(9)}
        """)
    tables["lanes"] = tables["lanes"].assign(
        item="", lead_days=[one(0, 0, 9), one(0, 0, 12), 0], full_load=[one(0, 15), 0, 0]
    )
    tables["lanes"].loc[3] = {**tables["lanes"].loc[0], "item": "Q", "cost": upto(3), "lead_days": one(0, 24)}
    tables["offers"] = tables["offers"].assign(lead_days=[one(0, 21), one(0, 0, 6)], order_multiple=[one(0, 0, 40), 0])
    prices = tables["products"].set_index("product")["price"].to_dict()
    asked = {pair: [float(upto(80)) for _ in range(3)] for pair in [(i, k) for i in "PQ" for k in "AB"]}
    tables["lanes"] = tables["lanes"].assign(
        counted_in=[one("units", "kg"), "units", one("units", "m3"), "units"],
        capacity=[9999.0, np.nan, one(np.nan, 80.0), np.nan],
    )
    lanes = tables["lanes"].assign(mode=["", "", "sea", ""])
    by_air = {**lanes.loc[2], "mode": "air", "lead_time": 0, "cost": 1 + upto(9), "capacity": one(9999.0, 25.0)}
    lanes.loc[4], tables["lanes"] = by_air, lanes
    if change_price := one(0, 0, 3):  # a lot of next to nothing would keep a line busy: no lot is so small
        tables["resources"]["change_price"] = change_price
        switched = tables["routings"][["setup_hours", "setup_cost", "minimum_run"]].gt(0).any(axis=1)
        tables["routings"]["minimum_run"] = tables["routings"]["minimum_run"].clip(lower=5).where(switched, 0)
    tables["policies"]["disposal_price"] = [np.nan, one(np.nan, 2.0), one(np.nan, 0.5)]
    tables["resources"]["carbon"], tables["routings"]["carbon"] = one(0, 2), one(0, 1)
    tables["offers"]["carbon"], tables["lanes"]["carbon"] = one(0, 3), one(0, 0.5)
    ways = tables["routings"].assign(routing="", avoid_price=[one(0, 3), 0], valid_to="2026-03")
    other = {"routing": "other", "hours": one(0.5, 0.8, 0), "cost": upto(6), "setup_hours": 0, "setup_cost": 0}
    ways.loc[2] = {**ways.loc[0], **other, "minimum_run": 0, "valid_to": one("2026-01", "2026-02", "2026-03")}
    bill = tables["bom"].assign(routing=one("", "LINE"))
    bill.loc[1] = {"item": "P", "component": "M", "routing": "other", "quantity": one(1, 2, 3)}
    bill = (bill if bill["routing"][0] else bill[:1]).assign(by_product=False)
    bill.loc[2] = {"item": "P", "component": "Q", "routing": "", "quantity": one(0, 0.5), "by_product": True}
    tables["routings"], tables["bom"] = ways, bill
    tables["products"] = tables["products"].assign(weight=[one(0.5, 2), 1.5], volume=[2.5, one(0.5, 1)])
    tables["suppliers"] = tables["suppliers"].assign(
        capacity=one(None, None, 60.0 + upto(60)), yearly_quota=one(0, 0, 900.0), quota_price=upto(8)
    )
    tables["offers"] = tables["offers"].assign(capacity_use=[1, one(0.5, 1, 2)])
    tables["price_breaks"] = pd.DataFrame(
        [("EAST", "Q", "DC", 20.0 + upto(20), 8.0), ("EAST", "Q", "DC", 45.0 + upto(20), 5.0)],
        columns=["supplier", "item", "site", "from_quantity", "price"],
    )[: one(0, 1, 2)]
    hours = [{"hours": upto(160), "overtime_limit": one(0, 10)} for _ in range(3)]
    tables["policies"] = tables["policies"].assign(cover_days=[one(0, 0, 20), one(0, 45), one(0, 0, 30)])
    firm = [
        (i, k, month, upto(50)) for i, k, month in (("P", "A", "2025-12"), ("Q", "B", "2026-02"), ("P", "B", "2026-01"))
    ]
    more = read(f"""
        dated_policies
        site, item, month, safety_stock
        DC, P, 2026-02, {upto(50)}

        dated_offers
        supplier, item, site, month, price
        EAST, Q, DC, 2026-02, {tables["offers"]["price"].iloc[1] - 5 + upto(30)}

        dated_workforce
        site, skill, month, starting, leaving, wage, hire_cost, layoff_cost
        PLANT, sewing, 2026-02, {upto(2)}, {upto(2)}, {10 + upto(50)}, {upto(300)}, {upto(300)}

        workforce
        site, skill, people, hours_per_day, wage, hire_cost, layoff_cost, attrition
        PLANT, sewing, {3 + upto(12)}, 0.5, {10 + upto(20)}, {upto(300)}, {upto(300)}, {one(0, 0.1)}

        inventory
        site, item, quantity, age
        PLANT, M, {upto(120)}, 0
        PLANT, P, {upto(60)}, 0
        PLANT, P, {upto(30)}, 1
        DC, Q, {upto(60)}, 0
        """)
    if one(True, False):
        tables["resources"] = tables["resources"].assign(skill="sewing")
        tables |= more
    if family := one("", "RED"):
        some = tables["routings"]["routing"].eq("")
        shared = {"family_setup_hours": upto(6), "family_setup_cost": upto(60)}
        tables["routings"] = tables["routings"].assign(
            setup_family=some.map({True: family, False: ""}), **{name: each * some for name, each in shared.items()}
        )
    if not tables["routings"]["minimum_run"].any() and one(True, False):
        tables["resources"] = tables["resources"].assign(setup_carry_over=True)
    if shifts := one((), (2,), (2, 3), (1,), (1, 2)):
        hours = [{**each, "maintenance": one(0, 5), "hours": 5 + each["hours"] // 3} for each in hours]
        if shifts[0] == 1:
            hours = [{**each, "hours": one(0, 0, 10)} for each in hours]
    opening = [("LINE", shift, 20 + upto(60), upto(400)) for shift in shifts]
    opening += [(site, 1, 0, upto(700)) for site in one((), ("DC",), ("DC", "PLANT"))]
    rows = pd.DataFrame(opening, columns=["place", "shift", "hours", "cost"])
    rows["start_cost"], rows["stop_cost"] = [one(0, upto(300)) for _ in opening], [one(0, upto(300)) for _ in opening]
    rows["least_months"], rows["worked"] = [one(1, 2, 3) for _ in opening], [one(True, False) for _ in opening]
    rows["valid_to"] = [one(None, None, None, "2026-02") for _ in opening]
    special = [(*row[:2], "2026-02", row[2] / 2, one(np.nan, 50.0)) for row in opening[:1] if row[2]]
    tables["shifts"] = rows
    tables["dated_shifts"] = pd.DataFrame(special, columns=["place", "shift", "month", "hours", "cost"])
    tables["customer_orders"] = pd.DataFrame(firm, columns=["product", "market", "month", "quantity"])[: one(0, 3)]
    return tables | {
        "calendar": pd.DataFrame({"month": months(3), "working_days": 20}),
        "capacity": monthly("resource", {"LINE": hours}, 3),
        "demand_plan": demand(asked, prices),
    }


__all__ = ["CYCLE", "drawn", "independent"]
