"""The supply room: every rule does what its sentence says, scarcity never breaks a plan, wrong data are named."""

from __future__ import annotations

import ast
import os
import re
from itertools import product as every
from pathlib import Path

import pandas as pd
import pyomo.environ as pyo
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_company import CYCLE, company, demand, monthly, months, profit, read

from sopkit import supply
from sopkit.book import Book
from sopkit.errors import FindingsError, StageError, SupplyDataError
from sopkit.supply import model
from sopkit.supply.check import checks
from sopkit.supply.model import CASH, POLICY, PROMISES, build
from sopkit.supply.network import Network
from sopkit.supply.resolve import Session
from sopkit.supply.solve import solve
from sopkit.tables import TABLES, written_by

GOLDEN = Path(__file__).parent / "golden" / "supply"
MONTHS = [pd.Timestamp(month) for month in months(12)]


def plain(hours: float = 100.0, count: int = 2) -> dict[str, pd.DataFrame]:
    """One plant, one line, product P at 10 an hour and 1 hour a unit, two shops A (class 1) and B (class 2)."""
    tables = read("""
        families
        family
        F

        products
        product, family, price, standard_cost, volume
        P, F, 50, 10, 2

        sites
        site, kind
        PLANT, plant

        markets
        market, region, channel, priority
        A, all, retail, 1
        B, all, retail, 2

        resources
        resource, site, hour_cost, overtime_cost
        LINE, PLANT, 10, 15

        routings
        item, resource, hours
        P, LINE, 1

        lanes
        origin, destination
        PLANT, A
        PLANT, B

        policies
        site, item, holding_cost
        PLANT, P, 1

        service_policies
        product, market, unmet, backlog_price, lost_price
        P, A, lost, 0, 0
        P, B, lost, 0, 0
        """)
    return tables | {
        "calendar": pd.DataFrame({"month": months(count), "working_days": 20}),
        "capacity": monthly("resource", {"LINE": {"hours": hours}}, count),
        "demand_plan": demand({("P", "A"): [60.0] * count, ("P", "B"): [60.0] * count}, {"P": 50}),
    }


def changed(tables: dict[str, pd.DataFrame], **columns) -> dict[str, pd.DataFrame]:
    """`tables` with whole columns set: `changed(t, resources__change_price=2)`."""
    out = dict(tables)
    for name, value in columns.items():
        table, column = name.split("__")
        out[table] = out[table].assign(**{column: value})
    return out


def planned(tables: dict[str, pd.DataFrame], count: int = 2, **policies) -> dict[str, pd.DataFrame]:
    """The plan without the tables that explain it, which is quicker."""
    return Session(Book.of(tables, company(count, **policies), CYCLE)).plan()


def inputs(tables: dict[str, pd.DataFrame], count: int) -> dict[str, pd.DataFrame]:
    """What stage supply reads, as declared."""
    book = Book.of(tables, company(count), CYCLE)
    return {name: book[name] for name in supply.READS}


def cost(plan: dict[str, pd.DataFrame], name: str) -> float:
    costs = plan["supply_costs"]
    return costs.loc[costs["cost"].eq(name), "amount"].sum()


def best(tables: dict[str, pd.DataFrame], count: int = 2, **policies) -> float:
    """Profit less policy prices, without writing tables."""
    return solve(build(Network(Book.of(tables, company(count, **policies), CYCLE)))).profit


def delivered(plan: dict[str, pd.DataFrame], market: str) -> list[float]:
    found = plan["deliveries"]
    return found.loc[found["market"].eq(market), "delivered"].round(6).tolist()


def full(count: int = 4) -> tuple[dict[str, pd.DataFrame], dict]:
    """A tiny company in which every rule of the model has something to say, and its policies."""
    tables = read("""
        families
        family
        F

        products
        product, family, price, standard_cost, volume, shelf_life
        P, F, 100, 40, 2, 0
        Q, F, 60, 30, 1, 2

        materials
        material, standard_cost, volume, shelf_life
        PART, 12, 0.5, 3
        STEEL, 4, 0.1, 0

        bom
        item, component, quantity
        P, PART, 2
        PART, STEEL, 3

        sites
        site, kind, storage, overflow_price
        PLANT, plant, 500, 0
        DC, dc, 40, 3

        markets
        market, region, channel, priority
        A, north, retail, 1
        B, south, retail, 1

        resources
        resource, site, hour_cost, overtime_cost, skill, crew, change_price
        CUT, PLANT, 5, 8, metal, 0.5, 0
        WELD, PLANT, 7, 12, metal, 1, 2
        PAINT, PLANT, 6, 9,, 1, 0

        routings
        item, resource, routing, operation, hours, cost, people_hours, yield, setup_hours, setup_cost, minimum_run
        PART, CUT,, 1, 0.2, 1, 0.05, 1, 0, 0, 0
        P, WELD, body, 1, 0.5, 2, 0.1, 0.9, 2, 50, 10
        P, PAINT, body, 2, 0.25, 1, 0, 0.8, 0, 0, 0

        workforce
        site, skill, people, hours_per_day, wage, hire_cost, layoff_cost, hire_lead_time, most_hires, \
overtime_limit, overtime_cost
        PLANT, metal, 1, 4, 400, 100, 150, 1, 2, 10, 9

        suppliers
        supplier
        IRON
        ORE
        TRADER

        offers
        supplier, item, site, price, capacity, lead_time, minimum_order, share_limit
        IRON, STEEL, PLANT, 3, 900, 1, 100, 0.7
        ORE, STEEL, PLANT, 3.5, 800, 0, 0, 1
        TRADER, Q, DC, 28, 40, 0, 0, 1

        supplier_capacity
        supplier, item, site, month, capacity
        TRADER, Q, DC, 2026-02, 15

        lanes
        origin, destination, cost, lead_time, capacity
        PLANT, DC, 1, 1, 120
        PLANT, A, 4, 0,
        DC, A, 2, 0,
        DC, B, 2, 0, 70

        inventory
        site, item, quantity, age
        PLANT, P, 20, 0
        PLANT, STEEL, 400, 0
        DC, P, 15, 0
        DC, Q, 30, 1

        scheduled_receipts
        site, item, month, quantity
        DC, P, 2026-01, 10

        policies
        site, item, safety_stock, safety_stock_price, target_end_stock, maximum_stock, holding_cost
        DC, P, 8, 5, 12, 30, 1
        DC, Q, 5, 3, 0,, 0.5
        PLANT, P, 0, 0, 0,, 0.8

        service_policies
        product, market, unmet, backlog_price, lost_price
        P, A, backlog, 6, 0
        P, B, either, 5, 20
        Q, A, lost, 0, 10
        Q, B, neither, 0, 0

        last_supply_plan
        mode, source, item, site, month, quantity
        make_regular, CUT, PART, PLANT, 2026-01, 100
        make_regular, body, P, PLANT, 2026-01, 36
        buy, TRADER, Q, DC, 2026-01, 25
        buy, TRADER, Q, DC, 2026-02, 15
        """)
    policies = dict(
        allocation="fair_share",
        frozen_months=1,
        plan_change_price=0.4,
        backlog_at_end="forbidden",
        stock_budget=2000.0,
        stock_budget_price=0.05,
    )
    hours = {
        "CUT": {"hours": 60, "overtime_limit": 10},
        "PAINT": {"hours": 60, "overtime_limit": 10},
        "WELD": {"hours": 50, "maintenance": 10, "overtime_limit": 15},
    }
    wanted = {
        ("P", "A"): [30, 40, 35, 45],
        ("P", "B"): [25, 20, 30, 40],
        ("Q", "A"): [20, 10, 15, 20],
        ("Q", "B"): [10, 20, 25, 10],
    }
    return tables | {
        "calendar": pd.DataFrame({"month": months(count), "working_days": 20}),
        "capacity": monthly("resource", hours, count),
        "demand_plan": demand({pair: quantities[:count] for pair, quantities in wanted.items()}, {"P": 100, "Q": 60}),
    }, policies


@pytest.fixture(scope="module")
def full_plan() -> dict[str, pd.DataFrame]:
    tables, policies = full()
    return supply.plan(Book.of(tables, company(4, **policies), CYCLE))


def model_of(tables: dict[str, pd.DataFrame], count: int, **policies) -> pyo.ConcreteModel:
    return build(Network(Book.of(tables, company(count, **policies), CYCLE)))


