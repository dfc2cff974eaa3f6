"""Every kind of source, real: files of many dialects, workbooks, DuckDB queries, SQLite and a PostgreSQL server."""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pytest
import xlsxwriter
from hypothesis import given
from hypothesis import strategies as st

from sopkit.collect import check, collect, csv_files, queries, sheets
from sopkit.errors import SettingsError
from sopkit.tables import TABLES, Source

CYCLE = "2026-11"
FAMILIES = TABLES["families"]
SECRET = "Geheim-9f2c!@:/ü"


def company(folder: Path, settings: str = "", **files: str) -> Path:
    (folder / "company.yaml").write_text("name: Small\n" + settings, encoding="utf-8")
    for name, text in files.items():
        (folder / f"{name}.csv").write_text(text, encoding="utf-8")
    return folder


def found(folder: Path, table: str) -> list[tuple]:
    findings = collect(folder, CYCLE).findings
    return [(f.row, f.column, f.value, f.rule) for f in findings[findings["table"].eq(table)].itertuples()]


# CSV ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16", "latin-1"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_csv_of_any_delimiter_encoding_and_line_end(encoding, delimiter, end):
    text = end.join([f"family{delimiter}name", f'ZÜRICH{delimiter}"two{delimiter} {end}lines ""quoted"""', ""])
    read = csv_files.read_csv(FAMILIES, Source(encoding=encoding), text.encode(encoding), "f.csv")
    assert read.findings == ()
    assert read.columns.to_pydict() == {"family": ["ZÜRICH"], "name": [f'two{delimiter} {end}lines "quoted"']}


@given(
    st.lists(
        st.tuples(*[st.text(st.characters(codec="utf-8", exclude_characters="\r\n\x00"), max_size=6)] * 2), max_size=5
    )
)
def test_what_pandas_writes_is_read_back_cell_by_cell(rows):
    frame = pd.DataFrame(rows, columns=["family", "name"])
    read = csv_files.read_csv(FAMILIES, Source(delimiter=","), frame.to_csv(index=False).encode(), "f.csv")
    kept = [row for row in rows if any(cell.strip() for cell in row)]
    assert list(zip(*(read.columns.to_pydict().values()), strict=True)) == kept or kept == [] == read.rows.tolist()


@given(st.text(st.sampled_from('",ab \n\r\ufeff'), max_size=14), st.integers(0, 2))
def test_the_fast_reader_and_the_exact_one_read_the_same(text, skip):
    content = ("above\n" * skip + "family,name\n" + text).encode()
    fast = csv_files.read_csv(FAMILIES, Source(skip=skip), content, "f.csv")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_files, "_clean_csv", lambda *_: None)
        exact = csv_files.read_csv(FAMILIES, Source(skip=skip), content, "f.csv")
    assert fast.columns.to_pydict() == exact.columns.to_pydict()
    assert fast.rows.tolist() == exact.rows.tolist()
    assert fast.findings == exact.findings


def test_rows_are_numbered_as_a_spreadsheet_shows_them(tmp_path):
    company(tmp_path, families='family,name\nA,"two\nlines"\n\n,x\n')
    assert found(tmp_path, "families") == [(4, "family", "", "is empty")]


def test_bytes_of_another_encoding_are_named_cell_by_cell(tmp_path):
    company(tmp_path)
    (tmp_path / "families.csv").write_bytes("family,name\nA,Zelte\nB,Schlafsäcke\n".encode("cp1252"))
    assert found(tmp_path, "families") == [(3, "name", "Schlafs\ufffdcke", "holds bytes that are not utf-8")]


def test_a_row_with_more_cells_than_the_header_is_named(tmp_path):
    company(tmp_path, families="family,name\nA,b\nB,c,d\nC,e,\n")
    assert found(tmp_path, "families") == [(3, "name", "d", "row has 3 cells, the header 2")]


def test_a_column_that_comes_twice_is_named(tmp_path):
    company(tmp_path, families="family,family\nA,b\n")
    assert (1, "family", "family", "column comes twice") in found(tmp_path, "families")


