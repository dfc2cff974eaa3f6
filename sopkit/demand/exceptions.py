"""Exceptions: the plan searched for what deserves the demand meeting's time, by money, most first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from sopkit import kpis
from sopkit.demand.grid import CELL
from sopkit.demand.judged import BIAS_LIMIT, KEPT, last_consensus
from sopkit.words import month_name, number, percent, say

if TYPE_CHECKING:
    from sopkit.book import Book

Found = tuple[str, str, float, str, str]  # product, market, money at stake, what is the matter, what to do
COLUMNS = ["product", "market", "money", "sentence", "advice"]


def exceptions(book: Book, judged: pd.DataFrame, accuracy: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows of `exceptions` (most money first, capped in all and for each cause) and of `exception_causes`.

    `judged`: past forecasts beside sales; `accuracy`: the rows of `forecast_accuracy`.
    """
    causes = {
        "sales and numbers disagree": _disagreements(book, accuracy),
        "moved since last cycle": _moved(book),
        "consensus leaned one way": _leaned(book, judged),
        "last month missed": _missed(judged),
        "one deal, all or nothing": _deals(book),
        "launch": _launches(book),
        "campaign promises too much": _campaigns(book),
        "override without evidence": _overrides(book),
        "hard to forecast": _uncertain(book),
    }
    found = [(cause, *row) for cause, rows in causes.items() for row in rows]
    frame = pd.DataFrame(found, columns=["cause", *COLUMNS]).astype({"money": float})
    frame["family"] = book.families(frame["product"]).fillna("")
    frame = frame.sort_values(["money", "cause", "sentence"], ascending=[False, True, True], ignore_index=True)
    rules = book.company.demand
    frame["shown"] = frame.groupby("cause").cumcount() < rules.exceptions_each
    frame["shown"] &= frame["shown"].cumsum() <= rules.exceptions_shown
    by_cause = {"found": ("money", "size"), "shown": ("shown", "sum"), "money": ("money", "sum")}
    sums = frame.groupby("cause", as_index=False).agg(**by_cause)
    sums = sums.sort_values("money", ascending=False, ignore_index=True)
    shown = frame[frame["shown"]].drop(columns="shown").reset_index(drop=True)
    shown["rank"] = np.arange(1, len(shown) + 1)
    return shown.assign(cause=shown["cause"].map(say)), sums.assign(cause=sums["cause"].map(say))


def _by_product(frame: pd.DataFrame, *columns: str, money: pd.Series) -> pd.DataFrame:
    """Sums of `columns` and of `money` by product, in columns product, the columns, money."""
    return frame.assign(money=money).groupby("product", as_index=False)[[*columns, "money"]].sum()


def _disagreements(book: Book, accuracy: pd.DataFrame) -> Iterator[Found]:
    """Where sales expects something else than the numbers, beyond its usual bias."""
    usual = accuracy[(accuracy["stream"] == "sales") & (accuracy["lag"] == book.company.consensus.lag)]
    usual, both = usual.set_index("family")["bias"], book["demand_plan"].dropna(subset="sales")
    sums = _by_product(both, "sales", "statistical", money=both["price"] * both["statistical"])
    for row in sums[sums["statistical"] > 0].itertuples():
        lean, share = usual.get(book.family[row.product], 0.0), row.sales / row.statistical
        off = abs(share / (1 + lean) - 1)
        if off >= 0.05:
            told = "Sales expects {share} against the numbers for {product}; usually it leans {lean}."
            sentence = say(told, percent(share - 1, sign=True), row.product, percent(lean, sign=True))
            yield row.product, "", off * row.money, sentence, say("ask sales what it knows that history does not")


def _moved(book: Book) -> Iterator[Found]:
    """Products whose consensus moved by 10 % or more since the last cycle."""
    both = book["demand_plan"].merge(last_consensus(book)[[*CELL, "quantity"]], on=CELL)
    sums = _by_product(both, "consensus", "quantity", money=(both["consensus"] - both["quantity"]) * both["price"])
    for row in sums[sums["quantity"] > 0].itertuples():
        change = row.consensus / row.quantity - 1
        if abs(change) >= 0.10:
            told = (
                "{product} moved by {share} since the last cycle, from {quantity} to "
                "{consensus} units over the months both plan."
            )
            units = number(row.quantity), number(row.consensus)
            sentence = say(told, row.product, percent(change, sign=True), *units)
            yield row.product, "", abs(row.money), sentence, say("give the reason before supply follows")


def _leaned(book: Book, judged: pd.DataFrame) -> Iterator[Found]:
    """Products whose past consensus leaned one way in every month."""
    mine, plan = judged[judged["stream"] == "consensus"], book["demand_plan"]
    mine = mine[mine["lag"] == book.company.consensus.lag]
    money = (plan["consensus"] * plan["price"]).groupby(plan["product"]).sum()
    months = mine.groupby(["product", "month"])[["quantity", "actual"]].sum()
    for product, rows in months.groupby(level=0):
        error, lean = rows["quantity"] - rows["actual"], kpis.bias(rows["quantity"], rows["actual"])
        if len(rows) >= 3 and abs(lean) >= BIAS_LIMIT and ((error > 0).all() or (error < 0).all()):
            high = "The consensus of {product} was {share} too high, in each of {count} months judged."
            low = "The consensus of {product} was {share} too low, in each of {count} months judged."
            sentence = say(high if lean > 0 else low, product, percent(abs(lean)), len(rows))
            advice = say("correct the plan, or name what is different now")
            yield product, "", abs(lean) * money.get(product, 0.0), sentence, advice


