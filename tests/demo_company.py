"""A company to learn, test and measure with, made from a seed: Alpenglow Outdoor, or the same trade at any size.

Alpenglow makes tents, packs, sleeping bags and stoves in two plants and sells them from two distribution centres in
two regions, to shops and online. Its story is built in: a launch, a retirement, a promotion whose promise was never
kept, a line down for maintenance, a supplier at risk, one big CRM deal, a sales forecast that is always too high and a
budget nobody can meet. What is true behind the data is `TRUTH`; the tests hold the stages to it.
`python tests/demo_company.py` writes data/demo again.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import product as pairs
from pathlib import Path
from textwrap import dedent

import numpy as np
import pandas as pd

from sopkit.tables import TABLES

CYCLE = "2026-11"
SEED = 2026

TRUTH = {
    "sales_bias": 0.18,  # the sales department forecasts 18 % too much, always
    "campaign_success": {"price promotion": 0.4, "trade fair": 1.0},  # achieved / promised uplift
    "pull_forward": 0.25,  # of a price promotion's extra units are missing in the month after
    "harmful_owner": "Mara Lind",  # her overrides make the forecast worse
    "helpful_owner": "Ada Brandt",  # hers halve the error
    "budget_above_expected": 0.12,  # the budget's sales lie 12 % above what can be expected
    "one_off": ("BAG-WINTER", "SOUTH-ONLINE", "2024-02", 1500),  # a deal that will not come back
    "stock_out": ("PACK-45", "NORTH-RETAIL", ("2025-06", "2025-07"), 0.45),  # sold 45 % of what was wanted
    "returns": ("STOVE-G1", "SOUTH-ONLINE", "2025-01", -40),  # more came back than was sold
}

# what the last three meetings decided and how it ended, and how those cycles went
_POLES = "Alu Czech may fail in spring. Do we qualify Alu Taiwan for tent poles now?"
_DECIDED = [
    ("2026-08", "Do we rent space in Hamburg until the winter bags are sold?", "rent_space", "Rent 80 m3 in Hamburg",
     "Greta Holm", "Jon Okafor", "2026-09", 18_000, 21_400, "done"),
    ("2026-09", "Which plan do we run?", "base", "", "Greta Holm", "Tomas Novak", "2026-10", None, None, ""),
    ("2026-10", "Do we sew on Saturdays in October?", "saturday_shift", "Saturday shift on the Leipzig sewing line",
     "Tomas Novak", "Tomas Novak", "2026-10", 41_000, 29_300, "at risk"),
    ("2026-10", _POLES, "", "", "", "Lars Eriksen", "2026-12", None, None, ""),
]  # fmt: skip
_STATED = [
    ("2026-06", "OPP-1003", "Mara Lind", 0.8, "lost"), ("2026-06", "OPP-1008", "Pia Weber", 0.3, "lost"),
    ("2026-07", "OPP-1003", "Mara Lind", 0.9, "lost"), ("2026-07", "OPP-1011", "Mara Lind", 0.7, "won"),
    ("2026-07", "OPP-1014", "Pia Weber", 0.5, "won"), ("2026-08", "OPP-1019", "Mara Lind", 0.8, "lost"),
    ("2026-08", "OPP-1014", "Pia Weber", 0.7, "won"), ("2026-09", "OPP-1024", "Mara Lind", 0.6, "lost"),
    ("2026-09", "OPP-1026", "Pia Weber", 0.2, "lost"), ("2026-10", "OPP-1031", "Mara Lind", 0.9, "won"),
    ("2026-10", "OPP-1033", "Pia Weber", 0.4, "lost"), ("2026-10", "OPP-1042", "Mara Lind", 0.6, ""),
]  # fmt: skip
_CYCLES = [
    ("2026-08", "2026-08-06", "2026-08-21", 6, 3, 1, 1), ("2026-09", "2026-09-04", "2026-09-17", 6, 5, 1, 1),
    ("2026-10", "2026-10-06", "2026-10-16", 6, 6, 2, 1),
]  # fmt: skip


@dataclass(frozen=True)
class Size:
    """How large a company is made. `lanes_kept` and `resources_each` thin out the network; `story`: the demo's own."""

    products: int
    families: int
    plants: int
    dcs: int
    markets: int
    resources: int
    materials: int = 0
    history: int = 48
    horizon: int = 18
    resources_each: int = 0  # resources that can make a product; 0 = one in every plant
    lanes_kept: float = 1.0
    stock_policies: bool = True
    story: bool = False


SMALL = Size(products=12, families=4, plants=2, dcs=2, markets=4, resources=5, materials=8, story=True)
REFERENCE = Size(products=200, families=10, plants=3, dcs=0, markets=8, resources=3, history=24, stock_policies=False)


