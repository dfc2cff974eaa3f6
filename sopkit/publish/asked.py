"""A forecast asked of someone who never opens Jupyter: a workbook with what that person answers for, and a mail."""

from __future__ import annotations

import json
from datetime import date
from io import BytesIO
from typing import Any

import pandas as pd
import xlsxwriter
from xlsxwriter.utility import xl_rowcol_to_cell

from sopkit.book import Plan
from sopkit.charts import plain
from sopkit.errors import SettingsError, nearest
from sopkit.files import sha256
from sopkit.publish.mails import draft
from sopkit.words import listed, month_name, say, speak, written

SHEET, KEPT = "Forecast", "sopkit"
TOP = 5  # rows above the header
PRODUCT, MARKET, LINE, REASON, REMARK = "Product", "Market", "Line", "Reason", "Remark"
LAST_YEAR, BASELINE, NOW, YOURS = "same month last year", "statistical baseline", "plan now", "your forecast"
REASONS = (
    "new customer or contract", "lost customer", "promotion or campaign", "price change", "customer's stock changes",
    "delivery problem", "competitor", "launch or retirement", "market or season", "other (say what)",
)  # fmt: skip
LONGEST = 200  # characters of a name or remark on the sheet
LOOKS = {
    "title": {"bold": True, "font_size": 14, "font_color": "#123A5A"},
    "head": {"bold": True, "bg_color": "#123A5A", "font_color": "#FFFFFF"},
    "locked": {"num_format": "#,##0", "font_color": "#6B6B6B", "bg_color": "#F2F2F2"},
    "yours": {"num_format": "#,##0", "locked": False, "bg_color": "#FFF8DC", "bottom": 1},
    "text": {"locked": False, "num_format": "@", "bg_color": "#FFF8DC", "bottom": 1},
}


def answered_for(plan: Plan, person: str) -> pd.DataFrame:
    """Product x market x month rows of the demand plan that `person` answers for, with family (see table `people`).

    Raises SettingsError where nobody has that name, or nothing planned is theirs.
    """
    people = plan["people"].set_index("name")
    if person not in people.index:
        raise SettingsError(f"{person!r} is not in table people: {nearest(person, people.index)}")
    rows, codes = plan.with_levels(plan["demand_plan"]), set(people.at[person, "answers_for"].split())
    named = {level: codes & set(rows[level]) for level in ("family", "product", "market")}
    if unknown := codes - set().union(*named.values()):
        raise SettingsError(f"people: {person} answers for {listed(sorted(unknown))}, of which nothing is planned.")
    goods = named["family"] | named["product"]
    mine = rows["family"].isin(goods) | rows["product"].isin(goods) if goods else rows["product"].ne("")
    mine &= rows["market"].isin(named["market"]) if named["market"] else True
    if not mine.any():
        raise SettingsError(f"Nothing that is planned is {person}'s: correct answers_for in table people.")
    return rows[mine].sort_values(["family", "product", "market", "month"], ignore_index=True)


