"""Campaigns: what past ones kept of their promise, their effect taken out of history, the planned ones put in again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from sopkit.demand.drivers import effect_of, prices_by_month
from sopkit.demand.grid import Grid, Notes, Past
from sopkit.demand.layers import market_effects
from sopkit.tables import TABLES
from sopkit.words import number, percent, say

if TYPE_CHECKING:
    from sopkit.book import Book

# How far the assumed pull-forward is trusted before any is measured (standard deviation of a share).
PULL_FORWARD_DOUBT = 0.15
# Discounts of a kind speak where so many past campaigns had one, and these differed by so much (logarithm).
DISCOUNTS, DIFFER = 4, 0.03
# Standard errors that the units missing from its family must be away from 0, and so many campaigns.
SURE, LEAST_CAMPAIGNS = 2.0, 3


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


def _span(past: Grid, row: Any, after: int) -> tuple[int | None, int, int, int]:
    """Row, first month, month after the last, and end of the months after, of a campaign within the past."""
    pair = past.row.get((row.product, row.market))
    first, last = past.months.searchsorted([row.start_month, row.end_month + pd.DateOffset(months=1)])
    return pair, int(first), int(last), int(min(last + after, len(past.months)))


def _siblings(grid: Grid, pair: int) -> np.ndarray:
    """The rows of the other products of the pair's family in its market."""
    mine = grid.pairs.iloc[pair]
    same = grid.pairs["family"].eq(mine["family"]) & grid.pairs["market"].eq(mine["market"])
    return np.flatnonzero(same & grid.pairs["product"].ne(mine["product"]))


def _discounted(book: Book, grid: Grid) -> pd.DataFrame:
    """The campaigns, each with its `discount` as dated_prices show it where it does not say; NaN: not known.

    What dated_prices show: the mean price of its months in `grid` against the last price charged before it.
    """
    rows, price = book["campaigns"], prices_by_month(book, grid)
    out = rows["discount"].to_numpy(float, copy=True)
    for at, row in enumerate(rows.itertuples()):
        pair, first, last, _ = _span(grid, row, 0)
        if np.isnan(out[at]) and pair is not None and first < last:
            before, during = price[pair, :first], price[pair, first:last]
            before = before[np.isfinite(before)]
            if len(before) and before[-1] > 0 and np.isfinite(during).all():
                out[at] = max(1 - during.mean() / before[-1], 0.0) or np.nan
    return rows.assign(discount=out)


def _uplift(row: Any, rate: pd.Series) -> float:
    """The uplift to expect of a campaign: by its discount where these foretold its kind better, else by its promise."""
    if rate["by_discount"] > 0 and 0 < row.discount < 1:
        return float((1 - row.discount) ** -rate["by_discount"] - 1)
    return float(row.promised_uplift * rate["success"])


def _share_brought(uplift: float) -> float:
    """The share of a campaign's sales that it brought."""
    return uplift / (1 + uplift)


