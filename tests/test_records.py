"""Records: what people said is never lost, never changed, and never said without a reason."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateTable

from sopkit.errors import RecordError, SettingsError
from sopkit.records import EVENTS, SQL_TABLES, Records
from sopkit.tables import RECORDS, TABLES

PROJECT = Path(__file__).resolve().parents[1]
SAYS = """
import sys
from sopkit.records import Records
records = Records(sys.argv[1], "demo")
print("ready", flush=True)
for number in range(int(sys.argv[3])):
    said = records.add("overrides", author=sys.argv[2], cycle="2026-11", first_month="2026-12", last_month="2026-12",
                       action="add", amount=number, reason="to be kept")
    print(said, flush=True)
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Each test runs on both databases, each time on an empty one."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'records.sqlite'}"
    server = request.getfixturevalue("postgres")
    name = f"t{abs(hash(tmp_path)):x}"
    with sa.create_engine(server.replace("://", "+psycopg://"), isolation_level="AUTOCOMMIT").connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    return server.replace("/postgres?", f"/{name}?")


@pytest.fixture
def records(url: str) -> Records:
    """Empty records of company demo."""
    return Records(url, "demo")


def say(records: Records, **more: object) -> int:
    """Say an override, everything in it right unless `more` says otherwise."""
    fields = {
        "author": "Ada Brandt",
        "cycle": "2026-11",
        "product": "TENT-2P",
        "first_month": "2026-12",
        "last_month": "2027-01",
        "action": "add",
        "amount": 150,
        "reason": "second shop opens",
    }
    return records.add("overrides", **(fields | more))


def test_what_is_said_is_read_back_as_declared(records: Records) -> None:
    number = say(records, evidence="contract", expires="2027-02")
    frame = records.read("overrides", cycle="2026-11")
    TABLES["overrides"].check(frame)
    row = frame.iloc[0]
    assert (row["id"], row["author"], row["amount"], row["evidence"]) == (number, "Ada Brandt", 150.0, "contract")
    assert (row["first_month"], row["expires"]) == (pd.Timestamp("2026-12-01"), pd.Timestamp("2027-02-01"))
    assert records.verify() == []


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.name)
def test_every_declared_record_can_be_said_and_read(records: Records, record) -> None:
    about = ("id", "cycle", "author", "recorded_at")
    fields = {c.name: c.example for c in record if c.name not in (*about, "supersedes") and c.example is not None}
    fields |= {c.name: "2026-11" for c in record if c.kind == "month" and c.required}
    records.add(record.name, author="Ada Brandt", cycle="2026-11", **fields)
    frame = TABLES[record.name].check(records.read(record.name))
    for name, value in fields.items():
        if record[name].kind in ("text", "choice", "number"):
            assert frame[name].iloc[0] == value
    assert records.verify() == []


def test_empty_records_are_empty_tables_with_the_declared_kinds(records: Records) -> None:
    for record in RECORDS:
        read = records.read(record.name, cycle="2026-11")
        pd.testing.assert_frame_equal(read, record.empty(), check_index_type=False)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"reason": "  "}, "reason: is missing. Say why"),
        ({"author": ""}, "author: is missing. Name the person"),
        ({"raeson": "typo"}, "did you mean 'reason'"),
        ({"first_month": "2026-13"}, "'2026-13': is no date; allowed: a month like 2026-11"),
        ({"first_month": "2027-05"}, "is before first_month"),
        ({"action": "double"}, "allowed: one of add, set, scale"),
        ({"amount": float("nan")}, "amount"),
        ({"amount": float("inf")}, "amount"),
        ({"action": "scale", "amount": -1}, "may be negative only with action add"),
        ({"supersedes": 7}, "supersedes is '7': is no override; allowed: there is none yet"),
    ],
)
def test_a_wrong_override_is_refused_and_leaves_nothing(records: Records, wrong: dict, says: str) -> None:
    with pytest.raises(RecordError) as refused:
        say(records, **wrong)
    assert says in str(refused.value)
    assert records.read("overrides").empty and records.events().empty


