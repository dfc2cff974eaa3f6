"""The house style: units, words, escaping, accessible names, the same bytes twice."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from sopkit import charts
from sopkit.book import Book
from sopkit.charts import Show, Tile
from sopkit.charts.marks import axis_of
from sopkit.tables import TABLES, Company

HOSTILE = '<script>alert("x")</script>\x00 & ]]> "datum.x" {{7*7}}'
COMPANY = Company(name="Small Tents")
MONTHS = pd.date_range("2026-05-01", periods=12, freq="MS")
WORDS = {"title": f"Demand {HOSTILE}", "look_for": f"Spring is high {HOSTILE}"}


def tidy(name: str = "Tents") -> pd.DataFrame:
    return pd.DataFrame(
        {
            "month": np.tile(MONTHS, 2),
            "kind": np.repeat([name, "buy"], 12),
            "quantity": np.arange(24) * 100.0 + 1000,
            "p10": np.arange(24) * 90.0,
            "p90": np.arange(24) * 120.0 + 1000,
        }
    )


def every_form(name: str, unit: str = "pcs") -> dict[str, charts.Figure]:
    frame = tidy(name)
    many = frame.assign(kind=frame["kind"] + frame.index.astype(str))
    steps = pd.DataFrame({"step": ["naive", name, "overrides"], "value": [0.41, 0.28, 0.31]})
    results = pd.DataFrame(
        {
            "title": [name, "Second shift"],
            "measure": ["profit", "profit"],
            "value": [1_200_000.0, 900_000.0],
            "base": [1_000_000.0] * 2,
            "unit": unit,
        }
    )
    said = {**WORDS, "unit": unit}
    clipped = charts.line(frame, "quantity", series="kind", **said)
    clipped.chart.layer[0].mark.clip = True  # drawn with an id inside
    return {
        "clipped": clipped,
        "line": charts.line(frame, "quantity", series="kind", low="p10", high="p90", start="2026-11-01", **said),
        "bars": charts.bars(frame, "quantity", "kind", over=frame[:12], over_y="p90", over_name=name, **said),
        "heat_map": charts.heat_map(frame, "kind", "month", "quantity", mark_from=3000, **said),
        "waterfall": charts.waterfall(steps, "step", "value", start="Last plan", end="This plan", opening=1.0, **said),
        "ranking": charts.ranking(many, "kind", "quantity", most=23, **said),
        "stair_step": charts.stair_step(steps, "step", "value", **said),
        "table": charts.table(
            frame, {"kind": f"Kind {HOSTILE}", "month": "Month", "quantity": Show("Units", unit)}, **said
        ),
        "cut_table": charts.table(frame, {"kind": "Kind", "quantity": Show("Units", unit)}, most=5, **said),
        "statement": charts.statement(frame, "kind", "month", "quantity", bold=["buy"], **said),
        "comparison": charts.comparison(results, **WORDS),
        "tiles": charts.tiles([Tile(name, 12.0, unit, name, 10.0, "lower", name, MONTHS, range(12), 6)], **WORDS),
    }


@pytest.fixture(scope="module")
def figures() -> dict[str, charts.Figure]:
    return every_form(HOSTILE)


class Page(HTMLParser):
    """What a browser would make of the markup: elements, attributes, and the text between them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements, self.words = [], []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.words.append(data)


def test_every_form_has_title_unit_and_words(figures):
    for form, figure in figures.items():
        words = "".join(Page(figure.html).words)
        assert WORDS["title"].replace("\x00", "") in words, form
        assert WORDS["look_for"].replace("\x00", "") in words, form
        assert figure.unit and figure.unit in words, form
        assert len(figure.alt) > 10, form


def test_hostile_text_comes_out_as_text_in_html_and_svg(figures):
    for form, figure in figures.items():
        assert "<script" not in figure.html and "\x00" not in figure.html, form
        page = Page(figure.html)
        assert not {tag for tag, _ in page.elements} & {"script", "iframe", "img", "object", "foreignobject", "a"}, form
        assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")], form
        shown = "".join(page.words) + "".join(str(a.get("aria-label", "")) for _, a in page.elements)
        assert shown.count("alert(") >= 3, form


