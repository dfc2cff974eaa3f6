"""From the Pyomo model to the matrix that HiGHS takes, without walking one expression a row.

Pyomo can run a rule once with placeholders for its indices ("template") instead of once for every index. Here each
template is read once and evaluated over its whole index set in numpy, so 40,000 rows cost as much as one rule. What
cannot be read that way is walked row by row, the plain Pyomo way; `matrix(model)` of a model built inside
`templates()` and of the same model built without it are the same matrix (held by tests/test_supply_solve.py).
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd
from pyomo.common.errors import PyomoException, TemplateExpressionError
from pyomo.core.base.expression import Expression, ExpressionData, ScalarExpression
from pyomo.core.base.initializer import ConstantInitializer
from pyomo.core.base.set import SetProduct, _FiniteSetMixin
from pyomo.core.expr import numeric_expr as ne
from pyomo.core.expr import relational_expr as re
from pyomo.core.expr.template_expr import (
    GetAttrExpression,
    GetItemExpression,
    IndexTemplate,
    TemplateSumExpression,
    _template_iter_context,
    _TemplateIterManager,
)
from pyomo.environ import Constraint, Objective, Param, Var, maximize, value
from pyomo.repn import generate_standard_repn
from scipy.sparse import block_array, coo_array, csr_array
from scipy.sparse.csgraph import connected_components

_LOCK = threading.RLock()
_DENSE_LOOKUP = 20_000_000  # keys: a set's lookup table is an array up to here, a sorted search above
_PLAIN_CONSTRUCT = {kind: kind.construct for kind in (Constraint, Expression, Objective)}


@contextmanager
def templates() -> Iterator[None]:
    """Within this block every Pyomo Constraint, Objective and Expression keeps its rule as one template.

    The construction of these three is replaced for the length of the block: Pyomo's own switches (as
    `TEMPLATIZE_CONSTRAINTS`) know no Expression, fail on sets whose first member is empty, and make an object a row.
    Rows are still there for whoever asks for one by its index: Pyomo then runs the rule for it.
    """
    with _LOCK:
        for kind in _PLAIN_CONSTRUCT:
            kind.construct = _keep_template
        try:
            yield
        finally:
            for kind, construct in _PLAIN_CONSTRUCT.items():
                kind.construct = construct


def _keep_template(self: Any, data: Any = None) -> None:
    """A component's construction with its rule run once, for placeholders; the plain way where that cannot be."""
    rule, plain = self._rule, _PLAIN_CONSTRUCT[self.ctype]
    if self._constructed or rule is None or isinstance(rule, ConstantInitializer) or rule.contains_indices():
        plain(self, data)
        if self.ctype is Objective and not self.is_indexed():
            self.template = self.expr, ()
        return
    for anonymous in self._anonymous_sets or ():
        anonymous.construct()
    if self.is_indexed() and not len(self.index_set()):
        return plain(self, data)
    try:
        self.template = _template(self.parent_block(), rule, self.index_set() if self.is_indexed() else None)
    except (TemplateExpressionError, PyomoException, TypeError):  # an `if` on an index, a sum over what is no Set
        return plain(self, data)
    self._constructed = True
    if not self.is_indexed():
        self._data[None] = self
        self.set_value(self.template[0])
    elif self.ctype is Expression:
        me = weakref.ref(self)
        for index in self.index_set():
            self._data[index] = entry = ExpressionData(None)
            entry._component, entry._index = me, index


class _Placeholders(_template_iter_context):
    """Pyomo's bookkeeping of placeholders, with the number of indices of an indexed Set taken from its declaration."""

    def get_iter(self, over: Any) -> Iterator[Any]:
        width = _width(over.args[0]) if isinstance(over, GetItemExpression) else over.dimen
        if type(width) is not int:
            raise TemplateExpressionError(None, f"{over} has no fixed number of indices")
        group = self.next_group()
        places = tuple(IndexTemplate(over, k, self.next_id(), group) for k in range(width))
        self.cache.append(places)
        yield places[0] if width == 1 else places


def _width(indexed: Any) -> int:
    """How many indices a member of an indexed Set has: as declared, or as its first member has."""
    declared = indexed._init_dimen
    if declared.constant() and type(declared(None, None)) is int:
        return declared(None, None)
    return next((data.dimen for data in indexed._data.values() if type(data.dimen) is int), 1)


