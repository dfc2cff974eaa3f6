"""The decision table: each option of a question under each event, and which one the rule of the company takes."""

from __future__ import annotations

import pandas as pd

from sopkit.book import Book, Question
from sopkit.book.scenarios import BASE
from sopkit.collect.contradictions import whole_months
from sopkit.errors import SettingsError, nearest
from sopkit.tables import TABLES
from sopkit.words import listed, percent, say, scale_of
from sopkit.words import sentence as capital

NOTHING = ""
KEEP = "keep the plan as it stands"  # what choosing the base is called


# what an option does against the first one: nothing, good, bad; if nothing happens, and if an event does
ALONE = ("changes nothing if nothing happens", "brings {money} if nothing happens", "costs {money} if nothing happens")
HAPPENS = (
    "changes nothing if: {event} ({chance})",
    "saves {money} if: {event} ({chance})",
    "loses {money} if: {event} ({chance})",
)


def after_penalties(results: pd.DataFrame) -> pd.Series:
    """Result less service penalties of each plan of table scenario_results, in currency, by scenario."""
    wide = results.pivot(index="scenario", columns="measure", values="value")
    return wide["result"] - wide["service penalties"] if len(wide) else pd.Series(dtype=float)


def events_of(asked: Question, book: Book) -> list[str]:
    """The events that matter to a question: those it names, else those that every option of it was solved under."""
    solved = book["outcomes"]
    per = [set(solved.loc[solved["option"] == option, "event"]) for option in asked.options]
    both = set.intersection(*per) - {NOTHING} if per else set()
    order = [event for event in book["scenario_events"]["event"] if event in both]
    for event in asked.events or ():
        if event not in both:
            raise SettingsError(
                f"question {asked.question!r}: its options were not solved under {event!r}: {nearest(event, order)}"
            )
    return order if asked.events is None else list(asked.events)


def cells(asked: Question, book: Book) -> pd.DataFrame:
    """The rows of table `decision_table` of one question; none where no event matters to it, or one option is left."""
    events = events_of(asked, book)
    rule, known = book.company.decision, book["scenario_events"].set_index("event")["probability"]
    rows = book["outcomes"]
    rows = rows[rows["option"].isin(asked.options) & rows["event"].isin([NOTHING, *events])]
    if not events or len(asked.options) < 2:
        return pd.DataFrame(columns=TABLES["decision_table"].names)
    value = rule.result * rows["result"] - rule.service * rows["penalties"] + rule.cash * rows["cash_low"]
    rows = rows[["option", "event"]].assign(question=asked.question, value=value)
    rows["regret"] = rows.groupby("event")["value"].transform("max") - rows["value"]
    chances = {event: known[event] for event in events}
    likely = sum(chance for chance in chances.values() if pd.notna(chance))
    # events are looked at one at a time: what is left is that none of them happens
    shares = {event: chance / max(likely, 1.0) for event, chance in chances.items()} | {NOTHING: max(0.0, 1 - likely)}
    return rows.assign(probability=rows["event"].map(shares))[TABLES["decision_table"].names]


def choose_by(code: str, book: Book) -> str:
    """The last month in which an option can be chosen; empty where nothing says so.

    It is the option's own, else the first month that it changes less the longest lead time of what it needs: of the
    offers it changes, of hiring where it changes people.
    """
    option = book.scenarios.get(code)
    if option is None or option.choose_by:
        return option.choose_by if option else ""
    starts = [first for first, _ in option.spans if first]
    if not starts:
        return ""
    leads = [0.0]
    for change in option.changes:
        table = {"supplier_capacity": "offers"}.get(change.table, change.table)
        column = {"offers": "lead_time", "workforce": "hire_lead_time"}.get(table)
        if column:
            for where in change.rows or [change.where]:
                mine = {name: value for name, value in where.items() if name in ("supplier", "item", "site", "skill")}
                rows = book[table].assign(lead_time=whole_months) if table == "offers" else book[table]
                leads.append(
                    rows.loc[rows[list(mine)].isin({k: [v] for k, v in mine.items()}).all(axis=1), column].max()
                )
    first = pd.Timestamp(min(starts)) - pd.DateOffset(months=int(pd.Series(leads).max()))
    return f"{first:%Y-%m}"


def too_late(asked: Question, book: Book) -> list[str]:
    """Options of a question that could only be chosen before this cycle."""
    return [code for code in asked.options if "" < choose_by(code, book) < book.cycle]


def scores(asked: Question, table: pd.DataFrame, book: Book) -> pd.DataFrame:
    """The rows of table `decision_scores` of one question, in the order of its options.

    Score = expected value - risk x (expected - worst). Of equal scores the first option stands: it is what happens if
    nothing is decided.
    """
    rows = []
    for option in asked.options:
        mine = table[table["option"] == option]
        expected, worst = float((mine["value"] * mine["probability"]).sum()), mine.loc[mine["value"].idxmin()]
        score = expected - book.company.decision.risk * (expected - worst["value"])
        rows.append((asked.question, option, expected, worst["value"], worst["event"], mine["regret"].max(), score))
    frame = pd.DataFrame(rows, columns=TABLES["decision_scores"].names[:-1])
    open_ = frame[~frame["option"].isin(too_late(asked, book))]
    return frame.assign(recommended=frame.index == (open_["score"].round(2).idxmax() if len(open_) else -1))


def sentence(asked: Question, table: pd.DataFrame, scored: pd.DataFrame, book: Book) -> tuple[str, str]:
    """The option that the rule recommends, and why, in one sentence a finance director would sign."""
    titles = {BASE: say(KEEP)} | {code: one.title for code, one in book.scenarios.items()}
    named = book["scenario_events"].set_index("event")["title"]
    late = [titles[code] for code in too_late(asked, book)]
    gone = [say("Too late for: {options}.", listed(late))] if late else []
    best = scored.loc[scored["recommended"], "option"]
    if best.empty:
        return "", " ".join([say("No option can be chosen any more."), *gone])
    code, first = best.iloc[0], asked.options[0]
    other = code if code != first else scored.loc[scored["option"] != first].sort_values("score")["option"].iloc[-1]
    wide = table.pivot(index="event", columns="option", values="value")
    gain = wide[other] - wide[first]
    chance = table.drop_duplicates("event").set_index("event")["probability"]
    mean = scored.set_index("option")["expected"]
    # one number format in the sentence, the one of the page's figures
    scale = scale_of([*gain.abs(), mean[other] - mean[first]], book.currency, small=True)
    parts = []
    for event in [NOTHING, *(one for one in gain.index if one != NOTHING)]:
        way = 0 if abs(gain[event]) < 0.5 else 1 if gain[event] > 0 else 2
        money = [scale.told(abs(gain[event]))] if way else []
        if event == NOTHING:
            parts.append(say(ALONE[way], *money))
            continue
        how = percent(chance[event]) if pd.notna(chance[event]) else say("nobody states how likely")
        parts.append(say(HAPPENS[way], *money, named[event], how))
    average = scale.told(mean[other] - mean[first], True)
    told = say("{option}: {effects}; {money} on average.", capital(titles[other]), listed(parts, 9), average)
    verdict = [] if code != first else [say("It does not pay: {option}.", titles[first])]
    return code, " ".join([told, *verdict, *gone])
