"""History cleansing: what looks wrong in the sales history, as rows that a planner accepts, changes or refuses.

Raw history is never touched. Every correction is a row of `history_adjustments`; `clean_history` is raw history plus
the rows that count. A row counts when a planner accepted or changed it, or when its method stands in the company's
`cleansing.accept` and no planner refused it. By default only corrections with evidence outside the series are
accepted (net returns, stock that a record shows as gone, a month that the whole company lacks); a suspicion drawn from
the series itself (outlier, one-off deal, suspected stock-out, trading days) is shown and counts only once accepted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from sopkit.collect.contradictions import own_lanes
from sopkit.tables import TABLES, Company
from sopkit.words import local, month_name, number, say, written

KEY = ["month", "product", "market"]
WINDOW = 13  # months: a year and the month itself, so that every season has one vote
NORMAL_MAD = 1.4826  # standard deviation of a normal distribution / its median absolute deviation
POISSON = 0.5  # the standard deviation of the square root of a Poisson count, the least noise sales can have
SEASON = 24  # months from which a seasonal index can be told from chance
LOST = 0.2  # share of the expected quantity that must be missing before an empty shelf counts as lost sales
SUSPECT = 0.3  # share of the expected quantity below which a suspicion costs more time than it saves
DEAL = 2.0  # a month at least this many times the expected one, alone, looks like a single order
RETURNS_REACH = 3  # months back in which returned goods are looked for
TRADING_T = 3.0  # t-value a slope needs: many groups are tried, so one in twenty by chance is too many
TRADING_MATERIAL = 0.02  # share of a month below which a difference in working days makes no row


def clean(
    tables: Mapping[str, pd.DataFrame], company: Company, cycle: str, answers: pd.DataFrame | None = None
) -> dict[str, pd.DataFrame]:
    """Tables `history_adjustments` and `clean_history` from sales_history and what is known about it.

    Reads sales_history, products, markets, calendar, stock_history, lanes, campaigns; `answers` is record table
    `history_answers` (a month, product and market answered twice: the last answer holds). Only months before `cycle`
    are history.
    """
    raw = _grid(tables["sales_history"], cycle)
    if raw.empty:
        return {name: TABLES[name].empty() for name in ("history_adjustments", "clean_history")}
    proposals = _proposals(raw, tables, company)
    adjustments = _answered(proposals, raw, answers, company)
    return {
        "history_adjustments": TABLES["history_adjustments"].conform(adjustments),
        "clean_history": TABLES["clean_history"].conform(_clean(raw, adjustments, tables["sales_history"])),
    }


def _grid(history: pd.DataFrame, cycle: str) -> pd.DataFrame:
    """Quantities, months x (product, market), 0 where nothing was sold, NaN before the first sale of a series."""
    past = history[history["month"] < pd.Timestamp(f"{cycle}-01")]
    if past.empty:
        return pd.DataFrame()
    months = pd.date_range(past["month"].min(), pd.Timestamp(f"{cycle}-01"), freq="MS", inclusive="left", name="month")
    wide = past.pivot_table(index="month", columns=["product", "market"], values="quantity", aggfunc="sum")
    wide = wide.reindex(months).astype("float64").fillna(0.0)
    return wide.where(wide.ne(0).cumsum().gt(0)).dropna(axis="columns", how="all")


def _proposals(raw: pd.DataFrame, tables: Mapping[str, pd.DataFrame], company: Company) -> pd.DataFrame:
    """Every correction the methods propose, at most one of a cell besides trading days; strongest evidence first."""
    known = raw.clip(lower=0.0)
    lacking = known.index[raw.fillna(0).eq(0).all(axis="columns")]
    known.loc[lacking] = np.nan
    groups = _groups(raw.columns, tables)
    season = _season(known, groups)
    expected, score = _expectation(known, season, company.cleansing.threshold)
    rows = _together(
        _returns(raw),
        _missing_months(raw, expected, lacking),
        _stock_outs(raw, expected, tables),
        _suspicions(raw, expected, score, tables["campaigns"], lacking),
    )
    returned = rows["method"].eq("returns")
    # returned goods touch several months; elsewhere a second method would correct what the first already did
    rows = _together(rows[returned], rows[~returned & ~rows.duplicated(KEY)])
    trading = _trading_days(known, expected, season, groups, tables["calendar"])
    corrected = pd.MultiIndex.from_frame(rows[KEY])
    rows = _together(rows, trading[~pd.MultiIndex.from_frame(trading[KEY]).isin(corrected)])
    whole = np.allclose(raw.fillna(0), raw.fillna(0).round())
    rows["quantity"] = rows["quantity"].round(0 if whole else 2)
    return rows[rows["quantity"].ne(0)]


def _rows(raw: pd.DataFrame, cells: Mapping[tuple[Any, Any], tuple[float, str, str]]) -> pd.DataFrame:
    """Cells {(month, series): (quantity, method, reason)} as rows of history_adjustments without their status."""
    return pd.DataFrame(
        [(raw.index[t], *raw.columns[s], *what) for (t, s), what in cells.items()],
        columns=[*KEY, "quantity", "method", "reason"],
    ).astype({"quantity": "float64"})


def _together(*frames: pd.DataFrame) -> pd.DataFrame:
    """Frames of the same columns as one; pandas guesses wrong dtypes where one of them has no row."""
    return pd.concat([frame for frame in frames if len(frame)] or frames[:1], ignore_index=True)


def _groups(series: pd.MultiIndex, tables: Mapping[str, pd.DataFrame]) -> np.ndarray:
    """The group whose season a series shares: its family in its region, as one text a series."""
    family = tables["products"].set_index("product")["family"]
    region = tables["markets"].set_index("market")["region"]
    product, market = (series.get_level_values(level) for level in ("product", "market"))
    return (product.map(family).astype(str) + " / " + market.map(region).astype(str)).to_numpy()


def _level(values: pd.DataFrame) -> pd.DataFrame:
    """The running level of each series: a centred running median, which one or two wild months cannot move."""
    return values.rolling(WINDOW, center=True, min_periods=min(4, len(values))).median()


def _season(known: pd.DataFrame, groups: np.ndarray) -> pd.DataFrame:
    """Seasonal index of each month and series, learned from its group: the median ratio of month to level.

    One where the group has less than two years of sales: a season seen once is not a season.
    """
    totals = known.T.groupby(groups).sum(min_count=1).T
    ratios = totals / _level(totals).where(lambda level: level > 0)
    index = ratios.groupby(ratios.index.month).transform("median")
    index = (index / index.groupby(np.arange(len(index)) // 12).transform("mean")).fillna(1.0)
    index.loc[:, totals.gt(0).sum() < SEASON] = 1.0
    index = index.clip(lower=0.05)
    return pd.DataFrame(index[groups].to_numpy(), index=known.index, columns=known.columns)


def _expectation(known: pd.DataFrame, season: pd.DataFrame, threshold: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What each month should have sold, and how far it lies from that in robust standard deviations.

    Modified z-score (Iglewicz and Hoaglin 1993) of the square root of the quantity, which makes the noise of counts
    even: (sqrt x - sqrt expected) / max(1.4826 MAD, 0.5). A series that sells in fewer than two months of three is
    judged by its selling months alone, for an empty month is its habit.
    """
    habit = known.gt(0).sum() / known.notna().sum()
    seen = known.where(known.gt(0) | (habit >= 2 / 3))
    level = _level(seen / season)
    rare = habit < 2 / 3
    typical = (seen / season).loc[:, rare].median()
    level.loc[:, rare] = np.broadcast_to(typical.to_numpy(), (len(known), len(typical)))
    expected = (level * season).clip(lower=0.0)
    residual = np.sqrt(seen) - np.sqrt(expected)
    spread = NORMAL_MAD * (residual - residual.median()).abs().median()
    score = residual / spread.clip(lower=POISSON).fillna(POISSON)
    score.loc[:, seen.notna().sum() < 6] = np.nan
    return expected, score.where(score.abs() >= threshold)


