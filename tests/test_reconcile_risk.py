"""Sampled futures: drawn as the tables say, solved as plans, measured as plans, the same for the same seed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from bench_decide import weighed
from small_company import bags, company, read

import sopkit
from sopkit import reconcile
from sopkit.book import Book, Change, Plan, Scenario
from sopkit.cycle import Cycle
from sopkit.engine import Engine
from sopkit.errors import SopkitError, StageError
from sopkit.reconcile import figures, futures, risk
from sopkit.reconcile.futures import LATE, Futures

CLOTH = """
    materials
    material, name, standard_cost
    CLOTH, Cloth, 2

    bom
    item, component, quantity
    A, CLOTH, 1
    B, CLOTH, 2

    suppliers
    supplier, name, risk
    WEAVER, The weaver, 0.4
    MILL, The mill, 0

    offers
    supplier, item, site, price, capacity, lead_time
    WEAVER, CLOTH, PLANT, 2, , 1
    MILL, CLOTH, PLANT, 3, 80, 0

    scheduled_receipts
    site, item, month, quantity
    PLANT, CLOTH, 2026-01, 120

    pipeline
    opportunity, customer, product, market, month, quantity, probability
    D1, Circus, A, SHOPS, 2026-02, 20, 0.5
    """
SAMPLES = 60


@pytest.fixture(scope="module")
def plan() -> Plan:
    """Two bags of a cloth that two suppliers sell, with ranges, one open deal, and overtime as an option."""
    tables = bags() | read(CLOTH)
    asked = tables["demand_plan"].assign(price=lambda f: f["product"].map({"A": 20.0, "B": 30.0}))
    book = Book.of(tables, company(len(tables["calendar"])), "2026-01")
    asked = book["demand_plan"].assign(p10=lambda f: f["consensus"] * 0.8, p90=lambda f: f["consensus"] * 1.3)
    planned = book.with_tables({"demand_plan": asked}).supply()
    extra = Change(table="capacity", where={"month": "2026-03"}, column="overtime_limit", add=30)
    option = Scenario(title="Overtime in March", once=50, changes=[extra])
    return replace(planned, scenarios={"overtime": option})


@pytest.fixture(scope="module")
def sampled(plan: Plan) -> dict[str, pd.DataFrame]:
    return reconcile.sampled(plan, SAMPLES)


def test_the_same_seed_gives_the_same_tables_wherever_they_are_made(plan: Plan, sampled: dict) -> None:
    with Engine(workers=2) as engine:
        again = risk.tables(plan, SAMPLES, engine=engine)
    for name, frame in sampled.items():
        pd.testing.assert_frame_equal(again[name], frame)
    other = plan.company.model_copy(update={"futures": plan.company.futures.model_copy(update={"seed": 2})})
    assert not risk.tables(replace(plan, company=other), SAMPLES)["risk"].equals(sampled["risk"])


def test_futures_are_drawn_as_the_tables_say(plan: Plan) -> None:
    many = futures.drawn(plan, 4000)
    asked = many.wide(plan["demand_plan"], "consensus")
    np.testing.assert_allclose(many.demand.mean(axis=0), 0, atol=1e-9)
    edges = np.quantile(many.demand / asked, [0.1, 0.9], axis=0)
    # half of a wider normal above than below, then centred: a tenth of the futures lies beyond either end
    shift = (0.3 - 0.2) / 1.2816 / np.sqrt(2 * np.pi)
    np.testing.assert_allclose(edges[0], (0.8 / (1 + shift)) - 1, atol=0.02)
    np.testing.assert_allclose(edges[1], (1.3 / (1 + shift)) - 1, atol=0.03)
    weaver, mill = (many.suppliers.index(one) for one in ("WEAVER", "MILL"))
    assert many.fails[:, mill].sum() == 0
    year = 1 - (1 - many.fails[:, weaver].mean()) ** 12
    assert year == pytest.approx(0.4, abs=0.02)
    assert many.late.mean() == pytest.approx(plan.company.futures.late, abs=0.01)
    assert set(many.won[:, 0]) == {-1, 1} and (many.won[:, 0] == 1).mean() == pytest.approx(0.5, abs=0.03)
    place = many.deals[0].place
    assert sorted({round(float(many.asked(n)[place] - many.demand[n][place]), 6) for n in range(50)}) == [-10, 10]


def test_nothing_happens_and_the_plan_is_what_it_was(plan: Plan) -> None:
    lived = risk.Lived(risk._slim(plan))
    told = lived.gauge(lived.read, lived.session.base.values)
    for measure, value in plan.measured.items():
        if measure != "mean stock value":  # free: what lies in stock may lie elsewhere at the same money
            assert told[measure] == pytest.approx(value, abs=0.01), measure


def one_future(plan: Plan, **what) -> Futures:
    one = Futures.none(plan, 1)
    for name, (at, value) in what.items():
        getattr(one, name)[(0, *at)] = value
    return one


def test_a_future_by_its_limits_is_the_future_by_its_tables(plan: Plan) -> None:
    """Demand, failures, a late order, a late receipt, a won deal: entry for entry the same model."""
    weaver = Futures.none(plan, 1).suppliers.index("WEAVER")
    lived = risk.Lived(risk._slim(plan))
    for what in (
        {"demand": ((0, 2), 17.5), "won": ((0,), 1)},
        {"demand": ((1, 1), -9.0)},
        {"fails": ((weaver, 0), True)},
        {"fails": ((weaver, 1), True)},
        {"late": ((weaver, 0), True)},
        {"late": ((weaver, 1), True)},
    ):
        change = lived.given.altered(one_future(plan, **what), 0)
        built = lived.session.resolve(lived.given.tables(change)).matrix
        assert lived.matrix(change).equals(built), what
        assert not lived.read.equals(built), what
        lived.prove(one_future(plan, **what), 0)


def test_decided_months_stay_and_later_ones_are_planned_again(plan: Plan) -> None:
    lived = risk.Lived(risk._slim(plan))
    more = Futures.none(plan, 1)
    more.demand[:] = 30.0
    solution = lived.session.resolve(lived.given.tables(lived.given.altered(more, 0)))
    before, after = (one["make"].groupby(level=2).sum() for one in (lived.session.base, solution))
    first = plan.company.futures.decided
    np.testing.assert_allclose(after.iloc[:first], before.iloc[:first], atol=1e-6)
    assert after.iloc[first:].sum() > before.iloc[first:].sum() + 1


def test_what_is_late_comes_a_month_later_and_what_fails_does_not_come(plan: Plan) -> None:
    lived, first = risk.Lived(risk._slim(plan)), plan.months[0]
    ordered = plan["supply_plan"].query("mode == 'buy' and source == 'WEAVER'")
    month = ordered["month"].iloc[0]
    assert month == first  # a decided month
    weaver = Futures.none(plan, 1).suppliers.index("WEAVER")
    for name, at, comes in (("late", 1, 1), ("fails", 0, 0)):
        tables = lived.given.tables(lived.given.altered(one_future(plan, **{name: ((weaver, at), True)}), 0))
        made = lived.session.plan(tables)["supply_plan"].query("mode == 'buy' and month == @first")
        assert not made["source"].eq("WEAVER").any()
        late = made[made["source"] == "WEAVER" + LATE]
        assert len(late) == comes
        assert (late["available"] == first + pd.DateOffset(months=2)).all()


def test_a_future_that_measures_otherwise_in_its_tables_is_refused(plan: Plan, monkeypatch) -> None:
    lived = risk.Lived(risk._slim(plan))
    lived.gauge.constant = lived.gauge.constant + 1.0
    with pytest.raises(SopkitError, match="by its tables"):
        lived.prove(one_future(plan, demand=((0, 2), 5.0)), 0)
    values = lived.session.base.values.copy()
    values[lived.read.columns["make"].where] += 5
    with pytest.raises(StageError, match="breaks a limit"):
        lived.gauge(lived.read, values)


def test_risk_says_how_the_futures_came_out(plan: Plan, sampled: dict) -> None:
    values = risk.Lived(risk._slim(plan)).measured(futures.drawn(plan, SAMPLES))
    rows = sampled["risk"].query("option == 'base'").set_index("measure")
    assert (rows["futures"] == SAMPLES).all()
    for at, measure in enumerate(risk.MEASURES):
        mine, row = np.sort(values[:, at]), rows.loc[measure]
        assert row["p10"] <= row["p50"] <= row["p90"]
        assert row["p50"] == pytest.approx(np.median(mine), abs=1e-6)
        worst = mine[-3:] if measure == "mean stock value" else mine[:3]  # 5 % of 60
        assert row["worst"] == pytest.approx(worst.mean(), abs=1e-6)
    assert rows.loc["result", "p10"] < rows.loc["result", "p90"]
    assert set(sampled["risk"]["option"]) == {"base", "overtime"}
    told = plan.what_if(plan.scenarios["overtime"]).measured
    mine = sampled["risk"].set_index(["option", "measure"])["planned"]
    assert mine["overtime", "result"] == pytest.approx(told["result"], abs=0.01)  # its 50 are in it
    assert mine["overtime", "fill rate"] == pytest.approx(told["fill rate"], abs=1e-9)


def test_the_tornado_is_solved_one_thing_at_a_time(plan: Plan, sampled: dict) -> None:
    rows = sampled["tornado"]
    assert rows["swing"].is_monotonic_decreasing and list(rows["rank"]) == list(range(1, len(rows) + 1))
    deal = rows.set_index("driver").loc["Deal: Circus"]
    lived = risk.Lived(risk._slim(plan))
    calm, won, lost = (lived.measured(one_future(plan, won=((0,), sign)))[0, 1] for sign in (0, 1, -1))
    assert deal["high"] == pytest.approx(won - calm, abs=0.01) and deal["low"] == pytest.approx(lost - calm, abs=0.01)
    assert "Supplier: The mill" not in set(rows["driver"])  # it has no risk
    assert rows["driver"].str.startswith("Demand: ").any() and rows["driver"].eq("All demand").any()


def test_no_point_of_the_frontier_serves_better_for_less(plan: Plan, sampled: dict) -> None:
    rows = sampled["frontier"].sort_values("factor")
    assert len(rows) == 10 and rows["today"].sum() == 1
    assert (rows["fill_rate"].diff().dropna() > -1e-9).all() and (rows["result"].diff().dropna() < 0.01).all()
    today = rows[rows["today"]].iloc[0]
    assert today["fill_rate"] == pytest.approx(plan.measured["fill rate"])
    assert today["result"] == pytest.approx(plan.measured["result"], abs=0.01)
    dearer = plan.what_if([Change(table="service_policies", column="lost_price", scale=5.0)]).measured
    assert rows.set_index("factor").loc[5.0, "fill_rate"] == pytest.approx(dearer["fill rate"], abs=1e-9)


def test_fair_shares_are_solved_from_the_tables(plan: Plan) -> None:
    """There demand stands in coefficients too: limits alone would not tell the future."""
    policies = plan.company.policies.model_copy(update={"allocation": "fair_share"})
    fair = Book(plan.tables, plan.company.model_copy(update={"policies": policies}), plan.cycle).supply()
    lived = risk.Lived(risk._slim(fair))
    assert lived.measured(one_future(plan, demand=((0, 2), 25.0))).shape == (1, len(risk.MEASURES))
    assert lived.by_limits is False
    lived.prove(one_future(plan, demand=((0, 2), 25.0)), 0)


def test_progress_is_told_and_can_end_the_work(plan: Plan) -> None:
    seen = []
    reconcile.sampled(plan, 30, progress=lambda done, of: seen.append((done, of)))
    assert seen[-1][0] == seen[-1][1] and len(seen) > 3

    def stop(done: int, of: int) -> None:
        raise SopkitError("Stopped")

    with pytest.raises(SopkitError, match="Stopped"):
        reconcile.sampled(plan, 30, progress=stop)


def test_stage_reconcile_samples_only_when_asked(plan: Plan) -> None:
    assert "risk" not in reconcile.plan(plan)
    assert {"risk", "tornado", "frontier"} <= set(reconcile.plan(plan, futures=20))
    asked = plan.company.model_copy(update={"futures": plan.company.futures.model_copy(update={"samples": 20})})
    made = plan.with_tables(reconcile.plan(plan.with_tables({}, company=asked)))
    assert (made["risk"]["futures"] == 20).all()
    for figure in (figures.risk(made), figures.tornado(made), figures.frontier(made)):
        assert len(figure.frame) and "<table" in figure.html
    assert "futures=300" in figures.risk(plan).html


def test_a_scenario_weighed_is_the_scenario_planned(plan: Plan) -> None:
    for table, column, value in (
        ("capacity", "overtime_limit", {"add": 20}),
        ("demand_plan", "consensus", {"scale": 1.1}),
        ("resources", "hour_cost", {"scale": 1.2}),
        ("demand_plan", "price", {"scale": 1.05}),
    ):
        change = Change(table=table, column=column, **value)
        read = weighed(plan, Scenario(title="t", changes=[change]))
        planned = plan.what_if(change, warm=False).measured
        assert list(read) == list(planned)
        for measure in set(planned) - {"mean stock value"}:
            assert read[measure] == pytest.approx(planned[measure], abs=0.01), (table, column, measure)


def test_sampled_demand_of_all_is_as_uncertain_as_the_plan_says(finished: Cycle) -> None:
    """Each series has its own range; tied across markets, their sum has the range of table demand_levels."""
    plan = finished.plan
    many = futures.drawn(plan, 1000)
    total = (many.demand + many.wide(plan["demand_plan"], "consensus")).sum(axis=1)
    told = plan["demand_levels"].query("level == 'total'").sort_values("month")
    deals = {deal.place[1] for deal in many.deals}
    calm = [at for at in range(len(many.months)) if at not in deals]
    width = np.diff(np.quantile(total, [0.1, 0.9], axis=0), axis=0)[0][calm]
    assert width.sum() == pytest.approx((told["p90"] - told["p10"]).to_numpy()[calm].sum(), rel=0.1)
    found = reconcile.sampled(sopkit.book.Plan(plan.tables, plan.company, plan.cycle), 30)
    assert (
        found["risk"].set_index("measure").loc["result", "worst"]
        < found["risk"].set_index("measure").loc["result", "p50"]
    )