def workbook(plan: Plan, company: str, person: str, due: date, seen: int) -> bytes:
    """The workbook for `person`: a row to fill for each product and market between rows that are locked.

    `company`: its folder. `seen`: the last override recorded when it was made, so that later ones are known when it
    comes back. A hidden sheet keeps what was sent, with its sha256.
    """
    speak(plan.company.language)
    rows = answered_for(plan, person)
    sent, months = _sent(plan, rows), sorted(rows["month"].unique())
    about = {"company": company, "cycle": plan.cycle, "to": person, "due": f"{due}", "seen": seen}
    content = BytesIO()
    options = {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    with xlsxwriter.Workbook(content, options) as book:
        book.set_properties({"title": say("Forecast {cycle}", plan.cycle), "created": plan.first.to_pydatetime()})
        looks = {name: book.add_format(look) for name, look in LOOKS.items()}
        sheet = book.add_worksheet(say(SHEET))
        for place, width in enumerate((16, 16, 34, 22, *[9] * len(months), 26, 40)):
            sheet.set_column(place, place, width)
        for row, text in enumerate(_how(plan, person, due)):
            sheet.write_string(row, 0, text, looks["title"] if row == 0 else None)
        heads = [*map(say, (PRODUCT, MARKET, "Name", LINE)), *(f"{month:%Y-%m}" for month in months)]
        for place, head in enumerate([*heads, say(REASON), say(REMARK)]):
            sheet.write_string(TOP, place, head, looks["head"])
        names = {table: plan.names(table) for table in ("products", "markets")}
        at = TOP + 1
        for product, market in rows[["product", "market"]].drop_duplicates().itertuples(index=False):
            name = f"{names['products'][product]}, {names['markets'].get(market, market)}"
            for line, values in sent.items():
                for place, text in enumerate((product, market, plain(name)[:LONGEST], say(line))):
                    sheet.write_string(at, place, text, looks["locked"])
                for place, month in enumerate(months, 4):
                    if (value := values.get(f"{product}|{market}|{month:%Y-%m}")) is not None:
                        sheet.write_number(at, place, value, looks["yours" if line == YOURS else "locked"])
                at += 1
            _allow(sheet, at - 1, len(heads), looks["text"])
        sheet.freeze_panes(TOP + 1, 4)
        sheet.protect("", {"sort": True, "autofilter": True, "format_columns": True, "format_cells": True})
        kept = book.add_worksheet(KEPT)
        kept.very_hidden()
        text = json.dumps(about | {"sent": sent}, sort_keys=True, separators=(",", ":"))
        text = text.replace(" ", "\\u0020")  # a reader takes blanks off the ends of a cell
        parts = [text[start : start + 30_000] for start in range(0, len(text), 30_000)]
        for row, part in enumerate([sha256(text.encode()), *parts]):
            kept.write_string(row, 0, part)
    return content.getvalue()


def _sent(plan: Plan, rows: pd.DataFrame) -> dict[str, dict[str, int]]:
    """Units by line of the sheet and product|market|month: what was sold a year before, and what `rows` plan."""
    keys = ["product", "market", "month"]
    sold = plan["clean_history"].assign(month=lambda frame: frame["month"] + pd.DateOffset(years=1))
    values = rows[[*keys, "baseline", "consensus"]].merge(sold[[*keys, "quantity"]], on=keys, how="left")
    values = values.set_index(keys)
    lines = {LAST_YEAR: "quantity", BASELINE: "baseline", NOW: "consensus", YOURS: "consensus"}
    return {
        line: {f"{p}|{m}|{month:%Y-%m}": round(float(v)) for (p, m, month), v in values[column].dropna().items()}
        for line, column in lines.items()
    }


def _allow(sheet: Any, row: int, reason: int, look: Any) -> None:
    """What may be typed into a row to fill: units from 0 on, and from the column `reason` on a reason and a remark."""
    for place in (reason, reason + 1):
        sheet.write_blank(row, place, None, look)
    units = {"validate": "decimal", "criteria": ">=", "value": 0, "error_message": say("Units, 0 or more.")}
    sheet.data_validation(row, 4, row, reason - 1, units)
    reasons = {"validate": "list", "source": [*map(say, REASONS)], "error_type": "warning"}
    sheet.data_validation(row, reason, row, reason, reasons)


def _how(plan: Plan, person: str, due: date) -> list[str]:
    ends = month_name(plan.months[0]), month_name(plan.months[-1])
    how = "Change only the yellow rows “{yours}”; what you leave as it is stays as planned. 0: nothing is sold."
    return [
        say("{company}: your forecast for {start} to {end}", plain(plan.company.name), *ends),
        say("For {person}, by {day}. Quantities in {unit}.", plain(person), _day(due), plan.units),
        say(how, say(YOURS)),
        say("Choose a reason for each row that you change, and add a remark where it helps."),
    ]


def _day(due: date) -> str:
    return written(due, "%d %b %Y", "d MMM y")


def mail(plan: Plan, person: str, due: date, file: str, content: bytes) -> bytes:
    """A drafted mail to `person` with the workbook: a mail program opens it, the address is filled in there."""
    speak(plan.company.language)
    how = "\n".join(f"- {line}" for line in _how(plan, person, due)[2:])
    text = say(
        "Hello {person},\n\nthe attached workbook holds what you answer for in the demand plan of {cycle}: "
        "last year, the statistical baseline, and the plan as it stands.\n\n{how}\n\n"
        "Please save it and send it back by {day}. A part of it is welcome too.\n",
        plain(person), plan.cycle, how, _day(due),
    )  # fmt: skip
    return draft(person, say("Your forecast for {cycle}, by {day}", plan.cycle, _day(due)), text, {file: content})


def english() -> dict[str, str]:
    """What stands on the sheet in the language spoken -> the names of this file."""
    return {say(one): one for one in (PRODUCT, MARKET, "Name", LINE, REASON, REMARK, LAST_YEAR, BASELINE, NOW, YOURS)}


def address(row: int, column: int) -> str:
    """The cell of a spreadsheet row (1 = first) and a column (0 = first): C7."""
    return xl_rowcol_to_cell(row - 1, column)
