"""A cycle of a company of a few lines, up to the meeting: stage by stage through the real rooms, without notebooks."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import small_company
from small_company import BAGS_MONTHS, CYCLE, company, read

from sopkit import decide as decided
from sopkit import publish, reconcile, supply
from sopkit.book import Book, Plan, commitments
from sopkit.cycle import Cycle
from sopkit.demand import consensus
from sopkit.demand.grid import Notes
from sopkit.tables import TABLES, written_by

ASKED = "Do we work overtime in March?"
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


def bags(first: str = CYCLE) -> dict[str, pd.DataFrame]:
    """The company of two bags, with people who may decide; its plan begins with month `first`."""
    return small_company.bags(first) | read(PEOPLE)


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
    carried, of = Cycle.open("bags", cycle, stage="collect").carried(), company(BAGS_MONTHS)
    book = Book.of(tables, of, cycle)
    bound, _ = commitments.overlaid(book.tables, carried["commitments"], carried["closings"], of.months(cycle))
    book = book.with_tables(bound)
    notes = Notes("agree")
    left = {name: frame for name, frame in carried.items() if name not in ("commitments", "closings")}
    book = book.with_tables(
        left | {"demand_plan": consensus.committed(book, "demand_plan", book["demand_plan"], notes)}
    )
    for stage in ("collect", "demand"):
        frames = {name: book[name] for name in written_by(stage)}
        done(Cycle.open("bags", cycle, stage=stage), frames)
    for stage, door in (("supply", supply.plan), ("reconcile", reconcile.plan)):
        c = Cycle.open("bags", cycle, stage=stage)
        done(c, door(c.book))


def decide(option: str, by: str = "Greta", cycle: str = CYCLE) -> None:
    """The meeting's answer to the company's question."""
    c = Cycle.open("bags", cycle)
    said = {"question": ASKED, "option": option, "reason": "March is short", "status": "approved", "due": "2026-02"}
    c.records.add("decisions", author=by, cycle=cycle, plan_hash=c.plan_hash("reconcile"), **said)


def after_the_meeting(cycle: str = CYCLE, *, pack: bool = False) -> Plan:
    """Stages decide and publish, as their notebooks make them; the `pack` takes longest."""
    c = Cycle.open("bags", cycle, stage="decide")
    done(c, decided.plan(c.book))
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
