"""What would help: levers the plan does not have, each priced; what one brings is found by solving again with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from sopkit.supply.limits import LIMITS, MISSED, NOTHING, Gain, Solved
from sopkit.supply.loaded import Answer
from sopkit.words import listed, money, month_name, span

DEARER = 1.10
"""A second supplier is taken to cost 10 % more than the dearest one today; the lever's sentence names the price."""

MARGIN = 1.25
"""A subcontractor without an offer is taken to ask standard cost and a quarter; the sentence names the price."""

EXPRESS = 1.20
"""Goods that come at once are taken to cost 20 % more; the lever's sentence names the price."""

NAMED_FROM = 1e-5
"""A lever that brings less than this share of the plan's contribution is not named."""

TENTH, FIFTH = 0.10, 0.20

WIDER = (
    ("overtime_capacity", "overtime", "capacity.overtime_limit + 10 % of the regular hours", "More overtime on {r}"),
    ("supplier_capacity", "more from supplier", "offers.capacity + 20 %", "A fifth more {i} from {s} for {n}"),
    ("space", "build ahead", "sites.storage + 20 %", "More space at {n}"),
    ("stock_maximum", "build ahead", "policies.maximum_stock + 20 %", "A higher stock maximum of {i} at {n}"),
    ("money_in_stock", "build ahead", "company.yaml stock_budget + 20 %", "A larger stock budget"),
)
"""Limits that could be wider at no cost but what the plan then uses: rule, lever, change of the tables, sentence."""


@dataclass(frozen=True, kw_only=True)
class Lever:
    """One thing that could be done: extra columns of the model, one for each month, to use or not."""

    lever: str
    place: str
    item: str = ""
    change: str
    unit: str = "units"
    sentence: str
    months: list[str] = field(default_factory=list)
    columns: list[tuple[float, float, np.ndarray, np.ndarray]] = field(default_factory=list)

    def add(self, month: str, takes: dict[int, float], most: float, cost: float = 0.0) -> None:
        """In `month` at most `most` units at `cost` each, which change rows by `takes`."""
        self.months.append(month)
        self.columns.append((-cost, most, np.array(list(takes), dtype="int32"), np.array(list(takes.values()))))


def levers(solved: Solved) -> pd.DataFrame:
    """Table `levers`: what each lever would bring, the plan solved again with it."""
    base, rows = solved.answer, []
    least = max(1.0, NAMED_FROM * abs(base.profit))
    candidates = [lever for kind in KINDS for lever in kind(solved)]
    for lever in sorted(candidates, key=lambda lever: (lever.lever, lever.place, lever.item)):
        answer = solved.session.parts.with_columns(lever.columns)
        split = len(base.values)
        used = answer.values[split:]
        cost = float(sum(-column[0] * amount for column, amount in zip(lever.columns, used, strict=True)))
        change = answer.values[:split] - base.values
        revenue, cash_cost, penalties = (float(kind @ change) for kind in solved.kinds)
        gain = Gain(revenue, cash_cost + cost, penalties, *_promise(solved.matrix.promises, base, answer))
        if (gain.total <= least and gain.kept <= 0) or gain.kept < 0 or used.sum() <= NOTHING:
            continue
        months = sorted(month for month, amount in zip(lever.months, used, strict=True) if amount > NOTHING)
        when, paid = span(months[0], months[-1]), f", {money(cost, solved.currency)} paid for it included"
        rows.append(
            {name: getattr(lever, name) for name in ("lever", "place", "item", "change", "unit")}
            | {"months": when, "used": float(used.sum()), "cost": max(0.0, cost), "gain": gain.total}
            | {name: getattr(gain, name) for name in ("revenue", "cash_cost", "penalties", "promise", "kept")}
            | {
                "sentence": f"{lever.sentence}: {used.sum():,.0f} {lever.unit} in {when} "
                f"{gain.told(solved.currency, would=True)}{paid if cost > 0 else ''}{_fewer(solved, answer)}."
            }
        )
    order = [*base.broken, ""]
    rows.sort(key=lambda row: (order.index(row["promise"]), -row["kept"], -row["gain"]))
    return pd.DataFrame(rows)


