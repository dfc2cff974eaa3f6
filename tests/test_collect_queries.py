"""SQL over raw files: every file is a view of its own, and a query reads its raw folder and nothing else."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import openpyxl
import pandas as pd
import pytest

from sopkit.collect import collect, files_read
from sopkit.errors import SettingsError

CYCLE = "2026-11"


def company(folder: Path, settings: str = "", **queries: str) -> Path:
    """A company whose raw files lie in exports/, with sql/<table>.sql of each query."""
    for place in ("exports", "sql"):
        (folder / place).mkdir(parents=True, exist_ok=True)
    (folder / "company.yaml").write_text(f"name: Acme\nraw: exports\n{settings}", encoding="utf-8")
    for table, query in queries.items():
        (folder / "sql" / f"{table}.sql").write_text(query, encoding="utf-8")
    return folder


def families(folder: Path) -> list[str]:
    return list(collect(folder, CYCLE).tables["families"]["family"])


def said(folder: Path, table: str = "families") -> list[tuple[str, str]]:
    found = collect(folder, CYCLE).findings.query("table == @table and severity == 'error'")
    return list(zip(found["rule"], found["fix"], strict=True))


def test_a_broken_raw_file_harms_only_the_query_that_names_it_and_is_named(tmp_path: Path) -> None:
    company(tmp_path, families="SELECT code AS family FROM good", sites="SELECT code AS site, name FROM bad")
    (tmp_path / "exports" / "good.csv").write_text("code,name\nA,x\nB,y\n")
    (tmp_path / "exports" / "bad.csv").write_bytes("code,name\nS1,Küche\n".encode("cp1252"))
    assert families(tmp_path) == ["A", "B"]
    (rule, fix), *more = said(tmp_path, "sites")
    assert rule == "raw file bad.csv cannot be read" and not more
    assert '`raw_files: {"bad.csv": {encoding: cp1252}}`' in fix


def test_encoding_delimiter_and_decimal_are_set_for_each_file(tmp_path: Path) -> None:
    company(
        tmp_path,
        "raw_files:\n  old_*.csv: {encoding: cp1252, delimiter: ';', decimal: ',', skip: 1}\n"
        "  u16.csv: {encoding: utf-16}\n",
        families="SELECT code || '|' || name || '|' || (price * 2)::INT AS family FROM old_prices "
        "UNION ALL SELECT code FROM u16",
    )
    (tmp_path / "exports" / "old_prices.csv").write_bytes("Preisliste\ncode;name;price\nA;Küche;1,5\n".encode("cp1252"))
    (tmp_path / "exports" / "u16.csv").write_bytes("code,name\nÄ,x\n".encode("utf-16"))
    assert families(tmp_path) == ["A|Küche|3", "Ä"]


def test_sub_folders_and_sheets_are_views(tmp_path: Path) -> None:
    company(
        tmp_path,
        families='SELECT code AS family FROM "2025".orders UNION SELECT code FROM plan '
        'UNION SELECT code || n::INT FROM plan."Q 2"',
    )
    (tmp_path / "exports" / "2025").mkdir()
    (tmp_path / "exports" / "2025" / "orders.csv").write_text("code\nA\n")
    book = openpyxl.Workbook()
    book.active.title = "Q 1"
    for row in (["code", "n"], ["B", 1]):
        book["Q 1"].append(row)
    for row in ([], ["code", "n"], ["C", 2]):
        book.create_sheet("Q 2") if "Q 2" not in book.sheetnames else None
        book["Q 2"].append(row)
    book.save(tmp_path / "exports" / "plan.xlsx")
    assert families(tmp_path) == ["A", "B", "C2"]


def test_a_shared_statement_of_another_query_does_no_harm(tmp_path: Path) -> None:
    company(tmp_path, families="SELECT code AS family FROM listed", sites="SELECT site FROM spoilt_sites")
    (tmp_path / "sql" / "_shared.sql").write_text(
        "CREATE MACRO plain(x) AS trim(x); CREATE VIEW listed AS SELECT plain(code) AS code FROM good;"
        "CREATE VIEW spoilt_sites AS SELECT * FROM bad"
    )
    (tmp_path / "exports" / "good.csv").write_text("code\nA\n")
    (tmp_path / "exports" / "bad.csv").write_bytes(b"site\n\xe4\n")
    assert families(tmp_path) == ["A"]
    assert said(tmp_path, "sites")[0][0] == "raw file bad.csv cannot be read"


# the house rules of SQL ---------------------------------------------------------------------------------------------
SECRET = "nobody may see this"


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """Two companies beside each other with what no query may read, and one raw file of ours."""
    ours, theirs = company(tmp_path / "ours"), company(tmp_path / "theirs")
    (ours / "exports" / "orders_1.csv").write_text("code\nA\n")
    for place in (theirs / "exports" / "them.csv", ours / "records.sqlite", ours / "notes.csv", tmp_path / "out.csv"):
        place.write_text(f"code\n{SECRET}\n")
    (ours / "exports" / "link.csv").symlink_to(tmp_path / "out.csv")
    (ours / "exports" / "away").symlink_to(theirs / "exports")
    return ours


@pytest.mark.parametrize(
    "query",
    [
        "SELECT content AS family FROM read_text('{ours}/records.sqlite')",
        "SELECT content::VARCHAR AS family FROM read_blob('{ours}/records.sqlite')",
        "SELECT code AS family FROM read_csv('{ours}/notes.csv')",
        "SELECT code AS family FROM read_csv('{ours}/../theirs/exports/them.csv')",
        "SELECT code AS family FROM read_csv('{ours}/exports/../../theirs/exports/them.csv')",
        "SELECT code AS family FROM read_csv(getvariable('raw') || '/link.csv')",
        "SELECT code AS family FROM link",
        "SELECT code AS family FROM away.them",
        "SELECT code AS family FROM read_csv(getvariable('raw') || '/away/them.csv')",
        "SELECT getenv('SOPKIT_TEST_SECRET') AS family",
        "SELECT * FROM read_csv('http://127.0.0.1:{port}/a.csv')",
        "SELECT * FROM sqlite_scan('{ours}/records.sqlite', 'events')",
        "SELECT name AS family FROM duckdb_secrets()",
        "SELECT file AS family FROM glob('{ours}/*')",
        "SELECT file AS family FROM glob('{ours}/../theirs/exports/*')",
        "SELECT file AS family FROM glob(getvariable('raw') || '/away/*')",
        "SELECT content AS family FROM read_text('/proc/self/environ')",
        "SELECT Columns::VARCHAR AS family FROM sniff_csv('{ours}/notes.csv')",
        "SELECT code AS family FROM '{ours}/notes.csv'",
        "SELECT * FROM read_json('{ours}/../theirs/exports/them.csv')",
        "SELECT code AS family FROM read_csv(['{ours}/exports/orders_1.csv', '{ours}/notes.csv'])",
    ],
)
def test_a_query_reads_its_raw_folder_and_nothing_else(
    house: Path, monkeypatch: pytest.MonkeyPatch, query: str
) -> None:
    monkeypatch.setenv("SOPKIT_TEST_SECRET", SECRET)
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.01)
        company(house, families=query.format(ours=house, port=server.getsockname()[1]))
        collected = collect(house, CYCLE)
        assert "families" not in collected.tables
        assert SECRET not in collected.summary() + collected.findings.to_csv()
        with pytest.raises(TimeoutError):  # nobody knocked
            server.accept()


@pytest.mark.parametrize(
    "deed", ["COPY (SELECT 1) TO '{}'", "SET lock_configuration = false", "INSTALL httpfs", "ATTACH '{}'"]
)
def test_a_query_writes_nothing_and_changes_no_setting(house: Path, deed: str) -> None:
    before = sorted(house.rglob("*"))
    company(house, families=deed.format(house / "new.csv"))
    with pytest.raises(SettingsError, match="must hold one SELECT"):
        collect(house, CYCLE)
    (house / "sql" / "families.sql").unlink()
    assert sorted(house.rglob("*")) == before


@pytest.mark.parametrize(
    "deed",
    [
        "COPY (SELECT 1) TO '{}'",
        "ATTACH '{}' AS other",
        "CREATE VIEW listed AS SELECT * FROM read_csv('{}')",
        "SET lock_configuration = false",
        "CREATE MACRO told() AS getenv('SOPKIT_TEST_SECRET')",
    ],
)
def test_what_queries_share_is_under_the_same_rules(house: Path, monkeypatch: pytest.MonkeyPatch, deed: str) -> None:
    monkeypatch.setenv("SOPKIT_TEST_SECRET", SECRET)
    place = house / "notes.csv" if "read_csv" in deed else house / "new.csv"
    company(house, families="SELECT * FROM listed" if "listed" in deed else "SELECT told() AS family")
    (house / "sql" / "_shared.sql").write_text(deed.format(place))
    before = sorted(house.rglob("*"))
    try:
        collected = collect(house, CYCLE)
        assert "families" not in collected.tables and SECRET not in collected.findings.to_csv()
    except SettingsError as error:
        assert SECRET not in str(error)
    assert sorted(house.rglob("*")) == before


def test_files_of_the_raw_folder_can_be_read_by_pattern(house: Path) -> None:
    company(house, families="SELECT code AS family FROM read_csv(getvariable('raw') || '/orders_*.csv')")
    assert families(house) == ["A"]


def test_a_raw_folder_that_is_the_companys_own_opens_only_the_files_that_are_named(tmp_path: Path) -> None:
    company(tmp_path, families="SELECT code AS family FROM mine, read_blob('{}')".format(tmp_path / "records.sqlite"))
    (tmp_path / "company.yaml").write_text("name: Acme\n")
    (tmp_path / "mine.csv").write_text("code\nA\n")
    (tmp_path / "records.sqlite").write_text(SECRET)
    assert said(tmp_path)[0][0] == "query fails"
    company(tmp_path, families="SELECT code AS family FROM mine")
    (tmp_path / "company.yaml").write_text("name: Acme\n")
    assert families(tmp_path) == ["A"]


# what leads out -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ("tables: {families: {file: ../../theirs/exports/them.csv}}\n", "leads out of the folder"),
        ("tables: {families: {file: /etc/passwd}}\n", "leads out of the folder"),
        ("tables: {families: {sql: ../theirs/sql/a.sql}}\n", "leads out of the folder"),
        ("workbook: ../theirs/tables.xlsx\n", "leads out of the folder"),
    ],
)
def test_a_mapping_does_not_lead_out_of_its_company(house: Path, settings: str, says: str) -> None:
    company(house, settings)
    with pytest.raises(SettingsError, match=says):
        collect(house, CYCLE)


def test_a_raw_folder_above_the_company_or_behind_a_link_is_refused(house: Path) -> None:
    (house / "company.yaml").write_text("name: Acme\nraw: ..\n")
    with pytest.raises(SettingsError, match="holds this company's own folder"):
        collect(house, CYCLE)
    (house / "company.yaml").write_text("name: Acme\nraw: exports/away\n")
    with pytest.raises(SettingsError, match="is a link that leads out"):
        collect(house, CYCLE)


def test_a_link_that_leads_out_is_not_read(house: Path) -> None:
    company(house, "tables: {families: {file: link.csv, rename: {code: family}}}\n")
    assert said(house)[0][0] == "is a link that leads out of the company's folder"


# what counts --------------------------------------------------------------------------------------------------------
def test_only_what_the_mapping_reads_counts_as_its_source(tmp_path: Path) -> None:
    company(tmp_path, "tables: {sites: {file: sites_*.csv}}\n", families="SELECT code AS family FROM named")
    for name in ("named.csv", "unnamed.csv", "sites_1.csv"):
        (tmp_path / "exports" / name).write_text("code\nA\n")
    pd.DataFrame({"product": ["A"]}).to_csv(tmp_path / "products.csv", index=False)
    noise = ("~$tables.xlsx", "notes.txt", "products.csv.bak", "exports/~$sites_1.csv", "exports/.sites_2.csv")
    for name in noise:
        (tmp_path / name).write_text("x")
    assert {path.replace(os.sep, "/") for path in files_read(tmp_path)} == {
        "company.yaml",
        "sql/families.sql",
        "exports/named.csv",
        "exports/sites_1.csv",
        "products.csv",
    }
