"""Where do demand, supply and money disagree, what are the options?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sopkit.reconcile.scenarios import Scenario, load_scenarios

if TYPE_CHECKING:
    import pandas as pd

    from sopkit.engine import Engine
    from sopkit.tables import Company

__all__ = ["Scenario", "load_scenarios", "reconcile"]


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
    compare.must_tie(finance.ties(statement, tables))
    return {
        "pnl": statement,
        "working_capital": finance.working_capital(tables, statement),
        "budget_bridge": finance.budget_bridge(tables, statement),
        "gaps": gaps.gaps(tables, statement),
        **compare.compare(tables, company, cycle, scenarios, engine=engine),
    }
