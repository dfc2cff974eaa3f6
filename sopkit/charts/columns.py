"""The columns of business charts: months by scenario, panels on one scale, and the bridge in two tiers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

import pandas as pd

from sopkit.charts.figure import (
    HIGH,
    LOW,
    NONE,
    WIDE,
    About,
    Figure,
    chart,
    empty,
    made,
    named,
    nothing,
    plain,
    points,
    vega,
)
from sopkit.charts.forms import summary
from sopkit.charts.marks import (
    apart,
    by_scenario,
    described,
    drawn,
    filled,
    fit,
    label_list,
    marked,
    month_labels,
    nice,
    on_top,
    point_of,
    scale_marker,
    short_scale,
)
from sopkit.charts.notation import BAD, LOOKS, QUIET, SHOWN, colour_of
from sopkit.words import heading, say, scale_of, with_unit

MOST = 6  # panels


def _months(dates: pd.Series) -> pd.Index[Any]:
    """The places along the axis, in order: a month without a number keeps its own; quarters and years stay alone."""
    if not pd.api.types.is_datetime64_any_dtype(dates):
        return pd.Index(sorted(set(dates)))
    found = pd.DatetimeIndex(sorted(set(dates)))
    monthly = len(found) > 1 and (found[1:] - found[:-1]).min().days < 32
    return pd.date_range(found[0], found[-1], freq="MS") if monthly else found


def columns(
    frame: pd.DataFrame | None, y: str, by: str, *, unit: str, lines: Sequence[str] = (),
    warn: Sequence[Any] = (), **about: Unpack[About],
) -> Figure:  # fmt: skip
    """A column a month: actual solid, plan hatched, budget outlined behind it, last year light behind it.

    `by`: the column of scenarios (`actual`, `plan`, `budget`, `last year`); `lines`: those of its values that are drawn
    as steps with their name, such as safety stock; `warn`: months whose column is marked as bad.
    """
    if frame is None or empty(frame, "month", y, by):
        return nothing(about["title"], about.get("none", NONE), frame, "month", y, by)
    tidy = points(frame, {"x": "month", "series": by}, {"y": y}, unit, about.get("source", "")).dropna(subset=["y"])
    shown = tidy.rename(columns={"x": "month", "y": y, "series": by})
    tidy["series"] = tidy["series"].map(plain)
    months = _months(tidy["x"])
    width, high_px = about.get("width", WIDE), min(about.get("height", HIGH), LOW)
    front = tidy[tidy["series"].map(lambda s: SHOWN.get(s) in ("actual", "plan")) & ~tidy["series"].isin(lines)]
    scale = short_scale(tidy["y"], unit, (width - 150) / len(months))
    compared = say("Numbers: the columns in front.") if {"budget", "last year"} & {*tidy["series"]} else ""
    told = say("Columns by month, {unit}. {summary}.", scale.unit, summary(tidy, scale))
    figure = made(shown, scale.unit, y, told, more=compared, **about)
    tidy["n"] = months.get_indexer(tidy["x"])
    tidy["d"] = described(tidy, scale)
    tidy["y"] /= scale.factor
    tidy["zero"] = 0.0
    front = tidy.loc[front.index]
    bad = {plain(month) for month in warn}
    v, top = vega(), float(tidy["y"].max())
    domain = [min(0.0, float(tidy["y"].min()) * 1.08), top * 1.16 or 1.0]
    per_pixel = (domain[1] - domain[0]) / (high_px - 50)
    across = v.X("n:O", axis=month_labels(months), scale=dict(domain=list(range(len(months))), padding=0.1))
    up = v.Y("zero:Q", axis=None, scale=dict(domain=domain, nice=False))
    layers, names, pitch = scale_marker(top / 3, scale), [], (width - 150) / len(months)
    # what is compared with stands behind, a little to the left and as wide, so that both tops are seen
    for kind, wide, offset in (("last year", 0.62, -0.16), ("budget", 0.62, -0.16), ("", 0.58, 0.06)):
        rows = tidy[tidy["series"].eq(kind) & ~tidy["series"].isin(lines)] if kind else front
        if rows.empty:
            continue
        rows = by_scenario(rows).assign(frame=1.2)
        if kind == "":  # told by the frame's width too, where there is no colour
            rows.loc[rows["x"].map(plain).isin(bad), ["stroke", "frame"]] = BAD, 3.0
        bar = chart(rows).mark_bar(size=wide * pitch, xOffset=offset * pitch)
        layers.append(filled(bar, x=across, y=up, y2="y:Q", strokeWidth=v.StrokeWidth("frame:Q", scale=None)))
        names += [(name, rows.loc[rows["series"] == name, "y"].iloc[-1]) for name in dict.fromkeys(rows["series"])]
    for kind in lines:
        rows = tidy[tidy["series"] == kind]
        step = chart(rows).mark_line(interpolate="step", color=QUIET, strokeWidth=1.4, aria=False)
        layers.append(step.encode(x=across, y="y:Q"))
        names += [(kind, rows["y"].iloc[-1])] if len(rows) else []
    tops = front.assign(text=[scale.text(value * scale.factor) for value in front["y"]])
    behind = tidy[tidy["series"].isin(["budget", "last year"])].groupby("n")["y"].max()
    more = behind.reindex(tops["n"]).fillna(0.0).to_numpy() - tops["y"]
    # a number stands on its column, or above the one behind where that is hardly higher
    tops["y"] += more.where(more.between(0, 18 * per_pixel), 0.0)
    point = point_of(tops, about.get("mark", ""), front["y"].idxmax())
    text = chart(tops.drop(point.index)).encode(x=across, y="y:Q", text="text:N")
    layers += [*on_top(text, 10 if pitch > 26 else 9), *marked(point, across)]
    # named where they end: what ended before the last month is told by its look beside its first column
    last = tidy[tidy["n"] == tidy["n"].max()]
    ends = pd.DataFrame([(n, y_) for n, y_ in names if n in set(last["series"])], columns=["text", "y"])
    ends = ends.assign(y=apart(ends["y"], 13 * per_pixel), text=ends["text"].map(lambda t: fit(say(t), 140, 11)))
    label = chart(ends.assign(n=len(months) - 1)).mark_text(align="left", dx=0.5 * pitch, fontSize=11, aria=False)
    layers.append(label.encode(x=across, y="y:Q", text="text:N"))
    early = tidy[~tidy["series"].isin(last["series"])].drop_duplicates("series")
    early = early.assign(y=1.14 * top, text=early["series"].map(named))
    start = chart(early).mark_text(align="left", dx=-0.4 * pitch, fontSize=11, aria=False)
    layers.append(start.encode(x=across, y="y:Q", text="text:N"))
    return drawn(figure, *layers, beside=ends["text"])


def panels(frame: pd.DataFrame | None, y: str, by: str, *, unit: str, each: str, **about: Unpack[About]) -> Figure:
    """Small multiples: the columns of every value of `each` side by side, all on one scale; the rest added up as one.

    `by`: scenarios as in `columns`; only `actual`, `plan` and `budget` are drawn.
    """
    if frame is None or empty(frame, "month", y, by, each):
        return nothing(about["title"], about.get("none", NONE), frame, "month", y, by, each)
    size = frame.groupby(each)[y].sum().sort_values(ascending=False, kind="stable")
    kept = size.index[: MOST if len(size) <= MOST else MOST - 1]
    frame = frame.assign(**{each: frame[each].where(frame[each].isin(kept), "rest")})
    tidy = points(frame, {"x": "month", "series": by, "part": each}, {"y": y}, unit, about.get("source", "")).dropna()
    shown = tidy.rename(columns={"x": "month", "y": y, "series": by, "part": each})
    tidy[["series", "part"]] = tidy[["series", "part"]].map(plain)
    parts = [plain(name) for name in [*kept, "rest"] if plain(name) in set(tidy["part"])]
    months = _months(tidy["x"])
    width, gap = about.get("width", WIDE), 2
    pitch = (width - 70) / (len(parts) * (len(months) + gap))
    scale = scale_of(tidy["y"], unit, small=True)
    words = "; ".join(
        say("{name}: {low} to {high}", named(part), scale.text(rows["y"].min()), scale.text(rows["y"].max()))
        for part, rows in tidy.groupby("part")
    )
    told = "Columns by {each} and month on one scale, {unit}. {words}."
    figure = made(shown, scale.unit, y, say(told, heading(each).lower(), scale.unit, words), **about)
    tidy["n"] = [parts.index(p) * (len(months) + gap) for p in tidy["part"]] + months.get_indexer(tidy["x"])
    tidy["d"] = [f"{named(part)}, {told}" for part, told in zip(tidy["part"], described(tidy, scale), strict=True)]
    tidy["y"], tidy["zero"] = tidy["y"] / scale.factor, 0.0
    v, top = vega(), float(tidy["y"].max())
    places = dict(domain=list(range(len(parts) * (len(months) + gap))), padding=0.05)
    across = v.X("n:O", axis=None, scale=places)
    ends = [min(-0.14 * top, float(tidy["y"].min())), top * 1.3]
    up = v.Y("zero:Q", axis=None, scale=dict(domain=ends, nice=False))
    layers = scale_marker(top / 3, scale)
    for kinds, offset in ((["budget"], -0.12), (["actual", "plan"], 0.05)):
        rows = tidy[tidy["series"].map(lambda s, kinds=kinds: SHOWN.get(s) in kinds)]
        bar = chart(by_scenario(rows)).mark_bar(size=0.62 * pitch, xOffset=offset * pitch, strokeWidth=0.8)
        layers.append(filled(bar, x=across, y=up, y2="y:Q"))
    front = tidy[tidy["series"].map(lambda s: SHOWN.get(s) in ("actual", "plan"))]
    peaks = front.loc[front.groupby("part")["y"].idxmax()]
    peaks = peaks.assign(text=[f"{scale.text(r.y * scale.factor)} {plain(r.x)}" for r in peaks.itertuples()])
    best = peaks[peaks["part"].eq(plain(about.get("mark", "")))]
    best = best if len(best) else peaks.loc[[peaks["y"].idxmax()]]
    high = tidy.groupby("n")["y"].max()  # above the columns beside and behind it
    peaks["y"] = [high.reindex(range(n - 2, n + 3)).max() for n in peaks["n"]]
    text = chart(peaks.drop(best.index)).mark_text(dy=-9, fontSize=10, aria=False)
    layers += [text.encode(x=across, y="y:Q", text="text:N"), *marked(best, across)]
    heads = pd.DataFrame({"n": [i * (len(months) + gap) for i in range(len(parts))], "text": parts, "y": 0.0,
                          "when": f"{plain(months[0])} – {plain(months[-1])}"})  # fmt: skip
    letters = int(pitch * (len(months) + gap) / 6.6)
    heads["text"] = heads["text"].map(lambda t: fit(say(t), letters * 6.4, 12))
    base = chart(heads).encode(x=across)
    bold = {"baseline": "top", "fontSize": 12, "fontWeight": "bold", "aria": False}
    layers.append(base.mark_text(align="left", dx=-pitch / 2, **bold).encode(y=v.value(0), text="text:N"))
    below = {"dx": -pitch / 2, "dy": 12, "fontSize": 10, "color": QUIET, "aria": False}
    layers.append(base.mark_text(align="left", **below).encode(y="y:Q", text="when:N"))
    return drawn(figure, *layers)


def waterfall(
    frame: pd.DataFrame | None, step: str, value: str, *, unit: str, start: str = "", end: str = "",
    opening: float = 0.0, **about: Unpack[About],
) -> Figure:  # fmt: skip
    """From `opening` to the closing total, one bar a step, gains and losses by good and bad, the sign printed.

    Every axis starts at zero. Where the steps are small beside the totals they are drawn a second time, above, on a
    scale of their own that a marker shows.
    """
    if frame is None or empty(frame, step, value):
        return nothing(about["title"], about.get("none", "Nothing changed."), frame, step, value)
    about = {"width": WIDE, "height": 270, "better": "higher", **about}
    ends = about.get("shows") or ("plan",)
    start, end = say(start), say(end)
    rows, level = [(start, 0.0, opening, opening, ends[0])] if start else [], float(opening)
    for name, change in zip(frame[step].map(named), frame[value].astype(float), strict=True):
        rows.append((name, level, level + change, change, "step"))
        level += change
    rows += [(end, 0.0, level, level, ends[-1])] if end else []
    tidy = pd.DataFrame(rows, columns=["step", "y", "y2", "change", "kind"])
    scale, width, high_px = scale_of([*tidy["y"], *tidy["y2"]], unit, small=True), about["width"], about["height"]
    inner = tidy["kind"].eq("step")
    tidy["text"] = [scale.text(r.change, sign=r.kind == "step") for r in tidy.itertuples()]
    tidy["d"] = [f"{r.step}: {with_unit(r.text, scale.unit)}" for r in tidy.itertuples()]
    shown = tidy[["step", "change"]].rename(columns={"step": step, "change": value})
    levels = tidy.loc[inner, ["y", "y2"]].to_numpy()
    every, least, reach = tidy[["y", "y2"]].to_numpy(), float(levels.min()), float(levels.max() - levels.min())
    lowest, most = min(0.0, float(every.min())), float(every.max())
    two = bool(start) and 0 < reach < 0.45 * (most - lowest)
    usable = high_px - 74
    # pixels a unit of money: one scale below, where totals stand, and in two tiers one for the steps above
    below = (usable * 0.36 if two else usable) / (most - lowest or 1.0)
    above = usable * 0.56 / reach if two else below
    times = nice(above / below)
    above = below * times if two else below
    more = say("Steps are drawn a second time above, {times} times as large.", f"{times:g}") if two else ""
    figure = made(shown, scale.unit, value, say("Waterfall. {steps}.", "; ".join(tidy["d"])), more=more, **about)
    tidy["n"], floor = range(len(tidy)), -lowest * below
    low = tidy.assign(y=tidy["y"] * below + floor, y2=tidy["y2"] * below + floor)
    tiers = [low] if two else []
    base_line = floor + most * below + 30 if two else 0.0
    high = tidy[inner] if two else tidy
    shift = base_line - (least * above if two else -floor)
    tiers.append(high.assign(y=high["y"] * above + shift, y2=high["y2"] * above + shift))
    both = pd.concat(tiers, ignore_index=True)
    styles = [LOOKS.get(kind, LOOKS["plan"]) for kind in both["kind"]]
    colours = [colour_of(change, about["better"]) for change in both["change"]]
    totals = both["kind"].ne("step")
    both["fill"] = [look.fill if total else c for look, total, c in zip(styles, totals, colours, strict=True)]
    both["stroke"] = [look.stroke if total else c for look, total, c in zip(styles, totals, colours, strict=True)]
    v, pitch = vega(), (width - 80) / len(tidy)
    axis = dict(title=None, labelAngle=0, ticks=False, domain=False,
                  labelExpr=label_list(list(tidy["step"]), max(8, int(pitch / 6.4))))  # fmt: skip
    across = v.X("n:O", axis=axis, scale=dict(domain=list(range(len(tidy)))))
    up = v.Y("y:Q", axis=None, scale=dict(domain=[0, usable + 22], nice=False))
    bar = filled(chart(both).mark_bar(size=min(70, pitch * 0.66), strokeWidth=1), x=across, y=up, y2="y2:Q")
    labelled = pd.concat([low[~inner], tiers[-1]]).drop_duplicates("n", keep="last") if two else tiers[-1]
    labelled = labelled.assign(top=labelled[["y", "y2"]].max(axis=1))
    worst = int(tidy.loc[inner, "change"].abs().idxmax()) if inner.any() else 0
    wanted = tidy.index[tidy["step"].eq(plain(about.get("mark", "")))]
    worst = int(wanted[0]) if len(wanted) else worst
    labelled["m"] = [say("message: {text}", d) for d in labelled["d"]]
    text = chart(labelled).encode(x=across, y="top:Q", text="text:N")
    point = text.transform_filter(f"datum.n == {worst}").mark_text(dy=-7, fontWeight="bold")
    layers = [bar, text.transform_filter(f"datum.n != {worst}").mark_text(dy=-7, aria=False)]
    layers.append(point.encode(description="m:N"))
    for tier, (zero, pixels) in enumerate([(floor, below), *([(base_line, above)] if two else [])]):
        reached = (reach if tier else most - lowest) / scale.factor
        layers += scale_marker(reached / 2.2, scale, zero, pixels * scale.factor)
    return drawn(figure, *layers)
