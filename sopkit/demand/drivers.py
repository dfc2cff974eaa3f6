"""What prices and events do to demand: learned from the company's own months, with its doubt, used where it shows.

The sales of every product and market are held against its own level, trend and season; what is left is explained by its
price, its price the month before (people who bought early), the prices of the rest of its family in the market (people
who bought the other one) and events. The family's estimate stands in where a product tells too little.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from sopkit.demand.grid import Grid, Notes, Past
from sopkit.tables import TABLES
from sopkit.words import local, percent, say

if TYPE_CHECKING:
    from sopkit.book import Book

PRICE, BEFORE, FAMILY = "price", "price of the month before", "prices of its family"
SIGNS = {PRICE: -1, BEFORE: 1, FAMILY: 1}  # dearer sells less now, more later if it was cheap before, and siblings more
LEAST_MONTHS = 18  # of a series with prices, to be told from level, trend and season
MOVED = 0.02  # standard deviation of a price (logarithm) below which it never moved
SURE = 2.0  # standard errors that an effect must be away from 0
LIKE = 0.5  # how far a product's elasticity may lie from its family's (standard deviation)
NINETY = 1.645


@dataclass(frozen=True)
class _Family:
    """One family's months ready to be explained: `x` (rows x drivers), `y`, the pair of each row, what was absorbed."""

    y: np.ndarray
    x: np.ndarray
    pair: np.ndarray
    absorbed: int


def prices_by_month(book: Book, grid: Grid) -> np.ndarray:
    """Net price of each pair in each month of `grid`: that of dated_prices; NaN where none is known."""
    return grid.matrix(book["dated_prices"], "price", empty=np.nan)


def driver_effects(book: Book, past: Past, disturbed: np.ndarray, notes: Notes) -> pd.DataFrame:
    """The rows of `driver_effects`: every driver of every family, and the price of every product that tells enough.

    `disturbed` (pairs x months): months of campaigns, which tell nothing of prices. An effect counts where it has the
    sign that the trade expects and lies SURE standard errors from 0; else a note says there is not enough evidence.
    """
    columns = TABLES["driver_effects"].names
    events = _events(book, past)
    if book["dated_prices"].empty and not events:
        return pd.DataFrame(columns=columns)
    price = _log(prices_by_month(book, past))
    names = [PRICE, BEFORE, FAMILY, *events]
    earlier = np.concatenate([price[:, :1], price[:, :-1]], axis=1)  # of the first month its own
    given = [price, earlier, _siblings(price, past), *events.values()]
    least = [1e-9 if name in events else MOVED for name in names]
    rows: list[tuple] = []
    for family, places in past.pairs.groupby("family", sort=True).indices.items():
        found = _absorbed(past, places, given, disturbed)
        moved = [i for i in range(len(names)) if found is not None and found.x[:, i].std() > least[i]]
        if found is None or not moved:
            still = say("its prices and events never changed")
            rows.append((family, "", PRICE, *[np.nan] * 4, 0, False, still))
            continue
        effect, error = _explained(found.y, found.x[:, moved], found.absorbed)
        for i, value, doubt in zip(moved, effect, error, strict=True):
            rows.append(_row(family, "", names[i], (value, doubt), len(found.y)))
        if 0 not in moved or not rows[-len(moved)][-2]:
            continue
        of_family = effect[0], np.hypot(error[0], LIKE)
        for product, mine in past.pairs.iloc[places].groupby("product", sort=True).indices.items():
            here = np.isin(found.pair, places[mine])
            if here.sum() < LEAST_MONTHS or found.x[here, 0].std() <= MOVED:
                continue
            value, doubt = _explained(found.y[here], found.x[here][:, moved], found.absorbed * here.sum() / len(here))
            trust = np.array([1 / doubt[0] ** 2, 1 / of_family[1] ** 2])
            shrunk = float(trust @ [value[0], of_family[0]] / trust.sum())
            rows.append(_row(family, product, PRICE, (shrunk, float(trust.sum() ** -0.5)), int(here.sum())))
    out = pd.DataFrame(rows, columns=columns)
    _say(out, notes)
    return out


