"""Demand in steps: each reads and writes what it declares, and what a change does not reach is not made again."""

from __future__ import annotations

import demo_company as demo
import pandas as pd
import pytest
from test_demand import CYCLE, PAIR, book, demand_inputs, few, override

from sopkit import demand
from sopkit.book import Book
from sopkit.demand import steps
from sopkit.tables import BY_NAME, TABLES, Company

STEPS = BY_NAME["demand"].steps
SETTINGS = {"name": "Alpenglow", "horizon": 7, "consensus": {"lag": 1, "streams": {"statistical": {}, "sales": {}}}}
COMPANY = Company.model_validate(SETTINGS)


class Watched(Book):
    """A book that remembers which of its tables were asked for."""

    def __getitem__(self, name):
        self.__dict__.setdefault("asked", set()).add(name)
        return super().__getitem__(name)


@pytest.fixture(scope="module", autouse=True)
def tournament():
    """The same history is forecast once: the forecaster has tests of its own."""
    known, real = {}, steps.reconcile

    def remembered(history, horizon, levels, *, method, steered_by, engine, exog):
        key = history.to_csv(), horizon, str(levels), method, steered_by, exog and exog["history"].to_csv()
        if key not in known:
            how = {"method": method, "steered_by": steered_by}
            known[key] = real(history, horizon, levels, **how, engine=engine, exog=exog)
        return known[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(steps, "reconcile", remembered)
        yield


@pytest.fixture(scope="module")
def tables():
    """Five products of the demo, with a launch, a retirement, campaigns, an opportunity and an override."""
    made = few(demand_inputs(demo.tables()), "TENT-2P", "TENT-3P", "TENT-4P", "STOVE-G1", "STOVE-G2")
    said = pd.DataFrame([override(1, "add", 50, product="TENT-3P")])
    return {name: TABLES[name].check(frame) for name, frame in (made | {"overrides": said}).items()}


@pytest.fixture(scope="module")
def base(tables):
    """The book with its demand plan on it."""
    return book(tables | demand.plan(book(tables, COMPANY)), COMPANY)


def same(left, right):
    assert set(left) == set(right)
    for name in right:
        pd.testing.assert_frame_equal(left[name], right[name], check_exact=True, obj=name)


def scaled(column, factor):
    return lambda frame: frame.assign(**{column: frame[column] * factor})


def without_last(frame):
    return frame.iloc[:-1]


ADOPTED = {
    "option": "more", "title": "More", "cycle": "2026-10", "question": "Which?", "reason": "agreed",
    "decided_by": "Greta", "status": "in force", "expected": 0.0,
    "changes": '{"title": "More", "changes": [{"table": "demand_plan", "where": {"product": "TENT-3P"}, '
    '"column": "consensus", "scale": 1.1}]}',
}  # fmt: skip
# a change on each table that the stage reads, and the steps that it reaches
CHANGES = {
    "families": (lambda frame: frame.assign(name="renamed"), ""),
    "products": (scaled("price", 2), "normalise layer agree judge"),
    "markets": (lambda frame: frame.assign(region="EVERYWHERE"), "normalise forecast layer agree judge"),
    "calendar": (
        lambda frame: frame.assign(working_days=20 + frame.index % 3),
        "forecast",
    ),  # too few series for it to count
    "prices": (scaled("price", 2), "normalise layer agree judge"),
    "dated_prices": (
        lambda frame: TABLES["dated_prices"].check(
            pd.DataFrame([("TENT-2P", "NORTH-RETAIL", pd.Timestamp("2027-01-01"), 90.0)], columns=list(frame))
        ),
        "normalise layer agree judge",
    ),
    "events": (
        lambda frame: TABLES["events"].check(
            pd.DataFrame([("fair", "TENTS", "NORTH-RETAIL", pd.Timestamp("2027-01-01"))], columns=list(frame))
        ),
        "normalise layer",  # never seen before: nothing is known of it
    ),
    "curves": (scaled("factor", 0.5), "layer agree judge"),
    "clean_history": (scaled("quantity", 1.1), "normalise forecast layer agree judge"),
    "sales_forecast": (scaled("quantity", 1.5), "layer agree judge"),
    "market_conditions": (
        lambda frame: TABLES["market_conditions"].check(
            pd.DataFrame([("VAT", "TENTS", "NORTH-RETAIL", pd.Timestamp("2027-01-01"), -0.1)], columns=list(frame))
        ),
        "normalise layer agree judge",
    ),
    "campaigns": (
        lambda frame: frame.assign(
            promised_uplift=frame["promised_uplift"].where(frame["end_month"] < "2026-11-01", 0.9)
        ),
        "normalise layer agree judge",
    ),
    "pipeline": (scaled("quantity", 3), "layer agree judge"),
    "past_forecasts": (scaled("quantity", 0.9), "agree judge"),
    "past_overrides": (scaled("after", 0.5), "judge"),
    "people": (lambda frame: frame.assign(role="clerk"), "judge"),
    "overrides": (scaled("amount", 2), "agree judge"),
    "policies": (lambda frame: frame.assign(service_level=0.8), "judge"),
    "lanes": (lambda frame: frame.assign(lead_time=frame["lead_time"] + 1), "judge"),
    "routings": (scaled("hours", 2), "judge"),
    "resources": (without_last, "judge"),
    "offers": (lambda frame: frame.assign(lead_time=frame["lead_time"] + 1), "judge"),
    "commitments": (lambda frame: TABLES["commitments"].conform(pd.DataFrame([ADOPTED])), "agree judge"),
}


@pytest.fixture
def ran(monkeypatch):
    """Names of the steps in order of running."""
    names = []
    for step in STEPS:
        real = getattr(steps, step.name)
        monkeypatch.setattr(
            steps, step.name, lambda *a, real=real, name=step.name, **k: (names.append(name), real(*a, **k))[1]
        )
    return names


def test_a_change_is_tried_on_every_table_that_the_stage_reads():
    assert set(CHANGES) == set(BY_NAME["demand"].reads)


@pytest.mark.parametrize("name", sorted(CHANGES))
def test_only_what_a_change_reaches_runs_and_the_plan_is_that_of_a_whole_run(name, tables, base, ran):
    change, reached = CHANGES[name]
    changed = tables | {name: TABLES[name].check(change(tables[name].copy()))}
    part = demand.plan(book(changed, COMPANY), kept=base)
    assert ran == reached.split()
    same(part, demand.plan(book(changed, COMPANY)))


@pytest.mark.parametrize(
    ("settings", "reached"),
    [
        ({"consensus": {"streams": {"statistical": {"most": 0.1}, "sales": {}}}}, "agree judge"),
        ({"demand": {"pull_forward": 0.9}}, "normalise forecast layer agree judge"),
        ({"demand": {"run_out_months": 1}}, "normalise layer agree judge"),
        ({"demand": {"exceptions_shown": 1}}, "normalise layer judge"),
        ({"currency": "CHF"}, "judge"),
        ({"horizon": 5}, "forecast layer agree judge"),
        ({"reconciliation": "bottom_up"}, "forecast layer agree judge"),
        ({"name": "Renamed", "fiscal_year_start": 7, "policies": {"frozen_months": 2}}, ""),
    ],
)
def test_a_setting_reaches_the_steps_that_declare_it(settings, reached, tables, base, ran):
    company = Company.model_validate(SETTINGS | settings)
    part = demand.plan(book(tables, company), kept=base)
    assert ran == reached.split()
    same(part, demand.plan(book(tables, company)))


def test_nothing_changed_is_nothing_run_and_a_book_without_a_plan_is_planned_whole(tables, base, ran):
    same(demand.plan(book(tables, COMPANY), kept=base), {name: base[name] for step in STEPS for name in step.writes})
    assert ran == []
    demand.plan(book(tables, COMPANY), kept=book(tables, COMPANY))
    assert ran == [step.name for step in STEPS]


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
def test_a_step_reads_and_writes_the_tables_that_it_declares(step, base):
    watched = Watched(base.tables, COMPANY, CYCLE)
    made = getattr(steps, step.name)(watched)
    assert set(made) == set(step.writes)
    assert watched.asked - {"demand_notes"} == set(step.reads)
    # without any other table the answer is the same
    alone = {name: base[name] for name in (*step.reads, "demand_notes")}
    again = getattr(steps, step.name)(book(alone, COMPANY))
    same(*({name: TABLES[name].check(frame) for name, frame in each.items()} for each in (again, made)))


def test_steps_follow_each_other_and_write_every_table_of_the_stage_once():
    written = set()
    for step in STEPS:
        assert {name for name in step.reads if TABLES[name].stage == "demand"} <= written
        assert not written & set(step.writes) - {"demand_notes"}
        written |= set(step.writes)
    assert written == {name for name in TABLES if TABLES[name].stage == "demand"}
    assert set().union(*(step.reads for step in STEPS)) - written <= set(BY_NAME["demand"].reads)


def test_a_step_alone_keeps_what_the_others_noted(base):
    notes = base["demand_notes"]
    again = TABLES["demand_notes"].check(steps.agree(base)["demand_notes"])
    pd.testing.assert_frame_equal(again, notes)
    assert set(notes["step"]) >= {"layer", "judge"} and notes["number"].tolist() == list(range(1, len(notes) + 1))


def test_an_override_of_a_pair_that_nothing_else_plans_adds_that_pair_only(tables, base):
    """A market that never bought the product: its months hold the override, all other rows stay."""
    history = tables["clean_history"]
    gone = (history["product"] == "STOVE-G2") & (history["market"] == "SOUTH-ONLINE")
    some = tables | {"clean_history": history[~gone].reset_index(drop=True)}
    some["sales_forecast"] = some["sales_forecast"].query("not (product == 'STOVE-G2' and market == 'SOUTH-ONLINE')")
    plain = demand.plan(book(some, COMPANY))["demand_plan"].set_index([*PAIR, "month"])
    said = pd.DataFrame([override(1, "set", 40, product="STOVE-G2", market="SOUTH-ONLINE")])
    plan = demand.plan(book(some | {"overrides": TABLES["overrides"].check(said)}, COMPANY))["demand_plan"]
    mine = plan[(plan["product"] == "STOVE-G2") & (plan["market"] == "SOUTH-ONLINE")].set_index("month")
    assert (mine["consensus"].head(5) == 40).all() and (mine["statistical"] == 0).all() and len(mine) == 7
    rest = plan.set_index([*PAIR, "month"]).loc[plain.index, ["baseline", "lifecycle", "statistical", "blended"]]
    pd.testing.assert_frame_equal(rest, plain[list(rest)])
