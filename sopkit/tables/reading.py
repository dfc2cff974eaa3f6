"""`company.yaml` and a company's other YAML files, checked before anything is read: every mistake with its line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, TypeAdapter, ValidationError

from sopkit.errors import SettingsError, nearest, plural
from sopkit.tables.company import ALWAYS, Company
from sopkit.words.languages import speak

Kind = TypeVar("Kind")
Place = tuple[Any, ...]  # keys and numbers that lead to a part of a document


def _lines(node: yaml.Node, path: Place, twice: list[str]) -> dict[Place, int]:
    """The line of every key and item in a YAML document, by its path; keys that stood there before go into `twice`."""
    lines = {path: node.start_mark.line + 1}
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            where, line = (*path, key.value), key.start_mark.line + 1
            if where in lines:
                twice.append(f"  line {line}: {key.value} stands here again; YAML would keep only the last")
            lines |= _lines(value, where, twice) | {where: line}
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            lines |= _lines(value, (*path, index), twice)
    return lines


def _composed(text: str) -> yaml.Node | None:
    """What `text` says, read by libyaml where PyYAML has it; where that refuses it, PyYAML says why."""
    if yaml.__with_libyaml__:
        with suppress(yaml.YAMLError):
            return yaml.compose(text, Loader=yaml.CSafeLoader)
    return yaml.compose(text, Loader=yaml.SafeLoader)


def load_yaml(path: Path) -> tuple[Any, dict[Place, int]]:
    """The document at `path` and the line of each of its parts; raises SettingsError where it is not YAML."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        fix = "Make it with `sopkit new`, or correct the company's name."
        raise SettingsError(f"{path} does not exist. {fix}") from None
    except UnicodeDecodeError as error:
        at = error.object[: error.start].count(b"\n") + 1
        raise SettingsError(f"{path}, line {at}: not text in UTF-8. Save the file as UTF-8 again.") from None
    try:
        node, twice = _composed(text), list[str]()
        lines = _lines(node, (), twice) if node else {}
        if twice:
            raise SettingsError("\n".join([f"{path} has {plural(len(twice), 'mistake')}:", *twice]))
        return (yaml.SafeLoader("").construct_document(node) if node else None) or {}, lines
    except yaml.MarkedYAMLError as error:
        line = str(error.problem_mark.line + 1) if error.problem_mark else "?"
        raise SettingsError(f"{path}, line {line}: {error.problem}. Correct the YAML there.") from None


def to_yaml(document: Any) -> str:
    """`document` as YAML a person can read and correct, in its own order."""
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=110, default_flow_style=None)


def line_of(lines: Mapping[Place, int], where: Place) -> int:
    """The line of the setting at path `where`, or of the nearest one above it that stands in the file."""
    return next((lines[where[:n]] for n in range(len(where), -1, -1) if where[:n] in lines), 1)


def _fields_at(kind: Any, where: Place) -> Mapping[str, Any]:
    """The fields of the settings class found at `where` inside `kind`, through lists and dictionaries."""
    for part in where:
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            kind = kind.model_fields[part].annotation if part in kind.model_fields else None
        else:  # list[X], dict[str, X], X | None: the class is among the arguments
            kind = next((arg for arg in reversed(get_args(kind)) if arg not in (str, type(None))), None)
    return getattr(kind, "model_fields", {})


def validated(kind: type[Kind], document: Any, lines: dict[Place, int], path: Path) -> Kind:
    """`document` as `kind`, a settings class or a list or dictionary of one.

    Raises SettingsError that lists every mistake with its line and the nearest valid names.
    """
    try:
        return TypeAdapter(kind).validate_python(document)
    except ValidationError as error:
        found = []
        for mistake in error.errors():
            where = tuple(part for part in mistake["loc"] if part not in ("[key]", ALWAYS))
            message = mistake["msg"].removeprefix("Value error, ")
            if mistake["type"] == "extra_forbidden":
                message = "no such setting; " + nearest(str(where[-1]), _fields_at(kind, where[:-1]))
            elif mistake["type"] == "literal_error":
                expected = mistake["ctx"]["expected"]
                hint = nearest(str(mistake["input"]), re.findall(r"'([^']*)'", expected))
                message = f"{mistake['input']!r} is not valid; "
                message += hint if hint.startswith("did you mean") else f"write {expected}"
            found.append(f"  line {line_of(lines, where)}: {'.'.join(map(str, where))}: {message}")
        found = sorted(dict.fromkeys(found), key=lambda text: int(text.split(":")[0].split()[-1]))
        raise SettingsError(f"{path} has {plural(len(found), 'mistake')}:\n" + "\n".join(found)) from None


def load_company(folder: Path) -> Company:
    """The settings in `folder`/company.yaml; raises SettingsError naming each wrong line."""
    path = folder / "company.yaml"
    document, lines = load_yaml(path)
    company = validated(Company, document, lines, path)
    speak(company.language)
    return company


def parse_cycle(text: str) -> str:
    """A cycle's name, `YYYY-MM`; raises SettingsError for anything else."""
    try:
        return date.fromisoformat(f"{text}-01").strftime("%Y-%m")
    except (TypeError, ValueError):
        raise SettingsError(f"cycle {text!r} is not a month. Write it like 2026-11.") from None
