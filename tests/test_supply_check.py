"""No price is trusted twice: the check derives each one from tables and settings, and refuses a plan made with another.

`strained` is the tiny company of test_supply with too little of everything, so that each named cost is incurred. Its
prices are tampered with before the model is solved (the check must see it in the plan) and afterwards in the tables.
"""

from __future__ import annotations

from functools import cache

import pandas as pd
import pytest
from small_company import CYCLE, company, read
from test_supply import changed, full, plain

from sopkit.book import Book
from sopkit.supply.check import checked, checks
from sopkit.supply.model import CASH, POLICY
from sopkit.supply.network import Network
from sopkit.supply.results import written
from sopkit.supply.solve import built, solve

COSTS = ("revenue", *CASH, *POLICY)

PRICES = {
    "revenue": "demand.price",
    "making": "making.cost",
    "regular_hours": "resources.hour_cost",
    "overtime_hours": "resources.overtime_cost",
    "working_shifts": "shifts.cost",
    "changing_shifts": "shifts.start_cost",
    "setting_up": "making.set_up_cost",
    "setting_up_families": "making.family_cost",
    "buying": "buying.price",
    "missing_quota": "buying.quota_price",
    "freight": "lanes.cost",
    "holding": "stock.holding_cost",
    "wages": "people.wage",
    "people_overtime": "people.overtime_cost",
    "hiring": "people.hire_cost",
    "laying_off": "people.layoff_cost",
    "changing_rate": "resources.change_price",
    "disposing": "stock.disposal_price",
    "pricing_carbon": "carbon.price",
    "less_preferred": "making.avoid_price",
    "waiting": "demand.waiting_price",
    "losing": "demand.losing_price",
    "missing_safety_stock": "stock.safety_price",
    "missing_end_stock": "stock.end_stock_price",
    "space_overflow": "stock.overflow_price",
    "above_stock_budget": "stock.budget_price",
    "changing_the_plan": "last_plan.change_price",
}
"""The network's price behind each named cost."""

EXCEPTIONS = ("missing_end_stock space_overflow above_stock_budget changing_the_plan").split()
"""Costs whose price stands in table `supply_exceptions`."""

PROMISED = "carbon_above_cap left_waiting losing stock_above_maximum out_of_order unfair_shares".split()
"""What stands there of promises, which have no price."""


def strained(cost: str) -> tuple[dict[str, pd.DataFrame], dict]:
    """The tables and policies of a company in which every named cost is incurred; `cost` chooses the allocation."""
    tables, policies = full()
    asked = tables["demand_plan"]
    much = asked["product"].eq("P") & asked["market"].eq("A")
    limit = pd.DataFrame([{"site": "DC", "item": "STEEL", "maximum_stock": 10.0}])
    stuck = pd.DataFrame([{"site": "DC", "item": "STEEL", "quantity": 50.0, "age": 0}])
    limit.loc[1], stuck.loc[1] = ["DC", "PART", 90.0], ["DC", "PART", 30.0, 0]
    limit["disposal_price"] = [float("nan"), 2.0]
    odd = tables["capacity"]["month"].isin(["2026-01", "2026-03"])
    gone = pd.DataFrame([{"mode": "buy", "source": "NOBODY", "item": "Q", "site": "DC", "month": CYCLE, "quantity": 7}])
    tables = changed(
        tables,
        capacity__hours=tables["capacity"]["hours"] * (0.5 + 0.2 * odd),
        demand_plan__consensus=asked["consensus"] * (2 + 8 * much),
        inventory__quantity=[20, 800, 150, 30],
        markets__priority=[1, 2],
        offers__capacity=[900, 800, 20.0],
        resources__carbon=2.5,
        routings__avoid_price=0.3,
        routings__setup_family=["", "RED", ""],
        routings__family_setup_cost=[0.0, 25.0, 0.0],
        sites__storage=[30.0, 5.0],
        suppliers__yearly_quota=[0.0, 0.0, 9000.0],
        suppliers__quota_price=1.5,
        workforce__overtime_cost=3.0,
    )
    tables["shifts"] = pd.DataFrame([{"place": "WELD", "shift": 2, "hours": 9.0, "cost": 7.0, "start_cost": 11.0}])
    tables["policies"] = pd.concat([tables["policies"], limit])
    tables["inventory"] = pd.concat([tables["inventory"], stuck])
    tables["last_supply_plan"] = pd.concat([tables["last_supply_plan"], gone])
    return tables, policies | {
        "allocation": "priority" if cost == "out_of_order" else "fair_share",
        "carbon_price": 0.04,
        "carbon_cap": 50.0,
        "stock_budget": 100.0,
    }


