"""A company that makes nothing is not asked for machines: a trader of one site, with nothing but what it has."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest
import typer

from sopkit import charts
from sopkit.cli import app
from sopkit.collect import collect
from sopkit.errors import SettingsError
from sopkit.tables import INPUTS

CYCLE = "2026-11"
MONTHS = pd.date_range("2024-11-01", periods=24, freq="MS").strftime("%Y-%m")
TRADER = {
    "families": "family\nTEA\n",
    "products": "product,family,price,standard_cost\nGREEN,TEA,12,5\n",
    "sites": "site,kind\nSTORE,dc\n",
    "markets": "market,region,channel\nSHOP,N,shop\nWEB,N,web\n",
    "calendar": "month,working_days\n2026-11,21\n",
    "sales_history": "month,product,market,quantity\n" + "".join(f"{month},GREEN,SHOP,9\n" for month in MONTHS),
    "inventory": "site,item,quantity\nSTORE,GREEN,150\n",
    "suppliers": "supplier\nS\n",
    "offers": "supplier,item,site,price,lead_time\nS,GREEN,STORE,5,1\n",
    "policies": "site,item,safety_stock\nSTORE,GREEN,20\n",
}


@pytest.fixture
def trader(tmp_path: Path) -> Path:
    (tmp_path / "company.yaml").write_text("name: Trader\nhorizon: 6\n")
    for name, text in TRADER.items():
        (tmp_path / f"{name}.csv").write_text(text)
    return tmp_path


def test_what_does_not_apply_is_not_asked_for(trader: Path) -> None:
    collected = collect(trader, CYCLE)
    assert collected.errors == 0, collected.summary()
    assert {table.name for table in INPUTS if table.required} <= set(TRADER)
    for name in ("resources", "capacity", "routings", "workforce", "people", "materials", "bom"):
        assert collected.tables[name].empty  # and no dummy in its place


def test_who_sets_no_stock_policy_brings_no_such_table(trader: Path) -> None:
    (trader / "policies.csv").unlink()
    collected = collect(trader, CYCLE)
    assert collected.errors == 0 and "products with a stock policy (0 of 1)" in collected.summary()
    plan = collected.book().plan()
    assert plan["supply_checks"]["holds"].all() and plan["stock"]["below_safety"].eq(0).all()


def test_one_site_without_lanes_serves_every_market_and_that_is_said(trader: Path) -> None:
    collected = collect(trader, CYCLE)
    lanes = collected.tables["lanes"]
    assert lanes[["origin", "destination", "lead_time"]].values.tolist() == [["STORE", "SHOP", 0], ["STORE", "WEB", 0]]
    (rule,) = collected.findings.query("table == 'lanes'")["rule"]
    assert rule == "one site and no lanes: every market is served from it within the month, without freight"
    (trader / "sites.csv").write_text("site,kind\nSTORE,dc\nOTHER,dc\n")
    assert collect(trader, CYCLE).errors  # of two sites nobody can tell which one serves whom


def test_a_figure_without_rows_can_be_asked_as_one_with_rows() -> None:
    """Notebook 02 asks the error by lag of its stream: a company's first cycle has none."""
    columns = {"stream": "text", "lag": 1, "wape": 0.1}
    figure = charts.heat_map(
        pd.DataFrame([columns]).head(0),
        "stream",
        "lag",
        "wape",
        unit="share",
        title="Error",
        source="forecast_accuracy",
    )
    assert figure.frame.query("stream == 'consensus'").empty


README = (Path(__file__).resolve().parents[1] / "README.md").read_text(encoding="utf-8")


def test_the_two_currencies_of_the_readme_are_one_money_in_the_plan(trader: Path) -> None:
    (example,) = (block for block in re.findall(r"```yaml\n(.*?)```", README, re.DOTALL) if "two currencies" in block)
    (trader / "company.yaml").write_text("name: Trader\nhorizon: 6\n" + example)
    (trader / "markets.csv").write_text("market,region,channel,currency\nSHOP,N,shop,EUR\nWEB,N,web,USD\n")
    (trader / "prices.csv").write_text("product,market,price\nGREEN,SHOP,12\nGREEN,WEB,10\n")
    sold = "".join(
        f"{month},GREEN,{market},9,{money}\n" for month in MONTHS for market, money in (("SHOP", 108), ("WEB", 90))
    )
    (trader / "sales_history.csv").write_text("month,product,market,quantity,revenue\n" + sold)
    collected = collect(trader, CYCLE)
    assert collected.errors == 0, collected.summary()
    assert collected.tables["prices"].set_index("market")["price"].to_dict() == {"SHOP": 12, "WEB": 10 * 0.92}
    revenue = collected.tables["sales_history"].groupby("market")["revenue"].sum()
    assert revenue.to_dict() == pytest.approx({"SHOP": 108 * 24, "WEB": 90 * 24 * 0.92})


