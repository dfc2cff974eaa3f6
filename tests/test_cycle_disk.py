"""A disk that is full at any write, a folder that may not be written, files that are cut, empty or of another kind."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytest
import sqlalchemy as sa

from sopkit.cycle import Cycle, versions
from sopkit.errors import SettingsError, SopkitError
from sopkit.records import Records
from sopkit.tables import TABLES

PROJECT = Path(__file__).resolve().parents[1]
FAMILIES = pd.DataFrame({"family": ["TENTS", "BAGS"], "name": ["Tents", "Bags"]})
PEOPLE = pd.DataFrame({"name": ["Ada"], "role": ["planner"], "may_sign": ["collect publish"]})


@pytest.fixture
def collected(acme: Path) -> Cycle:
    """A small cycle: collected, with a file beside the tables, and what freezing asks for."""
    (acme / "scenarios.yaml").write_text("{}\n")
    (acme / "decisions.yaml").write_text("[]\n")
    seen("collect").save({"families": FAMILIES, "people": PEOPLE})
    seen("collect").mark("collect", "done")
    row = {column.name: "x" for column in TABLES["decision_log"] if column.required}
    seen("decide").save({"decision_log": pd.DataFrame([row | {"status": "approved"}])})
    seen("decide").mark("decide", "done")
    seen("publish").write_file("plan.html", "<p>plan")
    seen("publish").mark("publish", "done")
    return seen(None)


def seen(stage: str | None) -> Cycle:
    return Cycle.open("acme", "2026-11", stage=stage)


def kept(folder: Path) -> dict[str, bytes]:
    """What a reader finds in the folder: all but hidden files."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name[0] != ".")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


DEEDS: dict[str, Callable[[], object]] = {
    "a stage saves": lambda: seen("collect").save({"families": FAMILIES.head(1), "people": PEOPLE}),
    "a file is written": lambda: seen("publish").write_file("plan.html", "<p>another"),
    "answers are taken": lambda: seen("decide").answers(),
    "a stage begins": lambda: seen(None).mark("decide", "running"),
    "a stage ends": lambda: seen(None).mark("publish", "done"),
    "it is published": lambda: versions.freeze(seen(None), "Ada"),
}


