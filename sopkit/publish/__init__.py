"""What is the plan, and how good was the last one? The pack of a cycle as one HTML file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sopkit.cycle import Cycle


def publish(c: Cycle) -> Path:
    """Write table `kpis` and `plan.html` of the cycle (opened with stage `publish`); the path of the page.

    The page is put in place in one step: a reader sees the last one or this one, never half of it.
    """
    from sopkit import kpis
    from sopkit.publish import pack

    tables = c.tables()
    tables |= c.save({"kpis": kpis.kpi_table(tables, c.company, c.cycle)})
    return c.write_file("plan.html", pack.page(pack.report(tables, c.company, c.cycle, c.manifest)))
