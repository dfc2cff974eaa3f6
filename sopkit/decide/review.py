"""What became of what the last meeting decided: its outcome against what it should bring, solved again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from sopkit.book import Book, Plan
from sopkit.book import commitments as bound
from sopkit.book.book import BINDING
from sopkit.book.scenarios import BASE
from sopkit.tables import TABLES
from sopkit.words import say

SLACK = 0.2  # of what was expected: a decision that brings that much less is at risk
TOLD = {
    bound.IN_FORCE: ("on track", "In this plan; the company's own tables do not contain it yet."),
    bound.LATE: ("at risk", "Late: the company's own tables do not contain it yet."),
    bound.CONTAINED: ("done", "The company's own tables contain it."),
    bound.DONE: ("done", "Done"),
    bound.EXPIRED: ("done", "Its last month is over."),
    bound.REVOKED: ("missed", "Revoked"),
    bound.UNFIT: ("at risk", "It changes nothing any more"),
}


def review(book: Book) -> pd.DataFrame:
    """Table `decision_review`: the decisions of the last meeting, and those of earlier ones that still bind.

    What a decision brings is this plan less the same plan without it, result less service penalties, both solved from
    today's data over today's horizon. Where it cannot be told apart, `seen` is empty and the sentence says so.
    """
    past, kept = book["past_decisions"], book["commitments"]
    past = past[past["cycle"] < book.first]
    last = past[past["cycle"] == past["cycle"].max()]
    named = pd.MultiIndex.from_frame(last[["option", "cycle"]])
    kept = kept[kept["closed"].isna() | (kept["closed"] == book.first)]
    older = kept[~pd.MultiIndex.from_frame(kept[["option", "cycle"]]).isin(named)]
    by_code = {(row["option"], row["cycle"]): row for row in kept.to_dict("records")}
    rows = [
        row | _judged(row, by_code.get((row["option"], row["cycle"])), book)
        for row in [*last.to_dict("records"), *older.to_dict("records")]
    ]
    return pd.DataFrame(rows, columns=TABLES["decision_review"].names)


def _judged(row: Mapping[str, Any], commitment: Mapping[str, Any] | None, book: Book) -> dict[str, Any]:
    """Columns seen, outcome and sentence of one decision; `commitment`: its row of table commitments."""
    if row.get("outcome") in ("done", "on track", "at risk", "missed"):  # judged where it was brought from
        return {"sentence": say("As it was judged when it was brought in.")}
    if not row["option"]:
        return {"seen": None, "outcome": "missed", "sentence": say("Nobody decided it.")}
    if row["option"] == BASE:
        return {"seen": None, "outcome": "done", "sentence": say("The plan stood as it was.")}
    if commitment is None:
        told = say("Nothing tells what became of it: no earlier cycle's folder holds it.")
        return {"seen": None, "outcome": "not known", "sentence": told}
    outcome, sentence = TOLD[commitment["status"]]
    ends, sentence = sentence.endswith("."), say(sentence)
    sentence = sentence if ends else f"{sentence}: {commitment['note']}"
    seen = _brings(commitment, book)
    if seen is None and commitment["status"] not in (bound.REVOKED, bound.EXPIRED, bound.UNFIT):
        sentence += " " + say("What it brings cannot be told apart from the rest.")
    if seen is not None and outcome == "on track" and seen < row["expected"] - SLACK * abs(row["expected"]):
        outcome, sentence = "at risk", f"{sentence} {say('It brings less than expected.')}"
    return {"seen": seen, "outcome": outcome, "sentence": sentence}


def _brings(commitment: Mapping[str, Any], book: Book) -> float | None:
    """This plan less the plan without the commitment; None where the plan does not contain it or nobody can tell."""
    out = bound.without(commitment) if commitment["status"] in BINDING else None
    if out is None:
        return None
    plan = Plan(book.tables, book.company, book.cycle, book.scenarios)
    costs = book["option_costs"]
    rest = plan.with_tables({"option_costs": costs[costs["option"] != commitment["option"]]})
    here, there = (one.measures() for one in (plan, rest.what_if(out, warm=False)))
    return float((here - there)["result"] - (here - there)["service penalties"])