@cache
def book_of(cost: str) -> Book:
    tables, policies = strained(cost)
    return Book.of(tables, company(4, **policies), CYCLE)


def solved(book: Book, price: str = "", factor: float = 1.0) -> dict[str, pd.DataFrame]:
    """The plan of a company whose `price` was scaled by `factor` before the model was built; unchecked."""
    network = Network(book)
    if price:
        scale(network, price, factor)
    model = built(network)
    return written(network, model, solve(model))


def scale(network: Network, price: str, factor: float) -> None:
    """Scale a price of one of the network's groups: a number, or one a key."""
    group, name = price.split(".")
    known = vars(getattr(network, group))
    assert known[name], "there is a price to tamper with"
    was = known[name]
    known[name] = {key: amount * factor for key, amount in was.items()} if isinstance(was, dict) else was * factor


def broken(plan: dict[str, pd.DataFrame], cost: str = "unfair_shares") -> set[str]:
    """The rules that the check sees broken."""
    table, sentences = checks(book_of(cost), plan)
    assert len(sentences) == (~table["holds"]).sum()
    return set(table.loc[~table["holds"], "rule"])


@pytest.fixture(scope="module")
def honest() -> dict[str, dict[str, pd.DataFrame]]:
    return {cost: solved(book_of(cost)) for cost in ("out_of_order", "unfair_shares")}


def asked(cost: str) -> str:
    """Which of the two strained companies shows a cost: supply goes by class in one, is shared fairly in the other."""
    return cost if cost == "out_of_order" else "unfair_shares"


def of(honest: dict, cost: str) -> dict[str, pd.DataFrame]:
    return honest[asked(cost)]


def test_the_strained_company_incurs_every_cost_and_its_honest_plan_passes(honest):
    assert set(COSTS) == set(PRICES)
    for cost in COSTS:
        assert cost in set(of(honest, cost)["supply_costs"]["cost"])
        assert (cost in EXCEPTIONS) == (cost in set(of(honest, cost)["supply_exceptions"].query("price > 0")["cost"]))
    for cost in PROMISED:
        assert cost in set(of(honest, cost)["supply_exceptions"].query("promise != ''")["cost"])
    assert broken(honest["out_of_order"], "out_of_order") == broken(honest["unfair_shares"]) == set()


@pytest.mark.parametrize("cost", COSTS)
def test_a_price_tampered_with_before_the_model_is_solved_is_refused(cost):
    assert f"money: {cost}" in broken(solved(book_of(asked(cost)), PRICES[cost], 0.97), asked(cost))


@pytest.mark.parametrize("cost", COSTS)
def test_an_amount_of_money_tampered_with_is_refused(honest, cost):
    plan = of(honest, cost)
    costs = plan["supply_costs"]
    amount = costs["amount"].where(costs["cost"].ne(cost), 0.97 * costs["amount"])
    assert f"money: {cost}" in broken(plan | {"supply_costs": costs.assign(amount=amount)}, asked(cost))


@pytest.mark.parametrize("cost", EXCEPTIONS)
def test_a_price_tampered_with_in_every_table_at_once_is_refused(honest, cost):
    """Price and money in all tables agree with each other, but not with the company's tables and settings."""
    plan = dict(of(honest, cost))
    for table, column in (("supply_exceptions", "price"), ("supply_costs", "amount")):
        frame = plan[table]
        plan[table] = frame.assign(**{column: frame[column].where(frame["cost"].ne(cost), 1e-6 * frame[column])})
    costs, run = plan["supply_costs"], plan["supply_run"].set_index("measure")
    signed = costs["amount"].where(costs["cost"].eq("revenue"), -costs["amount"])
    run.loc["contribution after penalties", "value"] = f"{signed.sum():,.2f}"
    assert f"money: {cost}" in broken(plan | {"supply_run": run.reset_index()}, asked(cost))


