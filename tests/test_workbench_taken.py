"""A forecast asked for by workbook comes back whole: what changed, conflicts, every cell that cannot be taken."""

from __future__ import annotations

import random
import re
from datetime import date
from email import message_from_bytes, policy
from io import BytesIO
from pathlib import Path

import openpyxl
import pandas as pd
import pytest
import small_cycle
from openpyxl.utils import get_column_letter
from typer.testing import CliRunner

import sopkit
from sopkit.book import Plan
from sopkit.cli import app
from sopkit.demand.consensus import spread
from sopkit.errors import SettingsError
from sopkit.publish import asked
from sopkit.records import Records
from sopkit.tables import TABLES
from sopkit.workbench.taken import Taken, asked_for, take

WHO, NOBODY = "Mara Lind", TABLES["overrides"].empty()
MONTHS = 4


@pytest.fixture(scope="module")
def plan() -> Plan:
    """The demo's tents and stoves with a demand plan of plain numbers; Mara answers for tents in northern shops."""
    book = sopkit.demo()
    people = book["people"].assign(answers_for=book["people"]["name"].map({WHO: "TENTS NORTH-RETAIL"}).fillna(""))
    keys = [
        (product, market, month)
        for product in ("TENT-2P", "TENT-3P", "STOVE-MULTI")
        for market in ("NORTH-RETAIL", "NORTH-ONLINE")
        for month in book.months[:MONTHS]
    ]
    rows = pd.DataFrame(keys, columns=["product", "market", "month"])
    rows["consensus"], rows["baseline"] = [100.0 + at for at in range(len(rows))], 90.0
    sold = (
        rows[["product", "market"]]
        .drop_duplicates()
        .assign(month=book.months[0] - pd.DateOffset(years=1), quantity=80.0, raw=80.0)
    )
    made = book.with_tables({"people": people, "demand_plan": rows, "clean_history": sold})
    return Plan(made.tables, made.company, made.cycle)


@pytest.fixture(scope="module")
def sent(plan: Plan) -> bytes:
    return asked.workbook(plan, "demo", WHO, date(2026, 11, 6), seen=3)


def edited(content: bytes, *cells: tuple[str, object]) -> bytes:
    """The workbook after a person with a spreadsheet program typed into it."""
    book = openpyxl.load_workbook(BytesIO(content))
    for place, value in cells:
        book[asked.SHEET][place] = value
    book.properties.lastModifiedBy = "Mara"
    out = BytesIO()
    book.save(out)
    return out.getvalue()


def yours(content: bytes) -> list[int]:
    """The rows to be filled."""
    sheet = openpyxl.load_workbook(BytesIO(content))[asked.SHEET]
    return [row for row in range(1, sheet.max_row + 1) if sheet.cell(row, 4).value == asked.YOURS]


def test_it_is_read_back_wherever_a_blank_falls_in_what_the_hidden_sheet_keeps(plan: Plan) -> None:
    """A cell of a workbook holds 32,767 characters, and a reader takes the blanks off its ends."""
    for who in ("a " * 15_000 + "b", " a" * 15_000):
        people = plan["people"].assign(name=plan["people"]["name"].replace(WHO, who))
        named = Plan({**plan.tables, "people": people}, plan.company, plan.cycle)
        content = asked.workbook(named, "demo", who, date(2026, 11, 6), seen=3)
        assert asked_for(content)["to"] == who


