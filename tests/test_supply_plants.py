"""What a mid-size plant needs beyond the plain model, each worked by hand; and the check sees each of them tampered."""

from __future__ import annotations

import pandas as pd
import pytest
from small_company import CYCLE, company, demand, monthly, months, read
from test_supply import changed, cost, delivered, plain, planned, profit, shifted, spoken

from sopkit.book import Book
from sopkit.collect.contradictions import contradictions
from sopkit.errors import SupplyDataError
from sopkit.supply.check import checks
from sopkit.supply.network import READS, Network
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


# suppliers and lanes --------------------------------------------------------------------------------------------
def trader(offers: str, more: str = "", wanted: list[float] | None = None) -> Tables:
    """Only bought: P at 50 in shop A; a unit costs 1 to hold."""
    head = "supplier, item, site, price, minimum_order"
    rows = "\n        ".join(["suppliers", "supplier", "EAST", "", "offers", head, *offers.split("; ")])
    return asked(plain(hours=0), wanted or [60, 60]) | read(rows) | (read(more) if more else {})


def test_from_a_quantity_on_all_that_is_ordered_is_cheaper():
    """60 a month at 20, from 100 on at 18: February's are ordered in January for 2 x 60 less and 60 to hold.

    From 150 on at 10: 150 are ordered and 30 stay, at 1 to hold for two months; the material cost is 1,500.
    """
    breaks = "price_breaks\nsupplier, item, site, from_quantity, price\nEAST, P, PLANT, 100, 18"
    tables = trader("EAST, P, PLANT, 20, 0", breaks)
    plan = planned(tables, 2)
    assert plan["supply_plan"]["quantity"].tolist() == pytest.approx([120])
    assert cost(plan, "buying") == pytest.approx(120 * 18)
    tables = trader("EAST, P, PLANT, 20, 0", f"{breaks}\nEAST, P, PLANT, 150, 10")
    plan = planned(tables, 2)
    assert plan["supply_plan"]["quantity"].tolist() == pytest.approx([150])
    assert cost(plan, "buying") == pytest.approx(1500)
    assert plan["stock"]["closing"].tolist() == pytest.approx([90, 30])


def test_an_order_that_misses_its_quantity_has_the_usual_price():
    """100 would be 18 each, 160 less in all; storing 40 for a month costs 240: 60 at 20 are ordered twice."""
    breaks = "price_breaks\nsupplier, item, site, from_quantity, price\nEAST, P, PLANT, 100, 18"
    tables = changed(trader("EAST, P, PLANT, 20, 0", breaks), policies__holding_cost=6.0)
    plan = planned(tables, 2)
    assert plan["supply_plan"]["quantity"].tolist() == pytest.approx([60, 60])
    assert cost(plan, "buying") == pytest.approx(120 * 20)


def test_a_price_that_does_not_fall_is_refused():
    breaks = "price_breaks\nsupplier, item, site, from_quantity, price\nEAST, P, PLANT, 100, 20"
    with pytest.raises(SupplyDataError, match="not lower"):
        Network(Book.of(trader("EAST, P, PLANT, 20, 0", breaks), company(2), CYCLE))


@pytest.mark.parametrize("dated, severity", [(19, None), (17, "warning"), (2, "warning"), (1.5, "error")])
def test_a_price_break_far_from_a_dated_price_is_named(dated, severity):
    """From 100 on 18 instead of 20: where a month has 17 that is 15, and where it has 1.50 it is no price."""
    breaks = "price_breaks\nsupplier, item, site, from_quantity, price\nEAST, P, PLANT, 100, 18"
    tables = trader("EAST, P, PLANT, 20, 0", breaks) | read(f"""
        dated_offers
        supplier, item, site, month, price
        EAST, P, PLANT, 2026-02, {dated}
        EAST, P, PLANT, 2026-03, 0
        """)  # March is not planned
    book = Book.of(tables, company(2), CYCLE)
    found = [one for one in contradictions({name: book[name] for name in READS}, book.company, CYCLE)]
    assert [one.severity for one in found] == [severity] * (severity is not None)
    if severity == "warning":
        Network(book)
        assert (found[0].table, found[0].row, found[0].column, found[0].value) == ("price_breaks", 2, "price", "18")
    if dated == 17:
        assert "has P at 17, it would cost 15 from 100 on: as much below as 18 is below the usual 20" in found[0].rule
    if severity == "error":
        with pytest.raises(SupplyDataError, match="cost -0.5 from 100 on"):
            Network(book)


