"""Languages: catalogues are whole, nothing bypasses them, numbers and months follow the language."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from string import Formatter

import catalogue
import pandas as pd
import pseudo
import pytest
from babel.messages.pofile import read_po

from sopkit import charts, words
from sopkit.book import Book
from sopkit.cycle import Cycle
from sopkit.publish import pack
from sopkit.words import languages

FRENCH = Path(languages.__file__).parent / "fr.po"


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    """Every test begins and leaves in English."""
    languages.speak("en")
    yield
    languages.speak("en")


@pytest.fixture
def marked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A language whose catalogue is one file in another folder, and marks what it says."""
    pseudo.write(tmp_path)
    monkeypatch.setattr(languages, "FOLDER", tmp_path)
    return pseudo.NAME


def spoken_by(cycle: Cycle, language: str) -> Book:
    """The book of a finished cycle, as a company of that language has it."""
    book = replace(cycle.book, manifest=cycle.manifest)
    return replace(book, company=book.company.model_copy(update={"language": language}))


# the mechanism ------------------------------------------------------------------------------------------------------


def test_a_sentence_takes_its_parts_by_name_in_the_order_of_the_language() -> None:
    assert languages.say("{title} in {unit}", "Net sales", "EUR") == "Net sales in EUR"
    with languages.speaking("fr"):
        assert languages.say("{title} in {unit}", "Chiffre d’affaires", "EUR") == "Chiffre d’affaires en EUR"
        assert languages.say("A text that nobody translated") == "A text that nobody translated"
        assert languages.say("{limit} in {month}", "{braces}", "x") == "{braces} en x"  # a part is never a template
    assert languages.say("{title} in {unit}", "a", "b") == "a in b"
    with pytest.raises(ValueError):
        languages.say("{title} in {unit}", "one part too few")


def test_a_count_takes_the_form_that_the_language_wants() -> None:
    assert [words.several(n, "month") for n in (0, 1, 2)] == ["no month", "one month", "two months"]
    with languages.speaking("fr"):
        told = [words.several(n, "decision") for n in (0, 1, 3, 1300)]
        assert told == ["aucune décision", "1 décision", "3 décisions", "1\u202f300 décisions"]


def test_numbers_months_and_money_in_french() -> None:
    with languages.speaking("fr"):
        assert words.number(12345.6, 1) == "12\u202f345,6" and words.number(-3, sign=True) == "−3"
        assert words.percent(0.18) == "18\N{NO-BREAK SPACE}%"
        assert words.money(12345, "EUR") == "12\u202f345\N{NO-BREAK SPACE}EUR"
        assert words.amount(8_214_000, "EUR") == "8,21\N{NO-BREAK SPACE}M EUR"
        assert words.amount(61_500, "EUR") == "61,5\N{NO-BREAK SPACE}k EUR"
        assert words.amount(0.9312, "share") == "93,1\N{NO-BREAK SPACE}%"
        assert words.month_name("2026-11") == "nov. 2026" and words.span("2027-05", "2027-07") == "mai à juil. 2027"
        assert words.month_in_full(pd.Timestamp("2026-12-01")) == "décembre 2026"
        assert words.listed("abcdef", 3) == "a, b, c et 3 autres"
        assert words.quoted("Plan.") == "«\N{NO-BREAK SPACE}Plan\N{NO-BREAK SPACE}»"
        assert words.heading("net_sales") == "Chiffre d’affaires"


def test_a_book_speaks_its_own_language_wherever_it_is_asked(finished: Cycle) -> None:
    french, english = spoken_by(finished, "fr"), finished.book
    assert len(french["products"]) and languages.language() == "fr"
    assert french.span == "12 prochains mois"
    assert len(english["products"]) and languages.language() == "en"
    assert english.span == "next 12 months"


def test_a_language_without_a_catalogue_is_refused_in_words() -> None:
    from sopkit.tables import Company

    assert Company(name="Small", language="fr").language == "fr"
    with pytest.raises(ValueError, match="'en' or 'fr'"):
        Company(name="Small", language="tlh")


# the catalogues -----------------------------------------------------------------------------------------------------


def messages() -> dict[str | tuple[str, ...], str | tuple[str, ...]]:
    with FRENCH.open(encoding="utf-8") as file:
        return {one.id: one.string for one in read_po(file, locale="fr") if one.id}


def test_every_text_is_in_french_and_no_text_is_dead() -> None:
    """What `python tests/catalogue.py fr` would add or take out."""
    texts, pairs = catalogue.said()
    known = messages()
    assert {text for text in texts | pairs if text not in known or not known[text]} == set()
    assert {text for text in known if text not in texts and text not in pairs} == set()


def test_the_reader_of_code_finds_texts_where_they_are_said() -> None:
    texts, pairs = catalogue.said()
    assert {"The {span} bring net sales of {sales}.", "fill rate", "overtime_hours", "Appendix {letter}"} <= texts
    assert ("{count} decision", "{count} decisions") in pairs and "no decision" in texts


def test_translations_have_the_parts_of_the_english_text() -> None:
    def parts(text: str) -> set[str]:
        return {name for _, name, _, _ in Formatter().parse(text) if name}

    for text, told in messages().items():
        for one, other in [(text, told)] if isinstance(text, str) else [(text[-1], form) for form in told]:
            if parts(one) or "{" in other:
                assert parts(one) == parts(other), one


