"""Any number explains itself: declared formulas are true, parts add up, and the end of it is the company's files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from sopkit.book import Book
from sopkit.book.ask import with_levels
from sopkit.book.explain import Explanation, evaluated
from sopkit.collect.extract import Extract
from sopkit.collect.traced import source_rows
from sopkit.errors import SettingsError
from sopkit.tables import TABLES
from sopkit.tables.made import MADE

DEMO = Path(__file__).resolve().parents[1] / "data" / "demo"


@pytest.fixture
def book(finished) -> Book:
    return replace(finished.book, manifest=finished.manifest)


def walk(one: Explanation) -> list[Explanation]:
    return [one, *(below for part in one.parts for below in walk(part))]


def test_every_declared_formula_is_true_of_every_row_of_the_demo(book):
    held = 0
    for one in MADE:
        assert TABLES[one.table][one.column].adds is not None
        assert {*one.see} <= {*TABLES}
        if one.tree is None or one.table == "kpis":
            continue
        rows = with_levels(book, one.table)
        for column, value in one.where.items():
            rows = rows[rows[column] == value]
        wanted = rows[one.column].fillna(0.0).to_numpy()
        found = evaluated(book, one.table, one.tree, rows).to_numpy()
        np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-5, err_msg=f"{one.table}.{one.column}")
        held += len(rows)
    assert held > 5_000


def test_a_wrong_formula_would_be_found(book):
    closing = next(one for one in MADE if one.column == "closing")
    wrong = replace(closing, formula="opening + received + issued")
    rows = with_levels(book, "stock")
    assert not np.allclose(evaluated(book, "stock", wrong.tree, rows), rows["closing"])


@pytest.mark.parametrize(
    ("asked", "where"),
    [
        (("stock", "closing"), {"item": "TENT-2P", "month": "2026-12"}),
        (("stock", "received"), {"site": "DC-N"}),
        (("demand_plan", "consensus"), {"family": "BAGS"}),
        (("demand_plan", "statistical"), {"product": "TENT-2P", "month": "2026-12..2027-03"}),
        (("working_capital", "working_capital"), {"month": "2027-01"}),
    ],
)
def test_parts_add_up_to_the_number_they_explain(book, asked, where):
    one = book.explain(*asked, **where)
    assert one.parts
    total = sum({"-": -1.0}.get(part.sign, 1.0) * part.value for part in one.parts)
    assert total == pytest.approx(one.value, abs=1e-5)
    frame = book.table(asked[0], asked[1], period="total", **where) if "month" not in where else None
    if frame is not None:
        assert one.value == pytest.approx(frame[asked[1]].sum())


def test_a_kpi_opens_down_to_the_companys_files(book):
    sales = book.explain("kpis", "value", kpi="total_sales", period="plan")
    sold = book.near(book["deliveries"])
    assert sales.value == pytest.approx((sold["delivered"] * sold["price"]).sum())
    assert sales.formula == "net sales"
    assert [one.value for one in sales.parts] == [pytest.approx(sales.value)]
    told = repr(sales)
    assert "Total sales" in told
    assert "delivered x price" in told
    assert "From sales_forecast.csv" in told
    margin = book.explain("kpis", "value", kpi="gross_margin", period="plan")
    above, below = margin.parts
    assert above.value / below.value == pytest.approx(margin.value)
    month = book.explain("kpis", "value", kpi="total_sales", period="2026-12")
    sold = sold[sold["month"] == "2026-12-01"]
    assert month.parts[0].value == pytest.approx((sold["delivered"] * sold["price"]).sum())


def test_a_code_of_the_model_is_told_in_words(book):
    told = book.explain("supply_costs", "amount", cost="missing_safety_stock").at
    assert told.startswith("missing safety stock, ") and "_" not in told


def test_a_sum_of_a_file_names_its_largest_lines_and_who_answers_for_it(book):
    one = book.explain("sales_forecast", "quantity", product="TENT-2P")
    rows = book["sales_forecast"].query("product == 'TENT-2P'").sort_values("quantity", ascending=False, kind="stable")
    most = rows.iloc[0]
    market = book.names("markets")[most["market"]]
    place = f"{most['month']:%b %Y}, Trail tent, 2 persons, {market}: {most['quantity']:,.2f}"
    assert f"Its largest lines: {place} (row " in repr(one)
    assert "From sales_forecast.csv" in repr(one) and "sales answers for it" in repr(one)


def line_of(name: str, **where: str) -> int:
    """The line of the demo's file that starts with these cells, as a person counts it."""
    lines = (DEMO / f"{name}.csv").read_text(encoding="utf-8").splitlines()
    columns = lines[0].split(",")
    rows = [dict(zip(columns, line.split(","), strict=False)) for line in lines[1:]]
    return next(at for at, row in enumerate(rows, 2) if where.items() <= row.items())


