"""Set-ups that a family shares, and set-ups carried over into the next month, each worked by hand."""

from __future__ import annotations

import pandas as pd
import pytest
from small_company import CYCLE, company, demand, months, read
from test_supply import changed, cost, plain, planned

from sopkit.book import Book
from sopkit.errors import SupplyDataError
from sopkit.publish.sections import supply_plan
from sopkit.supply import figures
from sopkit.supply.check import checks
from sopkit.supply.network import Network
from sopkit.supply.resolve import Session

Tables = dict[str, pd.DataFrame]
FEB = pd.Timestamp("2026-02")


def two(p: list[float], q: list[float], *, holding: float = 1.0, carry: bool = False, **routings) -> Tables:
    """Products P and Q at an hour a unit on one line of 200 hours; shop A asks for `p` and `q`, held at `holding`."""
    tables = plain(hours=200, count=len(p)) | read(f"""
        products
        product, family, price, standard_cost
        P, F, 50, 10
        Q, F, 50, 10

        routings
        item, resource, hours
        P, LINE, 1
        Q, LINE, 1

        policies
        site, item, holding_cost
        PLANT, P, {holding}
        PLANT, Q, {holding}
        """)
    tables["demand_plan"] = demand({("P", "A"): p, ("Q", "A"): q}, {"P": 50, "Q": 50})
    tables["calendar"] = pd.DataFrame({"month": months(len(p)), "working_days": 20})
    tables["routings"] = tables["routings"].assign(**routings)
    return changed(tables, resources__setup_carry_over=carry)


def made(plan: Tables, item: str) -> list[float]:
    lots = plan["supply_plan"].query("item == @item").groupby("month")["quantity"].sum()
    return lots.reindex(plan["resource_load"]["month"].unique(), fill_value=0.0).tolist()


RED = {"setup_family": "RED", "family_setup_hours": 10.0, "family_setup_cost": 100.0}


@pytest.mark.parametrize("holding, family, own, hours", [(1.0, 100, 10, [132, 0]), (5.0, 200, 20, [72, 72])])
def test_a_family_shares_one_set_up_a_month(holding, family, own, hours):
    """30 of each a month: set up again for 100 + 2 x 5 and 12 hours of 10, so 230, or hold 60 units, for 60 or 300."""
    tables = two([30, 30], [30, 30], holding=holding, setup_cost=5.0, setup_hours=1.0, **RED)
    plan = planned(tables)
    assert cost(plan, "setting_up_families") == pytest.approx(family)
    assert cost(plan, "setting_up") == pytest.approx(own)
    assert plan["resource_load"]["regular"].tolist() == pytest.approx(hours)
    lines = plan["supply_plan"]
    assert lines["hours"].sum() == pytest.approx(sum(hours))


def test_a_family_alone_is_a_set_up():
    """Nothing but the family's set-up: 100 for all of it, and another 100 for an item that is of none."""
    tables = two([30], [30], setup_family=["RED", "BLUE"], family_setup_cost=[100.0, 40.0])
    assert cost(planned(tables, 1), "setting_up_families") == pytest.approx(140)


def test_a_set_up_that_is_carried_over_is_paid_once():
    """60 a month for three months: one set-up of 200 and 10 hours, each lot in its month."""
    plan = planned(two([60, 60, 60], [0, 0, 0], carry=True, setup_cost=200.0, setup_hours=10.0), 3)
    assert made(plan, "P") == pytest.approx([60, 60, 60])
    assert cost(plan, "setting_up") == pytest.approx(200)
    assert plan["resource_load"]["regular"].tolist() == pytest.approx([70, 60, 60])
    assert plan["resource_load"]["carried_over"].tolist() == ["", "P / LINE", "P / LINE"]


def test_of_two_products_one_is_carried_over():
    """Two set-ups in January, then what was made last is made first: one a month, four instead of six."""
    tables = two([30, 30, 30], [30, 30, 30], holding=20.0, carry=True, setup_cost=50.0)
    assert cost(planned(tables, 3), "setting_up") == pytest.approx(200)
    assert cost(planned(changed(tables, resources__setup_carry_over=False), 3), "setting_up") == pytest.approx(300)


@pytest.mark.parametrize("q, set_ups", [([0, 0, 0], 1), ([0, 30, 0], 3)])
def test_a_set_up_stays_over_an_idle_month_unless_the_line_is_set_up_for_another(q, set_ups):
    tables = two([60, 0, 60], q, holding=20.0, carry=True, setup_cost=50.0)
    assert cost(planned(tables, 3), "setting_up") == pytest.approx(50 * set_ups)


def test_a_lot_of_a_set_up_carried_over_is_no_smaller_than_the_minimum_run():
    """20 a month and runs of 35 at least: one lot of 40 in January, nothing in February."""
    plan = planned(two([20, 20], [0, 0], carry=True, setup_cost=1.0, minimum_run=35.0))
    assert made(plan, "P") == pytest.approx([40, 0])


def test_what_is_carried_over_may_use_the_hours_of_the_set_up():
    """200 hours less 150 for the set-up leave 50 units in January; February has all of its 200."""
    plan = planned(two([50, 200], [0, 0], carry=True, setup_hours=150.0))
    assert made(plan, "P") == pytest.approx([50, 200])


@pytest.mark.parametrize("carried", ["Q / LINE", "P / LINE"])
def test_a_set_up_that_cannot_have_been_carried_over_is_caught(carried):
    tables = two([30, 30], [0, 30], holding=20.0, setup_cost=50.0)
    book = Book.of(tables, company(2), CYCLE)
    plan = Session(book).plan()
    load = plan["resource_load"]
    claimed = load.assign(carried_over=load["carried_over"].mask(load["month"].eq(FEB), carried))
    found, _ = checks(book, plan | {"resource_load": claimed})
    assert not found.set_index("rule").loc["carried_from", "holds"]


@pytest.mark.parametrize("gap, said", [("1,240.40 EUR", True), ("0.20 EUR", False)])
def test_the_page_and_the_notebook_say_in_money_what_a_better_plan_could_bring(gap, said):
    plan = Book.of(two([30], [30], setup_cost=5.0), company(1), CYCLE).supply()
    run = plan["supply_run"]
    plan = plan.with_tables({"supply_run": run.assign(value=run["value"].mask(run["measure"].eq("gap in money"), gap))})
    parts = [each for part in supply_plan(plan)["body"] for each in (part if isinstance(part, list) else [part])]
    page = "".join(getattr(part, "html", "") for part in parts)
    for text in (page, figures.costs(plan).html):
        assert ("could bring 1,240 EUR more at most" in text) == said


def test_a_plan_that_is_not_proven_carries_its_gap_in_money():
    """Half of the money may be left: the first plan is taken, and what it says of a better one is no less than true."""
    tables = two([60, 60, 60], [60, 60, 60], holding=0.5, setup_cost=90.0, setup_hours=20.0)
    loose, best = (Session(Book.of(tables, company(3, gap=gap), CYCLE)) for gap in (0.5, 0.0))
    run = loose.plan()["supply_run"].set_index("measure")["value"]
    gap = float(run["gap in money"].removesuffix(" EUR").replace(",", ""))
    assert gap > 1 and best.base.profit <= loose.base.profit + gap + 0.01


def test_a_family_whose_rows_differ_is_refused_by_name():
    tables = two([30], [30], setup_family="RED", family_setup_cost=[100.0, 90.0])
    with pytest.raises(SupplyDataError, match="family_setup_cost"):
        Network(Book.of(tables, company(1), CYCLE))
