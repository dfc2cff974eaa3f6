"""The statistical forecast of many series: a tournament on the company's own past, combined, with a measured range.

Every series is forecast by several contestants at past months (cutoffs) and now. The errors made at the cutoffs say
how much each contestant counts and how wide the range must be. At a cutoff nothing after it is seen: not by a
contestant, not by a weight, not by a scale. So the backtest shows what would have been said then.

Versions: statsforecast 2.1 with pandas 2.3. statsforecast 2.1 computes in compiled code, so a fresh process forecasts
at once, but it asks for pandas below 3; a resolver left alone takes pandas 3 and falls back to statsforecast 2.0,
without its fixes and with a compiler to wait for. Hence pandas < 3 and statsforecast >= 2.1 in pyproject.toml.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from sopkit.demand.contestants import NAIVE, Values, lightgbm, season_profile, statistical
from sopkit.engine import Engine, Progress, engine_at
from sopkit.errors import Finding, FindingsError, SettingsError

# Above this mean gap between months with sales a series is intermittent (Syntetos, Boylan & Croston 2005).
INTERMITTENT_GAP = 1.32
# A LightGBM over all series needs so many that have more than two years.
ENOUGH_SERIES = 80
ENOUGH_SERIES_WITH_FEATURES = 20
# How weights follow from errors, tuned on the monthly series of M1 and of the tourism competition: 1 / error ** POWER,
# OWN of it a series' own errors and the rest those of all series of its kind, these starting from the PRIOR
# (seasonal naive is a fifth worse than the others) as if PRIOR_SERIES series had shown it.
POWER, OWN, PRIOR, PRIOR_SERIES = 4.0, 0.7, {NAIVE: np.log(1.2)}, 10
SECONDS_A_FIT = 0.02  # what all contestants take for one series at one cutoff, measured on 48 to 100 months
_GRID = np.arange(1, 100) / 100  # the levels at which the distribution of errors is kept
_CHUNK = 24  # series a part of work: the same wherever it runs
_FIXED = ("zero", "ended", "constant")  # kinds whose answer is no estimate: no range, no part in measuring ranges


@dataclass(frozen=True)
class Series:
    """One series ready to forecast: no holes, up to the panel's last month; its kind; what was done to get there."""

    name: str
    y: np.ndarray
    kind: str  # regular, short (under two years), intermittent, few (up to 3 months), constant, zero, ended
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Baseline:
    """The forecast of every series and the proof of how good it was in the backtest.

    `forecast`: unique_id, ds, mean, p10, p50, p90 (and the edges of other levels asked for), model (how it was made).
    `cv`: unique_id, cutoff, ds, y, a column for each contestant, chosen (what would have been forecast then).
    `accuracy`: unique_id, model, mase, rmsse, wape, months. `coverage`: level, measured (both per cent), months.
    `notes`: unique_id, note (a sentence: what was done and why). `weights`: unique_id, model, weight.
    `fitted`: unique_id, ds, y (holes filled), fitted (one month ahead, in sample).
    """

    forecast: pd.DataFrame
    cv: pd.DataFrame
    accuracy: pd.DataFrame
    coverage: pd.DataFrame
    notes: pd.DataFrame
    weights: pd.DataFrame
    fitted: pd.DataFrame
    ranges: Ranges = field(repr=False)
    seed: int = 0

    def paths(self, n: int = 200) -> pd.DataFrame:
        """`n` possible futures of every series: unique_id, ds, path, y.

        A Gaussian copula ties the months of a series and the series of a month together as the backtest's errors were
        tied; each month's own distribution is the one that p10, p50 and p90 are read from.
        """
        from scipy.special import ndtr

        ranges, random = self.ranges, np.random.default_rng(self.seed)
        series, steps = len(ranges.sizes), ranges.shapes.shape[1]
        common = _walk(random, (n, 1, steps), ranges.persistence)
        own = _walk(random, (n, series, steps), ranges.persistence)
        chance = ndtr(np.sqrt(ranges.shared) * common + np.sqrt(1 - ranges.shared) * own)
        out = np.empty((series, steps, n))
        for group in range(len(ranges.shapes)):
            mine = ranges.group == group
            for step in range(steps):
                out[mine, step] = np.interp(chance[:, mine, step].T, _GRID, ranges.shapes[group, step])
        mean = self.forecast["mean"].to_numpy().reshape(series, steps)
        out = np.maximum(mean[:, :, None] + ranges.sizes[:, None, None] * out, 0.0)
        return pd.DataFrame(
            {
                "unique_id": np.repeat(self.forecast["unique_id"].to_numpy(), n),
                "ds": np.repeat(self.forecast["ds"].to_numpy(), n),
                "path": np.tile(np.arange(n), len(self.forecast)),
                "y": out.ravel(),
            }
        )


