"""What a change of a plan with whole numbers brings at least, where finding them all anew would take too long.

The whole numbers stay as planned, but for those next to the change. These are found anew where the change brings more
where any numbers will do. So what is told is of a plan that there is, and the same work is done every time.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np
import pandas as pd

from sopkit.errors import StageError
from sopkit.supply.loaded import Answer, Effort, Loaded
from sopkit.supply.matrix import Column, Matrix
from sopkit.supply.solve import Parts

EASY = 100_000  # whole numbers times rules up to which every question to a plan is solved anew, whole numbers and all

MOST_FREE, MOST_SEARCHES = 100, 20  # whole numbers found anew for one change, and changes for which any are

# to which share of the contribution they are found, and how many branches are looked at for that
FINE, NODES = 3e-5, 200


class Near:
    """Changes of one solved matrix; whole numbers are found anew where more than `least` can be hoped for."""

    def __init__(self, parts: Parts) -> None:
        self.matrix, self.plan, self.effort = parts.matrix, parts.answer(), parts.effort or Effort()
        self.kept = Parts(_held(self.matrix, self.plan.values, self.matrix.integer))
        self.any, self.searches = Parts(_held(self.matrix, self.plan.values, None)), 0

    def with_columns(self, columns: list[Column], least: float) -> Answer:
        """A plan with extra columns to use or not; they stand at the end."""
        kept, any_numbers = (parts.with_columns(columns) for parts in (self.kept, self.any))
        rows = np.unique(np.concatenate([one.rows for one in columns]))
        return self._better(self.matrix.with_columns(columns), kept, any_numbers, rows, least)

    def changed(self, other: Matrix, members: Collection[tuple], least: float) -> Answer:
        """A plan of `other`, whatever differs; `members`: what it widens, by rule and index."""
        start = aligned(self.plan.values, self.matrix, other)
        kept, any_numbers = (
            parts.changed(one) if parts.matrix.same_structure(one) else Parts(one).answer()
            for parts, one in ((self.kept, _held(other, start, other.integer)), (self.any, _held(other, start, None)))
        )
        rows = [
            other.rows[rule].start + at
            for rule in other.rows.keys() & {rule for rule, _ in members}
            for at, index in enumerate(other.rows[rule].keys)
            if (rule, index) in members
        ]
        return self._better(other, kept, any_numbers, np.array(rows, dtype=int), least)

    def beside(self, values: np.ndarray) -> Answer:
        """The plan, or that with the whole numbers of `values` where these bring more and keep all without a change."""
        try:
            other = self.kept.changed(_held(self.matrix, values, self.matrix.integer))
        except StageError:  # they need what the change brings
            return self.plan
        broken = ((one.amount, self.plan.broken.get(name)) for name, one in other.broken.items())
        keeps = all(amount <= (least.amount if least else 0.0) + 1e-6 for amount, least in broken)
        return other if keeps and other.profit > self.plan.profit else self.plan

    def _better(self, other: Matrix, kept: Answer, any_numbers: Answer, rows: np.ndarray, least: float) -> Answer:
        """`kept`, or better by new whole numbers and those in `rows`; those beside them too where they are few."""
        hope = any_numbers.profit - self.any.answer().profit - (kept.profit - self.kept.answer().profit)
        start, known = (aligned(x, self.matrix, other) for x in (self.plan.values, np.ones(self.matrix.shape[1])))
        new = other.integer & (known == 0)
        every = np.arange(other.shape[1])
        close = new | np.isin(every, other.a[rows].indices)
        wider = other.integer & (new | np.isin(every, other.a[np.flatnonzero(abs(other.a) @ close)].indices))
        free = wider if wider.sum() <= MOST_FREE else other.integer & close
        if hope <= least or not free.any() or self.searches == MOST_SEARCHES:
            return kept
        self.searches += 1
        effort = Effort(min(FINE, self.effort.gap), self.effort.seconds, NODES)
        held = replace(_held(other, start, other.integer & ~free), integer=free)
        return Loaded(held, effort=effort, found=start).answer()


def aligned(values: np.ndarray, of: Matrix, to: Matrix) -> np.ndarray:
    """The values of the decisions of one matrix in the order of another; what that has more is 0."""
    found = np.zeros(to.shape[1])
    for name in (name for name, names in to.columns.items() if names.size and name in of.columns):
        known = pd.Series(values[of.columns[name].where], of.columns[name].index)
        found[to.columns[name].where] = known.reindex(to.columns[name].index, fill_value=0.0)
    return found


def _held(matrix: Matrix, values: np.ndarray, held: np.ndarray | None) -> Matrix:
    """The matrix of any numbers, but for those `held` as they are in `values`."""
    lower, upper, none = matrix.lower.copy(), matrix.upper.copy(), np.zeros(len(matrix.integer), dtype=bool)
    if held is not None:
        lower[held] = upper[held] = np.round(values[: len(held)][held])
    return replace(matrix, integer=none, lower=lower, upper=upper)