def campaign_success(book: Book, past: Past) -> pd.DataFrame:
    """What past campaigns of each kind kept of their promise, and what they took from later months and from siblings.

    Returns the rows of `campaign_success`. Success = sum of achieved uplifts / sum of promised ones; one that nobody
    measured is measured here against usual sales. The pull-forward, measured alike, and the company's assumption weigh
    by their precision (normal with known variance: Gelman et al., Bayesian Data Analysis, section 2.5). Where campaigns
    had discounts, uplift = (1 - discount) ^ -k - 1 counts if it foretells each from the others better than promises do.
    """
    rules, campaigns, sold = book.company.demand, _discounted(book, past), past.sold
    after = rules.pull_forward_months
    done = campaigns[campaigns["end_month"] < book.first]
    spans = [_span(past, row, after) for row in done.itertuples()]
    disturbed = campaign_months(book, past)
    beside = disturbed.copy()
    for pair, first, last, _ in spans:
        if pair is not None:
            beside[_siblings(past, pair), first:last] = True
    usual, theirs = (usual_sales(past, sold, months) for months in (disturbed, beside))
    with np.errstate(all="ignore"):
        off = np.where(disturbed | (usual <= 0), np.nan, sold / usual - 1)
        spread = off - (np.nanmean(off) if np.isfinite(off).any() else 0.0)
        doubt = np.sqrt(np.nansum(spread**2, axis=1) / np.maximum(np.isfinite(off).sum(axis=1), 1))
    uplifts, dip, extra, noise = done["achieved_uplift"].to_numpy(copy=True), *np.full((3, len(done)), np.nan)
    for i, (pair, first, last, end) in enumerate(spans):
        if pair is None or last == first:
            continue
        expected, brought = usual[pair, first:last].sum(), sold[pair, first:last].sum()
        if np.isnan(uplifts[i]) and expected > 0:
            uplifts[i] = brought / expected - 1
        extra[i] = brought * _share_brought(uplifts[i]) if uplifts[i] > -1 else np.nan
        if end - last == after:
            dip[i] = usual[pair, last:end].sum() - sold[pair, last:end].sum()
            noise[i] = doubt[pair] * np.sqrt(np.square(usual[pair, last:end]).sum())
    done = done.assign(uplift=uplifts, dip=dip, extra=extra, noise=noise, guessed=done["achieved_uplift"].isna())
    rows = []
    for kind, at in done.groupby("campaign_kind", sort=True).indices.items():
        there = np.zeros(sold.shape, bool)
        for pair, first, last, _ in (spans[i] for i in at):
            if pair is not None:
                there[_siblings(past, pair), first:last] = True
        there &= ~disturbed & np.isfinite(theirs)
        # what is missing beside them, and how much is by chance: a month's siblings may all be off one way
        missing = np.where(there, theirs - sold, 0.0).sum(), np.where(there, theirs * doubt[:, None], 0.0).sum(axis=0)
        rows.append(_success_of(kind, done.iloc[at], rules.pull_forward, missing))
    promised, kept = done.loc[done["uplift"].notna(), ["promised_uplift", "uplift"]].sum()
    for kind in set(campaigns["campaign_kind"]) - set(done["campaign_kind"]):
        success, how = 1.0, say("no campaign was ever measured: the promise is taken in full")
        if promised > 0:
            success, how = max(kept / promised, 0.0), say("none of this kind yet: the rate of all kinds")
        assumed = rules.pull_forward, 0.0, "; ".join([how, say("pull-forward as assumed")])
        rows.append((kind, 0, np.nan, np.nan, success, np.nan, *assumed))
    return pd.DataFrame(rows, columns=TABLES["campaign_success"].names).sort_values("campaign_kind", ignore_index=True)


def campaign_months(book: Book, past: Past) -> np.ndarray:
    """Pairs x months in which a campaign ran or had just ended, those that still run too."""
    campaigns, out = book["campaigns"], np.zeros(past.sold.shape, bool)
    for row in campaigns[campaigns["start_month"] < book.first].itertuples():
        pair, first, _, end = _span(past, row, book.company.demand.pull_forward_months)
        if pair is not None:
            out[pair, first:end] = True
    return out


