"""The hand-over to HiGHS, the independent parts, and solving again after a change."""

from __future__ import annotations

from contextlib import nullcontext
from importlib import import_module

import demo_company as demo
import numpy as np
import pandas as pd
import pyomo.environ as pyo
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_company import company, made, read
from test_supply import changed, plain, spoken

from sopkit.book import Book
from sopkit.book.known import Known
from sopkit.engine import Engine
from sopkit.errors import StoppedError, SupplyDataError
from sopkit.supply import accelerator
from sopkit.supply.accelerator import held, matrix
from sopkit.supply.loaded import Effort, Loaded
from sopkit.supply.matrix import Matrix, walked
from sopkit.supply.model import build
from sopkit.supply.network import Group, Network
from sopkit.supply.resolve import Session
from sopkit.supply.solve import Parts, built, solve

LITTLE = demo.Size(products=4, families=2, plants=2, dcs=1, markets=3, resources=3, materials=3, history=24, horizon=6)
CYCLE = demo.CYCLE


def cold(tables: dict[str, pd.DataFrame], settings_) -> float:
    effort = Effort(settings_.policies.gap, settings_.policies.time_limit)
    return solve(built(Network(Book.of(tables, settings_, CYCLE))), effort=effort).profit


def same(one: Matrix, other: Matrix) -> None:
    assert one.shape == other.shape
    for name in ("row_lower", "row_upper", "lower", "upper", "cost", "integer"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-13, err_msg=name)
    assert abs(one.a - other.a).max() <= 1e-12 * abs(other.a).max()
    assert one.offset == pytest.approx(other.offset)
    assert list(one.rows) == list(other.rows) and list(one.columns) == list(other.columns)
    for name in one.rows:
        assert one.rows[name].index.equals(other.rows[name].index), name
    for name in one.columns:
        assert one.columns[name].index.equals(other.columns[name].index), name
    assert list(one.expressions) == list(other.expressions)
    for name, (names, entries, constant) in one.expressions.items():
        assert names.index.equals(other.expressions[name][0].index), name
        assert abs(entries - other.expressions[name][1]).sum() == pytest.approx(0, abs=1e-9), name
        np.testing.assert_allclose(constant, other.expressions[name][2])


# the matrix --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def little() -> dict[str, pd.DataFrame]:
    return made(LITTLE)


POLICIES = [
    {},
    {"allocation": "priority"},
    {"allocation": "fair_share", "whole_people": True},
    {"stock_budget": 50_000, "backlog_at_end": "forbidden"},
]


@pytest.mark.parametrize("policies", POLICIES, ids=str)
def test_both_ways_of_handing_over_give_the_same_matrix(little, policies) -> None:
    network = Network(Book.of(little, company(LITTLE.horizon, **policies), CYCLE))
    fast, plain = matrix(built(network)), walked(build(network))
    assert not fast.note, "every rule is read at once"
    same(fast, plain)


def test_whole_demo_with_its_story_gives_the_same_matrix() -> None:
    network = Network(Book.of(made(demo.SMALL), company(6), CYCLE))
    fast = matrix(built(network))
    assert not fast.note
    same(fast, walked(build(network)))


def test_a_company_in_which_every_rule_has_rows_gives_the_same_matrix() -> None:
    tables, policies = spoken()
    for allocation in ("priority", "fair_share"):
        network = Network(Book.of(tables, company(3, **policies | {"allocation": allocation}), "2026-01"))
        fast = matrix(built(network))
        assert not fast.note
        same(fast, walked(build(network)))


@pytest.mark.parametrize("number", [-1.0, float("nan")])
def test_numbers_taken_at_once_are_refused_where_one_is_out_of_its_domain(number) -> None:
    m = pyo.ConcreteModel()
    m.P = pyo.Set(initialize=["a", "b"])
    with pytest.raises(ValueError, match=r"(?s)price\[b\].*domain NonNegativeReals"), held(m):
        m.price = pyo.Param(m.P, initialize={"a": 2.0, "b": number}, within=pyo.NonNegativeReals)
    m.del_component("price")
    with held(m):
        m.cost = pyo.Param(m.P, initialize={"b": 3.0}, default=0, within=pyo.NonNegativeReals)
    assert m.cost.extract_values() == {"a": 0, "b": 3.0}


