"""Decisions: recorded or honestly missing, recommended by result after penalties, refused when they make no sense."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from sopkit.book import Book, Question, Scenario, load_questions, load_scenarios
from sopkit.book.signed import SHORT, plan_hash
from sopkit.decide import decisions, figures, is_draft, table
from sopkit.errors import SettingsError
from sopkit.tables import TABLES, Company


def results(**worth):
    """scenario_results with a result of each scenario (and its service penalties after a slash)."""
    rows = []
    for name, (result, policy) in worth.items():
        for measure, value in {
            "result": result,
            "service penalties": policy,
            "fill rate": 0.9,
            "mean stock value": 10.0,
        }.items():
            base = {"result": worth["base"][0], "service penalties": worth["base"][1]}.get(measure, value)
            rows.append((name, name.title(), measure, value, base, value - base, "unit"))
    return pd.DataFrame(rows, columns=TABLES["scenario_results"].names)


@pytest.fixture
def tables():
    return {
        "scenario_results": results(base=(100, 30), more=(90, 5), less=(95, 30)),
        "decisions": TABLES["decisions"].empty(),
    }


QUESTION = Question(question="Which?", options=["base", "more", "less"], owner="Jon", due="2026-12")


def asked(tables, questions, cycle="2026-11"):
    return Book(tables, Company(name="test"), cycle, questions=questions)


def log(tables, *questions):
    return TABLES["decision_log"].check(decisions(asked(tables, questions)))


def test_undecided_is_said_and_makes_a_draft(tables):
    row = log(tables, QUESTION).iloc[0]
    assert (row["status"], row["option"]) == ("undecided", "") and is_draft(log(tables, QUESTION))


def test_recommends_the_best_result_after_penalties(tables):
    # more earns 10 less but pays 25 less of service penalties
    more = log(tables, QUESTION).loc[0]
    assert more["recommended"] == "more" and more["recommendation"].startswith(
        "More: costs 10 EUR of result and avoids 25 EUR of service penalties; fill rate 0 points"
    )
    base = log(tables, Question(question="q", options=["base", "less"])).loc[0]
    assert base["recommended"] == "base" and base["recommendation"].startswith("Base: the best other")


def test_decision_of_the_file_is_recorded(tables):
    decided = QUESTION.model_copy(
        update={"option": "more", "reason": "keeps the launch", "decided_by": "Greta", "cycle": "2026-11"}
    )
    row = log(tables, decided).iloc[0]
    assert (row["status"], row["option"], row["decided_by"], row["due"]) == (
        "approved",
        "more",
        "Greta",
        pd.Timestamp("2026-12-01"),
    )
    assert not is_draft(log(tables, decided))


def test_recorded_decision_stands_over_the_file_and_the_latest_over_earlier_ones(tables):
    said = [
        dict(
            id=n,
            cycle="2026-11",
            author="Greta",
            recorded_at="2026-11-05T09:00:00+00:00",
            question="Which?",
            option=option,
            reason="r",
            owner="Jon",
            due=None,
            expected_effect="",
            status="approved",
        )
        for n, option in enumerate(("less", "more"), start=1)
    ]
    tables["decisions"] = TABLES["decisions"].check(pd.DataFrame(said))
    assert log(tables, QUESTION.model_copy(update={"option": "base", "reason": "x"})).loc[0, "option"] == "more"
    next_month = decisions(asked(tables, [QUESTION], "2026-12")).iloc[0]
    assert next_month["status"] == "undecided", "an answer holds for the cycle in which it was given"


@pytest.mark.parametrize(
    ("decision", "said"),
    [
        (Question(question="q", options=["bsae"]), "did you mean 'base'"),
        (Question(question="q", options=["base"], option="mor", reason="r", cycle="2026-11"), "is no option"),
        (Question(question="q", options=["base"], option="base", cycle="2026-11"), "without a reason"),
        (
            Question(question="q", options=["base"], option="base", reason="r", decided_by=" ", cycle="2026-11"),
            "names nobody who decided",
        ),
    ],
)
def test_decisions_that_make_no_sense_are_refused(tables, decision, said):
    with pytest.raises(SettingsError, match=said):
        decisions(asked(tables, [decision]))


MANIFEST = {"tables": {"pnl": {"stage": "reconcile", "sha256": "a" * 64}}}
ANSWER = {"option": "more", "reason": "keeps the launch", "decided_by": "Greta"}


@pytest.mark.parametrize(
    ("said", "counts"),
    [
        ({}, "does not say in which cycle. If it is meant for this plan, write cycle: 2026-11 and plan: {plan}"),
        ({"cycle": "2026-10"}, "it was given in 2026-10. This cycle asks anew; to answer, write cycle: 2026-11"),
        ({"cycle": "2026-11"}, "does not say for which plan. Look at the plan as it is now; to answer, write"),
        ({"cycle": "2026-11", "plan": "0" * 12}, "it is for the plan 000000000000. Look at the plan as it is now"),
        ({"cycle": "2026-11", "plan": "{plan}"}, ""),
    ],
)
def test_an_answer_of_the_file_counts_for_its_cycle_and_its_plan_only(tables, said, counts):
    """An answer once given in decisions.yaml was valid for ever: the next cycle read APPROVED."""
    seen = plan_hash(MANIFEST, "reconcile")[:SHORT]
    said = {name: text.format(plan=seen) for name, text in said.items()}
    book = Book(tables, Company(name="test"), "2026-11", questions=[QUESTION.model_copy(update=ANSWER | said)])
    row = decisions(replace(book, manifest=MANIFEST)).iloc[0]
    assert row["status"] == ("undecided" if counts else "approved")
    assert row["lapsed"] == "" if not counts else counts.format(plan=seen) in row["lapsed"]


@pytest.mark.parametrize(("key", "status"), [("", "approved"), ("ssh-ed25519 AAAA", "undecided")])
def test_an_unsigned_file_does_not_decide_for_who_signs_with_a_key(tables, key, status):
    people = {"name": ["Greta"], "role": ["director"], "may_sign": ["decide"], "ssh_key": [key]}
    tables["people"] = TABLES["people"].conform(pd.DataFrame(people))
    given = ANSWER | {"cycle": "2026-11", "plan": plan_hash(MANIFEST, "reconcile")[:SHORT]}
    book = Book(tables, Company(name="test"), "2026-11", questions=[QUESTION.model_copy(update=given)])
    row = decisions(replace(book, manifest=MANIFEST)).iloc[0]
    assert row["status"] == status
    assert not key or "Greta signs with an SSH key, and decisions.yaml is not signed. Use `sopkit" in row["lapsed"]


def test_a_recorded_decision_counts_for_the_plan_it_was_given_for(tables):
    said = {"id": 1, "cycle": "2026-11", "author": "Greta", "recorded_at": "2026-11-05T09:00:00+00:00"}
    said |= {"question": "Which?", "option": "more", "reason": "r", "status": "approved"}
    for given, status in ((plan_hash(MANIFEST, "reconcile"), "approved"), ("0" * 64, "undecided"), ("", "undecided")):
        tables["decisions"] = TABLES["decisions"].conform(pd.DataFrame([said | {"plan_hash": given}]))
        row = decisions(replace(asked(tables, [QUESTION]), manifest=MANIFEST)).iloc[0]
        assert row["status"] == status
        assert ("Greta chose more; it does not count" in row["lapsed"]) == (status == "undecided")


@pytest.mark.parametrize(
    ("by", "says"), [("Gretta", "did you mean 'Greta'"), ("Ada", "may not decide. Those who may: Greta")]
)
def test_only_who_may_decides(tables, by, says):
    people = pd.DataFrame({"name": ["Greta", "Ada"], "role": "r", "may_sign": ["decide", "demand"]})
    decided = QUESTION.model_copy(update=ANSWER | {"decided_by": by, "cycle": "2026-11"})
    with pytest.raises(SettingsError, match=says):
        log(tables | {"people": TABLES["people"].conform(people)}, decided)


def test_what_is_overdue_is_said_to_be_overdue_and_one_option_is_never_recommended(tables):
    late = Question(question="Late?", options=["base", "more"], due="2026-10")
    only = Question(question="Only?", options=["base"], due="2026-12")
    made = asked(tables, [late, only])
    book = made.with_tables({"decision_log": decisions(made)})
    shown = [figures.question(book, place).html for place in (0, 1)]
    assert "overdue since Oct 2026" in shown[0] and "recommended" in shown[0].lower()
    assert "due Dec 2026" in shown[1] and "overdue" not in shown[1] and "(recommended)" not in shown[1]
    assert "No other option was solved to compare with." in shown[1]
    assert list(figures.overdue(book)) == [True, False] and "overdue" in figures.log(book).html


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ("probability: 0.2", "probability belongs to an event, and this is an option: write kind: event"),
        ("kind: event, once: 5", "once belongs to an option, and this is an event: write kind: option"),
        ("kind: event, probability: 20", "probability is 20: a probability is between 0 and 1 (20 % is 0.2)"),
        ("kind: happening", "write 'option' or 'event'"),
    ],
)
def test_an_option_and_an_event_say_what_belongs_to_them(tmp_path, fields, says):
    path = tmp_path / "scenarios.yaml"
    path.write_text(f"a: {{title: A, changes: [{{table: demand_plan, column: consensus, scale: 2}}], {fields}}}\n")
    with pytest.raises(SettingsError, match="line 1") as error:
        load_scenarios(path)
    assert says in str(error.value)


def test_nobody_chooses_an_event_or_an_option_whose_month_is_over(tables):
    change = {"table": "demand_plan", "column": "consensus", "scale": 2}
    happens, late = (
        Scenario(title="t", changes=[change], **more) for more in ({"kind": "event"}, {"choose_by": "2026-10"})
    )
    book = asked(tables, [QUESTION])
    with pytest.raises(SettingsError, match="offers 'more', which is an event: nobody chooses it"):
        decisions(replace(book, scenarios={"more": happens}))
    chosen = QUESTION.model_copy(update=ANSWER | {"cycle": "2026-11"})
    with pytest.raises(SettingsError, match="'more' could be chosen until 2026-10. Decide for another option"):
        decisions(replace(asked(tables, [chosen]), scenarios={"more": late}))


def test_file_is_checked_by_line(tmp_path):
    path = tmp_path / "decisions.yaml"
    path.write_text("- question: q\n  options: [base]\n  ownr: Jon\n")
    with pytest.raises(SettingsError, match="line 3.*did you mean 'owner'"):
        load_questions(path)
    path.write_text("- question: q\n  options: [base]\n  due: 2026-12\n")
    assert load_questions(path)[0].due == "2026-12"
    assert load_questions(tmp_path / "none.yaml") == []


def test_the_last_month_to_choose_follows_from_lead_times():
    def option(*changes, **more):
        return Scenario(title="t", changes=list(changes), **more)

    shift = {"table": "capacity", "where": {"month": "2027-03..2027-06"}, "column": "hours", "add": 9}
    hire = {"table": "workforce", "where": {"site": "P"}, "column": "people", "add": 2}
    source = {"table": "supplier_capacity", "rows": [{"supplier": "S", "item": "I", "site": "P", "month": "2027-03"}]}
    offers = pd.DataFrame(
        {"supplier": ["S", "T"], "item": "I", "site": "P", "price": 1.0, "lead_time": [1, 5], "lead_days": [21, 0]}
    )
    people = pd.DataFrame({"site": ["P"], "skill": ["s"], "people": 3, "hire_lead_time": 1})
    tables = {"offers": TABLES["offers"].conform(offers), "workforce": TABLES["workforce"].conform(people)}
    made = {"shift": option(shift), "hired": option(shift, hire), "source": option(source), "hire": option(hire),
            "said": option(shift, choose_by="2026-12")}  # fmt: skip
    book = Book(tables, Company(name="test"), "2026-11", made)
    found = {code: table.choose_by(code, book) for code in (*made, "base")}
    assert found == {
        "shift": "2027-03",
        "hired": "2027-02",
        "source": "2027-01",
        "hire": "",
        "said": "2026-12",
        "base": "",
    }
    late = replace(book, cycle="2027-02")
    asked = Question(question="q", options=["base", *made])
    assert table.too_late(asked, late) == ["source", "said"]


def test_with_every_option_adopted_only_the_base_is_left_and_an_event_does_not_change_that(tables):
    """The month after everything was adopted: the base alone was solved, under the events that were asked for."""
    happens = pd.DataFrame(
        {"option": ["base", "base"], "event": ["", "rush"], "result": 100.0, "penalties": [30.0, 60.0], "cash_low": 0.0}
    )
    known = pd.DataFrame({"event": ["rush"], "title": "A rush", "probability": 0.2})
    alone = {"scenario_results": results(base=(100, 30)), "outcomes": happens, "scenario_events": known}
    book = asked(tables | alone, [])
    row = decisions(book).iloc[0]
    assert (row["options"], row["recommended"]) == ("base", "base")
    assert row["recommendation"] == "Base: no other option was solved."
