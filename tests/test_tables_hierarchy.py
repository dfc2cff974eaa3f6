"""Levels above a product, a market and a month, and adding up to them as each column declares it."""

from itertools import product as every

import numpy as np
import pandas as pd
import pytest

from sopkit.tables import TABLES as DECLARED
from sopkit.tables import Company, Table
from sopkit.tables.declare import number, price, text
from sopkit.tables.hierarchy import LEVELS, add_up, fiscal_years, quarters, with_levels

TABLES = {
    "products": pd.DataFrame({"product": ["A", "B", "C"], "family": ["F", "F", "G"]}),
    "markets": pd.DataFrame({"market": ["N1", "N2", "S1"], "region": ["North", "North", "South"]}),
}
COMPANY = Company(name="test")
SALES = pd.DataFrame(
    [
        (p, m, t, 10**i)
        for i, (p, m, t) in enumerate((p, m, t) for p in "ABC" for m in ("N1", "S1") for t in ("2026-11", "2027-01"))
    ],
    columns=["product", "market", "month", "quantity"],
).assign(month=lambda f: pd.to_datetime(f["month"]))


def test_a_fiscal_year_is_named_after_the_year_it_ends_in():
    months = pd.Series(pd.to_datetime(["2026-06-01", "2026-07-01", "2026-12-01", "2027-01-01", "2027-06-01"]))
    july = Company(name="test", fiscal_year_start=7)
    assert fiscal_years(months, july).tolist() == ["FY2026", "FY2027", "FY2027", "FY2027", "FY2027"]
    assert quarters(months, july).tolist() == ["FY2026 Q4", "FY2027 Q1", "FY2027 Q2", "FY2027 Q3", "FY2027 Q4"]
    assert quarters(months, COMPANY).tolist() == ["FY2026 Q2", "FY2026 Q3", "FY2026 Q4", "FY2027 Q1", "FY2027 Q2"]


@pytest.mark.parametrize(("product", "market", "month"), list(every(*LEVELS.values())))
def test_no_level_loses_a_unit(product, market, month):
    rolled = add_up(
        with_levels(SALES, TABLES, COMPANY), DECLARED["sales_history"], [product, market, month], ["quantity"]
    )
    assert rolled["quantity"].sum() == SALES["quantity"].sum()
    assert not rolled.drop(columns="quantity").duplicated().any()


def test_rows_land_under_their_parents():
    full = with_levels(SALES, TABLES, COMPANY)
    rolled = add_up(full, DECLARED["sales_history"], ["family", "region", "fiscal_year"], ["quantity"])
    found = rolled.set_index(["family", "region", "fiscal_year"])["quantity"]
    assert found["F", "North", "FY2026"] == 1 + 10**4
    assert found["G", "South", "FY2027"] == 10**11


def test_a_product_without_a_family_is_named():
    with pytest.raises(KeyError, match="product 'a' belongs to no family"):
        with_levels(SALES.assign(product="a"), TABLES, COMPANY)


# how a column adds up -----------------------------------------------------------------------------------------------
STOCK = pd.DataFrame(
    {
        "site": "S",
        "item": ["A", "B", "C", "A", "B"],
        "month": pd.to_datetime(["2026-10-01"] * 3 + ["2026-12-01"] * 2),
        "opening": [4.0, 5.0, 6.0, 5.0, 6.0],
        "received": 1.0,
        "closing": [5.0, 6.0, 7.0, 1.0, 2.0],
    }
)


def test_a_stock_takes_the_last_month_of_a_period_and_an_opening_stock_the_first():
    full = with_levels(STOCK.rename(columns={"item": "product"}), TABLES, COMPANY)
    quarter = add_up(full, DECLARED["stock"], ["family", "quarter"], ["opening", "received", "closing"])
    assert quarter.drop(columns="quarter").values.tolist() == [["F", 9.0, 4.0, 3.0], ["G", 6.0, 1.0, 0.0]]
    months = add_up(STOCK, DECLARED["stock"], ["month"])
    assert months["closing"].tolist() == [18.0, 3.0]
    assert add_up(STOCK, DECLARED["stock"], []).iloc[0].to_dict() == {
        "total": "total", "opening": 15.0, "received": 5.0, "closing": 3.0
    }  # fmt: skip