def _template(block: Any, rule: Any, index_set: Any) -> tuple[Any, tuple[IndexTemplate, ...]]:
    """What `rule` returns for placeholders of `index_set`'s indices, and these placeholders."""
    context = _Placeholders()
    with _TemplateIterManager.init(context, _FiniteSetMixin, GetItemExpression, GetAttrExpression):
        places: Any = ()
        if index_set is not None:
            places = next(context.get_iter(index_set))
            context.cache.pop()
        places = places if isinstance(places, tuple) else (places,)
        got = rule(block, places if len(places) != 1 else places[0])
    if context.cache:
        raise TemplateExpressionError(None, "a loop over a Set")
    return got, places


@dataclass(frozen=True)
class Names:
    """The rows of a constraint, the columns of a decision or the entries of an expression: where, and their labels."""

    name: str
    start: int
    size: int
    labels: tuple[np.ndarray, ...]
    """One array of codes for each index; empty for a scalar."""
    legend: np.ndarray
    """The label of each code."""

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
    if len(labels) and all(type(x) is int for x in labels[:1]) and all(type(x) is int for x in set(labels.tolist())):
        return labels.astype("int64")
    return labels


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
    columns: dict[str, Names]
    rows: dict[str, Names]
    expressions: dict[str, tuple[Names, csr_array, np.ndarray]] = field(default_factory=dict)
    """For each named expression: its entries, and the matrix and constants that give them from the decisions."""
    empty: list[str] = field(default_factory=list)
    """Constraints without rows."""
    walked: list[str] = field(default_factory=list)
    """Components that could not be read as a template and were walked row by row."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows, columns."""
        return self.a.shape

    def same_structure(self, other: Matrix) -> bool:
        """True where `other` differs in bounds, costs and offset at most."""
        return (
            self.shape == other.shape
            and self.maximise == other.maximise
            and np.array_equal(self.a.indptr, other.a.indptr)
            and np.array_equal(self.a.indices, other.a.indices)
            and np.array_equal(self.a.data, other.a.data)
            and np.array_equal(self.integer, other.integer)
            and list(self.columns) == list(other.columns)
            and list(self.rows) == list(other.rows)
        )

    def equals(self, other: Matrix) -> bool:
        """True where bounds, costs and offset are those of `other`, whose structure is known to be the same."""
        return self.offset == other.offset and all(
            np.array_equal(mine, its)
            for mine, its in (
                (self.row_lower, other.row_lower),
                (self.row_upper, other.row_upper),
                (self.lower, other.lower),
                (self.upper, other.upper),
                (self.cost, other.cost),
            )
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
            columns={},
            rows={},
        )


def matrix(model: Any) -> Matrix:
    """The matrix of a Pyomo model: columns by Var, rows by Constraint, in the order of declaration and of their sets.

    Raises KeyError where a rule uses an index that a set or Param does not have, ValueError where it is not linear.
    """
    return _Reader(model).read()


# ---- evaluating a template over all its indices at once ---------------------------------------------------------


class _NotReadableError(Exception):
    """The template holds something that is not evaluated over a whole set: walk it plainly instead."""


class _Codes(np.ndarray):
    """An array of label codes, told apart from an array of numbers by its class."""


def _codes(array: np.ndarray) -> _Codes:
    return np.asarray(array).view(_Codes)


@dataclass
class _Linear:
    """`size` linear expressions: constants and (row, column, coefficient) triplets."""

    size: int
    constant: np.ndarray
    parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]]

    def scaled(self, by: Any) -> _Linear:
        by = np.broadcast_to(np.asarray(by, dtype=float), (self.size,))
        return _Linear(self.size, self.constant * by, [(row, col, coef * by[row]) for row, col, coef in self.parts])

    def csr(self, columns: int) -> csr_array:
        if not self.parts:
            return csr_array((self.size, columns))
        row, col, coef = (np.concatenate(arrays) for arrays in zip(*self.parts, strict=True))
        return coo_array((coef, (row, col)), shape=(self.size, columns)).tocsr()


@dataclass
class _Rows:
    """The index values under which an expression is evaluated: `size` of them, by index placeholder."""

    size: int
    values: dict[int, _Codes]


