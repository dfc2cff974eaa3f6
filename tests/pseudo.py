"""A language that marks every text it says: what stands outside of the marks has bypassed the catalogue."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
from babel.messages.pofile import read_po, write_po

from sopkit import kpis
from sopkit.book import Book
from sopkit.tables import INPUTS, RECORDS, TABLES
from sopkit.words import languages

NAME = "eo"
_INNER = re.compile("⟦[^⟦⟧]*⟧")
_WORD = re.compile(r"[^\W\d_]{3,}")
# hashes, files, commands, the clock, ids of tables
_FREE = re.compile(
    r"\b[0-9a-f]{12,}\b|[\w./-]+\.(?:yaml|md|py|xlsx|html|csv|json|sql)\b|\bsopkit [a-z]+ [\w -]*|\bsopkit\b|\bUTC\b"
)


def write(folder: Path) -> None:
    """`eo.po` in `folder`: every text of the French catalogue, in English between marks."""
    with (Path(languages.__file__).parent / "fr.po").open(encoding="utf-8") as file:
        catalogue = read_po(file, locale="fr")
    catalogue.locale = NAME
    for one in catalogue:
        if one.id:
            one.string = f"⟦{one.id}⟧" if isinstance(one.id, str) else tuple(f"⟦{text}⟧" for text in one.id)
    with (folder / f"{NAME}.po").open("wb") as file:
        write_po(file, catalogue, width=0)


class _Page(HTMLParser):
    """Texts of a page; the lines of one drawn text are one."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.quiet = self.drawn = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.quiet += tag in ("style", "script")
        self.drawn += tag == "text"
        self.texts += [""] * (tag == "text")
        self.texts += [value for name, value in attrs if name in ("title", "aria-label", "alt") and value]

    def handle_endtag(self, tag: str) -> None:
        self.quiet -= tag in ("style", "script")
        self.drawn -= tag == "text"

    def handle_data(self, data: str) -> None:
        if self.drawn:
            self.texts[-1] = f"{self.texts[-1]} {data}".strip()
        elif data.strip() and not self.quiet:
            self.texts.append(data)


def visible(page: str) -> list[str]:
    """The texts of a page that a reader sees or hears."""
    reader = _Page()
    reader.feed(page)
    return reader.texts


def outside(text: str) -> str:
    """What is left of a text without all that stands between marks; a text that was cut has lost its last mark."""
    while (shorter := _INNER.sub(" ", text)) != text:
        text = shorter
    return re.sub("⟦[^⟦⟧]*…", " ", text)


def data_of(book: Book) -> set[str]:
    """Texts that are the company's own: of its tables and settings, of its people, and names of tables and columns."""
    company = book.company
    found = {company.name, company.currency, book.cycle, *TABLES, *book.manifest.get("versions", {})}
    found |= {column.name for table in TABLES.values() for column in table if "_" in column.name}
    for name in (table.name for table in (*INPUTS, *RECORDS)):
        for column in TABLES[name]:
            if column.kind == "text" and column.name in book[name]:
                found |= {str(value) for value in book[name][column.name].unique()}
    found |= {one.title for one in book.scenarios.values()} | {one.question for one in book.questions}
    found |= {one.statement for one in company.assumptions.values()} | {*company.assumptions, *book.scenarios, "base"}
    found |= {*kpis.KPIS}
    # the model's names of sets and of its parts, the solver's own
    found |= {*book["supply_formulation"]["name"], *book["supply_run"]["value"], *book["baseline"]["model"]}
    found |= {word for text in found for word in re.split(r", | \| ", text)}
    return {text for text in found if text}


def bypasses(texts: Iterable[str], known: set[str]) -> Iterator[str]:
    """Texts with a word outside of marks that is no data: no name, code, month, file or hash."""
    own = {text.strip() for text in known if _WORD.search(text)}
    months = {languages.day(pd.Timestamp(2026, n, 1), how) for n in range(1, 13) for how in ("MMM", "MMMM", "LLLL")}
    spelt = re.compile(
        "|".join(rf"(?<!\w){re.escape(one)}(?!\w)" for one in sorted(own | months, key=len, reverse=True))
    )
    for text in dict.fromkeys(texts):
        rest = _FREE.sub(" ", spelt.sub(" ", outside(text).replace("\N{NO-BREAK SPACE}", " ")))
        cut = re.match(r"(.*\w)…", rest)  # a name that was too long for its place
        if cut and any(one.startswith(cut[1].strip()) for one in own):
            continue
        if _WORD.search(re.sub(r"\b[A-Z_]+(?: x [A-Z_]+)*\b", " ", rest)):
            yield text
