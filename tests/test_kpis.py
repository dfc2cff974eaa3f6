"""The error measures against published worked examples, and what must hold of them whatever the data."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sopkit import kpis

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
        assert kpis.mad(forecast, actual) == pytest.approx(said[method]["mad"], rel=1e-6), method
        assert 100 * kpis.mape(forecast, actual) == pytest.approx(said[method]["mape"], rel=1e-6), method
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
        [-signal for signal in case["tracking_signal"]])
    assert kpis.mad(case["data"]["forecast"], case["data"]["actual"]) == pytest.approx(case["mad"][-1])


def test_published_stairstep(textbook):
    case = textbook["fva_stairstep"]
    assert kpis.forecast_value_added(case["data"]["mape"]) == pytest.approx(case["fva"])


def test_the_sign_of_an_error_is_forecast_less_actual():
    assert kpis.bias([120], [100]) == pytest.approx(0.20)
    assert kpis.tracking_signal([120, 120], [100, 100])[-1] == pytest.approx(2)
    assert "forecast - actual" in kpis.ERROR_SIGN


def test_rmsse_and_mase_by_hand():
    """History 1, 3, 2, 6: steps 2, 1, 4; mean 7/3, mean square 7. Errors 1, -3: mean 2, mean square 5."""
    assert kpis.mase([5, 1], [4, 4], [1, 3, 2, 6], season=1) == pytest.approx(2 / (7 / 3))
    assert kpis.rmsse([5, 1], [4, 4], [1, 3, 2, 6]) == pytest.approx(np.sqrt(5 / 7))
    assert np.isnan(kpis.mase([1], [1], [2, 2, 2], season=1))


def test_no_sales_is_not_no_error():
    assert np.isnan(kpis.wape([10], [0])) and np.isnan(kpis.bias([10], [0])) and np.isnan(kpis.accuracy([10], [0]))
    assert kpis.smape([0], [0]) == 0


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
