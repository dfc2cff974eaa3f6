"""The history that is forecast: series without holes, the kind of each, and what was done to get there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from sopkit.demand.contestants import INTERMITTENT_GAP
from sopkit.errors import Finding, FindingsError, SettingsError

FIXED = ("zero", "ended", "constant")  # kinds whose answer is no estimate: no range, no part in measuring ranges


@dataclass(frozen=True)
class Series:
    """One series ready to forecast: no holes, up to the panel's last month; its kind; what was done to get there."""

    name: str
    y: np.ndarray
    kind: str  # regular, short (under two years), intermittent, few (up to 3 months), constant, zero, ended
    notes: tuple[str, ...]
    season: int = 1
    holes: np.ndarray | None = None  # months that were missing and are filled in `y`

    def before(self, offset: int) -> np.ndarray:
        """The history known `offset` months before its end, missing months filled with what was known then."""
        y = self.y[: max(len(self.y) - offset, 0)]
        if offset == 0 or self.holes is None or not self.holes[: len(y)].any():
            return y
        known = np.where(self.holes[: len(y)], np.nan, y)
        return np.zeros(len(y)) if np.isnan(known).all() else _filled(known, self.season)


@dataclass(frozen=True)
class Panel:
    """All series, sorted by name, the months up to the last of any of them, and how far and how they are forecast."""

    series: list[Series]
    months: pd.DatetimeIndex
    horizon: int
    freq: str
    season: int

    @property
    def names(self) -> list[str]:
        """Names of the series, in their order."""
        return [series.name for series in self.series]

    def cutoff(self, offset: int) -> pd.Timestamp:
        """The last month known `offset` months before the end."""
        return self.months[len(self.months) - 1 - offset]

    def after(self, offset: int) -> pd.DatetimeIndex:
        """The months of a forecast made `offset` months before the end."""
        return pd.date_range(self.cutoff(offset), periods=self.horizon + 1, freq=self.freq)[1:]

    def kind(self, series: Series, offset: int) -> str:
        """The kind that a series was `offset` months before the end."""
        return kind_of(series.before(offset), self.season)


def panel_of(history: pd.DataFrame, horizon: int, freq: str, season: int) -> Panel:
    """The panel of `history` (unique_id, ds, y).

    Raises FindingsError naming every row that is no month, is there twice, or is infinite.
    """
    if history.empty:
        raise SettingsError("There is no history to forecast from: the frame has no row.")
    frame = pd.DataFrame(
        {
            "unique_id": history["unique_id"].astype(str).to_numpy(),
            "ds": pd.to_datetime(history["ds"]).to_numpy(),
            "y": history["y"].astype(float).to_numpy(),
        }
    )
    first, last = frame["ds"].min(), frame["ds"].max()
    months = pd.date_range(first - pd.tseries.frequencies.to_offset(freq), last, freq=freq)
    months = months[months >= first] if len(months) else months
    frame["at"] = months.get_indexer(frame["ds"])
    found: list[Finding] = []
    for wrong, column, rule, fix in (
        (frame["at"] < 0, "ds", "is not the first day of its month", "Use the first day of the month."),
        (frame.duplicated(["unique_id", "ds"], keep=False), "ds", "stands twice", "Sum the rows of a month first."),
        (np.isinf(frame["y"]), "y", "is infinite", "Correct the value or leave it out."),
    ):
        found.extend(
            Finding("history", row.Index + 2, column, f"{row.unique_id}: {row.ds:%Y-%m-%d}", rule, "error", "", fix)
            for row in frame[wrong].itertuples()
        )
    if found:
        raise FindingsError(found, "The history cannot be forecast")
    frame = frame.sort_values(["unique_id", "at"], ignore_index=True)
    starts = np.flatnonzero(frame["unique_id"].ne(frame["unique_id"].shift()))
    panel = []
    for rows in np.split(np.arange(len(frame)), starts[1:]):
        at, y = frame["at"].to_numpy()[rows], frame["y"].to_numpy()[rows]
        values, present = np.full(len(months) - at[0], np.nan), np.zeros(len(months) - at[0], dtype=bool)
        values[at - at[0]], present[at - at[0]] = y, True
        panel.append(_ready(frame["unique_id"].iat[rows[0]], values, present, season))
    return Panel(panel, months, horizon, freq, season)


