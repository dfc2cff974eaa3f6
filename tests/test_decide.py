"""Decisions: recorded or honestly missing, recommended by result after penalties, refused when they make no sense."""

from __future__ import annotations

import pandas as pd
import pytest

from sopkit.book import Book, Question, load_questions
from sopkit.decide import is_draft
from sopkit.decide import plan as decide
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


def log(tables, *decisions):
    return TABLES["decision_log"].check(decide(asked(tables, decisions))["decision_log"])


def test_undecided_is_said_and_makes_a_draft(tables):
    row = log(tables, QUESTION).iloc[0]
    assert (row["status"], row["option"]) == ("undecided", "") and is_draft(log(tables, QUESTION))


def test_recommends_the_best_result_after_penalties(tables):
    # more earns 10 less but pays 25 less of service penalties
    said = log(tables, QUESTION).loc[0, "recommendation"]
    assert said.startswith("more: More: against Base result −10 EUR, service penalties −25 EUR, fill rate 0 points")
    assert (
        log(tables, Question(question="q", options=["base", "less"]))
        .loc[0, "recommendation"]
        .startswith("base: Base: the best other")
    )


def test_decision_of_the_file_is_recorded(tables):
    decided = QUESTION.model_copy(update={"option": "more", "reason": "keeps the launch", "decided_by": "Greta"})
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
    next_month = decide(asked(tables, [QUESTION], "2026-12"))["decision_log"].iloc[0]
    assert next_month["status"] == "undecided", "an answer holds for the cycle in which it was given"


@pytest.mark.parametrize(
    ("decision", "said"),
    [
        (Question(question="q", options=["bsae"]), "did you mean 'base'"),
        (Question(question="q", options=["base"], option="mor", reason="r"), "is no option"),
        (Question(question="q", options=["base"], option="base"), "without a reason"),
    ],
)
def test_decisions_that_make_no_sense_are_refused(tables, decision, said):
    with pytest.raises(SettingsError, match=said):
        decide(asked(tables, [decision]))


def test_file_is_checked_by_line(tmp_path):
    path = tmp_path / "decisions.yaml"
    path.write_text("- question: q\n  options: [base]\n  ownr: Jon\n")
    with pytest.raises(SettingsError, match="line 3.*did you mean 'owner'"):
        load_questions(path)
    path.write_text("- question: q\n  options: [base]\n  due: 2026-12\n")
    assert load_questions(path)[0].due == "2026-12"
    assert load_questions(tmp_path / "none.yaml") == []