def test_a_supplier_has_one_capacity_for_all_it_sells():
    """EAST delivers 100 a month of P at 20 and Q at 20, which takes twice as much; P sells at 50, Q at 60."""
    tables = trader("EAST, P, PLANT, 20, 0; EAST, Q, PLANT, 20, 0") | read("""
        products
        product, family, price, standard_cost
        P, F, 50, 10
        Q, F, 60, 10
        """)
    tables["suppliers"] = tables["suppliers"].assign(capacity=100.0)
    tables["offers"] = tables["offers"].assign(capacity_use=[1, 2])
    tables["demand_plan"] = demand({("P", "A"): [60, 60], ("Q", "A"): [60, 60]}, {"P": 50, "Q": 60})
    plan = Session(Book.of(tables, company(2), CYCLE)).plan(explained=True)
    bought = plan["supply_plan"].groupby("item")["quantity"].sum()
    assert bought.to_dict() == pytest.approx({"P": 120, "Q": 40})
    worth = plan["binding_limits"].query("limit == 'vendor_limit'")
    assert worth["shadow_price"].tolist() == pytest.approx([20, 20])
    assert "One more unit that EAST can deliver of anything in Jan 2026 brings 20.00 EUR" in worth["sentence"].iloc[0]
    table, _ = checks(Book.of(tables, company(2), CYCLE), shifted("supply_plan", "quantity", 5)(plan))
    assert not table.set_index("rule").loc["vendor_limit", "holds"]


@pytest.mark.parametrize("price, bought, paid", [(3, 120, 90), (25, 150, 0)])
def test_less_than_a_yearly_quota_is_paid_for_or_ordered(price, bought, paid):
    """900 a year are 150 in two months; 120 are wanted: 30 are missing at 3, or bought at 20 and held for 1 or 2."""
    tables = trader("EAST, P, PLANT, 20, 0")
    tables["suppliers"] = tables["suppliers"].assign(yearly_quota=900.0, quota_price=price)
    plan = planned(tables, 2)
    assert plan["supply_plan"]["quantity"].sum() == pytest.approx(bought)
    assert cost(plan, "missing_quota") == pytest.approx(paid)


def test_a_quota_is_for_calendar_years():
    """From November on, 1,200 a year: 200 for two months of 2026 and 100 for one of 2027, each paid at its end."""
    tables = trader("EAST, P, PLANT, 20, 0", wanted=[100, 60, 60])
    shift = {month: later for month, later in zip(months(3), ["2026-11", "2026-12", "2027-01"], strict=True)}
    for name in ("calendar", "demand_plan", "capacity"):
        tables[name] = tables[name].assign(month=tables[name]["month"].map(shift)).dropna()
    more = tables["capacity"].assign(month="2027-01")[:1]
    tables["capacity"] = pd.concat([tables["capacity"], more])
    tables["suppliers"] = tables["suppliers"].assign(yearly_quota=1200.0, quota_price=1)
    plan = Session(Book.of(tables, company(3), "2026-11")).plan()
    paid = plan["supply_costs"].query("cost == 'missing_quota'").set_index("month")["amount"]
    assert paid.to_dict() == pytest.approx({pd.Timestamp("2026-12-01"): 40, pd.Timestamp("2027-01-01"): 40})


@pytest.mark.parametrize("counted_in, most", [("kg", 100 / 4), ("m3", 100 / 2)])
def test_freight_and_capacity_of_a_lane_by_weight_or_volume(counted_in, most):
    """P weighs 4 kg and takes 2 m3; the lane to A carries 100 of them at 0.5 each."""
    tables = asked(plain(), [60, 60])
    tables["products"] = tables["products"].assign(weight=4.0)
    tables["lanes"] = tables["lanes"].assign(counted_in=[counted_in, "units"], capacity=[100, None], cost=[0.5, 0])
    plan = Session(Book.of(tables, company(2), CYCLE)).plan(explained=True)
    assert delivered(plan, "A") == pytest.approx([most, most])
    assert cost(plan, "freight") == pytest.approx(2 * 100 * 0.5)
    limit = plan["binding_limits"].query("limit == 'lane_limit'").iloc[0]
    assert limit["unit"] == counted_in
    assert f"One more {counted_in} of any item on the way from PLANT to A in Jan 2026 brings" in limit["sentence"]