def test_a_number_for_what_is_no_member_is_not_taken_for_another() -> None:
    m = pyo.ConcreteModel()
    m.P = pyo.Set(initialize=["a", "b"])
    m.x = pyo.Var(m.P, within=pyo.NonNegativeReals)
    with held(m):
        m.cost = pyo.Param(m.P, initialize={"a": 2.0, "c": 5.0}, default=0, within=pyo.NonNegativeReals)
        m.profit = pyo.Objective(rule=lambda m: sum(m.cost[p] * m.x[p] for p in m.P), sense=pyo.maximize)
    found = matrix(m)
    assert found.cost.tolist() == [2.0, 0.0] and "cost has a value for what is no member" in found.note


def odd_rules(held=nullcontext) -> pyo.ConcreteModel:
    """Rules of every shape that the reader has to know: lags, ranges, both sides, literals, several sums, an `if`."""
    m = pyo.ConcreteModel()
    m.T = pyo.RangeSet(0, 4)
    m.LATER = pyo.RangeSet(1, 4)
    m.P = pyo.Set(initialize=["a", "b"])
    m.NEAR = pyo.Set(m.P, dimen=2, initialize={"a": [("b", 1), ("b", 2)], "b": []})
    m.cost = pyo.Param(m.P, initialize={"a": 2.0}, default=0.5)
    m.twin = pyo.Param(m.P, initialize={"a": "b", "b": "a"}, within=pyo.Any)
    m.x = pyo.Var(m.P, m.T, within=pyo.NonNegativeReals, dense=False, bounds=lambda m, p, t: (m.cost[p], 10 + t))
    m.y = pyo.Var(within=pyo.Integers, bounds=(-3, 3))
    with held(m):
        m.lag = pyo.Constraint(
            m.P, m.LATER, rule=lambda m, p, t: m.x[p, t] - m.x[m.twin[p], t - 1] / 4 <= m.cost[p] * 3 + m.y
        )
        m.range = pyo.Constraint(m.P, m.T, rule=lambda m, p, t: (1, m.x[p, t] + m.x["a", 0], 20))
        m.fewer = pyo.Constraint(m.T, rule=lambda m, t: 7 >= -sum(m.cost[p] * m.x[p, t] for p in m.P) + 1)
        m.near = pyo.Constraint(m.P, rule=lambda m, p: m.x[p, 0] + sum(m.x[q, t] for q, t in m.NEAR[p]) + m.y == 5)
        m.some = pyo.Constraint(m.P, m.T, rule=lambda m, p, t: pyo.Constraint.Skip if t == 2 else m.x[p, t] >= 0.1 * t)
        m.gain = pyo.Expression(m.T, rule=lambda m, t: sum((3 - m.cost[p]) * m.x[p, t] for p in m.P) + 1)
        m.total = pyo.Objective(rule=lambda m: sum(m.gain[t] for t in m.T) - 2 * m.y, sense=pyo.maximize)
    return m


def test_rules_of_every_shape_are_read_as_pyomo_reads_them() -> None:
    fast = matrix(odd_rules(held))
    assert [why.split(":")[0] for why in fast.note.split("; ")] == ["range", "some"], fast.note
    same(fast, walked(odd_rules()))


def test_an_index_that_a_param_does_not_have_is_named() -> None:
    m = pyo.ConcreteModel()
    m.T = pyo.Set(initialize=["jan", "feb"])
    m.price = pyo.Param(m.T, initialize={"jan": 1.0})
    m.x = pyo.Var(m.T, within=pyo.NonNegativeReals, dense=False)
    with held(m):
        m.best = pyo.Objective(rule=lambda m: sum(m.price[t] * m.x[t] for t in m.T))
    with pytest.raises(ValueError, match="price.*feb"):
        matrix(m)


# the accelerator broken ----------------------------------------------------------------------------------------------


def broken_by_another_pyomo(monkeypatch) -> str:
    monkeypatch.setattr("pyomo.__version__", "7.0.0")
    return "every rule, because Pyomo 7.0.0"


def broken_inside(monkeypatch) -> str:
    def run(self, component, rule):
        raise AttributeError("'IndexedConstraint' object has no attribute '_rule'")

    monkeypatch.setattr(accelerator._Quick, "_run", run)
    return "stock_balance: 'IndexedConstraint' object has no attribute '_rule'"


def broken_before_the_first_rule(monkeypatch) -> str:
    monkeypatch.delattr(accelerator, "_Loop")
    return "every rule, because of NameError"


