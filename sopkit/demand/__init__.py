"""What can we sell, when and where, and how sure are we? `plan` answers in tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from sopkit.book import Book
    from sopkit.engine import Engine


def plan(book: Book, *, engine: Engine | str | None = None) -> dict[str, pd.DataFrame]:
    """Every table that the demand stage writes, from those it reads: baseline, layers, consensus and their proof.

    The first planned month is the book's cycle; history counts up to the month before it. `engine` says where the
    forecasting runs (default: this machine). Raises FindingsError where the history cannot be read, SettingsError where
    there is none.
    """
    from sopkit.demand import consensus, layers, review, stock
    from sopkit.demand.hierarchy import reconcile

    tables, company, first, months = book, book.company, book.first, book.months
    notes = layers.Notes()
    past, sold = layers.past_grid(tables, first)
    success = layers.campaign_success(tables, company, first, past, sold)
    calm = layers.undisturbed(tables, company, first, past, sold, success, notes)
    history = layers.history_of(tables, company, past, calm)
    features = layers.calendar_features(tables, past, company.horizon)
    made = reconcile(
        history, company.horizon, layers.levels_of(history), method=company.reconciliation, engine=engine, exog=features
    )
    out = layers.baseline_tables(made, notes, featured=features is not None)
    baseline = out["baseline"]

    grid = layers.planned_grid(tables, first, months, baseline)
    base = grid.matrix(baseline)
    lifecycle = layers.lifecycle_layer(tables, company, first, grid, base, past, sold, notes)
    volume = base + lifecycle
    market = layers.market_layer(tables, grid, volume)
    campaigns = layers.campaign_layer(tables, company, first, grid, volume, past, sold, success, notes)
    campaigns = campaigns.clip(min=-(volume + market))  # what is pulled forward cannot be more than there is
    deals, variance = layers.pipeline_layer(tables, grid, notes)
    statistical = volume + market + campaigns + deals

    judged = review.judged(tables, past, sold, first, notes)
    weights = consensus.stream_weights(judged, sorted(set(grid.pairs["family"])), company, notes)
    sales = grid.matrix(tables["sales_forecast"], empty=float("nan"))
    blended = consensus.blend({"statistical": statistical, "sales": sales}, weights, grid, notes)
    agreed, applied, effects = consensus.apply_overrides(tables["overrides"], blended, grid, first, notes)
    low, high = consensus.consensus_range(
        base,
        grid.matrix(baseline, "p10"),
        grid.matrix(baseline, "p90"),
        agreed,
        variance,
        grid.pairs["family"].to_numpy(),
    )
    demand_plan = grid.long(
        baseline=base,
        lifecycle=lifecycle,
        market_conditions=market,
        campaigns=campaigns,
        pipeline=deals,
        statistical=statistical,
        sales=sales,
        blended=blended,
        override=agreed - blended,
        consensus=agreed,
        p10=low,
        p90=high,
    )
    out |= {
        "demand_levels": consensus.levels(made.forecast, grid, tables, company, base, agreed, variance),
        "demand_plan": demand_plan,
        "stream_weights": weights,
        "campaign_success": success,
        "pipeline_weight": layers.pipeline_weight(tables, grid),
        "overrides_applied": applied,
        "override_effects": effects,
        "frozen_forecasts": review.frozen(demand_plan, past, sold, first),
        "safety_stock_proposal": stock.proposal(
            tables, demand_plan, made.base.cv, made.bottom, company.currency, notes
        ),
    }
    out |= review.review(tables, company, first, judged, past, sold, out, notes)
    return out | {"demand_notes": notes.frame()}
