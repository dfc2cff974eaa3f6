from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from sopkit.demand import baseline, hierarchy
from sopkit.demand.contestants import lightgbm
from sopkit.demand.grid import Grid, Notes
from sopkit.demand.panel import kind_of
from sopkit.demand.tournament import baseline_tables, calendar_features
from sopkit.errors import FindingsError, SettingsError

MONTHS = pd.date_range("2022-11-01", periods=48, freq="MS")


def _series(name, y, months=None):
    months = MONTHS[-len(y) :] if months is None else months
    return pd.DataFrame({"unique_id": name, "ds": months, "y": np.asarray(y, float)})


def _seasonal(level=100.0, months=48, seed=0, noise=0.05):
    random = np.random.default_rng(seed)
    at = np.arange(months)
    return level * (1 + 0.3 * np.sin(2 * np.pi * at / 12)) * (1 + 0.004 * at) * random.lognormal(0, noise, months)


@pytest.fixture(scope="module")
def odd():
    """Every awkward history that a company has, in one panel."""
    random = np.random.default_rng(7)
    sparse = np.where(random.random(48) < 0.3, random.poisson(8, 48) + 1, 0)
    gap = _series("gap", _seasonal(seed=3)).drop(index=[20, 21])
    history = pd.concat(
        [
            _series("regular", _seasonal(seed=1)),
            _series("zero", np.zeros(48)),
            _series("constant", np.full(48, 25.0)),
            _series("one", [40.0]),
            _series("three", [40.0, 44.0, 42.0]),
            _series("short", _seasonal(months=15, seed=2)),
            _series("sparse", sparse),
            _series("ended", np.r_[_seasonal(seed=4)[:30], np.zeros(18)]),
            _series("stopped", _seasonal(seed=5)[:44], MONTHS[:44]),
            _series("returns", np.r_[_seasonal(seed=6)[:47], -5.0]),
            gap,
        ]
    )
    return baseline.forecast(history, 12)


def _of(frame, name):
    return frame[frame["unique_id"] == name]


def _note(found, name):
    return " ".join(_of(found.notes, name)["note"])


def test_every_series_gets_a_full_finite_answer(odd):
    frame = odd.forecast
    assert (frame.groupby("unique_id").size() == 12).all() and frame["unique_id"].nunique() == 11
    values = frame[["mean", "p10", "p50", "p90"]].to_numpy()
    assert np.isfinite(values).all() and (values >= 0).all()
    assert (frame["p10"] <= frame["p50"] + 1e-9).all() and (frame["p50"] <= frame["p90"] + 1e-9).all()
    assert frame["ds"].min() == pd.Timestamp("2026-11-01")


@pytest.mark.parametrize(
    ("name", "said", "low", "high"),
    [
        ("zero", "Nothing was ever sold", 0, 0),
        ("constant", "The same value every month", 25, 25),
        ("one", "Only one month of", 40, 40),
        ("three", "Only three months of", 42, 42),
        ("short", "less than two years", 60, 160),
        ("sparse", "intermittent", 0.5, 6),
        ("ended", "Nothing sold in its last 18 months", 0, 0),
        ("stopped", "No rows in its last 4 months:", 0, 130),
        ("returns", "One month below 0", 0, 160),
        ("gap", "2 missing months filled", 60, 180),
    ],
)
def test_an_awkward_series_gets_a_sensible_answer_and_a_sentence(odd, name, said, low, high):
    assert said in _note(odd, name)
    assert low <= _of(odd.forecast, name)["mean"].mean() <= high


