"""The figures of the executive meeting, from a book: notebook, pack and library show the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from sopkit import charts
from sopkit.book import Book
from sopkit.charts import Figure, Show
from sopkit.decide import UNDECIDED
from sopkit.words import amount, month_name, number, quoted, sentence, shortened

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
    return charts.table(
        rows, charts.columns_of("decision_log", columns, recommendation="The numbers recommend", option="Decided"),
        who=book.who, title="Decision log", source="decision_log", none="No question was put to this meeting.",
        look_for=f"{number(undecided)} of {number(len(rows))} questions undecided: the plan is a draft." if undecided
        else "Every question is answered; each answer has a reason.",
    )  # fmt: skip


def question(book: Book, place: int = 0) -> Figure:
    """The options of one question: what each changes in result, penalties, service, stock and working capital."""
    rows = book["decision_log"]
    return _options(book, rows.iloc[place]) if place < len(rows) else charts.nothing("Options", "No such question.")


def _options(book: Book, row: Any) -> Figure:
    codes = [code.strip() for code in row["options"].split(",")]
    results = book["scenario_results"][book["scenario_results"]["scenario"].isin(codes)]
    titles = dict(zip(results["scenario"], results["title"], strict=True))
    titles |= {"base": "Keep the plan as it stands"} if "base" in titles else {}
    at, best = results.set_index(["scenario", "measure"]), row["recommendation"].split(":")[0]
    marks = {best: " (recommended)", row["option"]: " (decided)"}
    options, show = pd.DataFrame({"option": [titles.get(code, code) + marks.get(code, "") for code in codes]}), {}
    for kind, measure, unit in COMPARED:
        name = sentence(measure) + (" against plan" if kind == "difference" else "")
        options[name] = [at[kind].get((code, measure)) for code in codes]
        show[name] = Show(name, book.unit(unit), kind == "difference")
    if row["status"] != UNDECIDED:
        chosen = quoted(titles.get(row["option"], row["option"]))
        text = f"Decided by {row['decided_by']}: {chosen}. {row['reason']}"
    else:
        text = _recommended(book, best, codes, titles) or "The numbers recommend nothing."
    due = f"due {month_name(row['due'])}" if pd.notna(row["due"]) else ""
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
