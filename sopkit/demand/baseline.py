"""The statistical forecast of many series: a tournament on the company's own past, combined, with a measured range.

Every series is forecast by several contestants at past months (cutoffs) and now. The errors made at the cutoffs say
how much each contestant counts and how wide the range must be. At a cutoff nothing after it is seen: not by a
contestant, not by a weight, not by a scale. So the backtest shows what would have been forecast then.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from operator import methodcaller
from typing import Any

import numpy as np
import pandas as pd

from sopkit import kpis
from sopkit.demand.contestants import NAIVE, Values, lightgbm, statistical
from sopkit.demand.networks import networks
from sopkit.demand.panel import FIXED, Panel, panel_of
from sopkit.demand.ranges import ENOUGH, Ranges, coverage_of, doubt, errors_of, ranges_of
from sopkit.demand.short import cut_tournaments, planned_by, profiles_of, with_short
from sopkit.engine import Engine, Progress, engine_at
from sopkit.errors import SettingsError
from sopkit.words import local, percent, say

# LightGBM and networks over all series need so many that have more than two years.
ENOUGH_SERIES = 80
ENOUGH_SERIES_WITH_FEATURES = 20
# How weights follow from errors, tuned on the monthly series of M1 and of the tourism competition: 1 / error ** POWER,
# OWN of it a series' own errors and the rest those of all series of its kind, these starting from the PRIOR
# (seasonal naive a fifth worse than the others, a strong trend a third better) as if PRIOR_SERIES series had shown it.
POWER, OWN, PRIOR, PRIOR_SERIES = 4.0, 0.7, {NAIVE: np.log(1.2), "trend": np.log(0.7)}, 10
# Above so many series LightGBM over all of them makes up for the dearest methods, which are left out: on M1 and tourism
# the error without them is 0.7 and 0.1 % higher, their time a quarter.
MANY_SERIES = 3_000
SECONDS_A_FIT = 0.02  # what all contestants take for one series at one cutoff, measured on 48 to 100 months
_CHUNK = 24  # series a part of work: the same wherever it runs
# place and offset -> what methods forecast; one month ahead in the past; how far they are off and disagree
Answers = dict[tuple[int, int], tuple[Values, Values, float]]


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

    @cached_property
    def wide(self) -> pd.DataFrame:
        """`fitted` as series x months: y, then fitted."""
        return self.fitted.pivot(index="unique_id", columns="ds", values=["y", "fitted"])


def forecast(
    history: pd.DataFrame,
    horizon: int,
    *,
    freq: str = "MS",
    season: int = 12,
    levels: Sequence[float] = (80,),
    engine: Engine | str | None = None,
    exog: Mapping[str, pd.DataFrame] | None = None,
    parts: Mapping[str, Sequence[str]] | None = None,
    families: Mapping[str, str] | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Baseline:
    """Forecast every series of `history` (unique_id, ds, y) for `horizon` months after its last month.

    `freq` is the pandas frequency of ds, `season` the months of a year (12; 4 for quarters). `levels` are the central
    ranges wanted, in per cent; p10, p50 and p90 are always there. `engine` says where the work runs. `exog` holds
    features for LightGBM under "history" and "future": unique_id, ds and numeric columns that are known in advance
    (calendar, price, campaigns, market conditions); without unique_id they hold for every series. `parts` names the
    series that are sums of others, and of which; `families` those that share a season. Raises FindingsError naming each
    row that is no month of a series, SettingsError where a setting makes no sense.
    """
    if horizon < 1 or season < 1 or any(not 0 < level < 100 for level in levels):
        raise SettingsError("A forecast needs a horizon and a season of 1 or more, and levels from 1 to 99 per cent.")
    offsets = _offsets(history, horizon, season)
    panel = panel_of(history, horizon, freq=freq, season=season, offsets=offsets, parts=parts)
    profiles = profiles_of(panel, offsets, families or {})
    works: list[_All | _Few] = [*_all(panel, offsets, exog, seed), *_few(panel, offsets, profiles)]
    seconds = SECONDS_A_FIT * len(panel.series) * len(offsets)
    answers = engine_at(engine).map(methodcaller("run"), works, seconds=seconds, progress=progress)
    names, given, fitted, sizes = _gathered(answers, panel, offsets)
    cuts = cut_tournaments(panel, offsets, profiles.get(max(offsets), {}))
    # what cut series teach was not known at a cutoff
    short = {offset: planned_by(panel, {} if offset else cuts, offset) for offset in offsets}
    kinds = {offset: np.array([panel.kind(series, offset) for series in panel.series]) for offset in offsets}
    weights = {
        offset: with_short(_weights(panel, names, given, kinds, offset), short[offset], names, given[offset])
        for offset in offsets
    }
    blend = {offset: _combined(given[offset], weights[offset]) for offset in offsets}
    level = {offset: _level_of_intermittent(panel, blend, kinds, offset) for offset in offsets}
    lower = {offset: np.where(kinds[offset] == "intermittent", level[offset], 1.0)[:, None] for offset in offsets}
    chosen = {offset: blend[offset] * lower[offset] for offset in offsets}
    cv = _cv(panel, names, given, chosen)
    errors, accuracy = errors_of(panel, cv, sizes), _accuracy(panel, cv)
    ranges = ranges_of(panel, errors, sizes, short[0])
    place, method = np.nonzero(weights[0] > 0)
    used = {"unique_id": np.array(panel.names, object)[place], "model": np.array(names, object)[method]}
    return Baseline(
        forecast=_forecast(panel, chosen[0], [_described(names, row) for row in weights[0]], ranges, levels),
        cv=cv,
        accuracy=accuracy,
        coverage=coverage_of(errors, levels),
        notes=_notes(panel, accuracy, level[0]),
        weights=pd.DataFrame(used | {"weight": weights[0][place, method]}),
        fitted=_fitted(panel, fitted, names, weights[0]),
        ranges=ranges,
    )


def _offsets(history: pd.DataFrame, horizon: int, season: int) -> tuple[int, ...]:
    """How many months before the end forecasts are tried: a whole horizon, and two thirds of one.

    Where that leaves most series less than two years to learn from, they are tried nearer to the end: a forecast from
    a year of history says little of one from three.
    """
    lengths = history.groupby("unique_id").size()
    long = lengths[lengths >= 2 * season]
    left = int(long.median()) - 2 * season if len(long) else horizon
    furthest = min(horizon, max(left, season // 3, 1))
    return (0, *sorted({max(1, round(furthest * 2 / 3)), furthest}))


# The tournament -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Few:
    """A part of work: a few series, every statistical contestant, at every cutoff."""

    places: Sequence[int]
    panel: Panel
    offsets: Sequence[int]
    profiles: Mapping[int, Mapping[str, np.ndarray | None]]
    quick: int

    def run(self) -> Answers:
        """What the contestants forecast, and would have forecast one month ahead."""
        out, season = {}, self.panel.season
        for at, series in zip(self.places, self.panel.series, strict=True):
            for offset in self.offsets:
                y = series.before(offset)
                kind, profile = self.panel.kind(series, offset), self.profiles.get(offset, {}).get(series.name)
                ended = series.kind == "ended" and kind == "intermittent"  # it counts for what its kind was forecast
                if offset == 0 or (len(y) >= 4 and (series.kind not in FIXED or ended)):
                    ahead, past = statistical(y, self.panel.horizon, season, kind, profile, quick=self.quick)
                    size = doubt(y, ahead, past, season) if kind == "regular" else np.nan
                    out[at, offset] = ahead, past if offset == 0 else {}, size
        return out


@dataclass(frozen=True)
class _All:
    """A part of work: what learns from all series long enough, at one cutoff."""

    past: Mapping[int, np.ndarray]
    panel: Panel
    offset: int
    features: tuple[pd.DataFrame, pd.DataFrame] | None
    seed: int

    def run(self) -> Answers:
        """What LightGBM forecasts, and networks, which know no features and so need more series."""
        one, cutoff = self.panel, self.panel.cutoff(self.offset)
        more: dict[str, Any] = {"freq": one.freq, "season": one.season, "features": self.features, "seed": self.seed}
        found = lightgbm(self.past, cutoff, one.horizon, **more)
        nets = networks(self.past, one.horizon, one.season, self.seed) if len(self.past) >= ENOUGH_SERIES else {}
        return {(at, self.offset): (values | nets.get(at, {}), {}, np.nan) for at, values in found.items()}


def _few(panel: Panel, offsets: Sequence[int], profiles: Mapping[int, Mapping[str, np.ndarray | None]]) -> list[_Few]:
    count = len(panel.series)
    quick = sum(count > many for many in (ENOUGH_SERIES, MANY_SERIES))
    parts = [range(count)[at : at + _CHUNK] for at in range(0, count, _CHUNK)]
    return [_Few(at, replace(panel, series=[panel.series[i] for i in at]), offsets, profiles, quick) for at in parts]


def _all(panel: Panel, offsets: Sequence[int], exog: Mapping[str, pd.DataFrame] | None, seed: int) -> list[_All]:
    works, season = [], panel.season
    # features of a month alone teach nothing about a single series: they need as many series as no feature does
    own = exog is not None and "unique_id" in exog["history"]
    for offset in offsets:
        past = {
            at: series.before(offset)
            for at, series in enumerate(panel.series)
            if len(series.y) - offset >= 2 * season + 2 and panel.kind(series, offset) == "regular"
        }
        if season > 1 and len(past) >= (ENOUGH_SERIES_WITH_FEATURES if own else ENOUGH_SERIES):
            features = _features(exog, panel, list(past), offset) if exog else None
            works.append(_All(past, replace(panel, series=[]), offset, features, seed))
    return works


def _features(
    exog: Mapping[str, pd.DataFrame], panel: Panel, places: list[int], offset: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The features up to a cutoff, and what was planned of them for the horizon after it; not given counts as 0."""
    given, names = pd.concat([exog["history"], exog["future"]], ignore_index=True), panel.names
    given["ds"] = pd.to_datetime(given["ds"])
    if "unique_id" not in given:
        given = given.merge(pd.DataFrame({"unique_id": [names[at] for at in places]}), how="cross")
    given["unique_id"] = given["unique_id"].astype(str).map({names[at]: at for at in places})
    given = given.dropna(subset=["unique_id"]).astype({"unique_id": int}).drop_duplicates(["unique_id", "ds"])
    columns = [name for name in given if name not in ("unique_id", "ds")]
    wanted = pd.MultiIndex.from_product([places, panel.after(offset)], names=["unique_id", "ds"]).to_frame(index=False)
    future = wanted.merge(given, on=["unique_id", "ds"], how="left").fillna(dict.fromkeys(columns, 0.0))
    return given[given["ds"] <= panel.cutoff(offset)], future


