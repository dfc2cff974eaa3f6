"""The pack that the executive meeting reads: one plain dictionary made from tables only, decisions first.

`report` computes; `page` renders. Every section opens with its finding, and every figure with the sentence that says
what to see in it: both are computed from the tables of this cycle. A table that a company does not have costs its
figure, never the pack.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from sopkit import charts
from sopkit.charts import Figure
from sopkit.publish import appendix, meeting, money, operations
from sopkit.publish.paper import Paper
from sopkit.tables import Company
from sopkit.words import month_name

# the order in which the meeting reads
SECTIONS = (
    meeting.decisions,
    meeting.summary,
    meeting.scorecard,
    meeting.changed,
    operations.accuracy,
    operations.demand,
    operations.supply,
    operations.capacity,
    money.gaps,
    operations.inventory,
    money.finance,
    meeting.scenarios,
    meeting.risks,
)


def report(
    tables: Mapping[str, pd.DataFrame], company: Company, cycle: str, manifest: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The pack as a plain dictionary: company, cycle, months, draft, date of data, sections with text and figures.

    `tables`: every table of the cycle, `kpis` among them; one that is absent counts as empty. `manifest`: the cycle's
    manifest.json (versions, hashes, parameters, when each stage ran).
    """
    paper = Paper(tables, company, cycle, manifest or {})
    collected = paper.manifest.get("stages", {}).get("collect", {}).get("written_at", "")
    parts = [make(paper) for make in SECTIONS]
    return {
        "company": company.name,
        "title": f"Sales & Operations Plan, {paper.first:%B %Y}",
        "cycle": cycle,
        "horizon": f"{month_name(paper.months[0])} to {month_name(paper.months[-1])}",
        "data_as_of": str(collected)[:16].replace("T", " ") + " UTC" if collected else "",
        "currency": company.currency,
        "draft": paper.draft,
        "status": "DRAFT, not decided" if paper.draft else "APPROVED",
        "sections": [{"number": str(place), **part} for place, part in enumerate(parts, start=1)],
        "appendices": [
            {"number": letter, **part} for letter, part in zip("AB", appendix.appendices(paper), strict=True)
        ],
    }


def figures(content: Mapping[str, Any]) -> Iterator[Figure]:
    """Every figure of a report, in reading order."""
    for part in (*content["sections"], *content["appendices"]):
        for one in part["body"]:
            yield from (figure for figure in (one if isinstance(one, list) else [one]) if isinstance(figure, Figure))


def _whole(text: str) -> str:
    """Prose in which no line ends between a number and its % or its million."""
    return re.sub(r"(?<=\d) (?=%|thousand|million)", "\N{NO-BREAK SPACE}", text)


def page(content: Mapping[str, Any]) -> str:
    """The report as one HTML page that needs nothing else: no script, no network, styles inside."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    here = Path(__file__).parent
    environment = Environment(
        loader=FileSystemLoader(here),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: _whole(charts.plain(value)) if type(value) is str else value,
    )
    css = Markup(charts.CSS + (here / "pack.css").read_text(encoding="utf-8"))
    return environment.get_template("pack.html.j2").render(
        content, css=css, is_figure=lambda part: isinstance(part, Figure)
    )
