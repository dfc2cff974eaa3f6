"""Published optima of what real plants have: prices by month, recipes, promises, stock that ages, mines to close.

Said by tables alone. A blend within bounds is the mixture of its corners, so each corner is a routing with a bill of
its own. Not said, for want of a table: Williams' manpower planning (people retrained from one skill to another, and
short-time working), factory planning 2 (the model chooses the months of maintenance), farm planning (what is reared
this year decides what later years have) and tariff rates (what a plant must make grows with the sets that run).
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import linprog
from small_company import CYCLE, company, demand, monthly, months, read, shop
from test_supply_textbook import money, profit

from sopkit import supply
from sopkit.book import Book

Tables = dict[str, pd.DataFrame]
HARD = 1e5
"""The price of a stock wish that the book holds as a rule."""


def planned(tables: Tables, count: int, **policies) -> Tables:
    return supply.plan(Book.of(tables, company(count, **policies), CYCLE))


def corners(rows: list[tuple[dict[str, float], float]], parts: list[str]) -> list[dict[str, float]]:
    """The corners of all mixtures of `parts` whose every row (coefficients, least) is held: shares that sum to 1."""
    sides = [*(({part: 1.0}, 0.0) for part in parts), *rows]
    found: dict[tuple, dict[str, float]] = {}
    for tight in combinations(sides, len(parts) - 1):
        a = np.array([[1.0] * len(parts), *([side.get(part, 0.0) for part in parts] for side, _ in tight)])
        if abs(np.linalg.det(a)) < 1e-9:
            continue
        share = dict(zip(parts, np.linalg.solve(a, [1.0, *(least for _, least in tight)]), strict=True))
        if all(sum(by * share[part] for part, by in side.items()) >= least - 1e-9 for side, least in sides):
            mixture = {part: round(x, 12) for part, x in share.items() if x > 1e-9}
            found[tuple(mixture.items())] = mixture
    return list(found.values())


def recipes(item: str, mixtures: list[dict[str, float]], hours: dict[str, str] | None = None) -> Tables:
    """Tables routings and bom: a routing for each mixture; `hours`: which resource an hour a unit of a part takes."""
    hours, ways, bill = hours or {}, [], []
    for number, mixture in enumerate(mixtures):
        taken: dict[str, float] = {}
        for part, share in mixture.items():
            bill.append((item, part, f"{item}-{number}", share))
            taken[hours.get(part, "MIX")] = taken.get(hours.get(part, "MIX"), 0.0) + share
        ways += [(item, f"{item}-{number}", n, r, by) for n, (r, by) in enumerate(taken.items(), start=1)]
    return {
        "routings": pd.DataFrame(ways, columns=["item", "routing", "operation", "resource", "hours"]),
        "bom": pd.DataFrame(bill, columns=["item", "component", "routing", "quantity"]),
    }


def test_steel_with_prices_by_month(textbook):
    case = textbook["steel_four_weeks"]["data"]
    tables = shop(dict.fromkeys(case["rate"], 0.0))
    plan = demand({(name, "SHOPS"): units for name, units in case["market"].items()}, dict.fromkeys(case["rate"], 0.0))
    rows = [(name, "MILL", 1 / rate, case["make_cost"][name]) for name, rate in case["rate"].items()]
    tables |= {
        "demand_plan": plan.assign(price=[each for by_week in case["revenue"].values() for each in by_week]),
        "resources": pd.DataFrame({"resource": ["MILL"], "site": "PLANT"}),
        "capacity": monthly("resource", {"MILL": [{"hours": hours} for hours in case["hours"]]}, 4),
        "routings": pd.DataFrame(rows, columns=["item", "resource", "hours", "cost"]),
        "policies": pd.DataFrame(
            [("PLANT", *each) for each in case["hold"].items()], columns=["site", "item", "holding_cost"]
        ),
        "inventory": pd.DataFrame(
            [("PLANT", *each) for each in case["opening"].items()], columns=["site", "item", "quantity"]
        ),
    }
    assert profit(planned(tables, 4)) == pytest.approx(textbook["steel_four_weeks"]["max_profit"], abs=0.5)


def test_densepack(textbook):
    """A worker makes so many drives in a month: as many hours, an hour a drive; all demand is met.

    In the book nobody may be idle, here people may: the book's cost is that of its own rules, ours that of ours.
    """
    case = textbook["densepack"]["data"]
    tables = shop({"DRIVE": 0.0}, "neither") | read(f"""
        inventory
        site, item, quantity
        PLANT, DRIVE, {case["opening"]}

        resources
        resource, site, skill
        SHOP, PLANT, worker

        routings
        item, resource, hours
        DRIVE, SHOP, 1

        workforce
        site, skill, people, hours_per_day, hire_cost, layoff_cost
        PLANT, worker, {case["workers"]}, 1, {case["hire"]}, {case["fire"]}

        policies
        site, item, holding_cost, target_end_stock, safety_stock_price
        PLANT, DRIVE, {case["hold"]}, {case["end"]}, {HARD}
        """)
    tables |= {
        "calendar": pd.DataFrame({"month": months(6), "working_days": case["drives_of_a_worker"]}),
        "capacity": monthly("resource", {"SHOP": {"hours": 1e6}}, 6),
        "demand_plan": demand({("DRIVE", "SHOPS"): case["demand"]}, {"DRIVE": 0.0}),
    }
    assert by_hand(case, idle=False) == pytest.approx(textbook["densepack"]["min_cost"], abs=0.005)
    assert money(planned(tables, 6)) == pytest.approx(by_hand(case, idle=True), rel=1e-6)


def by_hand(case: dict, *, idle: bool) -> float:
    """The least cost of Densepack's rules; `idle`: workers may have nothing to do."""
    count, one = len(case["demand"]), np.eye(len(case["demand"]))
    before, nothing = np.eye(count, k=-1), np.zeros((count, count))
    people = np.hstack([one - before, -one, one, nothing, nothing])  # workers, hired, fired, made, held
    stock = np.hstack([nothing] * 3 + [one, before - one])
    start, demand_ = case["workers"] * one[0], case["demand"] - case["opening"] * one[0]
    work = np.hstack([-np.diag(case["drives_of_a_worker"]), nothing, nothing, one, nothing])
    cost = np.repeat([0, case["hire"], case["fire"], 0, case["hold"]], count)
    equal, at_least = (np.vstack([people, stock]), np.r_[start, demand_]), (work, np.zeros(count))
    if not idle:
        equal, at_least = (np.vstack([equal[0], work]), np.r_[equal[1], at_least[1]]), (None, None)
    least = [0.0] * (5 * count - 1) + [case["end"]]
    return linprog(cost, *at_least, *equal, bounds=[(low, None) for low in least]).fun


