"""Shifts that the plan works month by month, and lines and sites that it opens and closes, each worked by hand."""

from __future__ import annotations

import pandas as pd
import pytest
from small_company import CYCLE, company, demand, months, read
from test_supply import changed, cost, plain, planned
from typed_levers import told_and_typed

from sopkit.book import Book, Change
from sopkit.errors import SupplyDataError
from sopkit.publish.sections import supply_plan
from sopkit.reconcile import measures
from sopkit.reconcile.gauge import Gauge
from sopkit.supply import figures
from sopkit.supply.check import checks
from sopkit.supply.explain import explain
from sopkit.supply.resolve import Session
from sopkit.tables import TABLES

Tables = dict[str, pd.DataFrame]
FEB = pd.Timestamp("2026-02")


def line(asked: list[float], hours: float, *shifts: dict, **policies) -> Tables:
    """P at an hour a unit and 10 an hour, sold at 50, too dear to hold; the line has `hours` and the `shifts` given."""
    tables = plain(hours=hours, count=len(asked))
    tables["demand_plan"] = demand({("P", "A"): asked}, {"P": 50})
    tables["calendar"] = pd.DataFrame({"month": months(len(asked)), "working_days": 20})
    tables["policies"] = pd.DataFrame({"site": ["PLANT"], "item": ["P"], "holding_cost": [99.0]} | policies)
    rows = [{"place": "LINE", "shift": 1, "hours": 100.0} | shift for shift in shifts]
    return tables | {"shifts": pd.DataFrame(rows)}


def worked(plan: Tables, place: str = "LINE") -> list[int]:
    return plan["shift_plan"].query("place == @place").groupby("month")["worked"].sum().tolist()


def made(plan: Tables) -> list[float]:
    lots = plan["supply_plan"].groupby("month")["quantity"].sum()
    return lots.reindex(plan["resource_load"]["month"].unique(), fill_value=0.0).tolist()


def test_a_second_shift_is_worked_where_it_earns_its_cost():
    """A unit brings 50 - 10 = 40. 100 hours anyway, a second shift of 100 for 1,500.

    January asks for 120: 20 units more bring 800, less than it costs. February asks for 150: 50 units bring 2,000.
    """
    plan = planned(line([120, 150], 100, {"shift": 2, "cost": 1500.0}))
    assert worked(plan) == [0, 1]
    assert made(plan) == pytest.approx([100, 150])
    assert cost(plan, "working_shifts") == pytest.approx(1500)
    assert plan["resource_load"]["available"].tolist() == pytest.approx([100, 200])
    assert plan["shift_plan"]["cost"].tolist() == pytest.approx([0, 1500])


@pytest.mark.parametrize("start, stop, every", [(0, 0, [1, 0, 1]), (300, 150, [1, 1, 1]), (300, 90, [1, 0, 1])])
def test_a_change_of_shifts_has_its_price(start, stop, every):
    """200, 100 and 200 asked, 100 anyway; the second shift costs 400 a month.

    Stopped in February and started again it costs stop + start, kept over February 400: 450 is more, 390 is less.
    """
    plan = planned(line([200, 100, 200], 100, {"shift": 2, "cost": 400.0, "start_cost": start, "stop_cost": stop}), 3)
    assert worked(plan) == every
    assert cost(plan, "changing_shifts") == pytest.approx(start if all(every) else 2 * start + stop)


def test_a_shift_that_was_worked_before_is_stopped_at_its_price():
    """100 asked and 100 hours anyway: the second shift ends for 70, or costs 40 in each of two months."""
    shift = {"shift": 2, "cost": 40.0, "stop_cost": 70.0, "worked": True}
    plan = planned(line([100, 100], 100, shift))
    assert worked(plan) == [0, 0]
    assert cost(plan, "changing_shifts") == pytest.approx(70)
    assert worked(planned(line([100], 100, shift), 1)) == [1]


@pytest.mark.parametrize("least, every", [(1, [1, 0, 1, 0]), (2, [1, 1, 1, 1]), (3, [1, 1, 1, 1])])
def test_a_shift_is_kept_for_its_least_months(least, every):
    """It pays in January and March. Kept two months it is there in January and February, stopped it is for two, too."""
    plan = planned(line([200, 100, 200, 100], 100, {"shift": 2, "cost": 400.0, "least_months": least}), 4)
    assert worked(plan)[: 4 if least == 1 else 3] == every[: 4 if least == 1 else 3]


