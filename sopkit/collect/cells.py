"""From text to values: the cells of one column, each distinct text parsed once, every flaw a finding.

Two million rows so cost little more than the different words in them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from sopkit.collect import readings
from sopkit.collect.extract import Extract, formula_text, printable, texts
from sopkit.errors import Finding, nearest
from sopkit.tables import TABLES, Column, Source, Table

NUMBER = r"^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?$"
DATE_FORMATS = ("%Y-%m", "%Y-%m-%d", "%b %Y", "%B %Y", "ISO8601")
FLAGS = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
HINTS = 100  # hints for misspelt words: so many a column, the rest is told how to look
LONGEST = 1_000
TWO_WAYS = "the column can be read in two ways:"
CHOICE = "must be one of the choices"
CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


@dataclass
class Notes:
    """The findings of one table, gathered as frames: one call a rule, however many cells break it."""

    table: Table
    extract: Extract
    frames: list[pd.DataFrame] = field(default_factory=list)

    def cells(
        self, where: np.ndarray, column: str, values: Iterable[str], rule: str, fix: Any, *, allowed: str | None = None
    ) -> None:
        """One error for each position in `where`; `values` and `fix` may differ by cell."""
        if not len(where):
            return
        fixes = [fix] * len(where) if isinstance(fix, str) else list(fix)
        if self.extract.parts:
            fixes = [f"{text} (in {self.extract.place_of(int(at))})" for text, at in zip(fixes, where, strict=True)]
        if allowed is None:
            allowed = self.table[column].allowed
        about = {"column": column, "value": [printable(value) for value in values], "rule": rule, "severity": "error"}
        rows = {"table": self.table.name, "row": self.extract.rows[where]} | about | {"allowed": allowed, "fix": fixes}
        self.frames.append(pd.DataFrame(rows))

    def header(
        self, column: str, rule: str, fix: str, *, value: str = "", allowed: str = "", severity: str = "error"
    ) -> None:
        """A finding on the table's header."""
        name, text = printable(column), printable(value)
        self.frames.append(as_frame([Finding(self.table.name, 1, name, text, rule, severity, allowed, fix)]))


def as_frame(findings: Iterable[Finding]) -> pd.DataFrame:
    """Findings as a frame of table `findings`, in their order."""
    if not (rows := [finding.as_row() for finding in findings]):
        return TABLES["findings"].empty()
    return pd.DataFrame(rows, columns=TABLES["findings"].names).astype({"row": "int64"})


