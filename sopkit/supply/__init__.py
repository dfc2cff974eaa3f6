"""What can we make, buy, ship and hold to meet demand, and why not more?"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from sopkit.engine import Engine
    from sopkit.tables import Company


def plan(
    tables: dict[str, pd.DataFrame],
    company: Company,
    cycle: str,
    *,
    engine: Engine | str | None = None,
    explained: bool = True,
    changed: Collection[str] | None = None,
) -> dict[str, pd.DataFrame]:
    """The supply plan: every table of stage supply, each re-derived in pandas before it is returned.

    `tables`: what the stage reads (a table not given is empty); `engine` solves independent parts side by side
    (an Engine, or its address; none = one after the other); without `explained` no table says why not more.
    `changed`: the only tables whose cells were not checked against their declaration before (all if None); whether the
    tables contradict each other is always asked.
    Raises SupplyDataError where the data contradict each other, StageError where a plan breaks one of its own rules.
    """
    from sopkit.engine import Engine
    from sopkit.supply.solve import Session

    if isinstance(engine, str):
        engine = Engine(engine)
    return Session(tables, company, cycle, engine=engine, changed=changed).plan(explained=explained)