@dataclass(frozen=True)
class Ranges:
    """The distribution of errors (actual - forecast): `shapes` in sizes of a series, group x step x level of _GRID."""

    shapes: np.ndarray
    group: np.ndarray  # the group of each series: 0 regular and short, 1 intermittent
    sizes: np.ndarray  # how much each series moves, in its own unit
    persistence: float  # correlation of a series' errors from one month to the next
    shared: float  # correlation of the errors of two series in a month

    def at(self, level: float) -> np.ndarray:
        """What to add to the mean for the quantile `level` (0 to 1): series x step."""
        one = np.array([[np.interp(level, _GRID, grid) for grid in steps] for steps in self.shapes])
        return self.sizes[:, None] * one[self.group]


def forecast(
    history: pd.DataFrame,
    horizon: int,
    *,
    freq: str = "MS",
    season: int = 12,
    levels: Sequence[float] = (80,),
    engine: Engine | str | None = None,
    exog: Mapping[str, pd.DataFrame] | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Baseline:
    """Forecast every series of `history` (unique_id, ds, y) for `horizon` months after its last month.

    `freq` is the pandas frequency of ds, `season` the months of a year (12; 4 for quarters). `levels` are the central
    ranges wanted, in per cent; p10, p50 and p90 are always there. `engine` says where the work runs. `exog` holds
    features for LightGBM under "history" and "future": unique_id, ds and numeric columns that are known in advance
    (calendar, price, campaigns, market conditions); without unique_id they hold for every series. Raises FindingsError
    naming each row that is no month of a series, SettingsError where a setting makes no sense.
    """
    if horizon < 1 or season < 1 or any(not 0 < level < 100 for level in levels):
        raise SettingsError("A forecast needs a horizon and a season of 1 or more, and levels from 1 to 99 per cent.")
    panel, months = shape(history, freq, season)
    offsets = (0, *_cutoffs(horizon))
    works = [*_all(panel, offsets, months, horizon, freq, season, exog, seed), *_few(panel, offsets, horizon, season)]
    answers = engine_at(engine).map(_run, works, seconds=SECONDS_A_FIT * len(panel) * len(offsets), progress=progress)
    names, said, fitted = _gathered(answers, len(panel), offsets, horizon)
    weights = {offset: _weights(panel, names, said, offset, season) for offset in offsets}
    chosen = {offset: _combined(said[offset], weights[offset]) for offset in offsets}
    errors = _errors(panel, chosen, season)
    ranges = _ranges(panel, errors, horizon, season)
    cv = _cv(panel, names, said, chosen, months)
    accuracy = _accuracy(panel, cv, season)
    place, method = np.nonzero(weights[0] > 0)
    return Baseline(
        forecast=_forecast(panel, chosen[0], names, weights[0], ranges, months[-1], levels, freq),
        cv=cv,
        accuracy=accuracy,
        coverage=_coverage(panel, errors, levels),
        notes=_notes(panel, accuracy),
        weights=pd.DataFrame(
            {
                "unique_id": [panel[at].name for at in place],
                "model": [names[at] for at in method],
                "weight": weights[0][place, method],
            }
        ),
        fitted=_fitted(panel, fitted, names, weights[0], months, season),
        ranges=ranges,
        seed=seed,
    )


# The history ----------------------------------------------------------------------------------------------------


def shape(history: pd.DataFrame, freq: str, season: int) -> tuple[list[Series], pd.DatetimeIndex]:
    """The series of `history`, sorted by name and without holes, and all months up to the last of any of them.

    Raises FindingsError naming every row that is no month, is there twice, or is infinite.
    """
    if history.empty:
        raise SettingsError("There is no history to forecast from: the frame has no row.")
    frame = pd.DataFrame(
        {
            "unique_id": history["unique_id"].astype(str).to_numpy(),
            "ds": pd.to_datetime(history["ds"]).to_numpy(),
            "y": history["y"].astype(float).to_numpy(),
        }
    )
    first, last = frame["ds"].min(), frame["ds"].max()
    months = pd.date_range(first - pd.tseries.frequencies.to_offset(freq), last, freq=freq)
    months = months[months >= first] if len(months) else months
    frame["at"] = months.get_indexer(frame["ds"])
    found = []
    for wrong, column, rule, fix in (
        (frame["at"] < 0, "ds", "is not the first day of its month", "Use the first day of the month."),
        (frame.duplicated(["unique_id", "ds"], keep=False), "ds", "stands twice", "Sum the rows of a month first."),
        (np.isinf(frame["y"]), "y", "is infinite", "Correct the value or leave it out."),
    ):
        found.extend(
            Finding("history", row.Index + 2, column, f"{row.unique_id}: {row.ds:%Y-%m-%d}", rule, "error", "", fix)
            for row in frame[wrong].itertuples()
        )
    if found:
        raise FindingsError(found, "The history cannot be forecast")
    frame = frame.sort_values(["unique_id", "at"], ignore_index=True)
    starts = np.flatnonzero(frame["unique_id"].ne(frame["unique_id"].shift()))
    panel = []
    for rows in np.split(np.arange(len(frame)), starts[1:]):
        at, y = frame["at"].to_numpy()[rows], frame["y"].to_numpy()[rows]
        values, present = np.full(len(months) - at[0], np.nan), np.zeros(len(months) - at[0], dtype=bool)
        values[at - at[0]], present[at - at[0]] = y, True
        panel.append(_ready(frame["unique_id"].iat[rows[0]], values, present, season))
    return panel, months


def _ready(name: str, values: np.ndarray, present: np.ndarray, season: int) -> Series:
    """Fill holes and say so, and tell which kind of series it is."""
    notes = []
    known = values[~np.isnan(values)]
    if not len(known):
        return Series(name, np.zeros(len(values)), "zero", ("No month has a value: forecast as 0.",))
    quiet = len(values) - 1 - int(np.flatnonzero(present)[-1])
    if quiet:
        values[len(values) - quiet :] = 0.0
        notes.append(f"No rows in its last {quiet} month(s): taken as nothing sold.")
    absent = ~present & np.isnan(values)
    if absent.any() and (absent.sum() >= 0.2 * len(values) or (known == 0).any()):
        values[absent] = 0.0
        notes.append(f"{absent.sum()} month(s) without a row: taken as nothing sold.")
    holes = int(np.isnan(values).sum())
    if holes:
        values = _filled(values, season)
        notes.append(f"{holes} missing month(s) filled from the same month of other years and its neighbours.")
    negative = int((values < 0).sum())
    if negative:
        notes.append(f"{negative} month(s) below 0 (net returns) used as they are; no forecast is below 0.")
    kind = _kind(values, season)
    said = {
        "zero": "Nothing was ever sold: forecast as 0.",
        "ended": f"Nothing sold in its last {season} months: forecast as 0.",
        "constant": "The same value every month: carried forward, and its range is that one value.",
        "few": f"Only {len(values)} month(s) of history: their mean, with the relative range of the others.",
        "short": f"{len(values)} months of history, less than two years: the season the longer series share, if any.",
        "intermittent": "Sold in some months only: methods for intermittent demand, judged by RMSSE.",
    }
    return Series(name, values, kind, (*notes, said[kind]) if kind in said else tuple(notes))


def _kind(y: np.ndarray, season: int) -> str:
    if not y.any():
        return "zero"
    if len(y) > season > 1 and not y[-season:].any():
        return "ended"
    if len(y) <= 3:
        return "few"
    if np.ptp(y) == 0:
        return "constant"
    sold = np.flatnonzero(y)
    if (len(y) - sold[0]) / len(sold) > INTERMITTENT_GAP:
        return "intermittent"
    return "short" if len(y) < 2 * season else "regular"


def _filled(values: np.ndarray, season: int) -> np.ndarray:
    """Holes filled with the level around them times what the same month was against its level in other years."""
    at = np.arange(len(values))
    known = ~np.isnan(values)
    line = np.interp(at, at[known], values[known])
    level = pd.Series(line).rolling(season + 1, center=True, min_periods=1).mean().to_numpy()
    out = np.where(known, values, line)
    for hole in at[~known]:
        same = at[known & (at % season == hole % season) & (level > 0)]
        if len(same):
            out[hole] = level[hole] * np.median(values[same] / level[same])
    return out


# The tournament -------------------------------------------------------------------------------------------------


def _cutoffs(horizon: int) -> tuple[int, ...]:
    """How many months before the end the cutoffs lie: a whole horizon, and two thirds of one."""
    return tuple(sorted({max(1, round(horizon * 2 / 3)), horizon}))


def _before(series: Series, offset: int) -> np.ndarray:
    return series.y[: max(len(series.y) - offset, 0)]


@dataclass(frozen=True)
class _Few:
    """A part of work: a few series, every statistical contestant, at every cutoff."""

    places: Sequence[int]
    series: Sequence[Series]
    offsets: Sequence[int]
    profiles: Mapping[int, np.ndarray | None]
    horizon: int
    season: int

    def run(self) -> dict[tuple[int, int], tuple[Values, Values]]:
        """Place and offset -> what the contestants said, and would have said one month ahead."""
        out = {}
        for at, series in zip(self.places, self.series, strict=True):
            for offset in self.offsets:
                y = _before(series, offset)
                if offset == 0 or (len(y) >= 4 and series.kind not in _FIXED):
                    profile = self.profiles.get(offset)
                    out[at, offset] = statistical(y, self.horizon, self.season, _kind(y, self.season), profile)
        return out


@dataclass(frozen=True)
class _All:
    """A part of work: LightGBM over all series long enough, at one cutoff."""

    past: Mapping[int, np.ndarray]
    offset: int
    cutoff: pd.Timestamp
    horizon: int
    freq: str
    season: int
    features: tuple[pd.DataFrame, pd.DataFrame] | None
    seed: int

    def run(self) -> dict[tuple[int, int], tuple[Values, Values]]:
        """Place and offset -> what LightGBM said."""
        said = lightgbm(self.past, self.cutoff, self.horizon, self.freq, self.season, self.features, self.seed)
        return {(at, self.offset): (values, {}) for at, values in said.items()}


def _run(work: _Few | _All) -> dict[tuple[int, int], tuple[Values, Values]]:
    return work.run()


def _few(panel: Sequence[Series], offsets: Sequence[int], horizon: int, season: int) -> list[_Few]:
    profiles = {}
    if any(len(series.y) - max(offsets) < 2 * season and series.kind not in (*_FIXED, "few") for series in panel):
        for offset in offsets:
            pasts = [_before(series, offset) for series in panel if series.kind == "regular"]
            profiles[offset] = season_profile(pasts, season)
    return [
        _Few(range(len(panel))[at : at + _CHUNK], panel[at : at + _CHUNK], offsets, profiles, horizon, season)
        for at in range(0, len(panel), _CHUNK)
    ]


def _all(
    panel: Sequence[Series],
    offsets: Sequence[int],
    months: pd.DatetimeIndex,
    horizon: int,
    freq: str,
    season: int,
    exog: Mapping[str, pd.DataFrame] | None,
    seed: int,
) -> list[_All]:
    works = []
    # features of a month alone teach nothing about a single series: they need as many series as no feature does
    own = exog is not None and "unique_id" in exog["history"]
    for offset in offsets:
        past = {
            at: _before(series, offset)
            for at, series in enumerate(panel)
            if len(series.y) - offset >= 2 * season + 2 and _kind(_before(series, offset), season) == "regular"
        }
        if season > 1 and len(past) >= (ENOUGH_SERIES_WITH_FEATURES if own else ENOUGH_SERIES):
            cutoff = months[len(months) - 1 - offset]
            features = _features(exog, panel, past, cutoff, horizon, freq) if exog else None
            works.append(_All(past, offset, cutoff, horizon, freq, season, features, seed))
    return works


def _features(
    exog: Mapping[str, pd.DataFrame],
    panel: Sequence[Series],
    past: Mapping[int, np.ndarray],
    cutoff: pd.Timestamp,
    horizon: int,
    freq: str,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The features up to a cutoff, and what was planned of them for the horizon after it; not given counts as 0."""
    given = pd.concat([exog["history"], exog["future"]], ignore_index=True)
    given["ds"] = pd.to_datetime(given["ds"])
    if "unique_id" not in given:
        given = given.merge(pd.DataFrame({"unique_id": [panel[at].name for at in past]}), how="cross")
    given["unique_id"] = given["unique_id"].astype(str).map({panel[at].name: at for at in past})
    given = given.dropna(subset=["unique_id"]).astype({"unique_id": int}).drop_duplicates(["unique_id", "ds"])
    columns = [name for name in given if name not in ("unique_id", "ds")]
    ahead = pd.date_range(cutoff, periods=horizon + 1, freq=freq)[1:]
    wanted = pd.MultiIndex.from_product([list(past), ahead], names=["unique_id", "ds"]).to_frame(index=False)
    future = wanted.merge(given, on=["unique_id", "ds"], how="left").fillna(dict.fromkeys(columns, 0.0))
    return given[given["ds"] <= cutoff], future


def _gathered(
    answers: Sequence[dict[tuple[int, int], tuple[Values, Values]]], series: int, offsets: Sequence[int], horizon: int
) -> tuple[list[str], dict[int, np.ndarray], dict[int, Values]]:
    """Names of the contestants; offset -> series x contestant x step (NaN: said nothing); series -> fitted values."""
    names = sorted({name for answer in answers for said, _ in answer.values() for name in said})
    said = {offset: np.full((series, len(names), horizon), np.nan) for offset in offsets}
    fitted: dict[int, Values] = {}
    for answer in answers:
        for (at, offset), (values, past) in answer.items():
            for name, ahead in values.items():
                said[offset][at, names.index(name)] = ahead
            if offset == 0 and past:
                fitted[at] = past
    return names, said, fitted


def _weights(
    panel: Sequence[Series], names: Sequence[str], said: Mapping[int, np.ndarray], offset: int, season: int
) -> np.ndarray:
    """Weight of each contestant for each series (series x contestant), from the errors that were known at `offset`."""
    present = np.isfinite(said[offset][:, :, 0])
    squares, months = np.zeros(present.shape), np.zeros((len(panel), 1))
    for past in said:
        steps = min(past - offset, said[past].shape[2])
        for at, series in enumerate(panel):
            start = len(series.y) - past
            if steps > 0 and start > 0 and np.isfinite(said[past][at]).any():
                error = said[past][at, :, :steps] - series.y[start : start + steps]
                squares[at] += (error**2).sum(axis=1)
                months[at] += steps
    loss = np.sqrt(squares / np.where(months > 0, months, np.nan))
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # series without a known error have no mean
        floor = 0.05 * np.nanmax(loss, axis=1, keepdims=True)
        ratio = np.log(np.maximum(loss, np.where(floor > 0, floor, 1.0)))
        ratio -= np.nanmean(np.where(present, ratio, np.nan), axis=1, keepdims=True)
    prior = np.array([PRIOR.get(name, 0.0) for name in names])
    kinds = np.array([_kind(_before(series, offset), season) for series in panel])
    for kind in sorted(set(kinds)):
        mine = kinds == kind
        known = np.isfinite(ratio[mine])
        shown = np.where(known, ratio[mine], 0.0).sum(axis=0)
        pooled = (shown + PRIOR_SERIES * prior) / (known.sum(axis=0) + PRIOR_SERIES)
        ratio[mine] = np.where(known, OWN * ratio[mine] + (1 - OWN) * pooled, pooled)
    weight = np.where(present, np.exp(-POWER * ratio), 0.0)
    return weight / np.where(present.any(axis=1), weight.sum(axis=1), 1.0)[:, None]


def _combined(said: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The weighted mean of what was said: series x step; NaN where nobody said anything."""
    mean = np.einsum("nk,nkh->nh", weights, np.nan_to_num(said))
    return np.where(np.isfinite(said).any(axis=(1, 2))[:, None], mean, np.nan)


# Ranges ---------------------------------------------------------------------------------------------------------


def _size(y: np.ndarray, season: int) -> float:
    """How much a series moves: the mean absolute change from year to year, or month to month with less history."""
    lag = season if len(y) >= season + 3 else 1
    return float(np.abs(y[lag:] - y[:-lag]).mean()) if len(y) > lag else np.nan


def _errors(panel: Sequence[Series], chosen: Mapping[int, np.ndarray], season: int) -> pd.DataFrame:
    """Errors of the backtest in sizes the series had at the cutoff: series, group, offset, step, error."""
    parts = []
    for offset, values in chosen.items():
        for at, series in enumerate(panel):
            cut = len(series.y) - offset
            if offset == 0 or cut < 1 or series.kind in _FIXED or np.isnan(values[at, 0]):
                continue
            size = _size(series.y[:cut], season)
            error = series.y[cut : cut + values.shape[1]] - values[at, :offset]
            if size > 0:
                parts.append(
                    np.column_stack(
                        [
                            np.full(len(error), at),
                            np.full(len(error), int(series.kind == "intermittent")),
                            np.full(len(error), offset),
                            np.arange(1, len(error) + 1),
                            error / size,
                        ]
                    )
                )
    rows = np.concatenate(parts) if parts else np.empty((0, 5))
    frame = pd.DataFrame(rows, columns=["series", "group", "offset", "step", "error"])
    return frame.astype({name: int for name in ("series", "group", "offset", "step")})


def _shapes(errors: pd.DataFrame, horizon: int) -> np.ndarray:
    """The distribution of errors: group x step x level. Regular series are centred: their mean is their median.

    A step takes the errors one step before and after it too. Steps beyond the backtest's grow with the square root of
    time. Finite-sample quantiles (k / (n + 1)), as split conformal prediction takes them.
    """
    out = np.zeros((2, horizon, len(_GRID)))
    for group in (0, 1):
        mine = errors[errors["group"] == group]
        mine = mine if len(mine) >= 20 else errors
        if mine.empty:
            continue
        by_step = {step: part.to_numpy() for step, part in mine.groupby("step")["error"]}
        last = max(by_step)
        for step in range(1, horizon + 1):
            near = np.concatenate([by_step[s] for s in (step - 1, step, step + 1) if s in by_step] or [by_step[last]])
            near = near if len(near) >= 10 else mine["error"].to_numpy()
            grid = np.quantile(near, _GRID, method="weibull") * np.sqrt(max(step / last, 1.0))
            out[group, step - 1] = grid if group else grid - grid[len(_GRID) // 2]
    return out


def _ranges(panel: Sequence[Series], errors: pd.DataFrame, horizon: int, season: int) -> Ranges:
    sizes = np.array([0.0 if series.kind in _FIXED else _size(series.y, season) for series in panel])
    means = np.array([np.abs(series.y).mean() for series in panel])
    usual = np.array([series.kind not in (*_FIXED, "few") for series in panel]) & (means > 0) & (sizes > 0)
    relative = float(np.median(sizes[usual] / means[usual])) if usual.any() else 0.25
    few = np.array([series.kind == "few" for series in panel]) | np.isnan(sizes)
    group = np.array([int(series.kind == "intermittent") for series in panel])
    return Ranges(_shapes(errors, horizon), group, np.where(few, relative * means, sizes), *_ties(errors))


def _ties(errors: pd.DataFrame) -> tuple[float, float]:
    """Correlation of errors one month apart in a series, and between two series in a month, both from 0 to 0.98."""
    wide = errors.pivot(index=["series", "offset"], columns="step", values="error")
    ranks = wide.rank() / (wide.count() + 1) - 0.5
    spread = (ranks**2).stack().mean()
    if not spread > 0:
        return 0.0, 0.0
    next_month = (ranks * ranks.shift(1, axis=1)).stack().mean() / spread
    month = (ranks.groupby("offset").mean() ** 2).stack().mean() / spread
    alone = 1 / wide.groupby("offset").size().mean()  # what the mean of untied series would show
    tied = (month - alone) / (1 - alone) if alone < 1 else 0.0
    return tuple(float(np.clip(0.0 if np.isnan(value) else value, 0, 0.98)) for value in (next_month, tied))


def _walk(random: np.random.Generator, size: tuple[int, int, int], persistence: float) -> np.ndarray:
    """Standard normal values that follow each other with correlation `persistence` along the last axis."""
    out = random.standard_normal(size)
    for step in range(1, size[-1]):
        out[..., step] = persistence * out[..., step - 1] + np.sqrt(1 - persistence**2) * out[..., step]
    return out


def _coverage(panel: Sequence[Series], errors: pd.DataFrame, levels: Sequence[float]) -> pd.DataFrame:
    """How often the backtest's actuals lay inside the range, each fifth of the series judged by the other four."""
    fold = errors["series"] % 5 if errors["series"].nunique() >= 5 else errors["offset"]
    inside = dict.fromkeys(sorted({80, *levels}), 0)
    for one in sorted(fold.unique()):
        mine, others = errors[fold == one], errors[fold != one]
        shapes = _shapes(others if len(others) else mine, int(mine["step"].max()))
        for level in inside:
            low, high = (
                np.apply_along_axis(lambda grid, at=at: np.interp(at, _GRID, grid), 2, shapes)[
                    mine["group"], mine["step"] - 1
                ]
                for at in (0.5 - level / 200, 0.5 + level / 200)
            )
            inside[level] += int(mine["error"].between(low, high).sum())
    share = 100 / len(errors) if len(errors) else np.nan
    rows = [(level, share * count, len(errors)) for level, count in inside.items()]
    return pd.DataFrame(rows, columns=["level", "measured", "months"])


# What is told ---------------------------------------------------------------------------------------------------


def _forecast(
    panel: Sequence[Series],
    mean: np.ndarray,
    names: Sequence[str],
    weights: np.ndarray,
    ranges: Ranges,
    last: pd.Timestamp,
    levels: Sequence[float],
    freq: str,
) -> pd.DataFrame:
    horizon = mean.shape[1]
    frame = pd.DataFrame(
        {
            "unique_id": np.repeat([series.name for series in panel], horizon),
            "ds": np.tile(pd.date_range(last, periods=horizon + 1, freq=freq)[1:], len(panel)),
            "mean": mean.ravel(),
        }
    )
    for level in sorted({10, 50, 90, *(edge for lv in levels for edge in (50 - lv / 2, 50 + lv / 2))}):
        frame[f"p{level:g}"] = np.maximum(mean + ranges.at(level / 100), 0.0).ravel()
    told = [_told(names, row) for row in weights]
    return frame.assign(model=np.repeat(told, horizon))


def _told(names: Sequence[str], weights: np.ndarray) -> str:
    """The contestants in order of weight: `theta 40 % + mfles 35 % + ces 25 %`."""
    ranked = sorted(zip(-weights, names, strict=True))
    parts = [f"{name} {-100 * weight:.0f} %" for weight, name in ranked if weight <= -0.005]
    return parts[0].removesuffix(" 100 %") if len(parts) == 1 else " + ".join(parts)


def _fitted(
    panel: Sequence[Series],
    fitted: Mapping[int, Values],
    names: Sequence[str],
    weights: np.ndarray,
    months: pd.DatetimeIndex,
    season: int,
) -> pd.DataFrame:
    """One month ahead in sample: the contestants with such values by their weights; with none, seasonal naive."""
    values = []
    for at, series in enumerate(panel):
        y = series.y
        lag = season if len(y) > season else 1
        one = np.concatenate([y[:lag], y[:-lag]])[: len(y)]
        if at in fitted:
            ahead = np.stack(list(fitted[at].values()))
            weight = np.array([weights[at, names.index(name)] for name in fitted[at]]) + 1e-9
            said = weight @ ahead / weight.sum()
            one = np.where(np.isfinite(said), said, y)  # the first months, before a method has begun
        values.append(one)
    return pd.DataFrame(
        {
            "unique_id": np.repeat([series.name for series in panel], [len(series.y) for series in panel]),
            "ds": np.concatenate([months[len(months) - len(series.y) :] for series in panel]),
            "y": np.concatenate([series.y for series in panel]),
            "fitted": np.concatenate(values),
        }
    )


def _cv(
    panel: Sequence[Series],
    names: Sequence[str],
    said: Mapping[int, np.ndarray],
    chosen: Mapping[int, np.ndarray],
    months: pd.DatetimeIndex,
) -> pd.DataFrame:
    columns = ["unique_id", "cutoff", "ds", "y", *names, "chosen"]
    frames = []
    for offset in sorted(said, reverse=True):
        there = [at for at, series in enumerate(panel) if np.isfinite(chosen[offset][at, 0]) and len(series.y) > offset]
        if offset == 0 or not there:
            continue
        steps = min(offset, chosen[offset].shape[1])
        start = len(months) - offset
        values = np.concatenate([said[offset][there, :, :steps], chosen[offset][there, None, :steps]], axis=1)
        frame = pd.DataFrame(values.transpose(0, 2, 1).reshape(-1, len(names) + 1), columns=[*names, "chosen"])
        ends = [len(panel[at].y) - offset for at in there]
        frames.append(
            frame.assign(
                unique_id=np.repeat([panel[at].name for at in there], steps),
                cutoff=months[start - 1],
                ds=np.tile(months[start : start + steps], len(there)),
                y=np.concatenate([panel[at].y[end : end + steps] for at, end in zip(there, ends, strict=True)]),
            )[columns]
        )
    if not frames:
        return pd.DataFrame(columns=columns)
    return pd.concat(frames).sort_values(["unique_id", "cutoff", "ds"], ignore_index=True)


def _accuracy(panel: Sequence[Series], cv: pd.DataFrame, season: int) -> pd.DataFrame:
    """Backtest accuracy by series and contestant; MASE and RMSSE after Hyndman & Koehler (2006), scaled by the whole
    history's seasonal naive error. WAPE = sum of absolute errors / sum of actuals."""
    columns = ["unique_id", "model", "mase", "rmsse", "wape", "months"]
    scale = {}
    for series in panel:
        lag = season if len(series.y) > season else 1
        change = series.y[lag:] - series.y[:-lag]
        scale[series.name] = (np.abs(change).mean(), np.sqrt((change**2).mean())) if len(change) else (np.nan, np.nan)
    frames = []
    for name in [name for name in cv if name not in ("unique_id", "cutoff", "ds", "y")]:
        part = cv[cv[name].notna()]
        error = (part[name] - part["y"]).astype(float)
        sums = pd.DataFrame({"error": error.abs(), "square": error**2, "y": part["y"].abs(), "months": 1})
        sums = sums.groupby(part["unique_id"].to_numpy()).sum()
        by = np.array([scale[key] for key in sums.index]).reshape(-1, 2)
        by[by == 0] = np.nan
        frames.append(
            pd.DataFrame(
                {
                    "unique_id": sums.index,
                    "model": name,
                    "mase": (sums["error"] / sums["months"]).to_numpy() / by[:, 0],
                    "rmsse": np.sqrt(sums["square"] / sums["months"]).to_numpy() / by[:, 1],
                    "wape": (sums["error"] / sums["y"].where(sums["y"] > 0)).to_numpy(),
                    "months": sums["months"].to_numpy(),
                }
            )
        )
    if not frames:
        return pd.DataFrame(columns=columns)
    return pd.concat(frames).sort_values(["unique_id", "model"], ignore_index=True)


def _notes(panel: Sequence[Series], accuracy: pd.DataFrame) -> pd.DataFrame:
    rmsse = accuracy.pivot(index="unique_id", columns="model", values="rmsse")
    rows = [(series.name, note) for series in panel for note in series.notes]
    if NAIVE in rmsse:
        for name, naive, chosen in rmsse[[NAIVE, "chosen"]].itertuples():
            if chosen > naive:
                rows.append(
                    (
                        name,
                        "Seasonal naive would have been better in the backtest: "
                        f"RMSSE {naive:.2f} against {chosen:.2f}.",
                    )
                )
    return pd.DataFrame(rows, columns=["unique_id", "note"]).sort_values("unique_id", kind="stable", ignore_index=True)
