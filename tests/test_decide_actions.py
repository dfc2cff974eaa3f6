"""Actions: recorded word by word, the last one stands; late is said; mails and calendars are drafted, never sent."""

from __future__ import annotations

from email import message_from_bytes, policy
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from sopkit import cli
from sopkit.book import Book, actions, workflow
from sopkit.book.signed import signed_on
from sopkit.cycle import Cycle, followup
from sopkit.cycle.checklist import blocking
from sopkit.decide import figures
from sopkit.errors import RecordError, SettingsError, StageError
from sopkit.publish.figures import stages
from sopkit.publish.sections import review
from sopkit.tables import TABLES, Company

PEOPLE = pd.DataFrame({"name": ["Ada Brandt", "Jon Okafor"], "role": ["planner"] * 2, "may_sign": ["demand", "supply"]})


@pytest.fixture
def cycle(acme: Path) -> Cycle:
    """A collected cycle of a company of a few lines."""
    Cycle.open("acme", "2026-11", stage="collect").save({"people": PEOPLE})
    return Cycle.open("acme", "2026-11")


def test_the_last_word_stands_and_what_it_leaves_out_stays(cycle: Cycle) -> None:
    first = followup.note(cycle, by="Ada Brandt", what="Book the audit", assignees="Jon Okafor", due="2026-11-20")
    second = followup.note(
        cycle, by="Ada Brandt", what="Order poles", depends=str(first), about="offers ALU-TW 2027-02"
    )
    followup.note(cycle, by="Jon Okafor", action=first, status="done", comment="@Ada Brandt: booked; 5, \\ and\nmore")
    rows = actions.standing(cycle.read("actions"))
    assert rows.loc[first, ["what", "assignees", "status"]].to_list() == ["Book the audit", "Jon Okafor", "done"]
    assert rows.loc[first, "comments"].startswith("Jon Okafor: @Ada Brandt: booked")
    assert rows.loc[second, ["depends", "status", "about"]].to_list() == [str(first), "open", "offers ALU-TW 2027-02"]
    later = followup.note(cycle, by="Ada Brandt", what="Tell the shops", due="2026-11-20")
    rows = actions.standing(cycle.read("actions"))
    behind = actions.late(rows, pd.Timestamp("2026-12-01"))
    assert list(rows.index[behind]) == [later], "what is done is not late, what has no day neither"
    book = Book({"actions": cycle.read("actions")}, Company(name="Acme", horizon=3), "2026-12")
    assert "Tell the shops LATE" in figures.board(book).html and "1 late." in figures.board(book).look_for
    assert "◆" in figures.gantt(book).html and cycle.records.verify() == []


@pytest.mark.parametrize(
    ("fields", "error", "says"),
    [
        ({"what": "x", "assignees": "Jon Okafr"}, SettingsError, "'Jon Okafr' is not in table people: did you mean"),
        ({"what": "x", "depends": "7"}, SettingsError, "'7' is no action: there is none yet"),
        ({"action": 3, "status": "done"}, SettingsError, "'3' is no action"),
        ({"assignees": "Jon Okafor"}, SettingsError, "tells what is to be done"),
        ({"what": "x", "status": "finished"}, RecordError, "status"),
        ({"what": "x", "due": "soon"}, RecordError, "is no date"),
    ],
)
def test_what_makes_no_sense_is_one_sentence_and_nothing_is_recorded(cycle, fields, error, says) -> None:
    with pytest.raises(error, match=says):
        followup.note(cycle, by="Ada Brandt", **fields)
    assert cycle.read("actions").empty


def test_mails_and_calendars_are_drafted_for_each_person(cycle: Cycle, tmp_path: Path) -> None:
    what = "Audit; the line, and a very long text that does not fit into one line of a calendar: " + "ä" * 40
    followup.note(cycle, by="Ada Brandt", what=what, assignees="Jon Okafor, Ada Brandt", due="2026-11-20")
    followup.note(cycle, by="Ada Brandt", what="Nobody's")
    made = followup.drafts(cycle, tmp_path / "out")
    assert [path.name for path in made] == ["Ada_Brandt.eml", "Ada_Brandt.ics", "Jon_Okafor.eml", "Jon_Okafor.ics"]
    mail = message_from_bytes(made[2].read_bytes(), policy=policy.default)
    assert mail["X-Unsent"] == "1" and "Audit; the line" in mail.get_content()
    lines = made[3].read_bytes().split(b"\r\n")
    assert all(len(line) <= 75 for line in lines) and b"DUE;VALUE=DATE:20261120" in lines
    assert "SUMMARY:Audit\\; the line\\, and a" in b"".join(lines).replace(b"\r\n ", b"").decode()


