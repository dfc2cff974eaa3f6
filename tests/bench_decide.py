"""What options and events cost to solve: `python tests/bench.py decide [SIZE]`.

Twelve scenarios on the demo beside as many cold solves, and twelve warm re-solves on the reference network of 168,000
variables beside one cold solve, in processor seconds of this process. SIZE `default` does both, `demo` the first.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import demo_company as demo
import pandas as pd
from small_company import company, made

import sopkit
from sopkit import supply
from sopkit.book import Book, Change, Plan, Scenario
from sopkit.book.scenarios import changed_by
from sopkit.kpis import MEASURES
from sopkit.reconcile import sampled
from sopkit.reconcile.gauge import Gauge
from sopkit.supply.resolve import Session

MANY = 12


def run(size: str = "default") -> Iterator[dict]:
    """Each figure as name, value, unit, goal, met, peer."""
    yield from _demo()
    if size == "default":
        yield from _reference()


def _clocked(work: Callable[[], Any]) -> tuple[Any, float]:
    start = time.process_time()
    got = work()
    return got, time.process_time() - start


def _figure(name: str, value: float, unit: str, goal: float | None, peer: str) -> dict:
    met = None if goal is None else bool(value <= goal)
    return {"name": name, "value": float(f"{value:.4g}"), "unit": unit, "goal": goal, "met": met, "peer": peer}


def weighed(plan: Plan, scenario: Scenario) -> dict[str, float]:
    """The measures of a scenario of limits and prices, read off its solution as sampled futures are."""
    changed, _ = changed_by(plan, scenario, judged=False)
    solution = plan._session.resolve(plan._asked(changed))
    told = Gauge(changed, solution.matrix, solution.network)(solution.matrix, solution.values)
    return {name: told[name] for name in MEASURES}


def twelve(plan: Book) -> list[Scenario]:
    """Twelve scenarios of the kinds that companies ask about: hours, people, demand, prices, stock."""
    months = [f"{month:%Y-%m}" for month in plan.months]
    hours = [Change(table="capacity", where={"month": month}, column="overtime_limit", add=50) for month in months[1:5]]
    wants = [Change(table="demand_plan", column="consensus", scale=1 + by / 100) for by in (-10, -5, 5, 10)]
    costs = [Change(table="resources", column="hour_cost", scale=1 + by / 100) for by in (5, 10)]
    prices = [Change(table="demand_plan", column="price", scale=1 + by / 100) for by in (2, 4)]
    return [Scenario(title=change.sentence, changes=[change]) for change in (*hours, *wants, *costs, *prices)]


def _demo() -> Iterator[dict]:
    plan = sopkit.demo().plan()
    asked = twelve(plan)
    # a session is loaded on the first question: that is part of what twelve warm ones cost. Both are measured: a cold
    # one is written and re-derived for that, a warm one is read off its solution
    warm, together = _clocked(lambda: [weighed(plan, one) for one in asked])
    cold, apart = _clocked(lambda: [plan.what_if(one, warm=False).measured for one in asked])
    gap = max(abs(a[name] - b[name]) for a, b in zip(warm, cold, strict=True) for name in ("result", "net sales"))
    yield _figure(
        "decide: 12 scenarios on the demo", together / apart, "x 12 cold solves", 1 / 3, f"{apart:.1f} s cold"
    )
    yield _figure("decide: largest difference of result and sales", gap, "EUR", None, "cold")
    alone = Plan(plan.tables, plan.company, plan.cycle)
    for what, some, goal in (("plan", alone, 30.0), (f"plan and {len(plan.scenarios)} scenarios", plan, None)):
        risk, seconds = _clocked(lambda some=some: sampled(some, 300)["risk"])
        told = risk[(risk["option"] == "base") & (risk["measure"] == "result")].iloc[0]
        peer = f"result P10 {told['p10']:,.0f}, P90 {told['p90']:,.0f} EUR; with tornado, frontier and proof"
        yield _figure(f"decide: 300 sampled futures of the demo's {what}", seconds, "processor s", goal, peer)


def _reference() -> Iterator[dict]:
    size = demo.REFERENCE
    book = Book.of(made(size), company(size.horizon), demo.CYCLE)
    frames, alone = _clocked(lambda: supply.plan(book, explained=False))
    plan = Plan(book.tables, book.company, book.cycle).with_tables(frames)
    session, loaded = _clocked(lambda: Session(plan))
    changes = [next(iter(one.changes)) for one in twelve(plan)]
    tables: list[dict[str, pd.DataFrame]] = [dict([_after(plan, change)]) for change in changes]
    _, again = _clocked(lambda: [session.resolve(one) for one in tables])
    peer = f"{alone:.1f} s cold, planned and checked; {loaded:.1f} s to load"
    yield _figure("decide: 12 warm re-solves, 168,000 variables", again / alone, "x one cold solve", 2.0, peer)


def _after(plan: Book, change: Change) -> tuple[str, pd.DataFrame]:
    from sopkit.book import apply

    return change.table, apply(plan, [change], change.sentence)[0][change.table]


if __name__ == "__main__":
    for line in run():
        print(line)
