"""The named layers over the baseline: lifecycle, market conditions, campaigns, CRM pipeline; each its own column.

A layer is so many units added or taken away in a month. All that scale with volume (market conditions, campaigns)
scale with the same volume, baseline + lifecycle, so leaving one layer out changes no other one. What past campaigns and
market conditions did to history is taken out before the baseline is made: it would be counted twice otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from sopkit.demand.contestants import LIGHTGBM
from sopkit.errors import SettingsError
from sopkit.tables import BY_NAME, Company
from sopkit.words import percent

if TYPE_CHECKING:
    from sopkit.book import Book
    from sopkit.demand.hierarchy import Coherent

LAYERS = ("lifecycle", "market_conditions", "campaigns", "pipeline")
LEVELS = ("total", "family", "region")
STEP_NAMES = tuple(step.name for step in BY_NAME["demand"].steps)
PAIR = ["product", "market"]
# How far the assumed pull-forward is trusted before any is measured (standard deviation of a share).
_PULL_FORWARD_DOUBT = 0.15


@dataclass(frozen=True)
class Grid:
    """Product x market pairs (rows) by months (columns): the shape in which layers are computed.

    `pairs` holds product, market, family and price, sorted by product and market.
    """

    pairs: pd.DataFrame
    months: pd.DatetimeIndex

    @cached_property
    def row(self) -> dict[tuple[str, str], int]:
        """The row of a product and market."""
        return {pair: i for i, pair in enumerate(zip(self.pairs["product"], self.pairs["market"], strict=True))}

    @cached_property
    def rows_of(self) -> dict[str, np.ndarray]:
        """The rows of a product."""
        return {name: rows for name, rows in self.pairs.groupby("product", sort=False).indices.items()}

    def zeros(self) -> np.ndarray:
        """Nothing, everywhere."""
        return np.zeros((len(self.pairs), len(self.months)))

    def matrix(self, frame: pd.DataFrame, value: str = "quantity", empty: float = 0.0) -> np.ndarray:
        """`value` of `frame` (product, market, month) summed into the grid; `empty` where it has no row."""
        rows = pd.MultiIndex.from_frame(self.pairs[PAIR]).get_indexer(pd.MultiIndex.from_frame(frame[PAIR]))
        columns = self.months.get_indexer(pd.DatetimeIndex(frame["month"]))
        inside = (rows >= 0) & (columns >= 0)
        out, seen = self.zeros(), np.zeros((len(self.pairs), len(self.months)), bool)
        np.add.at(out, (rows[inside], columns[inside]), frame[value].to_numpy(float)[inside])
        seen[rows[inside], columns[inside]] = True
        return np.where(seen, out, empty)

    def long(self, **matrices: np.ndarray) -> pd.DataFrame:
        """One row a pair and month, the pairs' columns first, then one column a matrix."""
        out = self.pairs.loc[self.pairs.index.repeat(len(self.months))].reset_index(drop=True)
        out["month"] = np.tile(self.months, len(self.pairs))
        return out.assign(**{name: values.ravel() for name, values in matrices.items()})


@dataclass(frozen=True)
class Past(Grid):
    """Every pair that was ever sold by the months before the cycle; `sold` holds the units, 0 before the first sale."""

    sold: np.ndarray


class Notes:
    """What a step of the stage found or assumed, in words, as rows of `demand_notes`."""

    def __init__(self, step: str) -> None:
        self.step = step
        self.rows: list[dict] = []

    def say(self, topic: str, subject: str, sentence: str, money: float = np.nan) -> None:
        """Remember one sentence."""
        self.rows.append({"step": self.step, "topic": topic, "subject": subject, "sentence": sentence, "money": money})

    def beside(self, others: pd.DataFrame) -> pd.DataFrame:
        """These rows among those of other steps in `others` (a `demand_notes` table), in order of step, numbered."""
        mine = pd.DataFrame(self.rows, columns=["step", "topic", "subject", "sentence", "money"])
        mine = mine.astype({"money": float})
        others = others[others["step"] != self.step].sort_values("number").drop(columns="number")
        frame = pd.concat([others, mine], ignore_index=True) if len(others) else mine
        order = frame["step"].map({name: at for at, name in enumerate(STEP_NAMES)})
        frame = frame.iloc[order.argsort(kind="stable")].reset_index(drop=True)
        return frame.assign(number=np.arange(1, len(frame) + 1))


