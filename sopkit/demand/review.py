"""Who was right, what each step is worth, where to look: past forecasts judged, this plan searched for exceptions.

Error = forecast - actual everywhere: positive = too much was forecast. The lag of a forecast is the number of months
from its cycle to the month forecast. Only frozen forecasts of past cycles are judged; nothing is made again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from sopkit import kpis
from sopkit.demand.layers import PAIR, Grid, Notes, Past, usual_sales
from sopkit.tables import TABLES, Company
from sopkit.words import percent

if TYPE_CHECKING:
    from sopkit.book import Book

LAGS = (1, 2, 3)
# The stair from naive to consensus: each stream holds the forecast after that step.
STAIR = ("naive", "baseline", "lifecycle", "market_conditions", "campaigns", "statistical", "blended", "consensus")
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
STREAM_WORDS = {
    "naive": "naive forecast",
    "baseline": "statistical baseline",
    "statistical": "numbers with all layers",
    "sales": "sales department's forecast",
    "blended": "blended forecast",
    "consensus": "consensus",
}
# Beyond this many MAD a running error is no chance (Heizer & Render); a bias below this share is not worth a word.
SIGNAL_LIMIT = 4.0
BIAS_LIMIT = 0.05
# A kind of campaign that keeps less than this share of its promise breaks it.
KEPT = 0.8
ALL = "all"


# Frozen forecasts --------------------------------------------------------------------------------------------------


def _naive(past: Past, cycle: pd.Timestamp, months: pd.DatetimeIndex) -> np.ndarray:
    """The same month of the last year known at `cycle`, pairs x months; 0 where that lies before all history."""
    ahead = (months.year - cycle.year) * 12 + months.month - cycle.month
    at = past.months.searchsorted(cycle) - 12 + ahead % 12
    return np.where(at >= 0, past.sold[:, np.clip(at, 0, past.sold.shape[1] - 1)], 0.0)


def frozen(demand_plan: pd.DataFrame, past: Past, cycle: pd.Timestamp) -> pd.DataFrame:
    """This cycle's streams as they will be judged: the rows of `frozen_forecasts`, each layer as a cumulative step."""
    key = demand_plan[[*PAIR, "month"]]
    months = pd.DatetimeIndex(sorted(key["month"].unique()))
    naive = Grid(past.pairs, months).long(quantity=_naive(past, cycle, months))[[*PAIR, "month", "quantity"]]
    steps = demand_plan[["baseline", "lifecycle", "market_conditions", "campaigns"]].cumsum(axis=1)
    rest = demand_plan[["statistical", "sales", "blended", "consensus"]]
    parts = [key.merge(naive, how="left").fillna({"quantity": 0.0}).assign(stream="naive")]
    parts += [key.assign(stream=name, quantity=values) for name, values in pd.concat([steps, rest], axis=1).items()]
    out = pd.concat(parts, ignore_index=True).dropna(subset="quantity")
    return out.assign(cycle=cycle, quantity=out["quantity"].clip(lower=0.0))


def judged(book: Book, past: Past, notes: Notes) -> pd.DataFrame:
    """Past forecasts of months that are over, beside what was sold.

    Returns cycle, stream, product, market, family, month, lag, quantity, actual, price. Actuals are units as they came,
    not corrected ones. A naive forecast is put in from history where no one kept any.
    """
    said, cycle, sold = book["past_forecasts"], book.first, past.sold
    said = said[(said["cycle"] < cycle) & (said["month"] < cycle)]
    unknown = sorted(set(said["product"]) - set(book["products"]["product"]))
    if unknown:
        notes.say(
            "who was right",
            ", ".join(unknown),
            f"Past forecasts of {len(unknown)} products that are no longer in products are not judged.",
        )
        said = said[~said["product"].isin(unknown)]
    if len(said) and "naive" not in set(said["stream"]):
        keys = said[["cycle", *PAIR, "month"]].drop_duplicates()
        rows = pd.MultiIndex.from_frame(past.pairs[PAIR]).get_indexer(pd.MultiIndex.from_frame(keys[PAIR]))
        at = past.months.searchsorted(pd.DatetimeIndex(keys["cycle"])) - 12 + book.lag(keys).to_numpy() % 12
        known = (rows >= 0) & (at >= 0)
        value = np.where(known, sold[rows, np.clip(at, 0, sold.shape[1] - 1)], 0.0)
        said = pd.concat([said, keys.assign(stream="naive", quantity=np.maximum(value, 0.0))], ignore_index=True)
        notes.say(
            "who was right",
            "naive",
            "No one kept naive forecasts: the same month of the year before the cycle stands in.",
        )
    out = _beside_sales(said, book)
    return out.assign(lag=book.lag(out), family=book.families(out["product"]), price=book.net_prices(out))


