"""Why not more: shadow prices of limits, trails of shortages, levers found by solving again, level against chase."""

from __future__ import annotations

import pandas as pd
import pytest
from small_company import LAYERS, company, made, read
from test_supply import bought, changed, full, plain
from test_supply_solve import CYCLE, LITTLE
from typed_levers import told_and_typed, typed

import sopkit
from sopkit.book import Book
from sopkit.supply.explain import explain
from sopkit.supply.figures import limits
from sopkit.supply.limits import Gain
from sopkit.supply.resolve import Session

# One line, 100 hours a month and 10 of overtime; a lamp takes 2 hours of it and one bulb, a chair half an hour.
WORKSHOP = """
    families
    family
    F

    products
    product, name, family, price, standard_cost
    LAMP, Lamp, F, 100, 40
    CHAIR, Chair, F, 12, 10

    materials
    material, name, standard_cost
    BULB, Bulb, 5

    sites
    site, name, kind
    SHOP, Workshop, plant

    markets
    market, name, region, channel
    TOWN, Town, R, C

    lanes
    origin, destination, cost
    SHOP, TOWN, 1

    calendar
    month, working_days
    2026-11, 20
    2026-12, 20

    resources
    resource, name, site, hour_cost, overtime_cost
    LINE, Line 2, SHOP, 10, 16

    capacity
    resource, month, hours, overtime_limit
    LINE, 2026-11, 100, 10
    LINE, 2026-12, 100, 10

    routings
    item, resource, hours
    LAMP, LINE, 2
    CHAIR, LINE, 0.5

    bom
    item, component, quantity
    LAMP, BULB, 1

    suppliers
    supplier, name
    GLOW, Glow Ltd

    offers
    supplier, item, site, price, capacity, lead_time
    GLOW, BULB, SHOP, 5, {bulbs}, 0

    service_policies
    product, market, unmet, lost_price
    LAMP, TOWN, lost, 0
    CHAIR, TOWN, lost, 0

    demand_plan
    product, market, month, family, consensus, price
    LAMP, TOWN, 2026-11, F, 80, 100
    LAMP, TOWN, 2026-12, F, 80, 100
    CHAIR, TOWN, 2026-11, F, {chairs}, 12
    CHAIR, TOWN, 2026-12, F, {chairs}, 12
"""


def workshop(bulbs: float, chairs: float = 0.1) -> Session:
    tables = read(WORKSHOP.format(bulbs=bulbs, chairs=chairs))
    tables["demand_plan"] = tables["demand_plan"].assign(**{layer: 0.0 for layer in LAYERS})
    return Session(Book.of(tables, company(2), CYCLE))


def test_worth_of_an_hour_by_hand() -> None:
    # a lamp brings 100 - 5 (bulb) - 1 (freight) = 94 for 2 hours: 47 an hour, less 10 (regular) or 16 (overtime)
    binding = explain(workshop(bulbs=1000))["binding_limits"].set_index(["limit", "month"])
    november = pd.Timestamp("2026-11-01")
    assert binding.loc[("regular_capacity", november), "shadow_price"] == pytest.approx(37)
    assert binding.loc[("overtime_capacity", november), "shadow_price"] == pytest.approx(31)
    assert binding.loc[("regular_capacity", november), "size"] == pytest.approx(100)
    assert binding.loc[("regular_capacity", november), "sentence"] == (
        "One more hour on Line 2 in Nov 2026 brings 37.00 EUR."
    )


def test_a_shortage_is_traced_to_the_line() -> None:
    why = explain(workshop(bulbs=1000))["why_short"]
    lost = why[(why["item"] == "LAMP") & (why["step"] == 1)]
    assert (lost["kind"] == "lost").all()
    assert lost["quantity"].sum() == pytest.approx(160 - 220 / 2, abs=0.1)  # 2 x 110 hours make 110 lamps, chairs aside
    assert (lost["limit"] == "regular_capacity").all() and (lost["limit_place"] == "LINE").all()
    assert lost["needs"].tolist() == pytest.approx([2.0] * len(lost))
    assert "one more unit needs 2 x one hour on Line 2" in lost["sentence"].iloc[0]


def test_a_shortage_is_traced_through_the_bill_of_materials_to_the_supplier() -> None:
    why = explain(workshop(bulbs=30))["why_short"]
    lamp = why[(why["item"] == "LAMP") & (why["step"] == 1)]
    assert (lamp["limit"] == "supplier_capacity").all()
    assert (lamp["limit_item"] == "BULB").all() and (lamp["limit_place"] == "GLOW SHOP").all()


