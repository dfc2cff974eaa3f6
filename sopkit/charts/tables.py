"""The written forms: tables, heat maps, statements, comparisons and tiles, all through one renderer of HTML tables.

Why our own: great_tables takes 0.8 s a table, has no sparklines with a planned part, and reads `{{ }}` in a name.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Unpack

import pandas as pd

from sopkit.charts.figure import NONE, SVG, About, Figure, empty, in_order, made, named, nothing, plain, points, safe
from sopkit.charts.notation import BAD, GOOD
from sopkit.tables import TABLES
from sopkit.words import Scale, amount, heading, listed, number, say, say_count, scale_of, sentence, span

NOT_KNOWN = "not known"
SORTED = 10  # columns up to which a table can be sorted (house.css)


# One renderer -------------------------------------------------------------------------------------------------------


class Cell(NamedTuple):
    """A cell as HTML that is escaped already; `kind`: its classes; `style`: its own style."""

    html: str
    kind: str = ""
    style: str = ""


class Row(NamedTuple):
    """Cells below each other's headings; `head`: what the row is called, where it has a name of its own.

    `places`: its place in the table sorted by the first, second, ... column.
    """

    cells: Sequence[Cell]
    head: Cell | None = None
    kind: str = ""
    places: Sequence[int] = ()


def _tag(name: str, cell: Cell, more: str = "") -> str:
    kind = f' class="{cell.kind}"' if cell.kind else ""
    style = f' style="{cell.style}"' if cell.style else ""
    return f"<{name}{more}{kind}{style}>{cell.html}</{name}>"


def _render(head: Sequence[Cell], rows: Iterable[Row], alt: str, kind: str = "") -> str:
    """The one HTML table of this house. Every text in it was escaped by whoever made the cells."""
    body = []
    for row in rows:
        across = ' scope="row"' if row.cells else f' scope="rowgroup" colspan="{len(head)}"'
        first = _tag("th", row.head, across) if row.head else ""
        cells = "".join(_tag("td", cell) for cell in row.cells)
        sorts = ";".join(f"--s{column}:{place}" for column, place in enumerate(row.places, start=1))
        more = (f" class={row.kind}" if row.kind else "") + (f' style="{sorts}"' if sorts else "")
        body.append(f"<tr{more}>{first}{cells}</tr>")
    top = "".join(_tag("th", cell, ' scope="col"') for cell in head)
    label = f'{f" class={kind}" if kind else ""} aria-label="{safe(alt)}"'
    return f"<table{label}><thead><tr>{top}</tr></thead><tbody>{''.join(body)}</tbody></table>"


def _sorting(heads: Sequence[str], title: str) -> str:
    """What sorts a table on screen without a script: the style sheet reads which heading is chosen."""
    names = (say("as listed"), *heads)
    options = "".join(f"<option value={n}>{safe(head)}</option>" for n, head in enumerate(names))
    label = safe(say("Sort by, {table}", title))
    return f'<label class="sort">{say("Sort by")} <select aria-label="{label}">{options}</select></label>'


def _written(figure: Figure, head: Sequence[Cell], rows: Iterable[Row], kind: str = "") -> Figure:
    figure.body = _render(head, rows, figure.alt, kind)
    return figure


def _month_heads(names: Iterable[Any]) -> list[Cell]:
    """Column headings; months on two lines so that eighteen of them fit a page."""
    return [Cell("<br>".join(safe(n).split(" ", 1)) if isinstance(n, pd.Timestamp) else safe(n)) for n in names]


# Tables -------------------------------------------------------------------------------------------------------------


class Show(NamedTuple):
    """How a column of a table is shown: its heading, its unit (empty = text), whether gains and losses carry a sign.

    `planned_from`: the cells hold lists of numbers, drawn as a line that is dashed from there on. `like`: a number
    of the size in which the column is shown though its own are smaller: columns of one question have one format.
    """

    heading: str
    unit: str = ""
    sign: bool = False
    planned_from: int | None = None
    like: float = 0.0


def _unit(declared: str) -> str:
    return "units" if declared == "unit of measure" else declared


def columns_of(table: str, names: str, unit: Callable[[str], str] = _unit, /, **headings: str) -> dict[str, Show]:
    """`names` (divided by blanks) of a declared table as `show` for `table`; `+name` shows the sign.

    Headings are the columns' names, or those given as `name="Heading"`; units are declared, `unit` (`book.unit`) turns
    them into the company's. Raises KeyError with the nearest names for an unknown table or column.
    """
    shown = {}
    for name in names.split():
        column = TABLES[table][name.lstrip("+")]
        own = " per ".join(map(unit, column.unit.split(" per "))) if column.kind in ("number", "whole") else ""
        # "overrides (overrides)" tells nothing twice
        own = "count" if own == column.name != "share" or column.kind == "whole" and not own else own
        shown[column.name] = Show(headings.get(column.name) or heading(column.name), own, name[0] == "+")
    return shown


def _shown(frame: pd.DataFrame, show: Mapping[str, Show | str]) -> dict[str, tuple[Show, Scale | None]]:
    shown = {}
    for name, how in show.items():
        how = how if isinstance(how, Show) else Show(how)
        how = how._replace(heading=say(how.heading))
        numeric = pd.api.types.is_numeric_dtype(frame[name]) and not pd.api.types.is_bool_dtype(frame[name])
        if numeric and not how.unit:
            raise ValueError(f"column {name!r} of the table holds numbers: give its unit, Show({how.heading!r}, unit)")
        shown[name] = (how, scale_of([*frame[name], how.like], how.unit, small=True) if numeric else None)
    return shown


def _cell(value: Any, how: Show, scale: Scale | None, data: bool) -> Cell:
    """A cell; `data`: its text is the company's own, not a word of ours."""
    if how.planned_from is not None:
        known = [v for v in value if math.isfinite(v)]
        told = "{name}: from {first} to {last}"
        alt = say(told, how.heading, number(known[0]), number(known[-1])) if known else how.heading
        return Cell(spark(value, alt, 120, 24, how.planned_from), "line")
    if scale:
        return Cell(scale.text(value, how.sign))
    if isinstance(value, bool):
        return Cell(safe(say("yes" if value else "no")), "text")
    return Cell(safe(value if data else named(value)), "text")


