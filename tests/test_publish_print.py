"""The demo's pack as it is read: on paper, on a phone, by keyboard and screen reader, without colour."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from bench_pack import fills, violations

from sopkit.cycle import Cycle
from sopkit.publish import pack
from sopkit.words import speaking

QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as run:
        opened = run.chromium.launch(executable_path=chromium, args=QUIET)
        yield opened
        opened.close()


@pytest.fixture
def pack_html(finished: Cycle) -> Path:
    return finished.folder / "plan.html"


def test_the_meeting_reads_at_most_fourteen_full_pages(browser: Any, pack_html: Path, tmp_path: Path) -> None:
    """A page a topic, nothing cut: appendices come after. A narrow font, such as Arial's twin, leaves a little room."""
    pytest.importorskip("pypdfium2", reason="pypdfium2 is not installed: the printed page is not read")
    found = fills(browser, pack_html, tmp_path / "plan.pdf")
    meeting = [fill for text, fill in found if "Appendix" not in text]
    first = next(place for place, (text, _) in enumerate(found) if "Appendix A" in text)
    assert 5 <= first <= 14
    assert {place: fill for place, fill in enumerate(meeting[:first], 1) if fill < 0.84} == {}


def test_the_meeting_reads_as_many_pages_in_french(browser: Any, finished: Cycle, tmp_path: Path) -> None:
    pytest.importorskip("pypdfium2", reason="pypdfium2 is not installed: the printed page is not read")
    book = replace(finished.book, manifest=finished.manifest)
    with speaking("en"):
        french = replace(book, company=book.company.model_copy(update={"language": "fr"}))
        (tmp_path / "plan.html").write_text(pack.page(pack.report(french)), encoding="utf-8")
    found = fills(browser, tmp_path / "plan.html", tmp_path / "plan.pdf")
    assert next(place for place, (text, _) in enumerate(found) if "Annexe A" in text) == 14
    assert min(fill for _, fill in found[:13]) >= 0.75


def test_no_page_holds_more_than_it_shows(browser: Any, pack_html: Path) -> None:
    page = browser.new_page(viewport={"width": 703, "height": 1016})
    page.goto(pack_html.as_uri())
    page.emulate_media(media="print")
    over = page.evaluate("""() => [...document.querySelectorAll('section.page')].filter(s =>
        s.getBoundingClientRect().height > 1018).map(s => s.id).concat([...document.querySelectorAll('.scroll')]
        .filter(x => x.scrollWidth > x.clientWidth + 1).map(x => x.ariaLabel))""")
    page.close()
    assert over == []


def test_a_stranger_reads_names_and_no_codes_before_the_appendix(finished: Cycle, pack_html: Path) -> None:
    html = pack_html.read_text(encoding="utf-8")
    meeting = re.sub(r"<style>.*?</style>|<[^>]*>", " ", html[: html.index('<section id="families"')], flags=re.S)
    codes = finished.book.coded
    assert codes and {code for code in codes if re.search(rf"(?<![\\w-]){re.escape(code)}(?![\\w-])", meeting)} == set()


@pytest.mark.parametrize("width", [1366, 390])
def test_axe_finds_nothing(browser: Any, pack_html: Path, width: int) -> None:
    pytest.importorskip("axe_playwright_python", reason="axe-playwright-python is not installed (extra: bench)")
    assert violations(browser, pack_html, width) == []


def test_figures_are_reached_by_keyboard(browser: Any, pack_html: Path) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 844})
    page.goto(pack_html.as_uri())
    reached = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.className || document.activeElement.tagName"))
    page.close()
    assert {"A", "scroll"} <= reached
