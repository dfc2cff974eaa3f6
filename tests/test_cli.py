"""The command line: what each command says, and with which exit code."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sopkit.cycle import Cycle
from sopkit.tables import TABLES

PROJECT = Path(__file__).resolve().parents[1]
DEMO = ("--company", "demo", "--cycle", "2026-11")


def sopkit(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line as a person does."""
    return subprocess.run([sys.executable, "-m", "sopkit", *arguments], cwd=PROJECT, capture_output=True, text=True)


def test_help_names_every_command() -> None:
    said = sopkit("--help")
    assert said.returncode == 0
    for command in ("new", "template", "check", "run", "status", "sign", "publish", "mails", "verify", "reproduce"):
        assert re.search(rf"\b{command}\b", said.stdout)
        assert sopkit(command, "--help").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("run", "--company", "dmeo", "--cycle", "2026-11"), 2, "did you mean 'demo'"),
        (("run", "--company", "demo", "--cycle", "11/2026"), 2, "is not a month. Write it like 2026-11"),
        (("run", *DEMO, "-p", "horizon"), 2, "is not name=value"),
        (("run", *DEMO, "-p", "engin=x"), 2, "did you mean 'engine'"),
        (("run", *DEMO, "--from", "suply"), 2, "did you mean 'supply'"),
        (("run", *DEMO, "--only", "suply"), 2, "did you mean 'supply'"),
        (("run", "--company", "demo"), 2, "--cycle"),
        (("sign", "demand", *DEMO, "--by", "Jon Okafor"), 2, "may not sign demand"),
        (("sign", "demand", *DEMO, "--by", "Ada Brant"), 2, "did you mean 'Ada Brandt'"),
        (("new", "../elsewhere"), 2, "cannot be the name of a folder"),
        (("new", "demo"), 2, "is not empty"),
        (("check", "--company", "dmeo", "--cycle", "2026-11"), 2, "did you mean 'demo'"),
        (("verify", "--company", "demo", "--cycle", "2031-01"), 1, "holds no cycle that was run"),
        (("reproduce", "--company", "demo", "--cycle", "2031-01"), 1, "holds no finished plan"),
    ],
)
def test_a_mistake_is_answered_in_words_without_a_traceback(
    own_run: Path, arguments: tuple[str, ...], code: int, says: str
) -> None:
    done = sopkit(*arguments)
    said = " ".join((done.stdout + done.stderr).split())
    assert done.returncode == code, said
    assert says in said and "Traceback" not in said


def test_a_new_company_gets_a_folder_that_check_understands(own_run: Path) -> None:
    made = sopkit("new", "acme", "--title", "Acme Tents")
    assert made.returncode == 0 and "sopkit check --company acme" in made.stdout
    assert (own_run / "data" / "acme" / "company.yaml").is_file()
    checked = sopkit("check", "--company", "acme", "--cycle", "2026-11")
    assert checked.returncode == 1 and "products" in checked.stdout and "Traceback" not in checked.stderr


def test_check_says_what_is_wrong_and_writes_nothing(own_run: Path, tmp_path: Path) -> None:
    assert sopkit("check", *DEMO).returncode == 0
    path = own_run / "data" / "demo" / "products.csv"
    path.write_text(path.read_text().replace("TENT-2P,", "TENT-2P,", 1) + path.read_text().splitlines()[1] + "\n")
    before = sorted((own_run / "reports").rglob("*"))
    findings = tmp_path / "findings.csv"
    done = sopkit("check", *DEMO, "--findings", str(findings))
    assert done.returncode == 1 and "products" in done.stdout and "duplicated key" in done.stdout
    assert "duplicated key" in findings.read_text()
    assert sorted((own_run / "reports").rglob("*")) == before


def test_the_template_has_a_sheet_a_table(tmp_path: Path) -> None:
    from python_calamine import CalamineWorkbook

    assert sopkit("template", str(tmp_path / "t.xlsx")).returncode == 0
    sheets = CalamineWorkbook.from_path(str(tmp_path / "t.xlsx")).sheet_names
    assert {"products", "sales_history", "capacity"} <= set(sheets)
    assert set(sheets) - set(TABLES) == {"instructions"}


def test_status_sign_and_verify_tell_one_story(own_run: Path) -> None:
    assert "event log is whole" in sopkit("verify", *DEMO).stdout
    signed = sopkit("sign", "supply", *DEMO, "--by", "Jon Okafor", "--note", "agreed")
    assert signed.returncode == 0 and "Jon Okafor signed supply" in signed.stdout
    status = sopkit("status", *DEMO).stdout.splitlines()
    assert max(len(line) for line in status if "sopkit " not in line) <= 100
    supply = next(line for line in status if line.startswith("supply "))
    assert " done " in supply and "Jon Okafor" in supply
    assert sopkit("verify", *DEMO).returncode == 0

    plan = Cycle.open("demo", "2026-11").folder / "plan.html"
    plan.write_text(plan.read_text(encoding="utf-8") + " ", encoding="utf-8")
    tampered = sopkit("verify", *DEMO)
    assert tampered.returncode == 1 and "plan.html is not the file that stage publish wrote" in tampered.stdout


def test_publishing_waits_until_nothing_before_it_is_stale(own_run: Path) -> None:
    cycle = Cycle.open("demo", "2026-11")
    cycle.records.add(
        "overrides",
        author="Ada Brandt",
        cycle="2026-11",
        first_month="2026-12",
        last_month="2026-12",
        action="add",
        amount=10,
        reason="a shop opens",
    )
    done = sopkit("publish", *DEMO)
    assert done.returncode == 2 and "demand (overrides: something new was recorded)" in done.stderr
    assert "demand" in sopkit("status", *DEMO).stdout


def test_the_pack_is_published_again_after_a_signature(own_run: Path) -> None:
    refused = sopkit("sign", "decide", *DEMO, "--by", "Greta Holm")
    assert refused.returncode == 1 and "undecided: " in refused.stderr and "--because REASON" in refused.stderr
    told = sopkit("sign", "decide", *DEMO, "--by", "Greta Holm", "--because", "the board meets on Monday")
    assert told.returncode == 0, told.stderr
    done = sopkit("publish", *DEMO)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^06 publish +\d+\.\d s$", done.stderr, re.MULTILINE), "a log gets a line a stage"
    assert "\r" not in done.stderr, "and no bar drawn over itself"
    place, head = done.stdout.strip().splitlines()[-2:]
    assert Path(place) == Cycle.open("demo", "2026-11").folder / "plan.html"
    assert re.search(r"event log, to be kept with the pack: [0-9a-f]{64}$", head)
    assert sopkit("verify", *DEMO).returncode == 0


def test_a_plan_is_reproduced_without_its_company(own_run: Path) -> None:
    shutil.rmtree(own_run / "data" / "demo")
    done = sopkit("reproduce", *DEMO)
    assert done.returncode == 0 and "the same, hash for hash" in done.stdout, done.stdout + done.stderr