def _returns(raw: pd.DataFrame) -> pd.DataFrame:
    """Months in which more came back than was sold: the goods are taken off the months before, so no unit is lost."""
    values, cells = raw.to_numpy(), {}
    for t, s in np.argwhere(values < 0):
        back = -values[t, s]
        told = say("{quantity} more came back than was sold: demand cannot be negative", number(back))
        cells[t, s] = (back, "returns", told)
        for earlier in range(t - 1, max(t - 1 - RETURNS_REACH, -1), -1):
            already = -cells.get((earlier, s), (0.0,))[0]
            taken = min(back, max(np.nan_to_num(values[earlier, s]) - max(already, 0.0), 0.0))
            if taken > 0:
                told = say("sold here, came back in {month}", month_name(raw.index[t]))
                cells[earlier, s] = (-taken - max(already, 0.0), "returns", told)
                back -= taken
    return _rows(raw, cells)


def _missing_months(raw: pd.DataFrame, expected: pd.DataFrame, lacking: pd.DatetimeIndex) -> pd.DataFrame:
    """Months in which the whole company sold nothing: the data are missing, not the demand."""
    cells = {}
    filled = expected.interpolate(limit_direction="both")
    for month in lacking:
        t = raw.index.get_loc(month)
        for s in np.flatnonzero(raw.iloc[t].notna().to_numpy() & (filled.iloc[t].to_numpy() > 0)):
            told = say("no sale of any product is recorded for {month}", month_name(month))
            cells[t, s] = (filled.iat[t, s], "missing_month", told)
    return _rows(raw, cells)