def _promise(promises: Iterable[str], base: Answer, other: Answer) -> tuple[str, float]:
    """The first promise by rank that `other` keeps otherwise than `base`, and how much more it keeps."""
    for name in (name for name in promises if name in base.broken or name in other.broken):
        before, after = (answer.broken[name].amount if name in answer.broken else 0.0 for answer in (base, other))
        if abs(before - after) > 1e-6 * (1 + before):
            return name, before - after
    return "", 0.0


def _fewer(solved: Solved, answer: Answer) -> str:
    """`: 1,240 units fewer below safety stock`, where a lever avoids service penalties."""
    found = []
    for decision, called in MISSED.items():
        if decision in solved.matrix.columns:
            where = solved.matrix.columns[decision].where
            fewer = float(solved.answer.values[where].sum() - answer.values[where].sum())
            if abs(fewer) > 0.5:
                found.append(f"{abs(fewer):,.0f} units {'fewer' if fewer > 0 else 'more'} {called}")
    return f": {listed(found)}" if found else ""


def _groups(solved: Solved, rule: str) -> dict[tuple, list[tuple]]:
    """The bound members of a rule, by what they are members of (the index without its month)."""
    found: dict[tuple, list[tuple]] = {}
    for index in solved.binding(rule):
        found.setdefault(index[:-1], []).append(index)
    return found


def _wider(solved: Solved) -> Iterator[Lever]:
    """More of what limits the plan: overtime by a tenth of the regular hours, everything else by a fifth."""
    for rule, kind, change, sentence in WIDER:
        limit = LIMITS[rule]
        for group, members in _groups(solved, rule).items():
            lever = Lever(
                lever=kind,
                place=solved.text(limit.place, limit.letters, group, codes=True),
                item=solved.text(limit.item, limit.letters, group, codes=True),
                change=change,
                unit=solved.currency if limit.unit == "currency" else limit.unit,
                sentence=solved.text(sentence, limit.letters, group),
            )
            for index in members:
                row = solved.row(rule, *index)
                most = FIFTH * float(solved.matrix.row_upper[row])
                if rule == "overtime_capacity":
                    most = TENTH * solved.network.resources.regular_limit.get(index, 0.0)
                lever.add(index[-1], {row: -1.0}, most)
            yield lever


def _people(solved: Solved) -> Iterator[Lever]:
    """Temporary people at the dearer of wage and overtime, and two more people hired than can start in a month."""
    people = solved.network.people
    for crew, members in _groups(solved, "people_work").items():
        wages = [people.wage[crew] / people.hours[index] for index in members if people.hours[index] > 0]
        hourly = max([people.overtime_cost[crew], *wages])
        each = money(hourly, solved.currency)
        lever = Lever(
            lever="temporary people",
            place=" ".join(crew),
            change=f"hours of {crew[1]} people at {hourly:,.2f} an hour",
            unit="hours",
            sentence=solved.text("Temporary {q} people at {n}, at ", "n q", crew) + f"{each} an hour",
        )
        for index in members:
            most = FIFTH * max(1.0, people.hours[index] * solved.solution["employ"][index])
            lever.add(index[-1], {solved.row("people_work", *index): -1.0}, most, hourly)
        yield lever
    workforce = solved.network.tables["workforce"].set_index(["site", "skill"])
    for crew, (first, *_) in _groups(solved, "hiring_limit").items():
        decide = pd.Timestamp(first[-1]) - pd.DateOffset(months=int(workforce.loc[crew, "hire_lead_time"]))
        lever = Lever(
            lever="hire",
            place=" ".join(crew),
            change="workforce.most_hires + 2",
            unit="people",
            sentence=solved.text("Two more {q} people hired at {n}, decided by ", "n q", crew) + month_name(decide),
        )
        lever.add(first[-1], {solved.row("hiring_limit", *first): -1.0}, 2.0)
        yield lever


def _bring(solved: Solved, lever: Lever, at: tuple[str, str], months: list[str], *, most: float, price: float) -> Lever:
    """`lever` with a column for each of `months` in which units at `price` come to an item and site."""
    for month in months:
        lever.add(month, {solved.row("stock_balance", *at, month): solved.supplying("stock_balance")}, most, price)
    return lever