def modes(asked_first: float) -> Tables:
    """P goes to A by sea in a month at 1, at most 70, or by air at once at 10."""
    tables = asked(plain(hours=200, count=3), [asked_first, 60, 90]) | read("""
        lanes
        origin, destination, mode, cost, lead_time, capacity
        PLANT, A, sea, 1, 1, 70
        PLANT, A, air, 10, 0,
        """)
    return changed(tables, policies__holding_cost=3.0)


def test_what_the_slow_mode_cannot_bring_in_time_goes_by_the_fast_one():
    """January's 30 cannot come by sea, nor 20 of March's 90 beyond its capacity of 70; the rest does."""
    plan = planned(modes(30), 3)
    sent = plan["shipments"].set_index(["mode", "month"])["quantity"]
    january, february, march = MONTHS
    assert sent.to_dict() == pytest.approx(
        {("air", january): 30, ("air", march): 20, ("sea", january): 60, ("sea", february): 70}
    )
    assert cost(plan, "freight") == pytest.approx(50 * 10 + 130 * 1)
    assert plan["shipments"]["origin"].unique().tolist() == ["PLANT"]


def test_a_mode_is_named_where_it_binds():
    plan = Session(Book.of(modes(30), company(3), CYCLE)).plan(explained=True)
    limit = plan["binding_limits"].query("limit == 'lane_limit'").iloc[0]
    assert limit["sentence"].startswith(
        "One more unit of any item on the way from PLANT by sea to A in Feb 2026 brings"
    )
    assert limit["shadow_price"] == pytest.approx(10 - 1)


def test_a_mode_swapped_in_the_plan_is_caught():
    book, plan = Book.of(modes(30), company(3), CYCLE), planned(modes(30), 3)
    swapped = plan["shipments"].assign(mode=plan["shipments"]["mode"].replace({"sea": "air", "air": "sea"}))
    table, _ = checks(book, plan | {"shipments": swapped})
    broken = set(table.loc[~table["holds"], "rule"])
    assert {"no_late_shipments", "money: freight"} <= broken


# bills and routings ---------------------------------------------------------------------------------------------
def two_bills(avoid_price: float = 0.0, valid_to: str = "", valid_from: str = "") -> Tables:
    """P is made of 2 NEW (at 5), or by the routing `old` of 3 OLD (at 2), of which 90 are there and no more come."""
    return asked(plain(hours=200, count=3), [20, 20, 20]) | read(f"""
        materials
        material, standard_cost
        NEW, 5
        OLD, 2
        BOX, 1

        bom
        item, component, routing, quantity
        P, NEW, LINE, 2
        P, OLD, old, 3
        P, BOX,, 1

        routings
        item, resource, routing, operation, hours, avoid_price, valid_from, valid_to
        P, LINE,, 1, 1, 0, {valid_from},
        P, LINE, old, 1, 1, {avoid_price},, {valid_to}

        inventory
        site, item, quantity
        PLANT, OLD, 150

        suppliers
        supplier
        EAST

        offers
        supplier, item, site, price
        EAST, NEW, PLANT, 5
        EAST, BOX, PLANT, 1

        policies
        site, item, holding_cost
        PLANT, P, 1
        PLANT, OLD, 0
        """)


def used_by(plan: Tables) -> dict:
    made = plan["supply_plan"].query("mode != 'buy'")
    return {k: round(q, 6) for k, q in made.groupby(["source", "month"])["quantity"].sum().items()}


