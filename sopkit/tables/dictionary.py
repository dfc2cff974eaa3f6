"""The data dictionary, made from the declarations: `python -m sopkit.tables.dictionary` writes data/README.md.

With the folder of a finished cycle (`reports/demo/2026-11`) the examples of the plan tables are taken from it anew.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from string import Template
from typing import Any, Literal, NamedTuple, get_args, get_origin

import pandas as pd
import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from sopkit.tables import INPUTS, PLANS, RECORDS, STAGES, TABLES, Column, Company, Table
from sopkit.words import GLOSSARY

EXAMPLES = Path(__file__).with_name("examples.yaml")
WHOLE = Template(Path(__file__).with_suffix(".md").read_text(encoding="utf-8"))
PARTS = (
    ("inputs", "What a company brings. Stage collect reads and checks it.", INPUTS),
    ("records", "What people recorded, kept in the records database.", RECORDS),
    ("plans", "What the stages write; they are in the `tables` folder of a cycle.", PLANS),
)
KINDS = {str: "text", bool: "yes or no", int: "whole number", float: "number", tuple: "list", dict: "names and values"}
# a name of one's own, as the commented settings show it
NAMED = {
    "<kpi>": "fill_rate", "<stream>": "statistical", "<stage>": "demand", "<name>": "erp", "<file>": "orders_*.csv",
    "<table>": "sales_history",
}  # fmt: skip
OF_KIND = {"kpi_targets": "kpi", "streams": "stream", "workflow": "stage", "tables": "table", "raw_files": "file"}
LIMITS = {"ge": "at least {}", "le": "at most {}", "max_length": "at most {} character", "pattern": "fits {}"}


class Setting(NamedTuple):
    """One setting of company.yaml, in words."""

    path: str
    kind: str
    default: str
    unit: str
    allowed: str
    meaning: str
    example: str
    written: str  # as YAML


def markdown() -> str:
    """The whole dictionary: every table column by column, then every setting, then the glossary."""
    tables = (line for part in PARTS for line in _part(*part))
    rows = {"settings": (_row(f"`{one.path}`", *one[1:-1]) for one in settings())}
    rows |= {"glossary": (_row(term.term, term.meaning, term.formula) for term in GLOSSARY), "tables": tables}
    return WHOLE.substitute({name: "\n".join(lines) for name, lines in rows.items()})


def _part(name: str, meaning: str, tables: Sequence[Table]) -> Iterator[str]:
    yield f"# {name.capitalize()}\n\n{meaning}\n\n| table | who knows | one row is |\n|---|---|---|"
    for table in tables:
        needed = "" if table.required or name != "inputs" else " (not needed)"
        yield _row(f"[{table.name}](#{table.name}){needed}", table.owner, table.meaning)
    for table in tables:
        yield from _section(table)
    yield ""


def _section(table: Table) -> Iterator[str]:
    people = {INPUTS: "the company; stage collect checks it", RECORDS: "people, through the forms and `sopkit sign`"}
    writer = next((who for tables, who in people.items() if table in tables), f"stage {table.stage}")
    yield f"\n## {table.name}\n"
    key = f" Key: {', '.join(f'`{name}`' for name in table.key)}." if table.key else ""
    yield f"{table.meaning}{key} Written by: {writer}. Read by: {', '.join(readers(table))}.\n"
    yield "| column | meaning | unit | allowed | empty | adds up | example |"
    yield "|---|---|---|---|---|---|---|"
    for column in table:
        meaning = column.meaning + f"; {column.better} is better" * bool(column.better)
        about = (meaning, column.unit, column.allowed, _empty(column), column.adding)
        yield _row(f"`{column.name}`", *about, example(table, column))
    for later, earlier in table.not_before:
        yield f"\n`{later}` may not lie before `{earlier}`."
    if table.apart:
        names = ", ".join(f"`{name}`" for name in table.apart)
        yield f"\nRows of different {names} are never added up."


def readers(table: Table) -> list[str]:
    """Who reads a table: the stages that declare it, and the report."""
    return [f"stage {one.name}" for one in STAGES if table.name in one.reads] or ["stage publish"]


def example(table: Table, column: Column) -> str:
    """An example of a cell: the declared one, that of the key it refers to, or one of the demo company's plan."""
    if column.example is None and column.refs:
        column = TABLES[column.refs[0]].columns[0]
    if column.example not in (None, ""):
        return _shown(column.example)
    return _shown(_EXAMPLES.get(table.name, {}).get(column.name, ""))


