"""Days beside months, whole lots, full loads, a lane for one item, goods on their way: each worked by hand."""

from __future__ import annotations

import pandas as pd
import pytest
from small_company import CYCLE, company, demand, monthly, months, profit, read

from sopkit import supply
from sopkit.book import Book, Plan
from sopkit.errors import SupplyDataError
from sopkit.reconcile.futures import decided
from sopkit.supply.check import checks
from sopkit.supply.resolve import Session

MONTHS = [pd.Timestamp(month) for month in months(3)]
Tables = dict[str, pd.DataFrame]


def trader(offer: str, lanes: str = "", wanted: tuple[float, ...] = (60.0, 60.0)) -> Tables:
    """P is bought for STORE and sold in market A at 50; a unit costs 1 to hold for a month; what is short is lost."""
    tables = read(f"""
        families
        family
        F

        products
        product, family, price, standard_cost
        P, F, 50, 10
        Q, F, 50, 10

        sites
        site, kind
        STORE, dc
        DEPOT, dc

        markets
        market, region, channel
        A, all, retail

        suppliers
        supplier
        EAST

        offers
        supplier, item, site, {offer}

        lanes
        {lanes or "origin, destination"}
        {"STORE, A" if not lanes else ""}

        policies
        site, item, holding_cost
        STORE, P, 1

        service_policies
        product, market, unmet, backlog_price, lost_price
        P, A, lost, 0, 0
        """)
    count = len(wanted)
    return tables | {
        "calendar": pd.DataFrame({"month": months(count), "working_days": 20}),
        "demand_plan": demand({("P", "A"): list(wanted)}, {"P": 50}),
    }


def planned(tables: Tables, **policies) -> Tables:
    count = len(tables["calendar"])
    return Session(Book.of(tables, company(count, **policies), CYCLE)).plan()


def quantities(frame: pd.DataFrame, *columns: str) -> list[list]:
    return [[*row[:-1], round(row[-1], 6)] for row in frame[[*columns, "quantity"]].to_numpy().tolist()]


# days ---------------------------------------------------------------------------------------------------------------
DAYS = "price, lead_days\nEAST, P, STORE, 20, 21".replace("\n", "\n        ")


def test_of_a_lead_time_of_21_days_30_percent_arrives_in_the_month_of_ordering_and_70_in_the_next():
    """Orders of 100 and 100: 30 arrive in January, 70 + 30 in February, 70 in March; paid for as they arrive.

    In March, the last month, only the 30 are ordered that are still to arrive in it.
    """
    plan = planned(trader(DAYS, wanted=(30, 100, 100)))
    january, february, march = MONTHS
    assert quantities(plan["supply_plan"], "month", "available") == [
        [january, january, 30], [january, february, 70], [february, february, 30], [february, march, 70],
        [march, march, 30],
    ]  # fmt: skip
    assert plan["deliveries"]["lost"].sum() == pytest.approx(0)
    paid = plan["supply_costs"].query("cost == 'buying'").set_index("month")["amount"]
    assert paid.to_dict() == pytest.approx({january: 600, february: 2000, march: 2000})


def test_days_beyond_a_month_and_months_with_days_add_up():
    """45 days, or a month and 15: half of an order after one month, half after two."""
    for lead in ("0, 45", "1, 15"):
        offer = f"price, lead_time, lead_days\n        EAST, P, STORE, 20, {lead}"
        plan = planned(trader(offer, wanted=(0, 50, 50)))
        assert quantities(plan["supply_plan"], "month", "available") == [
            [MONTHS[0], MONTHS[1], 50], [MONTHS[0], MONTHS[2], 50]
        ]  # fmt: skip


def test_a_part_that_arrives_in_another_month_than_its_days_say_is_caught():
    tables = trader(DAYS, wanted=(30, 100, 70))
    plan, book = planned(tables), Book.of(tables, company(3), CYCLE)
    for column, value in (("quantity", 31.0), ("available", MONTHS[2])):
        lines = plan["supply_plan"].copy()
        lines.loc[0, column] = value
        found, _ = checks(book, plan | {"supply_plan": lines})
        assert not found.set_index("rule").loc["no_late_orders", "holds"]


