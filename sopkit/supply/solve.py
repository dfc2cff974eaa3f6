"""The model handed to HiGHS as arrays, split into its independent parts, solved, changed and solved again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import highspy
import numpy as np
import pandas as pd
import pyomo.environ as pyo

from sopkit.book import Book
from sopkit.book.known import Known
from sopkit.engine import Engine
from sopkit.errors import StageError
from sopkit.supply.accelerator import held, matrix, set_of
from sopkit.supply.loaded import LARGE, Answer, Broken, Effort, Loaded
from sopkit.supply.matrix import Column, Matrix, Names
from sopkit.supply.model import build
from sopkit.supply.network import Network

PROVEN = 1e-9  # a plan so near the bound, as a share of the contribution, is the best


class Parts:
    """A matrix as its independent parts, each in HiGHS by itself: solved side by side, re-solved only where changed.

    Two columns belong together where a chain of rows joins them, so the split is exact: the profits of the parts add up
    to that of the whole. Parts are dealt into as many heaps as `engine` has workers; a model below LARGE stays whole.
    """

    def __init__(
        self,
        whole: Matrix,
        engine: Engine | None = None,
        *,
        least: int = LARGE,
        effort: Effort | None = None,
        stop: threading.Event | None = None,
    ) -> None:
        self.matrix, self.engine, self.effort, self.stop = whole, engine, effort, stop
        self.large = whole.shape[0] >= LARGE
        heap = whole.heaps(engine.workers if engine else 2) if whole.shape[0] >= least else None
        self.places: list[tuple[np.ndarray | None, np.ndarray | None]] = [(None, None)]
        if heap is not None:
            numbers = range(heap[1].max() + 1)
            self.places = [(np.flatnonzero(heap[0] == one), np.flatnonzero(heap[1] == one)) for one in numbers]
        self.loaded: list[Loaded | None] = [None] * len(self.places)
        self.answers: list[Answer] = []  # of the matrix itself; a changed one has answers of its own

    def answer(self) -> Answer:
        """The best plan of the whole."""
        if not self.answers:
            if len(self.places) > 1 and self.engine is not None:
                self.answers = self.engine.map(
                    partial(_solved_elsewhere, large=self.large, effort=self.effort),
                    [self.part(self.matrix, p) for p in self.places],
                )
            else:
                loaded = [
                    Loaded(self.part(self.matrix, place), large=self.large, effort=self.effort, stop=self.stop)
                    for place in self.places
                ]
                self.loaded, self.answers = [*loaded], [part.answer() for part in loaded]
        return self._whole(self.answers, self.matrix)

    def changed(self, other: Matrix) -> Answer:
        """The best plan of `other`, which has the same structure; parts that did not change keep their answer."""
        self.answer()
        answers = list(self.answers)
        for number, place in enumerate(self.places):
            base, now = self.part(self.matrix, place), self.part(other, place)
            if base.equals(now):
                continue
            part = self._at(number)
            part.change(now)
            try:
                answers[number] = part.answer()
            except StageError:  # what a solve without an answer has left is not started from
                self.answers[number], self.loaded[number] = replace(self.answers[number], basis=part.basis), None
                raise
        return self._whole(answers, other)

    def with_columns(self, columns: list[Column]) -> Answer:
        """The best plan with extra columns to use or not; they stand at the end."""
        return self.beside(self.matrix.with_columns(columns))

    def beside(self, other: Matrix, stop: threading.Event | None = None) -> Answer:
        """The best plan of a matrix of the same rows and columns, and maybe more at the end, found from this one."""
        base, extra, basis = self.answer(), other.shape[1] - self.matrix.shape[1], None
        if len(self.places) == 1:
            self.let_go()
            known = self.answers[0].basis or self._at(0).basis
            basis = np.append(known[0], np.zeros(extra, dtype="int8")), known[1]
        found = np.append(base.values, np.zeros(extra)) if self.matrix.integer.any() else None
        return Loaded(other, basis, large=self.large, effort=self.effort, found=found, stop=stop).answer()

    def prices(self, costs: np.ndarray) -> np.ndarray:
        """The part of each shadow price of the plan that each row of `costs` makes up."""
        self.answer()
        found, every = np.zeros((len(costs), self.matrix.shape[0])), slice(None)
        for number, (rows, columns) in enumerate(self.places):
            mine = costs[:, every if columns is None else columns]
            found[:, every if rows is None else rows] = self._at(number).prices(mine)
        return found

    def let_go(self) -> None:
        """Give HiGHS's memory back until the next question, which starts from the plan again."""
        for number, part in enumerate(self.loaded):
            if part is not None and self.large:
                self.answers[number], self.loaded[number] = replace(self.answers[number], basis=part.basis), None

    def _at(self, number: int) -> Loaded:
        """A part in HiGHS, also where it was solved in another process."""
        if (part := self.loaded[number]) is None:
            base, answer = self.part(self.matrix, self.places[number]), self.answers[number]
            part = Loaded(base, answer.basis, large=self.large, effort=self.effort, found=answer.values, stop=self.stop)
            part.lower, part.upper = base.lower, base.upper
            self.loaded[number] = part
        return part

    @staticmethod
    def part(whole: Matrix, place: tuple[np.ndarray | None, np.ndarray | None]) -> Matrix:
        """The part at rows and columns `place`."""
        rows, columns = place
        return whole if rows is None or columns is None else whole.part(rows, columns)

    def _whole(self, answers: list[Answer], of: Matrix) -> Answer:
        if len(answers) == 1:
            return answers[0]
        rows, columns = of.shape
        values, shadow_price, reduced = np.zeros(columns), np.zeros(rows), np.zeros(columns)
        for (row, column), answer in zip(self.places, answers, strict=True):
            values[column], shadow_price[row], reduced[column] = answer.values, answer.shadow_price, answer.reduced
        profit = float(np.sum([answer.profit for answer in answers])) + of.offset
        gap, iterations = sum(answer.gap for answer in answers), sum(answer.iterations for answer in answers)
        broken = {}
        for name in of.promises:
            some = [(*place, answer.broken.get(name)) for place, answer in zip(self.places, answers, strict=True)]
            if any(one for _, _, one in some):
                broken[name] = Broken(sum(one.amount for *_, one in some if one), np.zeros(rows), np.zeros(columns))
                for row, column, one in some:
                    if one:
                        broken[name].shadow_price[row], broken[name].reduced[column] = one.shadow_price, one.reduced
        return Answer(values, shadow_price, reduced, profit, gap, iterations, broken)


