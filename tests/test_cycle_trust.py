"""Every changed byte of a cycle and of its records is found, and what is cut, empty or foreign is one sentence."""

from __future__ import annotations

import json
import random
import sqlite3
from pathlib import Path

import pandas as pd
import pytest

from sopkit.cycle import Cycle
from sopkit.errors import SettingsError, SopkitError
from sopkit.records import Records

FLIPS = 120


@pytest.fixture
def kept(acme: Path) -> Cycle:
    """A small cycle that was collected, with the notebook that did it, a file, and records."""
    cycle = Cycle.open("acme", "2026-11", stage="collect")
    cycle.save(
        {
            "families": pd.DataFrame({"family": ["TENTS", "BAGS"], "name": ["Tents", "Bags"]}),
            "people": pd.DataFrame({"name": ["Ada Brandt"], "role": ["planner"], "may_sign": ["collect"]}),
        }
    )
    cycle.write_file("plan.html", "<html>the plan</html>" * 20)
    notebook = cycle.folder / "notebooks" / "01_collect.ipynb"
    notebook.parent.mkdir()
    notebook.write_text(json.dumps({"cells": ["x" * 300], "metadata": {}}))
    cycle.mark("collect", "done", seconds=1.5)
    Cycle.open("acme", "2026-11").sign("collect", by="Ada Brandt", note="looks right")
    opened = Cycle.open("acme", "2026-11")
    assert opened.verify() == []
    return opened


def flip(path: Path, at: int, bit: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1 << bit
    path.write_bytes(bytes(content))


@pytest.mark.parametrize(
    "name",
    ["manifest.json", "notebooks/01_collect.ipynb", "tables/families.parquet", "plan.html", "snapshot/company.yaml"],
)
def test_every_flipped_byte_of_a_cycle_is_found_with_its_file(kept: Cycle, name: str) -> None:
    path, chance = kept.folder / name, random.Random(1)
    whole = path.read_bytes()
    for _ in range(FLIPS):
        flip(path, chance.randrange(len(whole)), chance.randrange(8))
        found = Cycle.open("acme", "2026-11").verify()
        assert found and name in found[0], found
        path.write_bytes(whole)
    assert kept.verify() == []


def meaning(path: Path) -> object:
    """All that an SQLite file says: its tables' columns and rows, its triggers; None where it cannot be read whole."""
    try:
        with sqlite3.connect(path) as base:
            tables = [row[0] for row in base.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY 1")]
            rows = {name: base.execute(f'SELECT * FROM "{name}"').fetchall() for name in tables}
            columns = {
                name: [row[1:4] + row[5:] for row in base.execute(f'PRAGMA table_info("{name}")')] for name in tables
            }
            triggers = base.execute("SELECT name, tbl_name, sql FROM sqlite_master WHERE type = 'trigger' ORDER BY 1")
            return rows, columns, [(name, table, " ".join(text.split())) for name, table, text in triggers]
    except (sqlite3.Error, UnicodeError, TypeError, AttributeError):
        return None
    finally:
        base.close()


def test_every_flipped_byte_of_the_records_that_says_something_is_found(kept: Cycle, tmp_path: Path) -> None:
    """Free bytes of a page and counters of SQLite's own say nothing: what was recorded reads the same."""
    path, chance = tmp_path / "data" / "acme" / "records.sqlite", random.Random(2)
    whole, says = path.read_bytes(), meaning(path)
    used = [at for at, byte in enumerate(whole) if byte]
    for _ in range(2 * FLIPS):
        flip(path, chance.choice(used), chance.randrange(8))
        changed = meaning(path) != says
        try:
            found = Cycle.open("acme", "2026-11").verify()
        except SopkitError as error:  # one sentence, no traceback
            found = [str(error)]
        assert found or not changed, (meaning(path), says)
        assert all("record" in line or "event" in line or "stage" in line or "sign_offs" in line for line in found), (
            found
        )
        path.write_bytes(whole)
    assert kept.verify() == []


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b"null", b'{"tables": [], "files": {}, "stages": {}}', b"\xff\xfe\x00", None]
)
def test_a_manifest_that_is_none_is_one_sentence_with_the_fix(kept: Cycle, content: bytes | None) -> None:
    path = kept.folder / "manifest.json"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2] if content is None else content)
    for ask in (kept.status, kept.stale, lambda: kept.read("families")):
        with pytest.raises(
            SopkitError, match="manifest.json is (not readable|no manifest).* Bring back a copy, or remove"
        ):
            ask()
    assert len(kept.verify()) == 1


def test_records_of_another_kind_are_one_sentence(kept: Cycle, tmp_path: Path) -> None:
    path = tmp_path / "data" / "acme" / "records.sqlite"
    path.unlink()
    with sqlite3.connect(path) as base:
        base.execute("CREATE TABLE events (a, b)")
    base.close()
    try:
        found = Cycle.open("acme", "2026-11").verify()
    except SettingsError as error:
        found = [str(error)]
    assert any("column events.a of the records database is not as it was made" in line for line in found)
    assert any("The records database" in line and "cannot be used" in line for line in found)


@pytest.mark.parametrize("name", ["../out/evil", "..", "a/b", "", ".hidden", "a\x00b"])
def test_a_company_is_one_part_of_a_path_for_the_records_too(name: str) -> None:
    with pytest.raises(SettingsError):
        Records.of(name)
