"""Small neural networks, each learning from the months of all series of a company at once.

A window of logarithms against the mean of its last year goes in, the whole horizon comes out (no step feeds the next);
absolute errors are made least (Montero-Manso & Hyndman 2021 on why one model for all can beat one for each). The
blend's MASE with them, without them: monthly series of M1 0.979, 0.983; tourism 1.376, 1.395; PBS 1.363, 1.400; retail
1.007, 1.020. Beside them seasonal ETS, the dearest method, adds nothing: 0.978, 1.374, 1.357, 1.004 without it. With
scikit-learn's networks, which know squared errors and whole windows only, 0.980, 1.388 and 1.012 (M1, tourism, retail).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from sopkit.demand.contestants import EXPLODED, Adjusted, Values, own_season, todays_level

NETWORKS = ("network", "network_levels")
# Learning longer (2,000, 4,000 steps) or with 64 units was no better on these sets. Products of matrices as small as a
# batch's stay on one thread, and so give the same digits anywhere.
HIDDEN, STEPS, BATCH, RATE, NETS = 32, 1000, 128, 0.002, 3
LEAST = 0.01  # a month counts as this share of its series' mean at least: there is no logarithm of nothing
NEWEST, MOST = (
    60,
    100_000,
)  # windows that are learnt from: the last of each series, of thousands every second, third ...


def networks(past: Mapping[int, np.ndarray], horizon: int, season: int, seed: int = 0) -> dict[int, Values]:
    """What nets over all series of `past` forecast: series -> contestant -> `horizon` values.

    Two contestants: the mean of NETS nets that see the months as they are (three years and a month of them, or one
    where most series have less than four), and one net that sees seasonally adjusted months (a year and one).
    A change of level is taken out first; series with a month below 0 have none.
    """
    past = {at: y * todays_level(y, season) for at, y in past.items()}
    own = {at: own_season(y, season) for at, y in past.items() if y.min() >= 0}
    as_it_is = {at: np.log(np.maximum(past[at], LEAST * past[at].mean())) for at in own}
    rest = {at: np.log(x) for at, one in own.items() if (x := one.past(past[at])).min() > 0}
    years = 3 if np.median([len(y) for y in past.values()]) > 4 * season else 1
    found: tuple[tuple[dict[int, np.ndarray], Mapping[int, Adjusted]], ...] = (
        (_learnt(as_it_is, years * season + 1, horizon, season, range(seed, seed + NETS)), {}),
        (_learnt(rest, season + 1, horizon, season, range(seed, seed + 1)), own),
    )
    out: dict[int, Values] = {at: {} for at in past}
    for name, (logs, seasons) in zip(NETWORKS, found, strict=True):
        for at, values in logs.items():
            ahead, _ = seasons.get(at, Adjusted()).back(np.exp(values), values[:0])
            if np.isfinite(ahead).all() and ahead.max() <= EXPLODED * past[at].max():
                out[at][name] = np.maximum(ahead, 0.0)
    return out


def _learnt(
    logs: Mapping[int, np.ndarray], length: int, horizon: int, season: int, seeds: range
) -> dict[int, np.ndarray]:
    """Nets trained on windows of `length` of all series of `logs`, and the mean of what they say of each one's end."""
    windows, every = [], -(-NEWEST * len(logs) // MOST)
    for place, y in enumerate(logs.values()):
        if len(y) > length:
            whole = np.r_[y, np.full(horizon - 1, np.nan)]
            seen = np.lib.stride_tricks.sliding_window_view(whole, length + horizon)[-NEWEST:]
            windows.append(seen[place % every :: every])
    if not windows:
        return {}
    seen = np.concatenate(windows)
    seen = seen - seen[:, length - season : length].mean(axis=1, keepdims=True)
    ends = np.array([np.r_[np.resize(y[:season], max(length - len(y), 0)), y[-length:]] for y in logs.values()])
    level = ends[:, -season:].mean(axis=1, keepdims=True)
    scale = seen[:, :length].std() or 1.0
    came, ends = seen[:, length:], (ends - level) / scale
    said = np.mean([_net(seen[:, :length] / scale, came, ends, seed) for seed in seeds], axis=0)
    return dict(zip(logs, said + level, strict=True))


def _net(x: np.ndarray, y: np.ndarray, ends: np.ndarray, seed: int) -> np.ndarray:
    """What a net trained on windows `x` and what came after them, `y` (NaN: not known yet), says of `ends`.

    Two hidden layers of rectified units beside a straight line from in to out; Adam (Kingma & Ba 2015), its rate
    falling to nothing over the second half.
    """
    random, (length, horizon) = np.random.default_rng(seed), (x.shape[1], y.shape[1])
    shapes = (
        (length, HIDDEN),
        (HIDDEN,),
        (HIDDEN, HIDDEN),
        (HIDDEN,),
        (HIDDEN, horizon),
        (horizon,),
        (length, horizon),
    )
    cuts = np.cumsum([np.prod(shape) for shape in shapes])
    every, slope = np.zeros(cuts[-1]), np.zeros(cuts[-1])
    w1, b1, w2, b2, w3, b3, line = (
        part.reshape(shape) for part, shape in zip(np.split(every, cuts[:-1]), shapes, strict=True)
    )
    w1[:], w2[:] = random.normal(0, np.sqrt(2 / length), w1.shape), random.normal(0, np.sqrt(2 / HIDDEN), w2.shape)
    w3[:] = random.normal(0, 0.01, w3.shape)
    mean, square, known, y = np.zeros_like(every), np.zeros_like(every), np.isfinite(y) / BATCH, np.nan_to_num(y)
    for step in range(1, STEPS + 1):
        rows = random.integers(0, len(x), BATCH)
        of = x[rows]
        first = np.maximum(of @ w1 + b1, 0)
        second = np.maximum(first @ w2 + b2, 0)
        wrong = np.sign(second @ w3 + b3 + of @ line - y[rows]) * known[rows]
        back2 = (wrong @ w3.T) * (second > 0)
        back1 = (back2 @ w2.T) * (first > 0)
        slopes = (
            of.T @ back1,
            back1.sum(0),
            first.T @ back2,
            back2.sum(0),
            second.T @ wrong,
            wrong.sum(0),
            of.T @ wrong,
        )
        np.concatenate([one.ravel() for one in slopes], out=slope)
        mean += 0.1 * (slope - mean)
        square += 0.001 * (slope**2 - square)
        rate = RATE * min(1.0, 2 * (1 - step / STEPS))
        every -= rate * mean / (1 - 0.9**step) / (np.sqrt(square / (1 - 0.999**step)) + 1e-8)
    hidden = np.maximum(np.maximum(ends @ w1 + b1, 0) @ w2 + b2, 0)
    return hidden @ w3 + b3 + ends @ line
