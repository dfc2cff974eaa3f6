"""A stranger checks who signed what with sha256sum and ssh-keygen alone."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from small_company import CYCLE

from sopkit import files
from sopkit.cycle import Cycle, signatures, versions
from sopkit.errors import SettingsError
from sopkit.records import Records

NEXT = "2026-02"

pytestmark = pytest.mark.skipif(not shutil.which("ssh-keygen"), reason="no ssh-keygen on this machine")


@pytest.fixture
def published(published_bags: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the second of two cycles that Greta decided and published with her key."""
    for name, place in (("DATA", "data"), ("REPORTS", "reports"), ("SSH_KEY", "key")):
        monkeypatch.setenv(f"SOPKIT_{name}", str(published_bags / place))
    monkeypatch.delenv("SOPKIT_RECORDS", raising=False)
    return published_bags / "reports" / "bags" / NEXT


@pytest.fixture
def signed(acme: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a cycle that Ada Brandt signed with her key."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "key"], check=True)
    cycle = Cycle.open("acme", "2026-11", stage="collect")
    key = (tmp_path / "key.pub").read_text().strip()
    people = {
        "name": ["Ada Brandt", "Jon Okafor"],
        "role": ["planner"] * 2,
        "may_sign": ["collect"] * 2,
        "ssh_key": [key, ""],
    }
    cycle.save({"families": pd.DataFrame({"family": ["TENTS"], "name": ["Tents"]}), "people": pd.DataFrame(people)})
    cycle.mark("collect", "done")
    opened = Cycle.open("acme", "2026-11")
    with pytest.raises(SettingsError, match="Ada Brandt signs with an SSH key .* SOPKIT_SSH_KEY names no key file"):
        signatures.key_of(opened, "Ada Brandt")
    assert signatures.key_of(opened, "Jon Okafor") is None
    monkeypatch.setenv("SOPKIT_SSH_KEY", str(tmp_path / "key"))
    number = opened.sign("collect", by="Ada Brandt")
    signatures.attest(opened, "collect", by="Ada Brandt", number=number, key=signatures.key_of(opened, "Ada Brandt"))
    assert opened.verify() == opened.verify() == []
    return opened.folder


def stock(folder: Path, command: str) -> bool:
    """Whether a command of stock tools succeeds in the folder."""
    return subprocess.run(["sh", "-ec", command], cwd=folder, capture_output=True).returncode == 0


VERIFY = (
    "ssh-keygen -Y verify -f allowed_signers -I {} -n sopkit -s signatures/0001-collect.json.sig"
    " < signatures/0001-collect.json"
)
SUMS = "sha256sum -c --strict signatures/0001-collect.sha256"
NAMED = 'grep -q "$(sha256sum < signatures/0001-collect.sha256 | cut -d" " -f1)" signatures/0001-collect.json'


def test_a_stranger_checks_a_signature_with_stock_tools_only(signed: Path) -> None:
    assert stock(signed, VERIFY.format("ada.brandt")) and stock(signed, SUMS) and stock(signed, NAMED)
    assert not stock(signed, VERIFY.format("jon.okafor"))
    listed = (signed / "signatures" / "0001-collect.sha256").read_text()
    for name in ("tables/families.parquet", "tables/people.parquet", "snapshot/company.yaml", "allowed_signers"):
        assert f"  {name}\n" in listed
    statement = json.loads((signed / "signatures" / "0001-collect.json").read_text())
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    about = statement["predicate"]
    assert (about["by"], about["role"], about["stage"], about["record"]) == ("Ada Brandt", "planner", "collect", 1)
    opened = Cycle.open("acme", "2026-11")
    assert about["planHash"] == opened.plan_hash("collect") and about["logHead"] == opened.records.head()


@pytest.mark.parametrize(
    ("name", "commands"),
    [
        ("tables/families.parquet", [SUMS]),
        ("signatures/0001-collect.sha256", [SUMS, NAMED]),
        ("signatures/0001-collect.json", [VERIFY.format("ada.brandt")]),
        ("signatures/0001-collect.json.sig", [VERIFY.format("ada.brandt")]),
        ("allowed_signers", [SUMS]),
    ],
)
def test_whatever_is_changed_a_stranger_and_we_find_it(signed: Path, name: str, commands: list[str]) -> None:
    path = signed / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    assert not all(stock(signed, command) for command in commands)
    opened = Cycle.open("acme", "2026-11")
    assert opened.verify() + opened.verify()


def test_a_log_that_was_cut_is_found_by_who_kept_the_statement(signed: Path) -> None:
    """The head in a statement is an event of the log for ever after."""
    kept = json.loads((signed / "signatures" / "0001-collect.json").read_text())["predicate"]["logHead"]
    opened = Cycle.open("acme", "2026-11")
    opened.records.log("stage", "demand", author="runner", cycle="2026-11", state="done", plan_hash="x")
    assert opened.records.head() != kept and kept in set(opened.records.events()["sha256"])


# a published folder -------------------------------------------------------------------------------------------------
QUESTION = "Do we work overtime in March?"


def test_a_stranger_checks_a_published_folder_with_stock_tools_only(published: Path) -> None:
    """Who decided and published what, every file, and that nothing but signatures lies beside them."""
    (listed,) = sorted((published / "signatures").glob("*-published.sha256"))
    stem = listed.name.removesuffix(".sha256")
    assert stock(published, f"sha256sum -c --strict signatures/{stem}.sha256")
    assert stock(published, f'grep -q "$(sha256sum < signatures/{stem}.sha256 | cut -d" " -f1)" signatures/{stem}.json')
    for name in (stem, "0001-decision"):
        verify = f"ssh-keygen -Y verify -f allowed_signers -I greta -n sopkit -s signatures/{name}.json.sig"
        assert stock(published, f"{verify} < signatures/{name}.json")
        assert not stock(published, f"sed s/Greta/Ada/ signatures/{name}.json | {verify}")
    found = "find . -type f ! -name '.*' ! -path './signatures/*' | cut -c3- | sort"
    assert stock(published, f'test "$({found})" = "$(cut -c67- signatures/{stem}.sha256 | sort)"')
    names = {line[66:] for line in listed.read_text().splitlines()}
    assert {"manifest.json", "plan.html", "plan.xlsx", "allowed_signers", "tables/supply_plan.parquet"} <= names
    about = json.loads((published / "signatures" / f"{stem}.json").read_text())["predicate"]
    assert (about["by"], about["role"], about["stage"], about["deed"]) == ("Greta", "director", "publish", "published")
    assert [(one["question"], one["option"]) for one in about["decision"]] == [(QUESTION, "overtime")]
    opened = Cycle.open("bags", NEXT)
    assert about["planHash"] == opened.plan_hash() and opened.verify() == []
    events = opened.records.events()
    assert about["logHead"] == events["sha256"].iloc[-1] and about["logHeadBefore"] == events["sha256"].iloc[-2]
    last = Cycle.open("bags", CYCLE).manifest["frozen"]["log_head"]
    assert about["lastCycle"] == {"cycle": CYCLE, "logHead": last} and last in set(events["sha256"])


def test_a_log_that_was_cut_or_put_back_is_found_against_the_last_pack(published: Path, tmp_path: Path) -> None:
    """The pack names a head; the same chain without its last events, or an older copy, does not hold it."""
    said = (published / "plan.html").read_text(encoding="utf-8")
    named = re.search(r"Head of the event log when this page was made: ([0-9a-f]{64})", said)
    assert named
    opened = Cycle.open("bags", NEXT)
    assert opened.verify(named[1]) == opened.verify(named[1].upper()) == []
    (other,) = opened.verify("0" * 64)
    assert "does not contain 0000" in other and "Bring back the copy" in other
    with pytest.raises(SettingsError, match="'abc' is no head of an event log"):
        opened.verify("abc")
    path = published.parents[2] / "data" / "bags" / "records.sqlite"
    whole = path.read_bytes()
    with sqlite3.connect(path) as base:
        for table in ("events", "decisions"):
            base.execute(f"DROP TRIGGER {table}_no_delete")
        base.execute("DELETE FROM events WHERE cycle = ?", [NEXT])
        base.execute("DELETE FROM decisions WHERE cycle = ?", [NEXT])
        base.execute(
            "CREATE TRIGGER events_no_delete BEFORE DELETE ON events "
            "BEGIN SELECT RAISE(ABORT, 'records are never changed: supersede them'); END"
        )
        base.execute(
            "CREATE TRIGGER decisions_no_delete BEFORE DELETE ON decisions "
            "BEGIN SELECT RAISE(ABORT, 'records are never changed: supersede them'); END"
        )
    base.close()
    assert Records.of("bags").verify() == [], "the chain alone cannot tell"
    found = Cycle.open("bags", NEXT).verify(named[1])
    path.write_bytes(whole)
    assert any(f"does not contain {named[1]}" in line for line in found)
    assert any("-published.json names a head that the event log does not contain" in line for line in found)
    assert any("the head that manifest.json names at stage publish" in line for line in found)
    assert Cycle.open("bags", NEXT).verify() == []


def test_what_is_put_into_a_published_folder_is_found(published: Path) -> None:
    for path in (published / "extra.txt", published / "signatures" / "0009-demand.json.sig"):
        path.parent.chmod(0o755)
        path.write_text("x")
        (found,) = Cycle.open("bags", NEXT).verify()
        path.unlink()
        path.parent.chmod(0o555)
        assert path.name in found and ("is not in the manifest" in found or "its statement, is gone" in found)


def test_a_decision_that_makes_no_sense_is_not_recorded(published: Path) -> None:
    c = Cycle.open("bags", NEXT, stage="decide")
    before, said = c.records.head(), {"question": QUESTION, "option": "overtime", "reason": "r", "status": "approved"}
    for wrong, by, says in (
        ({"option": "overtme"}, "Greta", "did you mean 'overtime'"),
        ({"question": "Do we?"}, "Greta", "nobody asks 'Do we\\?'"),
        ({"reason": " "}, "Greta", "without a reason"),
        ({}, "Ada", "Ada may not decide. Those who may: Greta"),
        ({}, "Gretel", "did you mean 'Greta'"),
    ):
        with pytest.raises(SettingsError, match=says):
            signatures.decide(c, said | wrong, by=by)
    assert c.records.head() == before


# a kill while it is published ---------------------------------------------------------------------------------------


class KilledError(BaseException):
    """Stands for a SIGKILL: nothing of ours catches it."""


def test_a_kill_at_any_step_of_publishing_leaves_it_unfrozen_or_frozen_and_the_next_call_finishes(
    published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is written, protected, signed or logged: the n-th step does not happen, for every n."""
    for part in ("data", "reports"):
        shutil.copytree(published.parents[2] / part, tmp_path / part)
        monkeypatch.setenv(f"SOPKIT_{part.upper()}", str(tmp_path / part))
    c = Cycle.open("bags", NEXT)
    versions.begin(c, ["publish"], "a typing error")
    assert (published.name, "1") != (c.folder.name, c.manifest.get("version", 1)) and c.manifest["version"] == 2
    start, key = tmp_path / "start", signatures.key_of(c, "Greta")
    shutil.copytree(tmp_path / "data", start / "data")
    shutil.copytree(c.folder, start / "folder")
    steps, last = iter(()), []

    def counted(one: Callable[..., object]) -> Callable[..., object]:
        def step(*arguments: object, **more: object) -> object:
            if next(steps, None) is None:
                raise KilledError
            last.append(one)
            return one(*arguments, **more)

        return step

    for owner, name in ((files.Path, "replace"), (files.Path, "chmod"), (Records, "log"), (subprocess, "run")):
        monkeypatch.setattr(owner, name, counted(getattr(owner, name)))
    frozen, count = 0, 0
    while True:
        steps, last = iter(range(count)), []
        try:
            versions.freeze(c, "Greta", key)
            break
        except KilledError:
            steps = iter(range(10**6))
        manifest = Cycle.open("bags", NEXT).manifest  # readable after each kill
        frozen += "frozen" in manifest
        assert versions.half_frozen(c, "Greta") == ("frozen" in manifest)
        versions.freeze(c, "Greta", key)
        assert Cycle.open("bags", NEXT).verify() == [] and not c.folder.stat().st_mode & 0o222
        events = c.records.events(kind="publish", cycle=NEXT)
        assert [json.loads(body)["version"] for body in events["body"]] == [1, 2], "said once"
        versions._allow(c.folder)
        shutil.rmtree(c.folder)
        shutil.copytree(start / "folder", c.folder)
        (tmp_path / "data" / "bags" / "records.sqlite").write_bytes(
            (start / "data" / "bags" / "records.sqlite").read_bytes()
        )
        count += 1 if count < 12 else 10
    assert frozen and count > 12