def test_of_two_bills_the_cheaper_is_used_while_it_lasts():
    """150 OLD make 50 P, which cost nothing more: 10 are made of 20 NEW. All 60 need a BOX."""
    plan = planned(two_bills(), 3)
    by_way = plan["supply_plan"].query("mode != 'buy'").groupby("source")["quantity"].sum()
    assert by_way.to_dict() == pytest.approx({"LINE": 10, "old": 50})
    assert cost(plan, "buying") == pytest.approx(10 * 2 * 5 + 60)


def test_a_bill_that_is_less_preferred_is_used_where_it_is_worth_its_price():
    """Made of NEW a unit costs 10 more: at 11 the old bill is avoided, at 9 used, and nobody is paid for it."""
    assert {way for way, _ in used_by(planned(two_bills(avoid_price=11), 3))} == {"LINE"}
    plan = planned(two_bills(avoid_price=9), 3)
    assert cost(plan, "less_preferred") == pytest.approx(50 * 9)
    assert plan["supply_costs"].query("cost == 'less_preferred'")["penalty"].all()


def test_a_routing_and_its_bill_hold_from_month_to_month():
    """The old one ends in January; the new one begins in March: 30 are made before, and held at 1 a month."""
    january, _, march = MONTHS
    plan = planned(two_bills(valid_to="2026-01", valid_from="2026-03"), 3)
    assert used_by(plan) == {("old", january): 50, ("LINE", march): 10}
    assert cost(plan, "holding") == pytest.approx(30 + 10)
    late = plan["supply_plan"].replace({"month": {march: MONTHS[1]}, "available": {march: MONTHS[1]}})
    book = Book.of(two_bills(valid_to="2026-01", valid_from="2026-03"), company(3), CYCLE)
    table, _ = checks(book, plan | {"supply_plan": late})
    assert not table.set_index("rule").loc["ways_in_date", "holds"]


def test_a_bill_for_a_routing_that_is_not_there_is_refused():
    tables = two_bills()
    tables["bom"] = tables["bom"].replace({"routing": {"old": "odl"}})
    with pytest.raises(SupplyDataError, match="no routing of P has this name"):
        Network(Book.of(tables, company(3), CYCLE))


def sawmill(quantity: float, by_product: list[float] | None, policies: str, hours: float = 100) -> Tables:
    """An hour at 10 makes a P, at 50 in shop A, and some of Q beside it, at 60."""
    tables = asked(plain(hours=hours, count=2), [20, 20]) | read(f"""
        products
        product, family, price, standard_cost
        P, F, 50, 10
        Q, F, 60, 10

        bom
        item, component, quantity, by_product
        P, Q, {quantity}, true

        policies
        site, item, holding_cost, disposal_price
        {policies}
        """)
    wanted = {("P", "A"): [20.0, 20.0]} | ({("Q", "A"): by_product} if by_product else {})
    return tables | {"demand_plan": demand(wanted, {"P": 50, "Q": 60})}


def test_for_a_by_product_more_is_made_than_is_asked_for():
    """30 Q need 60 P, of which 20 are sold and 40 written off at 1; the 100 hours are no limit."""
    plan = planned(sawmill(0.5, [30, 30], "PLANT, P, 5, 1\n        PLANT, Q, 2,"), 2)
    assert plan["supply_plan"]["quantity"].tolist() == pytest.approx([60, 60])
    assert delivered(plan, "A") == pytest.approx([20, 20, 30, 30])
    stock = plan["stock"].set_index(["item", "month"])
    assert stock.loc["Q", "received"].tolist() == pytest.approx([30, 30])
    assert stock.loc["P", "scrapped"].tolist() == pytest.approx([40, 40])
    assert profit(plan) == pytest.approx(2 * (20 * 50 + 30 * 60 - 600 - 40))


def test_a_by_product_that_nobody_wants_is_held_or_paid_for():
    """10 come out with 20 P a month: at 8 each they are written off, without a price they stay."""
    plan = planned(sawmill(0.5, None, "PLANT, Q, 9, 8"), 2)
    assert cost(plan, "disposing") == pytest.approx(2 * 10 * 8) and cost(plan, "holding") == 0
    plan = planned(sawmill(0.5, None, "PLANT, Q, 9,"), 2)
    assert plan["stock"].query("item == 'Q'")["closing"].tolist() == pytest.approx([10, 20])
    assert cost(plan, "holding") == pytest.approx(9 * 30)
    assert planned(sawmill(6, None, "PLANT, Q, 9, 8"), 2)["supply_plan"].empty  # 48 a unit: no P pays for it


