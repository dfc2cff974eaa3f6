"""Each topic on one A4 page: drawn figures grow or shrink into the room that text and tables leave them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from sopkit.book import Book
from sopkit.charts import Figure
from sopkit.charts.marks import text_width

# of the printed page, in CSS pixels (96 to the inch): what lies inside its margins
WIDTH, HEIGHT = 703.0, 1016.0
COVER, HEAD = 104.0, 62.0  # the company's name on page one, label and headline of a page
LEAST, MOST = 130.0, 360.0  # height of a drawn figure in print
GAP = 9.0  # between two figures
_CELL = re.compile(r"<t[hd][^>]*>(.*?)</t[hd]>", re.S)


def shared(make: Callable[[Book], Figure], book: Book) -> Figure:
    """A figure that pack and workbook show, made once for both."""
    return book.once(make, lambda: make(book))


def _lines(text: str, size: float, width: float) -> int:
    return max(1, math.ceil(1.26 * text_width(text, size) / width)) if text else 0


def _table(figure: Figure, width: float) -> float:
    """Height of a table: rows are as high as their longest cell, in columns that share the width by what they hold."""
    rows = [[re.sub(r"<[^>]*>", "", cell) for cell in re.findall(_CELL, row)] for row in figure.body.split("<tr")[1:]]
    rows = [row for row in rows if row]
    many = max(map(len, rows), default=0)
    if re.match("<table class=(variances|heat|statement)", figure.body):
        return len(rows) * 21.0 + 26
    wide = [max(1.15 * text_width(row[n], 10.5) for row in rows if len(row) > n) + 10 for n in range(many)]
    # short columns keep their width, long ones share what is left
    left, total = max(60.0, width - sum(w for w in wide if w <= 90)), sum(w for w in wide if w > 90)
    room = [w if sum(wide) <= width - 20 or w <= 90 else max(90.0, left * w / total) for w in wide]
    lines = (max(_lines(cell, 9.6, room[n] - 9) for n, cell in enumerate(row)) for row in rows)
    return sum(7.4 + 13.7 * max(most, 1) for most in lines)


def height(figure: Figure, width: float = WIDTH) -> tuple[float, float]:
    """What a printed figure takes around its drawing, and its drawing (0 for a table), in pixels."""
    told = 5 + 18.5 * _lines(figure.look_for, 13, width) if figure.look_for else 0.0
    lines = sum(14.5 for line in figure.heading if line) + 7
    note = 15.0 * _lines(f"{figure.note} Source: {', '.join(figure.source)}", 11, width)
    around = told + lines + note + GAP
    if figure.chart is not None:
        return around, figure.size[1] * width / max(figure.size[0], 1)
    if "sop-tiles" in figure.body:
        return around + 400.0, 0.0
    if 'class="flow"' in figure.body:
        return around + 190.0, 0.0
    return around + (_table(figure, width) if "<table" in figure.body else 22.0), 0.0


def fitted(section: dict[str, Any], first: bool = False) -> dict[str, Any]:
    """`section` with its drawn figures of the height that fills its page."""
    room, drawn = HEIGHT - HEAD - COVER * first - 16.0 * (_lines(section["headline"], 20, WIDTH) - 1), []
    for part in section["body"]:
        if isinstance(part, str):
            room -= 6 + 15.5 * _lines(part, 13, 600)
            continue
        if not isinstance(part, list | Figure):  # what explains numbers stands on screen only
            continue
        pair = part if isinstance(part, list) else [part]
        width = WIDTH if len(pair) == 1 else (WIDTH - 32) / 2
        sizes = [(*height(one, width), one, width) for one in pair if one]
        if len(pair) > 1:
            room -= max((around + chart for around, chart, *_ in sizes), default=0.0)
        else:
            room -= sizes[0][0]
            drawn += [(chart, one, width) for _, chart, one, width in sizes if chart]
    total, sized = sum(chart for chart, *_ in drawn), {}
    for chart, figure, width in drawn:
        high = min(max(room * chart / total, LEAST), MOST)
        sized[id(figure)] = replace(figure, size=(figure.size[0], round(high * figure.size[0] / width)))
    return {**section, "body": [sized.get(id(part), part) for part in section["body"]]}
