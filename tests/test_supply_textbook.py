"""Published optima, entered purely as the tables a company fills."""

from __future__ import annotations

import pandas as pd
import pytest
from small_company import CYCLE, company, demand, monthly, months, read, shop, trigeiro

from sopkit import supply
from sopkit.book import Book, Change
from sopkit.supply.resolve import Session


def money(plan: dict[str, pd.DataFrame], *only: str) -> float:
    """Costs of a plan (positive), revenue left out; or only the named ones."""
    costs = plan["supply_costs"]
    chosen = costs["cost"].isin(only) if only else costs["cost"].ne("revenue")
    return costs.loc[chosen, "amount"].sum()


def profit(plan: dict[str, pd.DataFrame]) -> float:
    return money(plan, "revenue") - money(plan)


def red_tomato(case: dict) -> dict[str, pd.DataFrame]:
    """Chopra & Meindl: people are the capacity, so the shop has hours without end; subcontracting is buying."""
    tables = read(f"""
        families
        family
        F

        products
        product, family, price, standard_cost
        TOOL, F, {case["price"]}, 0

        sites
        site, kind
        PLANT, plant

        markets
        market, region, channel
        SHOPS, all, retail

        inventory
        site, item, quantity
        PLANT, TOOL, {case["I0"]}

        resources
        resource, site, skill, crew
        SHOP, PLANT, worker, 1

        routings
        item, resource, hours, cost
        TOOL, SHOP, {case["hours_unit"]}, {case["c_material"]}

        workforce
        site, skill, people, hours_per_day, wage, overtime_limit, overtime_cost, hire_cost, layoff_cost
        PLANT, worker, {case["W0"]}, {case["hours_day"]}, {case["days"] * case["hours_day"] * case["c_regular_h"]}, \
{case["ot_max_h_worker"]}, {case["c_ot_h"]}, {case["c_hire"]}, {case["c_layoff"]}

        suppliers
        supplier
        SUB

        offers
        supplier, item, site, price
        SUB, TOOL, PLANT, {case["c_sub"]}

        lanes
        origin, destination
        PLANT, SHOPS

        policies
        site, item, holding_cost, target_end_stock, safety_stock_price
        PLANT, TOOL, {case["c_hold"]}, {case["I_end_min"]}, 1000

        service_policies
        product, market, unmet, backlog_price
        TOOL, SHOPS, backlog, {case["c_backlog"]}
        """)
    return tables | {
        "calendar": pd.DataFrame({"month": months(6), "working_days": case["days"]}),
        "capacity": monthly("resource", {"SHOP": {"hours": 1e6}}, 6),
        "demand_plan": demand({("TOOL", "SHOPS"): case["demand"]}, {"TOOL": case["price"]}),
    }


@pytest.mark.parametrize("whole, best", [(False, "min_cost_continuous_workers"), (True, "min_cost_integer_workers")])
def test_red_tomato_with_continuous_and_with_whole_workers(textbook, whole, best):
    settings = company(6, whole_people=whole, backlog_at_end="forbidden")
    plan = supply.plan(Book.of(red_tomato(textbook["red_tomato"]["data"]), settings, CYCLE))
    assert money(plan) == pytest.approx(textbook["red_tomato"][best], rel=1e-6)
    people = plan["people_plan"]["people"]
    assert (people.round() == people).all() == whole
    assert plan["deliveries"]["backlog"].iloc[-1] == 0
    assert plan["supply_exceptions"].empty


@pytest.mark.parametrize("month", ["2026-01", "2026-04"])
def test_red_tomatos_promotion_is_an_option_by_tables_alone(textbook, month):
    """One dollar off sells a tenth more in its month and brings a fifth of the next two months forward: its gain, with
    the whole plan made again, is the published one."""
    case = textbook["red_tomato"]
    plan = Book.of(red_tomato(case["data"]), company(6, backlog_at_end="forbidden"), CYCLE).supply()
    start, wanted = months(6).index(month), case["data"]["demand"]
    later = wanted[start + 1 : start + 3]
    promoted = [wanted[start] * 1.1 + 0.2 * sum(later), *(units * 0.8 for units in later)]
    option = [
        Change(table="demand_plan", where={"month": at}, column="consensus", set=units)
        for at, units in zip(months(6)[start:], promoted, strict=False)
    ]
    option.append(Change(table="demand_plan", where={"month": month}, column="price", add=-1))
    made = plan.what_if(option, title="Promotion")
    published, ordered = case["promotion"][month], made["demand_plan"]
    assert money(made) == pytest.approx(published["cost"], abs=1)
    # the book is paid at the price of the order, we at that of the month in which a late unit is delivered
    gain = (ordered["consensus"] * ordered["price"]).sum() - money(made) - profit(plan)
    assert gain == pytest.approx(published["profit"] - case["profit"], abs=1)
    assert (profit(made) > profit(plan)) == (month == "2026-01"), "in January it pays, in April it does not"