@pytest.mark.parametrize(
    ("settings", "text", "value"),
    [
        (Source(), "1234.5", 1234.5),
        (Source(), " -1.5e3 ", -1500.0),
        (Source(decimal=","), "1234,5", 1234.5),
        (Source(decimal=",", thousands="."), "1.234.567,5", 1234567.5),
        (Source(thousands=","), "1,234,567.5", 1234567.5),
        (Source(thousands="'"), "1'234.5", 1234.5),
    ],
)
def test_numbers_are_read_as_the_mapping_says(settings, text, value):
    content = f'month;product;market;quantity\n2026-10;P;M;"{text}"\n'.encode()
    read = check.checked(
        TABLES["sales_history"], settings, csv_files.read_csv(TABLES["sales_history"], settings, content, "f"), {}
    )
    assert read.frame["quantity"].tolist() == [value]


@pytest.mark.parametrize(
    "text", ["1,5", "1.234,5", "0x10", "١٢", "1_000", "inf", "-", "1 000", "12 pcs", "1e", "nan", "--1", "1e99999"]
)
def test_what_is_not_surely_a_number_is_refused(text):
    content = f'month;product;market;quantity\n2026-10;P;M;"{text}"\n'.encode()
    read = check.checked(
        TABLES["sales_history"], Source(), csv_files.read_csv(TABLES["sales_history"], Source(), content, "f"), {}
    )
    assert read.findings[["row", "column", "rule", "severity"]].values.tolist() == [
        [2, "quantity", "is not a number", "error"]
    ]


def test_a_decimal_point_is_refused_where_the_comma_is_said_to_be_the_mark():
    content = b"month;product;market;quantity\n2026-10;P;M;1.5\n"
    settings = Source(decimal=",")
    read = check.checked(
        TABLES["sales_history"], settings, csv_files.read_csv(TABLES["sales_history"], settings, content, "f"), {}
    )
    assert read.frame is None


@pytest.mark.parametrize(
    "text", ["2026-10", "2026-10-01", "Oct 2026", "October 2026", "2026-10-01 00:00:00", "2026-10-01T00:00:00"]
)
def test_months_are_read_in_every_unmistakable_way(text):
    content = f"month;product;market;quantity\n{text};P;M;1\n".encode()
    read = check.checked(
        TABLES["sales_history"], Source(), csv_files.read_csv(TABLES["sales_history"], Source(), content, "f"), {}
    )
    assert read.frame["month"].tolist() == [pd.Timestamp("2026-10-01")]


@pytest.mark.parametrize(
    "text", ["10/11/2026", "2026-13", "2026-00", "0000-01", "99999-01", "2026", "soon", "2026-02-30", "1e9"]
)
def test_months_that_could_mean_two_things_or_none_are_refused(text):
    content = f"month;product;market;quantity\n{text};P;M;1\n".encode()
    read = check.checked(
        TABLES["sales_history"], Source(), csv_files.read_csv(TABLES["sales_history"], Source(), content, "f"), {}
    )
    assert read.findings[["row", "column", "value"]].values.tolist() == [[2, "month", text]]


# Parquet and Excel ----------------------------------------------------------------------------------------------
def test_parquet_keeps_its_kinds(tmp_path):
    company(tmp_path)
    frame = pd.DataFrame({"month": [pd.Timestamp("2026-10-01")], "working_days": np.array([21], dtype="int32")})
    frame.to_parquet(tmp_path / "calendar.parquet")
    assert collect(tmp_path, CYCLE).tables["calendar"].to_dict("list") == {
        "month": [pd.Timestamp("2026-10-01")],
        "working_days": [21.0],
    }
    (tmp_path / "calendar.parquet").write_bytes(b"PAR1 not at all")
    assert [rule for *_, rule in found(tmp_path, "calendar")] == ["is no Parquet file"]


def workbook(path: Path, sheets: dict[str, list[list]], **options) -> Path:
    with xlsxwriter.Workbook(path, options) as book:
        for name, rows in sheets.items():
            sheet = book.add_worksheet(name)
            for row, cells in enumerate(rows):
                sheet.write_row(row, 0, cells)
    return path


def test_an_excel_sheet_is_read_as_a_person_sees_it(tmp_path):
    company(
        tmp_path,
        "tables: {products: {file: erp.xlsx, sheet: Artikel, skip: 1, rename: {Nr: product}}}\n",
        families="family\nF\n",
    )
    workbook(
        tmp_path / "erp.xlsx",
        {
            "Artikel": [
                ["exported 2026-10-31"],
                ["Nr", "name", "family", "price", "standard_cost", "launch_month"],
                ["007", "=1+1", "F", 1.5, 1, pd.Timestamp("2026-12-01").to_pydatetime()],
                [12, True, "F", 2, 1, "2027-01"],
            ]
        },
        strings_to_formulas=False,
        default_date_format="yyyy-mm",
    )
    products = collect(tmp_path, CYCLE).tables["products"]
    assert products["product"].tolist() == ["007", "12"]
    assert products["name"].tolist() == ["=1+1", "yes"]
    assert products["launch_month"].tolist() == [pd.Timestamp("2026-12-01"), pd.Timestamp("2027-01-01")]


