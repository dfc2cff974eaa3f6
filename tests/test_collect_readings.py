"""Months, numbers and headers as the world writes them: read where one reading fits the column, asked where two do."""

from __future__ import annotations

from pathlib import Path

import openpyxl
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sopkit.collect import check, collect, csv_files
from sopkit.collect.check import Checked
from sopkit.collect.figures import grouped
from sopkit.tables import TABLES, Source

HISTORY = TABLES["sales_history"]
CYCLE = "2026-11"


def read(lines: list[str], source: Source | None = None, header: str = "month;product;market;quantity") -> Checked:
    source = source or Source()
    content = "\n".join([header, *lines, ""]).encode()
    return check.checked(HISTORY, source, csv_files.read_csv(HISTORY, source, content, "f"), {})


def months(texts: list[str], **settings: object) -> Checked:
    return read([f"{text};P;M;1" for text in texts], Source(**settings))


def numbers(texts: list[str], **settings: object) -> Checked:
    return read([f'2026-{at:02d};P;M;"{text}"' for at, text in enumerate(texts, 1)], Source(**settings))


@pytest.mark.parametrize(
    "texts",
    [
        ["2024/11", "2024/12", "2025/1"],
        ["11/2024", "12/2024", "01/2025"],
        ["11.2024", "12.2024", "01.2025"],
        ["202411", "202412", "202501"],
        ["01.11.2024", "01.12.2024", "01.01.2025"],
        ["20241101", "20241201", "20250101"],
        ["30.11.2024", "31.12.2024", "31.01.2025"],
        ["2024-11-30", "2024-12-31", "2025-01-31"],
        ["15.11.2024", "15.12.2024", "15.01.2025"],
        ["45597", "45627", "45658"],
        ["Nov 2024", "Dec 2024", "Jan 2025"],
        ["Nov-24", "Dec-24", "Jan-25"],
        ["November 2024", "Dezember 2024", "Januar 2025"],
        ["Nov. 2024", "Dez. 2024", "Jän. 2025"],
        ["novembre 2024", "décembre 2024", "janvier 2025"],
        ["nov. 2024", "déc. 2024", "janv. 2025"],
        ["1. November 2024", "1. Dezember 2024", "1. Januar 2025"],
        ["2024 November", "2024 Dezember", "2025 Januar"],
    ],
)
def test_a_column_of_months_that_fits_one_reading_is_read(texts: list[str]) -> None:
    done = months(texts)
    assert done.findings.empty, done.findings.to_dict("records")
    assert done.frame["month"].tolist() == list(pd.date_range("2024-11-01", periods=3, freq="MS"))


def test_a_column_that_fits_two_readings_is_asked_about_once_with_the_lines_to_copy() -> None:
    done = months(["01/02/2024", "01/03/2024", "01/04/2024"])
    assert done.frame is None
    (found,) = done.findings.to_dict("records")
    assert (found["row"], found["column"], found["value"]) == (2, "month", "01/02/2024")
    assert found["rule"] == "the column can be read in two ways"
    assert '`dates: "%d/%m/%Y"` (then 2024-02-01 first)' in found["fix"]
    assert '`dates: "%m/%d/%Y"` (then 2024-01-02 first)' in found["fix"]
    copied = months(["01/02/2024", "01/03/2024", "01/04/2024"], dates="%d/%m/%Y")
    assert copied.frame["month"].dt.month.tolist() == [2, 3, 4]


def test_one_date_above_the_twelfth_settles_a_column() -> None:
    done = months(["03/12/2024", "17/12/2024"], sum_rows=True)
    assert done.frame[["month", "quantity"]].values.tolist() == [[pd.Timestamp("2024-12-01"), 2.0]]


@pytest.mark.parametrize(
    "texts", [["11/2024", "soon"], ["2024-11-03", "2024-12-05"], ["Smarch 2024", "Nov 2024"], ["99999", "45597"]]
)
def test_a_column_that_fits_no_reading_as_a_whole_is_refused_cell_by_cell(texts: list[str]) -> None:
    done = months(texts)
    assert done.frame is None and set(done.findings["column"]) == {"month"}


