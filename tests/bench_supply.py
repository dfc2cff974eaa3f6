"""How fast the supply model is built, handed over, solved and solved again: `python tests/bench.py supply [SIZE]`.

Ratios are taken in one run against peers on the same matrix or the same network: HiGHS alone (arrays, no modelling
language), and linopy with the same rules, whose optimum must be ours. SIZE `default` ends with a sparse network of 400
products, `full` with one of 2,000 (24 months; some ten minutes). Times are processor seconds of one thread, so that a
shared machine does not blur the ratios; the long ones are given in wall seconds too. Needs the extra `bench`.
"""

from __future__ import annotations

import json
import os
import resource
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import demo_company as demo
import highspy
import numpy as np
import pandas as pd
from small_company import CYCLE, company, made, trigeiro

import sopkit
from sopkit.book import Book
from sopkit.supply import READS
from sopkit.supply.accelerator import matrix
from sopkit.supply.explain import explain
from sopkit.supply.loaded import Effort, Loaded
from sopkit.supply.matrix import Matrix
from sopkit.supply.network import Network
from sopkit.supply.resolve import Session
from sopkit.supply.solve import Parts, built, solve
from sopkit.tables import TABLES

SCENARIOS = 20
COLD_CHECKS = 3


def run(size: str = "default") -> Iterator[dict]:
    """Each figure as name, value, unit, goal, met, peer. `size`: `default`, `full` or `stage` alone."""
    if size == "stage":
        yield from _stage()
        return
    tables = made(demo.REFERENCE)
    yield from _hand_over(tables)
    yield from _again(tables)
    yield from _promises(tables)
    yield from _set_ups()
    yield from _shifts()
    yield from _trigeiro()
    yield from _apart()
    yield from _million()
    yield from _growth([50, 100, 200, 400] if size == "default" else [200, 500, 1000, 2000])


def _figure(name: str, value: float, unit: str, goal: float | None = None, peer: str = "") -> dict:
    return {
        "name": name, "value": float(f"{value:.6g}"), "unit": unit, "goal": goal,
        "met": None if goal is None else bool(value <= goal), "peer": peer,
    }  # fmt: skip


def _clocked(work: Callable[[], Any]) -> tuple[Any, float]:
    """What `work` gives, and the processor seconds it took: everything here runs in one thread of this process."""
    start = time.process_time()
    got = work()
    return got, time.process_time() - start


@contextmanager
def _silent() -> Iterator[None]:
    """Nothing on standard output, HiGHS's banner included, which linopy cannot turn off; no warnings of linopy's."""
    kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)


def _hand_over(tables: dict[str, pd.DataFrame]) -> Iterator[dict]:
    """Build and hand over against linopy; the whole way against HiGHS alone on the same matrix."""
    settings = company(demo.REFERENCE.horizon)
    network, seconds = _clocked(lambda: Network(Book.of(tables, settings, demo.CYCLE)))
    yield _figure("reference: tables checked and turned into sets", seconds, "s")
    build_peer = _linopy(tables)
    ours, theirs = [], []
    for _ in range(3):
        whole, read = _clocked(lambda: matrix(built(network)))
        loaded, passed = _clocked(lambda whole=whole: Loaded(whole))
        ours.append(read + passed)
        with _silent():
            highs, spent = _clocked(build_peer)
        theirs.append(spent)
    assert not whole.note, f"read row by row: {whole.note}"
    yield _figure("reference: variables", whole.shape[1], "count")
    yield _figure("reference: rules", whole.shape[0], "count")
    yield _figure("reference: build and hand over", min(ours), "s", None, f"linopy {min(theirs):.2f} s")
    yield _figure("reference: build and hand over / linopy", min(ours) / min(theirs), "ratio", 1.0, "linopy to highspy")
    answer, alone = _clocked(loaded.answer)
    _, total = _clocked(lambda: solve(built(network)))
    yield _figure(
        "reference: build, hand over and solve / HiGHS alone",
        total / alone,
        "ratio",
        1.05,
        f"HiGHS on the same arrays {alone:.2f} s",
    )
    highs.setOptionValue("solver", "ipx")
    highs.run()
    off = abs(-highs.getInfo().objective_function_value - answer.profit) / abs(answer.profit)
    yield _figure("reference: optimum against linopy's", off, "relative", 1e-6, "the same network in linopy")


