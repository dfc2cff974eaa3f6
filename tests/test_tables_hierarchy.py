import pandas as pd
import pytest

from sopkit.tables import Company
from sopkit.tables.hierarchy import LEVELS, fiscal_years, quarters, roll_up, with_levels

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


@pytest.mark.parametrize("product", LEVELS["product"])
@pytest.mark.parametrize("market", LEVELS["market"])
@pytest.mark.parametrize("month", LEVELS["month"])
def test_no_level_loses_a_unit(product, market, month):
    rolled = roll_up(SALES, TABLES, COMPANY, product=product, market=market, month=month)
    assert rolled["quantity"].sum() == SALES["quantity"].sum()
    assert not rolled.drop(columns="quantity").duplicated().any()


def test_rows_land_under_their_parents():
    rolled = roll_up(SALES, TABLES, COMPANY, product="family", market="region", month="fiscal_year")
    found = rolled.set_index(["family", "region", "fiscal_year"])["quantity"]
    assert found["F", "North", "FY2026"] == 1 + 10**4
    assert found["G", "South", "FY2027"] == 10**11


def test_stock_is_not_added_over_months():
    stock = pd.DataFrame(
        {
            "product": ["A", "B", "C", "A", "B"],
            "month": pd.to_datetime(["2026-10-01"] * 3 + ["2026-12-01"] * 2),
            "closing": [5.0, 6.0, 7.0, 1.0, 2.0],
            "received": [1.0, 1.0, 1.0, 1.0, 1.0],
        }
    )
    quarter = roll_up(
        stock, TABLES, COMPANY, product="family", month="quarter", values=["received"], levels_held=["closing"]
    )
    assert quarter[["family", "received", "closing"]].values.tolist() == [["F", 4.0, 3.0], ["G", 1.0, 0.0]]
    months = roll_up(stock, TABLES, COMPANY, product="total", values=["received"], levels_held=["closing"])
    assert months["closing"].tolist() == [18.0, 3.0]


def test_what_cannot_be_rolled_up_is_said():
    with pytest.raises(KeyError, match="product 'a' belongs to no family"):
        with_levels(SALES.assign(product="a"), TABLES, COMPANY)
    with pytest.raises(ValueError, match="'families'.*family"):
        roll_up(SALES, TABLES, COMPANY, product="families")
    families = roll_up(SALES, TABLES, COMPANY, product="family")
    with pytest.raises(ValueError, match="cannot be split down"):
        roll_up(families, TABLES, COMPANY)
