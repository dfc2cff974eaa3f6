"""Sampled futures: what may happen to a plan, drawn from the company's own tables; the same seed draws the same.

Demand leaves the consensus by the range of each product, market and month, which comes from the backtest's errors,
tied from month to month and across markets. Suppliers fail as table suppliers says, deliveries come a month late, open
deals are won or lost. A future is a few changed tables by which the plan is solved again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from sopkit.book import Book
from sopkit.demand.consensus import NINETY
from sopkit.demand.ranges import ties, walk
from sopkit.tables import TABLES

PAIR = ["product", "market"]
OFFER = ["supplier", "item", "site"]
DRAWN = ("demand", "fails", "late", "won")  # arrays of `Futures`, a future a row
LATE = " (late)"  # a supplier's offer that comes a month later: used only where its deliveries are late
NO_LIMIT = 1e9  # units a month of an offer without a limit: its month can then be closed


class Deal(NamedTuple):
    """An open deal that the plan counts by its probability: `place` is its pair and month."""

    name: str
    place: tuple[int, int]
    units: float
    chance: float


@dataclass(frozen=True)
class Futures:
    """Futures of a plan: `demand` in units against the consensus, without open deals; `fails`, `late`; deals `won`.

    Arrays: future x pair x month, future x supplier x month, future x deal. A supplier that `fails` takes no orders in
    that month; what would arrive in a month in which it is `late` comes in the next one. `won`: 1 won, 0 as the plan
    counts it, -1 lost.
    """

    pairs: list[tuple[str, str]]
    suppliers: list[str]
    months: list[pd.Timestamp]
    demand: np.ndarray
    fails: np.ndarray
    late: np.ndarray
    deals: list[Deal]
    won: np.ndarray

    def __len__(self) -> int:
        return len(self.demand)

    def part(self, which: slice | Sequence[int]) -> Futures:
        """Some of the futures."""
        return replace(self, **{name: getattr(self, name)[which] for name in DRAWN})

    def asked(self, number: int) -> np.ndarray:
        """Units against the consensus in one future, open deals included: pair x month."""
        total = self.demand[number].copy()
        for deal, won in zip(self.deals, self.won[number], strict=True):
            total[deal.place] += deal.units * {1: 1 - deal.chance, 0: 0.0, -1: -deal.chance}[int(won)]
        return total

    @classmethod
    def none(cls, book: Book, count: int) -> Futures:
        """Futures in which nothing happens."""
        plan, offers = book["demand_plan"].query("consensus > 0"), book["offers"]
        pairs = sorted(set(plan[PAIR].itertuples(index=False, name=None)))
        suppliers, months = sorted(set(offers["supplier"])), list(book.months)
        none = np.zeros((count, len(suppliers), len(months)), dtype=bool)
        open_deals = _deals(book, pairs, months)
        calm = np.zeros((count, len(pairs), len(months))), none, none.copy()
        return cls(pairs, suppliers, months, *calm, open_deals, np.zeros((count, len(open_deals)), dtype=int))

    def wide(self, frame: pd.DataFrame, column: str) -> np.ndarray:
        """A column of a table of products, markets and months: pair x month, 0 where there is no row."""
        wide = frame.pivot_table(index=PAIR, columns="month", values=column, aggfunc="sum")
        index = pd.MultiIndex.from_tuples(self.pairs, names=PAIR)
        return wide.reindex(index=index, columns=self.months).fillna(0.0).to_numpy()


def drawn(book: Book, count: int) -> Futures:
    """`count` futures of a planned book, by the seed of its setting `futures`."""
    rule, futures = book.company.futures, Futures.none(book, count)
    random = np.random.default_rng(rule.seed)
    futures.demand[:] = _paths(book, futures, random)
    chances = np.array([deal.chance for deal in futures.deals])
    futures.won[:] = np.where(random.random(futures.won.shape) < chances, 1, -1)
    risk = book["suppliers"].set_index("supplier")["risk"].reindex(futures.suppliers).fillna(0.0).to_numpy()
    monthly = 1 - (1 - risk) ** (1 / 12)  # table suppliers: the chance in a year
    futures.fails[:] = random.random(futures.fails.shape) < monthly[None, :, None]
    futures.late[:] = random.random(futures.late.shape) < rule.late
    return futures


def _paths(book: Book, futures: Futures, random: np.random.Generator) -> np.ndarray:
    """Demand against the consensus, without open deals: future x pair x month, 0 on average.

    A Gaussian copula with the ties that the backtest's errors have; each month has a half normal distribution below the
    consensus and one above it, by its P10 and P90 without what open deals add to the range.
    """
    plan, count = book["demand_plan"], len(futures)
    planned = futures.wide(plan, "consensus")
    by_deals = futures.wide(book["demand_layers"], "pipeline_variance")
    edges = (futures.wide(plan, edge) for edge in ("p10", "p90"))
    down, up = (np.sqrt(np.maximum(((planned - edge) / NINETY) ** 2 - by_deals, 0.0)) for edge in edges)
    persistence = tied(book)[0]
    shared = _shared(book, futures, (down + up) / 2, by_deals)
    common = walk(random, (count, 1, len(futures.months)), persistence)
    own = walk(random, (count, len(futures.pairs), len(futures.months)), persistence)
    moved = np.sqrt(shared) * common + np.sqrt(1 - shared) * own
    paths = np.maximum(planned + moved * np.where(moved < 0, down, up), 0.0)
    mean = paths.mean(axis=0)
    return paths * np.divide(planned, mean, out=np.ones_like(mean), where=mean > 0) - planned


def _shared(book: Book, futures: Futures, spread: np.ndarray, by_deals: np.ndarray) -> float:
    """Correlation of two series in a month, so that their sum is as uncertain as table demand_levels says of the total.

    `spread` and `by_deals`: standard deviation and variance by deals of each pair and month. Of series with the
    standard deviations s and correlation r, the sum has the variance (1 - r) x sum(s^2) + r x sum(s)^2.
    """
    total = book["demand_levels"].query("level == 'total'").set_index("month")
    if total.empty:
        return tied(book)[1]
    edges = ((total["p90"] - total["p10"]) / (2 * NINETY)).reindex(futures.months).fillna(0.0).to_numpy()
    whole = np.maximum(edges**2 - by_deals.sum(axis=0), 0.0)
    apart, together = (spread**2).sum(axis=0), spread.sum(axis=0) ** 2
    return float(np.clip((whole - apart).sum() / max((together - apart).sum(), 1e-9), 0.0, 0.98))


def tied(book: Book) -> tuple[float, float]:
    """Correlation of the backtest's errors from month to month, and of two series in a month."""
    tried = book["backtest_months"].sort_values([*PAIR, "cutoff", "month"])
    series = tried.groupby(PAIR, sort=False)
    size = series["actual"].transform("mean")
    error = (tried["actual"] - tried["forecast"]) / size.where(size > 0)
    step = tried.groupby([*PAIR, "cutoff"]).cumcount() + 1
    errors = pd.DataFrame({"series": series.ngroup(), "offset": tried["cutoff"], "step": step, "error": error})
    return ties(errors.dropna(subset="error"))


