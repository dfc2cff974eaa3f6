"""Asking a plan: wrong questions answered in words, units never mixed, every kind of sum derived again in pandas."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from html import unescape
from pathlib import Path

import pandas as pd
import pytest

import sopkit
from sopkit import charts
from sopkit.book import Book, Plan
from sopkit.errors import SettingsError
from sopkit.tables import TABLES


@pytest.fixture(scope="module")
def plan(demo_run: Path) -> Iterator[Plan]:
    """The demo's plan after every stage."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOPKIT_DATA", str(demo_run / "data"))
        patch.setenv("SOPKIT_REPORTS", str(demo_run / "reports"))
        yield sopkit.open("demo", "2026-11").plan


# wrong questions ---------------------------------------------------------------------------------------------------

HOURS = {"what": "capacity", "column": "hours"}
WRONG: dict[str, tuple[Callable[[Plan], object], str]] = {
    "table": (lambda p: p.table("stok"), "there is no table 'stok': did you mean 'stock'"),
    "no name of a table": (lambda p: p.table(5), "there is no table 5: valid names"),
    "column": (lambda p: p.table("stock", "quantty"), "table stock has no column 'quantty': valid names: below_safety"),
    "column by": (lambda p: p.table("stock", "clossing", by="family"), "'clossing': did you mean 'closing'"),
    "columns in a list": (lambda p: p.table("stock", ["closing"], by="family"), "did you mean 'closing'"),
    "by": (lambda p: p.table("stock", by="familly"), "cannot be added up by 'familly': did you mean 'family'"),
    "by a number": (lambda p: p.table("stock", by="closing"), "cannot be added up by 'closing': valid names: family"),
    "by no name": (lambda p: p.table("stock", by=5), "cannot be added up by 5: valid names: family"),
    "period": (lambda p: p.table("stock", period="quarters"), "by period 'quarters': did you mean 'quarter'"),
    "period without months": (lambda p: p.table("segments", by="family", period="year"), "'year': valid names: total"),
    "where": (lambda p: p.table("stock", familly="BAGS"), "has no column 'familly': did you mean 'family'"),
    "value": (lambda p: p.table("stock", family="BAG"), "has no family 'BAG': did you mean 'BAGS'"),
    "one of several": (lambda p: p.table("stock", family=["BAGS", "TENT"]), "no family 'TENT': did you mean 'TENTS'"),
    "month 13": (lambda p: p.table("stock", month="2027-13"), "month '2027-13' is no month: write 2027-03, or"),
    "fiscal year as a month": (lambda p: p.table("stock", month="FY2027"), "'FY2027' is no month"),
    "span without end": (lambda p: p.table("stock", month="2027-03.."), "'2027-03..' is no month"),
    "span outside": (
        lambda p: p.table("stock", month="2035-01..2036-01"),
        "no row with month 2035-01 to 2036-01; its months are 2026-11 to 2028-04",
    ),
    "span backwards": (lambda p: p.plot("deliveries", "lost", month="2027-06..2027-01"), "no row with month 2027-06"),
    "no value": (lambda p: p.table("stock", family=[]), "family names no value; name one or several"),
    "no month": (lambda p: p.plot("deliveries", "lost", month=[]), "month names no value"),
    "together none": (lambda p: p.table("stock", item="NYLON", family="BAGS"), "no row with item NYLON, family BAGS"),
    "nothing adds up": (lambda p: p.table("fva", by="family"), "table fva has no column that adds up so"),
    "within months only": (lambda p: p.table("gaps", by="gap", period="year"), "no column that adds up so"),
    "no sum": (lambda p: p.table("demand_plan", "p90", by="family"), "does not add up"),
    "kinds apart": (lambda p: p.table("supply_costs", by="item"), "rows of different cost do not add up"),
    "plot of no number": (lambda p: p.plot("stock", "site"), "table stock has no number 'site': valid names: below"),
    "plot by two": (lambda p: p.plot("stock", "value", by=["site", "item"]), "a figure has one by"),
    "plot in units": (lambda p: p.plot("stock", "closing"), "closing of table stock is in pcs, kg, m2, set, and a fig"),
    "plot by, in units": (lambda p: p.plot("supply_plan", "quantity", by="mode"), "choose rows of one, such as uom="),
    "plot of KPIs": (lambda p: p.plot("kpis", "value", by="kpi"), "and a figure shows one unit"),
    "compare with a book": (lambda p: p.compare(sopkit.demo()), "a Book is no plan: compare takes plans"),
    "compare with a title": (lambda p: p.compare("other"), "'other' is no plan"),
    "compare alone": (lambda p: p.compare(), "nothing to compare with"),
    "what if a number": (lambda p: p.what_if(42), "42 is no change: name a table"),
    "what if numbers": (lambda p: p.what_if([42]), "42 is no change"),
    "what if nothing": (lambda p: p.what_if([]), "there is no change"),
    "what if, and more": (
        lambda p: p.what_if(p.scenarios["second_shift"], resource="SEW-N"),
        "resource would be ignored",
    ),
    "what if in month 13": (lambda p: p.what_if(**HOURS, add=1, month="2027-13"), "'2027-13' is no month"),
    "what if nowhere": (lambda p: p.what_if(**HOURS, add=1, resource=[]), "resource names no value"),
    "what if a text": (lambda p: p.what_if(**HOURS, set="many"), "hours cannot be 'many'; allowed: a number of at lea"),
    "what if without end": (lambda p: p.what_if(**HOURS, add=float("inf")), "should be a finite number"),
    "what if rows in month 13": (
        lambda p: p.what_if("capacity", rows=[{"resource": "SEW-N", "month": "2027-01..2027-13", "hours": 9}]),
        "is no month",
    ),
    "title": (lambda p: p.what_if(**HOURS, add=1, title=5), "5 is no title"),
}  # fmt: skip