def sparse(products: int) -> Size:
    """A wide, thinly linked network over 24 months: each product on one or two of 20 resources, 30 % of the lanes."""
    return Size(
        products=products,
        families=max(1, products // 50),
        plants=4,
        dcs=0,
        markets=8,
        resources=20,
        history=24,
        horizon=24,
        resources_each=2,
        lanes_kept=0.3,
        stock_policies=False,
    )


# Alpenglow's catalogue: product, name, family, units a month, growth a year, material and work content
_CATALOGUE = [
    ("TENT-2P", "Trail tent, 2 persons", "TENTS", 900, 0.05, 199),
    ("TENT-3P", "Base tent, 3 persons", "TENTS", 620, 0.03, 279),
    ("TENT-4P", "Family tent, 4 persons", "TENTS", 0, 0.0, 359),
    ("PACK-30", "Day pack, 30 l", "PACKS", 1500, 0.06, 89),
    ("PACK-45", "Trek pack, 45 l", "PACKS", 1100, 0.02, 139),
    ("PACK-65", "Expedition pack, 65 l", "PACKS", 480, -0.02, 189),
    ("BAG-SUMMER", "Summer sleeping bag", "BAGS", 850, 0.01, 99),
    ("BAG-WINTER", "Winter sleeping bag", "BAGS", 520, 0.04, 229),
    ("BAG-EXPED", "Expedition sleeping bag", "BAGS", 34, 0.0, 489),
    ("STOVE-G1", "Gas stove, first generation", "STOVES", 700, -0.06, 59),
    ("STOVE-G2", "Gas stove, second generation", "STOVES", 520, 0.10, 69),
    ("STOVE-MULTI", "Multi-fuel stove", "STOVES", 300, 0.03, 129),
]
_FAMILIES = {"TENTS": "Tents", "PACKS": "Packs", "BAGS": "Sleeping bags", "STOVES": "Stoves"}
_SEASONS = np.array(
    [
        [0.45, 0.55, 0.85, 1.20, 1.60, 1.75, 1.55, 1.15, 0.80, 0.60, 0.50, 1.00],
        [0.75, 0.80, 0.95, 1.05, 1.20, 1.25, 1.20, 1.10, 0.95, 0.85, 0.85, 1.05],
        [1.15, 1.00, 0.85, 0.75, 0.75, 0.80, 0.85, 0.95, 1.15, 1.25, 1.25, 1.25],
        [0.60, 0.65, 0.85, 1.10, 1.35, 1.45, 1.40, 1.20, 0.90, 0.75, 0.75, 1.00],
    ]
)
_MARKETS = [
    ("NORTH-RETAIL", "North, shops", "North", "Retail", 1, 0.34, 0.93),
    ("NORTH-ONLINE", "North, online", "North", "Online", 2, 0.21, 1.0),
    ("SOUTH-RETAIL", "South, shops", "South", "Retail", 1, 0.27, 0.93),
    ("SOUTH-ONLINE", "South, online", "South", "Online", 2, 0.18, 1.0),
]
# material, name, unit, cost, lead time, supplier; None = made in house from the next one
_MATERIALS = [
    ("NYLON", "Ripstop nylon", "m2", 5.4, 1, "TEXTIL-PT"),
    ("POLES", "Aluminium pole set", "set", 19.0, 2, "ALU-CZ"),
    ("ZIPPER", "Zip, 2 m", "pcs", 1.3, 1, "TEXTIL-PT"),
    ("FRAME", "Pack frame", "pcs", 16.5, 1, "FRAME-AT"),
    ("FILL", "Down and fibre fill", "kg", 41.0, 1, "DOWN-PL"),
    ("BRASS", "Brass blank", "pcs", 3.6, 1, "METAL-DE"),
    ("VALVE", "Gas valve", "pcs", 9.4, 1, "METAL-DE"),
    ("BURNER", "Burner, pressed in house", "pcs", 8.9, 0, None),
]
_BOM = {
    "TENT-2P": {"NYLON": 9, "POLES": 1, "ZIPPER": 2},
    "TENT-3P": {"NYLON": 13, "POLES": 1.5, "ZIPPER": 2},
    "TENT-4P": {"NYLON": 18, "POLES": 2, "ZIPPER": 3},
    "PACK-30": {"NYLON": 2.2, "FRAME": 1, "ZIPPER": 2},
    "PACK-45": {"NYLON": 3.1, "FRAME": 1, "ZIPPER": 3},
    "PACK-65": {"NYLON": 4.0, "FRAME": 1, "ZIPPER": 4},
    "BAG-SUMMER": {"NYLON": 4, "FILL": 0.5, "ZIPPER": 1},
    "BAG-WINTER": {"NYLON": 5, "FILL": 1.4, "ZIPPER": 1},
    "BAG-EXPED": {"NYLON": 6, "FILL": 2.6, "ZIPPER": 2},
    "STOVE-G1": {"BURNER": 1, "VALVE": 1},
    "STOVE-G2": {"BURNER": 1, "VALVE": 1},
    "STOVE-MULTI": {"BURNER": 2, "VALVE": 1},
    "BURNER": {"BRASS": 2},
}
# resource, name, plant, skill, crew, cost and overtime cost of an hour, {item: hours a unit}
_RESOURCES = [
    (
        "SEW-N",
        "Sewing line, Leipzig",
        "PLANT-N",
        "sewing",
        6,
        24,
        36,
        {
            "TENT-2P": 0.120,
            "TENT-3P": 0.160,
            "TENT-4P": 0.210,
            "BAG-SUMMER": 0.070,
            "BAG-WINTER": 0.100,
            "BAG-EXPED": 0.22,
        },
    ),
    (
        "SEW-S",
        "Sewing line, Brno",
        "PLANT-S",
        "sewing",
        6,
        17,
        26,
        {"TENT-2P": 0.140, "PACK-30": 0.050, "PACK-45": 0.070, "PACK-65": 0.095, "BAG-SUMMER": 0.085},
    ),
    (
        "PACK-N",
        "Pack line, Leipzig",
        "PLANT-N",
        "sewing",
        4,
        22,
        33,
        {"PACK-30": 0.060, "PACK-45": 0.080, "PACK-65": 0.105},
    ),
    (
        "ASM-S",
        "Stove assembly, Brno",
        "PLANT-S",
        "assembly",
        5,
        19,
        28,
        {"STOVE-G1": 0.065, "STOVE-G2": 0.070, "STOVE-MULTI": 0.130},
    ),
    ("PRESS-S", "Burner press, Brno", "PLANT-S", "assembly", 1, 31, 44, {"BURNER": 0.045}),
]
_PEOPLE = [
    ("Ada Brandt", "demand planner", "collect demand"),
    ("Mara Lind", "sales director", "demand decide"),
    ("Jon Okafor", "supply planner", "supply"),
    ("Ines Duarte", "finance", "reconcile"),
    ("Tomas Novak", "operations director", "supply decide"),
    ("Greta Holm", "managing director", "decide publish"),
    ("Pia Weber", "marketing", "demand"),
    ("Lars Eriksen", "purchasing", "supply"),
]
_CURVE = [0.25, 0.45, 0.60, 0.75, 0.85, 0.95, 1.0]


class _Maker:
    """The company being made: what every table is drawn from. Arrays are product x market x month."""

    def __init__(self, size: Size, seed: int, cycle: str) -> None:
        self.size, self.rng = size, np.random.default_rng(seed)
        self.cycle = pd.Timestamp(cycle + "-01")
        self.past = pd.date_range(end=self.cycle - pd.DateOffset(months=1), periods=size.history, freq="MS")
        self.future = pd.date_range(self.cycle, periods=size.horizon, freq="MS")
        self.months = self.past.append(self.future)
        self._name()
        self._sell()

    def _name(self) -> None:
        size, rng = self.size, self.rng
        if size.story:
            self.families = list(_FAMILIES)
            self.products = [row[0] for row in _CATALOGUE]
            self.family = np.array([self.families.index(row[2]) for row in _CATALOGUE])
            self.level = np.array([row[3] for row in _CATALOGUE], float)
            self.growth = np.array([row[4] for row in _CATALOGUE])
            self.price = np.array([row[5] for row in _CATALOGUE], float)
            self.plants, self.dcs = ["PLANT-N", "PLANT-S"], ["DC-N", "DC-S"]
            self.markets = [row[0] for row in _MARKETS]
            self.market_share = np.array([row[5] for row in _MARKETS])
            self.market_price = np.array([row[6] for row in _MARKETS])
        else:
            width = len(str(size.products))
            self.families = [f"F{i + 1:02d}" for i in range(size.families)]
            self.products = [f"P{i + 1:0{width}d}" for i in range(size.products)]
            self.family = np.arange(size.products) % size.families
            self.level = rng.lognormal(6.0, 0.8, size.products).round()
            self.growth = rng.normal(0.02, 0.04, size.products)
            self.price = rng.lognormal(4.5, 0.6, size.products).round(2)
            self.plants = [f"PLANT-{i + 1}" for i in range(size.plants)]
            self.dcs = [f"DC-{i + 1}" for i in range(size.dcs)]
            self.markets = [f"M{i + 1:02d}" for i in range(size.markets)]
            self.market_share = rng.dirichlet(np.full(size.markets, 8.0))
            self.market_price = np.ones(size.markets)
        self.season = _SEASONS[self.family % len(_SEASONS)]

    def _sell(self) -> None:
        """Expected demand before any event, and what was sold."""
        rng, size = self.rng, self.size
        years = (np.arange(len(self.months)) - size.history) / 12
        trend = np.maximum(1 + self.growth[:, None] * years, 0.2)
        seasonal = self.season[:, self.months.month - 1]
        self.expected = (self.level[:, None] * trend * seasonal)[:, None, :] * self.market_share[None, :, None]
        noise = rng.lognormal(0, 0.09, self.expected.shape)
        self.wanted = self.expected * noise
        if size.story:
            self._events()
        self.sold = np.maximum(self.wanted[:, :, : size.history], 0).round()
        if size.story:
            for (product, market, month), value in self._exceptions().items():
                self.sold[self.at(product), self.markets.index(market), self.past.get_loc(month)] = value

    def at(self, product: str) -> int:
        return self.products.index(product)

    def _events(self) -> None:
        """Campaigns, the second-generation stove's late start, and sparse demand of the expedition bag."""
        uplift = np.zeros_like(self.wanted)
        for row in self.campaigns().itertuples():
            if np.isnan(row.achieved_uplift):
                continue
            p, m = self.at(row.product), self.markets.index(row.market)
            first, last = self.months.get_loc(row.start_month), self.months.get_loc(row.end_month)
            extra = self.expected[p, m, first : last + 1] * row.achieved_uplift
            uplift[p, m, first : last + 1] += extra
            if row.campaign_kind == "price promotion":
                uplift[p, m, last + 1] -= TRUTH["pull_forward"] * extra.sum()
        self.wanted = self.wanted + uplift
        second = self.at("STOVE-G2")
        self.wanted[second, :, : len(self.past) - 20] = 0
        self.expected[second, :, : len(self.past) - 20] = 0
        sparse_bag = self.at("BAG-EXPED")
        orders = self.rng.random(self.wanted[sparse_bag].shape) < 0.3
        self.wanted[sparse_bag] = orders * self.wanted[sparse_bag] / 0.3

    def _exceptions(self) -> dict[tuple[str, str, pd.Timestamp], float]:
        def usual(product: str, market: str, month: str) -> float:
            return self.sold[self.at(product), self.markets.index(market), self.past.get_loc(pd.Timestamp(month))]

        product, market, month, units = TRUTH["one_off"]
        out = {(product, market, pd.Timestamp(month)): usual(product, market, month) + units}
        product, market, months, kept = TRUTH["stock_out"]
        for month in months:
            out[product, market, pd.Timestamp(month)] = round(usual(product, market, month) * kept)
        product, market, month, units = TRUTH["returns"]
        out[product, market, pd.Timestamp(month)] = float(units)
        return out

    # demand tables ----------------------------------------------------------------------------------------------

    def long(self, values: np.ndarray, months: pd.DatetimeIndex, name: str = "quantity") -> pd.DataFrame:
        """An array product x market x month as rows."""
        index = pd.MultiIndex.from_product([self.products, self.markets, months], names=["product", "market", "month"])
        return pd.Series(values.reshape(-1), index, name=name).reset_index()

    def sales_history(self) -> pd.DataFrame:
        frame = self.long(self.sold, self.past)
        net = np.repeat((self.price[:, None] * self.market_price[None, :]).reshape(-1), len(self.past))
        frame["revenue"] = (frame["quantity"] * net).round(2)
        return frame[frame["quantity"] != 0]

    def campaigns(self) -> pd.DataFrame:
        rows = []
        starts = [
            ("2024-04", "TENT-2P"),
            ("2024-09", "BAG-WINTER"),
            ("2025-04", "PACK-30"),
            ("2025-05", "TENT-2P"),
            ("2025-09", "BAG-WINTER"),
            ("2026-04", "TENT-3P"),
            ("2026-09", "BAG-WINTER"),
        ]
        for (start, product), market in pairs(starts, ("NORTH-RETAIL", "SOUTH-RETAIL")):
            promised = 0.30 if start < "2025" else 0.35
            rows.append(
                (
                    f"PROMO-{start}-{product}",
                    "price promotion",
                    product,
                    market,
                    start,
                    start,
                    promised,
                    round(promised * TRUTH["campaign_success"]["price promotion"], 4),
                    9000.0,
                )
            )
        for start, product in (("2024-06", "STOVE-MULTI"), ("2025-06", "PACK-65"), ("2026-06", "STOVE-MULTI")):
            rows.append((f"FAIR-{start}", "trade fair", product, "NORTH-ONLINE", start, start, 0.15, 0.15, 14000.0))
        for market in ("NORTH-RETAIL", "SOUTH-RETAIL"):
            rows.append(
                (
                    "PROMO-2027-04-TENT-2P",
                    "price promotion",
                    "TENT-2P",
                    market,
                    "2027-04",
                    "2027-05",
                    0.35,
                    np.nan,
                    12000.0,
                )
            )
        rows.append(
            ("FAIR-2027-06", "trade fair", "STOVE-MULTI", "NORTH-ONLINE", "2027-06", "2027-06", 0.15, np.nan, 14000.0)
        )
        frame = pd.DataFrame(rows, columns=[name for name in TABLES["campaigns"].names if name != "discount"])
        for column in ("start_month", "end_month"):
            frame[column] = pd.to_datetime(frame[column])
        return frame

    def outlook(self) -> np.ndarray:
        """What can truly be expected in the planned months, with the launch and the retirement."""
        outlook = self.expected[:, :, len(self.past) :].copy()
        if self.size.story:
            like, launch = self.at("TENT-3P"), self.at("TENT-4P")
            age = np.arange(len(self.future)) - 3  # sold from February 2027
            factor = np.where(age < 0, 0, np.array(_CURVE)[np.clip(age, 0, len(_CURVE) - 1)]) * 0.8
            outlook[launch] = outlook[like] * factor
            old, new = self.at("STOVE-G1"), self.at("STOVE-G2")
            gone = self.future > pd.Timestamp("2027-03")
            outlook[new][:, gone] += outlook[old][:, gone]
            outlook[old][:, gone] = 0
        return outlook

    def sales_forecast(self) -> pd.DataFrame:
        noise = self.rng.lognormal(0, 0.06, self.outlook().shape)
        return self.long((self.outlook() * (1 + TRUTH["sales_bias"]) * noise).round(), self.future)

    def past_forecasts(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Six frozen cycles of every stream, with their overrides: six months ahead, the last one its whole horizon."""
        forecasts, overrides = [], []
        full = np.concatenate([self.expected[:, :, : len(self.past)], self.outlook()], axis=2)
        for back in range(6, 0, -1):
            start = len(self.past) - back
            cycle, steps = self.months[start], np.arange(6 if back > 1 else self.size.horizon)
            truth = full[:, :, start : start + len(steps)]
            baseline = truth * self.rng.lognormal(0, np.minimum(0.06 + 0.015 * steps, 0.15), truth.shape)
            campaigns = baseline.copy()
            for row in self.campaigns().itertuples():  # planned at what was promised, every time
                inside = [i for i in steps if row.start_month <= self.months[start + i] <= row.end_month]
                campaigns[self.at(row.product), self.markets.index(row.market), inside] *= 1 + row.promised_uplift
            sales = truth * (1 + TRUTH["sales_bias"]) * self.rng.lognormal(0, 0.10, truth.shape)
            blended = (campaigns + sales) / 2
            consensus = blended.copy()
            for owner in (TRUTH["harmful_owner"],) * 10 + (TRUTH["helpful_owner"],) * 10:
                p, m, step = (int(self.rng.integers(n)) for n in (len(self.products), len(self.markets), 3))
                if truth[p, m, step] < 20 or back <= step:
                    continue
                helps = owner == TRUTH["helpful_owner"]
                before = consensus[p, m, step]
                after = (
                    before + 0.6 * (self.wanted[p, m, start + step] - before)
                    if helps
                    else before * self.rng.uniform(1.15, 1.4)
                )
                overrides.append(
                    (
                        cycle,
                        owner,
                        self.products[p],
                        self.markets[m],
                        self.months[start + step],
                        round(before),
                        round(after),
                        "shop count" if helps else "feels right",
                    )
                )
                consensus[p, m, step] = after
            naive = self.sold[:, :, start - 12 + steps % 12]
            for stream, values in (
                ("naive", naive),
                ("baseline", baseline),
                ("campaigns", campaigns),
                ("statistical", campaigns),
                ("sales", sales),
                ("blended", blended),
                ("consensus", consensus),
            ):
                frame = self.long(np.maximum(values, 0).round(), self.months[start : start + len(steps)])
                forecasts.append(frame.assign(cycle=cycle, stream=stream))
        frame = pd.DataFrame(overrides, columns=TABLES["past_overrides"].names)
        key = list(TABLES["past_overrides"].key)
        return pd.concat(forecasts, ignore_index=True), frame.drop_duplicates(key, keep="last")

    def budget(self) -> pd.DataFrame:
        """The budget: sales 12 % above what can be expected, at a better margin, with less stock."""
        units, stretch = self.outlook(), 1 + TRUTH["budget_above_expected"]
        sales = units * (self.price[:, None, None] * self.market_price[None, :, None])
        margin = sales - units * self.cost[:, None, None]
        rows = []
        for f, family in enumerate(self.families):
            mine = self.family == f
            for t, month in enumerate(self.future):
                rows.append(
                    (
                        family,
                        month,
                        round(units[mine, :, t].sum() * stretch),
                        round(units[mine, :, t].sum() * 0.8),
                        round(sales[mine, :, t].sum() * stretch, 2),
                        round(margin[mine, :, t].sum() * stretch * 1.05, 2),
                    )
                )
        return pd.DataFrame(rows, columns=TABLES["budget"].names)

    # supply tables ----------------------------------------------------------------------------------------------

    @cached_property
    def routings(self) -> pd.DataFrame:
        if self.size.story:
            rows = [
                (item, resource[0], hours, 1.5, 0.985 if item.startswith("STOVE") else 1.0)
                for resource in _RESOURCES
                for item, hours in resource[7].items()
            ]
        else:
            rows, codes = [], [f"LINE-{i + 1:02d}" for i in range(self.size.resources)]
            hours = self.rng.uniform(0.02, 0.12, len(self.products)).round(4)
            for p, product in enumerate(self.products):
                each = self.size.resources_each
                chosen = codes if not each else sorted(self.rng.choice(codes, 1 + p % each, replace=False))
                rows += [
                    (product, str(code), round(hours[p] * self.rng.uniform(0.9, 1.2), 4), 1.0, 1.0) for code in chosen
                ]
        return pd.DataFrame(rows, columns=["item", "resource", "hours", "cost", "yield"])

    def resources(self) -> pd.DataFrame:
        if self.size.story:
            return pd.DataFrame(
                [row[:3] + row[5:7] + row[3:5] for row in _RESOURCES],
                columns=["resource", "name", "site", "hour_cost", "overtime_cost", "skill", "crew"],
            )
        rows = [
            (f"LINE-{i + 1:02d}", f"Line {i + 1}", self.plants[i % len(self.plants)], 30.0 + i, 45.0 + 1.5 * i, "", 1.0)
            for i in range(self.size.resources)
        ]
        return pd.DataFrame(rows, columns=["resource", "name", "site", "hour_cost", "overtime_cost", "skill", "crew"])

    def capacity(self) -> pd.DataFrame:
        """Regular hours a little above the year's mean load, so that the season must be built ahead or worked over."""
        routings = self.routings
        units = pd.Series(self.outlook().sum(axis=(1, 2)) / len(self.future), self.products)
        if self.size.story:
            units["BURNER"] = sum(units[p] * parts.get("BURNER", 0) for p, parts in _BOM.items() if p in units)
        ways = routings.groupby("item")["resource"].transform("size")
        load = (routings["hours"] * routings["item"].map(units) / ways).groupby(routings["resource"]).sum()
        if self.size.story:
            load["SEW-S"], load["SEW-N"], load["PACK-N"] = 194.0, 221.0, 93.0
        rows = []
        for resource, t in pairs(self.resources()["resource"], range(len(self.future))):
            days = self.working_days(self.future)[t] / 20.7
            hours = round(load[resource] * 1.06 * days, 1)
            down = self.size.story and resource == "SEW-N" and self.future[t] == pd.Timestamp("2027-03")
            rows.append(
                (resource, self.future[t], hours, round(hours * 0.7, 1) if down else 0.0, round(hours * 0.15, 1))
            )
        return pd.DataFrame(rows, columns=["resource", "month", "hours", "maintenance", "overtime_limit"])

    @staticmethod
    def working_days(months: pd.DatetimeIndex) -> np.ndarray:
        starts = months.values.astype("datetime64[D]")
        ends = (months + pd.DateOffset(months=1)).values.astype("datetime64[D]")
        days = np.busday_count(starts, ends).astype(float)
        return np.where(months.month == 12, days - 4, np.where(months.month == 8, days - 5, days))

    def supply(self) -> dict[str, pd.DataFrame]:
        """Sites, ways, stock, people, materials, suppliers, and what they cost."""
        size, rng = self.size, self.rng
        routings, resources = self.routings, self.resources()
        hour_cost = routings["resource"].map(resources.set_index("resource")["hour_cost"])
        work = (routings["hours"] * hour_cost + routings["cost"]).groupby(routings["item"]).mean()
        material_cost = {row[0]: row[3] for row in _MATERIALS} if size.story else {}
        parts = pd.Series(
            {p: sum(material_cost[c] * n for c, n in _BOM[p].items()) if size.story else 0.0 for p in self.products}
        )
        # people are paid by the month, so standard cost carries their hours too
        crew = (
            (routings["hours"] * routings["resource"].map(resources.set_index("resource")["crew"]))
            .groupby(routings["item"])
            .mean()
        )
        people = crew * (19.0 if size.story else 0.0)
        self.cost = (parts + people.reindex(self.products) + work.reindex(self.products)).to_numpy().round(2)
        if not size.story:
            self.cost = np.minimum(self.cost, self.price * 0.7).round(2)
        monthly = self.outlook().mean(axis=2)
        sites = [(s, "plant") for s in self.plants] + [(s, "dc") for s in self.dcs]
        stocked = self.dcs or self.plants
        region = {m: stocked[i * len(stocked) // len(self.markets)] for i, m in enumerate(self.markets)}
        here = np.array([[region[m] == s for m in self.markets] for s in stocked])
        site_monthly = monthly @ here.T
        lanes = []
        for origin, destination in pairs(self.plants, self.dcs):
            near = self.plants.index(origin) == self.dcs.index(destination)
            lanes.append((origin, destination, 0.9 if near else 2.1, 0 if near else 1))
        for origin, market in pairs(stocked, self.markets):
            near = region[market] == origin
            if size.lanes_kept == 1 or near or rng.random() < size.lanes_kept:
                lanes.append((origin, market, 1.6 if near else 4.2, 0))
        inventory, policies = [], []
        for (s, site), (p, product) in pairs(enumerate(stocked), enumerate(self.products)):
            inventory.append((site, product, round(site_monthly[p, s] * 0.9)))
            if size.stock_policies:
                policies.append(
                    (
                        site,
                        product,
                        round(site_monthly[p, s] * 0.5),
                        round(self.cost[p] * 0.06, 3),
                        np.nan,
                        round(self.cost[p] * 0.015, 3),
                    )
                )
            else:
                policies.append((site, product, 0.0, 0.0, np.nan, round(self.cost[p] * 0.015, 3)))
        services = [
            (
                product,
                market,
                "backlog" if market.endswith("RETAIL") or not size.story else "either",
                round(self.price[p] * 0.05, 2),
                round(self.price[p] * 0.15, 2),
            )
            for (p, product), market in pairs(enumerate(self.products), self.markets)
        ]
        out = {
            "sites": pd.DataFrame(sites, columns=["site", "kind"]),
            "lanes": pd.DataFrame(lanes, columns=["origin", "destination", "cost", "lead_time"]),
            "inventory": pd.DataFrame(inventory, columns=["site", "item", "quantity"]),
            "policies": pd.DataFrame(
                policies,
                columns=["site", "item", "safety_stock", "safety_stock_price", "maximum_stock", "holding_cost"],
            ),
            "service_policies": pd.DataFrame(
                services, columns=["product", "market", "unmet", "backlog_price", "lost_price"]
            ),
            "resources": resources,
            "routings": routings,
            "capacity": self.capacity(),
        }
        return out | (self.story_supply(out, monthly) if size.story else {})

    def story_supply(self, made: dict[str, pd.DataFrame], monthly: np.ndarray) -> dict[str, pd.DataFrame]:
        """What only Alpenglow has: materials, suppliers, people, goods on the way, storage."""
        use = pd.Series({m[0]: 0.0 for m in _MATERIALS})
        for p, product in enumerate(self.products):
            for component, quantity in _BOM[product].items():
                use[component] += monthly[p].sum() * quantity
        use["BRASS"] = use["BURNER"] * 2
        plants_using = {
            "FRAME": self.plants,
            "FILL": self.plants,
            "POLES": self.plants,
            "NYLON": self.plants,
            "ZIPPER": self.plants,
        }
        offers, stock, policies, arrivals = [], [], [], []
        for material, _, _, cost, lead, supplier in _MATERIALS:
            for site in plants_using.get(material, ["PLANT-S"]):
                each = use[material] / len(plants_using.get(material, ["PLANT-S"]))
                stock.append((site, material, round(each * 1.6)))
                policies.append(
                    (site, material, round(each * 0.3), round(cost * 0.05, 3), round(each * 6), round(cost * 0.012, 4))
                )
                if supplier:
                    limit = each * (1.05 if material == "POLES" else 1.9)
                    offers.append((supplier, material, site, cost, round(limit), lead, 0.0))
                    arrivals += [(site, material, self.future[step], round(each)) for step in range(lead)]
        for site in self.plants:
            offers.append(("ALU-TW", "POLES", site, 24.5, round(use["POLES"] * 0.3), 3, 0.0))
        for site in self.dcs:
            offers.append(("SUB-VN", "PACK-30", site, round(self.cost[self.at("PACK-30")] * 1.25, 2), 160, 3, 0.0))
            offers.append(("SUB-VN", "TENT-2P", site, round(self.cost[self.at("TENT-2P")] * 1.30, 2), 80, 3, 0.0))
        names = {
            "TEXTIL-PT": ("Textil Porto", "PT", 0.02),
            "ALU-CZ": ("Alu Czech", "CZ", 0.20),
            "FRAME-AT": ("Rahmen Graz", "AT", 0.03),
            "DOWN-PL": ("Puch Polska", "PL", 0.05),
            "METAL-DE": ("Metall Harz", "DE", 0.03),
            "ALU-TW": ("Alu Taiwan", "TW", 0.05),
            "SUB-VN": ("Saigon Outdoor, subcontractor", "VN", 0.08),
        }
        hours = made["capacity"].merge(made["resources"], on="resource")
        need = (
            (hours["hours"] * hours["crew"]).groupby([hours["site"], hours["skill"]]).sum()
            / len(self.future)
            / (7.5 * 20.7)
        )
        workforce = [
            (
                site,
                skill,
                int(np.ceil(n * 0.97)),
                7.5,
                2900.0 if site == "PLANT-N" else 2100.0,
                16.0,
                27.0 if site == "PLANT-N" else 20.0,
                3500.0,
                8000.0,
                2,
                4,
            )
            for (site, skill), n in need.items()
        ]
        sites = made["sites"].assign(
            name=["Leipzig plant", "Brno plant", "Hamburg distribution centre", "Milan distribution centre"],
            storage=[900.0, 900.0, 520.0, 430.0],
            overflow_price=[18.0, 14.0, 25.0, 25.0],
        )
        stock = pd.DataFrame(stock, columns=["site", "item", "quantity"])
        policies = pd.DataFrame(policies, columns=made["policies"].columns)
        return {
            "sites": sites,
            "materials": pd.DataFrame(
                [m[:4] for m in _MATERIALS], columns=["material", "name", "uom", "standard_cost"]
            ).assign(volume=[0.001, 0.004, 0.0005, 0.01, 0.012, 0.0002, 0.0003, 0.0006]),
            "bom": pd.DataFrame(
                [(i, c, q) for i, parts in _BOM.items() for c, q in parts.items()],
                columns=["item", "component", "quantity"],
            ),
            "inventory": pd.concat([made["inventory"], stock], ignore_index=True).assign(as_of="2026-10-31"),
            "policies": pd.concat([made["policies"], policies], ignore_index=True),
            "suppliers": pd.DataFrame(
                [(c, *rest) for c, rest in names.items()], columns=["supplier", "name", "country", "risk"]
            ),
            "offers": pd.DataFrame(
                offers, columns=["supplier", "item", "site", "price", "capacity", "lead_time", "minimum_order"]
            ),
            "scheduled_receipts": pd.DataFrame(arrivals, columns=["site", "item", "month", "quantity"]),
            "workforce": pd.DataFrame(
                workforce,
                columns=[
                    "site",
                    "skill",
                    "people",
                    "hours_per_day",
                    "wage",
                    "overtime_limit",
                    "overtime_cost",
                    "hire_cost",
                    "layoff_cost",
                    "hire_lead_time",
                    "most_hires",
                ],
            ),
        }

    # what happened ------------------------------------------------------------------------------------------------

    def happened(self) -> dict[str, pd.DataFrame]:
        """Two years of stock and production that tie to what was sold, work orders, plans of six cycles, balance sheet."""
        rng, last = self.rng, 24
        months = self.past[-last:]
        here = np.array([[0, 1][i * 2 // len(self.markets)] for i in range(len(self.markets))])
        stock_rows, made_rows, orders = [], [], []
        for (p, product), (s, dc) in pairs(enumerate(self.products), enumerate(self.dcs)):
            sold = self.sold[p][here == s][:, -last:].sum(axis=0)
            opening = sold.mean() * 1.2
            cover = sold.mean() * rng.uniform(0.75, 1.25, last)
            out_product, _, out_months, _ = TRUTH["stock_out"]
            if product == out_product and s == 0:
                cover[[months.get_loc(pd.Timestamp(m)) for m in out_months]] = 0
            closing = cover.round()
            made = np.maximum(sold + np.diff(np.concatenate([[opening], closing])), 0).round()
            stock_rows += [(month, dc, product, max(0.0, q)) for month, q in zip(months, closing, strict=True)]
            plant = next(row[2] for row in _RESOURCES if product in row[7])
            made_rows += [(month, plant, product, q) for month, q in zip(months, made, strict=True)]
        made = pd.DataFrame(made_rows, columns=["month", "site", "product", "quantity"])
        made = made.groupby(["month", "site", "product"], as_index=False)["quantity"].sum()
        for row in made[made["month"] >= self.past[-12]].itertuples():
            for lot in range(2):
                start = row.month + pd.Timedelta(days=int(rng.integers(0, 14)) + 10 * lot)
                days = 3 + int(rng.gamma(2.0, 2.0))
                if row.quantity > 1:
                    orders.append(
                        (
                            f"WO-{len(orders) + 10001}",
                            row.product,
                            start,
                            start + pd.Timedelta(days=days),
                            row.quantity / 2,
                        )
                    )
        stock = pd.DataFrame(stock_rows, columns=["month", "site", "item", "quantity"])
        family = dict(zip(self.products, [self.families[f] for f in self.family], strict=True))
        cost, price = (
            dict(zip(self.products, self.cost, strict=True)),
            dict(zip(self.products, self.price, strict=True)),
        )
        plans = []
        sold = self.sales_history()
        facts = {
            "production": made.assign(family=made["product"].map(family))
            .groupby(["month", "family"])["quantity"]
            .sum(),
            "stock": stock.assign(family=stock["item"].map(family)).groupby(["month", "family"])["quantity"].sum(),
            "shipments": sold.assign(family=sold["product"].map(family)).groupby(["month", "family"])["quantity"].sum(),
            "sales": sold.assign(family=sold["product"].map(family)).groupby(["month", "family"])["revenue"].sum(),
            "margin": sold.assign(
                family=sold["product"].map(family), m=sold["revenue"] - sold["quantity"] * sold["product"].map(cost)
            )
            .groupby(["month", "family"])["m"]
            .sum(),
        }
        drift = {"production": 0.05, "stock": 0.10, "shipments": 0.06, "sales": 0.06, "margin": 0.08}
        for back, (measure, fact), family_name in pairs(range(6, 0, -1), facts.items(), self.families):
            for step in range(6):
                month = self.past[-back] + pd.DateOffset(months=step)
                known = month if month <= self.past[-1] else month - pd.DateOffset(years=1)
                value = fact.get((known, family_name), 0.0) * (1 + drift[measure] * rng.normal(0.6, 0.6))
                plans.append((self.past[-back], measure, family_name, month, round(value)))
        return {
            "stock_history": stock,
            "production_history": made,
            "work_orders": pd.DataFrame(orders, columns=["order", "product", "start", "finish", "quantity"]),
            "past_plans": pd.DataFrame(plans, columns=["cycle", "measure", "family", "month", "quantity"]),
            "balance_sheet": pd.DataFrame(
                [
                    (
                        self.past[-1],
                        round(float(np.dot(self.sold[:, :, -1].sum(axis=1), self.price)) * 1.45, 2),
                        round(float(np.dot(self.sold[:, :, -1].sum(axis=1), self.cost)) * 1.2, 2),
                        2_150_000.0,
                        1_480_000.0,
                        44.0,
                        36.0,
                    )
                ],
                columns=TABLES["balance_sheet"].names,
            ),
            "prices": pd.DataFrame(
                [
                    (p, m, round(price[p] * f, 2))
                    for p in self.products
                    for m, f in zip(self.markets, self.market_price, strict=True)
                    if f != 1
                ],
                columns=["product", "market", "price"],
            ),
        }

    def story(self) -> dict[str, pd.DataFrame]:
        """What people at Alpenglow know about the months ahead."""
        forecasts, overrides = self.past_forecasts()
        deals = [
            (
                "OPP-1042",
                "Scandinavian Scouts",
                "TENT-2P",
                "NORTH-RETAIL",
                "2027-05",
                2400,
                0.7,
                "proposal",
                "Mara Lind",
                False,
            ),
            ("OPP-1051", "Alpine Club", "PACK-65", "SOUTH-RETAIL", "2027-03", 260, 0.5, "proposal", "Pia Weber", False),
            (
                "OPP-1055",
                "City Sports chain",
                "BAG-SUMMER",
                "SOUTH-RETAIL",
                "2027-01",
                420,
                0.8,
                "negotiation",
                "Mara Lind",
                True,
            ),
            (
                "OPP-1063",
                "Relief Agency",
                "STOVE-MULTI",
                "NORTH-ONLINE",
                "2027-02",
                500,
                0.3,
                "lead",
                "Pia Weber",
                False,
            ),
            (
                "OPP-1070",
                "Trek & Travel",
                "PACK-45",
                "NORTH-RETAIL",
                "2027-04",
                300,
                0.6,
                "proposal",
                "Mara Lind",
                True,
            ),
        ]
        conditions = [
            ("Hiking boom fades", "PACKS", market, month, -0.03) for market in self.markets for month in self.future[2:]
        ]
        conditions += [
            ("Camp site opening", "TENTS", market, month, 0.04)
            for market in self.markets
            if market.startswith("SOUTH")
            for month in self.future[5:10]
        ]
        return {
            "curves": pd.DataFrame(
                [("steady", age, factor * 0.8) for age, factor in enumerate(_CURVE)], columns=["curve", "age", "factor"]
            ),
            "campaigns": self.campaigns(),
            "pipeline": pd.DataFrame(deals, columns=TABLES["pipeline"].names).assign(
                month=lambda d: pd.to_datetime(d["month"])
            ),
            "market_conditions": pd.DataFrame(conditions, columns=["driver", "family", "market", "month", "effect"]),
            "past_forecasts": forecasts,
            "past_overrides": overrides,
            "past_decisions": _dated("past_decisions", _DECIDED),
            "past_pipeline": _dated("past_pipeline", _STATED),
            "past_cycles": _dated("past_cycles", _CYCLES),
        }

    def everything(self) -> dict[str, pd.DataFrame]:
        """Every input table of the company."""
        supply = self.supply()
        story = self.size.story
        products = pd.DataFrame(
            {
                "product": self.products,
                "family": [self.families[f] for f in self.family],
                "price": self.price,
                "standard_cost": self.cost,
            }
        )
        if story:
            dates = {
                "TENT-4P": ("2027-02", None, "TENT-3P", "steady", ""),
                "STOVE-G1": (None, "2027-03", "", "", "STOVE-G2"),
                "STOVE-G2": ("2025-03", None, "", "", ""),
            }
            more = [dates.get(p, (None, None, "", "", "")) for p in self.products]
            products = products.assign(
                name=[row[1] for row in _CATALOGUE],
                launch_month=pd.to_datetime([m[0] for m in more]),
                end_month=pd.to_datetime([m[1] for m in more]),
                like_product=[m[2] for m in more],
                curve=[m[3] for m in more],
                successor=[m[4] for m in more],
                volume=np.array([0.035, 0.05, 0.07])[self.family.clip(0, 2)] * (self.family != 3)
                + 0.008 * (self.family == 3),
            )
        frames = {
            "families": pd.DataFrame(
                {"family": self.families, "name": [_FAMILIES.get(f, f"Family {f[1:]}") for f in self.families]}
            ),
            "products": products,
            "markets": pd.DataFrame(
                [row[:5] for row in _MARKETS] if story else [(m, m, "All", "All", 1) for m in self.markets],
                columns=["market", "name", "region", "channel", "priority"],
            ),
            "calendar": pd.DataFrame({"month": self.months, "working_days": self.working_days(self.months)}),
            "sales_history": self.sales_history(),
            "sales_forecast": self.sales_forecast(),
            "budget": self.budget(),
            "people": pd.DataFrame(_PEOPLE, columns=["name", "role", "may_sign"]),
        } | supply
        if story:
            frames |= self.story() | self.happened()
        return frames


def _dated(name: str, rows: list[tuple]) -> pd.DataFrame:
    """Rows of table `name` with their months and days as dates."""
    frame = pd.DataFrame(rows, columns=TABLES[name].names)
    days = [column.name for column in TABLES[name] if column.kind in ("month", "date")]
    return frame.assign(**{day: pd.to_datetime(frame[day]) for day in days})


def tables(size: Size = SMALL, seed: int = SEED, cycle: str = CYCLE) -> dict[str, pd.DataFrame]:
    """Every input table of a made company, checked against its declaration; those it has no rows for are empty."""
    made = _Maker(size, seed, cycle).everything()
    return {
        table.name: table.check(made[table.name]) if table.name in made else table.empty()
        for table in TABLES.values()
        if table.stage == "collect" and table.owner != "collect"
    }


COMPANY_YAML = """\
    name: Alpenglow Outdoor
    currency: EUR
    fiscal_year_start: 1
    horizon: 18

    policies:
      allocation: profit
      backlog_at_end: priced
      stock_budget: 1500000
      stock_budget_price: 0.01

    consensus:
      lag: 1
      streams:
        statistical: {least: 0.3, most: 0.9}
        sales: {least: 0.1, most: 0.7}

    workflow:
      collect: {owner: Ada Brandt, day: 3}
      demand: {owner: Ada Brandt, participants: [Mara Lind, Pia Weber], day: 6, ticks: [sales has confirmed the open deals]}
      supply: {owner: Jon Okafor, participants: [Tomas Novak, Lars Eriksen], day: 8}
      reconcile: {owner: Ines Duarte, day: 9}
      decide: {owner: Greta Holm, day: 11}
      publish: {owner: Greta Holm, day: 12}

    kpi_targets:
      total_sales: {target: 13200000, owner: Mara Lind}
      forecast_against_actual: {target: 0.05, owner: Ada Brandt, better: lower}
      gross_margin: {target: 0.57, owner: Ines Duarte}
      cycle_time: {target: 6, owner: Tomas Novak, better: lower}
      inventory_turns: {target: 9, owner: Jon Okafor}
      working_capital: {target: 3500000, owner: Ines Duarte, better: lower}
      capacity_utilisation: {target: 0.95, owner: Tomas Novak, better: lower}
      production_forecast: {target: 95000, owner: Jon Okafor}

    assumptions:
      dso-constant:
        statement: Customers go on paying after 44 days; suppliers are paid after 36 days.
        owner: Ines Duarte
        table: balance_sheet
        expires: 2027-06
      agency-people:
        statement: No agency workers are used; only hiring and overtime add hours.
        owner: Tomas Novak
        table: workforce
    """

SCENARIOS_YAML = """\
    # A scenario is a short list of changes on any table: it is solved beside the base and compared on one page.
    # kind: option = ours to choose (it may cost money once or monthly), event = happens to us, with its probability.
    second_shift:
      title: Evening shift on the Leipzig sewing line, January to June
      owner: Tomas Novak
      against: []  # no event of this file matters to it
      changes:
        - {table: capacity, where: {resource: SEW-N, month: 2027-01..2027-06}, column: overtime_limit, add: 90}
        - {table: workforce, where: {site: PLANT-N, skill: sewing}, column: people, add: 5}

    poles_outage:
      title: Alu Czech cannot deliver poles from January to May
      kind: event
      supplier: ALU-CZ  # its risk in table suppliers is the probability
      owner: Lars Eriksen
      changes:
        - table: supplier_capacity
          rows:
            - {supplier: ALU-CZ, item: POLES, site: PLANT-N, month: 2027-01..2027-05, capacity: 0}
            - {supplier: ALU-CZ, item: POLES, site: PLANT-S, month: 2027-01..2027-05, capacity: 0}

    second_source:
      title: Qualify Alu Taiwan for poles
      owner: Lars Eriksen
      once: 1500  # samples and the audit
      choose_by: 2027-01
      against: [poles_outage]
      changes:
        - {table: offers, where: {supplier: ALU-TW}, column: capacity, scale: 2.5}
        - {table: offers, where: {supplier: ALU-TW}, column: lead_time, set: 2}

    scouts_won:
      title: The Scandinavian Scouts order is won in full
      kind: event
      opportunity: OPP-1042
      owner: Mara Lind
      changes:
        - {table: demand_plan, where: {product: TENT-2P, market: NORTH-RETAIL, month: 2027-05}, column: consensus, add: 720}
    """

DECISIONS_YAML = """\
    # What the executive meeting has to decide. An option is the code of a scenario, or base; the first one is what
    # happens if nothing is decided. An empty option is undecided, and the plan a draft.
    - question: Which plan do we run?
      options: [base, second_shift]
      option:
      reason:
      owner: Tomas Novak
      due: 2026-12
    - question: Alu Czech may fail in spring. Do we qualify Alu Taiwan for tent poles now?
      options: [base, second_source]
      events: [poles_outage]
      option:
      reason:
      owner: Lars Eriksen
      due: 2027-01
    """


# columns that the demo has no use for: its files stay as narrow as a person would type them
UNUSED = {
    "bom": ["routing", "by_product"],
    "campaigns": ["discount"],
    "lanes": ["mode", "counted_in", "carbon"],
    "materials": ["weight"],
    "offers": ["carbon", "capacity_use"],
    "policies": ["cover_days", "disposal_price"],
    "products": ["weight"],
    "resources": ["carbon", "setup_carry_over"],
    "routings": [
        *("carbon", "avoid_price", "valid_from", "valid_to", "setup_family"),
        *("family_setup_hours", "family_setup_cost"),
    ],
    "suppliers": ["capacity", "yearly_quota", "quota_price"],
    "workforce": ["attrition"],
}


def write(
    folder: Path,
    size: Size = SMALL,
    seed: int = SEED,
    cycle: str = CYCLE,
    *,
    made: dict[str, pd.DataFrame] | None = None,
) -> None:
    """The company in `folder`: a CSV a table, three settings files; same seed, same bytes. `made`: other tables."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, frame in (made or tables(size, seed, cycle)).items():
        if frame.empty:
            continue
        text = frame.copy()
        for column in TABLES[name]:
            if column.kind == "month":
                text[column.name] = text[column.name].dt.strftime("%Y-%m")
            elif column.kind == "date":
                text[column.name] = text[column.name].dt.strftime("%Y-%m-%d")
            elif column.kind == "flag":
                text[column.name] = text[column.name].map({True: "yes", False: "no"})
            elif column.kind == "number":
                text[column.name] = text[column.name].map(lambda v: "" if pd.isna(v) else f"{v:.10g}")
        text = text.drop(columns=UNUSED.get(name, []) if made is None else [])
        text.to_csv(folder / f"{name}.csv", index=False, lineterminator="\n")
    settings = dedent(COMPANY_YAML)
    if not size.story:
        settings = f"name: Company of {size.products} products\ncurrency: EUR\nhorizon: {size.horizon}\n"
    (folder / "company.yaml").write_text(settings, encoding="utf-8")
    if size.story:
        (folder / "scenarios.yaml").write_text(dedent(SCENARIOS_YAML), encoding="utf-8")
        (folder / "decisions.yaml").write_text(dedent(DECISIONS_YAML), encoding="utf-8")


if __name__ == "__main__":
    write(Path(__file__).parents[1] / "data" / "demo")
