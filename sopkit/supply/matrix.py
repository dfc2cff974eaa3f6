"""A linear model as the arrays that HiGHS takes, read from Pyomo's public interface row by row.

This is the truth and always there. `accelerator.py` gives the same matrix without walking one expression a row.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from pyomo.environ import Constraint, Expression, Objective, Var, maximize, value
from pyomo.repn import generate_standard_repn
from scipy.sparse import block_array, coo_array, csr_array, hstack, vstack
from scipy.sparse.csgraph import connected_components

# the labels of the members of a component as codes: one array for each index, none for a scalar
Labels = tuple[np.ndarray, ...]

# the rows of one constraint: coefficients, lower and upper bounds, labels
Rows = tuple[csr_array, np.ndarray, np.ndarray, Labels]


@dataclass(frozen=True)
class Names:
    """The rows of a constraint, the columns of a decision or the entries of an expression: where, and their labels."""

    start: int
    size: int
    labels: Labels
    legend: np.ndarray  # the label of each code

    @property
    def where(self) -> slice:
        """The place among all rows (columns)."""
        return slice(self.start, self.start + self.size)

    @cached_property
    def keys(self) -> list[tuple[Hashable, ...]]:
        """The labels of each member as a tuple, in the order of the model's set."""
        return list(zip(*(self.legend[codes].tolist() for codes in self.labels), strict=True)) or [()] * self.size

    @cached_property
    def index(self) -> pd.Index:
        """The labels as a pandas index, in the order of the model's set."""
        if not self.labels:
            return pd.RangeIndex(self.size)
        levels = [_typed(self.legend[codes]) for codes in self.labels]
        return pd.Index(levels[0]) if len(levels) == 1 else pd.MultiIndex.from_arrays(levels, names=range(len(levels)))


def _typed(labels: np.ndarray) -> np.ndarray:
    """Labels as numbers where all of them are whole numbers."""
    whole = len(labels) and type(labels[0]) is int and all(type(label) is int for label in labels)
    return labels.astype("int64") if whole else labels


class Column(NamedTuple):
    """One more decision: what a unit of it brings, how much there can be of it, and which rows it changes."""

    cost: float
    most: float
    rows: np.ndarray
    coefficients: np.ndarray
    least: float = 0.0


@dataclass
class Matrix:
    """A linear model: the best of cost @ x + offset with row_lower <= a @ x <= row_upper, bounds, whole numbers."""

    a: csr_array
    row_lower: np.ndarray
    row_upper: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    cost: np.ndarray
    offset: float
    integer: np.ndarray
    maximise: bool
    columns: dict[str, Names] = field(default_factory=dict)
    rows: dict[str, Names] = field(default_factory=dict)
    # for each named expression: its entries, and the matrix and constants that give them from the decisions
    expressions: dict[str, tuple[Names, csr_array, np.ndarray]] = field(default_factory=dict)
    # what comes before money, in order: how much of it one unit of each column breaks. All of it is 0 at best
    promises: dict[str, np.ndarray] = field(default_factory=dict)
    empty: list[str] = field(default_factory=list)  # constraints without rows
    note: str = ""  # what was read row by row although it should not have been, and why; empty = nothing

    @property
    def shape(self) -> tuple[int, int]:
        """Rows, columns."""
        return self.a.shape

    def same_structure(self, other: Matrix) -> bool:
        """True where `other` differs in bounds, costs and offset at most."""
        return (
            self.shape == other.shape
            and self.maximise == other.maximise
            and _equal(self, other, "integer")
            and all(np.array_equal(getattr(self.a, of), getattr(other.a, of)) for of in ("indptr", "indices", "data"))
            and all(list(getattr(self, of)) == list(getattr(other, of)) for of in ("columns", "rows", "promises"))
        )

    def equals(self, other: Matrix) -> bool:
        """True where bounds, costs and offset are those of `other`, whose structure is known to be the same."""
        return (
            self.offset == other.offset
            and _equal(self, other, "row_lower", "row_upper", "lower", "upper", "cost")
            and all(np.array_equal(broken, other.promises[name]) for name, broken in self.promises.items())
        )

    def split(self) -> tuple[np.ndarray, np.ndarray]:
        """The independent part of each row and of each column: what a chain of shared rows and columns joins."""
        rows, _ = self.shape
        a = csr_array((np.ones(self.a.nnz, dtype="int8"), self.a.indices, self.a.indptr), shape=self.shape)
        _, label = connected_components(block_array([[None, a], [a.T, None]], format="csr"), directed=False)
        return label[:rows], label[rows:]

    def heaps(self, most: int) -> tuple[np.ndarray, np.ndarray] | None:
        """The independent parts dealt into at most `most` heaps of like size: by row, by column; None = one part only.

        The largest part goes first, each next one to the smallest heap.
        """
        by_row, by_column = self.split()
        size = np.bincount(by_column, minlength=by_row.max(initial=-1) + 1)
        entries = np.bincount(by_row, weights=np.diff(self.a.indptr), minlength=len(size)) + size
        heap_of, load = np.zeros(len(size), dtype="int64"), np.zeros(most)
        for part in np.argsort(-entries, kind="stable"):
            heap_of[part] = np.argmin(load)
            load[heap_of[part]] += entries[part]
        if np.count_nonzero(load) < 2 or load.max() > 0.95 * load.sum():
            return None
        return heap_of[by_row], heap_of[by_column]

    def with_columns(self, columns: list[Column]) -> Matrix:
        """The same with more columns at the end."""
        extra = np.repeat(np.arange(len(columns)), [len(one.rows) for one in columns])
        at, value = _join(one.rows for one in columns), _join(one.coefficients for one in columns)
        wider = coo_array((value, (at.astype(int), extra)), shape=(self.shape[0], len(columns)))
        none = np.zeros(len(columns))
        return replace(
            self,
            a=csr_array(hstack([self.a, wider], format="csr")),
            lower=np.append(self.lower, [one.least for one in columns]),
            upper=np.append(self.upper, [one.most for one in columns]),
            cost=np.append(self.cost, [one.cost for one in columns]),
            integer=np.append(self.integer, none > 0),
            promises={name: np.append(broken, none) for name, broken in self.promises.items()},
        )

    def part(self, rows: np.ndarray, columns: np.ndarray) -> Matrix:
        """The rows and columns given, without names; its offset is 0, which the whole keeps."""
        return Matrix(
            a=csr_array(self.a[rows][:, columns]),
            row_lower=self.row_lower[rows],
            row_upper=self.row_upper[rows],
            lower=self.lower[columns],
            upper=self.upper[columns],
            cost=self.cost[columns],
            offset=0.0,
            integer=self.integer[columns],
            maximise=self.maximise,
            promises={name: broken[columns] for name, broken in self.promises.items()},
        )


