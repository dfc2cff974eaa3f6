"""The controls of the six notebooks, driven without a browser or a kernel: what they say, store, refuse and mark."""

from __future__ import annotations

import re
import threading
from importlib import import_module
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import sopkit
from sopkit import collect, demand, workbench
from sopkit.book import actions, apply, load_scenarios
from sopkit.cli import app
from sopkit.cycle import Cycle, followup
from sopkit.cycle.checklist import blocking
from sopkit.decide import figures
from sopkit.supply import solve
from sopkit.workbench.forms import Shown
from sopkit.workbench.typed import SHEETS, TableDraft
from sopkit.workbench.what_if import LEVERS


def opened(stage: str) -> Cycle:
    """The demo cycle as the stage's notebook has it: its book was asked for."""
    cycle = Cycle.open("demo", "2026-11", stage=stage)
    cycle.book  # noqa: B018
    return cycle


def override(cycle: Cycle, amount: float, author: str = "Jon Okafor") -> int:
    """Another person's word on the tents of December."""
    said: dict[str, Any] = {"level": "product", "product": "TENT-2P", "action": "set", "amount": amount}
    months = {"first_month": "2026-12", "last_month": "2026-12"}
    return cycle.records.add("overrides", author=author, cycle=cycle.cycle, reason="fair", **said, **months)


# nothing stale is shown as fresh -------------------------------------------------------------------------------------


def test_a_figure_under_a_control_is_marked_from_when_something_moves_until_it_is_made_again() -> None:
    from sopkit import charts

    shown = Shown()
    shown.stale("nothing is shown yet")
    assert shown.value == ""
    shown.show(charts.nothing("Effect", "none"))
    assert "data-stale" not in shown.value and 'data-tables="" data-made="' in shown.value
    shown.stale('typed "since"')
    shown.stale("typed & moved")
    assert shown.value.count("data-stale") == 1 and '<figure data-stale="typed &amp; moved" ' in shown.value
    shown.show(charts.nothing("Effect", "none"))
    assert "data-stale" not in shown.value
    assert "data-made" not in charts.nothing("Effect", "none").html, "the pack is the same in every run"


def test_figures_are_stale_when_others_store_when_they_plan_again_and_when_this_notebook_does(own_run: Path) -> None:
    mine, other = opened("demand"), opened("demand")
    sheet = workbench.consensus_sheet(mine)
    fresh = sheet.fresh
    fresh._asked()
    assert fresh.stale == {} and fresh.since == {} and fresh.answered == 1

    override(other, 40)
    fresh._asked()
    assert fresh.stale["demand_plan"].startswith("overrides: something new was recorded. Carry on")
    assert "supply_plan" in fresh.stale and "sales_history" not in fresh.stale
    assert "Jon Okafor stored set 40, Dec 2026: fair." in sheet.message.value and "fair" in sheet.recorded.value

    other.save(demand.plan(other.book, kept=other.kept))
    other.mark("demand", "done")
    fresh._asked()
    assert fresh.stale["demand_plan"] == "table demand_plan was made again elsewhere. Run the notebook again."
    assert fresh.stale["supply_plan"].startswith("demand_plan changed"), "and what follows from it"
    assert "baseline" not in fresh.stale, "what came out the same is as fresh as before"
    assert sheet.draft.cells("p:TENT-2P")[1][0] == "40", "nothing is typed here, so the sheet shows it"

    sheet.draft.enter([("p:TENT-2P", 2, "+7")])
    sheet.owner.value, sheet.reason.value = "Ada Brandt", "second shop"
    sheet.store.click()
    assert "demand_plan" not in fresh.stale and "demand_plan" in fresh.since and "baseline" not in fresh.since
    made = fresh.since["demand_plan"]
    override(other, 50)
    sheet.draft.enter([("p:TENT-2P", 3, "+9")])
    fresh._asked()
    assert "your draft is kept" in sheet.message.value and sheet.draft.entries and fresh.since["demand_plan"] == made


