"""From streams to the one number that the demand meeting signs: weights by past accuracy, then what people changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from sopkit.demand.layers import LEVELS, PAIR, Grid, Notes, make_grid, plannable
from sopkit.kpis import wape
from sopkit.words import percent

if TYPE_CHECKING:
    from sopkit.book import Book
    from sopkit.tables.company import Consensus

# Fewer judged forecasts (product x market x month) than this say nothing about a stream: all count the same.
LEAST_JUDGED = 12
# Standard deviations from the middle to the ninetieth percentile of a normal distribution.
NINETY = 1.2816


# Weights -----------------------------------------------------------------------------------------------------------


def bounded_shares(wanted: np.ndarray, least: np.ndarray, most: np.ndarray) -> np.ndarray:
    """Shares that sum to 1 and stay within [least, most], as near to the proportions `wanted` as that allows.

    Each share is wanted x k, held at its limits; k is the one number for which they sum to 1. Limits that cannot sum
    to 1 are widened to what can: the caller says so.
    """
    least = least / max(least.sum(), 1.0)
    most = np.maximum(most, least) if np.maximum(most, least).sum() >= 1 else np.ones_like(most)
    low, high = 0.0, 1.0
    while np.clip(wanted * high, least, most).sum() < 1 and high < 1e18:
        high *= 2
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if np.clip(wanted * middle, least, most).sum() < 1 else (low, middle)
    share = np.clip(wanted * high, least, most)
    return share / share.sum()


def stream_weights(judged: pd.DataFrame, families: list[str], rules: Consensus, notes: Notes) -> pd.DataFrame:
    """The weight of each stream in each family: in proportion to 1 / WAPE^2 of its past forecasts, within limits.

    Weights by the inverse of the squared error are those of Bates & Granger 1969 with correlation left out.
    `judged`: stream, family, lag, quantity, actual of past forecasts. Returns the rows of `stream_weights`.
    """
    names = list(rules.streams)
    least = np.array([rules.streams[name].least for name in names])
    most = np.array([rules.streams[name].most for name in names])
    if least.sum() > 1 or most.sum() < 1:
        notes.say(
            "consensus",
            "limits",
            f"The limits of consensus.streams cannot sum to 1 (least {least.sum():.2f}, most "
            f"{most.sum():.2f}): they were widened. Correct company.yaml.",
        )
    at_lag = judged[(judged["lag"] == rules.lag) & judged["stream"].isin(names)]
    groups = dict(iter(at_lag.groupby(["family", "stream"])))
    rows = []
    for family in families:
        missed, counts = [], []
        for name in names:
            part = groups.get((family, name))
            counts.append(0 if part is None else len(part))
            missed.append(np.nan if part is None else wape(part["quantity"], part["actual"]))
        error = np.array(missed)
        enough = np.isfinite(error).all() and min(counts) >= LEAST_JUDGED
        # an error of nothing at all would take everything: it counts as a hundredth of the others' at least
        floor = max(1e-6, np.nanmax(error) / 100) if enough else 1.0
        wanted = 1 / np.maximum(error, floor) ** 2 if enough else np.ones(len(names))
        share = bounded_shares(wanted, least, most)
        free = wanted / wanted.sum()
        for i, name in enumerate(names):
            if not enough:
                reason = f"no {LEAST_JUDGED} past forecasts of every stream at lag {rules.lag}: all count the same"
            elif abs(share[i] - free[i]) < 1e-9:
                reason = f"by its error at lag {rules.lag} ({counts[i]} forecasts judged)"
            else:
                bound = "at least" if share[i] > free[i] else "at most"
                limit = (
                    f"its limit, {bound} {percent(share[i])}"
                    if np.isclose(share[i], [least[i], most[i]]).any()
                    else "other streams' limits"
                )
                reason = f"{percent(free[i])} by its error at lag {rules.lag}; held by {limit}"
            rows.append((family, name, error[i], share[i], reason))
    return pd.DataFrame(rows, columns=["family", "stream", "wape", "weight", "reason"])


def blend(streams: Mapping[str, np.ndarray], weights: pd.DataFrame, grid: Grid, notes: Notes) -> np.ndarray:
    """The streams as one, by the weights of each pair's family; where a stream is silent the others share its weight.

    `streams`: name -> grid matrix, NaN where the stream says nothing.
    """
    share = weights.pivot(index="family", columns="stream", values="weight")
    total, parts = grid.zeros(), grid.zeros()
    for name in share.columns:
        if name not in streams:
            notes.say(
                "consensus",
                name,
                f"consensus.streams names {name!r}, of which this cycle has no forecast: the others get its weight.",
            )
            continue
        here = grid.pairs["family"].map(share[name]).to_numpy()[:, None] * ~np.isnan(streams[name])
        total += here
        parts += here * np.nan_to_num(streams[name])
    # where all the weight lies on streams that say nothing, the numbers alone speak
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
    share = np.where(total > 0, before / np.where(total > 0, total, 1.0), even)
    return share * wanted


def _status(overrides: pd.DataFrame, cycle: pd.Timestamp) -> pd.Series:
    """`in force`, or why not; a record that supersedes another ends it even where it has expired itself."""
    status = pd.Series("in force", overrides.index)
    status[overrides["last_month"] < cycle] = "past"
    status[overrides["expires"].notna() & (overrides["expires"] < cycle)] = "expired"
    status[overrides["id"].isin(set(overrides["supersedes"]) - {0})] = "superseded"
    return status


def _scope(row) -> str:
    named = [part for part in (row.product, row.family, row.market) if part]
    return " in ".join(named) if named else "everything"


def agreed_grid(book: Book) -> Grid:
    """The pairs that the layers plan, and those that an override names besides."""
    overrides = book["overrides"]
    named = overrides.loc[(overrides["product"] != "") & (overrides["market"] != ""), PAIR]
    return make_grid(pd.concat([book["demand_layers"][PAIR], plannable(named, book)]), book.months, book)


def apply_overrides(
    book: Book, blended: np.ndarray, grid: Grid, notes: Notes
) -> tuple[np.ndarray, pd.DataFrame, pd.DataFrame]:
    """Every override in force, in the order in which it was said, each on top of those before.

    Returns the consensus (grid matrix) and the rows of `overrides_applied` and `override_effects`.
    """
    cycle, overrides = book.first, book["overrides"].sort_values("id", ignore_index=True)
    overrides = overrides.assign(status=_status(overrides, cycle))
    current, price = blended.copy(), grid.pairs["price"].to_numpy()[:, None]
    applied, effects = [], []
    for row in overrides.itertuples():
        rows = np.ones(len(grid.pairs), bool)
        for column in ("product", "family", "market"):
            if getattr(row, column):
                rows &= grid.pairs[column].to_numpy() == getattr(row, column)
        months = np.asarray((grid.months >= row.first_month) & (grid.months <= row.last_month))
        status, units, money = row.status, 0.0, 0.0
        if status == "in force" and not (rows.any() and months.any()):
            status = "matches nothing"
            notes.say(
                "overrides",
                f"override {row.id}",
                f"Override {row.id} of {row.author} ({_scope(row)}) matches nothing that is planned.",
            )
        elif status == "in force":
            cells = np.ix_(rows, months)
            before = current[cells]
            after = spread(before, row.action, row.amount)
            current[cells] = after
            units, money = (after - before).sum(), ((after - before) * price[rows]).sum()
            if row.action == "add" and not np.isclose(units, row.amount * months.sum()):
                notes.say(
                    "overrides",
                    f"override {row.id}",
                    f"Override {row.id} of {row.author} takes {-row.amount:,.0f} a month out of "
                    f"{_scope(row)}, more than there is in some: those stop at 0.",
                )
            here = pd.DataFrame(
                {
                    "id": row.id,
                    "cycle": cycle,
                    "owner": row.author,
                    "product": np.repeat(grid.pairs["product"].to_numpy()[rows], months.sum()),
                    "market": np.repeat(grid.pairs["market"].to_numpy()[rows], months.sum()),
                    "month": np.tile(grid.months[months], rows.sum()),
                    "before": before.ravel(),
                    "after": after.ravel(),
                    "reason": row.reason,
                }
            )
            effects.append(here)
        applied.append(
            (
                row.id,
                row.author,
                _scope(row),
                row.action,
                row.amount,
                row.first_month,
                row.last_month,
                status,
                units,
                money,
                row.reason,
                row.evidence,
                row.expires,
            )
        )
    columns = [
        "id",
        "owner",
        "scope",
        "action",
        "amount",
        "first_month",
        "last_month",
        "status",
        "units",
        "money",
        "reason",
        "evidence",
        "expires",
    ]
    effect_columns = ["id", "cycle", "owner", "product", "market", "month", "before", "after", "reason"]
    return (
        current,
        pd.DataFrame(applied, columns=columns),
        pd.concat(effects, ignore_index=True) if effects else pd.DataFrame(columns=effect_columns),
    )


Edges = tuple[np.ndarray, np.ndarray, np.ndarray]


def consensus_range(
    baseline: Edges, consensus: np.ndarray, variance: np.ndarray, family: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """P10 and P90 of the consensus: the baseline's range in proportion, widened by opportunities that are won or lost.

    All but `family` (one a row) are rows x months: the baseline with its P10 and P90, the consensus, the variance of
    the opportunities. Where the baseline says nothing (a launch), the median relative range of the family in that month
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
        edges = tuple(here.matrix(mine, column) for column in ("quantity", "p10", "p90"))
        total = summing @ consensus
        p10, p90 = consensus_range(edges, total, summing @ variance, np.array(nodes))
        parts.append(here.long(baseline=summing @ base, consensus=total, p10=p10, p90=p90).assign(level=level))
    return pd.concat(parts, ignore_index=True).rename(columns={"product": "node"}).drop(columns="market")