def test_a_shortage_that_nothing_but_its_price_stands_behind_is_said_so() -> None:
    session = workshop(bulbs=0, chairs=20)  # no lamps, so the line has time; a chair at 3 does not pay for half an hour
    prices = session.tables["demand_plan"]["price"].where(session.tables["demand_plan"]["product"] != "CHAIR", 3.0)
    cheap = session.tables | {"demand_plan": session.tables["demand_plan"].assign(price=prices)}
    why = explain(Session(Book.of(cheap, company(2), CYCLE)))["why_short"].set_index("item")
    assert why.loc["CHAIR", "limit"].tolist() == ["price"] * 2
    assert why.loc["CHAIR", "quantity"].tolist() == pytest.approx([20.0, 20.0])
    assert why.loc["CHAIR", "sentence"].str.contains("costs more than it brings").all()
    assert (why.loc["LAMP", "limit"] == "supplier_capacity").all()


def without_bulbs() -> Session:
    """Nobody sells bulbs, and 30 are left."""
    tables = read(WORKSHOP.format(bulbs=1, chairs=0.1))
    stock = read("inventory\nsite, item, quantity\nSHOP, BULB, 30\n")
    tables |= stock | {"offers": tables["offers"].head(0)}
    tables["demand_plan"] = tables["demand_plan"].assign(**{layer: 0.0 for layer in LAYERS})
    return Session(Book.of(tables, company(2), CYCLE))


def test_a_material_that_nobody_makes_or_sells_is_named_not_called_a_price() -> None:
    why = explain(without_bulbs())["why_short"]
    lamp = why[why["item"] == "LAMP"]
    assert lamp["quantity"].sum() == pytest.approx(160 - 30)
    assert (lamp["limit_item"] == "BULB").all() and (lamp["shadow_price"] > 0).all()
    assert lamp["sentence"].str.contains("Bulb at SHOP which nobody makes or sells", regex=False).all()


def test_only_levers_that_help_are_advised_and_a_supplier_for_what_nobody_sells_is_one() -> None:
    """80 lamps a month in 100 + 10 hours are 55; 30 bulbs last for 30. More hours on the line would help nobody."""
    session = without_bulbs()
    found = explain(session)["levers"]
    assert set(found["lever"]) == {"new supplier", "subcontract"} and (found["gain"] > 0).all()
    for _, one in found.iterrows():
        gain = Session(typed(session.book, one)).base.profit - session.base.profit
        assert one["gain"] == pytest.approx(gain, rel=1e-6)
    supplier = found.set_index("lever").loc["new supplier"]
    assert supplier["helps"] == "LAMP" and supplier["change"] == "offers: a new row, price 6.25, lead_time 1"
    assert supplier["sentence"].startswith("Bulb from a supplier to be found (25 % above standard cost) for Workshop")


def lever(session: Session, name: str) -> pd.Series:
    levers = explain(session)["levers"]
    return levers[levers["lever"] == name].iloc[0]


def test_a_lever_brings_what_the_changed_tables_bring() -> None:
    session = workshop(bulbs=1000)
    more = session.tables["capacity"].assign(overtime_limit=lambda frame: frame["overtime_limit"] + frame["hours"] / 10)
    overtime = lever(session, "overtime")
    assert overtime["gain"] == pytest.approx(session.resolve({"capacity": more}).profit - session.base.profit, rel=1e-6)
    assert overtime["used"] == pytest.approx(20) and overtime["gain"] == pytest.approx(20 * 31)

    session = workshop(bulbs=30)
    fifth = session.tables["offers"].assign(capacity=lambda frame: frame["capacity"] * 1.2)
    gain = session.resolve({"offers": fifth}).profit - session.base.profit
    assert lever(session, "more from supplier")["gain"] == pytest.approx(gain, rel=1e-6)
    second = lever(session, "second supplier")  # a tenth dearer: 5.50 a bulb, and no more than the first delivers
    assert second["change"] == "offers: a new row, price 5.5, lead_time 0, capacity 30"
    assert "10 % above the dearest offer" in second["sentence"] and "at most 30 a month" in second["sentence"]
    other = session.tables["offers"].assign(supplier="GLOW", price=5.5)
    both = pd.concat([session.tables["offers"], other.assign(supplier="OTHER")], ignore_index=True)
    suppliers = pd.concat([session.tables["suppliers"], session.tables["suppliers"].assign(supplier="OTHER")])
    gain = session.resolve({"offers": both, "suppliers": suppliers}).profit - session.base.profit
    assert second["gain"] == pytest.approx(gain, rel=1e-6) and second["cost"] == pytest.approx(5.5 * second["used"])


def test_what_is_below_rounding_is_not_told() -> None:
    assert Gain(12.0, 0.0, 0.0, "unmet_promises", 3e-6).told("EUR") == "brings 12.00 EUR"
    assert (
        Gain(12.0, 0.0, 0.0, "unmet_promises", 2.0)
        .told("EUR")
        .endswith("keeps 2 more units of demand that must be met")
    )
    found = explain(workshop(bulbs=30))["binding_limits"].head(2).assign(shadow_price=[4.0, 1e-4], kept=[0.0, 3e-6])
    assert len(limits(Book({"binding_limits": found}, company(3), "2026-01")).frame) == 1


