"""Tables that contradict each other so that a plan would mean nothing, found before the solver is called.

Asked at collect, of the rows as they stand in the source, and by stage supply, of each scenario and its demand plan.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

import pandas as pd

from sopkit.errors import Finding, SupplyDataError
from sopkit.tables import TABLES, Company


def _stop(table: str, row: int, column: str, value: object, rule: str, allowed: str, fix: str) -> Finding:
    return Finding(table, row, column, str(value), rule, "error", allowed, fix)


def _rows(frame: pd.DataFrame, wrong: pd.Series) -> Iterator[tuple[int, dict]]:
    """The rows where `wrong` holds, with the number a person sees (the header is row 1)."""
    for at, row in zip(frame.index[wrong], frame[wrong].to_dict("records"), strict=True):
        yield int(at) + 2, row


def bom_order(tables: dict[str, pd.DataFrame]) -> list[str]:
    """All items, each after all of its components; items in a loop of the bill of materials are left out."""
    components: dict[str, set[str]] = {}
    for item, component in zip(tables["bom"]["item"], tables["bom"]["component"], strict=True):
        components.setdefault(item, set()).add(component)
    items = sorted(
        {
            *tables["products"]["product"],
            *tables["materials"]["material"],
            *components,
            *tables["bom"]["component"],
            *tables["inventory"]["item"],
        }
    )
    order: list[str] = []
    placed: set[str] = set()
    while True:
        ready = [item for item in items if item not in placed and components.get(item, set()) <= placed]
        if not ready:
            return order
        order += ready
        placed.update(ready)


def _references(tables: dict[str, pd.DataFrame]) -> Iterator[Finding]:
    for name, frame in tables.items():
        for column in TABLES[name]:
            refs = [ref for ref in column.refs if ref in tables]
            if not refs or len(refs) < len(column.refs) or frame.empty:
                continue
            known = set().union(*(tables[ref][TABLES[ref].key[0]] for ref in refs))
            values = frame[column.name]
            for row, record in _rows(frame, ~values.isin(known) & values.ne("")):
                yield _stop(
                    name,
                    row,
                    column.name,
                    record[column.name],
                    "unknown",
                    column.allowed,
                    f"Add it to {' or '.join(refs)}, or correct it here.",
                )


def _materials(tables: dict[str, pd.DataFrame]) -> Iterator[Finding]:
    bom, routings, offers = tables["bom"], tables["routings"], tables["offers"]
    ordered = set(bom_order(tables))
    looped = ~bom["item"].isin(ordered) & ~bom["component"].isin(ordered)
    above = pd.Series(True, index=bom.index)
    while above.any():  # what is made of a loop's item, but goes into none of them, is not part of the loop
        above = looped & ~bom["item"].isin(bom["component"][looped])
        looped &= ~above
    for row, record in _rows(bom, looped):
        yield _stop(
            "bom",
            row,
            "component",
            record["component"],
            f"a loop: {record['item']} needs itself",
            "components that are not made of the item",
            "Remove one row of the loop.",
        )
    have = set(tables["inventory"].query("quantity > 0")["item"]) | set(tables["scheduled_receipts"]["item"])
    made, bought = set(routings["item"]), set(offers["item"])
    for row, record in _rows(
        bom.drop_duplicates("item"), ~bom.drop_duplicates("item")["item"].isin(made | bought | have)
    ):
        yield _stop(
            "bom",
            row,
            "item",
            record["item"],
            "has components but no routing",
            "an item of routings",
            "Add a routing, or an offer of a supplier.",
        )
    ends = bom[~bom["component"].isin(made | bought | have | set(bom["item"]))].drop_duplicates("component")
    for row, record in _rows(ends, ends["component"].notna()):
        yield _stop(
            "bom",
            row,
            "component",
            record["component"],
            "nobody makes or sells it, and none is in stock",
            "an item of routings or offers",
            "Add a routing or an offer.",
        )


def _products(tables: dict[str, pd.DataFrame], months: list[pd.Timestamp]) -> Iterator[Finding]:
    plan = tables["demand_plan"]
    wanted = plan[plan["consensus"].gt(0) & plan["month"].isin(months)]
    sources = {
        *tables["routings"]["item"],
        *tables["offers"]["item"],
        *tables["scheduled_receipts"]["item"],
        *tables["inventory"].query("quantity > 0")["item"],
    }
    made = set(tables["bom"]["item"])
    orphans = wanted[~wanted["product"].isin(sources | made)].drop_duplicates("product")
    for row, record in _rows(orphans, orphans["product"].notna()):
        yield _stop(
            "demand_plan",
            row,
            "product",
            record["product"],
            "demand for a product nobody can make or buy",
            "a product with a routing, an offer or stock",
            "Add a routing or an offer, or take it off the plan.",
        )
    lanes = tables["lanes"]
    sites = set(tables["sites"]["site"])
    where: dict[str, set[str]] = {}
    for item, site in [
        *zip(tables["inventory"]["item"], tables["inventory"]["site"], strict=True),
        *zip(tables["scheduled_receipts"]["item"], tables["scheduled_receipts"]["site"], strict=True),
        *zip(tables["offers"]["item"], tables["offers"]["site"], strict=True),
        *zip(
            tables["routings"]["item"],
            tables["routings"]["resource"].map(
                dict(zip(tables["resources"]["resource"], tables["resources"]["site"], strict=True))
            ),
            strict=True,
        ),
    ]:
        where.setdefault(item, set()).add(site)
    onward: dict[str, list[str]] = {}
    for origin, destination in zip(lanes["origin"], lanes["destination"], strict=True):
        onward.setdefault(origin, []).append(destination)
    reach: dict[frozenset, set[str]] = {}
    for row, record in _rows(wanted, ~wanted.duplicated(["product", "market"])):
        start = frozenset(where.get(record["product"], ()))
        if start and start not in reach:
            reached, todo = set(), sorted(start)
            while todo:
                for place in onward.get(todo.pop(), []):
                    if place not in reached:
                        reached.add(place)
                        todo += [place] if place in sites else []
            reach[start] = reached
        if start and record["market"] not in reach[start]:
            yield _stop(
                "demand_plan",
                row,
                "market",
                record["market"],
                f"no lane leads there from where {record['product']} can be",
                "a market at the end of a lane",
                "Add a lane, or take the demand off the plan.",
            )


def _lead_times(tables: dict[str, pd.DataFrame], months: list[pd.Timestamp]) -> Iterator[Finding]:
    for name, column in (("offers", "lead_time"), ("lanes", "lead_time"), ("workforce", "hire_lead_time")):
        frame = tables[name]
        for row, record in _rows(frame, frame[column].ge(len(months))):
            yield _stop(
                name,
                row,
                column,
                record[column],
                f"longer than the horizon of {len(months)} months",
                f"a whole number of at most {len(months) - 1}",
                "Correct it, or remove the row.",
            )


def _lots(tables: dict[str, pd.DataFrame], months: list[pd.Timestamp]) -> Iterator[Finding]:
    offers = tables["offers"]
    for row, record in _rows(offers, offers["minimum_order"].gt(offers["capacity"])):
        yield _stop(
            "offers",
            row,
            "minimum_order",
            f"{record['minimum_order']:.12g}",
            f"minimum order above the capacity of {record['capacity']:.12g} a month",
            f"at most {record['capacity']:.12g}",
            "Correct the minimum order or the capacity.",
        )
    capacity = tables["capacity"]
    capacity = capacity[capacity["month"].isin(months)]
    most = (
        (capacity["hours"] - capacity["maintenance"] + capacity["overtime_limit"]).groupby(capacity["resource"]).max()
    )
    routings = tables["routings"]
    wanted = routings["minimum_run"] * routings["hours"] / routings["yield"] + routings["setup_hours"]
    there = routings["resource"].map(most)
    for row, record in _rows(routings, routings["minimum_run"].gt(0) & wanted.gt(there * (1 + 1e-9))):
        yield _stop(
            "routings",
            row,
            "minimum_run",
            f"{record['minimum_run']:g}",
            f"minimum run above what {record['resource']} can make in any month",
            f"what fits into {there[row - 2]:g} hours",
            "Correct the minimum run or the capacity.",
        )


def _offers(tables: dict[str, pd.DataFrame], months: list[pd.Timestamp]) -> Iterator[Finding]:
    key = ["supplier", "item", "site"]
    offers, special = tables["offers"], tables["supplier_capacity"]
    offered = pd.MultiIndex.from_frame(offers[key])
    for row, record in _rows(special, ~pd.Series(pd.MultiIndex.from_frame(special[key]).isin(offered), dtype=bool)):
        yield _stop(
            "supplier_capacity",
            row,
            "supplier",
            record["supplier"],
            f"offers no {record['item']} to {record['site']}",
            "supplier, item and site of a row of offers",
            "Add the offer, or remove this row.",
        )
    special = special[special["month"].isin(months)]
    most = special.groupby(key)["capacity"].agg(["max", "count"]).reindex(offered)
    usual = offers["capacity"].to_numpy() != 0
    sells = (usual & (most["count"].fillna(0).to_numpy() < len(months))) | most["max"].gt(0).to_numpy()
    able = offers.assign(share=offers["share_limit"].where(sells, 0.0))
    shares = able.groupby(["item", "site"])["share"].transform("sum")
    for row, record in _rows(able.assign(all=shares), sells & shares.lt(1 - 1e-9)):
        yield _stop(
            "offers",
            row,
            "share_limit",
            f"{record['share_limit']:g}",
            f"all who can deliver {record['item']} to {record['site']} may together sell only "
            f"{record['all']:.0%} of it, so nothing could be bought",
            "shares of one item and site that add up to 1 or more",
            "Raise the share limits, or add an offer of another supplier.",
        )


def _overdue(tables: dict[str, pd.DataFrame], months: list[pd.Timestamp]) -> Iterator[Finding]:
    """Receipts that should be here already: planned without, so somebody should know."""
    receipts = tables["scheduled_receipts"]
    for row, record in _rows(receipts, receipts["month"].lt(months[0]) & receipts["quantity"].gt(0)):
        yield Finding(
            "scheduled_receipts",
            row,
            "month",
            f"{record['month']:%Y-%m}",
            f"{record['quantity']:,g} of {record['item']} were due before the plan begins and are not counted",
            "warning",
            f"{months[0]:%Y-%m} or later",
            "Say when they will come, or count them in inventory if they are there.",
        )


def _people(tables: dict[str, pd.DataFrame], company: Company) -> Iterator[Finding]:
    workforce = tables["workforce"]
    if company.policies.whole_people:
        for row, record in _rows(workforce, workforce["people"].mod(1).ne(0)):
            yield _stop(
                "workforce",
                row,
                "people",
                f"{record['people']:g}",
                "part of a person, but the settings say whole_people",
                "a whole number",
                "Round it, or set policies.whole_people to false.",
            )


def _capacity(tables: dict[str, pd.DataFrame], months: list[pd.Timestamp]) -> Iterator[Finding]:
    capacity, resources = tables["capacity"], tables["resources"]
    for row, record in _rows(capacity, capacity["maintenance"].gt(capacity["hours"])):
        yield _stop(
            "capacity",
            row,
            "maintenance",
            f"{record['maintenance']:g}",
            "more maintenance than hours",
            f"at most {record['hours']:g}",
            "Correct the maintenance or the hours.",
        )
    # what is missing has no row: named is the row after which it belongs, the header where there is none
    known = capacity.groupby("resource")["month"].agg(set)
    last = (capacity.reset_index().groupby("resource")["index"].max() + 2).to_dict()
    used = set(tables["routings"]["resource"])
    for _, record in _rows(resources, resources["resource"].isin(used)):
        missing = sorted(set(months) - known.get(record["resource"], set()))
        if missing:
            yield _stop(
                "capacity",
                last.get(record["resource"], 1),
                "month",
                f"{missing[0]:%Y-%m}",
                f"{record['resource']} lacks {len(missing)} planned month(s), first {missing[0]:%Y-%m}",
                "a row for each planned month",
                "Add the rows (0 hours where it stands still).",
            )
    if len(tables["workforce"]):
        missing = sorted(set(months) - set(tables["calendar"]["month"]))
        if missing:
            yield _stop(
                "calendar",
                len(tables["calendar"]) + 1,
                "month",
                f"{missing[0]:%Y-%m}",
                f"{len(missing)} planned month(s) have no working days",
                "a row for each planned month",
                "Add the months.",
            )
        crews = set(zip(tables["workforce"]["site"], tables["workforce"]["skill"], strict=True))
        unmanned = pd.Series(
            [
                skill != "" and (site, skill) not in crews
                for site, skill in zip(resources["site"], resources["skill"], strict=True)
            ],
            dtype=bool,
        )
        for row, record in _rows(resources, unmanned):
            yield _stop(
                "resources",
                row,
                "skill",
                record["skill"],
                f"nobody with this skill works at {record['site']}",
                "a skill of workforce at that site",
                "Add the people to workforce, or empty the skill.",
            )
    site = dict(zip(resources["resource"], resources["site"], strict=True))
    routings = tables["routings"]
    named = routings[routings["routing"].ne("")]
    places = named.assign(site=named["resource"].map(site)).groupby(["item", "routing"])["site"].transform("nunique")
    for row, record in _rows(named, places.gt(1)):
        yield _stop(
            "routings",
            row,
            "routing",
            record["routing"],
            "its operations stand at different sites",
            "resources of one site",
            "Divide it: make a semi-finished good at the first site and ship it.",
        )
    for row, record in _rows(tables["lanes"], tables["lanes"]["origin"].eq(tables["lanes"]["destination"])):
        yield _stop(
            "lanes",
            row,
            "destination",
            record["destination"],
            "the lane ends where it begins",
            "another site, or a market",
            "Correct the destination, or remove the row.",
        )
    skill = dict(zip(resources["resource"], resources["skill"], strict=True))
    idle = routings["people_hours"].gt(0) & routings["resource"].map(skill).eq("")
    for row, record in _rows(routings, idle):
        yield _stop(
            "routings",
            row,
            "people_hours",
            f"{record['people_hours']:g}",
            f"needs people, but {record['resource']} has no skill that names them",
            f"0, or a skill of {record['resource']} in resources",
            "Name the skill in resources, or set people_hours to 0.",
        )
    both = set(tables["sites"]["site"]) & set(tables["markets"]["market"])
    for row, record in _rows(tables["markets"], tables["markets"]["market"].isin(both)):
        yield _stop(
            "markets",
            row,
            "market",
            record["market"],
            "a site has the same code",
            "a code of its own",
            "Rename the market or the site.",
        )


def refuse_contradictions(
    tables: dict[str, pd.DataFrame], company: Company, cycle: str, changed: Collection[str] | None = None
) -> None:
    """Raise SupplyDataError with every contradiction in `tables` (conformed): NaN, negative or unknown values first,

    then BOM loops, products and components without a source, unreachable markets, lead times beyond the horizon,
    lots above capacity, shares that forbid every order, lanes that lead nowhere, missing capacity or working days.
    `changed`: tables not checked before; all of them if None.
    """
    asked = [name for name in tables if (changed is None or name in changed) and len(tables[name])]
    found = [finding for name in asked for finding in TABLES[name].findings(tables[name])]
    found += _references(tables)
    found = found or [one for one in contradictions(tables, company, cycle) if one.severity == "error"]
    if found:
        raise SupplyDataError(found)


def contradictions(tables: dict[str, pd.DataFrame], company: Company, cycle: str) -> list[Finding]:
    """Every contradiction between `tables` (conformed, their references known); row 2 is a table's first row.

    All stop the plan but receipts that are overdue: they are planned without. Reads what stage
    supply reads; where demand_plan is empty, what only a demand can contradict is not asked.
    """
    months = company.months(cycle)
    checks = (_products, _lead_times, _lots, _offers, _capacity, _overdue)
    found = [finding for check in checks for finding in check(tables, months)]
    return [*found, *_materials(tables), *_people(tables, company)]