@pytest.mark.parametrize("mixed", [False, True])
def test_a_number_cell_is_that_number_whatever_marks_the_texts_have(tmp_path, mixed):
    rows = [["product", "market", "price"], ["A", "N", 454.77], ["B", "N", 12], ["C", "N", "1.000,50" if mixed else 3]]
    workbook(tmp_path / "p.xlsx", {"prices": rows})
    table, mapped = TABLES["prices"], Source(file="p.xlsx", decimal=",", thousands=".")
    read = sheets.read_sheet(table, mapped, (tmp_path / "p.xlsx").read_bytes(), "p.xlsx")
    frame = check.checked(table, mapped, read, {}).frame
    assert frame["price"].tolist() == [454.77, 12.0, 1000.5 if mixed else 3.0]


def test_numbers_of_several_parquet_files_keep_their_value_whatever_marks_the_mapping_has(tmp_path):
    for number, price in enumerate((454.77, 12.5)):
        pd.DataFrame({"product": ["A"], "market": [f"M{number}"], "price": [price]}).to_parquet(
            tmp_path / f"p{number}.parquet"
        )
    settings = "tables: {prices: {file: 'p*.parquet', decimal: ',', thousands: '.'}}\n"
    company(
        tmp_path,
        settings,
        products="product,family,price,standard_cost\nA,F,2,1\n",
        families="family\nF\n",
        markets="market,region,channel\nM0,N,R\nM1,N,R\n",
    )
    assert collect(tmp_path, CYCLE).tables["prices"]["price"].tolist() == [454.77, 12.5]


def test_a_date_cell_is_that_date_however_the_texts_are_written(tmp_path):
    day = pd.Timestamp("2026-11-01").to_pydatetime()
    workbook(
        tmp_path / "c.xlsx",
        {"calendar": [["month", "working_days"], [day, 21], ["01.12.2026", 20]]},
        default_date_format="yyyy-mm",
    )
    table, mapped = TABLES["calendar"], Source(file="c.xlsx", dates="%d.%m.%Y")
    read = sheets.read_sheet(table, mapped, (tmp_path / "c.xlsx").read_bytes(), "c.xlsx")
    checked = check.checked(table, mapped, read, {})
    assert checked.findings.empty
    assert checked.frame["month"].tolist() == [pd.Timestamp("2026-11-01"), pd.Timestamp("2026-12-01")]


def test_sheets_and_files_are_found_in_any_case(tmp_path):
    company(tmp_path)
    (tmp_path / "Markets.CSV").write_text("market,region,channel\nN,N,R\n", encoding="utf-8")
    workbook(tmp_path / "Tables.XLSX", {"Families ": [["family"], ["F"]]})
    tables = collect(tmp_path, CYCLE).tables
    assert tables["markets"]["market"].tolist() == ["N"] and tables["families"]["family"].tolist() == ["F"]


def test_a_sheet_whose_name_is_nearly_a_tables_is_not_passed_over(tmp_path):
    company(tmp_path)
    workbook(tmp_path / "tables.xlsx", {"price": [["product", "market", "price"], ["A", "N", 2]], "notes": [["a"]]})
    ((_, _, place, rule),) = found(tmp_path, "prices")
    assert (place, rule) == ("tables.xlsx", "has no sheet 'prices', but a sheet 'price' of no table")


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_a_title_above_the_column_names_is_said_once_with_the_cure(tmp_path, kind):
    rows = [["Families 2026"], [""], ["family", "name"], ["F", "f"]]
    company(tmp_path, **({"families": "\n".join(map(",".join, rows))} if kind == "csv" else {}))
    if kind == "xlsx":
        workbook(tmp_path / "tables.xlsx", {"families": rows})
    findings = collect(tmp_path, CYCLE).findings
    (finding,) = findings[findings["table"].eq("families")].itertuples()
    assert (finding.row, finding.rule) == (1, "has no header")
    assert "stand in row 3" in finding.fix and "{families: {skip: 2}}" in finding.fix
    file = "families.csv" if kind == "csv" else "tables.xlsx"
    company(tmp_path, f"tables: {{families: {{file: {file}, skip: 2}}}}\n")
    assert collect(tmp_path, CYCLE).tables["families"]["name"].tolist() == ["f"]