def test_the_workbook_holds_what_she_answers_for_and_nothing_else(plan: Plan, sent: bytes) -> None:
    sheet = openpyxl.load_workbook(BytesIO(sent))[asked.SHEET]
    rows = list(sheet.iter_rows(min_row=asked.TOP + 2, values_only=True))
    assert {row[:2] for row in rows} == {("TENT-2P", "NORTH-RETAIL"), ("TENT-3P", "NORTH-RETAIL")}
    assert [row[3] for row in rows[:4]] == [asked.LAST_YEAR, asked.BASELINE, asked.NOW, asked.YOURS]
    assert rows[0][4] == 80 and rows[1][4] == 90 and rows[2][4] == rows[3][4] == 100
    first = yours(sent)[0]
    assert (
        sheet.protection.sheet and not sheet[f"E{first}"].protection.locked and sheet[f"E{first - 1}"].protection.locked
    )
    lists = [rule.formula1 for rule in sheet.data_validations.dataValidation if rule.type == "list"]
    assert lists and asked.REASONS[0] in lists[0] and "06 Nov 2026" in sheet["A2"].value
    assert sent == asked.workbook(plan, "demo", WHO, date(2026, 11, 6), seen=3)  # the same bytes every time
    with pytest.raises(SettingsError, match="Mara Lind"):
        asked.workbook(plan, "demo", "Mara Lindt", date(2026, 11, 6), seen=0)


def test_the_mail_is_a_draft_with_the_workbook(plan: Plan, sent: bytes) -> None:
    drafted = message_from_bytes(asked.mail(plan, WHO, date(2026, 11, 6), "f.xlsx", sent), policy=policy.default)
    assert WHO in drafted["To"] and drafted["X-Unsent"] == "1" and "06 Nov 2026" in drafted["Subject"]
    (attached,) = drafted.iter_attachments()
    assert attached.get_filename() == "f.xlsx" and attached.get_content() == sent


def test_what_she_changed_comes_back_as_overrides_of_the_very_rule_of_the_sheet(plan: Plan, sent: bytes) -> None:
    row = yours(sent)[0]
    back = edited(sent, (f"E{row}", 250), (f"G{row}", 0), (f"I{row}", asked.REASONS[0]), (f"J{row}", "two shops"))
    answer = take(back, plan, NOBODY)
    assert not answer.refused and not answer.conflicts and len(answer.overrides) == 2
    assert "Mara" in answer.saved and f"E{row} (TENT-2P, NORTH-RETAIL, 2026-11): 100 to 250" in str(answer)
    override = answer.overrides[0]
    assert (override["product"], override["market"], override["action"]) == ("TENT-2P", "NORTH-RETAIL", "set")
    assert override["reason"] == "new customer or contract two shops"
    assert spread(pd.DataFrame([[100.0]]).to_numpy(), override["action"], override["amount"]).tolist() == [[250.0]]
    assert [one["amount"] for one in answer.overrides] == [250.0, 0.0]


def test_an_untouched_workbook_says_nothing_and_a_part_of_one_says_its_part(plan: Plan, sent: bytes) -> None:
    assert take(sent, plan, NOBODY).silent == ("nothing is new",)
    row = yours(sent)[1]
    book = openpyxl.load_workbook(BytesIO(edited(sent, (f"E{row}", 7), (f"I{row}", "other"), (f"F{row}", None))))
    book[asked.SHEET].delete_rows(asked.TOP + 2, 4)
    out = BytesIO()
    book.save(out)
    answer = take(out.getvalue(), plan, NOBODY)
    assert [one["amount"] for one in answer.overrides] == [7.0] and answer.overrides[0]["product"] == "TENT-3P"
    assert "not returned: TENT-2P, NORTH-RETAIL" in answer.silent and any(
        "left empty: one cell" in s for s in answer.silent
    )


def override(number: int, author: str, amount: float, first: str = "2026-11") -> pd.DataFrame:
    row = {"id": number, "cycle": "2026-11", "author": author, "recorded_at": "x", "level": "product",
           "product": "TENT-2P", "market": "NORTH-RETAIL", "first_month": pd.Timestamp(first), "action": "set",
           "last_month": pd.Timestamp(first), "amount": amount, "reason": "r"}  # fmt: skip
    return TABLES["overrides"].conform(pd.DataFrame([row]))


