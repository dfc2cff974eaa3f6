"""The base and every scenario solved, and their money and service side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from operator import call
from typing import Any

import pandas as pd

from sopkit import kpis
from sopkit.book import Book, Plan, Scenario
from sopkit.book.scenarios import BASE
from sopkit.engine import Engine
from sopkit.errors import SettingsError, SopkitError, nearest
from sopkit.kpis import MEASURES
from sopkit.reconcile import finance, standard
from sopkit.tables import TABLES

BASE_TITLE = "The plan as it stands"  # what the base is called among the scenarios
CENT = 0.01


def must_tie(differences: Mapping[str, float]) -> None:
    """Raises SopkitError where the statement differs from the optimiser's money by more than a cent."""
    for name, difference in differences.items():
        if abs(difference) > CENT:
            raise SopkitError(
                f"The statement's {name} differs from the supply plan's money by {difference:,.2f}: the tables "
                "of stage supply do not belong together. Run stage supply again."
            )


def measures(plan: Book, statement: pd.DataFrame, capital: pd.DataFrame) -> dict[str, float]:
    """What a plan is compared by, in the order and units of `MEASURES`; from the tables of stages demand and supply.

    `statement`, `capital`: the plan's own pnl and working_capital. SopkitError where they do not tie to its money.
    """
    must_tie(finance.ties(statement, plan))
    lines = statement.groupby("line")["amount"].sum()
    sales = lines.get("net sales", 0.0)
    margin = sales + lines.get("cost of goods sold", 0.0)
    deliveries, costs, load = plan["deliveries"], plan["supply_costs"], plan["resource_load"]
    last = deliveries["month"] == deliveries["month"].max()
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
        "mean stock value": capital["inventory"].mean() if len(capital) else 0.0,
        "working capital at the end": capital["working_capital"].iloc[-1] if len(capital) else 0.0,
        "overtime": load["overtime"].sum(),
        "mean utilisation": hours / available if available else 0.0,
    }


def by_month(plan: Book, statement: pd.DataFrame, scenario: str) -> pd.DataFrame:
    """Rows of table `scenario_months` for one plan and its table pnl."""
    deliveries, months = plan["deliveries"], sorted(plan["deliveries"]["month"].unique())
    sums = {
        "net_sales": statement[statement["line"] == "net sales"].groupby("month")["amount"].sum(),
        "result": statement.groupby("month")["amount"].sum(),
        "shortfall": (deliveries["backlog"] + deliveries["lost"]).groupby(deliveries["month"]).sum(),
        "stock_value": plan["stock"].groupby("month")["value"].sum(),
    }
    frame = pd.DataFrame(sums).reindex(months, fill_value=0.0)
    return frame.rename_axis("month").reset_index().assign(scenario=scenario)


def outcome(plan: Plan, statement: pd.DataFrame, option: str, event: str = "") -> dict[str, Any]:
    """A row of table `outcomes` without once and payback, and beside it the plan's measures and result by month."""
    capital = finance.working_capital(plan, statement)
    values = measures(plan, statement, capital)
    result = statement.groupby("month")["amount"].sum().reindex(capital["month"], fill_value=0.0)
    cash, costs = finance.cash(plan, statement, capital), plan["supply_costs"]
    return {
        "option": option,
        "event": event,
        "result": values["result"],
        "penalties": values["service penalties"],
        "fill_rate": values["fill rate"],
        "cash_low": cash.cumsum().min() if len(cash) else 0.0,
        "working_capital": values["working capital at the end"],
        "measured": values,
        "months": result - costs[costs["penalty"]].groupby("month")["amount"].sum().reindex(result.index).fillna(0),
    }


def outcomes(solved: Mapping[tuple[str, str], dict[str, Any]], asked: Mapping[str, Scenario]) -> pd.DataFrame:
    """Table `outcomes` of `solved` by option and event."""
    rows = []
    for (option, event), cell in solved.items():
        gained = (cell["months"] - solved[BASE, event]["months"]).cumsum()
        never = gained.index[gained.lt(0)]
        back = gained.index[gained.index > never[-1]] if len(never) else gained.index
        paid = back[0] if len(back) and option != BASE else pd.NaT
        once = asked[option].once if option != BASE else 0.0
        rows.append(cell | {"once": once, "payback": paid})
    return pd.DataFrame(rows, columns=TABLES["outcomes"].names)


def events_of(option: Scenario, asked: Mapping[str, Scenario]) -> list[str]:
    """The events an option is held against; SettingsError where it names none that exists."""
    known = [code for code, one in asked.items() if one.kind == "event"]
    wanted = known if option.against is None else option.against
    for code in wanted:
        if code not in known:
            raise SettingsError(f"option {option.title!r} is held against {code!r}: {nearest(code, known)}")
    return wanted