def _deals(book: Book, pairs: list[tuple[str, str]], months: list[pd.Timestamp]) -> list[Deal]:
    rows = book["pipeline"].sort_values("opportunity")
    rows = rows[rows["probability"].between(0, 1, inclusive="neither") & ~rows["in_baseline"]]
    deals = []
    for row in rows.itertuples():
        if (pair := (row.product, row.market)) in pairs and row.month in months:
            place = pairs.index(pair), months.index(row.month)
            deals.append(Deal(row.customer or row.opportunity, place, row.quantity, row.probability))
    return deals


# A future as tables --------------------------------------------------------------------------------------------------


def decided(plan: Book) -> Book:
    """The book in which the plan's first months are decided, and every offer has a twin that comes a month later.

    What is made and ordered in these months follows the plan, or the change costs more than anything it could bring.
    """
    offers, policies = plan["offers"], plan.company.policies
    first = plan.months[: max(plan.company.futures.decided, policies.frozen_months)]
    kept = plan["supply_plan"][plan["supply_plan"]["month"].isin(first)]
    late = offers.assign(supplier=offers["supplier"] + LATE, lead_time=offers["lead_time"] + 1, capacity=0.0)
    late = late.assign(minimum_order=0.0, order_multiple=0.0, share_limit=1.0)
    suppliers = plan["suppliers"]
    tables = {
        "suppliers": pd.concat([suppliers, suppliers.assign(supplier=suppliers["supplier"] + LATE)]),
        "offers": pd.concat([offers.fillna({"capacity": NO_LIMIT}), late], ignore_index=True),
        "last_supply_plan": kept.groupby(list(TABLES["last_supply_plan"].key), as_index=False)["quantity"].sum(),
    }
    least = plan["bom"]["quantity"][plan["bom"]["quantity"].gt(0)].min() if len(plan["bom"]) else 1.0
    price = 10 * float(plan["demand_plan"]["price"].max()) / min(1.0, least)
    settings = policies.model_copy(update={"frozen_months": 0, "plan_change_price": price})
    return plan.with_tables(tables, company=plan.company.model_copy(update={"policies": settings}))


# what a future changes in a `decided` book: by rule of the supply model, the limit of some of its rows
Altered = dict[str, dict[tuple[str, ...], float]]


