"""Why a forecast is what it is, in plain words: level, trend, season, drivers, layers, streams, last change."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from sopkit import charts
from sopkit.demand.grid import CELL
from sopkit.demand.judged import ALL, last_consensus
from sopkit.words import listed, month_name, number, percent, say, sentence, than, written

if TYPE_CHECKING:
    from sopkit.book import Book
    from sopkit.charts import Figure

FLAT = 0.03  # a change of level or season below this share is not told
LAYER_WORDS = {
    "lifecycle": "launch, retirement or succession",
    "market_conditions": "market conditions, prices and events",
    "campaigns": "campaigns",
    "pipeline": "CRM opportunities",
    "override": "overrides",
}


def reasons(book: Book, product: str, market: str = "") -> list[tuple[str, str]]:
    """What the demand plan of `product` (in `market`, or in all) rests on: (what, sentence), from the plan's tables.

    Empty where nothing is planned for it. Everything is read from tables; nothing is forecast again.
    """

    def of(table: str) -> pd.DataFrame:
        rows = book[table][book[table]["product"] == product]
        return rows[rows["market"] == market] if market else rows

    plan = of("demand_plan")
    if plan.empty:
        return []
    units, near = book.units, plan[plan["month"].isin(book.year)]
    consensus, baseline = near["consensus"].sum(), near["baseline"].sum()
    low, high = (near[edge].sum() / max(consensus, 1e-9) for edge in ("p10", "p90"))
    how = "{quantity} {unit} in the {span}; four months in five end between {low} and {high} of their plan."
    told = say(how, number(consensus), units, book.span, percent(low), percent(high))
    lines = [("plan", told)]
    past = of("baseline_history").groupby("month")["quantity"].sum()
    lines += _past(past, baseline, units)
    models = of("baseline").drop_duplicates(["product", "market"])["model"]
    if len(models):
        told = say("Forecast by {models}: weights by what each missed so far.", listed(sorted(set(models)), 2))
        lines.append(("method", told))
    lines += _drivers(book, product)
    added = "{quantity} {unit} added to the baseline of {baseline}."
    taken = "{quantity} {unit} taken from the baseline of {baseline}."
    for layer, words in LAYER_WORDS.items():
        moved = near[layer].sum()
        if abs(moved) >= max(0.5, 0.001 * abs(consensus)):
            lines.append((words, say(added if moved > 0 else taken, number(abs(moved)), units, number(baseline))))
    blended = (near["blended"] - near["statistical"]).sum()
    if abs(blended) >= 0.5 and near["sales"].notna().any():
        weight = book["stream_weights"]
        weight = weight[(weight["family"] == near["family"].iat[0]) & (weight["stream"] == "sales")]
        parts = [number(blended, sign=True), units, *weight["reason"].iloc[:1]]
        how = "Blended in, it moves the plan by {quantity} {unit}."
        how = "Blended in, it moves the plan by {quantity} {unit} ({reason})." if len(weight) else how
        lines.append(("sales department", say(how, *parts)))
    lines += _change(book, plan)
    notes = book["baseline_notes"]
    pairs = plan[["product", "market"]].drop_duplicates().itertuples(index=False)
    names = {f"product x market: {name}/{where}" for name, where in pairs}
    lines += [("note", note) for note in notes.loc[notes["series"].isin(names), "note"].unique()[:4]]
    return lines


def _past(past: pd.Series, baseline: float, units: str) -> list[tuple[str, str]]:
    """Level, trend and season of what was sold, campaigns and market conditions taken out."""
    if past.empty:
        return [("level", say("It was never sold: the plan rests on what people say and on layers."))]
    year = past.tail(12)
    told = (
        "The last {count} months sold {quantity} {unit}, without campaigns, market conditions and prices that differed."
    )
    sold = say(told, len(year), number(year.sum()), units)
    out = [("level", sold)]
    if len(past) < 24:
        told = say("{count} months of history: the season is that of longer series, if any.", len(past))
        return [*out, ("season", told)]
    before, month = past.iloc[-24:-12].sum(), past.groupby(past.index.month).mean()
    if before > 0 and year.sum() > 0:
        change, ahead = year.sum() / before - 1, baseline / year.sum() - 1
        was = than(change, "{share} more than the year before", "{share} less than the year before")
        was = say("about as much as the year before") if abs(change) < FLAT else was
        goes = than(ahead, "goes {share} above it", "goes {share} below it")
        goes = say("stays there") if abs(ahead) < FLAT else goes
        out.append(("trend", say("That is {change}; the baseline {goes}.", was, goes)))
    if month.mean() > 0 and np.ptp(month) / month.mean() > 4 * FLAT:
        high, low = (written(pd.Timestamp(2000, int(at), 1), "%B", "LLLL") for at in (month.idxmax(), month.idxmin()))
        most, least = (month.max() / month.mean() - 1, month.min() / month.mean() - 1)
        most = than(most, "{share} above an average month", "{share} below an average month")
        least = than(least, "{share} above", "{share} below")
        out.append(("season", sentence(say("{high} usually sells {most}, {low} {least}.", high, most, low, least))))
    return out


def _drivers(book: Book, product: str) -> list[tuple[str, str]]:
    """What prices and events did so far, and whether that is known well enough to move the plan."""
    family = book.families(pd.Series([product])).iat[0]
    rows = book["driver_effects"]
    rows = rows[(rows["family"] == family) & rows["product"].isin(["", product])].sort_values("product")
    out = []
    for row in rows.drop_duplicates("driver", keep="last").itertuples():
        if row.counts:
            give = number(1.645 * row.error, 2)
            if row.driver.startswith("event"):
                how = "{driver}: moves demand by {share} (give or take {error})."
                told = say(how, row.driver, percent(np.expm1(row.effect), sign=True), give)
            else:
                how = "{driver}: 1 % dearer moves demand by {effect} % (give or take {error})."
                told = say(how, row.driver, number(row.effect, 2, sign=True), give)
            out.append(("drivers", told))
        else:
            out.append(("drivers", say("{driver}: {reason}, so it moves nothing.", row.driver, row.reason)))
    return out


def _change(book: Book, plan: pd.DataFrame) -> list[tuple[str, str]]:
    """How the consensus moved since the last cycle over the months that both plan."""
    past = last_consensus(book)
    both, last = plan.merge(past[[*CELL, "quantity"]]), past["cycle"].max()
    if both.empty or both["quantity"].sum() <= 0:
        return []
    change = both["consensus"].sum() / both["quantity"].sum() - 1
    above = "Over the months both plan, it is {share} above what it was in the cycle of {month}."
    below = "Over the months both plan, it is {share} below what it was in the cycle of {month}."
    told = say(below if change < 0 else above, percent(abs(change), 1), month_name(last))
    if abs(change) < 0.005:
        told = say("Over the months both plan, it stands where it stood in the cycle of {month}.", month_name(last))
    return [("last change", told)]


def because(book: Book, product: str = "", market: str = "", family: str = "") -> Figure:
    """Why the plan of a product is what it is, in plain words; without a name, of what sells most (in `family`).

    Most in money over the planned months.
    """
    plan = book["demand_plan"]
    plan = plan[plan["family"] == family] if family else plan
    money = (plan["consensus"] * plan["price"]).groupby(plan["product"]).sum()
    product = product or (str(money.idxmax()) if len(money) else "")
    name = book.called(pd.Series([product]), "products").iat[0]
    rows = pd.DataFrame(reasons(book, product, market), columns=["what", "sentence"])
    return charts.table(
        rows, {"what": "What", "sentence": "Because"}, who=book.who,
        source="demand_plan baseline_history driver_effects", unit="in words",
        title=say("Why the plan of {product} is what it is", name) if product else "Why the plan is what it is",
        look_for="Ask of each line: is that still true for the months to come?", none="Nothing is planned for it.",
    )  # fmt: skip


def few_beaten(book: Book) -> list[str]:
    """The sentence that the baseline beat seasonal naive in few series, where it did."""
    rows = book["demand_notes"].query("topic == 'baseline' and subject == 'seasonal naive'")["sentence"]
    few = say(
        "In the backtest the baseline beat seasonal naive in {count} of {all} series (RMSSE), few: for most, "
        "last year's months say as much; the others are named in baseline_notes."
    )
    return rows[rows.str.contains(few.rpartition("}")[2], regex=False)].tolist()


def idle_steps(book: Book) -> list[str]:
    """Steps from naive to consensus that moved the error by less than a hundredth of a point."""
    rows = book["fva"]
    rows = rows[(rows["family"] == ALL) & (rows["lag"] == book.company.consensus.lag)].sort_values("step")
    return rows.loc[rows["fva"].abs() < 0.0001, "name"].tolist()
