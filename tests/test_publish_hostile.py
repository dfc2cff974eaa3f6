"""Text from data is text: 200 strings that try to be more, through figures and pack, opened in a real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pandas as pd
import pytest
from test_publish import COMPANY, CYCLE, MANIFEST, small_plan

from sopkit import charts
from sopkit.book import Book
from sopkit.publish import pack
from sopkit.tables import TABLES

_SEEDS = (
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "<svg onload=alert(1)>", "javascript:alert(1)",
    "</style><script>alert(1)</script>", "</title><script>alert(1)</script>",
    "<iframe src=https://example.org></iframe>",
    "<link rel=stylesheet href=https://example.org/x.css>", "<base href=https://example.org/>",
    "{{ 7*7 }}", "{% raw %}",
    "${7*7}", "<!-- -->", "]]>", "<![CDATA[x]]>", "&lt;b&gt;", "&#x3c;script&#x3e;",
    "**bold** _it_ [a](https://b.example)",
    "![x](https://example.org/x.png)", "# Heading", "| a | b |", "$x^2$", "`code`", "=1+1", "@SUM(A1)", "+1", "-1",
    "=HYPERLINK(\"https://example.org\")", "\u202eevil\u202c", "\u200f\u05e9\u05dc\u05d5\u05dd",
    "مرحبا", "日本語の名前",
    "😀" * 20, "e\u0301" * 30, "a\x00b", "a\x0bb", "\ufffe", "a" * 10_000, "long words " * 200, "'; DROP TABLE x; --",
    "datum.x", "datum['y']", "\\\"); alert(1); (\"", "%s %d {}", "../../etc/passwd", "url(https://example.org/x)",
    "expression(alert(1))", "@import 'https://example.org/x.css'", "<a href=https://example.org>x</a>", " ", "\t\n tab",
)  # fmt: skip
_WRAPS = ("{}", '"{}"', "'{}'", "{} & more")
STRINGS = [wrap.replace("{}", seed, 1) for seed in _SEEDS for wrap in _WRAPS][:200]


def shown(text: str) -> str:
    """The text as a browser gives it back: no characters that XML forbids, blanks as one."""
    return re.sub(r"\s+", " ", charts.plain(text)).strip()


@pytest.fixture(scope="module")
def page(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, list[str], str]]:
    """The pack of a company in which every text that a person can write is one of the strings, in a browser."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    tables = small_plan(STRINGS[0])
    many = {"assumption": [f"A{n}" for n in range(len(STRINGS))], "statement": STRINGS, "owner": STRINGS}
    tables["assumptions"] = TABLES["assumptions"].check(TABLES["assumptions"].conform(pd.DataFrame(many)))
    names = tables["markets"].assign(name=STRINGS[37:39])
    book = Book(tables | {"markets": names}, COMPANY.model_copy(update={"name": STRINGS[4]}), CYCLE, manifest=MANIFEST)
    content = pack.report(book)
    frame = pd.DataFrame({"name": STRINGS, "value": range(1, len(STRINGS) + 1)})
    told = {"who": STRINGS[1], "look_for": STRINGS[2], "note": STRINGS[3], "source": "products"}
    content["appendices"][0]["body"] += [
        charts.table(frame, {"name": "Name", "value": charts.Show("Pieces", "pcs")}, title=STRINGS[5], **told),
        charts.ranking(frame, "name", "value", most=200, unit="pcs", title=STRINGS[6], **told),
    ]
    path = tmp_path_factory.mktemp("hostile") / "plan.html"
    path.write_text(pack.page(content), encoding="utf-8")
    with playwright.sync_playwright() as run:
        browser = run.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu", "--disable-quic"]
        )
        opened = browser.new_page(viewport={"width": 1366, "height": 900})
        seen: list[str] = []
        opened.on("request", lambda request: seen.append(f"asked {request.url[:80]}"))
        opened.on("dialog", lambda dialog: (seen.append(f"said {dialog.message}"), dialog.dismiss()))
        opened.on("console", lambda message: seen.append(f"told {message.text[:80]}"))
        opened.on("pageerror", lambda error: seen.append(f"failed {error}"))
        opened.goto(path.as_uri())
        yield opened, seen, path.as_uri()
        browser.close()


def test_there_are_two_hundred() -> None:
    assert len(set(STRINGS)) == 200


def test_nothing_is_run_and_nothing_is_asked_for(page: tuple[Any, list[str], str]) -> None:
    opened, seen, address = page
    assert [one for one in seen if one != f"asked {address[:80]}"] == []
    tags = set(opened.evaluate("[...document.querySelectorAll('*')].map(e => e.localName)"))
    assert not tags & {"script", "iframe", "img", "link", "base", "object", "embed", "form", "foreignobject"}
    names = opened.evaluate("[...document.querySelectorAll('*')].flatMap(e => e.getAttributeNames())")
    assert not [name for name in names if name.startswith("on")]
    assert opened.evaluate("[...document.querySelectorAll('[href]')].every(a => a.getAttribute('href')[0] === '#')")


def test_every_string_is_there_as_text_and_the_layout_holds(page: tuple[Any, list[str], str]) -> None:
    opened, _, _ = page
    cells = opened.evaluate(
        "[...document.querySelectorAll('td, th, figcaption p, figcaption')].map(e => e.textContent)"
    )
    texts = {re.sub(r"\s+", " ", one).strip() for one in cells}
    assert [text for text in STRINGS if shown(text) and shown(text) not in texts] == []
    assert opened.evaluate("document.documentElement.scrollWidth") <= 1366