def together(frames: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Frames of findings as one, in their order."""
    frames = [frame for frame in frames if len(frame)]
    return pd.concat(frames, ignore_index=True) if frames else as_frame([])


def strings(array: pa.ChunkedArray | pa.Array) -> pa.Array:
    """The cells as text, blanks around them removed."""
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    if not pa.types.is_string(array.type):
        array = texts(array.to_pylist())
    return pc.utf8_trim_whitespace(array.fill_null("") if array.null_count else array)


def shown(array: pa.ChunkedArray | pa.Array | None, where: np.ndarray) -> list[str]:
    """What stands in the source at positions `where`."""
    return [""] * len(where) if array is None or not len(where) else strings(array.take(pa.array(where))).to_pylist()


def column_of(column: Column, array: pa.ChunkedArray, source: Source, notes: Notes) -> tuple[Any, np.ndarray]:
    """(values, positions that are wrong as a mask) of one column; wrong and empty cells hold the kind's nothing."""
    if column.kind in ("number", "whole"):
        return _numbers(column, array, source, notes)
    if column.kind in ("month", "date") and pa.types.is_temporal(array.type) and not pa.types.is_time(array.type):
        array = pc.cast(array, pa.timestamp("us"), safe=False)
    text = strings(array)
    encoded = text.dictionary_encode()
    codes = encoded.indices.to_numpy()
    words = [source.values.get(column.name, {}).get(word, word) for word in encoded.dictionary.to_pylist()]
    words = ["" if word in source.empty else word for word in words]
    meanings: Any = words
    if column.kind == "choice":
        faults = [None if word == "" or word in column.choices else CHOICE for word in words]
    else:
        read_as = {"text": _texts_of, "flag": _flags}.get(column.kind, _days)
        meanings, faults = read_as(column, words, source, notes.table)
    if column.required:
        faults = ["is empty" if word == "" else fault for word, fault in zip(words, faults, strict=True)]
    wrong = np.zeros(len(codes), dtype=bool)
    if any(faults):
        at_fault = np.array([fault is not None for fault in faults], dtype=bool)
        wrong = at_fault[codes]
        for fault in dict.fromkeys(f for f in faults if f):
            if fault.startswith(TWO_WAYS):  # one answer settles the column: one finding
                where, fix = np.flatnonzero(wrong)[:1], fault.removeprefix(TWO_WAYS).strip()
                notes.cells(where, column.name, shown(text, where), TWO_WAYS.rstrip(":"), fix)
                continue
            where = np.flatnonzero(np.array([f == fault for f in faults])[codes])
            notes.cells(where, column.name, shown(text, where), fault, _fixes(column, fault, text, where))
    if column.kind in ("text", "choice"):
        # two source words may mean one of ours: distinct categories, codes that follow
        whole: Any = np.append(np.array(meanings, dtype=object), "")
        kinds, inverse = np.unique(whole, return_inverse=True)
        return pd.Categorical.from_codes(inverse[codes] if len(codes) else codes, kinds), wrong
    return meanings[codes] if len(codes) else meanings[:0], wrong


def _fixes(column: Column, fault: str, text: pa.Array, where: np.ndarray) -> Any:
    if fault in ("is not a month", "is not a date", "is a day, not a month"):
        example = column.allowed.rpartition(" ")[2]
        if fault == "is a day, not a month":
            return f"Write it like {example}; days are added up to months with `sum_rows: true` in company.yaml."
        return f"Write it like {example}, or name the pattern of the column under `dates` in company.yaml (%d.%m.%Y)."
    if fault != CHOICE:
        return "Fill the cell." if fault == "is empty" else "Correct the cell."
    hints: dict[str, str] = {}
    fixes = []
    for value in text.take(pa.array(where)).to_pylist():
        if value not in hints and len(hints) < HINTS:
            wrong = next((word for word in value.split() if word not in column.choices), value)
            hints[value] = nearest((value if column.kind == "choice" else wrong).lower(), column.choices)
        fixes.append(f"Correct the cell: {hints.get(value, 'see what is allowed.')}")
    return fixes


def _numbers(column: Column, array: pa.ChunkedArray, source: Source, notes: Notes) -> tuple[np.ndarray, np.ndarray]:
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    if pa.types.is_integer(array.type) or pa.types.is_floating(array.type) or pa.types.is_decimal(array.type):
        empty = pc.is_null(array).to_numpy(zero_copy_only=False)
        # arrow scales a decimal with an error in the last bit: 499 as decimal(30, 9) would be 499.00000000000006
        exact = pc.cast(array, pa.string()) if pa.types.is_decimal(array.type) else array
        values = pc.cast(exact, pa.float64(), safe=False).to_numpy(zero_copy_only=False)
        wrong = np.isnan(values) & ~empty
        text = array
    else:
        text = strings(array)
        plain = text
        for theirs, ours in source.values.get(column.name, {}).items():
            plain = pc.if_else(pc.equal(plain, theirs), ours, plain)
        if source.empty:
            plain = pc.if_else(pc.is_in(plain, pa.array(source.empty)), "", plain)
        if source.thousands:
            plain = pc.replace_substring(plain, source.thousands, "")
        if source.decimal != ".":
            # a dot is no decimal mark here: a cell with one is refused, not read as a thousand times less
            plain = pc.replace_substring(pc.replace_substring(plain, ".", "?"), source.decimal, ".")
        plain, asked = _marked(column, plain, source, notes)
        empty = pc.equal(plain, "").to_numpy(zero_copy_only=False)
        if asked:
            return np.full(len(plain), np.nan), ~empty
        fits = pc.match_substring_regex(plain, NUMBER)
        values = pc.cast(pc.if_else(fits, plain, None), pa.float64()).to_numpy(zero_copy_only=False)
        wrong = ~fits.to_numpy(zero_copy_only=False) & ~empty
    where = np.flatnonzero(wrong)
    if len(where):
        fix = f"Write a number with the decimal mark {source.decimal!r}; other marks are set by `decimal` and "
        fix += "`thousands` in company.yaml."
        if pa.types.is_floating(array.type):
            fix = "Write a number, or leave the cell empty."
        notes.cells(where, column.name, shown(text, where), "is not a number", fix)
    if column.required:
        where = np.flatnonzero(empty)
        notes.cells(where, column.name, [""] * len(where), "is empty", "Fill the cell.")
        wrong = wrong | empty
    if column.kind == "whole":
        parts = ~np.isnan(values) & np.isfinite(values) & (values != np.floor(np.where(np.isfinite(values), values, 0)))
        where = np.flatnonzero(parts)
        notes.cells(where, column.name, shown(text, where), "is not a whole number", "Round the number.")
        wrong = wrong | parts
    return values, wrong


def _copy(table: Table, lines: str) -> str:
    return f"Copy the one that is right into company.yaml, under `tables: {{{table.name}: ...}}`: {lines}."


def _marked(column: Column, plain: pa.Array, source: Source, notes: Notes) -> tuple[pa.Array, bool]:
    """The numbers with a point as the decimal mark, and whether the column was asked about instead.

    Where the mapping says nothing, a column that fits one reading of its marks is read so; one finding where it fits
    two, with the lines to copy.
    """
    if {"decimal", "thousands"} & source.model_fields_set or not len(plain):
        return plain, False
    strange = pc.invert(pc.or_(pc.match_substring_regex(plain, NUMBER), pc.equal(plain, "")))
    grouped = pc.match_substring_regex(plain, r"^[+-]?[1-9]\d{0,2}(\.\d{3})+$")
    if not (pc.any(strange).as_py() or pc.any(grouped).as_py()):
        return plain, False
    words = pc.unique(plain).to_pylist()
    found = readings.marks(words)
    if not pc.any(strange).as_py():
        # 999 beside 1.234: a point between thousands, or numbers that have three decimals or none
        grouped_only = {word for word in words if "." in word}
        rest = {word for word in words if word and word not in grouped_only}
        if not rest or len(grouped_only) < readings.EVIDENCE or (",", ".") not in found:
            return plain, False
        if any(len(word.lstrip("+-")) > 3 for word in rest):
            return plain, False
        found = {(".", ""): [0.0], (",", "."): found[",", "."]}
    if len(found) > 1:
        ways = [f'decimal: "{decimal}"' + f', thousands: "{mark}"' * bool(mark) for decimal, mark in found]
        lines = " or ".join(f"`{way}`" for way in ways)
        where = np.flatnonzero(pc.or_(strange, grouped).to_numpy(zero_copy_only=False))[:1]
        notes.cells(where, column.name, shown(plain, where), TWO_WAYS.rstrip(":"), _copy(notes.table, lines))
        return plain, True
    if not found or not pc.any(strange).as_py():
        return plain, False
    (decimal, thousands), _ = next(iter(found.items()))
    plain = pc.replace_substring(plain, thousands, "") if thousands else plain
    return pc.replace_substring(plain, decimal, "."), False


def _texts_of(column: Column, words: list[str], source: Source, table: Table) -> tuple[list[str], list[str | None]]:
    meanings = [formula_text(word) for word in words]
    # a code with an invisible character looks like another code that it is not; a name may have lines and fine blanks
    code = column.refs or column.name in table.key
    faults: list[str | None] = []
    for word in meanings:
        clean = word.isprintable() if code else not CONTROLS.search(word)
        long = f"is longer than {LONGEST:,} characters" if len(word) > LONGEST else None
        fault = long if clean else "holds characters that cannot be seen"
        faults.append(fault if fault or not column.choices or column.fits(word) else CHOICE)
    return meanings, faults


def _flags(column: Column, words: list[str], source: Source, table: Table) -> tuple[np.ndarray, list[str | None]]:
    default = bool(column.empty)
    meanings = np.array([default if word == "" else FLAGS.get(word.lower(), default) for word in words], dtype=bool)
    return meanings, [None if word == "" or word.lower() in FLAGS else "is neither yes nor no" for word in words]


def _days(column: Column, words: list[str], source: Source, table: Table) -> tuple[np.ndarray, list[str | None]]:
    texts = pd.Series(words, dtype=object)
    days = pd.Series(pd.NaT, index=texts.index, dtype="datetime64[ns]")
    # a date cell of a spreadsheet or database comes as 2026-11-30, however the texts beside it are written
    cells = () if source.dates.startswith("%Y") else ("%Y-%m-%d",)
    for written in (source.dates, *cells) if source.dates else DATE_FORMATS:
        left = days.isna() & texts.ne("")
        if written == "ISO8601":
            left &= texts.str.len().gt(10)  # a day with its time; "2026" alone would pass for January
        if not left.any():
            break
        days[left] = readings.parsed(texts[left], written)
    unread = "is not a month" if column.kind == "month" else "is not a date"
    if not source.dates and (texts.ne("") & days.isna()).any():
        kinds = readings.days(words)
        if len({tuple(read) for read in kinds.values()}) > 1:
            ways = [f'`dates: "{name}"` (then {read.iloc[0]:%Y-%m-%d} first)' for name, read in kinds.items()]
            lines = " or ".join(ways)
            unread = f"{TWO_WAYS} {_copy(table, lines)}"
        elif kinds:
            days[texts.ne("")] = next(iter(kinds.values())).to_numpy()
    faults = [unread if word and day is pd.NaT else None for word, day in zip(words, days, strict=True)]
    if column.kind == "month":
        if source.sum_rows or (days.dt.day.gt(1).any() and readings.one_day_a_month(days.dropna())):
            days = days.dt.to_period("M").dt.to_timestamp()
        else:
            inside = days.dt.day.gt(1)
            faults = ["is a day, not a month" if late else fault for late, fault in zip(inside, faults, strict=True)]
    else:
        days = days.dt.normalize()
    return days.to_numpy(), faults
