"""What a company's sources hold for a cycle, with every finding, and what of it goes into the cycle folder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import pandas as pd

from sopkit.book import Book, commitments, load_questions, load_scenarios
from sopkit.collect import cleanse, complete
from sopkit.collect.cells import as_frame, together
from sopkit.errors import Finding, FindingsError, plural
from sopkit.tables import RECORDS, TABLES, Company


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
        recorded = _recorded(self.folder, self.cycle)
        tables = self.snapshot(recorded.get("history_answers")) | recorded
        scenarios = load_scenarios(self.folder / "scenarios.yaml")
        return Book(tables, self.company, self.cycle, scenarios, load_questions(self.folder / "decisions.yaml"))

    def snapshot(self, answers: pd.DataFrame | None = None) -> dict[str, pd.DataFrame]:
        """Every table that stage collect writes, as declared: the only thing that later stages read.

        `answers` (table `history_answers`): planners' answers to proposed corrections of history.
        Raises FindingsError with every finding where one of them is an error.
        """
        if self.errors:
            raise FindingsError(
                (Finding(**row) for row in self.findings.to_dict("records") if row["severity"] == "error"),
                f"{self.company.name} cannot be planned for {self.cycle} and nothing was written",
            )
        tables = dict(self.tables) | {"findings": TABLES["findings"].conform(self.findings)}
        tables |= {"sources": self.sources, "source_rows": self.source_rows}
        tables |= complete.scorecard(tables, self.company, self.cycle)
        return tables | cleanse.clean(tables, self.company, self.cycle, answers)

    def with_carried(self, carried: Mapping[str, pd.DataFrame]) -> Collected:
        """This with what earlier cycles left in their folders (`Cycle.carried`), so that nobody copies it by hand.

        A cycle that the company's own table holds is left out; a plan of the company's own stays as it is. What names a
        product, site or market that is gone is left out too, and a finding counts it. What was adopted binds
        (`book.commitments`).
        """
        tables, findings = dict(self.tables), []
        for name, frame in carried.items():
            known, declared = tables.get(name), TABLES[name]
            if known is None or frame.empty or (len(known) and "cycle" not in declared.names):
                continue
            new = frame
            if frame is not known and "cycle" in declared.names:
                new = frame[~frame["cycle"].isin(known["cycle"])]
            gone = pd.Series(False, index=new.index)
            for column in (one for one in declared if one.refs):
                keys = [tables[ref][TABLES[ref].key[0]] for ref in column.refs if ref in tables]
                gone |= ~new[column.name].isin(pd.concat(keys))
            if gone.any():
                rule = f"{int(gone.sum()):,} rows of earlier cycles name what is no longer there and are left out"
                fix = "Nothing, if it was meant to go; otherwise bring it back into its table."
                findings.append(Finding(name, 0, "", "", rule, "warning", "", fix))
            new = new.loc[~gone, declared.names]
            tables[name] = declared.conform(pd.concat([known, new], ignore_index=True) if len(known) else new)
        if len(left := carried.get("commitments", ())):
            closed, months = carried.get("closings", TABLES["closings"].empty()), self.company.months(self.cycle)
            tables, more = commitments.overlaid(tables, left, closed, months)
            findings += more
        asked = self.findings
        answered = [name for name in carried if len(tables.get(name, ()))]
        asked = asked[~(asked["rule"].eq(complete.UNSAID) & asked["table"].isin(answered))]
        found = together([asked, as_frame(findings)]) if findings else asked
        return replace(self, tables=tables, findings=found.reset_index(drop=True))


def moved(effects: pd.DataFrame) -> pd.DataFrame:
    """Rows of table `past_overrides` from table `override_effects` of earlier cycles.

    One person's overrides of a month are judged together: from before the first to after the last.
    """
    rows = effects.sort_values("id", kind="stable").groupby(list(TABLES["past_overrides"].key), as_index=False)
    return rows.agg(before=("before", "first"), after=("after", "last"), reason=("reason", "; ".join))


def _recorded(folder: Path, cycle: str) -> dict[str, pd.DataFrame]:
    """What people recorded up to `cycle`; nothing where the company has no records database, and none is made."""
    if not os.environ.get("SOPKIT_RECORDS") and not (folder / "records.sqlite").is_file():
        return {}
    from sopkit.records import Records

    records = Records.of(folder.name)
    return {record.name: records.read(record.name, cycle=cycle) for record in RECORDS}
