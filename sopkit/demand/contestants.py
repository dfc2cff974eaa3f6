"""The forecasters that compete for every series: methods of statsforecast, and one LightGBM over all series.

A contestant gets the past and a horizon and answers with one value a month. It never sees a month after its cutoff.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd

from sopkit.demand.unusual import level_shift, strong_trend
from sopkit.process import without_grammar

NAIVE = "seasonal_naive"
LIGHTGBM = ("lightgbm", "lightgbm_levels")
MEAN, FAMILY = "mean_of_twelve", "family_season"
# Above this mean gap between months with sales a series is intermittent (Syntetos, Boylan & Croston 2005).
INTERMITTENT_GAP = 1.32
# A method may be this many times above the highest month of history; beyond it has exploded and is left out.
EXPLODED = 10.0

Values = dict[str, np.ndarray]


def statistical(
    y: np.ndarray, horizon: int, season: int, kind: str, profile: np.ndarray | None = None, *, quick: int = 0
) -> tuple[Values, Values]:
    """What each method for this kind of series forecasts after `y`, and would have forecast in the past, a month ahead.

    Returns name -> `horizon` values, and name -> len(y) values (methods that smooth over the whole past have none).
    `profile` is the season of the longer series around `y`'s end: `season` factors, the first for the next month.
    `quick` spares time: 1 where there are many series, 2 where there are thousands.
    """
    if kind in ("zero", "ended"):
        return {NAIVE: np.zeros(horizon)}, {}
    fitted: Values = {}
    ahead_of = {NAIVE: seasonal_naive(y, horizon, season)}
    if kind in ("few", "short"):
        ahead_of = _plain(y, horizon, season, profile) | (ahead_of if len(y) >= season else {})
    if kind in ("constant", "few"):
        return ahead_of, fitted
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # a method that cannot fit is left out below, not reported line by line
        level = todays_level(y, season) if kind == "regular" else np.ones(len(y))
        for name, (model, adjusted) in _methods(y * level, season, kind, profile, quick).items():
            try:
                answer = model.forecast(y=adjusted.past(y * level), h=horizon, fitted=True)
            except Exception:  # statsforecast raises bare Exception for "too short" and "no model could be fitted"
                continue
            ahead, past = adjusted.back(answer["mean"], answer["fitted"])
            if believable(ahead, y):
                ahead_of[name] = np.maximum(ahead, 0.0)
                if name != "mfles":
                    fitted[name] = past / level
    return ahead_of, fitted


def believable(ahead: np.ndarray, past: np.ndarray) -> bool:
    """Whether a forecast is made of numbers, none far above anything that was ever seen."""
    return bool(np.isfinite(ahead).all() and np.abs(ahead).max() <= EXPLODED * np.abs(past).max())


@dataclass(frozen=True)
class Adjusted:
    """A season taken out before a method without one, and put back after it; logarithms too where `log`.

    `factors` are one for each month of the year, the first for the next month: ratios, or amounts if `additive`.
    """

    factors: np.ndarray | None = None
    additive: bool = False
    log: bool = False

    def past(self, y: np.ndarray) -> np.ndarray:
        """`y` without its season."""
        if self.factors is not None:
            season = self.factors[np.arange(-len(y), 0) % len(self.factors)]
            y = y - season if self.additive else y / season
        return np.log(y) if self.log else y

    def back(self, ahead: np.ndarray, past: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The method's forecast, and its fit of the past, with the season again."""
        out = []
        for values, first in ((ahead, 0), (past, -len(past))):
            values = np.asarray(values, dtype=float)
            values = np.exp(values) if self.log else values
            if self.factors is not None:
                season = self.factors[np.arange(first, first + len(values)) % len(self.factors)]
                values = values + season if self.additive else values * season
            out.append(values)
        return out[0], out[1]


