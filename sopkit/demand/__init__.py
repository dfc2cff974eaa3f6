"""What can we sell, when and where, and how sure are we? `plan` answers in tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from sopkit.book import Book
    from sopkit.engine import Engine

# what the room imports late: a run imports it once, for all kernels
IMPORTED_LATE = ("statsforecast.models", "sklearn.linear_model", "hierarchicalforecast.methods")


def plan(book: Book, *, engine: Engine | str | None = None, kept: Book | None = None) -> dict[str, pd.DataFrame]:
    """Every table that the demand stage writes, from those it reads: baseline, layers, consensus and their proof.

    History counts up to the month before the book's cycle. `engine` says where the forecasting runs (default: this
    machine). `kept` is an earlier book with its demand plan on it: a step whose tables and settings are the same there
    is not run again (see `sopkit.demand.steps`), and the answer is the same, number for number. Raises FindingsError
    where the history cannot be read, SettingsError where there is none.
    """
    from sopkit.demand import steps

    return steps.run(book, engine=engine, kept=kept)


def settled(book: Book, demand_plan: pd.DataFrame, *, judged: bool = True) -> dict[str, pd.DataFrame]:
    """`demand_plan`, changed by hand, and what of stage demand hangs on it: its override, ranges, levels, exceptions.

    `book` holds the stage's other tables; where it holds none, the demand plan was brought, and only its override
    follows. Without `judged` nothing is judged again.
    """
    from sopkit.demand import grid, steps

    if "demand_layers" not in book:
        return {"demand_plan": demand_plan.assign(override=demand_plan["consensus"] - demand_plan["blended"])}
    made = steps.settled(book, demand_plan, grid.past_grid(book))
    return made | steps.judge(book.with_tables(made)) if judged else made