def make_grid(pairs: pd.DataFrame, months: pd.DatetimeIndex, book: Book) -> Grid:
    """The grid of `pairs` (product, market; any order, repeated or not) over `months`."""
    pairs = pairs[PAIR].drop_duplicates().sort_values(PAIR, ignore_index=True)
    pairs["family"] = book.families(pairs["product"])
    return Grid(pairs.assign(price=book.net_prices(pairs)), months)


# From tables to grids ----------------------------------------------------------------------------------------------


def past_grid(book: Book) -> Past:
    """Every pair that was ever sold, the months up to the cycle, and the units sold (0 before the first sale)."""
    history = book["clean_history"]
    history = history[history["month"] < book.first]
    if history.empty:
        raise SettingsError(
            f"clean_history holds no month before {book.first:%Y-%m}: there is nothing to forecast from. "
            "Check sales_history, or the cycle's name."
        )
    months = pd.date_range(history["month"].min(), book.first - pd.DateOffset(months=1), freq="MS")
    past = make_grid(history, months, book)
    return Past(past.pairs, months, past.matrix(history))


def history_table(book: Book, past: Past, values: np.ndarray) -> pd.DataFrame:
    """`values` from each pair's first month on: the rows of `baseline_history`."""
    long = past.long(quantity=values)
    first = book["clean_history"].groupby(PAIR)["month"].min()
    start = first.reindex(pd.MultiIndex.from_frame(past.pairs[PAIR])).to_numpy()
    long = long[long["month"].to_numpy() >= np.repeat(start, len(past.months))].reset_index(drop=True)
    return book.with_levels(long)[[*PAIR, "family", "region", "month", "quantity"]]


def calendar_features(calendar: pd.DataFrame, past: pd.DatetimeIndex, horizon: int) -> dict[str, pd.DataFrame] | None:
    """What the forecaster may know of each month in advance, from `calendar`: "history" and "future" (ds and features).

    The logarithm of working days / the usual days of that month of the year, its change since the month before, and
    since the year before (the learners forecast changes). None where no month differs from its usual days. The calendar
    is announced, so nothing is seen too early. Market conditions and campaigns are no features: they are layers, and
    their effect is taken out of the history. Nor is the price: `prices` has no dates, so what was planned is not known.
    """
    months = pd.date_range(past[0], periods=len(past) + horizon, freq="MS")
    days = calendar.drop_duplicates("month").set_index("month")["working_days"].reindex(months)
    off = np.log((days / days.groupby(days.index.month).transform("mean")).where(lambda ratio: ratio > 0)).fillna(0.0)
    if off.abs().lt(1e-9).all():
        return None
    frame = pd.DataFrame(
        {
            "ds": months,
            "working_days": off.to_numpy(),
            "working_days_on_month": off.diff().fillna(0.0).to_numpy(),
            "working_days_on_year": off.diff(12).fillna(0.0).to_numpy(),
        }
    )
    return {"history": frame.head(len(past)), "future": frame.tail(horizon)}


def levels_of(history: pd.DataFrame) -> list[tuple[str, ...]]:
    """The levels at which it is worth forecasting: those that have more than one node and fewer than the bottom."""
    bottom = len(history[PAIR].drop_duplicates())
    wanted = [("family",), ("region",), ("family", "region")]
    counts = {level: len(history[list(level)].drop_duplicates()) for level in wanted}
    kept = [level for level in wanted if 1 < counts[level] < bottom]
    if counts[("family", "region")] in (counts[("family",)], counts[("region",)]):
        kept = [level for level in kept if len(level) == 1]
    return ([()] if bottom > 1 else []) + kept + [tuple(PAIR)]


