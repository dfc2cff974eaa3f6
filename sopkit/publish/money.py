"""The money in the pack: gaps with their levers, profit and loss, bridge to budget, working capital."""

from __future__ import annotations

from typing import Any

import pandas as pd

from sopkit import charts, kpis
from sopkit.charts import NARROW, Figure, Show
from sopkit.publish.paper import Paper, section
from sopkit.words import amount, month_name, number


def gaps(paper: Paper) -> dict[str, Any]:
    """Where plan and budget, or demand and supply, disagree: by family and month, with levers and their price."""
    rows = paper["gaps"]
    if rows.empty:
        return section("gaps", "Gaps and levers", "There is nothing to hold the plan against: no budget was brought.")
    rows = rows.assign(family=paper.called(rows["family"], "families"))
    short = rows[(rows["gap"] == "demand-supply") & (rows["difference"] < -0.5)]
    sales = rows[rows["gap"] == "sales-budget"]
    near = paper.near(sales)["money"].sum()
    table = short.groupby(["family", "lever"], as_index=False).agg(
        months=("month", "nunique"), units=("difference", "sum"), money=("money", "sum"), gain=("lever_gain", "max")
    )
    parts = []
    if len(sales):
        parts.append(
            f"Sales lie {paper.cash(abs(near))} {'above' if near >= 0 else 'below'} budget in the {paper.span}"
        )
    parts.append(
        f"supply misses {number(-short['difference'].sum())} {paper.units} of demand in its month"
        if len(short)
        else "supply meets all demand"
    )
    total = (
        paper.near(rows)
        .groupby("gap", as_index=False)
        .agg(plan=("plan", "sum"), reference=("reference", "sum"), money=("money", "sum"))
    )
    total["share"] = (total["plan"] - total["reference"]) / total["reference"].where(total["reference"] != 0)
    total["what"] = total["gap"].map(
        {
            "demand-supply": "Delivered against demand",
            "sales-budget": "Sales against budget",
            "margin-budget": "Gross margin against budget",
            "production-budget": "Production against budget",
            "stock-budget": "Stock against budget (sum of month ends)",
        }
    )
    by_family = sales.groupby("family")["money"].sum()
    return section(
        "gaps",
        "Gaps and levers",
        "; ".join(parts) + ".",
        charts.table(
            total,
            {"what": "Gap", "share": Show("Difference", "share", True), "money": Show("In money", paper.money, True)},
            title="Plan against what was promised",
            unit=f"{paper.span}",
            look_for="Demand and stock are valued at price and standard cost; a minus is less than promised.",
        ),
        charts.heat_map(
            sales,
            "family",
            "month",
            "money",
            diverging=True,
            title="Sales against budget",
            unit=paper.money,
            look_for=f"Furthest below over the horizon: {by_family.idxmin()}, {paper.cash(by_family.min(), True)}."
            if len(by_family) and by_family.min() < 0
            else "No family falls short over the horizon.",
            none="This company brought no budget.",
        ),
        charts.table(
            table,
            {
                "family": "Family",
                "months": Show("Months", "count"),
                "units": Show("Short", paper.units, True),
                "money": Show("Worth", paper.money, True),
                "lever": "Best lever",
                "gain": Show("It brings", paper.money, True),
            },
            title="Demand that supply does not meet in its month",
            unit="over the horizon",
            none="Supply meets all demand in its month: no lever is needed.",
            look_for="Each shortage with the lever that closes most of it.",
        ),
        _levers(paper),
    )


def _levers(paper: Paper) -> Figure | None:
    levers = paper["levers"].sort_values("gain", ascending=False).head(8)
    if levers.empty:
        return None
    return charts.table(
        levers,
        {
            "sentence": "Lever",
            "months": "Months",
            "change": "What changes",
            "gain": Show("Profit gained", paper.money, True),
        },
        title="Levers the plan does not use",
        unit="found by solving the plan again",
        look_for=f"The best lever brings {paper.cash(levers['gain'].iloc[0])}.",
    )