def _beside_sales(rows: pd.DataFrame, book: Book) -> pd.DataFrame:
    """`rows` (product, market, month) with column `actual`: the units sold, as they came; 0 where none were."""
    actual = book["clean_history"][[*PAIR, "month", "raw"]].rename(columns={"raw": "actual"})
    return rows.merge(actual, on=[*PAIR, "month"], how="left").fillna({"actual": 0.0})


# Who was right -----------------------------------------------------------------------------------------------------


def _by_family(frame: pd.DataFrame, keys: list[str]) -> Iterator[tuple[tuple, pd.DataFrame]]:
    """Each family's rows by `keys`, then those of all families together; the family comes last in the name."""
    for name, rows in frame.groupby([*keys, "family"], sort=True):
        yield name, rows
    for name, rows in frame.groupby(keys, sort=True):
        yield (*name, ALL), rows


def accuracy(judged: pd.DataFrame, past: Past) -> pd.DataFrame:
    """The rows of `forecast_accuracy`: every stream in every family (and `all`) at lags 1 to 3.

    WAPE and bias are taken over products x markets x months, the tracking signal over the months' sums. RMSSE is that
    of each product x market, scaled by its month-to-month change before the first judged cycle, weighted by sales value
    (Makridakis et al. 2022).
    """
    frame = judged[judged["lag"].isin(LAGS)]
    if frame.empty:
        return pd.DataFrame(columns=TABLES["forecast_accuracy"].names)
    before = past.sold[:, past.months < frame["cycle"].min()]
    scale = pd.Series(
        [kpis.scale(_from_first(row), power=2) for row in before], pd.MultiIndex.from_frame(past.pairs[PAIR])
    )
    pairs = frame.assign(square=(frame["quantity"] - frame["actual"]) ** 2, value=frame["actual"] * frame["price"])
    pairs = pairs.groupby(["stream", "lag", "family", *PAIR], as_index=False).agg(
        square=("square", "mean"), value=("value", "sum")
    )
    pairs["rmsse"] = np.sqrt(pairs["square"] / scale.reindex(pd.MultiIndex.from_frame(pairs[PAIR])).to_numpy())
    pairs = pairs[pairs["rmsse"].notna() & (pairs["value"] > 0)]
    scaled = {
        name: float(np.average(rows["rmsse"], weights=rows["value"]))
        for name, rows in _by_family(pairs, ["stream", "lag"])
    }
    out = []
    for (stream, lag, family), rows in _by_family(frame, ["stream", "lag"]):
        months = rows.groupby("month")[["quantity", "actual"]].sum()
        f, a = rows["quantity"], rows["actual"]
        out.append(
            (
                stream,
                family,
                lag,
                f.sum(),
                a.sum(),
                kpis.wape(f, a),
                kpis.wape(f, a, rows["price"]),
                kpis.bias(f, a),
                float(kpis.tracking_signal(months["quantity"], months["actual"])[-1]),
                scaled.get((stream, lag, family), np.nan),
            )
        )
    return pd.DataFrame(out, columns=TABLES["forecast_accuracy"].names)


def _from_first(row: np.ndarray) -> np.ndarray:
    sold = np.flatnonzero(row)
    return row[sold[0] :] if len(sold) else row[:0]