@pytest.mark.parametrize(("ask", "told"), WRONG.values(), ids=WRONG)
def test_a_wrong_question_is_answered_with_what_is_allowed(plan, ask, told):
    with pytest.raises(SettingsError, match=re.escape(told)):
        ask(plan)


def test_months_are_chosen_as_people_name_them(plan):
    year = plan.table("deliveries", month="2027")
    assert year["month"].dt.year.eq(2027).all() and year["month"].nunique() == 12
    assert plan.table("deliveries", month=pd.Timestamp("2027-03-01")).equals(plan.table("deliveries", month="2027-03"))
    some = plan.table("deliveries", month=["2027-03", "2027-05..2027-06"], product=pd.Series(["TENT-2P", "TENT-3P"]))
    assert sorted(some["month"].dt.month.unique()) == [3, 5, 6] and set(some["product"]) == {"TENT-2P", "TENT-3P"}


def test_a_column_may_be_called_as_an_argument_is(plan):
    name = plan["products"]["name"].iloc[0]
    assert plan.table("products", name=name)["name"].tolist() == [name]


# units -------------------------------------------------------------------------------------------------------------


def test_quantities_of_several_units_are_never_added(plan):
    uom = dict(plan["materials"][["material", "uom"]].to_numpy()) | dict(
        plan["products"][["product", "uom"]].to_numpy()
    )
    assert set(uom.values()) == {"pcs", "kg", "m2", "set"}
    shown = plan.table("stock", by="family", period="quarter")
    assert set(shown.loc[shown["family"] == "materials", "uom"]) == {"pcs", "kg", "m2", "set"}
    assert set(shown.loc[shown["family"] != "materials", "uom"]) == {"pcs"}
    several = dict.fromkeys({*shown} - {"family", "uom", "quarter", "value"}, "pcs, kg, m2, set")
    assert shown.attrs["units"] == {**several, "value": "EUR"}
    received = plan["stock"].groupby(plan["stock"]["item"].map(uom))["received"].sum()
    pd.testing.assert_series_equal(shown.groupby("uom")["received"].sum(), received, check_names=False)
    assert "uom" not in plan.table("stock", "value", by="family", period="quarter")
    assert "uom" not in plan.table("stock", by="family", family=["BAGS", "TENTS"])