def test_the_terminal_lists_adds_and_closes(cycle: Cycle) -> None:
    def typed(*words: str) -> str:
        done = CliRunner().invoke(cli.app, ["actions", "--company", "acme", "--cycle", "2026-11", *words])
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done.output

    assert "No action is recorded" in typed()
    with pytest.raises(SettingsError, match="give --by"):
        typed("--add", "Call the bank")
    assert "Action 1 is recorded" in typed("--add", "Call the bank", "--by", "Ada Brandt", "--due", "2026-11-12")
    typed("--action", "1", "--status", "done", "--by", "Ada Brandt")
    assert "Call the bank" in typed() and "done" in typed()


def test_a_plan_proposes_what_nobody_recorded_yet() -> None:
    row = {"option": "shift", "title": "Shift", "cycle": "2026-11", "question": "q", "reason": "r", "decided_by": "Ada",
           "owner": "Jon", "due": "2026-12", "changes": "{}", "reaches": "{}", "expected": 500}  # fmt: skip
    one = pd.DataFrame([row])
    book = Book.of({"adopted": one}, Company(name="Acme"), "2026-11")
    (only,) = actions.proposed(book).to_dict("records")
    assert (only["assignees"], only["origin"], only["effect"]) == ("Jon", "shift", "+500 EUR expected")
    known = TABLES["actions"].conform(pd.DataFrame([{"id": 1, "author": "Ada", "cycle": "2026-11", "recorded_at": "x",
                                                     "what": "w", "origin": "shift"}]))  # fmt: skip
    assert actions.proposed(book.with_tables({"actions": known})).empty


def test_a_stage_says_its_day_and_what_is_not_true_yet(cycle: Cycle, tmp_path: Path) -> None:
    """Working day 3 of November 2026 is Wednesday the 4th; a checklist is computed, or ticked by who may sign."""
    settings = tmp_path / "data" / "acme" / "company.yaml"
    settings.write_text(
        "name: Acme\nhorizon: 3\nworkflow: {demand: {owner: Ada Brandt, day: 3, ticks: [deals are in]}}\n"
    )
    collect = Cycle.open("acme", "2026-11", stage="collect")
    finding = {"table": "people", "row": 1, "rule": "r", "severity": "error", "fix": "f"}
    collect.save({"people": PEOPLE, "findings": TABLES["findings"].conform(pd.DataFrame([finding]))})
    cycle = Cycle.open("acme", "2026-11")
    assert cycle.status().set_index("stage").at["collect", "not true yet"] == "no finding stops the plan"
    book = Book({}, cycle.company, "2026-11")
    assert workflow.due(cycle.company, "2026-11", "demand") == pd.Timestamp("2026-11-04")
    assert pd.isna(workflow.due(cycle.company, "2026-11", "supply"))
    items = workflow.checklist(book, "demand")
    assert [item.holds for item in items if item.what == "deals are in"] == [False] and workflow.state(
        book, "demand", made=True, stale=False, signed=False
    ) == "made"
    with pytest.raises(SettingsError, match="did you mean 'deals are in'"):
        followup.tick(cycle, "demand", "deals are out", by="Ada Brandt")
    with pytest.raises(SettingsError, match="Jon Okafor may not tick for demand"):
        followup.tick(cycle, "demand", "deals are in", by="Jon Okafor")
    followup.tick(cycle, "demand", "deals are in", by="Ada Brandt")
    book = Book({"ticks": cycle.read("ticks")}, cycle.company, "2026-11")
    assert workflow.state(book, "demand", made=True, stale=False, signed=False) == "ready"
    assert workflow.state(book, "demand", made=True, stale=True, signed=True) == "stale"
    assert workflow.state(book, "demand", made=False, stale=False, signed=False) == "not started"


def test_what_is_not_true_is_signed_only_because_of_something(cycle: Cycle, tmp_path: Path) -> None:
    """It was once signed and only announced. The reason and what is not true stand in the record."""
    settings = tmp_path / "data" / "acme" / "company.yaml"
    settings.write_text("name: Acme\nhorizon: 3\nworkflow: {collect: {owner: Ada Brandt, ticks: [stock is counted]}}\n")
    people = PEOPLE.assign(may_sign="collect demand")
    opened = Cycle.open("acme", "2026-11", stage="collect")
    opened.save({"people": people})
    opened.mark("collect", "done")
    sign = ["sign", "collect", "--company", "acme", "--cycle", "2026-11", "--by", "Ada Brandt"]
    refused = CliRunner().invoke(cli.app, sign)
    assert isinstance(refused.exception, StageError) and "not ticked yet: stock is counted" in str(refused.exception)
    assert "--because REASON" in str(refused.exception) and cycle.records.read("sign_offs").empty
    left = blocking(Cycle.open("acme", "2026-11"))
    assert list(left.loc[left["stage"] == "collect", "what"]) == [
        "not ticked yet: stock is counted",
        "stage collect is not signed as it is",
    ]
    assert CliRunner().invoke(cli.app, [*sign, "--because", "the count is on Friday"]).exit_code == 0
    (note,) = cycle.records.read("sign_offs")["note"]
    assert note == "Signed because the count is on Friday, though not ticked yet: stock is counted."
    assert "collect" not in set(blocking(Cycle.open("acme", "2026-11"))["stage"])
    ticked = CliRunner().invoke(cli.app, [*sign, "--tick", "stock is counted"])
    assert ticked.exit_code == 0 and cycle.records.read("sign_offs")["note"].iloc[-1] == ""


