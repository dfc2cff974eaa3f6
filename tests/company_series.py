"""Series as companies send them, made with a fixed seed: 36 of each awkward kind, and what then really came."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

KINDS = ("short", "holes", "x10 month", "level shift", "dead", "trend", "lumpy")
MONTHS, AHEAD, EACH = 48, 12, 36


def series(kind: str, count: int = EACH) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Name, history (NaN: no row of that month) and the months that came after, of `count` series of one kind."""
    for number in range(count):
        random = np.random.default_rng([KINDS.index(kind), number])
        at = np.arange(MONTHS + AHEAD)
        level, swing, noise = random.lognormal(5, 1), random.uniform(0, 0.5), random.uniform(0.04, 0.2)
        growth = 0.03 * (1 if number % 3 else -1) if kind == "trend" else random.normal(0, 0.003)
        shape = (1 + swing * np.sin(2 * np.pi * (at + random.uniform(0, 12)) / 12)) * np.exp(np.log1p(growth) * at)
        if kind == "level shift":
            shape = np.where(at >= MONTHS - random.integers(5, 19), shape * random.choice([0.5, 0.65, 1.5, 1.9]), shape)
        y = level * shape * random.lognormal(0, noise, len(at))
        if kind == "dead":
            y[MONTHS - random.integers(7, 16) :] = 0.0
        if kind == "lumpy":
            sold = random.random(len(at)) < random.uniform(0.2, 0.6)
            y = np.where(sold, random.lognormal(np.log(level / 10 + 2), 0.7, len(at)), 0.0)
        y = np.round(y)
        past, ahead = y[:MONTHS].copy(), y[MONTHS:]
        if kind == "x10 month":
            past[random.integers(2, MONTHS - 1 if number % 4 else MONTHS)] *= 10
        if kind == "holes":
            past[random.choice(np.arange(1, MONTHS - 1), 7, replace=False)] = np.nan
        if kind == "short":
            past = past[MONTHS - random.integers(3, 21) :]
        yield f"{kind} {number:02d}", past, ahead


def panel(kinds: tuple[str, ...] = KINDS, count: int = EACH) -> tuple[pd.DataFrame, pd.DataFrame]:
    """History (unique_id, ds, y: a month without a row is missing) and truth (unique_id, kind, ds, y, scale).

    `scale` is what an error is held against: the mean of the truth, or of the live months where the truth is nothing.
    """
    months, past, ahead = pd.date_range("2022-11-01", periods=MONTHS + AHEAD, freq="MS"), [], []
    for kind in kinds:
        for name, known, came in series(kind, count):
            frame = pd.DataFrame({"unique_id": name, "ds": months[MONTHS - len(known) : MONTHS], "y": known})
            past.append(frame.dropna())
            size = came.mean() if came.any() else known[known > 0].mean()
            ahead.append(
                pd.DataFrame({"unique_id": name, "kind": kind, "ds": months[MONTHS:], "y": came, "scale": size})
            )
    return pd.concat(past, ignore_index=True), pd.concat(ahead, ignore_index=True)