def own_season(y: np.ndarray, season: int) -> Adjusted:
    """The season of `y` by classical decomposition, shrunk towards none by its own uncertainty.

    Ratios to a centred moving average (to the line through yearly means with less than three years; differences where
    `y` is not above 0 throughout), averaged by month, then the James-Stein shrinkage of Miller & Williams (2003).
    """
    if len(y) < 3 * season:  # the moving average would leave each month once, and so no noise to shrink by
        means = y[len(y) % season :].reshape(-1, season).mean(axis=1)
        middles = len(y) % season + season * np.arange(len(means)) + (season - 1) / 2
        start, slope = np.polynomial.polynomial.polyfit(middles, means, 1)
        level, first = np.maximum(start + slope * np.arange(len(y)), 0.1 * np.abs(y).mean()), 0
    else:
        ends = 0.5 if season % 2 == 0 else 1.0
        window = np.r_[ends, np.ones(season - 1), ends][: season + 1 if season % 2 == 0 else season]
        level = np.convolve(y, window / window.sum(), "valid")
        first = (len(window) - 1) // 2
    additive = bool(y.min() <= 0)
    middle = y[first : first + len(level)]
    against = middle - level if additive else middle / level
    month = (np.arange(len(level)) + first - len(y)) % season
    count = np.bincount(month, minlength=season)
    factors = np.bincount(month, against, minlength=season) / np.maximum(count, 1)
    none = 0.0 if additive else 1.0
    factors = np.where(count > 0, factors, none)
    factors = factors - factors.mean() if additive else factors / factors.mean()
    freedom = len(against) - season
    strength = ((factors - none) ** 2).sum()
    noise = ((against - factors[month]) ** 2).sum() / freedom / count.mean() if freedom > 0 else strength / season
    shrunk = min(1.0, (season - 3) * noise / strength) if strength > 0 and season > 3 else 0.0
    return Adjusted(none + (1 - shrunk) * (factors - none), additive)


def todays_level(y: np.ndarray, season: int) -> np.ndarray:
    """What each month is multiplied by to stand at today's level: not 1 before a change of level."""
    out = np.ones(len(y))
    if season > 1 and y.min() > 0:
        at, factor = level_shift(y, own_season(y, season).past(y), season)
        out[:at] = factor
    return out


def seasonal_naive(y: np.ndarray, horizon: int, season: int) -> np.ndarray:
    """The same month of the last year; with less than a year, the last value. The forecast every other must beat."""
    if len(y) < season:
        return np.full(horizon, max(y[-1], 0.0))
    return np.maximum(np.resize(y[-season:], horizon), 0.0)


def _plain(y: np.ndarray, horizon: int, season: int, profile: np.ndarray | None) -> Values:
    """What a short history allows without a fit: the mean of its last year, and that mean with its family's season."""
    last = y[-season:]
    out = {MEAN: np.full(horizon, max(last.mean(), 0.0))}
    if profile is not None:
        shown = profile[np.arange(-len(last), 0) % season].sum()
        out[FAMILY] = np.resize(profile, horizon) * max(last.sum() / shown, 0.0)
    return out


def season_profile(past: Sequence[np.ndarray], season: int, least: int = 5) -> np.ndarray | None:
    """The season that series of two years and more have in common: factors around 1, the first for the next month.

    Each series' last years as ratios to their yearly mean, the median over series; None with fewer than `least` series.
    """
    shapes = []
    for y in past:
        years = y[len(y) % season :].reshape(-1, season)[-3:]
        if len(y) >= 2 * season and (years.mean(axis=1) > 0).all():
            shapes.append((years / years.mean(axis=1, keepdims=True)).mean(axis=0))
    if season == 1 or len(shapes) < least:
        return None
    profile = np.maximum(np.median(shapes, axis=0), 0.05)
    return profile / profile.mean()


def _methods(
    y: np.ndarray, season: int, kind: str, profile: np.ndarray | None, quick: int
) -> dict[str, tuple[Any, Adjusted]]:
    """Few, different and fast: picked on the monthly series of M1 and of the tourism competition, not on M3.

    Seasonal ETS with a trend, ETS chosen by AICc and more thetas were tried beside these: dearer, and nothing added.
    """
    models, plain = _statsforecast(), Adjusted()
    if kind == "intermittent":
        return {
            "croston_sba": (models.CrostonSBA(), plain),
            "tsb": (models.TSB(alpha_d=0.2, alpha_p=0.2), plain),
            "adida": (models.ADIDA(), plain),
            "imapa": (models.IMAPA(), plain),
            "ses": (models.SimpleExponentialSmoothingOptimized(), plain),
        }
    regular = kind == "regular" and season > 1
    adjusted = own_season(y, season) if regular else Adjusted(profile)
    rest = adjusted.past(y)
    out = {
        "ses": (models.AutoETS(season_length=1, model="ANN"), adjusted),
        "damped": (models.AutoETS(season_length=1, model="AAN", damped=True), adjusted if regular else plain),
        "theta": (models.Theta(season_length=1), replace(adjusted, log=bool(rest.min() > 0))),
    }
    if regular:
        # CES: its full form is as good as the choice among four and twice as fast, its simple form nearly so
        out["ces"] = (models.AutoCES(season_length=season, model="ZFS"[quick]), plain)
        # beside LightGBM and networks neither adds anything to months
        if quick < (1 if season == 12 else 2):
            out["ets"] = (models.AutoETS(season_length=season, model="MNM" if y.min() > 0 else "ANA"), plain)
            out["mfles"] = (models.MFLES(season_length=season), plain)
        if strong_trend(rest, season):
            growing = replace(adjusted, log=True)
            out["trend"] = (models.AutoETS(season_length=1, model="AAN", damped=False), growing)
    return out


