"""The house style of every figure and table: SVG and plain HTML that show alike in the notebook, the pack and on paper.

Each function takes a tidy frame and the names of its columns and gives a `Figure`, which shows itself in a notebook and
whose `.html` goes into the pack. No figure without units. A figure needs no script and no network; all text from data
is escaped here.
"""

from __future__ import annotations

import hashlib
import html
import json
import math
import re
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from xml.etree import ElementTree

import pandas as pd

from sopkit.words import Scale, amount, heading, month_name, number, scale_of

if TYPE_CHECKING:
    import altair

# Okabe & Ito (2008), Color Universal Design: told apart with any colour vision; dash and shape say it again
BLUE, VERMILLION, GREEN, ORANGE, PURPLE, SKY, YELLOW, BLACK = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#E69F00",
    "#CC79A7",
    "#56B4E9",
    "#F0E442",
    "#000000",
)
INK, QUIET, RULE = "#1b2430", "#5b6672", "#d7dce1"
COLOURS = (BLUE, VERMILLION, GREEN, ORANGE, PURPLE, SKY, BLACK)
DASHES = ((1, 0), (6, 3), (2, 2), (8, 3, 2, 3), (10, 4), (4, 2, 1, 2), (1, 3))
# what happened is ink, what was promised is grey, in every figure
FIXED = {"history": (INK, (1, 0)), "actual": (INK, (1, 0)), "budget": (QUIET, (2, 3)), "target": (QUIET, (2, 3))}
FONT = "Arial, Liberation Sans, Helvetica, sans-serif"
WIDE, NARROW = 880, 430
CSS = Path(__file__).with_suffix(".css").read_text(encoding="utf-8")
SVG = "http://www.w3.org/2000/svg"
# characters that no XML document may hold: a name that contains one must not cost the whole figure
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
ElementTree.register_namespace("", SVG)


# a figure -------------------------------------------------------------------------------------------------------


def plain(value: Any) -> str:
    """Text from data as it may stand in a figure: months in words, nothing that breaks the document."""
    if isinstance(value, pd.Timestamp):
        return month_name(value)
    return _FORBIDDEN.sub("", "" if value is None or value is pd.NaT or value != value else str(value))


def _safe(value: Any) -> str:
    return html.escape(plain(value))


@dataclass(frozen=True)
class Figure:
    """A figure that shows itself: title, unit, one sentence that says what to see, and an alternative text.

    `body` is HTML of this module's own making, everything from data in it escaped.
    """

    title: str
    unit: str
    look_for: str
    alt: str
    body: str
    note: str = ""

    @property
    def html(self) -> str:
        """The figure for the pack: no style sheet, no script."""
        finding = f'<p class="finding">{_safe(self.look_for)}</p>' if self.look_for else ""
        note = f'<p class="note">{_safe(self.note)}</p>' if self.note else ""
        unit = f' <span class="unit">{_safe(self.unit)}</span>' if self.unit else ""
        return (
            f'<figure class="sop-figure"><figcaption>{finding}'
            f'<p class="title">{_safe(self.title)}{unit}</p></figcaption>'
            f'<div class="scroll">{self.body}</div>{note}</figure>'
        )

    def __html__(self) -> str:
        """What a template with autoescape puts in: the figure as it is, because all text in it is escaped already."""
        return self.html

    def _repr_html_(self) -> str:
        """The figure for a notebook, with its style."""
        return f"<style>{CSS}</style>{self.html}"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        """HTML for the notebook, words for whoever cannot see it."""
        return {
            "text/html": self._repr_html_(),
            "text/plain": f"{self.title} ({self.unit}). {self.look_for} {self.alt}",
        }


def nothing(title: str, sentence: str) -> Figure:
    """A figure for which there is no data: its title and a plain sentence."""
    return Figure(title, "", "", sentence, f'<p class="nothing">{_safe(sentence)}</p>')


def _empty(frame: pd.DataFrame | None, *columns: str | None) -> bool:
    return frame is None or frame.empty or not set(filter(None, columns)) <= set(frame.columns)


def _tidy(frame: pd.DataFrame, **columns: str | None) -> pd.DataFrame:
    """The named columns under our own names, so that no column name of data reaches Vega's field syntax."""
    return pd.DataFrame({ours: frame[theirs].to_numpy() for ours, theirs in columns.items() if theirs})


# Altair -> SVG --------------------------------------------------------------------------------------------------


@cache
def _altair() -> Any:
    # jsonschema's IRI check compiles a grammar for 2-3 s when this module can be imported; nothing here needs it
    sys.modules.setdefault("rfc3987_syntax", None)
    import altair

    return altair


_AXIS = {
    "labelColor": QUIET,
    "labelFont": FONT,
    "labelFontSize": 12,
    "titleFont": FONT,
    "titleFontSize": 12,
    "titleColor": QUIET,
    "titleFontWeight": "normal",
    "domainColor": INK,
    "tickColor": RULE,
    "gridColor": "#e8ebee",
    "labelLimit": 170,
}
HOUSE = {
    "font": FONT,
    "background": "transparent",
    "view": {"stroke": None},
    "padding": 4,
    "axis": _AXIS,
    "axisY": {
        **_AXIS,
        "domain": False,
        "ticks": False,
        "titleAngle": 0,
        "titleAlign": "left",
        "titleAnchor": "start",
        "titleX": 0,
        "titleY": -10,
        "titleBaseline": "bottom",
    },
    "axisX": {**_AXIS, "grid": False},
    "legend": {
        "orient": "top",
        "title": None,
        "labelFontSize": 12,
        "labelColor": INK,
        "labelFont": FONT,
        "symbolSize": 110,
        "labelLimit": 430,
        "columnPadding": 16,
        "offset": 26,
        "symbolStrokeWidth": 2.5,
        "columns": 6,
    },
    "text": {"font": FONT, "fontSize": 12, "fill": INK},
}


