"""What a mid-size plant needs beyond the plain model, each worked by hand; and the check sees each of them tampered."""

from __future__ import annotations

import pandas as pd
import pytest
from small_company import CYCLE, company, demand, months, read
from test_supply import changed, cost, delivered, plain, planned, profit, shifted, spoken

from sopkit.book import Book
from sopkit.errors import SupplyDataError
from sopkit.supply.check import checks
from sopkit.supply.network import Network
from sopkit.supply.resolve import Session

MONTHS = [pd.Timestamp(month) for month in months(3)]
Tables = dict[str, pd.DataFrame]


def asked(tables: Tables, a: list[float], b: list[float] | None = None) -> Tables:
    """`tables` of `plain` with another demand of shop A (and B), for as many months."""
    count, wanted = len(a), {("P", "A"): a} | ({("P", "B"): b} if b else {})
    calendar = pd.DataFrame({"month": months(count), "working_days": 20})
    return tables | {"demand_plan": demand(wanted, {"P": 50}), "calendar": calendar}


@pytest.fixture(scope="module")
def plant() -> Tables:
    tables, policies = spoken()
    return Session(Book.of(tables, company(3, **policies), CYCLE)).plan()


# stock ----------------------------------------------------------------------------------------------------------
def test_safety_stock_by_month():
    """10 wanted, in February 40: 50 are sold each month, a unit costs 1 to hold, one that is missing 5."""
    tables = asked(plain(count=3), [50, 50, 50]) | read("""
        policies
        site, item, safety_stock, safety_stock_price, holding_cost
        PLANT, P, 10, 5, 1

        dated_policies
        site, item, month, safety_stock
        PLANT, P, 2026-02, 40
        """)
    plan = planned(tables, 3)
    assert plan["stock"]["closing"].tolist() == pytest.approx([10, 40, 10])
    assert plan["stock"]["safety_stock"].tolist() == pytest.approx([10, 40, 10])


def test_days_of_cover_are_parts_of_what_leaves_in_the_months_after():
    """45 days: all of the next month and half of the one after; after the horizon its average month goes on.

    30, 40, 50 are sold, 40 on average: 40 + 50 / 2 = 65, 50 + 40 / 2 = 70, 40 + 40 / 2 = 60.
    """
    tables = asked(plain(hours=200, count=3), [30, 40, 50]) | read("""
        policies
        site, item, cover_days, safety_stock_price, holding_cost
        PLANT, P, 45, 5, 1
        """)
    plan = planned(tables, 3)
    assert plan["stock"]["closing"].tolist() == pytest.approx([65, 70, 60])
    assert plan["stock"]["safety_stock"].tolist() == pytest.approx([65, 70, 60])
    assert cost(plan, "missing_safety_stock") == pytest.approx(0)


def test_days_of_cover_of_a_material_cover_what_is_made_of_it():
    tables = asked(plain(count=2), [30, 40]) | read("""
        materials
        material, standard_cost
        M, 2

        bom
        item, component, quantity
        P, M, 3

        suppliers
        supplier
        EAST

        offers
        supplier, item, site, price
        EAST, M, PLANT, 2

        policies
        site, item, cover_days, safety_stock_price, holding_cost
        PLANT, M, 15, 5, 0.1
        PLANT, P, 0, 0, 4
        """)
    stock = planned(tables, 2)["stock"].query("item == 'M'")
    assert stock["closing"].tolist() == pytest.approx([40 * 3 / 2, 35 * 3 / 2])


def test_cover_that_hours_do_not_allow_is_missing_and_paid_for():
    """40 hours: 10 of the 20 for half of February are there, and 10 of the 17.5 for half of an average month."""
    tables = asked(plain(hours=40, count=2), [30, 40]) | read("""
        policies
        site, item, cover_days, safety_stock_price, holding_cost
        PLANT, P, 15, 5, 1
        """)
    plan = planned(tables, 2)
    assert plan["stock"]["below_safety"].tolist() == pytest.approx([10, 7.5])
    assert cost(plan, "missing_safety_stock") == pytest.approx(5 * 17.5)
    assert cost(plan, "missing_end_stock") == pytest.approx(7.5 * (10 + 5))


