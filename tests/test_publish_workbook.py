"""The plan as a workbook: every number of the tables, read back by a program that is not ours; hostile text; DRAFT."""

from __future__ import annotations

from datetime import datetime
from io import BytesIO

import openpyxl
import pandas as pd
import pytest
from test_publish import COMPANY, CYCLE, HOSTILE, small_plan

from sopkit.book import Book
from sopkit.publish import summary, workbook
from sopkit.reconcile import figures as reconcile
from sopkit.tables import TABLES


def sheet_of(content: bytes, name: str) -> pd.DataFrame:
    """A sheet as calamine reads it; cells that look empty stay empty texts."""
    return pd.read_excel(BytesIO(content), sheet_name=name, engine="calamine", keep_default_na=False, na_values=[""])


def first_sheet(content: bytes) -> list[list[str]]:
    frame = pd.read_excel(BytesIO(content), sheet_name=workbook.FIRST, header=None, engine="calamine").fillna("")
    return frame.astype(str).to_numpy().tolist()


@pytest.fixture(scope="module")
def plan():
    return small_plan()


@pytest.fixture(scope="module")
def content(plan):
    return workbook.write(Book(plan, COMPANY, CYCLE), "ab" * 32)


def test_every_cell_of_every_table_of_the_demo_is_in_the_workbook(finished):
    cycle = finished
    content = (cycle.folder / "plan.xlsx").read_bytes()
    for sheet, name in workbook.SHEETS.items():
        kept, read = cycle.read(name), sheet_of(content, sheet)
        assert len(read) == len(kept), sheet
        for place, column in enumerate(TABLES[name]):
            there, here = kept[column.name], read.iloc[:, place]
            if column.kind in ("number", "whole"):
                # xlsx keeps 16 digits
                pd.testing.assert_series_equal(
                    here.astype(float), there.astype(float), check_names=False, check_exact=False, rtol=1e-15
                )
            elif column.kind in ("month", "date"):
                assert pd.to_datetime(here).dropna().tolist() == there.dropna().tolist()
            elif column.kind == "flag":
                assert here.tolist() == there.map({True: "yes", False: "no"}).tolist()
            else:
                assert here.fillna("").tolist() == there.tolist(), (sheet, column.name)


def test_the_workbook_of_a_run_is_verified_and_says_the_hash_of_its_plan(finished):
    cycle = finished
    assert cycle.manifest["files"]["plan.xlsx"]["stage"] == "publish"
    said = dict(row[:2] for row in first_sheet((cycle.folder / "plan.xlsx").read_bytes()) if row[0])
    assert said["Plan hash"] == cycle.plan_hash() and said["Money"] == "EUR"


def test_same_plan_same_bytes(plan, content):
    assert workbook.write(Book(plan, COMPANY, CYCLE), "ab" * 32) == content
    made = openpyxl.load_workbook(BytesIO(content)).properties
    assert made.created == made.modified == datetime(2026, 11, 1)


def test_draft_is_said_on_the_first_sheet_and_above_every_printed_page(content):
    book = openpyxl.load_workbook(BytesIO(content))
    assert book.sheetnames == [workbook.FIRST, summary.NAME, *workbook.SHEETS]
    assert "DRAFT" in book.worksheets[0]["A1"].value
    assert all("DRAFT, not decided" in sheet.oddHeader.right.text for sheet in book.worksheets)
    approved = workbook.write(Book(small_plan(decided="shift"), COMPANY, CYCLE))
    again = openpyxl.load_workbook(BytesIO(approved))
    assert not [sheet for sheet in again.worksheets if "DRAFT" in sheet.oddHeader.right.text]
    said = [row[1] for row in first_sheet(approved) if row[0] == "Question"]
    assert said == ["Which plan Trail tent? Approved: shift, by Greta."]


def test_first_sheet_lists_every_sheet_with_its_meaning_and_rows(plan, content):
    listed = {row[0]: row for row in first_sheet(content) if row[0] in workbook.SHEETS}
    assert list(listed) == list(workbook.SHEETS)
    for sheet, name in workbook.SHEETS.items():
        assert listed[sheet][1] == name and int(float(listed[sheet][2])) == len(plan[name])
        assert listed[sheet][3] == TABLES[name].meaning


