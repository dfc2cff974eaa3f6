"""Why is this number what it is? Its formula, the parts with their values, down to the rows of the company's files.

Computed from declarations: what a column means and how it adds up (`sopkit.tables`), how it is made of others
(`sopkit/tables/made.py`), which file a table came from (table `sources`), who said what (columns owner and reason).
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from sopkit import kpis
from sopkit.book import ask
from sopkit.book.traced import source_row
from sopkit.errors import SettingsError
from sopkit.tables import table as declaration
from sopkit.tables.hierarchy import add_up
from sopkit.tables.made import Made, made
from sopkit.words import amount, listed, month_name, number, say, several, span

if TYPE_CHECKING:
    from sopkit.book.book import Book

SHOWN_LINES = 3  # of a file that are shown where a number is the sum of many
SHOWN_WORDS = 3  # reasons of people that are shown; all of them stand in `rows`
PERIODS = {kpis.PLAN: "the next twelve months", kpis.PAST: "the last twelve months"}
VAGUE = ("quantity", "amount", "value")  # names of columns that say no more than their table does
SIGNS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "x", ast.Div: "/"}


@dataclass(frozen=True)
class Explanation:
    """A number, what it is, and the numbers it is made of.

    `label`: its column and table; `sign`: how it enters the number above it; `formula`: how it is made, in words;
    `notes`: file, people, hash and what else is known; `found`: the rows of `table` behind it, with their levels.
    """

    label: str
    value: float
    unit: str
    meaning: str = ""
    at: str = ""
    sign: str = ""
    formula: str = ""
    notes: Sequence[str] = ()
    parts: Sequence[Explanation] = ()
    table: str = ""
    found: pd.DataFrame = field(default_factory=pd.DataFrame, repr=False)

    @property
    def rows(self) -> pd.DataFrame:
        """The rows behind it, as their table declares them."""
        return self.found[[name for name in declaration(self.table).names if name in self.found]].reset_index(drop=True)

    @property
    def shown(self) -> str:
        """The number with its unit."""
        return amount(self.value, self.unit)

    @property
    def _line(self) -> str:
        sign, made_of = f"{self.sign} " * bool(self.sign), f" = {self.formula}" * bool(self.formula)
        return f"{sign}{self.shown}: {self.label}{made_of}" + f" ({self.at})" * bool(self.at)

    def __repr__(self) -> str:
        """The number and its parts, a line each, indented by depth."""
        lines = [self._line, *(f"    {note}" for note in (self.meaning, *self.notes) if note)]
        for part in self.parts:
            lines += ["  " + line for line in repr(part).split("\n")]
        return "\n".join(lines)

    def __html__(self) -> str:
        """The same as nested lists that open, without script; all text escaped."""
        from sopkit.charts.figure import safe

        line = f"<b>{safe(self.shown)}</b> {safe(self._line.split(': ', 1)[1])}"
        sign = f'<span class="sign">{safe(self.sign)}</span> ' if self.sign else ""
        more = "".join(f"<p>{safe(note)}</p>" for note in (self.meaning, *self.notes) if note)
        more += "".join(part.__html__() for part in self.parts)
        return f'<details class="explain"><summary>{sign}{line}</summary>{more}</details>'

    def _repr_html_(self) -> str:
        from sopkit.charts import CSS

        return f"<style>{CSS}</style>{self.__html__().replace('<details', '<details open', 1)}"


@dataclass(frozen=True)
class Explanations:
    """Several numbers explained, below the figures that show them; `title` says which."""

    title: str
    numbers: Sequence[Explanation]

    def __bool__(self) -> bool:
        return bool(self.numbers)

    def __html__(self) -> str:
        """A list of numbers that open, without script."""
        from sopkit.charts.figure import safe

        inside = "".join(one.__html__() for one in self.numbers)
        return f'<div class="explained"><p>{safe(self.title)}</p>{inside}</div>'


def explain(book: Book, name: str, column: str, where: Mapping[str, Any]) -> Explanation:
    """See `Book.explain`."""
    rows = ask.rows_of(book, name, where)
    ask.known(column, [one.name for one in declaration(name) if one.adds is not None], f"table {name} has no number")
    if rows.empty:
        raise SettingsError(f"table {name} has no row in this book")
    return _column(book, name, column, rows)


def _column(book: Book, name: str, column: str, rows: pd.DataFrame, *, sign: str = "") -> Explanation:
    """A column of some rows of a table, made once for each book: most numbers stand in the making of several others."""
    key = "explained", name, column, rows.index.to_numpy().tobytes()
    return replace(book.once(key, lambda: _made(book, name, column, rows)), sign=sign)


def _made(book: Book, name: str, column: str, rows: pd.DataFrame) -> Explanation:
    """A column of some rows of a table: its value as the column adds up, and what it is made of."""
    declared = declaration(name)
    about = declared[column]
    if about.adds in ("end", "start") and "month" in rows:
        rows = rows[rows["month"].eq(rows["month"].max() if about.adds == "end" else rows["month"].min())]
    try:
        plain = len(rows) == 1 or about.adds in ("sum", "end", "start") and not declared.apart
        cells = rows[column] if plain else add_up(rows, declared, [], [column])[column]
        value = float(cells.sum(min_count=1))
    except ValueError as error:
        raise SettingsError(f"{error.args[0]}: ask for one row") from None
    unit = ", ".join(ask.units_of(book, name, column, rows)) or "number"
    how = made(name, column, lambda key: rows[key].iloc[0] if rows[key].nunique() == 1 else None)
    rate = about.parts if how is None else None
    tree = ast.parse(f"({rate[0]}) / ({rate[1]})", mode="eval").body if rate else how.tree if how else None
    parts: Sequence[Explanation] = ()
    if tree is not None and column not in {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}:
        parts = _parts(book, name, tree, _by_month(book, name, rows))
    elif how:
        parts = [_column(book, name, one, rows) for one in how.of]
    kind = how.where if how else {}
    return Explanation(
        label=_label(name, column, rows, kind),
        value=value,
        unit=unit,
        meaning="" if kind else say(about.meaning),
        at=_at(book, name, rows, kind),
        formula=_worded(tree) if tree is not None else "",
        notes=_notes(book, name, column, rows, how, last=not parts),
        parts=parts,
        table=name,
        found=rows,
    )


def _label(name: str, column: str, rows: pd.DataFrame, kind: Mapping[str, str]) -> str:
    if name == "kpis":
        return say(kpis.KPIS[rows["kpi"].iloc[0]].title)
    return ", ".join(map(say, kind.values())) or f"{_called(column)} ({_called(name)})"


def _called(name: str) -> str:
    """A table or column as people call it."""
    return say(name.replace("_", " "))


def _by_month(book: Book, name: str, rows: pd.DataFrame) -> pd.DataFrame:
    """`rows`, those of table kpis once for each month of their period: what a KPI is made of stands by month."""
    if name != "kpis":
        return rows
    months = [list(book.year) if period == kpis.PLAN else [pd.Timestamp(period)] for period in rows["period"]]
    each = rows.index.repeat([len(one) for one in months])
    return rows.loc[each].assign(month=[month for one in months for month in one])


def _at(book: Book, name: str, rows: pd.DataFrame, but: Collection[str] = ()) -> str:
    """Which rows of its table a number is of, in words."""
    if name == "kpis":
        period = rows["period"].iloc[0]
        return say(PERIODS.get(period, period))
    told, declared = [], declaration(name)
    for key in [key for key in declared.key if key not in but]:
        values = rows[key].unique()
        if len(values) == 1 and declared[key].dtype.startswith("datetime"):
            told.append(month_name(values[0]))
        elif len(values) == 1:
            told.append(book.coded.get(values[0], _called(str(values[0]))))
        elif key == "month":
            told.append(span(values.min(), values.max()))
    return ", ".join(filter(None, [*told, several(len(rows), "row") if len(rows) > 1 else ""]))


def _notes(book: Book, name: str, column: str, rows: pd.DataFrame, how: Made | None, *, last: bool) -> list[str]:
    """What else is known: how it came about in words, the file, people and their reasons, the hash of the table."""
    notes = [say(how.words)] if how and how.words else []
    notes += [f"{say(kpis.KPIS[kpi].measured)}." for kpi in rows["kpi"].unique()] if name == "kpis" else []
    for table in how.see if how else ():
        behind = _behind(book, name, rows, table, {})
        places = [place for place, *_ in book.came_from.get(table, [])]
        stood = [one for one in source_row(book, table, behind) if one] if len(behind) <= SHOWN_LINES else []
        where = ", ".join([*filter(None, [listed(places)]), *stood])
        see = say("See table {table}, from {places}.", table, where) if where else say("See table {table}.", table)
        notes += [see] if len(book[table]) else []
    if "model" in rows and rows["model"].nunique() == 1:
        notes.append(say("Method: {model}.", rows["model"].iloc[0]))
    if column and len(rows) > 1 and name in book.came_from:
        lines = rows[column].abs().sort_values(ascending=False, kind="stable").index[:SHOWN_LINES]
        keyed, stood = rows[list(declaration(name).key)], source_row(book, name, rows.loc[lines])
        told = [
            f"{_at(book, name, keyed.loc[[at]])}: {number(rows.at[at, column], 2)}" + f" ({row})" * bool(row)
            for at, row in zip(lines, stood, strict=True)
        ]
        notes.append(say("Its largest lines: {lines}.", "; ".join(told)))
    source = book.came_from.get(name, [])
    for place, lines, sha in source:
        owner = declaration(name).owner
        place = ", ".join(filter(None, [place, *(source_row(book, name, rows) if len(rows) == 1 else [])]))
        read = place, several(int(lines), "line"), sha[:12], say(owner)
        notes.append(say("From {place}, {lines} read, sha256 {hash}; {owner} answers for it.", *read))
    who = "owner" if "owner" in rows else "method"  # of a correction: the rule or the person who answered
    if {who, "reason"} <= set(rows):
        reasons = rows[[who, "reason"]].drop_duplicates()
        notes += [f"{owner}: {reason}" for owner, reason in reasons.head(SHOWN_WORDS).itertuples(index=False) if reason]
        notes += [say("And {count} more.", len(reasons) - SHOWN_WORDS)] if len(reasons) > SHOWN_WORDS else []
    kept = book.manifest.get("tables", {}).get(name, {})
    if kept and last and not source:
        notes.append(say("Table {table}, sha256 {hash}.", name, kept["sha256"][:12]))
    return notes


# What a formula comes to ---------------------------------------------------------------------------------------------


def _terms(tree: ast.expr, sign: str = "+") -> list[tuple[str, ast.expr]]:
    """The signed terms of a sum; one term where it is none."""
    if isinstance(tree, ast.UnaryOp) and isinstance(tree.op, ast.USub):
        return _terms(tree.operand, "-" if sign == "+" else "+")
    if isinstance(tree, ast.BinOp) and isinstance(tree.op, ast.Add | ast.Sub):
        other = sign if isinstance(tree.op, ast.Add) else "-" if sign == "+" else "+"
        return [*_terms(tree.left, sign), *_terms(tree.right, other)]
    return [(sign, tree)]


def _parts(book: Book, name: str, tree: ast.expr, rows: pd.DataFrame) -> list[Explanation]:
    if isinstance(tree, ast.BinOp) and isinstance(tree.op, ast.Mult) and len(rows) > 1:
        pairs = [(sign, one) for sign, one in (("", tree.left), ("x", tree.right)) if not isinstance(one, ast.BinOp)]
    elif isinstance(tree, ast.BinOp) and isinstance(tree.op, ast.Div | ast.Mult):
        pairs = [("", tree.left), (SIGNS[type(tree.op)], tree.right)]
    elif isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name):  # max(a, b): what it is the largest of
        pairs = [term for one in tree.args if not isinstance(one, ast.Constant) for term in _terms(one, "")]
    else:
        pairs = _terms(tree)
        pairs = [("" if place == 0 and sign == "+" else sign, term) for place, (sign, term) in enumerate(pairs)]
    found = []
    for sign, term in pairs:
        with suppress(SettingsError):  # a price of many rows is no one number: the rows hold it
            found += [_part(book, name, term, rows, sign=sign)]
    return list(filter(None, found))


def _part(book: Book, name: str, tree: ast.expr, rows: pd.DataFrame, *, sign: str) -> Explanation | None:
    if isinstance(tree, ast.Name):
        return _column(book, name, tree.id, rows, sign=sign)
    if found := _reference(tree):
        table, inner, where = found
        behind = _behind(book, name, rows, table, where)
        if isinstance(inner, ast.Name):
            return _column(book, table, inner.id, behind, sign=sign) if len(behind) else None
        name, rows, tree = table, behind, inner
    if rows.empty:
        return None
    return Explanation(
        label=f"{_worded(tree)} ({_called(name)})",
        value=float(evaluated(book, name, tree, rows).sum()),
        unit=_unit_of(book, name, tree),
        at=_at(book, name, rows),
        sign=sign,
        parts=_parts(book, name, tree, rows),
        notes=(say("Row by row, then added up."),) if len(rows) > 1 and isinstance(tree, ast.BinOp) else (),
        table=name,
        found=rows,
    )


def _unit(book: Book, declared: str) -> str:
    """A declared unit as this company has it."""
    return book.unit(declared) or "number"


def _unit_of(book: Book, name: str, tree: ast.expr) -> str:
    """The unit of a formula: money where there is money in it, else that of its first column."""
    units = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in declaration(name).names:
            units.append(declaration(name)[node.id].unit)
        elif isinstance(node, ast.expr) and (found := _reference(node)):
            units.append(_unit_of(book, found[0], found[1]))
    money = any("currency" in unit or unit == book.currency for unit in units)
    return book.currency if money else _unit(book, units[0] if units else "")


def _worded(tree: ast.expr) -> str:
    """A formula as people read it: `net sales + cost of goods sold`, `closing x standard cost`."""
    if isinstance(tree, ast.Name):
        return _called(tree.id)
    if isinstance(tree, ast.UnaryOp):
        return f"- {_worded(tree.operand)}"
    if isinstance(tree, ast.BinOp):
        both = (tree.left, tree.right)
        left, right = (f"({_worded(one)})" if _sum(one) and not _sum(tree) else _worded(one) for one in both)
        return left if left == right and _sum(tree) else f"{left} {SIGNS[type(tree.op)]} {right}"
    if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name):
        how = "larger of {numbers}" if tree.func.id == "max" else "smaller of {numbers}"
        return say(how, listed(map(_worded, tree.args), 9))
    if found := _reference(tree):
        table, inner, where = found
        named = [say(str(value.value)) for value in where.values() if isinstance(value, ast.Constant)]
        if "status" in where:
            return f"{_called(table)} {', '.join(named)}"
        if isinstance(inner, ast.Name):  # where the name of a column says little, its table's
            return ", ".join(named) or _called(table if inner.id in VAGUE else inner.id)
        return ", ".join(named) or _worded(inner)
    return ast.unparse(tree)


def _sum(tree: ast.expr) -> bool:
    found = _reference(tree)
    tree = found[1] if found else tree
    return isinstance(tree, ast.BinOp) and isinstance(tree.op, ast.Add | ast.Sub)


def _reference(tree: ast.expr) -> tuple[str, ast.expr, dict[str, ast.expr]] | None:
    """Of `table.column`, `table["formula"]` or either with brackets: the table, what of it, which of its rows."""
    where: dict[str, ast.expr] = {}
    if isinstance(tree, ast.Call) and not isinstance(tree.func, ast.Name):
        where, tree = {str(word.arg): word.value for word in tree.keywords}, tree.func
    if isinstance(tree, ast.Attribute) and isinstance(tree.value, ast.Name):
        return tree.value.id, ast.Name(tree.attr), where
    if isinstance(tree, ast.Subscript) and isinstance(tree.value, ast.Name) and isinstance(tree.slice, ast.Constant):
        return tree.value.id, ast.parse(str(tree.slice.value), mode="eval").body, where
    return None


def _keys(name: str, mine: pd.DataFrame, child: pd.DataFrame, where: Mapping[str, ast.expr]) -> dict[str, str]:
    """Which column of `child` must equal which of `mine`: those of the key that both have, and what `where` renames."""
    renamed = {their: value.id for their, value in where.items() if isinstance(value, ast.Name)}
    own = [*declaration(name).key, *(["month"] if "month" in mine and "month" not in declaration(name).key else [])]
    keys = dict(renamed)
    for key in own:
        if key in renamed.values():
            continue
        named = [key, *(["product", "material"] if key == "item" else ["item"] if key == "product" else [])]
        their = next((one for one in named if one in child and one not in where), None)
        if their:
            keys[their] = key
    return keys


def _filtered(child: pd.DataFrame, where: Mapping[str, ast.expr]) -> pd.DataFrame:
    for key, value in where.items():
        child = child[child[key].eq(value.value)] if isinstance(value, ast.Constant) else child
    return child


def _behind(book: Book, name: str, rows: pd.DataFrame, table: str, where: Mapping[str, ast.expr]) -> pd.DataFrame:
    """The rows of `table` that stand behind `rows` of table `name`."""
    child = _filtered(ask.with_levels(book, table), where)
    keys = _keys(name, rows, child, where)
    if not keys:
        return child
    mine, theirs, known = np.zeros(len(rows), int), np.zeros(len(child), int), np.ones(len(child), bool)
    for key, own in keys.items():  # each combination of values as one number
        values = pd.Index(rows[own].unique())
        at = values.get_indexer(child[key])
        known &= at >= 0
        mine, theirs = mine * len(values) + values.get_indexer(rows[own]), theirs * len(values) + at
    return child[known & np.isin(theirs, mine)]


def evaluated(book: Book, name: str, tree: ast.expr, rows: pd.DataFrame) -> pd.Series:
    """What a formula comes to in each of `rows` of table `name`: nothing where no row stands behind it."""
    if isinstance(tree, ast.Constant):
        return pd.Series(float(str(tree.value)), rows.index)
    if isinstance(tree, ast.Name):
        return rows[tree.id].astype(float).fillna(0.0)
    if isinstance(tree, ast.UnaryOp):
        return -evaluated(book, name, tree.operand, rows)
    if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name):
        one, other = (evaluated(book, name, part, rows) for part in tree.args)
        return one.where(one >= other, other) if tree.func.id == "max" else one.where(one <= other, other)
    if isinstance(tree, ast.BinOp):
        left, right = (evaluated(book, name, part, rows) for part in (tree.left, tree.right))
        return {ast.Add: left.add, ast.Sub: left.sub, ast.Mult: left.mul, ast.Div: left.div}[type(tree.op)](right)
    found = _reference(tree)
    if found is None:
        raise ValueError(f"{name}: {ast.unparse(tree)} is no formula")
    table, inner, where = found
    child = _filtered(ask.with_levels(book, table), where).reset_index(drop=True)
    keys = _keys(name, rows, child, where)
    values = evaluated(book, table, inner, child)
    if not keys:
        return pd.Series(values.sum(), rows.index)
    sums = values.groupby([child[key] for key in keys]).sum()
    columns = [rows[key] for key in keys.values()]
    wanted = pd.MultiIndex.from_arrays(columns) if len(columns) > 1 else pd.Index(columns[0])
    return pd.Series(sums.reindex(wanted).fillna(0.0).to_numpy(), rows.index)