def _statsforecast() -> ModuleType:
    """statsforecast.models; imported when forecasting only, because it takes 2-3 s."""
    # where dask is installed, utilsforecast imports its frames (1.3 s) to offer them too: none come this way
    with without_grammar("dask.dataframe"):
        return import_module("statsforecast.models")


def lightgbm(
    past: Mapping[int, np.ndarray],
    cutoff: pd.Timestamp,
    horizon: int,
    *,
    freq: str,
    season: int,
    features: tuple[pd.DataFrame, pd.DataFrame] | None = None,
    seed: int = 0,
) -> dict[int, Values]:
    """One LightGBM over all series of `past` (each ends at `cutoff`): series -> contestant -> `horizon` values.

    Three learners: of changes from month to month, of changes from year to year, and of seasonally adjusted levels
    (logarithms where they can be taken), each series scaled to unit variance. Two contestants: the mean of both
    changes, and the mean of monthly changes and levels. `features` are rows (unique_id, ds, numeric columns) known up
    to the cutoff and for the horizon. One thread and fixed seeds: the same numbers every time.
    """
    _statsforecast()  # its import keeps dask out, mlforecast's would not
    from mlforecast.target_transforms import Differences, LocalStandardScaler

    adjusted = {}
    for name, y in past.items():
        own = own_season(y, season)
        adjusted[name] = replace(own, log=bool(own.past(y).min() > 0))
    level = {name: adjusted[name].past(y) for name, y in past.items()}
    ends = [pd.date_range(end=cutoff, periods=len(y), freq=freq) for y in past.values()]
    index = {"unique_id": np.repeat(list(past), [len(y) for y in past.values()]), "ds": np.concatenate(ends)}

    def learnt(series: Mapping[int, np.ndarray], objective: str, *transforms: Any) -> dict[int, np.ndarray]:
        frame, ahead = pd.DataFrame(index | {"y": np.concatenate(list(series.values()))}), {}
        if features is not None:
            frame, ahead = frame.merge(features[0], on=["unique_id", "ds"], how="left"), {"X_df": features[1]}
        learner = _learner(objective, [*transforms, LocalStandardScaler()], freq=freq, season=season, seed=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            learner.fit(frame, static_features=[])
            answer = learner.predict(horizon, **ahead)
        return {name: part.to_numpy() for name, part in answer.groupby("unique_id")["ahead"]}

    monthly = learnt(past, "l1", Differences([1]))
    yearly = learnt(past, "l2", Differences([season]))
    levels = learnt(level, "l1")
    out: dict[int, Values] = {}
    for name, y in past.items():
        back, _ = adjusted[name].back(levels[name], y[:0])
        answers = {LIGHTGBM[0]: (monthly[name] + yearly[name]) / 2, LIGHTGBM[1]: (monthly[name] + back) / 2}
        out[name] = {one: np.maximum(values, 0.0) for one, values in answers.items() if believable(values, y)}
    return out


def _learner(objective: str, transforms: list[Any], *, freq: str, season: int, seed: int) -> Any:
    """One learner over all series, on one thread and with a fixed seed; its forecast is column `ahead`."""
    from lightgbm import LGBMRegressor
    from mlforecast import MLForecast
    from mlforecast.lag_transforms import RollingMean

    # 63 bins are as good as 255 on M1 and tourism, in a fifth less time
    model = LGBMRegressor(
        objective=objective, n_estimators=200, max_bin=63, learning_rate=0.05, num_leaves=31, min_child_samples=20,
        colsample_bytree=0.8, subsample=0.8, subsample_freq=1, random_state=seed, n_jobs=1, deterministic=True,
        force_row_wise=True, verbosity=-1,
    )  # fmt: skip
    means: list[Any] = [RollingMean(3, min_samples=1), RollingMean(season, min_samples=1)]
    return MLForecast(
        models={"ahead": model},
        freq=freq,
        num_threads=1,
        target_transforms=transforms,
        lags=list(range(1, season + 2)),
        lag_transforms={1: means, season: [RollingMean(3, min_samples=1)]},
        date_features={12: ["month"], 4: ["quarter"]}.get(season, []),
    )
