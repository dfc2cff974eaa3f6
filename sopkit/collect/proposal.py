"""Which table an unknown export is, and which of our columns each of its columns: proposed, with how sure that is.

Four kinds of evidence: names (of files and columns, in the words of `vocabulary.yaml`), what the cells can be read as,
keys (are they unique?), and references between exports (whose codes are these?). Tables and columns are each assigned
as a whole (Kuhn 1955), so that two columns never mean the same.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rapidfuzz import fuzz
from scipy.optimize import linear_sum_assignment

from sopkit.collect.exports import Export
from sopkit.collect.mapping import ADDABLE_UNITS
from sopkit.tables import INPUTS, Column, Table, load_yaml

SURE, LIKELY, GUESS = "sure", "likely", "a guess"
EMPTY, SPOILED = "named so, but empty", "named so, but not every cell fits"
FITS, MOST = 0.98, 0.5  # share of the filled cells that must fit a kind, and where the name says it
CODED, STRANGE = 0.9, 0.5  # share of codes that another export knows, from which it is what they name, or is not
NEEDS, SPARE = 1.6, 0.4  # what a table loses by a needed column that is not there, and by a column that nothing means
LONGEST_WAIT = 6  # months, beyond which a lead time is most likely in days
ROUNDS = 4  # after each, references to the exports' keys are known better
Evidence = tuple[float, str, dict[str, str], float]  # likeness of names, why, words to translate, factor
PAST = ("sales_history", "production_history", "stock_history", "work_orders", "balance_sheet")
PLANNED = ("sales_forecast", "budget", "scheduled_receipts", "capacity", "market_conditions", "supplier_capacity")


@dataclass(frozen=True)
class Match:
    """One of their columns as one of ours: how sure, and why."""

    theirs: str
    ours: str
    confidence: str
    why: str
    score: float
    values: Mapping[str, str] = field(default_factory=dict)
    factor: float = 1.0


@dataclass(frozen=True)
class Proposal:
    """One export as one of our tables."""

    export: Export
    table: Table
    confidence: str
    matches: tuple[Match, ...]
    sum_rows: bool = False

    @property
    def missing(self) -> list[str]:
        """Our columns that were not found; those that must be filled first."""
        there = {one.ours for one in self.matches}
        return sorted((c.name for c in self.table if c.name not in there), key=lambda n: not self.table[n].required)

    @property
    def unknown(self) -> list[str]:
        """Their columns that mean nothing of ours."""
        return [name for name in self.export.columns if name not in {one.theirs for one in self.matches}]


def propose(exports: Sequence[Export]) -> list[Proposal]:
    """The tables that `exports` are, in our order; an export that is none is left out."""
    looks = [Look(export) for export in exports]
    turn = _turn(looks)
    keys: dict[str, set[str]] = {}
    chosen: list[tuple[Look, Table, list[Match], float]] = []
    for _ in range(ROUNDS):
        fits = [[_fit(look, table, keys, turn) for table in INPUTS] for look in looks]
        value = np.array([[fit[1] for fit in row] for row in fits]).reshape(len(looks), len(INPUTS))
        pairs = zip(*linear_sum_assignment(np.maximum(value, 0.0), maximize=True), strict=True)
        chosen = [
            (looks[at], INPUTS[place], fits[at][place][0], _lead(value, at, place))
            for at, place in sorted(pairs, key=lambda pair: pair[1])  # in our order
            if value[at, place] > 0
        ]
        found = {table.name: _key(look, table, matches) for look, table, matches, _ in chosen}
        if found == keys:
            break
        keys = found
    return [_proposal(look, table, matches, lead) for look, table, matches, lead in chosen]


def _lead(value: np.ndarray, at: int, place: int) -> float:
    """How far a table is ahead of every other one for its export, and its export of every other one for it."""
    others = np.concatenate([np.delete(value[at], place), np.delete(value[:, place], at), [0.0]])
    return float(value[at, place] - others.max())


def _proposal(look: Look, table: Table, matches: list[Match], lead: float) -> Proposal:
    named = any(_likeness(look.export.name, word) >= 0.9 for word in _words("tables", table.name))
    there = {one.ours for one in matches}
    whole = {column.name for column in table if column.required} <= there
    sure = SURE if whole and ((named and lead > 0.5) or lead > 3) else LIKELY if whole or named else GUESS
    if sure != SURE:  # a column is no surer than its table
        better = {SURE: sure, LIKELY: min(sure, LIKELY, key=(SURE, LIKELY, GUESS).index)}
        matches = [Match(**{**vars(one), "confidence": better.get(one.confidence, one.confidence)}) for one in matches]
    keyed = [one.theirs for one in matches if one.ours in table.key]
    rows = look.export.rows
    addable = all(column.unit in ADDABLE_UNITS for column in table if column.name not in table.key)
    days = [one for one in matches if table[one.ours].kind == "month" and look.has_days(one.theirs)]
    repeats = bool(keyed) and {c.name for c in table if c.name in table.key and c.required} <= there
    repeats = repeats and bool(rows.duplicated(keyed).any())
    return Proposal(look.export, table, sure, tuple(matches), addable and bool(days or repeats))


# what the cells say ---------------------------------------------------------------------------------------------
class Look:
    """An export, each of its columns read once as every kind."""

    def __init__(self, export: Export) -> None:
        self.export = export
        self.words = {name: set(export.rows[name]) for name in export.columns}
        self.gaps = {name: "" in words for name, words in self.words.items()}
        self.words = {name: words - {""} for name, words in self.words.items()}
        self.filled = {name: bool(words) for name, words in self.words.items()}
        self.known: dict[tuple[str, str, str], tuple[Any]] = {}
        self._read: dict[tuple[str, str], tuple[pd.Series, float]] = {}

    def read(self, kind: str, name: str) -> tuple[pd.Series, float]:
        """(values, share that fits) of a column read as a kind; whole numbers are numbers."""
        kind = "number" if kind == "whole" else kind
        if (kind, name) not in self._read:
            self._read[kind, name] = self.export.read_as(kind, sorted(self.words[name]))
        return self._read[kind, name]

    def is_unique(self, name: str) -> bool:
        """Whether no two rows have the same text in column `name`."""
        return self.filled[name] and len(self.words[name]) == len(self.export.rows)

    def has_days(self, name: str) -> bool:
        """Whether a column of months holds days: it can be read as days, and not as months."""
        return self.read("month", name)[1] < FITS <= self.read("date", name)[1]

    def months(self) -> list[pd.Series]:
        """Every column of months or days."""
        return [self.read("date", name)[0] for name in self.export.columns if self.fits("date", name)]

    def fits(self, kind: str, name: str) -> bool:
        """Whether the cells of a column can be of a kind; a column of small numbers is neither months nor days."""
        if kind in ("text", "choice") or not self.filled[name]:
            return True
        if kind in ("month", "date") and not any(mark.isdigit() for mark in next(iter(self.words[name]))):
            return False
        return self.read("date" if kind == "month" else kind, name)[1] >= FITS


def _turn(looks: Iterable[Look]) -> pd.Timestamp | None:
    """The month in which the past ends and the plan begins: most exports end before it or start with it."""
    count: Counter[pd.Timestamp] = Counter()
    for look in looks:
        for days in look.months():
            known = days.dropna().dt.to_period("M")
            if len(known):
                count.update({known.min().to_timestamp(), (known.max() + 1).to_timestamp()})
    return max(count, key=lambda month: (count[month], month)) if count else None


def _key(look: Look, table: Table, matches: list[Match]) -> set[str]:
    """The codes that an export gives its table, if its key is one column."""
    return next((look.words[one.theirs] for one in matches if (one.ours,) == table.key), set())


# how an export fits a table -------------------------------------------------------------------------------------
def _fit(
    look: Look, table: Table, keys: Mapping[str, set[str]], turn: pd.Timestamp | None
) -> tuple[list[Match], float]:
    """The best assignment of the export's columns to the table's, and what it is value."""
    theirs = look.export.columns
    scores = np.full((len(theirs), len(table.columns)), -9.0)
    about: dict[tuple[int, int], Evidence] = {}
    for at, name in enumerate(theirs):
        for place, column in enumerate(table):
            seen = _evidence(look, name, column, table, keys)
            if seen:
                about[at, place] = seen
                scores[at, place] = 2 * seen[0] + (1.0 if "codes of" in seen[1] else 0) + (0.3 if seen[2] else 0)
    rows, columns = linear_sum_assignment(np.maximum(scores, 0.0), maximize=True)
    taken = [(at, place) for at, place in zip(rows, columns, strict=True) if scores[at, place] > 0.7]
    matches = [
        _match(about[at, place], scores, (at, place), (theirs[at], table.columns[place].name)) for at, place in taken
    ]
    there = {one.ours for one in matches}
    value = sum(one.score for one in matches)
    value -= NEEDS * sum(column.required and column.name not in there for column in table)
    value -= SPARE * sum(look.filled[name] for name in theirs if name not in {one.theirs for one in matches})
    value += 2.5 * max(_likeness(look.export.name, word) for word in _words("tables", table.name))
    value += _timing(look, table, matches, turn)
    if (len(table.key) == 1) and any(one.ours in table.key and not look.is_unique(one.theirs) for one in matches):
        value -= 3.0
    return matches, value


def _match(seen: Evidence, scores: np.ndarray, where: tuple[int, int], names: tuple[str, str]) -> Match:
    """The match of (their, our) `names` at `where` in `scores`: how far ahead of every other, for both, it is."""
    (likeness, why, values, factor), (at, place) = seen, where
    rivals = [scores[at, other] for other in range(scores.shape[1]) if other != place]
    rivals += [scores[other, place] for other in range(scores.shape[0]) if other != at]
    lead = scores[at, place] - max(rivals, default=0.0)
    exact, read_well = likeness >= 0.95, why != EMPTY
    confidence = SURE if exact and lead >= 0.35 and read_well else LIKELY if likeness >= 0.6 and lead > 0 else GUESS
    if factor != 1.0 and confidence == SURE:
        confidence = LIKELY
    return Match(*names, confidence, why, float(scores[at, place]), values, factor)


def _timing(look: Look, table: Table, matches: list[Match], turn: pd.Timestamp | None) -> float:
    """Whether the months of an export lie where those of the table should: before the turn, or from it on."""
    month = next((one.theirs for one in matches if table[one.ours].kind in ("month", "date")), None)
    if turn is None or month is None or table.name not in PAST + PLANNED:
        return 0.0
    days = look.read("date", month)[0].dropna()
    if days.empty:
        return 0.0
    return 1.0 if (days.max() < turn) == (table.name in PAST) else -1.0


def _evidence(look: Look, name: str, column: Column, table: Table, keys: Mapping[str, set[str]]) -> Evidence | None:
    """What says that a column of theirs can be `column`, the codes of other exports included; None where it cannot."""
    seen = look.known.get((name, table.name, column.name))
    if seen is None:
        seen = look.known[name, table.name, column.name] = (_alone(look, name, column, table),)
    if seen[0] is None:
        return None
    likeness, why, words, factor = seen[0]
    known = set().union(*(keys.get(ref, set()) for ref in column.refs)) if look.filled[name] else set()
    if known:
        share = len(look.words[name] & known) / len(look.words[name])
        if share < STRANGE and column.refs[0] != table.name:
            return None
        if share >= CODED:
            likeness = max(likeness, 0.45)
            why = (why + ", " if why else "") + f"codes of {' or '.join(column.refs)}"
    return (likeness, why, words, factor) if likeness >= 0.4 else None


def _alone(look: Look, name: str, column: Column, table: Table) -> Evidence | None:
    """What name and cells of a column say by themselves."""
    likeness = max(_likeness(name, word) for word in _words("columns", column.name))
    if not look.filled[name]:
        return (likeness, EMPTY, {}, 1.0) if likeness >= 0.8 and not column.required else None
    if likeness < 0.4 and not (column.refs or column.choices or column.kind in ("month", "date")):
        return None
    if not look.fits(column.kind, name) or (column.required and look.gaps[name] and column.kind != "month"):
        # by its name it is: which cells are wrong is for check to say
        needed = likeness >= 0.95 and column.required and column.kind in ("month", "number")
        most = needed and (column.kind == "month" or look.read(column.kind, name)[1] > MOST)
        return (0.55, SPOILED, {}, 1.0) if most else None
    why, words, factor = "named so" if likeness >= 0.95 else "named nearly so" if likeness >= 0.6 else "", {}, 1.0
    if column.choices:
        translated = _translated(look.words[name], column)
        if translated is None:
            return None
        likeness, why, words = max(likeness, 0.55), f"holds {', '.join(sorted(look.words[name])[:3])}", translated
    elif column.kind in ("number", "whole"):
        factor = _factor(name, column, look.read(column.kind, name)[0])
        if not factor:
            return None
    elif column.kind == "text" and not column.refs and column.name not in table.key and look.fits("number", name):
        return None
    elif column.kind in ("month", "date") and likeness < 0.4:
        likeness, why = 0.4, "holds months" if column.kind == "month" else "holds days"
    if (column.name,) == table.key and look.is_unique(name) and likeness >= 0.4:
        likeness = min(1.0, likeness + 0.02)
    return likeness, why, words, factor


def _translated(words: set[str], column: Column) -> dict[str, str] | None:
    """Their words for a column of choices -> ours, where each of them is known; None otherwise."""
    if column.kind == "text":
        return {} if all(column.fits(word) for word in words) else None
    ours = {theirs: one for one in column.choices for theirs in _words("words", one)}
    found = {word: ours.get("".join(_tokens(word)), "") for word in words}
    return {word: one for word, one in found.items() if word != one} if all(found.values()) else None


def _factor(name: str, column: Column, values: pd.Series) -> float:
    """What the numbers are multiplied by to be `column`: 0.01 for a share in percent; 0 where they cannot be it."""
    factor = 1.0
    if column.unit == "share":
        percent = bool(set(_tokens(name)) & set(_words("percent"))) or "%" in name
        factor = 0.01 if percent or (values.max() > max(column.high or 1, 1.5) and values.max() <= 100) else 1.0
    if "lead_time" in column.name and values.max() > LONGEST_WAIT:
        return 0.0  # days, most likely: nothing that is surely months
    if column.name == "lead_days" and values.max() <= LONGEST_WAIT:
        return 0.0
    values = values.dropna() * factor
    low, high = column.low, column.high
    inside = (low is None or values.min() >= low) and (high is None or values.max() <= high)
    whole = column.kind != "whole" or bool((values == values.round()).all())
    return factor if inside and whole else 0.0


# how alike two names are ----------------------------------------------------------------------------------------
@cache
def _vocabulary() -> dict[str, Any]:
    return load_yaml(Path(__file__).parent / "vocabulary.yaml")[0]


@cache
def _words(part: str, name: str = "") -> tuple[str, ...]:
    """What others call a table, a column or a choice of ours, its own name among them."""
    known = _vocabulary()[part]
    known_as = str((known.get(name) if name else known) or "")
    return tuple(dict.fromkeys(filter(None, (name.replace("_", "-"), *known_as.split()))))


@cache
def _tokens(name: str) -> tuple[str, ...]:
    """The words of a name: `SafetyStock (pcs)` is safety, stock, pcs; `Vorgänger` is vorgaenger."""
    for umlaut, plain in (("ä", "ae"), ("ö", "oe"), ("ü", "ue"), ("Ä", "Ae"), ("Ö", "Oe"), ("Ü", "Ue"), ("ß", "ss")):
        name = name.replace(umlaut, plain)
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    plain = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", plain)
    return tuple(re.findall(r"[a-z]+|\d+", plain.casefold()))


@cache
def _likeness(theirs: str, known: str) -> float:
    """How alike a name of theirs and a known one are, from 0 to 1; 1 where only case, blanks and accents differ."""
    name, word = _tokens(theirs), _tokens(known)
    if not name or not word:
        return 0.0
    a, b = "".join(name), "".join(word)
    if a == b:
        return 1.0
    if set(name) == set(word):
        return 0.97
    name = tuple(one for one in name if not one.isdigit()) or name
    if len(b) > 2 and set(word) <= set(name):
        return 0.6 + 0.3 * len(b) / len(a)
    if len(name) == len(word) and all(map(_shortens, name, word)):
        return 0.8
    if len(word) > 1 and len(a) == len(word) and a == "".join(one[0] for one in word):
        return 0.65
    if len(b) > 4 and (a.endswith(b) or a.startswith(b)):
        return 0.55 + 0.3 * len(b) / len(a)
    near = fuzz.ratio(a, b) / 100
    return 0.75 * near if near >= 0.82 and min(len(a), len(b)) > 3 else 0.0


def _shortens(short: str, word: str) -> bool:
    """Whether `short` abbreviates `word`: its beginning, or letters of it in their order from the first on."""
    if short == word or (len(short) > 2 and word.startswith(short)):
        return True
    rest = iter(word)
    return (
        len(short) > 1 and short[0] == word[0] and len(short) >= len(word) / 3 and all(mark in rest for mark in short)
    )