@pytest.mark.parametrize(("item", "unit"), {"NYLON": "m2", "FILL": "kg", "POLES": "set", "TENT-2P": "pcs"}.items())
def test_a_quantity_has_the_unit_of_its_item(plan, item, unit):
    assert plan.table("stock", item=item).attrs["units"]["closing"] == unit
    assert plan.table("stock", "closing", "value", by="item", period="year", item=item).attrs["units"] == {
        "closing": unit, "value": "EUR"
    }  # fmt: skip
    assert plan.plot("stock", "closing", by="site", item=item).unit == unit
    assert plan.explain("stock", "closing", item=item, month="2027-03").unit == unit


def test_a_unit_is_the_companys_inside_other_words_too(plan):
    assert plan.plot("demand_plan", "price", by="market", product="TENT-2P").unit == "EUR per unit"
    declared = {column.unit for table in TABLES.values() for column in table}
    assert not [unit for unit in declared if re.search(r"currency|unit of measure|units", plan.unit(unit))]
    figure = plan.plot("kpis", "value", by="period", kpi="total_sales", period="total")
    assert figure.unit == "thousand EUR" and figure.frame["period"].is_monotonic_increasing


# figures -----------------------------------------------------------------------------------------------------------

QUARTERS = ["FY2026 Q4", "FY2027 Q1", "FY2027 Q2", "FY2027 Q3", "FY2027 Q4", "FY2028 Q1", "FY2028 Q2"]


@pytest.mark.parametrize(
    ("asked", "frame"),
    {
        "quarter": ({"period": "quarter"}, QUARTERS),
        "quarter, by": ({"by": "quarter"}, QUARTERS),
        "fiscal_year": ({"period": "fiscal_year"}, ["FY2026", "FY2027", "FY2028"]),
        "year": ({"period": "year"}, ["2026", "2027", "2028"]),
        "year, by": ({"by": "year", "period": "total"}, ["2026", "2027", "2028"]),
    }.values(),
)  # fmt: skip
def test_periods_stand_in_order_of_time(plan, asked, frame):
    figure = plan.plot("demand_plan", "consensus", **asked)
    assert figure.frame.iloc[:, 0].tolist() == frame and charts.lint(figure) == []
    assert figure.frame["consensus"].sum() == pytest.approx(plan["demand_plan"]["consensus"].sum())
    places = re.findall(r'aria-label="[^"]*"|<title>plan, ([^:]*):', figure.html)
    assert [place for place in places if place] == frame


def test_months_that_are_no_period_stand_in_order_of_time_too(plan):
    figure = plan.plot("shipments", "quantity", by="arrival", period="total", uom="pcs")
    assert figure.frame["arrival"].is_monotonic_increasing and len(figure.frame) > 10


ASKED = {
    "line": ("demand_plan", "consensus", {"by": "market", "family": "BAGS"}, "pcs", "higher"),
    "heat map": ("deliveries", "lost", {"by": "market", "period": "quarter", "family": "BAGS"}, "pcs", "lower"),
    "columns": ("stock", "value", {"period": "year", "family": "BAGS"}, "thousand EUR", "lower"),
    "ranking": ("people_plan", "overtime", {"by": "site", "period": "total"}, "hours", "lower"),
    "without months": ("segments", "value", {"by": "family"}, "thousand EUR", ""),
    "no rows": ("shift_plan", "cost", {}, "EUR", "lower"),
}


@pytest.mark.parametrize(("name", "column", "asked", "unit", "better"), ASKED.values(), ids=ASKED)
def test_a_figure_carries_what_it_shows(plan, name, column, asked, unit, better):
    figure = plan.plot(name, column, **asked)
    assert (figure.source, figure.unit, figure.better) == ((name,), unit, better)
    assert figure.measure == TABLES[name][column].meaning
    assert figure.who == "Alpenglow Outdoor" + ", family BAGS" * ("family" in asked)
    assert figure.shows == ("Plan of 2026-11",) and plan.title == "Plan of 2026-11"
    monthly = "month" in TABLES[name].names and len(plan[name])
    assert figure.period == ("Nov 2026 to Apr 2028" if monthly else "cycle 2026-11")
    assert all(text in figure.html for text in ("Alpenglow Outdoor", "Plan of 2026-11", "Source: "))