def test_a_third_shift_needs_the_second():
    """250 asked, 100 anyway. The second brings 40 x 40 for 2,000, the third 100 x 40 for 500."""
    second, third = {"shift": 2, "hours": 40.0, "cost": 2000.0}, {"shift": 3, "cost": 500.0}
    plan = planned(line([250], 100, second, third), 1)
    assert worked(plan) == [2]
    assert made(plan) == pytest.approx([240])
    assert worked(planned(line([250], 100, {**second, "cost": 5200.0}, third), 1)) == [0]


def test_hours_and_cost_of_a_shift_by_month_and_its_dates():
    """From February to March; in February it has 20 hours for 100, in March the usual 100 for 400."""
    tables = line([200] * 4, 100, {"shift": 2, "cost": 400.0, "valid_from": "2026-02", "valid_to": "2026-03"})
    tables["dated_shifts"] = pd.DataFrame(
        [("LINE", 2, "2026-02", 20.0, 100.0)], columns=[*TABLES["dated_shifts"].names]
    )
    plan = planned(tables, 4)
    assert made(plan) == pytest.approx([100, 120, 200, 100])
    assert cost(plan, "working_shifts") == pytest.approx(500)


def test_a_line_without_a_shift_is_closed_and_has_no_overtime():
    """No hours anyway; opened for 1,000 the line has 100 hours and 20 overtime at 15: 100 x 40 + 20 x 35 - 1,000."""
    tables = changed(line([120, 20], 0, {"cost": 1000.0}), capacity__overtime_limit=20.0)
    plan = planned(tables)
    assert made(plan) == pytest.approx([120, 0])
    assert plan["resource_load"]["overtime_limit"].tolist() == pytest.approx([20, 0])
    assert cost(plan, "revenue") - cost(plan, "working_shifts") == pytest.approx(120 * 50 - 1000)


@pytest.mark.parametrize("paid, every", [(4100, 0), (3900, 1)])
@pytest.mark.parametrize("place", ["LINE", "PLANT"])
def test_a_closed_line_makes_nothing_not_even_what_takes_no_hours(place, paid, every):
    """100 units at 50 - 10, the material, bring 4,000: the line or its site is opened for less, and not for more."""
    tables = line([100], 0, {"place": place, "hours": 0.0, "cost": float(paid)})
    tables["routings"] = tables["routings"].assign(hours=0.0, cost=10.0)
    plan = planned(tables, 1)
    assert worked(plan, place) == [every]
    assert plan["supply_plan"]["quantity"].sum() == pytest.approx(100 * every)


def test_maintenance_is_taken_off_the_first_shifts():
    """60 hours of maintenance of 20 anyway and two shifts of 30 and 100: 0 of the first, 90 of the second are left."""
    tables = line([200], 20, {"shift": 2, "hours": 30.0}, {"shift": 3, "cost": 10.0})
    plan = planned(changed(tables, capacity__maintenance=60.0), 1)
    assert made(plan) == pytest.approx([90])
    assert plan["resource_load"]["available"].tolist() == pytest.approx([90])


def test_a_promise_opens_a_line_that_costs_more_than_it_brings():
    tables = changed(line([10], 0, {"cost": 10_000.0}), service_policies__unmet="neither")
    assert worked(planned(tables, 1)) == [1]


def two_sites(fixed: float, close: float = 0.0, **site) -> Tables:
    """PLANT makes P for A at no freight, or sends it over DC to B; DC costs `fixed` a month, `close` to close."""
    tables = plain(hours=200, count=2)
    tables |= read("""
        sites
        site, kind
        PLANT, plant
        DC, dc

        lanes
        origin, destination, cost
        PLANT, A, 0
        PLANT, DC, 1
        DC, B, 1
        """)
    opening = {"place": "DC", "shift": 1, "cost": fixed, "stop_cost": close, "worked": True}
    return tables | {"shifts": pd.DataFrame([opening | site])}


@pytest.mark.parametrize("fixed, close, every", [(2000, 0, [1, 1]), (2300, 500, [1, 1]), (2300, 30, [0, 0])])
def test_a_site_is_open_where_it_earns_its_cost(fixed, close, every):
    """B asks for 60 a month at 50 - 10 - 2 = 38, so 2,280: less by 2 x 20 than 2,300, which closing may cost."""
    plan = planned(two_sites(fixed, close))
    assert worked(plan, "DC") == every
    assert plan["shipments"]["destination"].eq("B").any() == bool(every[0])
    assert cost(plan, "working_shifts") == pytest.approx(fixed * sum(every))
    assert cost(plan, "changing_shifts") == pytest.approx(0 if every[0] else close)


