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
from scipy.sparse import csc_array
from scipy.sparse.linalg import splu

from sopkit.engine import Engine
from sopkit.errors import StageError
from sopkit.supply.accelerator import matrix
from sopkit.supply.matrix import Matrix, Names
from sopkit.supply.network import Network

LARGE = 15_000
"""Rows from which on interior point with crossover beats the simplex method on planning networks (measured)."""

WARM_SHARE = 25
"""A warm start that needs more simplex iterations than rows / this is given up for a cold solve (large models only)."""

PRICED = 1e-9
"""A shadow price below this is the solver's tolerance."""


@dataclass(frozen=True)
class Effort:
    """How long a plan with whole numbers is looked for: to a relative gap, or for so many seconds."""

    gap: float = 1e-3
    seconds: float = 60.0


@dataclass(frozen=True)
class Answer:
    """What HiGHS found for one matrix: quantities, shadow prices of the rows, reduced cost of the columns, and how."""

    values: np.ndarray
    shadow_price: np.ndarray
    reduced: np.ndarray
    profit: float
    gap: float
    """How much more money a plan with other whole numbers could bring at most."""
    iterations: int
    broken: dict[str, Broken]
    """Promises that cannot be kept whole, by rank; all others are."""
    basis: Basis | None = None


@dataclass(frozen=True)
class Broken:
    """What is broken of a promise, and what one more unit of each row (column) would keep of it, as a price."""

    amount: float
    shadow_price: np.ndarray
    reduced: np.ndarray


Basis = tuple[np.ndarray, np.ndarray]
"""The status of each column and of each row."""


