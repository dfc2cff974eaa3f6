"""What a signature or a decision stands for: one hash over exactly what its person saw, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from sopkit.errors import SettingsError, nearest
from sopkit.files import sha256
from sopkit.tables import BY_NAME
from sopkit.words import divided

SHORT = 12  # letters of a hash that people write down
PROVENANCE = frozenset({"sources", "source_rows", "findings"})  # tables of where rows stood before they were collected


def plan_hash(
    manifest: Mapping[str, Any], stage: str = "publish", *, alone: bool = False, provenance: bool = True
) -> str:
    """One sha256 over all tables that the stages up to and including `stage` wrote, or those of that stage `alone`.

    Without `provenance` two cycles have one hash where all numbers are the same, wherever their data came from; who
    signs or reproduces a plan vouches for that too.
    """
    stages = [stage] if alone else [one.name for one in BY_NAME.values() if one.number <= BY_NAME[stage].number]
    lines = [
        f"{name} {entry['sha256']}\n"
        for name, entry in sorted(manifest.get("tables", {}).items())
        if entry["stage"] in stages and (provenance or name not in PROVENANCE)
    ]
    return sha256("".join(lines).encode())


def signatures(sign_offs: pd.DataFrame, cycle: str, manifest: Mapping[str, Any]) -> pd.DataFrame:
    """Who signed what in `cycle`: stage, author, holds; `holds` = for exactly the tables as they are now."""
    found = _told_apart(sign_offs, cycle, manifest).sort_values("holds", kind="stable")
    return found.drop_duplicates(["stage", "author"], keep="last")[["stage", "author", "holds"]]


def signed_on(sign_offs: pd.DataFrame, cycle: str, manifest: Mapping[str, Any]) -> pd.Series:
    """The day (UTC) on which each signed stage of `cycle` was first signed as it stands now, by stage."""
    found = _told_apart(sign_offs, cycle, manifest)
    days = pd.to_datetime(found["recorded_at"].str[:10])
    return days[found["holds"]].groupby(found["stage"]).min()


def _told_apart(sign_offs: pd.DataFrame, cycle: str, manifest: Mapping[str, Any]) -> pd.DataFrame:
    """The signatures of `cycle` in order, with column `holds`."""
    mine = sign_offs[sign_offs["cycle"] == cycle].sort_values("id")
    now = mine["stage"].map({stage: plan_hash(manifest, stage) for stage in BY_NAME})
    return mine.assign(holds=mine["plan_hash"] == now)


def signers(people: pd.DataFrame, stage: str) -> list[str]:
    """The names in table people that may sign `stage`, in its order."""
    return [one.name for one in people.itertuples(index=False) if stage in one.may_sign.split()]


def chosen(option: str) -> list[str]:
    """The options that an answer adopts: codes divided by commas."""
    return divided(option)


def must_be_allowed(people: pd.DataFrame, name: str, stage: str, deed: str) -> None:
    """Raises SettingsError, with those who may, where `name` is not in table people or may not sign `stage`."""
    if name not in set(people["name"]):
        raise SettingsError(f"{name!r} is not in table people: {nearest(name, people['name'])}")
    may = signers(people, stage)
    if name not in may:
        allowed = ", ".join(sorted(may)) or "nobody; see table people"
        raise SettingsError(f"{name} may not {deed}. Those who may: {allowed}.")