def what_may_happen(
    base: Plan, happened: Sequence[tuple[str, Scenario, dict[str, Any], bool]], before: Mapping[str, Any]
) -> pd.DataFrame:
    """Table `scenario_events`: code, event, its cell of `outcomes`, and whether it is a standard one."""
    rows = []
    for code, event, cell, usual in happened:
        change = {name: cell[name] - before[name] for name in ("result", "penalties", "fill_rate")}
        chance, source = event.chance(base)
        row = {"event": code, "title": event.title, "probability": chance, "source": source, "standard": usual}
        rows.append(row | change)
    return pd.DataFrame(rows, columns=TABLES["scenario_events"].names)


def side_by_side(measured: Mapping[str, tuple[str, Mapping[str, float]]], currency: str) -> pd.DataFrame:
    """Table scenario_results from the title and measures of each plan by code, the first of them the base."""
    base = next(iter(measured.values()))[1]
    rows = []
    for code, (title, values) in measured.items():
        for measure, unit in MEASURES.items():
            value, before = values[measure], base[measure]
            rows.append((code, title, measure, value, before, value - before, unit.replace("currency", currency)))
    return pd.DataFrame(rows, columns=["scenario", "title", "measure", "value", "base", "difference", "unit"])


def _solved(base: Plan, code: str, scenario: Scenario) -> tuple[pd.DataFrame, list[int], dict[str, Any]]:
    """One scenario planned and measured; runs wherever the engine puts it."""
    plan = base.what_if(scenario, warm=False, judged=False)
    statement = finance.pnl(plan)
    cell = (BASE, code) if scenario.kind == "event" else (code, "")
    return by_month(plan, statement, code), list(plan.rows), outcome(plan, statement, *cell)


def _weighed(base: Plan, cells: Mapping[tuple[str, str], Scenario]) -> dict[tuple[str, str], dict[str, Any]]:
    """Cells of `outcomes` by option and event, each solved from the base, warm: what is kept of it serves them all."""
    plans = ((cell, base.what_if(scenario, judged=False)) for cell, scenario in cells.items())
    return {cell: outcome(plan, finance.pnl(plan), *cell) for cell, plan in plans}


def scenarios(book: Book, statement: pd.DataFrame, *, engine: Engine | str | None = None) -> dict[str, pd.DataFrame]:
    """Tables scenario_results, _months and _changes, outcomes and events; the base is the plan already in the book.

    `statement`: the base plan's table pnl. The scenarios are those of scenarios.yaml.
    """
    base, asked = Plan(book.tables, book.company, book.cycle), book.open_scenarios
    usual = standard.events(base, book.company.decision.standard_events)
    options = {code: one for code, one in asked.items() if one.kind == "option"}
    under = {(code, event): one.under(asked[event]) for code, one in options.items() for event in events_of(one, asked)}
    warm = {(BASE, code): event for code, event in usual.items()} | under
    # about what one plan of this size takes; a warm one less, after the base itself was solved again for them
    seconds = 0.2 + len(book["demand_plan"]) / 4_000
    parts: list[Any] = [partial(_weighed, base, warm), *(partial(_solved, base, *one) for one in asked.items())]
    took = [seconds * (1 + 0.75 * len(warm)), *(seconds for _ in asked)]
    weighed, *solved = Engine.of(engine).map(call, parts, seconds=took)
    cells = {(BASE, ""): outcome(base, statement, BASE)}
    measured = {BASE: (BASE_TITLE, cells[BASE, ""]["measured"])}
    months, changes = [by_month(base, statement, BASE)], []
    for (code, scenario), (monthly, rows, cell) in zip(asked.items(), solved, strict=True):
        measured[code] = scenario.title, cell["measured"]
        cells[cell["option"], cell["event"]] = cell
        months.append(monthly)
        for number, (change, count) in enumerate(zip(scenario.changes, rows, strict=True), start=1):
            changes.append((code, number, change.table, change.sentence, count))
    changed = pd.DataFrame(changes, columns=TABLES["scenario_changes"].names)
    cells |= {cell: weighed[cell] for cell in under}
    happened = [(code, one, cells[BASE, code], False) for code, one in asked.items() if one.kind == "event"]
    happened += [(code, one, weighed[BASE, code], True) for code, one in usual.items()]
    return {
        "outcomes": outcomes(cells, asked),
        "scenario_events": what_may_happen(base, happened, cells[BASE, ""]),
        "scenario_results": side_by_side(measured, book.currency),
        "scenario_months": pd.concat(months, ignore_index=True),
        "scenario_changes": changed.assign(sentence=book.in_words(changed["sentence"])),
    }