def test_more_than_the_demand_is_ordered_where_its_first_part_alone_comes_in_time():
    """30 in January at 50 need an order of 100, of which 70 come too late; a unit costs 1, and 1 a month to hold."""
    offer = "price, minimum_order, lead_days\n        EAST, P, STORE, 1, 50, 21"
    plan = planned(trader(offer, wanted=(30, 0)))
    assert plan["supply_plan"]["quantity"].tolist() == pytest.approx([30, 70])
    assert profit(plan) == pytest.approx(30 * 50 - 100 - 70)


LANES = """origin, destination, item, cost, lead_time, lead_days, capacity, full_load
        STORE, DEPOT,, 1, 0, {days}, {capacity}, {load}
        DEPOT, A,, 0, 0, 0,, 0"""
OFFER = "price\n        EAST, P, STORE, 20"


@pytest.mark.parametrize(("life", "arrives"), [(0, [[0, 0, 60.0], [0, 1, 40.0]]), (2, [[0, 1, 40.0]])])
def test_days_on_a_lane_count_in_part_and_as_a_month_for_what_can_get_too_old(life: int, arrives: list):
    tables = trader(OFFER, LANES.format(days=12, capacity=100, load=0), wanted=(60, 40))
    tables["products"] = tables["products"].assign(shelf_life=life)
    sent = planned(tables)["shipments"].query("destination == 'DEPOT'")
    assert quantities(sent, "month", "arrival") == [[MONTHS[a], MONTHS[b], units] for a, b, units in arrives]


def test_fair_shares_begin_when_the_first_part_can_arrive():
    tables = trader(OFFER, LANES.format(days=12, capacity=50, load=0), wanted=(60, 60, 60))
    assert planned(tables, allocation="fair_share")["deliveries"]["delivered"].tolist() == pytest.approx([30, 50, 60])


# whole lots and full loads ------------------------------------------------------------------------------------------
LOTS = "price, order_multiple\n        EAST, P, STORE, {price}, 50"


@pytest.mark.parametrize(("price", "orders", "most"), [(10, [100, 50], 4430), (20, [50, 50], 3000)])
def test_orders_are_whole_pallets(price: int, orders: list[float], most: float):
    """120 are wanted, pallets hold 50. At 10 a third pallet brings 20 x 50 for 500 and 70 of holding; at 20 it costs

    as much as it brings, and holding: two pallets, and 20 units are lost.
    """
    plan = planned(trader(LOTS.format(price=price)))
    assert plan["supply_plan"]["quantity"].tolist() == pytest.approx(orders)
    assert profit(plan) == pytest.approx(most)


def test_what_is_lost_for_want_of_a_whole_pallet_is_said():
    tables = trader(LOTS.format(price=20))
    plan = supply.plan(Book.of(tables, company(2), CYCLE))
    (said,) = set(plan["why_short"]["sentence"].str.partition(": ")[2])
    assert (
        said == "one more unit needs 1 more units of P at EAST STORE beyond whole lots: "
        "another lot costs more than it brings."
    )


@pytest.mark.parametrize(("load", "sent"), [(0, [60, 60]), (50, [100, 50])])
def test_between_sites_go_full_trucks(load: int, sent: list[float]):
    lanes = LANES.format(days=0, capacity=100, load=load)
    plan = planned(trader("price\n        EAST, P, STORE, 10", lanes))
    inner = plan["shipments"].query("destination == 'DEPOT'")
    assert inner["quantity"].tolist() == pytest.approx(sent)
    assert plan["deliveries"]["delivered"].tolist() == pytest.approx([60, 60])


@pytest.mark.parametrize("rule", ["whole_lots", "full_loads"])
def test_a_part_of_a_lot_or_load_in_a_plan_is_caught(rule: str):
    lots = trader(LOTS.format(price=10), LANES.format(days=0, capacity=100, load=50))
    plan, book = planned(lots), Book.of(lots, company(2), CYCLE)
    name = "supply_plan" if rule == "whole_lots" else "shipments"
    lines = plan[name].assign(quantity=plan[name]["quantity"] - 7)
    found, _ = checks(book, plan | {name: lines})
    assert not found.set_index("rule").loc[rule, "holds"]


