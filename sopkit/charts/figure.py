"""A figure is a value: its frame, its chart, and what it shows of whom, in which unit, when, from which table.

It shows itself in a notebook, and its `.html` goes into the pack: SVG and plain HTML without script or network, all
text from data escaped here.
"""

from __future__ import annotations

import hashlib
import html
import json
import re
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack
from xml.etree import ElementTree

import pandas as pd

from sopkit.charts.notation import INK, QUIET, RULE, SHOWN
from sopkit.process import without_grammar
from sopkit.tables import TABLES, Table
from sopkit.tables.hierarchy import add_up
from sopkit.words import heading, listed, month_name, span, unit_name
from sopkit.words.languages import language, say, speaking

if TYPE_CHECKING:
    import altair

FONT = "Arial, Liberation Sans, Helvetica, sans-serif"
WIDE, NARROW, HIGH = 880, 430, 260
LOW = 170  # as low as a page may make a figure: labels keep apart there too
CSS = Path(__file__).with_name("house.css").read_text(encoding="utf-8")
SVG = "http://www.w3.org/2000/svg"
NONE = "There are no such numbers in this cycle."
# characters that no XML document may hold: a name that contains one must not cost the whole figure
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_IN_ONE = re.compile(r"(?<=\d) (?=%|thousand|million)")
_RATES = re.compile(r"share|%|ratio|MAD|days|months|.+ per .+|.+ a year")


def plain(value: Any) -> str:
    """Text from data as it may stand in a figure: months in words, nothing that breaks the document."""
    if isinstance(value, pd.Timestamp):
        return month_name(value)
    return _FORBIDDEN.sub("", "" if value is None or value is pd.NaT or value != value else str(value))


def named(value: Any) -> str:
    """What a coded value is called: `plain` text, in the language spoken where it is a word of the catalogue."""
    return say(plain(value))


def whole(value: Any) -> str:
    """`plain` text in which no line ends between a number and its unit: `9.6 %`, `14.0 million EUR`."""
    return _IN_ONE.sub("\N{NO-BREAK SPACE}", plain(value))


def safe(value: Any) -> str:
    """`plain` text as it may stand in HTML."""
    return html.escape(plain(value))


class About(TypedDict, total=False):
    """What every form of figure may be told beside its frame; all but the title may be left out.

    `who`: the company, and the part of it that is shown. `look_for`: the message, what to see in it. `none`: what
    stands there without data. `alt`: the figure in words.
    `source`: the tables it is made from, divided by blanks. `measure`: what the numbers measure (else as the table
    declares). `shows`: actual, plan, budget, last plan, last year, scenario (else by the tables and series).
    `better`: higher, lower or "nearer 0". `period`: the months, where the frame has no column of months; `mark`: the
    name or month that the message points at.
    """

    who: str
    title: str
    look_for: str
    note: str
    none: str
    alt: str
    source: str
    measure: str
    shows: Sequence[str]
    better: str
    period: str
    mark: Any
    width: int
    height: int


@dataclass(eq=False)
class Figure:
    """A figure that shows itself. `frame`: the numbers as drawn; `chart`: the Altair chart where it is one, to edit.

    >>> figure.frame.query("month < '2027-03'")
    >>> figure.chart = figure.chart.properties(height=400)
    """

    title: str
    unit: str
    frame: pd.DataFrame = field(default_factory=pd.DataFrame, repr=False)
    look_for: str = ""
    alt: str = field(default="", repr=False)
    note: str = field(default="", repr=False)
    measure: str = ""
    period: str = ""
    who: str = ""
    shows: Sequence[str] = ()
    better: str = ""
    source: Sequence[str] = ()
    chart: Any = field(default=None, repr=False)
    size: tuple[int, int] = field(default=(WIDE, HIGH), repr=False)
    body: str = field(default="", repr=False)
    language: str = field(default_factory=language, repr=False)

    @property
    def heading(self) -> tuple[str, str, str]:
        """The title in three lines: who, what in which unit, when and which scenarios."""
        when = ", ".join(filter(None, [self.period, listed(map(say, self.shows), 9)]))
        what = "{title} {unit}" if self.chart is None else "{title} in {unit}"
        return self.who, say(what, self.title, self.unit) if self.unit else self.title, when

    def __html__(self) -> str:
        """The figure for the pack: no style sheet, no script, all text escaped. `chart` is drawn as it now is."""
        with speaking(self.language):
            who, what, when = map(safe, self.heading)
            source = listed([say(name.replace("_", " ")) for name in self.source], 9)
            source = say("Source: {tables}", source) if source else ""
        title = safe(self.title)
        lines = (
            ("finding", html.escape(whole(self.look_for))),
            ("who", who),
            ("title", f'{title}<span class="unit">{what[len(title) :]}</span>'),
            ("when", when),
        )
        told = "".join(f'<p class="{kind}">{text}</p>' for kind, text in lines if text)
        below = " ".join(filter(None, [self.note, source]))
        note = f'<p class="note">{safe(below)}</p>' if below else ""
        body = self.body if self.chart is None else svg(self.chart, self.alt, *self.size)
        return (
            f'<figure class="sop-figure"><figcaption>{told}</figcaption>'
            f'<div class="scroll" tabindex="0" role="group" aria-label="{title}">{body}</div>{note}</figure>'
        )

    html = property(__html__)

    def _repr_html_(self) -> str:
        """The figure for a notebook, with its style, and with what tells a control there when it is stale."""
        made = f'data-tables="{safe(" ".join(self.source))}" data-made="{time.time():.3f}"'
        return f"<style>{CSS}</style>{self.html.replace('<figure', f'<figure {made}', 1)}"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        """HTML for the notebook, words for whoever cannot see it."""
        words = f"{self.title} ({self.unit}). {self.look_for} {self.alt}"
        return {"text/html": self._repr_html_(), "text/plain": words}


