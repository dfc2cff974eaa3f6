"""Finding the way: what there is, where it stands, who is waited for and what to type next; also outside a clone."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pandas as pd
import pytest

from sopkit.cycle import Cycle
from sopkit.cycle.overview import overview
from sopkit.errors import SettingsError
from sopkit.files import lay_out

PROJECT = Path(__file__).resolve().parents[1]
PEOPLE = pd.DataFrame(
    {"name": ["Ada Brandt", "Jon Okafor"], "role": ["planner"] * 2, "may_sign": ["collect", "collect"]}
)


@pytest.fixture
def data(own_place: Path) -> Path:
    (own_place / "data").mkdir()
    return own_place / "data"


def company(data: Path, name: str) -> Path:
    (data / name).mkdir()
    (data / name / "company.yaml").write_text(f"name: {name}\nhorizon: 3\n")
    return data / name


def collected(name: str, cycle: str) -> Cycle:
    opened = Cycle.open(name, cycle, stage="collect")
    opened.save({"people": PEOPLE})
    opened.mark("collect", "done")
    return Cycle.open(name, cycle)


def test_each_cycle_says_where_it_stands_and_what_to_type(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    company(data, "acme")
    company(data, "zeta")
    for cycle in ("2026-10", "2026-11"):
        collected("acme", cycle)
    rows = overview().set_index(["company", "cycle"])
    assert rows.loc[("acme", "2026-10"), "state"] == "closed"
    assert rows.loc[("acme", "2026-11"), "state"] == "demand: not run yet"
    assert rows.loc[("acme", "2026-11"), "waits for"] == "you; collect: Ada Brandt or Jon Okafor"
    assert rows.loc[("acme", "2026-11"), "next"] == "sopkit run --company acme --cycle 2026-11 --resume"
    assert (
        rows.loc["zeta", "state"].tolist() == ["not begun"]
        and "sopkit check --company zeta" in rows.loc["zeta", "next"].iloc[0]
    )
    monkeypatch.setattr(Cycle, "stale", lambda self: {})
    row = overview().set_index(["company", "cycle"]).loc[("acme", "2026-11")]
    assert row["waits for"].startswith("collect: Ada Brandt or Jon Okafor; demand: nobody may sign it; supply: nobody")
    assert row["next"] == 'sopkit sign --company acme --cycle 2026-11 collect --by "Ada Brandt"'


def test_a_damaged_cycle_does_not_hide_the_others(data: Path) -> None:
    company(data, "acme")
    (collected("acme", "2026-11").folder / "manifest.json").write_text("[]")
    (row,) = overview().to_dict("records")
    assert row["state"] == "damaged" and "is no manifest" in row["waits for"]


def sopkit(*arguments: str) -> str:
    done = subprocess.run([sys.executable, "-m", "sopkit", *arguments], cwd=PROJECT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_command_alone_lists_and_says_its_version(data: Path) -> None:
    assert "Make one: sopkit new NAME" in sopkit()
    company(data, "acme")
    assert sopkit().startswith("acme\n") and "next: sopkit check --company acme" in sopkit("list")
    assert sopkit("--version").startswith("sopkit ")


def test_a_folder_is_laid_out_and_nothing_in_it_overwritten(tmp_path: Path) -> None:
    assert lay_out(tmp_path / "work") == len(list((PROJECT / "notebooks").rglob("*.ipynb")))
    mine = tmp_path / "work" / "notebooks" / "02_demand.ipynb"
    assert mine.read_bytes() == (PROJECT / "notebooks" / "02_demand.ipynb").read_bytes()
    mine.write_text("mine")
    demo = tmp_path / "work" / "data" / "demo"
    shipped = {path.name for path in (PROJECT / "data" / "demo").iterdir() if not path.name.startswith("records")}
    assert {path.name for path in demo.iterdir()} == shipped
    with pytest.raises(SettingsError, match="holds .*02_demand.ipynb.* already; nothing was written"):
        lay_out(tmp_path / "work")
    assert mine.read_text() == "mine"


def test_the_notebooks_travel_with_the_package() -> None:
    """Every notebook lies inside the package, by a link, and a pattern of the package's data takes it along."""
    settings = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    packaged = {path for like in settings["package-data"]["sopkit"] for path in (PROJECT / "sopkit").glob(like)}
    for path in (PROJECT / "notebooks").rglob("*.ipynb"):
        assert PROJECT / "sopkit" / path.relative_to(PROJECT) in packaged
