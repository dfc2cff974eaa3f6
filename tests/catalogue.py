"""The texts that sopkit says, found in its code and declarations; `python tests/catalogue.py fr` brings a catalogue up.

It adds what is missing to `sopkit/words/fr.po` with an empty translation, and takes out what nobody says any more.
A new language is a new file: `python tests/catalogue.py de` begins it.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from string import Formatter
from typing import get_args

from sopkit import kpis, words
from sopkit.charts.notation import SHOWN as SHOWN_BY_LOOK
from sopkit.collect import complete
from sopkit.publish.workbook import LEVELS, SHEETS
from sopkit.supply.check import _Rules
from sopkit.supply.explain import SHORTAGES
from sopkit.supply.formulation import _unit
from sopkit.supply.levers import WIDER
from sopkit.supply.limits import LIMITS
from sopkit.supply.model import CASH, POLICY
from sopkit.tables import RECORDS, STAGES, TABLES, Column
from sopkit.tables.company import Correction, Policies
from sopkit.tables.made import MADE
from sopkit.words import languages

PACKAGE = Path(languages.__file__).parents[1]
SAYS = ("say", "say_count", "several", "section", "nothing", "Show", "_pairs", "columns_of", "table", "swings")
ROOMS = ("figures", "sections", "explain", "archive")  # files that make figures
# of a figure's arguments those that are texts
TOLD = ("title", "look_for", "note", "none", "unit", "period", "start", "end", "over_name", "base_name")
# what analysts read who work with it: terminal, forms of the workbench, errors of the data; all in English
COLLECTED = ("figures", "complete", "cleanse")  # of collect: what is wrong with a cell is told to analysts
ENGLISH = ("cli.py", "workbench", "cycle", "records", "tables")
# words that stand in tables or in constants and are said where they are shown: module -> names
CONSTANTS = {
    "book.explain": ("PERIODS",), "charts.notation": ("SHOWN",), "decide.answers": ("UNDECIDED",),
    "charts.tables": ("NOT_KNOWN",), "charts.figure": ("NONE",),
    "decide.figures": ("STATES", "NO_RIVAL"), "decide.review": ("TOLD",), "decide.table": ("KEEP", "ALONE", "HAPPENS"),
    "demand.explain": ("LAYER_WORDS",), "demand.figures": ("LAYERS", "NOT_JUDGED"), "kpis": ("ERROR_SIGN",),
    "publish.asked": ("SHEET", "PRODUCT", "MARKET", "LINE", "REASON", "REMARK", "LAST_YEAR", "BASELINE", "NOW", "YOURS",
                      "REASONS"),
    "publish.audiences": ("READERS",), "publish.figures": ("SHEET", "MEASURED"), "publish.pack": ("STATUS",),
    "publish.sections": ("BUDGET", "LAST"), "publish.summary": ("NAME", "AGAINST"),
    "publish.workbook": ("FIRST", "FROM"),
    "reconcile.compare": ("BASE_TITLE",), "reconcile.figures": ("GAPS", "BRIDGE", "SALES", "TIED", "CASH", "FUTURES"),
    "reconcile.finance": ("LINES", "OPTIONS"), "reconcile.risk": ("MEASURES",),
    "demand.judged": ("STEP_WORDS", "STREAM_WORDS"), "demand.segments": ("_ADVICE",),
    "supply.limits": ("KEPT", "MISSED"), "collect.complete": ("UNSAID",), "supply.figures": ("MODES",),
    "charts.lint": ("MESSAGE",),
}  # fmt: skip
# words that rooms write into tables as codes, and figures show
CODES = """
plan|budget|actual|hour|last year|last plan|scenario|rest|maximum|safety stock|All|result|gross margin|all|yes|no
units|open|doing|done|dropped|late|at risk|on track|missed|not known|not started|made|ready|signed|stale
shortfall|turns a year|level|trend|season|method|drivers|last change|note|who was right|looked at|Launch
Retirement|each row in its own unit|False|True|records|holds|BROKEN|Version|Written by|Rows|sha256|count|seconds
deals|rows|overrides|hours|people|share|sales and numbers disagree|moved since last cycle
consensus leaned one way|last month missed|one deal, all or nothing|launch|campaign promises too much
override without evidence|hard to forecast|overtime|temporary people|hire|expedite|second supplier|new supplier
subcontract|express order|more from supplier|build ahead|hierarchy|seasonal naive|range|history|working days
limits|last cycle|strategy|The plan as it stands|rules|solver|status|Optimal|variables|whole-number decisions
gap in money|profit|none|company|Cash|Service penalties, not cash|finished goods|materials
demand waiting or lost|missing from safety stock|sales department's forecast|statistical baseline|pipeline
result after penalties|fill rate|lowest cash|mean stock value
""".replace("\n", "|").strip("|").split("|")  # fmt: skip
APART = {"All", "Last month", "People", "Rest", "Supply"}


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
    if isinstance(node.func, ast.Attribute):
        return "" if node.func.attr in ("say", "several") else node.func.attr
    return getattr(node.func, "id", "")


def said() -> tuple[set[str], set[tuple[str, str]]]:
    """Every text that is said, and every pair of texts of which a count takes one."""
    texts: set[str] = set()
    pairs: set[tuple[str, str]] = set()
    for path in sorted(PACKAGE.rglob("*.py")):
        if (
            path.relative_to(PACKAGE).parts[0] in ENGLISH
            or path.parent.name == "collect"
            and path.stem not in COLLECTED
        ):
            continue
        text = path.read_text(encoding="utf-8")
        tree = ast.parse(text)
        spoken = "say(" in text or "say_count(" in text
        apart = {child for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for child in ast.walk(node)}
        apart |= {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            # a template that a variable or constant brings to `say`
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in apart and spoken:
                texts.update([node.value] if _template(node.value) and path.name != "languages.py" else [])
            if isinstance(node, ast.keyword) and node.arg in TOLD and path.stem in ROOMS:
                texts.update(_texts(node.value))
            name = _called(node) if isinstance(node, ast.Call) else ""
            if name not in SAYS or not isinstance(node, ast.Call):
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
            elif name in ("section", "nothing", "Show", "_pairs"):
                texts.update(text for part in told[name == "section" : 1 if name == "Show" else None] for text in part)
                texts.update(_columns(node) if name == "_pairs" else ())
            elif name in ("columns_of", "table", "swings") and spoken:
                shows = [one for one in node.args if isinstance(one, ast.Dict)]
                texts.update(text for one in shows for text in _texts(one))
                texts.update(_titles(node) if name == "columns_of" else ())
    for path in sorted(PACKAGE.rglob("*.j2")):
        texts.update(re.findall(r'say\("([^"]+)"', path.read_text(encoding="utf-8")))
    texts |= {*_words()}
    forms = {text for pair in pairs for text in pair}
    # a heading is found by its words; these say something else than the word in a sentence
    low = {text for text in texts - APART if text[:1].isupper() and text[:1].lower() + text[1:] in texts}
    return {text for text in texts - forms - low if re.search("[A-Za-zΔ]{2}", text)}, pairs


def _template(text: str) -> bool:
    """Whether a constant is a sentence or label with named parts."""
    try:
        names = [name for _, name, _, _ in Formatter().parse(text) if name is not None]
    except ValueError:
        return False
    rest = re.sub(r"{\w+}", "", text)
    odd = re.search(r"[\\^`$]|{http", text)
    return (
        not odd and bool(names) and all(name.isidentifier() for name in names) and bool(re.search(r"[A-Za-z]{2}", rest))
    )


def _titles(node: ast.Call) -> set[str]:
    """Headings given to columns, and the names of the others, of a declared table."""
    given = {word.arg: word.value for word in node.keywords}
    shown = " ".join(text for arg in node.args[1:2] for text in _texts(arg)).replace("+", "").split()
    return {_plain(name) for name in shown if name not in given} | {t for one in given.values() for t in _texts(one)}


def _columns(node: ast.Call) -> set[str]:
    """Headings of a frame that a call makes in place: `pd.DataFrame(rows, columns=["Policy", "Setting"])`."""
    inner = [word for one in ast.walk(node) if isinstance(one, ast.Call) for word in one.keywords]
    return {text for word in inner if word.arg == "columns" for text in _texts(word.value)}


def _plain(name: str) -> str:
    return " ".join(w.upper() if w in words._CAPITALS else w for w in name.split("_"))


def _column(column: Column) -> Iterator[str]:
    yield from (_plain(column.name), column.meaning, column.unit, *column.choices)


def _words() -> Iterator[str]:
    """Texts of declarations: tables and columns that are shown, KPIs, stages, settings, the glossary, constants."""
    yield from CODES
    yield from SHEETS
    yield from (f"{scale} {{{unit}}}" for scale in ("thousand", "million", "billion") for unit in ("currency", "unit"))
    for name, meaning in LEVELS.items():
        yield from (_plain(name), meaning)
    for kpi in kpis.KPIS.values():
        yield from (kpi.title, kpi.measured, kpi.unit)
    for term in words.GLOSSARY:
        yield from (term.term, term.meaning, *([term.formula] if re.search("[a-z]{3}", term.formula) else []))
    for stage in STAGES:
        yield from (stage.name.capitalize(), stage.question, stage.name)
    for room, names in CONSTANTS.items():
        module = import_module(f"sopkit.{room}")
        for name in names:
            yield from _flat(getattr(module, name))
    for made in MADE:
        yield made.words
    yield from SHOWN_BY_LOOK
    yield from kpis.MEASURES
    yield from (limit.one_more for limit in LIMITS.values())
    yield from (told for *_, told in (*WIDER, *SHORTAGES.values()))
    for name in (*CASH, *POLICY, "revenue"):
        yield from (name, name.replace("_", " "))
    yield from get_args(Correction)
    yield from (rule.removeprefix("rule_").replace("_", " ") for rule in dir(_Rules) if rule.startswith("rule_"))
    yield from (f"money: {name.replace('_', ' ')}" for name in (*CASH, *POLICY, "revenue", "profit"))
    yield from _docs()
    for path in ("complete.py",):
        for node in ast.walk(ast.parse((PACKAGE / "collect" / path).read_text(encoding="utf-8"))):
            if isinstance(node, ast.Yield) and isinstance(node.value, ast.Tuple):
                yield from _texts(node.value.elts[1])
    yield f"products with {complete.HISTORY} months of history, their own or a like-product's"
    yield f"up to date, of the last {complete.STALE} months"
    for table in TABLES.values():
        yield from (choice for column in table for choice in column.choices if table.stage or table in RECORDS)
        yield from (table.name.replace("_", " "), table.owner)
        yield from (column.meaning for column in table if column.name in EXPLAINED.get(table.name, ()))
        if table.name in SHOWN:
            yield table.meaning if table.name in SHEETS.values() else ""
            for column in table:
                yield from _column(column)
    for name, field in Policies.model_fields.items():
        yield name.replace("_", " ")
        yield field.default if isinstance(field.default, str) else ""


# columns of other tables that explanations come down to, with what they mean
EXPLAINED = {"sales_forecast": ("quantity",)}
# tables whose every column is shown somewhere
SHOWN = {*SHEETS.values()}


def _docs() -> Iterator[str]:
    """What the model says of its objective, decisions, rules and costs, and the units that stand behind it."""
    tree = ast.parse((PACKAGE / "supply" / "model.py").read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or _called(node) not in ("Var", "Constraint", "Expression", "Objective"):
            continue
        for text in (text for word in node.keywords if word.arg == "doc" for text in _texts(word.value)):
            sentence, unit = _unit(text)
            yield from (sentence, unit)


def _flat(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from (text for one in value.values() for text in _flat(one))
    elif isinstance(value, list | tuple):
        yield from (text for one in value for text in _flat(one))


def bring_up(name: str) -> tuple[list[str], list[str]]:
    """Write catalogue `name` with every text that is said; those it lacks, and those that nobody says any more."""
    from babel.messages import Catalog
    from babel.messages.pofile import read_po, write_po

    path = languages.FOLDER / f"{name}.po"
    texts, pairs = said()
    before = Catalog(locale=name)
    if path.exists():
        with path.open(encoding="utf-8") as file:
            before = read_po(file, locale=name)
    words_ = before.locale.english_name if before.locale else name
    after = Catalog(locale=name, project="sopkit", header_comment=f"# {words_} texts of sopkit", fuzzy=False)
    for text in sorted([*texts, *pairs], key=lambda one: one if isinstance(one, str) else one[0]):
        known = before.get(text)
        after.add(text, known.string if known else None)
    lacking = [str(one.id) for one in after if one.id and not (all(one.string) if one.pluralizable else one.string)]
    with path.open("wb") as file:
        write_po(file, after, width=0, omit_header=False)
    return lacking, [str(one.id) for one in before if one.id and one.id not in after]


if __name__ == "__main__":
    lacking, dead = bring_up(sys.argv[1])
    print(f"{len(lacking)} texts to translate; {len(dead)} taken out that nobody says any more")