def test_asking_for_levers_leaves_the_plan_as_it_was() -> None:
    session = workshop(bulbs=30)
    first = explain(session)
    assert session.resolve().profit == pytest.approx(session.base.profit, rel=1e-12)
    again = explain(session)
    for name in first:
        pd.testing.assert_frame_equal(first[name], again[name])


@pytest.fixture(scope="module")
def tight() -> Session:
    """A small demo company with a fifth more demand than the sales department's forecast corrected for its bias."""
    tables = made(LITTLE)
    tables["demand_plan"]["consensus"] *= 1.6
    return Session(Book.of(tables, company(LITTLE.horizon), CYCLE))


def test_worth_of_an_hour_is_what_one_hour_more_brings(tight) -> None:
    binding = explain(tight)["binding_limits"]
    hours = binding[binding["limit"] == "regular_capacity"].head(6)
    assert len(hours) >= 3
    held = 0
    for row in hours.itertuples():
        here = tight.tables["capacity"]["resource"].eq(row.place) & tight.tables["capacity"]["month"].eq(row.month)
        more = tight.tables["capacity"].assign(hours=tight.tables["capacity"]["hours"] + here)
        gain = tight.resolve({"capacity": more}).profit - tight.base.profit
        assert gain <= row.shadow_price * (1 + 1e-6) + 1e-6, "the first hour brings most: profit is concave in a limit"
        held += gain == pytest.approx(row.shadow_price, rel=1e-6)
    assert held >= 3, "where the basis holds, one hour more brings exactly its shadow price"


def test_worth_of_an_hour_beside_whole_numbers_is_what_a_little_more_brings() -> None:
    session = workshop(bulbs=1000)
    switched = session.tables["routings"].assign(setup_hours=3.0, setup_cost=5.0)
    session = Session(Book.of(session.tables | {"routings": switched}, company(2), CYCLE))
    assert session.base.matrix.integer.any()
    binding, capacity = explain(session)["binding_limits"], session.tables["capacity"]
    column = {"regular_capacity": "hours", "overtime_capacity": "overtime_limit"}
    bound = binding[binding["limit"].isin(column)]
    assert set(bound["limit"]) == set(column)
    for row in bound.itertuples():
        more = capacity[column[row.limit]] + 0.01 * capacity["month"].eq(row.month)
        gain = session.resolve({"capacity": capacity.assign(**{column[row.limit]: more})}).profit - session.base.profit
        assert gain == pytest.approx(0.01 * row.shadow_price, rel=1e-4)


def test_every_shortage_is_explained(tight) -> None:
    why = explain(tight)["why_short"]
    explained = {(row.kind, row.item, row.place, f"{row.month:%Y-%m}") for row in why.itertuples()}
    short = {
        (kind, *index)
        for kind, name in (("lost", "lose"), ("waiting", "wait"), ("safety stock", "fall_below_safety"))
        for index, quantity in tight.base[name].items()
        if quantity > 1e-4 and index[-1] != "start"
    }
    assert short and explained == short
    assert (why["limit"] != "price").any()
    named = why[why["limit"].isin(["regular_capacity", "overtime_capacity", "supplier_capacity"])]
    assert (named["shadow_price"] > 0).all()


def test_level_keeps_the_hours_and_no_strategy_beats_the_plan(tight) -> None:
    table = explain(tight)["level_chase"]
    spread = table.groupby("strategy")["hours"].std()
    assert spread["plan"] > 1 and spread["level"] < 0.5 * spread["plan"]
    profit = table.groupby("strategy")["contribution_after_penalties"].sum()
    assert profit["plan"] >= profit[["level", "chase"]].max() * (1 - 1e-9), "neither beats the plan at its own prices"
    assert profit["plan"] == pytest.approx(tight.base.profit, rel=1e-9)


def test_chase_builds_nothing_ahead_where_the_plan_does() -> None:
    """20 lamps are asked in November, 80 in December; regular hours make 50 a month, so 30 are made ahead, at cost 40.

    Without stock December has 110 hours, overtime included: 55 lamps, and 25 are short.
    """
    session = workshop(bulbs=1000)
    asked = session.tables["demand_plan"]
    lamps = asked["product"].eq("LAMP")
    consensus = asked["consensus"].mask(lamps, asked["month"].dt.month.map({11: 20.0, 12: 80.0}))
    holding = pd.DataFrame({"site": "SHOP", "item": ["LAMP", "CHAIR", "BULB"], "holding_cost": 0.1})
    tables = session.tables | {"demand_plan": asked.assign(consensus=consensus), "policies": holding}
    table = explain(Session(Book.of(tables, company(2), CYCLE)))["level_chase"].set_index(["strategy", "month"])
    november, december = table.index.levels[1]
    assert table.loc[("plan", november), "stock_value"] == pytest.approx(1200, abs=5)
    assert table.loc[("plan", december), "shortfall"] == pytest.approx(0, abs=0.2)
    assert table.loc[("chase", november), "stock_value"] == pytest.approx(0, abs=5)
    assert table.loc[("chase", december), "shortfall"] == pytest.approx(25, abs=0.2)


