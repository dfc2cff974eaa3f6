import demo_company as demo
import pandas as pd
import pytest

from sopkit.collect.complete import ALL, PLANNED_AROUND, SCORE, findings, scorecard
from sopkit.tables import INPUTS, TABLES, Company

CYCLE = "2026-11"


@pytest.fixture
def tables() -> dict[str, pd.DataFrame]:
    return dict(demo.tables())


@pytest.fixture
def company() -> Company:
    return Company(name="test")


def score(tables, company, table, measure, family=ALL):
    frame = scorecard(tables, company, CYCLE)["completeness"]
    rows = frame[frame["table"].eq(table) & frame["measure"].str.contains(measure) & frame["family"].eq(family)]
    assert len(rows) == 1, f"{table}, {measure}: {rows}"
    return rows.squeeze()


def test_every_row_is_a_fraction_and_every_table_has_one_score(tables, company):
    frame = scorecard(tables, company, CYCLE)["completeness"]
    measured = frame[frame["measure"].ne(SCORE)]
    assert (measured["score"] == measured["present"] / measured["wanted"]).all()
    scores = frame[frame["measure"].eq(SCORE)].set_index("table")["score"]
    means = measured[measured["family"].eq(ALL)].groupby("table")["score"].mean()
    pd.testing.assert_series_equal(scores.sort_index(), means.sort_index(), check_names=False)
    by_family = measured[measured["family"].ne(ALL)].groupby(["table", "measure"])["wanted"].sum()
    whole = measured[measured["family"].eq(ALL)].set_index(["table", "measure"])["wanted"]
    assert (by_family <= whole[by_family.index]).all()


def test_a_product_without_price_or_cost_is_named(tables, company):
    products = tables["products"].copy()
    products.loc[products["product"].eq("PACK-45"), ["price", "standard_cost"]] = 0.0
    tables["products"] = products
    for measure in ("price", "cost"):
        row = score(tables, company, "products", measure)
        assert (row["wanted"] - row["present"], row["missing"]) == (1, "PACK-45")
    family = products.set_index("product").at["PACK-45", "family"]
    assert score(tables, company, "products", "price", family)["score"] < 1
    assert any(
        f.table == "products" and "price" in f.rule and f.rule.endswith("missing: PACK-45")
        for f in findings(tables, company, CYCLE)
    )


def test_a_product_that_is_no_longer_sold_needs_nothing(tables, company):
    products = tables["products"].copy()
    gone = products["product"].eq("PACK-45")
    products.loc[gone, ["price", "standard_cost"]] = 0.0
    products.loc[gone, "end_month"] = pd.Timestamp("2026-10-01")
    tables["products"] = products
    assert score(tables, company, "products", "price")["score"] == 1


def test_a_market_that_nothing_reaches_and_a_product_that_cannot_get_there(tables, company):
    lanes = tables["lanes"]
    market = tables["markets"]["market"].iloc[0]
    tables["lanes"] = lanes[lanes["destination"].ne(market)]
    assert score(tables, company, "lanes", "markets that something")["missing"] == market
    assert market in score(tables, company, "lanes", "products and markets")["missing"]


def test_a_product_that_nothing_makes_is_named_and_reaches_no_market(tables, company):
    tables["routings"] = tables["routings"][tables["routings"]["item"].ne("PACK-45")]
    tables["offers"] = tables["offers"][tables["offers"]["item"].ne("PACK-45")]
    assert score(tables, company, "routings", "made or bought")["missing"] == "PACK-45"
    row = score(tables, company, "lanes", "products and markets")
    assert row["wanted"] - row["present"] == len(tables["markets"])


def test_a_gap_in_a_series_that_sells_every_month_is_named(tables, company):
    history = tables["sales_history"]
    hole = history["product"].eq("PACK-45") & history["market"].eq("NORTH-RETAIL") & history["month"].eq("2025-03-01")
    assert hole.sum() == 1
    tables["sales_history"] = history[~hole]
    row = score(tables, company, "sales_history", "no gap")
    assert row["missing"] == "PACK-45 in NORTH-RETAIL Mar 2025"


def test_stock_of_what_nobody_sells_or_uses_is_named(tables, company):
    products = tables["products"].copy()
    products.loc[products["product"].eq("PACK-45"), "end_month"] = pd.Timestamp("2026-10-01")
    tables["products"] = products
    assert score(tables, company, "inventory", "still sold or used")["missing"] == "PACK-45"


def test_old_data_score_less_by_the_month(tables, company):
    history = tables["stock_history"]
    tables["stock_history"] = history[history["month"].le("2026-07-01")]
    row = score(tables, company, "stock_history", "up to date")
    assert (row["present"], row["wanted"], row["missing"]) == (9, 12, "Aug 2026, Sep 2026, Oct 2026")


def test_an_empty_table_wants_an_assumption_with_an_owner(tables):
    tables["pipeline"] = TABLES["pipeline"].empty()
    silent = findings(tables, Company(name="test"), CYCLE)
    assert [f.severity for f in silent if f.table == "pipeline"] == ["warning"]
    said = {"no-crm": {"statement": "No CRM.", "owner": "Mara Lind", "table": "pipeline", "expires": "2027-06"}}
    company = Company(name="test", assumptions=said)
    assert not [f for f in findings(tables, company, CYCLE) if f.table == "pipeline"]
    row = scorecard(tables, company, CYCLE)["assumptions"].squeeze()
    assert (row["assumption"], row["owner"], row["expires"]) == ("no-crm", "Mara Lind", pd.Timestamp("2027-06-01"))


def test_an_assumption_that_expired_is_found(tables):
    company = Company(
        name="test",
        assumptions={
            "old": {"statement": "x", "owner": "Mara Lind", "table": "bom", "expires": "2026-10"},
            "holds": {"statement": "x", "owner": "Mara Lind", "table": "pipeline", "expires": "2026-11"},
        },
    )
    rules = [f.rule for f in findings(tables, company, CYCLE) if f.table == "assumptions"]
    assert rules == ["assumption old has expired"]


def test_a_company_without_any_data_is_scored_and_not_excused(company):
    nothing = {table.name: table.empty() for table in INPUTS}
    frame = scorecard(nothing, company, CYCLE)["completeness"]
    assert frame["score"].eq(0).all()
    assert {f.table for f in findings(nothing, company, CYCLE)} >= set(PLANNED_AROUND)