@pytest.mark.parametrize("times, best", [(2, "min_cost"), (1, "min_cost_counted_once")])
def test_prod(textbook, times, best):
    """AMPL's PROD: the line works in regular time as long as crews, of which there are eight at most, are there.

    Stock on hand is taken off the first periods' demand and cover, as the model itself does, at no cost. Where
    the optimum was published it is taken off the cover once for each of its two ages; the book takes it off once.
    """
    case, count = textbook["prod"]["data"], 13
    names, wanted, safe = list(case["hours"]), {}, []
    for name in names:
        left, asked = case["opening"][name], []
        for at, units in enumerate(case["demand"][name], start=1):
            if 1 < at:
                cover = case["cover_promoted"] if at in case["promoted"][name] else case["cover"]
                safe.append(("PLANT", name, months(count)[at - 2], max(0.0, cover * units - times * left)))
            asked.append(max(0.0, units - left))
            left = max(0.0, left - units)
        wanted[name, "SHOPS"] = asked[:count]
    crew, days = case["shift"] * case["crew_size"], case["days"]
    free = dict.fromkeys(names, 0.0)
    tables = shop(free) | read(f"""
        resources
        resource, site, skill, overtime_cost
        LINE, PLANT, crew, 0
        EXTRA, PLANT, "", {case["overtime"] * case["crew_size"]}

        workforce
        site, skill, people, hours_per_day
        PLANT, crew, {case["crews"]}, {case["shift"]}
        """)
    capacity = {
        "LINE": [{"hours": case["most_crews"] * case["shift"] * by, "overtime_limit": 0.0} for by in days],
        "EXTRA": {"hours": 0.0, "overtime_limit": float(case["overtime_limit"])},
    }
    tables["products"]["shelf_life"] = 2
    tables |= {
        "calendar": pd.DataFrame({"month": months(count), "working_days": days}),
        "capacity": monthly("resource", capacity, count),
        "demand_plan": demand(wanted, free),
        "routings": pd.DataFrame(
            [(name, r, hours) for name, hours in case["hours"].items() for r in capacity],
            columns=["item", "resource", "hours"],
        ),
        "policies": pd.DataFrame(
            {"site": "PLANT", "item": names, "holding_cost": case["hold"].values(), "safety_stock_price": HARD}
        ),
        "dated_policies": pd.DataFrame(safe, columns=["site", "item", "month", "safety_stock"]),
        "dated_workforce": pd.DataFrame(
            {
                "site": "PLANT",
                "skill": "crew",
                "month": months(count),
                "wage": [case["wage"] * crew * by for by in days],
                "hire_cost": case["hire_or_lay_off"],
                "layoff_cost": case["hire_or_lay_off"],
            }
        ),
        "service_policies": pd.DataFrame(
            {"product": names, "market": "SHOPS", "unmet": "backlog", "backlog_price": case["short"].values()}
        ),
    }
    plan = planned(tables, count)
    assert money(plan) == pytest.approx(textbook["prod"][best], abs=0.005)