class Loaded:
    """One matrix in HiGHS: solved, then changed in bounds and costs and solved again from the first answer.

    Promises come first, by rank: each is kept as far as it can be, then every decision and limit that would break more
    of it is held where it is, and the next one is looked at; money comes last. So no price stands for a promise, and
    every shadow price is money. (Preemptive goal programming: Ignizio, Goal Programming and Extensions; a decision with
    a reduced cost leaves the best face when it moves.)

    What a change brings does not depend on the changes asked before it: each starts from the first answer's basis.
    One thread and a fixed seed, so that the same tables give the same plan. With whole numbers `answer` solves twice:
    for the whole numbers, then with these held fixed, which gives exact quantities and the shadow price of every limit.
    """

    def __init__(
        self,
        rows_and_columns: Matrix,
        basis: Basis | None = None,
        *,
        large: bool | None = None,
        effort: Effort | None = None,
        found: np.ndarray | None = None,
    ) -> None:
        self.matrix, self.effort = rows_and_columns, effort or Effort()
        self.whole = np.flatnonzero(rows_and_columns.integer).astype("int32")
        self.warm = basis is not None
        # a part is solved the way its whole would be: halves of a large model are still slow for the simplex method
        self.large = rows_and_columns.shape[0] >= LARGE if large is None else large
        self.found = found
        self.highs = _passed(rows_and_columns, self.effort.gap)
        self.first: tuple[highspy.HighsBasis, np.ndarray | None] | None = None
        if basis is not None:
            given = highspy.HighsBasis()
            given.col_status = [highspy.HighsBasisStatus(int(status)) for status in basis[0]]
            given.row_status = [highspy.HighsBasisStatus(int(status)) for status in basis[1]]
            given.valid = True
            self.highs.setBasis(given)
            self.first = given, found

    def answer(self) -> Answer:
        """The best plan; raises StageError where HiGHS does not prove one."""
        self.lower, self.upper = self.matrix.lower.copy(), self.matrix.upper.copy()
        self.promised = {name: broken for name, broken in self.matrix.promises.items() if broken.any()}
        gap = self._whole_numbers() if len(self.whole) else 0.0
        return self._by_rank(gap)

    def _read(self, gap: float, broken: dict[str, Broken]) -> Answer:
        """What HiGHS found, before anything is changed."""
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
            broken,
        )

    def change(self, other: Matrix) -> None:
        """Take the bounds and costs of `other`, which has the same structure; what is equal is not touched."""
        highs = self.highs
        self._bounds(
            np.flatnonzero((self.lower != other.lower) | (self.upper != other.upper)), other.lower, other.upper
        )
        rows = (self.matrix.row_lower != other.row_lower) | (self.matrix.row_upper != other.row_upper)
        self._rows(np.flatnonzero(rows), other.row_lower, other.row_upper)
        self._costs(np.flatnonzero(self.matrix.cost != other.cost), other.cost)
        if self.matrix.offset != other.offset:
            highs.changeObjectiveOffset(other.offset)
        if self.first is not None:
            highs.clearSolver()
            highs.setBasis(self.first[0])
            self.found = self.first[1]
        self.matrix = other

    def prices(self, cost: np.ndarray) -> np.ndarray:
        """The part of every shadow price of the first answer that the costs `cost` make up: those of its basis.

        Of a basis B the shadow prices y solve y B = c(B): they are linear in costs, so parts of the costs give parts
        of the prices.
        """
        assert self.first is not None
        status = self.first[0]
        basic = highspy.HighsBasisStatus.kBasic
        columns = np.flatnonzero([one == basic for one in status.col_status])
        rows = np.flatnonzero([one != basic for one in status.row_status])
        priced = np.zeros(self.matrix.shape[0])
        if len(rows):
            priced[rows] = splu(csc_array(self.matrix.a[rows][:, columns]).T.tocsc()).solve(cost[columns])
        return priced

    def basis(self) -> Basis:
        """The basis of the first answer, as numbers that can travel between processes."""
        assert self.first is not None
        first = self.first[0]
        columns, rows = (np.fromiter(map(int, status), dtype="int8") for status in (first.col_status, first.row_status))
        return columns, rows

    # what HiGHS holds --------------------------------------------------------------------------------------------
    def _rows(self, rows: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> None:
        if len(rows):
            rows = rows.astype("int32")
            change: Any = self.highs.changeRowsBounds  # type: ignore[attr-defined]
            change(len(rows), rows, lower[rows], upper[rows])

    def _bounds(self, columns: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> None:
        if len(columns):
            columns = columns.astype("int32")
            self.highs.changeColsBounds(len(columns), columns, lower[columns], upper[columns])

    def _costs(self, columns: np.ndarray, cost: np.ndarray) -> None:
        if len(columns):
            columns = columns.astype("int32")
            self.highs.changeColsCost(len(columns), columns, cost[columns])

    # promises, then money ----------------------------------------------------------------------------------------
    def _by_rank(self, gap: float) -> Answer:
        """Solve for each promise by rank, then for money."""
        if not self.promised:
            self._run()
            return self._read(gap, {})
        breaks = np.flatnonzero(np.any([*self.promised.values()], axis=0))
        self._bounds(breaks, self.lower, np.zeros(len(self.upper)))
        answer = self._read(gap, {}) if self._run(refuse=False) else None
        self._bounds(breaks, self.lower, self.upper)
        if answer:  # all of them are kept whole
            return answer
        self._restart()
        every, rows = np.arange(len(self.lower)), np.arange(self.matrix.shape[0])
        lower, upper = self.lower.copy(), self.upper.copy()
        row_lower, row_upper = self.matrix.row_lower.copy(), self.matrix.row_upper.copy()
        found: dict[str, Broken] = {}
        values = None
        for name, broken in self.promised.items():
            held = broken > 0  # kept whole already: nothing need be solved
            if values is None or broken @ values > 1e-7:
                self._costs(every, -broken if self.matrix.maximise else broken)
                self._run()
                solution = self.highs.getSolution()
                values, priced = np.array(solution.col_value), np.array(solution.row_dual)
                reduced, use = np.array(solution.col_dual), np.array(solution.row_value)
                if (amount := float(broken @ values)) > 1e-7:
                    found[name] = Broken(amount, priced, reduced)
                    held = np.abs(reduced) > PRICED
                    bound = np.flatnonzero(np.abs(priced) > PRICED)
                    row_lower[bound] = row_upper[bound] = _nearest(use, row_lower, row_upper)[bound]
                    self._rows(bound, row_lower, row_upper)
            lower[held] = upper[held] = _nearest(values, lower, upper)[held]
            self._bounds(np.flatnonzero(held), lower, upper)
        self._costs(every, self.matrix.cost)
        self._run()
        answer = self._read(gap, found)
        self._bounds(every[(lower != self.lower) | (upper != self.upper)], self.lower, self.upper)
        moved = (row_lower != self.matrix.row_lower) | (row_upper != self.matrix.row_upper)
        self._rows(rows[moved], self.matrix.row_lower, self.matrix.row_upper)
        return answer

    def _restart(self) -> None:
        """Forget what a solve that failed has left, but not where to start from."""
        self.highs.clearSolver()
        if self.first is not None:
            self.highs.setBasis(self.first[0])
        self.warm = self.first is not None

    # whole numbers -----------------------------------------------------------------------------------------------
    def _whole_numbers(self) -> float:
        """Find the whole numbers and hold them fixed; how much money others could bring at most."""
        highs, whole = self.highs, self.whole
        self._bounds(whole, self.lower, self.upper)
        highs.changeColsIntegrality(len(whole), whole, np.full(len(whole), highspy.HighsVarType.kInteger))
        breaks = np.flatnonzero(np.any([*self.promised.values()], axis=0)) if self.promised else whole[:0]
        self._bounds(breaks, self.lower, np.zeros(len(self.upper)))
        kept, rows = self._search(refuse=not len(breaks)), highs.getNumRow()
        if not kept:
            self._bounds(breaks, self.lower, self.upper)
            every = np.arange(len(self.lower))
            for broken in self.promised.values():
                self._costs(every, -broken if self.matrix.maximise else broken)
                self._search()
                most = float(broken @ self.found)
                columns = np.flatnonzero(broken).astype("int32")
                highs.addRow(-highspy.kHighsInf, most + 1e-6 * (1 + most), len(columns), columns, broken[columns])
            self._costs(every, self.matrix.cost)
            self._search()
        info = highs.getInfo()
        gap = abs(info.mip_dual_bound - info.objective_function_value)
        assert self.found is not None
        self.found[whole] = np.round(self.found[whole])
        if (added := highs.getNumRow() - rows) > 0:
            highs.deleteRows(added, np.arange(rows, rows + added, dtype="int32"))
        highs.changeColsIntegrality(len(whole), whole, np.full(len(whole), highspy.HighsVarType.kContinuous))
        self.lower[whole] = self.upper[whole] = self.found[whole]
        self._bounds(np.arange(len(self.lower)), self.lower, self.upper)
        self.warm = False
        return gap

    def _search(self, *, refuse: bool = True) -> bool:
        """Look for whole numbers, from those known; False where none were found. The time is only a net: see `gap`."""
        highs, whole = self.highs, self.whole
        highs.setOptionValue("time_limit", highs.getRunTime() + self.effort.seconds)
        if self.found is None:  # nothing set up, ordered, hired: promises may be broken, but there is a plan
            switches = whole[self.matrix.upper[whole] <= 1]
            highs.setSolution(len(switches), switches, np.zeros(len(switches)))
        else:
            start = highspy.HighsSolution()
            start.col_value = self.found.tolist()
            highs.setSolution(start)
        highs.run()
        highs.setOptionValue("time_limit", highspy.kHighsInf)
        there = highs.getInfo().primal_solution_status == 2
        if there:
            self.found = np.array(highs.getSolution().col_value)
        elif refuse:
            self._refuse_unsolved()
        return there

    def _run(self, *, refuse: bool = True) -> bool:
        """Solve the linear model: warm where there is a basis, by interior point and crossover where it is large."""
        highs = self.highs
        cold = "ipx" if self.large else "simplex"
        if self.warm and self.large:
            highs.setOptionValue("solver", "simplex")
            highs.setOptionValue("simplex_iteration_limit", max(1000, self.matrix.shape[0] // WARM_SHARE))
            highs.run()
            highs.setOptionValue("simplex_iteration_limit", 2_147_483_647)
            if highs.getModelStatus() == highspy.HighsModelStatus.kOptimal:
                return True
            highs.clearSolver()
        highs.setOptionValue("solver", cold)
        highs.run()
        if self.large and refuse and highs.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            highs.setOptionValue("solver", "simplex")
            highs.run()
        solved = highs.getModelStatus() in (highspy.HighsModelStatus.kOptimal, highspy.HighsModelStatus.kModelEmpty)
        if refuse and not solved:
            self._refuse_unsolved()
        self.warm = True
        return solved

    def _refuse_unsolved(self) -> None:
        status = self.highs.modelStatusToString(self.highs.getModelStatus())
        raise StageError(
            f"HiGHS ended with '{status}'. A plan always exists, so "
            "this is an error of sopkit: please report it with the cycle's tables folder."
        )


def _nearest(values: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """Values within their bounds, without the solver's tolerance."""
    return np.minimum(np.maximum(values, lower), upper)


def _passed(given: Matrix, gap: float) -> highspy.Highs:
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
    options: dict[str, Any] = {"output_flag": False, "threads": 1, "parallel": "off", "random_seed": 0}
    for option, value in (options | {"mip_rel_gap": gap}).items():
        highs.setOptionValue(option, value)
    highs.passModel(lp)
    return highs


class Parts:
    """A matrix as its independent parts, each in HiGHS by itself: solved side by side, re-solved only where changed.

    Two columns belong together where a chain of rows joins them, so the split is exact: the profits of the parts add up
    to that of the whole. Parts are dealt into as many heaps as `engine` has workers; a model below LARGE stays whole.
    """

    def __init__(
        self, whole: Matrix, engine: Engine | None = None, *, least: int = LARGE, effort: Effort | None = None
    ) -> None:
        self.matrix, self.engine, self.effort = whole, engine, effort
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
                    Loaded(self.part(self.matrix, place), large=self.large, effort=self.effort) for place in self.places
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
            answers[number] = part.answer()
        return self._whole(answers, other)

    def with_columns(self, columns: Iterable[tuple[float, float, np.ndarray, np.ndarray]]) -> Answer:
        """The best plan with extra columns (cost, most, rows, coefficients) to use or not; they stand at the end."""
        base, wider = self.answer(), self.matrix.with_columns(columns)
        extra = wider.shape[1] - self.matrix.shape[1]
        basis = None
        if len(self.places) == 1:
            known = self._at(0).basis()
            basis = np.append(known[0], np.zeros(extra, dtype="int8")), known[1]
        found = np.append(base.values, np.zeros(extra)) if self.matrix.integer.any() else None
        return Loaded(wider, basis, large=self.large, effort=self.effort, found=found).answer()

    def prices(self, cost: np.ndarray) -> np.ndarray:
        """The part of each shadow price of the plan that the costs `cost` make up."""
        self.answer()
        found = np.zeros(self.matrix.shape[0])
        for number, (rows, columns) in enumerate(self.places):
            found[slice(None) if rows is None else rows] = self._at(number).prices(
                cost if columns is None else cost[columns]
            )
        return found

    def _at(self, number: int) -> Loaded:
        """A part in HiGHS, also where it was solved in another process."""
        if (part := self.loaded[number]) is None:
            base, answer = self.part(self.matrix, self.places[number]), self.answers[number]
            part = Loaded(base, answer.basis, large=self.large, effort=self.effort, found=answer.values)
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
    """One part, solved in a process of its own."""
    loaded = Loaded(part, large=large, effort=effort)
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
            "gap in money": answer.gap,
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


def solve(model: pyo.ConcreteModel, *, engine: Engine | None = None, effort: Effort | None = None) -> Solution:
    """Solve `model`, its independent parts side by side; raises StageError where HiGHS finds no best plan."""
    whole = matrix(model)
    return Solution(model, whole, Parts(whole, engine, effort=effort).answer())
