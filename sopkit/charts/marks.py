"""What the drawn forms share: axes of months, the scale marker in place of a value axis, labels that keep apart."""

from __future__ import annotations

import json
import math
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from sopkit.charts.figure import Figure, chart, named, plain, unchecked, vega
from sopkit.charts.notation import INK, LOOKS, QUIET, SHOWN
from sopkit.words import Scale, month_name, say, scale_of, shortened, unit_name, with_unit, written

# widths of Helvetica's letters in thousandths of the type size (Adobe's published metrics), narrow to wide
_WIDTHS = {
    222: "ijl'’|\u202f",
    278: " \xa0!,./:;[]\\It·f",
    333: "()-`r",
    500: "ckJsvxyzç",
    556: "éèêëàâäôöûùü«»abdeghnopquL#$?_0123456789–",
    584: "+<=>~−",
    611: "FTZ",
    667: "ÀÉÈABEKPSVXY&",
    722: "CDHNRUw",
    778: "GOQ",
    833: "mM",
    889: "%",
    944: "W",
}
_WIDTH = {letter: width for width, letters in _WIDTHS.items() for letter in letters}


def text_width(text: str, size: float) -> float:
    """Pixels that `text` takes in the figures' font."""
    return sum(_WIDTH.get(letter, 600 if letter < "\u2e80" else 1100) for letter in text) * size / 1000


def fit(text: str, pixels: float, size: float) -> str:
    """`text`, or as much of its beginning as `pixels` hold, with an ellipsis."""
    text = shortened(text, 120)
    while text_width(text, size) > pixels and len(text) > 1:
        text = text[:-2].rstrip() + "…"
    return text


def wrapped(texts: Iterable[str], size: float) -> float:
    """Pixels that the longest of `texts` takes, with some to spare for another font."""
    return 1.08 * max((text_width(text, size) for text in texts), default=0.0)


def drawn(figure: Figure, *layers: Any, zero: bool = True, beside: Iterable[str] = ()) -> Figure:
    """`figure` with its chart: layers on one scale above the line of zero; room for what is written `beside` them."""
    for layer in layers:
        for channel in (layer.encoding.x, layer.encoding.y):
            # numbers stand on the marks and a drawn length tells the scale: no value axis
            if str(getattr(channel, "shorthand", "")).endswith(":Q"):
                channel.axis = None
    v = vega()
    rule = chart(pd.DataFrame({"y": [0.0]})).mark_rule(color=INK, strokeWidth=1, aria=False)
    base = [rule.encode(y=v.Y("y:Q", axis=None))] if zero else []
    # a reader's machine may put a wider font in the place of ours
    padding = {"left": 12, "top": 4, "right": 6 + 0.2 * wrapped(beside, 11), "bottom": 4}
    with unchecked():
        figure.chart = v.layer(*layers, *base).properties(padding=padding)
    return figure


def label_list(labels: Sequence[str], letters: int) -> str:
    """A Vega expression that turns 0, 1, 2... into labels broken into lines; a label is JSON text, never code."""
    lines = [
        textwrap.wrap(shortened(plain(label), 240), letters, break_long_words=False)[:4] or [""] for label in labels
    ]
    broken = [[fit(line, 1.15 * 6.4 * max(letters, 8), 12) for line in label] for label in lines]
    return f"{json.dumps(broken)}[datum.value]"


def axis_of(months: pd.Series, width: float) -> Any:
    """An axis of months written `Nov 2026`, as many as fit side by side: the first begins where its month does."""
    count = (months.max().to_period("M") - months.min().to_period("M")).n + 1
    step = next((step for step in (1, 2, 3, 6, 12, 24) if count / step * 92 <= width - 70), 36)
    shown = pd.date_range(months.min(), months.max(), freq="MS")[::step]
    values = [{"year": month.year, "month": month.month} for month in shown]
    names = {f"{month:%Y-%m}": month_name(month) for month in shown}
    told = f"{json.dumps(names)}[timeFormat(datum.value, '%Y-%m')]"
    return {"title": None, "labelExpr": told, "values": values, "labelFlush": True, "domain": False}


def month_labels(months: pd.Index[Any]) -> Any:
    """An axis of columns 0, 1, 2...: the month below each, the year below the first and below January; or its name."""
    dated = isinstance(months, pd.DatetimeIndex)
    labels = [[written(month, "%b", "MMM")] if dated else str(month).split() for month in months]
    for label, month in zip(labels, months if dated else (), strict=False):
        label += [f"{month:%Y}"] if label is labels[0] or month.month == 1 else []
    look = {"title": None, "labelAngle": 0, "labelFontSize": 11, "labelOverlap": False, "ticks": False, "domain": False}
    return look | {"labelExpr": f"{json.dumps(labels)}[datum.value]"}


