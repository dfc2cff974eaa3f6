"""A plan under a change is true in every table: nothing is left of the plan it came from, no change forgotten."""

from __future__ import annotations

import pandas as pd
import pytest

import sopkit
from sopkit import demand, publish, reconcile, supply
from sopkit.book import Plan
from sopkit.book.plan import ON_ASKING
from sopkit.errors import SettingsError, StageError
from sopkit.tables import BY_NAME, written_by

WHY = ["binding_limits", "why_short", "levers", "level_chase"]
BAGS = {"family": "BAGS"}


@pytest.fixture(scope="module")
def plan() -> Plan:
    return sopkit.demo().plan()


def sales(plan: Plan) -> float:
    return float(plan["pnl"].query("line == 'net sales'")["amount"].sum())


def test_money_and_kpis_of_a_plan_are_there_when_asked_for(plan: Plan) -> None:
    for name, frame in {**reconcile.money(plan), **publish.plan(plan)}.items():
        kept = plan.with_tables({name: frame})[name]
        pd.testing.assert_frame_equal(plan[name], kept)
    assert sales(plan) == pytest.approx(plan.measures()["net sales"]) and len(plan["kpis"])


@pytest.mark.parametrize(
    ("table", "change"),
    [
        ("prices", {"column": "price", "scale": 1.1}),
        ("capacity", {"resource": "SEW-N", "column": "overtime_limit", "add": 90}),
        ("demand_plan", {**BAGS, "column": "consensus", "scale": 1.5}),
    ],
)
def test_every_table_of_a_what_if_is_its_own(plan: Plan, table: str, change: dict) -> None:
    """Once statement, levers and shortages were those of the plan it came from."""
    changed = plan.what_if(table, **change)
    assert sales(changed) == pytest.approx(changed.measures()["net sales"])
    fresh = changed.with_stage("supply", supply.plan(changed))
    for name in WHY:
        pd.testing.assert_frame_equal(changed[name], fresh[name])
    differs = {name for name in ON_ASKING if not changed[name].equals(plan[name])}
    assert {"pnl", "kpis", "gaps", "working_capital", "binding_limits"} <= differs


def test_a_what_if_of_a_cycle_leaves_behind_what_was_decided_and_weighed(finished) -> None:
    before = finished.plan
    changed = before.what_if("prices", column="price", scale=1.1)
    later = {name for stage in ("reconcile", "decide", "publish") for name in written_by(stage)}
    assert later & set(before.tables) and not later & set(changed.tables)
    assert sales(changed) == pytest.approx(changed.measures()["net sales"]) != pytest.approx(sales(before))
    event = before.what_if(before.scenarios["poles_outage"])
    assert event["pnl"]["amount"].sum() == pytest.approx(event.measures()["result"])
    assert "net sales" in str(event.explain("pnl", "amount", line="net sales"))


def test_planning_a_stage_again_leaves_behind_what_hung_on_the_last_plan(finished) -> None:
    before = finished.plan
    again = before.with_tables({"capacity": before["capacity"].assign(overtime_limit=0.0)}).supply()
    assert not {*written_by("decide"), *written_by("publish")} & set(again.tables)
    assert again["pnl"]["amount"].sum() == pytest.approx(again.measures()["result"])


def test_a_demand_plan_changed_by_hand_is_whole(plan: Plan) -> None:
    """Once its levels and exceptions stayed, and it explained itself as "38,414 = 25,609 + 0"."""
    changed = plan.what_if("demand_plan", **BAGS, column="consensus", scale=1.5)
    rows, levels = changed["demand_plan"], changed["demand_levels"]
    assert (rows["blended"] + rows["override"] - rows["consensus"]).abs().max() < 1e-9
    assert (rows["p10"] <= rows["consensus"]).all() and (rows["consensus"] <= rows["p90"]).all()
    for level, key in (("family", rows["family"]), ("total", pd.Series("total", rows.index))):
        sums = rows["consensus"].groupby([key, rows["month"]]).sum()
        shown = levels[levels["level"] == level].set_index(["node", "month"])["consensus"]
        assert shown.to_numpy() == pytest.approx(sums.to_numpy())
    frozen = changed["frozen_forecasts"].query("stream == 'consensus'")["quantity"].sum()
    assert frozen == pytest.approx(rows["consensus"].sum())
    assert not changed["demand_change"].equals(plan["demand_change"])
    untouched = demand.settled(plan, plan["demand_plan"])
    for name in ("demand_plan", "demand_levels", "frozen_forecasts", "exceptions", "demand_change"):
        pd.testing.assert_frame_equal(plan.with_tables(untouched)[name], plan[name])


