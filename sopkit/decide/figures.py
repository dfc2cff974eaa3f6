"""The figures of the executive meeting, from a book: notebook, pack and library show the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from sopkit import charts
from sopkit.book import Book
from sopkit.book.actions import judged, late, standing
from sopkit.book.scenarios import BASE
from sopkit.book.signed import chosen
from sopkit.charts import Figure, Show
from sopkit.decide.answers import UNDECIDED
from sopkit.decide.table import KEEP, choose_by
from sopkit.reconcile.figures import scenario_titles
from sopkit.words import amount, divided, listed, month_name, number, percent, quoted, say, sentence, several

OVERDUE = "overdue"
STATES = ("open", "doing", "done", "dropped")
THOUSAND = 1_000.0  # money of one question is shown in thousands, however little one option changes
NO_RIVAL = "No other option was solved to compare with."
# what the options of a question are compared by: value or difference from the plan, measure, kind of unit
COMPARED = (
    ("difference", "result", "currency"), ("value", "service penalties", "currency"), ("value", "fill rate", "share"),
    ("difference", "mean stock value", "currency"), ("difference", "working capital at the end", "currency"),
)  # fmt: skip


def log(book: Book) -> Figure:
    """Every question with what the numbers recommend, the answer, its reason and its owner."""
    rows = book["decision_log"]
    undecided = int((rows["status"] == UNDECIDED).sum())
    columns = ["question", "options", "recommendation", "option", "reason", "decided_by", "owner", "due", "status"]
    answers = ("option", "reason", "decided_by", "dissent", "lapsed")
    columns = [name for name in (*columns, *answers[3:]) if name not in answers or rows[name].ne("").any()]
    titles = _titles(book)

    def named(codes: str) -> str:
        return "; ".join(titles.get(code, code) for code in divided(codes))

    rows = rows.assign(option=rows["option"].map(named), options=rows["options"].map(named),
                       status=rows["status"].mask(overdue(book), OVERDUE))  # fmt: skip
    return charts.table(
        rows,
        charts.columns_of("decision_log", " ".join(columns), recommendation="The numbers recommend", option="Decided"),
        who=book.who, title="Decision log", source="decision_log", none="No question was put to this meeting.",
        look_for=say("{count} of {all} questions undecided: the plan is a draft.", number(undecided),
            number(len(rows))) if undecided
        else "Every question is answered; each answer has a reason.",
    )  # fmt: skip


def _titles(book: Book) -> dict[str, str]:
    """What the meeting calls each solved option and event, by code."""
    return scenario_titles(book) | {BASE: sentence(say(KEEP))}


def _safest(scores: pd.DataFrame, titles: Mapping[str, str], currency: str) -> str:
    """Which option leaves most in its worst case, and how much more than the next."""
    worst = scores["worst"].sort_values(ascending=False, kind="stable")
    if len(worst) < 2:
        return ""
    best, next_ = (titles.get(code, code) for code in worst.index[:2])
    more = amount(worst.iloc[0] - worst.iloc[1], currency)
    return say("In the worst case {best} leaves {money} more than {other}.", quoted(best), more, quoted(next_))


def table(book: Book, place: int = 0) -> Figure:
    """The decision table of one question: each option under each event, its expected value, worst case and regret."""
    asked = book["decision_log"]["question"].iloc[place] if place < len(book["decision_log"]) else ""
    cells, scores = (book[name][book[name]["question"] == asked] for name in ("decision_table", "decision_scores"))
    titles = _titles(book)
    events = book["scenario_events"].set_index("event")
    chance = cells.drop_duplicates("event").set_index("event")["probability"]
    wide = cells.pivot(index="option", columns="event", values="value")
    rows = wide.join(scores.set_index("option")[["expected", "worst", "regret", "recommended"]])
    rows = rows.reindex(scores["option"])  # in the order in which they are offered
    called = [(titles.get(code, code), mark) for code, mark in zip(rows.index, rows["recommended"], strict=True)]
    rows.insert(0, "name", [say("{option} (recommended)", name) if mark is True else name for name, mark in called])
    show = {}
    for event in wide:
        told = events["title"].get(event, event) if event else say("Nothing happens")
        told += f" ({percent(chance[event])})" if pd.notna(chance[event]) else ""
        show[event] = Show(told, book.currency)
    text = _safest(rows, titles, book.currency)
    return charts.table(
        rows if len(cells) else None,
        {"name": "Option", **show, "expected": Show("Expected", book.currency), "worst": Show("Worst", book.currency),
         "regret": Show("Regret", book.currency)},
        who=book.who, title=say("If it happens: {question}", asked), unit="result after penalties, over the horizon",
        look_for=text, source="decision_table decision_scores", shows=["plan", "scenario"], period="the whole horizon",
        note="Expected = average over the events by their probability; regret = what the best option of that event "
        "brings more.", none="No event matters to this question.",
    )  # fmt: skip


def adopted(book: Book) -> Figure:
    """What was adopted and what it changed against the plan before the meeting: units, money and service."""
    rows, taken = book["adopted_results"], book["adopted"]
    names = [f"{row.title} ({row.decided_by}, {month_name(row.cycle)})" for row in taken.itertuples()]
    return charts.table(
        rows.assign(
            measure=[sentence(say(name)) for name in rows["measure"]],
            **{column: [amount(value, book.unit(unit), column == "difference")
                        for value, unit in zip(rows[column], rows["unit"], strict=True)]
               for column in ("before", "after", "difference")},
        ),
        {"measure": "Measure", "before": "Before the meeting", "after": "Plan of record", "difference": "Change"},
        who=book.who, title="What was adopted, and what it changed", unit="each in its own unit",
        source="adopted adopted_results", shows=["plan"], period="the whole horizon",
        look_for=say("Adopted: {names}.", listed(names, 6)) if names else "",
            none="The plan stands as it was before the meeting.",
    )  # fmt: skip


def commitments(book: Book) -> Figure:
    """What earlier cycles adopted and this plan stands on: done, in force, late, revoked; who closed it and why."""
    rows = book["commitments"]
    rows = rows[rows["closed"].isna() | (rows["closed"] == book.first)]
    late = int(rows["status"].eq("late").sum())
    wrong = rows.loc[rows["status"] == "fits nothing", "title"]
    return charts.table(
        rows.assign(told=[f"{row.decided_by}, {month_name(row.cycle)}" for row in rows.itertuples()]),
        {"title": "Adopted", "told": "Decided by", **charts.columns_of("commitments", "owner due until status note")},
        who=book.who, title="What earlier meetings adopted", unit="in the plan until the company's tables contain it",
        source="commitments", none="No earlier meeting adopted anything that binds this plan.",
        look_for=say("Changes nothing any more: {options}.", listed(quoted(title) for title in wrong)) if len(wrong)
        else say("{count} of {all} late: the company's tables do not contain it yet.", number(late),
            number(len(rows))) if late
        else say("{count} of {all} in force.", number(int(rows['status'].isin(['in force', 'contained']).sum())),
            number(len(rows))),
    )  # fmt: skip


def review(book: Book) -> Figure:
    """The decisions of earlier meetings with their outcome against what they should bring."""
    rows = book["decision_review"]
    counts = rows["outcome"].value_counts()
    told = [f"{row.decided_by or say('nobody')}, {month_name(row.cycle)}" for row in rows.itertuples()]
    order = ("done", "on track", "at risk", "missed", "not known")
    ends = [f"{number(counts[one])} {say(one)}" for one in order if one in counts]
    stood = [say("{question} No: the plan stood.", one) for one in rows["question"]]
    named = rows["title"].where(rows["title"].ne(""), rows["question"]).where(rows["option"] != BASE, stood)
    return charts.table(
        rows.assign(title=named, told=told),
        {"title": "Decision", "told": "Decided by", **charts.columns_of(
            "decision_review", "owner expected seen outcome sentence", book.unit, sentence="Why")},
        who=book.who, title="What became of the last decisions", unit="result after penalties, over the horizon",
        source="decision_review", shows=["plan"], period="the whole horizon",
        none="No earlier meeting decided anything.",
        look_for=say("Of {decisions}: {outcomes}.", several(len(rows), "decision"), listed(ends, 5)),
        note="Seen = this plan less the same plan without it, both solved from today's data; empty = not known.",
    )  # fmt: skip


def board(book: Book) -> Figure:
    """The actions by where they stand: open, doing, done, dropped; what is late is said."""
    rows = standing(book["actions"])
    behind = late(rows, book.first)
    cards = [
        f"{at}. {row.what}" + (f" ({row.assignees})" if row.assignees else "") + (" " + say("LATE") if is_late else "")
        for (at, row), is_late in zip(rows.iterrows(), behind, strict=True)
    ]
    stacks = {one: [card for card, state in zip(cards, rows["status"], strict=True) if state == one] for one in STATES}
    deep = max(map(len, stacks.values()), default=0)
    return charts.table(
        pd.DataFrame({one: [*stack, *[""] * (deep - len(stack))] for one, stack in stacks.items()}),
        {one: sentence(one) for one in STATES}, who=book.who, title="Actions", unit="number, what, who",
        source="actions", none="No action is recorded. sopkit actions proposes some.",
        look_for=say("{count} late.", number(int(behind.sum()))) if behind.any() else "",
    )  # fmt: skip


def actions_judged(book: Book) -> Figure:
    """What became of the actions of earlier cycles: done, dropped, late, at risk, on track."""
    rows = judged(book)
    order = ["late", "at risk", "on track", "done", "dropped"]
    rows = rows.sort_values("outcome", key=lambda column: column.map(order.index), kind="stable")
    counts = rows["outcome"].value_counts().reindex(order).dropna()
    return charts.table(
        rows.reset_index(names="number").assign(number=lambda frame: frame["number"].astype(str)),
        {"number": "No.", "what": "What", "assignees": "Who", "due": "Due", "outcome": "Outcome",
         "comments": "Comments"},
        who=book.who, title="Actions of earlier cycles", unit="as they stand today", source="actions",
        look_for=f"{sentence(listed([f'{number(n)} {say(name)}' for name, n in counts.items()], 5))}.",
        none="No earlier cycle left an action.",
    )  # fmt: skip


def gantt(book: Book) -> Figure:
    """The actions on the calendar: a bar from the month in which each began to the one in which it is due."""
    rows = standing(book["actions"])
    rows = rows[rows["due"].notna()].sort_values("due")
    first = pd.to_datetime(rows["cycle"])
    last = rows["due"].dt.to_period("M").dt.to_timestamp()
    months = pd.date_range(min(first.min(), last.min()), last.max(), freq="MS")[:12] if len(rows) else []
    bars = {month_name(month): ["◆" if end == month else "▬" if begun <= month < end else ""
                                for begun, end in zip(first, last, strict=True)] for month in months}  # fmt: skip
    names = [f"{at}. {what}" for at, what in zip(rows.index, rows["what"], strict=True)]
    return charts.table(
        pd.DataFrame({"what": names, "after": rows["depends"].to_list(), **bars}) if len(rows) else None,
        {"what": "Action", "after": "After", **{name: name for name in bars}},
        who=book.who, title="Actions on the calendar", unit="▬ in work, ◆ due", source="actions",
        none="No action has a day.",
    )  # fmt: skip


def overdue(book: Book) -> pd.Series:
    """Which questions of the decision log are undecided though their month is over."""
    rows = book["decision_log"]
    return (rows["status"] == UNDECIDED) & (rows["due"] < book.first)


def question(book: Book, place: int = 0) -> Figure:
    """The options of one question: what each changes in result, penalties, service, stock and working capital."""
    rows = book["decision_log"]
    return _options(book, rows.iloc[place]) if place < len(rows) else charts.nothing("Options", "No such question.")


def _by_when(code: str, row: Any, book: Book) -> str:
    last = choose_by(code, book) if row["status"] == UNDECIDED else ""
    return ", " + say("to be chosen by {month}", month_name(pd.Timestamp(last))) if last else ""


def _options(book: Book, row: Any) -> Figure:
    codes = divided(row["options"])
    results, titles = book["scenario_results"][book["scenario_results"]["scenario"].isin(codes)], _titles(book)
    at, best = results.set_index(["scenario", "measure"]), row["recommended"]
    rivals = at.index.get_level_values("scenario").isin(set(codes) - {best}).any()
    marks = {best: "{option} (recommended)"} if rivals and row["status"] == UNDECIDED else {}
    marks |= dict.fromkeys(chosen(row["option"]), "{option} (decided)")
    called = [say(marks.get(code, "{option}"), titles.get(code, code)) for code in codes]
    named = [name + _by_when(code, row, book) for code, name in zip(codes, called, strict=True)]
    options, show = pd.DataFrame({"option": named}), {}
    for kind, measure, unit in COMPARED:
        name = say("{measure} against plan" if kind == "difference" else "{measure}", sentence(say(measure)))
        options[name] = [at[kind].get((code, measure)) for code in codes]
        show[name] = Show(name, book.unit(unit), kind == "difference", like=THOUSAND if unit == "currency" else 0.0)
    if row["status"] != UNDECIDED:
        taken = listed(quoted(titles.get(code, code)) for code in chosen(row["option"]))
        text = say("Decided by {author}: {options}. {reason}", row["decided_by"], taken, row["reason"])
    else:
        best_of = row["recommendation"] if rivals else say(NO_RIVAL)
        text = " ".join(filter(None, [row["lapsed"], best_of]))
    due = "overdue since {month}" if overdue(book)[row.name] else "due {month}"
    due = say(due, month_name(row["due"])) if pd.notna(row["due"]) else ""
    return charts.table(
        options.astype(dict.fromkeys(show, float)), {"option": "Option", **show},
        who=book.who, title=row["question"], look_for=text,
        unit=", ".join(filter(None, [say("owner {owner}", row['owner']) if row["owner"] else "", due])) or "open",
        alt=say("Options of the question: {question}", row['question']), source="scenario_results decision_log",
        shows=["plan", "scenario"], period="the whole horizon",
        note="Service penalties are the prices of what is late, lost or below safety stock; nobody is paid.",
    )  # fmt: skip