def _linopy(tables: dict[str, pd.DataFrame]) -> Callable[[], highspy.Highs]:
    """What builds the reference network in linopy, with the same rules, and hands it to HiGHS; its arrays are ready."""
    import linopy
    import xarray as xr
    from linopy.io import to_highspy

    capacity = tables["capacity"].assign(hours=lambda frame: frame["hours"] - frame["maintenance"])
    site = tables["resources"].set_index("resource")["site"]

    def grid(frame: pd.DataFrame, value: str, *names: str) -> xr.DataArray:
        return (
            frame.rename(columns={"item": "product", "origin": "site", "destination": "market"})
            .set_index(list(names))[value]
            .to_xarray()
            .fillna(0.0)
        )

    routing = tables["routings"].assign(site=tables["routings"]["resource"].map(site))
    capacity = capacity.assign(site=capacity["resource"].map(site))
    plan, service = tables["demand_plan"], tables["service_policies"]
    demand, price = (grid(plan, name, "product", "market", "month") for name in ("consensus", "price"))
    hours, cost = (grid(routing, name, "product", "site") for name in ("hours", "cost"))
    freight = grid(tables["lanes"], "cost", "site", "market")
    opening = grid(tables["inventory"], "quantity", "site", "product").reindex_like(hours, fill_value=0.0)
    holding = grid(tables["policies"], "holding_cost", "site", "product")
    waits = service.assign(
        most=np.where(service["unmet"].isin(["backlog", "either"]), np.inf, 0.0),
        lose=np.where(service["unmet"].eq("backlog"), 0.0, np.inf),
    )
    lines = tables["resources"].set_index("site")
    hour, overtime = (lines[name].to_xarray() for name in ("hour_cost", "overtime_cost"))
    late, lost = (grid(service, name, "product", "market") for name in ("backlog_price", "lost_price"))
    most_late, most_lost = (grid(waits, name, "product", "market") + xr.zeros_like(demand) for name in ("most", "lose"))
    regular, extra = (grid(capacity, name, "site", "month") for name in ("hours", "overtime_limit"))
    first = xr.DataArray(np.r_[1.0, np.zeros(demand.sizes["month"] - 1)], coords=[demand.indexes["month"]])
    product, site, market, month = (
        (hours if name in ("product", "site") else demand).indexes[name]
        for name in ("product", "site", "market", "month")
    )

    def build() -> highspy.Highs:
        m = linopy.Model()
        make = m.add_variables(lower=0, coords=[product, site, month], name="make")
        hold = m.add_variables(lower=0, coords=[product, site, month], name="hold")
        ship = m.add_variables(lower=0, coords=[product, site, market, month], name="ship")
        wait = m.add_variables(lower=0, upper=most_late, name="wait")
        lose = m.add_variables(lower=0, upper=most_lost, name="lose")
        run_ = m.add_variables(lower=0, upper=regular, name="run")
        over = m.add_variables(lower=0, upper=extra, name="over")
        m.add_constraints(hold.shift(month=1) + make - hold - ship.sum("market") == -(opening * first), name="stock")
        m.add_constraints(ship.sum("site") + lose + wait - wait.shift(month=1) == demand, name="demand")
        m.add_constraints((hours * make).sum("product") - run_ - over == 0, name="work")
        m.add_objective(
            (ship * (freight - price)).sum()
            + (cost * make).sum()
            + (hour * run_).sum()
            + (overtime * over).sum()
            + (holding * hold).sum()
            + (late * wait).sum()
            + (lost * lose).sum()
        )
        highs = to_highspy(m)
        for option, value in {"output_flag": False, "threads": 1}.items():
            highs.setOptionValue(option, value)
        return highs

    return build


