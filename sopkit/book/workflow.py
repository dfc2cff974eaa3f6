"""What must be true before a stage is signed, by when, and who answers for it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from sopkit.book.book import Book
from sopkit.tables import Company

READS = (
    "findings",
    "assumptions",
    "history_adjustments",
    "overrides_applied",
    "supply_checks",
    "decision_log",
    "commitments",
)
NOT_STARTED, MADE, READY, SIGNED, STALE = "not started", "made", "ready", "signed", "stale"


def due(company: Company, cycle: str, stage: str) -> pd.Timestamp:
    """The day by which a stage of `cycle` is signed: its working day of the cycle's month; NaT where none is set."""
    day = company.rule(stage).day
    return pd.Timestamp(np.busday_offset(f"{cycle}-01", day - 1, roll="forward")) if day else pd.NaT


def checklist(book: Book, stage: str) -> list[tuple[str, bool]]:
    """What must be true to sign `stage`, and whether it is: computed from the tables, and what people ticked."""
    given = book["ticks"]
    ticked = set(given.loc[(given["stage"] == stage) & (given["cycle"] == book.cycle), "item"])
    computed = {"collect": _collect, "demand": _demand, "supply": _supply, "decide": _decide, "publish": _publish}
    found = computed[stage](book) if stage in computed else []
    return found + [(item, item in ticked) for item in book.company.rule(stage).ticks]


def _collect(book: Book) -> list[tuple[str, bool]]:
    waits = book["history_adjustments"]["status"].eq("proposed").any()
    return [
        ("no finding stops the plan", not book["findings"]["severity"].eq("error").any()),
        ("every assumption still holds", not (book["assumptions"]["expires"] < book.first).any()),
        ("every proposed correction of history is answered", not waits),
    ]


def _demand(book: Book) -> list[tuple[str, bool]]:
    idle = book["overrides_applied"]["status"].eq("matches nothing").any()
    return [("every override matches something planned", not idle)]


def _supply(book: Book) -> list[tuple[str, bool]]:
    return [("the plan holds every rule when re-derived", bool(book["supply_checks"]["holds"].astype(bool).all()))]


def _decide(book: Book) -> list[tuple[str, bool]]:
    log = book["decision_log"]
    return [("every question is decided", len(log) > 0 and not log["status"].eq("undecided").any())]


def _publish(book: Book) -> list[tuple[str, bool]]:
    bound = book["commitments"]["status"]
    return [("no commitment is late or fits nothing", not bound.isin(["late", "fits nothing"]).any())]


def state(book: Book, stage: str, *, made: bool, stale: bool, signed: bool) -> str:
    """Where a stage stands: not started, stale, signed, ready (all of its checklist is true) or made."""
    if signed and not stale:
        return SIGNED
    if not made:
        return NOT_STARTED
    if stale:
        return STALE
    return READY if all(holds for _, holds in checklist(book, stage)) else MADE
