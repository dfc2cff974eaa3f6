"""What is the plan, and how good was the last one? The pack of a cycle: one HTML file, and its tables for Excel."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from operator import call
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sopkit.errors import SettingsError

if TYPE_CHECKING:
    import pandas as pd

    from sopkit.book import Book
    from sopkit.cycle import Cycle
    from sopkit.engine import Engine


def plan(book: Book, *, engine: Engine | str | None = None) -> dict[str, pd.DataFrame]:
    """Tables `kpis` (past and planned) and `frozen_plans` (what later cycles judge) of the book's plan.

    `engine` is not used: nothing is solved here.
    """
    from sopkit import kpis

    return {"kpis": kpis.kpi_table(book), "frozen_plans": frozen(book)}


def frozen(book: Book) -> pd.DataFrame:
    """Table `frozen_plans`: units made and bought, stock, units delivered, net sales and margin by family and month."""
    import pandas as pd

    from sopkit.reconcile import finance

    money = finance.gross_margin(book["pnl"]).set_index(["family", "month"])
    sums = {
        name: book[table].assign(family=book.families(book[table][item])).groupby(["family", "month"])[column].sum()
        for name, table, item, column in (
            ("production", "supply_plan", "item", "quantity"),
            ("stock", "stock", "item", "closing"),
            ("shipments", "deliveries", "product", "delivered"),
        )
    } | {"sales": money["sales"], "margin": money["margin"]}
    rows = pd.concat(sums, names=["measure"]).rename("quantity").reset_index()
    return rows[rows["family"].isin(book["families"]["family"])].assign(cycle=book.first)


def publish(c: Cycle, book: Book) -> Path:
    """Write `plan.xlsx` and `plan.html` of `book` (every table, `kpis` among them), and the archive; the page's path.

    So are `plan.<audience>.html` and `.xlsx` for the audiences of company.yaml; those it names no more are removed.
    Each is put in place in one step: a reader sees the last one or this one, never half of it.
    """
    from sopkit.engine import Engine
    from sopkit.publish import archive, audiences, workbook

    book = replace(book, manifest=c.manifest)
    parts: list[Any] = [partial(_page, book), partial(workbook.write, book, c.plan_hash())]
    page, whole = Engine().map(call, parts, seconds=(1.0, 0.5))
    c.write_file("plan.xlsx", whole)
    path = c.write_file("plan.html", page)
    made = dict(file for one in audiences.packs(book) for file in one.files(c.plan_hash(), whole))
    old = (name for name in c.manifest["files"] if name.partition(".")[2].partition(".")[0] in audiences.AUDIENCES)
    for name, content in {**dict.fromkeys(old), **made}.items():
        c.write_file(name, content)
    archive.write(c)
    return path


def _page(book: Book) -> str:
    from sopkit.publish import pack

    return pack.page(pack.report(book))


def drafts(c: Cycle) -> dict[str, bytes]:
    """File name -> drafted mail (`.eml`) for each person of the audiences in company.yaml, their pack attached.

    Raises SettingsError where company.yaml names no audience, or its packs are not made yet.
    """
    from sopkit.publish import audiences, mails

    book = replace(c.book, manifest=c.manifest)
    packs = list(audiences.packs(book))
    files = [f"plan.{one.name}.{kind}" for one in packs for kind in ("html", "xlsx")]
    if missing := [name for name in files if not (c.folder / name).is_file()]:
        raise SettingsError(f"{missing[0]} of {c.folder} is not made yet. Make it: {c.command('--only publish')}.")
    if not packs:
        raise SettingsError("company.yaml names no audience: write who gets which pack under `audiences:`.")
    return dict(mails.letters(book, packs, {name: (c.folder / name).read_bytes() for name in files}))


def publish_scenario(c: Cycle, code: str, *, engine: Engine | str | None = None) -> Path:
    """Write `plan.CODE.html` and `.xlsx`: the pack of a scenario, marked as one on every page; the path of the page.

    Raises SettingsError for a scenario that does not exist.
    """
    from sopkit.decide import record
    from sopkit.publish import pack, workbook

    before = c.before_the_meeting
    made = record.made(before, record.together(before, [code]), engine=engine)
    kept = {name: frame for name, frame in c.book.items() if name not in made}
    shown = replace(made, tables={**kept, **made.tables}, manifest=c.manifest, questions=())
    shown = shown.with_tables({"kpis": plan(shown)["kpis"], "adopted": shown["adopted"].head(0)})
    c.write_file(f"plan.{code}.xlsx", workbook.write(shown))
    return c.write_file(f"plan.{code}.html", pack.page(pack.report(shown, shown.title)))