def test_nothing_in_a_figure_can_reach_a_network(figures):
    for form, figure in figures.items():
        addresses = set(re.findall(r"https?://[^\"'<> )]+", figure.html)) - {charts.SVG}
        assert not addresses, form
        assert "@import" not in figure.html and not re.search(r"url\((?!#)", figure.html), form


def test_every_svg_has_an_accessible_name(figures):
    drawn = [(form, e) for form, f in figures.items() for e in Page(f.html).elements if e[0] == "svg"]
    assert {"line", "bars", "waterfall", "ranking", "stair_step", "tiles"} <= {form for form, _ in drawn}
    for form, (_, attributes) in drawn:
        assert attributes["role"] == "img" and len(attributes["aria-label"]) > 10, form


def test_marks_carry_tooltips_without_script(figures):
    for form in ("line", "bars", "waterfall", "ranking", "stair_step"):
        assert figures[form].html.count("<title>") >= 3, form
    assert "May 2026: 2,200 pcs (range 1,080 to 2,440)" in figures["line"].html


def test_ids_differ_between_figures_and_never_between_runs(figures):
    again = every_form(HOSTILE)
    for form, figure in figures.items():
        assert figure.html == again[form].html, form
    everything = "".join(figure.html for figure in figures.values())
    ids = [attributes["id"] for _, attributes in Page(everything).elements if "id" in attributes]
    assert ids and len(ids) == len(set(ids))
    assert set(re.findall(r"url\(#([^)]+)\)", everything)) <= set(ids)


def test_a_figure_without_a_unit_is_refused():
    frame = tidy()
    for draw in (
        lambda: charts.line(frame, "quantity", title="t", unit="", look_for=""),
        lambda: charts.bars(frame, "quantity", "kind", title="t", unit=" ", look_for=""),
        lambda: charts.heat_map(frame, "kind", "month", "quantity", title="t", unit="", look_for=""),
        lambda: charts.waterfall(frame, "kind", "quantity", title="t", unit="", look_for=""),
        lambda: charts.ranking(frame, "kind", "quantity", title="t", unit="", look_for=""),
        lambda: charts.stair_step(frame, "kind", "quantity", title="t", unit="", look_for=""),
        lambda: charts.table(frame, {"quantity": "Units"}, title="t"),
        lambda: charts.statement(frame, "kind", "month", "quantity", title="t", unit=""),
        lambda: charts.tiles([Tile("Sales", 1.0, "")], title="t", look_for=""),
    ):
        with pytest.raises(ValueError, match="unit"):
            draw()


@pytest.mark.parametrize("frame", [None, tidy().head(0), tidy()[["month"]]], ids=["none", "no rows", "no column"])
def test_absent_data_gives_a_sentence(frame):
    said = {"title": "Past campaigns", "look_for": "", "none": "This company has no campaigns."}
    for figure in (
        charts.line(frame, "quantity", unit="pcs", **said),
        charts.bars(frame, "quantity", "kind", unit="pcs", **said),
        charts.heat_map(frame, "kind", "month", "quantity", unit="pcs", **said),
        charts.waterfall(frame, "kind", "quantity", unit="pcs", **said),
        charts.ranking(frame, "kind", "quantity", unit="pcs", **said),
        charts.stair_step(frame, "kind", "quantity", unit="pcs", **said),
        charts.table(frame, {"kind": "Kind"}, **said),
        charts.statement(frame, "kind", "month", "quantity", unit="pcs", **said),
        charts.comparison(frame, **said),
        charts.tiles([], **said),
    ):
        assert "This company has no campaigns." in figure.html and "<svg" not in figure.html


def test_axes_carry_months_units_and_thousands():
    plain = charts.line(tidy(), "quantity", series="kind", title="Demand", unit="pcs", look_for="")
    words = Page(plain.html).words
    assert "Nov 2026" in words and " in pcs" in words
    # numbers stand on the marks; instead of a value axis a drawn length tells the scale
    assert {"buy 3,300", "Tents 2,100", "1,000"} <= set(words) and "scale: 1,000 pcs" in words
    money = charts.bars(tidy().assign(quantity=2.5e6), "quantity", "kind", title="Sales", unit="EUR", look_for="")
    assert money.unit == "thousand EUR" and " in thousand EUR" in Page(money.html).words


