"""Packs for audiences: what one may not see is in no byte of its files, in no headline, sheet or explanation."""

from __future__ import annotations

import html
import io
import re
import zipfile
from dataclasses import replace
from email import message_from_bytes, policy

import pandas as pd
import pytest
from test_publish import COMPANY, CYCLE, MANIFEST, small_plan, whole

from sopkit.book import Book
from sopkit.cycle import Cycle
from sopkit.publish import audiences, mails, publish
from sopkit.publish.audiences import AUDIENCES, Pack
from sopkit.reconcile import figures as reconcile
from sopkit.tables import TABLES

PEOPLE = {name: () for name in AUDIENCES}


def text_of(name: str, content: bytes) -> str:
    """All text of a page or a workbook, with its numbers as they are stored."""
    if not name.endswith("xlsx"):
        return html.unescape(re.sub(r"<style>.*?</style>", "", content.decode(), flags=re.S))
    with zipfile.ZipFile(io.BytesIO(content)) as parts:
        return html.unescape(
            "\n".join(parts.read(part).decode() for part in parts.namelist() if part.endswith(("xml", "rels", "vml")))
        )


def written(packs: list[Pack]) -> dict[str, str]:
    """Name of each file -> all text in it."""
    return {name: text_of(name, content) for one in packs for name, content in one.files("f00d")}


@pytest.fixture(scope="module")
def book() -> Book:
    """The small plan with two suppliers, a customer, a colleague, levers and texts that tell amounts and names."""
    tables = small_plan("Trail tent", decided="shift")
    tables["resources"] = tables["resources"].assign(name="Sewing line")
    months = tables["stock"]["month"].unique()
    buys = pd.DataFrame(
        [
            {
                "mode": "buy",
                "source": source,
                "item": item,
                "site": "PLANT",
                "month": month,
                "available": month,
                "quantity": 71.0 + n,
                "hours": 0.0,
                "cost": cost,
            }
            for source, item, cost in (("ALU", "POLE", 8_713.37), ("ZELT", "CLOTH", 4_619.41))
            for n, month in enumerate(months)
        ]
    )
    more = {
        "supply_plan": pd.concat([tables["supply_plan"], buys]),
        "suppliers": pd.DataFrame(
            {"supplier": ["ALU", "ZELT"], "name": ["Alu Bohemia", "Zeltbahn Nord"], "risk": [0.2, 0.1]}
        ),
        "materials": pd.DataFrame(
            {
                "material": ["POLE", "CLOTH"],
                "name": ["Pole of aluminium", "Cloth of nylon"],
                "standard_cost": [122.71, 65.03],
            }
        ),
        "pipeline": pd.DataFrame(
            {
                "opportunity": ["OPP-77"],
                "customer": ["Alpine Club"],
                "product": ["TENT"],
                "market": ["NORTH"],
                "month": months[2:3],
                "quantity": [40.0],
                "probability": [0.5],
                "owner": ["Mara Lind"],
            }
        ),
        "people": pd.DataFrame({"name": ["Mara Lind", "Ines Duarte"], "role": ["sales director", "finance"]}),
        "exceptions": pd.DataFrame(
            {
                "rank": [1, 2],
                "cause": "c",
                "product": "TENT",
                "market": "",
                "money": [5_391.7, 41.5],
                "sentence": ["Alpine Club wants TENT.", "TENT costs 7,331 EUR more."],
                "advice": "look",
            }
        ),
        "gaps": tables["gaps"].assign(lever="A shift brings 9,917 EUR", lever_gain=9_917.3),
    }
    checked = tables | {name: whole(name, frame) for name, frame in more.items()}
    company = COMPANY.model_copy(update={"audiences": PEOPLE})
    return Book(checked, company, CYCLE, manifest=MANIFEST)


def test_every_audience_has_a_page_and_a_workbook_and_every_supplier_its_own(book):
    names = [name for one in audiences.packs(book) for name, _ in one.files("f00d")]
    who = ("executive", "finance", "sales", "operations", "supplier.ALU", "supplier.ZELT", "customer")
    assert names == [f"plan.{one}.{kind}" for one in who for kind in ("html", "xlsx")]