def test_everything_wrong_is_said_at_once(records: Records) -> None:
    with pytest.raises(RecordError) as refused:
        say(records, author=" ", reason="", action="double", typo=1)
    assert len(refused.value.findings) == 4


def test_an_unknown_table_is_answered_with_the_nearest(records: Records) -> None:
    with pytest.raises(RecordError, match="did you mean 'overrides'"):
        records.add("override", author="Ada", cycle="2026-11")
    with pytest.raises(SettingsError, match="did you mean 'overrides'"):
        records.read("override")


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"quantity": None}, "quantity: is missing; allowed: a number of at least 0"),
        ({"quantity": -1}, "quantity is '-1.0': must be at least 0"),
        ({"answer": "refused"}, "quantity is '410': has no meaning here"),
        ({"answer": "maybe", "quantity": None}, "answer is 'maybe'"),
        ({"reason": " "}, "reason: is missing"),
    ],
)
def test_an_answer_that_could_be_read_in_two_ways_is_refused(records: Records, wrong: dict, says: str) -> None:
    fields = {
        "author": "Ada Brandt",
        "cycle": "2026-11",
        "month": "2025-06",
        "product": "TENT-2P",
        "market": "NORTH-RETAIL",
        "answer": "changed",
        "quantity": 410,
        "reason": "one order of a school",
    }
    with pytest.raises(RecordError) as error:
        records.add("history_answers", **(fields | wrong))
    assert says in str(error.value)
    assert records.read("history_answers").empty and records.events().empty
    assert records.add("history_answers", **fields) == 1


def test_overrides_are_superseded_and_expire_but_stay(records: Records) -> None:
    first = say(records)
    second = say(records, amount=200, supersedes=first)
    short = say(records, product="PACK-30", expires="2026-12")
    later = say(records, cycle="2027-01", product="STOVE")
    assert list(records.read("overrides", cycle="2026-11")["id"]) == [second, short]
    assert list(records.read("overrides", cycle="2027-01")["id"]) == [second, later]
    assert list(records.read("overrides")["id"]) == [first, second, short, later]


def test_companies_share_a_database_without_seeing_each_other(url: str) -> None:
    mine, theirs = Records(url, "demo"), Records(url, "other")
    assert say(mine) == say(theirs) == 1
    assert len(mine.read("overrides")) == len(theirs.events()) == 1
    assert mine.verify() == theirs.verify() == []


@pytest.mark.parametrize("table", [EVENTS, SQL_TABLES["overrides"]], ids=lambda table: table.name)
def test_the_database_itself_refuses_to_change_or_delete(records: Records, table: sa.Table) -> None:
    say(records)
    for deed in (table.update().values(author="somebody else"), table.delete()):
        with records.engine.connect() as connection, pytest.raises(sa.exc.DBAPIError, match="never changed"):
            connection.execute(deed)