def _second_supplier(solved: Solved) -> Iterator[Lever]:
    """A second supplier of what a supplier at its limit delivers."""
    buying = solved.network.buying
    for item, site in sorted({index[1:3] for index in solved.binding("supplier_capacity")}):
        known = [offer for offer in buying.offers if offer[1:] == (item, site)]
        price, lead = DEARER * max(buying.price[offer] for offer in known), max(buying.lead[offer] for offer in known)
        others = sorted({s for s, i, _ in buying.offers if i == item} - {s for s, _, _ in known})
        lever = Lever(
            lever="second supplier",
            place=site,
            item=item,
            change=f"offers: a new row at {price:,.2f}, {lead} months",
            sentence=f"{solved.name(item)} from {solved.name(others[0]) if others else 'a second supplier'} for "
            f"{solved.name(site)}, at {money(price, solved.currency)} and {lead} months",
        )
        most = max(buying.capacity.get((*offer, month), 0.0) for offer in known for month in solved.months)
        if solved.months[lead:]:
            yield _bring(solved, lever, (item, site), solved.months[lead:], most=most, price=price)


def _subcontract(solved: Solved) -> Iterator[Lever]:
    """A short product bought ready-made, from next month on, for the sites that deliver it to markets."""
    network = solved.network
    short: dict[Any, float] = {}
    for decision in ("lose", "wait", "fall_below_safety"):  # units short, at worst in a month
        series = solved.solution[decision]
        for (item, _), quantity in series.groupby(level=[0, 2]).sum().items() if len(series) else ():
            if quantity > 1e-4:
                short[item] = max(short.get(item, 0.0), quantity)
    for product, most in sorted(short.items()):
        offers = [network.buying.price[offer] for offer in network.buying.offers if offer[1] == product]
        price = max(offers) if offers else MARGIN * network.stock.standard_cost[product]
        markets = {market for _, market in network.demand.pairs}
        for site in sorted({o for o, d, i in network.flow.ships if i == product and d in markets}):
            lever = Lever(
                lever="subcontract",
                place=site,
                item=product,
                change=f"offers: a new row at {price:,.2f}, 1 month",
                sentence=f"{solved.name(product)} bought ready-made for {solved.name(site)}, at "
                f"{money(price, solved.currency)}",
            )
            yield _bring(solved, lever, (product, site), solved.months[1:], most=most, price=price)


def _expedite(solved: Solved) -> Iterator[Lever]:
    """Open orders a month sooner."""
    levers_: dict[tuple[str, str], Lever] = {}
    for (item, site, month), quantity in sorted(solved.network.stock.receipts.items()):
        at = solved.network.time.position[month]
        if at == 0 or not solved.has("stock_balance", item, site, month):
            continue
        before = solved.months[at - 1]
        sooner, later = (solved.row("stock_balance", item, site, when) for when in (before, month))
        if abs(solved.steering[sooner] - solved.steering[later]) > NOTHING:
            lever = Lever(
                lever="expedite",
                place=site,
                item=item,
                change="scheduled_receipts.month - 1",
                sentence=f"The open order of {solved.name(item)} for {solved.name(site)} a month sooner",
            )
            inflow = solved.supplying("stock_balance")
            levers_.setdefault((item, site), lever).add(before, {sooner: inflow, later: -inflow}, quantity)
    yield from levers_.values()


def _express(solved: Solved) -> Iterator[Lever]:
    """New orders that come at once, dearer."""
    buying = solved.network.buying
    for supplier, item, site in buying.offers:
        offer = supplier, item, site
        price = EXPRESS * buying.price[offer]
        lever = Lever(
            lever="express order",
            place=f"{supplier} {site}",
            item=item,
            change=f"offers.lead_time 0 at {price:,.2f}",
            sentence=f"{solved.name(item)} from {solved.name(supplier)} for {solved.name(site)} at once, at "
            f"{money(price, solved.currency)}",
        )
        for month in solved.months[: buying.lead[offer]]:
            if solved.worth("stock_balance", item, site, month) > price:
                most = buying.capacity.get((*offer, month), np.inf)
                _bring(solved, lever, (item, site), [month], most=most, price=price)
        if lever.columns:
            yield lever


KINDS: tuple[Callable[[Solved], Iterator[Lever]], ...] = (
    _wider,
    _people,
    _second_supplier,
    _subcontract,
    _expedite,
    _express,
)
