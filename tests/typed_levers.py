"""A lever typed into the tables as its `change` says, the way a planner would do it."""

from __future__ import annotations

import re

import pandas as pd
import pytest

from sopkit.book import Book
from sopkit.supply.explain import explain
from sopkit.supply.resolve import Session
from sopkit.tables import TABLES


def told_and_typed(session: Session, *, at_least: bool = False) -> int:
    """How many levers were typed in; each brings what it says, to a millionth of the plan's contribution, or more."""
    levers, base = explain(session)["levers"], session.base
    for _, lever in levers.iterrows():
        other = Session(typed(session.book, lever)).base
        gain = pytest.approx(lever["gain"], rel=1e-4, abs=1e-6 * abs(base.profit))
        assert ("; at least, as" in lever["sentence"]) == at_least
        more = not lever["promise"] and other.profit - base.profit > lever["gain"]
        assert other.profit - base.profit == gain or (at_least and (more or lever["promise"])), lever["change"]
        if promise := lever["promise"]:
            before, after = (one.answer.broken.get(promise) for one in (base, other))
            kept = (before.amount if before else 0.0) - (after.amount if after else 0.0)
            told = pytest.approx(lever["kept"], rel=1e-5, abs=1e-5)
            assert kept == told or (at_least and kept > lever["kept"]), lever["change"]
        assert lever["sentence"].endswith(".")
    return len(levers)


def typed(book: Book, lever: pd.Series) -> Book:
    """The book with one lever of table `levers` typed in; what is said, and nothing else."""
    change, place, item = lever["change"], lever["place"], lever["item"]
    number = [float(part) for part in re.findall(r"(?<![\w.])\d+(?:\.\d+)?(?:e[+-]?\d+)?", change)]
    if change.startswith("capacity.overtime_limit"):
        frame = book["capacity"]
        here = frame["resource"].eq(place)
        regular = (frame["hours"] - frame["maintenance"]).clip(lower=0)
        more = number[0] / 100 * regular if "%" in change else number[0]
        return book.with_tables({"capacity": frame.assign(overtime_limit=frame["overtime_limit"] + here * more)})
    if change.startswith("offers.capacity"):
        supplier, site = place.split(" ", 1)
        tables = {}
        for name in ("offers", "supplier_capacity"):
            frame = book[name]
            here = frame["supplier"].eq(supplier) & frame["site"].eq(site) & frame["item"].eq(item)
            tables[name] = frame.assign(capacity=frame["capacity"] * (1 + number[0] / 100 * here))
        return book.with_tables(tables)
    if change.startswith("sites.storage"):
        frame = book["sites"]
        here = frame["site"].eq(place)
        return book.with_tables({"sites": frame.assign(storage=frame["storage"] * (1 + number[0] / 100 * here))})
    if change.startswith("policies.maximum_stock"):
        frame = book["policies"]
        here = frame["site"].eq(place) & frame["item"].eq(item)
        wider = frame["maximum_stock"] * (1 + number[0] / 100 * here)
        return book.with_tables({"policies": frame.assign(maximum_stock=wider)})
    if change.startswith("company.yaml"):
        policies = book.company.policies
        wider = policies.model_copy(update={"stock_budget": policies.stock_budget * (1 + number[0] / 100)})
        return Book(dict(book), book.company.model_copy(update={"policies": wider}), book.cycle)
    if change.startswith("workforce"):
        frame = book["workforce"]
        here = (frame["site"] + " " + frame["skill"]).eq(place)
        if "most_hires" in change:
            return book.with_tables({"workforce": frame.assign(most_hires=frame["most_hires"] + number[0] * here)})
        limit = frame["overtime_limit"] + number[0] * here
        cost = frame["overtime_cost"].where(~here, number[1])
        return book.with_tables({"workforce": frame.assign(overtime_limit=limit, overtime_cost=cost)})
    if change.startswith("offers: a new row"):
        price, lead, *capacity = number
        row = {"supplier": "TYPED", "item": item, "site": place, "price": price, "lead_time": int(lead)}
        row |= {"capacity": capacity[0] if capacity else None, "minimum_order": 0.0, "share_limit": 1.0}
        new = {"offers": row, "suppliers": {"supplier": "TYPED"}}
        return book.with_tables(
            {name: pd.concat([book[name], TABLES[name].conform(pd.DataFrame([one]))]) for name, one in new.items()}
        )
    if change.startswith("shifts: a new row"):
        names = "shift hours cost start_cost stop_cost least_months".split()
        row = {"place": place, **dict(zip(names, number, strict=True))}
        new = TABLES["shifts"].conform(pd.DataFrame([row | {name: int(row[name]) for name in names[::5]}]))
        return book.with_tables({"shifts": pd.concat([book["shifts"], new])})
    assert change == "scheduled_receipts.month - 1", change
    frame = book["scheduled_receipts"]
    here = frame["site"].eq(place) & frame["item"].eq(item) & frame["month"].gt(book.first)
    sooner = frame["month"].where(~here, frame["month"] - pd.DateOffset(months=1))
    frame = frame.assign(month=sooner).groupby([*frame.columns.drop("quantity")], as_index=False, dropna=False).sum()
    return book.with_tables({"scheduled_receipts": frame})
