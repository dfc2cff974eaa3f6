"""Where do demand, supply and money disagree, what are the options?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sopkit.reconcile.scenarios import Scenario, load_scenarios

if TYPE_CHECKING:
    import pandas as pd

    from sopkit.engine import Engine
    from sopkit.tables import Company

# lines of the statement, in its order; everything else the supply plan pays is set against standard cost
LINES = ("net sales", "cost of goods sold", "freight", "warehousing", "supply cost against standard")
STEPS = ("budget", "volume", "mix", "rate", "plan")
BASE_TITLE = "The plan as it stands"  # what the base is called among the scenarios
# what plans are compared by, in the order of every comparison, as people read it
MEASURES = {
    "net sales": "Net sales",
    "gross margin": "Gross margin",
    "gross margin rate": "Gross margin rate",
    "result": "Result",
    "service penalties": "Service penalties",
    "fill rate": "Fill rate",
    "units lost": "Units lost",
    "backlog at the end": "Backlog at the end",
    "mean stock value": "Mean stock value",
    "working capital at the end": "Working capital at the end",
    "overtime": "Overtime",
    "mean utilisation": "Mean utilisation",
}

__all__ = [
    "LINES",
    "BASE_TITLE",
    "MEASURES",
    "Scenario",
    "bridge_opening",
    "bridge_steps",
    "capital_parts",
    "load_scenarios",
    "reconcile",
    "worst",
]


def reconcile(
    tables: Mapping[str, pd.DataFrame],
    company: Company,
    cycle: str,
    scenarios: Mapping[str, Scenario],
    *,
    engine: Engine | None = None,
) -> dict[str, pd.DataFrame]:
    """Every table of stage reconcile, from the tables it reads and the scenarios it solves.

    pnl, working_capital, budget_bridge, gaps, scenario_results, scenario_months, scenario_changes. Each scenario is
    planned from its changed tables and solved beside the base; `engine` says where.
    Raises SettingsError where a scenario's change concerns no row, SopkitError where the statement does not tie.
    """
    from sopkit.reconcile import compare, finance, gaps

    statement = finance.pnl(tables)
    return {
        "pnl": statement,
        "working_capital": finance.working_capital(tables, statement),
        "budget_bridge": finance.budget_bridge(tables, statement),
        "gaps": gaps.gaps(tables, statement),
        **compare.compare(tables, statement, company, cycle, scenarios, engine=engine),
    }


def bridge_opening(bridge: pd.DataFrame) -> float:
    """The budget's gross margin that table budget_bridge starts from, in currency."""
    return float(bridge.loc[bridge["step"] == STEPS[0], "amount"].sum())


def bridge_steps(bridge: pd.DataFrame) -> pd.DataFrame:
    """Table budget_bridge summed over families: a row a step between budget and plan (step, amount in currency)."""
    total = bridge.groupby("step")["amount"].sum()
    return total.reindex([step for step in STEPS[1:-1] if step in total.index]).reset_index()


def worst(gaps: pd.DataFrame, gap: str, most: int = 12) -> pd.DataFrame:
    """The `most` rows of one kind of gap that cost most money (plan below reference), worst first."""
    below = gaps[(gaps["gap"] == gap) & (gaps["difference"] < -0.5)]
    return below.sort_values("money").head(most).reset_index(drop=True)


def capital_parts(capital: pd.DataFrame) -> pd.DataFrame:
    """Table working_capital as rows month, part, amount; payables negative, so that the parts add up."""
    parts = capital.assign(payables=-capital["payables"])
    return parts.melt("month", ["inventory", "receivables", "payables", "other"], "part", "amount")
