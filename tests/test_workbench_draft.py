"""The draft of the consensus: what is typed is spread by the rule of overrides, undone, and stored as it was typed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sopkit
from sopkit.book import Plan
from sopkit.demand import consensus
from sopkit.demand.grid import Grid, Notes
from sopkit.workbench.draft import Draft, read_typed


def made_plan() -> Plan:
    """The demo's products and markets with a demand plan of plain numbers: a product has one, two or three markets."""
    book = sopkit.demo()
    random, markets = np.random.default_rng(7), sorted(book["markets"]["market"])
    rows = [
        {"product": product, "market": market, "month": month, "consensus": float(random.integers(0, 400))}
        for at, product in enumerate(sorted(book["products"]["product"])[:9])
        for market in markets[: 1 + at % 3]
        for month in book.months[:6]
    ]
    planned = book.with_tables({"demand_plan": pd.DataFrame(rows)})
    return Plan(planned.tables, planned.company, planned.cycle)


PLAN = made_plan()
WHOLE = len(PLAN["demand_plan"]["month"].unique())


def numbers(draft: Draft, line: str) -> np.ndarray:
    return np.array([float(text.replace(",", "").replace("\u2212", "-")) for text, _, _ in draft.cells(line)])


def typed(draft: Draft, *cells: tuple[str, int, str]) -> list:
    return draft.enter(cells)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("1,250", ("set", 1250)),
        (" 1 250.5 ", ("set", 1250.5)),
        ("1'250", ("set", 1250)),
        (".5", ("set", 0.5)),
        ("+50", ("add", 50)),
        ("\u221250", ("add", -50)),
        ("+10%", ("scale", 1.1)),
        ("-5 %", ("scale", 0.95)),
    ],
)
def test_what_planners_type_is_understood(text: str, meant: tuple) -> None:
    action, amount = read_typed(text)
    assert (action, amount) == (meant[0], pytest.approx(meant[1]))


@pytest.mark.parametrize("text", ["many", "1,25", "1.250,5", "10%", "=SUM(A1)", "1e9999", "--4", "12 units", "\u0661"])
def test_what_is_no_number_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(ValueError, match="Type 1,250 to set"):
        read_typed(text)


def test_every_line_adds_up_to_the_line_above_it() -> None:
    draft = Draft(PLAN)
    expected = PLAN["demand_plan"].groupby("month")["consensus"].sum()
    assert numbers(draft, "all").tolist() == [*expected, expected.sum()]
    for row in draft.rows:
        below = [numbers(draft, one.id) for one in draft.rows if one.parent == row.id]
        assert bool(below) == row.opens
        if below:
            assert np.sum(below, axis=0).tolist() == numbers(draft, row.id).tolist()


def test_a_number_typed_into_a_family_is_met_and_spread_in_proportion() -> None:
    draft, line = Draft(PLAN), next(one for one in Draft(PLAN).lines.values() if one.row.id.startswith("f:"))
    was = draft.now[line.start : line.stop, 2].copy()
    assert not typed(draft, (line.row.id, 2, "5,000"))
    now = draft.now[line.start : line.stop, 2]
    assert now.sum() == pytest.approx(5000) and np.allclose(now / 5000, was / was.sum())
    assert draft.cells(line.row.id)[2][:2] == ("5,000", "changed") and draft.cells("all")[2][1] == "changed"
    assert draft.cells(line.row.id)[1][1] == "", "no other month moves"
    assert "against" in draft.cells(line.row.id)[2][2] and "One change, not stored yet" in draft.sentence


def test_the_last_column_keeps_the_shape_of_the_year() -> None:
    draft = Draft(PLAN)
    was = numbers(draft, "all")[:-1]
    assert not typed(draft, ("all", WHOLE, "10,000"))
    assert numbers(draft, "all")[-1] == 10_000
    assert np.allclose(draft.now.sum(axis=0) / 10_000, was / was.sum())