@pytest.mark.parametrize("cost", [*EXCEPTIONS, *PROMISED])
def test_an_exception_larger_or_smaller_than_the_plan_has_is_refused(honest, cost):
    """Amounts and money agree, but the plan's own quantities say otherwise; whoever drops a row is seen as well."""
    plan = of(honest, cost)
    exceptions, costs = plan["supply_exceptions"], plan["supply_costs"]
    for factor in (0.5, 1.5):
        amounts = {
            "supply_exceptions": exceptions.assign(
                amount=exceptions["amount"].where(exceptions["cost"].ne(cost), factor * exceptions["amount"])
            ),
            "supply_costs": costs.assign(
                amount=costs["amount"].where(costs["cost"].ne(cost), factor * costs["amount"])
            ),
        }
        assert broken(plan | amounts, asked(cost)) - {"money: profit"}
    dropped = exceptions[exceptions["cost"].ne(cost)].reset_index(drop=True)
    assert broken(plan | {"supply_exceptions": dropped}, asked(cost))


@pytest.mark.parametrize(
    "table, column, rule",
    [
        ("deliveries", "price", "money: revenue"),
        ("shipments", "cost", "money: freight"),
        ("supply_plan", "cost", "money: making"),
        ("stock", "value", "money_in_stock"),
    ],
)
def test_money_beside_a_quantity_tampered_with_is_refused(honest, table, column, rule):
    plan = honest["unfair_shares"]
    frame = plan[table].assign(**{column: 1.03 * plan[table][column]})
    assert rule in broken(plan | {table: frame})


def test_money_of_a_purchase_tampered_with_is_refused(honest):
    plan = honest["unfair_shares"]
    lines = plan["supply_plan"]
    lines = lines.assign(cost=lines["cost"].where(lines["mode"].ne("buy"), 1.03 * lines["cost"]))
    assert "money: buying" in broken(plan | {"supply_plan": lines})


@pytest.mark.parametrize("measure", ["out of order", "unmet promises", "stock above maximum"])
def test_what_is_said_of_a_promise_is_what_the_plan_breaks(honest, measure):
    plan = honest["out_of_order"]
    run = plan["supply_run"].set_index("measure")
    value = float(run.loc[measure, "value"].replace(",", ""))
    for said in (f"{1.03 * value:,.6g}", None):
        other = run.assign(value=run["value"].where(run.index != measure, said)) if said else run.drop(measure)
        assert "money: profit" in broken(plan | {"supply_run": other.reset_index()}, "out_of_order")


def test_a_promise_taken_for_money_is_refused(honest):
    plan = honest["unfair_shares"]
    exceptions = plan["supply_exceptions"].assign(promise="")
    assert broken(plan | {"supply_exceptions": exceptions})


def classes(allocation: str = "priority", **columns) -> Book:
    """100 hours for 60 + 60 units a month: A is of the first class, B pays 70 instead of 50."""
    tables = changed(plain(), **columns)
    tables["demand_plan"]["price"] = tables["demand_plan"]["market"].map({"A": 50.0, "B": 70.0})
    return Book.of(tables, company(2, allocation=allocation), CYCLE)


def test_short_supply_goes_to_the_first_class_and_no_price_says_so():
    """60/40 by class; by money it is 40/60. The order of classes is nowhere in the money."""
    for allocation, first in (("priority", 60.0), ("profit", 40.0)):
        book = classes(allocation)
        plan = checked(book, solved(book))
        assert plan["deliveries"].query("market == 'A'")["delivered"].tolist() == pytest.approx([first] * 2)
        assert not set(plan["supply_costs"]["cost"]) & {"out_of_order", "losing"}


def test_a_way_that_has_lost_a_component_is_gone_and_a_way_that_only_lacks_hours_is_not():
    """What the last plan holds of a way that cannot run any more is not charged; of one without hours it is."""
    tables = plain(hours=0) | read("""
        last_supply_plan
        mode, source, item, site, month, quantity
        make_regular, LINE, P, PLANT, 2026-01, 30
        """)
    cut_off = read("""
        materials
        material
        SHEET

        bom
        item, component, quantity
        P, SHEET, 1

        sites
        site, kind
        PLANT, plant
        FAR, plant

        inventory
        site, item, quantity
        FAR, SHEET, 100
        PLANT, P, 10
        """)
    for given, promise in ((tables, "broken_freeze"), (tables | cut_off, "")):
        book = Book.of(given, company(2, frozen_months=1), CYCLE)
        changes = checked(book, solved(book))["supply_exceptions"].query("cost == 'changing_the_plan'")
        assert changes[["amount", "promise"]].to_numpy().tolist() == [[pytest.approx(30), promise]]
