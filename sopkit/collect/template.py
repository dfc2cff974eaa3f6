"""The Excel template: one sheet a table, made from the declarations; a filled one is a complete source by itself."""

from __future__ import annotations

import io
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import xlsxwriter
from xlsxwriter.utility import xl_col_to_name

from sopkit.collect.extract import formula_safe
from sopkit.collect.mapping import INPUT_TABLES
from sopkit.errors import SettingsError
from sopkit.files import unwritable
from sopkit.tables import Column, Table
from sopkit.tables.declare import BEYOND_MEASURE, DAYS

ROWS = 10_000  # rows that have drop-downs and formats
INSTRUCTIONS = "instructions"
STEPS = (
    "Fill one sheet after the other, in the order of the list below. Dark headings are columns that must be filled, "
    "light ones may stay empty: what an empty cell then means stands in the heading's note.",
    "Point at a heading to read what the column means, its unit, what is allowed, and an example.",
    "One row is one thing; no two rows of a sheet may have the same key. Leave the headings as they are; do not put "
    "titles above them or totals below the rows.",
    "Write months as 2026-11 and days as 2026-11-30. Shares are fractions: 0.25 is 25 %. Money is in the company's "
    "currency, quantities in the unit of measure of the product.",
    "Codes are texts: 007 stays 007. A text that begins with = + - or @ begins with an apostrophe here, so that no "
    "spreadsheet runs it; the apostrophe is not part of the text.",
    "Formulas are read by their result. Save the workbook in a spreadsheet program before it is read, so that every "
    "formula has one.",
    "Leave a sheet that you do not need empty. Put the workbook into the company's folder as tables.xlsx and look at "
    "it with: sopkit check --company NAME --cycle 2026-11",
)
FORMATS = {"month": "yyyy-mm", "date": "yyyy-mm-dd", "number": "General", "whole": "0"}