# a month by hand ------------------------------------------------------------------------------------------------
def test_a_month_worked_by_hand():
    """Demand 60 + 60, 100 regular hours at 10 and 30 overtime hours at 15, 5 units in stock, 10 wanted at the end.

    Needed: 120 + 10 - 5 = 125 units = 125 hours: 100 regular, 25 overtime.
    Revenue 120 x 50 = 6,000. Regular 100 x 10 = 1,000. Overtime 25 x 15 = 375. Holding 10 x 1 = 10.
    Profit 6,000 - 1,000 - 375 - 10 = 4,615.
    """
    tables = plain(count=1) | read("""
        inventory
        site, item, quantity
        PLANT, P, 5

        policies
        site, item, holding_cost, target_end_stock, safety_stock_price
        PLANT, P, 1, 10, 100
        """)
    tables["capacity"] = monthly("resource", {"LINE": {"hours": 110, "maintenance": 10, "overtime_limit": 30}}, 1)
    plan = planned(tables, 1)
    assert cost(plan, "revenue") == pytest.approx(6000)
    assert cost(plan, "regular_hours") == pytest.approx(1000)
    assert cost(plan, "overtime_hours") == pytest.approx(375)
    assert cost(plan, "holding") == pytest.approx(10)
    assert profit(plan) == pytest.approx(4615)
    by_mode = plan["supply_plan"].set_index("mode")
    assert by_mode["quantity"].to_dict() == pytest.approx({"make_regular": 100, "make_overtime": 25})
    assert by_mode["cost"].to_dict() == pytest.approx({"make_regular": 1000, "make_overtime": 375})
    stock = plan["stock"].iloc[0]
    assert (stock["opening"], stock["received"], stock["issued"], stock["closing"]) == pytest.approx((5, 125, 120, 10))
    assert plan["resource_load"]["utilisation"].tolist() == pytest.approx([1.25])


def test_every_table_of_the_stage_is_written_and_fits_its_declaration(full_plan):
    assert sorted(full_plan) == sorted(written_by("supply"))
    for name, frame in full_plan.items():
        pd.testing.assert_frame_equal(TABLES[name].check(frame), frame)


# making -----------------------------------------------------------------------------------------------------------
def test_operations_of_one_routing_take_more_where_later_yields_lose_units():
    """Yields 0.8 and 0.5: one good unit starts 1 / (0.8 x 0.5) = 2.5 at the first operation, 2 at the second."""
    tables = plain(hours=1000, count=1) | read("""
        materials
        material
        SHEET

        bom
        item, component, quantity
        P, SHEET, 2

        suppliers
        supplier
        MILL

        offers
        supplier, item, site, price
        MILL, SHEET, PLANT, 1

        resources
        resource, site
        SAW, PLANT
        LINE, PLANT

        routings
        item, resource, routing, operation, hours, cost, yield
        P, SAW, two steps, 1, 1, 1, 0.8
        P, LINE, two steps, 2, 3, 0, 0.5
        """)
    tables["capacity"] = monthly("resource", {"SAW": {"hours": 1000}, "LINE": {"hours": 1000}}, 1)
    plan = planned(tables, 1)
    load = plan["resource_load"].set_index("resource")["regular"]
    assert load["SAW"] == pytest.approx(120 * 2.5)
    assert load["LINE"] == pytest.approx(120 * 2 * 3)
    assert plan["supply_plan"].query("mode == 'buy'")["quantity"].sum() == pytest.approx(120 * 2.5 * 2)
    assert cost(plan, "making") == pytest.approx(120 * 2.5)


def test_the_cheaper_of_two_resources_is_used_first():
    tables = plain(count=1) | read("""
        resources
        resource, site, hour_cost
        LINE, PLANT, 10
        OLD, PLANT, 30

        routings
        item, resource, hours
        P, LINE, 1
        P, OLD, 1
        """)
    tables["capacity"] = monthly("resource", {"LINE": {"hours": 100}, "OLD": {"hours": 100}}, 1)
    made = planned(tables, 1)["supply_plan"].set_index("source")["quantity"]
    assert made.to_dict() == pytest.approx({"LINE": 100, "OLD": 20})


def test_a_bill_of_materials_of_three_levels_is_made_from_the_bottom():
    tables, policies = full()
    plan = planned(tables, 4, **policies)
    made = plan["supply_plan"].groupby("item")["quantity"].sum()
    started = 1 / (0.9 * 0.8)
    assert made["PART"] == pytest.approx(made["P"] * started * 2)
    stock = plan["stock"].query("item == 'STEEL'")
    assert stock["issued"].sum() == pytest.approx(made["PART"] * 3)


@pytest.mark.parametrize("least, lots", [(0, [60.0, 60.0]), (90, [120.0])])
def test_a_minimum_run_is_made_whole_or_not_at_all(least, lots):
    tables = changed(plain(hours=120), routings__minimum_run=least)
    tables["demand_plan"] = demand({("P", "A"): [60.0, 60.0]}, {"P": 50})
    made = planned(tables)["supply_plan"]["quantity"]
    assert made.tolist() == pytest.approx(lots)


def test_a_set_up_takes_hours_and_money_in_each_month_with_a_lot():
    tables = changed(plain(hours=130), routings__setup_hours=10, routings__setup_cost=200)
    tables["demand_plan"] = demand({("P", "A"): [60.0, 60.0]}, {"P": 50})
    plan = planned(tables)  # one lot of 120 units: 60 units held a month cost 60, a second set-up 200 and 10 hours
    assert cost(plan, "setting_up") == pytest.approx(200)
    assert plan["resource_load"]["regular"].tolist() == pytest.approx([130, 0])
    assert cost(plan, "regular_hours") == pytest.approx(1300)


def test_a_price_on_changing_the_rate_levels_the_months():
    tables = plain(hours=200)
    tables["demand_plan"] = demand({("P", "A"): [40.0, 120.0]}, {"P": 50})
    chase = planned(tables)["resource_load"]["regular"].tolist()
    level = planned(changed(tables, resources__change_price=5))
    assert chase == pytest.approx([40, 120])
    assert level["resource_load"]["regular"].tolist() == pytest.approx([80, 80])
    assert cost(level, "changing_rate") == 0


@pytest.mark.parametrize("price", [5.0, 500.0])
def test_no_line_is_set_up_without_a_lot_to_keep_its_rate(price):
    """Set-ups of 40 hours a month would hide a change of rate; each of them makes a lot, and the check agrees."""
    tables = changed(plain(hours=200, count=3), routings__setup_hours=40.0, resources__change_price=price)
    tables["demand_plan"] = demand({("P", "A"): [60.0, 0.0, 60.0]}, {"P": 50})
    plan = planned(tables, 3)
    made = plan["supply_plan"].groupby("month")["quantity"].sum()
    load = plan["resource_load"].set_index("month")["regular"]
    assert (load[load > 0].index == made.index).all() and (made > 0.05).all()
    assert (load[made.index] - made).round(6).eq(40).all()


# people -----------------------------------------------------------------------------------------------------------
def crewed(**workforce) -> dict[str, pd.DataFrame]:
    person = {
        "site": "PLANT",
        "skill": "hands",
        "people": 1,
        "hours_per_day": 2,
        "wage": 100,
        "overtime_limit": 5,
        "overtime_cost": 8,
        "hire_cost": 30,
        "layoff_cost": 20,
        **workforce,
    }
    return changed(plain(hours=1000, count=3), resources__skill="hands") | {"workforce": pd.DataFrame([person])}


def test_people_limit_what_machines_could_make_and_are_paid_busy_or_not():
    plan = planned(crewed(most_hires=0, layoff_cost=1e6), 3)
    people = plan["people_plan"]
    assert people["used"].tolist() == pytest.approx([40] * 3)  # 1 person x 2 hours x 20 days
    assert people["overtime"].tolist() == pytest.approx([5] * 3)
    assert plan["resource_load"]["regular"].tolist() == pytest.approx([45] * 3)
    assert cost(plan, "wages") == pytest.approx(300)
    assert cost(plan, "people_overtime") == pytest.approx(3 * 5 * 8)
    idle = crewed(most_hires=0, layoff_cost=1e6) | {"demand_plan": demand({("P", "A"): [1.0] * 3}, {"P": 50})}
    assert cost(planned(idle, 3), "wages") == pytest.approx(300)


