"""Small neural networks, each learning from the months of all series of a company at once.

A window of logarithms against the mean of its last year goes in, the whole horizon comes out; absolute errors are made
least (Montero-Manso & Hyndman 2021: why one model for all can beat one for each). The blend's MASE with and without
them: M1 0.980, 0.983; tourism 1.375, 1.395; PBS 1.356, 1.400; retail 1.009, 1.020. Beside them seasonal ETS, the
dearest method, adds nothing to months. With scikit-learn's networks: M1 0.980, tourism 1.388, retail 1.012.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from sopkit.demand.contestants import Adjusted, Values, believable, own_season, todays_level

NETWORKS = ("network", "network_levels")
# Learning longer (2,000, 4,000 steps) or with 64 units was no better on these sets. Products of matrices as small as a
# batch's stay on one thread, and so give the same digits anywhere.
HIDDEN, STEPS, BATCH, RATE, NETS = 32, 1000, 128, 0.002, 3
# A month counts as LEAST of its series' mean at least: there is no logarithm of nothing. The NEWEST windows of each
# series are learnt from; of thousands of series every second, third ... of these, so that they are MOST in all.
LEAST, NEWEST, MOST = 0.01, 60, 100_000


def networks(past: Mapping[int, np.ndarray], horizon: int, season: int, seed: int = 0) -> dict[int, Values]:
    """What nets over all series of `past` forecast: series -> contestant -> `horizon` values.

    Two contestants: the mean of NETS nets that see the months as they are (three years and one month; a year and one
    where most series have less than four years), and a net that sees seasonally adjusted months (a year and one).
    A change of level is taken out first; series with a month below 0 have none.
    """
    past = {at: y * todays_level(y, season) for at, y in past.items()}
    own = {at: own_season(y, season) for at, y in past.items() if y.min() >= 0}
    months = {at: np.log(np.maximum(past[at], LEAST * past[at].mean())) for at in own}
    rest = {at: np.log(x) for at, one in own.items() if (x := one.past(past[at])).min() > 0}
    long = np.median([len(y) for y in past.values()]) > 4 * season
    out: dict[int, Values] = {at: {} for at in past}
    for name, logs, years, nets in ((NETWORKS[0], months, 3 if long else 1, NETS), (NETWORKS[1], rest, 1, 1)):
        for at, values in _learnt(logs, years * season + 1, horizon, season, range(seed, seed + nets)).items():
            ahead, _ = (own[at] if logs is rest else Adjusted()).back(np.exp(values), values[:0])
            if believable(ahead, past[at]):
                out[at][name] = np.maximum(ahead, 0.0)
    return out


def _learnt(
    logs: Mapping[int, np.ndarray], length: int, horizon: int, season: int, seeds: range
) -> dict[int, np.ndarray]:
    """The mean of nets trained on windows of `length` of all series of `logs`: what follows each one's end."""
    windows, every = [np.empty((0, length + horizon))], -(-NEWEST * len(logs) // MOST)
    for place, y in enumerate(logs.values()):
        whole = np.r_[y, np.full(horizon - 1, np.nan)]  # the months after the end are not known yet
        if len(y) > length:
            one = np.lib.stride_tricks.sliding_window_view(whole, length + horizon)[-NEWEST:]
            windows.append(one[place % every :: every])
    seen = np.concatenate(windows)
    if not len(seen):
        return {}
    seen -= seen[:, length - season : length].mean(axis=1, keepdims=True)
    ends = np.array([np.r_[np.resize(y[:season], max(length - len(y), 0)), y[-length:]] for y in logs.values()])
    level, scale = ends[:, -season:].mean(axis=1, keepdims=True), seen[:, :length].std() or 1.0
    # a column of ones: what a unit adds whatever the window
    known, ends = (np.c_[x / scale, np.ones(len(x))] for x in (seen[:, :length], ends - level))
    ahead = np.mean([_net(known, seen[:, length:], ends, seed) for seed in seeds], axis=0)
    return dict(zip(logs, ahead + level, strict=True))


def _net(x: np.ndarray, y: np.ndarray, ends: np.ndarray, seed: int) -> np.ndarray:
    """What a net trained on windows `x` and what came after them, `y` (NaN: not known), forecasts after `ends`.

    Two layers of HIDDEN rectified units beside a straight line from in to out; Adam (Kingma & Ba 2015), its rate
    falling to nothing over the second half.
    """
    random, shape = np.random.default_rng(seed), (x.shape[1], HIDDEN, HIDDEN, y.shape[1])
    sizes = [one * other for one, other in (*zip(shape, shape[1:], strict=False), (shape[0], shape[-1]))]
    spreads = np.sqrt([2 / shape[0], 2 / HIDDEN, 1e-4, 0])
    every = random.standard_normal(sum(sizes)) * np.repeat(spreads, sizes)
    w1, w2, w3, line = (
        part.reshape(-1, wide)
        for part, wide in zip(np.split(every, np.cumsum(sizes)[:-1]), (*shape[1:], shape[-1]), strict=True)
    )
    mean, square, known, y = np.zeros_like(every), np.zeros_like(every), np.isfinite(y) / BATCH, np.nan_to_num(y)
    for step in range(1, STEPS + 1):
        rows = random.integers(0, len(x), BATCH)
        of = x[rows]
        first = np.maximum(of @ w1, 0)
        second = np.maximum(first @ w2, 0)
        wrong = np.sign(second @ w3 + of @ line - y[rows]) * known[rows]
        back2 = (wrong @ w3.T) * (second > 0)
        back1 = (back2 @ w2.T) * (first > 0)
        slopes = of.T @ back1, first.T @ back2, second.T @ wrong, of.T @ wrong
        slope = np.concatenate([one.ravel() for one in slopes])
        mean += 0.1 * (slope - mean)
        square += 0.001 * (slope**2 - square)
        rate = RATE * min(1.0, 2 * (1 - step / STEPS))
        every -= rate * mean / (1 - 0.9**step) / (np.sqrt(square / (1 - 0.999**step)) + 1e-8)
    return np.maximum(np.maximum(ends @ w1, 0) @ w2, 0) @ w3 + ends @ line
