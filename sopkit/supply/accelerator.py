"""The same matrix without a row of Pyomo: every rule is run once, over arrays of all its indices.

A rule such as `lambda m, i, t: sum(m.usage[i, j] * m.make[j, t] for j in m.USES[i]) <= m.limit[i, t]` is called with
arrays of labels for `i` and `t` and with a view of the model for `m`. In the view a Param gives the array of its
values, a Var its columns, and a Set is a loop of one step, in which every row stands once for each member; what leaves
the loop is summed up. So 40,000 rows cost as much as one rule.

Pyomo's private names are used here and nowhere else: `_constructed`, `_rule`, `_init_sense`, `_rule_domain`,
`_rule_bounds`, `_rule_init`, `_init_dimen`, `_dict`, `_data`, `_values`, `_dimen`, `_index` and `_ComponentDataClass`.
Where Pyomo is another than the one tested, or a rule is not to be read this way (an `if` on an index), the plain walk
of `matrix.py` reads it, and `Matrix.note` says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from operator import is_
from typing import Any

import numpy as np
import pyomo
from pyomo.environ import Constraint, Expression, NonNegativeReals, Objective, Param, RangeSet, Set, Var, value
from scipy.sparse import coo_array, csr_array

from sopkit.supply.matrix import Labels, Matrix, Rows, Walk, bounds, walked
from sopkit.supply.positions import Index, NotReadableError, Positions

TESTED = "6.10."  # the versions of Pyomo whose private names are known

_BUILT = "_constructed"  # Pyomo runs a rule at once where it is declared on a block that is


@contextmanager
def held(model: Any) -> Iterator[None]:
    """Within this block rules declared on `model` are kept and not run, and numbers are taken all at once."""
    if not pyomo.__version__.startswith(TESTED):
        yield
        return
    setattr(model, _BUILT, False)
    try:
        yield
    finally:
        setattr(model, _BUILT, True)
        for param in model.component_objects(Param):
            if not param.is_constructed():
                _fill(param)


def _fill(param: Any) -> None:
    """Give a Param its numbers at once where none is out of its domain; else Pyomo does, and says which is wrong."""
    numbers = getattr(param._rule, "_dict", None)
    if numbers and param.is_indexed() and param.domain is NonNegativeReals:
        values = np.fromiter(numbers.values(), dtype=float, count=len(numbers))
        if (values >= 0).all():
            param._rule = None
            param.construct()
            param._data.update(numbers)
    param.construct()


def set_of(*over: Any, members: Any, dimen: int, doc: str) -> Any:
    """A Set of members that are known to fit: Pyomo looks at each of them, which takes as long as all the rules."""
    if not pyomo.__version__.startswith(TESTED):
        return Set(*over, initialize=members, dimen=dimen, doc=doc)
    made = Set(*over, dimen=dimen, doc=doc)
    for index, own in members.items() if over else ((None, members),):
        data = made if index is None else made._ComponentDataClass(component=made)
        data._index, data._dimen = index, dimen
        data._values.update(dict.fromkeys(own))
        made._data[index] = data
    return made


def matrix(model: Any) -> Matrix:
    """The matrix of a model: of held rules at once, of all others row by row; where that fails, all row by row."""
    if not pyomo.__version__.startswith(TESTED):
        return walked(model, f"every rule, because Pyomo {pyomo.__version__} is not one of {TESTED}x")
    try:
        return _Quick(model).read()
    except _WalkError as wrong:  # the plain walk names what is wrong: it is the truth
        raise wrong.why from None
    except Exception as error:
        return walked(model, f"every rule, because of {type(error).__name__}: {error}")


class _WalkError(Exception):
    """The plain walk of one component failed, and says why."""

    def __init__(self, why: Exception) -> None:
        self.why = why


class _Loop:
    """The rows for which a rule is run: its whole index set, or inside a loop over a Set each row once a member."""

    def __init__(self, size: int, parent: Any = None, origin: Any = None) -> None:
        self.size, self.parent, self.origin = size, parent, origin
        self.depth: int = parent.depth + 1 if parent else 0


class _Value:
    """What a rule reckons with: one linear expression for each row of a loop, or one label."""

    def __init__(self, quick: _Quick, constant: np.ndarray, parts: tuple = ()) -> None:
        self.quick, self.loop = quick, quick.loop
        self.constant, self.parts = constant, parts  # parts: arrays of row, column, coefficient

    def here(self) -> _Value:
        """Itself for the rows of the loop that is running: repeated inside a loop, summed up outside of it."""
        up, down, mine, its = self.loop, self.quick.loop, None, None
        while up is not down:
            if up.depth >= down.depth:
                mine, up = up.origin if mine is None else up.origin[mine], up.parent
            else:
                its, down = down.origin if its is None else down.origin[its], down.parent
        constant, parts = self.constant, self.parts
        if mine is not None:
            constant = np.bincount(mine, weights=constant, minlength=up.size)
            parts = tuple((mine[row], col, coef) for row, col, coef in parts)
        if its is not None:
            constant = constant[its]
            if parts:
                repeated = _csr(parts, up.size, self.quick.total)[its].tocoo()
                parts = ((repeated.row, repeated.col, repeated.data),)
        return self if mine is its is None else _Value(self.quick, constant, parts)

    def other(self, of: Any) -> _Value:
        """The other side of an operation."""
        if isinstance(of, _Value):
            return of.here()
        if isinstance(of, (int, float, np.number)):
            return _Value(self.quick, np.full(self.quick.loop.size, float(of)))
        raise NotReadableError(f"{type(of).__name__} is no number")

    def __add__(self, of: Any) -> _Value:
        one, two = self.here(), self.other(of)
        return _Value(self.quick, one.constant + two.constant, one.parts + two.parts)

    def __neg__(self) -> _Value:
        return self * -1.0

    def __sub__(self, of: Any) -> _Value:
        return self + -self.other(of)

    def __rsub__(self, of: Any) -> _Value:
        return -self + of

    def __mul__(self, of: Any) -> _Value:
        one, two = self.here(), self.other(of)
        if one.parts and two.parts:
            raise NotReadableError("a product of decisions")
        parts, by = (one.parts, two.constant) if one.parts else (two.parts, one.constant)
        scaled = tuple((row, col, coef * by[row]) for row, col, coef in parts)
        return _Value(self.quick, one.constant * two.constant, scaled)

    def __truediv__(self, of: Any) -> _Value:
        by = self.other(of)
        if by.parts:
            raise NotReadableError("division by a decision")
        return self * _Value(self.quick, 1.0 / by.constant)

    def __le__(self, of: Any) -> _Relation:
        return _Relation(self.here(), self.other(of), equal=False)

    def __ge__(self, of: Any) -> _Relation:
        return _Relation(self.other(of), self.here(), equal=False)

    def __eq__(self, of: object) -> _Relation:  # type: ignore[override]
        return _Relation(self.here(), self.other(of), equal=True)

    def __bool__(self) -> bool:
        raise NotReadableError("a condition")

    __radd__, __rmul__, __hash__ = __add__, __mul__, None  # type: ignore[assignment]


class _Label(_Value):
    """One label for each row, as a code; reckoned with as a number where it is one."""

    def __init__(self, quick: _Quick, codes: np.ndarray) -> None:
        self.quick, self.loop, self.codes, self.parts = quick, quick.loop, codes, ()

    @property
    def constant(self) -> np.ndarray:  # type: ignore[override]
        legend = [label if isinstance(label, (int, float)) else np.nan for label in self.quick.code]
        got = np.asarray(legend, dtype=float)[self.codes]
        if np.isnan(got).any():
            raise NotReadableError("a label where a number belongs")
        return got

    def here(self) -> _Label:
        """Itself for the rows of the loop that is running."""
        codes, loop, origins = self.codes, self.quick.loop, []
        while loop is not self.loop:
            if loop.parent is None:
                raise NotReadableError("an index outside of its loop")
            origins.append(loop.origin)
            loop = loop.parent
        for origin in reversed(origins):
            codes = codes[origin]
        return _Label(self.quick, codes) if origins else self


class _Relation:
    """left <= right or left == right, as a rule returns it."""

    def __init__(self, left: _Value, right: _Value, *, equal: bool) -> None:
        self.left, self.right, self.equal = left, right, equal

    def __bool__(self) -> bool:
        raise NotReadableError("a condition")

    def rows(self, size: int, total: int) -> tuple[csr_array, np.ndarray, np.ndarray]:
        """Coefficients and bounds; as Pyomo has it, the body is the side with decisions, or left - right."""
        body, bound, nothing = _csr(self.left.parts, size, total), self.right.constant - self.left.constant, np.inf
        if not len(self.right.parts):
            return body, bound if self.equal else np.full(size, -nothing), bound
        right = _csr(self.right.parts, size, total)
        turned = (np.diff(body.indptr) == 0) & (np.diff(right.indptr) > 0)  # row by row: the body is the right side
        body, sign = body - right, np.where(turned, -1.0, 1.0)
        if turned.any():
            body, bound = csr_array(body.multiply(sign[:, None])), bound * sign
        if self.equal:
            return body, bound, bound
        return body, np.where(turned, bound, -nothing), np.where(turned, nothing, bound)


class _View:
    """The model as a rule sees it: a component gives arrays."""

    def __init__(self, quick: _Quick) -> None:
        self._quick = quick

    def __getattr__(self, name: str) -> Any:
        component = self._quick.model.component(name)
        if component is None:
            raise NotReadableError(f"{name} is no component")
        seen = _Component(self._quick, component)
        return seen if component.is_indexed() or component.ctype in (Set, RangeSet) else seen[()]

    component = __getattr__


class _Component:
    """A Set to loop over, or a Set, Param, Var or Expression to ask by its index."""

    def __init__(self, quick: _Quick, of: Any) -> None:
        self.quick, self.of = quick, of

    def index_set(self) -> _Component:
        return _Component(self.quick, self.of.index_set())

    def __iter__(self) -> Iterator[Any]:
        index, size = self.quick.index(self.of), self.quick.loop.size
        members = [np.tile(codes, size) for codes in index.members]
        yield from self._loop(np.repeat(np.arange(size), index.size), members)

    def _loop(self, origin: np.ndarray, members: list[np.ndarray]) -> Iterator[Any]:
        """One step over all members; `origin` is the row that each stands for."""
        quick, outer = self.quick, self.quick.loop
        quick.loop = _Loop(len(origin), outer, origin)
        labels = tuple(_Label(quick, codes) for codes in members)
        yield labels[0] if len(labels) == 1 else labels
        quick.loop = outer

    def _members(self, places: np.ndarray) -> Iterator[Any]:
        """A loop over the members that an indexed Set has for each row."""
        first, counts, members = self.quick.members(self.of)
        counts, first = counts[places], first[places]
        origin = np.repeat(np.arange(len(places)), counts)
        taken = np.arange(len(origin)) + np.repeat(first - np.cumsum(counts) + counts, counts)
        yield from self._loop(origin, [codes[taken] for codes in members])

    def __getitem__(self, key: Any) -> Any:
        quick, of = self.quick, self.of
        places = np.zeros(quick.loop.size, dtype="int64")
        if of.is_indexed():
            index = quick.index(of.index_set())  # first: its members must have codes before they are looked for
            places = index.find([quick.codes(label) for label in (key if type(key) is tuple else (key,))])
            if len(places) and places.min() < 0:
                raise NotReadableError(f"{of.local_name} has no such member")
        if of.ctype is Set:
            return self._members(places)
        if of.ctype is Var:
            columns = quick.start[id(of)] + places
            return _Value(quick, np.zeros(len(columns)), ((np.arange(len(columns)), columns, np.ones(len(columns))),))
        if of.ctype is Expression:
            entries, constant, _ = quick.expression(of)
            every = len(places) == len(constant) and np.array_equal(places, np.arange(len(places)))
            picked = (entries if every else entries[places]).tocoo()
            return _Value(quick, constant[places], ((picked.row, picked.col, picked.data),))
        values, labels = quick.values(of)
        return _Label(quick, values[places]) if labels else _Value(quick, values[places])


class _Quick(Walk):
    """Reads one model, a rule at a time, and walks what cannot be read so."""

    def __init__(self, model: Any) -> None:
        super().__init__(model)
        self.view, self.loop = _View(self), _Loop(1)
        self.known: dict[Any, Any] = {}  # what was read of a Set, Param or Expression
        self.slow: dict[str, str] = {}
        rules = model.component_objects((Constraint, Expression, Objective))
        self.made = {id(rule) for rule in rules if rule.is_constructed()}

    def read(self, note: str = "") -> Matrix:
        whole = super().read(note)
        whole.note = "; ".join(f"{name}: {why}" for name, why in self.slow.items())
        return whole

    def _tried(self, component: Any, read: Callable[[Any], Any], walk: Callable[[Walk, Any], Any]) -> Any:
        """What `read` gives, or else `walk`, which is the truth: it reads the component, or says what is wrong."""
        outer = self.loop
        try:
            if id(component) in self.made:
                raise NotReadableError("its rows were made already")
            return read(component)
        except _WalkError:
            raise
        except Exception as error:
            self.slow[component.local_name] = str(error) or type(error).__name__
        finally:
            self.loop = outer
        try:
            return walk(self, component)
        except Exception as error:
            raise _WalkError(error) from error

    def _run(self, component: Any, rule: Any) -> tuple[Any, Labels]:
        """What a rule gives, run once for all indices of its component, and the labels of these."""
        size, labels = self._whole(component)
        self.loop = whole = _Loop(size)
        places = tuple(_Label(self, codes) for codes in labels)
        got = rule(self.view, places[0] if len(places) == 1 else places)
        if self.loop is not whole:
            raise NotReadableError("a loop that ends before its last member")
        return got, labels

    def _whole(self, component: Any) -> tuple[int, Labels]:
        """How many members a component has, and their labels."""
        if not component.is_indexed():
            return 1, ()
        index = self.index(component.index_set())
        return index.size, index.members

    def decision(self, variable: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray, Labels]:
        return self._tried(variable, self._decision, Walk.decision)

    def _decision(self, variable: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray, Labels]:
        if not variable._rule_domain.constant() or variable._rule_init is not None:
            raise NotReadableError("a domain or a start of each member")
        size, labels = self._whole(variable)
        domain = variable._rule_domain(self.model, None, variable)
        pairs = [domain.bounds(), (None, None)]
        if variable._rule_bounds is not None:
            pairs[1] = self._run(variable, variable._rule_bounds)[0]
        low, high = np.full(size, -np.inf), np.full(size, np.inf)
        for least, most in pairs:
            low = low if least is None else np.maximum(low, getattr(least, "constant", least))
            high = high if most is None else np.minimum(high, getattr(most, "constant", most))
        whole = np.full(len(low), domain.isdiscrete())
        for data in variable.values() if not variable.is_indexed() else variable._data.values():  # made by name
            at = self.column(data) - self.start[id(variable)]
            low[at], high[at], whole[at] = bounds(data)
        return low, high, whole, labels

    def rule(self, rule: Any) -> Rows:
        return self._tried(rule, self._rule, Walk.rule)

    def _rule(self, rule: Any) -> Rows:
        size, labels = self._whole(rule)
        if not size:
            return csr_array((0, self.total)), np.zeros(0), np.zeros(0), labels
        relation, labels = self._run(rule, rule._rule)
        if not isinstance(relation, _Relation):
            raise NotReadableError("no relation of two sides")
        return *relation.rows(self.loop.size, self.total), labels

    def objective(self, objective: Any) -> tuple[np.ndarray, float, Any]:
        return self._tried(objective, self._objective, Walk.objective)

    def _objective(self, objective: Any) -> tuple[np.ndarray, float, Any]:
        got = self._run(objective, objective._rule)[0].here()
        sense = objective._init_sense(self.model, None)
        return _csr(got.parts, 1, self.total).toarray()[0], float(got.constant[0]), sense

    def expression(self, expression: Any) -> tuple[csr_array, np.ndarray, Labels]:
        if id(expression) not in self.known:  # kept, because others are made of it
            self.known[id(expression)] = self._tried(expression, self._expression, Walk.expression)
        return self.known[id(expression)]

    def _expression(self, expression: Any) -> tuple[csr_array, np.ndarray, Labels]:
        size, labels = self._whole(expression)
        if not size:
            return csr_array((0, self.total)), np.zeros(0), labels
        got, labels = self._run(expression, expression._rule)
        got = _Value(self, np.zeros(self.loop.size)) + got
        return _csr(got.parts, self.loop.size, self.total), got.constant, labels

    def codes(self, label: Any) -> np.ndarray:
        """One index of a component, for each row of the loop that is running."""
        if isinstance(label, _Label):
            return label.here().codes
        if not isinstance(label, _Value):
            return np.full(self.loop.size, self.code.get(label, -1))
        distinct, place = np.unique(label.here().constant, return_inverse=True)
        return np.array([self.code.get(number, -1) for number in distinct.tolist()], dtype="int64")[place]

    def index(self, index_set: Any) -> Index:
        """An index set, kept because many components share it."""
        known = self.known.get(id(index_set))
        if known is None:
            index_set.construct()
            known = self.known[id(index_set)] = Index([self.positions(plain) for plain in index_set.subsets()])
        return known

    def positions(self, plain: Any) -> Positions:
        """The members of a plain set, kept because most index sets are products of a few of them."""
        known = self.known.get(("plain", id(plain)))
        if known is None:
            known = self.known["plain", id(plain)] = Positions(self.encode(plain, plain.dimen))
        return known

    def values(self, param: Any) -> tuple[np.ndarray, bool]:
        """The values of a Param in the order of its index set, and whether they are labels."""
        known = self.known.get(id(param))
        if known is None:
            if not param.is_indexed():
                return np.array([value(param)], dtype=float), False
            index, given = self.index(param.index_set()), param._data
            places = np.arange(len(given))
            if given and not (len(given) == index.size and all(map(is_, given, param.index_set()))):
                places = index.find(self.encode(given, param.dim()))
            if len(places) and places.min() < 0:
                raise NotReadableError(f"{param.local_name} has a value for what is no member")
            listed, default = list(given.values()), param.default()
            labels = str in set(map(type, listed))
            if labels:
                known = np.full(index.size, -1), labels
                known[0][places] = self.encode(listed)[0]
            else:
                known = np.full(index.size, np.nan if default is Param.NoValue else default, dtype=float), labels
                known[0][places] = listed
            if len(places) < index.size and (labels or default is Param.NoValue):
                raise NotReadableError(f"{param.local_name} has no value for some members")
            self.known[id(param)] = known
        return known

    def members(self, indexed: Any) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
        """The members of an indexed Set, one after the other: where each begins, how many, and their codes."""
        known = self.known.get(id(indexed))
        if known is None:
            index, lists = self.index(indexed.index_set()), [list(data) for data in indexed.values()]
            places = index.find(self.encode(indexed.keys(), indexed.dim()))
            lengths = np.array([len(one) for one in lists], dtype="int64")
            first, count = np.zeros(index.size, dtype="int64"), np.zeros(index.size, dtype="int64")
            first[places], count[places] = np.cumsum(lengths) - lengths, lengths
            flat = list(chain.from_iterable(lists))
            width = np.size(flat[0]) if flat else indexed._init_dimen(self.model, None)
            codes = self.encode(flat, width)
            known = self.known[id(indexed)] = first, count, codes
        return known


def _csr(parts: tuple, rows: int, columns: int) -> csr_array:
    """Entries by row, column and coefficient as a matrix, without those of zero."""
    if not parts:
        return csr_array((rows, columns))
    entries = zip(("int32", "int32", "float64"), *parts, strict=True)
    row, col, coef = (np.concatenate(arrays, dtype=kind) for kind, *arrays in entries)
    matrix = coo_array((coef, (row, col)), shape=(rows, columns)).tocsr()
    matrix.eliminate_zeros()
    return matrix