def test_nobody_hired_starts_before_the_lead_time():
    people = planned(crewed(hire_lead_time=2), 3)["people_plan"]
    assert people["hired"].tolist()[:2] == [0, 0]
    assert people["hired"].tolist()[2] == pytest.approx(2)  # 120 hours need 3 people of 40


def test_people_are_laid_off_when_that_is_cheaper_than_paying_them():
    tables = crewed(people=5) | {"demand_plan": demand({("P", "A"): [40.0] * 3}, {"P": 50})}
    plan = planned(tables, 3)
    # 40 hours a month: an hour of a person costs 100 / 40, one of overtime 8, so exactly one of the five stays
    assert plan["people_plan"]["people"].tolist() == pytest.approx([1.0] * 3)
    assert cost(plan, "laying_off") == pytest.approx(4 * 20)
    whole = planned(tables, 3, whole_people=True)["people_plan"]
    assert whole["people"].tolist() == [1, 1, 1]
    assert whole["laid_off"].tolist() == [4, 0, 0]


# suppliers --------------------------------------------------------------------------------------------------------
def bought(offers: str, count: int = 2) -> dict[str, pd.DataFrame]:
    """P is bought, not made."""
    tables = plain(count=count) | read(
        f"""
        suppliers
        supplier
        EAST
        WEST

        offers
        {offers}
        """.replace("\n        ", "\n")
    )
    return {name: frame for name, frame in tables.items() if name not in ("routings", "resources", "capacity")}


def test_orders_arrive_after_the_lead_time_and_are_paid_then():
    plan = planned(bought("supplier, item, site, price, lead_time\nEAST, P, PLANT, 20, 1"))
    lines = plan["supply_plan"]
    assert lines["month"].tolist() == MONTHS[:1] and lines["available"].tolist() == MONTHS[1:2]
    assert plan["deliveries"]["delivered"].sum() == pytest.approx(120)
    assert plan["supply_costs"].query("cost == 'buying'")["month"].tolist() == MONTHS[1:2]


@pytest.mark.parametrize("least, orders", [(100, [120.0]), (130, []), (120, [120.0])])
def test_a_minimum_order_is_kept_or_nothing_is_ordered(least, orders):
    tables = bought(f"supplier, item, site, price, minimum_order\nEAST, P, PLANT, 49, {least}", 1)
    plan = planned(tables, 1)
    assert plan["supply_plan"]["quantity"].tolist() == pytest.approx(orders)


def test_no_supplier_gets_more_than_its_share():
    tables = bought("supplier, item, site, price, share_limit\nEAST, P, PLANT, 20, 0.7\nWEST, P, PLANT, 30, 1")
    share = planned(tables)["supply_plan"].groupby("source")["quantity"].sum()
    assert share.to_dict() == pytest.approx({"EAST": 0.7 * 240, "WEST": 0.3 * 240})


def test_a_month_without_supply_is_bridged_by_buying_before():
    tables = bought("supplier, item, site, price, capacity\nEAST, P, PLANT, 20, 240") | read("""
        supplier_capacity
        supplier, item, site, month, capacity
        EAST, P, PLANT, 2026-02, 0
        """)
    plan = planned(tables)
    assert plan["supply_plan"]["quantity"].tolist() == pytest.approx([240])
    assert plan["deliveries"]["lost"].sum() == 0


# network ----------------------------------------------------------------------------------------------------------
def test_goods_move_through_a_distribution_centre_with_lead_time_and_capacity():
    tables = plain(hours=200, count=3) | read("""
        sites
        site, kind
        PLANT, plant
        DC, dc

        lanes
        origin, destination, cost, lead_time, capacity
        PLANT, DC, 1, 1, 50
        DC, A, 2, 0,

        inventory
        site, item, quantity
        DC, P, 7

        scheduled_receipts
        site, item, month, quantity
        DC, P, 2026-01, 11
        DC, P, 2026-02, 5
        """)
    tables["demand_plan"] = demand({("P", "A"): [60.0] * 3}, {"P": 50})
    plan = planned(tables, 3)
    assert delivered(plan, "A")[0] <= 18
    assert sum(delivered(plan, "A")) == pytest.approx(18 + 55 + 50)
    inner = plan["shipments"].query("destination == 'DC'")
    assert inner["month"].tolist() == MONTHS[:2] and inner["arrival"].tolist() == MONTHS[1:3]
    assert cost(plan, "freight") == pytest.approx(100 * 1 + 123 * 2)


# short supply -----------------------------------------------------------------------------------------------------
def test_without_any_capacity_a_plan_still_exists_and_says_what_is_short():
    tables = plain(hours=0)
    tables["service_policies"] = pd.DataFrame(
        {"product": "P", "market": ["A", "B"], "unmet": ["neither", "backlog"], "backlog_price": 2}
    )
    plan = planned(tables, backlog_at_end="forbidden")
    found = plan["deliveries"].groupby("market")[["lost", "backlog"]].last()
    assert found.loc["A", "lost"] == pytest.approx(60) and found.loc["B", "backlog"] == pytest.approx(120)
    said = plan["supply_exceptions"].set_index("cost")
    assert set(said.index) == {"losing", "left_waiting"}
    assert (said["price"] == 0).all() and (said["promise"] == "unmet_promises").all()  # a promise has no price
    assert plan["supply_run"].set_index("measure").loc["unmet promises", "value"] == "240"
    assert cost(plan, "losing") == 0


def test_backlog_waits_and_is_delivered_later():
    tables = plain(hours=120)
    tables["service_policies"] = pd.DataFrame(
        {"product": "P", "market": ["A"], "unmet": ["backlog"], "backlog_price": 3.0}
    )
    tables["demand_plan"] = demand({("P", "A"): [200.0, 40.0]}, {"P": 50})
    plan = planned(tables)
    assert plan["deliveries"]["backlog"].tolist() == pytest.approx([80, 0])
    assert cost(plan, "waiting") == pytest.approx(240)
    assert cost(plan, "revenue") == pytest.approx(240 * 50)


def test_what_waited_is_billed_at_the_price_of_the_month_in_which_it_is_delivered():
    tables = changed(plain(hours=120), service_policies__unmet="backlog", service_policies__backlog_price=25.0)
    tables["demand_plan"] = demand({("P", "A"): [200.0, 40.0]}, {"P": 50})
    tables["demand_plan"]["price"] = [50.0, 70.0]
    assert cost(planned(tables), "revenue") == pytest.approx(120 * 50 + 120 * 70)


def test_surplus_that_keeps_stays_where_it_is_and_is_never_written_off():
    """Not sold, not moved to a site that has no use for it: 500 units are held for two months at 1 each."""
    tables = plain(hours=0) | read("""
        sites
        site, kind
        PLANT, plant
        DEPOT, dc

        lanes
        origin, destination
        PLANT, DEPOT
        PLANT, A

        inventory
        site, item, quantity
        PLANT, P, 500
        """)
    tables["demand_plan"] = demand({("P", "A"): [10.0, 0.0]}, {"P": 50})
    plan = planned(tables)
    assert plan["stock"]["closing"].tolist() == pytest.approx([490, 490])
    assert plan["shipments"]["destination"].tolist() == ["A"] and cost(plan, "holding") == pytest.approx(980)


def short() -> dict[str, pd.DataFrame]:
    """100 hours for 60 + 60 units a month; B pays more, A is of the first class."""
    tables = plain()
    tables["demand_plan"] = pd.concat(
        [demand({("P", "A"): [60.0, 60.0]}, {"P": 50}), demand({("P", "B"): [60.0, 60.0]}, {"P": 70})]
    )
    return tables


@pytest.mark.parametrize("allocation, a, b", [("profit", 40, 60), ("priority", 60, 40)])
def test_short_supply_goes_to_the_most_profit_or_to_the_first_class(allocation, a, b):
    plan = planned(short(), allocation=allocation)
    assert delivered(plan, "A") == pytest.approx([a, a])
    assert delivered(plan, "B") == pytest.approx([b, b])


def served(allocation: str, **cells) -> tuple[list[float], list[float]]:
    """What A and B get where B's service policy is `cells`, and freight to A costs far more than a unit brings."""
    tables = plain()
    tables["lanes"] = tables["lanes"].assign(cost=[60_000.0 if allocation == "priority" else 0.0, 0.0])
    for column, value in cells.items():
        tables["service_policies"].loc[tables["service_policies"]["market"].eq("B"), column] = value
    if allocation == "fair_share":
        tables = changed(tables, markets__priority=1)
    plan = planned(tables, allocation=allocation)
    return delivered(plan, "A"), delivered(plan, "B")


