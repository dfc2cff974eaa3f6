"""A material that nobody supplies passes no check in silence: when it runs out and what hangs on it is said."""

from __future__ import annotations

import pandas as pd
import pytest

from sopkit.collect.complete import findings
from sopkit.tables import INPUTS, TABLES, Company

CYCLE = "2026-11"


def rows(table: str, **columns: list) -> pd.DataFrame:
    return TABLES[table].conform(pd.DataFrame(columns))


@pytest.fixture
def tables() -> dict[str, pd.DataFrame]:
    """A shovel of a blade (made of steel) and a handle; 100 sold a month, steel 2 a blade; 700 steel in stock."""
    months = pd.date_range("2025-11-01", periods=12, freq="MS")
    made = {table.name: table.empty() for table in INPUTS}
    return made | {
        "sales_history": rows(
            "sales_history", month=list(months) * 2, product=["SHOVEL"] * 12 + ["RAKE"] * 12, market=["M"] * 24,
            quantity=[100.0] * 24,
        ),
        "bom": rows(
            "bom", item=["SHOVEL", "SHOVEL", "BLADE"], component=["BLADE", "HANDLE", "STEEL"],
            quantity=[1.0, 1.0, 2.0],
        ),
        "routings": rows("routings", item=["SHOVEL", "BLADE"], resource=["L", "L"], hours=[1.0, 1.0]),
        "offers": rows("offers", supplier=["S"], item=["HANDLE"], site=["P"], price=[1.0]),
        "inventory": rows("inventory", site=["P", "P"], item=["STEEL", "RAKE"], quantity=[500.0, 50.0]),
        "scheduled_receipts": rows(
            "scheduled_receipts", site=["P"], item=["STEEL"], month=[pd.Timestamp("2026-12-01")], quantity=[200.0]
        ),
    }  # fmt: skip


def said(tables: dict[str, pd.DataFrame], horizon: int = 18) -> dict[str, str]:
    found = findings(tables, Company(name="x", horizon=horizon), CYCLE)
    return {one.value: one.rule for one in found if one.rule.startswith("nobody makes")}


def test_a_material_nobody_supplies_says_when_it_ends_and_what_hangs_on_it(tables: dict[str, pd.DataFrame]) -> None:
    found = said(tables)
    # 700 over 200 a month: three and a half months from November
    assert found["STEEL"] == (
        "nobody makes or sells it: the 700 in stock or on order run out in about Feb 2027, "
        "and SHOVEL cannot be made after that"
    )
    assert found["RAKE"].endswith("the 50 in stock or on order run out in about Nov 2026")
    assert set(found) == {"STEEL", "RAKE"}


def test_stock_that_outlasts_the_horizon_or_a_supplier_is_no_finding(tables: dict[str, pd.DataFrame]) -> None:
    assert set(said(tables, horizon=3)) == {"RAKE"}
    offers = rows("offers", supplier=["S"] * 3, item=["HANDLE", "STEEL", "RAKE"], site=["P"] * 3, price=[1.0] * 3)
    assert said(tables | {"offers": offers}) == {}
