"""Nothing that a person typed is lost or counted twice, and what cannot work is said before anything runs."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sopkit import cli, files
from sopkit.collect import check_company, collect, new_company, write_template
from sopkit.errors import SettingsError

CYCLE = "2026-11"


def test_a_filled_workbook_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "tables.xlsx"
    path.write_bytes(b"what a person typed")
    with pytest.raises(SettingsError, match="exists and was not touched"):
        write_template(path)
    assert path.read_bytes() == b"what a person typed"


def test_a_company_is_never_made_over_another(tmp_path: Path) -> None:
    new_company(tmp_path / "acme")
    before = {path: path.read_bytes() for path in (tmp_path / "acme").rglob("*") if path.is_file()}
    with pytest.raises(SettingsError, match="is not empty"):
        new_company(tmp_path / "acme")
    assert {path: path.read_bytes() for path in (tmp_path / "acme").rglob("*") if path.is_file()} == before


def test_findings_replace_findings_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "company.yaml").write_text("name: Acme\n")
    for _ in range(2):
        check_company(tmp_path, CYCLE, tmp_path / "findings.csv")
    typed = tmp_path / "families.csv"
    typed.write_text("family,name\nA,Alpha\n")
    with pytest.raises(SettingsError, match="holds no findings; nothing was written"):
        check_company(tmp_path, CYCLE, typed)
    assert typed.read_text() == "family,name\nA,Alpha\n"
    with pytest.raises(SettingsError, match="Correct the path"):
        check_company(tmp_path, CYCLE, tmp_path / "nowhere" / "findings.csv")


@pytest.mark.parametrize(
    ("name", "says"), [("no/such/place.xlsx", "Correct the path, or make the folder"), ("t.csv", "let it end in .xlsx")]
)
def test_a_bad_place_for_a_template_is_one_sentence(tmp_path: Path, name: str, says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        write_template(tmp_path / name)
    assert not list(tmp_path.iterdir())


# sums of repeated rows ----------------------------------------------------------------------------------------------
def orders(folder: Path, settings: str, **texts: str) -> list[dict]:
    (folder / "company.yaml").write_text("name: Acme\ntables:\n  sales_history:\n" + settings)
    for name, text in texts.items():
        (folder / f"{name}.csv").write_text(text)
    found = collect(folder, CYCLE).findings
    return found[found["table"].eq("sales_history") & ~found["rule"].str.contains("is not in")].to_dict("records")


HEAD = "order,month,product,market,quantity\n"
LINES = [f"{at},2026-0{1 + at % 9}-1{at % 9},P{at % 7},M,{at % 5 + 1}\n" for at in range(60)]
SUMMED = "    file: '{}'\n    sum_rows: true\n    ignore: [order]\n"


def test_the_same_export_twice_is_found(tmp_path: Path) -> None:
    text = HEAD + "".join(LINES)
    (found,) = orders(tmp_path, SUMMED.format("s_*.csv"), s_1=text, s_2=text)
    assert (found["value"], found["severity"]) == ("s_2.csv", "error")
    assert found["rule"] == "has the same content as s_1.csv"


def test_exports_that_overlap_are_found_with_the_file_and_the_row(tmp_path: Path) -> None:
    first, second = HEAD + "".join(LINES[:40]), HEAD + "".join(LINES[10:50])
    (found,) = orders(tmp_path, SUMMED.format("s_*.csv"), s_1=first, s_2=second)
    assert found["severity"] == "error" and found["row"] == 2 and "s_2.csv" in found["fix"]
    assert (
        found["rule"].startswith("30 of 40 rows repeat others with all their cells")
        and "row 12 of s_1.csv" in found["rule"]
    )


def test_repeated_rows_that_are_added_up_are_found(tmp_path: Path) -> None:
    (found,) = orders(tmp_path, SUMMED.format("s.csv"), s=HEAD + "".join(LINES + LINES[5:50]))
    assert (found["severity"], found["row"]) == ("error", 62) and found["rule"].startswith("45 of 105 rows")
    (few,) = orders(tmp_path, SUMMED.format("s.csv"), s=HEAD + "".join(LINES + LINES[5:8]))
    assert few["severity"] == "warning" and few["rule"].startswith("3 of 63 rows")


def test_rows_that_differ_only_in_a_column_that_is_not_needed_are_no_repeats(tmp_path: Path) -> None:
    lines = "".join(f"{at},2026-01-01,P,M,1\n" for at in range(100))
    assert orders(tmp_path, SUMMED.format("s.csv"), s=HEAD + lines) == []


# before anything runs -----------------------------------------------------------------------------------------------
def test_a_folder_that_takes_no_file_is_said_in_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "reports").write_text("a file where the folder should be")
    with pytest.raises(SettingsError, match=r"reports.* cannot be used: Not a directory\. "):
        files.refuse_unwritable(tmp_path / "reports" / "demo")

    def full(self: Path, content: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(SettingsError, match="No space left on device. Free some space there"):
        files.refuse_unwritable(tmp_path)


@pytest.mark.parametrize("engine", ["dask", "tcp:/8786"])
def test_an_unknown_engine_is_refused_before_collect_runs(tmp_path: Path, engine: str) -> None:
    new_company(tmp_path / "data" / "acme")
    env = os.environ | {"SOPKIT_DATA": str(tmp_path / "data"), "SOPKIT_REPORTS": str(tmp_path / "reports")}
    command = [sys.executable, "-m", "sopkit", "run", "--company", "acme", "--cycle", CYCLE, "--engine", engine]
    done = subprocess.run(command, env=env, capture_output=True, text=True, cwd=Path(__file__).parents[1])
    assert done.returncode == 2 and "is not an address; allowed: `local`" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1 and not (tmp_path / "reports").exists()


def test_a_disk_that_fills_up_ends_a_command_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    def full() -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(tmp_path / "manifest.json"))

    monkeypatch.setattr(cli, "app", full)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 1
    assert capsys.readouterr().err.endswith(
        "No space left on device. Free some space there, then run the same command again.\n"
    )
