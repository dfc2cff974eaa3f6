"""A cycle of a company of a few lines, up to the meeting: stage by stage through the real rooms, without notebooks."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import small_company
from small_company import BAGS_MONTHS, CYCLE, company, read

from sopkit import decide, publish, reconcile, supply
from sopkit.book import Book, Plan
from sopkit.cycle import Cycle
from sopkit.tables import TABLES, written_by

PEOPLE = """
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
    """The company of two bags, with people who may decide."""
    return small_company.bags() | read(PEOPLE)


def to_the_meeting(root: Path, tables: dict[str, pd.DataFrame], cycle: str = CYCLE) -> None:
    """Lay out company `bags` in `root`/data and make its cycle up to stage reconcile in `root`/reports."""
    folder = root / "data" / "bags"
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in (
        ("company", f"name: Bags\nhorizon: {BAGS_MONTHS}\ndecision: {{standard_events: 0}}\n"),
        ("scenarios", SCENARIOS),
        ("decisions", QUESTIONS),
    ):
        if not (folder / f"{name}.yaml").exists():
            (folder / f"{name}.yaml").write_text(text)
    book = Book.of(tables, company(BAGS_MONTHS), cycle)
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