@pytest.mark.parametrize("cells", [{}, {"unmet": "backlog", "backlog_price": 1e5}, {"lost_price": 1e5}])
def test_the_first_class_is_served_first_whatever_the_prices(cells):
    assert served("priority", **cells) == ([60, 60], [40, 40])


def test_what_must_be_met_comes_before_the_first_class():
    assert served("priority", unmet="neither") == ([40, 40], [60, 60])


@pytest.mark.parametrize("cells", [{"unmet": "backlog", "backlog_price": 1e4}, {"lost_price": 1e4}])
def test_shares_within_a_class_are_fair_whatever_the_prices(cells):
    a, b = served("fair_share", **cells)
    assert a[0] == b[0] == pytest.approx(50)


def test_a_fair_share_fills_every_market_of_a_class_alike():
    tables = short()
    tables["markets"] = tables["markets"].assign(priority=1)
    tables["demand_plan"] = pd.concat(
        [demand({("P", "A"): [50.0, 50.0]}, {"P": 50}), demand({("P", "B"): [150.0, 150.0]}, {"P": 70})]
    )
    plan = planned(tables, allocation="fair_share")
    found = plan["deliveries"]
    assert (found["delivered"] / found["demand"]).tolist() == pytest.approx([0.5] * 4)
    classes = changed(tables, markets__priority=[1, 2])
    first = planned(classes, allocation="fair_share")
    assert delivered(first, "A") == pytest.approx([50, 50])


@pytest.mark.parametrize("allocation", ["profit", "priority", "fair_share"])
def test_nothing_is_given_up_that_may_wait_and_can_be_made_later(allocation):
    tables = changed(plain(count=3), service_policies__unmet="either", service_policies__backlog_price=1.0)
    tables["capacity"] = monthly("resource", {"LINE": [{"hours": hours} for hours in (60, 60, 400)]}, 3)
    plan = planned(tables, 3, allocation=allocation)
    assert plan["deliveries"]["lost"].sum() == pytest.approx(0, abs=1e-6)
    if allocation == "priority":
        assert delivered(plan, "A") == [60, 60, 60] and delivered(plan, "B") == [0, 0, 180]


def test_giving_up_early_does_not_buy_a_larger_share_later():
    tables = changed(plain(), markets__priority=1, service_policies__backlog_price=5.0)
    tables["service_policies"] = tables["service_policies"].assign(unmet=["either", "backlog"])
    plan = planned(tables, allocation="fair_share")
    assert sum(delivered(plan, "A")) == pytest.approx(100) and sum(delivered(plan, "B")) == pytest.approx(100)


def test_a_market_that_cannot_be_reached_yet_does_not_starve_the_others_of_its_class():
    tables = changed(short(), markets__priority=1, lanes__lead_time=[1, 0])
    tables["demand_plan"] = demand({("P", "A"): [60.0, 0.0], ("P", "B"): [60.0, 60.0]}, {"P": 50})
    plan = planned(tables, allocation="fair_share")
    assert delivered(plan, "A")[0] == 0
    assert delivered(plan, "B")[0] == pytest.approx(60)


# stock ------------------------------------------------------------------------------------------------------------
def policy(**values) -> pd.DataFrame:
    return pd.DataFrame([{"site": "PLANT", "item": "P", "holding_cost": 1, **values}])


def test_safety_stock_gives_way_where_demand_is_worth_more():
    tables = plain(hours=110, count=1) | {"policies": policy(safety_stock=20, safety_stock_price=2)}
    stock = planned(tables, 1, end_stock_price=1)["stock"]
    assert stock["closing"].tolist() == pytest.approx([0])
    assert stock["below_safety"].tolist() == pytest.approx([20])
    rich = plain(hours=200) | {"policies": policy(safety_stock=20, safety_stock_price=12)}
    assert planned(rich)["stock"]["closing"].tolist() == pytest.approx([20, 20])


def test_the_horizon_does_not_end_with_an_empty_shop():
    tables = plain(hours=200) | {"policies": policy(safety_stock=20, safety_stock_price=2)}
    assert planned(tables)["stock"]["closing"].tolist()[-1] == pytest.approx(20)


def test_no_safety_stock_is_kept_of_a_product_going_off_sale():
    tables = plain(hours=200) | {"policies": policy(safety_stock=20, safety_stock_price=20)}
    tables = changed(tables, products__end_month="2026-02")
    stock = planned(tables)["stock"]
    assert stock["safety_stock"].tolist() == [20, 0]
    assert stock["closing"].tolist() == pytest.approx([20, 0])


def test_stock_above_its_maximum_is_a_promise_broken():
    tables = (
        plain(hours=0, count=1)
        | {"policies": policy(maximum_stock=50)}
        | read("""
        inventory
        site, item, quantity
        PLANT, P, 200
        """)
    )
    plan = planned(tables, 1)
    said = plan["supply_exceptions"].iloc[0]
    assert (said["cost"], said["amount"], said["promise"]) == ("stock_above_maximum", pytest.approx(30)) + (
        said["cost"],
    )


def test_space_and_money_in_stock_are_limits_with_a_price():
    tables = plain(hours=180)  # the second month needs 60 units of the first: 120 m3, 600 of money
    tables["demand_plan"] = demand({("P", "A"): [100.0, 240.0]}, {"P": 50})
    assert planned(tables)["stock"]["closing"].tolist() == pytest.approx([60, 0])
    tight = changed(tables, sites__storage=50.0, sites__overflow_price=1.0)
    plan = planned(tight)
    held = plan["stock"]["closing"].iloc[0]
    assert held * 2 == pytest.approx(50 + plan["supply_exceptions"].set_index("cost").loc["space_overflow", "amount"])
    assert cost(plan, "space_overflow") == pytest.approx(held * 2 - 50)
    dear = changed(tables, sites__storage=50.0, sites__overflow_price=1000.0)
    assert planned(dear)["stock"]["closing"].iloc[0] == pytest.approx(25)
    budget = planned(tables, stock_budget=100.0, stock_budget_price=0.5)
    assert cost(budget, "above_stock_budget") == pytest.approx((budget["stock"]["value"].iloc[0] - 100) * 0.5)
    assert planned(tables, stock_budget=100.0, stock_budget_price=50.0)["stock"]["value"].iloc[0] == pytest.approx(100)


@pytest.mark.parametrize(
    "life, age, sold, scrapped", [(0, 0, 100, 0), (3, 0, 100, 0), (2, 0, 80, 20), (2, 1, 40, 60), (1, 0, 40, 60)]
)
def test_stock_is_scrapped_when_its_shelf_life_ends(life, age, sold, scrapped):
    """100 units on hand, 40 asked a month, nothing made: with a life of 2 months and age 0 two months can be served."""
    tables = plain(hours=0, count=3) | {
        "inventory": pd.DataFrame([{"site": "PLANT", "item": "P", "quantity": 100, "age": age}])
    }
    tables["demand_plan"] = demand({("P", "A"): [40.0] * 3}, {"P": 50})
    plan = planned(changed(tables, products__shelf_life=life), 3)
    assert plan["deliveries"]["delivered"].sum() == pytest.approx(sold)
    assert plan["stock"]["scrapped"].sum() == pytest.approx(scrapped)


def far(life: int, lead: int, count: int = 6) -> dict[str, pd.DataFrame]:
    """100 units a month asked so far away that goods travel `lead` months; more than enough can be made."""
    tables = changed(plain(hours=1000, count=count), products__shelf_life=life, lanes__lead_time=lead)
    tables["demand_plan"] = demand({("P", "A"): [100.0] * count}, {"P": 50})
    return tables


@pytest.mark.parametrize("life, lead, sold", [(1, 3, 0), (2, 3, 0), (3, 3, 300), (0, 3, 300), (1, 1, 500)])
def test_goods_that_get_too_old_on_their_way_are_not_sold_and_none_are_made_to_look_young(life, lead, sold):
    plan = planned(far(life, lead), 6)
    assert plan["deliveries"]["delivered"].sum() == pytest.approx(sold)
    assert plan["supply_plan"]["quantity"].sum() == pytest.approx(sold)
    assert plan["stock"]["scrapped"].sum() == pytest.approx(0, abs=1e-6)