def baseline_tables(made: Coherent, notes: Notes, featured: bool = False) -> dict[str, pd.DataFrame]:
    """The forecaster's answer as the tables that step `forecast` writes (`baseline`, `backtest` ...).

    `featured`: LightGBM was given the working days, which the notes say where it counts.
    """
    columns = {"ds": "month", "mean": "quantity"}
    frame = made.bottom.rename(columns=columns)[[*PAIR, "month", "quantity", "p10", "p50", "p90", "model"]]
    for sentence in made.notes:
        notes.say("baseline", "hierarchy", sentence)
    accuracy, said, coverage = made.base.accuracy, made.base.notes, made.base.coverage
    chosen = accuracy.pivot(index="unique_id", columns="model", values="rmsse")
    if {"chosen", "seasonal_naive"} <= set(chosen):
        chosen = chosen.dropna(subset=["chosen", "seasonal_naive"])
        worse = chosen[chosen["chosen"] > chosen["seasonal_naive"]]
        notes.say(
            "baseline",
            "seasonal naive",
            f"In the backtest the baseline beat seasonal naive in {len(chosen) - len(worse)} of "
            f"{len(chosen)} series (RMSSE); the others are named in baseline_notes.",
        )
    weights = made.base.weights
    learnt = weights[weights["model"].isin(LIGHTGBM)]
    if featured and len(learnt):
        notes.say(
            "baseline",
            "working days",
            f"LightGBM knew each month's working days against the usual ones; it counts in "
            f"{learnt['unique_id'].nunique()} of {weights['unique_id'].nunique()} series. Campaigns and market "
            "conditions are layers and so no features of it; nor are prices, whose past plans nobody kept.",
        )
    for row in coverage.itertuples():
        notes.say(
            "baseline",
            "range",
            f"The {row.level} % range held {row.measured:.0f} % of what was sold in the backtest "
            f"({row.months:,} months).",
        )
    nodes = made.forecast[made.forecast["level"].isin(LEVELS)]
    node = nodes["unique_id"].str.split(": ", n=1).str[-1]  # the total is called `total` alone
    names = made.bottom[["unique_id", *PAIR]].drop_duplicates()
    tried = made.base.cv[["unique_id", "cutoff", "ds", "y", "chosen"]].merge(names, on="unique_id")
    return {
        "baseline": frame,
        "baseline_levels": nodes.assign(node=node).rename(columns=columns)[
            ["level", "node", "month", "quantity", "p10", "p90"]
        ],
        "backtest_months": tried.rename(columns={"ds": "month", "y": "actual", "chosen": "forecast"}).drop(
            columns="unique_id"
        ),
        "backtest": accuracy.rename(columns={"unique_id": "series"}),
        "baseline_notes": said.rename(columns={"unique_id": "series"}).drop_duplicates(),
        "forecast_coverage": coverage.assign(level=coverage["level"] / 100, measured=coverage["measured"] / 100),
    }


def planned_grid(book: Book) -> Grid:
    """Every pair that can be planned: with history, launched like one that has, or named by sales or the CRM."""
    products, cycle = book["products"], book.first
    like = products.loc[products["launch_month"] > cycle - pd.DateOffset(months=12), ["product", "like_product"]]
    found = [book["baseline"][PAIR]]
    for _ in range(len(like)):  # a like-product may be a launch itself
        known = pd.concat(found)
        more = like.merge(known.rename(columns={"product": "like_product"}), on="like_product")[PAIR]
        more = more.merge(known, how="left", indicator=True).query("_merge == 'left_only'")[PAIR].drop_duplicates()
        if more.empty:
            break
        found.append(more)
    for table in ("sales_forecast", "pipeline"):
        rows = book[table]
        found.append(rows.loc[rows["month"].isin(book.months) & (rows["quantity"] > 0), PAIR])
    return make_grid(plannable(pd.concat(found), book), book.months, book)


def plannable(pairs: pd.DataFrame, book: Book) -> pd.DataFrame:
    """The rows of `pairs` whose product and market exist, the product not ended before last month.

    What the successor of an ended product took over is in the successor's history.
    """
    products = book["products"]
    ended = products.loc[products["end_month"] < book.first - pd.DateOffset(months=1), "product"]
    known = pairs["product"].isin(products["product"]) & pairs["market"].isin(book["markets"]["market"])
    return pairs[known & ~pairs["product"].isin(ended)]


# The past, and what campaigns did in it ----------------------------------------------------------------------------