def _stock_outs(raw: pd.DataFrame, expected: pd.DataFrame, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Sales lost because the record shows no stock, at the month's start or end, where the market is served from.

    A market is served from the site of its cheapest lane; a second site further away rarely saves the sale.
    """
    stock = tables["stock_history"]
    if stock.empty:
        return _rows(raw, {})
    stock = stock.rename(columns={"item": "product"})
    lanes = own_lanes(stock[["product"]].drop_duplicates().merge(tables["lanes"], how="cross"))
    cheapest = lanes.groupby(["product", "destination"])["cost"].transform("min")
    lanes = lanes[lanes["cost"].eq(cheapest)].rename(columns={"origin": "site", "destination": "market"})
    served = stock.merge(lanes[["site", "market", "product"]].drop_duplicates(), on=["site", "product"])
    closing = served.pivot_table(index="month", columns=["product", "market"], values="quantity", aggfunc="sum")
    closing = closing.reindex(index=raw.index, columns=raw.columns)
    gone = closing.le(0) & closing.notna()
    short = (gone | gone.shift(fill_value=False)) & raw.ge(0) & (raw < (1 - LOST) * expected)
    cells = {}
    for t, s in np.argwhere(short.to_numpy()):
        lost = expected.iat[t, s] - raw.iat[t, s]
        told = "no stock at the month's start: about {quantity} would have sold"
        told = "no stock at the month's end: about {quantity} would have sold" if gone.iat[t, s] else told
        cells[t, s] = (lost, "stock_out", say(told, number(expected.iat[t, s])))
    return _rows(raw, cells)


def _suspicions(
    raw: pd.DataFrame, expected: pd.DataFrame, score: pd.DataFrame, campaigns: pd.DataFrame, lacking: pd.DatetimeIndex
) -> pd.DataFrame:
    """Months far from what the series would let expect, but for campaigns and runs too long to be an accident."""
    far = score.notna() & raw.ge(0) & (raw - expected).abs().ge(SUSPECT * expected)
    far.loc[lacking] = False
    sign = np.sign(score.fillna(0.0)).where(far, 0.0)
    earlier, later = sign.shift(1, fill_value=0.0), sign.shift(-1, fill_value=0.0)
    middle = (sign != 0) & (sign == earlier) & (sign == later)  # of three months in a row: a change of level
    lasting = middle | middle.shift(1, fill_value=False) | middle.shift(-1, fill_value=False)
    alone = (sign != earlier) & (sign != later)
    far &= ~lasting & ~_campaign_months(raw, campaigns)
    cells = {}
    for t, s in np.argwhere(far.to_numpy()):
        sold, usual = raw.iat[t, s], expected.iat[t, s]
        told = [number(sold), number(usual)]
        if sold >= DEAL * usual and alone.iat[t, s]:
            method, how = "one_off_deal", "{sold} sold where {usual} were usual, in one month only: a single order?"
        elif sold == 0:
            method, how = "suspected_stock_out", "{sold} sold where {usual} were usual; no stock record tells why"
        else:
            method, how = "outlier", "{sold} sold where {usual} were usual, {score} deviations"
            told.append(local(f"{score.iat[t, s]:+.1f}"))
        reason = say(how, *told)
        if t == len(raw) - 1:
            reason = say("{reason}; the newest month, so it may be the start of a change", reason)
        cells[t, s] = (usual - sold, method, reason)
    return _rows(raw, cells)


def _campaign_months(raw: pd.DataFrame, campaigns: pd.DataFrame) -> pd.DataFrame:
    """True where a campaign ran: its effect is a layer of the demand plan, not an error of history."""
    ran = pd.DataFrame(False, index=raw.index, columns=raw.columns)
    for campaign in campaigns.itertuples():
        series = (campaign.product, campaign.market)
        if series in ran.columns:
            ran.loc[campaign.start_month : campaign.end_month + pd.offsets.MonthBegin(1), series] = True
    return ran


def _trading_days(
    known: pd.DataFrame, expected: pd.DataFrame, season: pd.DataFrame, groups: np.ndarray, calendar: pd.DataFrame
) -> pd.DataFrame:
    """Months with more or fewer working days than that month of the year usually has, brought to its usual number.

    The elasticity is the slope of log(sales / expected) on log(days / usual days), least squares over the months of a
    group; a group whose slope is not above zero with t >= 3 has no trading-day effect that could be shown.
    """
    days = calendar.drop_duplicates("month").set_index("month")["working_days"].reindex(known.index)
    usual = days.groupby(days.index.month).transform("mean")
    shift = np.log((days / usual).where(lambda ratio: ratio > 0))
    if shift.abs().fillna(0).lt(1e-9).all():
        return _rows(known, {})
    sold, wanted = (values.T.groupby(groups).sum(min_count=1).T for values in (known, expected))
    with np.errstate(divide="ignore"):
        ratio = np.log(sold / wanted)
    cells = {}
    for group in ratio:
        fit = pd.DataFrame({"shift": shift, "ratio": ratio[group]}).replace([np.inf, -np.inf], np.nan).dropna()
        if len(fit) < SEASON or np.isclose(fit["shift"].std(), 0):
            continue
        slope, error = _line(fit["shift"].to_numpy(), fit["ratio"].to_numpy())
        if slope <= 0 or slope < TRADING_T * error:
            continue
        effect = np.exp(-min(slope, 1.0) * shift.fillna(0.0)) - 1
        for t in np.flatnonzero(effect.abs().to_numpy() >= TRADING_MATERIAL):
            told = "{days} working days where {usual} are usual in {month}"
            reason = say(told, number(days.iat[t]), local(f"{usual.iat[t]:.1f}"), written(known.index[t], "%B", "LLLL"))
            for s in np.flatnonzero((groups == group) & (known.iloc[t].to_numpy() * abs(effect.iat[t]) >= 1)):
                cells[t, s] = (known.iat[t, s] * effect.iat[t], "trading_days", reason)
    return _rows(known, cells)


def _line(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Slope of the least-squares line through (x, y), and its standard error."""
    x, y = x - x.mean(), y - y.mean()
    slope = (x @ y) / (x @ x)
    return slope, float(np.sqrt(((y - slope * x) ** 2).sum() / (len(x) - 2) / (x @ x)))


def _answered(
    proposals: pd.DataFrame, raw: pd.DataFrame, answers: pd.DataFrame | None, company: Company
) -> pd.DataFrame:
    """Proposals with their status: the planner's last answer, else the company's default for the method.

    A changed quantity is a row of its own in the planner's name, and the proposals it replaces are refused.
    """
    counts = proposals["method"].isin(company.cleansing.accept)
    rows = proposals.assign(status=np.where(counts, "accepted", "proposed"))
    if answers is None or answers.empty:
        return rows
    last = answers.sort_values("id").drop_duplicates(KEY, keep="last")
    rows = rows.merge(last[[*KEY, "answer", "author", "reason"]], on=KEY, how="left", suffixes=("", "_answer"))
    answered = rows["answer"].notna()
    rows["status"] = rows["answer"].replace("changed", "refused").fillna(rows["status"])
    both = rows["reason"] + " | " + rows["author"] + ": " + rows["reason_answer"]
    rows["reason"] = both.where(answered, rows["reason"])
    changed = last[last["answer"].eq("changed") & last["quantity"].notna()]
    at = raw.index.get_indexer(changed["month"]), raw.columns.get_indexer(pd.MultiIndex.from_frame(changed[KEY[1:]]))
    before = np.where(np.minimum(*at) >= 0, np.nan_to_num(raw.to_numpy()[at]), 0.0)
    own = changed[[*KEY, "reason"]].assign(method=changed["author"], status="changed")
    own["quantity"] = changed["quantity"].to_numpy() - before
    return _together(rows[own.columns], own)


def _clean(raw: pd.DataFrame, adjustments: pd.DataFrame, history: pd.DataFrame) -> pd.DataFrame:
    """Every product x market x month from its first sale: raw, corrected and revenue."""
    months, series = np.nonzero(raw.notna().to_numpy())
    long = raw.columns[series].to_frame(index=False).assign(month=raw.index[months], raw=raw.to_numpy()[months, series])
    counted = adjustments[adjustments["status"].isin(["accepted", "changed"])]
    change = counted.groupby(KEY)["quantity"].sum().rename("change")
    revenue = history.groupby(KEY)["revenue"].sum(min_count=1)
    long = long.merge(change, on=KEY, how="outer").merge(revenue, on=KEY, how="left")
    long["quantity"] = long["raw"].fillna(0.0) + long.pop("change").fillna(0.0)
    return long.fillna({"raw": 0.0})
