"""The library door: a book to ask, a plan to change and compare, from a blank notebook and without any trace."""

from __future__ import annotations

import hashlib
import os
import pickle
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import pytest
from small_company import BAGS_MONTHS, CYCLE, bags, company

import sopkit
from sopkit import supply
from sopkit.book import Book, Change, Plan, Scenario
from sopkit.errors import FindingsError, SettingsError, SopkitError
from sopkit.supply import solve
from sopkit.tables import TABLES


@pytest.fixture(scope="module")
def little() -> Book:
    """One line makes two bags for one market; demand is above capacity in the last month."""
    return Book.of(bags(), company(BAGS_MONTHS), CYCLE)


@pytest.fixture(scope="module")
def plan(little) -> Plan:
    return little.supply()


# a book ------------------------------------------------------------------------------------------------------------


def test_a_book_is_a_mapping_of_checked_tables_and_an_absent_table_is_empty(little):
    assert little["materials"].empty and list(little["materials"]) == TABLES["materials"].names
    assert "materials" not in little and len(little) == len(list(little))
    with pytest.raises(KeyError, match="did you mean 'products'"):
        little["product"]
    with pytest.raises(FindingsError, match="products, row 2, column price"):
        little.with_tables({"products": little["products"].assign(price=[-1.0, 5.0])})


def test_a_book_is_never_changed(little):
    before = little["capacity"].copy()
    more = little.with_tables({"capacity": before.assign(hours=7.0)})
    assert more["capacity"]["hours"].eq(7).all() and little["capacity"].equals(before)


def test_families_costs_prices_and_lags_are_asked_of_the_book(little):
    assert little.families(pd.Series(["B", "nothing"])).tolist()[0] == "F"
    assert little.standard_cost["B"] == 12
    special = little.with_tables({"prices": pd.DataFrame({"product": ["A"], "market": "SHOPS", "price": 17.0})})
    assert special.net_prices(special["demand_plan"]).groupby(special["demand_plan"]["product"]).first().to_dict() == {
        "A": 17.0,
        "B": 30.0,
    }
    late = pd.DataFrame({"cycle": pd.to_datetime(["2026-11-01"]), "month": pd.to_datetime(["2027-02-01"])})
    assert little.lag(late).tolist() == [3]


def test_a_thin_demand_table_is_enough_for_supply(little, plan):
    thin = little["demand_plan"][["product", "market", "month", "consensus"]]
    assert set(thin) < set(TABLES["demand_plan"].names)
    again = little.with_tables({"demand_plan": thin.assign(month=thin["month"].dt.strftime("%Y-%m"))}).supply()
    for name in ("supply_plan", "deliveries", "stock", "supply_costs"):
        pd.testing.assert_frame_equal(again[name], plan[name])


# a plan ------------------------------------------------------------------------------------------------------------


def test_a_plan_holds_its_book_and_every_table_of_supply(little, plan):
    assert set(little) < set(plan)
    assert plan["supply_checks"]["holds"].all()
    pd.testing.assert_frame_equal(plan["stock"], TABLES["stock"].check(supply.plan(little)["stock"]))


def test_what_if_equals_a_plan_made_from_the_changed_tables(little, plan):
    more = plan.what_if("capacity", resource="LINE", month=f"{CYCLE}..2026-02", column="overtime_limit", add=20)
    table = little["capacity"].copy()
    table.loc[table["month"] < "2026-03", "overtime_limit"] += 20
    made = little.with_tables({"capacity": table}).supply()
    assert more.rows == [2] and more.base is plan
    assert more.measures().to_dict() == pytest.approx(made.measures().to_dict())
    assert more.measures()["units lost"] < plan.measures()["units lost"]