def test_carrying_on_says_what_changed(own_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    after = workbench.carry_on(opened("demand"))
    before = after._measured()
    assert set(before["measure"]) >= {"result", "fill rate"} and after.run.disabled
    after._before = before
    assert after._what_changed() == "The plan did not change." and after.changed.value == ""
    less = before.assign(value=before["value"].mask(before["measure"].eq("result"), before["value"] - 1000))
    after._before = less
    assert after._what_changed().startswith("What changed: result +1,000 EUR, service penalties ")
    assert "The plan before" in after.changed.value and "The plan now" in after.changed.value
    after._before = before.head(0)
    assert after._what_changed() == "The plan is made for the first time."


# 01: findings, corrections, history ----------------------------------------------------------------------------------


def test_a_finding_is_seen_in_its_file_corrected_there_and_gone_when_the_file_is_read_again(own_run: Path) -> None:
    capacity = own_run / "data" / "demo" / "capacity.csv"
    right = capacity.read_text()
    lines = right.splitlines()
    cells = lines[5].split(",")
    capacity.write_text("\n".join([*lines[:5], ",".join([*cells[:2], "-4", *cells[3:]]), *lines[6:]]))
    cycle = Cycle.open("demo", "2026-11", stage="collect")
    read = collect.collect(cycle.company_folder, cycle.cycle, carried=cycle.carried())
    browser = workbench.findings_browser(cycle, read)
    browser.severity.value = "error"
    assert [label for label, _ in browser.finding.options] == [
        "error · capacity, row 6 · hours -4 · must be at least 0"
    ]
    shown = browser.shown.value
    assert "The finding in its file: capacity.csv" in shown and "» -4 «" in shown
    for line in lines[2:5] + lines[6:9]:
        assert line.split(",")[2] in shown, "three rows before it and three after it"
    browser.contains.value = "overtime"
    assert not browser.finding.options and "No finding." in browser.message.value
    browser.contains.value = "HOURS"
    assert len(browser.finding.options) == 1
    capacity.write_text(right)
    browser.again.click()
    assert "one finding gone" in browser.message.value and "no error left" in browser.message.value
    assert not browser.collected.errors and read.errors == 1, "the cells below take what was read last"


def test_an_assumption_declared_in_the_notebook_has_an_owner_an_end_and_counts(own_run: Path) -> None:
    stock = own_run / "data" / "demo" / "stock_history.csv"
    stock.unlink()
    settings = (own_run / "data" / "demo" / "company.yaml").read_bytes()
    cycle = Cycle.open("demo", "2026-11", stage="collect")
    browser = workbench.findings_browser(
        cycle, collect.collect(cycle.company_folder, cycle.cycle, carried=cycle.carried())
    )
    asked = len(browser.collected.findings)
    assert (browser.collected.findings["table"] == "stock_history").any()
    browser.about.value = "stock_history"
    browser.store.click()
    assert "author is missing" in browser.message.value and "statement must be not empty" in browser.message.value
    browser.owner.value, browser.statement.value = "Jon Okafor", "No shelf was <b>ever</b> empty."
    browser.expires.index = 3
    browser.store.click()
    assert "Assumption 1 by Jon Okafor is declared; up to cycle Jan 2027." in browser.message.value
    assert "&lt;b&gt;" in browser.recorded.value and "<b>ever" not in browser.recorded.value
    assert len(browser.collected.findings) == asked - 1, "nobody asks for it any more"
    kept = browser.collected.snapshot()["assumptions"].set_index("assumption").loc["declared-1"]
    assert (kept["owner"], kept["table"], f"{kept['expires']:%Y-%m}") == ("Jon Okafor", "stock_history", "2027-01")
    assert (own_run / "data" / "demo" / "company.yaml").read_bytes() == settings, "the company's file is its own"
    later = cycle.records.read("declared_assumptions").assign(expires=pd.Timestamp("2026-10-01"))
    over = collect.collect(cycle.company_folder, cycle.cycle, carried={"declared_assumptions": later})
    assert "assumption declared-1 has expired" in set(over.findings["rule"])


def test_several_corrections_are_answered_at_once_another_quantity_for_one_only(own_run: Path) -> None:
    cycle = Cycle.open("demo", "2026-11", stage="collect")
    form = workbench.answer_form(cycle)
    waiting = len(form.correction.options)
    assert waiting >= 2 and len(form.correction.value) == 1
    form.correction.index = tuple(range(waiting))
    form.owner.value, form.reason.value, form.answer.value = "Ada Brandt", "asked the shops", "changed"
    assert form.quantity.disabled
    form.store.click()
    assert "Choose one correction to give another quantity" in form.message.value
    assert cycle.records.read("history_answers").empty
    form.answer.value = "refused"
    form.store.click()
    assert f"Answers 1 to {waiting} by Ada Brandt are stored" in form.message.value
    assert not form.correction.options and form.recorded.value.count("asked the shops") == waiting
    form.store.click()
    assert "Choose a correction first" in form.message.value


def test_history_is_typed_over_as_answers_with_a_reason_and_sales_stay(own_run: Path) -> None:
    cycle = Cycle.open("demo", "2026-11", stage="collect")
    sheet = workbench.history_sheet(cycle)
    line = next(one for one in sheet.draft.lines.values() if one.row.depth == 2 and one.stop - one.start > 1)
    sheet.store.click()
    assert "nothing is typed yet" in sheet.message.value
    assert not sheet.draft.enter([(line.row.id, 20, "77")])
    sheet.owner.value = "Ada Brandt"
    sheet.store.click()
    assert "reason is missing" in sheet.message.value and cycle.records.read("history_answers").empty
    sheet.reason.value = "two shops were not counted"
    sheet.store.click()
    assert "by Ada Brandt stored: two months of history" in sheet.message.value
    answers = cycle.read("history_answers")
    read = collect.collect(cycle.company_folder, cycle.cycle, carried=cycle.carried())
    counted = read.snapshot(answers)["clean_history"].merge(answers[["month", "product", "market"]])
    assert counted["quantity"].sum() == pytest.approx(77) and set(answers["answer"]) == {"changed"}
    before = cycle.read("clean_history").merge(answers[["month", "product", "market"]])
    assert counted["raw"].sum() == before["raw"].sum() != 77


# 03 and 04: tables typed over, scenarios -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", SHEETS)
def test_a_table_typed_over_is_a_change_that_a_scenario_can_hold(name: str) -> None:
    book, typed = sopkit.demo(), SHEETS[name]
    if book[typed.table].empty:
        pytest.skip(f"the demo brings no table {typed.table}")
    draft = TableDraft(book, typed)
    assert draft.change is None
    line = max(draft.lines.values(), key=lambda one: one.stop - one.start)
    was = draft._sums(draft.base, line)[0]
    assert not draft.enter([(line.row.id, 0, "+12")])
    change = draft.change
    assert change is not None and change.table == typed.table and change.rows
    after, _ = apply(book.tables, [change], "typed")
    key = [one for one in after[typed.table] if one in ("month", *draft.by)]
    both = book[typed.table].merge(after[typed.table], on=key, suffixes=("", "_after"))
    moved = both[f"{typed.column}_after"] - both[typed.column]
    assert moved.sum() == pytest.approx(12) and (was + 12) == pytest.approx(draft._sums(draft.now, line)[0])
    others = [one for one in book[typed.table] if one not in (*key, typed.column)]
    for column in others:
        assert both[column].equals(both[f"{column}_after"]), "nothing else of a row changes"
    draft.undo()
    assert draft.change is None and np.array_equal(draft.now, draft.base)


def test_a_cell_that_the_table_does_not_have_cannot_be_typed_over() -> None:
    book = sopkit.demo()
    capacity = book["capacity"]
    one = capacity["resource"].iloc[0]
    thin = book.with_tables({"capacity": capacity[(capacity["resource"] != one) | (capacity["month"] > book.first)]})
    draft = TableDraft(thin, SHEETS["hours"])
    assert draft.cells(f"t:{one}")[0] == ("", "locked", "")
    (refused,) = draft.enter([(f"t:{one}", 0, "100")])
    assert "table capacity has no row here" in refused.why
    (refused,) = draft.enter([(f"t:{one}", 1, "-9,999")])
    assert "takes more than the" in refused.why and "hours that are there" in refused.why


def test_a_shift_and_a_lane_can_be_changed_where_there_is_one(own_run: Path) -> None:
    cycle = opened("supply")
    panel = workbench.what_if(cycle)
    assert "lane" not in dict(panel.lever.options).values(), "no lane of the demo has a limit"
    panel.lever.value, panel.place.value, panel.percent.value = "shifts", "SEW-N", 1
    panel._solver.join()
    [change] = panel._changes()
    rows = pd.DataFrame(change.rows).assign(month=lambda frame: pd.to_datetime(frame["month"]))
    was = cycle.read("capacity").query("resource == 'SEW-N'").merge(cycle.read("calendar"), on="month")
    both = rows.merge(was, on="month", suffixes=("", "_was"))
    assert both["hours"].to_numpy() == pytest.approx((both["hours_was"] + 8 * both["working_days"]).to_numpy())
    assert "SEW-N shifts +1 shifts" in panel.shown.value
    load = panel.plan["resource_load"]
    gone = load["regular"] + load["overtime"] >= 0.995 * (load["available"] + load["overtime_limit"])
    was = int((gone & load["resource"].eq("SEW-N")).sum())
    row = re.search(r"Sewing line, Leipzig(.*?)</tr>", panel.limits.value, re.DOTALL)[1]
    assert was > 0 and re.findall(r">(\d+)<", row) == [str(was), "0"], "with a shift more its hours are never used up"
    limited = panel.tables["lanes"].assign(capacity=[500.0] + [None] * (len(panel.tables["lanes"]) - 1))
    panel.tables = panel.tables.with_tables({"lanes": limited})
    panel.lever.options = [(LEVERS["lane"].words, "lane")]
    assert [code for _, code in panel.place.options] == [limited["origin"].iloc[0]]


def test_what_takes_long_says_how_long_and_can_be_given_up(own_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cycle, going = opened("supply"), threading.Event()
    panel = workbench.what_if(cycle)
    panel.place.value, panel.percent.value = "SEW-N", 5
    panel._solver.join()
    solved = panel.shown.value
    slow, read = solve.matrix, threading.Event()

    def reads(model: object) -> object:
        read.set()
        going.wait()
        return slow(model)

    monkeypatch.setattr(solve, "matrix", reads)
    monkeypatch.setattr(import_module("sopkit.workbench.what_if"), "PATIENCE", 0.1)
    panel.percent.value = 50
    assert "This takes about" in panel.message.value and not panel.give_up.disabled
    read.wait()
    threading.Timer(0.2, going.set).start()
    panel.give_up.click()
    panel._solver.join()
    assert "Stopped: nothing has changed." in panel.message.value and panel.give_up.disabled
    assert "data-stale" in panel.shown.value and "data-stale" not in solved
    monkeypatch.setattr(solve, "matrix", slow)
    panel.percent.value = 10
    panel._solver.join()
    assert "Solved: result" in panel.message.value and "data-stale" not in panel.shown.value
    panel.percent.value = 5
    panel._solver.join()
    undated = [re.sub(r'="\d+\.\d+"', "", shown) for shown in (panel.shown.value, solved)]
    assert undated[0] == undated[1], "what was given up leaves no trace"


def test_the_lab_builds_keeps_solves_and_holds_options_against_events(own_run: Path) -> None:
    lab = workbench.scenario_lab(opened("reconcile"))
    assert lab.solve not in lab.children and lab.children.index(lab.chosen) > lab.children.index(lab.store)
    lab.take_sheet.click()
    assert not lab.place_of_sheet.children and not lab.listed.children
    lab.sheet_of.value = "hours"
    lab.take_sheet.click()
    assert "type into the sheet first" in lab.message.value
    lab.draft.enter([(lab.draft.rows[0].id, 1, "+50")])
    lab.take_sheet.click()
    assert [one.title for one in lab.listed.children] == ["hours of machines typed over: one cell, +50 hours"]
    lab.title.value, lab.owner.value = "More hours", "Ada Brandt"
    lab.store.click()
    assert "Kept as scenario more_hours" in lab.kept.value
    kept = load_scenarios(own_run / "data" / "demo" / "scenarios.yaml")["more_hours"]
    assert kept.kind == "option" and kept.changes[0].table == "capacity"

    lab.chosen.value = []
    lab.solve.click()
    assert "Choose a scenario first" in lab.progress.value
    lab.chosen.value = ["more_hours", "scouts_won"]
    lab.solve.click()
    lab._working.join()
    assert "Three plans solved." in lab.progress.value and lab.bar.value == 3 and lab.stop.disabled
    assert "More hours" in lab.compared.value and "Fill rate" in lab.compared.value
    assert "Options against events" in lab.held.value and "Nothing happens" in lab.held.value
    assert "data-stale" not in lab.compared.value
    lab._stop.set()  # what the button does, before the first plan is solved
    lab._work([("more_hours", "")], lab.known)
    assert "Stopped: 1 are not solved" in lab.progress.value
    lab.chosen.value = ["more_hours"]
    assert "data-stale" in lab.compared.value and "data-stale" in lab.held.value

    lab.futures.value = 20
    lab.sample.click()
    lab._working.join()
    assert "20 futures sampled" in lab.progress.value and "-p futures=20" in lab.progress.value
    told = ("Result after penalties in sampled", "Fill rate in sampled", "What moves the result", "What service costs")
    assert all(title in shown.value for title, shown in zip(told, lab.sampled, strict=True))
    assert "More hours" in lab.sampled[0].value and lab.bar.value == lab.bar.max and lab.stop.disabled
    lab.sample.click()
    lab.stop.click()
    lab._working.join()
    assert "Stopped: no future is shown." in lab.progress.value and not lab.sample.disabled


# 05 and 06: the decision room and what blocks publication ------------------------------------------------------------


def test_a_decision_keeps_dissent_and_expected_effect_and_the_options_stand_side_by_side(own_run: Path) -> None:
    cycle = opened("decide")
    room = workbench.decision_room(cycle)
    assert "Two questions to decide" in room.agenda.value and "Agenda" in room.agenda.value
    for place, asked in enumerate(room.questions):
        room.question.value = place
        assert asked.question in room.side.value.replace("&#x27;", "'")
    room.question.value = 0
    room.option.value, room.by.value = "second_shift", "Greta Holm"
    room.reason.value, room.expected.value = "keeps the tent season", "no late tents in May"
    room.dissent.value = "Jon Okafor: too <i>early</i>"
    room.store.click()
    log = cycle.read("decision_log").set_index("question").loc[room.questions[0].question]
    assert (log["dissent"], log["expected_effect"]) == ("Jon Okafor: too <i>early</i>", "no late tents in May")
    assert "&lt;i&gt;early" in room.shown.value and "<i>early" not in room.shown.value
    assert "One question to decide" in room.agenda.value
    assert "Dissent" in figures.log(cycle.book.with_tables({"decision_log": cycle.read("decision_log")})).html

    form = room.actions
    offered = {label: value for label, value in form.about.options}
    form.about.value = next(value for label, value in offered.items() if label.startswith("proposed: Bring into"))
    assert form.what.value.startswith("Bring into the company's tables: Evening shift") and form.who.value
    form.store.click()
    assert 'role="alert"' in form.message.value, "who records it is asked"
    form.by.value, form.due.value = "Ada Brandt", pd.Timestamp("2026-12-11").date()
    form.store.click()
    assert "Action 1 is stored" in form.message.value and "1. Bring into" in form.shown.value
    form.about.value = 1
    form.by.value, form.status.value, form.comment.value = "Ada Brandt", "done", "<b>it is there</b>"
    form.store.click()
    row = actions.standing(cycle.records.read("actions")).loc[1]
    assert (row["status"], row["due"]) == ("done", pd.Timestamp("2026-12-11")) and "it is there" in row["comments"]
    assert "<b>it is" not in form.shown.value

    room.sign.store.click()
    assert "Say who signs" in room.sign.message.value
    room.sign.by.value = "Greta Holm"
    cycle.mark("decide", "done")
    room.sign.store.click()
    assert "cannot be signed, undecided: " in room.sign.message.value
    room.sign.because.value = "the other question waits for the bank"
    room.sign.store.click()
    assert "Greta Holm signed stage decide as it is now" in room.sign.message.value


def test_one_list_says_what_blocks_publication_in_notebook_and_command_line(own_run: Path) -> None:
    cycle = opened("publish")
    checks = workbench.checklist(cycle)
    left = blocking(cycle)
    assert list(left["what"].str.startswith("undecided: ")).count(True) == 2
    for stage in ("demand", "supply", "reconcile", "decide"):
        assert f"stage {stage} is not signed as it is" in set(left["what"])
    told = CliRunner().invoke(app, ["status", "--company", "demo", "--cycle", "2026-11"]).stdout
    for row in left.to_dict("records"):
        assert row["what"] in told and row["next"] in told
    checks.sign.stage.value = "demand"
    checks.sign.by.value = "Ada Brandt"
    checks.sign.store.click()
    assert "not ticked yet: sales has confirmed the open deals" in checks.sign.message.value
    followup.tick(cycle, "demand", "sales has confirmed the open deals", by="Ada Brandt")
    checks.sign.store.click()
    assert "stage demand is not signed" not in checks.shown.value and len(blocking(cycle)) == len(left) - 2

    override(Cycle.open("demo", "2026-11", stage="demand"), 40)
    checks.fresh._asked()
    assert "stage demand is stale: overrides: something new was recorded" in checks.shown.value
    assert blocking(cycle)["stage"].iloc[0] == "demand", "what is first is done first"


# headless -------------------------------------------------------------------------------------------------------------


def test_headless_every_control_is_a_static_table_of_what_is_recorded(finished: Cycle) -> None:
    notebooks = sorted((finished.folder / "notebooks").glob("*.ipynb"))
    assert len(notebooks) == 6
    for path in notebooks:
        cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
        controls = [cell for cell in cells if re.search(r"workbench\.\w+\(c\b|^browse$|^change$", cell.source, re.M)]
        shown = [output.data for cell in controls for output in cell.outputs if "data" in output]
        assert shown, f"{path.name} has no control"
        for data in shown:
            assert set(data) == {"text/html", "text/plain"}, path.name
            assert "<h3>" in data["text/html"] and ("<figure" in data["text/html"] or "role=" in data["text/html"])