def examples_from(folder: Path) -> dict[str, dict[str, Any]]:
    """Of every plan table in the `tables` folder of a cycle, the first row with the fewest empty cells."""
    found = {}
    for table in PLANS:
        frame = pd.read_parquet(folder / "tables" / f"{table.name}.parquet")
        frame = frame.reindex(columns=[c.name for c in table if c.example is None])
        if frame.empty:
            continue
        row = frame.loc[frame.replace("", pd.NA).notna().sum(axis=1).idxmax()]
        there = {name: value for name, value in row.items() if not pd.isna(value) and value != ""}
        found[table.name] = {name: _plain(table[name], value) for name, value in there.items()}
    return found


def _plain(column: Column, value: Any) -> Any:
    if column.kind in ("month", "date"):
        return f"{value:%Y-%m}" if column.kind == "month" else f"{value:%Y-%m-%d}"
    return float(f"{value:.4g}") if column.kind == "number" else getattr(value, "item", lambda: value)()


def settings(kind: type[BaseModel] = Company, path: str = "") -> Iterator[Setting]:
    """Every setting of `kind` and of the parts inside it."""
    for name, field in kind.model_fields.items():
        inner = next((part for part in _parts(field.annotation) if issubclass(part, BaseModel)), None)
        if field.description:
            yield _setting(f"{path}{name}", field)
        if inner:
            own = f"<{OF_KIND.get(name, 'name')}>." if get_origin(field.annotation) is dict else ""
            yield from settings(inner, f"{path}{name}.{own}")


def commented() -> str:
    """Every setting of company.yaml as a comment with its default or example: take the mark away to set it."""
    known = [(one, tuple(NAMED.get(part, part) for part in one.path.split("."))) for one in settings()]
    parents = {names[:depth] for _, names in known for depth in range(1, len(names))}
    lines: dict[tuple[str, ...], str] = {}
    for one, names in known:
        for depth in range(1, len(names)):
            lines.setdefault(names[:depth], f"# {'  ' * (depth - 1)}{names[depth - 1]}:")
        value = "" if names in parents else f" {one.written}"
        about = one.meaning + (f" ({one.unit})" if one.unit else "")
        lines[names] = f"# {'  ' * (len(names) - 1)}{names[-1]}:{value}    # {about}"
    lines.pop(("name",))  # stands above
    return "\n".join(lines.values()) + "\n"


def _parts(kind: Any) -> Iterator[type]:
    if isinstance(kind, type) and get_origin(kind) is None:
        yield kind
    for part in get_args(kind):
        yield from _parts(part) if get_origin(kind) is not Literal else ()


def _setting(path: str, field: FieldInfo) -> Setting:
    kind, more = field.annotation, field.json_schema_extra
    kinds = [KINDS[part] for part in (get_origin(kind), *_parts(kind)) if part in KINDS]
    rules = [(text, getattr(rule, name, None)) for rule in field.metadata for name, text in LIMITS.items()]
    choices = [word for part in (kind, *get_args(kind)) if get_origin(part) is Literal for word in get_args(part)]
    allowed = ["one of " + ", ".join(choices)] if choices else []
    allowed += [text.format(limit) for text, limit in rules if limit is not None]
    example = (field.examples or [""])[0]
    shown = example if field.is_required() or field.default in (None, "", (), {}) else field.default
    as_yaml = isinstance(shown, str) and shown.startswith(("{", "["))
    return Setting(
        path,
        kinds[0] if kinds else "text",
        "must be set" if field.is_required() else _shown(field.default),
        str(more.get("unit", "")) if isinstance(more, dict) else "",
        ", ".join(allowed),
        field.description or "",
        _shown(example),
        shown if as_yaml else json.dumps(shown, default=str, ensure_ascii=False),
    )


def _empty(column: Column) -> str:
    if column.required:
        return "refused"
    return "allowed" if column.default in (None, "") else f"means {_shown(column.default)}"


def _shown(value: Any) -> str:
    if value in (None, "") or value == {}:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return "[" + ", ".join(map(_shown, value)) + "]"
    if isinstance(value, dict):
        return ", ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) and value < 1e6 else str(value)


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


_EXAMPLES: dict[str, dict[str, Any]] = yaml.safe_load(EXAMPLES.read_text(encoding="utf-8"))


if __name__ == "__main__":
    if sys.argv[1:]:
        _EXAMPLES = examples_from(Path(sys.argv[1]))
        text = yaml.safe_dump(_EXAMPLES, sort_keys=False, allow_unicode=True, width=1000)
        EXAMPLES.write_text(text, encoding="utf-8")
    (Path(__file__).resolve().parents[2] / "data" / "README.md").write_text(markdown(), encoding="utf-8")