class _Positions:
    """Where the members of one plain set stand, found for whole arrays of codes at once."""

    def __init__(self, codes: list[np.ndarray]) -> None:
        self.codes = codes
        self.size = len(codes[0])
        self.tables, self.radix = [], []
        for column in codes:
            present = np.unique(column)
            table = np.full(int(present[-1]) + 1 if len(present) else 0, -1)
            table[present] = np.arange(len(present))
            self.tables.append(table)
            self.radix.append(max(1, len(present)))
        room = int(np.prod([float(x) for x in self.radix]))
        keys = self._keys(codes)
        self.dense = room <= _DENSE_LOOKUP
        if self.dense:
            self.at = np.full(room, -1)
            self.at[keys] = np.arange(self.size)
        elif room < 2**62:
            self.order = np.argsort(keys)
            self.sorted = keys[self.order]
        else:
            raise _NotReadableError("too many labels for one key")

    def _keys(self, codes: list[np.ndarray]) -> np.ndarray:
        key = np.zeros(len(codes[0]), dtype="int64")
        for column, table, radix in zip(codes, self.tables, self.radix, strict=True):
            column = np.asarray(column)
            if len(table):
                local = np.where((column >= 0) & (column < len(table)), table[np.clip(column, 0, len(table) - 1)], -1)
            else:
                local = np.full(len(column), -1)
            key = np.where((key < 0) | (local < 0), -1, key * radix + local)
        return key

    def find(self, codes: list[np.ndarray]) -> np.ndarray:
        """The position of each member, -1 where there is none."""
        keys = self._keys(codes)
        if self.dense:
            return np.where(keys < 0, -1, self.at[np.maximum(keys, 0)])
        if not self.size:
            return np.full(len(keys), -1)
        place = np.minimum(np.searchsorted(self.sorted, keys), self.size - 1)
        return np.where(self.sorted[place] == keys, self.order[place], -1)


class _Index:
    """An index set as the product of its plain sets: its members' codes and where they stand."""

    def __init__(self, factors: list[_Positions]) -> None:
        self.factors = factors
        self.widths = [len(factor.codes) for factor in factors]
        self.size = int(np.prod([factor.size for factor in factors]))

    def members(self) -> list[_Codes]:
        """The codes of every member, one array for each index, in the order of iteration."""
        out, before, after = [], 1, self.size
        for factor in self.factors:
            after //= max(1, factor.size)
            out += [_codes(np.tile(np.repeat(codes, after), before)) for codes in factor.codes]
            before *= factor.size
        return out

    def find(self, codes: list[np.ndarray]) -> np.ndarray:
        """The position of each tuple of codes, -1 where it is no member."""
        position, first = np.zeros(len(codes[0]), dtype="int64"), 0
        for factor, width in zip(self.factors, self.widths, strict=True):
            found = factor.find(codes[first : first + width])
            position = np.where((position < 0) | (found < 0), -1, position * factor.size + found)
            first += width
        return position


