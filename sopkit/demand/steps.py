"""The steps of demand planning, each from tables to tables: only what a change reaches is made again.

`normalise` takes past campaigns and market conditions out of history, `forecast` runs the tournament, `layer` puts the
planned ones on top, `agree` makes the consensus, `judge` shows who was right and where to look. A later step knows what
an earlier one found from its tables only. Which tables and settings each reads is declared in sopkit/tables/stages.py.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from sopkit.book import Book
from sopkit.demand import campaigns, consensus, drivers, exceptions, judged, layers, segments, stock, tournament
from sopkit.demand.grid import CELL, Notes, Past, make_grid, past_grid
from sopkit.demand.hierarchy import reconcile
from sopkit.demand.lifecycle import lifecycle_layer
from sopkit.engine import Engine
from sopkit.tables import BY_NAME, TABLES

Tables = dict[str, pd.DataFrame]


def normalise(book: Book) -> Tables:
    """History as it would have been without past campaigns and market conditions, and what campaigns kept."""
    notes, past = Notes("normalise"), past_grid(book)
    success = campaigns.campaign_success(book, past)
    effects = drivers.driver_effects(book, past, campaigns.campaign_months(book, past), notes)
    calm = campaigns.undisturbed(book, past, success, effects, notes)
    return {
        "campaign_success": success,
        "driver_effects": effects,
        "baseline_history": tournament.history_table(book, past, calm),
        "demand_notes": notes.beside(book["demand_notes"]),
    }


def forecast(book: Book, *, engine: Engine | str | None = None) -> Tables:
    """The statistical baseline with its range and the proof of it: a tournament over `baseline_history`, reconciled.

    `engine`: where the forecasting runs (default: this machine).
    """
    notes, company = Notes("forecast"), book.company
    history = book["baseline_history"].rename(columns={"month": "ds", "quantity": "y"})
    if history.empty:
        return tournament.no_baseline(notes) | {"demand_notes": notes.beside(book["demand_notes"])}
    months = pd.date_range(history["ds"].min(), history["ds"].max(), freq="MS")
    features = tournament.calendar_features(book["calendar"], months, company.horizon)
    levels, how = tournament.levels_of(history), {"method": company.reconciliation, "steered_by": company.steered_by}
    made = reconcile(history, company.horizon, levels, **how, engine=engine, exog=features)
    out = tournament.baseline_tables(made, notes, featured=features is not None)
    return out | {"demand_notes": notes.beside(book["demand_notes"])}


def layer(book: Book) -> Tables:
    """The named layers over the baseline: lifecycle, market conditions, campaigns, pipeline; each its own column."""
    notes, past = Notes("layer"), past_grid(book)
    grid = layers.planned_grid(book, past)
    base, p10, p90 = (grid.matrix(book["baseline"], column) for column in ("quantity", "p10", "p90"))
    lifecycle = lifecycle_layer(book, grid, base, past, notes)
    volume = base + lifecycle
    moved = drivers.effect_of(book, grid, book["driver_effects"], planned=True)
    market = volume * ((1 + layers.market_effects(book, grid)) * (1 + moved) - 1)
    extra = campaigns.campaign_layer(book, grid, volume, past, notes)
    extra = extra.clip(min=-(volume + market))  # what is pulled forward cannot be more than there is
    deals, variance = layers.pipeline_layer(book, grid, notes)
    long = grid.long(
        baseline=base,
        p10=p10,
        p90=p90,
        lifecycle=lifecycle,
        market_conditions=market,
        campaigns=extra,
        pipeline=deals,
        pipeline_variance=variance,
        statistical=volume + market + extra + deals,
    )
    notes_table = notes.beside(book["demand_notes"])
    return {"demand_layers": long.drop(columns=["family", "price"]), "demand_notes": notes_table}


def agree(book: Book) -> Tables:
    """The consensus: streams weighted by their past accuracy, then what people changed; frozen to be judged later."""
    notes, past, grid = Notes("agree"), past_grid(book), layers.agreed_grid(book)
    columns = ("baseline", *layers.LAYERS, "statistical")
    made = {column: grid.matrix(book["demand_layers"], column) for column in columns}
    known = judged.past_forecasts(book, past, notes)
    weights = consensus.stream_weights(known, sorted(set(grid.pairs["family"])), book.company.consensus, notes)
    sales = grid.matrix(book["sales_forecast"], empty=float("nan"))
    numbers = consensus.spoken(made["statistical"], grid, past)
    blended = consensus.blend({"statistical": numbers, "sales": sales}, weights, grid, notes)
    changed = consensus.committed(book, "overrides", book["overrides"], notes)
    agreed, applied, effects = consensus.apply_overrides(
        replace(book, tables={**book.tables, "overrides": changed}), blended, grid, notes
    )
    made |= {"sales": sales, "blended": blended, "override": agreed - blended, "consensus": agreed}
    plan = grid.long(**made, p10=agreed, p90=agreed)
    dated = drivers.prices_by_month(book, grid).ravel()
    plan["price"] = plan["price"].mask(~np.isnan(dated), dated)
    plan = consensus.committed(book, "demand_plan", plan, notes)
    return {
        **settled(book, plan, past),
        "stream_weights": weights,
        "overrides_applied": applied,
        "override_effects": effects,
        "demand_notes": notes.beside(book["demand_notes"]),
    }


def settled(book: Book, plan: pd.DataFrame, past: Past) -> Tables:
    """Demand plan `plan` with override and range as its consensus asks; its levels, and what will be judged of it."""
    grid = make_grid(plan, book.months, book)
    base, low, high, variance = (
        grid.matrix(book["demand_layers"], column) for column in ("baseline", "p10", "p90", "pipeline_variance")
    )
    agreed, family = grid.matrix(plan, "consensus"), grid.pairs["family"].to_numpy()
    p10, p90 = consensus.consensus_range((base, low, high), agreed, variance, family)
    ranges = plan[CELL].merge(grid.long(p10=p10, p90=p90), "left", CELL)[["p10", "p90"]].to_numpy()
    plan = plan.assign(override=plan["consensus"] - plan["blended"], p10=ranges[:, 0], p90=ranges[:, 1])
    lag = book.lag(plan.assign(cycle=book.first)).to_numpy()
    return {
        "demand_plan": plan,
        "demand_levels": consensus.levels(book, grid, base, agreed, variance),
        "frozen_forecasts": consensus.frozen(plan, past.naive(plan, lag, book.first), book.first),
    }


def judge(book: Book) -> Tables:
    """Who was right so far, where effort pays, what deserves the meeting's time, and the safety stock it asks for."""
    notes, past = Notes("judge"), past_grid(book)
    known = judged.past_forecasts(book, past, Notes("agree"))  # what could not be judged is noted by that step
    proposed = stock.proposal(book, notes)
    reviewed, owners = judged.overrides_judged(book)
    out = {
        "forecast_accuracy": judged.accuracy(known, past),
        "fva": judged.stair(known),
        "override_review": reviewed,
        "override_owners": owners,
    }
    judged.say_who_was_right(book, known, out, notes)
    shown, causes = exceptions.exceptions(book, known, out["forecast_accuracy"])
    return out | {
        "safety_stock_proposal": proposed,
        "pipeline_weight": layers.pipeline_weight(book),
        "segments": segments.segments(book, past),
        "exceptions": shown,
        "exception_causes": causes,
        "demand_change": judged.changed(book, notes),
        "demand_notes": notes.beside(book["demand_notes"]),
    }


def run(book: Book, *, engine: Engine | str | None = None, kept: Book | None = None) -> Tables:
    """Every table of the stage, step by step; see `sopkit.demand.plan`."""
    ways = {"normalise": normalise, "layer": layer, "agree": agree, "judge": judge}
    steps = BY_NAME["demand"].steps
    if kept is not None and not all(name in kept for step in steps for name in step.writes):
        kept = None
    written = {name: kept[name] for step in steps for name in step.writes} if kept is not None else {}
    for step in steps:
        now = replace(book, tables={**book.tables, **written})
        if kept is not None and not step.reached(now, kept):
            continue
        made = forecast(now, engine=engine) if step.name == "forecast" else ways[step.name](now)
        written |= {name: TABLES[name].conform(frame) for name, frame in made.items()}
    return written
