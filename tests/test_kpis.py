"""KPIs against published and hand-worked numbers, and what must hold of them whatever the data."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sopkit import kpis
from sopkit.book import Book
from sopkit.tables import TABLES, Company

POSITIVE = st.lists(st.tuples(st.floats(0, 1e4), st.floats(1, 1e4)), min_size=1, max_size=24)


def moving_average(case):
    demand = np.array(case["demand"], float)
    return np.array([demand[t - 4 : t].mean() for t in range(4, 13)])


def holt(demand, level, trend, alpha, beta):
    out = []
    for actual in demand:
        out.append(level + trend)
        old = level
        level = alpha * actual + (1 - alpha) * (level + trend)
        trend = beta * (level - old) + (1 - beta) * trend
    return np.array([*out, level + trend])


def winters(demand, level, trend, seasons, alpha, beta, gamma):
    out, seasons = [], list(seasons)
    for t, actual in enumerate(demand):
        out.append((level + trend) * seasons[t])
        old = level
        level = alpha * actual / seasons[t] + (1 - alpha) * (level + trend)
        trend = beta * (level - old) + (1 - beta) * trend
        seasons.append(gamma * actual / level + (1 - gamma) * seasons[t])
    return np.array(out), [(level + (h + 1) * trend) * seasons[len(demand) + h] for h in range(4)]


def test_tahoe_salt_errors(textbook):
    """Chopra & Meindl's Tahoe Salt: four methods, MAD, MAPE and the range of the tracking signal as printed."""
    case, said = textbook["tahoe_salt"]["data"], textbook["tahoe_salt"]["errors"]
    demand = np.array(case["demand"], float)
    ses, des, win = said["SES"], said["Holt"], said["Winters"]
    average = moving_average(case)
    single = holt(demand, ses["L0"], 0, ses["alpha"], 0)
    double = holt(demand, des["L0"], des["T0"], des["alpha"], des["beta"])
    seasonal, next4 = winters(demand, win["L0"], win["T0"], win["S0"], win["alpha"], win["beta"], win["gamma"])
    forecasts = {
        "MA4_t5_12": (average[:-1], demand[4:], average[-1]),
        "SES": (single[:-1], demand, single[-1]),
        "Holt": (double[:-1], demand, double[-1]),
        "Winters": (seasonal, demand, None),
    }
    for method, (forecast, actual, following) in forecasts.items():
        signal = kpis.tracking_signal(forecast, actual)
        assert signal.min() == pytest.approx(said[method]["ts_min"], rel=1e-6), method
        assert signal.max() == pytest.approx(said[method]["ts_max"], rel=1e-6), method
        if following is not None:
            assert following == pytest.approx(said[method]["next"], rel=1e-6), method
    assert next4 == pytest.approx(win["next4"], rel=1e-4)


def test_carlson_tracking_signal(textbook):
    """Heizer & Render's Carlson's Bakery; the book writes A - F, so its signs are turned."""
    case = textbook["carlson"]
    assert kpis.tracking_signal(case["data"]["forecast"], case["data"]["actual"]) == pytest.approx(
        [-signal for signal in case["tracking_signal"]]
    )


def test_published_stairstep(textbook):
    case = textbook["fva_stairstep"]
    assert kpis.forecast_value_added(case["data"]["mape"]) == pytest.approx(case["fva"])


def test_the_sign_of_an_error_is_forecast_less_actual():
    assert kpis.bias([120], [100]) == pytest.approx(0.20)
    assert kpis.tracking_signal([120, 120], [100, 100])[-1] == pytest.approx(2)
    assert "forecast - actual" in kpis.ERROR_SIGN


def test_scales_of_mase_and_rmsse_by_hand():
    """History 1, 3, 2, 6: steps 2, 1, 4; mean 7/3, mean square 7."""
    assert kpis.scale([1, 3, 2, 6]) == pytest.approx(7 / 3) and kpis.scale([1, 3, 2, 6], power=2) == pytest.approx(7)
    assert np.isnan(kpis.scale([2, 2, 2])) and np.isnan(kpis.scale([1, 3], season=2))


def test_no_sales_is_not_no_error():
    assert np.isnan(kpis.wape([10], [0])) and np.isnan(kpis.bias([10], [0]))


def test_shapes_that_differ_are_refused():
    with pytest.raises(ValueError, match="shape"):
        kpis.wape([1, 2], [1])