def usual_sales(past: Grid, sold: np.ndarray, disturbed: np.ndarray) -> np.ndarray:
    """What each month would usually sell: the level of its year x the month's share of it in undisturbed years.

    NaN where there are not two undisturbed years to tell from.
    """
    count = sold.shape[1]
    if count < 24:
        return np.full(sold.shape, np.nan)
    # the mean of the twelve months around: every calendar month once, so no season is left in it
    first = np.clip(np.arange(count) - 6, 0, count - 12)
    out, filled = np.full(sold.shape, np.nan), sold
    for _ in range(3 if disturbed.any() else 1):  # what disturbed the level is replaced by what is usual, and again
        total = np.concatenate([np.zeros((len(sold), 1)), filled.cumsum(axis=1)], axis=1)
        level = (total[:, first + 12] - total[:, first]) / 12
        with np.errstate(all="ignore"):
            ratio = np.where((level > 0) & ~disturbed, sold / level, np.nan)
        for month in range(1, 13):
            same = past.months.month == month
            years = ratio[:, same]
            known = np.isfinite(years).sum(axis=1)
            share = np.where(known >= 2, np.nansum(years, axis=1) / np.maximum(known, 1), np.nan)
            out[:, same] = share[:, None] * level[:, same]
        filled = np.where(disturbed & np.isfinite(out), out, sold)
    return out


def campaign_success(book: Book, past: Past) -> pd.DataFrame:
    """What past campaigns of each kind kept of their promise, and the share of their extra units missing afterwards.

    Success = sum of achieved uplifts / sum of promised ones. An uplift nobody measured is measured here against the
    month's usual sales. The pull-forward is measured alike and weighed against the company's assumption by the
    precision of both (normal with known variance: Gelman et al., Bayesian Data Analysis, section 2.5).
    Returns campaign_kind, campaigns, promised, achieved, success, pull_forward, reason.
    """
    company, campaigns, cycle, sold = book.company, book["campaigns"], book.first, past.sold
    after = company.demand.pull_forward_months
    done = campaigns[campaigns["end_month"] < cycle]
    disturbed = np.zeros(sold.shape, bool)
    spans = [_span(past, row, after) for row in done.itertuples()]
    running = campaigns.query("start_month < @cycle <= end_month")  # no verdict on them yet
    for pair, first, _, end in [*spans, *(_span(past, row, after) for row in running.itertuples())]:
        if pair is not None:
            disturbed[pair, first:end] = True
    usual = usual_sales(past, sold, disturbed)
    measured, dip, extra, noise = (np.full(len(done), np.nan) for _ in range(4))
    with np.errstate(all="ignore"):
        off = np.where(disturbed | (usual <= 0), np.nan, sold / usual - 1)
        spread = off - np.nanmean(off)
        doubt = np.sqrt(np.nansum(spread**2, axis=1) / np.maximum(np.isfinite(off).sum(axis=1), 1))
    for i, (pair, first, last, end) in enumerate(spans):
        if pair is None or last == first:
            continue
        expected = usual[pair, first:last].sum()
        measured[i] = sold[pair, first:last].sum() / expected - 1 if expected > 0 else np.nan
        uplift = done["achieved_uplift"].iloc[i]
        uplift = measured[i] if np.isnan(uplift) else uplift
        extra[i] = sold[pair, first:last].sum() * uplift / (1 + uplift) if uplift > -1 else np.nan
        if end - last == after:
            dip[i] = usual[pair, last:end].sum() - sold[pair, last:end].sum()
            noise[i] = doubt[pair] * np.sqrt(np.square(usual[pair, last:end]).sum())
    done = done.assign(
        uplift=done["achieved_uplift"].fillna(pd.Series(measured, done.index)),
        dip=dip,
        extra=extra,
        noise=noise,
        guessed=done["achieved_uplift"].isna(),
    )
    rows = [_success_of(kind, group, company) for kind, group in done.groupby("campaign_kind", sort=True)]
    seen = {row["campaign_kind"] for row in rows}
    promised, kept = done.loc[done["uplift"].notna(), ["promised_uplift", "uplift"]].sum()
    for kind in sorted(set(campaigns["campaign_kind"]) - seen):
        success, how = 1.0, "no campaign was ever measured: the promise is taken in full"
        if promised > 0:
            success, how = max(kept / promised, 0.0), "none of this kind yet: the rate of all kinds"
        rows.append(
            {
                "campaign_kind": kind,
                "campaigns": 0,
                "promised": np.nan,
                "achieved": np.nan,
                "success": success,
                "pull_forward": company.demand.pull_forward,
                "reason": f"{how}; pull-forward as assumed",
            }
        )
    columns = ["campaign_kind", "campaigns", "promised", "achieved", "success", "pull_forward", "reason"]
    return pd.DataFrame(rows, columns=columns).sort_values("campaign_kind", ignore_index=True)


