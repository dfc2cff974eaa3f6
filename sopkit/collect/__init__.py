"""Stage 1, collect: are the numbers good enough to plan with? A company's exports become checked tables."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

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

    @cached_property
    def stops(self) -> int:
        """Number of findings that make a plan impossible."""
        return int(self.findings["severity"].eq("stop").sum())

    def grouped(self) -> pd.DataFrame:
        """The findings for a person: one line for a table, column and rule, with the count and the first rows."""
        from sopkit.collect import check

        return check.grouped(self.findings)

    def summary(self, most: int = 20) -> str:
        """The findings as text for a screen: at most `most` groups, the rest counted."""
        lines = self.grouped()
        rows = sum(len(frame) for frame in self.tables.values())
        looks = len(self.findings) - self.stops
        said = [
            f"{len(self.tables)} tables, {rows:,} rows; {self.stops:,} finding(s) stop the plan, {looks:,} to look at."
        ]
        for line in lines.head(most).itertuples():
            where = line.table + (f", column {line.column}" if line.column else "")
            value = f" ({line.values})" if line.values else ""
            row = f", row {line.rows}" if line.rows != "0" else ""
            allowed = f" Allowed: {line.allowed}." if line.allowed else ""
            said.append(
                f"  {line.severity}  {where}{row}: {line.rule}{value}, {line.count:,} time(s).{allowed} {line.cure}"
            )
        if len(lines) > most:
            said.append(f"  ... and {len(lines) - most:,} more kinds of findings.")
        return "\n".join(said)


def collect(company_folder: Path | str, cycle: str, *, memory: dict | None = None) -> Collected:
    """Read, convert and check every input table of the company in `company_folder` for `cycle`.

    Nothing is written. `memory`: a dictionary in which the caller keeps tables whose source did not change, for those
    who check again after each correction. Raises SettingsError where company.yaml is wrong; wrong data never raise.
    """
    from sopkit.collect import check, mapping

    return check.everything(mapping.load(Path(company_folder), cycle), memory)
