"""What can we make, buy, ship and hold to meet demand, and why not more?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sopkit.tables import BY_NAME

if TYPE_CHECKING:
    import pandas as pd

    from sopkit.book import Book
    from sopkit.engine import Engine
    from sopkit.supply.resolve import Session

READS = BY_NAME["supply"].reads


def plan(book: Book, *, engine: Engine | str | None = None, explained: bool = True) -> dict[str, pd.DataFrame]:
    """The supply plan: every table of stage supply, each re-derived in pandas before it is returned.

    Reads the tables of `READS`; a thin demand_plan (product, market, month, consensus) is enough. `engine` solves
    independent parts side by side (an Engine, or its address; none = one after the other); without `explained` no
    table explains why not more.
    Raises SupplyDataError where the data contradict each other, StageError where a plan breaks one of its own rules.
    """
    return session(book, engine=engine).plan(explained=explained)


def session(book: Book, *, engine: Engine | str | None = None) -> Session:
    """The supply model of `book` kept in the solver, to ask again what a changed table would bring."""
    from sopkit.engine import Engine
    from sopkit.supply.resolve import Session

    if isinstance(engine, str):
        engine = Engine(engine)
    return Session(book, engine=engine)