def _gathered(
    answers: Sequence[Answers], panel: Panel, offsets: Sequence[int]
) -> tuple[list[str], dict[int, np.ndarray], dict[int, Values], dict[tuple[int, int], float]]:
    """Names of the contestants; offset -> series x contestant x step (NaN: no forecast); series -> fitted values;
    series and offset -> the size of errors to be expected."""
    names = sorted({name for answer in answers for ahead, _, _ in answer.values() for name in ahead})
    given = {offset: np.full((len(panel.series), len(names), panel.horizon), np.nan) for offset in offsets}
    fitted: dict[int, Values] = {}
    sizes: dict[tuple[int, int], float] = {}
    for answer in answers:
        for (at, offset), (ahead, past, size) in answer.items():
            for name, values in ahead.items():
                given[offset][at, names.index(name)] = values
            if offset == 0 and past:
                fitted[at] = past
            if size > 0:
                sizes[at, offset] = size
    return names, given, fitted, sizes


def _weights(
    panel: Panel, names: Sequence[str], given: Mapping[int, np.ndarray], kinds: Mapping[int, np.ndarray], offset: int
) -> np.ndarray:
    """Weight of each contestant for each series (series x contestant), from the errors that were known at `offset`."""
    present = np.isfinite(given[offset][:, :, 0])
    squares, months = np.zeros(present.shape), np.zeros((len(panel.series), 1))
    for past in given:
        steps = min(past - offset, panel.horizon)
        for at, series in enumerate(panel.series):
            start = len(series.y) - past
            if steps > 0 and start > 0 and np.isfinite(given[past][at]).any():
                error = given[past][at, :, :steps] - series.before(offset)[start : start + steps]
                squares[at] += (error**2).sum(axis=1)
                months[at] += steps
    loss = np.sqrt(squares / np.where(months > 0, months, np.nan))
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # series without a known error have no mean
        floor = 0.05 * np.nanmax(loss, axis=1, keepdims=True)
        ratio = np.log(np.maximum(loss, np.where(floor > 0, floor, 1.0)))
        ratio -= np.nanmean(np.where(present, ratio, np.nan), axis=1, keepdims=True)
    prior = np.array([PRIOR.get(name, 0.0) for name in names])
    for kind in sorted(set(kinds[offset])):
        mine = kinds[offset] == kind
        known = np.isfinite(ratio[mine])
        shown = np.where(known, ratio[mine], 0.0).sum(axis=0)
        pooled = (shown + PRIOR_SERIES * prior) / (known.sum(axis=0) + PRIOR_SERIES)
        ratio[mine] = np.where(known, OWN * ratio[mine] + (1 - OWN) * pooled, pooled)
    weight = np.where(present, np.exp(-POWER * ratio), 0.0)
    return weight / np.where(present.any(axis=1), weight.sum(axis=1), 1.0)[:, None]


