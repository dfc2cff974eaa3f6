"""A pack for each audience: what it may not see is taken out of the book, and the same pages are made from the rest.

What is taken out is absent: tables, columns of money, rows of others, names that nothing shown uses, and every sentence
that tells such a name or an amount. So a page, a headline and a sheet of the workbook cannot tell more than the book.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import quote

import pandas as pd

from sopkit.book import Book
from sopkit.publish import pack, workbook
from sopkit.tables import TABLES, Table
from sopkit.tables.hierarchy import add_up
from sopkit.words import say

# tables whose rows are things with a name, and columns of people's names: what nothing shown uses is told nowhere
NAMED = ("products", "families", "markets", "sites", "resources", "materials", "suppliers")
NAMES = (
    *((table, column) for table in NAMED for column in (TABLES[table].key[0], "name")),
    ("pipeline", "customer"),
    ("pipeline", "opportunity"),
    ("people", "name"),
)


@dataclass(frozen=True)
class Audience:
    """What an audience may see; everything else is absent from its files. All is divided by blanks, `*` = all.

    `pages`: keys of the pack's pages. `tables`: the tables that it sees; `without`: of these the tables and columns
    (`table.column`) that it does not see, a column of a key is added up over. `money`: the columns of money that it
    sees. `rows`: of a table, only the rows of a query. `each`: a file for each supplier.
    """

    pages: str
    tables: str = "*"
    without: str = ""
    money: str = "*"
    rows: Mapping[str, str] = field(default_factory=dict)
    each: bool = False

    @property
    def sees_all(self) -> bool:
        """Whether nothing is taken out."""
        return self.tables == self.money == "*" and not self.without

    def sees(self, table: str) -> bool:
        """Whether it sees the table or anything of it."""
        return (self.tables == "*" or table in self.tables.split()) and table not in self.without.split()

    def hidden(self, table: Table) -> set[str]:
        """The columns of a table that it does not see."""
        gone, shown = self.without.split(), self.money.split()
        return {
            column.name
            for column in table
            if (at := f"{table.name}.{column.name}") in gone or (column.is_money and shown != ["*"] and at not in shown)
        }


AUDIENCES = {
    "executive": Audience("decisions review summary scorecard changed gaps finance scenarios risks"),
    "finance": Audience(
        "decisions summary scorecard gaps inventory finance scenarios risks families reproduce",
        # how well a colleague forecasts stays between sales and planning
        without="override_owners override_review past_overrides overrides_applied past_pipeline demand_notes",
    ),
    "sales": Audience(
        "summary changed accuracy demand inventory families",
        "families products markets sites prices clean_history sales_history budget past_forecasts demand_plan people "
        "kpis demand_levels demand_change deliveries stock policies pnl gaps exceptions fva forecast_accuracy segments "
        "override_owners overrides_applied baseline_history baseline_notes driver_effects stream_weights campaigns "
        "pipeline",
        without="gaps.lever",
        money="products.price prices.price demand_plan.price deliveries.price sales_history.revenue pnl.amount "
        "clean_history.revenue budget.sales gaps.money demand_change.money exceptions.money segments.value "
        "overrides_applied.money override_owners.money",
        rows={
            "pnl": "line == 'net sales'", "gaps": "gap in ('sales-budget', 'demand-supply')",
            "kpis": "kpi in ('total_sales', 'sales_units', 'fill_rate', 'forecast_against_actual', 'forecast_wape')",
        },
    ),
    "operations": Audience(
        "scorecard supply capacity inventory plants",
        "families products markets sites resources materials suppliers people budget demand_plan demand_levels stock "
        "deliveries clean_history supply_plan shipments policies resource_load shift_plan people_plan workforce "
        "supply_costs kpis",
        money="supply_plan.cost shift_plan.cost supply_costs.amount",
        rows={
            "supply_costs": "cost != 'revenue' and not penalty",
            "kpis": "kpi in ('cycle_time', 'cycle_time_p90', 'capacity_utilisation', 'production_forecast', "
            "'fill_rate', 'sales_units', 'days_of_cover', 'forecast_wape', 'forecast_against_actual', "
            "'plan_stability', 'production_plan_adherence')",
        },
    ),
    "supplier": Audience(
        "orders", "supply_plan suppliers materials products sites", money="", each=True,
        rows={"supply_plan": "source == @supplier"},
    ),
    "customer": Audience(
        "promises", "deliveries products families", money="",
        without="deliveries.market deliveries.demand deliveries.backlog deliveries.lost",
    ),
}  # fmt: skip


READERS = {"executive": "the executive meeting", "customer": "customers"}


def cut(book: Book, audience: Audience, supplier: str = "") -> Book:
    """The book without what an audience may not see; `supplier`: whose file it is.

    A column that is not seen is empty; one of a key is gone, and its rows are added up.
    """
    tables = {}
    for name in filter(audience.sees, book):
        frame, declared = book[name], TABLES[name]
        if name in audience.rows:
            frame = frame.query(audience.rows[name], local_dict={"supplier": supplier})
        gone = audience.hidden(declared)
        if over := gone & {*declared.key}:
            keys = [key for key in declared.key if key not in over]
            frame = add_up(frame, declared, keys) if len(frame) else frame.drop(columns=list(over))
        left = [declared[column] for column in sorted(gone - over) if column in frame]
        empty = {one.name: float("nan") if one.kind == "number" else "" for one in left}
        tables[name] = frame.assign(**empty) if left else frame
    made = replace(book, tables=tables)
    return made if audience.tables == "*" else _silent(book, made)


def _silent(book: Book, made: Book) -> Book:
    """`made` without things that nothing in it uses, and without the rows that tell what is not in it, or an amount."""
    facts = [made[name] for name in made if name not in NAMED]
    used = {value for frame in facts for name in frame.select_dtypes("object") for value in frame[name].unique()}
    used |= {*made["products"].loc[made["products"]["product"].isin(used), "family"]}
    tables = dict(made.tables)
    for name in {*NAMED} & {*tables}:
        tables[name] = tables[name][tables[name][TABLES[name].key[0]].isin(used)]
    made = replace(made, tables=tables)
    known, shown = ({word for name, column in NAMES for word in one[name][column] if word} for one in (book, made))
    told = [rf"(?<![\w-]){re.escape(word)}(?![\w-])" for word in sorted(known - shown)]
    scales = [say(f"{scale} {{currency}}", book.currency) for scale in ("thousand", "million", "billion")]
    money = "|".join(map(re.escape, [*scales, book.currency]))
    secret = re.compile("|".join([*told, rf"\d\s(?:{money})\b"]))
    return replace(made, tables={name: _without(frame, secret) for name, frame in tables.items()})


def _without(frame: pd.DataFrame, secret: re.Pattern[str]) -> pd.DataFrame:
    for name in frame.select_dtypes("object"):
        told = [value for value in frame[name].unique() if secret.search(str(value))]
        frame = frame[~frame[name].isin(told)] if told else frame
    return frame


@dataclass(frozen=True)
class Pack:
    """The pack of an audience: its files are `plan.<name>.html` and `.xlsx`; `reader`: who reads it, in words."""

    name: str
    reader: str
    audience: Audience
    book: Book
    people: tuple[str, ...]

    def files(self, plan_hash: str, whole: bytes = b"") -> Iterator[tuple[str, bytes]]:
        """Name and content of the page and of the workbook; `whole`: that of the plan, of who may see all of it."""
        content = pack.report(self.book, pages=self.audience.pages.split(), reader=say(self.reader))
        content["currency"] *= bool(self.audience.money)
        content["flows"] = self.audience.tables != "*"  # what is left of a topic fills no page
        yield f"plan.{self.name}.html", pack.page(content).encode()
        own = self.audience.sees_all and whole
        yield f"plan.{self.name}.xlsx", own or workbook.write(self.book, plan_hash, audience=self.audience)


def packs(book: Book) -> Iterator[Pack]:
    """The pack of every audience that company.yaml names, for its people there; of suppliers, one for each."""
    stands, manifest = pack.STATUS[pack.status(book) != pack.STATUS[False]], book.manifest
    about = {"status": stands, "company": manifest.get("company", ""), "stages": manifest.get("stages", {})}
    called = book.names("suppliers")
    for name, people in book.company.audiences.items():
        audience = AUDIENCES[name]
        whole = book if audience.tables == "*" else replace(book, manifest=about)
        if not audience.each:
            yield Pack(name, READERS.get(name, name), audience, cut(whole, audience), people)
            continue
        for code in sorted(book["supply_plan"].query("mode == 'buy'")["source"].unique()):
            reader = called.get(code, code)
            yield Pack(f"{name}.{quote(code, safe='')}", reader, audience, cut(whole, audience, code), (reader,))