def test_the_stock_of_a_closed_site_stays_and_goods_on_their_way_arrive():
    """60 in stock and 30 on their way to a DC that is too dear to keep open: nothing leaves it."""
    tables = two_sites(1e5)
    tables["inventory"] = pd.DataFrame({"site": ["DC"], "item": "P", "quantity": 60.0})
    tables["scheduled_receipts"] = pd.DataFrame({"site": ["DC"], "item": "P", "month": CYCLE, "quantity": 30.0})
    stock = planned(tables)["stock"].query("site == 'DC'")
    assert stock["closing"].tolist() == pytest.approx([90, 90])


@pytest.mark.parametrize("shift", [{}, {"cost": 3.0, "worked": True}])
def test_a_closed_plant_makes_nothing_on_any_of_its_lines(shift):
    """A plant for 5,000 a month that earns 4,800 (120 x 40): closed, with its line's own hours, or its shift."""
    tables = plain(hours=200)
    rows = [{"place": "PLANT", "shift": 1, "cost": 5000.0, "worked": True}]
    rows += [{"place": "LINE", "shift": 2, "hours": 50.0} | shift] if shift else []
    plan = planned(tables | {"shifts": pd.DataFrame(rows).fillna({"hours": 0.0})})
    assert plan["supply_plan"].empty and not plan["shift_plan"]["worked"].any()
    open_ = planned(tables | {"shifts": pd.DataFrame(rows).assign(cost=4700.0).fillna({"hours": 0.0})[:1]})
    assert cost(open_, "working_shifts") == pytest.approx(9400)


@pytest.mark.parametrize(
    "rule, column, value, query",
    [
        ("shifts_in_order", "worked", False, "place == 'LINE' and shift == 1"),
        ("shifts_in_order", "worked", False, "place == 'PLANT'"),
        ("shifts_in_date", "worked", True, "place == 'LINE' and shift == 3"),
        ("shifts_kept", "worked", False, "place == 'LINE' and month == @FEB"),
        ("closed_takes_nothing", "worked", False, "place == 'PLANT'"),
        ("closed_makes_nothing", "worked", False, "place == 'LINE'"),
        ("regular_capacity", "worked", False, "place == 'LINE'"),
        ("overtime_capacity", "worked", False, "place == 'LINE'"),
        ("money: working_shifts", "worked", False, "place == 'LINE'"),
        ("money: changing_shifts", "worked", False, "place == 'LINE'"),
        ("money: changing_shifts", "cost", 7.0, "place == 'LINE'"),
    ],
)
def test_a_tampered_shift_is_caught_by_the_name_of_the_rule(rule, column, value, query):
    none = {"worked": False, "least_months": 1, "cost": 0.0, "start_cost": 0.0, "stop_cost": 0.0, "hours": 0.0}
    first = none | {"hours": 50.0, "cost": 9.0, "start_cost": 5.0, "stop_cost": 5.0, "least_months": 3}
    later, opening = none | {"shift": 3, "valid_from": "2026-04"}, none | {"place": "PLANT", "worked": True}
    shifts = first, {**first, "shift": 2}, later, opening
    tables = changed(line([110] * 3, 0, *shifts), capacity__overtime_limit=20.0)
    book = Book.of(tables, company(3), CYCLE)
    plan = Session(book).plan()
    assert worked(plan) == [2, 2, 2]
    wrong = plan["shift_plan"].copy()
    wrong.loc[wrong.eval(query), column] = value
    found, _ = checks(book, plan | {"shift_plan": wrong})
    assert not found.set_index("rule").loc[rule, "holds"]


@pytest.mark.parametrize(
    "table, row, column",
    [
        ("shifts", {"place": "PLANT", "shift": 2, "hours": 0.0}, "place"),
        ("shifts", {"place": "PLANT", "shift": 1, "hours": 40.0}, "place"),
        ("shifts", {"place": "NOWHERE", "shift": 1, "hours": 0.0}, "place"),
        ("dated_shifts", {"place": "LINE", "shift": 3, "month": CYCLE, "hours": 5.0}, "shift"),
    ],
)
def test_a_shift_that_cannot_be_is_refused_with_its_row(table, row, column):
    tables = line([10], 0, {})
    tables[table] = pd.concat([tables.get(table, pd.DataFrame()), pd.DataFrame([row])])
    with pytest.raises(SupplyDataError) as refused:
        Session(Book.of(tables, company(1), CYCLE))
    assert [(one.table, one.column) for one in refused.value.findings] == [(table, column)]


