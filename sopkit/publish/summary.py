"""The summary sheet of the workbook: the statement beside last year and budget, and four charts in one notation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import xlsxwriter

from sopkit.book import Book
from sopkit.charts import plain
from sopkit.charts.notation import BAD, GOOD, INK, LIGHT, QUIET
from sopkit.publish.paper import shared
from sopkit.reconcile import figures as reconcile
from sopkit.supply import figures as supply
from sopkit.words import say, sentence

NAME = "Summary"
AGAINST = ("last year", "budget")
MONEY, CHANGE, SHARE = "#,##0,", "+#,##0,;-#,##0,;0", "+0.0%;-0.0%;0.0%"
LETTERS = 32_000  # of a cell: Excel refuses more than 32,767
DATA = 30  # first column of what the charts are drawn from: beside what is printed
# how Excel draws a scenario: the pack's looks (sopkit/charts/notation.py) in Excel's own patterns
LOOKS: dict[str, dict[str, Any]] = {
    "actual": {"fill": {"color": INK}, "border": {"color": INK}},
    "last year": {"fill": {"color": LIGHT}, "border": {"color": LIGHT}},
    "budget": {"fill": {"color": "#FFFFFF"}, "border": {"color": INK, "width": 1.25}},
    "plan": {
        "pattern": {"pattern": "wide_upward_diagonal", "fg_color": INK, "bg_color": "#FFFFFF"},
        "border": {"color": INK},
    },
    "safety stock": {"line": {"color": QUIET, "width": 1.5, "dash_type": "dash"}},
}


Cells = dict[tuple[int, int], tuple[Any, str]]  # (row, column) -> value and the name of its format


def write(excel: xlsxwriter.Workbook, sheet: Any, style: Mapping[str, Any], book: Book) -> None:
    """Fill `sheet`: tables first, charts below, their numbers to the right; one A4 page across when it is printed."""
    sheet.hide_gridlines(2)
    sheet.set_column(0, 0, 30)
    sheet.set_column(1, 7, 14)
    profit, families = shared(reconcile.statement, book), shared(reconcile.by_family, book)
    head = say("{company}: {title}, {span}, thousand {currency}", book.who, profit.title, book.span, book.currency)
    cells: Cells = {(0, 0): (head, "title"), (1, 0): (profit.look_for, "label")}
    row = _statement(cells, profit.frame, "line", 3)
    row = _statement(cells, families.frame, "name", row + 1)
    cells[row, 0] = say(
        "In thousands, kept to the cent. Costs are negative. Source: tables pnl, deliveries, sales_history, budget."
    ), ""  # fmt: skip
    across, place = DATA, row + 2
    for number, (title, frame, look) in enumerate(_charts(book, families.frame)):
        if frame.empty or len(frame.columns) < 2:
            continue
        cells[0, across] = (title, "label")
        for column, name in enumerate(frame.columns):
            cells[1, across + column] = (sentence(say(name)), "head")
            cells |= {(n, across + column): (v, "#,##0" if column else "") for n, v in enumerate(frame[name], start=2)}
        chart = _chart(excel, frame, across, title, look)
        sheet.insert_chart(place + 16 * (number // 2), 4 * (number % 2), chart, {"x_offset": 4 + 16 * (number % 2)})
        across += len(frame.columns) + 2
    # the file is written row by row
    for (row, column), (value, look) in sorted(cells.items(), key=lambda cell: cell[0]):
        if isinstance(value, str):
            sheet.write_string(row, column, plain(value)[:LETTERS], style.get(look))
        elif value == value:
            sheet.write_number(row, column, value, style.get(look))
    sheet.print_area(0, 0, place + 32, 7)


def _statement(cells: Cells, frame: pd.DataFrame, name: str, top: int) -> int:
    """A table of scenarios and differences from row `top` on; the row below it."""
    known = [one for one in AGAINST if one in frame and frame[one].notna().any()]
    heads = ["", *(sentence(say(one)) for one in [*known, "plan"])]
    heads += [f"Δ {say(one)}{more}" for one in known for more in ("", " %")]
    cells |= {(top, column): (head, "head") for column, head in enumerate(heads)}
    for place, line in enumerate(frame.to_dict("records"), start=top + 1):
        cells[place, 0] = (sentence(say(str(line[name]))), "label")
        numbers = [(line[one], MONEY) for one in [*known, "plan"]]
        for one in known:
            change, base = line["plan"] - line[one], abs(line[one])
            numbers += [(change, CHANGE), (change / base if base else float("nan"), SHARE)]
        cells |= {(place, column): number for column, number in enumerate(numbers, start=1)}
    return top + len(frame) + 1


def _charts(book: Book, families: pd.DataFrame) -> list[tuple[str, pd.DataFrame, str]]:
    """Title, numbers (first column: names) and number format of the four charts."""
    order, wide = ("actual", "last year", "budget", "plan", "safety stock"), []
    for figure, value, by in (
        (shared(reconcile.outlook, book), "amount", "scenario"),
        (shared(supply.stock, book), "units", "series"),
    ):
        rows = figure.frame.pivot(index="month", columns=by, values=value) if len(figure.frame) else pd.DataFrame()
        rows = rows[[one for one in order if one in rows]].rename(index=plain).rename_axis("month")
        wide.append((figure.title, rows.reset_index()))
    each = families[families["name"] != "All"] if len(families) else pd.DataFrame(columns=["name"])
    scenarios = [one for one in order if one in each and each[one].notna().any()]
    against = next((one for one in ("budget", "last year") if one in scenarios), "")
    change = pd.DataFrame({"name": each["name"]})
    if against:
        change["difference"] = each["plan"] - each[against]
    thousand = say("thousand {currency}", book.currency)
    return [
        (f"{wide[0][0]}, {thousand}", wide[0][1], "#,##0,"),
        (say("Net sales by family, {unit}", thousand), each[["name", *scenarios]], "#,##0,"),
        (f"{wide[1][0]}, {book.units}", wide[1][1], "#,##0"),
        (say("Net sales by family, plan less {scenario}, {unit}", say(against), thousand), change, "+#,##0,;-#,##0,"),
    ]


def _chart(excel: xlsxwriter.Workbook, frame: pd.DataFrame, across: int, title: str, look: str) -> Any:
    """A native chart: scenarios by look, numbers on the marks of the plan, or of all where they are few."""
    changes = "difference" in frame
    chart, last, few = excel.add_chart({"type": "bar" if changes else "column"}), len(frame) + 1, len(frame) <= 8
    for column, name in enumerate(frame.columns[1:], start=1):
        about: dict[str, Any] = {
            "name": [say(NAME), 1, across + column],
            "categories": [say(NAME), 2, across, last, across],
            "values": [say(NAME), 2, across + column, last, across + column],
        }
        if name == "safety stock":
            line = excel.add_chart({"type": "line"})
            line.add_series(about | LOOKS[name])
            chart.combine(line)
            continue
        if few or name == "plan":
            about["data_labels"] = {"value": True, "num_format": look, "font": {"size": 7, "color": INK}}
        good = {"fill": {"color": GOOD}, "invert_if_negative": True, "invert_if_negative_color": BAD}
        chart.add_series(about | (good if changes else LOOKS[name]) | {"gap": 45, "overlap": -5 if few else 30})
    chart.set_title({"name": title, "name_font": {"size": 10, "bold": True}})
    chart.set_x_axis({"num_font": {"size": 8}, "label_position": "low", "line": {"color": INK}})
    chart.set_y_axis({"visible": False, "major_gridlines": {"visible": False}, **({} if changes else {"min": 0})})
    chart.set_legend({"none": True} if changes else {"position": "bottom", "font": {"size": 8}})
    chart.set_size({"width": 500, "height": 300})
    return chart