def _missed(judged: pd.DataFrame) -> Iterator[Found]:
    """Products that sold far from the newest forecast in the last month."""
    mine = judged[(judged["stream"] == "consensus") & (judged["month"] == judged["month"].max())]
    mine = mine[mine["lag"] == mine["lag"].min()]
    sums = _by_product(mine, "quantity", "actual", money=(mine["quantity"] - mine["actual"]) * mine["price"])
    for row in sums[sums["actual"] > 0].itertuples():
        off = row.quantity / row.actual - 1
        if abs(off) >= 0.20:
            told = "{product} sold {actual} last month; {quantity} were forecast ({share})."
            sentence = say(told, row.product, number(row.actual), number(row.quantity), percent(off, sign=True))
            yield row.product, "", abs(row.money), sentence, say("find out whether it was a one-off")


def _deals(book: Book) -> Iterator[Found]:
    """Opportunities that are won whole or not at all."""
    deals = book["pipeline"]
    unsure = deals["probability"].between(0, 1, inclusive="neither")
    deals = deals[~deals["in_baseline"] & deals["month"].isin(set(book["demand_plan"]["month"])) & unsure]
    for row, price in zip(deals.itertuples(), book.net_prices(deals), strict=True):
        lost, won = row.quantity * row.probability, row.quantity * (1 - row.probability)
        told = (
            "{customer}, {month}, {quantity} {product} at {share}: lost, {lost} planned units go; won, "
            "{won} more are needed."
        )
        deal = row.customer, month_name(row.month), number(row.quantity), row.product, percent(row.probability)
        sentence = say(told, *deal, number(lost), number(won))
        advice = say("agree with sales when it will be known; ready a scenario")
        yield row.product, row.market, max(lost, won) * price, sentence, advice


def _launches(book: Book) -> Iterator[Found]:
    """Launches: planned without a history of their own."""
    products, plan = book["products"], book["demand_plan"]
    sums = _by_product(plan, "consensus", money=plan["consensus"] * plan["price"]).set_index("product")
    for row in products[products["launch_month"] >= book.first - pd.DateOffset(months=3)].itertuples():
        units, money = sums.loc[row.product] if row.product in sums.index else (0.0, 0.0)
        told = row.product, month_name(row.launch_month)
        if units > 0:
            like = row.like_product or say("no like-product")
            sentence = say("{product} starts in {month}: {units} units rest on {like}.", *told, number(units), like)
            yield row.product, "", money, sentence, say("hold the first weeks against the curve before ordering more")
        else:
            sentence = say("{product} starts in {month} and nothing is planned for it.", *told)
            yield row.product, "", money, sentence, say("name a like-product and a curve, or enter an override")


def _campaigns(book: Book) -> Iterator[Found]:
    """Planned campaigns that promise more than their kind ever kept."""
    rate = book["campaign_success"].set_index("campaign_kind")["success"]
    coming = book["campaigns"][book["campaigns"]["end_month"] >= book.first]
    volume = book["demand_plan"].set_index(CELL)[["baseline", "lifecycle"]].sum(axis=1)
    for (campaign, kind, product), rows in coming.groupby(["campaign", "campaign_kind", "product"], sort=True):
        missing = money = 0.0
        for row, price in zip(rows.itertuples(), book.net_prices(rows), strict=True):
            months = pd.date_range(row.start_month, row.end_month, freq="MS")
            base = volume.reindex([(row.product, row.market, month) for month in months]).sum()
            gap = base * row.promised_uplift * (1 - rate[kind])
            missing, money = missing + gap, money + gap * price
        if missing > 0 and rate[kind] < KEPT:
            told = (
                "{campaign} promises {missing} more {product} than campaigns of its kind "
                "ever kept ({rate} of the promise); it costs {cost} {currency}."
            )
            cost = number(rows["cost"].sum()), book.currency
            sentence = say(told, campaign, number(missing), product, percent(rate[kind]), *cost)
            yield product, "", money, sentence, say("plan at what was kept; ask whether it pays for itself")


def _overrides(book: Book) -> Iterator[Found]:
    """Overrides in force that nobody can check."""
    applied = book["overrides_applied"]
    for row in applied[(applied["status"] == "in force") & (applied["evidence"] == "")].itertuples():
        told = "Override {id} of {owner} moves {units} units of {scope} ({reason}); no evidence is named."
        sentence = say(told, row.id, row.owner, number(row.units, sign=True), row.scope, row.reason)
        yield "", "", abs(row.money), sentence, say("name the evidence or let it expire")


def _uncertain(book: Book) -> Iterator[Found]:
    """Products whose next three months may come out far from the plan."""
    plan = book["demand_plan"]
    soon = plan[plan["month"].isin(book.months[:3])]
    soon = soon.assign(wide=soon["p90"] - soon["p10"])
    sums = _by_product(soon, "wide", "consensus", money=(soon["consensus"] - soon["p10"]) * soon["price"])
    for row in sums[sums["consensus"] > 0].itertuples():
        wide = row.wide / row.consensus
        if wide >= 1:
            sentence = say(
                "The range of {product} over the next three months is {wide} of its plan.", row.product, percent(wide)
            )
            yield row.product, "", row.money, sentence, say("hold stock deliberately, or make to order")
