"""The model handed to HiGHS as arrays, split into its independent parts, solved, changed and solved again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import highspy
import numpy as np
import pandas as pd
import pyomo.environ as pyo

from sopkit.engine import Engine
from sopkit.errors import StageError
from sopkit.supply.accelerator import matrix
from sopkit.supply.matrix import Matrix, Names
from sopkit.supply.network import Network

GAP = 1e-6
"""Relative gap at which a plan with whole numbers is taken as best."""

LARGE = 15_000
"""Rows from which on interior point with crossover beats the simplex method on planning networks (measured)."""

WARM_SHARE = 25
"""A warm start that needs more simplex iterations than rows / this is given up for a cold solve (large models only)."""


@dataclass(frozen=True)
class Answer:
    """What HiGHS found for one matrix: quantities, shadow prices of the rows, reduced cost of the columns, and how."""

    values: np.ndarray
    shadow_price: np.ndarray
    reduced: np.ndarray
    profit: float
    gap: float
    iterations: int
    basis: tuple[np.ndarray, np.ndarray] | None = None


class Loaded:
    """One matrix in HiGHS: solved, then changed in bounds and costs and solved again from the first answer.

    What a change brings does not depend on the changes asked before it: each starts from the first answer's basis.
    One thread and a fixed seed, so that the same tables give the same plan. With whole numbers `answer` solves twice:
    for the whole numbers, then with these held fixed, which gives exact quantities and the shadow price of every limit.
    """

    def __init__(
        self, rows_and_columns: Matrix, basis: tuple[np.ndarray, np.ndarray] | None = None, *, large: bool | None = None
    ) -> None:
        self.matrix = rows_and_columns
        self.whole = np.flatnonzero(rows_and_columns.integer).astype("int32")
        self.warm = basis is not None
        # a part is solved the way its whole would be: halves of a large model are still slow for the simplex method
        self.large = rows_and_columns.shape[0] >= LARGE if large is None else large
        self.found: np.ndarray | None = None
        self.highs = _passed(rows_and_columns)
        self.first: tuple[highspy.HighsBasis, np.ndarray | None] | None = None
        if basis is not None:
            given = highspy.HighsBasis()
            given.col_status = [highspy.HighsBasisStatus(int(status)) for status in basis[0]]
            given.row_status = [highspy.HighsBasisStatus(int(status)) for status in basis[1]]
            given.valid = True
            self.highs.setBasis(given)
            self.first = given, None

    def answer(self) -> Answer:
        """The best plan; raises StageError where HiGHS does not prove one."""
        gap = 0.0
        if len(self.whole):
            gap = self._whole_numbers()
        self._run()
        if self.first is None:
            self.first = self.highs.getBasis(), self.found
        solution, info = self.highs.getSolution(), self.highs.getInfo()
        return Answer(
            np.array(solution.col_value),
            np.array(solution.row_dual),
            np.array(solution.col_dual),
            info.objective_function_value,
            gap,
            info.simplex_iteration_count + info.ipm_iteration_count,
        )

    def change(self, other: Matrix) -> None:
        """Take the bounds and costs of `other`, which has the same structure; what is equal is not touched."""
        now, highs = self.matrix, self.highs
        rows = _differ(now.row_lower, other.row_lower) | _differ(now.row_upper, other.row_upper)
        self._rows(np.flatnonzero(rows), other.row_lower, other.row_upper)
        columns = np.flatnonzero(_differ(now.lower, other.lower) | _differ(now.upper, other.upper)).astype("int32")
        if len(self.whole):  # the last answer held them fixed
            columns = np.union1d(columns, self.whole).astype("int32")
        if len(columns):
            highs.changeColsBounds(len(columns), columns, other.lower[columns], other.upper[columns])
        costs = np.flatnonzero(_differ(now.cost, other.cost)).astype("int32")
        if len(costs):
            highs.changeColsCost(len(costs), costs, other.cost[costs])
        if now.offset != other.offset:
            highs.changeObjectiveOffset(other.offset)
        if self.first is not None:
            highs.clearSolver()
            highs.setBasis(self.first[0])
            self.found = self.first[1]
        self.matrix = other

    def with_columns(self, columns: Iterable[tuple[float, float, np.ndarray, np.ndarray]]) -> tuple[float, np.ndarray]:
        """The profit with extra columns (cost, most, rows, coefficients) to use or not, and how much of each is used.

        Whole numbers stay as the last answer has them; afterwards the model is as before.
        """
        highs, first = self.highs, self.highs.getNumCol()
        columns = list(columns)
        before = highs.getBasis()
        for cost, most, rows, coefficients in columns:
            rows, coefficients = np.asarray(rows, dtype="int32"), np.asarray(coefficients, dtype=float)
            highs.addCol(cost, 0.0, most, len(rows), rows, coefficients)
        try:
            self._run()
            return highs.getInfo().objective_function_value, np.array(highs.getSolution().col_value)[first:]
        finally:
            added = np.arange(first, first + len(columns), dtype="int32")
            highs.deleteCols(len(added), added)
            highs.setBasis(before)

    def basis(self) -> tuple[np.ndarray, np.ndarray]:
        """The basis of the last answer, as numbers that can travel between processes."""
        basis = self.highs.getBasis()
        columns, rows = (np.fromiter(map(int, status), dtype="int8") for status in (basis.col_status, basis.row_status))
        return columns, rows

    def _rows(self, rows: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> None:
        if len(rows):
            rows = rows.astype("int32")
            change: Any = self.highs.changeRowsBounds  # type: ignore[attr-defined]
            change(len(rows), rows, lower[rows], upper[rows])

    def _whole_numbers(self) -> float:
        """Find the whole numbers and hold them fixed; the gap that is left."""
        highs, whole = self.highs, self.whole
        highs.changeColsBounds(len(whole), whole, self.matrix.lower[whole], self.matrix.upper[whole])
        highs.changeColsIntegrality(len(whole), whole, np.full(len(whole), highspy.HighsVarType.kInteger))
        if self.found is not None:
            start = highspy.HighsSolution()
            start.col_value = self.found.tolist()
            highs.setSolution(start)
        highs.run()
        self._refuse_unsolved()
        gap = highs.getInfo().mip_gap
        self.found = np.array(highs.getSolution().col_value)
        self.found[whole] = np.round(self.found[whole])
        highs.changeColsIntegrality(len(whole), whole, np.full(len(whole), highspy.HighsVarType.kContinuous))
        highs.changeColsBounds(len(whole), whole, self.found[whole], self.found[whole])
        self.warm = False
        return gap

    def _run(self) -> None:
        """Solve the linear model: warm where there is a basis, by interior point and crossover where it is large."""
        highs = self.highs
        cold = "ipx" if self.large else "simplex"
        if self.warm and self.large:
            highs.setOptionValue("solver", "simplex")
            highs.setOptionValue("simplex_iteration_limit", max(1000, self.matrix.shape[0] // WARM_SHARE))
            highs.run()
            highs.setOptionValue("simplex_iteration_limit", 2_147_483_647)
            if highs.getModelStatus() == highspy.HighsModelStatus.kOptimal:
                return
            highs.clearSolver()
        highs.setOptionValue("solver", cold)
        highs.run()
        if self.large and highs.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            highs.setOptionValue("solver", "simplex")
            highs.run()
        self._refuse_unsolved()
        self.warm = True

    def _refuse_unsolved(self) -> None:
        status = self.highs.getModelStatus()
        if status not in (highspy.HighsModelStatus.kOptimal, highspy.HighsModelStatus.kModelEmpty):  # nothing to decide
            raise StageError(
                f"HiGHS ended with '{self.highs.modelStatusToString(status)}'. A plan always exists, so "
                "this is an error of sopkit: please report it with the cycle's tables folder."
            )


def _passed(given: Matrix) -> highspy.Highs:
    """The matrix in HiGHS."""
    lp = highspy.HighsLp()
    lp.num_row_, lp.num_col_ = given.shape
    lp.sense_ = highspy.ObjSense.kMaximize if given.maximise else highspy.ObjSense.kMinimize
    lp.offset_, lp.col_cost_ = given.offset, given.cost
    lp.col_lower_, lp.col_upper_ = given.lower, given.upper
    lp.row_lower_, lp.row_upper_ = given.row_lower, given.row_upper
    lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    lp.a_matrix_.start_, lp.a_matrix_.index_, lp.a_matrix_.value_ = given.a.indptr, given.a.indices, given.a.data
    highs = highspy.Highs()
    options: dict[str, Any] = {
        "output_flag": False,
        "threads": 1,
        "parallel": "off",
        "random_seed": 0,
        "mip_rel_gap": GAP,
    }
    for option, value in (options | {"mip_rel_gap": GAP}).items():
        highs.setOptionValue(option, value)
    highs.passModel(lp)
    return highs


def _differ(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return left != right


class Parts:
    """A matrix as its independent parts, each in HiGHS by itself: solved side by side, re-solved only where changed.

    Two columns belong together where a chain of rows joins them, so the split is exact: the profits of the parts add up
    to that of the whole. Parts are dealt into as many heaps as `engine` has workers; a model below LARGE stays whole.
    """

    def __init__(self, whole: Matrix, engine: Engine | None = None, *, least: int = LARGE) -> None:
        self.matrix, self.engine = whole, engine
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
                    partial(_solved_elsewhere, large=self.large), [self.part(self.matrix, p) for p in self.places]
                )
            else:
                loaded = [Loaded(self.part(self.matrix, place), large=self.large) for place in self.places]
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
            part = self.loaded[number]
            if part is None:
                part = self.loaded[number] = Loaded(base, self.answers[number].basis, large=self.large)
            part.change(now)
            answers[number] = part.answer()
        return self._whole(answers, other)

    def whole(self) -> Loaded:
        """The model in one HiGHS, solved."""
        self.answer()
        if len(self.places) == 1 and (loaded := self.loaded[0]) is not None:
            if loaded.matrix is not self.matrix:  # another question was asked since
                loaded.change(self.matrix)
                loaded.answer()
            return loaded
        joined = Loaded(self.matrix)
        joined.answer()
        return joined

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
        gap = max(answer.gap for answer in answers)
        return Answer(values, shadow_price, reduced, profit, gap, sum(answer.iterations for answer in answers))


def _solved_elsewhere(part: Matrix, large: bool) -> Answer:
    """One part, solved in a process of its own."""
    loaded = Loaded(part, large=large)
    return replace(loaded.answer(), basis=loaded.basis())


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
            "status": "Optimal",
            "gap": answer.gap,
            "variables": read.shape[1],
            "rules": read.shape[0],
            "whole-number decisions": int(read.integer.sum()),
        }
        if read.note:  # slower, but the same plan
            self.measures["read row by row"] = read.note

    def __getitem__(self, component: Any) -> pd.Series:
        """Values of a Var or Expression, or shadow prices of a Constraint, over its index; also by its name."""
        name = component if isinstance(component, str) else component.local_name
        if name in self.matrix.columns:
            names = self.matrix.columns[name]
            return _series(self.values[names.where], names)
        if name in self.matrix.rows:
            names = self.matrix.rows[name]
            return _series(self.shadow_price[names.where], names)
        if name in self.matrix.expressions:
            names, entries, constant = self.matrix.expressions[name]
            return _series(entries @ self.values + constant, names)
        if name in self.matrix.empty:
            return pd.Series(dtype=float)
        raise KeyError(f"the model has no {name!r}")


def _series(values: np.ndarray, names: Names) -> pd.Series:
    return pd.Series(values, index=names.index, dtype=float)


def solve(model: pyo.ConcreteModel, *, engine: Engine | None = None) -> Solution:
    """Solve `model`, its independent parts side by side; raises StageError where HiGHS finds no best plan."""
    whole = matrix(model)
    return Solution(model, whole, Parts(whole, engine).answer())