def test_text_of_two_bytes_a_letter_is_named(tmp_path):
    (company(tmp_path) / "families.csv").write_text("family\nF\n", encoding="utf-16")
    findings = collect(tmp_path, CYCLE).findings
    (finding,) = findings[findings["table"].eq("families")].itertuples()
    assert (finding.row, finding.rule) == (1, "cannot be read as utf-8 CSV") and "`encoding: utf-16`" in finding.fix


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        ("31.12.2025", "Write it like 2026-11, or name the pattern of the column under `dates`"),
        ("2025-12-31", "Write it like 2026-11; days are added up to months with `sum_rows: true`"),
    ],
)
def test_a_month_that_cannot_be_read_says_how_to_write_it(tmp_path, text, fix):
    company(tmp_path, calendar=f"month,working_days\n{text},20\n")
    findings = collect(tmp_path, CYCLE).findings
    (finding,) = findings[findings["table"].eq("calendar") & findings["row"].eq(2)].itertuples()
    assert (finding.column, finding.value) == ("month", text) and finding.fix.startswith(fix)


def test_a_formula_that_was_never_calculated_is_refused_with_its_address(tmp_path):
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "families"
    for row in (["family", "name"], ["A", "=1+1"], ["B", "b"]):
        sheet.append(row)
    book.save(tmp_path / "tables.xlsx")
    company(tmp_path)
    assert found(tmp_path, "families") == [(2, "", "B2", "formula was never calculated")]


def test_a_formula_of_a_program_that_writes_zero_as_its_value_is_refused_too(tmp_path):
    company(tmp_path)
    workbook(tmp_path / "tables.xlsx", {"calendar": [["month", "working_days"], ["2026-11", "=20+1"]]})
    assert found(tmp_path, "calendar") == [(2, "", "B2", "formula was never calculated")]


def test_a_formula_that_a_spreadsheet_calculated_is_its_result(tmp_path):
    company(tmp_path)
    with xlsxwriter.Workbook(tmp_path / "made.xlsx") as book:
        sheet = book.add_worksheet("calendar")
        sheet.write_row(0, 0, ["month", "working_days"])
        sheet.write_row(1, 0, ["2026-11"])
        sheet.write_formula(1, 1, "=20+1", None, 21)
    # a spreadsheet program that calculated it does not ask for a calculation on opening
    with zipfile.ZipFile(tmp_path / "made.xlsx") as made, zipfile.ZipFile(tmp_path / "tables.xlsx", "w") as saved:
        for part in made.namelist():
            saved.writestr(part, made.read(part).replace(b' fullCalcOnLoad="1"', b""))
    assert collect(tmp_path, CYCLE).tables["calendar"]["working_days"].tolist() == [21.0]


def test_a_cell_that_shows_an_error_is_refused_with_its_address(tmp_path):
    company(tmp_path)
    with xlsxwriter.Workbook(tmp_path / "made.xlsx") as book:
        sheet = book.add_worksheet("calendar")
        sheet.write_row(0, 0, ["month", "working_days"])
        sheet.write_formula(1, 1, "=1/0", None, "#DIV/0!")
    with zipfile.ZipFile(tmp_path / "made.xlsx") as made, zipfile.ZipFile(tmp_path / "tables.xlsx", "w") as saved:
        for part in made.namelist():
            saved.writestr(part, made.read(part).replace(b' fullCalcOnLoad="1"', b""))
    assert (2, "", "B2", "shows the error #DIV/0!") in found(tmp_path, "calendar")


@pytest.mark.parametrize(
    "content", [b"", b"junk", b"PK\x03\x04 broken", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600]
)
def test_a_workbook_that_cannot_be_read_is_a_finding(tmp_path, content):
    company(tmp_path)
    (tmp_path / "tables.xlsx").write_bytes(content)
    assert [rule for *_, rule in found(tmp_path, "families")] == ["is no workbook that can be read"]