def nothing(title: str, sentence: str = NONE, frame: pd.DataFrame | None = None, *columns: str | None) -> Figure:
    """A figure for which there is no data: its title and a plain sentence.

    Its frame keeps the columns of `frame`, and has the `columns` that the figure would show: who asks it finds no row.
    """
    known = dict.fromkeys([*(() if frame is None else frame.columns), *filter(None, columns)])
    none = (pd.DataFrame() if frame is None else frame.head(0)).reindex(columns=list(known))
    return Figure(say(title), "", alt=say(sentence), body=f'<p class="nothing">{safe(say(sentence))}</p>', frame=none)


def empty(frame: pd.DataFrame, *columns: str | None) -> bool:
    """Whether there is nothing to draw: no rows, or a column is not there."""
    return frame.empty or not set(filter(None, columns)) <= set(frame.columns)


def made(
    frame: pd.DataFrame, unit: str, column: str, spoken: str, /, *, more: str = "", **about: Unpack[About]
) -> Figure:
    """The figure of `frame`, whose numbers are in `column`: what the caller did not say of it is derived here.

    `spoken`: the figure in words; `more` is added to the note; `chart` and `body` are set by the form.
    """
    source = tuple(about.get("source", "").split())
    declared = [TABLES[name] for name in source]
    measure = next((t[column].meaning for t in declared if column in t.names), heading(column) if column else "")
    months = [frame[name] for name in frame if pd.api.types.is_datetime64_any_dtype(frame[name])]
    known = next((values.dropna() for values in months if values.notna().any()), None)
    cells = (value for name in frame.select_dtypes("object") for value in frame[name])
    shows = {SHOWN[value] for value in cells if declared and isinstance(value, str) and value in SHOWN}
    for table in declared:
        kind = "actual" if table.name.endswith("_history") else "budget" if table.name == "budget" else "plan"
        shows.add("scenario" if table.name.startswith("scenario") else kind)
    return Figure(
        say(about.get("title", "")),
        unit_name(unit),
        frame,
        say(about.get("look_for", "")),
        about.get("alt") or spoken,
        f"{say(about.get('note', ''))} {more}".strip(),
        about.get("measure") or measure,
        say(about.get("period", "")) or ("" if known is None else span(known.min(), known.max())),
        about.get("who", ""),
        tuple(about.get("shows") or sorted(shows)),
        about.get("better", ""),
        source,
        size=(about.get("width", WIDE), about.get("height", HIGH)),
    )


