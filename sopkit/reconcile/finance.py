"""The plan in money: profit and loss by family and month, working capital, and the bridge to the budget.

One set of volumes: every amount here is a quantity of the supply plan times a price or cost of a table, so the
statement ties to the optimiser's own money to the cent (`ties`).
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from sopkit.book import Book

# lines of the statement, in its order; everything else the supply plan pays is set against standard cost
OPTIONS = "adopted options"
LINES = ("net sales", "cost of goods sold", "freight", "warehousing", OPTIONS, "supply cost against standard")
STEPS = ("budget", "volume", "mix", "rate", "plan")
COMPANY = "company"
LINE_OF_COST = {"freight": "freight", "holding": "warehousing"}
MONTH_DAYS = 30


def _family(items: pd.Series, book: Book) -> pd.Series:
    """The family of each item; `company` for materials and what belongs to no item."""
    return book.families(items).fillna(COMPANY)


def pnl(book: Book) -> pd.DataFrame:
    """Table `pnl` from deliveries, stock and supply_costs; revenue positive, costs negative, lines add to the result.

    Goods are sold and stocked at standard cost. What making, buying and employing really cost, less what of it went
    into stock or cost of goods at standard, is the line `supply cost against standard` (absorption costing; Horngren,
    Cost Accounting). So the result = revenue - costs paid + change of stock at standard cost.
    """
    deliveries = book["deliveries"]
    sold = deliveries.assign(family=_family(deliveries["product"], book))
    goods = book.at_cost(sold, "delivered", "product")
    paid = book["supply_costs"][book["supply_costs"]["cost"].ne("revenue") & ~book["supply_costs"]["penalty"]]
    paid = paid.assign(line=paid["cost"].map(LINE_OF_COST).fillna(LINES[-1]), family=_family(paid["item"], book))
    # what was made or bought but not sold stays in stock at standard cost
    stock = book["stock"].assign(family=_family(book["stock"]["item"], book))
    change = book.at_cost(stock, "closing") - book.at_cost(stock, "opening")
    chosen = book["option_costs"][book["option_costs"]["month"].isin(stock["month"])]
    # goods of a family that left stock without being sold (or arrived before the plan) show in the last line
    parts = (
        (sold, LINES[0], sold["delivered"] * sold["price"]),
        (sold, LINES[1], -goods),
        (paid, paid["line"], -paid["amount"]),
        (stock, LINES[-1], change),
        (sold, LINES[-1], goods),
        (chosen.assign(family=COMPANY), OPTIONS, -chosen["amount"]),
    )
    rows = pd.concat([rows[["family", "month"]].assign(line=line, amount=money) for rows, line, money in parts])
    return rows.groupby(["line", "family", "month"], as_index=False)["amount"].sum()


def ties(statement: pd.DataFrame, book: Book) -> dict[str, float]:
    """How far the statement is from the optimiser's money, in currency: every value must be below a cent.

    `net sales` against revenue, `result` less the cost of adopted options, which the optimiser does not know, against
    revenue - costs paid + change of stock at standard cost.
    """
    costs = book["supply_costs"]
    revenue = costs.loc[costs["cost"] == "revenue", "amount"].sum()
    paid = costs.loc[(costs["cost"] != "revenue") & ~costs["penalty"], "amount"].sum()
    stock = book["stock"]
    change = (book.at_cost(stock, "closing") - book.at_cost(stock, "opening")).sum()
    return {
        "net sales": statement.loc[statement["line"] == "net sales", "amount"].sum() - revenue,
        "result": statement.loc[statement["line"] != OPTIONS, "amount"].sum() - (revenue - paid + change),
    }


def gross_margin(statement: pd.DataFrame) -> pd.DataFrame:
    """Net sales and gross margin (net sales - cost of goods sold) by family and month, currency."""
    wide = statement[statement["line"].isin(LINES[:2])].pivot_table(
        index=["family", "month"], columns="line", values="amount", aggfunc="sum", fill_value=0.0
    )
    wide = wide.reindex(columns=list(LINES[:2]), fill_value=0.0)
    return pd.DataFrame({"sales": wide[LINES[0]], "margin": wide.sum(axis=1)}).reset_index()


def _outstanding(flow: np.ndarray, days: float, opening: float) -> np.ndarray:
    """Balance at each month's end of a flow settled after `days`; the months before carry the opening balance."""
    if days <= 0:
        return np.zeros_like(flow)
    back = int(np.ceil(days / MONTH_DAYS))
    share = np.clip(days / MONTH_DAYS - np.arange(back), 0, 1)
    before = np.full(back, opening / share.sum())
    return np.convolve(np.concatenate([before, flow]), share)[back : back + len(flow)]