def stair(judged: pd.DataFrame) -> pd.DataFrame:
    """The rows of `fva`: error after each step of the stair, over the forecasts that every step has, at lags 1 to 3."""
    frame = judged[judged["lag"].isin(LAGS) & judged["stream"].isin(STAIR)]
    columns = ["family", "lag", "step", "stream", "name", "wape", "fva", "value_wape", "value_fva", "bias"]
    if frame.empty:
        return pd.DataFrame(columns=columns)
    keys = ["cycle", *PAIR, "month", "lag", "family", "price", "actual"]
    wide = frame.pivot_table(index=keys, columns="stream", values="quantity", aggfunc="sum").dropna().reset_index()
    steps = [name for name in STAIR if name in wide]
    out = []
    for (lag, family), rows in _by_family(wide, ["lag"]):
        plain = [kpis.wape(rows[name], rows["actual"]) for name in steps]
        value = [kpis.wape(rows[name], rows["actual"], rows["price"]) for name in steps]
        if np.isnan(plain).any():
            continue
        added = [np.nan, *kpis.forecast_value_added(plain)], [np.nan, *kpis.forecast_value_added(value)]
        lean = [kpis.bias(rows[name], rows["actual"]) for name in steps]
        out += [
            (family, lag, i, name, STEP_WORDS[name], plain[i], added[0][i], value[i], added[1][i], lean[i])
            for i, name in enumerate(steps)
        ]
    return pd.DataFrame(out, columns=columns)


