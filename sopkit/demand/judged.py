"""Who was right and what each step adds: past forecasts and overrides held against what was sold.

Error = forecast - actual everywhere: positive = too much was forecast. The lag of a forecast is the number of months
from its cycle to the month forecast. Only frozen forecasts of past cycles are judged; nothing is made again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from sopkit import kpis
from sopkit.demand.grid import CELL, PAIR, Notes, Past, beside_sales
from sopkit.tables import TABLES
from sopkit.words import local, month_name, number, percent, say

if TYPE_CHECKING:
    from sopkit.book import Book

LAGS = (0, 1, 2, 3)  # 0: the cycle's own month, once it has been sold
# The stair from naive to consensus: each stream holds the forecast after that step.
STEP_WORDS = {
    "naive": "same month last year",
    "baseline": "statistical baseline",
    "lifecycle": "lifecycle",
    "market_conditions": "market conditions",
    "campaigns": "campaigns",
    "statistical": "pipeline",
    "blended": "sales department blended in",
    "consensus": "overrides",
}
STAIR = tuple(STEP_WORDS)
STREAM_WORDS = STEP_WORDS | {
    "naive": "naive forecast",
    "statistical": "numbers with all layers",
    "sales": "sales department's forecast",
    "blended": "blended forecast",
    "consensus": "consensus",
}
# Beyond this many MAD a running error is no chance (Heizer & Render); a bias below this share is not told.
SIGNAL_LIMIT = 4.0
BIAS_LIMIT = 0.05
# A kind of campaign that keeps less than this share of its promise breaks it.
KEPT = 0.8
ALL = "all"


def past_forecasts(book: Book, past: Past, notes: Notes) -> pd.DataFrame:
    """Past forecasts of months that are over, beside what was sold (units as they came).

    Returns cycle, stream, product, market, family, month, lag, quantity, actual, price; naive where no one kept it too.
    """
    frame = book["past_forecasts"]
    frame = frame[(frame["cycle"] < book.first) & (frame["month"] < book.first)]
    known = frame["product"].isin(book["products"]["product"])
    if not known.all():
        unknown = sorted(set(frame.loc[~known, "product"]))
        told = "Past forecasts of {count} products that are no longer in products are not judged."
        notes.say("who was right", ", ".join(unknown), told, len(unknown))
        frame = frame[known]
    if len(frame) and "naive" not in set(frame["stream"]):
        keys = frame[["cycle", *CELL]].drop_duplicates()
        naive = past.naive(keys, book.lag(keys).to_numpy(), pd.DatetimeIndex(keys["cycle"]))
        frame = pd.concat([frame, keys.assign(stream="naive", quantity=np.maximum(naive, 0.0))], ignore_index=True)
        sentence = say("No one kept naive forecasts: the same month of the year before the cycle stands in.")
        notes.say("who was right", "naive", sentence)
    frame = beside_sales(frame, book)
    return frame.assign(lag=book.lag(frame), family=book.families(frame["product"]), price=book.net_prices(frame))


def _by_family(frame: pd.DataFrame, keys: list[str]) -> Iterator[tuple[tuple, dict[str, np.ndarray]]]:
    """The columns of each family's rows by `keys`, then those of all families; the family comes last in the name."""
    columns = {name: frame[name].to_numpy() for name in frame}
    for by, last in (([*keys, "family"], ()), (keys, (ALL,))):
        groups = frame.groupby(by if len(by) > 1 else by[0], sort=True).indices
        for name, rows in sorted(groups.items()):
            key = name if isinstance(name, tuple) else (name,)
            yield (*key, *last), {column: values[rows] for column, values in columns.items()}