def test_a_change_of_the_demand_plan_is_not_forgotten_when_demand_is_planned_again(plan: Plan) -> None:
    """Once a price changed by a ten-thousandth took half a family's demand away."""
    more = plan.what_if("demand_plan", **BAGS, column="consensus", scale=1.5)
    dearer = more.what_if("prices", column="price", scale=1.0001)
    wanted = dearer["demand_plan"].query("family == 'BAGS'")["consensus"].sum()
    alone = plan.what_if("prices", column="price", scale=1.0001)["demand_plan"]
    assert wanted == pytest.approx(1.5 * alone.query("family == 'BAGS'")["consensus"].sum())
    both = plan.what_if([*dearer.scenario.changes, *more.scenario.changes])
    pd.testing.assert_frame_equal(dearer["demand_plan"], both["demand_plan"])
    assert dearer.measures()["result"] == pytest.approx(both.measures()["result"], rel=1e-6)
    twice = dearer.what_if("demand_plan", **BAGS, column="consensus", add=1.0)
    assert len(twice.by_hand) == 2 and twice.what_if("capacity", column="hours", add=0).by_hand == twice.by_hand


def test_a_demand_plan_that_was_brought_stays(plan: Plan) -> None:
    """Once a price 1 % higher doubled the sales of a plan with half the demand."""
    thin = plan["demand_plan"][["product", "market", "month", "consensus"]].assign(
        consensus=lambda row: row["consensus"] / 2
    )
    for inputs in (sopkit.demo(), plan):
        brought = inputs.with_tables({"demand_plan": thin}).supply()
        assert not {*written_by("demand")} - {"demand_plan"} & set(brought.tables)
        dearer = brought.what_if("products", product="TENT-2P", column="price", scale=1.01)
        assert dearer["demand_plan"]["consensus"].equals(brought["demand_plan"]["consensus"])
        assert 1.0 < dearer.measures()["net sales"] / brought.measures()["net sales"] < 1.01
        half = brought.what_if("demand_plan", **BAGS, column="consensus", scale=2)
        rows = half["demand_plan"]
        assert (rows["blended"] + rows["override"] - rows["consensus"]).abs().max() < 1e-9
        for name in sorted(
            {*BY_NAME["demand"].reads} - {*BY_NAME["supply"].reads, "prices"} & {"sales_forecast", "curves"}
        ):
            if len(brought[name]):
                with pytest.raises(
                    SettingsError, match=f"changes table {name}, which only stage demand reads.*demand_plan"
                ):
                    brought.what_if(name, drop=True)


def test_demand_planned_again_on_asking_brings_the_forecast_back(plan: Plan) -> None:
    thin = plan["demand_plan"][["product", "market", "month", "consensus"]].assign(consensus=1.0)
    again = plan.with_tables({"demand_plan": thin}).demand()
    assert again["demand_plan"].equals(plan["demand_plan"]) and "supply_plan" not in again


def test_what_is_no_plan_yet_says_so(plan: Plan, demo_run) -> None:
    """Once a cycle that was not run was an empty plan, and a book without demand was planned without any."""
    for ask in (lambda: sopkit.open("demo", "2026-10").plan, lambda: sopkit.open("demo", "2026-10").book):
        with pytest.raises(StageError, match="the plan of demo 2026-10 is not made yet: stage collect writes it"):
            ask()
    with pytest.raises(SettingsError, match=r"There is no demand plan\. Ask book\.demand\(\) first"):
        sopkit.demo().supply()
    late = plan["demand_plan"].assign(month=lambda rows: rows["month"] + pd.DateOffset(years=5))
    with pytest.raises(SettingsError, match="has 864 rows outside the planned months, Nov 2026 to Apr 2028"):
        plan.with_tables({"demand_plan": late}).supply()
