"""Every stage's figures: one home, from a book alone; each carries what it shows, also where nothing is there."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib import import_module

import pandas as pd
import pytest
from test_publish import COMPANY, CYCLE, MANIFEST, small_plan

from sopkit.book import Book
from sopkit.charts import Figure
from sopkit.tables import STAGES, TABLES

ROOMS = [import_module(f"sopkit.{stage.name}.figures") for stage in STAGES]


def drawn_by(room) -> list[Callable[[Book], Figure]]:
    """The functions of a room that make a figure from a book and nothing else."""
    found = []
    for _, function in inspect.getmembers(room, inspect.isfunction):
        needed = [
            p.name for p in inspect.signature(function).parameters.values() if p.default is inspect.Parameter.empty
        ]
        if function.__module__ == room.__name__ and function.__annotations__.get("return") == "Figure":
            found += [function] if needed == ["book"] and not function.__name__.startswith("_") else []
    return found


FUNCTIONS = [function for room in ROOMS for function in drawn_by(room)]
each = pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f"{f.__module__.split('.')[1]}.{f.__name__}")


@pytest.fixture(scope="module")
def book() -> Book:
    """A small plan with everything that a pack reads."""
    return Book(small_plan(), COMPANY, CYCLE, manifest=MANIFEST)


def test_every_stage_has_figures() -> None:
    assert all(drawn_by(room) for room in ROOMS) and len(FUNCTIONS) > 50


@each
def test_it_carries_what_it_shows(function: Callable[[Book], Figure], book: Book) -> None:
    before = {name: frame.copy() for name, frame in book.items()}
    figure = function(book)
    assert figure.title and figure.alt
    for name, frame in book.items():
        pd.testing.assert_frame_equal(frame, before[name])
    if figure.frame.empty:
        assert 'class="nothing"' in figure.html
        return
    assert set(figure.source) <= set(TABLES)
    assert figure.shows or not figure.source
    if figure.chart is not None:
        assert figure.unit and figure.measure and figure.source
        dates = figure.frame.select_dtypes("datetime")
        assert dates.empty or figure.period


@each
def test_without_tables_it_is_a_plain_sentence(function: Callable[[Book], Figure]) -> None:
    figure = function(Book({}, COMPANY, CYCLE))
    assert figure.title and figure.chart is None and len(figure.html) < 60_000


def test_the_pack_draws_nothing_of_its_own() -> None:
    """Sections order, headline and select: a form of figure is called in `figures.py` of a stage and nowhere else."""
    sections = import_module("sopkit.publish.sections")
    source = inspect.getsource(sections) + inspect.getsource(import_module("sopkit.publish.pack"))
    forms = ("line", "bars", "table", "heat_map", "waterfall", "ranking", "stair_step", "statement", "comparison")
    assert not [form for form in forms if f"charts.{form}(" in source]
