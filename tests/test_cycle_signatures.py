"""A stranger checks who signed what with sha256sum and ssh-keygen alone."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from sopkit.cycle import Cycle, signatures
from sopkit.errors import SettingsError

pytestmark = pytest.mark.skipif(not shutil.which("ssh-keygen"), reason="no ssh-keygen on this machine")


@pytest.fixture
def signed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a cycle that Ada Brandt signed with her key."""
    for part in ("data", "reports"):
        monkeypatch.setenv(f"SOPKIT_{part.upper()}", str(tmp_path / part))
    monkeypatch.delenv("SOPKIT_RECORDS", raising=False)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "key"], check=True)
    (tmp_path / "data" / "acme").mkdir(parents=True)
    (tmp_path / "data" / "acme" / "company.yaml").write_text("name: Acme\nhorizon: 3\n")
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
    assert opened.verify() == signatures.broken(opened) == []
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
    assert about["planHash"] == opened.plan_hash("collect") and about["logHead"] == signatures.head(opened)


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
    assert opened.verify() + signatures.broken(opened)


def test_a_log_that_was_cut_is_found_by_who_kept_the_statement(signed: Path) -> None:
    """The head in a statement is an event of the log for ever after."""
    kept = json.loads((signed / "signatures" / "0001-collect.json").read_text())["predicate"]["logHead"]
    opened = Cycle.open("acme", "2026-11")
    opened.records.log("stage", "demand", author="runner", cycle="2026-11", state="done", plan_hash="x")
    assert signatures.head(opened) != kept and kept in set(opened.records.events()["sha256"])