def effect_of(book: Book, grid: Grid, effects: pd.DataFrame, planned: bool = False) -> np.ndarray:
    """Share by which the drivers that count move each pair and month of `grid`, against the last price charged.

    The price of a campaign is none: its uplift holds what that did. `effects`: rows of `driver_effects`. `planned`: a
    month without a dated price has that of prices or products.
    """
    charged, price, events = _charged(book, grid), _usual_prices(book, grid), _events(book, grid)
    effects = effects[effects["counts"].astype(bool)]
    if effects.empty:
        return grid.zeros()
    of = {(row.family, row.product, row.driver): row.effect for row in effects.itertuples()}
    if planned:
        now = book.net_prices(grid.pairs).to_numpy(float)[:, None]
        price = np.where(np.isnan(price), np.where(np.isnan(charged)[:, None], np.nan, now), price)
    off = np.nan_to_num(_log(price) - np.log(charged)[:, None])
    before = np.concatenate([_first_before(book, grid, charged), off[:, :-1]], axis=1)
    siblings = np.nan_to_num(_siblings(np.where(np.isnan(price), np.nan, off), grid))
    family, product = grid.pairs["family"].to_numpy(), grid.pairs["product"].to_numpy()

    def coefficient(driver: str) -> np.ndarray:
        pairs = zip(family, product, strict=True)
        return np.array([of.get((f, p, driver), of.get((f, "", driver), 0.0)) for f, p in pairs])[:, None]

    total = coefficient(PRICE) * off + coefficient(BEFORE) * before + coefficient(FAMILY) * siblings
    for name, happened in events.items():
        total = total + coefficient(name) * happened
    return np.expm1(np.clip(total, -3.0, 3.0))


# The months ready to be explained ------------------------------------------------------------------------------------


def _log(values: np.ndarray) -> np.ndarray:
    return np.log(np.where(values > 0, values, np.nan))


def _siblings(price: np.ndarray, grid: Grid) -> np.ndarray:
    """The mean of the other products' `price` of the same family and market."""
    out = np.full(price.shape, np.nan)
    for places in grid.pairs.groupby(["family", "market"]).indices.values():
        known = np.isfinite(price[places])
        others = known.sum(axis=0) - known
        total = np.nansum(price[places], axis=0) - np.nan_to_num(price[places])
        out[places] = np.where(others > 0, total / np.maximum(others, 1), np.nan)
    return out


def _events(book: Book, grid: Grid) -> dict[str, np.ndarray]:
    """`event: name` -> 1 where it happens to a pair's family and market in a month."""
    rows, out = book["events"], {}
    for name in sorted(set(rows["event"])):
        mine = rows[rows["event"] == name].assign(quantity=1.0)
        spread = grid.pairs[["product", "market", "family"]].merge(mine, on=["family", "market"])
        out[f"event: {name}"] = np.minimum(grid.matrix(spread), 1.0)
    return out


def _absorbed(past: Past, places: np.ndarray, given: list[np.ndarray], disturbed: np.ndarray) -> _Family | None:
    """Sales and drivers of a family's pairs without each pair's own level, trend and season."""
    parts, pairs, absorbed = [], [], 0
    t, month = np.arange(past.sold.shape[1]), np.asarray(past.months.month)
    for at in places:
        x = np.stack([values[at] for values in given], axis=1)
        x[:, 2] = np.where(np.isnan(x[:, 2]), 0.0, x[:, 2])  # an only child has no siblings
        if np.isnan(x[:, 0]).all():
            x[:, :2] = 0.0
        use = (past.sold[at] > 0) & ~disturbed[at] & np.isfinite(x).all(axis=1)
        if use.sum() < LEAST_MONTHS:
            continue
        seasons = [month[use] == m for m in range(2, 13)] if use.sum() >= 30 else []
        wave = 2 * np.pi * t[use] / 12
        seasons = seasons or [np.sin(wave), np.cos(wave)]
        z = np.stack([np.ones(use.sum()), t[use], *seasons], axis=1).astype(float)
        both = np.column_stack([np.log(past.sold[at][use]), x[use]])
        parts.append(both - z @ np.linalg.lstsq(z, both, rcond=None)[0])
        pairs.append(np.full(use.sum(), at))
        absorbed += z.shape[1]
    if not parts:
        return None
    whole = np.concatenate(parts)
    return _Family(whole[:, 0], whole[:, 1:], np.concatenate(pairs), absorbed)


