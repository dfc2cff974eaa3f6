"""The pack that the executive meeting reads: one plain dictionary made from tables only, decisions first.

`report` computes; `page` renders. Every section opens with its finding, and every figure with the sentence that says
what to see in it: both are computed from the tables of this cycle. A table that a company does not have costs its
figure, never the pack.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sopkit import charts
from sopkit.book import Book
from sopkit.charts import Figure
from sopkit.charts.figure import safe
from sopkit.decide import is_draft, left_out
from sopkit.publish import figures as own
from sopkit.publish import sections
from sopkit.publish.paper import fitted
from sopkit.words import month_in_full, month_name, say, speaking

STATUS = {True: "DRAFT, not decided", False: "APPROVED"}


def status(book: Book, scenario: str = "") -> str:
    """Where the plan stands: approved only where every question is decided and the plan contains what was chosen.

    `scenario`: the title of a scenario whose pack this is; it is never the plan. What an audience reads says in its
    manifest how the whole plan stands.
    """
    if "status" in book.manifest:
        return str(book.manifest["status"])
    if scenario:
        return say("DRAFT of a scenario, not the plan: {scenario}", scenario)
    lacking = left_out(book)
    if lacking and not is_draft(book["decision_log"]):
        return say("DRAFT, does not contain what was decided: {options}", ", ".join(lacking))
    return STATUS[is_draft(book["decision_log"])]


def report(book: Book, scenario: str = "", *, pages: Sequence[str] = (), reader: str = "") -> dict[str, Any]:
    """The pack as a plain dictionary: company, cycle, months, draft, date of data, sections with text and figures.

    `book`: every table of the cycle, `kpis` among them; one that is absent counts as empty. Its manifest (versions,
    hashes, parameters, when each stage ran) is printed in the last appendix. `scenario`: see `status`. `pages`: only
    those of these keys, for a `reader`.
    """
    collected = book.manifest.get("stages", {}).get("collect", {}).get("written_at", "")
    stands = status(book, scenario)
    main, more = sections.every(book, pages)
    return {
        "company": book.company.name,
        "language": book.company.language,
        "reader": reader,
        "flows": False,  # a page a topic
        "title": say("Sales & Operations Plan, {month}", month_in_full(book.first)),
        "cycle": book.cycle,
        "horizon": say("{start} to {end}", month_name(book.months[0]), month_name(book.months[-1])),
        "data_as_of": str(collected)[:16].replace("T", " ") + " UTC" if collected else "",
        "currency": book.currency,
        "draft": stands != STATUS[False],
        "status": say(stands),
        "families": _families(book),
        "sections": [{"number": str(place), **fitted(part, place == 1)} for place, part in enumerate(main, start=1)],
        "appendices": [{"number": letter, **part} for letter, part in zip("ABC", more, strict=False)],
    }


def _families(book: Book) -> dict[str, list[str]]:
    """Name of each family -> names of its products: what a reader can choose on the page."""
    names, found = book.names("products"), dict[str, list[str]]()
    for family, called in own.families(book).items():
        found[called] = sorted(name for product, name in names.items() if book.family[product] == family)
    return found


def figures(content: Mapping[str, Any]) -> Iterator[Figure]:
    """Every figure of a report, in reading order."""
    for part in (*content["sections"], *content["appendices"]):
        for one in part["body"]:
            yield from (figure for figure in (one if isinstance(one, list) else [one]) if isinstance(figure, Figure))


def _marked(html: str, families: Mapping[str, Sequence[str]]) -> str:
    """The page with the number of its family at every row and sheet of one, which the style sheet hides by choice."""
    known = {safe(name): n for n, called in enumerate(families, 1) for name in (called, *families[called])}

    def row(found: re.Match[str]) -> str:
        n = known.get(found[3].rpartition(": ")[2])
        return f"<tr data-f={n}{found[1]}>{found[2]}{found[3]}<" if n else found[0]

    def sheet(found: re.Match[str]) -> str:
        n = known.get(found[2].rpartition(", ")[2])
        return f"<figure data-f={n} {found[1]}{found[2]}<" if n else found[0]

    html = re.sub(r"<tr([^>]*)>(<t[dh][^>]*>)([^<]+)<", row, html)
    head = r'class="sop-figure"><figcaption>(?:<p class="finding">[^<]*</p>)?<p class="who">'
    return re.sub(rf"<figure ({head})([^<]+)<", sheet, html)


def page(content: Mapping[str, Any]) -> str:
    """The report as one HTML page that needs nothing else: no script, no network, styles inside."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    here = Path(__file__).parent
    environment = Environment(
        loader=FileSystemLoader(here), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        finalize=lambda value: charts.whole(value) if type(value) is str else value,
    )  # fmt: skip
    css = Markup(charts.CSS + (here / "pack.css").read_text(encoding="utf-8"))
    with speaking(content["language"]):
        return _marked(environment.get_template("pack.html.j2").render(content, css=css, say=say), content["families"])