def _span(past: Grid, row, after: int) -> tuple[int | None, int, int, int]:
    """Row, first month, month after the last, and end of the months after, of a campaign within the past."""
    pair = past.row.get((row.product, row.market))
    first, last = past.months.searchsorted([row.start_month, row.end_month + pd.DateOffset(months=1)])
    return pair, int(first), int(last), int(min(last + after, len(past.months)))


def _success_of(kind: str, group: pd.DataFrame, company: Company) -> dict:
    known = group[group["uplift"].notna()]
    promised, achieved = known["promised_uplift"].mean(), known["uplift"].mean()
    success = max(achieved / promised, 0.0) if promised > 0 else 1.0
    how = [f"{len(known)} past campaigns"]
    if known["guessed"].any():
        how.append(f"{int(known['guessed'].sum())} measured here against usual sales")
    if not promised > 0:
        how.append("nothing was promised: taken in full")
    # only upward campaigns borrow from the months after
    judged = group[(group["extra"] > 0) & group["dip"].notna() & (group["noise"] > 0)]
    prior, doubt = company.demand.pull_forward, _PULL_FORWARD_DOUBT
    pulled = prior
    if len(judged):
        extra, noise = judged["extra"].sum(), np.sqrt(np.square(judged["noise"]).sum())
        seen, error = judged["dip"].sum() / extra, noise / extra
        pulled = (seen / error**2 + prior / doubt**2) / (1 / error**2 + 1 / doubt**2)
        how.append(
            f"pull-forward seen {percent(seen)} give or take {percent(error)}, "
            f"assumed {percent(prior)} give or take {percent(doubt)}"
        )
    else:
        how.append("pull-forward as assumed")
    return {
        "campaign_kind": kind,
        "campaigns": len(known),
        "promised": promised,
        "achieved": achieved,
        "success": success,
        "pull_forward": float(np.clip(pulled, 0, 1)),
        "reason": "; ".join(how),
    }


def undisturbed(book: Book, past: Past, success: pd.DataFrame, notes: Notes) -> np.ndarray:
    """History with the effects of past campaigns and market conditions taken out (their layers put them in again).

    A campaign that still runs has been at work in the months before `cycle` too.
    """
    sold, campaigns = past.sold, book["campaigns"]
    factor, shift = np.ones(sold.shape), np.zeros(sold.shape)
    rates = success.set_index("campaign_kind")
    begun, after = campaigns[campaigns["start_month"] < book.first], book.company.demand.pull_forward_months
    used = 0
    for row in begun.itertuples():
        pair, first, last, end = _span(past, row, after)
        uplift = row.achieved_uplift
        if pair is None or last == first:
            continue
        if np.isnan(uplift):
            uplift = row.promised_uplift * rates.at[row.campaign_kind, "success"]
        factor[pair, first:last] += uplift
        extra = sold[pair, first:last].sum() * uplift / (1 + uplift) if uplift > -0.9 else 0.0
        if extra > 0 and end > last:
            shift[pair, last:end] += extra * rates.at[row.campaign_kind, "pull_forward"] / after
        used += 1
    if used:
        notes.say(
            "campaigns",
            "history",
            f"The effect of {used} past campaigns (product x market) was taken out of the history "
            "before the baseline was made; the campaigns layer puts planned ones in.",
        )
    effects = _market_effects(book, past)
    if (effects != 0).any():
        conditions = book["market_conditions"]
        drivers = sorted(set(conditions.loc[conditions["month"] < book.first, "driver"]))
        notes.say(
            "market conditions",
            ", ".join(drivers),
            "Their past effect was taken out of the history before the baseline "
            "was made; the layer puts their planned effect in.",
        )
    # an effect of nearly -100 % leaves nothing to scale up from: such a month is left as it was
    whole = factor * (1 + effects)
    return np.where(whole > 0.1, sold / np.where(whole > 0.1, whole, 1.0), sold) + shift


# The layers --------------------------------------------------------------------------------------------------------


