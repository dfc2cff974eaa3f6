"""The controls in the notebooks: their logic in a kernel without a browser."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from jupyterlab_room import OPENING
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell

from sopkit import collect
from sopkit.book import load_scenarios
from sopkit.cycle import Cycle
from sopkit.tables import STAGES

PROJECT = Path(__file__).resolve().parents[1]


def played(stage: str, *cells: str) -> list[str]:
    """Run the control of a stage's notebook and then `cells`; returns what each of them printed.

    The notebook's own work was done by the shared run: only its first cells and its control are run here.
    """
    notebook = nbformat.read(PROJECT / "notebooks" / next(s.notebook for s in STAGES if s.name == stage), as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    opening = next(n for n, cell in enumerate(code) if "Cycle.open(" in cell.source)
    control = next(cell for cell in code if re.search(r"workbench\.\w+\(c\)", cell.source))
    # a busy machine is no defect: a what-if waits for its answer
    patient = "import sys\nsys.modules['sopkit.workbench.what_if'].PATIENCE = 600\n"
    control.source = (
        patient * ("what_if" in control.source) + "w = " + re.search(r"workbench\.\w+\(c\)", control.source).group()
    )
    start = [*code[:opening], new_code_cell(OPENING.format(stage=stage)), control]
    notebook.cells = [*start, *map(new_code_cell, cells)]
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(PROJECT)}}).execute()
    said = []
    for cell in notebook.cells[len(start) :]:
        said.append("".join(output.get("text", "") for output in cell.outputs if output.output_type == "stream"))
    return said


def consensus(product: str) -> float:
    """Units of a product in the demand plan as it stands."""
    plan = Cycle.open("demo", "2026-11").read("demand_plan")
    return plan.loc[plan["product"] == product, "consensus"].sum()


@pytest.fixture
def own_environment(own_run: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run that may be changed, and kernels that find this checkout."""
    monkeypatch.setenv("PYTHONPATH", str(PROJECT))
    return own_run


def first_proposal() -> dict:
    """The largest correction that waits for an answer, with `raw`: what was sold in that month."""
    cycle = Cycle.open("demo", "2026-11")
    rows = cycle.read("history_adjustments").merge(
        cycle.read("clean_history")[["month", "product", "market", "raw"]], on=["month", "product", "market"]
    )
    rows = rows[rows["status"].eq("proposed")]
    return rows.loc[rows["quantity"].abs().idxmax()].to_dict()


def test_an_answer_is_refused_without_answer_reason_and_owner_then_stored_and_corrects_history(
    own_environment: Path,
) -> None:
    told, row = "w.store.click()\nprint(w.message.value)", first_proposal()
    cell = f"{row['month']:%b %Y} · {row['product']} · {row['market']}"
    offered, nothing, negative, stored, left = played(
        "collect",
        "print(w.correction.label[0], len(w.correction.options), w.quantity.disabled, w.shown.value)",
        told,
        "w.owner.value = 'Ada Brandt'\nw.answer.value = 'changed'\nw.reason.value = 'two <b>shops</b>'\n"
        f"w.quantity.value = -1\n{told}",
        "before = len(w.correction.options)\nw.quantity.value = 77\n"
        f"print('with this answer' in w.shown.value)\n{told}\n"
        "print(before - len(w.correction.options), w.recorded.value.count('&lt;b&gt;'), '<b>' in w.recorded.value)",
        "w.which.value = ''\nprint(len(w.correction.options), w.correction.label[0])",
    )
    assert offered.startswith(cell) and "units, " in offered and row["reason"].split(",")[0] in offered
    assert 'role="alert"' in nothing and "Nothing was stored" in nothing
    for field in ("answer", "reason is missing", "author is missing"):
        assert field in nothing
    assert 'role="alert"' in negative and "quantity -1.0 must be at least 0" in negative
    assert stored.startswith("True\n") and 'role="status"' in stored and "Answer 1 by Ada Brandt is stored" in stored
    assert "counts 77 units once collect has run again" in stored and "Stale until then: collect, demand" in stored
    assert "1 1 False" in stored, "it waits no longer, and what people type is escaped"
    assert cell in left, "an answer can be given again"

    cycle = Cycle.open("demo", "2026-11")
    status = cycle.status().set_index("stage")
    assert status.loc["collect", ["state", "why stale"]].tolist() == [
        "stale",
        "history_answers: something new was recorded",
    ]
    assert status.at["demand", "why stale"] == "collect is stale"
    stage = Cycle.open("demo", "2026-11", stage="collect")
    stage.save(collect.collect(stage.company_folder, stage.cycle).snapshot(stage.read("history_answers")))
    used = Cycle.open("demo", "2026-11", stage="demand").read("clean_history").set_index(["month", "product", "market"])
    assert used.loc[(row["month"], row["product"], row["market"]), ["raw", "quantity"]].tolist() == [row["raw"], 77]
    assert cycle.stale()["demand"] == "clean_history changed" and "collect" not in cycle.stale()


