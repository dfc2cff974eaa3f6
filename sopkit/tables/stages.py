"""The six stages: what each asks and reads. What a stage writes is said by the tables; order and staleness follow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sopkit.book import Book

# before the name of a table: that of the plan of record (stage decide), not of the plan before the meeting
PLAN_OF_RECORD = "record/"


@dataclass(frozen=True)
class Step:
    """A part of a stage that need not run again where nothing that it reads has changed: tables in, tables out."""

    name: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    settings: tuple[str, ...] = ()  # of the company

    def reached(self, book: Book, kept: Book) -> bool:
        """Whether a table or setting that the step reads, or the cycle, is another in `book` than in `kept`."""
        if book.cycle != kept.cycle or any(
            getattr(book.company, name) != getattr(kept.company, name) for name in self.settings
        ):
            return True
        pairs = ((book[name], kept[name]) for name in self.reads)
        return any(now is not then and not now.equals(then) for now, then in pairs)


@dataclass(frozen=True)
class Stage:
    """One stage of the cycle = one notebook = one room of the package; some have `steps`, in order of running."""

    number: int
    name: str
    question: str
    reads: tuple[str, ...]
    settings: str = ""  # the settings file it reads beside company.yaml
    steps: tuple[Step, ...] = ()

    @property
    def notebook(self) -> str:
        """File name of the stage's notebook."""
        return f"{self.number:02d}_{self.name}.ipynb"


_NETWORK = (
    "families products sites markets calendar materials bom inventory scheduled_receipts resources capacity routings "
    "workforce suppliers offers supplier_capacity lanes policies service_policies last_supply_plan "
    "customer_orders dated_workforce dated_offers dated_policies price_breaks shifts dated_shifts"
)

_DEMAND = (
    "families products markets calendar prices dated_prices events curves clean_history sales_forecast "
    "market_conditions campaigns pipeline past_forecasts past_overrides people overrides policies lanes routings "
    "resources offers commitments"
)


def _step(name: str, reads: str, writes: str, settings: str) -> Step:
    # what a step notes stands beside the notes of the others: every step writes its part of the table
    return Step(name, tuple(reads.split()), (*writes.split(), "demand_notes"), tuple(settings.split()))


_DEMAND_STEPS = (
    _step(
        "normalise", "products markets prices dated_prices events clean_history campaigns market_conditions",
        "campaign_success driver_effects baseline_history", "demand",
    ),
    _step(
        "forecast", "baseline_history calendar",
        "baseline baseline_levels baseline_notes backtest backtest_months forecast_coverage",
        "horizon reconciliation steered_by",
    ),
    _step(
        "layer",
        "products markets prices dated_prices events curves clean_history campaigns campaign_success driver_effects "
        "market_conditions pipeline sales_forecast baseline", "demand_layers", "horizon demand",
    ),
    _step(
        "agree",
        "products markets prices dated_prices clean_history past_forecasts sales_forecast overrides demand_layers "
        "baseline_levels commitments",
        "demand_plan demand_levels stream_weights overrides_applied override_effects frozen_forecasts",
        "horizon consensus",
    ),
    _step(
        "judge",
        "products markets prices clean_history past_forecasts past_overrides people campaigns pipeline policies lanes "
        "routings resources offers campaign_success backtest_months demand_plan overrides_applied frozen_forecasts",
        "forecast_accuracy fva override_review override_owners segments exceptions exception_causes demand_change "
        "pipeline_weight safety_stock_proposal", "horizon consensus demand currency",
    ),
)  # fmt: skip
_DEMANDED = " ".join(name for step in _DEMAND_STEPS for name in step.writes)
# a scenario may change whatever demand and supply read, so reconcile reads it too, and what demand made of it
_PLANNED = (
    f"{_DEMAND} {_DEMANDED} {_NETWORK} past_plans budget balance_sheet supply_plan shipments stock "
    "deliveries resource_load people_plan supply_costs binding_limits levers option_costs"
)
# what is chosen is solved together as the plan of record, so decide reads all that a scenario is made from
_DECIDED = (
    f"{_PLANNED} scenario_results scenario_months scenario_changes gaps pnl scenario_events outcomes decisions people "
    "past_decisions"
)


def _stage(number: int, name: str, question: str, reads: str, **more: Any) -> Stage:
    return Stage(number, name, question, tuple(dict.fromkeys(reads.split())), **more)


STAGES = (
    _stage(1, "collect", "Are the numbers good enough to plan with?", "history_answers declared_assumptions closings"),
    _stage(2, "demand", "What can we sell, when and where, and how sure are we?", _DEMAND, steps=_DEMAND_STEPS),
    _stage(
        3, "supply", "What can we make, buy, ship and hold to meet it, and why not more?",
        f"{_NETWORK} demand_plan past_plans",
    ),
    _stage(
        4, "reconcile", "Where do demand, supply and money disagree, and what are the options?", _PLANNED,
        settings="scenarios.yaml",
    ),
    _stage(5, "decide", "Which option, who decided, and why?", _DECIDED, settings="scenarios.yaml decisions.yaml"),
    _stage(6, "publish", "What is the plan, and how good was the last one?", "*"),
)  # fmt: skip
BY_NAME = {stage.name: stage for stage in STAGES}