def test_what_a_shift_more_would_bring_is_found_by_planning_with_it():
    """300 asked, 100 anyway, shift 2 of 100 for 500: 100 x 40 less 500 more with a third like it."""
    session = Session(Book.of(line([300], 100, {"shift": 2, "cost": 500.0, "start_cost": 120.0}), company(1), CYCLE))
    lever = explain(session)["levers"].query("lever == 'shift'").iloc[0]
    assert lever["gain"] == pytest.approx(100 * 40 - 620)
    assert lever["cost"] == pytest.approx(620) and lever["used"] == pytest.approx(100)
    assert lever["sentence"] == (
        "Shift 3 on LINE, like the one before it (100 hours for 500 EUR a month, 120 EUR to start and 0 EUR to stop "
        "it): 100 hours in Jan 2026 would bring 3,380 EUR, 620 EUR paid for it included: 100 units fewer lost."
    )
    assert told_and_typed(session) >= 1


def test_why_it_is_short_goes_through_a_closed_line():
    """Opening for 9,999 costs more than 100 x 40: an hour more would bring 40, on a line that is closed."""
    told = explain(Session(Book.of(line([100], 0, {"cost": 9_999.0}), company(1), CYCLE)))
    short = told["why_short"].iloc[0]
    assert (short["limit"], short["limit_place"]) == ("regular_capacity", "LINE")
    assert "hour on LINE (closed) in Jan 2026, each of which brings 40.00 EUR" in short["sentence"]


def test_why_it_is_short_goes_through_a_closed_site():
    told = explain(Session(Book.of(two_sites(1e5), company(2), CYCLE)))
    short = told["why_short"].query("place == 'B'").iloc[0]
    assert short["limit"].startswith("closed_") and short["limit_place"] == "DC"
    assert "the site is closed: to open it costs more than it brings" in short["sentence"]


def test_why_it_is_short_goes_through_a_closed_line_that_takes_no_hours():
    tables = line([100], 0, {"hours": 0.0, "cost": 9_999.0})
    tables["routings"] = tables["routings"].assign(hours=0.0)
    short = explain(Session(Book.of(tables, company(1), CYCLE)))["why_short"].iloc[0]
    assert (short["limit"], short["limit_place"]) == ("closed_makes_nothing", "LINE")
    assert "the line is closed: to open it costs more than it brings" in short["sentence"]


def test_the_page_shows_which_shifts_are_worked():
    plan = Book.of(line([120, 150], 100, {"shift": 2, "cost": 1500.0}), company(2), CYCLE).supply()
    assert figures.shifts(plan).frame["shifts"].tolist() == [0, 1]
    parts = [each for part in supply_plan(plan)["body"] for each in (part if isinstance(part, list) else [part])]
    assert any("Shifts worked and sites open" in getattr(part, "html", "") for part in parts)


def test_a_shift_in_march_is_a_what_if():
    """200 asked in March alone: shift 2 costs 5,000 and is not worked, at 1,500 it brings 100 x 40 less that."""
    tables = line([100, 100, 200], 100, {"shift": 2, "cost": 5000.0})
    plan = Book.of(tables, company(3), CYCLE).supply()
    assert worked(plan) == [0, 0, 0]
    row = {"place": "LINE", "shift": 2, "month": "2026-03", "cost": 1500.0}
    other = plan.what_if([Change(table="dated_shifts", rows=[row])])
    assert worked(other) == [0, 0, 1]
    gain = measures(other)["result"] - measures(plan)["result"]
    assert gain == pytest.approx(100 * 40 - 1500)


def test_what_a_solution_measures_counts_the_hours_of_shifts():
    plan = Book.of(line([120, 150], 100, {"shift": 2, "cost": 1500.0}), company(2), CYCLE).supply()
    base = Session(plan).base
    told, written = Gauge(plan, base.matrix, base.network)(base.matrix, base.values), measures(plan)
    assert told["mean utilisation"] == pytest.approx(250 / 300)
    assert {name: told[name] for name in written} == pytest.approx(written)