def test_a_load_larger_than_the_lane_and_full_loads_to_a_market_are_refused():
    with pytest.raises(SupplyDataError, match="full load above the capacity of 40 a month"):
        planned(trader(OFFER, LANES.format(days=0, capacity=40, load=50)))
    lanes = "origin, destination, full_load\n        STORE, A, 50"
    with pytest.raises(SupplyDataError, match="lanes, row 2, column full_load is '50'.*it takes what it asks for"):
        planned(trader(OFFER, lanes))


# a lane for one item ------------------------------------------------------------------------------------------------
def two(lanes: str) -> Tables:
    tables = trader("price\n        EAST, P, STORE, 10\n        EAST, Q, STORE, 10", lanes)
    return tables | {"demand_plan": demand({("P", "A"): [60, 60], ("Q", "A"): [60, 60]}, {"P": 50, "Q": 50})}


def test_a_row_with_an_item_is_for_that_item_and_the_row_without_for_all_others():
    """P goes at 1 at once; Q at 4 in a month, at most 40: 120 x 1 + 40 x 4 of freight."""
    lanes = (
        "origin, destination, item, cost, lead_time, capacity\n        STORE, A,, 1, 0,\n        STORE, A, Q, 4, 1, 40"
    )
    plan = planned(two(lanes))
    assert quantities(plan["shipments"], "item", "arrival") == [
        ["P", MONTHS[0], 60], ["P", MONTHS[1], 60], ["Q", MONTHS[1], 40]
    ]  # fmt: skip
    assert plan["supply_costs"].query("cost == 'freight'")["amount"].sum() == pytest.approx(120 + 160)


def test_where_all_rows_name_their_item_nothing_else_moves():
    lanes = "origin, destination, item\n        STORE, A, P"
    with pytest.raises(
        SupplyDataError, match="demand_plan, row .*column market is 'A'.*no lane leads there from where Q"
    ):
        planned(two(lanes))


# already on their way, and who makes what ---------------------------------------------------------------------------
def test_a_transfer_under_way_arrives_in_its_month_and_nobody_pays_for_it():
    """45 of P are on the road to STORE for February: they are sold there, and only the other 75 are bought."""
    tables = trader(OFFER) | read("""
        scheduled_receipts
        site, item, month, quantity
        STORE, P, 2026-02, 45
        """)
    plan = planned(tables)
    assert quantities(plan["supply_plan"], "month") == [[MONTHS[0], 60], [MONTHS[1], 15]]
    assert plan["stock"].query("site == 'STORE'")["received"].tolist() == pytest.approx([60, 60])


def test_each_product_is_made_in_the_plants_that_have_a_routing_for_it():
    tables = two("origin, destination\n        STORE, A\n        DEPOT, A") | read("""
        resources
        resource, site
        L1, STORE
        L2, DEPOT

        routings
        item, resource, hours
        P, L1, 1
        Q, L2, 1
        """)
    tables["capacity"] = monthly("resource", {"L1": {"hours": 100}, "L2": {"hours": 40}}, 2)
    del tables["offers"], tables["suppliers"]
    made = planned(tables)["supply_plan"].groupby(["item", "site"])["quantity"].sum()
    assert made.to_dict() == pytest.approx({("P", "STORE"): 120, ("Q", "DEPOT"): 80})


def test_a_plan_whose_first_orders_come_in_parts_can_be_held_against_futures():
    """What is decided is an order, however many parts it comes in; its twin a month later takes any quantity of it."""
    tables = trader("price, lead_days, order_multiple\n        EAST, P, STORE, 20, 21, 50", wanted=(30, 100, 70))
    book = Book.of(tables, company(3), CYCLE)
    held = decided(Plan(book.tables, book.company, book.cycle).with_tables(planned(tables)))
    kept = held["last_supply_plan"].groupby("month")["quantity"].sum()
    assert kept.loc[MONTHS[0]] == pytest.approx(100)
    assert held["offers"].set_index("supplier")["order_multiple"].tolist() == [50, 0]
