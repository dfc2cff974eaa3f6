"""The plan as an Excel workbook, for those who go on working with it: a sheet that says what it is, then the tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from itertools import cycle
from typing import TYPE_CHECKING, Any

import pandas as pd
import xlsxwriter

from sopkit.book import Book, Plan
from sopkit.charts import columns_of, plain
from sopkit.decide import UNDECIDED
from sopkit.publish import summary
from sopkit.publish.pack import STATUS, status
from sopkit.publish.summary import LETTERS
from sopkit.tables import TABLES, Column, Table
from sopkit.tables.hierarchy import TOTAL
from sopkit.words import heading, month_in_full, month_name, number, say, sentence, unit_name

if TYPE_CHECKING:
    from sopkit.publish.audiences import Audience

FIRST = "About this plan"
FROM = (
    "The tables behind plan.html, beside this file. A number changed here changes no plan: "
    "say it as an override, a scenario or new data."
)
# name of the sheet -> table, in the order of the pack
SHEETS = {
    "Decisions": "decision_log", "Adopted": "adopted", "What it changed": "adopted_results",
    "Commitments": "commitments", "KPIs": "kpis", "Demand plan": "demand_plan", "Demand by level": "demand_levels",
    "Overrides": "overrides_applied", "Exceptions": "exceptions", "Forecast accuracy": "forecast_accuracy",
    "Supply plan by mode": "supply_plan", "Stock": "stock", "Shipments": "shipments",
    "Deliveries and shortages": "deliveries", "Why short": "why_short", "Resources": "resource_load",
    "People": "people_plan", "Binding limits": "binding_limits", "Levers": "levers", "Supply costs": "supply_costs",
    "Safety stock": "safety_stock_proposal", "Profit and loss": "pnl", "Working capital": "working_capital",
    "Gaps": "gaps", "Bridge to budget": "budget_bridge", "Scenarios": "scenario_results",
    "What scenarios change": "scenario_changes", "Assumptions": "assumptions", "Findings": "findings",
    "Products": "products", "Markets": "markets",
}  # fmt: skip
ROWS = 250_000  # of a sheet: a spreadsheet with more than that is nobody's tool
# columns of text that hold words of ours
CODED = ("line", "measure", "unit", "lever", "cause", "layer", "cost", "title", "period")
LEVELS = {
    "family": "family of the product",
    "region": "region of the market",
    "quarter": "fiscal quarter of the month",
    "fiscal_year": "fiscal year of the month",
}
TEXTS = ("text", "choice", "flag")
DATES = {"month": "mmm yyyy", "date": "yyyy-mm-dd"}
NUMBERS = {
    "share": "0.0%", "hours": "#,##0.0", "days": "#,##0.0", "ratio": "0.00", "MAD": "0.0", "people": "#,##0.0",
    "months": "0.0", "currency per unit": "#,##0.00",
}  # fmt: skip


def write(book: Book, plan_hash: str = "", rows: int = ROWS, *, audience: Audience | None = None) -> bytes:
    """The workbook of a book: the same tables give the same bytes.

    `plan_hash` stands on the first sheet (`Cycle.plan_hash`). A table of more than `rows` rows is cut there, and the
    first sheet says how many are left out. Family, region, fiscal quarter and year of every row are added, for pivots.
    `audience`: whose workbook it is; it has the sheets and columns that it may see.
    Raises KeyError for a product without a family or a market without a region.
    """
    file = BytesIO()
    texts = dict.fromkeys(("strings_to_formulas", "strings_to_urls", "strings_to_numbers"), False)
    with xlsxwriter.Workbook(file, {"in_memory": True, **texts}) as excel:
        # dates of the file are the cycle's, not the clock's: the same plan is the same file
        about = {"company": plain(book.company.name), "created": book.first.to_pydatetime()}
        excel.set_properties({"title": _title(book), **about})
        style = _styles(excel)
        first = excel.add_worksheet(say(FIRST))
        frames = {}
        for sheet, table in SHEETS.items():
            if not audience or (audience.sees(table) and table in book):
                gone = audience.hidden(TABLES[table]) if audience else set()
                frames[sheet] = _frame(book, table).drop(columns=gone, errors="ignore")
        sizes, money = {sheet: len(frame) for sheet, frame in frames.items()}, not audience or bool(audience.money)
        _about(first, style, book, plan_hash, sizes, rows=rows, money=money)
        if not audience or audience.money == "*":  # its statement is of every kind of money
            second = excel.add_worksheet(say(summary.NAME))
            summary.write(excel, second, style, book)
            _print(second, book)
        for name, frame in frames.items():
            _table(excel.add_worksheet(say(name)), style, book, TABLES[SHEETS[name]], frame.head(rows))
    return file.getvalue()


def _title(book: Book) -> str:
    told = [plain(book.company.name), month_in_full(book.first)]
    if _status(book) == STATUS[False]:
        return say("{company}: Sales & Operations Plan, {month}", *told)
    return say("{company}: Sales & Operations Plan, {month} ({status})", *told, say(_status(book)))


def _status(book: Book) -> str:
    return status(book, book.title if isinstance(book, Plan) and book.scenario else "")


def _frame(book: Book, name: str) -> pd.DataFrame:
    """A table, and behind its own columns the levels above its product, market and month."""
    frame = book[name]
    return book.with_levels(frame).drop(columns=TOTAL) if "month" in frame else frame


def _styles(excel: xlsxwriter.Workbook) -> dict[str, Any]:
    formats = ("#,##0", "#,##0.##", summary.MONEY, summary.CHANGE, summary.SHARE, *NUMBERS.values(), *DATES.values())
    looks: dict[str, dict[str, Any]] = {
        "title": {"bold": True, "font_size": 16, "font_color": "#0B3C5D"},
        "head": {"bold": True, "bg_color": "#0B3C5D", "font_color": "#FFFFFF", "text_wrap": True, "valign": "top"},
        "label": {"bold": True, "valign": "top"},
        "wrap": {"text_wrap": True, "valign": "top"},
        "alarm": {"bold": True, "font_color": "#B34700"},
        "link": {"font_color": "#0B5FA5", "underline": True},
        **{shown: {"num_format": shown} for shown in formats},
    }
    return {name: excel.add_format(look) for name, look in looks.items()}


def _about(
    sheet: Any, style: dict[str, Any], book: Book, plan_hash: str, sizes: Mapping[str, int], *, rows: int, money: bool
) -> None:
    """What the workbook is, who decided, and what every sheet holds."""
    sheet.hide_gridlines(2)
    for place, width in enumerate((26, 26, 12, 96)):
        sheet.set_column(place, place, width)
    sheet.write_string(0, 0, _title(book), style["title"])
    draft = _status(book) != STATUS[False]
    lines = [
        (say("Company"), plain(book.company.name)),
        (say("Cycle"), book.cycle),
        (say("Months planned"), say("{start} to {end}", month_name(book.months[0]), month_name(book.months[-1]))),
        (say("Status"), say(_status(book))),
        *_decided(book),
        *([(say("Money"), book.currency)] if money else []),
        (
            say("Quantities"),
            book.units if book.units != "units" else say("the product's unit of measure, see Products"),
        ),
        (say("Plan hash"), plan_hash or say("not known")),
        (say("Where it is from"), say(FROM)),
        (say("Headings"), say("Point at one to read what its column means. Months are dates: the first day of each.")),
    ]
    for row, (label, text) in enumerate(lines, 2):
        sheet.write_string(row, 0, label, style["label"])
        sheet.write_string(row, 1, text[:LETTERS], style["alarm" if row == 5 and draft else "label"])
    top = len(lines) + 3
    heads = say("Sheet"), say("Table of the cycle"), say("Rows"), say("What a row is")
    for place, head in enumerate(heads):
        sheet.write_string(top, place, head, style["head"])
    for row, (name, size) in enumerate(sizes.items(), top + 1):
        declared, left = TABLES[SHEETS[name]], size - rows
        text = say(declared.meaning)
        if left > 0:
            more = "Only the first {count} rows are here; {rest} more are in the cycle's tables."
            text += " " + say(more, number(rows), number(left))
        sheet.write_url(row, 0, f"internal:'{say(name)}'!A1", style["link"], say(name))
        sheet.write_string(row, 1, declared.name, style["wrap"])
        sheet.write_number(row, 2, min(size, rows), style["#,##0"])
        sheet.write_string(row, 3, text, style["wrap"])
    _print(sheet, book)


def _decided(book: Book) -> list[tuple[str, str]]:
    """Every question with its answer and who gave it, or that it is open."""
    given, told = "{question} {status}: {option}, by {author}.", []
    for row in book["decision_log"].itertuples():
        answer = row.question, sentence(say(row.status)), row.option, row.decided_by
        told.append(say("{question} Open.", row.question) if row.status == UNDECIDED else say(given, *answer))
    return [(say("Question"), plain(text)) for text in told]


def _table(sheet: Any, style: dict[str, Any], book: Book, declared: Table, frame: pd.DataFrame) -> None:
    """One table from A1 on: headings with unit and note, filters, the first row always in sight."""
    own = {column.name: column for column in declared if column.name in frame}
    shown = columns_of(declared.name, " ".join(own), book.unit)
    columns = [own.get(name) or Column(name, "text", LEVELS[name]) for name in frame.columns]
    units = frame["unit"].tolist() if "unit" in frame else [""] * len(frame)
    for place, column in enumerate(columns):
        head = shown[column.name].heading if column.name in own else heading(column.name)
        unit = shown[column.name].unit if column.name in own else ""
        told = book.units if unit == "units" else unit_name(unit).replace("units", book.units)
        # "number" counts nothing, and of "its unit" the column beside it tells
        head += f" ({told})" if unit not in ("", "count", "number", "unit", "its unit") else ""
        text = frame[column.name].unique() if column.kind in ("text", "choice") else []
        sheet.set_column(place, place, min(60, max([11, len(head) * 0.7, *(len(plain(one)) for one in text)]) + 2))
        sheet.write_string(0, place, head, style["head"])
        sheet.write_comment(0, place, _note(column, told), {"x_scale": 2, "author": "sopkit"})
    cells = [_cells(style, column, frame[column.name], units) for column in columns]
    writes = [sheet.write_string if column.kind in TEXTS else sheet.write_number for column in columns]
    for row, line in enumerate(zip(*cells, strict=True), start=1):
        for place, cell in enumerate(line):
            if cell:
                writes[place](row, place, *cell)
    sheet.freeze_panes(1, 0)
    sheet.autofilter(0, 0, len(frame), len(columns) - 1)
    sheet.repeat_rows(0)
    _print(sheet, book)


def _cells(style: dict[str, Any], column: Column, values: pd.Series, units: Sequence[str]) -> list[tuple[Any, ...]]:
    """What is written into the cells of a column, with its format; nothing into one that is empty."""
    if column.kind in TEXTS:
        texts = {value: (_text(column, value),) if value != "" else () for value in values.unique()}
        return [texts[value] for value in values]
    if column.kind in DATES:  # as Excel counts them
        values, looks = (values - pd.Timestamp("1899-12-30")) / pd.Timedelta(days=1), [style[DATES[column.kind]]]
    else:
        looks = [style[_written(column, unit)] for unit in units]
    return [(value, look) if value == value else () for value, look in zip(values, cycle(looks), strict=False)]


def _written(column: Column, unit: str) -> str:
    """The number format of a column; where every row has a unit of its own, that of the row."""
    unit = unit if column.unit in ("unit", "its unit") else column.unit
    return "#,##0" if column.kind == "whole" else NUMBERS.get(unit, "#,##0")


def _note(column: Column, unit: str) -> str:
    lines = [sentence(say(column.meaning)) + ".", say("Unit: {unit}.", unit) if unit else ""]
    return "\n".join([*filter(None, lines), say("Empty = there is none.") if not column.required else ""]).strip()


def _text(column: Column, value: Any) -> str:
    """What a cell of text holds: a coded value in the language spoken, what somebody wrote as it is."""
    if column.kind == "flag":
        return say("yes" if value else "no")
    coded = column.kind == "choice" or column.name in CODED or value in ("all", "company", "total")
    return plain(unit_name(value) if coded else value)[:LETTERS]


def _print(sheet: Any, book: Book) -> None:
    """A4 across, one page wide; what it is, and DRAFT, above every page."""
    sheet.set_landscape()
    sheet.set_paper(9)
    sheet.fit_to_pages(1, 0)
    # & begins a code in a header
    name = plain(book.company.name).replace("&", "&&")[:100]
    sheet.set_header(f"&L{name}, {book.cycle}&C&A&R{say(_status(book))}")
    sheet.set_footer("&R&P / &N")
    if _status(book) != STATUS[False]:
        sheet.set_tab_color("#B34700")