def overrides_judged(tables: Book) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Past overrides against what was sold, best first, and by owner: `override_review`, `override_owners`."""
    past = tables["past_overrides"]
    past = past[(past["month"] < tables.first) & past["product"].isin(tables["products"]["product"])]
    out = _beside_sales(past, tables)
    role = tables["people"].drop_duplicates("name").set_index("name")["role"]
    out["role"] = out["owner"].map(role).fillna("")
    out["gain"] = (out["before"] - out["actual"]).abs() - (out["after"] - out["actual"]).abs()
    out["money"] = out["gain"] * tables.net_prices(out)
    out = out.sort_values(
        ["money", "cycle", "owner", *PAIR, "month"], ascending=[False] + [True] * 5, ignore_index=True
    )
    out["rank"] = np.arange(1, len(out) + 1)
    owners = []
    # each owner, then all owners of a role
    for (role, owner), rows in [
        *out.groupby(["role", "owner"], sort=True),
        *(((role, ALL), rows) for role, rows in out.groupby("role", sort=True)),
    ]:
        a = rows["actual"]
        before, after = kpis.wape(rows["before"], a), kpis.wape(rows["after"], a)
        lean = kpis.bias(rows["after"], a)
        helped, gain, money = (rows["gain"] > 0).mean(), rows["gain"].sum(), rows["money"].sum()
        owners.append((owner, role, len(rows), helped, before, after, lean, gain, money))
    columns = ["owner", "role", "overrides", "helped", "wape_before", "wape_after", "bias_after", "gain", "money"]
    return out, pd.DataFrame(owners, columns=columns).sort_values("money", ascending=False, ignore_index=True)


def _say_who_was_right(book: Book, judged: pd.DataFrame, made: dict[str, pd.DataFrame], notes: Notes) -> None:
    right, fva, owners = made["forecast_accuracy"], made["fva"], made["override_owners"]
    company, success = book.company, book["campaign_success"]
    lag = company.consensus.lag
    at_lag = judged[judged["lag"] == lag]
    streams = sorted(set(right["stream"]) - {"naive", "lifecycle", "market_conditions", "campaigns"})
    for row in (
        right[(right["lag"] == lag) & right["stream"].isin(streams)].sort_values(["stream", "family"]).itertuples()
    ):
        mine = at_lag[at_lag["stream"] == row.stream]
        mine = mine if row.family == ALL else mine[mine["family"] == row.family]
        months = mine.groupby("month")[["quantity", "actual"]].sum()
        error = months["quantity"] - months["actual"]
        same = int((np.sign(error) == np.sign(row.bias)).sum())
        sure = abs(row.tracking_signal) >= SIGNAL_LIMIT or (same == len(months) >= 3)
        if not abs(row.bias) >= BIAS_LIMIT or not sure:
            continue
        # the total speaks for its families unless one of them goes the other way or is alone
        total = right[(right["lag"] == lag) & (right["stream"] == row.stream) & (right["family"] == ALL)]["bias"].iloc[
            0
        ]
        if (
            row.family != ALL
            and abs(total) >= BIAS_LIMIT
            and np.sign(total) == np.sign(row.bias)
            and abs(row.bias) < 2 * abs(total)
        ):
            continue
        where = "" if row.family == ALL else f" in {row.family}"
        way, word = ("high", "above") if row.bias > 0 else ("low", "below")
        money = ((mine["quantity"] - mine["actual"]) * mine["price"]).sum() / len(months)
        notes.say(
            "who was right",
            row.stream,
            f"The {STREAM_WORDS.get(row.stream, row.stream)} was {percent(abs(row.bias))} too {way}{where}: "
            f"{word} what was sold in {same} of {len(months)} months at lag {lag}, "
            f"tracking signal {row.tracking_signal:+.1f} MAD "
            f"(limits -4 to +4). Worth {abs(money):,.0f} {company.currency} a month.",
            money,
        )
    for row in success[success["campaigns"] > 0].itertuples():
        if row.success < KEPT or row.success > 1.25:
            verb = "never kept its promise" if row.success < KEPT else "brings more than it promises"
            notes.say(
                "who was right",
                row.campaign_kind,
                f"A {row.campaign_kind} {verb}: {row.campaigns} past campaigns promised "
                f"{percent(row.promised, sign=True)} and brought {percent(row.achieved, sign=True)} on average, "
                f"{percent(row.success)} of the promise. "
                f"Plans now count on {percent(row.success)}.",
            )
    whole = fva[(fva["family"] == ALL) & (fva["lag"] == lag)]
    for row in whole[whole["step"] > 0].itertuples():
        if abs(row.fva) >= 0.002:
            what = "took {} points of error away" if row.fva > 0 else "added {} points of error: it destroys value"
            notes.say(
                "who was right",
                row.stream,
                f"The step {STEP_WORDS[row.stream]!r} {what.format(f'{abs(row.fva) * 100:.1f}')} "
                f"(WAPE {percent(row.wape + row.fva, 1)} to {percent(row.wape, 1)} at lag {lag}).",
            )
    for row in owners[owners["owner"] != ALL].itertuples():
        if row.overrides >= 3:
            verb = "helped" if row.gain > 0 else "made forecasts worse"
            notes.say(
                "who was right",
                row.owner,
                f"Overrides of {row.owner} ({row.role or 'role not known'}) {verb}: {percent(row.helped)} of "
                f"{row.overrides} brought the forecast nearer, "
                f"error {percent(row.wape_before)} before and {percent(row.wape_after)} after.",
                row.money,
            )


# Segments ----------------------------------------------------------------------------------------------------------

_ADVICE = {
    "AX": "let the numbers plan it; look when an exception says so",
    "AY": "numbers first, then what people know of events; every cycle",
    "AZ": "talk to the customers behind it every cycle; hold safety stock deliberately",
    "BX": "let the numbers plan it",
    "BY": "let the numbers plan it; look every quarter",
    "BZ": "plan by family; look every quarter",
    "CX": "let the numbers plan it; no meeting time",
    "CY": "let the numbers plan it; no meeting time",
    "CZ": "make or buy to order, or ask whether it should stay in the range",
}


def segments(tables: Book, past: Past) -> pd.DataFrame:
    """ABC by net sales of the last 12 months, XYZ by the variation left once season and level are out, and the pattern.

    Pattern: mean interval between sales against 1.32 months, squared variation of sizes against 0.49 (Syntetos, Boylan
    & Croston 2005).
    """
    sold, company = past.sold, tables.company
    products = tables["products"][["product", "family"]].sort_values("product", ignore_index=True)
    recent = past.long(quantity=sold)
    recent = recent[recent["month"].isin(past.months[-12:])]
    value = (recent["quantity"] * recent["price"]).groupby(recent["product"]).sum()
    out = products.assign(value=products["product"].map(value).fillna(0.0))
    out = out.sort_values(["value", "product"], ascending=[False, True], ignore_index=True)
    total = out["value"].sum()
    out["share"] = out["value"] / total if total else 0.0
    out["cumulative"] = out["share"].cumsum()
    before = out["cumulative"] - out["share"]
    a, b = company.demand.abc
    out["abc"] = np.where((before < a) & (out["value"] > 0), "A", np.where((before < b) & (out["value"] > 0), "B", "C"))
    wholes = Grid(products.assign(market="", price=0.0), past.months)
    of_all = wholes.matrix(past.long(quantity=sold).assign(market=""))
    usual = usual_sales(wholes, of_all, np.zeros(of_all.shape, bool))
    facts = {}
    for row, name in enumerate(products["product"]):
        pairs = [_from_first(sold[i]) for i in past.rows_of.get(name, ())]
        mine, normal = _from_first(of_all[row]), usual[row, len(past.months) - len(_from_first(of_all[row])) :]
        gaps = [len(pair) / np.count_nonzero(pair) for pair in pairs if len(pair)]
        interval = float(np.mean(gaps)) if gaps else np.nan
        ratio = (
            mine / normal if len(mine) >= 24 and (normal > 0).all() else mine / mine.mean() if mine.sum() > 0 else mine
        )
        variation = float(np.std(ratio)) if len(mine) >= 6 and mine.sum() > 0 else np.nan
        shape = "new"
        if len(mine) >= 12 and gaps:
            wild = variation**2 > 0.49
            shape = ("lumpy" if wild else "intermittent") if interval > 1.32 else "erratic" if wild else "smooth"
        facts[name] = (variation, interval, shape)
    out[["variation", "interval", "pattern"]] = [facts[name] for name in out["product"]]
    x, y = company.demand.xyz
    out["xyz"] = np.where(out["variation"] <= x, "X", np.where(out["variation"] <= y, "Y", "Z"))
    out["advice"] = (out["abc"] + out["xyz"]).map(_ADVICE)
    out.loc[out["pattern"] == "new", "advice"] = "new: plan by its like-product, watch the first months"
    return out


# What changed ------------------------------------------------------------------------------------------------------


def changed(tables: Book, notes: Notes) -> pd.DataFrame:
    """From last cycle's consensus to this one's over the months both plan: the rows of `demand_change`.

    Each step is the change of one layer, in units and at today's price; the steps add up to the difference exactly.
    """
    past, frozen_now, cycle = tables["past_forecasts"], tables["frozen_forecasts"], tables.first
    past = past[past["cycle"] < cycle]
    columns = ["family", "step", "layer", "units", "money", "months"]
    if "consensus" not in set(past["stream"]):
        notes.say(
            "consensus",
            "last cycle",
            "No consensus of an earlier cycle was kept: what changed since then cannot be said.",
        )
        return pd.DataFrame(columns=columns)
    last = past.loc[past["stream"] == "consensus", "cycle"].max()
    then = past[past["cycle"] == last]
    months = sorted(set(then.loc[then["stream"] == "consensus", "month"]) & set(frozen_now["month"]))
    if not months:
        notes.say("consensus", "last cycle", f"The plan of {last:%b %Y} has no month in common with this one.")
        return pd.DataFrame(columns=columns)
    steps = list(STAIR[1:])
    both = pd.concat([then.assign(sign=-1.0), frozen_now.assign(sign=1.0)], ignore_index=True)
    both = both[
        both["month"].isin(months) & both["stream"].isin(steps) & both["product"].isin(tables["products"]["product"])
    ]
    both["family"] = tables.families(both["product"])
    both["money"] = both["quantity"] * tables.net_prices(both)
    rows, span = [], f"{months[0]:%b %Y} to {months[-1]:%b %Y}"
    for family, part in [*both.groupby("family", sort=True), (ALL, both)]:
        sums = part.groupby(["sign", "stream"])[["quantity", "money"]].sum()
        # a layer that the earlier cycle did not keep was nothing then: its step holds what the step before held
        old, new = (
            sums.loc[sign].reindex(steps).ffill().fillna(0.0)
            if sign in sums.index.get_level_values(0)
            else pd.DataFrame(0.0, steps, ["quantity", "money"])
            for sign in (-1.0, 1.0)
        )
        change = (new - old).diff().fillna((new - old).iloc[:1])
        rows.append((family, 0, f"plan of {last:%b %Y}", *old.iloc[-1], span))
        rows += [(family, i + 1, STEP_WORDS[name], *change.loc[name], span) for i, name in enumerate(steps)]
        rows.append((family, len(steps) + 1, f"plan of {cycle:%b %Y}", *new.iloc[-1], span))
    return pd.DataFrame(rows, columns=columns)


# Exceptions --------------------------------------------------------------------------------------------------------


def _exception(
    cause: str, family: str, product: str, money: float, sentence: str, advice: str, market: str = ""
) -> dict[str, object]:
    return {
        "cause": cause,
        "family": family,
        "product": product,
        "market": market,
        "money": money,
        "sentence": sentence,
        "advice": advice,
    }


def _disagreements(plan: pd.DataFrame, right: pd.DataFrame, company: Company) -> Iterator[dict]:
    """Where sales expects something else than the numbers, beyond its usual bias."""
    usual = right[(right["stream"] == "sales") & (right["lag"] == company.consensus.lag)].set_index("family")["bias"]
    both = plan.dropna(subset="sales")
    both = both.assign(money=both["price"] * both["statistical"])
    sums = both.groupby(["product", "family"])[["sales", "statistical", "money"]].sum()
    for (product, family), row in sums[sums["statistical"] > 0].iterrows():
        lean = usual.get(family, 0.0)
        share = row["sales"] / row["statistical"]
        off = abs(share / (1 + lean) - 1)
        if off >= 0.05:
            said, leans = percent(share - 1, sign=True), percent(lean, sign=True)
            sentence = f"Sales expects {said} against the numbers for {product}; usually it leans {leans}."
            yield _exception(
                "sales and numbers disagree",
                family,
                product,
                off * row["money"],
                sentence,
                "ask sales what it knows that history does not",
            )


def _moved(tables: Book, plan: pd.DataFrame) -> Iterator[dict]:
    """Products whose consensus moved by 10 % or more since the last cycle."""
    past = tables["past_forecasts"]
    past = past[(past["stream"] == "consensus") & (past["cycle"] < tables.first)]
    then = past[past["cycle"] == past["cycle"].max()]
    both = plan.merge(then[[*PAIR, "month", "quantity"]], on=[*PAIR, "month"])
    both = both.assign(money=(both["consensus"] - both["quantity"]) * both["price"])
    sums = both.groupby(["product", "family"])[["consensus", "quantity", "money"]].sum()
    for (product, family), row in sums[sums["quantity"] > 0].iterrows():
        change = row["consensus"] / row["quantity"] - 1
        if abs(change) >= 0.10:
            sentence = (
                f"{product} moved by {percent(change, sign=True)} since the last cycle, from {row['quantity']:,.0f} to "
                f"{row['consensus']:,.0f} units over the months both plan."
            )
            yield _exception(
                "moved since last cycle", family, product, abs(row["money"]), sentence, "say why before supply follows"
            )


def _leaned(judged: pd.DataFrame, plan: pd.DataFrame, company: Company) -> Iterator[dict]:
    """Products whose past consensus leaned one way in every month."""
    mine = judged[(judged["stream"] == "consensus") & (judged["lag"] == company.consensus.lag)]
    money = (plan["consensus"] * plan["price"]).groupby(plan["product"]).sum()
    months = mine.groupby(["product", "family", "month"])[["quantity", "actual"]].sum()
    for (product, family), rows in months.groupby(level=[0, 1]):
        error, lean = rows["quantity"] - rows["actual"], kpis.bias(rows["quantity"], rows["actual"])
        if len(rows) >= 3 and abs(lean) >= BIAS_LIMIT and ((error > 0).all() or (error < 0).all()):
            way = "high" if lean > 0 else "low"
            sentence = (
                f"The consensus of {product} was {percent(abs(lean))} too {way}, in each of {len(rows)} months judged."
            )
            yield _exception(
                "consensus leaned one way",
                family,
                product,
                abs(lean) * money.get(product, 0.0),
                sentence,
                "correct the plan or say what is different now",
            )


def _missed(judged: pd.DataFrame) -> Iterator[dict]:
    """Products that sold far from the newest forecast in the last month."""
    mine = judged[(judged["stream"] == "consensus") & (judged["month"] == judged["month"].max())]
    mine = mine[mine["lag"] == mine["lag"].min()]
    mine = mine.assign(money=(mine["quantity"] - mine["actual"]) * mine["price"])
    sums = mine.groupby(["product", "family"])[["quantity", "actual", "money"]].sum()
    for (product, family), row in sums[sums["actual"] > 0].iterrows():
        off = row["quantity"] / row["actual"] - 1
        if abs(off) >= 0.20:
            sentence = (
                f"{product} sold {row['actual']:,.0f} last month; {row['quantity']:,.0f} were forecast "
                f"({percent(off, sign=True)})."
            )
            yield _exception(
                "last month missed", family, product, abs(row["money"]), sentence, "find out whether it was a one-off"
            )


def _deals(tables: Book, plan: pd.DataFrame) -> Iterator[dict]:
    """Opportunities that are won whole or not at all."""
    deals = tables["pipeline"]
    open_ = deals["probability"].between(0, 1, inclusive="neither")
    deals = deals[~deals["in_baseline"] & deals["month"].isin(set(plan["month"])) & open_]
    for row, price in zip(deals.itertuples(), tables.net_prices(deals), strict=True):
        lost, won = row.quantity * row.probability, row.quantity * (1 - row.probability)
        sentence = (
            f"{row.customer}, {row.month:%b %Y}, {row.quantity:,.0f} {row.product} at {percent(row.probability)}: "
            f"lost, {lost:,.0f} planned units go; won, {won:,.0f} more are needed."
        )
        yield _exception(
            "one deal, all or nothing",
            tables.family[row.product],
            row.product,
            max(lost, won) * price,
            sentence,
            "agree with sales when it will be known; ready a scenario",
            row.market,
        )


def _launched(tables: Book, plan: pd.DataFrame) -> Iterator[dict]:
    """Launches: planned without a history of their own."""
    products = tables["products"].set_index("product")
    for product, row in products[products["launch_month"] >= tables.first - pd.DateOffset(months=3)].iterrows():
        mine, starts = plan[plan["product"] == product], f"{product} starts in {row['launch_month']:%b %Y}"
        units, money = mine["consensus"].sum(), float((mine["consensus"] * mine["price"]).sum())
        if units > 0:
            sentence = f"{starts}: {units:,.0f} units rest on {row['like_product'] or 'no like-product'}."
            advice = "hold the first weeks against the curve before ordering more"
        else:
            sentence = f"{starts} and nothing is planned for it."
            advice = "name a like-product and a curve, or leave an override"
        yield _exception("launch", row["family"], product, money, sentence, advice)


def _campaigns(tables: Book, plan: pd.DataFrame) -> Iterator[dict]:
    """Planned campaigns that promise more than their kind ever kept."""
    rate = tables["campaign_success"].set_index("campaign_kind")["success"]
    coming = tables["campaigns"][tables["campaigns"]["end_month"] >= tables.first]
    volume = plan.set_index([*PAIR, "month"])[["baseline", "lifecycle"]].sum(axis=1)
    for (campaign, kind, product), rows in coming.groupby(["campaign", "campaign_kind", "product"], sort=True):
        missing = money = 0.0
        for row, price in zip(rows.itertuples(), tables.net_prices(rows), strict=True):
            months = pd.date_range(row.start_month, row.end_month, freq="MS")
            base = volume.reindex([(row.product, row.market, month) for month in months]).sum()
            gap = base * row.promised_uplift * (1 - rate[kind])
            missing, money = missing + gap, money + gap * price
        if missing > 0 and rate[kind] < KEPT:
            sentence = (
                f"{campaign} promises {missing:,.0f} more {product} than campaigns of its kind ever kept "
                f"({percent(rate[kind])} of the promise); it costs {rows['cost'].sum():,.0f} {tables.currency}."
            )
            yield _exception(
                "campaign promises too much",
                tables.family[product],
                product,
                money,
                sentence,
                "plan at what was kept; ask whether it is worth its cost",
            )


def _overridden(applied: pd.DataFrame) -> Iterator[dict]:
    """Overrides in force that nobody can check."""
    for row in applied[(applied["status"] == "in force") & (applied["evidence"] == "")].itertuples():
        sentence = (
            f"Override {row.id} of {row.owner} moves {row.units:+,.0f} units of {row.scope} ({row.reason}); "
            "no evidence is named."
        )
        yield _exception(
            "override without evidence", "", "", abs(row.money), sentence, "name the evidence or let it expire"
        )


def _uncertain(plan: pd.DataFrame) -> Iterator[dict]:
    """Products whose next three months may come out far from the plan."""
    soon = plan[plan["month"].isin(sorted(plan["month"].unique())[:3])]
    soon = soon.assign(wide=soon["p90"] - soon["p10"], money=(soon["consensus"] - soon["p10"]) * soon["price"])
    sums = soon.groupby(["product", "family"])[["wide", "consensus", "money"]].sum()
    for (product, family), row in sums[sums["consensus"] > 0].iterrows():
        wide = row["wide"] / row["consensus"]
        if wide >= 1:
            sentence = f"The range of {product} over the next three months is {percent(wide)} of its plan."
            yield _exception(
                "hard to forecast", family, product, row["money"], sentence, "hold stock deliberately, or make to order"
            )


def exceptions(found: list[dict], company: Company) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows of `exceptions` (most money first, capped in all and for each cause) and of `exception_causes`."""
    columns = ["cause", "family", "product", "market", "money", "sentence", "advice"]
    frame = pd.DataFrame(found, columns=columns).astype({"money": float})
    frame = frame.sort_values(["money", "cause", "sentence"], ascending=[False, True, True], ignore_index=True)
    shown = frame[frame.groupby("cause").cumcount() < company.demand.exceptions_each].head(
        company.demand.exceptions_shown
    )
    causes = (
        frame.assign(shown=frame.index.isin(shown.index))
        .groupby("cause", as_index=False)
        .agg(found=("money", "size"), shown=("shown", "sum"), money=("money", "sum"))
    )
    shown = shown.reset_index(drop=True)
    return shown.assign(rank=np.arange(1, len(shown) + 1)), causes.sort_values(
        "money", ascending=False, ignore_index=True
    )


def review(book: Book, past: Past, judged: pd.DataFrame, notes: Notes) -> dict[str, pd.DataFrame]:
    """Everything that looks back or asks for attention, once there is a demand plan."""
    plan, company = book["demand_plan"], book.company
    right = accuracy(judged, past)
    overrides, owners = overrides_judged(book)
    out = {
        "forecast_accuracy": right,
        "fva": stair(judged),
        "override_review": overrides,
        "override_owners": owners,
        "segments": segments(book, past),
    }
    _say_who_was_right(book, judged, out, notes)
    found = [
        *_disagreements(plan, right, company),
        *_moved(book, plan),
        *_leaned(judged, plan, company),
        *_missed(judged),
        *_deals(book, plan),
        *_launched(book, plan),
        *_campaigns(book, plan),
        *_overridden(book["overrides_applied"]),
        *_uncertain(plan),
    ]
    shown, causes = exceptions(found, company)
    return out | {"exceptions": shown, "exception_causes": causes, "demand_change": changed(book, notes)}