class _Reader:
    """Reads one model; knows the code of every label, the place of every column, the value of every Param."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.code: dict[Hashable, int] = {}
        self.indices: dict[int, _Index] = {}
        self.params: dict[int, np.ndarray] = {}
        self.members: dict[int, tuple[np.ndarray, np.ndarray, list[np.ndarray]]] = {}
        self.expressions: dict[int, tuple[csr_array, np.ndarray]] = {}
        self.start: dict[int, int] = {}
        self.walked: list[str] = []

    # labels and sets ----------------------------------------------------------------------------------------------

    def encode(self, labels: Any, width: int = 1) -> list[np.ndarray]:
        """Codes of a list of labels (of tuples of `width` labels): one array for each of the `width`."""
        flat = list(labels) if width == 1 else list(chain.from_iterable(labels))
        code = self.code
        try:
            codes = np.fromiter(map(code.__getitem__, flat), dtype="int64", count=len(flat))
        except KeyError:
            codes = np.fromiter((code.setdefault(x, len(code)) for x in flat), dtype="int64", count=len(flat))
        return [codes[k::width] for k in range(width)]

    def legend(self) -> np.ndarray:
        """The label of each code."""
        out = np.empty(len(self.code), dtype=object)
        out[:] = list(self.code)
        return out

    def index(self, index_set: Any) -> _Index:
        """The index set as factors; kept, because sets are shared by many components."""
        known = self.indices.get(id(index_set))
        if known is None:
            parts = list(index_set.subsets()) if isinstance(index_set, SetProduct) else [index_set]
            factors = []
            for part in parts:
                if not part.isfinite() or type(part.dimen) is not int:
                    raise _NotReadableError(f"set {part} has no fixed number of indices")
                factors.append(self._positions(part))
            known = self.indices[id(index_set)] = _Index(factors)
        return known

    def _positions(self, part: Any) -> _Positions:
        return _Positions(self.encode(part.ordered_data() if part.isordered() else list(part), part.dimen))

    def labels_of(self, component: Any) -> tuple[int, tuple[np.ndarray, ...]]:
        """How many members a component has, and their codes."""
        if not component.is_indexed():
            return 1, ()
        index = self.index(component.index_set())
        return index.size, tuple(np.asarray(codes) for codes in index.members())

    # reading ------------------------------------------------------------------------------------------------------

    def read(self) -> Matrix:
        variables = list(self.model.component_objects(Var, active=True))
        total, sizes = 0, {}
        for variable in variables:
            self.start[id(variable)] = total
            sizes[id(variable)] = self.index(variable.index_set()).size if variable.is_indexed() else 1
            total += sizes[id(variable)]
        self.total = total
        bounds = [self.bounds(variable, sizes[id(variable)]) for variable in variables]
        rows, blocks, lower, upper, empty, at = [], [], [], [], [], 0
        for rule in self.model.component_objects(Constraint, active=True):
            block, low, high, labels = self.constraint(rule)
            if block is None or not len(low):
                empty.append(rule.local_name)
                continue
            rows.append((rule.local_name, at, len(low), labels))
            blocks.append(block)
            lower.append(low)
            upper.append(high)
            at += len(low)
        objective = next(iter(self.model.component_data_objects(Objective, active=True)), None)
        if objective is None:
            raise ValueError("the model has no objective")
        cost, offset = self.objective(objective)
        expressions = [(e, self.expression(e)) for e in self.model.component_objects(Expression, active=True)]
        expression_labels = [self.labels_of(e) for e, _ in expressions]
        variable_labels = [self.labels_of(v) for v in variables]
        legend = self.legend()

        def names(name: str, start: int, size: int, labels: tuple[np.ndarray, ...]) -> Names:
            return Names(name, start, size, labels, legend)

        return Matrix(
            a=_stack(blocks, at, total),
            row_lower=_join(lower),
            row_upper=_join(upper),
            lower=_join([b[0] for b in bounds]),
            upper=_join([b[1] for b in bounds]),
            cost=cost,
            offset=offset,
            integer=np.concatenate([b[2] for b in bounds]) if bounds else np.zeros(0, dtype=bool),
            maximise=objective.sense == maximize,
            columns={
                v.local_name: names(v.local_name, self.start[id(v)], size, labels)
                for v, (size, labels) in zip(variables, variable_labels, strict=True)
            },
            rows={name: names(name, start, size, labels) for name, start, size, labels in rows},
            expressions={
                e.local_name: (names(e.local_name, 0, size, labels), *entries)
                for (e, entries), (size, labels) in zip(expressions, expression_labels, strict=True)
            },
            empty=empty,
            walked=self.walked,
        )

    def bounds(self, variable: Any, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Lower and upper bounds and integrality of a decision's columns."""
        low, high, whole = np.full(size, -np.inf), np.full(size, np.inf), np.zeros(size, dtype=bool)
        domain_rule, bounds_rule = variable._rule_domain, variable._rule_bounds
        plain = not domain_rule.constant() or variable._rule_init is not None
        if not plain:
            domain = domain_rule(variable.parent_block(), None, variable)
            at_least, at_most = domain.bounds()
            low[:] = -np.inf if at_least is None else at_least
            high[:] = np.inf if at_most is None else at_most
            whole[:] = domain.isdiscrete()
            if bounds_rule is not None:
                try:
                    pair = self._bound_pair(variable, bounds_rule, size)
                    low, high = np.maximum(low, pair[0]), np.minimum(high, pair[1])
                except (_NotReadableError, TemplateExpressionError):
                    plain = True
        data = list(variable.values()) if plain or variable._data else []
        if plain and variable.is_indexed():
            data = [variable[i] for i in variable.index_set()]
            self.walked.append(variable.local_name)
        for one in data:  # the few made by name: fixed, or bounded one by one
            place = self.column(one) - self.start[id(variable)]
            one_low, one_high = one.bounds
            low[place] = -np.inf if one_low is None else one_low
            high[place] = np.inf if one_high is None else one_high
            whole[place] = not one.is_continuous()
            if one.fixed:
                low[place] = high[place] = value(one)
        return low, high, whole

    def _bound_pair(self, variable: Any, rule: Any, size: int) -> tuple[np.ndarray, np.ndarray]:
        if rule.constant():
            pair, rows = rule(self.model, None), _Rows(size, {})
        else:
            pair, places = _template(variable.parent_block(), rule, variable.index_set())
            rows = self.rows(variable, places)
        ends = []
        for end, missing in zip(pair, (-np.inf, np.inf), strict=True):
            got = missing if end is None else self.number(self.evaluate(end, rows), rows)
            ends.append(np.broadcast_to(np.asarray(got, dtype=float), (size,)))
        return ends[0], ends[1]

    def rows(self, component: Any, places: tuple[Any, ...]) -> _Rows:
        """One row for each member of the component's index set."""
        if not component.is_indexed():
            return _Rows(1, {})
        index = self.index(component.index_set())
        return _Rows(index.size, {id(place): codes for place, codes in zip(places, index.members(), strict=True)})

    def constraint(self, rule: Any) -> tuple[csr_array | None, np.ndarray, np.ndarray, tuple[np.ndarray, ...]]:
        """The rows of one constraint."""
        if hasattr(rule, "template"):
            expression, places = rule.template
            if expression is Constraint.Skip:
                return None, np.zeros(0), np.zeros(0), ()
            try:
                return *self.relation(expression, self.rows(rule, places)), self.labels_of(rule)[1]
            except _NotReadableError:
                pass
        return self._walk_constraint(rule)

    def _walk_constraint(self, rule: Any) -> tuple[csr_array, np.ndarray, np.ndarray, tuple[np.ndarray, ...]]:
        """The rows of one constraint, one after the other."""
        if len(rule.index_set()):
            self.walked.append(rule.local_name)
        kept, low, high, bodies = [], [], [], []
        for index in rule.index_set() if hasattr(rule, "template") else rule:
            if hasattr(rule, "template") and index not in rule:
                try:
                    rule[index]  # Pyomo runs the rule for this index
                except KeyError:  # and it says: no row
                    continue
            lower, body, upper = rule[index].to_bounded_expression(evaluate_bounds=True)
            row, constant = self.walk(body)
            bodies.append(row)
            low.append(-np.inf if lower is None else lower - constant)
            high.append(np.inf if upper is None else upper - constant)
            kept.append(index)
        labels = tuple(self.encode(kept, rule.dim())) if rule.is_indexed() else ()
        return self.under_each_other(bodies), np.array(low, float), np.array(high, float), labels

    def walk(self, expression: Any) -> tuple[tuple[list[int], list[float]], float]:
        """One linear expression, read by Pyomo: columns and coefficients, and the constant."""
        terms = generate_standard_repn(expression, compute_values=True)
        if not terms.is_linear():
            raise ValueError(f"not linear: {expression}")
        return ([self.column(variable) for variable in terms.linear_vars], list(terms.linear_coefs)), terms.constant

    def under_each_other(self, rows: list[tuple[list[int], list[float]]]) -> csr_array:
        """Rows read one by one, as a matrix."""
        row = np.repeat(np.arange(len(rows)), [len(columns) for columns, _ in rows])
        col = np.array([column for columns, _ in rows for column in columns], dtype="int64")
        coef = np.array([coefficient for _, coefficients in rows for coefficient in coefficients], dtype=float)
        return coo_array((coef, (row, col)), shape=(len(rows), self.total)).tocsr()

    def relation(self, expression: Any, rows: _Rows) -> tuple[csr_array, np.ndarray, np.ndarray]:
        """lower <= body <= upper of a relation, the constants of the body moved to its bounds."""
        ends: list[Any] = [None, None]
        if isinstance(expression, tuple):
            expression = re.tuple_to_relational_expr(expression)
        if isinstance(expression, re.RangedExpression):
            low, body, high = expression.args
            ends = [low, high]
        elif isinstance(expression, (re.EqualityExpression, re.InequalityExpression)):
            left, right = expression.args
            equal = isinstance(expression, re.EqualityExpression)
            if not _variable(right):
                body, ends = left, [right if equal else None, right]
            elif not _variable(left):
                body, ends = right, [left, left if equal else None]
            else:
                body, ends = left - right, [0.0 if equal else None, 0.0]
        else:
            raise _NotReadableError(f"{type(expression).__name__} is no relation")
        linear = self.linear(self.evaluate(body, rows), rows)
        bounds = []
        for end, missing in zip(ends, (-np.inf, np.inf), strict=True):
            got = missing if end is None else self.number(self.evaluate(end, rows), rows) - linear.constant
            bounds.append(np.array(np.broadcast_to(got, (rows.size,)), dtype=float))
        return linear.csr(self.total), bounds[0], bounds[1]

    def objective(self, data: Any) -> tuple[np.ndarray, float]:
        """What each column brings to the objective, and its constant."""
        if hasattr(data, "template"):
            linear = self.linear(self.evaluate(data.template[0], _Rows(1, {})), _Rows(1, {}))
            return linear.csr(self.total).toarray()[0], float(linear.constant[0])
        row, constant = self.walk(data.expr)
        return self.under_each_other([row]).toarray()[0], float(constant)

    def expression(self, component: Any) -> tuple[csr_array, np.ndarray]:
        """All entries of a named expression, as a matrix and constants; kept, because others are made of it."""
        known = self.expressions.get(id(component))
        if known is None:
            if hasattr(component, "template"):
                body, places = component.template
                rows = self.rows(component, places)
                linear = self.linear(self.evaluate(body, rows), rows)
                known = linear.csr(self.total), linear.constant
            else:
                entries = [self.walk(component[index]) for index in component.index_set()]
                constants = np.array([constant for _, constant in entries], dtype=float)
                known = self.under_each_other([row for row, _ in entries]), constants
            self.expressions[id(component)] = known
        return known

    def column(self, data: Any) -> int:
        """The column of one decision."""
        owner = data.parent_component()
        if not owner.is_indexed():
            return self.start[id(owner)]
        codes = self.encode([data.index()], owner.dim())
        return self.start[id(owner)] + int(self.index(owner.index_set()).find(codes)[0])

    # evaluation ---------------------------------------------------------------------------------------------------

    def evaluate(self, node: Any, rows: _Rows) -> Any:
        """A number, an array of numbers, an array of codes, a label, or a _Linear: `node` for every row."""
        kind = type(node)
        if kind in (int, float, str) or isinstance(node, (np.number, pd.Timestamp)):
            return node
        if kind is IndexTemplate:
            return rows.values[id(node)]
        if isinstance(node, GetItemExpression):
            return self.item(node, rows)
        if kind is TemplateSumExpression:
            return self.total_of(node, rows)
        if isinstance(node, (ne.MonomialTermExpression, ne.ProductExpression)):
            left, right = (self.evaluate(arg, rows) for arg in node.args)
            if isinstance(left, _Linear):
                return left.scaled(self.number(right, rows))
            if isinstance(right, _Linear):
                return right.scaled(self.number(left, rows))
            return self.number(left, rows) * self.number(right, rows)
        if isinstance(node, (ne.SumExpression, ne.LinearExpression)):
            return self.add([self.evaluate(arg, rows) for arg in node.args], rows)
        if isinstance(node, ne.NegationExpression):
            inner = self.evaluate(node.args[0], rows)
            return inner.scaled(-1.0) if isinstance(inner, _Linear) else -self.number(inner, rows)
        if isinstance(node, ne.DivisionExpression):
            top, by = (self.evaluate(arg, rows) for arg in node.args)
            by = self.number(by, rows)
            return top.scaled(1.0 / by) if isinstance(top, _Linear) else self.number(top, rows) / by
        if isinstance(node, (ScalarExpression, ExpressionData)):
            owner = node.parent_component()
            if not owner.is_indexed():
                return self.pick(owner, np.zeros(rows.size, dtype="int64"), rows)
            place = self.index(owner.index_set()).find(self.encode([node.index()], owner.dim()))
            return self.pick(owner, np.repeat(place, rows.size), rows)
        if hasattr(node, "is_variable_type") and node.is_variable_type():
            return self.single(np.full(rows.size, self.column(node)), rows)
        if hasattr(node, "is_parameter_type") and node.is_parameter_type():
            return value(node)
        raise _NotReadableError(f"{kind.__name__} is not evaluated over a set")

    @staticmethod
    def single(columns: np.ndarray, rows: _Rows) -> _Linear:
        return _Linear(rows.size, np.zeros(rows.size), [(np.arange(rows.size), columns, np.ones(rows.size))])

    def pick(self, owner: Any, places: np.ndarray, rows: _Rows) -> _Linear:
        """Entries of a named expression, one for each row."""
        entries, constant = self.expression(owner)
        if rows.size == 1:  # an objective names every entry once: take its stretch, without scipy's checks
            part = slice(*entries.indptr[places[0] : places[0] + 2])
            triplet = np.zeros(part.stop - part.start, dtype="int64"), entries.indices[part], entries.data[part]
            return _Linear(1, constant[places], [triplet])
        picked = entries[places].tocoo()
        return _Linear(rows.size, constant[places], [(picked.row, picked.col, picked.data)])

    def number(self, got: Any, rows: _Rows) -> Any:
        """What was evaluated, as a number or an array of numbers."""
        if isinstance(got, _Codes):
            legend = [x if isinstance(x, (int, float)) else np.nan for x in self.code]
            got = np.asarray(legend, dtype=float)[np.asarray(got)]
        if isinstance(got, _Linear):
            raise _NotReadableError("a product of decisions")
        if isinstance(got, str):
            raise _NotReadableError("a label where a number belongs")
        return got

    def linear(self, got: Any, rows: _Rows) -> _Linear:
        """What was evaluated, as linear expressions."""
        if isinstance(got, _Linear):
            return got
        return _Linear(rows.size, np.array(np.broadcast_to(self.number(got, rows), (rows.size,)), dtype=float), [])

    def add(self, parts: list[Any], rows: _Rows) -> Any:
        """The sum of what was evaluated."""
        if not any(isinstance(part, _Linear) for part in parts):
            return sum(self.number(part, rows) for part in parts)
        constant, triplets = np.zeros(rows.size), []
        for part in parts:
            if isinstance(part, _Linear):
                constant = constant + part.constant
                triplets += part.parts
            else:
                constant = constant + self.number(part, rows)
        return _Linear(rows.size, constant, triplets)

    def key(self, args: Any, rows: _Rows) -> list[np.ndarray]:
        """Index arguments as codes, one array each."""
        out = []
        for arg in args:
            got = self.evaluate(arg, rows)
            if isinstance(got, _Linear):
                raise _NotReadableError("an index made of decisions")
            if isinstance(got, np.ndarray) and not isinstance(got, _Codes):
                distinct, place = np.unique(got, return_inverse=True)
                got = np.array([self.code.get(x, -1) for x in distinct.tolist()], dtype="int64")[place]
            elif not isinstance(got, np.ndarray):
                got = np.full(rows.size, self.code.get(got, -1))
            out.append(np.asarray(got))
        return out

    def item(self, node: Any, rows: _Rows) -> Any:
        """component[index] for every row."""
        component = node.args[0]
        ctype = getattr(component, "ctype", None)
        if ctype not in (Var, Param, Expression):
            raise _NotReadableError(f"item of {component}")
        index = self.index(component.index_set())  # first: its members must have codes before they are looked for
        codes = self.key(node.args[1:], rows)
        if len(codes) != sum(index.widths):
            raise _NotReadableError(f"{component.local_name} is indexed otherwise")
        places = index.find(codes)
        if len(places) and places.min() < 0:
            self._missing(component, codes, int(np.argmin(places)))
        if ctype is Var:
            return self.single(self.start[id(component)] + places, rows)
        if ctype is Expression:
            return self.pick(component, places, rows)
        values = self.values(component)[places]
        if not isinstance(values, _Codes) and len(values) and np.isnan(values).any():
            self._missing(component, codes, int(np.argmax(np.isnan(values))))
        return values

    def _missing(self, component: Any, codes: list[np.ndarray], row: int) -> None:
        labels = list(self.code)
        raise KeyError(f"{component.local_name} has no {tuple(labels[c[row]] if c[row] >= 0 else '?' for c in codes)}")

    def values(self, param: Any) -> np.ndarray:
        """The values of an indexed Param in the order of its index set; NaN where it has none; codes for labels."""
        known = self.params.get(id(param))
        if known is None:
            index = self.index(param.index_set())
            given = {key: value(data) for key, data in param.sparse_items()} if param.mutable else param._data
            default = param.default()
            places = index.find(self.encode(given.keys(), sum(index.widths))) if given else np.zeros(0, dtype="int64")
            listed = list(given.values())
            if all(isinstance(x, (int, float, np.number)) for x in listed):
                known = np.full(index.size, np.nan if default in (None, Param.NoValue) else default, dtype=float)
                known[places] = listed
            else:
                first = self.encode([default])[0][0] if isinstance(default, str) else -1
                known = np.full(index.size, first, dtype="int64")
                known[places] = self.encode(listed)[0]
                known = _codes(known)
            self.params[id(param)] = known
        return known

    def total_of(self, node: Any, rows: _Rows) -> Any:
        """A sum over sets: every row is repeated once for each member, evaluated, and summed back."""
        inner, origin = rows, np.arange(rows.size)
        for group in node.template_iters():
            inner, repeat = self.expand(group, inner)
            origin = origin[repeat]
        got = self.evaluate(node.template_args()[0], inner)
        linear = self.linear(got, inner)
        constant = np.bincount(origin, weights=linear.constant, minlength=rows.size)
        if not isinstance(got, _Linear):
            return constant
        return _Linear(rows.size, constant, [(origin[row], col, coef) for row, col, coef in linear.parts])

    def expand(self, group: tuple[Any, ...], rows: _Rows) -> tuple[_Rows, np.ndarray]:
        """Every row once for each member of the set that `group` runs over, and the row that each came from."""
        over = group[0]._set
        if isinstance(over, GetItemExpression):
            first, count, members = self.members_of(over.args[0])
            places = self.index(over.args[0].index_set()).find(self.key(over.args[1:], rows))
            counts = np.where(places < 0, 0, count[np.maximum(places, 0)])
            repeat = np.repeat(np.arange(rows.size), counts)
            step = np.arange(len(repeat)) - np.repeat(np.cumsum(counts) - counts, counts)
            taken = first[places[repeat]] + step
        else:
            index = self.index(over)
            members = index.members()
            repeat = np.repeat(np.arange(rows.size), index.size)
            taken = np.tile(np.arange(index.size), rows.size)
        values = {place: _codes(np.asarray(codes)[repeat]) for place, codes in rows.values.items()}
        if len(members) != len(group):
            raise _NotReadableError(f"{over} is indexed otherwise")
        values |= {id(place): _codes(np.asarray(codes)[taken]) for place, codes in zip(group, members, strict=True)}
        return _Rows(len(repeat), values), repeat

    def members_of(self, indexed: Any) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
        """The members of an indexed Set, one after the other: where each begins, how many, and their codes."""
        known = self.members.get(id(indexed))
        if known is None:
            index = self.index(indexed.index_set())
            keys, lists = list(indexed.keys()), [data.ordered_data() for data in indexed.values()]
            width = _width(indexed)
            places = index.find(self.encode(keys, sum(index.widths)))
            lengths = np.array([len(one) for one in lists], dtype="int64")
            first, count = np.zeros(index.size, dtype="int64"), np.zeros(index.size, dtype="int64")
            first[places], count[places] = np.cumsum(lengths) - lengths, lengths
            known = self.members[id(indexed)] = first, count, self.encode(chain.from_iterable(lists), width)
        return known


def _variable(node: Any) -> bool:
    return hasattr(node, "is_potentially_variable") and node.is_potentially_variable()


def _join(arrays: list[np.ndarray]) -> np.ndarray:
    return np.concatenate(arrays) if arrays else np.zeros(0)


def _stack(blocks: list[csr_array], rows: int, columns: int) -> csr_array:
    """Blocks of rows under each other, without entries of zero."""
    if not blocks:
        return csr_array((rows, columns))
    starts = np.cumsum([0] + [block.nnz for block in blocks])
    indptr = np.concatenate([[0]] + [block.indptr[1:] + start for block, start in zip(blocks, starts, strict=False)])
    whole = csr_array(
        (np.concatenate([b.data for b in blocks]), np.concatenate([b.indices for b in blocks]), indptr),
        shape=(rows, columns),
    )
    whole.eliminate_zeros()
    whole.sort_indices()
    return whole