def _market_effects(book: Book, grid: Grid) -> np.ndarray:
    """Joint effect of all drivers on each pair and month, a share: drivers multiply."""
    conditions = book["market_conditions"]
    conditions = conditions[conditions["month"].isin(grid.months)]
    if conditions.empty:
        return grid.zeros()
    joint = conditions.assign(quantity=np.log1p(np.maximum(conditions["effect"], -0.999999)))
    joint = joint.groupby(["family", "market", "month"], as_index=False)["quantity"].sum()
    spread = grid.pairs[["product", "market", "family"]].merge(joint, on=["family", "market"])
    return np.expm1(grid.matrix(spread))


def market_layer(book: Book, grid: Grid, volume: np.ndarray) -> np.ndarray:
    """Units that outside influences add to or take from `volume`."""
    return volume * _market_effects(book, grid)


def campaign_layer(book: Book, grid: Grid, volume: np.ndarray, past: Past, notes: Notes) -> np.ndarray:
    """Units that campaigns bring at the success rate of their kind, less what they pull forward from the months after.

    A campaign that ended just before the cycle still takes from its first months.
    """
    out, after = grid.zeros(), book.company.demand.pull_forward_months
    rates = book["campaign_success"].set_index("campaign_kind")
    campaigns, cycle, sold = book["campaigns"], book.first, past.sold
    near = campaigns[campaigns["end_month"] >= cycle - pd.DateOffset(months=after)]
    promised_extra: dict[str, list[float]] = {}
    for row in near.itertuples():
        pair = grid.row.get((row.product, row.market))
        if pair is None or row.start_month > grid.months[-1]:
            continue
        rate = rates.loc[row.campaign_kind]
        over = row.end_month < cycle and not np.isnan(row.achieved_uplift)
        uplift = row.achieved_uplift if over else row.promised_uplift * rate["success"]
        first, last = grid.months.searchsorted([row.start_month, row.end_month + pd.DateOffset(months=1)])
        extra = volume[pair, first:last] * uplift
        out[pair, first:last] += extra
        total = extra.sum()
        before, past_first, past_last, _ = _span(past, row, 0)
        if before is not None and uplift > -0.9:
            total += sold[before, past_first:past_last].sum() * uplift / (1 + uplift)
        if total > 0:
            # months after the campaign, of which some may lie before the cycle or beyond the horizon
            at = grid.months.get_indexer(pd.date_range(row.end_month, periods=after + 1, freq="MS")[1:])
            np.add.at(out[pair], at[at >= 0], -total * rate["pull_forward"] / after)
        if row.end_month >= cycle:
            price = grid.pairs["price"].iat[pair]
            said = promised_extra.setdefault(row.campaign_kind, [0.0, 0.0, 0.0])
            said[0] += volume[pair, first:last].sum() * row.promised_uplift
            said[1] += extra.sum()
            said[2] += (volume[pair, first:last].sum() * row.promised_uplift - extra.sum()) * price
    for kind, (promised, counted, money) in sorted(promised_extra.items()):
        rate = rates.loc[kind]
        kept = (
            f"past ones kept {percent(rate['success'])} of their promise"
            if rate["campaigns"]
            else rate["reason"].split(";")[0]
        )
        notes.say(
            "campaigns",
            kind,
            f"Planned campaigns promise {promised:,.0f} extra units; {kept}, so the plan counts on "
            f"{counted:,.0f}, and takes {percent(rate['pull_forward'])} of them from the months after.",
            money,
        )
    return out


def pipeline_layer(book: Book, grid: Grid, notes: Notes) -> tuple[np.ndarray, np.ndarray]:
    """Units of CRM opportunities that are not in the baseline, weighted by probability, and their variance.

    The variance of one opportunity is quantity^2 x p (1 - p): it is won whole or not at all.
    """
    deals = book["pipeline"]
    late = deals[(deals["month"] < grid.months[0]) & (deals["probability"] > 0)]
    for row in late.itertuples():
        notes.say(
            "pipeline",
            row.opportunity,
            f"{row.opportunity} ({row.customer}, {row.quantity:,.0f} {row.product}) was expected in "
            f"{row.month:%b %Y}, which is past: not in the plan until sales gives a new month.",
        )
    counted = deals[~deals["in_baseline"]]
    chance = counted["probability"]
    units = grid.matrix(counted.assign(quantity=counted["quantity"] * chance))
    variance = grid.matrix(counted.assign(quantity=counted["quantity"] ** 2 * chance * (1 - chance)))
    inside = deals["in_baseline"] & (deals["month"] >= grid.months[0])
    if inside.any():
        notes.say(
            "pipeline",
            ", ".join(sorted(set(deals.loc[inside, "customer"]))),
            f"{int(inside.sum())} opportunities of "
            f"{deals.loc[inside, 'quantity'].sum():,.0f} units are not added: history already holds these customers' "
            "usual orders.",
        )
    return units, variance


