"""A folder of exports nobody described becomes a proposed mapping: how sure it is stands beside each column."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pandas as pd
import pytest
import renamed
from bench_mapping import answers, numbered

from sopkit.collect import check_company, new_company
from sopkit.collect.exports import delimiter_of, encoding_of, found, joined, months_among, settled
from sopkit.collect.proposal import SURE, propose
from sopkit.errors import SettingsError
from sopkit.tables import Company

# one of each kind: codes, references, months, days, choices, money, a file that another house calls differently
SOME = ("products", "curves", "families", "markets", "sites", "prices", "sales_history", "sales_forecast",
        "inventory", "lanes", "materials", "bom", "work_orders", "stock_history", "policies", "suppliers",
        "offers")  # fmt: skip


@pytest.fixture(scope="module")
def some(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("some")
    for name in SOME:
        shutil.copy(renamed.DEMO / f"{name}.csv", folder)
    return folder


@pytest.mark.parametrize("house", renamed.HOUSES, ids=lambda house: house.name)
def test_nine_of_ten_unknown_columns_are_right_and_none_is_wrong_and_called_sure(
    house: renamed.House, some: Path, tmp_path: Path
) -> None:
    truth = renamed.exported(house, tmp_path / "exports", some)
    for _ in ("named", "numbered") if house is renamed.GERMAN else ("named",):
        got = answers(tmp_path / "exports")
        right = [key for key, ours in truth.items() if got.get(key, ())[:2] == ours]
        assert len(right) >= 0.9 * len(truth)
        assert [(key, got[key]) for key in got if got[key][2] == SURE and got[key][:2] != truth[key]] == []
        truth = numbered(tmp_path / "exports", truth)


def test_a_proposed_mapping_is_a_mapping_that_check_reads(some: Path, tmp_path: Path) -> None:
    renamed.exported(renamed.GERMAN, tmp_path / "exports", some)
    said = new_company(tmp_path / "acme", 'Ac\'me: "Söhne"', [str(tmp_path / "exports")])
    assert "needed, not found" not in said and "sql/calendar.sql" in said  # what is missing follows from the cycle
    collected = check_company(tmp_path / "acme", "2026-11")
    assert collected.findings["severity"].ne("error").all(), collected.summary()
    theirs, ours = collected.tables["sales_history"], pd.read_csv(some / "sales_history.csv")
    assert len(theirs) == len(ours) and theirs["revenue"].sum() == pytest.approx(ours["revenue"].sum())
    assert collected.tables["calendar"].set_index("month")["working_days"]["2026-11-01"] == 21
    settings = (tmp_path / "acme" / "company.yaml").read_text(encoding="utf-8")
    assert '"Umsatz": revenue    # sure: named so' in settings and "#   people: " in settings


def test_sheets_months_side_by_side_files_of_one_layout_and_another_language_of_choices(tmp_path: Path) -> None:
    exports = tmp_path / "exports"
    exports.mkdir()
    months = [f"{month:%m/%Y}" for month in pd.date_range("2026-01-01", periods=6, freq="MS")]
    wide = pd.DataFrame({"Artikel": ["A", "B"], "Markt": ["N", "N"], **{month: [10, 20] for month in months}})
    with pd.ExcelWriter(exports / "Planung.xlsx") as book:
        names = ["Artikel", "Bezeichnung", "Warengruppe", "Verkaufspreis", "Herstellkosten"]
        items = pd.DataFrame([["A", "x", "G", 9, 5], ["B", "y", "G", 8, 4]], columns=names)
        items.to_excel(book, sheet_name="Artikelstamm", index=False)
        wide.to_excel(book, sheet_name="Absatz", index=False)
        pd.DataFrame({"Werk": ["P", "L"], "Typ": ["Werk", "Lager"]}).to_excel(book, sheet_name="Werke", index=False)
    for year in (2024, 2025):
        text = f"Lieferant;Name\nL{year};Müller {year}\n"
        (exports / f"lieferanten_{year}.csv").write_text(text, encoding="cp1252")
    new_company(tmp_path / "acme", places=[str(exports)])
    collected = check_company(tmp_path / "acme", "2026-07")
    tables = collected.tables
    assert tables["sales_history"]["quantity"].sum() == 6 * 30 and tables["sales_history"]["month"].nunique() == 6
    assert dict(zip(tables["sites"]["site"], tables["sites"]["kind"], strict=True)) == {"P": "plant", "L": "dc"}
    assert list(tables["suppliers"]["name"]) == ["Müller 2024", "Müller 2025"]
    assert list(tables["families"]["family"]) == ["G"]
    settings = (tmp_path / "acme" / "company.yaml").read_text(encoding="utf-8")
    assert '"lieferanten_202*.csv"' in settings


def test_a_database_is_looked_at_and_read_by_select(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "erp.sqlite") as database:
        pd.read_csv(renamed.DEMO / "products.csv").to_sql("item_master", database, index=False)
        for name in ("families", "curves"):
            pd.read_csv(renamed.DEMO / f"{name}.csv").to_sql(name, database, index=False)
    said = new_company(tmp_path / "acme", places=[f"sqlite:///{tmp_path / 'erp.sqlite'}"])
    assert "item_master" in said
    collected = check_company(tmp_path / "acme", "2026-11")
    assert "products" in collected.tables, collected.summary()
    assert len(collected.tables["products"]) == 12
    with pytest.raises(SettingsError, match="password") as refused:
        new_company(tmp_path / "other", places=["postgresql://user:geheim@localhost/erp"])
    assert "geheim" not in str(refused.value)
    assert not (tmp_path / "other").exists()


def test_nothing_is_made_where_a_place_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="does not exist"):
        new_company(tmp_path / "acme", places=[str(tmp_path / "nothing.csv")])
    assert not (tmp_path / "acme").exists()


def test_a_lead_time_of_21_is_one_in_days(tmp_path: Path) -> None:
    (tmp_path / "offers.csv").write_text("supplier,item,site,price,lead_time\nS,A,P,3,21\nS,B,P,4,35\n")
    got = answers(tmp_path)
    assert got["offers.csv", "lead_time"][1:] == ("lead_days", SURE) and got["offers.csv", "price"][2] == SURE


def test_how_a_file_is_written_is_found_from_its_bytes(tmp_path: Path) -> None:
    encodings = ["utf-8", "cp1252", "utf-16", "utf-16-le", "utf-16-be"]
    assert [encoding_of("Größe;é\n1;2\n".encode(name)) for name in encodings] == encodings
    assert delimiter_of(["a;b;c", "1,5;2;3", "2,5;3;4"]) == ";" and delimiter_of(["a"]) == ","
    assert (
        months_among(["Artikel", "Jan 2026", "Feb 2026", "Mrz 2026", "Apr 2026"])
        == []
        != months_among(["x", "2026-01", "2026-02", "2026-03", "2026-04"])
    )
    (tmp_path / "x.csv").write_text("Report of today\n\nArtikel;Menge\nA;1\nB;2\n")
    one = joined(found([str(tmp_path / "x.csv")], Company(name="x"), tmp_path))[0]
    assert one.columns == ["Artikel", "Menge"] and one.source.skip == 2


def test_a_few_spoiled_cells_do_not_hide_a_column_that_is_named_so(tmp_path: Path) -> None:
    """Which cells are wrong is for check to say: a column left out is one that nobody is told about."""
    days = ["12.04.2026", "13.05.2026", "2026/06", "31.02.2026", "14.07.2026", "15.08.2026"]
    sales = [f"{day};P{at % 2 + 1};DE;{at + 10}" for at, day in enumerate(days)]
    (tmp_path / "absatz.csv").write_text("\n".join(["Monat;Artikel;Markt;Menge", *sales]))
    stock = ["W1;P1;1.250", "W1;P2;300", "W1;P3;-5", "W1;P4;n/a", "W1;P5;40"]
    (tmp_path / "bestand.csv").write_text("\n".join(["Werk;Artikel;Bestand", *stock]))
    exports = settled(found([str(tmp_path)], Company(name="t"), tmp_path))
    got = {one.table.name: {m.theirs: (m.ours, m.confidence) for m in one.matches} for one in propose(exports)}
    assert got["sales_history"]["Monat"] == ("month", "a guess")
    assert got["inventory"]["Bestand"] == ("quantity", "a guess")
