"""The plan of record: what was chosen is solved, published on every page, covered by the hash, and nothing else is."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest
from small_company import CYCLE
from small_cycle import after_the_meeting, bags, decide, to_the_meeting

from sopkit import publish, reconcile
from sopkit.book import Plan, Scenario
from sopkit.cycle import Cycle
from sopkit.decide import record
from sopkit.errors import SettingsError
from sopkit.publish import pack
from sopkit.reconcile import standard


def page() -> str:
    return (Cycle.open("bags", CYCLE).folder / "plan.html").read_text()


def test_the_plan_that_is_approved_is_the_plan_that_was_chosen(meeting):
    """Once the pack said APPROVED and every page showed the plan without the option that had been chosen."""
    before = Cycle.open("bags", CYCLE).plan
    draft = after_the_meeting()
    assert draft["supply_plan"].equals(before["supply_plan"]) and pack.status(draft) == "DRAFT, not decided"
    hash_before = Cycle.open("bags", CYCLE).plan_hash()
    decide("overtime")
    plan = after_the_meeting(pack=True)
    wanted = before.what_if(before.scenarios["overtime"], warm=False)
    for name in ("supply_plan", "deliveries", "stock", "resource_load", "supply_costs"):
        pd.testing.assert_frame_equal(plan[name], wanted[name])
        pd.testing.assert_frame_equal(Cycle.open("bags", CYCLE).read(name), wanted[name])
    assert plan["pnl"]["amount"].sum() == pytest.approx(wanted.measures()["result"])
    assert plan["supply_checks"]["holds"].all() and len(plan["binding_limits"])
    html, change = page(), plan["adopted_results"].set_index("measure")
    assert "APPROVED" in html and "DRAFT" not in html
    assert "Thirty hours of overtime in March (Greta, Jan 2026)" in html
    assert change.loc["units delivered", "difference"] == pytest.approx(15.0)  # thirty hours, two a large bag
    assert change.loc["result", "difference"] == pytest.approx(
        wanted.measures()["result"] - before.measures()["result"]
    )
    supplied, then = (f"{one['supply_plan']['quantity'].sum():,.0f} pcs are supplied" for one in (wanted, before))
    assert supplied in html and then not in html
    made = plan["frozen_plans"].query("measure == 'production'")["quantity"].sum()
    assert made == pytest.approx(wanted["supply_plan"]["quantity"].sum()), "later cycles judge the plan that was chosen"
    cycle = Cycle.open("bags", CYCLE)
    assert cycle.plan_hash() != hash_before and cycle.verify() == []
    decide("base")
    assert pack.status(after_the_meeting()) == "APPROVED"
    assert not list((cycle.folder / "tables" / "record").glob("*"))
    assert Cycle.open("bags", CYCLE).read("supply_plan").equals(before["supply_plan"])


def test_approved_cannot_stand_on_a_pack_that_lacks_a_decision(meeting):
    decide("overtime")
    plan = after_the_meeting()
    without = plan.with_tables({"adopted": plan["adopted"].head(0)})
    assert pack.report(without)["status"] == "DRAFT, does not contain what was decided: overtime"


def test_options_that_contradict_each_other_are_not_adopted_together(meeting):
    book = Cycle.open("bags", CYCLE).plan
    twice = record.together(book, ["overtime", "overtime"])
    assert len(twice.changes) == 2, "adding to the same hours twice agrees"
    with pytest.raises(SettingsError, match="overtime and weekend contradict each other.*rows of table capacity"):
        record.together(book, ["overtime", "weekend"])
    decide("overtime, weekend")
    with pytest.raises(SettingsError, match="Adopt one of them"):
        after_the_meeting()


def test_each_option_under_each_event_is_a_solved_plan_and_the_rule_is_counted_by_hand(meeting):
    """Expected value, worst case and regret of the small company, re-derived from cold plans of the same changes."""
    base = Cycle.open("bags", CYCLE).plan
    rush = base.scenarios["rush"].changes
    worth = {}
    for option in ("base", "overtime", "weekend"):
        scenario = base.scenarios.get(option)
        changes = scenario.changes if scenario else []
        for event, happens in (("", []), ("rush", rush)):
            plan = base.what_if([*happens, *changes], warm=False) if changes or happens else base
            found = plan.measures()
            worth[option, event] = found["result"] - found["service penalties"] - (200 if option == "weekend" else 0)
    after_the_meeting()
    c = Cycle.open("bags", CYCLE)
    table = c.read("decision_table").set_index(["option", "event"])
    assert table["value"].to_dict() == pytest.approx(worth)
    assert table["probability"].xs("rush", level="event").eq(0.25).all()
    scores, expected = c.read("decision_scores").set_index("option"), {}
    for option in ("base", "overtime", "weekend"):
        expected[option] = 0.75 * worth[option, ""] + 0.25 * worth[option, "rush"]
        row = scores.loc[option]
        assert (row["expected"], row["score"]) == (pytest.approx(expected[option]), pytest.approx(expected[option]))
        assert row["worst"] == pytest.approx(min(worth[option, ""], worth[option, "rush"]))
        most = [
            max(worth[o, e] for o in expected | {"weekend": 0, "overtime": 0}) - worth[option, e] for e in ("", "rush")
        ]
        assert row["regret"] == pytest.approx(max(most))
    best = max(expected, key=expected.get)
    assert scores.index[scores["recommended"]].tolist() == [best]
    logged = c.read("decision_log").iloc[0]
    said = logged["recommendation"]
    assert logged["recommended"] == best and "if nothing happens" in said and "(25 %)" in said and "on average" in said
    costs = c.read("outcomes").set_index(["option", "event"])
    assert costs.loc[("weekend", ""), "once"] == 200 and costs.loc[("base", ""), "once"] == 0


def test_the_cost_of_an_option_is_in_the_result_of_the_plan_of_record(meeting):
    before = Cycle.open("bags", CYCLE).plan
    decide("weekend")
    plan = after_the_meeting()
    bare = before.what_if(before.scenarios["weekend"].changes, warm=False)
    assert plan["pnl"].query("line == 'adopted options'")["amount"].sum() == -200
    assert plan["pnl"]["amount"].sum() == pytest.approx(bare.measures()["result"] - 200)


def test_standard_events_are_made_where_the_data_carry_them(meeting):
    plan = Cycle.open("bags", CYCLE).plan
    made = standard.events(plan)
    assert list(made) == ["resource_down", "demand_up", "demand_down"] and list(standard.events(plan, 1)) == [
        "resource_down"
    ]
    assert made["demand_up"].title == "All demand +10 % over the horizon"
    assert made["resource_down"].title == "Line stands still in Mar 2026"
    down = plan.what_if(made["resource_down"])
    load = down["resource_load"].set_index("month")["regular"]
    assert load.loc["2026-03-01":"2026-03-31"].sum() == 0 < load.sum()
    assert plan["scenario_events"].set_index("event")["probability"].to_dict() == {"rush": 0.25}


def test_any_scenario_has_a_pack_marked_as_one(meeting):
    after_the_meeting()
    c = Cycle.open("bags", CYCLE, stage="publish")
    path = publish.publish_scenario(c, "weekend")
    html = path.read_text()
    assert path.name == "plan.weekend.html" and "not the plan: A weekend shift in March" in html
    assert "DRAFT" in html and "APPROVED" not in html and (path.parent / "plan.weekend.xlsx").exists()
    base = Cycle.open("bags", CYCLE).plan
    assert isinstance(base, Plan) and Cycle.open("bags", CYCLE).stale() == {} and c.verify() == []
    with pytest.raises(SettingsError, match="no scenario .* is called 'weekendd'; did you mean 'weekend'"):
        publish.publish_scenario(c, "weekendd")


def test_a_change_after_the_decision_takes_the_approval_away(meeting):
    decide("overtime")
    after_the_meeting()
    tables = bags()
    tables["demand_plan"]["consensus"] += 5
    to_the_meeting(meeting, tables)
    row = after_the_meeting()["decision_log"].iloc[0]
    assert row["status"] == "undecided"
    assert "Greta chose overtime; it does not count: the plan has changed since" in row["lapsed"]


def test_options_are_solved_together_before_they_are_recommended_together(meeting):
    """Two options that want the same units bring less together than added up; contradicting ones are not."""
    base = Cycle.open("bags", CYCLE).plan
    more = Scenario(title="More overtime in March", changes=base.scenarios["overtime"].changes, once=5)
    plan = replace(base, scenarios={**base.scenarios, "more": more})
    each = {"overtime": base.what_if(base.scenarios["overtime"]), "more": base.what_if(more)}
    plan = plan.with_tables({"scenario_results": reconcile.results(base, each)})
    (row,) = record.combined(plan, ["overtime", "more"]).to_dict("records")
    both = base.what_if([*more.changes, *more.changes], warm=False)
    worth = {name: one.measures()["result"] - one.measures()["service penalties"] for name, one in each.items()}
    found, was = (one.measures()["result"] - one.measures()["service penalties"] for one in (both, base))
    assert row["together"] == pytest.approx(found - was - 5) and row["alone"] == pytest.approx(
        sum(worth.values()) - 2 * was
    )
    assert row["together"] < row["alone"] and row["sentence"].startswith("Together, if nothing happens: ")
    said = record.combined(plan, ["overtime", "weekend"])["sentence"].item()
    assert said.startswith("They are not recommended together: overtime and weekend contradict each other")
    assert record.combined(plan, ["overtime"]).empty