def test_the_last_answer_to_a_correction_holds(own_environment: Path) -> None:
    give = "w.owner.value = 'Ada Brandt'\nw.reason.value = 'asked the shop'\nw.answer.value = '{}'\nw.store.click()\n"
    again = "w.which.value = ''\n" + give.format("refused") + "print(w.message.value, w.recorded.value)"
    accepted, refused = played("collect", give.format("accepted") + "print(w.message.value)", again)
    row = first_proposal()
    assert f"counts {row['raw'] + row['quantity']:,.0f} units once" in accepted
    assert f"counts {row['raw']:,.0f} units once" in refused and "answered again" in refused
    stage = Cycle.open("demo", "2026-11", stage="collect")
    kept = collect.collect(stage.company_folder, stage.cycle).snapshot(stage.read("history_answers"))
    rows = kept["history_adjustments"].merge(pd.DataFrame([row])[["month", "product", "market"]])
    assert rows["status"].tolist() == ["refused"] and rows["reason"].item().endswith("| Ada Brandt: asked the shop")


def test_the_plan_is_typed_over_refused_without_reason_and_owner_then_stored_and_changes_the_consensus(
    own_environment: Path,
) -> None:
    before, told = consensus("TENT-2P"), "w.store.click()\nprint(w.message.value)"
    nothing, no_reason, effect, stored = played(
        "demand",
        told,
        f"w.draft.enter([('p:TENT-2P', 1, '+150')])\n{told}",
        "w.effect.click()\nprint(w.message.value, w.shown.value)",
        f"w.owner.value = 'Ada Brandt'\nw.reason.value = 'second <b>shop</b>'\n{told}\n"
        "print('consensus before' in w.shown.value, w.recorded.value.count('&lt;b&gt;'), '<b>' in w.recorded.value)\n"
        "print(w.plan['overrides_applied']['status'].tolist(), w.plan['demand_plan']['override'].sum().round(6))\n"
        "print(w.draft.entries, w.after.run.disabled, w.after.message.value)",
    )
    assert "['in force'] 150.0" in stored, "the cells below get the plan with the override"
    assert 'role="alert"' in nothing and "nothing is typed yet" in nothing
    assert "reason is missing" in no_reason and "author is missing" in no_reason
    assert "Nothing is stored" in effect and "With your draft" in effect and "Fill rate" in effect
    assert 'role="status"' in stored and "Override 1 by Ada Brandt stored" in stored and "+150 pcs" in stored
    assert "True 1 False" in stored, "the change is shown, and what people type is escaped"
    assert "[] False" in stored and "Supply, reconcile, decide and publish: not made yet" in stored
    cycle = Cycle.open("demo", "2026-11")
    (row,) = cycle.records.read("overrides").to_dict("records")
    assert (row["author"], row["product"], row["amount"], row["level"]) == ("Ada Brandt", "TENT-2P", 150.0, "product")
    assert row["first_month"] == row["last_month"] == cycle.months[1]
    assert consensus("TENT-2P") == pytest.approx(before + 150, abs=1e-6)
    stale = cycle.stale()
    assert "demand" not in stale and stale["supply"] == "demand_plan changed"


