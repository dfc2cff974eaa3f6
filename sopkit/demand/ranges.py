"""How sure a forecast is: the distribution of the backtest's errors, by kind of series and months ahead."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import ndtri

from sopkit.demand.panel import FIXED, Panel
from sopkit.demand.short import Cut, is_short

_GRID = np.arange(1, 100) / 100  # the levels at which the distribution of errors is kept
ENOUGH = 20  # errors that a distribution needs
GROWTH = 0.4  # errors grow with months ahead ** GROWTH beyond the backtest's (monthly series of M1 and tourism)
EVEN = 0.85  # the power at which calm and wild thirds of M1 hold alike; 0.7 to 1 score within 1 % on all tuned sets
LEAST_APART = 0.1  # methods that agree to the last unit are as far apart as this share of what they miss
UNKNOWN = 0.4  # standard deviation of a short history's forecast, share of its mean, where nothing can be borrowed
# From TELLING months on the size of such a history is SPREAD times its own standard deviation, not its mean: ranges of
# M1, retail and car parts cut to 14 to 20 months score 20 to 50 % better so; of tourism, seasonal, as well.
SPREAD, TELLING = 3.0, 6


@dataclass(frozen=True)
class Ranges:
    """The distribution of errors (actual - forecast): `shapes` in sizes of a series, group x step x level of _GRID."""

    shapes: np.ndarray
    group: np.ndarray  # the group of each series: 0 regular, 1 intermittent, then one for each length of short ones
    sizes: np.ndarray  # how much each series moves, in its own unit

    def at(self, level: float) -> np.ndarray:
        """What to add to the mean for the quantile `level` (0 to 1): series x step."""
        return self.sizes[:, None] * _quantile(self.shapes, level)[self.group]


def _quantile(shapes: np.ndarray, level: float) -> np.ndarray:
    """The quantile `level` (0 to 1) of each distribution: group x step."""
    return np.array([[np.interp(level, _GRID, grid) for grid in steps] for steps in shapes])


def _size(y: np.ndarray, season: int, group: int) -> float:
    """How much a series moves: the mean absolute change from year to year, or month to month with less history.

    Of an intermittent one (`group` 1) the geometric mean of that and its level: changes hang on the few months it sold
    in, and on spare parts (oil, trucks, cars) calm and wild thirds hold more alike so (70 and 88 % before, 74 and 87).
    """
    lag = season if len(y) >= season + 3 else 1
    moved = float(np.abs(y[lag:] - y[:-lag]).mean()) if len(y) > lag else np.nan
    return float(np.sqrt(moved * np.abs(y).mean())) if group == 1 else moved


def doubt(y: np.ndarray, ahead: Mapping[str, np.ndarray], past: Mapping[str, np.ndarray], season: int) -> float:
    """How far a forecast of `y` may be off, in its unit: the geometric mean of two things known when it is made.

    What methods missed a month ahead in the last year (`past`: name -> fitted values), and how far they disagree about
    the months `ahead`; against the series' level to the power of EVEN, for a calm series may surprise more than that
    tells and a wild one less. On the monthly series of M1 and tourism ranges of this size were scored 17 and 5 % better
    (interval score of Gneiting & Raftery 2007) than those sized by the change from year to year. NaN: not known.
    """
    if not past:
        return np.nan
    months = max(season, 8)
    missed = np.array([np.abs(y - one)[-months:] for one in past.values()])
    begun = np.isfinite(missed).all()  # not in the first months of some methods
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        one_month = float(np.nanmean(np.median(missed, axis=0) if begun else np.nanmedian(missed, axis=0)))
    apart = float(np.std(list(ahead.values()), axis=0).mean())
    level = float(np.abs(y[-months:]).mean())
    size = np.sqrt(one_month * max(apart, LEAST_APART * one_month))
    return level * (size / level) ** EVEN if level > 0 else np.nan


def errors_of(panel: Panel, cv: pd.DataFrame, known: Mapping[tuple[int, int], float]) -> pd.DataFrame:
    """Errors of the backtest in sizes the series had at the cutoff: series (its place), group, offset, step, error.

    `known`: place and offset of a series -> its size, where the methods told one (see `doubt`). A short series has no
    errors; where one of two years had less at a cutoff, they count only where there are not ENOUGH others.
    """
    place = {one.name: at for at, one in enumerate(panel.series) if one.kind not in FIXED and not is_short(one.kind)}
    frame = cv.loc[cv["unique_id"].isin(place), ["unique_id", "cutoff", "y", "chosen"]]
    series, offset = frame["unique_id"].map(place), len(panel.months) - 1 - panel.months.get_indexer(frame["cutoff"])
    frame = frame.assign(series=series, offset=offset)
    intermittent = {at: int(one.kind == "intermittent") for at, one in enumerate(panel.series)}
    sizes = {
        (at, back): known.get((at, back)) or _size(panel.series[at].before(back), panel.season, intermittent[at])
        for at, back in frame[["series", "offset"]].drop_duplicates().itertuples(index=False)
    }
    size = np.array([sizes[key] for key in zip(frame["series"], frame["offset"], strict=True)], dtype=float)
    with np.errstate(all="ignore"):
        error = (frame["y"] - frame["chosen"]).astype(float) / np.where(size > 0, size, np.nan)
    step = frame.groupby(["series", "offset"]).cumcount() + 1
    frame = frame.assign(group=frame["series"].map(intermittent), step=step, error=error).dropna(subset="error")
    kinds = dict.fromkeys(("series", "group", "offset", "step"), int)
    known_then = [len(panel.series[at].before(back)) for at, back in frame[["series", "offset"]].to_numpy()]
    grown = np.array(known_then) >= 2 * panel.season
    if grown.sum() >= ENOUGH:
        frame = frame[grown]
    return frame[["series", "group", "offset", "step", "error"]].astype(kinds).reset_index(drop=True)


def _shapes(errors: pd.DataFrame, horizon: int) -> np.ndarray:
    """The distribution of errors: group x step x level. Regular series are centred: their mean is their median."""
    out = np.zeros((2, horizon, len(_GRID)))
    for group in (0, 1):
        mine = errors[errors["group"] == group]
        mine = mine if len(mine) >= ENOUGH else errors
        if len(mine):
            by_step = {int(step): part.to_numpy() for step, part in mine.groupby("step")["error"]}
            out[group] = _shape(by_step, horizon, centred=group == 0)
    return out


def _shape(by_step: Mapping[int, np.ndarray], horizon: int, *, centred: bool) -> np.ndarray:
    """The distribution of the errors `by_step`: step x level.

    A step takes the errors one step before and after it too. Steps beyond the last grow with a power of time.
    Finite-sample quantiles (k / (n + 1)), as split conformal prediction takes them.
    """
    out, last = np.empty((horizon, len(_GRID))), max(by_step)
    for step in range(1, horizon + 1):
        near = np.concatenate([by_step[s] for s in (step - 1, step, step + 1) if s in by_step] or [by_step[last]])
        near = near if len(near) >= ENOUGH / 2 else np.concatenate(list(by_step.values()))
        grid = np.quantile(near, _GRID, method="weibull") * max(step / last, 1.0) ** GROWTH
        out[step - 1] = grid - grid[len(_GRID) // 2] if centred else grid
    return out


def ranges_of(
    panel: Panel, errors: pd.DataFrame, known: Mapping[tuple[int, int], float], short: Mapping[int, Cut]
) -> Ranges:
    """The ranges of every series from the errors of all; of `short` ones from long series cut to their length."""
    group = np.array([int(series.kind == "intermittent") for series in panel.series])
    sizes = np.zeros(len(panel.series))
    for at, series in enumerate(panel.series):
        if series.kind not in FIXED:
            sizes[at] = known.get((at, 0)) or _size(series.y, panel.season, group[at])
    shapes = list(_shapes(errors, panel.horizon))
    unknown = UNKNOWN / 2 * np.arange(1, panel.horizon + 1)[:, None] ** GROWTH * ndtri(_GRID)
    cuts = {cut.length: cut.errors for cut in short.values()}
    lengths = sorted(cuts)
    for length in lengths:
        by_step = dict(enumerate(cuts[length].T, 1))
        enough = cuts[length].size >= ENOUGH
        shapes.append(_shape(by_step, panel.horizon, centred=True) if enough else unknown)
    for at, cut in short.items():
        y, of = panel.series[at].y, np.abs(panel.series[at].y).mean()
        alone = cut.errors.size < ENOUGH and len(y) >= TELLING  # then its own spread tells more than UNKNOWN does
        group[at], sizes[at] = 2 + lengths.index(cut.length), max(SPREAD * y.std(), of / 10) if alone else of
    if not errors.size:  # nothing could be tried: as wide as a short history's
        shapes[:2] = [unknown] * 2
        means = np.array([np.abs(series.y).mean() for series in panel.series])
        sizes = np.where((group < 2) & (sizes > 0), means, sizes)
    return Ranges(np.stack(shapes), group, np.nan_to_num(sizes))


def ties(errors: pd.DataFrame) -> tuple[float, float]:
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
    held = [float(np.clip(0.0 if np.isnan(value) else value, 0, 0.98)) for value in (next_month, tied)]
    return held[0], held[1]


def walk(random: np.random.Generator, size: tuple[int, int, int], persistence: float) -> np.ndarray:
    """Standard normal values that follow each other with correlation `persistence` along the last axis."""
    out = random.standard_normal(size)
    for step in range(1, size[-1]):
        out[..., step] = persistence * out[..., step - 1] + np.sqrt(1 - persistence**2) * out[..., step]
    return out


def coverage_of(errors: pd.DataFrame, levels: Sequence[float]) -> pd.DataFrame:
    """How often the backtest's actuals lay inside the range, each fifth of the series judged by the other four."""
    fold = errors["series"] % 5 if errors["series"].nunique() >= 5 else errors["offset"]
    inside = dict.fromkeys(sorted({80, *levels}), 0)
    for one in sorted(fold.unique()):
        mine, others = errors[fold == one], errors[fold != one]
        shapes = _shapes(others if len(others) else mine, int(mine["step"].max()))
        for level in inside:
            edges = (
                _quantile(shapes, at)[mine["group"], mine["step"] - 1] for at in (0.5 - level / 200, 0.5 + level / 200)
            )
            inside[level] += int(mine["error"].between(*edges).sum())
    share = 100 / len(errors) if len(errors) else np.nan
    rows = [(level, share * count, len(errors)) for level, count in inside.items()]
    return pd.DataFrame(rows, columns=["level", "measured", "months"])
