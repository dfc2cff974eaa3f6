"""From streams to the one number that the demand meeting signs: weights by past accuracy, then what people changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.optimize import brentq

from sopkit.book import apply, commitments
from sopkit.demand.grid import CELL, Grid, Notes, Past
from sopkit.demand.judged import BIAS_LIMIT
from sopkit.demand.tournament import LEVELS
from sopkit.errors import SopkitError
from sopkit.kpis import wape
from sopkit.tables import TABLES
from sopkit.words import local, number, percent, say

if TYPE_CHECKING:
    from sopkit.book import Book
    from sopkit.tables.company import Consensus

# Fewer judged forecasts (product x market x month) than this say nothing about a stream: it starts at its least weight.
LEAST_JUDGED = 12
# Months that a bias must have been seen in before it is called lasting.
LASTING = 3
# Standard deviations from the middle to the ninetieth percentile of a normal distribution.
NINETY = 1.2816
SCOPE = ("product", "family", "market")  # what an override may name, the nearest first
Edges = tuple[np.ndarray, np.ndarray, np.ndarray]
# How a weight came about, of a stream without and with a lasting bias.
BY_ERROR = (
    "by its error at lag {lag} ({count} forecasts judged)",
    "by its error at lag {lag} ({count} forecasts judged), after its lasting bias of {bias} is taken out",
)
HELD = (
    "{share} by its error at lag {lag}; held by {limit}",
    "{share} by its error at lag {lag}, after its lasting bias of {bias} is taken out; held by {limit}",
)


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


def lasting_bias(rows: pd.DataFrame) -> float:
    """The bias (a share, positive = too much) that a stream showed in nearly every month of `rows`; 0 where it did not.

    `rows`: month, quantity, actual. Pulled towards 0 as if one month without bias had been seen besides.
    """
    return _lasting(_by_month(rows))


def _by_month(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.groupby("month")[["quantity", "actual"]].sum()


def _lasting(months: pd.DataFrame) -> float:
    error, sold, count = months["quantity"] - months["actual"], months["actual"].sum(), len(months)
    if count < LASTING or sold <= 0:
        return 0.0
    bias = float(error.sum() / sold)
    same = int((np.sign(error) == np.sign(bias)).sum())
    return bias * count / (count + 1) if abs(bias) >= BIAS_LIMIT and same >= 0.8 * count else 0.0


def corrected(judged: pd.DataFrame) -> pd.Series:
    """Past forecasts without the lasting bias that their stream had shown in the family before their cycle."""
    out = judged["quantity"].astype(float).copy()
    for _, mine in judged.groupby(["family", "stream"]):
        months = _by_month(mine)
        for cycle, rows in mine["quantity"].groupby(mine["cycle"]):
            out[rows.index] = rows / max(1 + _lasting(months[months.index < cycle]), 0.1)
    return out


def _judgement(judged: pd.DataFrame, rules: Consensus) -> pd.DataFrame:
    """What judges each stream in each family: its forecasts at the company's lag, or all up to it where too few."""
    near = judged[(judged["lag"] <= rules.lag) & judged["stream"].isin(rules.streams)].reset_index(drop=True)
    enough = near["lag"].eq(rules.lag).groupby([near["family"], near["stream"]]).transform("sum") >= LEAST_JUDGED
    near = near[(near["lag"] == rules.lag) | ~enough].reset_index(drop=True)
    return near.assign(corrected=corrected(near))