def _cleaned(node: Any) -> Any:
    """The specification without characters that no XML may hold: one NUL in a name aborts vl-convert and Python too."""
    if isinstance(node, dict):
        return {key: _cleaned(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_cleaned(value) for value in node]
    return _FORBIDDEN.sub("", node) if isinstance(node, str) else node


def svg(chart: altair.TopLevelMixin, alt: str, width: int = WIDE, height: int = 260) -> str:
    """An Altair chart as inline SVG: a label for screen readers, tooltips from the `description` channel as <title>."""
    import vl_convert

    # these forms are fixed and tested: Altair's check against its schema would cost a third of every chart
    spec = _cleaned(chart.to_dict(validate=False))
    spec |= {"config": HOUSE, "width": width, "height": height, "autosize": {"type": "fit", "contains": "padding"}}
    root = ElementTree.fromstring(vl_convert.vegalite_to_svg(spec, vl_version="6.1"))
    drawn = ElementTree.tostring(root, encoding="unicode")
    # ids must differ between the figures of a page and be the same in every run
    mark = "f" + hashlib.sha256((alt + drawn).encode()).hexdigest()[:8]
    for element in root.iter():
        said = element.attrib.pop("aria-label", None)
        if (
            said
            and element.attrib.get("role") == "graphics-symbol"
            and element.attrib.get("aria-roledescription", "") not in ("axis", "legend")
        ):
            title = ElementTree.SubElement(element, f"{{{SVG}}}title")
            title.text = said
        for name in [name for name in element.attrib if name.startswith("aria-") or name == "role"]:
            del element.attrib[name]
        for name, value in element.attrib.items():
            if name == "id":
                element.set(name, f"{mark}-{value}")
            elif "url(#" in value:
                element.set(name, value.replace("url(#", f"url(#{mark}-"))
            elif name in ("d", "transform", "x", "y", "x2", "y2"):
                element.set(name, re.sub(r"(\.\d)\d+", r"\1", value))
    wide, high = root.attrib.pop("width", str(width)), root.attrib.pop("height", str(height))
    root.attrib.setdefault("viewBox", f"0 0 {wide} {high}")
    root.set("class", "wide" if width > NARROW else "narrow")
    root.set("role", "img")
    root.set("aria-label", plain(alt))
    return ElementTree.tostring(root, encoding="unicode", short_empty_elements=True)


def _data(frame: pd.DataFrame) -> Any:
    rows = frame.copy()
    for name in rows.columns:
        if pd.api.types.is_datetime64_any_dtype(rows[name]):
            rows[name] = rows[name].dt.strftime("%Y-%m-%dT00:00:00")
        elif not pd.api.types.is_numeric_dtype(rows[name]):
            rows[name] = rows[name].map(plain)
    rows = rows.astype(object).where(rows.notna(), None)
    return _altair().Data(values=rows.to_dict("records"))


def _value_axis(scale: Scale, **more: Any) -> Any:
    return _altair().Axis(
        title=scale.unit, format=f",.{0 if scale.unit == '%' else scale.decimals}f", tickCount=5, **more
    )


def _month_axis(months: pd.Series, width: int) -> Any:
    """Months written `Nov 2026`, as many as fit side by side."""
    count = (months.max().to_period("M") - months.min().to_period("M")).n + 1
    step = next((step for step in (1, 2, 3, 6, 12, 24) if count / step * 62 <= width - 70), 36)
    shown = pd.date_range(months.min(), months.max(), freq="MS")[::step]
    values = [_altair().DateTime(year=month.year, month=month.month) for month in shown]
    return _altair().Axis(title=None, format="%b %Y", values=values, labelFlush=True)


def _kinds(names: Iterable[Any], order: Sequence[str] | None) -> list[str]:
    present = list(dict.fromkeys(plain(name) for name in names))
    first = [name for name in order or () if name in present]
    return first + sorted(name for name in present if name not in first)


def _looks(kinds: Sequence[str]) -> list[tuple[str, tuple[int, ...]]]:
    """Colour and dash of each kind: fixed where the word has a meaning in this house, else in order."""
    free = iter(zip(COLOURS * 9, DASHES * 9, strict=True))
    return [FIXED.get(kind) or next(free, (QUIET, (1, 1))) for kind in kinds]


def _summary(tidy: pd.DataFrame, scale: Scale) -> str:
    """The figure in words: where each series starts, ends and is highest."""
    parts = []
    for name, rows in tidy.dropna(subset=["y"]).groupby("series", sort=False):
        rows = rows.sort_values("x")
        top = rows.loc[rows["y"].idxmax()]
        parts.append(
            f"{plain(name)}: {scale.text(rows['y'].iloc[0])} in {plain(rows['x'].iloc[0])}, "
            f"{scale.text(rows['y'].iloc[-1])} in {plain(rows['x'].iloc[-1])}, "
            f"highest {scale.text(top['y'])} in {plain(top['x'])}"
        )
    return "; ".join(parts)


def line(
    frame: pd.DataFrame | None,
    y: str,
    *,
    title: str,
    unit: str,
    look_for: str,
    x: str = "month",
    series: str | None = None,
    low: str | None = None,
    high: str | None = None,
    order: Sequence[str] | None = None,
    start: Any = None,
    zero: bool = True,
    alt: str = "",
    note: str = "",
    width: int = WIDE,
    height: int = 260,
    none: str = "There are no such numbers in this cycle.",
) -> Figure:
    """Lines over months, each with its own dash; a band between `low` and `high`; a rule where the plan starts."""
    if _empty(frame, x, y, series, low, high):
        return nothing(title, none)
    vega = _altair()
    tidy = _tidy(frame, x=x, y=y, series=series, low=low, high=high)
    if not series:
        tidy["series"] = y.replace("_", " ")
    scale = scale_of([*tidy["y"], *tidy.get("high", [])], unit)
    kinds = _kinds(tidy["series"], order)
    words = [
        f"{plain(row.series)}, {plain(row.x)}: {scale.text(row.y)} {scale.unit}"
        + (f" (range {scale.text(row.low)} to {scale.text(row.high)})" if low and high and row.low == row.low else "")
        for row in tidy.itertuples()
    ]
    shown = tidy.assign(d=words)
    shown[[c for c in ("y", "low", "high") if c in shown]] /= scale.factor
    base = vega.Chart(_data(shown)).encode(x=vega.X("x:T", axis=_month_axis(tidy["x"], width)))
    looks = _looks(kinds)
    per_row = max(1, width // (min(max(map(len, kinds)), 60) * 7 + 44))
    legend = vega.Legend(symbolType="stroke", symbolOpacity=1, columns=per_row) if len(kinds) > 1 else None
    kind = vega.Color("series:N", scale=vega.Scale(domain=kinds, range=[look[0] for look in looks]), legend=legend)
    dash = vega.StrokeDash(
        "series:N", scale=vega.Scale(domain=kinds, range=[list(look[1]) for look in looks]), legend=legend
    )
    axis = vega.Y("y:Q", axis=_value_axis(scale), scale=vega.Scale(zero=zero, nice=True))
    layers = []
    if low and high:
        layers.append(
            base.transform_filter("isValid(datum.low)")
            .mark_area(opacity=0.16, aria=False)
            .encode(y=vega.Y("low:Q", axis=_value_axis(scale)), y2="high:Q", color=kind)
        )
    layers.append(base.mark_line(strokeWidth=2.2, aria=False).encode(y=axis, color=kind, strokeDash=dash))
    layers.append(base.mark_circle(size=60, opacity=0).encode(y=axis, description="d:N"))
    if start is not None and tidy["x"].min() < pd.Timestamp(start):
        rule = vega.Chart(_data(pd.DataFrame({"x": [pd.Timestamp(start)], "d": ["plan"]})))
        layers.append(rule.mark_rule(color=QUIET, strokeWidth=1, strokeDash=[2, 3], aria=False).encode(x="x:T"))
        layers.append(
            rule.mark_text(align="left", dx=4, dy=4, color=QUIET, aria=False, baseline="top").encode(
                x="x:T", y=vega.value(0), text="d:N"
            )
        )
    said = alt or f"Line chart, {scale.unit}. {_summary(tidy, scale)}."
    return Figure(title, scale.unit, look_for, said, svg(vega.layer(*layers), said, width, height), note)


def bars(
    frame: pd.DataFrame | None,
    y: str,
    by: str,
    *,
    title: str,
    unit: str,
    look_for: str,
    x: str = "month",
    order: Sequence[str] | None = None,
    over: pd.DataFrame | None = None,
    over_y: str = "",
    over_name: str = "",
    alt: str = "",
    note: str = "",
    width: int = WIDE,
    height: int = 260,
    none: str = "There are no such numbers in this cycle.",
) -> Figure:
    """Stacked bars over months, one colour a kind (`by`); `over` draws a black dashed line, such as demand."""
    if _empty(frame, x, y, by):
        return nothing(title, none)
    vega = _altair()
    tidy = _tidy(frame, x=x, y=y, series=by).groupby(["x", "series"], as_index=False, sort=True)["y"].sum()
    over_name = plain(over_name)
    line_of = (
        _tidy(over, x=x, y=over_y).groupby("x", as_index=False)["y"].sum()
        if over is not None and not over.empty
        else None
    )
    totals = tidy.assign(y=tidy["y"].clip(lower=0)).groupby("x")["y"].sum()
    scale = scale_of([*totals, *(line_of["y"] if line_of is not None else ())], unit)
    kinds = _kinds(tidy["series"], order)
    place = {kind: i for i, kind in enumerate(kinds)}
    shown = tidy.assign(
        y=tidy["y"] / scale.factor,
        place=[place[plain(s)] for s in tidy["series"]],
        d=[f"{plain(r.series)}, {plain(r.x)}: {scale.text(r.y)} {scale.unit}" for r in tidy.itertuples()],
    )
    axis = vega.X("x:O", timeUnit="yearmonth", axis=_bar_months(tidy["x"], width))
    domain, colours = list(kinds), [look[0] for look in _looks(kinds)]
    stacked = (
        vega.Chart(_data(shown))
        .mark_bar(stroke="white", strokeWidth=0.6)
        .encode(
            x=axis,
            y=vega.Y("y:Q", axis=_value_axis(scale), stack="zero"),
            order="place:Q",
            description="d:N",
            color=vega.Color(
                "series:N",
                scale=vega.Scale(domain=domain, range=colours),
                legend=vega.Legend() if len(domain) > 1 or over_name else None,
            ),
        )
    )
    layers = [stacked]
    if line_of is not None:
        # the line joins the bars' own legend as one more kind
        domain.append(over_name)
        colours.append(BLACK)
        points = vega.Chart(
            _data(
                line_of.assign(
                    y=line_of["y"] / scale.factor,
                    series=over_name,
                    d=[f"{over_name}, {plain(r.x)}: {scale.text(r.y)} {scale.unit}" for r in line_of.itertuples()],
                )
            )
        )
        layers.append(
            points.mark_line(color=BLACK, strokeWidth=1.8, strokeDash=[5, 3], aria=False).encode(x=axis, y="y:Q")
        )
        layers.append(
            points.mark_point(color=BLACK, filled=True, size=22, shape="diamond").encode(
                x=axis, y="y:Q", description="d:N"
            )
        )
    said = alt or f"Stacked bars by month, {scale.unit}. {_summary(tidy, scale)}."
    return Figure(title, scale.unit, look_for, said, svg(vega.layer(*layers), said, width, height), note)


def _bar_months(months: pd.Series, width: int) -> Any:
    count = months.nunique()
    step = next((step for step in (1, 2, 3, 6, 12) if count / step * 62 <= width - 70), 24)
    shown = [_altair().DateTime(year=m.year, month=m.month) for m in sorted(months.unique())[::step]]
    return _altair().Axis(title=None, format="%b %Y", values=shown, labelAngle=0, labelOverlap=False)


def waterfall(
    frame: pd.DataFrame | None,
    step: str,
    value: str,
    *,
    title: str,
    unit: str,
    look_for: str,
    start: str = "",
    end: str = "",
    opening: float = 0.0,
    alt: str = "",
    note: str = "",
    width: int = WIDE,
    height: int = 270,
    none: str = "Nothing changed.",
) -> Figure:
    """From `opening` to the closing total, one bar a step: gains blue with a plus, losses vermillion with a minus."""
    if _empty(frame, step, value):
        return nothing(title, none)
    vega = _altair()
    rows, level = [], float(opening)
    if start:
        rows.append((start, 0.0, level, level, "total"))
    for name, change in zip(frame[step].map(plain), frame[value].astype(float), strict=True):
        rows.append((name, level, level + change, change, "gain" if change >= 0 else "loss"))
        level += change
    if end:
        rows.append((end, 0.0, level, level, "total"))
    tidy = pd.DataFrame(rows, columns=["step", "y", "y2", "change", "kind"])
    scale = scale_of([*tidy["y"], *tidy["y2"]], unit)
    texts = [scale.text(r.change, sign=r.kind != "total") for r in tidy.itertuples()]
    # the eye compares steps, not totals: where the steps are small beside the totals, the axis starts near them
    lowest, highest = tidy[["y", "y2"]].to_numpy()[tidy["kind"].ne("total")].min(), tidy[["y", "y2"]].to_numpy().max()
    cut = lowest - 0.6 * (highest - lowest) if start and lowest > 0.6 * highest > 0 else 0.0
    floor = cut or min(0.0, float(tidy[["y", "y2"]].to_numpy().min()))
    ceiling = max(highest, 0.0) + 0.12 * (max(highest, 0.0) - floor)  # room for the numbers above the bars
    shown = tidy.assign(
        y=tidy["y"].clip(lower=cut) / scale.factor,
        y2=tidy["y2"] / scale.factor,
        top=tidy[["y", "y2"]].max(axis=1) / scale.factor,
        text=texts,
        n=range(len(tidy)),
        d=[f"{r.step}: {t} {scale.unit}" for r, t in zip(tidy.itertuples(), texts, strict=True)],
    )
    steps = list(shown["step"])
    base = vega.Chart(_data(shown)).encode(
        x=vega.X(
            "n:O",
            axis=vega.Axis(
                title=None,
                labelAngle=0,
                labelLimit=max(60, int((width - 80) / len(steps)) - 6),
                ticks=False,
                labelExpr=_label_list(steps, max(8, int((width - 80) / len(steps) / 6.4))),
            ),
        )
    )
    colour = vega.Color(
        "kind:N", scale=vega.Scale(domain=["total", "gain", "loss"], range=[INK, BLUE, VERMILLION]), legend=None
    )
    value_axis = vega.Y(
        "y:Q",
        axis=_value_axis(scale),
        scale=vega.Scale(zero=False, nice=False, domain=[floor / scale.factor, ceiling / scale.factor]),
    )
    layers = [
        base.mark_bar(size=min(70, (width - 80) / len(steps) * 0.66)).encode(
            y=value_axis, y2="y2:Q", color=colour, description="d:N"
        ),
        base.mark_text(dy=-7, aria=False).encode(y="top:Q", text="text:N"),
    ]
    said = alt or "Waterfall. " + "; ".join(shown["d"]) + "."
    extra = f"The axis starts at {scale.text(cut)}, not at 0." if cut else ""
    return Figure(
        title, scale.unit, look_for, said, svg(vega.layer(*layers), said, width, height), f"{note} {extra}".strip()
    )


def _label_list(labels: Sequence[str], letters: int) -> str:
    """A Vega expression that turns 0, 1, 2... into labels broken into lines; a label is JSON text, never code."""
    broken = [textwrap.wrap(plain(label), letters, break_long_words=False) or [""] for label in labels]
    return f"{json.dumps(broken)}[datum.value]"


def ranking(
    frame: pd.DataFrame | None,
    item: str,
    value: str,
    *,
    title: str,
    unit: str,
    look_for: str,
    most: int = 10,
    alt: str = "",
    note: str = "",
    width: int = NARROW,
    height: int = 0,
    none: str = "There is nothing to rank.",
) -> Figure:
    """The `most` largest items (by size, sign kept) as bars with their numbers; what is left out is said below."""
    if _empty(frame, item, value):
        return nothing(title, none)
    vega = _altair()
    tidy = _tidy(frame, item=item, y=value)
    tidy = tidy.loc[tidy["y"].abs().sort_values(ascending=False, kind="stable").index].reset_index(drop=True)
    left, tidy = len(tidy) - most, tidy.head(most)
    scale = scale_of(tidy["y"], unit)
    signed = bool((tidy["y"] < 0).any())
    texts = [scale.text(v, signed) for v in tidy["y"]]
    shown = tidy.assign(
        y=tidy["y"] / scale.factor,
        n=range(len(tidy)),
        text=texts,
        kind=["loss" if v < 0 else "gain" for v in tidy["y"]],
        d=[f"{plain(r.item)}: {t} {scale.unit}" for r, t in zip(tidy.itertuples(), texts, strict=True)],
    )
    labels = [plain(i) if len(plain(i)) <= 34 else plain(i)[:33] + "…" for i in tidy["item"]]
    # room for the labels in the widest font that a reader's machine may put in the place of ours
    room = min(220.0, 7.4 * max(map(len, labels)))
    axis = vega.Axis(title=None, labelExpr=_label_list(labels, 60), labelLimit=220, titleAngle=0, minExtent=room)
    base = vega.Chart(_data(shown)).encode(y=vega.Y("n:O", axis=axis))
    colour = vega.Color("kind:N", scale=vega.Scale(domain=["gain", "loss"], range=[BLUE, VERMILLION]), legend=None)
    across = vega.X("y:Q", axis=None, scale=vega.Scale(padding=46))
    layers = [
        base.mark_bar(height=14).encode(x=across, color=colour, description="d:N"),
        base.transform_filter("datum.y >= 0").mark_text(align="left", dx=5, aria=False).encode(x=across, text="text:N"),
        base.transform_filter("datum.y < 0")
        .mark_text(align="right", dx=-5, aria=False)
        .encode(x=across, text="text:N"),
    ]
    said = alt or f"Bars, largest first, {scale.unit}. " + "; ".join(shown["d"]) + "."
    more = f"{left:,} smaller not shown." if left > 0 else ""
    return Figure(
        title,
        scale.unit,
        look_for,
        said,
        svg(vega.layer(*layers), said, width, height or 30 + 26 * len(tidy)),
        f"{note} {more}".strip(),
    )


def stair_step(
    frame: pd.DataFrame | None,
    step: str,
    value: str,
    *,
    title: str,
    unit: str,
    look_for: str,
    lower_is_better: bool = True,
    alt: str = "",
    note: str = "",
    width: int = NARROW,
    height: int = 240,
    none: str = "No past cycles to judge the steps by.",
) -> Figure:
    """The error after each step of the process, and what the step added (blue) or destroyed (vermillion)."""
    if _empty(frame, step, value):
        return nothing(title, none)
    vega = _altair()
    tidy = _tidy(frame, step=step, y=value)
    scale = scale_of(tidy["y"], unit)
    gain = -tidy["y"].diff() if lower_is_better else tidy["y"].diff()
    deltas = [
        "" if pd.isna(g) else number(-g / scale.factor if lower_is_better else g / scale.factor, 1, sign=True)
        for g in gain
    ]
    shown = tidy.assign(
        y=tidy["y"] / scale.factor,
        n=range(len(tidy)),
        kind=["total" if pd.isna(g) else "gain" if g >= 0 else "loss" for g in gain],
        text=[scale.text(v) for v in tidy["y"]],
        delta=deltas,
    )
    shown["d"] = [
        f"{plain(r.step)}: {r.text} {scale.unit}" + (f", step {r.delta}" if r.delta else "") for r in shown.itertuples()
    ]
    letters = max(7, int((width - 60) / len(tidy) / 6.2))
    base = vega.Chart(_data(shown)).encode(
        x=vega.X(
            "n:O",
            scale=vega.Scale(paddingInner=0.06),
            axis=vega.Axis(
                title=None, labelAngle=0, ticks=False, labelExpr=_label_list([plain(s) for s in tidy["step"]], letters)
            ),
        )
    )
    colour = vega.Color(
        "kind:N", scale=vega.Scale(domain=["total", "gain", "loss"], range=[QUIET, BLUE, VERMILLION]), legend=None
    )
    layers = [
        base.mark_bar().encode(y=vega.Y("y:Q", axis=_value_axis(scale)), color=colour, description="d:N"),
        base.mark_text(dy=-7, fontWeight="bold", aria=False).encode(y="y:Q", text="text:N"),
        base.mark_text(dy=9, fill="white", aria=False, baseline="top").encode(y="y:Q", text="delta:N"),
    ]
    said = alt or f"Stair-step, {scale.unit}. " + "; ".join(shown["d"]) + "."
    return Figure(title, scale.unit, look_for, said, svg(vega.layer(*layers), said, width, height), note)


# HTML: heat maps, tables, tiles ---------------------------------------------------------------------------------


def _tint(share: float, colour: str) -> str:
    """`colour` over white: `share` 0 is white, 1 is the colour itself."""
    share = min(max(share, 0.0), 1.0)
    parts = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return "#" + "".join(f"{round(255 + (part - 255) * share):02x}" for part in parts)


def _cell_style(value: float, lowest: float, highest: float, diverging: bool) -> str:
    if not math.isfinite(value):
        return ""
    if diverging:
        far = max(abs(lowest), abs(highest)) or 1.0
        share, colour = abs(value) / far, BLUE if value > 0 else VERMILLION
    else:
        share, colour = (value - lowest) / ((highest - lowest) or 1.0), BLUE
    share = 0.04 + 0.72 * share if share else 0.0
    return f' style="background:{_tint(share, colour)}' + (';color:#fff"' if share > 0.55 else '"')


def heat_map(
    frame: pd.DataFrame | None,
    row: str,
    column: str,
    value: str,
    *,
    title: str,
    unit: str,
    look_for: str,
    mark_from: float | None = None,
    diverging: bool = False,
    rows: Sequence[str] | None = None,
    alt: str = "",
    note: str = "",
    none: str = "There are no such numbers in this cycle.",
) -> Figure:
    """A number in every cell, the darker the larger; cells from `mark_from` on are framed and bold.

    `diverging`: blue above zero, vermillion below, the sign written in every cell.
    """
    if _empty(frame, row, column, value):
        return nothing(title, none)
    wide = frame.pivot_table(index=row, columns=column, values=value, aggfunc="sum", sort=True, observed=True)
    wide = wide.reindex(_kinds(wide.index, rows)) if wide.index.dtype == object else wide
    flat = wide.to_numpy(dtype=float).ravel()
    finite = flat[[math.isfinite(v) for v in flat]] if flat.size else flat
    scale = scale_of(finite, unit)
    scale = scale._replace(decimals=0) if unit == "share" else scale
    lowest, highest = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    lowest = min(lowest, 0.0) if diverging or unit == "share" else lowest
    head = "".join(f'<th scope="col">{_heading(name)}</th>' for name in wide.columns)
    body, marked = [], []
    for name, values in zip(wide.index, wide.to_numpy(dtype=float), strict=True):
        cells = []
        for where, number_ in zip(wide.columns, values, strict=True):
            mark = mark_from is not None and number_ >= mark_from - 1e-9
            if mark:
                marked.append(f"{plain(name)} in {plain(where)}")
            cells.append(
                f"<td{_cell_style(number_, lowest, highest, diverging)}{' class=mark' if mark else ''}>"
                f"{scale.text(number_, sign=diverging)}</td>"
            )
        body.append(f'<tr><th scope="row">{_safe(name)}</th>{"".join(cells)}</tr>')
    said = alt or (
        f"Heat map of {len(wide):,} rows and {wide.shape[1]:,} columns, {scale.unit}, "
        f"from {scale.text(lowest)} to {scale.text(highest)}."
        + (f" Marked: {', '.join(marked[:12])}{' and others' if len(marked) > 12 else ''}." if marked else "")
    )
    table_ = (
        f'<table class="heat" aria-label="{_safe(said)}"><thead><tr>'
        f'<th scope="col">{_safe(row.replace("_", " "))}</th>{head}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table>"
    )
    return Figure(title, scale.unit, look_for, said, table_, note)


def statement(
    frame: pd.DataFrame | None,
    row: str,
    column: str,
    value: str,
    *,
    title: str,
    unit: str,
    look_for: str,
    rows: Sequence[str] | None = None,
    bold: Sequence[str] = (),
    alt: str = "",
    note: str = "",
    none: str = "There are no such numbers in this cycle.",
) -> Figure:
    """Lines by month in one unit, such as a profit and loss statement; the lines in `bold` stand out."""
    if _empty(frame, row, column, value):
        return nothing(title, none)
    wide = frame.pivot_table(index=row, columns=column, values=value, aggfunc="sum", sort=True, observed=True)
    wide = wide.reindex(_kinds(wide.index, rows))
    scale = scale_of(wide.to_numpy(dtype=float).ravel(), unit, small=True)
    head = "".join(f'<th scope="col">{_heading(name)}</th>' for name in wide.columns)
    body = "".join(
        f'<tr{" class=total" if name in bold else ""}><th scope="row" class="text">{_safe(str(name).capitalize())}</th>'
        + "".join(f"<td>{scale.text(number_)}</td>" for number_ in values)
        + "</tr>"
        for name, values in zip(wide.index, wide.to_numpy(dtype=float), strict=True)
    )
    said = alt or f"Statement of {len(wide):,} lines and {wide.shape[1]:,} columns, {scale.unit}."
    table_ = (
        f'<table class="statement" aria-label="{_safe(said)}"><thead><tr><th scope="col" class="text"></th>{head}</tr>'
        f"</thead><tbody>{body}</tbody></table>"
    )
    return Figure(title, scale.unit, look_for, said, table_, note)


def _heading(name: Any) -> str:
    """A column heading; months on two lines so that eighteen of them fit a page."""
    return "<br>".join(_safe(name).split(" ", 1)) if isinstance(name, pd.Timestamp) else _safe(name)


class Show(NamedTuple):
    """How a column of a table is shown: its heading, its unit (empty = text), whether gains and losses carry a sign.

    `planned_from`: the cells of a `long_table` hold lists of numbers, drawn as a line that is dashed from there on.
    """

    heading: str
    unit: str = ""
    sign: bool = False
    planned_from: int | None = None


def columns_of(table: str, names: str, money: str = "currency") -> dict[str, Show]:
    """`names` (divided by blanks) of a declared table as `show` for `table` and `long_table`; `+name` shows the sign.

    Headings are the columns' names, units those of the declaration, with `money` for the currency.
    Raises KeyError with the nearest names for an unknown table or column.
    """
    from sopkit.tables import table as declared

    units = {"unit of measure": "units", "currency": money, "currency per unit": f"{money} per unit", "": "number"}
    shown = {}
    for name in names.split():
        column = declared(table)[name.lstrip("+")]
        unit = units.get(column.unit, column.unit) if column.kind in ("number", "whole") else ""
        # "overrides (overrides)" says nothing twice
        unit = "count" if unit == column.name != "share" else unit
        shown[column.name] = Show(heading(column.name), unit, name[0] == "+")
    return shown


def _columns(frame: pd.DataFrame, show: Mapping[str, Show | str]) -> dict[str, tuple[Show, Scale | None]]:
    shown = {}
    for name, how in show.items():
        how = how if isinstance(how, Show) else Show(how)
        how = how._replace(heading=plain(how.heading))
        numeric = pd.api.types.is_numeric_dtype(frame[name]) and not pd.api.types.is_bool_dtype(frame[name])
        if numeric and not how.unit:
            raise ValueError(f"column {name!r} of the table holds numbers: give its unit, Show({how.heading!r}, unit)")
        shown[name] = (how, scale_of(frame[name], how.unit, small=True) if numeric else None)
    return shown


def _cell(value: Any, how: Show, scale: Scale | None) -> str:
    if scale:
        return scale.text(value, how.sign)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return plain(value)


def table(
    frame: pd.DataFrame | None,
    show: Mapping[str, Show | str],
    *,
    title: str,
    look_for: str = "",
    unit: str = "",
    group: str | None = None,
    total: str | None = None,
    alt: str = "",
    note: str = "",
    none: str = "There is nothing to list.",
) -> Figure:
    """A table of some tens of rows, by great_tables: `show` maps columns to `Show`; `total` names the row in bold."""
    if _empty(frame, *show, group):
        return nothing(title, none)
    from great_tables import GT, loc, style
    from great_tables import html as as_html

    columns = _columns(frame, show)
    text = pd.DataFrame({name: [_cell(v, *columns[name]) for v in frame[name]] for name in columns})
    if group:
        text[group] = [plain(v) for v in frame[group]]
    name_ = "t" + hashlib.sha256((title + text.to_json()).encode()).hexdigest()[:8]
    made = GT(text.reset_index(drop=True), id=name_, groupname_col=group)
    # great_tables does not escape a label that holds {{ }}, its notation for units: labels are escaped here
    labels = {name: how.heading + (f" ({scale.unit})" if scale else "") for name, (how, scale) in columns.items()}
    made = made.cols_label({name: as_html(_safe(label)) for name, label in labels.items()})
    made = made.cols_align("right", [name for name, (_, scale) in columns.items() if scale])
    made = made.cols_align("left", [name for name, (_, scale) in columns.items() if not scale])
    made = made.tab_options(
        table_width="100%",
        table_font_size="12.5px",
        table_border_top_style="none",
        table_border_bottom_style="none",
        data_row_padding="5px",
        column_labels_border_top_style="none",
        column_labels_border_bottom_color=INK,
        column_labels_border_bottom_width="1px",
        table_body_border_bottom_color=INK,
        table_body_border_bottom_width="1px",
        table_body_border_top_style="none",
        table_body_hlines_color=RULE,
        row_group_font_weight="bold",
        table_font_color=INK,
    )
    if total is not None:
        first = next(iter(columns))
        bold = [i for i, v in enumerate(text[first]) if v == total]
        made = made.tab_style(style.text(weight="bold"), loc.body(rows=bold))
    said = alt or f"Table of {len(text):,} rows: {', '.join(how.heading for how, _ in columns.values())}."
    return Figure(title, unit, look_for, said, made.as_raw_html(), note)


def long_table(
    frame: pd.DataFrame | None,
    show: Mapping[str, Show | str],
    *,
    title: str,
    look_for: str = "",
    unit: str = "",
    most: int = 200,
    alt: str = "",
    note: str = "",
    none: str = "There is nothing to list.",
) -> Figure:
    """A plain table of many rows, cut at `most`; what is left out is said below. Columns as in `table`."""
    if _empty(frame, *show):
        return nothing(title, none)
    columns = _columns(frame, show)
    head = "".join(
        f'<th scope="col"{"" if scale else " class=text"}>{_safe(how.heading)}'
        f"{f' ({_safe(scale.unit)})' if scale else ''}</th>"
        for how, scale in columns.values()
    )
    rows = [
        "<tr>" + "".join(_long_cell(value, *columns[name]) for name, value in zip(columns, row, strict=True)) + "</tr>"
        for row in frame[list(columns)].head(most).itertuples(index=False, name=None)
    ]
    more = f"{len(frame) - most:,} more rows are in the cycle's tables." if len(frame) > most else ""
    said = alt or f"Table of {len(frame):,} rows: {', '.join(how.heading for how, _ in columns.values())}."
    body = f'<table aria-label="{_safe(said)}"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'
    return Figure(title, unit, look_for, said, body, f"{note} {more}".strip())


def _long_cell(value: Any, how: Show, scale: Scale | None) -> str:
    if how.planned_from is not None:
        known = [v for v in value if math.isfinite(v)]
        said = f"{how.heading}: from {number(known[0])} to {number(known[-1])}" if known else how.heading
        return f'<td class="line">{spark(value, said, 120, 24, how.planned_from)}</td>'
    return f"<td{'' if scale else ' class=text'}>{_safe(_cell(value, how, scale))}</td>"


def comparison(
    frame: pd.DataFrame | None,
    *,
    title: str,
    look_for: str,
    scenario: str = "title",
    measure: str = "measure",
    value: str = "value",
    base: str = "base",
    unit: str = "unit",
    base_name: str = "Base",
    measures: Mapping[str, str] | None = None,
    alt: str = "",
    note: str = "",
    none: str = "No scenario was solved beside the base.",
) -> Figure:
    """Scenarios side by side: a row a measure, a column a scenario, the difference from the base below each value."""
    if _empty(frame, scenario, measure, value, base, unit):
        return nothing(title, none)
    names = [name for name in dict.fromkeys(frame[scenario]) if name != base_name]
    rows = []
    for what in _kinds(frame[measure], list(measures or ())):
        part = frame[frame[measure].map(plain).eq(what)]
        shown_unit = part[unit].iloc[0]
        scale = scale_of([*part[value], *part[base]], shown_unit, small=True)
        reference = float(part[base].iloc[0])
        cells = [f"<td>{scale.text(reference)}</td>"]
        for name in names:
            values = part.loc[part[scenario].eq(name), value]
            change = float(values.iloc[0]) - reference if len(values) else math.nan
            kind = "up" if change > 0 else "down" if change < 0 else ""
            said = "no change" if change == 0 else number(change / scale.factor, scale.decimals, sign=True)
            cells.append(
                f"<td>{scale.text(values.iloc[0] if len(values) else None)}"
                f'<span class="small {kind}">{said}</span></td>'
            )
        label = (measures or {}).get(what, what.replace("_", " "))
        rows.append(
            f'<tr><th scope="row" class="text">{_safe(label)}<span class="small">{_safe(scale.unit)}</span></th>'
            f"{''.join(cells)}</tr>"
        )
    head = "".join(f'<th scope="col">{_safe(name)}</th>' for name in (base_name, *names))
    said = alt or f"Table comparing {len(names):,} scenarios with the base on {len(rows):,} measures."
    body = (
        f'<table aria-label="{_safe(said)}"><thead><tr><th scope="col" class="text">Measure</th>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table>"
    )
    return Figure(title, "each row in its own unit", look_for, said, body, note)


def spark(
    values: Sequence[float],
    alt: str,
    width: int = 150,
    height: int = 34,
    planned_from: int | None = None,
    target: float | None = None,
) -> str:
    """A small line without axes: past solid, plan (from index `planned_from` on) dashed, the target a thin rule."""
    points = [(i, float(v)) for i, v in enumerate(values) if v is not None and math.isfinite(v)]
    if len(points) < 2:
        return ""
    known = [v for _, v in points] + ([target] if target is not None and math.isfinite(target) else [])
    low, span = min(known), (max(known) - min(known)) or 1.0
    place = [
        (3 + i * (width - 8) / max(len(values) - 1, 1), height - 4 - (v - low) / span * (height - 8), i)
        for i, v in points
    ]

    def path(part: list[tuple[float, float, int]], extra: str) -> str:
        points_ = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in part)
        return f'<polyline points="{points_}" fill="none" stroke="{BLUE}" stroke-width="1.6"{extra}/>'

    split = len(values) if planned_from is None else planned_from
    past, plan = [p for p in place if p[2] < split], [p for p in place if p[2] >= split - 1]
    drawn = path(past, "") if len(past) > 1 else ""
    drawn += path(plan, ' stroke-dasharray="3 2"') if split < len(values) and len(plan) > 1 else ""
    if target is not None and math.isfinite(target):
        y = height - 4 - (target - low) / span * (height - 8)
        drawn = (
            f'<line x1="3" x2="{width - 5}" y1="{y:.1f}" y2="{y:.1f}" stroke="{QUIET}" stroke-width=".8" '
            f'stroke-dasharray="1 2"/>' + drawn
        )
    x, y, _ = past[-1] if past else place[-1]
    drawn += f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.6" fill="{BLUE}"/>'
    return (
        f'<svg xmlns="{SVG}" viewBox="0 0 {width} {height}" style="max-width:{width}px" role="img" '
        f'aria-label="{_safe(alt)}">'
        f"<title>{_safe(alt)}</title>{drawn}</svg>"
    )


class Tile(NamedTuple):
    """One KPI: value, target, owner, and its months for the small line (from index `planned_from` on planned)."""

    name: str
    value: float | None
    unit: str
    note: str = ""
    target: float | None = None
    better: str = "higher"
    owner: str = ""
    months: Sequence[Any] = ()
    values: Sequence[float] = ()
    planned_from: int | None = None

    @property
    def missed(self) -> bool | None:
        """Whether the target is missed; None where there is no target or no value."""
        if self.value is None or self.target is None or not (math.isfinite(self.value) and math.isfinite(self.target)):
            return None
        return self.value < self.target - 1e-9 if self.better == "higher" else self.value > self.target + 1e-9


def tiles(
    kpis: Sequence[Tile],
    *,
    title: str,
    look_for: str,
    note: str = "",
    none: str = "No KPI can be computed from these tables.",
) -> Figure:
    """KPI tiles: value, target met or missed in words, owner, and a small line of the months."""
    if not kpis:
        return nothing(title, none)
    made, words = [], []
    for kpi in kpis:
        scale = scale_of([kpi.value] if kpi.value is not None else [], kpi.unit)
        shown = (
            f"{scale.text(kpi.value)} {scale.unit}"
            if kpi.value is not None and math.isfinite(kpi.value)
            else "not known"
        )
        words.append(f"{plain(kpi.name)}: {shown}")
        spread = (
            f"{plain(kpi.name)}, {plain(kpi.months[0])} to {plain(kpi.months[-1])}"
            if len(kpi.months)
            else plain(kpi.name)
        )
        state = ""
        if kpi.missed is not None:
            state = (
                f'<p class="state{" down" if kpi.missed else ""}">{"▼ misses" if kpi.missed else "✓ meets"} target '
                f"{_safe(amount(kpi.target, kpi.unit))}</p>"
            )
        owner = f"<p>{_safe(kpi.owner)}</p>" if kpi.owner else ""
        value = (
            f"{_safe(scale.text(kpi.value))} <span>{_safe(scale.unit)}</span>"
            if shown != "not known"
            else "<span>not known</span>"
        )
        made.append(
            f'<div><h4>{_safe(kpi.name)}</h4><p class="value">{value}</p>'
            f"<p>{_safe(kpi.note)}</p>{spark(kpi.values, spread, planned_from=kpi.planned_from)}{state}{owner}</div>"
        )
    return Figure(
        title, "each in its own unit", look_for, "; ".join(words), f'<div class="sop-tiles">{"".join(made)}</div>', note
    )
