"""Appendix A, one sheet a family; appendix B, everything needed to make the same plan again."""

from __future__ import annotations

from typing import Any

import pandas as pd

from sopkit import charts, kpis
from sopkit.charts import Figure, Show
from sopkit.publish.paper import Paper, section
from sopkit.words import number, several, than

SHEET_ROWS = {
    "last year": "sold in the month a year before",
    "consensus": "consensus",
    "p10": "low (P10)",
    "p90": "high (P90)",
    "sales": "sales department",
    "supplied": "made and bought",
    "delivered": "delivered",
    "stock": "stock at the end",
    "safety": "safety stock wanted",
    "budget": "stock in the budget",
}


def families(paper: Paper) -> dict[str, Any]:
    """One sheet a family: its months, and its products with two years behind and the plan ahead."""
    names = paper.names("families")
    known = [family for family in names if family in set(paper.family.values())]
    body: list[Figure | str] = []
    for family in known:
        products = [product for product, of in paper.family.items() if of == family]
        body += [_months(paper, names[family], family, products), _products(paper, names[family], products)]
    return section(
        "families", "One sheet a family", f"{several(len(known), 'family', 'families')}, month by month.", *body
    )


def _of(frame: pd.DataFrame, products: list[str], column: str, key: str = "product") -> pd.Series:
    return frame[frame[key].isin(products)].groupby("month")[column].sum(min_count=1)


def _months(paper: Paper, name: str, family: str, products: list[str]) -> Figure:
    plan, stock, budget = paper["demand_plan"], paper["stock"], paper["budget"]
    year_ago = _of(paper["sales_history"], products, "quantity")
    year_ago.index = year_ago.index + pd.DateOffset(years=1)
    values = {
        "last year": year_ago,
        **{column: _of(plan, products, column) for column in ("consensus", "p10", "p90", "sales")},
        "supplied": _of(paper["supply_plan"], products, "quantity", "item"),
        "delivered": _of(paper["deliveries"], products, "delivered"),
        "stock": _of(stock, products, "closing", "item"),
        "safety": _of(stock, products, "safety_stock", "item"),
        "budget": budget[budget["family"] == family].groupby("month")["stock"].sum(),
    }
    rows = pd.concat(
        [
            pd.DataFrame({"line": SHEET_ROWS[line], "month": v.index, "units": v.to_numpy()})
            for line, v in values.items()
        ]
    )
    rows = rows[rows["month"].isin(paper.months)].dropna()
    ahead, back = values["consensus"].reindex(paper.year).sum(), values["last year"].reindex(paper.year).sum()
    said = f"{name}: {number(ahead)} {paper.units} in the {paper.span}" + (
        f", {than(ahead / back - 1)} the year before." if back else "."
    )
    return charts.statement(
        rows,
        "line",
        "month",
        "units",
        rows=list(SHEET_ROWS.values()),
        bold=("consensus",),
        title=f"{name}, month by month",
        unit=paper.units,
        look_for=said,
        none=f"Nothing is planned for {name}.",
    )


def _products(paper: Paper, name: str, products: list[str]) -> Figure:
    sold, plan, stock = paper["sales_history"], paper["demand_plan"], paper["stock"]
    past = pd.date_range(end=paper.first - pd.offsets.MonthBegin(), periods=24, freq="MS")
    called, rows = paper.names("products"), []
    served_by, class_of = paper.near(paper["deliveries"]).groupby("product"), paper["segments"].set_index("product")
    for product in products:
        back = _of(sold, [product], "quantity").reindex(past)
        ahead = _of(plan, [product], "consensus").reindex(paper.months)
        near, last = ahead.reindex(paper.year).sum(), back.tail(12).sum()
        opening = stock[(stock["item"] == product) & (stock["month"] == paper.first)]["opening"].sum()
        served = served_by.get_group(product) if product in served_by.groups else paper["deliveries"].head(0)
        rows.append(
            {
                "product": called[product],
                "line": [*back, *ahead],
                "last": last,
                "near": near,
                "growth": near / last - 1 if last else float("nan"),
                "cover": kpis.days_of_cover(opening, ahead.fillna(0), ahead.index.days_in_month),
                "fill": kpis.fill_rate(kpis.units_on_time(served), served["demand"]) if len(served) else float("nan"),
                "class": " ".join(class_of.loc[product, ["abc", "xyz"]]) if product in class_of.index else "",
            }
        )
    frame = pd.DataFrame(rows).astype({"growth": float, "cover": float, "fill": float})
    return charts.table(
        frame,
        {
            "product": "Product",
            "line": Show("Two years and the plan", planned_from=24),
            "last": Show("Last 12 months", paper.units),
            "near": Show(f"Next {len(paper.year)}", paper.units),
            "growth": Show("Growth", "share", True),
            "cover": Show("Stock covers today", "days"),
            "fill": Show("Fill rate", "share"),
            "class": "Class",
        },
        title=f"{name}, product by product",
        unit="lines: past solid, plan dashed",
        note="Class: value A to C, steadiness X to Z.",
    )