def test_figures_of_two_plans_are_told_apart(plan):
    more = plan.what_if("capacity", resource="SEW-N", column="overtime_limit", add=90, title="More hours")
    assert more.plot("resource_load", "overtime", resource="SEW-N").shows == ("More hours",)
    assert more.plot("sales_history", "quantity").shows == ("actual",)
    figure = more.compare()
    assert figure.shows == ("Plan of 2026-11", "More hours") and figure.who == "Alpenglow Outdoor"
    assert (figure.period, figure.unit) == ("Nov 2026 to Apr 2028", "each row in its own unit")
    assert {*figure.source} == {"deliveries", "supply_costs", "stock", "resource_load"}
    better = figure.frame.set_index("measure")["better"].to_dict()
    assert (better["result"], better["units lost"]) == ("higher", "lower")
    same = plan.compare(plan.what_if("capacity", column="hours", add=0, title=plan.title))
    assert same.shows == ("Plan of 2026-11", "Plan of 2026-11 (1)")


# how columns add up, in plain pandas -------------------------------------------------------------------------------

# what stands at a moment, by hand and not from the declarations: over months it is never summed
LEVELS = {
    "budget": "stock", "inventory": "quantity", "workforce": "people", "policies": "safety_stock target_end_stock",
    "dated_policies": "safety_stock", "stock_history": "quantity",
    "balance_sheet": "receivables payables other_current_assets other_current_liabilities",
    "safety_stock_proposal": "proposed current difference proposed_value current_value difference_value",
    "stock": "closing safety_stock below_safety value", "deliveries": "backlog", "people_plan": "people",
    "level_chase": "stock_value", "working_capital": "inventory receivables payables other working_capital",
    "scenario_months": "stock_value",
}  # fmt: skip
BY = {  # of those with months in the demo: what the rows are asked by
    "budget": "family", "stock_history": "item", "stock": "item", "deliveries": "market", "people_plan": "site",
    "level_chase": "strategy", "working_capital": "total", "scenario_months": "scenario",
}  # fmt: skip
FLOWS = {
    "budget": "sales", "stock": "received", "deliveries": "lost", "people_plan": "used", "level_chase": "hours",
    "scenario_months": "net_sales", "resource_load": "available", "supply_plan": "cost", "demand_plan": "consensus",
}  # fmt: skip
RATES: dict[tuple[str, str, str], Callable[[pd.DataFrame], float]] = {
    ("resource_load", "utilisation", "site"): lambda f: f[["regular", "overtime"]].sum().sum() / f["available"].sum(),
    ("deliveries", "price", "market"): lambda f: (f["price"] * f["demand"]).sum() / f["demand"].sum(),
    ("demand_plan", "price", "market"): lambda f: (f["price"] * f["consensus"]).sum() / f["consensus"].sum(),
}  # fmt: skip


def _quarterly(plan: Plan, name: str) -> pd.DataFrame:
    """A table of the plan with the quarter of each row, whose fiscal year is the calendar's."""
    month = plan[name]["month"].dt
    return plan[name].assign(total="total", quarter="FY" + month.year.astype(str) + " Q" + month.quarter.astype(str))


def test_what_stands_at_a_moment_is_declared_so_and_nothing_else_is():
    declared = {(t.name, c.name) for t in TABLES.values() for c in t if c.adds == "end"}
    assert declared == {(name, column) for name, columns in LEVELS.items() for column in columns.split()}
    assert [(t.name, c.name) for t in TABLES.values() for c in t if c.adds == "start"] == [("stock", "opening")]


@pytest.mark.parametrize(("name", "by"), BY.items())
def test_what_stands_at_a_moment_is_that_of_the_last_month(plan, name, by):
    frame, keys = _quarterly(plan, name), [by, "quarter"]
    last = frame[frame["month"] == frame.groupby("quarter")["month"].transform("max")]
    for column in LEVELS[name].split():
        found = plan.table(name, column, by=by, period="quarter").set_index(keys)[column]
        pd.testing.assert_series_equal(found, last.groupby(keys)[column].sum(), check_names=False)
        assert frame.groupby(keys)[column].sum().sum() != pytest.approx(found.sum()), f"{column} is 0 all over"


def test_what_was_there_at_first_is_that_of_the_first_month(plan):
    frame = _quarterly(plan, "stock")
    first = frame[frame["month"] == frame.groupby("quarter")["month"].transform("min")]
    found = plan.table("stock", "opening", by="item", period="quarter").set_index(["item", "quarter"])["opening"]
    pd.testing.assert_series_equal(found, first.groupby(["item", "quarter"])["opening"].sum())