def stream_weights(judged: pd.DataFrame, families: list[str], rules: Consensus, notes: Notes) -> pd.DataFrame:
    """The weight of each stream in each family: in proportion to 1 / WAPE^2 of its past forecasts, within limits.

    Returns the rows of `stream_weights`: Bates & Granger 1969 with correlation left out. A stream is judged without its
    lasting bias, which is taken out before it is blended; one that was never judged starts at its least weight.
    `judged`: cycle, stream, family, month, lag, quantity, actual of past forecasts.
    """
    names, lag = list(rules.streams), rules.lag
    least, most = np.array([(limit.least, limit.most) for limit in rules.streams.values()]).T
    if least.sum() > 1 or most.sum() < 1:
        sums = say("(least {least}, most {most})", local(f"{least.sum():.2f}"), local(f"{most.sum():.2f}"))
        told = "The limits of consensus.streams cannot sum to 1 {sums}: they were widened. Correct company.yaml."
        notes.say("consensus", "limits", told, sums)
    shown = _judgement(judged, rules)
    parts = {
        key: (len(part), wape(part["corrected"], part["actual"]), lasting_bias(part))
        for key, part in shown.groupby(["family", "stream"])
    }
    rows = []
    for family in families:
        counts, error, bias = np.array([parts.get((family, name), (0, np.nan, 0.0)) for name in names]).T
        known = np.isfinite(error) & (counts >= LEAST_JUDGED)
        # an error of nothing at all would take everything: it counts as a hundredth of the others' at least
        floor = max(1e-6, np.nanmax(error[known]) / 100) if known.any() else 1.0
        wanted = np.where(known, 1 / np.maximum(np.nan_to_num(error), floor) ** 2, 0.0)
        if not known.any():  # the numbers have their backtest, people nothing yet
            wanted = np.array([float(name == "statistical" or "statistical" not in names) for name in names])
        free = wanted / wanted.sum()
        if most[wanted > 0].sum() < 1:  # what their limits leave over goes to the others, known or not
            wanted = np.maximum(wanted, 1e-6 * wanted.max())
        share = bounded_shares(wanted, least, most)
        for i, name in enumerate(names):
            after = [percent(bias[i], sign=True)] if bias[i] else []
            if not known[i]:
                reason = say("fewer than {count} past forecasts judged: it starts at its least weight", LEAST_JUDGED)
                if name == "statistical" and not known.any():
                    reason = say("nobody's past forecasts are judged: the numbers stand on their backtest")
            elif abs(share[i] - free[i]) < 1e-9:
                reason = say(BY_ERROR[bool(after)], lag, number(counts[i]), *after)
            else:
                bound = "its limit, at least {share}" if share[i] > free[i] else "its limit, at most {share}"
                at_limit = np.isclose(share[i], [least[i], most[i]]).any()
                limit = say(bound, percent(share[i])) if at_limit else say("other streams' limits")
                reason = say(HELD[bool(after)], percent(free[i]), lag, *after, limit)
            rows.append((family, name, error[i], bias[i], share[i], reason))
    weights = pd.DataFrame(rows, columns=TABLES["stream_weights"].names)
    _say_blend(shown, weights, notes)
    return weights


def _say_blend(shown: pd.DataFrame, weights: pd.DataFrame, notes: Notes) -> None:
    """Whether the blend would have been worse than one of its streams in the months judged, by these weights."""
    for family, mine in shown.groupby("family"):
        wide = mine.pivot_table(index=["cycle", *CELL, "actual"], columns="stream", values="corrected").dropna()
        share = weights[weights["family"] == family].set_index("stream")["weight"]
        if len(wide) < LEAST_JUDGED or not set(share.index) <= set(wide):
            continue
        actual = wide.index.get_level_values("actual")
        alone = {name: wape(wide[name], actual) for name in share.index}
        best, blended = min(alone, key=lambda name: alone[name]), wape(wide[share.index] @ share, actual)
        if blended > alone[best] + 0.0005:
            told = (
                "In {family} the blend would have missed by {blended} in the months judged, its best stream ({best}) "
                "alone by {alone}: few months or a limit keep the other in."
            )
            notes.say("consensus", family, told, family, percent(blended, 1), best, percent(alone[best], 1))


def spoken(statistical: np.ndarray, grid: Grid, past: Past) -> np.ndarray:
    """`statistical` with NaN where it knows nothing: the pair was never sold, and no layer says anything of the month.

    Nothing known is no forecast of nothing: it must not halve what sales expects of a new product.
    """
    never = past.at(grid.pairs) < 0
    return np.where(never[:, None] & (statistical == 0), np.nan, statistical)


def blend(streams: Mapping[str, np.ndarray], weights: pd.DataFrame, grid: Grid, notes: Notes) -> np.ndarray:
    """The streams without their lasting bias as one, by the weights of each pair's family.

    `streams`: name -> grid matrix, NaN where the stream has no forecast; there the others share its weight.
    """
    share, bias = (weights.pivot(index="family", columns="stream", values=name) for name in ("weight", "bias"))
    total, parts = grid.zeros(), grid.zeros()
    for name in share.columns:
        if name not in streams or np.isnan(streams[name]).all():
            told = "consensus.streams names {name}, of which this cycle has no forecast: the others get its weight."
            notes.say("consensus", name, told, repr(name))
            continue
        off = grid.pairs["family"].map(bias[name]).to_numpy()[:, None]
        here = grid.pairs["family"].map(share[name]).to_numpy()[:, None] * ~np.isnan(streams[name])
        total += here
        parts += here * np.nan_to_num(streams[name]) / np.maximum(1 + off, 0.1)
    # where all the weight lies on streams without a forecast, the statistical one stands alone, or what others expect
    known = [streams[name] for name in ("statistical", *share.columns) if name in streams]
    alone = next(iter(known))
    for stream in known:
        alone = np.where(np.isnan(alone), stream, alone)
    return np.where(total > 0, parts / np.where(total > 0, total, 1.0), np.nan_to_num(alone))


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


