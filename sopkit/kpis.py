"""Every KPI: one function each, its formula and source in the docstring.

Sign of an error everywhere in sopkit: **error = F - A** (forecast less actual); positive = too much was forecast.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

ERROR_SIGN = "Error = forecast - actual: positive = too much was forecast."


# How good a forecast was -------------------------------------------------------------------------------------------


def _pair(forecast: ArrayLike, actual: ArrayLike) -> tuple[NDArray, NDArray]:
    forecast, actual = np.asarray(forecast, dtype=float), np.asarray(actual, dtype=float)
    if forecast.shape != actual.shape:
        raise ValueError(f"forecast has shape {forecast.shape}, actual {actual.shape}")
    return forecast, actual


def _ratio(above: float, below: float) -> float:
    """above / below; NaN where nothing stands below, so that "no sales" never reads as "no error"."""
    return float(above / below) if below else float("nan")


def mad(forecast: ArrayLike, actual: ArrayLike) -> float:
    """Mean absolute deviation, sum |F-A| / n, in the unit of the data. Source: Chopra & Meindl, forecasting chapter."""
    forecast, actual = _pair(forecast, actual)
    return float(np.abs(forecast - actual).mean())


def mape(forecast: ArrayLike, actual: ArrayLike) -> float:
    """Mean of |F-A| / |A|, a share; NaN where an actual is 0. Source: Chopra & Meindl, forecasting chapter.

    Shown only for comparison with books: it explodes on small actuals, so plans are judged by `wape`.
    """
    forecast, actual = _pair(forecast, actual)
    return float((np.abs(forecast - actual) / np.abs(actual)).mean()) if actual.all() else float("nan")


def smape(forecast: ArrayLike, actual: ArrayLike) -> float:
    """Mean of 200 |F-A| / (|A|+|F|), in percent, 0 where both are 0. Source: Makridakis & Hibon 2000 (M3)."""
    forecast, actual = _pair(forecast, actual)
    size = np.abs(forecast) + np.abs(actual)
    return float(np.divide(200 * np.abs(forecast - actual), size, out=np.zeros_like(size), where=size > 0).mean())


def wape(forecast: ArrayLike, actual: ArrayLike, value: ArrayLike | float = 1.0) -> float:
    """Weighted absolute percentage error, sum value |F-A| / sum value A, a share; NaN without sales.

    `value`: money of a unit (price) for the value-weighted form. Source: Hyndman & Koehler 2006 ("MAD/mean").
    """
    forecast, actual = _pair(forecast, actual)
    return _ratio((value * np.abs(forecast - actual)).sum(), (value * actual).sum())


def accuracy(forecast: ArrayLike, actual: ArrayLike, value: ArrayLike | float = 1.0) -> float:
    """Forecast accuracy as the S&OP meeting knows it: max(0, 1 - WAPE), a share."""
    missed = wape(forecast, actual, value)
    return float("nan") if np.isnan(missed) else max(0.0, 1 - missed)


def bias(forecast: ArrayLike, actual: ArrayLike, value: ArrayLike | float = 1.0) -> float:
    """Sum value (F-A) / sum value A, a share; positive = too much was forecast. To be shown beside WAPE, always."""
    forecast, actual = _pair(forecast, actual)
    return _ratio((value * (forecast - actual)).sum(), (value * actual).sum())


def tracking_signal(forecast: ArrayLike, actual: ArrayLike) -> NDArray:
    """The running tracking signal, one value a month: cumulative error / MAD of the months so far; the last one counts.

    Beyond +-4 MAD (+-6 in some books) the forecast is biased. 0 while there is no error at all.
    Source: Chopra & Meindl; Heizer & Render, Operations Management (who write A - F, the opposite).
    """
    forecast, actual = _pair(forecast, actual)
    error = forecast - actual
    deviation = np.abs(error).cumsum() / np.arange(1, len(error) + 1)
    return np.divide(error.cumsum(), deviation, out=np.zeros_like(error), where=deviation > 0)


def scale(history: ArrayLike, season: int = 1, power: int = 1) -> float:
    """Mean |y(t) - y(t-season)|^power of `history`: what scales MASE (power 1) and RMSSE (power 2); NaN if 0."""
    history = np.asarray(history, dtype=float)
    if len(history) <= season:
        return float("nan")
    step = np.abs(history[season:] - history[:-season]) ** power
    return float(step.mean()) or float("nan")


def mase(forecast: ArrayLike, actual: ArrayLike, history: ArrayLike, season: int = 12) -> float:
    """Mean absolute scaled error: mean |F-A| / mean |y(t) - y(t-season)| of the history before. Hyndman & Koehler 2006.

    Never rank intermittent series by it: a forecast of zero wins there.
    """
    return mad(forecast, actual) / scale(history, season)


def rmsse(forecast: ArrayLike, actual: ArrayLike, history: ArrayLike, season: int = 1) -> float:
    """Root mean squared scaled error, sqrt(mean (F-A)^2 / mean (y(t) - y(t-season))^2). Makridakis et al. 2022 (M5)."""
    forecast, actual = _pair(forecast, actual)
    return float(np.sqrt(np.square(forecast - actual).mean() / scale(history, season, power=2)))


def forecast_value_added(errors: ArrayLike) -> NDArray:
    """FVA of each step of the stair after the first: error(step before) - error(this step), in the unit of the errors.

    Negative = the step destroys value. The steps telescope to first error - last error. Source: Gilliland 2010.
    """
    errors = np.asarray(errors, dtype=float)
    return errors[:-1] - errors[1:]