def _ready(name: str, values: np.ndarray, present: np.ndarray, season: int) -> Series:
    """Fill holes and say so, and tell which kind of series it is."""
    notes = []
    known = values[~np.isnan(values)]
    if not len(known):
        return Series(name, np.zeros(len(values)), "zero", ("No month has a value: forecast as 0.",))
    late = len(values) - 1 - int(np.flatnonzero(present)[-1])
    if late:
        values[len(values) - late :] = 0.0
        notes.append(f"No rows in its last {late} month(s): taken as nothing sold.")
    absent = ~present & np.isnan(values)
    if absent.any() and (absent.sum() >= 0.2 * len(values) or (known == 0).any()):
        values[absent] = 0.0
        notes.append(f"{absent.sum()} month(s) without a row: taken as nothing sold.")
    holes = np.isnan(values)
    if holes.any():
        values = _filled(values, season)
        notes.append(f"{holes.sum()} missing month(s) filled from the same month of other years and its neighbours.")
    negative = int((values < 0).sum())
    if negative:
        notes.append(f"{negative} month(s) below 0 (net returns) used as they are; no forecast is below 0.")
    kind = kind_of(values, season)
    quiet = len(values) - 1 - int(np.flatnonzero(values).max(initial=-1))
    sentences = {
        "zero": "Nothing was ever sold: forecast as 0.",
        "ended": f"Nothing sold in its last {quiet} months: taken as ended, forecast as 0.",
        "constant": "The same value every month: carried forward, and its range is that one value.",
        "few": f"Only {len(values)} month(s) of history: their mean, with the relative range of the others.",
        "short": f"{len(values)} months of history, less than two years: the season the longer series share, if any.",
        "intermittent": "Sold in some months only: methods for intermittent demand, judged by RMSSE.",
    }
    notes += [sentences[kind]] if kind in sentences else []
    return Series(name, values, kind, tuple(notes), season, holes if holes.any() else None)


def kind_of(y: np.ndarray, season: int) -> str:
    """The kind of a history without holes."""
    if not y.any():
        return "zero"
    if season > 1 and _ended(y, season):
        return "ended"
    if len(y) <= 3:
        return "few"
    if np.ptp(y) == 0:
        return "constant"
    sold = np.flatnonzero(y)
    if (len(y) - sold[0]) / len(sold) > INTERMITTENT_GAP:
        return "intermittent"
    return "short" if len(y) < 2 * season else "regular"


def _ended(y: np.ndarray, season: int) -> bool:
    """No sale for a season, or for half of one in a series that never paused half as long since it began.

    A season without sales, or demand in a few months only, is no end: it was there before.
    """
    sold = np.flatnonzero(y)
    quiet = len(y) - 1 - sold[-1]
    if quiet >= season:
        return True
    pauses = np.diff(sold) - 1
    return bool(len(sold) >= season and quiet >= season / 2 and 2 * pauses.max(initial=0) < quiet)


def _filled(values: np.ndarray, season: int) -> np.ndarray:
    """Holes filled with the level around them times what the same month was against its level in other years."""
    at = np.arange(len(values))
    known = ~np.isnan(values)
    line = np.interp(at, at[known], values[known])
    level = pd.Series(line).rolling(season + 1, center=True, min_periods=1).mean().to_numpy()
    out = np.where(known, values, line)
    for hole in at[~known]:
        same = at[known & (at % season == hole % season) & (level > 0)]
        if len(same):
            out[hole] = level[hole] * np.median(values[same] / level[same])
    return out