def in_scope(pairs: pd.DataFrame, override: Any) -> np.ndarray:
    """Which product x market rows of `pairs` an override concerns: those of every code that it names."""
    named = {name: getattr(override, name) for name in SCOPE if getattr(override, name)}
    return pairs[list(named)].eq(pd.Series(named, dtype=object)).all(axis=1).to_numpy()


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
    status = _status(overrides, book.first)
    overrides = overrides.assign(status=status, owner=overrides["author"], units=0.0, money=0.0, scope="")
    current, price, effects = blended.copy(), grid.pairs["price"].to_numpy()[:, None], []
    for row in overrides.itertuples():
        rows, months = in_scope(grid.pairs, row), (grid.months >= row.first_month) & (grid.months <= row.last_month)
        what = " in ".join(filter(None, (getattr(row, name) for name in SCOPE))) or say("everything")
        overrides.loc[row.Index, "scope"] = what
        if row.status != "in force":
            continue
        subject = say("override {id}", row.id)
        if not (rows.any() and months.any()):
            overrides.loc[row.Index, "status"] = "matches nothing"
            told = "Override {id} of {author} ({scope}) matches nothing that is planned."
            notes.say("overrides", subject, told, row.id, row.author, what)
            continue
        cells = np.ix_(rows, months)
        before = current[cells]
        after = current[cells] = spread(before, row.action, row.amount)
        units = (after - before).sum()
        overrides.loc[row.Index, ["units", "money"]] = units, ((after - before) * price[rows]).sum()
        if row.action == "add" and not np.isclose(units, row.amount * months.sum()):
            told = (
                "Override {id} of {author} takes {quantity} a month out of {scope}, more than there is in some: those "
                "stop at 0."
            )
            notes.say("overrides", subject, told, row.id, row.author, number(-row.amount), what)
        here = Grid(grid.pairs[rows], grid.months[months]).long(before=before, after=after)
        effects.append(here.assign(id=row.id, cycle=book.first, owner=row.author, reason=row.reason))
    names = TABLES["override_effects"].names
    moved = pd.concat(effects, ignore_index=True)[names] if effects else pd.DataFrame(columns=names)
    return current, overrides[TABLES["overrides_applied"].names], moved


def committed(book: Book, table: str, frame: pd.DataFrame, notes: Notes) -> pd.DataFrame:
    """`frame` (table `table` of stage demand) with what earlier cycles adopted for it and is still in force."""
    for title, changes in commitments.planned(book, table):
        try:
            frame = apply({table: frame}, changes, title)[0][table]
        except SopkitError as error:
            fix = say("Correct the tables, or revoke it: sopkit commitments --revoke.")
            notes.say("consensus", title, "This commitment changes nothing any more: {error} {fix}", error, fix)
    return frame


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
    if not np.isnan(edge).any():
        return edge
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
        middle, low, high = (here.matrix(mine, name) for name in ("quantity", "p10", "p90"))
        total = summing @ consensus
        p10, p90 = consensus_range((middle, low, high), total, summing @ variance, np.array(nodes))
        parts.append(here.long(baseline=summing @ base, consensus=total, p10=p10, p90=p90).assign(level=level))
    return pd.concat(parts, ignore_index=True).rename(columns={"product": "node"}).drop(columns="market")


# Frozen ------------------------------------------------------------------------------------------------------------


def frozen(plan: pd.DataFrame, naive: np.ndarray, cycle: pd.Timestamp) -> pd.DataFrame:
    """This cycle's streams as they will be judged: the rows of `frozen_forecasts`, each layer as a cumulative step."""
    steps = plan[["baseline", "lifecycle", "market_conditions", "campaigns"]].cumsum(axis=1).assign(naive=naive)
    wide = pd.concat([plan[[*CELL, "statistical", "sales", "blended", "consensus"]], steps], axis=1)
    out = wide.melt(CELL, var_name="stream", value_name="quantity").dropna(subset="quantity")
    return out.assign(cycle=cycle, quantity=out["quantity"].clip(lower=0.0))
