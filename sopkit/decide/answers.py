"""The answers to the questions of a cycle: which of them count, and why the others do not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from sopkit.book import Book, Question
from sopkit.book.signed import SHORT, chosen, must_be_allowed, plan_hash
from sopkit.decide.table import choose_by
from sopkit.errors import SettingsError, nearest
from sopkit.words import say

UNDECIDED = "undecided"


def seen(book: Book) -> str:
    """The hash of what is decided about: everything up to stage reconcile; empty for a book of no cycle folder."""
    return plan_hash(book.manifest, "reconcile") if book.manifest.get("tables") else ""


def answer(asked: Question, book: Book, recorded: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What is answered to a question in this cycle: option, reason, author, status and the rest of a decision_log row.

    `recorded`: the last decision of this cycle by question. An answer of another cycle or for another plan does not
    count; `lapsed` says why. Raises SettingsError for an answer that makes no sense, or that nobody may give.
    """
    none = {"option": "", "reason": "", "author": "", "status": UNDECIDED, "lapsed": ""}
    given = recorded.get(asked.question)
    if given is None:
        if not asked.option:
            return none
        given = {"option": asked.option, "reason": asked.reason or "", "author": asked.decided_by, "status": "approved"}
        why = _not_for_this_plan(asked, book)
    else:
        now, then = seen(book), given.get("plan_hash") or ""
        why = "" if now in ("", then) else say("the plan has changed since. Look at it as it is now, and decide again")
    if not why:
        _must_make_sense(asked, given, book)
        return {**given, "lapsed": ""}
    if given["option"]:
        told = say("{author} chose {option}; it does not count: {why}.", given["author"], given["option"], why)
    else:
        told = say("{author} left it open; it does not count: {why}.", given["author"], why)
    return none | {"lapsed": told}


def _not_for_this_plan(asked: Question, book: Book) -> str:
    now, write = seen(book), say("write cycle: {cycle} beside it", book.cycle)
    if now:
        write = say("write cycle: {cycle} and plan: {plan} beside it", book.cycle, now[:SHORT])
    if not asked.cycle:
        return say("decisions.yaml does not say in which cycle. If it is meant for this plan, {fix}", write)
    if asked.cycle != book.cycle:
        return say("it was given in {cycle}. This cycle asks anew; to answer, {fix}", asked.cycle, write)
    if now and not asked.plan:
        return say("decisions.yaml does not say for which plan. Look at the plan as it is now; to answer, {fix}", write)
    if now and not now.startswith(asked.plan):
        told = "it is for the plan {plan}. Look at the plan as it is now; to answer, {fix}"
        return say(told, asked.plan, write)
    people = book["people"]
    if (people.loc[people["name"] == asked.decided_by, "ssh_key"] != "").any():
        return say("{author} signs with an SSH key, and decisions.yaml is not signed. Use `sopkit decide`",
                   asked.decided_by)  # fmt: skip
    return ""


def _must_make_sense(asked: Question, given: Mapping[str, Any], book: Book) -> None:
    about = f"question {asked.question!r}"
    for option in chosen(given["option"]):
        if option in book.bound:
            raise SettingsError(f"{about}: {option!r} was adopted in an earlier cycle and is in the plan already.")
        if "" < (last := choose_by(option, book)) < book.cycle:
            raise SettingsError(f"{about}: {option!r} could be chosen until {last}. Decide for another option.")
        if option not in asked.options:
            raise SettingsError(f"{about}: {option!r} is no option: {nearest(option, asked.options)}")
    if given["option"] and not given["reason"].strip():
        raise SettingsError(f"{about} chooses {given['option']!r} without a reason. Write why.")
    if given["option"] and not given["author"].strip():
        raise SettingsError(f"{about} chooses {given['option']!r} and names nobody who decided. Write decided_by.")
    if given["option"] and len(book["people"]):
        must_be_allowed(book["people"], given["author"], "decide", "decide")


def log(book: Book, questions: list[Question], recommended: Mapping[str, tuple[str, str]]) -> Iterator[dict[str, Any]]:
    """The rows of table `decision_log`; `recommended`: by question the code of the best option, and the sentence."""
    mine = book["decisions"]
    mine = mine[mine["cycle"] == book.cycle].sort_values("id").drop_duplicates("question", keep="last")
    recorded = {row["question"]: row for row in mine.to_dict("records")}
    for asked in questions:
        given, (best, sentence) = answer(asked, book, recorded), recommended[asked.question]
        due = given.get("due")
        yield {
            "question": asked.question,
            "options": ", ".join(asked.options),
            "option": ", ".join(chosen(given["option"])),
            "recommended": best,
            "recommendation": sentence,
            "reason": given["reason"],
            "owner": given.get("owner") or asked.owner,
            "decided_by": given["author"],
            "expected_effect": given.get("expected_effect") or asked.expected_effect or sentence,
            "dissent": given.get("dissent") or "",
            "due": due if pd.notna(due) else pd.Timestamp(asked.due or None),
            "status": given["status"],
            "lapsed": given["lapsed"],
        }
