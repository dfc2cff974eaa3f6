"""What a table is here: a declaration that reading, checking, errors, templates, the dictionary and tests all use."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from sopkit.errors import Finding, FindingsError, nearest

if TYPE_CHECKING:
    import pandera.pandas as pa

KINDS: dict[str, tuple[str, str, Any]] = {  # dtype, what may stand in a cell, what an empty one holds
    "text": ("object", "text", ""),
    "choice": ("object", "text", ""),
    "number": ("float64", "a number", np.nan),
    "whole": ("int64", "a whole number", 0),
    "flag": ("bool", "yes or no", False),
    "month": ("datetime64[ns]", "a month like 2026-11", pd.NaT),
    "date": ("datetime64[ns]", "a date like 2026-11-30", pd.NaT),
}
QUANTITY = "unit of measure"
MONEY = "currency"
DAYS_A_MONTH = 30  # of a lead time: 21 days are 0.7 months
PER_UNIT = "currency per unit"
ADDS = {
    "sum": "adds up",
    "end": "adds up; a period takes its last month",
    "start": "adds up; a period takes its first month",
    "month": "adds up within a month, not over months",
    "": "does not add up",
}
SHOWN_PER_RULE = 1_000
BEYOND_MEASURE = 1e15  # cents of a larger amount are lost in a float
DAYS = (pd.Timestamp("1950-01-01"), pd.Timestamp("2149-12-31"))


@dataclass(frozen=True)
class Column:
    """One column: its kind, unit, bounds, meaning and an example.

    `required`: an empty cell is refused. An optional column may also be absent from the source; empty cells then hold
    `default` (which the data dictionary states), or NaN / NaT / "" where there is none.
    `choices`: the words that may stand in a cell; a text may hold several of them, divided by blanks.
    `refs`: the tables in whose key the value must be found ("products or materials").
    `adds`: how the cells of several rows become one figure, for numbers: a key of ADDS, or a fraction of columns that
    is computed again ("(regular + overtime) / available"; a mean and its weight: "price * demand / demand").
    `better`: which way is better for the business, where one is.
    """

    name: str
    kind: str
    meaning: str
    unit: str = ""
    low: float | None = None
    high: float | None = None
    required: bool = True
    default: Any = None
    choices: tuple[str, ...] = ()
    refs: tuple[str, ...] = ()
    example: Any = None
    adds: str | None = None
    better: Literal["", "higher", "lower", "nearer 0"] = ""

    @property
    def is_money(self) -> bool:
        """Whether the column holds money, by its unit."""
        return self.kind == "number" and self.unit.startswith(MONEY)

    @property
    def dtype(self) -> str:
        """The pandas dtype of the column in every checked frame."""
        return KINDS[self.kind][0]

    @property
    def empty(self) -> Any:
        """What an empty optional cell holds: the default, or the kind's own nothing."""
        return KINDS[self.kind][2] if self.default is None else self.default

    @property
    def allowed(self) -> str:
        """What may stand in a cell, in words."""
        if self.choices:
            return ("one of " if self.kind == "choice" else "one or more of ") + ", ".join(self.choices)
        if self.refs:
            return "a " + " or ".join(f"{ref} key" for ref in self.refs)
        words = KINDS[self.kind][1]
        if self.low is not None and self.high is not None:
            words += f" from {self.low:g} to {self.high:g}"
        elif self.low is not None:
            words += f" of at least {self.low:g}"
        elif self.high is not None:
            words += f" of at most {self.high:g}"
        return words

    @cached_property
    def parts(self) -> tuple[str, str] | None:
        """What a rate is computed from again: its numerator and its denominator; None where it is no rate."""
        if not self.adds or self.adds in ADDS:
            return None
        fraction = ast.parse(self.adds, mode="eval").body
        if not (isinstance(fraction, ast.BinOp) and isinstance(fraction.op, ast.Div)):
            raise ValueError(f"column {self.name}: {self.adds!r} is neither one of {', '.join(ADDS)} nor a fraction")
        return ast.unparse(fraction.left), ast.unparse(fraction.right)

    @cached_property
    def named(self) -> set[str]:
        """The columns that a rate is computed from; empty where it is no rate."""
        return {name for part in self.parts or () for name in names_in(part)}

    @property
    def adding(self) -> str:
        """How the column adds up, in words; "" where it holds no numbers."""
        if not self.parts:
            return "" if self.adds is None else ADDS[self.adds]
        over, under = self.parts
        return f"mean weighted by {under}" if over == f"{self.name} * {under}" else f"computed again: {self.adds}"

    def fits(self, cell: str) -> bool:
        """Whether a text is one of the choices; in a column of text, whether each of its words is."""
        words = [cell] if self.kind == "choice" else cell.split()
        return (cell == "" and not self.required) or all(word in self.choices for word in words)

    @property
    def rules(self) -> tuple[tuple[str, Callable[[Any], Any]], ...]:
        """(what a value must be, in words; the test of a series or an array) for every rule but the column's kind."""
        rules: list[tuple[str, Callable[[Any], Any]]] = []
        if self.kind in ("number", "whole"):
            rules.append(("a finite number below 1e15 in size", lambda s: ~(abs(s) >= BEYOND_MEASURE)))
        if self.low is not None:
            rules.append((f"at least {self.low:g}", lambda s: ~(s < self.low)))
        if self.high is not None:
            rules.append((f"at most {self.high:g}", lambda s: ~(s > self.high)))
        if self.choices:
            rules.append(("a valid choice", lambda s: pd.Series(s).map(self.fits).astype(bool)))
        if self.kind in ("text", "choice"):
            rules.append(("text", _is_text))
            if self.required:
                rules.append(("not empty", lambda s: s != ""))
        if self.kind == "month":
            rules.append(("first day of a month", lambda s: pd.isna(s) | pd.Series(s).dt.day.eq(1)))
        if self.kind in ("month", "date"):
            rules.append((f"from {DAYS[0]:%Y} to {DAYS[1]:%Y}", lambda s: ~((s < DAYS[0]) | (s > DAYS[1]))))
        return tuple(rules)

    @property
    def may_lack(self) -> bool:
        """Whether a checked cell may hold NaN or NaT."""
        return not self.required and self.kind not in ("text", "choice", "whole", "flag")