def test_months_are_dates_and_numbers_are_formatted_by_their_unit(content):
    book = openpyxl.load_workbook(BytesIO(content))
    sheet = book["Demand plan"]
    cells = {heading.value: cell for heading, cell in zip(sheet[1], sheet[2], strict=True)}
    assert cells["Month"].value == datetime(2026, 11, 1) and cells["Month"].number_format == "mmm yyyy"
    assert cells["Consensus (pcs)"].value == 100 and cells["Consensus (pcs)"].number_format == "#,##0"
    assert cells["Price (EUR per unit)"].number_format == "#,##0.00"
    assert [cells[level].value for level in ("Family", "Region", "Quarter", "Fiscal year")] == [
        "PACKS",
        "R",
        "FY2026 Q4",
        "FY2026",
    ]
    kpis = book["KPIs"]
    heads = [cell.value for cell in kpis[1]]
    written = {row[heads.index("Unit")].value: row[heads.index("Value")].number_format for row in kpis.iter_rows(2)}
    assert written["share"] == "0.0%" and written["EUR"] == "#,##0" and written["days"] == "#,##0.0"


def test_a_planner_finds_notes_filters_and_the_headings_in_sight(plan, content):
    book = openpyxl.load_workbook(BytesIO(content))
    for sheet, name in workbook.SHEETS.items():
        page = book[sheet]
        assert page.freeze_panes == "A2" and page.print_title_rows == "$1:$1" and page.page_setup.paperSize == 9
        assert page.auto_filter.ref == f"A1:{page.cell(len(plan[name]) + 1, page.max_column).coordinate}"
        assert all(cell.comment.text.strip() for cell in page[1])
        assert all(11 < column.width < 61 for column in page.column_dimensions.values())


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "https://example.org", HOSTILE, "x" * 40_000])
def test_text_stays_text(name):
    few = {key: frame.head(3) for key, frame in small_plan(name).items()}
    book = openpyxl.load_workbook(BytesIO(workbook.write(Book(few, COMPANY.model_copy(update={"name": name}), CYCLE))))
    kinds = {cell.data_type for sheet in book.worksheets for row in sheet.iter_rows() for cell in row}
    assert kinds <= {"s", "n", "d", "inlineStr"}
    assert not [cell for sheet in book.worksheets[1:] for row in sheet.iter_rows() for cell in row if cell.hyperlink]
    products = {row[0].value: row[1].value for row in book["Products"].iter_rows(2)}
    assert products["TENT"] == name.replace("\x00", "")[: workbook.LETTERS]


def test_a_table_of_too_many_rows_is_cut_and_the_first_sheet_says_so(plan):
    content = workbook.write(Book(plan, COMPANY, CYCLE), rows=10)
    assert len(sheet_of(content, "Demand plan")) == 10
    said = {row[0]: row[3] for row in first_sheet(content) if row[0] in workbook.SHEETS}
    assert said["Demand plan"].endswith("Only the first 10 rows are here; 46 more are in the cycle's tables.")
    assert said["Assumptions"] == TABLES["assumptions"].meaning


def test_a_cycle_with_nothing_in_it_still_has_every_sheet(plan):
    empty = {name: TABLES[name].empty() for name in plan}
    book = openpyxl.load_workbook(BytesIO(workbook.write(Book(empty, COMPANY, CYCLE))))
    assert book.sheetnames == [workbook.FIRST, summary.NAME, *workbook.SHEETS]
    assert book["Demand plan"].max_row == 1 and book["Demand plan"]["A1"].value == "Product"


def test_the_summary_sheet_has_the_packs_numbers_to_the_cent_and_four_native_charts(plan):
    book = Book(plan, COMPANY, CYCLE)
    sheet = openpyxl.load_workbook(BytesIO(workbook.write(book)))[summary.NAME]
    assert len(sheet._charts) == 4 and sheet.page_setup.orientation == "landscape"
    rows = {row[0].value: [cell.value for cell in row[1:8]] for row in sheet.iter_rows(max_col=8) if row[0].value}
    for figure, name in ((reconcile.statement(book), "line"), (reconcile.by_family(book), "name")):
        for line in figure.frame.to_dict("records"):
            last, budget, planned, change, share, *_ = rows[line[name][0].upper() + line[name][1:]]
            assert planned == pytest.approx(line["plan"], abs=0.005)
            if line["budget"] == line["budget"]:
                assert budget == pytest.approx(line["budget"], abs=0.005)
            if line["last year"] == line["last year"]:
                assert (last, change) == pytest.approx((line["last year"], line["plan"] - line["last year"]), abs=0.005)
                assert share == pytest.approx(line["plan"] / line["last year"] - 1) or line["last year"] < 0
    statement = dict(zip(*(reconcile.statement(book).frame[name] for name in ("line", "plan")), strict=True))
    near = book.near(plan["pnl"])
    assert statement["result"] == pytest.approx(near["amount"].sum(), abs=0.005)
    assert rows["All"][2] == pytest.approx(near[near["line"] == "net sales"]["amount"].sum(), abs=0.005)
