"""Between the tables and the forecaster: the history it gets, what it may know in advance, its answer as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from sopkit.demand.contestants import LIGHTGBM, NAIVE
from sopkit.demand.grid import PAIR, Notes, Past
from sopkit.tables import TABLES
from sopkit.words import number, say

if TYPE_CHECKING:
    from sopkit.book import Book
    from sopkit.demand.hierarchy import Coherent

LEVELS = ("total", "family", "region")
FEW = 0.6  # share of series below which the baseline does not earn its keep against seasonal naive


def history_table(book: Book, past: Past, values: np.ndarray) -> pd.DataFrame:
    """`values` from each pair's first month on: the rows of `baseline_history`."""
    long = past.long(quantity=values)
    first = book["clean_history"].groupby(PAIR)["month"].min()
    start = first.reindex(pd.MultiIndex.from_frame(past.pairs[PAIR])).to_numpy()
    long = long[long["month"].to_numpy() >= np.repeat(start, len(past.months))].reset_index(drop=True)
    return book.with_levels(long)[[*PAIR, "family", "region", "month", "quantity"]]


def calendar_features(calendar: pd.DataFrame, past: pd.DatetimeIndex, horizon: int) -> dict[str, pd.DataFrame] | None:
    """What the forecaster may know of each month in advance, from `calendar`: "history" and "future" (ds and features).

    The logarithm of working days / the usual days of that month of the year, its change since the month before, and
    since the year before (the learners forecast changes). None where no month differs from its usual days. Campaigns
    and market conditions are layers and so no features; nor is the price: what was planned of it is not known.
    """
    months = pd.date_range(past[0], periods=len(past) + horizon, freq="MS")
    days = calendar.drop_duplicates("month").set_index("month")["working_days"].reindex(months)
    off = np.log((days / days.groupby(days.index.month).transform("mean")).where(lambda ratio: ratio > 0)).fillna(0.0)
    if off.abs().lt(1e-9).all():
        return None
    changes = {"working_days": off, "working_days_on_month": off.diff(), "working_days_on_year": off.diff(12)}
    frame = pd.DataFrame(changes).fillna(0.0).rename_axis("ds").reset_index()
    return {"history": frame.head(len(past)), "future": frame.tail(horizon)}


def levels_of(history: pd.DataFrame) -> list[tuple[str, ...]]:
    """The levels at which forecasting pays: those that have more than one node and fewer than the bottom."""
    bottom = len(history[PAIR].drop_duplicates())
    wanted = [("family",), ("region",), ("family", "region")]
    counts = {level: len(history[list(level)].drop_duplicates()) for level in wanted}
    kept = [level for level in wanted if 1 < counts[level] < bottom]
    if counts[("family", "region")] in (counts[("family",)], counts[("region",)]):
        kept = [level for level in kept if len(level) == 1]
    return ([()] if bottom > 1 else []) + kept + [tuple(PAIR)]


def no_baseline(notes: Notes) -> dict[str, pd.DataFrame]:
    """The tables of step `forecast` for a company that has sold nothing yet, and what that means."""
    sentence = say(
        "Nothing was ever sold, so there is no statistical forecast: the plan is what sales "
        "expects, the CRM, launches with a like-product and overrides; its range is not known."
    )
    notes.say("baseline", "history", sentence)
    names = ("baseline", "baseline_levels", "baseline_notes", "backtest", "backtest_months", "forecast_coverage")
    return {name: TABLES[name].empty() for name in names}


def baseline_tables(made: Coherent, notes: Notes, featured: bool = False) -> dict[str, pd.DataFrame]:
    """The forecaster's answer as the tables that step `forecast` writes.

    `featured`: LightGBM was given the working days, which the notes say where it counts.
    """
    base = made.base
    columns = {"ds": "month", "mean": "quantity", "y": "actual", "chosen": "forecast", "unique_id": "series"}
    for sentence in made.notes:
        notes.say("baseline", "hierarchy", sentence)
    rmsse = base.accuracy.pivot(index="unique_id", columns="model", values="rmsse")
    if {"chosen", NAIVE} <= set(rmsse):
        rmsse = rmsse.dropna(subset=["chosen", NAIVE])
        better, count = int((rmsse["chosen"] <= rmsse[NAIVE]).sum()), len(rmsse)
        how = (
            "In the backtest the baseline beat seasonal naive in {count} of {all} series (RMSSE), few: for most, "
            "last year's months say as much; the others are named in baseline_notes."
            if better < FEW * count
            else "In the backtest the baseline beat seasonal naive in {count} of {all} series (RMSSE); the others are "
            "named in baseline_notes."
        )
        notes.say("baseline", "seasonal naive", how, better, count)
    learnt = base.weights.loc[base.weights["model"].isin(LIGHTGBM), "unique_id"].nunique()
    if featured and learnt:
        told = (
            "LightGBM knew each month's working days against the usual ones; it counts in {count} of {all} series. "
            "Campaigns and market conditions are layers and so no features of it; nor are prices, whose past plans "
            "nobody kept."
        )
        notes.say("baseline", "working days", told, learnt, base.weights["unique_id"].nunique())
    for row in base.coverage.itertuples():
        told = "The {level} % range held {share} % of what was sold in the backtest ({count} months)."
        held = [number(row.measured), number(row.months)] if row.months else []
        unknown = "How often the {level} % range holds is not known: history is too short for a backtest."
        notes.say("baseline", "range", told if held else unknown, row.level, *held)
    nodes = made.forecast[made.forecast["level"].isin(LEVELS)]
    nodes = nodes.assign(node=nodes["unique_id"].str.split(": ", n=1).str[-1])  # the total is called `total` alone
    names = made.bottom[["unique_id", *PAIR]].drop_duplicates()
    tables = {
        "baseline": made.bottom[[*PAIR, "ds", "mean", "p10", "p50", "p90", "model"]],
        "baseline_levels": nodes[["level", "node", "ds", "mean", "p10", "p90"]],
        "backtest_months": base.cv.merge(names, on="unique_id")[[*PAIR, "cutoff", "ds", "y", "chosen"]],
        "backtest": base.accuracy,
        "baseline_notes": base.notes.drop_duplicates(),
        "forecast_coverage": base.coverage.assign(**base.coverage[["level", "measured"]] / 100),
    }
    return {name: frame.rename(columns=columns) for name, frame in tables.items()}
