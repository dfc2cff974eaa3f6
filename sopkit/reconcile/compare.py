"""The base and every scenario solved, and their money and service side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pandas as pd

from sopkit import kpis
from sopkit.errors import SopkitError
from sopkit.reconcile import BASE_TITLE, finance
from sopkit.reconcile.scenarios import Scenario, scenario_tables

if TYPE_CHECKING:
    from sopkit.engine import Engine
    from sopkit.tables import Company

BASE = "base"
CENT = 0.01
UNITS = {
    "net sales": "currency",
    "gross margin": "currency",
    "gross margin rate": "share",
    "result": "currency",
    "service penalties": "currency",
    "fill rate": "share",
    "units lost": "units",
    "backlog at the end": "units",
    "mean stock value": "currency",
    "working capital at the end": "currency",
    "overtime": "hours",
    "mean utilisation": "share",
}


def must_tie(differences: Mapping[str, float]) -> None:
    """Raises SopkitError where the statement differs from the optimiser's money by more than a cent."""
    for name, difference in differences.items():
        if abs(difference) > CENT:
            raise SopkitError(
                f"The statement's {name} differs from the supply plan's money by {difference:,.2f}: the tables "
                "of stage supply do not belong together. Run stage supply again."
            )


def measures(tables: Mapping[str, pd.DataFrame], statement: pd.DataFrame) -> dict[str, float]:
    """What a plan is compared by, in the order and units of `UNITS`; from the tables of stages demand and supply.

    `statement`: the plan's own table pnl. Raises SopkitError where it does not tie to the plan's money.
    """
    must_tie(finance.ties(statement, tables))
    lines = statement.groupby("line")["amount"].sum()
    sales = lines.get("net sales", 0.0)
    margin = sales + lines.get("cost of goods sold", 0.0)
    deliveries, costs, load = tables["deliveries"], tables["supply_costs"], tables["resource_load"]
    last = deliveries["month"] == deliveries["month"].max()
    capital = finance.working_capital(tables, statement)
    hours, available = load["regular"].sum() + load["overtime"].sum(), load["available"].sum()
    return {
        "net sales": sales,
        "gross margin": margin,
        "gross margin rate": margin / sales if sales else 0.0,
        "result": statement["amount"].sum(),
        "service penalties": costs.loc[costs["penalty"], "amount"].sum(),
        "fill rate": kpis.fill_rate(kpis.units_on_time(deliveries), deliveries["demand"]),
        "units lost": deliveries["lost"].sum(),
        "backlog at the end": deliveries.loc[last, "backlog"].sum(),
        "mean stock value": capital["inventory"].mean(),
        "working capital at the end": capital["working_capital"].iloc[-1] if len(capital) else 0.0,
        "overtime": load["overtime"].sum(),
        "mean utilisation": hours / available if available else 0.0,
    }


def by_month(tables: Mapping[str, pd.DataFrame], statement: pd.DataFrame, scenario: str) -> pd.DataFrame:
    """Rows of table `scenario_months` for one plan and its table pnl."""
    deliveries, months = tables["deliveries"], sorted(tables["deliveries"]["month"].unique())
    stock = tables["stock"].groupby("month")["value"].sum()
    frame = pd.DataFrame(
        {
            "net_sales": statement[statement["line"] == "net sales"].groupby("month")["amount"].sum(),
            "result": statement.groupby("month")["amount"].sum(),
            "shortfall": (deliveries["backlog"] + deliveries["lost"]).groupby(deliveries["month"]).sum(),
            "stock_value": stock,
        }
    ).reindex(months, fill_value=0.0)
    return frame.rename_axis("month").reset_index().assign(scenario=scenario)


def _solved(task: tuple) -> tuple[dict[str, float], pd.DataFrame, list[int]]:
    """One scenario planned and measured; runs wherever the engine puts it."""
    from sopkit import supply

    tables, scenario, name, company, cycle = task
    changed, rows = scenario_tables(tables, scenario, name, company, cycle)
    # what the scenario left alone was checked when the cycle read it
    new = [table for table, frame in changed.items() if frame is not tables.get(table)]
    planned = changed | supply.plan(changed, company, cycle, explained=False, changed=new)
    statement = finance.pnl(planned)
    return measures(planned, statement), by_month(planned, statement, name), rows


def compare(
    tables: Mapping[str, pd.DataFrame],
    statement: pd.DataFrame,
    company: Company,
    cycle: str,
    scenarios: Mapping[str, Scenario],
    *,
    engine: Engine | None = None,
) -> dict[str, pd.DataFrame]:
    """Tables scenario_results, scenario_months and scenario_changes; the base is the plan already in `tables`.

    `statement`: the base plan's table pnl. `tables` are as declared and checked, as a cycle reads them.
    """
    from sopkit.engine import Engine as Local

    base = measures(tables, statement)
    units = {measure: company.currency if unit == "currency" else unit for measure, unit in UNITS.items()}
    # about what one plan of this size takes: two or three small ones are not worth starting processes for
    seconds = 1.0 + len(tables["demand_plan"]) / 1_000
    tasks = [(dict(tables), scenario, name, company, cycle) for name, scenario in scenarios.items()]
    solved = (engine or Local(workers=1)).map(_solved, tasks, seconds=seconds * len(tasks))
    results = [(BASE, BASE_TITLE, base)]
    months, changes = [by_month(tables, statement, BASE)], []
    for (name, scenario), (values, monthly, rows) in zip(scenarios.items(), solved, strict=True):
        results.append((name, scenario.title, values))
        months.append(monthly)
        changes += [
            (name, number, change.table, change.sentence, count)
            for number, (change, count) in enumerate(zip(scenario.changes, rows, strict=True), start=1)
        ]
    return {
        "scenario_results": pd.DataFrame(
            [
                (name, title, measure, value, base[measure], value - base[measure], units[measure])
                for name, title, values in results
                for measure, value in values.items()
            ],
            columns=["scenario", "title", "measure", "value", "base", "difference", "unit"],
        ),
        "scenario_months": pd.concat(months, ignore_index=True),
        "scenario_changes": pd.DataFrame(changes, columns=["scenario", "change", "table", "sentence", "rows"]),
    }
