"""Numbers, months and lists read as people write them; the glossary is whole, and no retired word is left."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sopkit import words
from sopkit.tables import TABLES

PROJECT = Path(__file__).resolve().parents[1]
FOR_CONTRIBUTORS = [PROJECT / "CONTRIBUTING.md"]
RETIRED = [word for term in words.GLOSSARY for word in term.replaces]
CODES = {code for term in words.GLOSSARY for code in term.codes}


def any_of(retired: list[str]) -> re.Pattern[str]:
    """Any of the retired words, between blanks or underscores, in singular or plural."""
    return re.compile(r"\b(" + "|".join(re.sub("[ _]", "[ _]", word) for word in retired) + r")s?\b", re.IGNORECASE)


WORD = any_of(RETIRED)
# retired as names of what people record; in words about the code a text or a function may say something
WORD_ABOUT_CODE = any_of([word for word in RETIRED if word not in ("said", "says")])


def test_numbers_and_months_are_written_for_people() -> None:
    assert words.month_name("2026-11-01") == "Nov 2026" and words.month_name(pd.NaT) == ""
    assert words.number(1234567.4) == "1,234,567"
    assert words.number(None) == "–" and words.number(float("nan")) == "–"
    assert words.number(-12.34, 1, sign=True) == "−12.3" and words.number(12.34, 1, sign=True) == "+12.3"
    assert words.number(-0.0001, 1, sign=True) == "0.0"
    assert words.amount(8_214_000, "EUR") == "8.21 million EUR" and words.amount(0.9312, "share") == "93.1 %"
    assert words.amount(4210, "pcs") == "4,210 pcs"
    assert words.amount(-61_500, "EUR", sign=True) == "−61.5 thousand EUR"
    assert words.money(61.54, "EUR") == "61.54 EUR" and words.money(-12_345.6, "EUR", sign=True) == "−12,346 EUR"
    assert words.percent(0.18) == "18 %" and words.percent(0.123, 1, sign=True) == "+12.3 %"
    assert words.scale_of([3.2, 8.75], "days") == words.Scale(1.0, "days", 2)
    assert words.scale_of([], "EUR").text(None) == "–"


def test_a_table_shows_money_one_step_finer_than_a_chart() -> None:
    values = [2_500_000.0, 4_000.0]
    assert words.scale_of(values, "EUR") == words.Scale(1e6, "million EUR", 2)
    assert words.scale_of(values, "EUR", small=True) == words.Scale(1e3, "thousand EUR", 0)
    assert words.scale_of([12e6], "pcs", small=True) == words.scale_of([12e6], "pcs")


@given(st.floats(-1e13, 1e13), st.sampled_from(["EUR", "pcs", "hours"]))
def test_an_amount_is_the_value_to_three_digits(value: float, unit: str) -> None:
    scale = words.scale_of([value], unit)
    text = words.amount(value, unit).removesuffix(scale.unit).replace(",", "").replace("−", "-")
    assert math.isclose(float(text) * scale.factor, value, rel_tol=0.006, abs_tol=0.006)


def test_spans_counts_and_lists_in_words() -> None:
    assert words.span("2027-05", "2027-05") == "May 2027" and words.span("2027-05", "2027-07") == "May to Jul 2027"
    assert words.span("2026-11", "2027-04") == "Nov 2026 to Apr 2027"
    assert [words.several(n, "month") for n in (0, 1, 3, 30)] == ["no month", "one month", "three months", "30 months"]
    assert words.counted(12) == "twelve" and words.counted(1300) == "1,300"
    assert words.listed("ab") == "a and b" and words.listed("abcdef", 3) == "a, b, c and 3 more"
    assert words.listed(["a"]) == "a" and words.listed([]) == ""
    ways = "{share} above budget", "{share} below budget"
    assert words.than(0.042, *ways) == "4.2 % above budget" and words.than(-0.1, *ways) == "10.0 % below budget"
    assert words.leaning(0.112) == "11.2 % too high" and words.leaning(-0.05) == "5.0 % too low"
    assert words.sentence("two KPIs") == "Two KPIs" and words.heading("wape_before") == "WAPE before"
    assert words.quoted("Second shift.") == "“Second shift”"


def test_the_glossary_names_each_idea_once_and_retires_no_word_it_uses() -> None:
    terms = [term.term for term in words.GLOSSARY]
    assert len(terms) == len(set(terms)) and len(RETIRED) == len(set(RETIRED))
    for term in words.GLOSSARY:
        assert term.meaning and not term.meaning.endswith(".") and term.meaning[0].islower(), term
        assert not WORD.search(f"{term.term} {term.meaning} {term.formula}"), term


def test_no_table_column_or_coded_value_carries_a_retired_word() -> None:
    found = []
    for table in TABLES.values():
        for name in (table.name, *(column.name for column in table)):
            if name in CODES or WORD.search(name.replace("_", " ")):
                found.append(f"{table.name}.{name}")
        found += [f"{table.name}.{c.name}={v}" for c in table for v in c.choices if v in CODES or WORD.search(v)]
    assert not found


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """(line, text) of all that a user may read in a file, and of its identifiers."""
    if path.suffix == ".ipynb":
        for place, cell in enumerate(nbformat.read(path, as_version=4).cells):
            yield place, cell.source
    elif path.suffix == ".py":
        tree = ast.parse(path.read_text(encoding="utf-8"))
        notes = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in notes:
                yield node.lineno, node.value
            elif isinstance(node, ast.FunctionDef | ast.ClassDef):
                yield node.lineno, node.name.replace("_", " ")
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                yield node.lineno, node.id.replace("_", " ")
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                yield node.lineno, node.attr.replace("_", " ")
            elif isinstance(node, ast.arg):
                yield node.lineno, node.arg.replace("_", " ")
    elif path not in FOR_CONTRIBUTORS:
        yield from (line for line in lines(path) if not (path.suffix == ".js" and line[1].lstrip().startswith("//")))


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """(line, text) of a file as it stands."""
    yield from enumerate(path.read_text(encoding="utf-8").splitlines(), 1)


def about_code(path: Path) -> Iterator[tuple[int, str]]:
    """(line, text) of a file with what only a contributor reads: docstrings, comments, CONTRIBUTING."""
    if path.suffix in (".py", ".js") or path in FOR_CONTRIBUTORS:
        yield from lines(path)


def readable() -> Iterator[Path]:
    """Every file of the repository that a user reads, or whose names a contributor reads."""
    yield from sorted((PROJECT / "sopkit").rglob("*.py"))
    for ending in ("*.j2", "*.js"):
        yield from sorted((PROJECT / "sopkit").rglob(ending))
    yield from sorted((PROJECT / "notebooks").rglob("*.ipynb"))
    yield from (PROJECT / name for name in ("README.md", "data/README.md"))
    yield from FOR_CONTRIBUTORS
    yield from sorted((PROJECT / "data" / "demo").glob("*.yaml"))


def test_no_retired_word_is_left_in_texts_and_identifiers() -> None:
    found = [
        f"{path.relative_to(PROJECT)}:{line}: {text[:90]}"
        for path in readable()
        if path.parent.name != "words"
        for word, found_in in ((WORD, texts), (WORD_ABOUT_CODE, about_code))
        for line, text in found_in(path)
        if word.search(text)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("unit", ["", " "])
def test_a_number_without_a_unit_is_refused(unit: str) -> None:
    with pytest.raises(ValueError, match="unit"):
        words.scale_of([1.0], unit)
