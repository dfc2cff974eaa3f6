"""The figures of data collection, one function a figure, from a book: notebook, pack and library show the same."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from sopkit import charts
from sopkit.book import Book
from sopkit.charts import Figure, Show
from sopkit.tables import TABLES
from sopkit.words import say, sentence, several


def _some(values: pd.Series, most: int = 120) -> str:
    """Different values as text, cut between two of them."""
    text = ", ".join(dict.fromkeys(filter(None, values.head(50)))).strip()
    return text if len(text) <= most else text[: max(text.rfind(", ", 0, most - 3), 0) or most - 3] + " ..."


def grouped(found: pd.DataFrame) -> pd.DataFrame:
    """Findings of one table, column and rule as one line: how many, the first rows and values; errors first.

    What is said of whole tables in the same words is one line that names them all.
    """
    lines = found.groupby(["severity", "table", "column", "rule"], sort=False, dropna=False, as_index=False).agg(
        count=("row", "size"),
        rows=("row", lambda rows: ", ".join(map(str, rows[rows > 0].head(5))) + (", ..." if len(rows) > 5 else "")),
        values=("value", _some),
        allowed=("allowed", "first"),
        fix=("fix", "first"),
    )
    whole = lines["rows"].eq("") & lines["column"].eq("") & lines["values"].eq("")
    same = lines[whole].groupby(["severity", "column", "rule", "fix"], sort=False, as_index=False)
    alike = same.agg({"table": ", ".join, "count": "sum", "rows": "first", "values": "first", "allowed": "first"})
    lines = pd.concat([lines[~whole], alike[lines.columns]], ignore_index=True)
    place = {table: place for place, table in enumerate(TABLES)}
    lines["order"] = [place.get(tables.partition(",")[0], len(place)) for tables in lines["table"]]
    by, rising = ["severity", "order", "count"], [True, True, False]
    return lines.sort_values(by, ascending=rising, kind="stable", ignore_index=True).drop(columns="order")


def findings(book: Mapping[str, pd.DataFrame], most: int = 200) -> Figure:
    """What is wrong with the data (table findings), one row a table, column and rule; errors first."""
    found = book["findings"]
    rows, texts = grouped(found), {"column": "Column", "rows": "Rows", "values": "Values"}
    texts = {name: words for name, words in texts.items() if rows[name].ne("").any()}
    counts = say("{findings} of {kinds}", several(len(found), "finding"), several(len(rows), "kind"))
    who = ""
    if isinstance(book, Book):
        who, rows = book.who, rows.assign(rule=book.in_words(rows["rule"]), fix=book.in_words(rows["fix"]))
    return charts.table(
        rows,
        {"severity": "Severity", "table": "Table", **texts, "count": Show("Cells", "count"), "rule": "What is wrong",
         "fix": "Fix"},
        most=most, who=who or say("Data as they came"), title="Findings in the data", unit="rows and cells",
        source="findings", shows=["actual"],
        none="Nothing is wrong: every table fits its declaration.",
        look_for=say("{counts}: those who know the table can correct it before the demand meeting.", sentence(counts)),
    )  # fmt: skip


def sources(book: Book) -> Figure:
    """Where each table came from."""
    return charts.table(
        book["sources"], charts.columns_of("sources", "table place lines", place="Read from"), source="sources",
        who=book.who, title="Where each table came from", shows=["actual"],
        look_for="A table missing here is planned without, or by an assumption.",
    )  # fmt: skip


def completeness(book: Book) -> Figure:
    """How complete every table is, family by family."""
    rows = book["completeness"].query("family != 'all'")
    return charts.heat_map(
        rows.assign(looked_at=rows["table"] + ": " + rows["measure"].map(say),
                    family=book.called(rows["family"], "families")), "looked_at", "family", "score", unit="share",
        who=book.who, title="Completeness by family", source="completeness", better="higher", shows=["actual"],
        look_for="Anything below 100 %: what is missing stands in the next table.",
    )  # fmt: skip


def missing(book: Book) -> Figure:
    """What a plan wants and this company did not bring."""
    return charts.table(
        book["completeness"].query("family == 'all' and score < 1 and missing != ''"),
        charts.columns_of("completeness", "table measure present wanted missing", missing="The first that are missing"),
        who=book.who,
        title="What is missing", none="Nothing that a plan wants is missing.", source="completeness", shows=["actual"],
    )  # fmt: skip


def assumptions(book: Book) -> Figure:
    """What is missing but planned around, each with an owner."""
    asked = book["findings"]["severity"].eq("warning").sum()
    none = say("No assumption is declared; {findings} may ask for one.", several(int(asked), "finding"))
    return charts.table(
        book["assumptions"],
        charts.columns_of("assumptions", "statement table owner expires", statement="Assumption",
                          table="Stands in for", expires="Holds until"),
        who=book.who,
        title="Assumptions", unit="declared in company.yaml", none=none if asked else "Nothing had to be assumed.",
        source="assumptions",
        look_for="What is missing but planned around, each with an owner.",
    )  # fmt: skip


def history(book: Book) -> Figure:
    """Sales history as sold and corrected."""
    names = {"raw": "as sold", "quantity": "corrected"}
    rows = book["clean_history"].rename(columns=names).melt("month", [*names.values()], "history", "units")
    return charts.line(
        rows, "units", series="history", unit=book.units, who=book.who, title="Sales history, as sold and corrected",
        source="clean_history", better="higher", measure="units sold",
        look_for="Where the lines part, a correction counts; months with stock-outs lie above what was sold.",
    )  # fmt: skip


def corrections(book: Book, *, waiting: bool = False) -> Figure:
    """Corrections of history; only those `waiting` for a planner's answer, where asked."""
    rows = book["history_adjustments"]
    open_ = rows[rows["status"] == "proposed"]
    rows = open_ if waiting else rows
    called = {name: book.called(rows[name], f"{name}s") for name in ("product", "market")}
    return charts.table(
        rows.assign(method=rows["method"].map(say), **called),
        charts.columns_of("history_adjustments", "month product market +quantity reason method status", book.unit,
                          quantity="Change", reason="Why", method="Found by"),
        who=book.who, title="Corrections of history that wait for an answer" if waiting else "Corrections of history",
            unit=book.units,
        source="history_adjustments", shows=["actual"],
        look_for=say("{corrections} proposed, not applied: history stays as it came until a planner answers.",
            sentence(several(len(open_), 'correction'))),
        none="No correction of history waits for an answer." if waiting else "History stands as it is.",
    )  # fmt: skip