@given(
    st.lists(
        st.dates(pd.Timestamp("1990-01-01").date(), pd.Timestamp("2090-12-31").date()),
        min_size=2,
        unique=True,
        max_size=8,
    ),
    st.sampled_from(["%d.%m.%Y", "%Y/%m/%d", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%Y%m%d", "%d %B %Y", "%b %Y"]),
)
def test_what_is_read_is_what_was_written_or_asked(days: list, pattern: str) -> None:
    """Whatever the days and the pattern: the months written, or no table; never other months."""
    done = months([day.strftime(pattern) for day in days], sum_rows=True)
    wanted = sorted({pd.Timestamp(day).replace(day=1) for day in days})
    assert done.frame is None or done.frame["month"].tolist() == wanted
    if pattern in ("%d.%m.%Y", "%Y/%m/%d", "%Y%m%d", "%d %B %Y", "%b %Y"):
        assert done.frame is not None or len({day.strftime(pattern) for day in days}) == 1


@pytest.mark.parametrize(
    ("texts", "values"),
    [
        (["1.234,50", "12,25"], [1234.5, 12.25]),
        (["1,234.50", "12.25"], [1234.5, 12.25]),
        (["1.234.567", "1.234"], [1234567, 1234]),
        (["12,5", "7,25", "1000"], [12.5, 7.25, 1000]),
        (["1 234,5", "999"], [1234.5, 999]),
        (["1'234.50", "9.00"], [1234.5, 9]),
        (["1\u00a0234,5", "999"], [1234.5, 999]),
        (["0.125", "12.500"], [0.125, 12.5]),
        (["1234.500", "999"], [1234.5, 999]),
    ],
)
def test_numbers_of_either_custom_are_read_where_the_column_fits_one(texts: list[str], values: list[float]) -> None:
    done = numbers(texts)
    assert done.findings.empty, done.findings.to_dict("records")
    assert done.frame["quantity"].tolist() == values


@pytest.mark.parametrize("texts", [["1,234", "2,500"], ["1.234", "2.500", "999"]])
def test_numbers_that_fit_two_customs_are_asked_about(texts: list[str]) -> None:
    done = numbers(texts)
    assert done.frame is None
    (found,) = done.findings.to_dict("records")
    assert (found["column"], found["rule"]) == ("quantity", "the column can be read in two ways")
    assert "under `tables: {sales_history: ...}`: `decimal:" in found["fix"]
    stated = numbers(texts, decimal="." if "." in texts[0] else ",")
    assert stated.frame["quantity"].tolist()[:2] == [1.234, 2.5]


@given(
    st.lists(st.integers(0, 10**8), min_size=2, max_size=6, unique=True),
    st.sampled_from([(",", "."), (".", ","), (",", " ")]),
)
def test_a_number_is_what_was_written_or_asked(cents: list[int], marks: tuple[str, str]) -> None:
    decimal, thousands = marks
    texts = [f"{value / 100:,.2f}".replace(",", "t").replace(".", decimal).replace("t", thousands) for value in cents]
    done = numbers(texts[:12])
    assert done.frame is not None and done.frame["quantity"].tolist() == [value / 100 for value in cents]


# headers ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "header", ["Month;PRODUCT;Market ;Quantity", "month;product;mar_ket;QUANTITY", "Month.;Product;MARKET;quan tity"]
)
def test_column_names_of_other_case_blanks_and_underscores_are_ours(header: str) -> None:
    done = read(["2026-01;P;M;3"], header=header)
    assert done.findings.empty and done.frame["quantity"].tolist() == [3]


def test_a_renamed_column_is_found_in_other_case_too() -> None:
    done = read(
        ["2026-01;P;M;3"], Source(rename={"Umsatz Menge": "quantity"}), header="month;product;market;UMSATZ_MENGE"
    )
    assert done.findings.empty and done.frame["quantity"].tolist() == [3]


@pytest.mark.parametrize("word", ["Total", "Summe", "Gesamtergebnis", "Grand Total", "somme"])
def test_a_total_below_the_rows_is_one_finding(word: str) -> None:
    done = read(["2026-01;P;M;3", "2026-02;P;M;4", f"{word};;;7"])
    (found,) = done.findings.to_dict("records")
    assert (found["row"], found["value"], found["rule"]) == (4, word, "is a total of the rows above")


def test_a_second_header_is_one_finding() -> None:
    done = read(["2026-01;P;M;3", "month;product;market;quantity", "2026-02;P;M;4", "month;product;market;quantity"])
    (found,) = done.findings.to_dict("records")
    assert (found["row"], found["rule"]) == (3, "is the header again (2 times)")


def test_a_merged_header_is_one_finding(tmp_path: Path) -> None:
    (tmp_path / "company.yaml").write_text("name: Acme\n")
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "capacity"
    for row in (["resource", "month", "Hours a month", ""], ["", "", "hours", "maintenance"], ["L", "2026-11", 300, 0]):
        sheet.append(row)
    sheet.merge_cells("C1:D1")
    book.save(tmp_path / "tables.xlsx")
    found = collect(tmp_path, CYCLE).findings.query("table == 'capacity'").to_dict("records")
    assert [(one["row"], one["rule"]) for one in found] == [(1, "has a header of two rows, joined by merged cells")]
    assert found[0]["fix"] == "Write all column names into row 2, and remove row 1."


def test_values_of_a_finding_are_cut_between_two_of_them() -> None:
    row = {"table": "t", "column": "c", "rule": "r", "severity": "error", "allowed": "", "fix": "f"}
    months = [{**row, "row": at, "value": f"{at:02d}.04.2026"} for at in range(1, 31)]
    long = [{**row, "row": 1, "rule": "s", "value": "x" * 200}]
    first, second = grouped(pd.DataFrame([*months, *long]))["values"]
    assert first == ", ".join(f"{at:02d}.04.2026" for at in range(1, 10)) + " ..."
    assert second == "x" * 117 + " ..."