def working_capital(book: Book, statement: pd.DataFrame) -> pd.DataFrame:
    """Table `working_capital`: inventory + receivables - payables + other, at each month's end.

    Receivables are the net sales of the last DSO days, payables the purchases of the last DPO days (months of 30 days;
    count-back method); the months before the plan are taken as even, so that the opening balance is met exactly. Other
    current assets and liabilities are held constant. Without a balance sheet only inventory is known.
    """
    stock = book["stock"]
    months = sorted(stock["month"].unique())
    value = book.at_cost(stock, "closing").groupby(stock["month"]).sum().reindex(months)
    sales = statement[statement["line"] == "net sales"].groupby("month")["amount"].sum().reindex(months, fill_value=0.0)
    buys = book["supply_plan"][book["supply_plan"]["mode"].eq("buy")].groupby("month")["cost"].sum()
    buys = buys.reindex(months, fill_value=0.0)
    receivables, payables, other = outstanding(book["balance_sheet"], sales.to_numpy(), buys.to_numpy())
    frame = pd.DataFrame({"month": months, "inventory": value.to_numpy()})
    frame = frame.assign(receivables=receivables, payables=payables, other=other)
    frame["working_capital"] = frame["inventory"] + frame["receivables"] - frame["payables"] + frame["other"]
    return frame.round({"inventory": 6})


def outstanding(sheet: pd.DataFrame, sales: np.ndarray, buys: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Receivables, payables and what else is current, of sales and purchases by month; 0 without a balance sheet."""
    if sheet.empty:
        return np.zeros(len(sales)), np.zeros(len(sales)), 0.0
    last = sheet.sort_values("month").iloc[-1]
    receivables = _outstanding(sales, last["dso"], last["receivables"])
    payables = _outstanding(buys, last["dpo"], last["payables"])
    return receivables, payables, last["other_current_assets"] - last["other_current_liabilities"]


def opening_capital(book: Book) -> float:
    """Working capital on the day before the plan: stock at standard cost and what the last balance sheet holds."""
    stock = book["stock"]
    held = book.at_cost(stock[stock["month"] == stock["month"].min()], "opening").sum()
    return float(held) + current(book["balance_sheet"])


def current(sheet: pd.DataFrame) -> float:
    """Working capital beside stock that the last balance sheet holds; 0 without one."""
    signs = {"receivables": 1, "payables": -1, "other_current_assets": 1, "other_current_liabilities": -1}
    last = sheet.sort_values("month").tail(1)
    return float(sum(sign * last[name].sum() for name, sign in signs.items()))


def cash(book: Book, statement: pd.DataFrame, capital: pd.DataFrame) -> pd.Series:
    """Cash of each month, currency: its result less what working capital takes, from `opening_capital` on."""
    held = capital.set_index("month")["working_capital"]
    result = statement.groupby("month")["amount"].sum().reindex(held.index, fill_value=0.0)
    return result - held.diff().fillna(held.head(1).sum() - opening_capital(book))


def budget_bridge(book: Book, statement: pd.DataFrame) -> pd.DataFrame:
    """Table `budget_bridge`: gross margin of the next twelve months from budget to plan, by family, in currency.

    volume = (plan sales of all - budget sales of all) x the budget's overall margin rate x the family's budget share;
    mix = family sales beyond that x (the family's rate, against the overall); rate = plan sales x change of the
    family's margin rate (price and cost together: a budget without units cannot divide them). The steps telescope.
    """
    budget = book.near(book["budget"])
    plan = book.near(gross_margin(statement))
    plan = plan[plan["family"] != COMPANY].merge(budget[["family", "month"]], on=["family", "month"])
    if budget.empty or plan.empty:
        return pd.DataFrame(columns=["family", "step", "amount"])
    budget = budget.merge(plan[["family", "month"]], on=["family", "month"])
    budget, plan = (both.groupby("family")[["sales", "margin"]].sum() for both in (budget, plan))
    plan, total = plan.reindex(budget.index, fill_value=0.0), budget["sales"].sum()
    overall = budget["margin"].sum() / total if total else 0.0
    share = budget["sales"] / total if total else budget["sales"] * 0
    rate = (budget["margin"] / budget["sales"].where(budget["sales"] != 0)).fillna(overall)
    volume = (plan["sales"].sum() - total) * overall * share
    steps = {
        "budget": budget["margin"],
        "volume": volume,
        "mix": (plan["sales"] - budget["sales"]) * rate - volume,
        "rate": plan["margin"] - plan["sales"] * rate,
        "plan": plan["margin"],
    }
    rows = pd.concat([amount.rename("amount").reset_index().assign(step=step) for step, amount in steps.items()])
    return rows.sort_values(["family", "step"], ignore_index=True)[["family", "step", "amount"]]
