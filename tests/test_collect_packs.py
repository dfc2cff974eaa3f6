"""Ready-made packs: what SAP and Odoo dump becomes the tables that the company's own files would give, bit for bit."""

from __future__ import annotations

import os
import shutil
from importlib import import_module
from pathlib import Path

import duckdb
import erp_dumps
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import sopkit.collect as room
from sopkit.book.signed import plan_hash
from sopkit.collect import check_company, new_company
from sopkit.cycle import Cycle
from sopkit.errors import SettingsError
from sopkit.files import sha256, to_parquet
from sopkit.tables import TABLES

DEMO = Path(__file__).resolve().parents[1] / "data" / "demo"
PACKS = Path(room.__file__).parent / "packs"


@pytest.fixture(scope="module")
def wanted() -> dict[str, str]:
    """The sha256 of each of the demo's tables: a plan is a function of these, of settings and of records."""
    return hashes(check_company(DEMO, "2026-11").tables)


def hashes(tables: dict[str, pd.DataFrame]) -> dict[str, str]:
    return {name: sha256(to_parquet(TABLES[name], frame)) for name, frame in tables.items()}


@pytest.mark.parametrize("pack", ["sap", "odoo"])
def test_the_demo_comes_back_from_dumps_bit_for_bit(pack: str, wanted: dict[str, str], tmp_path: Path) -> None:
    held = getattr(erp_dumps, pack)(DEMO, tmp_path / "dumps")
    found = new_company(tmp_path / "demo", "Alpenglow Outdoor", [pack, str(tmp_path / "dumps")])
    assert "left out" not in found
    erp_dumps.beside(DEMO, tmp_path / "demo", held)
    collected = check_company(tmp_path / "demo", "2026-11")
    assert collected.errors == 0, collected.summary()
    assert len(held) >= 9 and hashes(collected.tables) == wanted
    ours, theirs = collected.company, check_company(DEMO, "2026-11").company
    settings = {"raw", "raw_files"}
    assert ours.model_dump(exclude=settings) == theirs.model_dump(exclude=settings)


def made_from(folder: Path, cycle: str = "2026-11") -> dict[str, str]:
    """The hash of the cycle planned from the company in `folder`, to the end of supply: of its numbers, and of all."""
    for name, place in (("SOPKIT_DATA", folder.parent), ("SOPKIT_REPORTS", folder.parent / "reports")):
        os.environ[name] = str(place)
    c = Cycle.open("demo", cycle, stage="collect")
    c.save(check_company(folder, cycle).snapshot())
    for stage in ("demand", "supply"):
        c = Cycle.open("demo", cycle, stage=stage)
        c.save(import_module(f"sopkit.{stage}").plan(c.book))
    return {name: plan_hash(c.manifest, "supply", provenance=name == "all") for name in ("numbers", "all")}


def test_the_plan_from_dumps_has_the_hash_of_the_demos_plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SOPKIT_DATA", "SOPKIT_REPORTS"):
        monkeypatch.setenv(name, "")  # set by `made_from`, and as before afterwards
    shutil.copytree(DEMO, tmp_path / "csv" / "demo")
    plans = {"csv": made_from(tmp_path / "csv" / "demo")}
    for pack in ("sap", "odoo"):
        held = getattr(erp_dumps, pack)(DEMO, tmp_path / "dumps" / pack)
        folder = tmp_path / pack / "demo"
        new_company(folder, "Alpenglow Outdoor", [pack, str(tmp_path / "dumps" / pack)])
        erp_dumps.beside(DEMO, folder, held)
        plans[pack] = made_from(folder)
    assert len({plan["numbers"] for plan in plans.values()}) == 1
    assert len({plan["all"] for plan in plans.values()}) == 3  # the files are others, and a signature knows it


def test_a_number_is_in_every_hash_and_where_it_came_from_in_the_signed_one_alone() -> None:
    def hashes_of(**shas: str) -> tuple[str, str]:
        tables = {name: {"stage": "collect", "sha256": sha} for name, sha in shas.items()}
        return tuple(plan_hash({"tables": tables}, provenance=all_of_it) for all_of_it in (True, False))

    once, moved, other = (
        hashes_of(products="a", sources="x"),
        hashes_of(products="a", sources="y"),
        hashes_of(products="b"),
    )
    assert once[0] != moved[0] and once[1] == moved[1] != other[1]


def test_a_dump_that_is_not_there_leaves_its_tables_to_the_workbook(tmp_path: Path) -> None:
    erp_dumps.sap(DEMO, tmp_path / "dumps")
    for gone in ("MARM.csv", "AFKO.csv", "own/offers.csv"):
        (tmp_path / "dumps" / gone).unlink()
    found = new_company(tmp_path / "acme", "", ["sap", str(tmp_path / "dumps")])
    assert "left out: no dump of AFKO" in found and "sales_history      left out: no dump of MARM" in found
    queries = {path.stem for path in (tmp_path / "acme" / "sql").iterdir()}
    assert "offers" in queries and not queries & {"work_orders", "sales_history", "scheduled_receipts"}
    own = (tmp_path / "acme" / "exports" / "own" / "offers.csv").read_text()
    assert own.strip().split(",") == ["capacity", "share_limit", "supplier", "item", "site"]
    findings = check_company(tmp_path / "acme", "2026-11").findings
    # the pack's queries run on what is there; what they name in tables that are not filled yet is another matter
    assert not findings["rule"].str.contains("query fails|cannot be read|missing").any(), findings
    with pytest.raises(SettingsError, match="needs the folder"):
        new_company(tmp_path / "other", "", ["sap"])
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("call", "value"),
    [
        ("sap_code('000000000000004711')", "4711"),
        ("sap_code('000')", "0"),
        ("sap_code(' BAG-0012 ')", "BAG-0012"),
        ("sap_number('1.234,50-')", -1234.5),
        ("sap_number('1,234.500-')", -1234.5),
        ("sap_number('250,000')", 250),
        ("sap_number('250.000')", 250),
        ("sap_number('7')", 7),
        ("strftime(sap_date('20261031'), '%Y-%m-%d')", "2026-10-31"),
        ("strftime(sap_date('31.10.2026'), '%Y-%m-%d')", "2026-10-31"),
        ("sap_date('00000000')", None),
        ("sap_months(21)", 1),
        ("sap_months(14)", 0),
    ],
)
def test_how_sap_writes_is_read(call: str, value: object) -> None:
    shared = (PACKS / "sap" / "sql" / "_shared.sql").read_text(encoding="utf-8")
    with duckdb.connect() as connection:
        for statement in connection.extract_statements(shared):
            if "MACRO" in statement.query:
                connection.execute(statement)
        ((found,),) = connection.execute(f"SELECT {call}").fetchall()
    assert (float(found) if isinstance(value, float | int) else found) == value


def test_a_decimal_of_a_file_is_its_number_to_the_last_bit(tmp_path: Path) -> None:
    new_company(tmp_path / "acme")
    cells = {"family": ["F"] * 2, "name": ["x", "y"], "product": ["A", "B"]}
    prices = pa.array(["499.000000000", "173.460000000"]).cast(pa.decimal128(30, 9))
    columns = pa.table({**cells, "price": prices, "standard_cost": prices})
    pq.write_table(columns, tmp_path / "acme" / "products.parquet")
    pd.DataFrame({"family": ["F"]}).to_csv(tmp_path / "acme" / "families.csv", index=False)
    assert check_company(tmp_path / "acme", "2026-11").tables["products"]["price"].tolist() == [499.0, 173.46]