def pipeline_weight(book: Book) -> pd.DataFrame:
    """Customers of the CRM by the machine hours their opportunities need, most first; the rows of `pipeline_weight`.

    Hours of a unit: the mean of the product's routings (which machine will make it is not known yet); bought-in parts
    and people are not counted.
    """
    deals = book["pipeline"]
    deals = deals[deals["month"].isin(book.months)]
    hours = deals["product"].map(book["routings"].groupby("item")["hours"].mean()).fillna(0.0)
    price = book.net_prices(deals)
    expected = deals["quantity"] * deals["probability"]
    deals = deals.assign(
        expected=expected,
        added=expected.where(~deals["in_baseline"], 0.0),
        value=expected * price,
        hours=expected * hours,
        hours_if_won=deals["quantity"] * hours,
    )
    out = deals.groupby("customer", as_index=False).agg(
        opportunities=("opportunity", "size"),
        quantity=("quantity", "sum"),
        expected=("expected", "sum"),
        added=("added", "sum"),
        value=("value", "sum"),
        hours=("hours", "sum"),
        hours_if_won=("hours_if_won", "sum"),
        first_month=("month", "min"),
        products=("product", lambda names: ", ".join(sorted(set(names)))),
    )
    total = out["hours_if_won"].sum()
    out["share"] = out["hours_if_won"] / total if total else 0.0
    out = out.sort_values(["hours_if_won", "customer"], ascending=[False, True], ignore_index=True)
    return out.assign(rank=np.arange(1, len(out) + 1))


def lifecycle_layer(book: Book, grid: Grid, baseline: np.ndarray, past: Past, notes: Notes) -> np.ndarray:
    """Units that launches, retirements and successions add to or take from the baseline.

    A launch sells its like-product's baseline x the factor of its curve at its age; once it has sold, the curve is
    scaled by how the first months went. A retiring product fades evenly over its last `run_out_months` and sells
    nothing after `end_month`; what it loses goes to its successor, so the pair together sells as if nothing happened.
    """
    products = book["products"].set_index("product")
    target = baseline.copy()
    for product in _launches(products, book.first, grid):
        target = _launched(products.loc[product], book["curves"], target, past, grid=grid, notes=notes)
    for product in _retirements(products, grid):
        target = _retired(product, products, grid, target, fade=book.company.demand.run_out_months, notes=notes)
    return target - baseline


def _launches(products: pd.DataFrame, cycle: pd.Timestamp, grid: Grid) -> list[str]:
    """Products launched in the last year or later, in order of launch (a like-product may be a launch itself)."""
    young = products[products["launch_month"] > cycle - pd.DateOffset(months=12)]
    young = young[young.index.isin(set(grid.pairs["product"]))]
    return list(young.sort_values("launch_month", kind="stable").index)


def _launched(
    row: pd.Series, curves: pd.DataFrame, target: np.ndarray, past: Past, *, grid: Grid, notes: Notes
) -> np.ndarray:
    product, launch, like = row.name, row["launch_month"], row["like_product"]
    rows = grid.rows_of[product]
    age = np.asarray((grid.months.year - launch.year) * 12 + grid.months.month - launch.month)
    target = target.copy()
    target[np.ix_(rows, np.flatnonzero(age < 0))] = 0.0
    if not like:
        if launch >= grid.months[0]:
            notes.say(
                "lifecycle",
                product,
                f"{product} starts in {launch:%b %Y} without a like-product: nothing is planned for it "
                "but what people add. Name a like_product and a curve in products.",
            )
        return target
    curve = curves[curves["curve"] == row["curve"]].sort_values("age") if row["curve"] else curves.head(0)
    ages, factors = (curve["age"], curve["factor"]) if len(curve) else (np.array([0]), np.array([1.0]))
    if launch < grid.months[0] - pd.DateOffset(months=1) * int(np.max(ages)):
        return target  # grown up: its own history says more than the curve
    known = np.array([grid.row.get((like, market), -1) for market in grid.pairs["market"].iloc[rows]])
    rows, known = rows[known >= 0], known[known >= 0]
    went, told = _start(row, past, np.asarray(ages), np.asarray(factors))
    factor = np.where(age < 0, 0.0, np.interp(age, ages, factors)) * went
    target[rows] = target[known] * factor
    shape = f"the curve {row['curve']!r}" if len(curve) else "its full volume at once (no curve)"
    notes.say(
        "lifecycle",
        product,
        f"{product} starts in {launch:%b %Y} like {like}, by {shape}: {target[rows].sum():,.0f} units "
        f"in the planned months{told}.",
        float((target[rows].sum(axis=1) * grid.pairs["price"].to_numpy()[rows]).sum()),
    )
    return target


