"""The house style of every figure and table: one value, `Figure`, that shows alike in notebook, pack and on paper.

Each form takes a tidy frame and the names of its columns. No figure without units.
"""

from sopkit.charts.columns import columns, panels, waterfall
from sopkit.charts.figure import CSS, NARROW, SVG, WIDE, About, Figure, nothing, plain, whole
from sopkit.charts.forms import bars, line, ranking, stair_step
from sopkit.charts.lint import Breach, lint
from sopkit.charts.tables import Show, Tile, columns_of, comparison, flow, heat_map, spark, statement, table, tiles
from sopkit.charts.variances import swings, variances

__all__ = [
    "CSS", "NARROW", "SVG", "WIDE", "About", "Breach", "Figure", "Show", "Tile", "bars", "columns", "columns_of",
    "comparison", "flow", "heat_map", "line", "lint", "nothing", "panels", "plain", "ranking", "spark", "stair_step",
    "statement", "swings", "table", "tiles", "variances", "waterfall", "whole",
]  # fmt: skip
