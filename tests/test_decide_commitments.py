"""What was adopted binds later cycles: as an overlay, until the company's tables contain it, it ends or is revoked."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_cycle import after_the_meeting, bags, decide, to_the_meeting
from typer.testing import CliRunner

from sopkit import decide as decided
from sopkit.book import Book, Change, Scenario, apply, commitments
from sopkit.cli import app
from sopkit.cycle import Cycle, followup
from sopkit.decide import figures
from sopkit.errors import RecordError, SettingsError
from sopkit.tables import TABLES, Company

FEB, MARCH = "2026-02", pd.Timestamp("2026-03-01")
MONTHS = pd.date_range("2026-02", periods=3, freq="MS")


def overtime(book: Book) -> float:
    return float(book["capacity"].query("month == @month", local_dict={"month": MARCH})["overtime_limit"].sum())


def state(cycle: str = FEB) -> pd.Series:
    return Cycle.open("bags", cycle).read("commitments").iloc[0]


@pytest.fixture(scope="module")
def january(tmp_path_factory) -> Path:
    """January has adopted thirty hours of overtime in March and was published."""
    root = tmp_path_factory.mktemp("january")
    with pytest.MonkeyPatch.context() as patch:
        for part in ("data", "reports"):
            patch.setenv(f"SOPKIT_{part.upper()}", str(root / part))
        patch.delenv("SOPKIT_RECORDS", raising=False)
        to_the_meeting(root, bags())
        decide("overtime")
        after_the_meeting()
    return root


@pytest.fixture
def adopted(january, own_place) -> Path:
    """A copy of January that a test may go on from."""
    for part in ("data", "reports"):
        shutil.copytree(january / part, own_place / part)
    return own_place


def test_what_was_adopted_is_carried_and_stands_on_page_one_of_the_next_pack(adopted):
    january = Cycle.open("bags", "2026-01").plan
    to_the_meeting(adopted, bags(FEB), FEB)
    plan = Cycle.open("bags", FEB).plan
    assert overtime(plan) == 40 and plan["supply_checks"]["holds"].all()
    row = state()
    assert (row["status"], row["decided_by"], row["until"]) == ("in force", "Greta", MARCH)
    gained = january["adopted_results"].set_index("measure")["difference"]
    assert row["expected"] == pytest.approx(gained["result"] - gained["service penalties"], abs=0.01)
    # it is in the base: nobody is asked again, and nobody can adopt it twice
    assert set(plan["scenario_results"]["scenario"]) == {"base", "weekend", "rush"}
    assert [one.options for one in decided.questions(plan)] == [["base", "weekend"]]
    decide("overtime", cycle=FEB)
    with pytest.raises(SettingsError, match="'overtime' was adopted in an earlier cycle and is in the plan already"):
        after_the_meeting(FEB)
    decide("base", cycle=FEB)
    notes = adopted / "data" / "bags" / "notes"
    notes.mkdir()
    (notes / f"{FEB}.md").write_text("# Talk\n**Greta** asks <script>alert(1)</script> [x](javascript:alert(2))\n")
    plan = after_the_meeting(FEB, pack=True)
    archive = (adopted / "reports" / "bags" / "index.html").read_text()
    assert f'href="{FEB}/plan.html"' in archive and "<strong>Greta</strong>" in archive and "on track" in archive
    assert "&lt;script&gt;alert(1)" in archive and "<script>alert" not in archive and "javascript:" not in archive
    html = (Cycle.open("bags", FEB).folder / "plan.html").read_text()
    assert html.index("What earlier meetings adopted") < html.index('id="summary"')
    assert "Thirty hours of overtime in March" in html and "Greta, Jan 2026" in html
    assert plan["decision_log"]["options"].item() == "base, weekend"
    judged = plan["decision_review"].set_index("option").loc["overtime"]
    without = Cycle.open("bags", FEB).plan.what_if("capacity", month="2026-03", column="overtime_limit", set=10)
    worth = [one.measures()["result"] - one.measures()["service penalties"] for one in (plan, without)]
    assert judged["seen"] == pytest.approx(worth[0] - worth[1]) and judged["outcome"] in ("on track", "at risk")
    # and it binds the month after, too, though nobody decided about it again; its last month over, it is gone by itself
    for month, due, status in (("2026-03", 40, "late"), ("2026-04", 0, "expired")):
        carried, of = Cycle.open("bags", month, stage="collect").carried(), Company(name="Bags", horizon=3)
        book = Book.of(bags(month), of, month)
        bound, _ = commitments.overlaid(book.tables, carried["commitments"], carried["closings"], of.months(month))
        assert (bound["commitments"]["status"].item(), overtime(book.with_tables(bound))) == (status, due)


def test_the_command_lists_what_binds_with_months_as_months_and_nothing_before_the_cycle_was_run(adopted):
    asked = ["commitments", "--company", "bags", "--cycle", FEB]
    refused = CliRunner().invoke(app, asked)
    assert isinstance(refused.exception, SettingsError) and "when it is run: sopkit run" in str(refused.exception)
    to_the_meeting(adopted, bags(FEB), FEB)
    told = CliRunner().invoke(app, asked).output.strip()
    assert told == "overtime: Thirty hours of overtime in March, Jan 2026, Tom, until Mar 2026: in force"


def test_tables_that_contain_it_are_noticed_and_a_person_who_may_closes_it(adopted):
    tables = bags(FEB)
    tables["capacity"].loc[tables["capacity"]["month"] == "2026-03", "overtime_limit"] = 40.0
    to_the_meeting(adopted, tables, FEB)
    assert overtime(Cycle.open("bags", FEB).plan) == 40, "not added twice"
    assert state()["status"] == "contained"
    c, why = Cycle.open("bags", FEB), "the table has the hours"
    with pytest.raises(SettingsError, match="Ada may not close what was decided"):
        followup.close(c, "overtime", "done", by="Ada", reason=why)
    with pytest.raises(SettingsError, match="did you mean 'overtime'"):
        followup.close(c, "overtme", "done", by="Greta", reason=why)
    with pytest.raises(RecordError, match="Say why"):
        followup.close(c, "overtime", "revoked", by="Greta", reason=" ")
    followup.close(c, "overtime", "done", by="Greta", reason=why)
    to_the_meeting(adopted, tables, FEB)
    assert (state()["status"], state()["note"]) == ("done", f"Greta: {why}")
    assert overtime(Cycle.open("bags", FEB).plan) == 40


def test_what_is_revoked_is_in_no_plan_any_more(adopted):
    to_the_meeting(adopted, bags(FEB), FEB)
    followup.close(Cycle.open("bags", FEB), "overtime", "revoked", by="Greta", reason="the shops cancelled")
    to_the_meeting(adopted, bags(FEB), FEB)
    plan = Cycle.open("bags", FEB).plan
    assert overtime(plan) == 10 and state()["status"] == "revoked"
    assert "overtime" in set(plan["scenario_results"]["scenario"]), "it can be chosen again"
    assert "the shops cancelled" in figures.commitments(plan).html
    assert [one.options for one in decided.questions(plan)] == [["base", "overtime", "weekend"]]


# laws of the overlay ---------------------------------------------------------------------------------------------


def left(scenario: Scenario, tables: dict[str, pd.DataFrame], due: str | None = None) -> pd.DataFrame:
    row = {"option": "o", "title": "T", "cycle": "2026-01", "question": "q", "reason": "r", "decided_by": "Greta",
           "owner": "Tom", "due": due, "changes": scenario.model_dump_json(exclude_defaults=True),
           "reaches": commitments.reaches(tables, scenario)}  # fmt: skip
    one = pd.DataFrame([row])
    one["cycle"], one["due"] = pd.to_datetime(one["cycle"]), pd.to_datetime(one["due"])
    return commitments.passed_on(TABLES["commitments"].empty(), TABLES["adopted"].conform(one))


def whole(tables: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    return dict(Book.of(tables, Company(name="t", horizon=3), FEB).tables)


NONE = TABLES["closings"].empty()
CHANGES = st.lists(
    st.one_of(
        st.builds(
            lambda month, column, how, by: {"table": "capacity", "where": {"month": month}, "column": column, how: by},
            st.sampled_from(["2026-02", "2026-02..2026-03", "2026-03..2026-04"]),
            st.sampled_from(["hours", "overtime_limit"]),
            st.sampled_from(["add", "scale", "set"]),
            st.sampled_from([0.5, 2.0, 7.0]),
        ),
        st.just({"table": "capacity", "rows": [{"resource": "LINE", "month": "2026-03", "hours": 55}]}),
        st.just({"table": "lanes", "rows": [{"origin": "PLANT", "destination": "PLANT", "cost": 1}]}),
        st.just({"table": "routings", "where": {"item": "B"}, "drop": True}),
        st.just({"table": "routings", "where": {"item": "A"}, "column": "hours", "add": 0.5}),
    ),
    min_size=1,
    max_size=1,
)


@settings(max_examples=25)
@given(changes=CHANGES)
def test_it_is_the_same_as_the_scenario_is_noticed_when_it_is_there_and_can_be_taken_out(changes):
    scenario, tables = Scenario(title="T", changes=[Change(**one) for one in changes]), whole(bags(FEB))
    carried = left(scenario, tables)
    bound, _ = commitments.overlaid(tables, carried, NONE, MONTHS)
    wanted, _ = apply(tables, scenario.changes, "T")
    for name, frame in wanted.items():
        pd.testing.assert_frame_equal(in_order(name, bound[name]), in_order(name, frame))
    again, found = commitments.overlaid({**bound, "commitments": NONE}, carried, NONE, MONTHS)
    assert again["commitments"]["status"].item() == "contained" and "Close it" in found[0].fix
    for name, frame in wanted.items():
        pd.testing.assert_frame_equal(in_order(name, again[name]), in_order(name, frame))
    if bound["commitments"]["status"].item() == "in force":
        back, _ = apply(bound, commitments.without(bound["commitments"].iloc[0]).changes, "back")
        for name, frame in tables.items():
            pd.testing.assert_frame_equal(in_order(name, back[name]), in_order(name, frame), rtol=1e-12)


def in_order(name: str, frame: pd.DataFrame) -> pd.DataFrame:
    return TABLES[name].conform(frame).sort_values(list(TABLES[name].key), ignore_index=True)


def test_what_fits_no_row_any_more_is_one_sentence_with_the_cure():
    tables = whole(bags(FEB))
    scenario = Scenario(
        title="T", changes=[Change(table="capacity", where={"resource": "LINE"}, column="hours", add=5)]
    )
    gone = {**tables, "capacity": tables["capacity"].assign(resource="LINE2")}
    bound, (found,) = commitments.overlaid(gone, left(scenario, tables), NONE, MONTHS)
    assert bound["commitments"]["status"].item() == "fits nothing" and bound["capacity"] is gone["capacity"]
    assert "changes nothing any more: it: table capacity has no resource 'LINE'" in found.rule
    assert "did you mean 'LINE2'" in found.rule and "--revoke o --by NAME --reason TEXT" in found.fix


def test_late_is_said_and_money_spent_once_is_not_spent_again():
    tables = whole(bags(FEB))
    change = Change(table="capacity", where={"month": "2026-04"}, column="hours", add=5)
    scenario = Scenario(title="T", changes=[change], once=200, monthly=10)
    bound, (found,) = commitments.overlaid(tables, left(scenario, tables, "2026-01"), NONE, MONTHS)
    assert bound["commitments"]["status"].item() == "late" and "is late: due in Jan 2026" in found.rule
    assert bound["option_costs"]["amount"].tolist() == [10.0] * 3
    after = pd.date_range("2026-05", periods=3, freq="MS")
    over, found = commitments.overlaid(tables, left(scenario, tables), NONE, after)
    assert over["commitments"]["status"].item() == "expired" and found == [] and "option_costs" not in over


def test_a_promise_about_demand_is_kept_in_the_demand_plan():
    book = Book.of(bags(FEB), Company(name="t", horizon=3), FEB)
    change = Change(table="demand_plan", where={"product": "A", "month": "2026-04"}, column="consensus", scale=1.5)
    bound, _ = commitments.overlaid(dict(book.tables), left(Scenario(title="T", changes=[change]), {}), NONE, MONTHS)
    book = book.with_tables({"commitments": bound["commitments"]})
    assert book["commitments"]["status"].item() == "in force" and commitments.planned(book, "demand_plan") == [
        ("T", [change])
    ]
    assert commitments.without(book["commitments"].iloc[0]).changes[0].scale == pytest.approx(2 / 3)