def test_what_others_said_since_is_a_conflict_and_what_she_sent_before_is_not_taken_twice(
    plan: Plan, sent: bytes
) -> None:
    row = yours(sent)[0]
    back = edited(sent, (f"E{row}", 250), (f"F{row}", 260), (f"I{row}", "other"))
    answer = take(back, plan, override(4, "Ada Brandt", 120))
    assert [one["amount"] for one in answer.overrides] == [260.0] and "Ada Brandt" in answer.conflicts[0]
    assert answer.conflicts[0].startswith(f"E{row}")
    assert len(take(back, plan, override(4, "Ada Brandt", 120), anyway=True).overrides) == 2
    assert len(take(back, plan, override(3, "Ada Brandt", 120)).overrides) == 2  # she knew that one
    twice = take(back, plan, override(4, WHO, 250))
    assert [one["amount"] for one in twice.overrides] == [260.0] and not twice.conflicts
    assert "taken before: one cell" in twice.silent


def test_a_file_that_is_no_answer_or_whose_hidden_sheet_was_changed_is_refused(sent: bytes) -> None:
    other = BytesIO()
    openpyxl.Workbook().save(other)
    for content in (b"", b"PK", other.getvalue()):
        with pytest.raises(SettingsError):
            asked_for(content)
    book = openpyxl.load_workbook(BytesIO(sent))
    book[asked.KEPT]["A2"] = str(book[asked.KEPT]["A2"].value).replace("2026-11", "2026-12")
    out = BytesIO()
    book.save(out)
    with pytest.raises(SettingsError, match="hidden sheet"):
        asked_for(out.getvalue())


HOSTILE = ("=1+1", "=cmd|' /C calc'!A0", "abc", "12 pcs", "-5", -5, "1e400", 1e18, "NaN", "10%", "+10%", "1,5",
           "1.234,50", "\u0661\u0662", True, 0.1, "  ", "<script>", "x" * 5_000, "#REF!", date(2026, 11, 1), "--",
           "\u0663", "7 000", 12.5)  # fmt: skip


def hostile(content: bytes, number: int) -> tuple[bytes, dict[str, object]]:
    """Copy `number` of the workbook after strange edits, and what was typed where."""
    chance = random.Random(number)
    book = openpyxl.load_workbook(BytesIO(content))
    sheet, typed = book[asked.SHEET], {}
    for _ in range(chance.choice((1, 2, 5))):
        place = f"{chance.choice('ABDEFGHIJKL')}{chance.randrange(asked.TOP + 2, sheet.max_row + 3)}"
        value = chance.choice(HOSTILE)
        if sheet[place].value != value:
            sheet[place] = typed[place] = value
    for _ in range(chance.choice((0, 0, 1))):
        chance.choice(
            (
                lambda: sheet.delete_rows(chance.randrange(asked.TOP + 2, sheet.max_row)),
                lambda: sheet.insert_rows(chance.randrange(asked.TOP + 2, sheet.max_row)),
                lambda: sheet.delete_cols(chance.choice((3, 5, 8))),
                lambda: sheet.move_range("A7:J10", rows=30),
                lambda: sheet.insert_cols(3),
            )
        )()
        typed = {}  # the places are others now: only that it is answered in words counts
    out = BytesIO()
    book.save(out)
    return out.getvalue(), typed


@pytest.mark.parametrize("start", range(0, 200, 50))
def test_hostile_edits_lose_nothing_and_name_the_cell(plan: Plan, sent: bytes, start: int) -> None:
    """Each thing typed is an override, or is named with its cell, or its whole row is; never silence, never a crash."""
    for number in range(start, start + 50):
        content, typed = hostile(sent, number)
        try:
            answer = take(content, plan, NOBODY)
        except SettingsError as error:
            assert "nothing was taken" in str(error).lower(), number
            continue
        for fields in answer.overrides:
            assert 0 <= fields["amount"] < 1e15 and fields["reason"] and fields["product"] in ("TENT-2P", "TENT-3P")
        assert str(answer).isprintable() or "\n" in str(answer)
        for place, value in typed.items():
            assert said(answer, place, value, content), (number, place, value, str(answer))


