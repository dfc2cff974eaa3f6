"""The archive: one self-contained page of all cycles, with KPIs over time, decisions, actions and notes."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from sopkit import charts, kpis
from sopkit.book.actions import standing
from sopkit.charts import Figure
from sopkit.errors import SopkitError
from sopkit.files import data_root, replace_file
from sopkit.words import amount, month_name, say, speak

if TYPE_CHECKING:
    from sopkit.cycle import Cycle

NAME = "index.html"
# the only script: it hides what does not hold the words that are typed
SEARCH = """const q=document.getElementById("q");
q.addEventListener("input",()=>{const w=q.value.toLowerCase().split(/\\s+/);
for(const a of document.querySelectorAll("article"))a.hidden=!w.every(x=>a.textContent.toLowerCase().includes(x))});"""


def write(c: Cycle) -> Path:
    """Write `reports/<company>/index.html` anew from all cycles that were published, the newest first; its path.

    Notes are Markdown: `data/<company>/notes/<cycle>.md`, or a folder of that name with pages and sub-pages.
    """
    from jinja2 import ChainableUndefined, Environment, FileSystemLoader
    from markupsafe import Markup

    speak(c.company.language)
    made, told = [], []
    for one in sorted([*c.others(), c], key=lambda one: one.cycle, reverse=True):
        if "kpis" in one.manifest["tables"]:
            try:
                told.append(_cycle(one))
                made.append(one)
            except SopkitError as error:  # a damaged old cycle does not keep the new one from being published
                told.append({"cycle": one.cycle, "title": one.cycle, "state": str(error), "links": []})
    here = Path(__file__).parent
    environment = Environment(loader=FileSystemLoader(here), autoescape=True, undefined=ChainableUndefined)
    script = base64.b64encode(hashlib.sha256(SEARCH.encode()).digest()).decode()
    css = Markup(charts.CSS + (here / "pack.css").read_text(encoding="utf-8"))
    page = environment.get_template("archive.html.j2").render(
        company=c.company.name, language=c.company.language, say=say, css=css, search=Markup(SEARCH), allowed=script,
        cycles=told, trend=over_time(c.company.name, made) if made else "",
    )  # fmt: skip
    path = c.folder.parent / NAME
    replace_file(path, page.encode())
    return path


def over_time(company: str, cycles: Sequence[Cycle]) -> Figure:
    """The eight KPIs as each cycle planned them, or measured them where they are not planned; oldest first."""
    columns: dict[str, list[str]] = {}
    for one in sorted(cycles, key=lambda cycle: cycle.cycle)[-12:]:
        rows = one.read("kpis")
        total = {row.kpi: row for row in rows[rows["period"].isin([kpis.PAST, kpis.PLAN])].itertuples()}
        columns[month_name(pd.Timestamp(one.cycle))] = [
            amount(total[name].value, total[name].unit) if name in total else "" for name in kpis.EIGHT
        ]
    rows = pd.DataFrame({"kpi": [say(kpis.KPIS[name].title) for name in kpis.EIGHT], **columns})
    return charts.table(
        rows, {"kpi": "KPI", **{name: name for name in columns}}, who=company, title="KPIs, cycle by cycle",
        unit="each in its own unit", source="kpis", shows=["actual", "plan"],
        look_for="Planned for the next twelve months where a plan holds it, else of the last twelve.",
    )  # fmt: skip


def _cycle(one: Cycle) -> dict[str, object]:
    """What the archive tells of one cycle."""
    frozen, deeds = one.manifest.get("frozen", {}), standing(one.read("actions"))
    files = ((say("plan"), "plan.html"), (say("workbook"), "plan.xlsx"))
    return {
        "cycle": one.cycle,
        "title": month_name(pd.Timestamp(one.cycle)),
        "state": say("published by {author} on {day}", frozen["by"], frozen["at"][:10])
        if frozen
        else say("not published for good"),
        "links": [(label, f"{one.cycle}/{name}") for label, name in files if (one.folder / name).is_file()],
        "decisions": [
            (row.question, f"{row.option}, {row.decided_by}: {row.reason}" if row.option else say("not decided"))
            for row in one.read("decision_log").itertuples()
        ],
        "outcomes": [_outcome(row, one.company.currency) for row in one.read("decision_review").itertuples()],
        "actions": [
            (f"{row.what} ({row.assignees})" if row.assignees else row.what, say(row.status))
            for row in deeds.itertuples()
        ],
        "notes": list(_notes(data_root() / one.company_name / "notes", one.cycle)),
    }


def _outcome(row: Any, currency: str) -> tuple[str, str]:
    both = amount(row.expected, currency), amount(row.seen, currency)
    seen = say("Expected {expected}, seen {seen}.", *both) if pd.notna(row.seen) else ""
    return row.title or row.question, " ".join(filter(None, [f"{say(row.outcome)}.", row.sentence, seen]))


def _notes(folder: Path, cycle: str) -> list[tuple[str, object]]:
    """Title and HTML of each note of a cycle: HTML that somebody typed into one stays text."""
    import mistune
    from markupsafe import Markup

    paths = [folder / f"{cycle}.md", *sorted((folder / cycle).rglob("*.md"))]
    told = mistune.create_markdown(escape=True, plugins=["table", "strikethrough"])
    found: list[tuple[str, object]] = []
    for path in paths:
        if path.is_file():
            text = charts.plain(path.read_text(encoding="utf-8", errors="replace"))
            name = " / ".join(path.relative_to(folder).with_suffix("").parts)
            found.append((name, Markup(told(text))))
    return found
