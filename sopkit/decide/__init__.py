"""Which option, who decided, why? A decision is recorded, or the plan says that there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sopkit.book import Book, Question
from sopkit.errors import SettingsError, nearest
from sopkit.words import number

if TYPE_CHECKING:
    import pandas as pd

    from sopkit.engine import Engine

UNDECIDED = "undecided"


def _after_penalties(results: pd.DataFrame) -> pd.Series:
    """A plan's result after penalties, in currency, by scenario."""
    wide = results.pivot(index="scenario", columns="measure", values="value")
    return wide["result"] - wide["service penalties"]


def recommend(asked: Question, results: pd.DataFrame, currency: str = "") -> tuple[str, str]:
    """The option with the highest result after penalties, and a sentence: what it brings against the first option.

    `results` is table scenario_results, money in `currency`. The first option is what happens if nothing is decided;
    one that is no scenario cannot be recommended.
    """
    after_penalties = _after_penalties(results).reindex(asked.options).dropna()
    if after_penalties.empty:
        return "", "No option of this question was solved as a scenario."
    first, best = after_penalties.index[0], after_penalties.idxmax()
    titles = results.drop_duplicates("scenario").set_index("scenario")["title"]
    if best == first:
        rivals = after_penalties.drop(first)
        if rivals.empty:
            return best, f"{titles[best]}: no other option was solved."
        less = f"{number(rivals.max() - after_penalties[best], sign=True)} {currency}".strip()
        return best, f"{titles[best]}: the best other option, {titles[rivals.idxmax()]}, brings {less}."
    wide = results.pivot(index="measure", columns="scenario", values="value")
    change = wide[best] - wide[first]
    money = {measure: f"{number(value, sign=True)} {currency}".strip() for measure, value in change.items()}
    return best, (
        f"{titles[best]}: against {titles[first]} result {money['result']}, service penalties "
        f"{money['service penalties']}, fill rate {number(change['fill rate'] * 100, 1, sign=True)} points, "
        f"mean stock {money['mean stock value']}."
    )


def questions(book: Book) -> list[Question]:
    """What is to be decided: the company's questions, or, where it asks nothing, which of the solved plans to run."""
    solved = list(dict.fromkeys(book["scenario_results"]["scenario"]))
    return list(book.questions) or [Question(question="Which plan do we run?", options=solved)]


def plan(book: Book, *, engine: Engine | str | None = None) -> dict[str, pd.DataFrame]:
    """Table `decision_log` from the book's questions, table scenario_results and what was recorded (table `decisions`).

    A decision recorded in this cycle replaces the file's; the same question is asked anew in the next cycle. Without an
    answer the question is undecided, and the plan a draft. `engine` is not used: nothing is solved here.
    Raises SettingsError for an option that was not solved, or a decision without a reason.
    """
    import pandas as pd

    results = book["scenario_results"]
    solved = list(dict.fromkeys(results["scenario"]))
    recorded = book["decisions"]
    recorded = recorded[recorded["cycle"] == book.cycle].sort_values("id").drop_duplicates("question", keep="last")
    answers = {answer["question"]: answer for answer in recorded.to_dict("records")}
    rows = []
    for asked in questions(book):
        unknown = [option for option in asked.options if option not in solved]
        if unknown:
            raise SettingsError(f"question {asked.question!r} offers {unknown[0]!r}: {nearest(unknown[0], solved)}")
        answer = answers.get(asked.question)
        given = answer or {
            "option": asked.option or "",
            "reason": asked.reason or "",
            "author": asked.decided_by,
            "status": "approved" if asked.option else UNDECIDED,
        }
        option = given["option"]
        if option and option not in asked.options:
            hint = nearest(option, asked.options)
            raise SettingsError(f"question {asked.question!r}: {option!r} is no option: {hint}")
        if option and not given["reason"].strip():
            raise SettingsError(f"question {asked.question!r} chooses {option!r} without a reason. Write why.")
        best, sentence = recommend(asked, results, book.currency)
        due = given.get("due")
        rows.append(
            {
                "question": asked.question,
                "options": ", ".join(asked.options),
                "option": option,
                "recommendation": f"{best}: {sentence}" if best else sentence,
                "reason": given["reason"],
                "owner": given.get("owner") or asked.owner,
                "decided_by": given["author"],
                "expected_effect": given.get("expected_effect") or asked.expected_effect or sentence,
                "due": due if pd.notna(due) else pd.Timestamp(asked.due or None),
                "status": given["status"],
            }
        )
    return {"decision_log": pd.DataFrame(rows)}


def is_draft(decision_log: pd.DataFrame) -> bool:
    """Whether the plan is a draft: a question is still undecided, or nothing was asked at all."""
    return decision_log.empty or bool((decision_log["status"] == UNDECIDED).any())