def test_actions_of_earlier_cycles_are_judged() -> None:
    """Done, late by its day, at risk by what comes first or because nobody has begun, else on track."""

    def row(number: int, cycle: str, **more: str | int) -> dict:
        told = {"id": number, "author": "Ada", "cycle": cycle, "recorded_at": "x", "what": f"w{number}"}
        return told | more

    rows = [
        row(1, "2026-10", due="2026-10-20"),
        row(2, "2026-10", due="2026-12-20", depends="1", status="doing"),
        row(3, "2026-10", due="2026-11-20"),
        row(4, "2026-10", due="2026-11-20", status="doing"),
        row(5, "2026-10", due="2027-02-20"),
        row(6, "2026-10", due="2026-11-05"),
        row(7, "2026-11", action=6, status="done"),
        row(8, "2026-10", due="2026-12-01", depends="5", status="doing"),
        row(9, "2026-09", due="2026-09-20", status="done"),
        row(10, "2026-11", due="2026-11-20"),
    ]
    book = Book.of({"actions": pd.DataFrame(rows)}, Company(name="Acme"), "2026-11")
    assert actions.judged(book)["outcome"].to_dict() == {
        1: "late", 2: "at risk", 3: "at risk", 4: "on track", 5: "on track", 6: "done", 8: "at risk"
    }  # fmt: skip
    figure = figures.actions_judged(book)
    assert figure.look_for == "1 late, 3 at risk, 2 on track and 1 done."
    assert review(book)["headline"] and "late" in "".join(str(one.html) for one in review(book)["body"][:1])


def test_the_pack_shows_which_stage_is_stale(cycle: Cycle, tmp_path: Path) -> None:
    opened = Cycle.open("acme", "2026-11", stage="collect")
    opened.save({"people": PEOPLE})
    opened.mark("collect", "done")
    demand = Cycle.open("acme", "2026-11", stage="demand")
    demand.read("people")
    demand.save({"demand_plan": TABLES["demand_plan"].empty()})
    demand.mark("demand", "done")
    assert "collect" not in Cycle.open("acme", "2026-11").book.manifest["stale"]
    opened = Cycle.open("acme", "2026-11", stage="collect")
    opened.save({"people": PEOPLE.head(1)})
    opened.mark("collect", "done")
    figure = stages(Cycle.open("acme", "2026-11").book)
    assert figure.frame.set_index("stage").at["Demand", "state"] == "stale"
    assert figure.look_for.startswith("Stale, to be run again: demand")


def test_a_signature_is_in_time_by_the_day_on_which_it_was_given(cycle: Cycle, tmp_path: Path) -> None:
    """The day a stage is due is held against the day of the record; what nobody asked by a day is never late."""
    settings = tmp_path / "data" / "acme" / "company.yaml"
    settings.write_text("name: Acme\nhorizon: 3\nworkflow: {demand: {day: 3}, supply: {day: 3}}\n")
    Cycle.open("acme", "2026-11", stage="collect").save({"people": PEOPLE})
    cycle = Cycle.open("acme", "2026-11")
    rows = [
        ("collect", "2026-12-24T09:00:00+00:00", True),  # no day is set
        ("demand", "2026-11-03T09:00:00+00:00", False),  # before a change: it stands for other tables
        ("demand", "2026-11-04T23:59:00+00:00", True),  # on the day itself
        ("demand", "2026-11-09T09:00:00+00:00", True),  # signed twice
        ("supply", "2026-11-05T00:10:00+00:00", True),  # late
    ]
    given = pd.DataFrame([
        {"id": n, "cycle": "2026-11", "author": "Ada Brandt", "recorded_at": at, "stage": stage,
         "plan_hash": cycle.plan_hash(stage) if holds else "other"} for n, (stage, at, holds) in enumerate(rows)
    ])  # fmt: skip
    days = signed_on(given, "2026-11", cycle.manifest)
    assert days.to_dict() == {
        stage: pd.Timestamp(day)
        for stage, day in {"collect": "2026-12-24", "demand": "2026-11-04", "supply": "2026-11-05"}.items()
    }
    assert followup.in_time(cycle.company, "2026-11", days) == 2
    assert followup.in_time(cycle.company, "2026-11", days.head(0)) == 0
