"""The six stages: what each asks and reads. What a stage writes is said by the tables; order and staleness follow."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Stage:
    """One stage of the cycle = one notebook = one room of the package."""

    number: int
    name: str
    question: str
    reads: tuple[str, ...]
    settings: str = ""  # the settings file it reads beside company.yaml

    @property
    def notebook(self) -> str:
        """File name of the stage's notebook."""
        return f"{self.number:02d}_{self.name}.ipynb"


_NETWORK = (
    "families products sites markets calendar materials bom inventory scheduled_receipts resources capacity routings "
    "workforce suppliers offers supplier_capacity lanes policies service_policies last_supply_plan"
)

_DEMAND = (
    "families products markets calendar prices curves clean_history sales_forecast market_conditions campaigns "
    "pipeline past_forecasts past_overrides people overrides policies lanes routings resources offers"
)

STAGES = (
    Stage(1, "collect", "Are the numbers good enough to plan with?", ("history_answers",)),
    Stage(2, "demand", "What can we sell, when and where, and how sure are we?", tuple(_DEMAND.split())),
    Stage(
        3,
        "supply",
        "What can we make, buy, ship and hold to meet it, and why not more?",
        tuple(f"{_NETWORK} demand_plan past_plans".split()),
    ),
    # a scenario may change whatever demand and supply read, so reconcile reads it too
    Stage(
        4,
        "reconcile",
        "Where do demand, supply and money disagree, and what are the options?",
        tuple(
            dict.fromkeys(
                f"{_DEMAND} {_NETWORK} demand_plan past_plans budget balance_sheet supply_plan shipments stock "
                "deliveries resource_load people_plan supply_costs binding_limits levers".split()
            )
        ),
        "scenarios.yaml",
    ),
    Stage(
        5,
        "decide",
        "Which option, who decided, and why?",
        tuple("scenario_results scenario_months scenario_changes gaps pnl decisions people".split()),
        "decisions.yaml",
    ),
    Stage(6, "publish", "What is the plan, and how good was the last one?", ("*",)),
)
BY_NAME = {stage.name: stage for stage in STAGES}