def test_what_stopped_selling_ends_but_not_what_pauses_every_year_or_sells_seldom():
    """Eight months without a sale end a product that never paused; a winter without sales is no end, nor is a gap."""
    winter = np.tile(np.r_[np.full(6, 50.0), np.zeros(6)], 4)
    seldom = np.zeros(48)
    seldom[[3, 9, 20, 26, 38]] = 10.0
    dead = np.r_[_seasonal(months=40), np.zeros(8)]
    paused = np.r_[_seasonal(months=20), np.zeros(4), _seasonal(months=18), np.zeros(6)]
    kinds = {name: kind_of(np.asarray(y), 12) for name, y in locals().copy().items() if isinstance(y, np.ndarray)}
    assert kinds.pop("dead") == "ended" and "ended" not in kinds.values()


def test_a_product_that_ended_gets_nothing_of_its_siblings_volume():
    """Eight months dead beside a product that grows: the dead one is forecast as 0 once all levels add up."""
    rows = [
        _series("", y).assign(product=name, family="F", market="M").drop(columns="unique_id")
        for name, y in (
            ("DEAD", np.r_[_seasonal(seed=1)[:40], np.zeros(8)]),
            ("A", _seasonal(seed=2)),
            ("B", _seasonal(seed=3)),
        )
    ]
    found = hierarchy.reconcile(pd.concat(rows), 6, ((), ("product", "market")))
    mean = found.bottom.groupby("product")["mean"].agg(["min", "max"])
    assert (mean.loc["DEAD"] == 0).all() and (mean.loc[["A", "B"], "min"] > 0).all() and found.gap < 1e-6


def test_seasonal_history_is_forecast_seasonally(odd):
    mean = _of(odd.forecast, "regular")["mean"].to_numpy()
    truth = 100 * (1 + 0.3 * np.sin(2 * np.pi * np.arange(48, 60) / 12)) * (1 + 0.004 * np.arange(48, 60))
    assert np.abs(mean / truth - 1).mean() < 0.08


def test_a_future_spike_is_not_seen_before_it_happens():
    """Whatever happens after a cutoff, everything said at the cutoff stays the same to the last digit."""
    calm = pd.concat([_series(f"S{i}", _seasonal(100 * (i + 1), seed=i)) for i in range(6)])
    spiked = calm.copy()
    months = sorted(baseline.forecast(calm.query("unique_id == 'S0'"), 6).cv["cutoff"].unique())
    assert len(months) >= 2
    spike = months[-1]
    spiked.loc[(spiked["ds"] > spike) & (spiked["unique_id"] == "S2"), "y"] *= 50
    before, after = baseline.forecast(calm, 6), baseline.forecast(spiked, 6)
    columns = [name for name in before.cv if name != "y"]
    pd.testing.assert_frame_equal(before.cv[columns], after.cv[columns], check_exact=True)
    ahead = [_of(found.forecast, "S2")["mean"].mean() for found in (before, after)]
    assert ahead[1] > 3 * ahead[0]


def test_a_missing_month_is_filled_with_what_was_known_at_the_cutoff():
    """A hole just before the cutoff, ten times the sales after it: the forecast made at the cutoff stays the same."""
    calm = pd.concat([_series(f"S{i}", _seasonal(100 * (i + 1), seed=i)) for i in range(3)])
    cutoff = max(baseline.forecast(calm, 6).cv["cutoff"])
    hole = (calm["unique_id"] == "S1") & (calm["ds"] == cutoff)
    calm = calm[~hole]
    spiked = calm.copy()
    spiked.loc[(spiked["ds"] > cutoff) & (spiked["unique_id"] == "S1"), "y"] *= 10
    before, after = baseline.forecast(calm, 6).cv, baseline.forecast(spiked, 6).cv
    columns = [name for name in before if name != "y"]
    pd.testing.assert_frame_equal(before[columns], after[columns], check_exact=True)


def test_the_same_input_gives_the_same_output_in_any_row_order():
    history = pd.concat([_series(f"S{i}", _seasonal(seed=i)) for i in range(3)])
    one = baseline.forecast(history, 6)
    two = baseline.forecast(history.sample(frac=1, random_state=1), 6)
    pd.testing.assert_frame_equal(one.forecast, two.forecast, check_exact=True)