def test_a_supplier_reads_its_own_lines_and_nothing_of_others(book):
    told = written([one for one in audiences.packs(book) if one.name == "supplier.ALU"])
    assert len(told) == 2
    for text in told.values():
        assert "ALU" in text.upper()
        assert "Pole of aluminium" in text or "POLE" in text
        for secret in (
            "Zeltbahn",
            "ZELT",
            "CLOTH",
            "Cloth",
            "Alpine",
            "Mara",
            "Ines",
            "Trail tent",
            "TENT",
            "SACK",
            "NORTH",
            "EUR",
            "Price",
            "ross margin",
            "Cost (",
            "Evening shift",
            "122.71",
            "8713.37",
            "8,713",
        ):
            assert secret not in text, secret
    assert ">71<" in told["plan.supplier.ALU.html"]


def test_customers_read_what_can_be_delivered_and_no_more(book):
    for text in written([one for one in audiences.packs(book) if one.name == "customer"]).values():
        assert "Trail tent" in text or "TENT" in text
        for secret in (
            "EUR",
            "Alu",
            "ALU",
            "Alpine",
            "Mara",
            "LINE",
            "NORTH",
            "South",
            "safety",
            "backlog",
            "Evening shift",
        ):
            assert secret not in text, secret


@pytest.mark.parametrize("name", ["sales", "operations"])
def test_no_cost_or_price_that_is_not_theirs(book, name):
    """In the workbook not one hidden number, in the page none of the statement's hidden lines."""
    one = next(one for one in audiences.packs(book) if one.name == name)
    told = written([one])
    cells = {float(v) for v in re.findall(r"<v>([-\d.eE]+)</v>", told[f"plan.{name}.xlsx"])}
    hidden, shown = set(), set()
    for table, frame in book.items():
        gone = {*TABLES[table].names} if not one.audience.sees(table) else one.audience.hidden(TABLES[table])
        for column in frame.select_dtypes("number"):
            (hidden if column in gone else shown).update(frame[column].dropna())
    secret = {value for value in hidden - shown if abs(value) > 100 and value != round(value, -1)}
    assert len(secret) >= 3
    assert cells & secret == set()
    page = told[f"plan.{name}.html"]
    for text in (
        "9,917",
        "7,331",
        "Alu Bohemia costs",
        *(["Alpine", "lever"] if name == "operations" else ["Alu Bohemia"]),
    ):
        assert text not in page, text
    assert "Gross margin" not in page
    lines = reconcile.statement(book).frame.set_index("line")["plan"]
    kept = lines.drop("net sales") if name == "sales" else lines
    for line, value in kept[kept.abs() > 1_000].items():
        assert f"{abs(value) / 1e3:,.1f} thousand" not in page, line


def poisoned(book: Book, pack: Pack) -> Book:
    """The same book with other numbers and names wherever the pack's audience may not look."""
    tables = {}
    for name, frame in book.items():
        if name in ("decision_log", "adopted"):  # where the plan stands is told to everybody
            continue
        gone = pack.audience.hidden(TABLES[name]) if pack.audience.sees(name) else {*frame}
        numbers = [c for c in gone & {*frame} if TABLES[name][c].kind == "number"]
        tables[name] = frame.assign(**{c: frame[c] * 1.37 + 3.1 for c in numbers})
        if not pack.audience.sees(name):
            texts = [
                c for c in frame.select_dtypes("object") if c not in TABLES[name].key and TABLES[name][c].kind == "text"
            ]
            tables[name] = tables[name].assign(**{c: frame[c] + " secretly" for c in texts})
    return replace(book, tables={**book.tables, **tables})


@pytest.mark.parametrize("name", ["sales", "operations", "supplier.ALU", "customer"])
def test_what_is_hidden_changes_no_byte(book, name):
    one = next(one for one in audiences.packs(book) if one.name == name)
    other = next(one for one in audiences.packs(poisoned(book, one)) if one.name == name)
    for (file, content), (_, changed) in zip(one.files("f00d"), other.files("f00d"), strict=True):
        assert content == changed, file


def test_who_may_see_all_gets_the_pages_they_need(book):
    one = next(one for one in audiences.packs(book) if one.name == "executive")
    page = written([one])["plan.executive.html"]
    assert all(one.book[table] is book[table] for table in book)
    assert 'id="decisions"' in page
    assert 'id="capacity"' not in page
    assert "APPROVED" in page


def test_the_status_is_the_plans_and_headlines_claim_nothing_that_is_hidden(book):
    told = written(list(audiences.packs(book)))
    assert all("APPROVED" in text for name, text in told.items() if name.endswith("html"))
    sales = told["plan.sales.html"]
    assert "no resource is full" not in sales
    assert "not known" not in told["plan.operations.html"]