def test_a_missing_sheet_is_answered_with_the_nearest_name(tmp_path):
    company(tmp_path, "tables: {families: {file: a.xlsx}}\n")
    workbook(tmp_path / "a.xlsx", {"familys": [["family"]]})
    finding = collect(tmp_path, CYCLE).findings.iloc[0]
    assert (finding["rule"], "did you mean 'familys'" in finding["fix"]) == ("has no sheet 'families'", True)


def test_a_missing_file_is_a_finding_that_lists_what_is_there(tmp_path):
    company(tmp_path, "tables: {families: {file: famlies.csv}}\n", families="family\nA\n")
    finding = collect(tmp_path, CYCLE).findings.iloc[0]
    assert (finding["value"], finding["rule"]) == ("famlies.csv", "file is missing")
    assert "families.csv" in finding["fix"]


# DuckDB ---------------------------------------------------------------------------------------------------------
def test_a_duckdb_query_over_raw_files_makes_a_table(tmp_path):
    company(tmp_path, "raw: exports\ncurrency: CHF\n")
    (tmp_path / "exports").mkdir()
    (tmp_path / "sql").mkdir()
    pd.DataFrame({"code": ["A", "B", "A"], "n": [1, 2, 3]}).to_parquet(tmp_path / "exports" / "erp.Items.parquet")
    (tmp_path / "exports" / "names.csv").write_text("code,long\nA,Alpha\nB,Beta\n")
    (tmp_path / "sql" / "_shared.sql").write_text(
        "CREATE VIEW totals AS SELECT code, sum(n) AS n FROM erp.Items GROUP BY ALL"
    )
    (tmp_path / "sql" / "families.sql").write_text(
        "SELECT code AS family, concat_ws(' ', long, n, getvariable('cycle'), getvariable('currency')) AS name "
        "FROM totals JOIN names USING (code) ORDER BY code"
    )
    assert collect(tmp_path, CYCLE).tables["families"].to_dict("list") == {
        "family": ["A", "B"],
        "name": ["Alpha 4 2026-11 CHF", "Beta 2 2026-11 CHF"],
    }


@pytest.mark.parametrize(
    "query",
    [
        "SELECT content AS family FROM read_text('/etc/passwd')",
        "SELECT * FROM read_csv('/etc/hosts')",
        "SELECT * FROM 'https://example.invalid/a.csv'",
        "SELECT family FROM nothing",
        "SELECT FROM WHERE",
    ],
)
def test_a_query_that_fails_or_reaches_out_of_the_company_is_a_finding(tmp_path, query):
    company(tmp_path)
    (tmp_path / "sql").mkdir()
    (tmp_path / "sql" / "families.sql").write_text(query)
    assert [(row, rule) for row, _, _, rule in found(tmp_path, "families")] == [(0, "query fails")]


@pytest.mark.parametrize("query", ["COPY (SELECT 1) TO 'x.csv'", "SELECT 1; SELECT 2", "", "ATTACH 'x.db'"])
def test_a_query_must_be_one_select(tmp_path, query):
    company(tmp_path)
    (tmp_path / "sql").mkdir()
    (tmp_path / "sql" / "families.sql").write_text(query)
    with pytest.raises(SettingsError, match="one SELECT"):
        collect(tmp_path, CYCLE)


def test_a_query_row_is_named(tmp_path):
    company(tmp_path)
    (tmp_path / "sql").mkdir()
    (tmp_path / "sql" / "calendar.sql").write_text(
        "SELECT DATE '2026-11-01' AS month, 21 AS working_days UNION ALL SELECT DATE '2026-12-05', 'nan'::DOUBLE"
    )
    assert found(tmp_path, "calendar") == [
        (3, "month", "2026-12-05", "is a day, not a month"),
        (3, "working_days", "nan", "is not a number"),
    ]


# databases ------------------------------------------------------------------------------------------------------
def test_sqlite_with_its_mixed_kinds(tmp_path):
    company(
        tmp_path,
        "databases: {erp: {url: 'sqlite:///erp.db'}}\ntables:\n  families: {database: erp}\n"
        "  calendar: {database: erp, query: 'SELECT m AS month, d AS working_days FROM days ORDER BY m'}\n",
    )
    with sqlite3.connect(tmp_path / "erp.db") as base:
        base.executescript(
            "CREATE TABLE families (family, name); INSERT INTO families VALUES ('A', NULL), (7, 'x');"
            "CREATE TABLE days (m, d); INSERT INTO days VALUES ('2026-11', 21), ('2026-12', '20'), ('2027-01', 'x')"
        )
    base.close()
    collected = collect(tmp_path, CYCLE)
    assert collected.tables["families"].to_dict("list") == {"family": ["7", "A"], "name": ["x", ""]}
    assert found(tmp_path, "calendar") == [(4, "working_days", "x", "is not a number")]


