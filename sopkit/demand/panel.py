"""The history that is forecast: series without holes, the kind of each, and what was done to get there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from sopkit.demand.contestants import INTERMITTENT_GAP
from sopkit.demand.unusual import without_lone_months
from sopkit.errors import Finding, FindingsError, SettingsError
from sopkit.words import month_name, number, say, say_count, sentence, several

FIXED = ("zero", "ended", "constant")  # kinds whose answer is no estimate: no range, no part in measuring ranges


@dataclass(frozen=True)
class Series:
    """One series ready to forecast: no holes, up to the panel's last month; its kind; what was done to get there.

    `y` is what the model learns from: missing months filled, lone impossible months brought to what was usual.
    """

    name: str
    y: np.ndarray
    kind: str  # regular, short (under two years), intermittent, few (up to 3 months), constant, zero, ended
    notes: tuple[str, ...]
    then: Mapping[int, np.ndarray] = field(default_factory=dict)  # by offset, where it was another `y` than today's

    def before(self, offset: int) -> np.ndarray:
        """The history known `offset` months before its end, filled and limited with what was known then."""
        return self.then.get(offset, self.y[: max(len(self.y) - offset, 0)])


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


def panel_of(
    history: pd.DataFrame,
    horizon: int,
    *,
    freq: str,
    season: int,
    offsets: Sequence[int] = (),
    parts: Mapping[str, Sequence[str]] | None = None,
) -> Panel:
    """The panel of `history` (unique_id, ds, y).

    `offsets`: how many months before the end forecasts are tried. `parts`: the series that are sums of others, and of
    which: what is brought to usual in a part is so in the sum, which is not searched itself. Raises FindingsError
    naming every row that is no month, is there twice, or is infinite.
    """
    if history.empty:
        raise SettingsError("There is no history to forecast from: the frame has no row.")
    frame = history[["unique_id", "ds", "y"]].astype({"unique_id": str, "y": float}).reset_index(drop=True)
    frame["ds"] = pd.to_datetime(frame["ds"])
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
    raw: dict[str, tuple[np.ndarray, list[str], int]] = {}
    for rows in np.split(np.arange(len(frame)), starts[1:]):
        at, y = frame["at"].to_numpy()[rows], frame["y"].to_numpy()[rows]
        values, present = np.full(len(months) - at[0], np.nan), np.zeros(len(months) - at[0], dtype=bool)
        values[at - at[0]], present[at - at[0]] = y, True
        raw[frame["unique_id"].iat[rows[0]]] = _as_known(values, present)
    # by offset: the change that lone impossible months need for modelling, aligned at the end
    known, change = {}, {}
    for offset in {0, *offsets}:
        for name, (values, _, _) in raw.items():
            filled = _filled(values[: max(len(values) - offset, 0)], season)
            known[name, offset] = filled
            if parts is None or name not in parts:
                limited = without_lone_months(filled, season)
                if limited is not filled:
                    change[name, offset] = limited - filled
    panel = []
    for name, (values, notes, holes) in raw.items():
        then = {}
        for offset in {0, *offsets}:
            then[offset] = known[name, offset]
            for part in (parts or {}).get(name, [name]):
                if (part, offset) in change:
                    move = change[part, offset][-len(then[offset]) :]
                    then[offset] = np.r_[then[offset][: -len(move)], then[offset][-len(move) :] + move]
        if holes:
            notes.append(
                say_count(
                    holes,
                    "{count} missing month filled from the same month of other years and its neighbours.",
                    "{count} missing months filled from the same months of other years and their neighbours.",
                    holes,
                )
            )
        for at in np.flatnonzero(change.get((name, 0), 0)):
            told = (
                "{month}: {quantity} where {usual} were usual, in this month alone: taken as usual by the model, "
                "history keeps it. Accept or refuse the correction in notebook 01."
            )
            month = month_name(months[len(months) - len(values) + at])
            notes.append(say(told, month, number(values[at]), number(then[0][at])))
        y = then.pop(0)
        then = {offset: old for offset, old in then.items() if not np.array_equal(old, y[: len(old)])}
        kind = kind_of(y, season)
        panel.append(Series(name, y, kind, (*notes, *_of_kind(kind, y)), then))
    return Panel(panel, months, horizon, freq, season)


def _as_known(values: np.ndarray, present: np.ndarray) -> tuple[np.ndarray, list[str], int]:
    """`values` with what a missing row means, a note on each, and how many months are left to be filled."""
    notes, known = [], values[~np.isnan(values)]
    if not len(known):
        return np.zeros(len(values)), [say("No month has a value: forecast as 0.")], 0
    late = len(values) - 1 - int(np.flatnonzero(present)[-1])
    if late:
        values[len(values) - late :] = 0.0
        notes.append(
            say_count(
                late,
                "No row in its last month: taken as nothing sold.",
                "No rows in its last {count} months: taken as nothing sold.",
                late,
            )
        )
    absent = ~present & np.isnan(values)
    if absent.any() and (absent.sum() >= 0.2 * len(values) or (known == 0).any()):
        values[absent] = 0.0
        notes.append(
            say("{months} without a row: taken as nothing sold.", sentence(several(int(absent.sum()), "month")))
        )
    negative = int((values < 0).sum())
    if negative:
        months = sentence(several(negative, "month"))
        notes.append(say("{months} below 0 (net returns), used as it came; no forecast is below 0.", months))
    return values, notes, int(np.isnan(values).sum())


def _of_kind(kind: str, y: np.ndarray) -> list[str]:
    """What the kind of a series means for its forecast."""
    quiet = len(y) - 1 - int(np.flatnonzero(y).max(initial=-1))
    few = "Only {months} of history: planned as longer series cut to as few were planned best."
    short = (
        "{count} months of history, less than two years: planned as longer series cut to as many were "
        "best, with the season they share, if any."
    )
    sentences = {
        "zero": say("Nothing was ever sold: forecast as 0."),
        "ended": say("Nothing sold in its last {count} months: taken as ended, forecast as 0.", quiet),
        "constant": say("The same value every month: carried forward, and its range is that one value."),
        "few": say(few, several(len(y), "month")),
        "short": say(short, len(y)),
        "intermittent": say("Sold in some months only: methods for intermittent demand, judged by RMSSE."),
    }
    return [sentences[kind]] if kind in sentences else []


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
    at, known = np.arange(len(values)), ~np.isnan(values)
    if known.all():
        return values
    if not known.any():
        return np.zeros(len(values))
    line = np.interp(at, at[known], values[known])
    level = pd.Series(line).rolling(season + 1, center=True, min_periods=1).mean().to_numpy()
    out = np.where(known, values, line)
    for hole in at[~known]:
        same = at[known & (at % season == hole % season) & (level > 0)]
        if len(same):
            out[hole] = level[hole] * np.median(values[same] / level[same])
    return out