def table(
    frame: pd.DataFrame | None, show: Mapping[str, Show | str], *, unit: str = "", group: str | None = None,
    most: int = 200, **about: Unpack[About],
) -> Figure:  # fmt: skip
    """A table of up to `most` rows: `show` maps columns to `Show`; what is left out is counted below.

    `group`: a column whose values head groups of rows. ValueError for a column of numbers without a unit.
    """
    if frame is None or empty(frame, *show, group):
        return nothing(about["title"], about.get("none", "There is nothing to list."), frame, *show)
    columns = _shown(frame, show)
    head = [
        Cell(safe(how.heading), "text") if scale is None
        else Cell(safe(how.heading + f" ({scale.unit})" * (how.unit != "count" and scale.unit != how.heading.lower())))
        for how, scale in columns.values()
    ]  # fmt: skip
    shown = frame.head(most)
    sorts = group is None and 4 < len(shown) and len(columns) <= SORTED
    places = []
    for name, (how, scale) in columns.items():
        if sorts and how.planned_from is None:
            values_ = shown[name].map(plain) if shown[name].dtype == object else shown[name]
            rank = values_.rank(method="first", ascending=scale is None).fillna(len(shown))
            places.append(rank.astype(int).tolist())
    declared = [TABLES[name] for name in about.get("source", "").split()]
    data = {name: any(name in t.names and t[name].kind == "text" for t in declared) for name in columns}
    rows, before = [], None
    for at, values in enumerate(frame[list(columns)].head(most).itertuples(index=False, name=None)):
        if group and (name := frame[group].iloc[at]) != before:
            rows.append(Row([], Cell(safe(say(name)), "group")))
            before = name
        cells = [_cell(value, *columns[name], data[name]) for name, value in zip(columns, values, strict=True)]
        rows.append(Row(cells, places=[rank[at] for rank in places]))
    left = len(frame) - most
    alt = say("Table of {count} rows: {columns}.", number(len(frame)),
              ", ".join(plain(h.heading) for h, _ in columns.values()))  # fmt: skip
    more = say_count(left, "{count} more row is in the cycle's tables.", "{count} more rows are in the cycle's tables.",
                     number(left)) if left > 0 else ""  # fmt: skip
    kept = frame[[*columns, *([group] if group and group not in columns else [])]]
    figure = made(kept, unit, "", alt, more=more, **about)
    figure.measure = about.get("measure") or listed((plain(h.heading) for h, scale in columns.values() if scale), 9)
    figure = _written(figure, head, rows, "tight" if len(columns) > 8 else "")
    if sorts:
        heads = [plain(how.heading) for how, _ in columns.values() if how.planned_from is None]
        figure.body = f'<div class="sorts">{_sorting(heads, figure.title)}{figure.body}</div>'
    return figure


