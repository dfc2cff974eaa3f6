"""Finance, gaps and scenarios: hand-worked money, the tie to the plan, and scenarios that say what they change."""

from __future__ import annotations

import pandas as pd
import pytest

from sopkit import kpis
from sopkit.book import Book, Change, apply, load_scenarios
from sopkit.errors import FindingsError, SettingsError, SopkitError
from sopkit.reconcile import compare, finance, gaps
from sopkit.tables import TABLES, Company

M1, M2 = pd.Timestamp("2026-11-01"), pd.Timestamp("2026-12-01")


def frame(name, *rows):
    declared = TABLES[name]
    return declared.check(pd.DataFrame(list(rows))) if rows else declared.empty()


@pytest.fixture
def plan():
    """One product, two months: 100 and 80 made at 7 (standard 8), 90 and 60 sold at 20, the rest stocked or waiting."""
    tables = {
        "products": frame("products", {"product": "A", "family": "F", "price": 20, "standard_cost": 8}),
        "materials": TABLES["materials"].empty(),
        "routings": frame("routings", {"item": "A", "resource": "R", "hours": 1}),
        "deliveries": frame(
            "deliveries",
            {
                "product": "A",
                "market": "X",
                "month": M1,
                "demand": 90,
                "delivered": 90,
                "backlog": 0,
                "lost": 0,
                "price": 20,
            },
            {
                "product": "A",
                "market": "X",
                "month": M2,
                "demand": 100,
                "delivered": 60,
                "backlog": 30,
                "lost": 10,
                "price": 20,
            },
        ),
        "stock": frame(
            "stock",
            {
                "site": "P",
                "item": "A",
                "month": M1,
                "opening": 0,
                "received": 100,
                "issued": 90,
                "closing": 10,
                "scrapped": 0,
                "safety_stock": 0,
                "below_safety": 0,
                "value": 80,
            },
            {
                "site": "P",
                "item": "A",
                "month": M2,
                "opening": 10,
                "received": 80,
                "issued": 60,
                "closing": 30,
                "scrapped": 0,
                "safety_stock": 0,
                "below_safety": 0,
                "value": 240,
            },
        ),
        "supply_plan": frame(
            "supply_plan",
            {
                "mode": "make_regular",
                "source": "R",
                "item": "A",
                "site": "P",
                "month": M1,
                "available": M1,
                "quantity": 100,
                "cost": 700,
            },
            {
                "mode": "buy",
                "source": "S",
                "item": "A",
                "site": "P",
                "month": M2,
                "available": M2,
                "quantity": 80,
                "cost": 560,
            },
        ),
        "supply_costs": frame(
            "supply_costs",
            {"cost": "revenue", "item": "A", "month": M1, "amount": 1800, "penalty": False},
            {"cost": "revenue", "item": "A", "month": M2, "amount": 1200, "penalty": False},
            {"cost": "making", "item": "A", "month": M1, "amount": 700, "penalty": False},
            {"cost": "buying", "item": "A", "month": M2, "amount": 560, "penalty": False},
            {"cost": "freight", "item": "A", "month": M1, "amount": 45, "penalty": False},
            {"cost": "holding", "item": "A", "month": M2, "amount": 15, "penalty": False},
            {"cost": "wages", "item": "", "month": M1, "amount": 200, "penalty": False},
            {"cost": "backlog", "item": "A", "month": M2, "amount": 99, "penalty": True},
        ),
        "resource_load": frame(
            "resource_load",
            {
                "resource": "R",
                "site": "P",
                "month": M1,
                "available": 160,
                "overtime_limit": 0,
                "regular": 100,
                "overtime": 0,
                "utilisation": 0.625,
            },
        ),
        "budget": frame(
            "budget",
            {"family": "F", "month": M1, "production": 120, "stock": 0, "sales": 2000, "margin": 1200},
            {"family": "F", "month": M2, "production": 90, "stock": 0, "sales": 2000, "margin": 1200},
        ),
        "balance_sheet": frame(
            "balance_sheet",
            {
                "month": pd.Timestamp("2026-10-01"),
                "receivables": 3000,
                "payables": 400,
                "other_current_assets": 500,
                "other_current_liabilities": 200,
                "dso": 45,
                "dpo": 30,
            },
        ),
        "levers": TABLES["levers"].empty(),
    }
    return Book(tables, Company(name="test"), "2026-11")