def test_a_block_is_one_step_and_what_stands_there_already_is_no_change() -> None:
    draft = Draft(PLAN)
    line = next(row.id for row in draft.rows if row.id.startswith("p:"))
    shown = [text for text, _, _ in draft.cells(line)]
    assert not typed(draft, *((line, at, text) for at, text in enumerate(shown)))
    assert draft.entries == [] and draft.steps == (0, 0)
    assert not typed(draft, (line, 0, "11"), (line, 1, "12"))
    assert len(draft.entries) == 2 and draft.steps == (1, 0)
    draft.undo()
    assert draft.steps == (0, 1) and np.array_equal(draft.now, draft.base)
    draft.redo()
    assert numbers(draft, line)[:2].tolist() == [11, 12]
    assert not typed(draft, (line, 0, "")), "an empty cell is as it was"
    assert numbers(draft, line)[0] == float(shown[0].replace(",", ""))


def test_one_wrong_cell_and_nothing_of_the_block_is_taken() -> None:
    draft = Draft(PLAN)
    line = next(row.id for row in draft.rows if row.id.startswith("p:"))
    refused = typed(
        draft, (line, 0, "900"), (line, 1, "nine"), (line, WHOLE + 1, "5"), (f"{line}|0", 0, "7"), ("", 0, "8")
    )
    assert draft.entries == [] and [one.column for one in refused] == [1, WHOLE + 1, 0, 0]
    assert "is not a number" in refused[0].why and "outside the sheet" in refused[1].why
    assert "shown, not changed" in refused[2].why and "outside the sheet" in refused[3].why
    (much,) = typed(draft, ("all", 0, "-9,999,999"))
    assert "takes more than the" in much.why
    (all_of_it,) = typed(draft, ("all", 0, "-101%"))
    assert "-100% is the most" in all_of_it.why


CELLS = st.tuples(
    st.sampled_from([row.id for row in Draft(PLAN).rows]),
    st.integers(0, WHOLE),
    st.one_of(
        st.integers(0, 5000).map(str), st.integers(0, 300).map("+{}".format), st.integers(-100, 200).map("{:+}%".format)
    ),
)


@settings(max_examples=60)
@given(st.lists(st.lists(CELLS, min_size=1, max_size=3), min_size=1, max_size=5))
def test_the_draft_is_what_its_overrides_make_of_the_plan(steps: list) -> None:
    draft = Draft(PLAN)
    for step in steps:
        assert not typed(draft, *step)
    about = {"author": "Ada Brandt", "reason": "a", "cycle": PLAN.cycle, "recorded_at": "", "evidence": ""}
    stored = [
        about | fields | {"id": at, "supersedes": 0, "expires": pd.NaT} for at, fields in enumerate(draft.overrides, 1)
    ]
    grid = Grid(draft.pairs, pd.DatetimeIndex(draft.months))
    book = replace(PLAN, tables={**PLAN.tables, "overrides": pd.DataFrame(stored)}) if stored else PLAN
    made, _, _ = consensus.apply_overrides(book, draft.base, grid, Notes("agree"))
    assert np.allclose(made, draft.now)
    assert np.allclose(
        draft.now.sum(axis=0),
        np.sum(
            [draft.now[line.start : line.stop].sum(axis=0) for line in draft.lines.values() if line.row.depth == 1],
            axis=0,
        ),
    )
    assert (draft.now >= 0).all()
    while draft.steps[0]:
        draft.undo()
    assert np.array_equal(draft.now, draft.base)


def test_what_others_stored_on_the_same_cells_is_shown_with_both_values() -> None:
    draft = Draft(PLAN)
    line = next(one for one in draft.lines.values() if one.row.id.startswith("p:"))
    typed(draft, (line.row.id, 1, "77"))
    other = {"author": "Jon Okafor", "action": "add", "amount": 5.0, "reason": "fair", "product": "", "family": ""}
    other |= {"market": "", "first_month": draft.months[0], "last_month": draft.months[1]}
    (said,) = draft.overlapping(pd.DataFrame([other]))
    assert "Jon Okafor stored add 5" in said and "you typed set 77" in said and line.row.label in said
    elsewhere = other | {"first_month": draft.months[2], "last_month": draft.months[3]}
    assert draft.overlapping(pd.DataFrame([elsewhere])) == []