@pytest.fixture(scope="module")
def many():
    """Enough series for LightGBM, and the price plan that moves half of them: at half price twice as much is sold."""
    months, ahead = MONTHS[-36:], pd.date_range("2026-11-01", periods=3, freq="MS")
    random = np.random.default_rng(9)
    history, past, future = [], [], []
    for n in range(24):
        price = np.where(random.random(36) < 0.2, 0.5, 1.0)
        history.append(_series(f"S{n:02d}", 100 * random.lognormal(0, 0.02, 36) / price, months))
        past.append(pd.DataFrame({"unique_id": f"S{n:02d}", "ds": months, "price": price}))
        future.append(pd.DataFrame({"unique_id": f"S{n:02d}", "ds": ahead, "price": [1.0, 0.5, 1.0]}))
    return pd.concat(history), {"history": pd.concat(past), "future": pd.concat(future)}


def test_lightgbm_uses_what_is_known_of_the_future(many):
    history, exog = many
    found = baseline.forecast(history, 3, exog=exog)
    error = found.accuracy.groupby("model")["wape"].mean()
    weight = found.weights.groupby("model")["weight"].mean()
    assert error.drop("chosen").idxmin().startswith("lightgbm") and weight.idxmax().startswith("lightgbm")
    mean = found.forecast.groupby("ds")["mean"].mean().to_numpy()
    assert mean[1] > 1.3 * mean[0] and mean[1] > 1.3 * mean[2]
    again = baseline.forecast(history, 3, exog=exog)
    pd.testing.assert_frame_equal(found.forecast, again.forecast, check_exact=True)


def test_without_features_few_series_get_no_lightgbm(many):
    assert not [name for name in baseline.forecast(many[0], 3).cv if name.startswith("lightgbm")]


def test_what_is_known_of_a_month_alone_asks_for_as_many_series_as_no_feature(many):
    history, exog = many
    of_all = {when: rows.drop_duplicates("ds").drop(columns="unique_id") for when, rows in exog.items()}
    assert not [name for name in baseline.forecast(history, 3, exog=of_all).cv if name.startswith("lightgbm")]


def test_with_features_too_a_future_spike_is_not_seen_before_it_happens(many):
    calm, exog = many
    spiked = calm.copy()
    spiked.loc[spiked["ds"] > MONTHS[-4], "y"] *= 50
    before, after = (baseline.forecast(history, 3, exog=exog).cv for history in (calm, spiked))
    columns = [name for name in before if name != "y"]
    assert {"lightgbm", "lightgbm_levels"} <= set(columns)
    first = before["cutoff"] == MONTHS[-4]
    pd.testing.assert_frame_equal(before.loc[first, columns], after.loc[first, columns], check_exact=True)


@pytest.fixture(scope="module")
def working_days():
    """40 series of 48 months that sell in proportion to working days, 6 months held out, and the calendar of both."""
    random, months = np.random.default_rng(2), pd.date_range("2022-11-01", periods=54, freq="MS")
    days, phase = 21.0 + random.integers(-3, 4, 54), random.uniform(0, 12, (40, 1))
    season = 1 + 0.2 * np.sin(2 * np.pi * (np.arange(54) + phase) / 12)
    y = 100 * season * days / 21 * random.lognormal(0, 0.03, (40, 54))
    past = Grid(pd.DataFrame({"product": ["P"], "market": ["M"]}), months[:48])
    return y, past, pd.DataFrame({"month": months, "working_days": days})


def test_working_days_make_the_held_out_months_better(working_days):
    y, past, calendar = working_days
    known = calendar_features(calendar, past.months, 6)
    series = pd.DataFrame({"unique_id": range(40)})
    features = tuple(series.merge(known[when], how="cross") for when in ("history", "future"))
    history = dict(enumerate(y[:, :48]))
    blind, seeing = (
        lightgbm(history, past.months[-1], 6, freq="MS", season=12, features=given) for given in (None, features)
    )
    for contestant in ("lightgbm", "lightgbm_levels"):
        error = [sum(np.abs(said[at][contestant] - y[at, 48:]).sum() for at in said) for said in (blind, seeing)]
        assert error[1] < 0.7 * error[0], contestant