def test_telecom_optic(textbook):
    """What must be met is met at price 0, and a plant that makes nothing costs nothing."""
    case = textbook["telecom_optic"]["data"]
    plants = "BALTIMORE CHEYENNE SALT-LAKE MEMPHIS WICHITA".split()
    cities = "ATLANTA BOSTON CHICAGO DENVER OMAHA PORTLAND".split()
    tables = shop({"T": 0.0}) | {
        "sites": pd.DataFrame({"site": plants, "kind": "plant"}),
        "markets": pd.DataFrame({"market": cities, "region": "US", "channel": "all"}),
        "service_policies": pd.DataFrame({"product": "T", "market": cities, "unmet": "neither"}),
        "resources": pd.DataFrame({"resource": plants, "site": plants}),
        "capacity": monthly(
            "resource", {n: {"hours": most} for n, most in zip(plants, case["capacity"], strict=True)}, 1
        ),
        "routings": pd.DataFrame({"item": "T", "resource": plants, "hours": 1.0, "setup_cost": case["fixed"]}),
        "lanes": pd.DataFrame(
            [
                (n, k, cost)
                for n, row in zip(plants, case["cost"], strict=True)
                for k, cost in zip(cities, row, strict=True)
            ],
            columns=["origin", "destination", "cost"],
        ),
        "demand_plan": demand({("T", k): [units] for k, units in zip(cities, case["demand"], strict=True)}, {"T": 0.0}),
    }
    plan = planned(tables, 1, gap=0.0)
    assert money(plan) == pytest.approx(textbook["telecom_optic"]["min_cost"], rel=1e-9)
    assert sorted(plan["supply_plan"]["site"]) == ["BALTIMORE", "CHEYENNE", "MEMPHIS"]
    assert plan["deliveries"]["lost"].sum() == pytest.approx(0, abs=1e-9)


def oils(case: dict) -> Tables:
    """Five raw oils at prices by month; what is refined of either kind is limited."""
    names = list(case["price"])
    stocked = pd.DataFrame({"site": "PLANT", "item": names})
    offers = stocked.assign(supplier="EXCHANGE")
    dated = [
        (*row, month, price)
        for row in offers[["supplier", "item", "site"]].itertuples(index=False)
        for month, price in zip(months(6), case["price"][row.item], strict=True)
    ]
    hours = {"VEG": case["refined"]["VEG"], "OIL": case["refined"]["OIL"], "MIX": 1e6, "SLOTS": case["most_oils"]}
    return shop({"FOOD": case["sold_at"]}) | {
        "materials": pd.DataFrame({"material": names}),
        "suppliers": pd.DataFrame({"supplier": ["EXCHANGE"]}),
        "offers": offers.assign(price=0.0),
        "dated_offers": pd.DataFrame(dated, columns=["supplier", "item", "site", "month", "price"]),
        "inventory": stocked.assign(quantity=float(case["opening"])),
        "policies": stocked.assign(
            holding_cost=case["hold"],
            maximum_stock=float(case["space"]),
            target_end_stock=case["end"],
            safety_stock_price=HARD,
        ),
        "resources": pd.DataFrame({"resource": list(hours), "site": "PLANT"}),
        "capacity": monthly("resource", {r: {"hours": most} for r, most in hours.items()}, 6),
        "demand_plan": demand(
            {("FOOD", "SHOPS"): [float(sum(case["refined"].values()))] * 6}, {"FOOD": case["sold_at"]}
        ),
    }