def reproduce(paper: Paper) -> dict[str, Any]:
    """Versions, solver, parameters, hashes, checks, the model's rules, and where every word is defined."""
    manifest, run = paper.manifest, paper["supply_run"]
    checks = paper["supply_checks"]
    broken = checks[~checks["holds"]]
    versions = pd.DataFrame(
        [{"what": name, "value": value} for name, value in sorted(manifest.get("versions", {}).items())]
    )
    parameters = pd.DataFrame(
        [
            {
                "stage": stage,
                "value": ", ".join(f"{k} = {v}" for k, v in sorted((entry.get("parameters") or {}).items()))
                or "defaults",
                "seconds": float(entry.get("seconds") or float("nan")),
            }
            for stage, entry in manifest.get("stages", {}).items()
        ]
    )
    hashes = pd.DataFrame(
        [
            {"table": name, "stage": entry["stage"], "rows": entry["rows"], "sha256": entry["sha256"]}
            for name, entry in sorted(manifest.get("tables", {}).items())
        ]
    )
    policies = pd.DataFrame(
        [{"what": name.replace("_", " "), "value": str(value)} for name, value in paper.company.policies]
    )
    formulas = pd.DataFrame(
        [{"kpi": kpi.title, "unit": kpi.unit, "measured": kpi.measured} for kpi in kpis.KPIS.values()]
    )
    status = dict(zip(run["measure"], run["value"], strict=True)).get("status", "")
    solved = f"The solver calls this plan {status.lower()}; it " if status else "This plan "
    if broken.empty:
        kept = (
            f"holds all {len(checks):,} rules when re-derived without the model."
            if len(checks)
            else "was not re-derived."
        )
    else:
        kept = f"breaks {several(len(broken), 'rule')} when re-derived without the model."
    headline = solved + kept
    return section(
        "reproduce",
        "How to make it again",
        headline,
        f"sopkit reproduce --company {manifest.get('company', '…')} --cycle {paper.cycle} makes it again from its "
        "own folder and compares every hash. The data dictionary, data/README.md of the project, explains all columns.",
        "The numbers to go on working with are in plan.xlsx, which lies beside this page.",
        charts.table(
            run,
            {"measure": "Measure", "value": "Value"},
            title="How it was solved",
            unit="as the solver says",
            none="No solver run is recorded.",
        ),
        charts.table(
            _formulation(paper),
            {
                "kind": "Part",
                "name": "Name",
                "sentence": "What it says",
                "over": "For each",
                "unit": "Unit",
                "size": Show("How many", "count"),
            },
            title="The model",
            unit="generated from the model that was solved",
            none="No formulation is recorded.",
        ),
        charts.table(
            checks.assign(
                holds=checks["holds"].map({True: "holds", False: "BROKEN"}), rule=checks["rule"].str.replace("_", " ")
            ),
            {
                "rule": "Rule",
                "rows": Show("Looked at", "rows"),
                "worst": Show("Largest violation", "units or money"),
                "holds": "Result",
            },
            title="The plan re-derived without the model",
            unit="every rule, every row",
            none="The plan was not re-derived.",
        ),
        charts.table(
            policies, {"what": "Policy", "value": "Setting"}, title="Policies of this company", unit="company.yaml"
        ),
        charts.table(
            formulas,
            {"kpi": "KPI", "unit": "Unit", "measured": "What is measured"},
            title="What each KPI measures",
            unit="formulas with their sources in sopkit/kpis.py",
        ),
        charts.table(
            versions,
            {"what": "Software", "value": "Version"},
            title="Software",
            unit="versions",
            none="No versions are recorded.",
        ),
        charts.table(
            parameters,
            {"stage": "Stage", "value": "Parameters", "seconds": Show("Took", "seconds")},
            title="Parameters of the run",
            unit="by stage",
            none="No parameters are recorded.",
        ),
        charts.table(
            hashes,
            {"table": "Table", "stage": "Written by", "rows": Show("Rows", "rows"), "sha256": "sha256"},
            title="Every table of this cycle",
            unit="sha256 of its file",
            none="No hashes are recorded.",
        ),
    )


def _formulation(paper: Paper) -> pd.DataFrame:
    """The model's objective, decisions, rules and costs; its sets and parameters stay in the cycle's table."""
    parts = ["objective", "decision", "balance", "limit", "policy", "cost"]
    rules = paper["supply_formulation"].query("kind in @parts and size > 0")
    return rules.sort_values(
        ["kind", "name"], key=lambda c: c.map(parts.index) if c.name == "kind" else c, kind="stable"
    )


def appendices(paper: Paper) -> list[dict[str, Any]]:
    """Appendix A and B."""
    return [families(paper), reproduce(paper)]
