"""Stage 1, collect: are the numbers good enough to plan with? A company's exports become checked tables."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from sopkit.collect.collected import Collected


def collect(company_folder: Path | str, cycle: str, *, memory: dict[str, Any] | None = None) -> Collected:
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
        from sopkit.collect.extract import formula_safe

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