def _changes(tables: dict[str, pd.DataFrame]) -> Iterator[dict[str, pd.DataFrame]]:
    """Twenty questions as a meeting asks them: demand, capacity, prices, stock; one place, one month, or everything."""
    rng = np.random.default_rng(demo.SEED)
    plan, capacity, stocked = tables["demand_plan"], tables["capacity"], tables["policies"]
    markets, products = sorted(plan["market"].unique()), sorted(plan["product"].unique())
    months, resources = sorted(plan["month"].unique()), sorted(capacity["resource"].unique())

    def scaled(name: str, column: str, factor: float, where) -> dict[str, pd.DataFrame]:
        frame = tables[name]
        return {name: frame.assign(**{column: frame[column].astype(float).where(~where, frame[column] * factor)})}

    for _ in range(4):
        yield scaled("demand_plan", "consensus", 1.05, plan["market"].eq(rng.choice(markets)))
    for _ in range(4):
        yield scaled("demand_plan", "consensus", rng.uniform(0.8, 1.3), plan["product"].isin(rng.choice(products, 10)))
    for _ in range(2):
        yield scaled("demand_plan", "consensus", rng.uniform(0.95, 1.1), plan["month"].notna())
    for _ in range(4):
        down = capacity["resource"].eq(rng.choice(resources)) & capacity["month"].eq(rng.choice(months))
        yield scaled("capacity", "hours", rng.choice([0.5, 1.2]), down)
    for _ in range(3):
        yield scaled("demand_plan", "price", rng.uniform(0.9, 1.05), plan["market"].eq(rng.choice(markets)))
    for _ in range(3):
        wished = stocked["safety_stock"] * rng.uniform(0.5, 1.5)
        yield {"policies": stocked.assign(safety_stock=wished)}