def points(
    frame: pd.DataFrame, keys: Mapping[str, str | None], values: Mapping[str, str | None], unit: str, source: str = ""
) -> pd.DataFrame:
    """One row a point, under our own names: rows of one point add up as their column declares (`Column.adds`).

    `keys` and `values`: our name -> the frame's. Where the source table is not whole, a rate does not add up (by its
    declaration or unit), and all else does. Raises ValueError for rows of a point that do not add up.
    """
    by, named = [name for name in keys.values() if name], [name for name in values.values() if name]
    if frame.duplicated(by).any():
        tables = [TABLES[name] for name in source.split()] or list(TABLES.values())
        table = next((t for t in tables if source and set(t.names) <= set(frame) and set(named) <= set(t.names)), None)
        if table:
            frame = add_up(frame, table, by, named)
        elif rates := [name for name in named if _RATES.fullmatch(unit) or _rate(name, tables)]:
            raise ValueError(
                f"{rates[0]!r} has several rows for one point of {', '.join(by)}, and a rate does not add up: choose "
                "rows, give another series, or compute it again from its parts"
            )
        else:
            frame = frame.groupby(by, sort=False, observed=True, dropna=False)[named].sum(min_count=1).reset_index()
    # our own names: no column name of data reaches Vega's field syntax
    both = {**keys, **values}
    return pd.DataFrame({ours: frame[theirs].to_numpy() for ours, theirs in both.items() if theirs})


def _rate(name: str, tables: Sequence[Table]) -> bool:
    """Whether one of `tables` declares a column as a rate, and none as what adds up."""
    declared = [table[name] for table in tables if name in table.names]
    adds = any(column.adds in ("sum", "end", "start", "month") for column in declared)
    return not adds and any(column.parts or _RATES.fullmatch(column.unit) for column in declared)


# Altair -> SVG --------------------------------------------------------------------------------------------------


@cache
def vega() -> Any:
    """Altair, imported when the first chart is made."""
    with without_grammar():
        import altair

    return altair


def unchecked() -> Any:
    """A block in which Altair does not hold what is made against its schema: our forms are fixed and tested."""
    return vega().utils.schemapi.debug_mode(False)


_AXIS = {
    "labelColor": QUIET, "labelFont": FONT, "labelFontSize": 12, "titleFont": FONT, "titleFontSize": 12,
    "titleColor": QUIET, "titleFontWeight": "normal", "domainColor": INK, "tickColor": RULE, "gridColor": "#e8ebee",
    # Vega cuts a long label inside an emoji, which no drawing survives: labels come cut
    "labelLimit": 0,
}  # fmt: skip
HOUSE = {
    "font": FONT,
    "background": "transparent",
    "view": {"stroke": None},
    "axis": _AXIS,
    "padding": {"left": 12, "top": 4, "right": 6, "bottom": 4},
    "axisX": {**_AXIS, "grid": False},
    "axisY": {**_AXIS, "domain": False, "ticks": False, "grid": False},
    "text": {"font": FONT, "fontSize": 12, "fill": INK},
}