def test_the_calendar_tells_each_month_against_its_usual_days(working_days):
    _, past, calendar = working_days
    known = calendar_features(calendar, past.months, 6)
    both = pd.concat(known.values(), ignore_index=True)
    assert known["history"]["ds"].max() == past.months[-1] and len(known["future"]) == 6
    assert np.isfinite(both.drop(columns="ds")).all(axis=None)
    off = both["working_days"]
    assert np.allclose(both["working_days_on_year"][12:], off[12:].to_numpy() - off[:-12].to_numpy())
    # a month that lies beyond the calendar counts as usual, one without any difference teaches nothing
    short = calendar_features(calendar.head(50), past.months, 6)
    assert (short["future"]["working_days"].tail(4) == 0).all()
    assert calendar_features(calendar.assign(working_days=21.0), past.months, 6) is None
    assert calendar_features(calendar.head(0), past.months, 6) is None


def test_the_notes_say_which_features_were_used(company):
    found = hierarchy.reconcile(company, 3, ((), ("product", "market")))
    learnt = replace(found, base=replace(found.base, weights=found.base.weights.assign(model="lightgbm")))
    for made, featured, count in ((learnt, True, 1), (learnt, False, 0), (found, True, 0)):
        notes = Notes("forecast")
        baseline_tables(made, notes, featured)
        assert sum("working days" in row[3] for row in notes.rows) == count


def test_a_forecast_that_seasonal_naive_beats_says_so():
    random = np.random.default_rng(4)
    before, after = (100 * random.lognormal(0, 0.8, 12) for _ in range(2))  # the season changes: only naive forgets
    changed = np.r_[before, before, after, after] * random.lognormal(0, 0.01, 48)
    found = baseline.forecast(pd.concat([_series("A", changed), _series("B", _seasonal(seed=8))]), 6)
    rmsse = found.accuracy.set_index(["unique_id", "model"])["rmsse"]
    assert rmsse["A", "chosen"] > rmsse["A", "seasonal_naive"] and rmsse["B", "chosen"] < rmsse["B", "seasonal_naive"]
    assert "Seasonal naive would have been better" in _note(found, "A")
    assert "Seasonal naive" not in _note(found, "B")
    weight = found.weights.set_index(["unique_id", "model"])["weight"]
    assert weight["A"].idxmax() == "seasonal_naive" and weight["A"].sum() == pytest.approx(1)


def test_a_short_series_borrows_the_season_of_the_longer_ones():
    shape = 1 + 0.5 * np.sin(2 * np.pi * np.arange(48) / 12)
    long = [_series(f"L{n}", 100 * shape * np.random.default_rng(n).lognormal(0, 0.02, 48)) for n in range(6)]
    found = baseline.forecast(pd.concat([*long, _series("new", 40 * shape[-10:])]), 12)
    theta = _of(found.forecast, "new")["mean"].to_numpy()
    assert np.corrcoef(theta, shape[:12])[0, 1] > 0.9


def test_measured_coverage_is_that_of_the_backtest():
    history = pd.concat([_series(f"S{n}", _seasonal(seed=n, noise=0.1)) for n in range(25)])
    found = baseline.forecast(history, 6, levels=(50, 80, 95))
    measured = found.coverage.set_index("level")["measured"]
    assert abs(measured[50] - 50) < 12 and abs(measured[80] - 80) < 8 and measured[95] > 88
    assert {"p2.5", "p25", "p75", "p97.5"} <= set(found.forecast)