def write(path: Path, tables: Mapping[str, pd.DataFrame] | None = None) -> None:
    """Write the template to `path`, never over a file; `tables` fills its sheets with what is known already.

    Raises SettingsError where a file is there, or none can be made.
    """
    if path.exists():
        raise SettingsError(
            f"{path} exists and was not touched: what people typed is never overwritten. Write the template under "
            "another name and copy the rows over, or move the file away first."
        )
    if path.suffix.lower() != ".xlsx":
        raise SettingsError(f"{path} is no name of a workbook: let it end in .xlsx.")
    content = io.BytesIO()
    options = {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    with xlsxwriter.Workbook(content, options) as book:
        # the same template is the same file, byte for byte
        book.set_properties({"title": "sopkit tables", "created": datetime(2026, 1, 1)})
        styles: dict[str | bool, Any] = {
            "title": book.add_format({"bold": True, "font_size": 16, "font_color": "#123A5A"}),
            "wrap": book.add_format({"text_wrap": True, "valign": "top"}),
            "link": book.add_format({"font_color": "#0B5FA5", "underline": True, "valign": "top"}),
            True: book.add_format({"bold": True, "bg_color": "#123A5A", "font_color": "#FFFFFF", "border": 1}),
            False: book.add_format({"bold": True, "bg_color": "#DCE6EE", "font_color": "#123A5A", "border": 1}),
            "text": book.add_format({"num_format": "@"}),
            **{kind: book.add_format({"num_format": written}) for kind, written in FORMATS.items()},
        }
        _instructions(book.add_worksheet(INSTRUCTIONS), styles)
        for table in INPUT_TABLES.values():
            _sheet(book.add_worksheet(table.name), table, styles, (tables or {}).get(table.name))
    try:
        with path.open("xb") as file:  # a file that came meanwhile is not overwritten either
            file.write(content.getvalue())
    except OSError as error:
        raise SettingsError(unwritable(path, error)) from None


def _instructions(sheet: Any, styles: dict[Any, Any]) -> None:
    sheet.hide_gridlines(2)
    for place, width in enumerate((22, 12, 24, 90)):
        sheet.set_column(place, place, width)
    sheet.write_string(0, 0, "How to fill this workbook", styles["title"])
    for number, step in enumerate(STEPS, 1):
        sheet.merge_range(number, 0, number, 3, f"{number}. {step}", styles["wrap"])
        sheet.set_row(number, 32)
    top = len(STEPS) + 2
    for place, heading in enumerate(("sheet", "needed", "who knows", "one row is")):
        sheet.write_string(top, place, heading, styles[True])
    for row, table in enumerate(INPUT_TABLES.values(), top + 1):
        sheet.write_url(row, 0, f"internal:'{table.name}'!A1", styles["link"], table.name)
        about = _plain(table.required), table.owner, f"{table.meaning} Key: {', '.join(table.key)}."
        for place, text in enumerate(about, 1):
            sheet.write_string(row, place, text, styles["wrap"])
    sheet.set_landscape()
    sheet.fit_to_pages(1, 0)


def _sheet(sheet: Any, table: Table, styles: dict[Any, Any], frame: pd.DataFrame | None) -> None:
    sheet.freeze_panes(1, 0)
    for place, column in enumerate(table):
        style = styles["text"] if column.kind in ("text", "choice", "flag") else styles[column.kind]
        sheet.set_column(place, place, max(12, len(column.name) + 3), style)
        sheet.write_string(0, place, column.name, styles[column.required])
        sheet.write_comment(0, place, note(table, column), {"x_scale": 2.2, "y_scale": 1.6, "author": "sopkit"})
        rule = _validation(table, column, place)
        if rule:
            sheet.data_validation(1, place, ROWS, place, rule)
    if frame is not None:
        for place, column in enumerate(table):
            _fill(sheet, place, column, frame[column.name], styles)


def note(table: Table, column: Column) -> str:
    """What a heading's note says: meaning, unit, allowed, what empty means, example."""
    about = [column.meaning[:1].upper() + column.meaning[1:] + "."]
    if column.unit and column.unit not in ("month", "day", "share"):
        about.append(f"Unit: {column.unit}.")
    about.append(f"Allowed: {column.allowed}.")
    if column.name in table.key:
        about.append("Part of the key: " + ", ".join(table.key) + ".")
    if not column.required:
        default = column.default
        about.append("May stay empty." if default is None else f"Empty means {_plain(default)}.")
    if column.example not in (None, ""):
        about.append(f"Example: {_plain(column.example)}")
    return "\n".join(about)


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _validation(table: Table, column: Column, place: int) -> dict[str, Any] | None:
    """What the spreadsheet itself refuses: a drop-down for choices and references, bounds for numbers and days."""
    refuse = {"error_title": f"{table.name}: {column.name}"[:32], "error_message": f"Allowed: {column.allowed}."[:255]}
    if column.kind in ("choice", "flag"):
        return {"validate": "list", "source": list(column.choices) or ["yes", "no"]} | refuse
    if len(column.refs) == 1:
        return {"validate": "list", "source": f"={column.refs[0]}!$A$2:$A${ROWS + 1}"} | refuse
    if column.refs:
        # a drop-down takes one list; a code of either table is recognised, and a wrong one only warned about
        cell = f"{xl_col_to_name(place)}2"
        known = ",".join(f"COUNTIF({ref}!$A$2:$A${ROWS + 1},{cell})>0" for ref in column.refs)
        return {"validate": "custom", "value": f"=OR({known})", "error_type": "warning"} | refuse
    kind = {"number": "decimal", "whole": "integer", "month": "date", "date": "date"}.get(column.kind)
    if kind is None:
        return None
    low: Any = -BEYOND_MEASURE if column.low is None else column.low
    high: Any = BEYOND_MEASURE if column.high is None else column.high
    if kind == "date":
        low, high = (day.to_pydatetime() for day in DAYS)
    return {"validate": kind, "criteria": "between", "minimum": low, "maximum": high} | refuse


def _fill(sheet: Any, place: int, column: Column, values: pd.Series, styles: dict[Any, Any]) -> None:
    for row, value in enumerate(values.tolist(), 1):
        if column.kind in ("text", "choice"):
            if value:
                sheet.write_string(row, place, formula_safe(value), styles["text"])
        elif column.kind == "flag":
            sheet.write_string(row, place, _plain(value), styles["text"])
        elif value == value and value is not pd.NaT:
            if column.kind in ("month", "date"):
                sheet.write_datetime(row, place, value.to_pydatetime(), styles[column.kind])
            else:
                sheet.write_number(row, place, value, styles[column.kind])
