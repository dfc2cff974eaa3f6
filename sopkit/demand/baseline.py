"""The statistical forecast of many series: a tournament on the company's own past, combined, with a measured range.

Every series is forecast by several well-kept methods of statsforecast (and by one LightGBM over all series where
there are enough of them), at several past months (cutoffs) and now. The errors made at the cutoffs say how much each
method counts and how wide the range must be. At a cutoff nothing after it is seen: not by a model, not by a weight,
not by a scale.

Versions: statsforecast 2.1 with pandas 2.3. statsforecast 2.1 computes in compiled code without numba, so a fresh
process forecasts at once, but it asks for pandas below 3; a resolver left alone takes pandas 3 and falls back to
statsforecast 2.0.3, which compiles first. Hence pandas < 3 and statsforecast >= 2.1 in pyproject.toml.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module

import numpy as np
import pandas as pd

from sopkit.engine import Engine, Progress, engine_at
from sopkit.errors import Finding, FindingsError, SettingsError

NAIVE = "seasonal_naive"
# Above this mean gap between months with sales a series is intermittent (Syntetos, Boylan & Croston 2005).
INTERMITTENT_GAP = 1.32
_GRID = np.arange(1, 100) / 100  # the levels at which the distribution of errors is kept
_CHUNK = 24  # series a part of work: the same wherever it runs


@dataclass(frozen=True)
class Baseline:
    """The forecast of every series and the proof of how good it was in the backtest.

    `forecast`: unique_id, ds, mean, p10, p50, p90 (and p.. of other levels asked for), model (how it was made).
    `cv`: unique_id, cutoff, ds, y, one column a model, chosen. `accuracy`: unique_id, model, mase, rmsse, wape, months.
    `notes`: unique_id, note (a sentence on what was done and why). `coverage`: level, measured, months.
    `weights`: unique_id, model, weight. `fitted`: unique_id, ds, y (holes filled), fitted (a month ahead, in sample).
    """

    forecast: pd.DataFrame
    cv: pd.DataFrame
    accuracy: pd.DataFrame
    notes: pd.DataFrame
    coverage: pd.DataFrame
    weights: pd.DataFrame
    fitted: pd.DataFrame
    errors: np.ndarray = field(repr=False)  # series x step x grid: error quantiles added to the mean
    persistence: float = 0.0  # correlation of a series' errors from one month to the next
    shared: float = 0.0  # correlation of the errors of two series in the same month
    seed: int = 0

    def paths(self, n: int = 200) -> pd.DataFrame:
        """`n` possible futures of every series: unique_id, ds, path, y, in the forecast's order.

        A Gaussian copula ties the months of a series and the series of a month together as their backtest errors were;
        each month's distribution is the one that p10, p50 and p90 are taken from.
        """
        from scipy.special import ndtr

        ids = self.forecast["unique_id"].unique()
        steps = len(self.forecast) // max(len(ids), 1)
        random = np.random.default_rng(self.seed)
        common = _walk(random, (n, 1, steps), self.persistence)
        own = _walk(random, (n, len(ids), steps), self.persistence)
        chance = ndtr(np.sqrt(self.shared) * common + np.sqrt(1 - self.shared) * own)
        mean = self.forecast["mean"].to_numpy().reshape(len(ids), steps)
        out = np.empty(chance.shape)
        for series in range(len(ids)):
            for step in range(steps):
                out[:, series, step] = np.interp(chance[:, series, step], _GRID, self.errors[series, step])
        out = np.maximum(out + mean, 0.0)
        return pd.DataFrame(
            {
                "unique_id": np.repeat(self.forecast["unique_id"].to_numpy(), n),
                "ds": np.repeat(self.forecast["ds"].to_numpy(), n),
                "path": np.tile(np.arange(n), len(self.forecast)),
                "y": out.transpose(1, 2, 0).ravel(),
            }
        )


@dataclass(frozen=True)
class Series:
    """One series ready to forecast: values without holes up to the panel's last month, and what was done."""

    name: str
    y: np.ndarray
    kind: str  # regular, short, intermittent, or one with a fixed answer: zero, constant, few, ended
    notes: tuple[str, ...]


