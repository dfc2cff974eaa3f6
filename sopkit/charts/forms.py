"""The drawn forms: lines, stacked bars, waterfall, ranking and stair-step, each from a frame and its columns."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence
from typing import Any, Unpack

import pandas as pd

from sopkit.charts.figure import (
    HIGH,
    INK,
    NARROW,
    NONE,
    QUIET,
    WIDE,
    About,
    Figure,
    data,
    empty,
    in_order,
    made,
    nothing,
    plain,
    points,
    vega,
)  # fmt: skip
from sopkit.words import Scale, number, scale_of

# Okabe & Ito (2008), Color Universal Design: told apart with any colour vision; dash and shape say it again
BLUE, VERMILLION, GREEN, ORANGE = "#0072B2", "#D55E00", "#009E73", "#E69F00"
PURPLE, SKY, BLACK = "#CC79A7", "#56B4E9", "#000000"
COLOURS = (BLUE, VERMILLION, GREEN, ORANGE, PURPLE, SKY, BLACK)
DASHES = ((1, 0), (6, 3), (2, 2), (8, 3, 2, 3), (10, 4), (4, 2, 1, 2), (1, 3))
# what happened is ink, what was promised is grey, in every figure
FIXED = {"history": (INK, (1, 0)), "actual": (INK, (1, 0)), "budget": (QUIET, (2, 3)), "target": (QUIET, (2, 3))}


def _drawn(figure: Figure, *layers: Any) -> Figure:
    figure.chart = vega().layer(*layers)
    return figure


def _value_axis(scale: Scale) -> Any:
    return vega().Axis(title=scale.unit, format=f",.{0 if scale.unit == '%' else scale.decimals}f", tickCount=5)


def _months_shown(months: pd.Series, width: int) -> dict[str, Any]:
    """An axis of months written `Nov 2026`, as many as fit side by side."""
    count = (months.max().to_period("M") - months.min().to_period("M")).n + 1
    step = next((step for step in (1, 2, 3, 6, 12, 24) if count / step * 62 <= width - 70), 36)
    shown = pd.date_range(months.min(), months.max(), freq="MS")[::step]
    values = [vega().DateTime(year=month.year, month=month.month) for month in shown]
    return {"title": None, "format": "%b %Y", "values": values}


def _looks(kinds: Sequence[str]) -> list[tuple[str, tuple[int, ...]]]:
    """Colour and dash of each kind: fixed where the word has a meaning in this house, else in order."""
    free = iter(zip(COLOURS * 9, DASHES * 9, strict=True))
    return [FIXED.get(kind) or next(free, (QUIET, (1, 1))) for kind in kinds]


def _signs(**colours: str) -> Any:
    """The colour of a bar by its kind (gain, loss, total), without a legend."""
    scale = vega().Scale(domain=list(colours), range=list(colours.values()))
    return vega().Color("kind:N", scale=scale, legend=None)


def _label_list(labels: Sequence[str], letters: int) -> str:
    """A Vega expression that turns 0, 1, 2... into labels broken into lines; a label is JSON text, never code."""
    broken = [textwrap.wrap(plain(label), letters, break_long_words=False) or [""] for label in labels]
    return f"{json.dumps(broken)}[datum.value]"


def _summary(tidy: pd.DataFrame, scale: Scale) -> str:
    """The figure in words: where each series starts, ends and is highest."""

    def at(row: pd.Series) -> str:
        return f"{scale.text(row['y'])} in {plain(row['x'])}"

    parts = []
    for name, rows in tidy.dropna(subset=["y"]).groupby("series", sort=False):
        rows = rows.sort_values("x")
        top = rows.loc[rows["y"].idxmax()]
        parts.append(f"{plain(name)}: {at(rows.iloc[0])}, {at(rows.iloc[-1])}, highest {at(top)}")
    return "; ".join(parts)


def line(
    frame: pd.DataFrame | None, y: str, *, unit: str, x: str = "month", series: str | None = None,
    low: str | None = None, high: str | None = None, order: Sequence[str] | None = None, start: Any = None,
    **about: Unpack[About],
) -> Figure:  # fmt: skip
    """Lines over months, each with its own dash; a band between `low` and `high`; a rule where the plan starts.

    Several rows a point add up; ValueError where the column does not (see `points`), or without a unit.
    """
    if frame is None or empty(frame, x, y, series, low, high):
        return nothing(about["title"], about.get("none", NONE))
    tidy = points(frame, {"x": x, "series": series}, {"y": y, "low": low, "high": high}, unit, about.get("source", ""))
    shown = tidy.rename(columns={"x": x, "y": y, "low": low, "high": high, "series": series})
    if not series:
        tidy["series"] = y.replace("_", " ")
    scale, width = scale_of([*tidy["y"], *tidy.get("high", [])], unit), about.get("width", WIDE)
    kinds = in_order(tidy["series"], order)
    tidy["d"] = [
        f"{plain(row.series)}, {plain(row.x)}: {scale.text(row.y)} {scale.unit}"
        + (f" (range {scale.text(row.low)} to {scale.text(row.high)})" if low and high and row.low == row.low else "")
        for row in tidy.itertuples()
    ]
    figure = made(shown, scale.unit, y, f"Line chart, {scale.unit}. {_summary(tidy, scale)}.", **about)
    tidy[[name for name in ("y", "low", "high") if name in tidy]] /= scale.factor
    v, looks = vega(), _looks(kinds)
    base = v.Chart(data(tidy)).encode(x=v.X("x:T", axis=v.Axis(labelFlush=True, **_months_shown(tidy["x"], width))))
    per_row = max(1, width // (min(max(map(len, kinds)), 60) * 7 + 44))
    legend = v.Legend(symbolType="stroke", symbolOpacity=1, columns=per_row) if len(kinds) > 1 else None
    colour = v.Color("series:N", scale=v.Scale(domain=kinds, range=[look[0] for look in looks]), legend=legend)
    dashes = v.Scale(domain=kinds, range=[list(look[1]) for look in looks])
    axis = v.Y("y:Q", axis=_value_axis(scale), scale=v.Scale(zero=True, nice=True))
    layers = []
    if low and high:
        band = base.transform_filter("isValid(datum.low)").mark_area(opacity=0.16, aria=False)
        layers.append(band.encode(y=v.Y("low:Q", axis=_value_axis(scale)), y2="high:Q", color=colour))
    dash = v.StrokeDash("series:N", scale=dashes, legend=legend)
    layers.append(base.mark_line(strokeWidth=2.2, aria=False).encode(y=axis, color=colour, strokeDash=dash))
    layers.append(base.mark_circle(size=60, opacity=0).encode(y=axis, description="d:N"))
    if start is not None and tidy["x"].min() < pd.Timestamp(start):
        rule = v.Chart(data(pd.DataFrame({"x": [pd.Timestamp(start)], "d": ["plan"]})))
        layers.append(rule.mark_rule(color=QUIET, strokeWidth=1, strokeDash=[2, 3], aria=False).encode(x="x:T"))
        label = rule.mark_text(align="left", dx=4, dy=4, color=QUIET, aria=False, baseline="top")
        layers.append(label.encode(x="x:T", y=v.value(0), text="d:N"))
    return _drawn(figure, *layers)


def bars(
    frame: pd.DataFrame | None, y: str, by: str, *, unit: str, x: str = "month", order: Sequence[str] | None = None,
    over: pd.DataFrame | None = None, over_y: str = "", over_name: str = "", **about: Unpack[About],
) -> Figure:  # fmt: skip
    """Stacked bars over months, one colour a kind (`by`); `over` draws a black dashed line, such as demand."""
    if frame is None or empty(frame, x, y, by):
        return nothing(about["title"], about.get("none", NONE))
    source = about.get("source", "")
    tidy = points(frame, {"x": x, "series": by}, {"y": y}, unit, source).sort_values(["x", "series"], ignore_index=True)
    over_name, shown = plain(over_name), tidy.rename(columns={"x": x, "y": y, "series": by})
    above = pd.DataFrame(columns=["x", "y"])
    if over is not None and not over.empty:
        above = points(over, {"x": x}, {"y": over_y}, unit, source).sort_values("x")
        shown = pd.concat([shown, above.rename(columns={"x": x, "y": y}).assign(**{by: over_name})], ignore_index=True)
    totals = tidy.assign(y=tidy["y"].clip(lower=0)).groupby("x")["y"].sum()
    scale, width = scale_of([*totals, *above["y"]], unit), about.get("width", WIDE)
    kinds = in_order(tidy["series"], order)
    figure = made(shown, scale.unit, y, f"Stacked bars by month, {scale.unit}. {_summary(tidy, scale)}.", **about)
    for part in (tidy, above):
        named = part.get("series", pd.Series(over_name, part.index))
        rows = zip(named, part["x"], part["y"], strict=True)
        part["d"] = [f"{plain(name)}, {plain(at)}: {scale.text(value)} {scale.unit}" for name, at, value in rows]
        part["y"] = part["y"] / scale.factor
    tidy["place"] = [kinds.index(plain(name)) for name in tidy["series"]]
    v, colours = vega(), [look[0] for look in _looks(kinds)]
    # the line joins the bars' own legend as one more kind
    domain, colours = ([*kinds, over_name], [*colours, BLACK]) if len(above) else (kinds, colours)
    axis = v.X("x:O", timeUnit="yearmonth",
               axis=v.Axis(labelAngle=0, labelOverlap=False, **_months_shown(tidy["x"], width)))  # fmt: skip
    legend = v.Legend() if len(domain) > 1 else None
    colour = v.Color("series:N", scale=v.Scale(domain=domain, range=colours), legend=legend)
    stacked = v.Chart(data(tidy)).mark_bar(stroke="white", strokeWidth=0.6)
    value = v.Y("y:Q", axis=_value_axis(scale), stack="zero")
    layers = [stacked.encode(x=axis, y=value, order="place:Q", description="d:N", color=colour)]
    if len(above):
        over_points = v.Chart(data(above)).encode(x=axis, y="y:Q")
        layers.append(over_points.mark_line(color=BLACK, strokeWidth=1.8, strokeDash=[5, 3], aria=False))
        dots = over_points.mark_point(color=BLACK, filled=True, size=22, shape="diamond")
        layers.append(dots.encode(description="d:N"))
    return _drawn(figure, *layers)


def waterfall(
    frame: pd.DataFrame | None, step: str, value: str, *, unit: str, start: str = "", end: str = "",
    opening: float = 0.0, **about: Unpack[About],
) -> Figure:  # fmt: skip
    """From `opening` to the closing total, one bar a step: gains blue with a plus, losses vermillion with a minus."""
    if frame is None or empty(frame, step, value):
        return nothing(about["title"], about.get("none", "Nothing changed."))
    about = {"width": WIDE, "height": 270, **about}
    rows, level = [(start, 0.0, opening, opening, "total")] if start else [], float(opening)
    for name, change in zip(frame[step].map(plain), frame[value].astype(float), strict=True):
        rows.append((name, level, level + change, change, "gain" if change >= 0 else "loss"))
        level += change
    rows += [(end, 0.0, level, level, "total")] if end else []
    tidy = pd.DataFrame(rows, columns=["step", "y", "y2", "change", "kind"])
    scale, width = scale_of([*tidy["y"], *tidy["y2"]], unit), about["width"]
    tidy["text"] = [scale.text(r.change, sign=r.kind != "total") for r in tidy.itertuples()]
    tidy["d"] = [f"{r.step}: {r.text} {scale.unit}" for r in tidy.itertuples()]
    # the eye compares steps, not totals: where the steps are small beside the totals, the axis starts near them
    ends = tidy[["y", "y2"]].to_numpy()
    lowest, highest = ends[tidy["kind"].ne("total")].min(), ends.max()
    cut = lowest - 0.6 * (highest - lowest) if start and lowest > 0.6 * highest > 0 else 0.0
    floor = cut or min(0.0, float(ends.min()))
    ceiling = max(highest, 0.0) + 0.12 * (max(highest, 0.0) - floor)  # room for the numbers above the bars
    more = f"The axis starts at {scale.text(cut)}, not at 0." if cut else ""
    shown = tidy[["step", "change"]].rename(columns={"step": step, "change": value})
    figure = made(shown, scale.unit, value, "Waterfall. " + "; ".join(tidy["d"]) + ".", more=more, **about)
    tidy = tidy.assign(y=tidy["y"].clip(lower=cut), top=tidy[["y", "y2"]].max(axis=1), n=range(len(tidy)))
    tidy[["y", "y2", "top"]] /= scale.factor
    v, each = vega(), (width - 80) / len(tidy)
    labels = _label_list(list(tidy["step"]), max(8, int(each / 6.4)))
    axis = v.Axis(title=None, labelAngle=0, labelLimit=max(60, int(each) - 6), ticks=False, labelExpr=labels)
    base = v.Chart(data(tidy)).encode(x=v.X("n:O", axis=axis))
    domain = v.Scale(zero=False, nice=False, domain=[floor / scale.factor, ceiling / scale.factor])
    value_axis, colour = (
        v.Y("y:Q", axis=_value_axis(scale), scale=domain),
        _signs(total=INK, gain=BLUE, loss=VERMILLION),
    )
    bar = base.mark_bar(size=min(70, each * 0.66)).encode(y=value_axis, y2="y2:Q", color=colour, description="d:N")
    return _drawn(figure, bar, base.mark_text(dy=-7, aria=False).encode(y="top:Q", text="text:N"))


def ranking(
    frame: pd.DataFrame | None, item: str, value: str, *, unit: str, most: int = 10, **about: Unpack[About]
) -> Figure:
    """The `most` largest items (by size, sign kept) as bars with their numbers; what is left out is counted below."""
    if frame is None or empty(frame, item, value):
        return nothing(about["title"], about.get("none", "There is nothing to rank."))
    tidy = points(frame, {"item": item}, {"y": value}, unit, about.get("source", ""))
    tidy = tidy.loc[tidy["y"].abs().sort_values(ascending=False, kind="stable").index].reset_index(drop=True)
    left, tidy = len(tidy) - most, tidy.head(most)
    scale, signed = scale_of(tidy["y"], unit), bool((tidy["y"] < 0).any())
    texts = [scale.text(v, signed) for v in tidy["y"]]
    words = [f"{plain(name)}: {text} {scale.unit}" for name, text in zip(tidy["item"], texts, strict=True)]
    about = {"width": NARROW, "height": 30 + 26 * len(tidy), **about}
    figure = made(
        tidy.rename(columns={"item": item, "y": value}), scale.unit, value,
        f"Bars, largest first, {scale.unit}. {'; '.join(words)}.",
        more=f"{left:,} smaller not shown." if left > 0 else "", **about,
    )  # fmt: skip
    kind = ["loss" if v < 0 else "gain" for v in tidy["y"]]
    tidy = tidy.assign(y=tidy["y"] / scale.factor, n=range(len(tidy)), text=texts, kind=kind, d=words)
    labels = [name if len(name) <= 34 else name[:33] + "…" for name in tidy["item"].map(plain)]
    # room for the labels in the widest font that a reader's machine may put in the place of ours
    v, room = vega(), min(220.0, 7.4 * max(map(len, labels)))
    axis = v.Axis(title=None, labelExpr=_label_list(labels, 60), labelLimit=220, titleAngle=0, minExtent=room)
    base = v.Chart(data(tidy)).encode(y=v.Y("n:O", axis=axis))
    across = v.X("y:Q", axis=None, scale=v.Scale(padding=46))
    layers = [base.mark_bar(height=14).encode(x=across, color=_signs(gain=BLUE, loss=VERMILLION), description="d:N")]
    for test, align, dx in (("datum.y >= 0", "left", 5), ("datum.y < 0", "right", -5)):
        label = base.transform_filter(test).mark_text(align=align, dx=dx, aria=False)
        layers.append(label.encode(x=across, text="text:N"))
    return _drawn(figure, *layers)


def stair_step(
    frame: pd.DataFrame | None, step: str, value: str, *, unit: str, lower_is_better: bool = True,
    **about: Unpack[About],
) -> Figure:  # fmt: skip
    """The error after each step of the process, and what the step added (blue) or destroyed (vermillion)."""
    if frame is None or empty(frame, step, value):
        return nothing(about["title"], about.get("none", "No past cycles to judge the steps by."))
    about = {"width": NARROW, "height": HIGH - 20, "better": "lower" if lower_is_better else "higher", **about}
    tidy = points(frame, {"step": step}, {"y": value}, unit, about.get("source", ""))
    scale = scale_of(tidy["y"], unit)
    change = tidy["y"].diff()
    good = change.lt(0) == lower_is_better
    tidy["kind"] = [
        "total" if pd.isna(c) else "gain" if g or not c else "loss" for c, g in zip(change, good, strict=True)
    ]
    tidy["text"] = [scale.text(v) for v in tidy["y"]]
    tidy["delta"] = ["" if pd.isna(c) else number(c / scale.factor, 1, sign=True) for c in change]
    tidy["d"] = [
        f"{plain(r.step)}: {r.text} {scale.unit}" + (f", step {r.delta}" if r.delta else "") for r in tidy.itertuples()
    ]
    shown = tidy[["step", "y"]].rename(columns={"step": step, "y": value})
    figure = made(shown, scale.unit, value, f"Stair-step, {scale.unit}. {'; '.join(tidy['d'])}.", **about)
    tidy = tidy.assign(y=tidy["y"] / scale.factor, n=range(len(tidy)))
    v = vega()
    labels = _label_list([plain(s) for s in tidy["step"]], max(7, int((about["width"] - 60) / len(tidy) / 6.2)))
    axis = v.Axis(title=None, labelAngle=0, ticks=False, labelExpr=labels)
    base = v.Chart(data(tidy)).encode(x=v.X("n:O", scale=v.Scale(paddingInner=0.06), axis=axis))
    height, colour = v.Y("y:Q", axis=_value_axis(scale)), _signs(total=QUIET, gain=BLUE, loss=VERMILLION)
    return _drawn(
        figure,
        base.mark_bar().encode(y=height, color=colour, description="d:N"),
        base.mark_text(dy=-7, fontWeight="bold", aria=False).encode(y="y:Q", text="text:N"),
        base.mark_text(dy=9, fill="white", aria=False, baseline="top").encode(y="y:Q", text="delta:N"),
    )
