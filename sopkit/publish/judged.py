"""The last plan held against what happened and against this one; statements of probability against what was won."""

from __future__ import annotations

import pandas as pd

from sopkit import kpis
from sopkit.book import Book

PRIOR = 2.0  # statements of a perfectly calibrated owner that are counted in, so that few deals move little


def happened(book: Book) -> pd.DataFrame:
    """What past plans are held against: measure, family, month, actual."""
    sold, made, held = (book[name] for name in ("sales_history", "production_history", "stock_history"))
    money = book.revenue(sold)
    parts = (
        ("production", made, "product", made["quantity"]),
        ("shipments", sold, "product", sold["quantity"]),
        ("sales", sold, "product", money),
        ("margin", sold, "product", money - book.at_cost(sold, item="product")),
        ("stock", held, "item", held["quantity"]),
    )
    rows = []
    for name, frame, item, values in parts:
        family = book.families(frame[item]).astype(object)
        rows.append(frame[["month"]].assign(measure=name, family=family, actual=values))
    return pd.concat(rows).groupby(["measure", "family", "month"], as_index=False)["actual"].sum()


def churn(book: Book) -> tuple[pd.DataFrame, pd.DatetimeIndex]:
    """Units made and bought in the next months by family: last plan, plan, their change, and what is left of it.

    Index family; columns last, plan, demand (change of the consensus), stock (planned less found at the start), change,
    left (what neither of them explains). The months: the frozen ones, at least three.
    """
    near = book.months[: max(kpis.NEAR_MONTHS, book.company.policies.frozen_months)]
    plans = book["past_plans"]
    last = plans[plans["cycle"] == plans.loc[plans["cycle"] < book.first, "cycle"].max()]

    def planned(measure: str, months: pd.DatetimeIndex) -> pd.Series:
        return last[(last["measure"] == measure) & last["month"].isin(months)].groupby("family")["quantity"].sum()

    def of(table: str | pd.DataFrame, item: str, column: str) -> pd.Series:
        frame = book[table] if isinstance(table, str) else table
        return frame[frame["month"].isin(near)].groupby(book.families(frame[item]).rename("family"))[column].sum()

    before = book["past_forecasts"].query("stream == 'consensus'")
    before = before[before["cycle"] == before.loc[before["cycle"] < book.first, "cycle"].max()]
    stock = book["stock"][book["stock"]["month"] == book.first]
    rows = pd.DataFrame({
        "last": planned("production", near), "plan": of("supply_plan", "item", "quantity"),
        "demand": of("demand_plan", "product", "consensus") - of(before, "product", "quantity"),
        "stock": planned("stock", book.months[:1] - pd.DateOffset(months=1))
        - stock.groupby(book.families(stock["item"]).rename("family"))["opening"].sum(),
    }).dropna(subset=["last", "plan"])  # fmt: skip
    rows["change"] = rows["plan"] - rows["last"]
    explained = rows["demand"].fillna(0) + rows["stock"].fillna(0)
    # what has the sign of the change explains it, at most all of it
    rows["left"] = rows["change"] - explained.clip(rows["change"].clip(upper=0), rows["change"].clip(lower=0))
    return rows, near


def touchless(book: Book) -> tuple[float | None, float | None, float | None]:
    """Of the forecasts that can be judged (product x market x month): the share that nobody touched, its WAPE, and that
    of the others; None where there are none."""
    both, key = book.judged(), ["cycle", "product", "market", "month"]
    if both.empty:
        return None, None, None
    moved = book["past_overrides"].assign(touched=True)[[*key, "touched"]].drop_duplicates(key)
    hands = both.merge(moved, on=key, how="left")["touched"].notna().to_numpy()
    parts = both[~hands], both[hands]
    quiet, touched = (kpis.wape(part["quantity"], part["actual"]) if len(part) else None for part in parts)
    return float(1 - hands.mean()), quiet, touched


def owners(book: Book) -> pd.DataFrame:
    """By who stated probabilities (index owner): deals, stated (mean), won (share), brier, factor to calibrate by.

    An opportunity has ended where a later cycle, or the pipeline of today, holds it at 1 (won) or 0 (lost). Factor =
    (won + 2) / (stated + 2), sums over the statements: few deals move little.
    """
    past = book["past_pipeline"][book["past_pipeline"]["cycle"] < book.first]
    today = book["pipeline"][["opportunity", "owner", "probability"]].assign(cycle=book.first, ended="")
    every = pd.concat([past, today], ignore_index=True) if len(past) else today.head(0)
    every["ended"] = every["ended"].mask(every["ended"].eq("") & every["probability"].eq(1), "won")
    every["ended"] = every["ended"].mask(every["ended"].eq("") & every["probability"].eq(0), "lost")
    known = every[every["ended"].ne("")].drop_duplicates("opportunity", keep="last").set_index("opportunity")["ended"]
    stated = every[every["probability"].between(0, 1, inclusive="neither") & every["owner"].ne("")]
    stated = stated[stated["opportunity"].isin(known.index)]
    stated = stated.assign(won=stated["opportunity"].map(known).eq("won").astype(float))
    rows = stated.groupby("owner").agg(
        deals=("won", "size"), stated=("probability", "mean"), won=("won", "mean"), sums=("probability", "sum")
    )
    rows["brier"] = [kpis.brier(part["probability"], part["won"]) for _, part in stated.groupby("owner")]
    rows["factor"] = (rows["won"] * rows["deals"] + PRIOR) / (rows.pop("sums") + PRIOR)
    return rows
