"""Why a forecast is what it is, in plain words: level, trend, season, drivers, layers, streams, last change."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from sopkit import charts
from sopkit.demand.judged import ALL
from sopkit.words import listed, month_name, number, percent, than

if TYPE_CHECKING:
    from sopkit.book import Book
    from sopkit.charts import Figure

FLAT = 0.03  # a change of level or season below this share is not worth a word
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
    sentence = f"{number(consensus)} {units} in the {book.span}; four months in five end between {percent(low)} and "
    lines = [("plan", f"{sentence}{percent(high)} of their plan.")]
    past = of("baseline_history").groupby("month")["quantity"].sum()
    lines += _past(past, baseline, units)
    models = of("baseline").drop_duplicates(["product", "market"])["model"]
    if len(models):
        lines.append(("method", f"Forecast by {listed(sorted(set(models)), 2)}: weights by what each missed so far."))
    lines += _drivers(book, product)
    for layer, words in LAYER_WORDS.items():
        moved = near[layer].sum()
        if abs(moved) >= max(0.5, 0.001 * abs(consensus)):
            way = f"{number(moved)} {units} added to" if moved > 0 else f"{number(-moved)} {units} taken from"
            lines.append((words, f"{way} the baseline of {number(baseline)}."))
    blended = (near["blended"] - near["statistical"]).sum()
    if abs(blended) >= 0.5 and near["sales"].notna().any():
        weight = book["stream_weights"]
        weight = weight[(weight["family"] == near["family"].iat[0]) & (weight["stream"] == "sales")]
        why = f" ({weight['reason'].iat[0]})" if len(weight) else ""
        lines.append(
            ("sales department", f"Blended in, it moves the plan by {number(blended, sign=True)} {units}{why}.")
        )
    lines += _change(book, plan, units)
    notes = book["baseline_notes"]
    pairs = plan[["product", "market"]].drop_duplicates().itertuples(index=False)
    names = {f"product x market: {name}/{where}" for name, where in pairs}
    lines += [("note", row.note) for row in notes[notes["series"].isin(names)].head(4).itertuples()]
    return lines


def _past(past: pd.Series, baseline: float, units: str) -> list[tuple[str, str]]:
    """Level, trend and season of what was sold, campaigns and market conditions taken out."""
    if past.empty:
        return [("level", "It was never sold: the plan rests on what people say and on layers.")]
    year = past.tail(12)
    sold = f"The last {len(year)} months sold {number(year.sum())} {units}"
    out = [("level", f"{sold}, without campaigns, market conditions and prices that differed.")]
    if len(past) < 24:
        return [*out, ("season", f"{len(past)} months of history: the season is that of longer series, if any.")]
    before, month = past.iloc[-24:-12].sum(), past.groupby(past.index.month).mean()
    if before > 0 and year.sum() > 0:
        change, ahead = year.sum() / before - 1, baseline / year.sum() - 1
        word = "about as much as" if abs(change) < FLAT else than(change, "more than", "less than")
        goes = "stays there" if abs(ahead) < FLAT else f"goes {than(ahead)} it"
        out.append(("trend", f"That is {word} the year before; the baseline {goes}."))
    if month.mean() > 0 and np.ptp(month) / month.mean() > 4 * FLAT:
        high, low = (f"{pd.Timestamp(2000, int(at), 1):%B}" for at in (month.idxmax(), month.idxmin()))
        most, least = (than(edge / month.mean() - 1) for edge in (month.max(), month.min()))
        out.append(("season", f"{high} usually sells {most} an average month, {low} {least}."))
    return out


def _drivers(book: Book, product: str) -> list[tuple[str, str]]:
    """What prices and events did so far, and whether that is known well enough to move the plan."""
    family = book.families(pd.Series([product])).iat[0]
    rows = book["driver_effects"]
    rows = rows[(rows["family"] == family) & rows["product"].isin(["", product])].sort_values("product")
    out = []
    for row in rows.drop_duplicates("driver", keep="last").itertuples():
        if row.counts:
            what = f"1 % dearer moves demand by {row.effect:+.2f} %"
            what = (
                f"moves demand by {percent(np.expm1(row.effect), sign=True)}"
                if row.driver.startswith("event")
                else what
            )
            out.append(("drivers", f"{row.driver}: {what} (give or take {1.645 * row.error:.2f})."))
        else:
            out.append(("drivers", f"{row.driver}: {row.reason}, so it moves nothing."))
    return out


def _change(book: Book, plan: pd.DataFrame, units: str) -> list[tuple[str, str]]:
    """How the consensus moved since the last cycle over the months that both plan."""
    past = book["past_forecasts"]
    past = past[(past["stream"] == "consensus") & (past["cycle"] < book.first)]
    if past.empty:
        return []
    last = past["cycle"].max()
    both = plan.merge(past.loc[past["cycle"] == last, ["product", "market", "month", "quantity"]])
    if both.empty or both["quantity"].sum() <= 0:
        return []
    change = both["consensus"].sum() / both["quantity"].sum() - 1
    word = "stands where it stood" if abs(change) < 0.005 else f"is {than(change)} what it was"
    return [("last change", f"Over the months both plan, it {word} in the cycle of {month_name(last)}.")]


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
        title=f"Why the plan of {name} is what it is" if product else "Why the plan is what it is",
        look_for="Ask of each line: is that still true for the months to come?", none="Nothing is planned for it.",
    )  # fmt: skip


def few_beaten(book: Book) -> list[str]:
    """The sentence that the baseline beat seasonal naive in few series, where it did."""
    rows = book["demand_notes"].query("topic == 'baseline' and subject == 'seasonal naive'")["sentence"]
    return rows[rows.str.contains("(RMSSE), few", regex=False)].tolist()


def idle_steps(book: Book) -> list[str]:
    """Steps from naive to consensus that moved the error by less than a hundredth of a point."""
    rows = book["fva"]
    rows = rows[(rows["family"] == ALL) & (rows["lag"] == book.company.consensus.lag)].sort_values("step")
    return rows.loc[rows["fva"].abs() < 0.0001, "name"].tolist()