def _again(tables: dict[str, pd.DataFrame]) -> Iterator[dict]:
    """Re-solves of changed tables against a cold solve of the same tables, everything from tables to optimum."""
    settings = company(demo.REFERENCE.horizon)
    wished = {"safety_stock": 20.0, "safety_stock_price": 3.0}  # the reference has no stock targets: give it some
    tables = tables | {"policies": tables["policies"].assign(**wished)}
    session, cold = _clocked(lambda: Session(Book.of(tables, settings, demo.CYCLE)))
    spent, worst, colds = [], 0.0, [cold]
    for number, changed in enumerate(_changes(tables)):
        solution, seconds = _clocked(lambda changed=changed: session.resolve(changed))
        spent.append(seconds)
        if number % (SCENARIOS // COLD_CHECKS) == 0:
            again, seconds = _clocked(lambda changed=changed: Session(Book.of(tables | changed, settings, demo.CYCLE)))
            colds.append(seconds)
            worst = max(worst, abs(again.base.profit - solution.profit) / abs(again.base.profit))
    cold = float(np.median(colds))
    yield _figure("re-solve: cold, tables to optimum, median", cold, "s")
    yield _figure("re-solve: warm, tables to optimum, slowest", max(spent), "s")
    ratio = np.median(spent) / cold
    yield _figure(f"re-solve: median of {len(spent)} scenarios / cold", ratio, "ratio", 0.04, "cold solve")
    yield _figure("re-solve: optimum against cold, worst", worst, "relative", 1e-6, "cold solve")


def _promises(tables: dict[str, pd.DataFrame]) -> Iterator[dict]:
    """Too few hours, supply by priority class: every promise in turn, then money, against money alone."""
    tables = tables | {"capacity": tables["capacity"].assign(hours=0.7 * tables["capacity"]["hours"])}
    tables["markets"] = tables["markets"].assign(priority=1 + np.arange(len(tables["markets"])) % 3)
    book = Book.of(tables, company(demo.REFERENCE.horizon, allocation="priority"), demo.CYCLE)
    whole = matrix(built(Network(book)))
    answer, ranked = _clocked(lambda: Loaded(whole).answer())
    _, alone = _clocked(lambda: Loaded(replace(whole, promises={})).answer())
    yield _figure("promises: broken by rank", len(answer.broken), "count")
    yield _figure(
        "promises: by rank, then money / money alone", ranked / alone, "ratio", 1.4, f"one solve {alone:.2f} s"
    )


def _set_ups() -> Iterator[dict]:
    """Set-ups of every lot over a year, to the gap of the settings: a thousandth."""
    size = demo.Size(
        products=10, families=2, plants=2, dcs=1, markets=3, resources=4, materials=3, horizon=12, history=24
    )
    tables = made(size)
    tables["routings"] = tables["routings"].assign(setup_hours=4.0, setup_cost=300.0)
    session, seconds = _clocked(lambda: Session(Book.of(tables, company(12), demo.CYCLE)))
    answer = session.base.answer
    yield _figure("set-ups: whole numbers", session.base.measures["whole-number decisions"], "count")
    yield _figure("set-ups: tables to the plan", seconds, "s", 15.0)
    yield _figure("set-ups: gap", answer.gap / abs(answer.profit), "relative", 1e-3)


def _shifts() -> Iterator[dict]:
    """The demo with three shifts on each line and sites that may be closed: how long the reasons take."""
    book = sopkit.demo().demand()
    lines, hours = book["resources"], book["capacity"].groupby("resource")["hours"].mean().round()
    places = [(row.resource, shift, part * hours[row.resource], 0.3 * row.hour_cost * part * hours[row.resource], 500.0)
              for row in lines.itertuples() for shift, part in ((1, 0.6), (2, 0.4), (3, 0.3))]  # fmt: skip
    places += [(site, 1, 0.0, 5000.0, 5000.0) for site in book["sites"]["site"]]
    shifts = pd.DataFrame(places, columns=["place", "shift", "hours", "cost", "start_cost"])
    shifts = shifts.assign(stop_cost=0.6 * shifts["start_cost"], worked=shifts["shift"] < 3)
    closed = {"shifts": TABLES["shifts"].conform(shifts), "capacity": book["capacity"].assign(hours=0.0)}
    session, solved = _clocked(lambda: Session(book.with_tables(closed)))
    told, seconds = _clocked(lambda: explain(session))
    yield _figure("the demo with shifts: whole numbers", session.base.measures["whole-number decisions"], "count")
    yield _figure("the demo with shifts: tables to the plan", solved, "s")
    yield _figure("the demo with shifts: levers told", len(told["levers"]), "count")
    yield _figure("the demo with shifts: why not more, and levers", seconds, "s", 60.0, "not within 500 s before")


def _trigeiro() -> Iterator[dict]:
    """Published lot-sizing problems to their proven optimum; the goal is a fifth of what issue 10 measured."""
    cases = json.loads((Path(__file__).parent / "textbook.json").read_text(encoding="utf-8"))["trigeiro"]
    for name, measured in (("G53", 64), ("G57", 219), ("G62", 372)):
        case = cases[name]
        book = Book.of(trigeiro(case), company(len(case["demand"])), CYCLE)
        loaded = Loaded(matrix(built(Network(book))), effort=Effort(gap=1e-6, seconds=900.0))
        answer, seconds = _clocked(loaded.answer)
        peer = f"{measured} s when issue 10 was written"
        yield _figure(f"Trigeiro {name}: to the proven optimum", seconds, "s", measured / 5, peer)
        off = abs(-answer.profit - case["min_cost"]) / case["min_cost"]
        yield _figure(f"Trigeiro {name}: against the published optimum", off, "relative", 1e-6, "published")


def _two_companies() -> Matrix:
    """Two trades that share nothing, in one set of tables."""
    size = demo.Size(products=60, families=3, plants=3, dcs=0, markets=8, resources=3, history=24, stock_policies=False)
    both: dict[str, list[pd.DataFrame]] = {}
    for at, seed in enumerate((1, 2)):
        for name, frame in ((name, frame) for name, frame in made(size, seed).items() if name in READS):
            text = frame.select_dtypes("object").columns.difference(
                ["kind", "unmet", "uom", "currency", "curve", "counted_in"]
            )
            coded = frame.assign(**{c: frame[c].where(frame[c].eq(""), f"{at}-" + frame[c].astype(str)) for c in text})
            both.setdefault(name, []).append(coded if name != "calendar" else frame)
    tables = {name: pd.concat(frames, ignore_index=True) for name, frames in both.items() if name != "calendar"}
    tables |= {"calendar": both["calendar"][0]}
    return matrix(built(Network(Book.of(tables, company(size.horizon), demo.CYCLE))))


def _apart() -> Iterator[dict]:
    whole = _two_companies()
    together, one = _clocked(lambda: Loaded(whole).answer())
    parts = Parts(whole, least=0)
    apart, two = _clocked(parts.answer)
    yield _figure("independent parts: heaps", len(parts.places), "count")
    yield _figure("independent parts: one after the other / whole", two / one, "ratio", None, f"whole {one:.2f} s")
    yield _figure("independent parts: sum of profits against whole", abs(apart.profit - together.profit)
                  / abs(together.profit), "relative", 1e-9, "the whole in one")  # fmt: skip


def _million() -> Iterator[dict]:
    """A million decisions: declared, read as one matrix and handed over."""
    size = demo.sparse(1_096)
    network = Network(Book.of(made(size), company(size.horizon), demo.CYCLE))
    whole, read = _clocked(lambda: matrix(built(network)))
    _, passed = _clocked(lambda: Loaded(whole))
    assert whole.shape[1] >= 1_000_000 and not whole.note
    yield _figure(f"{whole.shape[1]:,} variables: build and hand over", read + passed, "s", 3.0)


def _stage() -> Iterator[dict]:
    """A wide company through the whole stage: from tables to a plan that is re-derived and explained."""
    size = replace(demo.sparse(2_000), markets=20, horizon=18)
    tables = made(size)
    tables["demand_plan"] = tables["demand_plan"].assign(consensus=lambda plan: plan["consensus"] * 0.4)  # 20 markets
    session, solved = _clocked(lambda: Session(Book.of(tables, company(size.horizon), demo.CYCLE)))
    plan, written = _clocked(lambda: session.plan(explained=True))
    assert plan["supply_checks"]["holds"].all()
    name = "2,000 products x 20 markets x 18 months"
    yield _figure(f"{name}: variables", session.parts.matrix.shape[1], "count")
    yield _figure(f"{name}: tables to optimum", solved, "s")
    yield _figure(f"{name}: plan written, re-derived, explained", written, "s")
    yield _figure(f"{name}: the whole stage", solved + written, "s", 300.0)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    yield _figure(f"{name}: memory at most", memory, "GB", 4.0)


def _growth(sizes: list[int]) -> Iterator[dict]:
    """Sparse networks of growing size, from tables to the optimum."""
    for products in sizes:
        tables, settings = made(demo.sparse(products)), company(demo.sparse(products).horizon)
        start = time.perf_counter()
        session, processor = _clocked(lambda: Session(Book.of(tables, settings, demo.CYCLE)))  # noqa: B023
        wall = time.perf_counter() - start
        last = products == sizes[-1]
        name = f"sparse, {products:,} products x 24 months"
        yield _figure(f"{name}: variables", session.parts.matrix.shape[1], "count")
        yield _figure(f"{name}: tables to optimum", wall, "s", 600.0 if last else None)
        yield _figure(f"{name}: processor time", processor, "s")
        if last:
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
            yield _figure(f"{name}: memory of the whole run at most", memory, "GB", 8.0)