def test_the_check_follows_ages_by_itself():
    """A plan of goods that keep is refused for goods that do not, although fresh ones are made in every month."""
    plan = planned(far(0, 3), 6)
    found, broken = checks(Book.of(far(1, 3), company(6), CYCLE), plan)
    assert not found.set_index("rule").loc["ages", "holds"], broken
    assert checks(Book.of(far(3, 3), company(6), CYCLE), plan)[0].set_index("rule").loc["ages", "holds"]


def test_young_goods_may_be_kept_back_for_the_long_way():
    """50 old and 50 new units: the old ones go next door, the new ones two months away; no other way serves both."""
    tables = changed(plain(hours=0, count=4), products__shelf_life=3, lanes__lead_time=[2, 0])
    tables |= read("""
        sites
        site, kind
        PLANT, plant
        STORE, dc

        inventory
        site, item, quantity, age
        PLANT, P, 50, 2
        STORE, P, 50, 0

        lanes
        origin, destination, lead_time
        PLANT, A, 2
        PLANT, B, 0
        STORE, PLANT, 0
        """)
    tables["demand_plan"] = demand({("P", "A"): [0, 0, 50.0, 0], ("P", "B"): [50.0, 0, 0, 0]}, {"P": 50})
    plan = planned(tables, 4)
    assert (sum(delivered(plan, "A")), sum(delivered(plan, "B"))) == pytest.approx((50, 50))


def test_material_that_is_too_old_goes_into_nothing():
    tables = plain(hours=1000, count=3) | read("""
        materials
        material, shelf_life
        MILK, 1

        bom
        item, component, quantity
        P, MILK, 1

        inventory
        site, item, quantity, age
        PLANT, MILK, 120, 0

        suppliers
        supplier
        COW

        offers
        supplier, item, site, price, capacity
        COW, MILK, PLANT, 1, 30
        """)
    tables["demand_plan"] = demand({("P", "A"): [0, 50.0, 100.0]}, {"P": 50})
    tables["capacity"] = monthly("resource", {"LINE": [{"hours": hours} for hours in (0, 1000, 1000)]}, 3)
    # the line stands still in January: what is on hand gets too old, and 30 of each month can be used in the next
    assert delivered(planned(tables, 3), "A") == pytest.approx([0, 50, 40])


def test_moving_goods_to_another_site_does_not_make_them_young_again():
    tables = plain(hours=0, count=4) | read("""
        sites
        site, kind
        PLANT, plant
        DC, dc

        lanes
        origin, destination, lead_time
        PLANT, DC, 1
        DC, A, 0

        inventory
        site, item, quantity
        PLANT, P, 100
        """)
    tables["demand_plan"] = demand({("P", "A"): [0, 0, 0, 90.0]}, {"P": 50})
    assert planned(changed(tables, products__shelf_life=3), 4)["deliveries"]["delivered"].sum() == 0
    assert planned(changed(tables, products__shelf_life=4), 4)["deliveries"]["delivered"].sum() == pytest.approx(90)


# the last plan ----------------------------------------------------------------------------------------------------
def test_frozen_months_follow_the_last_plan_and_later_changes_have_a_price():
    tables = plain(hours=200) | read("""
        last_supply_plan
        mode, source, item, site, month, quantity
        make_regular, LINE, P, PLANT, 2026-01, 90
        make_regular, LINE, P, PLANT, 2026-02, 100
        """)
    frozen = planned(tables, frozen_months=1)["supply_plan"]
    assert frozen["quantity"].tolist() == pytest.approx([90, 120])
    priced = planned(tables, plan_change_price=45)  # a unit more brings 50 - 10, less than its change
    assert priced["supply_plan"]["quantity"].tolist() == pytest.approx([90, 100])
    broken = changed(tables, capacity__hours=[40, 200])
    plan = planned(broken, frozen_months=1)
    assert plan["supply_plan"]["quantity"].tolist() == pytest.approx([40, 120])
    assert plan["supply_exceptions"].set_index("cost").loc["changing_the_plan", "amount"] == pytest.approx(50)


# the model as a text ----------------------------------------------------------------------------------------------
def last_plan(*lines: tuple[str, str, str, float]) -> pd.DataFrame:
    """Table last_supply_plan of January: mode, source, item and quantity."""
    rows = [dict(zip(("mode", "source", "item", "quantity"), line, strict=True)) for line in lines]
    return pd.DataFrame(rows).assign(site="PLANT", month=CYCLE)


def test_a_frozen_lot_is_kept_even_where_nobody_asks_for_the_item_any_more():
    idle = pd.DataFrame([{"product": "Z", "family": "F", "price": 5, "standard_cost": 1, "volume": 0}])
    tables = plain()
    tables["products"] = pd.concat([tables["products"], idle])
    tables["routings"] = pd.concat([tables["routings"], tables["routings"].assign(item="Z")])
    tables["last_supply_plan"] = last_plan(("make_regular", "LINE", "Z", 30), ("make_regular", "LINE", "P", 50))
    made = planned(tables, frozen_months=1)["supply_plan"].set_index(["item", "month"])["quantity"]
    assert made["Z", MONTHS[0]] == pytest.approx(30) and made["P", MONTHS[0]] == pytest.approx(50)


def test_a_frozen_lot_with_a_set_up_may_be_larger_than_what_is_needed():
    tables = changed(plain(hours=1000), routings__setup_cost=5.0)
    tables["last_supply_plan"] = last_plan(("make_regular", "LINE", "P", 300))
    made = planned(tables, frozen_months=1)["supply_plan"]
    assert made["quantity"].tolist() == pytest.approx([300])  # 240 are wanted


@pytest.mark.parametrize("line", [("make_regular", "OLD LINE", "P", 30), ("buy", "GONE", "P", 30)])
@pytest.mark.parametrize("policies", [{"frozen_months": 1}, {"plan_change_price": 0.5}])
def test_what_the_last_plan_said_of_a_source_that_is_gone_is_said_and_not_charged(line, policies):
    tables = plain() | {"last_supply_plan": last_plan(line)}
    plan = planned(tables, **policies)
    gone = plan["supply_exceptions"].query("cost == 'changing_the_plan' and place == @line[1]")
    assert gone[["item", "amount", "price"]].to_numpy().tolist() == [["P", 30.0, 0.0]]


def lp_of(model: pyo.ConcreteModel, name: str, folder: Path) -> str:
    """The model with one rule, or with one cost as its objective, as an LP file."""
    chosen = model.component(name)
    for rule in model.component_objects(pyo.Constraint):
        (rule.activate if rule is chosen else rule.deactivate)()
    model.profit.deactivate()
    if model.component("one") is not None:
        model.del_component("one")
    money = 0 if chosen.ctype is pyo.Constraint else sum(chosen[index] for index in chosen.index_set())
    model.one = pyo.Objective(expr=money)
    model.write(str(folder / "rule.lp"), io_options={"symbolic_solver_labels": True})
    return (folder / "rule.lp").read_text(encoding="utf-8")