def _combined(given: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The weighted mean of the forecasts: series x step; NaN where there is none."""
    mean = np.einsum("nk,nkh->nh", weights, np.nan_to_num(given))
    return np.where(np.isfinite(given).any(axis=(1, 2))[:, None], mean, np.nan)


def _level_of_intermittent(
    panel: Panel, blend: Mapping[int, np.ndarray], kinds: Mapping[int, np.ndarray], offset: int
) -> float:
    """What intermittent series sold against their forecasts, all together, as was known `offset` months before the end.

    A part's own months cannot tell a slow decline from chance, those of all parts can. From the backtest after two
    years of history or more, a series that has ended since included; each counts by the root of its mean, as errors of
    counts grow. The ratio is shrunk towards 1 by the part of its square that its variance explains; it is 1 with fewer
    than ENOUGH series, and never more: companies list the parts that still sell, so a backtest on them finds
    more sold than could be known then (held-out car parts: 13 % more, in the year after 6 % less).
    """
    sums = {}
    for past, ahead in blend.items():
        steps = min(past - offset, panel.horizon)
        for at, one in enumerate(panel.series):
            y = one.before(past)
            if steps > 0 and len(y) >= 2 * panel.season and kinds[past][at] == "intermittent":
                both = [one.before(offset)[len(y) :][:steps].sum(), ahead[at, :steps].sum()]
                sums[at, past] = np.nan_to_num(both) / np.sqrt(np.abs(y).mean())
    if len({at for at, _ in sums}) < ENOUGH:
        return 1.0
    sold, expected = pd.DataFrame(sums).T.groupby(level=0).sum().to_numpy().T
    if not 0 <= sold.sum() < expected.sum():
        return 1.0
    less = 1 - sold.sum() / expected.sum()
    variance = ((sold - (1 - less) * expected) ** 2).sum() / expected.sum() ** 2
    return float(1 - less * max(0.0, 1 - variance / less**2))


# The answer -----------------------------------------------------------------------------------------------------


def _forecast(
    panel: Panel, mean: np.ndarray, models: Sequence[str], ranges: Ranges, levels: Sequence[float]
) -> pd.DataFrame:
    ids, how = (np.repeat(np.array(names, dtype=object), panel.horizon) for names in (panel.names, models))
    ds = np.tile(panel.after(0), len(panel.series))
    frame = pd.DataFrame({"unique_id": ids, "ds": ds, "mean": mean.ravel()})
    for level in sorted({10, 50, 90, *(edge for lv in levels for edge in (50 - lv / 2, 50 + lv / 2))}):
        frame[f"p{level:g}"] = np.maximum(mean + ranges.at(level / 100), 0.0).ravel()
    return frame.assign(model=how)


def _described(names: Sequence[str], weights: np.ndarray) -> str:
    """The contestants in order of weight: `theta 40 % + mfles 35 % + ces 25 %`."""
    ranked = sorted(zip(-weights, names, strict=True))
    parts = [f"{name} {-100 * weight:.0f} %" for weight, name in ranked if weight <= -0.005]
    return parts[0].removesuffix(" 100 %") if len(parts) == 1 else " + ".join(parts)


def _fitted(panel: Panel, fitted: Mapping[int, Values], names: Sequence[str], weights: np.ndarray) -> pd.DataFrame:
    """One month ahead in sample: the contestants with such values by their weights; with none, seasonal naive."""
    values = []
    for at, series in enumerate(panel.series):
        y, lag = series.y, panel.season if len(series.y) > panel.season else 1
        one = np.concatenate([y[:lag], y[:-lag]])[: len(y)]
        if at in fitted:
            ahead = np.stack(list(fitted[at].values()))
            weight = np.array([weights[at, names.index(name)] for name in fitted[at]]) + 1e-9
            mean = weight @ ahead / weight.sum()
            one = np.where(np.isfinite(mean), mean, y)  # the first months, before a method has begun
        values.append(one)
    lengths = [len(series.y) for series in panel.series]
    ids = np.repeat(np.array(panel.names, dtype=object), lengths)
    ds = np.concatenate([panel.months[len(panel.months) - length :] for length in lengths])
    y = np.concatenate([series.y for series in panel.series])
    return pd.DataFrame({"unique_id": ids, "ds": ds, "y": y, "fitted": np.concatenate(values)})


def _cv(
    panel: Panel, names: Sequence[str], given: Mapping[int, np.ndarray], chosen: Mapping[int, np.ndarray]
) -> pd.DataFrame:
    columns, parts = ["unique_id", "cutoff", "ds", "y", *names, "chosen"], []
    for offset in sorted(set(given) - {0}, reverse=True):
        steps = min(offset, panel.horizon)
        long_enough = [len(series.y) > offset for series in panel.series]
        moving = [series.kind not in FIXED for series in panel.series]
        there = np.flatnonzero(np.isfinite(chosen[offset][:, 0]) & long_enough & moving)
        if not len(there):
            continue
        values = np.concatenate([given[offset][there, :, :steps], chosen[offset][there, None, :steps]], axis=1)
        frame = pd.DataFrame(values.transpose(0, 2, 1).reshape(-1, len(names) + 1), columns=[*names, "chosen"])
        frame["unique_id"] = np.repeat(np.array(panel.names, dtype=object)[there], steps)
        frame["cutoff"], frame["ds"] = panel.cutoff(offset), np.tile(panel.after(offset)[:steps], len(there))
        y = [panel.series[at].y for at in there]
        frame["y"] = np.concatenate([one[len(one) - offset :][:steps] for one in y])
        parts.append(frame[columns])
    if not parts:
        return pd.DataFrame(columns=columns)
    return pd.concat(parts).sort_values(["unique_id", "cutoff", "ds"], ignore_index=True)


def _accuracy(panel: Panel, cv: pd.DataFrame) -> pd.DataFrame:
    """Backtest accuracy by series and contestant; MASE and RMSSE after Hyndman & Koehler (2006), scaled by the whole
    history's seasonal naive error. WAPE = sum of absolute errors / sum of actuals."""
    y, given = cv["y"].astype(float), cv.drop(columns=["unique_id", "cutoff", "ds", "y"]).astype(float)
    error = given.sub(y, axis=0).abs()
    sizes = given.notna().mul(y.abs(), axis=0).where(given.notna())
    groups = [frame.groupby(cv["unique_id"]) for frame in (error, error**2, sizes)]
    sums = pd.DataFrame(dict(zip(("error", "square", "size"), (of.sum().unstack() for of in groups), strict=True)))
    sums = sums.assign(months=groups[0].count().unstack()).rename_axis(["model", "unique_id"]).reset_index()
    sums = sums[sums["months"] > 0].sort_values(["unique_id", "model"], ignore_index=True)
    scale = {}
    for one in panel.series:
        lag = panel.season if len(one.y) > panel.season else 1
        scale[one.name] = kpis.scale(one.y, lag), kpis.scale(one.y, lag, power=2)
    by = np.array([scale[name] for name in sums["unique_id"]]).reshape(-1, 2)
    out = sums.assign(
        mase=sums["error"] / sums["months"] / by[:, 0],
        rmsse=np.sqrt(sums["square"] / sums["months"] / by[:, 1]),
        wape=sums["error"] / sums["size"].where(sums["size"] > 0),
    )
    return out[["unique_id", "model", "mase", "rmsse", "wape", "months"]]


def _notes(panel: Panel, accuracy: pd.DataFrame, level: float) -> pd.DataFrame:
    rmsse = accuracy.pivot(index="unique_id", columns="model", values="rmsse")
    rows = [(series.name, note) for series in panel.series for note in series.notes]
    if level < 0.995:
        why = (
            "Sold in some months only: forecast {share} lower than its methods say, as all such series together sold "
            "that much less than their forecasts in the backtest."
        )
        told = say(why, percent(1 - level))
        rows += [(series.name, told) for series in panel.series if series.kind == "intermittent"]
    if NAIVE in rmsse:
        worse = "Seasonal naive would have been better in the backtest: RMSSE {naive} against {chosen}."
        for name, *both in rmsse.loc[rmsse["chosen"] > rmsse[NAIVE], [NAIVE, "chosen"]].itertuples():
            rows.append((name, say(worse, *(local(f"{one:.2f}") for one in both))))
    return pd.DataFrame(rows, columns=["unique_id", "note"]).sort_values("unique_id", kind="stable", ignore_index=True)