def read(content: bytes) -> tuple[str, str, list[str]]:
    """To whom, the text, and the names of the files of a mail."""
    mail = message_from_bytes(content, policy=policy.default)
    body = mail.get_body(("plain",))
    assert mail["X-Unsent"] == "1" and body is not None
    return str(mail["To"]), body.get_content(), [part.get_filename() or "" for part in mail.iter_attachments()]


def test_a_mail_says_what_is_decided_to_do_changed_and_asked_with_the_pack_of_its_audience(book):
    deeds = [
        {"id": 1, "what": "Call Alpine Club", "assignees": "Mara Lind", "due": "2026-11-20"},
        {"id": 2, "what": "Book the audit", "assignees": "Ines Duarte", "comment": "@Mara Lind: is it in the budget?"},
    ]
    log = book["decision_log"].assign(
        status="undecided", option="", owner="Mara Lind", recommendation="It brings 9,917 EUR."
    )
    actions = whole("actions", pd.DataFrame(deeds).assign(cycle=CYCLE, author="Greta", recorded_at="2026-11-05"))
    people = book["people"].assign(answers_for="TENTS")
    change = pd.concat([book["demand_change"], book["demand_change"].assign(family="TENTS")])
    tables = {"decision_log": log, "actions": actions, "people": people, "demand_change": change}
    company = book.company.model_copy(update={"audiences": {"sales": ("Mara Lind", "Pia <b>\nWeber"), "supplier": ()}})
    said = replace(book, tables={**book.tables, **tables}, company=company)
    packs = list(audiences.packs(said))
    files = dict(file for one in packs for file in one.files("f00d"))
    drafted = dict(mails.letters(said, packs, files))
    assert drafted == dict(mails.letters(said, packs, files))
    assert list(drafted) == [
        "sales_Mara_Lind.eml",
        "sales_Pia_b_Weber.eml",
        "supplier.ALU_Alu_Bohemia.eml",
        "supplier.ZELT_Zeltbahn_Nord.eml",
    ]  # fmt: skip
    to, text, attached = read(drafted["sales_Mara_Lind.eml"])
    assert "Mara Lind" in to and attached == ["plan.sales.html", "plan.sales.xlsx"]
    for line in ("you answer for it, by Dec 2026", "1. Call Alpine Club (by 2026-11-20)", "is it in the budget?",
                 "Tents: the demand plan is 4.0 % above last cycle's", "Against last cycle"):  # fmt: skip
        assert line in text
    assert "9,917" not in text  # sales does not see what an option brings
    to, text, attached = read(drafted["supplier.ALU_Alu_Bohemia.eml"])
    assert attached == ["plan.supplier.ALU.html", "plan.supplier.ALU.xlsx"]
    assert not {
        word
        for word in ("Mara", "Alpine", "Zelt", "EUR", "decided", "Tents")
        if word in text.replace("not decided", "")
    }


def test_the_cycle_keeps_them_names_them_and_removes_what_nobody_gets_any_more(own_run, monkeypatch):
    """A finished demo: its files stand in manifest and crate, sound; then the audiences of company.yaml go."""
    c = Cycle.open("demo", "2026-11", stage="publish")
    company = c.company.model_copy(update={"audiences": {"supplier": (), "sales": ("Mara Lind",)}})
    publish.publish(c, replace(c.book, company=company))
    made = {name for name in c.manifest["files"] if name.startswith(("plan.supplier.", "plan.sales."))}
    assert len(made) == 16
    assert all((c.folder / name).is_file() for name in made)
    suppliers = c.read("suppliers").set_index("supplier")["name"]
    for name in made:
        text = text_of(name, (c.folder / name).read_bytes())
        own = name.split(".")[2] if "supplier" in name else ""
        others = {word for code, called in suppliers.items() for word in (code, called) if code != own}
        assert {word for word in others if word in text} == set(), name
        if own:
            names = {*c.read("people")["name"], *c.read("pipeline")["customer"], *c.read("markets")["name"]}
            assert {word for word in (*names, "EUR") if word in text} == set(), name
            bought = c.read("supply_plan").query("source == @own")
            costs = {f"{v:.10g}" for v in bought["cost"]} - {f"{v:.10g}" for v in bought["quantity"]}
            assert {cost for cost in costs if f"<v>{cost}</v>" in text or f">{float(cost):,.0f}<" in text} == set(), (
                name
            )
    publish.publish(c, replace(c.book, company=company.model_copy(update={"audiences": {}})))
    assert not {name for name in made if (c.folder / name).exists() or name in c.manifest["files"]}
