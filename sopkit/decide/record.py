"""The plan of record: the base and everything adopted, solved together, checked like any plan, in the same tables."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING

import pandas as pd

from sopkit import reconcile
from sopkit.book import Book, Plan, Scenario, apply, commitments
from sopkit.book.plan import ON_ASKING
from sopkit.book.scenarios import BASE
from sopkit.book.signed import chosen
from sopkit.decide.answers import UNDECIDED
from sopkit.decide.table import after_penalties
from sopkit.errors import SettingsError, nearest
from sopkit.tables import PLAN_OF_RECORD, TABLES
from sopkit.words import amount, say

CENT = 0.01

if TYPE_CHECKING:
    from sopkit.engine import Engine


def made(base: Plan, scenario: Scenario, *, engine: Engine | str | None = None) -> Plan:
    """The plan under `scenario` with every table of stages demand, supply and reconcile that a pack shows.

    Raises what `Plan.what_if` raises.
    """
    plan = base.what_if(scenario, warm=False, engine=engine)
    return plan.with_tables({name: plan[name] for name in ON_ASKING if TABLES[name].stage != "publish"})


def together(book: Book, codes: Sequence[str]) -> Scenario:
    """All `codes` of the book's scenarios as one; SettingsError where two of them contradict each other.

    Two options agree where their order does not matter: both may add to the same hours, not both set them.
    """
    unknown = [code for code in codes if code not in book.scenarios]
    if unknown:
        fix = f"{nearest(unknown[0], book.scenarios)} Correct it, or write it in scenarios.yaml."
        raise SettingsError(f"no scenario of this cycle is called {unknown[0]!r}; {fix}")
    for one, two in combinations(codes, 2):
        if wrong := _contradiction(book, one, two):
            raise SettingsError(
                f"{one} and {two} contradict each other: both change the same rows of table {wrong}. "
                "Adopt one of them, or write one scenario for both."
            )
    titles = " and ".join(book.scenarios[code].title for code in codes)
    return Scenario(title=titles, changes=[change for code in codes for change in book.scenarios[code].changes])


def _contradiction(book: Book, one: str, two: str) -> str:
    """The table in which it matters which of two scenarios comes first; empty where they agree."""
    first, second = (book.scenarios[code].changes for code in (one, two))
    try:
        ahead, back = (apply(book, changes, f"{one}, {two}")[0] for changes in ([*first, *second], [*second, *first]))
    except SettingsError:  # after the one there is no row left for the other
        return " or ".join(sorted({change.table for change in first} & {change.table for change in second}))
    for name, frame in ahead.items():
        if frame is not back[name]:
            key = list(TABLES[name].key)
            here, there = (side.sort_values(key, ignore_index=True) for side in (frame, back[name]))
            if not here.equals(there):
                return name
    return ""


def adopted(book: Book, decision_log: pd.DataFrame) -> pd.DataFrame:
    """Table `adopted`: each option that a decision of `decision_log` adopts, by whom, and what it should bring."""
    brings = _brings(book)
    rows = []
    for row in decision_log[decision_log["status"] != UNDECIDED].to_dict("records"):
        for code in chosen(row["option"]):
            about = {"title": code, "changes": "", "reaches": "{}"}
            if one := book.scenarios.get(code):
                changes, reaches = one.model_dump_json(exclude_defaults=True), commitments.reaches(book, one)
                about = {"title": one.title, "changes": changes, "reaches": reaches}
            rows.append(row | about | {"option": code, "expected": brings.get(code), "cycle": book.first})
    frame = pd.DataFrame(rows, columns=TABLES["adopted"].names)
    return frame[frame["option"] != BASE].drop_duplicates("option")


def _alone(book: Book) -> pd.Series:
    """What each option brings against the plan before the meeting if nothing happens."""
    alone = after_penalties(book["scenario_results"])
    return alone - alone[BASE] if BASE in alone else alone.head(0)


def _brings(book: Book) -> dict[str, float]:
    """What each option should bring: on average over its events where it was weighed, else if nothing happens."""
    scores = book["decision_scores"]
    base = scores[scores["option"] == BASE].set_index("question")["expected"]  # each question has events of its own
    against = (scores["expected"] - scores["question"].map(base)).groupby(scores["option"]).first().dropna()
    return {code: float(value) for part in (_alone(book), against) for code, value in part.items()}


def combined(book: Book, codes: Sequence[str]) -> pd.DataFrame:
    """Table `recommended_together` of the options `codes` that the questions recommend; empty for fewer than two.

    What is independent is solved together before it is recommended together: two options may want the same hours.
    """
    names = TABLES["recommended_together"].names
    if len(codes) < 2:
        return pd.DataFrame(columns=names)
    alone = _alone(book).reindex(list(codes))
    added = float(alone.sum())
    row = {"options": ", ".join(codes), "alone": added, "together": float("nan")}
    try:
        both = together(book, codes)
    except SettingsError as error:
        apart = say("They are not recommended together: {error}", error)
        return pd.DataFrame([row | {"sentence": apart}], columns=names)
    base = Plan(book.tables, book.company, book.cycle, book.scenarios)
    # one question: a model kept warm for more would be built and solved for nothing
    after = _with_costs(base, codes).what_if(both, warm=False, judged=False).measures()
    gain = float(after["result"] - after["service penalties"] - after_penalties(book["scenario_results"])[BASE])
    told = [amount(one, book.currency, True) for one in (gain, added)]
    # what they take from each other is taken from what each brings on average over its events
    brings = _brings(book)
    average = {code: brings.get(code, 0.0) for code in codes}
    best = max(average, key=lambda code: average[code])
    if sum(average.values()) + gain - added + CENT < average[best]:
        how = ("Together, if nothing happens: {money} after penalties; that is too much less than added up ({sum}): "
               "adopt only {option}.")  # fmt: skip
        told.append(book.scenarios[best].title)
    else:
        how = "Together, if nothing happens: {money} after penalties; each alone, added up: {sum}."
    return pd.DataFrame([row | {"together": gain, "sentence": say(how, *told)}], columns=names)


def _with_costs(base: Plan, codes: Sequence[str]) -> Plan:
    """`base` with what the options cost beside what the plan buys."""
    costs = [book_costs for code in codes if len(book_costs := base.scenarios[code].costs(code, base.months))]
    return base.with_tables({"option_costs": pd.concat([base["option_costs"], *costs])}) if costs else base


def of(book: Book, taken: pd.DataFrame, *, engine: Engine | str | None = None) -> dict[str, pd.DataFrame]:
    """The tables of the plan of record that differ from the book's, each under `record/<name>`, and `adopted_results`.

    `taken` is table `adopted`; nothing is solved where it is empty: the plan before the meeting is the plan of record.
    """
    if taken.empty:
        return {"adopted_results": pd.DataFrame(columns=TABLES["adopted_results"].names)}
    base = Plan(book.tables, book.company, book.cycle, book.scenarios)
    both = together(book, list(taken["option"]))
    plan = made(_with_costs(base, list(taken["option"])), both, engine=engine)
    changed = {f"{PLAN_OF_RECORD}{name}": frame for name, frame in plan.items() if frame is not base.tables.get(name)}
    rows = reconcile.results(base, {"record": plan}).query("scenario == 'record'")
    rows = rows[["measure", "base", "value", "difference", "unit"]].rename(columns={"base": "before", "value": "after"})
    units, counted = [], {"units made and bought": ("supply_plan", "quantity"),
                          "units delivered": ("deliveries", "delivered")}  # fmt: skip
    for what, (table, column) in counted.items():
        before, after = (one[table][column].sum() for one in (base, plan))
        units.append((what, before, after, after - before, "units"))
    return {"adopted_results": pd.concat([rows, pd.DataFrame(units, columns=rows.columns)]), **changed}
