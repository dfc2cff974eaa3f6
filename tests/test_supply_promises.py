"""Promises come before money, by rank; every gain is told apart into revenue, cash cost and service penalties."""

from __future__ import annotations

import pandas as pd
import pytest
from small_company import CYCLE, company, demand, monthly
from test_supply import changed, cost, delivered, plain, planned, read

from sopkit.book import Book
from sopkit.supply.explain import explain
from sopkit.supply.model import CASH, POLICY
from sopkit.supply.resolve import Session


def session_of(tables: dict[str, pd.DataFrame], count: int = 2, **policies) -> Session:
    return Session(Book.of(tables, company(count, **policies), CYCLE))


def cents(scale: float = 1.0) -> dict[str, pd.DataFrame]:
    """A transport case in cents: 300 units must be delivered, nobody pays, freight is 4,000 to 9,000 a unit."""
    freight = [[5200, 8700, 6400], [4000, 9000, 7100]]
    tables = read("""
        families
        family
        F

        products
        product, family, price, standard_cost
        P, F, 0, 0

        sites
        site, kind
        X, plant
        Y, plant

        markets
        market, region, channel
        A, all, retail
        B, all, retail
        C, all, retail

        inventory
        site, item, quantity
        X, P, 160
        Y, P, 140

        service_policies
        product, market, unmet
        P, A, neither
        P, B, neither
        P, C, neither
        """)
    lanes = [(o, d, freight[i][k] * scale) for i, o in enumerate("XY") for k, d in enumerate("ABC")]
    return tables | {
        "lanes": pd.DataFrame(lanes, columns=["origin", "destination", "cost"]),
        "demand_plan": demand({("P", "A"): [90.0], ("P", "B"): [110.0], ("P", "C"): [100.0]}, {"P": 0}),
    }


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e9])
def test_what_must_be_met_is_met_whatever_it_costs(scale):
    """By hand: Y is 1,200 cheaper to A, X to B and C (300, 700): Y sends 90 to A, 50 to B, X 60 to B, 100 to C."""
    plan = planned(cents(scale), 1)
    assert plan["deliveries"]["lost"].sum() == pytest.approx(0, abs=1e-6)
    best = 90 * 4_000 + 50 * 9_000 + 60 * 8_700 + 100 * 6_400
    assert cost(plan, "freight") == pytest.approx(scale * best, rel=1e-6)


def short(allocation: str, unmet: str = "lost", hours: float = 100.0) -> Session:
    """60 + 60 units a month for 100 hours at 10; a unit brings 50, so an hour is worth 40."""
    return session_of(changed(plain(hours), service_policies__unmet=unmet), allocation=allocation)


@pytest.mark.parametrize(
    "allocation, unmet", [("profit", "lost"), ("priority", "lost"), ("fair_share", "lost"), ("profit", "neither")]
)
def test_an_hour_worth_40_reads_40_whatever_comes_before_money(allocation, unmet):
    binding = explain(short(allocation, unmet))["binding_limits"]
    hours = binding[binding["limit"] == "regular_capacity"]
    assert len(hours) == 2 and hours["shadow_price"].tolist() == pytest.approx([40.0] * 2)
    assert hours["sentence"].str.contains("brings 40.00 EUR").all()
    assert not hours["sentence"].str.contains("540|50,040").any()
    if unmet == "neither":
        assert hours["kept"].tolist() == pytest.approx([1.0] * 2)
        assert hours["sentence"].str.contains("keeps 1 more units of demand that must be met").all()


def test_a_promise_kept_at_a_loss_says_what_an_hour_costs_and_keeps():
    tables = changed(plain(), service_policies__unmet="neither", products__price=4.0)
    tables["demand_plan"]["price"] = 4.0
    hours = explain(session_of(tables))["binding_limits"].query("limit == 'regular_capacity'")
    assert hours["shadow_price"].tolist() == pytest.approx([-6.0] * 2)  # a unit brings 4 and costs 10
    assert (hours["promise"] == "unmet_promises").all()
    assert hours["sentence"].str.contains("costs 6.00 EUR and keeps 1 more").all()


@pytest.mark.parametrize("factor", [1e-6, 1e-3, 1e3, 1e9])
@pytest.mark.parametrize("allocation", ["priority", "fair_share"])
def test_the_scale_of_money_changes_no_quantity(allocation, factor):
    tables = plain()
    tables["demand_plan"]["price"] = tables["demand_plan"]["market"].map({"A": 50.0, "B": 70.0})
    money = {"resources": ["hour_cost", "overtime_cost"], "policies": ["holding_cost"], "demand_plan": ["price"]}
    money |= {"products": ["price", "standard_cost"], "service_policies": ["backlog_price", "lost_price"]}
    scaled = {
        name: frame.assign(**{column: frame[column] * factor for column in money.get(name, [])})
        for name, frame in tables.items()
    }
    usual, other = (planned(each, allocation=allocation) for each in (tables, scaled))
    for market in "AB":
        assert delivered(other, market) == pytest.approx(delivered(usual, market))
    assert cost(other, "revenue") == pytest.approx(cost(usual, "revenue") * factor)