def _equal(one: Matrix, other: Matrix, *names: str) -> bool:
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in names)


def walked(model: Any, note: str = "") -> Matrix:
    """The matrix of a Pyomo model: columns by Var, rows by Constraint, in the order of declaration and of their sets.

    Raises what Pyomo raises where a rule uses an index that is not there, ValueError where a rule is not linear.
    """
    return Walk(model).read(note)


class Walk:
    """Reads one model, a row at a time; knows the code of every label and the column of every decision."""

    def __init__(self, model: Any) -> None:
        self.model, self.code = model, dict[Hashable, int]()
        self.start: dict[int, int] = {}
        self.places: dict[int, dict[Hashable, int]] = {}
        self.total = 0
        for variable in model.component_objects(Var, active=True):
            self.start[id(variable)] = self.total
            self.total += len(variable.index_set())

    def read(self, note: str = "") -> Matrix:
        """The matrix."""
        columns = {v.local_name: self.decision(v) for v in self.model.component_objects(Var, active=True)}
        rows = {c.local_name: self.rule(c) for c in self.model.component_objects(Constraint, active=True)}
        empty = [name for name, (_, low, *_) in rows.items() if not len(low)]
        rows = {name: got for name, got in rows.items() if len(got[1])}
        objective = next(iter(self.model.component_objects(Objective, active=True)), None)
        if objective is None:
            raise ValueError("the model has no objective")
        cost, offset, sense = self.objective(objective)
        expressions = {e.local_name: self.expression(e) for e in self.model.component_objects(Expression, active=True)}
        bounded: list[Any] = [*columns.values()]
        low, high, whole = (_join([got[part] for got in bounded]) for part in range(3))
        legend = np.empty(len(self.code), dtype=object)
        legend[:] = list(self.code)
        blocks = [block for block, *_ in rows.values()]
        a = csr_array(vstack(blocks, format="csr")) if blocks else csr_array((0, self.total))
        a.eliminate_zeros()
        a.sort_indices()
        return Matrix(
            a=a,
            row_lower=_join([got[1] for got in rows.values()]),
            row_upper=_join([got[2] for got in rows.values()]),
            lower=low,
            upper=high,
            cost=cost,
            offset=offset,
            integer=whole.astype(bool),
            maximise=sense == maximize,
            columns=_named({name: (len(got[0]), got[3]) for name, got in columns.items()}, legend),
            rows=_named({name: (len(got[1]), got[3]) for name, got in rows.items()}, legend),
            expressions={
                name: (Names(0, len(constant), labels, legend), entries, constant)
                for name, (entries, constant, labels) in expressions.items()
            },
            promises={
                " ".join((name, *(str(legend[codes[at]]) for codes in labels))): entries[[at]].toarray()[0]
                for name in getattr(self.model, "promises", ())
                for entries, _, labels in [expressions[name]]
                for at in np.flatnonzero(np.diff(entries.indptr))
            },
            empty=empty,
            note=note,
        )

    def decision(self, variable: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray, Labels]:
        """Lower and upper bounds, integrality and labels of a decision's columns."""
        members = list(variable.index_set())
        low, high, whole = np.array([bounds(variable[member]) for member in members], dtype=float).reshape(-1, 3).T
        return low, high, whole, self.labels(variable, members)

    def rule(self, rule: Any) -> Rows:
        """The rows of one constraint, the constants of the body moved to its bounds."""
        self._construct(rule)
        bodies, low, high = [], [], []
        for row in rule.values():
            lower, body, upper = row.to_bounded_expression(evaluate_bounds=True)
            terms, constant = self._terms(body)
            bodies.append(terms)
            low.append(-np.inf if lower is None else lower - constant)
            high.append(np.inf if upper is None else upper - constant)
        return self._matrix(bodies), np.array(low, float), np.array(high, float), self.labels(rule, list(rule))

    def objective(self, objective: Any) -> tuple[np.ndarray, float, Any]:
        """What each column brings to the objective, its constant, and whether to maximise."""
        self._construct(objective)
        terms, constant = self._terms(objective.expr)
        return self._matrix([terms]).toarray()[0], float(constant), objective.sense

    def expression(self, expression: Any) -> tuple[csr_array, np.ndarray, Labels]:
        """All entries of a named expression, as a matrix, constants and labels."""
        self._construct(expression)
        entries = [self._terms(entry) for entry in expression.values()]
        constants = np.array([constant for _, constant in entries], dtype=float)
        return self._matrix([terms for terms, _ in entries]), constants, self.labels(expression, list(expression))

    def encode(self, labels: Iterable, width: int = 1) -> list[np.ndarray]:
        """Codes of a list of labels (of tuples of `width` labels): one array for each of the `width`."""
        flat, code = list(labels) if width == 1 else list(chain.from_iterable(labels)), self.code
        try:
            codes = np.fromiter(map(code.__getitem__, flat), dtype="int64", count=len(flat))
        except KeyError:  # a new label
            codes = np.fromiter((code.setdefault(label, len(code)) for label in flat), dtype="int64", count=len(flat))
        return [codes[k::width] for k in range(width)]

    def labels(self, component: Any, members: list) -> Labels:
        """The labels of members of a component."""
        return tuple(self.encode(members, component.dim())) if component.is_indexed() else ()

    def column(self, data: Any) -> int:
        """The column of one decision."""
        owner = data.parent_component()
        if id(owner) not in self.places:
            self.places[id(owner)] = {member: at for at, member in enumerate(owner.index_set())}
        return self.start[id(owner)] + self.places[id(owner)][data.index()]

    def _construct(self, component: Any) -> None:
        """Its rows, one object each, where it was held back; and first the expressions it may be made of."""
        for expression in self.model.component_objects(Expression):
            expression.construct()
        component.construct()

    def _terms(self, expression: Any) -> tuple[tuple[list[int], list[float]], float]:
        """One linear expression, read by Pyomo: columns and coefficients, and the constant."""
        terms = generate_standard_repn(expression, compute_values=True)
        if not terms.is_linear():
            raise ValueError(f"not linear: {expression}")
        return ([self.column(variable) for variable in terms.linear_vars], list(terms.linear_coefs)), terms.constant

    def _matrix(self, rows: list[tuple[list[int], list[float]]]) -> csr_array:
        row = np.repeat(np.arange(len(rows)), [len(columns) for columns, _ in rows])
        col = np.array([column for columns, _ in rows for column in columns], dtype="int64")
        coef = np.array([coefficient for _, coefficients in rows for coefficient in coefficients], dtype=float)
        return coo_array((coef, (row, col)), shape=(len(rows), self.total)).tocsr()


def bounds(data: Any) -> tuple[float, float, bool]:
    """Lower and upper bound of one decision, and whether it is a whole number."""
    low, high = (value(data), value(data)) if data.fixed else data.bounds
    return -np.inf if low is None else low, np.inf if high is None else high, not data.is_continuous()


def _named(found: dict[str, tuple[int, Labels]], legend: np.ndarray) -> dict[str, Names]:
    """Names of components that follow each other."""
    starts = np.cumsum([0] + [size for size, _ in found.values()]).tolist()
    return {
        name: Names(start, size, labels, legend)
        for start, (name, (size, labels)) in zip(starts, found.items(), strict=False)
    }


def _join(arrays: Iterable[np.ndarray]) -> np.ndarray:
    arrays = list(arrays)
    return np.concatenate(arrays) if arrays else np.zeros(0)
