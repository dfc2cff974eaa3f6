"""The formulation page: what the living model says of itself, component by component."""

from __future__ import annotations

import re

import pandas as pd
import pyomo.environ as pyo

from sopkit.supply.model import CASH, POLICY, PROMISES


def formulation(model: pyo.ConcreteModel) -> pd.DataFrame:
    """Table `supply_formulation` of a built model: what each part is, is defined over, and says."""
    rows = []
    for component in model.component_objects(
        (pyo.Set, pyo.Param, pyo.Var, pyo.Constraint, pyo.Expression, pyo.Objective)
    ):
        kind = _kind(model, component)
        if kind is None:
            continue
        sentence, unit = _unit(component.doc or "")
        rows.append(
            {
                "kind": kind,
                "name": component.name,
                "over": _over(component),
                "unit": unit,
                "sentence": sentence,
                "size": len(component) if component.ctype is pyo.Set else len(component.index_set()),
            }
        )
    return pd.DataFrame(rows)


def _kind(model: pyo.ConcreteModel, component: pyo.Component) -> str | None:
    if component.ctype is pyo.Set:
        return "set" if component.doc else None  # products of sets that Pyomo makes have no sentence
    if component.ctype is pyo.Constraint:
        return model.part_of[component.name]
    if component.ctype is pyo.Expression and component.name in PROMISES:
        return "promise"
    if component.ctype is pyo.Expression:
        return "cost" if component.name in (*CASH, *POLICY, "revenue") else None
    return {pyo.Param: "parameter", pyo.Var: "decision", pyo.Objective: "objective"}[component.ctype]


def _unit(doc: str) -> tuple[str, str]:
    """The sentence and the unit that stands in brackets at its end."""
    match = re.fullmatch(r"(.*?)(?: \(([^()]*)\))?", doc)
    return (match[1], match[2] or "") if match else (doc, "")


def _over(component: pyo.Component) -> str:
    """The sets it is defined over, as a reader would write them: `STOCKS x MONTHS`."""
    if not component.is_indexed():
        return ""
    index = component.index_set()
    return " x ".join(part.name for part in index.subsets()) if hasattr(index, "subsets") else index.name