# Numbers by row and column -------------------------------------------------------------------------------------------


def _tint(share: float, colour: str) -> str:
    """`colour` over white: `share` 0 is white, 1 is the colour itself."""
    parts = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return "#" + "".join(f"{round(255 + (part - 255) * min(max(share, 0.0), 1.0)):02x}" for part in parts)


def _shade(value: float, lowest: float, highest: float, diverging: bool) -> str:
    if not math.isfinite(value):
        return ""
    if diverging:
        share, colour = abs(value) / (max(abs(lowest), abs(highest)) or 1.0), GOOD if value > 0 else BAD
    else:
        share, colour = (value - lowest) / ((highest - lowest) or 1.0), GOOD
    # never so dark that ink on it is hard to read
    return f"background:{_tint(0.04 + 0.46 * share if share else 0.0, colour)}"


def _wide(tidy: pd.DataFrame, order: Sequence[str] | None) -> pd.DataFrame:
    wide = tidy.pivot(index="row", columns="column", values="y").sort_index(axis=0).sort_index(axis=1)
    return wide.reindex(in_order(wide.index, order)) if wide.index.dtype == object else wide


def heat_map(
    frame: pd.DataFrame | None, row: str, column: str, value: str, *, unit: str, mark_from: float | None = None,
    diverging: bool = False, rows: Sequence[str] | None = None, **about: Unpack[About],
) -> Figure:  # fmt: skip
    """A number in every cell, the darker the larger; cells from `mark_from` on are framed and bold.

    `diverging`: blue above zero, vermillion below, the sign written in every cell. Several rows a cell add up;
    ValueError where the column does not.
    """
    if frame is None or empty(frame, row, column, value):
        return nothing(about["title"], about.get("none", NONE), frame, row, column, value)
    tidy = points(frame, {"row": row, "column": column}, {"y": value}, unit, about.get("source", ""))
    wide, finite = _wide(tidy, rows), tidy["y"].dropna()
    scale = scale_of(finite, unit)
    scale = scale._replace(decimals=0) if unit == "share" else scale
    lowest, highest = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 0.0)
    lowest = min(lowest, 0.0) if diverging or unit == "share" else lowest
    body, marked = [], []
    for name, values in zip(wide.index, wide.to_numpy(dtype=float), strict=True):
        full = [mark_from is not None and value >= mark_from - 1e-9 for value in values]
        marked += [say("{value} in {month}", plain(name), plain(at)) for at in wide.columns[full]]
        cells = [
            Cell(scale.text(v, diverging), "mark" if mark else "", _shade(v, lowest, highest, diverging))
            for v, mark in zip(values, full, strict=True)
        ]
        body.append(Row(cells, Cell(safe(named(name)))))
    alt = "Heat map of {rows} rows and {columns} columns, {unit}, from {low} to {high}."
    alt = say(alt, *map(number, wide.shape), scale.unit, scale.text(lowest), scale.text(highest))
    if marked:
        more = say(" and others") if len(marked) > 12 else ""
        alt += " " + say("Marked: {cells}.", ", ".join(marked[:12]) + more)
    shown = tidy.rename(columns={"row": row, "column": column, "y": value})
    figure = made(shown, scale.unit, value, alt, **about)
    return _written(figure, [Cell(safe(heading(row))), *_month_heads(wide.columns)], body, "heat")