def factory_planning(case: dict) -> dict[str, pd.DataFrame]:
    """Williams: each product needs several machine types, so its operations share one routing; sales may be left."""
    names = [f"PROD{n}" for n in range(1, 8)]
    machines = case["machines"]
    hours = {
        machine: [
            {"hours": case["hours_month"] * count, "maintenance": case["hours_month"] * down.get(machine, 0)}
            for down in case["down_I"]
        ]
        for machine, count in machines.items()
    }
    needed = [
        (name, machine, each[at])
        for machine, each in case["hours"].items()
        for at, name in enumerate(names)
        if each[at]
    ]
    return shop(dict(zip(names, case["profit"], strict=True))) | {
        "resources": pd.DataFrame({"resource": list(machines), "site": "PLANT"}),
        "capacity": monthly("resource", hours, 6),
        "routings": pd.DataFrame(needed, columns=["item", "resource", "hours"]).assign(routing="all machines"),
        "policies": pd.DataFrame(
            {
                "site": "PLANT",
                "item": names,
                "holding_cost": case["hold"],
                "maximum_stock": case["stock_max"],
                "target_end_stock": case["stock_end"],
                "safety_stock_price": 1000,
            }
        ),
        "demand_plan": demand(
            {(name, "SHOPS"): [month[at] for month in case["max_sales"]] for at, name in enumerate(names)},
            dict(zip(names, case["profit"], strict=True)),
        ),
    }


def test_factory_planning_one(textbook):
    plan = supply.plan(Book.of(factory_planning(textbook["factory_planning_1"]["data"]), company(6), CYCLE))
    assert profit(plan) == pytest.approx(textbook["factory_planning_1"]["max_profit"], rel=1e-6)
    assert plan["supply_exceptions"].empty


def test_p_and_t_company(textbook):
    """Hillier & Lieberman: truckloads from canneries (opening stock) to warehouses (markets that must be served)."""
    case = textbook["pt_company"]["data"]
    canneries, warehouses = [f"CANNERY{n}" for n in (1, 2, 3)], [f"WAREHOUSE{n}" for n in (1, 2, 3, 4)]
    tables = {
        "families": pd.DataFrame({"family": ["F"]}),
        "products": pd.DataFrame({"product": ["PEAS"], "family": "F", "price": 0.0, "standard_cost": 0.0}),
        "sites": pd.DataFrame({"site": canneries, "kind": "plant"}),
        "markets": pd.DataFrame({"market": warehouses, "region": "US", "channel": "wholesale"}),
        "inventory": pd.DataFrame({"site": canneries, "item": "PEAS", "quantity": case["supply"]}),
        "lanes": pd.DataFrame(
            [(o, d, case["cost"][i][j]) for i, o in enumerate(canneries) for j, d in enumerate(warehouses)],
            columns=["origin", "destination", "cost"],
        ),
        "service_policies": pd.DataFrame({"product": "PEAS", "market": warehouses, "unmet": "neither"}),
        "demand_plan": demand({("PEAS", d): [case["demand"][j]] for j, d in enumerate(warehouses)}, {"PEAS": 0.0}),
    }
    plan = supply.plan(Book.of(tables, company(1), CYCLE))
    assert money(plan) == pytest.approx(textbook["pt_company"]["min_cost"], rel=1e-6)
    assert plan["shipments"]["quantity"].sum() == pytest.approx(300)


def one_line(
    prices: dict[str, float], wanted: list[float], hours: list[float], unmet: str, **routing
) -> dict[str, pd.DataFrame]:
    """One product, one line of an hour a unit, one shop."""
    tables = read(f"""
        families
        family
        F

        products
        product, family, price, standard_cost
        P, F, {prices["price"]}, 0

        sites
        site, kind
        PLANT, plant

        markets
        market, region, channel
        SHOPS, all, retail

        resources
        resource, site
        LINE, PLANT

        lanes
        origin, destination
        PLANT, SHOPS

        policies
        site, item, holding_cost
        PLANT, P, {prices["hold"]}

        service_policies
        product, market, unmet
        P, SHOPS, {unmet}
        """)
    return tables | {
        "routings": pd.DataFrame([{"item": "P", "resource": "LINE", "hours": 1.0, **routing}]),
        "capacity": monthly("resource", {"LINE": [{"hours": h} for h in hours]}, len(hours)),
        "demand_plan": demand({("P", "SHOPS"): wanted}, {"P": prices["price"]}),
    }


def test_wagner_whitin(textbook):
    """Snyder & Shen: a set-up a lot against holding; all demand is served."""
    case = textbook["wagner_whitin"]["data"]
    tables = one_line(
        {"price": 0, "hold": case["hold"]}, case["demand"], [1e5] * 4, "neither", setup_cost=case["setup_cost"]
    )
    plan = supply.plan(Book.of(tables, company(4), CYCLE))
    assert money(plan) == pytest.approx(textbook["wagner_whitin"]["min_cost"], rel=1e-6)
    lots = plan["supply_plan"].set_index("month")["quantity"].reindex(pd.to_datetime(months(4)), fill_value=0.0)
    assert lots.tolist() == pytest.approx(textbook["wagner_whitin"]["lots"])


@pytest.mark.parametrize("name", ["G53", "G57", "G62"])
def test_trigeiros_best_known_lots_fit_into_the_gap(textbook, name):
    """Ten seconds find a plan; no plan costs less than the published one, none is further from it than it says."""
    case = textbook["trigeiro"][name]
    count = len(case["demand"])
    session = Session(Book.of(trigeiro(case), company(count, gap=0.02, time_limit=10.0), CYCLE))
    plan = session.plan()
    assert case["min_cost"] - 0.01 <= money(plan) <= case["min_cost"] + session.base.answer.gap + 0.01
    assert plan["deliveries"]["lost"].sum() == 0


def test_factory_physics(textbook):
    """Hopp & Spearman, chapter 16: demand may be left unsold."""
    case = textbook["factory_physics_16"]["data"]
    tables = one_line({"price": case["profit"], "hold": case["hold"]}, case["demand"], case["capacity"], "lost")
    plan = supply.plan(Book.of(tables, company(6), CYCLE))
    assert profit(plan) == pytest.approx(textbook["factory_physics_16"]["max_profit"], rel=1e-6)
