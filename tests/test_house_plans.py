"""The script that compares plans finds a changed number, and takes a renamed column for what it is."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from compare_plans import differences, tables

WHY = pd.DataFrame(
    {"item": ["P", "Q"], "month": pd.Timestamp("2026-11-01"), "worth": [1.5, float("nan")], "sentence": ["so", "so"]}
)
FINDINGS = pd.DataFrame({"table": ["bom", "lanes"], "row": [3, 4], "severity": ["stop", "look"], "cure": ["a", "b"]})


def kept(folder: Path, **frames: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """A cycle folder with these tables, as the script reads it."""
    (folder / "tables").mkdir(parents=True)
    for name, frame in frames.items():
        frame.to_parquet(folder / "tables" / f"{name}.parquet")
    return tables(folder)


def now() -> dict[str, pd.DataFrame]:
    """The tables above under their names of today."""
    findings = FINDINGS.rename(columns={"cure": "fix"}).assign(severity=["error", "warning"])
    return {"why_short": WHY.rename(columns={"worth": "shadow_price"}), "findings": findings}


def test_renamed_columns_values_and_tables_are_no_difference(tmp_path: Path) -> None:
    before = kept(tmp_path / "a", why_short=WHY, findings=FINDINGS, targets=FINDINGS[["row"]])
    after = kept(tmp_path / "b", budget=FINDINGS[["row"]], **now())
    assert differences(before, after) == ([], [])


def test_a_changed_number_code_month_or_row_is_found(tmp_path: Path) -> None:
    before = kept(tmp_path / "a", why_short=WHY)
    why = now()["why_short"]
    for change, column in (
        (why.assign(shadow_price=[1.5 + 1e-6, float("nan")]), "shadow_price"),
        (why.assign(shadow_price=[1.5, 0.0]), "shadow_price"),
        (why.assign(item=["P", "R"]), "item"),
        (why.assign(month=pd.Timestamp("2026-12-01")), "month"),
    ):
        wrong, words = differences(before, {"why_short": change})
        assert len(wrong) == 1 and wrong[0].startswith(f"why_short.{column}: ") and words == []
    assert differences(before, {"why_short": why.head(1)}) == (["why_short: 2 rows before, 1 now"], [])
    assert differences(before, {"why_short": why.drop(columns="shadow_price")})[0] == [
        "why_short.shadow_price: is gone"
    ]
    assert differences(before, {})[0] == ["why_short: is gone"]


def test_other_words_are_told_apart_and_order_is_no_difference(tmp_path: Path) -> None:
    before = kept(tmp_path / "a", why_short=WHY)
    after = now()["why_short"].iloc[::-1].assign(sentence=["so", "because"])
    wrong, words = differences(before, {"why_short": after, "more": after})
    assert wrong == [] and words == ["more: is new", "why_short.sentence: 1 of 2 rows, 'so' -> 'because'"]
