"""One matrix in HiGHS: promises by rank, then money, then whole numbers held fixed; changed and solved again."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import highspy
import numpy as np
from scipy.sparse import csc_array
from scipy.sparse.linalg import splu

from sopkit.errors import StageError
from sopkit.supply.matrix import Matrix

if TYPE_CHECKING:
    from sopkit.book import Book

# rows from which on interior point with crossover beats the simplex method on planning networks (measured)
LARGE = 15_000

# a warm start that needs more simplex iterations than rows / this is given up for a cold solve (large models only)
WARM_SHARE = 10

# how far a rank's price lies above the next one's, and the last above money, where a large model's ranks start
ABOVE, ABOVE_MONEY = 3, 10

DUAL, PRIMAL = 1, 4  # HiGHS's numbers for the two simplex methods

PRICED = 1e-9  # a shadow price below this is the solver's tolerance


# how a column or row stands in a basis, by its number
STATUSES = [highspy.HighsBasisStatus(number) for number in range(5)]


@dataclass(frozen=True)
class Effort:
    """How long a plan with whole numbers is looked for: to a relative gap, or for so many seconds or branches."""

    gap: float = 1e-3
    seconds: float = 60.0
    nodes: int = 2_147_483_647

    @classmethod
    def of(cls, book: Book) -> Effort:
        """As the book's company wants it."""
        return cls(book.company.policies.gap, book.company.policies.time_limit)


@dataclass(frozen=True)
class Answer:
    """What HiGHS found for one matrix: quantities, shadow prices of the rows, reduced cost of the columns, and how."""

    values: np.ndarray
    shadow_price: np.ndarray
    reduced: np.ndarray
    profit: float
    gap: float  # how much more money a plan with other whole numbers could bring at most
    iterations: int
    broken: dict[str, Broken]  # promises that cannot be kept whole, by rank; all others are
    basis: Basis | None = None


@dataclass(frozen=True)
class Broken:
    """What is broken of a promise, and what one more unit of each row (column) would keep of it, as a price."""

    amount: float
    shadow_price: np.ndarray
    reduced: np.ndarray


# Bit of a presolve step that is left out: HiGHS 1.15 merges parallel rows and columns and calls 7,839.25 proven where
# 7,856.75 is there (company 2 of tests/independent.py)
PARALLEL = 1 << 13

Basis = tuple[np.ndarray, np.ndarray]  # the status of each column and of each row