def test_wrong_rows_are_all_named_at_once():
    history = _series("A", _seasonal())
    history.loc[3, "ds"] = pd.Timestamp("2023-02-15")
    history.loc[9, "y"] = np.inf
    with pytest.raises(FindingsError) as caught:
        baseline.forecast(pd.concat([history, history.tail(1)], ignore_index=True), 6)
    assert {(finding.row, finding.rule) for finding in caught.value.findings} == {
        (5, "is not the first day of its month"),
        (11, "is infinite"),
        (49, "stands twice"),
        (50, "stands twice"),
    }
    with pytest.raises(SettingsError):
        baseline.forecast(history, 0)


@pytest.fixture(scope="module")
def company():
    random = np.random.default_rng(3)
    rows = []
    for product in range(4):
        for market in range(2):
            season = 1 + 0.2 * np.sin(2 * np.pi * np.arange(36) / 12 + market)
            y = 50 * (product + 1) * season * random.lognormal(0, 0.1, 36)
            rows.append(
                _series(f"{product}", y).assign(
                    product=f"P{product}", family=f"F{product // 2}", market=f"M{market}", region=f"R{market}"
                )
            )
    return pd.concat(rows).drop(columns="unique_id")


@pytest.mark.parametrize("method", ["mint_shrink", "wls_var", "top_down", "bottom_up"])
def test_every_level_adds_up(company, method):
    levels = ((), ("family",), ("region",), ("family", "region"), ("product", "market"))
    found = hierarchy.reconcile(company, 6, levels, method=method)
    frame = found.forecast
    assert found.gap < 1e-6
    totals = frame.groupby(["level", "ds"])["mean"].sum().unstack("level")
    assert np.abs(totals.sub(totals["total"], axis=0)).to_numpy().max() < 1e-6
    bottom = found.bottom.groupby(["family", "ds"])["mean"].sum()
    family = frame[frame["level"] == "family"].assign(family=lambda f: f["unique_id"].str.removeprefix("family: "))
    assert np.abs(family.set_index(["family", "ds"])["mean"] - bottom).max() < 1e-6
    assert (frame["p10"] <= frame["mean"]).all() and (frame["mean"] <= frame["p90"]).all()
    assert (frame["p10"] <= frame["p50"] + 1e-9).all() and (frame["p50"] <= frame["p90"] + 1e-9).all()


@pytest.mark.parametrize("method", ["bottom_up", "top_down"])
def test_what_was_forecast_is_never_changed_in_place(company, method):
    with pd.option_context("mode.copy_on_write", True):  # frames hand out read-only arrays, as pandas 3 always does
        made = hierarchy.reconcile(company, 6, ((), ("product", "market")), method=method)
    assert made.gap == 0


def test_the_range_of_what_adds_up_is_measured_and_said(company):
    """Summed from below, bottom nodes stay where they were: their share is counted again from the backtest itself."""
    found = hierarchy.reconcile(company, 6, ((), ("product", "market")), method="bottom_up")
    base, names = found.base, list(found.base.forecast["unique_id"].unique())
    low, high = (pd.DataFrame(base.ranges.at(level), names) for level in (0.1, 0.9))
    rows = base.cv[base.cv["unique_id"] != "total"].assign(step=lambda f: f.groupby(["unique_id", "cutoff"]).cumcount())
    edges = [
        np.maximum([row.chosen + edge.at[row.unique_id, row.step] for row in rows.itertuples()], 0.0)
        for edge in (low, high)
    ]
    share = np.mean((edges[0] <= rows["y"]) & (rows["y"] <= edges[1]))
    assert f"{100 * share:.0f} % of {len(rows)} months of product x market" in found.notes[-1]
    assert "10 months of total" in found.notes[-1]