def broken_by_a_name_that_is_gone(monkeypatch) -> str:
    """What Pyomo forgets once its Set is made; only the accelerator asks for it again."""
    whole = accelerator._Quick.read

    def read(self, note=""):
        del self.model.SWITCHED._init_dimen
        return whole(self, note)

    monkeypatch.setattr(accelerator._Quick, "read", read)
    return "_init_dimen"


BROKEN = [broken_by_another_pyomo, broken_inside, broken_before_the_first_rule, broken_by_a_name_that_is_gone]


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.__name__)
def test_a_broken_accelerator_falls_back_to_the_plain_walk_and_table_supply_run_tells(
    little, session, broken, monkeypatch
) -> None:
    why = broken(monkeypatch)
    again = Session(Book.of(little, company(LITTLE.horizon), CYCLE))
    assert why in again.base.matrix.note
    same(again.base.matrix, session.base.matrix)
    run, usual = (one.plan()["supply_run"].set_index("measure")["value"] for one in (again, session))
    assert why in run["read row by row"]
    assert "read row by row" not in usual.index
    assert run.drop("read row by row").equals(usual)


# independent parts -------------------------------------------------------------------------------------------------

TWO_TRADES = """
    products
    product, family, price, standard_cost
    A, F, 20, 8
    B, F, 30, 9

    families
    family
    F

    sites
    site, kind
    NORTH, plant
    SOUTH, plant

    markets
    market, region, channel
    M, R, C

    lanes
    origin, destination, cost
    NORTH, M, 1
    SOUTH, M, 2

    calendar
    month, working_days
    2026-11, 20
    2026-12, 20

    resources
    resource, site, hour_cost
    L1, NORTH, 5
    L2, SOUTH, 5

    capacity
    resource, month, hours
    L1, 2026-11, 60
    L1, 2026-12, 60
    L2, 2026-11, 50
    L2, 2026-12, 50

    routings
    item, resource, hours
    A, L1, 1
    B, L2, 1

    demand_plan
    product, market, month, family, consensus, price
    A, M, 2026-11, F, 50, 20
    A, M, 2026-12, F, 90, 20
    B, M, 2026-11, F, 60, 30
    B, M, 2026-12, F, 40, 30
"""


@pytest.fixture
def two_trades() -> dict[str, pd.DataFrame]:
    tables = read(TWO_TRADES)
    layers = "baseline lifecycle market_conditions campaigns pipeline statistical blended override p10 p90".split()
    tables["demand_plan"] = tables["demand_plan"].assign(**{layer: 0.0 for layer in layers})
    return tables


def test_products_that_share_nothing_are_solved_apart_and_their_profits_tie(two_trades) -> None:
    whole = matrix(built(Network(Book.of(two_trades, company(2), CYCLE))))
    apart = Parts(whole, least=0)
    assert len(apart.places) == 2
    assert sum(answer.profit for answer in (apart.answer(), *apart.answers)[1:]) == pytest.approx(apart.answer().profit)
    together = Parts(whole).answer()
    assert apart.answer().profit == pytest.approx(together.profit, rel=1e-9)
    assert whole.cost @ apart.answer().values + whole.offset == pytest.approx(together.profit, rel=1e-9)
    with Engine(workers=2) as engine:
        assert Parts(whole, engine, least=0).answer().profit == pytest.approx(together.profit, rel=1e-9)


def test_a_shared_stock_budget_joins_what_would_be_apart(two_trades) -> None:
    whole = matrix(built(Network(Book.of(two_trades, company(2, stock_budget=100), CYCLE))))
    assert whole.heaps(2) is None, "one budget over both trades: nothing can be split"


def test_only_the_changed_part_is_solved_again(two_trades, monkeypatch) -> None:
    parts = Parts(matrix(built(Network(Book.of(two_trades, company(2), CYCLE)))), least=0)
    parts.answer()
    assert len(parts.places) > 1
    solved, answer = [], Loaded.answer
    monkeypatch.setattr(Loaded, "answer", lambda part: solved.append(part) or answer(part))
    two_trades["capacity"].loc[two_trades["capacity"]["resource"].eq("L1"), "hours"] += 1
    parts.changed(matrix(built(Network(Book.of(two_trades, company(2), CYCLE)))))
    assert len(solved) == 1


