"""One set of volumes: product x market, family, region and total add up, whichever of them was forecast or edited."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from sopkit.demand import baseline
from sopkit.errors import SettingsError, nearest
from sopkit.words import number, percent, say, say_count

TOTAL = "total"
# MinT with a full covariance solves a dense system of this many nodes; above it variances alone are used.
DENSE_NODES = 2000
# A covariance learned from too few months throws volume from series to series: so much of it ends below 0.
MOST_BELOW_ZERO = 0.02
# What the backtest chooses from, the simplest first.
BACKTEST, BOTTOM_UP = "backtest", "bottom_up"
CANDIDATES = (BOTTOM_UP, "wls_struct", "wls_var", "mint_shrink")
TRACES = (*CANDIDATES[1:], "ols")  # by trace minimisation


@dataclass(frozen=True)
class Hierarchy:
    """Every node of a hierarchy: `summing` (nodes x bottom, 0 or 1), `nodes` (unique_id, level), aggregates first."""

    summing: np.ndarray
    nodes: pd.DataFrame
    bottom: pd.DataFrame  # unique_id and the key columns of each bottom node


@dataclass(frozen=True)
class Coherent:
    """Reconciled forecasts of every node.

    `forecast`: level, unique_id, ds, mean, p10, p50, p90, base (before reconciliation). `bottom`: the same rows of the
    bottom level with their key columns. `base`: the Baseline of all nodes. `gap`: largest difference between a node and
    the sum of its bottom nodes. `method`: how it was reconciled, `notes`: sentences on what was done.
    """

    forecast: pd.DataFrame
    bottom: pd.DataFrame
    base: baseline.Baseline
    gap: float
    method: str
    notes: tuple[str, ...]


def build(keys: pd.DataFrame, levels: Sequence[Sequence[str]]) -> Hierarchy:
    """The hierarchy over the distinct rows of `keys`; each level is a list of its columns, () is the total.

    The bottom level (all rows of `keys`, named by all columns of the last level) comes last and is added if not listed.
    Raises SettingsError for a column that `keys` does not have, or a last level that does not tell bottom rows apart.
    """
    for column in {column for level in levels for column in level}:
        if column not in keys:
            raise SettingsError(f"The hierarchy has no column {column!r}: {nearest(column, map(str, keys.columns))}")
    bottom = keys.drop_duplicates().sort_values(list(keys.columns), ignore_index=True)
    names, rows = [], []
    for level in levels:
        ids = _names(bottom, level)
        for name in sorted(ids.unique()):
            names.append((name, _label(level)))
            rows.append((ids == name).to_numpy(dtype=float))
    last = _names(bottom, levels[-1])
    if len(again := last[last.duplicated()]):
        raise SettingsError(f"The last level must tell all rows apart; {again.iloc[0]!r} is there twice.")
    order = np.argsort(last.to_numpy(), kind="stable")
    bottom = bottom.assign(unique_id=last).iloc[order].reset_index(drop=True)
    return Hierarchy(np.stack(rows)[:, order], pd.DataFrame(names, columns=["unique_id", "level"]), bottom)


def _label(level: Sequence[str]) -> str:
    return " x ".join(level) if level else TOTAL


def _names(frame: pd.DataFrame, level: Sequence[str]) -> pd.Series:
    if not level:
        return pd.Series(TOTAL, index=frame.index)
    codes = zip(*(frame[column].astype(str) for column in level), strict=True)
    return pd.Series([f"{_label(level)}: {'/'.join(code)}" for code in codes], frame.index)


def reconcile(
    history: pd.DataFrame,
    horizon: int,
    levels: Sequence[Sequence[str]] = ((), ("family",), ("region",), ("family", "region"), ("product", "market")),
    *,
    method: str = BACKTEST,
    steered_by: str = "family",
    **options,
) -> Coherent:
    """Forecast every node of `history` (key columns, ds, y) and make the forecasts add up.

    `method`: `backtest` (the one of CANDIDATES that was best in the backtest and no worse than summing from below at
    the level `steered_by`), `mint_shrink` (Wickramasuriya, Athanasopoulos & Hyndman 2019; the covariance of one-step
    errors shrunk to its diagonal; `wls_var` in its place where the months are too few to learn it, as the notes say),
    `wls_var`, `wls_struct`, `ols`, `bottom_up`, or `top_down`, which forecasts the total and spreads it over the
    products and markets in proportion to their last year. `options` go to `forecast`. A negative bottom forecast is set
    to 0 before summing, so coherence is exact. Raises SettingsError as `build` and `forecast` do.
    """
    keys = list(dict.fromkeys(column for level in levels for column in level))
    tree = build(history[keys], levels)
    nodes = aggregate(history, tree, levels)
    low = tree.bottom["unique_id"].to_numpy()
    upper = zip(tree.nodes["unique_id"], tree.summing > 0, strict=True)
    parts = {name: low[rows].tolist() for name, rows in upper if name not in set(low)}
    families = dict(zip(low, tree.bottom["family"], strict=True)) if "family" in tree.bottom else None
    base = baseline.forecast(nodes, horizon, parts=parts, families=families, **options)
    return coherent(base, tree, method, season=options.get("season", 12), steered_by=steered_by)


def aggregate(history: pd.DataFrame, tree: Hierarchy, levels: Sequence[Sequence[str]]) -> pd.DataFrame:
    """History of every node (unique_id, ds, y): sums of the rows that exist in a month."""
    whole = pd.concat([history.assign(unique_id=_names(history, level)) for level in levels])
    return whole.groupby(["unique_id", "ds"], as_index=False)["y"].sum()


def coherent(
    base: baseline.Baseline, tree: Hierarchy, method: str = BACKTEST, *, season: int = 12, steered_by: str = "family"
) -> Coherent:
    """Make the forecasts of `base` (one series a node of `tree`) add up; see `reconcile`."""
    ids = tree.nodes["unique_id"]
    steps = base.forecast["ds"].nunique()
    frame = base.forecast.set_index("unique_id").loc[ids]
    before = frame["mean"].to_numpy().reshape(len(ids), steps)
    past = base.wide.reindex(ids)
    notes: list[str] = []
    low: Any
    if method == BACKTEST:
        method, why = _chosen(base, tree, season, steered_by)
        notes.append(why)
    if method == "mint_shrink" and len(ids) > DENSE_NODES:
        notes.append(say("{count} nodes: reconciled with error variances only (wls_var).", number(len(ids))))
        method = "wls_var"
    low = _projected(past, tree, before, method, season)
    below = np.inf if low is None else float(-low[low < 0].sum() / max(np.abs(low).sum(), 1e-12))
    if method == "mint_shrink" and below > MOST_BELOW_ZERO:
        much = "put {share} of the volume below 0"
        why = say("could not be inverted") if low is None else say(much, percent(below))
        told = (
            "The covariance of the errors {why} (too few months for so many series): "
            "reconciled with error variances only (wls_var)."
        )
        notes.append(say(told, why))
        method = "wls_var"
        low = _projected(past, tree, before, method, season)
    if low is None:
        told = "The errors are too few to reconcile by {method}: bottom forecasts are summed (bottom_up)."
        notes.append(say(told, method))
        method = "bottom_up"
        low = before[-tree.summing.shape[1] :]
    if (low < 0).any():
        count = int((low < 0).sum())
        notes.append(
            say_count(
                count,
                "{count} bottom forecast came out below 0 and was set to 0 before summing.",
                "{count} bottom forecasts came out below 0 and were set to 0 before summing.",
                count,
            )
        )
        low = np.maximum(low, 0.0)
    ended = (before[-len(low) :] == 0).all(axis=1, keepdims=True)  # such gets nothing of its siblings' volume
    low = np.where(ended, 0.0, low)
    after = tree.summing @ low
    out = frame.reset_index()
    quantiles = [column for column in out if column.startswith("p") and column[1:].replace(".", "").isdigit()]
    for column in quantiles:
        out[column] = _moved(out[column].to_numpy().reshape(after.shape), before, after).ravel()
    out = out.assign(base=out["mean"], mean=after.ravel(), level=np.repeat(tree.nodes["level"].to_numpy(), steps))
    notes.extend(_held(base, tree, method, season))
    gap = float(np.abs(after - tree.summing @ after[-tree.summing.shape[1] :]).max())
    out = out[["level", "unique_id", "ds", "mean", *quantiles, "base", "model"]]
    bottom = out.iloc[-tree.summing.shape[1] * steps :].merge(tree.bottom, on="unique_id", how="left")
    return Coherent(out, bottom, base, gap, method, tuple(notes))


def _moved(edge: np.ndarray, before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """The edge of a range (nodes x months) after its middle went from `before` to `after`.

    A node moved a little keeps its relative range; one moved far (mostly from near 0) its range in units.
    """
    near = (after > before / 2) & (after < 2 * before)
    ratio = np.divide(after, before, out=np.ones_like(after), where=near)
    return np.where(near, edge * ratio, np.maximum(edge + after - before, 0.0))


def _tried(
    base: baseline.Baseline, tree: Hierarchy, method: str, season: int
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """For each cutoff of the backtest (nodes x months): forecasts, the same made to add up, actuals, which are judged.

    The covariance of errors is learned from the months up to the cutoff. A node without a backtest (it ended, never
    changed or is new) takes part with what it sold and is not judged. Ends where `method` cannot be learned.
    """
    past = base.wide.reindex(tree.nodes["unique_id"])
    for cutoff, rows in base.cv.groupby("cutoff"):
        forecasts = rows.pivot(index="unique_id", columns="ds", values="chosen").reindex(past.index)
        actual = past["y"][forecasts.columns].fillna(0.0).to_numpy()
        judged = forecasts.notna().to_numpy()
        before = np.where(judged, forecasts.to_numpy(), actual)
        known = past.loc[:, past.columns.get_level_values("ds") <= cutoff]
        bottom = _projected(known, tree, before, method, season)
        if bottom is None:
            return
        yield before, tree.summing @ np.maximum(bottom, 0.0), actual, judged


def _chosen(base: baseline.Baseline, tree: Hierarchy, season: int, steered_by: str) -> tuple[str, str]:
    """The way to add up that was best in the backtest, and why: a sentence.

    A candidate must not be worse than summing from below at the level `steered_by`; of those that are not, the one with
    the least error over all levels, each level against summing from below. Error: WAPE.
    """
    level, errors = tree.nodes["level"].to_numpy(), {}
    many = len(tree.nodes) > DENSE_NODES
    for method in CANDIDATES:
        if many and method not in (BOTTOM_UP, "wls_var"):
            continue
        sums = pd.DataFrame(0.0, range(len(level)), ["missed", "sold"])
        for _, after, actual, judged in _tried(base, tree, method, season):
            sums["missed"] += (np.abs(after - actual) * judged).sum(axis=1)
            sums["sold"] += (np.abs(actual) * judged).sum(axis=1)
        sums = sums.groupby(level, sort=False).sum()
        if sums["sold"].gt(0).all():
            errors[method] = sums["missed"] / sums["sold"]
    if BOTTOM_UP not in errors or not (errors[BOTTOM_UP] > 0).all():
        return BOTTOM_UP, say("Nothing could be tried in a backtest: the forecasts are summed from below (bottom_up).")
    steered = steered_by if steered_by in errors[BOTTOM_UP].index else level[0]
    relative = {name: float((error / errors[BOTTOM_UP]).mean()) for name, error in errors.items()}
    fit = [name for name in errors if errors[name][steered] <= errors[BOTTOM_UP][steered] + 1e-12]
    best = min(fit, key=lambda name: (round(relative[name], 6), CANDIDATES.index(name)))
    missed = ", ".join(f"{name} {percent(error[steered], 1)}" for name, error in errors.items())
    told = "Made to add up by {best}, the best in the backtest; error (WAPE) of {steered}: {told}."
    return best, say(told, best, steered, missed)


def _held(base: baseline.Baseline, tree: Hierarchy, method: str, season: int) -> list[str]:
    """How often the 80 % range, moved with the reconciled mean, held what was sold in the backtest: a sentence."""
    row = pd.Index(base.forecast["unique_id"].unique()).get_indexer(tree.nodes["unique_id"])
    low, high = (base.ranges.at(level)[row] for level in (0.1, 0.9))
    found = []
    for before, after, actual, judged in _tried(base, tree, method, season):
        steps = before.shape[1]
        edges = [_moved(np.maximum(before + edge[:, :steps], 0.0), before, after) for edge in (low, high)]
        inside = (edges[0] <= actual) & (actual <= edges[1])
        level = np.repeat(tree.nodes["level"].to_numpy(), steps)[judged.ravel()]
        found.append(pd.DataFrame({"level": level, "inside": inside[judged]}))
    if not found or not sum(map(len, found)):
        return []
    share = pd.concat(found).groupby("level", sort=False)["inside"].agg(["mean", "size"])
    each = "{share} of {count} months of {level}"
    shares = [say(each, percent(held), number(months), level) for level, held, months in share.itertuples()]
    told = (
        "Made to add up, the 80 % range held {told} in the backtest (its width was learnt from "
        "these months, so ahead it may hold less)."
    )
    return [say(told, ", ".join(shares))]


def _projected(past: pd.DataFrame, tree: Hierarchy, before: np.ndarray, method: str, season: int) -> np.ndarray | None:
    """Bottom forecasts by `method`, most often trace minimisation, from the one-step errors of the models.

    `past`: what each node sold and its models' fit, month by month. None where the errors are too few.
    """
    from hierarchicalforecast.methods import MinTrace, MinTraceSparse

    bottom = tree.summing.shape[1]
    if method == "bottom_up":
        return before[-bottom:]
    if method == "top_down":
        return _spread_down(past, tree, before, season)
    if method not in TRACES:
        valid = (BACKTEST, *TRACES, BOTTOM_UP, "top_down")
        raise SettingsError(f"No reconciliation is called {method!r}: {nearest(method, valid)}")
    y, fitted = (past[column].to_numpy() for column in ("y", "fitted"))
    new = np.isnan(y).all(axis=1)[:, None]  # at a cutoff, what did not exist yet never erred
    y, fitted = np.where(new, 0.0, y), np.where(new, 0.0, fitted)
    if method in ("mint_shrink", "wls_var") and not np.nansum(np.abs(y - fitted)) > 0:
        return None
    fitted = y - _never_zero(y - fitted)
    try:
        if method == "wls_var" and len(before) > DENSE_NODES:
            from scipy.sparse import csr_matrix

            learned = MinTraceSparse(method).fit_predict(csr_matrix(tree.summing), before, y, fitted)
        else:
            learned = MinTrace(method).fit_predict(tree.summing, before, y, fitted)
    except Exception as error:  # the library raises nothing more special
        if "ill-conditioned" not in str(error):
            raise
        return None
    return np.asarray(learned["mean"])[-bottom:]


def _never_zero(errors: np.ndarray) -> np.ndarray:
    """Errors (nodes x months) in which a node that never erred errs a hundredth of the least of the others, in turns.

    A series that ended or never changed has no error, and a covariance with an empty row cannot be inverted.
    """
    months = (~np.isnan(errors)).sum(axis=1)
    size = np.sqrt(np.nansum(errors**2, axis=1) / np.where(months > 0, months, np.nan))
    erred = size > 1e-9
    if erred.all() or not erred.any():
        return errors
    turns = np.where(np.arange(errors.shape[1]) % 2, 1.0, -1.0) * size[erred].min() / 100
    return np.where(erred[:, None] | np.isnan(errors), errors, turns)


def _spread_down(past: pd.DataFrame, tree: Hierarchy, before: np.ndarray, season: int) -> np.ndarray:
    """The forecast of the total split over the bottom nodes by their share of the last year."""
    total = (tree.nodes["level"] == TOTAL).to_numpy()
    if not total.any():  # one product in one market is its own total
        return before[-tree.summing.shape[1] :]
    recent = past["y"].iloc[:, -season:].sum(axis=1).clip(lower=0.0)
    weight = recent.reindex(tree.bottom["unique_id"]).fillna(0.0).to_numpy()
    weight = weight if weight.sum() > 0 else np.ones(len(weight))
    return np.outer(weight / weight.sum(), before[total][0])