def test_a_scenario_the_words_of_what_if_and_a_change_are_one_thing(plan):
    change = Change(table="capacity", where={"resource": "LINE"}, column="hours", scale=0.5)
    spoken = plan.what_if("capacity", resource="LINE", column="hours", scale=0.5)
    listed = plan.what_if(Scenario(title="Half", changes=[change]), warm=False)
    same = ["result", "service penalties", "units lost"]  # stock may differ: nothing here costs money to hold
    assert spoken.measures()[same].to_dict() == pytest.approx(listed.measures()[same].to_dict())
    assert (spoken.title, listed.title) == ("Capacity: hours -50 % (resource Line)", "Half")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"column": "hours", "scale": 1.25}, "Capacity: hours +25 % (resource LINE, month Jan to Jun 2027)"),
        ({"column": "hours", "add": -7.5}, "Capacity: hours -7.5 (resource LINE, month Jan to Jun 2027)"),
        ({"column": "overtime_limit", "set": 2.0}, "Capacity: overtime limit becomes 2 (resource LINE, month Jan"),
        ({"drop": True}, "Capacity: rows dropped where resource LINE, month Jan to Jun 2027"),
    ],
)
def test_a_change_is_told_as_people_write_it(change, told):
    where = {"resource": "LINE", "month": "2027-01..2027-06"}
    assert Change(table="capacity", where=where, **change).sentence.startswith(told)
    rows = [{"resource": "LINE", "month": ["2027-01", "2027-03"], "hours": 1200}]
    assert (
        Change(table="capacity", rows=rows).sentence
        == "Capacity: resource LINE, month Jan 2027 or Mar 2027, hours 1,200"
    )


def test_no_change_equals_the_base(plan):
    same = plan.what_if("capacity", column="hours", add=0)
    assert same.measures().to_dict() == pytest.approx(plan.measures().to_dict())
    assert same.side_by_side()["difference"].abs().max() < 1e-6


def test_plans_are_compared_by_name_and_by_measure(plan):
    more = plan.what_if("capacity", column="overtime_limit", add=50, title="More hours")
    table = more.side_by_side().set_index(["title", "measure"])
    assert table.at[("More hours", "units lost"), "difference"] < 0
    assert table.at[("This plan", "result"), "difference"] == 0
    assert "More hours" in more.compare().html
    other = plan.compare(more, more.what_if("capacity", column="hours", add=1, title="And one"))
    assert "And one" in other.html
    with pytest.raises(SopkitError, match="nothing to compare"):
        plan.compare()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ({"what": "capacty", "column": "hours", "add": 1}, "did you mean 'capacity'"),
        ({"what": "capacity", "column": "hour", "add": 1}, "did you mean 'hours'"),
        ({"what": "capacity", "column": "hours", "add": 1, "resource": "LIN"}, "did you mean 'LINE'"),
        ({"what": "capacity", "column": "hours", "add": 1, "scale": 2}, "exactly one of set, add, scale"),
        ({"what": "capacity", "column": "hours", "add": 1, "month": "2031-01"}, "would do nothing"),
    ],
)
def test_a_what_if_that_makes_no_sense_is_answered_in_words(plan, words, says):
    with pytest.raises(SettingsError, match=says):
        plan.what_if(**words)


def test_a_plan_travels_between_processes_without_its_solver(plan):
    plan.what_if("capacity", column="hours", add=1)
    again = pickle.loads(pickle.dumps(plan))
    assert again.measures().to_dict() == plan.measures().to_dict()


# asking ------------------------------------------------------------------------------------------------------------


def test_a_table_adds_up_as_each_column_declares(plan):
    stock = plan["stock"]
    quarter = plan.table("stock", "opening", "received", "closing", by="family", period="quarter")
    assert quarter["received"].tolist() == [stock["received"].sum()]
    assert quarter["opening"].tolist() == [stock.loc[stock["month"] == stock["month"].min(), "opening"].sum()]
    assert quarter["closing"].tolist() == [stock.loc[stock["month"] == stock["month"].max(), "closing"].sum()]
    load = plan["resource_load"]
    rate = plan.table("resource_load", "utilisation", by="site", period="quarter")["utilisation"].item()
    assert rate == pytest.approx((load["regular"] + load["overtime"]).sum() / load["available"].sum())
    with pytest.raises(ValueError, match="does not add up"):
        plan.table("demand_plan", "p90", by="family")


def test_rows_are_chosen_by_value_list_level_and_months(plan):
    whole = plan["demand_plan"]
    assert plan.table("demand_plan", product="A").equals(whole[whole["product"] == "A"].reset_index(drop=True))
    assert len(plan.table("demand_plan", product=["A", "B"], month="2026-02..2026-03")) == 4
    assert len(plan.table("demand_plan", region="North", family="F")) == len(whole)
    units = plan.table("demand_plan", "consensus", by="market").attrs["units"]
    assert units == {"consensus": "pcs"}
    for wrong, says in (({"family": "G"}, "no family 'G'"), ({"familly": "F"}, "did you mean 'family'")):
        with pytest.raises(SettingsError, match=says):
            plan.table("demand_plan", **wrong)
    with pytest.raises(SettingsError, match="did you mean 'quarter'"):
        plan.table("demand_plan", by="family", period="quarters")