# solving again -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def session(little) -> Session:
    return Session(Book.of(little, company(LITTLE.horizon), CYCLE))


CHANGES = st.lists(
    st.tuples(
        st.sampled_from(
            [
                ("demand_plan", "consensus"),
                ("capacity", "hours"),
                ("demand_plan", "price"),
                ("policies", "safety_stock"),
                ("policies", "target_end_stock"),
                ("inventory", "quantity"),
            ]
        ),
        st.floats(0.5, 1.6),
        st.integers(1, 4),
    ),
    min_size=1,
    max_size=3,
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=CHANGES)
def test_solving_again_gives_what_a_cold_solve_gives(little, session, changes) -> None:
    changed: dict[str, pd.DataFrame] = {}
    for (table, column), factor, every in changes:
        frame = changed.setdefault(table, little[table].copy())
        frame[column] = frame[column].astype(float).where(frame.index % every != 0, frame[column] * factor)
    warm = session.resolve(changed)
    assert warm.profit == pytest.approx(cold(little | changed, company(LITTLE.horizon)), rel=1e-6)
    assert session.how == "bounds and costs"


def test_every_question_is_a_change_over_the_base(session, little) -> None:
    halved = little["capacity"].assign(hours=little["capacity"]["hours"] / 2)
    worse = session.resolve({"capacity": halved}).profit
    assert worse < session.base.profit
    assert session.resolve().profit == pytest.approx(session.base.profit, rel=1e-9)
    assert session.resolve({"capacity": halved}).profit == pytest.approx(worse, rel=1e-9)


def test_a_change_of_coefficients_starts_from_the_plan_and_ends_where_a_cold_solve_does(session, little) -> None:
    slower = little | {"routings": little["routings"].assign(hours=little["routings"]["hours"] * 1.3)}
    warm = session.resolve({"routings": slower["routings"]})
    assert session.how == "coefficients"
    assert warm.profit == pytest.approx(cold(slower, company(LITTLE.horizon)), rel=1e-6)
    assert warm.profit < session.base.profit


def test_a_change_of_structure_is_loaded_anew(session, little) -> None:
    fewer = little["routings"].iloc[1:]
    assert session.resolve({"routings": fewer}).profit == pytest.approx(
        cold(little | {"routings": fewer}, company(LITTLE.horizon)), rel=1e-6
    )
    assert session.how == "anew"


def test_whole_numbers_are_found_again_after_a_change(little) -> None:
    whole = company(LITTLE.horizon, whole_people=True, gap=1e-6)
    routings = little["routings"].assign(minimum_run=30.0, setup_cost=150.0)
    session = Session(Book.of(little | {"routings": routings}, whole, CYCLE))
    assert session.base.measures["whole-number decisions"] > 0
    more = little["demand_plan"].assign(consensus=little["demand_plan"]["consensus"] * 1.2)
    again = session.resolve({"demand_plan": more})
    assert again.profit == pytest.approx(cold(little | {"routings": routings, "demand_plan": more}, whole), rel=2e-6)
    set_up = again["set_up"]
    assert set_up.isin([0.0, 1.0]).all() and set_up.sum() > 0


@pytest.mark.parametrize("seconds", [0.0, 60.0])
def test_a_plan_exists_however_little_time_there_is_and_says_what_a_better_one_could_bring(seconds) -> None:
    tables = changed(plain(hours=130, count=3), routings__setup_hours=10, routings__setup_cost=200)
    tables["service_policies"]["unmet"] = "neither"
    crew = {"site": "PLANT", "skill": "hands", "people": 1, "hours_per_day": 6, "wage": 100, "hire_cost": 30}
    tables = changed(tables, resources__skill="hands") | {"workforce": pd.DataFrame([crew])}
    settings_ = company(3, whole_people=True, gap=0.0, time_limit=seconds)
    session = Session(Book.of(tables, settings_, "2026-01"))
    plan = session.plan()
    run = plan["supply_run"].set_index("measure")["value"]
    gap = float(run["gap in money"].removesuffix(" EUR").replace(",", ""))
    if seconds:
        assert (run["status"], gap) == ("Optimal", 0.0) and plan["supply_plan"]["quantity"].sum() > 200
    assert plan["supply_checks"]["holds"].all()


