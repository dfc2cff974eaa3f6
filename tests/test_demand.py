"""The demand stage: layers, overrides, consensus, who was right; held to the demo's truth and to what must hold."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from sopkit import demand
from sopkit.demand.layers import LAYERS
from sopkit.tables import BY_NAME, TABLES, Company, demo

CYCLE = "2026-11"
COMPANY = Company.model_validate(
    {
        "name": "Alpenglow Outdoor",
        "horizon": 18,
        "consensus": {
            "lag": 1,
            "streams": {"statistical": {"least": 0.3, "most": 0.9}, "sales": {"least": 0.1, "most": 0.7}},
        },
    }
)


def demand_inputs(made: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """What the stage reads, from a made company: history without holes and nobody's override."""
    sold = made["sales_history"]
    months = pd.DataFrame({"month": pd.date_range(sold["month"].min(), sold["month"].max(), freq="MS")})
    every = sold.groupby(["product", "market"])["month"].min().rename("first").reset_index().merge(months, how="cross")
    every = every[every["month"] >= every["first"]].merge(sold, how="left").fillna({"quantity": 0.0, "revenue": 0.0})
    clean = TABLES["clean_history"].check(every.drop(columns="first").assign(raw=every["quantity"]))
    return {name: made[name] for name in BY_NAME["demand"].reads if name in made} | {
        "clean_history": clean,
        "overrides": TABLES["overrides"].empty(),
    }


@pytest.fixture(scope="module")
def tables():
    return demand_inputs(demo.tables())


@pytest.fixture(scope="module")
def plan(tables):
    return {name: TABLES[name].check(frame) for name, frame in demand.plan(tables, COMPANY, CYCLE).items()}


def test_every_declared_table_is_written(plan):
    assert {name for name in TABLES if TABLES[name].stage == "demand"} == set(plan)


def test_layers_add_up_to_the_consensus_exactly(plan):
    frame = plan["demand_plan"]
    assert np.allclose(frame["baseline"] + frame[list(LAYERS)].sum(axis=1), frame["statistical"], rtol=0, atol=1e-9)
    assert np.allclose(frame["blended"] + frame["override"], frame["consensus"], rtol=0, atol=1e-9)
    assert (frame[["statistical", "blended", "consensus"]] >= 0).all(axis=None)
    assert ((frame["p10"] <= frame["consensus"]) & (frame["consensus"] <= frame["p90"])).all()