def _success_of(kind: str, group: pd.DataFrame, assumed: float, missing: tuple[float, np.ndarray]) -> tuple[Any, ...]:
    known = group[group["uplift"].notna()]
    promised, achieved = known["promised_uplift"].mean(), known["uplift"].mean()
    how = [say("{count} past campaigns", len(known))]
    if known["guessed"].any():
        how.append(say("{count} measured here against usual sales", int(known["guessed"].sum())))
    if not promised > 0:
        how.append(say("nothing was promised: taken in full"))
    # only upward campaigns borrow from the months after
    judged, pulled = group[(group["extra"] > 0) & group["dip"].notna() & (group["noise"] > 0)], assumed
    if len(judged):
        extra, noise = judged["extra"].sum(), np.sqrt(np.square(judged["noise"]).sum())
        seen, error = judged["dip"].sum() / extra, noise / extra
        trust = 1 / error**2, 1 / PULL_FORWARD_DOUBT**2
        pulled = (seen * trust[0] + assumed * trust[1]) / sum(trust)
        both = map(percent, (seen, error, assumed, PULL_FORWARD_DOUBT))
        how.append(say("pull-forward seen {seen} give or take {error}, assumed {assumed} give or take {doubt}", *both))
    else:
        how.append(say("pull-forward as assumed"))
    success = max(achieved / promised, 0.0) if promised > 0 else 1.0
    by_discount = _by_discount(known, how)
    brought = group.loc[group["extra"] > 0, "extra"]
    taken, error = np.array([missing[0], np.sqrt(np.square(missing[1]).sum())]) / max(brought.sum(), 1e-9)
    beyond = len(brought) >= LEAST_CAMPAIGNS and taken > SURE * error
    if beyond:
        lost = "{share} of their units were missing in the family, give or take {error}"
        how.append(say(lost, percent(taken), percent(error)))
    shares = float(np.clip(pulled, 0, 1)), float(min(taken, 1.0)) if beyond else 0.0
    return kind, len(known), promised, achieved, success, by_discount, *shares, "; ".join(how)


def _by_discount(known: pd.DataFrame, how: list[str]) -> float:
    """The k of uplift = (1 - discount) ^ -k - 1, if it foretells each campaign from the others better than promises do.

    Least squares through 0 on logarithms; NaN where it does not, or too few campaigns had discounts that differ.
    """
    rows = known[known["discount"].between(0, 1, inclusive="neither") & (known["uplift"] > -1)]
    cut, brought, promised = -np.log1p(-rows["discount"].to_numpy()), rows["uplift"].to_numpy(), rows["promised_uplift"]
    if len(rows) < DISCOUNTS or np.std(cut) < DIFFER:
        return np.nan
    log = np.log1p(brought)
    each = (cut @ log - cut * log) / (cut @ cut - cut**2)  # from the others alone
    kept = (brought.sum() - brought) / np.maximum(promised.sum() - promised.to_numpy(), 1e-9)
    missed = [np.abs(told - brought).mean() for told in (np.expm1(cut * each), promised.to_numpy() * kept)]
    if missed[0] >= missed[1]:
        return np.nan
    off = [number(100 * one) for one in missed]
    how.append(say("their discounts foretold the uplift within {points} points, their promises within {other}", *off))
    return float(cut @ log / (cut @ cut))


def undisturbed(book: Book, past: Past, success: pd.DataFrame, learned: pd.DataFrame, notes: Notes) -> np.ndarray:
    """History without past campaigns, market conditions and drivers as `learned` (layers put them in again).

    A campaign that still runs has been at work in the months before the cycle too.
    """
    sold, campaigns, after = past.sold, _discounted(book, past), book.company.demand.pull_forward_months
    factor, shift, used = np.ones(sold.shape), np.zeros(sold.shape), 0
    rates = success.set_index("campaign_kind")
    for row in campaigns[campaigns["start_month"] < book.first].itertuples():
        pair, first, last, end = _span(past, row, after)
        if pair is None or last == first:
            continue
        rate, uplift = rates.loc[row.campaign_kind], row.achieved_uplift
        if np.isnan(uplift):
            uplift = _uplift(row, rate)
        factor[pair, first:last] += uplift
        extra = sold[pair, first:last].sum() * _share_brought(uplift) if uplift > -0.9 else 0.0
        if extra > 0 and end > last:
            shift[pair, last:end] += extra * rate["pull_forward"] / after
        if extra > 0 and rate["cannibalised"] > 0:
            beside, brought = np.ix_(_siblings(past, pair), np.arange(first, last)), sold[pair, first:last]
            shift[beside] += brought * _share_brought(uplift) * rate["cannibalised"] * _shares(sold[beside])
        used += 1
    if used:
        told = (
            "The effect of {count} past campaigns (product x market) was taken out of the "
            "history before the baseline was made; the campaigns layer puts planned ones in."
        )
        notes.say("campaigns", "history", told, used)
    effects = market_effects(book, past)
    if (effects != 0).any():
        conditions = book["market_conditions"]
        drivers = ", ".join(sorted(set(conditions.loc[conditions["month"] < book.first, "driver"])))
        sentence = say(
            "Their past effect was taken out of the history before the baseline was made; "
            "the layer puts their planned effect in."
        )
        notes.say("market conditions", drivers, sentence)
    # an effect of nearly -100 % leaves nothing to scale up from: such a month is left as it was
    whole = factor * (1 + effects) * (1 + effect_of(book, past, learned))
    return np.where(whole > 0.1, sold / np.where(whole > 0.1, whole, 1.0), sold) + shift