def test_a_query_cannot_change_the_database(tmp_path):
    query = "INSERT INTO families VALUES ('B', 'b') RETURNING family"
    company(
        tmp_path,
        "databases: {erp: {url: 'sqlite:///erp.db'}}\ntables:\n  families:\n    database: erp\n"
        f'    query: "{query}"\n',
    )
    with sqlite3.connect(tmp_path / "erp.db") as base:
        base.execute("CREATE TABLE families (family, name)")
    base.close()
    finding = collect(tmp_path, CYCLE).findings.iloc[0]
    assert finding["rule"] == "cannot be read" and "readonly" in finding["fix"]


def test_a_missing_sqlite_file_is_not_made(tmp_path):
    company(tmp_path, "databases: {erp: {url: 'sqlite:///erp.db'}}\ntables: {families: {database: erp}}\n")
    assert [rule for *_, rule in found(tmp_path, "families")] == ["file is missing"]
    assert not (tmp_path / "erp.db").exists()


POSTGRES = next(
    iter(sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)), Path(shutil.which("initdb") or "/").parent
)


@pytest.fixture(scope="module")
def postgres(tmp_path_factory) -> tuple[int, Path]:
    """A PostgreSQL server of its own, with a password, on a free port of 127.0.0.1."""
    if not (POSTGRES / "initdb").exists():
        pytest.skip("PostgreSQL is not installed")
    folder = tmp_path_factory.mktemp("postgres")
    # initdb refuses to run as root
    user = {"user": "nobody"} if os.geteuid() == 0 else {}
    if user:
        for place in (folder, *folder.parents[:3]):
            place.chmod(0o755)
        shutil.chown(folder, "nobody")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (folder / "password").write_text(SECRET)
    (folder / "password").chmod(0o644)
    data = folder / "data"

    def call(*words: str) -> None:
        subprocess.run(
            [str(POSTGRES / words[0]), *words[1:]], check=True, capture_output=True, timeout=60, cwd=folder, **user
        )

    call(
        "initdb",
        "-D",
        str(data),
        "-U",
        "planner",
        "-A",
        "scram-sha-256",
        f"--pwfile={folder / 'password'}",
        "-E",
        "UTF8",
        "--no-sync",
    )
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off"
    subprocess.run(
        [str(POSTGRES / "pg_ctl"), "-D", str(data), "-o", options, "-l", str(folder / "log"), "-w", "start"],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        timeout=60,
        cwd=folder,
        **user,
    )
    yield port, folder
    call("pg_ctl", "-D", str(data), "-m", "immediate", "stop")


def erp(folder: Path, port: int, query: str = "SELECT * FROM stock") -> Path:
    return company(
        folder,
        f"""
databases:
  erp: {{url: "postgresql+psycopg://planner@127.0.0.1:{port}/postgres", password_env: TEST_ERP_PASSWORD}}
tables:
  inventory: {{database: erp, query: "{query}"}}
""",
        sites="site,kind\nPLANT-N,plant\n",
        families="family\nF\n",
        products="product,family,price,standard_cost\nBOX,F,2,1\n",
    )


def test_postgresql_is_read(tmp_path, postgres, monkeypatch):
    import psycopg

    monkeypatch.setenv("TEST_ERP_PASSWORD", SECRET)
    with psycopg.connect(
        host="127.0.0.1", port=postgres[0], user="planner", password=SECRET, dbname="postgres"
    ) as base:
        base.execute("DROP TABLE IF EXISTS stock")
        base.execute("CREATE TABLE stock (site text, item varchar(9), quantity numeric(9,2), age integer)")
        base.execute("INSERT INTO stock VALUES ('PLANT-N', 'BOX', 12.25, NULL), ('PLANT-N', 'BAX', 3, 1)")
    assert found(erp(tmp_path, postgres[0]), "inventory") == [(3, "item", "BAX", "is not in products or materials")]
    changing = erp(tmp_path, postgres[0], "DELETE FROM stock RETURNING *")
    assert "read-only transaction" in collect(changing, CYCLE).findings.query("table == 'inventory'")["fix"].iloc[0]
    good = collect(erp(tmp_path, postgres[0], "SELECT * FROM stock WHERE item = 'BOX'"), CYCLE).tables["inventory"]
    assert good.drop(columns="as_of").to_dict("list") == {
        "site": ["PLANT-N"],
        "item": ["BOX"],
        "quantity": [12.25],
        "age": [0],
    }