def _solved_elsewhere(part: Matrix, large: bool, effort: Effort | None) -> Answer:
    loaded = Loaded(part, large=large, effort=effort)
    return replace(loaded.answer(), basis=loaded.basis)


class Solution:
    """What the solver found: `solution[m.make]` is a Series over the index of a Var, Expression or Constraint.

    A Constraint's values are its shadow price: the contribution after penalties gained by one more unit on its
    right-hand side; with whole numbers it is that of the plan with these held fixed. `measures` says how it was
    solved.
    """

    def __init__(self, model: pyo.ConcreteModel, read: Matrix, answer: Answer, network: Network | None = None) -> None:
        self.model, self.matrix, self.answer = model, read, answer
        self.network: Network = network  # type: ignore[assignment]  # absent where a model is solved by itself
        self.values, self.shadow_price, self.profit = answer.values, answer.shadow_price, answer.profit
        self.measures = {
            "contribution after penalties": answer.profit,
            "solver": f"HiGHS {highspy.Highs().version()}",
            "status": "Optimal" if answer.gap < 0.01 + PROVEN * abs(answer.profit) else "Best found",
            "gap in money": answer.gap,
            "variables": read.shape[1],
            "rules": read.shape[0],
            "whole-number decisions": int(read.integer.sum()),
        }
        if read.note:  # slower, but the same plan
            self.measures["read row by row"] = read.note

    def __getitem__(self, component: Any) -> pd.Series:
        """Values of a Var or Expression, or shadow prices of a Constraint, over its index; also by its name."""
        values, names = self.found(component if isinstance(component, str) else component.local_name)
        return pd.Series(values, index=names.index if names else None, dtype=float)

    def found(self, name: str) -> tuple[np.ndarray, Names | None]:
        """The values of the component called `name`, and what its members are called; None where it has none."""
        if name in self.matrix.columns:
            names = self.matrix.columns[name]
            return self.values[names.where], names
        if name in self.matrix.rows:
            names = self.matrix.rows[name]
            return self.shadow_price[names.where], names
        if name in self.matrix.expressions:
            names, entries, constant = self.matrix.expressions[name]
            return entries @ self.values + constant, names
        if name in self.matrix.empty:
            return np.zeros(0), None
        raise KeyError(f"the model has no {name!r}")


def built(network: Network) -> pyo.ConcreteModel:
    """The supply model of `network`, its rules held for the accelerator."""
    return build(network, held, set_of)


def read(book: Book, known: Known, go_on: Callable[[], None] = lambda: None) -> tuple[Network, Any, Matrix]:
    """The network, model and matrix of a book; `known`: what was made for another; `go_on` may raise in between."""
    network = Network(book, known)
    go_on()
    model = built(network)
    go_on()
    whole = matrix(model)
    go_on()
    return network, model, whole


def solved_anew(book: Book, known: Known, tables: Mapping[str, pd.DataFrame]) -> Solution:
    """The best plan of a book with other tables, not from any other plan; `known` as in `read`."""
    network, model, whole = read(book.with_tables(tables), known)
    return Solution(model, whole, Parts(whole, effort=Effort.of(book)).answer(), network)


def solve(model: pyo.ConcreteModel, *, engine: Engine | None = None, effort: Effort | None = None) -> Solution:
    """Solve `model`, its independent parts side by side; raises StageError where HiGHS finds no best plan."""
    whole = matrix(model)
    return Solution(model, whole, Parts(whole, engine, effort=effort).answer())
