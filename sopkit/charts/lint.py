"""Does a figure keep the notation? What it says of itself and what is drawn are checked: the SVG is measured.

Rules by the names of IBCS 2.0 (ISO 24896): UN unify, SA say, ST structure, EX express, SI simplify, CH check.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from xml.etree import ElementTree

from sopkit.charts.figure import Figure
from sopkit.charts.marks import text_width
from sopkit.charts.notation import BAD, GOOD, INK, LOOKS, SHOWN
from sopkit.words.languages import language, say, speaking, spoken

MESSAGE = "message: {text}"
LETTERS = 220  # of a message: two lines of a page
# a number with its sign and unit, as every mark's title ends: `Volume: −120 thousand EUR`
_VALUE = r"^(?P<name>.*): (?P<value>[+−-]?[\d{group}]+(?:{decimal}\d+)?)\s(?P<unit>[^:;,(]+?)(?:, .*)?$"
_RECT = re.compile(r"^M(-?[\d.]+),(-?[\d.]+)h(-?[\d.]+)v(-?[\d.]+)h-?[\d.]+Z$")
_MOVED = re.compile(r"translate\((-?[\d.]+)[, ]\s*(-?[\d.]+)\)")
_MONEY = r"(?<!\w)({scales}|)([A-Z]{{3}})\b(?! {per}\b)"
SCALE = "scale"  # the name of a bar that is a scale marker


class Breach(NamedTuple):
    """A rule of the notation that a figure breaks: of which figure, which rule, what was found."""

    figure: str
    rule: str
    found: str


class Bar(NamedTuple):
    """A drawn length with the number that its title states; `digit`: the last digit that the number shows."""

    name: str
    value: float
    unit: str
    digit: float
    pixels: float
    fill: str
    stroke: str


class Label(NamedTuple):
    """A drawn text and the box it takes."""

    text: str
    left: float
    top: float
    right: float
    bottom: float


def lint(shown: Figure | Mapping[str, Any]) -> list[Breach]:
    """Every breach of the notation in a figure, or in a pack (`sopkit.publish.pack.report`) page by page.

    >>> charts.lint(demand.figures.outlook(plan))
    []
    """
    if isinstance(shown, Figure):
        with speaking(shown.language):
            return [Breach(shown.title, rule, found) for rule, found in _figure(shown)]
    with speaking(shown.get("language", language())):
        return [*_pack(shown)]


def _pack(shown: Mapping[str, Any]) -> Iterator[Breach]:
    for page in (*shown["sections"], *shown.get("appendices", ())):
        flat = [one for part in page["body"] for one in (part if isinstance(part, list) else [part])]
        figures = [one for one in flat if isinstance(one, Figure)]
        yield from (breach for figure in figures for breach in lint(figure))
        yield from (Breach(page["label"], *found) for found in _page(figures))


def _opening(template: str) -> str:
    """What a text begins with in the language spoken: `message: `."""
    return say(template).partition("{")[0]


# what a figure says of itself ---------------------------------------------------------------------------------------


def _figure(figure: Figure) -> Iterator[tuple[str, str]]:
    if figure.frame.empty and figure.chart is None:
        return  # a plain sentence in the place of a figure
    drawing = figure.html
    for line, text in zip(("who", "what"), figure.heading, strict=False):
        if not text.strip():
            yield "UN 2.1 title in three lines", f"{line} is missing"
    if not figure.source and _opening("Source: {tables}") not in figure.note:
        yield "SA 4.4 source under each object", "no source table is given"
    if len(figure.look_for) > LETTERS:
        yield "SA 2 message of two lines", f"{len(figure.look_for)} letters, at most {LETTERS}"
    if figure.chart is not None:
        if not figure.unit:
            yield "UN 2.1 title in three lines", "the unit is missing"
        if not figure.heading[2]:
            yield "UN 2.1 title in three lines", "neither months nor scenarios are given"
        if figure.look_for and f"<title>{_opening(MESSAGE)}" not in drawing:
            yield "SA 4.3 the point of the message is marked", "no mark in the chart"
    elif "class=statement" in drawing and len({*figure.shows} - {"scenario"}) < 2:
        yield "EX 4 every statement has a yardstick", f"shows {', '.join(figure.shows) or 'nothing'} alone"
    roots = _drawings(drawing)
    yield from _measured(_bars(roots), figure)
    for root in roots:
        yield from _labels(root)


def _page(figures: Sequence[Figure]) -> Iterator[tuple[str, str]]:
    """What holds for the figures of one page together: one scale for one unit, one format of money."""
    words = (say(f"{scale} {{currency}}").partition("{")[0] for scale in ("thousand", "million", "billion"))
    per = say("{unit} per {other}").partition("{other}")[0].partition("}")[2].strip()
    kind = re.compile(_MONEY.format(scales="|".join(map(re.escape, words)), per=per))
    money: dict[str, set[str]] = {}
    scales: dict[str, list[tuple[str, float]]] = {}
    for figure in figures:
        heads = re.findall(r"<th scope=.col.[^>]*>(.*?)</th>", figure.html)
        for text in (figure.unit, *heads):
            for found in re.finditer(kind, text):
                money.setdefault(found[2], set()).add(found[0])
        bars = _bars(_drawings(figure.html))
        told = {bar.unit for bar in bars if bar.name == SCALE}
        for unit, size in _sizes([bar for bar in bars if bar.unit not in told]).items():
            # pins of % have a scale of their own in every table, and their number beside them
            scales.setdefault(unit, []).extend((figure.title, one) for one in size if unit != "%")
    for formats in money.values():
        if len(formats) > 1:
            yield "UN 1.2 one number format a page", f"money in {' and in '.join(sorted(formats))}"
    for unit, drawn in ((unit, drawn) for unit, drawn in scales.items() if drawn):
        first = drawn[0][1]
        if other := [title for title, size in drawn if abs(size / first - 1) > 0.05]:
            unmarked = f"{unit}: {drawn[0][0]} and {other[0]} without a scale marker"
            yield "CH 4 one scale for one unit on a page", unmarked


# what is drawn ------------------------------------------------------------------------------------------------------


def _drawings(page: str) -> list[ElementTree.Element]:
    # a figure's SVG is well-formed on its own: the drawing made it from a parsed document
    return [ElementTree.fromstring(one) for one in re.findall(r"<svg.*?</svg>", page, re.S)]


def _places(
    element: ElementTree.Element, x: float = 0.0, y: float = 0.0
) -> Iterator[tuple[ElementTree.Element, float, float]]:
    """Every element with where its own coordinates begin."""
    if moved := _MOVED.match(element.get("transform", "")):
        x, y = x + float(moved[1]), y + float(moved[2])
    yield element, x, y
    for child in element:
        yield from _places(child, x, y)


def _tag(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def _bars(roots: Sequence[ElementTree.Element]) -> list[Bar]:
    """Lengths whose title ends with a number: upright or across, whichever side of them differs."""
    found, own = [], spoken()
    number = re.compile(_VALUE.format(group=own.group, decimal=re.escape(own.decimal)), re.S)
    message, scale = _opening(MESSAGE), _opening("scale: {value}").partition(":")[0].strip()
    for element in (one for root in roots for one in root.iter()):
        title = next((child.text or "" for child in element if _tag(child) == "title"), "")
        told = number.match(title)
        if not told or title.startswith(message):
            continue
        if _tag(element) == "line":
            wide, high = (abs(float(element.get(f"{n}2", "0")) - float(element.get(f"{n}1", "0"))) for n in "xy")
        elif _tag(element) == "rect":
            wide, high = float(element.get("width", "0")), float(element.get("height", "0"))
        elif rect := _RECT.match(element.get("d", "")):
            wide, high = abs(float(rect[3])), abs(float(rect[4]))
        else:
            continue
        value = float(told["value"].replace(own.group, "").replace(own.decimal, ".").replace("−", "-"))
        digit = 10.0 ** -len(told["value"].partition(own.decimal)[2])
        name = SCALE if told["name"].strip() == scale else told["name"]
        look = (element.get("fill", ""), element.get("stroke", ""))
        found.append((name, value, told["unit"].strip(), digit, wide, high, *look))
    widths = {round(one[4]) for one in found if one[0] != SCALE}
    across = len(widths) > len({round(one[5]) for one in found if one[0] != SCALE})
    return [
        Bar(*one[:4], max(one[4], one[5]) if one[0] == SCALE else one[4] if across else one[5], *one[6:])
        for one in found
    ]


def _sizes(bars: Sequence[Bar]) -> dict[str, list[float]]:
    """Unit -> the different pixels a unit that its bars are drawn with; one is right."""
    sizes: dict[str, list[float]] = {}
    # the longest bars tell the size best: shorter ones are held against it
    for bar in sorted(bars, key=lambda bar: -bar.pixels):
        known = sizes.setdefault(bar.unit, [])
        room = abs(bar.value)
        fits = any(abs(bar.pixels - room * size) <= 1.5 + 0.51 * bar.digit * size for size in known)
        if not fits and room > 0:
            known.append(bar.pixels / room)
    return sizes


def _measured(bars: Sequence[Bar], figure: Figure) -> Iterator[tuple[str, str]]:
    drawn = [bar for bar in bars if bar.name != SCALE]
    for unit, sizes in _sizes(drawn).items():
        markers = [bar.pixels / bar.value for bar in bars if bar.name == SCALE and bar.unit == unit and bar.value]
        unknown = [one for one in sizes if not any(abs(one / marker - 1) < 0.06 for marker in markers)]
        if len(sizes) > 1 and unknown:
            told = f"{unit} is drawn with {len(sizes)} lengths a unit and {len(markers)} scale markers"
            yield "CH 1 axes from zero, equal pixels a unit", told
        elif markers and unknown and drawn:
            told = f"the marker of {unit} is {markers[0]:.3g}, the bars {unknown[0]:.3g} pixels"
            yield "CH 4 the scale marker is true", told
    shown = {say(word): kind for word, kind in SHOWN.items()}
    for bar in drawn:
        parts = bar.name.split(", ")
        look = LOOKS.get(shown.get(parts[0], shown.get(parts[-1], "")))
        if look and len(figure.shows) and not _alike(bar.fill, look.fill):
            yield "UN 3.2 scenarios look alike everywhere", f"{bar.name} is filled {bar.fill}, not {look.fill}"
            break
    signed = [bar for bar in drawn if bar.fill.upper() in (GOOD.upper(), BAD.upper())]
    if figure.better in ("higher", "lower"):
        for bar in signed:
            if bar.value and (bar.fill.upper() == GOOD.upper()) != ((bar.value > 0) == (figure.better == "higher")):
                yield "UN 4.1 variances by good and bad", f"{bar.name} {bar.value:+,g} is coloured as the opposite"
    elif signed:
        yield "UN 4.1 variances by good and bad", "colours without saying whether more is better"


def _alike(fill: str, wanted: str) -> bool:
    """Whether a drawn fill is the wanted one; a pattern is known by the end of its name."""
    return fill.lower().endswith(wanted.lower().removeprefix("url(#")) or (wanted == INK and fill.lower() == INK)


def _labels(root: ElementTree.Element) -> Iterator[tuple[str, str]]:
    """Texts that lie over each other or outside of the drawing."""
    box = [float(one) for one in (root.get("viewBox") or "0 0 0 0").split()]
    labels: list[Label] = []
    for element, x, y in _places(root):
        # a text drawn with a stroke is the light edge around the same text
        if _tag(element) != "text" or float(element.get("opacity", "1")) == 0 or element.get("stroke"):
            continue
        size = float(str(element.get("font-size", "11")).removesuffix("px"))
        lines = [child.text or "" for child in element if _tag(child) == "tspan"] or [element.text or ""]
        wide = max(text_width(line, size) for line in lines)
        x, y = x + float(element.get("x", "0")), y + float(element.get("y", "0"))
        left = x - {"middle": wide / 2, "end": wide}.get(element.get("text-anchor", "start"), 0.0)
        if any(lines):
            high = size * 1.2 * len(lines)
            labels.append(Label(" ".join(lines), left, y - 0.8 * size, left + wide, y - size + high))
    for place, one in enumerate(labels):
        if one.left < box[0] - 2 or one.right > box[2] + 2 or one.top < box[1] - 3 or one.bottom > box[3] + 4:
            yield "SI 4 labels are whole", f"{one.text!r} is cut at the edge"
        for other in labels[place + 1 :]:
            over = min(one.right, other.right) - max(one.left, other.left)
            under = min(one.bottom, other.bottom) - max(one.top, other.top)
            if over > 1.5 and under > 2.5:
                yield "SI 4 labels keep apart", f"{one.text!r} lies over {other.text!r}"