@pytest.mark.parametrize("trouble", ["password", "query", "server", "unset"])
def test_a_password_is_never_shown(tmp_path, postgres, monkeypatch, capfd, caplog, trouble):
    """Whatever goes wrong, neither finding, error, screen, log nor file holds the password, whole or quoted."""
    monkeypatch.setenv("TEST_ERP_PASSWORD", SECRET + "wrong" if trouble == "password" else SECRET)
    folder = erp(tmp_path, 1 if trouble == "server" else postgres[0], f"SELECT '{trouble}' FROM nowhere")
    if trouble == "unset":
        monkeypatch.delenv("TEST_ERP_PASSWORD")
        with pytest.raises(SettingsError, match="TEST_ERP_PASSWORD is not set"):
            collect(folder, CYCLE)
        return
    caplog.set_level("DEBUG")
    collected = collect(folder, CYCLE)
    assert [f.rule for f in collected.findings.itertuples() if f.table == "inventory"] == ["cannot be read"]
    screen = capfd.readouterr()
    said = [collected.summary(), collected.findings.to_csv(), repr(collected), screen.out, screen.err, caplog.text]
    said += [path.read_text(encoding="utf-8") for path in folder.rglob("*") if path.is_file()]
    for text in said:
        assert SECRET not in text
        assert "Geheim" not in text


def test_the_url_hides_the_password_it_was_given(tmp_path, monkeypatch):
    from sopkit.collect import mapping

    monkeypatch.setenv("TEST_ERP_PASSWORD", SECRET)
    url = queries.database_url("erp", mapping.load(erp(tmp_path, 5432), CYCLE))
    assert url.password == SECRET
    assert "Geheim" not in f"{url} {url!r}"


def test_an_unknown_database_driver_is_a_finding(tmp_path):
    company(tmp_path, "databases: {erp: {url: 'nosuchbase://me@host/db'}}\ntables: {families: {database: erp}}\n")
    assert [rule for *_, rule in found(tmp_path, "families")] == ["cannot be read"]


def test_every_source_is_named_in_the_snapshot(tmp_path):
    company(tmp_path, "tables: {families: {file: f.csv, rename: {Gruppe: family}}}\n")
    (tmp_path / "f.csv").write_text("Gruppe\nA\n")
    kept = collect(tmp_path, CYCLE).sources
    assert kept[["table", "place", "lines", "statement"]].values.tolist() == [
        ["families", "f.csv", 1, '{"file":"f.csv","rename":{"Gruppe":"family"}}']
    ]
    assert kept["sha256"].tolist() == [hashlib.sha256((tmp_path / "f.csv").read_bytes()).hexdigest()]


LEFT_AS_IT_WAS = """
import csv, locale, os, sys, warnings
from xml.etree import ElementTree

def state():
    return (csv.field_size_limit(), dict(ElementTree._namespace_map), dict(os.environ), locale.setlocale(locale.LC_ALL),
            sys.getrecursionlimit(), sys.path[:], [name for name, module in sys.modules.items() if module is None])

before = state()
import sopkit, sopkit.tables, sopkit.collect.check, sopkit.collect.template, sopkit.collect.collected
assert state() == before, "an import changed the process"
sopkit.collect.check_company(sys.argv[1], "2026-11")
assert csv.field_size_limit() == before[0] and dict(ElementTree._namespace_map) == before[1]
"""


def test_neither_import_nor_check_changes_anything_in_the_process(tmp_path):
    company(tmp_path)
    (tmp_path / "families.csv").write_text('family,name\nA,"' + "x" * 200_000 + '"\nB,\xe4\n', encoding="latin-1")
    assert [rule for *_, rule in found(tmp_path, "families")] == [
        "holds bytes that are not utf-8",
        "is longer than 1,000 characters",
    ]
    subprocess.run([sys.executable, "-c", LEFT_AS_IT_WAS, str(tmp_path)], check=True)
