"""How the numbers of a plan are made of each other, declared once: what explains any number, and what tests hold true.

A formula names columns of its own row; `table.column` is that table's rows with the same key (`item` finds `product`
and `material`), added up; `table["a * b"]` the same of a formula of its rows; in brackets after it, other rows:
`supply_plan.quantity(available=month)` those whose `available` is this row's month, `(line="net sales")` those of
that value.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property


@dataclass(frozen=True)
class Made:
    """How column `column` of `table` is made, in the rows that have the values of `where`.

    `formula` as above; empty where only `words` say it, and `of` names the columns it is made from. `see`: tables
    whose rows say more.
    """

    table: str
    column: str
    formula: str
    where: dict[str, str] = field(default_factory=dict)
    words: str = ""
    of: tuple[str, ...] = ()
    see: tuple[str, ...] = ()

    @cached_property
    def tree(self) -> ast.expr | None:
        """The formula, parsed; None where there is none."""
        return ast.parse(self.formula, mode="eval").body if self.formula else None


def _kpi(kpi: str, formula: str) -> Made:
    return Made("kpis", "value", formula, {"kpi": kpi, "kind": "plan"})


SOLVED = "What earns most under every rule and promise: the solver's decision."

MADE = (
    # demand
    Made("clean_history", "raw", "sales_history.quantity"),
    Made("clean_history", "quantity", 'raw + history_adjustments.quantity(status="accepted") + history_adjustments.quantity(status="changed")'),
    Made("baseline", "quantity", "", words="The tournament's forecast of this series; its methods stand in `model`.", see=("clean_history", "baseline_notes")),
    Made("demand_plan", "baseline", "baseline.quantity"),
    Made("demand_plan", "statistical", "baseline + lifecycle + market_conditions + campaigns + pipeline"),
    Made("demand_plan", "blended", "", words="statistical and sales, weighted by their past accuracy, each less its lasting bias.", of=("statistical", "sales"), see=("stream_weights",)),
    Made("demand_plan", "override", "override_effects.after - override_effects.before", see=("override_effects",)),
    Made("demand_plan", "consensus", "blended + override"),
    Made("demand_plan", "price", "", words="The price of the product in the market, else its list price.", see=("prices", "products")),
    Made("demand_plan", "sales", "sales_forecast.quantity"),
    # supply
    Made("deliveries", "demand", "max(demand_plan.consensus, customer_orders.quantity)"),
    Made("deliveries", "price", "demand_plan.price"),
    Made("deliveries", "delivered", "", words=SOLVED, of=("demand",), see=("why_short",)),
    Made("supply_plan", "quantity", "", words=SOLVED),
    Made("shipments", "quantity", "", words=SOLVED),
    Made("stock", "closing", "opening + received - issued"),
    Made("stock", "below_safety", "max(safety_stock - closing, 0)"),
    Made("stock", "value", "closing * (products.standard_cost + materials.standard_cost)"),
    Made("stock", "received", "supply_plan.quantity(available=month) + shipments.quantity(destination=site, arrival=month) + scheduled_receipts.quantity"),
    # money
    Made("pnl", "amount", 'deliveries["delivered * price"]', {"line": "net sales"}),
    Made("pnl", "amount", '-deliveries["delivered * products.standard_cost"]', {"line": "cost of goods sold"}),
    Made("pnl", "amount", '-supply_costs.amount(cost="freight")', {"line": "freight"}),
    Made("pnl", "amount", "", {"line": "supply cost against standard"}, words="What making, buying and employing really cost, less what of it went into stock or goods sold at standard cost: above 0 = cheaper than standard.", see=("supply_costs", "stock")),
    Made("pnl", "amount", "", {"line": "warehousing"}, words="Holding stock, at the price that policies set.", see=("supply_costs", "policies")),
    Made("working_capital", "inventory", "stock.value"),
    Made("working_capital", "working_capital", "inventory + receivables - payables + other"),
    Made("gaps", "difference", "plan - reference"),
    Made("scenario_results", "difference", "value - base"),
    # KPIs: of the next twelve months, or of a planned month
    _kpi("total_sales", 'pnl.amount(line="net sales")'),
    _kpi("gross_margin", '(pnl.amount(line="net sales") + pnl.amount(line="cost of goods sold")) / pnl.amount(line="net sales")'),
    _kpi("sales_units", "deliveries.delivered"),
    _kpi("capacity_utilisation", "resource_load['regular + overtime'] / resource_load.available"),
)  # fmt: skip


def made(table: str, column: str, value: Callable[[str], object]) -> Made | None:
    """How `column` of `table` is made in a row that has the `value` of each key; None where nothing is declared."""
    for one in MADE:
        if (one.table, one.column) == (table, column) and all(value(k) == v for k, v in one.where.items()):
            return one
    return None