def test_food_manufacturing_one(textbook):
    """Blends of hardness 3 to 6, made as they are refined."""
    case = textbook["food_manufacturing"]["data"]
    hard, names = case["hardness"], list(case["price"])
    rows = [(hard, case["least_hardness"]), ({oil: -by for oil, by in hard.items()}, -case["most_hardness"])]
    mixtures = corners(rows, names)
    assert len(mixtures) == 12
    plan = planned(oils(case) | recipes("FOOD", mixtures, {oil: oil[:3] for oil in names}), 6)
    assert profit(plan) == pytest.approx(textbook["food_manufacturing"]["max_profit"], abs=0.005)
    assert plan["supply_exceptions"].empty


def test_food_manufacturing_two(textbook):
    """Each oil is refined for itself, in one of three slots a month and 20 tons at least; refined oil cannot be kept.

    Vegetable oil only with OIL3: at least 20 tons of that beside at most 200, so a tenth at least, in every such blend.
    """
    case = textbook["food_manufacturing"]["data"]
    names = list(case["price"])
    hard = {f"{oil}-R": by for oil, by in case["hardness"].items()}
    rows = [(hard, case["least_hardness"]), ({oil: -by for oil, by in hard.items()}, -case["most_hardness"])]
    rows.append(({"OIL3-R": 1.0, "VEG1-R": -0.1, "VEG2-R": -0.1}, 0.0))
    tables, blends = oils(case), recipes("FOOD", corners(rows, list(hard)))
    refining = pd.DataFrame(
        [
            (f"{oil}-R", "", n, r, by, n - 1)
            for oil in names
            for n, (r, by) in enumerate([(oil[:3], 1.0), ("SLOTS", 0.0)], 1)
        ],
        columns=["item", "routing", "operation", "resource", "hours", "setup_hours"],
    ).assign(routing="REFINE", minimum_run=case["least_of_an_oil"])
    refined = pd.DataFrame({"site": "PLANT", "item": list(hard), "maximum_stock": 0.0})
    tables |= {
        "materials": pd.DataFrame({"material": [*names, *hard]}),
        "routings": pd.concat([blends["routings"].assign(setup_hours=0.0, minimum_run=0.0), refining]),
        "bom": pd.concat(
            [blends["bom"], pd.DataFrame({"item": list(hard), "component": names, "routing": "", "quantity": 1.0})]
        ),
        "policies": pd.concat([tables["policies"], refined]).fillna(
            {"holding_cost": 0, "target_end_stock": 0, "safety_stock_price": 0}
        ),
    }
    plan = planned(tables, 6, gap=0.0)
    assert profit(plan) == pytest.approx(textbook["food_manufacturing"]["max_profit_few_oils"], abs=0.005)
    refined = plan["supply_plan"][plan["supply_plan"]["item"].str.endswith("-R")]
    assert refined.groupby("month")["item"].nunique().max() <= case["most_oils"]