def test_a_by_product_that_is_short_is_traced_to_the_line():
    """30 hours make 30 P and 15 Q: an hour more brings half a Q at 60, less the hour at 10 and a P written off at 1."""
    session = Session(Book.of(sawmill(0.5, [30, 30], "PLANT, P, 5, 1", hours=30), company(2), CYCLE))
    plan = session.plan(explained=True)
    binding = plan["binding_limits"].query("limit == 'regular_capacity'")
    assert binding["shadow_price"].tolist() == pytest.approx([19, 19])
    why = plan["why_short"].query("item == 'Q' and step == 1")
    assert (why["limit"] == "regular_capacity").all() and why["quantity"].tolist() == pytest.approx([15, 15])


def test_a_by_product_with_a_set_up_has_its_lot():
    """For 30 Q a lot of 60 P is needed, three times what is asked of P."""
    tables = changed(sawmill(0.5, [30, 30], "PLANT, P, 5, 1"), routings__setup_cost=100.0)
    plan = planned(tables, 2, gap=0.0)
    assert plan["supply_plan"]["quantity"].sum() == pytest.approx(120)


def test_more_than_is_of_use_is_made_where_a_change_of_hours_is_dearer():
    """60 P are asked in January, 20 in February: 40 hours fewer would cost 12 each, 40 P more cost 10 and 1 to hold."""
    tables = changed(asked(plain(count=2), [60, 20]), routings__setup_cost=5.0, resources__change_price=12.0)
    plan = planned(tables, 2, gap=0.0)
    assert plan["supply_plan"]["quantity"].tolist() == pytest.approx([60, 60])
    assert cost(plan, "changing_rate") == pytest.approx(0)


def test_a_by_product_that_goes_into_itself_is_refused():
    tables = sawmill(0.5, None, "PLANT, P, 5, 1")
    back = {"item": "M", "component": "Q", "quantity": 1.0, "by_product": False}
    part = {"item": "P", "component": "M", "quantity": 1.0, "by_product": False}
    tables["bom"] = pd.concat([tables["bom"], pd.DataFrame([back, part])])
    tables |= read("materials\nmaterial, standard_cost\nM, 1")
    tables["routings"] = pd.concat([tables["routings"], tables["routings"].assign(item="M")])
    with pytest.raises(SupplyDataError, match="a loop"):
        Network(Book.of(tables, company(2), CYCLE))


def test_a_product_that_stands_in_for_another_is_a_way_of_making_it():
    """20 of 50 P a month can be made at 10; all 40 Q in stock stand in for it at 3 a unit, in February alone."""
    tables = asked(plain(hours=20), [50, 50]) | read("""
        products
        product, family, price, standard_cost
        P, F, 50, 10
        Q, F, 60, 10

        resources
        resource, site, hour_cost
        LINE, PLANT, 10
        RELABEL, PLANT, 0

        routings
        item, routing, resource, hours, cost, valid_from
        P, made, LINE, 1, 0,
        P, Q for P, RELABEL, 0, 3, 2026-02

        bom
        item, component, routing, quantity
        P, Q, Q for P, 1

        inventory
        site, item, quantity
        PLANT, Q, 40
        """)
    tables["capacity"] = monthly("resource", {"LINE": {"hours": 20}, "RELABEL": {"hours": 0}}, 2)
    plan = planned(tables, 2)
    assert delivered(plan, "A") == pytest.approx([20, 50])
    assert cost(plan, "making") == pytest.approx(40 * 3)


# surplus and carbon ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize("price, scrapped", [(3.0, 60), (11.0, 0), (None, 0)])
def test_surplus_is_written_off_at_a_price_where_keeping_it_is_dearer(price, scrapped):
    """100 are there, 20 are sold in each month. Keeping a unit costs 5 a month: 60 would stay for two months."""
    tables = asked(plain(count=2), [20, 20]) | read("""
        inventory
        site, item, quantity
        PLANT, P, 100
        """)
    tables = changed(tables, policies__holding_cost=5.0, policies__disposal_price=price)
    plan = planned(tables, 2)
    assert plan["stock"]["scrapped"].sum() == pytest.approx(scrapped)
    assert cost(plan, "disposing") == pytest.approx(scrapped * (price or 0))