def test_several_rows_a_point_add_up_in_every_form() -> None:
    """Two markets a month: a line that draws both is a sawtooth that no sum belongs to."""
    twice = pd.concat([tidy().assign(market=name) for name in ("North", "South")])
    words = {"title": "Demand", "unit": "pcs"}
    drawn = charts.line(twice, "quantity", series="kind", low="p10", high="p90", **words)
    assert len(drawn.frame) == 24
    pd.testing.assert_frame_equal(
        drawn.frame[["quantity", "p10", "p90"]], tidy()[["quantity", "p10", "p90"]] * 2, check_names=False
    )
    assert "Tents: 2,000 in May 2026" in drawn.alt
    stacked = charts.bars(twice, "quantity", "kind", over=twice, over_y="p90", over_name="most", **words)
    most = stacked.frame[stacked.frame["kind"] == "most"].set_index("month")["quantity"]
    assert most.tolist() == twice.groupby("month")["p90"].sum().tolist()
    for figure in (
        stacked,
        charts.heat_map(twice, "kind", "month", "quantity", **words),
        charts.statement(twice, "kind", "month", "quantity", **words),
    ):
        both = figure.frame[figure.frame["kind"] != "most"]
        assert (
            both.set_index(["kind", "month"])["quantity"].eq(2 * tidy().set_index(["kind", "month"])["quantity"]).all()
        )
    ranked = charts.ranking(twice, "kind", "quantity", **words).frame.set_index("kind")["quantity"]
    assert ranked.to_dict() == twice.groupby("kind")["quantity"].sum().to_dict()


@pytest.mark.parametrize("unit", ["share", "days", "EUR per unit", "turns a year"])
def test_rates_of_one_point_are_refused_and_never_summed(unit: str) -> None:
    twice = pd.concat([tidy(), tidy()])
    for draw in (
        lambda: charts.line(twice, "quantity", series="kind", title="t", unit=unit),
        lambda: charts.bars(twice, "quantity", "kind", title="t", unit=unit),
        lambda: charts.heat_map(twice, "kind", "month", "quantity", title="t", unit=unit),
        lambda: charts.statement(twice, "kind", "month", "quantity", title="t", unit=unit),
        lambda: charts.ranking(twice, "kind", "quantity", title="t", unit=unit),
    ):
        with pytest.raises(ValueError, match="several rows for one point"):
            draw()


@pytest.mark.parametrize(
    ("name", "column", "unit"),
    [("resource_load", "utilisation", "%"), ("resource_load", "utilisation", "load"), ("deliveries", "price", "EUR")],
)
@pytest.mark.parametrize("source", [True, False])
def test_what_is_declared_as_a_rate_is_never_summed(name: str, column: str, unit: str, source: bool) -> None:
    """Utilisation by site came out as 297 %, prices as 41,904, once the caller named another unit."""
    twice = pd.concat([tidy(), tidy()]).rename(columns={"quantity": column})
    words = {"title": "t", "unit": unit, "source": name if source else ""}
    for draw in (
        lambda: charts.line(twice, column, series="kind", **words),
        lambda: charts.bars(twice, column, "kind", **words),
        lambda: charts.heat_map(twice, "kind", "month", column, **words),
        lambda: charts.ranking(twice, "kind", column, **words),
        lambda: charts.columns(twice.assign(kind="plan"), column, "kind", **words),
    ):
        with pytest.raises(ValueError, match="a rate does not add up"):
            draw()
    whole = pd.DataFrame({"site": "S", "month": pd.Timestamp("2026-11-01"), "resource": ["A", "B"], "carried_over": "",
                          "available": [100.0, 300.0], "overtime_limit": 0.0, "regular": [100.0, 0.0], "overtime": 20.0,
                          "utilisation": [1.2, 0.1]})  # fmt: skip
    shown = charts.line(whole, "utilisation", series="site", title="t", unit="share", source="resource_load")
    assert shown.frame["utilisation"].tolist() == [0.35]  # of the sums of its parts


