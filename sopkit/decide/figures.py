"""The figures of the executive meeting, from a book: notebook, pack and library show the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from sopkit import charts
from sopkit.book import Book
from sopkit.book.scenarios import BASE
from sopkit.charts import Figure, Show
from sopkit.decide.answers import UNDECIDED, chosen
from sopkit.decide.table import KEEP
from sopkit.words import amount, listed, month_name, number, percent, quoted, sentence, shortened

OVERDUE = "overdue"
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
    columns = "question options recommendation option reason decided_by owner due status"
    columns += "".join(f" {name}" for name in ("dissent", "lapsed") if rows[name].ne("").any())
    rows = rows.assign(status=rows["status"].mask(overdue(book), OVERDUE))
    return charts.table(
        rows, charts.columns_of("decision_log", columns, recommendation="The numbers recommend", option="Decided"),
        who=book.who, title="Decision log", source="decision_log", none="No question was put to this meeting.",
        look_for=f"{number(undecided)} of {number(len(rows))} questions undecided: the plan is a draft." if undecided
        else "Every question is answered; each answer has a reason.",
    )  # fmt: skip


def _titles(book: Book) -> dict[str, str]:
    """What the meeting calls each solved option and event, by code."""
    solved = book["scenario_results"]
    return dict(zip(solved["scenario"], solved["title"], strict=True)) | {BASE: sentence(KEEP)}


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
    marks = rows["recommended"].map({True: " (recommended)"}).fillna("")
    rows.insert(0, "name", [titles.get(code, code) + mark for code, mark in zip(rows.index, marks, strict=True)])
    show = {
        event: Show(
            (events["title"].get(event, event) if event else "Nothing happens")
            + (f" ({percent(chance[event])})" if pd.notna(chance[event]) else ""),
            book.currency,
        )
        for event in wide
    }
    text = book["decision_log"]["recommendation"].iloc[place].partition(": ")[2] if len(cells) else ""
    return charts.table(
        rows if len(cells) else None,
        {"name": "Option", **show, "expected": Show("Expected", book.currency), "worst": Show("Worst", book.currency),
         "regret": Show("Regret", book.currency)},
        who=book.who, title=f"If it happens: {asked}", unit="result after penalties, over the horizon", look_for=text,
        source="decision_table decision_scores", shows=["plan", "scenario"], period="the whole horizon",
        note="Expected = average over the events by their probability; regret = what the best option of that event "
        "brings more.", none="No event matters to this question.",
    )  # fmt: skip


def adopted(book: Book) -> Figure:
    """What was adopted and what it changed against the plan before the meeting: units, money and service."""
    rows, taken = book["adopted_results"], book["adopted"]
    names = [f"{row.title} ({row.decided_by}, {month_name(row.cycle)})" for row in taken.itertuples()]
    return charts.table(
        rows.assign(
            measure=rows["measure"].map(sentence),
            **{column: [amount(value, book.unit(unit), column == "difference")
                        for value, unit in zip(rows[column], rows["unit"], strict=True)]
               for column in ("before", "after", "difference")},
        ),
        {"measure": "Measure", "before": "Before the meeting", "after": "Plan of record", "difference": "Change"},
        who=book.who, title="What was adopted, and what it changed", unit="each in its own unit",
        source="adopted adopted_results", shows=["plan"], period="the whole horizon",
        look_for=f"Adopted: {listed(names, 6)}." if names else "", none="The plan stands as it was before the meeting.",
    )  # fmt: skip


def overdue(book: Book) -> pd.Series:
    """Which questions of the decision log are undecided though their month is over."""
    rows = book["decision_log"]
    return (rows["status"] == UNDECIDED) & (rows["due"] < book.first)


def question(book: Book, place: int = 0) -> Figure:
    """The options of one question: what each changes in result, penalties, service, stock and working capital."""
    rows = book["decision_log"]
    return _options(book, rows.iloc[place]) if place < len(rows) else charts.nothing("Options", "No such question.")


def _options(book: Book, row: Any) -> Figure:
    codes = [code.strip() for code in row["options"].split(",")]
    results, titles = book["scenario_results"][book["scenario_results"]["scenario"].isin(codes)], _titles(book)
    at, best = results.set_index(["scenario", "measure"]), row["recommendation"].split(":")[0]
    rivals = at.index.get_level_values("scenario").isin(set(codes) - {best}).any()
    marks = {best: " (recommended)" if rivals and row["status"] == UNDECIDED else ""}
    marks |= dict.fromkeys(chosen(row["option"]), " (decided)")
    options, show = pd.DataFrame({"option": [titles.get(code, code) + marks.get(code, "") for code in codes]}), {}
    for kind, measure, unit in COMPARED:
        name = sentence(measure) + (" against plan" if kind == "difference" else "")
        options[name] = [at[kind].get((code, measure)) for code in codes]
        show[name] = Show(name, book.unit(unit), kind == "difference", like=THOUSAND if unit == "currency" else 0.0)
    if row["status"] != UNDECIDED:
        taken = listed(quoted(titles.get(code, code)) for code in chosen(row["option"]))
        text = f"Decided by {row['decided_by']}: {taken}. {row['reason']}"
    elif (book["decision_table"]["question"] == row["question"]).any():
        text = " ".join(filter(None, [row["lapsed"], row["recommendation"].partition(": ")[2]]))
    else:
        text = " ".join(filter(None, [row["lapsed"], _recommended(book, best, codes, titles) or NO_RIVAL]))
    late = overdue(book)[row.name]
    due = f"{OVERDUE + ' since' if late else 'due'} {month_name(row['due'])}" if pd.notna(row["due"]) else ""
    return charts.table(
        options.astype(dict.fromkeys(show, float)), {"option": "Option", **show},
        who=book.who, title=row["question"], look_for=text,
        unit=", ".join(filter(None, [f"owner {row['owner']}" if row["owner"] else "", due])) or "open",
        alt=f"Options of the question: {row['question']}", source="scenario_results decision_log",
        shows=["plan", "scenario"], period="the whole horizon",
        note="Service penalties are the prices of what is late, lost or below safety stock; nobody is paid.",
    )  # fmt: skip


def _recommended(book: Book, code: str, codes: Sequence[str], titles: dict[str, str]) -> str:
    """What the numbers recommend, against the first other option: what happens if nothing is decided."""
    wide = book["scenario_results"].pivot(index="measure", columns="scenario", values="value")
    rivals = [other for other in codes if other != code and other in wide]
    if code not in wide or not rivals:
        return ""
    change = wide[code] - wide[rivals[0]]
    named, other = (quoted(shortened(titles[name])) for name in (code, rivals[0]))
    return (
        f"Recommended: {named}. Against {other} it changes the result by "
        f"{amount(change.get('result', 0.0), book.currency, True)}, service penalties by "
        f"{amount(change.get('service penalties', 0.0), book.currency, True)} and the fill rate by "
        f"{number(change.get('fill rate', 0.0) * 100, 1, True)} points."
    )