def _cleaned(node: Any) -> Any:
    """The specification without characters that no XML may hold: one NUL in a name aborts vl-convert and Python too."""
    if isinstance(node, dict):
        return {key: _cleaned(value) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return [_cleaned(value) for value in node]
    return _FORBIDDEN.sub("", node) if isinstance(node, str) else node


def draw(spec: dict[str, Any]) -> str:
    """A Vega-Lite specification as SVG; the kernels of a run let one process do it, for its start takes 0.7 s."""
    import vl_convert

    return vl_convert.vegalite_to_svg(spec, vl_version="6.1")


@cache
def begin() -> None:
    """Start what draws in the background, once: the first chart would wait a second for it."""

    def first() -> None:
        vega()
        draw({"data": {"values": []}, "mark": "point"})

    threading.Thread(target=first, daemon=True).start()


def svg(chart: altair.TopLevelMixin, alt: str, width: int = WIDE, height: int = HIGH) -> str:
    """An Altair chart as inline SVG: a label for screen readers, tooltips from the `description` channel as <title>.

    A width or height that was set on the chart itself stands over those given.
    """
    # these forms are fixed and tested: Altair's check against its schema would cost a third of every chart
    spec = {"width": width, "height": height, **_cleaned(chart.to_dict(validate=False))}
    spec |= {"config": HOUSE, "autosize": {"type": "fit", "contains": "padding"}}
    return _drawn(json.dumps(spec, sort_keys=True), alt)


@lru_cache(maxsize=200)  # the same figure stands in the packs of several audiences
def _drawn(text: str, alt: str) -> str:
    spec = json.loads(text)
    root, width, height = ElementTree.fromstring(draw(spec)), spec["width"], spec["height"]
    # ids must differ between the figures of a page and be the same in every run: the library counts on and on
    mark = "f" + hashlib.sha256((alt + text).encode()).hexdigest()[:8]
    ids = {name: f"{mark}-{n}" for n, name in enumerate(e.attrib["id"] for e in root.iter() if "id" in e.attrib)}
    for element in root.iter():
        label, of = element.attrib.pop("aria-label", None), element.attrib.get("aria-roledescription", "")
        if label and element.attrib.get("role") == "graphics-symbol" and of not in ("axis", "legend"):
            ElementTree.SubElement(element, f"{{{SVG}}}title").text = label
        for name in [name for name in element.attrib if name.startswith("aria-") or name == "role"]:
            del element.attrib[name]
        for name, value in element.attrib.items():
            if name == "id":
                element.set(name, ids[value])
            elif "url(#" in value:
                element.set(name, re.sub(r"(?<=url\(#)[^)]+", lambda at: ids.get(at[0], f"{mark}-{at[0]}"), value))
            elif name in ("d", "transform", "x", "y", "x2", "y2"):
                element.set(name, re.sub(r"(\.\d)\d+", r"\1", value))
    _patterns(root, mark)
    wide, high = root.attrib.pop("width", str(width)), root.attrib.pop("height", str(height))
    root.attrib.setdefault("viewBox", f"0 0 {wide} {high}")
    root.set("class", "wide" if spec["width"] > NARROW else "narrow")
    root.set("role", "img")
    root.set("aria-label", plain(alt))
    for element in root.iter():  # one namespace, said once
        element.tag = element.tag.removeprefix(f"{{{SVG}}}")
    root.attrib = {"xmlns": SVG, **root.attrib}
    return ElementTree.tostring(root, encoding="unicode", short_empty_elements=True)


def _patterns(root: ElementTree.Element, mark: str) -> None:
    """Put in the patterns of the hatched bars: lines in the colour that the pattern's name ends with."""
    used = {value[5:-1] for e in root.iter() for value in e.attrib.values() if value.startswith(f"url(#{mark}-hatch-")}
    defs = ElementTree.Element(f"{{{SVG}}}defs")
    for name in sorted(used):
        colour = "#" + name.rpartition("-")[2]
        about = {"id": name, "width": "5", "height": "5", "patternUnits": "userSpaceOnUse"}
        pattern = ElementTree.SubElement(defs, f"{{{SVG}}}pattern", about | {"patternTransform": "rotate(45)"})
        ElementTree.SubElement(pattern, f"{{{SVG}}}rect", {"width": "5", "height": "5", "fill": "#fff"})
        ElementTree.SubElement(pattern, f"{{{SVG}}}rect", {"width": "2.4", "height": "5", "fill": colour})
    if used:
        root.insert(0, defs)


def chart(frame: pd.DataFrame) -> Any:
    """An Altair chart of a frame, whose channels are still to be said: months as text in local time, text without what
    XML refuses, None for no value.
    """
    cells = []
    for name in frame.columns:
        values = frame[name]
        if pd.api.types.is_datetime64_any_dtype(values):
            values = values.dt.strftime("%Y-%m-%dT00:00:00")
        elif not pd.api.types.is_numeric_dtype(values):
            values = values.map(plain)
        cells.append([None if value != value else value for value in values.tolist()])
    rows = (dict(zip(frame.columns, row, strict=True)) for row in zip(*cells, strict=True))
    with unchecked():
        chart_of, data_of = _classes()
        return chart_of(data_of(values=tuple(rows)))


@cache
def _classes() -> tuple[Any, Any]:
    """Altair's Chart, told of which class a channel is, for which Altair hashes all its classes, 7 ms; and its Data."""
    v = vega()

    class Data(v.Data):  # type: ignore[name-defined]
        def to_dict(self, **_: Any) -> dict[str, Any]:
            """The rows as they are: Altair would ask of each cell what it is."""
            return {"values": self.values}

    class Chart(v.Chart):  # type: ignore[name-defined]
        def encode(self, **channels: Any) -> Any:
            for name, channel in channels.items():
                of = name[0].upper() + name[1:]
                if isinstance(channel, str):
                    channels[name] = getattr(v, of)(channel)
                elif isinstance(channel, dict):
                    channels[name] = getattr(v, f"{of}Value")(**channel)
            return super().encode(**channels)

        def copy(self, deep: Any = True, ignore: Any = None) -> Any:
            """Altair copies a layer's rows and channels four times a figure, and changes neither."""
            return super().copy(deep=["encoding"] if deep is True else deep, ignore=ignore)

    return Chart, Data


def in_order(names: Iterable[Any], order: Sequence[str] | None = None) -> list[str]:
    """The names there are, those of `order` first, the others sorted."""
    present = list(dict.fromkeys(plain(name) for name in names))
    first = [name for name in order or () if name in present]
    return first + sorted(name for name in present if name not in first)