class Given:
    """A `decided` book as dictionaries, to say quickly what a future changes in it; months as text."""

    def __init__(self, book: Book) -> None:
        self.book, self.months = book, [f"{month:%Y-%m}" for month in book.months]
        self.planned = self._of(book["demand_plan"], "product market month", "consensus")
        self.firm = self._of(book["customer_orders"], "product market month")
        offers = book["offers"]
        self.lead = offers.set_index(OFFER)["lead_time"].to_dict()
        usual = offers.set_index(OFFER)["capacity"].items()
        self.capacity = {(*one, month): most for one, most in usual for month in self.months}
        self.capacity |= self._of(book["supplier_capacity"], "supplier item site month", "capacity")
        self.ordered = self._of(book["last_supply_plan"].query("mode == 'buy'"), "source item site month")
        self.receipts = self._of(book["scheduled_receipts"], "item site month")
        # no table says from whom open orders come: taken as from whoever offers the item there for least
        ours = offers[~offers["supplier"].str.endswith(LATE)].sort_values(["price", "supplier"])
        self.sender = ours.drop_duplicates(["item", "site"]).set_index(["item", "site"])["supplier"].to_dict()

    def _of(self, frame: pd.DataFrame, key: str, value: str = "quantity") -> dict[tuple[str, ...], float]:
        """Values of planned months by their key."""
        frame = frame[frame["month"].isin(self.book.months)]
        return frame.assign(month=frame["month"].dt.strftime("%Y-%m")).groupby(key.split())[value].sum().to_dict()

    def altered(self, futures: Futures, number: int) -> Altered:
        """What future `number` changes."""
        asked, months = futures.asked(number), self.months
        demand = {
            key: max(self.planned[key] + asked[pair, month], self.firm.get(key, 0.0))
            for pair, month in np.argwhere(asked)
            if (key := (*futures.pairs[pair], months[month])) in self.planned
        }
        fails = {(futures.suppliers[s], months[t]) for s, t in np.argwhere(futures.fails[number])}
        late = {(futures.suppliers[s], int(t)) for s, t in np.argwhere(futures.late[number])}
        capacity, ordered, receipts = (dict[tuple[str, ...], float]() for _ in range(3))
        for (supplier, item, site), lead in self.lead.items():
            for at, month in enumerate(months):
                key, twin = (supplier, item, site, month), (supplier + LATE, item, site, month)
                fallen = (supplier, month) in fails
                if fallen or ((supplier, at + lead) in late and at + lead + 1 < len(months)):
                    capacity |= {key: 0.0, twin: 0.0 if fallen else self.capacity[key]}
                    if kept := self.ordered.get(key):
                        ordered |= {key: 0.0, twin: min(kept, capacity[twin])}
        for (item, site, month), units in self.receipts.items():
            at = months.index(month)
            if (self.sender.get((item, site), ""), at) in late:
                for when, moved in ((at, -units), (at + 1, units)):
                    if when < len(months):
                        place = item, site, months[when]
                        receipts[place] = receipts.get(place, self.receipts.get(place, 0.0)) + moved
        return {"demand_balance": demand, "supplier_capacity": capacity, "orders_as_planned": ordered,
                "stock_balance": receipts}  # fmt: skip

    def tables(self, change: Altered) -> dict[str, pd.DataFrame]:
        """The tables of the book that a future changes: the plain way to solve it."""
        plan, month = self.book["demand_plan"], dict(zip(self.months, self.book.months, strict=True))

        def rows(values: dict[tuple[str, ...], float], names: str, value: str = "quantity") -> pd.DataFrame:
            frame = pd.DataFrame([(*key, units) for key, units in sorted(values.items())])
            return frame.set_axis([*names.split(), value], axis=1).assign(month=lambda f: f["month"].map(month))

        tables = {"demand_plan": plan}
        if change["demand_balance"]:
            names = [plan["product"], plan["market"], plan["month"].dt.strftime("%Y-%m")]
            asked = pd.Series(change["demand_balance"]).reindex(pd.MultiIndex.from_arrays(names)).to_numpy()
            tables["demand_plan"] = plan.assign(consensus=plan["consensus"].mask(~np.isnan(asked), asked))
        if special := change["supplier_capacity"]:
            every = [self.book["supplier_capacity"], rows(special, "supplier item site month", "capacity")]
            tables["supplier_capacity"] = pd.concat(every).drop_duplicates([*OFFER, "month"], keep="last")
        if changed := change["orders_as_planned"]:
            kept = self.book["last_supply_plan"].query("mode != 'buy'")
            bought = rows(self.ordered | changed, "source item site month").assign(mode="buy")
            tables["last_supply_plan"] = pd.concat([kept, bought])
        if coming := change["stock_balance"]:
            tables["scheduled_receipts"] = rows(self.receipts | coming, "item site month")
        return tables
