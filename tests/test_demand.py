"""The demand stage: layers, overrides, consensus, who was right; held to the demo's truth and to what must hold."""

from __future__ import annotations

import hashlib

import demo_company as demo
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr

from sopkit import demand, kpis
from sopkit.book import Book
from sopkit.demand import campaigns, consensus, drivers, grid, hierarchy, judged, steps, stock, tournament
from sopkit.demand.grid import PAIR
from sopkit.demand.layers import LAYERS
from sopkit.errors import SettingsError
from sopkit.tables import BY_NAME, TABLES, Company

CYCLE, FIRST = "2026-11", pd.Timestamp("2026-11-01")
LIMITS = {"statistical": {"least": 0.3, "most": 0.9}, "sales": {"least": 0.1, "most": 0.7}}
COMPANY = Company.model_validate({"name": "Alpenglow", "horizon": 18, "consensus": {"lag": 1, "streams": LIMITS}})
STEPS = ["statistical", "blended", "override", "consensus", "p10", "p90"]  # what rests on the layers


def demand_inputs(made: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """What the stage reads, from a made company: history without holes and nobody's override."""
    sold = made["sales_history"]
    months = pd.DataFrame({"month": pd.date_range(sold["month"].min(), sold["month"].max(), freq="MS")})
    every = sold.groupby(PAIR)["month"].min().rename("first").reset_index().merge(months, how="cross")
    every = every[every["month"] >= every["first"]].merge(sold, how="left").fillna({"quantity": 0.0, "revenue": 0.0})
    clean = TABLES["clean_history"].check(every.drop(columns="first").assign(raw=every["quantity"]))
    said = {"clean_history": clean, "overrides": TABLES["overrides"].empty()}
    brought = made | said
    return {name: brought[name] if name in brought else TABLES[name].empty() for name in BY_NAME["demand"].reads}


@pytest.fixture(scope="module")
def tables():
    return demand_inputs(demo.tables())


@pytest.fixture(scope="module")
def run():
    """`demand.plan` with the same history forecast only once: the forecaster has tests of its own."""
    known, real = {}, hierarchy.reconcile

    def remembered(history, horizon, levels, **options):
        key = hashlib.sha256(history.to_csv(index=False).encode()).hexdigest(), horizon, str(levels)
        if key not in known:
            known[key] = real(history, horizon, levels, **options)
        return known[key]

    def planned(tables, company=COMPANY, cycle=CYCLE):
        patch = pytest.MonkeyPatch()
        patch.setattr(steps, "reconcile", remembered)
        try:
            return demand.plan(book(tables, company, cycle))
        finally:
            patch.undo()

    planned.forecast = remembered
    return planned


@pytest.fixture(scope="module")
def plan(tables, run):
    return {name: TABLES[name].check(frame) for name, frame in run(tables).items()}


def book(tables, company=COMPANY, cycle=CYCLE):
    return Book(tables, company, cycle)


def few(tables, *products):
    """The company with these products only: a forecast of few series is quick."""
    return {
        name: frame[frame["product"].isin(products)] if "product" in frame else frame for name, frame in tables.items()
    }


def pick(frame, product, market, month):
    return frame.set_index(["product", "market", "month"]).loc[(product, market, pd.Timestamp(f"{month}-01"))]


def sentences(plan, *words):
    said = plan["demand_notes"]["sentence"]
    return said[said.map(lambda sentence: all(word in sentence for word in words))].tolist()


def override(number, action, amount, *, first="2026-11", last="2027-03", supersedes=0, expires=None, **where):
    scope = {"product": "", "family": "", "market": ""} | where
    return {
        "id": number,
        "cycle": CYCLE,
        "author": "Ada Brandt",
        "recorded_at": "2026-11-05T09:00:00+00:00",
        "action": action,
        "amount": float(amount),
        "first_month": pd.Timestamp(f"{first}-01"),
        "last_month": pd.Timestamp(f"{last}-01"),
        "reason": "second shop opens",
        "evidence": "",
        "supersedes": supersedes,
        "expires": pd.Timestamp(f"{expires}-01") if expires else pd.NaT,
        **scope,
    }


def overridden(tables, *rows):
    return tables | {"overrides": TABLES["overrides"].check(pd.DataFrame(rows))}


# the plan as a whole -------------------------------------------------------------------------------------------


def test_every_declared_table_is_written(plan):
    assert {name for name in TABLES if TABLES[name].stage == "demand"} == set(plan)


def test_layers_add_up_to_the_consensus_exactly(plan):
    frame = plan["demand_plan"]
    assert np.allclose(frame["baseline"] + frame[list(LAYERS)].sum(axis=1), frame["statistical"], rtol=0, atol=1e-9)
    assert np.allclose(frame["blended"] + frame["override"], frame["consensus"], rtol=0, atol=1e-9)
    assert (frame[["statistical", "blended", "consensus"]] >= 0).all(axis=None)
    assert ((frame["p10"] <= frame["consensus"]) & (frame["consensus"] <= frame["p90"])).all()


def test_family_region_and_total_add_up(plan, tables):
    frame = plan["demand_plan"].merge(tables["markets"][["market", "region"]]).assign(total="total")
    for level in ("family", "region", "total"):
        for column in ("baseline", "consensus"):
            sums = frame.groupby([level, "month"])[column].sum()
            mine = plan["demand_levels"].query("level == @level").set_index(["node", "month"])[column]
            assert np.allclose(mine, sums.reindex(mine.index), rtol=0, atol=1e-6)
    # errors cancel: the range of the total is narrower than the sum of the ranges below it
    wide = (frame["p90"] - frame["p10"]).groupby(frame["month"]).sum()
    total = plan["demand_levels"].query("level == 'total'").set_index("month")
    assert (total["p90"] - total["p10"] < wide).all()


@pytest.mark.parametrize(
    ("layer", "table", "keep"),
    [
        ("market_conditions", "market_conditions", lambda t: t["month"] < FIRST),
        ("campaigns", "campaigns", lambda t: t["end_month"] < FIRST),
        ("pipeline", "pipeline", lambda t: t["month"] < FIRST),
        ("sales", "sales_forecast", lambda t: t["month"] < FIRST),
    ],
)
def test_leaving_a_layer_out_changes_only_that_layer(layer, table, keep, tables, plan, run):
    with_it = plan["demand_plan"].set_index([*PAIR, "month"])
    without = run(tables | {table: tables[table][keep(tables[table])]})["demand_plan"].set_index([*PAIR, "month"])
    others = [c for c in with_it if c not in (layer, *STEPS)] + (["statistical"] if layer == "sales" else [])
    pd.testing.assert_frame_equal(with_it[others], without[others])
    assert not with_it[layer].equals(without[layer])
    assert without["sales"].isna().all() if layer == "sales" else (without[layer] == 0).all()


def test_the_lifecycle_touches_only_its_own_products(tables, plan, run):
    flat = tables["products"].assign(launch_month=pd.NaT, end_month=pd.NaT, like_product="", successor="")
    a = plan["demand_plan"].query("product not in ['TENT-4P', 'STOVE-G1', 'STOVE-G2']").reset_index(drop=True)
    b = run(tables | {"products": flat})["demand_plan"].query("product not in ['TENT-4P', 'STOVE-G1', 'STOVE-G2']")
    pd.testing.assert_frame_equal(a, b.reset_index(drop=True)[list(a)])
    assert (a["lifecycle"] == 0).all()


def test_the_order_of_rows_changes_nothing(tables, plan, run):
    again = run({name: frame.sample(frac=1, random_state=7) for name, frame in tables.items()})
    for name in plan:
        pd.testing.assert_frame_equal(plan[name], TABLES[name].check(again[name]), obj=name)


def test_dearer_products_change_money_but_no_units(tables, plan, run):
    products, prices = tables["products"], tables["prices"]
    again = run(
        tables
        | {"products": products.assign(price=products["price"] * 2), "prices": prices.assign(price=prices["price"] * 2)}
    )
    units = [c for c in plan["demand_plan"] if c != "price"]
    pd.testing.assert_frame_equal(plan["demand_plan"][units], again["demand_plan"][units])
    assert np.allclose(again["exceptions"]["money"], 2 * plan["exceptions"]["money"])
    pd.testing.assert_frame_equal(plan["fva"], TABLES["fva"].check(again["fva"]), rtol=1e-12)


def test_history_alone_is_enough(tables, run):
    """Every optional table empty: a plan all the same, which is the baseline, and it says what it could not judge."""
    must = ("families", "products", "markets", "clean_history", "policies", "lanes", "routings", "resources")
    some = few(tables, "PACK-30", "STOVE-MULTI")
    bare = {name: frame if name in must else TABLES[name].empty() for name, frame in some.items()}
    bare["products"] = bare["products"].assign(
        launch_month=pd.NaT, end_month=pd.NaT, like_product="", successor="", curve=""
    )
    plan = {name: TABLES[name].check(frame) for name, frame in run(bare).items()}
    frame = plan["demand_plan"]
    assert np.allclose(frame["baseline"], frame["consensus"]) and len(frame) == 2 * 4 * 18
    assert plan["forecast_accuracy"].empty and plan["fva"].empty and plan["demand_change"].empty
    assert sentences(plan, "No consensus of an earlier cycle was kept")


def test_no_history_is_said_plainly(tables):
    with pytest.raises(SettingsError, match="no month before 2020-01"):
        demand.plan(book(tables, cycle="2020-01"))


@pytest.mark.parametrize("sold", ["none", "only zeros"])
def test_a_company_that_has_sold_nothing_yet_is_planned_by_what_people_say(sold, tables):
    """No history, or one of zeros only: the sales department's forecast is planned in full, and a note says why."""
    some = few(tables, "TENT-2P", "TENT-3P", "BAG-EXPED")
    history = some["clean_history"]
    history = history.head(0) if sold == "none" else history.assign(quantity=0.0, raw=0.0)
    made = demand.plan(book(some | {"clean_history": history}))
    plan = {name: TABLES[name].check(frame) for name, frame in made.items()}
    frame = plan["demand_plan"]
    assert np.isfinite(frame[["baseline", "consensus", "p10", "p90"]]).all(axis=None) and (frame["baseline"] == 0).all()
    trusting = COMPANY.model_copy(update={"consensus": Company(name="new").consensus})  # sales has no least weight
    assert demand.plan(book(some | {"clean_history": history}, trusting))["demand_plan"]["consensus"].sum() > 0
    if sold == "none":
        said = frame[(frame["statistical"] == 0) & frame["sales"].notna()]
        assert np.allclose(said["blended"], said["sales"]) and said["sales"].sum() > 0
        assert sentences(plan, "Nothing was ever sold")
    else:
        assert plan["baseline_notes"]["note"].str.contains("Nothing was ever sold").any()


@pytest.mark.parametrize("months", [1, 2, 3, 4, 8, 15])
def test_few_months_of_history_are_planned_and_what_cannot_be_known_is_said(months, tables):
    """Every table fits its declaration; the coverage of the range is empty, and a note gives the reason."""
    some = few(tables, "TENT-2P", "TENT-3P", "STOVE-G1", "BAG-EXPED")
    history = some["clean_history"]
    late = history[history["month"] >= FIRST - pd.DateOffset(months=months)].reset_index(drop=True)
    made = demand.plan(book(some | {"clean_history": late}))
    plan = {name: TABLES[name].check(frame) for name, frame in made.items()}
    frame = plan["demand_plan"]
    assert len(frame) == len(late[PAIR].drop_duplicates()) * 18
    assert np.isfinite(frame[["baseline", "consensus", "p10", "p90"]]).all(axis=None) and frame["consensus"].sum() > 0
    assert plan["forecast_coverage"]["measured"].isna().all() and (plan["forecast_coverage"]["months"] == 0).all()
    assert sentences(plan, "range", "not known", "too short for a backtest")


# lifecycle -----------------------------------------------------------------------------------------------------


def test_a_launch_follows_its_like_product_and_curve(plan, tables):
    frame = plan["demand_plan"].set_index(["product", "market", "month"]).sort_index()
    curve = tables["curves"].set_index("age")["factor"]
    for age, month in enumerate(pd.date_range("2027-02-01", periods=9, freq="MS")):
        like = frame.loc[("TENT-3P", "NORTH-RETAIL", month), "baseline"]
        launch = frame.loc[("TENT-4P", "NORTH-RETAIL", month)]
        assert launch["baseline"] + launch["lifecycle"] == pytest.approx(like * curve[min(age, 6)])
    assert (frame.loc["TENT-4P"].query("month < '2027-02'")[["statistical", "lifecycle"]] == 0).all(axis=None)


def test_a_retirement_runs_out_and_its_successor_takes_over(plan):
    frame = plan["demand_plan"].set_index(["product", "market", "month"]).sort_index()
    old, new = frame.loc["STOVE-G1"], frame.loc["STOVE-G2"]
    kept = 1 + old["lifecycle"] / old["baseline"]
    for month, share in (
        ("2026-12", 1),
        ("2027-01", 0.75),
        ("2027-02", 0.5),
        ("2027-03", 0.25),
        ("2027-04", 0),
        ("2028-01", 0),
    ):
        assert np.allclose(kept.xs(pd.Timestamp(f"{month}-01"), level="month"), share, atol=1e-9), month
    assert np.allclose(old["lifecycle"] + new["lifecycle"], 0, atol=1e-9)
    assert sentences(plan, "STOVE-G1 ends in Mar 2027", "STOVE-G2 takes over")


def test_a_retirement_without_successor_leaves_the_plan(tables, run):
    products = tables["products"].assign(successor="")
    frame = run(tables | {"products": products})["demand_plan"]
    gone = frame.query("product == 'STOVE-G1' and month > '2027-03-01'")
    assert (gone["statistical"].abs() < 1e-9).all()
    assert (frame.query("product == 'STOVE-G2'")["lifecycle"] == 0).all()


def test_a_successor_on_its_forerunners_curve_takes_no_customer_twice(tables, run):
    """Together they sell what the forerunner alone would have sold, month by month, while the curve stays below 1."""
    products = tables["products"].set_index("product")
    products.loc["TENT-3P", ["end_month", "successor"]] = pd.Timestamp("2027-06-01"), "TENT-4P"
    frame = run(tables | {"products": products.reset_index()})["demand_plan"]
    both = frame[frame["product"].isin(["TENT-3P", "TENT-4P"])]
    together = both[["baseline", "lifecycle"]].sum(axis=1).groupby([both["market"], both["month"]]).sum()
    alone = frame[frame["product"] == "TENT-3P"].set_index(["market", "month"])["baseline"]
    assert np.allclose(together, alone.reindex(together.index))


def test_a_launch_under_way_scales_its_curve_by_how_it_went(tables, run):
    """Three months on sale at half the curve: (3 x 0.5 + 2) / 5 = 0.7 of it from now on."""
    tables = few(tables, "TENT-3P", "TENT-4P")
    sold, curve = tables["clean_history"], tables["curves"].set_index("age")["factor"]
    start = pd.Timestamp("2026-08-01")
    mine = sold[(sold["product"] == "TENT-3P") & (sold["month"] >= start)].assign(product="TENT-4P")
    mine["quantity"] *= 0.5 * ((mine["month"].dt.month - 8).map(curve))
    products = tables["products"].set_index("product")
    products.loc["TENT-4P", "launch_month"] = start
    history = TABLES["clean_history"].check(pd.concat([sold, mine.assign(raw=mine["quantity"])]))
    plan = run(
        tables
        | {"products": products.reset_index(), "clean_history": history, "campaigns": TABLES["campaigns"].empty()}
    )
    frame = plan["demand_plan"].set_index(["product", "market", "month"])
    for month, age in (("2026-11-01", 3), ("2027-06-01", 6)):
        like = frame.loc[("TENT-3P", "SOUTH-ONLINE", month), "baseline"]
        launch = frame.loc[("TENT-4P", "SOUTH-ONLINE", month)]
        assert launch["baseline"] + launch["lifecycle"] == pytest.approx(0.7 * curve[age] * like)
    assert sentences(plan, "TENT-4P", "first 3 months sold 50 % of the curve")


def test_a_launch_without_like_product_is_an_exception(tables, run):
    products = tables["products"].assign(like_product="", curve="")
    products.loc[products["product"] != "TENT-4P", "launch_month"] = pd.NaT  # nothing was ever launched
    plan = run(tables | {"products": products, "sales_forecast": TABLES["sales_forecast"].empty()})
    assert "TENT-4P" not in set(plan["demand_plan"]["product"])
    assert "nothing is planned" in plan["exceptions"].query("product == 'TENT-4P'")["sentence"].iloc[0]


def launched_before(tables, name, price, shares, start="2025-03-01"):
    """`tables` in which product `name` of family TENTS was launched and sold these shares of a mean tent, by age."""
    sold, start = tables["clean_history"], pd.Timestamp(start)
    tents = sold[sold["product"].isin(["TENT-2P", "TENT-3P"]) & (sold["month"] >= start)]
    age = (tents["month"].dt.year - start.year) * 12 + tents["month"].dt.month - start.month
    mine = tents.assign(product=name, quantity=tents["quantity"] / 2 * np.interp(age, range(len(shares)), shares))
    mine = mine.groupby(["product", "market", "month"], as_index=False)["quantity"].sum()
    row = tables["products"].query("product == 'TENT-3P'").assign(product=name, price=price, launch_month=start)
    products = pd.concat([tables["products"], row.assign(like_product="", curve="", successor="")])
    history = TABLES["clean_history"].check(pd.concat([sold, mine.assign(raw=mine["quantity"])]))
    return tables | {"products": products, "clean_history": history, "campaigns": TABLES["campaigns"].empty()}


def test_a_launch_without_like_product_goes_as_the_nearest_past_launches_went(tables, run):
    """Shares by age: the median of launches that are known, times a mean product of the family; both are said."""
    tables = few(tables, "TENT-2P", "TENT-3P", "TENT-4P")
    shares = [0.2, 0.4, 0.6, 0.8, 0.8, 0.8, 0.8]
    for name, price, scale in (("TENT-A", 350.0, 1.0), ("TENT-B", 340.0, 0.5), ("TENT-C", 330.0, 1.5)):
        tables = launched_before(tables, name, price, [scale * share for share in shares])
    tables = launched_before(tables, "TENT-FAR", 20.0, [9.0])
    products = tables["products"].set_index("product")
    products.loc["TENT-4P", ["like_product", "curve"]] = ""
    none = {"sales_forecast": TABLES["sales_forecast"].empty(), "products": products.reset_index()}
    plan = run(tables | none)
    frame = plan["demand_plan"].set_index(["product", "market", "month"])
    old = ["TENT-2P", "TENT-3P", "TENT-A", "TENT-B", "TENT-C", "TENT-FAR"]  # sold for a year by then
    for age, month in enumerate(pd.date_range("2027-02-01", periods=9, freq="MS")):
        tents = [frame.loc[(name, "NORTH-RETAIL", month), "baseline"] for name in old]
        launch = frame.loc[("TENT-4P", "NORTH-RETAIL", month)]
        assert launch["baseline"] + launch["lifecycle"] == pytest.approx(np.mean(tents) * shares[min(age, 6)])
    assert sentences(plan, "TENT-4P", "as TENT-A, TENT-B and TENT-C did, which reached 40 % to 120 % of a mean")


# campaigns, market conditions ----------------------------------------------------------------------------------


def test_campaigns_count_at_the_success_rate_of_their_kind(plan, tables):
    success = plan["campaign_success"].set_index("campaign_kind")
    for kind, kept in demo.TRUTH["campaign_success"].items():
        assert success.loc[kind, "success"] == pytest.approx(kept, abs=1e-6)
    frame = plan["demand_plan"].set_index(["product", "market", "month"])
    rows = [frame.loc[("TENT-2P", "NORTH-RETAIL", month)] for month in ("2027-04-01", "2027-05-01", "2027-06-01")]
    extra = [(row["baseline"] + row["lifecycle"]) * 0.35 * 0.4 for row in rows[:2]]
    assert [row["campaigns"] for row in rows[:2]] == pytest.approx(extra)
    assert rows[2]["campaigns"] == pytest.approx(-success.loc["price promotion", "pull_forward"] * sum(extra))


def made_campaigns(seed, pull, noise):
    """Forty products with one campaign each: 30 % promised, 20 % kept, `pull` of it missing in the month after."""
    rng = np.random.default_rng(seed)
    months = pd.date_range("2022-11-01", "2026-10-01", freq="MS")
    season = 1 + 0.4 * np.sin(2 * np.pi * months.month.to_numpy() / 12)
    rows, campaigns = [], []
    for i in range(40):
        units = 1000 * season * rng.lognormal(0, noise, len(months))
        at = 14 + i % 30
        extra = 0.2 * units[at]
        units[at], units[at + 1] = units[at] + extra, units[at + 1] - pull * extra
        rows.append(pd.DataFrame({"product": f"P{i:02d}", "market": "M", "month": months, "quantity": units}))
        campaigns.append(
            {
                "campaign": f"C{i}",
                "campaign_kind": "promo",
                "product": f"P{i:02d}",
                "market": "M",
                "start_month": months[at],
                "end_month": months[at],
                "promised_uplift": 0.3,
                "achieved_uplift": np.nan,
            }
        )
    history = pd.concat(rows, ignore_index=True)
    products = pd.DataFrame(
        {"product": sorted(set(history["product"])), "family": "F", "price": 1.0, "standard_cost": 1.0}
    )
    return {
        "clean_history": TABLES["clean_history"].check(history.assign(raw=history["quantity"], revenue=0.0)),
        "campaigns": TABLES["campaigns"].check(pd.DataFrame(campaigns)),
        "products": TABLES["products"].check(products),
        "prices": TABLES["prices"].empty(),
        "market_conditions": TABLES["market_conditions"].empty(),
    }


@pytest.mark.parametrize("pull", [0.0, 0.4])
def test_uplift_and_pull_forward_are_measured_where_nobody_did(pull):
    made = made_campaigns(3, pull, noise=0.02)
    past = grid.past_grid(book(made))
    row = campaigns.campaign_success(book(made), past).iloc[0]
    assert row["achieved"] == pytest.approx(0.2, abs=0.02)
    assert row["success"] == pytest.approx(2 / 3, abs=0.06)
    assert row["pull_forward"] == pytest.approx(pull, abs=0.08)
    assert "40 measured here" in row["reason"]


def test_noise_leaves_the_pull_forward_near_what_was_assumed():
    made = made_campaigns(3, 0.9, noise=0.9)
    past = grid.past_grid(book(made))
    assert campaigns.campaign_success(book(made), past)["pull_forward"].iloc[0] == pytest.approx(0.25, abs=0.15)


def made_promotions(seed, *, elasticity, taken, noise=0.04, priced=False):
    """Six families of three products; the first of each had eight price cuts of 10 to 40 %, all promised 30 %."""
    rng, months = np.random.default_rng(seed), pd.date_range("2020-11-01", "2026-10-01", freq="MS")
    season = 1 + 0.3 * np.sin(2 * np.pi * months.month.to_numpy() / 12)
    rows, campaigns, prices = [], [], []
    for family in range(6):
        units = 1000 * season * rng.lognormal(0, noise, (3, len(months)))
        price = np.full(len(months), 10.0)
        for at in 7 + family % 3 + 8 * np.arange(8):
            cut = rng.choice([0.1, 0.2, 0.3, 0.4])
            extra = units[0, at] * ((1 - cut) ** -elasticity - 1)
            units[0, at] += extra
            units[1:, at] -= taken * extra / 2
            price[at] *= 1 - cut
            start, cut = months[at], np.nan if priced else cut
            campaigns.append((f"C{family}-{at}", "price cut", f"P{family}0", "M", start, start, 0.3, np.nan, 0.0, cut))
        for at in range(3):
            of = {"product": f"P{family}{at}", "market": "M", "month": months}
            rows.append(pd.DataFrame(of | {"quantity": units[at]}))
            prices.append(pd.DataFrame(of | {"price": price if at == 0 else 10.0}))
    history = pd.concat(rows, ignore_index=True)
    products = pd.DataFrame({"product": sorted(set(history["product"])), "price": 10.0, "standard_cost": 1.0})
    products = products.assign(family=products["product"].str[1])
    dated = TABLES["dated_prices"].check(pd.concat(prices)) if priced else TABLES["dated_prices"].empty()
    empty = ("prices", "market_conditions", "events", "driver_effects", "sales_forecast", "pipeline", "curves")
    return {
        "clean_history": TABLES["clean_history"].check(history.assign(raw=history["quantity"], revenue=0.0)),
        "campaigns": TABLES["campaigns"].check(pd.DataFrame(campaigns, columns=TABLES["campaigns"].names)),
        "products": TABLES["products"].check(products),
        "dated_prices": dated,
        **{name: TABLES[name].empty() for name in empty},
    }


@pytest.mark.parametrize("priced", [False, True])
def test_the_depth_of_a_price_cut_foretells_its_uplift_where_the_promise_does_not(priced):
    """Every campaign promises 30 %; what it brings goes by its discount, stated or seen in dated prices."""
    made = made_promotions(4, elasticity=1.8, taken=0.0, priced=priced)
    past = grid.past_grid(book(made))
    success = campaigns.campaign_success(book(made), past)
    row = success.iloc[0]
    assert row["by_discount"] == pytest.approx(1.8, abs=0.1) and row["cannibalised"] == 0
    assert "their discounts foretold the uplift within" in row["reason"]
    coming = made["campaigns"].head(1).assign(campaign="NEXT", start_month=FIRST, end_month=FIRST, discount=0.25)
    known = made | {"campaigns": pd.concat([made["campaigns"], coming]), "campaign_success": success}
    planned = grid.Grid(past.pairs, pd.date_range(FIRST, periods=3, freq="MS"))
    notes = grid.Notes("layer")
    units = campaigns.campaign_layer(book(known), planned, np.full((18, 3), 1000.0), past, notes)
    assert "past ones went by their discount, not by their promise" in notes.rows[0][3]
    assert units[0, 0] == pytest.approx(1000 * (0.75 ** -row["by_discount"] - 1))
    assert units[0, 1] == pytest.approx(-row["pull_forward"] * units[0, 0]) and row["pull_forward"] < 0.1


def test_a_promise_that_says_as_much_is_not_replaced_by_the_discount():
    made = made_promotions(4, elasticity=1.8, taken=0.0)
    cut = made["campaigns"]["discount"]
    made["campaigns"] = made["campaigns"].assign(promised_uplift=2 * ((1 - cut) ** -1.8 - 1), discount=cut[::-1].values)
    row = campaigns.campaign_success(book(made), grid.past_grid(book(made))).iloc[0]
    assert np.isnan(row["by_discount"]) and row["success"] == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("taken", [0.0, 0.5])
def test_what_a_promotion_takes_from_its_family_is_measured_taken_out_and_planned(taken):
    made = made_promotions(5, elasticity=2.0, taken=taken)
    past, notes = grid.past_grid(book(made)), grid.Notes("layer")
    success = campaigns.campaign_success(book(made), past)
    share = success["cannibalised"].iloc[0]
    assert share == pytest.approx(taken, abs=0.12) and (taken > 0 or share == 0)
    calm = campaigns.undisturbed(book(made), past, success, TABLES["driver_effects"].empty(), grid.Notes("normalise"))
    normal = calm / (1 + 0.3 * np.sin(2 * np.pi * past.months.month.to_numpy() / 12))
    assert np.abs(normal.reshape(6, 3, -1)[:, 1:] / 1000 - 1).mean() < 0.06  # siblings sell as if nothing had been
    coming = made["campaigns"].head(1).assign(campaign="NEXT", start_month=FIRST, end_month=FIRST, discount=0.3)
    known = made | {"campaigns": pd.concat([made["campaigns"], coming]), "campaign_success": success}
    planned = grid.Grid(past.pairs, pd.date_range(FIRST, periods=2, freq="MS"))
    units = campaigns.campaign_layer(book(known), planned, np.full((18, 2), 1000.0), past, notes)
    assert units[1:3, 0].sum() == pytest.approx(-share * units[0, 0]) and not units[3:].any()
    assert any("other products of the family" in note[3] for note in notes.rows) == (taken > 0)


def test_a_price_cut_that_is_a_campaign_counts_once():
    """Its uplift holds what its price did: the elasticity adds nothing in its month, before the cycle and after."""
    made = made_promotions(6, elasticity=1.8, taken=0.0, priced=True)
    coming = made["campaigns"].head(1).assign(campaign="NEXT", start_month=FIRST, end_month=FIRST, discount=0.3)
    cut = made["dated_prices"].head(1).assign(month=FIRST, price=7.0)
    prices = pd.concat([made["dated_prices"], cut], ignore_index=True)
    effects = pd.DataFrame(
        [("0", "", "price", -2.0, 0.1, -2.2, -1.8, 60, True, "measured")], columns=TABLES["driver_effects"].names
    )
    made |= {"dated_prices": prices, "campaigns": pd.concat([made["campaigns"], coming], ignore_index=True)}
    past = grid.past_grid(book(made))
    assert not drivers.effect_of(book(made), past, effects).any()
    planned = grid.Grid(past.pairs, pd.date_range(FIRST, periods=2, freq="MS"))
    assert not drivers.effect_of(book(made), planned, effects, planned=True).any()
    alone = made | {"campaigns": made["campaigns"].iloc[:-1]}
    moved = drivers.effect_of(book(alone), planned, effects, planned=True)
    assert moved[0, 0] == pytest.approx(0.7**-2 - 1)


def test_what_campaigns_and_conditions_did_is_taken_out_of_history():
    """Flat sales of 100 with a campaign of +20 % (a quarter pulled forward) and a driver of -10 %: 100 again."""
    made = made_campaigns(1, 0.25, noise=0.0)
    flat = made["clean_history"].assign(quantity=100.0)
    campaign = made["campaigns"].head(1).assign(achieved_uplift=0.2)
    where = flat["product"] == campaign["product"].iloc[0]
    flat.loc[where & (flat["month"] == campaign["start_month"].iloc[0]), "quantity"] = 120.0
    flat.loc[where & (flat["month"] == campaign["start_month"].iloc[0] + pd.DateOffset(months=1)), "quantity"] = 95.0
    flat.loc[flat["month"] == "2026-08-01", "quantity"] *= 0.9
    driver = pd.DataFrame(
        [("strike", "F", "M", pd.Timestamp("2026-08-01"), -0.1)], columns=TABLES["market_conditions"].names
    )
    made |= {
        "clean_history": flat,
        "campaigns": campaign,
        "market_conditions": TABLES["market_conditions"].check(driver),
    }
    past = grid.past_grid(book(made))
    success = campaigns.campaign_success(book(made), past).assign(pull_forward=0.25)
    calm = campaigns.undisturbed(book(made), past, success, TABLES["driver_effects"].empty(), grid.Notes("normalise"))
    assert np.allclose(calm, 100.0)


def test_a_campaign_that_still_runs_is_not_counted_twice():
    """Flat sales of 100; a campaign of +50 % runs from the month before the cycle to the month after its start."""
    made = made_campaigns(1, 0.0, noise=0.0)
    flat = made["clean_history"].assign(quantity=100.0)
    campaign = (
        made["campaigns"]
        .head(1)
        .assign(
            promised_uplift=0.5,
            achieved_uplift=np.nan,
            start_month=pd.Timestamp("2026-10-01"),
            end_month=pd.Timestamp("2026-12-01"),
        )
    )
    where = (flat["product"] == campaign["product"].iloc[0]) & (flat["month"] == "2026-10-01")
    flat.loc[where, "quantity"] = 150.0
    made |= {"clean_history": flat, "campaigns": campaign}
    past = grid.past_grid(book(made))
    success = campaigns.campaign_success(book(made), past)
    assert success["success"].tolist() == [1.0] and success["campaigns"].tolist() == [0]
    assert np.allclose(
        campaigns.undisturbed(book(made), past, success, TABLES["driver_effects"].empty(), grid.Notes("normalise")),
        100.0,
    )


def test_market_conditions_multiply(plan, tables, run):
    more = tables["market_conditions"].query("family == 'PACKS'").assign(driver="VAT", effect=-0.10)
    frame = run(tables | {"market_conditions": pd.concat([tables["market_conditions"], more], ignore_index=True)})[
        "demand_plan"
    ]
    packs = frame.query("family == 'PACKS' and month >= '2027-01-01'")
    assert np.allclose(packs["market_conditions"], packs["baseline"] * (0.97 * 0.90 - 1))


# pipeline ------------------------------------------------------------------------------------------------------


def test_only_what_is_not_in_the_baseline_is_added_from_the_pipeline(plan, tables):
    frame = plan["demand_plan"].set_index(["product", "market", "month"])["pipeline"]
    assert frame[("TENT-2P", "NORTH-RETAIL", pd.Timestamp("2027-05-01"))] == pytest.approx(2400 * 0.7)
    assert frame.sum() == pytest.approx(2400 * 0.7 + 260 * 0.5 + 500 * 0.3)
    weight = plan["pipeline_weight"].sort_values("rank")
    assert weight["customer"].iloc[0] == "Scandinavian Scouts"
    hours = tables["routings"].query("item == 'TENT-2P'")["hours"].mean()
    assert weight["hours_if_won"].iloc[0] == pytest.approx(2400 * hours)
    assert weight["share"].sum() == pytest.approx(1)
    assert weight.set_index("customer").loc["City Sports chain", "added"] == 0


def test_a_deal_that_is_won_or_lost_widens_the_range(plan, tables, run):
    certain = run(tables | {"pipeline": tables["pipeline"].assign(probability=1.0)})["demand_plan"]
    sure, open_ = (pick(frame, "TENT-2P", "NORTH-RETAIL", "2027-05") for frame in (certain, plan["demand_plan"]))
    relative = open_["p90"] / open_["consensus"] - sure["p90"] / sure["consensus"]
    assert relative > 0.1


def test_an_overdue_deal_is_named_and_not_planned(tables, run):
    late = tables["pipeline"].assign(month=pd.Timestamp("2026-10-01"))
    plan = run(tables | {"pipeline": late})
    assert (plan["demand_plan"]["pipeline"] == 0).all()
    assert sentences(plan, "OPP-1042", "Oct 2026", "past")


# overrides and consensus ---------------------------------------------------------------------------------------


AMOUNTS = st.floats(-5_000, 5_000, allow_nan=False)
BEFORE = st.lists(
    st.lists(st.floats(0, 1e5).map(lambda v: round(v, 3)), min_size=3, max_size=3), min_size=1, max_size=8
)


@given(BEFORE, st.sampled_from(["add", "set", "scale"]), AMOUNTS)
def test_an_override_spreads_to_the_unit_and_in_proportion(before, action, amount):
    before = np.array(before)
    after = consensus.spread(before, action, amount)
    total = before.sum(axis=0)
    wanted = {"add": total + amount, "set": np.full(3, amount), "scale": total * amount}[action]
    assert np.allclose(after.sum(axis=0), np.maximum(wanted, 0), rtol=1e-12, atol=1e-9)
    assert (after >= 0).all()
    for month in range(3):
        if total[month] > 0:
            assert np.allclose(
                after[:, month] * total[month], before[:, month] * after[:, month].sum(), rtol=1e-9, atol=1e-6
            )


@pytest.mark.parametrize(
    ("where", "rows"),
    [
        ({"product": "TENT-2P", "market": "NORTH-RETAIL"}, 1),
        ({"product": "TENT-2P"}, 4),
        ({"family": "TENTS"}, 12),
        ({"family": "TENTS", "market": "NORTH-RETAIL"}, 3),
        ({"market": "NORTH-RETAIL"}, 12),
        ({}, 48),
    ],
)
def test_an_override_changes_its_scope_and_nothing_else(where, rows, tables, plan, run):
    made = run(overridden(tables, override(1, "add", 300, **where)))
    frame = made["demand_plan"]
    months = frame["month"] <= pd.Timestamp("2027-03-01")
    inside = months & np.logical_and.reduce([frame[c] == v for c, v in where.items()] or [np.ones(len(frame), bool)])
    assert inside.sum() == rows * 5
    assert np.allclose(frame[inside].groupby("month")["override"].sum(), 300, rtol=0, atol=1e-9)
    assert (frame.loc[~inside, "override"] == 0).all()
    assert np.allclose(frame["consensus"] - frame["override"], plan["demand_plan"]["consensus"], rtol=0, atol=1e-9)
    row = made["overrides_applied"].iloc[0]
    assert row["status"] == "in force" and row["units"] == pytest.approx(1500)
    effects = made["override_effects"]
    assert (effects["after"] - effects["before"]).sum() == pytest.approx(1500)
    assert row["money"] == pytest.approx((frame["override"] * frame["price"]).sum())


def test_overrides_apply_in_order_each_on_top_of_those_before(tables, run):
    where = {"product": "PACK-30", "market": "SOUTH-ONLINE"}
    made = run(
        overridden(
            tables,
            override(1, "set", 500, **where),
            override(2, "scale", 1.1, family="PACKS"),
            override(3, "add", -50, **where),
        )
    )["demand_plan"]
    row = pick(made, "PACK-30", "SOUTH-ONLINE", "2027-01")
    assert row["consensus"] == pytest.approx(500 * 1.1 - 50)


def test_superseded_expired_and_past_overrides_stay_visible_but_move_nothing(tables, plan, run):
    made = run(
        overridden(
            tables,
            override(1, "add", 100, product="PACK-30"),
            override(2, "add", 0, product="PACK-30", supersedes=1),
            override(3, "add", 70, expires="2026-10"),
            override(4, "add", 70, first="2026-01", last="2026-10"),
            override(5, "add", 70, product="NO-SUCH"),
        )
    )
    applied = made["overrides_applied"].set_index("id")
    assert applied["status"].to_dict() == {
        1: "superseded",
        2: "in force",
        3: "expired",
        4: "past",
        5: "matches nothing",
    }
    assert np.allclose(made["demand_plan"]["consensus"], plan["demand_plan"]["consensus"])
    assert sentences(made, "Override 5", "matches nothing")


def test_taking_out_more_than_there_is_stops_at_zero_and_says_so(tables, run):
    made = run(overridden(tables, override(1, "add", -1e6, product="BAG-EXPED")))
    rows = made["demand_plan"].query("product == 'BAG-EXPED' and month <= '2027-03-01'")
    assert (rows["consensus"] == 0).all() and sentences(made, "Override 1", "stop at 0")


def test_an_override_of_a_launch_with_nothing_planned_is_spread_evenly(tables, run):
    made = run(overridden(tables, override(1, "set", 40, product="TENT-4P", last="2026-12")))["demand_plan"]
    assert (made[(made["product"] == "TENT-4P") & (made["month"] == FIRST)]["consensus"] == 10).all()


def test_an_override_without_evidence_is_an_exception(tables, run):
    made = run(overridden(tables, override(1, "scale", 2.0, family="TENTS")))
    assert "no evidence is named" in " ".join(made["exceptions"]["sentence"])


def test_streams_count_by_the_inverse_of_their_squared_error():
    """Errors of 10 % and 20 %: weights 4 to 1, and 0.7 at most where the company says so."""
    rows = [
        ("A", stream, 1, 100 * (1 + off * (-1) ** i), 100.0, FIRST, FIRST + pd.DateOffset(months=i), "P", "M")
        for stream, off in (("statistical", 0.1), ("sales", 0.2))
        for i in range(12)
    ]
    columns = ["family", "stream", "lag", "quantity", "actual", "cycle", "month", "product", "market"]
    known = pd.DataFrame(rows, columns=columns)
    free = COMPANY.model_copy(update={"consensus": Company.model_validate({"name": "x"}).consensus})
    weights = consensus.stream_weights(known, ["A"], free.consensus, grid.Notes("agree")).set_index("stream")
    assert weights["weight"].to_dict() == pytest.approx({"statistical": 0.8, "sales": 0.2})
    assert weights.loc["sales", "wape"] == pytest.approx(0.2)
    tight = Company.model_validate({"name": "x", "consensus": {"streams": {"statistical": {"most": 0.7}, "sales": {}}}})
    held = consensus.stream_weights(known, ["A", "B"], tight.consensus, grid.Notes("agree")).set_index(
        ["family", "stream"]
    )
    assert (
        held.loc[("A", "statistical"), "weight"] == pytest.approx(0.7)
        and "limit" in held.loc[("A", "statistical"), "reason"]
    )
    # nobody was judged in B: sales starts at its least weight, the numbers take what their limit allows
    assert held.loc[("B", "sales"), "weight"] == pytest.approx(0.3)
    assert (
        "least weight" in held.loc[("B", "sales"), "reason"] and "backtest" in held.loc[("B", "statistical"), "reason"]
    )
    one = consensus.stream_weights(
        known[known["stream"] == "sales"], ["A"], COMPANY.consensus, grid.Notes("agree")
    ).set_index("stream")
    assert one.loc["statistical", "weight"] == pytest.approx(0.3) and "least" in one.loc["statistical", "reason"]


def past_of(stream, off, cycles=6, products=4):
    """Past forecasts a month ahead of `cycles` months, each `off` (a share) too high, beside what was sold."""
    months = pd.date_range(end=FIRST, periods=cycles + 1, freq="MS")[:-1]
    rows = [
        ("A", stream, month - pd.DateOffset(months=1), f"P{n}", "M", month, 1, 100.0 * (1 + off * (-1) ** (n * wild)))
        for month in months
        for n in range(products)
        for wild in [int(stream == "statistical")]
    ]
    columns = ["family", "stream", "cycle", "product", "market", "month", "lag", "quantity"]
    return pd.DataFrame(rows, columns=columns).assign(actual=100.0)


def test_a_lasting_bias_is_taken_out_before_a_stream_is_weighed_and_blended():
    """18 % too high in every month: corrected with earlier months only, and the stream then counts by what is left."""
    known = pd.concat([past_of("statistical", 0.1), past_of("sales", 0.18)], ignore_index=True)
    free = Company.model_validate({"name": "x"}).consensus
    made = consensus.stream_weights(known, ["A"], free, grid.Notes("agree")).set_index("stream")
    assert made.loc["statistical", "bias"] == 0 and made.loc["sales", "bias"] == pytest.approx(0.18 * 6 / 7)
    # the first four months had fewer than three before their cycle: nothing was known to be taken out
    fixed = consensus.corrected(known[known["stream"] == "sales"]).groupby(known["month"]).first().to_numpy()
    assert fixed[:4] == pytest.approx(118) and fixed[4] == pytest.approx(118 / (1 + 0.18 * 3 / 4))
    pair = pd.DataFrame({"product": ["P0"], "market": ["M"], "family": ["A"], "price": [1.0]})
    here, notes = grid.Grid(pair, pd.DatetimeIndex([FIRST])), grid.Notes("agree")
    weights = made.reset_index().assign(family="A")
    blended = consensus.blend({"statistical": np.array([[100.0]]), "sales": np.array([[118.0]])}, weights, here, notes)
    assert blended[0, 0] == pytest.approx(
        100 * made.loc["statistical", "weight"] + 118 / (1 + 0.18 * 6 / 7) * made.loc["sales", "weight"]
    )
    # what goes up and down has no lasting bias
    assert (
        consensus.lasting_bias(past_of("sales", 0.2).assign(quantity=lambda f: 100 + 40 * (-1) ** f["month"].dt.month))
        == 0
    )


def test_a_blend_that_was_worse_than_its_best_part_says_so():
    known = pd.concat(
        [
            past_of("statistical", 0.05),
            past_of("sales", 0.4).assign(quantity=lambda f: 100 + 40 * (-1.0) ** f["month"].dt.month),
        ],
        ignore_index=True,
    )
    notes, held = (
        grid.Notes("agree"),
        Company.model_validate({"name": "x", "consensus": {"streams": {"statistical": {}, "sales": {"least": 0.5}}}}),
    )
    consensus.stream_weights(known, ["A"], held.consensus, notes)
    assert any("would have missed by" in row[3] and "statistical" in row[3] for row in notes.rows)
    notes = grid.Notes("agree")
    consensus.stream_weights(known, ["A"], Company.model_validate({"name": "x"}).consensus, notes)
    assert not [row for row in notes.rows if "would have missed" in row[3]]


def test_the_cycles_own_month_judges_where_nothing_older_can():
    known = past_of("sales", 0.1, cycles=3).assign(lag=0)
    made = consensus.stream_weights(known, ["A"], COMPANY.consensus, grid.Notes("agree")).set_index("stream")
    assert made.loc["sales", "wape"] < 0.11 and made.loc["sales", "weight"] == pytest.approx(0.7)


def test_a_stream_without_a_forecast_this_cycle_is_noted(tables, run):
    plan = run(tables | {"sales_forecast": tables["sales_forecast"].head(0)})
    assert sentences(plan, "consensus.streams names 'sales'", "no forecast")


@given(st.lists(st.tuples(st.floats(1e-6, 1e6), st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=6))
def test_bounded_shares_sum_to_one_within_possible_limits(rows):
    wanted, a, b = map(np.array, zip(*rows, strict=True))
    least, most = np.minimum(a, b), np.maximum(a, b)
    share = consensus.bounded_shares(wanted, least, most)
    assert share.sum() == pytest.approx(1)
    if least.sum() <= 1 <= most.sum():
        assert (share >= least - 1e-9).all() and (share <= most + 1e-9).all()
        free = (share > least + 1e-9) & (share < most - 1e-9)
        if free.sum() > 1:
            assert np.allclose(share[free] / wanted[free], (share[free] / wanted[free])[0], rtol=1e-6)


def test_the_blend_is_the_weights_times_the_streams(plan):
    """Derived again without the stage's own code."""
    weight = plan["stream_weights"].pivot(index="family", columns="stream", values="weight")
    bias = 1 + plan["stream_weights"].pivot(index="family", columns="stream", values="bias")
    frame = plan["demand_plan"].join(weight.add_prefix("w_"), on="family").join(bias.add_prefix("b_"), on="family")
    assert np.allclose(
        frame["blended"],
        frame["w_statistical"] * frame["statistical"] / frame["b_statistical"]
        + frame["w_sales"] * frame["sales"] / frame["b_sales"],
    )
    assert np.allclose(weight.sum(axis=1), 1)


def test_where_sales_says_nothing_the_numbers_speak_alone(tables, run):
    some = tables["sales_forecast"].query("product != 'PACK-30'")
    frame = run(tables | {"sales_forecast": some})["demand_plan"].query("product == 'PACK-30'")
    assert frame["sales"].isna().all() and np.allclose(frame["blended"], frame["statistical"])


def test_impossible_limits_are_widened_and_said(tables, run):
    streams = {"statistical": {"least": 0.8}, "sales": {"least": 0.6}}
    plan = run(tables, Company.model_validate({"name": "x", "horizon": 18, "consensus": {"streams": streams}}))
    assert sentences(plan, "cannot sum to 1", "company.yaml")
    assert np.allclose(plan["stream_weights"].groupby("family")["weight"].sum(), 1)


# who was right -------------------------------------------------------------------------------------------------


def test_the_bias_of_sales_is_found_in_words(plan):
    """Hidden truth: the sales department forecasts 18 % too much, always."""
    found = sentences(plan, "sales department's forecast", "too high")
    assert found and "18 % too high" in found[0] and "5 of 5 months" in found[0] and "+5.0 MAD" in found[0]
    accuracy = plan["forecast_accuracy"].query("family == 'all' and lag == 1").set_index("stream")
    assert accuracy.loc["sales", "bias"] == pytest.approx(demo.TRUTH["sales_bias"], abs=0.04)
    assert not sentences(plan, "statistical baseline was", "too")


def test_the_broken_promise_of_price_promotions_is_found_in_words(plan):
    """Hidden truth: price promotions keep two fifths of their promise, trade fairs all of it."""
    found = sentences(plan, "price promotion never kept its promise")
    assert found and "40 % of the promise" in found[0] and "14 past campaigns" in found[0]
    assert not sentences(plan, "trade fair", "never kept")


def test_whose_overrides_help_is_found_in_words(plan, tables):
    owners = plan["override_owners"].query("owner != 'all'").set_index("owner")
    assert owners.loc[demo.TRUTH["harmful_owner"], "gain"] < 0 < owners.loc[demo.TRUTH["helpful_owner"], "gain"]
    assert sentences(plan, demo.TRUTH["harmful_owner"], "sales director", "made forecasts worse")
    assert sentences(plan, demo.TRUTH["helpful_owner"], "demand planner", "helped")
    roles = plan["override_owners"].query("owner == 'all'").set_index("role")
    assert roles.loc["sales director", "overrides"] == owners.loc["Mara Lind", "overrides"]
    ranked = plan["override_review"].sort_values("rank")
    assert ranked["money"].is_monotonic_decreasing and len(ranked) == len(tables["past_overrides"])


def test_no_bias_is_claimed_where_there_is_none(tables, run):
    """The sales stream replaced by what was sold, give or take 10 %: nobody is accused."""
    past = tables["past_forecasts"]
    actual = past.merge(tables["clean_history"][[*PAIR, "month", "raw"]], how="left")["raw"].to_numpy()
    wobble = np.random.default_rng(1).choice([0.9, 1.1], len(past))
    honest = np.where((past["stream"] == "sales") & ~np.isnan(actual), np.maximum(actual, 0) * wobble, past["quantity"])
    plan = run(tables | {"past_forecasts": past.assign(quantity=honest)})
    assert not sentences(plan, "sales department's forecast was")


def test_accuracy_derived_again_by_hand(plan, tables):
    """One family, one stream, one lag, by plain loops."""
    family = dict(zip(tables["products"]["product"], tables["products"]["family"], strict=True))
    listed = dict(zip(tables["products"]["product"], tables["products"]["price"], strict=True))
    net = {(r.product, r.market): r.price for r in tables["prices"].itertuples()}
    sold = {(r.product, r.market, r.month): r.raw for r in tables["clean_history"].itertuples()}
    error = size = valued = value = lean = 0.0
    for row in tables["past_forecasts"].itertuples():
        lag = (row.month.year - row.cycle.year) * 12 + row.month.month - row.cycle.month
        if row.stream == "consensus" and family[row.product] == "STOVES" and lag == 2 and row.month < FIRST:
            actual = sold.get((row.product, row.market, row.month), 0.0)
            price = net.get((row.product, row.market), listed[row.product])
            error, size, lean = error + abs(row.quantity - actual), size + actual, lean + row.quantity - actual
            valued, value = valued + price * abs(row.quantity - actual), value + price * actual
    row = plan["forecast_accuracy"].query("stream == 'consensus' and family == 'STOVES' and lag == 2").iloc[0]
    assert row[["wape", "bias", "value_wape"]].tolist() == pytest.approx([error / size, lean / size, valued / value])


def test_the_stair_telescopes_and_starts_at_naive(plan):
    for _, rows in plan["fva"].groupby(["family", "lag"]):
        rows = rows.sort_values("step")
        assert rows["stream"].iloc[0] == "naive" and rows["stream"].iloc[-1] == "consensus"
        assert rows["fva"].sum() == pytest.approx(rows["wape"].iloc[0] - rows["wape"].iloc[-1])
        assert rows["value_fva"].sum() == pytest.approx(rows["value_wape"].iloc[0] - rows["value_wape"].iloc[-1])
    whole = plan["fva"].query("family == 'all' and lag == 1").set_index("stream")
    assert whole.loc["baseline", "fva"] > 0 > whole.loc["consensus", "fva"]


def test_naive_is_rebuilt_where_nobody_kept_it(tables, run):
    """Rebuilt from history it is what the demo's planners kept as naive."""
    kept = tables["past_forecasts"]
    past = grid.past_grid(book(tables))
    rebuilt = judged.past_forecasts(
        book(tables | {"past_forecasts": kept.query("stream != 'naive'")}), past, grid.Notes("agree")
    )
    both = rebuilt.query("stream == 'naive'").merge(kept.query("stream == 'naive'"), on=["cycle", *PAIR, "month"])
    assert len(both) == len(rebuilt.query("stream == 'naive'")) > 500
    assert np.allclose(both["quantity_x"], both["quantity_y"])


def test_this_cycle_is_frozen_as_it_will_be_judged(plan, tables):
    """Frozen and read back next month, the streams are the plan's own columns; each step a cumulative one."""
    frozen = plan["frozen_forecasts"]
    wide = frozen.pivot(index=[*PAIR, "month"], columns="stream", values="quantity")
    frame = plan["demand_plan"].set_index([*PAIR, "month"])
    for stream in ("baseline", "statistical", "sales", "blended", "consensus"):
        assert np.allclose(wide[stream], frame[stream])
    assert np.allclose(wide["campaigns"], frame["statistical"] - frame["pipeline"])
    last_year = tables["clean_history"].set_index([*PAIR, "month"])["quantity"]
    key = ("PACK-30", "NORTH-RETAIL", pd.Timestamp("2027-12-01"))
    assert wide.loc[key, "naive"] == last_year[("PACK-30", "NORTH-RETAIL", pd.Timestamp("2025-12-01"))]
    TABLES["past_forecasts"].check(frozen)


def test_forecasts_of_months_still_to_come_are_not_judged(plan, tables):
    past = grid.past_grid(book(tables))
    found = judged.past_forecasts(book(tables), past, grid.Notes("agree"))
    assert found["month"].max() == pd.Timestamp("2026-10-01") and (found["cycle"] < FIRST).all()


# segments, exceptions, what changed ----------------------------------------------------------------------------


def test_segments_follow_value_and_variation(plan, tables):
    segments = plan["segments"].sort_values("value", ascending=False)
    recent = tables["clean_history"].query("month >= '2025-11-01'")
    sales = recent.merge(tables["prices"], how="left").merge(tables["products"][["product", "price"]], on="product")
    value = (sales["quantity"] * sales["price_x"].fillna(sales["price_y"])).groupby(sales["product"]).sum()
    assert np.allclose(
        segments.set_index("product")["value"].drop("TENT-4P"),
        value.reindex(segments["product"].drop(segments.index[segments["product"] == "TENT-4P"])),
    )
    assert segments["share"].sum() == pytest.approx(1)
    assert "".join(segments["abc"]) == "".join(sorted(segments["abc"]))
    kinds = plan["segments"].set_index("product")
    assert kinds.loc["BAG-EXPED", "pattern"] in ("intermittent", "lumpy") and kinds.loc["BAG-EXPED", "xyz"] == "Z"
    assert kinds.loc["TENT-2P", "xyz"] == "X" and kinds.loc["TENT-4P", "pattern"] == "new"


def test_exceptions_are_ranked_by_money_capped_and_all_counted(plan, tables, run):
    shown, causes = plan["exceptions"], plan["exception_causes"]
    assert shown["money"].is_monotonic_decreasing and shown["rank"].tolist() == list(range(1, len(shown) + 1))
    assert len(shown) <= 15 and shown.groupby("cause").size().max() <= 4
    assert causes["shown"].sum() == len(shown) and causes["found"].sum() > len(shown)
    rules = COMPANY.model_copy(
        update={"demand": COMPANY.demand.model_copy(update={"exceptions_shown": 3, "exceptions_each": 1})}
    )
    short = run(tables, rules)
    assert len(short["exceptions"]) == 3 and short["exceptions"]["cause"].is_unique
    assert short["exception_causes"].set_index("cause")["money"].to_dict() == pytest.approx(
        causes.set_index("cause")["money"].to_dict()
    )


def test_what_changed_adds_up_layer_by_layer(plan, tables):
    change = plan["demand_change"]
    assert set(change["family"]) == {"all", "BAGS", "PACKS", "STOVES", "TENTS"}
    for _, rows in change.groupby("family"):
        rows = rows.sort_values("step")
        for column in ("units", "money"):
            assert rows[column].iloc[:-1].sum() == pytest.approx(rows[column].iloc[-1])
    total = change.query("family == 'all'").sort_values("step")["units"].iloc[[0, -1]].tolist()
    then = tables["past_forecasts"].query(
        "cycle == @pd.Timestamp('2026-10-01') and stream == 'consensus' and month >= @FIRST"
    )
    now = plan["demand_plan"][plan["demand_plan"]["month"].isin(then["month"])]
    assert total == pytest.approx([then["quantity"].sum(), now["consensus"].sum()])


def test_nothing_changes_against_a_plan_that_is_the_same(tables, plan, run):
    """Last cycle's frozen streams set to this cycle's: every step of the waterfall is zero."""
    same = plan["frozen_forecasts"].assign(cycle=pd.Timestamp("2026-10-01"))
    older = tables["past_forecasts"].query("cycle < '2026-10-01'")
    change = run(tables | {"past_forecasts": pd.concat([older, same], ignore_index=True)})["demand_change"]
    steps = change[~change["layer"].str.startswith("plan of")]
    assert len(steps) and not set(steps["layer"]) - {judged.STEP_WORDS[name] for name in judged.STAIR[1:]}
    # weights may move with what is judged, so only what comes before them must stand still
    still = steps[~steps["layer"].isin([judged.STEP_WORDS["blended"]])]
    assert np.allclose(still["units"], 0, atol=1e-6)


# safety stock --------------------------------------------------------------------------------------------------


def test_published_safety_stock():
    """Chopra & Meindl: 2,500 a week give or take 500, two weeks' lead time: 90 % needs 906, 1,000 give 92 %."""
    error = 500 * np.sqrt(2)
    assert error == pytest.approx(707, abs=0.5)
    assert stock.safety_stock(0.90, error) == pytest.approx(906, abs=0.5)
    assert ndtr(1000 / error) == pytest.approx(0.92, abs=0.005)
    assert stock.safety_stock(0.3, 100) == 0 and np.isfinite(stock.safety_stock(1.0, 100))


def test_safety_stock_covers_the_lead_time_of_where_it_is_made(plan, tables):
    frame = plan["safety_stock_proposal"].set_index(["site", "product"])
    assert (
        frame.loc[("DC-S", "TENT-3P"), "lead_time"] == 2
    )  # made in the north only: a month on the way and one of review
    assert frame.loc[("DC-N", "TENT-3P"), "lead_time"] == 1
    assert frame.loc[("DC-N", "STOVE-G2"), "lead_time"] == 2
    policies = tables["policies"].set_index(["site", "item"])["safety_stock"]
    assert all(row["current"] == policies[key] for key, row in frame.iterrows())
    assert np.allclose(frame["proposed"] - frame["current"], frame["difference"])
    cost = tables["products"].set_index("product")["standard_cost"]
    assert np.allclose(
        frame["proposed_value"], frame["proposed"] * cost.reindex(frame.index.get_level_values(1)).to_numpy()
    )


def test_more_service_needs_more_stock_and_half_needs_none(tables, plan, run):
    levels = {}
    for service in (0.5, 0.9, 0.99):
        policies = tables["policies"].assign(service_level=service)
        levels[service] = run(tables | {"policies": policies})["safety_stock_proposal"]["proposed"]
    assert (levels[0.5] == 0).all() and (levels[0.9] <= levels[0.99]).all() and levels[0.9].sum() < levels[0.99].sum()


def test_error_over_the_lead_time_derived_again(plan, tables, run):
    """One site and product by hand: backtest errors of its two markets, root mean squared, as a share of sales."""
    past = grid.past_grid(book(tables))
    success = campaigns.campaign_success(book(tables), past)
    calm = campaigns.undisturbed(book(tables), past, success, TABLES["driver_effects"].empty(), grid.Notes("normalise"))
    history = tournament.history_table(book(tables), past, calm).rename(columns={"month": "ds", "quantity": "y"})
    made = run.forecast(history, 18, tournament.levels_of(history), engine=None)
    cv = made.base.cv[
        made.base.cv["unique_id"].isin([f"product x market: PACK-45/NORTH-{kind}" for kind in ("RETAIL", "ONLINE")])
    ]
    squares, sums = [], []
    for _, rows in cv.groupby("cutoff"):
        months = rows.groupby("ds")[["y", "chosen"]].sum().iloc[:6]
        squares += ((months["chosen"] - months["y"]) ** 2).tolist()
        sums += months["y"].tolist()
    share = np.sqrt(np.mean(squares)) / np.mean(sums)
    year = plan["demand_plan"].query(
        "product == 'PACK-45' and market in ['NORTH-RETAIL', 'NORTH-ONLINE'] and month < '2027-11-01'"
    )
    row = plan["safety_stock_proposal"].query("site == 'DC-N' and product == 'PACK-45'").iloc[0]
    assert row["error"] == pytest.approx(share * year["consensus"].sum() / 12)
    assert row["proposed"] == pytest.approx(1.6448536 * row["error"])


# a person says it, the plan moves ------------------------------------------------------------------------------


def test_an_override_goes_through_the_records(tables, plan, run, tmp_path):
    """Refused without a reason; said once it counts; superseded it stays on record and moves nothing."""
    from sopkit.errors import SopkitError
    from sopkit.records import Records

    records = Records(f"sqlite:///{tmp_path / 'records.sqlite'}", "demo")
    fields = {
        "product": "PACK-30",
        "action": "add",
        "amount": 100,
        "first_month": "2026-11-01",
        "last_month": "2026-12-01",
    }
    with pytest.raises(SopkitError, match="reason"):
        records.add("overrides", author="Ada Brandt", cycle=CYCLE, reason="", **fields)
    first = records.add("overrides", author="Ada Brandt", cycle=CYCLE, reason="second shop opens", **fields)
    moved = run(tables | {"overrides": records.read("overrides", cycle=CYCLE)})["demand_plan"]
    assert moved["override"].sum() == pytest.approx(200)
    records.add(
        "overrides",
        author="Ada Brandt",
        cycle=CYCLE,
        reason="shop opens later",
        supersedes=first,
        **fields | {"amount": 40},
    )
    again = run(tables | {"overrides": records.read("overrides", cycle=CYCLE)})["demand_plan"]
    assert again["override"].sum() == pytest.approx(80) and len(records.read("overrides")) == 2


def test_a_company_without_a_story(run):
    """Other products, markets and sites, 30 months, no launches, no past cycles: the same code, nothing special."""
    size = demo.Size(products=6, families=3, plants=2, dcs=2, markets=2, resources=3, history=30, horizon=6)
    made = demand_inputs(demo.tables(size))
    plan = run(made, Company.model_validate({"name": "Large", "horizon": 6}))
    assert len(plan["demand_plan"]) == 6 * 2 * 6 and plan["stream_weights"]["weight"].isin([0, 1]).all()


def test_next_month_judges_what_this_month_froze(tables, run):
    """November as planned, then December: the waterfall starts at November's consensus, and the override is judged."""
    some = few(tables, "PACK-30", "STOVE-MULTI")
    said = override(1, "add", 300, product="PACK-30", market="NORTH-RETAIL", first="2026-12", last="2027-02")
    november = run(overridden(some | {"past_forecasts": TABLES["past_forecasts"].empty()}, said))
    plan = november["demand_plan"]
    sold = plan[plan["month"] <= pd.Timestamp("2026-12-01")][[*PAIR, "month", "statistical"]]
    sold = sold.rename(columns={"statistical": "quantity"}).assign(raw=lambda rows: rows["quantity"], revenue=0.0)
    history = TABLES["clean_history"].check(pd.concat([some["clean_history"], sold], ignore_index=True))
    effects = november["override_effects"].drop(columns="id")
    later = some | {
        "clean_history": history,
        "past_forecasts": TABLES["past_forecasts"].check(november["frozen_forecasts"]),
        "past_overrides": TABLES["past_overrides"].check(effects),
    }
    january = run(later, cycle="2027-01")
    change = january["demand_change"].query("family == 'all'").sort_values("step")
    common = plan[plan["month"] >= pd.Timestamp("2027-01-01")]
    assert change["units"].iloc[0] == pytest.approx(common["consensus"].sum())
    assert change["layer"].iloc[0] == "plan of Nov 2026" and change["layer"].iloc[-1] == "plan of Jan 2027"
    assert len(january["override_review"]) == 1  # December is over, January and February are not
    row = january["override_review"].iloc[0]
    truth = sold.set_index([*PAIR, "month"]).loc[("PACK-30", "NORTH-RETAIL", pd.Timestamp("2026-12-01")), "quantity"]
    assert row["gain"] == pytest.approx(abs(row["before"] - truth) - abs(row["after"] - truth))
    lagged = january["forecast_accuracy"].query("family == 'all' and lag == 1").set_index("stream")
    assert lagged.loc["statistical", "wape"] == pytest.approx(0, abs=1e-9) and lagged.loc["consensus", "bias"] > 0


@settings(max_examples=20)
@given(st.lists(st.floats(0, 1e4), min_size=3, max_size=24), st.floats(0.01, 100))
def test_accuracy_does_not_depend_on_the_unit_of_measure(actual, factor):
    actual = np.array(actual) + 1
    forecast = actual[::-1]
    assert kpis.wape(forecast * factor, actual * factor) == pytest.approx(kpis.wape(forecast, actual))
