"""Every table, declared once: `TABLES["products"]`; the only language between the rooms."""

from __future__ import annotations

from sopkit.errors import nearest
from sopkit.tables.company import Company
from sopkit.tables.declare import Column, Table
from sopkit.tables.inputs import INPUTS
from sopkit.tables.plans import PLANS
from sopkit.tables.reading import load_company, load_yaml, parse_cycle, to_yaml, validated
from sopkit.tables.records import RECORDS
from sopkit.tables.source import Source
from sopkit.tables.stages import BY_NAME, PLAN_OF_RECORD, STAGES, Stage

TABLES: dict[str, Table] = {table.name: table for table in (*INPUTS, *RECORDS, *PLANS)}
if len(TABLES) != len(INPUTS) + len(RECORDS) + len(PLANS):
    raise ValueError("two tables have one name")


def table(name: str) -> Table:
    """The declaration of table `name`; KeyError with the nearest names where there is none."""
    if name not in TABLES:
        raise KeyError(f"no table {name!r}: {nearest(name, TABLES)}")
    return TABLES[name]


def written_by(stage: str) -> list[str]:
    """Names of the tables that `stage` writes, in declared order."""
    return [table.name for table in TABLES.values() if table.stage == stage]


__all__ = [
    "BY_NAME", "INPUTS", "PLANS", "PLAN_OF_RECORD", "RECORDS", "STAGES", "TABLES", "Column", "Company", "Source",
    "Stage", "Table", "load_company", "load_yaml", "parse_cycle", "table", "to_yaml", "validated", "written_by",
]  # fmt: skip
