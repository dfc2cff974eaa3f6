"""Three cycles in a row on the demo through the real commands: an option is adopted, carried, done and judged."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from sopkit import cli
from sopkit.cycle import Cycle

QUESTION = "Which plan do we run?"


def typed(*words: str) -> str:
    """What `sopkit WORDS` prints; its error is raised."""
    done = CliRunner().invoke(cli.app, [words[0], "--company", "demo", *words[1:]])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.output


def answer(cycle: str, question: str, option: str) -> None:
    c = Cycle.open("demo", cycle)
    said = {"question": question, "option": option, "reason": "agreed", "status": "approved", "owner": "Tomas Novak"}
    c.records.add("decisions", author="Greta Holm", cycle=cycle, plan_hash=c.plan_hash("reconcile"), **said)


def a_month_passes(data: Path, month: str, sold: pd.DataFrame) -> None:
    """The company's exports a month later: what the plan had expected was sold."""
    path = data / "demo" / "sales_history.csv"
    rows = sold[sold["month"] == month].assign(month=month, quantity=lambda f: f["consensus"].round())
    rows["revenue"] = (rows["quantity"] * rows["price"]).round(2)
    history = pd.read_csv(path, dtype=str)
    pd.concat([history, rows[["month", "product", "market", "quantity", "revenue"]]]).to_csv(path, index=False)


@pytest.mark.filterwarnings("ignore")
def test_an_option_is_adopted_carried_done_and_judged(own_run: Path) -> None:
    data = own_run / "data"
    first = Cycle.open("demo", "2026-11")
    for question, option in zip(first.read("decision_log")["question"], ("base", "second_shift"), strict=True):
        answer("2026-11", question, option)
    typed("run", "--cycle", "2026-11", "--from", "decide")
    typed("publish", "--cycle", "2026-11", "--by", "Greta Holm")
    assert first.manifest["frozen"]["by"] == "Greta Holm" and first.verify() == []
    was = first.read("adopted").iloc[0]
    assert was["option"] == "second_shift" and was["expected"] > 0
    # the month after: two commands; nothing is copied, the shift is in the plan though no table of the company holds it
    a_month_passes(data, "2026-11", first.read("demand_plan"))
    settings = data / "demo" / "company.yaml"
    settings.write_text(settings.read_text().replace("horizon: 18", "horizon: 12\ndecision: {standard_events: 0}"))
    typed("run", "--cycle", "2026-12")
    second = Cycle.open("demo", "2026-12")
    row = second.read("commitments").iloc[0]
    assert (row["option"], row["status"], row["owner"]) == ("second_shift", "in force", "Tomas Novak")
    brought = pd.read_csv(data / "demo" / "capacity.csv").query("resource == 'SEW-N' and month == '2027-02'")
    planned = second.read("capacity").query("resource == 'SEW-N' and month == '2027-02-01'")
    assert planned["overtime_limit"].item() == pytest.approx(brought["overtime_limit"].item() + 90)
    judged = second.read("decision_review").set_index("option").loc["second_shift"]
    assert judged["outcome"] in ("on track", "at risk") and pd.notna(judged["seen"])
    assert judged["expected"] == pytest.approx(was["expected"])
    assert QUESTION not in set(second.read("decision_log")["question"]), "an earlier meeting settled it"
    page = (second.folder / "plan.html").read_text()
    assert page.index("What earlier meetings adopted") < page.index("What became of the last decisions")
    assert "second_shift" in typed("commitments", "--cycle", "2026-12")
    for question in second.read("decision_log")["question"]:
        answer("2026-12", question, "base")
    typed("run", "--cycle", "2026-12", "--from", "decide")
    # the company's tables contain it: noticed, not added twice, judged from what they were before
    a_month_passes(data, "2026-12", second.read("demand_plan"))
    for table, where, column, more in (
        ("capacity", {"resource": ["SEW-N"], "month": [f"2027-0{n}" for n in range(1, 7)]}, "overtime_limit", 90),
        ("workforce", {"site": ["PLANT-N"], "skill": ["sewing"]}, "people", 5),
    ):
        frame = pd.read_csv(data / "demo" / f"{table}.csv")
        frame.loc[frame[list(where)].isin(where).all(axis=1), column] += more
        frame.to_csv(data / "demo" / f"{table}.csv", index=False)
    typed("run", "--cycle", "2027-01")
    third = Cycle.open("demo", "2027-01")
    assert third.read("commitments")["status"].tolist() == ["contained"]
    own = pd.read_csv(data / "demo" / "workforce.csv").query("skill == 'sewing' and site == 'PLANT-N'")["people"].item()
    assert third.read("workforce").query("skill == 'sewing' and site == 'PLANT-N'")["people"].item() == own
    judged = third.read("decision_review").set_index("option").loc["second_shift"]
    assert judged["outcome"] == "done" and pd.notna(judged["seen"])
    said = "is done (record 1)"
    assert said in typed(
        "commitments", "--cycle", "2027-01", "--close", "second_shift", "--by", "Greta Holm", "--reason", "in the table"
    )
    assert list(third.stale())[0] == "collect"
    archive = (own_run / "reports" / "demo" / "index.html").read_text()
    assert all(f'href="{cycle}/plan.html"' in archive for cycle in ("2026-11", "2026-12", "2027-01"))
