"""A language that marks every text it says: what stands outside of the marks has bypassed the catalogue."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
from babel.messages.pofile import read_po, write_po

from sopkit import languages
from sopkit.book import Book
from sopkit.tables import INPUTS, RECORDS, TABLES

NAME = "eo"
_INNER = re.compile("⟦[^⟦⟧]*⟧")
_WORD = re.compile(r"[^\W\d_]{3,}")


def write(folder: Path) -> None:
    """`eo.po` in `folder`: every text of the French catalogue, in English between marks."""
    with (languages.FOLDER / "fr.po").open(encoding="utf-8") as file:
        catalogue = read_po(file, locale="fr")
    catalogue.locale = NAME
    for one in catalogue:
        if one.id:
            one.string = f"⟦{one.id}⟧" if isinstance(one.id, str) else tuple(f"⟦{text}⟧" for text in one.id)
    with (folder / f"{NAME}.po").open("wb") as file:
        write_po(file, catalogue, width=0)


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.quiet = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.quiet += tag in ("style", "script")
        self.texts += [value for name, value in attrs if name in ("title", "aria-label", "alt") and value]

    def handle_endtag(self, tag: str) -> None:
        self.quiet -= tag in ("style", "script")

    def handle_data(self, data: str) -> None:
        if data.strip() and not self.quiet:
            self.texts.append(data)


def visible(page: str) -> list[str]:
    """The texts of a page that a reader sees or hears."""
    reader = _Page()
    reader.feed(page)
    return reader.texts


def outside(text: str) -> str:
    """What is left of a text without all that stands between marks."""
    while (shorter := _INNER.sub(" ", text)) != text:
        text = shorter
    return text


def data_of(book: Book, *, stored: bool = True) -> set[str]:
    """Texts that are the company's own: of its tables, of its settings, of its people; with `stored`, of plan tables."""
    names = {table.name for table in (*INPUTS, *RECORDS)}
    found = {book.company.name, book.currency, book.cycle, *TABLES}
    for name in book:
        for column in TABLES[name]:
            if column.kind in ("text",) and (stored or name in names) and column.name in book[name]:
                found |= {str(value) for value in book[name][column.name].unique()}
    found |= {one.title for one in book.scenarios.values()}
    found |= {word for text in found for word in re.split(r", | \| ", text)}
    return {text for text in found if text}


def bypasses(texts: Iterable[str], known: set[str]) -> Iterator[str]:
    """Texts with a word outside of marks that is no data: no name, code, month, file or hash."""
    own = sorted({text.strip() for text in known if _WORD.search(text)}, key=len, reverse=True)
    months = {languages.day(pd.Timestamp(2026, n, 1), p) for n in range(1, 13) for p in ("MMM", "MMMM", "LLLL")}
    spelt = re.compile("|".join(map(re.escape, [*own, *sorted(months, key=len, reverse=True)])), re.I)
    for text in dict.fromkeys(texts):
        rest = outside(text)
        rest = re.sub(r"\b[0-9a-f]{12,}\b|[\w./-]+\.(?:yaml|md|py|xlsx|html|csv|json|sql)\b|sopkit[\w -]*|f[0-9a-f]{8}\S*", " ", rest)
        if _WORD.search(rest) and _WORD.search(spelt.sub(" ", rest)):
            yield text