def _start(row: pd.Series, past: Past, ages: np.ndarray, factors: np.ndarray) -> tuple[float, str]:
    """How the first months went against the curve, pulled towards 1 while they are few; and the same in words."""
    product, like, launch, sold = row.name, row["like_product"], row["launch_month"], past.sold
    since = past.months >= launch
    if not since.any() or product not in past.rows_of or like not in past.rows_of:
        return 1.0, ""
    months = past.months[since]
    age = np.asarray((months.year - launch.year) * 12 + months.month - launch.month)
    expected = (sold[past.rows_of[like]][:, since].sum(axis=0) * np.interp(age, ages, factors)).sum()
    if expected <= 0:
        return 1.0, ""
    ratio, count = max(sold[past.rows_of[product]][:, since].sum(), 0.0) / expected, int(since.sum())
    return (count * ratio + 2) / (
        count + 2
    ), f"; its first {count} month(s) sold {percent(ratio)} of the curve, which scales the rest"


def _retirements(products: pd.DataFrame, grid: Grid) -> list[str]:
    """Products that end before the last planned month, in order of their end (a successor may retire too)."""
    ending = products[products["end_month"].notna() & (products["end_month"] < grid.months[-1])]
    ending = ending[ending.index.isin(set(grid.pairs["product"]))]
    return list(ending.sort_values("end_month", kind="stable").index)


def _retired(
    product: str, products: pd.DataFrame, grid: Grid, target: np.ndarray, *, fade: int, notes: Notes
) -> np.ndarray:
    row = products.loc[product]
    end, heir = row["end_month"], row["successor"]
    left = np.asarray((end.year - grid.months.year) * 12 + end.month - grid.months.month)  # months until its last one
    keeps = np.clip((left + 1) / (fade + 1), 0, 1)
    before, target, rows = target, target.copy(), grid.rows_of[product]
    target[rows] *= keeps
    gone = before[rows] - target[rows]
    lost = gone.sum()
    said = f"{product} ends in {end:%b %Y}" + (f", fading over its last {fade} months" if fade else "")
    if heir not in products.index:
        notes.say(
            "lifecycle",
            product,
            f"{said}: {lost:,.0f} units leave the plan.",
            -float((gone.sum(axis=1) * grid.pairs["price"].to_numpy()[rows]).sum()),
        )
        return target
    start = products.at[heir, "launch_month"]
    on_sale = np.ones(len(grid.months), bool) if pd.isna(start) else np.asarray(grid.months >= start)
    # an heir that grows on this product's own curve already brings some of its customers: only the rest comes over
    shares = products.at[heir, "like_product"] == product and not pd.isna(start) and start >= grid.months[0]
    moved = 0.0
    for at, market in zip(rows, grid.pairs["market"].iloc[rows], strict=True):
        theirs = grid.row.get((heir, market))
        if theirs is None:
            continue
        full, own, left = before[at], target[theirs].copy(), target[at]
        if shares:
            target[at] = np.where(on_sale, np.minimum(left, np.maximum(full - own, 0.0)), left)
            target[theirs] = np.where(on_sale, np.maximum(own, full - target[at]), own)
        else:
            target[theirs] = own + np.where(on_sale, full - left, 0.0)
        moved += (target[theirs] - own).sum()
    notes.say("lifecycle", product, f"{said}; {heir} takes over {moved:,.0f} of its {lost:,.0f} units.")
    return target
