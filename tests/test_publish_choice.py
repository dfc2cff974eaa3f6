"""What a reader chooses on the page: a family, months, the order of a table; without a script, and never on paper."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from test_publish import COMPANY, CYCLE, MANIFEST, small_plan

from sopkit.book import Book
from sopkit.publish import pack

QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
SEEN = """s => [...document.querySelectorAll(s)].filter(r => r.getClientRects().length)
    .sort((a, b) => a.getBoundingClientRect().y - b.getBoundingClientRect().y).map(r => r.cells[0].textContent)"""


@pytest.fixture(scope="module")
def opened(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = tmp_path_factory.mktemp("choice") / "plan.html"
    manifest = MANIFEST | {"stages": MANIFEST["stages"] | {"publish": {"log_head": "c0ffee" * 12}}}
    html = pack.page(pack.report(Book(small_plan(), COMPANY, CYCLE, manifest=manifest)))
    assert "<script" not in html
    path.write_text(html, encoding="utf-8")
    with playwright.sync_playwright() as run:
        browser = run.chromium.launch(executable_path=chromium, args=QUIET)
        yield browser, path.as_uri()
        browser.close()


@pytest.fixture
def page(opened: tuple[Any, str]) -> Iterator[Any]:
    page = opened[0].new_page(viewport={"width": 1366, "height": 900}, java_script_enabled=True)
    page.goto(opened[1])
    yield page
    page.close()


def test_a_family_is_chosen_and_rows_and_sheets_of_others_go(page: Any) -> None:
    promised = "#inventory .heat tbody tr"
    assert page.evaluate(SEEN, promised) == ["Sack", "Trail tent"]
    page.locator("#family").select_option("Tents")
    assert page.evaluate(SEEN, promised) == ["Trail tent"]
    sheets = page.locator("#families figure:visible .title").all_inner_texts()
    assert any("Tents" in title for title in sheets)
    assert not any("Packs" in title for title in sheets)
    page.locator("#family").select_option("all")
    assert page.evaluate(SEEN, promised) == ["Sack", "Trail tent"]


def test_months_are_chosen_by_keyboard_and_paper_shows_everything(page: Any) -> None:
    heads = "document.querySelectorAll('#capacity .heat th[scope=col]')"
    shown = f"[...{heads}].filter(h => h.getClientRects().length).length"
    assert page.evaluate(shown) == 15
    page.locator("#months").focus()
    page.keyboard.press("ArrowDown")
    assert page.evaluate(shown) == 4
    page.locator("#family").select_option("Tents")
    page.emulate_media(media="print")
    assert page.evaluate(shown) == 15
    assert page.evaluate(SEEN, "#inventory .heat tbody tr") == ["Sack", "Trail tent"]
    assert not page.locator("#family").is_visible()


def test_nothing_is_wider_than_a_phone(page: Any) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_a_table_is_sorted_by_the_heading_that_is_chosen(page: Any) -> None:
    listed = page.evaluate(SEEN, "#scorecard tbody tr")
    assert listed != sorted(listed)
    chosen = page.locator("#scorecard .sort select")
    chosen.select_option("KPI")
    assert page.evaluate(SEEN, "#scorecard tbody tr") == sorted(listed)
    columns = (
        "[...document.querySelectorAll('#scorecard tr')].map(r => Math.round(r.cells[1].getBoundingClientRect().x))"
    )
    assert len(set(page.evaluate(columns))) == 1  # still a table: cells stand below their heading
    chosen.select_option("as listed")
    assert page.evaluate(SEEN, "#scorecard tbody tr") == listed
