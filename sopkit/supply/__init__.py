"""What can we make, buy, ship and hold to meet demand, and why not more?"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from sopkit.tables import Company


def plan(
    tables: dict[str, pd.DataFrame], company: Company, cycle: str, *, engine: object = None
) -> dict[str, pd.DataFrame]:
    """The supply plan: every table of stage supply, each re-derived in pandas before it is returned.

    `tables`: what the stage reads (a table not given is empty); `engine` maps independent parts side by side.
    Raises SupplyDataError where the data contradict each other, StageError where a plan breaks one of its own rules.
    """
    from sopkit.supply.check import checked
    from sopkit.supply.model import build
    from sopkit.supply.network import Network, prepared
    from sopkit.supply.results import written
    from sopkit.supply.solve import solve

    given = prepared(tables)
    network = Network(given, company, cycle)
    model = build(network)
    return checked(given, company, cycle, written(network, model, solve(model)))