def finance(paper: Paper) -> dict[str, Any]:
    """The plan in money: P&L by month and family, the bridge to budget, working capital and cash."""
    pnl = paper["pnl"]
    if pnl.empty:
        return section("finance", "Finance", "There is no statement.")
    order = [
        line
        for line in ("net sales", "cost of goods sold", "freight", "warehousing", "supply cost against standard")
        if line in set(pnl["line"])
    ]
    order += sorted(set(pnl["line"]) - set(order))
    near = paper.near(pnl)
    result, sales = near["amount"].sum(), near.loc[near["line"] == "net sales", "amount"].sum()
    margin = pnl[pnl["line"].isin(["net sales", "cost of goods sold"])].assign(line="gross margin")
    lines = [*order[:2], "gross margin", *order[2:], "result"]
    monthly = (
        pd.concat([pnl, margin, pnl.assign(line="result")]).groupby(["line", "month"], as_index=False)["amount"].sum()
    )
    by_family = near.pivot_table(index="family", columns="line", values="amount", aggfunc="sum", fill_value=0.0)[order]
    by_family["gross margin"] = by_family[[line for line in order[:2] if line in by_family]].sum(axis=1)
    by_family.loc["All"] = by_family.sum()
    by_family["rate"] = by_family["gross margin"] / by_family["net sales"].where(by_family["net sales"] > 0)
    rows = by_family.reset_index().assign(
        family=lambda f: paper.called(f["family"].replace("company", "Not of one family"), "families")
    )
    rows = rows[(rows["net sales"] != 0) | (rows["gross margin"] != 0)]
    against = paper.near(paper["gaps"].query("gap == 'margin-budget'")).groupby("family")["money"].sum()
    against.index = paper.called(against.index.to_series(), "families").to_numpy()
    rows = rows.assign(
        budget=rows["family"].map({**against, "All": against.sum()} if len(against) else {}).astype(float)
    )
    best = rows[rows["family"].ne("All")].sort_values("rate", ascending=False, kind="stable").iloc[0]
    months = monthly[monthly["line"] == "result"].set_index("month")["amount"]
    return section(
        "finance",
        "Finance",
        f"The result of the {paper.span} is {paper.cash(result)}"
        + (f", {amount(result / sales, 'share')} of net sales." if sales else "."),
        charts.statement(
            monthly,
            "line",
            "month",
            "amount",
            rows=lines,
            bold=("gross margin", "result"),
            title="Profit and loss by month",
            unit=paper.money,
            look_for=f"The best month is {month_name(months.idxmax())}, the weakest {month_name(months.idxmin())}.",
            note="Goods are sold at standard cost; what supply really cost beyond it stands in its own line.",
        ),
        charts.table(
            rows,
            {
                "family": "Family",
                "net sales": Show("Net sales", paper.money),
                "gross margin": Show("Gross margin", paper.money),
                "rate": Show("Margin", "share"),
                "budget": Show("Margin against budget", paper.money, True),
            },
            total="All",
            title="Profit and loss by family",
            unit=f"{paper.span}",
            look_for=f"Best margin: {best['family']}, {amount(best['rate'], 'share')} of net sales.",
        ),
        _bridge(paper),
        *_capital(paper),
    )


def _bridge(paper: Paper) -> Figure | None:
    steps = paper["budget_bridge"].groupby("step")["amount"].sum()
    if steps.empty:
        return None
    inner = pd.DataFrame(
        {
            "step": ["Volume", "Mix", "Rate (price and cost)"],
            "amount": [steps.get(s, 0.0) for s in ("volume", "mix", "rate")],
        }
    )
    worst = inner.loc[inner["amount"].idxmin()]
    gap = steps["plan"] - steps["budget"]
    return charts.waterfall(
        inner,
        "step",
        "amount",
        start="Budget",
        end="Plan",
        opening=float(steps["budget"]),
        title="Gross margin, from budget to plan",
        unit=paper.money,
        look_for=f"The plan's margin is {paper.cash(abs(gap))} {'above' if gap >= 0 else 'below'} budget; "
        + (f"the largest loss is {worst['step'].lower()}." if worst["amount"] < 0 else "no step loses."),
        width=NARROW * 2,
        height=240,
    )


def _capital(paper: Paper) -> list[Figure | str]:
    capital = paper["working_capital"]
    if capital.empty:
        return []
    lines = capital.melt("month", ["working_capital", "inventory", "receivables", "payables"], "series", "amount")
    lines["series"] = lines["series"].str.replace("_", " ")
    first, last = capital["working_capital"].iloc[0], capital["working_capital"].iloc[-1]
    peak = capital.loc[capital["working_capital"].idxmax(), "month"]
    days = {
        name: paper.kpi(name, kpis.PLAN) for name in ("days_inventory", "days_sales", "days_payables", "cash_to_cash")
    }
    said = (
        f"Money is tied up for {number(days['cash_to_cash'])} days: inventory {number(days['days_inventory'])} "
        "+ customers "
        f"{number(days['days_sales'])} - suppliers {number(days['days_payables'])}."
        if None not in days.values()
        else ""
    )
    return [
        charts.line(
            lines,
            "amount",
            series="series",
            order=("working capital", "inventory", "receivables", "payables"),
            title="Working capital at the month's end",
            unit=paper.money,
            look_for=f"It goes from {paper.cash(first)} to {paper.cash(last)}; its peak is {month_name(peak)}.",
            note=f"Other assets less liabilities stay at {paper.cash(capital['other'].iloc[0])}. {said}",
        )
    ]
