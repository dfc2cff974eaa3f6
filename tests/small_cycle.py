"""A cycle of a company of a few lines, up to the meeting: stage by stage through the real rooms, without notebooks."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from small_company import CYCLE, company, demand, months, read

from sopkit import decide, publish, reconcile, supply
from sopkit.book import Book, Plan
from sopkit.cycle import Cycle
from sopkit.tables import TABLES, written_by

COUNT = 3
TABLES_OF_BAGS = """
    families
    family, name
    F, Bags

    products
    product, family, name, price, standard_cost, uom
    A, F, Small bag, 20, 8, pcs
    B, F, Large bag, 30, 12, pcs

    sites
    site, name, kind
    PLANT, Plant, plant

    markets
    market, region, channel, name
    SHOPS, North, retail, Shops

    resources
    resource, site, name, hour_cost, overtime_cost
    LINE, PLANT, Line, 10, 15

    routings
    item, resource, hours
    A, LINE, 1
    B, LINE, 2

    lanes
    origin, destination
    PLANT, SHOPS

    service_policies
    product, market, unmet, backlog_price, lost_price
    A, SHOPS, lost, 0, 5
    B, SHOPS, lost, 0, 5

    people
    name, role, may_sign
    Greta, director, decide publish
    Ada, planner, demand
    """
SCENARIOS = """
overtime:
  title: Thirty hours of overtime in March
  changes:
    - {table: capacity, where: {resource: LINE, month: 2026-03}, column: overtime_limit, add: 30}
weekend:
  title: A weekend shift in March
  once: 200
  changes:
    - {table: capacity, where: {resource: LINE, month: 2026-03}, column: overtime_limit, set: 60}
rush:
  title: Shops want thirty more large bags in March
  kind: event
  probability: 0.25
  changes:
    - {table: demand_plan, where: {product: B, month: 2026-03}, column: consensus, add: 30}
"""
QUESTIONS = """
- question: Do we work overtime in March?
  options: [base, overtime, weekend]
  owner: Tom
  due: 2026-02
"""


def bags() -> dict[str, pd.DataFrame]:
    """One line makes two bags for one market; demand is above capacity in March."""
    tables, each = read(TABLES_OF_BAGS), months(COUNT)
    tables["calendar"] = pd.DataFrame({"month": each, "working_days": 20})
    tables["capacity"] = pd.DataFrame({"resource": "LINE", "month": each, "hours": 100.0, "overtime_limit": 10.0})
    tables["demand_plan"] = demand({("A", "SHOPS"): [30, 40, 90], ("B", "SHOPS"): [20, 25, 60]}, {"A": 20, "B": 30})
    return tables


def to_the_meeting(root: Path, tables: dict[str, pd.DataFrame], cycle: str = CYCLE) -> None:
    """Lay out company `bags` in `root`/data and make its cycle up to stage reconcile in `root`/reports."""
    folder = root / "data" / "bags"
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in (
        ("company", f"name: Bags\nhorizon: {COUNT}\ndecision: {{standard_events: 0}}\n"),
        ("scenarios", SCENARIOS),
        ("decisions", QUESTIONS),
    ):
        if not (folder / f"{name}.yaml").exists():
            (folder / f"{name}.yaml").write_text(text)
    book = Book.of(tables, company(COUNT), cycle)
    for stage in ("collect", "demand"):
        frames = {name: book[name] for name in written_by(stage)}
        done(Cycle.open("bags", cycle, stage=stage), frames)
    for stage, door in (("supply", supply.plan), ("reconcile", reconcile.plan)):
        c = Cycle.open("bags", cycle, stage=stage)
        done(c, door(c.book))


def after_the_meeting(cycle: str = CYCLE, *, pack: bool = False) -> Plan:
    """Stages decide and publish, as their notebooks make them; the `pack` takes longest."""
    c = Cycle.open("bags", cycle, stage="decide")
    done(c, decide.plan(c.book))
    c = Cycle.open("bags", cycle, stage="publish")
    plan = c.save(publish.plan(c.book))
    if pack:
        publish.publish(c, plan)
    c.mark("publish", "done")
    return plan


def done(c: Cycle, frames: dict[str, pd.DataFrame]) -> None:
    """Save and note in the log what a notebook of the stage would have saved."""
    c.save({name: frame for name, frame in frames.items() if len(frame) or TABLES[name.rpartition("/")[2]].required})
    c.mark(c.stage, "done")