def accuracy(judged: pd.DataFrame, past: Past) -> pd.DataFrame:
    """The rows of `forecast_accuracy`: every stream in every family (and `all`) at lags 0 to 3.

    WAPE and bias are taken over products x markets x months, the tracking signal over the months' sums. RMSSE is that
    of each product x market, scaled by its month-to-month change before the first judged cycle, weighted by sales value
    (Makridakis et al. 2022).
    """
    frame, keys = judged[judged["lag"].isin(LAGS)], ["stream", "lag"]
    if frame.empty:
        return pd.DataFrame(columns=TABLES["forecast_accuracy"].names)
    before = past.sold[:, past.months < frame["cycle"].min()]
    scale = np.array([*(kpis.scale(from_first(row), power=2) for row in before), np.nan])  # the last: never sold
    pairs = frame.assign(square=(frame["quantity"] - frame["actual"]) ** 2, value=frame["actual"] * frame["price"])
    pairs = pairs.groupby([*keys, "family", *PAIR], as_index=False).agg({"square": "mean", "value": "sum"})
    pairs["rmsse"] = np.sqrt(pairs["square"] / scale[past.at(pairs)])
    pairs = pairs[pairs["rmsse"].notna() & (pairs["value"] > 0)]
    scaled = {name: np.average(of["rmsse"], weights=of["value"]) for name, of in _by_family(pairs, keys)}
    sums = frame.groupby([*keys, "family", "month"], as_index=False)[["quantity", "actual"]].sum()
    signal = {}
    for name, of in _by_family(sums, keys):
        months, at = np.unique(of["month"], return_inverse=True)
        f, a = (np.bincount(at, of[column], len(months)) for column in ("quantity", "actual"))
        signal[name] = kpis.tracking_signal(f, a)[-1]
    out = []
    for (stream, lag, family), of in _by_family(frame, keys):
        f, a, name = of["quantity"], of["actual"], (stream, lag, family)
        errors = kpis.wape(f, a), kpis.wape(f, a, of["price"]), kpis.bias(f, a)
        out.append((stream, family, lag, f.sum(), a.sum(), *errors, signal[name], scaled.get(name, np.nan)))
    return pd.DataFrame(out, columns=TABLES["forecast_accuracy"].names)


def from_first(row: np.ndarray) -> np.ndarray:
    """Months from the first sale on."""
    sold = np.flatnonzero(row)
    return row[sold[0] :] if len(sold) else row[:0]


def stair(judged: pd.DataFrame) -> pd.DataFrame:
    """The rows of `fva`: error after each step of the stair, over the forecasts that every step has, at lags 0 to 3."""
    frame = judged[judged["lag"].isin(LAGS) & judged["stream"].isin(STAIR)]
    keys = ["cycle", *CELL, "lag", "family", "price", "actual"]
    wide = frame.pivot_table(index=keys, columns="stream", values="quantity", aggfunc="sum").dropna().reset_index()
    steps, out = [name for name in STAIR if name in wide], []
    for (lag, family), of in _by_family(wide, ["lag"]):
        actual, price = of["actual"], of["price"]
        plain, value = ([kpis.wape(of[name], actual, weight) for name in steps] for weight in (1.0, price))
        if np.isnan(plain).any():
            continue
        added, value_added = ([np.nan, *kpis.forecast_value_added(errors)] for errors in (plain, value))
        lean, words = [kpis.bias(of[name], actual) for name in steps], [STEP_WORDS[name] for name in steps]
        columns = zip(range(len(steps)), steps, words, plain, added, value, value_added, lean, strict=True)
        out += [(family, lag, *row) for row in columns]
    return pd.DataFrame(out, columns=TABLES["fva"].names)