@pytest.mark.parametrize("deed", DEEDS)
def test_a_disk_full_at_any_write_leaves_what_was_there_and_says_the_cure(
    collected: Cycle, monkeypatch: pytest.MonkeyPatch, deed: str
) -> None:
    (collected.folder.parents[2] / "data" / "acme" / "decisions.yaml").write_text("[]  # again\n")
    before, write, left = kept(collected.folder), Path.write_bytes, [0]

    def full(path: Path, content: bytes) -> int:
        left[0] -= 1
        if left[0] < 0:
            write(path, content[: len(content) // 2])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    for writes in range(100):
        left[0] = writes
        try:
            DEEDS[deed]()
            break
        except SettingsError as error:
            said = str(error)
            assert "No space left on device. Free some space there, then run the same command again." in said
            assert said.count("\n") == 0 and str(collected.folder) in said
        if deed != "it is published":  # several steps, each of which is whole
            assert kept(collected.folder) == before
        monkeypatch.setattr(Path, "write_bytes", write)
        assert seen(None).verify() == []
        monkeypatch.setattr(Path, "write_bytes", full)
    assert writes and not [path for path in collected.folder.rglob(".*") if path.suffix != ".lock"], "nothing half"
    monkeypatch.setattr(Path, "write_bytes", write)
    if deed == "a stage saves":
        seen("collect").mark("collect", "done")
    assert seen(None).verify() == []


def test_records_on_a_full_disk_are_a_sentence_and_the_chain_stays_whole(tmp_path: Path) -> None:
    """SQLite itself says that the disk is full: its file may not grow."""
    records = Records(f"sqlite:///{tmp_path / 'records.sqlite'}", "demo")
    records.log("stage", "collect", author="runner", cycle="2026-11")
    records.engine.dispose()
    sa.event.listen(records.engine, "connect", lambda base, _: base.execute("PRAGMA max_page_count = 1"))
    for _ in range(60):
        before = len(records.events())
        try:
            records.log("stage", "collect", author="runner" * 50, cycle="2026-11")
        except SettingsError as error:
            assert "database or disk is full. Nothing was recorded. Free some space there" in str(error)
            break
    else:
        pytest.fail("the file grew")
    assert len(records.events()) == before and records.verify() == []


@contextmanager
def somebody_else(folder: Path) -> Iterator[None]:
    """What happens inside is done by a user who may read `folder` and not write to it."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    if os.geteuid() == 0:  # nothing is read-only for root
        os.seteuid(65534)
    try:
        yield
    finally:
        if os.getuid() == 0:
            os.seteuid(0)
        for path in (folder, *folder.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)


@pytest.mark.parametrize("deed", DEEDS)
def test_a_folder_that_may_not_be_written_is_a_sentence(
    collected: Cycle, monkeypatch: pytest.MonkeyPatch, deed: str
) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as place:
        for part in ("data", "reports"):
            shutil.copytree(collected.folder.parents[2] / part, Path(place) / part)
            monkeypatch.setenv(f"SOPKIT_{part.upper()}", f"{place}/{part}")
        before = kept(Path(place))
        with somebody_else(Path(place)), pytest.raises(SettingsError) as refused:
            DEEDS[deed]()
        assert "Ask for the right to" in str(refused.value) and "\n" not in str(refused.value)
        assert kept(Path(place)) == before


REALLY_FULL = """
import sys
from pathlib import Path
import pandas as pd
from sopkit.cycle import Cycle
rows, wrong = 200, ""
while not wrong:
    try:
        names = [f"{rows:X}{n:08X}{n * 7919 % 65537}" for n in range(rows)]
        families = pd.DataFrame({"family": names, "name": names})
        Cycle.open("acme", "2026-11", stage="collect").save({"families": families})
        rows *= 2
    except Exception as error:
        wrong = f"{type(error).__name__}: {error}"
opened = Cycle.open("acme", "2026-11")
print(wrong, len(opened.read("families")), [line for line in opened.verify() if "event log" not in line], sep="|")
"""


def test_a_disk_that_is_really_full(tmp_path: Path) -> None:
    """A file system of 300 kB of our own, without being root."""
    (tmp_path / "data" / "acme").mkdir(parents=True)
    (tmp_path / "data" / "acme" / "company.yaml").write_text("name: Acme\nhorizon: 3\n")
    (tmp_path / "reports").mkdir()
    alone = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-ec"]
    mount = f"mount -t tmpfs -o size=300k none {tmp_path}/reports"
    if not shutil.which("unshare") or subprocess.run([*alone, mount], capture_output=True).returncode:
        pytest.skip("this machine gives nobody a file system of his own")
    env = {**os.environ, "SOPKIT_DATA": f"{tmp_path}/data", "SOPKIT_REPORTS": f"{tmp_path}/reports"}
    command = [*alone, f'{mount}; exec "$0" -c "$1"', sys.executable, REALLY_FULL]
    done = subprocess.run(command, env=env | {"PYTHONPATH": str(PROJECT)}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    wrong, rows, found = done.stdout.strip().splitlines()[-1].split("|")
    assert wrong.startswith("SettingsError: ") and "No space left on device. Free some space there" in wrong
    assert int(rows) >= 200 and found == "[]", "the last table that found room stands, whole"


# what is no file of ours --------------------------------------------------------------------------------------------
OTHERS = {
    "empty": lambda _: b"",
    "cut": lambda content: content[: len(content) // 2],
    "a list": lambda _: b"[]",
    "an object": lambda _: b"{}",
    "no text": lambda _: b"\xff\xfe\x00\x81" * 9,
    "a number": lambda _: b"7",
}


@pytest.mark.parametrize("other", OTHERS)
def test_a_foreign_file_in_a_published_folder_is_a_sentence_and_verify_names_it(
    published_bags: Path, monkeypatch: pytest.MonkeyPatch, other: str
) -> None:
    for name, place in (("DATA", "data"), ("REPORTS", "reports"), ("SSH_KEY", "key")):
        monkeypatch.setenv(f"SOPKIT_{name}", str(published_bags / place))
    folder = published_bags / "reports" / "bags" / "2026-02"
    names = [name for name in kept(folder) if not name.startswith("tables/")]
    for name in [*names, "tables/products.parquet", "tables/supply_plan.parquet"]:
        whole = (folder / name).read_bytes()
        (folder / name).chmod(0o644)
        (folder / name).write_bytes(OTHERS[other](whole))
        try:
            found = Cycle.open("bags", "2026-02").verify()
            assert found and any(name in line for line in found), (name, found)
            for ask in (lambda c: c.status(), lambda c: c.plan, lambda c: c.stale(), repr):
                try:
                    ask(Cycle.open("bags", "2026-02"))
                except SopkitError as error:
                    assert str(error)
        finally:
            (folder / name).write_bytes(whole)
            (folder / name).chmod(0o444)