def test_what_another_planner_stored_meanwhile_is_not_overwritten_unseen(own_environment: Path) -> None:
    other = (
        "c.records.add('overrides', author='Jon Okafor', cycle=cycle, level='product', product='{}', action='set', "
        "amount=40, reason='fair', first_month='2026-12', last_month='2026-12')\n"
    )
    store = "w.draft.enter([('p:TENT-2P', 1, '900')])\nw.owner.value = 'Ada Brandt'\nw.reason.value = 'shop'\n"
    store += "w.store.click()\nprint(w.message.value, '|', w.draft.cells('p:TENT-2P')[1][0])"
    elsewhere, same, again, gone = played(
        "demand",
        other.format("STOVE-G1") + store,
        other.format("TENT-2P") + store.replace("900", "950"),
        store.replace("900", "950"),
        "w.supersedes.value = 3\nw.reason.value = 'no shop'\nw.store.click()\n"
        "print(w.message.value, c.read('overrides')['id'].tolist())",
    )
    assert "Override 2 by Ada Brandt stored" in elsewhere, "another product is no conflict"
    assert "Nothing was stored" in same and "Jon Okafor stored set 40 meanwhile" in same and "you typed set 950" in same
    assert same.strip().endswith("| 40"), "the sheet shows what is stored now"
    assert "Override 4 by Ada Brandt stored" in again and again.strip().endswith("| 950")
    assert "Override 5 by Ada Brandt stored" in gone and "[1, 2, 4, 5]" in gone, "what is replaced holds no longer"


def test_what_is_stale_is_made_again_from_the_notebook_and_can_be_stopped(own_environment: Path) -> None:
    folder = Cycle.open("demo", "2026-11").folder
    was = (folder / "plan.html").read_bytes()
    stopped, made = played(
        "demand",
        "w.draft.enter([('all', 1, '+5%')])\nw.owner.value = 'Ada Brandt'\nw.reason.value = 'fair'\n"
        "w.store.click()\nw.after.run.click()\nw.after.stop.click()\nw.after._watching.join()\n"
        "print(w.after.message.value, list(c.stale()), w.after.run.disabled)",
        "w.after.run.click()\nw.after._watching.join()\n"
        "print(w.after.message.value, list(c.stale()), w.after.bar.value)",
    )
    assert "Stopped. Still stale: supply" in stopped and "'publish'] False" in stopped
    assert "Made again: supply, reconcile, decide and publish" in made and made.strip().endswith("[] 4")
    assert (folder / "plan.html").read_bytes() != was and not Cycle.open("demo", "2026-11").verify()


def test_a_what_if_solves_again_and_stands_beside_the_plan(own_environment: Path) -> None:
    before = (Cycle.open("demo", "2026-11").folder / "manifest.json").read_bytes()
    result = "print(w.message.value)\nprint(w.shown.value)"
    unchosen, less, same, more, none, months = played(
        "supply",
        f"w.percent.value = -5\n{result}",
        f"w.place.value = 'SEW-N'\nw.percent.value = -50\n{result}",
        f"w.percent.value = 0\n{result}",
        f"w.lever.value = 'overtime_limit'\nw.percent.value = 100\n{result}",
        f"w.lever.value = 'supplier'\nw.place.value = 'ALU-CZ'\nw.percent.value = -100\n{result}",
        f"w.first.index = 5\nw.last.index = 2\n{result}",
    )
    gain = re.compile(r"Solved: result (\S+) ")
    assert gain.search(unchosen) and "None" not in unchosen, "the first place is chosen from the start"
    assert gain.search(less)[1].startswith(("-", "−")), less[:200]
    assert float(gain.search(same)[1].replace(",", "").replace("+", "")) == 0
    assert not gain.search(more)[1].startswith(("-", "−")), "more capacity never costs more"
    assert gain.search(none)[1].startswith(("-", "−"))
    assert "Fill rate" in less and "Plan of 2026-11" in less and "SEW-N available hours -50 %" in less
    assert "first month is after the last" in months
    assert (Cycle.open("demo", "2026-11").folder / "manifest.json").read_bytes() == before, "a what-if stores nothing"