@given(POSITIVE, st.floats(0.01, 1e3))
def test_what_holds_of_every_error(pairs, price):
    """|bias| never above WAPE; a common price or unit changes no share; FVA telescopes; the signal stays within n."""
    forecast, actual = map(np.array, zip(*pairs, strict=True))
    missed = kpis.wape(forecast, actual)
    assert abs(kpis.bias(forecast, actual)) <= missed + 1e-9
    assert kpis.wape(forecast, actual, price) == pytest.approx(missed)
    assert kpis.wape(12 * forecast, 12 * actual) == pytest.approx(missed)
    assert kpis.forecast_value_added(actual).sum() == pytest.approx(actual[0] - actual[-1], abs=1e-6)
    signal = kpis.tracking_signal(forecast, actual)
    assert (np.abs(signal) <= np.arange(1, len(signal) + 1) + 1e-9).all()


# sales, making, stock and cash: numbers worked by hand ---------------------------------------------------------------

MONTHS = pd.date_range("2026-11-01", periods=14, freq="MS")
BALANCES = st.lists(st.floats(0, 1e6), min_size=2, max_size=25)


def test_margin_turns_and_days_by_hand():
    """Sales 1,000, cost of goods 600, stock 100 at the start and 200 at the end of a year of 360 days."""
    average = kpis.average_inventory([100, 200])
    assert (average, kpis.gross_margin(1000, 600)) == (150, pytest.approx(0.4))
    assert kpis.inventory_turns(600, average) == pytest.approx(4)
    dio, dso, dpo = (kpis.days_outstanding(*pair, 360) for pair in ((average, 600), (125, 1000), (50, 450)))
    assert (dio, dso, dpo) == (pytest.approx(90), pytest.approx(45), pytest.approx(40))
    assert kpis.cash_to_cash(dio, dso, dpo) == pytest.approx(95)
    assert dio == pytest.approx(360 / kpis.inventory_turns(600, average))
    assert kpis.working_capital(150, 125, 50, other=-25) == 200
    assert np.isnan(kpis.gross_margin(0, 10)) and np.isnan(kpis.inventory_turns(10, 0))


def test_average_inventory_of_a_season():
    """Quarters ending 40, 100, 60, 20 after opening at 20: ((20 + 20)/2 + 40 + 100 + 60) / 4 = 55, not (20+20)/2."""
    assert kpis.average_inventory([20, 40, 100, 60, 20]) == 55
    assert np.isnan(kpis.average_inventory([10]))


@given(BALANCES, st.floats(0.1, 100))
def test_average_inventory_lies_between_the_balances(balances, factor):
    average = kpis.average_inventory(balances)
    assert min(balances) - 1e-6 <= average <= max(balances) + 1e-6
    assert kpis.average_inventory([factor * b for b in balances]) == pytest.approx(factor * average, abs=1e-6)


def test_days_of_cover_looks_forward():
    """100 units against 60 (30 days) and 80 (31 days): all of the first month and half of the second."""
    assert kpis.days_of_cover(100, [60, 80], [30, 31]) == pytest.approx(30 + 15.5)
    assert kpis.days_of_cover(0, [60, 80], [30, 31]) == 0
    assert kpis.days_of_cover(60, [60, 0, 80], [30, 31, 30]) == pytest.approx(61)
    assert np.isnan(kpis.days_of_cover(141, [60, 80], [30, 31]))


@given(st.lists(st.floats(1, 1e4), min_size=2, max_size=12), st.floats(0, 0.99), st.floats(0, 0.99))
def test_more_stock_covers_longer(demand, less, more):
    days = [30.0] * len(demand)
    less, more = sorted((less * sum(demand), more * sum(demand)))
    assert kpis.days_of_cover(less, demand, days) <= kpis.days_of_cover(more, demand, days) + 1e-9


def test_cycle_time_mean_and_p90():
    start = pd.Series(pd.to_datetime(["2026-10-01"] * 10))
    finish = start + pd.to_timedelta(range(1, 11), unit="D")
    assert kpis.cycle_time(start, finish) == (pytest.approx(5.5), pytest.approx(9.1))
    assert np.isnan(kpis.cycle_time(start[:0], finish[:0])).all()


def test_production_forecast_telescopes_over_months():
    demand, targets = [100.0, 120.0, 90.0], [30.0, 40.0, 25.0]
    months = [kpis.production_forecast([d], t, o) for d, t, o in zip(demand, targets, [50.0, *targets], strict=False)]
    assert months[0] == 80 and sum(months) == kpis.production_forecast(demand, targets[-1], 50.0) == 285


def test_utilisation_adherence_stability_and_forecast_by_hand():
    assert kpis.capacity_utilisation([80, 110], [100, 100]) == pytest.approx(0.95)
    assert kpis.production_plan_adherence([90, 130], [100, 100]) == pytest.approx(0.8)
    assert kpis.plan_stability([100, 105], [100, 100]) == pytest.approx(0.025)
    assert kpis.forecast_against_actual([120, 70], [100, 100]) == (pytest.approx(-10), pytest.approx(-0.05))
    assert kpis.total_sales([20.0, 60.0]) == 80