DATED = """name: Trader
horizon: 6
rates: {USD: {2024-11: 0.5, 2026-01: 0.8, 2027-01: 0.9}}
tables: {prices: {currency: market}, sales_history: {currency: market}}
"""


def in_dollars(trader: Path, settings: str) -> None:
    (trader / "company.yaml").write_text(settings)
    (trader / "markets.csv").write_text("market,region,channel,currency\nSHOP,N,shop,EUR\nWEB,N,web,USD\n")
    (trader / "prices.csv").write_text("product,market,price\nGREEN,WEB,10\n")
    sold = "".join(f"{month},GREEN,WEB,9,90\n" for month in MONTHS)
    (trader / "sales_history.csv").write_text("month,product,market,quantity,revenue\n" + sold)


def test_history_takes_its_months_rate_and_a_price_list_that_of_the_plans_first_month(trader: Path) -> None:
    """90 USD in each of 24 months: fourteen at 0.5, ten at 0.8; a price of 10 USD is 8 EUR in November 2026."""
    in_dollars(trader, DATED)
    collected = collect(trader, CYCLE)
    assert collected.errors == 0, collected.summary()
    revenue = collected.tables["sales_history"].set_index("month")["revenue"]
    assert revenue[:"2025-12"].tolist() == [45.0] * 14 and revenue["2026-01":].tolist() == [72.0] * 10
    assert collected.tables["prices"]["price"].tolist() == [8.0]


def test_a_month_before_the_first_rate_is_a_finding_and_never_converted(trader: Path) -> None:
    in_dollars(trader, DATED.replace("2024-11: 0.5", "2025-01: 0.5"))
    found = collect(trader, CYCLE).findings.query("table == 'sales_history' and severity == 'error'")
    assert found[["row", "value"]].to_numpy().tolist() == [[2, "2024-11"], [3, "2024-12"]]
    assert set(found["rule"]) == {"lies before the first month with a rate for its currency"}


def test_money_of_a_foreign_market_is_never_taken_for_ours_in_silence(trader: Path) -> None:
    in_dollars(trader, DATED.replace(", sales_history: {currency: market}", ""))
    (rule,) = collect(trader, CYCLE).findings.query("table == 'company.yaml'")["rule"]
    assert rule == "markets have the currency USD, but the money of sales_history is read as EUR"
    in_dollars(trader, DATED.replace("sales_history: {currency: market}", "sales_history: {currency: EUR}"))
    assert collect(trader, CYCLE).findings.query("table == 'company.yaml'").empty


@pytest.mark.parametrize(
    ("rate", "says"),
    [
        ("-1", "rates.USD: Input should be greater than or equal to 0"),
        ("{2026-13: 1}", "rates.USD.2026-13: '2026-13' is not a month; write it like 2026-11"),
        ("much", "rates.USD: Input should be a valid number"),
    ],
)
def test_a_rate_that_is_none_is_named_with_its_line(trader: Path, rate: str, says: str) -> None:
    in_dollars(trader, f"name: Trader\nrates: {{USD: {rate}}}\n")
    with pytest.raises(SettingsError, match=f"line 2: {re.escape(says)}"):
        collect(trader, CYCLE)


def test_check_says_that_what_nobody_sells_runs_out_before_anything_is_planned(trader: Path) -> None:
    """24 of MILK a year are 2 a month: the 8 in stock last for four months."""
    for name, row in (("products", "MILK,TEA,4,2\n"), ("inventory", "STORE,MILK,8\n")):
        (trader / f"{name}.csv").write_text(TRADER[name] + row)
    sold = "".join(f"{month},MILK,WEB,2\n" for month in MONTHS)
    (trader / "sales_history.csv").write_text(TRADER["sales_history"] + sold)
    collected = collect(trader, CYCLE)
    assert "nobody makes or sells it: the 8 in stock or on order run out in about Mar 2027" in collected.summary()
    assert collected.errors == 0


def test_every_command_of_the_readme_is_one_of_ours_with_its_options() -> None:
    verbs = typer.main.get_command(app).commands
    lines = re.findall(
        r"sopkit ((?:new|check|run|status|verify|reproduce|ask|take|publish|template)\b[^`#\n]*)", README
    )
    assert {line.split()[0] for line in lines} >= {"new", "check", "run", "ask", "take", "publish", "verify"}
    for line in lines:
        known = {option for parameter in verbs[line.split()[0]].params for option in parameter.opts}
        assert set(re.findall(r"--[a-z-]+", line)) <= known, line
