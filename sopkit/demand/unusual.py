"""What would mislead a model: a lone impossible month, a change of level; and a strong trend that is to be followed.

All of it is for modelling only: history keeps what was sold. Nothing looks beyond the end of the history it is given,
so a backtest's cutoff sees only what was known then.
"""

from __future__ import annotations

import numpy as np

# A month is impossible beyond this many times (or below this part of) what was usual, where other years show the month;
# without other years a season could explain as much again. Newest months may be the start of a change.
IMPOSSIBLE, UNSEEN, NEWEST = 3.0, 5.0, 6.0
SPREADS = 5.0  # robust standard deviations of the series' own noise that an impossible month must lie beyond as well
NORMAL_MAD = 1.4826
AROUND = 6  # months on each side that tell the level
LEAST_MONTHS = 6
# A change of level: at least so much (logarithm), seen for so many months, and told from a trend by half its error.
SHIFT, SETTLED, BETTER = 0.22, 5, 0.5
GROWTH, SURE = 0.01, 6.0  # a strong trend: per month, and in standard errors of its slope over three years
STEADY = 0.5  # each half of these years must grow by at least so much of it


def usual(y: np.ndarray, season: int) -> np.ndarray:
    """What each month would usually be: the median of the months around it x its ratio to that in other years."""
    count = len(y)
    wide = np.pad(y.astype(float), AROUND, constant_values=np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(wide, 2 * AROUND + 1).copy()
    windows[:, AROUND] = np.nan  # a month does not speak for itself
    level = np.nanmedian(windows, axis=1)
    ratio = y / np.where(level > 0, level, np.nan)
    years = np.full((-(-count // season), season), np.nan)
    years.ravel()[years.size - count :] = ratio
    out = np.ones(years.shape)
    for year in range(len(years)):
        others = np.delete(years, year, axis=0)
        seen = np.isfinite(others).any(axis=0)
        if seen.any():
            out[year, seen] = np.nanmedian(others[:, seen], axis=0)
    return level * out.ravel()[years.size - count :]


def without_lone_months(y: np.ndarray, season: int) -> np.ndarray:
    """`y` with each lone impossible month brought to what was usual then; `y` itself where there is none.

    Lone: its neighbours are no such months. Impossible: see the constants. A series that sells in some months only has
    no usual month, so none is impossible there.
    """
    if len(y) < LEAST_MONTHS or np.count_nonzero(y <= 0) > max(1, len(y) // 12):
        return y
    middle = np.median(y)
    if middle <= 0 or (y.max() <= IMPOSSIBLE * middle / 1.5 and y.min() >= middle / IMPOSSIBLE):
        return y
    expected = usual(y, season)
    with np.errstate(all="ignore"):
        off = np.log(np.maximum(y, 1e-9 * middle) / np.where(expected > 0, expected, np.nan))
    if not np.isfinite(off).any():
        return y
    noise = NORMAL_MAD * np.nanmedian(np.abs(off - np.nanmedian(off)))
    seen = np.arange(len(y)) % season
    known = np.array([np.count_nonzero(seen == one) > 1 for one in seen])
    limit = np.log(np.where(known, IMPOSSIBLE, UNSEEN))
    limit[-1] = np.log(NEWEST)
    far = np.abs(off) > np.maximum(limit, SPREADS * noise)
    far[-1] &= off[-1] > 0  # the end of a series is no error
    ordinary = y[~far]
    if not far.any() or len(ordinary) < LEAST_MONTHS - 1:
        return y
    far &= (y > 1.2 * ordinary.max()) | (y < 0.8 * ordinary.min())
    near = np.r_[False, far[:-1]] | np.r_[far[1:], False]
    far &= ~near
    return np.where(far, expected, y) if far.any() else y


def level_shift(y: np.ndarray, rest: np.ndarray, season: int) -> tuple[int, float]:
    """The month at which the level of `y` (above 0) changed for good, and the factor; 0 and 1 where it did not.

    A change of the last year shows in `y` against the year before, one of the last three in `rest`, `y` without season.
    """
    if len(y) < 2 * season or min(y.min(), rest.min()) <= 0:
        return 0, 1.0
    on_year = np.log(y[season:] / y[:-season])[-2 * season :]
    for x, oldest in ((on_year, len(on_year) - season), (np.log(rest[-3 * season :]), 0)):
        first, step = _step(x, season, oldest)
        after = np.median(x[first:])
        # a year after a change, `on_year` falls back: that is its echo
        if first and (oldest == 0 or abs(after) > abs(after - step)):
            return len(y) - len(x) + first, float(np.exp(step))
    return 0, 1.0


def _step(x: np.ndarray, season: int, oldest: int) -> tuple[int, float]:
    """Where, from `oldest` on, two levels explain `x` much better than a straight line, and how far they lie apart."""
    count = len(x)
    at = np.arange(max(season // 2, SETTLED, oldest), count - SETTLED + 1)
    if not len(at):
        return 0, 0.0
    sums, squares = np.r_[0.0, x.cumsum()], np.r_[0.0, (x**2).cumsum()]
    error = squares[-1] - sums[at] ** 2 / at - (sums[-1] - sums[at]) ** 2 / (count - at)
    first, t = int(at[error.argmin()]), _centred(x)
    straight = ((x - x.mean()) ** 2).sum() - (t @ x) ** 2 / (t @ t)
    step = float(np.median(x[first:]) - np.median(x[max(0, first - season) : first]))
    noise = np.sqrt(max(error.min(), 0.0) / max(count - 3, 1))
    enough = abs(step) > max(SHIFT, 4 * noise * np.sqrt(1 / first + 1 / (count - first)))
    return (first, step) if enough and error.min() < BETTER * straight else (0, 0.0)


def strong_trend(rest: np.ndarray, season: int) -> bool:
    """Whether `rest` (no season in it) grew or shrank steadily by 1 % a month or more over the last three years."""
    x = rest[-3 * season :]
    if len(x) < 18 or x.min() <= 0:
        return False
    x, t = np.log(x), _centred(x)
    slope = (t @ x) / (t @ t)
    error = np.sqrt(((x - x.mean() - slope * t) ** 2).sum() / (len(x) - 2) / (t @ t))
    # a step is no trend: both halves must go on like the whole
    halves = [part @ _centred(part) / (_centred(part) @ _centred(part)) for part in np.array_split(x, 2)]
    steady = all(half / slope > STEADY for half in halves)
    return bool(abs(slope) >= GROWTH and abs(slope) > SURE * error and steady)


def _centred(x: np.ndarray) -> np.ndarray:
    return np.arange(len(x)) - (len(x) - 1) / 2
