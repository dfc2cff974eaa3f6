"""What prices and events do: found where they are there, not found where they are not, and a what-if that moves."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from sopkit.book import Book
from sopkit.demand import drivers, steps
from sopkit.demand.grid import Notes, make_grid, past_grid
from sopkit.tables import TABLES, Company

CYCLE, FIRST = "2026-11", pd.Timestamp("2026-11-01")
MONTHS = pd.date_range(end="2026-10-01", periods=48, freq="MS")
OWN, STORED, CROSS, FESTIVAL = -1.8, 0.5, 0.6, 0.25


def company(*, own=OWN, cross=CROSS, stored=STORED, festival=FESTIVAL, moves=0.12, seed=0):
    """Six products of two families: what they sell follows season, price, siblings' prices, a festival."""
    random, at = np.random.default_rng(seed), np.arange(48)
    names = [f"{family}{n}" for family in "AB" for n in range(3)]
    off = np.where(random.random((6, 48)) < 0.3, random.normal(-moves, moves / 2, (6, 48)), 0.0)
    off[:, -1] = 0.0
    before = np.c_[np.zeros(6), off[:, :-1]]
    others = np.stack([np.delete(off[n // 3 * 3 : n // 3 * 3 + 3], n % 3, axis=0).mean(axis=0) for n in range(6)])
    happens = np.isin(np.arange(48) % 12, [5]) & (np.arange(48) // 12 != 1)  # every June but one
    shape = 1 + 0.3 * np.sin(2 * np.pi * at / 12)
    sold = 200 * shape * np.exp(own * off + stored * before + cross * others + festival * happens)
    sold = sold * random.lognormal(0, 0.05, (6, 48))
    index = pd.MultiIndex.from_product([names, MONTHS], names=["product", "month"])
    long = pd.DataFrame({"quantity": sold.ravel(), "price": 10 * np.exp(off).ravel()}, index=index).reset_index()
    long = long.assign(market="M")
    tables = {
        "families": pd.DataFrame({"family": ["A", "B"], "name": ["A", "B"]}),
        "products": pd.DataFrame(
            {
                "product": names,
                "name": names,
                "family": [name[0] for name in names],
                "price": 10.0,
                "standard_cost": 5.0,
            }
        ),
        "markets": pd.DataFrame({"market": ["M"], "name": ["M"], "region": ["R"], "channel": ["C"]}),
        "clean_history": long[["month", "product", "market", "quantity"]].assign(raw=long["quantity"], revenue=np.nan),
        "dated_prices": long[["product", "market", "month", "price"]],
        "events": pd.DataFrame({"event": "festival", "family": "A", "market": "M", "month": MONTHS[happens]}),
    }
    return {name: TABLES[name].conform(frame) for name, frame in tables.items()}


def book_of(tables, **more):
    return Book({**tables, **more}, Company(name="x", horizon=6), CYCLE)


def learned(tables):
    book, notes = book_of(tables), Notes("normalise")
    past = past_grid(book)
    found = drivers.driver_effects(book, past, np.zeros(past.sold.shape, bool), notes)
    return TABLES["driver_effects"].check(found).set_index(["family", "product", "driver"]), notes


def test_hidden_elasticities_and_events_are_found_within_their_own_doubt():
    found, _ = learned(company())
    truth = {
        ("A", "", drivers.PRICE): OWN,
        ("A", "", drivers.BEFORE): STORED,
        ("A", "", drivers.FAMILY): CROSS,
        ("B", "", drivers.PRICE): OWN,
    }
    for key, value in truth.items():
        row = found.loc[key]
        assert row["counts"] and row["low"] - 0.05 <= value <= row["high"] + 0.05 and row["error"] < 0.4, key
    product = found.loc[("A", "A1", drivers.PRICE)]
    assert product["counts"] and abs(product["effect"] - OWN) < 0.4


def test_without_prices_that_moved_there_is_not_enough_evidence_and_nothing_moves():
    found, notes = learned(company(own=0.0, cross=0.0, stored=0.0, festival=0.0, moves=1e-6))
    prices = found[found.index.get_level_values("driver") == drivers.PRICE]
    assert not prices["counts"].any() and any("not enough evidence" in row[3] for row in notes.rows)


def test_a_dearer_price_that_sells_more_has_the_wrong_sign_and_is_not_used():
    found, notes = learned(company(own=1.5, cross=0.0, stored=0.0))
    row = found.loc[("A", "", drivers.PRICE)]
    assert row["reason"] == "wrong sign: not used" and not row["counts"]
    assert any("wrong sign" in sentence for *_, sentence, _ in notes.rows)


def planned(tables, **more):
    book = book_of(tables, **more)
    normal = steps.normalise(book)
    known = Book({**book.tables, **normal}, book.company, CYCLE)
    grid = make_grid(past_grid(known).pairs, known.months, known)
    return normal, grid, drivers.effect_of(known, grid, normal["driver_effects"], planned=True)


def test_history_is_brought_to_todays_price_before_the_baseline_is_made():
    """Without the effects of prices and the festival only level, season and noise are left."""
    normal, *_ = planned(company())
    wide = normal["baseline_history"].pivot(index="month", columns="product", values="quantity")
    shape = 200 * (1 + 0.3 * np.sin(2 * np.pi * np.arange(48) / 12))
    calm = np.log(wide.div(shape, axis=0)).std().mean()
    sold = company()["clean_history"].pivot(index="month", columns="product", values="quantity")
    assert calm < 0.75 * np.log(sold.div(shape, axis=0)).std().mean()


def test_a_price_what_if_moves_demand_by_the_elasticity_and_siblings_the_other_way():
    """A tenth dearer everywhere: each month by own + siblings' effect; one product alone: the others gain."""
    tables = company()
    normal, grid, nothing = planned(tables)
    assert np.allclose(nothing, 0)
    of = normal["driver_effects"].set_index(["family", "product", "driver"])["effect"]
    dearer = tables["products"].assign(price=11.0)
    _, _, all_up = planned(tables, products=dearer)
    row = grid.row["B1", "M"]
    once, later = (of["B", "B1", drivers.PRICE] + of["B", "", drivers.FAMILY]), of["B", "", drivers.BEFORE]
    assert all_up[row, 0] == pytest.approx(1.1**once - 1) and all_up[row, 1] == pytest.approx(1.1 ** (once + later) - 1)
    one = tables["products"].assign(price=lambda f: np.where(f["product"] == "B1", 11.0, 10.0))
    _, _, alone = planned(tables, products=one)
    assert alone[row, 0] < -0.1 and alone[grid.row["B0", "M"], 0] > 0.01 and alone[grid.row["A0", "M"], 0] == 0


def test_a_planned_dated_price_and_event_move_their_month_and_the_one_after():
    tables = company()
    cheap = pd.DataFrame(
        {"product": ["A0"], "market": ["M"], "month": [FIRST + pd.DateOffset(months=1)], "price": [8.0]}
    )
    more = pd.DataFrame({"event": ["festival"], "family": ["A"], "market": ["M"], "month": [FIRST]})
    dated = TABLES["dated_prices"].conform(pd.concat([tables["dated_prices"], cheap]))
    coming = TABLES["events"].conform(pd.concat([tables["events"], more]))
    normal, grid, effect = planned(tables, dated_prices=dated, events=coming)
    row = effect[grid.row["A0", "M"]]
    assert row[1] > 0.3 and row[2] < -0.03 and np.allclose(row[3:], 0)
    festival = normal["driver_effects"].set_index(["family", "product", "driver"]).loc["A", "", "event: festival"]
    assert festival["counts"] and row[0] == pytest.approx(np.expm1(festival["effect"]))
    assert effect[grid.row["A1", "M"], 1] < -0.01