def short_scale(values: Iterable[float], unit: str, pitch: float) -> Scale:
    """The scale in which every number fits above a column of `pitch` pixels."""
    values = list(values)
    scale = scale_of(values, unit, small=True)
    longest = max((text_width(scale.text(value), 10) for value in values), default=0.0)
    # money keeps the one scale of the page
    if longest <= pitch - 1 or scale.factor != 1.0 or unit == "share":
        return scale
    return Scale(1e3, say("thousand {unit}", unit_name(unit)), 1 if max(map(abs, values)) < 1e6 else 0)


def scale_marker(step: float, scale: Scale, zero: float = 0.0, pixels: float = 1.0) -> list[Any]:
    """A drawn length of `step`, from `zero` on, with its value left of the chart: what a value axis would tell."""
    step = nice(step)
    text, end = scale.text(step * scale.factor), zero + step * pixels
    told = say("scale: {value}", with_unit(text, scale.unit))
    row = pd.DataFrame([{"y": zero, "y2": end, "m": (zero + end) / 2, "text": text, "d": told}])
    base = chart(row).encode(x=vega().value(-6))
    rule = base.mark_rule(strokeWidth=3, color=QUIET).encode(y="y:Q", y2="y2:Q", description="d:N")
    label = base.mark_text(align="right", dx=-5, fontSize=10, color=QUIET, aria=False).encode(y="m:Q", text="text:N")
    return [rule, label]


def nice(value: float) -> float:
    """The largest 1, 2 or 5 x 10^n that is not above `value`."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (5.0, 2.0, 1.0) if step * power <= value * (1 + 1e-9))


def apart(values: pd.Series, least: float) -> list[float]:
    """`values` moved as little as needed so that any two are `least` apart, in their own order."""
    order = values.reset_index(drop=True).sort_values(kind="stable")
    placed: list[float] = []
    for value in order:
        placed.append(max(value, placed[-1] + least) if placed else value)
    # what was pushed up comes down by half of it: the middle stays where it was
    shift = (sum(placed) - sum(order)) / max(len(placed), 1)
    moved = pd.Series([value - shift for value in placed], index=order.index)
    return moved.sort_index().tolist()


def on_top(text: Any, size: int, *, crossed: bool = True) -> list[Any]:
    """Numbers above their columns; where lines may have `crossed` them, with a light edge that keeps them readable."""
    edge = {"stroke": "white", "strokeWidth": 3, "strokeJoin": "round"}
    return [text.mark_text(dy=-8, fontSize=size, aria=False, **more) for more in ([edge] * crossed + [{}])]


def filled(mark: Any, **channels: Any) -> Any:
    """Bars in the fill and stroke of their own rows, each with its description."""
    v = vega()
    own = {"fill": v.Fill("fill:N", scale=None), "stroke": v.Stroke("stroke:N", scale=None)}
    return mark.encode(description="d:N", **own, **channels)


def by_scenario(rows: pd.DataFrame) -> pd.DataFrame:
    """`rows` with the fill and stroke that the notation gives to each of their scenarios."""
    styles = [LOOKS[SHOWN[name]] for name in rows["series"]]
    return rows.assign(fill=[look.fill for look in styles], stroke=[look.stroke for look in styles])


def described(tidy: pd.DataFrame, scale: Scale) -> list[str]:
    """What each point tells who points at it: series, month and value."""
    return [f"{named(r.series)}, {plain(r.x)}: {scale.told(r.y)}" for r in tidy.itertuples()]


def point_of(rows: pd.DataFrame, mark: Any, best: Any) -> pd.DataFrame:
    """The rows that the message points at: where the caller said `mark`, else at the index `best`."""
    found = rows["x"].map(plain).eq(plain(mark))
    return rows[found] if found.any() else rows.loc[[best]]


def marked(point: pd.DataFrame, x: Any) -> list[Any]:
    """The point that the message makes: a ring around it and its number in bold."""
    told = (f"{plain(name)} {text}" for name, text in zip(point["x"], point["text"], strict=True))
    base = chart(point.assign(m=[say("message: {text}", text) for text in told])).encode(x=x, y="y:Q")
    ring = base.mark_point(size=70, color=INK, filled=False, strokeWidth=1.6).encode(description="m:N")
    return [ring, base.mark_text(dy=-11, fontSize=10, fontWeight="bold", aria=False).encode(text="text:N")]