def deliveries(rows):
    frame = pd.DataFrame(rows, columns=["month", "demand", "delivered", "backlog", "lost"])
    return frame.assign(product="TENT", market="NORTH", price=10.0, month=MONTHS[: len(frame)])


def test_late_deliveries_do_not_count_as_on_time():
    """100 wanted, 60 delivered and 40 wait; then 100 wanted, 110 delivered: 40 of them late, 70 on time."""
    frame = deliveries([(0, 100, 60, 40, 0), (0, 100, 110, 30, 0)])
    on_time = kpis.units_on_time(frame.iloc[::-1])
    assert on_time.sort_index().tolist() == [60, 70]
    assert kpis.fill_rate(on_time, frame["demand"]) == pytest.approx(0.65)
    assert kpis.fill_rate([], []) == 1


# table kpis ----------------------------------------------------------------------------------------------------------


def company(**more):
    return Company(name="Test", horizon=14, **more)


def small():
    """One product: 10 a month sold at 20, cost 12; 15 in stock at every month's end; cycle 2026-11.

    Customers owe 300, suppliers are owed 100, 20 more is tied up; 50 a month is bought. Ten orders took 1 to 10 days.
    """
    past = pd.date_range("2025-10-01", periods=13, freq="MS")
    product = {"product": ["TENT"], "family": ["TENTS"], "uom": ["pcs"], "price": [25.0], "standard_cost": [12.0]}
    plan = deliveries([(0, 10, 10, 0, 0)] * 14)
    stock = pd.DataFrame(
        {
            "site": "DC",
            "item": "TENT",
            "month": MONTHS,
            "opening": 15.0,
            "closing": 15.0,
            "safety_stock": 15.0,
            "value": 180.0,
        }
    )
    return {
        "products": pd.DataFrame(product),
        "prices": pd.DataFrame({"product": ["TENT"], "market": ["NORTH"], "price": [20.0]}),
        "sales_history": pd.DataFrame(
            {"month": past, "product": "TENT", "market": "NORTH", "quantity": 10.0, "revenue": [np.nan, *[200.0] * 12]}
        ),
        "stock_history": pd.DataFrame({"month": past, "site": "DC", "item": "TENT", "quantity": 15.0}),
        "past_forecasts": pd.DataFrame(
            {
                "cycle": past[:-1],
                "month": past[1:],
                "stream": "consensus",
                "product": "TENT",
                "market": "NORTH",
                "quantity": 12.0,
            }
        ),
        "past_plans": pd.DataFrame(
            {
                "cycle": past[[-2, -1, -1]],
                "measure": "production",
                "family": "TENTS",
                "month": [past[-1], past[-1], MONTHS[0]],
                "quantity": [8.0, 10.0, 16.0],
            }
        ),
        "supply_plan": pd.DataFrame(
            {"mode": "buy", "item": "TENT", "month": MONTHS, "quantity": [12.0, *[10.0] * 13], "cost": 50.0}
        ),
        "work_orders": pd.DataFrame(
            {"start": pd.Timestamp("2026-10-01"), "finish": pd.date_range("2026-10-02", periods=10), "product": "TENT"}
        ),
        "balance_sheet": pd.DataFrame(
            {
                "month": past,
                "receivables": 300.0,
                "payables": 100.0,
                "other_current_assets": 50.0,
                "other_current_liabilities": 30.0,
            }
        ),  # fmt: skip
        "working_capital": pd.DataFrame(
            {"month": MONTHS, "inventory": 180.0, "receivables": 300.0, "payables": 100.0, "working_capital": 400.0}
        ),
        "pnl": pd.DataFrame(
            {
                "line": np.repeat(["net sales", "cost of goods sold"], 14),
                "month": [*MONTHS, *MONTHS],
                "amount": np.repeat([100.0, -120.0], 14),
            }
        ),  # fmt: skip
        "production_history": pd.DataFrame({"month": past, "site": "DC", "product": "TENT", "quantity": 9.0}),
        "deliveries": plan,
        "stock": stock,
        "demand_plan": plan.rename(columns={"demand": "consensus"}),
        "resource_load": pd.DataFrame(
            {"resource": "L", "month": MONTHS, "available": 100.0, "regular": 80.0, "overtime": 5.0}
        ),
    }


def totals(tables, **more):
    made = TABLES["kpis"].check(kpis.kpi_table(Book(tables, company(**more), "2026-11")))
    return made, made[made["period"].isin(["past", "plan"])].set_index(["kpi", "period"])["value"]


def covered(months):
    """15 in stock, 10 wanted a month: all of the next month and half of the one after, for twelve months."""
    days = months.days_in_month
    return (days[1:13] + days[2:14] / 2).to_numpy().mean()


