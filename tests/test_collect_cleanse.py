import demo_company as demo
import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from sopkit.collect.cleanse import KEY, clean
from sopkit.tables import TABLES, Company

MONTHS = pd.date_range("2022-11-01", "2026-10-01", freq="MS")
COMPANY = Company(name="test")
NAMES = ("sales_history", "products", "markets", "calendar", "stock_history", "lanes", "campaigns")


def a_company(seed: int = 7, products: int = 3) -> dict[str, pd.DataFrame]:
    """Products x one market with a season and Poisson noise, level about 100, months of equal working days."""
    noise = np.random.default_rng(seed)
    season = 1 + 0.4 * np.sin(2 * np.pi * np.arange(len(MONTHS)) / 12)
    rows = [
        (month, f"P{p}", "NORTH", float(noise.poisson(100 * s)))
        for p in range(products)
        for month, s in zip(MONTHS, season, strict=True)
    ]
    tables = {name: TABLES[name].empty() for name in NAMES}
    history = pd.DataFrame(rows, columns=["month", "product", "market", "quantity"])
    tables["sales_history"] = history.assign(revenue=10 * history["quantity"])
    tables["products"] = pd.DataFrame({"product": [f"P{p}" for p in range(products)], "family": "F"})
    tables["markets"] = pd.DataFrame({"market": ["NORTH"], "region": "North"})
    tables["calendar"] = pd.DataFrame({"month": MONTHS, "working_days": 21})
    lanes = pd.DataFrame({"origin": ["NEAR", "FAR"], "destination": "NORTH", "cost": [1.0, 2.0]})
    tables["lanes"] = TABLES["lanes"].conform(lanes)
    return tables


def sold(tables, product, month, quantity):
    history = tables["sales_history"]
    cell = history["product"].eq(product) & history["month"].eq(pd.Timestamp(month))
    assert cell.sum() == 1
    before = history.loc[cell, "quantity"].item()
    history.loc[cell, "quantity"] = quantity
    return before


def answer(month, verdict, quantity=np.nan, product="P0", number=1):
    return pd.DataFrame(
        {
            "id": [number],
            "cycle": "2026-11",
            "author": "Ada Brandt",
            "recorded_at": "",
            "month": pd.Timestamp(month),
            "product": product,
            "market": "NORTH",
            "answer": verdict,
            "quantity": quantity,
            "reason": "asked the shop",
        }
    )


def at(result, month, product="P0"):
    frame = result["clean_history"]
    return frame[frame["product"].eq(product) & frame["month"].eq(pd.Timestamp(month))].squeeze()


def test_an_untroubled_history_is_left_alone_and_whole():
    tables = a_company()
    result = clean(tables, COMPANY, "2026-11")
    assert result["history_adjustments"].empty
    whole = result["clean_history"]
    assert len(whole) == 3 * len(MONTHS)
    assert whole["quantity"].equals(whole["raw"])
    assert whole["revenue"].sum() == tables["sales_history"]["revenue"].sum()


def test_raw_history_is_never_touched():
    tables = a_company()
    sold(tables, "P0", "2025-03-01", -30)
    before = {name: frame.copy() for name, frame in tables.items()}
    clean(tables, COMPANY, "2026-11", answer("2025-04-01", "changed", 1.0))
    for name, frame in before.items():
        pd.testing.assert_frame_equal(tables[name], frame)


def test_a_single_order_is_shown_but_counts_only_when_accepted():
    tables = a_company()
    sold(tables, "P0", "2025-06-01", 900)
    usual = 80  # the mean that the month was drawn from
    result = clean(tables, COMPANY, "2026-11")
    row = result["history_adjustments"].squeeze()
    assert (row["month"], row["product"], row["method"], row["status"]) == (
        pd.Timestamp("2025-06-01"),
        "P0",
        "one_off_deal",
        "proposed",
    )
    assert 900 + row["quantity"] == pytest.approx(usual, rel=0.2)
    assert at(result, "2025-06-01")["quantity"] == 900
    accepted = clean(tables, COMPANY, "2026-11", answer("2025-06-01", "accepted"))
    assert at(accepted, "2025-06-01")["quantity"] == 900 + row["quantity"]
    assert at(accepted, "2025-06-01")["raw"] == 900
    assert "Ada Brandt: asked the shop" in accepted["history_adjustments"]["reason"].item()


def test_a_planner_changes_and_refuses_and_the_last_answer_holds():
    tables = a_company()
    sold(tables, "P0", "2025-06-01", 900)
    changed = clean(tables, COMPANY, "2026-11", answer("2025-06-01", "changed", 150))
    rows = changed["history_adjustments"].set_index("method")
    assert rows["status"].to_dict() == {"one_off_deal": "refused", "Ada Brandt": "changed"}
    assert at(changed, "2025-06-01")["quantity"] == 150
    both = pd.concat([answer("2025-06-01", "changed", 150), answer("2025-06-01", "refused", number=2)])
    refused = clean(tables, COMPANY, "2026-11", both)
    assert refused["history_adjustments"]["status"].tolist() == ["refused"]
    assert at(refused, "2025-06-01")["quantity"] == 900


def test_a_planner_can_correct_what_no_method_saw():
    result = clean(a_company(), COMPANY, "2026-11", answer("2025-06-01", "changed", 77, product="P1"))
    assert at(result, "2025-06-01", "P1")["quantity"] == 77
    assert result["history_adjustments"]["method"].tolist() == ["Ada Brandt"]