def said(answer: Taken, place: str, value: object, content: bytes) -> bool:
    """Whether what was typed at `place` is spoken of: as a change, by its cell, by its row, or as left empty."""
    column, row = re.fullmatch(r"([A-Z]+)(\d+)", place).groups()
    text = str(answer)
    if re.search(rf"\b[AI]?{place}\b", text) or re.search(rf"\bA{row}:", text):
        return True
    if isinstance(value, str) and not value.strip():  # blanks: nothing was said, and a cell of numbers is counted
        line = openpyxl.load_workbook(BytesIO(content))[asked.SHEET][f"D{row}"].value
        return column in "ABDIJKL" or "left empty" in text or line != asked.YOURS
    # a reason or a remark goes with the changes of its row, or is named as one without a change
    return column in "IJ" and bool(re.search(rf"\b[E-I]{row}\b", text))


def test_ask_and_take_from_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOPKIT_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("SOPKIT_REPORTS", str(tmp_path / "reports"))
    small_cycle.to_the_meeting(tmp_path, small_cycle.bags())
    run, about = CliRunner().invoke, ["--company", "bags", "--cycle", small_cycle.CYCLE]
    who = sopkit.open("bags", small_cycle.CYCLE).read("people")["name"].iloc[0]
    done = run(app, ["ask", "forecast", *about, "--to", who, "--due", "2026-01-09", "--into", str(tmp_path)])
    assert done.exit_code == 0, done.output
    (path,) = tmp_path.glob("*.xlsx")
    row = yours(path.read_bytes())[0]
    path.write_bytes(edited(path.read_bytes(), (f"E{row}", 12_345), (f"F{row}", 1), ("A1", "x")))
    assert run(app, ["take", str(path)]).exit_code == 1  # no reason: nothing is recorded, both cells are named
    assert Records.of("bags").read("overrides").empty
    heads = [cell.value for cell in openpyxl.load_workbook(path)[asked.SHEET][asked.TOP + 1]]
    reason = f"{get_column_letter(heads.index(asked.REASON) + 1)}{row}"
    path.write_bytes(edited(path.read_bytes(), (reason, "other")))
    assert run(app, ["take", str(path), "--look"]).exit_code == 0 and Records.of("bags").read("overrides").empty
    done = run(app, ["take", str(path)])
    assert done.exit_code == 0 and "override 1 to 2" in done.output, done.output
    kept = Records.of("bags").read("overrides")
    assert kept["author"].tolist() == [who, who] and kept["amount"].tolist() == [12_345, 1]
    assert "taken before: two cells" in run(app, ["take", str(path)]).output
    assert len(Records.of("bags").read("overrides")) == 2


def test_a_workbook_in_french_comes_back_as_the_same_overrides(plan: Plan) -> None:
    of = plan.company.model_copy(update={"language": "fr"})
    french = Plan(plan.tables, of, plan.cycle)
    content = asked.workbook(french, "demo", WHO, date(2026, 11, 6), seen=3)
    book = openpyxl.load_workbook(BytesIO(content))
    sheet = book["Prévision"]
    heads = [cell.value for cell in sheet[asked.TOP + 1]]
    assert heads[:4] == ["Produit", "Marché", "Nom", "Ligne"] and heads[-2:] == ["Motif", "Remarque"]
    rule = next(rule.formula1 for rule in sheet.data_validations.dataValidation if rule.type == "list")
    assert len(rule) <= 257  # Excel takes no longer list
    row = next(row for row in range(1, sheet.max_row + 1) if sheet.cell(row, 4).value == "votre prévision")
    sheet[f"E{row}"], sheet[f"I{row}"] = 250, "changement de prix"
    out = BytesIO()
    book.save(out)
    answer = take(out.getvalue(), french, NOBODY)
    assert not answer.refused and [one["amount"] for one in answer.overrides] == [250.0]
    assert answer.overrides[0]["reason"] == "changement de prix"
