"""Histories of less than two years: planned as long series of the same company, cut to that length, were planned best.

Every contestant for a short history is tried on long series of which only the last months before a cutoff are shown:
how far it was off from what came then says how much it counts, and the errors of all together are the range.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sopkit.demand.contestants import FAMILY, MEAN, NAIVE, season_profile, statistical
from sopkit.demand.panel import FIXED, Panel

# Lengths that long series are cut to, months; a history is planned by the nearest one that is not longer.
LENGTHS = (1, 2, 3, 5, 8, 12, 15, 18, 21)
MOST, LEAST = 24, 3  # long series that are cut to each length
CLOSENESS = 4.0  # a contestant counts by 1 / error ** CLOSENESS, as in the tournament
# Without long series to learn from: what did best on public monthly series cut to 14 months, and for less than a year.
A_YEAR, LESS = {NAIVE: 0.5, MEAN: 0.25, FAMILY: 0.25}, {MEAN: 0.5, FAMILY: 0.5}


@dataclass(frozen=True)
class Cut:
    """Long series cut to `length` months: weight of each contestant, and the errors as a share of the known mean.

    `errors` (series x step): (actual - combined forecast) / mean of the months shown.
    """

    length: int
    weights: Mapping[str, float]
    errors: np.ndarray


def length_class(months: int) -> int:
    """The longest of LENGTHS that a history of `months` months has."""
    return max(length for length in LENGTHS if length <= max(months, 1))


def is_short(kind: str) -> bool:
    """Whether a series of this kind is planned by what did best on cut long series."""
    return kind in ("short", "few")


def cut_tournaments(panel: Panel, offsets: Sequence[int], profiles: Mapping[str, np.ndarray | None]) -> dict[int, Cut]:
    """A tournament on long series for every length class that a short series of the panel has.

    `profiles`: the season of each series' family as it was known at the furthest of `offsets`. A class that fewer than
    LEAST series are long enough for has none.
    """
    wanted = {length_class(len(one.y)) for one in panel.series if is_short(one.kind)}
    offset = max(offsets)
    long = [one for one in panel.series if one.kind == "regular" and one.name in profiles]
    found = {}
    for length in sorted(wanted):
        tried = [one for one in long if len(one.y) >= max(length + offset, 2 * panel.season)]
        tried = [one for one in tried if (one.before(offset)[-length:] > 0).any()]
        if len(tried) < LEAST:
            continue
        answers, came, level = [], [], []
        for one in tried[:: -(-len(tried) // MOST)]:
            y = one.before(offset)[-length:]
            kind = "few" if length <= 3 else "short"
            ahead, _ = statistical(y, panel.horizon, panel.season, kind, profiles[one.name])
            answers.append(ahead)
            came.append(one.y[len(one.y) - offset :][: panel.horizon])
            level.append(np.abs(y).mean())
        found[length] = _cut(length, answers, came, np.array(level))
    return found


def _cut(
    length: int, answers: Sequence[Mapping[str, np.ndarray]], came: Sequence[np.ndarray], level: np.ndarray
) -> Cut:
    steps = min(map(len, came))
    names = sorted(set.intersection(*(set(ahead) for ahead in answers)))
    truth = np.array([values[:steps] for values in came])
    ahead = np.array([[values[name][:steps] for name in names] for values in answers])
    loss = np.abs(ahead - truth[:, None, :]).mean(axis=2) / level[:, None]
    score = np.maximum(loss.mean(axis=0), 1e-6)
    weight = score**-CLOSENESS
    weight = weight / weight.sum()
    errors = (truth - np.einsum("k,nkh->nh", weight, ahead)) / level[:, None]
    return Cut(length, dict(zip(names, weight, strict=True)), errors)


def planned_by(panel: Panel, cuts: Mapping[int, Cut], offset: int) -> dict[int, Cut]:
    """The place of each series of `panel` that was short `offset` months before the end, and what plans it.

    That is the tournament of its length, or the next shorter. Where no long series could be cut, the series' own second
    year says what to expect, and there are no errors to learn from.
    """
    out = {}
    for at, one in enumerate(panel.series):
        y = one.before(offset)
        if len(y) and is_short(panel.kind(one, offset)):
            shorter = [length for length in cuts if length <= length_class(len(y))]
            out[at] = cuts[max(shorter)] if shorter else Cut(0, _alone(y, panel.season), np.empty((0, panel.horizon)))
    return out


def _alone(y: np.ndarray, season: int) -> dict[str, float]:
    """Weights without long series to learn from: A_YEAR or LESS, the former by how its months of the second year went.

    Each month that has one a year before is forecast by that one and by the mean of the year before it.
    """
    if len(y) < season:
        return LESS
    later, means = y[season:], np.convolve(y, np.full(season, 1 / season), "valid")[:-1]
    if not len(later):
        return A_YEAR
    loss = {NAIVE: np.abs(later - y[: len(later)]).mean(), MEAN: np.abs(later - means).mean()}
    least = max(1e-6, 0.05 * max(loss.values()))
    trust = len(later) / (len(later) + season / 4)
    return {name: A_YEAR[name] * max(loss.get(name, loss[MEAN]), least) ** (-CLOSENESS * trust) for name in A_YEAR}


def profiles_of(
    panel: Panel, offsets: Sequence[int], families: Mapping[str, str]
) -> dict[int, dict[str, np.ndarray | None]]:
    """By offset, the season that each series may borrow: its family's, or that of all; empty where none is short."""
    out: dict[int, dict[str, np.ndarray | None]] = {}
    if not any(len(one.y) < 2 * panel.season + max(offsets) and one.kind not in FIXED for one in panel.series):
        return out
    groups = sorted({families.get(name, "") for name in panel.names} - {""})
    for offset in offsets:
        long = [(families.get(one.name, ""), one.before(offset)) for one in panel.series if one.kind == "regular"]
        of_all = season_profile([y for _, y in long], panel.season)
        own = {group: season_profile([y for mine, y in long if mine == group], panel.season, 3) for group in groups}
        found = {group: profile if profile is not None else of_all for group, profile in own.items()}
        out[offset] = {name: found.get(families.get(name, ""), of_all) for name in panel.names}
    return out


def with_short(weights: np.ndarray, short: Mapping[int, Cut], names: Sequence[str], given: np.ndarray) -> np.ndarray:
    """`weights` with those of short series as long series cut to their length teach them."""
    out = weights.copy()
    for at, cut in short.items():
        share = np.array([cut.weights.get(name, 0.0) for name in names]) * np.isfinite(given[at, :, 0])
        if share.sum() > 0:
            out[at] = share / share.sum()
    return out