def test_french_punctuation_does_not_break_a_line() -> None:
    told = [text for one in messages().values() for text in ([one] if isinstance(one, str) else one)]
    assert [text for text in told if re.search(r" [:;?!»%]|« ", text)] == []


def test_names_of_sheets_fit_into_a_workbook() -> None:
    from sopkit.publish import summary, workbook

    with languages.speaking("fr"):
        names = [words.say(name) for name in (*workbook.SHEETS, workbook.FIRST, summary.NAME)]
    assert max(map(len, names)) <= 31 and len({name.lower() for name in names}) == len(names)
    assert [name for name in names if re.search(r"[][:*?/\\]", name)] == []


# what readers see ---------------------------------------------------------------------------------------------------


def test_nothing_on_the_page_bypasses_the_catalogue(finished: Cycle, marked: str) -> None:
    """Every text of the pack that is not the company's own stands between the marks of the made-up language."""
    known = pseudo.data_of(spoken_by(finished, "en")) | stored(finished)
    content = pack.report(spoken_by(finished, marked))
    languages.speak("en")  # the page is in its own language, whatever is spoken when it is written
    page = pack.page(content)
    assert f'lang="{marked}"' in page
    languages.speak(marked)
    texts = pseudo.visible(page)
    assert len(texts) > 5_000
    assert list(pseudo.bypasses(texts, known)) == []
    assert list(pseudo.bypasses(["This sentence is told in English alone"], known)) != []


def stored(cycle: Cycle) -> set[str]:
    """Sentences that the rooms of an English cycle wrote into its tables (they have a test of their own)."""
    found = set()
    for name in ("exceptions", "why_short", "baseline_notes", "demand_notes", "binding_limits", "levers", "findings",
                 "decision_log", "decision_review", "recommended_together", "history_adjustments", "completeness",
                 "demand_change", "scenario_changes", "stream_weights", "driver_effects",
                 "safety_stock_proposal", "campaign_success"):  # fmt: skip
        frame = cycle.book[name]
        for column in frame.select_dtypes("object"):
            for texts in (frame[column], cycle.book.in_words(frame[column])):
                found |= {
                    one for text in texts.astype(str) for one in (text, words.sentence(text), *text.split(": ", 1))
                }
    return {text for text in found if text}


def test_nothing_in_the_workbook_bypasses_the_catalogue(finished: Cycle, marked: str) -> None:
    from io import BytesIO

    from openpyxl import load_workbook

    from sopkit.publish import workbook

    known = pseudo.data_of(spoken_by(finished, "en")) | stored(finished)
    read = load_workbook(BytesIO(workbook.write(spoken_by(finished, marked), "a1" * 32)))
    texts = [sheet.title for sheet in read]
    for sheet in read:
        for cell in (cell for row in sheet.iter_rows() for cell in row):
            texts += [cell.value] if isinstance(cell.value, str) else []
            texts += [cell.comment.text] if cell.comment else []
        texts += [part.text for part in (sheet.oddHeader.left, sheet.oddHeader.right) if part.text]
    languages.speak(marked)
    assert len(texts) > 5_000
    assert list(pseudo.bypasses(texts, known)) == []


def test_nothing_in_a_mail_bypasses_the_catalogue(finished: Cycle, marked: str) -> None:
    from sopkit.publish import audiences, mails

    book = spoken_by(finished, marked)
    whole = replace(book, company=book.company.model_copy(update={"audiences": {"sales": ("Mara Lind",)}}))
    known = pseudo.data_of(spoken_by(finished, "en")) | stored(finished) | {"sales"}
    languages.speak(marked)
    letters = [mails.letter(whole, one, person) for one in audiences.packs(whole) for person in one.people]
    assert len(letters) == 1 and "⟦Hello Mara Lind" in letters[0]
    assert list(pseudo.bypasses(letters, known)) == []


SENTENCES = {
    "demand_notes": "sentence", "exceptions": "sentence advice cause", "baseline_notes": "note", "segments": "advice",
    "stream_weights": "reason", "campaign_success": "reason", "driver_effects": "reason",
    "safety_stock_proposal": "reason", "binding_limits": "sentence", "levers": "sentence", "why_short": "sentence",
}  # fmt: skip


def test_sentences_that_rooms_write_are_in_the_language_of_the_company(finished: Cycle, marked: str) -> None:
    """Demand and supply planned again: what they write into tables for a reader stands between the marks."""
    plan = spoken_by(finished, marked).plan()
    english = finished.book
    for name, columns in SENTENCES.items():
        for column in columns.split():
            told = plan[name][column].astype(str)
            assert len(told) == len(english[name]) and told[told.ne("")].str.contains("⟦").all(), f"{name}.{column}"
        # nothing but the language differs
        numbers = list(plan[name].select_dtypes("number"))
        pd.testing.assert_frame_equal(plan[name][numbers], english[name][numbers])


def test_the_french_pack_keeps_the_notation(finished: Cycle) -> None:
    """No breach in French either: labels are whole and apart, scales are true, one format of money a page."""
    content = pack.report(spoken_by(finished, "fr"))
    assert charts.lint(content) == []
    page = pack.page(content)
    assert 'lang="fr"' in page and "Plan industriel et commercial, novembre 2026" in page
