"""The lifecycle layer: launches by a like-product's curve, retirements that fade, successors that take over.

A launch of which nobody names a like-product goes as the nearest past launches went: those of its family, then those
nearest in price, each held against the other products of its family in the same months.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from sopkit.demand.grid import Grid, Notes, Past
from sopkit.words import listed, month_name, number, percent, say, say_count

if TYPE_CHECKING:
    from sopkit.book import Book

# Months after its launch in which a product is planned by its like-product.
YOUNG = 12
# The curve counts like this many months sold exactly as it says, when the first months are held against it.
TRUST_IN_CURVE = 2
# A past launch teaches after so many months on sale; the nearest so many are asked.
TEACHES, NEAREST = 6, 3


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
    alone = young["like_product"].eq("") & young["launch_month"].ge(grid.months[0])
    went = _went(book, past) if alone.any() else {}
    for _, row in young.sort_values("launch_month", kind="stable").iterrows():
        _launch(row, book, target, past, grid=grid, went=went, notes=notes)
    ending = planned[planned["end_month"] < grid.months[-1]]
    for _, row in ending.sort_values("end_month", kind="stable").iterrows():
        _retire(row, products, grid, target, fade=book.company.demand.run_out_months, notes=notes)
    return target - baseline


def young_products(book: Book, past: Past) -> pd.DataFrame:
    """Products launched in the last year or later, each with its like-product, or with those of its family."""
    products = book["products"].set_index("product")
    young = products[products["launch_month"] > book.first - pd.DateOffset(months=YOUNG)]
    pairs = list(young.loc[young["like_product"] != "", "like_product"].items())
    new = young[young["like_product"].eq("") & young["launch_month"].ge(book.first)]  # what has sold speaks for itself
    if len(new) and _went(book, past):
        pairs += [(name, like) for name in new.index for like in _peers(products, name, past)]
    return pd.DataFrame(pairs, columns=["product", "like_product"], dtype=object)


def _peers(products: pd.DataFrame, name: str, past: Past) -> list[str]:
    """The products of its family that were sold for a year when it was launched."""
    row, old = products.loc[name], products["launch_month"].isna()
    old |= products["launch_month"] <= row["launch_month"] - pd.DateOffset(months=YOUNG)
    family = products.index[old & products["family"].eq(row["family"])]
    return [one for one in family if one != name and one in past.rows_of]


def _went(book: Book, past: Past) -> dict[str, np.ndarray]:
    """How past launches went: units by age over the mean of a product of the family in the same month."""
    products, went = book["products"].set_index("product"), {}
    taught = products["launch_month"].between(past.months[0], book.first - pd.DateOffset(months=TEACHES))
    for name in products.index[taught & products.index.isin(past.rows_of)]:
        since = past.months >= products.at[name, "launch_month"]
        own, theirs = past.sold[past.rows_of[name]], _mean(past.sold, past, _peers(products, name, past))
        if theirs[since].sum() > 0:
            shares = own[:, since].sum(axis=0) / np.where(theirs[since] > 0, theirs[since], np.nan)
            went[name] = pd.Series(shares[:YOUNG]).ffill().fillna(0.0).to_numpy()
    return went


def _mean(units: np.ndarray, grid: Grid, names: list[str]) -> np.ndarray:
    """Units of a mean product of `names`, all markets together, by month."""
    return sum((units[grid.rows_of[name]].sum(axis=0) for name in names), np.zeros(units.shape[1])) / max(len(names), 1)


def _age(months: pd.DatetimeIndex, launch: pd.Timestamp) -> np.ndarray:
    return np.asarray((months.year - launch.year) * 12 + months.month - launch.month)


def _launch(
    row: pd.Series, book: Book, target: np.ndarray, past: Past, *, grid: Grid, went: dict[str, np.ndarray], notes: Notes
) -> None:
    """Put a launch into `target`; `went`: how past launches went, for one without a like-product."""
    product, launch, like = row.name, row["launch_month"], row["like_product"]
    rows, age = grid.rows_of[product], _age(grid.months, launch)
    target[np.ix_(rows, np.flatnonzero(age < 0))] = 0.0
    starts = month_name(launch)
    peers, curves = [like] if like else [], book["curves"]
    curve = curves[curves["curve"] == row["curve"]].sort_values("age") if row["curve"] else curves.head(0)
    ages, factors = (curve["age"].to_numpy(), curve["factor"].to_numpy()) if len(curve) else (np.zeros(1), np.ones(1))
    by = say("like {product}, by its full volume at once (no curve)", like)
    by = say("like {product}, by the curve {curve}", like, repr(row["curve"])) if len(curve) else by
    if not like:
        if launch < grid.months[0]:
            return
        products = book["products"].set_index("product")
        nearest, peers = _nearest(row, products, went), _peers(products, product, past)
        if not nearest or not peers:
            told = (
                "{product} starts in {month} without a like-product: nothing is planned for it but overrides. Name a "
                "like_product and a curve in products."
            )
            notes.say("lifecycle", product, told, product, starts)
            return
        longest = max(map(len, nearest.values()))
        each = np.array([np.pad(one, (0, longest - len(one)), mode="edge") for one in nearest.values()])
        ages, factors = np.arange(longest), np.median(each, axis=0)
        low, high = (percent(end) for end in (each[:, -1].min(), each[:, -1].max()))
        reached = low if low == high else say("{low} to {high}", low, high)
        told = "without a like-product, as {products} did, which reached {share} of a mean product of its family"
        by = say(told, listed(list(nearest)), reached)
    if launch < grid.months[0] - pd.DateOffset(months=int(ages.max())):
        return  # grown up: its own history says more than the curve
    places = [[grid.row.get((one, market), -1) for one in peers] for market in grid.pairs["market"].iloc[rows]]
    known = [[at for at in row_of if at >= 0] for row_of in places]
    rows, known = rows[[bool(some) for some in known]], [some for some in known if some]
    pace, how = _first_months(row, past, peers, (ages, factors))
    volume = np.array([target[some].sum(axis=0) / len(peers) for some in known]).reshape(len(known), len(grid.months))
    target[rows] = volume * np.where(age < 0, 0.0, np.interp(age, ages, factors)) * pace
    about = [product, starts, by, number(target[rows].sum()), *([how] if how else [])]
    alone = "{product} starts in {month} {how}: {quantity} units in the planned months."
    sentence = "{product} starts in {month} {how}: {quantity} units in the planned months; {first}." if how else alone
    notes.say("lifecycle", product, sentence, *about, money=grid.money(target[rows], rows))


def _nearest(row: pd.Series, products: pd.DataFrame, went: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """How the past launches `went` that are nearest to a product: of its family first, then by price."""

    def far(name: str) -> tuple[bool, float, str]:
        prices = products.at[name, "price"], row["price"]
        return products.at[name, "family"] != row["family"], abs(np.log(max(prices) / max(min(prices), 1e-9))), name

    return {name: went[name] for name in sorted(set(went) - {row.name}, key=far)[:NEAREST]}


def _first_months(
    row: pd.Series, past: Past, likes: list[str], curve: tuple[np.ndarray, np.ndarray]
) -> tuple[float, str]:
    """How the first months went against the curve, pulled towards 1 while they are few; and the same in words."""
    since = past.months >= row["launch_month"]
    known = [one for one in likes if one in past.rows_of]
    if not since.any() or row.name not in past.rows_of or not known:
        return 1.0, ""
    own, like = past.sold[past.rows_of[row.name]][:, since].sum(axis=0), _mean(past.sold, past, known)[since]
    expected = (like * np.interp(_age(past.months[since], row["launch_month"]), *curve)).sum()
    if expected <= 0:
        return 1.0, ""
    ratio, count = max(own.sum(), 0.0) / expected, int(since.sum())
    how = say_count(
        count,
        "its first month sold {share} of the curve, which scales the rest",
        "its first {count} months sold {share} of the curve, which scales the rest",
        count,
        percent(ratio),
    )
    return (count * ratio + TRUST_IN_CURVE) / (count + TRUST_IN_CURVE), how


def _retire(row: pd.Series, products: pd.DataFrame, grid: Grid, target: np.ndarray, *, fade: int, notes: Notes) -> None:
    """Fade a product out of `target`, and hand what it loses to its successor."""
    product, end, heir = row.name, row["end_month"], row["successor"]
    left, rows = -_age(grid.months, end), grid.rows_of[product]
    before = target[rows].copy()
    target[rows] *= np.clip((left + 1) / (fade + 1), 0, 1)
    gone = before - target[rows]
    told = [product, month_name(end), *([fade] if fade else [])]
    if heir not in products.index:
        how = "{product} ends in {month}, fading over its last {count} months: {quantity} units leave the plan."
        how = how if fade else "{product} ends in {month}: {quantity} units leave the plan."
        notes.say("lifecycle", product, how, *told, number(gone.sum()), money=-grid.money(gone, rows))
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
    how = (
        "{product} ends in {month}, fading over its last {count} months; {heir} takes over {moved} of its {gone} units."
        if fade
        else "{product} ends in {month}; {heir} takes over {moved} of its {gone} units."
    )
    notes.say("lifecycle", product, how, *told, heir, number(moved), number(gone.sum()))