def test_a_figure_carries_what_it_shows() -> None:
    frame = tidy().assign(kind=["history"] * 12 + ["consensus"] * 12, consensus=range(24))
    figure = charts.line(frame, "consensus", series="kind", title="Demand", unit="pcs", source="demand_plan")
    assert list(figure.frame) == ["month", "kind", "consensus"] and len(figure.frame) == 24
    assert figure.measure == TABLES["demand_plan"]["consensus"].meaning
    assert figure.period == "May 2026 to Apr 2027" and figure.unit == "pcs"
    assert set(figure.shows) == {"actual", "plan"} and figure.source == ("demand_plan",)
    assert figure.better == ""
    told = charts.line(frame, "consensus", series="kind", title="D", unit="pcs", shows=["budget"], better="higher",
                       measure="units sold", period="next year")  # fmt: skip
    assert (told.shows, told.better, told.measure, told.period) == (("budget",), "higher", "units sold", "next year")


def test_a_chart_is_edited_and_drawn_again() -> None:
    figure = charts.line(tidy(), "quantity", series="kind", title="Demand", unit="pcs")
    before = figure.html
    figure.chart = figure.chart.properties(height=500, title="Mine")
    assert figure.html != before and "Mine" in figure.html and "Mine" not in before
    assert charts.table(tidy(), {"kind": "Kind"}, title="t").chart is None


def test_a_group_of_rows_has_a_heading_across() -> None:
    frame = pd.DataFrame({"group": ["Cash", "Cash", "Not cash"], "cost": ["a", "b", "All"], "money": [1.0, 2.0, 3.0]})
    html = charts.table(frame, {"cost": "Cost", "money": Show("EUR", "EUR")}, group="group", title="t").html
    assert re.findall(r'<th scope="rowgroup" colspan="2" class="group">([^<]*)</th>', html) == ["Cash", "Not cash"]


def test_a_heading_names_a_unit_once_and_none_where_things_are_counted() -> None:
    rows = pd.DataFrame({"days": [15, 13], "cells": [1, 2], "stock": [3.0, 4.0]})
    show = {
        "days": charts.Show("Days", "days"),
        "cells": charts.Show("Cells", "count"),
        "stock": charts.Show("Stock", "days"),
    }
    html = charts.table(rows, show, title="t", unit="u").html
    assert re.findall(r"<th[^>]*>(?:<[^>]*>)*([^<]+)", html) == ["Days", "Cells", "Stock (days)"]


def test_a_month_without_a_number_keeps_its_place_between_two_others() -> None:
    def labels(months: list[str]) -> list[str]:
        rows = pd.DataFrame({"month": pd.to_datetime(months), "scenario": "plan", "amount": 5.0})
        html = charts.columns(rows, "amount", "scenario", unit="EUR", title="t").html
        return re.findall(r">(Oct|Nov|Dec|Jan|Apr)<", html)

    assert labels(["2026-10-01", "2026-12-01", "2027-01-01"]) == ["Oct", "Nov", "Dec", "Jan"]
    assert len(labels(["2026-10-01", "2027-01-01", "2027-04-01"])) == 3  # quarters


def test_heat_map_writes_every_number_and_frames_the_full_cells():
    load = pd.DataFrame({"resource": ["A", "A", "B"], "month": [*MONTHS[:2], MONTHS[0]], "load": [0.95, 0.40, 1.02]})
    figure = charts.heat_map(load, "resource", "month", "load", mark_from=0.95, title="L", unit="share", look_for="")
    assert re.findall(r"<td[^>]*>([^<]*)</td>", figure.html) == ["95", "40", "102", "–"]
    assert figure.html.count('class="mark"') == 2 and "A in May 2026" in figure.alt and "B in May 2026" in figure.alt
    gap = charts.heat_map(
        load.assign(load=load["load"] - 0.9),
        "resource",
        "month",
        "load",
        diverging=True,
        title="Gap",
        unit="share",
        look_for="",
    )
    assert re.findall(r"<td[^>]*>([^<]*)</td>", gap.html) == ["+5", "−50", "+12", "–"]