@pytest.mark.parametrize("period", ["month", "quarter", "year", "total"])
def test_a_figure_has_title_unit_and_months_of_the_declaration(plan, period):
    figure = plan.plot("demand_plan", "consensus", by="product", period=period, market="SHOPS")
    assert figure.title == "Demand plan: consensus by product" and figure.unit.endswith("pcs")
    assert "what the demand meeting signs" in figure.look_for.lower() and "SHOPS" in figure.look_for


# without a trace ---------------------------------------------------------------------------------------------------


def _bytes(folder: Path) -> dict[str, tuple[str, int]]:
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        str(path): (hashlib.sha256(path.read_bytes()).hexdigest(), os.stat(path).st_mtime_ns)
        for path in found
        if not path.name.endswith(("-wal", "-shm"))
    }


def test_a_cycle_is_opened_read_changed_and_compared_without_a_trace(demo_run, finished):
    before, stale = _bytes(demo_run), finished.stale()
    cycle = sopkit.open("demo", "2026-11")
    plan = cycle.plan
    assert plan["supply_plan"].equals(finished.read("supply_plan")) and plan.scenarios and plan.questions
    more = plan.what_if("capacity", resource="SEW-N", column="overtime_limit", add=90)
    assert more.measures()["fill rate"] >= plan.measures()["fill rate"]
    for shown in (cycle, plan, more, cycle.book, plan.compare(more)):
        assert "demo" in repr(shown) or "Alpenglow" in repr(shown) or "Plan" in repr(shown)
        assert "<" in shown._repr_html_()
    assert _bytes(demo_run) == before and cycle.stale() == stale == {}


def test_a_scenario_of_the_file_is_what_the_batch_solved(finished):
    plan, results = finished.plan, finished.read("scenario_results").set_index(["scenario", "measure"])["value"]
    again = plan.what_if(plan.scenarios["second_shift"], warm=False)
    assert again.measures().to_dict() == pytest.approx(results["second_shift"].to_dict(), rel=1e-9)
    warm = plan.what_if(plan.scenarios["second_shift"])
    gain = [one.measures()["result"] - one.measures()["service penalties"] for one in (warm, again)]
    assert gain[0] == pytest.approx(gain[1], rel=1e-4)


def test_sopkit_book_is_called_before_and_after_its_room_is_imported(tmp_path):
    code = (
        "import sopkit\nfirst = sopkit.demo()\nagain = sopkit.demo()\nfrom sopkit.book import Book\n"
        "import sopkit.book as room\nfrom sopkit.files import find_company\n"
        "third = sopkit.book(find_company('demo'), '2026-11')\n"
        "assert room.Book is Book is type(first) is type(again) is type(third) is sopkit.book.Book"
    )
    subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).resolve().parents[1], check=True)


def test_the_demo_book_gives_the_plan_of_the_batch(demo_run, finished):
    plan = sopkit.book(demo_run / "data" / "demo", "2026-11").plan()
    for name in ("demand_plan", "supply_plan", "stock", "levers"):
        pd.testing.assert_frame_equal(plan[name], finished.read(name))


def test_questions_asked_from_several_threads_at_once_wait_for_each_other(plan, monkeypatch):
    """JupyterLab answers controls beside the running cell: HiGHS, asked twice at once, ended the whole kernel."""
    inside, most, real = [], [], solve.built

    def watched(network):
        inside.append(1)
        most.append(len(inside))
        time.sleep(0.05)
        made = real(network)
        inside.pop()
        return made

    def ask(more: int) -> pd.Series:
        return plan.what_if("capacity", column="overtime_limit", add=more).measures()

    alone = {more: ask(more) for more in (5, 10, 15)}
    monkeypatch.setattr(solve, "built", watched)
    with ThreadPoolExecutor(3) as pool:
        for more, measures in zip((5, 10, 15) * 2, pool.map(ask, (5, 10, 15) * 2), strict=True):
            pd.testing.assert_series_equal(measures, alone[more])
    assert set(most) == {1} and len(most) == 6
