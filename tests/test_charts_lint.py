"""The notation and its linter: what breaks a rule is found in the drawing itself; our own figures break none."""

from __future__ import annotations

import inspect
from importlib import import_module

import pandas as pd
import pytest

from sopkit import charts
from sopkit.charts import Figure
from sopkit.cycle import Cycle
from sopkit.publish import pack
from sopkit.tables import STAGES

STEPS = pd.DataFrame({"driver": ["volume", "price"], "money": [250_000.0, -100_000.0]})
SAID = {"who": "Small Tents", "title": "Bridge", "unit": "EUR", "source": "budget_bridge", "period": "2027"}
MONTHS = pd.date_range("2026-09-01", periods=6, freq="MS")


def bridge(**more) -> Figure:
    words = {**SAID, "look_for": "Volume brings most.", "shows": ["budget", "plan"], **more}
    return charts.waterfall(STEPS, "driver", "money", start="Budget", end="Plan", opening=8e6, **words)


def months() -> pd.DataFrame:
    parts = {"actual": MONTHS[:2], "plan": MONTHS[2:], "budget": MONTHS, "last year": MONTHS}
    rows = [(month, name, 900.0 + 50 * place) for name, of in parts.items() for place, month in enumerate(of)]
    return pd.DataFrame(rows, columns=["month", "series", "units"])


def rules(figure: Figure) -> set[str]:
    return {breach.rule.split(" ", 2)[0] + " " + breach.rule.split(" ", 2)[1] for breach in charts.lint(figure)}


def test_a_figure_that_says_and_draws_all_has_no_breach() -> None:
    assert charts.lint(bridge()) == []
    words = {**SAID, "title": "Demand", "unit": "pcs", "source": "demand_plan", "look_for": "Up.", "period": ""}
    assert charts.lint(charts.columns(months(), "units", "series", **words)) == []
    panels = months().assign(family="Tents")
    assert charts.lint(charts.panels(panels, "units", "series", each="family", **words)) == []


def test_a_bridge_whose_axis_does_not_start_at_zero_is_found_in_the_drawing() -> None:
    """The bridges of the last version began near their steps and said so in a note: the drawing tells it anyhow."""
    import altair

    figure = bridge()
    rows = pd.DataFrame({
        "n": range(4), "low": [7.8, 8.0, 8.15, 7.8], "high": [8.0, 8.25, 8.25, 8.15],
        "text": ["Budget: 8,000 thousand EUR", "volume: +250 thousand EUR", "price: −100 thousand EUR",
                 "Plan: 8,150 thousand EUR"]})  # fmt: skip
    base = altair.Chart(altair.Data(values=rows.to_dict("records")))
    scale = altair.Scale(domain=[7.8, 8.4], zero=False)
    figure.chart = base.mark_bar().encode(x="n:O", y=altair.Y("low:Q", scale=scale), y2="high:Q", description="text:N")
    assert {"CH 1"} <= rules(figure)


def test_what_a_figure_does_not_say_is_found() -> None:
    assert rules(bridge(who="", source="", shows=[], period="")) == {"UN 2.1", "SA 4.4"}
    assert rules(bridge(look_for="x" * 500)) == {"SA 2"}


def test_colours_against_good_and_bad_are_found() -> None:
    figure = bridge()
    figure.better = "lower"
    assert rules(figure) == {"UN 4.1"}


def test_a_scenario_that_looks_like_another_is_found() -> None:
    figure = charts.columns(months(), "units", "series", **{**SAID, "unit": "pcs", "source": "demand_plan"})
    spec = figure.chart.to_dict(validate=False)
    for rows in spec.get("datasets", {}).values():
        for row in rows:
            if "fill" in row:
                row["fill"] = "#1b2430"
    for layer in spec["layer"]:
        for row in layer.get("data", {}).get("values", []):
            if "fill" in row:
                row["fill"] = "#1b2430"

    class Chart:
        def to_dict(self, validate: bool) -> dict:
            return spec

    figure.chart = Chart()
    assert "UN 3.2" in rules(figure)


def test_labels_that_lie_over_each_other_or_are_cut_are_found() -> None:
    text = (
        '<svg viewBox="0 0 100 40"><text x="{}" y="20" font-size="11px">{}</text><text x="12" y="21">other</text></svg>'
    )
    for place, words, rule in ((10, "over", "SI 4"), (90, "cut at the edge", "SI 4")):
        figure = Figure("Drawn", "pcs", months(), source=("demand_plan",), who="Us", body=text.format(place, words))
        assert rules(figure) == {rule}, words


def test_two_formats_of_money_on_a_page_are_found() -> None:
    pair = [Figure("One", unit, months(), source=("pnl",), who="Us") for unit in ("EUR", "thousand EUR")]
    page = {"sections": [{"label": "Finance", "body": pair}]}
    assert [breach.rule[:6] for breach in charts.lint(page)] == ["UN 1.2"]


def test_a_statement_shows_plan_last_year_and_budget_on_one_scale() -> None:
    rows = pd.DataFrame({"line": ["net sales", "costs", "result"], "last year": [9e5, -6e5, 3e5],
                         "budget": [float("nan")] * 2 + [2.5e5], "plan": [1e6, -7e5, 3e5]})  # fmt: skip
    figure = charts.variances(rows, "line", against=("last year", "budget"), bold=("result",), better="higher",
                              **{**SAID, "title": "Profit and loss", "source": "pnl"})  # fmt: skip
    assert charts.lint(figure) == [] and figure.shows == ("last year", "budget", "plan")
    assert (
        "Net sales, against last year: +100 thousand EUR" in figure.html
        and "Result, against budget: +20.0 %" in figure.html
    )
    only = charts.variances(rows[["line", "plan"]], "line", **{**SAID, "title": "P", "source": "pnl"})
    assert "EX 4" not in rules(figure) and only.shows == ("plan",)


def every_figure(book) -> list[Figure]:
    """What the figure functions of every stage make of a book alone: notebooks and library show these."""
    made = []
    for stage in STAGES:
        room = import_module(f"sopkit.{stage.name}.figures")
        for _, function in inspect.getmembers(room, inspect.isfunction):
            needed = [
                p.name for p in inspect.signature(function).parameters.values() if p.default is inspect.Parameter.empty
            ]
            own = function.__module__ == room.__name__ and function.__annotations__.get("return") == "Figure"
            made += [function(book)] if own and needed == ["book"] and not function.__name__.startswith("_") else []
    return made


@pytest.mark.parametrize("which", ["pack", "notebooks"])
def test_no_figure_of_the_demo_breaks_the_notation(which: str, finished: Cycle) -> None:
    book = finished.book
    if which == "pack":
        assert charts.lint(pack.report(book)) == []
    else:
        assert [breach for figure in every_figure(book) for breach in charts.lint(figure)] == []
