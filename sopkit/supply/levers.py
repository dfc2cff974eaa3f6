"""What would help: levers the plan does not have, each priced; what one brings is found by solving again with it.

A lever is a change of tables that somebody could type in, and brings what that brings. Where it is more of a limit, or
an offer, it is solved as extra columns of the loaded model; where that would not be the same (people's overtime goes
with the people employed; whole numbers have limits of their own) the changed tables are solved. What a lever assumes
(price, limit, lead time) stands in its sentence and under `levers` in company.yaml.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from sopkit.supply.limits import LIMITS, MISSED, NOTHING, Gain, Lever, Solved
from sopkit.supply.loaded import Answer
from sopkit.supply.matrix import Column
from sopkit.supply.near import aligned
from sopkit.supply.network import Lists
from sopkit.supply.solve import Solution
from sopkit.words import listed, local, money, month_name, number, percent, say, several, span, unit_name

CENT = 0.005  # money below this is the solver's tolerance

NAMED_FROM = 1e-5  # a lever that brings less than this share of the plan's contribution is not named


def levers(solved: Solved) -> pd.DataFrame:
    """Table `levers`: what each lever would bring, the plan solved again with it."""
    least, rows = max(1.0, NAMED_FROM * abs(solved.answer.profit)), []
    candidates = [lever for kind in KINDS for lever in kind(solved)]
    for lever in sorted(candidates, key=lambda lever: (lever.lever, lever.place, lever.item)):
        if not (lever.columns or lever.tables) or _hope(solved, lever) <= least:
            continue
        answer, used, cost = _with(solved, lever, least)
        gain = _gain(solved, answer, cost)
        if (gain.total <= least and gain.kept <= 0) or gain.kept < 0 or sum(used.values()) <= NOTHING:
            continue
        months = sorted(month for month, amount in used.items() if amount > NOTHING)
        when, told = span(months[0], months[-1]), gain.told(solved.currency, would=True)
        if cost > 0:
            told = say("{gain}, {money} paid for it included", told, money(cost, solved.currency))
        if fewer := _fewer(solved, answer):
            told = say("{gain}: {changes}", told, listed(fewer))
        if solved.near:
            told = say("{gain}; at least, as lots, set-ups and shifts farther off stay as planned", told)
        units = sum(used.values())
        told = say("{lever}: {quantity} {unit} in {months} {gain}.", lever.sentence, number(units),
                   unit_name(lever.unit), when, told)  # fmt: skip
        row = {name: getattr(lever, name) for name in ("lever", "place", "item", "change", "unit")}
        row |= {name: getattr(gain, name) for name in ("revenue", "cash_cost", "penalties", "promise", "kept")}
        row |= {"months": when, "used": units, "cost": max(0.0, cost), "gain": gain.total, "sentence": told}
        rows.append(row | {"helps": ", ".join(_helped(solved, answer))})
    return solved.ranked(rows, "gain")


def _hope(solved: Solved, lever: Lever) -> float:
    """The most that a lever can bring by the plan's own prices; no end where these do not say.

    A linear program's shadow prices bound what any change of it brings: no plan need be found to leave a lever out.
    """
    if solved.matrix.integer.any() or not lever.columns:
        return np.inf
    kept = [_most(lever.columns, one.shadow_price, 0.0) for one in solved.answer.broken.values()]
    return np.inf if any(one > 0 for one in kept) else _most(lever.columns, solved.answer.shadow_price, 1.0)


def _most(columns: list[Column], price: np.ndarray, money: float) -> float:
    """What columns bring at most, in money or not, where what they take of the rows has these prices."""
    each = ((one, money * one.cost - float(price[one.rows] @ one.coefficients)) for one in columns)
    return sum(brings * (one.most if brings > NOTHING else one.least) for one, brings in each)


def _with(solved: Solved, lever: Lever, least: float) -> tuple[Answer, dict[str, float], float]:
    """The plan with a lever, how much of it is used in each month, and what is paid for that."""
    if lever.tables and (solved.matrix.integer.any() or not lever.columns):
        other = solved.ask(lever.tables, lever.rows, least)
        answer = replace(other.answer, values=aligned(other.values, other.matrix, solved.matrix))
        dearer = solved.matrix.cost @ answer.values - other.matrix.cost @ other.values  # than at the prices of the plan
        return answer, _beyond(solved, other, lever), float(dearer) if abs(dearer) > CENT else 0.0
    near, split, used = solved.near, len(solved.answer.values), dict[str, float]()
    plan = near.with_columns(lever.columns, least) if near else solved.session.parts.with_columns(lever.columns)
    for month, amount in zip(lever.months, plan.values[split:], strict=True):
        used[month] = used.get(month, 0.0) + float(amount)
    return plan, used, float(sum(-one.cost * x for one, x in zip(lever.columns, plan.values[split:], strict=True)))


def _beyond(solved: Solved, other: Solution, lever: Lever) -> dict[str, float]:
    """By how much the other plan goes beyond the limits of this one, by month."""
    use = solved.matrix.a @ aligned(other.values, other.matrix, solved.matrix)
    used: dict[str, float] = {}
    for rule, index in lever.rows:
        if rule == "work_shift":
            used[index[-1]] = other.network.shifts.hours[index] * float(other[rule][index])
            continue
        row = solved.row(rule, *index)
        beyond = use[row] - solved.matrix.row_upper[row]
        if rule == "people_overtime_limit":
            worked = solved.solution["work_overtime"][index]
            beyond = other["work_overtime"][index] - worked
        used[index[-1]] = used.get(index[-1], 0.0) + max(0.0, float(beyond))
    return used


def _gain(solved: Solved, answer: Answer, cost: float) -> Gain:
    """What another plan of the same decisions brings beside this one."""
    base = solved.near.beside(answer.values) if solved.near else solved.answer
    change = answer.values[: len(base.values)] - base.values
    revenue, cash_cost, penalties = (float(kind @ change) for kind in solved.kinds)
    return Gain(revenue, cash_cost + cost, penalties, *_promise(solved.matrix.promises, base, answer))


def _promise(promises: Iterable[str], base: Answer, other: Answer) -> tuple[str, float]:
    """The first promise by rank that `other` keeps otherwise than `base`, and how much more it keeps."""
    for name in (name for name in promises if name in base.broken or name in other.broken):
        before, after = (answer.broken[name].amount if name in answer.broken else 0.0 for answer in (base, other))
        if abs(before - after) > 1e-6 * (1 + before):
            return name, before - after
    return "", 0.0


def _helped(solved: Solved, answer: Answer) -> list[str]:
    """The products of which `answer` loses fewer units, or lets fewer wait, than the plan."""
    fewer: dict[Any, float] = {}
    for names in (solved.matrix.columns[name] for name in ("lose", "wait") if name in solved.matrix.columns):
        change = solved.answer.values[names.where] - answer.values[names.where]
        for at in np.flatnonzero(np.abs(change) > NOTHING):
            fewer[names.keys[at][0]] = fewer.get(names.keys[at][0], 0.0) + change[at]
    return sorted(product for product, units in fewer.items() if units > 0.5)


def _fewer(solved: Solved, answer: Answer) -> list[str]:
    """`1,240 units fewer below safety stock`, where a lever avoids service penalties."""
    found = []
    for decision, called in MISSED.items():
        if decision in solved.matrix.columns:
            where = solved.matrix.columns[decision].where
            fewer = float(solved.answer.values[where].sum() - answer.values[where].sum())
            if abs(fewer) > 0.5:
                how = "{quantity} units fewer {state}" if fewer > 0 else "{quantity} units more {state}"
                found.append(say(how, number(abs(fewer)), say(called)))
    return found


# more of a limit -----------------------------------------------------------------------------------------------------
def _groups(solved: Solved, rule: str) -> dict[tuple, list[tuple]]:
    """The members of a rule in every month, by what is limited, where that binds in any month."""
    binding = {index[:-1] for index in solved.binding(rule)}
    members = solved.matrix.rows[rule].keys if binding else []
    return Lists((index[:-1], index) for index in members if index[:-1] in binding)


def _overtime(solved: Solved) -> Iterator[Lever]:
    """More overtime: a share of the regular hours after maintenance, or some hours where there are none."""
    rules, capacity = solved.rules, solved.network.tables["capacity"]
    limits = solved.network.resources
    stuck = {r for i, w, _ in solved.binding("set_up_first") for r in limits.of[i, w]}
    known = {index[0] for index in solved.binding("overtime_capacity")} | stuck
    for resource in sorted(known):
        members = [(resource, month) for month in solved.months]
        none = not any(limits.regular_limit[index] for index in members)
        name, hours, share = solved.name(resource), local(f"{rules.hours:g}"), percent(rules.overtime)
        change = f"+ {rules.hours:g}" if none else say("+ {share} of the regular hours after maintenance", share)
        here = capacity["resource"].eq(resource)
        extra = rules.hours if none else rules.overtime * (capacity["hours"] - capacity["maintenance"]).clip(lower=0)
        lever = Lever(
            lever="overtime", place=resource, change=f"capacity.overtime_limit {change}", unit="hours",
            sentence=say("More overtime on {resource} ({hours} hours a month)", name, hours) if none
            else say("More overtime on {resource} ({share} of its regular hours)", name, share),
            tables={"capacity": capacity.assign(overtime_limit=capacity["overtime_limit"] + here * extra)},
            rows=[("overtime_capacity", index) for index in members],
        )  # fmt: skip
        for index in members:
            more = rules.hours if none else rules.overtime * limits.regular_limit[index]
            lever.add(index[-1], {solved.row("overtime_capacity", *index): -1.0}, more)
        yield lever


def _shift(solved: Solved) -> Iterator[Lever]:
    """A shift more on a resource that is short of hours, like the last one that table shifts has for it."""
    shifts = solved.network.tables["shifts"]
    for resource in sorted({index[0] for index in solved.binding("regular_capacity")} & set(shifts["place"])):
        last = shifts[shifts["place"].eq(resource)].nlargest(1, "shift")
        row = last.assign(shift=last["shift"] + 1, worked=False, valid_from=pd.NaT, valid_to=pd.NaT)
        one = row.iloc[0]
        told = [f"{name} {one[name]:.10g}" for name in ("hours", "cost", "start_cost", "stop_cost", "least_months")]
        paid = [money(one[name], solved.currency) for name in ("cost", "start_cost", "stop_cost")]
        yield Lever(
            lever="shift", place=resource, unit="hours",
            change=say("shifts: a new row, {columns}", f"shift {one['shift']}, {', '.join(told)}"),
            sentence=say("Shift {shift} on {resource}, like the one before it ({hours} hours for {cost} a month, "
                "{start} to start and {stop} to stop it)", int(one["shift"]), solved.name(resource),
                local(f"{one['hours']:,.10g}"), *paid),
            tables={"shifts": pd.concat([shifts, row], ignore_index=True)},
            rows=[("work_shift", (f"{resource} shift {one['shift']}", month)) for month in solved.months],
        )  # fmt: skip


# limits that could be wider at no cost but what the plan then uses: rule, lever, change of the tables, sentence
WIDER = (
    ("supplier_capacity", "more from supplier", "offers.capacity and supplier_capacity", "more {i} from {s} for {n}"),
    ("space", "build ahead", "sites.storage", "more space at {n}"),
    ("stock_maximum", "build ahead", "policies.maximum_stock", "higher a maximum stock of {i} at {n}"),
    ("money_in_stock", "build ahead", "company.yaml policies.stock_budget", "larger a stock budget"),
)


def _wider(solved: Solved) -> Iterator[Lever]:
    """More of what limits the plan, by a share of it."""
    share = percent(solved.rules.more)
    for rule, kind, change, sentence in WIDER:
        limit = LIMITS[rule]
        for group, members in _groups(solved, rule).items():
            lever = Lever(
                lever=kind, change=f"{change} + {share}", rows=[(rule, index) for index in members],
                place=solved.text(limit.place, limit.letters, group, codes=True),
                item=solved.text(limit.item, limit.letters, group, codes=True),
                unit=solved.currency if limit.unit == "currency" else limit.unit,
                sentence=say("{share} {limit}", share, solved.text(say(sentence), limit.letters, group)),
                tables=_more_supplied(solved, group) if rule == "supplier_capacity" else {},
            )  # fmt: skip
            for index in members:
                row = solved.row(rule, *index)
                lever.add(index[-1], {row: -1.0}, solved.rules.more * float(solved.matrix.row_upper[row]))
            yield lever


def _more_supplied(solved: Solved, offer: tuple) -> dict[str, pd.DataFrame]:
    tables = {}
    for name in ("offers", "supplier_capacity"):
        frame = solved.network.tables[name]
        here = frame[["supplier", "item", "site"]].eq(list(offer)).all(axis=1)
        tables[name] = frame.assign(capacity=frame["capacity"] * (1 + solved.rules.more * here))
    return tables


def _people(solved: Solved) -> Iterator[Lever]:
    """Temporary people, paid as overtime is, and more people hired than can start in a month."""
    people, workforce = solved.network.people, solved.network.tables["workforce"]
    for crew, members in _groups(solved, "people_work").items():
        hours = float(np.mean([people.hours[index] for index in members]))
        more = round(solved.rules.more * hours, 1)
        price = people.overtime_cost[crew]
        if not people.overtime_limit[crew] and hours:  # nobody has said what an hour more costs
            price = round(max(price, people.wage[members[-1]] / hours), 2)
        here = workforce["site"].eq(crew[0]) & workforce["skill"].eq(crew[1])
        limit, cost = workforce["overtime_limit"] + more * here, workforce["overtime_cost"].where(~here, price)
        yield Lever(
            lever="temporary people", place=" ".join(crew), unit="hours",
            change=f"workforce.overtime_limit + {more:g}, overtime_cost {price:g}",
            sentence=say(
                "Temporary {skill} people at {site}, up to {hours} hours a month for each person employed, at {money} "
                "an hour", crew[1], solved.name(crew[0]), local(f"{more:g}"), money(price, solved.currency)),
            tables={"workforce": workforce.assign(overtime_limit=limit, overtime_cost=cost)},
            rows=[("people_overtime_limit", index) for index in members],
        )  # fmt: skip
    lead = {(row.site, row.skill): int(row.hire_lead_time) for row in workforce.itertuples()}
    for crew, members in _groups(solved, "hiring_limit").items():
        decide = pd.Timestamp(members[0][-1]) - pd.DateOffset(months=lead[crew])
        number = solved.rules.hires
        lever = Lever(
            lever="hire", place=" ".join(crew), change=f"workforce.most_hires + {number}", unit="people",
            sentence=say("{count} more {skill} people hired at {site} in a month, first decided by {month}",
                number, crew[1], solved.name(crew[0]), month_name(decide)),
        )  # fmt: skip
        for index in members:
            lever.add(index[-1], {solved.row("hiring_limit", *index): -1.0}, float(number))
        yield lever


# another offer -------------------------------------------------------------------------------------------------------
def _offer(
    solved: Solved, lever: str, at: tuple[str, str], *, price: float, lead: int, most: float, source: str
) -> Lever:
    """A new row of table `offers`: units of an item come to a site for a price, so late, at most so many a month."""
    network, (item, site) = solved.network, at
    price = round(price, 2) if price >= 1 else float(f"{price:.3g}")
    capacity = f", capacity {most:.10g}" if np.isfinite(most) else ""
    told = [solved.name(item), source, solved.name(site), local(f"{price:,.10g}"), solved.currency]
    told += [several(lead, "month") if lead else say("no lead time")] + ([number(most)] if capacity else [])
    found = Lever(
        lever=lever, place=site, item=item,
        change=say("offers: a new row, {columns}", f"price {price:.10g}, lead_time {lead}{capacity}"),
        sentence=say(
            "{item} {source} for {site}, at {price} {currency} and {lead}, at most {quantity} a month" if capacity
            else "{item} {source} for {site}, at {price} {currency} and {lead}", *told),
    )  # fmt: skip
    for month in solved.months[lead:]:
        ordered = solved.months[solved.network.time.position[month] - lead]
        if ordered not in network.last_plan.frozen:
            cost = price + network.last_plan.change_price.get(ordered, 0.0)
            found.add(month, _inflow(solved, item, site, month), most, cost=cost)
    return found


def _inflow(solved: Solved, item: str, site: str, month: str) -> dict[int, float]:
    """The rows that one more unit which comes to a site in a month changes, and by how much."""
    takes = {solved.row("stock_balance", item, site, month): float(solved.supplying("stock_balance"))}
    if solved.has("ages", *(new := (item, site, 0, month))):
        takes[solved.row("ages", *new)] = -solved.coefficient(("ages", new), ("keep", new))
    if opens := solved.network.shifts.opens.get(site):
        closed = ("closed_takes_nothing", (item, site, opens, month))
        takes[solved.row(closed[0], *closed[1])] = -np.sign(solved.coefficient(closed, ("work_shift", (opens, month))))
    for supplier in solved.network.buying.suppliers[item, site]:
        if solved.has("supplier_share", *(offer := (supplier, item, site))):
            own = solved.coefficient(("supplier_share", offer), ("buy", (*offer, solved.months[0])))
            takes[solved.row("supplier_share", *offer)] = -solved.network.buying.share_limit[offer] * np.sign(own)
    return takes


def _second_supplier(solved: Solved) -> Iterator[Lever]:
    """A second supplier of what a supplier at its limit delivers, dearer than the dearest."""
    buying, dearer = solved.network.buying, solved.rules.second_supplier
    for item, site in sorted({index[1:3] for index in solved.binding("supplier_capacity")}):
        known = [offer for offer in buying.offers if offer[1:] == (item, site)]
        lead = max(max(buying.leads[offer]) for offer in known)
        most = max(buying.capacity.get((*offer, month), 0.0) for offer in known for month in solved.months)
        yield _offer(
            solved, "second supplier", (item, site),
            price=(1 + dearer) * max(buying.usual_price[offer] for offer in known), lead=lead, most=most,
            source=say("from a second supplier ({share} above the dearest offer)", percent(dearer)),
        )  # fmt: skip


def _short(solved: Solved) -> dict[str, float]:
    """Products that are short, with the units short in their worst month."""
    short: dict[Any, float] = {}
    for decision in ("lose", "wait", "fall_below_safety"):  # units short, at worst in a month
        series = solved.solution[decision]
        for (item, _), quantity in series.groupby(level=[0, 2]).sum().items() if len(series) else ():
            if quantity > 1e-4:
                short[item] = max(short.get(item, 0.0), quantity)
    return short


def _new_supplier(solved: Solved) -> Iterator[Lever]:
    """A supplier, to be found, of what a short product needs and nobody makes or sells."""
    network, rules, share = solved.network, solved.rules, percent(solved.rules.subcontract)
    gone = {(one, product) for product in _short(solved) for one in solved.without_source(product)}
    for item in sorted({one for one, product in gone if one != product}):
        for site in sorted({n for i, n in network.flow.uses if i == item and network.stock.standard_cost[item] > 0}):
            yield _offer(
                solved, "new supplier", (item, site), price=(1 + rules.subcontract) * network.stock.standard_cost[item],
                lead=rules.subcontract_lead_time, most=np.inf,
                source=say("from a supplier to be found ({share} above standard cost)", share),
            )  # fmt: skip


def _subcontract(solved: Solved) -> Iterator[Lever]:
    """A short product bought ready-made for the sites that deliver it to markets."""
    network, rules = solved.network, solved.rules
    markets = {market for _, market in network.demand.pairs}
    for product, most in sorted(_short(solved).items()):
        offers = [network.buying.usual_price[offer] for offer in network.buying.offers if offer[1] == product]
        source = "bought ready-made ({share} above standard cost, as nobody offers it)"
        source = say("bought ready-made (the dearest offer)") if offers else say(source, percent(rules.subcontract))
        for site in sorted({network.roads.site[o] for o, d, i in network.flow.ships if i == product and d in markets}):
            yield _offer(
                solved, "subcontract", (product, site),
                price=max(offers) if offers else (1 + rules.subcontract) * network.stock.standard_cost[product],
                lead=rules.subcontract_lead_time, most=float(np.ceil(most)), source=source,
            )  # fmt: skip


def _express(solved: Solved) -> Iterator[Lever]:
    """An offer that comes at once beside one with a lead time, dearer."""
    buying, dearer = solved.network.buying, solved.rules.express
    for offer in buying.offers:
        supplier, item, site = offer
        price = (1 + dearer) * buying.usual_price[offer]
        late = solved.months[: max(buying.leads[offer])]
        if any(solved.value("stock_balance", item, site, month) > price for month in late):
            most = max((buying.capacity.get((*offer, month), np.inf) for month in solved.months), default=np.inf)
            source = say("from {supplier} by express ({share} dearer)", solved.name(supplier), percent(dearer))
            yield _offer(solved, "express order", (item, site), price=price, lead=0, most=most, source=source)


def _expedite(solved: Solved) -> Iterator[Lever]:
    """All open orders of an item at a site a month sooner, those of the first month aside."""
    found: dict[tuple[str, str], Lever] = {}
    for (item, site, month), quantity in sorted(solved.network.stock.receipts.items()):
        at = solved.network.time.position[month]
        if at == 0 or not solved.has("stock_balance", item, site, month):
            continue
        lever = Lever(
            lever="expedite", place=site, item=item, change="scheduled_receipts.month - 1",
            sentence=say("The open orders of {item} for {site} a month sooner", solved.name(item), solved.name(site)),
        )  # fmt: skip
        sooner = _inflow(solved, item, site, solved.months[at - 1])
        of_orders = "supplier_share", "closed_takes_nothing"  # what was ordered before the plan arrives anyway
        takes = {row: by for row, by in sooner.items() if solved.at(row)[0] not in of_orders}
        for row, by in _inflow(solved, item, site, month).items():
            if solved.at(row)[0] not in of_orders:
                takes[row] = takes.get(row, 0.0) - by
        found.setdefault((item, site), lever).add(solved.months[at - 1], takes, quantity, least=quantity)
    yield from found.values()


KINDS = (_overtime, _shift, _wider, _people, _second_supplier, _new_supplier, _subcontract, _express, _expedite)
