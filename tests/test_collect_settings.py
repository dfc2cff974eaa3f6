"""No silent setting, no silent default: what does nothing and what is filled in is said, with its line and its cure."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import yaml

from sopkit.book.scenarios import Change, Question, Scenario
from sopkit.collect import collect, new_company
from sopkit.collect.complete import findings
from sopkit.collect.figures import grouped
from sopkit.errors import SettingsError
from sopkit.tables import INPUTS, TABLES, Company, load_company
from sopkit.tables.dictionary import WHOLE, commented, settings

CYCLE = "2026-11"


def said(folder: Path, text: str, **tables: str) -> list[tuple[int, str, str, str]]:
    """(line, setting, what is wrong, fix) of the findings about company.yaml."""
    folder.mkdir(exist_ok=True)
    (folder / "company.yaml").write_text("name: Acme\n" + text)
    for name, rows in tables.items():
        (folder / f"{name}.csv").write_text(rows)
    found = collect(folder, CYCLE).findings.query("table == 'company.yaml'")
    assert found["severity"].eq("warning").all()
    return list(found[["row", "column", "rule", "fix"]].itertuples(index=False, name=None))


def test_every_setting_stands_in_a_new_company_and_holds_when_its_mark_is_taken_away(tmp_path: Path) -> None:
    new_company(tmp_path / "acme", name="Acme")
    text = (tmp_path / "acme" / "company.yaml").read_text()
    assert commented() in text and load_company(tmp_path / "acme").name == "Acme"
    document = yaml.safe_load("\n".join(line[2:] for line in commented().splitlines()))
    Company(name="Acme", **document)
    names = {
        "<kpi>": "fill_rate",
        "<stream>": "statistical",
        "<stage>": "demand",
        "<name>": "erp",
        "<file>": '"orders_*.csv"',
        "<table>": "sales_history",
    }
    for one in settings():
        part, inside = one.path.split("."), document
        for name in [] if part == ["name"] else part:
            inside = inside[names.get(name, name).strip('"')]
        assert one.meaning in text or part == ["name"]


def test_the_reference_names_every_field_of_the_other_files() -> None:
    for kind in (Change, Scenario, Question):
        assert [
            name
            for name in kind.model_fields
            if f"`{name}`" not in WHOLE.template and f"`{name}:" not in WHOLE.template
        ] == []


MARKETS = "market,name,currency\nM,Market,USD\n"


@pytest.mark.parametrize(
    ("text", "line", "setting", "says"),
    [
        ("rates: {USD: 0.9}\n", 2, "rates.USD", "is a rate that no table uses"),
        ("databases:\n  erp: {url: 'sqlite:///a.db'}\n", 3, "databases.erp", "is a database that no table names"),
        ("raw_files: {odrers.csv: {skip: 1}}\n", 2, "raw_files.odrers.csv", "fits no raw file"),
        (
            "policies: {stock_budget_price: 0.1}\n",
            2,
            "policies.stock_budget_price",
            "does nothing without a stock budget",
        ),
        ("tables: {families: {file: f.csv, sheet: X}}\n", 2, "tables.families.sheet", "does nothing for a .csv file"),
        ("tables: {families: {dates: '%Y'}}\n", 2, "tables.families.dates", "families has no months or days"),
        ("tables: {families: {currency: EUR}}\n", 2, "tables.families.currency", "families has no money"),
    ],
)
def test_a_setting_that_does_nothing_is_a_finding_with_its_line(
    tmp_path: Path, text: str, line: int, setting: str, says: str
) -> None:
    (found,) = said(tmp_path, text, orders="a\n1\n", f="family\nA\n")
    assert found[:2] == (line, setting) and says in found[2]
    if "raw_files" in text:
        assert "did you mean 'orders.csv'?" in found[3]


def test_a_currency_of_markets_that_nothing_reads_is_said(tmp_path: Path) -> None:
    (found,) = said(tmp_path, "", markets=MARKETS)
    assert "markets have the currency USD, but all money is read as EUR" in found[2]
    assert "`currency: market`" in found[3]
    used = "rates: {USD: 0.9}\ntables: {prices: {currency: market}}\n"
    assert said(tmp_path, used, markets=MARKETS) == []


PEOPLE = "name,role\nMara Lind,sales\nAda Brandt,planner\n"
NAMING = """\
kpi_targets:
  fill_rate: {target: 0.9, owner: Mara Lindt}
  sales_units: {target: 9, owner: Mara Lind}
assumptions:
  calm: {statement: Nobody leaves., owner: Nobody}
workflow:
  demand: {owner: Ada Brant, participants: [Mara Lind, Zoe]}
  supply: {day: 3}
audiences:
  sales: [Ada Brandt, Mara Lnd]
  supplier: []
