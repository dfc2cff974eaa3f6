"""The tables of what people recorded: kept in the `records` database, read by the stages like any other table."""

from __future__ import annotations

from sopkit.tables.declare import Column, Table, choice, date, month, number, text, whole


def _record(name: str, owner: str, meaning: str, *columns: Column) -> Table:
    about = (
        whole("id", "number of the record", "", "", low=1, example=12),
        text("cycle", "the cycle in which it was recorded", example="2026-11"),
        text("author", "who recorded it", example="Ada Brandt"),
        text("recorded_at", "when it was recorded, UTC", example="2026-11-05T09:12:44+00:00"),
    )
    return Table(name, "records", owner, meaning, ("id",), (*about, *columns), required=False)


RECORDS = (
    _record(
        "overrides", "demand planning", "A person's change to the demand plan, in force unless superseded or expired.",
        choice("level", "what it changes", "product", "family", "market", "total", required=False, default="product", example="product"),
        text("product", "the product; empty = all of the family", required=False, example="TENT-2P"),
        text("family", "the family; empty = all", required=False, example=""),
        text("market", "the market; empty = all", required=False, example="NORTH-RETAIL"),
        month("first_month", "first month changed"),
        month("last_month", "last month changed"),
        choice("action", "add units a month, set units a month, or scale by a factor", "add", "set", "scale", example="add"),
        number("amount", "units a month, or the factor", "units or factor", "", low=None, example=150),
        text("reason", "why", example="second shop opens"),
        text("evidence", "where it can be seen", required=False, example="contract of 2026-10-28"),
        month("expires", "last cycle in which it holds; empty = until superseded", required=False, example="2027-02"),
        whole("supersedes", "number of the record it replaces; 0 = none", "", "", required=False, default=0, example=0),
    ),
    _record(
        "decisions", "management", "What the executive meeting decided, or did not yet.",
        text("question", "what was to be decided", example="Which scenario becomes the plan?"),
        text("option", "the option chosen; empty = undecided", required=False, example="second_shift"),
        text("reason", "why", required=False, example="keeps the launch on time"),
        text("owner", "who carries it out", required=False, example="Jon Okafor"),
        month("due", "when it must be done", required=False, example="2026-12"),
        text("expected_effect", "what it should bring", required=False, example="+2.1 % fill rate"),
        text("dissent", "who disagreed, and why", required=False, example="Jon Okafor: the line is not ready"),
        choice("status", "where it stands", "undecided", "approved", "rejected", "done", example="approved"),
        text("plan_hash", "sha256 of the plan that was decided about", required=False, example="9f2c..."),
    ),
    _record(
        "actions", "management", "What somebody is to do, and every later word about it: the last one that fills a field stands.",
        whole("action", "number of the action that this is about; 0 = a new one", "", "", required=False, default=0, example=0),
        text("what", "what is to be done", required=False, example="Book the audit of Alu Taiwan"),
        text("assignees", "who does it, names divided by commas", required=False, example="Lars Eriksen, Jon Okafor"),
        date("due", "the day by which it is done", required=False, example="2026-12-11"),
        text("depends", "numbers of the actions that come first, divided by blanks", required=False, example="3 4"),
        choice("status", "where it stands", "open", "doing", "done", "dropped", required=False, example="open"),
        text("effect", "what it should bring", required=False, example="+22 thousand EUR on average"),
        text("origin", "what it comes from: a decision, a lever, an exception, or a hand", required=False, example="second_source"),
        text("comment", "a remark; @Name asks somebody", required=False, example="@Ines Duarte: is the audit in the budget?"),
        text("about", "the number it is tied to: table, key, month", required=False, example="offers ALU-TW POLES 2027-02"),
    ),
    _record(
        "ticks", "management", "A person ticks what must be true before a stage is signed.",
        text("stage", "the stage", example="demand"),
        text("item", "what is ticked, as company.yaml names it", example="sales has confirmed the deals"),
    ),
    _record(
        "closings", "management", "A commitment is closed: done, or revoked with a reason.",
        text("option", "code of the option that was adopted", example="second_shift"),
        month("adopted", "the cycle in which it was adopted", example="2026-11"),
        choice("how", "what became of it", "done", "revoked", example="done"),
        text("reason", "why", example="the capacity table has the hours now"),
    ),
    _record(
        "history_answers", "demand planning", "A planner's answer to a proposed correction of history.",
        month(),
        text("product", "the product", example="TENT-2P"),
        text("market", "the market", example="NORTH-RETAIL"),
        choice("answer", "the planner's answer", "accepted", "changed", "refused", example="changed"),
        number("quantity", "what the month counts if changed; empty otherwise", "units", "", required=False, example=410),
        text("reason", "why", example="real demand: two shops opened"),
    ),
    _record(
        "declared_assumptions", "demand planning", "What a person declared to be planned around; the last word on a statement holds.",
        text("statement", "what is assumed", example="The new warehouse opens in March."),
        text("stands_for", "the table it stands in for", required=False, example="lanes"),
        month("expires", "last cycle in which it holds; empty = until declared anew", required=False, example="2027-06"),
    ),
    _record(
        "sign_offs", "management", "A person signs a stage of a cycle.",
        text("stage", "what is signed", example="demand"),
        text("note", "a remark", required=False, example=""),
        text("plan_hash", "sha256 of the manifest that was signed", required=False, example="9f2c..."),
    ),
)