@pytest.fixture(params=["small", "large"])
def size(request, monkeypatch) -> str:
    """As a small network is solved, and as one of many rows is: by interior point from prices, HiGHS let go."""
    if request.param == "large":
        for place in ("loaded", "solve"):
            monkeypatch.setattr(f"sopkit.supply.{place}.LARGE", 1)
    return request.param


@pytest.mark.parametrize("unmet, hours", [("lost", 100.0), ("neither", 100.0), ("neither", 130.0)])
def test_a_large_network_keeps_its_promises_as_a_small_one_does(size, unmet, hours):
    session = short("priority", unmet, hours)
    limits = explain(session)["binding_limits"]
    assert session.base["lose"].sum() == pytest.approx(max(0.0, 240 - 2 * hours))
    assert limits.loc[limits["limit"] == "regular_capacity", "shadow_price"].tolist() == [40.0] * 2 * (hours < 120)
    wider = session.resolve({"capacity": session.tables["capacity"].assign(hours=110.0)})
    assert wider["lose"].sum() == pytest.approx(20)
    assert session.resolve()["lose"].sum() == pytest.approx(session.base["lose"].sum())


def test_ranks_one_after_the_other(size):
    """60 must be met, 60 of class 1 and 60 of class 2 are asked; 130 hours: 60, 60 and 10, whatever each pays."""
    tables = plain(130.0, 1)
    tables["markets"] = pd.DataFrame(
        {"market": ["A", "B", "C"], "region": "all", "channel": "retail", "priority": [2, 3, 1]}
    )
    tables["lanes"] = pd.DataFrame({"origin": "PLANT", "destination": ["A", "B", "C"]})
    tables["service_policies"] = pd.DataFrame(
        {"product": "P", "market": ["A", "B", "C"], "unmet": ["lost", "neither", "lost"], "lost_price": [9.0, 0, 0]}
    )
    tables["demand_plan"] = demand({("P", market): [60.0] for market in "ABC"}, {"P": 50})
    tables["demand_plan"]["price"] = [5_000.0, 1.0, 2.0]
    found = {market: delivered(planned(tables, 1, allocation="priority"), market)[0] for market in "ABC"}
    assert found == {"A": 10.0, "B": 60.0, "C": 60.0}


def test_gains_are_told_apart_as_the_plan_solved_again_tells_them():
    """Shadow prices and levers, by revenue, cash cost and service penalties, against the tables of the other plan."""
    tables = changed(plain(), service_policies__lost_price=7.0, capacity__overtime_limit=5.0)
    tables["policies"] = pd.DataFrame(
        [{"site": "PLANT", "item": "P", "holding_cost": 1, "safety_stock": 20, "safety_stock_price": 90}]
    )
    session = session_of(tables)
    told = explain(session)

    def money(plan):
        costs = plan["supply_costs"].groupby("cost")["amount"].sum()
        return [costs.reindex(names).sum() for names in (["revenue"], CASH, POLICY)]

    base = money(session.plan())
    capacity = tables["capacity"]
    for row in told["binding_limits"].query("limit == 'regular_capacity'").itertuples():
        more = capacity["hours"] + 0.01 * pd.to_datetime(capacity["month"]).eq(row.month)
        other = money(session.plan({"capacity": capacity.assign(hours=more)}))
        change = [(b - a) / 0.01 for a, b in zip(base, other, strict=True)]
        assert change == pytest.approx([row.revenue, row.cash_cost, row.penalties], abs=1e-4)
        assert row.shadow_price == pytest.approx(row.revenue - row.cash_cost - row.penalties)
    lever = told["levers"].query("lever == 'overtime'").iloc[0]
    wider = capacity.assign(overtime_limit=capacity["overtime_limit"] + 0.1 * capacity["hours"])
    change = [b - a for a, b in zip(base, money(session.plan({"capacity": wider})), strict=True)]
    assert change == pytest.approx([lever["revenue"], lever["cash_cost"], lever["penalties"]], abs=1e-3)
    assert lever["gain"] == pytest.approx(lever["revenue"] - lever["cash_cost"] - lever["penalties"])
    assert "of service penalties" in lever["sentence"] and "units fewer" in lever["sentence"]


def test_a_lever_that_keeps_a_promise_is_named_first_and_says_so():
    tables = changed(plain(), service_policies__unmet="neither", products__price=4.0, capacity__overtime_limit=1.0)
    tables["demand_plan"]["price"] = 4.0
    lever = explain(session_of(tables))["levers"].iloc[0]
    assert (lever["lever"], lever["promise"]) == ("overtime", "unmet_promises")
    assert lever["kept"] == pytest.approx(20) and lever["gain"] == pytest.approx(-20 * (15 - 4))
    assert "would cost 220 EUR" in lever["sentence"] and "demand that must be met" in lever["sentence"]


def test_hours_per_month_of_a_fair_share_are_money():
    tables = changed(plain(), markets__priority=1)
    tables["capacity"] = monthly("resource", {"LINE": {"hours": 100, "overtime_limit": 30}}, 2)
    plan = planned(tables, allocation="fair_share")
    assert delivered(plan, "A") == delivered(plan, "B") == pytest.approx([60.0, 60.0])
