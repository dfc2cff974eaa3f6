"""Stage 1, collect: are the numbers good enough to plan with? A company's exports become checked tables."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

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

    @cached_property
    def errors(self) -> int:
        """Number of findings that make a plan impossible."""
        return int(self.findings["severity"].eq("error").sum())

    def grouped(self) -> pd.DataFrame:
        """The findings for a person: one line for a table, column and rule, with the count and the first rows."""
        from sopkit.collect import figures

        return figures.grouped(self.findings)

    def summary(self, most: int = 20) -> str:
        """The findings as text for a screen: at most `most` groups, the rest counted."""
        lines = self.grouped()
        rows = sum(len(frame) for frame in self.tables.values())
        warnings = len(self.findings) - self.errors
        text = [f"{len(self.tables)} tables, {rows:,} rows; {self.errors:,} error(s), {warnings:,} warning(s)."]
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

    def snapshot(
        self,
        answers: pd.DataFrame | None = None,
        earlier: pd.DataFrame | None = None,
        effects: pd.DataFrame | None = None,
    ) -> dict[str, pd.DataFrame]:
        """Every table that stage collect writes: inputs, findings, sources, corrected history (see `snapshot.frames`).

        Raises FindingsError with every finding where one of them stops the plan.
        """
        from sopkit.collect import snapshot

        return snapshot.frames(self, answers, earlier, effects)


def _recorded(folder: Path, cycle: str, names: Iterable[str]) -> dict[str, pd.DataFrame]:
    """What people recorded up to `cycle`; nothing where the company has no records database, and none is made."""
    import os

    if not os.environ.get("SOPKIT_RECORDS") and not (folder / "records.sqlite").is_file():
        return {}
    from sopkit.records import Records

    records = Records.of(folder.name)
    return {name: records.read(name, cycle=cycle) for name in names}


def collect(company_folder: Path | str, cycle: str, *, memory: dict | None = None) -> Collected:
    """Read, convert and check every input table of the company in `company_folder` for `cycle`.

    Nothing is written. `memory`: a dictionary in which the caller keeps tables whose source did not change, for those
    who check again after each correction. Raises SettingsError where company.yaml is wrong; wrong data never raise.
    """
    from sopkit.collect import check, mapping

    return check.everything(mapping.load(Path(company_folder), cycle), memory)


def check_company(company_folder: Path | str, cycle: str, findings_file: Path | None = None) -> Collected:
    """`collect`, and every finding, however many, written to the CSV `findings_file` if one is named."""
    collected = collect(company_folder, cycle)
    if findings_file is not None:
        from sopkit.collect.sources import formula_safe

        texts = collected.findings.select_dtypes("object").columns
        safe = collected.findings.assign(**{name: collected.findings[name].map(formula_safe) for name in texts})
        safe.to_csv(findings_file, index=False)
    return collected


def write_template(path: Path | str, tables: dict[str, pd.DataFrame] | None = None) -> None:
    """Write the Excel template to `path`, filled with `tables` where they are given."""
    from sopkit.collect import template

    template.write(Path(path), tables)


NEW_COMPANY = """\
# What {name} sets. Every line is checked before anything is read; what is left out has the value shown here.
name: {quoted}
currency: EUR            # the money of every amount
fiscal_year_start: 1     # first month of the fiscal year
horizon: 18              # months planned

# The tables are read from tables.xlsx beside this file: one sheet a table, each heading explained by a note.
# A CSV file of a table's name beside this file (products.csv) takes the place of its sheet.
# For exports as they are, say here where a table comes from and how its columns are called there:
#
# raw: exports           # folder of the raw files
# rates: {{USD: 0.92}}     # one USD in our currency
# tables:
#   sales_history:
#     file: orders_*.csv         # every file that fits
#     delimiter: ";"
#     encoding: cp1252
#     decimal: ","
#     dates: "%d.%m.%Y"
#     rename: {{Artikel: product, Kunde: market, Datum: month, Menge: quantity, Umsatz: revenue}}
#     currency: {{revenue: USD}}
#     sum_rows: true             # order lines are added up to months
#   inventory:
#     database: erp
#     query: SELECT plant AS site, material AS item, on_hand AS quantity FROM stock
# databases:
#   erp: {{url: "postgresql+psycopg://planner@db.example/erp", password_env: ERP_PASSWORD}}
#
# Where columns must be joined or computed, write a DuckDB query over the raw files: sql/<table>.sql

# What is missing and planned around, each with an owner; it stands in the report:
# assumptions:
#   transit-stock:
#     statement: Goods on the way are 5 % of the monthly volume.
#     table: scheduled_receipts
#     owner: who answers for it
"""


def new_company(folder: Path | str, name: str = "") -> None:
    """Lay out `folder` for a new company: settings to edit, the workbook to fill, places for exports and queries."""
    import json

    folder = Path(folder)
    name = name or folder.name
    for place in (folder, folder / "exports", folder / "sql"):
        place.mkdir(parents=True, exist_ok=True)
    text = NEW_COMPANY.format(name=name, quoted=json.dumps(name, ensure_ascii=False))
    (folder / "company.yaml").write_text(text, encoding="utf-8")
    write_template(folder / "tables.xlsx")