def test_refinery(textbook):
    """Distilling and cracking bring several things at once; each blend has the corners of its quality as recipes.

    Premium is at least 40 % of regular: regular is sold as a barrel with 0.4 of premium, premium beside it alone. The
    least lubricant is a firm order.
    """
    case = textbook["refinery"]["data"]
    octane, pressure, worth = case["octane"], case["pressure"], case["profit"]
    blends = {
        fuel: corners([({part: by - least for part, by in octane.items()}, 0.0)], list(octane))
        for fuel, least in case["least_octane"].items()
    }
    light = {part: case["most_pressure"] - by for part, by in pressure.items()}
    blends["JET"] = corners([(light, 0.0)], list(pressure))
    whole = sum(case["fuel_oil"].values())
    blends["FUEL"] = [{part: by / whole for part, by in case["fuel_oil"].items()}]
    blends["REGULAR+"] = [{"REGULAR": 1.0, "PREMIUM": case["premium_of_regular"]}]
    made = [recipes(fuel, mixtures) for fuel, mixtures in blends.items()]
    ways, bill = [], []
    for stage in ("distilled", "reformed", "cracked", "lubricant"):
        for source, yields in case[stage].items():
            first, *others = yields
            ways.append((first, source, stage, 1 / yields[first]))
            bill.append((first, source, source, 1 / yields[first], False))
            bill += [(first, other, source, yields[other] / yields[first], True) for other in others]
    ways = pd.DataFrame(ways, columns=["item", "routing", "resource", "hours"]).assign(operation=1)
    bill = pd.DataFrame(bill, columns=["item", "component", "routing", "quantity", "by_product"])
    prices = {name: worth[name] for name in ("PREMIUM", "JET", "FUEL", "LUBE")}
    prices["REGULAR+"] = worth["REGULAR"] + case["premium_of_regular"] * worth["PREMIUM"]
    hours = case["capacity"] | {"MIX": 1e6}
    tables = shop(prices) | {
        "materials": pd.DataFrame({"material": sorted({"REGULAR", *bill["component"], *ways["item"]} - set(prices))}),
        "resources": pd.DataFrame({"resource": list(hours), "site": "PLANT"}),
        "capacity": monthly("resource", {r: {"hours": most} for r, most in hours.items()}, 1),
        "routings": pd.concat([*(each["routings"] for each in made), ways]),
        "bom": pd.concat([*(each["bom"].assign(by_product=False) for each in made), bill]),
        "inventory": pd.DataFrame({"site": "PLANT", "item": case["crude"].keys(), "quantity": case["crude"].values()}),
        "customer_orders": pd.DataFrame(
            [("LUBE", "SHOPS", CYCLE, case["lube"][0])], columns=["product", "market", "month", "quantity"]
        ),
        "demand_plan": demand({(name, "SHOPS"): [1e5] for name in prices}, prices),
    }
    sold = tables["demand_plan"]
    sold.loc[sold["product"].eq("LUBE"), "consensus"] = case["lube"][1]
    plan = planned(tables, 1)
    assert profit(plan) == pytest.approx(textbook["refinery"]["max_profit"], rel=1e-8)
    assert plan["supply_exceptions"].empty


def test_mining(textbook):
    """A year is a month. A mine is a line that is open while its shift is worked, for its royalty.

    To open it again costs more than all ore. Digging in it takes one of three hours to set up; nothing can be kept.
    """
    case = textbook["mining"]["data"]
    count, mines = len(case["wanted"]), [f"MINE{at}" for at in range(1, len(case["limit"]) + 1)]
    worth = [(1 + case["discount"]) ** -at for at in range(count)]
    ores = {mine.replace("MINE", "ORE"): by for mine, by in zip(mines, case["quality"], strict=True)}
    blends, made = [f"BLEND{at}" for at in range(count)], []
    for blend, wanted in zip(blends, case["wanted"], strict=True):
        rows = [(ores, wanted), ({ore: -by for ore, by in ores.items()}, -wanted)]
        made.append(recipes(blend, corners(rows, list(ores))))
    digging = pd.DataFrame(
        [
            (ore, "DIG", number, resource, hours, 1 - hours)
            for ore, mine in zip(ores, mines, strict=True)
            for number, (resource, hours) in enumerate([(mine, 1.0), ("CREWS", 0.0)], 1)
        ],
        columns=["item", "routing", "operation", "resource", "hours", "setup_hours"],
    )
    hours = dict.fromkeys(mines, 0.0) | {"CREWS": case["worked"], "MIX": 1e3}
    royalty = dict(zip(mines, case["royalty"], strict=True))
    tables = shop(dict.fromkeys(blends, 0.0)) | {
        "materials": pd.DataFrame({"material": list(ores)}),
        "resources": pd.DataFrame({"resource": list(hours), "site": "PLANT"}),
        "capacity": monthly("resource", {r: {"hours": most} for r, most in hours.items()}, count),
        "shifts": pd.DataFrame(
            {"place": mines, "shift": 1, "hours": case["limit"], "start_cost": HARD, "worked": True}
        ),
        "dated_shifts": pd.DataFrame(
            [
                (mine, 1, month, royalty[mine] * by)
                for month, by in zip(months(count), worth, strict=True)
                for mine in mines
            ],
            columns=["place", "shift", "month", "cost"],
        ),
        "routings": pd.concat([*(each["routings"] for each in made), digging]).fillna({"setup_hours": 0.0}),
        "bom": pd.concat([each["bom"] for each in made]),
        "policies": pd.DataFrame({"site": "PLANT", "item": [*ores, *blends], "maximum_stock": 0.0}),
    }
    wanted = {(blend, "SHOPS"): [100.0 * (at == own) for at in range(count)] for own, blend in enumerate(blends)}
    plan = demand(wanted, dict.fromkeys(blends, 0.0))
    plan["price"] = plan["month"].map(
        {month: case["price"] * by for month, by in zip(months(count), worth, strict=True)}
    )
    found = planned(tables | {"demand_plan": plan}, count, gap=0.0)
    assert profit(found) == pytest.approx(textbook["mining"]["max_profit"], abs=5e-4)
    open_ = found["shift_plan"].groupby("place")["worked"].sum()
    assert open_.to_dict() == {"MINE1": 5, "MINE2": 5, "MINE3": 5, "MINE4": 4}
    assert found["supply_exceptions"].empty