def test_statement_by_hand(plan):
    lines = finance.pnl(plan).groupby("line")["amount"].sum()
    assert lines["net sales"] == 3000  # 150 sold at 20
    assert lines["cost of goods sold"] == -1200  # 150 at standard 8
    assert lines["freight"] == -45 and lines["warehousing"] == -15
    # 700 + 560 + 200 paid; 150 sold and 30 stocked, 180 at 8 = 1,440: 20 more than standard
    assert lines["supply cost against standard"] == pytest.approx(-20)
    assert set(finance.pnl(plan)["line"]) == set(finance.LINES) - {"adopted options"}, "nothing is adopted"


def test_statement_ties_to_the_plans_money_and_a_tampered_one_does_not(plan):
    compare.must_tie(finance.ties(finance.pnl(plan), plan))
    plan["deliveries"].loc[0, "delivered"] += 1
    with pytest.raises(SopkitError, match="net sales differs"):
        compare.must_tie(finance.ties(finance.pnl(plan), plan))


def test_wages_belong_to_the_company_not_to_a_family(plan):
    statement = finance.pnl(plan).set_index(["line", "family", "month"])["amount"]
    assert statement["supply cost against standard", "company", M1] == -200
    # family F in November: 700 paid against 100 made at 8
    assert statement["supply cost against standard", "F", M1] == 100


def test_working_capital_by_hand(plan):
    capital = finance.working_capital(plan, finance.pnl(plan)).set_index("month")
    # 45 days = this month and half of the one before; 3,000 / 1.5 = 2,000 a month before the plan
    assert capital.at[M1, "receivables"] == 1800 + 0.5 * 2000
    assert capital.at[M2, "receivables"] == 1200 + 0.5 * 1800
    # 30 days payable = this month's purchases
    assert capital.at[M1, "payables"] == 0 and capital.at[M2, "payables"] == 560
    assert capital.at[M2, "working_capital"] == 240 + 2100 - 560 + 300


def test_cash_is_the_result_less_what_working_capital_takes(plan):
    statement = finance.pnl(plan)
    capital = finance.working_capital(plan, statement)
    cash, held = finance.cash(plan, statement, capital), capital.set_index("month")["working_capital"]
    taken = held[M2] - finance.opening_capital(plan)
    assert cash.sum() == pytest.approx(statement["amount"].sum() - taken)
    # the second month by hand: its result, less what receivables, payables and stock take in it
    second = statement[statement["month"] == M2]["amount"].sum()
    assert cash[M2] == pytest.approx(second - (held[M2] - held[M1]))


def test_bridge_telescopes_from_budget_to_plan(plan):
    bridge = finance.budget_bridge(plan, finance.pnl(plan)).set_index("step")["amount"]
    assert bridge["budget"] == 2400 and bridge["plan"] == 1800
    assert bridge["volume"] == pytest.approx(-600)  # 1,000 less sales at 60 %
    assert bridge["mix"] == pytest.approx(0) and bridge["rate"] == pytest.approx(0)
    assert bridge[["budget", "volume", "mix", "rate"]].sum() == pytest.approx(bridge["plan"])


def test_gaps_by_hand(plan):
    found = gaps.gaps(plan, finance.pnl(plan)).set_index(["gap", "month"])
    short = found.loc[("demand-supply", M2)]
    assert short["difference"] == -40 and short["money"] == -800 and short["share"] == pytest.approx(-0.4)
    assert found.at[("sales-budget", M1), "difference"] == -200
    assert found.at[("production-budget", M1), "money"] == (100 - 120) * 8
    assert found.at[("stock-budget", M2), "difference"] == 30


def test_lever_stands_beside_the_shortage_it_helps(plan):
    lever = {
        "lever": "overtime",
        "place": "R",
        "item": "",
        "months": "Dec 2026",
        "change": "+10 hours",
        "gain": 55,
        "helps": "A",
        "revenue": 55,
        "cash_cost": 0,
        "penalties": 0,
        "sentence": "ten more hours on R",
    }
    other = lever | {"place": "S", "gain": 99, "helps": "", "sentence": "ten more hours on S, for another family"}
    plan = plan.with_tables({"levers": pd.DataFrame([lever, other])})
    found = gaps.gaps(plan, finance.pnl(plan)).set_index(["gap", "month"])
    assert found.at[("demand-supply", M2), "lever"] == "ten more hours on R"
    assert found.at[("demand-supply", M1), "lever"] == ""  # no shortage, no lever


