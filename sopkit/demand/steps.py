"""The steps of demand planning, each from tables to tables: only what a change reaches is made again.

`normalise` takes past campaigns and market conditions out of history, `forecast` runs the tournament, `layer` puts the
planned ones on top, `agree` makes the consensus, `judge` says who was right and where to look. A later step knows what
an earlier one found from its tables only. Which tables and settings each reads is declared in sopkit/tables/stages.py.
"""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from sopkit.book import Book
from sopkit.demand import consensus, layers, review, stock
from sopkit.demand.hierarchy import reconcile
from sopkit.engine import Engine
from sopkit.tables import BY_NAME, TABLES

Tables = dict[str, pd.DataFrame]


def normalise(book: Book) -> Tables:
    """History as it would have been without past campaigns and market conditions, and what campaigns kept."""
    notes, past = layers.Notes("normalise"), layers.past_grid(book)
    success = layers.campaign_success(book, past)
    calm = layers.undisturbed(book, past, success, notes)
    return {
        "campaign_success": success,
        "baseline_history": layers.history_table(book, past, calm),
        "demand_notes": notes.beside(book["demand_notes"]),
    }


def forecast(book: Book, *, engine: Engine | str | None = None) -> Tables:
    """The statistical baseline with its range and the proof of it: a tournament over `baseline_history`, reconciled.

    `engine` says where the forecasting runs (default: this machine).
    """
    notes, horizon = layers.Notes("forecast"), book.company.horizon
    history = book["baseline_history"].rename(columns={"month": "ds", "quantity": "y"})
    features = layers.calendar_features(
        book["calendar"], pd.date_range(history["ds"].min(), history["ds"].max(), freq="MS"), horizon
    )
    method = book.company.reconciliation
    made = reconcile(history, horizon, layers.levels_of(history), method=method, engine=engine, exog=features)
    out = layers.baseline_tables(made, notes, featured=features is not None)
    return out | {"demand_notes": notes.beside(book["demand_notes"])}


def layer(book: Book) -> Tables:
    """The named layers over the baseline: lifecycle, market conditions, campaigns, pipeline; each its own column."""
    notes, past, grid = layers.Notes("layer"), layers.past_grid(book), layers.planned_grid(book)
    base, p10, p90 = (grid.matrix(book["baseline"], column) for column in ("quantity", "p10", "p90"))
    lifecycle = layers.lifecycle_layer(book, grid, base, past, notes)
    volume = base + lifecycle
    market = layers.market_layer(book, grid, volume)
    campaigns = layers.campaign_layer(book, grid, volume, past, notes)
    campaigns = campaigns.clip(min=-(volume + market))  # what is pulled forward cannot be more than there is
    deals, variance = layers.pipeline_layer(book, grid, notes)
    long = grid.long(
        baseline=base,
        p10=p10,
        p90=p90,
        lifecycle=lifecycle,
        market_conditions=market,
        campaigns=campaigns,
        pipeline=deals,
        pipeline_variance=variance,
        statistical=volume + market + campaigns + deals,
    )
    return {"demand_layers": long.drop(columns=["family", "price"]), "demand_notes": notes.beside(book["demand_notes"])}


def agree(book: Book) -> Tables:
    """The consensus: streams weighted by their past accuracy, then what people changed; frozen to be judged later."""
    notes, past, grid = layers.Notes("agree"), layers.past_grid(book), consensus.agreed_grid(book)
    kept = ("baseline", *layers.LAYERS, "statistical", "p10", "p90", "pipeline_variance")
    made = {column: grid.matrix(book["demand_layers"], column) for column in kept}
    base, low, high, variance = made["baseline"], made.pop("p10"), made.pop("p90"), made.pop("pipeline_variance")
    judged = review.judged(book, past, notes)
    weights = consensus.stream_weights(judged, sorted(set(grid.pairs["family"])), book.company.consensus, notes)
    sales = grid.matrix(book["sales_forecast"], empty=float("nan"))
    blended = consensus.blend({"statistical": made["statistical"], "sales": sales}, weights, grid, notes)
    agreed, applied, effects = consensus.apply_overrides(book, blended, grid, notes)
    family = grid.pairs["family"].to_numpy()
    p10, p90 = consensus.consensus_range((base, low, high), agreed, variance, family)
    plan = grid.long(
        **made, sales=sales, blended=blended, override=agreed - blended, consensus=agreed, p10=p10, p90=p90
    )
    return {
        "demand_plan": plan,
        "demand_levels": consensus.levels(book, grid, base, agreed, variance),
        "stream_weights": weights,
        "overrides_applied": applied,
        "override_effects": effects,
        "frozen_forecasts": review.frozen(plan, past, book.first),
        "demand_notes": notes.beside(book["demand_notes"]),
    }


def judge(book: Book) -> Tables:
    """Who was right so far, where effort pays, what deserves the meeting's time, and the safety stock it asks for."""
    notes, past = layers.Notes("judge"), layers.past_grid(book)
    out = {"pipeline_weight": layers.pipeline_weight(book), "safety_stock_proposal": stock.proposal(book, notes)}
    judged = review.judged(book, past, layers.Notes("agree"))  # what it could not judge is said by that step
    out |= review.review(book, past, judged, notes)
    return out | {"demand_notes": notes.beside(book["demand_notes"])}


def run(book: Book, *, engine: Engine | str | None = None, kept: Book | None = None) -> Tables:
    """Every table of the stage, step by step; see `sopkit.demand.plan`."""
    ways = {"normalise": normalise, "layer": layer, "agree": agree, "judge": judge}
    steps = BY_NAME["demand"].steps
    known = kept is not None and all(name in kept for step in steps for name in step.writes)
    written = {name: kept[name] for step in steps for name in step.writes} if known else {}
    for step in steps:
        now = replace(book, tables={**book.tables, **written})
        if known and not step.reached(now, kept):
            continue
        made = forecast(now, engine=engine) if step.name == "forecast" else ways[step.name](now)
        written |= {name: TABLES[name].conform(frame) for name, frame in made.items()}
    return written