def tamper(path: Path, *deeds: str) -> None:
    """Change an SQLite file behind its triggers' back."""
    with sqlite3.connect(path) as connection:
        for (trigger,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {trigger}")
        for deed in deeds:
            connection.executescript(deed)
    connection.close()


@pytest.mark.parametrize(
    ("deed", "says"),
    [
        ("UPDATE overrides SET amount = 999 WHERE id = 2", "overrides 2 is not what was logged"),
        ("DELETE FROM overrides WHERE id = 2", "overrides 2 was logged and is gone"),
        ("UPDATE events SET body = replace(body, '150', '999') WHERE number = 2", "event 2 (overrides"),
        ("DELETE FROM events WHERE number = 2", "event 2 is missing"),
        (
            "CREATE TEMP TABLE one AS SELECT * FROM overrides WHERE id = 1; UPDATE one SET id = 9; "
            "INSERT INTO overrides SELECT * FROM one",
            "overrides 9 was never logged",
        ),
    ],
)
def test_whoever_changes_the_file_is_found_out(tmp_path: Path, deed: str, says: str) -> None:
    records = Records(f"sqlite:///{tmp_path / 'r.sqlite'}", "demo")
    for _ in range(3):
        say(records)
    tamper(tmp_path / "r.sqlite", deed)
    assert any(says in line for line in records.verify())


def start(url: str, by: str, count: int) -> subprocess.Popen:
    """Another process that says `count` overrides and prints the number of each when it is acknowledged."""
    return subprocess.Popen(
        [sys.executable, "-c", SAYS, url, by, str(count)], stdout=subprocess.PIPE, text=True, cwd=PROJECT
    )


def test_no_acknowledged_record_is_lost_when_the_writer_is_killed(url: str) -> None:
    for already in (0, 15):
        writer = start(url, "Ada Brandt", 100_000)
        acknowledged = [writer.stdout.readline() for _ in range(16)][1:]
        writer.send_signal(signal.SIGKILL)
        acknowledged += writer.stdout.read().splitlines()
        writer.wait()
        records = Records(url, "demo")
        kept = set(records.read("overrides")["id"])
        assert {int(number) for number in acknowledged} <= kept
        assert len(kept) >= already + 15
        assert records.verify() == []


def test_two_writers_at_once_make_one_chain(url: str) -> None:
    writers = [start(url, name, 40) for name in ("Ada Brandt", "Mara Lind")]
    said = [int(number) for writer in writers for number in writer.communicate()[0].split()[1:]]
    assert all(writer.returncode == 0 for writer in writers)
    records = Records(url, "demo")
    assert sorted(said) == list(records.read("overrides")["id"]) == list(range(1, 81))
    assert list(records.events()["number"]) == list(range(1, 81))
    assert records.verify() == []


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("mysql+pymysql://ada:secret@somewhere/records", "not in mysql"),
        ("secret/records.db", "no database URL"),
        ("sqlite:////nowhere/at/all/records.sqlite", "unable to open database file"),
        ("postgresql://ada:secret@/records?host=/nowhere", "cannot be used"),
    ],
)
def test_a_database_that_cannot_be_used_is_said_without_the_password(url: str, says: str) -> None:
    with pytest.raises(SettingsError, match=says) as refused:
        Records(url, "demo")
    assert "SOPKIT_RECORDS" in str(refused.value) and "secret" not in str(refused.value)


OLD = """
CREATE TABLE events (company TEXT NOT NULL, number BIGINT NOT NULL, "at" TEXT NOT NULL, "by" TEXT NOT NULL,
  cycle TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, body TEXT NOT NULL, previous TEXT NOT NULL,
  sha256 TEXT NOT NULL, PRIMARY KEY (company, number));
CREATE TABLE history_answers (company TEXT NOT NULL, id BIGINT NOT NULL, cycle TEXT NOT NULL, "by" TEXT NOT NULL,
  "at" TEXT NOT NULL, month DATE NOT NULL, product TEXT NOT NULL, market TEXT NOT NULL, answer TEXT NOT NULL,
  quantity FLOAT, reason TEXT NOT NULL, PRIMARY KEY (company, id));
INSERT INTO history_answers VALUES ('demo', 1, '2026-11', 'Ada Brandt', '2026-11-05T09:12:44.000001+00:00',
  '2025-06-01', 'TENT-2P', 'NORTH-RETAIL', 'changed', 410.0, 'one order of a school');
INSERT INTO events VALUES ('demo', 1, '2026-11-05T09:12:44.000001+00:00', 'Ada Brandt', '2026-11', 'record',
  'history_answers', '{"answer": "changed", "at": "2026-11-05T09:12:44.000001+00:00", "by": "Ada Brandt", '
  || '"cycle": "2026-11", "id": 1, "market": "NORTH-RETAIL", "month": "2025-06-01", "product": "TENT-2P", '
  || '"quantity": 410.0, "reason": "one order of a school"}',
  '0000000000000000000000000000000000000000000000000000000000000000',
  'cab47d64e11ceabb0c9d538cb518689df2031f336facfa0ab74eaf27419a310c');
"""