def test_waterfall_adds_up_and_draws_small_steps_on_a_second_scale():
    steps = pd.DataFrame({"driver": ["volume", "price"], "money": [250_000.0, -100_000.0]})
    words = {"title": "Bridge", "unit": "EUR", "look_for": ""}
    figure = charts.waterfall(steps, "driver", "money", start="Last", end="Now", opening=8_000_000.0, **words)
    assert "Now: 8,150 thousand EUR" in figure.alt and "volume: +250" in figure.alt
    assert "drawn a second time" in figure.note and figure.html.count("<title>scale: ") == 2
    alone = charts.waterfall(steps, "driver", "money", **words)
    assert "second time" not in alone.note and alone.html.count("<title>scale: ") == 1


def test_ranking_is_by_size_and_says_what_it_leaves_out():
    frame = pd.DataFrame({"item": list("abcd"), "money": [10.0, -900.0, 500.0, 20.0]})
    figure = charts.ranking(frame, "item", "money", most=2, title="Risk", unit="EUR", look_for="")
    assert "b: −900 EUR; c: +500 EUR" in figure.alt and "2 smaller not shown" in figure.note


def test_stair_step_names_the_step_that_destroys_value():
    steps = pd.DataFrame({"step": ["naive", "statistical", "overrides"], "wape": [0.41, 0.28, 0.31]})
    figure = charts.stair_step(steps, "step", "wape", title="FVA", unit="share", look_for="")
    assert "statistical: 28.0 %, step −13.0" in figure.alt and "overrides: 31.0 %, step +3.0" in figure.alt


def test_comparison_tells_good_from_bad_for_the_business_by_colour_and_by_mark():
    """More of a cost is worse, more of a profit better; a change that rounds to nothing is neither."""
    rows = [("shift", m, v, b, v - b, "EUR") for m, v, b in (("penalties", 68.0, 54.0), ("profit", 80.0, 95.0),
            ("sales", 99.0, 90.0), ("stock", 20.0, 29.0), ("rate", 50.01, 50.0))]  # fmt: skip
    frame = pd.DataFrame(rows, columns=["title", "measure", "value", "base", "difference", "unit"])
    html = charts.comparison(frame, title="Scenarios", look_for="", lower=("penalties", "stock")).html
    told = re.findall(r'<span class="small( up| down|)">([^<]*)</span>', html)
    assert [kind for kind, _ in told] == [" down", " down", "", " up", " up"]
    assert [text[0] == "▼" for _, text in told] == [True, True, False, False, False]
    assert "▼ worse" in html


def test_comparison_shows_value_and_difference_from_the_base():
    results = pd.DataFrame(
        {
            "title": ["Second shift", "Late supplier"],
            "measure": "profit",
            "value": [3_150_000.0, 3_000_000.0],
            "base": 3_000_000.0,
            "unit": "EUR",
        }
    )
    html = charts.comparison(results, title="Scenarios", look_for="", measures={"profit": "Profit"}).html
    assert (
        "3,150" in html and ">+150<" in html and "no change" in html and ">Profit<" in html and "thousand EUR" in html
    )


def test_tiles_say_in_words_whether_the_target_is_met():
    kpis = [
        Tile("Turns", 5.0, "turns a year", target=6.0),
        Tile("Cycle time", 5.0, "days", target=6.0, better="lower"),
        Tile("Margin", float("nan"), "share", target=0.4),
    ]
    html = charts.tiles(kpis, title="KPIs", look_for="").html
    assert "misses target 6 turns a year" in html and "meets target 6 days" in html and "not known" in html
    assert [kpi.missed for kpi in kpis] == [True, False, None]


def test_a_figure_shows_itself_in_a_notebook():
    bundle = charts.line(tidy(), "quantity", title="Demand", unit="pcs", look_for="Up.")._repr_mimebundle_()
    assert "<style>" in bundle["text/html"] and "<svg" in bundle["text/html"] and "Up." in bundle["text/plain"]


