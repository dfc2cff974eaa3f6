"""An independent model, written from the data dictionary alone, agrees on random companies; so do their levers."""

from __future__ import annotations

import os

import numpy as np
import pandas as pd
import pytest
from independent import CYCLE, drawn, independent
from small_company import company
from typed_levers import told_and_typed

from sopkit.book import Book
from sopkit.supply import levers, limits
from sopkit.supply.explain import explain
from sopkit.supply.limits import Solved
from sopkit.supply.resolve import Session

COMPANIES = int(os.environ.get("SOPKIT_COMPANIES", 20))
"""200 a night: SOPKIT_COMPANIES=200 pytest tests/test_supply_independent.py."""

LOTS = set("minimum_order order_multiple full_load minimum_run setup_hours setup_cost setup_family family_setup_hours "
    "family_setup_cost setup_carry_over".split())  # columns without which nothing is all or nothing  # fmt: skip


@pytest.mark.parametrize("seed", range(COMPANIES))
def test_an_independent_model_agrees(seed) -> None:
    tables = drawn(seed)
    carbon = 1.5 * (seed % 3 == 0)
    session = Session(Book.of(tables, company(3, gap=0.0, carbon_price=carbon), CYCLE))
    if seed % 4 == 0:
        session.plan()  # every rule is checked again, ages too
    broken, best = independent(tables, 3, carbon, session.base.network.lots.least_run)
    room = 1e-5 * (1 + sum(broken))  # within which both hold a promise while they look for whole numbers
    found = [session.base.answer.broken.get(promise) for promise in ("unmet_promises", "short_orders")]
    assert [one.amount if one else 0.0 for one in found] == pytest.approx(broken, abs=room)
    assert session.base.profit == pytest.approx(best, rel=1e-6, abs=0.02)


@pytest.mark.parametrize("seconds", [1e-3, 1e-6])
@pytest.mark.parametrize("seed", [1, 6, 12, 16, 24])
def test_a_search_without_time_ends_with_a_plan_and_says_what_a_better_one_could_bring(seed, seconds) -> None:
    tables = drawn(seed)
    session = Session(Book.of(tables, company(3, gap=0.0, time_limit=seconds), CYCLE))
    session.plan()
    answer, best = session.base.answer, Session(Book.of(tables, company(3, gap=0.0), CYCLE)).base.answer
    broken, least = ([round(one.amount, 3) for one in each.broken.values()] for each in (answer, best))
    assert sum(broken) >= sum(least)
    if broken == least:
        assert answer.profit - 0.02 <= best.profit <= answer.profit + answer.gap + 0.02
    assert 0 <= answer.gap < 1e6


@pytest.mark.parametrize("seed", range(COMPANIES))
def test_their_levers_typed_in_as_written_bring_what_they_say(seed) -> None:
    carbon = 1.5 * (seed % 3 == 0)
    told_and_typed(Session(Book.of(drawn(seed), company(3, gap=0.0, carbon_price=carbon), CYCLE)))


@pytest.mark.parametrize("seed", range(COMPANIES))
def test_levers_left_out_by_the_plans_prices_would_bring_nothing_that_is_named(seed, monkeypatch) -> None:
    tables = {name: frame for name, frame in drawn(seed).items() if "shift" not in name and name != "price_breaks"}
    tables = {name: frame.drop(columns=LOTS & set(frame)) for name, frame in tables.items()}
    tables["capacity"] = tables["capacity"].assign(maintenance=0.0)
    solved = Solved(Session(Book.of(tables, company(3, gap=0.0), CYCLE)))
    assert not solved.matrix.integer.any()
    quick = levers.levers(solved)
    monkeypatch.setattr(levers, "_hope", lambda *_: np.inf)
    pd.testing.assert_frame_equal(quick, levers.levers(solved))


@pytest.mark.parametrize("seed", range(COMPANIES // 2))
def test_levers_of_a_plan_with_many_whole_numbers_bring_what_they_say_or_more(seed, monkeypatch) -> None:
    """As if finding them anew were too long for each lever: they stay as planned but for those next to it."""
    monkeypatch.setattr(limits, "EASY", 0)
    session = Session(Book.of(drawn(seed), company(3, gap=0.0), CYCLE))
    if session.base.matrix.integer.any():
        told_and_typed(session, at_least=True)
        assert explain(session)["levers"].equals(explain(session)["levers"])
