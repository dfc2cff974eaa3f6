"""What must be true before a stage is signed, by when, and who answers for it: the one list that everybody asks."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from sopkit.book.book import Book
from sopkit.tables import Company

READS = (
    "findings", "assumptions", "history_adjustments", "overrides_applied", "supply_checks", "decision_log",
    "commitments",
)  # fmt: skip
NOT_STARTED, MADE, READY, SIGNED, STALE = "not started", "made", "ready", "signed", "stale"


def due(company: Company, cycle: str, stage: str) -> pd.Timestamp:
    """The day by which a stage of `cycle` is signed: its working day of the cycle's month; NaT where none is set."""
    day = company.rule(stage).day
    return pd.Timestamp(np.busday_offset(f"{cycle}-01", day - 1, roll="forward")) if day else pd.NaT


class Item(NamedTuple):
    """One thing that must be true; `wrong` says what is wrong where it is not, `owner` who is asked then."""

    what: str
    holds: bool
    wrong: str = ""
    owner: str = ""

    @property
    def missing(self) -> str:
        """What is not true yet."""
        return self.wrong or f"not true yet: {self.what}"


def checklist(book: Book, stage: str) -> list[Item]:
    """What must be true to sign `stage`, and whether it is: computed from the tables, and what people ticked."""
    given = book["ticks"]
    ticked = set(given.loc[(given["stage"] == stage) & (given["cycle"] == book.cycle), "item"])
    computed = {"collect": _collect, "demand": _demand, "supply": _supply, "decide": _decide, "publish": _publish}
    found = computed[stage](book) if stage in computed else []
    ticks = [Item(item, item in ticked, f"not ticked yet: {item}") for item in book.company.rule(stage).ticks]
    return found + ticks


def _collect(book: Book) -> list[Item]:
    waits = book["history_adjustments"]["status"].eq("proposed").any()
    return [
        Item("no finding stops the plan", not book["findings"]["severity"].eq("error").any()),
        Item("every assumption still holds", not (book["assumptions"]["expires"] < book.first).any()),
        Item("every proposed correction of history is answered", not waits),
    ]


def _demand(book: Book) -> list[Item]:
    idle = book["overrides_applied"]["status"].eq("matches nothing").any()
    return [Item("every override matches something planned", not idle)]


def _supply(book: Book) -> list[Item]:
    return [Item("the plan holds every rule when re-derived", bool(book["supply_checks"]["holds"].astype(bool).all()))]


def _decide(book: Book) -> list[Item]:
    items = []
    for row in book["decision_log"].itertuples():
        wrong = f"undecided: {row.question} {row.lapsed}".strip()
        items.append(Item(f"decided: {row.question}", row.status != "undecided", wrong, row.owner))
    return items or [Item("a question is put to the meeting", False)]


def _publish(book: Book) -> list[Item]:
    bound = book["commitments"]["status"]
    return [Item("no commitment is late or fits nothing", not bound.isin(["late", "fits nothing"]).any())]


def state(book: Book, stage: str, *, made: bool, stale: bool, signed: bool) -> str:
    """Where a stage stands: not started, stale, signed, ready (all of its checklist is true) or made."""
    if signed and not stale:
        return SIGNED
    if not made:
        return NOT_STARTED
    if stale:
        return STALE
    return READY if all(item.holds for item in checklist(book, stage)) else MADE