@pytest.mark.parametrize(("site", "restored"), [("NEAR", True), ("FAR", False)])
def test_sales_lost_to_an_empty_shelf_are_restored_where_the_market_is_served_from(site, restored):
    tables = a_company()
    wanted = sold(tables, "P0", "2025-07-01", 30)
    stock = pd.DataFrame(
        {"month": np.tile(MONTHS, 2), "site": np.repeat(["NEAR", "FAR"], len(MONTHS)), "item": "P0", "quantity": 50.0}
    )
    stock.loc[stock["month"].eq("2025-07-01") & stock["site"].eq(site), "quantity"] = 0.0
    tables["stock_history"] = stock
    result = clean(tables, COMPANY, "2026-11")
    rows = result["history_adjustments"]
    # August opens empty too, but sold as usual: nothing to restore there
    assert rows["month"].tolist() == [pd.Timestamp("2025-07-01")]
    if restored:
        assert rows["method"].tolist() == ["stock_out"]
        assert at(result, "2025-07-01")["quantity"] == pytest.approx(wanted, rel=0.3)
    else:
        assert rows[["method", "status"]].values.tolist() == [["outlier", "proposed"]]


def test_returned_goods_leave_the_months_before_and_no_unit_is_lost():
    tables = a_company()
    sold(tables, "P0", "2025-03-01", -250)
    result = clean(tables, COMPANY, "2026-11")
    rows = result["history_adjustments"]
    assert set(rows["method"]) == {"returns"}
    assert set(rows["status"]) == {"accepted"}
    assert rows["quantity"].sum() == 0
    whole = result["clean_history"]
    assert whole["quantity"].min() >= 0
    assert whole["quantity"].sum() == tables["sales_history"]["quantity"].sum()


def test_a_month_that_the_whole_company_lacks_is_missing_data_not_missing_demand():
    tables = a_company()
    gone = tables["sales_history"]["month"].eq("2025-06-01")
    lost = tables["sales_history"].loc[gone, "quantity"].sum()
    tables["sales_history"] = tables["sales_history"][~gone]
    result = clean(tables, COMPANY, "2026-11")
    rows = result["history_adjustments"]
    assert rows["method"].tolist() == ["missing_month"] * 3
    assert rows["quantity"].sum() == pytest.approx(lost, rel=0.2)


def test_a_lasting_change_is_not_an_outlier():
    tables = a_company()
    history = tables["sales_history"]
    later = history["product"].eq("P0") & history["month"].ge("2025-01-01")
    history.loc[later, "quantity"] *= 3
    rows = clean(tables, COMPANY, "2026-11")["history_adjustments"]
    assert len(rows) < 4, "22 months changed, all but the odd one are taken as the new level"


def test_a_campaign_month_is_not_an_outlier():
    tables = a_company()
    sold(tables, "P0", "2025-06-01", 900)
    tables["campaigns"] = pd.DataFrame(
        {
            "product": ["P0"],
            "market": "NORTH",
            "start_month": pd.Timestamp("2025-06-01"),
            "end_month": pd.Timestamp("2025-06-01"),
        }
    )
    assert clean(tables, COMPANY, "2026-11")["history_adjustments"].empty


def test_working_days_are_found_where_they_matter_and_only_there():
    tables = a_company(products=12)
    assert clean(tables, COMPANY, "2026-11")["history_adjustments"].empty
    days = np.random.default_rng(3).integers(17, 24, len(MONTHS))
    tables["calendar"]["working_days"] = days
    assert clean(tables, COMPANY, "2026-11")["history_adjustments"].empty
    history = tables["sales_history"]
    usual = pd.Series(days, MONTHS).groupby(MONTHS.month).transform("mean")
    history["quantity"] = (history["quantity"] * history["month"].map(pd.Series(days, MONTHS) / usual)).round()
    rows = clean(tables, COMPANY, "2026-11")["history_adjustments"]
    rows = rows[rows["method"].eq("trading_days")]
    assert set(rows["status"]) == {"proposed"}
    wild = history.merge(rows, on=KEY, suffixes=("", "_change"))
    assert len(wild) > 100
    error = history["quantity"].std()
    evened = wild["quantity"] + wild["quantity_change"]
    wanted = wild["quantity"] / wild["month"].map(pd.Series(days, MONTHS) / usual)
    assert (evened - wanted).abs().mean() < 0.1 * error


def test_the_company_says_which_methods_count():
    tables = a_company()
    sold(tables, "P0", "2025-06-01", 900)
    bold = Company(name="test", cleansing={"accept": ["one_off_deal"]})
    assert clean(tables, bold, "2026-11")["history_adjustments"]["status"].tolist() == ["accepted"]
    with pytest.raises(ValidationError, match="returns"):
        Company(name="test", cleansing={"accept": ["everything"]})


def test_the_cycles_own_month_is_not_history():
    tables = a_company()
    result = clean(tables, COMPANY, "2026-06")
    assert result["clean_history"]["month"].max() == pd.Timestamp("2026-05-01")
    assert clean(tables, COMPANY, "2020-01")["clean_history"].empty


def test_the_story_of_the_demo_company_is_found():
    rows = clean(demo.tables(), COMPANY, "2026-11")["history_adjustments"]
    found = set(rows[["method", "product", "market"]].itertuples(index=False, name=None))
    product, market, month, units = demo.TRUTH["one_off"]
    assert ("one_off_deal", product, market) in found
    deal = rows[rows["method"].eq("one_off_deal") & rows["month"].eq(month)]["quantity"].item()
    assert deal == pytest.approx(-units, rel=0.05)
    product, market, months, kept = demo.TRUTH["stock_out"]
    lost = rows[rows["method"].eq("stock_out")]
    assert set(lost[["product", "market"]].itertuples(index=False, name=None)) == {(product, market)}
    assert set(lost["month"]) == set(pd.to_datetime(list(months)))
    assert ("returns", *demo.TRUTH["returns"][:2]) in found
    assert len(rows) < 20, "a planner has better things to do"
