"""Which option, who decided, why? A decision is recorded, or the plan says that there is none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sopkit.book import Book, Question
from sopkit.book.scenarios import BASE
from sopkit.book.signed import chosen
from sopkit.decide import answers, table
from sopkit.decide.answers import UNDECIDED as UNDECIDED
from sopkit.errors import SettingsError, nearest
from sopkit.tables import TABLES
from sopkit.words import amount, number, say

if TYPE_CHECKING:
    import pandas as pd

    from sopkit.engine import Engine


def recommend(asked: Question, results: pd.DataFrame, currency: str = "") -> tuple[str, str]:
    """The option with the highest result after penalties, and a sentence: what it brings against the first option.

    `results` is table scenario_results, money in `currency`. The first option is what happens if nothing is decided;
    one that is no scenario cannot be recommended.
    """
    after_penalties = table.after_penalties(results).reindex(asked.options).dropna()
    if after_penalties.empty:
        return "", say("No option of this question was solved as a scenario.")
    first, best = after_penalties.index[0], after_penalties.idxmax()
    titles = results.drop_duplicates("scenario").set_index("scenario")["title"]
    if best == first:
        rivals = after_penalties.drop(first)
        if rivals.empty:
            return best, say("{option}: no other option was solved.", titles[best])
        less = amount(rivals.max() - after_penalties[best], currency, True)
        told = "{option}: the best other option, {other}, brings {money}."
        return best, say(told, titles[best], titles[rivals.idxmax()], less)
    wide = results.pivot(index="measure", columns="scenario", values="value")
    change = wide[best] - wide[first]
    money = {measure: amount(abs(value), currency) for measure, value in change.items()}
    result = "costs {money} of result" if change["result"] < 0 else "brings {money} of result"
    avoids = change["service penalties"] < 0
    penalties = "avoids {money} of service penalties" if avoids else "adds {money} of service penalties"
    gains = titles[best], say(result, money["result"]), say(penalties, money["service penalties"])
    points, stock = number(change["fill rate"] * 100, 1, sign=True), amount(change["mean stock value"], currency, True)
    how = "{option}: {result} and {penalties}; fill rate {points} points, mean stock {stock}."
    return best, say(how, *gains, points, stock)


def questions(book: Book) -> list[Question]:
    """What is to be decided: the company's questions, or, where it asks nothing, which of the solved plans to run.

    What an earlier cycle adopted, or whose last month is over, is no option any more; a question that this settled is
    not asked again.
    """
    solved = list(dict.fromkeys(book["scenario_results"]["scenario"]))
    solved = [code for code in solved if code not in book.scenarios or book.scenarios[code].kind == "option"]
    gone = book.scenarios.keys() - book.open_scenarios
    left = [(one, [code for code in one.options if code not in gone]) for one in book.questions]
    left = [(one, codes) for one, codes in left if codes == list(one.options) or len(codes) > 1]
    asked = [one.model_copy(update={"options": codes}) for one, codes in left]
    return asked or [Question(question=say("Which plan do we run?"), options=solved)]


def must_be_an_answer(book: Book, fields: Mapping[str, Any]) -> None:
    """Raise SettingsError where a decision (`fields` of its record) answers no question, or makes no sense.

    Its option must be one of the question's, with a reason, by somebody who may decide and in time.
    """
    asked = {one.question: one for one in questions(book)}
    if fields["question"] not in asked:
        raise SettingsError(f"nobody asks {fields['question']!r}: {nearest(fields['question'], asked)}")
    one = asked[fields["question"]]
    answers.answer(one, book, {one.question: {**fields, "plan_hash": answers.seen(book)}})


def plan(book: Book, *, engine: Engine | str | None = None) -> dict[str, pd.DataFrame]:
    """Every table of stage decide: decision_log, _table, _scores, _review, adopted, _results, the plan of record's.

    The plan of record is the base and everything adopted, solved together and checked; its tables are named
    `record/<table>`, only those that differ from the plan before the meeting. `engine` says where it is solved.
    Raises what `decisions` raises, and SettingsError where two adopted options contradict each other.
    """
    from sopkit.decide import record, review

    weighed = _weighed(book)
    known, log = book.with_tables(weighed), weighed["decision_log"]
    best = [code for code in log.loc[log["status"] == UNDECIDED, "recommended"] if code in book.scenarios]
    taken = record.adopted(known, log)
    more = {"decision_review": review.review(book), "recommended_together": record.combined(known, best)}
    return {**weighed, **more, "adopted": taken, **record.of(book, taken, engine=engine)}


def decisions(book: Book) -> pd.DataFrame:
    """Table `decision_log` from the book's questions, table scenario_results and what was recorded (table `decisions`).

    A decision recorded in this cycle replaces the file's; the same question is asked anew in the next cycle, and after
    a change of the plan. Without an answer that counts the question is undecided, and the plan a draft.
    Raises SettingsError for an option that was not solved, or a decision without a reason or a name that may decide.
    """
    return _weighed(book)["decision_log"]


def _weighed(book: Book) -> dict[str, pd.DataFrame]:
    """Tables decision_log, decision_table and decision_scores."""
    import pandas as pd

    results, asked = book["scenario_results"], questions(book)
    solved, tables, scored, recommended = list(dict.fromkeys(results["scenario"])), [], [], {}
    for one in asked:
        unknown = [option for option in one.options if option not in solved]
        if unknown:
            raise SettingsError(f"question {one.question!r} offers {unknown[0]!r}: {nearest(unknown[0], solved)}")
        happens = [code for code in one.options if code in book.scenarios and book.scenarios[code].kind == "event"]
        if happens:
            raise SettingsError(
                f"question {one.question!r} offers {happens[0]!r}, which is an event: nobody chooses it. Name it under "
                "events, and offer what can be done about it."
            )
        tables.append(table.cells(one, book))
        if tables[-1].empty:
            recommended[one.question] = recommend(one, results, book.currency)
        else:
            scored.append(table.scores(one, tables[-1], book))
            recommended[one.question] = table.sentence(one, tables[-1], scored[-1], book)
    empty = pd.DataFrame(columns=TABLES["decision_scores"].names)
    return {
        "decision_log": pd.DataFrame(list(answers.log(book, asked, recommended))),
        "decision_table": pd.concat([one for one in tables if len(one)] or tables[:1], ignore_index=True),
        "decision_scores": pd.concat(scored, ignore_index=True) if scored else empty,
    }


def is_draft(decision_log: pd.DataFrame) -> bool:
    """Whether the plan is a draft: a question is still undecided, or nothing was asked at all."""
    return decision_log.empty or bool((decision_log["status"] == UNDECIDED).any())


def left_out(book: Book) -> list[str]:
    """Options that were decided and that the book's plan does not contain: none in a plan that may be approved."""
    taken = [code for option in book["decision_log"]["option"] for code in chosen(option)]
    return sorted({*taken} - {*book["adopted"]["option"], BASE})