# reasons that are true -----------------------------------------------------------------------------------------------


def reasons(tables: dict[str, pd.DataFrame], count: int = 2, **policies) -> tuple[pd.DataFrame, pd.DataFrame]:
    told = explain(Session(Book.of(tables, company(count, **policies), "2026-01")))
    return told["why_short"], told["levers"]


@pytest.mark.parametrize("limit, value", [("stock_maximum", 30.0), ("space", 0.0)])
def test_a_safety_stock_that_may_not_or_cannot_be_held_is_said_so(limit, value) -> None:
    """A safety stock of 80 above a maximum of 30, or at a site without space: nothing else stands in the way."""
    tables = plain(hours=1000)
    wished = {"site": "PLANT", "item": "P", "holding_cost": 1, "safety_stock": 80, "safety_stock_price": 20}
    tables["policies"] = pd.DataFrame([wished | ({"maximum_stock": value} if limit == "stock_maximum" else {})])
    if limit == "space":
        tables["sites"] = tables["sites"].assign(storage=value)
    why, levers = reasons(tables)
    first = why[(why["kind"] == "safety stock") & (why["step"] == 1)]
    assert len(first) == 2 and (first["limit"] == limit).all()
    if limit == "stock_maximum":
        assert "policies.maximum_stock + 20 %" in set(levers["change"])


def test_a_minimum_run_that_is_too_large_is_named() -> None:
    why, _ = reasons(changed(plain(hours=10_000), routings__minimum_run=5_000.0))
    assert (why["limit"] == "set_up_first").all() and why["sentence"].str.contains("no lot is set up").all()


def test_a_minimum_order_that_is_too_large_is_named() -> None:
    tables = bought("supplier, item, site, price, minimum_order\nEAST, P, PLANT, 49, 500", 1)
    why, _ = reasons(tables, 1)
    assert (why["limit"] == "order_first").all() and why["sentence"].str.contains("minimum order").all()


def test_a_line_without_hours_behind_a_set_up_has_its_lever() -> None:
    """40 hours of overtime less a set-up of 5: 35 units a month at 50 - 15 each, less 100 for the set-up."""
    tables = changed(plain(hours=0), routings__setup_hours=5.0, routings__setup_cost=100.0)
    why, levers = reasons(tables)
    assert (why["limit"] != "price").all()
    lever = levers[levers["lever"] == "overtime"].iloc[0]
    assert lever["change"] == "capacity.overtime_limit + 40"
    assert lever["gain"] == pytest.approx(2 * (35 * 50 - 40 * 15 - 100))


# levers typed in as written ------------------------------------------------------------------------------------------


def test_every_lever_typed_in_as_written_brings_what_it_says(tight) -> None:
    assert told_and_typed(tight) >= 7
    assert told_and_typed(workshop(bulbs=30)) >= 2


def test_every_lever_of_the_demo_typed_in_as_written_brings_what_it_says() -> None:
    assert told_and_typed(Session(sopkit.demo().demand())) >= 15


def test_an_hour_of_temporary_people_is_paid_for() -> None:
    """80 hours of people for 120 units a month; 16 more at 5 make 16 of the 40 that are lost."""
    tables = plain(hours=1000) | read("""
        workforce
        site, skill, people, hours_per_day, wage, hire_cost
        PLANT, sewing, 10, 0.4, 40, 9000
        """)
    tables["resources"] = tables["resources"].assign(skill="sewing", crew=1.0)
    _, levers = reasons(tables)
    lever = levers[levers["lever"] == "temporary people"].iloc[0]
    assert lever["change"] == "workforce.overtime_limit + 1.6, overtime_cost 5"
    hour = 50 - 5 - tables["resources"]["hour_cost"].iloc[0]
    assert lever["gain"] == pytest.approx(2 * 16 * hour) and lever["cost"] == pytest.approx(2 * 16 * 5)


@pytest.mark.parametrize("allocation", ["priority", "fair_share"])
def test_a_lever_typed_in_brings_what_it_says_where_promises_come_first(allocation) -> None:
    tables, policies = full()
    tables = changed(tables, capacity__hours=tables["capacity"]["hours"] * 0.6)
    book = Book.of(tables, company(4, **policies | {"allocation": allocation, "gap": 0.0}), "2026-01")
    assert told_and_typed(Session(book)) >= 3