def spoken() -> tuple[dict[str, pd.DataFrame], dict]:
    """`full` for three months, with all that not every plant has, so that every rule has something to say."""
    tables, policies = full(3)
    lanes = tables["lanes"].assign(full_load=[10, 0, 0, 0], counted_in=["kg", "units", "units", "m3"])
    tables["products"] = tables["products"].assign(weight=[2.5, 1.5])
    tables["suppliers"] = tables["suppliers"].assign(
        capacity=[700, None, None], yearly_quota=[0, 0, 400], quota_price=[0, 0, 2.5]
    )
    own = {"origin": "DC", "destination": "A", "item": "Q"}
    tables["lanes"] = pd.concat([lanes, pd.DataFrame([own | {"cost": 3}])]).fillna({"item": "", "counted_in": "units"})
    tables["offers"] = tables["offers"].assign(
        lead_days=[0, 21, 0], order_multiple=[0, 50, 0], capacity_use=[1, 1, 0.5]
    )
    tables["policies"] = tables["policies"].assign(cover_days=[0, 0, 45])
    tables["policies"] = tables["policies"].assign(disposal_price=[1.5, None, 0.5])
    tables["resources"] = tables["resources"].assign(carbon=[4, 0, 2.5])
    tables["lanes"] = tables["lanes"].assign(carbon=[0.1, 0, 0, 0, 0.3])
    tables["offers"] = tables["offers"].assign(carbon=[1.25, 0, 0])
    tables["routings"] = tables["routings"].assign(avoid_price=[0.2, 0, 0], carbon=[0, 0.75, 0.5])
    policies |= {"carbon_price": 0.05, "carbon_cap": 100.0}
    old = {"item": "PART", "resource": "WELD", "operation": 1, "hours": 0.3, "valid_to": "2026-02"}
    seen = {"item": "P", "resource": "CUT", "routing": "body", "operation": 3, "hours": 0}
    tables["routings"] = pd.concat([tables["routings"], pd.DataFrame([old, seen])]).fillna({"routing": "", "cost": 0})
    tables["routings"] = (
        tables["routings"]
        .fillna(dict.fromkeys("people_hours setup_hours setup_cost minimum_run avoid_price carbon".split(), 0))
        .fillna({"yield": 1})
    )
    body = tables["routings"].eval("resource == 'WELD' and item == 'P'")
    tables["routings"] = tables["routings"].assign(
        setup_family=body.map({True: "RED", False: ""}), family_setup_hours=3.0 * body, family_setup_cost=40.0 * body
    )
    tables["resources"] = tables["resources"].assign(setup_carry_over=True)
    bill = [("PART", "STEEL", 2.5, "WELD", False), ("PART", "CHIPS", 0.5, "CUT", True)]
    bill = pd.DataFrame(bill, columns=["item", "component", "quantity", "routing", "by_product"])
    tables["bom"] = pd.concat([tables["bom"].assign(routing="", by_product=False), bill])
    chips = pd.DataFrame([{"material": "CHIPS", "standard_cost": 0.5, "volume": 0.2, "shelf_life": 1}])
    tables["materials"] = pd.concat([tables["materials"], chips])
    tables["workforce"] = tables["workforce"].assign(attrition=0.1)
    tables |= read("""
        customer_orders
        product, market, month, quantity
        P, A, 2025-12, 8
        P, A, 2026-01, 195
        Q, A, 2026-03, 5

        dated_policies
        site, item, month, safety_stock
        DC, P, 2026-02, 15

        dated_offers
        supplier, item, site, month, price
        IRON, STEEL, PLANT, 2026-02, 2.5

        price_breaks
        supplier, item, site, from_quantity, price
        TRADER, Q, DC, 15, 24
        TRADER, Q, DC, 25, 21.5

        dated_workforce
        site, skill, month, starting, leaving, wage
        PLANT, metal, 2026-02, 2, 0.5, 450

        shifts
        place, shift, hours, cost, start_cost, stop_cost, least_months, worked, valid_to
        CUT, 1, 40, 150, 30, 60, 2, True,
        CUT, 2, 35, 170, 25, 0, 1, False, 2026-02
        DC, 1, 0, 55, 200, 120, 1, True,

        dated_shifts
        place, shift, month, hours, cost
        CUT, 1, 2026-03, 30, 140
        """)
    cut = tables["capacity"]["resource"].eq("CUT")
    tables["capacity"] = tables["capacity"].assign(
        hours=tables["capacity"]["hours"].mask(cut & (tables["capacity"]["month"] == CYCLE), 0.0)
    )
    return tables, policies


def spoken_model(**other) -> pyo.ConcreteModel:
    tables, policies = spoken()
    return model_of(tables, 3, **(policies | other))


RULES = sorted(rule.name for rule in spoken_model().component_objects(pyo.Constraint))
TEXTS = [*RULES, *sorted({"revenue", *CASH, *POLICY, *PROMISES})]


@pytest.fixture(scope="module")
def spoken_by() -> dict[str, pyo.ConcreteModel]:
    return {allocation: spoken_model(allocation=allocation) for allocation in ("priority", "fair_share")}


@pytest.mark.parametrize("name", TEXTS)
def test_rule_says_what_its_golden_lp_says(spoken_by, name, tmp_path):
    """To accept a changed rule: SOPKIT_GOLDEN=write pytest tests/test_supply.py, then read the diff."""
    model = spoken_by["priority" if name == "out_of_order" else "fair_share"]
    assert len(model.component(name)) > 0
    text, golden = lp_of(model, name, tmp_path), GOLDEN / f"{name}.lp"
    if os.environ.get("SOPKIT_GOLDEN") == "write":
        golden.parent.mkdir(parents=True, exist_ok=True)
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")


def test_one_letter_has_one_meaning_in_every_rule():
    """The legend at the top of model.py names every letter, and every set gives its members the same letters."""
    text = Path(model.__file__).read_text(encoding="utf-8")
    tree = ast.parse(text)
    legend = set(re.findall(r"(?<= )([a-z])  [a-z]", ast.get_docstring(tree) or ""))
    letters = {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg) and len(node.arg) == 1}
    letters |= {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and len(n.id) == 1}
    assert letters == legend
    built, rules = spoken_model(), 0
    meant = {}
    for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.decorator_list):
        sets = [over.attr for over in function.decorator_list[0].args]
        given = [argument.arg for argument in function.args.args][1:]
        for name in sets:
            width = built.component(name).dimen
            mine, given = tuple(given[:width]), given[width:]
            assert meant.setdefault(name, mine) == mine, f"{function.name}: {name} is {meant[name]} elsewhere"
        assert not given, function.name
        rules += 1
    assert rules == len(TEXTS) + 1  # and the objective


def test_no_rule_is_without_golden_lp_and_no_golden_lp_without_rule():
    assert sorted(path.stem for path in GOLDEN.glob("*.lp")) == sorted(TEXTS)


def test_the_formulation_page_speaks_of_every_component_in_sentences(full_plan):
    page = full_plan["supply_formulation"]
    model = spoken_model()
    rules = page[page["kind"].isin(["balance", "limit", "policy"])]
    assert sorted(rules["name"]) == RULES
    assert set(page.query("kind == 'cost'")["name"]) == {"revenue", *CASH, *POLICY}
    assert set(page.query("kind == 'promise'")["name"]) == {*PROMISES}
    assert set(page.query("kind == 'decision'")["name"]) == {var.name for var in model.component_objects(pyo.Var)}
    assert (page["sentence"].str.len() > 0).all()
    assert (page.loc[page["kind"].ne("set") & page["name"].ne("previous"), "unit"].str.len() > 0).all()
    sizes = page.set_index("name")["size"]
    assert sizes["stock_balance"] == len(full_plan["stock"])
    assert page.set_index("name").loc["stock_balance", "over"] == "STOCKS x MONTHS"


# nothing is trusted twice -----------------------------------------------------------------------------------------
LINKS = dict.fromkeys(("opening_ages", "ages_held", "ages_sent", "ages_used"), "ages") | {
    **dict.fromkeys(("break_reached", "break_missed", "bought_cheaper", "reached_first"), "money: buying"),
    "yearly_quota": "money: missing_quota",
    "late_orders_first": "firm_orders_first",
    "order_first": "smallest_order",
    "set_up_first": "money: setting_up",
    **dict.fromkeys(("family_first", "family_used"), "money: setting_up_families"),
    **dict.fromkeys(("carried_once", "carried_on", "left_as_it_is", "not_set_up_again"), "carried_from"),
    "steady_rate": "money: changing_rate",
    **dict.fromkeys(("opening_shifts", "shift_balance"), "money: changing_shifts"),
    "closed_sends_nothing": "closed_takes_nothing",
}


def test_every_rule_and_every_cost_of_the_model_is_checked_again(full_plan):
    looked_at = set(full_plan["supply_checks"]["rule"])
    assert {LINKS.get(rule, rule) for rule in RULES} <= looked_at
    assert {f"money: {name}" for name in ("revenue", *CASH, *POLICY)} <= looked_at
    assert full_plan["supply_checks"]["holds"].all()


