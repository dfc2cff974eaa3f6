"""The lifecycle layer: launches by a like-product's curve, retirements that fade, successors that take over."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from sopkit.demand.grid import Grid, Notes, Past
from sopkit.words import percent

if TYPE_CHECKING:
    from sopkit.book import Book

# Months after its launch in which a product is planned by its like-product.
YOUNG = 12
# The curve counts like this many months sold exactly as it says, when the first months are held against it.
TRUST_IN_CURVE = 2


def lifecycle_layer(book: Book, grid: Grid, baseline: np.ndarray, past: Past, notes: Notes) -> np.ndarray:
    """Units that launches, retirements and successions add to or take from the baseline.

    A launch sells its like-product's baseline x the factor of its curve at its age; once it has sold, the curve is
    scaled by how the first months went. A retiring product fades evenly over its last `run_out_months` and sells
    nothing after `end_month`; what it loses goes to its successor, so the pair together sells as if nothing happened.
    """
    products, target = book["products"].set_index("product"), baseline.copy()
    planned = products[products.index.isin(grid.rows_of)]
    # in order of time: a like-product may be a launch itself, and a successor may retire too
    young = planned[planned["launch_month"] > book.first - pd.DateOffset(months=YOUNG)]
    for _, row in young.sort_values("launch_month", kind="stable").iterrows():
        _launch(row, book["curves"], target, past, grid=grid, notes=notes)
    ending = planned[planned["end_month"] < grid.months[-1]]
    for _, row in ending.sort_values("end_month", kind="stable").iterrows():
        _retire(row, products, grid, target, fade=book.company.demand.run_out_months, notes=notes)
    return target - baseline


def young_products(book: Book) -> pd.DataFrame:
    """Products launched in the last year or later, each with its like-product."""
    products = book["products"]
    young = products["launch_month"] > book.first - pd.DateOffset(months=YOUNG)
    return products.loc[young, ["product", "like_product"]]


def _age(months: pd.DatetimeIndex, launch: pd.Timestamp) -> np.ndarray:
    return np.asarray((months.year - launch.year) * 12 + months.month - launch.month)


def _launch(row: pd.Series, curves: pd.DataFrame, target: np.ndarray, past: Past, *, grid: Grid, notes: Notes) -> None:
    """Put a launch into `target`."""
    product, launch, like = row.name, row["launch_month"], row["like_product"]
    rows, age = grid.rows_of[product], _age(grid.months, launch)
    target[np.ix_(rows, np.flatnonzero(age < 0))] = 0.0
    start = f"{product} starts in {launch:%b %Y}"
    if not like:
        if launch >= grid.months[0]:
            sentence = "nothing is planned for it but overrides. Name a like_product and a curve in products."
            notes.say("lifecycle", product, f"{start} without a like-product: {sentence}")
        return
    curve = curves[curves["curve"] == row["curve"]].sort_values("age") if row["curve"] else curves.head(0)
    ages, factors = (curve["age"].to_numpy(), curve["factor"].to_numpy()) if len(curve) else (np.zeros(1), np.ones(1))
    if launch < grid.months[0] - pd.DateOffset(months=int(ages.max())):
        return  # grown up: its own history says more than the curve
    known = np.array([grid.row.get((like, market), -1) for market in grid.pairs["market"].iloc[rows]])
    rows, known = rows[known >= 0], known[known >= 0]
    went, how = _first_months(row, past, ages, factors)
    target[rows] = target[known] * np.where(age < 0, 0.0, np.interp(age, ages, factors)) * went
    by = f"the curve {row['curve']!r}" if len(curve) else "its full volume at once (no curve)"
    units = f"{target[rows].sum():,.0f} units in the planned months{how}."
    notes.say("lifecycle", product, f"{start} like {like}, by {by}: {units}", grid.money(target[rows], rows))


def _first_months(row: pd.Series, past: Past, ages: np.ndarray, factors: np.ndarray) -> tuple[float, str]:
    """How the first months went against the curve, pulled towards 1 while they are few; and the same in words."""
    since = past.months >= row["launch_month"]
    if not since.any() or row.name not in past.rows_of or row["like_product"] not in past.rows_of:
        return 1.0, ""
    own, like = (past.sold[past.rows_of[name]][:, since].sum(axis=0) for name in (row.name, row["like_product"]))
    expected = (like * np.interp(_age(past.months[since], row["launch_month"]), ages, factors)).sum()
    if expected <= 0:
        return 1.0, ""
    ratio, count = max(own.sum(), 0.0) / expected, int(since.sum())
    how = f"; its first {count} month(s) sold {percent(ratio)} of the curve, which scales the rest"
    return (count * ratio + TRUST_IN_CURVE) / (count + TRUST_IN_CURVE), how


def _retire(row: pd.Series, products: pd.DataFrame, grid: Grid, target: np.ndarray, *, fade: int, notes: Notes) -> None:
    """Fade a product out of `target`, and hand what it loses to its successor."""
    product, end, heir = row.name, row["end_month"], row["successor"]
    left, rows = -_age(grid.months, end), grid.rows_of[product]
    before = target[rows].copy()
    target[rows] *= np.clip((left + 1) / (fade + 1), 0, 1)
    gone = before - target[rows]
    end_words = f"{product} ends in {end:%b %Y}" + (f", fading over its last {fade} months" if fade else "")
    if heir not in products.index:
        sentence = f"{end_words}: {gone.sum():,.0f} units leave the plan."
        notes.say("lifecycle", product, sentence, -grid.money(gone, rows))
        return
    start = products.at[heir, "launch_month"]
    on_sale = np.ones(len(grid.months), bool) if pd.isna(start) else np.asarray(grid.months >= start)
    # an heir that grows on this product's own curve already brings some of its customers: only the rest comes over
    grows = products.at[heir, "like_product"] == product and not pd.isna(start) and start >= grid.months[0]
    moved = 0.0
    for at, full in zip(rows, before, strict=True):
        theirs = grid.row.get((heir, grid.pairs["market"].iat[at]))
        if theirs is None:
            continue
        own, stays = target[theirs].copy(), target[at]
        if grows:
            stays = target[at] = np.where(on_sale, np.minimum(stays, np.maximum(full - own, 0.0)), stays)
            target[theirs] = np.where(on_sale, np.maximum(own, full - stays), own)
        else:
            target[theirs] += np.where(on_sale, full - stays, 0.0)
        moved += (target[theirs] - own).sum()
    notes.say("lifecycle", product, f"{end_words}; {heir} takes over {moved:,.0f} of its {gone.sum():,.0f} units.")