def test_a_rate_is_computed_again_from_its_parts():
    load = pd.DataFrame(
        {
            "resource": ["A", "B", "C"],
            "month": pd.Timestamp("2026-11-01"),
            "available": [100.0, 300.0, 0.0],
            "regular": [100.0, 0.0, 0.0],
            "overtime": [20.0, 0.0, 0.0],
            "utilisation": [1.2, 0.0, np.nan],
        }
    )
    assert add_up(load, DECLARED["resource_load"], ["month"], ["utilisation"])["utilisation"].tolist() == [0.3]
    plan = pd.DataFrame({"month": "m", "demand": [1.0, 3.0, 0.0], "price": [10.0, 20.0, np.nan]})
    assert add_up(plan, DECLARED["deliveries"], ["month"], ["price"])["price"].tolist() == [17.5]
    unknown = plan.assign(demand=1.0)
    assert add_up(unknown, DECLARED["deliveries"], ["month"], ["price"])["price"].isna().all()


@pytest.mark.parametrize(
    ("table", "by", "values", "said"),
    [
        ("baseline", ["month"], ["p90"], r"baseline.p90 \(units exceeded with 10 % chance\).*does not add up"),
        ("level_chase", ["strategy"], ["shortfall"], "adds up within a month, not over months"),
        ("past_forecasts", ["month"], ["quantity"], "rows of different cycle do not add up"),
        ("supply_costs", ["month"], ["amount"], "rows of different cost do not add up"),
    ],
)
def test_what_does_not_add_up_is_refused(table, by, values, said):
    with pytest.raises(ValueError, match=said):
        add_up(_sample(DECLARED[table], 50), DECLARED[table], by, values)
    with pytest.raises(KeyError, match="did you mean 'month'"):
        add_up(_sample(DECLARED[table], 50), DECLARED[table], ["mont"], values)


def test_where_nothing_is_added_any_column_may_be_asked_for():
    one = _sample(DECLARED["baseline"], 50).drop_duplicates(["product", "market", "month"])
    assert len(add_up(one, DECLARED["baseline"], ["product", "market", "month"], ["p90"])) == len(one)


def test_a_rate_names_columns_of_its_table():
    with pytest.raises(ValueError, match="columns not declared.*weight"):
        Table("t", "collect", "o", "m", (), (text("x", "x"), price("p", "p", "p * weight / weight")))
    with pytest.raises(ValueError, match="'mean' is neither one of"):
        Table("t", "collect", "o", "m", (), (number("x", "x", "u", "mean"),))


@pytest.mark.parametrize("declared", DECLARED.values(), ids=DECLARED)
def test_every_number_says_how_it_adds_up(declared):
    for column in declared:
        assert (column.adds is not None) == (column.kind in ("number", "whole")), column.name
        assert bool(column.adding) == (column.adds is not None), column.name


def _sample(declared: Table, rows: int, seed: int = 0) -> pd.DataFrame:
    """Rows of a table with few different codes, so that many of them fall together."""
    rng = np.random.default_rng(seed)
    months = pd.date_range("2026-05-01", periods=16, freq="MS")
    drawn = {"month": lambda: rng.choice(months, rows), "date": lambda: rng.choice(months, rows)}
    numbers = lambda: rng.integers(0, 9, rows).astype(float)  # noqa: E731
    drawn |= {"number": numbers, "whole": numbers, "flag": lambda: rng.random(rows) < 0.5}
    return pd.DataFrame({c.name: drawn.get(c.kind, lambda: rng.choice([*"ABC"], rows))() for c in declared})


ADDED = [table for table in DECLARED.values() if any(column.adds for column in table)]


@pytest.mark.parametrize("declared", ADDED, ids=[table.name for table in ADDED])
def test_adding_up_in_two_stages_equals_adding_up_at_once(declared):
    rng = np.random.default_rng(len(declared.names))
    frame = _sample(declared, int(rng.integers(5, 60)), seed=len(declared.name))
    texts = [c.name for c in declared if c.kind in ("text", "choice") and c.name not in declared.apart]
    inner = [*declared.apart, *(name for name in texts if rng.random() < 0.6)]
    outer = [*declared.apart, *(name for name in inner if name in texts and rng.random() < 0.4)]
    if "month" in frame:  # months, then quarters, then fiscal years
        frame = frame.assign(
            quarter=quarters(frame["month"], COMPANY), fiscal_year=fiscal_years(frame["month"], COMPANY)
        )
        once = add_up(frame, declared, [*outer, "month"])
        first = add_up(frame, declared, [*inner, "month"])
        _same(add_up(first, declared, [*outer, "month"]), once)
        for period, time in (("quarter", "month"), ("fiscal_year", "quarter")):
            level = quarters(first["month"], COMPANY) if period == "quarter" else first["quarter"].str[:6]
            first = add_up(first.assign(**{period: level}), declared, [*inner, period], time=time)
            _same(add_up(first, declared, [*outer, period]), add_up(frame, declared, [*outer, period]))
    else:
        once = add_up(frame, declared, outer)
        _same(add_up(add_up(frame, declared, inner), declared, outer), once)


def _same(left: pd.DataFrame, right: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(left[right.columns], right, check_dtype=False)