def test_the_module_is_light_until_something_is_drawn():
    code = "import sys, sopkit.charts; print([m for m in ('altair', 'vl_convert') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_columns_take_their_heading_and_unit_from_the_declaration():
    shown = charts.columns_of(
        "override_owners", "owner overrides helped wape_before +money", Book({}, COMPANY, "2026-11").unit
    )
    assert shown["owner"] == charts.Show("Owner") and shown["helped"] == charts.Show("Helped", "share")
    assert shown["wape_before"].heading == "WAPE before"
    assert shown["money"] == charts.Show("Money", "EUR", sign=True) and shown["overrides"].unit == "count"
    assert charts.columns_of("override_owners", "+money", money="Error removed")["money"].heading == "Error removed"
    assert charts.columns_of("pipeline_weight", "share")["share"].unit == "share"
    with pytest.raises(KeyError, match="wape_before"):
        charts.columns_of("override_owners", "wape_befor")


def test_a_notebook_shows_tables_as_the_pack_does(chromium: str) -> None:
    """JupyterLab styles every table of a notebook: words to the right, columns of one width, rows in stripes."""
    from nbconvert import HTMLExporter
    from nbformat.v4 import new_code_cell, new_notebook, new_output
    from playwright.sync_api import sync_playwright

    frame = pd.DataFrame(
        {
            "month": np.tile(MONTHS, 2),
            "line": np.repeat(["A sewing line with quite a long name", "Press"], 12),
            "quantity": np.arange(24) * 100.0 + 1000,
        }
    )
    figures = [
        charts.heat_map(frame, "line", "month", "quantity", title="Load", unit="pcs", look_for=""),
        charts.table(frame, {"line": "Line", "quantity": Show("Units", "pcs")}, title="Long", look_for=""),
        charts.table(frame, {"line": "Line", "quantity": Show("Units", "pcs")}, title="Short", look_for=""),
    ]
    shown = [new_output("display_data", {"text/html": figure._repr_html_()}) for figure in figures]
    page, _ = HTMLExporter(template_name="lab").from_notebook_node(
        new_notebook(cells=[new_code_cell("", outputs=shown)])
    )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu", "--disable-quic"]
        )
        opened = browser.new_context(offline=True).new_page()
        opened.set_content(page, wait_until="domcontentloaded")
        style = "(cell, name) => getComputedStyle(cell)[name]"
        words = opened.locator("tbody td", has_text="Press").all() + opened.locator("tbody th", has_text="Press").all()
        assert len(words) == 25  # a row of the heat map, twelve rows in each of the tables
        assert {cell.evaluate(style, "textAlign") for cell in words} == {"left"}
        assert {row.evaluate(style, "backgroundColor") for row in opened.locator("tbody tr").all()} == {
            "rgba(0, 0, 0, 0)"
        }
        heads = opened.locator(".heat tbody th").all()
        assert all(head.evaluate("cell => cell.scrollWidth <= cell.clientWidth") for head in heads)
        browser.close()


def test_a_figure_without_data_can_be_asked_and_has_no_row() -> None:
    """A notebook once ended where a company had no demand: the frame behind the figure had lost its columns."""
    about = {"title": "Nothing", "unit": "pcs"}
    assert charts.line(None, "units", series="series", **about).frame.query("series == 'x' and units > 0").empty
    assert charts.bars(None, "amount", "part", **about).frame.query("part == 'x'").empty
    assert charts.heat_map(None, "row", "month", "score", **about).frame.query("score < 1").empty
    assert charts.table(None, {"name": "Name"}, **about).frame.query("name == 'x'").empty
    assert charts.variances(None, "line", **about).frame.query("line == 'result'").empty
    assert charts.tiles([], title="Nothing").frame.query("target.notna()").empty


@pytest.mark.parametrize("count", [4, 12, 18, 24, 36])
@pytest.mark.parametrize("wide", [330, 560, 700, 800])
def test_months_below_a_line_stand_apart(count: int, wide: int) -> None:
    """The first begins where its month does, so it reaches further to the next: once "Nov 2026Jan 2027"."""
    axis = axis_of(pd.Series(pd.date_range("2026-11-01", periods=count, freq="MS")), wide)
    first, *later = [12 * one["year"] + one["month"] for one in axis["values"]]
    letters = 54  # pixels of "Nov 2026"
    assert not later or (later[0] - first) * (wide - 70) / count > 1.5 * letters
