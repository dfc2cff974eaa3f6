"""What a company's sources hold for a cycle, with every finding."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from sopkit.errors import plural

if TYPE_CHECKING:
    import pandas as pd

    from sopkit.book import Book
    from sopkit.tables import Company


@dataclass(frozen=True)
class Collected:
    """What a company's sources hold for a cycle: checked tables, findings, and where each table came from."""

    folder: Path
    cycle: str
    company: Company
    tables: dict[str, pd.DataFrame]
    findings: pd.DataFrame
    sources: pd.DataFrame = field(repr=False)
    source_rows: pd.DataFrame = field(repr=False)

    @cached_property
    def errors(self) -> int:
        """Number of findings that make a plan impossible."""
        return int(self.findings["severity"].eq("error").sum())

    def grouped(self) -> pd.DataFrame:
        """The findings for a person: one line for a table, column and rule, with the first rows; errors first."""
        from sopkit.collect import figures

        return figures.grouped(self.findings)

    def summary(self, most: int = 20) -> str:
        """The findings as text for a screen: at most `most` groups, the rest counted."""
        lines = self.grouped()
        rows = sum(len(frame) for frame in self.tables.values())
        warnings = len(self.findings) - self.errors
        found = f"{plural(self.errors, 'error')}, {plural(warnings, 'warning')}"
        text = [f"{len(self.tables)} tables, {rows:,} rows; {found}."]
        for line in lines.head(most).itertuples():
            where = line.table + (f", column {line.column}" if line.column else "")
            value = f" ({line.values})" if line.values else ""
            row = f", row {line.rows}" if line.rows else ""
            allowed = f" Allowed: {line.allowed}." if line.allowed else ""
            times = f", {line.count:,} times" if line.count > 1 else ""
            text.append(f"  {line.severity}  {where}{row}: {line.rule}{value}{times}.{allowed} {line.fix}")
        if len(lines) > most:
            text.append(f"  ... and {len(lines) - most:,} more kinds; --findings FILE.csv writes every finding.")
        return "\n".join(text)

    def book(self) -> Book:
        """The tables with corrected history and what people recorded for this company, as a book to plan from.

        Raises FindingsError with every finding where one of them is an error.
        """
        from sopkit.book import Book, load_questions, load_scenarios
        from sopkit.tables import RECORDS

        recorded = _recorded(self.folder, self.cycle, [record.name for record in RECORDS])
        tables = self.snapshot(recorded.get("history_answers")) | recorded
        scenarios = load_scenarios(self.folder / "scenarios.yaml")
        return Book(tables, self.company, self.cycle, scenarios, load_questions(self.folder / "decisions.yaml"))

    def snapshot(self, answers: pd.DataFrame | None = None) -> dict[str, pd.DataFrame]:
        """Every table that stage collect writes: inputs, findings, sources, corrected history (see `snapshot.frames`).

        Raises FindingsError with every finding where one of them stops the plan.
        """
        from sopkit.collect import snapshot

        return snapshot.frames(self, answers)


def _recorded(folder: Path, cycle: str, names: Iterable[str]) -> dict[str, pd.DataFrame]:
    """What people recorded up to `cycle`; nothing where the company has no records database, and none is made."""
    import os

    if not os.environ.get("SOPKIT_RECORDS") and not (folder / "records.sqlite").is_file():
        return {}
    from sopkit.records import Records

    records = Records.of(folder.name)
    return {name: records.read(name, cycle=cycle) for name in names}