def shifted(table: str, column: str, by: float, query: str = "index == index"):
    def tamper(plan: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
        frame = plan[table].copy()
        row = frame.query(query).index[0]
        frame[column] = frame[column].astype(float)
        frame.loc[row, column] += by
        return plan | {table: frame}

    return tamper


TAMPERED = {
    "opening_stock": shifted("stock", "opening", 5, "month == @MONTHS[0]"),
    "stock_balance": shifted("supply_plan", "quantity", 7),
    "opening_backlog": shifted("deliveries", "backlog", 3, "month == @MONTHS[0]"),
    "demand_balance": shifted("deliveries", "delivered", -4, "delivered > 4"),
    "wait": shifted("deliveries", "backlog", 2, "product == 'Q' and market == 'A'"),
    "lose": shifted("deliveries", "lost", 2, "product == 'P' and market == 'A'"),
    "resource_work": shifted("resource_load", "regular", -3, "regular > 3"),
    "regular_capacity": shifted("resource_load", "regular", 500),
    "overtime_capacity": shifted("resource_load", "overtime", 500),
    "opening_people": shifted("people_plan", "people", 1, "month == @MONTHS[0]"),
    "people_balance": shifted("people_plan", "hired", 1, "month == @MONTHS[2]"),
    "people_work": shifted("people_plan", "overtime", -1000),
    "people_overtime_limit": shifted("people_plan", "overtime", 1000),
    "hiring_limit": shifted("people_plan", "hired", 3),
    "no_early_hires": shifted("people_plan", "hired", 1, "month == @MONTHS[0]"),
    "supplier_capacity": shifted("supply_plan", "quantity", 1000, "mode == 'buy'"),
    "smallest_order": shifted("supply_plan", "quantity", -1000, "source == 'IRON'"),
    "supplier_share": shifted("supply_plan", "quantity", 5000, "source == 'IRON'"),
    "lane_limit": shifted("shipments", "quantity", 500, "destination == 'DC'"),
    "safety": shifted("stock", "closing", -1, "safety_stock > 0 and closing > 0"),
    "end_stock_target": shifted("stock", "closing", -1000, "item == 'P' and site == 'DC' and month == @MONTHS[3]"),
    "stock_maximum": shifted("stock", "closing", 500, "item == 'P' and site == 'DC'"),
    "space": shifted("stock", "closing", 1000, "site == 'DC'"),
    "money_in_stock": shifted("stock", "value", 100),
    "ages": shifted("stock", "closing", 200, "item == 'Q' and site == 'DC'"),
    "fair_share": shifted("deliveries", "lost", 900, "product == 'P' and market == 'B'"),
    "making_as_planned": shifted("supply_plan", "quantity", 5, "item == 'P' and month == @MONTHS[0]"),
    "orders_as_planned": shifted("supply_plan", "quantity", 5, "item == 'Q' and month == @MONTHS[0]"),
    "money: revenue": shifted("supply_costs", "amount", 0.5, "cost == 'revenue'"),
    "money: holding": shifted("supply_costs", "amount", 0.5, "cost == 'holding'"),
    "money: profit": shifted("supply_costs", "amount", 0.5, "cost == 'freight'"),
}


@pytest.mark.parametrize("rule", TAMPERED)
def test_a_tampered_plan_is_caught_by_the_name_of_the_rule(full_plan, rule):
    tables, policies = full()
    table, broken = checks(Book.of(tables, company(4, **policies), CYCLE), TAMPERED[rule](full_plan))
    assert not table.set_index("rule").loc[rule, "holds"], broken


@pytest.mark.parametrize(
    "table, column, rule",
    [("supply_plan", "available", "no_late_orders"), ("shipments", "arrival", "no_late_shipments")],
)
def test_goods_that_arrive_too_early_are_caught(full_plan, table, column, rule):
    tables, policies = full()
    late = full_plan[table].copy()
    late.loc[late["source"].eq("IRON") if table == "supply_plan" else late["destination"].eq("DC"), column] = MONTHS[0]
    found, _ = checks(Book.of(tables, company(4, **policies), CYCLE), full_plan | {table: late})
    assert not found.set_index("rule").loc[rule, "holds"]


def test_what_is_made_must_be_there_in_the_month_in_which_it_is_made(full_plan):
    tables, policies = full()
    made = full_plan["supply_plan"]
    late = made.assign(available=made["available"] + pd.DateOffset(months=1)).where(made["mode"].ne("buy"), made)
    found, _ = checks(Book.of(tables, company(4, **policies), CYCLE), full_plan | {"supply_plan": late})
    assert not found.set_index("rule").loc["stock_balance", "holds"]


def test_a_plan_that_breaks_a_rule_is_not_returned(monkeypatch):
    from sopkit.supply import results

    honest = results._Found.deliveries
    monkeypatch.setattr(results._Found, "deliveries", lambda self: honest(self).assign(lost=1.0))
    with pytest.raises(StageError, match="demand_balance: off by"):
        planned(plain(hours=200))


# wrong data -------------------------------------------------------------------------------------------------------
def wrong(**columns):
    return lambda: changed(full()[0], **columns)


def dropped(table: str, query: str):
    def drop() -> dict[str, pd.DataFrame]:
        tables, _ = full()
        return tables | {table: tables[table].query(f"not ({query})")}

    return drop


def loop() -> dict[str, pd.DataFrame]:
    tables, _ = full()
    return tables | {
        "bom": pd.concat([tables["bom"], pd.DataFrame([{"item": "STEEL", "component": "P", "quantity": 1}])])
    }


WRONG = {
    "a NaN": (wrong(offers__price=[3.0, float("nan"), 28.0]), "offers, row ., column price.*empty"),
    "a negative number": (wrong(routings__hours=[0.2, -0.5, 0.25]), "routings, row ., column hours.*at least 0"),
    "an unknown resource": (
        wrong(routings__resource=["CUT", "WELT", "PAINT"]),
        "routings, row ., column resource is 'WELT'",
    ),
    "a missing routing": (dropped("routings", "item == 'PART'"), "bom, row ., column item is 'PART'.*no routing"),
    "a material nobody sells": (
        lambda: dropped("offers", "item == 'STEEL'")() | {"inventory": full()[0]["inventory"].query("item != 'STEEL'")},
        "bom, row ., column component is 'STEEL'.*nobody makes or sells",
    ),
    "a product without source": (
        lambda: (
            dropped("offers", "item == 'Q'")()
            | {"supplier_capacity": pd.DataFrame(), "inventory": full()[0]["inventory"].query("item != 'Q'")}
            | {"supplier_capacity": full()[0]["supplier_capacity"][:0]}
        ),
        "demand_plan, row .*column product is 'Q'.*nobody can make or buy",
    ),
    "an unreachable market": (
        dropped("lanes", "destination == 'B'"),
        "demand_plan, row .*column market is 'B'.*no lane leads",
    ),
    "a lead time beyond the horizon": (
        wrong(lanes__lead_time=[4, 0, 0, 0]),
        "lanes, row ., column lead_time is '4'.*horizon of 4 months",
    ),
    "a minimum order above capacity": (
        wrong(offers__minimum_order=[1000, 0, 0]),
        "offers, row ., column minimum_order is '1000'.*capacity of 900",
    ),
    "a minimum run above capacity": (
        wrong(routings__minimum_run=[0, 1000, 0]),
        "routings, row ., column minimum_run is '1000'",
    ),
    "hours that vanish": (wrong(routings__hours=[0.2, 1e-9, 0.25]), "routings, row ., column hours.*told from nothing"),
    "a loop": (loop, "bom, row ., column component.*a loop"),
    "a month without capacity": (
        dropped("capacity", "month == '2026-03'"),
        "capacity, row 4, column month is '2026-03'.*lacks 1 planned",
    ),
    "more maintenance than hours": (wrong(capacity__maintenance=300.0), "capacity, row .*column maintenance is '300'"),
    "a month without working days": (
        dropped("calendar", "month == '2026-02'"),
        "calendar, row 4, column month is '2026-02'",
    ),
    "a skill nobody has": (wrong(resources__skill="wood"), "resources, row ., column skill is 'wood'"),
    "shares that forbid every order": (
        wrong(offers__share_limit=[0.7, 0.2, 1.0]),
        "offers, row ., column share_limit is '0.7'.*only 90 % of it",
    ),
    "a share of one supplier while the other never delivers": (
        wrong(offers__capacity=[900.0, 0.0, 40.0]),
        "offers, row ., column share_limit is '0.7'.*only 70 % of it",
    ),
    "a supplier's capacity without its offer": (
        wrong(supplier_capacity__supplier="ORE"),
        "supplier_capacity, row 2, column supplier is 'ORE'.*offers no Q",
    ),
    "a lane that ends where it begins": (
        wrong(lanes__destination=["PLANT", "A", "A", "B"]),
        "lanes, row ., column destination is 'PLANT'.*ends where it begins",
    ),
    "hours of people whom nobody names": (
        wrong(resources__skill=["", "metal", ""]),
        "routings, row ., column people_hours is '0.05'.*no skill",
    ),
    "a market called like a site": (
        lambda: full()[0] | {"sites": pd.concat([full()[0]["sites"], pd.DataFrame([{"site": "B", "kind": "dc"}])])},
        "markets, row ., column market is 'B'",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_data_are_named_by_table_and_row_before_the_solver_is_called(name, monkeypatch):
    monkeypatch.setattr("sopkit.supply.solve.build", lambda *_: pytest.fail("the model was built"))
    make, said = WRONG[name]
    with pytest.raises(FindingsError, match=said) as error:
        planned(make(), 4, **full()[1])
    assert (type(error.value) is SupplyDataError) is (name not in ("a NaN", "a negative number"))


def test_only_the_rows_of_a_loop_are_named_not_what_is_made_of_it():
    tables, _ = full()
    back = pd.DataFrame([{"item": "STEEL", "component": "PART", "quantity": 1}])
    with pytest.raises(SupplyDataError) as error:
        planned(tables | {"bom": pd.concat([tables["bom"], back])}, 4)
    loops = [finding for finding in error.value.findings if "loop" in finding.rule]
    assert sorted(finding.value for finding in loops) == ["PART", "STEEL"]  # P is made of PART, but goes into nothing


def test_all_wrong_data_are_named_at_once():
    tables = changed(full()[0], offers__price=[3.0, -1.0, 28.0], routings__hours=[0.2, -0.5, 0.25])
    with pytest.raises(FindingsError) as error:
        planned(tables, 4)
    assert {finding.table for finding in error.value.findings} == {"offers", "routings"}


def test_tables_checked_before_are_planned_alike_and_still_must_not_contradict_each_other():
    tables = inputs(plain(), 2)
    whole, again = supply.plan(Book.of(tables, company(2), CYCLE)), supply.plan(Book(tables, company(2), CYCLE))
    for name, frame in whole.items():
        pd.testing.assert_frame_equal(again[name], frame)
    with pytest.raises(FindingsError, match="routings, row 2, column hours.*empty"):
        Book.of(tables | {"routings": tables["routings"].assign(hours=float("nan"))}, company(2), CYCLE)
    with pytest.raises(SupplyDataError, match="lacks 1 planned month"):
        supply.plan(Book(tables | {"capacity": tables["capacity"][:1]}, company(2), CYCLE))


def test_part_of_a_person_contradicts_whole_people():
    with pytest.raises(SupplyDataError, match="workforce, row 2, column people is '1.5'"):
        planned(crewed(people=1.5), 3, whole_people=True)


# whole units by brute force ---------------------------------------------------------------------------------------
def test_lots_and_orders_are_as_good_as_the_best_of_all_that_could_be_tried():
    """Every whole lot (minimum run 4, set-up 30) and order (minimum 5) of two months is tried."""
    wanted, make_cost, buy_price, hold, price = (3, 6), 2, 9, 1, 12
    tables = plain(hours=7) | read(f"""
        resources
        resource, site
        LINE, PLANT

        routings
        item, resource, hours, cost, setup_cost, minimum_run
        P, LINE, 1, {make_cost}, 30, 4

        suppliers
        supplier
        EAST

        offers
        supplier, item, site, price, capacity, minimum_order
        EAST, P, PLANT, {buy_price}, 8, 5

        policies
        site, item, holding_cost
        PLANT, P, {hold}
        """)
    tables["demand_plan"] = demand({("P", "A"): list(wanted)}, {"P": price})
    lots, orders = (0, 4, 5, 6, 7), (0, 5, 6, 7, 8)
    profits = []
    for make, buy in every(every(lots, lots), every(orders, orders)):
        for sold in every(range(wanted[0] + 1), range(wanted[1] + 1)):
            left = [make[0] + buy[0] - sold[0], make[0] + buy[0] - sold[0] + make[1] + buy[1] - sold[1]]
            if min(left) >= 0:
                profits.append(
                    price * sum(sold)
                    - make_cost * sum(make)
                    - buy_price * sum(buy)
                    - 30 * sum(lot > 0 for lot in make)
                    - hold * sum(left)
                )
    assert best(tables) == pytest.approx(max(profits))


# laws that hold for every company -----------------------------------------------------------------------------------
amounts = st.integers(0, 120)
SLOW = settings(max_examples=5, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def companies(draw) -> dict[str, pd.DataFrame]:
    """A plant, a DC, two products, a supplier of one, stock wishes, backlog or lost sales: all numbers drawn."""
    tables = plain(count=3) | read(f"""
        products
        product, family, price, standard_cost, shelf_life
        P, F, 50, 10, 1
        Q, F, 40, 10, 0

        sites
        site, kind
        PLANT, plant
        DC, dc

        routings
        item, resource, hours
        P, LINE, 1
        Q, LINE, 0.5

        lanes
        origin, destination, cost, lead_time
        PLANT, DC, 1, {draw(st.integers(0, 1))}
        DC, A, 2, 0
        PLANT, B, 3, 0

        suppliers
        supplier
        EAST

        offers
        supplier, item, site, price, capacity
        EAST, Q, DC, {draw(st.integers(5, 45))}, {draw(amounts)}

        inventory
        site, item, quantity
        PLANT, P, {draw(amounts)}

        policies
        site, item, safety_stock, safety_stock_price, holding_cost
        DC, P, {draw(amounts)}, 3, 1
        DC, Q, {draw(amounts)}, 2, 1

        service_policies
        product, market, unmet, backlog_price, lost_price
        P, A, {draw(st.sampled_from(["backlog", "lost", "either"]))}, 4, 5
        Q, B, {draw(st.sampled_from(["backlog", "lost", "either"]))}, 3, 6
        """)
    quantities = st.lists(amounts, min_size=3, max_size=3)
    tables["capacity"] = monthly(
        "resource", {"LINE": [{"hours": hours, "overtime_limit": 10} for hours in draw(quantities)]}, 3
    )
    tables["demand_plan"] = demand({pair: draw(quantities) for pair in every("PQ", "AB")}, {"P": 50, "Q": 40})
    return tables


@SLOW
@given(companies())
def test_more_capacity_a_cheaper_supplier_or_a_longer_shelf_life_never_hurt(tables):
    base = best(tables, 3)
    better = [
        changed(tables, capacity__hours=tables["capacity"]["hours"] + 15),
        changed(tables, offers__price=tables["offers"]["price"] - 4),
        changed(tables, products__shelf_life=[2, 0]),
    ]
    assert all(best(each, 3) >= base - 1e-6 * max(1, abs(base)) for each in better)


@SLOW
@given(companies(), st.sampled_from([0.5, 3.0]))
def test_scaling_money_scales_profit(tables, factor):
    money = (
        "price",
        "cost",
        "standard_cost",
        "hour_cost",
        "overtime_cost",
        "safety_stock_price",
        "holding_cost",
        "backlog_price",
        "lost_price",
    )
    scaled = {
        name: frame.assign(**{column: frame[column] * factor for column in money if column in frame})
        for name, frame in tables.items()
    }
    assert best(scaled, 3) == pytest.approx(best(tables, 3) * factor, rel=1e-6, abs=1e-6)


@SLOW
@given(companies(), st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_nothing_at_all(tables, random):
    shuffled = {name: frame.sample(frac=1, random_state=random.randint(0, 99)) for name, frame in tables.items()}
    one, other = planned(tables, 3), planned(shuffled, 3)
    for name, frame in one.items():
        pd.testing.assert_frame_equal(frame, other[name])


@SLOW
@given(companies())
def test_a_resource_that_nothing_runs_on_changes_nothing(tables):
    idle = tables | {
        "resources": pd.concat(
            [
                tables["resources"],
                pd.DataFrame([{"resource": "IDLE", "site": "PLANT", "hour_cost": 1, "overtime_cost": 1}]),
            ]
        ),
        "capacity": pd.concat(
            [tables["capacity"], monthly("resource", {"IDLE": {"hours": 500, "overtime_limit": 0}}, 3)]
        ),
    }
    one, other = planned(tables, 3), planned(idle, 3)
    for name in ("supply_plan", "stock", "deliveries", "supply_costs"):
        pd.testing.assert_frame_equal(one[name], other[name])


@SLOW
@given(companies())
def test_a_plan_always_exists_and_its_money_adds_up(tables):
    plan = planned(tables, 3, backlog_at_end="forbidden", allocation="priority")
    assert plan["supply_checks"]["holds"].all()
