"""Where do demand, supply and money disagree, what are the options?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from sopkit.book import Book, Plan
    from sopkit.engine import Engine, Progress

USUAL = 300  # sampled futures where somebody asks and company.yaml says none


def plan(book: Book, *, engine: Engine | str | None = None, futures: int = 0) -> dict[str, pd.DataFrame]:
    """Every table of stage reconcile, from the tables it reads and the scenarios of the book.

    pnl, working_capital, budget_bridge, gaps, scenario_results, scenario_months, scenario_changes. Each scenario is
    a plan of its own, made from the changed tables; `engine` says where. With `futures` (else as company.yaml says, 0 =
    none) also risk, tornado and frontier.
    Raises SettingsError where a scenario's change concerns no row, SopkitError where the statement does not tie.
    """
    from sopkit.reconcile import compare

    made = money(book)
    made |= compare.scenarios(book, made["pnl"], engine=engine)
    return made | sampled(book, futures, engine=engine) if (futures or book.company.futures.samples) else made


def sampled(
    book: Book, futures: int = 0, *, engine: Engine | str | None = None, progress: Progress | None = None
) -> dict[str, pd.DataFrame]:
    """Tables risk, tornado and frontier of a planned book, in `futures` sampled futures (else as company.yaml says).

    `progress(done, all)` is called after each part; what it raises ends the work. Raises what `risk.tables` raises.
    """
    from sopkit.reconcile import risk

    return risk.tables(book, futures or book.company.futures.samples or USUAL, engine=engine, progress=progress)


def statements(book: Book) -> dict[str, pd.DataFrame]:
    """The plan's tables pnl, working_capital and budget_bridge."""
    from sopkit.reconcile import finance

    statement = finance.pnl(book)
    return {
        "pnl": statement,
        "working_capital": finance.working_capital(book, statement),
        "budget_bridge": finance.budget_bridge(book, statement),
    }


def money(book: Book) -> dict[str, pd.DataFrame]:
    """The plan in money: tables pnl, working_capital, budget_bridge and gaps."""
    from sopkit.reconcile import gaps

    made = statements(book)
    return {**made, "gaps": gaps.gaps(book, made["pnl"])}


def measures(plan: Plan) -> dict[str, float]:
    """What plans are compared by, each of `kpis.MEASURES`; SopkitError where the statement does not tie."""
    from sopkit.reconcile import compare, finance

    statement = finance.pnl(plan)
    return compare.measures(plan, statement, finance.working_capital(plan, statement))


def results(base: Plan, plans: Mapping[str, Plan]) -> pd.DataFrame:
    """Table scenario_results of any plans, by code, beside `base`."""
    from sopkit.reconcile import compare

    measured = {compare.BASE: (base.title, base.measured)}
    measured |= {code: (other.title, other.measured) for code, other in plans.items()}
    return compare.side_by_side(measured, base.currency)