def test_a_number_of_a_file_names_its_row_and_a_correction_who_made_it(book):
    where = {"product": "STOVE-G1", "market": "SOUTH-ONLINE", "month": "2024-12"}
    row = line_of("sales_history", **where)
    told = repr(book.explain("clean_history", "quantity", **where))
    assert f"From sales_history.csv, row {row}, " in told
    assert "history adjustments accepted" in told and "returns: sold here, came back in Jan 2025" in told
    most = repr(book.explain("sales_history", "quantity", product="TENT-2P"))
    assert f"(row {line_of('sales_history', product='TENT-2P', market='NORTH-RETAIL', month='2026-06')})" in most


def test_lines_added_up_from_several_files_name_the_first(tmp_path):
    read = pa.table({"any": ["a"] * 4})
    lines = pd.DataFrame({"month": [pd.Timestamp("2026-01-01")] * 4, "product": list("ABBA"), "market": ["M"] * 4})
    extract = Extract("sales_history", "both", read, np.array([2, 3, 2, 3]), parts=((0, "jan.csv"), (2, "more.csv")))
    rows = source_rows({"sales_history": (lines, extract)})
    assert sorted(rows[["row", "lines", "file"]].to_numpy().tolist()) == [[2, 2, "jan.csv"], [3, 2, "jan.csv"]]
    assert rows["code"].nunique() == 2


def test_money_is_money_and_rows_stand_behind_a_number(book):
    value = book.explain("stock", "value", item="TENT-2P", month="2026-12")
    assert value.shown.endswith("EUR")
    assert value.rows["value"].sum() == pytest.approx(value.value)
    assert all(one.unit for one in walk(value))


def test_who_said_it_stands_there_as_text_and_nothing_else(book):
    effects = pd.DataFrame({
        "id": [1], "cycle": [book.first], "owner": ["Ada <b>"], "product": ["TENT-2P"], "market": ["NORTH-RETAIL"],
        "month": [book.first], "before": [10.0], "after": [15.0], "reason": ["<script>alert(1)</script>"],
    })  # fmt: skip
    plan = book["demand_plan"].copy()
    mine = plan["product"].eq("TENT-2P") & plan["market"].eq("NORTH-RETAIL") & plan["month"].eq(book.first)
    plan.loc[mine, ["override", "consensus"]] += 5.0
    said = book.with_tables({"override_effects": effects, "demand_plan": plan})
    found = said.explain("demand_plan", "override", product="TENT-2P", market="NORTH-RETAIL", month=book.cycle)
    assert found.value == pytest.approx(5.0)
    assert "Ada <b>: <script>alert(1)</script>" in repr(found)
    assert "<script" not in found.__html__()
    assert "Ada &lt;b&gt;: &lt;script&gt;" in found.__html__()


@pytest.mark.parametrize(
    ("asked", "where", "says"),
    [
        (("demand_plan", "consenus"), {}, "consensus"),
        (("demand_plan", "product"), {}, "no number"),
        (("demnd_plan", "consensus"), {}, "demand_plan"),
        (("demand_plan", "consensus"), {"product": "TENT-9"}, "TENT-"),
        (("demand_plan", "consensus"), {"month": "2035-01"}, "no row with month 2035-01"),
        (("baseline", "p90"), {}, "ask for one row"),
    ],
)
def test_what_cannot_be_explained_is_answered_in_words(book, asked, where, says):
    with pytest.raises(SettingsError, match=says):
        book.explain(*asked, **where)
