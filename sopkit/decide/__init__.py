"""Which option, who decided, why? A decision is recorded, or the plan says that there is none."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field, field_validator

from sopkit.charts import number
from sopkit.errors import SettingsError, nearest
from sopkit.tables import load_yaml, validated

if TYPE_CHECKING:
    import pandas as pd

UNDECIDED = "undecided"


class Decision(BaseModel):
    """One question for the executive meeting: its options, and the answer once there is one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    question: str = Field(min_length=1)
    options: list[str] = Field(min_length=1)
    option: str | None = None
    reason: str | None = None
    owner: str = ""
    decided_by: str = ""
    due: str = Field("", pattern=r"^(\d{4}-(0[1-9]|1[0-2]))?$")
    expected_effect: str = ""

    @field_validator("due", mode="before")
    @classmethod
    def _as_text(cls, value: object) -> str:
        return "" if value is None else str(value)[:7]


def load_decisions(path: Path) -> list[Decision]:
    """The questions in `path` (decisions.yaml); none where there is no file. Raises SettingsError by line."""
    if not path.exists():
        return []
    document, lines = load_yaml(path)
    return validated(list[Decision], document or [], lines, path)


def _after_penalties(results: pd.DataFrame) -> pd.Series:
    """A plan's result after penalties, in currency, by scenario."""
    wide = results.pivot(index="scenario", columns="measure", values="value")
    return wide["result"] - wide["service penalties"]


def recommend(decision: Decision, results: pd.DataFrame, currency: str = "") -> tuple[str, str]:
    """The option with the highest result after penalties, and a sentence: what it brings against the first option.

    `results` is table scenario_results, money in `currency`. The first option is what happens if nothing is decided;
    one that is no scenario cannot be recommended.
    """
    after_penalties = _after_penalties(results).reindex(decision.options).dropna()
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


def questions(decisions: list[Decision], results: pd.DataFrame) -> list[Decision]:
    """What is to be decided: `decisions` of the company, or, where it asks nothing, which of the plans to run.

    `results` is table scenario_results.
    """
    return decisions or [Decision(question="Which plan do we run?", options=list(dict.fromkeys(results["scenario"])))]


def decide(
    tables: Mapping[str, pd.DataFrame], decisions: list[Decision], cycle: str, currency: str = ""
) -> dict[str, pd.DataFrame]:
    """Table `decision_log` from the questions, table scenario_results and what was recorded (table `decisions`).

    A decision recorded in this `cycle` stands over the file's; the same question is asked anew in the next cycle.
    Without an answer the question is undecided, and the plan a draft.
    Raises SettingsError for an option that was not solved, or a decision without a reason.
    """
    import pandas as pd

    results = tables["scenario_results"]
    solved = list(dict.fromkeys(results["scenario"]))
    recorded = tables["decisions"]
    recorded = recorded[recorded["cycle"] == cycle].sort_values("id").drop_duplicates("question", keep="last")
    recorded = recorded.set_index("question")
    rows = []
    for decision in questions(decisions, results):
        unknown = [option for option in decision.options if option not in solved]
        if unknown:
            raise SettingsError(f"decision {decision.question!r} offers {unknown[0]!r}: {nearest(unknown[0], solved)}")
        said = recorded.loc[decision.question] if decision.question in recorded.index else None
        option = (said["option"] if said is not None else decision.option) or ""
        reason = (said["reason"] if said is not None else decision.reason) or ""
        if option and option not in decision.options:
            raise SettingsError(
                f"decision {decision.question!r}: {option!r} is no option: {nearest(option, decision.options)}"
            )
        if option and not reason.strip():
            raise SettingsError(
                f"decision {decision.question!r} chooses {option!r} without a reason. Write why it was chosen."
            )
        best, sentence = recommend(decision, results, currency)
        status = said["status"] if said is not None else ("approved" if option else UNDECIDED)
        rows.append(
            {
                "question": decision.question,
                "options": ", ".join(decision.options),
                "option": option,
                "recommendation": f"{best}: {sentence}" if best else sentence,
                "reason": reason,
                "owner": (said["owner"] if said is not None else "") or decision.owner,
                "decided_by": said["author"] if said is not None else decision.decided_by,
                "expected_effect": (said["expected_effect"] if said is not None else "")
                or decision.expected_effect
                or sentence,
                "due": said["due"]
                if said is not None and pd.notna(said["due"])
                else pd.Timestamp(decision.due or None),
                "status": status,
            }
        )
    return {"decision_log": pd.DataFrame(rows)}


def is_draft(decision_log: pd.DataFrame) -> bool:
    """Whether any question is still undecided, so that the plan is a draft."""
    return bool((decision_log["status"] == UNDECIDED).any())