def test_several_changes_have_their_own_effect_and_one_together_and_are_kept_as_a_scenario(
    own_environment: Path,
) -> None:
    written = own_environment / "data" / "demo" / "scenarios.yaml"
    before = written.read_text()
    listed, off, refused, kept, again = played(
        "supply",
        "w.keep_change.click()\nprint(w.message.value)\n"
        "w.lever.value = 'demand'\nw.place.value = 'TENTS'\nw.percent.value = 10\nw.keep_change.click()\n"
        "w.lever.value = 'lead_time'\nw.place.value = 'ALU-CZ'\nw.percent.value = 1\nw.keep_change.click()\n"
        "print([one.effect.value for one in w.listed.children], w.message.value, w.shown.value)",
        "one, other = w.listed.children\none.on.value = False\nprint(w.shown.value)",
        "one.on.value = True\nw.store.click()\nprint(w.kept.value)",
        "w.title.value = 'Tents: <b>grow</b>'\nw.owner.value = 'Ada Brandt'\nw.store.click()\nprint(w.kept.value)",
        "w.title.value = 'tents grow'\nw.store.click()\nprint(w.kept.value, w.title.value)\n"
        "other.away.click()\nprint(len(w.listed.children))",
    )
    assert "Move the slider first" in listed and listed.count("alone: ") == 2
    assert "TENTS demand +10 % and ALU-CZ supplier lead time +1 months" in listed
    assert "ALU-CZ supplier lead time +1 months" in off and "TENTS demand" not in off, "what is off does not count"
    assert "Give a title and an owner" in refused and "Kept as scenario tents_b_grow_b" in kept
    assert "already" not in kept and "Kept as scenario tents_grow" in again and again.strip().endswith("1")
    text = written.read_text()
    assert text.startswith(before.rstrip("\n")), "what stood there stays to the letter"
    scenario = load_scenarios(written)["tents_b_grow_b"]
    assert (scenario.title, scenario.owner) == ("Tents: <b>grow</b>", "Ada Brandt")
    changed = Cycle.open("demo", "2026-11").plan.what_if(scenario)
    rows = changed["offers"].query("supplier == 'ALU-CZ'")["lead_time"]
    assert (rows == changed.base["offers"].query("supplier == 'ALU-CZ'")["lead_time"] + 1).all()
    tents = "family == 'TENTS'"
    assert changed["demand_plan"].query(tents)["consensus"].sum() == pytest.approx(
        1.1 * changed.base["demand_plan"].query(tents)["consensus"].sum()
    )


def test_a_decision_needs_a_reason_and_a_name_and_ends_the_draft(own_environment: Path) -> None:
    told = "w.store.click()\nprint(w.message.value)"
    nothing, first, second, shown, again = played(
        "decide",
        told,
        "print(w.side.value)\nw.option.value = 'second_shift'\nw.by.value = 'Greta Holm'\n"
        f"w.reason.value = 'keeps <b>May</b>'\n{told}",
        "w.question.value = 1\nprint([code for _, code in w.option.options])\nw.option.value = 'second_source'\n"
        f"w.reason.value = 'too risky'\nw.owner.value = 'Lars Eriksen'\n{told}",
        "print(w.shown.value.count('&lt;b&gt;'), '<b>' in w.shown.value, 'Jon Okafor' in dict(w.by.options).values())",
        f"w.question.value = 0\nw.option.value = ''\nw.reason.value = 'asked again'\n{told}",
    )
    assert 'role="alert"' in nothing and "Say a reason and who decided" in nothing
    assert (
        "Evening shift on the Leipzig sewing line, January to June: costs" in first
        and "1 of 2 questions are open" in first
    )
    assert "['', 'base', 'second_source']" in second and "The plan is decided." in second
    assert shown.split() == ["1", "False", "False"], "escaped; and only those who may decide are offered"
    assert "1 of 2 questions are open: the plan is a draft" in again
    cycle = Cycle.open("demo", "2026-11")
    log = cycle.read("decision_log").set_index("question")
    assert log.loc["Which plan do we run?", ["option", "status"]].tolist() == ["", "undecided"]
    other = log[log["option"] == "second_source"].iloc[0]
    assert (other["decided_by"], other["owner"], other["reason"]) == ("Greta Holm", "Lars Eriksen", "too risky")
    assert cycle.stale() == {"publish": "adopted changed"}
    assert len(cycle.records.read("decisions")) == 3, "nothing that was said is lost"
