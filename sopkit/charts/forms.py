"""The drawn forms of categories and shares: lines, stacked bars, ranking and stair-step, labelled on their marks."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any, Unpack

import pandas as pd

from sopkit.charts.figure import (
    HIGH,
    LOW,
    NARROW,
    NONE,
    WIDE,
    About,
    Figure,
    chart,
    empty,
    in_order,
    made,
    named,
    nothing,
    plain,
    points,
    vega,
)
from sopkit.charts.marks import (
    apart,
    axis_of,
    described,
    drawn,
    filled,
    fit,
    label_list,
    marked,
    month_labels,
    on_top,
    point_of,
    scale_marker,
    short_scale,
    wrapped,
)
from sopkit.charts.notation import INK, LOOKS, QUIET, colour_of, looks
from sopkit.words import Scale, number, say, scale_of, with_unit


def summary(tidy: pd.DataFrame, scale: Scale) -> str:
    """The figure in words: where each series starts, ends and is highest."""

    def at(row: pd.Series) -> str:
        return say("{value} in {month}", scale.text(row["y"]), plain(row["x"]))

    parts = []
    for name, rows in tidy.dropna(subset=["y"]).groupby("series", sort=False):
        rows = rows.sort_values("x")
        top = rows.loc[rows["y"].idxmax()]
        parts.append(
            say("{name}: {first}, {last}, highest {highest}", named(name), at(rows.iloc[0]), at(rows.iloc[-1]), at(top))
        )
    return "; ".join(parts)


def line(
    frame: pd.DataFrame | None, y: str, *, unit: str, x: str = "month", series: str | None = None,
    low: str | None = None, high: str | None = None, order: Sequence[str] | None = None, start: Any = None,
    **about: Unpack[About],
) -> Figure:  # fmt: skip
    """Lines over months, each named at its end; a band between `low` and `high`; a rule where the plan starts.

    Several rows a point add up; ValueError where the column does not (see `points`), or without a unit.
    """
    if frame is None or empty(frame, x, y, series, low, high):
        return nothing(about["title"], about.get("none", NONE), frame, x, y, series, low, high)
    tidy = points(frame, {"x": x, "series": series}, {"y": y, "low": low, "high": high}, unit, about.get("source", ""))
    shown = tidy.rename(columns={"x": x, "y": y, "low": low, "high": high, "series": series})
    if not series:
        tidy["series"] = y.replace("_", " ")
    tidy["series"] = tidy["series"].map(plain)
    scale, width = scale_of([*tidy["y"], *tidy.get("high", [])], unit, small=True), about.get("width", WIDE)
    high_px = min(about.get("height", HIGH), LOW)
    kinds = in_order(tidy["series"], order)
    tidy["d"] = described(tidy, scale)
    if low and high:
        for at, ends in tidy[["low", "high"]].dropna().iterrows():
            tidy.at[at, "d"] += " " + say("(range {low} to {high})", *map(scale.text, ends))
    told = say("Line chart, {unit}. {summary}.", scale.unit, summary(tidy, scale))
    figure = made(shown, scale.unit, y, told, **about)
    values = [name for name in ("y", "low", "high") if name in tidy]
    tidy[values] /= scale.factor
    v, styles = vega(), looks(kinds)
    most, least = float(tidy[values].max().max()), min(0.0, float(tidy[values].min().min()))
    domain = [least - 0.06 * (most - least) * (least < 0), most + 0.16 * (most - least) or 1.0]
    ends, room = _line_ends(tidy.dropna(subset=["y"]), kinds, scale, (domain[1] - domain[0]) / (high_px - 40))
    across = v.X("x:T", axis=axis_of(tidy["x"], width - room), scale=dict(nice=False))
    base = chart(tidy).encode(x=across)
    colour = v.Color("series:N", scale=dict(domain=kinds, range=[look.ink for look in styles]), legend=None)
    axis = v.Y("y:Q", axis=None, scale=dict(zero=True, nice=False, domain=domain))
    layers = scale_marker(max(most, -least) / 3, scale)
    if low and high:
        band = base.transform_filter("isValid(datum.low)").mark_area(opacity=0.16, aria=False)
        layers.append(band.encode(y=v.Y("low:Q", axis=None), y2="high:Q", color=colour))
    dashes = dict(domain=kinds, range=[list(look.dash) for look in styles])
    dash = v.StrokeDash("series:N", scale=dashes, legend=None)
    wide = v.StrokeWidth("series:N", scale=dict(domain=kinds, range=[look.width for look in styles]), legend=None)
    layers.append(base.mark_line(aria=False).encode(y=axis, color=colour, strokeDash=dash, strokeWidth=wide))
    layers.append(base.mark_circle(size=60, opacity=0).encode(y=axis, description="d:N"))
    if start is not None and tidy["x"].min() < pd.Timestamp(start):
        rule = chart(pd.DataFrame({"x": [pd.Timestamp(start)], "d": [say("plan")]}))
        layers.append(rule.mark_rule(color=QUIET, strokeWidth=1, strokeDash=[2, 3], aria=False).encode(x="x:T"))
        label = rule.mark_text(align="left", dx=4, dy=-2, color=QUIET, aria=False, baseline="top")
        layers.append(label.encode(x="x:T", y=v.value(0), text="d:N"))
    for place, (align, dx) in {"end": ("left", 8), "above": ("center", 0)}.items():
        style = {"align": align, "dx": dx, "fontSize": 11, "aria": False, "lineBreak": "\n", "baseline": "middle"}
        text = chart(ends[ends["at"] == place]).mark_text(**style)
        layers.append(text.encode(x="x:T", y="y:Q", text="text:N", color=v.Color("ink:N", scale=None, legend=None)))
    # the point of the message: said by the caller, else where the line that matters most is highest
    main = tidy.dropna(subset=["y"])
    whole = main[main["series"].isin(ends.loc[ends["at"] == "end", "series"])]
    if not series or least >= 0:
        main = whole[whole["series"].eq(next(kind for kind in kinds if kind in set(whole["series"])))]
    point = point_of(main, about.get("mark", ""), main["y"].abs().idxmax())
    layers += marked(point.assign(text=[scale.text(value * scale.factor) for value in point["y"]]), "x:T")
    return drawn(figure, *layers, beside="\n".join(ends["text"]).split("\n"))


def _line_ends(tidy: pd.DataFrame, kinds: Sequence[str], scale: Scale, per_pixel: float) -> tuple[pd.DataFrame, float]:
    """Where each line is named: at its end, apart from the others; above its highest point where it ends early."""
    rows, last = [], tidy["x"].max()
    for kind, look in zip(kinds, looks(kinds), strict=True):
        points_ = tidy[tidy["series"] == kind].sort_values("x")
        if points_.empty:
            continue
        end, top = points_.iloc[-1], points_.loc[points_["y"].idxmax()]
        told, early = say(kind), end["x"] < last
        at = top if early else end
        full = told if early else f"{told} {scale.text(at['y'] * scale.factor)}"
        name = "\n".join(fit(text, 215, 11) for text in textwrap.wrap(full, 38)[:2])
        ink = look.ink if look.ink not in (LOOKS["last year"].ink, "#d0d6dc") else QUIET
        rows.append((kind, "above" if early else "end", at["x"], at["y"] + 12 * per_pixel * early, name, ink))
    ends = pd.DataFrame(rows, columns=["series", "at", "x", "y", "text", "ink"])
    right = ends["at"] == "end"
    tall = 14 + 16 * ends.loc[right, "text"].str.contains("\n").any()
    ends.loc[right, "y"] = apart(ends.loc[right, "y"], tall * per_pixel)
    return ends, 12 + wrapped("\n".join(ends.loc[right, "text"]).split("\n"), 11)


def bars(
    frame: pd.DataFrame | None, y: str, by: str, *, unit: str, order: Sequence[str] | None = None,
    over: pd.DataFrame | None = None, over_y: str = "", over_name: str = "", **about: Unpack[About],
) -> Figure:  # fmt: skip
    """Stacked bars over months, a shade a kind (`by`), named beside the last bar; `over` draws a line, such as demand.

    Planned bars are hatched; bars of `shows=["actual"]` are solid.
    """
    if frame is None or empty(frame, "month", y, by):
        return nothing(about["title"], about.get("none", NONE), frame, "month", y, by)
    source = about.get("source", "")
    tidy = points(frame, {"x": "month", "series": by}, {"y": y}, unit, source).sort_values(
        ["x", "series"], ignore_index=True
    )
    over_name, shown = named(over_name), tidy.rename(columns={"x": "month", "y": y, "series": by})
    above = pd.DataFrame(columns=["x", "y"])
    if over is not None and not over.empty:
        above = points(over, {"x": "month"}, {"y": over_y}, unit, source).sort_values("x").assign(series=over_name)
        shown = pd.concat([shown, above.rename(columns={"x": "month", "y": y, "series": by})], ignore_index=True)
    months = pd.DatetimeIndex(sorted({*tidy["x"], *above["x"]}))
    width, high_px = about.get("width", WIDE), min(about.get("height", HIGH), LOW)
    stacks = tidy.assign(up=tidy["y"].clip(lower=0), down=tidy["y"].clip(upper=0)).groupby("x")[["up", "down", "y"]]
    total = stacks.sum()
    scale = short_scale([*total["up"], *above["y"]], unit, (width - 170) / len(months))
    tidy["series"] = tidy["series"].map(plain)
    kinds = in_order(tidy["series"], order)
    told = say("Stacked bars by month, {unit}. {summary}.", scale.unit, summary(tidy, scale))
    figure = made(shown, scale.unit, y, told, **about)
    for part in (tidy, above):
        part["d"] = described(part, scale)
        part["y"] = part["y"] / scale.factor
        part["n"] = months.get_indexer(part["x"])
    styles = dict(zip(kinds, looks(kinds, figure.shows != ("actual",)), strict=True))
    tidy["place"] = tidy["series"].map(kinds.index)
    # a segment lies on those of its month that come before it, gains upwards and losses downwards
    tidy = tidy.sort_values(["n", "place"], ignore_index=True)
    signed = tidy["y"].ge(0)
    tidy["to"] = tidy["y"].groupby([tidy["n"], signed]).cumsum()
    tidy["from"] = tidy["to"] - tidy["y"]
    tidy["fill"] = tidy["series"].map(lambda kind: styles[kind].fill)
    tidy["stroke"] = tidy["series"].map(lambda kind: styles[kind].stroke)
    v = vega()
    ceiling = max(float(total["up"].max()), float(above["y"].max() * scale.factor if len(above) else 0)) / scale.factor
    floor = float(total["down"].min()) / scale.factor
    domain = [floor * 1.06, ceiling + 0.13 * (ceiling - floor) or 1.0]
    per_pixel = (domain[1] - domain[0]) / (high_px - 50)
    last = tidy[tidy["n"] == tidy["n"].max()].assign(middle=lambda f: (f["from"] + f["to"]) / 2)
    names = last[["middle", "series"]].set_axis(["y", "text"], axis=1)
    if len(above):
        names = pd.concat([names, pd.DataFrame({"y": [above["y"].iloc[-1]], "text": [over_name]})])
    names = names.assign(y=apart(names["y"], 14 * per_pixel), text=names["text"].map(lambda t: fit(say(t), 150, 11)))
    across = v.X("n:O", axis=month_labels(months), scale=dict(domain=list(range(len(months))), paddingInner=0.3))
    up = v.Y("from:Q", axis=None, scale=dict(domain=domain, nice=False))
    layers = scale_marker(max(ceiling, -floor) / 3, scale)
    layers.append(filled(chart(tidy).mark_bar(strokeWidth=0.8), x=across, y=up, y2="to:Q"))
    if len(above):
        line_ = chart(above.drop(columns="series")).encode(x=across, y="y:Q")
        layers.append(line_.mark_line(color=INK, strokeWidth=1.8, strokeDash=[5, 3], aria=False))
        layers.append(line_.mark_point(color=INK, filled=True, size=20, shape="diamond").encode(description="d:N"))
    tops = pd.DataFrame({"n": months.get_indexer(total.index), "y": total["up"] / scale.factor})
    tops["text"], tops["x"] = [scale.text(value) for value in total["y"]], total.index
    point = point_of(tops, about.get("mark", ""), tops["y"].idxmax())
    rest = chart(tops.drop(point.index)).encode(x="n:O", y="y:Q", text="text:N")
    layers += [*on_top(rest, 10, crossed=bool(len(above))), *marked(point, across)]
    side = {"align": "left", "dx": 0.45 * (width - 170) / len(months), "fontSize": 11, "aria": False}
    text = chart(names.assign(n=len(months) - 1)).mark_text(**side)
    layers.append(text.encode(x=across, y="y:Q", text="text:N"))
    return drawn(figure, *layers, beside=names["text"])


def ranking(
    frame: pd.DataFrame | None, item: str, value: str, *, unit: str, most: int = 10, **about: Unpack[About]
) -> Figure:
    """The `most` largest items (by size, sign kept) as bars with their numbers; what is left out is counted below."""
    if frame is None or empty(frame, item, value):
        return nothing(about["title"], about.get("none", "There is nothing to rank."), frame, item, value)
    tidy = points(frame, {"item": item}, {"y": value}, unit, about.get("source", ""))
    tidy = tidy.loc[tidy["y"].abs().sort_values(ascending=False, kind="stable").index].reset_index(drop=True)
    left, tidy = len(tidy) - most, tidy.head(most)
    scale, signed = scale_of(tidy["y"], unit, small=True), bool((tidy["y"] < 0).any())
    texts = [scale.text(v, signed) for v in tidy["y"]]
    words = [f"{named(name)}: {with_unit(text, scale.unit)}" for name, text in zip(tidy["item"], texts, strict=True)]
    about = {"width": NARROW, "height": 16 + 24 * len(tidy), **about}
    shown, told = tidy.rename(columns={"item": item, "y": value}), "Bars, largest first, {unit}. {words}."
    more = say("{count} smaller not shown.", number(left)) if left > 0 else ""
    figure = made(shown, scale.unit, value, say(told, scale.unit, "; ".join(words)), more=more, **about)
    look, better = LOOKS["actual" if figure.shows == ("actual",) else "plan"], about.get("better", "higher")
    fills = [colour_of(v, better) if signed else look.fill for v in tidy["y"]]
    strokes = [colour_of(v, better) if signed else look.stroke for v in tidy["y"]]
    tidy = tidy.assign(y=tidy["y"] / scale.factor, n=range(len(tidy)), text=texts, d=words, fill=fills, stroke=strokes)
    labels = [fit(name, 210, 12) for name in tidy["item"].map(named)]
    # room for the labels in the widest font that a reader's machine may put in the place of ours
    v, room = vega(), min(230.0, 12 + wrapped(labels, 12))
    axis = dict(title=None, labelExpr=label_list(labels, 60), minExtent=room, labelPadding=6, ticks=False, domain=False)
    base = chart(tidy).encode(y=v.Y("n:O", axis=axis))
    ends = [min(0.0, 1.4 * tidy["y"].min()), max(0.0, 1.25 * tidy["y"].max())]
    across = v.X("y:Q", axis=None, scale=dict(domain=ends if ends[0] < ends[1] else [0, 1], nice=False))
    layers = [filled(base.mark_bar(height=14, strokeWidth=1), x=across)]
    tidy["m"] = [say("message: {text}", text) if place == 0 else "" for place, text in enumerate(words)]
    for test, align, dx in (("datum.y >= 0", "left", 5), ("datum.y < 0", "right", -5)):
        for first, weight in (("datum.n == 0", "bold"), ("datum.n > 0", "normal")):
            label = chart(tidy).transform_filter(f"{test} && {first}")
            text = label.mark_text(align=align, dx=dx, fontWeight=weight, aria=weight == "bold")
            layers.append(text.encode(x=across, y="n:O", text="text:N", description="m:N"))
    return drawn(figure, *layers, zero=False)


def stair_step(frame: pd.DataFrame | None, step: str, value: str, *, unit: str, **about: Unpack[About]) -> Figure:
    """The error after each step of the process, above it what the step took away or added, by good and bad."""
    if frame is None or empty(frame, step, value):
        return nothing(about["title"], about.get("none", "No past cycles to judge the steps by."))
    about = {"width": NARROW, "height": HIGH - 40, "better": "lower", **about}
    tidy = points(frame, {"step": step}, {"y": value}, unit, about.get("source", ""))
    scale, change = scale_of(tidy["y"], unit), tidy["y"].diff()
    tidy["text"] = [scale.text(v) for v in tidy["y"]]
    tidy["delta"] = ["" if pd.isna(c) else number(c / scale.factor, 1, sign=True) for c in change]
    tidy["ink"] = [colour_of(0.0 if pd.isna(c) else c, about["better"]) for c in change]
    tidy["d"] = [
        say("{step}: {value}, step {change}", named(r.step), with_unit(r.text, scale.unit), r.delta)
        if r.delta
        else f"{named(r.step)}: {with_unit(r.text, scale.unit)}"
        for r in tidy.itertuples()
    ]
    shown = tidy[["step", "y"]].rename(columns={"step": step, "y": value})
    told = say("Stair-step, {unit}. {steps}.", scale.unit, "; ".join(tidy["d"]))
    figure = made(shown, scale.unit, value, told, **about)
    tidy = tidy.assign(y=tidy["y"] / scale.factor, n=range(len(tidy)))
    worst = int(change.fillna(-9e9).to_numpy().argmax())
    tidy["m"] = [say("message: {text}", d) for d in tidy["d"]]
    v = vega()
    letters = max(7, int((about["width"] - 60) / len(tidy) / 6.2))
    labels = label_list([named(s) for s in tidy["step"]], letters)
    axis = dict(title=None, labelAngle=0, ticks=False, domain=False, labelExpr=labels)
    base = chart(tidy).encode(x=v.X("n:O", scale=dict(paddingInner=0.35), axis=axis))
    top = float(tidy["y"].max())
    height = v.Y("y:Q", axis=None, scale=dict(domain=[0, top * 1.3 or 1.0], nice=False))
    ink = v.Color("ink:N", scale=None, legend=None)
    bar = base.mark_bar(color=INK).encode(y=height, description="d:N")
    value_ = base.mark_text(dy=-7, aria=False).encode(y="y:Q", text="text:N")
    rest, point = (base.transform_filter(f"datum.n {sign} {worst}") for sign in ("!=", "=="))
    delta = rest.mark_text(dy=-22, aria=False).encode(y="y:Q", text="delta:N", color=ink)
    message = point.mark_text(dy=-22, fontWeight="bold")
    message = message.encode(y="y:Q", text="delta:N", color=ink, description="m:N")
    return drawn(figure, bar, value_, delta, message)