def forecast(
    history: pd.DataFrame,
    horizon: int,
    *,
    freq: str = "MS",
    season: int = 12,
    levels: Sequence[int] = (80,),
    engine: Engine | str | None = None,
    exog: Mapping[str, pd.DataFrame] | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Baseline:
    """Forecast every series of `history` (unique_id, ds, y) for `horizon` months after its last month.

    `freq` is the pandas frequency of ds, `season` the months of a year (12; 4 for quarters). `levels` are the central
    ranges wanted in per cent; p10, p50, p90 are always there. `engine` says where the work runs. `exog` holds features
    of LightGBM (unique_id, ds and one numeric column each) under "history" and "future". Raises FindingsError where a
    row cannot be read as a month of a series, SettingsError where a setting makes no sense.
    """
    if horizon < 1 or season < 1 or any(not 0 < level < 100 for level in levels):
        raise SettingsError("A forecast needs a horizon and season of at least 1 and levels of 1 to 99 per cent.")
    panel, last = shape(history, freq, season)
    offsets = _offsets(horizon, season)
    chunks = [(panel[at : at + _CHUNK], offsets, horizon, season) for at in range(0, len(panel), _CHUNK)]
    fits = [
        fit
        for part in engine_at(engine).map(_fit_chunk, chunks, seconds=0.12 * len(panel), progress=progress)
        for fit in part
    ]
    fitted = _fitted(panel, fits, last, freq, season)
    return _conclude(panel, [said for said, _ in fits], fitted, last, horizon, freq, season, levels, seed)


def shape(history: pd.DataFrame, freq: str, season: int) -> tuple[list[Series], pd.Timestamp]:
    """The series of `history` (sorted by name) without holes, and the last month of all of them.

    Raises FindingsError naming every row that is no month, is there twice, or is infinite.
    """
    frame = _checked(history, freq)
    last = frame["ds"].max()
    panel = []
    for name, rows in frame.groupby("unique_id", sort=True):
        values = rows.set_index("ds")["y"]
        months = pd.date_range(values.index.min(), last, freq=freq)
        panel.append(_ready(str(name), values.reindex(months).to_numpy(), months.isin(values.index), season))
    return panel, last


def _checked(history: pd.DataFrame, freq: str) -> pd.DataFrame:
    frame = history[["unique_id", "ds", "y"]].copy()
    frame["unique_id"], frame["y"] = frame["unique_id"].astype(str), frame["y"].astype(float)
    frame["ds"] = pd.to_datetime(frame["ds"])
    found = []
    start = frame["ds"].dt.to_period(pd.tseries.frequencies.to_offset(freq).name[0]).dt.start_time
    for wrong, column, rule, cure in (
        (start != frame["ds"], "ds", "is not the first day of its month", "Use the first day of the month."),
        (frame.duplicated(["unique_id", "ds"], keep=False), "ds", "stands twice", "Sum the rows of a month first."),
        (np.isinf(frame["y"]), "y", "is infinite", "Correct or leave out the value."),
    ):
        for row in frame[wrong].itertuples():
            where = f"{row.unique_id} {row.ds:%Y-%m-%d}" if column == "ds" else str(row.y)
            found.append(Finding("history", frame.index.get_loc(row.Index) + 2, column, where, rule, "stop", "", cure))
    if found:
        raise FindingsError(found, "The history cannot be forecast")
    if frame["ds"].empty:
        raise SettingsError("There is no history to forecast from: the frame has no row.")
    return frame.sort_values(["unique_id", "ds"], kind="stable")


def _ready(name: str, values: np.ndarray, present: np.ndarray, season: int) -> Series:
    """Fill holes, say so, and tell which kind of series it is."""
    notes = []
    absent = ~present
    known = values[~np.isnan(values)]
    if not len(known):
        return Series(name, np.zeros(len(values)), "zero", ("No month has a value: forecast as 0.",))
    trailing = len(values) - 1 - int(np.flatnonzero(present)[-1])
    if trailing:
        values[-trailing:] = 0.0
        notes.append(f"No rows in its last {trailing} month(s): taken as nothing sold.")
    inner = absent.copy()
    inner[len(values) - trailing :] = False
    if inner.sum() >= 0.2 * len(values) or (known == 0).any():
        values[inner] = 0.0
        if inner.any():
            notes.append(f"{inner.sum()} month(s) without a row: taken as nothing sold.")
    holes = np.isnan(values)
    if holes.any():
        values = _filled(values, season)
        notes.append(f"{holes.sum()} missing month(s) filled from the same month of other years and its neighbours.")
    if (values < 0).any():
        notes.append(f"{(values < 0).sum()} month(s) below 0 (net returns) used as they are; no forecast is below 0.")
    kind = _kind(values, season)
    if kind == "zero":
        notes.append("Nothing was ever sold: forecast as 0.")
    elif kind == "ended":
        notes.append(f"Nothing sold in its last {season} months: forecast as 0.")
    elif kind == "constant":
        notes.append("The same value every month: carried forward; its range is one value because it never varied.")
    elif kind == "few":
        notes.append(f"Only {len(values)} month(s) of history: their mean, with the relative range of the others.")
    elif kind == "short":
        notes.append(f"{len(values)} months of history, less than two years: forecast without a season of its own.")
    elif kind == "intermittent":
        notes.append("Sold in some months only: forecast with methods for intermittent demand, judged by RMSSE.")
    return Series(name, values, kind, tuple(notes))


def _kind(y: np.ndarray, season: int) -> str:
    if not y.any():
        return "zero"
    if len(y) >= season > 1 and not y[-season:].any():
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
    """Holes filled from the neighbours' line, shaped by what the same month was against that line in other years."""
    at = np.arange(len(values))
    known = ~np.isnan(values)
    line = np.interp(at, at[known], values[known])
    ratio = np.full(len(values), np.nan)
    np.divide(values, line, out=ratio, where=known & (line > 0))
    out = line.copy()
    level = pd.Series(line).rolling(season + 1, center=True, min_periods=1).mean().to_numpy()
    for hole in at[~known]:
        same = at[known & (at % season == hole % season) & (level > 0)]
        if len(same):
            out[hole] = level[hole] * np.median(values[same] / level[same])
    return np.where(known, values, out)


def _offsets(horizon: int, season: int) -> tuple[int, ...]:
    """How many months before the end the cutoffs lie, nearest first."""
    step = max(1, season // 2)
    return tuple(sorted({max(1, horizon // 3), horizon, horizon + step}))


Fits = dict[int, dict[str, np.ndarray]]  # months before the end (0 = now) -> method -> its forecast


def _fit_chunk(work: tuple[Sequence[Series], Sequence[int], int, int]) -> list[tuple[Fits, dict[str, np.ndarray]]]:
    """For each series what every method says at every cutoff, and said one month ahead in sample."""
    chunk, offsets, horizon, season = work
    out = []
    for series in chunk:
        fits, now = {}, {}
        for offset in (0, *offsets):
            y = series.y[: max(len(series.y) - offset, 0)]
            if offset == 0 or len(y) >= max(4, min(season, len(series.y) // 2)):
                fits[offset], fitted = fit(y, horizon, season, series.kind if offset == 0 else _kind(y, season))
                now = fitted if offset == 0 else now
        out.append((fits, now))
    return out


def fit(y: np.ndarray, horizon: int, season: int, kind: str) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """What each method for this kind of series says after `y` (name -> `horizon` values), and said one month ahead."""
    out = {NAIVE: seasonal_naive(y, horizon, season)}
    if kind in ("zero", "ended"):
        return {NAIVE: np.zeros(horizon)}, {}
    if kind in ("few", "constant"):
        return {"mean": np.full(horizon, max(y.mean(), 0.0)), NAIVE: out[NAIVE]}, {}
    fitted = {}
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # a method that cannot fit is left out below, not reported line by line
        for name, model in _methods(y, season, kind).items():
            try:
                said = model.forecast(y=y, h=horizon, fitted=True)
            except Exception:  # statsforecast raises bare Exception for "too short" and "no model can be fitted"
                continue
            values = np.asarray(said["mean"], dtype=float)
            if np.isfinite(values).all() and np.abs(values).max() <= 10 * np.abs(y).max():
                out[name] = np.maximum(values, 0.0)
                if name != "mfles":  # its fit is a smooth of the whole history, not one month ahead
                    fitted[name] = np.asarray(said["fitted"], dtype=float)
    return out, fitted


def seasonal_naive(y: np.ndarray, horizon: int, season: int) -> np.ndarray:
    """The same month of the last year; with less than a year, the last value. The forecast every other must beat."""
    if len(y) < season:
        return np.full(horizon, max(y[-1], 0.0))
    return np.maximum(np.resize(y[-season:], horizon), 0.0)


def _methods(y: np.ndarray, season: int, kind: str) -> dict[str, object]:
    models = _statsforecast()
    if kind == "intermittent":
        return {
            "croston_sba": models.CrostonSBA(),
            "tsb": models.TSB(alpha_d=0.2, alpha_p=0.2),
            "adida": models.ADIDA(),
            "imapa": models.IMAPA(),
            "level": models.SimpleExponentialSmoothingOptimized(),
        }
    length = season if kind == "regular" else 1
    error = "M" if y.min() > 0 else "A"
    seasonal = error if length > 1 else "N"
    return {
        "theta": models.DynamicOptimizedTheta(season_length=length),
        "ets_level": models.AutoETS(season_length=length, model=f"AN{'A' if length > 1 else 'N'}"),
        "ets_damped": models.AutoETS(season_length=length, model=f"{error}A{seasonal}", damped=True),
        "ces": models.AutoCES(season_length=length),
        "mfles": models.MFLES(season_length=length),
    }


def _statsforecast():
    """statsforecast.models; imported when forecasting only, because it takes 2-3 s."""
    if "statsforecast.models" not in sys.modules:
        # Where dask is installed, utilsforecast imports all of it (1.3 s) to offer its frames: none come this way.
        held = {name: sys.modules.pop(name) for name in ("dask.dataframe",) if name in sys.modules}
        sys.modules["dask.dataframe"] = None
        try:
            import_module("statsforecast.models")
        finally:
            del sys.modules["dask.dataframe"]
            sys.modules.update(held)
    return sys.modules["statsforecast.models"]


def _conclude(
    panel: Sequence[Series],
    fits: Sequence[Fits],
    fitted: pd.DataFrame,
    last: pd.Timestamp,
    horizon: int,
    freq: str,
    season: int,
    levels: Sequence[int],
    seed: int,
) -> Baseline:
    """Weights, chosen forecast, range, accuracy and notes from what every method said at every cutoff."""
    weights = {
        (at, offset): _weights(panel[at], fits[at], offset, season) for at in range(len(panel)) for offset in fits[at]
    }
    chosen = {key: sum(w * fits[key[0]][key[1]][name] for name, w in ws.items()) for key, ws in weights.items()}
    scaled = _scaled_errors(panel, chosen, season)
    spread = np.stack([_quantiles(scaled["error"], scaled["step"], step) for step in range(1, horizon + 1)])
    sizes = np.array([_size(series.y, season) for series in panel])
    errors = sizes[:, None, None] * spread[None]
    months = pd.date_range(last, periods=horizon + 1, freq=freq)[1:]
    mean = np.stack([chosen[at, 0] for at in range(len(panel))])
    frame = pd.DataFrame(
        {
            "unique_id": np.repeat([series.name for series in panel], horizon),
            "ds": np.tile(months, len(panel)),
            "mean": mean.ravel(),
        }
    )
    for level in sorted({10, 50, 90, *(edge for lv in levels for edge in (50 - lv / 2, 50 + lv / 2))}):
        at_level = np.apply_along_axis(lambda grid, level=level: np.interp(level / 100, _GRID, grid), 2, errors)
        frame[f"p{level:g}"] = np.maximum(mean + at_level, 0.0).ravel()
    frame["model"] = np.repeat([_said(weights[at, 0]) for at in range(len(panel))], horizon)
    cv = _cv_frame(panel, fits, chosen, last, freq)
    accuracy = _accuracy(panel, cv, season)
    coverage = _coverage(scaled, levels)
    notes = _notes(panel, accuracy)
    persistence, shared = _ties(scaled)
    told = pd.DataFrame(
        [(panel[at].name, name, w) for (at, offset), ws in weights.items() if offset == 0 for name, w in ws.items()],
        columns=["unique_id", "model", "weight"],
    )
    return Baseline(frame, cv, accuracy, notes, coverage, told, fitted, errors, persistence, shared, seed)


def _fitted(
    panel: Sequence[Series], fits: Sequence[tuple[Fits, dict]], last: pd.Timestamp, freq: str, season: int
) -> pd.DataFrame:
    """One month ahead in sample: the mean of the methods that have such values, else the seasonal naive value."""
    frames = []
    for series, (_, fitted) in zip(panel, fits, strict=True):
        y = series.y
        lag = season if len(y) > season else 1
        said = np.concatenate([y[:lag], y[:-lag]])[: len(y)]
        if fitted:
            ahead = np.stack(list(fitted.values()))
            said = np.where(np.isfinite(ahead).all(axis=0), ahead.mean(axis=0), y)
        frames.append(
            pd.DataFrame(
                {
                    "unique_id": series.name,
                    "ds": pd.date_range(end=last, periods=len(y), freq=freq),
                    "y": y,
                    "fitted": said,
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def _weights(
    series: Series, fits: Mapping[int, Mapping[str, np.ndarray]], offset: int, season: int
) -> dict[str, float]:
    """Weight of each method at a cutoff, from the errors that were known by then; without any, all count the same."""
    names = [name for name in fits[offset] if name != NAIVE] or [NAIVE]
    known: dict[str, list[float]] = {name: [] for name in names}
    for past, said in fits.items():
        if past <= offset or not set(names) <= said.keys():
            continue
        start = len(series.y) - past
        actual = series.y[start : len(series.y) - offset]
        for name in names:
            known[name].append(np.sqrt(np.mean((said[name][: len(actual)] - actual[: len(said[name])]) ** 2)))
    if not known[names[0]]:
        return dict.fromkeys(names, 1 / len(names))
    loss = np.array([np.mean(known[name]) for name in names])
    inverse = 1 / np.maximum(loss, 1e-9 + 0.05 * loss.max())
    weight = 0.5 * inverse / inverse.sum() + 0.5 / len(names)
    return dict(zip(names, weight.tolist(), strict=True))


def _size(y: np.ndarray, season: int) -> float:
    """How much a series moves: the mean absolute change from year to year (from month to month with less history)."""
    lag = season if len(y) >= season + 3 else 1
    return float(np.mean(np.abs(y[lag:] - y[:-lag]))) if len(y) > lag else float(np.abs(y).mean() / 2)


def _scaled_errors(panel: Sequence[Series], chosen: Mapping[tuple[int, int], np.ndarray], season: int) -> pd.DataFrame:
    """Errors (actual - chosen) over the size the series had at the cutoff: series, offset, step, error."""
    parts = []
    for (at, offset), values in chosen.items():
        series = panel[at]
        if offset == 0 or series.kind in ("zero", "constant", "ended"):
            continue
        cut = len(series.y) - offset
        actual = series.y[cut : cut + len(values)]
        size = _size(series.y[:cut], season)
        if size > 0:
            parts.append(
                (
                    np.full(len(actual), at),
                    np.full(len(actual), offset),
                    np.arange(1, len(actual) + 1),
                    (actual - values[: len(actual)]) / size,
                )
            )
    if not parts:
        return pd.DataFrame({"series": [0], "offset": [1], "step": [1], "error": [0.0]})
    return pd.DataFrame(
        dict(zip(("series", "offset", "step", "error"), map(np.concatenate, zip(*parts, strict=True)), strict=True))
    )


def _quantiles(error: pd.Series, step: pd.Series, at: int) -> np.ndarray:
    """The distribution of scaled errors `at` steps ahead, from the steps around it."""
    near = error[(step - at).abs() <= 1]
    near = near if len(near) >= 10 else error
    return np.quantile(near, _GRID) - np.median(near)


def _coverage(scaled: pd.DataFrame, levels: Sequence[int]) -> pd.DataFrame:
    """How often the backtest's actuals lay inside the range, each fifth of the series judged by the other four."""
    fold = scaled["series"] % 5 if scaled["series"].nunique() >= 5 else scaled["offset"]
    rows = []
    for level in sorted({80, *levels}):
        inside = 0
        for one in sorted(fold.unique()):
            mine, others = scaled[fold == one], scaled[fold != one]
            others = others if len(others) else mine
            for step, part in mine.groupby("step"):
                low, high = np.interp(
                    [0.5 - level / 200, 0.5 + level / 200], _GRID, _quantiles(others["error"], others["step"], step)
                )
                inside += int(part["error"].between(low, high).sum())
        rows.append((level, 100 * inside / len(scaled), len(scaled)))
    return pd.DataFrame(rows, columns=["level", "measured", "months"])


def _ties(scaled: pd.DataFrame) -> tuple[float, float]:
    """Correlation of errors one month apart in a series, and between two series in a month, both from 0 to 0.98."""
    wide = scaled.pivot(index=["series", "offset"], columns="step", values="error")
    ranks = (wide.rank() / (wide.count() + 1) - 0.5).clip(-0.49, 0.49)
    spread = (ranks**2).stack().mean()
    if not spread > 0:
        return 0.0, 0.0
    next_month = (ranks * ranks.shift(1, axis=1)).stack().mean() / spread
    month = (ranks.groupby("offset").mean() ** 2).stack().mean() / spread
    alone = 1 / max(wide.groupby("offset").size().mean(), 1)  # what the mean of untied series would show
    tied = (month - alone) / (1 - alone) if alone < 1 else 0.0
    return tuple(float(np.clip(0.0 if np.isnan(value) else value, 0, 0.98)) for value in (next_month, tied))


def _walk(random: np.random.Generator, size: tuple[int, int, int], persistence: float) -> np.ndarray:
    """Standard normal values that follow each other with correlation `persistence` along the last axis."""
    out = random.standard_normal(size)
    for step in range(1, size[-1]):
        out[..., step] = persistence * out[..., step - 1] + np.sqrt(1 - persistence**2) * out[..., step]
    return out


def _cv_frame(
    panel: Sequence[Series], fits: Sequence[dict], chosen: Mapping, last: pd.Timestamp, freq: str
) -> pd.DataFrame:
    names = sorted({name for per in fits for said in per.values() for name in said})
    offsets = sorted({offset for per in fits for offset in per if offset}, reverse=True)
    frames = []
    for offset in offsets:
        months = pd.date_range(end=last, periods=offset + 1, freq=freq)
        for at, series in enumerate(panel):
            if offset not in fits[at]:
                continue
            said = fits[at][offset]
            cut = len(series.y) - offset
            actual = series.y[cut : cut + len(chosen[at, offset])]
            frames.append(
                pd.DataFrame(
                    {"unique_id": series.name, "cutoff": months[0], "ds": months[1 : len(actual) + 1], "y": actual}
                    | {name: said[name][: len(actual)] if name in said else np.nan for name in names}
                    | {"chosen": chosen[at, offset][: len(actual)]}
                )
            )
    if not frames:
        return pd.DataFrame(columns=["unique_id", "cutoff", "ds", "y", *names, "chosen"])
    return pd.concat(frames, ignore_index=True).sort_values(["unique_id", "cutoff", "ds"], ignore_index=True)


def _accuracy(panel: Sequence[Series], cv: pd.DataFrame, season: int) -> pd.DataFrame:
    """Backtest accuracy of every series and method (Hyndman & Koehler 2006 for MASE and RMSSE)."""
    names = [name for name in cv.columns if name not in ("unique_id", "cutoff", "ds", "y")]
    size = {}
    for series in panel:
        lag = season if len(series.y) > season else 1
        step = np.diff(series.y, 1) if lag == 1 else series.y[lag:] - series.y[:-lag]
        size[series.name] = (
            np.abs(step).mean() if len(step) else np.nan,
            np.sqrt(np.mean(step**2)) if len(step) else np.nan,
        )
    rows = []
    for name in names:
        part = cv[cv[name].notna()]
        error = part[name] - part["y"]
        sums = (
            pd.DataFrame({"a": error.abs(), "s": error**2, "y": part["y"].abs(), "n": 1})
            .groupby(part["unique_id"])
            .sum()
        )
        scale = np.array([size[key] for key in sums.index]).reshape(-1, 2)
        with np.errstate(all="ignore"):
            rows.append(
                pd.DataFrame(
                    {
                        "unique_id": sums.index,
                        "model": name,
                        "mase": sums["a"] / sums["n"] / scale[:, 0],
                        "rmsse": np.sqrt(sums["s"] / sums["n"]) / scale[:, 1],
                        "wape": sums["a"] / sums["y"],
                        "months": sums["n"],
                    }
                )
            )
    if not rows:
        return pd.DataFrame(columns=["unique_id", "model", "mase", "rmsse", "wape", "months"])
    out = pd.concat(rows, ignore_index=True).replace([np.inf, -np.inf], np.nan)
    return out.sort_values(["unique_id", "model"], ignore_index=True)


def _notes(panel: Sequence[Series], accuracy: pd.DataFrame) -> pd.DataFrame:
    rmsse = accuracy.pivot(index="unique_id", columns="model", values="rmsse") if len(accuracy) else pd.DataFrame()
    rows = []
    for series in panel:
        said = list(series.notes)
        if (
            series.name in rmsse.index
            and NAIVE in rmsse
            and rmsse.loc[series.name, "chosen"] > rmsse.loc[series.name, NAIVE]
        ):
            said.append(
                "In the backtest seasonal naive was better "
                f"(RMSSE {rmsse.loc[series.name, NAIVE]:.2f} against {rmsse.loc[series.name, 'chosen']:.2f})."
            )
        rows.extend((series.name, note) for note in said)
    return pd.DataFrame(rows, columns=["unique_id", "note"])


def _said(weights: Mapping[str, float]) -> str:
    """The methods in order of weight, in words: `theta 40 % + mfles 35 % + ces 25 %`."""
    ranked = sorted(weights.items(), key=lambda item: (-item[1], item[0]))
    if len(ranked) == 1:
        return ranked[0][0]
    return " + ".join(f"{name} {weight:.0%}".replace("%", " %") for name, weight in ranked if weight >= 0.005)