def overrides_judged(book: Book) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Past overrides against what was sold, best first, and by owner: `override_review`, `override_owners`."""
    past = book["past_overrides"]
    out = beside_sales(past[(past["month"] < book.first) & past["product"].isin(book["products"]["product"])], book)
    role = book["people"].drop_duplicates("name").set_index("name")["role"]
    out["role"] = out["owner"].map(role).fillna("")
    out["gain"] = (out["before"] - out["actual"]).abs() - (out["after"] - out["actual"]).abs()
    out["money"] = out["gain"] * book.net_prices(out)
    order = ["money", "cycle", "owner", *CELL]
    out = out.sort_values(order, ascending=[False] + [True] * 5, ignore_index=True)
    out["rank"] = np.arange(1, len(out) + 1)
    owners = []
    for _, rows in [*out.groupby(["role", "owner"]), *out.assign(owner=ALL).groupby("role")]:
        a, before, after = rows["actual"], rows["before"], rows["after"]
        errors = kpis.wape(before, a), kpis.wape(after, a), kpis.bias(after, a)
        who, helped = rows[["owner", "role"]].iloc[0], (rows["gain"] > 0).mean()
        owners.append((*who, len(rows), helped, *errors, rows["gain"].sum(), rows["money"].sum()))
    found = pd.DataFrame(owners, columns=TABLES["override_owners"].names)
    return out, found.sort_values("money", ascending=False, ignore_index=True)


# In words ----------------------------------------------------------------------------------------------------------


def say_who_was_right(book: Book, judged: pd.DataFrame, made: dict[str, pd.DataFrame], notes: Notes) -> None:
    """What the tables `made` of this module show, as notes: biases, campaigns, steps of the stair, overrides."""
    lag = book.judged_lag
    _say_biases(book, judged[judged["lag"] == lag], made["forecast_accuracy"], notes)
    success = book["campaign_success"]
    for row in success[(success["campaigns"] > 0) & ~success["success"].between(KEPT, 1.25)].itertuples():
        how = (
            "A {kind} never kept its promise: {count} past campaigns promised {promised} and brought {achieved} on "
            "average, {share} of the promise. Plans now count on {share}."
            if row.success < KEPT
            else "A {kind} brings more than it promises: {count} past campaigns promised {promised} and brought "
            "{achieved} on average, {share} of the promise. Plans now count on {share}."
        )
        kept = percent(row.promised, sign=True), percent(row.achieved, sign=True), percent(row.success)
        notes.say("who was right", row.campaign_kind, how, row.campaign_kind, row.campaigns, *kept)
    fva = made["fva"]  # of object kind where it is empty: no query can take its size
    told = fva["family"].eq(ALL) & fva["lag"].eq(lag) & fva["step"].gt(0) & fva["fva"].astype(float).abs().ge(0.002)
    for row in fva[told].itertuples():
        how = (
            "The step {step} took {points} points of error away (WAPE {before} to {after} at lag {lag})."
            if row.fva > 0
            else "The step {step} added {points} points of error: it destroys value (WAPE {before} to {after} at lag "
            "{lag})."
        )
        points, wapes = local(f"{abs(row.fva) * 100:.1f}"), (percent(row.wape + row.fva, 1), percent(row.wape, 1))
        notes.say("who was right", row.stream, how, repr(say(STEP_WORDS[row.stream])), points, *wapes, lag)
    for row in made["override_owners"].query("owner != @ALL and overrides >= 3").itertuples():
        how = (
            "Overrides of {owner} ({role}) helped: {share} of {count} brought the forecast nearer, error {before} "
            "before and {after} after."
            if row.gain > 0
            else "Overrides of {owner} ({role}) made forecasts worse: {share} of {count} brought the forecast nearer, "
            "error {before} before and {after} after."
        )
        who, errors = (row.owner, row.role or say("role not known")), map(percent, (row.wape_before, row.wape_after))
        told = (*who, percent(row.helped), row.overrides, *errors)
        notes.say("who was right", row.owner, how, *told, money=row.money)


def _say_biases(book: Book, at_lag: pd.DataFrame, accuracy: pd.DataFrame, notes: Notes) -> None:
    lag = book.judged_lag
    right = accuracy[(accuracy["lag"] == lag) & ~accuracy["stream"].isin(["naive", *STAIR[2:5]])]
    total = right[right["family"] == ALL].set_index("stream")["bias"]
    right = right[right["bias"].abs() >= BIAS_LIMIT]
    for row in right.sort_values(["stream", "family"]).itertuples():
        mine = at_lag[at_lag["stream"] == row.stream]
        mine = mine if row.family == ALL else mine[mine["family"] == row.family]
        months = mine.groupby("month")[["quantity", "actual"]].sum()
        same = int((np.sign(months["quantity"] - months["actual"]) == np.sign(row.bias)).sum())
        sure = abs(row.tracking_signal) >= SIGNAL_LIMIT or (same == len(months) >= 3)
        if not sure:
            continue
        # the total speaks for its families unless one of them goes the other way or is alone
        whole, part = total[row.stream], row.family != ALL
        if part and abs(whole) >= BIAS_LIMIT and whole * row.bias > 0 and abs(row.bias) < 2 * abs(whole):
            continue
        money = ((mine["quantity"] - mine["actual"]) * mine["price"]).sum() / len(months)
        who = say(STREAM_WORDS.get(row.stream, row.stream))
        who = say("{stream} in {family}", who, row.family) if part else who
        how = (
            "The {stream} was {share} too high: above what was sold in {count} of {all} months at lag {lag}, "
            "tracking signal {signal} MAD (limits -4 to +4): {money} {currency} a month."
            if row.bias > 0
            else "The {stream} was {share} too low: below what was sold in {count} of {all} months at lag {lag}, "
            "tracking signal {signal} MAD (limits -4 to +4): {money} {currency} a month."
        )
        seen = percent(abs(row.bias)), same, len(months), lag, local(f"{row.tracking_signal:+.1f}")
        notes.say("who was right", row.stream, how, who, *seen, number(abs(money)), book.currency, money=money)


# What changed ------------------------------------------------------------------------------------------------------


def last_consensus(book: Book) -> pd.DataFrame:
    """The rows of `past_forecasts` that hold the consensus of the last earlier cycle."""
    past = book["past_forecasts"]
    past = past[(past["stream"] == "consensus") & (past["cycle"] < book.first)]
    return past[past["cycle"] == past["cycle"].max()]


def changed(book: Book, notes: Notes) -> pd.DataFrame:
    """From last cycle's consensus to this one's over the months both plan: the rows of `demand_change`.

    Each step is the change of one layer, in units and at today's price; the steps add up to the difference exactly.
    """
    past, now, columns = book["past_forecasts"], book["frozen_forecasts"], TABLES["demand_change"].names
    agreed = last_consensus(book)
    if agreed.empty:
        sentence = say("No consensus of an earlier cycle was kept: what changed since then is not known.")
        notes.say("consensus", "last cycle", sentence)
        return pd.DataFrame(columns=columns)
    last = agreed["cycle"].max()
    months = pd.DatetimeIndex(agreed["month"]).intersection(now["month"]).unique().sort_values()
    if months.empty:
        told = "The plan of {month} has no month in common with this one."
        notes.say("consensus", "last cycle", told, month_name(last))
        return pd.DataFrame(columns=columns)
    both = pd.concat([past[past["cycle"] == last], now], ignore_index=True)
    known = both["product"].isin(book["products"]["product"])
    both = both[both["month"].isin(months) & both["stream"].isin(STAIR[1:]) & known]
    both = both.assign(family=book.families(both["product"]), money=both["quantity"] * book.net_prices(both))
    rows, span, sums = [], say("{start} to {end}", month_name(months[0]), month_name(months[-1])), ["quantity", "money"]
    keys = ["family", "stream", "cycle"]
    held = pd.concat([both, both.assign(family=ALL)]).groupby(keys, sort=False)[sums].sum().unstack()
    for family in [*sorted(both["family"].unique()), ALL]:
        # a layer that the earlier cycle did not keep was nothing then: its step holds what the step before held
        of = held.loc[family].reindex(STAIR[1:]).ffill().fillna(0.0)
        old, new = (of.xs(cycle, axis=1, level="cycle") for cycle in (last, book.first))
        change = (new - old).diff().fillna((new - old).iloc[:1])
        begin, end = (say("plan of {month}", month_name(cycle)) for cycle in (last, book.first))
        layers = [(STEP_WORDS[name], *of) for name, of in change.iterrows()]
        steps = [(begin, *old.iloc[-1]), *layers, (end, *new.iloc[-1])]
        rows += [(family, at, *step, span) for at, step in enumerate(steps)]
    return pd.DataFrame(rows, columns=columns)