"""


def test_a_name_in_the_settings_that_nobody_has_is_a_finding_with_the_nearest_one(tmp_path: Path) -> None:
    found = said(tmp_path, NAMING, people=PEOPLE)
    assert [(line, setting) for line, setting, *_ in found] == [
        (3, "kpi_targets.fill_rate.owner"), (6, "assumptions.calm.owner"), (8, "workflow.demand.owner"),
        (8, "workflow.demand.participants.1"), (11, "audiences.sales.1"),
    ]  # fmt: skip
    assert [rule for *_, rule, _ in found][:2] == ["Mara Lindt is not in table people", "Nobody is not in table people"]
    assert found[0][3] == "Add the name to people, or correct it here: did you mean 'Mara Lind'?"
    assert found[1][3].endswith("correct it here: valid names: Ada Brandt, Mara Lind")


def test_without_a_table_of_people_no_name_is_wrong(tmp_path: Path) -> None:
    assert said(tmp_path, NAMING) == []


def test_a_workbook_that_is_no_file_is_a_finding_with_the_nearest_one(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    pd.DataFrame({"family": ["A"]}).to_excel(tmp_path / "raw" / "Plan data.xlsx", sheet_name="families", index=False)
    ((line, setting, rule, fix),) = said(tmp_path, "raw: raw\nworkbook: plan_data.xlsx\n")
    assert (line, setting) == (3, "workbook") and rule == "is no file of the company's folder or the raw folder"
    assert fix == "Correct or remove it: did you mean 'Plan data.xlsx'?"
    assert said(tmp_path, "raw: raw\nworkbook: PLAN DATA.xlsx\n") == []  # Windows takes it, so people do


def test_a_key_that_stands_twice_is_refused_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="line 3: horizon stands here again; YAML would keep only the last"):
        said(tmp_path, "horizon: 12\nhorizon: 18\n")


# what is filled in ----------------------------------------------------------------------------------------------------
@pytest.fixture
def tables() -> dict[str, pd.DataFrame]:
    return {table.name: table.empty() for table in INPUTS}


def rows(table: str, **columns: list) -> pd.DataFrame:
    return TABLES[table].conform(pd.DataFrame(columns))


def test_demand_that_nobody_prices_is_said(tables: dict[str, pd.DataFrame]) -> None:
    months = pd.to_datetime(["2026-09-01", "2026-09-01"])
    tables["sales_history"] = rows(
        "sales_history", month=months, product=["A", "B"], market=["M", "M"], quantity=[1.0, 2.0]
    )
    tables["service_policies"] = rows("service_policies", product=["A"], market=["M"], unmet=["backlog"])
    (found,) = [one for one in findings(tables, Company(name="x"), CYCLE) if one.table == "service_policies"]
    assert found.rule.startswith("1 of 2 products and markets have no service policy") and "B in M" in found.rule


def stock(day: str | None) -> pd.DataFrame:
    days = pd.to_datetime([day] * 3) if day else pd.to_datetime([None] * 3)
    return rows("inventory", site=["S"] * 3, item=["A", "B", "C"], quantity=[1.0, 2.0, 3.0], as_of=days)


def test_last_months_stock_is_a_finding(tables: dict[str, pd.DataFrame]) -> None:
    def about() -> list[str]:
        return [f.rule for f in findings(tables, Company(name="x"), CYCLE) if f.table == "inventory" and f.column]

    for day, wrong in (("2026-09-30", True), ("2026-10-31", False), ("2026-11-01", False), (None, False)):
        tables["inventory"] = stock(day)
        assert bool(about()) is wrong, day
    tables["inventory"] = stock("2026-09-30")
    assert about() == ["3 of 3 rows were counted 32 days before the plan begins"]
    ends = {"2026-09-01": [1.0, 2.0, 3.0], "2026-10-01": [4.0, 2.0, 3.0]}
    tables["stock_history"] = pd.concat(
        rows(
            "stock_history",
            month=pd.to_datetime([month] * 3),
            site=["S"] * 3,
            item=["A", "B", "C"],
            quantity=quantities,
        )
        for month, quantities in ends.items()
    )
    tables["inventory"] = stock(None)
    assert about() == ["is the stock of the end of Sep 2026, not of Oct 2026"]


def test_what_is_said_of_many_tables_in_one_sentence_is_one_line(tables: dict[str, pd.DataFrame]) -> None:
    found = pd.DataFrame([one.as_row() for one in findings(tables, Company(name="x"), CYCLE)])
    lines = grouped(found)
    empty = lines[lines["rule"].str.startswith("is empty and no assumption")]
    assert len(empty) == 1 and {"pipeline", "budget", "bom"} <= set(empty["table"].iloc[0].split(", "))
    assert empty["count"].iloc[0] == found["rule"].str.startswith("is empty and no assumption").sum() > 10
    assert lines["count"].sum() == len(found)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ada:hush@db/erp",
        "postgresql://ada%3Ahush@db/erp",
        "postgresql://ada@db/erp?password=hush",
        "postgresql://ada@db/erp?PASSWORD=hush",
        "postgresql://ada@db/erp?sslpassword=hush",
        "mysql://ada@db/erp?passwd=hush",
        "mssql+pyodbc://ada@db/erp?pwd=hush",
        "mssql+pyodbc:///?odbc_connect=DRIVER%3DX%3BUID%3Dada%3BPWD%3Dhush",
        "snowflake://ada@db/erp?token=hush",
        "bigquery://erp?api_key=hush",
    ],
)
def test_a_secret_in_any_form_of_an_address_is_refused_and_not_repeated(tmp_path: Path, url: str) -> None:
    with pytest.raises(SettingsError, match="a password stands in the URL") as refused:
        said(tmp_path, f"databases: {{erp: {{url: '{url}'}}}}\n")
    assert "hush" not in str(refused.value)


def test_harmless_parts_of_an_address_stay_allowed() -> None:
    url = "postgresql://ada@db/erp?sslmode=require&passfile=/home/ada/.pgpass&application_name=x"
    assert Company(name="x", databases={"erp": {"url": url}}).databases["erp"].url == url
