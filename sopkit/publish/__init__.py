"""What is the plan, and how good was the last one? The pack of a cycle: one HTML file, and its tables for Excel."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from sopkit.book import Book
    from sopkit.cycle import Cycle
    from sopkit.engine import Engine


def plan(book: Book, *, engine: Engine | str | None = None) -> dict[str, pd.DataFrame]:
    """Table `kpis`: the KPIs of the book's plan, past and planned. `engine` is not used: nothing is solved here."""
    from sopkit import kpis

    return {"kpis": kpis.kpi_table(book)}


def publish(c: Cycle, book: Book) -> Path:
    """Write `plan.xlsx` and `plan.html` of `book` (every table, `kpis` among them); the path of the page.

    Each is put in place in one step: a reader sees the last one or this one, never half of it.
    """
    from sopkit.publish import pack, workbook

    book = replace(book, manifest=c.manifest)
    c.write_file("plan.xlsx", workbook.write(book, c.plan_hash()))
    return c.write_file("plan.html", pack.page(pack.report(book)))