def test_backlog_served_later_is_not_on_time(plan):
    assert kpis.units_on_time(plan["deliveries"]).sum() == 150
    plan["deliveries"].loc[0, ["delivered", "backlog"]] = [70, 20]
    assert kpis.units_on_time(plan["deliveries"]).sum() == 70 + 40


# scenarios ------------------------------------------------------------------------------------------------------


@pytest.fixture
def capacity():
    return {
        "capacity": frame(
            "capacity",
            *({"resource": r, "month": m, "hours": 100, "overtime_limit": 10} for r in "RS" for m in (M1, M2)),
        )
    }


def test_change_of_cells_in_a_range_of_months(capacity):
    change = Change(
        table="capacity", where={"resource": "R", "month": "2026-12..2027-03"}, column="overtime_limit", add=5
    )
    changed, rows = apply(capacity, [change], "s")
    assert rows == [1]
    assert changed["capacity"].set_index(["resource", "month"])["overtime_limit"].to_dict() == {
        ("R", M1): 10,
        ("R", M2): 15,
        ("S", M1): 10,
        ("S", M2): 10,
    }
    assert capacity["capacity"]["overtime_limit"].eq(10).all()  # the base is untouched


def test_rows_replace_by_key_or_are_added(capacity):
    rows = [{"resource": "R", "month": "2026-11", "hours": 5}, {"resource": "T", "month": "2026-11", "hours": 7}]
    changed, counts = apply(capacity, [Change(table="capacity", rows=rows)], "s")
    hours = changed["capacity"].set_index(["resource", "month"])["hours"]
    assert counts == [2] and len(hours) == 5 and hours["R", M1] == 5 and hours["T", M1] == 7


def test_row_with_a_range_of_months_is_a_row_a_month(capacity):
    row = {"resource": "R", "month": "2026-12..2027-02", "hours": 0}
    changed, counts = apply(capacity, [Change(table="capacity", rows=[row])], "s")
    hours = changed["capacity"].query("resource == 'R'")["hours"].tolist()
    assert counts == [3] and hours == [100, 0, 0, 0]


def test_drop_and_scale(capacity):
    changed, _ = apply(
        capacity,
        [
            Change(table="capacity", where={"resource": "S"}, drop=True),
            Change(table="capacity", column="hours", scale=0.9),
        ],
        "s",
    )
    assert changed["capacity"]["hours"].tolist() == [90, 90]


def test_change_that_does_nothing_is_refused(capacity):
    with pytest.raises(SettingsError, match="would do nothing"):
        apply(capacity, [Change(table="capacity", where={"resource": "Q"}, column="hours", add=1)], "s")


def test_change_beyond_the_bounds_of_the_table_is_refused(capacity):
    with pytest.raises(FindingsError, match="at least 0"):
        apply(capacity, [Change(table="capacity", column="hours", set=-1)], "s")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a:\n  title: x\n  changes:\n    - {table: capacty, column: hours, add: 1}\n", "did you mean 'capacity'"),
        ("a:\n  title: x\n  changes:\n    - {table: capacity, column: hour, add: 1}\n", "did you mean 'hours'"),
        ("a:\n  title: x\n  changes:\n    - {table: capacity, column: hours}\n", "exactly one of"),
        ("a:\n  titel: x\n  changes: []\n", "line 2"),
        ("a:\n  title: x\n  once: .inf\n  changes: []\n", "line 3: a.once: Input should be a finite number"),
        (
            "a:\n  title: x\n  first: 2026-13\n  changes: []\n",
            "line 3: a.first: '2026-13' is not a month; write it like 2026",
        ),
        ("base:\n  title: x\n  changes: []\n", "rename this scenario"),
        ("- a\n", "one scenario a key"),
        ("a: [\n", "Correct the YAML"),
    ],
)
def test_wrong_scenarios_are_answered_before_anything_runs(tmp_path, text, said):
    path = tmp_path / "scenarios.yaml"
    path.write_text(text)
    with pytest.raises(SettingsError, match="scenarios.yaml.*") as error:
        load_scenarios(path)
    assert said in str(error.value)