def statement(
    frame: pd.DataFrame | None, row: str, column: str, value: str, *, unit: str, rows: Sequence[str] | None = None,
    bold: Sequence[str] = (), **about: Unpack[About],
) -> Figure:  # fmt: skip
    """Lines by month in one unit, such as a profit and loss statement; the lines in `bold` stand out."""
    if frame is None or empty(frame, row, column, value):
        return nothing(about["title"], about.get("none", NONE), frame, row, column, value)
    tidy = points(frame, {"row": row, "column": column}, {"y": value}, unit, about.get("source", ""))
    wide, scale = _wide(tidy, rows), scale_of(tidy["y"], unit, small=True)
    body = []
    for name, values in zip(wide.index, wide.to_numpy(dtype=float), strict=True):
        cells, head = [Cell(scale.text(value)) for value in values], Cell(safe(sentence(say(str(name)))), "text")
        body.append(Row(cells, head, "total" * (name in bold)))
    alt = say("Statement of {lines} lines and {columns} columns, {unit}.", *map(number, wide.shape), scale.unit)
    figure = made(tidy.rename(columns={"row": row, "column": column, "y": value}), scale.unit, value, alt, **about)
    return _written(figure, [Cell(safe(heading(row)), "text"), *_month_heads(wide.columns)], body, "statement")


def comparison(
    frame: pd.DataFrame | None, *, base_name: str = "Base", measures: Iterable[str] = (), lower: Collection[str] = (),
    **about: Unpack[About],
) -> Figure:  # fmt: skip
    """Scenarios side by side: a row a measure, a column a scenario, the difference from the base below each value.

    `frame`: columns title, measure, value, base, unit, such as table scenario_results. `measures`: their order;
    `lower`: those of which less is better; what is worse carries a mark: paper without colour tells it too.
    """
    if frame is None or empty(frame, "title", "measure", "value", "base", "unit"):
        return nothing(about["title"], about.get("none", "No scenario was solved beside the base."))
    names, body = [name for name in dict.fromkeys(frame["title"]) if name != base_name], []
    for what in in_order(frame["measure"], list(measures)):
        part = frame[frame["measure"].map(plain).eq(what)]
        scale = scale_of([*part["value"], *part["base"]], part["unit"].iloc[0], small=True)
        reference, values = float(part["base"].iloc[0]), part.drop_duplicates("title").set_index("title")["value"]
        cells = [Cell(scale.text(reference))]
        for value in values.reindex(names):
            change, text = value - reference, scale.text(value - reference, sign=True)
            seen = any(digit in text for digit in "123456789")  # not rounded to nothing
            worse = seen and (change > 0) == (what in lower)
            kind = " down" if worse else " up" if seen else ""
            text = ("▼ " if worse else "") + (text if seen else say("no change"))
            cells.append(Cell(f'{scale.text(value)}<span class="small{kind}">{text}</span>'))
        label = f'<span>{safe(heading(what))}</span> <span class="unit">{safe(scale.unit)}</span>'
        body.append(Row(cells, Cell(label, "text")))
    alt = "Table comparing {scenarios} scenarios with the base on {measures} measures."
    alt = say(alt, number(len(names)), number(len(body)))
    figure = made(frame, "each row in its own unit", "", alt, more=say("▼ worse than the base."), **about)
    heads = [Cell(safe(say("Measure")), "text"), *(Cell(safe(name)) for name in (say(base_name), *names))]
    return _written(figure, heads, body, "comparison")


def flow(frame: pd.DataFrame, *, unit: str = "", **about: Unpack[About]) -> Figure:
    """Steps one after the other, such as the stages of a cycle: stage, question, state, made, who."""
    words = "; ".join(f"{named(r.stage)}: {say(r.state)}" for r in frame.itertuples())
    figure = made(frame, unit, "", say("Process. {steps}.", words), **about)
    steps = "".join(
        f'<li class="{safe(r.state.replace(" ", "-"))}"><b>{place} {safe(named(r.stage))}</b>'
        f"<span>{safe(named(r.question))}</span><span><b>{safe(say(r.state))}</b> {safe(r.made)}</span>"
        f"<span>{safe(r.who)}</span></li>"
        for place, r in enumerate(frame.itertuples(), start=1)
    )
    figure.body = f'<ol class="flow">{steps}</ol>'
    return figure


