"""A solved plan as people speak of it: what its limits are called, and where they stand in the matrix."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from sopkit.words import month_name

if TYPE_CHECKING:
    from sopkit.supply.resolve import Session

NOTHING = 1e-6
"""A shadow price or quantity below this is the solver's tolerance."""

CALLED = "resources", "sites", "suppliers", "markets", "products", "materials"
"""Tables with names for codes."""


@dataclass(frozen=True)
class Limit:
    """How a rule of the model is spoken of; `one_more`, `place` and `item` are filled with the letters of its index."""

    letters: str
    unit: str
    one_more: str
    place: str
    item: str = ""
    given: bool = False
    """Nobody can have more of it."""


LIMITS = {
    "regular_capacity": Limit("r t", "hours", "hour on {r}", "{r}"),
    "overtime_capacity": Limit("r t", "hours", "overtime hour on {r}", "{r}"),
    "people_work": Limit("n q t", "hours", "hour of {q} people at {n}", "{n} {q}"),
    "people_overtime_limit": Limit("n q t", "hours", "overtime hour of {q} people at {n}", "{n} {q}"),
    "hiring_limit": Limit("n q t", "people", "{q} person hired at {n}", "{n} {q}"),
    "no_early_hires": Limit("n q t", "people", "{q} person who could start at {n} at once", "{n} {q}"),
    "supplier_capacity": Limit("s i n t", "units", "unit of {i} from {s} for {n}", "{s} {n}", "{i}"),
    "lane_limit": Limit("o d t", "units", "unit on the way from {o} to {d}", "{o} {d}"),
    "stock_maximum": Limit("i n t", "units", "unit of {i} allowed in stock at {n}", "{n}", "{i}"),
    "space": Limit("n t", "m3", "m3 of space at {n}", "{n}"),
    "money_in_stock": Limit("t", "currency", "unit of money allowed in stock", "company"),
    "opening_stock": Limit(
        "i n", "units", "on hand at the start, because nothing new arrives in time", "{n}", "{i}", given=True
    ),
    "no_late_orders": Limit(
        "s i n t", "units", "ordered so late that it would arrive after the plan", "{s} {n}", "{i}", given=True
    ),
    "no_late_shipments": Limit(
        "o d i t", "units", "sent so late that it would arrive after the plan", "{o} {d}", "{i}", given=True
    ),
    "opening_people": Limit("n q", "people", "employed at the start", "{n} {q}", given=True),
}


class Solved:
    """The base plan of a session: quantities and shadow prices by rule and index, and names for codes."""

    def __init__(self, session: Session) -> None:
        self.session, self.solution, self.network = session, session.base, session.base.network
        self.matrix, self.answer = self.solution.matrix, self.solution.answer
        self.months, self.currency = self.network.time.months, session.book.currency
        self.time = dict(zip(self.months, self.network.time.timestamps, strict=True))

    @cached_property
    def _called(self) -> dict[str, str]:
        book = self.session.book
        return {code: name for table in CALLED for code, name in book.names(table).items()}

    def name(self, code: str) -> str:
        """What people call a code."""
        return self._called.get(code, code)

    def text(self, pattern: str, letters: str, index: tuple, *, codes: bool = False) -> str:
        """`pattern` with the members of `index` by their letters: as people call them, or as `codes`."""
        named = zip(letters.split(), index, strict=False)
        return pattern.format(
            **{letter: code if codes or letter in "qt" else self.name(code) for letter, code in named}
        )

    def one_more(self, rule: str, index: tuple) -> str:
        """`hour on Line 2 in Nov 2026`."""
        limit = LIMITS[rule]
        return f"{self.text(limit.one_more, limit.letters, index)} in {month_name(index[-1])}"

    def row(self, rule: str, *index: str) -> int:
        """The row of a rule's member in the matrix."""
        return self.matrix.rows[rule].start + self._position(rule)[index]

    def has(self, rule: str, *index: str) -> bool:
        """Whether a rule has a member."""
        return rule in self.matrix.rows and index in self._position(rule)

    def _position(self, rule: str) -> dict[tuple, int]:
        known = self.__dict__.setdefault("_positions", {})
        if rule not in known:
            known[rule] = {key: at for at, key in enumerate(self.matrix.rows[rule].keys)}
        return known[rule]

    def at(self, row: int) -> tuple[str, tuple]:
        """The rule and the index that a row of the matrix belongs to."""
        rule, names = next(
            (rule, names) for rule, names in self.matrix.rows.items() if 0 <= row - names.start < names.size
        )
        return rule, names.keys[row - names.start]

    def price(self, rule: str, *index: str) -> float:
        """The shadow price of a rule's member."""
        return self.answer.shadow_price[self.row(rule, *index)]

    def binding(self, rule: str) -> Iterator[tuple]:
        """The index of every member of a rule that has a shadow price."""
        names = self.matrix.rows.get(rule)
        if names is not None:
            for at in np.flatnonzero(self.answer.shadow_price[names.where] > NOTHING):
                yield names.keys[at]

    def supplying(self, rule: str) -> int:
        """The sign that what supplies a balance has in it: that of lost demand, or the opposite of stock held on.

        Which side of an equation Pyomo takes as its left is no matter of the model, so it is looked up.
        """
        rows, columns = self.matrix.rows[rule], self.matrix.columns["lose" if rule == "demand_balance" else "hold"]
        column = columns.start + columns.keys.index(rows.keys[0])
        sign = int(np.sign(self.matrix.a[[rows.start]].toarray()[0, column]))
        return sign if rule == "demand_balance" else -sign