def test_records_of_the_first_version_are_read_verified_and_continued(tmp_path: Path) -> None:
    """Its columns and event bodies are called `by` and `at`; tables of later versions are not there yet."""
    with sqlite3.connect(tmp_path / "records.sqlite") as connection:
        connection.executescript(OLD)
    connection.close()
    records = Records(f"sqlite:///{tmp_path / 'records.sqlite'}", "demo")
    row = records.read("history_answers", cycle="2026-11").iloc[0]
    assert (row["author"], row["recorded_at"][:10], row["quantity"]) == ("Ada Brandt", "2026-11-05", 410.0)
    assert records.read("overrides").empty and records.verify() == []
    say(records)
    assert list(records.read("overrides")["author"]) == ["Ada Brandt"] and records.verify() == []
    tamper(tmp_path / "records.sqlite", "UPDATE history_answers SET \"by\" = 'Jon Okafor'")
    assert records.verify() == ["history_answers 1 is not what was logged"]


def test_a_database_of_an_earlier_version_gets_the_columns_it_lacks_with_the_first_record(tmp_path: Path) -> None:
    """Reading changes nothing in it, what stands there stays as it was logged, and the chain goes on."""
    place = tmp_path / "records.sqlite"
    today = str(CreateTable(SQL_TABLES["decisions"]).compile(dialect=sqlite.dialect()))
    older = "".join(line for line in today.splitlines(keepends=True) if "plan_hash" not in line)
    with sqlite3.connect(place) as connection:
        connection.executescript(f"{OLD}{older};")
    connection.close()
    before = place.read_bytes()
    records = Records(f"sqlite:///{place}", "demo")
    assert records.read("decisions").empty and records.verify() == [] and place.read_bytes() == before
    asked = {"question": "Which?", "option": "base", "reason": "r", "status": "approved"}
    records.add("decisions", author="Greta Holm", cycle="2026-12", plan_hash="a" * 64, **asked)
    assert list(records.read("decisions")["plan_hash"]) == ["a" * 64] and records.verify() == []


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ada@/records?host=/nowhere&password=secret",
        "postgresql://ada@/records?host=/nowhere&PASSWORD=secret",
        "postgresql://ada:secret@nowhere.invalid/records?sslpassword=secret",
        "postgresql://ada@/records?host=/nowhere&passwrd=secret",
    ],
)
def test_no_form_of_the_url_puts_a_password_into_a_message(url: str) -> None:
    with pytest.raises(SettingsError, match="cannot be used") as refused:
        Records(url, "demo")
    assert "secret" not in str(refused.value) and refused.value.__cause__ is None


def test_a_file_that_is_no_database_is_said_in_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "records.sqlite"
    records = Records(f"sqlite:///{path}", "demo")
    say(records)
    content = path.read_bytes()
    path.write_bytes(b"no database at all" * 400)
    with pytest.raises(SettingsError, match="cannot be used: file is not a database"):
        records.read("overrides")
    path.write_bytes(content[: len(content) // 2])
    assert any("records" in line for line in records.verify())


def test_reading_makes_no_database(tmp_path: Path) -> None:
    records = Records(f"sqlite:///{tmp_path / 'records.sqlite'}", "demo")
    assert records.read("overrides").empty and records.events().empty and records.verify() == []
    assert not (tmp_path / "records.sqlite").exists()
    say(records)
    again = Records(f"sqlite:///{tmp_path / 'records.sqlite'}", "demo")
    before = (tmp_path / "records.sqlite").stat().st_mtime_ns
    assert len(again.read("overrides")) == 1 and again.verify() == []
    assert (tmp_path / "records.sqlite").stat().st_mtime_ns == before