# Sparklines and tiles -------------------------------------------------------------------------------------------------


def spark(
    values: Sequence[float], alt: str, width: int = 150, height: int = 34, planned_from: int | None = None
) -> str:
    """A small line without axes, as SVG: past solid, plan (from index `planned_from` on) dashed."""
    known = {i: float(v) for i, v in enumerate(values) if v is not None and math.isfinite(v)}
    if len(known) < 2:
        return ""
    low, wide = min(known.values()), (max(known.values()) - min(known.values())) or 1.0
    across, high = (width - 8) / max(len(values) - 1, 1), height - 8
    place = [(3 + i * across, height - 4 - (v - low) / wide * high, i) for i, v in known.items()]

    def path(part: list[tuple[float, float, int]], extra: str) -> str:
        if len(part) < 2:
            return ""
        corners = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in part)
        return f'<polyline points="{corners}" fill="none" stroke="{GOOD}" stroke-width="1.6"{extra}/>'

    split = len(values) if planned_from is None else planned_from
    past, plan = [p for p in place if p[2] < split], [p for p in place if p[2] >= split - 1]
    drawn = path(past, "") + (path(plan, ' stroke-dasharray="3 2"') if split < len(values) else "")
    x, y, _ = (past or place)[-1]
    return (
        f'<svg xmlns="{SVG}" viewBox="0 0 {width} {height}" style="max-width:{width}px" role="img" '
        f'aria-label="{safe(alt)}"><title>{safe(alt)}</title>{drawn}'
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.6" fill="{GOOD}"/></svg>'
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
    def known(self) -> bool:
        """Whether there is a value."""
        return self.value is not None and math.isfinite(self.value)

    @property
    def missed(self) -> bool | None:
        """Whether the target is missed; None where there is no target or no value."""
        if self.value is None or self.target is None or not math.isfinite(self.value + self.target):
            return None
        return self.value < self.target - 1e-9 if self.better == "higher" else self.value > self.target + 1e-9

    @property
    def html(self) -> str:
        """The tile: value, small line, target met or missed in words, owner."""
        scale = scale_of([self.value] if self.value is not None else [], self.unit)
        value, unit = (f"{safe(scale.text(self.value))} ", scale.unit) if self.known else ("", say(NOT_KNOWN))
        state = ""
        if self.missed is not None:
            verdict = say(
                "▼ misses target {target}" if self.missed else "✓ meets target {target}", amount(self.target, self.unit)
            )
            state = f'<p class="state{" down" if self.missed else ""}">{safe(verdict)}</p>'
        months = f", {span(self.months[0], self.months[-1])}" if len(self.months) else ""
        return (
            f'<div><h3>{safe(self.name)}</h3><p class="value">{value}<span>{safe(unit)}</span></p>'
            f"<p>{safe(self.note)}</p>{spark(self.values, self.name + months, planned_from=self.planned_from)}{state}"
            f"{f'<p>{safe(self.owner)}</p>' if self.owner else ''}</div>"
        )


def tiles(kpis: Sequence[Tile], **about: Unpack[About]) -> Figure:
    """KPI tiles: value, target met or missed in words, owner, and a small line of the months."""
    if not kpis:
        return nothing(about["title"], about.get("none", "No KPI can be computed from these tables."), None, "target")
    words = [f"{plain(one.name)}: {amount(one.value, one.unit) if one.known else say(NOT_KNOWN)}" for one in kpis]
    shown = pd.DataFrame(kpis)[["name", "value", "unit", "target", "better", "owner", "note"]]
    figure = made(shown, "each in its own unit", "", "; ".join(words), **about)
    figure.body = f'<div class="sop-tiles">{"".join(one.html for one in kpis)}</div>'
    return figure