def test_stock_on_hand_has_several_ages():
    """30 made a month ago and 30 two months ago, which keep for two months: the older can be sold in January alone."""
    tables = asked(plain(hours=0, count=2), [30, 60]) | read("""
        products
        product, family, price, standard_cost, shelf_life
        P, F, 50, 10, 2

        inventory
        site, item, quantity, age
        PLANT, P, 30, 0
        PLANT, P, 50, 1
        """)
    plan = planned(tables, 2)
    assert delivered(plan, "A") == pytest.approx([30, 30])
    assert plan["stock"]["scrapped"].sum() == pytest.approx(20)


# orders of customers --------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "unmet, arrives, lost, waits",
    [("backlog", [100, 100], 0, 20), ("lost", [100, 60], 20, 0), ("either", [100, 80], 0, 0)],
)
def test_orders_that_are_late_wait_beside_the_demand_of_the_plan(unmet, arrives, lost, waits):
    """60 are asked in each month and 60 are late; 100 can be made in January, 100 or 80 in February.

    What may not wait is lost after its first month: of 120 for January 20.
    """
    tables = asked(plain(hours=100, count=2), [60, 60]) | read(f"""
        customer_orders
        product, market, month, quantity
        P, A, 2025-11, 40
        P, A, 2025-12, 20

        service_policies
        product, market, unmet, backlog_price, lost_price
        P, A, {unmet}, 5, 5
        """)
    if unmet == "backlog":
        tables["demand_plan"] = demand({("P", "A"): [60, 100]}, {"P": 50})
    plan = planned(tables, 2)
    assert delivered(plan, "A") == pytest.approx(arrives)
    assert plan["deliveries"]["lost"].sum() == pytest.approx(lost)
    assert plan["deliveries"]["backlog"].iloc[-1] == pytest.approx(waits)


def test_firm_orders_are_served_before_what_is_only_forecast():
    """100 hours for 60 + 60. B pays less, but 50 of its 60 are ordered: money alone would leave it 40."""
    tables = plain(hours=100, count=1) | read("""
        customer_orders
        product, market, month, quantity
        P, B, 2026-01, 50
        """)
    tables["demand_plan"] = tables["demand_plan"].assign(price=[50, 30])
    plan = planned(tables, 1)
    assert (delivered(plan, "A"), delivered(plan, "B")) == ([50], [50])
    assert delivered(planned(tables | {"customer_orders": tables["customer_orders"][:0]}, 1), "B") == [40]


def test_the_plan_is_at_least_what_is_ordered_and_missing_orders_are_said():
    """150 are ordered where 60 were planned: 100 can be made, 50 are missing."""
    tables = plain(hours=100, count=1) | read("""
        customer_orders
        product, market, month, quantity
        P, A, 2026-01, 150
        """)
    plan = planned(tables, 1)
    assert plan["deliveries"].query("market == 'A'")["demand"].tolist() == [150]
    said = plan["supply_exceptions"].query("promise == 'short_orders'")
    assert said[["place", "item", "amount", "price"]].to_numpy().tolist() == [["A", "P", 50, 0]]
    assert dict(plan["supply_run"].to_numpy())["short orders"] == "50"


# people ---------------------------------------------------------------------------------------------------------
def manned(dated: str = "", attrition: float = 0.0) -> Tables:
    """10 people of 10 hours a month; the line needs one for each hour; hiring costs 100."""
    tables = asked(plain(hours=200, count=3), [100, 100, 100]) | read(f"""
        resources
        resource, site, skill
        LINE, PLANT, sewing

        workforce
        site, skill, people, hours_per_day, wage, hire_cost, layoff_cost, attrition
        PLANT, sewing, 10, 0.5, 10, 100, 1000, {attrition}
        """)
    return tables | (read(dated) if dated else {})