@pytest.mark.parametrize(("name", "column"), FLOWS.items())
def test_a_flow_is_the_sum_of_its_months(plan, name, column):
    by = {"resource_load": "site", "supply_plan": "mode", "demand_plan": "market"}.get(name) or BY[name]
    found = plan.table(name, column, by=by, period="quarter").set_index([by, "quarter"])[column]
    pd.testing.assert_series_equal(found, _quarterly(plan, name).groupby([by, "quarter"])[column].sum())


@pytest.mark.parametrize(("asked", "again"), RATES.items(), ids=[" ".join(asked) for asked in RATES])
def test_a_rate_is_that_of_the_sums_of_its_parts(plan, asked, again):
    name, column, by = asked
    found = plan.table(name, column, by=by, period="quarter").set_index([by, "quarter"])[column]
    groups = _quarterly(plan, name).groupby([by, "quarter"])
    pd.testing.assert_series_equal(found, groups[[*plan[name]]].apply(again), check_names=False)


# what it says of itself --------------------------------------------------------------------------------------------


def test_a_plan_says_what_it_is_what_it_holds_and_what_to_call_next(plan):
    held = {name: len(frame) for name, frame in plan.items() if len(frame)}
    rows = {
        "company": "Alpenglow Outdoor, money in EUR",
        "cycle": "2026-11, 18 months from Nov 2026 to Apr 2028",
        "tables": f"{len(held)} with {sum(held.values()):,} rows: {', '.join(sorted(held))}",
        "scenarios": "second_shift, poles_outage, second_source, scouts_won",
        "next": "plan.what_if(table, column=..., add=...), plan.compare(other), plan.table(name, by=...), "
        "plan.plot(...)",
    }
    assert len(held) > 90 and {"stock", "pnl", "kpis"} <= set(held)
    assert repr(plan).splitlines() == ["<Plan>", *(f"  {label:<10} {text}" for label, text in rows.items())]
    cells = [
        unescape(re.sub("<[^>]*>", "", cell)) for cell in re.findall("<t[dh][^>]*>.*?</t[dh]>", plan._repr_html_())
    ]
    assert cells == ["", "Plan", *(cell for row in rows.items() for cell in row)]


def test_a_book_says_what_to_call_next():
    book: Book = sopkit.demo()
    assert repr(book).splitlines()[0] == "<Book>"
    assert (
        repr(book).splitlines()[-1] == "  next       book.plan(), book.demand(), book.supply(); book[name] for a table"
    )


def test_a_cycle_says_what_it_is_its_stages_and_what_to_call_next(finished):
    cycle = sopkit.open("demo", "2026-11")
    lines = [re.sub(" +", " ", line).strip() for line in repr(cycle).splitlines()]
    assert lines[0] == "Cycle 2026-11 of demo (no stage: reads everything, writes nothing)"
    assert lines[1] == "stage state tables signed by why stale"
    tables = pd.Series([entry["stage"] for entry in finished.manifest["tables"].values()]).value_counts()
    stages = ("collect", "demand", "supply", "reconcile", "decide", "publish")
    assert [line.split()[:3] for line in lines[2:-1]] == [[one, "done", str(tables[one])] for one in stages]
    assert lines[-1] == "next: c.read('families'), c.tables(), c.status(), c.stale()"
    html = cycle._repr_html_()
    assert html.startswith(f"<b>{lines[0]}</b><table") and html.endswith(
        f"<code>{lines[-1].replace(chr(39), '&#x27;')}</code>"
    )
    assert re.findall("<td>(.*?)</td>", html)[:3] == ["collect", "done", str(tables["collect"])]


def test_a_figure_says_what_it_shows_in_words(plan):
    figure = plan.plot("deliveries", "lost", period="year")
    told = figure._repr_mimebundle_()
    assert told["text/plain"].startswith(
        "Deliveries: lost (pcs). Units lost in the month. Columns by month, pcs. plan: "
    )
    assert "<svg" in told["text/html"] and 'data-tables="deliveries"' in told["text/html"]