def test_what_is_written_off_without_a_price_is_caught():
    tables, policies = spoken()
    book = Book.of(tables, company(3, **policies), CYCLE)
    plan = Session(book).plan()
    table, _ = checks(book, shifted("stock", "scrapped", 5, "item == 'STEEL'")(plan))
    assert not table.set_index("rule").loc["scrap", "holds"]


def two_lines(**policies) -> Tables:
    """50 P a month: an hour of LINE costs 10 and emits 2 kg, one of CLEAN costs 12 and emits nothing."""
    tables = asked(plain(count=2), [50, 50])
    tables["resources"] = pd.concat(
        [tables["resources"].assign(carbon=2.0), tables["resources"].assign(resource="CLEAN", hour_cost=12, carbon=0.0)]
    )
    tables["routings"] = pd.concat([tables["routings"], tables["routings"].assign(resource="CLEAN")])
    tables["capacity"] = pd.concat([tables["capacity"], tables["capacity"].assign(resource="CLEAN", hours=30)])
    return Session(Book.of(tables, company(2, **policies), CYCLE)).plan(explained=True)


@pytest.mark.parametrize("price, clean", [(0.9, 0), (1.1, 60)])
def test_carbon_at_a_price_moves_work_to_where_it_is_worth_it(price, clean):
    """A unit costs 2 more on CLEAN and emits 2 kg less: from 1 a kg on. Nobody is paid."""
    plan = two_lines(carbon_price=price)
    made = plan["supply_plan"].groupby("source")["quantity"].sum()
    assert made.get("CLEAN", 0) == pytest.approx(clean)
    assert plan["supply_carbon"]["carbon"].sum() == pytest.approx(2 * (100 - clean))
    assert cost(plan, "pricing_carbon") == pytest.approx(price * 2 * (100 - clean))
    assert plan["supply_costs"].query("cost == 'pricing_carbon'")["penalty"].all()


def test_a_cap_on_carbon_comes_before_money():
    """150 kg: 75 units on LINE, 25 on CLEAN; a kg more would save 1. 40 kg: 20 + 60 units, and 20 are lost."""
    plan = two_lines(carbon_cap=150)
    assert plan["supply_carbon"]["carbon"].sum() == pytest.approx(150)
    limit = plan["binding_limits"].query("limit == 'carbon_cap'").iloc[0]
    assert (limit["shadow_price"], limit["unit"]) == (pytest.approx(1), "kg")
    assert limit["sentence"].startswith("One more kg of carbon allowed by the end in Feb 2026 brings 1.00 EUR")
    plan = two_lines(carbon_cap=40)
    assert plan["supply_carbon"]["carbon"].sum() == pytest.approx(40)
    assert plan["deliveries"]["lost"].sum() == pytest.approx(20)


# the check ------------------------------------------------------------------------------------------------------
TAMPERED = {
    "opening_backlog": shifted("deliveries", "backlog", -3, "product == 'P' and market == 'A' and month == @MONTHS[0]"),
    "firm_orders_first": shifted("supply_exceptions", "amount", 3, "cost == 'missing_orders'"),
    "stock_balance": shifted("stock", "received", -3, "item == 'CHIPS'"),
    "people_balance": shifted("people_plan", "leaving", 1, "month == @MONTHS[1]"),
    "safety": shifted("stock", "safety_stock", 5, "item == 'P' and site == 'PLANT'"),
    "money: buying": shifted("supply_plan", "cost", 5, "source == 'ORE'"),
    "carbon_cap": shifted("supply_carbon", "carbon", 9),
    "lane_limit": shifted("shipments", "quantity", 600, "origin == 'DC' and destination == 'B'"),
    "money: missing_quota": shifted("supply_costs", "amount", 5, "cost == 'missing_quota'"),
    "money: freight": shifted("shipments", "cost", 5, "cost > 0"),
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