def _explained(y: np.ndarray, x: np.ndarray, absorbed: float) -> tuple[np.ndarray, np.ndarray]:
    """Least squares of `y` on `x` and the standard errors (White's, so that wild months count for what they are)."""
    inverse = np.linalg.pinv(x.T @ x)
    effect = inverse @ x.T @ y
    left = y - x @ effect
    free = max(len(y) - absorbed - x.shape[1], 1.0)
    spread = inverse @ (x * left[:, None] ** 2).T @ x @ inverse * len(y) / free
    return effect, np.sqrt(np.maximum(np.diag(spread), 1e-12))


def _row(family: str, product: str, driver: str, found: tuple[float, float], months: int) -> tuple:
    effect, error = float(found[0]), float(found[1])
    wanted = SIGNS.get(driver)
    right = effect != 0 and wanted in (None, np.sign(effect))
    sure = abs(effect) >= SURE * error
    reason = say(
        "measured" if right and sure else "not enough evidence" if right or not sure else "wrong sign: not used"
    )
    edges = effect - NINETY * error, effect + NINETY * error
    return (family, product, driver, effect, error, *edges, months, bool(right and sure), reason)


def _usual_prices(book: Book, grid: Grid) -> np.ndarray:
    """Dated prices of each pair in each month of `grid`; in a campaign that of the month before it."""
    price, promoted = prices_by_month(book, grid), np.zeros((len(grid.pairs), len(grid.months)), bool)
    for row in book["campaigns"].itertuples():
        pair = grid.row.get((row.product, row.market))
        if pair is not None and row.promised_uplift != 0:
            promoted[pair] |= (grid.months >= row.start_month) & (grid.months <= row.end_month)
    calm = pd.DataFrame(np.where(promoted, np.nan, price)).ffill(axis=1).to_numpy()
    return np.where(promoted, calm, price)


def _charged(book: Book, grid: Grid) -> np.ndarray:
    """The last price charged before the cycle for each pair of `grid`, but for campaigns; NaN where none is known."""
    months = book["dated_prices"]["month"]
    months = pd.date_range(months.min(), book.first - pd.DateOffset(months=1), freq="MS") if len(months) else []
    if not len(months):
        return np.full(len(grid.pairs), np.nan)
    known = pd.DataFrame(_usual_prices(book, Grid(grid.pairs, months))).ffill(axis=1).iloc[:, -1].to_numpy()
    return np.where(known > 0, known, np.nan)


def _first_before(book: Book, grid: Grid, charged: np.ndarray) -> np.ndarray:
    """How far the price of the month before `grid` begins was from the last charged one: rows x 1."""
    months = pd.date_range(end=grid.months[0], periods=13, freq="MS")[:-1]
    before = _usual_prices(book, Grid(grid.pairs, months))[:, -1:]
    return np.nan_to_num(_log(before) - np.log(charged)[:, None])


def _say(effects: pd.DataFrame, notes: Notes) -> None:
    for family, rows in effects[effects["product"] == ""].groupby("family", sort=True):
        for row in rows.itertuples():
            if not row.counts:
                told = "{family}: not enough evidence of {driver} ({reason}): it moves nothing."
                notes.say("drivers", family, told, family, row.driver, row.reason)
                continue
            if row.driver.startswith("event: "):
                effect = percent(np.expm1(row.effect), sign=True)
                told = "{family}, {driver}: changes demand by {share} (90 % between {low} and {high}, {months} months)."
            else:
                effect = local(f"{row.effect:+.2f}")
                told = (
                    "{family}, {driver}: 1 % dearer changes demand by {effect} % (90 % between {low} and "
                    "{high}, {months} months)."
                )
            doubt = local(f"{row.low:+.2f}"), local(f"{row.high:+.2f}"), row.months
            notes.say("drivers", family, told, family, row.driver, effect, *doubt)