class Loaded:
    """One matrix in HiGHS: solved, then changed in bounds and costs and solved again from the first answer.

    Promises come first, by rank: each is kept as far as it can be, then every decision and limit that would break more
    of it is held where it is, and the next one is looked at; money comes last. So no price stands for a promise, and
    every shadow price is money. (Preemptive goal programming: Ignizio, Goal Programming and Extensions; a decision with
    a reduced cost leaves the best face when it moves.)

    What a change brings does not depend on the changes asked before it: each starts from the first answer's basis.
    One thread and a fixed seed, so that the same tables give the same plan. With whole numbers `answer` solves twice:
    for the whole numbers, then with these held fixed, which gives exact quantities and the shadow price of every limit.
    A solve ends without an answer once `stop` is set: load the matrix anew then.
    """

    def __init__(
        self,
        rows_and_columns: Matrix,
        basis: Basis | None = None,
        *,
        large: bool | None = None,
        effort: Effort | None = None,
        found: np.ndarray | None = None,
        stop: threading.Event | None = None,
    ) -> None:
        self.matrix, self.effort = rows_and_columns, effort or Effort()
        self.whole = np.flatnonzero(rows_and_columns.integer).astype("int32")
        self.warm = basis is not None
        # a part is solved the way its whole would be: halves of a large model are still slow for the simplex method
        self.large = rows_and_columns.shape[0] >= LARGE if large is None else large
        self.found = found
        self.highs = _passed(rows_and_columns, self.effort)
        if stop is not None and (self.large or len(self.whole)):  # small ones are solved before anybody asks
            _listens(self.highs, stop)
        self.first: tuple[highspy.HighsBasis, np.ndarray | None] | None = None
        if basis is not None:
            given = highspy.HighsBasis()
            given.col_status, given.row_status = ([STATUSES[one] for one in part.tolist()] for part in basis)
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

    def prices(self, costs: np.ndarray) -> np.ndarray:
        """The part of every shadow price of the first answer that each row of `costs` makes up: those of its basis.

        Of a basis B the shadow prices y solve y B = c(B): they are linear in costs, so parts of the costs give parts
        of the prices.
        """
        basic = int(highspy.HighsBasisStatus.kBasic)
        columns, rows = np.flatnonzero(self.basis[0] == basic), np.flatnonzero(self.basis[1] != basic)
        priced = np.zeros((len(costs), self.matrix.shape[0]))
        if len(rows):
            solve = splu(csc_array(self.matrix.a[rows][:, columns]).T.tocsc()).solve
            priced[:, rows] = [solve(cost[columns]) for cost in costs]
        return priced

    @cached_property
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
        every, rows = np.arange(len(self.lower)), np.arange(self.matrix.shape[0])
        lower, upper = self.lower.copy(), self.upper.copy()
        row_lower, row_upper = self.matrix.row_lower.copy(), self.matrix.row_upper.copy()
        found: dict[str, Broken] = {}
        values = None
        if self.large:
            self._costs(every, self._at_prices())
            if self._run(refuse=False):
                values = np.array(self.highs.getSolution().col_value)
            else:
                self._restart()
            self.highs.setOptionValue("simplex_strategy", PRIMAL)  # what one rank leaves is a plan for the next
        else:
            breaks = np.flatnonzero(np.any([*self.promised.values()], axis=0))
            self._bounds(breaks, lower, np.zeros(len(upper)))
            answer = self._read(gap, {}) if self._run(refuse=False) else None
            self._bounds(breaks, lower, upper)
            if answer:  # all of them are kept whole
                return answer
            self._restart()
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
        self.highs.setOptionValue("simplex_strategy", DUAL)
        answer = self._read(gap, found)
        self._bounds(every[(lower != self.lower) | (upper != self.upper)], self.lower, self.upper)
        moved = (row_lower != self.matrix.row_lower) | (row_upper != self.matrix.row_upper)
        self._rows(rows[moved], self.matrix.row_lower, self.matrix.row_upper)
        return answer

    def _at_prices(self) -> np.ndarray:
        """Costs in which each rank has a price above all that is money and above the ranks after it.

        A plan that is best at them keeps the promises nearly as the ranks want it: from there each rank takes a few
        steps, where from nothing each takes as long as the whole. Prices further apart leave fewer steps, but interior
        point takes longer (168,000 decisions, three classes: 16 s; at 30 for 3 it took 24; money alone 8).
        """
        cost, price = self.matrix.cost.copy(), ABOVE_MONEY * float(np.abs(self.matrix.cost).max())
        for broken in reversed(self.promised.values()):
            price *= ABOVE
            cost += (-1 if self.matrix.maximise else 1) * price / broken.max() * broken
        return cost

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
        if self.found is None:
            self._round()
        kept, rows = self._search(refuse=not len(breaks)), highs.getNumRow()
        if not kept:
            self._bounds(breaks, self.lower, self.upper)
            every = np.arange(len(self.lower))
            for rank, broken in enumerate(self.promised.values()):
                self._costs(every, -broken if self.matrix.maximise else broken)
                self._search()
                most = float(broken @ self.found)
                columns = np.flatnonzero(broken).astype("int32")
                room = 1e-6 * 10**rank * (1 + most)  # what the room of one rank brings the next is within its own
                highs.addRow(-highspy.kHighsInf, most + room, len(columns), columns, broken[columns])
            self._costs(every, self.matrix.cost)
            self._search()
        gap = self._gap()
        assert self.found is not None
        self.found[whole] = np.round(self.found[whole])
        if (added := highs.getNumRow() - rows) > 0:
            highs.deleteRows(added, np.arange(rows, rows + added, dtype="int32"))
        highs.changeColsIntegrality(len(whole), whole, np.full(len(whole), highspy.HighsVarType.kContinuous))
        self.lower[whole] = self.upper[whole] = self.found[whole]
        self._bounds(np.arange(len(self.lower)), self.lower, self.upper)
        self.warm = False
        return gap

    def _round(self) -> None:
        """A first plan of whole numbers from that of any numbers: what is made at all is set up, or what mostly is."""
        highs, switches = self.highs, self.whole[self.matrix.upper[self.whole] <= 1]
        highs.setOptionValue("solve_relaxation", True)
        highs.run()
        relaxed = np.array(highs.getSolution().col_value)
        best, sign = -np.inf, 1.0 if self.matrix.maximise else -1.0
        if highs.getModelStatus() == highspy.HighsModelStatus.kOptimal and len(switches) == len(self.whole):
            for least in (1e-6, 0.1, 0.5):
                on = self.lower.copy()
                on[switches] = relaxed[switches] > least
                self._bounds(switches, on, on)
                highs.run()
                profit = sign * highs.getInfo().objective_function_value
                if highs.getModelStatus() == highspy.HighsModelStatus.kOptimal and profit > best:
                    best, self.found = profit, np.array(highs.getSolution().col_value)
        highs.setOptionValue("solve_relaxation", False)
        self._bounds(switches, self.lower, self.upper)

    def _search(self, *, refuse: bool = True) -> bool:
        """Look for whole numbers, from those known; False where none were found. The time is only a net: see `gap`."""
        highs, switches = self.highs, self.whole[self.matrix.upper[self.whole] <= 1]
        highs.setOptionValue("time_limit", highs.getRunTime() + self.effort.seconds)
        if self.found is None:  # nothing set up, ordered, hired: promises may be broken, but there is a plan
            highs.setSolution(len(switches), switches, np.zeros(len(switches)))
        else:
            start = highspy.HighsSolution()
            start.col_value = self.found.tolist()
            highs.setSolution(start)
        there = self._looked()
        self.bound = highs.getInfo().mip_dual_bound if there else np.inf
        highs.setOptionValue("time_limit", highspy.kHighsInf)
        if not there and refuse:  # a plan always exists: without lots and orders that are all or nothing
            self._bounds(switches, self.lower, np.zeros(len(self.upper)))
            there = self._looked()
            if not there:
                self._refuse_unsolved()
            self._bounds(switches, self.lower, self.upper)
        return there

    def _looked(self) -> bool:
        """Whether a run found whole numbers, which are then those known."""
        self.highs.run()
        info = self.highs.getInfo()
        if there := info.primal_solution_status == 2:
            self.found, self.best = np.array(self.highs.getSolution().col_value), info.objective_function_value
        return there

    def _gap(self) -> float:
        """How much money others than the whole numbers known could bring at most: where time ran out, any numbers."""
        gap = abs(self.bound - self.best)
        if self.highs.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            self.highs.setOptionValue("solve_relaxation", True)
            self.highs.run()
            gap = min(gap, abs(self.highs.getInfo().objective_function_value - self.best))
            self.highs.setOptionValue("solve_relaxation", False)
        return gap

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


def _listens(highs: highspy.Highs, stop: threading.Event) -> None:
    def look(asked: Any) -> None:
        if stop.is_set():
            asked.interrupt()

    for event in (highs.cbSimplexInterrupt, highs.cbIpmInterrupt, highs.cbMipInterrupt):
        event.subscribe(look)


def _passed(given: Matrix, effort: Effort) -> highspy.Highs:
    """The matrix in HiGHS, its whole numbers as any numbers."""
    highs = highspy.Highs()
    options: dict[str, Any] = {"output_flag": False, "threads": 1, "parallel": "off", "random_seed": 0}
    if given.integer.any():
        options["presolve_rule_off"] = PARALLEL
    for option, value in (options | {"mip_rel_gap": effort.gap, "mip_max_nodes": effort.nodes}).items():
        highs.setOptionValue(option, value)
    (rows, columns), a = given.shape, given.a
    by_row, sense = int(highspy.MatrixFormat.kRowwise), -1 if given.maximise else 1
    highs.passModel(
        columns, rows, a.nnz, by_row, sense, given.offset, given.cost, given.lower, given.upper,
        given.row_lower, given.row_upper, a.indptr, a.indices, a.data, np.zeros(columns, dtype="int32"),
    )  # fmt: skip
    return highs
