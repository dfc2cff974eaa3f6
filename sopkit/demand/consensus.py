"""From streams to the one number that the demand meeting signs: weights by past accuracy, then what people changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.optimize import brentq

from sopkit.demand.grid import CELL, Grid, Notes
from sopkit.demand.tournament import LEVELS
from sopkit.kpis import wape
from sopkit.tables import TABLES
from sopkit.words import percent

if TYPE_CHECKING:
    from sopkit.book import Book
    from sopkit.tables.company import Consensus

# Fewer judged forecasts (product x market x month) than this say nothing about a stream: all count the same.
LEAST_JUDGED = 12
# Standard deviations from the middle to the ninetieth percentile of a normal distribution.
NINETY = 1.2816
Edges = tuple[np.ndarray, np.ndarray, np.ndarray]


# Weights -----------------------------------------------------------------------------------------------------------


def bounded_shares(wanted: np.ndarray, least: np.ndarray, most: np.ndarray) -> np.ndarray:
    """Shares that sum to 1 and stay within [least, most], as near to the proportions `wanted` as that allows.

    Each share is wanted x k, held at its limits; k is the one number for which they sum to 1. Limits that cannot sum
    to 1 are widened to what can: the caller notes it.
    """
    least = least / max(least.sum(), 1.0)
    most = np.maximum(most, least) if np.maximum(most, least).sum() >= 1 else np.ones_like(most)

    def over(k: float) -> float:
        return float(np.clip(wanted * k, least, most).sum()) - 1

    high = 1.0
    while over(high) < 0:
        high *= 2
    k = 0.0 if over(0.0) >= 0 else brentq(over, 0.0, high, xtol=1e-300, maxiter=2_000)
    share = np.clip(wanted * k, least, most)
    return share / share.sum()


def stream_weights(judged: pd.DataFrame, families: list[str], rules: Consensus, notes: Notes) -> pd.DataFrame:
    """The weight of each stream in each family: in proportion to 1 / WAPE^2 of its past forecasts, within limits.

    Weights by the inverse of the squared error are those of Bates & Granger 1969 with correlation left out.
    `judged`: stream, family, lag, quantity, actual of past forecasts. Returns the rows of `stream_weights`.
    """
    names, lag = list(rules.streams), rules.lag
    least, most = np.array([(limit.least, limit.most) for limit in rules.streams.values()]).T
    if least.sum() > 1 or most.sum() < 1:
        sums = f"(least {least.sum():.2f}, most {most.sum():.2f})"
        sentence = f"The limits of consensus.streams cannot sum to 1 {sums}: they were widened. Correct company.yaml."
        notes.say("consensus", "limits", sentence)
    at_lag = judged[(judged["lag"] == lag) & judged["stream"].isin(names)]
    parts = {
        key: (len(part), wape(part["quantity"], part["actual"])) for key, part in at_lag.groupby(["family", "stream"])
    }
    rows = []
    for family in families:
        counts, error = np.array([parts.get((family, name), (0, np.nan)) for name in names]).T
        enough = np.isfinite(error).all() and counts.min() >= LEAST_JUDGED
        # an error of nothing at all would take everything: it counts as a hundredth of the others' at least
        floor = max(1e-6, np.nanmax(error) / 100) if enough else 1.0
        wanted = 1 / np.maximum(error, floor) ** 2 if enough else np.ones(len(names))
        share, free = bounded_shares(wanted, least, most), wanted / wanted.sum()
        for i, name in enumerate(names):
            if not enough:
                reason = f"no {LEAST_JUDGED} past forecasts of every stream at lag {lag}: all count the same"
            elif abs(share[i] - free[i]) < 1e-9:
                reason = f"by its error at lag {lag} ({counts[i]:.0f} forecasts judged)"
            else:
                bound = f"its limit, {'at least' if share[i] > free[i] else 'at most'} {percent(share[i])}"
                limit = bound if np.isclose(share[i], [least[i], most[i]]).any() else "other streams' limits"
                reason = f"{percent(free[i])} by its error at lag {lag}; held by {limit}"
            rows.append((family, name, error[i], share[i], reason))
    return pd.DataFrame(rows, columns=TABLES["stream_weights"].names)


def blend(streams: Mapping[str, np.ndarray], weights: pd.DataFrame, grid: Grid, notes: Notes) -> np.ndarray:
    """The streams as one, by the weights of each pair's family; where a stream is silent the others share its weight.

    `streams`: name -> grid matrix, NaN where the stream has no forecast.
    """
    share = weights.pivot(index="family", columns="stream", values="weight")
    total, parts = grid.zeros(), grid.zeros()
    for name in share.columns:
        if name not in streams:
            sentence = (
                f"consensus.streams names {name!r}, of which this cycle has no forecast: the others get its weight."
            )
            notes.say("consensus", name, sentence)
            continue
        here = grid.pairs["family"].map(share[name]).to_numpy()[:, None] * ~np.isnan(streams[name])
        total += here
        parts += here * np.nan_to_num(streams[name])
    # where all the weight lies on streams without a forecast, the statistical one stands alone
    return np.where(total > 0, parts / np.where(total > 0, total, 1.0), streams["statistical"])


# Overrides ---------------------------------------------------------------------------------------------------------


def spread(before: np.ndarray, action: str, amount: float) -> np.ndarray:
    """`before` (rows x months) changed by an override, month by month, in proportion to what stands there.

    add: `amount` units more in each month; set: `amount` units in each month; scale: times `amount`. A month that
    holds nothing is filled evenly. No row goes below 0. The month's total is met to the last unit.
    """
    if action == "scale":
        return before * max(amount, 0.0)
    total = before.sum(axis=0)
    wanted = np.maximum(total + amount if action == "add" else np.full_like(total, amount), 0.0)
    even = np.full_like(before, 1 / len(before))
    return np.where(total > 0, before / np.where(total > 0, total, 1.0), even) * wanted


def _status(overrides: pd.DataFrame, cycle: pd.Timestamp) -> np.ndarray:
    """`in force`, or why not; a record that supersedes another ends it even where it has expired itself."""
    replaced = overrides["id"].isin(set(overrides["supersedes"]) - {0})
    return np.select(
        [replaced, overrides["expires"].notna() & (overrides["expires"] < cycle), overrides["last_month"] < cycle],
        ["superseded", "expired", "past"],
        "in force",
    )


def apply_overrides(
    book: Book, blended: np.ndarray, grid: Grid, notes: Notes
) -> tuple[np.ndarray, pd.DataFrame, pd.DataFrame]:
    """Every override in force, in the order in which they were recorded, each on top of those before.

    Returns the consensus (grid matrix) and the rows of `overrides_applied` and `override_effects`.
    """
    overrides = book["overrides"].sort_values("id", ignore_index=True)
    overrides = overrides.assign(
        status=_status(overrides, book.first), owner=overrides["author"], units=0.0, money=0.0, scope=""
    )
    current, price, effects = blended.copy(), grid.pairs["price"].to_numpy()[:, None], []
    for row in overrides.itertuples():
        scope = {name: getattr(row, name) for name in ("product", "family", "market") if getattr(row, name)}
        rows = np.all([grid.pairs[name] == value for name, value in scope.items()], axis=0) & np.ones(len(price), bool)
        months = np.asarray((grid.months >= row.first_month) & (grid.months <= row.last_month))
        what, who = " in ".join(scope.values()) or "everything", f"Override {row.id} of {row.author}"
        overrides.loc[row.Index, "scope"] = what
        if row.status != "in force":
            continue
        if not (rows.any() and months.any()):
            overrides.loc[row.Index, "status"] = "matches nothing"
            notes.say("overrides", f"override {row.id}", f"{who} ({what}) matches nothing that is planned.")
            continue
        cells = np.ix_(rows, months)
        before = current[cells]
        after = current[cells] = spread(before, row.action, row.amount)
        units = (after - before).sum()
        overrides.loc[row.Index, ["units", "money"]] = units, ((after - before) * price[rows]).sum()
        if row.action == "add" and not np.isclose(units, row.amount * months.sum()):
            sentence = f"takes {-row.amount:,.0f} a month out of {what}, more than there is in some: those stop at 0."
            notes.say("overrides", f"override {row.id}", f"{who} {sentence}")
        here = Grid(grid.pairs[rows], grid.months[months]).long(before=before, after=after)
        effects.append(here.assign(id=row.id, cycle=book.first, owner=row.author, reason=row.reason))
    names = TABLES["override_effects"].names
    moved = pd.concat(effects, ignore_index=True)[names] if effects else pd.DataFrame(columns=names)
    return current, overrides[TABLES["overrides_applied"].names], moved


# Ranges ------------------------------------------------------------------------------------------------------------


def consensus_range(
    baseline: Edges, consensus: np.ndarray, variance: np.ndarray, family: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """P10 and P90 of the consensus: the baseline's range in proportion, widened by opportunities that are won or lost.

    All but `family` (one a row) are rows x months: the baseline with its P10 and P90, the consensus, the variance of
    the opportunities. Where there is no baseline (a launch), the median relative range of the family in that month
    stands in. Ranges and opportunities are independent, so their squares add.
    """
    middle, low, high = baseline
    with np.errstate(all="ignore"):
        below = np.where(middle > 0, 1 - low / middle, np.nan)
        above = np.where(middle > 0, high / middle - 1, np.nan)
    below, above = (_filled(np.maximum(edge, 0.0), family) for edge in (below, above))
    lumps = NINETY**2 * variance
    down, up = np.sqrt((consensus * below) ** 2 + lumps), np.sqrt((consensus * above) ** 2 + lumps)
    return np.clip(consensus - down, 0.0, consensus), consensus + up


def _filled(edge: np.ndarray, family: np.ndarray) -> np.ndarray:
    frame = pd.DataFrame(edge)
    by_family = frame.groupby(family).transform("median")
    return frame.fillna(by_family).fillna(frame.median()).fillna(0.5).to_numpy()


def levels(book: Book, grid: Grid, base: np.ndarray, consensus: np.ndarray, variance: np.ndarray) -> pd.DataFrame:
    """The rows of `demand_levels`: family, region and total, each with its own range (less than the sum of ranges).

    Quantities are sums of the product x market rows, so every level adds up.
    """
    pairs, forecast, parts = book.with_levels(grid.pairs), book["baseline_levels"], []
    for level in LEVELS:
        names = pairs[level].to_numpy()
        nodes = sorted(set(names))
        summing = (np.array(nodes)[:, None] == names[None, :]).astype(float)
        mine = forecast[forecast["level"] == level]
        if mine.empty and len(nodes) == 1:  # one family or region is the total
            mine = forecast[forecast["level"] == "total"].assign(node=nodes[0])
        here = Grid(pd.DataFrame({"product": nodes, "market": ""}), grid.months)
        mine = mine.assign(product=mine["node"], market="")
        edges = here.matrix(mine, "quantity"), here.matrix(mine, "p10"), here.matrix(mine, "p90")
        total = summing @ consensus
        p10, p90 = consensus_range(edges, total, summing @ variance, np.array(nodes))
        parts.append(here.long(baseline=summing @ base, consensus=total, p10=p10, p90=p90).assign(level=level))
    return pd.concat(parts, ignore_index=True).rename(columns={"product": "node"}).drop(columns="market")


# Frozen ------------------------------------------------------------------------------------------------------------


def frozen(plan: pd.DataFrame, naive: np.ndarray, cycle: pd.Timestamp) -> pd.DataFrame:
    """This cycle's streams as they will be judged: the rows of `frozen_forecasts`, each layer as a cumulative step."""
    steps = plan[["baseline", "lifecycle", "market_conditions", "campaigns"]].cumsum(axis=1).assign(naive=naive)
    wide = pd.concat([plan[[*CELL, "statistical", "sales", "blended", "consensus"]], steps], axis=1)
    out = wide.melt(CELL, var_name="stream", value_name="quantity").dropna(subset="quantity")
    return out.assign(cycle=cycle, quantity=out["quantity"].clip(lower=0.0))
