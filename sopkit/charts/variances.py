"""The statement table: rows of money or units by scenario, differences as bars on one scale, in % as pins."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Unpack

import pandas as pd

from sopkit.charts.figure import FONT, NONE, SVG, About, Figure, empty, made, named, nothing, safe
from sopkit.charts.marks import nice, text_width
from sopkit.charts.notation import INK, QUIET, colour_of
from sopkit.charts.tables import Cell, Row, _written
from sopkit.words import Scale, heading, number, say, scale_of, sentence, with_unit

WIDTH, HIGH, TYPE = 128, 18, 12  # of a cell of bars or pins, in pixels
PINS = Scale(0.01, "%", 1)


def variances(
    frame: pd.DataFrame | None, row: str, *, unit: str, against: Sequence[str] = (), bold: Sequence[str] = (),
    **about: Unpack[About],
) -> Figure:  # fmt: skip
    """A row a line: its value in every scenario, then plan less each of `against`, absolute as bars, in % as pins.

    `frame`: columns `row`, plan and those of `against`, such as `last year` and `budget`; a scenario without any
    number is left out. ValueError without a unit.
    """
    against = [name for name in against if frame is not None and name in frame and frame[name].notna().any()]
    if frame is None or empty(frame, row, "plan"):
        return nothing(about["title"], about.get("none", NONE), frame, row, "plan")
    scenarios = [*against, "plan"]
    scale = scale_of(frame[scenarios].to_numpy(dtype=float).ravel(), unit, small=True)
    good = about.get("better", "higher")
    changes = {name: frame["plan"] - frame[name] for name in against}
    shares = {name: (frame["plan"] - frame[name]) / frame[name].abs().where(frame[name] != 0) for name in against}
    lines = _Cells([value / scale.factor for column in changes.values() for value in column], scale)
    pins = _Cells([min(max(value * 100, -100), 100) for column in shares.values() for value in column], PINS)
    heads, body = [Cell(safe(heading(row)), "text"), *(Cell(safe(sentence(say(name)))) for name in scenarios)], []
    for name in against:
        told = safe(f"Δ {say(name)}")
        heads += [Cell(f"{told}{lines.marker}", "bars"), Cell(f"{told}, %", "bars")]
    for place, line in enumerate(frame[row]):
        cells = [Cell(scale.text(frame[name].iloc[place])) for name in scenarios]
        for name in against:
            about_row = say("{line}, against {scenario}", sentence(named(line)), say(name))
            cells.append(Cell(lines.bar(changes[name].iloc[place], about_row, good), "bars"))
            cells.append(Cell(pins.pin(shares[name].iloc[place], about_row, good), "bars"))
        body.append(Row(cells, Cell(safe(sentence(named(line))), "text"), "total" * (line in bold)))
    each = (f"{named(line)}: {scale.text(value)}" for line, value in zip(frame[row], frame["plan"], strict=True))
    alt = say("Statement, {unit}. {spoken}.", scale.unit, "; ".join(each))
    return _written(made(frame, scale.unit, "plan", alt, **(About(shows=scenarios) | about)), heads, body, "variances")


def swings(
    frame: pd.DataFrame | None, row: str, show: Mapping[str, str], *, unit: str, bold: Sequence[str] = (),
    **about: Unpack[About],
) -> Figure:  # fmt: skip
    """A row a line: columns of `show` (name -> heading), numbers drawn as bars on one scale, texts as they stand.

    A tornado where the rows come by size. ValueError without a unit.
    """
    if frame is None or empty(frame, row, *show):
        return nothing(about["title"], about.get("none", NONE), frame, row, *show)
    show = {name: say(told) for name, told in show.items()}
    drawn = [name for name in show if pd.api.types.is_numeric_dtype(frame[name])]
    scale = scale_of(frame[drawn].to_numpy(dtype=float).ravel(), unit, small=True)
    bars = _Cells(list(frame[drawn].to_numpy(dtype=float).ravel() / scale.factor), scale)
    heads = [Cell(safe(heading(row)), "text")]
    for name, told in show.items():
        heads.append(Cell(f"{safe(told)}{bars.marker}", "bars") if name in drawn else Cell(safe(told), "text"))
    body, better, spoken = list[Row](), about.get("better", "higher"), []
    for line in frame.to_dict("records"):
        called, cells = named(line[row]), []
        for name, told in show.items():
            bar = name in drawn
            html = bars.bar(line[name], f"{called}, {told}", better) if bar else safe(named(line[name]))
            cells.append(Cell(html, "bars" if bar else "text"))
        body.append(Row(cells, Cell(safe(called), "text"), "total" * (called in bold)))
        spoken.append(f"{called}: {', '.join(f'{show[name]} {scale.text(line[name], True)}' for name in drawn)}")
    alt = say("Bars, {unit}. {each}.", scale.unit, "; ".join(spoken))
    return _written(made(frame, scale.unit, drawn[0], alt, **about), heads, body, "variances")


class _Cells:
    """Cells of one scale: where zero stands, and how many pixels a unit takes, so that the longest bar just fits."""

    def __init__(self, values: Sequence[float], scale: Scale) -> None:
        known = [value for value in values if math.isfinite(value)]
        low, high = min([0.0, *known]), max([0.0, *known])
        texts = [self._text(value * scale.factor, scale) for value in known]
        self.scale, room = scale, max([text_width(text, TYPE) for text in texts] or [0.0]) * 1.25 + 6
        # the number stands behind the end of its bar: room for it on either side that has bars
        self.size = (WIDTH - room * ((low < 0) + (high > 0))) / ((high - low) or 1.0)
        self.zero = room * (low < 0) - low * self.size
        self.step = nice((high - low) / 3)

    @staticmethod
    def _text(value: float, scale: Scale) -> str:
        return number(value / scale.factor, scale.decimals, sign=True)

    def _cell(self, value: float, shape: str, colour: str) -> str:
        text = self._text(value, self.scale)
        end = self.zero + self._drawn(value) * self.size
        at, anchor = (end + 4, "start") if value >= 0 else (end - 4, "end")
        return (
            f'<svg xmlns="{SVG}" viewBox="0 0 {WIDTH} {HIGH}" width="{WIDTH}" height="{HIGH}" role="img" '
            f'aria-label="{safe(with_unit(text, self.scale.unit))}">{shape}'
            f'<line x1="{self.zero:.1f}" x2="{self.zero:.1f}" '
            f'y1="0" y2="{HIGH}" stroke="{INK}"/><text x="{at:.1f}" y="13" text-anchor="{anchor}" font-family="{FONT}" '
            f'font-size="{TYPE}px" fill="{colour if colour != QUIET else INK}">{safe(text)}</text></svg>'
        )

    def _drawn(self, value: float) -> float:
        """What is drawn of `value`, in the scale's own unit."""
        drawn = value / self.scale.factor
        return min(max(drawn, -100.0), 100.0) if self.scale is PINS else drawn

    def bar(self, value: float, told: str, better: str) -> str:
        """A bar from zero to `value` with its number."""
        if not math.isfinite(value):
            return "–"
        return self._cell(value, self._box(value, told, better, 11), colour_of(value, better))

    def pin(self, value: float, told: str, better: str) -> str:
        """A thin line from zero to `value`, a share, with a head and its number; beyond 100 % an arrow."""
        if not math.isfinite(value):
            return "–"
        colour, end = colour_of(value, better), self.zero + self._drawn(value) * self.size
        if abs(value) > 1:
            way = 5 if value > 0 else -5
            head = f'<path d="M{end:.1f},3v12l{way},-6Z" fill="{colour}"/>'
            stem = f'<path d="M{self.zero:.1f},9H{end:.1f}" stroke="{colour}" stroke-width="2"/>'
            return self._cell(value, stem + head, colour)
        head = f'<rect x="{end - 2.5:.1f}" y="6.5" width="5" height="5" fill="{colour}"/>'
        return self._cell(value, self._box(value, told, better, 2) + head, colour)

    def _box(self, value: float, told: str, better: str, high: float) -> str:
        start = self.zero + min(0.0, value / self.scale.factor) * self.size
        wide, top = abs(value / self.scale.factor) * self.size, (HIGH - high) / 2
        colour = colour_of(value, better)
        title = safe(f"{told}: {with_unit(self._text(value, self.scale), self.scale.unit)}")
        return (
            f'<rect x="{start:.1f}" y="{top}" width="{wide:.2f}" height="{high}" fill="{colour}"><title>{title}</title>'
            f"</rect>"
        )

    @property
    def marker(self) -> str:
        """The scale as a drawn length, for the heading of a column."""
        text = number(self.step, self.scale.decimals)
        title = safe(say("scale: {value}", with_unit(text, self.scale.unit)))
        return (
            f'<svg xmlns="{SVG}" viewBox="0 0 {WIDTH} 14" width="{WIDTH}" height="14" role="img" aria-label="{title}">'
            f'<rect x="0" y="5" width="{self.step * self.size:.2f}" height="3" fill="{QUIET}">'
            f"<title>{title}</title></rect>"
            f'<text x="{self.step * self.size + 4:.1f}" y="10" font-family="{FONT}" font-size="10px" fill="{QUIET}">'
            f"{safe(text)}</text></svg>"
        )