def test_people_hired_before_start_and_people_known_to_leave_go():
    """Two start in February, one leaves in March. The wage is 10, and 12 from February on."""
    tables = manned("""
        dated_workforce
        site, skill, month, starting, leaving, wage
        PLANT, sewing, 2026-02, 2, 0, 12
        PLANT, sewing, 2026-03, 0, 1,
        """)
    plan = planned(tables, 3)
    people = plan["people_plan"]
    assert people["people"].tolist() == [10, 12, 11]
    assert people[["starting", "leaving"]].to_numpy().tolist() == [[0, 0], [2, 0], [0, 1]]
    assert cost(plan, "wages") == pytest.approx(10 * 10 + 12 * 12 + 11 * 12)
    assert cost(plan, "hiring") == 0


def test_who_leaves_by_himself_is_hired_for_again():
    """One in ten leaves each month: 10 are needed, so one is hired in each."""
    plan = planned(changed(manned(attrition=0.1), policies__holding_cost=40.0), 3)
    assert plan["people_plan"]["people"].tolist() == pytest.approx([10, 10, 10])
    assert plan["people_plan"]["leaving"].tolist() == pytest.approx([1, 1, 1])
    assert cost(plan, "hiring") == pytest.approx(300)


def test_more_people_who_leave_than_there_are_and_parts_of_people_are_refused():
    tables = manned("""
        dated_workforce
        site, skill, month, starting, leaving
        PLANT, sewing, 2026-02, 0, 11
        """)
    with pytest.raises(SupplyDataError, match="more people leave than there are"):
        Network(Book.of(tables, company(3), CYCLE))
    with pytest.raises(SupplyDataError, match="part of a person"):
        Network(Book.of(manned(attrition=0.1), company(3, whole_people=True), CYCLE))


# prices by month ------------------------------------------------------------------------------------------------
def test_what_is_ordered_before_a_price_rises_is_kept_for_later():
    """AMPL's steel with monthly prices, bought: 20, 26, 23 a unit, 1 to hold: all are ordered in January."""
    tables = asked(plain(hours=0, count=3), [30, 30, 30]) | read("""
        suppliers
        supplier
        EAST

        offers
        supplier, item, site, price, lead_time
        EAST, P, PLANT, 20, 0

        dated_offers
        supplier, item, site, month, price
        EAST, P, PLANT, 2026-02, 26
        EAST, P, PLANT, 2026-03, 23
        """)
    plan = planned(tables, 3)
    bought = plan["supply_plan"].set_index("month")
    assert bought["quantity"].to_dict() == pytest.approx({MONTHS[0]: 90})
    assert cost(plan, "buying") == pytest.approx(90 * 20)
    dear = planned(tables | {"policies": tables["policies"].assign(holding_cost=4.0)}, 3)
    assert dear["supply_plan"]["quantity"].tolist() == pytest.approx([60, 30])
    assert profit(dear) == pytest.approx(90 * 50 - 60 * 20 - 30 * 23 - 30 * 4)


# the check ------------------------------------------------------------------------------------------------------
TAMPERED = {
    "opening_backlog": shifted("deliveries", "backlog", -3, "product == 'P' and market == 'A' and month == @MONTHS[0]"),
    "firm_orders_first": shifted("supply_exceptions", "amount", 3, "cost == 'missing_orders'"),
    "people_balance": shifted("people_plan", "leaving", 1, "month == @MONTHS[1]"),
    "safety": shifted("stock", "safety_stock", 5, "item == 'P' and site == 'PLANT'"),
    "money: buying": shifted("supply_plan", "cost", 5, "source == 'ORE'"),
    "money: wages": shifted("supply_costs", "amount", 5, "cost == 'wages'"),
}


@pytest.mark.parametrize("rule", TAMPERED)
def test_a_tampered_plan_is_caught_by_the_name_of_the_rule(plant, rule):
    tables, policies = spoken()
    book = Book.of(tables, company(3, **policies), CYCLE)
    table, _ = checks(book, plant)
    assert table["holds"].all()
    table, broken = checks(book, TAMPERED[rule](plant))
    assert not table.set_index("rule").loc[rule, "holds"], broken
