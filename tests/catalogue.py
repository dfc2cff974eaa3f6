"""The texts that sopkit says, found in its code and declarations; `python tests/catalogue.py fr` brings a catalogue up.

It adds what is missing to `sopkit/languages/fr.po` with an empty translation, and takes out what nobody says any more.
A new language is a new file: `python tests/catalogue.py de` begins it.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from string import Formatter

from sopkit import kpis, languages, words
from sopkit.tables import STAGES, TABLES
from sopkit.tables.company import Policies
from sopkit.tables.made import MADE

PACKAGE = Path(languages.__file__).parents[1]
# what these are told is a text, wherever they are called
SAYS = {
    "say", "say_count", "several", "than", "section", "nothing", "Show", "columns_of", "table", "_pairs", "Tile",
    "explanations", "line", "bars", "columns", "panels", "waterfall", "ranking", "stair_step", "heat_map", "statement",
    "comparison", "flow", "tiles", "variances", "swings",
}  # fmt: skip
# of a figure's arguments those that are texts
TOLD = ("title", "look_for", "note", "none", "unit", "period", "start", "end", "over_name", "base_name")
# words that stand in tables or in constants and are said where they are shown: module -> names
CONSTANTS = {
    "book.explain": ("PERIODS",), "charts.notation": ("SHOWN",), "decide.answers": ("UNDECIDED",),
    "charts.tables": ("NOT_KNOWN",), "charts.figure": ("NONE",),
    "decide.figures": ("STATES", "NO_RIVAL"), "decide.review": ("TOLD",), "decide.table": ("KEEP", "ALONE", "HAPPENS"),
    "demand.explain": ("LAYER_WORDS",), "demand.figures": ("LAYERS", "STREAMS", "NOT_JUDGED"), "kpis": ("ERROR_SIGN",),
    "publish.asked": ("SHEET", "PRODUCT", "MARKET", "LINE", "REASON", "REMARK", "LAST_YEAR", "BASELINE", "NOW", "YOURS",
                      "REASONS"),
    "publish.audiences": ("READERS",), "publish.figures": ("SHEET", "MEASURED"), "publish.pack": ("STATUS",),
    "publish.sections": ("BUDGET", "LAST"), "publish.summary": ("NAME", "AGAINST"), "publish.workbook": ("FIRST",),
    "reconcile.compare": ("BASE_TITLE",), "reconcile.figures": ("GAPS", "BRIDGE", "SALES", "TIED", "CASH", "FUTURES"),
    "reconcile.finance": ("LINES",), "supply.figures": ("MODES",), "charts.lint": ("MESSAGE",),
}  # fmt: skip
# words that rooms write into tables as codes, and figures show
CODES = """
plan budget actual|last year|last plan|scenario|rest|maximum|safety stock|All|Rest|result|gross margin|all|yes|no|units
open|doing|done|dropped|late|at risk|on track|missed|not known|not started|made|ready|signed|stale|number|shortfall|turns a year
""".replace("plan budget", "plan|budget").strip().replace("\n", "|").split("|")


def _texts(node: ast.AST) -> Iterator[str]:
    """Constant texts that an expression may come to: not those that it is asked about, looks up or passes on."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from (*_texts(node.body), *_texts(node.orelse))
    elif isinstance(node, ast.BoolOp):
        yield from (text for one in node.values for text in _texts(one))
    elif isinstance(node, ast.Dict):
        yield from (text for one in node.values for text in _texts(one))
    elif isinstance(node, ast.Tuple | ast.List):
        yield from (text for one in node.elts for text in _texts(one))


def _called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def said() -> tuple[set[str], set[tuple[str, str]]]:
    """Every text that is said, and every pair of texts of which a count takes one."""
    texts: set[str] = set()
    pairs: set[tuple[str, str]] = set()
    for path in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        within = {child for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for child in ast.walk(node)}
        for node in ast.walk(tree):
            # a template that a variable brings to `say`
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in within:
                if "\n    " not in node.value and _template(node.value):
                    texts.add(node.value)
            if not isinstance(node, ast.Call) or (name := _called(node)) not in SAYS:
                continue
            told = [[*_texts(arg)] for arg in node.args]
            if name == "say":
                texts.update(told[0])
            elif name == "say_count":
                pairs.update(zip(told[1], told[2], strict=True))
            elif name == "several":
                for one, many in zip(told[1], told[2] if len(told) > 2 else ["" for _ in told[1]], strict=True):
                    pairs.add((f"{{count}} {one}", f"{{count}} {many or one + 's'}"))
                    texts.add(f"no {one}")
            elif name == "section":
                texts.update(text for part in told[1:] for text in part)
            elif name in ("nothing", "Show"):
                texts.update(text for part in told[:2] for text in part if name == "nothing" or part is told[0])
            elif name == "_pairs":
                texts.update(text for part in (*told[:2], *told[3:]) for text in part)
                texts.update(_columns(node))
            elif name == "columns_of":
                texts.update(text for word in node.keywords for text in _texts(word.value))
                _declared(texts, told)
            elif name not in ("than", "line", "columns") or any(word.arg in TOLD for word in node.keywords):
                shows = [one for one in node.args if isinstance(one, ast.Dict)] if name in ("table", "swings") else []
                texts.update(text for one in shows for text in _texts(one))
                texts.update(text for word in node.keywords if word.arg in TOLD for text in _texts(word.value))
    for path in sorted(PACKAGE.rglob("*.j2")):
        texts.update(re.findall(r'say\("([^"]+)"', path.read_text(encoding="utf-8")))
    texts |= {*_words()}
    forms = {text for pair in pairs for text in pair}
    return {text for text in texts - forms if re.search("[A-Za-zΔ]{2}", text)}, pairs