def _shares(units: np.ndarray) -> np.ndarray:
    """The share of each row in its month's units: rows x months, 0 where there is none."""
    units = np.maximum(units, 0.0)
    total = units.sum(axis=0)
    return np.divide(units, total, out=np.zeros_like(units), where=total > 0)


def campaign_layer(book: Book, grid: Grid, volume: np.ndarray, past: Past, notes: Notes) -> np.ndarray:
    """Units that campaigns bring at the success rate of their kind, less what months after and the family lose.

    A campaign that ended just before the cycle still takes from its first months.
    """
    out, after = grid.zeros(), book.company.demand.pull_forward_months
    rates = book["campaign_success"].set_index("campaign_kind")
    campaigns = _discounted(book, Grid(grid.pairs, past.months.append(grid.months)))
    planned: dict[str, list[float]] = {}
    for row in campaigns[campaigns["end_month"] >= book.first - pd.DateOffset(months=after)].itertuples():
        pair = grid.row.get((row.product, row.market))
        if pair is None or row.start_month > grid.months[-1]:
            continue
        rate = rates.loc[row.campaign_kind]
        over = row.end_month < book.first and not np.isnan(row.achieved_uplift)
        uplift = row.achieved_uplift if over else _uplift(row, rate)
        first, last = grid.months.searchsorted([row.start_month, row.end_month + pd.DateOffset(months=1)])
        base = volume[pair, first:last]
        out[pair, first:last] += base * uplift
        if uplift > 0 and rate["cannibalised"] > 0:
            beside = np.ix_(_siblings(grid, pair), np.arange(first, last))
            out[beside] -= base * uplift * rate["cannibalised"] * _shares(volume[beside])
        total = extra = (base * uplift).sum()
        before, past_first, past_last, _ = _span(past, row, 0)
        if before is not None and uplift > -0.9:
            total = total + past.sold[before, past_first:past_last].sum() * _share_brought(uplift)
        if total > 0:
            # months after the campaign, of which some may lie before the cycle or beyond the horizon
            at = grid.months.get_indexer(pd.date_range(row.end_month, periods=after + 1, freq="MS")[1:])
            np.add.at(out[pair], at[at >= 0], -total * rate["pull_forward"] / after)
        if row.end_month >= book.first:
            promised = base.sum() * row.promised_uplift
            sums = planned.setdefault(row.campaign_kind, [0.0, 0.0, 0.0])
            for at, value in enumerate((promised, extra, (promised - extra) * grid.pairs["price"].iat[pair])):
                sums[at] += value
    for kind, (promised, counted, money) in sorted(planned.items()):
        rate = rates.loc[kind]
        kept = say("past ones kept {share} of their promise", percent(rate["success"]))
        kept = say("past ones went by their discount, not by their promise") if rate["by_discount"] > 0 else kept
        kept = kept if rate["campaigns"] else rate["reason"].split(";")[0]
        told = (
            "Planned campaigns promise {promised} extra units; {kept}, so the plan counts on "
            "{counted}, and takes {share} of them from the months after."
        )
        sentence = say(told, number(promised), kept, number(counted), percent(rate["pull_forward"]))
        if rate["cannibalised"] > 0:
            cannibals = say("{share} of them come from other products of the family.", percent(rate["cannibalised"]))
            sentence = f"{sentence} {cannibals}"
        notes.say("campaigns", kind, sentence, money=money)
    return out