def test_many_short_series_are_not_thrown_about():
    random = np.random.default_rng(5)
    rows = []
    for product in range(30):
        # half the products are a year old; one ended, one never changes: neither has any error to learn from
        months = 36 if product % 2 else 12
        y = random.poisson(20, months).astype(float)
        y = np.zeros(months) + (7 if product == 3 else 0) if product in (3, 5) else y
        rows.append(
            _series("", np.r_[np.full(36 - months, np.nan), y])
            .assign(product=f"P{product}", family=f"F{product % 3}", market="M", region="R")
            .dropna()
        )
    history = pd.concat(rows).drop(columns="unique_id")
    found = hierarchy.reconcile(history, 6, ((), ("family",), ("product", "market")))
    bottom = found.bottom.groupby("product")["mean"].mean().drop(["P3", "P5"])
    assert bottom.between(8, 40).all(), bottom.to_dict()
    assert found.gap < 1e-6


def test_awkward_series_do_not_break_the_hierarchy(company):
    """A launch a month old, one of three months, a product never sold and one that always sells the same."""
    odd = {"M0": [7.0], "M1": [5.0, 6.0, 7.0], "M2": np.zeros(36), "M3": np.full(36, 4.0)}
    rows = [
        _series("", y).assign(product="NEW", family="F9", market=market, region="R0").drop(columns="unique_id")
        for market, y in odd.items()
    ]
    levels = ((), ("family",), ("region",), ("family", "region"), ("product", "market"))
    found = hierarchy.reconcile(pd.concat([company, *rows]), 6, levels)
    values = found.forecast[["mean", "p10", "p50", "p90"]].to_numpy()
    assert found.gap < 1e-6 and np.isfinite(values).all() and (values >= 0).all()
    mean = found.bottom[found.bottom["product"] == "NEW"].groupby("market")["mean"].mean()
    assert mean["M2"] < 0.5 and abs(mean["M3"] - 4) < 1 and 2 < mean["M0"] < 20


@pytest.mark.parametrize("steered_by", ["total", "product x market"])
def test_reconciliation_is_chosen_by_the_backtest_and_no_worse_than_summing_at_the_level_steered_by(steered_by):
    """Independent re-derivation: every candidate tried alone, its WAPE at the level from its own backtest rows."""
    random = np.random.default_rng(12)
    common = random.lognormal(0, 0.2, 48)
    rows = [
        _series("", 50 * (n + 1) * common * random.lognormal(0, 0.5, 48)).assign(
            product=f"P{n}", family=f"F{n % 2}", market="M"
        )
        for n in range(6)
    ]
    history, levels = pd.concat(rows).drop(columns="unique_id"), ((), ("family",), ("product", "market"))
    found = hierarchy.reconcile(history, 6, levels, steered_by=steered_by)
    tree = hierarchy.build(history[["family", "product", "market"]], levels)
    at = (tree.nodes["level"] == steered_by).to_numpy()
    error = {}
    for method in hierarchy.CANDIDATES:
        tries = list(hierarchy._tried(found.base, tree, method, 12))
        missed = sum((np.abs(after - actual) * judged)[at].sum() for _, after, actual, judged in tries)
        error[method] = missed / sum((np.abs(actual) * judged)[at].sum() for _, _, actual, judged in tries)
    assert error[found.method] <= error["bottom_up"] + 1e-9
    assert (
        f"error (WAPE) of {steered_by}" in found.notes[0]
        and f"bottom_up {100 * error['bottom_up']:.1f} %" in found.notes[0]
    )


def test_returns_of_one_product_do_not_switch_off_the_covariance_of_a_company(company):
    """A product with months below 0 among eight that have none: MinT stays MinT."""
    months = company["ds"].drop_duplicates().to_numpy()
    back = np.where(np.arange(36) % 6 == 5, -4.0, 3.0)
    returned = pd.DataFrame({"ds": months, "y": back, "product": "R", "family": "F0", "market": "M0", "region": "R0"})
    found = hierarchy.reconcile(
        pd.concat([company, returned]), 6, ((), ("family",), ("product", "market")), method="mint_shrink"
    )
    assert found.method == "mint_shrink" and found.gap < 1e-6
