"""A company in a few lines of text: table name, header, rows; what most tests of the supply room are written in."""

from __future__ import annotations

from io import StringIO
from textwrap import dedent

import demo_company as demo
import pandas as pd

from sopkit.tables import TABLES, Company
from sopkit.tables.company import Policies

CYCLE = "2026-01"
LAYERS = "baseline lifecycle market_conditions campaigns pipeline statistical blended override p10 p90".split()


def months(count: int) -> list[str]:
    return [f"{month:%Y-%m}" for month in pd.date_range(f"{CYCLE}-01", periods=count, freq="MS")]


def company(horizon: int, **policies) -> Company:
    return Company(name="test", horizon=horizon, policies=Policies(**policies))


def read(text: str) -> dict[str, pd.DataFrame]:
    """Tables of blocks divided by an empty line: a name, then CSV."""
    tables = {}
    for block in dedent(text).strip().split("\n\n"):
        name, _, rows = block.strip().partition("\n")
        frame = pd.read_csv(StringIO(rows), skipinitialspace=True)
        texts = [column for column in frame if TABLES[name.strip()][column].kind == "text"]
        tables[name.strip()] = frame.assign(**{column: frame[column].fillna("").astype(str) for column in texts})
    return tables


def demand(rows: dict[tuple[str, str], list[float]], price: dict[str, float]) -> pd.DataFrame:
    """Table `demand_plan` from the consensus of each product and market, month by month."""
    lines = [
        {
            "product": product,
            "market": market,
            "family": "F",
            "month": month,
            "consensus": quantity,
            "price": price[product],
        }
        for (product, market), quantities in rows.items()
        for month, quantity in zip(months(len(quantities)), quantities, strict=True)
    ]
    return pd.DataFrame(lines).assign(**{layer: 0.0 for layer in LAYERS})


def monthly(key: str, rows: dict[str, list[dict] | dict], count: int) -> pd.DataFrame:
    """A table by month: for each key either one row for every month, or a list with a row a month."""
    return pd.DataFrame(
        [
            {key: name, "month": month, **(values[at] if isinstance(values, list) else values)}
            for name, values in rows.items()
            for at, month in enumerate(months(count))
        ]
    )


def with_rows(tables: dict[str, pd.DataFrame], **changed: pd.DataFrame) -> dict[str, pd.DataFrame]:
    return {**tables, **changed}


def made(size: demo.Size, seed: int = demo.SEED) -> dict[str, pd.DataFrame]:
    """All tables of a demo company of any size; its demand plan is the sales department's forecast less its bias."""
    tables = demo.tables(size, seed)
    products = tables["products"].set_index("product")
    plan = tables["sales_forecast"].rename(columns={"quantity": "consensus"})
    plan["consensus"] /= 1 + demo.TRUTH["sales_bias"]
    plan = plan.assign(family=plan["product"].map(products["family"]), price=plan["product"].map(products["price"]))
    tables["demand_plan"] = plan.assign(**{layer: 0.0 for layer in LAYERS})
    return tables


def profit(plan: dict[str, pd.DataFrame]) -> float:
    """Revenue less every cost, service penalties included."""
    costs = plan["supply_costs"]
    return costs["amount"].where(costs["cost"].eq("revenue"), -costs["amount"]).sum()


def shop(prices: dict[str, float], unmet: str = "lost") -> dict[str, pd.DataFrame]:
    """A plant that delivers to one market at no cost."""
    tables = read("""
        families
        family
        F

        sites
        site, kind
        PLANT, plant

        markets
        market, region, channel
        SHOPS, all, retail

        lanes
        origin, destination
        PLANT, SHOPS
        """)
    products = pd.DataFrame({"product": list(prices), "price": prices.values(), "family": "F", "standard_cost": 0.0})
    service = pd.DataFrame({"product": list(prices), "market": "SHOPS", "unmet": unmet})
    return tables | {"products": products, "service_policies": service}


def trigeiro(case: dict) -> dict[str, pd.DataFrame]:
    """A published lot-sizing problem of `textbook.json`: one line with set-ups, demand that must be met."""
    items, count = [f"P{at:02d}" for at in range(1, len(case["hold"]) + 1)], len(case["demand"])
    set_up = {name: case[name] for name in ("setup_hours", "setup_cost")}
    wanted = {(item, "SHOPS"): list(map(float, units)) for item, *units in zip(items, *case["demand"], strict=True)}
    return {
        **shop(dict.fromkeys(items, 0.0), "neither"),
        "resources": pd.DataFrame({"resource": ["LINE"], "site": "PLANT"}),
        "routings": pd.DataFrame({"item": items, "resource": "LINE", "hours": 1.0, **set_up}),
        "capacity": monthly("resource", {"LINE": {"hours": case["capacity"]}}, count),
        "policies": pd.DataFrame({"site": "PLANT", "item": items, "holding_cost": case["hold"]}),
        "demand_plan": demand(wanted, dict.fromkeys(items, 0.0)),
    }


BAGS_MONTHS = 3
BAGS = """
    families
    family, name
    F, Bags

    products
    product, family, name, price, standard_cost, uom
    A, F, Small bag, 20, 8, pcs
    B, F, Large bag, 30, 12, pcs

    sites
    site, name, kind
    PLANT, Plant, plant

    markets
    market, region, channel, name
    SHOPS, North, retail, Shops

    resources
    resource, site, name, hour_cost, overtime_cost
    LINE, PLANT, Line, 10, 15

    routings
    item, resource, hours
    A, LINE, 1
    B, LINE, 2

    lanes
    origin, destination
    PLANT, SHOPS

    service_policies
    product, market, unmet, backlog_price, lost_price
    A, SHOPS, lost, 0, 5
    B, SHOPS, lost, 0, 5
    """


def bags(first: str = CYCLE) -> dict[str, pd.DataFrame]:
    """One line makes two bags for one market; demand is above capacity in March. The plan begins with month `first`."""
    tables, each = read(BAGS), [f"{one:%Y-%m}" for one in pd.date_range(first, periods=BAGS_MONTHS, freq="MS")]
    tables["calendar"] = pd.DataFrame({"month": each, "working_days": 20})
    tables["capacity"] = pd.DataFrame({"resource": "LINE", "month": each, "hours": 100.0, "overtime_limit": 10.0})
    wanted = {"2026-01": (30, 20), "2026-02": (40, 25), "2026-03": (90, 60)}
    small, large = (list(units) for units in zip(*(wanted.get(one, (40, 25)) for one in each), strict=True))
    tables["demand_plan"] = demand({("A", "SHOPS"): small, ("B", "SHOPS"): large}, {"A": 20, "B": 30})
    tables["demand_plan"]["month"] = [*each, *each]
    return tables