def test_a_question_given_up_inside_the_solver_leaves_no_trace(little, monkeypatch) -> None:
    for place in ("loaded", "solve"):  # as a large network: it listens while it solves
        monkeypatch.setattr(import_module(f"sopkit.supply.{place}"), "LARGE", 1)
    session = Session(Book.of(little, company(LITTLE.horizon), CYCLE))
    tripled = little["demand_plan"].assign(consensus=little["demand_plan"]["consensus"] * 3)
    wanted = {"demand_plan": tripled}
    before, change = session.plan(wanted), Loaded.change

    def stops(part: Loaded, other: Matrix) -> None:
        change(part, other)
        session._stop.set()

    monkeypatch.setattr(Loaded, "change", stops)
    with pytest.raises(StoppedError, match="nothing has changed"):
        session.plan(wanted)
    assert session.parts.loaded == [None], "HiGHS itself was interrupted"
    monkeypatch.setattr(Loaded, "change", change)
    session.stop()
    after = session.plan(wanted)
    for name, frame in before.items():
        if name != "supply_run":
            pd.testing.assert_frame_equal(after[name], frame)


def test_a_table_that_the_stage_does_not_read_is_refused(session) -> None:
    with pytest.raises(KeyError, match="capacity"):
        session.resolve({"capacty": pd.DataFrame()})


def told(network: Network) -> dict[str, str]:
    """Every set and parameter of a network as text, group by group: a number that is not known equals itself there."""
    groups = {name: vars(group) for name, group in vars(network).items() if isinstance(group, Group)}
    found = {}
    for name, parts in groups.items():
        parts_ = {key: part.to_dict() if isinstance(part, pd.DataFrame) else part for key, part in parts.items()}
        parts_ = {key: dict(part) if isinstance(part, dict) else part for key, part in parts_.items()}
        found[name] = repr({key: part for key, part in parts_.items() if not isinstance(part, Group)})
    return found


@pytest.mark.parametrize(
    ("table", "column", "factor"),
    [
        ("capacity", "hours", 1.2),
        ("offers", "lead_time", 0),
        ("lanes", "cost", 2.0),
        ("routings", "yield", 0.9),
        ("workforce", "people", 2.0),
        ("policies", "safety_stock", 3.0),
        ("demand_plan", "consensus", 0.0),
        ("inventory", "quantity", 0.5),
    ],
)
def test_only_what_a_change_reaches_is_made_again(little, table, column, factor) -> None:
    base, known = Book.of(little, company(LITTLE.horizon), CYCLE), Known()
    before = Network(base, known)
    changed_book = base.with_tables({table: base[table].assign(**{column: base[table][column] * factor})})
    again = Network(changed_book, known)
    assert told(again) == told(Network(changed_book))  # as if it were made from nothing
    taken = [name for name in told(again) if getattr(again, name) is getattr(before, name)]
    assert taken and len(taken) < len(told(again))
    assert told(Network(base, known)) == told(before)
    rules = base.with_tables({}, company=company(LITTLE.horizon, backlog_at_end="forbidden", frozen_months=2))
    assert told(Network(rules, known)) == told(Network(rules))


def test_a_contradiction_is_found_after_tables_without_one(little) -> None:
    base, known = Book.of(little, company(LITTLE.horizon), CYCLE), Known()
    Network(base, known)
    hours = base["capacity"]["hours"]
    wrong = base.with_tables({"capacity": base["capacity"].assign(maintenance=hours + 1)})
    for _ in range(2):
        with pytest.raises(SupplyDataError, match="more maintenance than hours"):
            Network(wrong, known)
        Network(base, known)


def test_an_answer_does_not_depend_on_the_questions_asked_before(little) -> None:
    """Also where several plans are equally good: the same question has the same plan, to the last unit."""
    tables = {name: frame.assign(holding_cost=0.0) if name == "policies" else frame for name, frame in little.items()}
    hours = tables["capacity"]["hours"]
    questions = [{"capacity": tables["capacity"].assign(hours=hours * factor)} for factor in (0.5, 1.0, 1.3)]
    fresh = [
        Session(Book.of(tables, company(LITTLE.horizon), CYCLE)).resolve(question).values for question in questions
    ]
    session = Session(Book.of(tables, company(LITTLE.horizon), CYCLE))
    for at in (2, 0, 1, 2, 1, 0):
        assert (session.resolve(questions[at]).values == fresh[at]).all()
    assert (session.resolve().values == session.base.values).all()