# every KPI of `small`: value of the last twelve months (past) and of the next (plan); a year ahead has 365 days
BY_HAND = {
    ("total_sales", "past"): 12 * 200, ("total_sales", "plan"): 12 * 100,
    ("sales_units", "past"): 120, ("sales_units", "plan"): 120,
    ("gross_margin", "past"): (200 - 120) / 200, ("gross_margin", "plan"): (100 - 120) / 100,
    ("fill_rate", "plan"): 1,
    ("forecast_against_actual", "past"): (12 - 10) / 10, ("forecast_wape", "past"): (12 - 10) / 10,
    ("inventory_turns", "past"): 12 * 120 / 180, ("inventory_turns", "plan"): 12 * 120 / 180,
    ("average_inventory", "past"): 15 * 12, ("average_inventory", "plan"): 15 * 12,
    ("days_of_cover", "past"): covered(pd.date_range("2025-11-01", periods=14, freq="MS")),
    ("days_of_cover", "plan"): covered(MONTHS),
    ("working_capital", "past"): 180 + 300 - 100 + 50 - 30, ("working_capital", "plan"): 400,
    ("days_inventory", "plan"): 180 / 1440 * 365, ("days_sales", "plan"): 300 / 1200 * 365,
    ("days_payables", "plan"): 100 / 600 * 365, ("cash_to_cash", "plan"): (0.125 + 0.25 - 1 / 6) * 365,
    ("cycle_time", "past"): 5.5, ("cycle_time_p90", "past"): 9.1,
    ("capacity_utilisation", "plan"): (80 + 5) / 100,
    ("production_forecast", "past"): 12 * 9, ("production_forecast", "plan"): 120 + 15 - 15,
    ("plan_stability", "past"): (10 - 8) / 8, ("plan_stability", "plan"): (16 - 12) / 16,
    ("production_plan_adherence", "past"): 1 - (10 - 9) / 10,
}  # fmt: skip


def test_table_kpis_by_hand():
    made, total = totals(small(), kpi_targets={"gross_margin": {"target": 0.5, "owner": "Ines", "better": "higher"}})
    assert total.to_dict() == pytest.approx(BY_HAND)
    row = made.query("kpi == 'gross_margin' and period == 'plan'").iloc[0]
    assert (row["target"], row["owner"], row["kind"]) == (0.5, "Ines", "plan")
    months = made.query("kpi == 'total_sales' and kind == 'actual' and period != 'past'")
    assert months["period"].tolist() == [f"{m:%Y-%m}" for m in pd.date_range("2025-11-01", periods=12, freq="MS")]


def test_every_kpi_is_worked_by_hand():
    assert {name for name, _ in BY_HAND} == set(kpis.KPIS)


def test_months_without_money_are_valued_at_the_market_price():
    tables = small()
    tables["sales_history"]["revenue"] = np.nan
    assert totals(tables)[1]["total_sales", "past"] == 2400  # 120 x 20, the market's price, not the list's 25
    del tables["prices"]
    assert totals(tables)[1]["total_sales", "past"] == 3000


@pytest.mark.parametrize("known", [slice(6, None), slice(None, -1)], ids=["seven months", "the last is missing"])
def test_months_that_nobody_knows_are_not_months_without_sales(known):
    tables = small()
    for name in ("sales_history", "production_history"):
        tables[name] = tables[name].iloc[known]
    made, total = totals(tables)
    past = total.xs("past", level="period")
    unknown = ("total_sales", "sales_units", "gross_margin", "inventory_turns", "production_forecast")
    assert past[list(unknown)].isna().all() and past["average_inventory"] == 180
    months = made[(made["kpi"] == "sales_units") & (made["kind"] == "actual") & (made["period"] != "past")]
    assert (months["value"] == 10).all() and len(months) == (7 if known.start else 11)


@pytest.mark.parametrize("absent", [*small(), "everything"])
def test_an_absent_table_only_leaves_out_its_kpis(absent):
    complete = totals(small())[1]
    left = {} if absent == "everything" else {k: v if k != absent else v.head(0) for k, v in small().items()}
    total = totals(left)[1]
    assert set(total.index) <= set(complete.index)
    if absent in ("sales_history", "everything"):
        assert ("total_sales", "past") not in total.index
    if absent == "resource_load":
        assert set(complete.index) - set(total.index) == {("capacity_utilisation", "plan")}


def test_every_kpi_has_a_formula_and_the_eight_come_first():
    assert kpis.EIGHT == (
        "total_sales",
        "forecast_against_actual",
        "gross_margin",
        "cycle_time",
        "inventory_turns",
        "working_capital",
        "capacity_utilisation",
        "production_forecast",
    )
    for name in kpis.EIGHT:
        assert (getattr(kpis, name).__doc__ or "").strip(), name