def test_distribution_two(textbook):
    """What a depot handles are hours of its dock, at which what factories send is made ready for customers.

    Depots that may be shut are sites with a shift; Birmingham is larger with a second shift of its dock.
    """
    case = textbook["distribution_2"]["data"]
    factories, depots, larger = case["factories"], case["depots"], case["larger"]
    lines = [(f"AT {n}", n, most, item) for n, most in factories.items() for item in ("T", "BULK")]
    lines += [(f"AT {n}", n, most, "T") for n, most in depots.items()]
    ways = pd.DataFrame(lines, columns=["resource", "site", "most", "item"])
    hours = {row.resource: {"hours": row.most} for row in ways.itertuples()}
    bulk = [(n, d, "BULK", cost) for n, row in case["to_depots"].items() for d, cost in row.items()]
    sold = [(n, k, "T", cost) for n, row in case["to_customers"].items() for k, cost in row.items()]
    shifts = [(n, 1, 0.0, cost, n in ("NEWCASTLE", "EXETER")) for n, cost in case["fixed"].items()]
    shifts.append((f"AT {larger['depot']}", 2, larger["by"], larger["cost"], False))
    tables = shop({"T": 0.0}) | {
        "materials": pd.DataFrame({"material": ["BULK"]}),
        "sites": pd.DataFrame({"site": [*factories, *depots], "kind": "plant"}),
        "markets": pd.DataFrame({"market": list(case["demand"]), "region": "UK", "channel": "all"}),
        "service_policies": pd.DataFrame({"product": "T", "market": list(case["demand"]), "unmet": "neither"}),
        "resources": ways[["resource", "site"]].drop_duplicates(),
        "capacity": monthly("resource", hours, 1),
        "routings": ways[["item", "resource"]].assign(hours=1.0),
        "bom": pd.DataFrame(
            [("T", "BULK", f"AT {n}", 1.0) for n in depots], columns=["item", "component", "routing", "quantity"]
        ),
        "lanes": pd.DataFrame(bulk + sold, columns=["origin", "destination", "item", "cost"]),
        "shifts": pd.DataFrame(shifts, columns=["place", "shift", "hours", "cost", "worked"]),
        "demand_plan": demand({("T", k): [units] for k, units in case["demand"].items()}, {"T": 0.0}),
    }
    plan = planned(tables, 1, gap=0.0)
    saved = case["fixed"]["NEWCASTLE"] + case["fixed"]["EXETER"]
    assert money(plan) - saved == pytest.approx(textbook["distribution_2"]["min_cost"], rel=1e-9)
    worked = plan["shift_plan"].query("worked")["place"]
    assert sorted(worked) == ["AT BIRMINGHAM", "EXETER", "NORTHAMPTON"]
    assert plan["deliveries"]["lost"].sum() == pytest.approx(0, abs=1e-9)
