"""What is the plan, and how good was the last one? The pack of a cycle: one HTML file, and its tables for Excel."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sopkit.charts import Figure
    from sopkit.cycle import Cycle


def prepare(c: Cycle) -> dict[str, Any]:
    """The pack of the cycle (opened with stage `publish`) as a plain dictionary; table `kpis` is written."""
    from sopkit import kpis
    from sopkit.publish import pack

    tables = c.tables()
    tables |= c.save({"kpis": kpis.kpi_table(tables, c.company, c.cycle)})
    return pack.report(tables, c.company, c.cycle, c.manifest)


def figure(report: Mapping[str, Any], *titles: str) -> Figure:
    """The first of `titles` that the prepared report has: a first cycle has no last plan to show, so name a second.

    KeyError with the nearest titles where there is none.
    """
    from sopkit.errors import nearest
    from sopkit.publish import pack

    found = {one.title: one for one in pack.figures(report)}
    for title in titles:
        if title in found:
            return found[title]
    raise KeyError(f"no figure {titles[0]!r} in this pack: {nearest(titles[0], found)}")


def publish(c: Cycle, report: Mapping[str, Any] | None = None) -> Path:
    """Write `plan.xlsx`, and `plan.html` from its report (prepared here unless given); the path of the page.

    Each is put in place in one step: a reader sees the last one or this one, never half of it.
    """
    from sopkit.publish import pack, workbook

    report = report or prepare(c)
    tables = {name: c.read(name) for name in workbook.SHEETS.values()}
    c.write_file("plan.xlsx", workbook.write(tables, c.company, c.cycle, c.plan_hash()))
    return c.write_file("plan.html", pack.page(report))