def _in_order(key: list[np.ndarray]) -> bool:
    """Whether rows stand sorted already, which most tables are; False where it cannot be told."""
    sorted_so_far = True
    try:
        for values in reversed(key):
            sorted_so_far = (values[:-1] < values[1:]) | ((values[:-1] == values[1:]) & sorted_so_far)
    except TypeError:
        return False
    return bool(np.all(sorted_so_far))


def names_in(expression: str) -> set[str]:
    """The columns that an expression names."""
    return {node.id for node in ast.walk(ast.parse(expression)) if isinstance(node, ast.Name)}


def _is_text(values: Any) -> Any:
    # one look at all cells in C; cell by cell only where something else is among them
    if pd.api.types.infer_dtype(values, skipna=False) in ("string", "empty"):
        return values == values
    return pd.Series(values).map(type).eq(str)


@dataclass(frozen=True)
class Table:
    """One table: who owns it, what a row is, its key, its columns; `stage` is the stage that writes it.

    `may_be_empty`: a required table that may have no row.
    `not_before`: pairs of columns (later, earlier): the first may not lie before the second.
    `apart`: rows of different values in these columns are never added up: the forecasts of two streams, two costs.
    """

    name: str
    stage: str
    owner: str
    meaning: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    required: bool = True
    not_before: tuple[tuple[str, str], ...] = ()
    apart: tuple[str, ...] = ()
    may_be_empty: bool = False

    def __post_init__(self) -> None:
        named = {*self.key, *self.apart, *(name for pair in self.not_before for name in pair)}
        named = named.union(*(column.named for column in self.columns))
        if missing := named - set(self.names):
            raise ValueError(f"{self.name}: columns not declared: {sorted(missing)}")

    def __iter__(self) -> Iterator[Column]:
        return iter(self.columns)

    def __getitem__(self, name: str) -> Column:
        """The column called `name`; KeyError with the nearest names otherwise."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(f"table {self.name} has no column {name!r}: {nearest(name, self.names)}")

    @property
    def names(self) -> list[str]:
        """Column names in declared order."""
        return [column.name for column in self.columns]

    @cached_property
    def schema(self) -> pa.DataFrameSchema:
        """The table as a pandera schema (kinds, bounds, choices, uniqueness of the key)."""
        import pandera.pandas as pa  # late: only what is wrong needs it

        def rules(column: Column) -> list[pa.Check]:
            return [pa.Check(holds, error=words, ignore_na=False) for words, holds in column.rules]

        columns = {one.name: pa.Column(one.dtype, rules(one), nullable=one.may_lack) for one in self.columns}
        return pa.DataFrameSchema(columns, unique=list(self.key) or None, strict=True, name=self.name)

    def empty(self) -> pd.DataFrame:
        """The table without rows, every column with its dtype."""
        return self._empty.copy()

    @cached_property
    def _empty(self) -> pd.DataFrame:
        return pd.DataFrame({column.name: pd.Series(dtype=column.dtype) for column in self.columns})

    def conform(self, frame: pd.DataFrame) -> pd.DataFrame:
        """`frame` with declared columns in declared order and dtypes, optional ones filled, sorted by key.

        Raises FindingsError for a missing required column, an unknown column, or values of another kind.
        """
        findings, there = [], list(frame.columns)
        for name in map(str, frame.columns.difference(self.names) if there != self.names else ()):
            fix = f"Rename or remove it: {nearest(name, self.names)}"
            findings.append(self._finding(1, name, "", "unknown column", fix, allowed=", ".join(self.names)))
        out = {}  # what is not as it stands there
        for column in self.columns:
            values = frame[column.name] if column.name in there else None
            if values is None:
                if column.required:
                    findings.append(self._finding(1, column.name, "", "missing column", "Add the column."))
                values = out[column.name] = pd.Series(column.empty, index=frame.index)
            if not column.required and column.empty is not pd.NaT and column.empty == column.empty and values.hasnans:
                values = out[column.name] = values.where(values.notna(), column.empty)
            try:
                if values.dtype != column.dtype:
                    out[column.name] = values.astype(column.dtype)
            except (TypeError, ValueError) as error:
                findings.append(self._finding(0, column.name, str(error)[:80], "wrong kind", "Correct the values."))
        if findings:
            raise FindingsError(findings, f"Table {self.name} does not fit its declaration")
        conformed, key = (frame.assign(**out) if out else frame)[self.names], list(self.key) or self.names
        if _in_order([conformed[name].to_numpy() for name in key]):
            return conformed.set_axis(range(len(conformed)))
        return conformed.sort_values(key, kind="stable", ignore_index=True)

    def findings(self, frame: pd.DataFrame) -> list[Finding]:
        """Everything in a conformed `frame` that breaks the declaration (row 2 = first data row).

        At most SHOWN_PER_RULE cells a rule; a row whose key stood in a row above is one finding.
        """
        found = [] if self._holds(frame) else [*self._broken(frame)]
        for later, earlier in self.not_before:
            for row in np.flatnonzero(frame[later] < frame[earlier])[:SHOWN_PER_RULE]:
                value, allowed = str(frame[later].iloc[row])[:10], f"{self[later].allowed}, not before {earlier}"
                fix = f"Correct {later} or {earlier}."
                found.append(self._finding(int(row) + 2, later, value, f"lies before {earlier}", fix, allowed=allowed))
        return found

    def _finding(
        self, row: int, column: str, value: str, rule: str, fix: str, *, allowed: str | None = None
    ) -> Finding:
        known = next((one.allowed for one in self.columns if one.name == column), "")
        return Finding(self.name, row, column, value, rule, "error", known if allowed is None else allowed, fix)

    def _holds(self, frame: pd.DataFrame) -> bool:
        """Whether pandera would find nothing: the same rules, each once over its column, in a tenth of the time."""
        if list(frame.columns) != self.names or (self.key and frame.duplicated(list(self.key)).any()):
            return False
        return all(
            frame[column.name].dtype == column.dtype
            and (column.may_lack or not pd.isna(values).any())
            and all(holds(values).all() for _, holds in column.rules)
            for column in self
            for values in [frame[column.name].to_numpy()]
        )

    def _broken(self, frame: pd.DataFrame) -> Iterator[Finding]:
        """What pandera finds in a frame for which not everything holds."""
        from pandera.errors import SchemaErrors

        try:
            self.schema.validate(frame, lazy=True)
        except SchemaErrors as errors:
            cases = errors.failure_cases.astype({"check": str})
            for (_, check), group in cases.groupby(["column", "check"], dropna=False, sort=False):
                if check != "multiple_fields_uniqueness":
                    yield from self._of_cases(group.head(SHOWN_PER_RULE), len(group))
            if cases["check"].eq("multiple_fields_uniqueness").any():
                yield from self._of_keys(frame)

    def _of_cases(self, cases: pd.DataFrame, count: int) -> Iterator[Finding]:
        for case in cases.itertuples():
            row = 0 if pd.isna(case.index) else int(case.index) + 2
            rule = "is empty" if case.check == "not_nullable" else f"must be {case.check}"
            fix = f"Correct the {case.column if case.column in self.names else 'table'}"
            fix += f" ({count:,} such cells)." if count > 1 else "."
            yield self._finding(row, str(case.column), str(case.failure_case), rule, fix)

    def _of_keys(self, frame: pd.DataFrame) -> Iterator[Finding]:
        key = list(self.key)
        again = frame.loc[frame.duplicated(key, keep="first"), key].head(SHOWN_PER_RULE)
        for row, cells in zip(again.index, again.itertuples(index=False), strict=True):
            value = ", ".join(str(cell)[:10] if isinstance(cell, pd.Timestamp) else str(cell) for cell in cells)
            fix = f"Keep one row for each {', '.join(key)}."
            yield self._finding(int(row) + 2, ", ".join(key), value, "duplicated key", fix)

    def check(self, frame: pd.DataFrame) -> pd.DataFrame:
        """`frame` conformed and checked; raises FindingsError naming every cell that breaks the declaration."""
        conformed = self.conform(frame)
        findings = self.findings(conformed)
        if findings:
            raise FindingsError(findings, f"Table {self.name} does not fit its declaration")
        return conformed


def text(name: str, meaning: str, **more: Any) -> Column:
    """A column of text."""
    return Column(name, "text", meaning, **more)


def choice(name: str, meaning: str, *choices: str, **more: Any) -> Column:
    """A column whose cells are one of a few words."""
    return Column(name, "choice", meaning, choices=choices, **more)


def ref(name: str, refs: str, meaning: str, **more: Any) -> Column:
    """A column that refers to the key of another table; `refs` may name several, divided by `|`."""
    return Column(name, "text", meaning, refs=tuple(refs.split("|")), **more)


def number(name: str, meaning: str, unit: str, adds: str | None = None, **more: Any) -> Column:
    """A column of numbers; at least 0 unless told otherwise."""
    return Column(name, "number", meaning, unit=unit, adds=adds, **({"low": 0} | more))


def whole(name: str, meaning: str, unit: str, adds: str | None = None, **more: Any) -> Column:
    """A column of whole numbers; at least 0 unless told otherwise."""
    return Column(name, "whole", meaning, unit=unit, adds=adds, **({"low": 0} | more))


def units(name: str, meaning: str, adds: str = "sum", **more: Any) -> Column:
    """A column of quantities; what flows in a month unless told otherwise."""
    return number(name, meaning, QUANTITY, adds, **more)


def money(name: str, meaning: str, adds: str = "sum", **more: Any) -> Column:
    """A column of amounts of money, of any sign; what flows in a month unless told otherwise."""
    return number(name, meaning, MONEY, adds, **({"low": None} | more))


def price(name: str, meaning: str, adds: str = "", **more: Any) -> Column:
    """A column of prices or costs of a unit; they do not add up unless a weight is named."""
    return number(name, meaning, PER_UNIT, adds, **more)


def share(name: str, meaning: str, adds: str = "", **more: Any) -> Column:
    """A column of fractions, 0.25 is 25 %; from 0 to 1 and not adding up unless told otherwise."""
    return number(name, meaning, "share", adds, **({"high": 1} | more))


def month(name: str = "month", meaning: str = "the month", **more: Any) -> Column:
    """A column of months."""
    return Column(name, "month", meaning, unit="month", **({"example": "2026-11"} | more))


def date(name: str, meaning: str, **more: Any) -> Column:
    """A column of days."""
    return Column(name, "date", meaning, unit="day", **({"example": "2026-11-30"} | more))


def flag(name: str, meaning: str, **more: Any) -> Column:
    """A column of yes or no."""
    return Column(name, "flag", meaning, **more)
